//! What the lane shows the rest of the process: readiness, a view, the last alerts, answers to questions.
//!
//! The lane never waits for a reader: views replace each other, alerts go to whoever listens.

use super::view::{state_json, symbol_json};
use super::{Lane, LaneError};
use crate::clock;
use crate::codec::encode_heartbeat;
use crate::domain::{Alert, Phase};
use crate::engine::{Engine, Params};
use crate::market::Located;
use crate::sources::ClientHealth;
use crate::telemetry::Metrics;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, oneshot, watch};
use tracing::{info, warn};

/// Alerts kept for readers.
const ALERTS_KEPT: usize = 200;
/// Spacing of views.
const VIEW_INTERVAL: Duration = Duration::from_millis(400);
/// A partition without records for so long, while others move, is said to hold the groups back.
const SILENCE: Duration = Duration::from_mins(1);
/// Questions answered between two batches.
const QUERIES_MAX: usize = 64;
/// Symbols with metrics of their own.
const SYMBOLS_SHOWN: usize = 20;

/// Ready, or why not.
pub type ReadyState = Result<(), String>;

/// A question to the lane.
#[derive(Debug)]
pub enum Query {
    /// One symbol in full.
    Symbol(String, oneshot::Sender<Option<Value>>),
    /// Go on under other rules.
    Reload(Box<Params>),
}

/// What was last published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The state of the service and its most stressed names, as JSON text.
    pub view: Arc<str>,
}

/// What a lane and the rest of the process share.
pub struct Shared {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// How the brokers are doing.
    pub health: Arc<ClientHealth>,
    ready: watch::Sender<ReadyState>,
    view: watch::Sender<Published>,
    alerts: Mutex<VecDeque<Arc<str>>>,
    live: broadcast::Sender<Arc<str>>,
    stopping: AtomicBool,
    unclean: AtomicBool,
    /// Rules loaded since the start, for a lane that starts over.
    reloaded: Mutex<Option<Params>>,
}

impl Shared {
    /// Nothing published yet, not ready.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            health: Arc::default(),
            ready: watch::Sender::new(Err("starting".into())),
            view: watch::Sender::new(Published { view: "null".into() }),
            alerts: Mutex::default(),
            live: broadcast::Sender::new(1_024),
            stopping: AtomicBool::new(false),
            unclean: AtomicBool::new(false),
            reloaded: Mutex::default(),
        }
    }

    /// Whether the service can be relied on.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn ready(&self) -> ReadyState {
        self.ready.borrow().clone()
    }

    pub(super) fn set_ready(&self, state: ReadyState) {
        self.ready.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// Views as they come.
    pub fn views(&self) -> watch::Receiver<Published> {
        self.view.subscribe()
    }

    /// The last alerts, newest first.
    pub fn last_alerts(&self) -> Vec<Arc<str>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Alerts as they come, as JSON text.
    pub fn live_alerts(&self) -> broadcast::Receiver<Arc<str>> {
        self.live.subscribe()
    }

    /// Rules loaded since the start, if any.
    pub(super) fn reloaded(&self) -> Option<Params> {
        self.reloaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps rules loaded while running.
    pub fn keep_reloaded(&self, params: Params) {
        *self.reloaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(params);
    }

    /// Asks the lane to drain, commit and end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn stopped_uncleanly(&self) {
        self.unclean.store(true, Ordering::Release);
    }

    /// Whether the lane ended with everything acknowledged and kept.
    pub fn is_clean(&self) -> bool {
        !self.unclean.load(Ordering::Acquire)
    }

    /// Whether that was asked.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn alert(&self, alert: &Alert, bytes: &[u8], is_full: bool) {
        let labels = [alert.entity.type_name(), alert.kind.name(), alert.severity];
        self.metrics.alerts.with_label_values(&labels).inc();
        if !is_full {
            return;
        }
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        let mut kept = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == ALERTS_KEPT {
            kept.pop_front();
        }
        kept.push_back(text.clone());
        drop(kept);
        // No listener is no failure.
        let _ = self.live.send(text);
    }
}

impl Lane<'_> {
    /// Whether results can be relied on, or why not.
    fn readiness(&self) -> ReadyState {
        if !self.shared.health.is_up() {
            let trouble = self.shared.health.trouble().unwrap_or_else(|| "connecting".into());
            return Err(format!("no broker reachable at {}: {trouble}", self.config.kafka.brokers));
        }
        if let Some(trouble) = self.shared.health.trouble() {
            return Err(trouble);
        }
        if self.positions.is_empty() {
            return Err("waiting for partitions to be assigned".into());
        }
        Ok(())
    }

    /// Answers questions; every so often refreshes readiness, view and gauges.
    pub(super) fn publish(&mut self, queries: &Receiver<Query>) {
        for query in queries.try_iter().take(QUERIES_MAX) {
            match query {
                Query::Symbol(symbol, reply) => {
                    let _ = reply.send(self.engine.symbol(&symbol).map(|s| symbol_json(&s)));
                }
                Query::Reload(params) => {
                    fixed_gauges(&self.shared.metrics, &params);
                    self.engine.reload(*params);
                    info!("rules reloaded");
                }
            }
        }
        let now = clock::monotonic();
        let since = self.last_publish.map(|at| now - at);
        if since.is_some_and(|s| s < VIEW_INTERVAL) {
            return;
        }
        self.last_publish = Some(now);
        let ready = self.readiness();
        self.shared.set_ready(ready.clone());
        self.gauges();
        self.warn_of_silence(now);
        let metrics = &self.shared.metrics;
        let view = state_json(&self.engine, metrics, &ready, since, &mut self.view_memory);
        let view = Published { view: view.to_string().into() };
        self.shared.view.send_replace(view);
    }

    fn gauges(&self) {
        let m = &self.shared.metrics;
        let engine = &self.engine;
        m.in_flight.set(i64::try_from(self.deliverer.sink.in_flight()).unwrap_or(i64::MAX));
        m.symbols.set(i64::try_from(engine.symbols_len()).unwrap_or(i64::MAX));
        if let Some(at) = engine.event_time() {
            m.event_time.set(at.0 as f64 / 1e9);
            let located = engine.params().calendar.as_deref().map(|c| c.locate(at));
            let is_open = matches!(located, Some(Located::Known(k)) if k.phase == Phase::Regular);
            m.session_open.set(i64::from(is_open));
        }
        let topic = &self.config.kafka.topics.market;
        let now = clock::now();
        for (partition, end) in self.source.ends() {
            let Some(position) = self.positions.get(&partition) else { continue };
            let label = partition.to_string();
            let lag = end - position.next.unwrap_or(end).min(end);
            m.lag_messages.with_label_values(&[topic, &label]).set(lag);
            let age = position.timestamp.map_or(0.0, |t| now.since(t).max(0) as f64 / 1e9);
            m.lag_seconds.with_label_values(&[topic, &label]).set(if lag > 0 { age } else { 0.0 });
        }
        let input = engine.input_health();
        m.stale.set(i64::try_from(input.stale).unwrap_or(i64::MAX));
        m.halted.set(i64::try_from(input.halted).unwrap_or(i64::MAX));
        for (feed, at) in engine.feed_times() {
            m.feed_time.with_label_values(&[&feed]).set(at.0 as f64 / 1e9);
        }
        m.symbol_z.reset();
        m.symbol_sigma.reset();
        m.symbol_tier.reset();
        for s in engine.most_stressed(SYMBOLS_SHOWN) {
            let label = [s.symbol.as_str()];
            m.symbol_z.with_label_values(&label).set(s.z.unwrap_or(f64::NAN));
            m.symbol_sigma.with_label_values(&label).set(s.sigma_daily.unwrap_or(f64::NAN));
            m.symbol_tier.with_label_values(&label).set(s.tier);
        }
        for group in engine.groups() {
            m.cluster_level.with_label_values(&[&group.name]).set(f64::from(group.level_number));
        }
        if let Some((_, breadth)) = engine.breadth().last_key_value() {
            let valid = f64::from(breadth.valid.max(1));
            m.breadth.with_label_values(&["all", "up"]).set(f64::from(breadth.up) / valid);
            m.breadth.with_label_values(&["all", "down"]).set(f64::from(breadth.down) / valid);
        }
    }

    /// Groups wait for the slowest partition; one that never speaks holds them for ever. Say so once.
    fn warn_of_silence(&mut self, _now: Instant) {
        if self.silence_warned || engine_is_quiet(&self.engine) {
            return;
        }
        let before = clock::now().plus(-i64::try_from(SILENCE.as_nanos()).unwrap_or(i64::MAX));
        if self.started_at > before {
            return;
        }
        let silent = self.engine.silent_partitions(&self.assigned(), before);
        if !silent.is_empty() && silent.len() < self.positions.len() {
            self.silence_warned = true;
            warn!(
                ?silent,
                "partitions without records for a minute: group results wait for them; producers should send a heartbeat to every partition"
            );
        }
    }

    /// Sends a heartbeat when one is due: silence is never calm.
    pub(super) fn heartbeat(&mut self) -> Result<(), LaneError> {
        let Some(interval) = self.config.heartbeat else { return Ok(()) };
        let now = clock::monotonic();
        let is_due = self.last_heartbeat.is_none_or(|at| now - at >= interval);
        if !is_due || self.positions.is_empty() || self.is_paused || !self.shared.health.is_up() {
            return Ok(());
        }
        self.last_heartbeat = Some(now);
        let inputs: Vec<_> =
            self.positions.iter().map(|(p, at)| (*p, at.next.unwrap_or(0), self.engine.partition_time(*p))).collect();
        let mut bytes = Vec::new();
        encode_heartbeat(&self.instance, clock::now(), &self.config.kafka.topics.market, &inputs, &mut bytes);
        self.deliverer.heartbeat(&bytes)?;
        Ok(())
    }
}

fn engine_is_quiet(engine: &Engine) -> bool {
    engine.groups().is_empty() || engine.event_time().is_none()
}

/// Fixed facts shown as gauges once.
pub(super) fn fixed_gauges(metrics: &Metrics, params: &Params) {
    metrics.threshold.reset();
    for tier in &params.rules.tiers {
        metrics.threshold.with_label_values(&[crate::domain::RULE_SYMBOL, &tier.to_string()]).set(*tier);
    }
}
