//! What a record says, once it has been decoded and checked, and what became of it.

use super::{Conditions, PrintRef, Reference, SessionDate, Tape, UnixNanos};
use std::borrow::Cow;
use std::fmt;

/// A price: finite, positive and below [`Price::MAX`].
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Price(f64);

/// A number that is no price: not finite, zero, negative or out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceError;

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("price is not a positive finite number below 1e12")
    }
}

impl std::error::Error for PriceError {}

impl Price {
    /// Prices from here on are refused as out of bounds.
    pub const MAX: f64 = 1e12;
    /// Prices below are refused as out of bounds: ratios stay finite.
    pub const MIN: f64 = 1e-12;

    /// Checks and keeps `value`.
    ///
    /// # Errors
    /// When `value` is not finite or outside [`Price::MIN`] to [`Price::MAX`].
    pub fn new(value: f64) -> Result<Self, PriceError> {
        if (Self::MIN..Self::MAX).contains(&value) { Ok(Self(value)) } else { Err(PriceError) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// One trade.
#[derive(Clone, PartialEq, Debug)]
pub struct Tick<'a> {
    /// Which security; already checked by [`super::Symbol::check`].
    pub symbol: Cow<'a, str>,
    /// Event time.
    pub ts: UnixNanos,
    /// Traded price.
    pub price: Price,
    /// Shares traded, positive.
    pub size: Option<f64>,
    /// Strictly increasing per symbol and feed.
    pub seq: Option<u64>,
    /// Trade id, for cancels and corrections.
    pub id: Option<Cow<'a, str>>,
    /// Which feed said so.
    pub feed: Option<Cow<'a, str>>,
    /// Where it was traded.
    pub venue: Option<Cow<'a, str>>,
    /// Which consolidated tape carries it.
    pub tape: Option<Tape>,
    /// Its sale conditions.
    pub cond: Conditions,
}

impl<'a> Tick<'a> {
    /// A regular trade that says no more than its price.
    pub fn new(symbol: impl Into<Cow<'a, str>>, ts: UnixNanos, price: Price) -> Self {
        Self {
            symbol: symbol.into(),
            ts,
            price,
            size: None,
            seq: None,
            id: None,
            feed: None,
            venue: None,
            tape: None,
            cond: Conditions::NONE,
        }
    }

    /// The same trade, borrowing nothing.
    pub fn to_static(&self) -> Tick<'static> {
        let text = |field: &Cow<'_, str>| Cow::Owned(String::from(&**field));
        Tick {
            symbol: text(&self.symbol),
            ts: self.ts,
            price: self.price,
            size: self.size,
            seq: self.seq,
            id: self.id.as_ref().map(text),
            feed: self.feed.as_ref().map(text),
            venue: self.venue.as_ref().map(text),
            tape: self.tape,
            cond: self.cond,
        }
    }
}

/// Length of a bar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Interval {
    /// One second.
    Second1,
    /// One minute.
    Minute1,
    /// Five minutes.
    Minute5,
    /// One hour.
    Hour1,
    /// One session.
    Day1,
}

impl Interval {
    /// Reads `1s`, `1m`, `5m`, `1h` or `1d`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1s" => Self::Second1,
            "1m" => Self::Minute1,
            "5m" => Self::Minute5,
            "1h" => Self::Hour1,
            "1d" => Self::Day1,
            _ => return None,
        })
    }

    /// Length in nanoseconds; a day bar ends with its session, so it has none.
    pub fn nanos(self) -> Option<i64> {
        let secs = match self {
            Self::Second1 => 1,
            Self::Minute1 => 60,
            Self::Minute5 => 300,
            Self::Hour1 => 3_600,
            Self::Day1 => return None,
        };
        Some(secs * super::NANOS_PER_SEC)
    }
}

/// One bar: `low <= open, close <= high`, all prices valid.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar<'a> {
    /// Which security; already checked by [`super::Symbol::check`].
    pub symbol: Cow<'a, str>,
    /// Start of the bar.
    pub ts: UnixNanos,
    /// Its length.
    pub interval: Interval,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Shares traded, not negative.
    pub volume: Option<f64>,
    /// The session it belongs to, where the feed says so.
    pub session: Option<SessionDate>,
    /// False while the bar may still change.
    pub is_final: bool,
    /// Strictly increasing per symbol and feed.
    pub seq: Option<u64>,
    /// Which feed said so.
    pub feed: Option<Cow<'a, str>>,
}

/// Prices of a bar that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarError;

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bar prices are crossed: low <= open, close <= high does not hold")
    }
}

impl std::error::Error for BarError {}

impl Bar<'_> {
    /// Checks that the four prices can belong to one bar.
    ///
    /// # Errors
    /// When `low <= open, close <= high` does not hold.
    pub fn check(&self) -> Result<(), BarError> {
        let within = |p: Price| self.low <= p && p <= self.high;
        if within(self.open) && within(self.close) { Ok(()) } else { Err(BarError) }
    }
}

/// A print that is taken back, or replaced.
#[derive(Clone, PartialEq, Debug)]
pub struct Amendment<'a> {
    /// Which security; already checked by [`super::Symbol::check`].
    pub symbol: Cow<'a, str>,
    /// Event time of the amendment.
    pub ts: UnixNanos,
    /// The print it is about.
    pub print: PrintRef<'a>,
    /// The right price; `None` cancels the print.
    pub price: Option<Price>,
    /// The right size.
    pub size: Option<f64>,
    /// Which feed said so.
    pub feed: Option<Cow<'a, str>>,
}

/// Whether a security can be traded, and within which prices.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum TradingStatus {
    /// Trading stands still.
    Halted,
    /// Trading goes on.
    Resumed,
    /// Limit up and limit down: no trade outside.
    Limits {
        /// Lowest price allowed.
        lower: Price,
        /// Highest price allowed.
        upper: Price,
    },
}

/// A change of trading status.
#[derive(Clone, PartialEq, Debug)]
pub struct Status<'a> {
    /// Which security; already checked by [`super::Symbol::check`].
    pub symbol: Cow<'a, str>,
    /// Event time.
    pub ts: UnixNanos,
    /// What holds from then on.
    pub status: TradingStatus,
    /// The exchange's reason code.
    pub reason: Option<Cow<'a, str>>,
}

/// A sign of life: event time moves on with nothing to report.
#[derive(Clone, PartialEq, Debug)]
pub struct Heartbeat<'a> {
    /// Event time.
    pub ts: UnixNanos,
    /// Whose; of the whole partition if absent.
    pub feed: Option<Cow<'a, str>>,
}

/// A decoded record.
#[derive(Clone, PartialEq, Debug)]
pub enum Observation<'a> {
    /// A trade.
    Tick(Tick<'a>),
    /// A bar.
    Bar(Bar<'a>),
    /// A reference record.
    Reference(Reference),
    /// A sign of life.
    Heartbeat(Heartbeat<'a>),
    /// A print taken back or replaced.
    Amendment(Amendment<'a>),
    /// A halt, its end, or price limits.
    Status(Status<'a>),
}

/// What became of a record. Every record has exactly one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Outcome {
    /// It is part of the state.
    Applied,
    /// It had been applied before.
    Duplicate,
    /// It came after the lateness bound.
    Late,
    /// Impossible or out of bounds.
    Rejected,
    /// Not decodable.
    Malformed,
    /// The configured universe does not list its symbol.
    UnknownSymbol,
    /// A record without a value.
    Tombstone,
    /// A record the configuration or this build excludes.
    Ignored,
}

impl Outcome {
    /// Every outcome, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Self::Applied,
        Self::Duplicate,
        Self::Late,
        Self::Rejected,
        Self::Malformed,
        Self::UnknownSymbol,
        Self::Tombstone,
        Self::Ignored,
    ];

    /// The name in metrics and accounting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
            Self::UnknownSymbol => "unknown_symbol",
            Self::Tombstone => "tombstone",
            Self::Ignored => "ignored",
        }
    }

    /// Whether the record goes to the dead-letter topic.
    pub fn is_dead_letter(self) -> bool {
        matches!(self, Self::Late | Self::Rejected | Self::Malformed | Self::UnknownSymbol)
    }
}

/// Records taken, each in exactly one place: `records_in` is the sum of the outcomes and of what waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accounts {
    /// By outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Waiting in quarantine.
    pub quarantined: u64,
}

impl Accounts {
    /// A record was taken: its outcome, or `None` while it waits.
    pub fn take(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(outcome) => self.outcomes[outcome as usize] += 1,
            None => self.quarantined += 1,
        }
    }

    /// A record that waited has its outcome.
    pub fn resolve(&mut self, outcome: Outcome) {
        self.quarantined = self.quarantined.saturating_sub(1);
        self.outcomes[outcome as usize] += 1;
    }

    /// Records taken.
    pub fn records_in(&self) -> u64 {
        self.outcomes.iter().sum::<u64>() + self.quarantined
    }

    /// Adds the records of another part of the input.
    pub fn add(&mut self, other: &Self) {
        for (sum, n) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += n;
        }
        self.quarantined += other.quarantined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_positive_finite_and_bounded() {
        for good in [1e-12, 0.0001, 118.42, 627_400.0, 9.9e11] {
            assert!(Price::new(good).is_ok(), "{good}");
        }
        for bad in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e12, 1e-13] {
            assert_eq!(Price::new(bad), Err(PriceError), "{bad}");
        }
    }
}
