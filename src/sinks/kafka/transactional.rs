//! Records and offsets as one: a transaction that readers of committed records see whole or not at all.
//!
//! Records wait until the transaction is sealed, and its offsets go before them, but for records of which there are too
//! many and the last ones of a partition. The coordinator refuses a transaction as long as it ends the last one of the
//! same producer. The client asks again after `retry.backoff.ms` where offsets open the transaction, and only after a
//! fixed 20 ms where records do: a hundredth of the transactions met that.
//!
//! The consumer's group metadata goes with the offsets, so that a commit of a member that the group has given
//! up is refused (KIP-447). After any failure, a time-out included, the producer is abandoned: a request of
//! its that is still on its way could reach a later transaction, and only the next producer of the same
//! `transactional.id` fences it off.

use super::held::Held;
use super::said::{Reading, Said, Unread};
use super::{delivered, is_alert, partitions_of, producer_config, send_to, topic_of};
use crate::clock;
use crate::config::Kafka;
use crate::domain::UnixNanos;
use crate::sinks::{Outgoing, Recalled, Sealed, Sink, SinkError, Stream};
use crate::sources::{ClientHealth, Member, Reports, offsets_with_note};
use crate::telemetry::Metrics;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// A transaction of a producer that is gone ends by itself after so long. Readers of committed records, and
/// whoever takes the partitions over, wait for that.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for what others have begun and not ended, before the lane looks after everything else again.
const RECALL_PATIENCE: Duration = Duration::from_millis(300);
/// Longest wait for one step of a commit.
const STEP_TIMEOUT: Duration = Duration::from_secs(8);
/// First pause of the client before it asks again, in milliseconds; it doubles up to a second, but for records that a
/// broker refuses as not its own.
const RETRY_BACKOFF_MS: &str = "5";
/// A look for the leader of a topic that is due later than this is taken at once when records are refused. It would follow
/// the pause above, and the looks with it.
const REFRESH_MS: &str = "100";
/// Pause between two looks at delivery reports.
const LOOK: Duration = Duration::from_micros(100);

/// Delivers to Kafka topics in transactions.
pub struct TransactionalSink {
    config: ClientConfig,
    producer: BaseProducer<Reports>,
    kafka: Kafka,
    health: Arc<ClientHealth>,
    metrics: Arc<Metrics>,
    is_ready: bool,
    is_open: bool,
    /// Records of the transaction to come.
    held: Held,
    /// Records of the open transaction whose latency ends with its commit.
    sent: Vec<(bool, Option<UnixNanos>)>,
    alert_partitions: i32,
    /// Alerts that were said in a transaction whose offsets were lost.
    said: Said,
    /// Whether leftovers were ended and what they had said is still to be read: before that nothing may be said.
    is_said_due: bool,
}

impl TransactionalSink {
    /// Prepares to deliver under a transactional id that no other producer uses at the same time.
    ///
    /// # Errors
    /// When a librdkafka setting is wrong.
    pub fn new(kafka: &Kafka, id: &str, health: Arc<ClientHealth>, metrics: Arc<Metrics>) -> Result<Self, SinkError> {
        let mut config = producer_config(kafka);
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        for (key, value) in [
            ("transaction.timeout.ms", timeout.as_str()),
            ("retry.backoff.ms", RETRY_BACKOFF_MS),
            ("topic.metadata.refresh.fast.interval.ms", REFRESH_MS),
        ] {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        config.set("transactional.id", id);
        let producer = producer(&config, &health)?;
        Ok(Self {
            config,
            producer,
            kafka: kafka.clone(),
            health,
            metrics,
            is_ready: false,
            is_open: false,
            held: Held::default(),
            sent: Vec::new(),
            alert_partitions: 0,
            said: Said::default(),
            is_said_due: false,
        })
    }

    fn open(&mut self) -> Result<(), SinkError> {
        if !self.is_open {
            self.producer.begin_transaction().map_err(|e| failed("begin", &e))?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Gives the client what waits for its transaction.
    #[expect(clippy::result_large_err, reason = "the client gives back whole what it cannot take")]
    fn hand_over(&mut self) -> Result<(), SinkError> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.open()?;
        let Self { producer, kafka, held, .. } = self;
        held.hand_over(|record| {
            let topic = topic_of(&kafka.topics, record.stream).unwrap_or_default();
            send_to(record, topic, (), &|message| producer.send(message), &|| {
                producer.poll(Duration::from_millis(1));
            })
        })
    }

    fn send_offsets(&self, offsets: &[(i32, i64)], member: Option<&Member>) -> Result<(), SinkError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let group = member.and_then(|m| Some((m.proof.downcast_ref::<ConsumerGroupMetadata>()?, &*m.note)));
        let (group, note) = group.ok_or_else(|| SinkError("transaction: not a member of the group".into()))?;
        let list = offsets_with_note(&self.kafka.topics.market, offsets, note).map_err(|e| failed("offsets", &e))?;
        let sent = self.producer.send_offsets_to_transaction(&list, group, STEP_TIMEOUT);
        sent.map_err(|e| failed("offsets", &e))
    }

    /// Reads what was said, since a time or at the end; where something is open in front of it, how far it could not.
    fn read_said(&mut self, since: Option<UnixNanos>, patience: Duration) -> Result<Vec<Unread>, SinkError> {
        let partitions = self.alert_partitions();
        if partitions == 0 {
            return Err(SinkError(format!("partitions of {} are not known", self.kafka.topics.alerts)));
        }
        let reading = Reading { kafka: &self.kafka, since, patience, timeout: STEP_TIMEOUT };
        reading.read(partitions, &mut self.said).map_err(SinkError)
    }

    /// Reads the last that was said, once leftovers are ended.
    fn read_last(&mut self) -> Result<(), SinkError> {
        if let Some(unread) = self.read_said(None, STEP_TIMEOUT)?.first() {
            return Err(SinkError(unread.to_string()));
        }
        self.is_said_due = false;
        info!(alerts = self.said.len(), "leftovers are ended; what was said last is not said again");
        Ok(())
    }

    /// Sends a record that nobody will see to every partition that a transaction may have written to.
    fn touch_all(&mut self) -> Result<(), SinkError> {
        for stream in [Stream::Alerts, Stream::State, Stream::DeadLetters, Stream::Members] {
            let Some(topic) = topic_of(&self.kafka.topics, stream) else { continue };
            for partition in 0..partitions_of(self.producer.client(), topic) {
                // Compacted topics take no record without a key.
                let record = BaseRecord::<[u8], [u8]>::to(topic).key(b"-").partition(partition);
                self.producer.send(record).map_err(|(e, _)| failed("touch", &e))?;
            }
        }
        if self.drain(STEP_TIMEOUT)? {
            return Ok(());
        }
        Err(SinkError(format!("transaction: records not acknowledged within {STEP_TIMEOUT:?}")))
    }

    fn serve(&self) {
        // One event a call.
        let mut before = self.producer.in_flight_count();
        loop {
            self.producer.poll(Duration::ZERO);
            let left = self.producer.in_flight_count();
            if left == 0 || left >= before {
                return;
            }
            before = left;
        }
    }

    fn failure(&self) -> Result<(), SinkError> {
        self.producer.context().failure().map_or(Ok(()), |failure| Err(SinkError(failure)))
    }
}

fn producer(config: &ClientConfig, health: &Arc<ClientHealth>) -> Result<BaseProducer<Reports>, SinkError> {
    config
        .create_with_context(Reports::new(health.clone()))
        .map_err(|e| SinkError(format!("kafka producer: {}", crate::sources::refusal(&e))))
}

fn failed(step: &str, error: &KafkaError) -> SinkError {
    SinkError(format!("transaction: {step}: {error}"))
}

impl Sink for TransactionalSink {
    fn begin(&mut self, wait: Duration) -> Result<bool, SinkError> {
        if !self.is_ready {
            match self.producer.init_transactions(wait) {
                Ok(()) => {
                    self.is_ready = true;
                    self.health.heard();
                }
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    debug!(%error, "no transaction coordinator yet");
                    self.serve();
                }
                Err(error) => return Err(failed("init", &error)),
            }
        }
        if self.is_ready
            && self.is_said_due
            && let Err(error) = self.read_last()
        {
            warn!(%error, "nothing is said before it is known what was said; trying on");
        }
        Ok(self.is_ready && !self.is_said_due)
    }

    fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        if topic_of(&self.kafka.topics, record.stream).is_none() {
            return Ok(());
        }
        if is_alert(record) && self.said.has(record) {
            self.metrics.deliveries.with_label_values(&["kafka", "said_before"]).inc();
            return Ok(());
        }
        self.sent.push((is_alert(record), record.caused_at));
        if self.held.keep(record) { Ok(()) } else { self.hand_over() }
    }

    fn in_flight(&self) -> usize {
        self.held.len() + usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    fn seal(&mut self, offsets: &[(i32, i64)], member: Option<&Member>) -> Result<Sealed, SinkError> {
        self.open()?;
        self.send_offsets(offsets, member)?;
        // The client's own flush waits a tenth of a second for what is there at once: wait here, and leave it
        // nothing to do.
        if !self.drain(STEP_TIMEOUT)? {
            return Err(SinkError(format!("transaction: records not acknowledged within {STEP_TIMEOUT:?}")));
        }
        self.producer.commit_transaction(STEP_TIMEOUT).map_err(|e| failed("commit", &e))?;
        self.is_open = false;
        for (is_alert, caused_at) in self.sent.drain(..) {
            delivered(&self.metrics, is_alert, caused_at);
        }
        Ok(Sealed::Committed)
    }

    fn is_settled(&self) -> Result<bool, SinkError> {
        self.serve();
        self.failure()?;
        Ok(true)
    }

    fn drain(&mut self, timeout: Duration) -> Result<bool, SinkError> {
        self.hand_over()?;
        let until = clock::monotonic() + timeout;
        loop {
            self.serve();
            self.failure()?;
            if self.producer.in_flight_count() == 0 {
                return Ok(true);
            }
            if clock::monotonic() >= until {
                return Ok(false);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "reports come within a millisecond, and the lane has to wait"
            )]
            std::thread::sleep(LOOK);
        }
    }

    fn clear(&mut self, offsets: &[(i32, i64)], member: Option<&Member>) -> Result<(), SinkError> {
        self.open()?;
        self.touch_all()?;
        self.send_offsets(offsets, member)?;
        self.is_said_due = true;
        // The marker of this transaction's end counts for all that the same producer id has open in a partition. So
        // it must reach every one: what is left open there would be committed with the next transaction, and
        // said again beside it.
        self.producer.abort_transaction(STEP_TIMEOUT).map_err(|e| failed("abort", &e))?;
        self.is_open = false;
        // Some of it may have been ended before, and is there to be read.
        self.read_last()
    }

    fn recall(&mut self, since: UnixNanos, is_to_come: &dyn Fn(i32, i64) -> bool) -> Result<Recalled, SinkError> {
        let unread = match self.read_said(Some(since), RECALL_PATIENCE) {
            Ok(unread) => unread,
            Err(SinkError(why)) => return Ok(Recalled::Open { is_undone: false, why }),
        };
        let Some(first) = unread.first() else {
            debug!(alerts = self.said.len(), "what was said since the last commit is not said again");
            return Ok(Recalled::All);
        };
        let is_undone = unread.iter().any(|u| u.has_cause(&self.kafka, is_to_come).unwrap_or(false));
        Ok(Recalled::Open { is_undone, why: first.to_string() })
    }

    fn renew(&mut self) -> Result<(), SinkError> {
        self.producer = producer(&self.config, &self.health)?;
        (self.is_ready, self.is_open) = (false, false);
        self.held.clear();
        self.sent.clear();
        Ok(())
    }

    fn alert_partitions(&mut self) -> i32 {
        if self.alert_partitions == 0 {
            self.alert_partitions = partitions_of(self.producer.client(), &self.kafka.topics.alerts);
        }
        self.alert_partitions
    }
}
