//! From the mirror of the file to a configuration that holds together.

use super::calendar::read_overlay;
use super::eligibility::read_eligibility;
use super::groups::check_groups;
use super::http::{Http, check_http};
use super::input::check_input;
use super::layers::is_secret;
use super::layout::{Layout, check_layout};
use super::metrics::{SymbolPolicy, check_metrics};
use super::raw::{Raw, RawFeed, RawModes, RawProperty, RawQuarantine};
use super::ruler::check_ruler;
use crate::codec::Decoder;
use crate::domain::NANOS_PER_SEC;
use crate::engine::{FeedParams, Params, StaleRules, Universe};
use crate::estimators::{GarchParams, ModeParams};
use crate::market::eligibility::{GateParams, Table, VENUES_KEPT};
use crate::market::{Calendar, QuarantineRules, ReturnMode};
use crate::rules::EpisodeRules;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Wire form of alerts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlertFormat {
    /// `fragility.alert.v1`.
    Full,
    /// The benchmark's.
    Compact,
}

/// What a reader of the alerts may rely on after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryMode {
    /// Each alert at once; one may come again, with the same id, revision and bytes.
    AtLeastOnce,
    /// Alerts, states, dead letters and offsets in one transaction: readers of committed records see each once.
    ExactlyOnce,
}

/// Form of the log on stderr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Topic names; `None` where none is configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topics {
    /// Ticks, bars, closes, heartbeats.
    pub market: String,
    /// Reference records.
    pub reference: Option<String>,
    /// Alerts.
    pub alerts: String,
    /// Latest state of each entity.
    pub state: Option<String>,
    /// Refused records.
    pub dead_letters: Option<String>,
    /// What members tell groups, where no lane reads all of them.
    pub members: Option<String>,
    /// Snapshots, for other machines.
    pub snapshots: Option<String>,
}

/// How to reach Kafka.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kafka {
    /// Bootstrap servers.
    pub brokers: String,
    /// Consumer group.
    pub group: String,
    /// Name of this instance; `None`: made once and kept.
    pub instance_id: Option<String>,
    /// Consumers in this process, each on a thread of its own.
    pub lanes: usize,
    /// Whether the group knows this instance by name.
    pub static_membership: bool,
    /// Where the token of SASL OAUTHBEARER is read, again and again.
    pub oauth_token_file: Option<String>,
    /// Topics.
    pub topics: Topics,
    /// How they are laid out by whoever makes them.
    pub layout: Layout,
    /// Further librdkafka settings.
    pub properties: BTreeMap<String, String>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Kafka.
    pub kafka: Kafka,
    /// Which form the market records have.
    pub decoder: Decoder,
    /// What delivery promises.
    pub delivery: DeliveryMode,
    /// Spacing of commits.
    pub commit_interval: Duration,
    /// Alerts in flight before the input pauses.
    pub in_flight_max: usize,
    /// Where snapshots live.
    pub state_dir: PathBuf,
    /// Spacing of snapshots.
    pub snapshot_interval: Duration,
    /// Spacing of snapshots in the topic that other machines read.
    pub shared_interval: Duration,
    /// The HTTP server.
    pub http: Http,
    /// Which symbols have series of their own.
    pub symbol_series: SymbolPolicy,
    /// How many at most.
    pub symbol_series_max: usize,
    /// Files loaded before the first record.
    pub history_files: Vec<PathBuf>,
    /// Log form.
    pub log_format: LogFormat,
    /// Log filter.
    pub log_level: String,
    /// Wire form of alerts.
    pub alert_format: AlertFormat,
    /// Spacing of heartbeats on the alerts topic; `None`: none are sent.
    pub heartbeat: Option<Duration>,
    /// What the engine is told.
    pub params: Params,
}

impl Config {
    /// The same for lanes that judge groups by what members say: they follow that log, in a group of their own.
    #[must_use]
    pub fn of_members(&self) -> Option<Self> {
        let mut own = self.clone();
        own.kafka.topics.market = self.kafka.topics.members.clone()?;
        own.kafka.group = format!("{}-groups", self.kafka.group);
        Some(own)
    }
}

type Problems = Vec<(String, String)>;

pub(super) struct Checker {
    problems: Problems,
}

impl Checker {
    pub(super) fn refuse(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.problems.push((key.into(), message.into()));
    }

    pub(super) fn whole(&mut self, key: &str, value: i64, low: i64, high: i64) -> i64 {
        if !(low..=high).contains(&value) {
            self.refuse(key, format!("is {value}, must be from {low} to {high}"));
        }
        value.clamp(low, high)
    }

    pub(super) fn real(&mut self, key: &str, value: f64, low: f64, high: f64) -> f64 {
        if !(low..=high).contains(&value) {
            self.refuse(key, format!("is {value}, must be from {low} to {high}"));
            return low;
        }
        value
    }

    pub(super) fn one_of<T: Copy>(&mut self, key: &str, value: &str, choices: &[(&str, T)]) -> T {
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
            return *choice;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.refuse(key, format!("is {value:?}, must be one of {}", names.join(", ")));
        choices[0].1
    }

    fn topic(&mut self, key: &str, name: &str, required: bool) -> Option<String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() {
            if required {
                self.refuse(key, "is empty, must name a topic");
            }
            return None;
        }
        if name.len() > 249 || !name.chars().all(legal) {
            self.refuse(key, format!("is {name:?}, not a topic name: letters, digits, '.', '_' and '-', at most 249"));
        }
        Some(name.to_owned())
    }
}

impl Config {
    /// Checks every value; `hashed` is the text of the settings that can change an alert.
    ///
    /// # Errors
    /// Every problem, by key.
    pub(super) fn check(raw: &Raw, hashed: &str) -> Result<Self, Problems> {
        let mut c = Checker { problems: Vec::new() };
        let kafka = check_kafka(&mut c, raw);
        let decoder = check_input(&mut c, &raw.input);
        let modes = [("at_least_once", DeliveryMode::AtLeastOnce), ("exactly_once", DeliveryMode::ExactlyOnce)];
        let delivery = c.one_of("delivery.mode", &raw.delivery.mode, &modes);
        let millis = |v: i64| Duration::from_millis(u64::try_from(v).unwrap_or(0));
        let secs = |v: i64| Duration::from_secs(u64::try_from(v).unwrap_or(0));
        let commit_interval =
            millis(c.whole("delivery.commit_interval_ms", raw.delivery.commit_interval_ms, 10, 60_000));
        let in_flight_max = c.whole("delivery.in_flight_max", raw.delivery.in_flight_max, 1, 1_000_000);
        let snapshot_interval =
            secs(c.whole("state.snapshot_interval_secs", raw.state.snapshot_interval_secs, 1, 3_600));
        let shared_interval = secs(c.whole("state.topic_interval_secs", raw.state.topic_interval_secs, 1, 86_400));
        if raw.state.dir.is_empty() {
            c.refuse("state.dir", "is empty, must name a directory");
        }
        let http = check_http(&mut c, &raw.http);
        let (symbol_series, symbol_series_max) = check_metrics(&mut c, &raw.metrics);
        let log_format =
            c.one_of("log.format", &raw.log.format, &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]);
        let formats = [("full", AlertFormat::Full), ("compact", AlertFormat::Compact)];
        let alert_format = c.one_of("alerts.format", &raw.alerts.format, &formats);
        let heartbeat = secs(c.whole("alerts.heartbeat_secs", raw.alerts.heartbeat_secs, 0, 3_600));
        let params = check_params(&mut c, raw, hashed);
        if !c.problems.is_empty() {
            return Err(c.problems);
        }
        Ok(Self {
            kafka,
            decoder,
            delivery,
            commit_interval,
            in_flight_max: usize::try_from(in_flight_max).unwrap_or(1),
            state_dir: PathBuf::from(&raw.state.dir),
            snapshot_interval,
            shared_interval,
            http,
            symbol_series,
            symbol_series_max,
            history_files: raw.history.files.iter().map(PathBuf::from).collect(),
            log_format,
            log_level: raw.log.level.clone(),
            alert_format,
            heartbeat: (!heartbeat.is_zero()).then_some(heartbeat),
            params,
        })
    }
}

/// Settings the delivery guarantee rests on; a value from outside would break it silently.
const OURS: [&str; 9] = [
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "acks",
    "group.id",
    "bootstrap.servers",
    "transactional.id",
    "enable.partition.eof",
    "sasl.oauthbearer.config",
];

/// Settings by which the client library would load code into this process.
const CODE: [&str; 3] = ["plugin.library.paths", "ssl.engine.location", "ssl.providers"];

fn check_kafka(c: &mut Checker, raw: &Raw) -> Kafka {
    let k = &raw.kafka;
    if k.brokers.split(',').any(|b| b.trim().is_empty()) {
        c.refuse("kafka.brokers", format!("is {:?}, must be HOST:PORT, comma-separated", k.brokers));
    }
    if k.group.is_empty() {
        c.refuse("kafka.group", "is empty, must name a consumer group");
    }
    let lanes = c.whole("kafka.lanes", k.lanes, 1, 64);
    let t = &k.topics;
    let topics = Topics {
        market: c.topic("kafka.topics.market", &t.market, true).unwrap_or_default(),
        reference: c.topic("kafka.topics.reference", &t.reference, false),
        alerts: c.topic("kafka.topics.alerts", &t.alerts, true).unwrap_or_default(),
        state: c.topic("kafka.topics.state", &t.state, false),
        dead_letters: c.topic("kafka.topics.dead_letters", &t.dead_letters, false),
        members: c.topic("kafka.topics.members", &t.members, false),
        snapshots: c.topic("kafka.topics.snapshots", &t.snapshots, false),
    };
    if lanes > 1 && topics.members.is_none() && raw.groups.values().any(|g| !g.members.is_empty()) {
        let why = "must be 1 while there are groups and no kafka.topics.members for them to follow";
        c.refuse("kafka.lanes", format!("is {lanes}, {why}"));
    }
    if let Some(members) = &topics.members
        && [Some(&topics.alerts), topics.state.as_ref(), topics.dead_letters.as_ref()].contains(&Some(members))
    {
        c.refuse("kafka.topics.members", format!("is {members:?}, which other records are written to"));
    }
    let outputs = [
        topics.members.as_ref(),
        topics.snapshots.as_ref(),
        Some(&topics.alerts),
        topics.state.as_ref(),
        topics.dead_letters.as_ref(),
    ];
    for name in outputs.into_iter().flatten() {
        if *name == topics.market || Some(name) == topics.reference.as_ref() {
            c.refuse("kafka.topics", format!("{name:?} is read and written: what is written would come back as input"));
        }
    }
    let layout = check_layout(c, &k.layout);
    let mut properties = BTreeMap::new();
    for (key, value) in &k.properties {
        let text = match value {
            RawProperty::Text(text) => text.clone(),
            RawProperty::Flag(flag) => flag.to_string(),
            RawProperty::Whole(number) => number.to_string(),
            RawProperty::Real(number) => number.to_string(),
        };
        let path = format!("kafka.properties.{key}");
        let text = match text.strip_prefix("file:").filter(|_| is_secret(&path)) {
            None => text,
            Some(file) => {
                match std::fs::read_to_string(file).map(|secret| secret.trim_end_matches(['\r', '\n']).to_owned()) {
                    Ok(secret) if !secret.is_empty() => secret,
                    Ok(_) => {
                        c.refuse(path, format!("is the content of {file}, which is empty"));
                        continue;
                    }
                    Err(error) => {
                        c.refuse(path, format!("is the content of {file}, which cannot be read: {error}"));
                        continue;
                    }
                }
            }
        };
        if OURS.contains(&key.as_str()) {
            c.refuse(format!("kafka.properties.{key}"), "is set by the service itself: delivery rests on it");
        }
        if CODE.contains(&key.as_str()) {
            c.refuse(format!("kafka.properties.{key}"), "loads code into the service, which runs none but its own");
        }
        properties.insert(key.clone(), text);
    }
    let mechanism = ["sasl.mechanism", "sasl.mechanisms"].into_iter().find_map(|key| properties.get(key));
    if mechanism.is_some_and(|m| m.eq_ignore_ascii_case("OAUTHBEARER")) && k.oauth_token_file.is_empty() {
        c.refuse("kafka.oauth_token_file", "is empty, and kafka.properties asks for SASL OAUTHBEARER");
    }
    Kafka {
        brokers: k.brokers.clone(),
        group: k.group.clone(),
        instance_id: Some(k.instance_id.clone()).filter(|id| !id.is_empty()),
        lanes: usize::try_from(lanes).unwrap_or(1),
        static_membership: k.static_membership,
        oauth_token_file: Some(k.oauth_token_file.clone()).filter(|file| !file.is_empty()),
        topics,
        layout,
        properties,
    }
}

fn check_params(c: &mut Checker, raw: &Raw, hashed: &str) -> Params {
    let calendar = check_calendar(c, raw);
    let eligibility = check_eligibility(c, raw);
    let modes = [("price_return", ReturnMode::PriceReturn), ("total_return", ReturnMode::TotalReturn)];
    let return_mode = c.one_of("market.return_mode", &raw.market.return_mode, &modes);
    let rules = check_rules(c, raw);
    let breach_at = rules.tiers.first().copied().unwrap_or(3.0);
    let is_listed = c.one_of("universe.mode", &raw.universe.mode, &[("all", false), ("listed", true)]);
    let listed = || raw.universe.symbols.iter().cloned().collect();
    let universe = if is_listed { Universe::Listed(listed()) } else { Universe::All };
    let feeds = raw.feeds.iter().map(|(name, feed)| (name.clone(), check_feed(c, name, feed))).collect();
    let (groups, histories) = check_groups(c, raw, breach_at);
    let millis = |v: i64| v * (NANOS_PER_SEC / 1000);
    let overlay_version = calendar.as_ref().map_or("", |k| k.version());
    let table_version = eligibility.as_ref().map_or("", |t| t.version());
    let hashed = format!("{hashed}\ncalendar={overlay_version}\neligibility={table_version}\nhistories={histories}");
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, hashed.as_bytes());
    Params {
        topic: raw.kafka.topics.market.as_str().into(),
        calendar,
        return_mode,
        rules,
        modes: check_modes(c, &raw.modes),
        ruler: check_ruler(c, &raw.ruler),
        half_lives: [
            c.real("volatility.fast_half_life_secs", raw.volatility.fast_half_life_secs, 0.001, 1e6),
            c.real("volatility.slow_half_life_secs", raw.volatility.slow_half_life_secs, 0.001, 1e6),
        ],
        lateness: millis(c.whole("market.lateness_ms", raw.market.lateness_ms, 0, 3_600_000)),
        lead_max: millis(c.whole("market.lead_ms_max", raw.market.lead_ms_max, 0, 3_600_000)),
        quarantine: check_quarantine(c, &raw.market.quarantine),
        journal_max: count(c.whole("market.corrections.prints_max", raw.market.corrections.prints_max, 0, 1_000_000)),
        limits_tolerance: c.real("market.limits_tolerance", raw.market.limits_tolerance, 0.0, 1.0),
        stale: StaleRules {
            gaps: c.real("market.stale_gaps", raw.market.stale_gaps, 1.0, 1e6),
            least_secs: c.real("market.stale_secs_min", raw.market.stale_secs_min, 0.1, 1e6),
        },
        eligibility,
        extended: check_extended(c, raw),
        symbols_max: usize::try_from(c.whole("universe.max_symbols", raw.universe.max_symbols, 1, 10_000_000))
            .unwrap_or(1),
        universe,
        feeds,
        groups,
        group_interval: millis(c.whole("cluster.interval_ms", raw.cluster.interval_ms, 10, 60_000)),
        config_hash: hash.simple().to_string().into(),
    }
}

fn check_modes(c: &mut Checker, raw: &RawModes) -> Arc<ModeParams> {
    let garch = GarchParams::new(raw.garch.omega, raw.garch.alpha, raw.garch.beta);
    if let Err(error) = &garch {
        c.refuse("modes.garch", error.to_string());
    }
    Arc::new(ModeParams { garch: garch.ok(), ..ModeParams::default() })
}

fn count(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn check_feed(c: &mut Checker, name: &str, feed: &RawFeed) -> FeedParams {
    let key = |rest: &str| format!("feeds.{name}.{rest}");
    if feed.flag.as_deref() == Some("") {
        c.refuse(key("flag"), "is empty, must name a quality flag");
    }
    let idle_after = feed.idle_secs.map(|secs| c.whole(&key("idle_secs"), secs, 1, 86_400) * NANOS_PER_SEC);
    FeedParams { flag: feed.flag.as_deref().map(Into::into), idle_after }
}

fn check_quarantine(c: &mut Checker, raw: &RawQuarantine) -> Option<QuarantineRules> {
    let key = |name: &str| format!("market.quarantine.{name}");
    let rules = QuarantineRules {
        sigmas: c.real(&key("sigmas"), raw.sigmas, 0.1, 1000.0),
        floor: c.real(&key("floor"), raw.floor, 0.0001, 10.0),
        prints: count(c.whole(&key("prints"), raw.prints, 2, 100)),
        venues: count(c.whole(&key("venues"), raw.venues, 1, 100)),
        hold: c.whole(&key("hold_ms"), raw.hold_ms, 0, 600_000) * (NANOS_PER_SEC / 1000),
        held_max: count(c.whole(&key("held_max"), raw.held_max, 1, 1000)),
    };
    raw.enabled.then_some(rules)
}

fn check_calendar(c: &mut Checker, raw: &Raw) -> Option<Arc<Calendar>> {
    if !c.one_of("market.calendar", &raw.market.calendar, &[("XNYS", true), ("none", false)]) {
        return None;
    }
    let path = &raw.market.calendar_overlay;
    let text = if path.is_empty() {
        None
    } else {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) => {
                c.refuse("market.calendar_overlay", format!("{path} cannot be read: {error}"));
                return None;
            }
        }
    };
    let overlay = read_overlay(text.as_deref()).map_err(|e| e.to_string());
    match overlay.and_then(|o| Calendar::xnys(&o).map_err(|e| e.to_string())) {
        Ok(calendar) => Some(Arc::new(calendar)),
        Err(message) => {
            c.refuse("market.calendar_overlay", message);
            None
        }
    }
}

fn check_eligibility(c: &mut Checker, raw: &Raw) -> Option<Arc<Table>> {
    const KEY: &str = "market.eligibility";
    let text = match raw.market.eligibility.as_str() {
        "none" => return None,
        "" => None,
        path => match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) => {
                c.refuse(KEY, format!("{path} cannot be read: {error}"));
                return None;
            }
        },
    };
    match read_eligibility(text.as_deref()) {
        Ok(table) => Some(Arc::new(table)),
        Err(error) => {
            c.refuse(KEY, error.to_string());
            None
        }
    }
}

fn check_extended(c: &mut Checker, raw: &Raw) -> GateParams {
    let extended = &raw.market.extended;
    let kept = i64::try_from(VENUES_KEPT).unwrap_or(i64::MAX);
    let prints_min = c.whole("market.extended.prints_min", extended.prints_min, 0, 1_000_000);
    let venues_min = c.whole("market.extended.venues_min", extended.venues_min, 0, kept);
    GateParams {
        prints_min: u32::try_from(prints_min).unwrap_or(0),
        value_min: c.real("market.extended.value_min_usd", extended.value_min_usd, 0.0, 1e12),
        venues_min: usize::try_from(venues_min).unwrap_or(0),
    }
}

fn check_rules(c: &mut Checker, raw: &Raw) -> EpisodeRules {
    let r = &raw.rules.symbol_shock;
    let key = |name: &str| format!("rules.symbol_shock.{name}");
    let ascending = r.tiers.windows(2).all(|w| w[0] < w[1]);
    let in_range = r.tiers.iter().all(|t| (0.1..=1000.0).contains(t));
    if r.tiers.is_empty() || r.tiers.len() > 16 || !ascending || !in_range {
        c.refuse(key("tiers"), format!("are {:?}, must be 1 to 16 ascending multiples from 0.1 to 1000", r.tiers));
    }
    let first = r.tiers.first().copied().unwrap_or(3.0);
    if !(r.close_at >= 0.0 && r.close_at < first) {
        c.refuse(key("close_at"), format!("is {}, must be from 0 and below the first tier, {first}", r.close_at));
    }
    let nanos = |v: i64| v * NANOS_PER_SEC;
    let close_after = nanos(c.whole(&key("close_after_secs"), r.close_after_secs, 0, 86_400));
    let cooldown = nanos(c.whole(&key("cooldown_secs"), r.cooldown_secs, 0, 86_400));
    let margin = c.real(&key("deescalate_margin"), r.deescalate_margin, 0.01, 100.0);
    let step = c.real(&key("update_step_sigmas"), r.update_step_sigmas, 0.01, 100.0);
    let update_interval = nanos(c.whole(&key("update_interval_secs"), r.update_interval_secs, 0, 86_400));
    EpisodeRules {
        tiers: if r.tiers.is_empty() { vec![3.0] } else { r.tiers.clone() },
        close_at: r.close_at,
        close_after,
        cooldown,
        deescalate_margin: r.deescalate.then_some(margin),
        update_step: r.updates.then_some(step),
        update_interval,
    }
}
