//! Rounds of kill -9 under load, and members that the group has given up while they stood still.
//!
//! Two instances share the partitions. `FRAGILITY_FAULT_ROUNDS` sets the rounds; `scripts/faults` runs them all and
//! keeps the results. What must come of it is known from the independent generator, which knows of no faults.

use crate::load::{AT_LEAST_ONCE, EXACTLY_ONCE, Load};
use crate::support::{LONG, Service, World, until};
use std::time::{Duration, Instant};

/// Rounds unless told otherwise: enough to notice, short enough for every run.
const ROUNDS: usize = 2;
/// One round in so many ends the broker before the instance.
const BROKER_EVERY: usize = 4;
const RATE: usize = 20_000;
/// The broker's least session time-out, which the instances use, and some more.
const BEYOND_SESSION: Duration = Duration::from_secs(9);

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().map_or(otherwise, |n| n.parse().expect("a number of rounds"))
}

fn rounds() -> usize {
    number("FRAGILITY_FAULT_ROUNDS", ROUNDS)
}

/// Waits of 0.5 to 2 seconds that follow from the round alone.
fn wait_of(round: usize) -> Duration {
    let mixed = (round as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    Duration::from_millis(500 + mixed % 1_500)
}

/// Loads, kills and starts again; what came in the end is what would have come without.
fn kill_rounds(world: &World, mode: &'static str) {
    let load = Load::new(world, "faults", mode);
    let count = RATE * (rounds() * 8 + 8);
    let feed = load.generate(count, RATE);
    let members = ["a", "b"];
    let serve = |n: usize| load.serve_with(members[n], &["kafka.static_membership=true"]);
    let mut services = [serve(0), serve(1)];
    services.iter().for_each(Service::await_ready);
    // Times until the first alert: instance alone killed, broker killed before.
    let mut back = [Vec::new(), Vec::new()];
    let broker_every = number("FRAGILITY_FAULT_BROKER_EVERY", BROKER_EVERY);
    for round in 0..rounds() {
        std::thread::sleep(wait_of(round));
        let with_broker = round % broker_every == broker_every - 1;
        if with_broker {
            let broker = world.broker("broker").to_str().unwrap().to_owned();
            world.script(&["kill", &broker]);
            world.script(&["start", &broker]);
        }
        let victim = round % 2;
        let [first, second] = services;
        let (gone, stays) = if victim == 0 { (first, second) } else { (second, first) };
        gone.kill();
        let from = Instant::now();
        let fresh = serve(victim);
        until("an alert after the restart", LONG, || (fresh.alerts() > 0.0).then_some(()));
        back[usize::from(with_broker)].push(from.elapsed());
        services = if victim == 0 { [fresh, stays] } else { [stays, fresh] };
    }
    feed.finish(LONG * 4);
    load.await_committed();
    services.into_iter().for_each(Service::terminate);
    load.check_committed();
    let (alerts, repeated) = load.check_alerts(mode == AT_LEAST_ONCE);
    let said = |mut times: Vec<Duration>| {
        times.sort();
        let millis = |at: usize| times.get(at).map_or(0, Duration::as_millis);
        format!("median {} ms, worst {} ms", millis(times.len() / 2), millis(times.len().saturating_sub(1)))
    };
    let [alone, after_broker] = back;
    eprintln!(
        "faults {mode}: {} kills of an instance, {} of the broker, {alerts} alerts, 0 lost, {repeated} repeated, 0 wrong; first alert after the kill of an instance: {}; of broker and instance: {}",
        rounds(),
        after_broker.len(),
        said(alone),
        said(after_broker),
    );
}

/// An instance that stood still for longer than the session: what it would still say has been said by another.
fn zombie(world: &World, mode: &'static str) {
    let load = Load::new(world, "zombie", mode);
    let feed = load.generate(RATE * 28, RATE);
    let (sleeper, other) = (load.serve("a"), load.serve("b"));
    sleeper.await_ready();
    other.await_ready();
    until("both at work", LONG, || (sleeper.alerts() > 5.0 && other.alerts() > 5.0).then_some(()));
    sleeper.signal("STOP");
    std::thread::sleep(BEYOND_SESSION);
    let before = other.alerts();
    until("the other has all partitions", LONG, || (other.alerts() > before + 10.0).then_some(()));
    sleeper.signal("CONT");
    feed.finish(LONG);
    load.await_committed();
    sleeper.await_ready();
    sleeper.terminate();
    other.terminate();
    load.check_committed();
    let (alerts, repeated) = load.check_alerts(mode == AT_LEAST_ONCE);
    eprintln!(
        "zombie {mode}: stopped for {BEYOND_SESSION:?} and continued, {alerts} alerts, 0 lost, {repeated} repeated, 0 wrong"
    );
}

/// The group is behind what was said, and for some seconds does not say where it is: what was said is not said again, though
/// its causes are taken again.
fn forgotten(world: &World, name: &str, held_secs: usize) {
    const COUNT: usize = 100_000;
    let load = Load::new(world, name, EXACTLY_ONCE);
    let service = load.serve("a");
    service.await_ready();
    load.generate(COUNT, 50_000).finish(LONG);
    service.await_taken(COUNT as f64);
    service.terminate();
    load.check_committed();
    let holder = load.hold(3_000, held_secs);
    let service = load.serve("a");
    let said_before = "fragility_alert_deliveries_total{result=\"said_before\",sink=\"kafka\"}";
    let count = || service.metrics().get(said_before).copied().unwrap_or(0.0);
    until("alerts that were said before", LONG, || (count() > 10.0).then_some(()));
    holder.finish(LONG);
    load.await_committed();
    let count = count();
    service.terminate();
    load.check_committed();
    let (alerts, _) = load.check_alerts(false);
    eprintln!("{name}: {alerts} alerts, {count} not said again");
}

/// A broker that was killed as it ended a transaction may keep its alerts and forget its offsets, which it then holds
/// back.
pub(crate) fn forgotten_once(world: &World) {
    forgotten(world, "forgotten", 15);
}

/// The same when someone has ended what held them: the group says where it was before.
pub(crate) fn set_back_once(world: &World) {
    forgotten(world, "set-back", 0);
}

pub(crate) fn kills(world: &World) {
    kill_rounds(world, AT_LEAST_ONCE);
}

pub(crate) fn kills_once(world: &World) {
    kill_rounds(world, EXACTLY_ONCE);
}

pub(crate) fn zombie_member(world: &World) {
    zombie(world, AT_LEAST_ONCE);
}

pub(crate) fn zombie_member_once(world: &World) {
    zombie(world, EXACTLY_ONCE);
}
