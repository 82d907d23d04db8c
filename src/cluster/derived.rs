//! Views that follow from what a group already knows: who moved the index, who has carried it since a date, what of a
//! move is a stock's own, and whether calm or restless stocks have done better, and how many had a day that is extreme for themselves.
//!
//! Each takes its session from outside and says which one it is of. What is not known has a reason; nothing is filled in.

mod co_exceedance;
mod contribution;
mod idiosyncratic;
mod standing;
mod view;
mod volatility_legs;

pub use co_exceedance::CoExceedance;
pub use contribution::{ClusterShare, ContributionLine, IndexContributions};
pub use idiosyncratic::{BETA_RETURNS_MIN, BETA_WINDOW, IdiosyncraticZ, idiosyncratic_z};
pub use standing::{Anchor, SessionMove, Standing, StandingLine, StandingParams, Standings, StandingsView};
pub use view::DerivedView;
pub(super) use view::read_derived;
pub use volatility_legs::{LegSide, VolatilityLegs, VolatilityLegsView};

use crate::domain::{self, Unknown};

/// What became of a session that was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feeding {
    /// It counts, apart from so many lines beyond what is kept or without a finite number.
    Applied {
        /// Lines that do not count.
        dropped: usize,
    },
    /// It is not after the last one, or says nothing.
    Refused,
}

/// The return of an index without some of its members: `(r_I - c) / (1 - w)`; unknown where nothing is left.
fn without(index: domain::Reading, contribution: domain::Reading, weight: domain::Reading) -> domain::Reading {
    let (index, contribution, weight) = (index?, contribution?, weight?);
    if weight < 1.0 { Ok((index - contribution) / (1.0 - weight)) } else { Err(Unknown::NoMember) }
}
