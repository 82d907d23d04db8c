//! The arithmetic of a symbol's alert.

use super::findings::Findings;
use super::window;
use crate::codec::{AlertRecord, NextTierRecord};
use crate::domain::{AlertKind, AlertState, Phase, Unknown};
use crate::engine::{Sentence, severity};
use crate::estimators::{
    JumpThreshold, Mode, RETURNS_PER_SESSION, WINDOW, WINDOW_SECS, log_multiple, mad_sigma, normal_upper_tail,
    survival, threshold_price, zero_mean_sigma,
};
use crate::market::Sigma;

/// Level of the jump statistic; probabilities do not depend on it.
const LEVEL: f64 = 0.01;

pub(super) fn check(alert: &AlertRecord, found: &mut Findings) {
    let is_desk = alert.reference.as_ref().is_some_and(|r| r.basis == "desk");
    let deviation = window::check(alert, found);
    let sigma = if is_desk {
        found.hold("evidence", alert.evidence.is_none(), "known", "null with a desk's own reference");
        alert.sigma_daily.map(Sigma::Known)
    } else {
        found.exact("sigma_daily", alert.sigma_daily, deviation);
        deviation.map(|s| Sigma::of_window(s, alert.reference.as_ref().map(|r| r.price)))
    };
    let sigma = sigma.and_then(Sigma::usable);
    let z = moves(alert, sigma, found);
    time_of_day(alert, z, found);
    modes(alert, is_desk, found);
    realized(alert, found);
    tiers(alert, z, sigma, found);
    gap(alert, found);
    usd(alert, found);
    quality(alert, is_desk, found);
    let reference = alert.reference.as_ref();
    let sentence = Sentence {
        id: &alert.entity.id,
        kind: alert.kind,
        state: alert.state,
        tier: alert.tier,
        z,
        simple_return: alert.simple_return,
        price: alert.price,
        reference: reference.map(|r| r.price),
        session: alert.session,
        suspected_split: alert.suspected_split,
    };
    found.same("summary", &alert.summary, &sentence.to_string());
}

/// Returns and multiple; gives the multiple unrounded.
fn moves(alert: &AlertRecord, sigma: Option<f64>, found: &mut Findings) -> Option<f64> {
    let both = alert.price.zip(alert.reference.as_ref().map(|r| r.price));
    for (field, price) in [("price", alert.price), ("reference.price", both.map(|b| b.1))] {
        found.hold(field, price.is_none_or(|p| p > 0.0), price, "above 0");
    }
    found.exact("log_return", alert.log_return, both.map(|(price, reference)| (price / reference).ln()));
    found.exact("simple_return", alert.simple_return, both.map(|(price, reference)| price / reference - 1.0));
    let z = both.zip(sigma).map(|((price, reference), sigma)| log_multiple(price, reference, sigma));
    found.rounded("z", alert.z, z);
    z
}

/// What the ruler makes of the multiple.
fn time_of_day(alert: &AlertRecord, z: Option<f64>, found: &mut Findings) {
    let elapsed = alert.ruler.as_ref().map(|r| r.elapsed);
    found.rounded("z_adjusted", alert.z_adjusted, z.zip(elapsed).map(|(z, elapsed)| z / elapsed.sqrt()));
    let is_open = alert.state == AlertState::Provisional;
    let first = alert.rule.tiers.first().copied();
    let lasts = z.zip(elapsed).zip(first).filter(|_| is_open);
    let lasts = lasts.map(|((z, elapsed), first)| survival(z * alert.direction.sign(), first, 1.0 - elapsed));
    found.rounded("survival", alert.survival, lasts);
    if let Some(ruler) = &alert.ruler {
        let basis = if ruler.overnight_sessions == 0 || ruler.curve_sessions == 0 { "default" } else { "learned" };
        found.same("ruler.basis", &ruler.basis.as_str(), &basis);
        found.hold("ruler.overnight", (0.0..=1.0).contains(&ruler.overnight), ruler.overnight, "from 0 to 1");
        let (holds, must) = match alert.phase {
            Phase::Close | Phase::Post => (ruler.elapsed >= 1.0, "1 from the close on"),
            Phase::Regular => (ruler.elapsed >= ruler.overnight, "at least ruler.overnight in the regular session"),
            Phase::Overnight | Phase::Pre => (ruler.elapsed > 0.0, "above 0"),
        };
        found.hold("ruler.elapsed", holds && ruler.elapsed <= 1.0, ruler.elapsed, must);
    }
    if let Some(windows) = &alert.windows {
        let secs: Vec<u32> = windows.iter().map(|w| w.secs).collect();
        found.same("windows[].secs", &secs.as_slice(), &WINDOW_SECS.as_slice());
        found.same("phase", &alert.phase.name(), &Phase::Regular.name());
        for w in windows {
            let signs = w.r#move.zip(w.z).is_none_or(|(r, z)| r * z >= 0.0);
            found.hold("windows[].z", signs, w.z, "of the sign of its move");
        }
    }
}

/// The other volatilities: those that the evidence determines, and the multiple by each.
fn modes(alert: &AlertRecord, is_desk: bool, found: &mut Findings) {
    let Some(modes) = &alert.modes else {
        let is_good = is_desk || alert.session.is_none();
        found.hold("modes", is_good, None::<f64>, "known, since no desk's own reference stands in for them");
        return;
    };
    let mut names: Vec<&str> = Mode::ALL.iter().map(|m| m.name()).collect();
    names.sort_unstable();
    found.same("modes", &modes.keys().map(String::as_str).collect::<Vec<_>>(), &names);
    let returns = window::returns(alert.evidence.as_deref());
    for (name, mode) in modes {
        let field = |part: &str| format!("modes.{name}.{part}");
        let usable = mode.sigma.filter(|s| *s > 0.0);
        found.rounded(&field("z"), mode.z, alert.log_return.zip(usable).map(|(r, sigma)| r / sigma));
        let is_gap = mode.z.is_none();
        found.hold(
            &field("unknown"),
            is_gap == mode.unknown.is_some(),
            mode.unknown.clone(),
            "a reason where z is null",
        );
        let own = match name.as_str() {
            _ if returns.len() < WINDOW => continue,
            "zero_mean" => zero_mean_sigma(&returns).ok_or(Unknown::Warming),
            "mad" => mad_sigma(&returns),
            _ => continue,
        };
        found.exact(&field("sigma"), mode.sigma, own.ok());
    }
}

/// Probabilities from their statistics.
fn realized(alert: &AlertRecord, found: &mut Findings) {
    let Some(realized) = &alert.realized else { return };
    if let Some(jump) = &realized.jump {
        found.exact("realized.jump.p", Some(jump.p), Some(normal_upper_tail(jump.z)));
    }
    let threshold = JumpThreshold::new(RETURNS_PER_SESSION as usize, LEVEL).ok();
    if let (Some(largest), Some(threshold)) = (&realized.largest, threshold) {
        found.exact("realized.largest.p", Some(largest.p), Some(threshold.p_value(largest.z)));
    }
}

/// Tier held, its weight, and the prices of the next ones.
fn tiers(alert: &AlertRecord, z: Option<f64>, sigma: Option<f64>, found: &mut Findings) {
    found.same("severity", &alert.severity.as_str(), &severity(alert.tier));
    let size = z.map(|z| z * alert.direction.sign());
    let reached = size.and_then(|size| alert.rule.tiers.iter().rev().find(|t| **t <= size).copied());
    let decides = alert.kind == AlertKind::Escalate || alert.state == AlertState::Confirmed;
    if let (true, Some(_)) = (decides, size) {
        found.exact("tier", Some(alert.tier), reached);
    }
    let next: Vec<NextTierRecord> = match (&alert.reference, sigma) {
        (Some(reference), Some(sigma)) => {
            let price = |t: f64| threshold_price(reference.price, sigma, t * alert.direction.sign());
            let above = alert.rule.tiers.iter().filter(|t| **t > alert.tier);
            let reachable = above.map(|t| NextTierRecord { tier: *t, price: price(*t) });
            reachable.filter(|next| next.price.is_finite() && next.price > 0.0).collect()
        }
        _ => Vec::new(),
    };
    found.same("next_tiers", &alert.next_tiers, &next);
}

/// The two parts of the move.
fn gap(alert: &AlertRecord, found: &mut Findings) {
    let Some(gap) = &alert.gap else { return };
    found.hold("gap.open", gap.open > 0.0, gap.open, "above 0");
    let reference = alert.reference.as_ref().map(|r| r.price);
    found.exact("gap.overnight", Some(gap.overnight), reference.map(|reference| (gap.open / reference).ln()));
    found.exact("gap.intraday", Some(gap.intraday), alert.price.map(|price| (price / gap.open).ln()));
    let bases = ["first_price", "day_bar"];
    found.hold("gap.basis", bases.contains(&gap.basis.as_str()), gap.basis.clone(), format!("one of {bases:?}"));
}

fn usd(alert: &AlertRecord, found: &mut Findings) {
    let Some(usd) = &alert.usd else { return };
    let both = alert.price.zip(alert.reference.as_ref().map(|r| r.price));
    let change = usd.shares.zip(both).map(|(shares, (price, reference))| shares * (price - reference));
    found.exact("usd.market_value_change", Some(usd.market_value_change), change);
    let (rank, sessions) = (usd.record_rank, usd.record_sessions);
    let is_possible = rank.is_none_or(|rank| rank >= 1 && sessions.is_some_and(|n| n > 0 && rank - 1 <= n));
    found.hold(
        "usd.record_rank",
        is_possible,
        format!("{rank:?}"),
        format!("1 to one more than {sessions:?} sessions"),
    );
    let settled = matches!(alert.state, AlertState::Confirmed | AlertState::Faded);
    let bases: &[&str] = if settled { &["official", "last", "last_regular", "provisional"] } else { &["provisional"] };
    found.hold("usd.basis", bases.contains(&usd.basis.as_str()), usd.basis.clone(), format!("one of {bases:?}"));
}

/// Flags that say what other fields say.
fn quality(alert: &AlertRecord, is_desk: bool, found: &mut Findings) {
    let reference = alert.reference.as_ref();
    let deviation = alert.sigma_daily.map(|s| Sigma::of_window(s, reference.map(|r| r.price)));
    let is_flat = !is_desk && matches!(deviation, Some(Sigma::Insufficient(_)));
    let ruler = alert.ruler.as_ref().is_some_and(|r| r.basis == "default" && r.elapsed < 1.0);
    let told = [
        ("DESK_REFERENCE", Some(is_desk)),
        ("REF_PROVISIONAL", Some(reference.is_some_and(|r| r.basis != "official" && r.basis != "desk"))),
        ("SUSPECTED_SPLIT", Some(alert.suspected_split.is_some())),
        ("EXTENDED", Some(alert.phase == Phase::Pre)),
        ("INSUFFICIENT_VARIANCE", Some(is_flat)),
        ("RULER_DEFAULT", Some(ruler)),
        ("CLOSE_BASIS_LAST", alert.usd.as_ref().map(|u| u.basis == "last")),
    ];
    for (flag, must) in told {
        let has = alert.quality.iter().any(|q| q == flag);
        if let Some(must) = must.filter(|must| *must != has) {
            let say = |is: bool| if is { format!("with {flag}") } else { format!("without {flag}") };
            found.differ("quality", say(has), say(must));
        }
    }
}
