//! An alert holds by what it carries, and does not once a digit of it is another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "forgery/days.rs"]
mod days;
mod harness;
#[path = "forgery/leaves.rs"]
mod leaves;

use fragility::codec::encode_alert;
use fragility::domain::{Alert, AlertKind};
use fragility::verify::{DIGEST_ONLY, Verified, verify};
use leaves::{forgeries, numbers, resealed};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of a list that are tried, of each record.
const ENTRIES_MAX: usize = 7;

/// Entries of the list that it takes more than these days to need: a last digit that vanishes in rounding, or a
/// probability that no longer changes. Seen in a sweep over 93,449 forgeries of the shipped replays and scenarios.
const RARE: [&str; 3] = ["~cluster.members[].market_value", "~realized.largest.statistic", "~usd.shares"];

/// In no digest, and decided by nothing in the record.
const FREE: [&str; 2] = ["source[].partition", "source[].offset"];

fn bytes(alert: &Alert) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_alert(alert, &mut bytes);
    bytes
}

/// Whether a record is refused: it does not hold, or is no alert.
fn is_refused(record: &[u8]) -> bool {
    match verify(record) {
        Ok(Verified::Alert(_, differences)) => !differences.is_empty(),
        Ok(Verified::Compact | Verified::Heartbeat) => false,
        Err(_) => true,
    }
}

/// The entry of the list that a path falls under.
fn exemption(path: &str) -> Option<&'static str> {
    let matches = |entry: &str| {
        let entry = entry.trim_start_matches('~');
        match entry.split_once('*') {
            Some((before, after)) => path.starts_with(before) && path.ends_with(after),
            None => path == entry || (entry.ends_with("[]") && path.starts_with(entry)),
        }
    };
    DIGEST_ONLY.iter().copied().find(|e| matches(e))
}

/// One of each kind, state and phase for symbols and groups, of the desk's own reference, and of a split in doubt.
fn sample() -> Vec<&'static Alert> {
    let mut seen = BTreeSet::new();
    let key = |a: &Alert| {
        let desk = a.reference.as_ref().is_ok_and(|r| r.basis == "desk");
        let doubt = a.reference.as_ref().is_ok_and(|r| r.suspected_split.is_some());
        let is_bounded = a.cluster.as_ref().is_some_and(|c| c.levels.is_some());
        (a.entity.type_name(), a.kind.name(), a.state.name(), a.phase.name(), desk || is_bounded, doubt)
    };
    let mut sample: Vec<&Alert> = days::alerts().iter().filter(|a| seen.insert(key(a))).collect();
    // One with every part of `realized`, and one with an event.
    sample.extend(days::alerts().iter().find(|a| a.realized.is_ok_and(|r| r.largest.is_ok() && r.jump.is_ok())));
    sample.extend(days::alerts().iter().find(|a| !a.events.is_empty()));
    sample
}

#[test]
fn the_days_have_every_kind_of_alert() {
    use AlertKind::{Close, Confirm, Correct, Deescalate, Escalate, Fade, Open, Retract, Update};
    let kinds = |entity: &str| {
        let of = days::alerts().iter().filter(|a| a.entity.type_name() == entity);
        of.map(|a| a.kind.name()).collect::<BTreeSet<_>>()
    };
    let names = |kinds: &[AlertKind]| kinds.iter().map(|k| k.name()).collect::<BTreeSet<_>>();
    let all = [Open, Escalate, Update, Deescalate, Close, Confirm, Fade, Correct, Retract];
    assert_eq!(kinds("symbol"), names(&all));
    assert_eq!(kinds("cluster"), names(&[Open, Escalate, Deescalate, Update, Close, Confirm, Fade]));
}

#[test]
fn every_alert_holds() {
    for alert in days::alerts() {
        harness::holds(alert);
    }
}

/// Every number of every kind of alert, one digit changed: refused as it is, and refused with a digest made anew
/// wherever the number follows from others.
#[test]
fn one_digit_is_enough() {
    let mut needed: BTreeMap<&str, bool> = DIGEST_ONLY.iter().map(|e| (*e, false)).collect();
    let (mut tried, mut paths, mut missing) = (0, BTreeSet::new(), BTreeMap::new());
    for alert in sample() {
        let record = bytes(alert);
        assert!(!is_refused(&record));
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for leaf in numbers(&record) {
            let count = seen.entry(leaf.path.clone()).or_default();
            *count += 1;
            if *count > ENTRIES_MAX {
                continue;
            }
            paths.insert(leaf.path.clone());
            for (at, forged) in forgeries(&record, &leaf).into_iter().enumerate() {
                tried += 1;
                let show = || format!("{} {}: {}", alert.kind.name(), leaf.path, String::from_utf8_lossy(&forged));
                if FREE.contains(&leaf.path.as_str()) {
                    assert!(!is_refused(&forged), "{}", show());
                    continue;
                }
                assert!(at > 0 || is_refused(&forged), "{}", show());
                if !is_refused(&resealed(&forged)) {
                    let entry = exemption(&leaf.path);
                    if entry.is_none() {
                        missing.insert(leaf.path.clone(), show());
                    }
                    needed.extend(entry.map(|e| (e, true)));
                } else if let Some(entry) = exemption(&leaf.path) {
                    assert!(entry.starts_with('~'), "{entry} is not told by the digest alone: {}", show());
                }
            }
        }
    }
    assert!(missing.is_empty(), "not refused, and not in the list: {:?}, {missing:?}", missing.keys());
    let idle: Vec<_> =
        needed.iter().filter(|(entry, needed)| !**needed && !RARE.contains(entry)).map(|(entry, _)| entry).collect();
    assert!(idle.is_empty(), "in the list without need: {idle:?}");
    assert!(tried > 2_000 && paths.len() > 70, "{tried} forgeries of {} fields", paths.len());
}

/// Numbers are not all: what else a forger may change is refused too.
#[test]
fn words_and_gaps_are_verified_too() {
    let find = |entity: &str, kind: AlertKind| {
        days::alerts().iter().find(|a| a.entity.type_name() == entity && a.kind == kind).unwrap()
    };
    let check = |alert: &Alert, from: &str, to: &str, field: &str| {
        let record = String::from_utf8(bytes(alert)).unwrap();
        let forged = record.replacen(from, to, 1);
        assert_ne!(forged, record, "{from} is not in {record}");
        let Ok(Verified::Alert(_, differences)) = verify(&resealed(forged.as_bytes())) else {
            panic!("{from} to {to}: no alert any more")
        };
        assert!(differences.iter().any(|d| d.field == field), "{from} to {to}: {differences:?}");
        assert!(differences.iter().all(|d| d.field != "digest"), "{differences:?}");
    };
    let open = find("symbol", AlertKind::Open);
    check(open, r#""state":"PROVISIONAL""#, r#""state":"RETRACTED""#, "state");
    check(open, &format!("\"id\":\"{}\"", open.entity.id()), r#""id":"ELSE""#, "alert_id");
    check(open, r#""direction":"up""#, r#""direction":"down""#, "alert_id");
    check(open, r#""severity":"NOTICE""#, r#""severity":"HIGH""#, "severity");
    check(open, r#""mode":"bofa21""#, r#""mode":"other1""#, "mode");
    check(open, r#""basis":"official""#, r#""basis":"last""#, "quality");
    check(open, " sigma (", " sigmas (", "summary");
    check(open, r#""quality":["#, r#""quality":["EXTENDED","#, "quality");
    check(open, r#".","unknown":{}"#, r#".","unknown":{"z":"WARMING"}"#, "unknown.z");
    let z = format!("\"z\":{},\"z_adjusted\"", (open.z.unwrap() * 1e4).round() / 1e4);
    check(open, &z, r#""z":null,"z_adjusted""#, "z");
    let group = find("cluster", AlertKind::Confirm);
    check(group, r#""level":"ALERT""#, r#""level":"WATCH""#, "cluster.level");
    check(group, r#""reached":true"#, r#""reached":false"#, "cluster.legs.basket_z.reached");
    let first = group.cluster.as_ref().unwrap().initiator.clone().unwrap();
    check(group, &format!("\"initiator\":\"{first}\""), r#""initiator":"AAPL""#, "cluster.initiator");
    check(group, r#""quality":[]"#, r#""quality":["PARTIAL_COVERAGE"]"#, "quality");
}

/// What a text says of a source, or a source of nothing, does not move where the digest ends.
#[test]
fn the_digest_ends_before_the_source_whatever_a_text_says() {
    let alert = days::alerts().iter().find(|a| !a.events.is_empty()).unwrap();
    let record = String::from_utf8(bytes(alert)).unwrap();
    let (before, behind) = record.rsplit_once(",\"source\":[").unwrap();
    assert!(before.contains("\\\"source\\\":[ of doubt,\"") && !before.contains(",\"source\":["));
    assert!(behind.ends_with(&format!("\"digest\":\"{}\"}}", fragility::codec::digest_of(before.as_bytes()))));
    let elsewhere = Alert { source: Vec::new(), ..alert.clone() };
    assert!(!is_refused(&bytes(&elsewhere)));
}

#[test]
fn the_page_names_what_only_the_digest_protects() {
    let page = std::fs::read_to_string(harness::repo("docs/alerts.md")).unwrap();
    let list = DIGEST_ONLY.map(|entry| format!("`{entry}`")).join(" ");
    assert!(page.lines().any(|line| line == list), "docs/alerts.md has to say: {list}");
}
