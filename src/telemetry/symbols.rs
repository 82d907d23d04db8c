//! Series of single symbols: which have them, and their text.
//!
//! They have a path of their own, since there may be many: they are written by the thread that is asked for them, out of
//! readings that lanes leave every few seconds.

use super::register::Register;
use crate::config::SymbolPolicy;
use crate::domain::Symbol;
use crate::engine::SymbolReading;
use prometheus::{IntCounterVec, IntGauge};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Name and help of each series of a symbol.
const SERIES: [(&str, &str); 3] = [
    ("fragility_symbol_z_sigmas", "Move of the session in daily sigmas; NaN where not known."),
    ("fragility_symbol_sigma_daily_ratio", "Daily volatility before the session; NaN where not known."),
    ("fragility_symbol_tier", "Tier held, 0 for none."),
];

/// The series of symbols.
pub struct SymbolSeries {
    policy: SymbolPolicy,
    /// At most so many symbols, whatever the policy.
    max: usize,
    /// Those shown last.
    shown: Mutex<BTreeSet<Symbol>>,
    count: IntGauge,
    dropped: IntCounterVec,
}

impl SymbolSeries {
    pub(super) fn new(r: &Register<'_>, policy: SymbolPolicy, max: usize) -> prometheus::Result<Self> {
        for (name, help) in SERIES {
            r.note("gauge", name, help, &["symbol"]);
        }
        let count = r.gauge("fragility_symbol_series", "Symbols with series of their own, when last asked for.")?;
        let dropped = r.counters(
            "fragility_symbol_series_dropped_total",
            "Symbols that lost their series as others moved more (rank), or had none for want of room (cap), counted at each reading.",
            &["reason"],
        )?;
        for reason in ["cap", "rank"] {
            dropped.with_label_values(&[reason]);
        }
        Ok(Self { policy, max, shown: Mutex::default(), count, dropped })
    }

    /// The readings that a lane has to leave.
    pub fn wanted(&self) -> &SymbolPolicy {
        &self.policy
    }

    /// How many of them at most.
    pub fn wanted_max(&self) -> usize {
        match self.policy {
            SymbolPolicy::TopK(k) => 2 * k,
            // One more tells that there are more.
            _ => self.max + 1,
        }
    }

    /// The text of all series, out of what the lanes left.
    pub fn text(&self, lanes: &[Arc<[SymbolReading]>]) -> String {
        let mut all: BTreeMap<&Symbol, &SymbolReading> = BTreeMap::new();
        for reading in lanes.iter().flat_map(|lane| lane.iter()) {
            // Of a symbol that two lanes know, the one that has prices tells.
            let known = all.entry(&reading.symbol).or_insert(reading);
            if known.z.is_none() {
                *known = reading;
            }
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (selected, [cap, rank]) = self.select(all.into_values().collect(), &shown);
        self.dropped.with_label_values(&["cap"]).inc_by(cap);
        self.dropped.with_label_values(&["rank"]).inc_by(rank);
        self.count.set(i64::try_from(selected.len()).unwrap_or(i64::MAX));
        *shown = selected.iter().map(|r| r.symbol.clone()).collect();
        drop(shown);
        render(&selected)
    }

    /// Those that are shown, and how many were dropped for want of room and by their rank.
    fn select<'a>(
        &self,
        mut all: Vec<&'a SymbolReading>,
        shown: &BTreeSet<Symbol>,
    ) -> (Vec<&'a SymbolReading>, [u64; 2]) {
        let mut rank = 0;
        match &self.policy {
            SymbolPolicy::Off => all.clear(),
            SymbolPolicy::All => {}
            SymbolPolicy::Watchlist(list) => all.retain(|r| list.contains(&r.symbol)),
            SymbolPolicy::TopK(k) => {
                all.retain(|r| r.z.is_some());
                let size = |r: &SymbolReading| r.z.map_or(0.0, f64::abs);
                all.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| a.symbol.cmp(&b.symbol)));
                all.truncate(2 * k);
                let mut place = 0;
                all.retain(|r| {
                    place += 1;
                    place <= *k || shown.contains(&r.symbol)
                });
                let stays: BTreeSet<&Symbol> = all.iter().map(|r| &r.symbol).collect();
                rank = shown.iter().filter(|symbol| !stays.contains(symbol)).count() as u64;
            }
        }
        // Who has series keeps them.
        all.sort_by_key(|r| !shown.contains(&r.symbol));
        let cap = all.len().saturating_sub(self.max) as u64;
        all.truncate(self.max);
        (all, [cap, rank])
    }
}

fn render(readings: &[&SymbolReading]) -> String {
    let mut text = String::with_capacity(256 + readings.len() * 180);
    let values: [fn(&SymbolReading) -> Option<f64>; 3] = [|r| r.z, |r| r.sigma_daily, |r| Some(r.tier)];
    for ((name, help), value) in SERIES.into_iter().zip(values) {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for reading in readings {
            let symbol = reading.symbol.as_str();
            let _ = if symbol.contains(['\\', '"']) {
                writeln!(text, "{name}{{symbol={symbol:?}}} {}", value(reading).unwrap_or(f64::NAN))
            } else {
                writeln!(text, "{name}{{symbol=\"{symbol}\"}} {}", value(reading).unwrap_or(f64::NAN))
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;

    fn series(policy: SymbolPolicy, max: usize) -> SymbolSeries {
        SymbolSeries::new(&Register::new(&Registry::new()), policy, max).unwrap()
    }

    fn symbol(name: &str) -> Symbol {
        Symbol::new(name).unwrap()
    }

    fn readings(of: &[(&str, Option<f64>)]) -> Vec<Arc<[SymbolReading]>> {
        let one = |(name, z): &(&str, Option<f64>)| SymbolReading {
            symbol: symbol(name),
            z: *z,
            sigma_daily: Some(0.02),
            tier: 0.0,
        };
        vec![of.iter().map(one).collect()]
    }

    fn names(text: &str) -> Vec<&str> {
        let z = text.lines().filter(|l| l.starts_with("fragility_symbol_z_sigmas{"));
        z.map(|l| l.split('"').nth(1).unwrap()).collect()
    }

    #[test]
    fn one_that_was_shown_stays_while_it_is_near() {
        let top = series(SymbolPolicy::TopK(2), 100);
        let dropped = |reason: &str| top.dropped.with_label_values(&[reason]).get();
        let of = |a, b, c| top.text(&readings(&[("A", Some(a)), ("B", Some(b)), ("C", Some(c)), ("N", None)]));
        assert_eq!(names(&of(-5.0, 4.0, 1.0)), ["A", "B"]);
        // B is third now, and stays; C is told with it.
        assert_eq!(names(&of(-5.0, 2.0, 3.0)).len(), 3);
        assert_eq!((dropped("rank"), top.count.get()), (0, 3));
        let far = [("A", 9.0), ("D", 8.0), ("E", 7.0), ("F", 6.0), ("B", 1.0)].map(|(n, z)| (n, Some(z)));
        assert_eq!(names(&top.text(&readings(&far))), ["A", "D"]);
        assert_eq!((dropped("rank"), dropped("cap")), (2, 0));
    }

    #[test]
    fn the_cap_holds_and_is_counted() {
        let all = series(SymbolPolicy::All, 2);
        assert_eq!(names(&all.text(&readings(&[("B", None), ("C", Some(1.0))]))), ["B", "C"]);
        let text = all.text(&readings(&[("A", Some(7.0)), ("B", None), ("C", Some(1.0))]));
        assert_eq!(names(&text), ["B", "C"], "who has series keeps them");
        assert!(text.contains("fragility_symbol_z_sigmas{symbol=\"B\"} NaN\n"), "{text}");
        assert_eq!(all.dropped.with_label_values(&["cap"]).get(), 1);
    }

    #[test]
    fn a_list_and_nothing_at_all() {
        let list = series(SymbolPolicy::Watchlist([symbol("C"), symbol("Z")].into()), 10);
        let given = readings(&[("B", Some(2.0)), ("C", Some(1.0))]);
        assert_eq!(names(&list.text(&given)), ["C"]);
        let off = series(SymbolPolicy::Off, 10).text(&given);
        assert!(names(&off).is_empty() && off.starts_with("# HELP fragility_symbol_z_sigmas "));
        // Two lanes know of C, one of them its history alone.
        let twice = [readings(&[("C", None)]), given].concat();
        assert!(list.text(&twice).contains("fragility_symbol_z_sigmas{symbol=\"C\"} 1\n"));
        let odd = series(SymbolPolicy::All, 10).text(&readings(&[("A\"\\B", Some(1.0))]));
        assert!(odd.contains(r#"{symbol="A\"\\B"} 1"#), "{odd}");
    }
}
