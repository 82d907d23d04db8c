//! Marks the survival forecasts against the closes.
//!
//! Each episode's first record forecasts whether the session's close will stand in breach in its direction. What
//! is scored is the number as published, in units of 1e-4, so the sums are whole numbers and do not depend on
//! the order in which symbols close.

use super::{Engine, state::SymbolState};
use crate::domain::{Alert, AlertKind, AlertState, SessionDate};
use crate::market::Measure;
use crate::rules::Episode;

/// Forecasts of a session kept for its close, one an episode.
pub(super) const FORECASTS_KEPT: usize = 64;

/// Sessions whose scores are kept.
pub(super) const SCORES_KEPT: usize = 16_384;

/// Units to a probability of 1: forecasts are published with four decimals.
pub(super) const UNITS: u32 = 10_000;

/// What a forecast that knows nothing would say: closes stand in breach 1 / 1.84 times as often as sessions
/// touch it, measured on S&P 500 names in 2024 and 2025.
const BASE: u32 = 5_430;

/// Survival forecasts of a session against its closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SurvivalScore {
    /// Forecasts marked.
    pub forecasts: u32,
    /// Of those, with a close in breach in the direction of their episode.
    pub confirmed: u32,
    /// Sum of squared errors, in units of 1e-8.
    pub(super) squares: u64,
    /// The same of the base rate.
    pub(super) base_squares: u64,
}

impl SurvivalScore {
    /// Mean squared error of the forecasts, 0 to 1; `None` without any.
    pub fn brier(&self) -> Option<f64> {
        self.mean(self.squares)
    }

    /// The same of a forecast that always says 0.543, the measured rate.
    pub fn base_brier(&self) -> Option<f64> {
        self.mean(self.base_squares)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            forecasts: self.forecasts + other.forecasts,
            confirmed: self.confirmed + other.confirmed,
            squares: self.squares + other.squares,
            base_squares: self.base_squares + other.base_squares,
        }
    }

    fn mean(&self, squares: u64) -> Option<f64> {
        let unit = f64::from(UNITS) * f64::from(UNITS);
        (self.forecasts > 0).then(|| squares as f64 / unit / f64::from(self.forecasts))
    }

    fn mark(&mut self, forecast: u32, happened: bool) {
        let outcome = if happened { UNITS } else { 0 };
        let square = |forecast: u32| u64::from(forecast.abs_diff(outcome)).pow(2);
        self.forecasts += 1;
        self.confirmed += u32::from(happened);
        self.squares += square(forecast);
        self.base_squares += square(BASE);
    }

    /// Takes `old` out and puts `new` in. A score that does not hold `old`, because it was lost with the state
    /// of another instance, is held at 0.
    fn replace(&mut self, old: &Self, new: &Self) {
        self.forecasts = self.forecasts.saturating_add(new.forecasts).saturating_sub(old.forecasts);
        self.confirmed = self.confirmed.saturating_add(new.confirmed).saturating_sub(old.confirmed);
        self.squares = self.squares.saturating_add(new.squares).saturating_sub(old.squares);
        self.base_squares = self.base_squares.saturating_add(new.base_squares).saturating_sub(old.base_squares);
    }
}

/// Forecasts by number of their episode, in units of 1e-4.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Forecasts {
    /// Of the session at hand.
    pub(super) open: Vec<(u32, u32)>,
    /// Of the last settled session, in case its close is corrected.
    pub(super) settled: Option<(SessionDate, Vec<(u32, u32)>)>,
}

impl SymbolState {
    /// Keeps the forecast of an episode's first record.
    pub(super) fn keep_forecast(&mut self, alert: &Alert) {
        let Ok(survival) = alert.survival else { return };
        let open = &mut self.cold.forecasts.open;
        if alert.kind == AlertKind::Open && open.len() < FORECASTS_KEPT {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10,000")]
            let units = (survival * f64::from(UNITS)).round() as u32;
            open.push((alert.episode, units));
        }
    }

    /// The session at hand ends: its forecasts wait for corrections of its close.
    pub(super) fn close_forecasts(&mut self, session: SessionDate) {
        let forecasts = &mut self.cold.forecasts;
        forecasts.settled = Some((session, std::mem::take(&mut forecasts.open)));
    }

    /// The forecasts of the last settled session against a measure of it.
    pub(super) fn score(&self, measure: &Measure, first_tier: f64) -> SurvivalScore {
        let mut score = SurvivalScore::default();
        let judged = self.cold.judged.iter().find(|j| j.session == measure.session);
        let forecasts = self.cold.forecasts.settled.as_ref().filter(|(session, _)| *session == measure.session);
        let (Some((_, forecasts)), Some(judged), Some(z)) = (forecasts, judged, measure.z) else { return score };
        for (number, forecast) in forecasts {
            let counts = |e: &&Episode| e.number == *number && e.state != AlertState::Retracted;
            if let Some(episode) = judged.episodes.iter().find(counts) {
                score.mark(*forecast, z * episode.direction.sign() >= first_tier);
            }
        }
        score
    }
}

impl Engine {
    /// Marks a symbol's forecasts against a measure of its last settled session; `old` is the measure they were
    /// marked against before.
    pub(super) fn count_survival(&mut self, id: u32, old: Option<&Measure>, new: &Measure) {
        let first_tier = self.params.rules.at(0);
        let state = &self.states[id as usize];
        let (old, score) = (old.map(|m| state.score(m, first_tier)).unwrap_or_default(), state.score(new, first_tier));
        self.replace_score(new.session, &old, &score);
    }

    /// Takes a symbol's old score out of a session's and puts the new one in.
    pub(super) fn replace_score(&mut self, session: SessionDate, old: &SurvivalScore, new: &SurvivalScore) {
        if old == new {
            return;
        }
        self.survival.entry(session).or_default().replace(old, new);
        if self.survival.len() > SCORES_KEPT {
            self.survival.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_mean_squared_error() {
        let mut score = SurvivalScore::default();
        assert_eq!((score.brier(), score.base_brier()), (None, None));
        for (forecast, happened) in [(5_000, true), (9_000, true), (6_000, false), (10_000, true)] {
            score.mark(forecast, happened);
        }
        assert_eq!((score.forecasts, score.confirmed), (4, 3));
        let close = |got: Option<f64>, expected: f64| assert!((got.unwrap() - expected).abs() < 1e-15, "{got:?}");
        close(score.brier(), (0.25 + 0.01 + 0.36 + 0.0) / 4.0);
        close(score.base_brier(), (3.0 * 0.457 * 0.457 + 0.543 * 0.543) / 4.0);
        let mut corrected = score;
        corrected.replace(&score, &SurvivalScore::default());
        assert_eq!(corrected, SurvivalScore::default());
    }
}
