//! The market topic, through a consumer group.
//!
//! Rebalances are noted in the callback and carried out by the lane between polls: it needs its engine,
//! sink and snapshots to give a partition up or take one over, and the callback has none of them. An
//! assignment is made exactly once, with the offsets to start from.

use super::client::{ClientHealth, client_config};
use super::committer::Committer;
use super::range::{RangeError, RangeReader};
use crate::config::Kafka;
use crate::domain::UnixNanos;
use crate::sources::{Kept, Member, Ownership, Part, RawRecord, Source, SourceError, Standing, Stretch};
use rdkafka::client::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Message, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// Time given to the client to forget what it has fetched.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time given to a commit on its way when the group is left.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

struct Context {
    health: Arc<ClientHealth>,
    pending: Mutex<VecDeque<Ownership>>,
    confirmed: Mutex<BTreeMap<i32, i64>>,
    is_closing: AtomicBool,
}

impl ClientContext for Context {
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

impl Context {
    fn confirm(&self, offsets: &TopicPartitionList) {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        for element in offsets.elements() {
            let Some(offset) = element.offset().to_raw() else { continue };
            let newest = confirmed.entry(element.partition()).or_insert(offset);
            *newest = offset.max(*newest);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.is_closing.load(Ordering::Acquire) {
            // Nobody is left to carry it out: let go at once, or the close waits for ever.
            let _ = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
                _ => consumer.unassign(),
            };
            return;
        }
        let partitions: Vec<i32> = list.elements().iter().map(TopicPartitionListElem::partition).collect();
        let change = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Ownership::Assigned(partitions),
            _ => Ownership::Revoked { partitions, lost: consumer.assignment_lost() },
        };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

/// The log's timestamp of a record.
pub(super) fn logged_at(message: &impl Message) -> Option<UnixNanos> {
    match message.timestamp() {
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) if ms >= 0 => {
            Some(UnixNanos(ms.saturating_mul(1_000_000)))
        }
        _ => None,
    }
}

/// Offsets to commit, with what is noted beside them.
pub(crate) fn offsets_with_note(topic: &str, offsets: &[(i32, i64)], note: &str) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(*offset))?;
        if !note.is_empty() {
            element.set_metadata(note);
        }
    }
    Ok(list)
}

/// A group member reading one topic.
pub struct KafkaSource {
    consumer: Arc<BaseConsumer<Context>>,
    committer: Committer,
    health: Arc<ClientHealth>,
    topic: String,
    group: String,
    brokers: String,
    assigned: Vec<i32>,
    at_end: Vec<i32>,
    begins_at_end: bool,
    warned: Option<String>,
    settings: Kafka,
    /// What is noted with committed offsets.
    note: Arc<str>,
    /// Reads what others own.
    aside: Option<RangeReader>,
}

impl KafkaSource {
    /// A member to be; connects in the background, and joins by [`Source::join`]. The group knows it as
    /// `member_id` when membership is static.
    ///
    /// # Errors
    /// When a librdkafka setting is wrong.
    pub fn new(kafka: &Kafka, member_id: &str, health: Arc<ClientHealth>) -> Result<Self, SourceError> {
        let mut config = client_config(kafka, "consumer");
        let mut default = |key: &str, value: &str| {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        };
        // Waiting a second before looking at a full queue again is the largest single cost of the client.
        default("fetch.queue.backoff.ms", "5");
        default("fetch.wait.max.ms", "100");
        // A new partition is read soon, and not after five minutes.
        default("topic.metadata.refresh.interval.ms", "10000");
        default("auto.offset.reset", "earliest");
        default("isolation.level", "read_committed");
        let new_protocol = kafka.properties.get("group.protocol").is_some_and(|p| p == "consumer");
        if !new_protocol {
            default("partition.assignment.strategy", "cooperative-sticky");
            default("session.timeout.ms", "10000");
            default("heartbeat.interval.ms", "1000");
        }
        if kafka.static_membership {
            default("group.instance.id", member_id);
        }
        let begins_at_end = matches!(config.get("auto.offset.reset"), Some("latest" | "largest" | "end"));
        config
            .set("group.id", &kafka.group)
            // Tells when a replay has come to the end of the log.
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        let context = Context {
            health: health.clone(),
            pending: Mutex::default(),
            confirmed: Mutex::default(),
            is_closing: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<Context> = config
            .create_with_context(context)
            .map_err(|e| SourceError(format!("kafka consumer: {}", super::client::refusal(&e))))?;
        let consumer = Arc::new(consumer);
        let committer = Committer::new(&consumer, Context::confirm)?;
        let topic = kafka.topics.market.clone();
        Ok(Self {
            consumer,
            committer,
            health,
            topic,
            group: kafka.group.clone(),
            brokers: kafka.brokers.clone(),
            assigned: Vec::new(),
            at_end: Vec::new(),
            begins_at_end,
            warned: None,
            settings: kafka.clone(),
            note: Arc::from(""),
            aside: None,
        })
    }

    fn list(&self, partitions: &[(i32, Offset)]) -> Result<TopicPartitionList, SourceError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (partition, offset) in partitions {
            list.add_partition_offset(&self.topic, *partition, *offset).map_err(|e| SourceError(e.to_string()))?;
        }
        Ok(list)
    }

    /// An error met while polling: fatal ones end the source, the rest is waited out and said once.
    fn trouble(&mut self, error: &KafkaError) -> Result<(), SourceError> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Err(SourceError(format!("kafka consumer cannot go on: {code}: {reason}")));
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) {
            // A slow answer is asked for again; what is the matter with the broker is said elsewhere.
            return Ok(());
        }
        let text = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                format!("topic {} does not exist on {}", self.topic, self.brokers)
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => format!("not allowed to read topic {}", self.topic),
            _ => format!("kafka at {}: {error}", self.brokers),
        };
        if self.warned.as_ref() != Some(&text) {
            warn!("{text}; trying on");
            self.warned = Some(text.clone());
        }
        self.health.report(text);
        Ok(())
    }
}

impl Source for KafkaSource {
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<usize, SourceError> {
        let mut count = 0;
        let mut wait = wait;
        while count < max {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let record = RawRecord {
                        partition: message.partition(),
                        offset: message.offset(),
                        timestamp: logged_at(&message),
                        key: message.key(),
                        value: message.payload(),
                    };
                    count += 1;
                    wait = Duration::ZERO;
                    if take(record).is_break() {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.at_end.push(partition);
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => {
                    self.trouble(&error)?;
                    break;
                }
            }
        }
        if count > 0 && self.warned.take().is_some() {
            self.health.heard();
            info!(topic = self.topic, "records are coming in again");
        }
        Ok(count)
    }

    fn join(&mut self) -> Result<(), SourceError> {
        let Self { topic, group, brokers, .. } = self;
        self.consumer.subscribe(&[topic]).map_err(|e| SourceError(format!("subscribe to {topic}: {e}")))?;
        info!(topic, group, brokers, "joining the consumer group");
        Ok(())
    }

    fn ownership(&mut self) -> Option<Ownership> {
        self.consumer.context().pending.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn standing(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Standing>>, SourceError> {
        let Some(kept) = self.kept(partitions, wait)? else { return Ok(None) };
        let mut kept: BTreeMap<i32, Kept> = kept.into_iter().map(|k| (k.partition, k)).collect();
        let Some(bounds) = self.bounds(partitions, wait)? else { return Ok(None) };
        let standings = bounds.into_iter().map(|(partition, low, high)| {
            let (committed, note) = kept.remove(&partition).map(|k| (k.next, k.note)).unzip();
            let begins = if self.begins_at_end { high } else { low };
            Standing { partition, low, high, committed, note: note.unwrap_or_default(), begins }
        });
        Ok(Some(standings.collect()))
    }

    fn partitions(&mut self, wait: Duration) -> Result<Option<i32>, SourceError> {
        match self.consumer.fetch_metadata(Some(&self.topic), wait) {
            Ok(metadata) => {
                let count = metadata.topics().first().map_or(0, |t| t.partitions().len());
                Ok(i32::try_from(count).ok().filter(|count| *count > 0))
            }
            Err(error) => {
                self.trouble(&error)?;
                Ok(None)
            }
        }
    }

    fn kept(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Kept>>, SourceError> {
        let list = self.list(&partitions.iter().map(|p| (*p, Offset::Invalid)).collect::<Vec<_>>())?;
        match self.consumer.committed_offsets(list, wait) {
            Ok(list) => {
                let kept = |e: &TopicPartitionListElem<'_>| {
                    let next = e.offset().to_raw().filter(|o| *o >= 0)?;
                    Some(Kept { partition: e.partition(), next, note: e.metadata().to_owned() })
                };
                Ok(Some(list.elements().iter().filter_map(kept).collect()))
            }
            Err(error) => {
                self.trouble(&error)?;
                Ok(None)
            }
        }
    }

    fn bounds(&mut self, partitions: &[i32], wait: Duration) -> Result<Option<Vec<Part>>, SourceError> {
        let mut bounds = Vec::with_capacity(partitions.len());
        for partition in partitions {
            match self.consumer.fetch_watermarks(&self.topic, *partition, wait) {
                Ok((low, high)) => bounds.push((*partition, low, high)),
                Err(error) => {
                    self.trouble(&error)?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(bounds))
    }

    fn note(&mut self, note: &str) {
        if *self.note != *note {
            self.note = note.into();
        }
    }

    fn read_aside(&mut self, parts: &[Stretch]) -> Result<(), SourceError> {
        let failed = |e: RangeError| SourceError(format!("partitions of others: {e}"));
        let reader = match self.aside.take() {
            Some(reader) => reader,
            None => RangeReader::of(&self.settings, &self.topic).map_err(failed)?,
        };
        self.aside.insert(reader).go_on(parts).map_err(failed)
    }

    fn poll_aside(
        &mut self,
        max: usize,
        wait: Duration,
        take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<bool, SourceError> {
        let Some(reader) = &mut self.aside else { return Ok(true) };
        let polled = reader.poll(max, wait, take);
        polled.map_err(|e| SourceError(format!("partitions of others: {e}")))
    }

    fn leave_aside(&mut self) {
        self.aside = None;
    }

    fn start(&mut self, partitions: &[(i32, i64)]) -> Result<(), SourceError> {
        let from = |(p, at): &(i32, i64)| (*p, Offset::Offset(*at));
        let list = self.list(&partitions.iter().map(from).collect::<Vec<_>>())?;
        let mut confirmed = self.consumer.context().confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        confirmed.retain(|p, _| !partitions.iter().any(|(q, _)| p == q));
        drop(confirmed);
        let done = if matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative) {
            self.consumer.incremental_assign(&list)
        } else {
            self.assigned.clear();
            self.consumer.assign(&list)
        };
        done.map_err(|e| SourceError(format!("assign: {e}")))?;
        self.assigned.extend(partitions.iter().map(|(p, _)| *p));
        self.health.heard();
        Ok(())
    }

    fn seek(&mut self, partitions: &[(i32, i64)]) -> Result<(), SourceError> {
        let list = self.list(&partitions.iter().map(|(p, at)| (*p, Offset::Offset(*at))).collect::<Vec<_>>())?;
        let done = self.consumer.seek_partitions(list, SEEK_TIMEOUT);
        let done = done.map_err(|e| SourceError(format!("seek: {e}")))?;
        for element in done.elements() {
            element.error().map_err(|e| SourceError(format!("seek: partition {}: {e}", element.partition())))?;
        }
        self.at_end.retain(|p| !partitions.iter().any(|(q, _)| p == q));
        Ok(())
    }

    fn release(&mut self, partitions: &[i32]) -> Result<(), SourceError> {
        let list = self.list(&partitions.iter().map(|p| (*p, Offset::Invalid)).collect::<Vec<_>>())?;
        let done = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_unassign(&list),
            _ => self.consumer.unassign(),
        };
        self.assigned.retain(|p| !partitions.contains(p));
        done.map_err(|e| SourceError(format!("unassign: {e}")))
    }

    fn set_paused(&mut self, partitions: &[i32], paused: bool) -> Result<(), SourceError> {
        let list = self.list(&partitions.iter().map(|p| (*p, Offset::Invalid)).collect::<Vec<_>>())?;
        let done = if paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        done.map_err(|e| SourceError(format!("pause: {e}")))
    }

    fn commit(&mut self, offsets: &[(i32, i64)], wait: Option<Duration>) -> Result<(), SourceError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let list = offsets_with_note(&self.topic, offsets, &self.note).map_err(|e| SourceError(e.to_string()))?;
        self.committer.commit(list, wait)
    }

    fn confirmed(&self, partition: i32) -> Option<i64> {
        let confirmed = self.consumer.context().confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        confirmed.get(&partition).copied()
    }

    fn member(&self) -> Option<Member> {
        let metadata = self.consumer.group_metadata()?;
        // A client that has learned that it is out forgets its member id, and a coordinator takes a proof without one
        // for a producer outside of any group: it would fence nothing. The loss is noted with the same step.
        let member = || Member { proof: Box::new(metadata), note: self.note.clone() };
        (!self.consumer.assignment_lost()).then(member)
    }

    fn at_end(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.at_end)
    }

    fn ends(&self) -> Vec<(i32, i64)> {
        self.assigned.iter().filter_map(|p| Some((*p, self.health.end(&self.topic, *p)?))).collect()
    }

    fn close(self: Box<Self>) {
        let Self { consumer, committer, .. } = *self;
        consumer.context().is_closing.store(true, Ordering::Release);
        committer.close(CLOSE_TIMEOUT);
        // Dropping leaves the group.
        drop(consumer);
    }
}
