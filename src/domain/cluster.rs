//! What a cluster's alert carries beside the arithmetic of its basket.

use super::{Reading, Symbol, UnixNanos, Unknown};
use std::sync::Arc;

/// Where a leg stands in its own history.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LegRank {
    /// Sessions in which it was smaller.
    pub below: u32,
    /// In which it was the same.
    pub equal: u32,
    /// Sessions in which it was known.
    pub observations: u32,
    /// Values beyond which its percentile is at least 0.95, and 0.99.
    pub bounds: [f64; 2],
}

impl LegRank {
    /// The mid-rank `(below + equal / 2) / observations`, from 0 to 1.
    pub fn percentile(&self) -> f64 {
        (f64::from(self.below) + f64::from(self.equal) / 2.0) / f64::from(self.observations)
    }
}

/// One leg of a cluster verdict.
#[derive(Clone, PartialEq, Debug)]
pub struct Leg {
    /// Name of the measure.
    pub name: &'static str,
    /// Its value.
    pub value: Reading,
    /// Where it stands, for a level that comes from percentiles.
    pub rank: Option<Result<LegRank, Unknown>>,
    /// The bound of the level held, or of the first level; of percentiles that of the 95th.
    pub threshold: Reading,
    /// Whether the bound is reached.
    pub reached: bool,
}

/// A member's reading within a cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberZ {
    /// Member; of a company the class of the largest value.
    pub symbol: Symbol,
    /// The company, where records name one.
    pub company: Option<Arc<str>>,
    /// Its classes in the group, by symbol; none where records name no company.
    pub classes: Vec<Symbol>,
    /// Its multiple of sigma.
    pub z: Reading,
    /// Its log return of the session so far.
    pub log_return: Reading,
    /// Its market value before the session, in US dollars: what weighs it.
    pub market_value: Option<f64>,
    /// What it adds to the simple return of the basket.
    pub contribution: Reading,
    /// When it first reached the first tier in this session.
    pub breached_at: Option<UnixNanos>,
}

/// A security of the universe that a cluster's breadth and dispersion are read over.
#[derive(Clone, PartialEq, Debug)]
pub struct UniverseLine {
    /// Security.
    pub symbol: Symbol,
    /// Its sector, where records name one.
    pub sector: Option<Arc<str>>,
    /// Its multiple of sigma.
    pub z: Reading,
    /// Its log return of the session so far.
    pub log_return: Reading,
    /// Its market value before the session, in US dollars.
    pub market_value: Option<f64>,
}

/// The universe of a cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct UniverseView {
    /// The group that it is.
    pub name: Arc<str>,
    /// Its securities by symbol.
    pub lines: Vec<UniverseLine>,
}

/// What turbulence was measured by.
#[derive(Clone, PartialEq, Debug)]
pub struct TurbulenceView {
    /// Mean daily log return of each member with a known return, in their order.
    pub mean: Vec<f64>,
    /// Their shrunk covariance: the lower triangle, row by row.
    pub covariance: Vec<f64>,
    /// How large the moves are, correlations left out.
    pub magnitude: f64,
    /// Turbulence over magnitude.
    pub correlation_surprise: Reading,
}

/// What a cluster's verdict would be without one of its members.
#[derive(Clone, PartialEq, Debug)]
pub struct WithoutView {
    /// The member.
    pub symbol: Symbol,
    /// The level then.
    pub level: &'static str,
    /// The basket's log return then.
    pub basket_return: Reading,
    /// The legs then, in their order.
    pub legs: Vec<Reading>,
}

/// What a level of a cluster asks for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LevelView {
    /// Its name.
    pub level: &'static str,
    /// Bound on the absolute basket multiple.
    pub basket_z: f64,
    /// Bound on the weighted root mean square of the members' multiples.
    pub rms_z: f64,
    /// Bound on the number of members in breach.
    pub members: f64,
    /// Bounds that must be reached.
    pub legs: usize,
}

/// What a cluster alert carries beside the arithmetic of its basket.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterView {
    /// Level read: `CALM`, `WATCH`, `ALERT`, `CRITICAL` or `UNKNOWN`.
    pub level: &'static str,
    /// Legs of the verdict.
    pub legs: Vec<Leg>,
    /// Members by symbol.
    pub members: Vec<MemberZ>,
    /// Share of the group's weight with a known return.
    pub coverage: Reading,
    /// The member that breached first; ties by larger absolute z, then symbol.
    pub initiator: Option<Symbol>,
    /// The others in breach, in the same order.
    pub followers: Vec<Symbol>,
    /// What each level asks for, lowest first; `None` where the level comes from percentiles.
    pub levels: Option<[LevelView; 3]>,
    /// What breadth and dispersion are read over.
    pub universe: Option<UniverseView>,
    /// What turbulence was measured by; for at most sixteen members.
    pub turbulence: Option<TurbulenceView>,
    /// The verdict without each member, by symbol.
    pub without: Vec<WithoutView>,
    /// Multiple at which a member counts as in breach.
    pub breach_at: f64,
    /// Least coverage at which basket and root mean square are known.
    pub coverage_min: f64,
}
