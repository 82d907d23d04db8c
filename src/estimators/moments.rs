//! The window behind the canonical volatility, and its variant without the mean.

/// Daily log returns in the canonical window (`bofa21`).
pub const WINDOW: usize = 21;

/// Sample standard deviation: `sqrt( sum (r_i - mean)^2 / (n - 1) )`.
///
/// Two passes in slice order, so the result depends on nothing but the slice. Unit of the input (here:
/// log return a day), not annualized. `None` below two values; exactly 0 when all are equal.
/// Oracle: `pandas.Series.rolling(21).std(ddof=1)`.
pub fn sample_sigma(returns: &[f64]) -> Option<f64> {
    sample_variance(returns.iter().copied()).map(f64::sqrt)
}

/// The square of [`sample_sigma`].
pub(super) fn sample_variance(values: impl ExactSizeIterator<Item = f64> + Clone) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    // Their mean need not be representable, and would leave a spread of rounding where there is none.
    let mut rest = values.clone();
    let first = rest.next();
    if rest.all(|x| Some(x) == first) {
        return Some(0.0);
    }
    let n = values.len() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let squares: f64 = values.map(|x| (x - mean) * (x - mean)).sum();
    Some(squares / (n - 1.0))
}

/// Root mean square: `sqrt( sum r_i^2 / n )`, the standard deviation when the mean is taken to be 0.
///
/// Unit of the input, not annualized, at least 0. `None` for no values. A trend counts as volatility.
/// Oracle: `pandas.Series.pow(2).rolling(21).mean()`, rooted.
pub fn zero_mean_sigma(returns: &[f64]) -> Option<f64> {
    (!returns.is_empty()).then(|| (returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternating_returns_give_the_published_anchor() {
        let returns: Vec<f64> = (0..21).map(|i| if i % 2 == 0 { 0.01 } else { -0.01 }).collect();
        let sigma = sample_sigma(&returns).unwrap();
        assert!((sigma / 0.010_235_326_314_4 - 1.0).abs() < 1e-11, "{sigma}");
        assert!((1.05f64.ln() / sigma / 4.766_840_125_15 - 1.0).abs() < 1e-11);
        assert!((zero_mean_sigma(&returns).unwrap() / 0.01 - 1.0).abs() < 1e-15);
    }

    #[test]
    fn too_few_values_are_unknown_and_constants_have_no_spread() {
        assert_eq!(sample_sigma(&[]), None);
        assert_eq!(sample_sigma(&[0.01]), None);
        assert_eq!(sample_sigma(&[0.0; 21]), Some(0.0));
        // A third has no exact mean.
        for x in [0.25, 1.0 / 3.0, -1e300] {
            assert_eq!(sample_sigma(&[x; 21]), Some(0.0));
        }
        assert_eq!(zero_mean_sigma(&[]), None);
        assert_eq!(zero_mean_sigma(&[-0.5]), Some(0.5));
        assert_eq!(zero_mean_sigma(&[0.0; 21]), Some(0.0));
    }

    #[test]
    fn a_huge_value_leaves_no_trace_after_it_exits() {
        let mut series = vec![0.001, -0.002, 0.0015];
        series.push(1e9);
        series.extend((0..21).map(|i| f64::from(i) * 1e-4));
        let clean: Vec<f64> = (0..21).map(|i| f64::from(i) * 1e-4).collect();
        assert_eq!(sample_sigma(&series[series.len() - WINDOW..]), sample_sigma(&clean));
        assert_eq!(zero_mean_sigma(&series[series.len() - WINDOW..]), zero_mean_sigma(&clean));
    }
}
