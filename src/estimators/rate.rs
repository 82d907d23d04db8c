//! Averages over irregular times: the variance rate of ticks.

use super::parameter::{ParameterError, is_positive};
use crate::domain::NANOS_PER_SEC;

/// A time constant in seconds: what is this old weighs `1 / e`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TimeConstant(f64);

impl TimeConstant {
    /// Checks and keeps `seconds`.
    ///
    /// # Errors
    /// When `seconds` is not positive and finite.
    pub fn new(seconds: f64) -> Result<Self, ParameterError> {
        if is_positive(seconds) { Ok(Self(seconds)) } else { Err(ParameterError::TimeConstant(seconds)) }
    }
}

/// Exponential average over irregular times: after `dt`, `v <- q v + (1 - q) x` and `w <- q w + (1 - q)` with
/// `q = exp(-dt / tau)`; the average is `v / w`.
///
/// `x` holds for the time that ends with it: for values that describe the interval just passed, such as its
/// variance rate, this is the exact exponential average. (Of a quantity sampled at points it is the average
/// under which the new value has held since the point before.) Unit of `x`. O(1), one exponential. After a
/// gap so long that `q` underflows, the average is `x` itself.
/// Source: Eckner (2014), Algorithms for unevenly spaced time series.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TimeEwma {
    /// Decayed sum, `v`.
    pub sum: f64,
    /// Decayed sum of weights, `w`: 0 before the first value, towards 1.
    pub weight: f64,
}

impl TimeEwma {
    /// Starts with `x` as if it had always held.
    pub fn seeded(x: f64) -> Self {
        Self { sum: x, weight: 1.0 }
    }

    /// Takes `x` for the `seconds` (above 0) that end with it.
    #[must_use]
    #[inline]
    pub fn after(self, seconds: f64, tau: TimeConstant, x: f64) -> Self {
        // 1 - q without cancellation: most ticks are much closer together than tau.
        let new = -(-seconds / tau.0).exp_m1();
        let old = 1.0 - new;
        Self { sum: old * self.sum + new * x, weight: old * self.weight + new }
    }

    /// The average; `None` before the first value.
    pub fn value(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// Variance rate of irregular ticks: the [`TimeEwma`] of `r^2 / dt`.
///
/// Squared log returns per second, at least 0; `dt` is trading time. Ticks at one instant are one: their log
/// returns add up, and the interval that ends there is weighed once, however many there are; what they say
/// together is in the rate as soon as they are taken. Returns before any time has passed join the first
/// interval. Raw trades bounce between bid and ask, which is variance here too: give it mid prices, or trades
/// no closer than the bounce matters. O(1), one exponential.
///
/// The fields are public so that a snapshot can keep them.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct VarianceRate {
    /// The average up to the interval before the last.
    pub before: TimeEwma,
    /// The average with the last interval.
    pub now: TimeEwma,
    /// Length of the last interval in seconds; 0 before there is one.
    pub seconds: f64,
    /// Log return of the last interval.
    pub log_return: f64,
}

impl VarianceRate {
    /// Takes the log return since the last tick, `dt_nanos` of trading time after it.
    ///
    /// False, and without effect, when `dt_nanos` is negative: the tick is out of order.
    #[inline]
    pub fn update(&mut self, dt_nanos: i64, tau: TimeConstant, log_return: f64) -> bool {
        if dt_nanos < 0 {
            return false;
        }
        if dt_nanos == 0 {
            self.log_return += log_return;
        } else {
            let joins = self.seconds <= 0.0;
            self.log_return = if joins { self.log_return + log_return } else { log_return };
            self.before = self.now;
            self.seconds = dt_nanos as f64 / NANOS_PER_SEC as f64;
        }
        if self.seconds > 0.0 {
            let rate = self.log_return * self.log_return / self.seconds;
            self.now = self.before.after(self.seconds, tau, rate);
        }
        true
    }

    /// Variance per second of trading time; `None` before any time has passed.
    pub fn per_second(&self) -> Option<f64> {
        self.now.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tau(seconds: f64) -> TimeConstant {
        TimeConstant::new(seconds).unwrap()
    }

    #[test]
    fn three_squares_give_the_published_anchor() {
        let squares = TimeEwma::seeded(1e-4).after(3.0, tau(10.0), 4e-4).after(17.0, tau(10.0), 2.5e-5);
        assert!((squares.value().unwrap() / 5.290_573_654_88e-5 - 1.0).abs() < 1e-11);
    }

    #[test]
    fn a_constant_rate_is_found_at_once_whatever_the_times() {
        let mut rate = VarianceRate::default();
        assert_eq!(rate.per_second(), None);
        for (i, dt) in [1_i64, 40, 7_000, 3, 900_000_000, 12_000_000_000].iter().cycle().take(60).enumerate() {
            let size = (1e-8 * (*dt as f64 / 1e9)).sqrt();
            assert!(rate.update(*dt, tau(30.0), if i % 2 == 0 { size } else { -size }));
            assert!((rate.per_second().unwrap() / 1e-8 - 1.0).abs() < 1e-12);
        }
        let mut still = VarianceRate::default();
        for i in 0..9 {
            assert!(still.update(i * 1_000, tau(30.0), 0.0));
        }
        assert_eq!(still.per_second(), Some(0.0));
    }

    #[test]
    fn ticks_at_one_instant_are_one() {
        let run = |ticks: &[(i64, f64)]| {
            let mut rate = VarianceRate::default();
            for (dt, r) in ticks {
                assert!(rate.update(*dt, tau(5.0), *r));
            }
            rate
        };
        let whole = run(&[(2_000, 0.25), (3_000, 0.5), (1_000, 0.125)]);
        let parts = run(&[(2_000, 0.25), (3_000, 0.75), (0, -0.5), (0, 0.25), (1_000, 0.125)]);
        assert_eq!(whole, parts);
        // Also before any time has passed, and as the last thing that happened.
        assert_eq!(run(&[(0, 0.5), (0, 0.25), (1_000, -0.25)]), run(&[(1_000, 0.5)]));
        assert_eq!(run(&[(0, 0.5)]).per_second(), None);
        assert_eq!(run(&[(1_000, 0.5), (0, 0.25)]), run(&[(1_000, 0.75)]));
    }

    #[test]
    fn out_of_order_changes_nothing_and_a_long_gap_starts_anew() {
        let mut rate = VarianceRate::default();
        assert!(rate.update(1_000_000, tau(5.0), 3.0));
        let was = rate;
        assert!(!rate.update(-1, tau(5.0), 3.0));
        assert_eq!(rate, was);
        // exp(-20000) is 0: only the last interval is left.
        assert!(rate.update(100_000 * NANOS_PER_SEC, tau(5.0), 0.02));
        assert_eq!(rate.now, TimeEwma { sum: 0.02 * 0.02 / 1e5, weight: 1.0 });
        assert!(rate.update(i64::MAX, tau(1e-300), 0.0));
        assert_eq!(rate.per_second(), Some(0.0));
        assert!(rate.update(1, tau(f64::MAX), 1e24_f64.ln()));
        assert!(rate.per_second().is_some_and(f64::is_finite));
    }

    #[test]
    fn the_time_constant_is_checked_and_matters() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(TimeConstant::new(bad).is_err());
        }
        let rate = |seconds| {
            let mut rate = VarianceRate::default();
            rate.update(NANOS_PER_SEC, tau(seconds), 0.01);
            rate.update(NANOS_PER_SEC, tau(seconds), 0.001);
            rate.per_second().unwrap()
        };
        assert!(rate(1.0) < rate(10.0));
    }
}
