//! Symbols that go on in another partition, and which of two states of one symbol counts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::codec::decode;
use fragility::domain::UnixNanos;
use fragility::engine::{Effects, Engine, Origin, Params, digest};
use harness::params_without_groups;

const SEC: i64 = 1_000_000_000;
/// 2025-01-27T14:31:00Z, in the regular session.
const OPEN: i64 = 1_737_988_260 * SEC;

fn params() -> Params {
    let mut params = params_without_groups();
    params.quarantine = None;
    params
}

/// An engine that says nothing, as one that reads again.
fn engine(partitions: &[i32]) -> Engine {
    let mut engine = Engine::new(params());
    engine.history_loaded();
    for partition in partitions {
        engine.replay_begins(*partition);
    }
    engine
}

/// Prices of a symbol in a partition, a second apart; the first speaks of the session's reference.
fn feed(engine: &mut Engine, partition: i32, from: i64, prices: &[f64]) -> usize {
    let mut effects = Effects::default();
    let desk = r#"{"type":"reference","symbol":"A","prev_close":100,"sigma_daily":0.01}"#.to_owned();
    let tick = |(n, price): (i64, &f64)| {
        let (ts, seq) = (OPEN + (from + n) * SEC, from + n + 1);
        format!(r#"{{"type":"tick","symbol":"A","ts":{ts},"price":{price},"seq":{seq}}}"#)
    };
    let first = (from == 0).then_some(desk);
    for (offset, json) in (0..).zip(first.into_iter().chain((0..).zip(prices).map(tick))) {
        let origin = Origin { partition, offset, timestamp: None };
        engine.step(UnixNanos(0), &origin, &decode(json.as_bytes()).unwrap(), false, &mut effects);
    }
    effects.alerts.len()
}

fn take_over(engine: &mut Engine, bystander: Option<&Engine>, partition: i32) -> bool {
    engine.take_over(bystander, partition, "A")
}

fn sequence(engine: &Engine) -> (u64, Option<i32>) {
    let view = engine.symbol("A").unwrap();
    (view.sequence, view.partition)
}

/// Falls to the third tier and the fourth.
const BEFORE: [f64; 3] = [99.0, 96.9, 95.9];
/// And to the sixth.
const BEHIND: [f64; 2] = [95.8, 94.0];

#[test]
fn of_two_snapshots_the_one_that_has_come_farther_counts_in_whatever_order() {
    let mut early = engine(&[0, 3]);
    feed(&mut early, 0, 0, &BEFORE);
    let old = early.image(&[0]).partitions.remove(0).1;
    feed(&mut early, 3, 3, &BEHIND);
    let new = early.image(&[3]).partitions.remove(0).1;
    assert_eq!(sequence(&early), (3, Some(3)));
    for order in [[(0, &old), (3, &new)], [(3, &new), (0, &old)]] {
        let mut restored = engine(&[]);
        for (partition, image) in order {
            restored.restore_partition(UnixNanos(0), partition, image);
        }
        assert_eq!(sequence(&restored), (3, Some(3)), "{:?}", order.map(|(p, _)| p));
        // What is read again of the old partition is part of that.
        let again = format!(r#"{{"type":"tick","symbol":"A","ts":{},"price":95.9}}"#, OPEN + 2 * SEC);
        let again = decode(again.as_bytes()).unwrap();
        assert!(restored.is_past(0, &again) && !restored.is_past(3, &again));
        assert_eq!(restored.stranger(0, &again), Some("A"));
        assert_eq!(restored.stranger(3, &again), None);
    }
}

#[test]
fn a_symbol_goes_on_as_a_bystander_knows_it_unless_more_is_known_here() {
    // Another lane has what was before; this one has the symbol's new partition.
    let mut own = engine(&[]);
    let mut bystander = own.bystander();
    bystander.replay_begins(0);
    feed(&mut bystander, 0, 0, &BEFORE);
    assert!(own.symbol("A").is_none(), "what is foreign is not seen");
    assert!(take_over(&mut own, Some(&bystander), 3));
    assert_eq!(sequence(&own), (2, Some(0)));
    assert!(own.image(&[3]).partitions[0].1 == engine(&[]).image(&[3]).partitions[0].1, "nothing of partition 3 yet");
    assert_eq!(feed(&mut own, 3, 3, &BEHIND), 1, "the episode goes on: one escalation");
    assert_eq!(sequence(&own), (3, Some(3)));
    // By now this lane knows more than the bystander.
    assert!(!take_over(&mut own, Some(&bystander), 4));
    assert_eq!(sequence(&own), (3, Some(3)));
}

#[test]
fn who_had_the_symbol_lets_it_go_and_keeps_what_it_was_for_whoever_reads_on() {
    let mut own = engine(&[]);
    assert_eq!(feed(&mut own, 0, 0, &BEFORE), 2);
    let mut bystander = own.bystander();
    bystander.replay_begins(3);
    assert!(own.left_for(&bystander, &[0]).is_empty(), "not before it goes on elsewhere");
    feed(&mut bystander, 3, 3, &BEHIND);
    assert!(own.left_for(&bystander, &[0, 3]).is_empty(), "nor where that is its own");
    assert_eq!(own.left_for(&bystander, &[0]).iter().map(fragility::domain::Symbol::as_str).collect::<Vec<_>>(), ["A"]);
    assert!(own.let_go_of("A", &mut Effects::default()));
    assert!(!own.let_go_of("A", &mut Effects::default()) && !own.has_market("A"));
    assert_eq!(sequence(&own), (0, None));
    // The new partition read from its beginning, by who has no more than the old one's snapshot.
    let image = own.image(&[0]).partitions.remove(0).1;
    let mut other = engine(&[]);
    other.restore_partition(UnixNanos(0), 0, &image);
    assert!(other.symbol("A").is_none());
    assert!(take_over(&mut other, None, 3));
    assert_eq!(feed(&mut other, 3, 3, &BEHIND), 1, "the episode goes on");
    assert_eq!(sequence(&other), (3, Some(3)));
}

#[test]
fn a_snapshot_of_before_a_symbol_was_elsewhere_is_known_by_what_left_there() {
    let mut before = engine(&[0, 3]);
    feed(&mut before, 0, 0, &BEFORE);
    let old = before.image(&[0]).partitions.remove(0).1;
    feed(&mut before, 3, 3, &BEHIND);
    assert!(before.let_go_of("A", &mut Effects::default()));
    let left = before.image(&[3]).partitions.remove(0).1;
    let mut restored = engine(&[]);
    restored.restore_partition(UnixNanos(0), 0, &old);
    assert!(!restored.has_been_away("A", 0) && !restored.was_elsewhere("B", 0));
    restored.restore_partition(UnixNanos(0), 3, &left);
    assert!(restored.has_been_away("A", 0) && !restored.has_been_away("A", 3) && restored.was_elsewhere("A", 3));
    assert!(take_over(&mut restored, None, 0));
    assert_eq!(sequence(&restored), (3, Some(3)), "as it left");
    // A lane that has one of the two alone is told by the other's names.
    let names = [digest("A")].into_iter().collect();
    let elsewhere = left.progress_of(&names);
    let mut own = engine(&[]);
    own.restore_partition(UnixNanos(0), 0, &old);
    assert!(elsewhere.iter().any(|e| own.is_behind_elsewhere(&[0], e)));
    assert!(!elsewhere.iter().any(|e| own.is_behind_elsewhere(&[1], e) || restored.is_behind_elsewhere(&[3], e)));
}

#[test]
fn a_symbol_that_comes_back_goes_on_as_it_was_elsewhere() {
    let mut own = engine(&[]);
    assert_eq!(feed(&mut own, 0, 0, &BEFORE), 2);
    let mut bystander = own.bystander();
    bystander.replay_begins(3);
    assert!(!own.is_behind_of(&bystander, "A", 0), "it has been nowhere else");
    feed(&mut bystander, 3, 3, &BEHIND);
    assert!(own.is_behind_of(&bystander, "A", 0) && !own.is_behind_of(&bystander, "B", 0));
    assert!(own.let_go_of("A", &mut Effects::default()));
    assert!(take_over(&mut own, Some(&bystander), 0));
    assert_eq!(sequence(&own), (3, Some(3)));
    assert_eq!(feed(&mut own, 0, 5, &[93.9, 89.9]), 1, "from the sixth tier to the tenth");
    assert_eq!(sequence(&own), (4, Some(0)));
    assert!(!own.is_behind_of(&bystander, "A", 0), "more is known here by now");
}
