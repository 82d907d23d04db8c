//! What reference records say, wherever they come from.

use super::{Channel, Disposition, Effects, Engine, Origin, renames, securities};
use crate::domain::{DividendKind, Outcome, Reference, SessionDate, Symbol};
use crate::market::Calendar;

impl Engine {
    /// Takes one reference record from outside the market input.
    pub fn apply_reference(&mut self, channel: Channel, record: &Reference, effects: &mut Effects) -> Disposition {
        self.reference(channel, None, record, effects)
    }

    pub(super) fn reference(
        &mut self,
        channel: Channel,
        origin: Option<&Origin>,
        record: &Reference,
        effects: &mut Effects,
    ) -> Disposition {
        let disposition = self.reference_record(channel, origin, record, effects);
        let session = securities::session_of(record, self.params.calendar.as_deref());
        let Some(id) = record.symbol().and_then(|symbol| self.known_on(symbol, session)) else { return disposition };
        self.wake(id);
        if let Some(origin) = origin {
            // What a partition says about a symbol is in that partition's snapshot, ticks or not. A name is there by itself:
            // it may be said where its security is not read.
            if !matches!(record, Reference::Rename { .. }) {
                self.read_from(id, origin.partition);
            }
        } else {
            // What was refused may be taken after a restart, by another calendar for one.
            let is_taken = matches!(disposition.outcome, Outcome::Applied | Outcome::Duplicate);
            let digest = if is_taken { record.digest() } else { record.digest().rotate_left(32) };
            let known = &mut self.states[id as usize].cold.reference;
            *known = known.wrapping_add(digest);
        }
        disposition
    }

    fn reference_record(
        &mut self,
        channel: Channel,
        origin: Option<&Origin>,
        record: &Reference,
        effects: &mut Effects,
    ) -> Disposition {
        match record {
            Reference::Close { symbol, session, price, ts, basis } => {
                self.close_record(channel, origin, symbol, (*session, *price, *basis, *ts), effects)
            }
            Reference::Daily { symbol, session, close, range, split, dividend, shares } => {
                if let Some(range) = range {
                    self.range_record(symbol, *session, *range);
                }
                if let Some(ratio) = split {
                    self.split_record(symbol, *session, *ratio, effects);
                }
                if let Some(amount) = dividend {
                    self.dividend_record(symbol, *session, DividendKind::Cash, *amount, effects);
                }
                if let Some(shares) = shares {
                    self.with_history(symbol, Some(*session), effects, |history, _| {
                        history.set_shares(*session, *shares)
                    });
                }
                let official = crate::domain::CloseBasis::Official;
                self.close_record(channel, origin, symbol, (*session, *close, official, None), effects)
            }
            Reference::Split { symbol, ex_date, ratio } => self.split_record(symbol, *ex_date, *ratio, effects),
            Reference::Shares { symbol, session, shares } => {
                self.with_history(symbol, Some(*session), effects, |history, _| history.set_shares(*session, *shares))
            }
            Reference::Desk { symbol, session, prev_close, sigma_daily } => {
                let desk = crate::market::Desk { price: *prev_close, sigma: *sigma_daily };
                self.with_history(symbol, *session, effects, |history, _| history.set_desk(*session, desk))
            }
            Reference::Curve { target, from, shares, overnight, sessions } => {
                self.curve_record(target, *from, **shares, (*overnight, *sessions))
            }
            Reference::Dividend { symbol, ex_date, amount, kind } => {
                self.dividend_record(symbol, *ex_date, *kind, *amount, effects)
            }
            Reference::Event { symbol, at, event } => self.event_record(symbol, *at, event),
            Reference::Rename { symbol, to, from } => {
                self.rename_record(renames::partition_of(origin), (symbol, to, *from), effects)
            }
            Reference::Member { group, symbol, from, company, sector } => {
                self.membership(group, symbol, *from, true, (company.as_deref(), sector.as_deref()))
            }
            Reference::Leave { group, symbol, from } => self.membership(group, symbol, *from, false, (None, None)),
        }
    }

    fn membership(
        &mut self,
        group: &str,
        symbol: &Symbol,
        from: SessionDate,
        inside: bool,
        which: (Option<&str>, Option<&str>),
    ) -> Disposition {
        if !self.stage.has(group) {
            return Disposition { outcome: Outcome::Ignored, reason: "unknown_group" };
        }
        let id = match self.admit_on(symbol.as_str(), Some(from)) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        if self.stage.membership(group, symbol, from, inside, which) {
            self.rename_members(symbol);
            self.track(id);
            Disposition::APPLIED
        } else {
            Disposition::DUPLICATE
        }
    }

    /// Changes a symbol's history and, when something changed, its ruler.
    fn with_history(
        &mut self,
        symbol: &Symbol,
        session: Option<SessionDate>,
        effects: &mut Effects,
        change: impl FnOnce(&mut crate::market::History, Option<&Calendar>) -> bool,
    ) -> Disposition {
        let id = match self.admit_on(symbol.as_str(), session) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let calendar = self.params.calendar.as_deref();
        let state = &mut self.states[id as usize];
        if !change(&mut state.cold.history, calendar) {
            return Disposition::DUPLICATE;
        }
        self.rerule(id, effects);
        Disposition::APPLIED
    }
}
