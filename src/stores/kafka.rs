//! Snapshots in a compacted topic, so that another machine can go on where this one ended.
//!
//! A snapshot is cut into chunks that fit a message, under keys of its name, a slot and the chunk's number. Two slots
//! are written in turn, so that one whole snapshot is there at any time; each chunk says which writing it belongs to,
//! and only a slot of which every chunk belongs to the same one is whole. A name always goes to the same partition.

use super::{Chunks, Slot, SnapshotStore};
use crate::clock;
use crate::config::Kafka;
use crate::sources::{ClientHealth, Reports, client_config};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time given to the broker to take a snapshot, and to give one.
const TIMEOUT: Duration = Duration::from_secs(30);
const ASK: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A snapshot as it was found: when it was written, and its bytes.
type Found = (u64, Vec<u8>);

/// Keeps snapshots in a topic.
pub struct TopicStore {
    topic: String,
    group: String,
    producer: BaseProducer<Reports>,
    health: Arc<ClientHealth>,
    reading: ClientConfig,
    /// What was read for the first slot is kept until the second is asked for; and the slot that is written next.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    found: BTreeMap<String, Vec<Found>>,
    turns: BTreeMap<String, u8>,
    /// Reads one name after another while partitions are restored; a new client for each would take a second.
    reader: Option<BaseConsumer<ClientHealth>>,
}

fn other(error: KafkaError) -> io::Error {
    io::Error::other(error)
}

impl TopicStore {
    /// Prepares to keep snapshots; connects in the background.
    ///
    /// # Errors
    /// When a librdkafka setting is wrong.
    pub fn new(kafka: &Kafka, topic: &str) -> io::Result<Self> {
        let mut own = kafka.clone();
        own.properties.retain(|key, _| {
            !key.starts_with("group.") && !key.starts_with("session.") && !key.starts_with("heartbeat.")
        });
        let mut writing = client_config(&own, "snapshots");
        writing.remove("statistics.interval.ms");
        writing
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("message.timeout.ms", TIMEOUT.as_millis().to_string())
            .set_log_level(RDKafkaLogLevel::Error);
        let mut reading = client_config(&own, "snapshots");
        reading.remove("statistics.interval.ms");
        reading
            .set("group.id", format!("{}-snapshots", kafka.group))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // Where a partition ends is known when the broker has waited for more.
            .set("fetch.wait.max.ms", "10")
            .set("fetch.queue.backoff.ms", "5")
            .set_log_level(RDKafkaLogLevel::Error);
        let health = Arc::new(ClientHealth::default());
        let reports = Reports::new(health.clone());
        Ok(Self {
            topic: topic.to_owned(),
            group: kafka.group.clone(),
            producer: writing.create_with_context(reports).map_err(other)?,
            health,
            reading,
            state: Mutex::default(),
        })
    }

    /// The partition of a name: its number at the end, else the first.
    fn partition(&self, name: &str) -> io::Result<i32> {
        let until = clock::monotonic() + ASK;
        let metadata = loop {
            // A token for the broker is asked for when the producer is polled.
            self.producer.poll(Duration::ZERO);
            match self.producer.client().fetch_metadata(Some(&self.topic), ASK_AGAIN) {
                Ok(metadata) => {
                    self.health.heard();
                    break metadata;
                }
                Err(error) if clock::monotonic() >= until => {
                    let why = self.health.trouble().unwrap_or_else(|| error.to_string());
                    return Err(io::Error::other(why));
                }
                Err(_) => {}
            }
        };
        let count = metadata.topics().first().map_or(0, |t| t.partitions().len());
        let count = i32::try_from(count).unwrap_or(0);
        if count == 0 {
            return Err(io::Error::other(format!("topic {} does not exist", self.topic)));
        }
        let number = name.rsplit('-').next().and_then(|n| n.parse::<i32>().ok()).unwrap_or(0);
        Ok(number.rem_euclid(count))
    }

    fn prefix(&self, name: &str, slot: u8) -> String {
        format!("{}/{name}/{slot}/", self.group)
    }

    /// Whole snapshots of a name, newest first.
    fn find(&self, consumer: &BaseConsumer<ClientHealth>, name: &str) -> io::Result<Vec<Found>> {
        let partition = self.partition(name)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Beginning).map_err(other)?;
        consumer.assign(&list).map_err(other)?;
        let prefixes = [self.prefix(name, 0), self.prefix(name, 1)];
        let mut slots = [Chunks::default(), Chunks::default()];
        let until = clock::monotonic() + TIMEOUT;
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                // Of a name that was read before, and not taken.
                Some(Ok(message)) if message.partition() != partition => {}
                Some(Ok(message)) => {
                    let Some(key) = message.key().and_then(|k| std::str::from_utf8(k).ok()) else { continue };
                    for (prefix, slot) in prefixes.iter().zip(&mut slots) {
                        if let Some(number) = key.strip_prefix(prefix.as_str()).and_then(|n| n.parse().ok()) {
                            slot.take(number, message.payload().unwrap_or_default());
                        }
                    }
                }
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition => break,
                Some(Err(error)) if clock::monotonic() > until => return Err(other(error)),
                Some(Err(_)) | None if clock::monotonic() > until => {
                    return Err(io::Error::other(format!("no answer within {TIMEOUT:?}")));
                }
                Some(Err(_)) | None => {}
            }
        }
        let mut whole: Vec<Found> = slots.into_iter().filter_map(Chunks::whole).collect();
        whole.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
        Ok(whole)
    }
}

impl SnapshotStore for TopicStore {
    fn read(&self, name: &str, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match state.found.remove(name) {
            Some(found) if slot == Slot::Previous => found,
            _ => {
                let reader = match state.reader.take() {
                    Some(reader) => reader,
                    None => self.reading.create_with_context(ClientHealth::default()).map_err(other)?,
                };
                let found = self.find(&reader, name).and_then(|found| {
                    // Or it would go on looking for more.
                    reader.unassign().map_err(other)?;
                    Ok(found)
                });
                // One that failed is not tried again.
                state.reader = found.is_ok().then_some(reader);
                found?
            }
        };
        let mut found = found.into_iter();
        Ok(match slot {
            Slot::Newest => {
                let newest = found.next();
                state
                    .found
                    .insert(name.to_owned(), newest.iter().map(|(at, _)| (*at, Vec::new())).chain(found).collect());
                newest.map(|(_, bytes)| bytes)
            }
            Slot::Previous => found.nth(1).map(|(_, bytes)| bytes),
        })
    }

    fn is_done_with(&self, name: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).found.remove(name);
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let partition = self.partition(name)?;
        // Of a write that was given up.
        self.producer.context().take_failure();
        let slot = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever writes is done with reading.
            (state.reader, state.found) = (None, BTreeMap::new());
            let turn = state.turns.entry(name.to_owned()).or_insert(0);
            *turn ^= 1;
            *turn
        };
        let prefix = self.prefix(name, slot);
        let written = clock::now().0.unsigned_abs();
        let values = Chunks::cut(bytes, written).ok_or_else(|| io::Error::other("the snapshot is too long"))?;
        for (number, value) in values.enumerate() {
            let key = format!("{prefix}{number}");
            let mut record = BaseRecord::to(&self.topic).partition(partition).key(&key).payload(&value);
            let until = clock::monotonic() + TIMEOUT;
            while let Err((error, back)) = self.producer.send(record) {
                if clock::monotonic() > until {
                    return Err(other(error));
                }
                self.producer.poll(Duration::from_millis(5));
                record = back;
            }
        }
        // What is not delivered is reported before that is over.
        self.producer.flush(TIMEOUT + ASK).map_err(other)?;
        self.producer.context().take_failure().map_or(Ok(()), |failure| Err(io::Error::other(failure)))
    }
}
