//! Symbols that go on in another partition.
//!
//! When the topic gets more partitions, keys are hashed anew. A symbol's records then go on in a partition that may be
//! another lane's, and what that lane makes of them must follow from all records before. So for a while after a change
//! - whoever meets a symbol that its partition was not known for waits before that record until all that stands before it
//!   elsewhere, by the log's timestamps, has been read and, where another lane says what follows from it, committed;
//! - it has read the partitions of others meanwhile, in silence, from where they or their snapshots begin and together with its
//!   own by the log's timestamps, and goes on with what they made of the symbol;
//! - a lane that sees one of its symbols go on elsewhere lets it go.
//!
//! That the number of partitions has changed is told by the group: with every offset the lane notes how many partitions
//! there were when symbols were last known to stay where they are. So it is known after any restart, with or without a
//! snapshot, and it is committed with what follows from it.

mod counts;

use super::partition::{Held, Partition, Stage};
use super::{Lane, LaneError, Role};
use crate::app::take_reference;
use crate::codec::Decoder;
use crate::domain::UnixNanos;
use crate::engine::{Channel, Effects, Engine, Origin, Watermark, symbol_of};
use crate::sources::{Rank, RawRecord};
use counts::Note;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Spacing of looks at what others' partitions have got.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Least time between two questions to the broker.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
/// Time given to the broker for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);
/// Records of others taken in one turn, and the longest wait for them.
const SLICE: usize = 4_096;
const SLICE_WAIT: Duration = Duration::from_millis(20);
/// A partition whose last offsets hold no record has no end to reach.
const END_AFTER: Duration = Duration::from_secs(2);
/// Longest time that a partition is held while nothing that it waits for comes on: timestamps that contradict each other
/// must not hold it for ever.
const HELD_MAX: Duration = Duration::from_mins(5);
/// Behind all records.
const LAST: Rank = (UnixNanos::MAX, i32::MAX);

/// A partition that someone else reads.
#[derive(Default)]
struct Other {
    /// Next offset to read, and where it ended when last asked.
    next: i64,
    end: i64,
    /// Behind its last record so far.
    last: i64,
    /// What the group has kept of it.
    kept: i64,
}

/// The last record about a symbol in a partition of others.
#[derive(Clone, Copy)]
struct Seen {
    rank: Rank,
    offset: i64,
}

/// The time after a change.
struct Following {
    until: Instant,
    /// Whether others are being read.
    is_open: bool,
    /// Whether all that there was when last asked has been read.
    is_read: bool,
    asked_at: Option<Instant>,
    /// When records were last kept from coming for want of room.
    paused_at: Option<Instant>,
    tried_at: Option<Instant>,
    kept_at: Option<Instant>,
    /// Ends of the lane's own partitions when last asked.
    own: BTreeMap<i32, i64>,
    others: BTreeMap<i32, Other>,
    /// Before which place each of the lane's partitions need not wait for the others of the lane.
    clear: BTreeMap<i32, Rank>,
    /// Single records that may go on.
    released: BTreeMap<i32, i64>,
    /// How far those have come that others wait for, and since when.
    come: (i64, Option<Instant>),
}

impl Following {
    fn new(until: Instant) -> Self {
        Self {
            until,
            is_open: false,
            is_read: true,
            asked_at: None,
            paused_at: None,
            tried_at: None,
            kept_at: None,
            own: BTreeMap::new(),
            others: BTreeMap::new(),
            clear: BTreeMap::new(),
            released: BTreeMap::new(),
            come: (0, None),
        }
    }

    /// Whether all that stands before a record in other partitions of the lane, and all that others have, has been read.
    fn is_clear(&self, rank: Rank, offset: i64) -> bool {
        let (_, partition) = rank;
        let is_asked = self.own.get(&partition).is_some_and(|end| offset < *end);
        self.is_read && is_asked && self.clear.get(&partition).is_some_and(|bound| rank < *bound)
    }

    /// Whether what follows from what others have read of a symbol before a record is committed.
    fn is_said(&self, seen: &[Seen], before: Rank) -> bool {
        seen.iter().filter(|seen| seen.rank < before).all(|seen| {
            let (_, partition) = seen.rank;
            self.others.get(&partition).is_none_or(|other| other.kept > seen.offset)
        })
    }
}

/// What a lane knows of symbols on the move.
#[derive(Default)]
pub(super) struct Adoption {
    /// Partitions that the log has.
    inputs: i32,
    count_due: Option<Instant>,
    /// What was settled when offsets were last noted as such.
    note: Option<Note>,
    following: Option<Following>,
    /// What partitions of others made of their symbols.
    bystander: Option<Box<Engine>>,
    effects: Effects,
    seen: HashMap<Box<str>, Vec<Seen>>,
    /// Symbols of the records that partitions are held before.
    awaited: BTreeMap<i32, Vec<Box<str>>>,
    /// Moves of symbols that the snapshots know, and how many know them.
    moves: u64,
    captures: u8,
    pub(super) adopted: u64,
}

impl Adoption {
    /// Whether records are to be looked at before they are taken.
    pub(super) fn is_watching(&self) -> bool {
        self.following.is_some() || self.bystander.is_some()
    }

    /// Whether the log ever got more partitions while the group read it.
    pub(super) fn has_grown(&self) -> bool {
        self.note.is_some_and(|n| n.since < self.inputs)
    }

    /// Looks at a record: true when it has to wait; its symbols are taken over when it has not.
    pub(super) fn meet(
        &mut self,
        now: UnixNanos,
        decoder: &Decoder,
        engine: &mut Engine,
        record: &RawRecord<'_>,
    ) -> bool {
        let batch = decoder.decode(record.value.unwrap_or_default());
        let events = std::iter::once(&batch.first).chain(&batch.rest).filter_map(|e| e.as_ref().ok());
        let strangers: Vec<&str> = events.filter_map(|e| engine.stranger(record.partition, e)).collect();
        let (partition, rank) = (record.partition, record.rank());
        let is_clear = |f: &Following| {
            let is_released = f.released.get(&partition) == Some(&record.offset);
            let are_said = || strangers.iter().all(|s| f.is_said(self.seen(s), rank));
            is_released || (f.is_clear(rank, record.offset) && are_said())
        };
        if !strangers.is_empty() && !self.following.as_ref().is_none_or(is_clear) {
            self.awaited.insert(partition, strangers.into_iter().map(Into::into).collect());
            return true;
        }
        for symbol in strangers {
            // What others said of it later, after it had left here, is not what it was.
            let seen = self.seen(symbol);
            let was_before = |p: i32| seen.iter().all(|s| s.rank.1 != p || s.rank < rank);
            let is_taken = engine.take_over(self.bystander.as_deref(), partition, symbol, &was_before);
            self.adopted += u64::from(is_taken);
        }
        if self.following.is_some() {
            self.observe(now, decoder, record, false);
        }
        false
    }

    fn seen(&self, symbol: &str) -> &[Seen] {
        self.seen.get(symbol).map_or(&[], Vec::as_slice)
    }

    /// Lets the bystander see a record.
    fn observe(&mut self, now: UnixNanos, decoder: &Decoder, record: &RawRecord<'_>, is_others: bool) {
        let Self { bystander: Some(bystander), effects, seen, .. } = self else { return };
        let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
        decoder.decode(record.value.unwrap_or_default()).judge(|observation, is_part| {
            if bystander.is_past(record.partition, observation) {
                // An older part of a log whose end is known already.
                return None;
            }
            if let Some(symbol) = bystander.stranger(record.partition, observation) {
                bystander.take_over(None, record.partition, symbol, &|_| true);
            }
            if is_others && let Some(symbol) = symbol_of(observation) {
                let last = Seen { rank: record.rank(), offset: record.offset };
                match seen.get_mut(symbol) {
                    Some(seen) => match seen.iter_mut().find(|s| s.rank.1 == record.partition) {
                        Some(seen) => *seen = last,
                        None => seen.push(last),
                    },
                    None => {
                        seen.insert(symbol.into(), vec![last]);
                    }
                }
            }
            bystander.step(now, &origin, observation, is_part, effects)
        });
        effects.clear();
    }

    /// What reference records say holds for symbols of others, too.
    pub(super) fn take_reference(&mut self, channel: Channel, value: &[u8]) {
        if let Some(bystander) = &mut self.bystander {
            take_reference(bystander, channel, value, &mut self.effects);
            self.effects.clear();
        }
    }

    /// Partitions came or went, or went back: what is others' is other partitions, and what is known of the lane's own
    /// may lie ahead.
    pub(super) fn begin_anew(&mut self) {
        self.bystander = None;
        self.seen.clear();
        if let Some(following) = &mut self.following {
            *following = Following::new(following.until);
        }
    }

    /// State was captured for a snapshot, after so many moves.
    pub(super) fn captured(&mut self, moves: u64) {
        self.captures = if moves == self.moves { self.captures.saturating_add(1) } else { 1 };
        self.moves = moves;
    }
}

impl Lane {
    /// Moves on what symbols on the move wait for.
    pub(super) fn adopt(&mut self) -> Result<(), LaneError> {
        if self.role != Role::Symbols || !self.asking.is_empty() || self.partitions.is_empty() {
            return Ok(());
        }
        if let Some(mut following) = self.adoption.following.take() {
            let done = self.follow(&mut following);
            self.adoption.following = Some(following);
            done?;
        }
        self.settle_symbols();
        Ok(())
    }

    fn follow(&mut self, following: &mut Following) -> Result<(), LaneError> {
        let now = self.clock.monotonic();
        if self.is_paused {
            following.paused_at = Some(now);
        }
        let held: Vec<(i32, Held)> = self.partitions.iter().filter_map(|(p, s)| Some((*p, s.held?))).collect();
        let since = |at: Option<Instant>| at.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let is_behind = held.iter().any(|(p, h)| following.own.get(p).is_none_or(|end| h.offset >= *end));
        let is_due = held.is_empty() && since(following.asked_at) >= LOOK_INTERVAL;
        if following.is_read && (is_behind || is_due) && since(following.tried_at) >= ASK_INTERVAL {
            self.ask_ends(following)?;
            following.tried_at = Some(self.clock.monotonic());
        }
        if !following.is_read {
            self.read_others(following)?;
        }
        if following.is_read {
            if !held.is_empty() && since(following.kept_at) >= ASK_INTERVAL {
                following.kept_at = Some(now);
                self.look_at_kept(following)?;
            }
            self.release(following, &held)?;
        }
        Ok(())
    }

    /// Asks where all partitions end now.
    fn ask_ends(&mut self, following: &mut Following) -> Result<(), LaneError> {
        let all: Vec<i32> = (0..self.adoption.inputs).collect();
        let Some(bounds) = self.source.bounds(&all, ANSWER_TIMEOUT)? else { return Ok(()) };
        let is_new = |p: &i32| !self.partitions.contains_key(p) && !following.others.contains_key(p);
        let new: Vec<i32> = all.into_iter().filter(is_new).collect();
        let kept = if new.is_empty() { Some(Vec::new()) } else { self.source.kept(&new, ANSWER_TIMEOUT)? };
        let Some(kept) = kept else { return Ok(()) };
        let kept: BTreeMap<i32, i64> = kept.into_iter().map(|k| (k.partition, k.next)).collect();
        following.asked_at = Some(self.clock.monotonic());
        (following.is_open, following.is_read) = (false, false);
        following.own.clear();
        let now = self.clock.now();
        // It knows what the lane knows, and sees every record of its own from here on.
        let bystander = self.adoption.bystander.get_or_insert_with(|| Box::new(self.engine.bystander()));
        for (partition, low, high) in bounds {
            bystander.replay_begins(partition);
            if self.partitions.contains_key(&partition) {
                following.own.insert(partition, high);
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
            other.end = high.max(other.next);
        }
        Ok(())
    }

    /// Reads on in the partitions of others.
    fn read_others(&mut self, following: &mut Following) -> Result<(), LaneError> {
        if !following.is_open {
            let left = |(p, o): (&i32, &Other)| (o.next < o.end).then_some((*p, o.next, o.end));
            let parts: Vec<_> = following.others.iter().filter_map(left).collect();
            // Without any the parts of before are left.
            self.source.read_aside(&parts)?;
            following.is_open = true;
        }
        let Self { source, adoption, config, clock, .. } = self;
        let now = clock.now();
        let mut is_any = false;
        let is_all = source.poll_aside(SLICE, SLICE_WAIT, &mut |record| {
            let Some(other) = following.others.get_mut(&record.partition) else { return };
            if record.offset < other.next || record.offset >= other.end {
                return;
            }
            is_any = true;
            (other.next, other.last) = (record.offset + 1, record.offset + 1);
            adoption.observe(now, &config.decoder, &record, true);
        })?;
        if let Some(bystander) = adoption.bystander.as_mut().filter(|_| is_any) {
            let read: Vec<i32> = following.others.keys().copied().collect();
            bystander.advance(Watermark::Partitions, &read, &mut adoption.effects);
            adoption.effects.clear();
        }
        if is_all {
            following.others.values_mut().for_each(|o| o.next = o.end);
            (following.is_open, following.is_read) = (false, true);
            self.let_go(following)?;
        }
        Ok(())
    }

    /// Forgets symbols that were met later in partitions of others than in the lane's own, as far as those have been
    /// read.
    fn let_go(&mut self, following: &Following) -> Result<(), LaneError> {
        let Some(bystander) = &self.adoption.bystander else { return Ok(()) };
        let now = self.clock.monotonic();
        let is_read = |(p, state): &(&i32, &Partition)| state.is_live() && has_reached(following, **p, state, now);
        let read: Vec<i32> = self.partitions.iter().filter(is_read).map(|(p, _)| *p).collect();
        let gone = self.engine.let_go(bystander, &read, &mut self.effects);
        if gone > 0 {
            info!(symbols = gone, "symbols go on in partitions of others");
            self.deliverer.alerts(&mut self.effects, None)?;
            self.resolve()?;
        }
        Ok(())
    }

    fn look_at_kept(&mut self, following: &mut Following) -> Result<(), LaneError> {
        let left: Vec<i32> = following.others.iter().filter(|(_, o)| o.kept < o.last).map(|(p, _)| *p).collect();
        if left.is_empty() {
            return Ok(());
        }
        for kept in self.source.kept(&left, ANSWER_TIMEOUT)?.unwrap_or_default() {
            if let Some(other) = following.others.get_mut(&kept.partition) {
                other.kept = other.kept.max(kept.next);
            }
        }
        Ok(())
    }

    /// Lets partitions go on that have nothing to wait for any more.
    fn release(&mut self, following: &mut Following, held: &[(i32, Held)]) -> Result<(), LaneError> {
        let now = self.clock.monotonic();
        // Where one of the lane's own stands, by the place of its next record.
        let stands = |(q, state): (&i32, &Partition)| match state.held {
            _ if has_reached(following, *q, state, now) => LAST,
            Some(held) => held.rank,
            None => (state.timestamp.unwrap_or(UnixNanos::MIN), *q),
        };
        let bound = |p: i32| {
            let others = self.partitions.iter().filter(|(q, _)| **q != p);
            others.map(stands).min().unwrap_or(LAST)
        };
        let bounds: BTreeMap<i32, Rank> = self.partitions.keys().map(|p| (*p, bound(*p))).collect();
        let lagging = following.others.values().filter(|o| o.kept < o.last).map(|o| o.kept).sum::<i64>();
        let come = lagging + self.partitions.values().map(|state| state.next).sum::<i64>();
        let come_at = if come == following.come.0 { following.come.1.unwrap_or(now) } else { now };
        let mut free = Vec::new();
        for (partition, record) in held {
            let is_asked = following.own.get(partition).is_some_and(|end| record.offset < *end);
            let symbols = self.adoption.awaited.get(partition);
            let is_said = || {
                let seen = |symbol: &str| following.is_said(self.adoption.seen(symbol), record.rank);
                symbols.is_none_or(|symbols| symbols.iter().all(|symbol| seen(symbol)))
            };
            if is_asked && is_said() && bounds[partition] > record.rank {
                free.push((*partition, record.offset));
            } else if now.saturating_duration_since(record.since.max(come_at)) > HELD_MAX {
                warn!(partition, offset = record.offset, "other partitions do not get there; going on without");
                free.push((*partition, record.offset));
            }
        }
        following.come = (come, Some(come_at));
        following.clear = bounds;
        let mut resumed = Vec::with_capacity(free.len());
        for (partition, offset) in free {
            following.released.insert(partition, offset);
            self.adoption.awaited.remove(&partition);
            if let Some(state) = self.partitions.get_mut(&partition) {
                state.held = None;
                state.moved_at = now;
                if !state.is_kept_back() {
                    resumed.push(partition);
                }
            }
        }
        if !resumed.is_empty() && !self.is_paused {
            self.source.set_paused(&resumed, false)?;
        }
        Ok(())
    }

    /// Holds a partition before a record.
    pub(super) fn hold(&mut self, partition: i32, offset: i64) -> Result<(), LaneError> {
        self.source.set_paused(&[partition], true)?;
        Ok(self.source.seek(&[(partition, offset)])?)
    }
}

/// Whether a partition has been read up to where it ended when last asked.
fn is_at_end(following: &Following, partition: i32, state: &Partition, now: Instant) -> bool {
    let is_told = || {
        let asked = following.asked_at.max(following.paused_at).filter(|_| following.asked_at.is_some());
        let waited = asked.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        // One that is held has a record there, which may have come after the end was told.
        state.held.is_none() && state.ended == Some(state.next) && waited >= END_AFTER
    };
    following.own.get(&partition).is_some_and(|end| state.next >= *end) || is_told()
}

/// The same, or as far as it can be.
fn has_reached(following: &Following, partition: i32, state: &Partition, now: Instant) -> bool {
    state.stage == Stage::Caught || is_at_end(following, partition, state, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_is_held_where_it_once_ended_is_not_at_its_end() {
        let asked = crate::clock::monotonic();
        let now = asked + END_AFTER;
        let mut following = Following::new(now);
        following.asked_at = Some(asked);
        following.own.insert(0, 9);
        let mut state = Partition::at(7, now);
        assert!(!is_at_end(&following, 0, &state, now), "there are offsets left");
        state.ended = Some(7);
        assert!(is_at_end(&following, 0, &state, now), "and no record among them");
        following.paused_at = Some(now);
        assert!(!is_at_end(&following, 0, &state, now), "they could not come");
        following.paused_at = None;
        state.held = Some(Held { offset: 7, rank: (UnixNanos(1), 0), since: now });
        assert!(!is_at_end(&following, 0, &state, now));
        state.next = 9;
        assert!(is_at_end(&following, 0, &state, now), "all that there was when asked has been read");
    }

    #[test]
    fn a_record_waits_for_what_others_read_of_its_symbol_before() {
        let mut following = Following::new(crate::clock::monotonic());
        following.others.insert(1, Other { kept: 7, ..Other::default() });
        let seen = |ts, offset| Seen { rank: (UnixNanos(ts), 1), offset };
        let check = |following: &Following, seen: Option<Seen>, expected| {
            assert_eq!(following.is_said(seen.as_slice(), (UnixNanos(10), 2)), expected);
        };
        check(&following, None, true);
        check(&following, Some(seen(9, 6)), true);
        check(&following, Some(seen(9, 7)), false);
        // Of one time the lower partition is first; what comes later is not waited for.
        check(&following, Some(seen(10, 7)), false);
        check(&following, Some(seen(11, 7)), true);
        following.others.insert(1, Other { kept: 8, ..Other::default() });
        check(&following, Some(seen(9, 7)), true);
    }
}
