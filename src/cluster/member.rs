//! What a member tells its groups: a price while the session runs, and what the session came to.

use crate::domain::{self, CloseBasis, SessionDate, Symbol, UnixNanos};
use std::sync::Arc;

/// A member's last price within a group interval.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberUpdate {
    /// Which.
    pub symbol: Symbol,
    /// End of the interval: the price stood before it.
    pub at: UnixNanos,
    /// Session it belongs to.
    pub session: SessionDate,
    /// Log return of the session so far.
    pub log_return: domain::Reading,
    /// Its multiple.
    pub z: domain::Reading,
    /// Market value before the session.
    pub market_value: Option<f64>,
    /// Shares behind it; `None` where they are not known.
    pub shares: Option<f64>,
    /// First breach of the session.
    pub breached_at: Option<UnixNanos>,
    /// Partition and offset of the price.
    pub source: Option<(i32, i64)>,
    /// Until when the price stands for the present.
    pub fresh_until: UnixNanos,
}

/// What a member's session came to.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberClose {
    /// Which.
    pub symbol: Symbol,
    /// Session.
    pub session: SessionDate,
    /// Its daily log return.
    pub log_return: domain::Reading,
    /// Its multiple.
    pub z: domain::Reading,
    /// Market value before the session.
    pub market_value: Option<f64>,
    /// Shares behind it; `None` where they are not known.
    pub shares: Option<f64>,
    /// Where the close comes from.
    pub basis: Option<CloseBasis>,
    /// First breach of the session, where it was watched.
    pub breached_at: Option<UnixNanos>,
    /// Partition and offset of the close.
    pub source: Option<(i32, i64)>,
    /// Whether it only was history.
    pub is_history: bool,
}

/// A member's prices from some instant on were not as they had been told.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberAmend {
    /// Which.
    pub symbol: Symbol,
    /// Session at hand.
    pub session: SessionDate,
    /// Event time of the print that was taken back or replaced.
    pub from: UnixNanos,
    /// Event time at which that became known.
    pub at: UnixNanos,
    /// Moments up to here were judged without knowing it: `at` less the bound on lateness.
    pub unknown_until: UnixNanos,
    /// First breach of the session, as it is now.
    pub breached_at: Option<UnixNanos>,
    /// Log return and multiple as of the ends of intervals between `from` and `at`, oldest first; ends at which
    /// nothing changed are left out.
    pub readings: Vec<(UnixNanos, domain::Reading, domain::Reading)>,
}

impl MemberAmend {
    /// Log return and multiple as of an instant up to `at`: those of the last interval that had ended.
    pub fn reading_at(&self, at: UnixNanos) -> (domain::Reading, domain::Reading) {
        let past = self.readings.partition_point(|(end, ..)| *end <= at);
        let last = past.checked_sub(1).and_then(|last| self.readings.get(last));
        last.map_or((Err(domain::Unknown::NotYet), Err(domain::Unknown::NotYet)), |(_, r, z)| (*r, *z))
    }
}

/// What a partition of the market log tells a group that is judged elsewhere.
#[derive(Clone, PartialEq, Debug)]
pub enum MemberEvent {
    /// A member's price.
    Price(MemberUpdate),
    /// What its session came to.
    Close(MemberClose),
    /// It is put right.
    Amend(MemberAmend),
    /// The partition has come so far in event time.
    Reached(UnixNanos),
}

/// One record of the log that a group follows.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberRecord {
    /// Which group.
    pub group: Arc<str>,
    /// Partition of the market log that says so.
    pub input: i32,
    /// Partitions that the market log has: the group waits for all of them.
    pub inputs: i32,
    /// Offset of the market record that it follows from.
    pub offset: i64,
    /// Which of the records that follow from that one.
    pub index: u32,
    /// What is said.
    pub event: MemberEvent,
}
