//! Identity, life and naming of an alert: what holds of symbols and groups alike.

use super::findings::Findings;
use crate::codec::AlertRecord;
use crate::domain::{AlertKind, AlertState, RULE_CLUSTER, RULE_SYMBOL, alert_id_of};
use crate::estimators::SURVIVAL_MODEL;

pub(super) fn check(alert: &AlertRecord, found: &mut Findings) {
    let (entity, rule) = (&alert.entity, &alert.rule);
    let id = alert_id_of(
        (&rule.id, rule.version),
        (&entity.r#type, &entity.id),
        alert.session,
        alert.direction,
        alert.episode,
    );
    found.same("alert_id", &alert.alert_id, &id.hyphenated().to_string());
    let (kind, of) = if alert.cluster.is_some() { ("cluster", RULE_CLUSTER) } else { ("symbol", RULE_SYMBOL) };
    found.same("entity.type", &entity.r#type.as_str(), &kind);
    found.same("rule.id", &rule.id.as_str(), &of);
    found.same("mode", &alert.mode.as_str(), &"bofa21");
    found.same("survival_model", &alert.survival_model.as_str(), &SURVIVAL_MODEL);
    found.hold("groups", alert.groups.is_sorted(), alert.groups.clone(), "sorted");
    found.hold("quality", alert.quality.is_sorted(), alert.quality.clone(), "sorted");
    life(alert, found);
    tiers(alert, found);
    gaps(alert, found);
}

/// Which states a kind may leave behind, and where in its alert a record may stand.
fn life(alert: &AlertRecord, found: &mut Findings) {
    use AlertKind::{Close, Confirm, Correct, Deescalate, Escalate, Fade, Open, Retract, Update};
    use AlertState::{Confirmed, Expired, Faded, Provisional, Retracted};
    let states: &[AlertState] = match alert.kind {
        // An episode that comes to light after the close has its verdict at once.
        Open | Correct => &[Provisional, Confirmed, Faded],
        Escalate | Update | Deescalate => &[Provisional],
        Close => &[Provisional, Expired],
        Confirm => &[Confirmed],
        Fade => &[Faded],
        Retract => &[Retracted],
    };
    let names: Vec<&str> = states.iter().map(|s| s.name()).collect();
    let kind = alert.kind.name();
    found.hold(
        "state",
        states.contains(&alert.state),
        alert.state.name(),
        format!("{} for {kind}", names.join(" or ")),
    );
    let is_first = match alert.kind {
        Open => alert.revision == 0,
        // A breach first seen at the close is one record.
        Confirm => true,
        _ => alert.revision > 0,
    };
    found.hold("revision", is_first, alert.revision, if alert.kind == Open { "0 for open" } else { "above 0" });
    let least = u64::from(alert.revision) + 1;
    found.hold("sequence", alert.sequence >= least, alert.sequence, format!("at least {least}"));
    found.hold("episode", alert.episode >= 1, alert.episode, "at least 1");
}

fn tiers(alert: &AlertRecord, found: &mut Findings) {
    let tiers = &alert.rule.tiers;
    let rising = tiers.first().is_some_and(|t| *t > 0.0) && tiers.windows(2).all(|pair| pair[0] < pair[1]);
    found.hold("rule.tiers", rising, tiers.clone(), "ascending, above 0");
    let one_of = format!("one of {tiers:?}");
    found.hold("tier", tiers.contains(&alert.tier), alert.tier, &one_of);
    let peak = alert.peak_tier;
    found.hold("peak_tier", tiers.contains(&peak), peak, &one_of);
    found.hold("peak_tier", peak >= alert.tier, peak, format!("at least {}", alert.tier));
    // Both come with a peak that is the tier held.
    if alert.kind == AlertKind::Escalate {
        found.exact("peak_tier", Some(peak), Some(alert.tier));
    }
}

/// What is null has its reason, and what is not has none.
fn gaps(alert: &AlertRecord, found: &mut Findings) {
    let null = [
        ("session", alert.session.is_none()),
        ("z", alert.z.is_none()),
        ("z_adjusted", alert.z_adjusted.is_none()),
        ("ruler", alert.ruler.is_none()),
        ("windows", alert.windows.is_none()),
        ("survival", alert.survival.is_none()),
        ("sigma_daily", alert.sigma_daily.is_none()),
        ("window", alert.window.is_none()),
        ("modes", alert.modes.is_none()),
        ("realized", alert.realized.is_none()),
        ("log_return", alert.log_return.is_none()),
        ("simple_return", alert.simple_return.is_none()),
        ("price", alert.price.is_none()),
        ("reference", alert.reference.is_none()),
        ("gap", alert.gap.is_none()),
        ("evidence", alert.evidence.is_none()),
        ("usd", alert.usd.is_none()),
    ];
    for (field, is_null) in null {
        let reason = alert.unknown.get(field);
        let must = if is_null { "a reason, since the field is null" } else { "none, since the field is known" };
        found.hold(&format!("unknown.{field}"), is_null == reason.is_some(), reason.cloned(), must);
    }
}
