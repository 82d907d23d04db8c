//! The time after a change: others are read beside the lane's own, and all in one order as soon as a symbol moves.
//!
//! Where all partitions end is asked for again and again, and what stood there the time before is read: whatever a
//! record follows from was written before it, so it was there when the ends were asked for once more.
//!
//! No symbol comes back to a partition under one change alone. So until one is met where it was not before, the lane's own
//! records are taken as they come, and nothing waits.

use super::{ANSWER_TIMEOUT, Adoption};
use crate::engine::digest;
use crate::lane::partition::{Partition, Stage};
use crate::lane::{Lane, LaneError};
use crate::sources::{RawRecord, Stretch};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Time between two questions to the broker: while records wait for the answer, and while none does.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time without any progress: what contradicts itself, or cannot be read, must not hold a lane for ever.
const HELD_MAX: Duration = Duration::from_mins(5);

/// A partition that someone else reads.
#[derive(Default)]
struct Other {
    /// Next offset to read.
    next: i64,
    /// Behind its last record so far.
    last: i64,
    /// Where it ended when partitions of others were last begun with.
    ended: i64,
    /// What the group has kept of it.
    kept: i64,
}

/// The last record about a symbol in a partition of others.
#[derive(Clone, Copy)]
struct Seen {
    partition: i32,
    offset: i64,
}

/// The time after a change.
pub(super) struct Following {
    pub(super) until: Instant,
    /// Whether the lane's own partitions are read in one order with those of others.
    is_ordered: bool,
    /// Whether a part of the topic is being read.
    is_open: bool,
    /// Whether all that stood there at first has been read.
    pub(super) has_read: bool,
    asked_at: Option<Instant>,
    kept_at: Option<Instant>,
    /// Where partitions ended when last asked, and the time before.
    ends: BTreeMap<i32, i64>,
    wanted: BTreeMap<i32, i64>,
    others: BTreeMap<i32, Other>,
    seen: HashMap<Box<str>, Vec<Seen>>,
    /// How often symbols came to partitions of the lane's own.
    moves: HashMap<u64, u32>,
    /// A record that waits no longer, whatever it follows from.
    released: Option<(i32, i64)>,
    /// When anything last came on, and what the group had kept of others then.
    moved_at: Instant,
    kept: i64,
}

impl Following {
    pub(super) fn new(now: Instant, until: Instant, is_ordered: bool) -> Self {
        Self {
            until,
            is_ordered,
            is_open: false,
            has_read: false,
            asked_at: None,
            kept_at: None,
            ends: BTreeMap::new(),
            wanted: BTreeMap::new(),
            others: BTreeMap::new(),
            seen: HashMap::new(),
            moves: HashMap::new(),
            released: None,
            moved_at: now,
            kept: 0,
        }
    }

    /// The partitions are others.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        *self = Self::new(now, self.until, self.is_ordered);
    }

    pub(super) fn end(&self, partition: i32) -> Option<i64> {
        self.ends.get(&partition).copied()
    }

    /// Whether a record of others is a new one.
    pub(super) fn is_new(&self, record: &RawRecord<'_>) -> bool {
        self.others.get(&record.partition).is_some_and(|other| record.offset >= other.next)
    }

    /// Whether a record of others was there when partitions of others were begun with: snapshots may know of what is later.
    pub(super) fn is_of_before(&self, record: &RawRecord<'_>) -> bool {
        self.others.get(&record.partition).is_none_or(|other| record.offset < other.ended)
    }

    /// A record of others is taken note of.
    pub(super) fn passes(&mut self, record: &RawRecord<'_>) {
        if let Some(other) = self.others.get_mut(&record.partition) {
            (other.next, other.last) = (record.offset + 1, record.offset + 1);
        }
    }

    /// A symbol is met in a partition of others.
    pub(super) fn sees(&mut self, symbol: &str, record: &RawRecord<'_>) {
        let last = Seen { partition: record.partition, offset: record.offset };
        let Some(all) = self.seen.get_mut(symbol) else {
            self.seen.insert(symbol.into(), vec![last]);
            return;
        };
        match all.iter_mut().find(|s| s.partition == record.partition) {
            Some(seen) => *seen = last,
            None => all.push(last),
        }
    }

    /// A symbol comes to a partition of the lane's own; how often it has by now.
    pub(super) fn comes(&mut self, symbol: &str) -> u32 {
        let count = self.moves.entry(digest(symbol)).or_default();
        *count += 1;
        *count
    }

    /// Whether what follows from what others have of a symbol before a record is committed.
    pub(super) fn is_said(&self, symbol: &str, record: &RawRecord<'_>) -> bool {
        let is_kept = |seen: &Seen| self.others.get(&seen.partition).is_none_or(|other| other.kept > seen.offset);
        self.released == Some((record.partition, record.offset))
            || self.seen.get(symbol).is_none_or(|all| all.iter().all(is_kept))
    }

    /// What is to be read of a partition.
    fn stretch(&self, partition: i32, from: i64, bound: i64) -> Stretch {
        let to = self.ends.get(&partition).copied().unwrap_or(from).min(bound);
        let wanted = self.wanted.get(&partition).copied().unwrap_or(from).min(to);
        Stretch { partition, from, wanted, to }
    }

    /// All that was wanted has been read. A live partition stands behind its last record: what was taken is committed.
    fn close(&mut self, partitions: &mut BTreeMap<i32, Partition>) {
        self.is_open = false;
        self.has_read = !self.wanted.is_empty();
        // The last offsets of a log may hold no record.
        for (partition, other) in &mut self.others {
            other.next = self.wanted.get(partition).copied().unwrap_or(0).max(other.next);
        }
        if !self.is_ordered {
            return;
        }
        for (partition, state) in partitions {
            if let Stage::Replaying { to, .. } = state.stage {
                state.next = self.wanted.get(partition).copied().unwrap_or(0).min(to).max(state.next);
            }
        }
    }
}

impl Adoption {
    /// Whether the lane's own partitions are read in one order with those of others, and not as the group's records come.
    pub(in crate::lane) fn is_ordered(&self) -> bool {
        self.following.as_ref().is_some_and(|f| f.is_ordered)
    }

    /// Whether a part of the topic is being read.
    pub(in crate::lane) fn is_reading(&self) -> bool {
        self.following.as_ref().is_some_and(|f| f.is_open)
    }
}

impl Lane {
    pub(super) fn follow(&mut self) -> Result<(), LaneError> {
        let now = self.clock.monotonic();
        let Some(following) = &mut self.adoption.following else { return Ok(()) };
        let interval = if following.is_ordered { ASK_INTERVAL } else { LOOK_INTERVAL };
        let is_due = |at: Option<Instant>| at.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if self.is_paused || !self.shared.health.is_up() {
            // Nothing could come on.
            following.moved_at = now;
        }
        let held = self.partitions.iter().find_map(|(p, state)| Some((*p, state.held?.offset)));
        if now.saturating_duration_since(following.moved_at) > HELD_MAX {
            following.moved_at = now;
            following.released = held;
            following.seen.clear();
            warn!(?held, "other partitions do not get there; going on without");
            if held.is_none() {
                return self.leave();
            }
        } else if held.is_some() && following.is_open && is_due(following.kept_at) {
            following.kept_at = Some(now);
            return self.look_at_kept();
        } else if !following.is_open && is_due(following.asked_at) {
            following.asked_at = Some(now);
            return self.ask_ends();
        }
        Ok(())
    }

    /// Asks where all partitions end now, and begins to read what stood there the time before.
    fn ask_ends(&mut self) -> Result<(), LaneError> {
        let Some(following) = &self.adoption.following else { return Ok(()) };
        let all: Vec<i32> = (0..self.adoption.inputs).collect();
        let is_new = |p: &&i32| !self.partitions.contains_key(*p) && !following.others.contains_key(*p);
        let new: Vec<i32> = all.iter().filter(is_new).copied().collect();
        let Some(bounds) = self.source.bounds(&all, ANSWER_TIMEOUT)? else { return Ok(()) };
        let kept = if new.is_empty() { Some(Vec::new()) } else { self.source.kept(&new, ANSWER_TIMEOUT)? };
        let Some(kept) = kept else { return Ok(()) };
        let kept: BTreeMap<i32, i64> = kept.into_iter().map(|k| (k.partition, k.next)).collect();
        let waits_for_all = self.waits_for_all();
        let now = self.clock.now();
        let Some(following) = &mut self.adoption.following else { return Ok(()) };
        following.wanted = std::mem::take(&mut following.ends);
        following.ends = bounds.iter().map(|(p, _, high)| (*p, *high)).collect();
        // It knows what the lane knows, and sees every record of its own from here on.
        let bystander = self.adoption.bystander.get_or_insert_with(|| Box::new(self.engine.bystander()));
        let mut parts = Vec::with_capacity(bounds.len());
        for (partition, low, high) in bounds {
            bystander.replay_begins(partition);
            if let Some(state) = self.partitions.get(&partition) {
                let bound = match state.stage {
                    // Groups are judged over all of the lane's partitions, and wait for the last of them.
                    Stage::Replaying { to, .. } if waits_for_all => to,
                    Stage::Caught => state.next,
                    Stage::Live | Stage::Replaying { .. } => i64::MAX,
                };
                if following.is_ordered {
                    parts.push(following.stretch(partition, state.next.max(low), bound));
                }
                continue;
            }
            let other = following.others.entry(partition).or_insert_with(|| {
                // What another wrote down need not be read again, unless the group was set back: what is behind its offset
                // is still to be said.
                let bound = kept.get(&partition).map_or(low, |kept| high.min(*kept));
                let snapshot = self.snapshots.partition(partition, bound).filter(|s| s.next_offset >= low);
                let next = snapshot.map_or(low, |snapshot| {
                    bystander.restore_partition(now, partition, &snapshot.image);
                    bystander.wake_some(usize::MAX);
                    snapshot.next_offset
                });
                info!(partition, from = next, to = high, "reading a partition of others, in silence");
                Other { next, last: next, ..Other::default() }
            });
            other.next = other.next.max(low);
            let next = other.next;
            parts.push(following.stretch(partition, next, i64::MAX));
        }
        if !new.is_empty() {
            for (partition, other) in &mut following.others {
                other.ended = following.ends.get(partition).copied().unwrap_or(other.ended);
            }
        }
        following.is_open = parts.iter().any(|s| s.from < s.wanted);
        if following.is_open { Ok(self.source.read_aside(&parts)?) } else { self.has_read_all() }
    }

    /// All that was wanted has been read.
    pub(in crate::lane) fn has_read_all(&mut self) -> Result<(), LaneError> {
        let Self { adoption, partitions, engine, effects, .. } = self;
        let (Some(following), Some(bystander)) = (&mut adoption.following, &adoption.bystander) else { return Ok(()) };
        let is_first = !following.has_read;
        following.close(partitions);
        following.moved_at = self.clock.monotonic();
        if is_first && following.has_read {
            // Others' snapshots may know of symbols that left and have not been met since.
            let live: Vec<i32> = partitions.iter().filter(|(_, s)| s.is_live()).map(|(p, _)| *p).collect();
            let left = engine.left_for(bystander, &live);
            if !left.is_empty() && !following.is_ordered {
                return self.put_in_order();
            }
            for number in left {
                adoption.gone += u64::from(engine.let_go(number, effects));
            }
        }
        self.say_gone()
    }

    /// Delivers what follows from symbols that were let go.
    pub(in crate::lane) fn say_gone(&mut self) -> Result<(), LaneError> {
        let gone = std::mem::take(&mut self.adoption.gone);
        if gone > 0 {
            info!(symbols = gone, "symbols go on in partitions of others");
            // Others, and whoever reads the partition after a restart, are to see it.
            self.adoption.lookout.owes = true;
            let now = self.clock.monotonic();
            self.partitions.values_mut().for_each(|p| p.snapshot_due = now);
            self.deliverer.alerts(&mut self.effects, None)?;
            self.resolve()?;
        }
        Ok(())
    }

    /// Records have come on.
    pub(in crate::lane) fn has_followed(&mut self) {
        let now = self.clock.monotonic();
        if let Some(following) = &mut self.adoption.following {
            following.moved_at = now;
        }
        self.adoption.advance();
    }

    fn look_at_kept(&mut self) -> Result<(), LaneError> {
        let now = self.clock.monotonic();
        let Some(following) = &mut self.adoption.following else { return Ok(()) };
        let left: Vec<i32> = following.others.iter().filter(|(_, o)| o.kept < o.last).map(|(p, _)| *p).collect();
        if left.is_empty() {
            return Ok(());
        }
        for kept in self.source.kept(&left, ANSWER_TIMEOUT)?.unwrap_or_default() {
            if let Some(other) = following.others.get_mut(&kept.partition) {
                other.kept = other.kept.max(kept.next);
            }
        }
        let kept = following.others.values().map(|o| o.kept).sum();
        if std::mem::replace(&mut following.kept, kept) != kept {
            following.moved_at = now;
        }
        Ok(())
    }

    /// A symbol moves: the lane's own partitions are read in one order with those of others.
    pub(in crate::lane) fn put_in_order(&mut self) -> Result<(), LaneError> {
        let Some(following) = &mut self.adoption.following else { return Ok(()) };
        if !std::mem::replace(&mut following.is_ordered, true) {
            info!("symbols move, or may come back: the topic is read in one order");
        }
        (following.is_open, following.has_read, following.asked_at) = (false, false, None);
        self.partitions.values_mut().for_each(|state| state.held = None);
        self.adoption.was_ordered = true;
        Ok(self.source.set_paused(&self.assigned(), true)?)
    }

    /// The lane's own partitions are read as their records come, from where they stand.
    pub(super) fn leave(&mut self) -> Result<(), LaneError> {
        let was_ordered = self.adoption.is_ordered();
        self.adoption.following = None;
        self.source.leave_aside();
        self.partitions.values_mut().for_each(|state| state.held = None);
        if !was_ordered {
            return Ok(());
        }
        let own: Vec<(i32, i64)> = self.partitions.iter().map(|(p, state)| (*p, state.next)).collect();
        self.source.seek(&own)?;
        let going: Vec<i32> = self.partitions.iter().filter(|(_, s)| !s.is_kept_back()).map(|(p, _)| *p).collect();
        self.resume(&going)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UnixNanos;

    fn record(partition: i32, offset: i64) -> RawRecord<'static> {
        RawRecord { partition, offset, timestamp: Some(UnixNanos(9)), key: None, value: None }
    }

    fn following(others: &[(i32, i64)]) -> Following {
        let now = crate::clock::monotonic();
        let mut following = Following::new(now, now, true);
        let other = |next: i64| Other { next, last: next, ended: next, kept: next };
        following.others = others.iter().map(|(p, next)| (*p, other(*next))).collect();
        following
    }

    #[test]
    fn a_record_waits_for_what_others_read_of_its_symbol_before() {
        let mut following = following(&[(1, 6), (2, 0)]);
        let own = record(0, 3);
        assert!(following.is_said("A", &own));
        assert!(following.is_new(&record(1, 6)) && !following.is_new(&record(0, 6)));
        following.passes(&record(1, 6));
        assert!(!following.is_new(&record(1, 6)), "once");
        following.sees("A", &record(1, 6));
        following.sees("A", &record(2, 0));
        assert!(!following.is_said("A", &own) && following.is_said("B", &own));
        following.others.get_mut(&1).unwrap().kept = 7;
        assert!(!following.is_said("A", &own), "and what another one has");
        following.others.get_mut(&2).unwrap().kept = 1;
        assert!(following.is_said("A", &own));
        following.sees("A", &record(1, 9));
        assert!(!following.is_said("A", &own));
        following.released = Some((0, 3));
        assert!(following.is_said("A", &own) && !following.is_said("A", &record(0, 4)), "that one alone");
    }

    #[test]
    fn how_often_a_symbol_comes_is_counted_by_symbol() {
        let mut following = following(&[]);
        assert_eq!(["A", "B", "A", "A"].map(|symbol| following.comes(symbol)), [1, 1, 2, 3]);
        following.begin_anew(crate::clock::monotonic());
        assert_eq!(following.comes("A"), 1);
    }

    #[test]
    fn what_stood_there_the_time_before_is_wanted() {
        let mut following = following(&[(1, 6)]);
        following.ends = BTreeMap::from([(0, 9), (1, 8)]);
        assert_eq!(following.stretch(0, 4, i64::MAX), Stretch { partition: 0, from: 4, wanted: 4, to: 9 });
        following.wanted = BTreeMap::from([(0, 7), (1, 8)]);
        assert_eq!(following.stretch(0, 4, i64::MAX), Stretch { partition: 0, from: 4, wanted: 7, to: 9 });
        assert_eq!(following.stretch(0, 4, 5), Stretch { partition: 0, from: 4, wanted: 5, to: 5 });
        let now = crate::clock::monotonic();
        let mut partitions = BTreeMap::from([(0, Partition::at(4, now))]);
        partitions.get_mut(&0).unwrap().stage = Stage::Replaying { from: 0, to: 6 };
        following.close(&mut partitions);
        assert_eq!((partitions[&0].next, following.others[&1].next), (6, 8), "not behind what is read again");
        partitions.get_mut(&0).unwrap().stage = Stage::Live;
        following.close(&mut partitions);
        assert_eq!(partitions[&0].next, 6, "nor over what is not taken");
    }
}
