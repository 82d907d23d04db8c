//! Levels of a group, and the bounds that make them.

use crate::domain::{LevelView, SessionDate};
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

/// One group, as configured.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupParams {
    /// Its name.
    pub name: Arc<str>,
    /// Members from the beginning of time; records add and remove further ones.
    pub members: Vec<String>,
    /// WATCH, ALERT, CRITICAL.
    pub levels: [LevelBounds; 3],
    /// The level eases after this long below it, in nanoseconds of event time.
    pub ease_after: i64,
    /// Least share of the group's weight with a known return; below it basket and RMS are unknown.
    pub coverage_min: f64,
    /// Multiple at which a member counts as in breach.
    pub breach_at: f64,
}

impl GroupParams {
    /// What alerts say of the levels.
    pub(super) fn level_views(&self) -> [LevelView; 3] {
        let names = [Level::Watch, Level::Alert, Level::Critical].map(Level::name);
        std::array::from_fn(|at| {
            let LevelBounds { basket_z, rms_z, members, legs } = self.levels[at];
            LevelView { level: names[at], basket_z, rms_z, members, legs }
        })
    }
}

/// When a symbol belongs to a group: joined, or left, from a session on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    pub(super) from: SessionDate,
    pub(super) inside: bool,
    /// The company, where several symbols are share classes of one.
    pub(super) company: Option<Arc<str>>,
}
