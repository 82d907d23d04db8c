//! Every sample message of every vendor gives exactly what its text says, or the reason why it is not taken.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::unnecessary_wraps, reason = "expected values are written as the decoder gives them")]

#[path = "../harness/mod.rs"]
mod harness;

mod databento;
mod others;
mod polygon;
mod wire;

use fragility::app::{ReplayOptions, replay};
use fragility::codec::{Batch, DecodeError, Decoder};
use fragility::config::load_text;
use fragility::domain::{
    Amendment, Bar, ConditionCode, Conditions, Interval, Observation, Outcome, Price, PrintRef, Status, Tape, Tick,
    TradingStatus, UnixNanos,
};
use fragility::sources::FileSource;
use harness::{repo, text};
use std::borrow::Cow;

/// What one event should give: an observation, or outcome, reason and a part of the detail.
type Expected<'a> = Result<Observation<'static>, (Outcome, &'a str, &'a str)>;

fn decoder(format: &str) -> Decoder {
    let sets = [format!("input.format={format}")];
    load_text("test", "", &[], &sets).unwrap_or_else(|e| panic!("{e:?}")).config.decoder
}

fn events(batch: Batch<'_>) -> Vec<Result<Observation<'_>, DecodeError>> {
    std::iter::once(batch.first).chain(batch.rest).collect()
}

fn check(got: &[Result<Observation<'_>, DecodeError>], expected: &[Expected<'_>], line: &str) {
    assert_eq!(got.len(), expected.len(), "{line}: {got:#?}");
    for (got, expected) in got.iter().zip(expected) {
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{line}"),
            (Err(got), Err((outcome, reason, detail))) => {
                assert_eq!((got.outcome, got.reason), (*outcome, *reason), "{line}: {got}");
                assert!(got.detail.contains(detail), "{line}: {got}");
            }
            _ => panic!("{line}: {got:?} is not {expected:?}"),
        }
    }
}

/// Every line of a sample file against the events it should give.
fn check_file(format: &str, file: &str, expected: &[&[Expected<'_>]]) {
    let decoder = decoder(format);
    let text = text(&format!("tests/fixtures/vendors/{file}"));
    assert_eq!(text.lines().count(), expected.len(), "{file}");
    for (line, expected) in text.lines().zip(expected) {
        check(&events(decoder.decode(line.as_bytes())), expected, line);
    }
}

fn check_line(decoder: &Decoder, line: &str, expected: &[Expected<'_>]) {
    check(&events(decoder.decode(line.as_bytes())), expected, line);
}

fn ignored(reason: &str) -> Expected<'_> {
    Err((Outcome::Ignored, reason, ""))
}

fn malformed<'a>(reason: &'a str, detail: &'a str) -> Expected<'a> {
    Err((Outcome::Malformed, reason, detail))
}

fn rejected<'a>(reason: &'a str, detail: &'a str) -> Expected<'a> {
    Err((Outcome::Rejected, reason, detail))
}

fn px(price: f64) -> Price {
    Price::new(price).unwrap()
}

fn cond(codes: &[&str]) -> Conditions {
    let mut conditions = Conditions::NONE;
    for code in codes {
        assert!(conditions.push(ConditionCode::new(code).unwrap()));
    }
    conditions
}

fn at(text: &str) -> UnixNanos {
    UnixNanos::parse_rfc3339(text).unwrap()
}

fn millis(millis: i64) -> UnixNanos {
    UnixNanos(millis * 1_000_000)
}

fn named(text: &str) -> Option<Cow<'static, str>> {
    Some(text.to_owned().into())
}

fn tick(symbol: &'static str, ts: UnixNanos, price: f64, more: impl FnOnce(&mut Tick<'static>)) -> Expected<'static> {
    let mut tick = Tick::new(symbol, ts, px(price));
    more(&mut tick);
    Ok(Observation::Tick(tick))
}

fn bar(symbol: &'static str, ts: UnixNanos, interval: Interval, [open, high, low, close]: [f64; 4]) -> Bar<'static> {
    Bar {
        volume: None,
        symbol: symbol.into(),
        ts,
        interval,
        open: px(open),
        high: px(high),
        low: px(low),
        close: px(close),
        session: None,
        is_final: true,
        seq: None,
        feed: None,
    }
}

fn status(symbol: &'static str, ts: UnixNanos, status: TradingStatus, reason: Option<&str>) -> Expected<'static> {
    let reason = reason.map(|r| r.to_owned().into());
    Ok(Observation::Status(Status { symbol: symbol.into(), ts, status, reason }))
}

/// One record, one outcome, whatever it holds.
#[test]
fn a_replay_counts_messages_and_not_their_events() {
    let path = std::env::temp_dir().join(format!("fragility-vendors-{}.ndjson", std::process::id()));
    let trade = |millis: u64, q: u64| format!(r#"{{"ev":"T","sym":"A","p":100.5,"t":{millis},"q":{q}}}"#);
    let at = 1_738_011_600_000;
    let lines = [
        // Two trades and a quote; the same again; a quote alone; a trade beside a broken one; a broken message.
        format!(r#"[{},{{"ev":"Q"}},{}]"#, trade(at, 1), trade(at, 2)),
        format!(r#"[{},{{"ev":"Q"}},{}]"#, trade(at, 1), trade(at, 2)),
        r#"{"ev":"Q"}"#.to_owned(),
        format!(r#"[{},{{"ev":"T","sym":"A"}}]"#, trade(at + 1, 3)),
        "[".to_owned(),
        trade(at + 1, 3),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let letters = path.with_extension("dead");
    let options =
        ReplayOptions { inputs: vec![path.clone()], dead_letters: Some(letters.clone()), ..ReplayOptions::default() };
    let config = load_text("test", "[input]\nformat = \"polygon\"", &[], &[]).unwrap().config;
    let replayed = replay(&config, &options).unwrap();
    let counted = Outcome::ALL.into_iter().zip(replayed.accounts.outcomes).filter(|(_, n)| *n > 0);
    let expected = [(Outcome::Applied, 1), (Outcome::Duplicate, 2), (Outcome::Malformed, 2), (Outcome::Ignored, 1)];
    assert_eq!(counted.collect::<Vec<_>>(), expected);
    let said = std::fs::read_to_string(&letters).unwrap();
    assert!(said.lines().next().unwrap().contains("event 2 of 2: t is missing"), "{said}");
    assert_eq!(said.lines().count(), 2);
    for file in [path, letters] {
        std::fs::remove_file(file).unwrap();
    }
}
