//! How many of 504 stocks break each session, and what that makes of each year, against tables made by pandas. See
//! `golden/README.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::cluster::GroupView;
use fragility::codec::decode;
use fragility::domain::{Observation, SessionDate, UnixNanos};
use fragility::engine::{Channel, Effects, Engine, Origin, Watermark};
use fragility::sources::FileSource;
use harness::binary::Dir;
use harness::{date, text};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The group of all names.
const ALL: &str = "all504";
const CLOSES: &str = "data/sp500_close_raw_wide_1999_2021.csv.zst";

/// Input records of the sessions from `first` to `last`: a member from its first close on and a split each, and the closes
/// in long form.
fn records(first: &str, last: &str) -> (Vec<String>, String) {
    let wide = text(CLOSES);
    let mut lines = wide.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let symbols = lines.next().unwrap().split_off(1);
    assert_eq!(symbols.len(), 504);
    let mut reference = Vec::new();
    let mut is_listed = vec![false; symbols.len()];
    let mut closes = "session,symbol,close\n".to_owned();
    for row in lines {
        let session = row[0];
        for (at, (symbol, close)) in symbols.iter().zip(&row[1..]).enumerate() {
            if close.is_empty() {
                continue;
            }
            if !is_listed[at] {
                is_listed[at] = true;
                reference
                    .push(format!(r#"{{"type":"member","group":"{ALL}","symbol":"{symbol}","from":"{session}"}}"#));
            }
            if (first..=last).contains(&session) {
                writeln!(closes, "{session},{symbol},{close}").unwrap();
            }
        }
    }
    for row in text("data/splits_1999_2021.csv").lines().skip(1) {
        let [symbol, day, ratio] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        if (first..=last).contains(&day) && symbols.contains(&symbol) {
            reference.push(format!(r#"{{"type":"split","symbol":"{symbol}","ex_date":"{day}","ratio":{ratio}}}"#));
        }
    }
    (reference, closes)
}

/// The group at the close of each session from `first` to `last`.
fn closes_of_all(first: &str, last: &str) -> BTreeMap<SessionDate, GroupView> {
    let rules = format!("[groups.{ALL}]\nindex = true\n[groups.top50]\nindex = false\n");
    let loaded = fragility::config::load_text("breadth", &rules, &[], &["history.index=\"\"".to_owned()]);
    let mut params = harness::unguarded(loaded.unwrap().config.params);
    params.groups.retain(|g| &*g.name == ALL);
    let mut engine = Engine::new(params);
    let mut effects = Effects::default();
    let (reference, closes) = records(first, last);
    for record in &reference {
        let Observation::Reference(record) = decode(record.as_bytes()).unwrap() else { panic!("{record}") };
        engine.apply_reference(Channel::Initial, &record, &mut effects);
    }
    engine.history_loaded();
    let dir = Dir::new();
    let mut source = FileSource::open(&dir.write("closes.csv", closes.as_bytes())).unwrap();
    while let Some(line) = source.next_line().unwrap() {
        let origin = Origin { partition: 0, offset: line.number, timestamp: None };
        let taken = engine.step(UnixNanos(0), &origin, &line.decoded.unwrap(), false, &mut effects).unwrap();
        assert_eq!(taken.reason, "applied", "line {}", line.number);
        if line.number % 4_096 == 0 {
            engine.advance(Watermark::Members, &[], &mut effects);
        }
        effects.clear();
    }
    engine.advance(Watermark::End, &[], &mut effects);
    let closes = engine.group_closes().into_iter();
    closes.map(|(session, mut views)| (session, views.pop().unwrap())).collect()
}

/// Compares the sessions from `from` to `last`, and each of their years; the closes begin at `first`,
/// so that windows are full at `from`.
fn check(first: &str, from: &str, last: &str, expected_sessions: usize) {
    let closes = closes_of_all(first, last);
    let table = text("tests/golden/breadth504.csv.zst");
    let (header, rows) = table.split_once('\n').unwrap();
    assert_eq!(header, "session,count,valid,up,down,abs_z_sum");
    let mut compared = 0;
    let mut wrong = Vec::new();
    for row in rows.lines().filter(|row| (from..=last).contains(&&row[..10])) {
        let tally = closes[&date(&row[..10])].breadth;
        let (counts, sum) = row.rsplit_once(',').unwrap();
        let got = format!("{},{},{},{},{}", &row[..10], tally.count, tally.valid, tally.up, tally.down);
        let sum: f64 = sum.parse().unwrap();
        if got != counts || (tally.abs_z_sum - sum).abs() > 1e-9 * sum.max(1.0) {
            wrong.push(format!("{got},{}: expected {row}", tally.abs_z_sum));
        }
        compared += 1;
    }
    assert_eq!((wrong, compared), (Vec::<String>::new(), expected_sessions));

    let years = text("tests/golden/breadth504_index.csv");
    let (header, rows) = years.split_once('\n').unwrap();
    assert_eq!(header, "year,valid,up,down,abs_z_sum,frequency_pct,magnitude,index");
    for row in rows.lines().filter(|row| (&from[..4]..=&last[..4]).contains(&&row[..4])) {
        let cells: Vec<f64> = row.split(',').map(|cell| cell.parse().unwrap()).collect();
        let of_year = closes.range(date(&format!("{}-01-01", &row[..4]))..=date(&format!("{}-12-31", &row[..4])));
        let index = of_year.last().unwrap().1.index.clone().unwrap();
        assert_eq!((index.valid as f64, index.events as f64), (cells[1], cells[2] + cells[3]), "{row}");
        for (got, expected) in
            [(index.frequency_pct, cells[5]), (index.magnitude.unwrap(), cells[6]), (index.index, cells[7])]
        {
            assert!((got - expected).abs() <= 1e-9 * expected, "{got}: expected {row}");
        }
    }
}

/// The year of the crash, every name.
#[test]
fn breadth_of_504_stocks_through_2008_is_that_of_pandas() {
    check("2007-11-01", "2008-01-02", "2008-12-31", 253);
}

/// Every session there is.
#[test]
#[ignore = "takes minutes: cargo test --test breadth -- --ignored"]
fn breadth_of_504_stocks_over_22_years_is_that_of_pandas() {
    check("1999-11-01", "1999-11-01", "2021-04-21", 5_402);
}
