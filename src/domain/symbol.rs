//! Names of securities.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A ticker as the feed writes it: 1 to 32 printable ASCII characters without control characters.
///
/// Cloning is a reference count. Ordering is that of the bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(Arc<str>);

/// Why a text is not a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymbolError {
    /// No characters.
    Empty,
    /// More than [`Symbol::LEN_MAX`] bytes.
    TooLong,
    /// A control character or one outside ASCII.
    BadCharacter,
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "symbol is empty",
            Self::TooLong => "symbol is longer than 32 bytes",
            Self::BadCharacter => "symbol has a character that is not printable ASCII",
        })
    }
}

impl std::error::Error for SymbolError {}

impl Symbol {
    /// Longest accepted symbol, in bytes.
    pub const LEN_MAX: usize = 32;

    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// When `text` is empty, longer than [`Symbol::LEN_MAX`] or not printable ASCII.
    pub fn new(text: &str) -> Result<Self, SymbolError> {
        Self::check(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The check of [`Symbol::new`] without the allocation, for the hot path.
    ///
    /// # Errors
    /// As [`Symbol::new`].
    pub fn check(text: &str) -> Result<(), SymbolError> {
        if text.is_empty() {
            return Err(SymbolError::Empty);
        }
        if text.len() > Self::LEN_MAX {
            return Err(SymbolError::TooLong);
        }
        if text.bytes().all(|b| (0x20..0x7f).contains(&b)) { Ok(()) } else { Err(SymbolError::BadCharacter) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_exchanges_write() {
        for text in ["A", "BRK.B", "BRK B", "BF-B", "S00042", "^VIX", &"X".repeat(32)] {
            assert_eq!(Symbol::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_the_rest() {
        assert_eq!(Symbol::new(""), Err(SymbolError::Empty));
        assert_eq!(Symbol::new(&"X".repeat(33)), Err(SymbolError::TooLong));
        assert_eq!(Symbol::new("A\n"), Err(SymbolError::BadCharacter));
        assert_eq!(Symbol::new("É"), Err(SymbolError::BadCharacter));
    }
}
