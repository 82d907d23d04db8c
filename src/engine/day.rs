//! The time of day: multiples against the variance that has passed, moves of the last seconds, opening prices,
//! and how likely a provisional move is to last.
//!
//! All of it is worked out when it is asked, from the symbol's own records and the reference records; a tick
//! pays one comparison.

use super::print::Entry;
use super::realized::FiveMinutes;
use super::state::{Ruler, SymbolState};
use super::{Disposition, Engine};
use crate::domain::{
    CURVE_BUCKETS, CurveTarget, Direction, ModeView, Outcome, Phase, Price, Reading, RulerView, SessionDate, Symbol,
    UnixNanos, Unknown, WindowMove,
};
use crate::estimators::{DailyModes, Mode, WINDOW_SECS, WindowEcho, WindowMoves, survival};
use crate::market::{Curve, LearnedCurve, OpenBasis, Opens, RulerParams, VarianceClock, overnight_share};
use std::sync::Arc;

/// What the time of day makes of a price.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct DayReading {
    pub(super) z_adjusted: Reading,
    pub(super) ruler: Result<RulerView, Unknown>,
    pub(super) windows: Result<[WindowMove; 3], Unknown>,
}

/// The last final bar: within it, prices are not known.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct BarSpan {
    pub(super) start: UnixNanos,
    pub(super) end: UnixNanos,
    pub(super) open: Price,
    /// Whether no other price fell into it.
    pub(super) is_alone: bool,
}

/// What a symbol remembers for the time of day.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct DayState {
    pub(super) opens: Opens,
    /// Since the first price of the regular session at hand.
    pub(super) moves: Option<Box<WindowMoves>>,
    pub(super) bar: Option<BarSpan>,
    pub(super) returns: FiveMinutes,
}

/// Where prices change nothing for windows and opening price, because none are kept.
pub(super) const NEVER: UnixNanos = UnixNanos::MAX;

impl Engine {
    /// The variance clock of a symbol in a session.
    pub(super) fn clock(&self, id: u32, session: Option<SessionDate>) -> Result<VarianceClock, Unknown> {
        let Some(calendar) = self.params.calendar.as_deref() else { return Err(Unknown::NoCalendar) };
        let session = session.and_then(|s| calendar.session(s)).ok_or(Unknown::UnknownSession)?;
        let cold = &self.states[id as usize].cold;
        let RulerParams { overnight, overnight_range: (low, high), sessions, pre_market, curve, .. } =
            &self.params.ruler;
        let parts = cold.day.opens.parts(&cold.history, session.date, *sessions);
        let symbol = &cold.symbol;
        let group = self.params.ruler.groups.get(symbol.as_str());
        let of_symbol = self.curves.in_force(&CurveTarget::Symbol(symbol.clone()), session.date);
        let of_group = || group.and_then(|g| self.curves.in_force(&CurveTarget::Group(g.to_string()), session.date));
        let learned = of_symbol.or_else(of_group);
        let own = if parts.len() == *sessions { overnight_share(&parts) } else { None };
        let (overnight, overnight_sessions) = match own {
            Some(share) => (share.clamp(*low, *high), parts.len()),
            None => match learned.and_then(|l| Some((l.overnight?, l.sessions))) {
                Some((share, sessions)) => (share.clamp(*low, *high), sessions),
                None => (*overnight, 0),
            },
        };
        let (curve, curve_sessions) = learned.map_or((curve, 0), |l| (&l.curve, l.sessions));
        let (pre_market, curve) = (*pre_market, curve.clone());
        Ok(VarianceClock { session: *session, overnight, overnight_sessions, pre_market, curve, curve_sessions })
    }

    /// A symbol's own overnight share before a session, as it is, once enough sessions are known.
    pub fn overnight_share(&self, symbol: &str, session: SessionDate) -> Option<f64> {
        let cold = &self.states[self.index.get(symbol)? as usize].cold;
        let parts = cold.day.opens.parts(&cold.history, session, self.params.ruler.sessions);
        if parts.len() == self.params.ruler.sessions { overnight_share(&parts) } else { None }
    }

    /// Takes a learned curve.
    pub(super) fn curve_record(
        &mut self,
        target: &CurveTarget,
        from: SessionDate,
        shares: [f64; CURVE_BUCKETS],
        (overnight, sessions): (Option<f64>, u32),
    ) -> Disposition {
        match target {
            CurveTarget::Group(name) if !self.params.ruler.groups.values().any(|g| **g == **name) => {
                return Disposition { outcome: Outcome::Ignored, reason: "unknown_group" };
            }
            CurveTarget::Group(_) => {}
            CurveTarget::Symbol(symbol) => {
                if let Err(refusal) = self.admit(symbol.as_str()) {
                    return refusal;
                }
            }
        }
        let Some(curve) = Curve::new(shares) else { return Disposition::NO_CURVE };
        let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
        let learned = LearnedCurve { from, curve: Arc::new(curve), overnight, sessions };
        if self.curves.set(target, learned) { Disposition::APPLIED } else { Disposition::DUPLICATE }
    }

    /// What the time of day makes of a symbol's multiple at `ts`. What the close decides is measured against
    /// the whole day.
    pub(super) fn day_reading(
        &self,
        id: u32,
        (session, phase): (Option<SessionDate>, Phase),
        ruler: &Ruler,
        (ts, price, z): (UnixNanos, Reading, Reading),
    ) -> DayReading {
        let clock = match self.clock(id, session) {
            Ok(clock) => clock,
            Err(gap) => return DayReading { z_adjusted: Err(gap), ruler: Err(gap), windows: Err(gap) },
        };
        let at = if phase == Phase::Close { clock.session.close } else { ts };
        // What ends a session without a close comes long after it.
        let windows = if phase == Phase::Regular && ts <= clock.session.close {
            price.map(|price| self.states[id as usize].window_moves(&clock, ruler, ts, price))
        } else {
            Err(Unknown::OutsideRegular)
        };
        DayReading { z_adjusted: z.map(|z| clock.adjusted(z, at)), ruler: Ok(view_of(&clock, at)), windows }
    }

    /// Takes open, high and low from a daily history.
    pub(super) fn range_record(&mut self, symbol: &Symbol, session: SessionDate, range: [Price; 3]) {
        // A symbol that is not admitted is refused with the close beside its range.
        if let Ok(id) = self.admit_on(symbol.as_str(), Some(session)) {
            let cold = &mut self.states[id as usize].cold;
            cold.day.opens.set(session, range[0], OpenBasis::Day);
            cold.history.set_range(session, range);
        }
    }

    /// What the other volatilities make of a move; a desk's own ruler stands alone.
    pub(super) fn modes_of(
        &self,
        id: u32,
        session: Option<SessionDate>,
        log_return: Reading,
    ) -> Result<Vec<ModeView>, Unknown> {
        let history = &self.states[id as usize].cold.history;
        let session = session.ok_or(Unknown::NoCalendar)?;
        if history.desk(Some(session)).is_some() {
            return Err(Unknown::DeskReference);
        }
        let modes = history.modes(self.params.calendar.as_deref(), session);
        let view = |(mode, sigma): (Mode, Reading)| {
            // A volatility of 0 is no ruler.
            let usable = sigma.and_then(|s| if s > 0.0 { Ok(s) } else { Err(Unknown::InsufficientVariance) });
            ModeView { name: mode.name(), sigma, z: log_return.and_then(|r| Ok(r / usable?)) }
        };
        Ok(modes.iter().map(view).collect())
    }

    /// Every mode's volatility for a session of a symbol, and the echo in the canonical window.
    pub fn modes(&self, symbol: &Symbol, session: SessionDate) -> Option<(DailyModes, Option<WindowEcho>)> {
        let history = &self.states[self.known_on(symbol, Some(session))? as usize].cold.history;
        Some((history.modes(self.params.calendar.as_deref(), session), history.echo(session)))
    }

    /// Probability that a provisional move of `z` lasts until the close.
    pub(super) fn survival_of(&self, z: Reading, ruler: Result<RulerView, Unknown>, direction: Direction) -> Reading {
        let (z, ruler) = (z?, ruler?);
        Ok(survival(z * direction.sign(), self.params.rules.at(0), 1.0 - ruler.elapsed))
    }
}

fn view_of(clock: &VarianceClock, at: UnixNanos) -> RulerView {
    RulerView {
        elapsed: clock.elapsed(at),
        overnight: clock.overnight,
        overnight_sessions: clock.overnight_sessions,
        curve_sessions: clock.curve_sessions,
    }
}

impl SymbolState {
    /// A phase begins: windows and opening price belong to the regular session.
    pub(super) fn begin_phase(&mut self, phase: Phase) {
        self.cold.day.moves = None;
        self.quiet_until = if phase == Phase::Regular { UnixNanos::MIN } else { NEVER };
    }

    /// Notes the bar whose prices follow.
    pub(super) fn note_bar(&mut self, start: UnixNanos, end: UnixNanos, open: Price) {
        self.cold.day.bar = Some(BarSpan { start, end, open, is_alone: self.last_ts <= start });
    }

    /// A price passes a grid point of the windows, or is the first of its regular session; it is not taken yet.
    #[cold]
    pub(super) fn sample(&mut self, entry: &Entry) {
        if self.is_belated(entry.inside()) {
            return;
        }
        let Entry { ts, price, .. } = *entry;
        self.quiet_until = WindowMoves::quiet_until(ts);
        self.sample_returns(ts, price);
        let last_price = self.last_price;
        let day = &mut self.cold.day;
        if let Some(moves) = &mut day.moves {
            moves.roll(ts, last_price);
            return;
        }
        day.moves = Some(Box::new(WindowMoves::begin(ts, price)));
        let Some(session) = self.cold.session else { return };
        let open = match day.bar {
            // A bar that began before the session does not know where that opened.
            Some(bar) if bar.end == ts => (bar.start >= session.open).then_some(bar.open),
            _ => Price::new(price).ok(),
        };
        if let Some(open) = open {
            day.opens.set(session.date, open, OpenBasis::FirstPrice);
        }
    }

    /// Moves over the last seconds up to `price` at `ts` in the regular session.
    fn window_moves(&self, clock: &VarianceClock, ruler: &Ruler, ts: UnixNanos, price: f64) -> [WindowMove; 3] {
        let day = &self.cold.day;
        let sigma = ruler.usable_sigma();
        [0, 1, 2].map(|window| {
            let start = match day.moves.as_deref().and_then(|m| m.start(window, ts, self.last_price)) {
                None => Err(Unknown::NotYet),
                Some((from, _)) if day.bar.is_some_and(|b| b.is_alone && b.start < from && from < b.end) => {
                    Err(Unknown::TooCoarse)
                }
                Some(start) => Ok(start),
            };
            let log_return = start.map(|(_, before)| (price / before).ln());
            let deviation =
                start.and_then(|(from, _)| clock.window_deviation(from, ts).ok_or(Unknown::InsufficientVariance));
            let z = log_return.and_then(|r| Ok(r / (sigma? * deviation?)));
            WindowMove { secs: WINDOW_SECS[window], log_return, z }
        })
    }
}
