//! Event-time decayed sums of squares.

use crate::domain::NANOS_PER_SEC;

/// `v <- v * exp(-ln 2 * dt / half_life) + x * x`, with `dt` in event time.
///
/// Dimensionless (squared log returns), a sum and not a mean: it says how much variance the last
/// half-lives held. 0 before the first update. O(1).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct DecayedSquares(f64);

impl DecayedSquares {
    /// Continues from a stored sum; from 0 where it cannot be one.
    pub fn from_value(value: f64) -> Self {
        Self(if value.is_finite() && value >= 0.0 { value } else { 0.0 })
    }

    /// The sum as of the last update.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The root of the sum.
    pub fn volatility(self) -> f64 {
        self.0.sqrt()
    }

    /// Decays over `dt_nanos` (at least 0) and adds `x` squared.
    #[inline]
    pub fn update(&mut self, dt_nanos: i64, half_life_secs: f64, x: f64) {
        let seconds = dt_nanos as f64 / NANOS_PER_SEC as f64;
        self.0 = self.0 * (-std::f64::consts::LN_2 * seconds / half_life_secs).exp() + x * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_over_a_half_life_and_vanishes_over_a_night() {
        let mut v = DecayedSquares::default();
        v.update(0, 30.0, 0.02);
        assert_eq!(v.value().to_bits(), (0.02_f64 * 0.02).to_bits());
        v.update(30 * NANOS_PER_SEC, 30.0, 0.0);
        assert!((v.value() / 0.0002 - 1.0).abs() < 1e-15);
        v.update(64_800 * NANOS_PER_SEC, 30.0, 0.0);
        assert_eq!(v.value().to_bits(), 0);
    }
}
