//! Variances from open, high, low and close: more from one day than its closing price can tell.
//!
//! All are per day and not annualized. All assume that trading is continuous, so that few trades, or a coarse
//! price step, bias them low. A crossed bar cannot be built; the caller leaves it out and counts it.

use super::moments::sample_variance;
use crate::domain::{BarError, Price};

/// The logarithms of one day's prices, each against the open; the open against the close before.
///
/// Ratios alone: splits do not show, except in the close before, which the caller gives net of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DailyBar {
    /// `ln(high / open)`, at least 0.
    high: f64,
    /// `ln(low / open)`, at most 0.
    low: f64,
    /// `ln(close / open)`.
    close: f64,
    /// `ln(open / previous close)`, where that is known.
    gap: Option<f64>,
}

impl DailyBar {
    /// From the day's prices and the close before, on one split basis.
    ///
    /// # Errors
    /// When `low <= open, close <= high` does not hold.
    pub fn new(
        open: Price,
        high: Price,
        low: Price,
        close: Price,
        previous_close: Option<Price>,
    ) -> Result<Self, BarError> {
        let within = |p: Price| low <= p && p <= high;
        if !within(open) || !within(close) {
            return Err(BarError);
        }
        let against = |p: Price, base: Price| (p.get() / base.get()).ln();
        Ok(Self {
            high: against(high, open),
            low: against(low, open),
            close: against(close, open),
            gap: previous_close.map(|p| against(open, p)),
        })
    }

    /// `ln(open / previous close)`, where that is known.
    pub fn gap(&self) -> Option<f64> {
        self.gap
    }

    /// `ln(high / low)`, squared.
    fn range_squared(&self) -> f64 {
        let range = self.high - self.low;
        range * range
    }

    fn garman_klass(&self) -> f64 {
        0.5 * self.range_squared() - (2.0 * std::f64::consts::LN_2 - 1.0) * (self.close * self.close)
    }

    fn rogers_satchell(&self) -> f64 {
        (self.high - self.close) * self.high + (self.low - self.close) * self.low
    }
}

/// The mean of `term` over the bars; `None` for no bars.
fn mean(bars: &[DailyBar], term: impl Fn(&DailyBar) -> f64) -> Option<f64> {
    (!bars.is_empty()).then(|| bars.iter().map(term).sum::<f64>() / bars.len() as f64)
}

/// Parkinson variance: `mean( ln(high / low)^2 ) / (4 ln 2)`.
///
/// At least 0; 0 when every day stood still. About five times as efficient as closes where there is neither
/// drift nor gap; what happens overnight is not in it. `None` for no bars.
/// Source: Parkinson (1980), Journal of Business 53(1), 61-65. Oracle: R `TTR::volatility`, `parkinson`.
pub fn parkinson_variance(bars: &[DailyBar]) -> Option<f64> {
    mean(bars, DailyBar::range_squared).map(|m| m / (4.0 * std::f64::consts::LN_2))
}

/// Garman-Klass variance: `mean( ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2 )`.
///
/// At least 0, since a day's range is at least its change. About seven times as efficient as closes; assumes
/// no drift and has no gap. `None` for no bars.
/// Source: Garman and Klass (1980), Journal of Business 53(1), 67-78. Oracle: `TTR`, `garman.klass`.
pub fn garman_klass_variance(bars: &[DailyBar]) -> Option<f64> {
    mean(bars, DailyBar::garman_klass)
}

/// Garman-Klass variance with the gap: adds `ln(open / previous close)^2` to each day's term.
///
/// At least 0; assumes no drift. `None` for no bars, or when a day's gap is not known.
/// Source: Yang and Zhang's extension as in R `TTR`, which is the oracle (`gk.yz`).
pub fn garman_klass_gap_variance(bars: &[DailyBar]) -> Option<f64> {
    let gaps: Vec<f64> = bars.iter().map(|b| b.gap).collect::<Option<_>>()?;
    if bars.is_empty() {
        return None;
    }
    let sum: f64 = bars.iter().zip(gaps).map(|(b, gap)| gap * gap + b.garman_klass()).sum();
    Some(sum / bars.len() as f64)
}

/// Rogers-Satchell variance: `mean( ln(high / close) ln(high / open) + ln(low / close) ln(low / open) )`.
///
/// At least 0, and 0 for days that run from one end of their range to the other: a trend within the day does
/// not count. Has no gap. `None` for no bars.
/// Source: Rogers and Satchell (1991), Annals of Applied Probability 1(4), 504-512. Oracle: `TTR`,
/// `rogers.satchell`.
pub fn rogers_satchell_variance(bars: &[DailyBar]) -> Option<f64> {
    mean(bars, DailyBar::rogers_satchell)
}

/// Yang-Zhang variance: `gap + k day + (1 - k) rogers_satchell`, `k = 0.34 / (1.34 + (n + 1) / (n - 1))`.
///
/// `gap` and `day` are the sample variances of `ln(open / previous close)` and of `ln(close / open)`. At least
/// 0. Right with gaps and with drift; k is 0.1393 for 21 days. `None` below two bars, or when a day's
/// gap is not known.
/// Source: Yang and Zhang (2000), Journal of Business 73(3), 477-491. Oracle: `TTR`, `yang.zhang`.
pub fn yang_zhang_variance(bars: &[DailyBar]) -> Option<f64> {
    let gaps: Vec<f64> = bars.iter().map(|b| b.gap).collect::<Option<_>>()?;
    let gap = sample_variance(gaps.iter().copied())?;
    let day = sample_variance(bars.iter().map(|b| b.close))?;
    let n = bars.len() as f64;
    let k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0));
    Some(gap + k * day + (1.0 - k) * rogers_satchell_variance(bars)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(x: f64) -> Price {
        Price::new(x).unwrap()
    }

    fn bar(open: f64, high: f64, low: f64, close: f64, before: Option<f64>) -> DailyBar {
        DailyBar::new(price(open), price(high), price(low), price(close), before.map(price)).unwrap()
    }

    type Estimator = fn(&[DailyBar]) -> Option<f64>;
    const ALL: [Estimator; 5] = [
        parkinson_variance,
        garman_klass_variance,
        garman_klass_gap_variance,
        rogers_satchell_variance,
        yang_zhang_variance,
    ];

    const G4: [[f64; 4]; 5] = [
        [100.0, 102.0, 99.0, 101.2],
        [101.0, 102.5, 99.2, 99.8],
        [99.5, 101.0, 98.0, 100.7],
        [102.0, 104.0, 101.0, 103.4],
        [103.0, 105.5, 102.5, 104.1],
    ];

    fn five_days(scale: f64) -> Vec<DailyBar> {
        let mut before = 99.7 * scale;
        let day = |[o, h, l, c]: [f64; 4]| {
            let day = bar(o * scale, h * scale, l * scale, c * scale, Some(before));
            before = c * scale;
            day
        };
        G4.into_iter().map(day).collect()
    }

    #[test]
    fn five_days_give_the_published_anchors() {
        let bars = five_days(1.0);
        let check = |got: Option<f64>, expected: f64| {
            assert!((got.unwrap() / expected - 1.0).abs() < 1e-11, "{got:?} for {expected}");
        };
        check(parkinson_variance(&bars), 3.289_552_380_07e-4);
        check(garman_klass_variance(&bars), 3.998_192_307_47e-4);
        check(rogers_satchell_variance(&bars), 4.151_256_619_67e-4);
        check(yang_zhang_variance(&bars), 4.273_131_156_03e-4);
        let gaps: f64 = bars.iter().map(|b| b.gap().unwrap().powi(2)).sum();
        check(garman_klass_gap_variance(&bars), garman_klass_variance(&bars).unwrap() + gaps / 5.0);
    }

    #[test]
    fn scaling_by_a_power_of_two_changes_no_bit() {
        for estimator in ALL {
            assert_eq!(estimator(&five_days(1.0)), estimator(&five_days(1024.0)));
            assert_eq!(estimator(&five_days(1.0)), estimator(&five_days(1.0 / 1024.0)));
        }
    }

    #[test]
    fn no_days_are_unknown_and_days_that_stand_still_have_no_variance() {
        let still = [bar(7.3, 7.3, 7.3, 7.3, Some(7.3)); 21];
        for estimator in ALL {
            assert_eq!(estimator(&[]), None);
            assert_eq!(estimator(&still), Some(0.0));
        }
        assert_eq!(yang_zhang_variance(&still[..1]), None);
        // The same gap and the same straight run each day: only the open and close move, without spread.
        let straight = [bar(10.0, 11.0, 10.0, 11.0, Some(9.0)); 21];
        assert_eq!(yang_zhang_variance(&straight), Some(0.0));
        assert_eq!(rogers_satchell_variance(&straight), Some(0.0));
    }

    #[test]
    fn an_unknown_gap_is_unknown_where_it_counts() {
        let mut bars = five_days(1.0);
        bars[0] = bar(100.0, 102.0, 99.0, 101.2, None);
        assert_eq!(garman_klass_gap_variance(&bars), None);
        assert_eq!(yang_zhang_variance(&bars), None);
        assert_eq!(parkinson_variance(&bars), parkinson_variance(&five_days(1.0)));
    }

    #[test]
    fn crossed_prices_are_refused_and_extremes_stay_finite() {
        let crossed = [[10.0, 9.0, 11.0, 10.0], [12.0, 11.0, 9.0, 10.0], [10.0, 11.0, 9.0, 8.0]];
        for [o, h, l, c] in crossed {
            assert_eq!(DailyBar::new(price(o), price(h), price(l), price(c), None), Err(BarError));
        }
        let widest = [bar(1e-12, 9e11, 1e-12, 9e11, Some(9e11)), bar(9e11, 9e11, 1e-12, 1e-12, Some(1e-12))];
        for estimator in ALL {
            assert!(estimator(&widest).is_some_and(|v| v.is_finite() && v >= 0.0));
        }
    }

    #[test]
    fn no_day_has_a_negative_term() {
        // Garman-Klass is least, for its range, on a straight run.
        for [o, h, l, c] in [[10.0, 11.0, 10.0, 11.0], [10.0, 10.0, 9.0, 9.0], [10.0, 11.0, 9.0, 10.0]] {
            let day = bar(o, h, l, c, None);
            assert!(day.garman_klass() > 0.0 && day.rogers_satchell() >= 0.0);
        }
    }
}
