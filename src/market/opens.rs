//! A symbol's opening prices, and the two parts of its daily returns: overnight and intraday.

use super::History;
use crate::domain::{Price, SessionDate};

/// Opening prices kept: the sessions that an overnight share asks for, and room for gaps.
const OPENS_KEPT: usize = 80;

/// Where an opening price comes from; a weaker one never replaces a stronger one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OpenBasis {
    /// The first price seen in the regular session.
    FirstPrice,
    /// A day bar, or a row of a daily history.
    Day,
}

impl OpenBasis {
    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstPrice => "first_price",
            Self::Day => "day_bar",
        }
    }
}

/// Opening prices by session, as traded.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Opens(Vec<(SessionDate, Price, OpenBasis)>);

impl Opens {
    /// Records an opening price; false when nothing changes. Of first prices the first stays.
    pub fn set(&mut self, session: SessionDate, price: Price, basis: OpenBasis) -> bool {
        match self.0.binary_search_by_key(&session, |(s, ..)| *s) {
            Ok(at) => {
                let known = &mut self.0[at];
                let stays = basis < known.2 || (basis == OpenBasis::FirstPrice && known.2 == basis);
                if stays || (known.1, known.2) == (price, basis) {
                    return false;
                }
                *known = (session, price, basis);
            }
            // Older than all that is kept: it can move no share any more.
            Err(0) if self.0.len() >= OPENS_KEPT => return false,
            Err(at) => {
                self.0.insert(at, (session, price, basis));
                if self.0.len() > OPENS_KEPT {
                    self.0.remove(0);
                }
            }
        }
        true
    }

    /// The opening price of a session, and where it comes from.
    pub fn of(&self, session: SessionDate) -> Option<(Price, OpenBasis)> {
        let at = self.0.binary_search_by_key(&session, |(s, ..)| *s).ok()?;
        let (_, price, basis) = self.0[at];
        Some((price, basis))
    }

    /// The first price of a session, where nothing stronger is known.
    pub fn first_price(&self, session: SessionDate) -> Option<Price> {
        self.of(session).filter(|(_, basis)| *basis == OpenBasis::FirstPrice).map(|(price, _)| price)
    }

    /// Takes the first price of a session back: the print may never have been.
    pub fn forget_first_price(&mut self, session: SessionDate) {
        self.0.retain(|(s, _, basis)| *s != session || *basis != OpenBasis::FirstPrice);
    }

    /// Those that no price of the market made.
    #[must_use]
    pub fn without_first_prices(&self) -> Self {
        Self(self.0.iter().filter(|(.., basis)| *basis != OpenBasis::FirstPrice).copied().collect())
    }

    /// Everything kept, oldest first, for snapshots.
    pub fn records(&self) -> &[(SessionDate, Price, OpenBasis)] {
        &self.0
    }

    /// Overnight and intraday log return of the last `most` sessions before `session` whose open, close and
    /// daily return are known, oldest first. They sum to the daily return, which is net of splits.
    pub fn parts(&self, history: &History, session: SessionDate, most: usize) -> Vec<(f64, f64)> {
        let end = self.0.partition_point(|(s, ..)| *s < session);
        let part = |(session, open, _): &(SessionDate, Price, OpenBasis)| {
            let close = history.close(*session)?;
            let intraday = (close.price.get() / open.get()).ln();
            Some((close.log_return? - intraday, intraday))
        };
        let mut parts: Vec<_> = self.0[..end].iter().rev().filter_map(part).take(most).collect();
        parts.reverse();
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CloseBasis;
    use crate::market::{Calendar, CalendarOverlay};

    fn price(value: f64) -> Price {
        Price::new(value).unwrap()
    }

    #[test]
    fn the_first_price_stays_until_a_day_bar_says_better() {
        let (mut opens, day) = (Opens::default(), "2025-01-27".parse().unwrap());
        assert!(opens.set(day, price(124.8), OpenBasis::FirstPrice));
        assert!(!opens.set(day, price(125.0), OpenBasis::FirstPrice));
        assert!(opens.set(day, price(124.75), OpenBasis::Day));
        assert!(!opens.set(day, price(124.75), OpenBasis::Day));
        assert!(!opens.set(day, price(124.8), OpenBasis::FirstPrice));
        assert!(opens.set(day, price(124.7), OpenBasis::Day));
        assert_eq!(opens.records(), [(day, price(124.7), OpenBasis::Day)]);
    }

    #[test]
    fn parts_sum_to_the_daily_return_net_of_splits() {
        let calendar = Calendar::xnys(&CalendarOverlay::default()).unwrap();
        let (mut history, mut opens) = (History::default(), Opens::default());
        let days = ["2024-06-06", "2024-06-07", "2024-06-10", "2024-06-11"].map(|d| d.parse().unwrap());
        history.set_split(Some(&calendar), days[2], 10.0);
        for (day, close) in days.into_iter().zip([1000.0, 1010.0, 99.0, 101.0]) {
            history.set_close(Some(&calendar), day, price(close), CloseBasis::Official);
        }
        opens.set(days[0], price(990.0), OpenBasis::Day);
        opens.set(days[2], price(100.0), OpenBasis::Day);
        opens.set(days[3], price(100.0), OpenBasis::Day);
        // The first has no return, the second no open, the last is not before itself.
        let parts = opens.parts(&history, days[3], 63);
        let [(overnight, intraday)] = parts[..] else { panic!("{parts:?}") };
        assert!((overnight - (100.0_f64 / 101.0).ln()).abs() < 1e-15);
        assert!((intraday - 0.99_f64.ln()).abs() < 1e-15);
        assert_eq!(opens.parts(&history, "2024-06-12".parse().unwrap(), 1).len(), 1);
    }

    #[test]
    fn the_oldest_go() {
        let mut opens = Opens::default();
        let day = |n: i32| SessionDate::from_days(20_000 + n).unwrap();
        for n in 0..200 {
            opens.set(day(n), price(1.0), OpenBasis::Day);
        }
        assert_eq!((opens.records().len(), opens.records()[0].0), (OPENS_KEPT, day(200 - 80)));
        assert!(!opens.set(day(0), price(1.0), OpenBasis::Day));
    }
}
