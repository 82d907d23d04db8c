//! Why a number is not known.

/// The reason in place of a number. "Not enough data yet" is never 0, NaN or infinity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unknown {
    /// No close before this session, and no desk reference.
    NoReference,
    /// The previous session has no close, so the return would span more than a day.
    MissingSession,
    /// The calendar does not know the session.
    UnknownSession,
    /// Fewer returns than the window needs.
    Warming,
    /// The volatility is under half a price step or the floor: no ruler.
    InsufficientVariance,
    /// No price yet.
    NoPrice,
    /// No price in this session yet.
    NotYet,
    /// The session ended without a close.
    NoClose,
    /// A member without a market value, so no weights.
    NoWeights,
    /// Too little of the group's weight is known.
    Coverage,
    /// No member's multiple is known.
    NoMember,
    /// No `shares` record before the session.
    NoShares,
    /// A desk's reference replaces window and evidence.
    DeskReference,
    /// Only a single security has it.
    NotASecurity,
    /// This build does not compute it.
    NotComputed,
    /// No calendar is configured.
    NoCalendar,
    /// No price for longer than the security's own rhythm explains.
    Stale,
    /// Only the regular session has it.
    OutsideRegular,
    /// Bars are longer than the window.
    TooCoarse,
    /// The close, or the end of the session, has decided.
    Settled,
    /// The price changed by the ratio of a split that no record announces.
    SuspectedSplit,
    /// Fewer sessions of history than a percentile needs.
    ShortHistory,
    /// More members than are measured together.
    TooMany,
    /// The opening price of the session is not known.
    NoOpen,
}

impl Unknown {
    const ALL: [Self; 24] = [
        Self::NoReference,
        Self::MissingSession,
        Self::UnknownSession,
        Self::Warming,
        Self::InsufficientVariance,
        Self::NoPrice,
        Self::NotYet,
        Self::NoClose,
        Self::NoWeights,
        Self::Coverage,
        Self::NoMember,
        Self::NoShares,
        Self::DeskReference,
        Self::NotASecurity,
        Self::NotComputed,
        Self::NoCalendar,
        Self::Stale,
        Self::OutsideRegular,
        Self::TooCoarse,
        Self::Settled,
        Self::SuspectedSplit,
        Self::ShortHistory,
        Self::TooMany,
        Self::NoOpen,
    ];

    /// The reason in alerts, measures and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoReference => "NO_REF",
            Self::MissingSession => "MISSING_SESSION",
            Self::UnknownSession => "UNKNOWN_SESSION",
            Self::Warming => "WARMING",
            Self::InsufficientVariance => "INSUFFICIENT_VARIANCE",
            Self::NoPrice => "NO_PRICE",
            Self::NotYet => "NOT_YET",
            Self::NoClose => "NO_CLOSE",
            Self::NoWeights => "NO_WEIGHTS",
            Self::Coverage => "COVERAGE",
            Self::NoMember => "NO_MEMBER",
            Self::NoShares => "NO_SHARES",
            Self::DeskReference => "DESK_REFERENCE",
            Self::NotASecurity => "NOT_A_SECURITY",
            Self::NotComputed => "NOT_COMPUTED",
            Self::NoCalendar => "NO_CALENDAR",
            Self::Stale => "STALE",
            Self::OutsideRegular => "OUTSIDE_REGULAR",
            Self::TooCoarse => "TOO_COARSE",
            Self::Settled => "SETTLED",
            Self::SuspectedSplit => "SUSPECTED_SPLIT",
            Self::ShortHistory => "SHORT_HISTORY",
            Self::TooMany => "TOO_MANY",
            Self::NoOpen => "NO_OPEN",
        }
    }

    /// The inverse of [`Unknown::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|u| u.name() == name)
    }

    /// A stable number for snapshots.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The inverse of [`Unknown::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for reason in Unknown::ALL {
            assert_eq!(Unknown::from_number(reason.number()), Some(reason));
            assert_eq!(Unknown::from_name(reason.name()), Some(reason));
        }
        assert_eq!(Unknown::from_number(24), None);
    }
}
