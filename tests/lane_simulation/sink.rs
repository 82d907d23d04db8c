//! The output topics as a lane writes them, of both kinds, and where snapshots are kept.

use super::broker::{Broker, OUTPUT_PARTITIONS, stream_number};
use super::group::Proof;
use super::member::BEGINNING;
use super::plan::{Fate, Fault, Operation, kill};
use super::sabotage::Sabotage;
use super::source::Wire;
use fragility::codec::{SNAPSHOT_VERSION, decode_snapshot, encode_snapshot};
use fragility::domain::UnixNanos;
use fragility::engine::PartitionImage;
use fragility::sinks::{Outgoing, Recalled, Sealed, Sink, SinkError, Stream};
use fragility::sources::Member;
use fragility::stores::{Slot, SnapshotStore};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(10);
/// Longest wait for one step of a transaction.
const STEP: Duration = Duration::from_secs(8);

/// A producer.
pub(crate) struct SimulatedSink {
    wire: Wire,
    /// Its transactional name, if it is of that kind.
    name: Option<String>,
    is_ready: bool,
    epoch: usize,
    /// Of the transactional kind: what waits for its transaction.
    held: Vec<Held>,
    /// Alerts that were said in a transaction whose offsets are forgotten.
    said: HashSet<Vec<u8>>,
}

type Held = ((Stream, Option<i32>), (Vec<u8>, Vec<u8>, Option<(i32, i64)>));

impl SimulatedSink {
    pub(crate) fn new(wire: Wire, name: Option<String>) -> Self {
        Self { wire, name, is_ready: false, epoch: 0, held: Vec::new(), said: HashSet::new() }
    }

    fn failure(&self) -> Result<(), SinkError> {
        match &self.wire.broker.borrow().lines[self.wire.client].failure {
            Some(failure) => Err(SinkError(failure.clone())),
            None => Ok(()),
        }
    }
}

fn header(record: &Outgoing<'_>, name: &str) -> Option<i64> {
    record.headers.iter().find(|(key, _)| *key == name)?.1.parse().ok()
}

impl Sink for SimulatedSink {
    fn begin(&mut self, wait: Duration) -> Result<bool, SinkError> {
        let Some(name) = self.name.clone().filter(|_| !self.is_ready) else { return Ok(true) };
        let client = self.wire.client;
        let ready = self.wire.call(Operation::Begin, |b| b.is_up && b.init(client, &name)).map_err(SinkError)?;
        if !ready {
            self.wire.pass(wait);
        }
        self.is_ready = ready;
        Ok(ready)
    }

    fn is_transactional(&self) -> bool {
        self.name.is_some()
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        let (client, epoch) = (self.wire.client, self.epoch);
        let origin = header(record, "partition").zip(header(record, "offset"));
        let origin = origin
            .filter(|_| record.stream == Stream::DeadLetters)
            .map(|(p, offset)| (i32::try_from(p).unwrap(), offset));
        let entry = (record.key.to_vec(), record.value.to_vec(), origin);
        let flight = (record.stream, record.partition);
        if self.is_transactional() {
            let is_alert = record.stream == Stream::Alerts && !record.key.is_empty();
            if is_alert && self.said.contains(record.value) {
                return Ok(());
            }
            self.held.push((flight, entry));
            return Ok(());
        }
        self.wire.call(Operation::Send, |b| b.send(client, flight, entry, epoch)).map_err(SinkError)
    }

    fn in_flight(&self) -> usize {
        self.held.len() + self.wire.broker.borrow().in_flight(self.wire.client)
    }

    fn seal(&mut self, offsets: &[(i32, i64)], member: Option<&Member>) -> Result<Sealed, SinkError> {
        let client = self.wire.client;
        if self.name.is_none() {
            self.epoch ^= 1;
            return Ok(Sealed::Open);
        }
        if !offsets.is_empty() {
            let proof = member.and_then(|m| m.proof.downcast_ref::<Proof>()).copied();
            let proof = proof.ok_or_else(|| SinkError("not a member of the group".into()))?;
            let added = self.wire.call(Operation::SealOffsets, |b| {
                if b.is_up { b.add_offsets(client, offsets, proof) } else { Err("no answer in time".into()) }
            });
            added.map_err(SinkError)?.map_err(SinkError)?;
        }
        self.wire.call(Operation::SealRecords, |_| ()).map_err(SinkError)?;
        if !self.drain(STEP)? {
            return Err(SinkError("records not acknowledged in time".into()));
        }
        let ended = self.wire.call(Operation::SealEnd, |b| {
            if !b.is_up {
                // The request is out; the coordinator may see it yet.
                let late = b.dice.permille(500).then(|| b.dice.between(0, 12_000) * 1_000_000);
                if late.is_some() {
                    b.end_transaction(client, late)?;
                }
                return Err("no answer in time".to_owned());
            }
            b.end_transaction(client, None)
        });
        ended.map_err(SinkError)?.map_err(SinkError)?;
        Ok(Sealed::Committed)
    }

    fn is_settled(&self) -> Result<bool, SinkError> {
        let (client, closed) = (self.wire.client, self.epoch ^ 1);
        let is_settled = self.wire.call(Operation::Settled, |b| b.lines[client].outstanding[closed] == 0);
        let is_settled = is_settled.map_err(SinkError)?;
        self.failure()?;
        Ok(self.is_transactional() || is_settled)
    }

    fn drain(&mut self, timeout: Duration) -> Result<bool, SinkError> {
        self.wire.call(Operation::Drain, |_| ()).map_err(SinkError)?;
        let (client, epoch) = (self.wire.client, self.epoch);
        for (flight, entry) in std::mem::take(&mut self.held) {
            self.wire.call(Operation::Send, |b| b.send(client, flight, entry, epoch)).map_err(SinkError)?;
        }
        let mut left = timeout;
        loop {
            self.failure()?;
            if self.in_flight() == 0 {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            self.wire.pass(LOOK.min(left));
            left = left.saturating_sub(LOOK);
        }
    }

    fn renew(&mut self) -> Result<(), SinkError> {
        let client = self.wire.client;
        self.is_ready = false;
        self.held.clear();
        self.wire.call(Operation::Renew, |b| b.renew(client)).map_err(SinkError)
    }

    fn recall(&mut self, since: UnixNanos, _is_to_come: &dyn Fn(i32, i64) -> bool) -> Result<Recalled, SinkError> {
        // In other worlds nothing is forgotten, and their seeds stay what they are.
        if self.wire.broker.borrow().sabotage != Sabotage::ForgetsOffsets {
            return Ok(Recalled::All);
        }
        let said = self.wire.call(Operation::Recall, |b| b.is_up.then(|| said_since(b, since)));
        let Some((said, is_open)) = said.map_err(SinkError)? else {
            self.wire.pass(LOOK);
            return Ok(Recalled::Open { is_undone: false, why: "no answer".into() });
        };
        self.said.extend(said);
        if is_open {
            self.wire.pass(LOOK);
            return Ok(Recalled::Open { is_undone: false, why: "a transaction is open".into() });
        }
        Ok(Recalled::All)
    }

    fn alert_partitions(&mut self) -> i32 {
        OUTPUT_PARTITIONS
    }
}

/// What readers of committed alerts were told since a time, and whether they wait for more.
fn said_since(broker: &Broker, since: UnixNanos) -> (Vec<Vec<u8>>, bool) {
    let (mut said, mut is_open) = (Vec::new(), false);
    let alerts = stream_number(Stream::Alerts);
    for (_, entries) in broker.outputs.iter().filter(|((stream, _), _)| *stream == alerts) {
        for entry in entries.iter().filter(|e| BEGINNING.0 + e.at >= since.0) {
            match broker.fate(entry) {
                super::broker::Fate::Open | super::broker::Fate::Committing(_) => {
                    is_open = true;
                    break;
                }
                super::broker::Fate::Committed => said.push(entry.value.clone()),
                super::broker::Fate::Aborted => {}
            }
        }
    }
    (said, is_open)
}

/// What may become of one slot of a name.
type Damage<'a> = &'a mut dyn FnMut(&str, usize, &mut Option<Vec<u8>>);
pub(crate) type Kept = BTreeMap<String, [Option<Vec<u8>>; 2]>;

/// A partition's snapshot as it lies on disk.
#[derive(serde::Serialize, serde::Deserialize)]
struct OnDisk {
    topic: String,
    group: String,
    partition: i32,
    next_offset: i64,
    outcomes: [u64; 8],
    image: PartitionImage,
}

/// The same snapshot under an older offset: it is ahead of what it says.
fn forged(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut snapshot: OnDisk = decode_snapshot(bytes).ok()?;
    snapshot.next_offset = (snapshot.next_offset - 4).max(0);
    encode_snapshot(&snapshot).ok()
}

/// The same snapshot as a build of another layout would have signed it.
fn of_layout(mut bytes: Vec<u8>, layout: u16) -> Vec<u8> {
    if let Some(place) = bytes.get_mut(4..6) {
        place.copy_from_slice(&layout.to_le_bytes());
    }
    bytes
}

/// A disk.
pub(crate) struct SimulatedStore {
    kept: Mutex<Kept>,
    fate: Fate,
    sabotage: Sabotage,
}

impl SimulatedStore {
    pub(crate) fn new(fate: Fate, sabotage: Sabotage) -> Self {
        Self { kept: Mutex::default(), fate, sabotage }
    }

    /// Everything as it stands, for [`Self::restore`].
    pub(crate) fn copy(&self) -> Kept {
        self.kept.lock().unwrap().clone()
    }

    /// Everything as it stood once: a disk from a backup.
    pub(crate) fn restore(&self, kept: Kept) {
        *self.kept.lock().unwrap() = kept;
    }

    /// Does something to every file.
    pub(crate) fn damage(&self, damage: Damage<'_>) {
        for (name, slots) in self.kept.lock().unwrap().iter_mut() {
            for (at, slot) in slots.iter_mut().enumerate() {
                damage(name, at, slot);
            }
        }
    }
}

impl SnapshotStore for SimulatedStore {
    fn read(&self, name: &str, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        match self.fate.draw(Operation::StoreRead) {
            Fault::Refused | Fault::Unanswered => return Err(io::Error::other("cannot be read")),
            Fault::CrashBefore | Fault::CrashAfter => kill(),
            _ => {}
        }
        if self.sabotage == Sabotage::LosesGroups && name.ends_with("-groups") {
            return Ok(None);
        }
        let kept = self.kept.lock().unwrap();
        let at = usize::from(slot == Slot::Previous);
        let name = if self.sabotage == Sabotage::WrongName && name.ends_with("-0") {
            name.replace("-0", "-1")
        } else {
            name.to_owned()
        };
        let bytes = kept.get(&name).and_then(|slots| slots[at].clone());
        Ok(match self.sabotage {
            Sabotage::ForgedOffset => bytes.map(|b| forged(&b).unwrap_or(b)),
            Sabotage::OlderLayout => bytes.map(|b| of_layout(b, SNAPSHOT_VERSION - 1)),
            Sabotage::NewerLayout => bytes.map(|b| of_layout(b, SNAPSHOT_VERSION + 1)),
            _ => bytes,
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fault = self.fate.draw(Operation::StoreWrite);
        match fault {
            Fault::Refused => return Err(io::Error::other("disk full")),
            Fault::CrashBefore => kill(),
            _ => {}
        }
        let mut kept = self.kept.lock().unwrap();
        let slots = kept.entry(name.to_owned()).or_default();
        slots[1] = slots[0].take();
        slots[0] = Some(bytes.to_vec());
        drop(kept);
        match fault {
            Fault::Unanswered => Err(io::Error::other("written, and then an error")),
            Fault::CrashAfter => kill(),
            _ => Ok(()),
        }
    }
}
