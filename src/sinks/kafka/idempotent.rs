//! Each record at once: idempotent, and acknowledged by all in-sync replicas.

use super::{delivered, is_alert, partitions_of, producer_config, send_to, topic_of};
use crate::clock;
use crate::config::{Kafka, Topics};
use crate::domain::UnixNanos;
use crate::sinks::{Outgoing, Sealed, Sink, SinkError};
use crate::sources::{ClientHealth, Member};
use crate::telemetry::Metrics;
use rdkafka::client::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

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
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.health.generate_oauth_token(file)
    }

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
            Ok(_) => delivered(&self.metrics, sent.is_alert, sent.caused_at),
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

/// Delivers to Kafka topics at once.
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
        let mut config = producer_config(kafka);
        // Kept and retried until acknowledged, however long the broker is away.
        config.set("message.timeout.ms", "0");
        let deliveries = Deliveries {
            health,
            metrics,
            outstanding: [AtomicUsize::new(0), AtomicUsize::new(0)],
            failure: Mutex::new(None),
            changed: Condvar::new(),
        };
        let producer: ThreadedProducer<Deliveries> = config
            .create_with_context(deliveries)
            .map_err(|e| SinkError(format!("kafka producer: {}", crate::sources::refusal(&e))))?;
        let deliveries = producer.context().clone();
        Ok(Self { producer, topics: kafka.topics.clone(), deliveries, epoch: 0, alert_partitions: 0 })
    }

    fn outstanding(&self, epoch: usize) -> usize {
        self.deliveries.outstanding[epoch].load(Ordering::Acquire)
    }
}

impl Sink for KafkaSink {
    fn begin(&mut self, _wait: Duration) -> Result<bool, SinkError> {
        Ok(true)
    }

    fn is_transactional(&self) -> bool {
        false
    }

    #[expect(clippy::result_large_err, reason = "the client gives back whole what it cannot take")]
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        let Some(topic) = topic_of(&self.topics, record.stream) else { return Ok(()) };
        let sent = Box::new(Sent { epoch: self.epoch, is_alert: is_alert(record), caused_at: record.caused_at });
        self.deliveries.outstanding[self.epoch].fetch_add(1, Ordering::AcqRel);
        let Self { producer, .. } = self;
        let handed = send_to(record, topic, sent, &|message| producer.send(message), &|| {
            producer.poll(Duration::from_millis(1));
        });
        if handed.is_err() {
            self.deliveries.outstanding[self.epoch].fetch_sub(1, Ordering::AcqRel);
        }
        handed
    }

    fn in_flight(&self) -> usize {
        self.outstanding(0) + self.outstanding(1)
    }

    fn seal(&mut self, _offsets: &[(i32, i64)], _member: Option<&Member>) -> Result<Sealed, SinkError> {
        self.epoch ^= 1;
        Ok(Sealed::Open)
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
            self.alert_partitions = partitions_of(self.producer.client(), &self.topics.alerts);
        }
        self.alert_partitions
    }
}
