//! Snapshots: one a partition and one for what spans them, each stamped with the offsets it reflects.
//!
//! A snapshot is written after the offsets it reflects were committed, and is used only up to where the group
//! stands: one that is ahead reflects records whose alerts may never have been seen. Two are kept, so that there is
//! one behind. One that is damaged, foreign, ahead or of another layout is refused with its reason.

mod store;
mod writer;

pub use store::{FileStore, Slot, SnapshotStore};
pub(super) use writer::Writer;

use crate::codec::{decode_snapshot, encode_snapshot};
use crate::domain::Outcome;
use crate::engine::{GroupsImage, PartitionImage};
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
}

/// The snapshots of one topic and group.
#[derive(Clone)]
pub(super) struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    topic: String,
    group: String,
}

impl Snapshots {
    pub(super) fn new(store: Arc<dyn SnapshotStore>, topic: &str, group: &str) -> Self {
        Self { store, topic: topic.to_owned(), group: group.to_owned() }
    }

    /// The newest snapshot of a partition that is not ahead of `bound`.
    pub(super) fn partition(&self, partition: i32, bound: i64) -> Option<PartitionSnapshot> {
        let name = self.name(&partition.to_string());
        self.newest(&name, |snapshot: &PartitionSnapshot| {
            if snapshot.topic != self.topic || snapshot.group != self.group || snapshot.partition != partition {
                return Err("it belongs to another topic, group or partition".to_owned());
            }
            if snapshot.next_offset > bound {
                return Err(format!("it reflects offset {}, ahead of {bound}", snapshot.next_offset));
            }
            Ok(())
        })
    }

    /// The newest snapshot of the groups of which no offset is ahead of `bound`.
    pub(super) fn groups(&self, bound: &dyn Fn(i32) -> Option<i64>) -> Option<GroupsSnapshot> {
        self.newest(&self.name("groups"), |snapshot: &GroupsSnapshot| {
            if snapshot.topic != self.topic || snapshot.group != self.group {
                return Err("it belongs to another topic or group".to_owned());
            }
            match snapshot.offsets.iter().find(|(p, offset)| bound(*p).is_some_and(|bound| *offset > bound)) {
                Some((partition, offset)) => {
                    Err(format!("it reflects offset {offset} of partition {partition}, which is ahead"))
                }
                None => Ok(()),
            }
        })
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
        self.store.write(&self.name("groups"), &encode_snapshot(&groups).map_err(io::Error::other)?)?;
        for snapshot in &captured.partitions {
            let bytes = encode_snapshot(snapshot).map_err(io::Error::other)?;
            self.store.write(&self.name(&snapshot.partition.to_string()), &bytes)?;
        }
        Ok(())
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.topic)
    }

    fn newest<T: DeserializeOwned>(&self, name: &str, judge: impl Fn(&T) -> Result<(), String>) -> Option<T> {
        for slot in [Slot::Newest, Slot::Previous] {
            let bytes = match self.store.read(name, slot) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) => {
                    warn!(name, ?slot, %error, "snapshot cannot be read; not used");
                    continue;
                }
            };
            match decode_snapshot::<T>(&bytes) {
                Ok(snapshot) => match judge(&snapshot) {
                    Ok(()) => return Some(snapshot),
                    Err(reason) => info!(name, ?slot, reason, "snapshot not used"),
                },
                Err(error) => warn!(name, ?slot, %error, "snapshot refused; not used"),
            }
        }
        None
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
