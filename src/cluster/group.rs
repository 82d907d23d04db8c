//! One group: its members, its basket's history, and the episode it is in.

use super::company::{self, Members};
use super::level::{GroupParams, Level, Membership};
use super::member::{MemberAmend, MemberClose, MemberUpdate};
use super::reading::{self, GroupView, MemberReading, Reading, direction_of};
use crate::domain::{self, Alert, AlertKind, AlertState, Direction, Phase, SessionDate, Symbol, UnixNanos, Unknown};
use crate::estimators::{WINDOW, sample_sigma};
use crate::market::{Calendar, Located};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

mod alert;
mod amend;
mod image;

use alert::Seen;
use amend::Told;
pub use image::GroupImage;

/// Basket returns kept: the window, and room for sessions that are not known.
const RETURNS_KEPT: usize = 64;
/// Times one symbol may join and leave.
const CHANGES_MAX: usize = 256;
/// Settled sessions kept for the summary.
const CLOSES_KEPT: usize = 16_384;
/// Sessions that may wait for their closes.
const SESSIONS_MAX: usize = 16_384;
/// Prices that may wait for the watermark; beyond, the oldest are taken without a verdict.
const SCHEDULED_MAX: usize = 4_000_000;

/// What `advance` is told.
pub(super) struct Moment<'a> {
    pub(super) watermark: UnixNanos,
    pub(super) is_end: bool,
    pub(super) calendar: Option<&'a Calendar>,
    pub(super) topic: &'a Arc<str>,
}

/// One stay above calm.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Stay {
    number: u32,
    direction: Direction,
    level: Level,
    peak: Level,
    revision: u32,
    low_since: Option<UnixNanos>,
}

/// A group and its state.
pub struct Group {
    pub(super) params: GroupParams,
    config_hash: Arc<str>,
    memberships: BTreeMap<Symbol, Vec<Membership>>,
    session: Option<SessionDate>,
    /// Members of the session at hand, as of the last moment judged.
    now: BTreeMap<Symbol, MemberReading>,
    /// Last known market value of each member.
    values: BTreeMap<Symbol, f64>,
    scheduled: BTreeMap<UnixNanos, Vec<MemberUpdate>>,
    scheduled_len: usize,
    /// Corrections, by the event time from which on they are known.
    amends: BTreeMap<UnixNanos, Vec<MemberAmend>>,
    /// Closes of sessions that are not over yet.
    pending: BTreeMap<SessionDate, BTreeMap<Symbol, MemberClose>>,
    settled_until: Option<SessionDate>,
    /// Known basket returns by session, oldest first.
    returns: Vec<(SessionDate, f64)>,
    current: Option<Stay>,
    waiting: Vec<Stay>,
    count: u32,
    sequence: u64,
    closes: BTreeMap<SessionDate, GroupView>,
    last: Option<Reading>,
    /// The last moment judged.
    judged_at: UnixNanos,
    /// What was said in the session at hand, and of what.
    told: Vec<Told>,
}

impl Group {
    pub(super) fn new(params: GroupParams, config_hash: Arc<str>) -> Self {
        let always = vec![Membership { from: SessionDate::MIN, inside: true, company: None }];
        let symbols = params.members.iter().filter_map(|m| Symbol::new(m).ok());
        let memberships = symbols.map(|s| (s, always.clone())).collect();
        Self {
            params,
            config_hash,
            memberships,
            session: None,
            now: BTreeMap::new(),
            values: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            scheduled_len: 0,
            amends: BTreeMap::new(),
            pending: BTreeMap::new(),
            settled_until: None,
            returns: Vec::new(),
            current: None,
            waiting: Vec::new(),
            count: 0,
            sequence: 0,
            closes: BTreeMap::new(),
            last: None,
            judged_at: UnixNanos::MIN,
            told: Vec::new(),
        }
    }

    /// Takes other bounds; members stay as they are.
    pub(super) fn reload(&mut self, fresh: &GroupParams, config_hash: &Arc<str>) {
        let members = std::mem::take(&mut self.params.members);
        self.params = GroupParams { members, ..fresh.clone() };
        self.config_hash = config_hash.clone();
    }

    pub(super) fn set_membership(&mut self, symbol: &Symbol, membership: Membership) -> bool {
        let changes = self.memberships.entry(symbol.clone()).or_default();
        match changes.binary_search_by_key(&membership.from, |m| m.from) {
            Ok(at) if changes[at] == membership => return false,
            Ok(at) => changes[at] = membership,
            Err(_) if changes.len() >= CHANGES_MAX => return false,
            Err(at) => changes.insert(at, membership),
        }
        // One about the session at hand is a correction of it.
        if let Some(session) = self.session {
            if self.holds(symbol.as_str(), session) {
                let value = self.values.get(symbol).copied();
                self.now.entry(symbol.clone()).or_insert_with(|| MemberReading::not_yet(symbol.clone(), value));
            } else {
                self.now.remove(symbol);
            }
        }
        true
    }

    /// Lets the membership of `old` go on under `to`: whether there is one on `from`, or later.
    pub(super) fn rename(&mut self, old: &Symbol, to: &Symbol, from: SessionDate) -> bool {
        let Some(changes) = self.memberships.get_mut(old) else { return false };
        let at_hand = Self::of(changes, from).filter(|m| m.inside).cloned();
        let later: Vec<Membership> = changes.iter().filter(|m| m.from > from).cloned().collect();
        if at_hand.is_none() && later.is_empty() {
            return false;
        }
        changes.retain(|m| m.from < from);
        self.set_membership(old, Membership { from, inside: false, company: None });
        let at_hand = at_hand.map(|m| Membership { from, ..m });
        for membership in at_hand.into_iter().chain(later) {
            self.set_membership(to, membership);
        }
        // It still weighs what it weighed.
        if let Some(value) = self.values.get(old).copied() {
            self.values.entry(to.clone()).or_insert(value);
        }
        true
    }

    /// Whether `symbol` is a member in `session`.
    pub(super) fn holds(&self, symbol: &str, session: SessionDate) -> bool {
        self.memberships.get(symbol).is_some_and(|m| Self::inside(m, session))
    }

    fn inside(changes: &[Membership], session: SessionDate) -> bool {
        Self::of(changes, session).is_some_and(|m| m.inside)
    }

    fn of(changes: &[Membership], session: SessionDate) -> Option<&Membership> {
        changes.iter().rev().find(|m| m.from <= session)
    }

    /// The members that these lines of `session` make.
    fn merge(&self, session: SessionDate, lines: &[MemberReading]) -> Members {
        company::merge(lines, |s| Self::of(self.memberships.get(s)?, session)?.company.as_ref())
    }

    fn members(&self, session: SessionDate) -> Vec<Symbol> {
        let inside = self.memberships.iter().filter(|(_, m)| Self::inside(m, session));
        inside.map(|(s, _)| s.clone()).collect()
    }

    pub(super) fn schedule(&mut self, at: UnixNanos, update: MemberUpdate) {
        if self.scheduled_len >= SCHEDULED_MAX
            && let Some((_, oldest)) = self.scheduled.pop_first()
        {
            self.scheduled_len -= oldest.len();
            for update in oldest {
                self.place(update);
            }
        }
        self.scheduled.entry(at).or_default().push(update);
        self.scheduled_len += 1;
    }

    pub(super) fn take_close(&mut self, close: &MemberClose) {
        // A session that is over stays as it was judged.
        if self.settled_until.is_some_and(|s| close.session <= s) {
            return;
        }
        let closes = self.pending.entry(close.session).or_default();
        // History, read again after a restart, knows less than the market records did.
        if close.is_history && closes.get(&close.symbol).is_some_and(|c| !c.is_history) {
            return;
        }
        closes.insert(close.symbol.clone(), close.clone());
        if self.pending.len() > SESSIONS_MAX {
            self.pending.pop_first();
        }
    }

    pub(super) fn advance(&mut self, moment: &Moment<'_>, alerts: &mut Vec<Alert>) {
        loop {
            let reached = |at: &UnixNanos| *at <= moment.watermark;
            let next_price = self.scheduled.first_key_value().map(|(at, _)| *at).filter(reached);
            let next_amend = self.amends.first_key_value().map(|(at, _)| *at).filter(reached);
            let next_end = self.next_end(moment);
            // Of one instant, prices are judged first, then corrections are taken, and the session ends last.
            let is_next = |at: UnixNanos| next_end.is_none_or(|(_, close)| at <= close);
            match (next_price, next_amend, next_end) {
                (Some(at), amend, _) if amend.is_none_or(|a| at <= a) && is_next(at) => self.judge(at, moment, alerts),
                (_, Some(at), _) if is_next(at) => {
                    for amend in self.amends.remove(&at).unwrap_or_default() {
                        self.amend(&amend, moment, alerts);
                    }
                }
                (_, _, Some((session, close))) => self.settle(session, close, moment, alerts),
                _ => return,
            }
        }
    }

    /// The first session that is over, with its closing time.
    fn next_end(&self, moment: &Moment<'_>) -> Option<(SessionDate, UnixNanos)> {
        let first_closed = self.pending.first_key_value().map(|(s, _)| *s);
        let unsettled = self.session.filter(|s| self.settled_until.is_none_or(|u| u < *s));
        let session = match (first_closed, unsettled) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        let calendar = moment.calendar?;
        let close = calendar.session(session)?.close;
        if moment.watermark < close {
            return None;
        }
        let closes = self.pending.get(&session);
        let is_complete = closes.is_some_and(|c| self.members(session).iter().all(|m| c.contains_key(m)));
        // At the end of the input, what there is of later sessions says how far time has come.
        let reached = if moment.is_end { self.newest_waiting(calendar) } else { moment.watermark };
        let is_past = calendar.next_after(session).is_some_and(|next| reached >= next.pre);
        let is_over = is_complete || is_past || (moment.is_end && closes.is_some());
        is_over.then_some((session, close))
    }

    /// The newest instant of which something waits.
    fn newest_waiting(&self, calendar: &Calendar) -> UnixNanos {
        let close = self.pending.last_key_value().and_then(|(s, _)| Some(calendar.session(*s)?.close));
        let price = self.scheduled.last_key_value().map(|(at, _)| *at);
        close.max(price).unwrap_or(UnixNanos::MIN)
    }

    fn place(&mut self, update: MemberUpdate) {
        if self.session.is_none_or(|s| s < update.session) {
            self.session = Some(update.session);
            self.told.clear();
            let value = |symbol: &Symbol| self.values.get(symbol).copied();
            let unknown = |s: Symbol| (s.clone(), MemberReading::not_yet(s.clone(), value(&s)));
            self.now = self.members(update.session).into_iter().map(unknown).collect();
        }
        if self.session != Some(update.session) || !self.holds(update.symbol.as_str(), update.session) {
            return;
        }
        if let Some(value) = update.market_value {
            self.values.insert(update.symbol.clone(), value);
        }
        let reading = MemberReading {
            symbol: update.symbol.clone(),
            log_return: update.log_return,
            z: update.z,
            market_value: update.market_value,
            basis: None,
            breached_at: update.breached_at,
            source: update.source,
            fresh_until: update.fresh_until,
        };
        self.now.insert(update.symbol, reading);
    }

    fn judge(&mut self, at: UnixNanos, moment: &Moment<'_>, alerts: &mut Vec<Alert>) {
        let Some(updates) = self.scheduled.remove(&at) else { return };
        self.scheduled_len -= updates.len();
        for update in updates {
            self.place(update);
        }
        let Some(session) = self.session.filter(|s| self.settled_until.is_none_or(|u| u < *s)) else { return };
        self.judged_at = at;
        let lines: Vec<MemberReading> = self.now.values().map(|m| m.as_of(at)).collect();
        let (members, companies) = self.merge(session, &lines);
        let reading = reading::read(&self.params, &members, self.sigma(session));
        self.last = Some(reading.clone());
        // An unknown neither fires nor resolves.
        let Some(level) = reading.level else { return };
        let Some((kind, stay)) = self.follow(level, at, &reading, &members) else { return };
        let phase = match moment.calendar.map(|c| c.locate(at.plus(-1))) {
            Some(Located::Known(m)) => m.phase,
            _ => Phase::Regular,
        };
        let topic = moment.topic;
        let seen = Seen {
            session,
            at,
            phase,
            reading: &reading,
            members: &members,
            companies: &companies,
            lines: &lines,
            topic,
        };
        alerts.push(self.alert(kind, AlertState::Provisional, &stay, &seen));
        self.remember(Told { at, number: stay.number, level: Some(level), members: lines });
    }

    /// Moves the stay to `level`: what to send, if anything.
    fn follow(
        &mut self,
        level: Level,
        at: UnixNanos,
        reading: &Reading,
        members: &[MemberReading],
    ) -> Option<(AlertKind, Stay)> {
        let Some(stay) = &mut self.current else {
            if level == Level::Calm {
                return None;
            }
            self.count += 1;
            let stay = Stay {
                number: self.count,
                direction: direction_of(reading, members),
                level,
                peak: level,
                revision: 0,
                low_since: None,
            };
            self.current = Some(Stay { revision: 1, ..stay });
            return Some((AlertKind::Open, stay));
        };
        let kind = match level.cmp(&stay.level) {
            Ordering::Greater => {
                let kind = if level > stay.peak { AlertKind::Escalate } else { AlertKind::Update };
                (stay.level, stay.peak, stay.low_since) = (level, stay.peak.max(level), None);
                kind
            }
            Ordering::Equal => {
                stay.low_since = None;
                return None;
            }
            Ordering::Less => {
                let since = *stay.low_since.get_or_insert(at);
                if at.since(since) < self.params.ease_after {
                    return None;
                }
                stay.low_since = None;
                if level == Level::Calm {
                    AlertKind::Close
                } else {
                    stay.level = level;
                    AlertKind::Deescalate
                }
            }
        };
        let sent = *stay;
        stay.revision += 1;
        if kind == AlertKind::Close
            && let Some(stay) = self.current.take()
        {
            self.waiting.push(stay);
        }
        Some((kind, sent))
    }

    /// Ends a session by its members' closes.
    fn settle(&mut self, session: SessionDate, close: UnixNanos, moment: &Moment<'_>, alerts: &mut Vec<Alert>) {
        let closes = self.pending.remove(&session).unwrap_or_default();
        self.values.extend(closes.values().filter_map(|c| Some((c.symbol.clone(), c.market_value?))));
        let is_history = !closes.is_empty() && closes.values().all(|c| c.is_history);
        // Closes of a session that nobody saw may come when the next is on its way: what stands is that one's.
        let is_behind = self.session.is_some_and(|at_hand| at_hand > session);
        let lines: Vec<MemberReading> = self
            .members(session)
            .into_iter()
            .map(|symbol| match closes.get(&symbol) {
                Some(c) => MemberReading {
                    symbol,
                    log_return: c.log_return,
                    z: c.z,
                    market_value: c.market_value,
                    basis: c.basis,
                    breached_at: c.breached_at,
                    source: c.source,
                    fresh_until: UnixNanos::MAX,
                },
                // It still weighs what it weighed last.
                None => MemberReading {
                    market_value: self.values.get(&symbol).copied(),
                    symbol,
                    log_return: Err(Unknown::NoClose),
                    z: Err(Unknown::NoClose),
                    basis: None,
                    breached_at: None,
                    source: None,
                    fresh_until: UnixNanos::MAX,
                },
            })
            .collect();
        let (members, companies) = self.merge(session, &lines);
        let reading = reading::read(&self.params, &members, self.sigma(session));
        let seen = Seen {
            session,
            at: close,
            phase: Phase::Close,
            reading: &reading,
            members: &members,
            companies: &companies,
            lines: &lines,
            topic: moment.topic,
        };
        if !is_history && !is_behind {
            self.verdicts(&seen, alerts);
        }
        let view = self.view_of(session, &reading, &members);
        self.closes.insert(session, view);
        if self.closes.len() > CLOSES_KEPT {
            self.closes.pop_first();
        }
        if let Ok(r) = reading.basket_return {
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
        self.last = Some(reading);
        if self.session.is_none_or(|s| s <= session) {
            self.session = Some(session);
            self.now = lines.into_iter().map(|m| (m.symbol.clone(), m)).collect();
        }
    }

    fn verdicts(&mut self, seen: &Seen<'_>, alerts: &mut Vec<Alert>) {
        let mut stays = std::mem::take(&mut self.waiting);
        stays.extend(self.current.take());
        let level = seen.reading.level;
        if let (Some(level), true) = (level.filter(|l| *l > Level::Calm), stays.is_empty()) {
            self.count += 1;
            let direction = direction_of(seen.reading, seen.members);
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

    pub(super) fn settle_history(&mut self, calendar: Option<&Calendar>) {
        let topic = Arc::from("");
        let moment = Moment { watermark: UnixNanos::MAX, is_end: true, calendar, topic: &topic };
        while let Some(session) = self.pending.first_key_value().map(|(s, _)| *s) {
            let all_history = self.pending[&session].values().all(|c| c.is_history);
            let close = calendar.and_then(|c| c.session(session)).map(|s| s.close);
            let (true, Some(close)) = (all_history, close) else { return };
            self.settle(session, close, &moment, &mut Vec::new());
        }
    }

    fn window(&self, session: SessionDate) -> &[(SessionDate, f64)] {
        let end = self.returns.partition_point(|(s, _)| *s < session);
        &self.returns[end.saturating_sub(WINDOW)..end]
    }

    fn sigma(&self, session: SessionDate) -> domain::Reading {
        let window: Vec<f64> = self.window(session).iter().map(|(_, r)| *r).collect();
        if window.len() < WINDOW {
            return Err(Unknown::Warming);
        }
        sample_sigma(&window).filter(|s| *s > 0.0).ok_or(Unknown::InsufficientVariance)
    }

    fn view_of(&self, session: SessionDate, reading: &Reading, members: &[MemberReading]) -> GroupView {
        let level = reading.level;
        GroupView {
            name: self.params.name.clone(),
            session: Some(session),
            level: level.map_or("UNKNOWN", Level::name),
            level_number: level.map_or(-1, |l| i8::try_from(l.number()).unwrap_or(0)),
            coverage: reading.coverage,
            basket_return: reading.basket_return,
            legs: reading.legs(&self.params, level.unwrap_or(Level::Watch)),
            members: members.iter().map(|m| (m.symbol.clone(), m.z)).collect(),
        }
    }

    pub(super) fn view(&self) -> GroupView {
        if let (Some(reading), Some(session)) = (&self.last, self.session) {
            let lines: Vec<MemberReading> = self.now.values().cloned().collect();
            return self.view_of(session, reading, &self.merge(session, &lines).0);
        }
        let reading = reading::read(&self.params, &[], Err(Unknown::Warming));
        GroupView { session: None, ..self.view_of(SessionDate::MIN, &reading, &[]) }
    }

    pub(super) fn closes(&self) -> impl Iterator<Item = &GroupView> {
        self.closes.values()
    }
}
