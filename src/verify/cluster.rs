//! The arithmetic of a group's alert.

use super::composite;
use super::findings::Findings;
use super::window;
use crate::cluster::{
    Composite, GroupHistory, GroupParams, GroupSentence, Level, LevelBounds, MemberReading, Reading, Verdict,
    change_of, contributions, direction_of, read,
};
use crate::codec::{AlertRecord, ClusterRecord, LegRecord, MemberRecord, leg_value, rounded, seconds_between};
use crate::domain::{AlertKind, AlertState, Leg, Phase, Symbol, UnixNanos, Unknown};
use std::sync::Arc;

/// How far four decimals may lie from the number they stand for.
const HALF_STEP: f64 = 0.5001e-4;

pub(super) fn check(alert: &AlertRecord, group: &ClusterRecord, found: &mut Findings) {
    let deviation = window::check(alert, found).filter(|s| *s > 0.0);
    found.exact("sigma_daily", alert.sigma_daily, deviation);
    let params = params(&alert.entity.id, group, found);
    let members: Vec<MemberReading> = group.members.iter().filter_map(|m| member(m, found)).collect();
    let rising = group.members.windows(2).all(|pair| pair[0].symbol < pair[1].symbol);
    found.hold("cluster.members", rising, members.len(), "by symbol");
    let basket_sigma = deviation.ok_or(Unknown::Warming);
    let mut reading = read(&params, &members, basket_sigma);

    found.exact("log_return", alert.log_return, reading.basket_return.ok());
    found.exact("simple_return", alert.simple_return, reading.basket_return.ok().map(f64::exp_m1));
    found.rounded("z", alert.z, reading.basket_z.ok());
    found.exact("cluster.coverage", group.coverage, reading.coverage.ok());
    let partial = !reading.coverage.is_ok_and(|c| c >= 1.0);
    let flags: &[&str] = if partial { &["PARTIAL_COVERAGE"] } else { &[] };
    found.same("quality", &alert.quality.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), &flags);
    let change = reading.basket_return.is_ok().then(|| change_of(&members));
    found.exact("usd.market_value_change", alert.usd.as_ref().map(|u| u.market_value_change), change);
    if let Some(usd) = &alert.usd {
        found.exact("usd.shares", usd.shares, None);
        let is_good = alert.phase == Phase::Close || usd.basis == "provisional";
        found.hold("usd.basis", is_good, usd.basis.clone(), "provisional before the close");
    }
    found.same("groups", &alert.groups, &vec![alert.entity.id.clone()]);
    let absent = alert.z_adjusted.or(alert.survival).or(alert.price).or(alert.reference.as_ref().map(|r| r.price));
    found.exact("price", absent, None);
    found.hold("next_tiers", alert.next_tiers.is_empty(), alert.next_tiers.len(), "empty for a group");

    for (member, contribution) in group.members.iter().zip(contributions(&members)) {
        found.exact("cluster.members[].contribution", member.contribution, contribution.ok());
    }
    if group.levels.is_none() {
        composite::complete(group, &params, (&mut reading, &members), basket_sigma, found);
    }
    breaches(group, &params, &mut reading, found);
    legs(group, &params, &mut reading, found);
    life(alert, group, &params, (&reading, &members), found);
}

/// The bounds that the record was judged by.
fn params(name: &str, group: &ClusterRecord, found: &mut Findings) -> GroupParams {
    let verdict = match &group.levels {
        Some(levels) => {
            let names: Vec<&str> = levels.iter().map(|l| l.level.as_str()).collect();
            found.same("cluster.levels", &names.as_slice(), &["WATCH", "ALERT", "CRITICAL"].as_slice());
            Verdict::Bounds(levels.each_ref().map(|l| LevelBounds {
                basket_z: l.basket_z,
                rms_z: l.rms_z,
                members: l.members,
                legs: l.legs,
            }))
        }
        None => Verdict::Composite(Composite {
            universe: group.universe.as_ref().map_or("", |u| &u.name).into(),
            universe_members: Vec::new(),
            universe_largest: None,
            history: GroupHistory::default(),
        }),
    };
    GroupParams {
        name: Arc::from(name),
        members: Vec::new(),
        largest: None,
        verdict,
        index: None,
        losses: Arc::from([]),
        benchmark: None,
        benchmark_share: None,
        ease_after: 0,
        coverage_min: group.coverage_min,
        breach_at: group.breach_at,
    }
}

fn member(member: &MemberRecord, found: &mut Findings) -> Option<MemberReading> {
    let Ok(symbol) = Symbol::new(&member.symbol) else {
        found.differ("cluster.members[].symbol", member.symbol.clone(), "a symbol");
        return None;
    };
    Some(MemberReading {
        symbol,
        log_return: member.log_return.ok_or(Unknown::NotYet),
        // Rounded: what is made of it is compared to four decimals.
        z: member.z.ok_or(Unknown::NotYet),
        market_value: member.market_value,
        shares: None,
        basis: None,
        breached_at: member.breached_at.map(UnixNanos),
        source: None,
        fresh_until: UnixNanos::MAX,
    })
}

/// Members in breach, who was first, and their number.
fn breaches(group: &ClusterRecord, params: &GroupParams, reading: &mut Reading, found: &mut Findings) {
    let listed: Vec<&str> = group.initiator.iter().chain(&group.followers).map(String::as_str).collect();
    let at = rounded(params.breach_at);
    let in_breach = |m: &&MemberRecord| {
        // At the bound itself, four decimals do not tell the side.
        m.z.is_some_and(|z| z.abs() > at || (z.abs() >= at && listed.contains(&m.symbol.as_str())))
    };
    let mut expected: Vec<&MemberRecord> = group.members.iter().filter(in_breach).collect();
    let place = |m: &MemberRecord| listed.iter().position(|s| *s == m.symbol).unwrap_or(usize::MAX);
    // Between equals of four decimals the record has the word.
    expected.sort_by(|a, b| {
        let time = |m: &MemberRecord| m.breached_at.unwrap_or(i64::MAX);
        let size = |m: &MemberRecord| m.z.unwrap_or(0.0).abs();
        time(a).cmp(&time(b)).then(size(b).total_cmp(&size(a))).then(place(a).cmp(&place(b)))
    });
    let expected: Vec<&str> = expected.iter().map(|m| m.symbol.as_str()).collect();
    found.same("cluster.initiator", &listed.first(), &expected.first());
    found.same("cluster.followers", &listed, &expected);
    let broke = |symbol: &&str| group.members.iter().find(|m| m.symbol == **symbol)?.breached_at.map(UnixNanos);
    let first = listed.first().and_then(broke);
    let lags: Vec<Option<f64>> =
        group.followers.iter().map(|s| Some(seconds_between(first?, broke(&s.as_str())?))).collect();
    found.same("cluster.follower_lags_secs", &group.follower_lags_secs, &lags);
    if reading.members_in_breach.is_ok() {
        reading.members_in_breach = Ok(expected.len() as f64);
    }
}

/// Legs against the bounds of the level read; leaves the reading with the root mean square of the record.
fn legs(group: &ClusterRecord, params: &GroupParams, reading: &mut Reading, found: &mut Findings) {
    let shown = |legs: &[LegRecord]| legs.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    let level = Level::from_name(&group.level);
    let expected = reading.legs(params, level.unwrap_or(Level::Watch));
    let names: Vec<String> = expected.iter().map(|l| l.name.to_owned()).collect();
    found.same("cluster.legs", &shown(&group.legs), &names);
    for (leg, of) in group.legs.iter().zip(&expected) {
        let field = |part: &str| format!("cluster.legs.{}.{part}", of.name);
        found.exact(&field("threshold"), leg.threshold, of.threshold.ok());
        let (value, slack) = value_of(leg, of);
        found.exact(&field("value"), leg.value, value);
        let must = match of.threshold {
            Ok(threshold) if of.rank.is_none() && slack > 0.0 => {
                let clear = |v: f64| (v.abs() - threshold).abs() > slack;
                leg.value.map_or(Some(false), |v| clear(v).then_some(v.abs() >= threshold))
            }
            _ => Some(of.reached),
        };
        found.same(&field("reached"), &leg.reached, &must.unwrap_or(leg.reached));
        if of.name == "rms_z" {
            reading.rms_z = leg.value.ok_or(Unknown::NoWeights);
        }
    }
    let judged = |by: f64| {
        let moved = Reading { rms_z: reading.rms_z.map(|v| v + by), ..reading.clone() };
        moved.judge(params).map_or("UNKNOWN", Level::name)
    };
    // Where four decimals do not tell the side of a bound, either will do.
    let levels = [judged(0.0), judged(HALF_STEP), judged(-HALF_STEP)];
    found.hold("cluster.level", levels.contains(&group.level.as_str()), group.level.clone(), levels[0]);
}

/// What a leg's value must be, and how far from it a bound may be missed. The root mean square comes from members'
/// multiples of four decimals, so near it is good enough.
fn value_of(leg: &LegRecord, of: &Leg) -> (Option<f64>, f64) {
    let value = of.value.ok();
    if of.name != "rms_z" {
        return (value.map(|v| leg_value(of.name, v)), 0.0);
    }
    (near(leg.value, value), HALF_STEP)
}

/// A root mean square of multiples of four decimals: as it is told, where that is near enough.
pub(super) fn near(told: Option<f64>, value: Option<f64>) -> Option<f64> {
    let is_near = told.zip(value).is_some_and(|(a, b)| (a - b).abs() <= 2.0 * HALF_STEP);
    if is_near { told } else { value.map(rounded) }
}

/// The level held, the direction and the sentence.
fn life(
    alert: &AlertRecord,
    group: &ClusterRecord,
    params: &GroupParams,
    (reading, members): (&Reading, &[MemberReading]),
    found: &mut Findings,
) {
    // Exact, or no level.
    let held = (1..=3_u8).find(|n| f64::from(*n).to_bits() == alert.tier.to_bits()).and_then(Level::from_number);
    found.same("rule.tiers", &alert.rule.tiers.as_slice(), &Level::TIERS.as_slice());
    found.same("severity", &alert.severity.as_str(), &held.map_or("", Level::name));
    let read = Level::from_name(&group.level);
    let follows = matches!(
        alert.kind,
        AlertKind::Open | AlertKind::Escalate | AlertKind::Update | AlertKind::Deescalate | AlertKind::Confirm
    );
    if follows {
        found.same("tier", &held.map_or("", Level::name), &read.map_or("UNKNOWN", Level::name));
    }
    let begins = alert.revision == 0;
    if begins {
        found.exact("peak_tier", Some(alert.peak_tier), Some(alert.tier));
        found.same("direction", &alert.direction.name(), &direction_of(reading, members).name());
    }
    if alert.state == AlertState::Expired {
        found.same("cluster.level", &group.level.as_str(), &"UNKNOWN");
    }
    let sentence = GroupSentence {
        name: &alert.entity.id,
        kind: alert.kind,
        state: alert.state,
        held: held.map_or("", Level::name),
        now: &group.level,
        session: alert.session,
        basket_return: reading.basket_return.ok(),
        in_breach: reading.members_in_breach.ok(),
        members: group.members.len(),
        breach_at: group.breach_at,
        first: group.initiator.as_deref(),
        legs: reading.legs_at(params),
    };
    found.same("summary", &alert.summary, &sentence.to_string());
}
