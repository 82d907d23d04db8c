//! Alerts to JSON: `fragility.alert.v1`, and the short form of the benchmark.

use super::alert_cluster::cluster_json;
use super::digest::{SOURCE_MARK, digest_of};
use super::realized::realized_json;
use crate::domain::{Alert, EchoView, GapView, ModeView, Reading, RuleRef, RulerView, Unknown, UsdChange, WindowMove};
use crate::estimators::SURVIVAL_MODEL;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use std::collections::BTreeMap;

/// Name and version of an alert's format.
pub const ALERT_SCHEMA: &str = "fragility.alert.v1";
/// Name and version of a state's format.
pub const STATE_SCHEMA: &str = "fragility.state.v1";

/// Multiples of sigma are published with four decimals; decisions are made on the unrounded.
pub(crate) fn rounded(value: f64) -> f64 {
    let scaled = (value * 1e4).round() / 1e4;
    // No negative zero.
    if scaled == 0.0 { 0.0 } else { scaled }
}

/// A number that prints without decimals when it has none.
pub(crate) struct Tier(pub(crate) f64);

impl Serialize for Tier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e9 {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be a small whole number")]
            return serializer.serialize_i64(self.0 as i64);
        }
        serializer.serialize_f64(self.0)
    }
}

/// A sequence made while it is written.
pub(super) struct Each<F>(pub(super) F);

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            seq.serialize_element(&item)?;
        }
        seq.end()
    }
}

#[derive(Serialize)]
struct EntityJson<'a> {
    r#type: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    id: &'a str,
    version: u32,
    config_hash: &'a str,
    tiers: Vec<Tier>,
}

#[derive(Serialize)]
struct WindowJson {
    n: usize,
    first: String,
    last: String,
    max_abs_return: f64,
    echo: Option<EchoJson>,
}

/// The echo of a window's largest return, in records and in `--modes`.
#[derive(Serialize)]
pub(super) struct EchoJson {
    session: String,
    share: f64,
    sigma_without: Option<f64>,
    sessions_left: usize,
}

pub(super) fn echo_json(echo: &EchoView) -> EchoJson {
    let EchoView { session, share, sigma_without, sessions_left } = *echo;
    EchoJson { session: session.to_string(), share, sigma_without, sessions_left }
}

#[derive(Serialize)]
struct ModeJson {
    sigma: Option<f64>,
    z: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'static str>,
}

fn mode_json(mode: &ModeView) -> ModeJson {
    let unknown = mode.sigma.err().or(mode.z.err()).map(Unknown::name);
    ModeJson { sigma: mode.sigma.ok(), z: mode.z.ok().map(rounded), unknown }
}

#[derive(Serialize)]
struct ReferenceJson<'a> {
    price: f64,
    session: Option<String>,
    basis: &'a str,
}

#[derive(Serialize)]
struct NextTierJson {
    tier: Tier,
    price: f64,
}

#[derive(Serialize)]
struct EvidenceJson {
    session: String,
    log_return: f64,
}

#[derive(Serialize)]
struct GapJson {
    open: f64,
    basis: &'static str,
    overnight: f64,
    intraday: f64,
}

fn gap_json(gap: &GapView) -> GapJson {
    let GapView { open, basis, overnight, intraday } = *gap;
    GapJson { open, basis, overnight, intraday }
}

#[derive(Serialize)]
struct UsdJson<'a> {
    market_value_change: f64,
    shares: Option<f64>,
    basis: &'a str,
    record_rank: Option<u32>,
    record_sessions: Option<u32>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    kind: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct SourceJson<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
}

/// What a multiple was adjusted by.
#[derive(Serialize)]
pub struct RulerJson {
    elapsed: f64,
    overnight: f64,
    basis: &'static str,
    overnight_sessions: usize,
    curve_sessions: usize,
}

/// The form of a ruler in records and in the API.
pub fn ruler_json(ruler: &RulerView) -> RulerJson {
    RulerJson {
        elapsed: ruler.elapsed,
        overnight: ruler.overnight,
        basis: if ruler.is_default() { "default" } else { "learned" },
        overnight_sessions: ruler.overnight_sessions,
        curve_sessions: ruler.curve_sessions,
    }
}

/// The move of the last seconds.
#[derive(Serialize)]
pub struct WindowMoveJson {
    secs: u32,
    r#move: Option<f64>,
    z: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'static str>,
}

/// The form of a window's move in records and in the API.
pub fn window_json(window: &WindowMove) -> WindowMoveJson {
    WindowMoveJson {
        secs: window.secs,
        r#move: window.log_return.ok(),
        z: window.z.ok().map(rounded),
        unknown: window.z.err().map(Unknown::name),
    }
}

/// Collects the reason of each field that is null.
struct Reasons(Vec<(&'static str, Unknown)>);

impl Reasons {
    fn field(&mut self, name: &'static str, reading: Reading) -> Option<f64> {
        self.any(name, &reading).copied()
    }

    fn any<'a, T>(&mut self, name: &'static str, value: &'a Result<T, Unknown>) -> Option<&'a T> {
        value.as_ref().map_err(|reason| self.0.push((name, *reason))).ok()
    }

    fn of_usd(&mut self, usd: Option<&UsdJson<'_>>) {
        let Some(usd) = usd else { return };
        if usd.record_rank.is_none() {
            let is_first = usd.record_sessions == Some(0);
            self.0.push(("usd.record_rank", if is_first { Unknown::ShortHistory } else { Unknown::NotComputed }));
        }
        if usd.shares.is_none() {
            self.0.push(("usd.shares", Unknown::NotASecurity));
        }
    }
}

fn usd_json(u: &UsdChange) -> UsdJson<'_> {
    UsdJson {
        market_value_change: u.market_value_change,
        shares: u.shares,
        basis: u.basis,
        record_rank: u.record.and_then(|r| r.rank),
        record_sessions: u.record.map(|r| r.sessions),
    }
}

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, reason) in &self.0 {
            map.serialize_entry(field, reason.name())?;
        }
        map.end()
    }
}

struct AlertJson<'a> {
    schema: &'static str,
    alert: &'a Alert,
}

impl Serialize for AlertJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let a = self.alert;
        let mut reasons = Reasons(Vec::new());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", self.schema)?;
        map.serialize_entry("alert_id", &a.alert_id.hyphenated().to_string())?;
        map.serialize_entry("revision", &a.revision)?;
        map.serialize_entry("sequence", &a.sequence)?;
        map.serialize_entry("episode", &a.episode)?;
        map.serialize_entry("kind", a.kind.name())?;
        map.serialize_entry("state", a.state.name())?;
        map.serialize_entry("entity", &EntityJson { r#type: a.entity.type_name(), id: a.entity.id() })?;
        map.serialize_entry("groups", &a.groups)?;
        let RuleRef { id, version, config_hash, tiers } = &a.rule;
        let rule = RuleJson { id, version: *version, config_hash, tiers: tiers.iter().map(|t| Tier(*t)).collect() };
        map.serialize_entry("rule", &rule)?;
        map.serialize_entry("mode", "bofa21")?;
        if a.session.is_none() {
            reasons.0.push(("session", Unknown::NoCalendar));
        }
        map.serialize_entry("session", &a.session.map(|s| s.to_string()))?;
        map.serialize_entry("phase", a.phase.name())?;
        map.serialize_entry("event_time", &a.event_time.0)?;
        map.serialize_entry("direction", a.direction.name())?;
        map.serialize_entry("tier", &Tier(a.tier))?;
        map.serialize_entry("peak_tier", &Tier(a.peak_tier))?;
        map.serialize_entry("severity", a.severity)?;
        map.serialize_entry("z", &reasons.field("z", a.z).map(rounded))?;
        map.serialize_entry("z_adjusted", &reasons.field("z_adjusted", a.z_adjusted).map(rounded))?;
        map.serialize_entry("ruler", &reasons.any("ruler", &a.ruler).map(ruler_json))?;
        map.serialize_entry("windows", &reasons.any("windows", &a.windows).map(|w| w.each_ref().map(window_json)))?;
        map.serialize_entry("survival", &reasons.field("survival", a.survival).map(rounded))?;
        map.serialize_entry("survival_model", SURVIVAL_MODEL)?;
        map.serialize_entry("sigma_daily", &reasons.field("sigma_daily", a.sigma_daily))?;
        let window = reasons.any("window", &a.window).map(|w| WindowJson {
            n: w.n,
            first: w.first.to_string(),
            last: w.last.to_string(),
            max_abs_return: w.max_abs_return,
            echo: w.echo.as_ref().map(echo_json),
        });
        map.serialize_entry("window", &window)?;
        let modes = reasons.any("modes", &a.modes).map(|list| list.iter().map(|m| (m.name, mode_json(m))));
        map.serialize_entry("modes", &modes.map(Iterator::collect::<BTreeMap<_, _>>))?;
        map.serialize_entry("realized", &reasons.any("realized", &a.realized).map(realized_json))?;
        map.serialize_entry("log_return", &reasons.field("log_return", a.log_return))?;
        map.serialize_entry("simple_return", &reasons.field("simple_return", a.simple_return))?;
        map.serialize_entry("price", &reasons.field("price", a.price))?;
        let reference = reasons.any("reference", &a.reference).map(|r| ReferenceJson {
            price: r.price,
            session: r.session.map(|s| s.to_string()),
            basis: r.basis,
        });
        if reference.as_ref().is_some_and(|r| r.session.is_none()) {
            reasons.0.push(("reference.session", Unknown::DeskReference));
        }
        map.serialize_entry("reference", &reference)?;
        let suspected = a.reference.as_ref().ok().and_then(|r| r.suspected_split);
        map.serialize_entry("suspected_split", &suspected)?;
        map.serialize_entry("gap", &reasons.any("gap", &a.gap).map(gap_json))?;
        let next = || a.next_tiers.iter().map(|n| NextTierJson { tier: Tier(n.tier), price: n.price });
        map.serialize_entry("next_tiers", &Each(next))?;
        let evidence = reasons
            .any("evidence", &a.evidence)
            .map(|list| Each(|| list.iter().map(|(s, r)| EvidenceJson { session: s.to_string(), log_return: *r })));
        map.serialize_entry("evidence", &evidence)?;
        if let Some(cluster) = &a.cluster {
            reasons.field("cluster.coverage", cluster.coverage);
            // Fixed bounds compare with no past.
            if cluster.levels.is_some() {
                reasons.0.push(("cluster.legs.percentile", Unknown::NotComputed));
            }
        }
        map.serialize_entry("cluster", &a.cluster.as_ref().map(cluster_json))?;
        let usd = reasons.any("usd", &a.usd).map(usd_json);
        reasons.of_usd(usd.as_ref());
        map.serialize_entry("usd", &usd)?;
        map.serialize_entry("quality", &a.quality)?;
        let events = || {
            a.events.iter().map(|(time, e)| EventJson {
                kind: &e.kind,
                source: &e.source,
                time: time.map(|t| t.0),
                text: e.text.as_deref(),
                url: e.url.as_deref(),
            })
        };
        map.serialize_entry("events", &Each(events))?;
        map.serialize_entry("summary", &a.summary)?;
        map.serialize_entry("unknown", &reasons)?;
        map.end()
    }
}

/// Writes a record, its places in the log and the digest behind it, without a line end.
fn encode(schema: &'static str, alert: &Alert, out: &mut Vec<u8>) {
    let start = out.len();
    // Writing numbers and text into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, &AlertJson { schema, alert });
    // The record goes on behind what is digested.
    out.pop();
    let digest = digest_of(&out[start..]);
    out.extend_from_slice(SOURCE_MARK);
    out.pop();
    let source =
        || alert.source.iter().map(|s| SourceJson { topic: &s.topic, partition: s.partition, offset: s.offset });
    let _ = serde_json::to_writer(&mut *out, &Each(source));
    out.extend_from_slice(b",\"digest\":\"");
    out.extend_from_slice(digest.as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Appends an alert as one JSON object, without a line end.
pub fn encode_alert(alert: &Alert, out: &mut Vec<u8>) {
    encode(ALERT_SCHEMA, alert, out);
}

/// Appends the entity's state after an alert: the same fields, under the schema of the state topic.
pub fn encode_state(alert: &Alert, out: &mut Vec<u8>) {
    encode(STATE_SCHEMA, alert, out);
}

#[derive(Serialize)]
struct CompactJson<'a> {
    kind: &'a str,
    symbol: &'a str,
    ts: i64,
    tier: Tier,
    z: Option<f64>,
    fast_vol: f64,
    slow_vol: f64,
    episode: u32,
}

/// Appends the benchmark's short form.
pub fn encode_compact_alert(alert: &Alert, out: &mut Vec<u8>) {
    let compact = CompactJson {
        kind: alert.kind.name(),
        symbol: alert.entity.id(),
        ts: alert.event_time.0,
        tier: Tier(alert.tier),
        z: alert.z.ok().map(rounded),
        fast_vol: alert.fast_volatility,
        slow_vol: alert.slow_volatility,
        episode: alert.episode,
    };
    let _ = serde_json::to_writer(out, &compact);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_rounded_and_tiers_are_whole() {
        assert_eq!(rounded(-6.287_111).to_bits(), (-6.2871_f64).to_bits());
        assert_eq!(rounded(-0.000_01).to_bits(), 0.0_f64.to_bits());
        assert_eq!(serde_json::to_string(&Tier(3.0)).unwrap(), "3");
        assert_eq!(serde_json::to_string(&Tier(2.5)).unwrap(), "2.5");
    }
}
