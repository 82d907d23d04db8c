//! Realized measures of one session's equally spaced returns: how much of its variance was jumps.

use crate::domain::Unknown;
use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};

/// `E|u|^(4/3)` for a standard normal u: `2^(2/3) Gamma(7/6) / Gamma(1/2)`.
const MU_4_3: f64 = 0.830_860_925_029_559;

/// Variance of the jump test statistic: `pi^2 / 4 + pi - 5`.
const THETA: f64 = PI * PI / 4.0 + PI - 5.0;

/// Running sums over the returns of a session, M so far, each the log return of one bar of equal length.
///
/// One return at a time or all of a slice ([`Realized::of`]): the same operations in the same order, so the
/// same bits. All measures are in squared log returns per session (quarticity: its square), not annualized.
/// Microstructure noise and stale prices are in them: bars of five minutes (M = 78) are customary, of one
/// minute (M = 390) for liquid names. O(1) a return.
///
/// Two forms exist of every measure that multiplies neighbours: a sum of M terms has only M - 1 (or M - 2)
/// of them, and the *finite-sample* form makes up for it by a factor M / (M - 1) (or M / (M - 2)). Here the
/// plain names are the finite-sample form, as the jump test uses it; `_uncorrected` is the other, as R
/// `highfrequency` has it.
///
/// The fields are public so that a snapshot can keep them.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Realized {
    /// Returns taken, M.
    pub count: u32,
    /// Sizes of the last return and of the one before.
    pub last: [f64; 2],
    /// Sum of squares.
    pub squares: f64,
    /// Sum of products of two neighbours.
    pub products: f64,
    /// Sum of squares of the smaller of two neighbours.
    pub minima: f64,
    /// Sum of squares of the middle one of three neighbours.
    pub medians: f64,
    /// Sum of products of three neighbours, each to the power 4/3.
    pub tripowers: f64,
}

impl Realized {
    /// The sums of a whole session.
    pub fn of(returns: &[f64]) -> Self {
        let mut sums = Self::default();
        for r in returns {
            sums.push(*r);
        }
        sums
    }

    /// Takes the next return.
    #[inline]
    pub fn push(&mut self, log_return: f64) {
        let (new, [one, two]) = (log_return.abs(), self.last);
        self.squares += new * new;
        if self.count >= 1 {
            let smaller = new.min(one);
            self.products += new * one;
            self.minima += smaller * smaller;
        }
        if self.count >= 2 {
            let middle = new.min(one).max(new.max(one).min(two));
            self.medians += middle * middle;
            let product = new * one * two;
            self.tripowers += product * product.cbrt();
        }
        self.last = [new, one];
        self.count = self.count.saturating_add(1);
    }

    /// M / (M - lost), once there is a term.
    fn correction(&self, lost: u32) -> Option<f64> {
        (self.count > lost).then(|| f64::from(self.count) / f64::from(self.count - lost))
    }

    /// Realized variance: `sum r_i^2`. `None` for no returns.
    ///
    /// Estimates the integrated variance plus the squared jumps.
    /// Source: Andersen, Bollerslev, Diebold and Labys (2003), Econometrica 71(2), 579-625.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 0).then_some(self.squares)
    }

    /// Bipower variation: `(pi / 2) M / (M - 1) sum |r_i| |r_(i-1)|`. `None` below two returns.
    ///
    /// Estimates the integrated variance without the jumps; a return of exactly 0 takes two terms away.
    /// Source: Barndorff-Nielsen and Shephard (2004), Journal of Financial Econometrics 2(1), 1-37.
    pub fn bipower_variation(&self) -> Option<f64> {
        Some(self.correction(1)? * self.bipower_variation_uncorrected()?)
    }

    /// Bipower variation without the factor M / (M - 1).
    pub fn bipower_variation_uncorrected(&self) -> Option<f64> {
        (self.count > 1).then_some(FRAC_PI_2 * self.products)
    }

    /// `max(RV - BV, 0)`: the part of the variance that is jumps. `None` below two returns.
    pub fn jump_variation(&self) -> Option<f64> {
        Some((self.squares - self.bipower_variation()?).max(0.0))
    }

    /// Minimum realized variance: `pi / (pi - 2) M / (M - 1) sum min(|r_i|, |r_(i-1)|)^2`. `None` below two
    /// returns.
    ///
    /// As bipower variation; a jump next to a calm bar leaves no trace at all.
    /// Source: Andersen, Dobrev and Schaumburg (2012), Journal of Econometrics 169(1), 75-93.
    pub fn min_variance(&self) -> Option<f64> {
        Some(PI / (PI - 2.0) * self.correction(1)? * self.minima)
    }

    /// Median realized variance: `pi / (6 - 4 sqrt(3) + pi) M / (M - 2) sum med(|r_i|, |r_(i-1)|, |r_(i-2)|)^2`.
    /// `None` below three returns.
    ///
    /// Also withstands single returns of exactly 0. Source: as [`Realized::min_variance`].
    pub fn median_variance(&self) -> Option<f64> {
        Some(PI / (6.0 - 4.0 * 3.0_f64.sqrt() + PI) * self.correction(2)? * self.medians)
    }

    /// Tripower quarticity: `M mu^-3 M / (M - 2) sum (|r_i| |r_(i-1)| |r_(i-2)|)^(4/3)`, `mu = E|u|^(4/3)` =
    /// 0.830861. `None` below three returns.
    ///
    /// Estimates the integrated fourth power of volatility without the jumps: the spread of the others.
    /// Source: Barndorff-Nielsen and Shephard (2006), Journal of Financial Econometrics 4(1), 1-30.
    pub fn tripower_quarticity(&self) -> Option<f64> {
        Some(self.correction(2)? * self.tripower_quarticity_uncorrected()?)
    }

    /// Tripower quarticity without the factor M / (M - 2).
    pub fn tripower_quarticity_uncorrected(&self) -> Option<f64> {
        let scale = f64::from(self.count) / (MU_4_3 * MU_4_3 * MU_4_3);
        (self.count > 2).then_some(scale * self.tripowers)
    }

    /// Whether the session had a jump: `((RV - BV) / RV) / sqrt(theta max(1, TQ / BV^2) / M)`, with
    /// `theta = pi^2 / 4 + pi - 5`, standard normal without one.
    ///
    /// One-sided; reject "no jump" above 2.326 (1 %) or 3.090 (0.1 %). Says that there was one, not when. For
    /// M = 78 it rejects a little too often (see `docs/estimators.md`), for much smaller M more so.
    /// Source: Huang and Tauchen (2005), Journal of Financial Econometrics 3(4), 456-499, the ratio statistic
    /// with the maximum.
    ///
    /// # Errors
    /// `Warming` below three returns; `InsufficientVariance` when bipower variation is 0, because nothing
    /// moved or no two neighbours did.
    pub fn jump_test(&self) -> Result<JumpTest, Unknown> {
        let known = (self.bipower_variation(), self.tripower_quarticity());
        let (Some(bipower), Some(quarticity)) = known else { return Err(Unknown::Warming) };
        let spread = quarticity / (bipower * bipower);
        // Also where the square underflows.
        if !(bipower > 0.0 && spread.is_finite()) {
            return Err(Unknown::InsufficientVariance);
        }
        let error = (THETA / f64::from(self.count) * spread.max(1.0)).sqrt();
        let z = (self.squares - bipower) / self.squares / error;
        Ok(JumpTest { z, p_value: normal_upper_tail(z) })
    }
}

/// Outcome of [`Realized::jump_test`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct JumpTest {
    /// The statistic.
    pub z: f64,
    /// Probability of a statistic at least as large without a jump.
    pub p_value: f64,
}

/// `1 - Phi(z)`: the probability that belongs to a [`JumpTest::z`].
pub fn normal_upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const G5: [f64; 10] = [0.001, -0.002, 0.0015, 0.0005, -0.0025, 0.012, -0.001, 0.002, -0.0005, 0.001];

    fn check(got: Option<f64>, expected: f64) {
        assert!((got.unwrap() / expected - 1.0).abs() < 1e-11, "{got:?} for {expected}");
    }

    #[test]
    fn ten_returns_give_the_published_anchors() {
        let sums = Realized::of(&G5);
        check(sums.variance(), 1.64e-4);
        check(sums.bipower_variation_uncorrected(), 8.246_680_715_67e-5);
        check(sums.bipower_variation(), 9.162_978_572_97e-5);
        check(sums.jump_variation(), 1.64e-4 - 9.162_978_572_97e-5);
        check(sums.tripower_quarticity_uncorrected(), 3.657_700_319_46e-9);
        check(sums.tripower_quarticity(), 4.572_125_399_33e-9);
        check(sums.median_variance(), 4.479_849_640_76e-5);
        check(sums.min_variance(), 3.822_136_658_17e-5);
        check(sums.jump_test().ok().map(|t| t.z), 1.788_173_239_51);
        // The linear statistic on the uncorrected measures.
        let (bipower, quarticity) =
            (sums.bipower_variation_uncorrected().unwrap(), sums.tripower_quarticity_uncorrected().unwrap());
        check(Some((sums.squares - bipower) / (THETA / 10.0 * quarticity).sqrt()), 5.462_909_052_58);
        assert_eq!(format!("{THETA:.6}"), "0.608994");
    }

    #[test]
    fn tails_of_the_normal_distribution() {
        // Quantiles of 1 % and 0.1 %.
        check(Some(normal_upper_tail(2.326_347_874_040_841)), 0.01);
        check(Some(normal_upper_tail(3.090_232_306_167_813)), 0.001);
        assert!((normal_upper_tail(0.0) - 0.5).abs() < 1e-16);
        assert_eq!(normal_upper_tail(f64::INFINITY).to_bits(), 0);
        check(Some(normal_upper_tail(-2.326_347_874_040_841)), 0.99);
    }

    #[test]
    fn too_few_returns_are_unknown() {
        let none = Realized::default();
        assert_eq!((none.variance(), none.bipower_variation(), none.median_variance()), (None, None, None));
        let one = Realized::of(&[0.01]);
        assert_eq!(one.variance(), Some(0.01 * 0.01));
        assert_eq!((one.bipower_variation(), one.bipower_variation_uncorrected()), (None, None));
        assert_eq!((one.min_variance(), one.jump_variation()), (None, None));
        let two = Realized::of(&[0.01, 0.01]);
        assert!(two.min_variance().is_some());
        assert_eq!((two.median_variance(), two.tripower_quarticity()), (None, None));
        assert_eq!(two.tripower_quarticity_uncorrected(), None);
        assert_eq!(two.jump_test(), Err(Unknown::Warming));
    }

    #[test]
    fn no_movement_is_nought_and_no_test() {
        let still = Realized::of(&[0.0; 78]);
        for measure in [
            still.variance(),
            still.bipower_variation(),
            still.min_variance(),
            still.median_variance(),
            still.tripower_quarticity(),
            still.jump_variation(),
        ] {
            assert_eq!(measure, Some(0.0));
        }
        assert_eq!(still.jump_test(), Err(Unknown::InsufficientVariance));
        // Every other bar stood still: no two neighbours moved, and the ratio would divide by nothing.
        let every_other: Vec<f64> = (0..78).map(|i| if i % 2 == 0 { 0.001 } else { 0.0 }).collect();
        assert_eq!(Realized::of(&every_other).jump_test(), Err(Unknown::InsufficientVariance));
        assert_eq!(Realized::of(&[1e-200; 78]).jump_test(), Err(Unknown::InsufficientVariance));
    }

    #[test]
    fn equal_sizes_have_no_jump_and_one_jump_is_seen() {
        let calm: Vec<f64> = (0..78).map(|i| if i % 2 == 0 { 0.001 } else { -0.001 }).collect();
        let test = Realized::of(&calm).jump_test().unwrap();
        // Equal sizes are the smoothest path there is: bipower variation is pi/2 times realized variance.
        assert!(test.z < -5.0 && test.p_value > 0.999_999);
        let mut jump = calm;
        jump[40] = 0.03;
        let sums = Realized::of(&jump);
        let test = sums.jump_test().unwrap();
        assert!(test.z > 6.0 && test.p_value < 1e-9);
        // The widest return two prices can have between them.
        jump[40] = 1e24_f64.ln();
        assert!(Realized::of(&jump).jump_test().unwrap().z.is_finite());
    }

    #[test]
    fn a_stored_state_goes_on_to_the_same_bits() {
        let mut sums = Realized::of(&G5[..6]);
        let mut restored = Realized { ..sums };
        for r in &G5[6..] {
            sums.push(*r);
            restored.push(*r);
        }
        assert_eq!(sums, restored);
        assert_eq!(sums, Realized::of(&G5));
    }
}
