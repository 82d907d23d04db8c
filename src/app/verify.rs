//! `verify`: alerts against what they carry themselves.

use super::AppError;
use crate::sources::FileSource;
use crate::verify::{Verified, verify};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

/// Lines that are no alert of which the reason is told; the others are counted.
const REASONS_MAX: u64 = 10;

/// What `verify` found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// Alerts that hold.
    pub holding: u64,
    /// Alerts that do not.
    pub differing: u64,
    /// Compact alerts, which carry no arithmetic.
    pub compact: u64,
    /// Heartbeats, which are passed over.
    pub heartbeats: u64,
    /// Lines that are no alert.
    pub unreadable: u64,
}

impl Verification {
    /// The exit code: 2 when something could not be verified, 1 when something does not hold.
    pub fn code(&self) -> u8 {
        if self.unreadable + self.compact > 0 { 2 } else { u8::from(self.differing > 0) }
    }
}

/// Verifies every line of a file, or of standard input for `-`: a line on `out` for each alert that does not hold,
/// and on `log` what cannot be verified and the count.
///
/// # Errors
/// When the file cannot be read or an answer cannot be written.
pub fn verify_file(path: &Path, out: &mut impl Write, log: &mut impl Write) -> Result<Verification, AppError> {
    let unwritten = |e: io::Error| AppError::Output("-".into(), e);
    let mut counts = Verification::default();
    each_line(path, |number, line| {
        match verify(line) {
            Ok(Verified::Alert(_, differences)) if differences.is_empty() => counts.holding += 1,
            Ok(Verified::Alert(alert, differences)) => {
                counts.differing += 1;
                let line = json!({
                    "line": number,
                    "alert_id": alert.alert_id,
                    "revision": alert.revision,
                    "entity": alert.entity,
                    "differences": differences,
                });
                writeln!(out, "{line}").map_err(unwritten)?;
            }
            Ok(Verified::Compact) => counts.compact += 1,
            Ok(Verified::Heartbeat) => counts.heartbeats += 1,
            Err(why) => {
                counts.unreadable += 1;
                // A file of something else has one reason, not a million.
                if counts.unreadable <= REASONS_MAX {
                    writeln!(log, "line {number}: not an alert: {why}").map_err(unwritten)?;
                }
            }
        }
        Ok(())
    })?;
    let Verification { holding, differing, compact, heartbeats, unreadable } = counts;
    let all = holding + differing;
    let mut said = format!("{all} alerts: {holding} hold, {differing} do not");
    for (count, what) in [
        (unreadable, "lines are no alert"),
        (compact, "are compact: they carry no arithmetic, so nothing can be recomputed"),
        (heartbeats, "heartbeats passed over"),
    ] {
        if count > 0 {
            said = format!("{said}; {count} {what}");
        }
    }
    writeln!(log, "{said}").map_err(unwritten)?;
    Ok(counts)
}

/// Hands out the lines of a file that are not empty, with their numbers from 1.
pub(super) fn each_line(path: &Path, mut take: impl FnMut(i64, &[u8]) -> Result<(), AppError>) -> Result<(), AppError> {
    let mut source = FileSource::open(path)?;
    while let Some(line) = source.next_line()? {
        let raw = line.raw.trim_ascii();
        if !raw.is_empty() {
            take(line.number + 1, raw)?;
        }
    }
    Ok(())
}
