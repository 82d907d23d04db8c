//! A rolling upgrade and its roll-back, between two real builds: `FRAGILITY_OLD_BINARY` names the old one, and
//! `FRAGILITY_NEW_BINARY` the new one, which is otherwise this one. Without an old one nothing runs here.
//!
//! Two instances of one group are replaced one after the other while the feed goes on, and replaced back. Under the
//! rules of the benchmark the alerts are those of the independent generator. For the full form, with states and a
//! group that follows its members by a log, each build says what it says alone; an alert of the mixed fleet has to be
//! that of one of them, byte for byte but for the place of its causes, and a reader downstream must miss nothing.

use crate::day::{closes, market_lines};
use crate::groups::Day;
use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE, Load};
use crate::support::{LONG, Service, World, this_build, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const RATE: usize = 10_000;
/// Longer than all replacements take; the feed has to be running when the last of them is over.
const SECONDS: usize = 90;
/// Between two replacements: snapshots of the running build come about.
const BETWEEN: Duration = Duration::from_secs(2);
/// Who is replaced, and whether by the new build.
const STEPS: [(usize, bool); 4] = [(0, true), (1, true), (0, false), (1, false)];
const NAMES: [&str; 2] = ["a", "b"];

struct Builds {
    old: PathBuf,
    new: PathBuf,
}

impl Builds {
    fn given() -> Option<Self> {
        let path = |variable: &str| {
            let path = std::env::var_os(variable).filter(|p| !p.is_empty())?;
            Some(fs::canonicalize(&path).unwrap_or_else(|e| panic!("{variable}: {}: {e}", path.display())))
        };
        let Some(old) = path("FRAGILITY_OLD_BINARY") else {
            eprintln!("upgrade: left out: FRAGILITY_OLD_BINARY names no build; scripts/upgrade does");
            return None;
        };
        Some(Self { old, new: path("FRAGILITY_NEW_BINARY").unwrap_or_else(this_build) })
    }

    fn of(&self, is_new: bool) -> &Path {
        if is_new { &self.new } else { &self.old }
    }
}

/// Layouts in a log, as a refusal names them: that of the snapshot, and that of the build.
fn refused(log: &str) -> Vec<(u16, u16)> {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let refusals = log.split("snapshot layout ").skip(1);
    refusals
        .map(|after| {
            let own = after.split_once("this build reads ").and_then(|(_, own)| number(own));
            number(after).zip(own).expect("a refusal names both layouts")
        })
        .collect()
}

fn restored(service: &Service, from: &str) -> f64 {
    service.metrics().get(&format!("fragility_restores_total{{from=\"{from}\"}}")).copied().unwrap_or(0.0)
}

/// What one service met.
#[derive(Default)]
struct Met {
    /// Snapshots refused, by the two layouts.
    refusals: BTreeMap<(u16, u16), usize>,
}

impl Met {
    fn read(&mut self, service: &Service) {
        for pair in refused(&service.log()) {
            *self.refusals.entry(pair).or_default() += 1;
        }
    }

    /// Each build refused the other's snapshots and none of its own, or their layouts are the same.
    fn check(&self, what: &str) -> String {
        let pairs: Vec<(u16, u16)> = self.refusals.keys().copied().collect();
        match pairs[..] {
            [] => "both builds have one snapshot layout".to_owned(),
            [(a, b), (c, d)] if (a, b) == (d, c) && a != b => {
                let count = |pair| self.refusals[&pair];
                format!(
                    "{} snapshots of layout {b} refused by the build of layout {a}, {} the other way",
                    count((b, a)),
                    count((a, b))
                )
            }
            _ => panic!("{what}: refusals one way alone, or of one's own: {:?}", self.refusals),
        }
    }
}

/// Replaces both instances under load, and back.
fn rolled_in(world: &World, mode: &'static str) {
    let Some(builds) = Builds::given() else { return };
    let load = Load::new(world, "upgrade", mode);
    let topic = format!("{}-snapshots", load.name);
    world.create(&[&format!("{topic}:3:compact")]);
    let shared = format!("kafka.topics.snapshots={topic}");
    let serve = |is_new: bool, n: usize| {
        load.serve_build(builds.of(is_new), NAMES[n], &[shared.as_str(), "state.topic_interval_secs=1"])
    };
    let mut services = [serve(false, 0), serve(false, 1)];
    services.iter().for_each(Service::await_ready);
    let mut feed = load.generate(RATE * SECONDS, RATE);
    let works = |service: &Service, what: &str| until(what, LONG, || (service.alerts() > 0.0).then_some(()));
    for service in &services {
        works(service, "both at work");
    }
    let mut met = Met::default();
    let mut steps = Vec::new();
    for (n, is_new) in STEPS {
        std::thread::sleep(BETWEEN);
        // As an operator has to: who is stopped while it restores leaves the rest to nobody.
        services.iter().for_each(Service::await_ready);
        let written = "fragility_snapshots_total{result=\"written\"}";
        until("snapshots of the running build", LONG, || (services[n].metrics()[written] > 0.0).then_some(()));
        let asked = Instant::now();
        let [first, second] = services;
        let (gone, stays) = if n == 0 { (first, second) } else { (second, first) };
        met.read(&gone);
        gone.terminate();
        let ended = asked.elapsed();
        let fresh = serve(is_new, n);
        works(&fresh, "an alert of the replacement");
        let back = asked.elapsed();
        let end: i64 = world.offsets(&load.name, &load.market).iter().map(|(_, end)| end).sum();
        steps.push(format!(
            "{} to {}: ended after {} ms, first alert after {} ms; partitions restored from the log {}, from snapshots {}; {end} records in the log",
            NAMES[n],
            if is_new { "new" } else { "old" },
            ended.as_millis(),
            back.as_millis(),
            restored(&fresh, "log"),
            restored(&fresh, "snapshot"),
        ));
        services = if n == 0 { [fresh, stays] } else { [stays, fresh] };
    }
    assert!(feed.is_running(), "the feed ended before the last replacement: it takes more than {SECONDS} s here");
    feed.finish(LONG * 4);
    load.await_committed();
    for service in &services {
        service.await_ready();
        met.read(service);
    }
    services.into_iter().for_each(Service::terminate);
    load.check_committed();
    let (alerts, repeated) = load.check_alerts(mode == AT_LEAST_ONCE);
    let layouts = met.check(mode);
    for step in steps {
        eprintln!("upgrade {mode}: {step}");
    }
    eprintln!("upgrade {mode}: {alerts} alerts, 0 lost, {repeated} repeated, 0 wrong; {layouts}");
}

/// What a build says of the day alone: alerts by id and revision.
fn alone(
    world: &World,
    build: &Path,
    config: &str,
    (name, mode): (&str, &'static str),
    lines: &[&str],
) -> BTreeMap<(String, i64), Value> {
    let day = Day::new(world, name, mode);
    let service = day.serve_build(build, config, "a", 1);
    service.await_ready();
    day.send("all", lines);
    day.await_committed();
    until("the group's verdict", LONG, || is_settled(&day).then_some(()));
    service.terminate();
    day.said().into_iter().map(|(id, mut said)| (id, said.remove(0))).collect()
}

/// Whether the group has said what it says at the close.
fn is_settled(day: &Day<'_>) -> bool {
    day.said().values().flatten().any(|alert| is_cluster(alert) && alert["phase"] == "CLOSE")
}

/// What was decided, and when; not in which words.
fn decided(of: &BTreeMap<(String, i64), Value>) -> BTreeMap<&(String, i64), [&Value; 5]> {
    of.iter().map(|(id, a)| (id, ["kind", "state", "tier", "event_time", "sequence"].map(|field| &a[field]))).collect()
}

fn is_cluster(alert: &Value) -> bool {
    alert["entity"]["type"] == "cluster"
}

fn day_in(world: &World, mode: &'static str) {
    let Some(builds) = Builds::given() else { return };
    let market = market_lines(&closes());
    let lines: Vec<&str> = market.lines().collect();
    // Each build's own defaults: an old one refuses keys that it does not know.
    let config = world.file("upgrade.toml", "");
    let old = alone(world, &builds.old, &config, ("upgrade-old", mode), &lines);
    let new = alone(world, &builds.new, &config, ("upgrade-new", mode), &lines);
    if decided(&old) != decided(&new) {
        eprintln!(
            "upgrade day {mode}: left out: alone the builds decide otherwise, so there is nothing to hold them to"
        );
        return;
    }

    let day = Day::new(world, "upgrade-mixed", mode);
    let serve = |is_new: bool, n: usize| day.serve_build(builds.of(is_new), &config, NAMES[n], 2);
    let mut services = [serve(false, 0), serve(false, 1)];
    services.iter().for_each(Service::await_ready);
    let mut met = Met::default();
    let parts: Vec<&[&str]> = lines.chunks(lines.len().div_ceil(STEPS.len() + 1)).collect();
    let (first, rest) = parts.split_first().unwrap();
    day.send("0", first);
    day.await_committed();
    for (step, (part, (n, is_new))) in rest.iter().zip(STEPS).enumerate() {
        // A snapshot of what is committed, and an open episode or two.
        std::thread::sleep(BETWEEN);
        day.send(&(step + 1).to_string(), part);
        let [first, second] = services;
        let (gone, stays) = if n == 0 { (first, second) } else { (second, first) };
        met.read(&gone);
        gone.terminate();
        let fresh = serve(is_new, n);
        fresh.await_ready();
        day.await_committed();
        services = if n == 0 { [fresh, stays] } else { [stays, fresh] };
    }
    let ids = |of: &BTreeMap<(String, i64), Value>| of.keys().cloned().collect::<BTreeSet<_>>();
    let (by_old, by_new) = (ids(&old), ids(&new));
    let both: BTreeSet<_> = by_old.intersection(&by_new).cloned().collect();
    let mut missing = BTreeSet::new();
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        let said: BTreeSet<_> = day.said().into_keys().collect();
        missing = both.difference(&said).cloned().collect();
        if missing.is_empty() && is_settled(&day) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(missing.is_empty(), "both builds give them alone, and they did not come: {missing:?}");
    for service in &services {
        met.read(service);
    }
    services.into_iter().for_each(Service::terminate);
    day.check_downstream();
    let said = day.said();
    let (mut as_both, mut as_old, mut as_new) = (0, 0, 0);
    let (mut repeated, mut retold, mut clusters) = (0, 0, 0);
    for (id, all) in &said {
        repeated += all.len() - 1;
        retold += all.iter().filter(|again| **again != all[0]).count();
        for alert in all {
            clusters += usize::from(is_cluster(alert));
            match (old.get(id) == Some(alert), new.get(id) == Some(alert)) {
                (true, true) => as_both += 1,
                (true, false) => as_old += 1,
                (false, true) => as_new += 1,
                (false, false) => panic!(
                    "{id:?} is that of neither build: {alert:#}\nold: {:#}\nnew: {:#}",
                    old.get(id).unwrap_or(&Value::Null),
                    new.get(id).unwrap_or(&Value::Null)
                ),
            }
        }
    }
    assert!(mode == AT_LEAST_ONCE || repeated == 0, "{repeated} came more than once");
    let layouts = met.check(mode);
    eprintln!(
        "upgrade day {mode}: {} alerts ({clusters} of the group), 0 lost, {repeated} repeated ({retold} in the other build's words), 0 wrong: {as_both} as either build gives, {as_old} as the old, {as_new} as the new; alone the old gives {}, the new {}, {} both; no gap downstream; {layouts}",
        said.len(),
        old.len(),
        new.len(),
        both.len(),
    );
}

/// The old build said something, the group forgot its offsets for it, and the new build takes the causes again: it must
/// know what was said, though it says it in other bytes. With no old build both are this one.
pub(crate) fn forgotten_once(world: &World) {
    const COUNT: usize = 100_000;
    let builds = Builds::given().unwrap_or_else(|| Builds { old: this_build(), new: this_build() });
    let load = Load::new(world, "upgrade-forgotten", EXACTLY_ONCE);
    let serve = |build: &Path| load.serve_build(build, "a", &["alerts.format=full"]);
    let service = serve(&builds.old);
    service.await_ready();
    load.generate(COUNT, 50_000).finish(LONG);
    service.await_taken(COUNT as f64);
    service.terminate();
    load.check_committed();
    let before = world.records(load.alerts()).len();
    let holder = load.hold(3_000, 15);
    let service = serve(&builds.new);
    let said_before = "fragility_alert_deliveries_total{result=\"said_before\",sink=\"kafka\"}";
    let count = || service.metrics().get(said_before).copied().unwrap_or(0.0);
    until("alerts that were said before", LONG, || (count() > 10.0).then_some(()));
    holder.finish(LONG);
    load.await_committed();
    let not_again = count();
    service.terminate();
    load.check_committed();
    let after = world.records(load.alerts());
    let ids: BTreeSet<_> = after.iter().map(|r| r.headers["ce_id"].to_string()).collect();
    assert_eq!((ids.len(), after.len()), (before, before), "alerts came again, or anew");
    eprintln!("upgrade forgotten: {before} alerts, {not_again} not said again, 0 repeated");
}

pub(crate) fn rolled(world: &World) {
    rolled_in(world, AT_LEAST_ONCE);
}

pub(crate) fn rolled_once(world: &World) {
    rolled_in(world, EXACTLY_ONCE);
}

pub(crate) fn day(world: &World) {
    day_in(world, AT_LEAST_ONCE);
}

pub(crate) fn day_once(world: &World) {
    day_in(world, EXACTLY_ONCE);
}
