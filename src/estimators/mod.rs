//! Numerical core: sample moments of a window, event-time decay, exact threshold prices.
//!
//! Free functions over slices and small values. Nothing here keeps a symbol, reads a clock or rounds.

mod decay;
mod diurnal;
mod moments;
mod survival;
mod threshold;
mod window_moves;

pub use decay::DecayedSquares;
pub use diurnal::{diurnal_shares, median_abs};
pub use moments::{WINDOW, sample_sigma};
pub use survival::{SURVIVAL_MODEL, normal_cdf, survival};
pub use threshold::{log_multiple, threshold_price};
pub use window_moves::{WINDOW_SECS, WindowMoves};
