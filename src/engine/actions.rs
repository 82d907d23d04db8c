//! Splits and dividends as they come.

use super::{Disposition, Effects, Engine};
use crate::domain::{DividendKind, SessionDate, Symbol};
use crate::market::Flag;

impl Engine {
    /// Takes a split; ratio 1 says that there is none.
    pub(super) fn split_record(
        &mut self,
        symbol: &Symbol,
        ex_date: SessionDate,
        ratio: f64,
        effects: &mut Effects,
    ) -> Disposition {
        let id = match self.admit_on(symbol.as_str(), Some(ex_date)) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let at = self.states[id as usize].newest_ts();
        self.revise(id, ex_date, at, effects, |history, calendar| history.set_split(calendar, ex_date, ratio))
    }

    /// Takes a dividend; amount 0 says that there is none.
    ///
    /// One that is not smaller than the price it would be taken off is refused, where that price is known. It is
    /// kept all the same: a later record may show that it was right, and until then the session says so.
    pub(super) fn dividend_record(
        &mut self,
        symbol: &Symbol,
        ex_date: SessionDate,
        kind: DividendKind,
        amount: f64,
        effects: &mut Effects,
    ) -> Disposition {
        let id = match self.admit_on(symbol.as_str(), Some(ex_date)) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let at = self.states[id as usize].newest_ts();
        let taken = self.revise(id, ex_date, at, effects, |history, calendar| {
            history.set_dividend(calendar, ex_date, kind, amount)
        });
        let calendar = self.params.calendar.as_deref();
        let session = calendar.and_then(|c| c.session(ex_date).or_else(|| c.next_after(ex_date)));
        let reference = self.states[id as usize].cold.history.reference(calendar, session.map(|s| s.date));
        let is_refused = reference.is_ok_and(|r| r.flags.has(Flag::DividendRefused));
        if is_refused && amount > 0.0 { Disposition::DIVIDEND } else { taken }
    }
}
