//! 27 January 2025 through every output of the service.

use crate::support::{LONG, Record, Service, World, repo, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

pub(crate) const DAY: &str = "2025-01-27";
const BEFORE: &str = "2025-01-24";
/// 09:30 and 16:00 in New York, seconds since 1970.
const OPEN: i64 = 1_737_988_200;
pub(crate) const CLOSE: i64 = 1_738_011_600;
const PARTITIONS: i64 = 4;
const REFERENCE_PARTITIONS: usize = 3;

/// Every metric of the outside contract that this build has.
const METRICS: [&str; 26] = [
    "fragility_records_total{outcome=\"applied\"}",
    "fragility_records_in_total",
    "fragility_records_quarantined",
    "fragility_reference_records_total{outcome=\"applied\"}",
    "fragility_alerts_total{entity_type=\"symbol\",kind=\"confirm\",severity=",
    "fragility_ready",
    "fragility_exchange_open",
    "fragility_cluster_member_z_sigmas{cluster=\"mag7\",symbol=\"NVDA\"}",
    "fragility_cluster_coverage_ratio{cluster=\"mag7\"}",
    "fragility_alerts_in_flight_limit",
    "fragility_cluster_level{cluster=\"mag7\"}",
    "fragility_breadth_ratio{direction=\"down\",universe=",
    "fragility_threshold_sigmas{rule=",
    "fragility_event_to_alert_seconds_count",
    "fragility_processing_seconds_count",
    "fragility_processing_hdr_seconds{quantile=",
    "fragility_event_to_alert_hdr_seconds{quantile=",
    "fragility_kafka_consumer_lag_messages{partition=\"0\",topic=\"day-market\"}",
    "fragility_kafka_consumer_lag_seconds{partition=\"0\",topic=\"day-market\"}",
    "fragility_kafka_rebalances_total",
    "fragility_restore_progress_ratio{partition=\"0\"}",
    "fragility_event_time_seconds",
    "fragility_market_session_open",
    "fragility_alert_deliveries_total{result=\"delivered\",sink=\"kafka\"}",
    "fragility_config_last_reload_successful",
    "fragility_build_info{revision=",
];

pub(crate) struct Close {
    price: f64,
    text: String,
    value: f64,
}

/// Closes by session and symbol.
pub(crate) fn closes() -> BTreeMap<String, BTreeMap<String, Close>> {
    let mut all: BTreeMap<String, BTreeMap<String, Close>> = BTreeMap::new();
    let text = fs::read_to_string(repo("data/us_top50_daily_2024q4_2025q1.csv")).unwrap();
    for line in text.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let close = Close { price: f[2].parse().unwrap(), text: f[2].to_owned(), value: f[5].parse().unwrap_or(0.0) };
        all.entry(f[0].to_owned()).or_default().insert(f[1].to_owned(), close);
    }
    all
}

fn close_record(symbol: &str, session: &str, price: &str) -> String {
    format!(r#"{{"type":"close","symbol":"{symbol}","session":"{session}","price":{price}}}"#)
}

/// `KEY<TAB>VALUE` lines of the reference topic, keyed as the contract says.
pub(crate) fn reference_lines(all: &BTreeMap<String, BTreeMap<String, Close>>) -> String {
    let mut lines = String::new();
    let mut line = |key: String, value: &str| writeln!(lines, "{key}\t{value}").unwrap();
    // A mistake that a later record with the same key replaces.
    line(format!("NVDA|close|{BEFORE}|"), &close_record("NVDA", BEFORE, "150.00"));
    for (session, closes) in all.range(..=BEFORE.to_owned()) {
        for (symbol, close) in closes {
            line(format!("{symbol}|close|{session}|"), &close_record(symbol, session, &close.text));
            // The weights of each session: without them the group's sigma is unknown.
            if close.value > 0.0 {
                let shares = (close.value / close.price).round();
                let record = format!(
                    r#"{{"type":"shares","symbol":"{symbol}","session":"{session}","shares_outstanding":{shares}}}"#
                );
                line(format!("{symbol}|shares|{session}|"), &record);
            }
        }
    }
    for record in fs::read_to_string(repo("data/us_top50_reference.ndjson")).unwrap().lines() {
        let known: Value = serde_json::from_str(record).unwrap();
        let text = |field: &str| known[field].as_str().unwrap_or_default().to_owned();
        let session = if known["type"] == "split" { text("ex_date") } else { text("from") };
        line(format!("{}|{}|{session}|{}", text("symbol"), text("type"), text("group")), record);
    }
    lines
}

/// The day: every company in a straight line from close to close, then the closes, then the time.
pub(crate) fn market_lines(all: &BTreeMap<String, BTreeMap<String, Close>>) -> String {
    let mut lines = String::new();
    let mut seq = 0;
    for step in 1..=8 {
        for (at, (symbol, close)) in (0..).zip(&all[DAY]) {
            let before = all[BEFORE].get(symbol).map_or(close.price, |c| c.price);
            let price = before + (close.price - before) * f64::from(step) / 8.0;
            let ts = (OPEN + (CLOSE - OPEN) * i64::from(step) / 8 - 60 + at) * 1_000_000_000;
            seq += 1;
            let tick =
                format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":{price:.4},"size":100,"seq":{seq}}}"#);
            writeln!(lines, "{symbol}\t{tick}").unwrap();
        }
    }
    for (symbol, close) in &all[DAY] {
        writeln!(lines, "{symbol}\t{}", close_record(symbol, DAY, &close.text)).unwrap();
    }
    // So many keys meet every partition.
    for key in 0..100 {
        writeln!(lines, "h{key}\t{{\"type\":\"heartbeat\",\"ts\":{}}}", (CLOSE + 60) * 1_000_000_000).unwrap();
    }
    lines
}

pub(crate) fn day(world: &World) {
    let all = closes();
    world.create(&[
        &format!("day-reference:{REFERENCE_PARTITIONS}:compact"),
        &format!("day-market:{PARTITIONS}"),
        "day-alerts:3",
        "day-state:2:compact",
        "day-dead:1",
    ]);
    let reference = reference_lines(&all);
    let references = reference.lines().count();
    let file = world.file("day-reference", &reference);
    world.client(&["produce", &world.boot, "day-reference", &file]);
    // Records that never were, at the end of the log: it ends in offsets that nobody will ever hand out.
    let mut aborted = String::new();
    for key in 0..30 {
        writeln!(aborted, "k{key}\t{}", close_record("NVDA", BEFORE, "1.00")).unwrap();
    }
    let aborted = world.file("day-aborted", &aborted);
    world.client(&["produce", &world.boot, "day-reference", &aborted, "--abort"]);
    let market = market_lines(&all);
    let file = world.file("day-market", &market);
    world.client(&["produce", &world.boot, "day-market", &file]);
    let sets = [
        format!("kafka.brokers={}", world.boot),
        "kafka.group=day".into(),
        "kafka.topics.market=day-market".into(),
        "kafka.topics.reference=day-reference".into(),
        "kafka.topics.alerts=day-alerts".into(),
        "kafka.topics.state=day-state".into(),
        "kafka.topics.dead_letters=day-dead".into(),
        format!("state.dir={}", world.dir.join("day-state").display()),
        "alerts.heartbeat_secs=1".into(),
    ];
    let service = world.serve("config/fragility.toml", &sets);
    let stream = service.stream_until("/v1/stream", "\n\n");
    assert!(stream.contains("text/event-stream") && stream.contains("event: state\n"), "{stream}");
    service.await_taken(market.lines().count() as f64);
    let alerts = until("the group's confirmation", LONG, || {
        let alerts = service.json("/v1/alerts")["alerts"].as_array().unwrap().clone();
        alerts.iter().any(|a| a["entity"]["id"] == "mag7" && a["kind"] == "confirm").then_some(alerts)
    });
    until("lag, event time and level to settle", LONG, || {
        let metrics = service.metrics();
        let lags = metrics.iter().filter(|(n, _)| n.starts_with("fragility_kafka_consumer_lag_messages{"));
        let lags: Vec<f64> = lags.map(|(_, lag)| *lag).collect();
        let is_over = metrics["fragility_event_time_seconds"] == (CLOSE + 60) as f64;
        // Gauges follow within half a second.
        (lags == [0.0; 4] && is_over && metrics["fragility_cluster_level{cluster=\"mag7\"}"] == 3.0).then_some(())
    });
    service.await_ready();
    check_http(&service, references);
    service.terminate();
    let records = world.records("day-alerts");
    let last = check_alerts(&records);
    assert!(alerts.len() <= last.values().map(|n| usize::try_from(*n).unwrap() + 1).sum());
    check_state(&world.records("day-state"), &last);
    assert_eq!(world.records("day-dead").len(), 0);
}

fn check_http(service: &Service, references: usize) {
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/readyz").status, 200);
    let metrics = service.metrics();
    for name in METRICS {
        assert!(metrics.keys().any(|k| k.starts_with(name)), "no metric {name}");
    }
    assert!(metrics.keys().any(|k| k.starts_with("process_")));
    assert_eq!(metrics["fragility_ready"], 1.0);
    // Those of single symbols have a path of their own.
    assert!(!metrics.keys().any(|k| k.starts_with("fragility_symbol_z")));
    let symbols = until("the series of NVDA", LONG, || {
        let text = service.get("/metrics/symbols").body;
        text.contains("fragility_symbol_z_sigmas{symbol=\"NVDA\"} -6.28").then_some(text)
    });
    for name in ["sigma_daily_ratio", "tier"] {
        assert!(symbols.contains(&format!("fragility_symbol_{name}{{symbol=\"NVDA\"}} ")), "{symbols}");
    }
    let asked = fragility::app::health(&service.url("/readyz"), None).unwrap();
    assert_eq!(asked, (true, "ready".to_owned()));
    let of_reference = metrics.iter().filter(|(n, _)| n.starts_with("fragility_reference_records_total"));
    assert_eq!(of_reference.map(|(_, v)| v).sum::<f64>(), references as f64);
    assert_eq!(metrics["fragility_market_session_open"], 0.0);

    let state = service.json("/v1/state");
    assert_eq!((&state["session"], &state["ready"]), (&DAY.into(), &true.into()), "{state}");
    let nvda = service.json("/v1/symbols/NVDA");
    assert_eq!((&nvda["symbol"], &nvda["closed"]), (&"NVDA".into(), &true.into()), "{nvda}");
    assert!((nvda["z"].as_f64().unwrap() + 6.2871).abs() < 5e-5, "{nvda}");
    assert_eq!(service.get("/v1/symbols/NOBODY").status, 404);
    let mag7 = service.json("/v1/clusters/mag7");
    assert_eq!((&mag7["id"], &mag7["level"]), (&"mag7".into(), &"CRITICAL".into()), "{mag7}");
    assert_eq!(mag7["members"].as_array().unwrap().len(), 7);
    assert_eq!(service.get("/v1/clusters/none").status, 404);
    assert_eq!(service.get("/elsewhere").status, 404);
    let board = service.get("/");
    assert_eq!(board.status, 200);
    assert!(board.head.contains("content-security-policy: default-src 'none'"), "{}", board.head);
    assert!(board.body.contains("<html") && board.body.contains("/v1/stream"));
}

/// Heartbeats and alerts; the last sequence of each entity.
fn check_alerts(records: &[Record]) -> BTreeMap<String, i64> {
    let is_heartbeat = |r: &&Record| r.headers["ce_type"] == "fragility.heartbeat.v1";
    let beats: Vec<&Record> = records.iter().filter(is_heartbeat).collect();
    let heard: BTreeSet<i64> = beats.iter().map(|r| r.partition).collect();
    assert_eq!(heard, BTreeSet::from([0, 1, 2]), "partitions with heartbeats");
    let spoken_for =
        |beat: &Value| beat["inputs"].as_array().unwrap().iter().filter_map(|i| i["partition"].as_i64()).collect();
    let spoken_for: Vec<BTreeSet<i64>> = beats.iter().map(|b| spoken_for(&b.json())).collect();
    assert!(spoken_for.contains(&(0..PARTITIONS).collect()), "{spoken_for:?}");

    let mut sequences: BTreeMap<String, i64> = BTreeMap::new();
    let mut revisions: BTreeMap<String, i64> = BTreeMap::new();
    let mut confirmed: BTreeMap<String, Value> = BTreeMap::new();
    for record in records.iter().filter(|r| !is_heartbeat(r)) {
        let alert = record.json();
        let (id, revision) = (alert["alert_id"].as_str().unwrap().to_owned(), alert["revision"].as_i64().unwrap());
        let entity = alert["entity"]["id"].as_str().unwrap().to_owned();
        assert_eq!(alert["schema"], "fragility.alert.v1");
        assert_eq!(record.key.as_ref(), Some(&entity));
        let headers = &record.headers;
        assert_eq!((&headers["ce_type"], &headers["ce_specversion"]), (&"fragility.alert.v1".into(), &"1.0".into()));
        assert_eq!(headers["ce_id"], format!("{id}:{revision}"));
        assert_eq!(headers["content-type"], "application/json");
        let sequence = alert["sequence"].as_i64().unwrap();
        let before = sequences.insert(entity.clone(), sequence);
        assert_eq!(sequence, before.map_or(1, |b| b + 1), "sequence of {entity}: {alert}");
        let before = revisions.insert(id, revision);
        assert_eq!(revision, before.map_or(0, |b| b + 1), "revision: {alert}");
        if alert["kind"] == "confirm" {
            assert_eq!((&alert["state"], &alert["session"]), (&"CONFIRMED".into(), &DAY.into()));
            confirmed.insert(entity, alert);
        }
    }
    for (symbol, z) in [("NVDA", -6.2871), ("AVGO", -9.2183)] {
        assert_eq!(confirmed[symbol]["z"], z, "{}", confirmed[symbol]);
    }
    assert_eq!(confirmed["mag7"]["entity"]["type"], "cluster");
    assert_eq!(confirmed["mag7"]["cluster"]["level"], "CRITICAL", "{}", confirmed["mag7"]);
    sequences
}

/// The compacted topic ends with the state that the last alert of each entity left.
fn check_state(records: &[Record], sequences: &BTreeMap<String, i64>) {
    let mut latest: BTreeMap<String, i64> = BTreeMap::new();
    for record in records {
        latest.insert(record.key.clone().unwrap(), record.json()["sequence"].as_i64().unwrap());
    }
    assert_eq!(&latest, sequences);
}
