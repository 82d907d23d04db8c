//! The day over every number of partitions and instances that a desk may run: what the group says is the same bytes.

use crate::day::{closes, market_lines, reference_lines};
use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE};
use crate::support::{LONG, Service, World, until};
use std::collections::BTreeMap;

const CONFIG: &str = "config/fragility.toml";
const PARTITIONS: [usize; 4] = [1, 2, 5, 16];
const INSTANCES: [usize; 3] = [1, 2, 3];
/// Partitions and instances that deliver in transactions.
const ONCE: [(usize, usize); 2] = [(5, 2), (16, 3)];

/// Alerts of the group by id and revision, as they were written but for `source`.
type Said = BTreeMap<(String, i64), String>;

/// An alert without its causes' places: text up to `source`, and from its end on.
fn without_source(text: &str) -> String {
    let (before, rest) = text.split_once(r#""source":["#).unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    format!("{before}{after}")
}

/// What the group says in these alerts; a repeat has to be the same.
fn of_group<'a>(alerts: impl Iterator<Item = &'a str>) -> Said {
    let mut said = Said::new();
    for text in alerts {
        let alert: serde_json::Value = serde_json::from_str(text).unwrap();
        if alert["entity"]["type"] != "cluster" {
            continue;
        }
        let id = (alert["alert_id"].as_str().unwrap().to_owned(), alert["revision"].as_i64().unwrap());
        let text = without_source(text);
        assert_eq!(*said.entry(id).or_insert_with(|| text.clone()), text, "a repeat differs");
    }
    said
}

fn is_confirmed(text: &str) -> bool {
    text.contains(r#""state":"CONFIRMED""#)
}

/// The group's alerts with `partitions` read by `instances`.
fn cell(world: &World, partitions: usize, instances: usize, market: &str) -> Said {
    let name = format!("grid-{partitions}-{instances}");
    world.create(&[
        &format!("{name}-market:{partitions}"),
        &format!("{name}-members:2"),
        &format!("{name}-alerts:3"),
        &format!("{name}-dead:1"),
    ]);
    let mode = if ONCE.contains(&(partitions, instances)) { EXACTLY_ONCE } else { AT_LEAST_ONCE };
    let serve = |instance: usize| -> Service {
        let mut sets = vec![
            format!("kafka.brokers={}", world.boot),
            format!("kafka.group={name}"),
            format!("kafka.topics.market={name}-market"),
            "kafka.topics.reference=grid-reference".to_owned(),
            format!("kafka.topics.alerts={name}-alerts"),
            format!("kafka.topics.dead_letters={name}-dead"),
            format!("state.dir={}", world.dir.join(format!("{name}-state-{instance}")).display()),
            format!("kafka.instance_id={name}-{instance}"),
            format!("delivery.mode={mode}"),
            "market.quarantine.enabled=false".to_owned(),
        ];
        if instances > 1 {
            sets.push(format!("kafka.topics.members={name}-members"));
        }
        world.serve(CONFIG, &sets)
    };
    let services: Vec<Service> = (0..instances).map(serve).collect();
    until("partitions for whoever can have one", LONG, || {
        let has = |s: &&Service| s.json("/v1/state")["partitions"].as_array().is_some_and(|p| !p.is_empty());
        (services.iter().filter(has).count() >= instances.min(partitions)).then_some(())
    });
    world.client(&["produce", &world.boot, &format!("{name}-market"), market]);
    let said = until("the group's verdict", LONG, || {
        let records = world.records(&format!("{name}-alerts"));
        let alerts = records.iter().map(|r| &*r.value).filter(|v| v.contains(r#""schema":"fragility.alert.v1""#));
        let said = of_group(alerts);
        said.values().any(|text| is_confirmed(text)).then_some(said)
    });
    services.into_iter().for_each(Service::kill);
    said
}

pub(crate) fn grid(world: &World) {
    let all = closes();
    let keyed = reference_lines(&all);
    world.create(&["grid-reference:1:compact"]);
    let reference = world.file("grid-reference", &keyed);
    world.client(&["produce", &world.boot, "grid-reference", &reference]);
    let market = market_lines(&all);
    let fed = world.file("grid-market", &market);

    // The same without a broker.
    let values = |lines: &str| -> String {
        let values: Vec<&str> = lines.lines().filter_map(|l| Some(l.split_once('\t')?.1)).collect();
        values.join("\n")
    };
    let (history, input) =
        (world.file("grid-history.ndjson", &values(&keyed)), world.file("grid-input.ndjson", &values(&market)));
    let sets = [format!("history.files=[\"{history}\"]"), "market.quarantine.enabled=false".to_owned()];
    let (code, alerts, complaints) = world.replay(CONFIG, &sets, &["--input", &input]);
    assert_eq!(code, Some(0), "{complaints}");
    let expected = of_group(alerts.lines());
    let confirmed: Vec<&String> = expected.values().filter(|text| is_confirmed(text)).collect();
    let [verdict] = confirmed[..] else { panic!("{} verdicts", confirmed.len()) };
    assert!(verdict.contains(r#""level":"CRITICAL""#) && verdict.contains(r#""initiator":"NVDA""#), "{verdict}");

    for partitions in PARTITIONS {
        // Side by side: most of the time goes by in waiting.
        std::thread::scope(|scope| {
            let fed = &fed;
            let run = |instances| (instances, scope.spawn(move || cell(world, partitions, instances, fed)));
            for (instances, cell) in INSTANCES.map(run) {
                let said = cell.join().expect("a cell");
                let what = format!("{partitions} partitions, {instances} instances");
                assert_eq!(said.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
                for (id, text) in &expected {
                    assert_eq!(said[id], *text, "{what}");
                }
            }
        });
    }
    eprintln!("grid: {} alerts of the group in each of {} cells", expected.len(), PARTITIONS.len() * INSTANCES.len());
}
