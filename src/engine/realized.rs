//! Realized measures and jump statistics of a session, worked out from its five-minute returns when they are
//! asked.

use super::Engine;
use super::state::SymbolState;
use crate::domain::{
    JumpView, LargestReturn, NANOS_PER_SEC, Phase, Reading, RealizedView, SessionDate, Symbol, UnixNanos, Unknown,
};
use crate::estimators::{
    DiurnalFactor, JumpThreshold, LeeMykland, RETURNS_PER_SESSION, Realized, SessionReturns, SpannedReturn,
    TimeConstant, VarianceRate, lee_mykland_window,
};
use crate::market::{Session, VarianceClock};

/// Time constant of `ewma_variance`, in seconds.
const EWMA_SECS: f64 = 1_800.0;
/// Level behind no decision here: the threshold is asked for probabilities alone.
const LEVEL: f64 = 0.01;

/// The five-minute returns of a symbol: of the sessions before, as far back as the jump statistic looks, and of
/// the one at hand.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct FiveMinutes {
    /// Oldest first, one right after the other in the calendar.
    pub(super) before: Vec<(SessionDate, SessionReturns)>,
    /// Since the first price of the regular session at hand.
    pub(super) today: Option<Box<SessionReturns>>,
}

impl FiveMinutes {
    /// The session at hand is over, and the one after `previous` begins.
    pub(super) fn turn(&mut self, over: Option<SessionDate>, previous: Option<SessionDate>) {
        if let (Some(date), Some(today)) = (over, self.today.take()) {
            self.before.push((date, *today));
        }
        self.today = None;
        // After a session without prices the old ones are no measure any more.
        if self.before.last().map(|(date, _)| *date) != previous {
            self.before.clear();
        }
        let window = lee_mykland_window(RETURNS_PER_SESSION);
        let mut kept = 0;
        let from = self.before.iter().rposition(|(_, s)| {
            kept += s.returns.len();
            kept + 1 >= window
        });
        self.before.drain(..from.unwrap_or(0));
    }
}

impl Engine {
    /// Realized measures of a symbol's session at `ts`, when `price` is in force.
    pub(super) fn realized_of(
        &self,
        id: u32,
        session: Option<SessionDate>,
        ts: UnixNanos,
        price: Reading,
    ) -> Result<RealizedView, Unknown> {
        let state = &self.states[id as usize];
        let date = session.ok_or(Unknown::NoCalendar)?;
        let FiveMinutes { before, today } = &state.cold.day.returns;
        let at_hand = state.cold.session.filter(|s| s.date == date);
        let older = before.iter().position(|(d, _)| *d == date);
        let (earlier, returns) = match (older, at_hand, today) {
            (Some(at), ..) => (&before[..at], before[at].1.clone()),
            (None, Some(session), Some(today)) => {
                let until = ts.min(session.close);
                (&before[..], today.until(until, state.last_price, price.unwrap_or(state.last_price)))
            }
            _ => return Err(Unknown::NotYet),
        };
        if returns.is_coarse {
            return Err(Unknown::TooCoarse);
        }
        let clock = self.clock(id, Some(date))?;
        let clocks = earlier.iter().map(|(d, s)| Ok((s, self.clock(id, Some(*d))?)));
        let earlier: Vec<(&SessionReturns, VarianceClock)> = clocks.collect::<Result<_, Unknown>>()?;
        Ok(view_of(&returns, &clock, &earlier))
    }

    /// Realized measures of a symbol's session as far as it has come; of one that is over, at its close.
    ///
    /// # Errors
    /// `NoPrice` for a symbol not seen; `NotYet` without a price of the regular session, and for sessions no longer
    /// kept; `TooCoarse` where bars are longer than five minutes; `NoCalendar`.
    pub fn realized(&self, symbol: &Symbol, session: SessionDate) -> Result<RealizedView, Unknown> {
        let id = self.known_on(symbol, Some(session)).ok_or(Unknown::NoPrice)?;
        let state = &self.states[id as usize];
        self.realized_of(id, Some(session), state.last_ts, Ok(state.last_price))
    }
}

/// The returns, each over its diurnal factor: where no variance is expected there is nothing to measure by.
fn seasoned<'a>(
    returns: &'a SessionReturns,
    clock: &'a VarianceClock,
) -> impl Iterator<Item = (SpannedReturn, DiurnalFactor)> + 'a {
    returns.iter().filter_map(|r| {
        let share = clock.intraday(r.end) - clock.intraday(r.start);
        let factor = DiurnalFactor::new((share * f64::from(RETURNS_PER_SESSION)).sqrt()).ok()?;
        Some((r, factor))
    })
}

fn view_of(
    returns: &SessionReturns,
    clock: &VarianceClock,
    earlier: &[(&SessionReturns, VarianceClock)],
) -> RealizedView {
    let sums = Realized::of(&returns.returns);
    let known = |measure: Option<f64>| measure.ok_or(Unknown::Warming);
    let even: Vec<f64> = seasoned(returns, clock).map(|(r, factor)| factor.out_of(r.log_return)).collect();
    let jump = Realized::of(&even).jump_test().map(|t| JumpView { z: t.z, p_value: t.p_value });
    RealizedView {
        returns: sums.count,
        variance: known(sums.variance()),
        bipower_variation: known(sums.bipower_variation()),
        min_variance: known(sums.min_variance()),
        median_variance: known(sums.median_variance()),
        tripower_quarticity: known(sums.tripower_quarticity()),
        ewma_variance: known(ewma_variance(returns, &clock.session)),
        jump,
        largest: largest(returns, clock, earlier),
    }
}

/// What a session of this length would have at the rate at hand.
fn ewma_variance(returns: &SessionReturns, session: &Session) -> Option<f64> {
    let tau = TimeConstant::new(EWMA_SECS).ok()?;
    let mut rate = VarianceRate::default();
    for r in returns.iter() {
        rate.update(r.end.since(r.start), tau, r.log_return);
    }
    let seconds = session.close.since(session.open) as f64 / NANOS_PER_SEC as f64;
    Some(rate.per_second()? * seconds)
}

fn largest(
    returns: &SessionReturns,
    clock: &VarianceClock,
    earlier: &[(&SessionReturns, VarianceClock)],
) -> Result<LargestReturn, Unknown> {
    let threshold = JumpThreshold::new(RETURNS_PER_SESSION as usize, LEVEL).map_err(|_| Unknown::NotComputed)?;
    let window = lee_mykland_window(RETURNS_PER_SESSION);
    let mut test = LeeMykland::new(window).map_err(|_| Unknown::NotComputed)?;
    for (r, factor) in earlier.iter().flat_map(|(returns, clock)| seasoned(returns, clock)) {
        let _ = test.update(r.log_return, factor);
    }
    let mut largest: Result<LargestReturn, Unknown> = Err(Unknown::NotYet);
    for (r, factor) in seasoned(returns, clock) {
        let found = test.update(r.log_return, factor).map(|statistic| LargestReturn {
            end: r.end,
            log_return: r.log_return,
            statistic,
            p_value: threshold.p_value(statistic),
        });
        largest = match (largest, found) {
            (Ok(known), Ok(new)) if new.statistic.abs() <= known.statistic.abs() => Ok(known),
            (Ok(known), Err(_)) => Ok(known),
            (_, found) => found,
        };
    }
    largest
}

impl SymbolState {
    /// A price passes a grid point of the returns, or is the first of its regular session; it is not taken yet.
    pub(super) fn sample_returns(&mut self, ts: UnixNanos, price: f64) {
        let (last_price, day) = (self.last_price, &mut self.cold.day);
        let Some(session) = self.cold.session else { return };
        let bar = day.bar.filter(|bar| bar.end == ts);
        let (today, last_price) = match &mut day.returns.today {
            Some(today) => (today, last_price),
            none => {
                // A bar that began before the session does not know where that opened.
                let (from, first) = match bar {
                    Some(bar) if bar.start >= session.open => (bar.start, bar.open.get()),
                    _ => (ts, price),
                };
                (none.insert(Box::new(SessionReturns::begin(from, first))), first)
            }
        };
        today.is_coarse |= bar.is_some_and(|bar| bar.is_alone && SessionReturns::is_split(bar.start, ts));
        today.roll(ts, last_price);
    }

    /// The regular session has had its last price: its returns end with that, at the close.
    pub(super) fn finish_returns(&mut self) {
        let cold = &mut self.cold;
        if let (Phase::Regular, Some(session), Some(today)) = (cold.phase, cold.session, &mut cold.day.returns.today) {
            today.roll(session.close.plus(1), self.last_price);
        }
    }
}
