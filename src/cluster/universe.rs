//! Breadth and dispersion over a universe of securities.

use super::reading::MemberReading;
use crate::domain::{self, Unknown};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many of a number of securities break, and how far.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tally {
    /// Securities.
    pub count: u32,
    /// Of them those with a known multiple.
    pub valid: u32,
    /// Of these those at or beyond the first tier, rising.
    pub up: u32,
    /// Falling.
    pub down: u32,
    /// Sum of the absolute multiples of those that break.
    pub abs_z_sum: f64,
}

impl Tally {
    fn add(&mut self, z: domain::Reading, breach_at: f64) {
        self.count += 1;
        let Ok(z) = z else { return };
        self.valid += 1;
        self.up += u32::from(z >= breach_at);
        self.down += u32::from(z <= -breach_at);
        if z.abs() >= breach_at {
            self.abs_z_sum += z.abs();
        }
    }

    /// Securities that break.
    pub fn events(&self) -> u32 {
        self.up + self.down
    }

    /// `(up + down) / valid`; `None` where nothing is valid.
    pub fn ratio(&self) -> Option<f64> {
        (self.valid > 0).then(|| f64::from(self.events()) / f64::from(self.valid))
    }
}

/// A universe at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct UniverseReading {
    /// The securities, by symbol; share classes apart.
    pub lines: Vec<MemberReading>,
    /// All of them together.
    pub tally: Tally,
    /// By sector, where records name one.
    pub sectors: BTreeMap<Arc<str>, Tally>,
    /// `(up + down) / valid`, where enough of them are valid.
    pub breadth: domain::Reading,
    /// `sqrt(sum w (s - sum w s)^2)` over simple returns `s`, weights by market value.
    pub dispersion: domain::Reading,
}

/// The `largest` of some lines by market value before the session, ties by symbol; all where no number is asked for.
pub(crate) fn largest_of(lines: Vec<MemberReading>, largest: Option<usize>) -> Vec<MemberReading> {
    let Some(largest) = largest else { return lines };
    let mut sized: Vec<(f64, MemberReading)> = lines.into_iter().filter_map(|l| Some((l.market_value?, l))).collect();
    sized.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.symbol.cmp(&y.symbol)));
    sized.truncate(largest);
    let mut chosen: Vec<MemberReading> = sized.into_iter().map(|(_, line)| line).collect();
    chosen.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    chosen
}

/// Reads a universe off its lines, in the order given.
///
/// Below `coverage_min` of valid securities, or of value with a known return, breadth or dispersion is not known.
pub(crate) fn read_universe(
    lines: Vec<MemberReading>,
    sector_of: impl Fn(&MemberReading) -> Option<Arc<str>>,
    breach_at: f64,
    coverage_min: f64,
) -> UniverseReading {
    let mut tally = Tally::default();
    let mut sectors: BTreeMap<Arc<str>, Tally> = BTreeMap::new();
    for line in &lines {
        tally.add(line.z, breach_at);
        if let Some(sector) = sector_of(line) {
            sectors.entry(sector).or_default().add(line.z, breach_at);
        }
    }
    let breadth = match tally.ratio() {
        None => Err(Unknown::NoMember),
        Some(_) if f64::from(tally.valid) < coverage_min * f64::from(tally.count) => Err(Unknown::Coverage),
        Some(ratio) => Ok(ratio),
    };
    let dispersion = dispersion(&lines, coverage_min);
    UniverseReading { lines, tally, sectors, breadth, dispersion }
}

fn dispersion(lines: &[MemberReading], coverage_min: f64) -> domain::Reading {
    // Who has no value has no weight; where nobody has, nothing is known.
    let total: f64 = lines.iter().filter_map(|l| l.market_value).sum();
    let known = || lines.iter().filter_map(|l| Some((l.market_value?, l.log_return.ok()?.exp_m1())));
    let weight: f64 = known().map(|(value, _)| value).sum();
    if total <= 0.0 {
        return Err(Unknown::NoWeights);
    }
    if weight <= 0.0 || weight < coverage_min * total {
        return Err(Unknown::Coverage);
    }
    let mean: f64 = known().map(|(value, s)| value / weight * s).sum();
    let variance: f64 = known().map(|(value, s)| value / weight * (s - mean) * (s - mean)).sum();
    Ok(variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Symbol, UnixNanos};

    fn line(symbol: &str, value: Option<f64>, simple: Option<f64>, z: Option<f64>) -> MemberReading {
        let reading = |number: Option<f64>| number.ok_or(Unknown::NotYet);
        MemberReading {
            symbol: Symbol::new(symbol).unwrap(),
            log_return: reading(simple.map(f64::ln_1p)),
            z: reading(z),
            market_value: value,
            shares: None,
            basis: None,
            breached_at: None,
            source: None,
            fresh_until: UnixNanos::MAX,
        }
    }

    #[test]
    fn the_dispersion_of_three_by_hand() {
        let lines = vec![
            line("A", Some(5.0), Some(-0.17), Some(-6.0)),
            line("B", Some(3.0), Some(0.02), Some(3.0)),
            line("C", Some(2.0), Some(0.03), Some(2.9)),
        ];
        let read = read_universe(lines, |_| None, 3.0, 0.8);
        assert!((read.dispersion.unwrap() - 0.097_061_835_960_4).abs() < 1e-12);
        let t = read.tally;
        assert_eq!((t.count, t.valid, t.up, t.down, t.abs_z_sum), (3, 3, 1, 1, 9.0));
        assert_eq!(read.breadth, Ok(2.0 / 3.0));
    }

    #[test]
    fn the_largest_by_value_ties_by_symbol() {
        let lines = vec![
            line("A", Some(1.0), None, None),
            line("B", None, None, None),
            line("C", Some(2.0), None, None),
            line("D", Some(1.0), None, None),
        ];
        let names = |n: Option<usize>| -> Vec<String> {
            largest_of(lines.clone(), n).iter().map(|l| l.symbol.to_string()).collect()
        };
        assert_eq!(names(Some(2)), ["A", "C"]);
        assert_eq!(names(Some(9)), ["A", "C", "D"], "one without a value has no place");
        assert_eq!(names(None), ["A", "B", "C", "D"]);
    }

    #[test]
    fn too_little_known_is_unknown() {
        let lines = vec![line("A", Some(5.0), Some(0.1), Some(4.0)), line("B", Some(5.0), None, None)];
        let read = read_universe(lines, |_| None, 3.0, 0.8);
        assert_eq!((read.breadth, read.dispersion), (Err(Unknown::Coverage), Err(Unknown::Coverage)));
        let none = read_universe(Vec::new(), |_| None, 3.0, 0.8);
        assert_eq!((none.breadth, none.dispersion), (Err(Unknown::NoMember), Err(Unknown::NoWeights)));
    }
}
