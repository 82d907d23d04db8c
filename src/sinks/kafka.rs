//! Kafka as a sink: idempotent, acknowledged by all in-sync replicas, sent at once.

use super::{Outgoing, Sink, SinkError, Stream};
use crate::clock;
use crate::config::{Kafka, Topics};
use crate::domain::UnixNanos;
use crate::sources::{ClientHealth, client_config};
use crate::telemetry::Metrics;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for room in the client's queue before the lane starts over.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);

/// What travels with a record to its delivery report.
struct Sent {
    epoch: usize,
    is_alert: bool,
    caused_at: Option<UnixNanos>,
}

/// Counts deliveries; called on the producer's own thread.
struct Deliveries {
    health: Arc<ClientHealth>,
    metrics: Arc<Metrics>,
    /// Outstanding records of the open and the closed epoch, by parity.
    outstanding: [AtomicUsize; 2],
    failure: Mutex<Option<String>>,
    changed: Condvar,
}

impl Deliveries {
    fn failure(&self) -> Result<(), SinkError> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(SinkError(failure.clone())),
            None => Ok(()),
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.health.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.health.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        match result {
            Ok(_) => {
                if sent.is_alert {
                    self.metrics.deliveries.with_label_values(&["kafka", "delivered"]).inc();
                }
                if let Some(caused_at) = sent.caused_at {
                    let nanos = clock::now().since(caused_at).max(0);
                    self.metrics.observe_event_to_alert(Duration::from_nanos(nanos.unsigned_abs()));
                }
            }
            Err((error, _)) => {
                self.metrics.deliveries.with_label_values(&["kafka", "failed"]).inc();
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| format!("delivery failed: {error}"));
            }
        }
        self.outstanding[sent.epoch].fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_all();
    }
}

/// Delivers to Kafka topics.
pub struct KafkaSink {
    producer: ThreadedProducer<Deliveries>,
    topics: Topics,
    deliveries: Arc<Deliveries>,
    epoch: usize,
    alert_partitions: i32,
}

impl KafkaSink {
    /// Prepares to deliver; connects in the background.
    ///
    /// # Errors
    /// When a librdkafka setting is wrong.
    pub fn new(kafka: &Kafka, health: Arc<ClientHealth>, metrics: Arc<Metrics>) -> Result<Self, SinkError> {
        let mut own = kafka.clone();
        // What only consumers know would be warned about at every start.
        for key in [
            "group.protocol",
            "session.timeout.ms",
            "heartbeat.interval.ms",
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
            // Kept and retried until acknowledged, however long the broker is away; the lane's own bound on
            // alerts in flight pauses the input long before this queue is full.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", "2000000")
            // Keys land where Java clients put them.
            .set("partitioner", "murmur2_random")
            .set_log_level(RDKafkaLogLevel::Warning);
        let deliveries = Deliveries {
            health,
            metrics,
            outstanding: [AtomicUsize::new(0), AtomicUsize::new(0)],
            failure: Mutex::new(None),
            changed: Condvar::new(),
        };
        let producer: ThreadedProducer<Deliveries> =
            config.create_with_context(deliveries).map_err(|e| SinkError(format!("kafka producer: {e}")))?;
        let deliveries = producer.context().clone();
        Ok(Self { producer, topics: kafka.topics.clone(), deliveries, epoch: 0, alert_partitions: 0 })
    }

    fn outstanding(&self, epoch: usize) -> usize {
        self.deliveries.outstanding[epoch].load(Ordering::Acquire)
    }
}

impl Sink for KafkaSink {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        let topic = match record.stream {
            Stream::Alerts => Some(&self.topics.alerts),
            Stream::State => self.topics.state.as_ref(),
            Stream::DeadLetters => self.topics.dead_letters.as_ref(),
        };
        let Some(topic) = topic else { return Ok(()) };
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in record.headers {
            headers = headers.insert(Header { key, value: Some(*value) });
        }
        let is_alert = record.stream == Stream::Alerts && !record.key.is_empty();
        let sent = Box::new(Sent { epoch: self.epoch, is_alert, caused_at: record.caused_at });
        let mut message = BaseRecord::with_opaque_to(topic, sent).payload(record.value).headers(headers);
        if !record.key.is_empty() {
            message = message.key(record.key);
        }
        if let Some(partition) = record.partition {
            message = message.partition(partition);
        }
        self.deliveries.outstanding[self.epoch].fetch_add(1, Ordering::AcqRel);
        let until = clock::monotonic() + ROOM_TIMEOUT;
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if clock::monotonic() < until =>
                {
                    // The same record again, so that nothing overtakes it.
                    message = back;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    self.deliveries.outstanding[self.epoch].fetch_sub(1, Ordering::AcqRel);
                    return Err(SinkError(format!("cannot send to {topic}: {error}")));
                }
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.outstanding(0) + self.outstanding(1)
    }

    fn next_epoch(&mut self) {
        self.epoch ^= 1;
    }

    fn is_settled(&self) -> Result<bool, SinkError> {
        // The count first: a failure is noted before its record is taken off.
        let is_settled = self.outstanding(self.epoch ^ 1) == 0;
        self.deliveries.failure()?;
        Ok(is_settled)
    }

    fn drain(&mut self, timeout: Duration) -> Result<bool, SinkError> {
        let until = clock::monotonic() + timeout;
        let mut guard = self.deliveries.failure.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(failure) = &*guard {
                return Err(SinkError(failure.clone()));
            }
            if self.in_flight() == 0 {
                return Ok(true);
            }
            let left = until.saturating_duration_since(clock::monotonic());
            if left.is_zero() {
                return Ok(false);
            }
            // A report may come between the look and the wait: look again soon in any case.
            let wait = left.min(Duration::from_millis(1));
            guard = self.deliveries.changed.wait_timeout(guard, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn alert_partitions(&mut self) -> i32 {
        if self.alert_partitions == 0 {
            let asked = self.producer.client().fetch_metadata(Some(&self.topics.alerts), Duration::from_millis(500));
            let count = asked.ok().and_then(|m| Some(m.topics().first()?.partitions().len()));
            self.alert_partitions = count.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
        }
        self.alert_partitions
    }
}
