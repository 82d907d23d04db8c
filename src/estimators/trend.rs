//! A disclosed trend follower: what a rule-bound futures account would hold, what it would trade along three paths,
//! and where its signals turn.
//!
//! The model is this project's own. Banks publish such flows without their inputs; nothing here copies or is fitted
//! to any of them, and the size of the account is an assumption that every view repeats.

mod signal;

pub use signal::{TrendSignal, TrendTrigger};

use super::ewma::{DecayFactor, Ewma};
use super::parameter::{ParameterError, is_positive};
use crate::domain::{Price, Reading, SessionDate, Unknown};

/// Closes that a view looks back on at most; older ones do not count.
pub const TREND_CLOSES_MAX: usize = 600;
/// Returns without which the volatility is not known: its centre of mass.
pub const TREND_RETURNS_MIN: usize = 60;
/// Signals of one model at most.
pub const TREND_SIGNALS_MAX: usize = 16;
/// Sessions ahead at most.
pub const TREND_HORIZON_MAX: usize = 252;

/// Centre of mass of the variance's weights, in sessions: `lambda = 60 / 61`.
const CENTRE_OF_MASS: f64 = 60.0;
/// Sessions that make a daily variance an annual one, as in the source.
const SESSIONS_PER_YEAR: f64 = 261.0;

/// What the model assumes.
#[derive(Clone, PartialEq, Debug)]
pub struct TrendParams {
    /// Signals, each of equal weight.
    pub signals: Vec<TrendSignal>,
    /// Annualized volatility that a full position is scaled to.
    pub target_volatility: f64,
    /// Most that scaling multiplies a position by.
    pub leverage_cap: f64,
    /// US dollars held at a signal of 1 and a leverage of 1. An assumption: nothing observes it.
    pub kappa_usd: f64,
    /// How far off `kappa_usd` may be either way, as a share of it. An assumption, too.
    pub kappa_error: f64,
    /// Sessions that the paths run over.
    pub horizon: usize,
    /// Where the paths up and down end, in volatilities of the horizon.
    pub path_sigmas: f64,
}

impl Default for TrendParams {
    /// Time-series momentum over one month to one year, the 20/120 crossover and the three exponential ones; 40 % a
    /// year, at most four times, ten billion dollars give or take half, which makes flows of the size that banks
    /// publish; 21 sessions to two sigmas.
    fn default() -> Self {
        let momentum = [21, 63, 126, 252].map(TrendSignal::Momentum);
        let crossovers = [TrendSignal::MovingAverage { fast: 20, slow: 120 }, TrendSignal::EwmaCrossover];
        Self {
            signals: momentum.into_iter().chain(crossovers).collect(),
            target_volatility: 0.4,
            leverage_cap: 4.0,
            kappa_usd: 1e10,
            kappa_error: 0.5,
            horizon: 21,
            path_sigmas: 2.0,
        }
    }
}

/// A path of the benchmark over the horizon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrendPath {
    /// In equal log returns to so many sigmas below.
    Down,
    /// No change.
    Flat,
    /// In equal log returns to so many sigmas above.
    Up,
}

impl TrendPath {
    /// All, in the order that views keep.
    pub const ALL: [Self; 3] = [Self::Down, Self::Flat, Self::Up];

    /// The name in views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Flat => "flat",
            Self::Up => "up",
        }
    }

    fn sign(self) -> f64 {
        match self {
            Self::Down => -1.0,
            Self::Flat => 0.0,
            Self::Up => 1.0,
        }
    }
}

/// One signal of the model.
#[derive(Clone, PartialEq, Debug)]
pub struct TrendSignalView {
    /// Which.
    pub signal: TrendSignal,
    /// Its value, from -1 to 1.
    pub value: Reading,
    /// What an account that followed it alone would hold, in US dollars.
    pub position: Reading,
    /// Where it turns, at the next close and at a price held over the horizon.
    pub triggers: Vec<TrendTrigger>,
}

/// What the account does along one path.
#[derive(Clone, PartialEq, Debug)]
pub struct TrendScenario {
    /// Which path.
    pub path: TrendPath,
    /// The benchmark's last close on it.
    pub end_price: Reading,
    /// Annualized volatility at its end.
    pub volatility: Reading,
    /// Position at its end, in US dollars.
    pub position: Reading,
    /// Bought on the way, in US dollars; below zero sold.
    pub flow: Reading,
    /// The same of an account that follows one signal alone, in their order.
    pub signal_flows: Vec<Reading>,
}

/// The model as of one session.
#[derive(Clone, PartialEq, Debug)]
pub struct TrendView {
    /// The session of the last close.
    pub as_of: SessionDate,
    /// Everything assumed.
    pub params: TrendParams,
    /// Closes looked back on.
    pub closes: usize,
    /// The last of them.
    pub last_close: Reading,
    /// Annualized volatility.
    pub volatility: Reading,
    /// What scaling multiplies a position by.
    pub leverage: Reading,
    /// The signals, in the order of the parameters.
    pub signals: Vec<TrendSignalView>,
    /// How many of them are known. The account follows those alone, now and along the paths.
    pub known: usize,
    /// What the account holds, in US dollars.
    pub position: Reading,
    /// Down, flat, up.
    pub scenarios: [TrendScenario; 3],
    /// Size of the flow down over that of the flow up; `None` where one is unknown, or nothing is traded on the way up.
    pub asymmetry: Option<f64>,
}

/// A trend follower with checked parameters.
///
/// - volatility: `s^2 = 261 v`, `v` the bias-corrected [`Ewma`] of squared log returns with `lambda = 60/61` (centre of
///   mass 60 sessions, mean zero), annualized, known from 60 returns on;
/// - leverage: `min(target / s, cap)`;
/// - position: `kappa clip(mean of the known signals, -1, 1) leverage`;
/// - paths: daily log returns of `sign path_sigmas s_daily / sqrt(h)` over `h` sessions, volatility and signals taken anew
///   at the end; `flow = position at the end - position now`.
///
/// Today's close is in all of them: the position is the one held after it. With a short history only some signals are
/// known; `known` says how many, and a signal never enters in the middle of a path. O(closes) for a view, nothing is kept.
/// Source: Moskowitz, Ooi, Pedersen (2012), Journal of Financial Economics 104(2), 228-250 (momentum, volatility, 40 %);
/// of the other signals see [`TrendSignal`]. Oracle: pandas, `tests/golden/trend.py`.
#[derive(Clone, PartialEq, Debug)]
pub struct TrendModel {
    params: TrendParams,
}

/// Volatility, leverage and signals after some closes.
struct Stance {
    volatility: Reading,
    leverage: Reading,
    values: Vec<Reading>,
}

impl TrendModel {
    /// Checks and keeps the parameters.
    ///
    /// # Errors
    /// When there is no signal or more than [`TREND_SIGNALS_MAX`], one of them looks back on no session or on more than
    /// [`TREND_CLOSES_MAX`] closes, its fast average is not the faster one, the horizon is not within 1 and
    /// [`TREND_HORIZON_MAX`], `kappa_error` is not within 0 and 1, or another number is not positive and finite.
    pub fn new(params: TrendParams) -> Result<Self, ParameterError> {
        if !(1..=TREND_SIGNALS_MAX).contains(&params.signals.len()) {
            return Err(ParameterError::TrendSignals(params.signals.len()));
        }
        if let Some(bad) = params.signals.iter().find(|s| !s.is_valid()) {
            return Err(ParameterError::TrendSpan(bad.span()));
        }
        if !(1..=TREND_HORIZON_MAX).contains(&params.horizon) {
            return Err(ParameterError::TrendHorizon(params.horizon));
        }
        let scales = [params.target_volatility, params.leverage_cap, params.kappa_usd, params.path_sigmas];
        if let Some(bad) = scales.into_iter().find(|x| !is_positive(*x)) {
            return Err(ParameterError::TrendScale(bad));
        }
        if !(0.0..=1.0).contains(&params.kappa_error) {
            return Err(ParameterError::TrendError(params.kappa_error));
        }
        Ok(Self { params })
    }

    /// The model after the last of `closes`, which are of consecutive sessions, adjusted, oldest first; `as_of` is the
    /// session of the last one. Only the newest [`TREND_CLOSES_MAX`] count.
    pub fn view(&self, as_of: SessionDate, closes: &[Price]) -> TrendView {
        let newest = &closes[closes.len().saturating_sub(TREND_CLOSES_MAX)..];
        let closes: Vec<f64> = newest.iter().map(|p| p.get()).collect();
        let now = self.stance(&closes);
        let position = self.position(&now, &now.values);
        let scenarios = TrendPath::ALL.map(|path| self.scenario(path, &closes, &now, position));
        let asymmetry = match (scenarios[0].flow, scenarios[2].flow) {
            (Ok(down), Ok(up)) if up.abs() > 0.0 => Some(down.abs() / up.abs()),
            _ => None,
        };
        let signal = |(signal, value): (&TrendSignal, &Reading)| TrendSignalView {
            signal: *signal,
            value: *value,
            position: self.alone(&now, *value),
            triggers: signal.triggers(&closes, self.params.horizon),
        };
        TrendView {
            as_of,
            params: self.params.clone(),
            closes: closes.len(),
            last_close: closes.last().copied().ok_or(Unknown::NoPrice),
            volatility: now.volatility,
            leverage: now.leverage,
            signals: self.params.signals.iter().zip(&now.values).map(signal).collect(),
            known: now.values.iter().filter(|v| v.is_ok()).count(),
            position,
            scenarios,
            asymmetry,
        }
    }

    fn stance(&self, closes: &[f64]) -> Stance {
        let volatility = annualized_volatility(closes);
        let leverage = volatility.map(|s| (self.params.target_volatility / s).min(self.params.leverage_cap));
        Stance { volatility, leverage, values: self.params.signals.iter().map(|s| s.value(closes)).collect() }
    }

    /// What an account holds that follows one signal.
    fn alone(&self, stance: &Stance, value: Reading) -> Reading {
        Ok(self.params.kappa_usd * value?.clamp(-1.0, 1.0) * stance.leverage?)
    }

    /// What an account holds that follows the signals known at the start of the paths, `start`.
    fn position(&self, stance: &Stance, start: &[Reading]) -> Reading {
        let followed = || stance.values.iter().zip(start).filter(|(_, known)| known.is_ok()).map(|(value, _)| *value);
        let count = followed().count();
        if count == 0 {
            return Err(start.iter().find_map(|v| v.err()).unwrap_or(Unknown::Warming));
        }
        let sum = followed().sum::<Reading>()?;
        self.alone(stance, Ok(sum / count as f64))
    }

    fn scenario(&self, path: TrendPath, closes: &[f64], now: &Stance, position: Reading) -> TrendScenario {
        let ahead = self.ahead(path, closes, now);
        let end = ahead.as_ref().map(|closes| self.stance(closes)).map_err(|reason| *reason);
        let end_position = end.as_ref().map_err(|r| *r).and_then(|end| self.position(end, &now.values));
        let flow = |to: Reading, from: Reading| Ok(to? - from?);
        let signal_flow = |(at, value): (usize, &Reading)| {
            let from = self.alone(now, *value)?;
            let end = end.as_ref().map_err(|reason| *reason)?;
            flow(self.alone(end, end.values[at]), Ok(from))
        };
        TrendScenario {
            path,
            end_price: ahead.as_ref().map_err(|r| *r).and_then(|c| c.last().copied().ok_or(Unknown::NoPrice)),
            volatility: end.as_ref().map_err(|r| *r).and_then(|end| end.volatility),
            position: end_position,
            flow: flow(end_position, position),
            signal_flows: now.values.iter().enumerate().map(signal_flow).collect(),
        }
    }

    /// The closes with those of a path behind them.
    fn ahead(&self, path: TrendPath, closes: &[f64], now: &Stance) -> Result<Vec<f64>, Unknown> {
        let daily = now.volatility? / SESSIONS_PER_YEAR.sqrt();
        let last = *closes.last().ok_or(Unknown::NoPrice)?;
        let step = path.sign() * self.params.path_sigmas * daily / (self.params.horizon as f64).sqrt();
        let on_path = (1..=self.params.horizon).map(|k| last * (step * k as f64).exp());
        let ahead: Vec<f64> = closes.iter().copied().chain(on_path).collect();
        let is_price = |p: &f64| Price::new(*p).is_ok();
        if ahead.iter().all(is_price) { Ok(ahead) } else { Err(Unknown::NoPrice) }
    }
}

/// Closes whose log returns are those given, oldest first, and whose last is `last`: `c_(t-1) = c_t exp(-r_t)`.
///
/// One more than there are returns, or fewer where a price would be out of bounds: then the oldest are left out.
pub fn closes_of_returns(last: Price, log_returns: &[f64]) -> Vec<Price> {
    let mut closes = vec![last];
    for r in log_returns.iter().rev() {
        let Some(before) = closes.last().and_then(|c| Price::new(c.get() * (-r).exp()).ok()) else { break };
        closes.push(before);
    }
    closes.reverse();
    closes
}

/// `sqrt(261 EWMA(r^2))` with a centre of mass of 60 sessions.
fn annualized_volatility(closes: &[f64]) -> Reading {
    if closes.len() <= TREND_RETURNS_MIN {
        return Err(Unknown::Warming);
    }
    let lambda = DecayFactor::new(CENTRE_OF_MASS / (CENTRE_OF_MASS + 1.0)).map_err(|_| Unknown::NotComputed)?;
    let mut ewma = Ewma::default();
    closes.windows(2).for_each(|c| ewma.update(lambda, (c[1] / c[0]).ln()));
    let volatility = ewma.variance().map(|v| (SESSIONS_PER_YEAR * v).sqrt());
    volatility.filter(|s| is_positive(*s)).ok_or(Unknown::InsufficientVariance)
}

#[cfg(test)]
mod tests;
