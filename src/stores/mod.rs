//! Where snapshots are kept: bytes by name, the newest and the one before.

mod chunks;
mod files;
mod kafka;

pub use chunks::Chunks;
pub use files::FileStore;
pub use kafka::TopicStore;

use std::io;

/// Which of the two that are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Written last.
    Newest,
    /// The one before.
    Previous,
}

/// Keeps bytes by name.
pub trait SnapshotStore: Send + Sync {
    /// What is kept; `None` when there is nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, name: &str, slot: Slot) -> io::Result<Option<Vec<u8>>>;

    /// Frees what a store holds in memory between two reads of a name; one that holds nothing has nothing to do.
    fn is_done_with(&self, _name: &str) {}

    /// Keeps bytes; what was the newest becomes the previous. After a crash at any point one of the two is whole.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
}
