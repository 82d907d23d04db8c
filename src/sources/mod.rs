//! Where records come from: files and pipes, and Kafka behind a batch-shaped trait.

mod dbn;
mod files;
mod kafka;

pub use files::{FileSource, InputError, Line};
pub use kafka::{
    ClientHealth, KafkaRange, KafkaSource, RangeError, RangePoint, RangePointError, RangeReader, RangeRecord,
    ReferenceReader, client_config, refusal,
};
pub(crate) use kafka::{Diagnosis, Reports, ask, offsets_with_note};

use crate::domain::UnixNanos;
use std::any::Any;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
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

/// Part of a partition: which one, its first offset and the one behind its last.
pub type Part = (i32, i64, i64);

/// Part of a partition that is read beside the group, in order with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Which partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// Behind the last record that is wanted.
    pub wanted: i64,
    /// Behind the last record that is handed out where it comes before wanted ones of other partitions.
    pub to: i64,
}

/// What records of different partitions are put in order by: the log's timestamp, then the partition.
pub type Rank = (UnixNanos, i32);

impl RawRecord<'_> {
    /// Its place among records of other partitions.
    pub fn rank(&self) -> Rank {
        (self.timestamp.unwrap_or(UnixNanos::MIN), self.partition)
    }
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

/// Where a partition's log and the group stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Which partition.
    pub partition: i32,
    /// First offset that is kept.
    pub low: i64,
    /// Offset of the next record to be written.
    pub high: i64,
    /// The group's next offset.
    pub committed: Option<i64>,
    /// What was noted with it, empty for nothing.
    pub note: String,
    /// Where a group without one begins.
    pub begins: i64,
}

/// What a group has kept of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Which partition.
    pub partition: i32,
    /// The next offset.
    pub next: i64,
    /// What was noted with it, empty for nothing.
    pub note: String,
}

/// Proof of membership in a generation of the group; what it holds is between a source and its sink.
pub struct Member {
    /// The proof.
    pub proof: Box<dyn Any>,
    /// What is noted with the offsets.
    pub note: Arc<str>,
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

    /// Asks where partitions stand, for at most so long; `None` while there is no answer.
    ///
    /// # Errors
    /// When the log refuses.
    fn standing(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Standing>>, SourceError>;

    /// Partitions that the log has; `None` while there is no answer.
    ///
    /// # Errors
    /// When the log refuses.
    fn partitions(&mut self, _wait: Duration) -> Result<Option<i32>, SourceError> {
        Ok(None)
    }

    /// What the group has kept of partitions, whoever reads them; `None` while there is no answer.
    ///
    /// # Errors
    /// When the log refuses.
    fn kept(&mut self, _partitions: &[i32], _wait: Duration) -> Result<Option<Vec<Kept>>, SourceError> {
        Ok(None)
    }

    /// What is kept of partitions, whoever reads them; `None` while there is no answer.
    ///
    /// # Errors
    /// When the log refuses.
    fn bounds(&mut self, _partitions: &[i32], _wait: Duration) -> Result<Option<Vec<Part>>, SourceError> {
        Ok(None)
    }

    /// Notes something with every offset that is committed from here on, by this source or by a sink with a proof from
    /// it.
    fn note(&mut self, _note: &str) {}

    /// Begins to read parts of partitions beside the group, whoever reads them. What was read so before is left.
    ///
    /// # Errors
    /// When the log refuses.
    fn read_aside(&mut self, _parts: &[Stretch]) -> Result<(), SourceError> {
        Ok(())
    }

    /// Hands records of these parts to `take`, at most `max`, merged by [`RawRecord::rank`]; waits at most `wait`. One that
    /// it breaks at comes again. Whether all wanted ones have been handed out.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn poll_aside(
        &mut self,
        _max: usize,
        _wait: Duration,
        _take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<bool, SourceError> {
        Ok(true)
    }

    /// Nothing more is read beside the group for now: connections may go.
    fn leave_aside(&mut self) {}

    /// Begins reading assigned partitions at offsets.
    ///
    /// # Errors
    /// When the log refuses.
    fn start(&mut self, partitions: &[(i32, i64)]) -> Result<(), SourceError>;

    /// Goes on reading partitions at other offsets.
    ///
    /// # Errors
    /// When the log refuses.
    fn seek(&mut self, partitions: &[(i32, i64)]) -> Result<(), SourceError>;

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

    /// The newest offset of a partition that the group is known to have kept since it was assigned.
    fn confirmed(&self, partition: i32) -> Option<i64>;

    /// Proof of membership, fresh for each use: for a sink that commits offsets with its records.
    fn member(&self) -> Option<Member>;

    /// Partitions of which everything there was has been handed out, since last asked.
    fn at_end(&mut self) -> Vec<i32>;

    /// Ends of the partitions, as far as known.
    fn ends(&self) -> Vec<(i32, i64)>;

    /// Leaves the group and ends.
    fn close(self: Box<Self>);
}

/// A record of the reference log: partition, offset, value.
pub type TakeReference<'a> = &'a mut dyn FnMut(i32, i64, Option<&[u8]>);

/// The reference log: read whole before the first market record, then followed.
pub trait ReferenceLog {
    /// Hands records to `take`, at most `max`; waits at most `wait` for the first. Returns how many.
    ///
    /// # Errors
    /// When it cannot go on.
    fn poll(&mut self, max: usize, wait: Duration, take: TakeReference<'_>) -> Result<usize, SourceError>;

    /// Whether everything that stood there at the start has been read.
    fn is_whole(&self) -> bool;

    /// What keeps it from being read, if something does.
    fn trouble(&self) -> Option<String>;
}
