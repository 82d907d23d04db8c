//! One symbol with a full window behind it, on the morning of a session.

use crate::harness::{Run, date, params_without_groups};
use fragility::domain::{Alert, AlertKind, Outcome, UnixNanos};
use fragility::engine::Params;
use fragility::market::Session;
use std::collections::BTreeMap;
use uuid::Uuid;

pub(crate) const SYMBOL: &str = "ACME";

/// A day without anything special about it.
pub(crate) const DAY: &str = "2025-02-12";

pub(crate) struct Scene {
    pub(crate) run: Run,
    pub(crate) session: Session,
    log: Vec<Alert>,
    /// Alerts of `log` that `said` has given out.
    told: usize,
}

/// Closes of the 22 sessions before `day`: 21 returns of one percent up and down, sigma 0.0102.
pub(crate) fn warm(run: &mut Run, symbol: &str, day: &str) {
    let before: Vec<String> =
        run.calendar.sessions().iter().filter(|s| s.date < date(day)).map(|s| s.date.to_string()).collect();
    for (at, session) in before[before.len() - 22..].iter().enumerate() {
        run.close(symbol, session, if at % 2 == 0 { 101.0 } else { 100.0 });
    }
}

impl Scene {
    /// A warmed-up symbol that has traded flat at the open of `day`.
    pub(crate) fn open_of(day: &str) -> Self {
        Self::with(params_without_groups(), day)
    }

    pub(crate) fn with(params: Params, day: &str) -> Self {
        let mut run = Run::new(params);
        warm(&mut run, SYMBOL, day);
        let session = run.session(day);
        let mut scene = Self { run, session, log: Vec::new(), told: 0 };
        scene.price(session.open, 100.0);
        assert_eq!(scene.said(), [], "a flat open is no news");
        scene
    }

    /// `secs` after the open.
    pub(crate) fn at(&self, secs: i64) -> UnixNanos {
        self.session.open.plus(secs * crate::harness::SEC)
    }

    pub(crate) fn price(&mut self, ts: UnixNanos, price: f64) {
        let got = self.run.tick(SYMBOL, ts, price);
        assert_eq!(got.outcome, Outcome::Applied, "{got:?}");
    }

    /// The first price that reaches a multiple of sigma.
    pub(crate) fn at_z(&self, z: f64) -> f64 {
        self.run.price_at(SYMBOL, z)
    }

    /// A tick at a multiple of sigma, `secs` after the open: kinds and tiers it causes.
    pub(crate) fn z(&mut self, secs: i64, z: f64) -> Vec<(AlertKind, f64)> {
        self.price(self.at(secs), self.at_z(z));
        self.kinds()
    }

    pub(crate) fn close(&mut self, price: f64) -> Vec<Alert> {
        let session = self.session.date.to_string();
        self.run.close(SYMBOL, &session, price);
        self.said()
    }

    /// What has been said since the last call.
    pub(crate) fn said(&mut self) -> Vec<Alert> {
        self.log.extend(self.run.said());
        let new = self.log[self.told..].to_vec();
        self.told = self.log.len();
        check_identity(&self.log);
        new
    }

    pub(crate) fn kinds(&mut self) -> Vec<(AlertKind, f64)> {
        self.said().iter().map(|a| (a.kind, a.tier)).collect()
    }
}

/// Sequences have no gap within an entity, and revisions none within an alert, over everything said so far.
pub(crate) fn check_identity(log: &[Alert]) {
    let mut sequences: BTreeMap<_, u64> = BTreeMap::new();
    let mut revisions: BTreeMap<Uuid, u32> = BTreeMap::new();
    for alert in log {
        let sequence = sequences.entry(alert.entity.clone()).or_insert(0);
        *sequence += 1;
        assert_eq!(alert.sequence, *sequence, "sequence of {alert:?}");
        let revision = revisions.entry(alert.alert_id).or_insert(0);
        assert_eq!(alert.revision, *revision, "revision of {alert:?}");
        *revision += 1;
    }
}
