//! Prints taken back or replaced: the session is gone through again without them, and what had been said of
//! them is retracted or corrected.

use super::alerts::{Moment, What};
use super::journal::Ahead;
use super::print::{Entry, EntryKind, PrintKey, hash};
use super::state::{Care, Intraday, SymbolState};
use super::{Disposition, Effects, Engine, Origin, Params};
use crate::domain::{Amendment, Outcome, Price, PrintRef, UnixNanos, Unknown};
use crate::market::Measure;
use crate::rules::{Episode, Told, reconcile};

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
        self.read_from(id, origin.partition);
        self.states[id as usize].cold.notices += 1;
        // What the watermark may have decided by now is decided.
        self.release(id, amendment.ts, effects);
        self.close_bucket_by(id, amendment.ts);
        if self.amend_held(id, |e| key.is(e), amendment, effects) {
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
            Some(price)
                if entry.price.to_bits() == price.get().to_bits()
                    && amendment.size.is_none_or(|size| size.to_bits() == entry.size.to_bits()) =>
            {
                return Disposition::DUPLICATE;
            }
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

    /// Whether the cancel of a print came before it; a correction that did so gives its price.
    #[cold]
    pub(super) fn is_cancelled_ahead(&mut self, id: u32, entry: &mut Entry) -> bool {
        let state = &mut self.states[id as usize];
        let amended = state.journal.as_mut().and_then(|j| j.amended_ahead(entry));
        state.care.set(Care::AHEAD, state.journal.as_ref().is_some_and(|j| !j.ahead.is_empty()));
        match amended {
            Some(Ahead::Cancelled) => {
                state.keep(&self.params, &Entry { kind: EntryKind::Void, ..*entry });
                return true;
            }
            Some(Ahead::Corrected(price)) => entry.price = price,
            None => {}
        }
        false
    }

    /// Makes a symbol's session anew from its journal and says what differs.
    fn go_through_again(&mut self, id: u32, ts: UnixNanos, from: UnixNanos, origin: &Origin, effects: &mut Effects) {
        let (params, feeds) = (&self.params, &self.feeds);
        let state = &mut self.states[id as usize];
        let Some(mut journal) = state.journal.take() else { return };
        let reason = state.cold.halt.as_ref().map(|(_, reason)| reason.clone());
        let (reported, mut count) = reported(state);
        let session = state.cold.session.map(|s| s.date);
        let was_closed = state.cold.closed;
        let measured = |state: &SymbolState| {
            let session = session.filter(|_| was_closed)?;
            state.cold.history.measure(params.calendar.as_deref(), session)
        };
        let first_tier = params.rules.at(0);
        let scored = |state: &SymbolState, m: &Option<Measure>| m.as_ref().map(|m| state.score(m, first_tier));
        let measure_before = measured(state);
        let score_before = scored(state, &measure_before).unwrap_or_default();
        let settles = was_closed && journal.has_close();
        journal.base.put_back(state, params.calendar.as_deref());
        if settles {
            state.cold.closed = false;
            state.cold.judged.retain(|j| Some(j.session) != session);
        }
        state.set_ruler(params);
        let middle = params.journal_max / 2;
        for (at, entry) in journal.entries.iter_mut().enumerate() {
            if journal.middle.is_none() && at == middle && at > 0 {
                journal.middle = Some((at, Intraday::of(state)));
            }
            // What it came behind was taken back.
            if entry.kind == EntryKind::Behind && entry.ts >= state.last_ts {
                entry.kind = if state.care.has(Care::HALTED) { EntryKind::Volume } else { EntryKind::Price };
            }
            state.apply(params, feeds, entry);
        }
        state.cold.closed = was_closed;
        if let (Some(halt), Some(reason)) = (&mut state.cold.halt, reason) {
            halt.1 = reason;
        }
        state.journal = Some(journal);
        let settled = state.cold.judged.iter().find(|j| settles && Some(j.session) == session);
        let is_settled = settled.is_some();
        let mut truth: Vec<Told> = settled.map_or_else(|| state.cold.episodes.told(), |j| told(&j.episodes));
        let said = if settles || !was_closed { reconcile(&reported, &mut truth, &mut count) } else { Vec::new() };
        if is_settled {
            let episodes = truth.iter().map(|t| t.episode).collect();
            if let Some(judged) = state.cold.judged.iter_mut().find(|j| Some(j.session) == session) {
                (judged.episodes, judged.count) = (episodes, count);
            }
        } else if settles || !was_closed {
            state.cold.episodes.retell(&truth, count);
        }
        state.set_band(params);
        let last = if state.last_price > 0.0 { Ok(state.last_price) } else { Err(Unknown::NoPrice) };
        // The first price of a session may have put it in doubt.
        let measure = measured(state);
        let score = scored(state, &measure).unwrap_or_default();
        let is_tracked = state.is_tracked;
        let (price, z) = measure.as_ref().map_or((last, state.z_now()), |m| (Ok(m.close), m.multiple()));
        let source = Some((origin.partition, origin.offset));
        let moment = Moment { ts, price, z, is_close: was_closed, source };
        for (what, episode) in said {
            let alert = self.symbol_alert(id, What::Amend(what), &episode, &moment);
            effects.alerts.push(alert);
        }
        if let Some(measure) = measure {
            self.replace_score(measure.session, &score_before, &score);
            if measure_before.as_ref() != Some(&measure) {
                self.count_breadth(measure_before.as_ref(), &measure);
                effects.measures.push((self.name_on(id, Some(measure.session)), measure));
            }
        }
        self.amend_groups(id, from, ts);
        if let Some(session) = session.filter(|_| settles && is_tracked) {
            self.close_for_groups(id, session, false);
        }
    }
}

/// What has been said of the session at hand, and the number of its last episode.
fn reported(state: &SymbolState) -> (Vec<Told>, u32) {
    let cold = &state.cold;
    let at_hand = cold.session.filter(|_| cold.closed).map(|s| s.date);
    match cold.judged.iter().find(|j| Some(j.session) == at_hand) {
        Some(judged) => (told(&judged.episodes), judged.count),
        None => (cold.episodes.told(), cold.episodes.count),
    }
}

fn told(settled: &[Episode]) -> Vec<Told> {
    settled.iter().map(|e| Told { episode: *e, is_over: true }).collect()
}

impl SymbolState {
    /// The session's close, with nobody listening.
    pub(super) fn close_again(&mut self, params: &Params, close: &Entry) {
        self.stand_at_close(close.ts, (close.price > 0.0).then_some(close.price));
        let session = self.cold.session.map(|s| s.date);
        let measure = session.and_then(|s| self.cold.history.measure(params.calendar.as_deref(), s));
        let Some(measure) = measure else { return };
        self.judge_close(&params.rules, close.ts, &measure, &mut |_, _| {});
        self.set_band(params);
    }
}
