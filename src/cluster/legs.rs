//! The seven legs of a group's verdict, and where each stands in its own history.

use crate::domain::{LegRank, SessionDate};
use std::sync::Arc;

/// Names of the legs, in the order that everything about them keeps.
pub const LEG_NAMES: [&str; 7] =
    ["basket_z", "rms_z", "turbulence", "breadth", "dispersion", "max_member_loss_usd", "group_loss_usd"];

/// Observations without which a percentile is not known.
pub(crate) const OBSERVATIONS_MIN: usize = 252;
/// Sessions of its own that a group keeps: thirty years.
const OWN_MAX: usize = 8_192;
/// What a leg has to reach to count, and to count as extreme.
pub(crate) const PERCENTILES: [f64; 2] = [0.95, 0.99];

/// A value of each leg, `None` where it is not known. That of `basket_z` counts by its size.
pub type LegValues = [Option<f64>; LEG_NAMES.len()];

/// Measures of one session at its close, each `None` where it is not known.
#[derive(Clone, PartialEq, Debug)]
pub struct DayRow<const N: usize> {
    /// Session.
    pub session: SessionDate,
    /// The measures, in an order of their own.
    pub values: [Option<f64>; N],
}

/// The legs of one session at its close.
pub type LegRow = DayRow<{ LEG_NAMES.len() }>;

/// What a group's measures were, session by session: those of a file, then its own.
#[derive(Clone, Debug)]
pub(super) struct Past<const N: usize> {
    /// From outside, oldest first.
    given: Arc<[DayRow<N>]>,
    /// Sessions after the last one given, oldest first.
    own: Vec<DayRow<N>>,
    /// Values of sessions before this one ...
    before: SessionDate,
    /// ... by measure, smallest first.
    sorted: [Vec<f64>; N],
}

/// What a group's legs were.
pub(super) type LegHistory = Past<{ LEG_NAMES.len() }>;

impl<const N: usize> Past<N> {
    /// `given` in the order of its sessions.
    pub(super) fn new(given: Arc<[DayRow<N>]>) -> Self {
        Self { given, own: Vec::new(), before: SessionDate::MIN, sorted: std::array::from_fn(|_| Vec::new()) }
    }

    /// The same rows given, and no own ones.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.given.clone())
    }

    /// Keeps a session's measures, unless the rows given speak of it.
    pub(super) fn keep(&mut self, row: DayRow<N>) {
        if self.given.last().is_some_and(|last| row.session <= last.session) {
            return;
        }
        let is_ahead = row.session >= self.before;
        match self.own.binary_search_by_key(&row.session, |r| r.session) {
            Ok(at) => self.own[at] = row,
            Err(at) => self.own.insert(at, row),
        }
        let is_full = self.own.len() > OWN_MAX;
        if is_full {
            self.own.remove(0);
        }
        if is_full || !is_ahead {
            self.recount();
        }
    }

    /// The group's own sessions, oldest first.
    pub(super) fn own(&self) -> &[DayRow<N>] {
        &self.own
    }

    /// Looks from `session` on: what lies before it counts.
    pub(super) fn look_from(&mut self, session: SessionDate) {
        if session < self.before {
            self.recount();
        }
        let is_new = |r: &&DayRow<N>| r.session >= self.before && r.session < session;
        for row in self.given.iter().chain(&self.own).filter(is_new) {
            for (sorted, value) in self.sorted.iter_mut().zip(row.values) {
                let Some(value) = value else { continue };
                sorted.insert(sorted.partition_point(|v| *v < value), value);
            }
        }
        self.before = session;
    }

    fn recount(&mut self) {
        self.before = SessionDate::MIN;
        self.sorted.iter_mut().for_each(Vec::clear);
    }

    /// Where a value of a measure stands among those before the session looked from; `None` when they are too few.
    pub(super) fn rank(&self, measure: usize, value: f64) -> Option<LegRank> {
        let sorted = &self.sorted[measure];
        let below = sorted.partition_point(|v| *v < value);
        let equal = sorted[below..].partition_point(|v| *v <= value);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (sorted.len() >= OBSERVATIONS_MIN).then(|| LegRank {
            below: count(below),
            equal: count(equal),
            observations: count(sorted.len()),
            bounds: PERCENTILES.map(|p| bound(sorted, p)),
        })
    }
}

/// The value beyond which the mid-rank is at least `percentile`.
fn bound(sorted: &[f64], percentile: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let below = (percentile * sorted.len() as f64).ceil() as usize;
    sorted[below.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i32) -> SessionDate {
        SessionDate::from_days(20_000 + n).unwrap()
    }

    fn row(n: i32, value: Option<f64>) -> LegRow {
        LegRow { session: day(n), values: [value; 7] }
    }

    #[test]
    fn a_percentile_is_a_mid_rank_of_what_lies_before() {
        let given: Arc<[LegRow]> = (0..300).map(|n| row(n, Some(f64::from(n / 2)))).collect();
        let mut history = LegHistory::new(given);
        history.look_from(day(251));
        assert_eq!(history.rank(0, 5.0), None, "251 are too few");
        history.look_from(day(252));
        let rank = history.rank(0, 5.0).unwrap();
        assert_eq!((rank.below, rank.equal, rank.observations), (10, 2, 252));
        assert!((rank.percentile() - 11.0 / 252.0).abs() < 1e-15);
        // What comes later does not count, and beyond all is 1.
        assert!((history.rank(0, 126.0).unwrap().percentile() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_bound_divides_what_reaches_from_what_does_not() {
        let given: Arc<[LegRow]> = (0..1000).map(|n| row(n, Some(f64::from(n)))).collect();
        let mut history = LegHistory::new(given);
        history.look_from(day(1000));
        for (at, percentile) in PERCENTILES.into_iter().enumerate() {
            let bound = history.rank(0, 0.0).unwrap().bounds[at];
            assert!(history.rank(0, bound + 0.5).unwrap().percentile() >= percentile);
            assert!(history.rank(0, bound - 0.5).unwrap().percentile() < percentile);
        }
    }

    #[test]
    fn own_sessions_follow_the_last_one_given() {
        let mut history = LegHistory::new((0..300).map(|n| row(n, Some(1.0))).collect());
        history.keep(row(299, Some(9.0)));
        history.keep(row(301, Some(9.0)));
        history.keep(row(300, None));
        assert_eq!(history.own().iter().map(|r| r.session).collect::<Vec<_>>(), [day(300), day(301)]);
        history.look_from(day(302));
        let rank = history.rank(0, 5.0).unwrap();
        assert_eq!((rank.below, rank.observations), (300, 301));
    }
}
