//! An alert's arithmetic, line by line.

use crate::codec::{AlertRecord, ClusterRecord};
use crate::domain::UnixNanos;
use crate::estimators::threshold_price;
use std::io::{self, Write};

/// Writes what an alert says, in the order in which it was worked out.
pub(super) fn write(alert: &AlertRecord, out: &mut impl Write) -> io::Result<()> {
    head(alert, out)?;
    match &alert.cluster {
        Some(group) => cluster(alert, group, out)?,
        None => symbol(alert, out)?,
    }
    window(alert, out)
}

/// A number, or why it is not known.
fn known(alert: &AlertRecord, field: &str, value: Option<String>) -> String {
    let reason = || alert.unknown.get(field).map_or("no reason given", String::as_str);
    value.unwrap_or_else(|| format!("unknown: {}", reason()))
}

fn percent(log_return: f64) -> String {
    format!("{:+.2} %", log_return.exp_m1() * 100.0)
}

fn head(alert: &AlertRecord, out: &mut impl Write) -> io::Result<()> {
    let session = alert.session.map_or_else(|| "no session".to_owned(), |s| s.to_string());
    let groups = if alert.groups.is_empty() { "no group".to_owned() } else { alert.groups.join(", ") };
    let (rule, entity) = (&alert.rule, &alert.entity);
    writeln!(out, "{}", alert.summary)?;
    writeln!(out)?;
    writeln!(
        out,
        "alert       {} revision {}, record {} of {}",
        alert.alert_id, alert.revision, alert.sequence, entity.id
    )?;
    writeln!(out, "what        {}, {}", alert.kind.name(), alert.state.name())?;
    writeln!(out, "entity      {} {} ({groups})", entity.r#type, entity.id)?;
    writeln!(out, "rule        {} version {}, settings {}", rule.id, rule.version, rule.config_hash)?;
    let at = UnixNanos(alert.event_time);
    writeln!(out, "when        session {session}, {}, decided by a record of {at}", alert.phase.name())?;
    let (direction, tier, peak) = (alert.direction.name(), alert.tier, alert.peak_tier);
    let (severity, episode) = (&alert.severity, alert.episode);
    writeln!(
        out,
        "held        {direction}, tier {tier} ({severity}), highest {peak}, episode {episode} of the session"
    )?;
    if !alert.quality.is_empty() {
        writeln!(out, "quality     {}", alert.quality.join(", "))?;
    }
    writeln!(out)
}

fn symbol(alert: &AlertRecord, out: &mut impl Write) -> io::Result<()> {
    let reference = alert.reference.as_ref().map(|r| {
        let session = r.session.map_or_else(String::new, |s| format!(" of {s}"));
        format!("{} ({}{session})", r.price, r.basis)
    });
    writeln!(out, "reference   {}", known(alert, "reference", reference))?;
    writeln!(out, "price       {}", known(alert, "price", alert.price.map(|p| p.to_string())))?;
    let both = alert.price.zip(alert.reference.as_ref().map(|r| r.price));
    let moved = alert.log_return.zip(both);
    let moved = moved.map(|(r, (price, reference))| format!("ln({price} / {reference}) = {r} ({})", percent(r)));
    writeln!(out, "return      {}", known(alert, "log_return", moved))?;
    sigma(alert, out)?;
    let z = alert.z.zip(alert.log_return).zip(alert.sigma_daily);
    let z = z.map(|((z, r), sigma)| format!("{r} / {sigma} = {z}"));
    writeln!(out, "z           {}", known(alert, "z", z))?;
    if let (Some(z), Some(adjusted), Some(ruler)) = (alert.z, alert.z_adjusted, &alert.ruler) {
        writeln!(
            out,
            "adjusted    {z} / sqrt({}) = {adjusted}, {:.1} % of a day's variance passed ({} ruler)",
            ruler.elapsed,
            ruler.elapsed * 100.0,
            ruler.basis
        )?;
    }
    if let (Some(survival), Some(first)) = (alert.survival, alert.rule.tiers.first()) {
        writeln!(out, "survival    {survival}: that the close stands at or beyond {first} ({})", alert.survival_model)?;
    }
    tiers(alert, out)?;
    if let Some(gap) = &alert.gap {
        let (open, basis) = (gap.open, &gap.basis);
        let (overnight, intraday) = (percent(gap.overnight), percent(gap.intraday));
        writeln!(out, "open        {open} ({basis}): {overnight} overnight, {intraday} since")?;
    }
    if let Some(usd) = &alert.usd {
        let shares = usd.shares.map_or_else(String::new, |s| format!("{s} shares, "));
        writeln!(out, "usd         {:+.0} ({shares}{})", usd.market_value_change, usd.basis)?;
    }
    for (name, mode) in alert.modes.iter().flatten() {
        let sigma = mode.sigma.map_or_else(|| "unknown".to_owned(), |s| s.to_string());
        let z = mode.z.map_or_else(|| mode.unknown.clone().unwrap_or_default(), |z| z.to_string());
        writeln!(out, "  by {name:15} sigma {sigma:22} z {z}")?;
    }
    writeln!(out)
}

fn sigma(alert: &AlertRecord, out: &mut impl Write) -> io::Result<()> {
    let origin = match &alert.window {
        Some(w) => format!("sample deviation of {} daily log returns, {} to {}", w.n, w.first, w.last),
        None => "of no window".to_owned(),
    };
    let sigma = alert.sigma_daily.map(|s| format!("{s} a day: {origin}"));
    writeln!(out, "sigma       {}", known(alert, "sigma_daily", sigma))?;
    let Some((w, echo)) = alert.window.as_ref().and_then(|w| Some((w, w.echo.as_ref()?))) else { return Ok(()) };
    let without = echo.sigma_without.map_or_else(|| "unknown".to_owned(), |s| format!("{s:.6}"));
    writeln!(
        out,
        "            largest {:.6} on {}: {:.1} % of the squares, {without} without it, gone in {} sessions",
        w.max_abs_return,
        echo.session,
        echo.share * 100.0,
        echo.sessions_left
    )
}

/// The first price of every tier, in the direction of the move.
fn tiers(alert: &AlertRecord, out: &mut impl Write) -> io::Result<()> {
    let Some((reference, sigma)) = alert.reference.as_ref().map(|r| r.price).zip(alert.sigma_daily) else {
        return Ok(());
    };
    if alert.z.is_none() {
        return Ok(());
    }
    for tier in &alert.rule.tiers {
        let price = threshold_price(reference, sigma, tier * alert.direction.sign());
        let what = if *tier > alert.tier {
            "next"
        } else if *tier < alert.tier {
            "passed"
        } else {
            "held"
        };
        writeln!(out, "tier {tier:<6} from {price} ({what})")?;
    }
    Ok(())
}

fn cluster(alert: &AlertRecord, group: &ClusterRecord, out: &mut impl Write) -> io::Result<()> {
    let basket = alert.log_return.map(|r| format!("ln(1 + sum w (exp(r) - 1)) = {r} ({})", percent(r)));
    writeln!(out, "basket      {}", known(alert, "log_return", basket))?;
    sigma(alert, out)?;
    let z = alert.z.zip(alert.log_return).zip(alert.sigma_daily);
    let z = z.map(|((z, r), sigma)| format!("{r} / {sigma} = {z}"));
    writeln!(out, "z           {}", known(alert, "z", z))?;
    let coverage = group.coverage.map_or_else(|| "unknown".to_owned(), |c| format!("{:.1} %", c * 100.0));
    writeln!(out, "coverage    {coverage} of the group's value, at least {} %", group.coverage_min * 100.0)?;
    if let Some(usd) = &alert.usd {
        writeln!(out, "usd         {:+.0} ({})", usd.market_value_change, usd.basis)?;
    }
    writeln!(out, "level       {} read", group.level)?;
    for leg in &group.legs {
        let value = leg.value.map_or_else(|| "unknown".to_owned(), |v| v.to_string());
        let reached = if leg.reached { "reached" } else { "not reached" };
        let bound = leg.threshold.map_or_else(|| "unknown".to_owned(), |t| t.to_string());
        write!(out, "  {:19} {value:>10}, bound {bound} ({reached})", leg.name)?;
        match (&leg.rank, leg.percentile) {
            (Some(r), Some(p)) => writeln!(
                out,
                ", percentile {p:.4} = ({} below + {} equal / 2) / {} sessions",
                r.below, r.equal, r.observations
            )?,
            _ => writeln!(out)?,
        }
    }
    if group.levels.is_none() {
        writeln!(out, "  WATCH     asks for 3 legs at their 95th percentile")?;
        writeln!(out, "  ALERT     asks for that and one at its 99th")?;
        writeln!(out, "  CRITICAL  asks for 5 at their 95th and 3 at their 99th")?;
    }
    for l in group.levels.iter().flatten() {
        let (basket, rms) = (l.basket_z, l.rms_z);
        writeln!(
            out,
            "  {:9} asks for {} of: basket_z {basket}, rms_z {rms}, members_in_breach {}",
            l.level, l.legs, l.members
        )?;
    }
    let total: f64 = group.members.iter().filter(|m| m.log_return.is_some()).filter_map(|m| m.market_value).sum();
    writeln!(out, "members     in breach from {} sigma, first {}", group.breach_at, first(group))?;
    for m in &group.members {
        let z = m.z.map_or_else(|| "unknown".to_owned(), |z| z.to_string());
        let moved = m.log_return.map_or_else(|| "unknown".to_owned(), percent);
        let weight = m.market_value.map_or_else(String::new, |v| format!(", weight {:.2} %", v / total * 100.0));
        let since = m.breached_at.map_or_else(String::new, |t| format!(", in breach at {}", UnixNanos(t)));
        let part = m.contribution.map_or_else(String::new, |c| format!(", adds {}", percent(c.ln_1p())));
        writeln!(out, "  {:8} z {z:>9}, {moved}{weight}{part}{since}", m.symbol)?;
    }
    if let Some(u) = &group.universe {
        let (count, valid, up, down) = (u.count, u.valid, u.up, u.down);
        writeln!(out, "breadth     {up} up and {down} down of {valid} valid in {} ({count})", u.name)?;
        for s in u.securities.iter().filter(|s| s.z.is_some_and(|z| z.abs() >= group.breach_at)) {
            let sector = s.sector.as_deref().unwrap_or("");
            writeln!(out, "  {:8} z {:>9}  {sector}", s.symbol, s.z.unwrap_or(0.0))?;
        }
    }
    for w in &group.without {
        let moved = w.basket_return.map_or_else(|| "unknown".to_owned(), percent);
        writeln!(out, "without     {:8} {}, basket {moved}", w.symbol, w.level)?;
    }
    writeln!(out)
}

fn first(group: &ClusterRecord) -> String {
    let lags = group.follower_lags_secs.iter().map(|lag| lag.map_or(String::new(), |secs| format!(" {secs} s later")));
    let each: Vec<String> = group.followers.iter().zip(lags).map(|(symbol, lag)| format!("{symbol}{lag}")).collect();
    let followers = if each.is_empty() { String::new() } else { format!(", then {}", each.join(", ")) };
    group.initiator.as_ref().map_or_else(|| "none".to_owned(), |first| format!("{first}{followers}"))
}

fn window(alert: &AlertRecord, out: &mut impl Write) -> io::Result<()> {
    for (at, e) in alert.evidence.iter().flatten().enumerate() {
        let title = if at == 0 { "window" } else { "" };
        writeln!(out, "{title:10}  {}  {:+.6}", e.session, e.log_return)?;
    }
    Ok(())
}
