//! Measures, summary and accounting as JSON lines.

use super::alert::echo_json;
use super::contagion::contagion_json;
use super::derived::derived_json;
use super::realized::realized_json;
use crate::cluster::{GroupView, Leader, Loss, LossRecord, SurfaceView, SurfaceWindow, Tally, YearToDate};
use crate::domain::{
    Accounts, CloseBasis, Leg, LegRank, Outcome, Reading, RealizedView, SessionDate, Symbol, Tick, UnixNanos, Unknown,
};
use crate::engine::{Breadth, Origin, SurvivalScore};
use crate::estimators::{DailyModes, Mode, WindowEcho};
use crate::market::{GroupCurve, Measure, Sigma};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Name and version of a dead letter's format.
pub const DEAD_LETTER_SCHEMA: &str = "fragility.dead_letter.v1";
/// Name and version of a heartbeat's format.
pub const HEARTBEAT_SCHEMA: &str = "fragility.heartbeat.v1";

#[derive(serde::Serialize)]
struct MeasureJson<'a> {
    symbol: &'a str,
    session: String,
    close: f64,
    log_return: Option<f64>,
    sigma_daily: Option<f64>,
    z: Option<f64>,
    n: usize,
    flags: Vec<&'a str>,
}

/// One line of `--measures`: a symbol at the close of a session, in full double precision.
pub fn encode_measure(symbol: &Symbol, measure: &Measure, out: &mut Vec<u8>) {
    let mut flags: Vec<&str> = Vec::new();
    if let Err(gap) = measure.log_return {
        flags.push(gap.name());
    }
    match measure.sigma {
        Sigma::Warming(_) => flags.push("WARMING"),
        Sigma::Insufficient(_) => flags.push("INSUFFICIENT_VARIANCE"),
        Sigma::Known(_) => {}
    }
    for flag in measure.flags.names() {
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    }
    let line = MeasureJson {
        symbol: symbol.as_str(),
        session: measure.session.to_string(),
        close: measure.close,
        log_return: measure.log_return.ok(),
        sigma_daily: measure.sigma.number(),
        z: measure.z,
        n: measure.n,
        flags,
    };
    let _ = serde_json::to_writer(out, &line);
}

/// One line of `--modes`: the volatilities of a symbol and session beside the canonical one, the echo in its
/// window, and what the session's own returns say of it; null is named in `unknown`.
pub fn encode_modes(
    symbol: &Symbol,
    session: SessionDate,
    (modes, echo): &(DailyModes, Option<WindowEcho>),
    realized: Result<RealizedView, Unknown>,
    out: &mut Vec<u8>,
) {
    let sigma: Map<String, Value> = modes.iter().map(|(m, s)| (m.name().to_owned(), json!(s.ok()))).collect();
    let reason = |(m, s): (Mode, Reading)| Some((m.name().to_owned(), s.err()?.name().into()));
    let mut unknown: Map<String, Value> = modes.iter().filter_map(reason).collect();
    if let Err(gap) = realized {
        unknown.insert("realized".to_owned(), gap.name().into());
    }
    let line = json!({
        "symbol": symbol.as_str(),
        "session": session.to_string(),
        "sigma": sigma,
        "unknown": unknown,
        "echo": echo.as_ref().map(|e| echo_json(&e.view())),
        "realized": realized.as_ref().ok().map(realized_json),
    });
    let _ = serde_json::to_writer(out, &line);
}

/// Breadth as reports and the API show it.
pub fn breadth_json(b: &Breadth) -> Value {
    json!({
        "count": b.count,
        "halted": b.halted,
        "valid": b.valid,
        "up": b.up,
        "down": b.down,
        "ratio": b.ratio(),
    })
}

/// One line of `--summary`: breadth over every symbol with a close, over every group, how the survival
/// forecasts of its episodes did, the fragility index, the groups that are judged, and the largest losses.
pub fn encode_summary(
    session: SessionDate,
    breadth: Option<&Breadth>,
    survival: &SurvivalScore,
    groups: &[GroupView],
    out: &mut Vec<u8>,
) {
    let mut line = Map::new();
    line.insert("session".into(), session.to_string().into());
    let mut universes = Map::new();
    if let Some(b) = breadth {
        universes.insert("all".into(), breadth_json(b));
    }
    for group in groups {
        universes.insert(group.name.to_string(), group_breadth_json(group));
    }
    line.insert("breadth".into(), universes.into());
    let survival = json!({
        "forecasts": survival.forecasts,
        "confirmed": survival.confirmed,
        "brier": survival.brier(),
        "base_brier": survival.base_brier(),
    });
    line.insert("survival".into(), survival);
    let index = groups.iter().find_map(|g| g.index.as_ref());
    line.insert("index".into(), index.map(index_json).into());
    let judged = groups.iter().filter(|g| g.is_judged);
    let clusters: Map<String, Value> = judged.map(|g| (g.name.to_string(), group_json(g))).collect();
    line.insert("clusters".into(), clusters.into());
    let surface = |g: &GroupView| Some((g.name.to_string(), surface_json(g.surface.as_deref()?)));
    let surfaces: Map<String, Value> = groups.iter().filter_map(surface).collect();
    line.insert("surfaces".into(), surfaces.into());
    let derived = |g: &GroupView| Some((g.name.to_string(), derived_json(g.derived.as_deref()?)));
    let derived: Map<String, Value> = groups.iter().filter_map(derived).collect();
    line.insert("derived".into(), derived.into());
    let contagion = |g: &GroupView| Some((g.name.to_string(), contagion_json(g.contagion.as_deref()?)));
    let contagion: Map<String, Value> = groups.iter().filter_map(contagion).collect();
    line.insert("contagion".into(), contagion.into());
    line.insert("records".into(), losses_json(groups).into());
    let _ = serde_json::to_writer(out, &line);
}

fn group_json(group: &GroupView) -> Value {
    let leg = |l: &Leg| {
        let percentile = l.rank.and_then(Result::ok).map(|r| r.percentile());
        (l.name.to_owned(), json!({"value": l.value.ok(), "percentile": percentile}))
    };
    let legs: Map<String, Value> = group.legs.iter().map(leg).collect();
    let members: Map<String, Value> = group.members.iter().map(|(s, z)| (s.to_string(), json!(z.ok()))).collect();
    json!({"level": group.level, "coverage": group.coverage.ok(), "legs": legs, "members": members})
}

/// Breadth over a group as reports and the API show it: of sectors, those that records name, and how many of them have
/// somebody in breach.
pub(crate) fn group_breadth_json(group: &GroupView) -> Value {
    let plain = |t: &Tally| json!({"count": t.count, "valid": t.valid, "up": t.up, "down": t.down, "ratio": t.ratio()});
    let mut value = plain(&group.breadth);
    let rank = group.breadth_rank.ok();
    value["percentile"] = rank.map(|r| r.percentile()).into();
    value["observations"] = rank.map(|r| r.observations).into();
    if !group.sectors.is_empty() {
        let by_sector: Map<String, Value> = group.sectors.iter().map(|(s, t)| (s.to_string(), plain(t))).collect();
        value["sectors"] = by_sector.into();
        value["sectors_affected"] = group.sectors.values().filter(|t| t.events() > 0).count().into();
    }
    value
}

/// The fragility index of a year to date.
pub(crate) fn index_json(index: &YearToDate) -> Value {
    let leaders = |side: &[Leader]| -> Vec<Value> {
        side.iter().map(|l| json!({"symbol": l.symbol.as_str(), "session": l.session.to_string(), "z": l.z})).collect()
    };
    json!({
        "universe": &*index.universe,
        "frequency_pct": index.frequency_pct,
        "magnitude": index.magnitude,
        "index": index.index,
        "interval": index.interval,
        "events": index.events,
        "valid": index.valid,
        "rank_full_years": index.ranks.map(|r| r[0]),
        "rank_same_day": index.ranks.map(|r| r[1]),
        "years": index.years,
        "history_universes": index.universes.iter().map(|u| &**u).collect::<Vec<_>>(),
        "largest_up": leaders(&index.leaders[0]),
        "largest_down": leaders(&index.leaders[1]),
    })
}

/// What lies beneath an index; what is not known is null, and named in `unknown`.
pub(crate) fn surface_json(surface: &SurfaceView) -> Value {
    let mut unknown = Map::new();
    let mut gap = |name: &str, reason: Unknown| _ = unknown.insert(name.to_owned(), reason.name().into());
    let mut known = |name: &str, reading: Reading| reading.map_err(|reason| gap(name, reason)).ok();
    let mean_correlation = known("mean_correlation", surface.mean_correlation);
    let absorption_ratio = known("absorption_ratio", surface.absorption_ratio);
    let absorption_shift = known("absorption_shift", surface.absorption_shift);
    let percentile = |rank: &crate::cluster::Rank| rank.as_ref().ok().map(LegRank::percentile);
    let window = |w: &SurfaceWindow| {
        let [index, stocks, ratio] = w.ranks.each_ref().map(percentile);
        json!({
            "sessions": w.sessions,
            "index_sigma": w.index_sigma.ok(),
            "index_sigma_percentile": index,
            "stock_sigma": w.stock_sigma.ok(),
            "stock_sigma_percentile": stocks,
            "ratio": w.ratio.ok(),
            "ratio_percentile": ratio,
            "implied_correlation": w.implied_correlation.ok(),
            "quiet_index_loud_stocks": w.is_calm.ok(),
        })
    };
    let path = surface.path.map_err(|reason| gap("path", reason)).ok();
    for w in &surface.windows {
        let name = |rest: &str| format!("windows.{}.{rest}", w.sessions);
        let readings = [("index_sigma", w.index_sigma), ("stock_sigma", w.stock_sigma), ("ratio", w.ratio)];
        for (rest, reading) in readings.into_iter().chain([("implied_correlation", w.implied_correlation)]) {
            _ = reading.map_err(|reason| gap(&name(rest), reason));
        }
        _ = w.is_calm.map_err(|reason| gap(&name("quiet_index_loud_stocks"), reason));
    }
    json!({
        "benchmark": surface.benchmark.as_str(),
        "session": surface.session.to_string(),
        "windows": surface.windows.iter().map(window).collect::<Vec<_>>(),
        "mean_correlation": mean_correlation,
        "absorption_ratio": absorption_ratio,
        "absorption_percentile": percentile(&surface.absorption_rank),
        "absorption_shift": absorption_shift,
        "path": path.map(|p| json!({
            "net_return": p.net.exp_m1(),
            "efficiency": p.efficiency,
            "range": p.range,
            "below_high": p.below_high,
        })),
        "unknown": unknown,
    })
}

/// Losses of the session among the largest that any group has seen, each company once.
fn losses_json(groups: &[GroupView]) -> Vec<Value> {
    let mut losses: Vec<&Loss> = groups.iter().flat_map(|g| &g.losses).collect();
    losses.sort_by(|a, b| b.usd.total_cmp(&a.usd).then(a.symbol.cmp(&b.symbol)).then(b.rank.cmp(&a.rank)));
    let mut seen = BTreeSet::new();
    losses.retain(|loss| seen.insert(&loss.symbol));
    losses.into_iter().map(loss_json).collect()
}

/// One of the largest losses.
pub(crate) fn loss_json(l: &Loss) -> Value {
    json!({
        "symbol": l.symbol.as_str(),
        "company": l.company.as_deref(),
        "session": l.session.to_string(),
        "loss_usd": l.usd,
        "rank": l.rank,
        "simple_return": l.log_return.exp_m1(),
        "market_value": l.market_value,
        "shares": l.shares,
        "basis": l.basis.map_or("provisional", CloseBasis::name),
    })
}

/// A line of the table of the largest losses.
pub(crate) fn loss_record_json(record: &LossRecord) -> Value {
    let LossRecord { rank, loss, is_told } = record;
    json!({
        "rank": rank,
        "symbol": loss.symbol.as_str(),
        "session": loss.session.to_string(),
        "loss_usd": loss.usd,
        "basis": &*loss.basis,
        "history": is_told,
    })
}

/// A group's learned curve as a reference record.
pub fn encode_curve(group: &str, curve: &GroupCurve, overnight: Option<f64>, out: &mut Vec<u8>) {
    let (first, last) = curve.span;
    let (sessions, symbols) = (curve.sessions, curve.symbols.len());
    let record = json!({
        "type": "curve",
        "group": group,
        "from": curve.from.to_string(),
        "shares": curve.shares,
        "overnight": overnight,
        "sessions": sessions,
        "source": format!("replay: {sessions} sessions from {first} to {last}, {symbols} symbols"),
    });
    let _ = serde_json::to_writer(out, &record);
}

/// The accounting of an input: records in, and where each of them went.
pub fn encode_accounting(accounts: &Accounts, out: &mut Vec<u8>) {
    let counts: Map<String, Value> =
        Outcome::ALL.iter().zip(accounts.outcomes).map(|(o, n)| (o.name().to_owned(), n.into())).collect();
    let line = json!({
        "records_in": accounts.records_in(),
        "outcomes": counts,
        "quarantined": accounts.quarantined,
    });
    let _ = serde_json::to_writer(out, &line);
}

/// A tick as a record of the input: what a dead letter says of one that waited and was refused.
pub fn encode_tick(tick: &Tick<'_>, out: &mut Vec<u8>) {
    let mut line = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            line.insert(name.to_owned(), value);
        }
    };
    let text = |field: &Option<std::borrow::Cow<'_, str>>| field.as_ref().map(|f| Value::from(&**f));
    put("type", Some("tick".into()));
    put("symbol", Some(Value::from(&*tick.symbol)));
    put("ts", Some(tick.ts.0.into()));
    put("price", Some(tick.price.get().into()));
    put("size", tick.size.map(Value::from));
    put("seq", tick.seq.map(Value::from));
    put("id", text(&tick.id));
    put("tape", tick.tape.map(|t| t.name().into()));
    put("venue", text(&tick.venue));
    let codes: Vec<&str> = tick.cond.as_slice().iter().map(crate::domain::ConditionCode::as_str).collect();
    put("cond", (!codes.is_empty()).then(|| codes.into()));
    put("feed", text(&tick.feed));
    let _ = serde_json::to_writer(out, &line);
}

/// Bytes of a refused value that its dead letter carries; the whole still stands at its origin.
const DEAD_LETTER_VALUE_MAX: usize = 16 * 1024;

/// Bytes of its key.
const DEAD_LETTER_KEY_MAX: usize = 256;
/// Characters of the detail, which may quote the record.
const DEAD_LETTER_DETAIL_MAX: usize = 512;

/// A refused record: why, where it stands, and what it said. Bytes that are not UTF-8 are replaced.
pub fn encode_dead_letter(
    reason: &str,
    detail: &str,
    topic: &str,
    origin: &Origin,
    key: Option<&[u8]>,
    value: &[u8],
    out: &mut Vec<u8>,
) {
    let kept = &value[..value.len().min(DEAD_LETTER_VALUE_MAX)];
    let key = key.map(|k| &k[..k.len().min(DEAD_LETTER_KEY_MAX)]);
    let detail: String = detail.chars().take(DEAD_LETTER_DETAIL_MAX).collect();
    let letter = json!({
        "schema": DEAD_LETTER_SCHEMA,
        "reason": reason,
        "detail": detail,
        "topic": topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "key": key.map(String::from_utf8_lossy),
        "value": String::from_utf8_lossy(kept),
        "value_bytes": value.len(),
    });
    let _ = serde_json::to_writer(out, &letter);
}

/// A sign of life on the alerts topic: the partitions spoken for and how far event time has come there.
pub fn encode_heartbeat(
    instance: &str,
    sent_at: UnixNanos,
    topic: &str,
    inputs: &[(i32, i64, Option<UnixNanos>)],
    flags: &[&str],
    out: &mut Vec<u8>,
) {
    let input = |(partition, next, at): &(i32, i64, Option<UnixNanos>)| json!({"topic": topic, "partition": partition, "next_offset": next, "event_time": at.map(|t| t.0)});
    let beat = json!({
        "schema": HEARTBEAT_SCHEMA,
        "instance": instance,
        "sent_at": sent_at.0,
        "inputs": inputs.iter().map(input).collect::<Vec<_>>(),
        "flags": flags,
    });
    let _ = serde_json::to_writer(out, &beat);
}
