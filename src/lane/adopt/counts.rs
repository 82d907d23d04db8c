//! How many partitions the log has, and under how many the group's offsets were committed.

use super::{ANSWER_TIMEOUT, Adoption, Following};
use crate::lane::note::field;
use crate::lane::{Lane, LaneError, Role};
use crate::sources::{Kept, Standing};
use std::time::Duration;
use tracing::{info, warn};

/// How long symbols are looked for after a change: three times the age at which Kafka's producers look for
/// partitions anew by default.
const WINDOW: Duration = Duration::from_mins(15);
/// Spacing of looks at the number of partitions: well below the five minutes after which a producer looks for itself.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);
/// A look that comes later than this may have missed a number of partitions that symbols moved under.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Snapshots since a symbol last moved: one may fail.
const CAPTURES: u8 = 2;

/// What is noted with offsets: the number of partitions under which symbols stay where they are, and the smallest there
/// was since the group began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub(super) settled: i32,
    pub(super) since: i32,
}

impl Note {
    fn read(text: &str) -> Option<Self> {
        Some(Self { settled: field(text, "partitions")?, since: field(text, "since")? })
    }

    fn write(self) -> String {
        format!("partitions={} since={}", self.settled, self.since)
    }

    /// What partitions are known to have been settled under, of a log that has `inputs` of them now; `own` is to be
    /// read, and `all` are the group's. The second says whether `own` speaks for itself.
    fn of(inputs: i32, own: &[i32], all: &[Kept]) -> Self {
        let spoken = |kept: &mut dyn Iterator<Item = &Kept>| {
            let notes = kept.filter_map(|k| Self::read(&k.note));
            notes.reduce(|a, b| Self { settled: a.settled.min(b.settled), since: a.since.min(b.since) })
        };
        let whole = Self { settled: inputs, since: inputs };
        let speaks = |p: &i32| all.iter().any(|k| k.partition == *p && Self::read(&k.note).is_some());
        let mine = spoken(&mut all.iter().filter(|k| own.contains(&k.partition)));
        let theirs = if own.iter().all(speaks) {
            None
        } else if all.is_empty() {
            Some(whole)
        } else {
            // Offsets without a note are those of an older build: it stood in so many partitions.
            let count = i32::try_from(all.len()).unwrap_or(i32::MAX);
            spoken(&mut all.iter()).or(Some(Self { settled: count, since: count }))
        };
        let both = [mine, theirs].into_iter().flatten().chain([whole]);
        let low =
            |of: fn(&Self) -> i32, all: &mut dyn Iterator<Item = Self>| all.map(|n| of(&n)).min().unwrap_or(inputs);
        Self { settled: low(|n| n.settled, &mut both.clone()), since: low(|n| n.since, &mut both.clone()) }
    }
}

impl Adoption {
    /// What is to be noted with offsets.
    pub(in crate::lane) fn noted(&self) -> Option<String> {
        self.note.map(Note::write)
    }
}

impl Lane {
    /// Before partitions are restored: how many partitions the log has, and under how many the group's offsets were
    /// committed. One without an offset that came later is read from its beginning, wherever a group without offsets
    /// begins. False while nobody answers.
    pub(in crate::lane) fn compare_counts(&mut self, standings: &mut [Standing]) -> Result<bool, LaneError> {
        let own: Vec<i32> = standings.iter().map(|s| s.partition).collect();
        let spoken = |s: &Standing| Some(Kept { partition: s.partition, next: s.committed?, note: s.note.clone() });
        let mut kept: Vec<Kept> = standings.iter().filter_map(spoken).collect();
        let inputs = self.adoption.inputs;
        if !own.iter().all(|p| kept.iter().any(|k| k.partition == *p && Note::read(&k.note).is_some())) {
            let all: Vec<i32> = (0..inputs).collect();
            let Some(everyones) = self.source.kept(&all, ANSWER_TIMEOUT)? else { return Ok(false) };
            kept = everyones;
        }
        let mut found = Note::of(inputs, &own, &kept);
        if let Some(known) = self.adoption.note.filter(|_| !self.partitions.is_empty()) {
            found = Note { settled: found.settled.min(known.settled), since: found.since.min(known.since) };
        }
        for standing in standings.iter_mut().filter(|s| s.committed.is_none() && s.partition >= found.settled) {
            info!(
                partition = standing.partition,
                from = standing.low,
                "a new partition of a topic that the group reads"
            );
            standing.begins = standing.low;
        }
        self.adoption.note = Some(found);
        self.write_note();
        if found.settled < inputs {
            self.begin_following(!self.adoption.is_first_growth);
        }
        Ok(true)
    }

    /// A partition is read from its beginning: what its symbols were before may stand in others.
    pub(in crate::lane) fn reads_whole_log(&mut self) {
        if let Some(note) = self.adoption.note.filter(|n| n.since < self.adoption.inputs) {
            self.adoption.note = Some(Note { settled: note.since, ..note });
            self.write_note();
            self.begin_following(!self.adoption.is_first_growth);
        }
    }

    /// Asks how many partitions the log has; false while nobody answers.
    pub(in crate::lane) fn count_inputs(&mut self, wait: Duration) -> Result<bool, LaneError> {
        let Some(inputs) = self.source.partitions(wait)? else { return Ok(false) };
        let now = self.clock.monotonic();
        let adoption = &mut self.adoption;
        let before = std::mem::replace(&mut adoption.inputs, inputs);
        let was_due = adoption.count_due.replace(now + COUNT_INTERVAL);
        if inputs > before {
            // A process that stood still may have missed one.
            let is_in_time = was_due.is_some_and(|due| now <= due + LATE_MAX);
            let was_settled = adoption.following.is_none() && adoption.note.is_some_and(|n| n.settled == before);
            adoption.is_first_growth = is_in_time && was_settled;
            // After another one symbols may come back to where they were.
            self.put_in_order()?;
        }
        if self.tells_members() {
            // Groups elsewhere wait for every partition there is.
            self.engine.tell_members(inputs);
        }
        Ok(true)
    }

    pub(super) fn begin_following(&mut self, is_ordered: bool) {
        let now = self.clock.monotonic();
        let until = now + WINDOW;
        let Adoption { inputs, note, following, bystander, .. } = &mut self.adoption;
        if let Some(following) = following {
            following.until = until;
        } else {
            let before = note.map(|n| n.settled);
            warn!(partitions = inputs, before, "symbols may go on in other partitions, and are followed");
            *following = Some(Following::new(now, until, is_ordered));
            // It has not seen what the lane has taken since.
            *bystander = None;
        }
    }

    /// Looks at the number of partitions every so often: before records are taken, as they may follow from it.
    pub(in crate::lane) fn look_for_growth(&mut self) -> Result<(), LaneError> {
        let now = self.clock.monotonic();
        if self.role != Role::Symbols
            || self.partitions.is_empty()
            || self.adoption.count_due.is_none_or(|due| now < due)
            || !self.shared.health.is_up()
        {
            return Ok(());
        }
        let before = self.adoption.inputs;
        if self.count_inputs(ANSWER_TIMEOUT)? && self.adoption.inputs > before {
            self.begin_following(!self.adoption.is_first_growth);
            if self.adoption.is_ordered() {
                self.put_in_order()?;
            }
        }
        Ok(())
    }

    /// When the time is over and snapshots know of every symbol that moved, the topic is read as before. What others'
    /// partitions made of symbols not met since is kept for them.
    pub(in crate::lane) fn settle_symbols(&mut self) -> Result<(), LaneError> {
        let now = self.clock.monotonic();
        let is_held = self.partitions.values().any(|p| p.held.is_some());
        let is_over = self.adoption.following.as_ref().is_some_and(|f| now >= f.until && f.has_read);
        if is_over && !is_held && self.are_moves_kept() {
            info!(partitions = self.adoption.inputs, "symbols stay where they are");
            self.leave()?;
        }
        self.settle_note();
        Ok(())
    }

    /// Whether snapshots know of every symbol that moved.
    fn are_moves_kept(&self) -> bool {
        let moves = self.engine.moved().map_or(0, |(count, _)| count);
        moves == self.adoption.moves && self.adoption.captures >= CAPTURES
    }

    /// The group is told that symbols stay where they are; the opposite as long as one that moved is in no snapshot.
    pub(in crate::lane) fn settle_note(&mut self) {
        let moves = self.engine.moved().map_or(0, |(count, _)| count);
        let is_known = self.are_moves_kept();
        let adoption = &mut self.adoption;
        let Some(note) = adoption.note.filter(|_| adoption.following.is_none()) else { return };
        let is_settled = is_known || (moves == adoption.moves && note.settled == adoption.inputs);
        let settled = if is_settled { adoption.inputs } else { note.since.min(note.settled) };
        if settled != note.settled {
            adoption.note = Some(Note { settled, ..note });
            self.write_note();
            self.commits.restate();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(partition: i32, note: &str) -> Kept {
        Kept { partition, next: 1, note: note.to_owned() }
    }

    fn check(inputs: i32, own: &[i32], all: &[Kept], settled: i32, since: i32) {
        assert_eq!(Note::of(inputs, own, all), Note { settled, since }, "{inputs} {own:?} {all:?}");
    }

    #[test]
    fn the_group_says_under_how_many_partitions_it_stands() {
        let note = Note { settled: 4, since: 2 };
        assert_eq!(Note::read(&note.write()), Some(note));
        assert_eq!(Note::read("partitions=4 since=2 at=1767225600000"), Some(note));
        for text in ["", "4", "partitions=4", "partitions=x since=1", "partitions=4 since=", "at=1"] {
            assert_eq!(Note::read(text), None, "{text}");
        }
        let (two, four) = ("partitions=2 since=2", "partitions=4 since=2");
        // A group without offsets, and one that is only just beginning.
        check(4, &[0, 1], &[], 4, 4);
        check(2, &[1], &[kept(0, two)], 2, 2);
        // Grown since: for the old partitions and for the new ones.
        check(4, &[0], &[kept(0, two)], 2, 2);
        check(4, &[2], &[kept(0, two), kept(1, two)], 2, 2);
        // Settled: others need not be, where a partition speaks for itself.
        check(4, &[2], &[kept(0, two), kept(2, four)], 4, 2);
        check(6, &[2], &[kept(2, four)], 4, 2);
        check(4, &[2, 3], &[kept(0, two), kept(2, four)], 2, 2);
        // Offsets of a build that noted nothing.
        check(2, &[0], &[kept(0, ""), kept(1, "")], 2, 2);
        check(4, &[2], &[kept(0, ""), kept(1, "")], 2, 2);
        // Fewer than there were: another topic of the same name.
        check(1, &[0], &[kept(0, two)], 1, 1);
    }
}
