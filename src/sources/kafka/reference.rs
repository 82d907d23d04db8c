//! The reference topic: read whole before the first market record, then followed.
//!
//! It has no group and no committed offsets: every instance reads all of it, every time.

use super::client::{ClientHealth, client_config};
use crate::config::Kafka;
use crate::sources::{ReferenceLog, SourceError, TakeReference};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

impl ConsumerContext for ClientHealth {}

/// Reads one topic from its beginning, without a group.
pub struct ReferenceReader {
    consumer: BaseConsumer<ClientHealth>,
    topic: String,
    /// Offsets still to be reached before the topic has been read whole.
    awaited: Option<BTreeMap<i32, i64>>,
}

impl ReferenceReader {
    /// Prepares to read; connects in the background.
    ///
    /// # Errors
    /// When a librdkafka setting is wrong.
    pub fn new(kafka: &Kafka, topic: &str) -> Result<Self, SourceError> {
        let mut config = client_config(kafka, "reference");
        // A group id is asked for by the client library; nothing is committed and no group is joined.
        config
            .set("group.id", format!("{}-reference", kafka.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.queue.backoff.ms", "5")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set_log_level(RDKafkaLogLevel::Warning);
        for key in ["group.protocol", "group.instance.id"] {
            config.remove(key);
        }
        let consumer = config
            .create_with_context(ClientHealth::default())
            .map_err(|e| SourceError(format!("reference consumer: {}", super::client::refusal(&e))))?;
        Ok(Self { consumer, topic: topic.to_owned(), awaited: None })
    }

    /// Looks up partitions and their ends, and starts at the beginning. False while no broker answers.
    fn begin(&mut self, wait: Duration) -> Result<bool, SourceError> {
        let timeout = wait.max(Duration::from_millis(500));
        let asked = self.consumer.fetch_metadata(Some(&self.topic), timeout);
        let metadata = match asked {
            Ok(metadata) => metadata,
            Err(error) => {
                self.wait_for(&error);
                return Ok(false);
            }
        };
        let partitions: Vec<i32> =
            metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
        if partitions.is_empty() {
            self.consumer.context().report(format!("reference topic {} does not exist", self.topic));
            return Ok(false);
        }
        let mut ends = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            match self.consumer.fetch_watermarks(&self.topic, partition, timeout) {
                Ok((low, high)) if low < high => {
                    ends.insert(partition, high);
                }
                Ok(_) => {}
                Err(error) => {
                    self.wait_for(&error);
                    return Ok(false);
                }
            }
            list.add_partition_offset(&self.topic, partition, Offset::Beginning)
                .map_err(|e| SourceError(e.to_string()))?;
        }
        self.consumer.assign(&list).map_err(|e| SourceError(format!("assign {}: {e}", self.topic)))?;
        self.consumer.context().heard();
        self.awaited = Some(ends);
        Ok(true)
    }

    fn wait_for(&self, error: &KafkaError) {
        // Serve the client's own events while there is nothing to read: what a connection broke on is among them.
        let _ = self.consumer.poll(Duration::ZERO);
        self.consumer.context().report_failure(&format!("reference topic {}", self.topic), error);
    }

    /// The last offsets of a compacted or transactional topic may hold no record: ask where reading stands.
    fn skip_gaps(&mut self) {
        let Some(awaited) = &mut self.awaited else { return };
        if awaited.is_empty() {
            return;
        }
        let Ok(position) = self.consumer.position() else { return };
        let at: Vec<(i32, i64)> =
            position.elements().iter().filter_map(|e| Some((e.partition(), e.offset().to_raw()?))).collect();
        // A list that outlives its consumer hangs the consumer's end: plain numbers only from here on.
        drop(position);
        for (partition, offset) in at {
            if awaited.get(&partition).is_some_and(|end| offset >= *end) {
                awaited.remove(&partition);
            }
        }
    }
}

impl ReferenceLog for ReferenceReader {
    fn is_whole(&self) -> bool {
        self.awaited.as_ref().is_some_and(BTreeMap::is_empty)
    }

    fn trouble(&self) -> Option<String> {
        self.consumer.context().trouble()
    }

    fn poll(&mut self, max: usize, wait: Duration, take: TakeReference<'_>) -> Result<usize, SourceError> {
        if self.awaited.is_none() && !self.begin(wait)? {
            return Ok(0);
        }
        let mut count = 0;
        let mut wait = wait;
        while count < max {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    take(partition, offset, message.payload());
                    if let Some(awaited) = &mut self.awaited
                        && awaited.get(&partition).is_some_and(|end| offset + 1 >= *end)
                    {
                        awaited.remove(&partition);
                    }
                    count += 1;
                    wait = Duration::ZERO;
                }
                Some(Err(_)) => break,
                None => {
                    self.skip_gaps();
                    break;
                }
            }
        }
        Ok(count)
    }
}
