//! Event time across symbols and partitions: what groups, and closes from the reference topic, wait for.

use super::state::Ruler;
use super::{Effects, Engine, PartitionClock};
use crate::cluster::{MemberAmend, MemberEvent, MemberUpdate};
use crate::domain::{CloseBasis, NANOS_PER_SEC, Observation, Reading, SessionDate, UnixNanos, Unknown};
use std::collections::BTreeMap;
use std::sync::Arc;

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
        self.settle_waiting(by, effects);
        if !self.judges_groups() {
            return self.hand_over(effects);
        }
        if self.stage.is_empty() || self.holds_groups(assigned) {
            return;
        }
        let watermark = match by {
            Watermark::End => UnixNanos::MAX,
            Watermark::Partitions => self.partition_watermark(assigned),
            // A member that has not been seen yet may still stand anywhere in the input.
            Watermark::Members => {
                let states = self.tracked.iter().map(|id| &self.states[*id as usize]);
                let seen: Vec<UnixNanos> =
                    states.filter(|s| self.stage.is_member(&s.cold.symbol)).map(|s| s.last_ts).collect();
                let is_whole = seen.len() >= self.stage.members_len();
                let slowest = seen.into_iter().min().filter(|_| is_whole);
                slowest.map_or(UnixNanos::MIN, |at| at.plus(-self.params.lateness))
            }
        };
        for at in 0..self.tracked.len() {
            let id = self.tracked[at];
            if self.states[id as usize].cold.bucket_end <= watermark {
                self.flush_bucket(id);
            }
        }
        let calendar = self.params.calendar.clone();
        let is_end = by == Watermark::End;
        let before = effects.alerts.len();
        self.stage.advance(watermark, is_end, calendar.as_deref(), &self.params.topic, &mut effects.alerts);
        if !self.replaying.is_empty() {
            effects.alerts.truncate(before);
        }
    }

    /// Decides what waits for a partition's clock, or for the next record.
    pub(super) fn settle_waiting(&mut self, by: Watermark, effects: &mut Effects) {
        self.release_by_watermark(by, effects);
        self.catch_up(effects);
        self.settle_awaited(by, effects);
    }

    /// Finalises, without a word, every session that history alone has closed. History comes in any order, and
    /// what a close is worth hangs on the close and the shares before it: groups are told again, now that all is
    /// known.
    pub fn history_loaded(&mut self) {
        self.tell_history();
        while self.settle_some() {}
    }

    /// The first part of [`Engine::history_loaded`]; [`Engine::settle_some`] does the rest in pieces.
    pub fn tell_history(&mut self) {
        if !self.judges_groups() {
            return;
        }
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
    }

    /// Ends one more session of one group that history closed; false when there is none left.
    pub fn settle_some(&mut self) -> bool {
        let calendar = self.params.calendar.clone();
        self.judges_groups() && self.stage.settle_history(calendar.as_deref())
    }

    /// Prints whose symbol has been silent since are decided by their partition's watermark: no print of that
    /// time can come any more. `replay` by members leaves it to the symbol's own records and the end.
    fn release_by_watermark(&mut self, by: Watermark, effects: &mut Effects) {
        if by == Watermark::Members {
            return;
        }
        for id in self.quarantined.clone() {
            let clock = self.partitions.get(&self.states[id as usize].partition);
            let reached = match by {
                Watermark::End => UnixNanos::MAX,
                _ => clock.map_or(UnixNanos::MIN, |c| self.holding_time(c).plus(-self.params.lateness)),
            };
            self.unless_replayed(id, effects, |engine, effects| engine.release(id, reached, effects));
        }
    }

    /// A feed that holds the watermark has been heard.
    pub(super) fn hear_feed(&mut self, partition: i32, observation: &Observation<'_>, at: UnixNanos) {
        let name = match observation {
            Observation::Tick(tick) => tick.feed.as_deref(),
            Observation::Bar(bar) => bar.feed.as_deref(),
            Observation::Heartbeat(beat) => beat.feed.as_deref(),
            _ => None,
        };
        let Some(name) = name.filter(|n| self.params.feeds.get(*n).is_some_and(|f| f.idle_after.is_some())) else {
            return;
        };
        if let (Some(feed), Some(clock)) = (self.feed(name), self.partitions.get_mut(&partition)) {
            let newest = clock.feeds.entry(feed).or_insert(at);
            *newest = (*newest).max(at);
        }
    }

    /// How far a partition is known to have come: its newest event time, or that of the slowest feed that
    /// holds the watermark and is not idle. Idle means behind the partition by more than its bound, in event
    /// time: no wall clock decides.
    pub(super) fn holding_time(&self, clock: &PartitionClock) -> UnixNanos {
        let held = clock.feeds.iter().filter_map(|(feed, at)| {
            let idle_after = self.params.feeds.get(&*self.feeds[usize::from(*feed)])?.idle_after?;
            (clock.event_time.since(*at) <= idle_after).then_some(*at)
        });
        held.min().unwrap_or(clock.event_time)
    }

    /// Newest event time of each feed that holds a watermark, over all partitions.
    pub fn feed_times(&self) -> BTreeMap<Arc<str>, UnixNanos> {
        let mut times = BTreeMap::new();
        for (feed, at) in self.partitions.values().flat_map(|c| &c.feeds) {
            let newest = times.entry(self.feeds[usize::from(*feed)].clone()).or_insert(*at);
            *newest = (*newest).max(*at);
        }
        times
    }

    /// The slowest assigned partition's event time less the lateness bound.
    pub fn partition_watermark(&self, assigned: &[i32]) -> UnixNanos {
        let times = assigned.iter().map(|p| self.partitions.get(p).map_or(UnixNanos::MIN, |c| self.holding_time(c)));
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
            self.unless_replayed(id, effects, |engine, effects| {
                engine.enter_session(id, session, effects);
                engine.settle(id, session, session.close, None, None, effects);
            });
        }
    }

    /// A price has left its group interval: hand the interval's last one on, and open the next.
    #[cold]
    pub(super) fn close_bucket(&mut self, id: u32, ts: UnixNanos) {
        if self.states[id as usize].cold.bucket_end > UnixNanos::MIN {
            self.push_bucket(id);
        }
        let interval = self.params.group_interval;
        self.states[id as usize].cold.bucket_end = UnixNanos((ts.0.div_euclid(interval) + 1) * interval);
    }

    /// A symbol's own record says that its open group interval is over: what it changes counts from the next one on,
    /// however far the watermark has come.
    pub(super) fn close_bucket_by(&mut self, id: u32, ts: UnixNanos) {
        let state = &self.states[id as usize];
        if state.is_tracked && ts >= state.cold.bucket_end {
            self.close_bucket(id, ts);
        }
    }

    /// Hands on what stands in the open group interval before the session, or the price, becomes another:
    /// whether the watermark got there in between must not matter.
    pub(super) fn flush_bucket(&mut self, id: u32) {
        let state = &self.states[id as usize];
        if state.is_tracked && state.cold.bucket_end > UnixNanos::MIN {
            self.push_bucket(id);
            self.states[id as usize].cold.bucket_end = UnixNanos::MIN;
        }
    }

    fn push_bucket(&mut self, id: u32) {
        let calendar = self.params.calendar.as_deref();
        let state = &self.states[id as usize];
        let Some(session) = state.cold.session else { return };
        // The one price there was may have been cancelled.
        if state.last_ts < session.begin {
            return;
        }
        // Groups decide when their members do: in the pre-market and the regular session.
        if state.cold.closed || state.cold.bucket_end <= session.pre || state.cold.bucket_end > session.close {
            return;
        }
        let session = session.date;
        let (log_return, z) = readings(&state.cold.ruler, state.last_price);
        // While trading stands still, the price that stood before it is the right one.
        let is_halted = state.cold.halt.is_some();
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and fractions do not matter")]
        let stale_after = (state.stale_after(&self.params) * NANOS_PER_SEC as f64) as i64;
        let update = MemberUpdate {
            symbol: state.cold.symbol.clone(),
            at: state.cold.bucket_end,
            session,
            log_return,
            z,
            market_value: state.cold.history.market_value_before(calendar, session),
            shares: state.cold.history.shares_before(session),
            breached_at: state.cold.breached_at,
            source: state.cold.source,
            fresh_until: if is_halted { UnixNanos::MAX } else { state.cold.bucket_end.plus(stale_after) },
        };
        if self.judges_groups() {
            self.stage.update(&update);
        } else {
            let symbol = update.symbol.clone();
            self.tell(id, &symbol, session, MemberEvent::Price(update));
        }
    }

    /// Tells the groups that a member's prices from `from` on were not as they had been told; known at `at`.
    pub(super) fn amend_groups(&mut self, id: u32, from: UnixNanos, at: UnixNanos) {
        let state = &self.states[id as usize];
        let (true, Some(session), Some(journal)) = (state.is_tracked, state.cold.session, &state.journal) else {
            return;
        };
        let amended = |end: UnixNanos| {
            let price = journal.price_before(end, session.begin);
            price.map_or((Err(Unknown::NotYet), Err(Unknown::NotYet)), |price| readings(&state.cold.ruler, price))
        };
        let interval = self.params.group_interval;
        // No member's price counts after its session, however late the amendment comes.
        let first = (from.max(session.begin).0.div_euclid(interval) + 1) * interval;
        let last = at.min(session.end);
        let mut ends: Vec<(UnixNanos, Reading, Reading)> = Vec::new();
        for end in (0..).map(|n| UnixNanos(first + n * interval)).take_while(|end| *end <= last) {
            let (log_return, z) = amended(end);
            if ends.last().is_none_or(|(_, r, m)| (*r, *m) != (log_return, z)) {
                ends.push((end, log_return, z));
            }
        }
        let amend = MemberAmend {
            symbol: state.cold.symbol.clone(),
            session: session.date,
            from,
            at,
            unknown_until: at.plus(-self.params.lateness),
            breached_at: state.cold.breached_at,
            readings: ends,
        };
        if self.judges_groups() {
            self.stage.amend(&amend);
        } else {
            let symbol = amend.symbol.clone();
            self.tell(id, &symbol, session.date, MemberEvent::Amend(amend));
        }
    }
}

/// Log return and multiple of a price.
fn readings(ruler: &Ruler, price: f64) -> (Reading, Reading) {
    // What may be no move at all moves no group.
    if ruler.suspicion.is_some() {
        return (Err(Unknown::SuspectedSplit), Err(Unknown::SuspectedSplit));
    }
    (ruler.reference.map(|r| (price / r.price).ln()), ruler.z(price))
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
