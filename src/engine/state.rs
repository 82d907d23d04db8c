//! One symbol: the few numbers a tick touches, and the rest behind a box.

use super::events::Dated;
use super::params::Params;
use super::renames::Origin;
use super::revise::Judged;
use crate::domain::{Direction, Phase, Reading, SessionDate, Symbol, UnixNanos, Unknown};
use crate::estimators::{DecayedSquares, log_multiple, threshold_price};
use crate::market::{Calendar, History, Reference, Session, Sigma};
use crate::rules::{Band, Episodes};
use std::sync::Arc;

/// The ruler of the session at hand: what moves are measured from, and with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Ruler {
    pub(super) reference: Result<Reference, Unknown>,
    pub(super) sigma: Sigma,
    /// The split that the session looks like without a record saying so.
    pub(super) suspicion: Option<f64>,
}

impl Ruler {
    /// The ruler of a session.
    pub(super) fn of(history: &History, calendar: Option<&Calendar>, session: Option<SessionDate>) -> Self {
        Self {
            reference: history.reference(calendar, session),
            sigma: history.sigma(calendar, session),
            suspicion: session.and_then(|s| history.suspicion(calendar, s)),
        }
    }

    /// The multiple by this ruler of the price whose multiple by `old` was `z`.
    pub(super) fn moved(&self, old: &Self, z: f64) -> f64 {
        let both = (old.reference, old.sigma.usable(), self.reference, self.sigma.usable());
        let (Ok(from), Some(old_sigma), Ok(to), Some(sigma)) = both else { return z };
        if (from.price, old_sigma) == (to.price, sigma) {
            z
        } else {
            (z * old_sigma + (from.price / to.price).ln()) / sigma
        }
    }

    /// The multiple of a price.
    pub(super) fn z(&self, price: f64) -> Reading {
        let reference = self.reference?;
        match self.sigma {
            Sigma::Known(sigma) => Ok(log_multiple(price, reference.price, sigma)),
            Sigma::Insufficient(_) => Err(Unknown::InsufficientVariance),
            Sigma::Warming(_) => Err(Unknown::Warming),
        }
    }
}

/// What only changes with sessions, closes and episodes.
#[derive(Clone, Debug)]
pub(super) struct Cold {
    /// Its name in the session at hand.
    pub(super) symbol: Symbol,
    /// Which security it is, where a rename touches its name.
    pub(super) origin: Option<Origin>,
    /// Its name before, and the records sent under it.
    pub(super) former: Option<(Symbol, u64)>,
    pub(super) history: History,
    pub(super) session: Option<Session>,
    pub(super) phase: Phase,
    pub(super) ruler: Ruler,
    pub(super) episodes: Episodes,
    /// Sessions that may be judged again, oldest first: the last one, and those without a verdict.
    pub(super) judged: Vec<Judged>,
    /// Whether the session at hand has had its close.
    pub(super) closed: bool,
    /// Whether the session at hand has had a tick or bar.
    pub(super) live: bool,
    pub(super) awaits_close: bool,
    pub(super) sequence: u64,
    pub(super) regular_last: Option<f64>,
    /// First breach of the session, for the group's initiator.
    pub(super) breached_at: Option<UnixNanos>,
    /// Flags of the feeds that decided something in this session, sorted.
    pub(super) flags: Vec<Arc<str>>,
    /// Last sequence number by feed, beside the unnamed one.
    pub(super) feeds: Vec<(u16, u64)>,
    /// Start of the last final bar by interval.
    pub(super) bars: Vec<(crate::domain::Interval, UnixNanos)>,
    /// Partition and offset of the newest price, where a group follows.
    pub(super) source: Option<(i32, i64)>,
    /// Events by session, sorted.
    pub(super) events: Vec<Dated>,
}

/// State of one symbol. The first fields are what a tick reads and writes.
#[derive(Clone, Debug)]
pub(super) struct SymbolState {
    pub(super) low: f64,
    pub(super) high: f64,
    /// 0 before the first price.
    pub(super) last_price: f64,
    pub(super) last_ts: UnixNanos,
    /// From here on the session or its phase is another.
    pub(super) deadline: UnixNanos,
    /// One more than the last sequence number of the unnamed feed; 0 before the first.
    pub(super) next_seq: u64,
    pub(super) fast: DecayedSquares,
    pub(super) slow: DecayedSquares,
    /// End of the group interval that the newest price lies in; never reached when no group follows.
    pub(super) bucket_end: UnixNanos,
    /// Lowest and highest price of the session, late ones included; crossed before the first.
    pub(super) range: (f64, f64),
    pub(super) partition: i32,
    pub(super) is_tracked: bool,
    pub(super) cold: Box<Cold>,
}

/// A symbol as readers see it.
#[derive(Clone, PartialEq, Debug)]
pub struct SymbolView {
    /// Which.
    pub symbol: Symbol,
    /// Session at hand.
    pub session: Option<SessionDate>,
    /// Phase of the newest record.
    pub phase: Phase,
    /// Newest price, 0 before the first.
    pub price: f64,
    /// Its event time.
    pub event_time: UnixNanos,
    /// Multiple of the newest price, or why there is none.
    pub z: Reading,
    /// Volatility before the session.
    pub sigma_daily: Option<f64>,
    /// Reference price.
    pub reference: Option<f64>,
    /// Tier held, 0 without an open episode.
    pub tier: f64,
    /// Direction of the open episode.
    pub direction: Option<Direction>,
    /// Whether the session has closed.
    pub closed: bool,
    /// Lowest and highest price of the session.
    pub extremes: Option<(f64, f64)>,
    /// Prices of the tiers, down and up.
    pub tiers: Vec<(f64, f64, f64)>,
    /// Records sent about it.
    pub sequence: u64,
    /// Partition it is read from.
    pub partition: Option<i32>,
    /// Roots of the fast and slow decayed sums.
    pub volatility: [f64; 2],
}

/// No price in the session yet.
pub(super) const NO_RANGE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

/// No partition yet.
pub(super) const NO_PARTITION: i32 = -1;

impl SymbolState {
    pub(super) fn new(symbol: Symbol, params: &Params) -> Self {
        let ruler = Ruler { reference: Err(Unknown::NoReference), sigma: Sigma::Warming(0), suspicion: None };
        // Without a calendar the one session is regular and never ends.
        let (phase, deadline) = match params.calendar {
            Some(_) => (Phase::Overnight, UnixNanos::MIN),
            None => (Phase::Regular, UnixNanos::MAX),
        };
        Self {
            low: Band::ALL.low,
            high: Band::ALL.high,
            last_price: 0.0,
            last_ts: UnixNanos::MIN,
            deadline,
            next_seq: 0,
            fast: DecayedSquares::default(),
            slow: DecayedSquares::default(),
            bucket_end: UnixNanos::MAX,
            range: NO_RANGE,
            partition: NO_PARTITION,
            is_tracked: false,
            cold: Box::new(Cold {
                symbol,
                origin: None,
                former: None,
                history: History::new(params.return_mode),
                session: None,
                phase,
                ruler,
                episodes: Episodes::default(),
                judged: Vec::new(),
                closed: false,
                live: false,
                awaits_close: false,
                sequence: 0,
                regular_last: None,
                breached_at: None,
                flags: Vec::new(),
                feeds: Vec::new(),
                bars: Vec::new(),
                source: None,
                events: Vec::new(),
            }),
        }
    }

    pub(super) fn start_tracking(&mut self) {
        self.is_tracked = true;
        // The next price opens a bucket.
        self.bucket_end = UnixNanos::MIN;
    }

    /// Whether the phase at hand is one in which prices decide.
    pub(super) fn decides(&self) -> bool {
        matches!(self.cold.phase, Phase::Pre | Phase::Regular) && !self.cold.closed
    }

    /// Recomputes the ruler of the session at hand, and the prices at which it decides.
    pub(super) fn set_ruler(&mut self, params: &Params) {
        let session = self.cold.session.map(|s| s.date);
        self.cold.ruler = Ruler::of(&self.cold.history, params.calendar.as_deref(), session);
        self.set_band(params);
    }

    /// Recomputes the prices between which a tick changes nothing.
    pub(super) fn set_band(&mut self, params: &Params) {
        let ruler = &self.cold.ruler;
        let (Ok(reference), Some(sigma), true) = (ruler.reference, ruler.sigma.usable(), self.decides()) else {
            (self.low, self.high) = (Band::ALL.low, Band::ALL.high);
            return;
        };
        let band = self.cold.episodes.band(&params.rules);
        // A threshold on the near side of the reference must catch equality too: look just past it.
        let price = |multiple: f64| threshold_price(reference.price, sigma, multiple);
        self.low = match band.low {
            m if m.is_infinite() => m,
            m if m >= 0.0 => price(m.next_up()),
            m => price(m),
        };
        self.high = match band.high {
            m if m.is_infinite() => m,
            m if m <= 0.0 => price(m.next_down()),
            m => price(m),
        };
    }

    /// Multiple of the newest price.
    pub(super) fn z_now(&self) -> Reading {
        if self.last_price > 0.0 { self.cold.ruler.z(self.last_price) } else { Err(Unknown::NoPrice) }
    }

    /// Widens the session's range by a price.
    pub(super) fn widen(&mut self, low: f64, high: f64) {
        self.range = (self.range.0.min(low), self.range.1.max(high));
    }

    pub(super) fn view(&self, params: &Params) -> SymbolView {
        let cold = &self.cold;
        let ruler = &cold.ruler;
        let current = cold.episodes.current.as_ref();
        let tiers = match (ruler.reference, ruler.sigma.usable()) {
            (Ok(r), Some(s)) => {
                let pair = |t: &f64| (*t, threshold_price(r.price, s, -t), threshold_price(r.price, s, *t));
                params.rules.tiers.iter().map(pair).collect()
            }
            _ => Vec::new(),
        };
        SymbolView {
            symbol: cold.symbol.clone(),
            session: cold.session.map(|s| s.date),
            phase: cold.phase,
            price: self.last_price,
            event_time: self.last_ts,
            z: self.z_now(),
            sigma_daily: ruler.sigma.number(),
            reference: ruler.reference.ok().map(|r| r.price),
            tier: current.map_or(0.0, |e| params.rules.at(e.tier)),
            direction: current.map(|e| e.direction),
            closed: cold.closed,
            extremes: (self.range.0 <= self.range.1).then_some(self.range),
            tiers,
            sequence: cold.sequence,
            partition: (self.partition != NO_PARTITION).then_some(self.partition),
            volatility: [self.fast.volatility(), self.slow.volatility()],
        }
    }
}
