//! What a group's alert says of a level from percentiles.

use super::cluster::near;
use super::findings::Findings;
use crate::cluster::{
    GroupParams, LEG_NAMES, MemberReading, OBSERVATIONS_MIN, Reading, UniverseReading, magnitude, read, read_universe,
};
use crate::codec::{ClusterRecord, LegRecord, SecurityRecord, TurbulenceRecord, UniverseRecord, leg_value, rounded};
use crate::domain::{self, LegRank, Symbol, UnixNanos, Unknown};
use crate::estimators::{ShrunkCovariance, Turbulence};

/// Puts turbulence, universe and ranks into a reading of the members, and checks what else is said of them.
pub(super) fn complete(
    group: &ClusterRecord,
    params: &GroupParams,
    (reading, members): (&mut Reading, &[MemberReading]),
    basket_sigma: domain::Reading,
    found: &mut Findings,
) {
    found.hold("cluster.universe", group.universe.is_some(), group.universe.is_some(), "there, without levels");
    let usual = group.turbulence.as_ref().and_then(usual_of);
    let told = group.legs.iter().find(|l| l.name == "turbulence").and_then(|l| l.value);
    reading.turbulence = turbulence(usual.as_ref(), members, &[]).or_else(|gap| {
        // Told without what it was measured by.
        told.map(|value| Turbulence { value, magnitude: f64::NAN }).ok_or(gap)
    });
    if let (Some(t), Ok(of)) = (&group.turbulence, reading.turbulence) {
        found.exact("cluster.turbulence.magnitude", Some(t.magnitude), Some(of.magnitude));
        let surprise = of.correlation_surprise();
        found.exact("cluster.turbulence.correlation_surprise", t.correlation_surprise, surprise);
    }
    let securities: Vec<MemberReading> =
        group.universe.iter().flat_map(|u| &u.securities).filter_map(security).collect();
    let mut universe = universe(&securities, &[], params);
    let counted = universe.tally.events();
    if let Some(said) = &group.universe {
        check_universe(said, params, &mut universe, found);
    }
    let is_counted = counted == universe.tally.events();
    reading.universe = Some(universe);
    let values = reading.values();
    reading.ranks = std::array::from_fn(|at| {
        let leg = group.legs.get(at).ok_or(Unknown::NotComputed)?;
        check_rank(leg, found);
        values[at]?;
        rank_of(leg).ok_or(Unknown::ShortHistory)
    });
    reading.level = reading.judge(params);
    for without in &group.without {
        let field = |part: &str| format!("cluster.counterfactual.{}.{part}", without.symbol);
        let classes = group.members.iter().find(|m| m.symbol == without.symbol).map(|m| m.classes.clone());
        let gone = classes.filter(|c| !c.is_empty()).unwrap_or_else(|| vec![without.symbol.clone()]);
        let others: Vec<MemberReading> =
            members.iter().filter(|m| m.symbol.as_str() != without.symbol).cloned().collect();
        let mut of = read(params, &others, basket_sigma);
        of.turbulence = of.basket_return.and_then(|_| turbulence(usual.as_ref(), members, &gone));
        of.universe = Some(self::universe(&securities, &gone, params));
        found.exact(&field("basket_return"), without.basket_return, of.basket_return.ok());
        for (name, value) in LEG_NAMES.into_iter().zip(of.values()) {
            let said = without.legs.get(name).copied().flatten();
            let value = match name {
                "rms_z" => near(said, value.ok()),
                // Where four decimals do not tell the side of the bound, the record has the word.
                "breadth" if !is_counted => said,
                _ => value.ok().map(|v| leg_value(name, v)),
            };
            found.exact(&field(&format!("legs.{name}")), said, value);
        }
    }
}

fn usual_of(told: &TurbulenceRecord) -> Option<ShrunkCovariance> {
    let n = told.mean.len();
    let at = |i: usize, j: usize| told.covariance.get(i.max(j) * (i.max(j) + 1) / 2 + i.min(j)).copied();
    let matrix: Option<Vec<f64>> = (0..n * n).map(|k| at(k / n, k % n)).collect();
    ShrunkCovariance::new(told.mean.clone(), matrix?)
}

/// The turbulence of the members with a known return, without some.
fn turbulence(
    usual: Option<&ShrunkCovariance>,
    members: &[MemberReading],
    gone: &[String],
) -> Result<Turbulence, Unknown> {
    let known: Vec<&MemberReading> = members.iter().filter(|m| m.log_return.is_ok()).collect();
    let is_left = |m: &MemberReading| !gone.iter().any(|g| m.symbol.as_str() == g.as_str());
    let places: Vec<usize> = (0..known.len()).filter(|at| is_left(known[*at])).collect();
    let usual = usual.filter(|u| u.mean().len() == known.len()).ok_or(Unknown::NotComputed)?;
    let returns: Vec<f64> = places.iter().filter_map(|at| known[*at].log_return.ok()).collect();
    usual.of(&places).turbulence(&returns).ok_or(Unknown::InsufficientVariance)
}

fn security(line: &SecurityRecord) -> Option<MemberReading> {
    Some(MemberReading {
        symbol: Symbol::new(&line.symbol).ok()?,
        log_return: line.log_return.ok_or(Unknown::NotYet),
        z: line.z.ok_or(Unknown::NotYet),
        market_value: line.market_value,
        shares: None,
        basis: None,
        breached_at: None,
        source: None,
        fresh_until: UnixNanos::MAX,
    })
}

fn universe(lines: &[MemberReading], gone: &[String], params: &GroupParams) -> UniverseReading {
    let left = lines.iter().filter(|l| !gone.iter().any(|g| l.symbol.as_str() == g.as_str())).cloned().collect();
    read_universe(left, |_| None, rounded(params.breach_at), params.coverage_min)
}

/// Counts of the universe; where four decimals do not tell the side of the bound, the record has the word.
fn check_universe(said: &UniverseRecord, params: &GroupParams, universe: &mut UniverseReading, found: &mut Findings) {
    let rising = said.securities.windows(2).all(|pair| pair[0].symbol < pair[1].symbol);
    found.hold("cluster.universe.securities", rising, said.securities.len(), "by symbol");
    let tally = &mut universe.tally;
    found.same("cluster.universe.count", &said.count, &tally.count);
    found.same("cluster.universe.valid", &said.valid, &tally.valid);
    let at = rounded(params.breach_at);
    let on_bound = |side: f64| {
        said.securities.iter().filter(|s| s.z.is_some_and(|z| (z * side).to_bits() == at.to_bits())).count()
    };
    for (name, said, read, side) in [("up", said.up, &mut tally.up, 1.0), ("down", said.down, &mut tally.down, -1.0)] {
        let least = read.saturating_sub(u32::try_from(on_bound(side)).unwrap_or(0));
        found.hold(&format!("cluster.universe.{name}"), (least..=*read).contains(&said), said, *read);
        *read = said;
    }
    if universe.breadth.is_ok()
        && let Some(ratio) = universe.tally.ratio()
    {
        universe.breadth = Ok(ratio);
    }
}

/// The percentile of a leg, and on which side of its bounds the value lies.
fn check_rank(leg: &LegRecord, found: &mut Findings) {
    let field = |part: &str| format!("cluster.legs.{}.{part}", leg.name);
    let rank = rank_of(leg);
    found.exact(&field("percentile"), leg.percentile, rank.map(|r| r.percentile()));
    let (Some(rank), Some(value)) = (rank, leg.value) else { return };
    let enough = usize::try_from(rank.observations).is_ok_and(|n| n >= OBSERVATIONS_MIN);
    found.hold(&field("rank.observations"), enough, rank.observations, "at least 252");
    let fits = u64::from(rank.below) + u64::from(rank.equal) <= u64::from(rank.observations);
    found.hold(&field("rank.below"), fits, rank.below, "at most all of the observations, with those equal");
    let slack = if leg.name.ends_with("_z") { 1e-4 } else { 0.0 };
    let value = magnitude(LEG_NAMES.iter().position(|n| *n == leg.name).unwrap_or(usize::MAX), value);
    for (name, bound, percentile) in [("threshold", rank.bounds[0], 0.95), ("rank.p99", rank.bounds[1], 0.99)] {
        let is_beyond = rank.percentile() >= percentile;
        let holds = if is_beyond { value >= bound - slack } else { value <= bound + slack };
        found.hold(&field(name), holds, bound, "on the side of the value that the percentile tells");
    }
}

fn rank_of(leg: &LegRecord) -> Option<LegRank> {
    let rank = leg.rank?;
    let (below, equal, observations) = (rank.below, rank.equal, rank.observations);
    Some(LegRank { below, equal, observations, bounds: [leg.threshold?, rank.p99] })
}
