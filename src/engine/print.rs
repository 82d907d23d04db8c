//! One thing that happened to a symbol within its session, small enough to be kept for every print.

use crate::domain::{Tick, UnixNanos};
use crate::market::eligibility::venue_key;

/// What an entry does to its symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EntryKind {
    /// A price: it decides, and becomes the last one.
    Price,
    /// A price of an earlier moment: it becomes the last one, and decides nothing.
    Mark,
    /// A print that may not set the last price, or a bar behind the newest price: the session's range alone.
    Range,
    /// A print behind the newest: its range where it can be believed. Once what it came behind is taken back, a
    /// price.
    Behind,
    /// Shares traded at a price that counts for nothing else.
    Volume,
    /// A bar begins and ends, and where it opened: its prices follow.
    BarStart,
    /// An extreme of a bar at the bar's end: it decides, and does not become the last price.
    Extreme,
    /// The close of a bar at the bar's end, which lies in the phase before.
    BarClose,
    /// Trading stops.
    Halt,
    /// Trading goes on.
    Resume,
    /// Taken back, or refused: nothing.
    Void,
    /// The session's close, with its price where it becomes the last one, else 0: verdicts.
    Close,
}

impl EntryKind {
    /// In a stable order, for snapshots.
    pub(super) const ALL: [Self; 12] = [
        Self::Price,
        Self::Mark,
        Self::Range,
        Self::Behind,
        Self::Volume,
        Self::BarStart,
        Self::Extreme,
        Self::BarClose,
        Self::Halt,
        Self::Resume,
        Self::Void,
        Self::Close,
    ];
}

/// No sequence number.
pub(super) const NO_SEQ: u64 = u64::MAX;

/// One entry of a session's journal; a print without what only matters once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) ts: UnixNanos,
    pub(super) price: f64,
    /// Shares; 0 where the record says none.
    pub(super) size: f64,
    /// Sequence number on its feed, or [`NO_SEQ`].
    pub(super) seq: u64,
    /// Hash of the trade id; 0 without one.
    pub(super) id: u64,
    /// Key of the venue; 0 without one.
    pub(super) venue: u32,
    pub(super) feed: u16,
    pub(super) kind: EntryKind,
}

impl Entry {
    pub(super) fn of_tick(tick: &Tick<'_>, feed: u16) -> Self {
        Self {
            ts: tick.ts,
            price: tick.price.get(),
            size: tick.size.unwrap_or(0.0),
            seq: tick.seq.unwrap_or(NO_SEQ),
            id: tick.id.as_deref().map_or(0, |id| hash(id.as_bytes())),
            venue: tick.venue.as_deref().map_or(0, venue_key),
            feed,
            kind: EntryKind::Price,
        }
    }

    /// An entry without a print of its own.
    pub(super) fn plain(kind: EntryKind, ts: UnixNanos, price: f64, feed: u16) -> Self {
        Self { ts, price, size: 0.0, seq: NO_SEQ, id: 0, venue: 0, feed, kind }
    }

    /// The bar from `start` to `end`, whose prices follow; `first` stands for it where a first price is asked.
    pub(super) fn of_bar(start: UnixNanos, end: UnixNanos, open: f64, first: f64) -> Self {
        Self { id: start.0.cast_unsigned(), size: first, ..Self::plain(EntryKind::BarStart, end, open, 0) }
    }

    /// Where the bar of a [`EntryKind::BarStart`] begins.
    pub(super) fn start(&self) -> i64 {
        self.id.cast_signed()
    }

    /// The instant that says which phase it lies in: a bar's end is exclusive.
    pub(super) fn inside(&self) -> UnixNanos {
        match self.kind {
            EntryKind::BarStart | EntryKind::Extreme | EntryKind::BarClose => self.ts.plus(-1),
            _ => self.ts,
        }
    }
}

/// How a cancel or a correction names its print.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PrintKey {
    pub(super) feed: u16,
    /// Hash of the trade id; 0 when it is named by sequence number.
    pub(super) id: u64,
    pub(super) seq: u64,
}

impl PrintKey {
    /// Whether this is the print meant.
    pub(super) fn is(&self, entry: &Entry) -> bool {
        if entry.kind == EntryKind::BarStart {
            return false;
        }
        if self.id != 0 {
            return entry.id == self.id;
        }
        entry.feed == self.feed && entry.seq == self.seq && self.seq != NO_SEQ
    }
}

/// FNV-1a of 64 bits, never 0: the same on every machine, which keeps snapshots and replays equal.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let full = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    full.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
    }

    /// Reference values of FNV-1a 64, from its authors' test suite.
    #[test]
    fn hashes_are_fnv_1a() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
