//! The lane in a simulated world: one seed drives broker, clocks, sinks and disks around the code that runs in
//! production, and decides what fails when. What must hold is checked after every step; docs/faults.md lists what
//! each check is known to catch.
//!
//! `FRAGILITY_SIM_SEEDS=20000 cargo test --test lane_simulation worlds` runs more worlds. A seed that fails is
//! printed; `FRAGILITY_SIM_SEED=N` runs it alone, with `FRAGILITY_SIM_TRACE=1` telling what happens in it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what a run has seen is worth reading")]

mod broken;
mod broker;
mod dice;
mod expected;
mod group;
mod market;
mod member;
mod plan;
mod rules;
mod sabotage;
mod sink;
mod source;
mod sweep;
mod watch;
mod world;

use world::{Choice, Moves, Seen, run};

/// Worlds of a run that says nothing else: about 70 s on each of two cores, unoptimized.
const WORLDS: u64 = 2_000;
/// Worlds whose log grows, beside those that are drawn.
const GROWN: u64 = 200;
/// Failures after which a run ends.
const FAILURES_MAX: usize = 20;

/// How this run is wanted, if somebody said so.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its surroundings")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    setting(name)?.parse().ok()
}

/// Tells what happens, if that is wanted.
fn trace() {
    if setting("FRAGILITY_SIM_TRACE").is_some() {
        let _ = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr).try_init();
    }
}

/// Runs worlds and names those that fail.
fn check(seeds: impl Iterator<Item = u64>) -> Seen {
    check_of(Choice::default(), seeds)
}

fn check_of(choice: Choice, seeds: impl Iterator<Item = u64>) -> Seen {
    let mut total = Seen::default();
    let mut failures = Vec::new();
    for seed in seeds {
        match run(seed, choice) {
            Ok(seen) => total.add(&seen),
            Err(wrong) => failures.push(format!("seed {seed} (FRAGILITY_SIM_SEED={seed} runs it alone): {wrong}")),
        }
        if failures.len() == FAILURES_MAX {
            break;
        }
    }
    println!("{total:?}");
    assert!(failures.is_empty(), "{} worlds failed:\n{}", failures.len(), failures.join("\n"));
    total
}

/// Every second seed, from `first` on: two tests share the machine's cores.
fn half(first: u64) {
    let seen = check((first..=number("FRAGILITY_SIM_SEEDS").unwrap_or(WORLDS)).step_by(2));
    // Worlds in which nothing happens would prove nothing.
    if seen.worlds >= 100 {
        let counts =
            [seen.alerts as u64, seen.repeats, seen.beats, seen.faults, seen.rebalances, seen.kills, seen.failures];
        assert!(counts.iter().all(|n| *n > seen.worlds / 20), "{seen:?}");
    }
}

#[test]
fn what_is_promised_holds_in_many_worlds() {
    trace();
    match number("FRAGILITY_SIM_SEED") {
        Some(seed) => drop(check(std::iter::once(seed))),
        None => half(1),
    }
}

#[test]
fn what_is_promised_holds_in_as_many_others() {
    if number("FRAGILITY_SIM_SEED").is_none() {
        half(2);
    }
}

/// Worlds whose symbols move, or the one that is asked for.
fn moving(moves: Moves, name: &str, named: &[u64]) {
    trace();
    let choice = Choice { moves, ..Choice::default() };
    if let Some(seed) = number(&format!("FRAGILITY_SIM_{name}_SEED")) {
        check_of(choice, std::iter::once(seed));
        return;
    }
    let worlds = number(&format!("FRAGILITY_SIM_{name}")).unwrap_or(GROWN);
    check_of(choice, (0..worlds).chain(named.iter().copied()));
}

/// A log that gets more partitions, in every world.
#[test]
fn symbols_go_on_wherever_they_move() {
    moving(Moves::Grows, "GROWN", &NAMED_GROWN);
}

/// The same twice in a row: symbols come back to where they were.
#[test]
fn symbols_go_on_when_they_come_back() {
    moving(Moves::GrowsTwice, "TWICE", &[]);
}

/// Keys that go to other partitions of as many, and once more, some back.
#[test]
fn symbols_go_on_when_keys_change_their_partition() {
    moving(Moves::ChangesKeys, "KEYS", &NAMED_KEYS);
}

/// Securities that go by other names, whose keys fall to partitions of others.
#[test]
fn symbols_go_on_under_other_names_in_other_partitions() {
    moving(Moves::Renames, "RENAMES", &NAMED_RENAMES);
}

/// Seeds that once found something, so that it is looked for again: what each of them shows without its remedy is
/// in docs/faults.md.
#[test]
fn worlds_that_found_a_fault_stay_sound() {
    check(NAMED.into_iter());
}

const NAMED: [u64; 8] = [42, 71, 157, 188, 284, 393, 1046, 1431];

/// The same among logs that grow.
const NAMED_GROWN: [u64; 3] = [1495, 2721, 2997];

/// The same among those whose keys change.
const NAMED_KEYS: [u64; 3] = [430, 1336, 2493];

/// The same among those whose securities go by other names.
const NAMED_RENAMES: [u64; 3] = [964, 1291, 1519];
