//! What of a stock's move is its own.

use crate::domain::Unknown;
use crate::estimators::{WINDOW, sample_sigma};
use crate::market::SIGMA_MIN;

/// Sessions that beta is estimated on at most.
pub const BETA_WINDOW: usize = 252;
/// Sessions without which it is not known.
pub const BETA_RETURNS_MIN: usize = 63;

/// A stock's return beyond what the index explains, in its own sigmas.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct IdiosyncraticZ {
    /// Slope of the stock's log return on the benchmark's, over the sessions before.
    pub beta_estimated: f64,
    /// The same shrunk by a third towards 1: what is used.
    pub beta: f64,
    /// Sessions that it is estimated on.
    pub returns: usize,
    /// `r - beta r_I` of the session, log.
    pub residual: f64,
    /// Sample deviation of the residuals of the 21 sessions before.
    pub sigma: f64,
    /// `residual / sigma`.
    pub z: f64,
}

/// The idiosyncratic multiple of the last of `returns`: pairs of the stock's and the benchmark's log return, session by
/// session, oldest first.
///
/// `e = r - beta r_I`, `beta = (2 b + 1) / 3` with `b = cov(r, r_I) / var(r_I)` over the newest 252 sessions strictly before,
/// at least 63; `z = e / s`, `s` the sample deviation of `e` over the 21 sessions before. One beta, that of the session at
/// hand, is used for all 22 residuals: to use for each past session the one known before it costs 21 regressions more
/// and makes residuals that are not of one ruler. Today is in neither beta nor sigma. No intercept is taken off `e`.
///
/// # Errors
/// `WARMING` below 64 pairs; `INSUFFICIENT_VARIANCE` when the benchmark did not move, or `s` is below the floor of 2 basis
/// points a day.
///
/// Source: Blume (1975), Journal of Finance 30(3), 785-795: betas are drawn to 1; a third is the customary rounding.
/// Oracle: numpy, `tests/golden/derived.py`.
pub fn idiosyncratic_z(returns: &[(f64, f64)]) -> Result<IdiosyncraticZ, Unknown> {
    let Some(((stock, benchmark), before)) = returns.split_last() else { return Err(Unknown::Warming) };
    let window = &before[before.len().saturating_sub(BETA_WINDOW)..];
    if window.len() < BETA_RETURNS_MIN {
        return Err(Unknown::Warming);
    }
    let n = window.len() as f64;
    let mean_stock = window.iter().map(|(r, _)| r).sum::<f64>() / n;
    let mean_benchmark = window.iter().map(|(_, b)| b).sum::<f64>() / n;
    let squares: f64 = window.iter().map(|(_, b)| (b - mean_benchmark) * (b - mean_benchmark)).sum();
    let products: f64 = window.iter().map(|(r, b)| (r - mean_stock) * (b - mean_benchmark)).sum();
    let is_still = window.iter().all(|(_, b)| b.to_bits() == window[0].1.to_bits());
    let estimated = products / squares;
    if is_still || !estimated.is_finite() {
        return Err(Unknown::InsufficientVariance);
    }
    let beta = (2.0 * estimated + 1.0) / 3.0;
    let residuals: Vec<f64> = window[window.len() - WINDOW..].iter().map(|(r, b)| r - beta * b).collect();
    let sigma = sample_sigma(&residuals).filter(|s| *s >= SIGMA_MIN).ok_or(Unknown::InsufficientVariance)?;
    let residual = stock - beta * benchmark;
    Ok(IdiosyncraticZ { beta_estimated: estimated, beta, returns: window.len(), residual, sigma, z: residual / sigma })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stock that does twice what the benchmark does, give or take one percent by turns.
    fn pairs(n: usize) -> Vec<(f64, f64)> {
        let benchmark = |t: usize| 0.01 * (t as f64 * 2.1).sin();
        (0..n).map(|t| (2.0 * benchmark(t) + if t % 2 == 0 { 0.01 } else { -0.01 }, benchmark(t))).collect()
    }

    #[test]
    fn a_market_move_is_nobodys_own() {
        let mut returns = pairs(300);
        returns.push((0.10, 0.05));
        let market = idiosyncratic_z(&returns).unwrap();
        assert_eq!(market.returns, 252);
        assert!((market.beta_estimated - 2.0).abs() < 0.02, "{market:?}");
        assert!((market.beta - (2.0 * market.beta_estimated + 1.0) / 3.0).abs() < 1e-15);
        *returns.last_mut().unwrap() = (0.10, 0.0);
        let own = idiosyncratic_z(&returns).unwrap();
        assert!(own.z > 5.0 && own.z > 4.0 * market.z, "{own:?} {market:?}");
        assert!((own.residual - 0.10).abs() < 1e-15);
    }

    #[test]
    fn today_is_in_neither_beta_nor_sigma() {
        let mut returns = pairs(120);
        returns.push((-0.3, 0.01));
        let first = idiosyncratic_z(&returns).unwrap();
        *returns.last_mut().unwrap() = (0.7, -0.04);
        let second = idiosyncratic_z(&returns).unwrap();
        assert_eq!((first.beta, first.sigma, first.returns), (second.beta, second.sigma, 120));
    }

    #[test]
    fn too_little_is_unknown() {
        assert_eq!(idiosyncratic_z(&[]), Err(Unknown::Warming));
        assert_eq!(idiosyncratic_z(&pairs(63)), Err(Unknown::Warming));
        assert!(idiosyncratic_z(&pairs(64)).is_ok());
        let still: Vec<_> = pairs(100).iter().map(|(r, _)| (*r, 0.001)).collect();
        assert_eq!(idiosyncratic_z(&still), Err(Unknown::InsufficientVariance));
        let twin: Vec<_> = pairs(100).iter().map(|(_, b)| (*b, *b)).collect();
        assert_eq!(idiosyncratic_z(&twin), Err(Unknown::InsufficientVariance), "nothing of its own");
    }
}
