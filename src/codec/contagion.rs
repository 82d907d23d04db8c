//! Contagion of a group as reports and the API show it: what is not known is null.

use crate::cluster::{
    BroadShare, ConditionalLift, ContagionView, ExcitationReading, FollowThrough, Follower, Forecast, KindReading,
    LAG_MINUTES, LagCounts, LeadLag, Scored,
};
use crate::domain::Unknown;
use crate::estimators::FitRefusal;
use serde_json::{Value, json};

/// How shocks of a group and of those around it go together.
pub(crate) fn contagion_json(view: &ContagionView) -> Value {
    json!({
        "session": view.session.map(|s| s.to_string()),
        "lift": known(&view.lift, lift_json),
        "lift_of_others": known(&view.others_lift, lift_json),
        "follow_through": follow_json(&view.follow_through),
        "lead_lag": known(&view.lead_lag, lead_json),
        "lags": lags_json(&view.lags),
        "excitation": known(&view.excitation, excitation_json),
    })
}

fn known<T>(view: &Result<T, Unknown>, json: impl Fn(&T) -> Value) -> Value {
    view.as_ref().map_or_else(|reason| json!({"unknown": reason.name()}), json)
}

fn lift_json(l: &ConditionalLift) -> Value {
    let share = |s: &BroadShare| json!({"sessions": s.sessions, "broad": s.broad, "probability": s.probability, "interval": s.interval});
    json!({"lift": l.lift.ok(), "breach": share(&l.breach), "none": share(&l.none)})
}

fn follow_json(f: &FollowThrough) -> Value {
    let forecast = |f: &Forecast| {
        json!({
            "session": f.session.to_string(),
            "breadth": f.breadth,
            "broad_probability": f.broad_probability,
            "base_breadth": f.base_breadth,
            "base_probability": f.base_probability,
        })
    };
    let scored = |s: &Scored| json!({"forecast": forecast(&s.forecast), "breadth": s.breadth});
    json!({
        "followed": f.followed,
        "open": f.open.as_ref().map(forecast),
        "scored": f.scored,
        "lapsed": f.lapsed,
        "absolute_error": f.absolute_error.ok(),
        "base_absolute_error": f.base_absolute_error.ok(),
        "brier": f.brier.ok(),
        "base_brier": f.base_brier.ok(),
        "newest": f.newest.iter().map(scored).collect::<Vec<_>>(),
    })
}

fn lead_json(l: &LeadLag) -> Value {
    let follower = |f: &Follower| json!({"symbol": f.symbol.as_str(), "is_member": f.is_member, "lag_secs": f.lag_secs, "z": f.z.ok()});
    json!({
        "began_at": l.began_at.0,
        "initiator": l.initiator.as_ref().map(|s| s.as_str().to_owned()),
        "simultaneous": l.simultaneous.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>(),
        "preceded_by": l.preceded_by,
        "followers": l.followers.iter().map(follower).collect::<Vec<_>>(),
        "lags": lags_json(&l.lags),
    })
}

fn lags_json(lags: &LagCounts) -> Value {
    json!({"bounds_minutes": LAG_MINUTES, "counts": lags.0, "shares": lags.shares()})
}

/// With the label that says whether anything was fitted.
fn excitation_json(e: &ExcitationReading) -> Value {
    let kind = |k: &KindReading| json!({"mu": k.mu, "intensity": k.intensity, "ratio": k.ratio, "endogenous_share": k.endogenous_share});
    json!({
        "label": e.label,
        "refused": e.refused.map(FitRefusal::name),
        "events": e.events,
        "minutes": e.minutes,
        "time_constant_minutes": e.time_constant_minutes,
        "branching_ratio": e.branching_ratio,
        "offspring": e.offspring,
        "members": kind(&e.members),
        "others": kind(&e.others),
    })
}
