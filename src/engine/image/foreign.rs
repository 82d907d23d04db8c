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
use crate::domain::{Observation, Reference, Symbol, UnixNanos};
use crate::engine::parked::Batch;
use crate::engine::renames::Origin;
use crate::engine::state::{NO_PARTITION, SymbolState};
use crate::engine::{Disposition, Effects, Engine, Params, Resolved, Universe, securities};
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
    (fresh.cold.reference, fresh.cold.has_outlived) = (state.cold.reference, true);
    fresh.cold.day.opens = state.cold.day.opens.without_first_prices();
    fresh.cold.origin.clone_from(&state.cold.origin);
    fresh.cold.events.clone_from(&state.cold.events);
    fresh.set_ruler(params);
    fresh
}

/// Which symbol a record is about. One that says a name is about the name: it holds whatever is known of who has it.
pub(in crate::engine) fn symbol_of<'a>(observation: &'a Observation<'_>) -> Option<&'a str> {
    match observation {
        Observation::Tick(tick) => Some(&tick.symbol),
        Observation::Bar(bar) => Some(&bar.symbol),
        Observation::Amendment(amendment) => Some(&amendment.symbol),
        Observation::Status(status) => Some(&status.symbol),
        Observation::Reference(Reference::Rename { .. }) | Observation::Heartbeat(_) => None,
        Observation::Reference(record) => record.symbol().map(Symbol::as_str),
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

    /// Whether a record is about a symbol that its partition has not been known for.
    pub fn is_stranger(&self, partition: i32, observation: &Observation<'_>) -> bool {
        let Some(symbol) = symbol_of(observation) else { return false };
        match self.known_of(observation) {
            Some(id) => self.states[id as usize].partition != partition,
            None => match &self.params.universe {
                Universe::Listed(listed) => {
                    let first = self.origin_of(observation);
                    listed.contains(symbol) || first.is_some_and(|(name, _)| listed.contains(name.as_str()))
                }
                Universe::All => self.states.len() < self.params.symbols_max,
            },
        }
    }

    /// The number of a record's symbol here, decoded; `None` where the market has said nothing of it.
    fn at_hand(&mut self, observation: &Observation<'_>) -> Option<u32> {
        let id = self.known_of(observation)?;
        self.with_market(id)
    }

    /// The same number, decoded, if the market has said anything of it.
    fn with_market(&mut self, id: u32) -> Option<u32> {
        self.wake(id);
        (self.states[id as usize].partition != NO_PARTITION).then_some(id)
    }

    /// Before a record of a partition that its symbol was not read from: takes the symbol over as a bystander knows it, or
    /// as it was when it left a partition, whichever has come farther; false when here no less is known. What the
    /// symbol was until now stays with the partition that it comes from: who reads the new one once more goes on from
    /// there.
    pub fn take_over(
        &mut self,
        bystander: Option<&Self>,
        partition: i32,
        observation: &Observation<'_>,
        effects: &mut Effects,
    ) -> bool {
        let Some(symbol) = symbol_of(observation) else { return false };
        if let Some(bystander) = bystander {
            self.learn_names(bystander, partition, observation, effects);
        }
        let own = self.at_hand(observation);
        if let Some(id) = own.filter(|id| self.states[*id as usize].partition != partition) {
            self.keep_departed(id);
        }
        let origin = self.origin_of(observation);
        let gone = self.departed.take();
        // Of equals the last: the bystander has seen the most.
        let known = [gone.as_deref(), bystander.and_then(|b| b.departed.as_deref()), bystander];
        let of = |engine: &'_ Self| {
            let state = &engine.states[engine.counterpart(symbol, origin.as_ref())? as usize];
            (state.partition != NO_PARTITION).then(|| progress(state))
        };
        let farthest = known.into_iter().flatten().filter(|e| of(e).is_some()).max_by_key(|e| of(e));
        let at_hand = own.map(|id| progress(&self.states[id as usize]));
        let theirs = farthest.filter(|other| of(other) > at_hand);
        if let Some(other) = theirs
            && let Some(id) = other.counterpart(symbol, origin.as_ref())
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
        let Ok(id) = self.admit_image(&image.symbol, image.origin()) else { return };
        let batch = Batch { partition, tiers: tiers.to_vec(), feeds, bytes: Bytes::default() };
        self.restore_symbol(id, &batch, image);
        if self.states[id as usize].cold.awaits_close && !self.awaiting_close.contains(&id) {
            self.awaiting_close.push(id);
        }
    }

    /// Keeps what a symbol is with the partition that it leaves.
    fn keep_departed(&mut self, id: u32) {
        let Self { departed, params, feeds, states, .. } = self;
        let state = &states[id as usize];
        let (partition, image) = (state.partition, SymbolImage::from(state));
        let fresh = || Box::new(Self::new(Params { groups: Vec::new(), ..params.clone() }));
        departed.get_or_insert_with(fresh).take_image(partition, &image, &params.rules.tiers, feeds);
    }

    /// Securities that a partition's image has, and those that left it, where renames touch their names.
    pub(super) fn securities_of(&self, partition: i32) -> impl Iterator<Item = &Origin> {
        let gone = self.departed.iter().flat_map(|departed| &departed.states);
        let all = self.states.iter().chain(gone).filter(move |s| s.partition == partition);
        all.filter_map(|state| state.cold.origin.as_ref())
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

    /// Whether an image of a partition is to be taken for one of its symbols: not where the symbol has come farther in
    /// another partition.
    pub(super) fn is_news_of(&self, partition: i32, image: &SymbolImage) -> bool {
        let Some(id) = self.counterpart(&image.symbol, image.origin().as_ref()) else { return true };
        let own = &self.states[id as usize];
        own.partition == NO_PARTITION || own.partition == partition || progress(own) < image.progress()
    }

    /// Symbols of the partitions named that a bystander has met later in another partition, or has seen leave one later: they
    /// are someone else's now, or go on from there. By number.
    pub fn left_for(&mut self, bystander: &Self, partitions: &[i32]) -> Vec<u32> {
        self.wake_some(usize::MAX);
        let gone = bystander.departed.iter().flat_map(|departed| &departed.states);
        let theirs = bystander.states.iter().chain(gone);
        let theirs = theirs.filter(|s| s.partition != NO_PARTITION && !partitions.contains(&s.partition));
        let left = theirs.filter_map(|theirs| {
            let id = self.counterpart(theirs.cold.symbol.as_str(), theirs.cold.origin.as_ref())?;
            let own = &self.states[id as usize];
            (partitions.contains(&own.partition) && progress(own) < progress(theirs)).then_some(id)
        });
        left.collect()
    }

    /// The number here of what a bystander takes a record's symbol for: it may know of names that are not known here.
    fn counterpart_of(&mut self, bystander: &Self, observation: &Observation<'_>) -> Option<u32> {
        let id = match bystander.origin_of(observation) {
            Some(origin) => self.counterpart(symbol_of(observation)?, Some(&origin)),
            None => self.known_of(observation),
        };
        self.with_market(id?)
    }

    /// Whether the market has said anything here of the symbol that a bystander has met.
    pub fn has_market(&mut self, bystander: &Self, observation: &Observation<'_>) -> bool {
        self.counterpart_of(bystander, observation).is_some()
    }

    /// Forgets the market state of a symbol that a bystander has met going on in a partition of others; false when there
    /// is none.
    pub fn let_go_of(&mut self, bystander: &Self, observation: &Observation<'_>, effects: &mut Effects) -> bool {
        self.counterpart_of(bystander, observation).is_some_and(|id| self.let_go(id, effects))
    }

    /// The same by number.
    pub fn let_go(&mut self, id: u32, effects: &mut Effects) -> bool {
        let has_market = self.states[id as usize].partition != NO_PARTITION;
        if has_market {
            self.forget_market(id, effects);
        }
        has_market
    }

    /// Whether a record's security comes with another name from another partition of this engine, and the session under the
    /// old one is over there: what the record follows from has been read, and the record itself moves the security. What
    /// it was is kept for the partition that it leaves.
    pub fn goes_over(&mut self, partition: i32, observation: &Observation<'_>) -> bool {
        let Some(id) = self.at_hand(observation) else { return false };
        let state = &self.states[id as usize];
        let clock = self.partitions.get(&state.partition).map_or(UnixNanos::MIN, |clock| clock.event_time);
        let is_over = state.cold.session.is_some_and(|session| {
            // A late record under the old name goes the other way.
            clock >= session.end && self.session_of(observation).is_some_and(|next| next > session.date)
        });
        let is_renamed = symbol_of(observation).is_some_and(|symbol| symbol != state.cold.symbol.as_str());
        let goes = is_over && is_renamed && state.partition != partition;
        if goes {
            self.keep_departed(id);
        }
        goes
    }

    /// Whether a bystander has met the symbol of a partition's record later in another one.
    pub fn is_behind_of(&self, bystander: &Self, observation: &Observation<'_>, partition: i32) -> bool {
        let Some(id) = self.known_of(observation) else { return false };
        let own = &self.states[id as usize];
        let theirs = bystander.counterpart(own.cold.symbol.as_str(), own.cold.origin.as_ref());
        let theirs = theirs.map(|id| &bystander.states[id as usize]);
        own.partition == partition
            && theirs.is_some_and(|theirs| {
                theirs.partition != partition && theirs.partition != NO_PARTITION && progress(own) < progress(theirs)
            })
    }

    /// Whether a symbol of a partition left another one later: what is known of it here is of the time before it was there.
    pub fn has_been_away(&mut self, observation: &Observation<'_>, partition: i32) -> bool {
        if self.departed.is_none() {
            return false;
        }
        // It is compared: decoded first.
        self.at_hand(observation);
        self.departed.as_deref().is_some_and(|departed| self.is_behind_of(departed, observation, partition))
    }

    /// Whether the symbol of a record has, or had, another partition at hand.
    pub fn was_elsewhere(&self, observation: &Observation<'_>, partition: i32) -> bool {
        let Some(symbol) = symbol_of(observation) else { return false };
        let own = self.known_of(observation).map(|id| &self.states[id as usize]);
        let gone = || self.departed.as_deref()?.counterpart(symbol, self.origin_of(observation).as_ref());
        own.is_some_and(|s| s.partition != NO_PARTITION && s.partition != partition) || gone().is_some()
    }

    fn forget_market(&mut self, id: u32, effects: &mut Effects) {
        self.flush_bucket(id);
        self.keep_departed(id);
        self.absorb_news(|other, _| other == id);
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
        let state = self.at_hand(observation).map(|id| &self.states[id as usize]);
        let Some(state) = state.filter(|s| s.partition != partition) else { return false };
        match observation {
            Observation::Tick(tick) => tick.ts < state.last_ts,
            Observation::Bar(bar) => bar.ts < state.last_ts,
            Observation::Amendment(amendment) => amendment.ts < state.last_ts,
            Observation::Status(status) => status.ts < state.last_ts,
            Observation::Reference(record) => {
                let session = securities::session_of(record, self.params.calendar.as_deref());
                session.zip(state.cold.session).is_some_and(|(about, at_hand)| about < at_hand.date)
            }
            Observation::Heartbeat(_) => false,
        }
    }
}
