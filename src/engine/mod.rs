//! Per-symbol state and the one step function: `step(now, origin, observation) -> effects`.
//!
//! The engine owns every symbol's clock, price, decayed variances, daily history and episodes, and the
//! group stage behind them. It reads no clock, socket or file, and draws no random number: what it answers
//! follows from the records alone. A symbol's alerts follow from that symbol's own records and the
//! reference records, so they are the same however symbols are spread over partitions; groups wait for the
//! watermark. A tick that changes nothing costs a look-up, two decays, one logarithm and four comparisons.

mod actions;
mod admit;
mod alerts;
mod amend;
mod close;
mod day;
mod events;
mod held;
mod image;
mod index;
mod intraday;
mod journal;
mod market;
mod members;
mod params;
mod parked;
mod print;
mod realized;
mod reference;
mod renames;
mod replaying;
mod revise;
mod securities;
mod sentence;
mod session;
mod state;
mod status;
mod survival;
mod views;
mod watermark;

pub(crate) use alerts::{severity, view_of as window_view_of};
pub use image::{Digests, Elsewhere, EngineImage, GroupsImage, PartitionImage, digest, in_place};
pub use params::{FeedParams, Params, StaleRules, Universe};
pub(crate) use sentence::Sentence;
pub use state::SymbolView;
pub use survival::SurvivalScore;
pub use views::{InputHealth, SymbolReading};
pub use watermark::Watermark;

use crate::cluster::{GroupView, MemberRecord, Stage};
use crate::domain::{Alert, Observation, Outcome, Reference, SessionDate, Symbol, Tick, UnixNanos};
use crate::market::{Curves, Measure};
use index::Index;
use parked::Parked;
use renames::Renames;
use state::{NO_PARTITION, SymbolState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Event times from here on are refused: 2200-01-01T00:00:00Z.
pub const EVENT_TIME_MAX: UnixNanos = UnixNanos(7_258_118_400_000_000_000);

/// Where a record stands and when the log took it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Partition.
    pub partition: i32,
    /// Offset, or line number from 0.
    pub offset: i64,
    /// The log's own timestamp, where it has one.
    pub timestamp: Option<UnixNanos>,
}

/// How a reference record came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Among the market records, in their order.
    Market,
    /// On the reference topic, while running.
    Reference,
    /// History, or the reference topic as it stood at the start: known before the first market record.
    Initial,
}

/// What became of a record, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disposition {
    /// Its one outcome.
    pub outcome: Outcome,
    /// A short code from a fixed set; the label of dead-letter metrics.
    pub reason: &'static str,
}

impl Disposition {
    /// Taken, with all that it says.
    pub const APPLIED: Self = Self { outcome: Outcome::Applied, reason: "applied" };
    const DUPLICATE: Self = Self { outcome: Outcome::Duplicate, reason: "duplicate" };
    const LATE: Self = Self { outcome: Outcome::Late, reason: "late" };
    const FUTURE: Self = Self { outcome: Outcome::Rejected, reason: "future" };
    const TIME: Self = Self { outcome: Outcome::Rejected, reason: "event_time" };
    const NOT_A_SESSION: Self = Self { outcome: Outcome::Rejected, reason: "not_a_session" };
    const DIVIDEND: Self = Self { outcome: Outcome::Rejected, reason: "dividend_exceeds_price" };
    const RENAME: Self = Self { outcome: Outcome::Rejected, reason: "rename" };
    const RENAMES_FULL: Self = Self { outcome: Outcome::Rejected, reason: "renames_full" };
    const UNIVERSE_FULL: Self = Self { outcome: Outcome::Rejected, reason: "universe_full" };
    const FEEDS_FULL: Self = Self { outcome: Outcome::Rejected, reason: "feeds_full" };
    const UNKNOWN_SYMBOL: Self = Self { outcome: Outcome::UnknownSymbol, reason: "unknown_symbol" };
    const NO_CURVE: Self = Self { outcome: Outcome::Rejected, reason: "out_of_bounds" };
    const NOT_FINAL: Self = Self { outcome: Outcome::Ignored, reason: "bar_not_final" };
}

/// What should happen; the edge makes it happen.
#[derive(Default, Debug)]
pub struct Effects {
    /// Alerts, in order within each entity.
    pub alerts: Vec<Alert>,
    /// Measures at closes; a later line for the same symbol and session replaces the earlier.
    pub measures: Vec<(Symbol, Measure)>,
    /// Records that had waited, with their outcome.
    pub resolved: Vec<Resolved>,
    /// What members tell groups that are judged elsewhere; in order within each partition.
    pub members: Vec<MemberRecord>,
}

/// A record that waited in quarantine, and what became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// Where it stands.
    pub origin: Origin,
    /// Its one outcome.
    pub disposition: Disposition,
    /// What it said.
    pub tick: Tick<'static>,
    /// Whether its record held further observations, and had its outcome already.
    pub is_part: bool,
}

impl Effects {
    /// Empties the lists and keeps their memory.
    pub fn clear(&mut self) {
        self.alerts.clear();
        self.measures.clear();
        self.resolved.clear();
        self.members.clear();
    }
}

/// Symbols in breach at the close of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Breadth {
    /// Symbols with a close.
    pub count: u32,
    /// Of those, halted at the close: their price is an old one, and they are in none of the counts below.
    pub halted: u32,
    /// Of the others, with a known multiple.
    pub valid: u32,
    /// Of those, at or beyond the first tier upwards.
    pub up: u32,
    /// The same downwards.
    pub down: u32,
}

impl Breadth {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            halted: self.halted + other.halted,
            valid: self.valid + other.valid,
            up: self.up + other.up,
            down: self.down + other.down,
        }
    }

    /// Share of the valid symbols in breach; `None` without any.
    pub fn ratio(self) -> Option<f64> {
        (self.valid > 0).then(|| f64::from(self.up + self.down) / f64::from(self.valid))
    }
}

/// Clock of one input partition.
#[derive(Clone, PartialEq, Debug)]
struct PartitionClock {
    event_time: UnixNanos,
    heard_at: UnixNanos,
    /// Newest event time of each feed that holds the watermark.
    feeds: BTreeMap<u16, UnixNanos>,
    /// How far groups that are judged elsewhere were told that it has come.
    told: UnixNanos,
}

/// The engine of one lane.
pub struct Engine {
    params: Params,
    index: Index,
    states: Vec<SymbolState>,
    feeds: Vec<Arc<str>>,
    partitions: BTreeMap<i32, PartitionClock>,
    stage: Stage,
    /// Symbols whose price a group follows.
    tracked: Vec<u32>,
    /// Symbols whose close came on the reference topic before their market records reached it.
    awaiting_close: Vec<u32>,
    /// Symbols with prints in quarantine.
    quarantined: Vec<u32>,
    /// Whether the record at hand holds further observations.
    is_part: bool,
    renames: Renames,
    /// Securities whose names a rename touches.
    by_origin: BTreeMap<renames::Origin, u32>,
    /// Reference records that a restored symbol has not been told of.
    news: Vec<revise::News>,
    /// Partitions whose records are read again: what follows from them has been said.
    replaying: BTreeSet<i32>,
    /// What members say, where groups are judged elsewhere.
    outbox: Option<members::Outbox>,
    /// How often a symbol came from another partition than before, and the last one that did.
    moved: Option<(u64, Symbol)>,
    /// Symbols that have left a partition, as they were then.
    departed: Option<Box<Engine>>,
    breadth: BTreeMap<SessionDate, Breadth>,
    survival: BTreeMap<SessionDate, SurvivalScore>,
    curves: Curves,
    /// Symbols of restored partitions that are still encoded.
    parked: Parked,
}

impl Engine {
    /// An engine without state.
    pub fn new(params: Params) -> Self {
        let stage = Stage::new(&params.groups, &params.config_hash);
        Self {
            params,
            index: Index::default(),
            states: Vec::new(),
            feeds: vec![Arc::from("")],
            partitions: BTreeMap::new(),
            stage,
            tracked: Vec::new(),
            awaiting_close: Vec::new(),
            quarantined: Vec::new(),
            is_part: false,
            renames: Renames::default(),
            by_origin: BTreeMap::new(),
            news: Vec::new(),
            replaying: BTreeSet::new(),
            outbox: None,
            moved: None,
            departed: None,
            breadth: BTreeMap::new(),
            survival: BTreeMap::new(),
            curves: Curves::default(),
            parked: Parked::default(),
        }
    }

    /// Takes one record of the market input: its outcome, or `None` while it waits in quarantine and until
    /// [`Effects::resolved`] has it. A record of a partition that is being replayed raises no alert.
    ///
    /// `now` is wall time and reaches no result: it dates the partition's last sign of life. `is_part` says that
    /// the record holds further observations, and so has its outcome whatever becomes of this one. Effects are
    /// appended to `effects`.
    pub fn step(
        &mut self,
        now: UnixNanos,
        origin: &Origin,
        observation: &Observation<'_>,
        is_part: bool,
        effects: &mut Effects,
    ) -> Option<Disposition> {
        if !self.replaying.is_empty() && self.replaying.contains(&origin.partition) {
            let before = effects.alerts.len();
            let disposition = self.observe(now, origin, observation, is_part, effects);
            effects.alerts.truncate(before);
            self.tell_after(origin, effects);
            return disposition;
        }
        let disposition = self.observe(now, origin, observation, is_part, effects);
        if self.outbox.is_some() {
            self.tell_after(origin, effects);
        }
        disposition
    }

    #[inline]
    fn observe(
        &mut self,
        now: UnixNanos,
        origin: &Origin,
        observation: &Observation<'_>,
        is_part: bool,
        effects: &mut Effects,
    ) -> Option<Disposition> {
        self.is_part = is_part;
        if !self.news.is_empty() {
            self.catch_up(effects);
        }
        let (event_time, disposition) = match observation {
            Observation::Tick(tick) => (tick.ts, self.tick(origin, tick, effects)),
            Observation::Bar(bar) => {
                let (end, disposition) = self.bar(origin, bar, effects);
                (end, Some(disposition))
            }
            Observation::Reference(record) => {
                let disposition = self.reference(Channel::Market, Some(origin), record, effects);
                (self.closing_time(record), Some(disposition))
            }
            Observation::Heartbeat(beat) => {
                let refusal = self.check_time(origin, beat.ts).err();
                (beat.ts, Some(refusal.unwrap_or(Disposition::APPLIED)))
            }
            Observation::Amendment(amendment) => (amendment.ts, Some(self.amendment(origin, amendment, effects))),
            Observation::Status(status) => (status.ts, Some(self.status(origin, status, effects))),
        };
        // A record in quarantine is a sign of life, and moves no clock.
        let reached = match disposition {
            Some(d) if matches!(d.outcome, Outcome::Applied | Outcome::Duplicate) => event_time,
            None => UnixNanos::MIN,
            Some(_) => return disposition,
        };
        let clock = self.partition_clock(origin.partition, now);
        clock.heard_at = now;
        clock.event_time = clock.event_time.max(reached);
        if !self.params.feeds.is_empty() {
            self.hear_feed(origin.partition, observation, reached);
        }
        disposition
    }

    fn partition_clock(&mut self, partition: i32, now: UnixNanos) -> &mut PartitionClock {
        let fresh = || PartitionClock {
            event_time: UnixNanos::MIN,
            heard_at: now,
            feeds: BTreeMap::new(),
            told: UnixNanos::MIN,
        };
        self.partitions.entry(partition).or_insert_with(fresh)
    }

    /// Moves a partition's clock on.
    fn reach(&mut self, origin: &Origin, event_time: UnixNanos) {
        if let Some(clock) = self.partitions.get_mut(&origin.partition) {
            clock.event_time = clock.event_time.max(event_time);
        }
    }

    /// When a close stands, so that a feed of closes alone moves event time; no other reference record does.
    fn closing_time(&self, record: &Reference) -> UnixNanos {
        let (session, ts) = match record {
            Reference::Close { session, ts, .. } => (session, *ts),
            Reference::Daily { session, .. } => (session, None),
            _ => return UnixNanos::MIN,
        };
        let close = || self.params.calendar.as_deref()?.session(*session).map(|s| s.close);
        ts.or_else(close).unwrap_or(UnixNanos::MIN)
    }

    fn check_time(&self, origin: &Origin, ts: UnixNanos) -> Result<(), Disposition> {
        if ts < UnixNanos(0) || ts >= EVENT_TIME_MAX {
            return Err(Disposition::TIME);
        }
        match origin.timestamp {
            Some(logged) if ts > logged.plus(self.params.lead_max) => Err(Disposition::FUTURE),
            _ => Ok(()),
        }
    }

    /// The symbol's number, given on first sight.
    fn admit(&mut self, symbol: &str) -> Result<u32, Disposition> {
        if let Some(id) = self.index.get(symbol) {
            self.wake(id);
            return Ok(id);
        }
        if let Universe::Listed(listed) = &self.params.universe
            && !listed.contains(symbol)
        {
            return Err(Disposition::UNKNOWN_SYMBOL);
        }
        let name = Symbol::new(symbol).map_err(|_| Disposition::UNKNOWN_SYMBOL)?;
        let id = u32::try_from(self.states.len()).map_err(|_| Disposition::UNIVERSE_FULL)?;
        if self.states.len() >= self.params.symbols_max {
            return Err(Disposition::UNIVERSE_FULL);
        }
        self.states.push(SymbolState::new(name.clone(), &self.params));
        self.index.insert(&name, id);
        if self.stage.follows(symbol) {
            self.track(id);
        }
        Ok(id)
    }

    fn track(&mut self, id: u32) {
        if !self.tracked.contains(&id) {
            self.tracked.push(id);
        }
        // A rename may have put another's state in its place.
        let state = &mut self.states[id as usize];
        if !state.is_tracked {
            state.start_tracking();
        }
    }

    /// Goes on under other rules: tiers and their timing, half-lives, feeds, time bounds, universe, and the
    /// bounds of the groups there are. Calendar, return mode, modes, groups and their members stay until a restart.
    pub fn reload(&mut self, fresh: Params) {
        let Params { topic, calendar, return_mode, modes, groups, group_interval, .. } = self.params.clone();
        self.stage.reload(&fresh.groups, &fresh.config_hash);
        let kept = Params { topic, calendar, return_mode, modes, groups, group_interval, ..fresh };
        let old = std::mem::replace(&mut self.params, kept);
        for state in &mut self.states {
            state.cold.retier(&old.rules, &self.params.rules);
            state.set_ruler(&self.params);
            // What was decided by the old rules is not gone through again by the new ones.
            if state.cold.session.is_some() {
                state.begin_journal(&self.params);
            }
        }
    }

    /// Notes which partition a symbol's record came from.
    fn read_from(&mut self, id: u32, partition: i32) {
        let state = &mut self.states[id as usize];
        if state.partition != partition {
            if state.partition != NO_PARTITION {
                let count = self.moved.as_ref().map_or(0, |(count, _)| *count);
                self.moved = Some((count + 1, state.cold.symbol.clone()));
            }
            state.partition = partition;
        }
    }

    /// The rule parameters in force.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Symbols known.
    pub fn symbols_len(&self) -> usize {
        self.states.len()
    }

    /// Records of a partition that wait in quarantine.
    pub fn quarantined(&self, partition: i32) -> u64 {
        let states = self.quarantined.iter().map(|id| &self.states[*id as usize]);
        let held = states.filter(|s| s.partition == partition).flat_map(|s| s.cold.quarantine.held());
        held.filter(|h| !h.record.is_part).count() as u64
    }

    /// Every group as it stands.
    pub fn groups(&self) -> Vec<GroupView> {
        self.stage.views()
    }

    /// Those of them that a log of their own feeds here.
    pub fn fed_groups(&self) -> Vec<GroupView> {
        self.stage.fed_views()
    }

    /// Sessions settled by every group, with the group's reading at each close.
    pub fn group_closes(&self) -> BTreeMap<SessionDate, Vec<GroupView>> {
        self.stage.closes()
    }

    /// Symbols in breach at each session's close.
    pub fn breadth(&self) -> &BTreeMap<SessionDate, Breadth> {
        &self.breadth
    }

    /// Survival forecasts of each session against its closes.
    pub fn survival(&self) -> &BTreeMap<SessionDate, SurvivalScore> {
        &self.survival
    }
}
