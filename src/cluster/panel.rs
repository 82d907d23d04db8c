//! The daily returns of a group's members together, and of the index beside them.

use crate::domain::{SessionDate, Symbol, Unknown};
use crate::estimators::{ASSETS_MAX, ShrunkCovariance};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sessions that the covariance is estimated on, at most and at least.
const SESSIONS: usize = 252;
const SESSIONS_MIN: usize = 63;
/// Sessions kept: those, and room for some in which a member was not known.
pub(super) const SESSIONS_KEPT: usize = 378;

/// A member, by its company's name or its symbol.
pub(super) type Key = Arc<str>;

/// A member of the newest session.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct PanelMember {
    /// What it is told under; of a company the class of the largest value.
    pub(super) symbol: Symbol,
    /// Its market value before the session.
    pub(super) value: Option<f64>,
}

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
    /// Who was a member in each.
    members: BTreeMap<SessionDate, BTreeSet<Key>>,
    /// The members of the newest session kept.
    newest: BTreeMap<Key, PanelMember>,
    usual: Option<Usual>,
}

/// Members in the newest sessions, those alone of which every one is known.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    /// Weight of each, by market value; together 1.
    pub(super) weights: Vec<f64>,
    /// Their returns, session by session.
    pub(super) rows: Vec<f64>,
}

impl Panel {
    /// Keeps a session's log returns, and who its members were.
    pub(super) fn keep(
        &mut self,
        session: SessionDate,
        returns: BTreeMap<Key, f64>,
        members: BTreeMap<Key, PanelMember>,
    ) {
        self.members.insert(session, members.keys().cloned().collect());
        if self.newest().is_none_or(|newest| newest <= session) {
            self.newest = members;
        }
        self.sessions.insert(session, returns);
        if self.sessions.len() > SESSIONS_KEPT {
            self.sessions.pop_first();
            self.members.pop_first();
        }
        self.usual = None;
    }

    /// Members of whom nothing but a value is told, by their symbols.
    #[cfg(test)]
    pub(super) fn keep_values(&mut self, session: SessionDate, returns: BTreeMap<Key, f64>, of: BTreeMap<Key, f64>) {
        let member = |(key, value): (Key, f64)| {
            (key.clone(), PanelMember { symbol: Symbol::new(&key).unwrap(), value: Some(value) })
        };
        self.keep(session, returns, of.into_iter().map(member).collect());
    }

    /// Adds a return to a session that is kept: whether it is news.
    pub(super) fn add(&mut self, session: SessionDate, key: &Key, log_return: f64) -> bool {
        let Some(returns) = self.sessions.get_mut(&session).filter(|r| !r.contains_key(key)) else { return false };
        returns.insert(key.clone(), log_return);
        self.usual = None;
        true
    }

    pub(super) fn sessions(&self) -> &BTreeMap<SessionDate, BTreeMap<Key, f64>> {
        &self.sessions
    }

    /// The newest session kept.
    pub(super) fn newest(&self) -> Option<SessionDate> {
        self.sessions.last_key_value().map(|(session, _)| *session)
    }

    /// The members of the newest session kept.
    pub(super) fn members(&self) -> &BTreeMap<Key, PanelMember> {
        &self.newest
    }

    /// Whether someone was a member in a session.
    pub(super) fn was_member(&self, key: &Key, session: SessionDate) -> bool {
        self.members.get(&session).is_some_and(|members| members.contains(key))
    }

    /// Who was a member in each session kept.
    pub(super) fn memberships(&self) -> &BTreeMap<SessionDate, BTreeSet<Key>> {
        &self.members
    }

    /// Sets who was a member in a session, as a snapshot says.
    pub(super) fn set_memberships(&mut self, session: SessionDate, keys: BTreeSet<Key>) {
        self.members.insert(session, keys);
    }

    /// The returns of one key in the newest sessions, oldest first.
    ///
    /// # Errors
    /// When there are too few sessions, or one of them does not know it.
    pub(super) fn series(&self, key: &str, sessions: usize) -> Result<Vec<f64>, Unknown> {
        let newest: Option<Vec<f64>> =
            self.sessions.values().rev().take(sessions).map(|r| r.get(key).copied()).collect();
        let mut newest = newest.ok_or(Unknown::MissingSession)?;
        newest.reverse();
        if newest.len() < sessions { Err(Unknown::Warming) } else { Ok(newest) }
    }

    /// The returns of one key up to the newest session, as far back as none is missing, oldest first.
    pub(super) fn unbroken(&self, key: &str) -> Vec<f64> {
        let mut newest: Vec<f64> = self.sessions.values().rev().map_while(|day| day.get(key).copied()).collect();
        newest.reverse();
        newest
    }

    /// The members in the newest sessions, at most so many and at least `least`. Where that is a choice, sessions in which
    /// nobody is known do not count: one such would leave a year unknown.
    ///
    /// # Errors
    /// When there are too few sessions, a member has no value, or members of less than `coverage_min` of the value were
    /// there in all of them.
    pub(super) fn sample(&self, least: usize, most: usize, coverage_min: f64) -> Result<Sample, Unknown> {
        let is_any = |day: &&BTreeMap<Key, f64>| least == most || self.newest.keys().any(|key| day.contains_key(key));
        let mut days: Vec<&BTreeMap<Key, f64>> = self.sessions.values().rev().filter(is_any).take(most).collect();
        days.reverse();
        if days.len() < least {
            return Err(Unknown::Warming);
        }
        let values = self.newest.iter().map(|(key, member)| Some((key, member.value?)));
        let values: Vec<(&Key, f64)> = values.collect::<Option<_>>().ok_or(Unknown::NoWeights)?;
        let total: f64 = values.iter().map(|(_, value)| value).sum();
        let is_whole = |key: &Key| days.iter().all(|day| day.contains_key(key));
        let members: Vec<(&Key, f64)> = values.into_iter().filter(|(key, _)| is_whole(key)).collect();
        let whole: f64 = members.iter().map(|(_, value)| value).sum();
        if total <= 0.0 {
            return Err(Unknown::NoWeights);
        }
        if whole <= 0.0 || whole < coverage_min * total {
            return Err(Unknown::Coverage);
        }
        let rows = days.iter().flat_map(|day| members.iter().filter_map(|(key, _)| day.get(*key).copied())).collect();
        Ok(Sample { weights: members.iter().map(|(_, value)| value / whole).collect(), rows })
    }

    /// Lets the returns of `old` go on under another name.
    pub(super) fn rename(&mut self, old: &str, to: &Key) {
        if let Some(member) = self.newest.remove(old) {
            self.newest.entry(to.clone()).or_insert(member);
        }
        for members in self.members.values_mut() {
            if members.remove(old) {
                members.insert(to.clone());
            }
        }
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
