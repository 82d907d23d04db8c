//! The market topic gets more partitions under load: symbols go on in partitions of other instances, with their episodes and
//! in order, as the independent generator expects that knows of no partitions.

use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE, Load};
use crate::support::{LONG, Service, World, until};
use std::time::{Duration, Instant};

const RATE: usize = 5_000;
/// For so long nothing moves any more.
const QUIET: Duration = Duration::from_secs(3);

/// Committed offsets that are there, and partitions.
fn known(load: &Load<'_>) -> (usize, usize) {
    let at = load.world.offsets(&load.name, &load.market);
    (at.iter().filter(|(committed, _)| committed.is_some()).count(), at.len())
}

fn total(services: &[Service], metric: &str) -> f64 {
    services.iter().map(|s| s.metrics().get(metric).copied().unwrap_or(0.0)).sum()
}

/// Waits until what has moved is followed, so that a symbol does not come back before it was let go; how many moved. Lanes
/// look at what others have got once a second.
fn settled(services: &[Service]) -> f64 {
    let sum = |name: &str| -> f64 {
        let metrics = services.iter().flat_map(Service::metrics);
        metrics.filter(|(metric, _)| metric.starts_with(name)).map(|(_, value)| value).sum()
    };
    let mut quiet_since = None;
    let mut moves = 0.0;
    until("symbols have moved and stay", LONG, || {
        let is_behind =
            sum("fragility_kafka_consumer_lag_messages{") > RATE as f64 || sum("fragility_partition_held{") > 0.0;
        let now = total(services, "fragility_symbols_moved_total") + total(services, "fragility_symbols_adopted_total");
        if is_behind || now != moves {
            (quiet_since, moves) = (None, now);
            return None;
        }
        let since = *quiet_since.get_or_insert_with(Instant::now);
        (since.elapsed() > QUIET).then_some(())
    });
    total(services, "fragility_symbols_moved_total")
}

/// Two instances and two partitions; then four, and five: of the latter every one gets symbols of every other. `start` is
/// where a group without offsets begins, which new partitions of a group that has some must not follow.
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
    let after_four = settled(&services);
    world.client(&["grow", &world.boot, &load.market, "5"]);
    std::fs::write(&half, "").unwrap();
    until("five partitions are read", LONG, || (known(&load) == (5, 5)).then_some(()));
    feed.finish(LONG);
    until("everything committed", LONG * 3, || {
        let at = world.offsets(&load.name, &load.market);
        at.iter().all(|(committed, end)| *committed == Some(*end)).then_some(())
    });
    let all = total(&services, "fragility_symbols_moved_total");
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
