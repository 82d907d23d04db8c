//! What a group's alert says of its legs and members.

use super::alert::{Tier, rounded};
use crate::cluster::LEG_NAMES;
use crate::domain::{
    ClusterView, LevelView, NANOS_PER_SEC, Reading, Symbol, UniverseView, UnixNanos, Unknown, WithoutView,
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct LegJson<'a> {
    name: &'a str,
    value: Option<f64>,
    percentile: Option<f64>,
    threshold: Option<f64>,
    reached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<RankJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
}

#[derive(Serialize)]
struct RankJson {
    below: u32,
    equal: u32,
    observations: u32,
    p99: f64,
}

#[derive(Serialize)]
struct UniverseJson<'a> {
    name: &'a str,
    count: usize,
    valid: usize,
    up: usize,
    down: usize,
    securities: Vec<SecurityJson<'a>>,
}

#[derive(Serialize)]
struct SecurityJson<'a> {
    symbol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sector: Option<&'a str>,
    z: Option<f64>,
    log_return: Option<f64>,
    market_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
}

#[derive(Serialize)]
struct TurbulenceJson<'a> {
    mean: &'a [f64],
    covariance: &'a [f64],
    magnitude: f64,
    correlation_surprise: Option<f64>,
}

#[derive(Serialize)]
struct WithoutJson<'a> {
    symbol: &'a str,
    level: &'a str,
    basket_return: Option<f64>,
    legs: BTreeMap<&'static str, Option<f64>>,
}

#[derive(Serialize)]
struct MemberJson<'a> {
    symbol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<&'a str>,
    z: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_return: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market_value: Option<f64>,
    contribution: Option<f64>,
    breached_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
}

#[derive(Serialize)]
struct LevelJson<'a> {
    level: &'a str,
    basket_z: f64,
    rms_z: f64,
    members: Tier,
    legs: usize,
}

#[derive(Serialize)]
pub(super) struct ClusterJson<'a> {
    level: &'a str,
    legs: Vec<LegJson<'a>>,
    members: Vec<MemberJson<'a>>,
    coverage: Option<f64>,
    initiator: Option<&'a str>,
    followers: Vec<&'a str>,
    follower_lags_secs: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    levels: Option<[LevelJson<'a>; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    universe: Option<UniverseJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turbulence: Option<TurbulenceJson<'a>>,
    #[serde(rename = "counterfactual", skip_serializing_if = "Vec::is_empty")]
    without: Vec<WithoutJson<'a>>,
    breach_at: Tier,
    coverage_min: f64,
}

/// Multiples of sigma have four decimals, everything else all of its own.
pub(crate) fn leg_value(name: &str, value: f64) -> f64 {
    if name.ends_with("_z") { rounded(value) } else { value }
}

pub(super) fn cluster_json(c: &ClusterView) -> ClusterJson<'_> {
    let reason = |r: &Reading| r.err().map(Unknown::name);
    let legs = c.legs.iter().map(|l| {
        let rank = l.rank.and_then(Result::ok);
        LegJson {
            name: l.name,
            value: l.value.ok().map(|v| leg_value(l.name, v)),
            percentile: rank.map(|r| r.percentile()),
            threshold: l.threshold.ok(),
            reached: l.reached,
            rank: rank.map(|r| RankJson {
                below: r.below,
                equal: r.equal,
                observations: r.observations,
                p99: r.bounds[1],
            }),
            unknown: reason(&l.value).or(l.rank.and_then(Result::err).map(Unknown::name)),
        }
    });
    let members = c.members.iter().map(|m| MemberJson {
        symbol: m.symbol.as_str(),
        company: m.company.as_deref(),
        classes: m.classes.iter().map(Symbol::as_str).collect(),
        z: m.z.ok().map(rounded),
        log_return: m.log_return.ok(),
        market_value: m.market_value,
        contribution: m.contribution.ok(),
        breached_at: m.breached_at.map(|t| t.0),
        unknown: reason(&m.z),
    });
    let level = |l: &LevelView| {
        let LevelView { level, basket_z, rms_z, members, legs } = *l;
        LevelJson { level, basket_z, rms_z, members: Tier(members), legs }
    };
    ClusterJson {
        level: c.level,
        legs: legs.collect(),
        members: members.collect(),
        coverage: c.coverage.ok(),
        initiator: c.initiator.as_ref().map(Symbol::as_str),
        followers: c.followers.iter().map(Symbol::as_str).collect(),
        follower_lags_secs: lags(c),
        levels: c.levels.as_ref().map(|levels| levels.each_ref().map(level)),
        universe: c.universe.as_ref().map(|u| universe_json(u, c.breach_at)),
        turbulence: c.turbulence.as_ref().map(|t| TurbulenceJson {
            mean: &t.mean,
            covariance: &t.covariance,
            magnitude: t.magnitude,
            correlation_surprise: t.correlation_surprise.ok(),
        }),
        without: c.without.iter().map(without_json).collect(),
        breach_at: Tier(c.breach_at),
        coverage_min: c.coverage_min,
    }
}

/// Of each follower, how long after the initiator it broke.
fn lags(c: &ClusterView) -> Vec<Option<f64>> {
    let broke = |symbol: &Symbol| c.members.iter().find(|m| m.symbol == *symbol).and_then(|m| m.breached_at);
    let first = c.initiator.as_ref().and_then(broke);
    let lag = |symbol: &Symbol| Some(seconds_between(first?, broke(symbol)?));
    c.followers.iter().map(lag).collect()
}

/// Seconds from one instant to a later one, as a record tells them.
pub(crate) fn seconds_between(from: UnixNanos, to: UnixNanos) -> f64 {
    to.since(from) as f64 / NANOS_PER_SEC as f64
}

fn universe_json(u: &UniverseView, breach_at: f64) -> UniverseJson<'_> {
    let valid = || u.lines.iter().filter_map(|l| l.z.ok());
    let securities = u.lines.iter().map(|l| SecurityJson {
        symbol: l.symbol.as_str(),
        sector: l.sector.as_deref(),
        z: l.z.ok().map(rounded),
        log_return: l.log_return.ok(),
        market_value: l.market_value,
        unknown: l.z.err().map(Unknown::name),
    });
    UniverseJson {
        name: &u.name,
        count: u.lines.len(),
        valid: valid().count(),
        up: valid().filter(|z| *z >= breach_at).count(),
        down: valid().filter(|z| *z <= -breach_at).count(),
        securities: securities.collect(),
    }
}

fn without_json(w: &WithoutView) -> WithoutJson<'_> {
    WithoutJson {
        symbol: w.symbol.as_str(),
        level: w.level,
        basket_return: w.basket_return.ok(),
        legs: LEG_NAMES
            .into_iter()
            .zip(&w.legs)
            .map(|(name, value)| (name, value.ok().map(|v| leg_value(name, v))))
            .collect(),
    }
}
