//! The window behind the canonical volatility.

/// Daily log returns in the canonical window (`bofa21`).
pub const WINDOW: usize = 21;

/// Sample standard deviation: `sqrt( sum (r_i - mean)^2 / (n - 1) )`.
///
/// Two passes in slice order, so the result depends on nothing but the slice. Unit of the input (here:
/// log return a day), not annualized. `None` below two values. A window of equal values gives exactly 0
/// only when their mean is exact; callers compare with a floor, never with 0.
/// Oracle: `pandas.Series.rolling(21).std(ddof=1)`.
pub fn sample_sigma(returns: &[f64]) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let n = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / n;
    let squares: f64 = returns.iter().map(|r| (r - mean) * (r - mean)).sum();
    Some((squares / (n - 1.0)).sqrt())
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
    }

    #[test]
    fn too_few_values_are_unknown_and_constants_have_no_spread() {
        assert_eq!(sample_sigma(&[]), None);
        assert_eq!(sample_sigma(&[0.01]), None);
        assert_eq!(sample_sigma(&[0.0; 21]), Some(0.0));
        assert_eq!(sample_sigma(&[0.25; 21]), Some(0.0));
    }

    #[test]
    fn a_huge_value_leaves_no_trace_after_it_exits() {
        let mut series = vec![0.001, -0.002, 0.0015];
        series.push(1e9);
        series.extend((0..21).map(|i| f64::from(i) * 1e-4));
        let clean: Vec<f64> = (0..21).map(|i| f64::from(i) * 1e-4).collect();
        assert_eq!(sample_sigma(&series[series.len() - WINDOW..]), sample_sigma(&clean));
    }
}
