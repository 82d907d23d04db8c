//! What has to be said when a session, gone through again without a print that was taken back, comes out
//! otherwise than it was reported.

use super::episode::Episode;
use crate::domain::AlertState;

/// What became of an episode that had been reported, or had not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amended {
    /// It never was.
    Retracted,
    /// It was, otherwise.
    Corrected,
    /// It was, and was not reported.
    Found,
}

/// One episode with whether it is over, which is part of what was said of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Told {
    /// The episode.
    pub episode: Episode,
    /// Whether it has ended within the session.
    pub is_over: bool,
}

/// Gives the episodes of `truth` the numbers and revisions under which they were reported, and says what
/// differs. `count` is the number of the last episode reported; it is raised for those found.
///
/// An episode of `truth` is the reported one of the same direction that began with it; failing that, the first
/// that began earlier and stands between those. Numbers are never given again: a retracted episode keeps its
/// own.
pub fn reconcile(reported: &[Told], truth: &mut [Told], count: &mut u32) -> Vec<(Amended, Episode)> {
    let mut said = Vec::new();
    let matches = matches(reported, truth);
    for (told, known) in truth.iter_mut().zip(&matches) {
        let episode = &mut told.episode;
        if let Some(known) = known.and_then(|at| reported.get(at)) {
            episode.number = known.episode.number;
            episode.revision = known.episode.revision;
            let same = |a: &Episode, b: &Episode| {
                (a.tier, a.peak, a.opened_at, a.state) == (b.tier, b.peak, b.opened_at, b.state)
                    && a.extreme.to_bits() == b.extreme.to_bits()
            };
            if !same(episode, &known.episode) || told.is_over != known.is_over {
                said.push((Amended::Corrected, *episode));
                episode.revision += 1;
            }
        } else {
            *count += 1;
            episode.number = *count;
            episode.revision = 0;
            said.push((Amended::Found, *episode));
            episode.revision = 1;
        }
    }
    let open = (0..).zip(reported).filter(|(at, _)| !matches.contains(&Some(*at))).map(|(_, r)| r);
    let retracted = open.filter(|r| r.episode.state != AlertState::Retracted).map(|r| {
        let episode = Episode { state: AlertState::Retracted, ..r.episode };
        (Amended::Retracted, episode)
    });
    said.extend(retracted);
    said.sort_by_key(|(_, e)| e.number);
    said
}

/// For each episode of `truth` its place in `reported`.
fn matches(reported: &[Told], truth: &[Told]) -> Vec<Option<usize>> {
    let key = |t: &Told| (t.episode.direction, t.episode.opened_at);
    let mut matches: Vec<Option<usize>> =
        truth.iter().map(|t| reported.iter().position(|r| key(r) == key(t))).collect();
    let mut from = 0;
    for at in 0..truth.len() {
        if matches[at].is_none() {
            let upto = matches[at..].iter().flatten().next().copied().unwrap_or(reported.len());
            let (direction, opened_at) = key(&truth[at]);
            let fits = |r: &Told| r.episode.direction == direction && r.episode.opened_at <= opened_at;
            matches[at] = (from..upto).find(|place| fits(&reported[*place]));
        }
        from = matches[at].map_or(from, |place| place + 1);
    }
    matches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Direction, UnixNanos};

    fn told(number: u32, direction: Direction, opened_at: i64, peak: usize, revision: u32) -> Told {
        let episode = Episode {
            number,
            direction,
            tier: peak,
            peak,
            revision,
            opened_at: UnixNanos(opened_at),
            extreme: 3.0 + peak as f64,
            sent_at: UnixNanos(opened_at),
            low_since: None,
            state: AlertState::Provisional,
        };
        Told { episode, is_over: false }
    }

    #[test]
    fn what_never_was_is_retracted_under_its_number() {
        let reported = [told(1, Direction::Down, 10, 4, 2)];
        let mut count = 1;
        let said = reconcile(&reported, &mut [], &mut count);
        assert_eq!(said.len(), 1);
        let (what, episode) = said[0];
        assert_eq!((what, episode.number, episode.revision), (Amended::Retracted, 1, 2));
        assert_eq!((episode.state, count), (AlertState::Retracted, 1));
    }

    #[test]
    fn what_was_otherwise_is_corrected_once_and_what_was_not_is_left_alone() {
        let reported = [told(1, Direction::Down, 10, 4, 2), told(2, Direction::Up, 20, 0, 1)];
        let mut truth = [told(7, Direction::Down, 12, 1, 5), told(8, Direction::Up, 20, 0, 9)];
        let mut count = 2;
        let said = reconcile(&reported, &mut truth, &mut count);
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].0, said[0].1.number, said[0].1.revision), (Amended::Corrected, 1, 2));
        assert_eq!((truth[0].episode.number, truth[0].episode.revision), (1, 3));
        assert_eq!((truth[1].episode.number, truth[1].episode.revision, count), (2, 1, 2));
    }

    #[test]
    fn what_began_as_reported_is_left_alone_when_what_came_before_it_is_retracted() {
        let reported = [told(1, Direction::Down, 10, 1, 3), told(2, Direction::Down, 30, 1, 1)];
        let mut truth = [told(1, Direction::Down, 30, 1, 1), told(2, Direction::Down, 50, 1, 1)];
        let mut count = 2;
        let said = reconcile(&reported, &mut truth, &mut count);
        let shape: Vec<_> = said.iter().map(|(a, e)| (*a, e.number, e.revision)).collect();
        assert_eq!(shape, [(Amended::Retracted, 1, 3), (Amended::Found, 3, 0)]);
        assert_eq!(truth.map(|t| t.episode.number), [2, 3]);
    }

    #[test]
    fn what_was_missed_gets_the_next_number() {
        let mut truth = [told(1, Direction::Down, 12, 1, 1)];
        let mut count = 3;
        let said = reconcile(&[told(3, Direction::Down, 20, 1, 1)], &mut truth, &mut count);
        let shape: Vec<_> = said.iter().map(|(a, e)| (*a, e.number, e.revision)).collect();
        assert_eq!(shape, [(Amended::Retracted, 3, 1), (Amended::Found, 4, 0)]);
        assert_eq!((truth[0].episode.revision, count), (1, 4));
    }
}
