//! Turbulence: how unusual a day's returns of several assets are, together.

/// Most assets that are read together: a factorisation costs their number cubed.
pub const ASSETS_MAX: usize = 64;

/// Mean and shrunk covariance of several assets' returns.
///
/// The sample covariance `S` (about the mean, divided by the number of days) is drawn towards a multiple of the identity
/// matrix of the same trace: `(1 - d) S + d (tr S / N) I`, with the `d` of least expected squared error (Ledoit and Wolf
/// 2004, "A well-conditioned estimator for large-dimensional covariance matrices"). With `X` the centred returns of `n`
/// days, `m = tr S / N`:
///
/// ```text
/// delta = (sum S_ij^2 - N m^2) / N
/// beta  = (sum_ij (sum_t X_ti^2 X_tj^2) / n - sum S_ij^2) / (N n)
/// d     = min(beta, delta) / delta, 0 where beta is 0
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct ShrunkCovariance {
    mean: Vec<f64>,
    /// Row by row, symmetric.
    matrix: Vec<f64>,
    shrinkage: f64,
}

/// A day against what is usual.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Turbulence {
    /// `(1/N) (y - mu)' Sigma^-1 (y - mu)`: 1 on an average day.
    pub value: f64,
    /// The same with every correlation left out: how large the moves are.
    pub magnitude: f64,
}

impl Turbulence {
    /// How unusual the mix of the moves is for moves of that size: turbulence over magnitude.
    pub fn correlation_surprise(&self) -> Option<f64> {
        (self.magnitude > 0.0).then(|| self.value / self.magnitude)
    }
}

impl ShrunkCovariance {
    /// Estimates from `days` rows of returns, each of `assets` numbers, one row after the other.
    ///
    /// `None` without two rows, without assets or beyond [`ASSETS_MAX`], or where no asset moved.
    pub fn ledoit_wolf(assets: usize, rows: &[f64]) -> Option<Self> {
        if assets == 0 || assets > ASSETS_MAX || !rows.len().is_multiple_of(assets) || rows.len() / assets < 2 {
            return None;
        }
        let days = rows.len() / assets;
        let (n, p) = (days as f64, assets as f64);
        let column = |at: usize| rows.iter().skip(at).step_by(assets);
        let mean: Vec<f64> = (0..assets).map(|at| column(at).sum::<f64>() / n).collect();
        let centred: Vec<f64> = rows.iter().enumerate().map(|(at, r)| r - mean[at % assets]).collect();
        let (mut matrix, mut fourth, mut squares) = (vec![0.0; assets * assets], 0.0, 0.0);
        for i in 0..assets {
            for j in 0..=i {
                let (mut sum, mut sum_of_squares) = (0.0, 0.0);
                for day in centred.chunks_exact(assets) {
                    let product = day[i] * day[j];
                    sum += product;
                    sum_of_squares += product * product;
                }
                let s = sum / n;
                let times = if i == j { 1.0 } else { 2.0 };
                fourth += times * sum_of_squares;
                squares += times * s * s;
                (matrix[i * assets + j], matrix[j * assets + i]) = (s, s);
            }
        }
        let level = (0..assets).map(|i| matrix[i * assets + i]).sum::<f64>() / p;
        if level <= 0.0 {
            return None;
        }
        let delta = (squares - p * level * level) / p;
        let beta = ((fourth / n - squares) / (p * n)).min(delta);
        // Of one asset there is nothing to shrink.
        let shrinkage = if assets == 1 || beta <= 0.0 { 0.0 } else { beta / delta };
        for (at, s) in matrix.iter_mut().enumerate() {
            let target = if at.is_multiple_of(assets + 1) { level } else { 0.0 };
            *s = (1.0 - shrinkage) * *s + shrinkage * target;
        }
        Some(Self { mean, matrix, shrinkage })
    }

    /// Takes mean and covariance (row by row) as they are.
    ///
    /// `None` where their sizes do not fit, or the covariance is not symmetric.
    pub fn new(mean: Vec<f64>, matrix: Vec<f64>) -> Option<Self> {
        let assets = mean.len();
        let is_symmetric = || {
            (0..assets).all(|i| (0..i).all(|j| matrix[i * assets + j].to_bits() == matrix[j * assets + i].to_bits()))
        };
        let fits = (1..=ASSETS_MAX).contains(&assets) && matrix.len() == assets * assets && is_symmetric();
        fits.then_some(Self { mean, matrix, shrinkage: 0.0 })
    }

    /// Mean return of each asset.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, row by row.
    pub fn matrix(&self) -> &[f64] {
        &self.matrix
    }

    /// The weight `d` of the identity, from 0 to 1.
    pub fn shrinkage(&self) -> f64 {
        self.shrinkage
    }

    /// Mean and covariance of some of the assets alone, by their places.
    #[must_use]
    pub fn of(&self, assets: &[usize]) -> Self {
        let n = self.mean.len();
        Self {
            mean: assets.iter().map(|i| self.mean[*i]).collect(),
            matrix: assets.iter().flat_map(|i| assets.iter().map(|j| self.matrix[*i * n + *j])).collect(),
            shrinkage: self.shrinkage,
        }
    }

    /// The turbulence of a day with these returns (Kritzman and Li 2010, divided by the number of assets).
    ///
    /// `None` where their number is another, or the covariance has no inverse.
    pub fn turbulence(&self, returns: &[f64]) -> Option<Turbulence> {
        let n = self.mean.len();
        if returns.len() != n {
            return None;
        }
        let off: Vec<f64> = returns.iter().zip(&self.mean).map(|(y, m)| y - m).collect();
        // L L' = Sigma, and |L^-1 off|^2 is the distance wanted.
        let mut factor = vec![0.0; n * n];
        let (mut solved, mut distance, mut magnitude) = (vec![0.0; n], 0.0, 0.0);
        for i in 0..n {
            for j in 0..i {
                let below: f64 = (0..j).map(|k| factor[i * n + k] * factor[j * n + k]).sum();
                factor[i * n + j] = (self.matrix[i * n + j] - below) / factor[j * n + j];
            }
            let variance = self.matrix[i * n + i];
            let left = variance - (0..i).map(|k| factor[i * n + k] * factor[i * n + k]).sum::<f64>();
            if left <= 0.0 {
                return None;
            }
            factor[i * n + i] = left.sqrt();
            let below: f64 = (0..i).map(|k| factor[i * n + k] * solved[k]).sum();
            solved[i] = (off[i] - below) / factor[i * n + i];
            distance += solved[i] * solved[i];
            magnitude += off[i] * off[i] / variance;
        }
        let n = n as f64;
        let found = Turbulence { value: distance / n, magnitude: magnitude / n };
        (found.value.is_finite() && found.magnitude.is_finite()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_assets_by_hand() {
        let known = ShrunkCovariance::new(vec![0.0; 2], vec![4e-4, 1.2e-4, 1.2e-4, 9e-4]).unwrap();
        let day = known.turbulence(&[-0.06, 0.05]).unwrap();
        assert!((day.value - 7.175_925_925_93).abs() < 1e-10);
        assert!((day.magnitude - 5.888_888_888_89).abs() < 1e-10);
        assert!((day.correlation_surprise().unwrap() - 1.218_553_459_12).abs() < 1e-10);
        // One asset alone is its own square.
        let alone = known.of(&[1]).turbulence(&[0.06]).unwrap();
        assert!((alone.value - 4.0).abs() < 1e-12 && (alone.magnitude - 4.0).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_estimated_is_not() {
        assert_eq!(ShrunkCovariance::ledoit_wolf(0, &[]), None);
        assert_eq!(ShrunkCovariance::ledoit_wolf(2, &[0.1, 0.2]), None);
        assert_eq!(ShrunkCovariance::ledoit_wolf(2, &[0.1, 0.2, 0.3]), None);
        assert_eq!(ShrunkCovariance::ledoit_wolf(1, &[0.5; 9]), None, "nothing moved");
        assert_eq!(ShrunkCovariance::ledoit_wolf(ASSETS_MAX + 1, &vec![0.1; 3 * (ASSETS_MAX + 1)]), None);
        assert_eq!(ShrunkCovariance::new(vec![0.0; 2], vec![1.0, 0.5, 0.4, 1.0]), None, "not symmetric");
        // Two assets that are one have no inverse.
        let twin = ShrunkCovariance::new(vec![0.0; 2], vec![1.0; 4]).unwrap();
        assert_eq!(twin.turbulence(&[1.0, 1.0]), None);
        assert_eq!(twin.turbulence(&[1.0]), None);
    }

    #[test]
    fn fewer_days_than_assets_still_have_an_inverse() {
        let rows = [0.01, -0.02, 0.005, 0.03, -0.01, 0.03, 0.0, 0.01, 0.02, 0.01, -0.01, -0.02];
        let few = ShrunkCovariance::ledoit_wolf(4, &rows).unwrap();
        assert!(few.shrinkage() > 0.0 && few.shrinkage() <= 1.0, "{few:?}");
        assert!(few.turbulence(&[0.01; 4]).is_some());
    }
}
