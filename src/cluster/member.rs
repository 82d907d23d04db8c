//! What a member tells its groups: a price while the session runs, and what the session came to.

use crate::domain::{self, CloseBasis, SessionDate, Symbol, UnixNanos};

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
    /// Where the close comes from.
    pub basis: Option<CloseBasis>,
    /// First breach of the session, where it was watched.
    pub breached_at: Option<UnixNanos>,
    /// Partition and offset of the close.
    pub source: Option<(i32, i64)>,
    /// Whether it only was history.
    pub is_history: bool,
}
