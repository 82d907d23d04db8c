//! The state of the engine as plain numbers, for snapshots: one image a partition, one for the groups.
//!
//! Rulers and price bands are not kept: they follow from the history and the episodes, and are recomputed.

use super::parked::Batch;
use super::renames::Origin;
use super::revise::{Judged, News};
use super::state::{Care, NO_PARTITION, SymbolState};
use super::{Breadth, Engine, PartitionClock, SurvivalScore};
use crate::cluster::{FedImage, GroupImage};
use crate::domain::{CloseBasis, Interval, Phase, Price, SessionDate, Symbol, UnixNanos};
use crate::estimators::DecayedSquares;
use crate::market::{Desk, HistoryImage, Published, Quarantine, ValueRecords};
use serde::{Deserialize, Serialize};

mod bounds;
mod day;
mod event;
mod foreign;
mod intraday;
mod modes;
mod names;
pub(in crate::engine) mod packed;

pub(in crate::engine) use foreign::symbol_of;

use day::{CurveImage, DayImage};
use event::EventImage;
use intraday::{
    EpisodeImage, EpisodesImage, GateImage, HeldImage, JournalImage, PHASES, gate, gate_image, halt_image, number_of,
    renumbered,
};
use modes::RecursiveImage;
use packed::{Bytes, Symbols};

pub use names::{Digests, Elsewhere, digest};
pub use packed::in_place;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct HistoryRecords {
    closes: Vec<(i32, f64, u8, u8)>,
    older: Vec<f64>,
    recursive: RecursiveImage,
    /// Losses, gains, sessions.
    records: ([Vec<f64>; 2], u32),
    ranges: Vec<(i32, [f64; 3])>,
    splits: Vec<(i32, f64)>,
    cash: Vec<(i32, f64)>,
    spin_offs: Vec<(i32, f64)>,
    firsts: Vec<(i32, f64)>,
    shares: Vec<(i32, f64)>,
    desk: Option<(f64, f64)>,
    desk_by_session: Vec<(i32, f64, f64)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::engine) struct SymbolImage {
    /// Encoded beside it.
    #[serde(skip)]
    symbol: String,
    /// Digest of the reference records that it knew; encoded beside it.
    #[serde(skip)]
    reference: u64,
    origin: Option<(String, i32)>,
    former: Option<(String, u64)>,
    last_price: f64,
    last_ts: i64,
    deadline: i64,
    next_seq: u64,
    fast: f64,
    slow: f64,
    bucket_end: i64,
    session: Option<i32>,
    phase: u8,
    closed: bool,
    live: bool,
    awaits_close: bool,
    sequence: u64,
    notices: u64,
    regular_last: Option<f64>,
    decided: Option<(f64, f64)>,
    undecided: (f64, f64),
    range: (f64, f64),
    breached_at: Option<i64>,
    flags: Vec<String>,
    feeds: Vec<(u16, u64)>,
    bars: Vec<(u8, i64)>,
    source: Option<(i32, i64)>,
    episodes: EpisodesImage,
    care: u8,
    volume: f64,
    mean_gap: f64,
    halt: Option<(i64, String)>,
    limits: Option<(f64, f64)>,
    held: Vec<HeldImage>,
    journal: Option<JournalImage>,
    gate: GateImage,
    day: DayImage,
    judged: Vec<(i32, Vec<EpisodeImage>, u32)>,
    history: HistoryRecords,
    events: Vec<EventImage>,
}

/// The symbols read from one partition.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PartitionImage {
    event_time: i64,
    /// How far groups that are judged elsewhere were told that it has come.
    told: i64,
    /// Newest event time of each feed that holds the watermark.
    feed_times: Vec<(u16, i64)>,
    /// Tiers in force when it was taken.
    tiers: Vec<f64>,
    feeds: Vec<String>,
    /// Renames that its records said: old name, new name, first session.
    renames: Vec<(String, String, i32)>,
    /// Groups that a partition of their own log feeds.
    fed: Vec<(String, GroupImage, FedImage)>,
    /// Symbols that have gone on in another partition, as they were then.
    departed: Symbols,
    symbols: Symbols,
}

/// What spans partitions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupsImage {
    watermark: i64,
    groups: Vec<(String, GroupImage)>,
    breadth: Vec<(i32, [u32; 5])>,
    /// Forecasts, confirmed, and the sums of squared errors, by session.
    survival: Vec<(i32, [u32; 2], [u64; 2])>,
    curves: Vec<CurveImage>,
}

/// Everything, at one moment between records.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineImage {
    /// By partition.
    pub partitions: Vec<(i32, PartitionImage)>,
    /// Groups and breadth.
    pub groups: GroupsImage,
}

const INTERVALS: [Interval; 5] =
    [Interval::Minute1, Interval::Minute5, Interval::Hour1, Interval::Day1, Interval::Second1];

fn date(days: i32) -> SessionDate {
    SessionDate::from_days(days).unwrap_or(SessionDate::MIN)
}

impl From<HistoryImage> for HistoryRecords {
    fn from(h: HistoryImage) -> Self {
        let numbers = |list: &[(SessionDate, f64)]| list.iter().map(|(s, v)| (s.days(), *v)).collect();
        Self {
            closes: h.closes.iter().map(|(s, p, b, m)| (s.days(), p.get(), b.number(), m.number())).collect(),
            older: h.older,
            recursive: RecursiveImage::from(&h.recursive),
            records: (h.records.largest, h.records.sessions),
            ranges: h.ranges.iter().map(|(s, range)| (s.days(), range.map(Price::get))).collect(),
            splits: numbers(&h.splits),
            cash: numbers(&h.cash),
            spin_offs: numbers(&h.spin_offs),
            firsts: numbers(&h.firsts),
            shares: numbers(&h.shares),
            desk: h.desk.map(|d| (d.price.get(), d.sigma)),
            desk_by_session: h.desk_by_session.iter().map(|(s, d)| (s.days(), d.price.get(), d.sigma)).collect(),
        }
    }
}

impl HistoryRecords {
    fn restore(&self) -> HistoryImage {
        let desk = |price: f64, sigma: f64| Some(Desk { price: Price::new(price).ok()?, sigma });
        let close = |(s, p, b, m): &(i32, f64, u8, u8)| {
            Some((date(*s), Price::new(*p).ok()?, CloseBasis::from_number(*b)?, Published::from_number(*m)?))
        };
        let numbers = |list: &[(i32, f64)]| list.iter().map(|(s, v)| (date(*s), *v)).collect();
        let range = |(s, [open, high, low]): &(i32, [f64; 3])| {
            Some((date(*s), [Price::new(*open).ok()?, Price::new(*high).ok()?, Price::new(*low).ok()?]))
        };
        HistoryImage {
            closes: self.closes.iter().filter_map(close).collect(),
            older: self.older.clone(),
            recursive: self.recursive.restore(),
            records: ValueRecords { largest: self.records.0.clone(), sessions: self.records.1 },
            ranges: self.ranges.iter().filter_map(range).collect(),
            splits: numbers(&self.splits),
            cash: numbers(&self.cash),
            spin_offs: numbers(&self.spin_offs),
            firsts: numbers(&self.firsts),
            shares: numbers(&self.shares),
            desk: self.desk.and_then(|(p, s)| desk(p, s)),
            desk_by_session: self
                .desk_by_session
                .iter()
                .filter_map(|(d, p, s)| Some((date(*d), desk(*p, *s)?)))
                .collect(),
        }
    }
}

impl SymbolImage {
    /// Which security it is, where a rename had touched its name.
    fn origin(&self) -> Option<Origin> {
        self.origin.as_ref().and_then(|(name, since)| Some((Symbol::new(name).ok()?, date(*since))))
    }

    /// Whether something is under way that no record of its own will ask for.
    fn is_pressing(&self) -> bool {
        self.origin.is_some() || self.former.is_some() || self.awaits_close || !self.held.is_empty()
    }
}

impl From<&SymbolState> for SymbolImage {
    fn from(state: &SymbolState) -> Self {
        let cold = &state.cold;
        let episodes = |list: &[crate::rules::Episode]| list.iter().map(EpisodeImage::from).collect();
        Self {
            symbol: cold.symbol.to_string(),
            reference: cold.reference,
            origin: cold.origin.as_ref().map(|(name, since)| (name.to_string(), since.days())),
            former: cold.former.as_ref().map(|(name, sequence)| (name.to_string(), *sequence)),
            last_price: state.last_price,
            last_ts: state.last_ts.0,
            deadline: state.deadline.0,
            next_seq: state.next_seq,
            fast: state.fast.value(),
            slow: state.slow.value(),
            bucket_end: state.cold.bucket_end.0,
            session: cold.session.map(|s| s.date.days()),
            phase: number_of(&PHASES, &cold.phase),
            closed: cold.closed,
            live: cold.live,
            awaits_close: cold.awaits_close,
            sequence: cold.sequence,
            notices: cold.notices,
            regular_last: cold.regular_last,
            decided: cold.decided,
            undecided: cold.undecided,
            range: state.range,
            breached_at: cold.breached_at.map(|t| t.0),
            flags: cold.flags.iter().map(ToString::to_string).collect(),
            feeds: cold.feeds.clone(),
            bars: cold.bars.iter().map(|(i, t)| (number_of(&INTERVALS, i), t.0)).collect(),
            source: cold.source,
            episodes: EpisodesImage::from(&cold.episodes),
            care: state.care.bits(),
            volume: state.volume,
            mean_gap: state.mean_gap,
            halt: halt_image(cold.halt.as_ref()),
            limits: cold.limits,
            held: cold.quarantine.held().iter().map(HeldImage::from).collect(),
            journal: state.journal.as_deref().map(JournalImage::from),
            gate: gate_image(&cold.gate),
            day: DayImage::from(state),
            judged: cold.judged.iter().map(|j| (j.session.days(), episodes(&j.episodes), j.count)).collect(),
            history: cold.history.image().into(),
            events: cold.events.iter().map(EventImage::from).collect(),
        }
    }
}

impl Engine {
    /// The state at this moment, for the partitions named; what is still encoded is decoded first.
    pub fn image(&mut self, partitions: &[i32]) -> EngineImage {
        self.wake_some(usize::MAX);
        let feeds: Vec<String> = self.feeds.iter().map(ToString::to_string).collect();
        let partition = |p: &i32| {
            let ours = self.states.iter().filter(|s| s.partition == *p);
            let symbols = Symbols::Taken(ours.map(|s| Box::new(SymbolImage::from(s))).collect());
            let clock = self.partitions.get(p);
            let image = PartitionImage {
                event_time: clock.map_or(i64::MIN, |c| c.event_time.0),
                told: clock.map_or(i64::MIN, |c| c.told.0),
                feed_times: clock.map_or_else(Vec::new, |c| c.feeds.iter().map(|(f, t)| (*f, t.0)).collect()),
                tiers: self.params.rules.tiers.clone(),
                feeds: feeds.clone(),
                renames: self.renames.of(*p, self.securities_of(*p)),
                fed: self.stage.fed_image(*p),
                departed: Symbols::Taken(self.departed_image(*p)),
                symbols,
            };
            (*p, image)
        };
        let (watermark, groups) = self.stage.image();
        EngineImage {
            partitions: partitions.iter().map(partition).collect(),
            groups: GroupsImage {
                watermark: watermark.0,
                groups: groups.into_iter().map(|(name, image)| (name.to_string(), image)).collect(),
                breadth: self
                    .breadth
                    .iter()
                    .rev()
                    .take(8)
                    .map(|(s, b)| (s.days(), [b.count, b.halted, b.valid, b.up, b.down]))
                    .collect(),
                survival: self
                    .survival
                    .iter()
                    .rev()
                    .take(8)
                    .map(|(s, x)| (s.days(), [x.forecasts, x.confirmed], [x.squares, x.base_squares]))
                    .collect(),
                curves: self.curves.records().map(CurveImage::from).collect(),
            },
        }
    }

    /// Continues groups and breadth from an image; before any partition, so that members are followed.
    pub fn restore_groups(&mut self, image: GroupsImage) {
        let groups = image.groups.into_iter().map(|(name, g)| (name.into(), g)).collect();
        self.stage.restore(UnixNanos(image.watermark), groups);
        // Members by record, known from history before the image named them.
        for id in (0_u32..).take(self.states.len()) {
            self.track_if_followed(id);
        }
        for (session, [count, halted, valid, up, down]) in image.breadth {
            self.breadth.insert(date(session), Breadth { count, halted, valid, up, down });
        }
        // A curve that the reference records say by now stays as they say it.
        for (target, learned) in image.curves.into_iter().filter_map(CurveImage::restore) {
            self.curves.absorb(&target, learned);
        }
        for (session, [forecasts, confirmed], [squares, base_squares]) in image.survival {
            self.survival.insert(date(session), SurvivalScore { forecasts, confirmed, squares, base_squares });
        }
    }

    /// Continues a partition from an image taken by this or another process. Reference records read since
    /// are kept: before the next market record they take effect, as if they came then.
    pub fn restore_partition(&mut self, now: UnixNanos, partition: i32, image: &PartitionImage) {
        let event_time = UnixNanos(image.event_time);
        let feeds: Vec<Option<u16>> =
            image.feeds.iter().map(|f| if f.is_empty() { Some(0) } else { self.feed(f) }).collect();
        let heard = image.feed_times.iter().filter_map(|(f, t)| Some((renumbered(&feeds, *f)?, UnixNanos(*t))));
        let clock = PartitionClock { event_time, heard_at: now, feeds: heard.collect(), told: UnixNanos(image.told) };
        self.partitions.insert(partition, clock);
        self.restore_renames(partition, &image.renames);
        self.stage.restore_fed(partition, image.fed.clone());
        self.restore_departed(partition, image);
        let bytes = if let Symbols::Packed(bytes) = &image.symbols { bytes.clone() } else { Bytes::default() };
        let batch = Batch { partition, tiers: image.tiers.clone(), feeds, bytes };
        if let Symbols::Taken(images) = &image.symbols {
            for symbol in images {
                self.restore_image(&batch, symbol);
            }
        } else {
            self.restore_packed(batch);
        }
    }

    /// Restores a symbol, admitting it if need be; not where it has come farther in another partition.
    pub(super) fn restore_image(&mut self, batch: &Batch, image: &SymbolImage) {
        self.wake_named(&image.symbol);
        if !self.is_news_of(batch.partition, image) {
            return;
        }
        let Ok(id) = self.admit_image(&image.symbol, image.origin()) else { return };
        self.restore_symbol(id, batch, image);
        if self.states[id as usize].cold.awaits_close {
            self.awaiting_close.push(id);
        }
    }

    pub(super) fn restore_symbol(&mut self, id: u32, batch: &Batch, image: &SymbolImage) {
        let Batch { partition, tiers: old_tiers, feeds, .. } = batch;
        let params = &self.params;
        let calendar = params.calendar.as_deref();
        let tiers = old_tiers.len();
        let state = &mut self.states[id as usize];
        let mut history = crate::market::History::new(params.return_mode, &params.modes);
        history.absorb(calendar, &image.history.restore());
        // The image has the last word on what both know: a correction among the market records stays one. The
        // rest came while nobody was there to say what it changes; with the same reference records it is what market
        // records said behind the image, which are read again.
        let known = std::mem::replace(&mut state.cold.reference, image.reference);
        if known != image.reference {
            let history = history.news(&state.cold.history.image());
            if history == HistoryImage::default() {
                state.cold.reference = known;
            } else {
                self.news.push(News { id, history, reference: known.wrapping_sub(image.reference) });
            }
        }
        state.last_price = image.last_price;
        state.last_ts = UnixNanos(image.last_ts);
        state.deadline = UnixNanos(image.deadline);
        state.next_seq = image.next_seq;
        state.range = image.range;
        state.fast = DecayedSquares::from_value(image.fast);
        state.slow = DecayedSquares::from_value(image.slow);
        state.partition = *partition;
        if state.is_tracked {
            // A symbol that no group followed when the image was taken starts at its next price.
            let followed = image.bucket_end != i64::MAX;
            state.cold.bucket_end = if followed { UnixNanos(image.bucket_end) } else { UnixNanos::MIN };
        }
        let cold = &mut state.cold;
        cold.history = history;
        cold.session = image.session.and_then(|s| calendar?.session(date(s)).copied());
        cold.phase = PHASES.get(usize::from(image.phase)).copied().unwrap_or(Phase::Overnight);
        cold.closed = image.closed;
        cold.live = image.live;
        cold.awaits_close = image.awaits_close;
        cold.sequence = image.sequence;
        cold.notices = image.notices;
        cold.former = image.former.as_ref().and_then(|(s, n)| Some((Symbol::new(s).ok()?, *n)));
        cold.regular_last = image.regular_last;
        cold.decided = image.decided;
        cold.undecided = image.undecided;
        cold.breached_at = image.breached_at.map(UnixNanos);
        cold.flags = image.flags.iter().map(|f| f.as_str().into()).collect();
        cold.feeds = image.feeds.iter().filter_map(|(f, n)| Some((renumbered(feeds, *f)?, *n))).collect();
        cold.bars =
            image.bars.iter().filter_map(|(i, t)| Some((*INTERVALS.get(usize::from(*i))?, UnixNanos(*t)))).collect();
        cold.source = image.source;
        for event in &image.events {
            cold.keep_event(event.restore());
        }
        let episodes = |list: &[EpisodeImage]| list.iter().map(|e| e.restore(tiers)).collect::<Vec<_>>();
        cold.episodes = image.episodes.restore(tiers);
        let judged = |(s, list, n): &(i32, Vec<EpisodeImage>, u32)| Judged {
            session: date(*s),
            episodes: episodes(list),
            count: *n,
        };
        cold.judged = image.judged.iter().map(judged).collect();
        if *old_tiers != params.rules.tiers && !old_tiers.is_empty() {
            let old = crate::rules::EpisodeRules { tiers: old_tiers.clone(), ..params.rules.clone() };
            cold.retier(&old, &params.rules);
        }
        cold.halt = image.halt.as_ref().map(|(t, reason)| (UnixNanos(*t), reason.as_str().into()));
        cold.limits = image.limits;
        let held = image.held.iter().filter_map(|h| h.restore(&image.symbol, feeds)).collect();
        cold.quarantine = Quarantine::from_held(held);
        cold.gate = gate(&image.gate);
        let is_holding = !cold.quarantine.is_empty();
        state.care = Care::from_bits(image.care);
        state.volume = image.volume;
        state.mean_gap = image.mean_gap;
        let is_kept = params.journal_max > 0 && *old_tiers == params.rules.tiers;
        state.journal = image.journal.as_ref().filter(|_| is_kept).map(|j| Box::new(j.restore(tiers, feeds)));
        image.day.restore(state);
        state.set_ruler(params);
        if state.journal.is_none() && state.cold.session.is_some() {
            state.begin_journal(params);
        }
        if is_holding && !self.quarantined.contains(&id) {
            self.quarantined.push(id);
        }
    }

    /// Forgets what spans partitions; what history says of the groups stays.
    pub fn forget_groups(&mut self) {
        self.stage.forget();
        self.breadth.clear();
        self.survival.clear();
    }

    /// Forgets the market state of a partition that another instance reads now, or that is read again; reference records
    /// stay.
    pub fn forget_partition(&mut self, partition: i32) {
        self.absorb_news(|_, state| state.partition == partition);
        self.partitions.remove(&partition);
        self.replaying.remove(&partition);
        if let Some(departed) = &mut self.departed {
            departed.forget_partition(partition);
        }
        self.stage.forget_fed(partition);
        let params = &self.params;
        for (id, state) in (0_u32..).zip(&mut self.states).filter(|(_, s)| s.partition == partition) {
            self.parked.drop(id);
            let mut fresh = SymbolState::new(state.cold.symbol.clone(), params);
            fresh.cold.origin = state.cold.origin.take();
            if state.cold.reference != 0 {
                fresh.cold.history = std::mem::take(&mut state.cold.history);
                (fresh.cold.reference, fresh.cold.has_outlived) = (state.cold.reference, true);
                fresh.cold.day.opens = state.cold.day.opens.without_first_prices();
                fresh.cold.events = std::mem::take(&mut state.cold.events);
            }
            if state.is_tracked {
                fresh.start_tracking();
            }
            fresh.partition = NO_PARTITION;
            // Its history stays, so does what that says of the session without end.
            fresh.set_ruler(params);
            *state = fresh;
        }
        self.forget_renames(partition);
        let states = &self.states;
        self.quarantined.retain(|id| states[*id as usize].partition != NO_PARTITION);
        self.awaiting_close.retain(|id| states[*id as usize].partition != NO_PARTITION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The image of a symbol of which nothing is known.
    pub(in crate::engine) fn image_of(name: &str) -> Box<SymbolImage> {
        let Ok(loaded) = crate::config::load_text("test", "", &[], &[]) else { panic!("the defaults load") };
        Box::new(SymbolImage::from(&SymbolState::new(Symbol::new(name).unwrap(), &loaded.config.params)))
    }

    /// The image of a partition with these symbols, and those that have left it.
    #[expect(clippy::vec_box, reason = "as in the image")]
    pub(in crate::engine) fn partition_of(
        symbols: Vec<Box<SymbolImage>>,
        departed: Vec<Box<SymbolImage>>,
    ) -> PartitionImage {
        let Ok(loaded) = crate::config::load_text("test", "", &[], &[]) else { panic!("the defaults load") };
        let mut image = Engine::new(loaded.config.params).image(&[0]).partitions.remove(0).1;
        (image.symbols, image.departed) = (Symbols::Taken(symbols), Symbols::Taken(departed));
        image
    }
}
