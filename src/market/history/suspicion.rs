//! A price that changed by the ratio of a split overnight, when no record says that there was one.

/// New shares for one old that are worth suspecting; their inverses are too.
const RATIOS: [f64; 8] = [1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0];

/// How near to a ratio: this part of its logarithm.
const TOLERANCE: f64 = 0.02;

/// The split that `price / reference` looks like, as new shares for one old; `None` when it looks like none.
///
/// `|ln(price / reference)|` within `0.02 ln k` of `ln k`, bounds included, for `k` in 1.5, 2, 3, 4, 5, 7, 10
/// and 20. Both prices positive. The bands of neighbouring ratios do not meet.
pub(super) fn split_like(price: f64, reference: f64) -> Option<f64> {
    let log_return = (price / reference).ln();
    let ratio = RATIOS.into_iter().find(|k| (log_return.abs() - k.ln()).abs() <= TOLERANCE * k.ln())?;
    Some(if log_return < 0.0 { ratio } else { 1.0 / ratio })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ratio_has_its_band_on_both_sides() {
        for k in RATIOS {
            let band = TOLERANCE * k.ln();
            for (off, expected) in [(0.0, true), (0.99, true), (-0.99, true), (1.01, false), (-1.01, false)] {
                let price = 100.0 * (off * band - k.ln()).exp();
                assert_eq!(split_like(price, 100.0), expected.then_some(k), "{k} {off}");
                let price = 100.0 * (k.ln() - off * band).exp();
                assert_eq!(split_like(price, 100.0), expected.then_some(1.0 / k), "1 for {k} {off}");
            }
        }
    }

    #[test]
    fn what_is_no_split_is_not_suspected() {
        // No move, a fall of a quarter, of 40 %, and of 58 %.
        for price in [100.0, 75.0, 60.0, 42.0] {
            assert_eq!(split_like(price, 100.0), None);
        }
        // GOOGL on 2014-04-03, and PG on 2000-03-07, which was a profit warning.
        assert_eq!(split_like(571.50, 1135.10), Some(2.0));
        assert_eq!(split_like(61.0, 87.44), None);
    }
}
