//! Which symbols have series of their own.

use super::check::Checker;
use super::raw::RawMetrics;
use crate::domain::Symbol;
use std::collections::BTreeSet;

/// Which symbols have series of their own.
#[derive(Clone, PartialEq, Debug)]
pub enum SymbolPolicy {
    /// All.
    All,
    /// Those listed.
    Watchlist(BTreeSet<Symbol>),
    /// So many with the largest absolute multiple; one that was shown stays while it is among twice as many.
    TopK(usize),
    /// None.
    Off,
}

/// Which symbols have series of their own, and how many at most.
pub(super) fn check_metrics(c: &mut Checker, raw: &RawMetrics) -> (SymbolPolicy, usize) {
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    let max = size(c.whole("metrics.max_symbols", raw.max_symbols, 1, 100_000));
    let top = size(c.whole("metrics.top_k", raw.top_k, 1, 10_000));
    let mut watched = BTreeSet::new();
    for name in &raw.watchlist {
        match Symbol::new(name) {
            Ok(symbol) => drop(watched.insert(symbol)),
            Err(error) => c.refuse("metrics.watchlist", format!("{name:?}: {error}")),
        }
    }
    let choices = [("all", 0), ("watchlist", 1), ("top_k", 2), ("off", 3)];
    let policy = match c.one_of("metrics.symbols", &raw.symbols, &choices) {
        0 => SymbolPolicy::All,
        1 => SymbolPolicy::Watchlist(watched),
        2 => SymbolPolicy::TopK(top),
        _ => SymbolPolicy::Off,
    };
    (policy, max)
}
