//! The GARCH(1,1) filter with given parameters. Nothing is estimated here.

use super::parameter::{ParameterError, is_positive};

/// Parameters with a long run: `omega > 0`, `alpha, beta >= 0`, `alpha + beta < 1`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GarchParams {
    omega: f64,
    alpha: f64,
    beta: f64,
}

impl GarchParams {
    /// Checks and keeps the parameters, `omega` in squared log returns a day.
    ///
    /// # Errors
    /// Which of them is outside its range, or that `alpha + beta` is not below 1.
    pub fn new(omega: f64, alpha: f64, beta: f64) -> Result<Self, ParameterError> {
        for coefficient in [alpha, beta] {
            if !(coefficient >= 0.0 && coefficient.is_finite()) {
                return Err(ParameterError::GarchCoefficient(coefficient));
            }
        }
        if alpha + beta >= 1.0 {
            return Err(ParameterError::GarchPersistence(alpha + beta));
        }
        let params = Self { omega, alpha, beta };
        if !is_positive(omega) || !params.long_run_variance().is_finite() {
            return Err(ParameterError::GarchOmega(omega));
        }
        Ok(params)
    }

    /// The variance it returns to: `omega / (1 - alpha - beta)`.
    pub fn long_run_variance(&self) -> f64 {
        self.omega / (1.0 - self.alpha - self.beta)
    }

    /// The variance of the next return: `omega + alpha r^2 + beta variance`, where `variance` was that of
    /// `log_return`.
    ///
    /// Squared log returns a day, not annualized, at least `omega`. A live filter starts at
    /// [`GarchParams::long_run_variance`], which forgets at the rate `beta`: after 60 returns less than 0.2 %
    /// of the start is left for a beta of 0.9. (Python `arch` starts from a backcast over the first 75
    /// returns of the sample, which looks ahead.) Right after a shock it is ruled by that one return. O(1).
    /// Source: Bollerslev (1986), Journal of Econometrics 31(3), 307-327. Oracle: `arch`, `ZeroMean` with
    /// `GARCH(1, 0, 1)`, `fix`.
    #[inline]
    pub fn next_variance(&self, variance: f64, log_return: f64) -> f64 {
        self.omega + self.alpha * (log_return * log_return) + self.beta * variance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_returns_give_the_published_anchor() {
        let params = GarchParams::new(2e-6, 0.08, 0.90).unwrap();
        assert!((params.long_run_variance() / 1e-4 - 1.0).abs() < 1e-14);
        let variance = [0.01, -0.02, 0.03, -0.01, 0.005]
            .iter()
            .fold(params.long_run_variance(), |variance, r| params.next_variance(variance, *r));
        // By hand the six digits are all there are.
        assert!((variance / 0.000_163_336 - 1.0).abs() < 1e-14, "{variance}");
    }

    #[test]
    fn without_movement_it_falls_to_omega_over_one_less_beta() {
        let params = GarchParams::new(2e-6, 0.08, 0.90).unwrap();
        let variance = (0..2_000).fold(1.0, |variance, _| params.next_variance(variance, 0.0));
        assert!((variance / 2e-5 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn parameters_without_a_long_run_are_refused_and_each_matters() {
        use ParameterError::{GarchCoefficient, GarchOmega, GarchPersistence};
        assert_eq!(GarchParams::new(0.0, 0.1, 0.8), Err(GarchOmega(0.0)));
        assert!(GarchParams::new(f64::NAN, 0.1, 0.8).is_err());
        assert_eq!(GarchParams::new(f64::MAX, 0.1, 0.8), Err(GarchOmega(f64::MAX)));
        assert_eq!(GarchParams::new(1e-6, -0.1, 0.8), Err(GarchCoefficient(-0.1)));
        assert_eq!(GarchParams::new(1e-6, 0.1, f64::INFINITY), Err(GarchCoefficient(f64::INFINITY)));
        assert_eq!(GarchParams::new(1e-6, 0.5, 0.5), Err(GarchPersistence(1.0)));
        let base = GarchParams::new(1e-6, 0.1, 0.8).unwrap().next_variance(1e-4, 0.01);
        for (omega, alpha, beta) in [(2e-6, 0.1, 0.8), (1e-6, 0.2, 0.75), (1e-6, 0.1, 0.7)] {
            let other = GarchParams::new(omega, alpha, beta).unwrap();
            assert!((other.next_variance(1e-4, 0.01) - base).abs() > 1e-7);
            assert!((other.long_run_variance() / 1e-5 - 1.0).abs() > 0.1);
        }
    }
}
