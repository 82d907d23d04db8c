//! Ticks and bars: the hot path, and the colder one behind its few comparisons.

use super::alerts::Moment;
use super::print::{Entry, EntryKind};
use super::state::Care;
use super::{Disposition, Effects, Engine, Origin};
use crate::domain::{Bar, Outcome, Phase, Price, SessionDate, Tick, UnixNanos};
use crate::market::{Calendar, Located};

/// Feeds told apart at most.
const FEEDS_MAX: usize = 1024;

impl Engine {
    /// A print; `None` while it waits for confirmation.
    #[inline]
    pub(super) fn tick(&mut self, origin: &Origin, tick: &Tick<'_>, effects: &mut Effects) -> Option<Disposition> {
        if let Err(refusal) = self.check_time(origin, tick.ts) {
            return Some(refusal);
        }
        let id = match self.lookup_at(&tick.symbol, tick.ts) {
            Ok(id) => id,
            Err(refusal) => return Some(refusal),
        };
        let feed = match tick.feed.as_deref() {
            None => 0,
            Some(name) => match self.feed(name) {
                Some(feed) => feed,
                None => return Some(Disposition::FEEDS_FULL),
            },
        };
        self.read_from(id, origin.partition);
        let state = &mut self.states[id as usize];
        if !state.accept_seq(feed, tick.seq) {
            return Some(Disposition::DUPLICATE);
        }
        let mut entry = Entry::of_tick(tick, feed);
        if tick.seq.is_none() && entry.id != 0 && state.knows_id(entry.id) {
            return Some(Disposition::DUPLICATE);
        }
        if state.care.has(Care::AHEAD) && self.is_cancelled_ahead(id, &mut entry) {
            return Some(Disposition::CANCELLED);
        }
        let mut is_auction = false;
        if (tick.tape.is_some() || !tick.cond.is_empty()) && self.params.eligibility.is_some() {
            self.release(id, tick.ts, effects);
            self.enter_if_due(id, tick.ts, effects);
            match self.admissible(id, tick, &mut entry) {
                Ok(found) => is_auction = found,
                Err(aside) => return Some(aside),
            }
        }
        let state = &mut self.states[id as usize];
        if tick.ts < state.last_ts {
            return Some(self.behind(id, &entry));
        }
        let x = state.tick_return(entry.price);
        if !state.care.is_none() || x.abs() >= self.params.jump() {
            return self.careful(id, origin, tick, entry, is_auction, effects);
        }
        self.price(id, origin, &entry, x, entry.ts, effects);
        Some(Disposition::APPLIED)
    }

    /// A price in event-time order, `x` its log return; `known_at` is when it was believed: groups, which
    /// have judged what lies before, see it from then on.
    #[inline]
    pub(super) fn price(
        &mut self,
        id: u32,
        origin: &Origin,
        entry: &Entry,
        x: f64,
        known_at: UnixNanos,
        effects: &mut Effects,
    ) {
        let ts = entry.ts;
        if ts >= self.states[id as usize].deadline {
            self.enter(id, ts, effects);
        }
        let state = &mut self.states[id as usize];
        if state.is_tracked {
            if known_at >= state.cold.bucket_end {
                self.close_bucket(id, known_at);
            }
            self.states[id as usize].cold.source = Some((origin.partition, origin.offset));
        }
        let state = &mut self.states[id as usize];
        state.keep(&self.params, entry);
        state.volume += entry.size;
        if state.care.has(Care::AT_ARRIVAL) && entry.kind == EntryKind::Price {
            state.arrive(&self.params, entry, entry.price);
        }
        state.advance(&self.params.half_lives, entry, x);
        if state.is_outside(entry.price) && entry.kind == EntryKind::Price {
            self.decide(id, origin, entry, effects);
        }
    }

    /// A price outside the band: the episode machine looks at it.
    #[cold]
    fn decide(&mut self, id: u32, origin: &Origin, entry: &Entry, effects: &mut Effects) {
        let mut steps = Vec::new();
        let state = &mut self.states[id as usize];
        let z = state.cold.ruler.z(entry.price);
        state.observe(&self.params, &self.feeds, entry, &mut |step, episode| steps.push((step, *episode)));
        for (step, episode) in steps {
            let source = Some((origin.partition, origin.offset));
            let moment = Moment { ts: entry.ts, price: Ok(entry.price), z, is_close: false, source };
            let alert = self.symbol_alert(id, step.into(), &episode, &moment);
            effects.alerts.push(alert);
        }
    }

    /// A price behind its symbol's clock: late beyond the bound; within it, a genuine print that moves the
    /// session's range and nothing else, since the newest price is newer. One too far from the last price to
    /// be believed at once does not even do that.
    pub(super) fn behind(&mut self, id: u32, entry: &Entry) -> Disposition {
        let state = &mut self.states[id as usize];
        if entry.ts < state.last_ts.plus(-self.params.lateness) {
            return Disposition::LATE;
        }
        if state.cold.session.is_none_or(|s| entry.ts >= s.begin) {
            let kind = match entry.kind {
                EntryKind::Price => EntryKind::Behind,
                _ if state.is_believable(&self.params, entry.price) => EntryKind::Range,
                _ => EntryKind::Volume,
            };
            self.aside(id, &Entry { kind, ..*entry });
        }
        Disposition::APPLIED
    }

    /// A print that may not set the last price.
    pub(super) fn aside(&mut self, id: u32, entry: &Entry) {
        let state = &mut self.states[id as usize];
        state.keep(&self.params, entry);
        state.stand_aside(&self.params, entry);
    }

    pub(super) fn bar(&mut self, origin: &Origin, bar: &Bar<'_>, effects: &mut Effects) -> (UnixNanos, Disposition) {
        let Some((ts, session_end)) = self.bar_end(bar) else {
            return (bar.ts, Disposition::NOT_A_SESSION);
        };
        (ts, self.bar_at(origin, bar, ts, session_end, effects))
    }

    fn bar_at(
        &mut self,
        origin: &Origin,
        bar: &Bar<'_>,
        ts: UnixNanos,
        day: Option<SessionDate>,
        effects: &mut Effects,
    ) -> Disposition {
        if let Err(refusal) = self.check_time(origin, ts) {
            return refusal;
        }
        if !bar.is_final {
            return Disposition::NOT_FINAL;
        }
        let id = match self.lookup_at(&bar.symbol, ts.plus(-1)) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let Some(feed) = bar.feed.as_deref().map_or(Some(0), |name| self.feed(name)) else {
            return Disposition::FEEDS_FULL;
        };
        self.read_from(id, origin.partition);
        let state = &mut self.states[id as usize];
        if !state.accept_seq(feed, bar.seq) || !state.accept_bar(bar.interval, bar.ts) {
            return Disposition::DUPLICATE;
        }
        let volume = bar.volume.unwrap_or(0.0);
        if let Some(session) = day {
            return self.day_bar(id, origin, feed, session, ts, bar, effects);
        }
        // What waits for confirmation is older than the bar.
        self.release(id, ts, effects);
        if ts < self.states[id as usize].last_ts {
            let extreme = |price: Price, size| Entry { size, ..Entry::plain(EntryKind::Range, ts, price.get(), feed) };
            let outcome = self.behind(id, &extreme(bar.low, volume));
            if outcome.outcome == Outcome::Applied {
                self.behind(id, &extreme(bar.high, 0.0));
            }
            return outcome;
        }
        self.walk_bar(id, origin, feed, ts, (bar, bar.open), effects);
        Disposition::APPLIED
    }

    /// Walks a bar's extremes at its end; the close alone moves price and variance. `first` is what stands for
    /// it where the first price of a session is asked.
    pub(super) fn walk_bar(
        &mut self,
        id: u32,
        origin: &Origin,
        feed: u16,
        ts: UnixNanos,
        (bar, first): (&Bar<'_>, Price),
        effects: &mut Effects,
    ) {
        let (close, volume) = (bar.close.get(), bar.volume.unwrap_or(0.0));
        let last = Entry { size: volume, ..Entry::plain(EntryKind::BarClose, ts, close, feed) };
        let inside = last.inside();
        self.enter_if_due(id, inside, effects);
        let state = &mut self.states[id as usize];
        state.keep(&self.params, &Entry::of_bar(bar.ts, ts, bar.open.get(), first.get()));
        state.note_bar(bar.ts, ts, bar.open);
        state.note_first(&self.params, inside, first.get());
        // A rising bar is taken to have fallen first, a falling one to have risen first.
        let extremes = if bar.close >= bar.open { [bar.low, bar.high] } else { [bar.high, bar.low] };
        for extreme in extremes.map(Price::get) {
            let entry = Entry::plain(EntryKind::Extreme, ts, extreme, feed);
            let state = &mut self.states[id as usize];
            state.keep(&self.params, &entry);
            state.widen(extreme);
            if state.is_outside(extreme) {
                self.decide(id, origin, &entry, effects);
            }
        }
        let state = &mut self.states[id as usize];
        if state.is_tracked && inside >= state.cold.bucket_end {
            self.close_bucket(id, inside);
        }
        let state = &mut self.states[id as usize];
        state.cold.source = Some((origin.partition, origin.offset));
        state.keep(&self.params, &last);
        state.volume += volume;
        if state.care.has(Care::AT_ARRIVAL) {
            state.arrive(&self.params, &last, close);
        }
        let x = state.tick_return(close);
        state.advance(&self.params.half_lives, &last, x);
        if state.is_outside(close) {
            self.decide(id, origin, &last, effects);
        }
    }

    /// End of a bar in event time; for a day bar its session too. `None` when that session is unknown.
    pub(super) fn bar_end(&self, bar: &Bar<'_>) -> Option<(UnixNanos, Option<SessionDate>)> {
        let calendar = self.params.calendar.as_deref();
        if let Some(nanos) = bar.interval.nanos() {
            let end = bar.ts.plus(nanos);
            // The last bar of a session ends with it.
            let end = match calendar.map(|c| c.locate(bar.ts)) {
                Some(Located::Known(m)) if m.phase == Phase::Regular => end.min(m.session.close),
                _ => end,
            };
            return Some((end, None));
        }
        let calendar = calendar?;
        let session = bar.session.unwrap_or_else(|| Calendar::bar_day(bar.ts));
        Some((calendar.session(session)?.close, Some(session)))
    }

    pub(super) fn feed(&mut self, name: &str) -> Option<u16> {
        if let Some(at) = self.feeds.iter().position(|f| **f == *name) {
            return u16::try_from(at).ok();
        }
        if self.feeds.len() >= FEEDS_MAX {
            return None;
        }
        self.feeds.push(name.into());
        u16::try_from(self.feeds.len() - 1).ok()
    }
}
