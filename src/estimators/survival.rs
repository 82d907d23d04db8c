//! Whether a move lasts until the close, under the plainest model there is.

/// Label of the model of [`survival`] in records.
pub const SURVIVAL_MODEL: &str = "driftless_normal";

/// Standard normal distribution function, `erfc(-x / sqrt 2) / 2`.
///
/// Accurate in both tails to the accuracy of `erfc` (below one unit in the last place). `x` may be infinite.
/// Oracle: `scipy.stats.norm.cdf`.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Probability that a move of `z` sigmas stands at or beyond `tier` at the close, when the share `remaining`
/// of the day's variance is still to come: `Phi((z - tier) / sqrt(remaining))`.
///
/// `z` is signed in the direction of the move, `tier` positive, `remaining` from 0 to 1; at 0 the answer is
/// 0 or 1. What is to come is taken as normal, without drift and independent of what has been: real returns
/// have fatter tails and some reversal, so this is a base to be scored against, not a truth.
pub fn survival(z: f64, tier: f64, remaining: f64) -> f64 {
    if remaining <= 0.0 {
        return if z >= tier { 1.0 } else { 0.0 };
    }
    normal_cdf((z - tier) / remaining.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy 1.17.1, `scipy.stats.norm.cdf`.
    #[test]
    fn the_distribution_function_is_that_of_scipy() {
        for (x, expected) in [
            (-37.0, 5.725_571_222_523_926_6e-300),
            (-8.0, 6.220_960_574_271_74e-16),
            (-3.0, 0.001_349_898_031_630_093_3),
            (-0.5, 0.308_537_538_725_986_9),
            (0.0, 0.5),
            (1.25, 0.894_350_226_333_144_6),
            (6.0, 0.999_999_999_013_412_4),
        ] {
            let got = normal_cdf(x);
            assert!((got / expected - 1.0).abs() < 1e-13, "{x}: {got} {expected}");
        }
    }

    #[test]
    fn at_the_tier_it_is_even_and_at_the_close_it_is_settled() {
        assert_eq!(survival(3.0, 3.0, 0.4).to_bits(), 0.5_f64.to_bits());
        assert_eq!(survival(3.0, 3.0, 0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(survival(3.0_f64.next_down(), 3.0, 0.0).to_bits(), 0.0_f64.to_bits());
        // Half a sigma over the tier with a quarter of the variance to come: one of its deviations.
        assert_eq!(survival(3.5, 3.0, 0.25).to_bits(), normal_cdf(1.0).to_bits());
        assert!(survival(-4.0, 3.0, 0.25) < 1e-40);
    }
}
