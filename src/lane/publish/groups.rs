//! Groups as metrics.

use crate::cluster::derived::DerivedView;
use crate::cluster::{ContagionView, GroupView, SurfaceView};
use crate::domain::Reading;
use crate::telemetry::Metrics;

fn number(reading: Reading) -> f64 {
    reading.unwrap_or(f64::NAN)
}

/// Sets the gauges of all groups.
pub(super) fn set(m: &Metrics, clusters: &[GroupView]) {
    // Members come and go, and parameters become fitted.
    m.branching.reset();
    m.contribution.reset();
    m.idiosyncratic.reset();
    for group in clusters {
        if group.is_judged {
            m.cluster_level.with_label_values(&[&group.name]).set(f64::from(group.level_number));
        }
        for leg in group.legs.iter().filter(|l| l.rank.is_some()) {
            let percentile = leg.rank.and_then(Result::ok).map_or(f64::NAN, |r| r.percentile());
            m.cluster_leg_percentile.with_label_values(&[&*group.name, leg.name]).set(percentile);
        }
        if let Some(index) = &group.index {
            m.index.with_label_values(&[&*index.universe]).set(index.index);
        }
        if let Some(surface) = &group.surface {
            set_surface(m, &group.name, surface);
        }
        if let Some(contagion) = &group.contagion {
            set_contagion(m, &group.name, contagion);
        }
        if let Some(derived) = &group.derived {
            set_derived(m, &group.name, derived);
        }
        let share = |part: u32| {
            if group.breadth.valid > 0 { f64::from(part) / f64::from(group.breadth.valid) } else { f64::NAN }
        };
        m.breadth.with_label_values(&[&*group.name, "up"]).set(share(group.breadth.up));
        m.breadth.with_label_values(&[&*group.name, "down"]).set(share(group.breadth.down));
    }
}

fn set_surface(m: &Metrics, group: &str, surface: &SurfaceView) {
    for window in &surface.windows {
        let sessions = window.sessions.to_string();
        for (of, sigma) in [("index", window.index_sigma), ("stocks", window.stock_sigma)] {
            m.surface_sigma.with_label_values(&[group, of, &sessions]).set(number(sigma));
        }
        m.calm_surface.with_label_values(&[group, &sessions]).set(window.is_calm.map_or(-1.0, f64::from));
        let measure = format!("implied_{sessions}");
        m.correlation.with_label_values(&[group, &measure]).set(number(window.implied_correlation));
    }
    m.correlation.with_label_values(&[group, "mean_pairwise"]).set(number(surface.mean_correlation));
    m.correlation.with_label_values(&[group, "absorption"]).set(number(surface.absorption_ratio));
}

fn set_contagion(m: &Metrics, group: &str, contagion: &ContagionView) {
    for (of, lift) in [("all", contagion.lift), ("others", contagion.others_lift)] {
        m.contagion_lift.with_label_values(&[group, of]).set(number(lift.and_then(|l| l.lift)));
    }
    let excitation = contagion.excitation.as_ref().ok();
    for (kind, reading) in [("members", excitation.map(|e| e.members)), ("others", excitation.map(|e| e.others))] {
        m.excitation.with_label_values(&[group, kind]).set(reading.map_or(f64::NAN, |r| r.ratio));
    }
    if let Some(excitation) = excitation {
        m.branching.with_label_values(&[group, excitation.label]).set(excitation.branching_ratio);
    }
}

fn set_derived(m: &Metrics, group: &str, derived: &DerivedView) {
    for line in &derived.contributions.lines {
        m.contribution.with_label_values(&[group, line.symbol.as_str()]).set(number(line.contribution));
    }
    for (symbol, own) in &derived.idiosyncratic {
        let z = own.as_ref().map_or(f64::NAN, |own| own.z);
        m.idiosyncratic.with_label_values(&[group, symbol.as_str()]).set(z);
    }
    if let Some(legs) = &derived.volatility_legs {
        m.leg_spread.with_label_values(&[group]).set(number(legs.spread));
    }
    if let Some(trend) = &derived.trend {
        m.trend_asymmetry.with_label_values(&[group]).set(trend.asymmetry.unwrap_or(f64::NAN));
    }
}
