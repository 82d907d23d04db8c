//! Where alerts, states, heartbeats and dead letters go.

mod kafka;

pub use kafka::{KafkaSink, TransactionalSink};

use crate::domain::UnixNanos;
use crate::sources::Member;
use std::fmt;
use std::time::Duration;

/// Which stream a record belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Alerts and heartbeats.
    Alerts,
    /// Latest state of each entity.
    State,
    /// Refused records.
    DeadLetters,
    /// What members tell groups that are judged elsewhere.
    Members,
}

/// A record to deliver.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub stream: Stream,
    /// A partition, where it matters; else by key.
    pub partition: Option<i32>,
    /// Key; empty for none.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
    /// Headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The log's timestamp of the record that caused it: the start of the latency measured.
    pub caused_at: Option<UnixNanos>,
}

/// A record cannot be delivered, or one before it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkError(pub String);

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SinkError {}

/// What became of a call to [`Sink::seal`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sealed {
    /// Records and offsets are committed as one.
    Committed,
    /// [`Sink::is_settled`] will say when the records are there; the offsets are still to be committed.
    Open,
}

/// What became of a call to [`Sink::recall`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recalled {
    /// Everything that was said is known.
    All,
    /// Some of it may yet be to come: a transaction is open in front of it, or nobody answers.
    Open {
        /// Whether alerts stand behind it whose cause will be taken again.
        is_undone: bool,
        /// Where, or why.
        why: String,
    },
}

/// A place to deliver to, that acknowledges.
///
/// Two kinds stand behind this trait. One delivers each record at once and acknowledges it: what was sent is
/// grouped in epochs, at most one closed epoch is outstanding, and offsets follow. The other holds what was
/// sent back from readers until it is committed together with the offsets.
pub trait Sink {
    /// Makes ready to deliver, for at most so long; false while there is no answer. Nothing may be sent before.
    ///
    /// # Errors
    /// When it cannot be had.
    fn begin(&mut self, wait: Duration) -> Result<bool, SinkError>;

    /// What keeps it from being ready, where that is known.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Whether records and offsets are committed as one.
    fn is_transactional(&self) -> bool;

    /// Hands a record over; returns before it is acknowledged.
    ///
    /// # Errors
    /// When it can never be delivered.
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError>;

    /// Records handed over and not acknowledged yet.
    fn in_flight(&self) -> usize;

    /// Closes what was sent so far, which is all that follows from the records before `offsets`. The
    /// transactional kind commits both, and is done when it returns.
    ///
    /// # Errors
    /// When it failed: of the transactional kind neither is then committed, or both are.
    fn seal(&mut self, offsets: &[(i32, i64)], member: Option<&Member>) -> Result<Sealed, SinkError>;

    /// Whether every record of what was sealed is acknowledged.
    ///
    /// # Errors
    /// When one was refused for good.
    fn is_settled(&self) -> Result<bool, SinkError>;

    /// Waits until everything is acknowledged; false when `timeout` passed first.
    ///
    /// # Errors
    /// When a record was refused for good.
    fn drain(&mut self, timeout: Duration) -> Result<bool, SinkError>;

    /// Ends what an earlier life of this sink may have left open in the group's offsets and elsewhere, where a broker
    /// that crashed forgot to: the group does not say where these partitions stand until then. What of it readers
    /// have seen all the same is not sent again.
    ///
    /// # Errors
    /// When it cannot be done.
    fn clear(&mut self, _offsets: &[(i32, i64)], _member: Option<&Member>) -> Result<(), SinkError> {
        Ok(())
    }

    /// Learns what readers were told since a time, so that it is not sent again. `is_to_come` says of an alert's deciding
    /// record, by partition and offset, whether it will be taken again.
    ///
    /// # Errors
    /// When it cannot be learned.
    fn recall(&mut self, _since: UnixNanos, _is_to_come: &dyn Fn(i32, i64) -> bool) -> Result<Recalled, SinkError> {
        Ok(Recalled::All)
    }

    /// Drops what was sent and not committed, and starts anew; [`Sink::begin`] comes next.
    ///
    /// # Errors
    /// When it cannot be had, as with every kind that has nothing to drop.
    fn renew(&mut self) -> Result<(), SinkError> {
        Err(SinkError("this sink has nothing to start anew".into()))
    }

    /// Partitions of the alerts stream, as far as known.
    fn alert_partitions(&mut self) -> i32;
}
