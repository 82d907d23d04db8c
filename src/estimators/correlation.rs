//! How much several assets move as one.
//!
//! Returns are rows of equal length, one row a day, one number an asset.

use super::sample_sigma;

/// Turns of a matrix before it must be diagonal; a dozen do for any that occurs.
const SWEEPS_MAX: usize = 64;

/// Mean correlation of every pair of assets, `-1/(N - 1)` to 1, from each day's sum of the assets' standardised returns
/// `u`: `(Var(sum u_i) / N - 1) / (N - 1)`. It takes a pass over the returns, and no pair is ever formed.
///
/// `None` for fewer than two assets or two days, and where an asset did not move.
pub fn mean_pairwise_correlation(assets: usize, rows: &[f64]) -> Option<f64> {
    if assets < 2 || !rows.len().is_multiple_of(assets) || rows.len() / assets < 2 {
        return None;
    }
    let mut sums = vec![0.0; rows.len() / assets];
    for asset in 0..assets {
        let own: Vec<f64> = rows.iter().skip(asset).step_by(assets).copied().collect();
        let sigma = sample_sigma(&own).filter(|s| *s > 0.0)?;
        for (sum, r) in sums.iter_mut().zip(own) {
            *sum += r / sigma;
        }
    }
    let n = assets as f64;
    let of_sum = sample_sigma(&sums)?;
    Some(((of_sum * of_sum / n - 1.0) / (n - 1.0)).clamp(-1.0 / (n - 1.0), 1.0))
}

/// The one correlation at which assets of these weights and volatilities make an index of that volatility:
/// `(sigma_I^2 - sum w^2 sigma^2) / ((sum w sigma)^2 - sum w^2 sigma^2)`, as Cboe's implied correlation indices have it.
///
/// Outside of -1 to 1 the index is not of these assets and weights alone. `None` where the two bounds are one.
pub fn implied_correlation(assets: &[(f64, f64)], index_sigma: f64) -> Option<f64> {
    let own: f64 = assets.iter().map(|(w, s)| w * w * s * s).sum();
    let together: f64 = assets.iter().map(|(w, s)| w * s).sum();
    let room = together * together - own;
    (room > f64::EPSILON * own).then(|| (index_sigma * index_sigma - own) / room)
}

/// Share of the assets' total variance that their `leading` first principal components take, 0 to 1 (Kritzman, Li, Page and
/// Rigobon 2011, "Principal components as a measure of systemic risk"; here every day weighs the same).
///
/// `None` without assets or two days, and where no asset moved.
pub fn absorption_ratio(assets: usize, rows: &[f64], leading: usize) -> Option<f64> {
    if assets == 0 || !rows.len().is_multiple_of(assets) || rows.len() / assets < 2 {
        return None;
    }
    let days = (rows.len() / assets) as f64;
    let mean = |at: usize| rows.iter().skip(at).step_by(assets).sum::<f64>() / days;
    let means: Vec<f64> = (0..assets).map(mean).collect();
    let centred: Vec<f64> = rows.iter().enumerate().map(|(at, r)| r - means[at % assets]).collect();
    let mut matrix = vec![0.0; assets * assets];
    for i in 0..assets {
        for j in 0..=i {
            let product: f64 = centred.chunks_exact(assets).map(|day| day[i] * day[j]).sum();
            (matrix[i * assets + j], matrix[j * assets + i]) = (product, product);
        }
    }
    let mut values = eigenvalues(assets, matrix);
    values.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = values.iter().sum();
    (total > 0.0).then(|| values.iter().take(leading).sum::<f64>() / total)
}

/// Eigenvalues of a symmetric matrix, by Jacobi's rotations.
fn eigenvalues(n: usize, mut a: Vec<f64>) -> Vec<f64> {
    let size: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS_MAX {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j] * a[i * n + j]).sum();
        if off <= size * 1e-32 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                turn(n, &mut a, p, q);
            }
        }
    }
    (0..n).map(|i| a[i * n + i]).collect()
}

/// Turns the plane of two axes so that their entry is 0.
fn turn(n: usize, a: &mut [f64], one: usize, other: usize) {
    let entry = a[one * n + other];
    if entry == 0.0 {
        return;
    }
    let theta = (a[other * n + other] - a[one * n + one]) / (2.0 * entry);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let mut mix = |at: usize, with: usize| {
        let (here, there) = (a[at], a[with]);
        (a[at], a[with]) = (cosine * here - sine * there, sine * here + cosine * there);
    };
    (0..n).for_each(|k| mix(k * n + one, k * n + other));
    (0..n).for_each(|k| mix(one * n + k, other * n + k));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: Option<f64>, wanted: f64) {
        assert!((found.unwrap() - wanted).abs() < 1e-12, "{found:?} is not {wanted}");
    }

    #[test]
    fn the_correlation_that_makes_an_index_by_hand() {
        is_near(implied_correlation(&[(0.5, 0.02), (0.3, 0.03), (0.2, 0.01)], 0.017), 0.406_25);
        // Alone, or without volatility, there is nothing between which it could lie.
        assert_eq!(implied_correlation(&[(1.0, 0.02)], 0.02), None);
        assert_eq!(implied_correlation(&[(0.5, 0.0), (0.5, 0.0)], 0.01), None);
    }

    #[test]
    fn assets_that_are_one_or_opposite() {
        let one = [0.01, 0.02, -0.02, -0.04, 0.03, 0.06];
        is_near(mean_pairwise_correlation(2, &one), 1.0);
        is_near(absorption_ratio(2, &one, 1), 1.0);
        is_near(mean_pairwise_correlation(2, &one.map(f64::abs)), 1.0);
        let opposite = [0.01, -0.01, -0.02, 0.02, 0.03, -0.03];
        is_near(mean_pairwise_correlation(2, &opposite), -1.0);
    }

    #[test]
    fn components_of_a_plane_by_hand() {
        // Uncorrelated, with variances as 9 to 1.
        let rows = [3.0, 1.0, 3.0, -1.0, -3.0, 1.0, -3.0, -1.0];
        is_near(absorption_ratio(2, &rows, 1), 0.9);
        is_near(absorption_ratio(2, &rows, 2), 1.0);
        is_near(mean_pairwise_correlation(2, &rows), 0.0);
    }

    #[test]
    fn what_cannot_be_measured_is_not() {
        assert_eq!(mean_pairwise_correlation(1, &[0.1, 0.2]), None);
        assert_eq!(mean_pairwise_correlation(2, &[0.1, 0.2]), None, "one day");
        assert_eq!(mean_pairwise_correlation(2, &[0.1, 0.2, 0.1, 0.3]), None, "one did not move");
        assert_eq!(absorption_ratio(0, &[], 1), None);
        assert_eq!(absorption_ratio(2, &[0.1, 0.2, 0.1, 0.2], 1), None, "nothing moved");
    }
}
