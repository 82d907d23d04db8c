//! A group as readers see it.

use super::derived::DerivedView;
use super::index::{Loss, YearToDate};
use super::surface::SurfaceView;
use super::universe::Tally;
use crate::domain::{self, Leg, SessionDate, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group as readers see it.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupView {
    /// Its name.
    pub name: Arc<str>,
    /// Session at hand.
    pub session: Option<SessionDate>,
    /// Whether levels are told of it.
    pub is_judged: bool,
    /// Level, `UNKNOWN` included.
    pub level: &'static str,
    /// 0 to 3, or -1 for unknown.
    pub level_number: i8,
    /// Share of weight known.
    pub coverage: domain::Reading,
    /// Basket return.
    pub basket_return: domain::Reading,
    /// Legs of the verdict.
    pub legs: Vec<Leg>,
    /// Members with their multiples.
    pub members: Vec<(Symbol, domain::Reading)>,
    /// How many of its members break.
    pub breadth: Tally,
    /// How many break of its universe, where it is judged by its own past.
    pub universe: Option<Tally>,
    /// The same by sector, where records name one.
    pub sectors: BTreeMap<Arc<str>, Tally>,
    /// The fragility index of its year to date, at a close.
    pub index: Option<YearToDate>,
    /// What lies beneath the index above it, at a close; `None` without a benchmark.
    pub surface: Option<Arc<SurfaceView>>,
    /// What follows from its members' returns and those of the index, at a close; `None` without a benchmark.
    pub derived: Option<Arc<DerivedView>>,
    /// Losses of the session among the largest ever seen here, at a close.
    pub losses: Vec<Loss>,
}
