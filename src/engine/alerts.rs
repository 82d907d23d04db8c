//! Builds a symbol's alerts: the arithmetic, its evidence and one sentence about it.

use super::Engine;
use super::sentence::Sentence;
use super::state::{Ruler, SymbolState};
use crate::domain::{
    Alert, AlertKind, AlertState, Entity, GapView, NextTier, Phase, RULE_SYMBOL, RULE_VERSION, Reading, ReferencePrice,
    RuleRef, RulerView, SessionDate, Source, UnixNanos, Unknown, UsdChange, WindowView, alert_id,
};
use crate::estimators::{threshold_price, window_echo};
use crate::market::{Flag, Sigma};
use crate::rules::{Amended, Episode, Judgement, Step, Verdict};
use std::sync::Arc;

/// Weight of a tier in words.
pub(crate) fn severity(tier: f64) -> &'static str {
    match tier {
        t if t >= 10.0 => "EXTREME",
        t if t >= 8.0 => "SEVERE",
        t if t >= 6.0 => "HIGH",
        t if t >= 4.0 => "ELEVATED",
        _ => "NOTICE",
    }
}

/// Why a record about an episode is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Step(Step),
    Verdict(Verdict),
    /// A print taken back or replaced.
    Amend(Amended),
    Judgement(Judgement),
}

impl From<Step> for What {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

impl From<Verdict> for What {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl From<Judgement> for What {
    fn from(judgement: Judgement) -> Self {
        Self::Judgement(judgement)
    }
}

impl What {
    fn kind(self) -> AlertKind {
        match self {
            Self::Step(Step::Open) | Self::Amend(Amended::Found) => AlertKind::Open,
            Self::Step(Step::Escalate) => AlertKind::Escalate,
            Self::Step(Step::Update) => AlertKind::Update,
            Self::Step(Step::Deescalate) => AlertKind::Deescalate,
            Self::Step(Step::Close) | Self::Verdict(Verdict::Expire) => AlertKind::Close,
            Self::Verdict(Verdict::Confirm) | Self::Judgement(Judgement::Confirm) => AlertKind::Confirm,
            Self::Verdict(Verdict::Fade) | Self::Judgement(Judgement::Fade) => AlertKind::Fade,
            Self::Judgement(Judgement::Correct) | Self::Amend(Amended::Corrected) => AlertKind::Correct,
            Self::Judgement(Judgement::Retract) | Self::Amend(Amended::Retracted) => AlertKind::Retract,
        }
    }
}

/// The price that decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) ts: UnixNanos,
    pub(super) price: Reading,
    pub(super) z: Reading,
    /// Whether it is the session's close.
    pub(super) is_close: bool,
    /// Where the deciding record stands, if one of the market input decided.
    pub(super) source: Option<(i32, i64)>,
}

impl Engine {
    /// The next record about an episode of the session at hand.
    pub(super) fn symbol_alert(&mut self, id: u32, what: What, episode: &Episode, moment: &Moment) -> Alert {
        let state = &self.states[id as usize];
        let session = state.cold.session.map(|s| s.date);
        let ruler = state.cold.ruler;
        let alert = self.alert_of(id, what, episode, moment, session, &ruler);
        self.states[id as usize].keep_forecast(&alert);
        alert
    }

    /// A record about an episode of a session settled before.
    pub(super) fn settled_alert(
        &mut self,
        id: u32,
        what: What,
        episode: &Episode,
        moment: &Moment,
        session: SessionDate,
        ruler: &Ruler,
    ) -> Alert {
        self.alert_of(id, what, episode, moment, Some(session), ruler)
    }

    fn alert_of(
        &mut self,
        id: u32,
        what: What,
        episode: &Episode,
        moment: &Moment,
        session: Option<SessionDate>,
        ruler: &Ruler,
    ) -> Alert {
        let tiers = &self.params.rules;
        let topic = self.params.topic.clone();
        let name = self.name_on(id, session);
        let cold = &mut self.states[id as usize].cold;
        // What is still to be said of a session under an older name counts among that name's records.
        let sequence = match &mut cold.former {
            Some((former, sequence)) if *former == name => sequence,
            _ => &mut cold.sequence,
        };
        *sequence += 1;
        let sequence = *sequence;
        let state = &self.states[id as usize];
        let reference = ruler.reference;
        let moved = |f: fn(f64, f64) -> f64| -> Reading { Ok(f(moment.price?, reference?.price)) };
        let kind = what.kind();
        let tier = tiers.at(episode.tier);
        let window = if let Ok("desk") = reference.map(|r| r.basis) {
            Err(Unknown::DeskReference)
        } else {
            window_of(state, session)
        };
        let phase = if moment.is_close { Phase::Close } else { state.phase_at(moment.ts) };
        let seen = (moment.ts, moment.price, moment.z);
        let intraday = self.day_reading(id, (session, phase), ruler, seen);
        let survival = match episode.state {
            AlertState::Provisional => self.survival_of(moment.z, intraday.ruler, episode.direction),
            _ => Err(Unknown::Settled),
        };
        let next_tiers = match (ruler.reference, ruler.sigma.usable()) {
            (Ok(r), Some(sigma)) => {
                let above = tiers.tiers.iter().filter(|t| **t > tier);
                let price = |t: &f64| threshold_price(r.price, sigma, t * episode.direction.sign());
                // A desk's sigma may be so large that no price reaches a tier.
                let reachable = above.map(|t| NextTier { tier: *t, price: price(t) });
                reachable.filter(|next| next.price.is_finite() && next.price > 0.0).collect()
            }
            _ => Vec::new(),
        };
        let basis = close_basis(state, session, episode.state);
        let shares = session.and_then(|s| state.cold.history.shares_before(s));
        let usd = shares.ok_or(Unknown::NoShares).and_then(|shares| {
            let change = moved(|price, reference| price - reference)?;
            let value = shares * change;
            let record = session.map(|s| state.cold.history.record_rank(s, value));
            Ok(UsdChange { market_value_change: value, shares: Some(shares), basis, record })
        });
        let entity = Entity::Symbol(name.clone());
        let mut alert = Alert {
            alert_id: alert_id(RULE_SYMBOL, &entity, session, episode.direction, episode.number),
            revision: episode.revision,
            sequence,
            kind,
            state: episode.state,
            entity,
            groups: self.stage.groups_of(name.as_str(), session),
            rule: RuleRef {
                id: RULE_SYMBOL,
                version: RULE_VERSION,
                config_hash: self.params.config_hash.clone(),
                tiers: tiers.tiers.as_slice().into(),
            },
            session,
            phase,
            event_time: moment.ts,
            direction: episode.direction,
            tier,
            peak_tier: tiers.at(episode.peak),
            severity: severity(tier),
            z: moment.z,
            z_adjusted: intraday.z_adjusted,
            ruler: intraday.ruler,
            windows: intraday.windows,
            survival,
            sigma_daily: ruler.sigma.number().ok_or(Unknown::Warming),
            window: window.as_ref().map(|w| view_of(w)).map_err(|e| *e),
            modes: self.modes_of(id, session, moved(|price, reference| (price / reference).ln())),
            realized: self.realized_of(id, session, moment.ts, moment.price),
            log_return: moved(|price, reference| (price / reference).ln()),
            simple_return: moved(|price, reference| price / reference - 1.0),
            price: moment.price,
            reference: reference.map(|r| ReferencePrice {
                price: r.price,
                session: r.session,
                basis: r.basis,
                suspected_split: ruler.suspicion,
            }),
            gap: gap_of(state, session, phase, moment.price, reference.map(|r| r.price)),
            next_tiers,
            evidence: window,
            cluster: None,
            usd,
            quality: quality(state, session, ruler, (basis, intraday.ruler.ok()), phase, moment.price),
            events: state.events_of(session),
            source: moment.source.map(|(partition, offset)| Source { topic, partition, offset }).into_iter().collect(),
            summary: String::new(),
            fast_volatility: state.fast.volatility(),
            slow_volatility: state.slow.volatility(),
            episode: episode.number,
        };
        alert.summary = Sentence::of(&alert).to_string();
        alert
    }
}

/// Splits a move at the opening price of its session.
fn gap_of(
    state: &SymbolState,
    session: Option<SessionDate>,
    phase: Phase,
    price: Reading,
    reference: Reading,
) -> Result<GapView, Unknown> {
    let session = session.ok_or(Unknown::UnknownSession)?;
    if matches!(phase, Phase::Overnight | Phase::Pre) {
        return Err(Unknown::NotYet);
    }
    let (open, basis) = state.cold.day.opens.of(session).ok_or(Unknown::NoOpen)?;
    let (price, reference, open) = (price?, reference?, open.get());
    Ok(GapView { open, basis: basis.name(), overnight: (open / reference).ln(), intraday: (price / open).ln() })
}

type Window = Result<Vec<(SessionDate, f64)>, Unknown>;

fn window_of(state: &SymbolState, session: Option<SessionDate>) -> Window {
    let window = state.cold.history.window(session.ok_or(Unknown::UnknownSession)?);
    if window.is_empty() { Err(Unknown::Warming) } else { Ok(window) }
}

/// What an alert says of its window; of an empty one there is nothing to say.
pub(crate) fn view_of(window: &[(SessionDate, f64)]) -> WindowView {
    let max_abs_return = window.iter().fold(0.0_f64, |m, (_, r)| m.max(r.abs()));
    let edge = |at: Option<&(SessionDate, f64)>| at.map_or(SessionDate::MIN, |(s, _)| *s);
    let echo = window_echo(window).map(|e| e.view());
    WindowView { n: window.len(), first: edge(window.first()), last: edge(window.last()), max_abs_return, echo }
}

/// What the deciding price is: provisional until a close decides.
fn close_basis(state: &SymbolState, session: Option<SessionDate>, settled: AlertState) -> &'static str {
    match (settled, session.and_then(|s| state.cold.history.close(s))) {
        (AlertState::Confirmed | AlertState::Faded, Some(close)) => close.basis.name(),
        _ => "provisional",
    }
}

fn quality(
    state: &SymbolState,
    session: Option<SessionDate>,
    ruler: &Ruler,
    (basis, clock): (&'static str, Option<RulerView>),
    phase: Phase,
    price: Reading,
) -> Vec<Arc<str>> {
    let mut flags = state.cold.flags.clone();
    if phase == Phase::Pre {
        flags.push("EXTENDED".into());
    }
    // At a limit the price is held: the move may be larger.
    if let (Some((lower, upper)), Ok(price), Phase::Regular) = (state.cold.limits, price, phase)
        && (price <= lower || price >= upper)
    {
        flags.push("LIMIT_STATE".into());
    }
    let mut known = ruler.reference.map(|r| r.flags).unwrap_or_default();
    known.add(session.map(|s| state.cold.history.calm(s, ruler.sigma)).unwrap_or_default());
    if ruler.suspicion.is_some() {
        known.set(Flag::SuspectedSplit);
    }
    flags.extend(known.names().map(Arc::from));
    if basis == "last" {
        flags.push("CLOSE_BASIS_LAST".into());
    }
    match ruler.reference {
        Ok(r) if r.basis == "desk" => flags.push("DESK_REFERENCE".into()),
        Ok(r) if r.basis != "official" => flags.push("REF_PROVISIONAL".into()),
        _ => {}
    }
    if let Sigma::Insufficient(_) = ruler.sigma {
        flags.push("INSUFFICIENT_VARIANCE".into());
    }
    // At the close the whole day's variance has passed, however it came.
    if clock.is_some_and(|c| c.is_default() && c.elapsed < 1.0) {
        flags.push("RULER_DEFAULT".into());
    }
    flags.sort();
    flags
}
