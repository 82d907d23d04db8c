//! Partitions come and go: restored from a snapshot, replayed in silence up to where the group stands, then live.
//!
//! State is a function of the records up to an offset, so a snapshot at S, with the records from S to the committed
//! offset C read again, is the state at C; what those records say was said before they were committed. Without a
//! snapshot the replay begins where the log does. Offsets are only ever committed for live partitions, so nothing
//! here moves the group back.

use super::partition::{Partition, STUCK_AFTER, Stage};
use super::{Lane, LaneError, Role};
use crate::domain::Accounts;
use crate::sources::{Ownership, Standing};
use std::time::Duration;
use tracing::{info, warn};

/// Time given to the broker to say where partitions stand, before the lane looks after everything else again.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// Time without an answer after which leftovers are looked for: a transaction that is merely not over takes less, or
/// ends by itself.
pub(super) const CLEAR_AFTER: Duration = Duration::from_secs(2);
/// Time given to the last acknowledgements when partitions are given up or the service stops.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

impl Lane {
    pub(super) fn change_ownership(&mut self, change: Ownership) -> Result<(), LaneError> {
        self.shared.metrics.rebalances.inc();
        match change {
            Ownership::Assigned(partitions) => {
                info!(?partitions, "partitions assigned");
                self.was_assigned = true;
                if partitions.is_empty() {
                    // An answer is expected all the same.
                    return Ok(self.source.start(&[])?);
                }
                self.asking.extend(partitions);
                self.asked_since = self.clock.monotonic();
                Ok(())
            }
            Ownership::Revoked { partitions, lost } => self.revoked(&partitions, lost),
        }
    }

    fn revoked(&mut self, partitions: &[i32], lost: bool) -> Result<(), LaneError> {
        info!(?partitions, lost, "partitions revoked");
        self.settle_note();
        self.follow_anew();
        self.asking.retain(|p| !partitions.contains(p));
        if lost && self.deliverer.sink.is_transactional() && self.deliverer.unsealed.records > 0 {
            // What is open holds records of partitions that someone else may read by now.
            self.source.release(partitions)?;
            self.started.retain(|p| !partitions.contains(p));
            for partition in partitions {
                self.partitions.remove(partition);
                self.engine.forget_partition(*partition);
            }
            return Err(LaneError::Lost);
        }
        // Given up in any case: a partition that is not let go holds up the whole group.
        // What has been taken in this turn has not been followed up yet.
        let committed = if lost { Ok(true) } else { self.advance(1).and_then(|()| self.commit_now(DRAIN_TIMEOUT)) };
        self.source.release(partitions)?;
        self.started.retain(|p| !partitions.contains(p));
        for partition in partitions {
            self.partitions.remove(partition);
            self.engine.forget_partition(*partition);
            self.shared.metrics.forget_partition(&self.config.kafka.topics.market, *partition);
        }
        if self.partitions.is_empty() {
            // What comes next is restored as in a process that starts. Groups that went on from what they had become
            // would have to be told every partition from the beginning of its log.
            self.engine.forget_groups();
            self.has_lived = false;
        }
        self.recount();
        self.commits.forget(partitions);
        let is_committed = committed?;
        if !is_committed && self.deliverer.sink.is_transactional() && self.deliverer.unsealed.records > 0 {
            // What is open holds records of partitions that are someone else's now, who says them again.
            return Err(LaneError::Lost);
        }
        // Those that are left may have waited for one that is gone.
        self.go_live()
    }

    /// Asks where newly assigned partitions stand, restores them and begins to read.
    fn ask(&mut self) -> Result<(), LaneError> {
        if self.asking.is_empty() {
            return Ok(());
        }
        if !self.deliverer.sink.begin(ASK_TIMEOUT)? {
            return Ok(());
        }
        let is_market = self.role == Role::Symbols;
        if is_market && !(self.count_inputs(ASK_TIMEOUT)? && self.has_census()) {
            return Ok(());
        }
        let Some(mut standings) = self.source.standing(&self.asking, ASK_TIMEOUT)? else { return self.ask_again() };
        if is_market && !self.compare_counts(&mut standings)? {
            return Ok(());
        }
        if !self.recall(&standings)? {
            return Ok(());
        }
        self.asking.clear();
        self.follow_anew();
        self.has_cleared = false;
        if self.partitions.is_empty() && !self.has_lived {
            self.restore_groups(&standings);
        }
        let mut starts = Vec::with_capacity(standings.len());
        for standing in &standings {
            starts.push((standing.partition, self.restore(standing)));
        }
        // From here on the groups are what they have become.
        self.groups_at.clear();
        if is_market {
            self.compare_census()?;
        }
        info!(?starts, "reading");
        let (known, new): (Vec<_>, Vec<_>) = starts.into_iter().partition(|(p, _)| self.started.contains(p));
        if !known.is_empty() {
            self.source.seek(&known)?;
            self.resume(&known.iter().map(|(p, _)| *p).collect::<Vec<_>>())?;
        }
        if !new.is_empty() {
            self.source.start(&new)?;
            if self.adoption.was_ordered {
                // One that was paused when it went comes back paused.
                self.resume(&new.iter().map(|(p, _)| *p).collect::<Vec<_>>())?;
            }
            self.started.extend(new.iter().map(|(p, _)| *p));
        }
        self.adoption.was_ordered |= self.adoption.is_ordered();
        if self.is_paused || self.adoption.is_ordered() {
            self.source.set_paused(&self.assigned(), true)?;
        }
        self.has_lived = true;
        self.recount();
        // Some have nothing to read again.
        self.caught_up()
    }

    /// No answer: it is asked for again with the next turn. A broker that was killed may have kept open what an earlier
    /// life of this lane's producer wrote to the group's offsets, and holds these back for ever: a transaction of the
    /// same producer that touches them and is aborted ends that. New clients are tried after that.
    fn ask_again(&mut self) -> Result<(), LaneError> {
        let since = self.clock.monotonic().saturating_duration_since(self.asked_since.max(self.asking_since));
        if since < CLEAR_AFTER || !self.shared.health.is_up() {
            return Ok(());
        }
        if since > STUCK_AFTER {
            return Err(LaneError::NoStanding(self.asking.clone()));
        }
        if self.has_cleared { Ok(()) } else { self.clear("the group holds back where partitions stand") }
    }

    /// Ends what an earlier life of this lane's producer may have left open.
    pub(super) fn clear(&mut self, why: &str) -> Result<(), LaneError> {
        warn!(partitions = ?self.asking, why, "ending what may have been left open");
        self.has_cleared = true;
        if self.deliverer.unsealed.records > 0 {
            // What live partitions have said is not to be aborted with it.
            self.seal_all()?;
        }
        let offsets: Vec<(i32, i64)> = self.asking.iter().map(|p| (*p, 0)).collect();
        let member = self.source.member();
        Ok(self.deliverer.sink.clear(&offsets, member.as_ref())?)
    }

    /// A transaction failed: what it held was not said, so the state that follows from it did not come about either.
    /// The producer is abandoned, and every partition goes back to where the group stands. The consumer stays in its
    /// group: to leave in the middle of a rebalance would hold the group up, or leave partitions to nobody.
    pub(super) fn abandon(&mut self, failure: &LaneError) -> Result<(), LaneError> {
        self.abandoned += 1;
        warn!(%failure, "transaction abandoned; partitions go back to where the group stands");
        self.shared.metrics.transactions_abandoned.inc();
        self.deliverer.renew()?;
        let partitions = self.assigned();
        self.commits.forget(&partitions);
        for partition in &partitions {
            self.partitions.remove(partition);
            self.engine.forget_partition(*partition);
        }
        self.engine.forget_groups();
        self.effects.clear();
        self.groups_at.clear();
        (self.has_lived, self.is_paused) = (false, false);
        self.recount();
        self.asking.extend(&partitions);
        self.asked_since = self.clock.monotonic();
        Ok(())
    }

    fn restore_groups(&mut self, standings: &[Standing]) {
        let goal = |p: i32| standings.iter().find(|s| s.partition == p).map(goal);
        if let Some(snapshot) = self.snapshots.groups(&goal) {
            self.groups_at = snapshot.offsets.into_iter().collect();
            self.engine.restore_groups(snapshot.image);
        }
    }

    /// Brings a partition's state back; the offset to read from.
    fn restore(&mut self, standing: &Standing) -> i64 {
        let &Standing { partition, low, high, committed, .. } = standing;
        let mut to = goal(standing);
        let metrics = self.shared.metrics.clone();
        let restored = |from: &str| metrics.restores.with_label_values(&[from]).inc();
        if committed.is_some_and(|c| c > high) {
            warn!(
                partition,
                ?committed,
                high,
                "the log ends before the group's offset: it is another log; its state starts over"
            );
        }
        if committed.is_some_and(|c| c < low) {
            warn!(
                partition,
                ?committed,
                low,
                "records were deleted before they were read: the log begins behind the group's offset"
            );
        }
        let now = self.clock.monotonic();
        let mut state = Partition::at(to, now);
        // The groups must not be behind: what they were told before would not be told again. Groups that know
        // nothing of a partition are told everything, as long as the log has it.
        let bound = match self.groups_at.get(&partition) {
            Some(at) => to.min(*at),
            None if self.waits_for_all() && low == 0 => low,
            None => to,
        };
        let is_known = committed.is_some_and(|c| c <= high);
        if is_known && let Some(snapshot) = self.snapshots.partition(partition, bound) {
            if snapshot.next_offset < low {
                warn!(
                    partition,
                    snapshot = snapshot.next_offset,
                    low,
                    "the log no longer has the records behind the snapshot; what they said is missing from the state"
                );
                restored("snapshot_with_gap");
            } else {
                restored("snapshot");
            }
            self.engine.restore_partition(self.clock.now(), partition, &snapshot.image);
            let quarantined = self.engine.quarantined(partition);
            state.accounts = Accounts { outcomes: snapshot.outcomes, quarantined };
            state.next = snapshot.next_offset.max(low);
            info!(partition, offset = snapshot.next_offset, committed = to, "state restored from its snapshot");
        } else if is_known && low < to {
            state.next = low;
            self.reads_whole_log();
            restored(if low == 0 { "log" } else { "log_with_gap" });
            info!(partition, from = low, to, "no snapshot to go on from: the log is read again from its beginning");
        } else {
            to = if is_known { to.max(low) } else { standing.begins };
            state.next = to;
            restored("nothing");
        }
        if let Some(committed) = committed {
            self.commits.stands_at(partition, committed);
        }
        self.engine.replay_begins(partition);
        if state.next < to {
            state.stage = Stage::Replaying { from: state.next, to };
        }
        self.partitions.insert(partition, state);
        self.show_progress(partition);
        state.next
    }

    fn show_progress(&self, partition: i32) {
        let Some(state) = self.partitions.get(&partition) else { return };
        self.shared.metrics.restore_progress.with_label_values(&[&partition.to_string()]).set(state.progress());
    }

    /// Moves restoring on: partitions that have come to where the group stands are caught up, new ones are asked for.
    pub(super) fn recover(&mut self) -> Result<(), LaneError> {
        let mut at_end = self.source.at_end();
        if self.adoption.is_ordered() {
            // What comes so is not taken.
            at_end.clear();
        }
        if !self.partitions.values().all(Partition::is_live) {
            self.look_for_caught_up(&at_end)?;
        }
        self.ask()?;
        self.adopt()
    }

    fn look_for_caught_up(&mut self, at_end: &[i32]) -> Result<(), LaneError> {
        let mut is_news = false;
        for (partition, state) in &mut self.partitions {
            let Stage::Replaying { to, .. } = state.stage else { continue };
            if state.next < to && at_end.contains(partition) {
                // Its last records were aborted or compacted away.
                info!(partition, at = state.next, to, "nothing more stands before the group's offset");
                state.next = to;
            }
            if state.next >= to {
                state.stage = Stage::Caught;
                is_news = true;
            }
        }
        for partition in self.partitions.keys() {
            self.show_progress(*partition);
        }
        if is_news { self.caught_up() } else { Ok(()) }
    }

    fn caught_up(&mut self) -> Result<(), LaneError> {
        // What waited for the partition's clock when the offset was committed had been decided by then.
        self.advance_engine();
        self.deliverer.alerts(&mut self.effects, None)?;
        self.resolve()?;
        let is_awaited = self.waits_for_all() && self.is_any_replaying();
        if is_awaited {
            let caught: Vec<i32> = self.in_stage(Stage::Caught);
            return Ok(self.source.set_paused(&caught, true)?);
        }
        self.go_live()
    }

    /// Lets caught-up partitions go on, all of them at once where they are judged together.
    fn go_live(&mut self) -> Result<(), LaneError> {
        if self.waits_for_all() && self.is_any_replaying() {
            return Ok(());
        }
        let caught = self.in_stage(Stage::Caught);
        if caught.is_empty() {
            return Ok(());
        }
        let now = self.clock.monotonic();
        for partition in &caught {
            if let Some(state) = self.partitions.get_mut(partition) {
                state.stage = Stage::Live;
                state.moved_at = now;
            }
            self.engine.replay_ends(*partition, &mut self.effects);
            self.show_progress(*partition);
        }
        info!(partitions = ?caught, "live");
        self.resume(&caught)?;
        self.deliverer.alerts(&mut self.effects, None)?;
        self.resolve()
    }

    /// Lets records of partitions come, unless something else keeps them from coming.
    pub(super) fn resume(&mut self, partitions: &[i32]) -> Result<(), LaneError> {
        if self.is_paused || self.adoption.is_ordered() {
            return Ok(());
        }
        Ok(self.source.set_paused(partitions, false)?)
    }

    /// Whether what this lane decides spans its partitions.
    pub(super) fn waits_for_all(&self) -> bool {
        self.role == Role::Symbols && self.engine.spans_partitions()
    }

    fn is_any_replaying(&self) -> bool {
        self.partitions.values().any(|p| matches!(p.stage, Stage::Replaying { .. }))
    }

    fn in_stage(&self, stage: Stage) -> Vec<i32> {
        self.partitions.iter().filter(|(_, p)| p.stage == stage).map(|(p, _)| *p).collect()
    }
}

/// Where the group stands in a partition: where it has committed, or where it begins.
fn goal(standing: &Standing) -> i64 {
    standing.committed.filter(|c| *c <= standing.high).unwrap_or(standing.begins)
}
