//! Securities that go by other names from a session on: their keys fall to other partitions, some of another instance. What is
//! said is what one reader of all records says.

use crate::load::EXACTLY_ONCE;
use crate::support::{LONG, Service, World, until};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const CONFIG: &str = "config/fragility.toml";
const SYMBOLS: usize = 60;
/// Of those, how many are renamed.
const RENAMED: usize = 40;
const ROUNDS: usize = 12;
/// A minute into two regular sessions.
const SESSIONS: [(&str, i64); 2] = [("2025-01-27", 1_737_988_260), ("2025-01-28", 1_738_074_660)];

/// Alerts by id and revision, without their causes' places.
type Said = BTreeMap<(String, i64), String>;

fn said<'a>(alerts: impl Iterator<Item = &'a str>) -> (Said, usize) {
    let (mut said, mut repeated) = (Said::new(), 0);
    for text in alerts.filter(|text| text.contains(r#""schema":"fragility.alert.v1""#)) {
        let alert: serde_json::Value = serde_json::from_str(text).unwrap();
        let id = (alert["alert_id"].as_str().unwrap().to_owned(), alert["revision"].as_i64().unwrap());
        let (before, rest) = text.split_once(r#""source":["#).unwrap();
        repeated += usize::from(said.insert(id, format!("{before}{}", rest.split_once(']').unwrap().1)).is_some());
    }
    (said, repeated)
}

fn name(number: usize, session: usize) -> String {
    format!("{}{number:02}", if session == 1 && number < RENAMED { "NEW" } else { "OLD" })
}

/// Keys and values of a session: prices far away and back, then closes; behind the first one, the names of the next.
fn market(session: usize) -> String {
    let (date, begin) = SESSIONS[session];
    let mut lines = String::new();
    let mut say = |key: &str, value: &str| writeln!(lines, "{key}\t{value}").unwrap();
    for round in 0..ROUNDS {
        for number in 0..SYMBOLS {
            let symbol = name(number, session);
            let z = f64::from(u32::try_from((number * 7 + round * 5 + session) % 17).unwrap()) - 8.0;
            let ts = (begin + 60 * i64::try_from(round).unwrap()) * 1_000_000_000 + i64::try_from(number).unwrap();
            let (price, seq) = (100.0 * (z * 0.01).exp(), session * ROUNDS + round + 1);
            say(&symbol, &format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":{price},"seq":{seq}}}"#));
        }
    }
    for number in 0..SYMBOLS {
        let symbol = name(number, session);
        let close = format!(r#"{{"type":"close","symbol":"{symbol}","session":"{date}","price":{}}}"#, 99 + number % 3);
        say(&symbol, &close);
    }
    for number in 0..if session == 0 { RENAMED } else { 0 } {
        let (old, new, from) = (name(number, 0), name(number, 1), SESSIONS[1].0);
        say(&old, &format!(r#"{{"type":"rename","symbol":"{old}","to":"{new}","from":"{from}"}}"#));
    }
    lines
}

fn values(lines: &str) -> String {
    lines.lines().filter_map(|line| Some(format!("{}\n", line.split_once('\t')?.1))).collect()
}

pub(crate) fn renamed(world: &World) {
    world.create(&[
        "renamed-market:4",
        "renamed-members:2",
        "renamed-alerts:3",
        "renamed-dead:1",
        "renamed-snapshots:2",
    ]);
    let desk = |n| {
        format!("{{\"type\":\"reference\",\"symbol\":\"{}\",\"prev_close\":100,\"sigma_daily\":0.01}}\n", name(n, 0))
    };
    let history = world.file("renamed-history.ndjson", &(0..SYMBOLS).map(desk).collect::<String>());
    let common = [format!("history.files=[{history:?}]"), "market.quarantine.enabled=false".to_owned()];
    let input = world.file("renamed-input.ndjson", &values(&(market(0) + &market(1))));
    let (code, alerts, complaints) = world.replay(CONFIG, &common, &["--input", &input]);
    assert_eq!(code, Some(0), "{complaints}");
    let (expected, _) = said(alerts.lines());
    assert!(expected.values().any(|text| text.contains(r#""id":"NEW00""#)), "{} alerts", expected.len());

    let serve = |instance: usize| -> Service {
        let mut sets = vec![
            format!("kafka.brokers={}", world.boot),
            "kafka.group=renamed".to_owned(),
            "kafka.topics.market=renamed-market".to_owned(),
            "kafka.topics.members=renamed-members".to_owned(),
            "kafka.topics.alerts=renamed-alerts".to_owned(),
            "kafka.topics.dead_letters=renamed-dead".to_owned(),
            "kafka.topics.snapshots=renamed-snapshots".to_owned(),
            format!("state.dir={}", world.dir.join(format!("renamed-state-{instance}")).display()),
            "state.snapshot_interval_secs=1".to_owned(),
            "state.topic_interval_secs=1".to_owned(),
            "alerts.heartbeat_secs=1".to_owned(),
            format!("kafka.instance_id=renamed-{instance}"),
            format!("delivery.mode={EXACTLY_ONCE}"),
        ];
        sets.extend(common.iter().cloned());
        world.serve(CONFIG, &sets)
    };
    let has_some = |s: &Service| s.json("/v1/state")["partitions"].as_array().is_some_and(|p| !p.is_empty());
    let start = || {
        let services = [serve(0), serve(1)];
        services.iter().for_each(Service::await_ready);
        until("partitions for both", LONG, || services.iter().all(has_some).then_some(()));
        services
    };
    let services = start();
    let all_committed = || {
        let at = world.offsets("renamed", "renamed-market");
        at.iter().all(|(committed, end)| *committed == Some(*end)).then_some(())
    };
    world.client(&["produce", &world.boot, "renamed-market", &world.file("renamed-first", &market(0))]);
    until("the first session is committed", LONG, all_committed);
    // Overnight both are started anew: with its partitions each gets to know what the other's snapshots say.
    services.into_iter().for_each(Service::terminate);
    let services = start();
    world.client(&["produce", &world.boot, "renamed-market", &world.file("renamed-second", &market(1))]);
    until("the second session is committed", LONG, all_committed);
    let adopted: f64 = services.iter().map(|s| s.metrics()["fragility_symbols_adopted_total"]).sum();
    services.into_iter().for_each(Service::terminate);
    let records = world.records("renamed-alerts");
    let (got, repeated) = said(records.iter().map(|record| &*record.value));
    for (id, text) in &expected {
        assert_eq!(got.get(id), Some(text), "{id:?}");
    }
    assert_eq!((got.len(), repeated), (expected.len(), 0), "and no others, once each");
    assert!(adopted >= 5.0, "{adopted} symbols adopted: nothing was asked of anybody");
    eprintln!(
        "renamed: {RENAMED} names, {adopted} of them from another instance, {} alerts, 0 lost, 0 wrong",
        got.len()
    );
}
