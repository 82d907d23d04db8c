//! Breaches that make further breaches likelier, in a group and around it.

use super::lead::{Breach, OPENING};
use crate::domain::{NANOS_PER_SEC, UnixNanos, Unknown};
use crate::estimators::{FitRefusal, Hawkes, HawkesEvent, HawkesParams, fit_hawkes};
use std::collections::VecDeque;

/// Breaches kept: some four years of a universe of fifty.
pub(super) const EVENTS_MAX: usize = 1_024;
/// Breaches, and one in so many of those fitted before, that have to be new for another fit.
const NEW_MIN: u32 = 10;
/// Stock-days in which a close lies beyond three sigmas: 2.22 % over the S&P 500 in 2024 and 2025.
const CLOSES_BEYOND: f64 = 0.0222;
/// Stock-days in which a price of the day does, over those in which the close does.
const TOUCHES: f64 = 1.84;
/// Events that one makes, where nothing is fitted.
const OFFSPRING: f64 = 0.4;
/// Minutes of trading in which its excitation fades to 37 %, where nothing is fitted.
const TIME_CONSTANT: f64 = 60.0;

/// One kind of lines at the close of a session.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KindReading {
    /// Breaches a minute of trading without any excitation.
    pub mu: f64,
    /// Breaches a minute of trading to be expected right after the close.
    pub intensity: f64,
    /// The one over the other: 1 when all is quiet.
    pub ratio: f64,
    /// Probability that a breach now would be the making of earlier ones.
    pub endogenous_share: f64,
}

/// How a group and those around it excite each other, at the close of a session.
///
/// A [`Hawkes`] process of two kinds, members of the group and the others of the universe, each first breach of a line in a
/// session being an event of mark 1: at the instant of a breach all are about as large. Time is minutes of regular trading,
/// a night counts [`super::ContagionParams::overnight_minutes`]; breaches before the open and in the first minute are of one
/// instant, so none of them excites another.
///
/// `UNFITTED` parameters: 4.1 % of stock-days have a breach (2.22 % at the close, 1.84 times that within the day), one breach
/// makes 0.4 others, spread over both kinds by their numbers, and its excitation fades with a time constant of 60 minutes.
/// `FITTED` ones are of maximum likelihood over the newest 1,024 breaches ([`fit_hawkes`]).
#[derive(Clone, PartialEq, Debug)]
pub struct ExcitationReading {
    /// Whether the parameters were fitted: `FITTED` or `UNFITTED`.
    pub label: &'static str,
    /// Why nothing is fitted.
    pub refused: Option<FitRefusal>,
    /// Breaches kept.
    pub events: u32,
    /// Minutes of trading they were seen in.
    pub minutes: f64,
    /// Time constant of the decay, in minutes of trading.
    pub time_constant_minutes: f64,
    /// Spectral radius of `offspring`, below 1.
    pub branching_ratio: f64,
    /// Breaches of members, then of others (rows), that one breach of a member, or of another (columns), makes.
    pub offspring: [[f64; 2]; 2],
    /// Members.
    pub members: KindReading,
    /// Others.
    pub others: KindReading,
}

/// A session's breaches with the hours they fell in.
pub(super) struct Observed<'a> {
    pub(super) open: UnixNanos,
    pub(super) close: UnixNanos,
    pub(super) breaches: &'a [Breach],
    /// Members and others that could break.
    pub(super) lines: [u32; 2],
}

/// The breaches seen without a gap, and what was fitted to them.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Excitation {
    /// Minutes of trading at the last close; `None` before any.
    pub(super) clock: Option<f64>,
    /// Where the breaches kept begin.
    pub(super) since: f64,
    /// When, and whether it was of another than a member; oldest first.
    pub(super) events: VecDeque<(f64, bool)>,
    /// Breaches since the last fit was tried.
    pub(super) fresh: u32,
    pub(super) fitted: Option<HawkesParams>,
    pub(super) refused: Option<FitRefusal>,
    /// Members and others of the last session, and its minutes.
    pub(super) lines: [u32; 2],
    pub(super) length: f64,
}

impl Default for Excitation {
    fn default() -> Self {
        Self {
            clock: None,
            since: 0.0,
            events: VecDeque::new(),
            fresh: 0,
            fitted: None,
            refused: Some(FitRefusal::TooFewEvents),
            lines: [0; 2],
            length: 0.0,
        }
    }
}

impl Excitation {
    /// Takes a session. One whose breaches have no known times, and one behind sessions that were not told, ends what was
    /// seen: it begins anew, with the same parameters.
    pub(super) fn close(&mut self, session: Option<&Observed<'_>>, is_next: bool, overnight_minutes: f64) {
        let session = session.filter(|s| s.close > s.open);
        if session.is_none() || !is_next {
            let (fitted, refused) = (self.fitted.take(), self.refused);
            *self = Self { fitted, refused, ..Self::default() };
        }
        let Some(session) = session else { return };
        let minutes = |nanos: i64| nanos as f64 / (60 * NANOS_PER_SEC) as f64;
        let start = self.clock.map_or(0.0, |clock| clock + overnight_minutes);
        self.length = minutes(session.close.since(session.open));
        self.lines = session.lines;
        let place = |b: &Breach| {
            let after = b.at.since(session.open);
            let after = if after < OPENING { 0.0 } else { minutes(after).min(self.length) };
            (start + after, !b.is_member)
        };
        let mut events: Vec<(f64, bool)> = session.breaches.iter().map(place).collect();
        events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.fresh = self.fresh.saturating_add(u32::try_from(events.len()).unwrap_or(u32::MAX));
        self.events.extend(events);
        while self.events.len() > EVENTS_MAX
            && let Some((time, _)) = self.events.pop_front()
        {
            self.since = time;
        }
        self.clock = Some(start + self.length);
        let kept = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        if self.fresh >= NEW_MIN.max(kept / NEW_MIN) {
            self.fit(start + self.length);
        }
    }

    /// The breaches kept, from where they begin.
    fn kept(&self) -> Vec<HawkesEvent> {
        let event =
            |(time, other): &(f64, bool)| HawkesEvent { time: time - self.since, kind: usize::from(*other), mark: 1.0 };
        self.events.iter().map(event).collect()
    }

    fn fit(&mut self, clock: f64) {
        match fit_hawkes(2, &self.kept(), clock - self.since) {
            Ok(fit) => (self.fitted, self.refused, self.fresh) = (Some(fit.params), None, 0),
            // Until there are enough, every session may bring them; what was fitted before a gap holds as long.
            Err(FitRefusal::TooFewEvents) => self.refused = Some(FitRefusal::TooFewEvents),
            // What was fitted to other days does not hold for these.
            Err(refused) => (self.fitted, self.refused, self.fresh) = (None, Some(refused), 0),
        }
    }

    /// Parameters where nothing is fitted; `NO_MEMBER` without lines of both kinds.
    fn assumed(&self, overnight_minutes: f64) -> Result<HawkesParams, Unknown> {
        let [members, others] = self.lines.map(f64::from);
        let a_minute = CLOSES_BEYOND * TOUCHES / (self.length + overnight_minutes);
        let beta = 1.0 / TIME_CONSTANT;
        let share = |lines: f64| OFFSPRING * beta * lines / (members + others);
        // So that with what they make there are as many as are seen.
        let mu = [members, others].map(|lines| lines * a_minute * (1.0 - OFFSPRING));
        let alpha = vec![share(members), share(members), share(others), share(others)];
        HawkesParams::new(mu.to_vec(), alpha, beta).map_err(|_| Unknown::NoMember)
    }

    /// `NOT_YET` before a session whose breaches have known times.
    pub(super) fn read(&self, overnight_minutes: f64) -> Result<ExcitationReading, Unknown> {
        let clock = self.clock.ok_or(Unknown::NotYet)?;
        let params = self.fitted.clone().map_or_else(|| self.assumed(overnight_minutes), Ok)?;
        let mut hawkes = Hawkes::new(params);
        for event in self.kept() {
            hawkes.event(event.kind, event.time, event.mark);
        }
        let minutes = clock - self.since;
        let kind = |kind: usize| {
            Some(KindReading {
                mu: hawkes.params().mu()[kind],
                intensity: hawkes.intensity(kind, minutes)?,
                ratio: hawkes.intensity_ratio(kind, minutes)?,
                endogenous_share: hawkes.endogenous_share(kind, minutes)?,
            })
        };
        let params = hawkes.params();
        let offspring = |of: usize, by: usize| params.alpha()[2 * of + by] / params.beta();
        Ok(ExcitationReading {
            label: if self.fitted.is_some() { "FITTED" } else { "UNFITTED" },
            refused: self.refused,
            events: u32::try_from(self.events.len()).unwrap_or(u32::MAX),
            minutes,
            time_constant_minutes: 1.0 / params.beta(),
            branching_ratio: params.branching_ratio(),
            offspring: [[offspring(0, 0), offspring(0, 1)], [offspring(1, 0), offspring(1, 1)]],
            members: kind(0).ok_or(Unknown::NotYet)?,
            others: kind(1).ok_or(Unknown::NotYet)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Symbol;

    const MINUTE: i64 = 60 * NANOS_PER_SEC;

    fn breach(minute: i64, is_member: bool) -> Breach {
        Breach { symbol: Symbol::new("X").unwrap(), at: UnixNanos(minute * MINUTE), z: Ok(3.1), is_member }
    }

    /// A session of 390 minutes from instant 0.
    fn session(breaches: &[Breach]) -> Observed<'_> {
        Observed { open: UnixNanos(0), close: UnixNanos(390 * MINUTE), breaches, lines: [7, 43] }
    }

    #[test]
    fn without_a_fit_the_base_rates_stand_and_say_so() {
        let mut quiet = Excitation::default();
        assert_eq!(quiet.read(60.0), Err(Unknown::NotYet));
        quiet.close(Some(&session(&[])), true, 60.0);
        let read = quiet.read(60.0).unwrap();
        assert_eq!((read.label, read.refused, read.events), ("UNFITTED", Some(FitRefusal::TooFewEvents), 0));
        assert!((read.branching_ratio - 0.4).abs() < 1e-12 && (read.time_constant_minutes - 60.0).abs() < 1e-9);
        assert!((read.members.ratio - 1.0).abs() < 1e-15 && read.members.endogenous_share.abs() < 1e-15);
        // As many as are seen: mu over what is left of one for its own makings, on 450 minutes.
        let seen = (read.members.mu + read.others.mu) / (1.0 - 0.4) * 450.0;
        assert!((seen - 50.0 * 0.0222 * 1.84).abs() < 1e-12, "{seen}");
        quiet.close(Some(&Observed { lines: [7, 0], ..session(&[]) }), true, 60.0);
        assert_eq!(quiet.read(60.0), Err(Unknown::NoMember));
    }

    #[test]
    fn a_night_has_its_length_and_the_auction_is_one_instant() {
        let mut state = Excitation::default();
        let opening = [breach(-30, true), breach(0, false), breach(500, false), breach(15, true)];
        state.close(Some(&session(&opening)), true, 60.0);
        state.close(Some(&session(&[breach(0, true)])), true, 60.0);
        let events: Vec<_> = state.events.iter().copied().collect();
        assert_eq!(events, [(0.0, false), (0.0, true), (15.0, false), (390.0, true), (450.0, false)]);
        assert_eq!(state.clock, Some(840.0));
        let read = state.read(60.0).unwrap();
        // 390, 450 and 825 minutes before the end, each of offspring 0.4 * 7 / 50 a member and 60 minutes.
        let ages = [840.0, 840.0, 825.0, 450.0, 390.0_f64];
        let excited: f64 = ages.iter().map(|age| 0.4 * 7.0 / 50.0 / 60.0 * (-age / 60.0).exp()).sum();
        assert!((read.members.intensity - read.members.mu - excited).abs() < 1e-15);
        let share = excited / read.members.intensity;
        assert!((read.members.endogenous_share - share).abs() < 1e-12);
        // Behind sessions that nobody told, only what is new is known.
        let mut behind = state.clone();
        behind.close(Some(&session(&[breach(7, true)])), false, 60.0);
        assert_eq!(behind.events.iter().copied().collect::<Vec<_>>(), [(7.0, false)]);
        assert_eq!(behind.clock, Some(390.0));
        // Where the times are not known nothing is, and what came before is gone.
        state.close(None, true, 60.0);
        assert_eq!((state.read(60.0), state.events.len()), (Err(Unknown::NotYet), 0));
    }

    #[test]
    fn bursts_are_fitted_and_what_is_kept_is_bounded() {
        let mut state = Excitation::default();
        let mut labels = Vec::new();
        for day in 0..60 {
            // A member, then others soon after; every third day an other alone.
            let lone = 17 + 53 * (day % 5);
            let mut day_breaches = vec![breach(lone + 60, true), breach(lone + 64, false), breach(lone + 71, false)];
            if day % 3 == 0 {
                day_breaches.push(breach(lone, false));
            }
            state.close(Some(&session(&day_breaches)), true, 60.0);
            labels.push(state.read(60.0).unwrap().label);
        }
        assert_eq!((labels[5], labels[59]), ("UNFITTED", "FITTED"));
        let read = state.read(60.0).unwrap();
        assert!(read.branching_ratio < 1.0 && read.time_constant_minutes < 60.0, "{read:?}");
        let [[_, to_members], [from_members, _]] = read.offspring;
        assert!(from_members > 1.0 && to_members < 0.5 * from_members, "others follow members: {read:?}");
        // A session without times leaves the fit, and ten breaches behind it are too few for another.
        let mut behind = state.clone();
        behind.close(None, true, 60.0);
        let few: Vec<Breach> = (0..10).map(|n| breach(30 * n, n % 2 == 0)).collect();
        behind.close(Some(&session(&few)), true, 60.0);
        assert_eq!(behind.read(60.0).map(|r| (r.label, r.refused)), Ok(("FITTED", Some(FitRefusal::TooFewEvents))));
        let many: Vec<Breach> = (0..900).map(|n| breach(n % 380, n % 4 == 0)).collect();
        state.close(Some(&session(&many)), true, 60.0);
        state.close(Some(&session(&many)), true, 60.0);
        assert_eq!(state.events.len(), EVENTS_MAX);
        assert!(state.since > 27_000.0 && state.events[0].0 >= state.since);
    }
}
