//! A symbol's daily history: closes, corporate actions, share counts, a desk's own references, and what
//! follows from them: the daily return of a session, the volatility before it and the price it is measured
//! from.
//!
//! Every question names its session and is answered from the records alone, so a record that comes late,
//! twice or out of order leads to the same history. A return across a missing session is not a daily
//! return, and one that looks like a split nobody announced may be none: both are unknown, and outside every
//! window.

mod actions;
mod flags;
mod image;
mod modes;
mod records;
mod suspicion;

pub use actions::ReturnMode;
pub use flags::{Flag, Flags};
pub use image::HistoryImage;
pub use records::ValueRecords;

use super::Calendar;
use crate::domain::{CloseBasis, DividendKind, Price, SessionDate, Unknown};
use crate::estimators::{ModeParams, RecursiveModes, WINDOW, sample_sigma};
use actions::Actions;
use std::collections::VecDeque;
use std::sync::Arc;
use suspicion::split_like;

/// Volatilities below this (2 basis points a day) are no ruler; nor are those below half a price step.
pub const SIGMA_MIN: f64 = 0.0002;

/// Half the smallest price step of US equities, in USD.
const HALF_PRICE_STEP: f64 = 0.005;

/// Closes kept: the 63 sessions of an overnight share, their first reference, and room for gaps and
/// corrections.
const CLOSES_KEPT: usize = 80;

/// Returns of the long window, which the calm of a session is told by.
const LONG_WINDOW: usize = 252;

/// Sigma under this part of the long one is low.
const LOW_SIGMA: f64 = 0.25;

/// Closes that must lie at one level to call a price pinned.
const PINNED_CLOSES: usize = 10;

/// Largest close over smallest when all lie within 3 % of one level.
const PINNED_RANGE: f64 = 1.03 / 0.97;

/// Splits, dividends, dated desk references and first prices kept, the newest of each.
const RECORDS_KEPT: usize = 64;

/// Share counts kept: one for every close, where each session tells one, and that before the first.
const SHARES_KEPT: usize = CLOSES_KEPT + 16;

/// What has become of a session's measure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Published {
    /// None has been published: history that was only loaded.
    No,
    /// One has been.
    Yes,
    /// One has been, of a symbol whose trading stood still at the close: the close is an old price.
    Halted,
}

/// The close of one session.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Close {
    /// Session.
    pub session: SessionDate,
    /// Price as traded.
    pub price: Price,
    /// Where it comes from.
    pub basis: CloseBasis,
    /// Log return from the previous session's close, net of corporate actions; `None` when that is missing, or
    /// when it looks like a split nobody announced.
    pub log_return: Option<f64>,
    /// Whether a measure of the session has been published.
    pub published: Published,
}

/// A desk's own reference.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Desk {
    /// Reference price.
    pub price: Price,
    /// Daily volatility.
    pub sigma: f64,
}

/// What a move of a session is measured from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reference {
    /// Price, net of corporate actions between its session and this one.
    pub price: f64,
    /// Session it closed, if it is a close.
    pub session: Option<SessionDate>,
    /// `official`, `last`, `last_regular` or `desk`.
    pub basis: &'static str,
    /// What to know of it.
    pub flags: Flags,
}

/// The ruler of a session.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Sigma {
    /// Sample standard deviation of the window, or the desk's own.
    Known(f64),
    /// Known, but no ruler: under half a price step or [`SIGMA_MIN`].
    Insufficient(f64),
    /// So many known returns, fewer than the window needs.
    Warming(usize),
}

impl Sigma {
    /// The deviation of a whole window, for prices measured from `reference`.
    pub fn of_window(sigma: f64, reference: Option<f64>) -> Self {
        let step = reference.map_or(0.0, |price| HALF_PRICE_STEP / price);
        if sigma < SIGMA_MIN.max(step) { Self::Insufficient(sigma) } else { Self::Known(sigma) }
    }

    /// The number, where it is a ruler.
    pub fn usable(self) -> Option<f64> {
        if let Self::Known(sigma) = self { Some(sigma) } else { None }
    }

    /// The number, ruler or not.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Known(sigma) | Self::Insufficient(sigma) => Some(sigma),
            Self::Warming(_) => None,
        }
    }
}

/// One line of measures: a symbol at the close of a session.
#[derive(Clone, PartialEq, Debug)]
pub struct Measure {
    /// Session.
    pub session: SessionDate,
    /// Closing price as traded.
    pub close: f64,
    /// Daily log return.
    pub log_return: Result<f64, Unknown>,
    /// Volatility before the session.
    pub sigma: Sigma,
    /// Return over volatility, when both are known.
    pub z: Option<f64>,
    /// Known returns before the session, at most the window.
    pub n: usize,
    /// What to know of it.
    pub flags: Flags,
    /// Whether trading stood still at the close.
    pub is_halted: bool,
}

impl Published {
    /// The stable form for snapshots.
    pub fn number(self) -> u8 {
        match self {
            Self::No => 0,
            Self::Yes => 1,
            Self::Halted => 2,
        }
    }

    /// The inverse of [`Published::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::No, Self::Yes, Self::Halted].get(usize::from(number)).copied()
    }
}

impl Measure {
    /// The multiple.
    ///
    /// # Errors
    /// Why there is none.
    pub fn multiple(&self) -> Result<f64, Unknown> {
        self.log_return?;
        self.z.ok_or(match self.sigma {
            Sigma::Insufficient(_) => Unknown::InsufficientVariance,
            Sigma::Warming(_) | Sigma::Known(_) => Unknown::Warming,
        })
    }
}

/// The records of one symbol.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct History {
    closes: Vec<Close>,
    /// Known returns of sessions before those of `closes`, and of the first: what is left of them, oldest first.
    older: VecDeque<f64>,
    /// What the modes without a window keep of the returns before those.
    recursive: RecursiveModes,
    /// The largest changes of market value in the sessions whose returns are `older`, and before.
    records: ValueRecords,
    mode_params: Arc<ModeParams>,
    /// Open, high and low by session, as traded.
    ranges: Vec<(SessionDate, [Price; 3])>,
    actions: Actions,
    /// First price of a session that could decide something.
    firsts: Vec<(SessionDate, f64)>,
    shares: Vec<(SessionDate, f64)>,
    desk: Option<Desk>,
    desk_by_session: Vec<(SessionDate, Desk)>,
}

/// Puts `value` at its place by session; false when it was there already.
fn upsert<T: PartialEq + Copy>(list: &mut Vec<(SessionDate, T)>, session: SessionDate, value: T) -> bool {
    upsert_within(RECORDS_KEPT, list, session, value)
}

/// The same in a list of at most so many.
fn upsert_within<T: PartialEq + Copy>(
    most: usize,
    list: &mut Vec<(SessionDate, T)>,
    session: SessionDate,
    value: T,
) -> bool {
    match list.binary_search_by_key(&session, |(s, _)| *s) {
        Ok(at) if list[at].1 == value => false,
        Ok(at) => {
            list[at].1 = value;
            true
        }
        Err(at) => {
            list.insert(at, (session, value));
            if list.len() > most {
                list.remove(0);
            }
            true
        }
    }
}

/// The value of `session` in a list by session.
fn value_of<T: Copy>(list: &[(SessionDate, T)], session: SessionDate) -> Option<T> {
    list.binary_search_by_key(&session, |(s, _)| *s).ok().map(|at| list[at].1)
}

impl History {
    /// A history without records.
    pub fn new(mode: ReturnMode, mode_params: &Arc<ModeParams>) -> Self {
        let actions = Actions { mode, ..Actions::default() };
        Self { actions, mode_params: mode_params.clone(), ..Self::default() }
    }

    /// Closes kept, oldest first.
    pub fn closes(&self) -> &[Close] {
        &self.closes
    }

    /// Session of the newest close.
    pub fn last_session(&self) -> Option<SessionDate> {
        self.closes.last().map(|c| c.session)
    }

    /// The close of `session`.
    pub fn close(&self, session: SessionDate) -> Option<&Close> {
        self.closes.binary_search_by_key(&session, |c| c.session).ok().map(|at| &self.closes[at])
    }

    /// Records a close; false when nothing changes. A weaker basis never replaces a stronger one.
    pub fn set_close(
        &mut self,
        calendar: Option<&Calendar>,
        session: SessionDate,
        price: Price,
        basis: CloseBasis,
    ) -> bool {
        let mut fresh = Close { session, price, basis, log_return: None, published: Published::No };
        match self.closes.binary_search_by_key(&session, |c| c.session) {
            Ok(at) => {
                let known = &self.closes[at];
                if basis < known.basis || (basis == known.basis && price == known.price) {
                    return false;
                }
                fresh.published = known.published;
                self.closes[at] = fresh;
            }
            // Older than all that is kept: it can move no window any more.
            Err(0) if self.closes.len() >= CLOSES_KEPT => return false,
            Err(at) => {
                self.closes.insert(at, fresh);
            }
        }
        self.refresh_returns(calendar, session);
        if self.closes.len() > CLOSES_KEPT {
            self.closes.remove(0);
            // What it was measured from is gone: its return is no longer a question, but a fact.
            let fact = self.closes[0].log_return.take();
            let (session, price) = (self.closes[0].session, self.closes[0].price);
            self.retire_value(session, price.get(), fact);
            self.retire(fact);
        }
        true
    }

    /// Remembers how the measure of `session` has been published; what was halted once stays so.
    pub fn set_published(&mut self, session: SessionDate, published: Published) {
        if let Ok(at) = self.closes.binary_search_by_key(&session, |c| c.session) {
            let close = &mut self.closes[at];
            close.published = close.published.max(published);
        }
    }

    /// Whether the window before `session` is still known in full, or never was longer than it is now.
    pub fn is_whole(&self, session: SessionDate) -> bool {
        self.closes.len() < CLOSES_KEPT || self.window(session).len() == WINDOW
    }

    /// Records a split; false when nothing changes.
    pub fn set_split(&mut self, calendar: Option<&Calendar>, ex_date: SessionDate, ratio: f64) -> bool {
        let changed = upsert(&mut self.actions.splits, ex_date, ratio);
        if changed {
            self.refresh_returns(calendar, ex_date);
        }
        changed
    }

    /// Records a dividend; false when nothing changes. Amount 0 takes an earlier one back.
    pub fn set_dividend(
        &mut self,
        calendar: Option<&Calendar>,
        ex_date: SessionDate,
        kind: DividendKind,
        amount: f64,
    ) -> bool {
        let changed = self.actions.set_dividend(ex_date, kind, amount);
        if changed {
            self.refresh_returns(calendar, ex_date);
        }
        changed
    }

    /// Shares for one old one from after `from` up to and including `to`.
    pub fn split_ratio(&self, from: SessionDate, to: SessionDate) -> f64 {
        self.actions.split_ratio(from, to)
    }

    /// Takes the first price of a session back: the print may never have been.
    pub fn forget_first(&mut self, calendar: Option<&Calendar>, session: SessionDate) {
        let known = self.firsts.len();
        self.firsts.retain(|(s, _)| *s != session);
        if self.firsts.len() < known {
            self.refresh_returns(calendar, session);
        }
    }

    /// The first price of a session that could decide something.
    pub fn first(&self, session: SessionDate) -> Option<f64> {
        value_of(&self.firsts, session)
    }

    /// Remembers the first price of a session that could decide something; false when one is known.
    pub fn set_first(&mut self, calendar: Option<&Calendar>, session: SessionDate, price: f64) -> bool {
        if value_of(&self.firsts, session).is_some() {
            return false;
        }
        upsert(&mut self.firsts, session, price);
        self.refresh_returns(calendar, session);
        true
    }

    /// Records a share count; false when nothing changes.
    pub fn set_shares(&mut self, session: SessionDate, shares: f64) -> bool {
        upsert_within(SHARES_KEPT, &mut self.shares, session, shares)
    }

    /// Records a desk reference; false when nothing changes.
    pub fn set_desk(&mut self, session: Option<SessionDate>, desk: Desk) -> bool {
        match session {
            Some(session) => upsert(&mut self.desk_by_session, session, desk),
            None => self.desk.replace(desk) != Some(desk),
        }
    }

    /// The desk reference that holds for `session`.
    pub fn desk(&self, session: Option<SessionDate>) -> Option<Desk> {
        session.and_then(|s| value_of(&self.desk_by_session, s)).or(self.desk)
    }

    /// What a move of `session` is measured from.
    ///
    /// # Errors
    /// When the session, or the close before it, is not known.
    pub fn reference(&self, calendar: Option<&Calendar>, session: Option<SessionDate>) -> Result<Reference, Unknown> {
        if let Some(desk) = self.desk(session) {
            return Ok(Reference { price: desk.price.get(), session: None, basis: "desk", flags: Flags::default() });
        }
        let (Some(calendar), Some(session)) = (calendar, session) else {
            return Err(Unknown::NoReference);
        };
        let previous = calendar.previous(session).ok_or(Unknown::UnknownSession)?.date;
        let Some(close) = self.close(previous) else {
            let older = self.closes.first().is_some_and(|c| c.session < session);
            return Err(if older { Unknown::MissingSession } else { Unknown::NoReference });
        };
        let (price, flags) = self.actions.carry(close.price.get(), previous, session);
        Ok(Reference { price, session: Some(previous), basis: close.basis.name(), flags })
    }

    /// The split, as new shares for one old, that `session` looks like without a record saying so.
    ///
    /// The session's first price decides, or its close where no price came before that; a split record with an
    /// ex-date after the session before settles it, whatever its ratio: 1 says that the move is genuine. A
    /// desk's own reference is taken at its word.
    pub fn suspicion(&self, calendar: Option<&Calendar>, session: SessionDate) -> Option<f64> {
        if self.desk(Some(session)).is_some() { None } else { self.unannounced_split(calendar, session) }
    }

    fn unannounced_split(&self, calendar: Option<&Calendar>, session: SessionDate) -> Option<f64> {
        let before = self.close(calendar?.previous(session)?.date)?;
        if self.actions.says_split(before.session, session) {
            return None;
        }
        let price = value_of(&self.firsts, session).or_else(|| Some(self.close(session)?.price.get()))?;
        let (reference, _) = self.actions.carry(before.price.get(), before.session, session);
        split_like(price, reference)
    }

    /// Sessions and returns of the window before `session`, oldest first.
    pub fn window(&self, session: SessionDate) -> Vec<(SessionDate, f64)> {
        let end = self.closes.partition_point(|c| c.session < session);
        let known = self.closes[..end].iter().rev().filter_map(|c| Some((c.session, c.log_return?)));
        let mut window: Vec<_> = known.take(WINDOW).collect();
        window.reverse();
        window
    }

    /// The ruler of `session`: today excluded.
    pub fn sigma(&self, calendar: Option<&Calendar>, session: Option<SessionDate>) -> Sigma {
        if let Some(desk) = self.desk(session) {
            return Sigma::Known(desk.sigma);
        }
        let Some(session) = session else { return Sigma::Warming(0) };
        let returns: Vec<f64> = self.window(session).into_iter().map(|(_, r)| r).collect();
        if returns.len() < WINDOW {
            return Sigma::Warming(returns.len());
        }
        let Some(sigma) = sample_sigma(&returns) else { return Sigma::Warming(returns.len()) };
        Sigma::of_window(sigma, self.reference(calendar, Some(session)).ok().map(|r| r.price))
    }

    /// Whether prices before `session`, whose ruler is `sigma`, were unusually calm: `LOW_SIGMA` and `PINNED`.
    ///
    /// Needs 252 known returns before the session. A desk's own sigma is taken at its word.
    pub fn calm(&self, session: SessionDate, sigma: Sigma) -> Flags {
        let mut flags = Flags::default();
        let Some(sigma) = sigma.number().filter(|_| self.desk(Some(session)).is_none()) else { return flags };
        let before = &self.closes[..self.closes.partition_point(|c| c.session < session)];
        let known = self.older.iter().copied().chain(before.iter().filter_map(|c| c.log_return));
        let returns: Vec<f64> = known.collect();
        let Some(start) = returns.len().checked_sub(LONG_WINDOW) else { return flags };
        if sample_sigma(&returns[start..]).is_some_and(|long| sigma < LOW_SIGMA * long) {
            flags.set(Flag::LowSigma);
            let Some(start) = before.len().checked_sub(PINNED_CLOSES) else { return flags };
            let level = before[start..].iter().map(|c| c.price.get() / self.actions.split_ratio(c.session, session));
            let (low, high) = level.fold((f64::INFINITY, 0.0_f64), |(l, h), p| (l.min(p), h.max(p)));
            if high / low <= PINNED_RANGE {
                flags.set(Flag::Pinned);
            }
        }
        flags
    }

    /// The measures of a session that has closed.
    pub fn measure(&self, calendar: Option<&Calendar>, session: SessionDate) -> Option<Measure> {
        let close = self.close(session)?;
        let reference = self.reference(calendar, Some(session));
        let log_return = match (close.log_return, &reference) {
            (_, Ok(Reference { price, basis: "desk", .. })) => Ok((close.price.get() / price).ln()),
            (Some(r), _) => Ok(r),
            (None, Err(gap)) => Err(*gap),
            (None, Ok(_)) if self.suspicion(calendar, session).is_some() => Err(Unknown::SuspectedSplit),
            (None, Ok(_)) => Err(Unknown::MissingSession),
        };
        let mut flags = reference.map(|r| r.flags).unwrap_or_default();
        if log_return == Err(Unknown::SuspectedSplit) {
            flags.set(Flag::SuspectedSplit);
        }
        let sigma = self.sigma(calendar, Some(session));
        flags.add(self.calm(session, sigma));
        let z = log_return.ok().zip(sigma.usable()).map(|(r, s)| r / s);
        let n = match sigma {
            Sigma::Warming(n) => n,
            Sigma::Known(_) | Sigma::Insufficient(_) => WINDOW,
        };
        Some(Measure {
            session,
            close: close.price.get(),
            log_return,
            sigma,
            z,
            n,
            flags,
            is_halted: close.published == Published::Halted,
        })
    }

    /// Shares outstanding that weigh `session`: the newest count before it, net of splits up to it.
    pub fn shares_before(&self, session: SessionDate) -> Option<f64> {
        let at = self.shares.partition_point(|(s, _)| *s < session).checked_sub(1)?;
        let (counted, shares) = self.shares[at];
        Some(shares * self.actions.split_ratio(counted, session))
    }

    /// Market value before `session`: shares times reference price, both net of corporate actions.
    pub fn market_value_before(&self, calendar: Option<&Calendar>, session: SessionDate) -> Option<f64> {
        let reference = self.reference(calendar, Some(session)).ok()?;
        Some(self.shares_before(session)? * reference.price)
    }

    /// Recomputes the returns that a change at `from` can move: that session's and the next one's.
    fn refresh_returns(&mut self, calendar: Option<&Calendar>, from: SessionDate) {
        let start = self.closes.partition_point(|c| c.session < from);
        for at in start..self.closes.len().min(start + 2) {
            let close = self.closes[at];
            let previous = calendar.and_then(|c| c.previous(close.session));
            let before = previous.and_then(|p| self.close(p.date));
            let before = before.filter(|_| self.unannounced_split(calendar, close.session).is_none());
            self.closes[at].log_return = before.map(|before| {
                let (reference, _) = self.actions.carry(before.price.get(), before.session, close.session);
                (close.price.get() / reference).ln()
            });
        }
    }
}
