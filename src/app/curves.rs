//! Learned curves of a replay: what passes the engine goes to the learner, and what comes of it to a file.

use super::AppError;
use super::output::Output;
use crate::codec::encode_curve;
use crate::config::Config;
use crate::domain::Observation;
use crate::engine::Engine;
use crate::market::{CurveLearner, GroupCurve, NoCurve};
use std::path::Path;
use tracing::warn;

/// Curves in the making, and where they go.
pub(super) struct Curves {
    learner: CurveLearner,
    out: Output,
    sessions: usize,
}

impl Curves {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self, AppError> {
        let (calendar, ruler) = (&config.params.calendar, &config.params.ruler);
        let Some(calendar) = calendar else {
            return Err(AppError::Usage("--curves needs a calendar (market.calendar = \"none\")".into()));
        };
        if ruler.groups.is_empty() {
            return Err(AppError::Usage("--curves: the configuration has no symbols in [ruler.groups]".into()));
        }
        let learner = CurveLearner::new(calendar.clone(), ruler);
        Ok(Self { learner, out: Output::open(path)?, sessions: ruler.sessions })
    }

    /// Takes a record that was applied.
    pub(super) fn take(&mut self, observation: &Observation<'_>) {
        match observation {
            Observation::Tick(tick) => self.learner.price(&tick.symbol, tick.ts, tick.price.get()),
            Observation::Bar(bar) => {
                // A day bar has no times within its session.
                let Some(length) = bar.interval.nanos() else { return };
                let prices = (bar.open.get(), bar.close.get());
                self.learner.bar(&bar.symbol, (bar.ts, bar.ts.plus(length)), prices);
            }
            _ => {}
        }
    }

    /// Writes one record a group; a group with too little to learn from is named in the log instead.
    pub(super) fn write(mut self, engine: &Engine) -> Result<(), AppError> {
        let needed = self.sessions;
        for (group, learned) in self.learner.finish() {
            match learned {
                Ok(curve) => {
                    let mut bytes = Vec::new();
                    encode_curve(&group, &curve, overnight(engine, &curve), &mut bytes);
                    self.out.line(&bytes)?;
                }
                Err(NoCurve::Sessions(n)) => {
                    warn!(%group, sessions = n, needed, "no curve learned: too few full sessions with a price in every half hour");
                }
                Err(NoCurve::Still) => warn!(%group, "no curve learned: prices stand still in a half hour"),
                Err(NoCurve::CalendarEnds) => warn!(%group, "no curve learned: the calendar ends"),
            }
        }
        self.out.finish()
    }
}

/// The mean of the symbols' own overnight shares, held within the configured bounds; those that have none yet are
/// left out.
fn overnight(engine: &Engine, curve: &GroupCurve) -> Option<f64> {
    let shares: Vec<f64> = curve.symbols.iter().filter_map(|s| engine.overnight_share(s, curve.from)).collect();
    let (low, high) = engine.params().ruler.overnight_range;
    (!shares.is_empty()).then(|| (shares.iter().sum::<f64>() / shares.len() as f64).clamp(low, high))
}
