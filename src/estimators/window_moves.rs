//! Moves over the last 10 s, 60 s and 300 s of event time, in constant memory.
//!
//! Each window has a ring of eleven slots, a tenth of the window apart on a fixed grid of event time. A slot
//! holds the price in force at its instant: the last one at or before it (previous tick). Prices between two
//! grid points of the finest ring cost the caller one comparison; no logarithm is taken until a move is asked.

use crate::domain::{NANOS_PER_SEC, UnixNanos};

/// Lengths of the windows, in seconds.
pub const WINDOW_SECS: [u32; 3] = [10, 60, 300];

/// Slots to a window: a move reaches back over the window and less than a tenth of it more.
const SLOTS: i64 = 11;

/// Prices by slot.
type Ring = [f64; 11];

/// Nanoseconds between two slots of a ring.
const STEPS: [i64; 3] = [NANOS_PER_SEC, 6 * NANOS_PER_SEC, 30 * NANOS_PER_SEC];

/// The prices in force at the grid points of the last windows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WindowMoves {
    rings: [Ring; 3],
    /// Event time of the first price: nothing is known before.
    from: UnixNanos,
    /// Event time of the last price that passed a grid point.
    rolled: UnixNanos,
}

/// The grid point at or after `ts`.
fn ceil(ts: i64, step: i64) -> i64 {
    ts.saturating_add(step - 1).div_euclid(step).saturating_mul(step)
}

fn slot(grid: i64, step: i64) -> usize {
    usize::try_from(grid.div_euclid(step).rem_euclid(SLOTS)).unwrap_or(0)
}

impl WindowMoves {
    /// Begins with the first price.
    pub fn begin(ts: UnixNanos, price: f64) -> Self {
        Self { rings: [[price; 11]; 3], from: ts, rolled: ts }
    }

    /// Until when prices change no slot: the grid point at or after `ts`, in the finest ring.
    pub fn quiet_until(ts: UnixNanos) -> UnixNanos {
        UnixNanos(ceil(ts.0, STEPS[0]))
    }

    /// Writes the slots between the last roll and a new price at `ts`, which passes
    /// [`WindowMoves::quiet_until`] of the last roll. `last_price` is the price before it. At most
    /// eleven slots a ring, however long the silence.
    pub fn roll(&mut self, ts: UnixNanos, last_price: f64) {
        for (ring, step) in self.rings.iter_mut().zip(STEPS) {
            let first = ceil(self.rolled.0, step);
            // The last grid point before `ts`.
            let last = ceil(ts.0, step).saturating_sub(step);
            let mut at = first.max(last.saturating_sub((SLOTS - 1) * step));
            while at <= last {
                ring[slot(at, step)] = last_price;
                at += step;
            }
        }
        self.rolled = ts;
    }

    /// Instant and price that window number `window` reaches back to at `ts`, which is not before the last
    /// price. `last_price` is the newest price taken, for the time since the last roll. `None` until the
    /// window has filled.
    pub fn start(&self, window: usize, ts: UnixNanos, last_price: f64) -> Option<(UnixNanos, f64)> {
        let step = STEPS[window];
        let length = i64::from(WINDOW_SECS[window]) * NANOS_PER_SEC;
        let at = ts.0.saturating_sub(length).div_euclid(step).saturating_mul(step);
        if at < self.from.0 {
            return None;
        }
        let price = if at >= ceil(self.rolled.0, step) { last_price } else { self.rings[window][slot(at, step)] };
        Some((UnixNanos(at), price))
    }

    /// Prices by ring and slot, first and last roll, for snapshots.
    pub fn parts(&self) -> ([Ring; 3], UnixNanos, UnixNanos) {
        (self.rings, self.from, self.rolled)
    }

    /// The inverse of [`WindowMoves::parts`].
    pub fn from_parts(rings: [Ring; 3], from: UnixNanos, rolled: UnixNanos) -> Self {
        Self { rings, from, rolled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds prices as the engine does.
    struct Fed {
        moves: WindowMoves,
        quiet_until: UnixNanos,
        last: f64,
        all: Vec<(UnixNanos, f64)>,
    }

    impl Fed {
        fn begin(ts: UnixNanos, price: f64) -> Self {
            let moves = WindowMoves::begin(ts, price);
            Self { moves, quiet_until: WindowMoves::quiet_until(ts), last: price, all: vec![(ts, price)] }
        }

        fn take(&mut self, ts: UnixNanos, price: f64) {
            if ts > self.quiet_until {
                self.moves.roll(ts, self.last);
                self.quiet_until = WindowMoves::quiet_until(ts);
            }
            self.last = price;
            self.all.push((ts, price));
        }

        /// The same by looking through everything that came.
        fn slow(&self, window: usize, ts: UnixNanos) -> Option<(UnixNanos, f64)> {
            let step = STEPS[window];
            let at = UnixNanos((ts.0 - i64::from(WINDOW_SECS[window]) * NANOS_PER_SEC).div_euclid(step) * step);
            let in_force = self.all.iter().rev().find(|(t, _)| *t <= at)?;
            Some((at, in_force.1))
        }
    }

    #[test]
    fn bars_on_the_grid_reach_back_to_the_bar_before() {
        let at = |secs: i64| UnixNanos(1_738_161_000_000_000_000 + secs * NANOS_PER_SEC);
        let mut fed = Fed::begin(at(300), 100.0);
        assert_eq!(fed.moves.start(0, at(309), 100.0), None);
        fed.take(at(600), 101.0);
        assert_eq!(fed.moves.start(2, at(600), 101.0), Some((at(300), 100.0)));
        fed.take(at(900), 102.0);
        assert_eq!(fed.moves.start(2, at(900), 102.0), Some((at(600), 101.0)));
        // Asked later, without a new price.
        assert_eq!(fed.moves.start(0, at(950), 102.0), Some((at(940), 102.0)));
    }

    proptest! {
        #[test]
        fn rings_say_what_the_whole_history_says(
            begin in 0_i64..100_000,
            gaps in proptest::collection::vec(prop_oneof![0_i64..1_500, 0_i64..40_000, 0_i64..900_000], 1..200),
            asked in 0_i64..20_000,
        ) {
            let ms = |ms: i64| UnixNanos(1_738_161_000_000_000_000 + ms * 1_000_000);
            let mut fed = Fed::begin(ms(begin), 1.0);
            let mut at = begin;
            for (n, gap) in gaps.iter().enumerate() {
                at += gap;
                fed.take(ms(at), 2.0 + n as f64);
                for window in 0..3 {
                    for ts in [ms(at), ms(at + asked)] {
                        let got = fed.moves.start(window, ts, fed.last);
                        prop_assert_eq!(got, fed.slow(window, ts));
                    }
                }
            }
        }
    }
}
