//! Snapshots on disk: one file a partition, and one for what spans them.
//!
//! Written aside, synced and renamed, so that a crash leaves the old file or the new one. A file that is
//! damaged, foreign or of another layout is refused with its reason, and the partition starts where its
//! group stands.

use crate::codec::{decode_snapshot, encode_snapshot};
use crate::domain::Outcome;
use crate::engine::{GroupsImage, PartitionImage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tracing::warn;

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
    offsets: Vec<(i32, i64)>,
    pub(super) image: GroupsImage,
}

/// State captured at one moment.
pub(super) struct Captured {
    pub(super) partitions: Vec<PartitionSnapshot>,
    pub(super) groups: GroupsImage,
    pub(super) offsets: Vec<(i32, i64)>,
}

/// The snapshots of one topic and group in one directory.
pub(super) struct Snapshots {
    dir: PathBuf,
    topic: String,
    group: String,
}

impl Snapshots {
    /// Opens the directory, making it if need be.
    pub(super) fn open(dir: &Path, topic: &str, group: &str) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), topic: topic.to_owned(), group: group.to_owned() })
    }

    /// The snapshot of a partition, if there is one to continue from.
    pub(super) fn partition(&self, partition: i32) -> Option<PartitionSnapshot> {
        let path = self.partition_path(partition);
        let snapshot: PartitionSnapshot = read(&path)?;
        if snapshot.topic != self.topic || snapshot.group != self.group || snapshot.partition != partition {
            warn!(path = %path.display(), "snapshot belongs to another topic, group or partition; not used");
            return None;
        }
        Some(snapshot)
    }

    /// The snapshot of the groups.
    pub(super) fn groups(&self) -> Option<GroupsSnapshot> {
        let snapshot: GroupsSnapshot = read(&self.groups_path())?;
        (snapshot.topic == self.topic && snapshot.group == self.group).then_some(snapshot)
    }

    /// Writes one moment's state: the groups first, whose repetition by replayed records changes nothing.
    pub(super) fn write(&self, captured: &Captured) -> io::Result<()> {
        let groups = GroupsSnapshotRef {
            topic: &self.topic,
            group: &self.group,
            offsets: &captured.offsets,
            image: &captured.groups,
        };
        put(&self.groups_path(), &encode_snapshot(&groups).map_err(io::Error::other)?)?;
        for snapshot in &captured.partitions {
            let bytes = encode_snapshot(snapshot).map_err(io::Error::other)?;
            put(&self.partition_path(snapshot.partition), &bytes)?;
        }
        File::open(&self.dir)?.sync_all()
    }

    fn partition_path(&self, partition: i32) -> PathBuf {
        self.dir.join(format!("{}-{partition}.snapshot", self.topic))
    }

    fn groups_path(&self) -> PathBuf {
        self.dir.join(format!("{}-groups.snapshot", self.topic))
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("tmp");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&aside, path)
}

/// [`GroupsSnapshot`] borrowed; the fields must stay in the same order.
#[derive(Serialize)]
struct GroupsSnapshotRef<'a> {
    topic: &'a str,
    group: &'a str,
    offsets: &'a [(i32, i64)],
    image: &'a GroupsImage,
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warn!(path = %path.display(), %error, "snapshot cannot be read; not used");
            return None;
        }
    };
    match decode_snapshot(&bytes) {
        Ok(snapshot) => Some(snapshot),
        Err(error) => {
            warn!(path = %path.display(), %error, "snapshot refused; not used");
            None
        }
    }
}
