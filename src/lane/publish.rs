//! What the lanes show the rest of the process: readiness, a view, the last alerts, answers to questions.
//!
//! The lane never waits for a reader: views replace each other, alerts go to whoever listens.

mod groups;

use super::view::{LaneView, state_json};
use crate::domain::Alert;
use crate::engine::{Params, SymbolReading};
use crate::sources::ClientHealth;
use crate::telemetry::Metrics;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, oneshot, watch};

/// Alerts kept for readers.
const ALERTS_KEPT: usize = 200;
/// A lane that has not come round for so long is stuck.
const BEAT_MAX: Duration = Duration::from_secs(20);
/// Least time over which a rate is taken.
const RATE_INTERVAL: Duration = Duration::from_millis(200);

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

/// What a lane last said of itself.
#[derive(Clone)]
struct LaneSlot {
    ready: ReadyState,
    view: LaneView,
    symbols: Arc<[SymbolReading]>,
    beat: Option<(Instant, Cow<'static, str>)>,
}

impl Default for LaneSlot {
    fn default() -> Self {
        Self { ready: Err("starting".into()), view: LaneView::default(), symbols: Arc::from([]), beat: None }
    }
}

/// Records per second, smoothed over the last views.
#[derive(Default)]
struct Rate {
    taken: u64,
    at: Option<Instant>,
    smoothed: f64,
}

impl Rate {
    fn at(&mut self, taken: u64, now: Instant) -> f64 {
        let since = self.at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < RATE_INTERVAL) {
            return self.smoothed;
        }
        if let Some(since) = since {
            let fresh = taken.saturating_sub(self.taken) as f64 / since.as_secs_f64();
            self.smoothed = 0.7 * self.smoothed + 0.3 * fresh;
        }
        (self.taken, self.at) = (taken, Some(now));
        self.smoothed
    }
}

/// What the lanes and the rest of the process share.
pub struct Shared {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// How the brokers are doing.
    pub health: Arc<ClientHealth>,
    /// What each lane last said of itself.
    lanes: Mutex<Vec<LaneSlot>>,
    ready: watch::Sender<ReadyState>,
    view: watch::Sender<Published>,
    alerts: Mutex<VecDeque<Arc<str>>>,
    live: broadcast::Sender<Arc<str>>,
    stopping: AtomicBool,
    unclean: AtomicBool,
    drained: AtomicUsize,
    rate: Mutex<Rate>,
    /// Rules loaded since the start, for a lane that starts over.
    reloaded: Mutex<Option<Params>>,
}

impl Shared {
    /// Nothing published yet, not ready; so many lanes will publish.
    pub fn new(metrics: Arc<Metrics>, lanes: usize) -> Self {
        Self {
            metrics,
            health: Arc::default(),
            lanes: Mutex::new(vec![LaneSlot::default(); lanes]),
            ready: watch::Sender::new(Err("starting".into())),
            view: watch::Sender::new(Published { view: "null".into() }),
            alerts: Mutex::default(),
            live: broadcast::Sender::new(1_024),
            stopping: AtomicBool::new(false),
            unclean: AtomicBool::new(false),
            drained: AtomicUsize::new(0),
            rate: Mutex::default(),
            reloaded: Mutex::default(),
        }
    }

    /// Whether the service can be relied on.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn ready(&self) -> ReadyState {
        let stuck = self.stuck();
        if stuck.is_empty() { self.ready.borrow().clone() } else { Err(stuck.join("; ")) }
    }

    /// Lanes that have not come round for long, and what they have been doing.
    pub fn stuck(&self) -> Vec<String> {
        let now = crate::clock::monotonic();
        let lanes = self.lanes();
        let late =
            |slot: &LaneSlot| slot.beat.as_ref().map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at));
        let stuck = lanes.iter().enumerate().filter(|(_, slot)| late(slot) > BEAT_MAX);
        let stuck: Vec<String> = stuck
            .map(|(number, slot)| {
                let doing = slot.beat.as_ref().map_or("starting", |(_, doing)| doing);
                format!("lane {number} has been {doing} for {} s", late(slot).as_secs())
            })
            .collect();
        drop(lanes);
        self.metrics.lanes_stuck.set(i64::try_from(stuck.len()).unwrap_or(i64::MAX));
        stuck
    }

    /// A lane lives, and does this next: one that does not come back is named stuck with it.
    pub(super) fn beat(&self, lane: usize, doing: impl Into<Cow<'static, str>>) {
        if let Some(slot) = self.lanes().get_mut(lane) {
            slot.beat = Some((crate::clock::monotonic(), doing.into()));
        }
    }

    /// Notes whether a lane is ready. The service is ready when all of its lanes are.
    pub(super) fn set_ready(&self, lane: usize, state: ReadyState) {
        let mut lanes = self.lanes();
        let Some(slot) = lanes.get_mut(lane) else { return };
        slot.ready = state;
        self.merge_ready(&lanes);
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<LaneSlot>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn merge_ready(&self, lanes: &[LaneSlot]) {
        let mut reasons: Vec<&str> = lanes.iter().filter_map(|l| l.ready.as_ref().err().map(String::as_str)).collect();
        reasons.dedup();
        let ready = if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) };
        self.ready.send_if_modified(|known| {
            let changed = *known != ready;
            *known = ready;
            changed
        });
    }

    /// Takes what a lane shows, and shows all lanes together.
    pub(super) fn show(&self, lane: usize, ready: ReadyState, view: LaneView, now: Instant) {
        let mut lanes = self.lanes();
        let Some(slot) = lanes.get_mut(lane) else { return };
        slot.ready = ready;
        slot.view = view;
        self.merge_ready(&lanes);
        let ready = self.ready.borrow().clone();
        let mut all = LaneView::default();
        for slot in lanes.iter() {
            all.add(slot.view.clone());
        }
        drop(lanes);
        gauges(&self.metrics, &all);
        let rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner).at(self.metrics.taken(), now);
        let text = state_json(&all, &self.metrics, &ready, rate).to_string();
        self.view.send_replace(Published { view: text.into() });
    }

    /// Takes what a lane says of its symbols for the metrics.
    pub(super) fn show_symbols(&self, lane: usize, readings: Vec<SymbolReading>) {
        if let Some(slot) = self.lanes().get_mut(lane) {
            slot.symbols = readings.into();
        }
    }

    /// The series of single symbols as text.
    pub fn symbol_series(&self) -> String {
        let readings: Vec<Arc<[SymbolReading]>> = self.lanes().iter().map(|slot| slot.symbols.clone()).collect();
        self.metrics.symbol_series.text(&readings)
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

    pub(super) fn stopped_cleanly(&self) {
        self.drained.fetch_add(1, Ordering::AcqRel);
    }

    /// Lanes that ended with everything acknowledged and kept, though they may still be leaving their group.
    pub fn drained(&self) -> usize {
        self.drained.load(Ordering::Acquire)
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

/// Fixed facts shown as gauges once.
pub(super) fn fixed_gauges(metrics: &Metrics, params: &Params) {
    metrics.threshold.reset();
    for tier in &params.rules.tiers {
        metrics.threshold.with_label_values(&[crate::domain::RULE_SYMBOL, &tier.to_string()]).set(*tier);
    }
}

/// What all lanes show, as gauges.
fn gauges(m: &Metrics, all: &LaneView) {
    m.in_flight.set(i64::try_from(all.in_flight).unwrap_or(i64::MAX));
    m.symbols.set(i64::try_from(all.symbols).unwrap_or(i64::MAX));
    if let Some(at) = all.event_time {
        m.event_time.set(at.0 as f64 / 1e9);
        m.session_open.set(i64::from(all.is_open));
    }
    m.stale.set(i64::try_from(all.input.stale).unwrap_or(i64::MAX));
    m.halted.set(i64::try_from(all.input.halted).unwrap_or(i64::MAX));
    for (feed, at) in &all.feeds {
        m.feed_time.with_label_values(&[feed]).set(at.0 as f64 / 1e9);
    }
    groups::set(m, &all.clusters, all.breadth.as_ref().map(|(_, breadth)| breadth));
}
