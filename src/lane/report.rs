//! What a lane says of itself: readiness, a view, lag, heartbeats, answers to questions.

use super::partition::{Partition, STUCK_AFTER};
use super::publish::{Query, ReadyState, fixed_gauges};
use super::view::{LISTED, LaneView, symbol_json};
use super::{Lane, LaneError, Role};
use crate::codec::encode_heartbeat;
use crate::config::SymbolPolicy;
use serde_json::{Value, json};
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tracing::{error, info, warn};

/// Spacing of views.
const VIEW_INTERVAL: Duration = Duration::from_millis(400);
/// Spacing of what the metrics say of symbols: a walk over all of them, on the thread of their ticks.
const SYMBOLS_INTERVAL: Duration = Duration::from_secs(5);
/// A partition without records for so long, while others move, is said to hold the groups back.
const SILENCE: Duration = Duration::from_mins(1);
/// Questions answered between two batches.
const QUERIES_MAX: usize = 64;

impl Lane {
    /// Whether results can be relied on, or why not.
    fn readiness(&self) -> ReadyState {
        if !self.has_joined && !self.waiting_for.is_empty() {
            return Err(self.waiting_for.clone());
        }
        if !self.shared.health.is_up() {
            let trouble = self.shared.health.trouble().unwrap_or_else(|| "connecting".into());
            let trouble = self.diagnosis.told(&self.config.kafka, &trouble);
            return Err(format!("no broker reachable at {}: {trouble}", self.config.kafka.brokers));
        }
        if let Some(trouble) = self.shared.health.trouble() {
            return Err(trouble);
        }
        let now = self.clock.monotonic();
        if !self.asking.is_empty() {
            let since = now.saturating_duration_since(self.asked_since);
            let stuck = if since > STUCK_AFTER { format!("; stuck for {} s", since.as_secs()) } else { String::new() };
            return Err(format!("asking where partitions {:?} stand{stuck}", self.asking));
        }
        if self.partitions.is_empty() && self.role == Role::Groups && self.was_assigned {
            // There may be fewer partitions than lanes; this one stands by.
            return Ok(());
        }
        if self.partitions.is_empty() {
            return Err("waiting for partitions to be assigned".into());
        }
        let troubles: Vec<String> = self.partitions.iter().filter_map(|(number, p)| p.trouble(*number, now)).collect();
        if !troubles.is_empty() {
            return Err(troubles.join("; "));
        }
        let stalled: Vec<i32> = self.stalled(now).collect();
        if stalled.is_empty() { Ok(()) } else { Err(format!("partitions {stalled:?} have lag and make no progress")) }
    }

    /// Live partitions that lag and have not moved for long, while nothing holds the input back.
    fn stalled(&self, now: std::time::Instant) -> impl Iterator<Item = i32> {
        let is_stalled = move |p: &Partition| now.saturating_duration_since(p.moved_at) > STUCK_AFTER;
        let live = self.partitions.iter().filter(|(_, p)| p.is_live() && !self.is_paused);
        live.filter(move |(_, p)| is_stalled(p)).map(|(number, _)| *number)
    }

    /// Answers questions.
    pub(super) fn answer(&mut self, queries: &Receiver<Query>) {
        for query in queries.try_iter().take(QUERIES_MAX) {
            match query {
                Query::Symbol(symbol, reply) => {
                    self.engine.wake_named(&symbol);
                    let _ = reply.send(self.engine.symbol(&symbol).map(|s| symbol_json(&s)));
                }
                Query::Reload(params) => {
                    fixed_gauges(&self.shared.metrics, &params);
                    self.engine.reload(*params);
                    info!("rules reloaded");
                }
            }
        }
    }

    /// Every so often refreshes readiness, view and gauges.
    pub(super) fn report(&mut self) {
        let now = self.clock.monotonic();
        if self.last_report.is_some_and(|at| now.saturating_duration_since(at) < VIEW_INTERVAL) {
            return;
        }
        self.last_report = Some(now);
        let partitions = self.look_at_partitions();
        self.warn_of_silence();
        self.look_for_flood();
        self.look_for_moves();
        self.look_at_encoded();
        let in_flight = self.deliverer.sink.in_flight();
        let mut view = match self.role {
            Role::Symbols => LaneView::of(&self.engine, LISTED, in_flight, partitions),
            Role::Groups => {
                LaneView { in_flight, clusters: self.engine.fed_groups(), partitions, ..LaneView::default() }
            }
        };
        if self.tells_members() {
            // Someone else knows.
            view.clusters.clear();
        }
        self.shared.show(self.number, self.readiness(), view, now);
        self.show_symbols(now);
    }

    /// Every so often leaves what the metrics say of symbols.
    fn show_symbols(&mut self, now: std::time::Instant) {
        let is_due = self.last_symbols.is_none_or(|at| now.saturating_duration_since(at) >= SYMBOLS_INTERVAL);
        if self.role != Role::Symbols || !is_due {
            return;
        }
        self.last_symbols = Some(now);
        let series = &self.shared.metrics.symbol_series;
        let readings = match series.wanted() {
            SymbolPolicy::Off => return,
            SymbolPolicy::All => self.engine.readings().take(series.wanted_max()).collect(),
            SymbolPolicy::Watchlist(list) => list.iter().filter_map(|s| self.engine.reading_of(s)).collect(),
            SymbolPolicy::TopK(_) => self.engine.most_stressed_readings(series.wanted_max()),
        };
        self.shared.show_symbols(self.number, readings);
    }

    /// Lag and progress of each partition.
    fn look_at_partitions(&mut self) -> Vec<Value> {
        let topic = &self.config.kafka.topics.market;
        let (now, at) = (self.clock.monotonic(), self.clock.now());
        let ends: std::collections::BTreeMap<i32, i64> = self.source.ends().into_iter().collect();
        let mut all = Vec::with_capacity(self.partitions.len());
        for (number, partition) in &mut self.partitions {
            let end = self.adoption.end(*number).max(ends.get(number).copied());
            let lag = end.map(|end| end - partition.next.min(end));
            if partition.seen != partition.next || lag.is_none_or(|lag| lag == 0) {
                partition.seen = partition.next;
                partition.moved_at = now;
            }
            if let Some(lag) = lag {
                let label = number.to_string();
                let m = &self.shared.metrics;
                m.lag_messages.with_label_values(&[topic, &label]).set(lag);
                let age = partition.timestamp.map_or(0.0, |t| at.since(t).max(0) as f64 / 1e9);
                m.lag_seconds.with_label_values(&[topic, &label]).set(if lag > 0 { age } else { 0.0 });
            }
            let held = &self.shared.metrics.partition_held;
            held.with_label_values(&[&number.to_string()]).set(i64::from(partition.held.is_some()));
            all.push(json!({
                "topic": topic,
                "partition": number,
                "lane": self.number,
                "stage": partition.stage_name(),
                "next_offset": partition.next,
                "lag": lag,
                "restored": partition.progress(),
            }));
        }
        all
    }

    fn look_for_flood(&mut self) {
        let Some(within) = self.flood.look(self.clock.monotonic(), self.deliverer.refused) else { return };
        let gauge = self.shared.metrics.dead_letter_flood.with_label_values(&[&self.number.to_string()]);
        gauge.set(i64::from(within > 0));
        if within > 0 {
            error!(within, "a flood of refused records: see fragility_dead_letters_total by reason");
        } else {
            info!("the flood of refused records is over");
        }
    }

    fn look_at_encoded(&mut self) {
        let gauge = self.shared.metrics.restore_symbols_left.with_label_values(&[&self.number.to_string()]);
        gauge.set(i64::try_from(self.still_encoded).unwrap_or(i64::MAX));
        let unreadable = self.engine.unreadable();
        if unreadable > self.unreadable {
            error!(symbols = unreadable, "symbols of a snapshot did not decode; they begin anew");
            self.unreadable = unreadable;
        }
    }

    /// A symbol belongs to one partition at a time: one that moves is said, and kept where it is now.
    fn look_for_moves(&mut self) {
        self.shared.metrics.symbols_adopted.inc_by(std::mem::take(&mut self.adoption.adopted));
        let Some((moved, example)) = self.engine.moved() else { return };
        if moved > self.moved {
            warn!(
                moved,
                example,
                "symbols come from another partition than before: the number of partitions was changed, or a producer's key"
            );
            self.shared.metrics.symbols_moved.inc_by(moved - self.moved);
            self.moved = moved;
            // Old and new partition are kept as of one moment, or a restart would find the symbol in neither.
            let now = self.clock.monotonic();
            self.partitions.values_mut().for_each(|p| p.snapshot_due = now);
        }
    }

    /// Groups wait for the slowest partition; one that never speaks holds them for ever. Say so once.
    fn warn_of_silence(&mut self) {
        if self.silence_warned || !self.engine.spans_partitions() || self.engine.event_time().is_none() {
            return;
        }
        let before = self.clock.now().plus(-i64::try_from(SILENCE.as_nanos()).unwrap_or(i64::MAX));
        if self.started_at > before {
            return;
        }
        let silent = self.engine.silent_partitions(&self.assigned(), before);
        if !silent.is_empty() && silent.len() < self.partitions.len() {
            self.silence_warned = true;
            warn!(
                ?silent,
                "partitions without records for a minute: group results wait for them; producers should send a heartbeat to every partition"
            );
        }
    }

    /// Sends a heartbeat when one is due: silence is never calm. It speaks for live partitions alone.
    pub(super) fn heartbeat(&mut self) -> Result<(), LaneError> {
        let Some(interval) = self.config.heartbeat else { return Ok(()) };
        let now = self.clock.monotonic();
        let is_due = self.last_heartbeat.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if !is_due || self.is_paused || !self.shared.health.is_up() {
            return Ok(());
        }
        let live = self.partitions.iter().filter(|(_, p)| p.is_live());
        let inputs: Vec<_> = live.map(|(n, p)| (*n, p.next, self.engine.partition_time(*n))).collect();
        if inputs.is_empty() {
            return Ok(());
        }
        self.last_heartbeat = Some(now);
        let mut bytes = Vec::new();
        let topic = &self.config.kafka.topics.market;
        let flags = [(self.flood.is_on(), "DEAD_LETTER_FLOOD"), (self.deliverer.is_universe_full, "UNIVERSE_FULL")];
        let flags: Vec<&str> = flags.into_iter().filter_map(|(is_on, flag)| is_on.then_some(flag)).collect();
        encode_heartbeat(&self.instance, self.clock.now(), topic, &inputs, &flags, &mut bytes);
        self.deliverer.heartbeat(&bytes)?;
        Ok(())
    }
}
