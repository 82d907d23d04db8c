//! What lies beneath an index: how its members move together, and whether a quiet index covers loud stocks.

use super::legs::{DayRow, Past};
use super::panel::{Panel, Sample};
use super::reading::Rank;
use crate::domain::{self, LegRank, SessionDate, Symbol, Unknown};
use crate::estimators::{ASSETS_MAX, absorption_ratio, implied_correlation, mean_pairwise_correlation, sample_sigma};
use std::sync::Arc;

/// Sessions that volatilities are measured over: a month and a quarter.
const WINDOWS: [usize; 2] = [21, 63];
/// Sessions of the mean pairwise correlation, and of the index's path.
const QUARTER: usize = WINDOWS[1];
/// Sessions of the absorption ratio, at least and at most.
const ABSORBED: [usize; 2] = [63, 252];
/// Of so many members one component counts as leading.
const MEMBERS_A_COMPONENT: usize = 5;
/// Sessions of the near and the far mean of the absorption ratio.
const SHIFT: [usize; 2] = [15, 252];
/// A surface is calm with the index at or below the first percentile and the stocks at or above the second, or with
/// their ratio at or above the third.
const CALM: [f64; 3] = [0.25, 0.50, 0.90];

/// Measures that are compared with their own past: of each window the volatility of the index, of the stocks and
/// their ratio, and the absorption ratio.
pub(super) const MEASURES: usize = 3 * WINDOWS.len() + 1;
const ABSORPTION: usize = MEASURES - 1;
pub(super) type SurfacePast = Past<MEASURES>;

/// An index and the stocks beneath it over one window of sessions, the last one included.
#[derive(Clone, PartialEq, Debug)]
pub struct SurfaceWindow {
    /// Its sessions.
    pub sessions: usize,
    /// Sample sigma of the index's daily log returns.
    pub index_sigma: domain::Reading,
    /// Mean of the members' sample sigmas, weighted by market value before the last session.
    pub stock_sigma: domain::Reading,
    /// Stock sigma over index sigma.
    pub ratio: domain::Reading,
    /// The one correlation at which members of these sigmas make that of the index; outside of -1 to 1 it is not
    /// made of them alone.
    pub implied_correlation: domain::Reading,
    /// Where index sigma, stock sigma and ratio stand in their own past.
    pub ranks: [Rank; 3],
    /// Whether a quiet index covers loud stocks: index sigma at or below its 25th percentile and stock sigma at or above
    /// its 50th, or the ratio at or above its 90th.
    pub is_calm: Result<bool, Unknown>,
}

/// The way of an index over a quarter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PathView {
    /// Log return from first to last.
    pub net: f64,
    /// Its size over the sum of the daily sizes, 0 to 1; `None` where nothing moved.
    pub efficiency: Option<f64>,
    /// Highest close over the lowest, less 1.
    pub range: f64,
    /// How far the last close lies below the highest, 0 to 1.
    pub below_high: f64,
}

/// A group's surface as of the close of a session.
#[derive(Clone, PartialEq, Debug)]
pub struct SurfaceView {
    /// The index.
    pub benchmark: Symbol,
    /// Session.
    pub session: SessionDate,
    /// Whether the index has a return in it.
    pub has_index: bool,
    /// Volatilities over 21 and 63 sessions.
    pub windows: [SurfaceWindow; WINDOWS.len()],
    /// Mean correlation of every pair of members over 63 sessions.
    pub mean_correlation: domain::Reading,
    /// Share of the members' variance in their leading components, one for every five members, over 63 to 252 sessions.
    pub absorption_ratio: domain::Reading,
    /// Mean of that over 15 sessions less that over 252, in sigmas of the latter.
    pub absorption_shift: domain::Reading,
    /// Where the absorption ratio stands in its own past.
    pub absorption_rank: Rank,
    /// The way of the index over 63 sessions.
    pub path: Result<PathView, Unknown>,
}

impl SurfaceView {
    /// What later sessions are compared with.
    pub(super) fn row(&self) -> DayRow<MEASURES> {
        let mut values = [None; MEASURES];
        for (at, window) in self.windows.iter().enumerate() {
            for (place, reading) in [window.index_sigma, window.stock_sigma, window.ratio].into_iter().enumerate() {
                values[3 * at + place] = reading.ok();
            }
        }
        values[ABSORPTION] = self.absorption_ratio.ok();
        DayRow { session: self.session, values }
    }
}

/// Reads the surface as of the newest session that a panel keeps; `None` without any.
pub(super) fn read_surface(
    panel: &Panel,
    past: &mut SurfacePast,
    benchmark: &Symbol,
    coverage_min: f64,
) -> Option<SurfaceView> {
    let session = panel.newest()?;
    past.look_from(session);
    let rank = |measure: usize, value: domain::Reading| past.rank(measure, value?).ok_or(Unknown::ShortHistory);
    let windows = std::array::from_fn(|at| {
        let sample = panel.sample(WINDOWS[at], WINDOWS[at], coverage_min);
        let index = panel.series(benchmark.as_str(), WINDOWS[at]);
        read_window(WINDOWS[at], sample, index, |place, value| rank(3 * at + place, value))
    });
    let quarter = panel.sample(QUARTER, QUARTER, coverage_min);
    let correlation =
        |s: Sample| mean_pairwise_correlation(s.weights.len(), &s.rows).ok_or(Unknown::InsufficientVariance);
    let absorption_ratio = panel.sample(ABSORBED[0], ABSORBED[1], coverage_min).and_then(|s| absorption(&s));
    Some(SurfaceView {
        benchmark: benchmark.clone(),
        session,
        has_index: panel.series(benchmark.as_str(), 1).is_ok(),
        windows,
        mean_correlation: quarter.and_then(correlation),
        absorption_ratio,
        absorption_shift: absorption_ratio.and_then(|now| shift(past.own(), session, now)),
        absorption_rank: rank(ABSORPTION, absorption_ratio),
        path: panel.series(benchmark.as_str(), QUARTER).map(|r| path(&r)),
    })
}

fn read_window(
    sessions: usize,
    sample: Result<Sample, Unknown>,
    index: Result<Vec<f64>, Unknown>,
    rank: impl Fn(usize, domain::Reading) -> Rank,
) -> SurfaceWindow {
    let sigmas = sample.map(|s| -> Vec<(f64, f64)> {
        let of = |at: usize| -> Vec<f64> { s.rows.iter().skip(at).step_by(s.weights.len()).copied().collect() };
        s.weights.iter().enumerate().map(|(at, w)| (*w, sample_sigma(&of(at)).unwrap_or(0.0))).collect()
    });
    let known = |sigma: Option<f64>| sigma.filter(|s| *s > 0.0).ok_or(Unknown::InsufficientVariance);
    let index_sigma = index.and_then(|r| known(sample_sigma(&r)));
    let stock_sigma = sigmas.as_ref().map_err(|gap| *gap).and_then(|s| known(Some(s.iter().map(|(w, s)| w * s).sum())));
    let ratio = index_sigma.and_then(|index| Ok(stock_sigma? / index));
    let implied = |index: f64| {
        let sigmas = sigmas.as_ref().map_err(|gap| *gap)?;
        implied_correlation(sigmas, index).ok_or(Unknown::InsufficientVariance)
    };
    let ranks = [rank(0, index_sigma), rank(1, stock_sigma), rank(2, ratio)];
    let is_calm = (|| {
        let [index, stocks, ratio] = ranks.each_ref().map(|r| r.as_ref().map(LegRank::percentile).map_err(|gap| *gap));
        let [quiet, loud, apart] = CALM;
        Ok((index? <= quiet && stocks? >= loud) || ratio? >= apart)
    })();
    SurfaceWindow {
        sessions,
        index_sigma,
        stock_sigma,
        ratio,
        implied_correlation: index_sigma.and_then(implied),
        ranks,
        is_calm,
    }
}

fn absorption(sample: &Sample) -> domain::Reading {
    let assets = sample.weights.len();
    if assets > ASSETS_MAX {
        return Err(Unknown::TooMany);
    }
    // To the nearest, one at least.
    let leading = ((assets + MEMBERS_A_COMPONENT / 2) / MEMBERS_A_COMPONENT).max(1);
    absorption_ratio(assets, &sample.rows, leading).ok_or(Unknown::InsufficientVariance)
}

/// How far the absorption ratio has come from what it was, in sigmas of the latter.
fn shift(past: &[DayRow<MEASURES>], session: SessionDate, now: f64) -> domain::Reading {
    let before = past.iter().rev().filter(|row| row.session < session).filter_map(|row| row.values[ABSORPTION]);
    let newest: Vec<f64> = std::iter::once(now).chain(before).take(SHIFT[1]).collect();
    if newest.len() < SHIFT[1] {
        return Err(Unknown::ShortHistory);
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let sigma = sample_sigma(&newest).filter(|s| *s > 0.0).ok_or(Unknown::InsufficientVariance)?;
    Ok((mean(&newest[..SHIFT[0]]) - mean(&newest)) / sigma)
}

fn path(returns: &[f64]) -> PathView {
    let (mut at, mut high, mut low, mut steps) = (0.0f64, 0.0f64, 0.0f64, 0.0);
    for r in returns {
        at += r;
        steps += r.abs();
        (high, low) = (high.max(at), low.min(at));
    }
    PathView {
        net: at,
        efficiency: (steps > 0.0).then(|| at.abs() / steps),
        range: (high - low).exp_m1(),
        below_high: -(at - high).exp_m1(),
    }
}

/// Sessions' measures as plain numbers, for snapshots.
pub(super) type SurfaceImage = Vec<(i32, [Option<f64>; MEASURES])>;

impl SurfacePast {
    pub(super) fn nothing() -> Self {
        Self::new(Arc::from([]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Sessions of an index and two stocks: the index moves by `index`, the stocks against each other by `stocks`.
    fn tell(
        panel: &mut Panel,
        past: &mut SurfacePast,
        days: std::ops::Range<i32>,
        index: f64,
        stocks: f64,
    ) -> SurfaceView {
        let spy = Symbol::new("SPY").unwrap();
        let mut last = None;
        for n in days {
            let session = SessionDate::from_days(20_000 + n).unwrap();
            // Alternating, with a drift in size that makes no two windows the same.
            let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
            let size = 1.0 + f64::from(n) * 1e-5;
            let own = [("A", sign * stocks * size), ("B", -sign * stocks * size), ("SPY", sign * index * size)];
            let returns = own.into_iter().map(|(k, r)| (Arc::from(k), r)).collect();
            let values = BTreeMap::from([(Arc::from("A"), 3.0), (Arc::from("B"), 1.0)]);
            panel.keep_values(session, returns, values);
            let surface = read_surface(panel, past, &spy, 0.8).unwrap();
            past.keep(surface.row());
            last = Some(surface);
        }
        last.unwrap()
    }

    #[test]
    fn a_quiet_index_over_loud_stocks() {
        let (mut panel, mut past) = (Panel::default(), SurfacePast::nothing());
        let early = tell(&mut panel, &mut past, 0..272, 0.01, 0.01);
        let [month, quarter] = &early.windows;
        assert_eq!(month.is_calm, Err(Unknown::ShortHistory), "251 sessions have a month before them");
        assert!((month.ratio.unwrap() - 1.0).abs() < 1e-9 && month.index_sigma.is_ok());
        assert_eq!((quarter.is_calm, early.mean_correlation), (Err(Unknown::ShortHistory), Ok(-1.0)));
        // Against each other, two stocks are one component.
        assert!((early.absorption_ratio.unwrap() - 1.0).abs() < 1e-9);
        assert!(early.path.unwrap().efficiency.unwrap() < 0.02);
        // As before, then the index falls asleep over stocks that do not.
        let same = tell(&mut panel, &mut past, 272..340, 0.01, 0.01);
        let rank = same.windows[0].ranks[0].unwrap();
        assert_eq!(rank.below, rank.observations, "each window is a little larger");
        let calm = tell(&mut panel, &mut past, 340..375, 0.002, 0.011);
        assert_eq!(calm.windows[0].is_calm, Ok(true));
        assert!(calm.windows[0].ratio.unwrap() > 5.0);
        // All loud, or all quiet, is another state.
        let loud = tell(&mut panel, &mut past, 375..400, 0.03, 0.03);
        assert_eq!(loud.windows[0].is_calm, Ok(false));
        let quiet = tell(&mut panel, &mut past, 400..425, 0.001, 0.001);
        assert_eq!(quiet.windows[0].is_calm, Ok(false));
        let apart = quiet.windows[0].implied_correlation.unwrap();
        // (s^2 - (9 + 1) / 16 s^2) / (s^2 - (9 + 1) / 16 s^2)
        assert!((apart - 1.0).abs() < 1e-9, "{apart}");
    }

    #[test]
    fn without_the_index_what_needs_it_is_unknown() {
        let mut panel = Panel::default();
        for n in 0..63 {
            let session = SessionDate::from_days(20_000 + n).unwrap();
            let r = f64::from(n % 5) * 0.01;
            let returns = BTreeMap::from([(Arc::from("A"), r), (Arc::from("B"), 0.01 - r * r)]);
            panel.keep_values(session, returns, BTreeMap::from([(Arc::from("A"), 1.0), (Arc::from("B"), 1.0)]));
        }
        let surface = read_surface(&panel, &mut SurfacePast::nothing(), &Symbol::new("SPY").unwrap(), 0.8).unwrap();
        assert!(!surface.has_index && surface.mean_correlation.is_ok() && surface.windows[1].stock_sigma.is_ok());
        assert_eq!(surface.windows[0].index_sigma, Err(Unknown::MissingSession));
        assert_eq!(surface.windows[0].ratio, Err(Unknown::MissingSession));
        assert_eq!(surface.path, Err(Unknown::MissingSession));
        assert_eq!(surface.absorption_shift, Err(Unknown::ShortHistory));
        assert_eq!(read_surface(&Panel::default(), &mut SurfacePast::nothing(), &surface.benchmark, 0.8), None);
    }
}
