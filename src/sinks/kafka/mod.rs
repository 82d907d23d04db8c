//! Kafka as a sink: each record at once, or all of them with the offsets in one transaction.

mod held;
mod idempotent;
mod said;
mod transactional;

pub use idempotent::KafkaSink;
pub use transactional::TransactionalSink;

use super::{Outgoing, SinkError, Stream};
use crate::clock;
use crate::config::{Kafka, Topics};
use crate::domain::UnixNanos;
use crate::sources::client_config;
use crate::telemetry::Metrics;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;
use std::time::Duration;

/// Longest wait for room in the client's queue before the lane starts over.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);

/// What every producer here shares.
fn producer_config(kafka: &Kafka) -> ClientConfig {
    let mut own = kafka.clone();
    // What only consumers know would be warned about at every start.
    for key in [
        "group.protocol",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "group.instance.id",
        "partition.assignment.strategy",
    ] {
        own.properties.remove(key);
    }
    own.properties
        .retain(|key, _| !key.starts_with("fetch.") && !key.starts_with("queued.") && key != "auto.offset.reset");
    let mut config = client_config(&own, "producer");
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // An alert waits for nothing.
        .set("linger.ms", "0")
        // The lane's own bound on alerts in flight pauses the input long before this queue is full.
        .set("queue.buffering.max.messages", "2000000")
        // Keys land where Java clients put them.
        .set("partitioner", "murmur2_random")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

fn topic_of(topics: &Topics, stream: Stream) -> Option<&str> {
    match stream {
        Stream::Alerts => Some(&topics.alerts),
        Stream::State => topics.state.as_deref(),
        Stream::DeadLetters => topics.dead_letters.as_deref(),
        Stream::Members => topics.members.as_deref(),
    }
}

/// Whether a record is an alert: heartbeats have no key.
fn is_alert(record: &Outgoing<'_>) -> bool {
    record.stream == Stream::Alerts && !record.key.is_empty()
}

/// A record that a client cannot take, and why.
type Refused<'a, O> = (KafkaError, BaseRecord<'a, [u8], [u8], O>);
/// A client's way of taking a record.
type Send<'s, O> = &'s dyn for<'a> Fn(BaseRecord<'a, [u8], [u8], O>) -> Result<(), Refused<'a, O>>;

/// Hands a record to a client; what it cannot take yet is tried again, so that nothing overtakes it.
fn send_to<O: IntoOpaque>(
    record: &Outgoing<'_>,
    topic: &str,
    opaque: O,
    send: Send<'_, O>,
    serve: &dyn Fn(),
) -> Result<(), SinkError> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in record.headers {
        headers = headers.insert(Header { key, value: Some(*value) });
    }
    let mut message = BaseRecord::with_opaque_to(topic, opaque).payload(record.value).headers(headers);
    if !record.key.is_empty() {
        message = message.key(record.key);
    }
    if let Some(partition) = record.partition {
        message = message.partition(partition);
    }
    let until = clock::monotonic() + ROOM_TIMEOUT;
    loop {
        match send(message) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if clock::monotonic() < until => {
                message = back;
                serve();
            }
            Err((error, _)) => return Err(SinkError(format!("cannot send to {topic}: {error}"))),
        }
    }
}

/// Partitions of a topic, if some broker says so soon.
fn partitions_of<C: ClientContext>(client: &rdkafka::client::Client<C>, topic: &str) -> i32 {
    let asked = client.fetch_metadata(Some(topic), Duration::from_millis(500));
    let count = asked.ok().and_then(|m| Some(m.topics().first()?.partitions().len()));
    count.and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
}

/// An alert has reached its readers.
fn delivered(metrics: &Metrics, is_alert: bool, caused_at: Option<UnixNanos>) {
    if is_alert {
        metrics.deliveries.with_label_values(&["kafka", "delivered"]).inc();
    }
    if let Some(caused_at) = caused_at {
        let nanos = clock::now().since(caused_at).max(0);
        metrics.observe_event_to_alert(Duration::from_nanos(nanos.unsigned_abs()));
    }
}
