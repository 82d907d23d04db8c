//! Alerts and states as they stand in a log: the mirror of what [`super::encode_alert`] writes.
//!
//! Numbers come back to the bit. Fields that this build does not know are passed over; one that it knows and
//! that is missing, of another type or named twice is an error that says which.

use super::alert::{ALERT_SCHEMA, STATE_SCHEMA};
use super::json::VALUE_LEN_MAX;
use super::reports::HEARTBEAT_SCHEMA;
use crate::domain::{AlertKind, AlertState, Direction, Phase, SessionDate};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Why bytes are not an alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotAnAlert(String);

impl fmt::Display for NotAnAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAnAlert {}

/// What a record of the alerts or the state topic is.
#[derive(Clone, PartialEq, Debug)]
pub enum SaidRecord {
    /// An alert, or the state after it, with its arithmetic.
    Full(Box<AlertRecord>),
    /// The benchmark's short form, which carries none.
    Compact(CompactRecord),
    /// A sign of life.
    Heartbeat,
}

/// A value that stands under its name.
trait Named: Sized {
    fn named(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($type:ty),*) => {$(
        impl Named for $type {
            fn named(name: &str) -> Option<Self> {
                Self::from_name(name)
            }
        }
    )*};
}

named!(AlertKind, AlertState, Phase);

impl Named for Direction {
    fn named(name: &str) -> Option<Self> {
        [Self::Up, Self::Down].into_iter().find(|d| d.name() == name)
    }
}

fn by_name<'de, D: Deserializer<'de>, T: Named>(deserializer: D) -> Result<T, D::Error> {
    let name = String::deserialize(deserializer)?;
    T::named(&name).ok_or_else(|| D::Error::custom(format!("{name:?} is none of its values")))
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SessionDate, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|()| D::Error::custom(format!("{text:?} is no date")))
}

fn date_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SessionDate>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|t| t.parse().map_err(|()| D::Error::custom(format!("{t:?} is no date")))).transpose()
}

/// Null is a value; a missing field is none.
fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// `entity`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct EntityRecord {
    pub r#type: String,
    pub id: String,
}

/// `rule`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct RuleRecord {
    pub id: String,
    pub version: u32,
    pub config_hash: String,
    pub tiers: Vec<f64>,
}

/// `ruler`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct RulerRecord {
    pub elapsed: f64,
    pub overnight: f64,
    pub basis: String,
    pub overnight_sessions: u64,
    pub curve_sessions: u64,
}

/// One of `windows`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct MoveRecord {
    pub secs: u32,
    #[serde(deserialize_with = "or_null")]
    pub r#move: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub z: Option<f64>,
}

/// `window.echo`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct EchoRecord {
    #[serde(deserialize_with = "date")]
    pub session: SessionDate,
    pub share: f64,
    #[serde(deserialize_with = "or_null")]
    pub sigma_without: Option<f64>,
    pub sessions_left: usize,
}

/// `window`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct WindowRecord {
    pub n: usize,
    #[serde(deserialize_with = "date")]
    pub first: SessionDate,
    #[serde(deserialize_with = "date")]
    pub last: SessionDate,
    pub max_abs_return: f64,
    #[serde(deserialize_with = "or_null")]
    pub echo: Option<EchoRecord>,
}

/// One of `modes`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct ModeRecord {
    #[serde(deserialize_with = "or_null")]
    pub sigma: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub z: Option<f64>,
    pub unknown: Option<String>,
}

/// A statistic with its probability: `realized.jump`, or `realized.largest`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct TestRecord {
    #[serde(alias = "statistic")]
    pub z: f64,
    pub p: f64,
}

/// `realized`, as far as one part of it follows from another.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct RealizedRecord {
    pub returns: u32,
    #[serde(deserialize_with = "or_null")]
    pub jump: Option<TestRecord>,
    #[serde(deserialize_with = "or_null")]
    pub largest: Option<TestRecord>,
}

/// `reference`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct ReferenceRecord {
    pub price: f64,
    #[serde(deserialize_with = "date_or_null")]
    pub session: Option<SessionDate>,
    pub basis: String,
}

/// One of `next_tiers`.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct NextTierRecord {
    pub tier: f64,
    pub price: f64,
}

/// One of `evidence`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct EvidenceRecord {
    #[serde(deserialize_with = "date")]
    pub session: SessionDate,
    pub log_return: f64,
}

/// One of `cluster.legs`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct LegRecord {
    pub name: String,
    #[serde(deserialize_with = "or_null")]
    pub value: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub percentile: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub threshold: Option<f64>,
    pub reached: bool,
    pub rank: Option<RankRecord>,
}

/// `cluster.legs[].rank`.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct RankRecord {
    pub below: u32,
    pub equal: u32,
    pub observations: u32,
    pub p99: f64,
}

/// One of `cluster.universe.securities`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct SecurityRecord {
    pub symbol: String,
    pub sector: Option<String>,
    #[serde(deserialize_with = "or_null")]
    pub z: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub log_return: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub market_value: Option<f64>,
}

/// `cluster.universe`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct UniverseRecord {
    pub name: String,
    pub count: u32,
    pub valid: u32,
    pub up: u32,
    pub down: u32,
    pub securities: Vec<SecurityRecord>,
}

/// `cluster.turbulence`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct TurbulenceRecord {
    pub mean: Vec<f64>,
    pub covariance: Vec<f64>,
    pub magnitude: f64,
    #[serde(deserialize_with = "or_null")]
    pub correlation_surprise: Option<f64>,
}

/// One of `cluster.counterfactual`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct WithoutRecord {
    pub symbol: String,
    pub level: String,
    #[serde(deserialize_with = "or_null")]
    pub basket_return: Option<f64>,
    pub legs: BTreeMap<String, Option<f64>>,
}

/// One of `cluster.members`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct MemberRecord {
    pub symbol: String,
    #[serde(deserialize_with = "or_null")]
    pub z: Option<f64>,
    pub log_return: Option<f64>,
    pub market_value: Option<f64>,
    #[serde(default)]
    pub classes: Vec<String>,
    #[serde(deserialize_with = "or_null")]
    pub contribution: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub breached_at: Option<i64>,
}

/// One of `cluster.levels`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct LevelRecord {
    pub level: String,
    pub basket_z: f64,
    pub rms_z: f64,
    pub members: f64,
    pub legs: usize,
}

/// `cluster`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct ClusterRecord {
    pub level: String,
    pub legs: Vec<LegRecord>,
    pub members: Vec<MemberRecord>,
    #[serde(deserialize_with = "or_null")]
    pub coverage: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub initiator: Option<String>,
    pub followers: Vec<String>,
    #[serde(default)]
    pub follower_lags_secs: Vec<Option<f64>>,
    pub levels: Option<[LevelRecord; 3]>,
    pub universe: Option<UniverseRecord>,
    pub turbulence: Option<TurbulenceRecord>,
    #[serde(rename = "counterfactual", default)]
    pub without: Vec<WithoutRecord>,
    pub breach_at: f64,
    pub coverage_min: f64,
}

/// `gap`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct GapRecord {
    pub open: f64,
    pub basis: String,
    pub overnight: f64,
    pub intraday: f64,
}

/// `usd`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct UsdRecord {
    pub market_value_change: f64,
    #[serde(deserialize_with = "or_null")]
    pub shares: Option<f64>,
    pub basis: String,
    #[serde(default)]
    pub record_rank: Option<u32>,
    #[serde(default)]
    pub record_sessions: Option<u32>,
}

/// One of `source`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct SourceRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// An alert, or the state after it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct AlertRecord {
    pub schema: String,
    pub alert_id: String,
    pub revision: u32,
    pub sequence: u64,
    pub episode: u32,
    #[serde(deserialize_with = "by_name")]
    pub kind: AlertKind,
    #[serde(deserialize_with = "by_name")]
    pub state: AlertState,
    pub entity: EntityRecord,
    pub groups: Vec<String>,
    pub rule: RuleRecord,
    pub mode: String,
    #[serde(deserialize_with = "date_or_null")]
    pub session: Option<SessionDate>,
    #[serde(deserialize_with = "by_name")]
    pub phase: Phase,
    pub event_time: i64,
    #[serde(deserialize_with = "by_name")]
    pub direction: Direction,
    pub tier: f64,
    pub peak_tier: f64,
    pub severity: String,
    #[serde(deserialize_with = "or_null")]
    pub z: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub z_adjusted: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub ruler: Option<RulerRecord>,
    #[serde(deserialize_with = "or_null")]
    pub windows: Option<Vec<MoveRecord>>,
    #[serde(deserialize_with = "or_null")]
    pub survival: Option<f64>,
    pub survival_model: String,
    #[serde(deserialize_with = "or_null")]
    pub sigma_daily: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub window: Option<WindowRecord>,
    #[serde(deserialize_with = "or_null")]
    pub modes: Option<BTreeMap<String, ModeRecord>>,
    #[serde(deserialize_with = "or_null")]
    pub realized: Option<RealizedRecord>,
    #[serde(deserialize_with = "or_null")]
    pub log_return: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub simple_return: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub price: Option<f64>,
    #[serde(deserialize_with = "or_null")]
    pub reference: Option<ReferenceRecord>,
    #[serde(deserialize_with = "or_null")]
    pub suspected_split: Option<f64>,
    #[serde(default)]
    pub gap: Option<GapRecord>,
    pub next_tiers: Vec<NextTierRecord>,
    #[serde(deserialize_with = "or_null")]
    pub evidence: Option<Vec<EvidenceRecord>>,
    #[serde(deserialize_with = "or_null")]
    pub cluster: Option<ClusterRecord>,
    #[serde(deserialize_with = "or_null")]
    pub usd: Option<UsdRecord>,
    pub quality: Vec<String>,
    pub summary: String,
    pub unknown: BTreeMap<String, String>,
    pub source: Vec<SourceRecord>,
    pub digest: String,
}

/// The benchmark's short form.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields of the record, which docs/alerts.md describes")]
pub struct CompactRecord {
    #[serde(deserialize_with = "by_name")]
    pub kind: AlertKind,
    pub symbol: String,
    pub ts: i64,
    pub tier: f64,
    #[serde(deserialize_with = "or_null")]
    pub z: Option<f64>,
    pub episode: u32,
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotAnAlert> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read: T = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        NotAnAlert(if path == "." { e.inner().to_string() } else { format!("{path}: {}", e.inner()) })
    })?;
    json.end().map_err(|e| NotAnAlert(e.to_string()))?;
    Ok(read)
}

/// Reads one record of the alerts or the state topic, or one line of a replay.
///
/// # Errors
/// When it is none of the forms there are, naming the field.
pub fn decode_alert(bytes: &[u8]) -> Result<SaidRecord, NotAnAlert> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
        fast_vol: Option<f64>,
    }
    if bytes.len() > VALUE_LEN_MAX {
        return Err(NotAnAlert(format!("has {} bytes, at most {VALUE_LEN_MAX} are read", bytes.len())));
    }
    let head: Head = read(bytes)?;
    match (head.schema.as_deref(), head.fast_vol) {
        (Some(ALERT_SCHEMA | STATE_SCHEMA), _) => Ok(SaidRecord::Full(read(bytes)?)),
        (Some(HEARTBEAT_SCHEMA), _) => Ok(SaidRecord::Heartbeat),
        (None, Some(_)) => Ok(SaidRecord::Compact(read(bytes)?)),
        (Some(other), _) => Err(NotAnAlert(format!("schema: {other:?} is no alert"))),
        (None, None) => Err(NotAnAlert("schema: missing, so it is no alert".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_alert_says_why() {
        let why = |bytes: &[u8]| decode_alert(bytes).unwrap_err().to_string();
        assert!(why(b"not json").contains("expected"));
        assert!(why(b"{}").contains("schema: missing"));
        assert!(why(br#"{"schema":"fragility.dead_letter.v1"}"#).contains("is no alert"));
        assert!(why(br#"{"schema":"fragility.alert.v1","alert_id":"x"}"#).contains("missing field `revision`"));
        assert!(why(br#"{"schema":"fragility.alert.v1","alert_id":"x","revision":-1}"#).starts_with("revision: "));
        assert!(why(br#"{"schema":"fragility.heartbeat.v1"} x"#).contains("trailing"));
        assert_eq!(decode_alert(br#"{"schema":"fragility.heartbeat.v1"}"#), Ok(SaidRecord::Heartbeat));
    }
}
