//! What the lanes show, together, and as JSON for the API and the board.

use super::ReadyState;
use crate::cluster::GroupView;
use crate::codec::{
    breadth_json, contagion_json, derived_json, group_breadth_json, index_json, loss_json, loss_record_json,
    ruler_json, surface_json, window_json,
};
use crate::domain::{Direction, Outcome, Phase, Reading, SessionDate, UnixNanos, Unknown};
use crate::engine::{Breadth, Engine, InputHealth, SurvivalScore, SymbolView};
use crate::market::Located;
use crate::telemetry::{Metrics, build};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Symbols listed in a view, and with metrics of their own.
pub(super) const LISTED: usize = 20;

/// A number, or null.
fn number(reading: Reading) -> Value {
    reading.map_or(Value::Null, Value::from)
}

/// What one lane has to show.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneView {
    pub(super) event_time: Option<UnixNanos>,
    pub(super) session: Option<String>,
    pub(super) phase: Option<&'static str>,
    pub(super) is_open: bool,
    pub(super) symbols: usize,
    pub(super) flags: Vec<String>,
    pub(super) breadth: Option<(SessionDate, Breadth)>,
    pub(super) survival: Option<(SessionDate, SurvivalScore)>,
    pub(super) input: InputHealth,
    pub(super) in_flight: usize,
    /// The most stressed symbols, largest first.
    pub(super) stressed: Vec<SymbolView>,
    pub(super) clusters: Vec<GroupView>,
    pub(super) feeds: BTreeMap<Arc<str>, UnixNanos>,
    /// Each partition: where it stands and how.
    pub(super) partitions: Vec<Value>,
}

impl LaneView {
    /// One lane as it stands; `partitions` are the lane's to say.
    pub(super) fn of(engine: &Engine, listed: usize, in_flight: usize, partitions: Vec<Value>) -> Self {
        let event_time = engine.event_time();
        let moment = event_time.and_then(|at| match engine.params().calendar.as_deref()?.locate(at) {
            Located::Known(moment) => Some(moment),
            Located::Unknown { .. } => None,
        });
        Self {
            event_time,
            session: moment.map(|m| m.session.date.to_string()),
            phase: moment.map(|m| m.phase.name()),
            is_open: moment.is_some_and(|m| m.phase == Phase::Regular),
            symbols: engine.symbols_len(),
            flags: engine.params().feeds.values().filter_map(|f| f.flag.as_deref().map(str::to_owned)).collect(),
            breadth: engine.breadth().last_key_value().map(|(s, b)| (*s, *b)),
            survival: engine.survival().last_key_value().map(|(s, b)| (*s, *b)),
            input: engine.input_health(),
            in_flight,
            stressed: engine.most_stressed(listed),
            clusters: engine.groups(),
            feeds: engine.feed_times(),
            partitions,
        }
    }

    /// Adds another lane's.
    pub(super) fn add(&mut self, other: Self) {
        if other.event_time > self.event_time {
            self.event_time = other.event_time;
            self.session = other.session;
            self.phase = other.phase;
            self.is_open = other.is_open;
        }
        self.symbols = self.symbols.max(other.symbols);
        for flag in other.flags {
            if !self.flags.contains(&flag) {
                self.flags.push(flag);
            }
        }
        self.breadth = match (self.breadth, other.breadth) {
            (Some((a, x)), Some((b, y))) if a == b => Some((a, x.plus(y))),
            (a, b) => a.max_by_key(b),
        };
        self.survival = match (self.survival, other.survival) {
            (Some((a, x)), Some((b, y))) if a == b => Some((a, x.plus(y))),
            (a, b) => a.max_by_key(b),
        };
        self.input.stale += other.input.stale;
        self.input.halted += other.input.halted;
        self.in_flight += other.in_flight;
        self.stressed.extend(other.stressed);
        self.stressed.sort_by(|a, b| size(b).total_cmp(&size(a)));
        self.stressed.truncate(LISTED);
        if self.clusters.is_empty() {
            self.clusters = other.clusters;
        }
        for (feed, at) in other.feeds {
            let newest = self.feeds.entry(feed).or_insert(at);
            *newest = at.max(*newest);
        }
        self.partitions.extend(other.partitions);
    }
}

fn size(symbol: &SymbolView) -> f64 {
    symbol.z.map_or(0.0, f64::abs)
}

trait Later<T> {
    fn max_by_key(self, other: Self) -> Self;
}

impl<T> Later<T> for Option<(SessionDate, T)> {
    fn max_by_key(self, other: Self) -> Self {
        match (&self, &other) {
            (Some((a, _)), Some((b, _))) if b > a => other,
            (None, _) => other,
            _ => self,
        }
    }
}

/// The service as it stands.
pub(super) fn state_json(view: &LaneView, metrics: &Metrics, ready: &ReadyState, rate: f64) -> Value {
    let outcomes: Map<String, Value> =
        Outcome::ALL.iter().zip(metrics.outcomes()).map(|(o, n)| (o.name().to_owned(), n.into())).collect();
    let breadth = view.breadth.map(|(session, b)| {
        let mut breadth = breadth_json(&b);
        breadth["session"] = session.to_string().into();
        breadth
    });
    let survival = view.survival.map(|(session, s)| {
        json!({"session": session.to_string(), "forecasts": s.forecasts, "confirmed": s.confirmed, "brier": s.brier(), "base_brier": s.base_brier()})
    });
    let latency = metrics.event_to_alert_hdr.quantile(0.5).zip(metrics.event_to_alert_hdr.quantile(0.99));
    json!({
        "event_time": view.event_time.map(|t| t.to_string()),
        "session": view.session,
        "phase": view.phase,
        "ready": ready.is_ok(),
        "reason": ready.as_ref().err(),
        "version": build::VERSION,
        "revision": build::revision(),
        "records_in": metrics.taken(),
        "outcomes": outcomes,
        "records_per_second": rate,
        "symbols": view.symbols,
        "flags": view.flags,
        "breadth": breadth,
        "survival": survival,
        "latency_ms": latency.map(|(p50, p99)| json!({"p50": p50 * 1e3, "p99": p99 * 1e3})),
        "stressed": view.stressed.iter().map(stressed_json).collect::<Vec<_>>(),
        "clusters": view.clusters.iter().map(group_json).collect::<Vec<_>>(),
        "partitions": view.partitions,
    })
}

fn stressed_json(s: &SymbolView) -> Value {
    json!({
        "symbol": s.symbol.as_str(),
        "z": number(s.z),
        "z_adjusted": number(s.z_adjusted),
        "simple_return": s.reference.map(|r| s.price / r - 1.0),
        "price": s.price,
        "reference": s.reference,
        "tier": s.tier,
        "direction": s.direction.map(Direction::name),
        "closed": s.closed,
        "next_tier": next_tier(s),
    })
}

/// The nearest tier that neither the move nor its episode has reached, with the first price that reaches it:
/// what a desk wants to see before it happens. Null without a ruler, at the last tier, and after the close.
fn next_tier(s: &SymbolView) -> Value {
    let Ok(z) = s.z else { return Value::Null };
    let held = if s.direction == Some(Direction::of(z)) { s.tier } else { 0.0 };
    match s.tiers.iter().find(|(tier, ..)| *tier > z.abs() && *tier > held) {
        Some((tier, down, up)) if !s.closed => json!({"tier": tier, "price": if z < 0.0 { down } else { up }}),
        _ => Value::Null,
    }
}

/// One symbol in full.
pub(super) fn symbol_json(s: &SymbolView) -> Value {
    let mut value = stressed_json(s);
    if let Value::Object(map) = &mut value {
        map.insert("session".into(), s.session.map(|d| d.to_string()).into());
        map.insert("phase".into(), s.phase.name().into());
        map.insert("event_time".into(), s.event_time.0.into());
        map.insert("unknown".into(), s.z.err().map(crate::domain::Unknown::name).into());
        map.insert("ruler".into(), json!(s.ruler.ok().as_ref().map(ruler_json)));
        map.insert("windows".into(), json!(s.windows.ok().map(|w| w.each_ref().map(window_json))));
        map.insert("sigma_daily".into(), s.sigma_daily.into());
        map.insert("low".into(), s.extremes.map(|e| e.0).into());
        map.insert("high".into(), s.extremes.map(|e| e.1).into());
        let tiers: Vec<Value> =
            s.tiers.iter().map(|(t, down, up)| json!({"tier": t, "down": down, "up": up})).collect();
        map.insert("tiers".into(), tiers.into());
        map.insert("sequence".into(), s.sequence.into());
        map.insert("partition".into(), s.partition.into());
        map.insert("fast_volatility".into(), s.volatility[0].into());
        map.insert("slow_volatility".into(), s.volatility[1].into());
        map.insert("halted".into(), s.halt.is_some().into());
        map.insert("halt_reason".into(), s.halt.as_deref().into());
        map.insert("limits".into(), s.limits.map(|(lower, upper)| json!({"lower": lower, "upper": upper})).into());
        map.insert("quarantined".into(), s.held.into());
        map.insert("volume".into(), s.volume.into());
        map.insert("stale".into(), s.is_stale.into());
        let stale_after = Some(s.stale_after_secs).filter(|secs| secs.is_finite());
        map.insert("stale_after_secs".into(), stale_after.into());
    }
    value
}

fn group_json(g: &GroupView) -> Value {
    let leg = |l: &crate::domain::Leg| {
        let rank = l.rank.and_then(Result::ok);
        json!({
            "name": l.name,
            "value": number(l.value),
            "percentile": rank.map(|r| r.percentile()),
            "threshold": number(l.threshold),
            "p99": rank.map(|r| r.bounds[1]),
            "reached": l.reached,
            "unknown": l.value.err().or(l.rank.and_then(Result::err)).map(Unknown::name),
        })
    };
    let members: Vec<Value> = g.members.iter().map(|(s, z)| json!({"symbol": s.as_str(), "z": number(*z)})).collect();
    json!({
        "id": &*g.name,
        "session": g.session.map(|s| s.to_string()),
        "is_judged": g.is_judged,
        "level": g.level,
        "coverage": number(g.coverage),
        "basket_return": number(g.basket_return.map(f64::exp_m1)),
        "legs": g.legs.iter().map(leg).collect::<Vec<_>>(),
        "members": members,
        "breadth": group_breadth_json(g),
        "index": g.index.as_ref().map(index_json),
        "surface": g.surface.as_deref().map(surface_json),
        "derived": g.derived.as_deref().map(derived_json),
        "contagion": g.contagion.as_deref().map(contagion_json),
        "losses": g.losses.iter().map(loss_json).collect::<Vec<_>>(),
        "loss_records": g.loss_records.iter().map(loss_record_json).collect::<Vec<_>>(),
    })
}
