//! What a print may move.

use super::rule::{FIRST_SHIFT, HIGH_LOW, LAST, Role, UNKNOWN, VOLUME};
use std::fmt;

/// How a print counts by the hour it was traded in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// As any other.
    Regular,
    /// Traded in extended hours: a price of its own class, behind the [`super::ExtendedGate`].
    Extended,
}

/// What a print may move, and what it is.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Eligibility(pub(super) u32);

impl Eligibility {
    /// A regular sale: moves everything.
    pub const REGULAR: Self = Self(0);

    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    fn is(self, role: Role) -> bool {
        self.has(role.bit())
    }

    /// Whether it sets the last price.
    #[inline]
    pub fn last(self) -> bool {
        !self.has(LAST)
    }

    /// Whether it may widen the session's high and low.
    pub fn high_low(self) -> bool {
        !self.has(HIGH_LOW)
    }

    /// Whether its size counts.
    pub fn volume(self) -> bool {
        !self.has(VOLUME)
    }

    /// Whether its price may decide an alert: it sets the last price, and is a price of its own moment.
    /// Prices of an earlier moment (conditional on being the first) and corrections of a close are not,
    /// even where they set the last price.
    #[inline]
    pub fn decides(self) -> bool {
        !self.has(LAST | LAST << FIRST_SHIFT | Role::CorrectedClose.bit())
    }

    /// Regular or extended, by what the print says of itself.
    pub fn class(self) -> Class {
        if self.is(Role::Extended) { Class::Extended } else { Class::Regular }
    }

    /// A single-priced opening, reopening or closing.
    pub fn is_auction(self) -> bool {
        self.has(Role::Opening.bit() | Role::Reopening.bit() | Role::Closing.bit())
    }

    /// The first print after a halt.
    pub fn is_reopening(self) -> bool {
        self.is(Role::Reopening)
    }

    /// Carries a market center's official close. It is the security's own where the market center is the
    /// one that lists it.
    pub fn official_close(self) -> bool {
        self.is(Role::OfficialClose)
    }

    /// Carries a market center's official open.
    pub fn official_open(self) -> bool {
        self.is(Role::OfficialOpen)
    }

    /// Corrects the consolidated close.
    pub fn corrected_close(self) -> bool {
        self.is(Role::CorrectedClose)
    }

    /// Less than a round lot, by condition or by size.
    pub fn is_odd_lot(self) -> bool {
        self.is(Role::OddLot)
    }

    /// Carries a condition that the table does not know on its tape, or that means different things on
    /// different tapes while the print names none.
    pub fn unknown_condition(self) -> bool {
        self.has(UNKNOWN)
    }
}

impl fmt::Debug for Eligibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eligibility")
            .field("last", &self.last())
            .field("high_low", &self.high_low())
            .field("volume", &self.volume())
            .field("bits", &self.0)
            .finish()
    }
}
