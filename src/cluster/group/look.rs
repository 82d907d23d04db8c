//! A group as it looks at one moment.

use super::Group;
use crate::cluster::company::{self, Company};
use crate::cluster::level::Level;
use crate::cluster::losses::Loss;
use crate::cluster::panel::Key;
use crate::cluster::reading::{self, MemberReading, Rank, Reading};
use crate::cluster::universe::{UniverseReading, largest_of, read_universe};
use crate::cluster::view::GroupView;
use crate::domain::{self, SessionDate, Symbol, Unknown};
use crate::estimators::{ShrunkCovariance, WINDOW, sample_sigma};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group read off the lines of its securities.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The members, share classes of a company as one.
    pub(super) members: Vec<MemberReading>,
    /// Those of them that are companies.
    pub(super) companies: BTreeMap<Symbol, Company>,
    pub(super) reading: Reading,
    /// Breadth over the group itself, share classes apart.
    pub(super) own: UniverseReading,
    /// Where that breadth stands in its own past.
    pub(super) breadth_rank: Rank,
    /// Multiple of the index above.
    pub(super) benchmark_z: domain::Reading,
    /// Mean and covariance of the members with a known return.
    pub(super) usual: Result<Arc<ShrunkCovariance>, Unknown>,
}

impl Look {
    /// What a member goes under from session to session: its company's name, or its symbol.
    pub(super) fn key(&self, symbol: &Symbol) -> Key {
        key(&self.companies, symbol)
    }
}

fn key(companies: &BTreeMap<Symbol, Company>, symbol: &Symbol) -> Key {
    companies.get(symbol).map_or_else(|| Arc::from(symbol.as_str()), |c| c.name.clone())
}

impl Group {
    /// Reads the group off the lines of all that it follows, by symbol, as if those of `except` had never been in it.
    pub(super) fn look(&mut self, session: SessionDate, lines: &[MemberReading], except: &[Symbol]) -> Look {
        let of = |inside: &dyn Fn(&MemberReading) -> bool, largest: Option<usize>| {
            largest_of(lines.iter().filter(|l| inside(l)).cloned().collect(), largest)
        };
        // Who is next in size does not move up.
        let is_left = |symbol: &Symbol| !except.contains(symbol);
        let mut own = of(&|l| self.roster.holds(l.symbol.as_str(), session), self.params.largest);
        let (all, companies) = company::merge(&own, |s| self.roster.company(s, session));
        own.retain(|l| is_left(&l.symbol));
        let members: Vec<MemberReading> = all.iter().filter(|m| is_left(&m.symbol)).cloned().collect();
        let mut reading = reading::read(&self.params, &members, self.sigma(session));
        let universe = |lines, roster: &super::Roster| {
            let sector = |l: &MemberReading| roster.of(l.symbol.as_str(), session).and_then(|m| m.sector.clone());
            read_universe(lines, sector, self.params.breach_at, self.params.coverage_min)
        };
        let own = universe(own, &self.roster);
        self.breadths.look_from(session);
        let breadth_rank = own.breadth.and_then(|b| self.breadths.rank(0, b).ok_or(Unknown::ShortHistory));
        let mut usual = Err(Unknown::NotComputed);
        if let Some(composite) = self.params.composite() {
            reading.universe = Some(if composite.universe == self.params.name {
                own.clone()
            } else {
                let mut around = of(&|l| self.around.holds(l.symbol.as_str(), session), composite.universe_largest);
                around.retain(|l| is_left(&l.symbol));
                universe(around, &self.around)
            });
            usual = self.usual(session, &all, &companies, &is_left);
            reading.turbulence = reading.basket_return.and_then(|_| {
                let known: Vec<f64> = members.iter().filter_map(|m| m.log_return.ok()).collect();
                usual.clone()?.turbulence(&known).ok_or(Unknown::InsufficientVariance)
            });
            self.legs.look_from(session);
            reading.rank_by(&self.params, |leg, value| self.legs.rank(leg, value).ok_or(Unknown::ShortHistory));
        }
        let benchmark = lines.iter().find(|l| self.params.benchmark.as_ref() == Some(&l.symbol));
        let benchmark_z = benchmark.map_or(Err(Unknown::NotYet), |l| l.z);
        Look { members, companies, reading, own, breadth_rank, benchmark_z, usual }
    }

    /// Mean and covariance of the members left that have a known return, as estimated of all of them together.
    fn usual(
        &mut self,
        session: SessionDate,
        members: &[MemberReading],
        companies: &BTreeMap<Symbol, Company>,
        is_left: &impl Fn(&Symbol) -> bool,
    ) -> Result<Arc<ShrunkCovariance>, Unknown> {
        let keys: Vec<Key> = members.iter().map(|m| key(companies, &m.symbol)).collect();
        let all = self.panel.usual(session, &keys)?;
        let is_known = |m: &MemberReading| m.log_return.is_ok() && is_left(&m.symbol);
        let known: Vec<usize> = (0..members.len()).filter(|at| is_known(&members[*at])).collect();
        Ok(if known.len() == members.len() { all } else { Arc::new(all.of(&known)) })
    }

    pub(super) fn window(&self, session: SessionDate) -> &[(SessionDate, f64)] {
        let end = self.returns.partition_point(|(s, _)| *s < session);
        &self.returns[end.saturating_sub(WINDOW)..end]
    }

    pub(super) fn sigma(&self, session: SessionDate) -> domain::Reading {
        let window: Vec<f64> = self.window(session).iter().map(|(_, r)| *r).collect();
        if window.len() < WINDOW {
            return Err(Unknown::Warming);
        }
        sample_sigma(&window).filter(|s| *s > 0.0).ok_or(Unknown::InsufficientVariance)
    }

    pub(super) fn view_of(&self, session: SessionDate, look: &Look) -> GroupView {
        let reading = &look.reading;
        let level = reading.level;
        GroupView {
            name: self.params.name.clone(),
            session: Some(session),
            is_judged: self.params.is_judged(),
            level: level.map_or("UNKNOWN", Level::name),
            level_number: level.map_or(-1, |l| i8::try_from(l.number()).unwrap_or(0)),
            coverage: reading.coverage,
            basket_return: reading.basket_return,
            benchmark: self.params.benchmark.clone().map(|benchmark| (benchmark, look.benchmark_z)),
            legs: reading.legs(&self.params, level.unwrap_or(Level::Watch)),
            members: look.members.iter().map(|m| (m.symbol.clone(), m.z)).collect(),
            in_breach: reading::in_breach(&look.members, &self.params),
            breadth: look.own.tally,
            breadth_rank: look.breadth_rank,
            universe: reading.universe.as_ref().map(|u| u.tally),
            sectors: look.own.sectors.clone(),
            index: None,
            surface: None,
            derived: None,
            contagion: None,
            losses: self.losses.of(session),
            loss_records: self.losses.table(session),
        }
    }

    pub(in crate::cluster) fn view(&self) -> GroupView {
        if let (Some(look), Some(session)) = (&self.last, self.session) {
            let view = self.as_of_close(self.view_of(session, look));
            // While the session runs, its losses stand where they would if it closed now.
            let is_over = self.settled_until.is_some_and(|settled| session <= settled);
            let losses = if is_over { view.losses } else { self.losses.with(session, losses_of(session, look)) };
            return GroupView { losses, ..view };
        }
        let reading = reading::read(&self.params, &[], Err(Unknown::Warming));
        let own = read_universe(Vec::new(), |_| None, self.params.breach_at, self.params.coverage_min);
        let (members, companies, usual) = (Vec::new(), BTreeMap::new(), Err(Unknown::Warming));
        let breadth_rank = Err(Unknown::Warming);
        let benchmark_z = Err(Unknown::NotYet);
        let nothing = Look { members, companies, reading, own, breadth_rank, benchmark_z, usual };
        GroupView { session: None, ..self.as_of_close(self.view_of(SessionDate::MIN, &nothing)) }
    }

    /// With what is told of the last close alone.
    fn as_of_close(&self, view: GroupView) -> GroupView {
        let (index, surface, derived) = (self.year_to_date.clone(), self.surface.clone(), self.derived.clone());
        GroupView { index, surface, derived, contagion: self.contagion_view.clone(), ..view }
    }

    pub(in crate::cluster) fn closes(&self) -> impl Iterator<Item = &GroupView> {
        self.closes.values()
    }
}

/// What companies of a group lose in a session.
pub(super) fn losses_of(session: SessionDate, look: &Look) -> impl Iterator<Item = Loss> {
    look.members.iter().filter_map(move |member| {
        let change = member.change().filter(|change| *change < 0.0)?;
        Some(Loss {
            symbol: member.symbol.clone(),
            company: look.companies.get(&member.symbol).map(|c| c.name.clone()),
            session,
            usd: -change,
            log_return: member.log_return.ok()?,
            market_value: member.market_value?,
            shares: member.shares,
            basis: member.basis,
            rank: 0,
        })
    })
}
