//! A member's price that was taken back: what the group had said because of it is retracted or corrected.

use super::alert::Seen;
use super::{Group, Moment, Stay};
use crate::cluster::level::Level;
use crate::cluster::member::MemberAmend;
use crate::cluster::reading::MemberReading;
use crate::domain::{Alert, AlertKind, AlertState, Phase, Symbol, UnixNanos};
use crate::market::Located;

/// Moments that were told and are kept for corrections, of one session.
pub(super) const TOLD_MAX: usize = 32;
/// Corrections that may wait for event time; beyond, the oldest are left out.
const AMENDS_MAX: usize = 65_536;

/// A moment at which something was said, and what it was said of.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Told {
    pub(super) at: UnixNanos,
    /// Number of the stay.
    pub(super) number: u32,
    /// Level read then; `None` where it was not known.
    pub(super) level: Option<Level>,
    /// The lines, share classes apart.
    pub(super) members: Vec<MemberReading>,
}

impl Group {
    pub(super) fn remember(&mut self, told: Told) {
        if self.told.len() >= TOLD_MAX {
            self.told.remove(0);
        }
        self.told.push(told);
    }

    /// Takes a correction: it takes effect when event time has come to where it was known.
    pub(in crate::cluster) fn schedule_amend(&mut self, amend: MemberAmend) {
        if self.amends.values().map(Vec::len).sum::<usize>() >= AMENDS_MAX {
            self.amends.pop_first();
        }
        self.amends.entry(amend.unknown_until).or_default().push(amend);
    }

    /// Puts a member right.
    pub(super) fn amend(&mut self, change: &MemberAmend, moment: &Moment<'_>, alerts: &mut Vec<Alert>) {
        // What it said behind `at` was right from the start.
        let is_meant = |symbol: &Symbol, at: UnixNanos| *symbol == change.symbol && at > change.from && at <= change.at;
        for update in self.scheduled.values_mut().flatten().filter(|u| is_meant(&u.symbol, u.at)) {
            (update.log_return, update.z) = change.reading_at(update.at);
            update.breached_at = change.breached_at;
        }
        if self.session != Some(change.session) || self.settled_until.is_some_and(|s| s >= change.session) {
            return;
        }
        let put_right = |members: &mut [MemberReading], at: UnixNanos| {
            for member in members.iter_mut().filter(|m| is_meant(&m.symbol, at)) {
                (member.log_return, member.z) = change.reading_at(at);
                member.breached_at = change.breached_at;
            }
        };
        let mut now: Vec<MemberReading> = self.now.values().cloned().collect();
        put_right(&mut now, self.judged_at);
        self.now = now.into_iter().map(|m| (m.symbol.clone(), m)).collect();
        let mut numbers = Vec::new();
        let mut all = std::mem::take(&mut self.told);
        for told in &mut all {
            let before = told.members.clone();
            put_right(&mut told.members, told.at);
            told.members = told.members.iter().map(|m| m.as_of(told.at)).collect();
            if told.members != before {
                told.level = self.look(change.session, &told.members, &[]).reading.level;
                numbers.push(told.number);
            }
        }
        self.told = all;
        numbers.dedup();
        for number in numbers {
            self.amend_stay(number, change, moment, alerts);
        }
    }

    fn amend_stay(&mut self, number: u32, change: &MemberAmend, moment: &Moment<'_>, alerts: &mut Vec<Alert>) {
        let levels: Vec<Level> =
            self.told.iter().filter(|t| t.number == number).map(|t| t.level.unwrap_or(Level::Calm)).collect();
        let peak = levels.iter().max().copied().unwrap_or(Level::Calm);
        let held = levels.last().copied().unwrap_or(Level::Calm);
        let waits = self.waiting.iter().position(|s| s.number == number);
        let stay = match waits {
            Some(at) => Some(self.waiting[at]),
            None => self.current.filter(|s| s.number == number),
        };
        let Some(mut stay) = stay else { return };
        let (kind, state) = if peak == Level::Calm {
            (AlertKind::Retract, AlertState::Retracted)
        } else if peak != stay.peak || (waits.is_none() && held != stay.level && held > Level::Calm) {
            (stay.level, stay.peak) = (held.max(Level::Watch), peak);
            (AlertKind::Correct, AlertState::Provisional)
        } else {
            return;
        };
        let lines: Vec<MemberReading> = self.now.values().cloned().collect();
        let look = self.look(change.session, &lines, &[]);
        let phase = match moment.calendar.map(|c| c.locate(change.at)) {
            Some(Located::Known(m)) => m.phase,
            _ => Phase::Regular,
        };
        let seen =
            Seen { session: change.session, at: change.at, phase, look: &look, lines: &lines, topic: moment.topic };
        alerts.push(self.alert(kind, state, &stay, &seen));
        self.last = Some(look);
        let kept = (kind != AlertKind::Retract).then_some(Stay { revision: stay.revision + 1, ..stay });
        match (waits, kept) {
            (Some(at), Some(stay)) => self.waiting[at] = stay,
            (Some(at), None) => drop(self.waiting.remove(at)),
            (None, stay) => self.current = stay,
        }
    }
}
