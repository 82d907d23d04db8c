//! The day again, by two instances of two lanes each that no single one of them reads all members of the group: every
//! alert is that of one lane that reads everything, with and without a kill in the middle.

use crate::day::{closes, market_lines, reference_lines};
use crate::downstream::Downstream;
use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE};
use crate::support::{LONG, Service, World, this_build, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const PARTITIONS: usize = 4;

pub(crate) struct Day<'a> {
    world: &'a World,
    pub(crate) name: String,
    mode: &'static str,
}

impl<'a> Day<'a> {
    /// Topics of its own; the reference topic is filled.
    pub(crate) fn new(world: &'a World, name: &str, mode: &'static str) -> Self {
        let name = format!("groups-{name}-{}", mode.replace('_', "-"));
        let topic = |what: &str| format!("{name}-{what}");
        world.create(&[
            &format!("{}:1:compact", topic("reference")),
            &format!("{}:{PARTITIONS}", topic("market")),
            &format!("{}:2", topic("members")),
            &format!("{}:3", topic("alerts")),
            &format!("{}:1", topic("dead")),
            &format!("{}:2:compact", topic("state")),
        ]);
        let file = world.file(&topic("reference"), &reference_lines(&closes()));
        world.client(&["produce", &world.boot, &topic("reference"), &file]);
        Self { world, name, mode }
    }

    fn serve(&self, instance: &str, lanes: usize) -> Service {
        self.serve_build(&this_build(), "config/fragility.toml", instance, lanes)
    }

    /// The same of another build, which may not know every key of this one's configuration.
    pub(crate) fn serve_build(&self, build: &Path, config: &str, instance: &str, lanes: usize) -> Service {
        let Self { world, name, mode } = self;
        let mut sets = vec![
            format!("kafka.brokers={}", world.boot),
            format!("kafka.group={name}"),
            format!("kafka.topics.market={name}-market"),
            format!("kafka.topics.reference={name}-reference"),
            format!("kafka.topics.alerts={name}-alerts"),
            format!("kafka.topics.dead_letters={name}-dead"),
            format!("kafka.topics.state={name}-state"),
            "alerts.heartbeat_secs=1".to_owned(),
            format!("state.dir={}", world.dir.join(format!("{name}-state-{instance}")).display()),
            format!("kafka.instance_id={name}-{instance}"),
            format!("kafka.lanes={lanes}"),
            format!("delivery.mode={mode}"),
            "delivery.commit_interval_ms=100".to_owned(),
            "state.snapshot_interval_secs=1".to_owned(),
            "kafka.properties.session.timeout.ms=6000".to_owned(),
            "market.quarantine.enabled=false".to_owned(),
        ];
        if lanes > 1 {
            sets.push(format!("kafka.topics.members={name}-members"));
        }
        world.serve_build(build, config, &sets)
    }

    pub(crate) fn send(&self, part: &str, lines: &[&str]) {
        let file = self.world.file(&format!("{}-{part}", self.name), &(lines.join("\n") + "\n"));
        self.world.client(&["produce", &self.world.boot, &format!("{}-market", self.name), &file]);
    }

    pub(crate) fn await_committed(&self) {
        until("the day is committed", LONG, || {
            let at = self.world.offsets(&self.name, &format!("{}-market", self.name));
            at.iter().all(|(committed, end)| *committed == Some(*end)).then_some(())
        });
    }

    /// What a reader downstream makes of it: no gap, every partition spoken for, states as the alerts left them.
    pub(crate) fn check_downstream(&self) {
        let reader = Downstream::follow(&self.world.records(&format!("{}-alerts", self.name)));
        assert_eq!(reader.gaps, Vec::<String>::new());
        for partition in 0..PARTITIONS {
            let input = (format!("{}-market", self.name), i64::try_from(partition).unwrap());
            assert!(reader.heard.contains(&input), "no heartbeat speaks for {input:?}");
        }
        reader.check_states(&self.world.records(&format!("{}-state", self.name)));
        assert!(self.mode == AT_LEAST_ONCE || reader.repeated == 0);
    }

    /// Alerts by id and revision, `source` apart, each with how often it came; a repeat is the same.
    fn alerts(&self) -> BTreeMap<(String, i64), (Value, usize)> {
        let once = |(id, mut said): ((String, i64), Vec<Value>)| {
            let count = said.len();
            let first = said.remove(0);
            assert!(said.iter().all(|again| *again == first), "a repeat of {id:?} differs");
            (id, (first, count))
        };
        self.said().into_iter().map(once).collect()
    }

    /// Alerts by id and revision, `source` apart, as often as they came.
    pub(crate) fn said(&self) -> BTreeMap<(String, i64), Vec<Value>> {
        let mut all: BTreeMap<(String, i64), Vec<Value>> = BTreeMap::new();
        for record in self.world.records(&format!("{}-alerts", self.name)) {
            let mut alert = record.json();
            if alert["schema"] != "fragility.alert.v1" {
                continue;
            }
            let id = (alert["alert_id"].as_str().unwrap().to_owned(), alert["revision"].as_i64().unwrap());
            // The digest stays: it is over everything but the place of the causes.
            alert["source"] = Value::Null;
            all.entry(id).or_default().push(alert);
        }
        all
    }
}

fn groups(world: &World, mode: &'static str) {
    let market = market_lines(&closes());
    let lines: Vec<&str> = market.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);

    let alone = Day::new(world, "alone", mode);
    let service = alone.serve("a", 1);
    service.await_ready();
    alone.send("first", first);
    alone.send("second", second);
    alone.await_committed();
    let of_cluster = |day: &Day<'_>| {
        let is_cluster = |(alert, _): &&(Value, usize)| alert["entity"]["type"] == "cluster";
        day.alerts().values().filter(is_cluster).count()
    };
    until("the group's verdict", LONG, || {
        let all = alone.alerts();
        all.values().any(|(a, _)| a["entity"]["type"] == "cluster" && a["phase"] == "CLOSE").then_some(())
    });
    service.terminate();
    let expected = alone.alerts();
    assert!(of_cluster(&alone) >= 2, "the group said too little: {}", of_cluster(&alone));

    let shared = Day::new(world, "shared", mode);
    let (a, b) = (shared.serve("a", 2), shared.serve("b", 2));
    a.await_ready();
    b.await_ready();
    shared.send("first", first);
    shared.await_committed();
    a.kill();
    let a = shared.serve("a", 2);
    shared.send("second", second);
    shared.await_committed();
    until("every alert", LONG, || (shared.alerts().len() >= expected.len()).then_some(()));
    a.terminate();
    b.terminate();
    alone.check_downstream();
    shared.check_downstream();
    let seen = shared.alerts();
    for (id, (alert, _)) in &expected {
        assert_eq!(seen.get(id).map(|(a, _)| a), Some(alert), "{id:?}");
    }
    assert_eq!(seen.len(), expected.len());
    let repeated = seen.values().filter(|(_, count)| *count > 1).count();
    assert!(mode == AT_LEAST_ONCE || repeated == 0, "{repeated} came more than once");
    eprintln!("groups {mode}: {} alerts, {} of the group, {repeated} repeated", seen.len(), of_cluster(&shared));
}

pub(crate) fn followed(world: &World) {
    groups(world, AT_LEAST_ONCE);
}

pub(crate) fn followed_once(world: &World) {
    groups(world, EXACTLY_ONCE);
}
