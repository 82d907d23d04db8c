//! What a group's alert says of its legs and members.

use super::alert::{Tier, rounded};
use crate::domain::{ClusterView, LevelView, Reading, Symbol, Unknown};
use serde::Serialize;

#[derive(Serialize)]
struct LegJson<'a> {
    name: &'a str,
    value: Option<f64>,
    percentile: Option<f64>,
    threshold: f64,
    reached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
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
    levels: [LevelJson<'a>; 3],
    breach_at: Tier,
    coverage_min: f64,
}

pub(super) fn cluster_json(c: &ClusterView) -> ClusterJson<'_> {
    let reason = |r: &Reading| r.err().map(Unknown::name);
    let legs = c.legs.iter().map(|l| LegJson {
        name: l.name,
        value: l.value.ok().map(rounded),
        percentile: None,
        threshold: l.threshold,
        reached: l.reached,
        unknown: reason(&l.value),
    });
    let members = c.members.iter().map(|m| MemberJson {
        symbol: m.symbol.as_str(),
        company: m.company.as_deref(),
        classes: m.classes.iter().map(Symbol::as_str).collect(),
        z: m.z.ok().map(rounded),
        log_return: m.log_return.ok(),
        market_value: m.market_value,
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
        levels: c.levels.each_ref().map(level),
        breach_at: Tier(c.breach_at),
        coverage_min: c.coverage_min,
    }
}
