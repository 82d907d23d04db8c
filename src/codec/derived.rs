//! The derived views of a group as reports and the API show them: what is not known is null.

use crate::cluster::derived::{
    Anchor, CoExceedance, DerivedView, IndexContributions, LegSide, StandingLine, StandingsView, VolatilityLegsView,
};
use crate::domain::{Reading, Unknown};
use crate::estimators::{TrendScenario, TrendSignalView, TrendTrigger, TrendView};
use serde_json::{Map, Value, json};

/// The derived views.
pub(crate) fn derived_json(view: &DerivedView) -> Value {
    let own = view.idiosyncratic.iter().map(|(symbol, z)| {
        let known = |z: &crate::cluster::derived::IdiosyncraticZ| {
            json!({"z": z.z, "beta": z.beta, "residual": z.residual, "sigma": z.sigma, "returns": z.returns})
        };
        (symbol.to_string(), z.as_ref().map_or_else(|reason| json!({"unknown": reason.name()}), known))
    });
    json!({
        "contributions": contributions_json(&view.contributions, view.benchmark_share),
        "standings": view.standings.iter().map(standings_json).collect::<Vec<_>>(),
        "idiosyncratic": own.collect::<Map<String, Value>>(),
        "co_exceedance": co_exceedance_json(view.co_exceedance),
        "volatility_legs": view.volatility_legs.as_ref().map(legs_json),
        "trend": view.trend.as_ref().map(trend_json),
    })
}

/// Why a reading is not known.
fn reason(reading: Reading) -> Option<&'static str> {
    reading.err().map(Unknown::name)
}

/// Of the index where the group's share of it is known, else of the group: then there is nothing to compare the sum with.
fn contributions_json(c: &IndexContributions, benchmark_share: Option<f64>) -> Value {
    let of_index = |reading: Reading| benchmark_share.and(reading.ok());
    let line = |l: &crate::cluster::derived::ContributionLine| {
        (
            l.symbol.to_string(),
            json!({"weight": l.weight.ok(), "contribution": l.contribution.ok(), "share": l.share.ok()}),
        )
    };
    json!({
        "members": c.lines.iter().map(line).collect::<Map<String, Value>>(),
        "coverage": c.coverage.ok(),
        "sum": c.sum.ok(),
        "of": if benchmark_share.is_some() { "index" } else { "group" },
        "benchmark_share": benchmark_share,
        "benchmark": of_index(c.benchmark),
        "residual": of_index(c.residual),
        "benchmark_without": of_index(c.of(|_| true).index_without),
        "concentration": c.concentration.ok(),
        "unknown": reason(c.sum).or_else(|| benchmark_share.and(reason(c.benchmark))),
    })
}

fn standings_json(s: &StandingsView) -> Value {
    let line = |l: &StandingLine| {
        let class = l.standing.map(crate::cluster::derived::Standing::name);
        let excess = l.excess.ok();
        (l.symbol.to_string(), json!({"return": l.simple_return.ok(), "excess": excess, "class": class.ok()}))
    };
    let anchor = match s.params.anchor {
        Anchor::Year => "year".to_owned(),
        Anchor::Trailing(sessions) => format!("trailing_{sessions}"),
        Anchor::Since(date) => format!("since_{date}"),
    };
    json!({
        "anchor": anchor,
        "from": s.from.map(|d| d.to_string()),
        "as_of": s.as_of.to_string(),
        "sessions": s.sessions,
        "threshold": s.params.threshold,
        "hysteresis": s.params.hysteresis,
        "benchmark": s.benchmark.ok(),
        "engines": s.engines,
        "drags": s.drags,
        "members": s.lines.iter().map(line).collect::<Map<String, Value>>(),
        "unknown": reason(s.benchmark),
    })
}

fn co_exceedance_json(c: CoExceedance) -> Value {
    json!({"as_of": c.as_of.to_string(), "lower": c.lower, "upper": c.upper, "valid": c.valid})
}

fn legs_json(l: &VolatilityLegsView) -> Value {
    let side = |side: &LegSide| {
        json!({
            "return": side.simple_return.ok(),
            "drawdown": side.drawdown.ok(),
            "holdings": side.holdings.iter().map(|(s, share)| (s.to_string(), json!(share))).collect::<Map<_, _>>(),
        })
    };
    json!({
        "from": l.from.map(|d| d.to_string()),
        "as_of": l.as_of.to_string(),
        "sorted": l.sorted.map(|d| d.to_string()),
        "ranked": l.ranked,
        "low": side(&l.low),
        "high": side(&l.high),
        "spread": l.spread.ok(),
        "unknown": reason(l.spread),
    })
}

/// The trend follower, with everything that it assumes.
fn trend_json(t: &TrendView) -> Value {
    let trigger = |t: &TrendTrigger| {
        let pair = t.pair.map(|(fast, slow)| [fast, slow]);
        let (level, unknown) = t.level.map_or_else(|reason| (None, Some(reason.name())), |level| (level, None));
        json!({"sessions": t.sessions, "pair": pair, "level": level, "unknown": unknown})
    };
    let signal = |s: &TrendSignalView| {
        json!({
            "signal": s.signal.name(),
            "value": s.value.ok(),
            "position_usd": s.position.ok(),
            "triggers": s.triggers.iter().map(trigger).collect::<Vec<_>>(),
            "unknown": reason(s.value),
        })
    };
    let scenario = |s: &TrendScenario| {
        let flow = json!({"end_level": s.end_price.ok(), "position_usd": s.position.ok(), "flow_usd": s.flow.ok()});
        (s.path.name().to_owned(), flow)
    };
    json!({
        "as_of": t.as_of.to_string(),
        "assumptions": {
            "kappa_usd": t.params.kappa_usd,
            "kappa_error": t.params.kappa_error,
            "target_volatility": t.params.target_volatility,
            "leverage_cap": t.params.leverage_cap,
            "horizon_sessions": t.params.horizon,
            "path_sigmas": t.params.path_sigmas,
        },
        "closes": t.closes,
        "volatility": t.volatility.ok(),
        "leverage": t.leverage.ok(),
        "signals_known": t.known,
        "signals": t.signals.iter().map(signal).collect::<Vec<_>>(),
        "position_usd": t.position.ok(),
        "scenarios": t.scenarios.iter().map(scenario).collect::<Map<_, _>>(),
        "asymmetry": t.asymmetry,
        "unknown": reason(t.position),
    })
}
