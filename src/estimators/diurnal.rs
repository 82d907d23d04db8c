//! The diurnal pattern of variance, estimated so that a few jumps do not draw it.

/// Squares beyond this many times a bucket's robust variance are left out: the 99 % point of chi-squared with
/// one degree of freedom.
const CUT: f64 = 6.634_896_601_021_214;

/// Median absolute deviation from zero of a normal variable, as a part of its deviation: `Phi^-1(3 / 4)`.
const MEDIAN_ABS_NORMAL: f64 = 0.674_489_750_196_081_7;

/// Shares of variance by bucket, from the returns seen in each; they sum to 1.
///
/// The weighted standard deviation of Boudt, Croux and Laurent: in each bucket a first scale is the median
/// absolute return over `Phi^-1(3/4)`, returns whose square exceeds 6.635 times its square weigh nothing, and the
/// mean square of the rest is the bucket's variance, up to a constant that is the same in all. The order of the
/// returns within a bucket does not change which are left out; sums run in slice order. Their unit does not
/// matter, as long as it is one for all.
///
/// `None` where a bucket has no return, or more than half of its returns are 0.
/// Source: Boudt, Croux, Laurent (2011), Journal of Empirical Finance 18(2), 353-367; the first scale there is
/// the shortest half. Oracle: `tests/golden/diurnal.py`.
pub fn diurnal_shares<const N: usize>(returns: &[Vec<f64>; N]) -> Option<[f64; N]> {
    let mut variances = [0.0; N];
    for (variance, bucket) in variances.iter_mut().zip(returns) {
        let scale = median_abs(bucket)? / MEDIAN_ABS_NORMAL;
        if scale <= 0.0 {
            return None;
        }
        let kept = bucket.iter().filter(|r| **r * **r <= CUT * scale * scale);
        let (n, squares) = kept.fold((0.0, 0.0), |(n, sum), r| (n + 1.0, sum + r * r));
        *variance = squares / n;
    }
    let total: f64 = variances.iter().sum();
    Some(variances.map(|v| v / total))
}

/// Median of the absolute values; the mean of the middle two where their number is even. `None` without any.
pub fn median_abs(values: &[f64]) -> Option<f64> {
    let mut sizes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let middle = sizes.len() / 2;
    let upper = *sizes.get(middle)?;
    Some(if sizes.len().is_multiple_of(2) { f64::midpoint(sizes[middle - 1], upper) } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_draws_no_pattern() {
        let calm: Vec<f64> = (0..63).map(|n| if n % 2 == 0 { 0.001 } else { -0.002 } * f64::from(n % 5 + 1)).collect();
        let twice: Vec<f64> = calm.iter().map(|r| 2.0 * r).collect();
        let mut jumped = calm.clone();
        jumped[7] = 0.5;
        let [a, b] = diurnal_shares(&[calm, twice.clone()]).unwrap();
        assert!((a - 0.2).abs() < 1e-15 && (b - 0.8).abs() < 1e-15, "{a} {b}");
        let [a, _] = diurnal_shares(&[jumped, twice]).unwrap();
        assert!((a - 0.2).abs() < 0.01, "{a}");
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(diurnal_shares(&[vec![0.1], vec![]]), None);
        assert_eq!(diurnal_shares(&[vec![0.1, 0.1, 0.1], vec![0.0, 0.0, 0.1]]), None);
        assert_eq!(median_abs(&[]), None);
        assert_eq!(median_abs(&[-3.0, 1.0]), Some(2.0));
    }
}
