//! The shipped market days, and the paths simulated between their closes.

use crate::domain::{NANOS_PER_SEC, SessionDate};
use crate::estimators::{WINDOW, sample_sigma};
use crate::market::Session;
use std::collections::BTreeMap;
use std::fmt::Write;

const TOP50: &str = include_str!("../../../data/us_top50_daily_2024q4_2025q1.csv");
const SPY: &str = include_str!("../../../data/spy_daily_2024q4_2025q1.csv");
pub(super) const REFERENCE: &str = include_str!("../../../data/us_top50_reference.ndjson");

/// Splits between the shipped closes; the reference records say the same.
const SPLITS: [(&str, &str, f64); 1] = [("ANET", "2024-12-04", 4.0)];
/// Spacing of simulated ticks of one symbol.
const TICK_SECS: i64 = 60;
/// Seed of every path; a path depends on it, its symbol and its session alone.
const SEED: u64 = 20_250_127;

/// One symbol's close of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayClose {
    pub(super) close: f64,
    pub(super) shares: Option<f64>,
}

/// Closes by session and symbol.
pub(super) struct Days {
    closes: BTreeMap<SessionDate, BTreeMap<String, DayClose>>,
    first_played: SessionDate,
}

/// A simulated trade.
#[derive(Clone, Debug)]
pub(super) struct SimulatedTick {
    pub(super) ts: i64,
    pub(super) symbol: String,
    pub(super) price: f64,
}

impl Days {
    /// The shipped days; those from `first_played` on are played, the others are history.
    pub(super) fn shipped(first_played: &str) -> Result<Self, String> {
        let mut closes: BTreeMap<SessionDate, BTreeMap<String, DayClose>> = BTreeMap::new();
        // Columns of date, symbol, close and market value.
        let tables = [(TOP50, [0, 1, 2], Some(5)), (SPY, [0, 1, 5], None)];
        for (text, columns, value) in tables {
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split(',').collect();
                let bad = || format!("shipped day {line:?} cannot be read");
                let [date, symbol, close] = columns.map(|c| fields.get(c).copied().unwrap_or_default());
                let session: SessionDate = date.parse().map_err(|()| bad())?;
                let close: f64 = close.parse().map_err(|_| bad())?;
                let shares =
                    value.and_then(|c| fields.get(c)?.parse::<f64>().ok()).map(|v| v / close).filter(|s| *s >= 1.0);
                // The index is shown where the companies have a day.
                if value.is_some() || closes.contains_key(&session) {
                    closes.entry(session).or_default().insert(symbol.to_owned(), DayClose { close, shares });
                }
            }
        }
        let first_played = first_played.parse().map_err(|()| "first day played is no date".to_owned())?;
        Ok(Self { closes, first_played })
    }

    /// Sessions that are played, in order.
    pub(super) fn played(&self) -> Vec<SessionDate> {
        self.closes.range(self.first_played..).map(|(s, _)| *s).collect()
    }

    /// Closes of a session.
    pub(super) fn closes(&self, session: SessionDate) -> impl Iterator<Item = (&String, &DayClose)> {
        self.closes.get(&session).into_iter().flatten()
    }

    /// The days before, as a daily history.
    pub(super) fn history_csv(&self) -> String {
        let mut text = "session,symbol,close,market_cap\n".to_owned();
        for (session, closes) in self.closes.range(..self.first_played) {
            for (symbol, day) in closes {
                let value = day.shares.map_or_else(String::new, |s| format!("{:.0}", s * day.close));
                let _ = writeln!(text, "{session},{symbol},{},{value}", day.close);
            }
        }
        text
    }

    /// Simulated trades of a session, in order of time: for each symbol a Brownian bridge in the logarithm
    /// of the price, from the close before to the close of the day, as wide as its trailing volatility.
    pub(super) fn paths(&self, session: &Session) -> Vec<SimulatedTick> {
        let Some((_, before)) = self.closes.range(..session.date).next_back() else { return Vec::new() };
        let mut ticks = Vec::new();
        for (symbol, day) in self.closes(session.date) {
            let Some(previous) = before.get(symbol) else { continue };
            let from = (previous.close / split_ratio(symbol, session.date)).ln();
            let sigma = self.sigma(symbol, session.date).unwrap_or(0.015);
            let mut noise = Noise::new(symbol, session.date);
            let seconds = session.close.since(session.open) / NANOS_PER_SEC;
            let steps = usize::try_from(seconds / TICK_SECS).unwrap_or(0);
            let walk: Vec<f64> = (0..=steps)
                .scan(0.0, |at, _| {
                    *at += noise.normal() / (steps as f64).sqrt();
                    Some(*at)
                })
                .collect();
            let end = walk.last().copied().unwrap_or(0.0);
            for (step, at) in walk.iter().enumerate().take(steps) {
                let t = step as f64 / steps as f64;
                let log = from + (day.close.ln() - from) * t + sigma * (at - end * t);
                let offset = noise.below(55 * NANOS_PER_SEC.unsigned_abs());
                let ts = session.open.0 + i64::try_from(step).unwrap_or(0) * TICK_SECS * NANOS_PER_SEC;
                let price = (log.exp() * 100.0).round().max(1.0) / 100.0;
                ticks.push(SimulatedTick { ts: ts.saturating_add_unsigned(offset), symbol: symbol.clone(), price });
            }
        }
        ticks.sort_by(|a, b| (a.ts, &a.symbol).cmp(&(b.ts, &b.symbol)));
        ticks
    }

    fn sigma(&self, symbol: &str, session: SessionDate) -> Option<f64> {
        let past = self.closes.range(..session).rev().take(WINDOW + 1);
        let closes: Vec<(SessionDate, f64)> = past.filter_map(|(s, c)| Some((*s, c.get(symbol)?.close))).collect();
        let returns: Vec<f64> =
            closes.windows(2).map(|w| (w[0].1 * split_ratio(symbol, w[0].0) / w[1].1).ln()).collect();
        sample_sigma(&returns)
    }
}

fn split_ratio(symbol: &str, session: SessionDate) -> f64 {
    let split = SPLITS.iter().find(|(s, day, _)| *s == symbol && *day == session.to_string());
    split.map_or(1.0, |(_, _, ratio)| *ratio)
}

/// `SplitMix64`: small, seeded, and the same everywhere.
struct Noise(u64);

impl Noise {
    fn new(symbol: &str, session: SessionDate) -> Self {
        let mut seed = SEED ^ u64::from(session.days().unsigned_abs());
        for byte in symbol.bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Sum of twelve uniform numbers less six: mean 0, variance 1, near enough to normal for a picture.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_overlay;
    use crate::market::Calendar;

    #[test]
    fn paths_run_from_close_to_close_and_repeat() {
        let days = Days::shipped("2025-01-24").unwrap();
        let calendar = Calendar::xnys(&read_overlay(None).unwrap()).unwrap();
        let session = calendar.session("2025-01-27".parse().unwrap()).unwrap();
        let ticks = days.paths(session);
        let nvda: Vec<&SimulatedTick> = ticks.iter().filter(|t| t.symbol == "NVDA").collect();
        assert_eq!(nvda.len(), 390);
        assert!((nvda[0].price / 142.62 - 1.0).abs() < 0.02, "{:?}", nvda[0]);
        assert!((nvda[389].price / 118.42 - 1.0).abs() < 0.02, "{:?}", nvda[389]);
        assert!(ticks.iter().all(|t| t.ts >= session.open.0 && t.ts < session.close.0));
        let again = days.paths(session);
        assert!(ticks.iter().zip(&again).all(|(a, b)| a.price.to_bits() == b.price.to_bits() && a.ts == b.ts));
    }
}
