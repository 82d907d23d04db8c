//! What a tape says about one print beside its price: conditions, tape, and how the print is found again.

use std::borrow::Cow;
use std::fmt;

/// One sale condition code: 1 to 4 printable ASCII characters, as the tape writes it. A blank is a code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConditionCode([u8; 4]);

impl ConditionCode {
    /// Reads a code; `None` when it is empty, longer than four bytes or not printable ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 4 || !bytes.iter().all(|b| (0x20..0x7f).contains(b)) {
            return None;
        }
        let mut code = [0; 4];
        code[..bytes.len()].copy_from_slice(bytes);
        Some(Self(code))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..len]).unwrap_or_default()
    }

    /// The byte of a code that has only one.
    #[inline]
    pub fn single(&self) -> Option<u8> {
        match self.0 {
            [byte, 0, 0, 0] => Some(byte),
            _ => None,
        }
    }
}

impl fmt::Debug for ConditionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The sale conditions of one print, in the order of the record.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    codes: [ConditionCode; Self::MAX],
    len: u8,
}

impl Conditions {
    /// Codes held at most. US tapes send up to four; the rest is room for feeds that merge several.
    pub const MAX: usize = 8;
    /// No condition: a regular print.
    pub const NONE: Self = Self { codes: [ConditionCode([0; 4]); Self::MAX], len: 0 };

    /// Adds a code; false when there is no room.
    pub fn push(&mut self, code: ConditionCode) -> bool {
        let Some(slot) = self.codes.get_mut(usize::from(self.len)) else { return false };
        *slot = code;
        self.len += 1;
        true
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The codes.
    pub fn as_slice(&self) -> &[ConditionCode] {
        &self.codes[..usize::from(self.len)]
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// The consolidated tape that carries a security. The same condition code can mean different things on two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tape {
    /// Listed on the NYSE (CTS).
    A,
    /// Listed on other exchanges (CTS).
    B,
    /// Listed on Nasdaq (UTP).
    C,
    /// Named, and none of the three.
    Other,
}

impl Tape {
    /// Reads `A`, `B` or `C`, or the numbers 1, 2 and 3 that vendors use for them; else [`Tape::Other`].
    pub fn parse(text: &str) -> Self {
        match text {
            "A" | "1" => Self::A,
            "B" | "2" => Self::B,
            "C" | "3" => Self::C,
            _ => Self::Other,
        }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::Other => "other",
        }
    }
}

/// How a cancel or a correction names the print it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrintRef<'a> {
    /// By trade id.
    Id(Cow<'a, str>),
    /// By sequence number on its feed.
    Seq(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_printable_texts() {
        for good in ["@", " ", "F", "4", "CAP", "OPN1"] {
            let code = ConditionCode::new(good).unwrap();
            assert_eq!(code.as_str(), good);
            assert_eq!(code.single(), (good.len() == 1).then(|| good.as_bytes()[0]));
        }
        for bad in ["", "12345", "é", "\n"] {
            assert_eq!(ConditionCode::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn conditions_are_bounded() {
        let mut conditions = Conditions::NONE;
        let code = ConditionCode::new("F").unwrap();
        assert!((0..Conditions::MAX).all(|_| conditions.push(code)));
        assert!(!conditions.push(code));
        assert_eq!(conditions.as_slice().len(), Conditions::MAX);
    }
}
