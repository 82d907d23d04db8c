//! Symbols that come from a partition that someone else reads, or read until now.
//!
//! When a topic gets more partitions, keys are hashed anew, and a symbol may go on in a partition of another lane. That
//! lane then has an [`Engine::bystander`] beside its own engine: it goes through the records of all partitions, says
//! nothing, and is asked when a symbol appears that had been elsewhere. So what is foreign is in no breadth, view,
//! snapshot, clock or group until its first record comes from a partition of the lane's own.
//!
//! Of two states of one symbol the one that has come farther counts: by session, by the sequence numbers of its feeds, by
//! the notices that carry none, then by the event time of its newest price, which a cancellation moves back.

use super::packed::Bytes;
use super::{PartitionImage, SymbolImage};
use crate::domain::{Observation, Symbol, UnixNanos};
use crate::engine::parked::Batch;
use crate::engine::state::{NO_PARTITION, SymbolState};
use crate::engine::{Disposition, Effects, Engine, Params, Resolved, Universe, renames};
use std::sync::Arc;

/// How far a symbol has come.
pub(super) type Progress = (Option<i32>, u64, u64, UnixNanos, u64);

pub(super) fn progress(state: &SymbolState) -> Progress {
    let session = state.cold.session.map(|s| s.date.days());
    let cold = &state.cold;
    (session, heard(state.next_seq, &cold.feeds), cold.notices, state.last_ts, cold.sequence)
}

/// What the last sequence numbers of the feeds add up to.
fn heard(unnamed: u64, feeds: &[(u16, u64)]) -> u64 {
    feeds.iter().fold(unnamed, |sum, (_, last)| sum.saturating_add(*last))
}

impl SymbolImage {
    pub(super) fn progress(&self) -> Progress {
        let heard = heard(self.next_seq, &self.feeds);
        (self.session, heard, self.notices, UnixNanos(self.last_ts), self.sequence)
    }
}

/// What reference records have said of a symbol, and nothing of the market.
fn without_market(state: &SymbolState, params: &Params) -> SymbolState {
    let mut fresh = SymbolState::new(state.cold.symbol.clone(), params);
    fresh.cold.history = state.cold.history.clone();
    fresh.cold.day.opens = state.cold.day.opens.without_first_prices();
    fresh.cold.origin.clone_from(&state.cold.origin);
    fresh.cold.events.clone_from(&state.cold.events);
    fresh.set_ruler(params);
    fresh
}

/// Which symbol a record is about.
pub(crate) fn symbol_of<'a>(observation: &'a Observation<'_>) -> Option<&'a str> {
    match observation {
        Observation::Tick(tick) => Some(&tick.symbol),
        Observation::Bar(bar) => Some(&bar.symbol),
        Observation::Amendment(amendment) => Some(&amendment.symbol),
        Observation::Status(status) => Some(&status.symbol),
        Observation::Reference(record) => record.symbol().map(Symbol::as_str),
        Observation::Heartbeat(_) => None,
    }
}

impl Engine {
    /// An engine that knows what this one knows of symbols, and judges no groups.
    #[must_use]
    pub fn bystander(&mut self) -> Self {
        self.wake_some(usize::MAX);
        let mut other = Self::new(Params { groups: Vec::new(), ..self.params.clone() });
        other.states.clone_from(&self.states);
        for state in &mut other.states {
            state.is_tracked = false;
            state.cold.bucket_end = UnixNanos::MAX;
        }
        other.index = self.index.clone();
        other.feeds.clone_from(&self.feeds);
        other.partitions.clone_from(&self.partitions);
        other.awaiting_close.clone_from(&self.awaiting_close);
        other.quarantined.clone_from(&self.quarantined);
        other.renames = self.renames.clone();
        other.by_origin.clone_from(&self.by_origin);
        other.news.clone_from(&self.news);
        other.curves = self.curves.clone();
        other.departed = self.departed.as_mut().map(|departed| Box::new(departed.bystander()));
        other
    }

    /// The symbol of a record, when it is one that this partition has not been known for.
    pub fn stranger<'a>(&self, partition: i32, observation: &'a Observation<'_>) -> Option<&'a str> {
        let symbol = symbol_of(observation)?;
        let is_stranger = match self.index.get(symbol) {
            Some(id) => self.states[id as usize].partition != partition,
            None => match &self.params.universe {
                Universe::Listed(listed) => listed.contains(symbol),
                Universe::All => self.states.len() < self.params.symbols_max,
            },
        };
        is_stranger.then_some(symbol)
    }

    /// Before a record of a partition that its symbol was not read from: takes the symbol over as a bystander knows it, or
    /// as it was when it left a partition, whichever has come farther; false when here no less is known. What the
    /// symbol was until now stays with the partition that it comes from: who reads the new one once more goes on from
    /// there.
    pub fn take_over(&mut self, bystander: Option<&Self>, partition: i32, symbol: &str) -> bool {
        let own = self.has_market(symbol).then(|| self.index.get(symbol)).flatten();
        if let Some(id) = own.filter(|id| self.states[*id as usize].partition != partition) {
            self.keep_departed(id);
        }
        let gone = self.departed.take();
        // Of equals the last: the bystander has seen the most.
        let known = [gone.as_deref(), bystander.and_then(|b| b.departed.as_deref()), bystander];
        let of = |engine: &'_ Self| {
            let state = &engine.states[engine.index.get(symbol)? as usize];
            (state.partition != NO_PARTITION).then(|| progress(state))
        };
        let farthest = known.into_iter().flatten().filter(|e| of(e).is_some()).max_by_key(|e| of(e));
        let at_hand = own.map(|id| progress(&self.states[id as usize]));
        let theirs = farthest.filter(|other| of(other) > at_hand);
        if let Some(other) = theirs
            && let Some(id) = other.index.get(symbol)
        {
            let state = &other.states[id as usize];
            let image = SymbolImage::from(state);
            self.take_image(state.partition, &image, &other.params.rules.tiers, &other.feeds.clone());
        }
        let is_taken = theirs.is_some();
        self.departed = gone;
        is_taken
    }

    fn take_image(&mut self, partition: i32, image: &SymbolImage, tiers: &[f64], feeds: &[Arc<str>]) {
        let feeds: Vec<Option<u16>> = feeds.iter().map(|f| if f.is_empty() { Some(0) } else { self.feed(f) }).collect();
        let origin = image.origin.as_ref().and_then(|(s, d)| Some((Symbol::new(s).ok()?, super::date(*d))));
        let Ok(id) = self.admit_image(&image.symbol, origin) else { return };
        let batch = Batch { partition, tiers: tiers.to_vec(), feeds, bytes: Bytes::default() };
        self.restore_symbol(id, &batch, image);
        if self.states[id as usize].cold.awaits_close && !self.awaiting_close.contains(&id) {
            self.awaiting_close.push(id);
        }
    }

    /// Keeps what a symbol is with the partition that it leaves.
    fn keep_departed(&mut self, id: u32) {
        let (params, feeds) = (Params { groups: Vec::new(), ..self.params.clone() }, self.feeds.clone());
        let state = &self.states[id as usize];
        let (partition, image) = (state.partition, SymbolImage::from(state));
        let departed = self.departed.get_or_insert_with(|| Box::new(Self::new(params)));
        departed.take_image(partition, &image, &self.params.rules.tiers, &feeds);
    }

    /// Symbols that left a partition, as they were.
    #[expect(clippy::vec_box, reason = "as in the image")]
    pub(super) fn departed_image(&self, partition: i32) -> Vec<Box<SymbolImage>> {
        let gone = self.departed.iter().flat_map(|d| d.states.iter().filter(|s| s.partition == partition));
        gone.map(|state| Box::new(SymbolImage::from(state))).collect()
    }

    /// Continues what [`Self::departed_image`] kept.
    pub(super) fn restore_departed(&mut self, partition: i32, image: &PartitionImage) {
        let feeds: Vec<Arc<str>> = image.feeds.iter().map(|f| f.as_str().into()).collect();
        for symbol in image.departed.images() {
            let params = Params { groups: Vec::new(), ..self.params.clone() };
            let departed = self.departed.get_or_insert_with(|| Box::new(Self::new(params)));
            if departed.is_news_of(partition, &symbol) {
                departed.take_image(partition, &symbol, &image.tiers, &feeds);
            }
        }
    }

    /// Whether what is known of a symbol here is older than what another partition says of it.
    fn is_behind(&self, symbol: &str, partition: i32, theirs: &Progress) -> bool {
        let Some(id) = self.index.get(symbol) else { return true };
        let own = &self.states[id as usize];
        own.partition == NO_PARTITION || own.partition == partition || progress(own) < *theirs
    }

    /// Whether an image of a partition is to be taken for one of its symbols: not where the symbol has come farther in
    /// another partition.
    pub(super) fn is_news_of(&self, partition: i32, image: &SymbolImage) -> bool {
        self.is_behind(&image.symbol, partition, &image.progress())
    }

    /// Symbols of the partitions named that a bystander has met later in another partition, or has seen leave one later: they
    /// are someone else's now, or go on from there.
    pub fn left_for(&mut self, bystander: &Self, partitions: &[i32]) -> Vec<Symbol> {
        self.wake_some(usize::MAX);
        let gone = bystander.departed.iter().flat_map(|departed| &departed.states);
        let theirs = bystander.states.iter().chain(gone);
        let theirs = theirs.filter(|s| s.partition != NO_PARTITION && !partitions.contains(&s.partition));
        let is_own = |own: &SymbolState| partitions.contains(&own.partition);
        let left = theirs.filter(|theirs| {
            let own = self.index.get(theirs.cold.symbol.as_str()).map(|id| &self.states[id as usize]);
            own.is_some_and(|own| is_own(own) && progress(own) < progress(theirs))
        });
        left.map(|theirs| theirs.cold.symbol.clone()).collect()
    }

    /// Whether the market has said anything of a symbol here.
    pub fn has_market(&mut self, symbol: &str) -> bool {
        self.wake_named(symbol);
        self.index.get(symbol).is_some_and(|id| self.states[id as usize].partition != NO_PARTITION)
    }

    /// Forgets the market state of a symbol that has gone on in a partition of others; false when there is none.
    pub fn let_go_of(&mut self, symbol: &str, effects: &mut Effects) -> bool {
        let at_hand = self.has_market(symbol).then(|| self.index.get(symbol)).flatten();
        if let Some(id) = at_hand {
            self.forget_market(id, effects);
        }
        at_hand.is_some()
    }

    /// Whether a bystander has met a symbol of a partition later in another one.
    pub fn is_behind_of(&self, bystander: &Self, symbol: &str, partition: i32) -> bool {
        let state = |engine: &Self| {
            let state = &engine.states[engine.index.get(symbol)? as usize];
            Some((state.partition, progress(state)))
        };
        let Some((at, own)) = state(self) else { return false };
        at == partition
            && state(bystander).is_some_and(|(at, theirs)| at != partition && at != NO_PARTITION && own < theirs)
    }

    /// Whether a symbol of a partition left another one later: what is known of it here is of the time before it was there.
    pub fn has_been_away(&mut self, symbol: &str, partition: i32) -> bool {
        if self.departed.is_none() {
            return false;
        }
        self.wake_named(symbol);
        self.departed.as_deref().is_some_and(|departed| self.is_behind_of(departed, symbol, partition))
    }

    fn forget_market(&mut self, id: u32, effects: &mut Effects) {
        self.flush_bucket(id);
        self.keep_departed(id);
        let state = &mut self.states[id as usize];
        // Who goes on with the symbol decides what waits; here its records are accounted for.
        let held = state.cold.quarantine.held().iter().map(|h| Resolved {
            origin: h.record.origin,
            disposition: Disposition::APPLIED,
            tick: h.record.tick.clone(),
            is_part: h.record.is_part,
        });
        effects.resolved.extend(held);
        let mut fresh = without_market(state, &self.params);
        if state.is_tracked {
            fresh.start_tracking();
        }
        *state = fresh;
        self.quarantined.retain(|other| *other != id);
        self.awaiting_close.retain(|other| *other != id);
    }

    /// Whether a record that is read again is older than what another partition's snapshot has made of its symbol: it is
    /// part of that already, and must not move the symbol back.
    pub fn is_past(&mut self, partition: i32, observation: &Observation<'_>) -> bool {
        if let Some(symbol) = symbol_of(observation) {
            self.wake_named(symbol);
        }
        let state = symbol_of(observation).and_then(|s| self.index.get(s)).map(|id| &self.states[id as usize]);
        let Some(state) = state.filter(|s| s.partition != NO_PARTITION && s.partition != partition) else {
            return false;
        };
        match observation {
            Observation::Tick(tick) => tick.ts < state.last_ts,
            Observation::Bar(bar) => bar.ts < state.last_ts,
            Observation::Amendment(amendment) => amendment.ts < state.last_ts,
            Observation::Status(status) => status.ts < state.last_ts,
            Observation::Reference(record) => {
                let session = renames::session_of(record, self.params.calendar.as_deref());
                session.zip(state.cold.session).is_some_and(|(about, at_hand)| about < at_hand.date)
            }
            Observation::Heartbeat(_) => false,
        }
    }
}
