//! The path of a record: taken, decoded, decided, its alerts sent.

use super::deliver::Deliverer;
use super::partition::{Held, Partition, Stage};
use super::{BATCH_MAX, Lane, LaneError, Role, WAIT};
use crate::codec::{Decoder, Judged, decode_member, encode_tick};
use crate::domain::{Accounts, Outcome, UnixNanos};
use crate::engine::{Effects, Engine, Origin, Resolved};
use crate::sinks::SinkError;
use crate::sources::RawRecord;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

/// One record in so many has its processing timed.
const SAMPLE_EVERY: u64 = 64;

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
        let now = self.clock.now();
        let Self {
            source, engine, deliverer, partitions, effects, shared, sampled, config, clock, role, adoption, ..
        } = self;
        let (is_watching, has_grown) = (adoption.is_watching(), adoption.has_grown());
        if is_watching {
            // What is known of a symbol is compared with what others know.
            engine.wake_some(usize::MAX);
        }
        let mut held = None;
        let mut batch = Accounts::default();
        let (mut failure, mut fresh, mut overshoot) = (None, 0_u64, None);
        let bound = config.in_flight_max;
        let taken = source.poll(BATCH_MAX, wait, &mut |record| {
            let Some(partition) = partitions.get_mut(&record.partition) else { return ControlFlow::Continue(()) };
            if record.offset < partition.next || partition.held.is_some() {
                // Taken before, or to come again.
                return ControlFlow::Continue(());
            }
            let is_silent = partition.is_silent();
            if is_silent && !matches!(partition.stage, Stage::Replaying { to, .. } if record.offset < to) {
                // The first new one comes again once its partition is live.
                if let Stage::Replaying { to, .. } = partition.stage {
                    partition.next = to;
                }
                overshoot = Some((record.partition, record.offset));
                return ControlFlow::Break(());
            }
            let is_past = has_grown && is_silent && is_past(&config.decoder, engine, &record);
            if is_watching && !is_past && adoption.meet(now, &config.decoder, engine, &record) {
                partition.held = Some(Held { offset: record.offset, rank: record.rank(), since: clock.monotonic() });
                held = Some((record.partition, record.offset));
                return ControlFlow::Break(());
            }
            partition.next = record.offset + 1;
            partition.timestamp = record.timestamp;
            *sampled += 1;
            let timer = sampled.is_multiple_of(SAMPLE_EVERY).then(|| clock.monotonic());
            let sent = deliverer.unsealed.records;
            let taken = match role {
                Role::Symbols if is_past => Ok(Some(Outcome::Duplicate)),
                Role::Symbols => take_record(&config.decoder, engine, deliverer, effects, (now, is_silent), &record),
                Role::Groups => take_member(engine, deliverer, effects, (now, is_silent), &record),
            };
            if let Some(timer) = timer {
                shared.metrics.observe_processing(clock.monotonic() - timer);
            }
            match taken {
                Ok(outcome) => {
                    fresh += 1;
                    batch.take(outcome);
                    partition.accounts.take(outcome);
                }
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            let is_caught = matches!(partition.stage, Stage::Replaying { to, .. } if partition.next >= to);
            if !effects.resolved.is_empty()
                && let Err(error) = resolve(effects, partitions, deliverer, &mut batch.outcomes)
            {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            let is_full = deliverer.unsealed.records != sent && deliverer.sink.in_flight() > bound;
            if is_caught || is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if fresh > 0 && *role == Role::Symbols {
            let waiting = partitions.values().map(|p| p.accounts.quarantined).sum();
            shared.metrics.count(self.number, fresh, &batch.outcomes, waiting);
        }
        if let Some(error) = failure {
            return Err(LaneError::Sink(error));
        }
        if let Some(at) = overshoot {
            self.source.seek(&[at])?;
        }
        if let Some((partition, offset)) = held {
            self.hold(partition, offset)?;
        }
        Ok(taken)
    }
}

/// Whether what a record that is read again says is part of what another partition's snapshot knows.
fn is_past(decoder: &Decoder, engine: &mut Engine, record: &RawRecord<'_>) -> bool {
    let batch = decoder.decode(record.value.unwrap_or_default());
    let mut events = std::iter::once(&batch.first).chain(&batch.rest).filter_map(|e| e.as_ref().ok());
    events.any(|event| engine.is_past(record.partition, event))
}

/// One record: decoded, decided, its alerts sent unless it is read again. Returns its one outcome, or `None`
/// while it waits.
fn take_record(
    decoder: &Decoder,
    engine: &mut Engine,
    deliverer: &mut Deliverer,
    effects: &mut Effects,
    (now, is_silent): (UnixNanos, bool),
    record: &RawRecord<'_>,
) -> Result<Option<Outcome>, SinkError> {
    let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
    let value = record.value.unwrap_or_default();
    let Judged { outcome, reason, detail } =
        decoder.decode(value).judge(|observation, is_part| engine.step(now, &origin, observation, is_part, effects));
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
