//! The generated market under load, with interruptions: what is asked is that nothing is lost, that nothing
//! differs, and that the accounts close.

use crate::support::{LONG, Record, Running, World, this_build, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) const PARTITIONS: usize = 8;
pub(crate) const AT_LEAST_ONCE: &str = "at_least_once";
pub(crate) const EXACTLY_ONCE: &str = "exactly_once";
const OUTCOMES: [&str; 8] =
    ["applied", "duplicate", "late", "rejected", "malformed", "unknown_symbol", "tombstone", "ignored"];

/// Topics, files and names of one scenario.
pub(crate) struct Load<'a> {
    pub(crate) world: &'a World,
    pub(crate) name: String,
    pub(crate) mode: &'static str,
    /// Whether the group is kept by the broker (KIP-848).
    protocol: &'static str,
    pub(crate) market: String,
    alerts: String,
    references: String,
    expected: String,
}

/// What an alert says that must not depend on interruptions.
type Alert = (String, i64, f64, f64);

impl<'a> Load<'a> {
    pub(crate) fn new(world: &'a World, name: &str, mode: &'static str) -> Self {
        Self::over(world, name, mode, PARTITIONS)
    }

    /// The same with so many partitions of the market topic.
    pub(crate) fn over(world: &'a World, name: &str, mode: &'static str, partitions: usize) -> Self {
        let name = format!("{name}-{}", mode.replace('_', "-"));
        let (market, alerts, dead) = (format!("{name}-market"), format!("{name}-alerts"), format!("{name}-dead"));
        world.create(&[&format!("{market}:{partitions}"), &format!("{alerts}:4"), &format!("{dead}:1")]);
        let file = |what: &str| world.dir.join(format!("{name}-{what}.ndjson")).to_str().unwrap().to_owned();
        let (references, expected) = (file("references"), file("expected"));
        world.client(&["generate", "-", "-", "--count", "0", "--refs", &references]);
        Self { world, name, mode, protocol: "classic", market, alerts, references, expected }
    }

    /// Sends ticks in the background.
    pub(crate) fn generate(&self, count: usize, rate: usize) -> Running {
        self.generate_with(count, rate, &[])
    }

    /// The same with further options.
    pub(crate) fn generate_with(&self, count: usize, rate: usize, further: &[&str]) -> Running {
        let (count, rate) = (count.to_string(), rate.to_string());
        let args = [
            "generate",
            &self.world.boot,
            &self.market,
            "--count",
            &count,
            "--rate",
            &rate,
            "--expected",
            &self.expected,
        ];
        self.world.begin(&[&args, further].concat())
    }

    pub(crate) fn serve(&self, instance: &str) -> crate::support::Service {
        self.serve_with(instance, &[])
    }

    /// The same with further settings.
    pub(crate) fn serve_with(&self, instance: &str, further: &[&str]) -> crate::support::Service {
        self.serve_build(&this_build(), instance, further)
    }

    /// The same of another build.
    pub(crate) fn serve_build(&self, build: &Path, instance: &str, further: &[&str]) -> crate::support::Service {
        let Self { world, name, mode, protocol, market, alerts, references, .. } = self;
        let mut sets = vec![
            format!("kafka.brokers={}", world.boot),
            format!("kafka.group={name}"),
            format!("kafka.topics.market={market}"),
            format!("kafka.topics.alerts={alerts}"),
            format!("kafka.topics.dead_letters={name}-dead"),
            format!("state.dir={}", world.dir.join(format!("{name}-state-{instance}")).display()),
            format!("delivery.mode={mode}"),
            format!("kafka.instance_id={name}-{instance}"),
            // Often, so that an interruption meets a commit under way.
            "state.snapshot_interval_secs=1".to_owned(),
            "delivery.commit_interval_ms=200".to_owned(),
            format!("kafka.properties.group.protocol={protocol}"),
            format!("history.files=[{references:?}]"),
        ];
        if *protocol == "classic" {
            // The broker forgets a killed member after this; it allows no less.
            sets.push("kafka.properties.session.timeout.ms=6000".to_owned());
        }
        sets.extend(further.iter().map(ToString::to_string));
        world.serve_build(build, "config/bench.toml", &sets)
    }

    /// Sets the group back by so many records of each partition, and keeps its offsets from being known for so long.
    pub(crate) fn hold(&self, back: usize, seconds: usize) -> Running {
        let (back, seconds) = (back.to_string(), seconds.to_string());
        let args = ["hold", &self.world.boot, &self.name, &self.market, "--back", &back, "--seconds", &seconds];
        let holder = self.world.begin(&args);
        until("the offsets are held", LONG, || holder.stdout().contains("held").then_some(()));
        holder
    }

    pub(crate) fn alerts(&self) -> &str {
        &self.alerts
    }

    fn expected(&self) -> BTreeMap<String, Vec<Alert>> {
        let text = fs::read_to_string(&self.expected).unwrap();
        let mut by_symbol: BTreeMap<String, Vec<Alert>> = BTreeMap::new();
        for line in text.lines() {
            let (symbol, alert) = read(&serde_json::from_str(line).unwrap());
            by_symbol.entry(symbol).or_default().push(alert);
        }
        assert!(by_symbol.len() > 100, "the generated market is too calm: {} symbols", by_symbol.len());
        by_symbol
    }

    /// Every expected alert came, none besides, and in order; a repeat has the same bytes. How many came, and
    /// how many of them again.
    pub(crate) fn check_alerts(&self, may_repeat: bool) -> (usize, usize) {
        let mut seen: BTreeMap<String, Vec<Alert>> = BTreeMap::new();
        let mut bytes: BTreeMap<(String, String, i64), String> = BTreeMap::new();
        let (mut repeated, mut examples) = (0, Vec::new());
        for record in self.world.records(&self.alerts) {
            let Record { key, value, .. } = &record;
            if record.json()["schema"] == "fragility.heartbeat.v1" {
                continue;
            }
            let (symbol, alert) = read(&record.json());
            assert_eq!(key.as_ref(), Some(&symbol));
            if let Some(before) = bytes.insert((symbol.clone(), alert.0.clone(), alert.1), value.clone()) {
                assert_eq!(&before, value, "a repeat differs");
                repeated += 1;
                examples.push(format!("{symbol} {alert:?} again at {}@{}", record.partition, record.offset));
                examples.truncate(20);
            } else {
                seen.entry(symbol).or_default().push(alert);
            }
        }
        let expected = self.expected();
        for (symbol, alerts) in &expected {
            assert_eq!(seen.get(symbol), Some(alerts), "{symbol}");
        }
        assert_eq!(seen.len(), expected.len(), "alerts of symbols that expect none");
        assert!(may_repeat || repeated == 0, "{repeated} alerts came more than once: {examples:#?}");
        eprintln!("{}: {} alerts, {repeated} repeated", self.name, bytes.len());
        (bytes.len(), repeated)
    }

    /// Waits until everything sent is committed.
    pub(crate) fn await_committed(&self) {
        until("everything committed", LONG, || {
            let at = self.world.offsets(&self.name, &self.market);
            at.iter().all(|(committed, end)| *committed == Some(*end) || *end == 0).then_some(())
        });
    }

    pub(crate) fn check_committed(&self) {
        for (partition, (committed, end)) in self.world.offsets(&self.name, &self.market).into_iter().enumerate() {
            assert_eq!(committed, Some(end), "partition {partition}");
        }
    }
}

fn read(alert: &Value) -> (String, Alert) {
    let text = |field: &str| alert[field].as_str().unwrap().to_owned();
    let number = |field: &str| alert[field].as_f64().unwrap();
    (text("symbol"), (text("kind"), alert["ts"].as_i64().unwrap(), number("tier"), number("z")))
}

/// A million ticks with a restart in the middle: every alert once, in order.
fn million_in(world: &World, mode: &'static str) {
    const COUNT: f64 = 1e6;
    let load = Load::new(world, "million", mode);
    let feed = load.generate(1_000_000, 100_000);
    let service = load.serve("a");
    until("the middle", LONG, || (service.taken() > 0.3 * COUNT).then_some(()));
    service.terminate();
    let service = load.serve("a");
    feed.finish(LONG);
    service.await_taken(COUNT);
    let metrics = service.metrics();
    for outcome in OUTCOMES {
        let wanted = if outcome == "applied" { COUNT } else { 0.0 };
        assert_eq!(metrics[&format!("fragility_records_total{{outcome=\"{outcome}\"}}")], wanted, "{outcome}");
    }
    service.terminate();
    load.check_committed();
    load.check_alerts(false);
}

/// kill -9 of the service, twice: it goes on from the snapshots that it writes as it works.
fn killed_service_in(world: &World, mode: &'static str) {
    const COUNT: f64 = 3e5;
    let load = Load::new(world, "killed-service", mode);
    let feed = load.generate(300_000, 40_000);
    let restored = |service: &crate::support::Service| {
        let metrics = service.metrics();
        let of = |from: &str| metrics.get(&format!("fragility_restores_total{{from=\"{from}\"}}")).copied();
        ["snapshot", "log"].map(|from| of(from).unwrap_or(0.0))
    };
    let mut from = [0.0; 2];
    for part in [0.2, 0.5] {
        let service = load.serve("a");
        until("records to lose", LONG, || (service.taken() > part * COUNT).then_some(()));
        let written = "fragility_snapshots_total{result=\"written\"}";
        until("a snapshot between stops", LONG, || (service.metrics()[written] > 0.0).then_some(()));
        assert_eq!(restored(&service), from, "partitions that came from a snapshot, and from the log");
        service.kill();
        from = [PARTITIONS as f64, 0.0];
    }
    let service = load.serve("a");
    service.await_ready();
    assert_eq!(restored(&service), from, "partitions that came from a snapshot, and from the log");
    feed.finish(LONG);
    service.await_taken(COUNT);
    service.terminate();
    load.check_committed();
    load.check_alerts(mode == AT_LEAST_ONCE);
}

/// kill -9, and another machine goes on from the snapshots in the topic; the first one's disk is gone.
pub(crate) fn other_machine(world: &World) {
    const COUNT: f64 = 3e5;
    let load = Load::new(world, "other-machine", EXACTLY_ONCE);
    let topic = format!("{}-snapshots", load.name);
    world.create(&[&format!("{topic}:3:compact")]);
    let shared = format!("kafka.topics.snapshots={topic}");
    let sets = [shared.as_str(), "state.topic_interval_secs=1"];
    let feed = load.generate(300_000, 40_000);
    let first = load.serve_with("a", &sets);
    until("records to lose", LONG, || (first.taken() > 0.5 * COUNT).then_some(()));
    first.kill();
    let second = load.serve_with("b", &sets);
    second.await_ready();
    let restored = |from: &str| {
        let name = format!("fragility_restores_total{{from=\"{from}\"}}");
        second.metrics().get(&name).copied().unwrap_or(0.0)
    };
    assert_eq!((restored("snapshot"), restored("log")), (PARTITIONS as f64, 0.0));
    feed.finish(LONG);
    second.await_taken(COUNT);
    second.terminate();
    load.check_committed();
    load.check_alerts(false);
}

/// kill -9 of the broker: what waits for it is delivered when it is back.
fn killed_broker_in(world: &World, mode: &'static str) {
    const COUNT: f64 = 3e5;
    let load = Load::new(world, "killed-broker", mode);
    let feed = load.generate(300_000, 40_000);
    let service = load.serve("a");
    until("records under way", LONG, || (service.taken() > 0.2 * COUNT).then_some(()));
    let broker = world.broker("broker").to_str().unwrap().to_owned();
    world.script(&["kill", &broker]);
    service.await_unready(&world.boot);
    world.script(&["start", &broker]);
    service.await_ready();
    feed.finish(LONG);
    service.await_taken(COUNT);
    service.terminate();
    load.check_committed();
    load.check_alerts(mode == AT_LEAST_ONCE);
}

/// Two members of one group: the second joins under load, and leaves.
fn two_instances_in(world: &World, mode: &'static str, protocol: &'static str) {
    const COUNT: usize = 200_000;
    let mut load = Load::new(world, &format!("two-instances-{protocol}"), mode);
    load.protocol = protocol;
    let owned = |service: &crate::support::Service| {
        let metrics = service.metrics();
        let lag = metrics.keys().filter(|k| k.starts_with("fragility_kafka_consumer_lag_messages{"));
        lag.count()
    };
    let first = load.serve("a");
    first.await_ready();
    let feed = load.generate(COUNT, 20_000);
    until("records to take over", LONG, || (first.taken() > 20_000.0).then_some(()));
    // It has no state, and reads the log again from its beginning for the partitions that it takes over.
    let second = load.serve("b");
    until("both have partitions", LONG, || (owned(&second) == PARTITIONS / 2).then_some(()));
    until("both at work", LONG, || (first.taken() > 10_000.0 && second.taken() > 10_000.0).then_some(()));
    second.terminate();
    feed.finish(LONG);
    first.await_taken(COUNT as f64);
    first.terminate();
    load.check_committed();
    load.check_alerts(mode == AT_LEAST_ONCE);
}

pub(crate) fn million(world: &World) {
    million_in(world, AT_LEAST_ONCE);
}

pub(crate) fn million_once(world: &World) {
    million_in(world, EXACTLY_ONCE);
}

pub(crate) fn killed_service(world: &World) {
    killed_service_in(world, AT_LEAST_ONCE);
}

pub(crate) fn killed_service_once(world: &World) {
    killed_service_in(world, EXACTLY_ONCE);
}

pub(crate) fn killed_broker(world: &World) {
    killed_broker_in(world, AT_LEAST_ONCE);
}

pub(crate) fn killed_broker_once(world: &World) {
    killed_broker_in(world, EXACTLY_ONCE);
}

pub(crate) fn two_instances(world: &World) {
    two_instances_in(world, AT_LEAST_ONCE, "classic");
}

pub(crate) fn two_instances_once(world: &World) {
    two_instances_in(world, EXACTLY_ONCE, "consumer");
}
