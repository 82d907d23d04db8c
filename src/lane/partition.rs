//! One partition's way from assigned to live, and what is known of it.

use crate::domain::{Accounts, UnixNanos};
use std::fmt;
use std::time::{Duration, Instant};

/// A stage that should pass quickly is named stuck after this long without progress.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A partition that waits for what others say of a symbol is named after this long: most are done sooner.
const HELD_LONG: Duration = Duration::from_secs(3);

/// Where a partition stands between assigned and live.
///
/// ```text
/// assigned -> Asking -> Replaying -> Caught -> Live
/// ```
/// A partition may be revoked in every stage. Only a live one sends, and only a live one commits. One that is replayed or
/// live may be held before a record for a while: *adopting*.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Its records are read again, up to where the group stands.
    Replaying {
        /// Offset of its snapshot, or where the log begins.
        from: i64,
        /// Where the group stands.
        to: i64,
    },
    /// It has come to where the group stands and waits for the others: groups are judged over all of them.
    Caught,
    /// Its records are new.
    Live,
}

/// What is known of a partition that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition {
    /// Next offset to read.
    pub(super) next: i64,
    /// Where its records went, since the partition was first read.
    pub(super) accounts: Accounts,
    /// The log's timestamp of the last record.
    pub(super) timestamp: Option<UnixNanos>,
    pub(super) stage: Stage,
    /// Where it stood when last looked at.
    pub(super) seen: i64,
    /// When it last moved, or had nothing to move for.
    pub(super) moved_at: Instant,
    /// When its snapshot is due.
    pub(super) snapshot_due: Instant,
    /// The record that it waits before, until what others have of its symbols is committed.
    pub(super) held: Option<Held>,
}

/// A record whose symbol was read from a partition of others before: what follows from that is said first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) offset: i64,
    pub(super) since: Instant,
}

impl Partition {
    /// Restored up to an offset, and nothing read since.
    pub(super) fn at(next: i64, now: Instant) -> Self {
        Self {
            next,
            accounts: Accounts::default(),
            timestamp: None,
            stage: Stage::Caught,
            seen: next,
            moved_at: now,
            snapshot_due: now,
            held: None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// For the API.
    pub(super) fn stage_name(&self) -> &'static str {
        if self.held.is_some() { "adopting" } else { self.stage.name() }
    }

    /// Whether its records are not to come now.
    pub(super) fn is_kept_back(&self) -> bool {
        self.stage == Stage::Caught
    }

    /// Whether what its records say has been said.
    pub(super) fn is_silent(&self) -> bool {
        !self.is_live()
    }

    /// Part of the state that is restored.
    pub(super) fn progress(&self) -> f64 {
        match self.stage {
            Stage::Replaying { from, to } if to > from => (self.next - from) as f64 / (to - from) as f64,
            _ => 1.0,
        }
    }

    /// What keeps it from being live, if something does; named stuck when it does so for long.
    pub(super) fn trouble(&self, number: i32, now: Instant) -> Option<String> {
        let since = now.saturating_duration_since(self.moved_at);
        let stuck = if since > STUCK_AFTER { format!("; stuck for {} s", since.as_secs()) } else { String::new() };
        if let Some(held) = self.held
            && now.saturating_duration_since(held.since) > HELD_LONG
        {
            let since = now.saturating_duration_since(held.since).as_secs();
            return Some(format!("partition {number}: adopting at offset {}; {since} s", held.offset));
        }
        match self.stage {
            Stage::Live => None,
            stage => Some(format!("partition {number}: {stage} at offset {}{stuck}", self.next)),
        }
    }
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Replaying { .. } => "replaying",
            Self::Caught => "caught_up",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaying { from, to } => write!(f, "replaying {from} to {to}"),
            Self::Caught => f.write_str("waiting for the other partitions"),
            Self::Live => f.write_str("live"),
        }
    }
}
