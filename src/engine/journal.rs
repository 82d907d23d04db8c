//! The session of one symbol as it happened, so that one print can be taken back and the rest gone through
//! again.
//!
//! A checkpoint and the entries since. Going through them again with a print left out gives, bit for bit, the
//! state that never saw the print. The journal is bounded: when it is full, its older half is given up and
//! a checkpoint taken half-way becomes its start. What lies before is out of reach.

use super::print::{Entry, EntryKind, PrintKey};
use super::state::{Intraday, SymbolState};
use crate::domain::UnixNanos;

/// The session so far, or its newest part.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Journal {
    pub(super) base: Intraday,
    pub(super) entries: Vec<Entry>,
    /// A state to start from later, with the number of entries before it.
    pub(super) middle: Option<(usize, Intraday)>,
    /// Whether entries of this session have been given up.
    pub(super) is_cut: bool,
    /// Cancels and corrections of prints that have not come yet, with the right price.
    pub(super) ahead: Vec<(PrintKey, Option<f64>)>,
}

/// What came before its print.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Ahead {
    /// It never was.
    Cancelled,
    /// It was at this price.
    Corrected(f64),
}

/// Amendments kept for prints that have not come yet.
pub(super) const AHEAD_MAX: usize = 16;

impl Journal {
    /// An empty journal that begins with `state`.
    pub(super) fn from_here(state: &SymbolState) -> Self {
        Self { base: Intraday::of(state), entries: Vec::new(), middle: None, is_cut: false, ahead: Vec::new() }
    }

    /// Whether a checkpoint is due before the next entry; `max` is the number of entries kept at most.
    #[inline]
    pub(super) fn is_due(&self, max: usize) -> bool {
        let len = self.entries.len();
        len >= max || (self.middle.is_none() && len >= max / 2)
    }

    /// Takes the checkpoint that is due.
    #[cold]
    pub(super) fn roll(&mut self, max: usize, now: Intraday) {
        if self.entries.len() >= max
            && let Some((at, middle)) = self.middle.take()
        {
            self.entries.drain(..at);
            self.base = middle;
            self.is_cut = true;
        }
        self.middle = Some((self.entries.len(), now));
    }

    /// Whether a state it may start from has episodes.
    pub(super) fn holds_episodes(&self) -> bool {
        let states = std::iter::once(&self.base).chain(self.middle.as_ref().map(|(_, i)| i));
        states.into_iter().any(|i| i.episodes.count > 0)
    }

    /// The entry of a print, the newest first.
    pub(super) fn find(&self, key: &PrintKey) -> Option<usize> {
        self.entries.iter().rposition(|e| key.is(e))
    }

    /// Whether the session's close is within reach.
    pub(super) fn has_close(&self) -> bool {
        self.entries.iter().any(|e| e.kind == EntryKind::Close)
    }

    /// Whether a print of this id has been taken.
    pub(super) fn knows_id(&self, id: u64) -> bool {
        self.entries.iter().rev().any(|e| e.id == id && e.kind != EntryKind::BarStart)
    }

    /// Remembers an amendment for a print that has not come; the oldest goes beyond the bound.
    pub(super) fn remember(&mut self, key: PrintKey, price: Option<f64>) {
        self.ahead.retain(|(k, _)| *k != key);
        if self.ahead.len() >= AHEAD_MAX {
            self.ahead.remove(0);
        }
        self.ahead.push((key, price));
    }

    /// The amendment that came before its print.
    pub(super) fn amended_ahead(&mut self, entry: &Entry) -> Option<Ahead> {
        let at = self.ahead.iter().position(|(k, _)| k.is(entry))?;
        Some(self.ahead.remove(at).1.map_or(Ahead::Cancelled, Ahead::Corrected))
    }

    /// The last price of a session before `end`, of the entries that set one, else the base's; `None` where
    /// there was none since `begin`.
    pub(super) fn price_before(&self, end: UnixNanos, begin: UnixNanos) -> Option<f64> {
        let sets =
            |e: &&Entry| matches!(e.kind, EntryKind::Price | EntryKind::Mark | EntryKind::BarClose) && e.inside() < end;
        let base = (self.base.last_ts >= begin).then_some(self.base.last_price);
        self.entries.iter().rev().find(sets).map(|e| e.price).or(base)
    }
}
