//! What one condition means, and its form in the table: a cell of bits.

use super::TableError;
use crate::domain::{ConditionCode, Tape};

// A cell holds what a condition forbids (bits 0 to 2), what it permits only under a condition (three bits
// each) and what it marks. Zero is a regular sale.
pub(super) const LAST: u32 = 1;
pub(super) const HIGH_LOW: u32 = 1 << 1;
pub(super) const VOLUME: u32 = 1 << 2;
pub(super) const COLUMNS: u32 = LAST | HIGH_LOW | VOLUME;
pub(super) const FIRST_SHIFT: u32 = 3;
pub(super) const NEWEST_SHIFT: u32 = 6;
pub(super) const EXTENDED_SHIFT: u32 = 9;
pub(super) const ROLE_SHIFT: u32 = 12;
pub(super) const UNKNOWN: u32 = 1 << 31;
pub(super) const UNKNOWN_CELL: u32 = UNKNOWN | LAST | HIGH_LOW;
pub(super) const ODD_LOT_CELL: u32 = LAST | HIGH_LOW | Role::OddLot.bit();

/// Whether a condition lets a print move one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Always.
    Yes,
    /// Never.
    No,
    /// Only when the condition of its rule holds.
    Conditional,
}

/// When a conditional permission holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// The session has no last price yet.
    First,
    /// The print is not older than the one that set the last price, by event time.
    Newest,
    /// Outside the regular session.
    ExtendedHours,
}

/// What a print with a condition is, beside a price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A single-priced opening of a market center.
    Opening,
    /// A single-priced reopening, after a halt.
    Reopening,
    /// A single-priced closing.
    Closing,
    /// A market center's official opening value; not a trade.
    OfficialOpen,
    /// A market center's official closing value; not a trade.
    OfficialClose,
    /// The listing market's correction of the consolidated close; not a trade.
    CorrectedClose,
    /// Less than a round lot.
    OddLot,
    /// Traded outside the regular session.
    Extended,
}

impl Role {
    pub(super) const fn bit(self) -> u32 {
        1 << (ROLE_SHIFT + self as u32)
    }
}

/// What one condition means on some tapes.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// The tapes on which it means this.
    pub tapes: Vec<Tape>,
    /// The condition.
    pub code: ConditionCode,
    /// Whether it may set the last price.
    pub last: Permission,
    /// Whether it may set the session's high and low.
    pub high_low: Permission,
    /// Whether its size counts.
    pub volume: Permission,
    /// When the conditional ones of these hold.
    pub when: Option<When>,
    /// What else it says.
    pub role: Option<Role>,
}

impl Rule {
    /// The rule as a cell.
    ///
    /// # Errors
    /// When it is conditional and does not say when, or the reverse.
    pub(super) fn cell(&self) -> Result<u32, TableError> {
        let columns = [(LAST, self.last), (HIGH_LOW, self.high_low), (VOLUME, self.volume)];
        let of = |which| columns.iter().filter(|(_, p)| *p == which).fold(0, |all, (bit, _)| all | bit);
        let conditional = of(Permission::Conditional);
        let under = match self.when {
            None if conditional == 0 => 0,
            Some(When::First) if conditional != 0 => conditional << FIRST_SHIFT,
            Some(When::Newest) if conditional != 0 => conditional << NEWEST_SHIFT,
            Some(When::ExtendedHours) if conditional != 0 => conditional << EXTENDED_SHIFT,
            _ => return Err(TableError::When(self.code)),
        };
        Ok(of(Permission::No) | under | self.role.map_or(0, Role::bit))
    }
}
