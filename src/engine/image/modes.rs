//! What the modes without a window keep, as plain numbers.

use super::bounds::SEQUENCE_MAX;
use crate::estimators::{Ewma, RM2006_AVERAGES, RecursiveModes};
use serde::{Deserialize, Serialize};

/// Returns taken, averages with their weights, and the variance of the GARCH filter.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct RecursiveImage {
    returns: u64,
    ewma_94: (f64, f64),
    rm2006: [(f64, f64); RM2006_AVERAGES],
    garch: Option<f64>,
}

impl From<&RecursiveModes> for RecursiveImage {
    fn from(modes: &RecursiveModes) -> Self {
        Self {
            returns: modes.returns,
            ewma_94: (modes.ewma_94.squares, modes.ewma_94.weight),
            rm2006: modes.rm2006.map(|e| (e.squares, e.weight)),
            garch: modes.garch,
        }
    }
}

impl RecursiveImage {
    /// The modes; as before the first return where a number is none.
    pub(super) fn restore(&self) -> RecursiveModes {
        let averages = self.rm2006.iter().chain([&self.ewma_94]).flat_map(|(squares, weight)| [*squares, *weight]);
        if !averages.chain(self.garch).all(|n| n.is_finite() && n >= 0.0) {
            return RecursiveModes::default();
        }
        let ewma = |(squares, weight): (f64, f64)| Ewma { squares, weight };
        RecursiveModes {
            returns: self.returns.min(SEQUENCE_MAX),
            ewma_94: ewma(self.ewma_94),
            rm2006: self.rm2006.map(ewma),
            garch: self.garch,
        }
    }
}
