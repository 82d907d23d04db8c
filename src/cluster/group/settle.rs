//! The end of a session: what its members' closes make of it, and what is kept of that.

use super::alert::Seen;
use super::look::{Look, losses_of};
use super::{Group, Moment, RETURNS_KEPT, Stay};
use crate::cluster::derived::read_derived;
use crate::cluster::legs::{DayRow, LegRow};
use crate::cluster::level::{GroupParams, Level};
use crate::cluster::member::MemberClose;
use crate::cluster::panel::{Key, PanelMember};
use crate::cluster::reading::{MemberReading, direction_of, magnitude};
use crate::cluster::surface::read_surface;
use crate::cluster::view::GroupView;
use crate::domain::{Alert, AlertKind, AlertState, Phase, SessionDate, Symbol, UnixNanos, Unknown};
use crate::market::Calendar;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Settled sessions kept for the summary.
const CLOSES_KEPT: usize = 16_384;

impl Group {
    /// Ends a session by its members' closes.
    pub(super) fn settle(
        &mut self,
        session: SessionDate,
        close: UnixNanos,
        moment: &Moment<'_>,
        alerts: &mut Vec<Alert>,
    ) {
        let closes = self.pending.remove(&session).unwrap_or_default();
        self.values.extend(closes.values().filter_map(|c| Some((c.symbol.clone(), c.market_value?))));
        let is_history = !closes.is_empty() && closes.values().all(|c| c.is_history);
        // Closes of a session that nobody saw may come when the next is on its way: what stands is that one's.
        let is_behind = self.session.is_some_and(|at_hand| at_hand > session);
        let lines: Vec<MemberReading> = self
            .followed(session)
            .into_iter()
            .map(|symbol| {
                let Some(close) = closes.get(&symbol) else {
                    // It still weighs what it weighed last.
                    let (gap, value) = (Err(Unknown::NoClose), self.values.get(&symbol).copied());
                    return MemberReading { log_return: gap, z: gap, ..MemberReading::not_yet(symbol, value) };
                };
                MemberReading::from(close)
            })
            .collect();
        let look = self.look(session, &lines, &[]);
        let seen = Seen { session, at: close, phase: Phase::Close, look: &look, lines: &lines, topic: moment.topic };
        if !is_history && !is_behind {
            self.verdicts(&seen, alerts);
        }
        self.keep(session, &look, &lines);
        self.keep_contagion(session, &look, is_history, moment.calendar);
        let surface = self.surface.clone().filter(|s| s.session == session);
        let derived = self.derived.clone().filter(|_| surface.is_some());
        let index = self.index.year_to_date(session);
        let contagion = self.contagion_view.clone().filter(|c| c.session == Some(session));
        let view = GroupView { index, surface, derived, contagion, ..self.view_of(session, &look) };
        self.year_to_date.clone_from(&view.index);
        self.closes.insert(session, view);
        if self.closes.len() > CLOSES_KEPT {
            self.closes.pop_first();
        }
        if let Ok(r) = look.reading.basket_return {
            let at = self.returns.partition_point(|(s, _)| *s < session);
            self.returns.insert(at, (session, r));
            if self.returns.len() > RETURNS_KEPT {
                self.returns.remove(0);
            }
        }
        self.settled_until = self.settled_until.max(Some(session));
        if is_behind {
            return;
        }
        (self.current, self.count) = (None, 0);
        self.waiting.clear();
        self.told.clear();
        self.last = Some(look);
        if self.session.is_none_or(|s| s <= session) {
            self.session = Some(session);
            self.now = lines.into_iter().map(|m| (m.symbol.clone(), m)).collect();
        }
    }

    fn verdicts(&mut self, seen: &Seen<'_>, alerts: &mut Vec<Alert>) {
        let mut stays = std::mem::take(&mut self.waiting);
        stays.extend(self.current.take());
        let level = seen.look.reading.level;
        if let (Some(level), true) = (level.filter(|l| *l > Level::Calm), stays.is_empty()) {
            self.count += 1;
            let direction = direction_of(&seen.look.reading, &seen.look.members);
            stays.push(Stay { number: self.count, direction, level, peak: level, revision: 0, low_since: None });
        }
        let last = stays.len().saturating_sub(1);
        for (at, mut stay) in stays.into_iter().enumerate() {
            let (kind, state) = match level {
                None => (AlertKind::Close, AlertState::Expired),
                Some(level) if level > Level::Calm && at == last => {
                    (stay.level, stay.peak) = (level, stay.peak.max(level));
                    (AlertKind::Confirm, AlertState::Confirmed)
                }
                Some(_) => (AlertKind::Fade, AlertState::Faded),
            };
            alerts.push(self.alert(kind, state, &stay, seen));
        }
    }

    /// Ends the next session that history closed; false when there is none.
    pub(in crate::cluster) fn settle_history(&mut self, calendar: Option<&Calendar>) -> bool {
        let topic = Arc::from("");
        let moment = Moment { watermark: UnixNanos::MAX, is_end: true, calendar, topic: &topic };
        // The index alone ends no session: the members' closes may still come.
        let is_told = |(session, closes): &(&SessionDate, &BTreeMap<Symbol, MemberClose>)| {
            closes.keys().any(|symbol| self.is_followed_inside(symbol.as_str(), **session))
        };
        let Some(last) = self.pending.iter().filter(is_told).map(|(session, _)| *session).next_back() else {
            return false;
        };
        let Some((&session, closes)) = self.pending.first_key_value().filter(|(session, _)| **session <= last) else {
            return false;
        };
        let all_history = closes.values().all(|c| c.is_history);
        let close = calendar.and_then(|c| c.session(session)).map(|s| s.close);
        let (true, Some(close)) = (all_history, close) else { return false };
        self.settle(session, close, &moment, &mut Vec::new());
        true
    }

    /// Keeps what later sessions are compared with.
    fn keep(&mut self, session: SessionDate, look: &Look, lines: &[MemberReading]) {
        if self.params.composite().is_some() || self.params.benchmark.is_some() {
            self.keep_returns(session, look, lines);
        }
        if self.params.composite().is_some() {
            let values = look.reading.values();
            let values = std::array::from_fn(|leg| values[leg].ok().map(|v| magnitude(leg, v)));
            self.legs.keep(LegRow { session, values });
        }
        self.breadths.keep(DayRow { session, values: [look.own.breadth.ok()] });
        if self.params.index.is_some() {
            let lines = look.own.lines.iter().filter_map(|l| Some((l.symbol.clone(), l.z.ok()?)));
            let beyond: Vec<(Symbol, f64)> = lines.filter(|(_, z)| z.abs() >= self.params.breach_at).collect();
            self.index.keep(&self.params.name, session, &look.own.tally, &beyond);
        }
        losses_of(session, look).for_each(|loss| self.losses.keep(loss));
    }

    /// Keeps the returns of members, of those who may be members tomorrow, and of the index.
    fn keep_returns(&mut self, session: SessionDate, look: &Look, lines: &[MemberReading]) {
        let is_own = |symbol: &Symbol| look.own.lines.iter().any(|l| l.symbol == *symbol);
        let benchmark = self.params.benchmark.clone();
        let is_kept = |l: &&MemberReading| {
            !is_own(&l.symbol)
                && (self.roster.holds(l.symbol.as_str(), session) || benchmark.as_ref() == Some(&l.symbol))
        };
        let others = lines.iter().filter(is_kept).map(|l| (Key::from(l.symbol.as_str()), l.log_return));
        let members = look.members.iter().map(|m| (look.key(&m.symbol), m.log_return));
        let returns = others.chain(members).filter_map(|(key, r)| Some((key, r.ok()?))).collect();
        let member = |m: &MemberReading| PanelMember { symbol: m.symbol.clone(), value: m.market_value };
        let members = look.members.iter().map(|m| (look.key(&m.symbol), member(m))).collect();
        self.panel.keep(session, returns, members);
        self.keep_surface();
    }

    fn keep_surface(&mut self) {
        self.read_surface();
        if let Some(surface) = &self.surface {
            self.surfaces.keep(surface.row());
        }
    }

    /// Takes the close of the index after its session was settled: nobody waits for it, since it decides nothing. One of an
    /// earlier session than the last is too late: event time has passed the close of the next.
    pub(super) fn take_late_benchmark(&mut self, close: &MemberClose) {
        let Some(benchmark) = self.params.benchmark.clone().filter(|b| *b == close.symbol) else { return };
        let is_last = self.panel.newest() == Some(close.session);
        let (true, Ok(log_return)) =
            (is_last && !self.is_followed_inside(benchmark.as_str(), close.session), close.log_return)
        else {
            return;
        };
        if !self.panel.add(close.session, &Key::from(benchmark.as_str()), log_return) {
            return;
        }
        self.keep_surface();
        if let Some(view) = self.closes.get_mut(&close.session) {
            view.surface.clone_from(&self.surface);
            view.derived.clone_from(&self.derived);
            view.benchmark = Some((benchmark, close.z));
        }
    }

    /// Reads the surface and what follows from the returns as of the newest session kept.
    pub(super) fn read_surface(&mut self) {
        let Some(benchmark) = &self.params.benchmark else { return };
        let read = read_surface(&self.panel, &mut self.surfaces, benchmark, self.params.coverage_min);
        self.surface = read.map(Arc::new);
        let GroupParams { benchmark_share, coverage_min, .. } = self.params;
        self.derived = read_derived(&self.panel, benchmark, (benchmark_share, coverage_min)).map(Arc::new);
    }
}
