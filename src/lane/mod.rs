//! One thread's life: assign, restore, consume, step, deliver, commit, snapshot, revoke.
//!
//! The lane owns a source, an engine and a sink, and shares nothing on the path of a tick. Offsets are
//! committed in one place, `lane::commit`, and only for records whose alerts are acknowledged. A restart continues
//! from the last snapshot, which may be older; what it repeats has the same ids and bytes.

mod commit;
mod deliver;
mod publish;
mod snapshots;
mod supervise;
mod view;

pub use publish::{Published, Query, ReadyState, Shared};
pub use supervise::{LaneOptions, run_lane};

use crate::app::take_reference;
use crate::clock;
use crate::codec::{Decoder, Judged, encode_tick};
use crate::config::Config;
use crate::domain::{Accounts, Outcome, UnixNanos};
use crate::engine::{Channel, Effects, Engine, Origin, Resolved, Watermark};
use crate::sinks::SinkError;
use crate::sources::{InputError, Ownership, RawRecord, ReferenceReader, Source, SourceError};
use commit::Commits;
use deliver::Deliverer;
use snapshots::Snapshots;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Records taken between two looks at everything else.
const BATCH_MAX: usize = 4_096;
/// Longest wait for a record.
const WAIT: Duration = Duration::from_millis(20);
/// One record in so many has its processing timed.
const SAMPLE_EVERY: u64 = 64;
/// Time given to the last acknowledgements when partitions are given up or the service stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a lane stopped; it is started over.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaneError {
    /// The input cannot go on.
    Source(SourceError),
    /// An output cannot be delivered.
    Sink(SinkError),
    /// A snapshot cannot be written.
    Snapshot(std::io::Error),
    /// A history file cannot be read any more.
    History(InputError),
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

/// What is known of a partition that is being read.
#[derive(Clone, Copy, Default, Debug)]
struct Position {
    /// Next offset to read; `None` until the first record when the group decides where to start.
    next: Option<i64>,
    /// Where its records went, since the partition was first read.
    accounts: Accounts,
    /// The log's timestamp of the last record.
    timestamp: Option<UnixNanos>,
    /// Whether nothing was taken since the partition was assigned.
    is_fresh: bool,
}

struct Lane<'a> {
    config: &'a Config,
    shared: &'a Arc<Shared>,
    engine: Engine,
    source: Box<dyn Source>,
    reference: Option<ReferenceReader>,
    deliverer: Deliverer,
    positions: BTreeMap<i32, Position>,
    snapshots: Snapshots,
    commits: Commits,
    effects: Effects,
    is_paused: bool,
    sampled: u64,
    last_publish: Option<Instant>,
    last_heartbeat: Option<Instant>,
    silence_warned: bool,
    started_at: UnixNanos,
    view_memory: view::ViewMemory,
    instance: String,
}

impl Lane<'_> {
    /// Runs until asked to stop.
    fn run(&mut self, queries: &Receiver<Query>) -> Result<(), LaneError> {
        self.read_reference()?;
        self.source.join()?;
        while !self.shared.is_stopping() {
            let taken = self.take_batch()?;
            while let Some(change) = self.source.ownership() {
                self.change_ownership(change)?;
            }
            self.follow_reference()?;
            self.advance(taken)?;
            self.back_pressure()?;
            self.settle()?;
            self.heartbeat()?;
            self.publish(queries);
        }
        self.stop()
    }

    fn assigned(&self) -> Vec<i32> {
        self.positions.keys().copied().collect()
    }

    /// Takes what has come, decides, and sends.
    fn take_batch(&mut self) -> Result<usize, LaneError> {
        let wait = if self.deliverer.sink.in_flight() > 0 { Duration::from_millis(1) } else { WAIT };
        let Self { source, engine, deliverer, positions, effects, shared, sampled, config, .. } = self;
        let now = clock::now();
        let mut batch = Accounts::default();
        let (mut failure, mut is_recount_due, mut fresh) = (None, false, 0_u64);
        let bound = config.in_flight_max;
        let taken = source.poll(BATCH_MAX, wait, &mut |record| {
            let Some(position) = positions.get_mut(&record.partition) else { return ControlFlow::Continue(()) };
            if position.next.is_some_and(|next| record.offset < next) {
                if !position.is_fresh {
                    // Taken before.
                    return ControlFlow::Continue(());
                }
                // The log does not reach where the snapshot stood: it was made anew, and so is the state.
                let (partition, offset, expected) = (record.partition, record.offset, position.next);
                warn!(
                    partition,
                    offset, expected, "the log begins before its snapshot: it is another log; its state starts over"
                );
                engine.forget_partition(partition);
                *position = Position::default();
                is_recount_due = true;
            }
            position.is_fresh = false;
            position.next = Some(record.offset + 1);
            position.timestamp = record.timestamp;
            *sampled += 1;
            let timer = sampled.is_multiple_of(SAMPLE_EVERY).then(clock::monotonic);
            let taken = take_record(&config.decoder, engine, deliverer, effects, now, &record);
            if let Some(timer) = timer {
                shared.metrics.observe_processing(clock::monotonic() - timer);
            }
            match taken {
                Ok(outcome) => {
                    fresh += 1;
                    batch.take(outcome);
                    position.accounts.take(outcome);
                }
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if !effects.resolved.is_empty()
                && let Err(error) = resolve(effects, positions, deliverer, &mut batch.outcomes)
            {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            if deliverer.sink.in_flight() > bound { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if fresh > 0 {
            let waiting = positions.values().map(|p| p.accounts.quarantined).sum();
            shared.metrics.count(fresh, &batch.outcomes, waiting);
        }
        if is_recount_due {
            self.recount();
        }
        failure.map_or(Ok(taken), |error| Err(LaneError::Sink(error)))
    }

    /// Lets groups follow event time.
    fn advance(&mut self, taken: usize) -> Result<(), LaneError> {
        if taken == 0 && self.effects.alerts.is_empty() {
            return Ok(());
        }
        let assigned = self.assigned();
        self.engine.advance(Watermark::Partitions, &assigned, &mut self.effects);
        self.deliverer.alerts(&mut self.effects, None)?;
        self.resolve()
    }

    /// Accounts for records that had waited and were decided by something else than a record of their own.
    fn resolve(&mut self) -> Result<(), LaneError> {
        if self.effects.resolved.is_empty() {
            return Ok(());
        }
        let mut outcomes = [0; Outcome::ALL.len()];
        resolve(&mut self.effects, &mut self.positions, &mut self.deliverer, &mut outcomes)?;
        let waiting = self.positions.values().map(|p| p.accounts.quarantined).sum();
        self.shared.metrics.count(0, &outcomes, waiting);
        Ok(())
    }

    /// Reads the reference topic whole before the first market record.
    fn read_reference(&mut self) -> Result<(), LaneError> {
        let Some(mut reader) = self.reference.take() else {
            self.engine.history_loaded();
            return Ok(());
        };
        let mut said = None;
        while !reader.is_whole() && !self.shared.is_stopping() {
            self.take_reference(&mut reader, Channel::Initial, Duration::from_millis(100))?;
            let reason = reader.trouble().unwrap_or_else(|| "reading the reference topic".to_owned());
            if said.as_ref() != Some(&reason) {
                info!(reason, "not ready");
                said = Some(reason.clone());
            }
            self.shared.set_ready(Err(reason));
        }
        self.engine.history_loaded();
        self.reference = Some(reader);
        Ok(())
    }

    fn follow_reference(&mut self) -> Result<(), LaneError> {
        let Some(mut reader) = self.reference.take() else { return Ok(()) };
        let taken = self.take_reference(&mut reader, Channel::Reference, Duration::ZERO);
        self.reference = Some(reader);
        if taken? > 0 {
            self.deliverer.alerts(&mut self.effects, None)?;
            self.resolve()?;
            self.advance(1)?;
        }
        Ok(())
    }

    fn take_reference(
        &mut self,
        reader: &mut ReferenceReader,
        channel: Channel,
        wait: Duration,
    ) -> Result<usize, LaneError> {
        let Self { engine, effects, shared, deliverer, .. } = self;
        let mut failure = None;
        let taken = reader.poll(BATCH_MAX, wait, &mut |partition, offset, value| {
            let value = value.unwrap_or_default();
            let (outcome, reason, detail) = take_reference(engine, channel, value, effects);
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

    fn change_ownership(&mut self, change: Ownership) -> Result<(), LaneError> {
        self.shared.metrics.rebalances.inc();
        match change {
            Ownership::Assigned(partitions) => {
                let mut starts = Vec::new();
                for partition in partitions {
                    starts.push((partition, self.restore(partition)));
                }
                info!(?starts, "partitions assigned");
                self.source.start(&starts)?;
                if self.is_paused {
                    self.source.set_paused(&self.assigned(), true)?;
                }
            }
            Ownership::Revoked { partitions, lost } => {
                info!(?partitions, lost, "partitions revoked");
                // Given up in any case: a partition that is not let go holds up the whole group.
                let committed = if lost { Ok(true) } else { self.commit_now(DRAIN_TIMEOUT) };
                self.source.release(&partitions)?;
                for partition in &partitions {
                    self.positions.remove(partition);
                    self.engine.forget_partition(*partition);
                }
                self.recount();
                self.commits.forget(&partitions);
                committed?;
            }
        }
        Ok(())
    }

    /// Brings a partition's state back: the offset to continue from, or `None` for where the group stands.
    fn restore(&mut self, partition: i32) -> Option<i64> {
        let label = partition.to_string();
        let progress = self.shared.metrics.restore_progress.with_label_values(&[&label]);
        progress.set(0.0);
        let restored = self.snapshots.partition(partition);
        let mut position = Position::default();
        if let Some(snapshot) = restored {
            self.engine.restore_partition(clock::now(), partition, &snapshot.image);
            self.commits.has_snapshot(partition);
            position.is_fresh = true;
            position.next = Some(snapshot.next_offset);
            let quarantined = self.engine.quarantined(partition);
            position.accounts = Accounts { outcomes: snapshot.outcomes, quarantined };
            info!(partition, offset = snapshot.next_offset, "state restored from its snapshot");
        }
        progress.set(1.0);
        let next = position.next;
        self.positions.insert(partition, position);
        self.recount();
        next
    }

    /// Makes the counters say what the partitions at hand add up to: what another instance reads is its to
    /// count, and what is read again is not counted twice.
    fn recount(&self) {
        let mut total = Accounts::default();
        for position in self.positions.values() {
            total.add(&position.accounts);
        }
        self.shared.metrics.recount(&total);
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
            self.source.set_paused(&self.assigned(), should_pause)?;
            self.is_paused = should_pause;
            if should_pause {
                self.shared.metrics.pauses.inc();
                warn!(in_flight, "input paused: alerts are not acknowledged fast enough");
            } else {
                info!("input resumed");
            }
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), LaneError> {
        info!("stopping: waiting for acknowledgements");
        if self.commit_now(DRAIN_TIMEOUT)? {
            info!("stopped: every record taken is accounted for in the snapshot");
        } else {
            self.shared.stopped_uncleanly();
        }
        Ok(())
    }
}

/// One record: decoded, decided, its alerts sent. Returns its one outcome, or `None` while it waits.
fn take_record(
    decoder: &Decoder,
    engine: &mut Engine,
    deliverer: &mut Deliverer,
    effects: &mut Effects,
    now: UnixNanos,
    record: &RawRecord<'_>,
) -> Result<Option<Outcome>, SinkError> {
    let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
    let value = record.value.unwrap_or_default();
    let Judged { outcome, reason, detail } =
        decoder.decode(value).judge(|observation, is_part| engine.step(now, &origin, observation, is_part, effects));
    if !effects.alerts.is_empty() {
        deliverer.alerts(effects, record.timestamp)?;
    }
    effects.measures.clear();
    let Some(outcome) = outcome else { return Ok(None) };
    if outcome == Outcome::Applied && reason != "applied" {
        deliverer.set_aside(reason);
    }
    if outcome.is_dead_letter() {
        deliverer.dead_letter(false, &origin, record.key, value, reason, &detail)?;
    }
    Ok(Some(outcome))
}

/// Accounts for records that had waited, and sends the refused ones away.
fn resolve(
    effects: &mut Effects,
    positions: &mut BTreeMap<i32, Position>,
    deliverer: &mut Deliverer,
    outcomes: &mut [u64; Outcome::ALL.len()],
) -> Result<(), SinkError> {
    for Resolved { origin, disposition, tick, is_part } in effects.resolved.drain(..) {
        let Some(position) = positions.get_mut(&origin.partition) else { continue };
        // A record of several events has had its outcome.
        if !is_part {
            position.accounts.resolve(disposition.outcome);
            outcomes[disposition.outcome as usize] += 1;
        }
        if disposition.outcome.is_dead_letter() {
            let mut value = Vec::new();
            encode_tick(&tick, &mut value);
            let key = tick.symbol.as_bytes();
            deliverer.dead_letter(false, &origin, Some(key), &value, disposition.reason, "")?;
        }
    }
    Ok(())
}
