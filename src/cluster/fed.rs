//! Groups that are told of their members by a log of their own, which many lanes write.
//!
//! Each record names the partition and offset of the market record that it follows from. What a group has taken of a
//! partition it does not take again, so a lane that repeats itself after a crash changes nothing. Event time has
//! come as far as the slowest partition has said; one that has said nothing holds the group.

use super::group::{Group, GroupImage, Moment};
use super::member::{MemberEvent, MemberRecord};
use super::stage::Stage;
use crate::domain::{Alert, UnixNanos};
use crate::market::Calendar;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions of the market log that are believed at most.
const INPUTS_MAX: i32 = 65_536;

/// How far a partition of the market log has told a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Input {
    taken: (i64, u32),
    reached: UnixNanos,
}

/// What a group knows of those that feed it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Fed {
    /// Partition of the group's log.
    home: i32,
    inputs: i32,
    by_input: BTreeMap<i32, Input>,
}

impl Fed {
    /// The slowest partition's event time.
    fn watermark(&self) -> UnixNanos {
        let whole = i32::try_from(self.by_input.len()).is_ok_and(|known| known >= self.inputs);
        let slowest = self.by_input.values().map(|i| i.reached).min().unwrap_or(UnixNanos::MIN);
        if whole { slowest } else { UnixNanos::MIN }
    }
}

/// What a group knows of those that feed it, as plain numbers for snapshots: by input partition the offset and index
/// taken, and the event time reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FedImage {
    inputs: i32,
    by_input: Vec<(i32, i64, u32, i64)>,
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It was new.
    Applied,
    /// It, or one behind it, was taken before.
    Repeated,
    /// No such group is configured, or it names a partition that cannot be.
    Refused,
}

impl Stage {
    /// Takes a record of the log that groups follow, from a partition of that log, and judges what can be judged.
    pub fn take(
        &mut self,
        home: i32,
        record: &MemberRecord,
        calendar: Option<&Calendar>,
        topic: &Arc<str>,
        alerts: &mut Vec<Alert>,
    ) -> Taken {
        let group = self.groups.iter_mut().find(|g| g.params.name == record.group);
        let is_possible = (0..record.inputs.min(INPUTS_MAX)).contains(&record.input);
        let (Some(group), true) = (group, is_possible) else { return Taken::Refused };
        let fed = self.fed.entry(record.group.clone()).or_default();
        fed.home = home;
        fed.inputs = fed.inputs.max(record.inputs);
        let at = (record.offset, record.index);
        let unheard = Input { taken: (i64::MIN, 0), reached: UnixNanos::MIN };
        let input = fed.by_input.entry(record.input).or_insert(unheard);
        if at <= input.taken {
            return Taken::Repeated;
        }
        input.taken = at;
        if let MemberEvent::Reached(time) = record.event {
            input.reached = input.reached.max(time);
        }
        let watermark = fed.watermark();
        tell(group, record, watermark);
        group.advance(&Moment { watermark, is_end: false, calendar, topic }, alerts);
        Taken::Applied
    }

    /// Groups whose log's partition is `home`, for snapshots.
    pub fn fed_image(&self, home: i32) -> Vec<(String, GroupImage, FedImage)> {
        let of_home = |group: &&Group| self.fed.get(&group.params.name).is_some_and(|f| f.home == home);
        let image = |group: &Group| {
            let fed = &self.fed[&group.params.name];
            let by_input = fed.by_input.iter().map(|(p, i)| (*p, i.taken.0, i.taken.1, i.reached.0)).collect();
            (group.params.name.to_string(), group.image(), FedImage { inputs: fed.inputs, by_input })
        };
        self.groups.iter().filter(of_home).map(image).collect()
    }

    /// Continues groups from an image of their log's partition.
    pub fn restore_fed(&mut self, home: i32, images: Vec<(String, GroupImage, FedImage)>) {
        for (name, image, fed) in images {
            let Some(group) = self.groups.iter_mut().find(|g| *g.params.name == *name) else { continue };
            self.followed.extend(image.members());
            self.members.extend(image.members());
            group.restore(image);
            let input = |(p, offset, index, reached): &(i32, i64, u32, i64)| {
                (*p, Input { taken: (*offset, *index), reached: UnixNanos(*reached) })
            };
            let inputs = fed.inputs.clamp(0, INPUTS_MAX);
            let by_input = fed.by_input.iter().filter(|(p, ..)| (0..inputs).contains(p)).map(input).collect();
            self.fed.insert(group.params.name.clone(), Fed { home, inputs, by_input });
        }
    }

    /// Forgets what a partition of the log has told: someone else follows it now. What history says stays.
    pub fn forget_fed(&mut self, home: i32) {
        let gone: Vec<Arc<str>> = self.fed.iter().filter(|(_, f)| f.home == home).map(|(n, _)| n.clone()).collect();
        for name in gone {
            self.fed.remove(&name);
            self.make_pristine(&name);
        }
    }

    /// Forgets all but what history says.
    pub fn forget(&mut self) {
        self.fed.clear();
        self.watermark = UnixNanos::MIN;
        for name in self.names() {
            self.make_pristine(&name);
        }
    }

    fn make_pristine(&mut self, name: &Arc<str>) {
        let pristine = self.pristine.iter().find(|(n, _)| n == name).map(|(_, image)| image.clone());
        if let (Some(image), Some(group)) = (pristine, self.groups.iter_mut().find(|g| g.params.name == *name)) {
            group.restore(image);
        }
    }

    /// The event time that every group fed from a partition of the log has reached.
    pub fn fed_watermark(&self, home: i32) -> Option<UnixNanos> {
        let reached = self.fed.values().filter(|f| f.home == home).map(Fed::watermark).min();
        reached.filter(|t| *t > UnixNanos::MIN)
    }
}

fn tell(group: &mut Group, record: &MemberRecord, watermark: UnixNanos) {
    match &record.event {
        MemberEvent::Price(update) if group.follows(update.symbol.as_str(), update.session) => {
            // Behind the watermark its interval has been judged: it counts from the next one on.
            group.schedule(update.at.max(watermark.plus(1)), update.clone());
        }
        MemberEvent::Close(close) if group.follows(close.symbol.as_str(), close.session) => group.take_close(close),
        MemberEvent::Amend(amend) if group.follows(amend.symbol.as_str(), amend.session) => {
            group.schedule_amend(amend.clone());
        }
        _ => {}
    }
}
