//! The engine as it stands, for the board, the API and the metrics.

use super::Engine;
use super::state::{SymbolState, SymbolView};
use crate::domain::{NANOS_PER_SEC, Phase, Symbol, UnixNanos, Unknown};
use crate::market::Located;

/// How much of the input is not to be trusted right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InputHealth {
    /// Symbols silent for longer than their own rhythm explains.
    pub stale: u64,
    /// Symbols whose trading stands still.
    pub halted: u64,
}

/// What the metrics say of a symbol.
#[derive(Clone, PartialEq, Debug)]
pub struct SymbolReading {
    /// Which.
    pub symbol: Symbol,
    /// Multiple of the newest price; `None` while not known.
    pub z: Option<f64>,
    /// Volatility before the session.
    pub sigma_daily: Option<f64>,
    /// Tier held, 0 without an open episode.
    pub tier: f64,
}

impl Engine {
    /// Whether groups are judged here, by members of all partitions at hand.
    pub fn spans_partitions(&self) -> bool {
        self.judges_groups() && self.stage.members_len() > 0
    }

    /// How often a symbol came from another partition than before, and the last one that did.
    pub fn moved(&self) -> Option<(u64, &str)> {
        self.moved.as_ref().map(|(count, symbol)| (*count, symbol.as_str()))
    }

    /// The newest event time of a partition.
    pub fn partition_time(&self, partition: i32) -> Option<UnixNanos> {
        self.partitions.get(&partition).map(|c| c.event_time).filter(|t| *t > UnixNanos::MIN)
    }

    /// One symbol as it stands.
    pub fn symbol(&self, symbol: &str) -> Option<SymbolView> {
        Some(self.view(self.index.get(symbol)?))
    }

    fn view(&self, id: u32) -> SymbolView {
        let state = &self.states[id as usize];
        let cold = &state.cold;
        let phase = if cold.closed { Phase::Close } else { cold.phase };
        let price = if state.last_price > 0.0 { Ok(state.last_price) } else { Err(Unknown::NoPrice) };
        let seen = (state.last_ts, price, state.z_now());
        let day = self.day_reading(id, (cold.session.map(|s| s.date), phase), &cold.ruler, seen);
        let mut view = state.view(&self.params, day);
        view.is_stale = self.is_stale(state);
        if view.is_stale {
            // The last multiple says nothing of the present.
            view.z = view.z.and(Err(Unknown::Stale));
        }
        view
    }

    /// Whether a symbol has been silent for longer than its own rhythm explains, while its partition went on
    /// through a regular session and trading did not stand still.
    pub(super) fn is_stale(&self, state: &SymbolState) -> bool {
        let Some(clock) = self.partitions.get(&state.partition) else { return false };
        let silent = clock.event_time.since(state.last_ts) as f64 / NANOS_PER_SEC as f64;
        if state.last_price <= 0.0 || state.cold.halt.is_some() || silent <= state.stale_after(&self.params) {
            return false;
        }
        match self.params.calendar.as_deref().map(|c| c.locate(clock.event_time)) {
            Some(Located::Known(at)) => at.phase == Phase::Regular,
            Some(Located::Unknown { .. }) => false,
            None => true,
        }
    }

    /// What a desk should know of the input before it trusts a calm board.
    pub fn input_health(&self) -> InputHealth {
        let mut health = InputHealth::default();
        for state in &self.states {
            health.stale += u64::from(self.is_stale(state));
            health.halted += u64::from(state.cold.halt.is_some());
        }
        health
    }

    /// Every symbol as it stands, in order of first sight.
    pub fn symbols(&self) -> impl Iterator<Item = SymbolView> {
        (0_u32..).take(self.states.len()).map(|id| self.view(id))
    }

    fn reading(&self, id: u32) -> SymbolReading {
        let state = &self.states[id as usize];
        let held = state.cold.episodes.current.as_ref();
        SymbolReading {
            symbol: state.cold.symbol.clone(),
            // The last multiple of one that has gone silent says nothing of the present.
            z: state.z_now().ok().filter(|_| !self.is_stale(state)),
            sigma_daily: state.cold.ruler.sigma.number(),
            tier: held.map_or(0.0, |e| self.params.rules.at(e.tier)),
        }
    }

    /// What the metrics say of every symbol, in order of first sight.
    pub fn readings(&self) -> impl Iterator<Item = SymbolReading> {
        (0_u32..).take(self.states.len()).map(|id| self.reading(id))
    }

    /// What they say of one.
    pub fn reading_of(&self, symbol: &Symbol) -> Option<SymbolReading> {
        Some(self.reading(self.index.get(symbol.as_str())?))
    }

    /// What they say of the `n` with the largest absolute multiple, largest first.
    pub fn most_stressed_readings(&self, n: usize) -> Vec<SymbolReading> {
        self.stressed(n).into_iter().map(|id| self.reading(id)).collect()
    }

    /// The `n` symbols with the largest absolute multiple, largest first.
    pub fn most_stressed(&self, n: usize) -> Vec<SymbolView> {
        self.stressed(n).into_iter().map(|id| self.view(id)).collect()
    }

    fn stressed(&self, n: usize) -> Vec<u32> {
        let mut ranked: Vec<(f64, u32)> = Vec::new();
        for (id, state) in (0_u32..).zip(&self.states) {
            if let Ok(z) = state.z_now()
                && !self.is_stale(state)
            {
                ranked.push((z.abs(), id));
            }
        }
        let by_size = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if ranked.len() > n {
            ranked.select_nth_unstable_by(n, by_size);
            ranked.truncate(n);
        }
        ranked.sort_by(by_size);
        ranked.into_iter().map(|(_, id)| id).collect()
    }
}
