//! `replay` over ranges of the market topic gives what the service gave live, byte for byte, `source` included.

use crate::day::{CLOSE, closes, market_lines, reference_lines};
use crate::support::{LONG, World, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::time::SystemTime;

const CONFIG: &str = "config/fragility.toml";
const SECOND: i64 = 1_000_000_000;
/// 28 January 2025, 10:00 in New York.
const NEXT_DAY: i64 = (CLOSE + 18 * 3_600) * SECOND;
const WAVES: i64 = 3;
const SYMBOLS: i64 = 12;

/// The wave's own symbols rise by 3.5, then 4.5 sigma, and come back; records that must be refused among them.
fn wave_lines(wave: i64) -> String {
    let mut lines = String::new();
    for (step, price) in [(1, 107.3), (2, 109.4), (3, 101.0)] {
        for symbol in 0..SYMBOLS {
            let name = format!("W{wave}S{symbol}");
            let ts = NEXT_DAY + (wave * 600 + step * 60 + symbol) * SECOND;
            let tick = format!(r#"{{"type":"tick","symbol":"{name}","ts":{ts},"price":{price},"seq":{step}}}"#);
            writeln!(lines, "{name}\t{tick}").unwrap();
        }
    }
    // Too old; of the year 2100, far ahead of its Kafka timestamp; no record at all.
    let late = NEXT_DAY + wave * 600 * SECOND;
    writeln!(lines, r#"W{wave}S0	{{"type":"tick","symbol":"W{wave}S0","ts":{late},"price":120.0}}"#).unwrap();
    writeln!(lines, r#"W{wave}S1	{{"type":"tick","symbol":"W{wave}S1","ts":4102444800000000000,"price":120.0}}"#)
        .unwrap();
    writeln!(lines, "W{wave}S2\tnot a record").unwrap();
    lines
}

fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = chrono::DateTime::from_timestamp_millis(i64::try_from(since.as_millis()).unwrap()).unwrap();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Lines in an order that does not hang on partitions.
fn sorted<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

fn of_waves(alerts: &[String], waves: &[i64]) -> Vec<String> {
    let is_wanted = |alert: &&String| {
        let alert: Value = serde_json::from_str(alert).unwrap();
        let id = alert["entity"]["id"].as_str().unwrap().to_owned();
        waves.iter().any(|w| id.starts_with(&format!("W{w}S")))
    };
    alerts.iter().filter(is_wanted).cloned().collect()
}

/// `PARTITION:OFFSET,...`
fn points(offsets: &[i64]) -> String {
    let each = offsets.iter().enumerate().map(|(partition, offset)| format!("{partition}:{offset}"));
    each.collect::<Vec<_>>().join(",")
}

pub(crate) fn range(world: &World) {
    let all = closes();
    world.create(&["range-reference:2:compact", "range-market:4", "range-alerts:3", "range-dead:1"]);
    let mut references = reference_lines(&all);
    for wave in 0..WAVES {
        for symbol in 0..SYMBOLS {
            let name = format!("W{wave}S{symbol}");
            let record = format!(r#"{{"type":"reference","symbol":"{name}","prev_close":100,"sigma_daily":0.02}}"#);
            writeln!(references, "{name}|reference||\t{record}").unwrap();
        }
    }
    let file = world.file("range-references", &references);
    world.client(&["produce", &world.boot, "range-reference", &file]);

    // Where each partition ends, and the time, before each wave and after the last.
    let (mut ends, mut times, mut sent) = (Vec::new(), Vec::new(), 0);
    let mut mark = || {
        ends.push(world.offsets("range", "range-market").into_iter().map(|(_, end)| end).collect::<Vec<i64>>());
        times.push(now());
    };
    let mut produce = |name: &str, lines: &str| {
        sent += lines.lines().count();
        world.client(&["produce", &world.boot, "range-market", &world.file(name, lines)]);
    };
    produce("range-day", &market_lines(&all));
    for wave in 0..WAVES {
        mark();
        produce(&format!("range-wave-{wave}"), &wave_lines(wave));
    }
    mark();
    // The log ends in offsets without a record.
    let mut aborted = String::new();
    for key in 0..40 {
        writeln!(aborted, "a{key}\t{{\"type\":\"heartbeat\",\"ts\":{NEXT_DAY}}}").unwrap();
    }
    let aborted = world.file("range-aborted", &aborted);
    world.client(&["produce", &world.boot, "range-market", &aborted, "--abort"]);

    let sets = [
        format!("kafka.brokers={}", world.boot),
        "kafka.group=range".into(),
        "kafka.topics.market=range-market".into(),
        "kafka.topics.reference=range-reference".into(),
        "kafka.topics.alerts=range-alerts".into(),
        "kafka.topics.dead_letters=range-dead".into(),
        format!("state.dir={}", world.dir.join("range-state").display()),
        // A service goes on holding what waits at the end of the log; a replay decides on it.
        "market.quarantine.enabled=false".into(),
    ];
    let service = world.serve(CONFIG, &sets);
    service.await_taken(sent as f64);
    until("the group's confirmation", LONG, || {
        let alerts = service.json("/v1/alerts");
        let alerts = alerts["alerts"].as_array().unwrap();
        alerts.iter().any(|a| a["entity"]["id"] == "mag7" && a["kind"] == "confirm").then_some(())
    });
    service.terminate();
    let alerts = world.records("range-alerts");
    let alerts = alerts.iter().filter(|r| r.headers["ce_type"] == "fragility.alert.v1");
    let live = sorted(alerts.map(|r| r.value.as_str()));
    let letters = world.records("range-dead");
    let live_letters = sorted(letters.iter().map(|r| r.value.as_str()));
    assert_eq!(live_letters.len(), 3 * usize::try_from(WAVES).unwrap());
    let partitions: BTreeSet<i64> = live
        .iter()
        .filter_map(|a| serde_json::from_str::<Value>(a).unwrap()["source"][0]["partition"].as_i64())
        .collect();
    assert_eq!(partitions.len(), 4, "the alerts come from every partition");
    let committed = world.offsets("range", "range-market");

    whole(world, &sets, sent, &live, &live_letters);
    parts(world, &sets, &live, &ends, &times);
    refusals(world, &sets);

    assert_eq!(world.offsets("range", "range-market"), committed, "the service's offsets stay where they were");
    let own = world.offsets("range-replay", "range-market");
    assert!(own.iter().all(|(committed, _)| committed.is_none()), "{own:?}");
}

fn whole(world: &World, sets: &[String], sent: usize, live: &[String], live_letters: &[String]) {
    let file = |name: &str| world.dir.join(name).to_str().unwrap().to_owned();
    let (accounting, letters) = (file("range-accounting"), file("range-letters"));
    let args = ["--from", "beginning", "--accounting", &accounting, "--dead-letters", &letters, "--strict"];
    let (code, alerts, said) = world.replay(CONFIG, sets, &args);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(sorted(alerts.lines()), live);
    let accounting: Value = serde_json::from_str(&fs::read_to_string(accounting).unwrap()).unwrap();
    assert_eq!(accounting["records_in"], sent);
    let outcomes = &accounting["outcomes"];
    assert_eq!((&outcomes["late"], &outcomes["rejected"], &outcomes["malformed"]), (&3.into(), &3.into(), &3.into()));
    assert_eq!(sorted(fs::read_to_string(letters).unwrap().lines()), live_letters);
    // The same bytes in the same order each time, whatever end is named.
    let (code, again, said) = world.replay(CONFIG, sets, &["--from", "0", "--to", "end"]);
    assert_eq!((code, again), (Some(0), alerts), "{said}");
}

fn parts(world: &World, sets: &[String], live: &[String], ends: &[Vec<i64>], times: &[String]) {
    let check = |args: &[&str], expected: &[String]| {
        let (code, alerts, said) = world.replay(CONFIG, sets, args);
        assert_eq!(code, Some(0), "{args:?}: {said}");
        assert_eq!(sorted(alerts.lines()), expected, "{args:?}");
    };
    let wave = |waves: &[i64]| of_waves(live, waves);
    let symbols = usize::try_from(SYMBOLS).unwrap();
    assert_eq!(wave(&[1]).len(), 3 * symbols, "open, escalate and close of each");
    // The day alone has all that is of no wave: symbols and the group.
    let day: Vec<String> = live.iter().filter(|a| !wave(&[0, 1, 2]).contains(a)).cloned().collect();
    check(&["--to", &points(&ends[0])], &day);
    check(&["--to", &times[0]], &day);
    check(&["--from", &points(&ends[1]), "--to", &points(&ends[2])], &wave(&[1]));
    check(&["--from", &times[1], "--to", &times[2]], &wave(&[1]));
    check(&["--from", &points(&ends[1]), "--to", "end"], &wave(&[1, 2]));
    check(&["--from", &times[2]], &wave(&[2]));
    // Nothing is that late.
    check(&["--from", "2200-01-01T00:00:00Z"], &[]);
    check(&["--from", &points(&ends[2]), "--to", &points(&ends[2])], &[]);
    // One partition's share, up to the last offset of the log and no further.
    let of_two: Vec<String> = wave(&[2])
        .into_iter()
        .filter(|a| serde_json::from_str::<Value>(a).unwrap()["source"][0]["partition"] == 2)
        .collect();
    check(&["--from", &format!("2:{}", ends[2][2])], &of_two);
    let (code, alerts, said) =
        world.replay(CONFIG, sets, &["--from", &format!("2:{}", ends[2][2]), "--to", "2:1000000"]);
    assert_eq!((code, sorted(alerts.lines())), (Some(0), of_two), "{said}");
    assert!(said.contains("does not reach the end of the range"), "{said}");
}

fn refusals(world: &World, sets: &[String]) {
    let refused = |set: &str, args: &[&str], expected: (i32, &str)| {
        let sets = [sets, &[set.to_owned()]].concat();
        let (code, alerts, said) = world.replay(CONFIG, &sets, args);
        assert_eq!((code, alerts.as_str()), (Some(expected.0), ""), "{args:?}: {said}");
        assert!(said.contains(expected.1), "{:?} is not in {said}", expected.1);
    };
    refused("kafka.topics.market=nowhere", &["--from", "0"], (2, "topic nowhere does not exist on 127.0.0.1:"));
    refused("kafka.group=range", &["--from", "4:0"], (2, "has no partition 4"));
    refused("kafka.topics.reference=nowhere", &["--from", "0"], (1, "reference topic nowhere does not exist"));
}
