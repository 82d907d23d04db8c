//! Prints taken back or replaced: the session is gone through again without them, and what had been said of
//! them is retracted or corrected.

use super::alerts::{Moment, What};
use super::print::{EntryKind, PrintKey, hash};
use super::state::{Care, Intraday, SymbolState};
use super::{Disposition, Effects, Engine, Origin, Params};
use crate::domain::{Amendment, Outcome, Price, PrintRef, UnixNanos, Unknown};
use crate::rules::{Episodes, Told, reconcile};

impl Disposition {
    const OUT_OF_REACH: Self = Self { outcome: Outcome::Late, reason: "beyond_journal" };
}

impl Engine {
    /// Takes a cancel or a correction.
    pub(super) fn amendment(
        &mut self,
        origin: &Origin,
        amendment: &Amendment<'_>,
        effects: &mut Effects,
    ) -> Disposition {
        if let Err(refusal) = self.check_time(origin, amendment.ts) {
            return refusal;
        }
        let id = match self.lookup_at(&amendment.symbol, amendment.ts) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let Some(feed) = amendment.feed.as_deref().map_or(Some(0), |name| self.feed(name)) else {
            return Disposition::FEEDS_FULL;
        };
        let key = match &amendment.print {
            PrintRef::Id(text) => PrintKey { feed, id: hash(text.as_bytes()), seq: 0 },
            PrintRef::Seq(seq) => PrintKey { feed, id: 0, seq: *seq },
        };
        self.states[id as usize].partition = origin.partition;
        if self.amend_held(id, |e| key.is(e), amendment.price, effects) {
            return Disposition::APPLIED;
        }
        let state = &mut self.states[id as usize];
        let was_read = key.id == 0 && key.seq < *state.next_seq_of(feed);
        let Some(journal) = &mut state.journal else { return Disposition::OUT_OF_REACH };
        let Some(at) = journal.find(&key) else {
            // Read, and no longer kept; or still to come.
            if was_read || (key.id != 0 && journal.is_cut) {
                return Disposition::OUT_OF_REACH;
            }
            journal.remember(key, amendment.price.map(Price::get));
            state.care.set(Care::AHEAD, true);
            return Disposition::APPLIED;
        };
        let entry = &mut journal.entries[at];
        let from = entry.inside();
        match amendment.price {
            _ if entry.kind == EntryKind::Void => return Disposition::DUPLICATE,
            Some(price) if entry.price.to_bits() == price.get().to_bits() => return Disposition::DUPLICATE,
            Some(price) => {
                entry.price = price.get();
                entry.size = amendment.size.unwrap_or(entry.size);
            }
            None => entry.kind = EntryKind::Void,
        }
        // A state to start from that lies behind the print has seen it.
        if let Some((middle, _)) = journal.middle
            && at < middle
        {
            journal.middle = None;
        }
        self.go_through_again(id, amendment.ts, from, origin, effects);
        Disposition::APPLIED
    }

    /// Makes a symbol's session anew from its journal and says what differs.
    fn go_through_again(&mut self, id: u32, ts: UnixNanos, from: UnixNanos, origin: &Origin, effects: &mut Effects) {
        let (params, feeds) = (&self.params, &self.feeds);
        let state = &mut self.states[id as usize];
        let Some(mut journal) = state.journal.take() else { return };
        let reason = state.cold.halt.as_ref().map(|(_, reason)| reason.clone());
        let (reported, mut count) = reported(state);
        let settles = state.cold.closed && journal.closed_after.is_some();
        let was_closed = state.cold.closed;
        journal.base.put_back(state, params.calendar.as_deref());
        if settles {
            state.cold.closed = false;
        }
        state.set_ruler(params);
        let mut settled = Vec::new();
        let middle = params.journal_max / 2;
        for (at, entry) in journal.entries.iter().enumerate() {
            if settles && journal.closed_after == Some(at) {
                settled = settle_again(state, params);
            }
            if journal.middle.is_none() && at == middle && at > 0 {
                journal.middle = Some((at, Intraday::of(state)));
            }
            state.apply(params, feeds, entry);
        }
        if settles && journal.closed_after == Some(journal.entries.len()) {
            settled = settle_again(state, params);
        }
        state.cold.closed = was_closed;
        if let (Some(halt), Some(reason)) = (&mut state.cold.halt, reason) {
            halt.1 = reason;
        }
        state.journal = Some(journal);
        let session = state.cold.session.map(|s| s.date);
        let mut truth: Vec<Told> = if settles { settled } else { state.cold.episodes.told() };
        let said = if settles || !was_closed { reconcile(&reported, &mut truth, &mut count) } else { Vec::new() };
        if settles {
            let episodes = truth.iter().map(|t| t.episode).collect();
            if let Some(judged) = state.cold.judged.iter_mut().find(|j| Some(j.session) == session) {
                (judged.episodes, judged.count) = (episodes, count);
            }
        } else if !was_closed {
            state.cold.episodes.retell(&truth, count);
        }
        state.set_band(params);
        let measure = session.filter(|_| was_closed);
        let measure = measure.and_then(|s| state.cold.history.measure(params.calendar.as_deref(), s));
        let last = if state.last_price > 0.0 { Ok(state.last_price) } else { Err(Unknown::NoPrice) };
        let (price, z) = measure.map_or((last, state.z_now()), |m| (Ok(m.close), m.multiple()));
        let source = Some((origin.partition, origin.offset));
        let moment = Moment { ts, price, z, is_close: was_closed, source };
        for (what, episode) in said {
            let alert = self.symbol_alert(id, What::Amend(what), &episode, &moment);
            effects.alerts.push(alert);
        }
        self.amend_groups(id, from, ts, effects);
    }
}

/// What has been said of the session at hand, and the number of its last episode.
fn reported(state: &SymbolState) -> (Vec<Told>, u32) {
    let cold = &state.cold;
    let at_hand = cold.session.filter(|_| cold.closed).map(|s| s.date);
    match cold.judged.iter().find(|j| Some(j.session) == at_hand) {
        Some(judged) => {
            let told = judged.episodes.iter().map(|e| Told { episode: *e, is_over: true });
            (told.collect(), judged.count)
        }
        None => (cold.episodes.told(), cold.episodes.count),
    }
}

/// The session's verdicts, with nobody listening.
fn settle_again(state: &mut SymbolState, params: &Params) -> Vec<Told> {
    let Some(session) = state.cold.session else { return Vec::new() };
    let mut episodes: Episodes = std::mem::take(&mut state.cold.episodes);
    let measure = state.cold.history.measure(params.calendar.as_deref(), session.date);
    let settled = match measure.and_then(|m| m.z) {
        Some(z) => episodes.settle(&params.rules, session.close, z, &mut |_, _| {}),
        None => episodes.expire(session.close, &mut |_, _| {}),
    };
    state.cold.closed = true;
    state.set_band(params);
    settled.into_iter().map(|episode| Told { episode, is_over: true }).collect()
}
