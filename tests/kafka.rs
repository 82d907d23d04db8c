//! The built service against a real Apache Kafka, judged by Apache's own client.
//!
//! The scenarios run side by side in two worlds, each with a broker of its own; in one world they follow one another, as
//! some end the broker. Most of their time is waiting. `scripts/test` sets what is needed and `FRAGILITY_KAFKA_TESTS`;
//! without it nothing runs here. `FRAGILITY_KAFKA_ONLY` picks scenarios by name, separated by commas, and
//! `FRAGILITY_KAFKA_WORLDS=1` gives each the machine for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "says how long each scenario took and which was left out")]
#![allow(clippy::disallowed_methods, reason = "real processes are waited for in real time, up to a deadline")]
#![allow(clippy::float_cmp, reason = "counts, and decimals of few digits")]

#[path = "kafka/absent.rs"]
mod absent;
#[path = "certificates/mod.rs"]
mod certificates;
#[path = "kafka/day.rs"]
mod day;
#[path = "kafka/downstream.rs"]
mod downstream;
#[path = "kafka/explained.rs"]
mod explained;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/grid.rs"]
mod grid;
#[path = "kafka/groups.rs"]
mod groups;
#[path = "kafka/load.rs"]
mod load;
#[path = "kafka/moved.rs"]
mod moved;
#[path = "kafka/range.rs"]
mod range;
#[path = "kafka/refused.rs"]
mod refused;
#[path = "kafka/renamed.rs"]
mod renamed;
#[path = "kafka/secured.rs"]
mod secured;
#[path = "kafka/support.rs"]
mod support;
#[path = "kafka/topics.rs"]
mod topics;
#[path = "kafka/upgrade.rs"]
mod upgrade;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::World;

type Scenario = fn(&World);

/// Worlds unless told otherwise.
const WORLDS: usize = 2;

#[test]
fn scenarios() {
    if std::env::var_os("FRAGILITY_KAFKA_TESTS").is_none() {
        eprintln!("left out: tests against a real Kafka; scripts/test runs them");
        return;
    }
    let only = std::env::var_os("FRAGILITY_KAFKA_ONLY").map(|o| o.into_string().expect("names"));
    let scenarios: [(&str, Scenario); 38] = [
        ("million", load::million),
        ("million_once", load::million_once),
        ("day", day::day),
        ("range", range::range),
        ("explained", explained::explained),
        ("refused", refused::refused),
        ("secured", secured::secured),
        ("topics", topics::laid_out),
        ("rights", topics::rights),
        ("absent_broker", absent::broker),
        ("absent_setting", absent::setting),
        ("absent_topic", absent::topic),
        ("killed_service", load::killed_service),
        ("killed_service_once", load::killed_service_once),
        ("other_machine", load::other_machine),
        ("two_instances", load::two_instances),
        ("two_instances_once", load::two_instances_once),
        ("groups", groups::followed),
        ("groups_once", groups::followed_once),
        ("grid", grid::grid),
        ("moved", moved::grown),
        ("moved_once", moved::grown_once),
        ("other_keys", moved::other_keys),
        ("other_keys_once", moved::other_keys_once),
        ("renamed", renamed::renamed),
        ("forgotten_once", faults::forgotten_once),
        ("set_back_once", faults::set_back_once),
        ("faults", faults::kills),
        ("faults_once", faults::kills_once),
        ("zombie", faults::zombie_member),
        ("zombie_once", faults::zombie_member_once),
        ("killed_broker", load::killed_broker),
        ("killed_broker_once", load::killed_broker_once),
        ("upgrade_forgotten_once", upgrade::forgotten_once),
        ("upgrade", upgrade::rolled),
        ("upgrade_once", upgrade::rolled_once),
        ("upgrade_day", upgrade::day),
        ("upgrade_day_once", upgrade::day_once),
    ];
    let worlds = std::env::var("FRAGILITY_KAFKA_WORLDS").map_or(WORLDS, |n| n.parse().expect("a number of worlds"));
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|o| o == name));
    let wanted: Vec<_> = scenarios.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = |number: usize| {
        let world = World::start(number);
        while let Some((name, scenario)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let from = Instant::now();
            let is_good = catch_unwind(AssertUnwindSafe(|| scenario(&world))).is_ok();
            eprintln!("{name}: {} after {:.1} s", if is_good { "ok" } else { "FAILED" }, from.elapsed().as_secs_f64());
            if !is_good {
                failed.lock().unwrap().push(*name);
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..worlds.min(wanted.len()) {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "failed: {failed:?}");
}
