//! Returns of one regular session over five minutes each, by previous tick.

use crate::domain::{NANOS_PER_SEC, UnixNanos};

/// Length of a return, in nanoseconds: the customary one for realized measures of liquid names.
const RETURN_LENGTH: i64 = 300 * NANOS_PER_SEC;

/// Returns in a US session of full length.
pub const RETURNS_PER_SESSION: u32 = 78;

/// Returns kept of a session at most: a day of eight hours.
const RETURNS_MAX: usize = 96;

/// Log returns between grid points five minutes apart, each of the price in force there: the last one at or
/// before it (previous tick).
///
/// The first return begins with the session's first price and is as much shorter as that came late. A grid
/// point without a new price has a return of 0. O(1) a price, and only prices that pass a grid point need
/// be told. Where single bars are longer than five minutes there are no such returns.
#[derive(Clone, PartialEq, Debug)]
pub struct SessionReturns {
    /// Event time of the first price.
    pub first: UnixNanos,
    /// Price in force where the return at hand began.
    pub base: f64,
    /// Grid point at which the return at hand ends; a price at it belongs to it.
    pub end: UnixNanos,
    /// Returns so far.
    pub returns: Vec<f64>,
    /// Whether a price stood for more than one grid point before it.
    pub is_coarse: bool,
}

/// One return, and the span it is of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SpannedReturn {
    /// Where it begins.
    pub start: UnixNanos,
    /// Where it ends.
    pub end: UnixNanos,
    /// Its log return.
    pub log_return: f64,
}

fn grid_after(ts: UnixNanos) -> UnixNanos {
    UnixNanos((ts.0.div_euclid(RETURN_LENGTH) + 1).saturating_mul(RETURN_LENGTH))
}

impl SessionReturns {
    /// Returns kept of a session at most.
    pub const MOST: usize = RETURNS_MAX;

    /// Begins with the first price.
    pub fn begin(ts: UnixNanos, price: f64) -> Self {
        Self { first: ts, base: price, end: grid_after(ts), returns: Vec::new(), is_coarse: false }
    }

    /// Whether a grid point lies between two instants, so that one price for both says too little.
    pub fn is_split(start: UnixNanos, end: UnixNanos) -> bool {
        grid_after(start) < end
    }

    /// Ends the returns whose grid point lies before `ts`; `last_price` is the price in force until then.
    pub fn roll(&mut self, ts: UnixNanos, last_price: f64) {
        while self.end < ts && self.returns.len() < RETURNS_MAX {
            self.returns.push((last_price / self.base).ln());
            (self.base, self.end) = (last_price, self.end.plus(RETURN_LENGTH));
        }
    }

    /// The same as of `ts`, a grid point at `ts` included: `price` is the one in force there, `last_price` the one
    /// before.
    #[must_use]
    pub fn until(&self, ts: UnixNanos, last_price: f64, price: f64) -> Self {
        let mut until = self.clone();
        until.roll(ts, last_price);
        until.roll(ts.plus(1), price);
        until
    }

    /// The returns and their spans, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = SpannedReturn> {
        let mut start = self.first;
        let mut end = grid_after(start);
        self.returns.iter().map(move |log_return| {
            let spanned = SpannedReturn { start, end, log_return: *log_return };
            (start, end) = (end, end.plus(RETURN_LENGTH));
            spanned
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPEN: i64 = 1_738_161_000;

    fn at(secs: i64) -> UnixNanos {
        UnixNanos((OPEN + secs) * NANOS_PER_SEC)
    }

    #[test]
    fn a_price_at_a_grid_point_belongs_to_the_return_before_it() {
        let mut session = SessionReturns::begin(at(7), 100.0);
        session.roll(at(300), 100.0);
        assert!(session.returns.is_empty());
        session.roll(at(301), 101.0);
        assert_eq!(session.returns, [(1.01_f64).ln()]);
        // Ten minutes of silence: the price in force does not change.
        session.roll(at(1_000), 102.0);
        assert_eq!(session.returns[1..], [(102.0_f64 / 101.0).ln(), 0.0]);
        let spans: Vec<_> = session.iter().map(|r| (r.start, r.end)).collect();
        assert_eq!(spans, [(at(7), at(300)), (at(300), at(600)), (at(600), at(900))]);
    }

    #[test]
    fn what_is_asked_at_a_grid_point_knows_its_price_and_changes_nothing() {
        let session = SessionReturns::begin(at(0), 100.0);
        assert!(session.until(at(299), 100.0, 103.0).returns.is_empty());
        assert_eq!(session.until(at(300), 100.0, 103.0).returns, [(1.03_f64).ln()]);
        assert_eq!(session.until(at(600), 100.0, 103.0).returns, [0.0, (1.03_f64).ln()]);
        assert_eq!(session, SessionReturns::begin(at(0), 100.0));
    }

    #[test]
    fn a_session_that_never_ends_is_bounded() {
        let mut session = SessionReturns::begin(at(0), 100.0);
        session.roll(UnixNanos(i64::MAX), 101.0);
        assert_eq!(session.returns.len(), RETURNS_MAX);
    }

    proptest! {
        /// Against a look through every price there was.
        #[test]
        fn returns_are_those_of_the_prices_in_force(
            gaps in proptest::collection::vec(prop_oneof![0_i64..20, 0_i64..400, 0_i64..1_200], 1..80),
        ) {
            let mut now = 0;
            let mut session = SessionReturns::begin(at(0), 1.0);
            let mut all = vec![(0, 1.0)];
            for (n, gap) in gaps.iter().enumerate() {
                now = (now + gap).min(23_400);
                session.roll(at(now), all[all.len() - 1].1);
                all.push((now, 2.0 + n as f64));
            }
            let in_force = |secs: i64| all.iter().rev().find(|(t, _)| *t <= secs).unwrap().1;
            let until = session.until(at(now), all[all.len() - 1].1, all[all.len() - 1].1);
            // The first return begins with the first price, and not with the last at that instant.
            let start = |k: i64| if k == 1 { 1.0 } else { in_force((k - 1) * 300) };
            let expected: Vec<f64> = (1..=now / 300).map(|k| (in_force(k * 300) / start(k)).ln()).collect();
            prop_assert_eq!(until.returns, expected);
        }
    }
}
