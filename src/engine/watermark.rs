//! Event time across symbols and partitions: what groups, and closes from the reference topic, wait for.

use super::{Effects, Engine};
use crate::cluster::MemberUpdate;
use crate::domain::{CloseBasis, SessionDate, UnixNanos, Unknown};

/// How far event time is known to have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watermark {
    /// By the slowest of the input partitions named: the live rule. A partition never heard from holds.
    Partitions,
    /// By the slowest member of any group: for input whose symbols may stand in any order.
    Members,
    /// Everything has come.
    End,
}

impl Engine {
    /// Lets groups, and closes that wait, follow event time. `assigned` are the partitions being read.
    pub fn advance(&mut self, by: Watermark, assigned: &[i32], effects: &mut Effects) {
        self.catch_up(effects);
        self.settle_awaited(by, effects);
        if self.stage.is_empty() {
            return;
        }
        let watermark = match by {
            Watermark::End => UnixNanos::MAX,
            Watermark::Partitions => self.partition_watermark(assigned),
            // A member that has not been seen yet may still stand anywhere in the input.
            Watermark::Members if self.tracked.len() < self.stage.followed_len() => UnixNanos::MIN,
            Watermark::Members => {
                let slowest = self.tracked.iter().map(|id| self.states[*id as usize].last_ts).min();
                slowest.unwrap_or(UnixNanos::MIN).plus(-self.params.lateness)
            }
        };
        for at in 0..self.tracked.len() {
            let id = self.tracked[at];
            if self.states[id as usize].bucket_end <= watermark {
                self.flush_bucket(id);
            }
        }
        let calendar = self.params.calendar.clone();
        let is_end = by == Watermark::End;
        self.stage.advance(watermark, is_end, calendar.as_deref(), &self.params.topic, &mut effects.alerts);
    }

    /// Finalises, without a word, every session that history alone has closed. History comes in any order, and
    /// what a close is worth hangs on the close and the shares before it: groups are told again, now that all is
    /// known.
    pub fn history_loaded(&mut self) {
        for at in 0..self.tracked.len() {
            let id = self.tracked[at];
            let cold = &self.states[id as usize].cold;
            let reached = cold.session.map_or(SessionDate::MIN, |s| s.date);
            let ahead = cold.history.closes().iter().filter(|c| c.session > reached && c.basis != CloseBasis::Inferred);
            let ahead = ahead.map(|c| c.session).filter(|s| cold.history.is_whole(*s));
            for session in ahead.collect::<Vec<_>>() {
                self.close_for_groups(id, session, true);
            }
        }
        let calendar = self.params.calendar.clone();
        self.stage.settle_history(calendar.as_deref());
    }

    /// The slowest assigned partition's event time less the lateness bound.
    pub fn partition_watermark(&self, assigned: &[i32]) -> UnixNanos {
        let times = assigned.iter().map(|p| self.partitions.get(p).map_or(UnixNanos::MIN, |c| c.event_time));
        times.min().unwrap_or(UnixNanos::MIN).plus(-self.params.lateness)
    }

    /// The newest event time of any partition.
    pub fn event_time(&self) -> Option<UnixNanos> {
        self.partitions.values().map(|c| c.event_time).max().filter(|t| *t > UnixNanos::MIN)
    }

    /// Partitions of `assigned` that have sent nothing since `before`, by wall time.
    pub fn silent_partitions(&self, assigned: &[i32], before: UnixNanos) -> Vec<i32> {
        let is_silent = |p: &&i32| self.partitions.get(p).is_none_or(|c| c.heard_at < before);
        assigned.iter().filter(is_silent).copied().collect()
    }

    fn settle_awaited(&mut self, by: Watermark, effects: &mut Effects) {
        if self.awaiting_close.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.awaiting_close) {
            let state = &self.states[id as usize];
            let clock = self.partitions.get(&state.partition).map_or(UnixNanos::MIN, |c| c.event_time);
            let newest = state.cold.history.last_session();
            let session = newest.and_then(|s| self.params.calendar.as_deref()?.session(s).copied());
            let Some(session) = session else { continue };
            if !state.cold.awaits_close
                || state.cold.session.is_some_and(|s| s.closed_by(session.date, state.cold.closed))
            {
                self.states[id as usize].cold.awaits_close = false;
                continue;
            }
            if by != Watermark::End && clock < session.close {
                self.awaiting_close.push(id);
                continue;
            }
            self.enter_session(id, session, effects);
            self.settle(id, session, session.close, None, effects);
        }
    }

    /// A price has left its group interval: hand the interval's last one on, and open the next.
    #[cold]
    pub(super) fn close_bucket(&mut self, id: u32, ts: UnixNanos) {
        if self.states[id as usize].bucket_end > UnixNanos::MIN {
            self.push_bucket(id);
        }
        let interval = self.params.group_interval;
        self.states[id as usize].bucket_end = UnixNanos((ts.0.div_euclid(interval) + 1) * interval);
    }

    /// Hands on what stands in the open group interval before the session, or the price, becomes another:
    /// whether the watermark got there in between must not matter.
    pub(super) fn flush_bucket(&mut self, id: u32) {
        let state = &self.states[id as usize];
        if state.is_tracked && state.bucket_end > UnixNanos::MIN {
            self.push_bucket(id);
            self.states[id as usize].bucket_end = UnixNanos::MIN;
        }
    }

    fn push_bucket(&mut self, id: u32) {
        let calendar = self.params.calendar.as_deref();
        let state = &self.states[id as usize];
        let Some(session) = state.cold.session else { return };
        // Groups decide when their members do: in the pre-market and the regular session.
        if state.cold.closed || state.bucket_end <= session.pre || state.bucket_end > session.close {
            return;
        }
        let session = session.date;
        let ruler = &state.cold.ruler;
        // What may be no move at all moves no group.
        let known = if ruler.suspicion.is_some() { Err(Unknown::SuspectedSplit) } else { Ok(()) };
        let log_return = known.and(ruler.reference).map(|r| (state.last_price / r.price).ln());
        self.stage.update(&MemberUpdate {
            symbol: state.cold.symbol.clone(),
            at: state.bucket_end,
            session,
            log_return,
            z: known.and_then(|()| ruler.z(state.last_price)),
            market_value: state.cold.history.market_value_before(calendar, session),
            breached_at: state.cold.breached_at,
            source: state.cold.source,
        });
    }
}

trait ClosedBy {
    fn closed_by(&self, date: SessionDate, closed: bool) -> bool;
}

impl ClosedBy for crate::market::Session {
    /// Whether a close of `date` comes too late for a symbol that stands in this session.
    fn closed_by(&self, date: SessionDate, closed: bool) -> bool {
        self.date > date || (self.date == date && closed)
    }
}
