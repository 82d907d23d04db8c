//! The one place where offsets are committed.
//!
//! A commit takes three steps: capture positions and state at one moment between records; wait until every
//! alert sent up to there is acknowledged; write the snapshot, then commit the offsets. The input goes on
//! meanwhile. A crash at any point leaves a snapshot that is not ahead of its acknowledged alerts.
//!
//! A partition without a snapshot commits nothing: a restart would go on behind records whose state is gone.

use super::snapshots::{Captured, PartitionSnapshot};
use super::{Lane, LaneError};
use crate::clock;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tracing::warn;

/// Time given to the broker to answer the last commit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A capture on its way to being committed.
pub(super) struct Pending {
    offsets: Vec<(i32, i64)>,
    state: Option<Captured>,
}

/// When what was last done, and what is on its way.
#[derive(Default)]
pub(super) struct Commits {
    pending: Option<Pending>,
    committed: Vec<(i32, i64)>,
    last_commit: Option<Instant>,
    last_snapshot: Option<Instant>,
    /// Partitions with a snapshot on disk.
    kept: BTreeSet<i32>,
}

impl Commits {
    /// What was captured belongs to partitions that are gone.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.kept.retain(|p| !partitions.contains(p));
        self.pending = None;
        self.committed.clear();
    }

    /// A partition's snapshot was found.
    pub(super) fn has_snapshot(&mut self, partition: i32) {
        self.kept.insert(partition);
    }
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|at| clock::monotonic() - at >= interval)
}

impl Lane<'_> {
    /// Moves a commit on: captures when one is due, finishes when its alerts are acknowledged.
    pub(super) fn settle(&mut self) -> Result<(), LaneError> {
        if self.commits.pending.is_some() {
            if self.deliverer.sink.is_settled()? {
                self.finish(None)?;
            }
            return Ok(());
        }
        // A failure shows even when nothing is due. What an abandoned capture left unacknowledged is waited
        // for, or the next one would pass it.
        if !self.deliverer.sink.is_settled()? {
            return Ok(());
        }
        if !is_due(self.commits.last_commit, self.config.commit_interval) {
            return Ok(());
        }
        let offsets = self.offsets();
        if offsets == self.commits.committed {
            return Ok(());
        }
        let with_state = is_due(self.commits.last_snapshot, self.config.snapshot_interval);
        self.capture(offsets, with_state);
        Ok(())
    }

    /// Commits everything taken so far, waiting at most `timeout` for acknowledgements; false when they did
    /// not come.
    pub(super) fn commit_now(&mut self, timeout: Duration) -> Result<bool, LaneError> {
        let is_acknowledged = self.deliverer.sink.drain(timeout)?;
        if !is_acknowledged {
            warn!(
                in_flight = self.deliverer.sink.in_flight(),
                "alerts are not acknowledged; the records behind them are read again later"
            );
            self.commits.pending = None;
            return Ok(false);
        }
        let offsets = self.offsets();
        self.capture(offsets, true);
        self.finish(Some(COMMIT_TIMEOUT))?;
        Ok(true)
    }

    fn offsets(&self) -> Vec<(i32, i64)> {
        self.positions.iter().filter_map(|(p, at)| Some((*p, at.next?))).collect()
    }

    fn capture(&mut self, offsets: Vec<(i32, i64)>, with_state: bool) {
        self.commits.last_commit = Some(clock::monotonic());
        let state = with_state.then(|| {
            self.commits.last_snapshot = Some(clock::monotonic());
            let image = self.engine.image(&self.assigned());
            let partitions = image.partitions.into_iter().filter_map(|(partition, image)| {
                let position = self.positions.get(&partition)?;
                let snapshot = PartitionSnapshot {
                    topic: self.config.kafka.topics.market.clone(),
                    group: self.config.kafka.group.clone(),
                    partition,
                    next_offset: position.next?,
                    outcomes: position.accounts.outcomes,
                    image,
                };
                Some(snapshot)
            });
            Captured { partitions: partitions.collect(), groups: image.groups, offsets: offsets.clone() }
        });
        self.commits.pending = Some(Pending { offsets, state });
        self.deliverer.sink.next_epoch();
    }

    fn finish(&mut self, wait: Option<Duration>) -> Result<(), LaneError> {
        let Some(pending) = self.commits.pending.take() else { return Ok(()) };
        if let Some(state) = &pending.state {
            let written = self.snapshots.write(state);
            let result = if written.is_ok() { "written" } else { "failed" };
            self.shared.metrics.snapshots.with_label_values(&[result]).inc();
            written.map_err(LaneError::Snapshot)?;
            self.commits.kept.extend(state.partitions.iter().map(|s| s.partition));
        }
        let kept = &self.commits.kept;
        let offsets: Vec<(i32, i64)> = pending.offsets.iter().filter(|(p, _)| kept.contains(p)).copied().collect();
        // Without its broker a commit is only delayed: the snapshot already says where to continue.
        match self.source.commit(&offsets, wait) {
            Ok(()) => self.commits.committed = offsets,
            Err(error) => warn!(%error, "offsets not committed; the snapshot has them"),
        }
        Ok(())
    }
}
