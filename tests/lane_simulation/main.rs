//! The lane in a simulated world: one seed drives broker, clocks, sinks and disks around the code that runs in
//! production, and decides what fails when. What must hold is checked after every step.
//!
//! `FRAGILITY_SIM_SEEDS=20000 cargo test --test lane_simulation` runs more worlds; a seed that fails is printed, and
//! `FRAGILITY_SIM_SEED=N` runs it alone, with `FRAGILITY_SIM_TRACE=1` telling what happens in it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod broker;
mod dice;
mod expected;
mod group;
mod market;
mod member;
mod plan;
mod rules;
mod sink;
mod source;
mod sweep;
mod watch;
mod world;

use world::{Choice, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_is_promised_holds_in_every_world() {
    let (first, count) = match number("FRAGILITY_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("FRAGILITY_SIM_SEEDS").unwrap_or(1_200)),
    };
    if std::env::var("FRAGILITY_SIM_TRACE").is_ok() {
        tracing_subscriber::fmt().without_time().with_writer(std::io::stderr).init();
    }
    let mut failures = Vec::new();
    let mut total = world::Seen::default();
    let started = fragility::clock::monotonic();
    for seed in first..first + count {
        if failures.len() == 20 {
            break;
        }
        match run(seed, Choice::default()) {
            Ok(seen) => {
                total.alerts += seen.alerts;
                total.repeats += seen.repeats;
                total.operations += seen.operations;
                total.faults += seen.faults;
                total.rebalances += seen.rebalances;
                total.kills += seen.kills;
                total.turns += seen.turns;
                total.failures += seen.failures;
            }
            Err(wrong) => failures.push(format!("seed {seed} (FRAGILITY_SIM_SEED={seed} runs it alone): {wrong}")),
        }
    }
    println!("{count} worlds in {:?}: {total:?}", started.elapsed());
    assert!(
        failures.is_empty(),
        "{} worlds failed:\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
}
