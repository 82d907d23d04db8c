//! Realized measures and jump statistics of a session, as alerts and `replay --modes` show them, against numpy,
//! pandas and scipy. See `golden/README.md` for how the expected values were made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::app::{self, ReplayOptions};
use fragility::codec::encode_alert;
use fragility::config::load_text;
use fragility::domain::{Alert, Symbol, Unknown};
use harness::{MIN, Run, SEC, date, params_without_groups, repo, text, tick};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn replayed(inputs: &[&str], name: &str) -> BTreeMap<(String, String), Value> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("realized");
    std::fs::create_dir_all(&dir).unwrap();
    let out = dir.join(name);
    let config = load_text("test", "[groups.mag7]\nmembers = []\n", &[], &[]).unwrap().config;
    let options = ReplayOptions {
        inputs: inputs.iter().map(|input| repo(input)).collect(),
        modes: Some(out.clone()),
        ..ReplayOptions::default()
    };
    assert!(!app::replay(&config, &options).unwrap().refused_any());
    let written = std::fs::read_to_string(&out).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = |field: &str| line[field].as_str().unwrap().to_owned();
        ((name("symbol"), name("session")), line)
    };
    written.lines().map(line).collect()
}

/// Four sessions, a short one among them, of ticks at irregular times.
#[test]
fn the_measures_a_replay_writes_are_those_of_numpy() {
    let ticks = "tests/golden/realized_ticks.csv.zst";
    let written = replayed(&["tests/golden/realized_curve.ndjson", ticks], "seasonal.ndjson");
    let flat = replayed(&[ticks], "flat.ndjson");
    let expected = text("tests/golden/realized_sessions.csv");
    let (header, rows) = expected.split_once('\n').unwrap();
    let mut numbers = 0;
    for row in rows.lines() {
        let cells: BTreeMap<&str, &str> = header.split(',').zip(row.split(',')).collect();
        let at = (cells["symbol"].to_owned(), cells["session"].to_owned());
        let got = &written[&at]["realized"];
        assert_eq!(got["returns"].to_string(), cells["returns"], "{at:?}");
        for (column, cell) in cells.iter().filter(|(c, _)| !matches!(**c, "symbol" | "session" | "returns")) {
            let value = match *column {
                "jump_z" => &got["jump"]["z"],
                "jump_p" => &got["jump"]["p"],
                "end" | "log_return" | "statistic" | "p" => &got["largest"][*column],
                name => &got[name],
            };
            if cell.is_empty() {
                assert_eq!((value, &got["unknown"]["largest"]), (&Value::Null, &"WARMING".into()), "{at:?} {column}");
                continue;
            }
            let (value, expected): (f64, f64) = (value.as_f64().unwrap(), cell.parse().unwrap());
            assert!((value / expected - 1.0).abs() < 1e-9, "{at:?} {column}: got {value}, expected {expected}");
            numbers += 1;
        }
        // Variances do not hang on the curve; what is measured against it does.
        assert_eq!(flat[&at]["realized"]["variance"], got["variance"]);
        assert_ne!(flat[&at]["realized"]["jump"], got["jump"]);
    }
    assert_eq!(numbers, 8 * 8 + 6 * 4);
    // The one jump that was put in.
    let jump = &written[&("AAA".to_owned(), "2024-12-02".to_owned())]["realized"];
    assert!(jump["largest"]["p"].as_f64().unwrap() < 1e-9 && jump["jump"]["p"].as_f64().unwrap() < 1e-6, "{jump}");
}

fn json(alert: &Alert) -> Value {
    let mut bytes = Vec::new();
    encode_alert(alert, &mut bytes);
    serde_json::from_slice(&bytes).unwrap()
}

/// A symbol with a volatility of about 1 %, at the open of 2025-01-27.
fn opened() -> Run {
    let mut run = Run::new(params_without_groups());
    run.applied(r#"{"type":"reference","symbol":"AAA","session":"2025-01-27","prev_close":100,"sigma_daily":0.01}"#);
    run
}

#[test]
fn an_alert_tells_how_the_session_had_moved_before_it() {
    let mut run = opened();
    let open = run.session("2025-01-27").open;
    for n in 0..=6_i64 {
        let price = if n % 2 == 0 { 100.0 } else { 100.2 };
        run.applied(&tick("AAA", open.plus(n * 5 * MIN), price));
    }
    run.applied(&tick("AAA", open.plus(32 * MIN), 96.0));
    let alerts = run.said();
    let realized = json(&alerts[0])["realized"].clone();
    // The return under way, with the fall in it, has not ended.
    assert_eq!(realized["returns"], 6);
    let r = (100.2_f64 / 100.0).ln();
    assert!((realized["variance"].as_f64().unwrap() / (6.0 * r * r) - 1.0).abs() < 1e-12);
    assert!(realized["jump"]["z"].as_f64().unwrap() < 0.0);
    assert_eq!(realized["unknown"], serde_json::json!({"largest": "WARMING"}));
    // When it has ended, the session has had a jump.
    run.applied(&tick("AAA", open.plus(38 * MIN), 91.0));
    let realized = json(run.said().last().unwrap())["realized"].clone();
    assert_eq!(realized["returns"], 7);
    assert!(realized["jump"]["p"].as_f64().unwrap() < 0.01, "{realized}");
}

#[test]
fn a_session_ends_with_its_last_price_and_not_with_its_close() {
    let mut run = opened();
    let session = run.session("2025-01-27");
    run.applied(&tick("AAA", session.open, 100.0));
    run.applied(&tick("AAA", session.close.plus(-SEC), 101.0));
    run.close("AAA", "2025-01-27", 104.0);
    run.applied(&tick("AAA", session.close.plus(SEC), 107.0));
    let symbol = Symbol::new("AAA").unwrap();
    let at_close = run.engine.realized(&symbol, date("2025-01-27")).unwrap();
    assert_eq!(at_close.returns, 78);
    assert!((at_close.variance.unwrap().sqrt() / (1.01_f64).ln() - 1.0).abs() < 1e-12);
    // Of two neighbours one stood still, always.
    assert_eq!(at_close.jump, Err(Unknown::InsufficientVariance));
    // The next session does not change it, and has its own.
    let next = run.session("2025-01-28");
    run.applied(&tick("AAA", next.open.plus(SEC), 90.0));
    assert_eq!(run.engine.realized(&symbol, date("2025-01-27")), Ok(at_close));
    let begun = run.engine.realized(&symbol, date("2025-01-28")).unwrap();
    assert_eq!((begun.returns, begun.variance), (0, Err(Unknown::Warming)));
    assert_eq!(run.engine.realized(&symbol, date("2025-01-24")), Err(Unknown::NotYet));
    assert_eq!(run.engine.realized(&Symbol::new("ZZZ").unwrap(), date("2025-01-27")), Err(Unknown::NoPrice));
}

#[test]
fn bars_of_five_minutes_are_returns_and_longer_ones_are_not() {
    let bar = |start, interval: &str, open: f64, close: f64| {
        let (low, high) = (open.min(close), open.max(close));
        format!(
            r#"{{"type":"bar","symbol":"AAA","ts":{start},"interval":"{interval}","open":{open},"high":{high},"low":{low},"close":{close},"final":true}}"#
        )
    };
    let symbol = Symbol::new("AAA").unwrap();
    let mut run = opened();
    let open = run.session("2025-01-27").open;
    run.applied(&bar(open.0, "5m", 100.0, 101.0));
    run.applied(&bar(open.plus(5 * MIN).0, "5m", 101.0, 99.0));
    let view = run.engine.realized(&symbol, date("2025-01-27")).unwrap();
    let squares = (1.01_f64).ln().powi(2) + (99.0_f64 / 101.0).ln().powi(2);
    assert_eq!(view.returns, 2);
    assert!((view.variance.unwrap() / squares - 1.0).abs() < 1e-12);

    let mut run = opened();
    run.applied(&bar(open.0, "1h", 100.0, 101.0));
    assert_eq!(run.engine.realized(&symbol, date("2025-01-27")), Err(Unknown::TooCoarse));
}
