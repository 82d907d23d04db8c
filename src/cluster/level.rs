//! Levels of a group, and the bounds that make them.

use super::index::DayCount;
use super::legs::LegRow;
use super::losses::PastLoss;
use crate::domain::{LevelView, SessionDate, Symbol};
use std::sync::Arc;

/// How far a group is from calm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Below every bound.
    Calm,
    /// The first level is reached.
    Watch,
    /// The second.
    Alert,
    /// The third.
    Critical,
}

impl Level {
    /// The tiers of a group's rule: every level above calm.
    pub(crate) const TIERS: [f64; 3] = [1.0, 2.0, 3.0];

    /// The inverse of [`Level::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        (0..=3).filter_map(Self::from_number).find(|l| l.name() == name)
    }

    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "CALM",
            Self::Watch => "WATCH",
            Self::Alert => "ALERT",
            Self::Critical => "CRITICAL",
        }
    }

    /// 0 for calm to 3 for critical: the tier in alerts and the value of the metric.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The inverse of [`Level::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Calm, Self::Watch, Self::Alert, Self::Critical].get(usize::from(number)).copied()
    }
}

/// What a level asks for: at least `legs` of the bounds reached.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LevelBounds {
    /// On the absolute basket multiple.
    pub basket_z: f64,
    /// On the weighted root mean square of the members' multiples.
    pub rms_z: f64,
    /// On the number of members at or beyond the first tier.
    pub members: f64,
    /// Bounds that must be reached.
    pub legs: usize,
}

/// Where a group's level comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// Nowhere: it is measured, and no more.
    Unjudged,
    /// Fixed bounds of WATCH, ALERT, CRITICAL.
    Bounds([LevelBounds; 3]),
    /// The percentiles of seven legs.
    Composite(Composite),
}

/// What a level from percentiles needs.
#[derive(Clone, PartialEq, Debug)]
pub struct Composite {
    /// The group that breadth and dispersion are read over.
    pub universe: Arc<str>,
    /// Members of that group from the beginning of time.
    pub universe_members: Vec<String>,
    /// How many of that group's members count.
    pub universe_largest: Option<usize>,
    /// Earlier sessions, from outside.
    pub history: GroupHistory,
}

/// Earlier sessions of a group, from outside, oldest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GroupHistory {
    /// Their legs.
    pub legs: Arc<[LegRow]>,
    /// What broke in those of which that is known.
    pub breaks: Arc<[BreakRow]>,
}

/// What broke in an earlier session at its close, from outside.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BreakRow {
    /// Session.
    pub session: SessionDate,
    /// Whether a member was in breach.
    pub breached: bool,
    /// Share of the universe that was, from 0 to 1.
    pub breadth: f64,
}

/// Legs at their 95th percentile that WATCH and CRITICAL ask for, and at their 99th that ALERT and CRITICAL do.
pub(crate) const WATCH_LEGS: usize = 3;
pub(crate) const CRITICAL_LEGS: usize = 5;
pub(crate) const ALERT_EXTREMES: usize = 1;
pub(crate) const CRITICAL_EXTREMES: usize = 3;

impl Level {
    /// The level of so many legs at their 95th and at their 99th percentile, where `known` of them are known; `None`
    /// where these are too few to reach any.
    pub(crate) fn of_legs(known: usize, reached: usize, extreme: usize) -> Option<Self> {
        if known < WATCH_LEGS {
            return None;
        }
        Some(match (reached, extreme) {
            (CRITICAL_LEGS.., CRITICAL_EXTREMES..) => Self::Critical,
            (WATCH_LEGS.., ALERT_EXTREMES..) => Self::Alert,
            (WATCH_LEGS.., _) => Self::Watch,
            _ => Self::Calm,
        })
    }
}

/// One group, as configured.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupParams {
    /// Its name.
    pub name: Arc<str>,
    /// Members from the beginning of time; records add and remove further ones.
    pub members: Vec<String>,
    /// How many of them count, by market value before the session; `None`: all.
    pub largest: Option<usize>,
    /// Where its level comes from.
    pub verdict: Verdict,
    /// What was counted of it in earlier sessions, where it is the universe of the fragility index.
    pub index: Option<Arc<[DayCount]>>,
    /// Losses of earlier years that its own are ranked among.
    pub losses: Arc<[PastLoss]>,
    /// The index that stands for the market above it.
    pub benchmark: Option<Symbol>,
    /// Share of its market value that the group makes up; `None`: not known, and what members add is told of the group.
    pub benchmark_share: Option<f64>,
    /// The level eases after this long below it, in nanoseconds of event time.
    pub ease_after: i64,
    /// Least share of the group's weight with a known return, and of the universe's securities and weight; below it what
    /// rests on it is unknown.
    pub coverage_min: f64,
    /// Multiple at which a member counts as in breach.
    pub breach_at: f64,
}

impl GroupParams {
    /// Whether it is a group of which levels are told.
    pub fn is_judged(&self) -> bool {
        self.verdict != Verdict::Unjudged
    }

    /// What its level comes from, where that is percentiles.
    pub(super) fn composite(&self) -> Option<&Composite> {
        match &self.verdict {
            Verdict::Composite(composite) => Some(composite),
            _ => None,
        }
    }

    /// What alerts say of the levels.
    pub(super) fn level_views(&self) -> Option<[LevelView; 3]> {
        let Verdict::Bounds(levels) = &self.verdict else { return None };
        let names = [Level::Watch, Level::Alert, Level::Critical].map(Level::name);
        Some(std::array::from_fn(|at| {
            let LevelBounds { basket_z, rms_z, members, legs } = levels[at];
            LevelView { level: names[at], basket_z, rms_z, members, legs }
        }))
    }
}

/// When a symbol belongs to a group: joined, or left, from a session on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    pub(super) from: SessionDate,
    pub(super) inside: bool,
    /// The company, where several symbols are share classes of one.
    pub(super) company: Option<Arc<str>>,
    /// Its sector.
    pub(super) sector: Option<Arc<str>>,
}
