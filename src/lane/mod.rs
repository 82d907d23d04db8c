//! One thread's life: assign, restore, replay, consume, step, deliver, commit, snapshot, revoke.
//!
//! The lane owns a source, an engine and a sink, and shares nothing on the path of a tick. Offsets are
//! committed in one place, `lane::commit`, and only for records whose alerts are acknowledged. A restart continues
//! from a snapshot that is not ahead of them and reads the records in between again, in silence.
//!
//! A lane is a sequence of turns: [`Lane::turn`] takes what has come and does what is due, and waits for nothing but
//! records. Time, log, sink and store are given to it, so that a simulation can drive the very same turns.

mod adopt;
mod commit;
mod deliver;
mod flood;
mod note;
mod partition;
mod publish;
mod recall;
mod recover;
mod report;
mod snapshots;
mod supervise;
mod take;
mod view;

pub use publish::{Published, Query, ReadyState, Shared};
pub use supervise::{LaneOptions, run_lane};

use crate::app::take_reference;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::{Accounts, Outcome, UnixNanos};
use crate::engine::{Channel, Effects, Engine, Origin, Watermark};
use crate::sinks::{Sink, SinkError};
use crate::sources::{Diagnosis, InputError, ReferenceLog, Source, SourceError};
use crate::stores::SnapshotStore;
use adopt::Adoption;
use adopt::census::Clerk;
use commit::Commits;
use deliver::Deliverer;
use flood::Flood;
use partition::Partition;
use recover::DRAIN_TIMEOUT;
use snapshots::{Snapshots, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Records taken between two looks at everything else.
const BATCH_MAX: usize = 4_096;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(20);
/// Symbols of a restored partition that are decoded between two looks at everything else: about a millisecond's worth.
const WAKE_SLICE: usize = 256;
/// Transactions abandoned in a row before the lane is put together anew.
const ABANDONED_MAX: u32 = 8;

/// Why a lane stopped; it is started over.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaneError {
    /// The input cannot go on.
    Source(SourceError),
    /// An output cannot be delivered.
    Sink(SinkError),
    /// The state directory cannot be used.
    Snapshot(std::io::Error),
    /// A history file cannot be read any more.
    History(InputError),
    /// Nobody says where these partitions stand.
    NoStanding(Vec<i32>),
    /// Partitions went with a transaction open.
    Lost,
    /// An invariant broke; the log has its message.
    Panic,
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(e) => write!(f, "{e}"),
            Self::Sink(e) => write!(f, "{e}"),
            Self::Snapshot(e) => write!(f, "snapshot: {e}"),
            Self::History(e) => write!(f, "history: {e}"),
            Self::NoStanding(partitions) => {
                write!(f, "the group does not say where partitions {partitions:?} stand, while a broker is there")
            }
            Self::Lost => f.write_str("partitions went with a transaction open; it is abandoned"),
            Self::Panic => f.write_str("the lane broke off at a broken invariant"),
        }
    }
}

impl std::error::Error for LaneError {}

impl From<SourceError> for LaneError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<SinkError> for LaneError {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// What a lane's log holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Market records: symbols are judged, and groups too where this lane reads all of their members.
    Symbols,
    /// What members tell groups: groups are judged.
    Groups,
}

/// What a lane is made of.
pub struct LaneParts {
    /// What its log holds.
    pub role: Role,
    /// Its number in the process.
    pub number: usize,
    /// Name of this instance.
    pub instance: String,
    /// Configuration.
    pub config: Arc<Config>,
    /// What it shares with the process.
    pub shared: Arc<Shared>,
    /// Its clock.
    pub clock: Clock,
    /// The engine, with its history.
    pub engine: Engine,
    /// The market log.
    pub source: Box<dyn Source>,
    /// The reference log, if there is one.
    pub reference: Option<Box<dyn ReferenceLog>>,
    /// Where results go.
    pub sink: Box<dyn Sink>,
    /// Where snapshots are kept.
    pub store: Arc<dyn SnapshotStore>,
    /// Where other machines find them, if that is configured.
    pub shared_store: Option<Arc<dyn SnapshotStore>>,
    /// The same for looks at what they know, which take their time.
    pub census_store: Option<Arc<dyn SnapshotStore>>,
    /// Whether snapshots are written, and looked through, beside the lane.
    pub writes_aside: bool,
}

/// One thread's work.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by itself")]
pub struct Lane {
    role: Role,
    number: usize,
    instance: String,
    config: Arc<Config>,
    shared: Arc<Shared>,
    clock: Clock,
    engine: Engine,
    source: Box<dyn Source>,
    reference: Option<Box<dyn ReferenceLog>>,
    deliverer: Deliverer,
    snapshots: Snapshots,
    writer: Writer,
    clerk: Clerk,
    /// Partitions assigned of which it is not known yet where they stand.
    asking: Vec<i32>,
    asked_since: Instant,
    /// When the group could first be asked.
    asking_since: Instant,
    /// Whether leftovers of an earlier life were ended since it was asked.
    has_cleared: bool,
    partitions: BTreeMap<i32, Partition>,
    /// Partitions that the source reads.
    started: BTreeSet<i32>,
    /// Transactions abandoned since one was committed.
    abandoned: u32,
    /// Offsets that the groups' snapshot reflects.
    groups_at: BTreeMap<i32, i64>,
    /// Symbols of restored partitions that are still to be decoded.
    still_encoded: usize,
    /// Whether partitions were ever assigned.
    has_lived: bool,
    /// Whether groups were told what the reference log says of the past.
    has_told_history: bool,
    has_joined: bool,
    /// What keeps it from joining.
    waiting_for: String,
    was_assigned: bool,
    commits: Commits,
    effects: Effects,
    is_paused: bool,
    sampled: u64,
    last_report: Option<Instant>,
    last_symbols: Option<Instant>,
    last_heartbeat: Option<Instant>,
    silence_warned: bool,
    flood: Flood,
    moved: u64,
    adoption: Adoption,
    unreadable: u64,
    diagnosis: Diagnosis,
    started_at: UnixNanos,
}

impl Lane {
    /// Puts a lane together; nothing is read or sent before its first turn.
    ///
    /// # Errors
    /// When there is no thread to write snapshots on.
    pub fn new(parts: LaneParts) -> Result<Self, LaneError> {
        let LaneParts {
            role,
            number,
            instance,
            config,
            shared,
            clock,
            mut engine,
            source,
            reference,
            sink,
            store,
            shared_store,
            census_store,
            writes_aside,
        } = parts;
        if role == Role::Symbols && config.kafka.topics.members.is_some() {
            // How many partitions there are to wait for is said when they are counted.
            engine.tell_members(0);
        }
        // Judges of groups have a topic of their own, and so names of their own.
        let namesake = if role == Role::Groups { 0 } else { number };
        let looked_at = Snapshots::new(store.clone(), census_store, &config.kafka, namesake);
        let snapshots = Snapshots::new(store, shared_store, &config.kafka, namesake);
        let metrics = shared.metrics.clone();
        let (writer, clerk) = if writes_aside {
            let writer = Writer::thread(snapshots.clone(), metrics);
            let clerk = Clerk::thread(looked_at);
            (writer.map_err(LaneError::Snapshot)?, clerk.map_err(LaneError::Snapshot)?)
        } else {
            (Writer::inline(snapshots.clone(), metrics), Clerk::inline(looked_at))
        };
        shared.metrics.recount(number, &Accounts::default());
        Ok(Self {
            role,
            number,
            instance,
            deliverer: Deliverer::new(sink, shared.clone(), &config),
            asked_since: clock.monotonic(),
            asking_since: clock.monotonic(),
            has_cleared: false,
            started_at: clock.now(),
            config,
            shared,
            clock,
            engine,
            source,
            reference,
            snapshots,
            writer,
            clerk,
            asking: Vec::new(),
            partitions: BTreeMap::new(),
            started: BTreeSet::new(),
            abandoned: 0,
            groups_at: BTreeMap::new(),
            still_encoded: 0,
            has_lived: false,
            has_told_history: false,
            has_joined: false,
            waiting_for: String::new(),
            was_assigned: false,
            commits: Commits::default(),
            effects: Effects::default(),
            is_paused: false,
            sampled: 0,
            last_report: None,
            last_symbols: None,
            last_heartbeat: None,
            silence_warned: false,
            flood: Flood::default(),
            moved: 0,
            adoption: Adoption::default(),
            unreadable: 0,
            diagnosis: Diagnosis::default(),
        })
    }

    /// Runs until asked to stop.
    fn run(&mut self, queries: &Receiver<Query>) -> Result<(), LaneError> {
        while !self.shared.is_stopping() {
            self.shared.beat(self.number, "taking records");
            self.turn()?;
            self.answer(queries);
            self.report();
        }
        self.stop()
    }

    /// Takes what has come and does what is due.
    ///
    /// # Errors
    /// When the lane cannot go on; it is then put together anew, and nothing it has not committed counts.
    pub fn turn(&mut self) -> Result<(), LaneError> {
        match self.work() {
            Err(failure @ (LaneError::Sink(_) | LaneError::Lost))
                if self.has_joined && self.deliverer.sink.is_transactional() && self.abandoned < ABANDONED_MAX =>
            {
                self.abandon(&failure)
            }
            done => done,
        }
    }

    fn work(&mut self) -> Result<(), LaneError> {
        if !self.has_joined {
            return self.join();
        }
        self.look_for_growth()?;
        let taken = self.take_batch()?;
        while let Some(change) = self.source.ownership() {
            self.change_ownership(change)?;
        }
        self.recover()?;
        self.still_encoded = self.engine.wake_some(WAKE_SLICE);
        self.follow_reference()?;
        self.advance(taken)?;
        self.settle()?;
        self.back_pressure()?;
        self.heartbeat()
    }

    /// Whether groups are judged elsewhere, by what this lane's members say.
    fn tells_members(&self) -> bool {
        self.role == Role::Symbols && self.config.kafka.topics.members.is_some()
    }

    /// Before the first market record: the sink is ready, and the reference log is read whole.
    fn join(&mut self) -> Result<(), LaneError> {
        if !self.deliverer.sink.begin(WAIT * 5)? {
            let what = "waiting for a transaction coordinator";
            let trouble =
                self.deliverer.sink.trouble().map(|trouble| self.diagnosis.told(&self.config.kafka, &trouble));
            self.wait_for(trouble.map_or_else(|| what.to_owned(), |trouble| format!("{what}: {trouble}")));
            return Ok(());
        }
        if !self.has_told_history
            && let Some(mut reader) = self.reference.take()
        {
            let taken = self.take_reference(&mut *reader, Channel::Initial, WAIT * 5);
            let (is_whole, trouble) = (reader.is_whole(), reader.trouble());
            self.reference = Some(reader);
            taken?;
            if !is_whole {
                let trouble = trouble.map(|trouble| self.diagnosis.told(&self.config.kafka, &trouble));
                self.wait_for(trouble.unwrap_or_else(|| "reading the reference topic".to_owned()));
                return Ok(());
            }
        }
        if !self.has_told_history {
            self.engine.tell_history();
            self.has_told_history = true;
        }
        // A session at a time: whoever stops the lane, or asks how it is, does not wait for decades.
        if self.engine.settle_some() {
            self.wait_for("measuring the sessions that the reference topic tells of".to_owned());
            return Ok(());
        }
        self.source.join()?;
        self.has_joined = true;
        Ok(())
    }

    fn wait_for(&mut self, reason: String) {
        if self.waiting_for != reason {
            info!(reason, "not ready");
            self.shared.set_ready(self.number, Err(reason.clone()));
            self.waiting_for = reason;
        }
    }

    fn assigned(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    /// Lets groups, and what waits for its partition's clock, follow event time. No offset may be committed before:
    /// a replay takes it that what its records decided has been said.
    fn advance(&mut self, taken: usize) -> Result<(), LaneError> {
        let is_quiet = taken == 0 && self.effects.alerts.is_empty() && self.effects.members.is_empty();
        if is_quiet || self.role == Role::Groups {
            return Ok(());
        }
        self.advance_engine();
        self.deliverer.alerts(&mut self.effects, None)?;
        self.resolve()
    }

    fn advance_engine(&mut self) {
        if self.role == Role::Groups {
            // Their event time comes with their records.
            return;
        }
        let mut assigned = self.assigned();
        // Groups are judged over all partitions: they wait for those that are not there yet.
        assigned.extend(&self.asking);
        self.engine.advance(Watermark::Partitions, &assigned, &mut self.effects);
    }

    /// Accounts for records that had waited and were decided by something else than a record of their own.
    fn resolve(&mut self) -> Result<(), LaneError> {
        if self.effects.resolved.is_empty() {
            return Ok(());
        }
        let mut outcomes = [0; Outcome::ALL.len()];
        take::resolve(&mut self.effects, &mut self.partitions, &mut self.deliverer, &mut outcomes)?;
        let waiting = self.partitions.values().map(|p| p.accounts.quarantined).sum();
        self.shared.metrics.count(self.number, 0, &outcomes, waiting);
        Ok(())
    }

    fn follow_reference(&mut self) -> Result<(), LaneError> {
        // What it changes in a partition that is still replayed would go unsaid.
        if !self.asking.is_empty() || !self.partitions.values().all(Partition::is_live) {
            return Ok(());
        }
        let Some(mut reader) = self.reference.take() else { return Ok(()) };
        let taken = self.take_reference(&mut *reader, Channel::Reference, Duration::ZERO);
        self.reference = Some(reader);
        if taken? > 0 {
            self.deliverer.alerts(&mut self.effects, None)?;
            self.resolve()?;
            self.advance(1)?;
            // Records behind the next snapshots are replayed with what is known from here on.
            let now = self.clock.monotonic();
            self.partitions.values_mut().for_each(|p| p.snapshot_due = now);
        }
        Ok(())
    }

    fn take_reference(
        &mut self,
        reader: &mut dyn ReferenceLog,
        channel: Channel,
        wait: Duration,
    ) -> Result<usize, LaneError> {
        let Self { engine, effects, shared, deliverer, role, adoption, .. } = self;
        let mut failure = None;
        let taken = reader.poll(BATCH_MAX, wait, &mut |partition, offset, value| {
            let value = value.unwrap_or_default();
            let (outcome, reason, detail) = take_reference(engine, channel, value, effects);
            adoption.take_reference(channel, value);
            if *role == Role::Groups {
                // Counted, and set aside if need be, by the lane of the symbols.
                return;
            }
            shared.metrics.reference_records.with_label_values(&[outcome.name()]).inc();
            if outcome.is_dead_letter() {
                let origin = Origin { partition, offset, timestamp: None };
                if let Err(error) = deliverer.dead_letter(true, &origin, None, value, reason, &detail) {
                    failure = Some(error);
                }
            }
        })?;
        failure.map_or(Ok(taken), |error| Err(LaneError::Sink(error)))
    }

    /// Makes the counters say what the partitions at hand add up to: what another instance reads is its to
    /// count, and what is read again is not counted twice.
    fn recount(&self) {
        if self.role == Role::Groups {
            // Market records alone are counted, where they are taken.
            return;
        }
        let mut total = Accounts::default();
        for partition in self.partitions.values() {
            total.add(&partition.accounts);
        }
        self.shared.metrics.recount(self.number, &total);
    }

    /// Stops taking records while too many alerts are in flight.
    fn back_pressure(&mut self) -> Result<(), LaneError> {
        let in_flight = self.deliverer.sink.in_flight();
        let should_pause = if self.is_paused {
            in_flight > self.config.in_flight_max / 2
        } else {
            in_flight > self.config.in_flight_max
        };
        if should_pause != self.is_paused {
            let reading: Vec<i32> =
                self.partitions.iter().filter(|(_, p)| !p.is_kept_back()).map(|(p, _)| *p).collect();
            self.is_paused = should_pause;
            if should_pause {
                self.source.set_paused(&reading, true)?;
                self.shared.metrics.pauses.inc();
                warn!(in_flight, "input paused: alerts are not acknowledged fast enough");
            } else {
                self.resume(&reading)?;
                info!("input resumed");
            }
        }
        Ok(())
    }

    /// Waits for acknowledgements, commits and keeps the state.
    ///
    /// # Errors
    /// When what was sent cannot be delivered.
    pub fn stop(&mut self) -> Result<(), LaneError> {
        info!("stopping: waiting for acknowledgements");
        if self.commit_now(DRAIN_TIMEOUT)? {
            info!("stopped: every record taken is accounted for in the snapshot");
            self.shared.stopped_cleanly();
        } else {
            self.shared.stopped_uncleanly();
        }
        Ok(())
    }

    /// Leaves the group.
    pub fn close(self) {
        let Self { source, writer, .. } = self;
        drop(writer);
        source.close();
    }
}
