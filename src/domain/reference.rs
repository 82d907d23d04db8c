//! Records about a security or a group that take effect at the session they name.

use super::{Price, SessionDate, Symbol, UnixNanos};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Where a closing price comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum CloseBasis {
    /// Inferred here: the last regular price before the session ended.
    Inferred,
    /// The last price of the session, as the feed reports it.
    Last,
    /// The primary listing's official close.
    Official,
}

impl CloseBasis {
    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inferred => "last_regular",
            Self::Last => "last",
            Self::Official => "official",
        }
    }

    /// A stable number for snapshots.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The inverse of [`CloseBasis::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Inferred, Self::Last, Self::Official].get(usize::from(number)).copied()
    }
}

/// What leaves a share with its ex-date.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DividendKind {
    /// Money: taken off the reference in total-return mode alone.
    Cash,
    /// Shares of another company, by their value: taken off the reference in every mode.
    SpinOff,
}

/// When an event of a company was, or is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum EventAt {
    /// An instant.
    Time(UnixNanos),
    /// A session.
    Session(SessionDate),
}

/// An event of a company, as its source tells it.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub struct Event {
    /// `earnings`, `news`, `product` ...
    pub kind: String,
    /// Who says so.
    pub source: String,
    /// What it says.
    pub text: Option<String>,
    /// Where.
    pub url: Option<String>,
}

/// Parts of equal length that a diurnal curve gives a share of variance: half hours of a full session.
pub const CURVE_BUCKETS: usize = 13;

/// Whose diurnal curve it is.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum CurveTarget {
    /// The symbols of a group of the ruler.
    Group(String),
    /// One symbol; it goes before its group's.
    Symbol(Symbol),
}

/// A record about a security or a group that takes effect at the session it names.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Reference {
    /// The closing price of a session.
    Close {
        /// Security.
        symbol: Symbol,
        /// Session it closes.
        session: SessionDate,
        /// Closing price, unadjusted.
        price: Price,
        /// When; the session's closing time if absent.
        ts: Option<UnixNanos>,
        /// Where it comes from.
        basis: CloseBasis,
    },
    /// A desk's own reference price and daily volatility, used instead of the computed ones.
    Desk {
        /// Security.
        symbol: Symbol,
        /// The session it holds for; every session without its own if absent.
        session: Option<SessionDate>,
        /// Reference price.
        prev_close: Price,
        /// Daily volatility, a positive finite ratio.
        sigma_daily: f64,
    },
    /// A share split: `ratio` new shares for one old from `ex_date` on.
    Split {
        /// Security.
        symbol: Symbol,
        /// First session at the new price.
        ex_date: SessionDate,
        /// New shares per old share.
        ratio: f64,
    },
    /// Shares outstanding at the end of a session.
    Shares {
        /// Security.
        symbol: Symbol,
        /// Session at whose end they are counted.
        session: SessionDate,
        /// How many.
        shares: f64,
    },
    /// A symbol joins a group.
    Member {
        /// Group.
        group: String,
        /// Security.
        symbol: Symbol,
        /// First session inside.
        from: SessionDate,
        /// The company, where several symbols are share classes of one.
        company: Option<String>,
        /// Its sector.
        sector: Option<String>,
    },
    /// A symbol leaves a group.
    Leave {
        /// Group.
        group: String,
        /// Security.
        symbol: Symbol,
        /// First session outside.
        from: SessionDate,
    },
    /// Cash, or a spun-off company, leaves with `ex_date`. A record with amount 0 takes an earlier one back.
    Dividend {
        /// Security.
        symbol: Symbol,
        /// First session without it.
        ex_date: SessionDate,
        /// Per share, in the currency of the price.
        amount: f64,
        /// What is paid out.
        kind: DividendKind,
    },
    /// The security goes on under another symbol.
    Rename {
        /// Symbol up to the session before `from`.
        symbol: Symbol,
        /// Symbol from then on.
        to: Symbol,
        /// First session under the new symbol.
        from: SessionDate,
    },
    /// Context: something that happened to the company. Carried into alerts, never a cause of one.
    Event {
        /// Security.
        symbol: Symbol,
        /// When.
        at: EventAt,
        /// What.
        event: Arc<Event>,
    },
    /// How the variance of a regular session accrues, as learned.
    Curve {
        /// Whose.
        target: CurveTarget,
        /// First session it holds for.
        from: SessionDate,
        /// Shares by half hour: finite, not negative, not all 0.
        shares: Box<[f64; CURVE_BUCKETS]>,
        /// Share of a day's variance before the open, between 0 and 1.
        overnight: Option<f64>,
        /// Sessions it was learned from, positive.
        sessions: u32,
    },
    /// One row of a daily history: a close and what came with it.
    Daily {
        /// Security.
        symbol: Symbol,
        /// Session.
        session: SessionDate,
        /// Closing price, unadjusted.
        close: Price,
        /// Open, high and low, where they agree with the close.
        range: Option<[Price; 3]>,
        /// Split whose ex-date is this session.
        split: Option<f64>,
        /// Cash dividend whose ex-date is this session.
        dividend: Option<f64>,
        /// Shares outstanding at the end of the session.
        shares: Option<f64>,
    },
}

impl Reference {
    /// The security it is about; a group's curve has none.
    pub fn symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Curve { target: CurveTarget::Group(_), .. } => None,
            Self::Curve { target: CurveTarget::Symbol(symbol), .. }
            | Self::Close { symbol, .. }
            | Self::Desk { symbol, .. }
            | Self::Split { symbol, .. }
            | Self::Shares { symbol, .. }
            | Self::Member { symbol, .. }
            | Self::Leave { symbol, .. }
            | Self::Dividend { symbol, .. }
            | Self::Rename { symbol, .. }
            | Self::Event { symbol, .. }
            | Self::Daily { symbol, .. } => Some(symbol),
        }
    }

    /// A number that two records share when they say the same, and hardly ever otherwise. It is the same in every
    /// process of one build.
    pub fn digest(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        std::mem::discriminant(self).hash(&mut hash);
        let bits = |number: &Option<f64>| number.map(f64::to_bits);
        match self {
            Self::Close { symbol, session, price, ts, basis } => {
                (symbol, session, price.get().to_bits(), ts, basis).hash(&mut hash);
            }
            Self::Desk { symbol, session, prev_close, sigma_daily } => {
                (symbol, session, prev_close.get().to_bits(), sigma_daily.to_bits()).hash(&mut hash);
            }
            Self::Split { symbol, ex_date, ratio } => (symbol, ex_date, ratio.to_bits()).hash(&mut hash),
            Self::Shares { symbol, session, shares } => (symbol, session, shares.to_bits()).hash(&mut hash),
            Self::Member { group, symbol, from, company, sector } => {
                (group, symbol, from, company, sector).hash(&mut hash);
            }
            Self::Leave { group, symbol, from } => (group, symbol, from).hash(&mut hash),
            Self::Dividend { symbol, ex_date, amount, kind } => {
                (symbol, ex_date, amount.to_bits(), kind).hash(&mut hash);
            }
            Self::Rename { symbol, to, from } => (symbol, to, from).hash(&mut hash),
            Self::Event { symbol, at, event } => (symbol, at, event).hash(&mut hash),
            Self::Curve { target, from, shares, overnight, sessions } => {
                (target, from, shares.map(f64::to_bits), bits(overnight), sessions).hash(&mut hash);
            }
            Self::Daily { symbol, session, close, range, split, dividend, shares } => {
                let range = range.map(|prices| prices.map(|p| p.get().to_bits()));
                (symbol, session, close.get().to_bits(), range).hash(&mut hash);
                (bits(split), bits(dividend), bits(shares)).hash(&mut hash);
            }
        }
        hash.finish()
    }
}
