//! The returns from an anchor on.

use super::Anchor;
use crate::domain::{self, Unknown};
use std::collections::VecDeque;

/// Log returns since an anchor: their sum, or of a trailing window each.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Window {
    /// Length of a trailing window.
    pub(super) length: Option<usize>,
    /// Oldest first, with the weight before each; a single sum where nothing trails.
    pub(super) parts: VecDeque<(domain::Reading, Option<f64>)>,
    /// Sessions taken.
    pub(super) sessions: usize,
}

impl Window {
    pub(super) fn new(anchor: &Anchor) -> Self {
        let length = if let Anchor::Trailing(n) = anchor { Some(*n) } else { None };
        Self { length, parts: VecDeque::new(), sessions: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.sessions = 0;
    }

    pub(super) fn push(&mut self, log_return: domain::Reading, weight: Option<f64>) {
        match (self.length, self.parts.back_mut()) {
            (None, Some(sum)) => sum.0 = sum.0.and_then(|s| Ok(s + log_return?)),
            _ => self.parts.push_back((log_return, weight)),
        }
        self.sessions = self.sessions.saturating_add(1);
        if self.length.is_some_and(|n| self.parts.len() > n) {
            self.parts.pop_front();
            self.sessions = self.parts.len();
        }
    }

    /// Sessions that the sum is of.
    pub(super) fn sessions(&self) -> usize {
        self.sessions
    }

    /// `exp(sum r) - 1`; unknown where a return is, or where it does not reach as far back as the benchmark's.
    pub(super) fn simple_return(&self, benchmark: &Self) -> domain::Reading {
        let needed = self.length.unwrap_or(benchmark.sessions).max(1);
        if self.sessions < needed {
            return Err(Unknown::Warming);
        }
        self.parts.iter().map(|(r, _)| *r).sum::<domain::Reading>().map(f64::exp_m1)
    }

    /// The weight before the first return.
    pub(super) fn weight(&self) -> Option<f64> {
        self.parts.front().and_then(|(_, weight)| *weight)
    }
}
