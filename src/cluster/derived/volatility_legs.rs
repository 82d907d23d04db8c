//! Calm against restless stocks: two legs sorted by volatility, and what they have made since a date.

use super::Feeding;
use crate::domain::{self, SessionDate, Symbol, Unknown};
use crate::estimators::sample_sigma;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Returns of the short and of the long volatility.
const SHORT: usize = 126;
const LONG: usize = 252;
/// One leg is this part of those ranked.
const QUANTILES: usize = 5;
/// Securities followed at most.
const SYMBOLS_MAX: usize = 2_048;
/// Sessions without a return after which a security is forgotten.
const ABSENT_MAX: u32 = 21;

/// Daily log returns of one security, oldest first, and the sessions since the last of them.
#[derive(Clone, PartialEq, Debug, Default)]
struct Past {
    returns: VecDeque<f64>,
    absent: u32,
}

/// One leg.
#[derive(Clone, PartialEq, Debug)]
struct Leg {
    /// What is held of each security; at a rebalance the same of all.
    holdings: BTreeMap<Symbol, f64>,
    /// What 1 at the anchor has become, and the most that it was.
    level: f64,
    peak: f64,
}

/// Equal-weighted legs of the calmest and the most restless fifth of a universe.
///
/// At the last close of each month the securities with a return in that session and at least 126 returns are ranked by the
/// mean of two sample deviations of their daily log returns: of the newest 126, and of the newest 252 (of all there are,
/// where they are fewer); ties by symbol. The legs are the lower and the upper fifth, `n / 5` rounded down, each of equal
/// weight, and drift until the next month's end. A security without a return in a session leaves its leg with its
/// last one, and what it was worth is spread over the others in proportion; so delisting returns count where they are
/// told. Ranked are those who were members in the session at whose close the legs are sorted: with today's members
/// survivors would make the restless leg. Others may be told, too: they have a past when they become members.
///
/// A leg that loses all it holds once levels count breaks the chain: unknown (`NO_MEMBER`) from then on.
///
/// Levels are 1 before the first session at or after the anchor in which there are legs. Bounded: 2,048 securities
/// of 252 returns; one is forgotten after 21 sessions without a return.
/// Oracle: pandas, `tests/golden/derived.py`.
#[derive(Clone, PartialEq, Debug)]
pub struct VolatilityLegs {
    anchor: SessionDate,
    /// First session that the levels count.
    from: Option<SessionDate>,
    last: Option<SessionDate>,
    /// Session whose close the legs were sorted at, and how many were ranked.
    sorted: Option<(SessionDate, usize)>,
    /// The calm leg, then the restless one; none before the first sort.
    legs: Option<[Leg; 2]>,
    /// A leg lost all it held since the anchor: there is no chain any more.
    is_broken: bool,
    past: BTreeMap<Symbol, Past>,
    /// Members of the last session.
    members: BTreeSet<Symbol>,
}

/// One leg as of a session.
#[derive(Clone, PartialEq, Debug)]
pub struct LegSide {
    /// Shares of what it holds, by symbol.
    pub holdings: Vec<(Symbol, f64)>,
    /// Simple return since the anchor.
    pub simple_return: domain::Reading,
    /// Level over its highest close since the anchor, less 1: 0 or below.
    pub drawdown: domain::Reading,
}

/// The legs as of a session.
#[derive(Clone, PartialEq, Debug)]
pub struct VolatilityLegsView {
    /// Session from which returns are asked for ...
    pub anchor: SessionDate,
    /// ... and from which they count: later where there were no legs at the anchor.
    pub from: Option<SessionDate>,
    /// The last session.
    pub as_of: SessionDate,
    /// Session at whose close the legs were sorted.
    pub sorted: Option<SessionDate>,
    /// Securities that were ranked then.
    pub ranked: usize,
    /// The calm fifth.
    pub low: LegSide,
    /// The restless fifth.
    pub high: LegSide,
    /// Return of the calm leg less that of the restless one.
    pub spread: domain::Reading,
}

impl VolatilityLegs {
    /// Nothing known yet; returns count from `anchor` on.
    pub fn new(anchor: SessionDate) -> Self {
        Self {
            anchor,
            from: None,
            last: None,
            sorted: None,
            legs: None,
            is_broken: false,
            past: BTreeMap::new(),
            members: BTreeSet::new(),
        }
    }

    /// Takes the log returns of a session at its close and its members, in the order of sessions. The first session of a
    /// month sorts the legs by what was known before it.
    pub fn feed(
        &mut self,
        session: SessionDate,
        returns: &BTreeMap<Symbol, f64>,
        members: &BTreeSet<Symbol>,
    ) -> Feeding {
        if self.last.is_some_and(|last| session <= last) || !returns.values().any(|r| r.is_finite()) {
            return Feeding::Refused;
        }
        let month = |session: SessionDate| {
            let (year, month, _) = session.year_month_day();
            (year, month)
        };
        if let Some(last) = self.last.filter(|last| month(*last) != month(session)) {
            self.sort(last);
        }
        self.last = Some(session);
        self.drift(session, returns);
        self.members.clone_from(members);
        self.keep(returns)
    }

    /// Sorts the legs at the close of `session`.
    fn sort(&mut self, session: SessionDate) {
        let mut ranked: Vec<(f64, &Symbol)> = self
            .past
            .iter()
            .filter(|(s, _)| self.members.contains(*s))
            .filter_map(|(s, p)| Some((volatility(p)?, s)))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        let size = ranked.len() / QUANTILES;
        self.sorted = Some((session, ranked.len()));
        if size == 0 {
            self.is_broken |= self.from.is_some();
            self.legs = None;
            return;
        }
        let hold = |of: &[(f64, &Symbol)]| of.iter().map(|(_, symbol)| ((*symbol).clone(), 1.0)).collect();
        let chosen: [BTreeMap<Symbol, f64>; 2] = [hold(&ranked[..size]), hold(&ranked[ranked.len() - size..])];
        let levels = self.legs.take().map_or([(1.0, 1.0); 2], |legs| legs.map(|leg| (leg.level, leg.peak)));
        let mut levels = levels.into_iter();
        self.legs = Some(chosen.map(|holdings| {
            let (level, peak) = levels.next().unwrap_or((1.0, 1.0));
            Leg { holdings, level, peak }
        }));
    }

    /// Lets the legs move with a session.
    fn drift(&mut self, session: SessionDate, returns: &BTreeMap<Symbol, f64>) {
        let Some(legs) = &mut self.legs else { return };
        let is_counted = session >= self.anchor;
        for leg in legs.iter_mut() {
            let moved = |symbol: &Symbol| returns.get(symbol).copied().filter(|r| r.is_finite());
            leg.holdings.retain(|symbol, _| moved(symbol).is_some());
            let before: f64 = leg.holdings.values().sum();
            for (symbol, held) in &mut leg.holdings {
                *held *= moved(symbol).map_or(1.0, f64::exp);
            }
            let after: f64 = leg.holdings.values().sum();
            if is_counted && before > 0.0 {
                leg.level *= after / before;
                leg.peak = leg.peak.max(leg.level);
            }
        }
        let is_whole = legs.iter().all(|leg| !leg.holdings.is_empty());
        if is_counted {
            self.from = self.from.or(Some(session));
            self.is_broken |= !is_whole;
        }
    }

    fn keep(&mut self, returns: &BTreeMap<Symbol, f64>) -> Feeding {
        self.past.values_mut().for_each(|past| past.absent = past.absent.saturating_add(1));
        let mut dropped = 0;
        for (symbol, log_return) in returns {
            let is_full = self.past.len() >= SYMBOLS_MAX && !self.past.contains_key(symbol);
            if is_full || !log_return.is_finite() {
                dropped += 1;
                continue;
            }
            let past = self.past.entry(symbol.clone()).or_default();
            past.absent = 0;
            past.returns.push_back(*log_return);
            if past.returns.len() > LONG {
                past.returns.pop_front();
            }
        }
        self.past.retain(|_, past| past.absent <= ABSENT_MAX);
        Feeding::Applied { dropped }
    }

    /// What is known after the last session; `None` before any.
    pub fn view(&self) -> Option<VolatilityLegsView> {
        let [low, high] = [0, 1].map(|at| self.side(at));
        let spread = low.simple_return.and_then(|r| Ok(r - high.simple_return?));
        Some(VolatilityLegsView {
            anchor: self.anchor,
            from: self.from,
            as_of: self.last?,
            sorted: self.sorted.map(|(session, _)| session),
            ranked: self.sorted.map_or(0, |(_, ranked)| ranked),
            low,
            high,
            spread,
        })
    }

    fn side(&self, at: usize) -> LegSide {
        let leg = self.legs.as_ref().map(|legs| &legs[at]);
        let counted = match leg {
            _ if self.is_broken => Err(Unknown::NoMember),
            Some(leg) if self.from.is_some() => Ok(leg),
            _ => Err(Unknown::Warming),
        };
        let holdings = leg.map(|leg| {
            let whole: f64 = leg.holdings.values().sum();
            leg.holdings.iter().map(|(symbol, held)| (symbol.clone(), held / whole)).collect()
        });
        LegSide {
            holdings: holdings.unwrap_or_default(),
            simple_return: counted.map(|leg| leg.level - 1.0),
            drawdown: counted.map(|leg| leg.level / leg.peak - 1.0),
        }
    }
}

/// Mean of the short and the long deviation; `None` where the security has no return of the last session, or too few.
fn volatility(past: &Past) -> Option<f64> {
    if past.absent > 0 || past.returns.len() < SHORT {
        return None;
    }
    let returns: Vec<f64> = past.returns.iter().copied().collect();
    Some(sample_sigma(&returns[returns.len() - SHORT..])?.midpoint(sample_sigma(&returns)?))
}

#[cfg(test)]
mod tests;
