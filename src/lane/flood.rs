//! A flood of refused records: one thing to say, however many there are.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over which refused records are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Refused records within the window that make a flood; it is over at half of them.
const FLOOD_AT: u64 = 1_000;

/// Watches a growing count.
#[derive(Debug, Default)]
pub(super) struct Flood {
    seen: VecDeque<(Instant, u64)>,
    is_on: bool,
}

impl Flood {
    /// Looks at the count so far: the count within the window when a flood begins, 0 when it ends, else nothing.
    pub(super) fn look(&mut self, now: Instant, total: u64) -> Option<u64> {
        while self.seen.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.seen.pop_front();
        }
        let within = total.saturating_sub(self.seen.front().map_or(total, |(_, count)| *count));
        self.seen.push_back((now, total));
        match self.is_on {
            false if within >= FLOOD_AT => {
                self.is_on = true;
                Some(within)
            }
            true if within < FLOOD_AT / 2 => {
                self.is_on = false;
                Some(0)
            }
            _ => None,
        }
    }

    /// Whether there is one.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_flood_is_said_once_and_its_end_once() {
        let (mut flood, start) = (Flood::default(), clock::monotonic());
        let mut said = Vec::new();
        let mut total = 0;
        for second in 0..40_u64 {
            total += match second {
                5..15 => 400,
                _ => 10,
            };
            if let Some(change) = flood.look(start + Duration::from_secs(second), total) {
                said.push((second, change > 0));
            }
        }
        // Three seconds of 400 reach 1,000 within ten seconds; when one of them is left, with nine of 10, it is over.
        assert_eq!(said, [(7, true), (23, false)]);
    }

    #[test]
    fn what_was_refused_before_the_first_look_is_no_flood() {
        let mut flood = Flood::default();
        assert_eq!(flood.look(clock::monotonic(), 1_000_000), None);
        assert!(!flood.is_on());
    }
}
