//! The daily returns of a group's members together: what its turbulence is measured by.

use crate::domain::{SessionDate, Unknown};
use crate::estimators::{ASSETS_MAX, ShrunkCovariance};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sessions that the covariance is estimated on, at most and at least.
const SESSIONS: usize = 252;
const SESSIONS_MIN: usize = 63;
/// Sessions kept: those, and room for some in which a member was not known.
pub(super) const SESSIONS_KEPT: usize = 378;

/// A member, by its company's name or its symbol.
pub(super) type Key = Arc<str>;

/// The usual of a session's members.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Usual {
    session: SessionDate,
    keys: Vec<Key>,
    found: Result<Arc<ShrunkCovariance>, Unknown>,
}

/// Daily log returns by session and member.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel {
    sessions: BTreeMap<SessionDate, BTreeMap<Key, f64>>,
    usual: Option<Usual>,
}

impl Panel {
    pub(super) fn keep(&mut self, session: SessionDate, returns: BTreeMap<Key, f64>) {
        self.sessions.insert(session, returns);
        if self.sessions.len() > SESSIONS_KEPT {
            self.sessions.pop_first();
        }
        self.usual = None;
    }

    pub(super) fn sessions(&self) -> &BTreeMap<SessionDate, BTreeMap<Key, f64>> {
        &self.sessions
    }

    /// Lets the returns of `old` go on under another name.
    pub(super) fn rename(&mut self, old: &str, to: &Key) {
        for returns in self.sessions.values_mut() {
            if let Some(r) = returns.remove(old) {
                returns.entry(to.clone()).or_insert(r);
            }
        }
        self.usual = None;
    }

    /// Mean and covariance of `keys` over the newest sessions before `session` in which all of them are known.
    pub(super) fn usual(&mut self, session: SessionDate, keys: &[Key]) -> Result<Arc<ShrunkCovariance>, Unknown> {
        if let Some(usual) = self.usual.as_ref().filter(|u| u.session == session && u.keys == keys) {
            return usual.found.clone();
        }
        let found = self.estimate(session, keys);
        self.usual = Some(Usual { session, keys: keys.to_vec(), found: found.clone() });
        found
    }

    fn estimate(&self, session: SessionDate, keys: &[Key]) -> Result<Arc<ShrunkCovariance>, Unknown> {
        if keys.len() > ASSETS_MAX {
            return Err(Unknown::TooMany);
        }
        let past = self.sessions.range(..session).rev();
        let whole = past.filter_map(|(_, of)| keys.iter().map(|k| of.get(k).copied()).collect::<Option<Vec<f64>>>());
        let newest: Vec<Vec<f64>> = whole.take(SESSIONS).collect();
        if newest.len() < SESSIONS_MIN {
            return Err(Unknown::Warming);
        }
        let rows: Vec<f64> = newest.into_iter().rev().flatten().collect();
        ShrunkCovariance::ledoit_wolf(keys.len(), &rows).map(Arc::new).ok_or(Unknown::InsufficientVariance)
    }
}
