//! One symbol: the few numbers a tick touches, and the rest behind a box.

use super::day::{BarSpan, DayReading, DayState, NEVER};
use super::events::Dated;
use super::held::HeldPrint;
use super::journal::Journal;
use super::params::Params;
use super::renames::Origin;
use super::revise::Judged;
use super::survival::Forecasts;
use crate::domain::{Direction, Phase, Price, Reading, RulerView, SessionDate, Symbol, UnixNanos, Unknown, WindowMove};
use crate::estimators::{DecayedSquares, SessionReturns, WindowMoves, log_multiple, threshold_price};
use crate::market::eligibility::{ExtendedGate, round_lot};
use crate::market::{Calendar, History, OpenBasis, Quarantine, Reference, Session, Sigma};
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

    /// The volatility, where it is a ruler.
    pub(super) fn usable_sigma(&self) -> Reading {
        match self.sigma {
            Sigma::Known(sigma) => Ok(sigma),
            Sigma::Insufficient(_) => Err(Unknown::InsufficientVariance),
            Sigma::Warming(_) => Err(Unknown::Warming),
        }
    }

    /// The multiple of a price.
    pub(super) fn z(&self, price: f64) -> Reading {
        let reference = self.reference?;
        Ok(log_multiple(price, reference.price, self.usable_sigma()?))
    }
}

/// What only changes with sessions, closes and episodes.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by itself")]
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
    /// Amendments and statuses: how far it has come where no price or sequence number tells.
    pub(super) notices: u64,
    pub(super) regular_last: Option<f64>,
    /// Low and high of the prices that decided, once the regular session is over.
    pub(super) decided: Option<(f64, f64)>,
    /// Low and high of prices that decided nothing: behind the newest, or in thin trading before the open.
    pub(super) undecided: (f64, f64),
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
    /// End of the group interval that the newest price lies in; never reached when no group follows.
    pub(super) bucket_end: UnixNanos,
    /// Shares in a round lot; 0 where it is not known.
    pub(super) round_lot: u32,
    /// Since when trading stands still, with the exchange's reason.
    pub(super) halt: Option<(UnixNanos, Arc<str>)>,
    /// Price limits in force: lower, upper.
    pub(super) limits: Option<(f64, f64)>,
    /// Prints too far away to be believed yet.
    pub(super) quarantine: Quarantine<HeldPrint>,
    /// What the pre-market has traded so far.
    pub(super) gate: ExtendedGate,
    /// Opening prices, and the last seconds.
    pub(super) day: DayState,
    pub(super) forecasts: Forecasts,
    /// Events by session, sorted.
    pub(super) events: Vec<Dated>,
    /// Sum of the digests of reference records from outside the market input.
    pub(super) reference: u64,
    /// Whether its history holds what a partition said that was given up since.
    pub(super) has_outlived: bool,
}

/// What makes a symbol's next print more than a price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Care(u8);

impl Care {
    /// Trading stands still.
    pub(super) const HALTED: Self = Self(1);
    /// Price limits are known.
    pub(super) const LIMITS: Self = Self(2);
    /// Prints wait in quarantine.
    pub(super) const HELD: Self = Self(4);
    /// The next print is the first after a halt.
    pub(super) const REOPENING: Self = Self(8);
    /// An amendment waits for its print.
    pub(super) const AHEAD: Self = Self(16);
    /// In the pre-market, and too little has been traded for a price to decide.
    pub(super) const GATED: Self = Self(32);
    /// No price of the session at hand has decided yet.
    pub(super) const FIRST: Self = Self(64);
    /// What a price meets when it is taken.
    pub(super) const AT_ARRIVAL: Self = Self(32 | 64);
    /// No price has come yet.
    pub(super) const NEW: Self = Self(128);
    /// What a print meets before it is taken.
    const AT_THE_DOOR: Self = Self(1 | 2 | 4 | 8 | 128);

    /// Whether a print may be taken without a look.
    #[inline]
    pub(super) fn is_none(self) -> bool {
        self.0 & Self::AT_THE_DOOR.0 == 0
    }

    #[inline]
    pub(super) fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    /// The stable form for snapshots.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// The inverse of [`Care::bits`].
    pub(super) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) fn set(&mut self, one: Self, on: bool) {
        if on { self.0 |= one.0 } else { self.0 &= !one.0 }
    }
}

/// The part of a symbol's state that its session's entries make, and that going through them again makes
/// anew.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Intraday {
    pub(super) last_price: f64,
    pub(super) last_ts: UnixNanos,
    pub(super) deadline: UnixNanos,
    pub(super) fast: DecayedSquares,
    pub(super) slow: DecayedSquares,
    pub(super) range: (f64, f64),
    pub(super) volume: f64,
    pub(super) mean_gap: f64,
    pub(super) phase: Phase,
    pub(super) live: bool,
    pub(super) episodes: Episodes,
    pub(super) regular_last: Option<f64>,
    pub(super) decided: Option<(f64, f64)>,
    pub(super) undecided: (f64, f64),
    pub(super) breached_at: Option<UnixNanos>,
    pub(super) flags: Vec<Arc<str>>,
    pub(super) halt: Option<(UnixNanos, Arc<str>)>,
    pub(super) gate: ExtendedGate,
    pub(super) is_gated: bool,
    pub(super) quiet_until: UnixNanos,
    pub(super) moves: Option<Box<WindowMoves>>,
    pub(super) bar: Option<BarSpan>,
    pub(super) returns: Option<Box<SessionReturns>>,
    /// The first price of the regular session, where one had been seen.
    pub(super) open: Option<Price>,
    /// The first price that could decide, where one had been seen.
    pub(super) first: Option<f64>,
}

impl Intraday {
    pub(super) fn of(state: &SymbolState) -> Self {
        let cold = &state.cold;
        Self {
            last_price: state.last_price,
            last_ts: state.last_ts,
            deadline: state.deadline,
            fast: state.fast,
            slow: state.slow,
            range: state.range,
            volume: state.volume,
            mean_gap: state.mean_gap,
            phase: cold.phase,
            live: cold.live,
            episodes: cold.episodes.clone(),
            regular_last: cold.regular_last,
            decided: cold.decided,
            undecided: cold.undecided,
            breached_at: cold.breached_at,
            flags: cold.flags.clone(),
            halt: cold.halt.clone(),
            gate: cold.gate,
            is_gated: state.care.has(Care::GATED),
            quiet_until: state.quiet_until,
            moves: cold.day.moves.clone(),
            bar: cold.day.bar,
            returns: cold.day.returns.today.clone(),
            open: cold.session.and_then(|s| cold.day.opens.first_price(s.date)),
            first: cold.session.and_then(|s| cold.history.first(s.date)),
        }
    }

    pub(super) fn put_back(&self, state: &mut SymbolState, calendar: Option<&Calendar>) {
        state.last_price = self.last_price;
        state.last_ts = self.last_ts;
        state.deadline = self.deadline;
        state.fast = self.fast;
        state.slow = self.slow;
        state.range = self.range;
        state.volume = self.volume;
        state.mean_gap = self.mean_gap;
        let cold = &mut state.cold;
        cold.phase = self.phase;
        cold.live = self.live;
        cold.episodes = self.episodes.clone();
        cold.regular_last = self.regular_last;
        cold.decided = self.decided;
        cold.undecided = self.undecided;
        cold.breached_at = self.breached_at;
        cold.flags.clone_from(&self.flags);
        cold.halt.clone_from(&self.halt);
        cold.gate = self.gate;
        cold.day.moves.clone_from(&self.moves);
        cold.day.bar = self.bar;
        cold.day.returns.today.clone_from(&self.returns);
        if let Some(session) = cold.session {
            cold.day.opens.forget_first_price(session.date);
            if let Some(open) = self.open {
                cold.day.opens.set(session.date, open, OpenBasis::FirstPrice);
            }
            cold.history.forget_first(calendar, session.date);
            if let Some(first) = self.first {
                cold.history.set_first(calendar, session.date, first);
            }
        }
        state.quiet_until = self.quiet_until;
        state.care.set(Care::NEW, self.last_price <= 0.0);
        state.care.set(Care::HALTED, self.halt.is_some());
        state.care.set(Care::GATED, self.is_gated);
        state.care.set(Care::FIRST, self.first.is_none());
    }
}

/// State of one symbol: what every tick reads or writes, and the rest behind boxes.
///
/// A quiet tick of many symbols costs cache misses and little else. This is two lines of 64 bytes that lie side
/// by side, and a field more is another half of that.
#[derive(Clone, Debug)]
#[repr(align(128))]
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
    /// Up to here prices pass no grid point of the windows.
    pub(super) quiet_until: UnixNanos,
    /// Lowest and highest price of the session, late ones included; crossed before the first.
    pub(super) range: (f64, f64),
    pub(super) partition: i32,
    pub(super) is_tracked: bool,
    /// What the next print has to be looked at for.
    pub(super) care: Care,
    /// Shares traded in the session.
    pub(super) volume: f64,
    /// Decayed mean of the seconds between regular prices; 0 before the second.
    pub(super) mean_gap: f64,
    pub(super) journal: Option<Box<Journal>>,
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
    /// The multiple against the variance that has passed so far in the day.
    pub z_adjusted: Reading,
    /// What it was adjusted by.
    pub ruler: Result<RulerView, Unknown>,
    /// Moves of the last seconds.
    pub windows: Result<[WindowMove; 3], Unknown>,
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
    /// The exchange's reason, empty where it gave none, while trading stands still.
    pub halt: Option<Arc<str>>,
    /// Price limits in force.
    pub limits: Option<(f64, f64)>,
    /// Prints that wait in quarantine.
    pub held: usize,
    /// Shares traded in the session.
    pub volume: f64,
    /// Seconds after which the lack of a price means that the price is not known.
    pub stale_after_secs: f64,
    /// Whether that is so now.
    pub is_stale: bool,
}

/// No price in the session yet.
pub(super) const NO_RANGE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

/// The range of two ranges.
pub(super) fn widest(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    (one.0.min(other.0), one.1.max(other.1))
}

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
            quiet_until: NEVER,
            range: NO_RANGE,
            partition: NO_PARTITION,
            is_tracked: false,
            care: Care::NEW,
            volume: 0.0,
            mean_gap: 0.0,
            journal: None,
            cold: Box::new(Cold {
                symbol,
                origin: None,
                former: None,
                history: History::new(params.return_mode, &params.modes),
                session: None,
                phase,
                ruler,
                episodes: Episodes::default(),
                judged: Vec::new(),
                closed: false,
                live: false,
                awaits_close: false,
                sequence: 0,
                notices: 0,
                regular_last: None,
                decided: None,
                undecided: NO_RANGE,
                breached_at: None,
                flags: Vec::new(),
                feeds: Vec::new(),
                bars: Vec::new(),
                source: None,
                bucket_end: UnixNanos::MAX,
                round_lot: 0,
                halt: None,
                limits: None,
                quarantine: Quarantine::default(),
                gate: ExtendedGate::default(),
                day: DayState::default(),
                forecasts: Forecasts::default(),
                events: Vec::new(),
                reference: 0,
                has_outlived: false,
            }),
        }
    }

    /// Event time of the newest print that came, believed or not.
    pub(super) fn newest_ts(&self) -> UnixNanos {
        self.cold.quarantine.held().last().map_or(self.last_ts, |h| h.ts.max(self.last_ts))
    }

    /// Lays the session's journal aside and begins another.
    pub(super) fn begin_journal(&mut self, params: &Params) {
        self.journal = None;
        if params.journal_max > 0 {
            self.journal = Some(Box::new(Journal::from_here(self)));
        }
    }

    pub(super) fn start_tracking(&mut self) {
        self.is_tracked = true;
        // The next price opens a bucket.
        self.cold.bucket_end = UnixNanos::MIN;
    }

    /// Whether prices decide: in the regular session, and in the pre-market once enough has been traded;
    /// before the close, unless trading stands still.
    pub(super) fn decides(&self) -> bool {
        let is_open = match self.cold.phase {
            Phase::Regular => true,
            Phase::Pre => !self.care.has(Care::GATED),
            Phase::Overnight | Phase::Post | Phase::Close => false,
        };
        is_open && !self.cold.closed && self.cold.halt.is_none()
    }

    /// Recomputes the ruler of the session at hand, and the prices at which it decides.
    pub(super) fn set_ruler(&mut self, params: &Params) {
        let session = self.cold.session.map(|s| s.date);
        self.cold.ruler = Ruler::of(&self.cold.history, params.calendar.as_deref(), session);
        let reference = self.cold.ruler.reference.ok().and_then(|r| Price::new(r.price).ok());
        self.cold.round_lot = reference.zip(session).map_or(0, |(r, s)| round_lot(r, s));
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

    /// Widens the session's range by a price that may decide.
    pub(super) fn widen(&mut self, price: f64) {
        self.range = widest(self.range, (price, price));
    }

    /// Widens the session's range by a price that decides nothing.
    pub(super) fn widen_aside(&mut self, price: f64) {
        self.cold.undecided = widest(self.cold.undecided, (price, price));
    }

    /// Seconds without a price after which the last one says nothing: several of its mean gaps, and never
    /// under the bound.
    ///
    /// Infinite before the second price: a rhythm takes two.
    pub(super) fn stale_after(&self, params: &Params) -> f64 {
        if self.mean_gap <= 0.0 {
            return f64::INFINITY;
        }
        (params.stale.gaps * self.mean_gap).max(params.stale.least_secs)
    }

    pub(super) fn view(&self, params: &Params, intraday: DayReading) -> SymbolView {
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
            z_adjusted: intraday.z_adjusted,
            ruler: intraday.ruler,
            windows: intraday.windows,
            sigma_daily: ruler.sigma.number(),
            reference: ruler.reference.ok().map(|r| r.price),
            tier: current.map_or(0.0, |e| params.rules.at(e.tier)),
            direction: current.map(|e| e.direction),
            closed: cold.closed,
            extremes: Some(widest(self.range, cold.undecided)).filter(|(low, high)| low <= high),
            tiers,
            sequence: cold.sequence,
            partition: (self.partition != NO_PARTITION).then_some(self.partition),
            volatility: [self.fast.volatility(), self.slow.volatility()],
            halt: cold.halt.as_ref().map(|(_, reason)| reason.clone()),
            limits: cold.limits,
            held: cold.quarantine.held().len(),
            volume: self.volume,
            stale_after_secs: self.stale_after(params),
            is_stale: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_touches_two_lines() {
        assert_eq!(size_of::<SymbolState>(), 128);
    }
}
