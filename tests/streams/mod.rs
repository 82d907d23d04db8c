//! Pseudo-random markets as streams of records, and the parameters they are run under.

use crate::harness::{SEC, close, date, params, params_as_shipped, params_with};
use fragility::domain::UnixNanos;
use fragility::engine::Params;
use fragility::market::Calendar;
use std::sync::{Arc, OnceLock};

pub(crate) fn shipped() -> Params {
    static PARAMS: OnceLock<Params> = OnceLock::new();
    PARAMS.get_or_init(params).clone()
}

pub(crate) fn calendar() -> Arc<Calendar> {
    shipped().calendar.unwrap()
}

pub(crate) const FIRST: &str = "2025-01-06";

pub(crate) fn sessions(n: usize) -> Vec<fragility::market::Session> {
    calendar().sessions().iter().filter(|s| s.date >= date(FIRST)).take(n).copied().collect()
}

/// A pseudo-random stream with a seed of its own: splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    pub(crate) fn gaussian(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// One record with the instant it belongs at and its symbol.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) at: UnixNanos,
    pub(crate) symbol: usize,
    pub(crate) json: String,
}

pub(crate) const SYMBOLS: [&str; 5] = ["AAPL", "MSFT", "NVDA", "TSLA", "ZZZ"];

/// Three days of five symbols in event-time order: four of them a group, with desk rulers, jumps that
/// breach, quiet stretches, sequence numbers, and closes of which some are missing.
pub(crate) fn market(seed: u64) -> Vec<Record> {
    let mut random = Random(seed);
    let mut records = Vec::new();
    for (number, symbol) in SYMBOLS.iter().enumerate() {
        let mut at = UnixNanos(1);
        let mut push = |at: UnixNanos, json: String| records.push(Record { at, symbol: number, json });
        push(at, format!(r#"{{"type":"reference","symbol":"{symbol}","prev_close":100,"sigma_daily":0.01}}"#));
        push(
            at,
            format!(
                r#"{{"type":"shares","symbol":"{symbol}","session":"2025-01-03","shares_outstanding":{}}}"#,
                1000 * (number + 1)
            ),
        );
        let mut seq = 0;
        for session in sessions(3) {
            at = session.pre;
            let mut z = 0.0_f64;
            while at < session.end {
                let stride = if random.below(4) == 0 { 1500 } else { 400 };
                at = at.plus(i64::try_from(random.below(stride * 1000)).unwrap() * 1_000_000 + 1);
                z = if random.below(5) == 0 { 12.0 * random.unit() - 6.0 } else { 0.7 * z + random.gaussian() };
                let price = 100.0 * (z * 0.01).exp();
                push(at, format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{},"price":{price},"seq":{seq}}}"#, at.0));
                seq += 1;
            }
            if random.below(6) > 0 {
                // As exchanges send it: some time after the session.
                let late = session.end.plus(SEC * 60);
                push(late, close(symbol, &session.date.to_string(), 100.0 * (random.gaussian() * 0.03).exp()));
            }
        }
    }
    records.sort_by_key(|r| (r.at, r.symbol));
    records
}

/// The same market as feeds bring it: wild prints and jumps that are real, prints by id, odd lots and auctions,
/// bars, halts, price limits, cancels and corrections before and after their prints and after the close.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
pub(crate) fn disturbed(seed: u64) -> Vec<Record> {
    let mut random = Random(seed ^ 4);
    let mut records = Vec::new();
    for (number, symbol) in SYMBOLS.iter().enumerate() {
        let mut push = |at: UnixNanos, json: String| records.push(Record { at, symbol: number, json });
        push(
            UnixNanos(1),
            format!(r#"{{"type":"reference","symbol":"{symbol}","prev_close":100,"sigma_daily":0.01}}"#),
        );
        push(
            UnixNanos(1),
            format!(
                r#"{{"type":"shares","symbol":"{symbol}","session":"2025-01-03","shares_outstanding":{}}}"#,
                1000 * (number + 1)
            ),
        );
        let mut seq = 0_usize;
        let mut level = 0.0_f64;
        let mut is_halted = false;
        for session in sessions(3) {
            let mut at = if random.below(3) == 0 { session.open } else { session.pre };
            let mut is_closed = false;
            while at < session.end {
                at = at.plus(
                    if random.below(3) == 0 {
                        random.below(4_000) as i64 * SEC / 1000
                    } else {
                        random.below(600) as i64 * SEC
                    } + 1,
                );
                if at >= session.close.plus(SEC * 60) && !is_closed {
                    is_closed = true;
                    if random.below(6) > 0 {
                        push(at, close(symbol, &session.date.to_string(), 100.0 * (level * 0.01).exp()));
                        continue;
                    }
                }
                let ts = at.0;
                let which = random.below(100);
                let price = |z: f64| 100.0 * (z * 0.01).exp();
                let victim = seq.saturating_sub(random.below(12)) + random.below(3);
                match which {
                    0..=3 => push(at, format!(r#"{{"type":"cancel","symbol":"{symbol}","ts":{ts},"seq":{victim}}}"#)),
                    4..=5 => push(at, format!(r#"{{"type":"cancel","symbol":"{symbol}","ts":{ts},"id":"t{victim}"}}"#)),
                    6..=8 => {
                        let right = price(level + random.gaussian());
                        push(
                            at,
                            format!(
                                r#"{{"type":"correct","symbol":"{symbol}","ts":{ts},"seq":{victim},"price":{right}}}"#
                            ),
                        );
                    }
                    9..=10 => {
                        is_halted = !is_halted;
                        let kind = if is_halted { "halt" } else { "resume" };
                        push(at, format!(r#"{{"type":"{kind}","symbol":"{symbol}","ts":{ts}}}"#));
                    }
                    11 => {
                        let (lower, upper) = (price(level - 5.0), price(level + 5.0));
                        push(
                            at,
                            format!(
                                r#"{{"type":"limits","symbol":"{symbol}","ts":{ts},"lower":{lower},"upper":{upper}}}"#
                            ),
                        );
                    }
                    12..=14 => {
                        // Bars come within the bound on lateness, too.
                        let start = ts - 60 * SEC - random.below(5) as i64 * SEC;
                        let [open, close] = [price(level), price(level + random.gaussian())];
                        let (low, high) = (open.min(close) * 0.995, open.max(close) * 1.005);
                        push(
                            at,
                            format!(
                                r#"{{"type":"bar","symbol":"{symbol}","ts":{start},"interval":"1m","open":{open},"high":{high},"low":{low},"close":{close},"volume":500}}"#
                            ),
                        );
                    }
                    _ => {
                        let (mut z, mut rest) = (level + 0.3 * random.gaussian(), "");
                        match which {
                            15..=22 => z += 40.0 * (random.unit() - 0.5),
                            23..=26 => {
                                level = 14.0 * random.unit() - 7.0;
                                z = level;
                            }
                            27..=32 => rest = r#","tape":"A","cond":["I"],"size":5"#,
                            33..=35 => rest = r#","tape":"A","cond":["5"],"size":900"#,
                            36..=38 => rest = r#","tape":"A","cond":["Z"],"size":900"#,
                            39..=42 => rest = r#","tape":"C","cond":["@","T"],"size":900"#,
                            43..=54 => rest = r#","venue":"P","size":300"#,
                            55..=60 => rest = r#","venue":"Q","size":300"#,
                            _ => level *= 0.97,
                        }
                        // Some come out of order.
                        let behind = if random.below(10) == 0 { random.below(8) as i64 * SEC } else { 0 };
                        let name =
                            if random.below(4) == 0 { format!(r#""id":"t{seq}""#) } else { format!(r#""seq":{seq}"#) };
                        seq += 1;
                        let ts = (ts - behind).max(session.pre.0);
                        let price = price(z);
                        push(
                            at,
                            format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":{price},{name}{rest}}}"#),
                        );
                    }
                }
            }
        }
    }
    records.sort_by_key(|r| (r.at, r.symbol));
    records
}

/// The group of [`grouped`] with prices guarded as shipped.
pub(crate) fn guarded() -> Params {
    let shipped = params_as_shipped();
    Params { quarantine: shipped.quarantine, eligibility: shipped.eligibility, journal_max: 64, ..grouped() }
}

/// A group of four with low bounds, so that it speaks often.
pub(crate) fn grouped() -> Params {
    static PARAMS: OnceLock<Params> = OnceLock::new();
    let toml = r#"
[groups.mag7]
members = ["AAPL", "MSFT", "NVDA", "TSLA"]
[groups.mag7.levels]
watch = { basket_z = 2.0, rms_z = 1.5, members = 1, legs = 2 }
alert = { basket_z = 2.5, rms_z = 2.0, members = 2, legs = 2 }
critical = { basket_z = 3.0, rms_z = 2.5, members = 3, legs = 2 }
"#;
    PARAMS.get_or_init(|| params_with(toml)).clone()
}
