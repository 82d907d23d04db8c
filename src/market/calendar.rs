//! The exchange calendar of the NYSE (XNYS): which days trade, when they open and close.
//!
//! Sessions are laid out once, as UTC instants, from the crate `exchange-hours` (2010 on) and an overlay
//! that carries the years before, corrections and late announcements. Looking an instant up is a binary
//! search and reads no clock. Outside the validity of the data the answer is "unknown", never a guess.

use crate::domain::{Phase, SessionDate, UnixNanos};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::America::New_York;
use chrono_tz::Tz;
use exchange_hours::{Exchange, HolidayKind, calendar_for_exchange};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the overlay adds to, or takes from, the built-in table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CalendarOverlay {
    /// Version of the overlay, shown with every result that names the calendar.
    pub version: String,
    /// First day known.
    pub valid_from: Option<NaiveDate>,
    /// Last day known.
    pub valid_until: Option<NaiveDate>,
    /// Weekdays without a session.
    pub closed: BTreeSet<NaiveDate>,
    /// Days with a session although the table says closed.
    pub open: BTreeSet<NaiveDate>,
    /// Sessions that end before 16:00, exchange-local.
    pub early_closes: BTreeMap<NaiveDate, NaiveTime>,
    /// Sessions that begin after 09:30, exchange-local.
    pub late_opens: BTreeMap<NaiveDate, NaiveTime>,
}

/// One trading session; instants in UTC, ends exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// Exchange-local date.
    pub date: SessionDate,
    /// End of the previous session's post-market: what comes after belongs to this session.
    pub begin: UnixNanos,
    /// Start of the pre-market, 04:00 exchange-local.
    pub pre: UnixNanos,
    /// Start of regular trading.
    pub open: UnixNanos,
    /// End of regular trading.
    pub close: UnixNanos,
    /// End of the post-market: 20:00, or four hours after an early close.
    pub end: UnixNanos,
    /// Whether it closes before 16:00.
    pub early: bool,
}

impl Session {
    /// The phase of an instant in it, never [`Phase::Close`], and when that phase ends.
    pub fn phase_at(&self, ts: UnixNanos) -> (Phase, UnixNanos) {
        match ts {
            t if t < self.pre => (Phase::Overnight, self.pre),
            t if t < self.open => (Phase::Pre, self.open),
            t if t < self.close => (Phase::Regular, self.close),
            _ => (Phase::Post, self.end),
        }
    }

    /// When a phase of it begins.
    pub fn start_of(&self, phase: Phase) -> UnixNanos {
        match phase {
            Phase::Overnight => self.begin,
            Phase::Pre => self.pre,
            Phase::Regular => self.open,
            Phase::Close | Phase::Post => self.close,
        }
    }
}

/// A moment within a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Its session.
    pub session: Session,
    /// Its phase; never [`Phase::Close`].
    pub phase: Phase,
    /// When the phase ends.
    pub until: UnixNanos,
}

/// Where an instant lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Located {
    /// In a known session, or in the night before it.
    Known(Moment),
    /// Outside the calendar's validity; `until` is when that may change.
    Unknown {
        /// End of the unknown stretch.
        until: UnixNanos,
    },
}

/// Overlay and table do not make a calendar.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CalendarError {
    /// No day lies between `valid_from` and `valid_until`.
    Empty,
    /// A session would not begin before it ends, or open before its pre-market does.
    Inverted(NaiveDate),
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("calendar overlay leaves no valid day"),
            Self::Inverted(day) => {
                write!(f, "calendar overlay: session {day} does not open between 04:00 and its close")
            }
        }
    }
}

impl std::error::Error for CalendarError {}

/// The sessions of one exchange, in order.
#[derive(Clone, Debug)]
pub struct Calendar {
    sessions: Vec<Session>,
    /// Position of each day's session, or of the next one, by days since `valid_from`.
    by_day: Vec<u32>,
    valid_from: NaiveDate,
    valid_until: NaiveDate,
    version: String,
}

fn time(hour: u32, minute: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or(NaiveTime::MIN)
}

fn instant(zone: Tz, day: NaiveDate, at: NaiveTime) -> UnixNanos {
    // Clocks change at 02:00; nothing here lies between 01:00 and 03:00, so a local time is unique.
    let local = zone.from_local_datetime(&day.and_time(at)).earliest();
    UnixNanos(local.and_then(|t| t.timestamp_nanos_opt()).unwrap_or(0))
}

impl Calendar {
    /// Lays out the NYSE sessions from the built-in table and `overlay`, which has the last word.
    ///
    /// # Errors
    /// When the overlay leaves no day, or a session that does not open before it closes, or before 04:00.
    pub fn xnys(overlay: &CalendarOverlay) -> Result<Self, CalendarError> {
        let table = calendar_for_exchange(Exchange::Nyse);
        let coverage = table.holiday_coverage().ok_or(CalendarError::Empty)?;
        let valid_from = overlay.valid_from.unwrap_or(coverage.first());
        let valid_until = overlay.valid_until.unwrap_or(coverage.last());
        let mut sessions: Vec<Session> = Vec::new();
        let mut by_day = Vec::new();
        let mut begin = instant(New_York, valid_from, NaiveTime::MIN);
        for day in valid_from.iter_days().take_while(|day| *day <= valid_until) {
            by_day.push(u32::try_from(sessions.len()).map_err(|_| CalendarError::Empty)?);
            let holiday = table.holiday_on(day);
            let table_closed = holiday.is_some_and(|h| matches!(h.kind(), HolidayKind::Closed));
            let weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
            let is_open = overlay.open.contains(&day);
            if !is_open && (weekend || table_closed || overlay.closed.contains(&day)) {
                continue;
            }
            let table_early = holiday.and_then(|h| match h.kind() {
                HolidayKind::EarlyClose { close_ssm } => NaiveTime::from_num_seconds_from_midnight_opt(close_ssm, 0),
                _ => None,
            });
            let close_at = overlay.early_closes.get(&day).copied().or(table_early).unwrap_or(time(16, 0));
            let open_at = overlay.late_opens.get(&day).copied().unwrap_or(time(9, 30));
            let close = instant(New_York, day, close_at);
            let end = close.plus(4 * 3_600 * crate::domain::NANOS_PER_SEC);
            let open = instant(New_York, day, open_at);
            let pre = instant(New_York, day, time(4, 0));
            if open >= close || open < pre || pre < begin {
                return Err(CalendarError::Inverted(day));
            }
            let early = close_at < time(16, 0);
            sessions.push(Session { date: SessionDate::new(day), begin, pre, open, close, end, early });
            begin = end;
        }
        if sessions.is_empty() {
            return Err(CalendarError::Empty);
        }
        Ok(Self { sessions, by_day, valid_from, valid_until, version: overlay.version.clone() })
    }

    /// First and last day the calendar knows.
    pub fn validity(&self) -> (NaiveDate, NaiveDate) {
        (self.valid_from, self.valid_until)
    }

    /// Version of the overlay.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sessions in order.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// The session of an exchange date, if that date trades.
    pub fn session(&self, date: SessionDate) -> Option<&Session> {
        self.sessions.get(self.position(date)?).filter(|s| s.date == date)
    }

    /// The session before `date`, which must itself be a session.
    pub fn previous(&self, date: SessionDate) -> Option<&Session> {
        let at = self.position(date)?;
        self.sessions.get(at).filter(|s| s.date == date)?;
        self.sessions.get(at.checked_sub(1)?)
    }

    /// The first session after `date`, which need not be one.
    pub fn next_after(&self, date: SessionDate) -> Option<&Session> {
        let at = self.position(date)?;
        let here = self.sessions.get(at)?;
        if here.date == date { self.sessions.get(at + 1) } else { Some(here) }
    }

    /// How many sessions `to` comes after `from`; both must be sessions.
    pub fn sessions_between(&self, from: SessionDate, to: SessionDate) -> Option<i64> {
        let at = |date| {
            let at = self.position(date)?;
            self.sessions.get(at).filter(|s| s.date == date)?;
            i64::try_from(at).ok()
        };
        Some(at(to)? - at(from)?)
    }

    /// Session and phase of an instant.
    pub fn locate(&self, ts: UnixNanos) -> Located {
        let at = self.sessions.partition_point(|s| s.end <= ts);
        let Some(session) = self.sessions.get(at) else {
            return Located::Unknown { until: UnixNanos::MAX };
        };
        if ts < session.begin {
            return Located::Unknown { until: session.begin };
        }
        let (phase, until) = session.phase_at(ts);
        Located::Known(Moment { session: *session, phase, until })
    }

    /// The exchange-local date of an instant.
    pub fn local_date(ts: UnixNanos) -> SessionDate {
        let at: DateTime<Utc> = DateTime::from_timestamp_nanos(ts.0);
        SessionDate::new(at.with_timezone(&New_York).date_naive())
    }

    /// The exchange date of a day bar by its start: feeds stamp it at midnight UTC, or at a local time.
    pub fn bar_day(ts: UnixNanos) -> SessionDate {
        const DAY: i64 = 86_400 * crate::domain::NANOS_PER_SEC;
        if ts.0 % DAY != 0 {
            return Self::local_date(ts);
        }
        SessionDate::new(DateTime::from_timestamp_nanos(ts.0).date_naive())
    }

    /// Days from `from` to `to` that the calendar does not know: before its start, and after its end.
    pub fn unknown_days(&self, from: NaiveDate, to: NaiveDate) -> [Option<(NaiveDate, NaiveDate)>; 2] {
        let before = (from < self.valid_from)
            .then(|| (from, to.min(self.valid_from.checked_sub_days(Days::new(1)).unwrap_or(self.valid_from))));
        let after = (to > self.valid_until)
            .then(|| (from.max(self.valid_until.checked_add_days(Days::new(1)).unwrap_or(self.valid_until)), to));
        [before, after]
    }

    fn position(&self, date: SessionDate) -> Option<usize> {
        let day = date.date().signed_duration_since(self.valid_from).num_days();
        Some(*self.by_day.get(usize::try_from(day).ok()?)? as usize)
    }
}
