//! From one session, or phase, to the next.

use super::alerts::Moment;
use super::print::{Entry, EntryKind};
use super::revise::Judged;
use super::state::{Care, NO_RANGE};
use super::{Effects, Engine};
use crate::domain::{CloseBasis, Phase, Price, UnixNanos};
use crate::market::eligibility::ExtendedGate;
use crate::market::{Located, Session};
use crate::rules::Episodes;

impl Engine {
    /// Moves a symbol to the session and phase of `ts`, which lies at or past its deadline.
    #[cold]
    pub(super) fn enter(&mut self, id: u32, ts: UnixNanos, effects: &mut Effects) {
        let Some(calendar) = self.params.calendar.clone() else { return };
        match calendar.locate(ts) {
            Located::Known(at) => {
                self.enter_session(id, at.session, effects);
                self.states[id as usize].enter_phase(&at, &self.params);
            }
            Located::Unknown { until } => {
                self.finish_session(id, effects);
                let state = &mut self.states[id as usize];
                state.cold.session = None;
                state.journal = None;
                state.cold.phase = Phase::Overnight;
                state.begin_phase(Phase::Overnight);
                state.deadline = until;
                state.set_ruler(&self.params);
            }
        }
    }

    /// A record begins its session and phase, whatever becomes of it. That is kept, since it may leave no entry of
    /// its own.
    pub(super) fn enter_if_due(&mut self, id: u32, ts: UnixNanos, effects: &mut Effects) {
        if ts >= self.states[id as usize].deadline {
            self.enter(id, ts, effects);
            self.states[id as usize].keep(&self.params, &Entry::plain(EntryKind::Volume, ts, 0.0, 0));
        }
    }

    /// Makes `session` the one at hand; what the one before left open is settled first.
    pub(super) fn enter_session(&mut self, id: u32, session: Session, effects: &mut Effects) {
        if self.states[id as usize].cold.session.is_some_and(|s| s.date >= session.date) {
            return;
        }
        self.settle_passed_over(id, session, effects);
        self.finish_session(id, effects);
        self.take_name(id, session.date);
        let previous = self.params.calendar.as_deref().and_then(|c| c.previous(session.date)).map(|s| s.date);
        let state = &mut self.states[id as usize];
        state.finish_returns();
        let cold = &mut state.cold;
        let before = cold.session.map(|s| s.date);
        cold.day.returns.turn(before, previous);
        cold.session = Some(session);
        cold.phase = Phase::Overnight;
        cold.closed = false;
        cold.live = false;
        cold.episodes = Episodes::default();
        cold.regular_last = None;
        cold.breached_at = None;
        cold.forecasts.open.clear();
        cold.flags.clear();
        cold.limits = None;
        cold.gate = ExtendedGate::default();
        if let Some(before) = before {
            // Yesterday's price in today's shares, so that a split is no return.
            state.last_price /= cold.history.split_ratio(before, session.date);
        }
        state.care.set(Care::LIMITS, false);
        state.care.set(Care::GATED, false);
        state.care.set(Care::FIRST, true);
        state.care.set(Care::REOPENING, false);
        state.range = NO_RANGE;
        state.cold.decided = None;
        state.cold.undecided = NO_RANGE;
        state.volume = 0.0;
        state.begin_phase(Phase::Overnight);
        state.deadline = UnixNanos::MIN;
        state.set_ruler(&self.params);
        state.begin_journal(&self.params);
    }

    /// Settles a session that has a close and no market record, before `next` is entered: the close came on
    /// the reference topic and still waits for the partition's clock.
    fn settle_passed_over(&mut self, id: u32, next: Session, effects: &mut Effects) {
        let cold = &mut self.states[id as usize].cold;
        let awaited = cold.history.last_session().filter(|d| cold.awaits_close && *d < next.date);
        let Some(awaited) = awaited else { return };
        cold.awaits_close = false;
        // The close of the session at hand is found when that one is finished.
        if cold.session.is_some_and(|s| s.date >= awaited) {
            return;
        }
        let session = self.params.calendar.as_deref().and_then(|c| c.session(awaited)).copied();
        if let Some(session) = session {
            self.enter_session(id, session, effects);
            self.settle(id, session, session.close, None, None, effects);
        }
    }

    /// Ends the session at hand: by its close if one is known, else its episodes expire and the last
    /// regular price stands in as a provisional reference.
    fn finish_session(&mut self, id: u32, effects: &mut Effects) {
        // What still waits belongs to the session that ends.
        self.release_all(id, None, effects);
        self.flush_bucket(id);
        let state = &self.states[id as usize];
        let Some(session) = state.cold.session else { return };
        if state.cold.closed || !state.cold.live {
            return;
        }
        if state.cold.history.close(session.date).is_some() {
            self.settle(id, session, session.close, None, None, effects);
            return;
        }
        let calendar = self.params.calendar.clone();
        let state = &mut self.states[id as usize];
        let last = state.regular_price().or(state.cold.regular_last);
        let mut ended = Vec::new();
        let mut episodes = std::mem::take(&mut state.cold.episodes);
        let settled = episodes.expire(session.end, &mut |verdict, episode| ended.push((verdict, *episode)));
        state.close_forecasts(session.date);
        state.cold.keep_judged(Judged { session: session.date, episodes: settled, count: episodes.count });
        state.cold.closed = true;
        let price = state.last_price;
        for (verdict, episode) in ended {
            // The ruler still is that session's; its last price is the best there is.
            let z = self.states[id as usize].cold.ruler.z(price);
            let moment = Moment { ts: session.end, price: Ok(price), z, is_close: false, source: None };
            let alert = self.symbol_alert(id, verdict.into(), &episode, &moment);
            effects.alerts.push(alert);
        }
        if let Some(price) = last.and_then(|p| Price::new(p).ok()) {
            let history = &mut self.states[id as usize].cold.history;
            history.set_close(calendar.as_deref(), session.date, price, CloseBasis::Inferred);
        }
    }
}
