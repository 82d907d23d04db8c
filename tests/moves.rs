//! Symbols that go on in another partition, and which of two states of one symbol counts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::codec::decode;
use fragility::domain::{Observation, UnixNanos};
use fragility::engine::{Channel, Effects, Engine, Origin, Params, Watermark, digest};
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
    let desk =
        r#"{"type":"reference","symbol":"A","session":"2025-01-27","prev_close":100,"sigma_daily":0.01}"#.to_owned();
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
    engine.take_over(bystander, partition, &tick("A", 9), &mut Effects::default())
}

/// A price of a symbol, so many seconds into the session.
fn tick(symbol: &str, at: i64) -> Observation<'static> {
    let json = format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{},"price":95.9}}"#, OPEN + at * SEC);
    decode(Box::leak(json.into_boxed_str()).as_bytes()).unwrap()
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
        let again = tick("A", 2);
        assert!(restored.is_past(0, &again) && !restored.is_past(3, &again));
        assert!(restored.is_stranger(0, &again) && !restored.is_stranger(3, &again));
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
    assert_eq!(own.left_for(&bystander, &[0]).len(), 1);
    let met = tick("A", 9);
    assert!(own.let_go_of(&bystander, &met, &mut Effects::default()));
    assert!(!own.let_go_of(&bystander, &met, &mut Effects::default()) && !own.has_market(&bystander, &met));
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
    let other = before.bystander();
    assert!(before.let_go_of(&other, &tick("A", 9), &mut Effects::default()));
    let left = before.image(&[3]).partitions.remove(0).1;
    let mut restored = engine(&[]);
    restored.restore_partition(UnixNanos(0), 0, &old);
    assert!(!restored.has_been_away(&tick("A", 9), 0) && !restored.was_elsewhere(&tick("B", 9), 0));
    restored.restore_partition(UnixNanos(0), 3, &left);
    assert!(
        restored.has_been_away(&tick("A", 9), 0)
            && !restored.has_been_away(&tick("A", 9), 3)
            && restored.was_elsewhere(&tick("A", 9), 3)
    );
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
    assert!(!own.is_behind_of(&bystander, &tick("A", 9), 0), "it has been nowhere else");
    feed(&mut bystander, 3, 3, &BEHIND);
    assert!(own.is_behind_of(&bystander, &tick("A", 9), 0) && !own.is_behind_of(&bystander, &tick("B", 9), 0));
    assert!(own.let_go_of(&bystander, &tick("A", 9), &mut Effects::default()));
    assert!(take_over(&mut own, Some(&bystander), 0));
    assert_eq!(sequence(&own), (3, Some(3)));
    assert_eq!(feed(&mut own, 0, 5, &[93.9, 89.9]), 1, "from the sixth tier to the tenth");
    assert_eq!(sequence(&own), (4, Some(0)));
    assert!(!own.is_behind_of(&bystander, &tick("A", 9), 0), "more is known here by now");
}

/// The session after, a minute into it.
const NEXT: i64 = 86_400;
const RENAME: &str = r#"{"type":"rename","symbol":"A","to":"B","from":"2025-01-28"}"#;
const CLOSE: &str = r#"{"type":"close","symbol":"A","session":"2025-01-27","price":95.9}"#;

fn step(engine: &mut Engine, partition: i32, offset: i64, observation: &Observation<'_>) -> Vec<String> {
    let mut effects = Effects::default();
    let origin = Origin { partition, offset, timestamp: None };
    engine.step(UnixNanos(0), &origin, observation, false, &mut effects);
    effects.alerts.iter().map(|alert| format!("{} {}", alert.entity.id(), alert.sequence)).collect()
}

/// What a lane has that read the last session of `A`, and that it is `B` from the next one on.
fn renamed(partitions: &[i32]) -> Engine {
    let mut engine = engine(partitions);
    feed(&mut engine, 0, 0, &BEFORE);
    step(&mut engine, 0, 10, &decode(RENAME.as_bytes()).unwrap());
    step(&mut engine, 0, 11, &decode(CLOSE.as_bytes()).unwrap());
    engine
}

/// Where those are read that have these names; `None` where nobody has one.
fn names(engine: &Engine, names: [&str; 2]) -> [Option<i32>; 2] {
    names.map(|name| engine.symbol(name).and_then(|view| view.partition))
}

#[test]
fn a_security_goes_on_under_another_name_in_a_partition_of_others() {
    let mut own = engine(&[]);
    let bystander = renamed(&[0]);
    let first = tick("B", NEXT);
    // Nobody has told this lane of the name.
    assert_eq!(own.names_of(&first).len(), 1);
    assert_eq!((own.security_of(&first).unwrap(), bystander.security_of(&first).unwrap()), ("B".into(), "A".into()));
    assert!(own.is_stranger(3, &first) && take(&mut own, &bystander, 3, &first));
    assert_eq!(names(&own, ["A", "B"]), [Some(0), None]);
    step(&mut own, 3, 0, &first);
    assert_eq!(names(&own, ["A", "B"]), [None, Some(3)]);
    assert_eq!(own.symbol("B").unwrap().reference, Some(95.9), "measured from what A closed at");
    // Its own partition's image alone says who it is.
    let image = own.image(&[3]).partitions.remove(0).1;
    let mut again = engine(&[]);
    again.restore_partition(UnixNanos(0), 3, &image);
    step(&mut again, 3, 1, &tick("B", 2 * NEXT));
    assert_eq!(names(&again, ["A", "B"]), [None, Some(3)]);
    // Somebody else's since.
    assert!(again.is_stranger(3, &tick("A", 2 * NEXT)) && !again.is_stranger(3, &tick("A", 5)));
    // Who had it sees it go, in the log and in the other's image.
    let mut old = bystander;
    assert!(old.is_stranger(3, &first) && old.was_elsewhere(&first, 3));
    let known = old.image(&[0]).partitions.remove(0).1;
    assert!(known.names(true).contains(&digest("B")) && !known.names(false).contains(&digest("B")));
    let elsewhere = image.progress_of(&known.names(false));
    assert!(elsewhere.iter().any(|e| old.is_behind_elsewhere(&[0], e)));
    let bystander = old.bystander();
    assert!(old.has_market(&bystander, &first) && old.let_go_of(&bystander, &first, &mut Effects::default()));
    assert!(!old.has_market(&bystander, &first));
    // And one who has not heard of the name, by whoever has.
    let mut unaware = engine(&[]);
    feed(&mut unaware, 0, 0, &BEFORE);
    assert!(unaware.has_market(&bystander, &first), "B is A");
}

fn take(engine: &mut Engine, bystander: &Engine, partition: i32, observation: &Observation<'_>) -> bool {
    engine.take_over(Some(bystander), partition, observation, &mut Effects::default())
}

#[test]
fn whom_a_name_means_is_learned_with_all_who_had_it() {
    // A is B for a session; who is A then is C from the next one on, and was never B.
    let mut bystander = renamed(&[0]);
    let other = r#"{"type":"rename","symbol":"A","to":"C","from":"2025-01-29"}"#;
    step(&mut bystander, 0, 12, &decode(other.as_bytes()).unwrap());
    let mut own = engine(&[]);
    let stranger = tick("C", 2 * NEXT);
    assert!(!take(&mut own, &bystander, 3, &stranger), "nothing is known of it");
    assert_eq!(own.security_of(&stranger).unwrap(), "A 2025-01-28");
    assert_eq!(own.security_of(&tick("B", NEXT)).unwrap(), "A");
}

#[test]
fn a_partition_that_is_read_again_says_its_names_and_closes_again() {
    let mut own = renamed(&[]);
    let image = engine(&[]).image(&[0]).partitions.remove(0).1;
    own.forget_partition(0);
    own.restore_partition(UnixNanos(0), 0, &image);
    assert_eq!(own.security_of(&tick("B", NEXT)).unwrap(), "B");
    // As the first time: the close that lies ahead settles nothing before it comes.
    assert_eq!(feed(&mut own, 0, 0, &BEFORE), 2);
    let mut effects = Effects::default();
    own.advance(Watermark::Partitions, &[0], &mut effects);
    assert!(effects.alerts.is_empty(), "{:?}", effects.alerts);
    step(&mut own, 0, 10, &decode(RENAME.as_bytes()).unwrap());
    assert_eq!(step(&mut own, 0, 11, &decode(CLOSE.as_bytes()).unwrap()), ["A 3"]);
    assert_eq!(step(&mut own, 0, 12, &tick("B", NEXT)), [""; 0]);
    assert_eq!(names(&own, ["A", "B"]), [None, Some(0)]);
}

#[test]
fn what_market_records_said_is_not_known_before_they_say_it_again() {
    let close = decode(br#"{"type":"close","symbol":"A","session":"2025-01-27","price":99.5}"#).unwrap();
    let empty = engine(&[]).image(&[0]).partitions.remove(0).1;
    // What follows from a price of the next session before the close has come, after what an image has.
    let after = |engine: &mut Engine| {
        let mut effects = Effects::default();
        let other = Origin { partition: 0, offset: 12, timestamp: None };
        engine.step(UnixNanos(0), &other, &tick("Z", NEXT), false, &mut effects);
        engine.advance(Watermark::Partitions, &[0], &mut effects);
        let first = Origin { partition: 0, offset: 13, timestamp: None };
        engine.step(UnixNanos(0), &first, &tick("A", NEXT), false, &mut effects);
        format!("{:?}", (effects.alerts, engine.symbol("A").unwrap()))
    };
    // With a record of the reference topic its history stays, and is told from what the market said.
    let shares = br#"{"type":"shares","symbol":"A","session":"2025-01-24","shares_outstanding":1000}"#;
    let start = |has_reference: bool| {
        let mut engine = engine(&[]);
        if let Observation::Reference(record) = decode(shares).unwrap()
            && has_reference
        {
            engine.apply_reference(Channel::Reference, &record, &mut Effects::default());
        }
        assert_eq!(feed(&mut engine, 0, 0, &BEFORE), 2);
        engine
    };
    for (has_reference, is_whole) in [(false, false), (false, true), (true, true)] {
        let mut once = start(has_reference);
        let image = if is_whole { once.image(&[0]).partitions.remove(0).1 } else { empty.clone() };
        let expected = after(&mut once);
        let mut own = start(has_reference);
        step(&mut own, 0, 11, &close);
        own.forget_partition(0);
        own.restore_partition(UnixNanos(0), 0, &image);
        if !is_whole {
            feed(&mut own, 0, 0, &BEFORE);
        }
        assert_eq!(after(&mut own), expected, "{has_reference} {is_whole}");
    }
}

/// A reference record from beside the market.
fn refer(engine: &mut Engine, json: &str) {
    let Observation::Reference(record) = decode(json.as_bytes()).unwrap() else { panic!("{json}") };
    engine.apply_reference(Channel::Reference, &record, &mut Effects::default());
}

#[test]
fn who_takes_a_symbol_over_keeps_what_reference_records_said_since() {
    let mut before = engine(&[]);
    feed(&mut before, 0, 0, &BEFORE);
    step(&mut before, 0, 11, &decode(CLOSE.as_bytes()).unwrap());
    let image = before.image(&[0]).partitions.remove(0).1;
    let mut own = engine(&[]);
    refer(&mut own, r#"{"type":"split","symbol":"A","ex_date":"2025-01-28","ratio":2}"#);
    let mut bystander = own.bystander();
    bystander.replay_begins(0);
    bystander.restore_partition(UnixNanos(0), 0, &image);
    let first = tick("A", NEXT);
    assert!(take(&mut own, &bystander, 3, &first));
    step(&mut own, 3, 0, &first);
    assert_eq!(own.symbol("A").unwrap().reference, Some(95.9 / 2.0));
}

#[test]
fn who_knows_a_security_from_history_alone_does_not_have_it_by_its_name() {
    let mut own = engine(&[]);
    refer(&mut own, r#"{"type":"shares","symbol":"A","session":"2025-01-24","shares_outstanding":1000}"#);
    step(&mut own, 3, 0, &decode(RENAME.as_bytes()).unwrap());
    assert!(own.is_stranger(3, &tick("B", NEXT)));
    assert_eq!(own.image(&[3]).partitions[0].1.names(true).len(), 1, "the name is in the snapshot of who said it");
}

#[test]
fn in_one_lane_a_name_goes_over_once_the_session_before_is_over() {
    let mut own = renamed(&[]);
    let first = tick("B", NEXT);
    assert!(!own.goes_over(3, &first), "prices of the last session may still come");
    step(&mut own, 0, 12, &tick("Z", NEXT));
    assert!(own.goes_over(3, &first) && !own.goes_over(0, &first));
    step(&mut own, 3, 0, &first);
    assert_eq!(names(&own, ["A", "B"]), [None, Some(3)]);
    assert!(!own.goes_over(4, &tick("B", NEXT + 1)), "another key of the same name");
    step(&mut own, 3, 1, &tick("Z", 2 * NEXT));
    assert!(!own.goes_over(0, &tick("A", 5)), "a late record of the old name");
    // Who goes back to a snapshot of partition 3 of before goes on from what left partition 0.
    let image = own.image(&[0]).partitions.remove(0).1;
    let mut again = engine(&[]);
    again.restore_partition(UnixNanos(0), 0, &image);
    assert!(again.was_elsewhere(&first, 3));
}
