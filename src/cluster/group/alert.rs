//! A group's alerts.

use super::{Group, Stay};
use crate::cluster::company::Company;
use crate::cluster::level::{GroupParams, Level};
use crate::cluster::reading::{MemberReading, Reading};
use crate::domain::{
    Alert, AlertKind, AlertState, CloseBasis, ClusterView, Entity, MemberZ, Phase, RULE_CLUSTER, RULE_VERSION, RuleRef,
    SessionDate, Source, Symbol, UnixNanos, Unknown, UsdChange, WindowView, alert_id,
};
use crate::estimators::{WINDOW, window_echo};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group at the moment that is judged.
pub(super) struct Seen<'a> {
    pub(super) session: SessionDate,
    pub(super) at: UnixNanos,
    pub(super) phase: Phase,
    pub(super) reading: &'a Reading,
    pub(super) members: &'a [MemberReading],
    /// The members that are companies.
    pub(super) companies: &'a BTreeMap<Symbol, Company>,
    /// The members' lines.
    pub(super) lines: &'a [MemberReading],
    pub(super) topic: &'a Arc<str>,
}

impl Group {
    pub(super) fn alert(&mut self, kind: AlertKind, state: AlertState, stay: &Stay, seen: &Seen<'_>) -> Alert {
        self.sequence += 1;
        let entity = Entity::Cluster(self.params.name.clone());
        let reading = seen.reading;
        let window = self.window(seen.session).to_vec();
        let window = if window.len() < WINDOW { Err(Unknown::Warming) } else { Ok(window) };
        let view = window.as_ref().map_err(|e| *e).map(|w| WindowView {
            n: w.len(),
            first: w[0].0,
            last: w[w.len() - 1].0,
            max_abs_return: w.iter().fold(0.0_f64, |m, (_, r)| m.max(r.abs())),
            echo: window_echo(w).map(|e| e.view()),
        });
        let breached = in_order_of_breach(seen.members, self.params.breach_at);
        let change: f64 = seen.members.iter().filter_map(|m| Some(m.market_value? * m.log_return.ok()?.exp_m1())).sum();
        let mut source: Vec<Source> = seen
            .lines
            .iter()
            .filter_map(|m| m.source)
            .map(|(partition, offset)| Source { topic: seen.topic.clone(), partition, offset })
            .collect();
        source.sort();
        // The weakest close decides what the sum may be called.
        let weakest = seen.members.iter().filter(|m| m.log_return.is_ok()).map(|m| m.basis).min().flatten();
        let basis = weakest.filter(|_| seen.phase == Phase::Close).map_or("provisional", CloseBasis::name);
        let level = stay.level;
        let mut breached = breached.into_iter();
        let initiator = breached.next();
        let summary = sentence(&self.params, kind, state, stay, seen, initiator.as_ref());
        let now = reading.level;
        Alert {
            alert_id: alert_id(RULE_CLUSTER, &entity, Some(seen.session), stay.direction, stay.number),
            revision: stay.revision,
            sequence: self.sequence,
            kind,
            state,
            entity,
            groups: vec![self.params.name.clone()],
            rule: RuleRef { id: RULE_CLUSTER, version: RULE_VERSION, config_hash: self.config_hash.clone() },
            session: Some(seen.session),
            phase: seen.phase,
            event_time: seen.at,
            direction: stay.direction,
            tier: f64::from(level.number()),
            peak_tier: f64::from(stay.peak.number()),
            severity: level.name(),
            z: reading.basket_z,
            z_adjusted: Err(Unknown::NotComputed),
            ruler: Err(Unknown::NotComputed),
            windows: Err(Unknown::NotASecurity),
            survival: Err(Unknown::NotComputed),
            sigma_daily: self.sigma(seen.session),
            window: view,
            modes: Err(Unknown::NotASecurity),
            realized: Err(Unknown::NotASecurity),
            log_return: reading.basket_return,
            simple_return: reading.basket_return.map(f64::exp_m1),
            price: Err(Unknown::NotASecurity),
            reference: Err(Unknown::NotASecurity),
            next_tiers: Vec::new(),
            evidence: window,
            cluster: Some(ClusterView {
                level: now.map_or("UNKNOWN", Level::name),
                legs: reading.legs(&self.params, now.unwrap_or(Level::Watch)),
                members: seen
                    .members
                    .iter()
                    .map(|m| MemberZ {
                        symbol: m.symbol.clone(),
                        company: seen.companies.get(&m.symbol).map(|c| c.name.clone()),
                        classes: seen.companies.get(&m.symbol).map(|c| c.classes.clone()).unwrap_or_default(),
                        z: m.z,
                        breached_at: m.breached_at,
                    })
                    .collect(),
                coverage: reading.coverage,
                initiator,
                followers: breached.collect(),
            }),
            usd: reading.basket_return.map(|_| UsdChange { market_value_change: change, shares: None, basis }),
            quality: if reading.coverage.is_ok_and(|c| c >= 1.0) {
                Vec::new()
            } else {
                vec!["PARTIAL_COVERAGE".into()]
            },
            events: Vec::new(),
            source,
            summary,
            fast_volatility: 0.0,
            slow_volatility: 0.0,
            episode: stay.number,
        }
    }
}

/// Members in breach: by first breach, then larger absolute multiple, then symbol.
fn in_order_of_breach(members: &[MemberReading], breach_at: f64) -> Vec<Symbol> {
    let mut breached: Vec<(&MemberReading, f64)> =
        members.iter().filter_map(|m| Some((m, m.z.ok()?))).filter(|(_, z)| z.abs() >= breach_at).collect();
    breached.sort_by(|(a, za), (b, zb)| {
        let time = |m: &MemberReading| m.breached_at.unwrap_or(UnixNanos::MAX);
        time(a).cmp(&time(b)).then(zb.abs().total_cmp(&za.abs())).then(a.symbol.cmp(&b.symbol))
    });
    breached.into_iter().map(|(m, _)| m.symbol.clone()).collect()
}

/// One English sentence for people; every number in it stands in its own field too.
fn sentence(
    params: &GroupParams,
    kind: AlertKind,
    state: AlertState,
    stay: &Stay,
    seen: &Seen<'_>,
    first: Option<&Symbol>,
) -> String {
    let reading = seen.reading;
    let (name, session) = (&params.name, seen.session);
    let now = reading.level.map_or("UNKNOWN", Level::name);
    let held = stay.level.name();
    let verb = match (kind, state) {
        (AlertKind::Close, AlertState::Expired) => format!("ended {session} without a verdict"),
        (AlertKind::Close, _) => format!("is {now} again on {session}"),
        (AlertKind::Confirm, _) => format!("closed {session} at {held}"),
        (AlertKind::Retract, _) => format!("never stood at {held} on {session} and is {now}"),
        (AlertKind::Fade, _) => format!("did not hold {held} and closed {session} at {now}"),
        _ => format!("is at {held} on {session}"),
    };
    let basket =
        reading.basket_return.map_or_else(|_| "unknown".to_owned(), |r| format!("{:+.2} %", r.exp_m1() * 100.0));
    let count = reading.members_in_breach.map_or_else(|_| "an unknown number".to_owned(), |n| n.to_string());
    let by = first.map_or_else(String::new, |s| format!(", first {s}"));
    let of = seen.members.len();
    format!("Group {name} {verb}: basket {basket}, {count} of {of} members beyond {} sigma{by}.", params.breach_at)
}
