//! The calendar overlay file.

use crate::market::CalendarOverlay;
use chrono::{NaiveDate, NaiveTime};
use serde::Deserialize;
use std::fmt;

/// The overlay that comes with the build.
const BUILT_IN: &str = include_str!("../../config/calendar/xnys_overlay.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverlay {
    version: String,
    valid_from: Option<String>,
    valid_until: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "says where the file's facts come from, to its readers")]
    source: String,
    #[serde(default)]
    closed: Vec<String>,
    #[serde(default)]
    open: Vec<String>,
    #[serde(default)]
    early_closes: Vec<RawEarlyClose>,
    #[serde(default)]
    late_opens: Vec<RawLateOpen>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEarlyClose {
    session: String,
    close: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLateOpen {
    session: String,
    open: String,
}

/// An overlay that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarFileError(String);

impl fmt::Display for CalendarFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CalendarFileError {}

/// Reads an overlay; the built-in one for `None`.
///
/// # Errors
/// When the text is not TOML of the overlay's shape, or holds what is no date or time.
pub fn read_overlay(text: Option<&str>) -> Result<CalendarOverlay, CalendarFileError> {
    let raw: RawOverlay =
        toml::from_str(text.unwrap_or(BUILT_IN)).map_err(|e| CalendarFileError(e.message().to_owned()))?;
    let date = |text: &String| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map_err(|_| CalendarFileError(format!("{text:?} is not a date YYYY-MM-DD")))
    };
    let time = |text: &String| {
        NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| CalendarFileError(format!("{text:?} is not a time HH:MM")))
    };
    Ok(CalendarOverlay {
        version: raw.version,
        valid_from: raw.valid_from.as_ref().map(date).transpose()?,
        valid_until: raw.valid_until.as_ref().map(date).transpose()?,
        closed: raw.closed.iter().map(date).collect::<Result<_, _>>()?,
        open: raw.open.iter().map(date).collect::<Result<_, _>>()?,
        early_closes: raw
            .early_closes
            .iter()
            .map(|e| Ok((date(&e.session)?, time(&e.close)?)))
            .collect::<Result<_, _>>()?,
        late_opens: raw.late_opens.iter().map(|e| Ok((date(&e.session)?, time(&e.open)?))).collect::<Result<_, _>>()?,
    })
}
