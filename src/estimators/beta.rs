//! How sure a share of few cases is: the interval of a beta distribution.

/// Share of the distribution that lies in the interval.
const INSIDE: f64 = 0.95;
/// Steps within which the continued fraction has come to its last digit, for any case that can be counted here.
const FRACTIONS: u32 = 20_000;

/// The 95 % interval of a probability after `hits` of `cases`: the equal-tailed one of Beta(hits + ½, cases − hits + ½).
///
/// That is the distribution of the probability given the count, starting from Jeffreys' prior Beta(½, ½); it is also what is
/// said without any case, `[0.0015, 0.9985]`. Its ends lie within 0 and 1, which they never reach. `None` for more hits than
/// cases. About 1e-12 from `scipy.stats.beta.ppf`, relative, for a few thousand cases.
/// Source: Brown, Cai, `DasGupta` (2001), Statistical Science 16(2), 101-133 (without their exception at 0 and at all hits).
pub fn jeffreys_interval(hits: u32, cases: u32) -> Option<[f64; 2]> {
    let misses = cases.checked_sub(hits)?;
    let (a, b) = (f64::from(hits) + 0.5, f64::from(misses) + 0.5);
    let tail = 0.5 * (1.0 - INSIDE);
    // The upper end as the lower end of the misses: small tails are worked out to all their digits.
    Some([beta_quantile(tail, a, b), 1.0 - beta_quantile(tail, b, a)])
}

/// The value that a Beta(a, b) variable is below with probability `p`, for `a` and `b` positive and `p` between 0 and 1.
///
/// Newton's method on [`regularized_beta`], held within a bracket that only shrinks.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let log_beta = log_beta(a, b);
    let (mut low, mut high, mut x) = (0.0_f64, 1.0_f64, a / (a + b));
    for _ in 0..200 {
        let off = regularized_beta(x, a, b) - p;
        if off < 0.0 {
            low = x;
        } else {
            high = x;
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - log_beta).exp();
        let newton = x - off / density;
        // Near 0 halves are the larger steps: the quantile may be small.
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let is_still = (next - x).abs() <= f64::EPSILON * x;
        x = next;
        if is_still {
            break;
        }
    }
    x
}

/// `I_x(a, b)`: the probability that a Beta(a, b) variable is below `x`, for `x` between 0 and 1.
///
/// Continued fraction, by Lentz's method, on the side where it converges fast: Press et al., Numerical Recipes, 6.4.
fn regularized_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularized_beta(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - log_beta(a, b)).exp() / a;
    let away = |x: f64| if x.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { x };
    let mut above = 1.0;
    let mut below = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = below;
    for step in 1..FRACTIONS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            below = 1.0 / away(1.0 + term * below);
            above = away(1.0 + term / above);
            change = above * below;
            fraction *= change;
        }
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    front * fraction
}

/// `ln B(a, b)`.
fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy 1.17.1, `scipy.stats.beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)`.
    #[test]
    fn the_interval_is_that_of_scipy() {
        for (hits, cases, expected) in [
            (0, 0, [0.001_541_333_133_436_012, 0.998_458_666_866_563_9]),
            (0, 1, [0.000_385_580_980_755_901_1, 0.853_253_683_690_424_8]),
            (1, 1, [0.146_746_316_309_575_13, 0.999_614_419_019_244_1]),
            (0, 5, [9.342_060_003_954_474e-5, 0.379_377_142_299_039_35]),
            (1, 5, [0.022_512_765_999_155_12, 0.628_626_400_631_994_3]),
            (5, 5, [0.620_622_857_700_960_6, 0.999_906_579_399_960_4]),
            (3, 11, [0.083_481_759_830_194_15, 0.565_095_480_501_785_6]),
            (2, 63, [0.006_654_579_751_431_558, 0.097_953_125_535_867_14]),
            (0, 63, [7.763_301_435_834_211e-6, 0.038_935_433_654_495_914]),
            (12, 37, [0.191_052_984_003_203_36, 0.483_893_107_046_764_9]),
            (31, 453, [0.047_890_821_764_221_75, 0.094_462_980_693_111_38]),
            (0, 504, [9.737_912_922_881_3e-7, 0.004_969_154_133_986_072]),
            (1, 504, [0.000_214_165_975_178_668_2, 0.009_235_902_581_489_98]),
            (28, 504, [0.038_049_210_020_144_59, 0.078_143_038_240_205]),
            (252, 504, [0.456_452_716_300_491_5, 0.543_547_283_699_508_6]),
            (503, 504, [0.990_764_097_418_51, 0.999_785_834_024_821_4]),
            (504, 504, [0.995_030_845_866_014, 0.999_999_026_208_707_7]),
            (7, 5000, [0.000_626_424_876_228_099_6, 0.002_746_848_347_056_798_7]),
        ] {
            let got = jeffreys_interval(hits, cases).unwrap();
            for (got, expected) in got.into_iter().zip(expected) {
                assert!((got / expected - 1.0).abs() < 1e-11, "{hits} of {cases}: {got} {expected}");
            }
        }
    }

    #[test]
    fn hits_and_misses_mirror_each_other() {
        for (hits, cases) in [(0, 0), (0, 7), (3, 11), (17, 504)] {
            let [low, high] = jeffreys_interval(hits, cases).unwrap();
            let [mirrored_low, mirrored_high] = jeffreys_interval(cases - hits, cases).unwrap();
            assert!((low - (1.0 - mirrored_high)).abs() < 1e-15 && (high - (1.0 - mirrored_low)).abs() < 1e-15);
            assert!(low > 0.0 && high < 1.0 && low < high);
        }
        assert_eq!(jeffreys_interval(2, 1), None);
    }

    #[test]
    fn the_quantile_undoes_the_distribution() {
        for (a, b) in [(0.5, 0.5), (0.5, 504.5), (3.5, 9.5), (250.5, 254.5), (5_000.5, 20.5)] {
            for p in [1e-6, 0.025, 0.5, 0.975] {
                let x = beta_quantile(p, a, b);
                // What one step of `x` changes is all that may be missed, beside the logarithms of large factorials.
                assert!((regularized_beta(x, a, b) / p - 1.0).abs() < 1e-9, "{p} {a} {b}: {x}");
            }
        }
        // The arcsine law has a closed form: (2 / pi) asin sqrt x.
        let x = 0.3_f64;
        assert!((regularized_beta(x, 0.5, 0.5) - 2.0 / std::f64::consts::PI * x.sqrt().asin()).abs() < 1e-14);
    }
}
