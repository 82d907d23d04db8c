//! One scenario without faults, then again and again with one operation failing: each of them, in each way.

use super::plan::Fault;
use super::rules::Rules;
use super::world::{Choice, run};

const WAYS: [Fault; 4] = [Fault::Refused, Fault::Unanswered, Fault::CrashBefore, Fault::CrashAfter];

/// Operations of a scenario that is worth running a few hundred times.
const OPERATIONS_MAX: u64 = 120;
const ALERTS_MIN: usize = 6;

fn sweep(rules: Rules, is_exact: bool) {
    let calm = Choice { rules: Some(rules), is_exact: Some(is_exact), is_calm: true, ..Choice::default() };
    let scenario = |seed| {
        let without = run(seed, calm).unwrap_or_else(|wrong| panic!("seed {seed}, without a fault: {wrong}"));
        assert_eq!(without.repeats, 0, "seed {seed}: {without:?}");
        (without.operations <= OPERATIONS_MAX && without.alerts >= ALERTS_MIN).then_some((seed, without))
    };
    let (seed, without) = (1..100).find_map(scenario).unwrap();
    let mut failures = Vec::new();
    for at in 0..without.operations {
        for way in WAYS {
            let choice = Choice { at: Some((at, way)), ..calm };
            if let Err(wrong) = run(seed, choice) {
                failures.push(format!("operation {at}, {way:?}: {wrong}"));
            }
        }
    }
    println!("{rules:?}, exactly once {is_exact}: {} operations, {} alerts", without.operations, without.alerts);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn at_least_once_survives_a_failure_of_any_operation() {
    sweep(Rules::Guarded, false);
}

#[test]
fn exactly_once_survives_a_failure_of_any_operation() {
    sweep(Rules::Guarded, true);
}

#[test]
fn a_group_survives_a_failure_of_any_operation() {
    sweep(Rules::Grouped, true);
}
