//! Closes, and what they settle.

use super::alerts::{Moment, What};
use super::print::{Entry, EntryKind};
use super::revise::Judged;
use super::state::{NO_PARTITION, SymbolState};
use super::{Breadth, Channel, Disposition, Effects, Engine, Origin};
use crate::cluster::{MemberClose, MemberEvent};
use crate::domain::{Bar, CloseBasis, Price, Reading, SessionDate, Symbol, UnixNanos};
use crate::market::{Flag, Measure, OpenBasis, Published, Session};
use crate::rules::{Episode, EpisodeRules};

/// Sessions whose breadth is kept.
const BREADTH_KEPT: usize = 16_384;

impl Engine {
    /// Takes a closing price.
    pub(super) fn close_record(
        &mut self,
        channel: Channel,
        origin: Option<&Origin>,
        symbol: &Symbol,
        (date, price, basis, ts): (SessionDate, Price, CloseBasis, Option<UnixNanos>),
        effects: &mut Effects,
    ) -> Disposition {
        let Some(session) = self.params.calendar.as_deref().and_then(|c| c.session(date)).copied() else {
            return Disposition::NOT_A_SESSION;
        };
        if let Some(origin) = origin
            && let Err(refusal) = self.check_time(origin, ts.unwrap_or(session.close))
        {
            return refusal;
        }
        // A close that stands before its session is about another one.
        if ts.is_some_and(|ts| ts < session.begin) {
            return Disposition::NOT_A_SESSION;
        }
        let id = match self.admit_on(symbol.as_str(), Some(date)) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let state = &self.states[id as usize];
        let at_hand = state.cold.session.map(|s| s.date);
        let closes_now = at_hand.is_none_or(|s| date > s) || (at_hand == Some(date) && !state.cold.closed);
        if closes_now {
            self.flush_bucket(id);
        }
        if let Some(origin) = origin {
            self.read_from(id, origin.partition);
            let state = &mut self.states[id as usize];
            state.cold.source = Some((origin.partition, origin.offset));
        }
        let at = ts.unwrap_or(session.close);
        if !closes_now {
            return self
                .revise(id, date, at, effects, |history, calendar| history.set_close(calendar, date, price, basis));
        }
        let calendar = self.params.calendar.clone();
        let changed = self.states[id as usize].cold.history.set_close(calendar.as_deref(), date, price, basis);
        let state = &mut self.states[id as usize];
        let is_live = state.cold.live && at_hand == Some(date);
        match channel {
            // History alone: what it closes is settled when the market records get there.
            // So is a close on the reference topic for a symbol that is read elsewhere, or not yet.
            Channel::Initial | Channel::Reference
                if !is_live && (channel == Channel::Initial || state.partition == NO_PARTITION) =>
            {
                if state.is_tracked {
                    self.close_for_groups(id, date, true);
                }
                return if changed { Disposition::APPLIED } else { Disposition::DUPLICATE };
            }
            Channel::Reference | Channel::Initial if state.partition != NO_PARTITION => {
                // Market records up to the close may still be on their way: wait for their clock.
                if !state.cold.awaits_close {
                    state.cold.awaits_close = true;
                    self.awaiting_close.push(id);
                }
                return Disposition::APPLIED;
            }
            Channel::Market | Channel::Reference | Channel::Initial => {}
        }
        self.enter_session(id, session, effects);
        self.settle(id, session, at, Some(price), origin.map(|o| (o.partition, o.offset)), effects);
        Disposition::APPLIED
    }

    /// A final day bar: its extremes at the close, then its close.
    #[expect(clippy::too_many_arguments, reason = "a bar, where it stands and what it belongs to")]
    pub(super) fn day_bar(
        &mut self,
        id: u32,
        origin: &Origin,
        feed: u16,
        date: SessionDate,
        ts: UnixNanos,
        bar: &Bar<'_>,
        effects: &mut Effects,
    ) -> Disposition {
        let state = &mut self.states[id as usize];
        state.cold.day.opens.set(date, bar.open, OpenBasis::Day);
        state.cold.history.set_range(date, [bar.open, bar.high, bar.low]);
        if ts >= state.last_ts && !(state.cold.closed && state.cold.session.is_some_and(|s| s.date >= date)) {
            // What still waits is a price before the close.
            self.release_all(id, Some(bar.close.get()), effects);
            // The day's own path is not known: it is judged by its close, as a close alone would be.
            self.walk_bar(id, origin, feed, ts, (bar, bar.close), effects);
        }
        let symbol = self.name_on(id, Some(date));
        self.close_record(Channel::Market, Some(origin), &symbol, (date, bar.close, CloseBasis::Last, None), effects)
    }

    /// Settles the session at hand by the close that its history holds; `last` is its price where it becomes the
    /// last one.
    pub(super) fn settle(
        &mut self,
        id: u32,
        session: Session,
        at: UnixNanos,
        last: Option<Price>,
        source: Option<(i32, i64)>,
        effects: &mut Effects,
    ) {
        // The close speaks last.
        self.release_all(id, None, effects);
        self.flush_bucket(id);
        let calendar = self.params.calendar.clone();
        let state = &mut self.states[id as usize];
        let last = last.map(Price::get);
        state.keep(&self.params, &Entry::plain(EntryKind::Close, at, last.unwrap_or(0.0), 0));
        state.stand_at_close(at, last);
        let published = if state.cold.halt.is_some() { Published::Halted } else { Published::Yes };
        state.cold.history.set_published(session.date, published);
        let Some(measure) = state.cold.history.measure(calendar.as_deref(), session.date) else { return };
        state.set_ruler(&self.params);
        let mut ended: Vec<(What, Episode)> = Vec::new();
        let state = &mut self.states[id as usize];
        let z = state.close_multiple(&measure);
        state.judge_close(&self.params.rules, at, &measure, &mut |what, episode| ended.push((what, *episode)));
        state.close_forecasts(session.date);
        for (what, episode) in ended {
            let moment = Moment { ts: at, price: Ok(measure.close), z, is_close: z.is_ok(), source };
            let alert = self.symbol_alert(id, what, &episode, &moment);
            effects.alerts.push(alert);
        }
        self.count_breadth(None, &measure);
        self.count_survival(id, None, &measure);
        effects.measures.push((self.name_on(id, Some(session.date)), measure));
        if self.states[id as usize].is_tracked {
            self.close_for_groups(id, session.date, false);
        }
    }

    pub(super) fn count_breadth(&mut self, old: Option<&Measure>, new: &Measure) {
        let first = self.params.rules.at(0);
        let tally = |m: &Measure| {
            let z = m.z.filter(|_| !m.is_halted);
            let beyond = |side: f64| u32::from(z.is_some_and(|z| z * side >= first));
            let halted = u32::from(m.is_halted);
            Breadth { count: 1, halted, valid: u32::from(z.is_some()), up: beyond(1.0), down: beyond(-1.0) }
        };
        let sum = self.breadth.entry(new.session).or_default();
        let (old, new) = (old.map(tally).unwrap_or_default(), tally(new));
        // What a restart has forgotten of an old session is not there to be taken back.
        let moved = |sum: u32, new: u32, old: u32| sum.saturating_add(new).saturating_sub(old);
        sum.count = moved(sum.count, new.count, old.count);
        sum.halted = moved(sum.halted, new.halted, old.halted);
        sum.valid = moved(sum.valid, new.valid, old.valid);
        sum.up = moved(sum.up, new.up, old.up);
        sum.down = moved(sum.down, new.down, old.down);
        if self.breadth.len() > BREADTH_KEPT {
            self.breadth.pop_first();
        }
    }

    /// Tells the groups what a member's session came to.
    pub(super) fn close_for_groups(&mut self, id: u32, session: SessionDate, is_history: bool) {
        let calendar = self.params.calendar.clone();
        let state = &self.states[id as usize];
        let Some(measure) = state.cold.history.measure(calendar.as_deref(), session) else { return };
        let at_hand = state.cold.session.is_some_and(|s| s.date == session);
        let close = MemberClose {
            symbol: self.name_on(id, Some(session)),
            session,
            log_return: measure.log_return,
            z: measure.multiple(),
            market_value: state.cold.history.market_value_before(calendar.as_deref(), session),
            shares: state.cold.history.shares_before(session),
            basis: state.cold.history.close(session).map(|c| c.basis),
            breached_at: if at_hand { state.cold.breached_at } else { None },
            source: state.cold.source,
            is_history,
        };
        if self.judges_groups() {
            self.stage.close(&close);
        } else if !is_history {
            // What only is history is read by whoever judges the group, too.
            let symbol = close.symbol.clone();
            self.tell(id, &symbol, session, MemberEvent::Close(close));
        }
    }
}

impl SymbolState {
    /// The multiple of a close of the session at hand; of one in doubt, what it would be if it is a move at all.
    fn close_multiple(&self, measure: &Measure) -> Reading {
        let doubtful = Some(&self.cold.ruler).filter(|_| measure.flags.has(Flag::SuspectedSplit));
        doubtful.and_then(|ruler| ruler.z(measure.close).ok()).map_or(measure.multiple(), Ok)
    }

    /// The verdicts of the session at hand by its close.
    pub(super) fn judge_close(
        &mut self,
        rules: &EpisodeRules,
        at: UnixNanos,
        measure: &Measure,
        end: &mut impl FnMut(What, &Episode),
    ) {
        let z = self.close_multiple(measure);
        let cold = &mut self.cold;
        let mut episodes = std::mem::take(&mut cold.episodes);
        let settled = match (measure.z, z) {
            (Some(z), _) => episodes.settle(rules, at, z, &mut |verdict, e| end(verdict.into(), e)),
            (None, Ok(z)) => episodes.hold(rules, at, z, &mut |step, e| end(step.into(), e)),
            (None, Err(_)) => episodes.expire(at, &mut |verdict, e| end(verdict.into(), e)),
        };
        if measure.z.is_some_and(|z| z.abs() >= rules.at(0)) {
            cold.breached_at.get_or_insert(at);
        }
        cold.keep_judged(Judged { session: measure.session, episodes: settled, count: episodes.count });
    }
}
