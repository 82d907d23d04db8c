//! A group's alerts.

use super::look::Look;
use super::{Group, Stay};
use crate::cluster::level::Level;
use crate::cluster::reading::{MemberReading, change_of, contributions};
use crate::cluster::sentence::GroupSentence;
use crate::domain::{
    self, Alert, AlertKind, AlertState, CloseBasis, ClusterView, Entity, MemberZ, Phase, RULE_CLUSTER, RULE_VERSION,
    RuleRef, SessionDate, Source, Symbol, TurbulenceView, UniverseLine, UniverseView, UnixNanos, Unknown, UsdChange,
    WindowView, WithoutView, alert_id,
};
use crate::estimators::{WINDOW, window_echo};
use std::sync::Arc;

/// A group at the moment that is judged.
pub(super) struct Seen<'a> {
    pub(super) session: SessionDate,
    pub(super) at: UnixNanos,
    pub(super) phase: Phase,
    pub(super) look: &'a Look,
    /// Everyone followed, share classes apart.
    pub(super) lines: &'a [MemberReading],
    pub(super) topic: &'a Arc<str>,
}

impl Group {
    pub(super) fn alert(&mut self, kind: AlertKind, state: AlertState, stay: &Stay, seen: &Seen<'_>) -> Alert {
        self.sequence += 1;
        let entity = Entity::Cluster(self.params.name.clone());
        let (reading, members) = (&seen.look.reading, &seen.look.members);
        let window = self.window(seen.session).to_vec();
        let window = if window.len() < WINDOW { Err(Unknown::Warming) } else { Ok(window) };
        let view = window.as_ref().map_err(|e| *e).map(|w| WindowView {
            n: w.len(),
            first: w[0].0,
            last: w[w.len() - 1].0,
            max_abs_return: w.iter().fold(0.0_f64, |m, (_, r)| m.max(r.abs())),
            echo: window_echo(w).map(|e| e.view()),
        });
        let breached = in_order_of_breach(members, self.params.breach_at);
        let mut source: Vec<Source> = seen
            .lines
            .iter()
            .filter(|l| self.decides(l, seen))
            .filter_map(|m| m.source)
            .map(|(partition, offset)| Source { topic: seen.topic.clone(), partition, offset })
            .collect();
        source.sort();
        // The weakest close decides what the sum may be called.
        let weakest = members.iter().filter(|m| m.log_return.is_ok()).map(|m| m.basis).min().flatten();
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
            members: members.len(),
            breach_at: self.params.breach_at,
            first: breached.first().map(Symbol::as_str),
            legs: reading.legs_at(&self.params),
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
            gap: Err(Unknown::NotASecurity),
            log_return: reading.basket_return,
            simple_return: reading.basket_return.map(f64::exp_m1),
            price: Err(Unknown::NotASecurity),
            reference: Err(Unknown::NotASecurity),
            next_tiers: Vec::new(),
            evidence: window,
            cluster: Some(self.cluster_view(seen, breached)),
            usd: reading.basket_return.map(|_| UsdChange {
                market_value_change: change_of(members),
                shares: None,
                basis,
                record: None,
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

    /// Whether a line is part of what is said: a member, or one of those that breadth is read over.
    fn decides(&self, line: &MemberReading, seen: &Seen<'_>) -> bool {
        let around = seen.look.reading.universe.as_ref().map_or(&[][..], |u| &u.lines);
        self.holds(line.symbol.as_str(), seen.session) || around.iter().any(|l| l.symbol == line.symbol)
    }

    fn cluster_view(&mut self, seen: &Seen<'_>, breached: Vec<Symbol>) -> ClusterView {
        let Look { members, companies, reading, .. } = seen.look;
        let now = reading.level;
        let member = |(m, contribution): (&MemberReading, domain::Reading)| MemberZ {
            symbol: m.symbol.clone(),
            company: companies.get(&m.symbol).map(|c| c.name.clone()),
            classes: companies.get(&m.symbol).map(|c| c.classes.clone()).unwrap_or_default(),
            z: m.z,
            contribution,
            log_return: m.log_return,
            market_value: m.market_value,
            breached_at: m.breached_at,
        };
        let mut breached = breached.into_iter();
        ClusterView {
            level: now.map_or("UNKNOWN", Level::name),
            legs: reading.legs(&self.params, now.unwrap_or(Level::Watch)),
            members: members.iter().zip(contributions(members)).map(member).collect(),
            coverage: reading.coverage,
            initiator: breached.next(),
            followers: breached.collect(),
            levels: self.params.level_views(),
            universe: self.universe_view(seen),
            turbulence: turbulence_view(seen.look),
            without: self.without(seen),
            breach_at: self.params.breach_at,
            coverage_min: self.params.coverage_min,
        }
    }
}

/// Members beyond which the covariance is too large to be carried, and the verdict without each too dear.
const EXPLAINED_MAX: usize = 16;

impl Group {
    fn universe_view(&self, seen: &Seen<'_>) -> Option<UniverseView> {
        let name = &self.params.composite()?.universe;
        let roster = if *name == self.params.name { &self.roster } else { &self.around };
        let line = |l: &MemberReading| UniverseLine {
            symbol: l.symbol.clone(),
            sector: roster.of(l.symbol.as_str(), seen.session).and_then(|m| m.sector.clone()),
            z: l.z,
            log_return: l.log_return,
            market_value: l.market_value,
        };
        let lines = seen.look.reading.universe.as_ref()?.lines.iter().map(line).collect();
        Some(UniverseView { name: name.clone(), lines })
    }

    /// The verdict without each member, all its share classes.
    fn without(&mut self, seen: &Seen<'_>) -> Vec<WithoutView> {
        let members = &seen.look.members;
        if self.params.composite().is_none() || members.len() > EXPLAINED_MAX {
            return Vec::new();
        }
        let one = |m: &MemberReading| {
            let classes = seen.look.companies.get(&m.symbol).map(|c| c.classes.clone());
            let look = self.look(seen.session, seen.lines, &classes.unwrap_or_else(|| vec![m.symbol.clone()]));
            WithoutView {
                symbol: m.symbol.clone(),
                level: look.reading.level.map_or("UNKNOWN", Level::name),
                basket_return: look.reading.basket_return,
                legs: look.reading.values().to_vec(),
            }
        };
        members.iter().map(one).collect()
    }
}

fn turbulence_view(look: &Look) -> Option<TurbulenceView> {
    let (usual, turbulence) = (look.usual.as_ref().ok()?, look.reading.turbulence.ok()?);
    let assets = usual.mean().len();
    (look.members.len() <= EXPLAINED_MAX).then(|| TurbulenceView {
        mean: usual.mean().to_vec(),
        covariance: (0..assets).flat_map(|i| (0..=i).map(move |j| usual.matrix()[i * assets + j])).collect(),
        magnitude: turbulence.magnitude,
        correlation_surprise: turbulence.correlation_surprise().ok_or(Unknown::InsufficientVariance),
    })
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
