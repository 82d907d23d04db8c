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
    // Half of the ticks follow on the second change, however long the first takes to be followed.
    let half = world.dir.join(format!("{}-half", load.name));
    let feed = load.generate_with(RATE * 40, RATE, &["--metadata", "1000", "--half", half.to_str().unwrap()]);
    until("both at work", LONG, || services.iter().all(|s| s.alerts() > 20.0).then_some(()));
    world.client(&["grow", &world.boot, &load.market, "4"]);
    until("four partitions are read", LONG, || (known(&load) == (4, 4)).then_some(()));
    let moves = || total(&services, "fragility_symbols_moved_total");
    until("symbols move", LONG, || (moves() > 0.0).then_some(()));
    let after_four = moves();
    world.client(&["grow", &world.boot, &load.market, "5"]);
    std::fs::write(&half, "").unwrap();
    until("five partitions are read", LONG, || (known(&load) == (5, 5)).then_some(()));
    feed.finish(LONG);
    until("everything committed", LONG * 3, || {
        let at = world.offsets(&load.name, &load.market);
        at.iter().all(|(committed, end)| *committed == Some(*end)).then_some(())
    });
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

pub(crate) fn grown(world: &World) {
    moved(world, AT_LEAST_ONCE, "latest");
}

pub(crate) fn grown_once(world: &World) {
    moved(world, EXACTLY_ONCE, "earliest");
}
