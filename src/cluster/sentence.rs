//! The sentence of a group's alert, from the alert's own fields.

use crate::domain::{AlertKind, AlertState, SessionDate};
use std::fmt;

/// One English sentence for people; every number in it stands in its own field too.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct GroupSentence<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: AlertKind,
    pub(crate) state: AlertState,
    /// Level held.
    pub(crate) held: &'a str,
    /// Level read.
    pub(crate) now: &'a str,
    pub(crate) session: Option<SessionDate>,
    pub(crate) basket_return: Option<f64>,
    pub(crate) in_breach: Option<f64>,
    /// Members of the group.
    pub(crate) members: usize,
    pub(crate) breach_at: f64,
    /// The member that breached first.
    pub(crate) first: Option<&'a str>,
    /// Legs at their 95th percentile, of so many; for a level from percentiles.
    pub(crate) legs: Option<(usize, usize)>,
}

impl fmt::Display for GroupSentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, held, now, .. } = self;
        let session = self.session.map_or_else(String::new, |s| s.to_string());
        let verb = match (self.kind, self.state) {
            (AlertKind::Close, AlertState::Expired) => format!("ended {session} without a verdict"),
            (AlertKind::Close, _) => format!("is {now} again on {session}"),
            (AlertKind::Confirm, _) => format!("closed {session} at {held}"),
            (AlertKind::Retract, _) => format!("never stood at {held} on {session} and is {now}"),
            (AlertKind::Fade, _) => format!("did not hold {held} and closed {session} at {now}"),
            _ => format!("is at {held} on {session}"),
        };
        let basket =
            self.basket_return.map_or_else(|| "unknown".to_owned(), |r| format!("{:+.2} %", r.exp_m1() * 100.0));
        let count = self.in_breach.map_or_else(|| "an unknown number".to_owned(), |n| n.to_string());
        let by = self.first.map_or_else(String::new, |s| format!(", first {s}"));
        let legs = self.legs.map_or_else(String::new, |(at, of)| format!("{at} of {of} legs, "));
        let Self { members, breach_at, .. } = self;
        write!(
            f,
            "Group {name} {verb}: {legs}basket {basket}, {count} of {members} members beyond {breach_at} sigma{by}."
        )
    }
}
