//! Symbols that move though the number of partitions stays: found by what snapshots know, then followed in order.
//!
//! - Who reads the new partition meets a symbol that it does not have and another partition's snapshot knows, or that it
//!   has itself in another partition.
//! - Who reads the old one finds that another partition's snapshot has one of its symbols, and farther.

use super::Adoption;
use super::census::{Census, Wanted};
use crate::codec::Batch;
use crate::domain::{Observation, Reference};
use crate::engine::Engine;
use crate::lane::{Lane, LaneError};
use std::time::{Duration, Instant};
use tracing::warn;

/// Time between two looks at others' snapshots, at least: and at least so many times what a look takes.
const INTERVAL: Duration = Duration::from_secs(15);
const SHARE: u32 = 20;
/// A look that failed is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Partitions are read without after so long, where looks fail, and where none ends.
const FAILING_MAX: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_mins(1);
/// A symbol that changes its partition more often than this within one time of following has none: the topic is not keyed
/// by symbol.
pub(super) const MOVES_MAX: u32 = 32;

/// Whether a record says that a security goes by another name.
pub(in crate::lane) fn says_name(batch: &Batch<'_>) -> bool {
    batch.events().any(|event| matches!(event, Observation::Reference(Reference::Rename { .. })))
}

/// What is known of symbols in partitions of others, and what is on its way.
#[derive(Default)]
pub(super) struct Lookout {
    census: Census,
    /// When the census at hand was asked for.
    taken_at: Option<Instant>,
    /// When one was asked for that has not come.
    asked_at: Option<Instant>,
    due: Option<Instant>,
    /// Since when others are the partitions that they are.
    others_since: Option<Instant>,
    failures: u32,
    is_news: bool,
    /// Whether symbols moved since state was last captured for others to see.
    pub(super) owes: bool,
    /// Whether symbols were found to have no partition of their own.
    pub(super) is_unkeyed: bool,
}

impl Lookout {
    /// Others are other partitions: their snapshots are to be looked at as soon as that is possible.
    pub(super) fn comes_due(&mut self, now: Instant) {
        (self.due, self.others_since) = (None, Some(now));
    }
}

impl Adoption {
    /// Whether symbols may be met that were elsewhere.
    pub(in crate::lane) fn looks(&self) -> bool {
        self.may_move() && self.following.is_none() && !self.lookout.is_unkeyed
    }

    /// Whether a record is about a symbol that was elsewhere before.
    pub(in crate::lane) fn is_newcomer(&self, engine: &mut Engine, partition: i32, batch: &Batch<'_>) -> bool {
        batch.events().any(|event| {
            if !engine.is_stranger(partition, event) {
                return engine.has_been_away(event, partition);
            }
            if engine.goes_over(partition, event) {
                return false;
            }
            // Under whatever name.
            let mut names = engine.names_of(event).into_iter();
            engine.was_elsewhere(event, partition)
                || names.any(|name| self.lookout.census.knows(name.as_str(), partition))
        })
    }

    /// Something is known that others are to see soon.
    pub(in crate::lane) fn owes_state(&mut self) {
        self.lookout.owes = true;
    }

    /// A symbol of a record came from another partition.
    pub(in crate::lane) fn has_moved(&mut self, symbol: &str) {
        if let Some(following) = &mut self.following {
            self.lookout.is_unkeyed |= following.comes(symbol) > MOVES_MAX;
        }
    }

    /// Whether symbols have a partition each.
    pub(in crate::lane) fn is_keyed(&self) -> bool {
        !self.lookout.is_unkeyed
    }

    /// Whether symbols moved since state was last captured for others.
    pub(in crate::lane) fn has_news(&self) -> bool {
        self.lookout.owes
    }

    /// State is captured for others.
    pub(in crate::lane) fn is_shown(&mut self) {
        self.lookout.owes = false;
    }
}

impl Lane {
    /// Whether it is known what others' snapshots know, since partitions were assigned.
    pub(in crate::lane) fn has_census(&mut self) -> bool {
        self.look_around();
        let Lookout { taken_at, failures, .. } = &self.adoption.lookout;
        let is_recent = taken_at.is_some_and(|at| at >= self.asked_since);
        let waited = self.clock.monotonic().saturating_duration_since(self.asked_since);
        let longest = if *failures > 0 { FAILING_MAX } else { WAIT_MAX };
        if is_recent || !self.needs_census() {
            return true;
        }
        self.asking_since = self.clock.monotonic();
        if waited > longest {
            warn!("snapshots cannot be looked at: symbols that come from other partitions may begin anew");
        }
        waited > longest
    }

    /// Partitions that someone else reads.
    fn others(&self) -> Vec<i32> {
        let is_own = |p: &i32| self.partitions.contains_key(p) || self.asking.contains(p);
        (0..self.adoption.inputs).filter(|p| !is_own(p)).collect()
    }

    /// Whether there are snapshots that know more than what is restored from them.
    fn needs_census(&self) -> bool {
        self.adoption.may_move() && (self.snapshots.are_shared() || !self.others().is_empty())
    }

    /// Asks what snapshots know when it is time for it, and hears the answer.
    fn look_around(&mut self) {
        let now = self.clock.monotonic();
        let lookout = &self.adoption.lookout;
        let is_old = lookout.taken_at.is_none_or(|at| at < self.asked_since) && lookout.failures == 0;
        if lookout.asked_at.is_none() && (is_old || lookout.due.is_none_or(|due| now >= due)) {
            if !self.needs_census() {
                self.adoption.lookout.census = Census::default();
                return;
            }
            let others = self.others();
            let own = self.assigned().into_iter().chain(self.asking.iter().copied()).collect();
            self.adoption.lookout.asked_at = Some(now);
            self.clerk.ask(Wanted { own, others });
        }
        let lookout = &mut self.adoption.lookout;
        let Some(asked_at) = lookout.asked_at else { return };
        let Some(answer) = self.clerk.answer() else { return };
        lookout.asked_at = None;
        match answer {
            Ok(census) => {
                let took = now.saturating_duration_since(asked_at);
                let is_of_these = lookout.others_since.is_none_or(|since| asked_at >= since);
                lookout.due = is_of_these.then(|| now + INTERVAL.max(took * SHARE));
                (lookout.census, lookout.taken_at) = (census, Some(asked_at));
                (lookout.failures, lookout.is_news) = (0, true);
            }
            Err(error) => {
                lookout.failures = lookout.failures.saturating_add(1);
                lookout.due = Some(now + AGAIN);
                warn!(%error, "snapshots of others cannot be looked at");
            }
        }
    }

    /// Looks whether symbols of the lane's own have gone on elsewhere.
    pub(super) fn look_for_leavers(&mut self) -> Result<(), LaneError> {
        if !self.adoption.may_move() || self.adoption.lookout.is_unkeyed {
            return Ok(());
        }
        self.look_around();
        self.compare_census()?;
        let now = self.clock.monotonic();
        if self.adoption.lookout.owes && self.partitions.values().any(|p| p.is_live() && p.snapshot_due <= now) {
            // Where no records come none would be taken.
            self.commits.restate();
        }
        Ok(())
    }

    /// Follows symbols that have come farther in a partition of others.
    pub(in crate::lane) fn compare_census(&mut self) -> Result<(), LaneError> {
        let own = self.assigned();
        let Self { adoption, engine, .. } = self;
        if !std::mem::take(&mut adoption.lookout.is_news) || adoption.is_ordered() {
            return Ok(());
        }
        let is_behind = adoption.lookout.census.doubled.iter().any(|e| engine.is_behind_elsewhere(&own, e));
        if is_behind { self.follow_newcomers() } else { Ok(()) }
    }

    /// A symbol has moved, though the number of partitions is what it was.
    pub(in crate::lane) fn follow_newcomers(&mut self) -> Result<(), LaneError> {
        if self.adoption.lookout.is_unkeyed {
            return Ok(());
        }
        self.begin_following(true);
        self.put_in_order()
    }

    /// Symbols that change their partition again and again are not followed.
    pub(in crate::lane) fn give_up_on_unkeyed(&mut self) -> Result<(), LaneError> {
        if !self.adoption.lookout.is_unkeyed || self.adoption.following.is_none() {
            return Ok(());
        }
        warn!(
            "symbols change their partition again and again: the topic is not keyed by symbol; each lane goes by what it reads"
        );
        self.adoption.bystander = None;
        self.leave()
    }
}
