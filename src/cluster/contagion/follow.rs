//! What came after broad shocks, and what was expected of it.

use crate::domain::{self, SessionDate, Unknown};
use std::collections::VecDeque;

/// Shocks with a known next session, without which nothing is expected.
const FOLLOWED_MIN: u32 = 5;
/// Forecasts shown that what came has been held against.
pub(super) const SCORED_KEPT: usize = 20;

/// What is expected of the session after a shock, as of the shock's close.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Forecast {
    /// Session of the shock.
    pub session: SessionDate,
    /// Mean breadth of the sessions that came after shocks so far.
    pub breadth: f64,
    /// `(k + ½) / (n + 1)`, `k` of those `n` sessions having been broad: the mean of the distribution that
    /// [`crate::estimators::jeffreys_interval`] is of.
    pub broad_probability: f64,
    /// Mean breadth of all sessions so far, shocks or not: what one would say who knew of no shock.
    pub base_breadth: f64,
    /// The same for the probability.
    pub base_probability: f64,
}

/// A forecast and what came.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scored {
    /// What was expected.
    pub forecast: Forecast,
    /// Breadth of the next session.
    pub breadth: f64,
}

/// How far expectations held.
#[derive(Clone, PartialEq, Debug)]
pub struct FollowThrough {
    /// Shocks whose next session is known: what forecasts are made from.
    pub followed: u32,
    /// Waits for its session.
    pub open: Option<Forecast>,
    /// Forecasts that were held against what came.
    pub scored: u32,
    /// Forecasts whose session was not known.
    pub lapsed: u32,
    /// Mean of `|expected - actual|` breadth.
    pub absolute_error: domain::Reading,
    /// The same for [`Forecast::base_breadth`]: a forecast is worth something where its own error is below this.
    pub base_absolute_error: domain::Reading,
    /// Mean of `(probability - outcome)^2`, the outcome 1 for a broad session (Brier 1950, Monthly Weather Review 78, 1-3).
    pub brier: domain::Reading,
    /// The same for [`Forecast::base_probability`].
    pub base_brier: domain::Reading,
    /// The newest, oldest first; at most 20.
    pub newest: Vec<Scored>,
}

/// Breadths added up.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Sessions {
    pub(super) count: u32,
    pub(super) broad: u32,
    pub(super) sum: f64,
}

impl Sessions {
    fn add(&mut self, breadth: f64, broad_at: f64) {
        self.count = self.count.saturating_add(1);
        self.broad = self.broad.saturating_add(u32::from(breadth >= broad_at));
        self.sum += breadth;
    }

    fn mean(self) -> f64 {
        self.sum / f64::from(self.count)
    }

    fn probability(self) -> f64 {
        (f64::from(self.broad) + 0.5) / (f64::from(self.count) + 1.0)
    }
}

/// Every session's breadth, those after shocks, and how the forecasts did.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct FollowUp {
    pub(super) all: Sessions,
    pub(super) followed: Sessions,
    /// The last session, where it was a shock.
    pub(super) shock: Option<SessionDate>,
    pub(super) open: Option<Forecast>,
    pub(super) scored: u32,
    pub(super) lapsed: u32,
    /// Sums of the two absolute errors, then of the two squared ones.
    pub(super) errors: [f64; 4],
    pub(super) newest: VecDeque<Scored>,
}

impl FollowUp {
    /// Takes a session's breadth: first what it says of the forecast for it, then what is to be expected after it.
    pub(super) fn close(
        &mut self,
        session: SessionDate,
        previous: Option<SessionDate>,
        breadth: domain::Reading,
        (broad_at, shock_at): (f64, f64),
    ) {
        let open = self.open.take();
        match (self.shock.take(), breadth) {
            (Some(shock), Ok(came)) if previous == Some(shock) => {
                self.followed.add(came, broad_at);
                if let Some(forecast) = open {
                    self.score(Scored { forecast, breadth: came }, broad_at);
                }
            }
            _ => self.lapsed = self.lapsed.saturating_add(u32::from(open.is_some())),
        }
        let Ok(breadth) = breadth else { return };
        self.all.add(breadth, broad_at);
        if breadth < shock_at {
            return;
        }
        self.shock = Some(session);
        self.open = (self.followed.count >= FOLLOWED_MIN).then(|| Forecast {
            session,
            breadth: self.followed.mean(),
            broad_probability: self.followed.probability(),
            base_breadth: self.all.mean(),
            base_probability: self.all.probability(),
        });
    }

    fn score(&mut self, scored: Scored, broad_at: f64) {
        let Forecast { breadth, broad_probability, base_breadth, base_probability, .. } = scored.forecast;
        let outcome = if scored.breadth >= broad_at { 1.0 } else { 0.0 };
        let squared = |p: f64| (p - outcome) * (p - outcome);
        let errors = [
            (breadth - scored.breadth).abs(),
            (base_breadth - scored.breadth).abs(),
            squared(broad_probability),
            squared(base_probability),
        ];
        self.errors.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
        self.scored = self.scored.saturating_add(1);
        self.newest.push_back(scored);
        if self.newest.len() > SCORED_KEPT {
            self.newest.pop_front();
        }
    }

    pub(super) fn read(&self) -> FollowThrough {
        let mean =
            |sum: f64| if self.scored > 0 { Ok(sum / f64::from(self.scored)) } else { Err(Unknown::ShortHistory) };
        let [absolute_error, base_absolute_error, brier, base_brier] = self.errors.map(mean);
        FollowThrough {
            followed: self.followed.count,
            open: self.open,
            scored: self.scored,
            lapsed: self.lapsed,
            absolute_error,
            base_absolute_error,
            brier,
            base_brier,
            newest: self.newest.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i32) -> SessionDate {
        SessionDate::from_days(20_000 + n).unwrap()
    }

    fn run(breadths: &[domain::Reading]) -> FollowUp {
        let mut up = FollowUp::default();
        for (n, breadth) in (0..).zip(breadths) {
            up.close(day(n), Some(day(n - 1)), *breadth, (0.05, 0.08));
        }
        up
    }

    #[test]
    fn a_forecast_knows_only_what_came_before_it() {
        // Five shocks, each with a next session of its own, then a sixth.
        let mut breadths = Vec::new();
        for next in [0.06, 0.02, 0.04, 0.06, 0.02] {
            breadths.extend([Ok(0.1), Ok(next)]);
        }
        breadths.push(Ok(0.2));
        let up = run(&breadths);
        let forecast = up.read().open.unwrap();
        assert_eq!((forecast.session, up.read().scored), (day(10), 0));
        assert!((forecast.breadth - 0.04).abs() < 1e-15 && (forecast.broad_probability - 2.5 / 6.0).abs() < 1e-15);
        assert!((forecast.base_breadth - 0.9 / 11.0).abs() < 1e-15);
        assert!((forecast.base_probability - 8.5 / 12.0).abs() < 1e-15);
        breadths.push(Ok(0.09));
        let read = run(&breadths).read();
        assert_eq!((read.scored, read.followed, read.newest.len()), (1, 6, 1));
        assert!((read.absolute_error.unwrap() - 0.05).abs() < 1e-15);
        assert!((read.brier.unwrap() - (3.5_f64 / 6.0).powi(2)).abs() < 1e-15);
        assert_eq!(read.open.unwrap().session, day(11), "a shock again, and what came counts");
        assert!((read.open.unwrap().breadth - 0.29 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn a_session_that_is_not_the_next_or_not_known_settles_nothing() {
        let mut breadths = Vec::new();
        for _ in 0..5 {
            breadths.extend([Ok(0.1), Ok(0.0)]);
        }
        breadths.extend([Ok(0.1), Err(Unknown::Coverage)]);
        let mut up = run(&breadths);
        assert_eq!((up.read().lapsed, up.read().scored, up.read().followed), (1, 0, 5));
        up.close(day(20), Some(day(19)), Ok(0.1), (0.05, 0.08));
        up.close(day(25), Some(day(24)), Ok(0.0), (0.05, 0.08));
        assert_eq!((up.read().lapsed, up.read().scored, up.read().followed), (2, 0, 5));
        assert_eq!(up.read().brier, Err(Unknown::ShortHistory));
    }
}
