//! Signals of the trend follower, and the prices at which they turn.

use super::TREND_CLOSES_MAX;
use crate::domain::{Price, Reading, Unknown};
use crate::estimators::moments::sample_sigma;

/// Time constants of the three exponential crossovers, fast and slow: the weight of a close falls by `1 - 1/n` a session.
const PAIRS: [(usize, usize); 3] = [(8, 24), (16, 48), (32, 96)];
/// Closes whose deviation scales a crossover, and crossovers whose deviation scales it again.
const PRICE_WINDOW: usize = 63;
const CROSSOVER_WINDOW: usize = 252;
/// What the response is divided by in the source; its largest value is then 0.964.
const RESPONSE_SCALE: f64 = 0.89;

/// One way to tell a trend from past closes; from -1 to 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrendSignal {
    /// `tsmom_N`: the sign of the return over N sessions, 0 without one. Known from N returns on.
    ///
    /// Source: Moskowitz, Ooi, Pedersen (2012).
    Momentum(usize),
    /// `ma_F_S`: the sign of the mean of the last F closes less that of the last S. Known from S closes on.
    ///
    /// Source: Newedge, Two benchmarks for momentum trading (2010), with 20 and 120.
    MovingAverage {
        /// Closes of the fast average.
        fast: usize,
        /// Of the slow one.
        slow: usize,
    },
    /// `ewma_crossover`: the mean over the pairs (8, 24), (16, 48), (32, 96) of `x exp(-x^2 / 4) / 0.89`.
    ///
    /// `x = y / sd_252(y)`, `y = (EMA_s - EMA_l) / sd_63(close)`, sample deviations with today in them;
    /// `EMA_n = sum d^k c_(t-k) / sum d^k`, `d = 1 - 1/n`, over all closes there are. A crossover counts once as many closes
    /// are known as its slow time constant and as 63: from 346 returns on.
    ///
    /// Source: Baz, Granger, Harvey, Le Roux, Rattray (2015), Dissecting investment strategies.
    EwmaCrossover,
}

/// A price at which a signal turns: above it long, below it short.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrendTrigger {
    /// The pair of an exponential crossover; `None` where the signal is one.
    pub pair: Option<(usize, usize)>,
    /// Sessions that the price is held for from now on: 1 is the next close alone.
    pub sessions: usize,
    /// The price; `Ok(None)` where no price turns it by then.
    pub level: Result<Option<f64>, Unknown>,
}

impl TrendSignal {
    /// The name in views and in the configuration.
    pub fn name(self) -> String {
        match self {
            Self::Momentum(n) => format!("tsmom_{n}"),
            Self::MovingAverage { fast, slow } => format!("ma_{fast}_{slow}"),
            Self::EwmaCrossover => "ewma_crossover".to_owned(),
        }
    }

    /// The inverse of [`TrendSignal::name`]; `None` for a name that is none, or of spans that no model takes.
    pub fn from_name(name: &str) -> Option<Self> {
        let signal = if name == "ewma_crossover" {
            Self::EwmaCrossover
        } else if let Some(n) = name.strip_prefix("tsmom_") {
            Self::Momentum(n.parse().ok()?)
        } else {
            let (fast, slow) = name.strip_prefix("ma_")?.split_once('_')?;
            Self::MovingAverage { fast: fast.parse().ok()?, slow: slow.parse().ok()? }
        };
        (signal.is_valid() && signal.name() == name).then_some(signal)
    }

    /// Closes without which it is not known.
    pub fn closes_needed(self) -> usize {
        match self {
            Self::Momentum(n) => n.saturating_add(1),
            Self::MovingAverage { slow, .. } => slow,
            Self::EwmaCrossover => PAIRS.iter().map(|(_, slow)| first_of(*slow) + CROSSOVER_WINDOW).max().unwrap_or(0),
        }
    }

    /// Sessions that it looks back on.
    pub(super) fn span(self) -> usize {
        match self {
            Self::Momentum(n) => n,
            Self::MovingAverage { slow, .. } => slow,
            Self::EwmaCrossover => CROSSOVER_WINDOW,
        }
    }

    pub(super) fn is_valid(self) -> bool {
        let is_ordered = match self {
            Self::Momentum(n) => n > 0,
            Self::MovingAverage { fast, slow } => 0 < fast && fast < slow,
            Self::EwmaCrossover => true,
        };
        is_ordered && self.closes_needed() <= TREND_CLOSES_MAX
    }

    /// Its value after the last of `closes`.
    pub(super) fn value(self, closes: &[f64]) -> Reading {
        if closes.len() < self.closes_needed() {
            return Err(Unknown::Warming);
        }
        let last = closes.len() - 1;
        match self {
            Self::Momentum(n) => Ok(sign(closes[last] - closes[last - n])),
            Self::MovingAverage { fast, slow } => Ok(sign(mean_of_last(closes, fast) - mean_of_last(closes, slow))),
            Self::EwmaCrossover => {
                let sum: f64 = PAIRS.iter().map(|pair| response(*pair, closes)).sum::<Reading>()?;
                Ok(sum / PAIRS.len() as f64)
            }
        }
    }

    /// The prices at which it turns: at the next close, and held for `horizon` sessions.
    ///
    /// Each signal's sign is that of a difference which is linear in the price `p` that all closes from now on have, so
    /// the root is closed. Momentum: `p = c_(t+k-N)`, none beyond N sessions. Averages: what of each is given by known
    /// closes, and the weight of `p` in it.
    pub(super) fn triggers(self, closes: &[f64], horizon: usize) -> Vec<TrendTrigger> {
        let spans = if horizon > 1 { vec![1, horizon] } else { vec![1] };
        let pairs: Vec<_> = match self {
            Self::EwmaCrossover => PAIRS.into_iter().map(Some).collect(),
            _ => vec![None],
        };
        let is_known = closes.len() >= self.closes_needed();
        let trigger = |pair, sessions| {
            let level = if is_known { Ok(self.level(pair, closes, sessions)) } else { Err(Unknown::Warming) };
            TrendTrigger { pair, sessions, level }
        };
        pairs.into_iter().flat_map(|pair| spans.iter().map(move |k| trigger(pair, *k))).collect()
    }

    fn level(self, pair: Option<(usize, usize)>, closes: &[f64], sessions: usize) -> Option<f64> {
        let root = match (self, pair) {
            (Self::Momentum(n), _) => {
                // The close that is n sessions old after so many more.
                return (sessions <= n).then(|| closes[closes.len() - 1 + sessions - n]);
            }
            (Self::MovingAverage { fast, slow }, _) => {
                root(simple_ahead(closes, fast, sessions), simple_ahead(closes, slow, sessions))
            }
            (Self::EwmaCrossover, Some((fast, slow))) => {
                root(decayed_ahead(closes, fast, sessions), decayed_ahead(closes, slow, sessions))
            }
            (Self::EwmaCrossover, None) => None,
        };
        root.filter(|p| Price::new(*p).is_ok())
    }
}

/// An average after more sessions at one price `p`: `given + weight p`.
#[derive(Clone, Copy)]
struct Ahead {
    given: f64,
    weight: f64,
}

/// The price at which two averages meet; `None` where both give it the same weight.
fn root(fast: Ahead, slow: Ahead) -> Option<f64> {
    let weight = fast.weight - slow.weight;
    (weight > 0.0).then(|| (slow.given - fast.given) / weight)
}

fn simple_ahead(closes: &[f64], n: usize, sessions: usize) -> Ahead {
    let new = sessions.min(n);
    let old = &closes[closes.len() - (n - new)..];
    Ahead { given: old.iter().sum::<f64>() / n as f64, weight: new as f64 / n as f64 }
}

fn decayed_ahead(closes: &[f64], n: usize, sessions: usize) -> Ahead {
    let mut ema = Ema::new(n);
    for close in closes {
        ema.update(*close);
    }
    let (mut decay, mut new) = (1.0, 0.0);
    for _ in 0..sessions {
        new += decay;
        decay *= ema.decay;
    }
    let weights = ema.weights * decay + new;
    Ahead { given: ema.sum * decay / weights, weight: new / weights }
}

/// An exponentially weighted mean of closes with all its weights.
struct Ema {
    decay: f64,
    sum: f64,
    weights: f64,
}

impl Ema {
    fn new(n: usize) -> Self {
        Self { decay: 1.0 - 1.0 / n as f64, sum: 0.0, weights: 0.0 }
    }

    fn update(&mut self, close: f64) {
        self.sum = self.sum * self.decay + close;
        self.weights = self.weights * self.decay + 1.0;
    }

    fn mean(&self) -> f64 {
        self.sum / self.weights
    }
}

/// Place of the first close at which a crossover counts.
fn first_of(slow: usize) -> usize {
    slow.max(PRICE_WINDOW) - 1
}

/// What one exponential crossover says after the last of `closes`; there are enough of them.
fn response((fast, slow): (usize, usize), closes: &[f64]) -> Reading {
    let from = first_of(slow).max(closes.len() - CROSSOVER_WINDOW);
    let (mut short, mut long) = (Ema::new(fast), Ema::new(slow));
    let mut crossovers = Vec::with_capacity(CROSSOVER_WINDOW);
    for (at, close) in closes.iter().enumerate() {
        short.update(*close);
        long.update(*close);
        if at >= from {
            let sigma = sample_sigma(&closes[at + 1 - PRICE_WINDOW..=at]).filter(|s| *s > 0.0);
            crossovers.push((short.mean() - long.mean()) / sigma.ok_or(Unknown::InsufficientVariance)?);
        }
    }
    let sigma = sample_sigma(&crossovers).filter(|s| *s > 0.0).ok_or(Unknown::InsufficientVariance)?;
    let x = crossovers.last().ok_or(Unknown::Warming)? / sigma;
    Ok(x * (-x * x / 4.0).exp() / RESPONSE_SCALE)
}

fn mean_of_last(closes: &[f64], n: usize) -> f64 {
    closes[closes.len() - n..].iter().sum::<f64>() / n as f64
}

/// 1, -1, or 0 for no difference.
fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}
