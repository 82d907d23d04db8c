//! Instants and exchange dates.

use chrono::{DateTime, Datelike, NaiveDate};
use std::fmt;
use std::str::FromStr;

/// Nanoseconds in a second.
pub const NANOS_PER_SEC: i64 = 1_000_000_000;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// Before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// After every event.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `nanos` later, held at the ends of the range.
    #[must_use]
    pub fn plus(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to `self`.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 time with its offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt().map(Self)
    }
}

impl fmt::Display for UnixNanos {
    /// RFC 3339 in UTC, with as many decimals as are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = DateTime::from_timestamp_nanos(self.0);
        f.write_str(&at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

/// The date of a trading session, in the exchange's own time zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionDate(NaiveDate);

impl SessionDate {
    /// Before every session.
    pub const MIN: Self = Self(NaiveDate::MIN);
    /// After every session.
    pub const MAX: Self = Self(NaiveDate::MAX);

    /// From a calendar date.
    pub fn new(date: NaiveDate) -> Self {
        Self(date)
    }

    /// The calendar date.
    pub fn date(self) -> NaiveDate {
        self.0
    }

    /// Year, month from 1 to 12, day from 1.
    pub fn year_month_day(self) -> (i32, u32, u32) {
        (self.0.year(), self.0.month(), self.0.day())
    }

    /// Days since 1970-01-01; the compact form used in snapshots.
    pub fn days(self) -> i32 {
        self.0.to_epoch_days()
    }

    /// The inverse of [`SessionDate::days`].
    pub fn from_days(days: i32) -> Option<Self> {
        NaiveDate::from_epoch_days(days).map(Self)
    }
}

impl FromStr for SessionDate {
    type Err = ();

    /// Reads exactly `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let b = text.as_bytes();
        let digits = |r: std::ops::Range<usize>| b[r].iter().all(u8::is_ascii_digit);
        if b.len() != 10 || b[4] != b'-' || b[7] != b'-' || !digits(0..4) || !digits(5..7) || !digits(8..10) {
            return Err(());
        }
        let number = |r: std::ops::Range<usize>| b[r].iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        let year = i32::try_from(number(0..4)).map_err(|_| ())?;
        NaiveDate::from_ymd_opt(year, number(5..7), number(8..10)).map(Self).ok_or(())
    }
}

impl fmt::Display for SessionDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for SessionDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The part of an exchange day in which an event happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// From the end of the last post-market to the pre-market.
    Overnight,
    /// Pre-market.
    Pre,
    /// The regular session.
    Regular,
    /// Post-market.
    Post,
    /// Decided by the closing price.
    Close,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Overnight, Self::Pre, Self::Regular, Self::Post, Self::Close];

    /// The inverse of [`Phase::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overnight => "OVERNIGHT",
            Self::Pre => "PRE",
            Self::Regular => "REGULAR",
            Self::Post => "POST",
            Self::Close => "CLOSE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip_and_refuse_other_shapes() {
        let day: SessionDate = "2025-01-27".parse().unwrap();
        assert_eq!(day.to_string(), "2025-01-27");
        assert_eq!(SessionDate::from_days(day.days()), Some(day));
        for bad in ["2025-1-27", "2025-02-30", "20250127", "2025-01-27T00:00:00Z", "", "+025-01-27"] {
            assert!(bad.parse::<SessionDate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rfc3339_is_read_with_any_offset_and_written_in_utc() {
        let at = UnixNanos::parse_rfc3339("2025-01-27T09:30:00.000000001-05:00").unwrap();
        assert_eq!(at.0, 1_737_988_200_000_000_001);
        assert_eq!(at.to_string(), "2025-01-27T14:30:00.000000001Z");
        assert_eq!(UnixNanos::parse_rfc3339("2025-01-27T09:30:00"), None);
        assert_eq!(UnixNanos::parse_rfc3339("9999-01-01T00:00:00Z"), None);
    }
}
