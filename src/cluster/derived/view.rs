//! The derived views of a group, all off the returns that it keeps.

use super::co_exceedance::co_exceedance;
use super::{
    Anchor, CoExceedance, IdiosyncraticZ, IndexContributions, SessionMove, StandingParams, Standings, StandingsView,
    VolatilityLegs, VolatilityLegsView, idiosyncratic_z,
};
use crate::cluster::panel::{Key, Panel};
use crate::cluster::reading::MemberReading;
use crate::domain::{self, Price, SessionDate, Symbol, Unknown};
use crate::estimators::{TrendModel, TrendParams, TrendView, closes_of_returns};
use std::collections::BTreeMap;

/// Sessions of the trailing count of engines and drags.
const QUARTER: usize = 63;
/// Members without which a fifth of them is no leg.
const LEGS_MEMBERS_MIN: usize = 10;
/// Prices of the trend follower are told as a share of the last close.
const LAST_CLOSE: f64 = 1.0;

/// What follows from the returns of a group and of the index above it, as of a close.
#[derive(Clone, PartialEq, Debug)]
pub struct DerivedView {
    /// Who moved the index in the session; weights are those of the members known.
    pub contributions: IndexContributions,
    /// Engines and drags since the year began, and over 63 sessions.
    pub standings: Vec<StandingsView>,
    /// What of each member's move is its own.
    pub idiosyncratic: Vec<(Symbol, Result<IdiosyncraticZ, Unknown>)>,
    /// How many members had a day that is extreme for themselves.
    pub co_exceedance: CoExceedance,
    /// The calm members against the restless ones since the year began; `None` for fewer than ten members.
    pub volatility_legs: Option<VolatilityLegsView>,
    /// What a rule-bound account would hold and trade of the index; prices as shares of its last close.
    pub trend: Option<TrendView>,
}

/// Reads the views as of the newest session that a panel keeps; `None` without any.
pub(in crate::cluster) fn read_derived(panel: &Panel, benchmark: &Symbol, coverage_min: f64) -> Option<DerivedView> {
    let (session, newest) = panel.sessions().last_key_value()?;
    let (session, index) = (*session, benchmark.as_str());
    let of = |key: &str| newest.get(key).copied().ok_or(Unknown::NoClose);
    // A company's name may be longer than a symbol is.
    let members: Vec<(Symbol, &Key, f64)> =
        panel.values().iter().filter_map(|(key, value)| Some((Symbol::new(key).ok()?, key, *value))).collect();
    let lines: Vec<MemberReading> = members
        .iter()
        .map(|(symbol, key, value)| {
            let line = MemberReading::not_yet(symbol.clone(), Some(*value));
            MemberReading { log_return: of(key), ..line }
        })
        .collect();
    let year = session.year_month_day().0;
    let pairs = |key: &Key| -> Vec<(f64, f64)> {
        panel.sessions().values().filter_map(|day| Some((*day.get(key)?, *day.get(index)?))).collect()
    };
    let own = |key: &Key| of(key).and(of(index)).and_then(|_| idiosyncratic_z(&pairs(key)));
    let standings = [Anchor::Year, Anchor::Trailing(QUARTER)].map(|anchor| standings(panel, index, &members, anchor));
    Some(DerivedView {
        contributions: IndexContributions::read(session, &lines, of(index), None, coverage_min),
        standings: standings.into_iter().flatten().collect(),
        idiosyncratic: members.iter().map(|(symbol, key, _)| (symbol.clone(), own(key))).collect(),
        co_exceedance: co_exceedance(panel)?,
        volatility_legs: (members.len() >= LEGS_MEMBERS_MIN).then(|| legs(panel, &members, year)).flatten(),
        trend: trend(session, &panel.unbroken(index)),
    })
}

fn standings(panel: &Panel, index: &str, members: &[(Symbol, &Key, f64)], anchor: Anchor) -> Option<StandingsView> {
    let mut standings = Standings::new(StandingParams::since(anchor))?;
    let reading = |day: &BTreeMap<Key, f64>, key: &str| -> domain::Reading {
        day.get(key).copied().ok_or(Unknown::MissingSession)
    };
    let mut sessions = panel.sessions().iter();
    // A return of the first session kept may span more than there is here.
    let mut previous = *sessions.next()?.0;
    for (session, day) in sessions {
        let moves: Vec<SessionMove> = members
            .iter()
            .map(|(symbol, key, _)| SessionMove { symbol: symbol.clone(), log_return: reading(day, key), weight: None })
            .collect();
        standings.feed(*session, previous, reading(day, index), &moves);
        previous = *session;
    }
    standings.view()
}

fn legs(panel: &Panel, members: &[(Symbol, &Key, f64)], year: i32) -> Option<VolatilityLegsView> {
    let anchor = panel.sessions().keys().find(|s| s.year_month_day().0 == year)?;
    let mut legs = VolatilityLegs::new(*anchor);
    for (session, day) in panel.sessions() {
        let known = members.iter().filter_map(|(symbol, key, _)| Some((symbol.clone(), *day.get(*key)?)));
        legs.feed(*session, &known.collect());
    }
    legs.view()
}

fn trend(session: SessionDate, returns: &[f64]) -> Option<TrendView> {
    let model = TrendModel::new(TrendParams::default()).ok()?;
    Some(model.view(session, &closes_of_returns(Price::new(LAST_CLOSE).ok()?, returns)))
}
