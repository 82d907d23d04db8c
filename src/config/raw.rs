//! The mirror of the file: types alone, no judgement.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) kafka: RawKafka,
    pub(super) input: RawInput,
    pub(super) delivery: RawDelivery,
    pub(super) state: RawState,
    pub(super) http: RawHttp,
    pub(super) metrics: RawMetrics,
    pub(super) history: RawHistory,
    pub(super) log: RawLog,
    pub(super) alerts: RawAlerts,
    pub(super) universe: RawUniverse,
    pub(super) market: RawMarket,
    pub(super) volatility: RawVolatility,
    pub(super) ruler: RawRuler,
    pub(super) modes: RawModes,
    pub(super) rules: RawRules,
    pub(super) cluster: RawCluster,
    #[serde(default)]
    pub(super) groups: BTreeMap<String, RawGroup>,
    #[serde(default)]
    pub(super) feeds: BTreeMap<String, RawFeed>,
}

impl Raw {
    /// The same without what earlier sessions were.
    pub(super) fn without_histories(mut self) -> Self {
        self.history.legs.clear();
        self.history.index.clear();
        self.history.losses.clear();
        self.groups.values_mut().for_each(|group| group.legs = None);
        self
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModes {
    pub(super) garch: RawGarch,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGarch {
    pub(super) omega: f64,
    pub(super) alpha: f64,
    pub(super) beta: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKafka {
    pub(super) brokers: String,
    pub(super) group: String,
    pub(super) instance_id: String,
    pub(super) lanes: i64,
    pub(super) static_membership: bool,
    pub(super) oauth_token_file: String,
    pub(super) topics: RawTopics,
    pub(super) layout: RawLayout,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, RawProperty>,
}

/// A librdkafka value: text, or a number or flag written as one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum RawProperty {
    Text(String),
    Flag(bool),
    Whole(i64),
    Real(f64),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTopics {
    pub(super) market: String,
    pub(super) reference: String,
    pub(super) alerts: String,
    pub(super) state: String,
    pub(super) dead_letters: String,
    pub(super) members: String,
    pub(super) snapshots: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLayout {
    pub(super) replication: i64,
    pub(super) min_insync_replicas: i64,
    pub(super) principal: String,
    pub(super) feeder_principal: String,
    pub(super) reader_principal: String,
    pub(super) partitions: RawPartitions,
    pub(super) retention_hours: RawRetention,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPartitions {
    pub(super) market: i64,
    pub(super) reference: i64,
    pub(super) alerts: i64,
    pub(super) state: i64,
    pub(super) members: i64,
    pub(super) snapshots: i64,
    pub(super) dead_letters: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    pub(super) market: i64,
    pub(super) alerts: i64,
    pub(super) members: i64,
    pub(super) dead_letters: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInput {
    pub(super) format: String,
    pub(super) dxlink: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) schemas: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDelivery {
    pub(super) mode: String,
    pub(super) commit_interval_ms: i64,
    pub(super) in_flight_max: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawState {
    pub(super) dir: String,
    pub(super) snapshot_interval_secs: i64,
    pub(super) topic_interval_secs: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) listen: String,
    pub(super) tls_certificate: String,
    pub(super) tls_key: String,
    pub(super) token_file: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    pub(super) symbols: String,
    pub(super) top_k: i64,
    pub(super) watchlist: Vec<String>,
    pub(super) max_symbols: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHistory {
    pub(super) files: Vec<String>,
    pub(super) legs: String,
    pub(super) index: String,
    pub(super) losses: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: String,
    pub(super) level: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlerts {
    pub(super) format: String,
    pub(super) heartbeat_secs: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUniverse {
    pub(super) mode: String,
    pub(super) symbols: Vec<String>,
    pub(super) max_symbols: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMarket {
    pub(super) calendar: String,
    pub(super) calendar_overlay: String,
    pub(super) return_mode: String,
    pub(super) lateness_ms: i64,
    pub(super) lead_ms_max: i64,
    pub(super) limits_tolerance: f64,
    pub(super) stale_gaps: f64,
    pub(super) stale_secs_min: f64,
    pub(super) quarantine: RawQuarantine,
    pub(super) corrections: RawCorrections,
    pub(super) eligibility: String,
    pub(super) extended: RawExtended,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuarantine {
    pub(super) enabled: bool,
    pub(super) sigmas: f64,
    pub(super) floor: f64,
    pub(super) prints: i64,
    pub(super) venues: i64,
    pub(super) hold_ms: i64,
    pub(super) held_max: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCorrections {
    pub(super) prints_max: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExtended {
    pub(super) prints_min: i64,
    pub(super) value_min_usd: f64,
    pub(super) venues_min: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVolatility {
    pub(super) fast_half_life_secs: f64,
    pub(super) slow_half_life_secs: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRuler {
    pub(super) overnight_share: f64,
    pub(super) overnight_share_min: f64,
    pub(super) overnight_share_max: f64,
    pub(super) learn_sessions: i64,
    pub(super) pre_market_share: f64,
    pub(super) curve: Vec<f64>,
    #[serde(default)]
    pub(super) groups: BTreeMap<String, RawRulerGroup>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRulerGroup {
    pub(super) symbols: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRules {
    pub(super) symbol_shock: RawSymbolShock,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSymbolShock {
    pub(super) tiers: Vec<f64>,
    pub(super) close_at: f64,
    pub(super) close_after_secs: i64,
    pub(super) cooldown_secs: i64,
    pub(super) deescalate: bool,
    pub(super) deescalate_margin: f64,
    pub(super) updates: bool,
    pub(super) update_step_sigmas: f64,
    pub(super) update_interval_secs: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    pub(super) interval_ms: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    #[serde(default)]
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) benchmark: Option<String>,
    #[serde(default)]
    pub(super) benchmark_share: Option<f64>,
    #[serde(default)]
    pub(super) universe: Option<String>,
    #[serde(default)]
    pub(super) largest: Option<i64>,
    #[serde(default)]
    pub(super) index: bool,
    #[serde(default)]
    pub(super) legs: Option<String>,
    #[serde(default = "default_ease")]
    pub(super) ease_after_secs: i64,
    #[serde(default = "default_coverage")]
    pub(super) coverage_min: f64,
    #[serde(default)]
    pub(super) levels: Option<RawLevels>,
}

fn default_ease() -> i64 {
    600
}

fn default_coverage() -> f64 {
    0.8
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLevels {
    pub(super) watch: RawLevel,
    pub(super) alert: RawLevel,
    pub(super) critical: RawLevel,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLevel {
    pub(super) basket_z: f64,
    pub(super) rms_z: f64,
    pub(super) members: i64,
    pub(super) legs: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFeed {
    #[serde(default)]
    pub(super) flag: Option<String>,
    #[serde(default)]
    pub(super) idle_secs: Option<i64>,
}
