//! The state of a group as plain numbers, for snapshots.

use super::amend::{TOLD_MAX, Told};
use super::kept::KeptImage;
use super::{Group, RETURNS_KEPT, Stay};
use crate::cluster::level::{Level, Membership};
use crate::cluster::member::{MemberAmend, MemberClose, MemberUpdate};
use crate::cluster::reading::MemberReading;
use crate::cluster::roster::Roster;
use crate::domain::{self, CloseBasis, Direction, SessionDate, Symbol, UnixNanos, Unknown};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Counts of an image beyond are held to these, so that counting on never runs over.
const COUNT_MAX: u32 = u32::MAX / 2;
const SEQUENCE_MAX: u64 = u64::MAX / 2;

/// A number, or the number of the reason why it is unknown.
type Known = Result<f64, u8>;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct ReadingImage {
    symbol: String,
    log_return: Known,
    z: Known,
    market_value: Option<f64>,
    shares: Option<f64>,
    basis: Option<u8>,
    breached_at: Option<i64>,
    source: Option<(i32, i64)>,
    fresh_until: i64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct ToldImage {
    at: i64,
    number: u32,
    level: Option<u8>,
    members: Vec<ReadingImage>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StayImage {
    number: u32,
    down: bool,
    level: u8,
    peak: u8,
    revision: u32,
    low_since: Option<i64>,
}

/// From when on, whether inside, the company and the sector.
type Change = (i32, bool, Option<String>, Option<String>);
/// Every symbol with its changes.
type RosterImage = Vec<(String, Vec<Change>)>;

/// The state of a group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupImage {
    roster: RosterImage,
    around: RosterImage,
    session: Option<i32>,
    now: Vec<ReadingImage>,
    values: Vec<(String, f64)>,
    scheduled: Vec<(i64, i32, ReadingImage)>,
    pending: Vec<(i32, bool, ReadingImage)>,
    settled_until: Option<i32>,
    returns: Vec<(i32, f64)>,
    current: Option<StayImage>,
    waiting: Vec<StayImage>,
    count: u32,
    sequence: u64,
    judged_at: i64,
    told: Vec<ToldImage>,
    amends: Vec<AmendImage>,
    kept: KeptImage,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct AmendImage {
    symbol: String,
    session: i32,
    from: i64,
    at: i64,
    unknown_until: i64,
    breached_at: Option<i64>,
    readings: Vec<(i64, Known, Known)>,
}

impl From<&MemberAmend> for AmendImage {
    fn from(a: &MemberAmend) -> Self {
        Self {
            symbol: a.symbol.to_string(),
            session: a.session.days(),
            from: a.from.0,
            at: a.at.0,
            unknown_until: a.unknown_until.0,
            breached_at: a.breached_at.map(|t| t.0),
            readings: a.readings.iter().map(|(at, r, z)| (at.0, known(*r), known(*z))).collect(),
        }
    }
}

impl AmendImage {
    fn restore(self) -> Option<MemberAmend> {
        Some(MemberAmend {
            symbol: Symbol::new(&self.symbol).ok()?,
            session: date(self.session),
            from: UnixNanos(self.from),
            at: UnixNanos(self.at),
            unknown_until: UnixNanos(self.unknown_until),
            breached_at: self.breached_at.map(UnixNanos),
            readings: self.readings.into_iter().map(|(at, r, z)| (UnixNanos(at), reading(r), reading(z))).collect(),
        })
    }
}

fn known(reading: domain::Reading) -> Known {
    reading.map_err(Unknown::number)
}

fn reading(known: Known) -> domain::Reading {
    let known = known.and_then(|number| if number.is_finite() { Ok(number) } else { Err(Unknown::NotYet.number()) });
    known.map_err(|n| Unknown::from_number(n).unwrap_or(Unknown::NotYet))
}

pub(super) fn date(days: i32) -> SessionDate {
    SessionDate::from_days(days).unwrap_or(SessionDate::MIN)
}

impl From<&MemberReading> for ReadingImage {
    fn from(m: &MemberReading) -> Self {
        Self {
            symbol: m.symbol.to_string(),
            log_return: known(m.log_return),
            z: known(m.z),
            market_value: m.market_value,
            shares: m.shares,
            basis: m.basis.map(CloseBasis::number),
            breached_at: m.breached_at.map(|t| t.0),
            source: m.source,
            fresh_until: m.fresh_until.0,
        }
    }
}

impl ReadingImage {
    fn restore(self) -> Option<MemberReading> {
        Some(MemberReading {
            symbol: Symbol::new(&self.symbol).ok()?,
            log_return: reading(self.log_return),
            z: reading(self.z),
            market_value: self.market_value.filter(|v| v.is_finite()),
            shares: self.shares.filter(|s| s.is_finite()),
            basis: self.basis.and_then(CloseBasis::from_number),
            breached_at: self.breached_at.map(UnixNanos),
            source: self.source,
            fresh_until: UnixNanos(self.fresh_until),
        })
    }
}

impl From<&Told> for ToldImage {
    fn from(t: &Told) -> Self {
        let members = t.members.iter().map(ReadingImage::from).collect();
        Self { at: t.at.0, number: t.number, level: t.level.map(Level::number), members }
    }
}

impl ToldImage {
    fn restore(self) -> Told {
        Told {
            at: UnixNanos(self.at),
            number: self.number,
            level: self.level.and_then(Level::from_number),
            members: self.members.into_iter().filter_map(ReadingImage::restore).collect(),
        }
    }
}

impl From<&Stay> for StayImage {
    fn from(s: &Stay) -> Self {
        Self {
            number: s.number,
            down: s.direction == Direction::Down,
            level: s.level.number(),
            peak: s.peak.number(),
            revision: s.revision,
            low_since: s.low_since.map(|t| t.0),
        }
    }
}

impl StayImage {
    /// The stay; none where it is at no level above calm.
    fn restore(&self) -> Option<Stay> {
        let level = Level::from_number(self.level).filter(|level| *level > Level::Calm)?;
        Some(Stay {
            number: self.number.min(COUNT_MAX),
            direction: if self.down { Direction::Down } else { Direction::Up },
            level,
            peak: Level::from_number(self.peak)?.max(level),
            revision: self.revision.min(COUNT_MAX),
            low_since: self.low_since.map(UnixNanos),
        })
    }
}

fn roster_image(roster: &Roster) -> RosterImage {
    let text = |name: &Option<Arc<str>>| name.as_ref().map(ToString::to_string);
    let change = |m: &Membership| (m.from.days(), m.inside, text(&m.company), text(&m.sector));
    roster.all().map(|(s, changes)| (s.to_string(), changes.iter().map(change).collect())).collect()
}

fn restore_roster(roster: &mut Roster, image: RosterImage) {
    for (symbol, changes) in image {
        let Ok(symbol) = Symbol::new(&symbol) else { continue };
        for (from, inside, company, sector) in changes {
            let (company, sector) = (company.map(Arc::from), sector.map(Arc::from));
            roster.set(&symbol, Membership { from: date(from), inside, company, sector });
        }
    }
}

impl GroupImage {
    /// Symbols that ever were members.
    pub(in crate::cluster) fn members(&self) -> impl Iterator<Item = Symbol> {
        self.roster.iter().chain(&self.around).filter_map(|(s, _)| Symbol::new(s).ok())
    }
}

impl Group {
    pub(in crate::cluster) fn image(&self) -> GroupImage {
        let update = |(at, u): (&UnixNanos, &MemberUpdate)| {
            (at.0, u.session.days(), ReadingImage::from(&MemberReading::from(u)))
        };
        let close = |c: &MemberClose| (c.session.days(), c.is_history, ReadingImage::from(&MemberReading::from(c)));
        GroupImage {
            roster: roster_image(&self.roster),
            around: roster_image(&self.around),
            session: self.session.map(SessionDate::days),
            now: self.now.values().map(ReadingImage::from).collect(),
            values: self.values.iter().map(|(s, v)| (s.to_string(), *v)).collect(),
            scheduled: self
                .scheduled
                .iter()
                .flat_map(|(at, list)| list.iter().map(move |u| (at, u)))
                .map(update)
                .collect(),
            pending: self.pending.values().flat_map(|c| c.values()).map(close).collect(),
            settled_until: self.settled_until.map(SessionDate::days),
            returns: self.returns.iter().map(|(s, r)| (s.days(), *r)).collect(),
            current: self.current.as_ref().map(StayImage::from),
            waiting: self.waiting.iter().map(StayImage::from).collect(),
            count: self.count,
            sequence: self.sequence,
            judged_at: self.judged_at.0,
            told: self.told.iter().map(ToldImage::from).collect(),
            amends: self.amends.values().flatten().map(AmendImage::from).collect(),
            kept: self.kept_image(),
        }
    }

    pub(in crate::cluster) fn restore(&mut self, image: GroupImage) {
        restore_roster(&mut self.roster, image.roster);
        restore_roster(&mut self.around, image.around);
        self.restore_kept(image.kept);
        self.session = image.session.map(date);
        let now = image.now.into_iter().filter_map(ReadingImage::restore);
        self.now = now.map(|m| (m.symbol.clone(), m)).collect();
        let values = image.values.into_iter().filter(|(_, value)| value.is_finite());
        self.values = values.filter_map(|(s, v)| Some((Symbol::new(&s).ok()?, v))).collect();
        (self.scheduled_len, self.last) = (0, None);
        self.scheduled.clear();
        self.pending.clear();
        for (at, session, r) in image.scheduled {
            let Some(m) = r.restore() else { continue };
            let update = MemberUpdate {
                symbol: m.symbol,
                at: UnixNanos(at),
                session: date(session),
                log_return: m.log_return,
                z: m.z,
                market_value: m.market_value,
                shares: m.shares,
                breached_at: m.breached_at,
                source: m.source,
                fresh_until: m.fresh_until,
            };
            self.schedule(UnixNanos(at), update);
        }
        for (session, is_history, r) in image.pending {
            let Some(m) = r.restore() else { continue };
            let close = MemberClose {
                symbol: m.symbol,
                session: date(session),
                log_return: m.log_return,
                z: m.z,
                market_value: m.market_value,
                shares: m.shares,
                basis: m.basis,
                breached_at: m.breached_at,
                source: m.source,
                is_history,
            };
            self.pending.entry(close.session).or_default().insert(close.symbol.clone(), close);
        }
        self.settled_until = image.settled_until.map(date);
        self.returns = image.returns.into_iter().filter(|(_, r)| r.is_finite()).map(|(s, r)| (date(s), r)).collect();
        self.returns.sort_by_key(|(session, _)| *session);
        self.returns.drain(..self.returns.len().saturating_sub(RETURNS_KEPT));
        self.current = image.current.as_ref().and_then(StayImage::restore);
        self.waiting = image.waiting.iter().filter_map(StayImage::restore).collect();
        (self.count, self.sequence) = (image.count.min(COUNT_MAX), image.sequence.min(SEQUENCE_MAX));
        self.judged_at = UnixNanos(image.judged_at);
        self.told = image.told.into_iter().take(TOLD_MAX).map(ToldImage::restore).collect();
        self.amends.clear();
        image.amends.into_iter().filter_map(AmendImage::restore).for_each(|amend| self.schedule_amend(amend));
        // What readers see until the next price.
        if let Some(session) = self.session {
            let lines: Vec<MemberReading> = self.now.values().map(|m| m.as_of(self.judged_at)).collect();
            self.last = Some(self.look(session, &lines, &[]));
        }
    }
}
