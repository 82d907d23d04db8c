//! The broker: the market log, output logs with transactions, and the network in between.

use super::dice::Dice;
use super::group::{Group, Proof};
use super::market::{Growth, Script};
use super::sabotage::Sabotage;
use fragility::clock::ManualClock;
use fragility::sinks::Stream;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const MS: i64 = 1_000_000;
/// A transaction of a producer that is gone ends by itself after so long.
const TRANSACTION_TIMEOUT: i64 = 10_000 * MS;
/// Members look at the number of partitions at least this often.
const NOTICED: i64 = 11_000 * MS;
/// Partitions of each output topic.
pub(crate) const OUTPUT_PARTITIONS: i32 = 2;

/// What becomes of records of one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Open,
    /// Its end is on the way, or waits at the coordinator.
    Committing(i64),
    Committed,
    Aborted,
}

pub(crate) struct Transaction {
    name: String,
    epoch: u32,
    pub(crate) fate: Fate,
    began: i64,
    offsets: Vec<(i32, i64)>,
    note: usize,
    /// Where the group stood before it was committed, and with what note.
    before: BTreeMap<i32, Option<(i64, usize)>>,
}

/// A record of an output log.
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) origin: Option<(i32, i64)>,
    /// When it came.
    pub(crate) at: i64,
    transaction: Option<usize>,
}

/// A record on its way.
pub(crate) struct Flight {
    pub(crate) stream: Stream,
    pub(crate) partition: Option<i32>,
    pub(crate) entry: Entry,
    pub(crate) epoch: usize,
    arrives: i64,
}

/// A producer's connection: records arrive in order, and their acknowledgements come back in order.
#[derive(Default)]
pub(crate) struct Line {
    queue: VecDeque<Flight>,
    unacknowledged: VecDeque<(usize, i64)>,
    pub(crate) outstanding: [usize; 2],
    pub(crate) failure: Option<String>,
    /// Of a transactional producer: its name and epoch.
    producer: Option<(String, u32)>,
    is_stopped: bool,
}

/// A commit of offsets on its way.
struct Commit {
    proof: Proof,
    offsets: Vec<(i32, i64)>,
    arrives: i64,
    is_lost: bool,
}

pub(crate) struct Broker {
    pub(crate) now: i64,
    pub(crate) dice: Dice,
    pub(crate) script: Script,
    /// Records written so far, by partition.
    pub(crate) written: Vec<usize>,
    /// Partitions that there are so far, and that the group's members have noticed.
    pub(crate) count: i32,
    pub(crate) noticed: i32,
    /// How often keys went to other partitions.
    pub(crate) changed: usize,
    /// How often it got more, and when last.
    grown: usize,
    grown_at: i64,
    notice_at: i64,
    /// What consumers note with offsets; the first is nothing.
    pub(crate) notes: Vec<String>,
    pub(crate) group: Group,
    pub(crate) outputs: BTreeMap<(u8, i32), Vec<Entry>>,
    pub(crate) transactions: Vec<Transaction>,
    epochs: BTreeMap<String, u32>,
    pub(crate) lines: Vec<Line>,
    commits: VecDeque<Commit>,
    /// What consumers were told of their commits.
    pub(crate) confirmed: BTreeMap<(usize, i32), i64>,
    pub(crate) is_up: bool,
    /// Longest delay of anything, in nanoseconds.
    pub(crate) delay_max: i64,
    pub(crate) clocks: Vec<ManualClock>,
    /// Broken on purpose: see the tests of the invariants.
    pub(crate) sabotage: Sabotage,
    /// Whether every producer was done before someone else went on with its partitions: otherwise what it sent may
    /// come behind what follows from it.
    pub(crate) was_order_kept: bool,
    /// Offsets that moved back, and the like: found where they happen.
    pub(crate) wrong: Option<String>,
}

/// Where a key's records go.
pub(crate) fn partition_of(key: &[u8]) -> i32 {
    key.iter().map(|b| i32::from(*b)).sum::<i32>() % OUTPUT_PARTITIONS
}

pub(crate) fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Alerts => 0,
        Stream::State => 1,
        Stream::DeadLetters => 2,
        Stream::Members => 3,
    }
}

impl Broker {
    pub(crate) fn new(dice: Dice, script: Script) -> Self {
        let written = vec![0; script.partitions.len()];
        let count = i32::try_from(script.begins_with).unwrap();
        Self {
            now: 0,
            dice,
            script,
            written,
            count,
            noticed: count,
            changed: 0,
            grown: 0,
            grown_at: 0,
            notice_at: 0,
            notes: vec![String::new()],
            group: Group::default(),
            outputs: BTreeMap::new(),
            transactions: Vec::new(),
            epochs: BTreeMap::new(),
            lines: Vec::new(),
            commits: VecDeque::new(),
            confirmed: BTreeMap::new(),
            is_up: true,
            delay_max: 0,
            clocks: Vec::new(),
            sabotage: Sabotage::None,
            was_order_kept: true,
            wrong: None,
        }
    }

    pub(crate) fn partitions(&self) -> i32 {
        self.count
    }

    /// The log gets more partitions; the group's members learn of it some time later.
    fn grow(&mut self, growth: Growth) {
        self.count = i32::try_from(growth.count).unwrap();
        self.grown += 1;
        self.grown_at = self.now;
        self.notice_at = self.now + self.dice.between(0, 20_000) * MS;
    }

    /// Producers write so many records more, in the order in which keys went from partition to partition.
    pub(crate) fn write_on(&mut self, more: usize) {
        let from: usize = self.written.iter().sum();
        // What was before a group first committed is not known to it.
        let is_known = self.group.committed.len() >= self.script.begins_with;
        let growths = self.script.growths.clone();
        if let Some(next) = growths.get(self.grown).filter(|g| is_known && from >= g.after) {
            self.grow(*next);
        }
        // Producers look for partitions less often than members do.
        let is_used = self.now >= self.grown_at + NOTICED;
        let last = self.grown.checked_sub(1).map(|number| growths[number]);
        let bound = match last {
            Some(last) if !is_used => last.used_after,
            _ => growths.get(self.grown).map_or(usize::MAX, |next| next.after),
        };
        let bound = self.script.changes.get(self.changed).map_or(bound, |change| bound.min(*change));
        let more = more.min(bound.saturating_sub(from));
        let next: Vec<usize> = self.script.order.iter().skip(from).take(more).copied().collect();
        for p in next {
            self.written[p] += 1;
        }
    }

    /// Whether producers are about to use other keys.
    pub(crate) fn waits_for_keys(&self) -> bool {
        self.script.changes.get(self.changed).is_some_and(|change| self.written.iter().sum::<usize>() >= *change)
    }

    /// Whether the group has committed all that is written.
    pub(crate) fn is_all_committed(&self) -> bool {
        let last = |p: usize| self.written[p].checked_sub(1).map(|n| self.script.partitions[p][n].offset + 1);
        (0..).zip(0..self.written.len()).all(|(number, p)| self.group.committed.get(&number).copied() >= last(p))
    }

    /// The number of a note.
    pub(crate) fn note(&mut self, text: &str) -> usize {
        if let Some(at) = self.notes.iter().position(|n| n == text) {
            return at;
        }
        self.notes.push(text.to_owned());
        self.notes.len() - 1
    }

    /// What is noted with the committed offset of a partition.
    pub(crate) fn noted(&self, partition: i32) -> String {
        self.group.notes.get(&partition).map_or("", |n| self.notes[*n].as_str()).to_owned()
    }

    /// Offset behind the last record written; at the end of the script, with the markers behind it.
    pub(crate) fn high(&self, partition: usize) -> i64 {
        let records = &self.script.partitions[partition];
        match self.written[partition] {
            n if n == records.len() => self.script.ends[partition],
            0 => 0,
            n => records[n - 1].offset + 1,
        }
    }

    fn delay(&mut self) -> i64 {
        if self.delay_max == 0 { 0 } else { self.dice.between(0, self.delay_max) }
    }

    /// Lets time pass for everyone.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += i64::try_from(time.as_nanos()).unwrap();
        for clock in &self.clocks {
            clock.pass(time);
        }
        self.tick();
    }

    /// What is due by now.
    pub(crate) fn tick(&mut self) {
        for at in 0..self.transactions.len() {
            let Transaction { fate, began, .. } = self.transactions[at];
            match fate {
                Fate::Committing(when) if self.is_up && when <= self.now => self.finish(at, Fate::Committed),
                Fate::Open if self.now - began > TRANSACTION_TIMEOUT => self.finish(at, Fate::Aborted),
                _ => {}
            }
        }
        if !self.is_up {
            return;
        }
        for line in 0..self.lines.len() {
            self.serve(line);
        }
        while self.commits.front().is_some_and(|c| c.arrives <= self.now) {
            let Some(commit) = self.commits.pop_front() else { break };
            if !commit.is_lost {
                self.commit(commit.proof, &commit.offsets);
            }
        }
        if self.noticed < self.count && self.notice_at <= self.now {
            self.noticed = self.count;
            self.group.is_due = true;
        }
        self.group.tick(self.now, self.noticed);
    }

    fn serve(&mut self, at: usize) {
        if self.lines[at].is_stopped {
            return;
        }
        while self.lines[at].queue.front().is_some_and(|f| f.arrives <= self.now) {
            self.arrive(at);
        }
        let (now, line) = (self.now, &mut self.lines[at]);
        while line.unacknowledged.front().is_some_and(|(_, when)| *when <= now) {
            if let Some((epoch, _)) = line.unacknowledged.pop_front() {
                line.outstanding[epoch] -= 1;
            }
        }
    }

    fn arrive(&mut self, at: usize) {
        let Some(flight) = self.lines[at].queue.pop_front() else { return };
        let acknowledged = self.now + self.delay();
        if self.sabotage != Sabotage::AcknowledgesEarly {
            self.lines[at].unacknowledged.push_back((flight.epoch, acknowledged));
        }
        let mut entry = Entry { at: self.now, ..flight.entry };
        if let Some((name, epoch)) = self.lines[at].producer.clone() {
            let Some(transaction) = self.transaction(&name, epoch) else {
                self.lines[at].failure.get_or_insert_with(|| "fenced by a newer producer".to_owned());
                return;
            };
            entry.transaction = Some(transaction);
        }
        if self.sabotage == Sabotage::LosesRecords && self.dice.permille(30) {
            return;
        }
        let partition = flight.partition.unwrap_or_else(|| partition_of(&entry.key));
        self.outputs.entry((stream_number(flight.stream), partition)).or_default().push(entry);
    }

    /// The open transaction of a producer that is the newest of its name.
    fn transaction(&mut self, name: &str, epoch: u32) -> Option<usize> {
        let newest = self.epochs.get(name).copied()?;
        if newest != epoch && self.sabotage != Sabotage::NoProducerFence {
            return None;
        }
        let epoch = newest;
        let open = self.transactions.iter().rposition(|t| t.name == name && t.epoch == epoch);
        match open.map(|at| (at, self.transactions[at].fate)) {
            Some((at, Fate::Open)) => Some(at),
            // What timed out was aborted and its producer fenced.
            Some((_, Fate::Committing(_) | Fate::Aborted)) => None,
            _ => {
                let name = name.to_owned();
                let began = self.now;
                self.transactions.push(Transaction {
                    name,
                    epoch,
                    fate: Fate::Open,
                    began,
                    offsets: Vec::new(),
                    note: 0,
                    before: BTreeMap::new(),
                });
                Some(self.transactions.len() - 1)
            }
        }
    }

    fn finish(&mut self, at: usize, fate: Fate) {
        self.transactions[at].fate = fate;
        let offsets = std::mem::take(&mut self.transactions[at].offsets);
        if fate == Fate::Committed {
            let Group { committed, notes, .. } = &self.group;
            let before = |p: &i32| Some((committed.get(p).copied()?, notes.get(p).copied()?));
            self.transactions[at].before = offsets.iter().map(|(p, _)| (*p, before(p))).collect();
            self.keep(&offsets, self.transactions[at].note);
            self.transactions[at].offsets = offsets;
        }
    }

    /// Takes back the offsets of the last transaction of a producer that is gone, where nobody went on from them.
    fn forget_offsets(&mut self, line: usize) {
        if !self.sabotage.forgets_offsets() || !self.dice.permille(500) {
            return;
        }
        let Some((name, epoch)) = &self.lines[line].producer else { return };
        let is_its = |t: &&Transaction| t.name == *name && t.epoch == *epoch && t.fate == Fate::Committed;
        let Some(last) = self.transactions.iter().rfind(is_its) else { return };
        for (partition, offset) in &last.offsets {
            if self.group.committed.get(partition) != Some(offset) {
                continue;
            }
            // Where a group without offsets begins is another matter.
            if let Some((before, note)) = last.before.get(partition).copied().flatten() {
                self.group.committed.insert(*partition, before);
                self.group.notes.insert(*partition, note);
            }
        }
    }

    fn keep(&mut self, offsets: &[(i32, i64)], note: usize) {
        for (partition, offset) in offsets {
            self.group.notes.insert(*partition, note);
            let offset = if self.sabotage == Sabotage::CommitsAhead { *offset + 1 } else { *offset };
            let kept = self.group.committed.entry(*partition).or_insert(offset);
            if *kept > offset {
                self.wrong
                    .get_or_insert(format!("partition {partition}: committed offset back from {kept} to {offset}"));
            }
            *kept = offset;
        }
    }

    /// A connection for a producer; transactional ones name themselves by [`Broker::init`].
    pub(crate) fn connect(&mut self) -> usize {
        self.lines.push(Line::default());
        self.lines.len() - 1
    }

    /// Makes a producer the newest of its name; false while an older one's commit is under way.
    pub(crate) fn init(&mut self, line: usize, name: &str) -> bool {
        let is_fencing = self.sabotage != Sabotage::NoProducerFence;
        if is_fencing {
            for at in 0..self.transactions.len() {
                if self.transactions[at].name == name && self.transactions[at].fate == Fate::Open {
                    self.finish(at, Fate::Aborted);
                }
            }
        }
        if self.transactions.iter().any(|t| t.name == name && matches!(t.fate, Fate::Committing(_))) {
            return false;
        }
        let epoch = self.epochs.entry(name.to_owned()).or_default();
        *epoch += 1;
        self.lines[line].producer = Some((name.to_owned(), *epoch));
        true
    }

    pub(crate) fn send(
        &mut self,
        line: usize,
        flight: (Stream, Option<i32>),
        entry: (Vec<u8>, Vec<u8>, Option<(i32, i64)>),
        epoch: usize,
    ) {
        // What a member says that was given up may come behind what its successor says.
        self.was_order_kept &= self.group.consumers.get(&line).is_none_or(|c| c.is_in);
        let delay = self.delay();
        let (now, own) = (self.now, &mut self.lines[line]);
        let before = own.queue.back().map_or(now, |f| f.arrives);
        let (stream, partition) = flight;
        let (key, value, origin) = entry;
        let entry = Entry { key, value, origin, at: now, transaction: None };
        own.queue.push_back(Flight { stream, partition, entry, epoch, arrives: before.max(now + delay) });
        own.outstanding[epoch] += usize::from(self.sabotage != Sabotage::AcknowledgesEarly);
        if self.is_up && !self.lines[line].is_stopped {
            self.serve(line);
        }
    }

    /// Adds offsets to a producer's transaction.
    pub(crate) fn add_offsets(&mut self, line: usize, offsets: &[(i32, i64)], proof: Proof) -> Result<(), String> {
        let is_nobody = proof.generation.is_none() && self.sabotage == Sabotage::ProofOfNobody;
        if !self.group.admits(proof) && !is_nobody && self.sabotage != Sabotage::NoGroupFence {
            return Err("the group has given this member up".into());
        }
        let at = self.own_transaction(line)?;
        self.transactions[at].offsets = offsets.to_vec();
        self.transactions[at].note = proof.note;
        Ok(())
    }

    fn own_transaction(&mut self, line: usize) -> Result<usize, String> {
        let Some((name, epoch)) = self.lines[line].producer.clone() else { return Err("no producer".into()) };
        self.transaction(&name, epoch).ok_or_else(|| "fenced by a newer producer, or timed out".to_owned())
    }

    /// Ends a producer's transaction: now, or so much later.
    pub(crate) fn end_transaction(&mut self, line: usize, later: Option<i64>) -> Result<(), String> {
        let at = self.own_transaction(line)?;
        match later {
            None => self.finish(at, Fate::Committed),
            Some(later) => self.transactions[at].fate = Fate::Committing(self.now + later),
        }
        Ok(())
    }

    /// Whether offsets of a partition wait for a transaction to end.
    pub(crate) fn is_unstable(&self, partition: i32) -> bool {
        let is_open = |t: &&Transaction| matches!(t.fate, Fate::Open | Fate::Committing(_));
        self.transactions.iter().filter(is_open).any(|t| t.offsets.iter().any(|(p, _)| *p == partition))
    }

    /// Sends a commit of offsets, whose answer comes later or not at all.
    pub(crate) fn commit_later(&mut self, proof: Proof, offsets: &[(i32, i64)], is_lost: bool) {
        let arrives = self.commits.back().map_or(0, |c| c.arrives).max(self.now + self.delay());
        self.commits.push_back(Commit { proof, offsets: offsets.to_vec(), arrives, is_lost });
    }

    /// A consumer's commits all arrive before it goes on.
    pub(crate) fn flush_commits(&mut self, client: usize) {
        let (mine, others) = std::mem::take(&mut self.commits).into_iter().partition(|c| c.proof.client == client);
        self.commits = others;
        let mine: VecDeque<Commit> = mine;
        for commit in mine {
            if !commit.is_lost {
                self.commit(commit.proof, &commit.offsets);
            }
        }
    }

    pub(crate) fn commit(&mut self, proof: Proof, offsets: &[(i32, i64)]) -> bool {
        if !self.group.admits(proof) && self.sabotage != Sabotage::NoGroupFence {
            return false;
        }
        if self.sabotage != Sabotage::ForgetsCommits {
            self.keep(offsets, proof.note);
        }
        for (partition, offset) in offsets {
            let kept = self.confirmed.entry((proof.client, *partition)).or_insert(*offset);
            *kept = (*kept).max(*offset);
        }
        true
    }

    /// A producer is dropped for another; some of what it sent may still arrive.
    pub(crate) fn renew(&mut self, line: usize) {
        let on_the_way = self.lines[line].queue.len();
        let arriving = self.dice.index(on_the_way + 1);
        if self.is_up {
            for _ in 0..arriving {
                self.arrive(line);
            }
        }
        self.forget_offsets(line);
        self.lines[line] = Line::default();
    }

    /// The process behind a connection is gone; some of what was sent may still arrive.
    pub(crate) fn cut(&mut self, line: usize, client: usize) {
        let on_the_way = self.lines[line].queue.len();
        let arriving = self.dice.index(on_the_way + 1);
        if self.is_up {
            for _ in 0..arriving {
                self.arrive(line);
            }
        }
        self.forget_offsets(line);
        let (producer, queue) = (self.lines[line].producer.take(), std::mem::take(&mut self.lines[line].queue));
        self.lines[line] = Line { producer, ..Line::default() };
        if self.delay_max > 0 && self.dice.permille(300) {
            // What has left the machine arrives when someone else may have gone on already.
            let late = self.dice.between(0, 2_000) * MS;
            self.was_order_kept &= queue.is_empty();
            self.lines[line].outstanding[0] = queue.len();
            self.lines[line].queue =
                queue.into_iter().map(|f| Flight { arrives: f.arrives + late, epoch: 0, ..f }).collect();
        }
        let now = self.now;
        let (mine, others): (Vec<Commit>, Vec<Commit>) =
            std::mem::take(&mut self.commits).into_iter().partition(|c| c.proof.client == client);
        self.commits = others.into();
        for commit in mine {
            if self.is_up && !commit.is_lost && self.dice.permille(500) {
                self.commit(commit.proof, &commit.offsets);
            } else {
                break;
            }
        }
        self.group.silence(client, now, true);
    }

    /// The process behind a connection stands still, or goes on.
    pub(crate) fn stop(&mut self, line: usize, is_stopped: bool) {
        self.lines[line].is_stopped = is_stopped;
    }

    /// Whether records of processes that are gone may still arrive.
    pub(crate) fn is_awaiting(&self) -> bool {
        self.lines.iter().any(|l| !l.queue.is_empty())
    }

    pub(crate) fn in_flight(&self, line: usize) -> usize {
        self.lines[line].outstanding.iter().sum()
    }

    /// Whether a reader of committed records sees a record, or has to wait.
    pub(crate) fn fate(&self, entry: &Entry) -> Fate {
        let fate = entry.transaction.map_or(Fate::Committed, |at| self.transactions[at].fate);
        if self.sabotage == Sabotage::ShowsUncommitted { Fate::Committed } else { fate }
    }
}
