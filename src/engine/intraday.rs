//! What one entry does to one symbol: the same whether it just came or the session is gone through again.

use super::params::Params;
use super::print::{Entry, EntryKind};
use super::state::{Care, Intraday, NO_RANGE, SymbolState, widest};
use crate::domain::{Interval, NANOS_PER_SEC, Phase, Price, UnixNanos};
use crate::market::{Located, Moment};
use crate::rules::{Episode, Step};
use std::sync::Arc;

/// Gaps longer than this are nights and halts, not the symbol's rhythm.
const GAP_MAX: i64 = 3_600 * NANOS_PER_SEC;
/// Weight of one gap in their decayed mean.
const GAP_WEIGHT: f64 = 1.0 / 64.0;

impl SymbolState {
    /// Log return from the last price; 0 before the first.
    #[inline]
    pub(super) fn tick_return(&self, price: f64) -> f64 {
        if self.last_price > 0.0 { (price / self.last_price).ln() } else { 0.0 }
    }

    /// Takes a price whose log return is `x`: decays both variances to its time, adds `x`, and stands at it.
    #[inline]
    pub(super) fn advance(&mut self, half_lives: &[f64; 2], entry: &Entry, x: f64) {
        let Entry { ts, price, .. } = *entry;
        if ts > self.quiet_until {
            self.sample(entry);
        }
        if self.last_price > 0.0 {
            let dt = ts.since(self.last_ts).max(0);
            self.fast.update(dt, half_lives[0], x);
            self.slow.update(dt, half_lives[1], x);
            if dt < GAP_MAX {
                let gap = dt as f64 / NANOS_PER_SEC as f64;
                self.mean_gap += if self.mean_gap > 0.0 { (gap - self.mean_gap) * GAP_WEIGHT } else { gap };
            }
        }
        self.range = (self.range.0.min(price), self.range.1.max(price));
        self.last_price = price;
        self.last_ts = ts;
    }

    /// Takes a print that does not become the last price.
    pub(super) fn stand_aside(&mut self, params: &Params, entry: &Entry) {
        self.volume += entry.size;
        let widens = match entry.kind {
            EntryKind::Behind => self.is_believable(params, entry.price),
            kind => kind == EntryKind::Range,
        };
        if widens {
            self.widen_aside(entry.price);
        }
    }

    /// Whether a price is near enough to the last one to be believed at once.
    pub(super) fn is_believable(&self, params: &Params, price: f64) -> bool {
        let limit = params.quarantine.as_ref().zip(self.cold.ruler.sigma.usable());
        limit.is_none_or(|(q, sigma)| self.tick_return(price).abs() <= q.limit(sigma, 1.0))
    }

    /// Keeps an entry, before it is applied.
    #[inline]
    pub(super) fn keep(&mut self, params: &Params, entry: &Entry) {
        if let Some(journal) = &mut self.journal {
            if journal.is_due(params.journal_max) {
                self.roll_journal(params);
            }
            if let Some(journal) = &mut self.journal {
                journal.entries.push(*entry);
            }
        }
    }

    #[cold]
    fn roll_journal(&mut self, params: &Params) {
        if let Some(mut journal) = self.journal.take() {
            journal.roll(params.journal_max, Intraday::of(self));
            self.journal = Some(journal);
        }
    }

    /// The session at hand has had its close at `ts`; its price becomes the last one, unless a newer one is known.
    pub(super) fn stand_at_close(&mut self, ts: UnixNanos, price: Option<f64>) {
        self.finish_returns();
        if let Some(price) = price
            && ts >= self.last_ts
        {
            (self.last_ts, self.last_price) = (ts, price);
        }
        self.cold.closed = true;
        self.cold.awaits_close = false;
    }

    /// The newest price, where it is one of the regular session at hand.
    pub(super) fn regular_price(&self) -> Option<f64> {
        let open = self.cold.session?.open;
        (self.cold.phase == Phase::Regular && self.last_ts >= open).then_some(self.last_price)
    }

    /// Whether an instant lies before the phase at hand, which a record of another kind may have begun: a price
    /// of then becomes the last one, and is none of this phase.
    pub(super) fn is_belated(&self, at: UnixNanos) -> bool {
        self.cold.session.is_some_and(|s| at < s.start_of(self.cold.phase))
    }

    /// The phase of an instant up to now.
    pub(super) fn phase_at(&self, at: UnixNanos) -> Phase {
        match self.cold.session {
            Some(session) if self.is_belated(at) => session.phase_at(at).0,
            _ => self.cold.phase,
        }
    }

    /// Moves to another phase of the session at hand.
    pub(super) fn enter_phase(&mut self, at: &Moment, params: &Params) {
        let regular_last = self.regular_price();
        self.finish_returns();
        let cold = &mut self.cold;
        if cold.phase == Phase::Regular && at.phase == Phase::Post {
            // What was the last price before the close.
            cold.regular_last = regular_last;
            cold.decided = Some(self.range);
        }
        cold.phase = at.phase;
        cold.live = true;
        self.begin_phase(at.phase);
        let cold = &mut self.cold;
        let is_gated = at.phase == Phase::Pre && params.eligibility.is_some() && !cold.gate.is_open(&params.extended);
        self.care.set(Care::GATED, is_gated);
        self.deadline = at.until;
        self.set_ruler(params);
    }

    /// Takes a price that may be the first of its session to decide something: in the pre-market it counts
    /// until enough has been traded, and `first` is remembered, since it may give away a split.
    #[cold]
    pub(super) fn arrive(&mut self, params: &Params, entry: &Entry, first: f64) {
        if self.is_belated(entry.inside()) {
            return;
        }
        if self.care.has(Care::GATED) {
            let gate = &mut self.cold.gate;
            let size = (entry.size > 0.0).then_some(entry.size);
            gate.observe(entry.price, size, (entry.venue != 0).then_some(entry.venue));
            if gate.is_open(&params.extended) {
                self.care.set(Care::GATED, false);
                self.set_band(params);
            }
        }
        self.note_first(params, entry.inside(), first);
    }

    /// Remembers the first price of a session that can decide something.
    pub(super) fn note_first(&mut self, params: &Params, at: UnixNanos, price: f64) {
        if !self.care.has(Care::FIRST) || !self.decides() || self.is_belated(at) {
            return;
        }
        self.care.set(Care::FIRST, false);
        // What came before it decided nothing.
        self.cold.undecided = widest(self.cold.undecided, std::mem::replace(&mut self.range, NO_RANGE));
        let Some(session) = self.cold.session else { return };
        if self.cold.history.set_first(params.calendar.as_deref(), session.date, price) {
            self.set_ruler(params);
        }
    }

    /// Whether a price lies where something can change.
    #[inline]
    pub(super) fn is_outside(&self, price: f64) -> bool {
        price <= self.low || price >= self.high
    }

    /// Lets the episodes look at a price outside the band.
    pub(super) fn observe(
        &mut self,
        params: &Params,
        feeds: &[Arc<str>],
        entry: &Entry,
        emit: &mut impl FnMut(Step, &Episode),
    ) {
        if self.is_belated(entry.inside()) {
            return;
        }
        let Ok(z) = self.cold.ruler.z(entry.price) else { return };
        let cold = &mut self.cold;
        if z.abs() >= params.rules.at(0) {
            cold.breached_at.get_or_insert(entry.ts);
        }
        let mut has_said = false;
        cold.episodes.observe(&params.rules, entry.ts, z, &mut |step, episode| {
            has_said = true;
            emit(step, episode);
        });
        if has_said {
            let flag = feeds.get(usize::from(entry.feed)).and_then(|f| params.feeds.get(&**f)?.flag.clone());
            if let Some(flag) = flag
                && let Err(at) = cold.flags.binary_search(&flag)
            {
                cold.flags.insert(at, flag);
            }
        }
        self.set_band(params);
    }

    /// Trading stands still from `ts` on.
    pub(super) fn stop_trading(&mut self, params: &Params, ts: UnixNanos, reason: Arc<str>) {
        self.cold.halt = Some((ts, reason));
        self.care.set(Care::HALTED, true);
        self.set_band(params);
    }

    /// Trading goes on at `ts`: clocks that run in trading time have stood still meanwhile.
    pub(super) fn resume_trading(&mut self, params: &Params, ts: UnixNanos) {
        if let Some((since, _)) = self.cold.halt.take() {
            self.cold.episodes.stand_still(ts.since(since).max(0));
        }
        self.care.set(Care::HALTED, false);
        self.set_band(params);
    }

    /// Applies an entry of the session at hand, with nobody listening.
    pub(super) fn apply(&mut self, params: &Params, feeds: &[Arc<str>], entry: &Entry) {
        // What is nothing begins no phase, and a close may stand in any.
        if !matches!(entry.kind, EntryKind::Void | EntryKind::Close)
            && entry.inside() >= self.deadline
            && let Some(Located::Known(at)) = params.calendar.as_deref().map(|c| c.locate(entry.inside()))
        {
            self.enter_phase(&at, params);
        }
        let price = entry.price;
        match entry.kind {
            EntryKind::Price | EntryKind::BarClose | EntryKind::Mark => {
                self.volume += entry.size;
                if self.care.has(Care::AT_ARRIVAL) && entry.kind != EntryKind::Mark {
                    self.arrive(params, entry, price);
                }
                let x = self.tick_return(price);
                self.advance(&params.half_lives, entry, x);
                if entry.kind != EntryKind::Mark && self.is_outside(price) {
                    self.observe(params, feeds, entry, &mut |_, _| {});
                }
            }
            EntryKind::Extreme => {
                self.widen(price);
                if self.is_outside(price) {
                    self.observe(params, feeds, entry, &mut |_, _| {});
                }
            }
            EntryKind::Range | EntryKind::Behind | EntryKind::Volume => self.stand_aside(params, entry),
            EntryKind::Halt => self.stop_trading(params, entry.ts, "".into()),
            EntryKind::Resume => self.resume_trading(params, entry.ts),
            EntryKind::BarStart => {
                if let Ok(open) = Price::new(price) {
                    self.note_bar(UnixNanos(entry.start()), entry.ts, open);
                    self.note_first(params, entry.inside(), entry.size);
                }
            }
            EntryKind::Void => {}
            EntryKind::Close => self.close_again(params, entry),
        }
    }

    /// Whether a print of this id has been taken, waits, or was refused.
    pub(super) fn knows_id(&self, id: u64) -> bool {
        let waits = || self.cold.quarantine.held().iter().any(|h| h.record.entry.id == id);
        self.journal.as_ref().is_some_and(|j| j.knows_id(id)) || (self.care.has(Care::HELD) && waits())
    }

    /// Whether a sequence number is newer than all before it on its feed; remembers it if so.
    #[inline]
    pub(super) fn accept_seq(&mut self, feed: u16, seq: Option<u64>) -> bool {
        let Some(seq) = seq else { return true };
        let next = self.next_seq_of(feed);
        if seq < *next {
            return false;
        }
        *next = seq.saturating_add(1);
        true
    }

    /// One more than the last sequence number of a feed.
    pub(super) fn next_seq_of(&mut self, feed: u16) -> &mut u64 {
        if feed == 0 {
            return &mut self.next_seq;
        }
        let feeds = &mut self.cold.feeds;
        let at = feeds.iter().position(|(f, _)| *f == feed).unwrap_or_else(|| {
            feeds.push((feed, 0));
            feeds.len() - 1
        });
        &mut feeds[at].1
    }

    /// Whether a final bar is newer than the last of its interval; remembers it if so.
    pub(super) fn accept_bar(&mut self, interval: Interval, start: UnixNanos) -> bool {
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
