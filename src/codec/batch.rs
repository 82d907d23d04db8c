//! What one record says, and the one outcome it comes to.

use super::error::DecodeError;
use crate::domain::{Observation, Outcome};
use crate::engine::Disposition;
use std::borrow::Cow;

/// The events of one record, in its order. Vendors put several into one message; the native form has one.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch<'a> {
    /// The first event, or why the record has none.
    pub first: Result<Observation<'a>, DecodeError>,
    /// Those after it, at most [`EVENTS_MAX`] with the first. Empty without an allocation.
    pub rest: Vec<Result<Observation<'static>, DecodeError>>,
}

/// Events of one record; a record with more is malformed as a whole.
pub const EVENTS_MAX: usize = 4_096;

/// The outcome of a record and the reason for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// The one outcome; `None` while the record waits in quarantine.
    pub outcome: Option<Outcome>,
    /// Short code from a fixed set.
    pub reason: &'static str,
    /// What exactly, where there is more to say.
    pub detail: Cow<'static, str>,
}

impl<'a> Batch<'a> {
    /// A record of one event.
    #[inline]
    pub fn one(first: Result<Observation<'a>, DecodeError>) -> Self {
        Self { first, rest: Vec::new() }
    }

    /// The events that could be decoded, in order.
    pub fn events(&self) -> impl Iterator<Item = &Observation<'a>> + Clone {
        std::iter::once(&self.first).chain(&self.rest).filter_map(|event| event.as_ref().ok())
    }

    /// Takes every event that could be decoded, in order, and settles the record's one outcome.
    ///
    /// The outcome is that of the event with the most to say, the first of its kind: a refusal (`malformed`,
    /// `rejected`, `unknown_symbol`, `late`) before `applied`, that before `duplicate`, that before `ignored`.
    /// A refused event keeps none of the others from being taken. `step` is told whether the event is one of
    /// several: one of those that waits in quarantine counts as applied, and its record does not wait.
    #[inline]
    pub fn judge(self, mut step: impl FnMut(&Observation<'_>, bool) -> Option<Disposition>) -> Judged {
        let is_part = !self.rest.is_empty();
        let first = settle(self.first, &mut |observation| step(observation, is_part));
        if is_part { among(first, self.rest, &mut |observation| step(observation, true)) } else { first }
    }
}

#[inline]
fn settle(
    event: Result<Observation<'_>, DecodeError>,
    step: &mut impl FnMut(&Observation<'_>) -> Option<Disposition>,
) -> Judged {
    match event {
        Ok(observation) => {
            let answer = step(&observation);
            let reason = answer.map_or("quarantined", |d| d.reason);
            Judged { outcome: answer.map(|d| d.outcome), reason, detail: Cow::Borrowed("") }
        }
        Err(DecodeError { outcome, reason, detail }) => Judged { outcome: Some(outcome), reason, detail },
    }
}

#[cold]
fn among(
    first: Judged,
    rest: Vec<Result<Observation<'static>, DecodeError>>,
    step: &mut impl FnMut(&Observation<'_>) -> Option<Disposition>,
) -> Judged {
    let count = rest.len() + 1;
    let (mut worst, mut at) = (first, 1);
    for (number, event) in (2..).zip(rest) {
        let next = settle(event, step);
        if weight(next.outcome) > weight(worst.outcome) {
            (worst, at) = (next, number);
        }
    }
    worst.outcome = worst.outcome.or(Some(Outcome::Applied));
    if worst.outcome.is_some_and(Outcome::is_dead_letter) {
        let what = if worst.detail.is_empty() { worst.reason } else { &worst.detail };
        worst.detail = format!("event {at} of {count}: {what}").into();
    }
    worst
}

/// How much an outcome says about a record of several events.
fn weight(outcome: Option<Outcome>) -> u8 {
    match outcome.unwrap_or(Outcome::Applied) {
        Outcome::Malformed => 7,
        Outcome::Rejected => 6,
        Outcome::UnknownSymbol => 5,
        Outcome::Late => 4,
        Outcome::Applied => 3,
        Outcome::Duplicate => 2,
        Outcome::Ignored => 1,
        Outcome::Tombstone => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Tick, UnixNanos};

    fn event(outcome: Option<Outcome>) -> Result<Observation<'static>, DecodeError> {
        match outcome {
            None => Ok(Observation::Tick(Tick::new("A", UnixNanos(1), Price::new(1.0).unwrap()))),
            Some(outcome) => Err(DecodeError { outcome, reason: outcome.name(), detail: "why".into() }),
        }
    }

    /// Events as refusals or as ticks that meet with `said` in turn.
    fn check(events: &[Option<Outcome>], said: &[Outcome], expected: (Outcome, &str)) {
        let mut events = events.iter().map(|e| event(*e));
        let batch = Batch { first: events.next().unwrap(), rest: events.collect() };
        let mut said = said.iter();
        let count = 1 + batch.rest.len();
        let judged = batch.judge(|_, is_part| {
            assert_eq!(is_part, count > 1);
            let outcome = *said.next().unwrap();
            Some(Disposition { outcome, reason: outcome.name() })
        });
        assert_eq!(said.next(), None, "every event that was decoded is taken");
        assert_eq!((judged.outcome.unwrap(), &*judged.detail), expected);
        assert_eq!(judged.reason, expected.0.name());
    }

    #[test]
    fn a_record_waits_alone_and_not_for_a_part_of_it() {
        let tick = || event(None);
        assert_eq!(Batch::one(tick()).judge(|_, _| None).outcome, None);
        let two = Batch { first: tick(), rest: vec![tick()] };
        assert_eq!(two.judge(|_, _| None).outcome, Some(Outcome::Applied));
    }

    #[test]
    fn the_event_with_the_most_to_say_speaks_for_the_record() {
        use Outcome::{Applied, Duplicate, Ignored, Late, Malformed, Rejected, UnknownSymbol};
        check(&[None], &[Late], (Late, ""));
        check(&[Some(Malformed)], &[], (Malformed, "why"));
        check(&[Some(Ignored), None, Some(Ignored)], &[Applied], (Applied, ""));
        check(&[Some(Ignored), None], &[Duplicate], (Duplicate, ""));
        check(&[None, None], &[Duplicate, Applied], (Applied, ""));
        check(&[None, Some(Rejected), None], &[Late, Applied], (Rejected, "event 2 of 3: why"));
        check(&[None, None, None], &[Applied, Late, UnknownSymbol], (UnknownSymbol, "event 3 of 3: unknown_symbol"));
        check(&[Some(Rejected), Some(Malformed), Some(Malformed)], &[], (Malformed, "event 2 of 3: why"));
    }
}
