//! A symbol's daily history: closes, splits, share counts, a desk's own references, and what follows
//! from them: the daily return of a session, the volatility before it and the price it is measured from.
//!
//! Every question names its session and is answered from the records alone, so a record that comes late,
//! twice or out of order leads to the same history. A return across a missing session is not a daily
//! return: it is unknown, and outside every window.

use super::Calendar;
use crate::domain::{CloseBasis, Price, SessionDate, Unknown};
use crate::estimators::{WINDOW, sample_sigma};

/// Volatilities below this (2 basis points a day) are no ruler; nor are those below half a price step.
pub const SIGMA_MIN: f64 = 0.0002;

/// Half the smallest price step of US equities, in USD.
const HALF_PRICE_STEP: f64 = 0.005;

/// Closes kept: the 63 sessions of an overnight share, their first reference, and room for gaps and
/// corrections.
const CLOSES_KEPT: usize = 80;

/// Splits, share counts and dated desk references kept, newest first to go last.
const RECORDS_KEPT: usize = 64;

/// The close of one session.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Close {
    /// Session.
    pub session: SessionDate,
    /// Price as traded.
    pub price: Price,
    /// Where it comes from.
    pub basis: CloseBasis,
    /// Log return from the previous session's close, net of splits; `None` when that is missing.
    pub log_return: Option<f64>,
    /// Whether a measure of the session has been published: history that was only loaded has none.
    pub is_measured: bool,
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
    /// Price, net of splits between its session and this one.
    pub price: f64,
    /// Session it closed, if it is a close.
    pub session: Option<SessionDate>,
    /// `official`, `last`, `last_regular` or `desk`.
    pub basis: &'static str,
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
    splits: Vec<(SessionDate, f64)>,
    shares: Vec<(SessionDate, f64)>,
    desk: Option<Desk>,
    desk_by_session: Vec<(SessionDate, Desk)>,
}

/// The plain content of a [`History`], for snapshots.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HistoryImage {
    /// Closes by session, and whether the session has been measured.
    pub closes: Vec<(SessionDate, Price, CloseBasis, bool)>,
    /// Splits by ex-date.
    pub splits: Vec<(SessionDate, f64)>,
    /// Share counts by session.
    pub shares: Vec<(SessionDate, f64)>,
    /// Desk reference for every session.
    pub desk: Option<Desk>,
    /// Desk references by session.
    pub desk_by_session: Vec<(SessionDate, Desk)>,
}

/// Puts `value` at its place by session; false when it was there already.
fn upsert<T: PartialEq + Copy>(list: &mut Vec<(SessionDate, T)>, session: SessionDate, value: T) -> bool {
    match list.binary_search_by_key(&session, |(s, _)| *s) {
        Ok(at) if list[at].1 == value => false,
        Ok(at) => {
            list[at].1 = value;
            true
        }
        Err(at) => {
            list.insert(at, (session, value));
            if list.len() > RECORDS_KEPT {
                list.remove(0);
            }
            true
        }
    }
}

impl History {
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
        let mut fresh = Close { session, price, basis, log_return: None, is_measured: false };
        match self.closes.binary_search_by_key(&session, |c| c.session) {
            Ok(at) => {
                let known = &self.closes[at];
                if basis < known.basis || (basis == known.basis && price == known.price) {
                    return false;
                }
                fresh.is_measured = known.is_measured;
                self.closes[at] = fresh;
            }
            // Older than all that is kept: it can move no window any more.
            Err(0) if self.closes.len() >= CLOSES_KEPT => return false,
            Err(at) => {
                self.closes.insert(at, fresh);
                if self.closes.len() > CLOSES_KEPT {
                    self.closes.remove(0);
                    // What it was measured from is gone: a restored history could not know it either.
                    self.closes[0].log_return = None;
                }
            }
        }
        self.refresh_returns(calendar, session);
        true
    }

    /// Remembers that the measure of `session` has been published.
    pub fn set_measured(&mut self, session: SessionDate) {
        if let Ok(at) = self.closes.binary_search_by_key(&session, |c| c.session) {
            self.closes[at].is_measured = true;
        }
    }

    /// Whether the window before `session` is still known in full, or never was longer than it is now.
    pub fn is_whole(&self, session: SessionDate) -> bool {
        self.closes.len() < CLOSES_KEPT || self.window(session).len() == WINDOW
    }

    /// Records a split; false when nothing changes.
    pub fn set_split(&mut self, calendar: Option<&Calendar>, ex_date: SessionDate, ratio: f64) -> bool {
        let changed = upsert(&mut self.splits, ex_date, ratio);
        if changed {
            self.refresh_returns(calendar, ex_date);
        }
        changed
    }

    /// Records a share count; false when nothing changes.
    pub fn set_shares(&mut self, session: SessionDate, shares: f64) -> bool {
        upsert(&mut self.shares, session, shares)
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
        let dated = session.and_then(|s| self.desk_by_session.binary_search_by_key(&s, |(d, _)| *d).ok());
        dated.map(|at| self.desk_by_session[at].1).or(self.desk)
    }

    /// Shares for one old one from after `from` up to and including `to`.
    pub fn split_ratio(&self, from: SessionDate, to: SessionDate) -> f64 {
        self.splits.iter().filter(|(ex, _)| *ex > from && *ex <= to).map(|(_, ratio)| ratio).product()
    }

    /// What a move of `session` is measured from.
    ///
    /// # Errors
    /// When the session, or the close before it, is not known.
    pub fn reference(&self, calendar: Option<&Calendar>, session: Option<SessionDate>) -> Result<Reference, Unknown> {
        if let Some(desk) = self.desk(session) {
            return Ok(Reference { price: desk.price.get(), session: None, basis: "desk" });
        }
        let (Some(calendar), Some(session)) = (calendar, session) else {
            return Err(Unknown::NoReference);
        };
        let previous = calendar.previous(session).ok_or(Unknown::UnknownSession)?.date;
        let Some(close) = self.close(previous) else {
            let older = self.closes.first().is_some_and(|c| c.session < session);
            return Err(if older { Unknown::MissingSession } else { Unknown::NoReference });
        };
        let price = close.price.get() / self.split_ratio(previous, session);
        Ok(Reference { price, session: Some(previous), basis: close.basis.name() })
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
        let step = self.reference(calendar, Some(session)).map_or(0.0, |r| HALF_PRICE_STEP / r.price);
        if sigma < SIGMA_MIN.max(step) { Sigma::Insufficient(sigma) } else { Sigma::Known(sigma) }
    }

    /// The measures of a session that has closed.
    pub fn measure(&self, calendar: Option<&Calendar>, session: SessionDate) -> Option<Measure> {
        let close = self.close(session)?;
        let reference = self.reference(calendar, Some(session));
        let log_return = match (close.log_return, &reference) {
            (_, Ok(Reference { price, basis: "desk", .. })) => Ok((close.price.get() / price).ln()),
            (Some(r), _) => Ok(r),
            (None, Err(gap)) => Err(*gap),
            (None, Ok(_)) => Err(Unknown::MissingSession),
        };
        let sigma = self.sigma(calendar, Some(session));
        let z = log_return.ok().zip(sigma.usable()).map(|(r, s)| r / s);
        let n = match sigma {
            Sigma::Warming(n) => n,
            Sigma::Known(_) | Sigma::Insufficient(_) => WINDOW,
        };
        Some(Measure { session, close: close.price.get(), log_return, sigma, z, n })
    }

    /// Shares outstanding that weigh `session`: the newest count before it, net of splits up to it.
    pub fn shares_before(&self, session: SessionDate) -> Option<f64> {
        let at = self.shares.partition_point(|(s, _)| *s < session).checked_sub(1)?;
        let (counted, shares) = self.shares[at];
        Some(shares * self.split_ratio(counted, session))
    }

    /// Market value before `session`: shares times reference price, both net of splits.
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
            self.closes[at].log_return = previous.and_then(|p| self.close(p.date)).map(|before| {
                let ratio = self.split_ratio(before.session, close.session);
                (close.price.get() * ratio / before.price.get()).ln()
            });
        }
    }

    /// The plain content.
    pub fn image(&self) -> HistoryImage {
        HistoryImage {
            closes: self.closes.iter().map(|c| (c.session, c.price, c.basis, c.is_measured)).collect(),
            splits: self.splits.clone(),
            shares: self.shares.clone(),
            desk: self.desk,
            desk_by_session: self.desk_by_session.clone(),
        }
    }

    /// Adds the records of `image`; those it knows change nothing.
    pub fn absorb(&mut self, calendar: Option<&Calendar>, image: &HistoryImage) {
        for (session, ratio) in &image.splits {
            self.set_split(calendar, *session, *ratio);
        }
        for (session, price, basis, is_measured) in &image.closes {
            self.set_close(calendar, *session, *price, *basis);
            if *is_measured {
                self.set_measured(*session);
            }
        }
        for (session, shares) in &image.shares {
            self.set_shares(*session, *shares);
        }
        for (session, desk) in &image.desk_by_session {
            self.set_desk(Some(*session), *desk);
        }
        if let Some(desk) = image.desk {
            self.set_desk(None, desk);
        }
    }
}
