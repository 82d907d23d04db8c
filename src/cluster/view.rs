//! A group as readers see it.

use super::contagion::ContagionView;
use super::derived::DerivedView;
use super::index::YearToDate;
use super::losses::{Loss, LossRecord};
use super::reading::Rank;
use super::surface::SurfaceView;
use super::universe::Tally;
use crate::domain::{self, Leg, SessionDate, Symbol, Unknown};
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
    /// The index above it, with its multiple now; `None` without one.
    pub benchmark: Option<(Symbol, domain::Reading)>,
    /// Legs of the verdict.
    pub legs: Vec<Leg>,
    /// Members with their multiples.
    pub members: Vec<(Symbol, domain::Reading)>,
    /// How many of them are in breach, share classes of a company as one; for none, enough of them have to be known.
    pub in_breach: Result<u32, Unknown>,
    /// How many of its members break.
    pub breadth: Tally,
    /// Where the share of them stands in its own past.
    pub breadth_rank: Rank,
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
    /// How shocks of its members and of those around them go together, at a close; `None` without others around them.
    pub contagion: Option<Arc<ContagionView>>,
    /// Losses of the session among the largest ever seen here; of one that runs, as if it closed now.
    pub losses: Vec<Loss>,
    /// The largest losses of all, seen or told by a history.
    pub loss_records: Vec<LossRecord>,
}
