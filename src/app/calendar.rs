//! `calendar`: the sessions of a span of days, and what the calendar does not know of it.

use crate::market::Calendar;
use chrono::NaiveDate;
use std::io::{self, Write};

/// Writes one line a session; days beyond the calendar's validity are named in lines of their own.
///
/// # Errors
/// When `out` cannot be written.
pub fn calendar(calendar: &Calendar, from: NaiveDate, to: NaiveDate, out: &mut impl Write) -> io::Result<()> {
    let [before, after] = calendar.unknown_days(from, to);
    let unknown = |out: &mut dyn Write, span: Option<(NaiveDate, NaiveDate)>| match span {
        Some((first, last)) => writeln!(out, r#"{{"unknown":{{"from":"{first}","to":"{last}"}}}}"#),
        None => Ok(()),
    };
    unknown(out, before)?;
    for session in calendar.sessions().iter().filter(|s| (from..=to).contains(&s.date.date())) {
        let (date, open, close, early) = (session.date, session.open, session.close, session.early);
        writeln!(out, r#"{{"session":"{date}","open":"{open}","close":"{close}","early":{early}}}"#)?;
    }
    unknown(out, after)
}
