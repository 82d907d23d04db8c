//! Numerical core: sample moments of a window, event-time decay, exact threshold prices.
//!
//! Free functions over slices and small values. Nothing here keeps a symbol, reads a clock or rounds.

mod decay;
mod moments;
mod threshold;

pub use decay::DecayedSquares;
pub use moments::{WINDOW, sample_sigma};
pub use threshold::{log_multiple, threshold_price};
