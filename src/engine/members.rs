//! What members tell groups that are judged elsewhere.
//!
//! With several lanes, or several instances, no lane reads all members of a group. Each then writes what its members
//! have to say to a log that the group follows, in the order of the partition it follows from, and says how far that
//! partition has come in event time whenever an interval is over. What a partition's records make it say does not hang
//! on what else the lane reads.

use super::state::NO_PARTITION;
use super::{Disposition, Effects, Engine, Origin};
use crate::cluster::{MemberEvent, MemberRecord, Taken};
use crate::domain::{Outcome, SessionDate, Symbol, UnixNanos};
use std::collections::BTreeMap;

/// Who says something, and of which session.
type Member = (Symbol, SessionDate);

/// What is to be told, and where its telling stands.
#[derive(Default, Debug)]
pub(super) struct Outbox {
    inputs: i32,
    /// Input partition, the member and its session where there is one, and what is said.
    events: Vec<(i32, Option<Member>, MemberEvent)>,
    /// By input partition: the offset that is spoken of, and how much of it was said.
    at: BTreeMap<i32, (i64, u32)>,
}

impl Engine {
    /// From here on groups are judged elsewhere, by what [`Effects::members`] says; `inputs` is the number of
    /// partitions that the market log has.
    pub fn tell_members(&mut self, inputs: i32) {
        self.outbox.get_or_insert_default().inputs = inputs;
    }

    /// Whether groups are judged here, by the members at hand.
    pub(super) fn judges_groups(&self) -> bool {
        self.outbox.is_none()
    }

    /// Notes what a member has to say.
    pub(super) fn tell(&mut self, id: u32, symbol: &Symbol, session: SessionDate, event: MemberEvent) {
        let input = self.states[id as usize].partition;
        if let Some(outbox) = &mut self.outbox
            && input != NO_PARTITION
        {
            outbox.events.push((input, Some((symbol.clone(), session)), event));
        }
    }

    /// After a record of a partition: tells what its members had to say, and, when an interval is over for the whole
    /// partition, what stood in it.
    pub(super) fn tell_after(&mut self, origin: &Origin, effects: &mut Effects) {
        let Some(outbox) = &mut self.outbox else { return };
        if outbox.at.get(&origin.partition).is_none_or(|(offset, _)| *offset != origin.offset) {
            outbox.at.insert(origin.partition, (origin.offset, 0));
        }
        self.hand_over(effects);
        let Some(clock) = self.partitions.get(&origin.partition) else { return };
        let reached = self.holding_time(clock).plus(-self.params.lateness);
        if reached <= UnixNanos(0) {
            return;
        }
        let interval = self.params.group_interval;
        let whole = UnixNanos(reached.0.div_euclid(interval) * interval);
        if whole <= clock.told {
            return;
        }
        if let Some(clock) = self.partitions.get_mut(&origin.partition) {
            clock.told = whole;
        }
        // What waited for the partition's clock comes before the clock's own word.
        self.settle_waiting(super::Watermark::Partitions, effects);
        self.flush_partition(origin.partition, whole);
        if let Some(outbox) = &mut self.outbox {
            outbox.events.push((origin.partition, None, MemberEvent::Reached(whole)));
        }
        self.hand_over(effects);
    }

    /// Closes the group intervals of a partition's members up to an instant, by name.
    fn flush_partition(&mut self, partition: i32, until: UnixNanos) {
        let is_due = |id: &u32| {
            let state = &self.states[*id as usize];
            state.partition == partition && state.cold.bucket_end <= until
        };
        let mut due: Vec<u32> = self.tracked.iter().copied().filter(is_due).collect();
        due.sort_by(|a, b| self.states[*a as usize].cold.symbol.cmp(&self.states[*b as usize].cold.symbol));
        for id in due {
            self.flush_bucket(id);
        }
    }

    /// Addresses what was said, unless its partition is being replayed: then it was said before.
    pub(super) fn hand_over(&mut self, effects: &mut Effects) {
        let Some(outbox) = &mut self.outbox else { return };
        for (input, member, event) in std::mem::take(&mut outbox.events) {
            let groups = match &member {
                Some((symbol, session)) => self.stage.followers_of(symbol.as_str(), *session),
                None => self.stage.names(),
            };
            let (offset, said) = outbox.at.entry(input).or_insert((-1, 0));
            for group in groups {
                *said += 1;
                if !self.replaying.contains(&input) {
                    let (offset, index, inputs) = (*offset, *said, outbox.inputs);
                    effects.members.push(MemberRecord { group, input, inputs, offset, index, event: event.clone() });
                }
            }
        }
    }

    /// Takes a record of the log that groups follow. A record of a partition that is being replayed raises no alert.
    pub fn take_member(
        &mut self,
        now: UnixNanos,
        origin: &Origin,
        record: &MemberRecord,
        effects: &mut Effects,
    ) -> Disposition {
        let before = effects.alerts.len();
        let (calendar, topic) = (self.params.calendar.clone(), self.params.topic.clone());
        let taken = self.stage.take(origin.partition, record, calendar.as_deref(), &topic, &mut effects.alerts);
        if self.replaying.contains(&origin.partition) {
            effects.alerts.truncate(before);
        }
        let reached = self.stage.fed_watermark(origin.partition);
        let clock = self.partition_clock(origin.partition, now);
        clock.heard_at = now;
        clock.event_time = clock.event_time.max(reached.unwrap_or(UnixNanos::MIN));
        match taken {
            Taken::Applied => Disposition::APPLIED,
            Taken::Repeated => Disposition::DUPLICATE,
            Taken::Refused => Disposition { outcome: Outcome::Ignored, reason: "unknown_group" },
        }
    }
}
