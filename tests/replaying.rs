//! A snapshot, and the records behind it read again in silence, are the state that never stopped.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_wrap, reason = "small numbers")]

mod harness;
#[allow(dead_code, reason = "shared with the properties")]
mod streams;

use fragility::codec::{decode, decode_snapshot, encode_alert, encode_snapshot};
use fragility::domain::UnixNanos;
use fragility::engine::{Effects, Engine, Origin, Params, PartitionImage, Watermark};
use streams::{Random, Record, disturbed, grouped, guarded, market};

const ASSIGNED: [i32; 4] = [0, 1, 2, 3];

fn step(engine: &mut Engine, offset: usize, record: &Record, effects: &mut Effects) {
    let partition = i32::try_from(record.symbol % 4).unwrap();
    let origin = Origin { partition, offset: offset as i64, timestamp: None };
    engine.step(UnixNanos(0), &origin, &decode(record.json.as_bytes()).unwrap(), false, effects);
    engine.advance(Watermark::Partitions, &ASSIGNED, effects);
}

fn said(effects: &mut Effects) -> Vec<String> {
    let text = |alert: &fragility::domain::Alert| {
        let mut bytes = Vec::new();
        encode_alert(alert, &mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    let all = effects.alerts.iter().map(text).collect();
    effects.clear();
    all
}

/// Runs through; then again from a snapshot at `from` in silence to `to`, and on. How much was said behind `to`.
fn check(params: &Params, records: &[Record], (from, to): (usize, usize), seed: u64) -> usize {
    let fresh = || {
        let mut engine = Engine::new(params.clone());
        engine.history_loaded();
        engine
    };
    let (mut engine, mut effects) = (fresh(), Effects::default());
    let mut image = engine.image(&ASSIGNED);
    for (offset, record) in records[..to].iter().enumerate() {
        if offset == from {
            image = engine.image(&ASSIGNED);
        }
        step(&mut engine, offset, record, &mut effects);
    }
    let before = said(&mut effects).len();
    for (offset, record) in records.iter().enumerate().skip(to) {
        step(&mut engine, offset, record, &mut effects);
    }
    engine.advance(Watermark::End, &ASSIGNED, &mut effects);
    let expected = said(&mut effects);

    let mut engine = fresh();
    engine.restore_groups(image.groups);
    for (partition, image) in &image.partitions {
        let image: PartitionImage = decode_snapshot(&encode_snapshot(image).unwrap()).unwrap();
        engine.restore_partition(UnixNanos(0), *partition, &image);
        engine.replay_begins(*partition);
    }
    for (offset, record) in records[..to].iter().enumerate().skip(from) {
        step(&mut engine, offset, record, &mut effects);
    }
    engine.advance(Watermark::Partitions, &ASSIGNED, &mut effects);
    assert_eq!(said(&mut effects), Vec::<String>::new(), "seed {seed}: the replay spoke");
    for partition in ASSIGNED {
        engine.replay_ends(partition, &mut effects);
    }
    assert_eq!(said(&mut effects), Vec::<String>::new(), "seed {seed}: its end spoke");
    for (offset, record) in records.iter().enumerate().skip(to) {
        step(&mut engine, offset, record, &mut effects);
    }
    engine.advance(Watermark::End, &ASSIGNED, &mut effects);
    let got = said(&mut effects);
    for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got, expected, "seed {seed}: alert {at} behind {to}, from {from}; {before} before");
    }
    assert_eq!(got.len(), expected.len(), "seed {seed}");
    expected.len()
}

fn check_all(params: &Params, market: fn(u64) -> Vec<Record>) {
    let mut count = 0;
    for seed in 0..16 {
        let records = market(seed);
        let mut random = Random(seed ^ 0xCAFE);
        let to = 1 + random.below(records.len() - 1);
        let from = random.below(to);
        count += check(params, &records, (from, to), seed);
    }
    assert!(count > 200, "{count} alerts");
}

#[test]
fn a_replay_in_silence_goes_on_as_if_nothing_had_happened() {
    check_all(&grouped(), market);
}

#[test]
fn and_so_it_does_with_wild_prints_cancels_and_corrections() {
    check_all(&guarded(), disturbed);
}

#[test]
fn groups_wait_while_one_partition_is_replayed_beside_live_ones() {
    let records = market(3);
    let to = records.len() / 2;
    let (mut engine, mut effects) = (Engine::new(grouped()), Effects::default());
    engine.history_loaded();
    for (offset, record) in records[..to].iter().enumerate() {
        step(&mut engine, offset, record, &mut effects);
    }
    said(&mut effects);
    let is_cluster = |line: &String| line.contains(r#""type":"cluster""#);
    engine.replay_begins(3);
    for (offset, record) in records.iter().enumerate().skip(to).filter(|(_, r)| r.symbol % 4 != 3) {
        step(&mut engine, offset, record, &mut effects);
    }
    let meanwhile = said(&mut effects);
    assert!(!meanwhile.iter().any(is_cluster), "a group spoke without one of its partitions");
    assert!(!meanwhile.is_empty(), "live symbols fell silent");
    engine.replay_ends(3, &mut effects);
    for (offset, record) in records.iter().enumerate().skip(to).filter(|(_, r)| r.symbol % 4 == 3) {
        step(&mut engine, offset, record, &mut effects);
    }
    engine.advance(Watermark::End, &ASSIGNED, &mut effects);
    assert!(said(&mut effects).iter().any(is_cluster), "what the group had to say was lost");
}
