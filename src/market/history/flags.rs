//! What a desk should know of a session before it trusts its numbers.

/// One thing to know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Flag {
    /// A dividend not smaller than the price it would be taken off: it was not.
    DividendRefused,
    /// A cash dividend left the share, and the reference does not know of it.
    ExDividend,
    /// Sigma is under a quarter of that of the last 252 returns.
    LowSigma,
    /// That, and the last ten closes lie within 3 % of one level: a price that a deal may hold.
    Pinned,
    /// A spun-off company's value was taken off the reference.
    SpinOff,
    /// The price changed by the ratio of a split that no record announces.
    SuspectedSplit,
}

/// Names by value of [`Flag`], which is their alphabetical order too.
const NAMES: [&str; 6] = ["DIVIDEND_REFUSED", "EX_DIVIDEND", "LOW_SIGMA", "PINNED", "SPIN_OFF", "SUSPECTED_SPLIT"];

/// A set of flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u8);

impl Flags {
    /// Adds one.
    pub fn set(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u8;
    }

    /// Whether it is there.
    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Adds those of another set.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Their names in alerts and measures, sorted.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(at, _)| self.0 & (1 << at) != 0).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        let mut flags = Flags::default();
        assert_eq!(flags.names().count(), 0);
        flags.set(Flag::SuspectedSplit);
        flags.set(Flag::DividendRefused);
        assert!(flags.has(Flag::SuspectedSplit) && !flags.has(Flag::SpinOff));
        assert_eq!(flags.names().collect::<Vec<_>>(), ["DIVIDEND_REFUSED", "SUSPECTED_SPLIT"]);
        assert!(NAMES.is_sorted());
    }
}
