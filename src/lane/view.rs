//! The lane's state as JSON, for the API and the board.

use super::ReadyState;
use crate::cluster::GroupView;
use crate::codec::{breadth_json, ruler_json, window_json};
use crate::domain::{Direction, Outcome, Reading};
use crate::engine::{Engine, SymbolView};
use crate::market::Located;
use crate::telemetry::Metrics;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Symbols listed in a view.
const LISTED: usize = 20;

/// What the next view needs of the one before.
#[derive(Default, Debug)]
pub(super) struct ViewMemory {
    taken: u64,
    rate: f64,
}

/// A number, or null.
fn number(reading: Reading) -> Value {
    reading.map_or(Value::Null, Value::from)
}

/// The service as it stands.
pub(super) fn state_json(
    engine: &Engine,
    metrics: &Metrics,
    ready: &ReadyState,
    since: Option<Duration>,
    memory: &mut ViewMemory,
) -> Value {
    let taken = metrics.taken();
    if let Some(since) = since {
        let fresh = taken.saturating_sub(memory.taken) as f64 / since.as_secs_f64().max(1e-3);
        memory.rate = 0.7 * memory.rate + 0.3 * fresh;
    }
    memory.taken = taken;
    let event_time = engine.event_time();
    let moment = event_time.and_then(|at| match engine.params().calendar.as_deref()?.locate(at) {
        Located::Known(moment) => Some(moment),
        Located::Unknown { .. } => None,
    });
    let outcomes: Map<String, Value> =
        Outcome::ALL.iter().zip(metrics.outcomes()).map(|(o, n)| (o.name().to_owned(), n.into())).collect();
    let breadth = engine.breadth().last_key_value().map(|(session, b)| {
        let mut breadth = breadth_json(b);
        breadth["session"] = session.to_string().into();
        breadth
    });
    let survival = engine.survival().last_key_value().map(|(session, s)| {
        json!({"session": session.to_string(), "forecasts": s.forecasts, "confirmed": s.confirmed, "brier": s.brier(), "base_brier": s.base_brier()})
    });
    let latency = metrics.event_to_alert_hdr.quantile(0.5).zip(metrics.event_to_alert_hdr.quantile(0.99));
    let flags: Vec<&str> = engine.params().feeds.values().filter_map(|f| f.flag.as_deref()).collect();
    json!({
        "event_time": event_time.map(|t| t.to_string()),
        "session": moment.map(|m| m.session.date.to_string()),
        "phase": moment.map(|m| m.phase.name()),
        "ready": ready.is_ok(),
        "reason": ready.as_ref().err(),
        "version": env!("CARGO_PKG_VERSION"),
        "records_in": taken,
        "outcomes": outcomes,
        "records_per_second": memory.rate,
        "symbols": engine.symbols_len(),
        "flags": flags,
        "breadth": breadth,
        "survival": survival,
        "latency_ms": latency.map(|(p50, p99)| json!({"p50": p50 * 1e3, "p99": p99 * 1e3})),
        "stressed": engine.most_stressed(LISTED).iter().map(stressed_json).collect::<Vec<_>>(),
        "clusters": engine.groups().iter().map(group_json).collect::<Vec<_>>(),
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
    let leg = |l: &crate::domain::Leg| json!({"name": l.name, "value": number(l.value), "threshold": l.threshold, "reached": l.reached});
    let members: Vec<Value> = g.members.iter().map(|(s, z)| json!({"symbol": s.as_str(), "z": number(*z)})).collect();
    json!({
        "id": &*g.name,
        "session": g.session.map(|s| s.to_string()),
        "level": g.level,
        "coverage": number(g.coverage),
        "basket_return": number(g.basket_return.map(f64::exp_m1)),
        "legs": g.legs.iter().map(leg).collect::<Vec<_>>(),
        "members": members,
    })
}
