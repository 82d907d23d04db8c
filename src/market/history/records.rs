//! The largest changes of a security's market value, and where a change stands among them.

use super::History;
use crate::domain::{RecordRank, SessionDate};

/// Largest changes kept of the sessions before the closes kept, on either side.
const KEPT: usize = 16;

/// The largest changes of sessions whose closes are no longer kept.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ValueRecords {
    /// Sizes of losses, then of gains, in US dollars, largest first; at most 16 of each.
    pub largest: [Vec<f64>; 2],
    /// Sessions counted, whatever their direction.
    pub sessions: u32,
}

fn side(change: f64) -> usize {
    usize::from(change > 0.0)
}

impl ValueRecords {
    fn keep(&mut self, change: f64) {
        self.sessions = self.sessions.saturating_add(1);
        let size = change.abs();
        let largest = &mut self.largest[side(change)];
        let at = largest.partition_point(|other| *other >= size);
        largest.insert(at, size);
        largest.truncate(KEPT);
    }

    /// The same without what no change can be.
    pub(super) fn checked(&self) -> Self {
        let sound = |list: &Vec<f64>| {
            let mut list: Vec<f64> = list.iter().copied().filter(|size| *size >= 0.0 && size.is_finite()).collect();
            list.sort_by(|a, b| b.total_cmp(a));
            list.truncate(KEPT);
            list
        };
        Self { largest: self.largest.each_ref().map(sound), sessions: self.sessions.min(u32::MAX / 2) }
    }
}

impl History {
    /// What the market value of a session with a known return changed by.
    fn value_change(&self, session: SessionDate, close: f64, log_return: f64) -> Option<f64> {
        let change = self.shares_before(session)? * (close - close / log_return.exp());
        change.is_finite().then_some(change)
    }

    /// Lets a session leave the closes kept.
    pub(super) fn retire_value(&mut self, session: SessionDate, close: f64, log_return: Option<f64>) {
        if let Some(change) = log_return.and_then(|r| self.value_change(session, close, r)) {
            self.records.keep(change);
        }
    }

    /// Where a change of market value in `session` stands among those of the sessions before it, of the same direction.
    ///
    /// Sessions count whose return and share count were known; in US dollars as they were.
    pub fn record_rank(&self, session: SessionDate, change: f64) -> RecordRank {
        // Sums of equal prices differ in their last digits.
        let size = change.abs() * (1.0 + 1e-9);
        let before = self.closes.iter().filter(|c| c.session < session);
        let changes = before.filter_map(|c| self.value_change(c.session, c.price.get(), c.log_return?));
        let (mut larger, mut sessions) = (0_u32, self.records.sessions);
        for other in changes {
            sessions = sessions.saturating_add(1);
            larger += u32::from(side(other) == side(change) && other.abs() > size);
        }
        let older = &self.records.largest[side(change)];
        let above = older.partition_point(|other| *other > size);
        let place = u32::try_from(above).ok().filter(|_| above < KEPT && sessions > 0);
        let rank = place.map(|above| larger + above + 1);
        RecordRank { rank, sessions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CloseBasis, Price};
    use crate::market::{Calendar, CalendarOverlay};

    #[test]
    fn a_change_is_ranked_among_all_that_came_before_it() {
        let calendar = Calendar::xnys(&CalendarOverlay::default()).unwrap();
        let years = "2022-01-03".parse().unwrap().."2023-12-30".parse().unwrap();
        let days: Vec<SessionDate> =
            calendar.sessions().iter().map(|s| s.date).filter(|date| years.contains(date)).collect();
        let mut history = History::default();
        history.set_shares(days[0], 10.0);
        // Losses of 1 to 7 dollars, each made good the next day; one of 20 among the first.
        let mut changes = Vec::new();
        let mut before = 100.0;
        for (n, day) in days.iter().enumerate() {
            let close = if n % 2 == 0 {
                100.0
            } else if n == 5 {
                80.0
            } else {
                99.0 - (n / 2 % 7) as f64
            };
            let change = 10.0 * (close - before);
            if n > 1 {
                let found = history.record_rank(*day, change);
                let larger =
                    changes.iter().filter(|c: &&f64| **c * change > 0.0 && c.abs() > change.abs() + 1e-9).count();
                // The closes kept are compared in full, those before them by their sixteen largest.
                if let Some(rank) = found.rank {
                    assert_eq!(rank as usize, larger + 1, "{day}");
                } else {
                    assert!(larger >= KEPT, "{day}");
                }
                assert_eq!(found.sessions as usize, changes.len(), "{day}");
            }
            assert!(history.set_close(Some(&calendar), *day, Price::new(close).unwrap(), CloseBasis::Official));
            if n > 0 {
                changes.push(change);
            }
            before = close;
        }
        assert_eq!(history.record_rank(days[499], -200.5).rank, Some(1));
        assert_eq!(history.record_rank(days[499], -150.0).rank, Some(2));
    }
}
