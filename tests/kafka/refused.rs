//! Records that are no records: each is counted once and set aside with its reason and origin, and the good
//! ones among them are heard.

use crate::support::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

const TS: i64 = 1_737_990_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn tick(price: &str, ts: i64, seq: u32) -> String {
    format!(r#"{{"type":"tick","symbol":"GOOD","ts":{ts},"price":{price},"seq":{seq}}}"#)
}

fn bar(ts: i64) -> String {
    format!(r#"{{"type":"bar","symbol":"GOOD","ts":{ts},"interval":"1m","open":100,"high":101,"low":99,"close":100}}"#)
}

pub(crate) fn refused(world: &World) {
    world.create(&["refused-market:1", "refused-alerts:1", "refused-dead:2"]);
    let long = format!(r#"{{"type":"tick","symbol":"GOOD","text":"{}"}}"#, "x".repeat(900_000));
    let year_2100 = 4_102_444_800 * SECOND;
    // Value, outcome and reason; those with a reason are dead letters.
    let records: Vec<(String, &str, &str)> = vec![
        (tick("100.5", TS, 1), "applied", ""),
        ("this is not json".into(), "malformed", "not_json"),
        ("{\"type\":\"tick\"".into(), "malformed", "not_json"),
        (tick("\"dear\"", TS, 2), "malformed", "wrong_type"),
        (tick("[1]", TS, 2), "malformed", "wrong_type"),
        (format!(r#"{{"type":"tick","symbol":"GOOD","ts":{TS}}}"#), "malformed", "missing_field"),
        (tick("NaN", TS, 2), "malformed", "not_json"),
        (tick("1e999", TS, 2), "malformed", "not_json"),
        (tick("-1.0", TS, 2), "rejected", "price"),
        (tick("0", TS, 2), "rejected", "price"),
        (tick("104", TS + SECOND, 2), "applied", ""),
        (format!(r#"{{"type":"rumour","symbol":"GOOD","ts":{TS}}}"#), "malformed", "unknown_type"),
        (String::new(), "tombstone", ""),
        (long, "malformed", "too_long"),
        (tick("107", year_2100, 3), "rejected", "future"),
        (tick("107", -1, 3), "rejected", "event_time"),
        (tick("107", TS, 3).replace("GOOD", "OTHER"), "unknown_symbol", "unknown_symbol"),
        (tick("107", TS, 3).replace("GOOD", ""), "rejected", "symbol"),
        (tick("104", TS + SECOND, 2), "duplicate", ""),
        (tick("110", TS + 20 * SECOND, 3), "applied", ""),
        (tick("111", TS, 4), "late", "late"),
        (bar(TS + 20 * SECOND).replace('}', r#","final":false}"#), "ignored", ""),
        (tick("100", TS + 21 * SECOND, 5), "applied", ""),
    ];
    let mut lines = String::new();
    for (value, ..) in &records {
        let _ = writeln!(lines, "GOOD\t{value}");
    }
    let reference = r#"{"type":"reference","symbol":"GOOD","prev_close":100,"sigma_daily":0.02}"#;
    let history = world.file("refused-history", reference);
    let sets = [
        format!("kafka.brokers={}", world.boot),
        "kafka.group=refused".into(),
        "kafka.topics.market=refused-market".into(),
        "kafka.topics.alerts=refused-alerts".into(),
        "kafka.topics.dead_letters=refused-dead".into(),
        format!("state.dir={}", world.dir.join("refused-state").display()),
        format!("history.files=[{history:?}]"),
        "universe.mode=listed".into(),
        "universe.symbols=[\"GOOD\"]".into(),
    ];
    let service = world.serve("config/bench.toml", &sets);
    let lines = world.file("refused-lines", &lines);
    world.client(&["produce", &world.boot, "refused-market", &lines]);
    service.await_taken(records.len() as f64);
    let metrics = service.metrics();
    let mut outcomes: BTreeMap<&str, f64> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
    for (_, outcome, reason) in &records {
        *outcomes.entry(outcome).or_default() += 1.0;
        if !reason.is_empty() {
            *reasons.entry(reason).or_default() += 1.0;
        }
    }
    for (outcome, count) in &outcomes {
        assert_eq!(metrics[&format!("fragility_records_total{{outcome=\"{outcome}\"}}")], *count, "{outcome}");
    }
    for (reason, count) in &reasons {
        let name = format!("fragility_dead_letters_total{{reason=\"{reason}\"}}");
        assert_eq!(metrics.get(&name), Some(count), "{name}");
    }
    assert_eq!(metrics["fragility_lane_restarts_total"], 0.0);
    service.await_ready();
    service.terminate();

    let mut letters: BTreeMap<usize, Value> = BTreeMap::new();
    for record in world.records("refused-dead") {
        let letter = record.json();
        let offset = usize::try_from(letter["offset"].as_i64().unwrap()).unwrap();
        assert_eq!(record.key.as_deref(), Some("GOOD"));
        assert_eq!(record.headers["reason"], letter["reason"]);
        assert_eq!(record.headers["topic"], "refused-market");
        assert_eq!(record.headers["partition"], "0");
        assert_eq!(record.headers["offset"], offset.to_string());
        assert!(letters.insert(offset, letter).is_none(), "two letters for offset {offset}");
    }
    for (offset, (value, _, reason)) in records.iter().enumerate() {
        let letter = letters.remove(&offset);
        if reason.is_empty() {
            assert_eq!(letter, None);
            continue;
        }
        let letter = letter.unwrap_or_else(|| panic!("no letter for offset {offset}"));
        assert_eq!(letter["reason"], *reason, "{letter}");
        assert_eq!((&letter["topic"], &letter["partition"]), (&"refused-market".into(), &0.into()));
        assert!(value.starts_with(letter["value"].as_str().unwrap()));
        assert_eq!(letter["value_bytes"], value.len());
    }
    let alerts = world.records("refused-alerts");
    let kinds: Vec<Value> = alerts.iter().map(|r| r.json()["kind"].clone()).collect();
    assert_eq!(kinds, ["open", "close"]);
}
