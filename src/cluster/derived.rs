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
pub use standing::{
    Anchor, SessionMove, Standing, StandingLine, StandingParams, Standings, StandingsImage, StandingsView,
};
pub use view::DerivedView;
pub(super) use view::read_derived;
pub use volatility_legs::{LegSide, VolatilityLegs, VolatilityLegsImage, VolatilityLegsView};

use crate::domain::{self, SessionDate, Symbol, Unknown};

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

/// A number, or the number of the reason why it is unknown.
type Known = Result<f64, u8>;

fn known(reading: domain::Reading) -> Known {
    reading.map_err(Unknown::number)
}

/// The inverse of [`known`]; a number that is none counts as unknown.
fn reading(known: Known) -> domain::Reading {
    match known {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(Unknown::NotComputed),
        Err(number) => Err(Unknown::from_number(number).unwrap_or(Unknown::NotComputed)),
    }
}

fn date(days: Option<i32>) -> Option<SessionDate> {
    days.and_then(SessionDate::from_days)
}

/// The return of an index without some of its members: `(r_I - c) / (1 - w)`; unknown where nothing is left.
fn without(index: domain::Reading, contribution: domain::Reading, weight: domain::Reading) -> domain::Reading {
    let (index, contribution, weight) = (index?, contribution?, weight?);
    if weight < 1.0 { Ok((index - contribution) / (1.0 - weight)) } else { Err(Unknown::NoMember) }
}

/// The symbol of an image.
fn symbol(text: &str) -> Option<Symbol> {
    Symbol::new(text).ok()
}
