//! Exponentially weighted variances of daily returns: `RiskMetrics` 1996 and 2006.
//!
//! Both start without a guess: a sum of weights runs beside the sum of squares, so the first returns count
//! in full and nothing of the future, and no arbitrary first value, is in any of them.

use super::parameter::ParameterError;

/// A decay factor: above 0, below 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DecayFactor(f64);

impl DecayFactor {
    /// `RiskMetrics`' factor for daily returns: half-life 11.2 days, 32.3 returns of equal weight.
    pub const DAILY: Self = Self(0.94);

    /// Checks and keeps `lambda`.
    ///
    /// # Errors
    /// When `lambda` is not above 0 and below 1.
    pub fn new(lambda: f64) -> Result<Self, ParameterError> {
        if lambda > 0.0 && lambda < 1.0 { Ok(Self(lambda)) } else { Err(ParameterError::DecayFactor(lambda)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Bias-corrected exponentially weighted variance: `v / w` with `v <- l v + (1 - l) r^2`,
/// `w <- l w + (1 - l)`, both from 0.
///
/// Squared unit of the input (here: log return a day), not annualized, at least 0; mean zero is assumed.
/// Known from the first return on (then it is that return's square), and worth little before about 20.
/// O(1), two numbers. No spike ever leaves it for good: its weight falls by the factor with each return.
/// The fields are public so that a snapshot can keep them.
/// Source: J.P. Morgan, `RiskMetrics` Technical Document (1996); the correction is that of
/// `pandas.Series.ewm(adjust=True)`. Oracle: the same.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Ewma {
    /// Decayed sum of squares, `v`.
    pub squares: f64,
    /// Decayed sum of weights, `w`: 0 before the first return, towards 1.
    pub weight: f64,
}

impl Ewma {
    /// Takes one return.
    #[inline]
    pub fn update(&mut self, lambda: DecayFactor, log_return: f64) {
        let l = lambda.0;
        self.squares = l * self.squares + (1.0 - l) * (log_return * log_return);
        self.weight = l * self.weight + (1.0 - l);
    }

    /// The variance for the return to come; `None` before the first.
    pub fn variance(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.squares / self.weight)
    }
}

/// Averages in the `RiskMetrics` 2006 mixture.
pub const RM2006_AVERAGES: usize = 14;

/// Time constant in days of the fastest average.
const RM2006_TAU_FIRST: f64 = 4.0;
/// Cut-off of the logarithmic memory, in days.
const RM2006_TAU_CUTOFF: f64 = 1560.0;

/// Decay factors and mixture weights of `RiskMetrics` 2006, worked out once.
///
/// `tau_k = 4 sqrt(2)^k` days for k = 0..14 (4 to 362), decay `exp(-1 / tau_k)`, weight in proportion to
/// `1 - ln(tau_k) / ln(1560)`.
#[derive(Clone, PartialEq, Debug)]
pub struct RiskMetrics2006 {
    decays: [DecayFactor; RM2006_AVERAGES],
    weights: [f64; RM2006_AVERAGES],
}

impl Default for RiskMetrics2006 {
    fn default() -> Self {
        let mut tau = RM2006_TAU_FIRST;
        let mut decays = [DecayFactor::DAILY; RM2006_AVERAGES];
        let mut weights = [0.0; RM2006_AVERAGES];
        for (decay, weight) in decays.iter_mut().zip(&mut weights) {
            *decay = DecayFactor((-1.0 / tau).exp());
            *weight = 1.0 - tau.ln() / RM2006_TAU_CUTOFF.ln();
            tau *= std::f64::consts::SQRT_2;
        }
        let total: f64 = weights.iter().sum();
        for w in &mut weights {
            *w /= total;
        }
        Self { decays, weights }
    }
}

impl RiskMetrics2006 {
    /// Takes one return into the averages.
    pub fn update(&self, averages: &mut [Ewma; RM2006_AVERAGES], log_return: f64) {
        for (average, decay) in averages.iter_mut().zip(&self.decays) {
            average.update(*decay, log_return);
        }
    }

    /// The variance for the return to come: the weighted mean of the averages; `None` before the first return.
    ///
    /// Unit, sign and annualization as [`Ewma`]. Remembers shocks for years, with little weight; the slowest
    /// average needs several hundred returns before the mixture is what it is meant to be. O(14).
    /// Source: Zumbach (2007), The `RiskMetrics` 2006 methodology; parameters as in Python `arch`.
    pub fn variance(&self, averages: &[Ewma; RM2006_AVERAGES]) -> Option<f64> {
        let mut sum = 0.0;
        for (average, weight) in averages.iter().zip(&self.weights) {
            sum += weight * average.variance()?;
        }
        Some(sum)
    }

    /// Mixture weights, fastest average first; they add up to 1.
    pub fn weights(&self) -> &[f64; RM2006_AVERAGES] {
        &self.weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G2: [f64; 5] = [0.01, -0.02, 0.03, -0.01, 0.005];

    #[test]
    fn five_returns_give_the_published_anchor() {
        let mut ewma = Ewma::default();
        for r in &G2 {
            ewma.update(DecayFactor::DAILY, *r);
        }
        assert!((ewma.squares / 7.947_290_976e-5 - 1.0).abs() < 1e-10);
        assert!((ewma.weight / 0.266_095_977_6 - 1.0).abs() < 1e-10);
        assert!((ewma.variance().unwrap().sqrt() / 0.017_281_856_804_1 - 1.0).abs() < 1e-11);
    }

    #[test]
    fn nothing_is_unknown_one_return_is_its_square_and_no_movement_is_nought() {
        let mut ewma = Ewma::default();
        assert_eq!(ewma.variance(), None);
        ewma.update(DecayFactor::DAILY, -0.25);
        assert!((ewma.variance().unwrap() - 0.0625).abs() < 1e-16);
        let mut still = Ewma::default();
        for _ in 0..500 {
            still.update(DecayFactor::DAILY, 0.0);
        }
        assert_eq!(still.variance(), Some(0.0));
        // The widest return two prices can have between them.
        ewma.update(DecayFactor::DAILY, 1e24_f64.ln());
        assert!(ewma.variance().unwrap().is_finite());
    }

    #[test]
    fn the_factor_is_checked_and_matters() {
        for bad in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            assert!(DecayFactor::new(bad).is_err(), "{bad}");
        }
        let variance = |lambda| {
            let mut ewma = Ewma::default();
            for r in &G2 {
                ewma.update(DecayFactor::new(lambda).unwrap(), *r);
            }
            ewma.variance().unwrap()
        };
        assert!(variance(0.94) < variance(0.97));
    }

    #[test]
    fn the_mixture_has_the_published_weights_and_agrees_with_itself() {
        let mixture = RiskMetrics2006::default();
        assert_eq!(format!("{:.4} {:.4}", mixture.weights()[0], mixture.weights()[1]), "0.1148 0.1081");
        assert!((mixture.weights().iter().sum::<f64>() - 1.0).abs() < 1e-15);
        let mut averages = [Ewma::default(); RM2006_AVERAGES];
        assert_eq!(mixture.variance(&averages), None);
        // Equal squares: every average is the same, and so is the mixture.
        for i in 0..50 {
            mixture.update(&mut averages, if i % 2 == 0 { 0.02 } else { -0.02 });
        }
        assert!((mixture.variance(&averages).unwrap() / 4e-4 - 1.0).abs() < 1e-14);
    }
}
