//! Corporate actions: what carries a closing price from one session to a later one.
//!
//! Each action has an ex-date and takes effect at the first session from it on. Of one ex-date the split
//! comes first: a dividend is per share as it trades from then on. A record replaces the one before it of
//! the same kind and ex-date; ratio 1 and amount 0 take one back. The order in which records come does not
//! matter.

use super::flags::{Flag, Flags};
use super::upsert;
use crate::domain::{DividendKind, SessionDate};

/// Whether a cash dividend is a loss to who holds the share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReturnMode {
    /// It is: the reference stays, and the session is flagged.
    #[default]
    PriceReturn,
    /// It is not: it is taken off the reference.
    TotalReturn,
}

/// The actions of one symbol.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Actions {
    pub(super) mode: ReturnMode,
    /// New shares for one old, by ex-date; 1 says that there is no split.
    pub(super) splits: Vec<(SessionDate, f64)>,
    /// Cash per share, by ex-date; 0 says that there is none.
    pub(super) cash: Vec<(SessionDate, f64)>,
    /// Value per share of what is spun off, by ex-date.
    pub(super) spin_offs: Vec<(SessionDate, f64)>,
}

/// A list of actions within dates.
fn between(list: &[(SessionDate, f64)], after: SessionDate, to: SessionDate) -> &[(SessionDate, f64)] {
    let start = list.partition_point(|(ex, _)| *ex <= after);
    let end = list.partition_point(|(ex, _)| *ex <= to);
    &list[start..end.max(start)]
}

impl Actions {
    /// Records a payment; false when nothing changes.
    pub(super) fn set_dividend(&mut self, ex_date: SessionDate, kind: DividendKind, amount: f64) -> bool {
        let list = match kind {
            DividendKind::Cash => &mut self.cash,
            DividendKind::SpinOff => &mut self.spin_offs,
        };
        upsert(list, ex_date, amount)
    }

    /// Whether something is said about a split between `after`, exclusive, and `to`.
    pub(super) fn says_split(&self, after: SessionDate, to: SessionDate) -> bool {
        !between(&self.splits, after, to).is_empty()
    }

    /// New shares for one old one from after `after` up to and including `to`.
    pub(super) fn split_ratio(&self, after: SessionDate, to: SessionDate) -> f64 {
        between(&self.splits, after, to).iter().map(|(_, ratio)| ratio).product()
    }

    /// `price` at the close of `after`, as a share of `to` is measured from it: `price / ratio - paid`, by
    /// ex-date. Always positive: what is not smaller than the price left is not believed, and flagged.
    pub(super) fn carry(&self, price: f64, after: SessionDate, to: SessionDate) -> (f64, Flags) {
        let splits = between(&self.splits, after, to);
        let cash = between(&self.cash, after, to);
        let spin_offs = between(&self.spin_offs, after, to);
        let (mut price, mut flags) = (price, Flags::default());
        if cash.is_empty() && spin_offs.is_empty() {
            return (splits.iter().fold(price, |p, (_, ratio)| p / ratio), flags);
        }
        let mut dates: Vec<SessionDate> = [splits, cash, spin_offs].concat().into_iter().map(|(ex, _)| ex).collect();
        dates.sort_unstable();
        dates.dedup();
        let on = |list: &[(SessionDate, f64)], date| list.iter().find(|(ex, _)| *ex == date).map(|(_, v)| *v);
        for date in dates {
            price /= on(splits, date).unwrap_or(1.0);
            let paid = |list| on(list, date).filter(|amount| *amount > 0.0);
            for (amount, flag, comes_off) in [
                (paid(cash), Flag::ExDividend, self.mode == ReturnMode::TotalReturn),
                (paid(spin_offs), Flag::SpinOff, true),
            ] {
                let Some(amount) = amount else { continue };
                if !comes_off {
                    flags.set(flag);
                } else if amount >= price {
                    flags.set(Flag::DividendRefused);
                } else {
                    price -= amount;
                    if flag == Flag::SpinOff {
                        flags.set(flag);
                    }
                }
            }
        }
        (price, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> SessionDate {
        text.parse().unwrap()
    }

    const DAYS: [&str; 3] = ["2025-02-10", "2025-02-11", "2025-02-12"];

    /// The price of 100 on the first day, as the third day is measured from it, and its flags.
    fn check(mode: ReturnMode, records: &[(&str, &str, f64)], price: f64, flags: &[&str]) {
        // In the order given and in the other: the order of records does not matter.
        for is_reversed in [false, true] {
            let mut actions = Actions { mode, ..Actions::default() };
            let mut records = records.to_vec();
            if is_reversed {
                records.reverse();
            }
            for (kind, ex, value) in records {
                let changed = match kind {
                    "split" => upsert(&mut actions.splits, date(ex), value),
                    "cash" => actions.set_dividend(date(ex), DividendKind::Cash, value),
                    _ => actions.set_dividend(date(ex), DividendKind::SpinOff, value),
                };
                assert!(changed);
            }
            let (got, said) = actions.carry(100.0, date(DAYS[0]), date(DAYS[2]));
            assert!((got - price).abs() < 1e-12, "{got} for {price}");
            assert_eq!(said.names().collect::<Vec<_>>(), flags);
        }
    }

    #[test]
    fn each_kind_is_taken_off_in_its_mode() {
        use ReturnMode::{PriceReturn, TotalReturn};
        check(PriceReturn, &[], 100.0, &[]);
        check(PriceReturn, &[("cash", DAYS[2], 2.0)], 100.0, &["EX_DIVIDEND"]);
        check(TotalReturn, &[("cash", DAYS[2], 2.0)], 98.0, &[]);
        check(PriceReturn, &[("spin", DAYS[2], 2.0)], 98.0, &["SPIN_OFF"]);
        check(TotalReturn, &[("spin", DAYS[2], 2.0), ("cash", DAYS[2], 3.0)], 95.0, &["SPIN_OFF"]);
        check(PriceReturn, &[("spin", DAYS[2], 2.0), ("cash", DAYS[2], 3.0)], 98.0, &["EX_DIVIDEND", "SPIN_OFF"]);
        // Before the first day, and after the last, nothing counts.
        check(TotalReturn, &[("cash", DAYS[0], 2.0), ("split", "2025-02-13", 2.0)], 100.0, &[]);
    }

    #[test]
    fn of_one_day_the_split_comes_first() {
        use ReturnMode::TotalReturn;
        check(TotalReturn, &[("split", DAYS[2], 4.0), ("cash", DAYS[2], 1.0)], 24.0, &[]);
        // The day before, the dividend was paid on the old share.
        check(TotalReturn, &[("split", DAYS[2], 4.0), ("cash", DAYS[1], 1.0)], 24.75, &[]);
        check(TotalReturn, &[("split", DAYS[1], 4.0), ("split", DAYS[2], 0.5)], 50.0, &[]);
    }

    #[test]
    fn what_is_not_smaller_than_the_price_is_not_believed() {
        use ReturnMode::{PriceReturn, TotalReturn};
        for amount in [100.0, 100.1, 1e9] {
            check(TotalReturn, &[("cash", DAYS[2], amount)], 100.0, &["DIVIDEND_REFUSED"]);
            check(PriceReturn, &[("spin", DAYS[2], amount)], 100.0, &["DIVIDEND_REFUSED"]);
            check(PriceReturn, &[("cash", DAYS[2], amount)], 100.0, &["EX_DIVIDEND"]);
        }
        check(TotalReturn, &[("cash", DAYS[2], 99.0)], 1.0, &[]);
        check(TotalReturn, &[("split", DAYS[2], 4.0), ("cash", DAYS[2], 25.0)], 25.0, &["DIVIDEND_REFUSED"]);
    }

    #[test]
    fn amount_zero_and_ratio_one_take_back() {
        let mut actions = Actions { mode: ReturnMode::TotalReturn, ..Actions::default() };
        let day = date(DAYS[2]);
        for (amount, changes, price) in [(2.0, true, 98.0), (2.0, false, 98.0), (0.0, true, 100.0), (0.0, false, 100.0)]
        {
            assert_eq!(actions.set_dividend(day, DividendKind::Cash, amount), changes);
            assert_eq!(actions.carry(100.0, date(DAYS[0]), day).0.to_bits(), f64::to_bits(price));
        }
        assert!(!actions.says_split(date(DAYS[0]), day));
        for (ratio, price) in [(2.0, 50.0), (1.0, 100.0)] {
            assert!(upsert(&mut actions.splits, day, ratio));
            assert_eq!(actions.carry(100.0, date(DAYS[0]), day).0.to_bits(), f64::to_bits(price));
            assert!(actions.says_split(date(DAYS[0]), day), "ratio 1 says something too");
        }
    }
}
