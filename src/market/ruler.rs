//! The variance clock of a session: which share of a day's variance has passed at an instant.
//!
//! A day's variance comes in two parts: the share `f_on` from the last close to the open, and the rest over
//! the regular session along a diurnal curve `U`. So `F = f_on + (1 - f_on) * U`, and a move is unusual for
//! the time of day when it is large against `sigma * sqrt(F)`. Nothing here looks at prices as they come:
//! curves and shares are learned elsewhere, or are the defaults, and say which they are.

use super::{Calendar, Located, Session};
use crate::domain::{CURVE_BUCKETS, SessionDate, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the variance of a regular session accrues: shares of 13 parts of equal length, even within each.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Curve {
    shares: [f64; CURVE_BUCKETS],
    /// Share accrued at the end of each part; the last is exactly 1.
    ends: [f64; CURVE_BUCKETS],
}

impl Default for Curve {
    /// The same share everywhere.
    fn default() -> Self {
        let ends = std::array::from_fn(|at| (at + 1) as f64 / CURVE_BUCKETS as f64);
        Self { shares: [1.0; CURVE_BUCKETS], ends }
    }
}

impl Curve {
    /// From shares, which count in proportion to their sum. `None` unless they are finite, not negative and not all 0.
    pub fn new(shares: [f64; CURVE_BUCKETS]) -> Option<Self> {
        let total: f64 = shares.iter().sum();
        if !(total.is_finite() && total > 0.0 && shares.iter().all(|s| *s >= 0.0)) {
            return None;
        }
        let mut sum = 0.0;
        let mut ends = shares.map(|s| {
            sum += s;
            sum / total
        });
        ends[CURVE_BUCKETS - 1] = 1.0;
        Some(Self { shares, ends })
    }

    /// Shares of the parts, as given: they need not sum to 1.
    pub fn shares(&self) -> &[f64; CURVE_BUCKETS] {
        &self.shares
    }

    /// `U(tau)`: share of the session's variance by the part `tau` of its length, 0 to 1, linear within a
    /// bucket. Held at 0 and 1 outside.
    pub fn elapsed(&self, tau: f64) -> f64 {
        if tau <= 0.0 {
            return 0.0;
        }
        if tau >= 1.0 {
            return 1.0;
        }
        let x = tau * CURVE_BUCKETS as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 13")]
        let at = (x as usize).min(CURVE_BUCKETS - 1);
        let start = if at == 0 { 0.0 } else { self.ends[at - 1] };
        start + (x - at as f64) * (self.ends[at] - start)
    }
}

/// How variance is taken to accrue where nothing has been learned, and what learning asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct RulerParams {
    /// Share of a day's variance before the open, until it is learned.
    pub overnight: f64,
    /// A learned share is held within these.
    pub overnight_range: (f64, f64),
    /// Sessions that a learned share rests on.
    pub sessions: usize,
    /// Share that has passed at the start of the pre-market, and the least that is ever taken to have.
    pub pre_market: f64,
    /// Diurnal curve, until one is learned.
    pub curve: Arc<Curve>,
    /// Group of symbols with a curve of their own, by symbol.
    pub groups: BTreeMap<String, Arc<str>>,
}

/// The ruler of one symbol in one session: a clock that counts variance.
#[derive(Clone, PartialEq, Debug)]
pub struct VarianceClock {
    /// Session it runs through.
    pub session: Session,
    /// Share of a day's variance before the open.
    pub overnight: f64,
    /// Sessions that share was learned from; 0: the default.
    pub overnight_sessions: usize,
    /// Share at the start of the pre-market.
    pub pre_market: f64,
    /// Diurnal curve of the regular session.
    pub curve: Arc<Curve>,
    /// Sessions the curve was learned from; 0: the default.
    pub curve_sessions: usize,
}

/// `ts` as a part of the way from `from` to `to`.
fn part(ts: UnixNanos, from: UnixNanos, to: UnixNanos) -> f64 {
    ts.since(from) as f64 / to.since(from).max(1) as f64
}

impl VarianceClock {
    /// Least share that is taken to have passed.
    fn floor(&self) -> f64 {
        self.pre_market.min(self.overnight)
    }

    /// `U`: share of the regular session's variance that has passed at `ts`, 0 before the open, 1 from the
    /// close on. A shorter session runs through the same curve faster.
    pub fn intraday(&self, ts: UnixNanos) -> f64 {
        self.curve.elapsed(part(ts, self.session.open, self.session.close))
    }

    /// Share of the day's variance that has passed at `ts`, from 0 where the session begins (the end of the
    /// last post-market) to 1 at its close: in a straight line to `pre_market` at 04:00, in another to the
    /// overnight share at the open, then along the curve. Little is published about the first two.
    pub fn share(&self, ts: UnixNanos) -> f64 {
        let s = &self.session;
        if ts >= s.close {
            1.0
        } else if ts >= s.open {
            self.overnight + (1.0 - self.overnight) * self.intraday(ts)
        } else if ts >= s.pre {
            let start = self.floor();
            start + (self.overnight - start) * part(ts, s.pre, s.open)
        } else if ts > s.begin {
            self.floor() * part(ts, s.begin, s.pre)
        } else {
            0.0
        }
    }

    /// `max(F, F_min)` at `ts`: what a multiple of the day's sigma is adjusted by. Above 0, at most 1.
    pub fn elapsed(&self, ts: UnixNanos) -> f64 {
        self.share(ts).max(self.floor())
    }

    /// `z / sqrt(max(F, F_min))`: the multiple against the variance that has passed, instead of a full day's.
    pub fn adjusted(&self, z: f64, ts: UnixNanos) -> f64 {
        z / self.elapsed(ts).sqrt()
    }

    /// Share of a regular session's deviation between two instants of it: `sqrt((1 - f_on) (U(to) - U(from)))`.
    /// Times the day's sigma it is the deviation of a move over that window. `None` where no variance passes.
    pub fn window_deviation(&self, from: UnixNanos, to: UnixNanos) -> Option<f64> {
        let share = (1.0 - self.overnight) * (self.intraday(to) - self.intraday(from));
        (share > 0.0).then(|| share.sqrt())
    }

    /// Days' worth of variance between two instants, across phases and sessions, with this clock's shares in
    /// each of them: 1 from one close to the next. `None` where the calendar does not know an instant, or
    /// `to` lies before `from`.
    pub fn share_between(&self, calendar: &Calendar, from: UnixNanos, to: UnixNanos) -> Option<f64> {
        if to < from {
            return None;
        }
        let at = |ts| match calendar.locate(ts) {
            Located::Known(moment) => Some(moment.session),
            Located::Unknown { .. } => None,
        };
        let (first, last) = (at(from)?, at(to)?);
        let days = calendar.sessions_between(first.date, last.date)?;
        let share = |session, ts| Self { session, ..self.clone() }.share(ts);
        Some(days as f64 + share(last, to) - share(first, from))
    }
}

/// Part of a day's variance before the open, from returns of the same sessions: overnight (last close to
/// open) and intraday (open to close).
///
/// `sum on^2 / (sum on^2 + sum id^2)`, both means taken as 0; 0 to 1. `None` without any variance.
pub fn overnight_share(parts: &[(f64, f64)]) -> Option<f64> {
    let squares = |part: fn(&(f64, f64)) -> f64| parts.iter().map(|p| part(p) * part(p)).sum::<f64>();
    let (overnight, intraday) = (squares(|p| p.0), squares(|p| p.1));
    let total = overnight + intraday;
    (total > 0.0).then(|| overnight / total)
}

/// The curve in force from a session on.
#[derive(Clone, PartialEq, Debug)]
pub struct LearnedCurve {
    /// First session it holds for.
    pub from: SessionDate,
    /// Its shape.
    pub curve: Arc<Curve>,
    /// Share of variance before the open, where it was learned too.
    pub overnight: Option<f64>,
    /// Sessions behind it.
    pub sessions: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::CalendarOverlay;

    /// Not smooth, so that a wrong bucket shows.
    const SHARES: [f64; CURVE_BUCKETS] = [0.26, 0.13, 0.09, 0.06, 0.07, 0.06, 0.04, 0.05, 0.03, 0.06, 0.05, 0.04, 0.06];

    fn calendar() -> Calendar {
        Calendar::xnys(&CalendarOverlay::default()).unwrap()
    }

    fn clock(day: &str, overnight: f64) -> VarianceClock {
        let session = *calendar().session(day.parse().unwrap()).unwrap();
        VarianceClock {
            session,
            overnight,
            overnight_sessions: 0,
            pre_market: 0.1,
            curve: Arc::new(Curve::new(SHARES).unwrap()),
            curve_sessions: 0,
        }
    }

    fn utc(text: &str) -> UnixNanos {
        UnixNanos::parse_rfc3339(text).unwrap()
    }

    fn check(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
    }

    /// Anchor G12: NVDA at the open of 2025-01-27.
    #[test]
    fn the_published_anchor() {
        let clock = clock("2025-01-27", 0.375);
        let z = (124.80_f64 / 142.62).ln() / 0.02956;
        assert!((z / -4.515_267_072_56 - 1.0).abs() < 1e-11, "{z}");
        let adjusted = clock.adjusted(z, utc("2025-01-27T14:30:00Z"));
        assert!((adjusted / -7.373_400_253_44 - 1.0).abs() < 1e-11, "{adjusted}");
    }

    #[test]
    fn shares_accrue_through_the_phases() {
        let clock = clock("2025-01-27", 0.35);
        for (at, expected) in [
            // The last post-market ended on Friday evening.
            ("2025-01-25T01:00:00Z", 0.0),
            // 28 of the 56 hours to 04:00.
            ("2025-01-26T05:00:00Z", 0.05),
            ("2025-01-27T09:00:00Z", 0.1),
            // Two of the five and a half hours of the pre-market.
            ("2025-01-27T11:00:00Z", 0.1 + 0.25 * 2.0 / 5.5),
            ("2025-01-27T14:30:00Z", 0.35),
            ("2025-01-27T14:45:00Z", 0.35 + 0.65 * 0.13),
            ("2025-01-27T15:00:00Z", 0.35 + 0.65 * 0.26),
            // 10 minutes into the last half hour.
            ("2025-01-27T20:40:00Z", 0.35 + 0.65 * (0.94 + 0.02)),
            ("2025-01-27T21:00:00Z", 1.0),
            ("2025-01-27T23:00:00Z", 1.0),
        ] {
            check(clock.share(utc(at)), expected);
            check(clock.elapsed(utc(at)), expected.max(0.1));
        }
    }

    #[test]
    fn a_half_day_runs_through_the_same_curve() {
        let clock = clock("2024-11-29", 0.35);
        // 13:00 New York is the close; 105 of 210 minutes are half of the curve.
        check(clock.intraday(utc("2024-11-29T16:15:00Z")), 0.67 + 0.5 * 0.04);
        check(clock.share(utc("2024-11-29T18:00:00Z")), 1.0);
    }

    #[test]
    fn one_day_of_variance_lies_between_two_closes() {
        let (calendar, clock) = (calendar(), clock("2025-03-07", 0.35));
        let between = |from, to| clock.share_between(&calendar, utc(from), utc(to)).unwrap();
        // Across the weekend on which New York's clocks change, and across a closed day.
        check(between("2025-03-07T21:00:00Z", "2025-03-10T20:00:00Z"), 1.0);
        check(between("2025-01-08T21:00:00Z", "2025-01-10T21:00:00Z"), 1.0);
        check(between("2025-03-07T21:00:00Z", "2025-03-10T13:30:00Z"), 0.35);
        check(between("2025-03-07T20:30:00Z", "2025-03-10T14:00:00Z"), 0.65 * 0.06 + 0.35 + 0.65 * 0.26);
        // Post-market moves nothing.
        check(between("2025-03-07T21:00:00Z", "2025-03-08T00:00:00Z"), 0.0);
        check(between("2025-03-03T21:00:00Z", "2025-03-14T20:00:00Z"), 9.0);
        assert_eq!(clock.share_between(&calendar, utc("2025-03-08T00:00:00Z"), utc("2025-03-07T00:00:00Z")), None);
        assert_eq!(clock.share_between(&calendar, utc("1900-01-01T00:00:00Z"), utc("2025-03-07T00:00:00Z")), None);
    }

    #[test]
    fn a_pre_market_share_never_passes_the_overnight_share() {
        let clock = VarianceClock { pre_market: 0.3, ..clock("2025-01-27", 0.2) };
        check(clock.elapsed(utc("2025-01-27T09:00:00Z")), 0.2);
        check(clock.elapsed(utc("2025-01-27T12:00:00Z")), 0.2);
    }

    #[test]
    fn curves_are_scaled_and_nonsense_is_none() {
        let curve = Curve::new([2.0; CURVE_BUCKETS]).unwrap();
        check(curve.elapsed(0.5), 0.5);
        assert_eq!(curve.elapsed(1.5).to_bits(), 1.0_f64.to_bits());
        assert_eq!(curve.elapsed(-0.5).to_bits(), 0.0_f64.to_bits());
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let mut shares = SHARES;
            shares[3] = bad;
            assert_eq!(Curve::new(shares), None);
        }
        assert_eq!(Curve::new([0.0; CURVE_BUCKETS]), None);
    }

    #[test]
    fn the_overnight_share_is_that_of_the_squares() {
        check(overnight_share(&[(0.01, -0.01), (-0.02, 0.01)]).unwrap(), 5.0 / 7.0);
        assert_eq!(overnight_share(&[]), None);
        assert_eq!(overnight_share(&[(0.0, 0.0)]), None);
    }
}
