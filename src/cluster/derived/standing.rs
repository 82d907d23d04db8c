//! Engine or drag: which members have led the index since a date, and which have held it back.

mod window;

use super::{Feeding, without};
use crate::domain::{self, SessionDate, Symbol, Unknown};
use std::collections::{BTreeMap, VecDeque, btree_map::Entry};
use window::Window;

/// Members followed at most.
const MEMBERS_MAX: usize = 1_024;
/// Sessions of a trailing window at most.
const TRAILING_MAX: usize = 252;

/// Where returns are counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// The first session of the year: from the last close of the year before.
    Year,
    /// A session, its own return included: from the close before it.
    Since(SessionDate),
    /// So many sessions up to the one at hand, 1 to 252.
    Trailing(usize),
}

/// What makes a member engine or drag.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StandingParams {
    /// Where returns are counted from.
    pub anchor: Anchor,
    /// Excess over the benchmark that makes a class.
    pub threshold: f64,
    /// How far the excess has to fall below that again before the class is left.
    pub hysteresis: f64,
}

impl StandingParams {
    /// One percent, half a percent.
    pub fn since(anchor: Anchor) -> Self {
        Self { anchor, threshold: 0.01, hysteresis: 0.005 }
    }

    fn is_valid(&self) -> bool {
        let is_length = !matches!(self.anchor, Anchor::Trailing(n) if !(1..=TRAILING_MAX).contains(&n));
        is_length
            && self.threshold > 0.0
            && self.threshold.is_finite()
            && (0.0..=self.threshold).contains(&self.hysteresis)
    }
}

/// What a member is to the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It leads, and rises.
    Engine,
    /// Neither.
    Neutral,
    /// It lags.
    Drag,
}

impl Standing {
    /// The name in views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "ENGINE",
            Self::Neutral => "NEUTRAL",
            Self::Drag => "DRAG",
        }
    }
}

/// A member's session.
#[derive(Clone, PartialEq, Debug)]
pub struct SessionMove {
    /// Which.
    pub symbol: Symbol,
    /// Its log return, or why that is not known.
    pub log_return: domain::Reading,
    /// Its share of the index's market value before the session.
    pub weight: Option<f64>,
}

#[derive(Clone, PartialEq, Debug)]
struct Member {
    window: Window,
    class: Standing,
}

/// Engines and drags since an anchor, session by session.
///
/// `R = exp(sum r) - 1` over the sessions from the anchor on, `excess_i = R_i - R_I`. ENGINE from an excess of `threshold`
/// on with a positive contribution, DRAG from `-threshold` on, else NEUTRAL. A class is kept while the excess stays at or
/// beyond `threshold - hysteresis` on its side; an engine whose contribution is no longer positive is none at once.
/// The contribution since the anchor is `w_i R_i` with the weight before the anchor's session, exact for an index whose
/// shares do not change; its sign is that of `R_i`, so the class needs no weights.
///
/// The class depends on the sessions since the anchor, in their order; where the excess is not known it is not either,
/// and begins anew. A return that is missing leaves what is counted over it unknown until the anchor has moved on. A member
/// that a session does not name is forgotten; one that joins is unknown (`WARMING`) until the anchor lies behind its
/// first session. At most 1,024 members; two numbers for each, a trailing window keeps its sessions.
#[derive(Clone, PartialEq, Debug)]
pub struct Standings {
    params: StandingParams,
    /// Sessions counted of a trailing window; else the first one alone, and none before the anchor.
    dates: VecDeque<SessionDate>,
    as_of: Option<SessionDate>,
    benchmark: Window,
    members: BTreeMap<Symbol, Member>,
}

/// A member since the anchor.
#[derive(Clone, PartialEq, Debug)]
pub struct StandingLine {
    /// Which.
    pub symbol: Symbol,
    /// Its simple return.
    pub simple_return: domain::Reading,
    /// That less the benchmark's.
    pub excess: domain::Reading,
    /// What it added to the index.
    pub contribution: domain::Reading,
    /// What it is.
    pub standing: Result<Standing, Unknown>,
}

/// Engines and drags as of a session.
#[derive(Clone, PartialEq, Debug)]
pub struct StandingsView {
    /// How they are counted.
    pub params: StandingParams,
    /// The first session whose return counts; `None` before there is one.
    pub from: Option<SessionDate>,
    /// The last one; no figure here is of any other day.
    pub as_of: SessionDate,
    /// Sessions counted.
    pub sessions: usize,
    /// Simple return of the benchmark.
    pub benchmark: domain::Reading,
    /// Members by symbol.
    pub lines: Vec<StandingLine>,
    /// Members known to be engines, and drags.
    pub engines: usize,
    /// Members known to be drags.
    pub drags: usize,
    /// What the members added to the index together.
    pub contribution: domain::Reading,
    /// The benchmark's return without them.
    pub index_without: domain::Reading,
}

impl Standings {
    /// Nothing known yet; `None` where the trailing window is not within 1 and 252 sessions, the threshold is not positive
    /// and finite, or the hysteresis is not within 0 and the threshold.
    pub fn new(params: StandingParams) -> Option<Self> {
        let empty = || Window::new(&params.anchor);
        params.is_valid().then(|| Self {
            params,
            dates: VecDeque::new(),
            as_of: None,
            benchmark: empty(),
            members: BTreeMap::new(),
        })
    }

    /// Takes a session at its close. `previous` is the exchange's session before it: where that is not the last one told,
    /// the returns between are missing. Sessions come in their order.
    pub fn feed(
        &mut self,
        session: SessionDate,
        previous: SessionDate,
        benchmark: domain::Reading,
        moves: &[SessionMove],
    ) -> Feeding {
        if previous >= session || self.as_of.is_some_and(|last| session <= last) {
            return Feeding::Refused;
        }
        let is_gap = self.as_of.is_some_and(|last| last != previous);
        let is_start = match self.params.anchor {
            Anchor::Year => session.year_month_day().0 != previous.year_month_day().0,
            Anchor::Since(anchor) => previous < anchor && anchor <= session,
            Anchor::Trailing(_) => is_gap,
        };
        if is_start {
            self.dates.clear();
            self.benchmark.clear();
            self.members.clear();
        }
        let is_counted = is_start || !self.dates.is_empty() || matches!(self.params.anchor, Anchor::Trailing(_));
        let gap = if is_gap && !is_start { Err(Unknown::MissingSession) } else { Ok(0.0) };
        let across = |r: domain::Reading| gap.and(finite(r));
        self.as_of = Some(session);
        let told: BTreeMap<&Symbol, &SessionMove> = moves.iter().map(|m| (&m.symbol, m)).collect();
        self.members.retain(|symbol, _| told.contains_key(symbol));
        if is_counted {
            self.count(session);
            self.benchmark.push(across(benchmark), None);
        }
        let mut dropped = moves.len() - told.len();
        for (symbol, told) in told {
            let is_full = self.members.len() >= MEMBERS_MAX;
            let member = match self.members.entry(symbol.clone()) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(_) if is_full => {
                    dropped += 1;
                    continue;
                }
                Entry::Vacant(free) => {
                    free.insert(Member { window: Window::new(&self.params.anchor), class: Standing::Neutral })
                }
            };
            if is_counted {
                member.window.push(across(told.log_return), told.weight.filter(|w| (0.0..=1.0).contains(w)));
            }
            let since = member.window.simple_return(&self.benchmark);
            let excess = since.and_then(|r| Ok(r - self.benchmark.simple_return(&self.benchmark)?));
            member.class = match (excess, since) {
                (Ok(excess), Ok(since)) => classify(&self.params, member.class, excess, since),
                _ => Standing::Neutral,
            };
        }
        Feeding::Applied { dropped }
    }

    fn count(&mut self, session: SessionDate) {
        match self.params.anchor {
            Anchor::Trailing(n) => {
                self.dates.push_back(session);
                if self.dates.len() > n {
                    self.dates.pop_front();
                }
            }
            _ if self.dates.is_empty() => self.dates.push_back(session),
            _ => {}
        }
    }

    /// What is known after the last session; `None` before any.
    pub fn view(&self) -> Option<StandingsView> {
        let as_of = self.as_of?;
        let benchmark = self.benchmark.simple_return(&self.benchmark);
        let lines: Vec<StandingLine> = self.members.iter().map(|(symbol, m)| self.line(symbol, m, benchmark)).collect();
        let count = |class| lines.iter().filter(|l| l.standing == Ok(class)).count();
        let of_some = |sum: domain::Reading| if lines.is_empty() { Err(Unknown::NoMember) } else { sum };
        let contribution = of_some(lines.iter().map(|l| l.contribution).sum());
        let weight = of_some(self.members.values().map(|m| m.window.weight().ok_or(Unknown::NoWeights)).sum());
        Some(StandingsView {
            params: self.params,
            from: self.dates.front().copied(),
            as_of,
            sessions: self.benchmark.sessions(),
            benchmark,
            engines: count(Standing::Engine),
            drags: count(Standing::Drag),
            contribution,
            index_without: without(benchmark, contribution, weight),
            lines,
        })
    }

    fn line(&self, symbol: &Symbol, member: &Member, benchmark: domain::Reading) -> StandingLine {
        let simple_return = member.window.simple_return(&self.benchmark);
        let excess = simple_return.and_then(|r| Ok(r - benchmark?));
        let weighed = |r: f64| member.window.weight().map(|w| w * r).ok_or(Unknown::NoWeights);
        StandingLine {
            symbol: symbol.clone(),
            simple_return,
            excess,
            contribution: simple_return.and_then(weighed),
            standing: excess.map(|_| member.class),
        }
    }
}

fn finite(reading: domain::Reading) -> domain::Reading {
    reading.and_then(|r| if r.is_finite() { Ok(r) } else { Err(Unknown::NotComputed) })
}

fn classify(params: &StandingParams, held: Standing, excess: f64, simple_return: f64) -> Standing {
    let kept = params.threshold - params.hysteresis;
    let bound = |class| if held == class { kept } else { params.threshold };
    if excess >= bound(Standing::Engine) && simple_return > 0.0 {
        Standing::Engine
    } else if excess <= -bound(Standing::Drag) {
        Standing::Drag
    } else {
        Standing::Neutral
    }
}

#[cfg(test)]
mod tests;
