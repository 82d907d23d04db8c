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
    /// What members added to the index in the session, or to the group where its share of the index is not known.
    pub contributions: IndexContributions,
    /// That share.
    pub benchmark_share: Option<f64>,
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
pub(in crate::cluster) fn read_derived(
    panel: &Panel,
    benchmark: &Symbol,
    (benchmark_share, coverage_min): (Option<f64>, f64),
) -> Option<DerivedView> {
    let (session, newest) = panel.sessions().last_key_value()?;
    let (session, index) = (*session, benchmark.as_str());
    let of = |key: &str| newest.get(key).copied().ok_or(Unknown::NoClose);
    let members: Vec<(Symbol, &Key)> = panel.members().iter().map(|(key, m)| (m.symbol.clone(), key)).collect();
    let values = || panel.members().values().map(|m| m.value);
    let index_value = benchmark_share.and_then(|share| Some(values().sum::<Option<f64>>()? / share));
    let lines: Vec<MemberReading> = members
        .iter()
        .zip(values())
        .map(|((symbol, key), value)| {
            let line = MemberReading::not_yet(symbol.clone(), value);
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
        contributions: IndexContributions::read(
            session,
            &lines,
            of(index),
            index_value,
            coverage_min * benchmark_share.unwrap_or(1.0),
        ),
        benchmark_share,
        standings: standings.into_iter().flatten().collect(),
        idiosyncratic: members.iter().map(|(symbol, key)| (symbol.clone(), own(key))).collect(),
        co_exceedance: co_exceedance(panel)?,
        volatility_legs: (members.len() >= LEGS_MEMBERS_MIN).then(|| legs(panel, year)).flatten(),
        trend: trend(session, &panel.unbroken(index)),
    })
}

fn standings(panel: &Panel, index: &str, members: &[(Symbol, &Key)], anchor: Anchor) -> Option<StandingsView> {
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
            .map(|(symbol, key)| SessionMove { symbol: symbol.clone(), log_return: reading(day, key), weight: None })
            .collect();
        standings.feed(*session, previous, reading(day, index), &moves);
        previous = *session;
    }
    standings.view()
}

/// The legs of those who were members in each session: today's would leave out who fell out of the group.
fn legs(panel: &Panel, year: i32) -> Option<VolatilityLegsView> {
    let anchor = panel.sessions().keys().find(|s| s.year_month_day().0 == year)?;
    let mut legs = VolatilityLegs::new(*anchor);
    let name = |key: &Key| panel.members().get(key).map_or_else(|| Symbol::new(key).ok(), |m| Some(m.symbol.clone()));
    for (session, day) in panel.sessions() {
        let known: BTreeMap<Symbol, f64> = day.iter().filter_map(|(key, r)| Some((name(key)?, *r))).collect();
        let members = day.keys().filter(|key| panel.was_member(key, *session)).filter_map(name).collect();
        legs.feed(*session, &known, &members);
    }
    legs.view()
}

fn trend(session: SessionDate, returns: &[f64]) -> Option<TrendView> {
    let model = TrendModel::new(TrendParams::default()).ok()?;
    Some(model.view(session, &closes_of_returns(Price::new(LAST_CLOSE).ok()?, returns)))
}
