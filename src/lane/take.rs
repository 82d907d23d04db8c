//! The path of a record: taken, decoded, decided, its alerts sent.

use super::adopt::{Adoption, says_name};
use super::deliver::Deliverer;
use super::partition::{Held, Partition, Stage};
use super::publish::Shared;
use super::{BATCH_MAX, Lane, LaneError, Role, WAIT};
use crate::clock::Clock;
use crate::codec::{Batch, Judged, decode_member, encode_tick};
use crate::config::Config;
use crate::domain::{Accounts, Outcome, UnixNanos};
use crate::engine::{Effects, Engine, Origin, Resolved};
use crate::sinks::SinkError;
use crate::sources::{RawRecord, Source};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

/// One record in so many has its processing timed.
const SAMPLE_EVERY: u64 = 64;
/// Longest wait for the next part of the topic.
const IDLE: Duration = Duration::from_millis(5);

impl Lane {
    /// Takes what has come, decides, and sends.
    pub(super) fn take_batch(&mut self) -> Result<usize, LaneError> {
        let Deliverer { sink, unsealed, .. } = &self.deliverer;
        // A transaction leaves nothing in flight but what waits for the next.
        let is_awaited = unsealed.alerts > 0 || (!sink.is_transactional() && sink.in_flight() > 0);
        let wait = match is_awaited {
            _ if self.still_encoded > 0 => Duration::ZERO,
            true => Duration::from_millis(1),
            false => WAIT,
        };
        if self.adoption.is_watching() {
            // What is known of a symbol is compared with what others know.
            self.engine.wake_some(usize::MAX);
        }
        let is_ordered = self.adoption.is_ordered();
        let is_reading = self.adoption.is_reading() && self.asking.is_empty() && !(is_ordered && self.is_paused);
        let mut taken = 0;
        if is_ordered {
            // Its membership goes on; what still comes so comes again in its place.
            let is_held = self.partitions.values().any(|state| state.held.is_some());
            let wait = if is_reading && !is_held { Duration::ZERO } else { wait.min(IDLE) };
            self.source.poll(BATCH_MAX, wait, &mut |_| ControlFlow::Continue(()))?;
        } else {
            taken = self.take_as_it_comes(if is_reading { Duration::ZERO } else { wait })?;
        }
        if is_reading && self.adoption.is_reading() {
            taken += self.take_aside(if is_ordered { wait } else { wait.min(IDLE) })?;
        }
        Ok(taken)
    }

    /// Takes records as the group's consumer hands them out.
    fn take_as_it_comes(&mut self, wait: Duration) -> Result<usize, LaneError> {
        let (source, mut taking) = self.begin();
        let taken = source.poll(BATCH_MAX, wait, &mut |record| taking.take(&record))?;
        let done = taking.done;
        if let Some(at) = done.overshoot {
            self.source.seek(&[at])?;
        }
        self.follow_up(done)?;
        Ok(taken)
    }

    /// Looks at records of others, and takes the lane's own in one order with them.
    fn take_aside(&mut self, wait: Duration) -> Result<usize, LaneError> {
        let (source, mut taking) = self.begin();
        let mut met = 0;
        let is_all = source.poll_aside(BATCH_MAX, wait, &mut |record| {
            met += 1;
            if taking.partitions.contains_key(&record.partition) { taking.take(&record) } else { taking.see(&record) }
        })?;
        let done = taking.done;
        if met > usize::from(done.is_held) {
            self.has_followed();
        }
        let taken = usize::try_from(done.fresh).unwrap_or(usize::MAX);
        self.follow_up(done)?;
        if is_all {
            self.has_read_all()?;
        }
        Ok(taken)
    }

    fn follow_up(&mut self, done: Done) -> Result<(), LaneError> {
        if done.fresh > 0 && self.role == Role::Symbols {
            let waiting = self.partitions.values().map(|p| p.accounts.quarantined).sum();
            self.shared.metrics.count(self.number, done.fresh, &done.batch.outcomes, waiting);
        }
        if let Some(error) = done.failure {
            return Err(LaneError::Sink(error));
        }
        if done.is_newcomer {
            self.follow_newcomers()?;
        } else if done.is_held && !self.adoption.is_ordered() {
            self.put_in_order()?;
        }
        self.give_up_on_unkeyed()?;
        self.say_gone()
    }

    fn begin(&mut self) -> (&mut dyn Source, Taking<'_>) {
        let now = self.clock.now();
        let Self {
            source, engine, deliverer, partitions, effects, shared, sampled, config, clock, role, adoption, ..
        } = self;
        let (is_watching, may_move, looks) = (adoption.is_watching(), adoption.may_move(), adoption.looks());
        let taking = Taking {
            engine,
            deliverer,
            partitions,
            effects,
            shared,
            sampled,
            config,
            clock,
            role: *role,
            adoption,
            now,
            is_watching,
            may_move,
            looks,
            done: Done::default(),
        };
        (&mut **source, taking)
    }
}

/// What came of a batch.
#[derive(Default)]
struct Done {
    batch: Accounts,
    /// Records that were not taken before.
    fresh: u64,
    failure: Option<SinkError>,
    /// A record that comes again once its partition is live.
    overshoot: Option<(i32, i64)>,
    /// Whether one has to wait, for others or for order.
    is_held: bool,
    /// Whether one is about a symbol that was elsewhere.
    is_newcomer: bool,
}

/// A batch being taken.
struct Taking<'a> {
    engine: &'a mut Engine,
    deliverer: &'a mut Deliverer,
    partitions: &'a mut BTreeMap<i32, Partition>,
    effects: &'a mut Effects,
    shared: &'a Shared,
    sampled: &'a mut u64,
    config: &'a Config,
    clock: &'a Clock,
    role: Role,
    adoption: &'a mut Adoption,
    now: UnixNanos,
    is_watching: bool,
    may_move: bool,
    looks: bool,
    done: Done,
}

impl Taking<'_> {
    /// Takes a record; breaks where the batch ends.
    fn take(&mut self, record: &RawRecord<'_>) -> ControlFlow<()> {
        let Some(partition) = self.partitions.get_mut(&record.partition) else { return ControlFlow::Continue(()) };
        if record.offset < partition.next {
            // Taken before.
            return ControlFlow::Continue(());
        }
        let is_silent = partition.is_silent();
        if is_silent && !matches!(partition.stage, Stage::Replaying { to, .. } if record.offset < to) {
            // The first new one comes again once its partition is live.
            if let Stage::Replaying { to, .. } = partition.stage {
                partition.next = to;
            }
            self.done.overshoot = Some((record.partition, record.offset));
            return ControlFlow::Break(());
        }
        *self.sampled += 1;
        let timer = self.sampled.is_multiple_of(SAMPLE_EVERY).then(|| self.clock.monotonic());
        let is_market = self.role == Role::Symbols;
        let batch = is_market.then(|| self.config.decoder.decode(record.value.unwrap_or_default()));
        let mut is_past = false;
        if let Some(batch) = &batch {
            let (engine, effects) = (&mut *self.engine, &mut *self.effects);
            is_past = self.may_move
                && self.adoption.is_keyed()
                && is_silent
                && self.adoption.is_past(engine, record.partition, batch);
            if self.looks && !is_past && self.adoption.is_newcomer(engine, record.partition, batch) {
                self.done.is_newcomer = true;
                return ControlFlow::Break(());
            }
            if self.is_watching && !is_past {
                if self.adoption.meet(self.now, engine, effects, (record, is_silent), batch) {
                    let held = Held { offset: record.offset, since: self.clock.monotonic() };
                    partition.held.get_or_insert(held);
                    self.done.is_held = true;
                    return ControlFlow::Break(());
                }
                partition.held = None;
            }
        }
        partition.next = record.offset + 1;
        partition.timestamp = record.timestamp;
        let sent = self.deliverer.unsealed.records;
        let moves = moves(self.engine);
        let (engine, deliverer, effects) = (&mut *self.engine, &mut *self.deliverer, &mut *self.effects);
        let says_name = self.may_move && !is_silent && !is_past && batch.as_ref().is_some_and(says_name);
        let taken = match batch {
            Some(_) if is_past => Ok(Some(Outcome::Duplicate)),
            Some(batch) => take_record(batch, engine, deliverer, effects, (self.now, is_silent), record),
            None => take_member(engine, deliverer, effects, (self.now, is_silent), record),
        };
        if let Some(timer) = timer {
            self.shared.metrics.observe_processing(self.clock.monotonic() - timer);
        }
        match taken {
            Ok(outcome) => {
                self.done.fresh += 1;
                if says_name && outcome == Some(Outcome::Applied) {
                    self.adoption.owes_state();
                    partition.snapshot_due = self.clock.monotonic();
                }
                self.done.batch.take(outcome);
                partition.accounts.take(outcome);
            }
            Err(error) => return self.fail(error),
        }
        let is_caught = matches!(partition.stage, Stage::Replaying { to, .. } if partition.next >= to);
        if let Some((count, symbol)) = self.engine.moved().filter(|_| self.is_watching)
            && count > moves
        {
            self.adoption.has_moved(symbol);
        }
        if self.resolve().is_break() {
            return ControlFlow::Break(());
        }
        let Deliverer { sink, unsealed, .. } = &self.deliverer;
        let is_full = unsealed.records != sent && sink.in_flight() > self.config.in_flight_max;
        if is_caught || is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Looks at a record of others.
    fn see(&mut self, record: &RawRecord<'_>) -> ControlFlow<()> {
        if !self.adoption.see(self.now, &self.config.decoder, self.engine, self.effects, record) {
            self.done.is_held = true;
            return ControlFlow::Break(());
        }
        self.resolve()
    }

    fn resolve(&mut self) -> ControlFlow<()> {
        if self.effects.resolved.is_empty() {
            return ControlFlow::Continue(());
        }
        match resolve(self.effects, self.partitions, self.deliverer, &mut self.done.batch.outcomes) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: SinkError) -> ControlFlow<()> {
        self.done.failure = Some(error);
        ControlFlow::Break(())
    }
}

/// How often symbols have moved.
fn moves(engine: &Engine) -> u64 {
    engine.moved().map_or(0, |(count, _)| count)
}

/// One record: decoded, decided, its alerts sent unless it is read again. Returns its one outcome, or `None`
/// while it waits.
fn take_record(
    batch: Batch<'_>,
    engine: &mut Engine,
    deliverer: &mut Deliverer,
    effects: &mut Effects,
    (now, is_silent): (UnixNanos, bool),
    record: &RawRecord<'_>,
) -> Result<Option<Outcome>, SinkError> {
    let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
    let value = record.value.unwrap_or_default();
    let Judged { outcome, reason, detail } =
        batch.judge(|observation, is_part| engine.step(now, &origin, observation, is_part, effects));
    if !effects.alerts.is_empty() || !effects.members.is_empty() {
        deliverer.alerts(effects, record.timestamp)?;
    }
    effects.measures.clear();
    let Some(outcome) = outcome else { return Ok(None) };
    if outcome == Outcome::Applied && reason != "applied" {
        deliverer.set_aside(reason);
    }
    if outcome.is_dead_letter() && !is_silent {
        deliverer.dead_letter(false, &origin, record.key, value, reason, &detail)?;
    }
    Ok(Some(outcome))
}

/// One record of the log that groups follow.
fn take_member(
    engine: &mut Engine,
    deliverer: &mut Deliverer,
    effects: &mut Effects,
    (now, is_silent): (UnixNanos, bool),
    record: &RawRecord<'_>,
) -> Result<Option<Outcome>, SinkError> {
    let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
    let value = record.value.unwrap_or_default();
    let outcome = match decode_member(value) {
        Ok(member) => engine.take_member(now, &origin, &member, effects).outcome,
        Err(_) if value.is_empty() => Outcome::Tombstone,
        Err(error) => {
            if !is_silent {
                deliverer.dead_letter(false, &origin, record.key, value, error.reason, &error.detail)?;
            }
            error.outcome
        }
    };
    deliverer.member_taken(outcome);
    if !effects.alerts.is_empty() {
        deliverer.alerts(effects, record.timestamp)?;
    }
    Ok(Some(outcome))
}

/// Accounts for records that had waited, and sends the refused ones away.
pub(super) fn resolve(
    effects: &mut Effects,
    partitions: &mut BTreeMap<i32, Partition>,
    deliverer: &mut Deliverer,
    outcomes: &mut [u64; Outcome::ALL.len()],
) -> Result<(), SinkError> {
    for Resolved { origin, disposition, tick, is_part } in effects.resolved.drain(..) {
        let Some(partition) = partitions.get_mut(&origin.partition) else { continue };
        // A record of several events has had its outcome.
        if !is_part {
            partition.accounts.resolve(disposition.outcome);
            outcomes[disposition.outcome as usize] += 1;
        }
        if disposition.outcome.is_dead_letter() && partition.is_live() {
            let mut value = Vec::new();
            encode_tick(&tick, &mut value);
            let key = tick.symbol.as_bytes();
            deliverer.dead_letter(false, &origin, Some(key), &value, disposition.reason, "")?;
        }
    }
    Ok(())
}
