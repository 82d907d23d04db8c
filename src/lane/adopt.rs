//! Symbols that go on in another partition.
//!
//! When the topic gets more partitions, keys are hashed anew. A symbol's records then go on in a partition that may be
//! another lane's, and what that lane makes of them must follow from all records before. So for a while after a change a
//! lane reads the partitions of others as well, in silence, from where they or their snapshots begin; and as soon as a
//! symbol moves, the whole topic in one order, that of the log's timestamps.
//! - Whoever meets a symbol that was elsewhere goes on with what others' partitions made of it, once the group has
//!   committed what follows from them.
//! - Whoever sees one of its symbols go on elsewhere lets it go.
//!
//! That the number of partitions has changed is told by the group: with every offset the lane notes how many partitions
//! there were when symbols were last known to stay where they are. So it is known after any restart, with or without a
//! snapshot, and it is committed with what follows from it.

pub(super) mod census;
mod counts;
mod following;
mod newcomers;

use super::{Lane, LaneError, Role};
use crate::app::take_reference;
use crate::codec::{Batch, Decoder};
use crate::domain::UnixNanos;
use crate::engine::{Channel, Effects, Engine, Origin, Watermark};
use crate::sources::RawRecord;
use counts::Note;
use following::Following;
use newcomers::Lookout;

pub(super) use newcomers::says_name;
use std::time::{Duration, Instant};

/// Time given to the broker for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);

/// What a lane knows of symbols on the move.
#[derive(Default)]
pub(super) struct Adoption {
    /// Partitions that the log has.
    inputs: i32,
    count_due: Option<Instant>,
    /// What was settled when offsets were last noted as such.
    note: Option<Note>,
    /// Whether symbols were known to stay where they are when there were more partitions all at once.
    is_first_growth: bool,
    following: Option<Following>,
    /// Whether partitions were ever paused for it.
    pub(super) was_ordered: bool,
    /// What snapshots know of symbols in partitions of others.
    lookout: Lookout,
    /// What is known of symbols in all partitions.
    bystander: Option<Box<Engine>>,
    effects: Effects,
    /// Moves of symbols that the snapshots know, and how many know them.
    moves: u64,
    captures: u8,
    pub(super) adopted: u64,
    pub(super) gone: u64,
}

impl Adoption {
    /// Whether records are to be looked at before they are taken.
    pub(super) fn is_watching(&self) -> bool {
        self.following.is_some() || self.bystander.is_some()
    }

    /// Whether symbols have another partition to go to.
    pub(super) fn may_move(&self) -> bool {
        self.inputs > 1
    }

    /// Where a partition ended when last asked.
    pub(super) fn end(&self, partition: i32) -> Option<i64> {
        self.following.as_ref()?.end(partition)
    }

    /// Whether what a record that is read again says is part of what is known of another partition.
    pub(super) fn is_past(&mut self, engine: &mut Engine, partition: i32, batch: &Batch<'_>) -> bool {
        let bystander = &mut self.bystander;
        batch.events().any(|event| {
            let is_past = |engine: &mut Engine| engine.is_past(partition, event);
            is_past(engine) || bystander.as_deref_mut().is_some_and(is_past)
        })
    }

    /// Looks at a record of the lane's own: true when it has to wait, for what it follows from or for order to be made;
    /// its symbols are taken over when it has not.
    pub(super) fn meet(
        &mut self,
        now: UnixNanos,
        engine: &mut Engine,
        effects: &mut Effects,
        (record, is_silent): (&RawRecord<'_>, bool),
        batch: &Batch<'_>,
    ) -> bool {
        // What is read again was said once.
        if let Some(following) = self.following.as_ref().filter(|_| !is_silent) {
            // The bystander has read all renames before.
            let knows = self.bystander.as_deref().unwrap_or(engine);
            let mut securities = batch.events().filter_map(|event| knows.security_of(event));
            if !securities.all(|security| following.is_said(&security, record)) {
                return true;
            }
        }
        let is_stranger = |event| engine.is_stranger(record.partition, event);
        if self.following.is_some() && !self.is_ordered() && batch.events().any(is_stranger) {
            return true;
        }
        for event in batch.events() {
            if let Some(bystander) = self.bystander.as_deref().filter(|_| self.following.is_some())
                && engine.is_behind_of(bystander, event, record.partition)
            {
                self.gone += u64::from(engine.let_go_of(bystander, event, effects));
            }
            let has_been_away = |engine: &mut Engine| engine.has_been_away(event, record.partition);
            if engine.is_stranger(record.partition, event)
                || has_been_away(engine)
                || self.bystander.as_deref_mut().is_some_and(has_been_away)
            {
                let said = effects.alerts.len();
                let is_taken = engine.take_over(self.bystander.as_deref(), record.partition, event, effects);
                if is_silent {
                    effects.alerts.truncate(said);
                }
                self.adopted += u64::from(is_taken);
                self.lookout.owes |= is_taken;
            }
        }
        if self.following.is_some() {
            self.observe(now, record, batch, is_silent);
        }
        false
    }

    /// Looks at a record of others: symbols that were the lane's are let go. False when order has to be made first.
    pub(super) fn see(
        &mut self,
        now: UnixNanos,
        decoder: &Decoder,
        engine: &mut Engine,
        effects: &mut Effects,
        record: &RawRecord<'_>,
    ) -> bool {
        let is_ordered = self.is_ordered();
        let Self { following: Some(following), bystander: Some(bystander), .. } = self else { return true };
        if !following.is_new(record) {
            return true;
        }
        let batch = decoder.decode(record.value.unwrap_or_default());
        // What was written since is no older part of a log whose end is known.
        let may_be_past = following.is_of_before(record);
        let mut is_past = |event| may_be_past && bystander.is_past(record.partition, event);
        let met: Vec<_> = batch.events().filter(|event| !is_past(event)).collect();
        if !is_ordered && met.iter().any(|event| engine.has_market(bystander, event)) {
            return false;
        }
        following.passes(record);
        for event in met {
            if let Some(security) = bystander.security_of(event) {
                following.sees(&security, record);
            }
            self.gone += u64::from(engine.let_go_of(bystander, event, effects));
        }
        self.observe(now, record, &batch, may_be_past);
        true
    }

    /// Lets the bystander see a record.
    fn observe(&mut self, now: UnixNanos, record: &RawRecord<'_>, batch: &Batch<'_>, may_be_past: bool) {
        let Self { bystander: Some(bystander), effects, .. } = self else { return };
        let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
        let is_part = !batch.rest.is_empty();
        for observation in batch.events() {
            if may_be_past && bystander.is_past(record.partition, observation) {
                // An older part of a log whose end is known already.
                continue;
            }
            if bystander.is_stranger(record.partition, observation)
                || bystander.has_been_away(observation, record.partition)
            {
                bystander.take_over(None, record.partition, observation, effects);
            }
            bystander.step(now, &origin, observation, is_part, effects);
        }
        effects.clear();
    }

    /// Moves the bystander's clocks on.
    pub(super) fn advance(&mut self) {
        if let Some(bystander) = &mut self.bystander {
            let all: Vec<i32> = (0..self.inputs).collect();
            bystander.advance(Watermark::Partitions, &all, &mut self.effects);
            self.effects.clear();
        }
    }

    /// What reference records say holds for symbols of others, too.
    pub(super) fn take_reference(&mut self, channel: Channel, value: &[u8]) {
        if let Some(bystander) = &mut self.bystander {
            take_reference(bystander, channel, value, &mut self.effects);
            self.effects.clear();
        }
    }

    /// What is others' is other partitions, and what is known of the lane's own may lie ahead.
    fn begin_anew(&mut self, now: Instant) {
        self.bystander = None;
        if let Some(following) = &mut self.following {
            following.begin_anew(now);
        }
    }

    /// State was captured for a snapshot, after so many moves.
    pub(super) fn captured(&mut self, moves: u64) {
        self.captures = if moves == self.moves { self.captures.saturating_add(1) } else { 1 };
        self.moves = moves;
    }
}

impl Lane {
    /// Partitions came or went, or went back: others are other partitions.
    pub(super) fn follow_anew(&mut self) {
        let now = self.clock.monotonic();
        self.adoption.begin_anew(now);
        self.adoption.lookout.comes_due(now);
        self.partitions.values_mut().for_each(|state| state.held = None);
    }

    /// Moves on what symbols on the move wait for.
    pub(super) fn adopt(&mut self) -> Result<(), LaneError> {
        if self.role != Role::Symbols || !self.asking.is_empty() || self.partitions.is_empty() {
            return Ok(());
        }
        self.look_for_leavers()?;
        self.follow()?;
        self.settle_symbols()
    }
}
