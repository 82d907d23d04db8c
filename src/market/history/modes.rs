//! The named volatilities beside the canonical one, and the echo of its largest return.

use super::{CLOSES_KEPT, Close, History, LONG_WINDOW};
use crate::domain::{Price, SessionDate};
use crate::estimators::{DailyBar, DailyModes, Day, RecursiveModes, WindowEcho, window_echo};
use crate::market::Calendar;

impl History {
    /// Records open, high and low of a session, as traded; a later record replaces an earlier one.
    pub fn set_range(&mut self, session: SessionDate, range: [Price; 3]) {
        match self.ranges.binary_search_by_key(&session, |(s, _)| *s) {
            Ok(at) => self.ranges[at].1 = range,
            Err(0) if self.ranges.len() >= CLOSES_KEPT => {}
            Err(at) => {
                self.ranges.insert(at, (session, range));
                if self.ranges.len() > CLOSES_KEPT {
                    self.ranges.remove(0);
                }
            }
        }
    }

    /// Every mode's volatility for `session`, from what was known before it.
    ///
    /// Bars are measured against the close before them, net of splits between the two. O(closes kept + 252).
    pub fn modes(&self, calendar: Option<&Calendar>, session: SessionDate) -> DailyModes {
        let mut older = self.recursive;
        for log_return in &self.older {
            older.update(&self.mode_params, *log_return);
        }
        let days: Vec<Day> = self.closes.iter().map(|close| self.day(calendar, close)).collect();
        DailyModes::before(session, &self.mode_params, &older, &days)
    }

    fn day(&self, calendar: Option<&Calendar>, close: &Close) -> Day {
        let range = self.ranges.binary_search_by_key(&close.session, |(s, _)| *s).ok().map(|at| self.ranges[at].1);
        let bar = range.and_then(|[open, high, low]| {
            let before = calendar.and_then(|c| self.close(c.previous(close.session)?.date));
            let before = before.map(|b| b.price.get() / self.split_ratio(b.session, close.session));
            DailyBar::new(open, high, low, close.price, before.and_then(|p| Price::new(p).ok())).ok()
        });
        Day { session: close.session, log_return: close.log_return, bar }
    }

    /// How much of the canonical window before `session` is its largest return.
    pub fn echo(&self, session: SessionDate) -> Option<WindowEcho> {
        window_echo(&self.window(session))
    }

    /// A return leaves the list of closes, and the oldest of those kept as plain numbers goes into the
    /// recursions.
    pub(super) fn retire(&mut self, log_return: Option<f64>) {
        self.older.extend(log_return);
        if self.older.len() > LONG_WINDOW
            && let Some(oldest) = self.older.pop_front()
        {
            self.recursive.update(&self.mode_params, oldest);
        }
    }

    /// The recursions, for snapshots.
    pub fn recursive(&self) -> &RecursiveModes {
        &self.recursive
    }
}
