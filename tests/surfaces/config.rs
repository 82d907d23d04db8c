//! Configurations, the files that they name, and ranges of the command line. What does not hold is refused with
//! reasons that point into the text; what is taken makes an engine that runs.

use fragility::codec::decode;
use fragility::config::{ConfigErrors, load_over, load_text, read_eligibility, read_overlay};
use fragility::domain::{ConditionCode, Conditions, Phase, SessionDate, Tape, UnixNanos};
use fragility::engine::{Effects, Engine, Origin, Params, Watermark};
use fragility::market::eligibility::Context;
use fragility::market::{Calendar, Located};
use fragility::sources::{KafkaRange, RangePoint};
use std::sync::OnceLock;

/// A group of four with low bounds, a feed that holds the watermark, and a journal that is soon full.
const RULES: &str = r#"
[market.corrections]
prints_max = 16
[market.quarantine]
held_max = 4
[feeds.slow]
flag = "SLOW"
idle_secs = 60
[groups.mag7]
members = ["AAPL", "MSFT", "NVDA", "TSLA"]
ease_after_secs = 5
[groups.mag7.levels]
watch = { basket_z = 2.0, rms_z = 1.5, members = 1, legs = 2 }
alert = { basket_z = 2.5, rms_z = 2.0, members = 2, legs = 2 }
critical = { basket_z = 3.0, rms_z = 2.5, members = 3, legs = 2 }
[rules.symbol_shock]
close_after_secs = 5
cooldown_secs = 10
updates = true
deescalate = true
update_interval_secs = 1
"#;

/// The parameters of all surfaces that need an engine.
pub(super) fn params() -> Params {
    static PARAMS: OnceLock<Params> = OnceLock::new();
    let loaded = || load_text("surface", RULES, &[], &[]).unwrap_or_else(|e| panic!("{e:?}"));
    PARAMS.get_or_init(|| loaded().config.params).clone()
}

/// An engine without state.
pub(super) fn engine() -> Engine {
    Engine::new(params())
}

/// A few records through an engine that may be in any state: nothing in it may break.
pub(super) fn drive(engine: &mut Engine, symbols: &[&str]) -> Effects {
    let quoted = |symbol: &&str| serde_json::to_string(symbol).unwrap_or_default();
    let names: Vec<String> = symbols.iter().map(quoted).collect();
    let mut effects = Effects::default();
    let mut offset = 0;
    let mut say = |engine: &mut Engine, effects: &mut Effects, record: String| {
        let observation = decode(record.as_bytes()).unwrap_or_else(|e| panic!("{record}: {e}"));
        engine.step(UnixNanos(0), &Origin { partition: 0, offset, timestamp: None }, &observation, false, effects);
        offset += 1;
    };
    // From Friday's session to Monday's, 10 and 13 January 2025.
    for (day, begin) in [("2025-01-10", 1_736_519_400_000_000_000_i64), ("2025-01-13", 1_736_778_600_000_000_000)] {
        for (at, price) in (0..).zip([100.0, 101.0, 96.0, 60.0, 60.1, 60.2, 140.0, 99.0]) {
            for symbol in &names {
                let ts = begin + at * 4_000_000_000;
                let tick = format!(r#"{{"type":"tick","symbol":{symbol},"ts":{ts},"price":{price},"id":"t{at}"}}"#);
                say(engine, &mut effects, tick);
                if at == 5 {
                    let ts = ts + 1;
                    say(engine, &mut effects, format!(r#"{{"type":"cancel","symbol":{symbol},"ts":{ts},"id":"t3"}}"#));
                    say(engine, &mut effects, format!(r#"{{"type":"halt","symbol":{symbol},"ts":{ts}}}"#));
                    say(engine, &mut effects, format!(r#"{{"type":"resume","symbol":{symbol},"ts":{ts}}}"#));
                }
            }
            engine.advance(Watermark::Partitions, &[0], &mut effects);
        }
        looked_at(engine, symbols);
        for symbol in &names {
            say(engine, &mut effects, format!(r#"{{"type":"close","symbol":{symbol},"session":"{day}","price":97}}"#));
        }
    }
    for symbol in &names {
        let close = r#""session":"2025-01-10","price":95}"#;
        say(engine, &mut effects, format!(r#"{{"type":"close","symbol":{symbol},{close}"#));
    }
    engine.advance(Watermark::Partitions, &[0], &mut effects);
    engine.advance(Watermark::End, &[], &mut effects);
    looked_at(engine, symbols);
    effects
}

/// Everything that a reader of an engine may ask it; what it answers are numbers.
fn looked_at(engine: &Engine, symbols: &[&str]) {
    for view in engine.symbols() {
        let numbers = [view.price, view.volatility[0], view.volatility[1]];
        assert!(numbers.iter().all(|n| n.is_finite() && *n >= 0.0), "{view:?}");
        let known = [view.z, view.z_adjusted].into_iter().flatten();
        assert!(known.chain(view.extremes.map(|(low, _)| low)).all(f64::is_finite), "{view:?}");
    }
    let _ = (engine.most_stressed(3), engine.input_health(), engine.groups());
    let _ = (engine.event_time(), engine.feed_times(), engine.quarantined(0), engine.partition_watermark(&[0]));
    for symbol in symbols {
        let _ = engine.symbol(symbol);
    }
}

/// A configuration; after zero bytes the text below it, and `--set` flags.
pub(super) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files that it names are read, and what stands in these has no end.
    if ["/dev", "/proc"].iter().any(|place| text.contains(place)) {
        return;
    }
    let mut parts = text.split('\0');
    let (text, below) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let sets: Vec<String> = parts.map(str::to_owned).collect();
    // The text below has been loaded by itself before.
    let below = if load_text("below", below, &[], &[]).is_ok() { below } else { "" };
    match load_over(below, "surface", text, &[], &sets) {
        Err(errors) => explained(&errors, text),
        Ok(loaded) => {
            assert!(!loaded.effective.is_empty());
            drive(&mut Engine::new(loaded.config.params), &["AAPL", "ZZZ"]);
        }
    }
}

/// Problems are there, point into the text, and can be shown.
fn explained(errors: &ConfigErrors, text: &str) {
    assert!(errors.problems().next().is_some(), "a configuration is refused without a problem");
    for problem in errors.problems() {
        assert!(!problem.message.is_empty(), "{problem:?}");
        assert!(problem.span.clone().is_none_or(|span| text.get(span).is_some()), "{problem:?}");
    }
    let mut shown = String::new();
    let _ = miette::GraphicalReportHandler::new().render_report(&mut shown, errors);
}

pub(super) fn calendar(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let overlay = match read_overlay(Some(text)) {
        Ok(overlay) => overlay,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    let calendar = match Calendar::xnys(&overlay) {
        Ok(calendar) => calendar,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    let mut before = None;
    for session in calendar.sessions() {
        let instants = [session.begin, session.pre, session.open, session.close, session.end];
        assert!(instants.is_sorted() && session.open < session.close, "{session:?}");
        assert!(before.is_none_or(|(date, end)| date < session.date && end == session.begin), "{session:?}");
        before = Some((session.date, session.end));
        assert_eq!(calendar.session(session.date), Some(session));
        for (at, phase) in [(session.open, Phase::Regular), (session.close, Phase::Post)] {
            let Located::Known(found) = calendar.locate(at) else { panic!("{session:?} is not found") };
            assert_eq!((found.session.date, found.phase), (session.date, phase));
        }
    }
    for date in [SessionDate::MIN, SessionDate::MAX] {
        assert!(calendar.session(date).is_none() && calendar.previous(date).is_none());
        let _ = calendar.next_after(date);
    }
    for ts in [UnixNanos::MIN, UnixNanos(0), UnixNanos::MAX] {
        let _ = calendar.locate(ts);
    }
}

pub(super) fn eligibility(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let table = match read_eligibility(Some(text)) {
        Ok(table) => table,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    let context = |last_at, phase| Context { ts: UnixNanos(5), phase, last_at, round_lot: Some(100) };
    for code in ["@", "I", " ", "~", "AB", "LONG"].map(ConditionCode::new) {
        let mut conditions = Conditions::NONE;
        assert!(code.is_some_and(|code| conditions.push(code)));
        for tape in [None, Some(Tape::A), Some(Tape::B), Some(Tape::C), Some(Tape::Other)] {
            for (last_at, phase) in [(None, Phase::Pre), (Some(UnixNanos(9)), Phase::Regular)] {
                let judged = table.judge(tape, &conditions, Some(1.0), &context(last_at, phase));
                assert!(!judged.decides() || judged.last(), "{judged:?} decides without being the last price");
            }
        }
    }
}

/// `--from` and `--to`, with a line end between them.
pub(super) fn range(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (from, to) = text.split_once('\n').unwrap_or((text, ""));
    let point = |text: &str| (!text.is_empty()).then(|| text.parse::<RangePoint>()).transpose();
    match (point(from), point(to)) {
        (Ok(from), Ok(to)) => {
            if let Err(why) = KafkaRange::new(from, to) {
                assert!(!why.to_string().is_empty());
            }
        }
        (from, to) => {
            let why = from.err().or(to.err()).map(|why| why.to_string());
            assert!(why.is_some_and(|why| !why.is_empty()));
        }
    }
}
