//! Where records come from: files and pipes, and Kafka behind a batch-shaped trait.

mod dbn;
mod files;
mod kafka;

pub use files::{FileSource, InputError, Line};
pub use kafka::{
    ClientHealth, KafkaRange, KafkaSource, RangeError, RangePoint, RangePointError, RangeReader, RangeRecord,
    ReferenceReader, client_config,
};

use crate::domain::UnixNanos;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

/// One record of a log, borrowed from the batch it came in.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The log's timestamp.
    pub timestamp: Option<UnixNanos>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` and empty are tombstones.
    pub value: Option<&'a [u8]>,
}

/// A change of what is being read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ownership {
    /// These partitions are to be read; nothing comes before [`Source::start`] names their offsets.
    Assigned(Vec<i32>),
    /// These are to be given up; [`Source::release`] does it.
    Revoked {
        /// Which.
        partitions: Vec<i32>,
        /// Someone else may already read them: nothing may be committed.
        lost: bool,
    },
}

/// The source cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError(pub String);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// A partitioned log, read in batches by one thread.
///
/// The trait is batch-shaped so that a consumer that hands out whole fetch buffers can take the place of
/// one that hands out single messages. Nothing in it names Kafka.
pub trait Source {
    /// Hands records to `take` until it breaks, `max` were handed out, or none is there; waits at most
    /// `wait` for the first. Returns how many.
    ///
    /// # Errors
    /// When the source cannot go on. An unreachable broker is no error: it is waited for.
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<usize, SourceError>;

    /// Joins the group; nothing is assigned before.
    ///
    /// # Errors
    /// When the log refuses.
    fn join(&mut self) -> Result<(), SourceError>;

    /// The next change of ownership, in order.
    fn ownership(&mut self) -> Option<Ownership>;

    /// Begins reading assigned partitions: at an offset, or where the group stands for `None`.
    ///
    /// # Errors
    /// When the log refuses.
    fn start(&mut self, partitions: &[(i32, Option<i64>)]) -> Result<(), SourceError>;

    /// Gives partitions up.
    ///
    /// # Errors
    /// When the log refuses.
    fn release(&mut self, partitions: &[i32]) -> Result<(), SourceError>;

    /// Stops handing out records while membership is kept, or begins again.
    ///
    /// # Errors
    /// When the log refuses.
    fn set_paused(&mut self, partitions: &[i32], paused: bool) -> Result<(), SourceError>;

    /// Commits next offsets for the group; waits so long for the answer, or sends and goes on.
    ///
    /// # Errors
    /// When the log refuses, or does not answer in time.
    fn commit(&mut self, offsets: &[(i32, i64)], wait: Option<Duration>) -> Result<(), SourceError>;

    /// Ends of the partitions, as far as known.
    fn ends(&self) -> Vec<(i32, i64)>;

    /// Leaves the group and ends.
    fn close(self: Box<Self>);
}
