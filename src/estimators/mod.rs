//! Numerical core: the canonical volatility and the named modes beside it, realized measures and jump tests,
//! event-time decay, exact threshold prices.
//!
//! Free functions over slices and small values. Nothing here keeps a symbol, reads a clock or rounds. Returns
//! are log returns between prices that exist ([`crate::domain::Price`]), so finite and at most 56 in size; no
//! sum of their squares or products can overflow. Volatilities and variances are of one day (or one session,
//! or one second where it says so) and never annualized. What each is worth, and how far it agrees with
//! other implementations, is in `docs/estimators.md`.

mod beta;
mod correlation;
mod decay;
mod diurnal;
mod echo;
mod ewma;
mod garch;
mod hawkes;
mod lee_mykland;
mod modes;
mod moments;
mod parameter;
mod range_based;
mod rate;
mod realized;
mod robust;
mod session_returns;
mod survival;
mod threshold;
mod trend;
mod turbulence;
mod window_moves;

pub use beta::jeffreys_interval;
pub use correlation::{absorption_ratio, implied_correlation, mean_pairwise_correlation};
pub use decay::DecayedSquares;
pub use diurnal::{diurnal_shares, median_abs};
pub use echo::{WindowEcho, window_echo};
pub use ewma::{DecayFactor, Ewma, RM2006_AVERAGES, RiskMetrics2006};
pub use garch::GarchParams;
pub use hawkes::{
    FitRefusal, HAWKES_EVENTS_MIN, HAWKES_KINDS_MAX, Hawkes, HawkesEvent, HawkesFit, HawkesImage, HawkesParams,
    fit_hawkes,
};
pub use lee_mykland::{DiurnalFactor, JUMP_WINDOW_MAX, JumpThreshold, LeeMykland, LeeMyklandImage, lee_mykland_window};
pub use modes::{DailyModes, Day, Mode, ModeParams, RecursiveModes};
pub use moments::{WINDOW, sample_sigma, zero_mean_sigma};
pub use parameter::ParameterError;
pub use range_based::{
    DailyBar, garman_klass_gap_variance, garman_klass_variance, parkinson_variance, rogers_satchell_variance,
    yang_zhang_variance,
};
pub use rate::{TimeConstant, TimeEwma, VarianceRate};
pub use realized::{JumpTest, Realized, normal_upper_tail};
pub use robust::{ShockRule, mad_sigma, trimmed_sigma, winsorized_sigma, zero_centred_mad_sigma};
pub use session_returns::{RETURNS_PER_SESSION, SessionReturns, SpannedReturn};
pub use survival::{SURVIVAL_MODEL, normal_cdf, survival};
pub use threshold::{log_multiple, threshold_price};
pub use trend::{
    TREND_CLOSES_MAX, TREND_HORIZON_MAX, TREND_RETURNS_MIN, TREND_SIGNALS_MAX, TrendModel, TrendParams, TrendPath,
    TrendScenario, TrendSignal, TrendSignalView, TrendTrigger, TrendView, closes_of_returns,
};
pub use turbulence::{ASSETS_MAX, ShrunkCovariance, Turbulence};
pub use window_moves::{WINDOW_SECS, WindowMoves};
