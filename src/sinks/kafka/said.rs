//! Alerts that readers of committed records were told already.
//!
//! A broker that dies while it ends a transaction may have ended it in one partition and forget it in another. Then an
//! alert stands there for all to read, and the offset behind its cause does not: the cause is taken again, and what
//! it says is not to be said again. An alert is known by the id and revision in its header, as readers know it: the
//! build that takes the cause again may be another, which says it in other bytes. The benchmark's short form has no id;
//! there the same record says the same bytes.
//!
//! Where a transaction is open, what stands behind it cannot be read as committed. It is not said yet, and will be if the
//! transaction is ended.

use crate::clock;
use crate::codec::SourceRecord;
use crate::config::Kafka;
use crate::domain::UnixNanos;
use crate::sinks::Outgoing;
use crate::sources::{ClientHealth, client_config};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

/// Records looked at of each partition. What the transaction wrote stands at the end: behind it is only what others
/// have said since.
const TAIL: i64 = 20_000;
/// Records looked at behind an open transaction.
const UNREAD: i64 = 1_000;
/// Alerts that are remembered; beyond that what was read last takes the place of all before.
const REMEMBERED: usize = 500_000;
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_millis(500);
/// Pause between two looks at where committed records end.
const LOOK: Duration = Duration::from_millis(20);

/// What was said.
#[derive(Default)]
pub(super) struct Said(HashSet<[u8; 16]>);

/// The header with the id and revision of an alert.
const ID: &str = "ce_id";

/// What an alert is known by.
fn mark(id: Option<&[u8]>, value: &[u8]) -> [u8; 16] {
    digest(id.unwrap_or(value))
}

fn digest(value: &[u8]) -> [u8; 16] {
    let [whole @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = <[u8; 32]>::from(Sha256::digest(value));
    whole
}

fn reader(kafka: &Kafka, isolation: &str) -> Result<BaseConsumer<ClientHealth>, KafkaError> {
    let mut config = client_config(kafka, "said");
    // A group id is asked for by the client library; nothing is committed and no group is joined.
    config
        .set("group.id", format!("{}-said", kafka.group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "5")
        // The end of a partition is told when the broker has waited so long for more.
        .set("fetch.wait.max.ms", "5")
        .set("isolation.level", isolation)
        .set_log_level(RDKafkaLogLevel::Warning);
    for key in ["group.protocol", "group.instance.id"] {
        config.remove(key);
    }
    config.create_with_context(ClientHealth::default())
}

/// Asks until there is an answer, or the time is up.
fn ask<T>(end: Instant, mut question: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    loop {
        match question() {
            Err(_) if clock::monotonic() < end => {
                #[expect(clippy::disallowed_methods, reason = "the broker may be back in a moment")]
                std::thread::sleep(LOOK);
            }
            answer => return answer,
        }
    }
}

impl Said {
    /// Whether an alert was said already. It stays known: what is decided on that may be abandoned.
    pub(super) fn has(&self, record: &Outgoing<'_>) -> bool {
        let id = || record.headers.iter().find(|(name, _)| *name == ID).map(|(_, id)| id.as_bytes());
        !self.0.is_empty() && self.0.contains(&mark(id(), record.value))
    }

    /// Alerts that are known.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn learn(&mut self, read: HashSet<[u8; 16]>) {
        if self.0.len() + read.len() > REMEMBERED {
            self.0 = read;
        } else {
            self.0.extend(read);
        }
    }
}

/// Where alerts are read, and for how long.
pub(super) struct Reading<'a> {
    pub kafka: &'a Kafka,
    /// Since when; without it, the last ones.
    pub since: Option<UnixNanos>,
    /// How long to wait for transactions to be ended.
    pub patience: Duration,
    /// How long to go on in all.
    pub timeout: Duration,
}

/// Records that cannot be read as committed: the first of them is of a transaction that is open.
pub(super) struct Unread {
    topic: String,
    partition: i32,
    from: i64,
    to: i64,
}

impl Reading<'_> {
    /// Adds alerts of `partitions` partitions to what was said; parts in which it could not be read.
    ///
    /// # Errors
    /// When the log does not answer in time.
    pub(super) fn read(&self, partitions: i32, said: &mut Said) -> Result<Vec<Unread>, String> {
        let end = clock::monotonic() + self.timeout;
        self.collect(partitions, end, said).map_err(|e| format!("what was said in {}: {e}", self.kafka.topics.alerts))
    }

    fn collect(&self, partitions: i32, end: Instant, said: &mut Said) -> Result<Vec<Unread>, KafkaError> {
        let topic = &self.kafka.topics.alerts;
        let wanted = self.wanted(partitions, end)?;
        let mut unread = Vec::new();
        if wanted.is_empty() {
            return Ok(unread);
        }
        let committed = reader(self.kafka, "read_committed")?;
        let patient_until = end.min(clock::monotonic() + self.patience);
        let mut list = TopicPartitionList::new();
        for (partition, (from, to)) in wanted {
            let reached = loop {
                let (_, reached) = ask(end, || committed.fetch_watermarks(topic, partition, ANSWER))?;
                if reached >= to || clock::monotonic() >= patient_until {
                    break reached;
                }
                #[expect(clippy::disallowed_methods, reason = "others have to end what they have begun")]
                std::thread::sleep(LOOK);
            };
            if reached < to {
                unread.push(Unread { topic: topic.clone(), partition, from: from.max(reached), to });
            }
            if from < reached {
                list.add_partition_offset(topic, partition, Offset::Offset(from))?;
            }
        }
        let mut read = HashSet::new();
        each(&committed, &list, end, |message| {
            let id = message.headers().and_then(|h| h.iter().find(|header| header.key == ID)?.value);
            read.extend(message.payload().map(|value| mark(id, value)));
        })?;
        said.learn(read);
        Ok(unread)
    }

    /// First and next offset of what is to be read of each partition, open transactions included.
    fn wanted(&self, partitions: i32, end: Instant) -> Result<BTreeMap<i32, (i64, i64)>, KafkaError> {
        let topic = &self.kafka.topics.alerts;
        let all = reader(self.kafka, "read_uncommitted")?;
        let mut wanted = BTreeMap::new();
        for partition in 0..partitions {
            let (low, high) = ask(end, || all.fetch_watermarks(topic, partition, ANSWER))?;
            wanted.insert(partition, (low.max(high - TAIL), high));
        }
        if let Some(since) = self.since {
            let mut times = TopicPartitionList::new();
            for partition in wanted.keys() {
                times.add_partition_offset(topic, *partition, Offset::Offset(since.0 / 1_000_000))?;
            }
            for found in ask(end, || all.offsets_for_times(times.clone(), ANSWER))?.elements() {
                found.error()?;
                if let Some((from, high)) = wanted.get_mut(&found.partition()) {
                    // Where nothing is as new, the end is the answer.
                    *from = found.offset().to_raw().filter(|o| *o >= 0).map_or(*high, |first| first.max(*from));
                }
            }
        }
        wanted.retain(|_, (from, high)| from < high);
        Ok(wanted)
    }
}

/// Reads partitions from where the list says to their ends.
fn each(
    reader: &BaseConsumer<ClientHealth>,
    list: &TopicPartitionList,
    end: Instant,
    mut take: impl FnMut(&BorrowedMessage<'_>),
) -> Result<(), KafkaError> {
    let mut open: BTreeSet<i32> = list.elements().iter().map(TopicPartitionListElem::partition).collect();
    reader.assign(list)?;
    while !open.is_empty() {
        let polled = reader.poll(ANSWER);
        let is_late = clock::monotonic() >= end;
        match polled {
            Some(Ok(message)) => take(&message),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) if is_late => return Err(error),
            Some(Err(_)) | None => {}
        }
        if is_late && !open.is_empty() {
            return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
        }
    }
    Ok(())
}

/// What is read of an alert that may never be said.
#[derive(Deserialize)]
struct Caused {
    #[serde(default)]
    source: Vec<SourceRecord>,
}

impl Unread {
    /// Whether one of these alerts comes of a record of which `is_cause` holds, by partition and offset.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn has_cause(&self, kafka: &Kafka, is_cause: &dyn Fn(i32, i64) -> bool) -> Result<bool, KafkaError> {
        let all = reader(kafka, "read_uncommitted")?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, self.partition, Offset::Offset(self.from.max(self.to - UNREAD)))?;
        let mut has = false;
        each(&all, &list, clock::monotonic() + ANSWER * 2, |message| {
            let caused = message.payload().and_then(|value| serde_json::from_slice::<Caused>(value).ok());
            has |= caused.is_some_and(|c| {
                c.source.iter().any(|s| s.topic == kafka.topics.market && is_cause(s.partition, s.offset))
            });
        })?;
        Ok(has)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, from, to } = self;
        write!(f, "a transaction is open in partition {partition} of {topic}, between {from} and {to}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_known_by_its_id_or_by_all_of_its_bytes() {
        let said = Said([mark(Some(b"a:0"), b"one"), mark(None, b"two")].into());
        let has = |said: &Said, headers: &[(&str, &str)], value: &[u8]| {
            let stream = crate::sinks::Stream::Alerts;
            said.has(&Outgoing { stream, partition: None, key: b"k", value, headers, caused_at: None })
        };
        let id = |id: &'static str| [("ce_type", "x"), (ID, id)];
        assert!(has(&said, &id("a:0"), b"one") && has(&said, &id("a:0"), b"in the words of another build"));
        assert!(!has(&said, &id("a:1"), b"one") && !has(&said, &[], b"one"));
        assert!(has(&said, &[], b"two") && !has(&said, &[], b"twp") && !has(&said, &id("b:0"), b"two"));
        assert!(!has(&Said::default(), &id("a:0"), b"one"));
    }
}
