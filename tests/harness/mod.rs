//! What several test files share: the shipped parameters, records by their JSON, and a running engine.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod binary;

use fragility::codec::{decode, encode_alert, encode_state};
use fragility::config::{DEFAULTS, load_text};
use fragility::domain::{Alert, AlertKind, Entity, Outcome, SessionDate, Symbol, UnixNanos};
use fragility::engine::{Disposition, Effects, Engine, Origin, Params, StaleRules};
use fragility::market::{Calendar, Measure, Session};
use fragility::verify::{Verified, verify};
use std::path::PathBuf;

/// A file of the repository.
pub(crate) fn repo(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file of the repository, decompressed when it is `.zst` or `.gz`.
pub(crate) fn text(path: &str) -> String {
    let bytes = std::fs::read(repo(path)).unwrap();
    let plain = match path.rsplit_once('.').unwrap().1 {
        "zst" => zstd::decode_all(&bytes[..]).unwrap(),
        "gz" => {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut plain).unwrap();
            plain
        }
        _ => bytes,
    };
    String::from_utf8(plain).unwrap()
}

/// The shipped defaults with further TOML on top.
pub(crate) fn params_with(toml: &str) -> Params {
    load_text("test", toml, &[], &[]).unwrap().config.params
}

/// The shipped defaults, prints taken as they come and at any time.
pub(crate) fn params() -> Params {
    unguarded(params_as_shipped())
}

/// The same parameters without what guards prices: no quarantine, no gate, nothing too old.
pub(crate) fn unguarded(params: Params) -> Params {
    let stale = StaleRules { gaps: 1e6, least_secs: 1e6 };
    Params { quarantine: None, eligibility: None, stale, ..params }
}

/// The shipped defaults.
pub(crate) fn params_as_shipped() -> Params {
    params_with(DEFAULTS)
}

/// Fixed bounds for the shipped group, which two members reach.
pub(crate) const BOUNDS: &str = r"
[groups.mag7.levels]
watch = { basket_z = 2.27, rms_z = 2.12, members = 2, legs = 2 }
alert = { basket_z = 2.27, rms_z = 2.12, members = 2, legs = 3 }
critical = { basket_z = 3.61, rms_z = 3.39, members = 3, legs = 2 }
";

/// The shipped defaults with the group judged by [`BOUNDS`], prints taken as they come.
pub(crate) fn bounded() -> Params {
    unguarded(params_with(BOUNDS))
}

/// The shipped defaults without groups: single securities alone.
pub(crate) fn params_without_groups() -> Params {
    Params { groups: Vec::new(), ..params() }
}

pub(crate) fn date(text: &str) -> SessionDate {
    text.parse().unwrap()
}

pub(crate) fn utc(text: &str) -> UnixNanos {
    UnixNanos::parse_rfc3339(text).unwrap()
}

/// One second, in nanoseconds.
pub(crate) const SEC: i64 = 1_000_000_000;
/// One minute, in nanoseconds.
pub(crate) const MIN: i64 = 60 * SEC;

/// An engine and everything it has said.
pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) effects: Effects,
    pub(crate) offset: i64,
    pub(crate) calendar: Calendar,
}

impl Run {
    pub(crate) fn new(params: Params) -> Self {
        let calendar = match &params.calendar {
            Some(calendar) => (**calendar).clone(),
            None => Calendar::xnys(&fragility::market::CalendarOverlay::default()).unwrap(),
        };
        Self { engine: Engine::new(params), effects: Effects::default(), offset: 0, calendar }
    }

    /// Feeds one JSON record as a line of partition 0 without a log timestamp.
    pub(crate) fn json(&mut self, record: &str) -> Disposition {
        self.json_at(record, 0, None)
    }

    pub(crate) fn json_at(&mut self, record: &str, partition: i32, timestamp: Option<UnixNanos>) -> Disposition {
        let observation = decode(record.as_bytes()).unwrap_or_else(|e| panic!("{record}: {e}"));
        let origin = Origin { partition, offset: self.offset, timestamp };
        self.offset += 1;
        let answer = self.engine.step(UnixNanos(0), &origin, &observation, false, &mut self.effects);
        answer.unwrap_or_else(|| panic!("{record} waits in quarantine"))
    }

    /// Feeds a print that may have to wait: its outcome, unless it does.
    pub(crate) fn print(&mut self, record: &str) -> Option<Outcome> {
        let observation = decode(record.as_bytes()).unwrap_or_else(|e| panic!("{record}: {e}"));
        let origin = Origin { partition: 0, offset: self.offset, timestamp: None };
        self.offset += 1;
        self.engine.step(UnixNanos(0), &origin, &observation, false, &mut self.effects).map(|d| d.outcome)
    }

    /// Feeds a record that must be applied.
    pub(crate) fn applied(&mut self, record: &str) {
        let got = self.json(record);
        assert_eq!(got.outcome, Outcome::Applied, "{record}: {got:?}");
    }

    pub(crate) fn tick(&mut self, symbol: &str, ts: UnixNanos, price: f64) -> Disposition {
        self.json(&tick(symbol, ts, price))
    }

    pub(crate) fn close(&mut self, symbol: &str, session: &str, price: f64) {
        self.applied(&close(symbol, session, price));
    }

    /// Everything said since the last call; each holds by what it carries itself.
    pub(crate) fn said(&mut self) -> Vec<Alert> {
        let said = std::mem::take(&mut self.effects.alerts);
        said.iter().for_each(holds);
        said
    }

    /// Kinds and tiers said since the last call.
    pub(crate) fn kinds(&mut self) -> Vec<(AlertKind, f64)> {
        self.said().iter().map(|a| (a.kind, a.tier)).collect()
    }

    pub(crate) fn session(&self, day: &str) -> Session {
        *self.calendar.session(date(day)).unwrap_or_else(|| panic!("{day} is no session"))
    }

    pub(crate) fn measure(&self, symbol: &str, session: &str) -> Option<&Measure> {
        let wanted = |(s, m): &&(Symbol, Measure)| s.as_str() == symbol && m.session == date(session);
        self.effects.measures.iter().rev().find(wanted).map(|(_, m)| m)
    }

    /// The multiple of `symbol` at `price` as the engine's own ruler gives it.
    pub(crate) fn price_at(&self, symbol: &str, multiple: f64) -> f64 {
        let view = self.engine.symbol(symbol).unwrap();
        let (reference, sigma) = (view.reference.unwrap(), view.sigma_daily.unwrap());
        fragility::estimators::threshold_price(reference, sigma, multiple)
    }
}

pub(crate) fn tick(symbol: &str, ts: UnixNanos, price: f64) -> String {
    format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{},"price":{price}}}"#, ts.0)
}

pub(crate) fn close(symbol: &str, session: &str, price: f64) -> String {
    format!(r#"{{"type":"close","symbol":"{symbol}","session":"{session}","price":{price}}}"#)
}

/// An alert holds by what its bytes carry, and so does the state after it.
pub(crate) fn holds(alert: &Alert) {
    for encode in [encode_alert, encode_state] {
        let mut bytes = Vec::new();
        encode(alert, &mut bytes);
        match verify(&bytes) {
            Ok(Verified::Alert(_, differences)) if differences.is_empty() => {}
            other => panic!("{other:?}\n{}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// The entity's name.
pub(crate) fn id(alert: &Alert) -> &str {
    match &alert.entity {
        Entity::Cluster(name) => name,
        Entity::Symbol(symbol) => symbol.as_str(),
    }
}
