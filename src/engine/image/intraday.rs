//! Episodes, journal and quarantine of one symbol as plain numbers.

use super::bounds::{COUNT_MAX, amount, finite, is_event_time, is_price, last_price, range};
use super::day::{BarImage, MovesImage, ReturnsImage, bar, bar_image, moves, moves_image, returns, returns_image};
use crate::domain::{AlertState, ConditionCode, Conditions, Direction, Phase, Price, Tape, Tick, UnixNanos};
use crate::engine::Origin;
use crate::engine::held::HeldPrint;
use crate::engine::journal::{AHEAD_MAX, Journal};
use crate::engine::print::{Entry, EntryKind, PrintKey};
use crate::engine::state::Intraday;
use crate::estimators::DecayedSquares;
use crate::market::Held;
use crate::market::eligibility::ExtendedGate;
use crate::rules::{Cooldown, Episode, Episodes, WAITING_MAX};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

const STATES: [AlertState; 5] =
    [AlertState::Provisional, AlertState::Confirmed, AlertState::Faded, AlertState::Expired, AlertState::Retracted];
pub(super) const PHASES: [Phase; 5] = [Phase::Overnight, Phase::Pre, Phase::Regular, Phase::Post, Phase::Close];
const TAPES: [Tape; 4] = [Tape::A, Tape::B, Tape::C, Tape::Other];

/// The number that a feed of the image has in this process.
pub(super) fn renumbered(feeds: &[Option<u16>], feed: u16) -> Option<u16> {
    *feeds.get(usize::from(feed))?
}

pub(super) fn number_of<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|x| x == one).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

fn small(tier: usize) -> u8 {
    u8::try_from(tier).unwrap_or(u8::MAX)
}

/// Prints, value and venues of the pre-market so far.
pub(super) type GateImage = (u32, Option<f64>, Vec<u32>);

pub(super) fn gate_image(gate: &ExtendedGate) -> GateImage {
    (gate.prints(), gate.value(), gate.venues().to_vec())
}

pub(super) fn gate((prints, value, venues): &GateImage) -> ExtendedGate {
    ExtendedGate::restored(*prints, value.map(amount), venues)
}

pub(super) type HaltImage = Option<(i64, String)>;

pub(super) fn halt_image(halt: Option<&(UnixNanos, Arc<str>)>) -> HaltImage {
    halt.map(|(t, reason)| (t.0, reason.to_string()))
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct EpisodeImage {
    number: u32,
    down: bool,
    tier: u8,
    peak: u8,
    revision: u32,
    opened_at: i64,
    extreme: f64,
    sent_at: i64,
    low_since: Option<i64>,
    state: u8,
}

/// The episodes of one session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct EpisodesImage {
    current: Option<EpisodeImage>,
    waiting: Vec<EpisodeImage>,
    cooldowns: [Option<(i64, u8)>; 2],
    count: u32,
}

impl From<&Episode> for EpisodeImage {
    fn from(e: &Episode) -> Self {
        Self {
            number: e.number,
            down: e.direction == Direction::Down,
            tier: small(e.tier),
            peak: small(e.peak),
            revision: e.revision,
            opened_at: e.opened_at.0,
            extreme: e.extreme,
            sent_at: e.sent_at.0,
            low_since: e.low_since.map(|t| t.0),
            state: number_of(&STATES, &e.state),
        }
    }
}

impl EpisodeImage {
    /// The episode, its tiers held to the rule's.
    pub(super) fn restore(&self, tiers: usize) -> Episode {
        let held = |tier: u8| usize::from(tier).min(tiers.saturating_sub(1));
        Episode {
            number: self.number.min(COUNT_MAX),
            direction: if self.down { Direction::Down } else { Direction::Up },
            tier: held(self.tier),
            peak: held(self.peak.max(self.tier)),
            revision: self.revision.min(COUNT_MAX),
            opened_at: UnixNanos(self.opened_at),
            extreme: finite(self.extreme).unwrap_or(0.0),
            sent_at: UnixNanos(self.sent_at),
            low_since: self.low_since.map(UnixNanos),
            state: STATES.get(usize::from(self.state)).copied().unwrap_or(AlertState::Provisional),
        }
    }
}

impl From<&Episodes> for EpisodesImage {
    fn from(episodes: &Episodes) -> Self {
        Self {
            current: episodes.current.as_ref().map(EpisodeImage::from),
            waiting: episodes.waiting.iter().map(EpisodeImage::from).collect(),
            cooldowns: episodes.cooldowns.map(|c| c.map(|c| (c.until.0, small(c.peak)))),
            count: episodes.count,
        }
    }
}

impl EpisodesImage {
    /// The episodes, their tiers held to the rule's.
    pub(super) fn restore(&self, tiers: usize) -> Episodes {
        let cooldown = |(until, peak): (i64, u8)| Cooldown {
            until: UnixNanos(until),
            peak: usize::from(peak).min(tiers.saturating_sub(1)),
        };
        Episodes {
            current: self.current.as_ref().map(|e| e.restore(tiers)),
            waiting: self.waiting.iter().take(WAITING_MAX).map(|e| e.restore(tiers)).collect(),
            cooldowns: self.cooldowns.map(|c| c.map(cooldown)),
            count: self.count.min(COUNT_MAX),
        }
    }
}

/// One entry: time, price, size, sequence number, id, venue, feed, kind.
type EntryImage = (i64, f64, f64, u64, u64, u32, u16, u8);

fn entry_image(e: &Entry) -> EntryImage {
    (e.ts.0, e.price, e.size, e.seq, e.id, e.venue, e.feed, number_of(&EntryKind::ALL, &e.kind))
}

fn entry(image: &EntryImage, feeds: &[Option<u16>]) -> Option<Entry> {
    let (ts, price, size, seq, id, venue, feed, kind) = *image;
    let kind = *EntryKind::ALL.get(usize::from(kind))?;
    let is_possible = is_event_time(ts) && finite(price).is_some_and(|p| p >= 0.0) && finite(size).is_some();
    is_possible.then_some(())?;
    Some(Entry { ts: UnixNanos(ts), price, size, seq, id, venue, feed: renumbered(feeds, feed)?, kind })
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct CheckpointImage {
    last_price: f64,
    last_ts: i64,
    deadline: i64,
    fast: f64,
    slow: f64,
    range: (f64, f64),
    volume: f64,
    mean_gap: f64,
    phase: u8,
    live: bool,
    episodes: EpisodesImage,
    regular_last: Option<f64>,
    decided: Option<(f64, f64)>,
    undecided: (f64, f64),
    breached_at: Option<i64>,
    flags: Vec<String>,
    halt: HaltImage,
    gate: GateImage,
    is_gated: bool,
    quiet_until: i64,
    moves: MovesImage,
    bar: BarImage,
    returns: Option<ReturnsImage>,
    open: Option<f64>,
    first: Option<f64>,
}

impl From<&Intraday> for CheckpointImage {
    fn from(i: &Intraday) -> Self {
        Self {
            last_price: i.last_price,
            last_ts: i.last_ts.0,
            deadline: i.deadline.0,
            fast: i.fast.value(),
            slow: i.slow.value(),
            range: i.range,
            volume: i.volume,
            mean_gap: i.mean_gap,
            phase: number_of(&PHASES, &i.phase),
            live: i.live,
            episodes: EpisodesImage::from(&i.episodes),
            regular_last: i.regular_last,
            decided: i.decided,
            undecided: i.undecided,
            breached_at: i.breached_at.map(|t| t.0),
            flags: i.flags.iter().map(ToString::to_string).collect(),
            halt: halt_image(i.halt.as_ref()),
            gate: gate_image(&i.gate),
            is_gated: i.is_gated,
            quiet_until: i.quiet_until.0,
            moves: moves_image(i.moves.as_deref()),
            bar: bar_image(i.bar.as_ref()),
            returns: i.returns.as_deref().map(returns_image),
            open: i.open.map(Price::get),
            first: i.first,
        }
    }
}

impl CheckpointImage {
    fn restore(&self, tiers: usize) -> Intraday {
        Intraday {
            last_price: last_price(self.last_price),
            last_ts: UnixNanos(self.last_ts),
            deadline: UnixNanos(self.deadline),
            fast: DecayedSquares::from_value(self.fast),
            slow: DecayedSquares::from_value(self.slow),
            range: range(self.range),
            volume: amount(self.volume),
            mean_gap: amount(self.mean_gap),
            phase: PHASES.get(usize::from(self.phase)).copied().unwrap_or(Phase::Overnight),
            live: self.live,
            episodes: self.episodes.restore(tiers),
            regular_last: self.regular_last.filter(|price| amount(*price) > 0.0),
            decided: self.decided.map(range),
            undecided: range(self.undecided),
            breached_at: self.breached_at.map(UnixNanos),
            flags: self.flags.iter().map(|f| f.as_str().into()).collect(),
            halt: self.halt.as_ref().map(|(t, reason)| (UnixNanos(*t), reason.as_str().into())),
            gate: gate(&self.gate),
            is_gated: self.is_gated,
            quiet_until: UnixNanos(self.quiet_until),
            moves: moves(&self.moves),
            bar: bar(&self.bar),
            returns: self.returns.as_ref().and_then(returns).map(Box::new),
            open: self.open.and_then(|p| Price::new(p).ok()),
            first: self.first.filter(|price| is_price(*price)),
        }
    }
}

/// A journal: where it starts, its entries, and what else it knows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct JournalImage {
    base: CheckpointImage,
    entries: Vec<EntryImage>,
    middle: Option<(usize, CheckpointImage)>,
    is_cut: bool,
    ahead: Vec<(u16, u64, u64, Option<f64>)>,
}

impl From<&Journal> for JournalImage {
    fn from(j: &Journal) -> Self {
        Self {
            base: CheckpointImage::from(&j.base),
            entries: j.entries.iter().map(entry_image).collect(),
            middle: j.middle.as_ref().map(|(at, i)| (*at, CheckpointImage::from(i))),
            is_cut: j.is_cut,
            ahead: j.ahead.iter().map(|(k, price)| (k.feed, k.id, k.seq, *price)).collect(),
        }
    }
}

impl JournalImage {
    pub(super) fn restore(&self, tiers: usize, feeds: &[Option<u16>]) -> Journal {
        let key = |feed: u16, id, seq| Some(PrintKey { feed: renumbered(feeds, feed)?, id, seq });
        let entries: Vec<Entry> = self.entries.iter().filter_map(|e| entry(e, feeds)).collect();
        // Where an entry is missing, the checkpoint between them stands elsewhere.
        let is_whole = entries.len() == self.entries.len();
        let middle = self.middle.as_ref().filter(|(at, _)| is_whole && *at <= entries.len());
        Journal {
            base: self.base.restore(tiers),
            middle: middle.map(|(at, i)| (*at, i.restore(tiers))),
            entries,
            is_cut: self.is_cut,
            ahead: self
                .ahead
                .iter()
                .filter_map(|(f, id, seq, p)| Some((key(*f, *id, *seq)?, *p)))
                .take(AHEAD_MAX)
                .collect(),
        }
    }
}

/// A record in quarantine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct HeldImage {
    entry: EntryImage,
    origin: (i32, i64, Option<i64>),
    is_contradicted: bool,
    id: Option<String>,
    feed: Option<String>,
    venue: Option<String>,
    tape: Option<u8>,
    cond: Vec<String>,
    is_part: bool,
}

impl From<&Held<HeldPrint>> for HeldImage {
    fn from(held: &Held<HeldPrint>) -> Self {
        let HeldPrint { entry, origin, tick, is_part } = &held.record;
        let text = |field: &Option<Cow<'static, str>>| field.as_ref().map(ToString::to_string);
        Self {
            entry: entry_image(entry),
            origin: (origin.partition, origin.offset, origin.timestamp.map(|t| t.0)),
            is_contradicted: held.is_contradicted,
            id: text(&tick.id),
            feed: text(&tick.feed),
            venue: text(&tick.venue),
            tape: tick.tape.map(|t| number_of(&TAPES, &t)),
            cond: tick.cond.as_slice().iter().map(|c| c.as_str().to_owned()).collect(),
            is_part: *is_part,
        }
    }
}

impl HeldImage {
    pub(super) fn restore(&self, symbol: &str, feeds: &[Option<u16>]) -> Option<Held<HeldPrint>> {
        let entry = entry(&self.entry, feeds)?;
        let text = |field: &Option<String>| field.clone().map(Cow::Owned);
        let mut cond = Conditions::NONE;
        for code in self.cond.iter().filter_map(|c| ConditionCode::new(c)) {
            cond.push(code);
        }
        let tick = Tick {
            size: (entry.size > 0.0).then_some(entry.size),
            seq: (entry.seq != crate::engine::print::NO_SEQ).then_some(entry.seq),
            id: text(&self.id),
            feed: text(&self.feed),
            venue: text(&self.venue),
            tape: self.tape.and_then(|t| TAPES.get(usize::from(t)).copied()),
            cond,
            ..Tick::new(symbol.to_owned(), entry.ts, Price::new(entry.price).ok()?)
        };
        let (partition, offset, timestamp) = self.origin;
        let origin = Origin { partition, offset, timestamp: timestamp.map(UnixNanos) };
        let record = HeldPrint { entry, origin, tick, is_part: self.is_part };
        let venue = (entry.venue != 0).then_some(entry.venue);
        Some(Held { ts: entry.ts, price: entry.price, venue, is_contradicted: self.is_contradicted, record })
    }
}
