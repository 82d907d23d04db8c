//! Who belongs to a group, and since when.

use super::level::Membership;
use crate::domain::{SessionDate, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Times one symbol may join and leave.
const CHANGES_MAX: usize = 256;

/// The symbols that ever belonged to a group.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Roster {
    changes: BTreeMap<Symbol, Vec<Membership>>,
}

impl Roster {
    /// Members from the beginning of time.
    pub(super) fn new(members: &[String]) -> Self {
        let always = vec![Membership { from: SessionDate::MIN, inside: true, company: None, sector: None }];
        let symbols = members.iter().filter_map(|m| Symbol::new(m).ok());
        Self { changes: symbols.map(|s| (s, always.clone())).collect() }
    }

    /// Records a membership: whether it is news.
    pub(super) fn set(&mut self, symbol: &Symbol, membership: Membership) -> bool {
        let changes = self.changes.entry(symbol.clone()).or_default();
        match changes.binary_search_by_key(&membership.from, |m| m.from) {
            Ok(at) if changes[at] == membership => return false,
            Ok(at) => changes[at] = membership,
            Err(_) if changes.len() >= CHANGES_MAX => return false,
            Err(at) => changes.insert(at, membership),
        }
        true
    }

    /// Takes `old` out from a session on: the memberships that go on under another name.
    pub(super) fn take_out(&mut self, old: &Symbol, from: SessionDate) -> Vec<Membership> {
        let Some(changes) = self.changes.get_mut(old) else { return Vec::new() };
        let at_hand = Self::at(changes, from).filter(|m| m.inside).cloned();
        let later: Vec<Membership> = changes.iter().filter(|m| m.from > from).cloned().collect();
        if at_hand.is_none() && later.is_empty() {
            return Vec::new();
        }
        changes.retain(|m| m.from < from);
        changes.push(Membership { from, inside: false, company: None, sector: None });
        at_hand.map(|m| Membership { from, ..m }).into_iter().chain(later).collect()
    }

    /// Whether `symbol` is inside in `session`.
    pub(super) fn holds(&self, symbol: &str, session: SessionDate) -> bool {
        self.of(symbol, session).is_some()
    }

    /// The membership of `symbol` in `session`, if it is inside.
    pub(super) fn of(&self, symbol: &str, session: SessionDate) -> Option<&Membership> {
        Self::at(self.changes.get(symbol)?, session).filter(|m| m.inside)
    }

    fn at(changes: &[Membership], session: SessionDate) -> Option<&Membership> {
        changes.iter().rev().find(|m| m.from <= session)
    }

    /// The symbols inside in `session`.
    pub(super) fn inside(&self, session: SessionDate) -> impl Iterator<Item = &Symbol> {
        let is_inside = move |changes: &[Membership]| Self::at(changes, session).is_some_and(|m| m.inside);
        self.changes.iter().filter(move |(_, c)| is_inside(c)).map(|(s, _)| s)
    }

    /// Every symbol with its changes, by symbol.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Symbol, &[Membership])> {
        self.changes.iter().map(|(s, c)| (s, c.as_slice()))
    }

    /// The name of a symbol's company, where it is one of several share classes.
    pub(super) fn company(&self, symbol: &Symbol, session: SessionDate) -> Option<&Arc<str>> {
        self.of(symbol.as_str(), session)?.company.as_ref()
    }
}
