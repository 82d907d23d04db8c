//! Groups as metrics.

use crate::cluster::GroupView;
use crate::domain::Reading;
use crate::engine::Breadth;
use crate::telemetry::Metrics;

fn number(reading: Reading) -> f64 {
    reading.unwrap_or(f64::NAN)
}

/// Sets the gauges of all groups: those of a group, a member or a leg that is not told any more go.
pub(super) fn set(m: &Metrics, clusters: &[GroupView], breadth: Option<&Breadth>) {
    let mut level = m.cluster_level.round();
    let mut coverage = m.cluster_coverage.round();
    let mut basket = m.cluster_return.round();
    let mut member_z = m.cluster_member_z.round();
    let mut benchmark_z = m.cluster_benchmark_z.round();
    let mut percentile = m.cluster_leg_percentile.round();
    let mut index = m.index.round();
    let mut breadths = m.breadth.round();
    for group in clusters {
        if group.is_judged {
            level.set(&[&group.name], f64::from(group.level_number));
            for (symbol, z) in &group.members {
                member_z.set(&[&group.name, symbol.as_str()], number(*z));
            }
        }
        coverage.set(&[&group.name], number(group.coverage));
        basket.set(&[&group.name], number(group.basket_return.map(f64::exp_m1)));
        if let Some((symbol, z)) = &group.benchmark {
            benchmark_z.set(&[&group.name, symbol.as_str()], number(*z));
        }
        for leg in group.legs.iter().filter(|l| l.rank.is_some()) {
            let rank = leg.rank.and_then(Result::ok).map_or(f64::NAN, |r| r.percentile());
            percentile.set(&[&*group.name, leg.name], rank);
        }
        if let Some(year) = &group.index {
            index.set(&[&*year.universe], year.index);
        }
        let share = |part: u32| {
            if group.breadth.valid > 0 { f64::from(part) / f64::from(group.breadth.valid) } else { f64::NAN }
        };
        breadths.set(&[&*group.name, "up"], share(group.breadth.up));
        breadths.set(&[&*group.name, "down"], share(group.breadth.down));
    }
    if let Some(all) = breadth {
        let valid = f64::from(all.valid.max(1));
        breadths.set(&["all", "up"], f64::from(all.up) / valid);
        breadths.set(&["all", "down"], f64::from(all.down) / valid);
    }
    set_surfaces(m, clusters);
    set_contagion(m, clusters);
    set_derived(m, clusters);
}

fn set_surfaces(m: &Metrics, clusters: &[GroupView]) {
    let (mut sigmas, mut calm) = (m.surface_sigma.round(), m.calm_surface.round());
    let mut correlation = m.correlation.round();
    for (group, surface) in clusters.iter().filter_map(|g| Some((&*g.name, g.surface.as_ref()?))) {
        for window in &surface.windows {
            let sessions = window.sessions.to_string();
            for (of, sigma) in [("index", window.index_sigma), ("stocks", window.stock_sigma)] {
                sigmas.set(&[group, of, &sessions], number(sigma));
            }
            calm.set(&[group, &sessions], window.is_calm.map_or(-1.0, f64::from));
            correlation.set(&[group, &format!("implied_{sessions}")], number(window.implied_correlation));
        }
        correlation.set(&[group, "mean_pairwise"], number(surface.mean_correlation));
        correlation.set(&[group, "absorption"], number(surface.absorption_ratio));
    }
}

fn set_contagion(m: &Metrics, clusters: &[GroupView]) {
    let (mut lifts, mut excitations) = (m.contagion_lift.round(), m.excitation.round());
    let mut branching = m.branching.round();
    for (group, contagion) in clusters.iter().filter_map(|g| Some((&*g.name, g.contagion.as_ref()?))) {
        for (of, lift) in [("all", contagion.lift), ("others", contagion.others_lift)] {
            lifts.set(&[group, of], number(lift.and_then(|l| l.lift)));
        }
        let excitation = contagion.excitation.as_ref().ok();
        for (kind, reading) in [("members", excitation.map(|e| e.members)), ("others", excitation.map(|e| e.others))] {
            excitations.set(&[group, kind], reading.map_or(f64::NAN, |r| r.ratio));
        }
        if let Some(excitation) = excitation {
            branching.set(&[group, excitation.label], excitation.branching_ratio);
        }
    }
}

fn set_derived(m: &Metrics, clusters: &[GroupView]) {
    let (mut parts, mut own) = (m.contribution.round(), m.idiosyncratic.round());
    let (mut spread, mut asymmetry) = (m.leg_spread.round(), m.trend_asymmetry.round());
    for (group, derived) in clusters.iter().filter_map(|g| Some((&*g.name, g.derived.as_ref()?))) {
        let of_index = derived.benchmark_share.map(|_| &derived.contributions.lines);
        for line in of_index.into_iter().flatten() {
            parts.set(&[group, line.symbol.as_str()], number(line.contribution));
        }
        for (symbol, reading) in &derived.idiosyncratic {
            own.set(&[group, symbol.as_str()], reading.as_ref().map_or(f64::NAN, |own| own.z));
        }
        if let Some(legs) = &derived.volatility_legs {
            spread.set(&[group], number(legs.spread));
        }
        if let Some(trend) = &derived.trend {
            asymmetry.set(&[group], trend.asymmetry.unwrap_or(f64::NAN));
        }
    }
}
