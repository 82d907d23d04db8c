//! Judging again: a close in doubt, another close, another reference.

use super::{Episode, EpisodeRules, Episodes, Step, side};
use crate::domain::{AlertState, Direction, UnixNanos};

/// What judging again did, after the close or the reference of a session became another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// First verdict of an episode that had none: the close stands in breach.
    Confirm,
    /// First verdict of an episode that had none: it does not.
    Fade,
    /// Its verdict, or its numbers, are others.
    Correct,
    /// By the right reference it never was in breach.
    Retract,
}

impl Episodes {
    /// Takes a close that may turn out to be no move at all: nothing is settled. The open episode goes on
    /// record once more, a breach first seen now opens one. Returns the session's episodes, still provisional.
    pub fn hold(
        &mut self,
        rules: &EpisodeRules,
        ts: UnixNanos,
        z: f64,
        emit: &mut impl FnMut(Step, &Episode),
    ) -> Vec<Episode> {
        let mut is_told = false;
        self.observe(rules, ts, z, &mut |step, episode| {
            is_told = true;
            emit(step, episode);
        });
        let mut all = std::mem::take(&mut self.waiting);
        if let Some(mut episode) = self.current.take() {
            if !is_told {
                let s = z * episode.direction.sign();
                Self::send(ts, Step::Update, &mut episode, s, emit);
            }
            all.push(episode);
        }
        all
    }

    /// Goes on under another ruler within the session.
    ///
    /// `z` is the newest price's multiple by it, `extreme` the largest that the session reached in a direction.
    /// An episode that by it never was in breach is retracted; the open one is corrected, and the closed ones
    /// wait on for the session's close.
    pub fn rebase(
        &mut self,
        rules: &EpisodeRules,
        ts: UnixNanos,
        z: f64,
        extreme: impl Fn(Direction) -> f64,
        emit: &mut impl FnMut(Judgement, &Episode),
    ) {
        let mut all = std::mem::take(&mut self.waiting);
        let open = self.current.take();
        let closed = all.len();
        all.extend(open);
        for (at, mut episode) in all.into_iter().enumerate() {
            let far = extreme(episode.direction);
            let Some(peak) = rules.tier(far) else {
                episode.state = AlertState::Retracted;
                episode.sent_at = ts;
                emit(Judgement::Retract, &episode);
                self.cooldowns[side(episode.direction)] = None;
                continue;
            };
            (episode.extreme, episode.peak, episode.tier) = (far, peak, episode.tier.min(peak));
            if at < closed {
                self.waiting.push(episode);
                continue;
            }
            let s = z * episode.direction.sign();
            episode.tier = Self::lower_tier(rules, s, peak).unwrap_or(peak);
            if s > rules.close_at {
                episode.low_since = None;
            }
            episode.sent_at = ts;
            emit(Judgement::Correct, &episode);
            episode.revision += 1;
            self.current = Some(episode);
        }
    }

    /// Judges a session's episodes again by another close, or another reference; only what changes is sent.
    ///
    /// `moved` gives the multiple, by the ruler of now, of a price whose multiple was another. An episode without
    /// a verdict, which by it never was in breach, is retracted.
    pub fn resettle(
        rules: &EpisodeRules,
        settled: &mut [Episode],
        ts: UnixNanos,
        z: f64,
        moved: impl Fn(f64) -> f64,
        emit: &mut impl FnMut(Judgement, &Episode),
    ) {
        use AlertState::{Confirmed, Expired, Faded, Provisional, Retracted};
        let tier = rules.tier(z.abs());
        let winner = tier.and_then(|_| settled.iter().rposition(|e| e.direction == Direction::of(z)));
        for (at, episode) in settled.iter_mut().enumerate() {
            let sign = episode.direction.sign();
            episode.extreme = moved(episode.extreme * sign) * sign;
            let reached = rules.tier(episode.extreme);
            let wins = winner == Some(at);
            let judgement = match (wins, episode.state) {
                (false, Faded | Retracted) => continue,
                (true, Provisional) => Judgement::Confirm,
                (false, Provisional | Expired) if reached.is_none() => Judgement::Retract,
                (false, Provisional) => Judgement::Fade,
                (_, Confirmed | Faded | Expired | Retracted) => Judgement::Correct,
            };
            if let (true, Some(tier)) = (wins, tier) {
                (episode.tier, episode.peak) = (tier, reached.unwrap_or(0).max(tier));
            }
            episode.state = match (wins, judgement) {
                (true, _) => Confirmed,
                (false, Judgement::Retract) => Retracted,
                (false, _) => Faded,
            };
            episode.sent_at = ts;
            emit(judgement, episode);
            episode.revision += 1;
        }
    }

    /// Takes the verdict of a session's episodes back, where they have one that holds: its close has come into doubt.
    pub fn suspend(settled: &mut [Episode], ts: UnixNanos, emit: &mut impl FnMut(Judgement, &Episode)) {
        for episode in settled.iter_mut().filter(|e| matches!(e.state, AlertState::Confirmed | AlertState::Expired)) {
            episode.state = AlertState::Provisional;
            episode.sent_at = ts;
            emit(Judgement::Correct, episode);
            episode.revision += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AlertState::{Confirmed, Expired, Faded, Provisional, Retracted};
    use Judgement::{Confirm, Correct, Fade, Retract};

    fn rules() -> EpisodeRules {
        EpisodeRules {
            tiers: vec![3.0, 4.0, 6.0, 8.0, 10.0],
            close_at: 2.5,
            close_after: 0,
            cooldown: 100,
            deescalate_margin: Some(0.5),
            update_step: Some(0.5),
            update_interval: 60,
        }
    }

    fn at(secs: i64) -> UnixNanos {
        UnixNanos(secs)
    }

    /// Episodes after these multiples, one a second.
    fn after(multiples: &[f64]) -> Episodes {
        let mut episodes = Episodes::default();
        for (secs, z) in (0..).zip(multiples) {
            episodes.observe(&rules(), at(secs), *z, &mut |_, _| {});
        }
        episodes
    }

    #[test]
    fn a_close_in_doubt_settles_nothing() {
        for (before, z, expected, states) in [
            (&[][..], -7.0, vec![Step::Open], vec![Provisional]),
            (&[], -2.0, vec![], vec![]),
            (&[-6.1], -6.2, vec![Step::Update], vec![Provisional]),
            (&[-6.1], -9.0, vec![Step::Escalate], vec![Provisional]),
            (&[3.3, 0.0], -7.0, vec![Step::Open], vec![Provisional, Provisional]),
            (&[3.3], -7.0, vec![Step::Close, Step::Open], vec![Provisional, Provisional]),
            // Within the rest after a close nothing opens; the closed one waits on.
            (&[3.3, 0.0], 3.4, vec![], vec![Provisional]),
        ] {
            let mut episodes = after(before);
            let mut steps = Vec::new();
            let held = episodes.hold(&rules(), at(50), z, &mut |step, _| steps.push(step));
            assert_eq!((steps, held.iter().map(|e| e.state).collect::<Vec<_>>()), (expected, states), "{before:?} {z}");
            assert_eq!((episodes.current, episodes.waiting.len()), (None, 0));
        }
    }

    #[test]
    fn another_ruler_retracts_what_never_was_and_corrects_what_is() {
        // The newest price and the extremes of the session by the new ruler: what is said, and what is left.
        for (z, low, high, expected, open) in [
            (-0.2, 2.9, 0.0, vec![Judgement::Retract], None),
            (-3.4, 4.2, 0.0, vec![Judgement::Correct], Some((0, 1))),
            (-2.7, 3.1, 0.0, vec![Judgement::Correct], Some((0, 0))),
            (3.5, 0.0, 3.5, vec![Judgement::Retract], None),
        ] {
            let mut episodes = after(&[-8.5]);
            let mut said = Vec::new();
            let extreme = |d: Direction| if d == Direction::Up { high } else { low };
            episodes.rebase(&rules(), at(9), z, extreme, &mut |judgement, _| said.push(judgement));
            assert_eq!(said, expected, "{z}");
            assert_eq!(episodes.current.map(|e| (e.tier, e.peak)), open, "{z}");
            assert_eq!(episodes.count, 1, "a retracted episode keeps its number");
        }
        // A closed one that was none leaves, and with it the rest it imposed.
        let mut episodes = after(&[-3.5, 0.0]);
        assert!(episodes.cooldowns[1].is_some());
        episodes.rebase(&rules(), at(9), 0.0, |_| 1.0, &mut |_, _| {});
        assert_eq!((episodes.waiting.len(), episodes.cooldowns), (0, [None, None]));
    }

    #[test]
    fn judging_again_knows_what_was_said_before() {
        let z_now = |state, z, moved: f64| {
            let mut settled = after(&[-8.5]).hold(&rules(), at(5), -8.5, &mut |_, _| {});
            settled[0].state = state;
            let mut said = None;
            Episodes::resettle(&rules(), &mut settled, at(9), z, |m| m + moved, &mut |judgement, _| {
                said = Some(judgement);
            });
            (said, settled[0].state, settled[0].peak)
        };
        for (state, z, moved, said, then, peak) in [
            // Still in breach, or again.
            (Provisional, -8.5, 0.0, Some(Confirm), Confirmed, 3),
            (Provisional, -4.5, 4.0, Some(Confirm), Confirmed, 1),
            (Retracted, -8.5, 0.0, Some(Correct), Confirmed, 3),
            (Expired, -3.1, 0.0, Some(Correct), Confirmed, 3),
            // It was in breach and is not.
            (Provisional, -1.0, 0.0, Some(Fade), Faded, 3),
            (Confirmed, -1.0, 0.0, Some(Correct), Faded, 3),
            (Expired, -1.0, 0.0, Some(Correct), Faded, 3),
            // It never was.
            (Provisional, -0.1, 8.4, Some(Retract), Retracted, 3),
            (Expired, -0.1, 8.4, Some(Retract), Retracted, 3),
            (Confirmed, -0.1, 8.4, Some(Correct), Faded, 3),
            // Nothing to add.
            (Faded, -0.1, 8.4, None, Faded, 3),
            (Retracted, -0.1, 8.4, None, Retracted, 3),
        ] {
            assert_eq!(z_now(state, z, moved), (said, then, peak), "{state:?} {z} {moved}");
        }
    }

    #[test]
    fn a_verdict_in_doubt_is_taken_back_once() {
        let mut expired = after(&[-8.5]).expire(at(5), &mut |_, _| {});
        Episodes::suspend(&mut expired, at(9), &mut |_, _| {});
        assert_eq!(expired[0].state, Provisional);
        let mut settled = after(&[-8.5]).settle(&rules(), at(5), -8.0, &mut |_, _| {});
        for expected in [1, 0] {
            let mut said = 0;
            Episodes::suspend(&mut settled, at(9), &mut |judgement, _| {
                assert_eq!(judgement, Judgement::Correct);
                said += 1;
            });
            assert_eq!((said, settled[0].state, settled[0].revision), (expected, Provisional, 3));
        }
    }
}
