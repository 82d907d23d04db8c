//! One group: its members, its basket's history, and the episode it is in.

use super::contagion::{Contagion, ContagionParams, ContagionView};
use super::derived::DerivedView;
use super::index::{Index, YearToDate};
use super::legs::{DayRow, LegHistory, Past};
use super::level::{GroupParams, Level, Membership, Verdict};
use super::losses::LossBook;
use super::member::{MemberAmend, MemberClose, MemberUpdate};
use super::panel::Panel;
use super::reading::{MemberReading, direction_of};
use super::roster::Roster;
use super::surface::{SurfacePast, SurfaceView};
use super::view::GroupView;
use crate::domain::{Alert, AlertKind, AlertState, Direction, Phase, SessionDate, Symbol, UnixNanos};
use crate::market::{Calendar, Located};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod alert;
mod amend;
mod contagion;
mod image;
mod kept;
mod look;
mod settle;

use alert::Seen;
use amend::Told;
pub use image::GroupImage;
use look::Look;

/// Basket returns kept: the window, and room for sessions that are not known.
const RETURNS_KEPT: usize = 64;
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
    roster: Roster,
    /// Who belongs to the group that breadth and dispersion are read over, where that is another one.
    around: Roster,
    session: Option<SessionDate>,
    /// Everyone followed in the session at hand, as of the last moment judged.
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
    /// What turbulence and percentiles are measured by, for a level from percentiles.
    panel: Panel,
    legs: LegHistory,
    surfaces: SurfacePast,
    /// Breadth of the group itself.
    breadths: Past<1>,
    index: Index,
    /// The year to date at the last close.
    year_to_date: Option<YearToDate>,
    /// The surface then.
    surface: Option<Arc<SurfaceView>>,
    derived: Option<Arc<DerivedView>>,
    contagion: Contagion,
    /// What it said at the last close.
    contagion_view: Option<Arc<ContagionView>>,
    losses: LossBook,
    current: Option<Stay>,
    waiting: Vec<Stay>,
    count: u32,
    sequence: u64,
    closes: BTreeMap<SessionDate, GroupView>,
    last: Option<Look>,
    /// The last moment judged.
    judged_at: UnixNanos,
    /// What was said in the session at hand, and of what.
    told: Vec<Told>,
}

/// What the history of the fragility index knows of the breadth of this very group.
fn breadths_of(params: &GroupParams) -> impl Iterator<Item = DayRow<1>> {
    let of_group = params.index.iter().flat_map(|days| days.iter()).filter(|day| day.universe == params.name);
    of_group.map(|day| {
        let ratio = (day.valid > 0).then(|| f64::from(day.events) / f64::from(day.valid));
        DayRow { session: day.session, values: [ratio] }
    })
}

impl Group {
    pub(super) fn new(params: GroupParams, config_hash: Arc<str>) -> Self {
        let roster = Roster::new(&params.members);
        let composite = params.composite();
        let around = composite.filter(|c| c.universe != params.name).map(|c| Roster::new(&c.universe_members));
        let legs = composite.map_or_else(|| Arc::from([]), |c| c.history.legs.clone());
        let breadths: Vec<DayRow<1>> = breadths_of(&params).collect();
        let losses = LossBook::new(params.losses.clone());
        let counted = params.index.clone().unwrap_or_else(|| Arc::from([]));
        Self {
            params,
            config_hash,
            roster,
            around: around.unwrap_or_default(),
            panel: Panel::default(),
            legs: LegHistory::new(legs),
            surfaces: SurfacePast::nothing(),
            breadths: Past::new(breadths.into()),
            surface: None,
            derived: None,
            contagion: Contagion::new(ContagionParams::default()),
            contagion_view: None,
            index: Index::new(counted),
            year_to_date: None,
            losses,
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

    /// Takes other bounds and timing; members, universe and histories stay as they are.
    pub(super) fn reload(&mut self, fresh: &GroupParams, config_hash: &Arc<str>) {
        let GroupParams { members, largest, verdict, index, losses, benchmark, benchmark_share, .. } =
            self.params.clone();
        let verdict = match (&verdict, &fresh.verdict) {
            (Verdict::Bounds(_), Verdict::Bounds(_)) => fresh.verdict.clone(),
            _ => verdict,
        };
        self.params =
            GroupParams { members, largest, verdict, index, losses, benchmark, benchmark_share, ..fresh.clone() };
        self.config_hash = config_hash.clone();
    }

    /// Records a membership in this group, or in the one that it reads breadth over: whether it is news.
    pub(super) fn set_membership(&mut self, group: &str, symbol: &Symbol, membership: Membership) -> bool {
        let Some(roster) = self.roster_of(group) else { return false };
        if !roster.set(symbol, membership) {
            return false;
        }
        // One about the session at hand is a correction of it.
        if let Some(session) = self.session {
            if self.follows(symbol.as_str(), session) {
                let value = self.values.get(symbol).copied();
                self.now.entry(symbol.clone()).or_insert_with(|| MemberReading::not_yet(symbol.clone(), value));
            } else {
                self.now.remove(symbol);
            }
            if self.last.is_some() {
                let lines: Vec<MemberReading> = self.now.values().cloned().collect();
                self.last = Some(self.look(session, &lines, &[]));
            }
        }
        true
    }

    /// Whether memberships of `group` matter here.
    pub(super) fn reads(&self, group: &str) -> bool {
        *self.params.name == *group || self.params.composite().is_some_and(|c| *c.universe == *group)
    }

    fn roster_of(&mut self, group: &str) -> Option<&mut Roster> {
        if *self.params.name == *group {
            return Some(&mut self.roster);
        }
        self.reads(group).then_some(&mut self.around)
    }

    /// Lets the membership of `old` go on under `to`: whether there is one on `from`, or later.
    pub(super) fn rename(&mut self, old: &Symbol, to: &Symbol, from: SessionDate) -> bool {
        let mut any = false;
        let groups = [Some(self.params.name.clone()), self.params.composite().map(|c| c.universe.clone())];
        for group in groups.into_iter().flatten() {
            let Some(roster) = self.roster_of(&group) else { continue };
            let moved = roster.take_out(old, from);
            any |= !moved.is_empty();
            for membership in moved {
                self.set_membership(&group, to, membership);
            }
        }
        if !any {
            return false;
        }
        if let Some(session) = self.session
            && !self.follows(old.as_str(), session)
        {
            self.now.remove(old);
        }
        // It still weighs what it weighed.
        if let Some(value) = self.values.get(old).copied() {
            self.values.entry(to.clone()).or_insert(value);
        }
        self.panel.rename(old.as_str(), &Arc::from(to.as_str()));
        true
    }

    /// Whether `symbol` is a member in `session`.
    pub(super) fn holds(&self, symbol: &str, session: SessionDate) -> bool {
        self.roster.holds(symbol, session)
    }

    /// Whether what `symbol` does in `session` matters here: it is a member, or one of those around them.
    pub(super) fn follows(&self, symbol: &str, session: SessionDate) -> bool {
        self.is_followed_inside(symbol, session) || self.params.benchmark.as_ref().is_some_and(|b| b.as_str() == symbol)
    }

    fn is_followed_inside(&self, symbol: &str, session: SessionDate) -> bool {
        self.roster.holds(symbol, session) || self.around.holds(symbol, session)
    }

    /// Everyone that matters in `session`, by symbol.
    fn followed(&self, session: SessionDate) -> BTreeSet<Symbol> {
        self.inside(session).chain(&self.params.benchmark).cloned().collect()
    }

    /// Those whose closes a session waits for: the index decides nothing.
    fn inside(&self, session: SessionDate) -> impl Iterator<Item = &Symbol> {
        self.roster.inside(session).chain(self.around.inside(session))
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
            return self.take_late_benchmark(close);
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
        let is_anyone = self.inside(session).next().is_some();
        let is_complete = is_anyone && closes.is_some_and(|c| self.inside(session).all(|m| c.contains_key(m)));
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
            self.now = self.followed(update.session).into_iter().map(unknown).collect();
        }
        if self.session != Some(update.session) || !self.follows(update.symbol.as_str(), update.session) {
            return;
        }
        if let Some(value) = update.market_value {
            self.values.insert(update.symbol.clone(), value);
        }
        let reading = MemberReading::from(&update);
        self.now.insert(update.symbol, reading);
    }

    fn judge(&mut self, at: UnixNanos, moment: &Moment<'_>, alerts: &mut Vec<Alert>) {
        let Some(updates) = self.scheduled.remove(&at) else { return };
        self.scheduled_len -= updates.len();
        let is_inside = updates.iter().any(|u| self.is_followed_inside(u.symbol.as_str(), u.session));
        for update in updates {
            self.place(update);
        }
        let Some(session) = self.session.filter(|s| self.settled_until.is_none_or(|u| u < *s)) else { return };
        self.judged_at = at;
        if is_inside {
            self.see_within(session, at, moment.calendar);
        }
        let lines: Vec<MemberReading> = self.now.values().map(|m| m.as_of(at)).collect();
        let look = self.look(session, &lines, &[]);
        self.last = Some(look.clone());
        // An unknown neither fires nor resolves.
        let Some(level) = look.reading.level else { return };
        let Some((kind, stay)) = self.follow(level, at, &look) else { return };
        let phase = match moment.calendar.map(|c| c.locate(at.plus(-1))) {
            Some(Located::Known(m)) => m.phase,
            _ => Phase::Regular,
        };
        let seen = Seen { session, at, phase, look: &look, lines: &lines, topic: moment.topic };
        alerts.push(self.alert(kind, AlertState::Provisional, &stay, &seen));
        self.remember(Told { at, number: stay.number, level: Some(level), members: lines });
    }

    /// Moves the stay to `level`: what to send, if anything.
    fn follow(&mut self, level: Level, at: UnixNanos, look: &Look) -> Option<(AlertKind, Stay)> {
        let Some(stay) = &mut self.current else {
            if level == Level::Calm {
                return None;
            }
            self.count += 1;
            let stay = Stay {
                number: self.count,
                direction: direction_of(&look.reading, &look.members),
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
}
