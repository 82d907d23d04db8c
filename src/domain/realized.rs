//! What a session's own returns over five minutes say of it.

use super::{Reading, UnixNanos, Unknown};

/// Realized measures and jump statistics of one session so far. Variances are squared log returns of a session,
/// open to close, never annualized.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RealizedView {
    /// Returns so far.
    pub returns: u32,
    /// Realized variance.
    pub variance: Reading,
    /// Bipower variation.
    pub bipower_variation: Reading,
    /// Minimum realized variance.
    pub min_variance: Reading,
    /// Median realized variance.
    pub median_variance: Reading,
    /// Tripower quarticity.
    pub tripower_quarticity: Reading,
    /// What a session would have at the rate of the last half hour, decayed by the time of each return.
    pub ewma_variance: Reading,
    /// Ratio test for a jump in the session so far.
    pub jump: Result<JumpView, Unknown>,
    /// The return that is the likeliest jump.
    pub largest: Result<LargestReturn, Unknown>,
}

/// A test for jumps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct JumpView {
    /// The statistic.
    pub z: f64,
    /// Probability of a statistic at least as large without a jump.
    pub p_value: f64,
}

/// The return with the largest jump statistic.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LargestReturn {
    /// Where it ends.
    pub end: UnixNanos,
    /// Its log return.
    pub log_return: f64,
    /// Its size against the volatility of the returns before it, with its sign.
    pub statistic: f64,
    /// Probability that the largest of a session is at least as large without a jump.
    pub p_value: f64,
}
