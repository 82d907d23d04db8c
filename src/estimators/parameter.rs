//! Parameters that have been checked.

use std::fmt;

/// A parameter outside its range.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum ParameterError {
    /// A decay factor that is not above 0 and below 1.
    DecayFactor(f64),
    /// A GARCH constant that is not positive and finite.
    GarchOmega(f64),
    /// A GARCH coefficient (`alpha` or `beta`) that is negative or not finite.
    GarchCoefficient(f64),
    /// `alpha + beta` at or above 1: there is no long run.
    GarchPersistence(f64),
    /// A shock multiple that is not positive and finite.
    ShockMultiple(f64),
    /// A least volatility that is negative or not finite.
    ShockSigma(f64),
    /// A diurnal factor that is not positive and finite.
    DiurnalFactor(f64),
    /// A time constant that is not positive and finite.
    TimeConstant(f64),
    /// A jump window shorter than 3 returns or longer than [`super::JUMP_WINDOW_MAX`].
    JumpWindow(usize),
    /// A significance level that is not above 0 and below 1.
    SignificanceLevel(f64),
    /// Fewer than 3 observations behind a maximum.
    Observations(usize),
    /// No signal of a trend follower, or more than [`super::TREND_SIGNALS_MAX`].
    TrendSignals(usize),
    /// A span that a signal cannot look back on.
    TrendSpan(usize),
    /// Sessions ahead that are not within 1 and [`super::TREND_HORIZON_MAX`].
    TrendHorizon(usize),
    /// A scale of a trend follower that is not positive and finite.
    TrendScale(f64),
    /// An error of its size that is not within 0 and 1.
    TrendError(f64),
    /// A number of kinds that is 0 or above [`super::HAWKES_KINDS_MAX`], or has no square matrix of excitations beside it.
    HawkesKinds(usize),
    /// A rate without excitation that is not positive and finite.
    HawkesRate(f64),
    /// An excitation that is negative or not finite.
    HawkesExcitation(f64),
    /// A decay that is not positive and finite.
    HawkesDecay(f64),
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecayFactor(x) => write!(f, "decay factor {x} is not above 0 and below 1"),
            Self::GarchOmega(x) => write!(f, "garch omega {x} is not positive and finite"),
            Self::GarchCoefficient(x) => write!(f, "garch coefficient {x} is negative or not finite"),
            Self::GarchPersistence(x) => write!(f, "garch alpha + beta {x} is not below 1"),
            Self::ShockMultiple(x) => write!(f, "shock multiple {x} is not positive and finite"),
            Self::ShockSigma(x) => write!(f, "least volatility {x} is negative or not finite"),
            Self::DiurnalFactor(x) => write!(f, "diurnal factor {x} is not positive and finite"),
            Self::TimeConstant(x) => write!(f, "time constant {x} is not positive and finite"),
            Self::JumpWindow(n) => write!(f, "jump window {n} is not within 3 and {}", super::JUMP_WINDOW_MAX),
            Self::SignificanceLevel(x) => write!(f, "significance level {x} is not above 0 and below 1"),
            Self::Observations(n) => write!(f, "{n} observations are fewer than 3"),
            Self::TrendSignals(n) => write!(f, "{n} signals are not within 1 and {}", super::TREND_SIGNALS_MAX),
            Self::TrendSpan(n) => write!(f, "no signal looks back on {n} sessions like this"),
            Self::TrendHorizon(n) => write!(f, "horizon {n} is not within 1 and {}", super::TREND_HORIZON_MAX),
            Self::TrendScale(x) => write!(f, "trend scale {x} is not positive and finite"),
            Self::TrendError(x) => write!(f, "error {x} is not within 0 and 1"),
            Self::HawkesKinds(n) => {
                write!(f, "{n} kinds are not within 1 and {}, or their excitations no square", super::HAWKES_KINDS_MAX)
            }
            Self::HawkesRate(x) => write!(f, "rate {x} is not positive and finite"),
            Self::HawkesExcitation(x) => write!(f, "excitation {x} is negative or not finite"),
            Self::HawkesDecay(x) => write!(f, "decay {x} is not positive and finite"),
        }
    }
}

impl std::error::Error for ParameterError {}

/// Whether `x` is positive and finite: what most parameters must be.
pub(super) fn is_positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}
