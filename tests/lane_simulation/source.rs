//! The market log as a lane reads it: a member of the simulated group.

use super::broker::Broker;
use super::group::Proof;
use super::market::Written;
use super::plan::{Fate, Fault, Operation, kill};
use super::sabotage::Sabotage;
use fragility::sources::{
    Kept, Member, Ownership, Part, RawRecord, ReferenceLog, Source, SourceError, Standing, Stretch, TakeReference,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

/// How a client of the broker reaches it: every call may fail, and others may go on meanwhile.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) broker: Rc<RefCell<Broker>>,
    pub(crate) fate: Fate,
    /// Lets the other members go on for a while.
    pub(crate) meanwhile: Rc<dyn Fn()>,
    /// Number of the consumer, and of the producer's connection.
    pub(crate) client: usize,
}

impl Wire {
    /// Does something to the broker, unless something goes wrong.
    pub(crate) fn call<T>(&self, operation: Operation, act: impl FnOnce(&mut Broker) -> T) -> Result<T, String> {
        let fault = self.fate.draw(operation);
        match fault {
            Fault::Refused => return Err(format!("{operation:?} refused")),
            Fault::CrashBefore => kill(),
            Fault::Stall => (self.meanwhile)(),
            _ => {}
        }
        let done = act(&mut self.broker.borrow_mut());
        match fault {
            Fault::Unanswered => Err(format!("{operation:?} without an answer")),
            Fault::CrashAfter => kill(),
            _ => Ok(done),
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.broker.borrow_mut().pass(time);
    }
}

/// A partition being read.
struct Reading {
    next: i64,
    is_paused: bool,
    is_end_told: bool,
}

/// A consumer.
pub(crate) struct SimulatedSource {
    wire: Wire,
    reading: BTreeMap<i32, Reading>,
    at_end: Vec<i32>,
    note: usize,
    /// Parts of partitions read beside the group: where each begins is its next offset.
    aside: Vec<Stretch>,
}

impl SimulatedSource {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, reading: BTreeMap::new(), at_end: Vec::new(), note: 0, aside: Vec::new() }
    }

    fn call<T>(&self, operation: Operation, act: impl FnOnce(&mut Broker) -> T) -> Result<T, SourceError> {
        self.wire.call(operation, act).map_err(SourceError)
    }

    fn proof(&self) -> Proof {
        let broker = self.wire.broker.borrow();
        let generation = broker.group.consumers.get(&self.wire.client).and_then(|c| c.generation);
        Proof { client: self.wire.client, generation, note: self.note }
    }

    /// Asks about partitions, in worlds whose log gets more of them; elsewhere nothing can go wrong with that, so that their
    /// seeds stay what they are.
    fn ask<T>(&self, wait: Duration, answer: impl FnOnce(&mut Broker) -> Option<T>) -> Result<Option<T>, SourceError> {
        if !self.wire.broker.borrow().script.moves() {
            return Ok(answer(&mut self.wire.broker.borrow_mut()));
        }
        let found = self.call(Operation::Ask, |b| if b.is_up { answer(b) } else { None })?;
        if found.is_none() {
            self.wire.pass(wait);
        }
        Ok(found)
    }

    /// The record at or after an offset: its offset, timestamp, key and value.
    fn fetch(&self, partition: i32, from: i64) -> Option<Written> {
        let mut broker = self.wire.broker.borrow_mut();
        let at = usize::try_from(partition).unwrap();
        let records = &broker.script.partitions[at][..broker.written[at]];
        let mut index = records.partition_point(|r| r.offset < from);
        if broker.sabotage == Sabotage::SkipsInput && broker.dice.permille(20) {
            index += 1;
        }
        let records = &broker.script.partitions[at][..broker.written[at]];
        records.get(index).cloned()
    }
}

impl Source for SimulatedSource {
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<usize, SourceError> {
        let is_up = self.call(Operation::Poll, |b| b.is_up)?;
        // A client reads on while its group has given it up, until it learns of it.
        let is_told = self.wire.broker.borrow_mut().dice.permille(300);
        if is_up && is_told {
            self.wire.broker.borrow_mut().group.notice(self.wire.client);
        }
        let mut count = 0;
        let mut readable: BTreeSet<i32> =
            self.reading.iter().filter(|(_, r)| is_up && !r.is_paused).map(|(p, _)| *p).collect();
        'polled: while count < max && !readable.is_empty() {
            let (at, run) = {
                let dice = &mut self.wire.broker.borrow_mut().dice;
                (dice.index(readable.len()), 1 + dice.index(6))
            };
            let Some(&partition) = readable.iter().nth(at) else { break };
            for _ in 0..run {
                let Some(reading) = self.reading.get(&partition) else { break };
                let Some(record) = self.fetch(partition, reading.next) else {
                    readable.remove(&partition);
                    let high = self.wire.broker.borrow().high(usize::try_from(partition).unwrap());
                    if let Some(reading) = self.reading.get_mut(&partition) {
                        // Markers at the end are passed over.
                        reading.next = reading.next.max(high);
                        if !std::mem::replace(&mut reading.is_end_told, true) {
                            self.at_end.push(partition);
                        }
                    }
                    break;
                };
                let is_repeated = {
                    let mut broker = self.wire.broker.borrow_mut();
                    broker.sabotage == Sabotage::RepeatsInput && broker.dice.permille(20)
                };
                if let Some(reading) = self.reading.get_mut(&partition) {
                    reading.next = record.offset + i64::from(!is_repeated);
                    reading.is_end_told = false;
                }
                count += 1;
                let raw = RawRecord {
                    partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: Some(&record.key),
                    value: record.value.as_deref(),
                };
                if take(raw).is_break() {
                    break 'polled;
                }
            }
            // A fetch ends somewhere.
            if self.wire.broker.borrow_mut().dice.permille(150) {
                break;
            }
        }
        if count == 0 {
            self.wire.pass(wait);
        }
        Ok(count)
    }

    fn join(&mut self) -> Result<(), SourceError> {
        let client = self.wire.client;
        self.call(Operation::Join, |b| b.group.join(client))
    }

    fn ownership(&mut self) -> Option<Ownership> {
        let mut broker = self.wire.broker.borrow_mut();
        broker.group.consumers.get_mut(&self.wire.client)?.events.pop_front()
    }

    fn standing(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Standing>>, SourceError> {
        let client = self.wire.client;
        let found = self.call(Operation::Standing, |b| {
            if !b.is_up || partitions.iter().any(|p| b.is_unstable(*p)) {
                return None;
            }
            // On one connection, behind what was sent before.
            b.flush_commits(client);
            let standing = |p: &i32| {
                let committed = b.group.committed.get(p).copied();
                let high = b.high(usize::try_from(*p).unwrap());
                Standing { partition: *p, low: 0, high, committed, begins: 0, note: b.noted(*p) }
            };
            Some(partitions.iter().map(standing).collect())
        })?;
        if found.is_none() {
            self.wire.pass(wait);
        }
        Ok(found)
    }

    fn partitions(&mut self, wait: Duration) -> Result<Option<i32>, SourceError> {
        self.ask(wait, |b| Some(b.count))
    }

    fn kept(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Kept>>, SourceError> {
        self.ask(wait, |b| {
            if b.script.moves() && partitions.iter().any(|p| b.is_unstable(*p)) {
                return None;
            }
            let kept = |p: &i32| Some(Kept { partition: *p, next: *b.group.committed.get(p)?, note: b.noted(*p) });
            Some(partitions.iter().filter_map(kept).collect())
        })
    }

    fn bounds(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Part>>, SourceError> {
        self.ask(wait, |b| Some(partitions.iter().map(|p| (*p, 0, b.high(usize::try_from(*p).unwrap()))).collect()))
    }

    fn note(&mut self, note: &str) {
        self.note = self.wire.broker.borrow_mut().note(note);
    }

    fn read_aside(&mut self, parts: &[Stretch]) -> Result<(), SourceError> {
        self.call(Operation::Aside, |_| ())?;
        self.aside = parts.to_vec();
        Ok(())
    }

    fn poll_aside(
        &mut self,
        max: usize,
        wait: Duration,
        take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<bool, SourceError> {
        if !self.call(Operation::Aside, |b| b.is_up)? {
            self.wire.pass(wait);
            return Ok(false);
        }
        let most = self.wire.broker.borrow_mut().dice.index(max.min(40)) + 1;
        for _ in 0..most {
            let head = |part: &Stretch| self.fetch(part.partition, part.from).filter(|r| r.offset < part.to);
            let heads: Vec<_> = self.aside.iter().map(head).collect();
            let is_wanted =
                |(part, head): (&Stretch, &Option<Written>)| head.as_ref().is_some_and(|r| r.offset < part.wanted);
            if !self.aside.iter().zip(&heads).any(is_wanted) {
                return Ok(true);
            }
            let ranked = heads.iter().enumerate().filter_map(|(at, head)| Some((at, head.as_ref()?)));
            let first = ranked.min_by_key(|(at, record)| (record.timestamp, self.aside[*at].partition));
            let Some((at, record)) = first else { return Ok(true) };
            let raw = RawRecord {
                partition: self.aside[at].partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: Some(&record.key),
                value: record.value.as_deref(),
            };
            let offset = record.offset;
            if take(raw).is_break() {
                break;
            }
            self.aside[at].from = offset + 1;
        }
        Ok(false)
    }

    fn start(&mut self, partitions: &[(i32, i64)]) -> Result<(), SourceError> {
        let client = self.wire.client;
        let is_eager = self.call(Operation::Start, |b| {
            b.confirmed.retain(|(c, p), _| *c != client || !partitions.iter().any(|(q, _)| p == q));
            b.group.is_eager
        })?;
        if is_eager {
            self.reading.clear();
        }
        let fresh = |(p, next): &(i32, i64)| (*p, Reading { next: *next, is_paused: false, is_end_told: false });
        self.reading.extend(partitions.iter().map(fresh));
        Ok(())
    }

    fn seek(&mut self, partitions: &[(i32, i64)]) -> Result<(), SourceError> {
        self.call(Operation::Seek, |_| ())?;
        for (partition, next) in partitions {
            if let Some(reading) = self.reading.get_mut(partition) {
                reading.next = *next;
                reading.is_end_told = false;
            }
        }
        self.at_end.clear();
        Ok(())
    }

    fn release(&mut self, partitions: &[i32]) -> Result<(), SourceError> {
        let client = self.wire.client;
        self.reading.retain(|p, _| !partitions.contains(p));
        self.call(Operation::Release, |b| {
            b.was_order_kept &= b.in_flight(client) == 0;
            b.group.release(client, partitions);
        })
    }

    fn set_paused(&mut self, partitions: &[i32], paused: bool) -> Result<(), SourceError> {
        self.call(Operation::Pause, |_| ())?;
        for partition in partitions {
            if let Some(reading) = self.reading.get_mut(partition) {
                reading.is_paused = paused;
            }
        }
        Ok(())
    }

    fn commit(&mut self, offsets: &[(i32, i64)], wait: Option<Duration>) -> Result<(), SourceError> {
        let proof = self.proof();
        if offsets.is_empty() {
            return Ok(());
        }
        let Some(wait) = wait else {
            return self.call(Operation::Commit, |b| {
                let is_lost = b.delay_max > 0 && b.dice.permille(50);
                b.commit_later(proof, offsets, is_lost);
            });
        };
        let taken = self.call(Operation::Commit, |b| {
            b.flush_commits(proof.client);
            b.is_up.then(|| b.commit(proof, offsets))
        })?;
        match taken {
            Some(true) => Ok(()),
            Some(false) => Err(SourceError("commit: not a member of this generation".into())),
            None => {
                self.wire.pass(wait);
                Err(SourceError("commit: no answer in time".into()))
            }
        }
    }

    fn confirmed(&self, partition: i32) -> Option<i64> {
        self.wire.broker.borrow().confirmed.get(&(self.wire.client, partition)).copied()
    }

    fn member(&self) -> Option<Member> {
        {
            // A client learns at any moment that it is out, not only when it is polled.
            let mut broker = self.wire.broker.borrow_mut();
            let is_out = broker.group.consumers.get(&self.wire.client).is_some_and(|c| !c.is_in);
            if is_out && broker.dice.permille(300) {
                broker.group.notice(self.wire.client);
            }
        }
        let proof = self.proof();
        let is_any = self.wire.broker.borrow().sabotage == Sabotage::ProofOfNobody;
        (is_any || proof.generation.is_some()).then(|| {
            let note = self.wire.broker.borrow().notes[proof.note].as_str().into();
            Member { proof: Box::new(proof), note }
        })
    }

    fn at_end(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.at_end)
    }

    fn ends(&self) -> Vec<(i32, i64)> {
        let broker = self.wire.broker.borrow();
        self.reading.keys().map(|p| (*p, broker.high(usize::try_from(*p).unwrap()))).collect()
    }

    fn close(self: Box<Self>) {
        self.wire.broker.borrow_mut().group.leave(self.wire.client);
    }
}

/// The reference log: a few desk references, there before everything.
pub(crate) struct SimulatedReference {
    pub(crate) wire: Wire,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) next: usize,
}

impl ReferenceLog for SimulatedReference {
    fn poll(&mut self, max: usize, _wait: Duration, take: TakeReference<'_>) -> Result<usize, SourceError> {
        let is_up = self.wire.call(Operation::Reference, |b| b.is_up).map_err(SourceError)?;
        let mut count = 0;
        while is_up && count < max && self.next < self.records.len() {
            take(0, i64::try_from(self.next).unwrap(), Some(&self.records[self.next]));
            self.next += 1;
            count += 1;
        }
        Ok(count)
    }

    fn is_whole(&self) -> bool {
        self.next == self.records.len()
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
