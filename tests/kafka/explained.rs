//! `explain` finds an alert in the alerts topic and its records in the market topic; `verify` reads what the
//! topics hold.

use crate::support::{LONG, World, repo, until};
use serde_json::Value;
use std::fmt::Write;

const CONFIG: &str = "config/fragility.toml";
/// 28 January 2025, 10:00 in New York, nanoseconds since 1970.
const TEN: i64 = 1_738_076_400_000_000_000;
const SYMBOLS: i64 = 8;

/// The tick of a symbol at a step: rises by 3.5, then by 4.5 sigma.
fn tick(symbol: i64, step: i64) -> String {
    let ts = TEN + (step * 60 + symbol) * 1_000_000_000;
    let price = if step == 1 { "107.3" } else { "109.4" };
    format!(r#"{{"type":"tick","symbol":"E{symbol}","ts":{ts},"price":{price},"seq":{step},"note":"as sent"}}"#)
}

pub(crate) fn explained(world: &World) {
    world.create(&["explain-reference:1:compact", "explain-market:4", "explain-alerts:3", "explain-state:1:compact"]);
    let (mut references, mut ticks) = (String::new(), String::new());
    for symbol in 0..SYMBOLS {
        let record = format!(r#"{{"type":"reference","symbol":"E{symbol}","prev_close":100,"sigma_daily":0.02}}"#);
        writeln!(references, "E{symbol}|reference||\t{record}").unwrap();
    }
    for step in 1..=2 {
        for symbol in 0..SYMBOLS {
            writeln!(ticks, "E{symbol}\t{}", tick(symbol, step)).unwrap();
        }
    }
    let produce = |topic: &str, lines: &str| {
        world.client(&["produce", &world.boot, topic, &world.file(topic, lines)]);
    };
    produce("explain-reference", &references);
    produce("explain-market", &ticks);
    let sets = [
        format!("kafka.brokers={}", world.boot),
        "kafka.group=explain".into(),
        "kafka.topics.market=explain-market".into(),
        "kafka.topics.reference=explain-reference".into(),
        "kafka.topics.alerts=explain-alerts".into(),
        "kafka.topics.state=explain-state".into(),
        format!("state.dir={}", world.dir.join("explain-state").display()),
        "market.quarantine.enabled=false".into(),
        "alerts.heartbeat_secs=1".into(),
    ];
    let service = world.serve(CONFIG, &sets);
    let wanted = usize::try_from(2 * SYMBOLS).unwrap();
    until("every alert", LONG, || {
        let alerts = service.json("/v1/alerts");
        (alerts["alerts"].as_array().unwrap().len() >= wanted).then_some(())
    });
    until("a heartbeat", LONG, || {
        let records = world.records("explain-alerts");
        records.iter().any(|r| r.headers["ce_type"] == "fragility.heartbeat.v1").then_some(())
    });
    service.terminate();

    let alerts = world.records("explain-alerts");
    let states = world.records("explain-state");
    assert!(states.len() >= usize::try_from(SYMBOLS).unwrap(), "{} states", states.len());
    for records in [&alerts, &states] {
        let lines: Vec<&str> = records.iter().map(|r| r.value.as_str()).collect();
        let file = world.file("explain-said", &(lines.join("\n") + "\n"));
        let (code, out, said) = world.ask(&["verify", "--alert", &file]);
        assert_eq!((code, &*out), (Some(0), ""), "{said}");
    }

    let explain = |name: &str, args: &[&str]| {
        let config = repo(CONFIG).display().to_string();
        let mut all = vec!["explain", name, "--config", &config];
        all.extend(sets.iter().flat_map(|s| ["--set", s]));
        all.extend(args);
        world.ask(&all)
    };
    let records = alerts.iter().filter(|r| r.headers["ce_type"] == "fragility.alert.v1");
    let records: Vec<Value> = records.map(|r| serde_json::from_str(&r.value).unwrap()).collect();
    assert_eq!(records.len(), wanted);
    let escalated = records.iter().find(|a| a["entity"]["id"] == "E3" && a["kind"] == "escalate").unwrap();
    let id = escalated["alert_id"].as_str().unwrap();
    let (code, out, said) = explain(id, &[]);
    assert_eq!(code, Some(0), "{out}{said}");
    let source = &escalated["source"][0];
    let (partition, offset) = (&source["partition"], &source["offset"]);
    for line in [
        "E3 has reached tier 4 with +4.49 sigma (+9.40 %) on 2025-01-28, 109.4 against 100.".to_owned(),
        "what        escalate, PROVISIONAL".to_owned(),
        format!("record      explain-market {partition}:{offset}  {}", tick(3, 2)),
        "verify      holds: every number follows from the others, and the digest is that of the bytes".to_owned(),
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} is not in\n{out}");
    }
    // An earlier record of it, named as `ce_id` names it.
    let (code, out, said) = explain(&format!("{id}:0"), &["--from", "beginning", "--to", "end"]);
    assert_eq!(code, Some(0), "{out}{said}");
    assert!(out.contains("what        open, PROVISIONAL") && out.contains(&tick(3, 1)), "{out}");

    // Not in the part that is looked at; no such topic; a market topic that never held the record.
    for (args, expected, why) in [
        (&["--from", "2200-01-01T00:00:00Z"][..], 2, "no alert "),
        (&["--set", "kafka.topics.alerts=nowhere"], 2, "topic nowhere does not exist"),
    ] {
        let (code, out, said) = explain(id, args);
        assert_eq!((code, &*out), (Some(expected), ""), "{said}");
        assert!(said.contains(why), "{why:?} is not in {said}");
    }
    let moved = escalated.to_string().replace(&format!("\"offset\":{offset}"), "\"offset\":123456");
    let file = world.file("explain-moved", &moved);
    let (code, out, said) = explain(id, &["--alert", &file]);
    assert_eq!(code, Some(1), "{out}{said}");
    assert!(out.contains(":123456  is not there any more"), "{out}");
}
