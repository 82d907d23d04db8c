//! The market topic gets more partitions under load: symbols go on in partitions of other instances, with their episodes and
//! in order, as the independent generator expects that knows of no partitions.

use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE, Load};
use crate::support::{LONG, Service, World, until};

const RATE: usize = 5_000;

/// Committed offsets that are there, and partitions.
fn known(load: &Load<'_>) -> (usize, usize) {
    let at = load.world.offsets(&load.name, &load.market);
    (at.iter().filter(|(committed, _)| committed.is_some()).count(), at.len())
}

fn await_all(load: &Load<'_>) {
    until("everything committed", LONG * 3, || {
        let at = load.world.offsets(&load.name, &load.market);
        at.iter().all(|(committed, end)| *committed == Some(*end)).then_some(())
    });
}

fn total(services: &[Service], metric: &str) -> f64 {
    services.iter().map(|s| s.metrics().get(metric).copied().unwrap_or(0.0)).sum()
}

/// Two instances and two partitions; then four, and five in the middle of the move: of the latter every one gets symbols of
/// every other, and some come back to where they were moments ago. `start` is where a group without offsets begins, which
/// new partitions of a group that has some must not follow.
fn moved(world: &World, mode: &'static str, start: &str) {
    let load = Load::over(world, "moved", mode, 2);
    let offset = format!("kafka.properties.auto.offset.reset={start}");
    let serve = |name: &str| load.serve_with(name, &[&offset]);
    let services = [serve("a"), serve("b")];
    services.iter().for_each(Service::await_ready);
    until("offsets of both partitions", LONG, || (known(&load) == (2, 2)).then_some(()));
    // New producers' settings: they learn of partitions within a second, and members within ten.
    // A third of the ticks follows on each change, however long that takes.
    let [first, second] = ["first", "second"].map(|n| world.dir.join(format!("{}-{n}", load.name)));
    let gates = format!("{},{}", first.display(), second.display());
    let feed = load.generate_with(RATE * 45, RATE, &["--metadata", "1000", "--gates", &gates]);
    until("both at work", LONG, || services.iter().all(|s| s.alerts() > 20.0).then_some(()));
    world.client(&["grow", &world.boot, &load.market, "4"]);
    std::fs::write(&first, "").unwrap();
    until("four partitions are read", LONG, || (known(&load) == (4, 4)).then_some(()));
    let moves = || total(&services, "fragility_symbols_moved_total");
    until("symbols move", LONG, || (moves() > 0.0).then_some(()));
    let after_four = moves();
    world.client(&["grow", &world.boot, &load.market, "5"]);
    std::fs::write(&second, "").unwrap();
    until("five partitions are read", LONG, || (known(&load) == (5, 5)).then_some(()));
    feed.finish(LONG);
    await_all(&load);
    let all = moves();
    let adopted = total(&services, "fragility_symbols_adopted_total");
    assert!(adopted > 100.0, "{adopted} symbols adopted: nothing was asked of anybody");
    services.into_iter().for_each(Service::terminate);
    load.check_committed();
    let (alerts, repeated) = load.check_alerts(mode == AT_LEAST_ONCE);
    eprintln!(
        "moved {mode}: 2 to 4 to 5 partitions, {after_four} and {all} moves, {adopted} of them from another instance, {alerts} alerts, 0 lost, {repeated} repeated, 0 wrong"
    );
}

/// Two instances and four partitions, and from the middle on another partitioner: every symbol goes on in the next partition of
/// as many. Nobody tells the instances; what does is the snapshots that each keeps in a topic, and has written by then.
fn changed(world: &World, mode: &'static str) {
    let load = Load::over(world, "other-keys", mode, 4);
    let snapshots = format!("{}-snapshots", load.name);
    world.create(&[&format!("{snapshots}:2")]);
    let topic = format!("kafka.topics.snapshots={snapshots}");
    // Heartbeats are committed, and with them state is written where no record comes.
    let settings = [&topic, "state.topic_interval_secs=1", "alerts.heartbeat_secs=1"];
    let serve = |name: &str| load.serve_with(name, &settings);
    let services = [serve("a"), serve("b")];
    services.iter().for_each(Service::await_ready);
    let half = world.dir.join(format!("{}-half", load.name));
    let feed = load.generate_with(RATE * 20, RATE, &["--gates", half.to_str().unwrap(), "--other-keys", "1"]);
    until("half of it is committed", LONG, || {
        let at = world.offsets(&load.name, &load.market);
        let sum: i64 = at.iter().map(|(committed, _)| committed.unwrap_or(0)).sum();
        (usize::try_from(sum).unwrap() >= RATE * 10).then_some(())
    });
    let written = || services.each_ref().map(|s| s.metrics()["fragility_snapshots_total{result=\"written\"}"]);
    let before = written();
    until("snapshots know it", LONG, || {
        before.iter().zip(written()).all(|(before, now)| now >= before + 2.0).then_some(())
    });
    std::fs::write(&half, "").unwrap();
    feed.finish(LONG);
    await_all(&load);
    let adopted = total(&services, "fragility_symbols_adopted_total");
    assert!(adopted > 100.0, "{adopted} symbols adopted: nothing was asked of anybody");
    services.into_iter().for_each(Service::terminate);
    load.check_committed();
    let (alerts, repeated) = load.check_alerts(mode == AT_LEAST_ONCE);
    eprintln!(
        "other keys {mode}: {adopted} symbols from another instance, {alerts} alerts, 0 lost, {repeated} repeated, 0 wrong"
    );
}

pub(crate) fn other_keys(world: &World) {
    changed(world, AT_LEAST_ONCE);
}

pub(crate) fn other_keys_once(world: &World) {
    changed(world, EXACTLY_ONCE);
}

pub(crate) fn grown(world: &World) {
    moved(world, AT_LEAST_ONCE, "latest");
}

pub(crate) fn grown_once(world: &World) {
    moved(world, EXACTLY_ONCE, "earliest");
}
