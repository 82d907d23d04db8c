//! Where alerts, states, heartbeats and dead letters go.

mod kafka;

pub use kafka::KafkaSink;

use crate::domain::UnixNanos;
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

/// A place to deliver to, that acknowledges.
///
/// Records are grouped in epochs: [`Sink::next_epoch`] closes one, and [`Sink::is_settled`] says when every
/// record up to there is acknowledged. At most one closed epoch is outstanding.
pub trait Sink {
    /// Hands a record over; returns before it is acknowledged.
    ///
    /// # Errors
    /// When it can never be delivered.
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError>;

    /// Records handed over and not acknowledged yet.
    fn in_flight(&self) -> usize;

    /// Closes the epoch: what was sent so far belongs to it.
    fn next_epoch(&mut self);

    /// Whether every record of the closed epoch is acknowledged.
    ///
    /// # Errors
    /// When one was refused for good.
    fn is_settled(&self) -> Result<bool, SinkError>;

    /// Waits until everything is acknowledged; false when `timeout` passed first.
    ///
    /// # Errors
    /// When a record was refused for good.
    fn drain(&mut self, timeout: Duration) -> Result<bool, SinkError>;

    /// Partitions of the alerts stream, as far as known.
    fn alert_partitions(&mut self) -> i32;
}
