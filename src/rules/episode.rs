//! The life of an episode: one rule, one entity, one session, one direction.
//!
//! `IDLE -> OPEN -> (ESCALATE | UPDATE | DEESCALATE)* -> CLOSE`, then the session's close makes it
//! CONFIRMED or FADED. The machine sees multiples of sigma and event times, nothing else, and decides on
//! unrounded numbers: exactly 3.0 counts.

mod again;

pub use again::Judgement;

use super::reconcile::Told;
use crate::domain::{AlertState, Direction, UnixNanos};

/// Closed episodes of a session that wait for its close; the oldest expires beyond.
pub const WAITING_MAX: usize = 64;

/// The numbers of an episode rule; multiples are of daily sigma.
#[derive(Clone, PartialEq, Debug)]
pub struct EpisodeRules {
    /// Ascending multiples at which tiers begin; the first opens.
    pub tiers: Vec<f64>,
    /// An episode ends at or below this multiple.
    pub close_at: f64,
    /// How long it must stay there, in event time.
    pub close_after: i64,
    /// A new episode in the same direction needs a higher tier for this long after a close.
    pub cooldown: i64,
    /// The tier shown steps down below `tier - margin`; `None`: it never does.
    pub deescalate_margin: Option<f64>,
    /// A new extreme by this much is an update; `None`: no updates.
    pub update_step: Option<f64>,
    /// Least event time between an update and the record before it.
    pub update_interval: i64,
}

impl EpisodeRules {
    /// The highest tier at or below `multiple`, as an index; `None` below the first.
    pub fn tier(&self, multiple: f64) -> Option<usize> {
        self.tiers.partition_point(|t| *t <= multiple).checked_sub(1)
    }

    /// The multiple of a tier.
    pub fn at(&self, tier: usize) -> f64 {
        self.tiers[tier]
    }
}

/// One episode.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Episode {
    /// Number within the session, from 1.
    pub number: u32,
    /// Sign of the move.
    pub direction: Direction,
    /// Tier shown.
    pub tier: usize,
    /// Highest tier reached.
    pub peak: usize,
    /// Records sent so far; the next one's revision.
    pub revision: u32,
    /// When it opened.
    pub opened_at: UnixNanos,
    /// Largest multiple sent, in its direction.
    pub extreme: f64,
    /// Event time of the last record.
    pub sent_at: UnixNanos,
    /// Since when it is at or below the closing multiple.
    pub low_since: Option<UnixNanos>,
    /// Last state sent.
    pub state: AlertState,
}

/// What one observation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// An episode began.
    Open,
    /// It reached a tier for the first time.
    Escalate,
    /// New extreme, or a tier regained.
    Update,
    /// It shows a lower tier.
    Deescalate,
    /// It ended.
    Close,
}

/// What a session's close did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The close stands in breach.
    Confirm,
    /// It does not.
    Fade,
    /// There was none.
    Expire,
}

/// Multiples between which an observation changes nothing; exclusive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Band {
    /// At or below: look closer.
    pub low: f64,
    /// At or above: look closer.
    pub high: f64,
}

impl Band {
    /// Nothing is ever looked at.
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
    /// Everything is looked at.
    pub const NONE: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
}

/// The rest after a close.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cooldown {
    /// Until when.
    pub until: UnixNanos,
    /// Only a tier above this one breaks it.
    pub peak: usize,
}

/// The episodes of one entity within one session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Episodes {
    /// The open one.
    pub current: Option<Episode>,
    /// Closed ones that wait for the session's close.
    pub waiting: Vec<Episode>,
    /// By direction: up, down.
    pub cooldowns: [Option<Cooldown>; 2],
    /// Episodes numbered so far.
    pub count: u32,
}

fn side(direction: Direction) -> usize {
    match direction {
        Direction::Up => 0,
        Direction::Down => 1,
    }
}

impl Episodes {
    /// Feeds one multiple. `emit` is called for each step, in order, with the episode after it.
    pub fn observe(&mut self, rules: &EpisodeRules, ts: UnixNanos, z: f64, emit: &mut impl FnMut(Step, &Episode)) {
        if let Some(mut episode) = self.current.take() {
            let s = z * episode.direction.sign();
            let reversed = s <= -rules.at(0);
            if s > rules.close_at {
                episode.low_since = None;
            } else {
                let since = *episode.low_since.get_or_insert(ts);
                if reversed || ts.since(since) >= rules.close_after {
                    self.close(rules, ts, episode, emit);
                    if !reversed {
                        return;
                    }
                }
            }
            if !reversed {
                self.current = Some(Self::follow(rules, ts, s, episode, emit));
                return;
            }
        }
        self.open(rules, ts, z, emit);
    }

    fn follow(
        rules: &EpisodeRules,
        ts: UnixNanos,
        s: f64,
        mut episode: Episode,
        emit: &mut impl FnMut(Step, &Episode),
    ) -> Episode {
        let reached = rules.tier(s);
        let step = if reached > Some(episode.peak) {
            episode.peak = reached.unwrap_or(episode.peak);
            episode.tier = episode.peak;
            Step::Escalate
        } else if reached > Some(episode.tier) {
            episode.tier = reached.unwrap_or(episode.tier);
            Step::Update
        } else if let Some(lower) = Self::lower_tier(rules, s, episode.tier) {
            episode.tier = lower;
            Step::Deescalate
        } else if rules.update_step.is_some_and(|step| s >= episode.extreme + step)
            && ts.since(episode.sent_at) >= rules.update_interval
        {
            Step::Update
        } else {
            return episode;
        };
        Self::send(ts, step, &mut episode, s, emit);
        episode
    }

    /// The tier to show once `s` is under `shown - margin`: the highest it is not under by that much.
    fn lower_tier(rules: &EpisodeRules, s: f64, shown: usize) -> Option<usize> {
        let margin = rules.deescalate_margin?;
        if shown == 0 || s >= rules.at(shown) - margin {
            return None;
        }
        Some((0..shown).rev().find(|t| s >= rules.at(*t) - margin).unwrap_or(0))
    }

    fn send(ts: UnixNanos, step: Step, episode: &mut Episode, s: f64, emit: &mut impl FnMut(Step, &Episode)) {
        episode.extreme = episode.extreme.max(s);
        episode.sent_at = ts;
        emit(step, episode);
        episode.revision += 1;
    }

    fn open(&mut self, rules: &EpisodeRules, ts: UnixNanos, z: f64, emit: &mut impl FnMut(Step, &Episode)) {
        let Some(tier) = rules.tier(z.abs()) else { return };
        let direction = Direction::of(z);
        if self.cooldowns[side(direction)].is_some_and(|c| ts < c.until && tier <= c.peak) {
            return;
        }
        self.count += 1;
        let mut episode = Episode {
            number: self.count,
            direction,
            tier,
            peak: tier,
            revision: 0,
            opened_at: ts,
            extreme: z.abs(),
            sent_at: ts,
            low_since: None,
            state: AlertState::Provisional,
        };
        Self::send(ts, Step::Open, &mut episode, z.abs(), emit);
        self.current = Some(episode);
    }

    fn close(
        &mut self,
        rules: &EpisodeRules,
        ts: UnixNanos,
        mut episode: Episode,
        emit: &mut impl FnMut(Step, &Episode),
    ) {
        emit(Step::Close, &episode);
        episode.revision += 1;
        episode.sent_at = ts;
        let cooldown = Cooldown { until: ts.plus(rules.cooldown), peak: episode.peak };
        self.cooldowns[side(episode.direction)] = Some(cooldown);
        if self.waiting.len() == WAITING_MAX {
            self.waiting.remove(0);
        }
        self.waiting.push(episode);
    }

    /// Every episode of the session, in order of number, with whether it is over.
    pub fn told(&self) -> Vec<Told> {
        let over = self.waiting.iter().map(|e| Told { episode: *e, is_over: true });
        over.chain(self.current.map(|e| Told { episode: e, is_over: false })).collect()
    }

    /// Takes back what [`Episodes::told`] gave out.
    pub fn retell(&mut self, told: &[Told], count: u32) {
        self.waiting = told.iter().filter(|t| t.is_over).map(|t| t.episode).collect();
        self.current = told.iter().find(|t| !t.is_over).map(|t| t.episode);
        self.count = count;
    }

    /// Moves every running clock on: trading stood still for so long, and no time counts.
    pub fn stand_still(&mut self, nanos: i64) {
        if let Some(since) = self.current.as_mut().and_then(|e| e.low_since.as_mut()) {
            *since = since.plus(nanos);
        }
        for cooldown in self.cooldowns.iter_mut().flatten() {
            cooldown.until = cooldown.until.plus(nanos);
        }
    }

    /// Goes on under other tiers: each tier held becomes the highest new one at or below its multiple.
    pub fn retier(&mut self, old: &EpisodeRules, new: &EpisodeRules) {
        let moved = |tier: usize| new.tier(old.at(tier)).unwrap_or(0);
        for episode in self.current.iter_mut().chain(&mut self.waiting) {
            (episode.tier, episode.peak) = (moved(episode.tier), moved(episode.peak));
        }
        for cooldown in self.cooldowns.iter_mut().flatten() {
            cooldown.peak = moved(cooldown.peak);
        }
    }

    /// The band of multiples in which the next observation can change nothing.
    pub fn band(&self, rules: &EpisodeRules) -> Band {
        let Some(episode) = &self.current else {
            return Band { low: -rules.at(0), high: rules.at(0) };
        };
        if episode.low_since.is_some() {
            return Band::NONE;
        }
        let next = episode.tier + 1;
        let mut high = rules.tiers.get(next).copied().unwrap_or(f64::INFINITY);
        if let Some(step) = rules.update_step {
            high = high.min(episode.extreme + step);
        }
        let mut low = rules.close_at;
        if let (Some(margin), 1..) = (rules.deescalate_margin, episode.tier) {
            low = low.max(rules.at(episode.tier) - margin);
        }
        match episode.direction {
            Direction::Up => Band { low, high },
            Direction::Down => Band { low: -high, high: -low },
        }
    }

    /// Settles every episode of the session by its closing multiple, in order of number.
    ///
    /// The last episode in the direction of a breach at the close is confirmed and the others fade; a
    /// breach first seen at the close becomes an episode of one record. Returns the settled episodes.
    pub fn settle(
        &mut self,
        rules: &EpisodeRules,
        ts: UnixNanos,
        z: f64,
        emit: &mut impl FnMut(Verdict, &Episode),
    ) -> Vec<Episode> {
        let tier = rules.tier(z.abs());
        let direction = Direction::of(z);
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(self.current.take());
        let winner = tier.and_then(|_| all.iter().rposition(|e| e.direction == direction));
        for (at, episode) in all.iter_mut().enumerate() {
            let verdict = if winner == Some(at) { Verdict::Confirm } else { Verdict::Fade };
            if let (Verdict::Confirm, Some(tier)) = (verdict, tier) {
                episode.tier = tier;
                episode.peak = episode.peak.max(tier);
                episode.extreme = episode.extreme.max(z.abs());
            }
            Self::finish(ts, verdict, episode, emit);
        }
        if let (Some(tier), None) = (tier, winner) {
            self.count += 1;
            let number = self.count;
            let mut episode = Episode {
                number,
                direction,
                tier,
                peak: tier,
                revision: 0,
                opened_at: ts,
                extreme: z.abs(),
                sent_at: ts,
                low_since: None,
                state: AlertState::Confirmed,
            };
            Self::finish(ts, Verdict::Confirm, &mut episode, emit);
            all.push(episode);
        }
        all
    }

    /// Ends every episode of a session that had no close.
    pub fn expire(&mut self, ts: UnixNanos, emit: &mut impl FnMut(Verdict, &Episode)) -> Vec<Episode> {
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(self.current.take());
        for episode in &mut all {
            Self::finish(ts, Verdict::Expire, episode, emit);
        }
        all
    }

    fn finish(ts: UnixNanos, verdict: Verdict, episode: &mut Episode, emit: &mut impl FnMut(Verdict, &Episode)) {
        episode.state = match verdict {
            Verdict::Confirm => AlertState::Confirmed,
            Verdict::Fade => AlertState::Faded,
            Verdict::Expire => AlertState::Expired,
        };
        episode.sent_at = ts;
        emit(verdict, episode);
        episode.revision += 1;
    }
}
