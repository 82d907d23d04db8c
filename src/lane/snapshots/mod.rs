//! Snapshots: one a partition and one for what spans them, each stamped with the offsets it reflects.
//!
//! A snapshot is written after the offsets it reflects were committed, and is used only up to where the group
//! stands: one that is ahead reflects records whose alerts may never have been seen. Two are kept, so that there is
//! one behind. One that is damaged, foreign, ahead or of another layout is refused with its reason.

mod writer;

pub(super) use writer::Writer;

use crate::codec::{decode_snapshot, encode_snapshot};
use crate::config::Kafka;
use crate::domain::Outcome;
use crate::engine::{GroupsImage, PartitionImage, in_place};
use crate::stores::{Slot, SnapshotStore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use tracing::{info, warn};

/// A partition's state and the offset it reflects.
#[derive(Serialize, Deserialize)]
pub(super) struct PartitionSnapshot {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) partition: i32,
    pub(super) next_offset: i64,
    /// Records by outcome; what waits in quarantine is in the image.
    pub(super) outcomes: [u64; Outcome::ALL.len()],
    pub(super) image: PartitionImage,
}

/// The groups' state and the offsets it reflects.
#[derive(Serialize, Deserialize)]
pub(super) struct GroupsSnapshot {
    topic: String,
    group: String,
    pub(super) offsets: Vec<(i32, i64)>,
    pub(super) image: GroupsImage,
}

/// State captured at one moment, of which the offsets are committed.
pub(super) struct Captured {
    pub(super) partitions: Vec<PartitionSnapshot>,
    pub(super) groups: GroupsImage,
    pub(super) offsets: Vec<(i32, i64)>,
    /// Whether it goes to the shared store as well.
    pub(super) is_shared: bool,
}

/// A snapshot of one's own that is further behind than this is compared with the shared one.
const BEHIND_MAX: i64 = 200_000;

/// The snapshots of one topic and group.
#[derive(Clone)]
pub(super) struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    /// Where other machines find them, if that is configured.
    shared: Option<Arc<dyn SnapshotStore>>,
    topic: String,
    group: String,
    /// What this lane calls that which spans its partitions: lanes share a directory.
    spanning: String,
}

impl Snapshots {
    pub(super) fn new(
        store: Arc<dyn SnapshotStore>,
        shared: Option<Arc<dyn SnapshotStore>>,
        kafka: &Kafka,
        lane: usize,
    ) -> Self {
        let spanning = if lane == 0 { "groups".to_owned() } else { format!("groups-{lane}") };
        Self { store, shared, topic: kafka.topics.market.clone(), group: kafka.group.clone(), spanning }
    }

    /// Whether other machines write snapshots that this one can read.
    pub(super) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The newest snapshot of a partition that is not ahead of `bound`.
    pub(super) fn partition(&self, partition: i32, bound: i64) -> Option<PartitionSnapshot> {
        let name = self.name(&partition.to_string());
        let judge = |snapshot: &PartitionSnapshot| {
            if snapshot.topic != self.topic || snapshot.group != self.group || snapshot.partition != partition {
                return Err("it belongs to another topic, group or partition".to_owned());
            }
            if snapshot.next_offset > bound {
                return Err(format!("it reflects offset {}, ahead of {bound}", snapshot.next_offset));
            }
            Ok(())
        };
        let own = newest(&*self.store, &name, judge);
        if own.as_ref().is_some_and(|s| bound - s.next_offset <= BEHIND_MAX) {
            return own;
        }
        let shared = self.shared.as_ref().and_then(|store| newest(&**store, &name, judge));
        match (own, shared) {
            (Some(own), Some(shared)) if own.next_offset >= shared.next_offset => Some(own),
            (own, shared) => shared.or(own),
        }
    }

    /// Shows what is known of a partition's symbols, wherever the group stands: from each store the newest snapshot, or all
    /// that a restart may go on from. An error where one may be there that cannot be read.
    pub(super) fn look_at(&self, partition: i32, is_all: bool, see: &mut dyn FnMut(PartitionImage)) -> io::Result<()> {
        let name = self.name(&partition.to_string());
        let is_it = |snapshot: &PartitionSnapshot| {
            snapshot.topic == self.topic && snapshot.group == self.group && snapshot.partition == partition
        };
        for store in std::iter::once(&self.store).chain(&self.shared) {
            for slot in [Slot::Newest, Slot::Previous] {
                let Some(bytes) = store.read(&name, slot)? else { continue };
                // One that does not hold up is not gone on from either.
                let Ok(snapshot) = in_place(bytes, decode_snapshot::<PartitionSnapshot>) else { continue };
                if is_it(&snapshot) {
                    see(snapshot.image);
                    if !is_all {
                        break;
                    }
                }
            }
            store.is_done_with(&name);
        }
        Ok(())
    }

    /// The newest snapshot of the groups of which no offset is ahead of `bound`.
    pub(super) fn groups(&self, bound: &dyn Fn(i32) -> Option<i64>) -> Option<GroupsSnapshot> {
        let judge = |snapshot: &GroupsSnapshot| {
            if snapshot.topic != self.topic || snapshot.group != self.group {
                return Err("it belongs to another topic or group".to_owned());
            }
            match snapshot.offsets.iter().find(|(p, offset)| bound(*p).is_some_and(|bound| *offset > bound)) {
                Some((partition, offset)) => {
                    Err(format!("it reflects offset {offset} of partition {partition}, which is ahead"))
                }
                None => Ok(()),
            }
        };
        let name = self.name(&self.spanning);
        let own = newest(&*self.store, &name, judge);
        own.or_else(|| newest(&**self.shared.as_ref()?, &name, judge))
    }

    /// Writes one moment's state. The groups first: they may be ahead of a partition, whose records tell them again
    /// what they know, but never behind.
    pub(super) fn write(&self, captured: &Captured) -> io::Result<()> {
        let groups = GroupsSnapshotRef {
            topic: &self.topic,
            group: &self.group,
            offsets: &captured.offsets,
            image: &captured.groups,
        };
        let bytes = encode_snapshot(&groups).map_err(io::Error::other)?;
        self.put(&self.name(&self.spanning), &bytes, captured.is_shared)?;
        for snapshot in &captured.partitions {
            let bytes = encode_snapshot(snapshot).map_err(io::Error::other)?;
            self.put(&self.name(&snapshot.partition.to_string()), &bytes, captured.is_shared)?;
        }
        Ok(())
    }

    fn put(&self, name: &str, bytes: &[u8], is_shared: bool) -> io::Result<()> {
        self.store.write(name, bytes)?;
        match &self.shared {
            Some(store) if is_shared => store.write(name, bytes),
            _ => Ok(()),
        }
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.topic)
    }
}

/// [`GroupsSnapshot`] borrowed; the fields must stay in the same order.
#[derive(Serialize)]
struct GroupsSnapshotRef<'a> {
    topic: &'a str,
    group: &'a str,
    offsets: &'a [(i32, i64)],
    image: &'a GroupsImage,
}

/// The newest of the two kept that holds up.
fn newest<T: DeserializeOwned>(
    store: &dyn SnapshotStore,
    name: &str,
    judge: impl Fn(&T) -> Result<(), String>,
) -> Option<T> {
    for slot in [Slot::Newest, Slot::Previous] {
        let bytes = match store.read(name, slot) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(error) => {
                warn!(name, ?slot, %error, "snapshot cannot be read; not used");
                continue;
            }
        };
        match in_place(bytes, decode_snapshot::<T>) {
            Ok(snapshot) => match judge(&snapshot) {
                Ok(()) => return Some(snapshot),
                Err(reason) => info!(name, ?slot, reason, "snapshot not used"),
            },
            Err(error) => warn!(name, ?slot, %error, "snapshot refused; not used"),
        }
    }
    None
}
