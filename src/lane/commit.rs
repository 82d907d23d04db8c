//! The one place where offsets are committed.
//!
//! What was sent is sealed together with the offsets behind it. A sink that commits both as one is done with that; of
//! the other kind the offsets follow when every record of the seal is acknowledged, and the input goes on meanwhile.
//! State is captured at the seal and written when its offsets are known to be committed, so that a snapshot is
//! never ahead of what was delivered.
//!
//! Only live partitions commit: one that is being replayed stands behind the group.

use super::snapshots::{Captured, PartitionSnapshot};
use super::{Lane, LaneError};
use crate::sinks::Sealed;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::warn;

/// Time given to the broker to answer the last commit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Least time between two transactions: alerts of a burst share one.
const GAP: Duration = Duration::from_millis(2);
/// Least time between two snapshots for others, while symbols move.
const NEWS_INTERVAL: Duration = Duration::from_secs(5);
/// Time given to the disk when partitions are given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// Offsets whose records' alerts are on their way.
struct Pending {
    offsets: Vec<(i32, i64)>,
    state: Option<Captured>,
}

/// When what was last done, and what is on its way.
#[derive(Default)]
pub(super) struct Commits {
    pending: Option<Pending>,
    /// Newest offsets known to be committed, by a transaction or before the partition was assigned.
    committed: BTreeMap<i32, i64>,
    /// State whose offsets are sent and not confirmed yet.
    unconfirmed: Option<Captured>,
    last: Option<Instant>,
    /// When state last went to where other machines find it.
    last_shared: Option<Instant>,
    /// When offsets of every partition were last committed with the time noted.
    pub(super) noted: Option<Instant>,
    /// Whether offsets are committed once more where they stand: what is noted with them is news.
    is_restating: bool,
}

impl Commits {
    /// Where the group stands in a partition that is assigned.
    pub(super) fn stands_at(&mut self, partition: i32, offset: i64) {
        self.committed.insert(partition, offset);
    }

    /// Commits offsets once more, with what is noted now.
    pub(super) fn restate(&mut self) {
        self.is_restating = true;
    }

    /// What was captured belongs to partitions that are gone.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.pending = None;
        self.unconfirmed = None;
        self.committed.retain(|p, _| !partitions.contains(p));
    }
}

impl Lane {
    /// Moves a commit on: seals when one is due, goes on when what was sealed is acknowledged.
    pub(super) fn settle(&mut self) -> Result<(), LaneError> {
        self.keep_confirmed();
        // A failure shows even when nothing is due. What an abandoned seal left unacknowledged is waited for,
        // or the next one would pass it.
        if !self.deliverer.sink.is_settled()? {
            return Ok(());
        }
        if let Some(pending) = self.commits.pending.take() {
            self.commit_offsets(pending, None);
            return Ok(());
        }
        let now = self.clock.monotonic();
        let since = self.commits.last.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let unsealed = self.deliverer.unsealed;
        // What waits for its transaction is in flight, and would keep the input waiting.
        let is_much = unsealed.records > self.config.in_flight_max as u64 / 2;
        let is_awaited = unsealed.alerts > 0 || is_much;
        let is_urgent = is_awaited && self.deliverer.sink.is_transactional() && since >= GAP;
        if !is_urgent && since < self.config.commit_interval {
            return Ok(());
        }
        self.renew_notes();
        let offsets = self.uncommitted();
        if offsets.is_empty() && unsealed.records == 0 {
            return Ok(());
        }
        self.seal(offsets)
    }

    /// Seals what was sent so far.
    pub(super) fn seal_all(&mut self) -> Result<(), LaneError> {
        let offsets = self.uncommitted();
        self.seal(offsets)
    }

    fn seal(&mut self, offsets: Vec<(i32, i64)>) -> Result<(), LaneError> {
        // Without its broker the client may come back from this much later than it was told to.
        self.shared.beat(self.number, format!("committing to {}", self.config.kafka.brokers));
        let sealed = self.seal_with(&offsets)?;
        self.commits.last = Some(self.clock.monotonic());
        self.commits.is_restating = false;
        match sealed {
            Sealed::Committed => {
                self.abandoned = 0;
                self.commits.committed.extend(offsets.iter().copied());
                if let Some(captured) = self.capture_due() {
                    self.writer.submit(captured);
                }
            }
            Sealed::Open => {
                // Captured now: the input goes on while the records of the seal are acknowledged.
                let state = if self.commits.unconfirmed.is_none() { self.capture_due() } else { None };
                self.commits.pending = Some(Pending { offsets, state });
            }
        }
        Ok(())
    }

    fn seal_with(&mut self, offsets: &[(i32, i64)]) -> Result<Sealed, LaneError> {
        if self.deliverer.sink.is_transactional() {
            self.write_note();
        }
        let member = self.source.member();
        Ok(self.deliverer.seal(offsets, member.as_ref())?)
    }

    /// Commits everything taken so far, waiting at most `timeout` for acknowledgements, and keeps the state; false
    /// when they did not come.
    pub(super) fn commit_now(&mut self, timeout: Duration) -> Result<bool, LaneError> {
        if !self.deliverer.sink.drain(timeout)? {
            warn!(
                in_flight = self.deliverer.sink.in_flight(),
                "alerts are not acknowledged; the records behind them are read again later"
            );
            self.commits.pending = None;
            return Ok(false);
        }
        self.commits.pending = None;
        let offsets = self.uncommitted();
        if !offsets.is_empty() || self.deliverer.unsealed.records > 0 {
            match self.seal_with(&offsets)? {
                Sealed::Committed => self.commits.committed.extend(offsets.iter().copied()),
                Sealed::Open => self.commit_offsets(Pending { offsets, state: None }, Some(COMMIT_TIMEOUT)),
            }
        }
        let live = self.live_offsets();
        let kept = live.iter().all(|(p, offset)| self.is_kept(*p, *offset));
        // Without partitions there is nothing to keep, and what the disk has of the groups is worth more. What is still
        // encoded takes longer to decode than there is time; the snapshot that it came from stays.
        if kept && !live.is_empty() && self.still_encoded == 0 {
            let captured = self.capture(&live.iter().map(|(p, _)| *p).collect::<Vec<_>>(), true);
            self.commits.unconfirmed = None;
            if !self.writer.submit(captured) || !self.writer.flush(WRITE_TIMEOUT) {
                warn!("the last snapshot is not written; the next owner reads more again");
            }
        }
        Ok(true)
    }

    fn commit_offsets(&mut self, pending: Pending, wait: Option<Duration>) {
        let Pending { offsets, state } = pending;
        // Without its broker a commit is only delayed: what is not committed is read again.
        match self.source.commit(&offsets, wait) {
            Ok(()) => {
                self.commits.unconfirmed = self.commits.unconfirmed.take().or(state);
            }
            Err(error) => warn!(%error, "offsets not committed; they are with the next commit"),
        }
    }

    /// Writes captured state once the group has kept its offsets.
    fn keep_confirmed(&mut self) {
        let Some(captured) = self.commits.unconfirmed.take() else { return };
        if captured.offsets.iter().all(|(p, offset)| self.is_kept(*p, *offset)) {
            self.writer.submit(captured);
        } else {
            self.commits.unconfirmed = Some(captured);
        }
    }

    /// Whether the group stands at an offset or behind it: it has kept it, or stood there when the partition was assigned.
    fn is_kept(&self, partition: i32, offset: i64) -> bool {
        self.commits.committed.get(&partition) == Some(&offset)
            || self.source.confirmed(partition).is_some_and(|kept| kept >= offset)
    }

    fn live_offsets(&self) -> Vec<(i32, i64)> {
        self.partitions.iter().filter(|(_, state)| state.is_live()).map(|(p, state)| (*p, state.next)).collect()
    }

    fn uncommitted(&self) -> Vec<(i32, i64)> {
        let mut offsets = self.live_offsets();
        if self.commits.is_restating {
            return offsets;
        }
        // What was asked for and is not confirmed is asked for again: a group in the middle of a rebalance refuses.
        offsets.retain(|(p, next)| {
            self.commits.committed.get(p) != Some(next) && self.source.confirmed(*p).is_none_or(|kept| kept < *next)
        });
        offsets
    }

    /// The state of all live partitions, when a snapshot is due: of one moment, as the groups span them. As long as a
    /// part of it is still encoded the snapshot that it came from is kept.
    fn capture_due(&mut self) -> Option<Captured> {
        if self.still_encoded > 0 {
            return None;
        }
        let now = self.clock.monotonic();
        let live = || self.partitions.iter().filter(|(_, state)| state.is_live());
        let is_due = live().any(|(_, state)| state.snapshot_due <= now);
        is_due.then(|| live().map(|(p, _)| *p).collect::<Vec<_>>()).map(|live| self.capture(&live, false))
    }

    fn capture(&mut self, partitions: &[i32], is_last: bool) -> Captured {
        let now = self.clock.monotonic();
        let due = now + self.config.snapshot_interval;
        let image = self.engine.image(partitions);
        self.adoption.captured(self.engine.moved().map_or(0, |(count, _)| count));
        let mut captured = Vec::with_capacity(partitions.len());
        for (partition, image) in image.partitions {
            let Some(state) = self.partitions.get_mut(&partition) else { continue };
            state.snapshot_due = due;
            captured.push(PartitionSnapshot {
                topic: self.config.kafka.topics.market.clone(),
                group: self.config.kafka.group.clone(),
                partition,
                next_offset: state.next,
                outcomes: state.accounts.outcomes,
                image,
            });
        }
        let interval = if self.adoption.has_news() { NEWS_INTERVAL } else { self.config.shared_interval };
        let interval = interval.min(self.config.shared_interval);
        let is_shared =
            is_last || self.commits.last_shared.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if is_shared {
            self.adoption.is_shown();
            self.commits.last_shared = Some(now);
        }
        Captured { partitions: captured, groups: image.groups, offsets: self.live_offsets(), is_shared }
    }
}
