//! What the product says.

use super::{ClusterView, Event, Phase, RealizedView, SessionDate, Symbol, UnixNanos, Unknown};
use std::sync::Arc;
use uuid::Uuid;

/// What happened to an episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AlertKind {
    /// It began.
    Open,
    /// It reached a higher tier.
    Escalate,
    /// It went on: a new extreme, or a tier regained.
    Update,
    /// It holds a lower tier than before.
    Deescalate,
    /// It ended within its session.
    Close,
    /// The closing price confirmed it.
    Confirm,
    /// The closing price did not confirm it.
    Fade,
    /// A later record changed what the close, or the session, said.
    Correct,
    /// What it rested on was taken back: it never was.
    Retract,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Open,
        Self::Escalate,
        Self::Update,
        Self::Deescalate,
        Self::Close,
        Self::Confirm,
        Self::Fade,
        Self::Correct,
        Self::Retract,
    ];

    /// The inverse of [`AlertKind::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Escalate => "escalate",
            Self::Update => "update",
            Self::Deescalate => "deescalate",
            Self::Close => "close",
            Self::Confirm => "confirm",
            Self::Fade => "fade",
            Self::Correct => "correct",
            Self::Retract => "retract",
        }
    }
}

/// How final an alert is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AlertState {
    /// The session has not closed yet.
    Provisional,
    /// The closing price stands at or beyond the first tier.
    Confirmed,
    /// The closing price stands inside the first tier.
    Faded,
    /// The session ended without a closing price.
    Expired,
    /// What it rested on was taken back.
    Retracted,
}

impl AlertState {
    const ALL: [Self; 5] = [Self::Provisional, Self::Confirmed, Self::Faded, Self::Expired, Self::Retracted];

    /// The inverse of [`AlertState::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisional => "PROVISIONAL",
            Self::Confirmed => "CONFIRMED",
            Self::Faded => "FADED",
            Self::Expired => "EXPIRED",
            Self::Retracted => "RETRACTED",
        }
    }
}

/// Sign of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// Price rose.
    Up,
    /// Price fell.
    Down,
}

impl Direction {
    /// The direction of a signed number; zero counts as up.
    pub fn of(value: f64) -> Self {
        if value < 0.0 { Self::Down } else { Self::Up }
    }

    /// +1 or -1.
    pub fn sign(self) -> f64 {
        match self {
            Self::Up => 1.0,
            Self::Down => -1.0,
        }
    }

    /// The name in alerts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What an alert is about.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Entity {
    /// A group of securities.
    Cluster(Arc<str>),
    /// One security.
    Symbol(Symbol),
}

impl Entity {
    /// The type's name in alerts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "cluster",
            Self::Symbol(_) => "symbol",
        }
    }

    /// The id, which is also the Kafka key.
    pub fn id(&self) -> &str {
        match self {
            Self::Cluster(name) => name,
            Self::Symbol(symbol) => symbol.as_str(),
        }
    }
}

/// Which rule decided.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleRef {
    /// Name of the rule.
    pub id: &'static str,
    /// Raised whenever its decisions change.
    pub version: u32,
    /// Hash over the settings that can change an alert.
    pub config_hash: Arc<str>,
    /// Every tier of it, ascending; the first opens.
    pub tiers: Arc<[f64]>,
}

/// The window behind a volatility.
#[derive(Clone, PartialEq, Debug)]
pub struct WindowView {
    /// Returns in it.
    pub n: usize,
    /// Session of the first.
    pub first: SessionDate,
    /// Session of the last.
    pub last: SessionDate,
    /// Largest absolute return in it.
    pub max_abs_return: f64,
    /// How much of it is that one return; `None` when it has not moved at all.
    pub echo: Option<EchoView>,
}

/// The echo of a window's largest return.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EchoView {
    /// Its session.
    pub session: SessionDate,
    /// Its square over the sum of the window's squares.
    pub share: f64,
    /// Sample standard deviation of the others.
    pub sigma_without: Option<f64>,
    /// Sessions until the first whose window does not hold it; 1 is the next one.
    pub sessions_left: usize,
}

/// A volatility beside the canonical one, and the multiple by it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ModeView {
    /// Its name.
    pub name: &'static str,
    /// Daily volatility before the session.
    pub sigma: Reading,
    /// `log_return / sigma`.
    pub z: Reading,
}

/// The price a move is measured from.
#[derive(Clone, PartialEq, Debug)]
pub struct ReferencePrice {
    /// Price, adjusted for splits since.
    pub price: f64,
    /// Session it closed.
    pub session: Option<SessionDate>,
    /// Where it comes from.
    pub basis: &'static str,
    /// The split that the session looks like and that no record announces, as new shares for one old.
    pub suspected_split: Option<f64>,
}

/// A price at which the next tier fires.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NextTier {
    /// Tier, in sigmas.
    pub tier: f64,
    /// First price that reaches it.
    pub price: f64,
}

/// Where the deciding record stands.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Source {
    /// Topic, or the input's name.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset, or line number from 0.
    pub offset: i64,
}

/// A move at the session's opening price: what came before the open, and what since.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GapView {
    /// The opening price.
    pub open: f64,
    /// Where it comes from: `first_price` or `day_bar`.
    pub basis: &'static str,
    /// `ln(open / reference)`.
    pub overnight: f64,
    /// `ln(price / open)`.
    pub intraday: f64,
}

/// Change of market value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct UsdChange {
    /// `shares * (price - reference)`, in US dollars.
    pub market_value_change: f64,
    /// Shares outstanding used; a group has none of its own.
    pub shares: Option<f64>,
    /// Price basis: `official`, `last` or `provisional`.
    pub basis: &'static str,
    /// Its place among earlier ones; `None` for a group.
    pub record: Option<RecordRank>,
}

/// Where a change of market value stands among those of earlier sessions of the same direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRank {
    /// 1 for the largest; `None` without an earlier session, and for one smaller than all that are kept of long ago.
    pub rank: Option<u32>,
    /// Earlier sessions it is compared with, of either direction.
    pub sessions: u32,
}

/// A number, or the reason why it is not known.
pub type Reading = Result<f64, Unknown>;

/// What a multiple is adjusted by for the time of day.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RulerView {
    /// Share of the day's variance that has passed, above 0 and at most 1.
    pub elapsed: f64,
    /// Share of a day's variance before the open.
    pub overnight: f64,
    /// Sessions that share was learned from; 0: the default.
    pub overnight_sessions: usize,
    /// Sessions the diurnal curve was learned from; 0: the default.
    pub curve_sessions: usize,
}

impl RulerView {
    /// Whether a part of it is not learned.
    pub fn is_default(&self) -> bool {
        self.overnight_sessions == 0 || self.curve_sessions == 0
    }
}

/// The move of the last seconds against their own expected variance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WindowMove {
    /// Length of the window, in seconds of event time.
    pub secs: u32,
    /// Log return over it.
    pub log_return: Reading,
    /// That in multiples of the deviation expected of it.
    pub z: Reading,
}

/// One alert record.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    /// UUID of version 5 over rule, version, entity, session, direction and episode.
    pub alert_id: Uuid,
    /// 0, 1, 2 within the alert; with the id it identifies the record.
    pub revision: u32,
    /// 1, 2, 3 within the entity, without gaps.
    pub sequence: u64,
    /// What happened.
    pub kind: AlertKind,
    /// How final.
    pub state: AlertState,
    /// What it is about.
    pub entity: Entity,
    /// Groups the entity belongs to in this session, sorted.
    pub groups: Vec<Arc<str>>,
    /// Why.
    pub rule: RuleRef,
    /// Session whose close settles it; `None` when no calendar is configured.
    pub session: Option<SessionDate>,
    /// Part of the day.
    pub phase: Phase,
    /// Event time of the deciding record.
    pub event_time: UnixNanos,
    /// Sign of the move.
    pub direction: Direction,
    /// Tier held.
    pub tier: f64,
    /// Highest tier reached in the episode.
    pub peak_tier: f64,
    /// Name of the tier's weight.
    pub severity: &'static str,
    /// `log_return / sigma_daily`, unrounded here.
    pub z: Reading,
    /// `z` against the variance that has passed so far in the day.
    pub z_adjusted: Reading,
    /// What it was adjusted by.
    pub ruler: Result<RulerView, Unknown>,
    /// Moves of the last seconds.
    pub windows: Result<[WindowMove; 3], Unknown>,
    /// Probability that the close stands at or beyond the first tier, in the direction of the move.
    pub survival: Reading,
    /// Daily volatility before the session.
    pub sigma_daily: Reading,
    /// Its window.
    pub window: Result<WindowView, Unknown>,
    /// Volatilities beside it; never mixed with it.
    pub modes: Result<Vec<ModeView>, Unknown>,
    /// What the session's own returns say of it; shown beside the rest, never decisive.
    pub realized: Result<RealizedView, Unknown>,
    /// `ln(price / reference)`.
    pub log_return: Reading,
    /// `price / reference - 1`.
    pub simple_return: Reading,
    /// Deciding price; clusters have none.
    pub price: Reading,
    /// What the move is measured from.
    pub reference: Result<ReferencePrice, Unknown>,
    /// The move before and since the open; they sum to `log_return`.
    pub gap: Result<GapView, Unknown>,
    /// Prices of the next tiers in the direction of the move.
    pub next_tiers: Vec<NextTier>,
    /// Sessions and log returns of the window.
    pub evidence: Result<Vec<(SessionDate, f64)>, Unknown>,
    /// Cluster alerts alone.
    pub cluster: Option<ClusterView>,
    /// Change of market value.
    pub usd: Result<UsdChange, Unknown>,
    /// Flags about the data, sorted.
    pub quality: Vec<Arc<str>>,
    /// What sources tell of the company on that session, sorted: when, where they say, and what. Clusters have none.
    pub events: Vec<(Option<UnixNanos>, Arc<Event>)>,
    /// Where the deciding records stand.
    pub source: Vec<Source>,
    /// One English sentence.
    pub summary: String,
    /// Root of the 30-second decayed sum of squared tick returns.
    pub fast_volatility: f64,
    /// Root of the 30-minute decayed sum of squared tick returns.
    pub slow_volatility: f64,
    /// Number of the episode within entity and session, from 1.
    pub episode: u32,
}
