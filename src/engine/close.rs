//! Closes, splits, and what they settle or correct.

use super::alerts::{Moment, What};
use super::print::{Entry, EntryKind};
use super::state::NO_PARTITION;
use super::{Breadth, Channel, Disposition, Effects, Engine, Origin};
use crate::cluster::MemberClose;
use crate::domain::{Bar, CloseBasis, Price, SessionDate, Symbol, UnixNanos};
use crate::market::{Calendar, Close, History, Measure, OpenBasis, Session};
use crate::rules::Episodes;

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
        let id = match self.admit(symbol.as_str()) {
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
            let state = &mut self.states[id as usize];
            state.partition = origin.partition;
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
        if ts >= state.last_ts && !(state.cold.closed && state.cold.session.is_some_and(|s| s.date >= date)) {
            // What still waits is a price before the close.
            self.release(id, UnixNanos::MAX, effects);
            let path =
                if bar.close >= bar.open { [bar.low, bar.high, bar.close] } else { [bar.high, bar.low, bar.close] };
            self.bar_path(id, origin, feed, ts, path, bar.volume.unwrap_or(0.0), effects);
        }
        let symbol = self.states[id as usize].cold.symbol.clone();
        self.close_record(Channel::Market, Some(origin), &symbol, (date, bar.close, CloseBasis::Last, None), effects)
    }

    /// Takes a split.
    pub(super) fn split_record(
        &mut self,
        symbol: &Symbol,
        ex_date: SessionDate,
        ratio: f64,
        effects: &mut Effects,
    ) -> Disposition {
        let id = match self.admit(symbol.as_str()) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let at = self.states[id as usize].newest_ts();
        self.revise(id, ex_date, at, effects, |history, calendar| history.set_split(calendar, ex_date, ratio))
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
        self.release(id, UnixNanos::MAX, effects);
        self.flush_bucket(id);
        let calendar = self.params.calendar.clone();
        let state = &mut self.states[id as usize];
        let last = last.map(Price::get);
        state.keep(&self.params, &Entry::plain(EntryKind::Close, at, last.unwrap_or(0.0), 0));
        if let Some(price) = last {
            state.stand_at_close(at, price);
        }
        state.mark_closed();
        let Some(measure) = state.cold.history.measure(calendar.as_deref(), session.date) else { return };
        state.set_ruler(&self.params);
        let mut ended = Vec::new();
        let state = &mut self.states[id as usize];
        let mut episodes = std::mem::take(&mut state.cold.episodes);
        let settled = match measure.z {
            Some(z) => {
                episodes.settle(&self.params.rules, at, z, &mut |verdict, episode| ended.push((verdict, *episode)))
            }
            None => episodes.expire(at, &mut |verdict, episode| ended.push((verdict, *episode))),
        };
        if measure.z.is_some_and(|z| z.abs() >= self.params.rules.at(0)) {
            state.cold.breached_at.get_or_insert(at);
        }
        state.cold.settled = Some((session.date, settled, episodes.count));
        state.close_forecasts(session.date);
        for (verdict, episode) in ended {
            let moment = Moment { ts: at, price: Ok(measure.close), z: measure.multiple(), source };
            let alert = self.symbol_alert(id, verdict.into(), &episode, &moment);
            effects.alerts.push(alert);
        }
        self.count_breadth(None, &measure);
        self.count_survival(id, None, &measure);
        let state = &mut self.states[id as usize];
        state.cold.history.set_measured(session.date);
        effects.measures.push((state.cold.symbol.clone(), measure));
        if state.is_tracked {
            self.close_for_groups(id, session.date, false);
        }
    }

    /// Changes the history behind the clock, and measures and judges again what that moves.
    fn revise(
        &mut self,
        id: u32,
        from: SessionDate,
        at: UnixNanos,
        effects: &mut Effects,
        change: impl FnOnce(&mut History, Option<&Calendar>) -> bool,
    ) -> Disposition {
        let calendar = self.params.calendar.clone();
        let calendar = calendar.as_deref();
        let state = &mut self.states[id as usize];
        let history = &mut state.cold.history;
        let settled_until = match (state.cold.session, state.cold.closed) {
            (Some(session), true) => Some(session.date),
            (Some(session), false) => calendar.and_then(|c| c.previous(session.date)).map(|s| s.date),
            (None, _) => None,
        };
        // A stand-in for a missing close is none, and history that was only loaded has no measure to move.
        let is_close = |c: &Close| c.basis != CloseBasis::Inferred;
        let first_close = history.close(from).is_none_or(|c| !is_close(c));
        let measured = |history: &History| -> Vec<Measure> {
            let past = history.closes().iter().filter(|c| c.session >= from && Some(c.session) <= settled_until);
            let ours = past.filter(|c| c.is_measured || (first_close && c.session == from && is_close(c)));
            // Once the start of its window has been given up, a session stays as it was measured.
            ours.filter(|c| history.is_whole(c.session)).filter_map(|c| history.measure(calendar, c.session)).collect()
        };
        let before = measured(history);
        if !change(history, calendar) {
            return Disposition::DUPLICATE;
        }
        let after = measured(history);
        state.set_ruler(&self.params);
        for measure in after {
            let old = before.iter().find(|m| m.session == measure.session);
            if old == Some(&measure) {
                continue;
            }
            self.count_breadth(old, &measure);
            self.count_survival(id, old, &measure);
            let state = &mut self.states[id as usize];
            state.cold.history.set_measured(measure.session);
            effects.measures.push((state.cold.symbol.clone(), measure.clone()));
            if state.is_tracked {
                self.close_for_groups(id, measure.session, false);
            }
            self.rejudge(id, at, &measure, effects);
        }
        Disposition::APPLIED
    }

    /// Judges the last settled session again.
    fn rejudge(&mut self, id: u32, at: UnixNanos, measure: &Measure, effects: &mut Effects) {
        let state = &mut self.states[id as usize];
        // Of another session it stays where it is: that session may be next.
        let Some((session, mut settled, count)) = state.cold.settled.take_if(|(s, ..)| *s == measure.session) else {
            return;
        };
        let Some(z) = measure.z else {
            state.cold.settled = Some((session, settled, count));
            return;
        };
        let mut changed = Vec::new();
        Episodes::resettle(&self.params.rules, &mut settled, at, z, &mut |episode| {
            changed.push((What::Correct, *episode));
        });
        let mut count = count;
        let breach_unseen = z.abs() >= self.params.rules.at(0)
            && !settled.iter().any(|e| e.state == crate::domain::AlertState::Confirmed);
        if breach_unseen {
            // The corrected close is the first to stand in breach.
            let mut late = Episodes { count, ..Episodes::default() };
            settled.extend(late.settle(&self.params.rules, at, z, &mut |verdict, episode| {
                changed.push((verdict.into(), *episode));
            }));
            count = late.count;
        }
        state.cold.settled = Some((session, settled, count));
        for (what, episode) in changed {
            let moment = Moment { ts: at, price: Ok(measure.close), z: Ok(z), source: None };
            let alert = self.settled_alert(id, what, &episode, &moment, measure);
            effects.alerts.push(alert);
        }
    }

    fn count_breadth(&mut self, old: Option<&Measure>, new: &Measure) {
        let first = self.params.rules.at(0);
        let tally = |m: &Measure| {
            let beyond = |side: f64| u32::from(m.z.is_some_and(|z| z * side >= first));
            Breadth { count: 1, valid: u32::from(m.z.is_some()), up: beyond(1.0), down: beyond(-1.0) }
        };
        let sum = self.breadth.entry(new.session).or_default();
        let (old, new) = (old.map(tally).unwrap_or_default(), tally(new));
        sum.count = sum.count + new.count - old.count;
        sum.valid = sum.valid + new.valid - old.valid;
        sum.up = sum.up + new.up - old.up;
        sum.down = sum.down + new.down - old.down;
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
        self.stage.close(&MemberClose {
            symbol: state.cold.symbol.clone(),
            session,
            log_return: measure.log_return,
            z: measure.multiple(),
            market_value: state.cold.history.market_value_before(calendar.as_deref(), session),
            basis: state.cold.history.close(session).map(|c| c.basis),
            breached_at: if at_hand { state.cold.breached_at } else { None },
            source: state.cold.source,
            is_history,
        });
    }
}
