//! The trend follower against pandas and a root search on real closes. See `golden/README.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the agreement found, shown by `--nocapture`")]

mod harness;

use fragility::domain::{Price, SessionDate};
use fragility::estimators::{TrendModel, TrendParams, TrendView};
use harness::{date, text};
use std::collections::BTreeMap;

/// Fifteen digits are stored; sums of 600 terms and a root search to 1e-15 lie between. The largest gap found is 1.7e-12,
/// of a price that was searched for.
const ALLOWED: f64 = 1e-9;

fn series(name: &str, session: usize, close: usize) -> Vec<(SessionDate, Price)> {
    let of = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        (date(cells[session]), Price::new(cells[close].parse().unwrap()).unwrap())
    };
    text(name).lines().skip(1).map(of).collect()
}

/// Everything in a view, by the names of the table; unknown is left out.
fn flattened(view: &TrendView) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    let mut put = |name: String, value: Option<f64>| {
        if let Some(value) = value {
            assert!(out.insert(name, value).is_none());
        }
    };
    put("close".into(), view.last_close.ok());
    put("volatility".into(), view.volatility.ok());
    put("known".into(), Some(view.known as f64));
    put("position".into(), view.position.ok());
    put("asymmetry".into(), view.asymmetry);
    for told in &view.signals {
        let name = told.signal.name();
        for trigger in &told.triggers {
            let of = match trigger.pair {
                Some((fast, slow)) => format!("ewma_{fast}_{slow}"),
                None => name.clone(),
            };
            put(format!("trigger_{of}_{}", trigger.sessions), trigger.level.ok().flatten());
        }
        put(name, told.value.ok());
    }
    for scenario in &view.scenarios {
        let path = scenario.path.name();
        put(format!("{path}_price"), scenario.end_price.ok());
        put(format!("{path}_volatility"), scenario.volatility.ok());
        put(format!("{path}_flow"), scenario.flow.ok());
        for (told, flow) in view.signals.iter().zip(&scenario.signal_flows) {
            put(format!("{path}_{}", told.signal.name()), flow.ok());
        }
    }
    out
}

#[test]
fn positions_flows_and_triggers_are_those_of_pandas() {
    let all = BTreeMap::from([
        ("sp500", series("tests/golden/trend_closes.csv", 0, 1)),
        ("spy", series("data/spy_daily_2024q4_2025q1.csv", 0, 5)),
    ]);
    let model = TrendModel::new(TrendParams::default()).unwrap();
    let table = text("tests/golden/trend_views.csv");
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let (mut rows, mut known, mut worst) = (0, 0, (0.0, String::new()));
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let (closes, session) = (&all[cells[0]], date(cells[1]));
        let until = closes.iter().take_while(|(s, _)| *s <= session);
        let prices: Vec<Price> = until.map(|(_, price)| *price).collect();
        let view = model.view(session, &prices);
        let mut got = flattened(&view);
        for (name, cell) in header.iter().zip(&cells).skip(2) {
            let expected: Option<f64> = (!cell.is_empty()).then(|| cell.parse().unwrap());
            let found = got.remove(*name);
            assert_eq!(found.is_some(), expected.is_some(), "{session} {name}: {found:?}, expected {expected:?}");
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            known += 1;
            // Flows are told beside positions: their errors are those of the larger numbers.
            let is_usd = name.contains("flow") || ["down_", "flat_", "up_"].iter().any(|p| name.starts_with(p));
            let scale = if is_usd && !name.ends_with("price") && !name.ends_with("volatility") {
                view.params.kappa_usd
            } else {
                1e-3
            };
            let gap = (found - expected).abs() / expected.abs().max(scale);
            assert!(gap <= ALLOWED, "{session} {name}: {found}, expected {expected}");
            if gap > worst.0 {
                worst = (gap, format!("{session} {name}"));
            }
        }
        assert!(got.is_empty(), "{session}: not in the table: {got:?}");
        rows += 1;
    }
    println!("{rows} views, {known} numbers, largest gap {worst:?}");
    assert!(rows == 50 && known > 1_800, "{rows} {known}");
}
