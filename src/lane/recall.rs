//! What was said of partitions before they are restored, where alerts and offsets are committed as one.
//!
//! A broker that dies while it ends a transaction may keep its alerts and forget its offsets, and the next producer of
//! the same name may undo what is left: then the group answers with offsets of before, and says nothing of it. So it is
//! not asked whether something went wrong. With its offsets a transaction notes the time; whoever restores a partition
//! behind which records stand reads what was said since then, and does not say it again. Usually that is next to nothing.

use super::note::field;
use super::recover::CLEAR_AFTER;
use super::{Lane, LaneError};
use crate::domain::UnixNanos;
use crate::sinks::Recalled;
use crate::sources::Standing;
use std::time::Duration;
use tracing::warn;

/// Offsets of partitions in which nothing happens are noted anew after so long, so that little is to be read.
const NOTE_AGE: Duration = Duration::from_mins(1);
/// How far clocks of machines may be apart.
const SKEW: Duration = Duration::from_mins(1);
/// What others have begun ends by itself within this: a transaction after 10 s, and the coordinator looks every 10 s.
const PATIENCE: Duration = Duration::from_secs(25);

impl Lane {
    /// What is to be noted of the time, in milliseconds.
    pub(super) fn noted_time(&self) -> Option<String> {
        let at = self.clock.now().0 / 1_000_000;
        self.deliverer.sink.is_transactional().then(|| format!("at={at}"))
    }

    /// Has offsets of all partitions committed with what comes next, where the last time is long ago.
    pub(super) fn renew_notes(&mut self) {
        let now = self.clock.monotonic();
        let is_old = |at| now.saturating_duration_since(at) >= NOTE_AGE;
        if self.deliverer.sink.is_transactional() && self.commits.noted.is_none_or(is_old) {
            self.commits.noted = Some(now);
            self.commits.restate();
        }
    }

    /// Whether it is known what was said since the group committed `standings`.
    pub(super) fn recall(&mut self, standings: &[Standing]) -> Result<bool, LaneError> {
        let is_behind = |s: &&Standing| s.committed.is_some_and(|c| c < s.high);
        let since = standings.iter().filter(is_behind).filter_map(|s| field::<i64>(&s.note, "at")).min();
        let Some(since) = since.filter(|_| self.deliverer.sink.is_transactional()) else { return Ok(true) };
        let skew = i64::try_from(SKEW.as_nanos()).unwrap_or(i64::MAX);
        let since = UnixNanos(since.saturating_mul(1_000_000).saturating_sub(skew));
        self.shared.beat(self.number, "reading what was said");
        let is_to_come = |partition: i32, offset: i64| {
            standings.iter().any(|s| s.partition == partition && s.committed.is_some_and(|c| offset >= c))
        };
        let recalled = self.deliverer.sink.recall(since, &is_to_come)?;
        let Recalled::Open { is_undone, why } = recalled else { return Ok(true) };
        let waited = self.clock.monotonic().saturating_duration_since(self.asked_since.max(self.asking_since));
        if waited > PATIENCE {
            warn!(why, "going on without knowing all that was said");
            return Ok(true);
        }
        if is_undone && waited >= CLEAR_AFTER && !self.has_cleared {
            self.clear(&why)?;
        }
        Ok(false)
    }
}
