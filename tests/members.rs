//! Groups told of their members by a log that several lanes write say what they say when one lane reads everything.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_wrap, reason = "small numbers")]

mod harness;
#[allow(dead_code, reason = "shared with the properties")]
mod streams;

use fragility::cluster::{MemberEvent, MemberRecord};
use fragility::codec::{decode, decode_member, encode_alert, encode_member};
use fragility::domain::{Entity, UnixNanos};
use fragility::engine::{Effects, Engine, Origin, Params, Watermark};
use streams::{Random, Record, disturbed, grouped, guarded, market, sessions};

const PARTITIONS: i32 = 4;

/// Records by partition, each partition ended by a heartbeat far beyond the last session.
fn partitions(records: &[Record]) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new(); 4];
    for record in records {
        all[record.symbol % 4].push(record.json.clone());
    }
    let end = sessions(5).last().unwrap().open;
    for list in &mut all {
        list.push(format!(r#"{{"type":"heartbeat","ts":{}}}"#, end.0));
    }
    all
}

fn step(engine: &mut Engine, partition: i32, offset: usize, json: &str, effects: &mut Effects) {
    let origin = Origin { partition, offset: i64::try_from(offset).unwrap(), timestamp: None };
    engine.step(UnixNanos(0), &origin, &decode(json.as_bytes()).unwrap(), false, effects);
}

/// Cluster alerts as bytes, the place of their causes apart.
fn said(effects: &Effects) -> Vec<String> {
    let clusters = effects.alerts.iter().filter(|a| matches!(a.entity, Entity::Cluster(_)));
    let text = |alert: &fragility::domain::Alert| {
        let mut alert = alert.clone();
        alert.source.clear();
        let mut bytes = Vec::new();
        encode_alert(&alert, &mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    clusters.map(text).collect()
}

/// One lane reads everything, in event-time order.
fn here(params: &Params, records: &[Record]) -> Vec<String> {
    let (mut engine, mut effects) = (Engine::new(params.clone()), Effects::default());
    engine.history_loaded();
    let mut next = [0; 4];
    let assigned = [0, 1, 2, 3];
    for record in records {
        let partition = record.symbol % 4;
        step(&mut engine, i32::try_from(partition).unwrap(), next[partition], &record.json, &mut effects);
        next[partition] += 1;
        engine.advance(Watermark::Partitions, &assigned, &mut effects);
    }
    for (partition, list) in partitions(records).iter().enumerate() {
        step(&mut engine, i32::try_from(partition).unwrap(), next[partition], list.last().unwrap(), &mut effects);
    }
    engine.advance(Watermark::Partitions, &assigned, &mut effects);
    said(&effects)
}

/// Two lanes read two partitions each, at paces of their own, one of them repeats itself after a crash, and a third
/// engine follows what they write; it is replaced half-way by one that continues from its image.
fn elsewhere(params: &Params, records: &[Record], random: &mut Random) -> Vec<String> {
    let lists = partitions(records);
    let mut log: Vec<MemberRecord> = Vec::new();
    let mut lanes: Vec<(Engine, Vec<usize>)> = Vec::new();
    for _ in 0..2 {
        let mut engine = Engine::new(params.clone());
        engine.history_loaded();
        engine.tell_members(PARTITIONS);
        lanes.push((engine, vec![0; 4]));
    }
    let mut effects = Effects::default();
    loop {
        let open: Vec<usize> = (0..4).filter(|p| lanes[p % 2].1[*p] < lists[*p].len()).collect();
        if open.is_empty() {
            break;
        }
        let partition = open[random.below(open.len())];
        let (engine, next) = &mut lanes[partition % 2];
        for _ in 0..=random.below(40) {
            let Some(json) = lists[partition].get(next[partition]) else { break };
            step(engine, i32::try_from(partition).unwrap(), next[partition], json, &mut effects);
            next[partition] += 1;
            log.append(&mut effects.members);
        }
        engine.advance(Watermark::Partitions, &[], &mut effects);
        log.append(&mut effects.members);
        if random.below(20) == 0 {
            // What one partition said last comes again.
            let input = i32::try_from(partition).unwrap();
            let own: Vec<MemberRecord> = log.iter().filter(|r| r.input == input).cloned().collect();
            log.extend(own.into_iter().rev().take(random.below(6)).rev().collect::<Vec<_>>());
        }
    }
    assert!(effects.alerts.iter().all(|a| !matches!(a.entity, Entity::Cluster(_))), "a lane judged a group");
    let fresh = || {
        let mut engine = Engine::new(params.clone());
        engine.history_loaded();
        engine
    };
    let (mut judge, mut effects) = (fresh(), Effects::default());
    let change_at = random.below(log.len());
    for (offset, record) in log.iter().enumerate() {
        if offset == change_at {
            let image = judge.image(&[0]);
            judge = fresh();
            judge.restore_groups(image.groups);
            judge.restore_partition(UnixNanos(0), 0, &image.partitions[0].1);
        }
        let mut bytes = Vec::new();
        encode_member(record, &mut bytes);
        let record = decode_member(&bytes).unwrap();
        let origin = Origin { partition: 0, offset: i64::try_from(offset).unwrap(), timestamp: None };
        judge.take_member(UnixNanos(0), &origin, &record, &mut effects);
    }
    said(&effects)
}

fn check(params: &Params, records: &[Record], seed: u64) -> usize {
    let expected = here(params, records);
    let mut random = Random(seed.wrapping_mul(31) ^ 0xF00D);
    let got = elsewhere(params, records, &mut random);
    for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got, expected, "seed {seed}: alert {at}");
    }
    assert_eq!(got.len(), expected.len(), "seed {seed}");
    expected.len()
}

#[test]
fn groups_say_the_same_here_and_elsewhere() {
    let count: usize = (0..12).map(|seed| check(&grouped(), &market(seed), seed)).sum();
    assert!(count > 50, "{count} cluster alerts");
}

#[test]
fn and_so_they_do_with_wild_prints_cancels_and_corrections() {
    let count: usize = (0..12).map(|seed| check(&guarded(), &disturbed(seed), seed)).sum();
    assert!(count > 50, "{count} cluster alerts");
}

#[test]
fn a_partition_that_was_never_heard_holds_the_group() {
    let mut log = Vec::new();
    let (mut engine, mut effects) = (Engine::new(grouped()), Effects::default());
    engine.history_loaded();
    engine.tell_members(PARTITIONS + 1);
    for (partition, list) in partitions(&market(1)).iter().enumerate() {
        for (offset, json) in list.iter().enumerate() {
            step(&mut engine, i32::try_from(partition).unwrap(), offset, json, &mut effects);
        }
        log.append(&mut effects.members);
    }
    assert!(log.iter().any(|r| matches!(r.event, MemberEvent::Price(_))));
    let (mut judge, mut effects) = (Engine::new(grouped()), Effects::default());
    judge.history_loaded();
    for (offset, record) in log.iter().enumerate() {
        let origin = Origin { partition: 0, offset: i64::try_from(offset).unwrap(), timestamp: None };
        judge.take_member(UnixNanos(0), &origin, record, &mut effects);
    }
    assert_eq!(said(&effects), Vec::<String>::new());
}
