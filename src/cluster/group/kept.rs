//! What a group keeps of earlier sessions, as plain numbers for snapshots.

use super::Group;
use super::image::date;
use crate::cluster::contagion::{Contagion, ContagionImage, ContagionParams};
use crate::cluster::index::{DayCount, Index, Leader};
use crate::cluster::legs::{DayRow, LegValues, Past};
use crate::cluster::losses::{LOSSES_KEPT, Loss};
use crate::cluster::panel::{Panel, PanelMember, SESSIONS_KEPT};
use crate::cluster::surface::SurfaceImage;
use crate::domain::{CloseBasis, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What later sessions are compared with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct KeptImage {
    /// Names of members, by which the returns are told.
    names: Vec<String>,
    /// Session, and the log return of each member by its place among the names.
    panel: Vec<(i32, Vec<(u32, f64)>)>,
    /// Members of each of those sessions, by place among the names.
    memberships: Vec<(i32, Vec<u32>)>,
    /// Members of the newest: place, symbol, market value before it.
    members: Vec<(u32, String, Option<f64>)>,
    legs: Vec<(i32, LegValues)>,
    surfaces: SurfaceImage,
    breadths: RowsImage<1>,
    contagion: ContagionImage,
    /// Session, universe, valid, events, sum of absolute multiples.
    counts: Vec<(i32, String, u32, u32, f64)>,
    year: i32,
    /// Symbol, session, multiple: up, then down.
    leaders: [Vec<(String, i32, f64)>; 2],
    losses: Vec<LossImage>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct LossImage {
    symbol: String,
    company: Option<String>,
    session: i32,
    usd: f64,
    log_return: f64,
    market_value: f64,
    shares: Option<f64>,
    basis: Option<u8>,
}

/// Sessions with their measures.
type RowsImage<const N: usize> = Vec<(i32, [Option<f64>; N])>;

fn rows_image<const N: usize>(past: &Past<N>) -> RowsImage<N> {
    past.own().iter().map(|r| (r.session.days(), r.values)).collect()
}

fn restore_rows<const N: usize>(past: &mut Past<N>, image: RowsImage<N>) {
    *past = past.emptied();
    for (session, values) in image {
        past.keep(DayRow { session: date(session), values: values.map(|v| v.filter(|v| v.is_finite())) });
    }
}

impl Group {
    pub(super) fn kept_image(&self) -> KeptImage {
        let mut names: Vec<&Arc<str>> = self.panel.sessions().values().flat_map(BTreeMap::keys).collect();
        names.extend(self.panel.memberships().values().flatten());
        names.extend(self.panel.members().keys());
        names.sort();
        names.dedup();
        let place = |key: &Arc<str>| u32::try_from(names.binary_search(&key).unwrap_or(0)).unwrap_or(0);
        let row = |returns: &BTreeMap<Arc<str>, f64>| returns.iter().map(|(k, r)| (place(k), *r)).collect();
        let leader = |l: &Leader| (l.symbol.to_string(), l.session.days(), l.z);
        let count = |d: &DayCount| (d.session.days(), d.universe.to_string(), d.valid, d.events, d.abs_z_sum);
        let loss = |l: &Loss| LossImage {
            symbol: l.symbol.to_string(),
            company: l.company.as_ref().map(ToString::to_string),
            session: l.session.days(),
            usd: l.usd,
            log_return: l.log_return,
            market_value: l.market_value,
            shares: l.shares,
            basis: l.basis.map(CloseBasis::number),
        };
        KeptImage {
            panel: self.panel.sessions().iter().map(|(s, returns)| (s.days(), row(returns))).collect(),
            memberships: self
                .panel
                .memberships()
                .iter()
                .map(|(s, keys)| (s.days(), keys.iter().map(place).collect()))
                .collect(),
            members: self.panel.members().iter().map(|(key, m)| (place(key), m.symbol.to_string(), m.value)).collect(),
            surfaces: rows_image(&self.surfaces),
            breadths: rows_image(&self.breadths),
            contagion: self.contagion.image(),
            legs: rows_image(&self.legs),
            counts: self.index.own.iter().map(count).collect(),
            year: self.index.year,
            leaders: self.index.leaders.each_ref().map(|side| side.iter().map(leader).collect()),
            losses: self.losses.kept().iter().map(loss).collect(),
            names: names.into_iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn restore_kept(&mut self, image: KeptImage) {
        let names: Vec<Arc<str>> = image.names.into_iter().map(Arc::from).collect();
        let name = |place: u32| names.get(usize::try_from(place).ok()?).cloned();
        let by_key = |row: Vec<(u32, f64)>| -> BTreeMap<Arc<str>, f64> {
            let known = row.into_iter().filter(|(_, number)| number.is_finite());
            known.filter_map(|(place, number)| Some((name(place)?, number))).collect()
        };
        self.panel = Panel::default();
        let member = |(place, symbol, value): (u32, String, Option<f64>)| {
            let value = value.filter(|v| v.is_finite());
            Some((name(place)?, PanelMember { symbol: Symbol::new(&symbol).ok()?, value }))
        };
        let members: BTreeMap<Arc<str>, PanelMember> = image.members.into_iter().filter_map(member).collect();
        let newest = image.panel.len().saturating_sub(SESSIONS_KEPT);
        for (session, row) in image.panel.into_iter().skip(newest) {
            self.panel.keep(date(session), by_key(row), members.clone());
        }
        for (session, places) in image.memberships {
            if self.panel.sessions().contains_key(&date(session)) {
                self.panel.set_memberships(date(session), places.into_iter().filter_map(name).collect());
            }
        }
        restore_rows(&mut self.legs, image.legs);
        restore_rows(&mut self.surfaces, image.surfaces);
        restore_rows(&mut self.breadths, image.breadths);
        (self.surface, self.derived) = (None, None);
        self.read_surface();
        self.contagion = Contagion::restore(ContagionParams::default(), image.contagion);
        self.view_contagion();
        let leader = |(symbol, session, z): (String, i32, f64)| {
            Some(Leader { symbol: Symbol::new(&symbol).ok()?, session: date(session), z })
        };
        let side = |list: Vec<_>| list.into_iter().filter_map(leader).filter(|l| l.z.is_finite()).collect();
        let count = |(session, universe, valid, events, sum): (i32, String, u32, u32, f64)| {
            DayCount::new(date(session), universe.into(), valid, events, sum)
        };
        let counts = image.counts.into_iter().filter(|(.., sum)| sum.is_finite()).map(count).collect();
        self.index = Index { year: image.year, leaders: image.leaders.map(side), ..self.index.with(counts) };
        let last = self.index.own.last().map(|d| d.session);
        self.year_to_date = last.and_then(|s| self.index.year_to_date(s));
        self.losses = self.losses.emptied();
        let loss = |l: LossImage| {
            Some(Loss {
                symbol: Symbol::new(&l.symbol).ok()?,
                company: l.company.map(Arc::from),
                session: date(l.session),
                usd: l.usd,
                log_return: l.log_return,
                market_value: l.market_value,
                shares: l.shares.filter(|s| s.is_finite()),
                basis: l.basis.and_then(CloseBasis::from_number),
                rank: 0,
            })
        };
        image.losses.into_iter().take(LOSSES_KEPT).filter_map(loss).for_each(|l| self.losses.keep(l));
    }
}
