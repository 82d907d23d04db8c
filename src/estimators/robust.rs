//! Volatilities that one shock cannot move: by the median absolute deviation, and by keeping earlier shocks
//! out of the window.

use super::moments::{WINDOW, sample_sigma};
use super::parameter::{ParameterError, is_positive};
use crate::domain::{Reading, Unknown};

/// `1 / Phi^-1(3/4)`: makes the median absolute deviation of a normal sample its standard deviation.
const NORMAL_SCALE: f64 = 1.482_602_218_505_602;

/// Middle value, or the mean of the two middle ones; orders `values`. `None` for no values.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[half]),
        _ => Some(values[half - 1].midpoint(values[half])),
    }
}

/// Scaled median absolute deviation from `centre`.
fn deviation(returns: &[f64], centre: f64) -> Reading {
    let mut sizes: Vec<f64> = returns.iter().map(|r| (r - centre).abs()).collect();
    match median(&mut sizes).ok_or(Unknown::Warming)? {
        0.0 => Err(Unknown::InsufficientVariance),
        median => Ok(NORMAL_SCALE * median),
    }
}

/// Robust volatility: `1.4826 median |r_i - median(r)|`, the constant being `1 / Phi^-1(3/4)` in full.
///
/// Unit of the input, not annualized. Up to half of the values can be anything. It is lower than the standard
/// deviation on fat-tailed returns, so multiples come out larger. O(n log n).
/// Oracle: `statsmodels.robust.scale.mad`.
///
/// # Errors
/// `Warming` for no returns. `InsufficientVariance` when the deviation is 0: half of the returns or more
/// equal their median, which says nothing of the rest. What to fall back on is the caller's decision.
pub fn mad_sigma(returns: &[f64]) -> Reading {
    let centre = median(&mut returns.to_vec()).ok_or(Unknown::Warming)?;
    deviation(returns, centre)
}

/// Robust volatility about 0: `1.4826 median |r_i|`. Everything else as [`mad_sigma`].
///
/// # Errors
/// As [`mad_sigma`]; the deviation is 0 when half of the returns or more are 0.
pub fn zero_centred_mad_sigma(returns: &[f64]) -> Reading {
    deviation(returns, 0.0)
}

/// What makes a past return a shock.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ShockRule {
    multiple: f64,
    sigma_min: f64,
}

impl Default for ShockRule {
    /// Three sigmas, and a sigma of at least 2 basis points: the canonical rule.
    fn default() -> Self {
        Self { multiple: 3.0, sigma_min: 0.0002 }
    }
}

impl ShockRule {
    /// Checks and keeps the rule.
    ///
    /// # Errors
    /// When `multiple` is not positive, `sigma_min` is negative, or either is not finite.
    pub fn new(multiple: f64, sigma_min: f64) -> Result<Self, ParameterError> {
        if !is_positive(multiple) {
            return Err(ParameterError::ShockMultiple(multiple));
        }
        if !(sigma_min >= 0.0 && sigma_min.is_finite()) {
            return Err(ParameterError::ShockSigma(sigma_min));
        }
        Ok(Self { multiple, sigma_min })
    }

    /// The bound that the return at `at` has reached, with its sign: `None` when it is no shock.
    ///
    /// It is one when the canonical volatility of the [`WINDOW`] returns before it is a ruler (positive, at
    /// least the least volatility), and the return is at least so many of them. The caller sees to it that
    /// there are as many before it.
    fn bound(&self, returns: &[f64], at: usize) -> Option<f64> {
        let sigma = sample_sigma(&returns[at - WINDOW..at])?;
        let is_ruler = sigma > 0.0 && sigma >= self.sigma_min;
        let z = returns[at] / sigma;
        (is_ruler && z.abs() >= self.multiple).then(|| (self.multiple * sigma).copysign(z))
    }
}

/// Volatility without earlier shocks ("clean sigma"): the sample standard deviation of the newest
/// [`WINDOW`] returns that were no shocks.
///
/// `returns` are all that are known before the session, oldest first. Whether a return was a shock is
/// decided by what was known before it: the plain volatility of the [`WINDOW`] returns before it, shocks
/// included, so the answer for a session never changes later. A return that was left out is replaced by
/// an older one. It does not swell for 21 sessions after a shock and does not drop when the shock leaves
/// the window; after a true change of regime it lags, by as many sessions as the plain one takes to adapt.
///
/// Unit of the input, not annualized. Known from twice the window on, and one more for each shock left
/// out; else `None`. O(window) volatilities of O(window).
/// Oracle: the same definition in pandas (`tests/golden/daily_modes.py`).
pub fn trimmed_sigma(returns: &[f64], rule: ShockRule) -> Option<f64> {
    let judged = (WINDOW..returns.len()).rev();
    let mut kept: Vec<f64> =
        judged.filter(|at| rule.bound(returns, *at).is_none()).take(WINDOW).map(|at| returns[at]).collect();
    kept.reverse();
    (kept.len() == WINDOW).then(|| sample_sigma(&kept)).flatten()
}

/// The Winsorized variant of [`trimmed_sigma`]: the sample standard deviation of the newest [`WINDOW`]
/// returns, with each shock among them cut back to the bound that it broke, `+-multiple` plain volatilities
/// of its own day.
///
/// Keeps that something happened, and how calm it was before. Known from twice the window on. Unit, cost and
/// oracle as there.
pub fn winsorized_sigma(returns: &[f64], rule: ShockRule) -> Option<f64> {
    let start = returns.len().checked_sub(WINDOW).filter(|start| *start >= WINDOW)?;
    let cut: Vec<f64> = (start..returns.len()).map(|at| rule.bound(returns, at).unwrap_or(returns[at])).collect();
    sample_sigma(&cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternating(n: usize) -> Vec<f64> {
        (0..n).map(|i| if i % 2 == 0 { 0.01 } else { -0.01 }).collect()
    }

    #[test]
    fn a_deviation_of_nought_is_unknown_and_not_nought() {
        // Eleven of 21 are the median.
        assert_eq!(mad_sigma(&alternating(21)), Err(Unknown::InsufficientVariance));
        assert_eq!(mad_sigma(&[0.02]), Err(Unknown::InsufficientVariance));
        assert_eq!(mad_sigma(&[]), Err(Unknown::Warming));
        assert_eq!(zero_centred_mad_sigma(&[]), Err(Unknown::Warming));
        assert_eq!(zero_centred_mad_sigma(&[0.0; 21]), Err(Unknown::InsufficientVariance));
        assert_eq!(zero_centred_mad_sigma(&alternating(21)), Ok(NORMAL_SCALE * 0.01));
    }

    #[test]
    fn half_of_the_values_can_be_anything() {
        let mut returns: Vec<f64> = (0..21).map(|i| f64::from(i - 10) * 1e-3).collect();
        assert!((mad_sigma(&returns).unwrap() / (NORMAL_SCALE * 5e-3) - 1.0).abs() < 1e-15);
        returns[20] = 55.0;
        returns[0] = -55.0;
        assert!((mad_sigma(&returns).unwrap() / (NORMAL_SCALE * 5e-3) - 1.0).abs() < 1e-15);
        // An even count: the two middle values are averaged.
        assert_eq!(zero_centred_mad_sigma(&[1.0, -2.0, 3.0, 10.0]), Ok(NORMAL_SCALE * 2.5));
    }

    #[test]
    fn a_shock_is_left_out_as_if_it_had_never_been() {
        let calm: Vec<f64> = (0..80).map(|i| 0.01 * f64::from(i * 7 % 11 - 5)).collect();
        let mut shaken = calm.clone();
        shaken.insert(70, 0.5);
        let rule = ShockRule::default();
        assert_eq!(trimmed_sigma(&shaken, rule), trimmed_sigma(&calm, rule));
        assert_eq!(trimmed_sigma(&calm, rule), sample_sigma(&calm[59..]));
        let plain = sample_sigma(&shaken[60..]).unwrap();
        let cut = winsorized_sigma(&shaken, rule).unwrap();
        assert!(plain > 0.1 && cut < 0.06 && cut > trimmed_sigma(&shaken, rule).unwrap());
        // The bound is that of its own day.
        let bound = 3.0 * sample_sigma(&shaken[49..70]).unwrap();
        shaken[70] = bound;
        assert!((sample_sigma(&shaken[60..]).unwrap() / cut - 1.0).abs() < 1e-15);
        // Exactly at the bound, or just beyond, counts.
        assert_eq!(rule.bound(&shaken, 70), Some(bound));
        shaken[70] = -0.5;
        assert_eq!(rule.bound(&shaken, 70), Some(-bound));
    }

    #[test]
    fn warming_up_takes_two_windows_and_one_more_for_each_shock() {
        let rule = ShockRule::default();
        assert_eq!(trimmed_sigma(&[], rule), None);
        assert_eq!(winsorized_sigma(&[], rule), None);
        assert_eq!(trimmed_sigma(&alternating(41), rule), None);
        assert_eq!(winsorized_sigma(&alternating(41), rule), None);
        assert_eq!(trimmed_sigma(&alternating(42), rule), sample_sigma(&alternating(42)[21..]));
        assert_eq!(winsorized_sigma(&alternating(42), rule), sample_sigma(&alternating(42)[21..]));
        let mut shaken = alternating(42);
        shaken[30] = 0.2;
        assert_eq!(trimmed_sigma(&shaken, rule), None);
        assert!(winsorized_sigma(&shaken, rule).is_some());
    }

    #[test]
    fn without_a_ruler_nothing_is_a_shock() {
        let mut still = vec![0.0; 42];
        still[41] = 0.3;
        let rule = ShockRule::default();
        assert_eq!(trimmed_sigma(&still, rule), sample_sigma(&still[21..]));
        assert_eq!(trimmed_sigma(&[0.0; 42], rule), Some(0.0));
        // So small a volatility is no ruler under the default rule, and one under a laxer rule.
        let mut calm = alternating(43).iter().map(|r| r * 0.01).collect::<Vec<_>>();
        calm[42] = 0.3;
        assert!(trimmed_sigma(&calm, rule).unwrap() > 0.05);
        assert!(trimmed_sigma(&calm, ShockRule::new(3.0, 0.0).unwrap()).unwrap() < 2e-4);
        assert!(trimmed_sigma(&calm, ShockRule::new(1e6, 0.0).unwrap()).unwrap() > 0.05);
        assert!(ShockRule::new(0.0, 0.0).is_err() && ShockRule::new(f64::NAN, 0.0).is_err());
        assert!(ShockRule::new(3.0, -1.0).is_err() && ShockRule::new(3.0, f64::INFINITY).is_err());
    }
}
