//! Lee and Mykland's test: which bar was a jump.

use super::parameter::{ParameterError, is_positive};
use crate::domain::{Reading, Unknown};

/// The longest window of a [`LeeMykland`]: one-second bars of a US session need 2,429.
pub const JUMP_WINDOW_MAX: usize = 4_096;

/// Trading sessions of a year.
const SESSIONS_PER_YEAR: u32 = 252;

/// Volatility of a bar's time of day over that of an average bar: the mean of its squares is 1, and 1 stands
/// for no season.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DiurnalFactor(f64);

impl DiurnalFactor {
    /// No season.
    pub const NONE: Self = Self(1.0);

    /// Checks and keeps `factor`.
    ///
    /// # Errors
    /// When `factor` is not positive and finite.
    pub fn new(factor: f64) -> Result<Self, ParameterError> {
        if is_positive(factor) { Ok(Self(factor)) } else { Err(ParameterError::DiurnalFactor(factor)) }
    }

    /// A return of that time of day as one of an average bar.
    pub fn out_of(self, log_return: f64) -> f64 {
        log_return / self.0
    }
}

/// The customary window: the smallest K with `K >= sqrt(252 M)` for M bars a session; 141 for five-minute
/// bars of a US session, 314 for one-minute bars.
///
/// Source: Lee and Mykland (2008). The figures often quoted (270 for five minutes) are for markets
/// that never close.
pub fn lee_mykland_window(bars_per_session: u32) -> usize {
    let observations = u64::from(SESSIONS_PER_YEAR) * u64::from(bars_per_session);
    let root = observations.isqrt();
    let window = if root * root < observations { root + 1 } else { root };
    usize::try_from(window).unwrap_or(usize::MAX)
}

/// The statistic of each bar against the volatility of the bars before it.
///
/// `L_i = x_i / sigma_i` with `sigma_i^2 = sum |x_j| |x_(j-1)| / (K - 2)` over the K - 2 pairs of neighbours
/// among the K - 1 bars before, and `x` the bar's log return over its [`DiurnalFactor`]. Dimensionless. Bars
/// of one length, gap-free within a session; sessions follow one another as if without a night, and the
/// overnight return is not given to it. Without the diurnal factor the first half hour is full of "jumps".
///
/// The bar itself is never in its own volatility, and products of neighbours keep an earlier jump mostly out
/// of it. The sum over the window is held without a subtraction: a ring of K - 2 places is turned into
/// suffix sums once a turn, so a spike that has left the window leaves nothing behind, and rounding stays
/// below K units in the last place. O(1) amortized, `8 (K - 2)` bytes.
///
/// Source: Lee and Mykland (2008), Review of Financial Studies 21(6), 2535-2563.
#[derive(Clone, PartialEq, Debug)]
pub struct LeeMykland {
    /// Places before `at`: products of this turn. From `at` on: sums of the last turn's products from there
    /// to its end. 0 in the first turn.
    places: Vec<f64>,
    at: usize,
    /// Sum of this turn's products.
    turn: f64,
    /// Whether a turn has been completed, so that the window is full.
    is_full: bool,
    /// Size of the last bar.
    last: Option<f64>,
}

/// The plain content of a [`LeeMykland`], for snapshots.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LeeMyklandImage {
    /// Products of this turn, then suffix sums of the last one.
    pub places: Vec<f64>,
    /// Where the next product goes.
    pub at: usize,
    /// Sum of this turn's products.
    pub turn: f64,
    /// Whether the window is full.
    pub is_full: bool,
    /// Size of the last bar.
    pub last: Option<f64>,
}

impl LeeMykland {
    /// An empty window of K = `window` (see [`lee_mykland_window`]).
    ///
    /// # Errors
    /// When `window` is below 3 or above [`JUMP_WINDOW_MAX`].
    pub fn new(window: usize) -> Result<Self, ParameterError> {
        if !(3..=JUMP_WINDOW_MAX).contains(&window) {
            return Err(ParameterError::JumpWindow(window));
        }
        Ok(Self { places: vec![0.0; window - 2], at: 0, turn: 0.0, is_full: false, last: None })
    }

    /// The volatility that the next bar is measured with, over its diurnal factor.
    ///
    /// # Errors
    /// `Warming` before K - 1 bars; `InsufficientVariance` when no two neighbours in the window moved.
    pub fn sigma(&self) -> Reading {
        if !self.is_full {
            return Err(Unknown::Warming);
        }
        let sum = self.places.get(self.at).copied().unwrap_or(0.0) + self.turn;
        let sigma = (sum / self.places.len() as f64).sqrt();
        if sigma > 0.0 { Ok(sigma) } else { Err(Unknown::InsufficientVariance) }
    }

    /// The statistic of the next bar; then takes it into the window.
    ///
    /// # Errors
    /// As [`LeeMykland::sigma`]; the bar is taken all the same.
    pub fn update(&mut self, log_return: f64, diurnal: DiurnalFactor) -> Reading {
        let x = diurnal.out_of(log_return);
        let statistic = self.sigma().map(|sigma| x / sigma);
        if let Some(last) = self.last.replace(x.abs()) {
            self.take(last * x.abs());
        }
        statistic
    }

    fn take(&mut self, product: f64) {
        self.places[self.at] = product;
        self.turn += product;
        self.at += 1;
        if self.at == self.places.len() {
            let mut sum = 0.0;
            for place in self.places.iter_mut().rev() {
                sum += *place;
                *place = sum;
            }
            (self.at, self.turn, self.is_full) = (0, 0.0, true);
        }
    }

    /// The plain content.
    pub fn image(&self) -> LeeMyklandImage {
        let Self { places, at, turn, is_full, last } = self.clone();
        LeeMyklandImage { places, at, turn, is_full, last }
    }

    /// Continues from a stored content; `None` when it does not fit itself.
    pub fn from_image(image: LeeMyklandImage) -> Option<Self> {
        let LeeMyklandImage { places, at, turn, is_full, last } = image;
        let fits = (1..=JUMP_WINDOW_MAX - 2).contains(&places.len()) && at < places.len();
        fits.then_some(Self { places, at, turn, is_full, last })
    }
}

/// How large a statistic chance alone leads to expect: the limit law of the largest of n.
///
/// `(|L| - C_n) / S_n` is Gumbel: `C_n = sqrt(2 ln n) / c - (ln pi + ln ln n) / (2 c sqrt(2 ln n))`,
/// `S_n = 1 / (c sqrt(2 ln n))`, `c = sqrt(2 / pi)` because the volatility here has no factor pi / 2. With
/// n the bars of a session, `level` is the chance of one false jump a session.
/// Source: Lee and Mykland (2008), lemma 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct JumpThreshold {
    centre: f64,
    scale: f64,
    level: f64,
}

impl JumpThreshold {
    /// For the largest of `n` statistics.
    ///
    /// # Errors
    /// When `n` is below 3, or `level` is not above 0 and below 1.
    pub fn new(n: usize, level: f64) -> Result<Self, ParameterError> {
        if n < 3 {
            return Err(ParameterError::Observations(n));
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(ParameterError::SignificanceLevel(level));
        }
        let c = (2.0 / std::f64::consts::PI).sqrt();
        let log_n = (n as f64).ln();
        let root = (2.0 * log_n).sqrt();
        let centre = root / c - (std::f64::consts::PI.ln() + log_n.ln()) / (2.0 * c * root);
        Ok(Self { centre, scale: 1.0 / (c * root), level })
    }

    /// The size from which on a statistic is a jump: `C_n + S_n beta`, `beta = -ln(-ln(1 - level))`.
    pub fn critical(&self) -> f64 {
        self.centre - self.scale * (-(-self.level).ln_1p()).ln()
    }

    /// Whether `statistic`, of either sign, is beyond it.
    pub fn is_jump(&self, statistic: f64) -> bool {
        statistic.abs() > self.critical()
    }

    /// Probability that the largest of n is at least as large without a jump.
    pub fn p_value(&self, statistic: f64) -> f64 {
        -(-(-(statistic.abs() - self.centre) / self.scale).exp()).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(n: usize) -> Vec<f64> {
        (0..n).map(|i| 1e-3 * ((i * 37 % 101) as f64 - 50.3) / 50.0).collect()
    }

    /// The formula as written.
    fn direct(returns: &[f64], window: usize) -> f64 {
        let (x, before) = returns.split_last().unwrap();
        let before = &before[before.len() - (window - 1)..];
        let sum: f64 = before.windows(2).map(|pair| (pair[0] * pair[1]).abs()).sum();
        x / (sum / (window - 2) as f64).sqrt()
    }

    #[test]
    fn thresholds_are_the_published_anchors() {
        let c = (2.0 / std::f64::consts::PI).sqrt();
        for (n, level, expected, expected_for_c_one) in [
            (78, 0.05, 4.405_245_156_85, 3.514_877_097_2),
            (78, 0.01, 5.097_300_801_15, 4.067_057_611_01),
            (390, 0.05, 4.875_314_722_56, 3.889_938_346_19),
            (390, 0.01, 5.466_703_824_93, 4.361_798_580_39),
        ] {
            let threshold = JumpThreshold::new(n, level).unwrap();
            assert!((threshold.critical() / expected - 1.0).abs() < 1e-11);
            // Everything goes by 1 / c.
            assert!((threshold.critical() * c / expected_for_c_one - 1.0).abs() < 1e-11);
            assert!((threshold.p_value(-expected) / level - 1.0).abs() < 1e-9);
            assert!(threshold.is_jump(-expected - 1e-9) && !threshold.is_jump(expected - 1e-9));
            let beta = if level < 0.02 { 4.600_149_226_78 } else { 2.970_195_249_04 };
            assert!(((threshold.critical() - threshold.centre) / threshold.scale / beta - 1.0).abs() < 1e-11);
        }
        assert!(JumpThreshold::new(2, 0.01).is_err());
        for level in [0.0, 1.0, f64::NAN] {
            assert!(JumpThreshold::new(78, level).is_err());
        }
    }

    #[test]
    fn windows_follow_the_root_of_a_year_of_bars() {
        assert_eq!([78, 390, 7, 1, 0].map(lee_mykland_window), [141, 314, 42, 16, 0]);
        // 252 * 7 is 42 squared.
        assert_eq!(lee_mykland_window(23_400), 2_429);
        assert!(lee_mykland_window(u32::MAX) > JUMP_WINDOW_MAX);
        for bad in [0, 2, JUMP_WINDOW_MAX + 1] {
            assert_eq!(LeeMykland::new(bad).err(), Some(ParameterError::JumpWindow(bad)));
        }
    }

    #[test]
    fn streaming_is_the_formula_after_k_less_one_bars() {
        for window in [3, 4, 17, 141] {
            let returns = bars(3 * window + 5);
            let mut test = LeeMykland::new(window).unwrap();
            for (i, r) in returns.iter().enumerate() {
                let got = test.update(*r, DiurnalFactor::NONE);
                if i + 1 < window {
                    assert_eq!(got, Err(Unknown::Warming), "{window} {i}");
                } else {
                    let expected = direct(&returns[..=i], window);
                    assert!((got.unwrap() - expected).abs() <= 1e-13 * expected.abs(), "{window} {i}");
                }
            }
        }
    }

    #[test]
    fn a_spike_leaves_no_trace_and_is_not_in_its_own_volatility() {
        let mut returns = bars(200);
        let mut calm = LeeMykland::new(21).unwrap();
        let mut shaken = calm.clone();
        let expected: Vec<_> = returns.iter().map(|r| calm.update(*r, DiurnalFactor::NONE)).collect();
        returns[100] = 55.0;
        let got: Vec<_> = returns.iter().map(|r| shaken.update(*r, DiurnalFactor::NONE)).collect();
        assert_eq!(got[..100], expected[..100]);
        assert!(got[100].unwrap() > 1e4);
        // Products with its neighbours are in the window of the twenty bars after it, and in no other.
        assert!(got[101..121].iter().zip(&expected[101..121]).all(|(g, e)| g != e));
        assert_eq!(got[121..], expected[121..]);
        assert_eq!(shaken, calm);
    }

    #[test]
    fn the_season_is_divided_out() {
        let (mut plain, mut seasonal) = (LeeMykland::new(21).unwrap(), LeeMykland::new(21).unwrap());
        for (i, r) in bars(100).into_iter().enumerate() {
            let factor = if i % 10 == 0 { 4.0 } else { 0.5 };
            let expected = plain.update(r, DiurnalFactor::NONE);
            assert_eq!(seasonal.update(r * factor, DiurnalFactor::new(factor).unwrap()), expected);
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(DiurnalFactor::new(bad).is_err());
        }
    }

    #[test]
    fn no_movement_is_no_ruler() {
        let mut test = LeeMykland::new(5).unwrap();
        for i in 0..30 {
            let expected = if i < 4 { Unknown::Warming } else { Unknown::InsufficientVariance };
            assert_eq!(test.update(0.0, DiurnalFactor::NONE), Err(expected));
        }
        assert_eq!(test.update(0.01, DiurnalFactor::NONE), Err(Unknown::InsufficientVariance));
    }

    #[test]
    fn a_stored_state_goes_on_to_the_same_bits() {
        let returns = bars(90);
        for cut in 0..90 {
            let mut test = LeeMykland::new(21).unwrap();
            for r in &returns[..cut] {
                let _ = test.update(*r, DiurnalFactor::NONE);
            }
            let mut restored = LeeMykland::from_image(test.image()).unwrap();
            for r in &returns[cut..] {
                assert_eq!(restored.update(*r, DiurnalFactor::NONE), test.update(*r, DiurnalFactor::NONE));
            }
        }
        assert_eq!(LeeMykland::from_image(LeeMyklandImage::default()), None);
        let beyond = LeeMyklandImage { places: vec![0.0; 3], at: 3, ..LeeMyklandImage::default() };
        assert_eq!(LeeMykland::from_image(beyond), None);
    }
}
