//! The named daily volatilities that stand beside the canonical one.
//!
//! The canonical volatility (`bofa21`, [`super::sample_sigma`]) alone decides what is an event. These say what
//! else could be thought of the same day, each under its own name, and are never mixed with it.

use super::ewma::{DecayFactor, Ewma, RM2006_AVERAGES, RiskMetrics2006};
use super::garch::GarchParams;
use super::moments::{WINDOW, zero_mean_sigma};
use super::range_based::{
    DailyBar, garman_klass_variance, parkinson_variance, rogers_satchell_variance, yang_zhang_variance,
};
use super::robust::{ShockRule, mad_sigma, trimmed_sigma};
use crate::domain::{Reading, SessionDate, Unknown};

/// A daily volatility other than the canonical one.
///
/// | mode | name | from |
/// |---|---|---|
/// | `Ewma94` | `ewma_94` | [`Ewma`] with 0.94 |
/// | `Rm2006` | `rm2006` | [`RiskMetrics2006`] |
/// | `ZeroMean` | `zero_mean` | [`zero_mean_sigma`] of 21 returns |
/// | `Mad` | `mad` | [`mad_sigma`] of 21 returns |
/// | `Trimmed` | `trimmed` | [`trimmed_sigma`] |
/// | `Parkinson` | `parkinson` | [`parkinson_variance`] of 21 bars |
/// | `GarmanKlass` | `garman_klass` | [`garman_klass_variance`] of 21 bars |
/// | `RogersSatchell` | `rogers_satchell` | [`rogers_satchell_variance`] of 21 bars |
/// | `YangZhang` | `yang_zhang` | [`yang_zhang_variance`] of 21 bars with their gaps |
/// | `Garch` | `garch` | [`GarchParams::next_variance`] from the long run on |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `RiskMetrics` 1996.
    Ewma94,
    /// `RiskMetrics` 2006.
    Rm2006,
    /// Root mean square.
    ZeroMean,
    /// Median absolute deviation about the median.
    Mad,
    /// Without earlier shocks.
    Trimmed,
    /// High and low.
    Parkinson,
    /// High, low, open, close.
    GarmanKlass,
    /// The same, free of drift.
    RogersSatchell,
    /// With gap, free of drift.
    YangZhang,
    /// GARCH(1,1) with given parameters.
    Garch,
}

impl Mode {
    /// Every mode, in the order of its declaration.
    pub const ALL: [Self; 10] = [
        Self::Ewma94,
        Self::Rm2006,
        Self::ZeroMean,
        Self::Mad,
        Self::Trimmed,
        Self::Parkinson,
        Self::GarmanKlass,
        Self::RogersSatchell,
        Self::YangZhang,
        Self::Garch,
    ];

    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ewma94 => "ewma_94",
            Self::Rm2006 => "rm2006",
            Self::ZeroMean => "zero_mean",
            Self::Mad => "mad",
            Self::Trimmed => "trimmed",
            Self::Parkinson => "parkinson",
            Self::GarmanKlass => "garman_klass",
            Self::RogersSatchell => "rogers_satchell",
            Self::YangZhang => "yang_zhang",
            Self::Garch => "garch",
        }
    }
}

/// What one session contributes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Day {
    /// Session.
    pub session: SessionDate,
    /// Log return from the previous session's close, net of splits; `None` when that close is missing.
    pub log_return: Option<f64>,
    /// The day's prices against one another; `None` when only the close is known, or they were crossed.
    pub bar: Option<DailyBar>,
}

/// What the modes are worked out with.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ModeParams {
    /// Weights of the mixture.
    pub rm2006: RiskMetrics2006,
    /// Parameters of `garch`; without them it is `NOT_COMPUTED`.
    pub garch: Option<GarchParams>,
    /// What `trimmed` leaves out.
    pub shock: ShockRule,
}

/// The modes that have no window: what they keep of all returns so far.
///
/// Holds the returns that have left the symbol's list of days, in session order; those still there are added
/// when the modes are read, so a correction within the list is a correction everywhere, and where the list
/// begins changes no bit. The fields are public so that a snapshot can keep them.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct RecursiveModes {
    /// Returns taken.
    pub returns: u64,
    /// Of `ewma_94`.
    pub ewma_94: Ewma,
    /// Of `rm2006`, fastest first.
    pub rm2006: [Ewma; RM2006_AVERAGES],
    /// Of `garch`: the variance of the return to come; `None` stands for the long run.
    pub garch: Option<f64>,
}

impl RecursiveModes {
    /// Takes the next known return. O(1).
    pub fn update(&mut self, params: &ModeParams, log_return: f64) {
        self.returns = self.returns.saturating_add(1);
        self.ewma_94.update(DecayFactor::DAILY, log_return);
        params.rm2006.update(&mut self.rm2006, log_return);
        self.garch = params.garch.map(|p| p.next_variance(self.garch.unwrap_or(p.long_run_variance()), log_return));
    }
}

/// Every mode's volatility for one session, from what was known before it.
///
/// Log return a day, not annualized, at least 0. Each needs as many days as the canonical window has: the
/// last 21 before the session that have what the mode is made of (a known return; a bar; a bar and its gap);
/// `trimmed` looks further back. Days that lack it are passed over, as in the canonical window.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DailyModes([Reading; Mode::ALL.len()]);

impl DailyModes {
    /// The modes for `session`, from the days before it.
    ///
    /// `days` are in session order; those from `session` on are not looked at. `older` holds the returns
    /// of the days before the first of them. O(days).
    pub fn before(session: SessionDate, params: &ModeParams, older: &RecursiveModes, days: &[Day]) -> Self {
        let days = &days[..days.partition_point(|d| d.session < session)];
        let returns: Vec<f64> = days.iter().filter_map(|d| d.log_return).collect();
        let mut recursive = *older;
        for r in &returns {
            recursive.update(params, *r);
        }
        let window = last(&returns);
        let all_bars: Vec<DailyBar> = days.iter().filter_map(|d| d.bar).collect();
        let with_gap: Vec<DailyBar> = all_bars.iter().filter(|b| b.gap().is_some()).copied().collect();
        let (bars, with_gap) = (last(&all_bars), last(&with_gap));
        let root = |variance: Option<f64>| variance.map(f64::sqrt).ok_or(Unknown::Warming);
        let is_warm = recursive.returns >= WINDOW as u64;
        let once_warm = |variance: Option<f64>| root(variance.filter(|_| is_warm));
        Self(Mode::ALL.map(|mode| match mode {
            Mode::Ewma94 => once_warm(recursive.ewma_94.variance()),
            Mode::Rm2006 => once_warm(params.rm2006.variance(&recursive.rm2006)),
            Mode::ZeroMean => window.and_then(zero_mean_sigma).ok_or(Unknown::Warming),
            Mode::Mad => window.map_or(Err(Unknown::Warming), mad_sigma),
            Mode::Trimmed => trimmed_sigma(&returns, params.shock).ok_or(Unknown::Warming),
            Mode::Parkinson => root(bars.and_then(parkinson_variance)),
            Mode::GarmanKlass => root(bars.and_then(garman_klass_variance)),
            Mode::RogersSatchell => root(bars.and_then(rogers_satchell_variance)),
            Mode::YangZhang => root(with_gap.and_then(yang_zhang_variance)),
            Mode::Garch if params.garch.is_none() => Err(Unknown::NotComputed),
            Mode::Garch => once_warm(recursive.garch),
        }))
    }

    /// One mode's volatility.
    ///
    /// # Errors
    /// `Warming` below the days it needs; `InsufficientVariance` when the deviation of `mad` is 0;
    /// `NotComputed` for `garch` without parameters.
    pub fn get(&self, mode: Mode) -> Reading {
        self.0[mode as usize]
    }

    /// Every mode with its volatility.
    pub fn iter(&self) -> impl Iterator<Item = (Mode, Reading)> + '_ {
        Mode::ALL.into_iter().zip(self.0)
    }
}

/// The last [`WINDOW`] values, if there are as many.
fn last<T>(values: &[T]) -> Option<&[T]> {
    values.len().checked_sub(WINDOW).map(|start| &values[start..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Price;

    fn day(n: i32, log_return: Option<f64>) -> Day {
        let price = |x: f64| Price::new(x).unwrap();
        let close = 100.0 + f64::from(n * 5 % 7);
        let bar = DailyBar::new(price(101.0), price(110.0), price(90.0 + f64::from(n % 5)), price(close), None);
        Day { session: SessionDate::from_days(n).unwrap(), log_return, bar: bar.ok() }
    }

    fn with_gap(mut day: Day) -> Day {
        let price = |x: f64| Price::new(x).unwrap();
        let before = price(100.0 + f64::from(day.session.days() % 3));
        day.bar = DailyBar::new(price(101.0), price(103.0), price(99.0), price(102.0), Some(before)).ok();
        day
    }

    fn days(n: i32) -> Vec<Day> {
        (0..n).map(|i| with_gap(day(i, Some(1e-3 * f64::from(i * 7 % 11 - 5))))).collect()
    }

    fn garch() -> ModeParams {
        ModeParams { garch: GarchParams::new(2e-6, 0.08, 0.9).ok(), ..ModeParams::default() }
    }

    fn at(n: i32) -> SessionDate {
        SessionDate::from_days(n).unwrap()
    }

    #[test]
    fn order_and_names_are_those_of_the_table() {
        for (i, mode) in Mode::ALL.into_iter().enumerate() {
            assert_eq!(mode as usize, i);
        }
        let names = Mode::ALL.map(Mode::name).join(" ");
        assert_eq!(
            names,
            "ewma_94 rm2006 zero_mean mad trimmed parkinson garman_klass rogers_satchell yang_zhang garch"
        );
    }

    #[test]
    fn each_warms_up_over_its_own_days() {
        let none = RecursiveModes::default();
        let known = |n: i32| {
            let modes = DailyModes::before(at(n), &garch(), &none, &days(n));
            modes.iter().filter(|(_, r)| r.is_ok()).map(|(m, _)| m).collect::<Vec<_>>()
        };
        assert_eq!(known(0), []);
        assert_eq!(known(20), []);
        let all_but_trimmed: Vec<_> = Mode::ALL.into_iter().filter(|m| *m != Mode::Trimmed).collect();
        assert_eq!(known(21), all_but_trimmed);
        assert_eq!(known(41), all_but_trimmed);
        assert_eq!(known(42), Mode::ALL);
        let cold = DailyModes::before(at(5), &garch(), &none, &days(5));
        assert!(cold.iter().all(|(_, reading)| reading == Err(Unknown::Warming)));
        let without = DailyModes::before(at(50), &ModeParams::default(), &none, &days(50));
        assert_eq!(without.get(Mode::Garch), Err(Unknown::NotComputed));
        assert_eq!(
            without.get(Mode::Mad),
            mad_sigma(&days(50)[29..].iter().map(|d| d.log_return.unwrap()).collect::<Vec<_>>())
        );
    }

    #[test]
    fn today_and_later_are_not_looked_at() {
        let none = RecursiveModes::default();
        let mut days = days(60);
        let expected = DailyModes::before(at(50), &garch(), &none, &days);
        for day in &mut days[50..] {
            *day = Day { session: day.session, log_return: Some(9.0), bar: None };
        }
        assert_eq!(DailyModes::before(at(50), &garch(), &none, &days), expected);
        assert_ne!(DailyModes::before(at(51), &garch(), &none, &days), expected);
    }

    #[test]
    fn where_the_list_begins_changes_no_bit() {
        let days = days(120);
        let whole = DailyModes::before(at(120), &garch(), &RecursiveModes::default(), &days);
        for begin in 0..=78 {
            let mut older = RecursiveModes::default();
            for d in &days[..begin] {
                older.update(&garch(), d.log_return.unwrap());
            }
            assert_eq!(DailyModes::before(at(120), &garch(), &older, &days[begin..]), whole, "{begin}");
        }
    }

    #[test]
    fn days_that_lack_something_are_passed_over() {
        let none = RecursiveModes::default();
        let full = days(80);
        let expected = DailyModes::before(at(80), &garch(), &none, &full[..]);
        // Three days between that say nothing.
        let mut holes = full.clone();
        for n in [77, 60, 30] {
            holes.insert(n, Day { log_return: None, bar: None, ..holes[n] });
        }
        assert_eq!(DailyModes::before(at(80), &garch(), &none, &holes), expected);
        // A bar without its gap counts where the gap does not.
        let mut gapless = full;
        gapless[79] = day(79, gapless[79].log_return);
        let got = DailyModes::before(at(80), &garch(), &none, &gapless);
        assert_ne!(got.get(Mode::Parkinson), expected.get(Mode::Parkinson));
        let shifted: Vec<DailyBar> = gapless[58..79].iter().filter_map(|d| d.bar).collect();
        assert_eq!(got.get(Mode::YangZhang).ok(), yang_zhang_variance(&shifted).map(f64::sqrt));
        assert_eq!(got.get(Mode::ZeroMean), expected.get(Mode::ZeroMean));
    }

    #[test]
    fn a_stock_that_stands_still_has_no_volatility_and_its_deviation_is_no_ruler() {
        let still: Vec<Day> = (0..70)
            .map(|n| {
                let p = Price::new(10.0).unwrap();
                Day { session: at(n), log_return: Some(0.0), bar: DailyBar::new(p, p, p, p, Some(p)).ok() }
            })
            .collect();
        let modes = DailyModes::before(at(70), &garch(), &RecursiveModes::default(), &still);
        for (mode, reading) in modes.iter() {
            match mode {
                Mode::Mad => assert_eq!(reading, Err(Unknown::InsufficientVariance)),
                // Falls towards omega / (1 - beta).
                Mode::Garch => assert!((reading.unwrap() / 2e-5_f64.sqrt() - 1.0).abs() < 1e-2),
                _ => assert_eq!(reading, Ok(0.0), "{}", mode.name()),
            }
        }
    }
}
