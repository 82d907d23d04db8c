//! Learns one diurnal curve for each group of symbols, from prices as they pass.
//!
//! A session gives thirteen half-hour returns of a symbol, from the opening price and the last prices at or
//! before each half hour. Only full sessions count, half days apart, and only those with a price in every half
//! hour: a gap would move variance into the next one.

use super::ruler::RulerParams;
use super::{Calendar, Located, Session};
use crate::domain::{CURVE_BUCKETS, NANOS_PER_SEC, SessionDate, UnixNanos};
use crate::estimators::{diurnal_shares, median_abs};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Length of a bucket.
const BUCKET: i64 = 1_800 * NANOS_PER_SEC;

/// Every bucket has a price.
const COMPLETE: u16 = (1 << CURVE_BUCKETS) - 1;

/// A session as far as it has come.
#[derive(Clone, Copy, Debug)]
struct Day {
    session: Session,
    last: UnixNanos,
    open: f64,
    /// Last price of each bucket.
    ends: [f64; CURVE_BUCKETS],
    seen: u16,
}

impl Day {
    fn returns(&self) -> Option<[f64; CURVE_BUCKETS]> {
        let mut before = self.open;
        (self.seen == COMPLETE).then(|| {
            self.ends.map(|end| {
                let r = (end / before).ln();
                before = end;
                r
            })
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Member {
    day: Option<Day>,
    days: VecDeque<(SessionDate, [f64; CURVE_BUCKETS])>,
}

/// What a group's sessions came to.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupCurve {
    /// First session after those it was learned from.
    pub from: SessionDate,
    /// First and last of them.
    pub span: (SessionDate, SessionDate),
    /// Shares of variance by half hour.
    pub shares: [f64; CURVE_BUCKETS],
    /// How many sessions.
    pub sessions: usize,
    /// Symbols with a full session among them.
    pub symbols: Vec<String>,
}

/// Why a group has no curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoCurve {
    /// So many full sessions, fewer than asked for.
    Sessions(usize),
    /// A half hour in which most prices stood still.
    Still,
    /// The calendar ends with the last session.
    CalendarEnds,
}

/// Curves of every configured group in the making.
#[derive(Clone, Debug)]
pub struct CurveLearner {
    calendar: Arc<Calendar>,
    sessions: usize,
    groups: BTreeMap<String, Arc<str>>,
    members: BTreeMap<String, Member>,
}

impl CurveLearner {
    /// Nothing seen yet.
    pub fn new(calendar: Arc<Calendar>, params: &RulerParams) -> Self {
        let (sessions, groups) = (params.sessions, params.groups.clone());
        Self { calendar, sessions, groups, members: BTreeMap::new() }
    }

    /// Takes a price at its instant.
    pub fn price(&mut self, symbol: &str, ts: UnixNanos, price: f64) {
        self.take(symbol, (ts, ts), (price, price));
    }

    /// Takes a bar: its open stands at its start, its close at its end.
    pub fn bar(&mut self, symbol: &str, (start, end): (UnixNanos, UnixNanos), (open, close): (f64, f64)) {
        // The end is exclusive: the last bar of a session lies in it.
        self.take(symbol, (start, end), (open, close));
    }

    fn take(&mut self, symbol: &str, (start, end): (UnixNanos, UnixNanos), (open, close): (f64, f64)) {
        if !self.groups.contains_key(symbol) {
            return;
        }
        let member = self.members.entry(symbol.to_owned()).or_default();
        if member.day.is_none_or(|d| start >= d.session.close || start < d.session.open) {
            let Located::Known(moment) = self.calendar.locate(start) else { return };
            let session = moment.session;
            let is_full = session.close.since(session.open) == BUCKET * 13;
            if start < session.open || start >= session.close || !is_full {
                return;
            }
            if member.day.is_some_and(|d| d.session.date > session.date) {
                return;
            }
            member.keep_day(self.sessions);
            member.day = Some(Day { session, last: start, open, ends: [0.0; CURVE_BUCKETS], seen: 0 });
        }
        let Some(day) = &mut member.day else { return };
        if end < day.last {
            return;
        }
        day.last = end;
        // A bucket ends with its half hour: a price at 10:00 is the last of the first.
        let at = (end.since(day.session.open) - 1).div_euclid(BUCKET).max(0);
        if let Some(at) = usize::try_from(at).ok().filter(|at| *at < CURVE_BUCKETS) {
            day.ends[at] = close;
            day.seen |= 1 << at;
        }
    }

    /// One curve for each group, or why there is none.
    pub fn finish(mut self) -> Vec<(Arc<str>, Result<GroupCurve, NoCurve>)> {
        for member in self.members.values_mut() {
            member.keep_day(self.sessions);
        }
        let names: BTreeSet<Arc<str>> = self.groups.values().cloned().collect();
        names.into_iter().map(|name| (name.clone(), self.learn(&name))).collect()
    }

    fn learn(&self, group: &str) -> Result<GroupCurve, NoCurve> {
        let members =
            || self.members.iter().filter(|(symbol, _)| self.groups.get(*symbol).is_some_and(|g| **g == *group));
        let all: BTreeSet<SessionDate> = members().flat_map(|(_, m)| m.days.iter().map(|(s, _)| *s)).collect();
        if all.len() < self.sessions {
            return Err(NoCurve::Sessions(all.len()));
        }
        let sessions: BTreeSet<SessionDate> = all.into_iter().rev().take(self.sessions).collect();
        let (Some(first), Some(last)) = (sessions.first().copied(), sessions.last().copied()) else {
            return Err(NoCurve::Sessions(0));
        };
        let from = self.calendar.next_after(last).ok_or(NoCurve::CalendarEnds)?.date;
        let mut returns: [Vec<f64>; CURVE_BUCKETS] = std::array::from_fn(|_| Vec::new());
        let mut symbols = Vec::new();
        for (symbol, member) in members() {
            let days: Vec<_> = member.days.iter().filter(|(s, _)| sessions.contains(s)).map(|(_, r)| r).collect();
            // A scale for each symbol, so that the loud ones do not draw the group's curve alone.
            let pooled: Vec<f64> = days.iter().flat_map(|r| r.iter().copied()).collect();
            let Some(scale) = median_abs(&pooled).filter(|s| *s > 0.0) else { continue };
            for day in days {
                for (bucket, r) in returns.iter_mut().zip(day) {
                    bucket.push(r / scale);
                }
            }
            symbols.push(symbol.clone());
        }
        let shares = diurnal_shares(&returns).ok_or(NoCurve::Still)?;
        Ok(GroupCurve { from, span: (first, last), shares, sessions: sessions.len(), symbols })
    }
}

impl Member {
    fn keep_day(&mut self, most: usize) {
        let Some(day) = self.day.take() else { return };
        if let Some(returns) = day.returns() {
            self.days.push_back((day.session.date, returns));
            if self.days.len() > most {
                self.days.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{CalendarOverlay, Curve};

    fn learner(sessions: usize) -> CurveLearner {
        let calendar = Arc::new(Calendar::xnys(&CalendarOverlay::default()).unwrap());
        let params = RulerParams {
            overnight: 0.35,
            overnight_range: (0.1, 0.6),
            sessions,
            pre_market: 0.1,
            curve: Arc::new(Curve::default()),
            groups: [("A".to_owned(), Arc::from("g")), ("B".to_owned(), Arc::from("g"))].into(),
        };
        CurveLearner::new(calendar, &params)
    }

    fn learned(learner: CurveLearner) -> Result<GroupCurve, NoCurve> {
        let [(name, result)] = &learner.finish()[..] else { panic!("one group") };
        assert_eq!(&**name, "g");
        result.clone()
    }

    /// Half hours that move by one, two, one, two ... percent, in turn up and down.
    fn pattern(n: i32) -> f64 {
        let size = if n % 2 == 0 { 0.01 } else { 0.02 };
        if n % 4 < 2 { size } else { -size }
    }

    fn day_of_ticks(learner: &mut CurveLearner, symbol: &str, day: &str, scale: f64) {
        let session = *learner.calendar.session(day.parse().unwrap()).unwrap();
        let mut price = 100.0;
        learner.price(symbol, session.open.plus(-1), 50.0);
        learner.price(symbol, session.open, price);
        for n in 0..13_i32 {
            let end = session.open.plus(i64::from(n + 1) * BUCKET);
            // Not the last price of its half hour, then the last one, exactly at its end.
            learner.price(symbol, end.plus(-BUCKET / 2), price * 1.3);
            price *= (scale * pattern(n)).exp();
            learner.price(symbol, end.plus(if n == 12 { -1 } else { 0 }), price);
        }
        learner.price(symbol, session.close, 200.0);
    }

    #[test]
    fn squares_of_half_hours_are_shared_out() {
        let mut learner = learner(2);
        for (day, scale) in [("2025-02-12", 1.0), ("2025-02-13", 1.0), ("2025-02-14", 1.0)] {
            day_of_ticks(&mut learner, "A", day, scale);
            // A symbol three times as loud, and one that no group has.
            day_of_ticks(&mut learner, "B", day, 3.0 * scale);
            day_of_ticks(&mut learner, "C", day, scale);
        }
        let got = learned(learner).unwrap();
        let total = 7.0 + 6.0 * 4.0;
        for (n, share) in (0..).zip(got.shares) {
            let expected = if n % 2 == 0 { 1.0 } else { 4.0 } / total;
            assert!((share - expected).abs() < 1e-12, "{n}: {share} {expected}");
        }
        let day = |d: &str| d.parse().unwrap();
        assert_eq!((got.from, got.span, got.sessions), (day("2025-02-18"), (day("2025-02-13"), day("2025-02-14")), 2));
        assert_eq!(got.symbols, ["A", "B"]);
    }

    #[test]
    fn bars_say_the_same_as_ticks() {
        let (mut ticks, mut bars) = (learner(1), learner(1));
        day_of_ticks(&mut ticks, "A", "2025-02-12", 1.0);
        let session = *bars.calendar.session("2025-02-12".parse().unwrap()).unwrap();
        let mut price = 100.0;
        for n in 0..13_i32 {
            let start = session.open.plus(i64::from(n) * BUCKET);
            let next = price * pattern(n).exp();
            bars.bar("A", (start, start.plus(BUCKET)), (price, next));
            price = next;
        }
        assert_eq!(learned(bars), learned(ticks));
    }

    #[test]
    fn half_days_gaps_and_long_bars_do_not_count() {
        let mut learner = learner(1);
        day_of_ticks(&mut learner, "A", "2024-11-29", 1.0);
        let session = *learner.calendar.session("2025-02-12".parse().unwrap()).unwrap();
        for n in (0..13).filter(|n| *n != 6) {
            learner.price("A", session.open.plus(n * BUCKET + 1), 100.0);
        }
        let next = *learner.calendar.session("2025-02-13".parse().unwrap()).unwrap();
        for n in 0..7 {
            let start = next.open.plus(2 * n * BUCKET);
            learner.bar("A", (start, start.plus(2 * BUCKET).min(next.close)), (100.0, 101.0));
        }
        assert_eq!(learned(learner.clone()), Err(NoCurve::Sessions(0)));
        // Prices that stand still have no pattern.
        let still = *learner.calendar.session("2025-02-14".parse().unwrap()).unwrap();
        for n in 0..13 {
            learner.price("A", still.open.plus(n * BUCKET + 1), 100.0);
        }
        assert_eq!(learned(learner), Err(NoCurve::Still));
    }

    #[test]
    fn prices_out_of_order_change_nothing() {
        let (mut plain, mut mixed) = (learner(1), learner(1));
        day_of_ticks(&mut plain, "A", "2025-02-12", 1.0);
        let session = *plain.calendar.session("2025-02-12".parse().unwrap()).unwrap();
        day_of_ticks(&mut mixed, "A", "2025-02-12", 1.0);
        mixed.price("A", session.open.plus(BUCKET), 17.0);
        mixed.price("A", session.open.plus(-30 * 86_400 * NANOS_PER_SEC), 17.0);
        assert_eq!(learned(mixed), learned(plain));
    }
}
