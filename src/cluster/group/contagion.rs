//! What the end of a session says of contagion.

use super::Group;
use super::look::Look;
use crate::cluster::contagion::{Breach, ContagionDay};
use crate::cluster::level::BreakRow;
use crate::cluster::reading::{MemberReading, in_breach};
use crate::cluster::universe::read_universe;
use crate::domain::{SessionDate, UnixNanos, Unknown};
use crate::market::Calendar;
use std::sync::Arc;

impl Group {
    /// A price was judged: its session's breaches have times where it lies before the close.
    pub(super) fn see_within(&mut self, session: SessionDate, at: UnixNanos, calendar: Option<&Calendar>) {
        let is_before = || calendar.and_then(|c| c.session(session)).is_some_and(|s| at < s.close);
        if !self.contagion.is_seen_within(session) && is_before() {
            self.contagion.see_within(session);
        }
    }

    /// Lets contagion take a session: first those of before that the configured history knows, then this one.
    pub(super) fn keep_contagion(
        &mut self,
        session: SessionDate,
        look: &Look,
        is_history: bool,
        calendar: Option<&Calendar>,
    ) {
        let Some(composite) = self.params.composite().filter(|c| c.universe != self.params.name) else { return };
        let (Some(universe), Some(hours)) = (&look.reading.universe, calendar.and_then(|c| c.session(session))) else {
            return;
        };
        let given = composite.history.breaks.clone();
        let after = self.contagion.session();
        let before = given.partition_point(|row| row.session < session);
        let same = given.get(before).filter(|row| row.session == session);
        for row in given[..before].iter().filter(|row| Some(row.session) > after) {
            self.contagion.close(&of_history(row, calendar));
        }
        let is_member = |line: &MemberReading| look.own.lines.iter().any(|l| l.symbol == line.symbol);
        let others: Vec<MemberReading> = universe.lines.iter().filter(|l| !is_member(l)).cloned().collect();
        let breach = |line: &MemberReading, is_member: bool| {
            Some(Breach { symbol: line.symbol.clone(), at: line.breached_at?, z: line.z, is_member })
        };
        let of_members = look.own.lines.iter().filter_map(|l| breach(l, true));
        let breaches: Vec<Breach> = of_members.chain(others.iter().filter_map(|l| breach(l, false))).collect();
        let is_timed = !is_history && self.contagion.is_seen_within(session);
        let known = |lines: &[MemberReading]| lines.iter().filter(|l| l.z.is_ok()).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let lines = [count(known(&look.own.lines)), count(known(&others))];
        let (breach_at, coverage_min) = (self.params.breach_at, self.params.coverage_min);
        let member_breached = in_breach(&look.members, &self.params).map(|members| members > 0);
        self.contagion.close(&ContagionDay {
            session,
            previous: calendar.and_then(|c| c.previous(session)).map(|s| s.date),
            open: hours.open,
            close: hours.close,
            // Where too little was seen here, the history may know.
            member_breached: member_breached.or_else(|unknown| same.map(|row| row.breached).ok_or(unknown)),
            breadth: universe.breadth.or_else(|unknown| same.map(|row| row.breadth).ok_or(unknown)),
            others_breadth: read_universe(others, |_| None, breach_at, coverage_min).breadth,
            lines,
            breaches: is_timed.then_some(&breaches),
        });
        self.view_contagion();
    }

    /// Reads contagion as of the last session that it took.
    pub(super) fn view_contagion(&mut self) {
        self.contagion_view = self.contagion.session().map(|_| Arc::new(self.contagion.view()));
    }
}

/// A session of which closes alone are known.
fn of_history(row: &BreakRow, calendar: Option<&Calendar>) -> ContagionDay<'static> {
    ContagionDay {
        session: row.session,
        previous: calendar.and_then(|c| c.previous(row.session)).map(|s| s.date),
        open: UnixNanos::MIN,
        close: UnixNanos::MIN,
        member_breached: Ok(row.breached),
        breadth: Ok(row.breadth),
        others_breadth: Err(Unknown::NotComputed),
        lines: [0; 2],
        breaches: None,
    }
}
