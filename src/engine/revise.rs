//! What a record about the past, or about the session at hand, changes in what has been said.
//!
//! Closes, corporate actions and desk references may come late, and may be replaced. Sessions that were
//! measured are measured again, those that may be judged again are, and the open episodes of the session at
//! hand go on by the new ruler.

use super::alerts::{Moment, What};
use super::journal::Journal;
use super::state::{Cold, Ruler, SymbolState};
use super::{Disposition, Effects, Engine};
use crate::domain::{AlertState, CloseBasis, Direction, Phase, SessionDate, UnixNanos};
use crate::market::{Calendar, Close, Flag, History, HistoryImage, Measure, Published};
use crate::rules::{Episode, EpisodeRules, Episodes};

/// Sessions kept that may be judged again; beyond, the oldest stays as it is.
const JUDGED_MAX: usize = 8;

/// What reference records say of a restored symbol that its image did not know.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) id: u32,
    pub(super) history: HistoryImage,
    /// Sum of the digests of those records, less that of records that the image alone knew.
    pub(super) reference: u64,
}

/// A session that is over, and its episodes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Judged {
    pub(super) session: SessionDate,
    pub(super) episodes: Vec<Episode>,
    /// Episodes numbered so far.
    pub(super) count: u32,
}

impl Judged {
    /// Whether an episode has no verdict yet: the session's close is in doubt.
    fn is_held(&self) -> bool {
        self.episodes.iter().any(|e| e.state == AlertState::Provisional)
    }
}

impl Cold {
    /// Keeps a session for judging again, beside those that still wait for a record to settle them.
    pub(super) fn keep_judged(&mut self, judged: Judged) {
        self.judged.retain(Judged::is_held);
        self.judged.push(judged);
        if self.judged.len() > JUDGED_MAX {
            self.judged.remove(0);
        }
    }

    /// Goes on under other tiers. Records of a settled session were judged by the old ones and stay.
    pub(super) fn retier(&mut self, old: &EpisodeRules, new: &EpisodeRules) {
        self.episodes.retier(old, new);
        self.judged.retain(Judged::is_held);
        for judged in &mut self.judged {
            let mut episodes = Episodes { waiting: std::mem::take(&mut judged.episodes), ..Episodes::default() };
            episodes.retier(old, new);
            judged.episodes = episodes.waiting;
        }
    }
}

impl Engine {
    /// Changes the history behind the clock, and measures and judges again what that moves.
    pub(super) fn revise(
        &mut self,
        id: u32,
        from: SessionDate,
        at: UnixNanos,
        effects: &mut Effects,
        change: impl FnOnce(&mut History, Option<&Calendar>) -> bool,
    ) -> Disposition {
        let calendar = self.params.calendar.clone();
        let calendar = calendar.as_deref();
        let state = &mut self.states[id as usize];
        let history = &mut state.cold.history;
        let settled_until = match (state.cold.session, state.cold.closed) {
            (Some(session), true) => Some(session.date),
            (Some(session), false) => calendar.and_then(|c| c.previous(session.date)).map(|s| s.date),
            (None, _) => None,
        };
        // A stand-in for a missing close is none, and history that was only loaded has no measure to move.
        let is_close = |c: &Close| c.basis != CloseBasis::Inferred;
        let first_close = history.close(from).is_none_or(|c| !is_close(c));
        let measured = |history: &History| -> Vec<Measure> {
            let past = history.closes().iter().filter(|c| c.session >= from && Some(c.session) <= settled_until);
            let ours =
                past.filter(|c| c.published != Published::No || (first_close && c.session == from && is_close(c)));
            // Once the start of its window has been given up, a session stays as it was measured.
            ours.filter(|c| history.is_whole(c.session)).filter_map(|c| history.measure(calendar, c.session)).collect()
        };
        let rulers: Vec<(SessionDate, Ruler)> =
            state.cold.judged.iter().map(|j| (j.session, Ruler::of(history, calendar, Some(j.session)))).collect();
        let before = measured(history);
        if !change(history, calendar) {
            return Disposition::DUPLICATE;
        }
        let after = measured(history);
        for measure in after {
            let old = before.iter().find(|m| m.session == measure.session);
            if old == Some(&measure) {
                continue;
            }
            self.count_breadth(old, &measure);
            self.count_survival(id, old, &measure);
            effects.measures.push((self.name_on(id, Some(measure.session)), measure.clone()));
            let state = &mut self.states[id as usize];
            state.cold.history.set_published(measure.session, Published::Yes);
            if state.is_tracked {
                self.close_for_groups(id, measure.session, false);
            }
            let ruler = rulers.iter().find(|(s, _)| *s == measure.session).map(|(_, ruler)| ruler);
            if let Some(ruler) = ruler {
                self.rejudge(id, at, &measure, ruler, effects);
            }
        }
        self.rerule(id, effects);
        Disposition::APPLIED
    }

    /// Tells restored symbols of the reference records that came while they were away.
    pub(super) fn catch_up(&mut self, effects: &mut Effects) {
        for News { id, history: news, reference } in std::mem::take(&mut self.news) {
            if self.is_replayed(id) {
                self.news.push(News { id, history: news, reference });
                continue;
            }
            let known = &mut self.states[id as usize].cold.reference;
            *known = known.wrapping_add(reference);
            let at = self.states[id as usize].newest_ts();
            let calendar = self.params.calendar.clone();
            let calendar = calendar.as_deref();
            let mut dates: Vec<SessionDate> = [&news.splits, &news.cash, &news.spin_offs, &news.shares]
                .into_iter()
                .flatten()
                .map(|(s, _)| *s)
                .chain(news.closes.iter().map(|(s, ..)| *s))
                .collect();
            dates.sort_unstable();
            dates.dedup();
            // By session, so that a close that nobody has measured yet is measured as itself.
            for date in dates {
                let of_date = news.of(date);
                self.revise(id, date, at, effects, |history, calendar| {
                    history.absorb(calendar, &of_date);
                    true
                });
            }
            let state = &mut self.states[id as usize];
            state.cold.history.absorb(calendar, &news);
            // A close of the session at hand waits for the partition's clock.
            let cold = &mut state.cold;
            let has_close = cold.session.is_some_and(|s| cold.history.close(s.date).is_some());
            if cold.live && !cold.closed && has_close && !cold.awaits_close {
                cold.awaits_close = true;
                self.awaiting_close.push(id);
            }
            self.rerule(id, effects);
        }
    }

    /// Adds what some symbols have not been told of to their history, without a word: what they were is forgotten, or is
    /// to be someone else's.
    pub(super) fn absorb_news(&mut self, is_meant: impl Fn(u32, &SymbolState) -> bool) {
        let Self { news, states, params, .. } = self;
        let calendar = params.calendar.as_deref();
        news.retain(|news| {
            let state = &mut states[news.id as usize];
            let is_meant = is_meant(news.id, state);
            if is_meant {
                state.cold.history.absorb(calendar, &news.history);
                state.cold.reference = state.cold.reference.wrapping_add(news.reference);
            }
            !is_meant
        });
    }

    /// Judges a session again; `old` is the ruler it was judged by.
    fn rejudge(&mut self, id: u32, at: UnixNanos, measure: &Measure, old: &Ruler, effects: &mut Effects) {
        let rules = &self.params.rules;
        let state = &mut self.states[id as usize];
        let now = Ruler::of(&state.cold.history, self.params.calendar.as_deref(), Some(measure.session));
        let is_doubtful = measure.flags.has(Flag::SuspectedSplit);
        let Ok(z) = measure.multiple().or_else(|gap| if is_doubtful { now.z(measure.close) } else { Err(gap) }) else {
            return;
        };
        let Some(judged) = state.cold.judged.iter_mut().find(|j| j.session == measure.session) else { return };
        let mut changed: Vec<(What, Episode)> = Vec::new();
        let mut fresh = Episodes { count: judged.count, ..Episodes::default() };
        if is_doubtful {
            Episodes::suspend(&mut judged.episodes, at, &mut |judgement, e| changed.push((judgement.into(), *e)));
            if !judged.is_held() {
                let held = fresh.hold(rules, at, z, &mut |step, e| changed.push((step.into(), *e)));
                judged.episodes.extend(held);
            }
        } else {
            let moved = |z: f64| now.moved(old, z);
            Episodes::resettle(rules, &mut judged.episodes, at, z, moved, &mut |judgement, e| {
                changed.push((judgement.into(), *e));
            });
            let is_seen = judged.episodes.iter().any(|e| e.state == AlertState::Confirmed);
            if z.abs() >= rules.at(0) && !is_seen {
                // The close is the first to stand in breach.
                let settled = fresh.settle(rules, at, z, &mut |verdict, e| changed.push((verdict.into(), *e)));
                judged.episodes.extend(settled);
            }
        }
        judged.count = fresh.count;
        for (what, episode) in changed {
            let moment = Moment { ts: at, price: Ok(measure.close), z: Ok(z), is_close: true, source: None };
            let alert = self.settled_alert(id, what, &episode, &moment, measure.session, &now);
            effects.alerts.push(alert);
        }
    }

    /// Recomputes the ruler of the session at hand. Where it is another, its episodes go on by it: what never
    /// was in breach by it is retracted, and the open one corrected, at the newest price.
    pub(super) fn rerule(&mut self, id: u32, effects: &mut Effects) {
        let state = &mut self.states[id as usize];
        let old = state.cold.ruler;
        state.set_ruler(&self.params);
        let cold = &mut state.cold;
        let has_none = cold.episodes.current.is_none() && cold.episodes.waiting.is_empty();
        if old == cold.ruler || cold.closed || !cold.live || has_none {
            return;
        }
        // Prices after the regular session decide nothing.
        let (price, (low, high)) = match (cold.phase, cold.regular_last, cold.decided) {
            (Phase::Post, Some(last), Some(range)) => (last, range),
            _ => (state.last_price, state.range),
        };
        let ruler = cold.ruler;
        let Ok(z) = ruler.z(price) else { return };
        let extreme = |direction: Direction| {
            let price = if direction == Direction::Up { high } else { low };
            ruler.z(price).map_or(f64::NEG_INFINITY, |z| z * direction.sign())
        };
        let ts = state.last_ts;
        let mut changed = Vec::new();
        cold.episodes.rebase(&self.params.rules, ts, z, extreme, &mut |judgement, e| changed.push((judgement, *e)));
        if cold.episodes.current.is_none() && cold.episodes.waiting.is_empty() {
            cold.breached_at = None;
        }
        state.set_band(&self.params);
        // A checkpoint with episodes of the old ruler is no start any more.
        let rests_on_old = state.journal.as_deref().is_some_and(Journal::holds_episodes);
        if rests_on_old {
            state.begin_journal(&self.params);
        }
        for (judgement, episode) in changed {
            let moment = Moment { ts, price: Ok(price), z: Ok(z), is_close: false, source: None };
            let alert = self.symbol_alert(id, judgement.into(), &episode, &moment);
            effects.alerts.push(alert);
        }
    }
}
