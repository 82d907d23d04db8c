//! A few days that make every kind of alert: real closes, paths between them that rise, ease and come back,
//! members of a group, a desk's own reference, prints and closes taken back.

use crate::harness::{MIN, Run, SEC, bounded, close, date, params, repo};
use fragility::domain::{Alert, Observation, Reference, UnixNanos};
use fragility::engine::{Channel, Params, Watermark};
use fragility::market::Session;
use fragility::sources::FileSource;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const PLAYED: [&str; 4] = ["2025-01-22", "2025-01-23", "2025-01-24", "2025-01-27"];
const SYMBOLS: [&str; 9] = ["AAPL", "AMZN", "GOOGL", "IBM", "META", "MSFT", "NVDA", "TSLA", "JPM"];

/// Multiples of sigma by the minute on the last day, between which the price goes straight.
const PATHS: [(&str, &[(i64, f64)]); 4] = [
    // Opens, escalates, eases, regains a tier, makes a new extreme.
    ("AAPL", &[(0, 0.0), (20, 3.4), (40, 4.6), (60, 3.1), (90, 4.2), (120, 5.8), (389, 0.9)]),
    // Opens, ends within the session, and fades.
    ("MSFT", &[(0, 0.2), (30, -3.3), (50, -3.4), (80, -0.5), (389, -1.0)]),
    // A group of its own kind: with NVDA and GOOGL it makes the group escalate and ease.
    ("TSLA", &[(0, -0.3), (60, -3.2), (150, -8.4), (200, -0.4), (280, -0.4), (320, -8.9), (350, -0.5), (389, -0.8)]),
    ("META", &[(0, 0.0), (100, -4.1), (150, -10.4), (240, 0.1), (389, 0.8)]),
];

fn closes() -> BTreeMap<(String, String), f64> {
    let text = std::fs::read_to_string(repo("data/us_top50_daily_2024q4_2025q1.csv")).unwrap();
    let cells = text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    cells.map(|c| ((c[1].clone(), c[0].clone()), c[2].parse().unwrap())).collect()
}

/// Noise without a seed: the same for a symbol and minute always, up to 1 in size.
fn noise(symbol: &str, minute: i64) -> f64 {
    let mut x = symbol.bytes().fold(minute.unsigned_abs(), |x, b| x.wrapping_mul(31).wrapping_add(u64::from(b)));
    x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d_9f42_1357);
    x ^= x >> 29;
    f64::from(u32::try_from(x >> 40).unwrap()) / f64::from(1_u32 << 23) - 1.0
}

fn history(run: &mut Run) {
    for file in ["data/us_top50_reference.ndjson", "data/us_top50_daily_2024q4_2025q1.csv"] {
        let mut source = FileSource::open(&repo(file)).unwrap();
        while let Some(line) = source.next_line().unwrap() {
            let Ok(Observation::Reference(record)) = &line.decoded else { continue };
            let is_past = match record {
                Reference::Close { session, .. } | Reference::Daily { session, .. } => *session < date(PLAYED[0]),
                _ => true,
            };
            if is_past {
                run.engine.apply_reference(Channel::Initial, record, &mut run.effects);
            }
        }
    }
    run.json(
        r#"{"type":"reference","symbol":"DESK","prev_close":80.253141592653589,"sigma_daily":0.017320508075688773}"#,
    );
    run.engine.history_loaded();
}

/// A minute of one symbol, on the way to its close.
fn minute(run: &mut Run, session: &Session, symbol: &str, minute: i64, close: f64) {
    let ts = session.open.plus(minute * MIN + SEC);
    let path = PATHS.iter().find(|(s, _)| *s == symbol && session.date == date(PLAYED[3]));
    let view = run.engine.symbol(symbol);
    let ruler = view.and_then(|v| Some((v.reference?, v.sigma_daily?)));
    let price = match (path, ruler) {
        (Some((_, points)), Some((reference, sigma))) => {
            let next = points.iter().position(|(at, _)| *at > minute).unwrap_or(points.len() - 1).max(1);
            let ((t0, z0), (t1, z1)) = (points[next - 1], points[next]);
            let z = z0 + (z1 - z0) * (minute - t0) as f64 / (t1 - t0) as f64;
            reference * (sigma * z).exp()
        }
        (_, Some((reference, _))) => reference * (close / reference).powf((minute + 1) as f64 / 390.0),
        _ => close,
    };
    let price = (price * (1.0 + 2e-4 * noise(symbol, minute)) * 100.0).round() / 100.0;
    run.tick(symbol, ts, price);
}

fn play(params: Params) -> Vec<Alert> {
    let mut run = Run::new(params);
    history(&mut run);
    let closes = closes();
    for day in PLAYED {
        let session = run.session(day);
        if day == PLAYED[3] {
            run.json(&format!(
                r#"{{"type":"event","symbol":"NVDA","ts":{},"kind":"news","source":"wire","text":"a \"source\":[ of doubt,","url":"https://example.com/1"}}"#,
                session.open.plus(-MIN).0
            ));
        }
        for at in 0..390 {
            for symbol in SYMBOLS {
                minute(&mut run, &session, symbol, at, closes[&(symbol.to_owned(), day.to_owned())]);
            }
            let z = if day == PLAYED[3] { at as f64 / 100.0 } else { 0.0 };
            let price = (80.25 * (0.0173 * z).exp() * 100.0).round() / 100.0;
            run.tick("DESK", session.open.plus(at * MIN + SEC), price);
            if day == PLAYED[3] && at == 200 {
                botched(&mut run, &session, at);
            }
            run.json(&format!(r#"{{"type":"heartbeat","ts":{}}}"#, session.open.plus(at * MIN + 50 * SEC).0));
            run.engine.advance(Watermark::Partitions, &[0], &mut run.effects);
        }
        for symbol in SYMBOLS {
            run.close(symbol, day, closes[&(symbol.to_owned(), day.to_owned())]);
        }
    }
    let night = run.session(PLAYED[3]).close.plus(60 * MIN).0;
    run.json(&format!(r#"{{"type":"heartbeat","ts":{night}}}"#));
    run.engine.advance(Watermark::Partitions, &[0], &mut run.effects);
    // Another close of NVDA, far from the first: what it confirmed is corrected; then one that looks like a split.
    run.applied(&close("NVDA", PLAYED[3], 139.5));
    run.close("NVDA", "2025-01-28", 69.8);
    run.engine.advance(Watermark::End, &[], &mut run.effects);
    run.said()
}

/// A print that is taken back: what it said is retracted.
fn botched(run: &mut Run, session: &Session, at: i64) {
    let ts: UnixNanos = session.open.plus(at * MIN + 20 * SEC);
    let price = run.price_at("JPM", -6.5);
    run.applied(&format!(r#"{{"type":"tick","symbol":"JPM","ts":{},"price":{price},"id":"b1"}}"#, ts.0));
    let cancel = ts.plus(SEC).0;
    run.applied(&format!(r#"{{"type":"cancel","symbol":"JPM","ts":{cancel},"id":"b1"}}"#));
}

/// Every alert of the days, of a group judged by fixed bounds and of one judged by its own past.
pub(crate) fn alerts() -> &'static [Alert] {
    static ALERTS: OnceLock<Vec<Alert>> = OnceLock::new();
    ALERTS.get_or_init(|| [play(bounded()), play(params())].concat())
}
