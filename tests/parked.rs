//! Symbols of a snapshot are decoded when they are asked for: which wait for that, and that it shows nowhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_wrap, reason = "small numbers")]

mod harness;

use fragility::codec::{decode, decode_snapshot, encode_snapshot};
use fragility::domain::{Observation, UnixNanos};
use fragility::engine::{Channel, Effects, Engine, Origin, PartitionImage};
use harness::{params, params_without_groups};

const SYMBOLS: usize = 50;
/// 2025-01-27, an hour after the open.
const START: i64 = 1_737_991_800_000_000_000;

fn name(n: usize) -> String {
    format!("S{n}")
}

fn desk(n: usize, price: f64) -> String {
    format!(r#"{{"type":"reference","symbol":"{}","prev_close":{price},"sigma_daily":0.02}}"#, name(n))
}

fn engine(references: &[String]) -> Engine {
    let mut engine = Engine::new(params_without_groups());
    for json in references {
        let Ok(Observation::Reference(record)) = decode(json.as_bytes()) else { panic!("{json}") };
        engine.apply_reference(Channel::Initial, &record, &mut Effects::default());
    }
    engine.history_loaded();
    engine
}

fn tick(engine: &mut Engine, offset: usize, symbol: &str, price: f64) -> Effects {
    tick_in(engine, 0, offset, symbol, price)
}

fn tick_in(engine: &mut Engine, partition: i32, offset: usize, symbol: &str, price: f64) -> Effects {
    let mut effects = Effects::default();
    let ts = START + offset as i64 * 1_000_000;
    let json = format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":{price}}}"#);
    let origin = Origin { partition, offset: offset as i64, timestamp: None };
    engine.step(UnixNanos(0), &origin, &decode(json.as_bytes()).unwrap(), false, &mut effects);
    effects
}

/// An engine in which every symbol has had a price and half of them stand in an episode, and its image.
fn lived() -> (Engine, PartitionImage) {
    let mut engine = engine(&(0..SYMBOLS).map(|n| desk(n, 100.0)).collect::<Vec<_>>());
    for n in 0..SYMBOLS {
        tick(&mut engine, n, &name(n), if n % 2 == 0 { 100.5 } else { 90.0 });
    }
    let image = &engine.image(&[0]).partitions[0].1;
    let read = decode_snapshot(&encode_snapshot(image).unwrap()).unwrap();
    (engine, read)
}

#[test]
fn a_restart_decodes_what_is_asked_for() {
    let (lived, image) = lived();
    let mut engine = engine(&(0..SYMBOLS).map(|n| desk(n, 100.0)).collect::<Vec<_>>());
    engine.restore_partition(UnixNanos(0), 0, &image);
    assert_eq!(engine.wake_some(0), SYMBOLS);
    engine.wake_named(&name(7));
    assert_eq!(engine.wake_some(0), SYMBOLS - 1);
    assert_eq!(engine.symbol(&name(7)), lived.symbol(&name(7)));
    // A record of its own finds its state: this one is a repeat of no news, the next one worsens what stands.
    assert!(tick(&mut engine, SYMBOLS, &name(9), 90.0).alerts.is_empty());
    assert_eq!(tick(&mut engine, SYMBOLS + 1, &name(11), 80.0).alerts.len(), 1);
    assert_eq!(engine.wake_some(10), SYMBOLS - 13);
    assert_eq!(engine.wake_some(usize::MAX), 0);
    for n in (0..SYMBOLS).filter(|n| ![9, 11].contains(n)) {
        assert_eq!(engine.symbol(&name(n)), lived.symbol(&name(n)), "{n}");
    }
}

#[test]
fn news_of_a_symbol_are_not_put_off() {
    let (_, image) = lived();
    // One has another price before this session, one is not known from outside at all.
    let mut references: Vec<String> = (1..SYMBOLS).map(|n| desk(n, 100.0)).collect();
    references.push(desk(5, 50.0).replace('}', r#","session":"2025-01-27"}"#));
    let mut engine = engine(&references);
    engine.restore_partition(UnixNanos(0), 0, &image);
    assert_eq!(engine.wake_some(0), SYMBOLS - 2);
    tick(&mut engine, SYMBOLS, &name(1), 90.0);
    assert_eq!(engine.symbol(&name(5)).unwrap().reference, Some(50.0));
}

#[test]
fn members_of_groups_are_restored_at_once() {
    let mut engine = Engine::new(params());
    tick(&mut engine, 0, "NVDA", 100.0);
    tick(&mut engine, 1, "OTHER", 100.0);
    let image = encode_snapshot(&engine.image(&[0]).partitions[0].1).unwrap();
    let mut second = Engine::new(params());
    second.restore_partition(UnixNanos(0), 0, &decode_snapshot(&image).unwrap());
    assert_eq!(second.wake_some(0), 1);
    assert_eq!(second.symbol("NVDA"), engine.symbol("NVDA"));
}

#[test]
fn a_partition_that_is_given_up_takes_its_symbols_with_it() {
    let (_, image) = lived();
    let mut engine = engine(&(0..SYMBOLS).map(|n| desk(n, 100.0)).collect::<Vec<_>>());
    for _ in 0..2 {
        engine.restore_partition(UnixNanos(0), 0, &image);
        engine.forget_partition(0);
        assert_eq!(engine.wake_some(0), 0);
        assert_eq!(engine.symbol(&name(3)).unwrap().price.to_bits(), 0.0_f64.to_bits());
    }
    // What its history may have kept of the partition is looked at again, so nothing is put off.
    engine.restore_partition(UnixNanos(0), 0, &image);
    assert_eq!(engine.wake_some(0), 0);
    assert!(engine.symbol(&name(3)).unwrap().price > 0.0);
}

#[test]
fn a_rename_finds_everything_decoded() {
    let (lived, image) = lived();
    let mut references: Vec<String> = (0..SYMBOLS).map(|n| desk(n, 100.0)).collect();
    let mut engine = engine(&references);
    engine.restore_partition(UnixNanos(0), 0, &image);
    let rename = r#"{"type":"rename","symbol":"S4","to":"NEW","from":"2025-02-03"}"#;
    let Ok(Observation::Reference(record)) = decode(rename.as_bytes()) else { panic!("{rename}") };
    engine.apply_reference(Channel::Reference, &record, &mut Effects::default());
    assert_eq!(engine.wake_some(0), 0);
    assert_eq!(engine.symbol("S8"), lived.symbol("S8"));
    // Where renames are known nothing waits either: names are not enough then.
    references.push(rename.to_owned());
    let mut again = self::engine(&references);
    again.restore_partition(UnixNanos(0), 0, &image);
    assert_eq!(again.wake_some(0), 0);
    assert_eq!(again.symbol("S8"), lived.symbol("S8"));
}

#[test]
fn the_last_encoded_symbol_of_one_snapshot_may_stand_in_the_next_one() {
    // It moved, and both partitions' snapshots have it.
    let mut lived = engine(&[]);
    let packed = |engine: &mut Engine, partition: i32| -> PartitionImage {
        decode_snapshot(&encode_snapshot(&engine.image(&[partition]).partitions[0].1).unwrap()).unwrap()
    };
    tick(&mut lived, 0, &name(0), 100.0);
    let old = packed(&mut lived, 0);
    for n in 0..3 {
        tick_in(&mut lived, 1, 1 + n, &name(n), 101.0);
    }
    let new = packed(&mut lived, 1);
    let mut engine = engine(&[]);
    engine.restore_partition(UnixNanos(0), 0, &old);
    engine.restore_partition(UnixNanos(0), 1, &new);
    assert_eq!(engine.wake_some(usize::MAX), 0);
    for n in 0..3 {
        assert_eq!(engine.symbol(&name(n)), lived.symbol(&name(n)), "{n}");
    }
}
