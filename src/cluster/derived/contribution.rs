//! Who moved the index in a session.

use super::without;
use crate::cluster::reading::MemberReading;
use crate::domain::{self, SessionDate, Symbol, Unknown};

/// What one line adds to the index.
#[derive(Clone, PartialEq, Debug)]
pub struct ContributionLine {
    /// Which.
    pub symbol: Symbol,
    /// Its share of the index's market value before the session.
    pub weight: domain::Reading,
    /// `weight (exp(r) - 1)`: what it adds to the simple return of the index.
    pub contribution: domain::Reading,
    /// Its part of the sum of all. Where signs are mixed it says little, and may be beyond 1: tell basis points beside it.
    pub share: domain::Reading,
}

/// What some members add together, and what the index would have done without them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClusterShare {
    /// Lines of theirs.
    pub lines: usize,
    /// Their share of the index's market value before the session.
    pub weight: domain::Reading,
    /// Sum of their contributions.
    pub contribution: domain::Reading,
    /// `(r_I - contribution) / (1 - weight)`, of the benchmark's simple return.
    pub index_without: domain::Reading,
}

/// Contributions of lines to the simple return of an index in one session.
///
/// `c_i = w_i (exp(r_i) - 1)` with `w_i` the line's market value before the session over that of the index. With all lines
/// of an index whose divisor stands still, `sum c_i` is its simple return. The residual is what the benchmark did beyond the
/// lines known: lines that are missing, weights by full market value in place of free float, dividends in one and not
/// the other. It is told, not spread.
///
/// Everything is unknown (`COVERAGE`) where lines with a known return are less than `coverage_min` of the index.
/// Source: S&P Dow Jones Indices, Index mathematics methodology. Oracle: pandas, `tests/golden/derived.py`.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexContributions {
    /// The session.
    pub as_of: SessionDate,
    /// Lines in the order given.
    pub lines: Vec<ContributionLine>,
    /// Market value of the lines with a known return over that of the index.
    pub coverage: domain::Reading,
    /// Sum of the contributions known.
    pub sum: domain::Reading,
    /// The benchmark's simple return.
    pub benchmark: domain::Reading,
    /// `benchmark - sum`.
    pub residual: domain::Reading,
    /// Herfindahl-Hirschman index of the absolute contributions, `sum (|c_i| / sum |c|)^2`: 1/n when n lines add the same,
    /// 1 when one does all.
    pub concentration: domain::Reading,
}

/// A market value that can weigh.
fn value_of(line: &MemberReading) -> Option<f64> {
    line.market_value.filter(|v| v.is_finite() && *v >= 0.0)
}

impl IndexContributions {
    /// Reads the contributions of `lines`.
    ///
    /// `benchmark` is its log return of the session, `index_value` the market value of the whole index before it; without
    /// one the lines are taken for the whole index, and one without a market value leaves all weights unknown.
    pub fn read(
        as_of: SessionDate,
        lines: &[MemberReading],
        benchmark: domain::Reading,
        index_value: Option<f64>,
        coverage_min: f64,
    ) -> Self {
        let total = total_value(lines, index_value);
        let told = lines.iter().filter(|m| m.log_return.is_ok()).filter_map(value_of);
        // A sum of nothing is -0.
        let covered = told.sum::<f64>() + 0.0;
        let coverage = total.map(|total| covered / total);
        let usable = coverage.and_then(|share| {
            let is_enough = share >= coverage_min && covered > 0.0;
            if is_enough { total } else { Err(Unknown::Coverage) }
        });
        let mut found: Vec<ContributionLine> = lines.iter().map(|line| contribution(line, total, usable)).collect();
        let known = || found.iter().filter_map(|l| l.contribution.ok());
        let sum = usable.map(|_| known().sum::<f64>());
        let sizes: f64 = known().map(f64::abs).sum();
        let concentration = usable.and_then(|_| {
            let squares = known().map(|c| (c / sizes) * (c / sizes)).sum();
            if sizes > 0.0 { Ok(squares) } else { Err(Unknown::InsufficientVariance) }
        });
        for line in &mut found {
            let part = |c: f64, sum: f64| if sum == 0.0 { Err(Unknown::InsufficientVariance) } else { Ok(c / sum) };
            line.share = line.contribution.and_then(|c| part(c, sum?));
        }
        let benchmark = benchmark.map(f64::exp_m1);
        let residual = sum.and_then(|sum| Ok(benchmark? - sum));
        Self { as_of, lines: found, coverage, sum, benchmark, residual, concentration }
    }

    /// What the lines of a cluster add together; unknown with the reason of the first of them that is.
    pub fn of(&self, is_member: impl Fn(&Symbol) -> bool) -> ClusterShare {
        let members = || self.lines.iter().filter(|l| is_member(&l.symbol));
        let lines = members().count();
        let of_some = |sum: domain::Reading| if lines > 0 { sum } else { Err(Unknown::NoMember) };
        let weight = of_some(members().map(|l| l.weight).sum());
        let contribution = of_some(members().map(|l| l.contribution).sum());
        ClusterShare { lines, weight, contribution, index_without: without(self.benchmark, contribution, weight) }
    }
}

/// Market value of the index.
fn total_value(lines: &[MemberReading], index_value: Option<f64>) -> domain::Reading {
    let of_lines: f64 = lines.iter().filter_map(value_of).sum();
    let total = match index_value {
        // Lines that are more than the index are of another one.
        Some(value) => (value >= of_lines).then_some(value),
        None => lines.iter().all(|l| value_of(l).is_some()).then_some(of_lines),
    };
    match total {
        Some(total) if total > 0.0 && total.is_finite() => Ok(total),
        Some(_) => Err(Unknown::NoMember),
        None => Err(Unknown::NoWeights),
    }
}

fn contribution(line: &MemberReading, total: domain::Reading, usable: domain::Reading) -> ContributionLine {
    let weigh = |total: f64| value_of(line).map(|value| value / total).ok_or(Unknown::NoWeights);
    let contribution = usable.and_then(|total| Ok(weigh(total)? * line.log_return?.exp_m1()));
    ContributionLine {
        symbol: line.symbol.clone(),
        weight: total.and_then(weigh),
        contribution,
        share: Err(Unknown::NotComputed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, log_return: domain::Reading, market_value: Option<f64>) -> MemberReading {
        MemberReading { log_return, ..MemberReading::not_yet(Symbol::new(name).unwrap(), market_value) }
    }

    fn day() -> SessionDate {
        SessionDate::from_days(20_000).unwrap()
    }

    fn read(lines: &[MemberReading], index_value: Option<f64>) -> IndexContributions {
        IndexContributions::read(day(), lines, Ok(-0.01), index_value, 0.8)
    }

    #[test]
    fn three_lines_by_hand() {
        let lines = [
            line("A", Ok(0.9_f64.ln()), Some(50.0)),
            line("B", Ok(1.1_f64.ln()), Some(30.0)),
            line("C", Ok(0.0), Some(20.0)),
        ];
        let read = read(&lines, None);
        let near = |reading: domain::Reading, expected: f64| {
            assert!((reading.unwrap() - expected).abs() < 1e-14, "{reading:?} {expected}");
        };
        near(read.lines[0].contribution, -0.05);
        near(read.lines[1].contribution, 0.03);
        near(read.sum, -0.02);
        near(read.residual, (-0.01_f64).exp_m1() + 0.02);
        near(read.concentration, (25.0 + 9.0) / 64.0);
        near(read.lines[0].share, 2.5);
        let of = read.of(|s| s.as_str() == "A");
        near(of.weight, 0.5);
        near(of.index_without, ((-0.01_f64).exp_m1() + 0.05) / 0.5);
        assert_eq!(read.of(|_| true).index_without, Err(Unknown::NoMember), "nothing is left");
        assert_eq!(read.of(|_| false).weight, Err(Unknown::NoMember));
    }

    #[test]
    fn a_part_of_an_index_weighs_as_a_part() {
        let lines = [line("A", Ok(0.9_f64.ln()), Some(90.0))];
        let found = read(&lines, Some(100.0));
        assert!((found.sum.unwrap() + 0.09).abs() < 1e-15);
        assert!((found.coverage.unwrap() - 0.9).abs() < 1e-15);
        assert_eq!(read(&lines, Some(120.0)).sum, Err(Unknown::Coverage));
        assert_eq!(read(&lines, Some(80.0)).sum, Err(Unknown::NoWeights), "more than the index");
    }

    #[test]
    fn what_is_not_known_has_its_reason() {
        let moved = line("A", Ok(0.01), Some(90.0));
        let silent = line("B", Err(Unknown::Stale), Some(10.0));
        let some = read(&[moved.clone(), silent.clone()], None);
        assert_eq!(some.lines[1].contribution, Err(Unknown::Stale));
        assert!((some.coverage.unwrap() - 0.9).abs() < 1e-15 && some.sum.is_ok());
        assert_eq!(some.of(|s| s.as_str() == "B").contribution, Err(Unknown::Stale));
        let short = read(&[moved.clone(), MemberReading { market_value: Some(40.0), ..silent }], None);
        assert!(short.coverage.is_ok());
        for unknown in [short.sum, short.residual, short.concentration, short.lines[0].contribution] {
            assert_eq!(unknown, Err(Unknown::Coverage));
        }
        let unweighted = read(&[moved, line("B", Ok(0.01), None)], None);
        assert_eq!(unweighted.coverage, Err(Unknown::NoWeights));
        assert_eq!(unweighted.lines[0].contribution, Err(Unknown::NoWeights));
        assert_eq!(read(&[], None).coverage, Err(Unknown::NoMember));
        let still = read(&[line("A", Ok(0.0), Some(1.0))], None);
        assert_eq!((still.concentration, still.lines[0].share), {
            let flat = Err(Unknown::InsufficientVariance);
            (flat, flat)
        });
        let blind = IndexContributions::read(day(), &[line("A", Ok(0.0), Some(1.0))], Err(Unknown::NoClose), None, 0.8);
        assert_eq!((blind.residual, blind.sum), (Err(Unknown::NoClose), Ok(0.0)));
    }
}
