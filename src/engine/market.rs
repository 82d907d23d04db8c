//! Ticks and bars: the hot path, and the colder one behind its three comparisons.

use super::alerts::Moment;
use super::state::SymbolState;
use super::{Disposition, Effects, Engine, Origin};
use crate::domain::{Bar, Interval, Phase, Price, SessionDate, Tick, UnixNanos};
use crate::market::{Calendar, Located};

/// Feeds told apart at most.
const FEEDS_MAX: usize = 1024;

impl Engine {
    #[inline]
    pub(super) fn tick(&mut self, origin: &Origin, tick: &Tick<'_>, effects: &mut Effects) -> Disposition {
        if let Err(refusal) = self.check_time(origin, tick.ts) {
            return refusal;
        }
        let id = match self.lookup_at(&tick.symbol, tick.ts) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let feed = match tick.feed.as_deref() {
            None => 0,
            Some(name) => match self.feed(name) {
                Some(feed) => feed,
                None => return Disposition::FEEDS_FULL,
            },
        };
        let state = &mut self.states[id as usize];
        state.partition = origin.partition;
        if !state.accept_seq(feed, tick.seq) {
            return Disposition::DUPLICATE;
        }
        let price = tick.price.get();
        if tick.ts < state.last_ts {
            return self.behind(id, tick.ts, price, price);
        }
        self.price(id, origin, feed, tick.ts, price, effects);
        Disposition::APPLIED
    }

    /// A price in event-time order.
    #[inline]
    fn price(&mut self, id: u32, origin: &Origin, feed: u16, ts: UnixNanos, price: f64, effects: &mut Effects) {
        if ts >= self.states[id as usize].deadline {
            self.enter(id, ts, effects);
            self.first_price(id, price);
        }
        let state = &mut self.states[id as usize];
        if state.is_tracked {
            if ts >= state.bucket_end {
                self.close_bucket(id, ts);
            }
            self.states[id as usize].cold.source = Some((origin.partition, origin.offset));
        }
        let state = &mut self.states[id as usize];
        state.advance(&self.params.half_lives, ts, price);
        if price <= state.low || price >= state.high {
            self.decide(id, origin, feed, ts, price, effects);
        }
    }

    /// A price outside the band: the episode machine looks at it.
    #[cold]
    fn decide(&mut self, id: u32, origin: &Origin, feed: u16, ts: UnixNanos, price: f64, effects: &mut Effects) {
        let state = &mut self.states[id as usize];
        let Ok(z) = state.cold.ruler.z(price) else { return };
        if z.abs() >= self.params.rules.at(0) {
            state.cold.breached_at.get_or_insert(ts);
        }
        let mut steps = Vec::new();
        state.cold.episodes.observe(&self.params.rules, ts, z, &mut |step, episode| steps.push((step, *episode)));
        if !steps.is_empty() {
            self.flag(id, feed);
            for (step, episode) in steps {
                let moment =
                    Moment { ts, price, z: Ok(z), is_close: false, source: Some((origin.partition, origin.offset)) };
                let alert = self.symbol_alert(id, step.into(), &episode, &moment);
                effects.alerts.push(alert);
            }
        }
        self.states[id as usize].set_band(&self.params);
    }

    /// Remembers the quality flag of a feed that decided something.
    fn flag(&mut self, id: u32, feed: u16) {
        let name = &self.feeds[feed as usize];
        if let Some(known) = self.params.feeds.get(&**name) {
            let flags = &mut self.states[id as usize].cold.flags;
            if let Err(at) = flags.binary_search(&known.flag) {
                flags.insert(at, known.flag.clone());
            }
        }
    }

    /// A price behind its symbol's clock: late beyond the bound; within it, a genuine print that moves the
    /// session's range and nothing else, since the newest price is newer.
    fn behind(&mut self, id: u32, ts: UnixNanos, low: f64, high: f64) -> Disposition {
        let state = &mut self.states[id as usize];
        if ts < state.last_ts.plus(-self.params.lateness) {
            return Disposition::LATE;
        }
        if state.cold.session.is_none_or(|s| ts >= s.begin) {
            state.widen(low, high);
        }
        Disposition::APPLIED
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
        let state = &mut self.states[id as usize];
        state.partition = origin.partition;
        if !state.accept_seq(feed, bar.seq) || !state.accept_bar(bar.interval, bar.ts) {
            return Disposition::DUPLICATE;
        }
        let (low, high) = (bar.low.get(), bar.high.get());
        if let Some(session) = day {
            return self.day_bar(id, origin, feed, session, ts, bar, effects);
        }
        if ts < state.last_ts {
            return self.behind(id, ts, low, high);
        }
        // A rising bar is taken to have fallen first, a falling one to have risen first.
        let path = if bar.close >= bar.open { [bar.low, bar.high, bar.close] } else { [bar.high, bar.low, bar.close] };
        self.bar_path(id, origin, feed, ts, bar.open, path, effects);
        Disposition::APPLIED
    }

    /// Walks a bar's extremes at its end; the close alone moves price and variance.
    #[expect(clippy::too_many_arguments, reason = "a bar, where it stands and what it belongs to")]
    pub(super) fn bar_path(
        &mut self,
        id: u32,
        origin: &Origin,
        feed: u16,
        ts: UnixNanos,
        open: Price,
        path: [Price; 3],
        effects: &mut Effects,
    ) {
        // The end is exclusive: a bar up to the close of a phase lies in it.
        let inside = ts.plus(-1);
        if inside >= self.states[id as usize].deadline {
            self.enter(id, inside, effects);
            self.first_price(id, open.get());
        }
        let [first, second, close] = path.map(Price::get);
        for extreme in [first, second] {
            let state = &mut self.states[id as usize];
            state.widen(extreme, extreme);
            if extreme <= state.low || extreme >= state.high {
                self.decide(id, origin, feed, ts, extreme, effects);
            }
        }
        let state = &mut self.states[id as usize];
        if state.is_tracked && inside >= state.bucket_end {
            self.close_bucket(id, inside);
        }
        let state = &mut self.states[id as usize];
        state.cold.source = Some((origin.partition, origin.offset));
        state.advance(&self.params.half_lives, ts, close);
        if close <= state.low || close >= state.high {
            self.decide(id, origin, feed, ts, close, effects);
        }
    }

    /// End of a bar in event time; for a day bar its session too. `None` when that session is unknown.
    fn bar_end(&self, bar: &Bar<'_>) -> Option<(UnixNanos, Option<SessionDate>)> {
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

impl SymbolState {
    /// Takes a price: decays both variances to `ts`, adds its return, and stands at it.
    #[inline]
    fn advance(&mut self, half_lives: &[f64; 2], ts: UnixNanos, price: f64) {
        if self.last_price > 0.0 {
            let dt = ts.since(self.last_ts).max(0);
            let x = (price / self.last_price).ln();
            self.fast.update(dt, half_lives[0], x);
            self.slow.update(dt, half_lives[1], x);
        }
        self.range = (self.range.0.min(price), self.range.1.max(price));
        self.last_price = price;
        self.last_ts = ts;
    }

    /// Whether a sequence number is newer than all before it on its feed; remembers it if so.
    #[inline]
    fn accept_seq(&mut self, feed: u16, seq: Option<u64>) -> bool {
        let Some(seq) = seq else { return true };
        let next = if feed == 0 {
            &mut self.next_seq
        } else {
            let feeds = &mut self.cold.feeds;
            let at = feeds.iter().position(|(f, _)| *f == feed).unwrap_or_else(|| {
                feeds.push((feed, 0));
                feeds.len() - 1
            });
            &mut feeds[at].1
        };
        if seq < *next {
            return false;
        }
        *next = seq.saturating_add(1);
        true
    }

    /// Whether a final bar is newer than the last of its interval; remembers it if so.
    fn accept_bar(&mut self, interval: Interval, start: UnixNanos) -> bool {
        let bars = &mut self.cold.bars;
        match bars.iter_mut().find(|(i, _)| *i == interval) {
            Some((_, last)) if start <= *last => false,
            Some((_, last)) => {
                *last = start;
                true
            }
            None => {
                bars.push((interval, start));
                true
            }
        }
    }
}
