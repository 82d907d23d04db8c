//! A group's alerts.

use super::{Group, Stay};
use crate::cluster::company::Company;
use crate::cluster::level::Level;
use crate::cluster::reading::{MemberReading, Reading, change_of};
use crate::cluster::sentence::GroupSentence;
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
        let summary = GroupSentence {
            name: &self.params.name,
            kind,
            state,
            held: level.name(),
            now: reading.level.map_or("UNKNOWN", Level::name),
            session: Some(seen.session),
            basket_return: reading.basket_return.ok(),
            in_breach: reading.members_in_breach.ok(),
            members: seen.members.len(),
            breach_at: self.params.breach_at,
            first: breached.first().map(Symbol::as_str),
        };
        let summary = summary.to_string();
        Alert {
            alert_id: alert_id(RULE_CLUSTER, &entity, Some(seen.session), stay.direction, stay.number),
            revision: stay.revision,
            sequence: self.sequence,
            kind,
            state,
            entity,
            groups: vec![self.params.name.clone()],
            rule: RuleRef {
                id: RULE_CLUSTER,
                version: RULE_VERSION,
                config_hash: self.config_hash.clone(),
                tiers: Level::TIERS.into(),
            },
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
            cluster: Some(self.cluster_view(seen, breached)),
            usd: reading.basket_return.map(|_| UsdChange {
                market_value_change: change_of(seen.members),
                shares: None,
                basis,
            }),
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

    fn cluster_view(&self, seen: &Seen<'_>, breached: Vec<Symbol>) -> ClusterView {
        let now = seen.reading.level;
        let member = |m: &MemberReading| MemberZ {
            symbol: m.symbol.clone(),
            company: seen.companies.get(&m.symbol).map(|c| c.name.clone()),
            classes: seen.companies.get(&m.symbol).map(|c| c.classes.clone()).unwrap_or_default(),
            z: m.z,
            log_return: m.log_return,
            market_value: m.market_value,
            breached_at: m.breached_at,
        };
        let mut breached = breached.into_iter();
        ClusterView {
            level: now.map_or("UNKNOWN", Level::name),
            legs: seen.reading.legs(&self.params, now.unwrap_or(Level::Watch)),
            members: seen.members.iter().map(member).collect(),
            coverage: seen.reading.coverage,
            initiator: breached.next(),
            followers: breached.collect(),
            levels: self.params.level_views(),
            breach_at: self.params.breach_at,
            coverage_min: self.params.coverage_min,
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
