//! How shocks of a group and of those around it go together, follow each other and make each other likelier.
//!
//! Fed once a session at its close; what it says of a session never changes afterwards. Nothing here decides a level.

use crate::domain::{self, SessionDate, UnixNanos, Unknown};

mod excitation;
mod follow;
mod image;
mod lead;
mod lift;

use excitation::{Excitation, Observed};
pub use excitation::{ExcitationReading, KindReading};
use follow::FollowUp;
pub use follow::{FollowThrough, Forecast, Scored};
pub use image::ContagionImage;
pub use lead::{Breach, Follower, LAG_MINUTES, LagCounts, LeadLag, lead_lag};
use lift::LiftWindow;
pub use lift::{BroadShare, ConditionalLift};

/// First breaches of one session that are taken, the earliest.
const BREACHES_MAX: usize = 4_096;

/// What counts as broad, and how long a night is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ContagionParams {
    /// Breadth from which a session is broad, 0.05.
    pub broad_at: f64,
    /// Breadth from which it is a shock whose next session is forecast, 0.08.
    pub shock_at: f64,
    /// Minutes of trading that a night counts for, 60. Not negative.
    pub overnight_minutes: f64,
}

impl Default for ContagionParams {
    fn default() -> Self {
        Self { broad_at: 0.05, shock_at: 0.08, overnight_minutes: 60.0 }
    }
}

/// A session at its close.
#[derive(Clone, Debug)]
pub struct ContagionDay<'a> {
    /// Which.
    pub session: SessionDate,
    /// The exchange's session right before; `None` where no calendar says.
    pub previous: Option<SessionDate>,
    /// Start of regular trading.
    pub open: UnixNanos,
    /// Its end.
    pub close: UnixNanos,
    /// Whether a member closed at or beyond the first tier, or why that is not known.
    pub member_breached: Result<bool, Unknown>,
    /// Share of the universe that did, from 0 to 1.
    pub breadth: domain::Reading,
    /// The same of those in it that are no members.
    pub others_breadth: domain::Reading,
    /// Members that could have, and others of the universe.
    pub lines: [u32; 2],
    /// First breach of each line of the universe, in any order; `None` where their times are not known, as of closes alone.
    pub breaches: Option<&'a [Breach]>,
}

/// What is said of contagion, as of a session's close.
#[derive(Clone, PartialEq, Debug)]
pub struct ContagionView {
    /// The last session.
    pub session: Option<SessionDate>,
    /// How much likelier a broad session is when a member breaks.
    pub lift: Result<ConditionalLift, Unknown>,
    /// The same with the breadth of those alone that are no members.
    pub others_lift: Result<ConditionalLift, Unknown>,
    /// What is expected after a shock, and how expectations have held.
    pub follow_through: FollowThrough,
    /// Who broke first in the session. `NOT_COMPUTED` where times are not known, `NO_MEMBER` where no member broke.
    pub lead_lag: Result<LeadLag, Unknown>,
    /// How long after the first member the others broke, over all sessions.
    pub lags: LagCounts,
    /// How much likelier the breaches so far make further ones.
    pub excitation: Result<ExcitationReading, Unknown>,
}

/// Contagion of one group.
#[derive(Clone, PartialEq, Debug)]
pub struct Contagion {
    params: ContagionParams,
    session: Option<SessionDate>,
    lift: LiftWindow,
    others: LiftWindow,
    /// The newest session that was seen while it went on.
    seen_within: Option<SessionDate>,
    follow: FollowUp,
    /// The last session's open and its breaches.
    last: Option<(UnixNanos, Vec<Breach>)>,
    lags: LagCounts,
    excitation: Excitation,
}

impl Contagion {
    /// Of a group of which nothing is known yet.
    pub fn new(params: ContagionParams) -> Self {
        Self {
            params,
            session: None,
            lift: LiftWindow::default(),
            others: LiftWindow::default(),
            seen_within: None,
            follow: FollowUp::default(),
            last: None,
            lags: LagCounts::default(),
            excitation: Excitation::default(),
        }
    }

    /// The last session taken.
    pub fn session(&self) -> Option<SessionDate> {
        self.session
    }

    /// Whether a session was seen while it went on, so that the times of its breaches are known.
    pub fn is_seen_within(&self, session: SessionDate) -> bool {
        self.seen_within == Some(session)
    }

    /// A price was seen before the end of a session.
    pub fn see_within(&mut self, session: SessionDate) {
        self.seen_within = self.seen_within.max(Some(session));
    }

    /// Takes a session at its close: whether it is news. One that is not after the last changes nothing.
    pub fn close(&mut self, day: &ContagionDay<'_>) -> bool {
        if self.session.is_some_and(|last| day.session <= last) {
            return false;
        }
        let ContagionParams { broad_at, shock_at, overnight_minutes } = self.params;
        let finite = |b: f64| if b.is_finite() { Ok(b) } else { Err(Unknown::NotYet) };
        let breadth = day.breadth.and_then(finite);
        let is_next = self.session.is_none() || self.session == day.previous;
        self.session = Some(day.session);
        if let (Ok(breached), Ok(breadth)) = (day.member_breached, breadth) {
            self.lift.keep(breached, breadth >= broad_at);
        }
        if let (Ok(breached), Ok(breadth)) = (day.member_breached, day.others_breadth.and_then(finite)) {
            self.others.keep(breached, breadth >= broad_at);
        }
        self.follow.close(day.session, day.previous, breadth, (broad_at, shock_at));
        self.last = day.breaches.map(|breaches| {
            let mut breaches = breaches.to_vec();
            breaches.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.symbol.cmp(&b.symbol)));
            breaches.truncate(BREACHES_MAX);
            (day.open, breaches)
        });
        if let Ok(lead) = self.lead() {
            self.lags.add(&lead.lags);
        }
        let observed = self.last.as_ref().map(|(open, breaches)| Observed {
            open: *open,
            close: day.close,
            breaches,
            lines: day.lines,
        });
        self.excitation.close(observed.as_ref(), is_next, overnight_minutes);
        true
    }

    fn lead(&self) -> Result<LeadLag, Unknown> {
        let (open, breaches) = self.last.as_ref().ok_or(Unknown::NotComputed)?;
        lead_lag(breaches, *open).ok_or(Unknown::NoMember)
    }

    /// Everything known as of the last session.
    pub fn view(&self) -> ContagionView {
        ContagionView {
            session: self.session,
            lift: self.lift.read(),
            others_lift: self.others.read(),
            follow_through: self.follow.read(),
            lead_lag: self.lead(),
            lags: self.lags,
            excitation: self.excitation.read(self.params.overnight_minutes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NANOS_PER_SEC, Symbol};

    fn day(n: i32) -> SessionDate {
        SessionDate::from_days(20_000 + n).unwrap()
    }

    fn breaches(n: i32) -> Vec<Breach> {
        let at = |minute: i32| UnixNanos(i64::from(minute) * 60 * NANOS_PER_SEC);
        let breach = |symbol: &str, minute: i32, is_member: bool| Breach {
            symbol: Symbol::new(symbol).unwrap(),
            at: at(n * 1_440 + minute),
            z: if minute % 2 == 0 { Ok(3.2) } else { Err(Unknown::NoClose) },
            is_member,
        };
        let first = 20 + n * 37 % 200;
        vec![breach("KO", first + 9, false), breach("NVDA", first, true), breach("AMD", first + 40 + n % 3, false)]
    }

    fn feed(contagion: &mut Contagion, days: std::ops::Range<i32>) {
        for n in days {
            let list = if n % 4 == 0 { Vec::new() } else { breaches(n) };
            let open = UnixNanos(i64::from(n) * 1_440 * 60 * NANOS_PER_SEC);
            let fed = ContagionDay {
                session: day(n),
                previous: Some(day(n - 1)),
                open,
                close: open.plus(390 * 60 * NANOS_PER_SEC),
                member_breached: if n % 11 == 5 { Err(Unknown::NoMember) } else { Ok(n % 4 != 0) },
                breadth: if n % 13 == 7 { Err(Unknown::Coverage) } else { Ok(f64::from(n % 6) * 0.02) },
                others_breadth: if n % 7 == 2 { Err(Unknown::NotComputed) } else { Ok(f64::from(n % 5) * 0.02) },
                lines: [7, 43],
                breaches: Some(&list),
            };
            if n % 2 == 0 {
                contagion.see_within(day(n));
            }
            assert!(contagion.close(&fed));
            assert!(!contagion.close(&fed), "said twice");
        }
    }

    #[test]
    fn an_image_in_mid_stream_changes_no_bit() {
        let params = ContagionParams::default();
        let mut whole = Contagion::new(params);
        feed(&mut whole, 0..90);
        for cut in [0, 1, 10, 33, 70, 89] {
            let mut first = Contagion::new(params);
            feed(&mut first, 0..cut);
            let bytes = postcard::to_allocvec(&first.image()).unwrap();
            let mut again = Contagion::restore(params, postcard::from_bytes(&bytes).unwrap());
            assert_eq!(again.view(), first.view(), "cut at {cut}");
            feed(&mut again, cut..90);
            assert_eq!(again, whole, "cut at {cut}");
        }
        let view = whole.view();
        assert_eq!(view.lead_lag.unwrap().initiator.unwrap().as_str(), "NVDA");
        assert!(view.lags.0[1] > 0 && view.lags.0[2] > 0 && view.lift.is_ok() && view.follow_through.scored > 0);
        assert!(view.others_lift.is_ok_and(|others| view.lift.is_ok_and(|lift| lift != others)));
        assert!(whole.is_seen_within(day(88)) && !whole.is_seen_within(day(89)));
        assert_eq!(view.excitation.unwrap().events, 67 * 3);
    }

    #[test]
    fn every_parameter_matters() {
        let with = |params: ContagionParams| {
            let mut contagion = Contagion::new(params);
            feed(&mut contagion, 0..90);
            contagion.view()
        };
        let usual = ContagionParams::default();
        let base = with(usual);
        assert_ne!(with(ContagionParams { broad_at: 0.03, ..usual }).lift, base.lift);
        assert_ne!(with(ContagionParams { shock_at: 0.05, ..usual }).follow_through, base.follow_through);
        assert_ne!(with(ContagionParams { overnight_minutes: 10.0, ..usual }).excitation, base.excitation);
    }

    #[test]
    fn closes_alone_say_nothing_of_order_or_excitation() {
        let mut contagion = Contagion::new(ContagionParams::default());
        assert_eq!(contagion.view().session, None);
        let fed = ContagionDay {
            session: day(0),
            previous: None,
            open: UnixNanos(0),
            close: UnixNanos(390 * 60 * NANOS_PER_SEC),
            member_breached: Ok(true),
            breadth: Ok(0.1),
            others_breadth: Ok(0.1),
            lines: [7, 43],
            breaches: None,
        };
        contagion.close(&fed);
        let view = contagion.view();
        assert_eq!((view.lead_lag, view.excitation), (Err(Unknown::NotComputed), Err(Unknown::NotYet)));
        contagion.close(&ContagionDay { session: day(1), breaches: Some(&[]), ..fed });
        assert_eq!(contagion.view().lead_lag, Err(Unknown::NoMember));
    }
}
