//! `check`: what a configuration comes to.

use crate::config::Loaded;
use std::io::{self, Write};

/// Writes the verdict, and with `effective` every key with its value and origin.
///
/// # Errors
/// When `out` cannot be written.
pub fn check(loaded: &Loaded, effective: bool, out: &mut impl Write) -> io::Result<()> {
    if !effective {
        writeln!(out, "ok")?;
        return Ok(());
    }
    let width = loaded.effective.iter().map(|(k, v, _)| k.len() + v.len() + 3).max().unwrap_or(0).min(72);
    for (key, value, origin) in &loaded.effective {
        let line = format!("{key} = {value}");
        writeln!(out, "{line:width$}  # {origin}")?;
    }
    Ok(())
}
