//! Alerts that readers of committed records were told already.
//!
//! A broker that dies while it ends a transaction may have ended it in one partition and forget it in another. Then an
//! alert stands there for all to read, and the offset behind its cause does not: the cause is taken again, and what
//! it says is not to be said again. An alert is known by the id and revision in its header, as readers know it: the
//! build that takes the cause again may be another, which says it in other bytes. The benchmark's short form has no id;
//! there the same record says the same bytes.

use crate::clock;
use crate::config::Kafka;
use crate::sinks::Outgoing;
use crate::sources::{ClientHealth, client_config};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

/// Records looked at of each partition. What the transaction wrote stands at the end: behind it is only what others
/// have said since.
const TAIL: i64 = 20_000;
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

    /// Reads the last alerts of `partitions` partitions; none may be left open there by whoever asks.
    ///
    /// # Errors
    /// When the log does not answer, or others keep transactions open there for longer than until `end`.
    pub(super) fn read(kafka: &Kafka, partitions: i32, end: Instant) -> Result<Self, String> {
        let topic = &kafka.topics.alerts;
        let failed = |e: KafkaError| format!("what was said in {topic}: {e}");
        let committed = reader(kafka, "read_committed").map_err(failed)?;
        let ends = Self::ends(kafka, partitions, end).map_err(failed)?;
        let mut list = TopicPartitionList::new();
        for (partition, (low, high)) in &ends {
            let reached = || ask(end, || committed.fetch_watermarks(topic, *partition, ANSWER)).map_err(failed);
            while reached()?.1 < *high {
                if clock::monotonic() >= end {
                    return Err(format!("what was said in {topic}: a transaction is open in partition {partition}"));
                }
                #[expect(clippy::disallowed_methods, reason = "others have to end what they have begun")]
                std::thread::sleep(LOOK);
            }
            let from = Offset::Offset((*low).max(high - TAIL));
            list.add_partition_offset(topic, *partition, from).map_err(failed)?;
        }
        committed.assign(&list).map_err(failed)?;
        let mut open: BTreeSet<i32> = ends.into_keys().collect();
        let mut said = HashSet::new();
        while !open.is_empty() {
            match committed.poll(ANSWER) {
                Some(Ok(message)) => {
                    let headers = message.headers();
                    let id = headers.and_then(|h| h.iter().find(|header| header.key == ID)?.value);
                    said.extend(message.payload().map(|value| mark(id, value)));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) if clock::monotonic() >= end => return Err(failed(error)),
                Some(Err(_)) | None => {}
            }
            if clock::monotonic() >= end {
                return Err(format!("what was said in {topic} cannot be read in time"));
            }
        }
        Ok(Self(said))
    }

    /// First and next offset of each partition that has records, open transactions included.
    fn ends(kafka: &Kafka, partitions: i32, end: Instant) -> Result<BTreeMap<i32, (i64, i64)>, KafkaError> {
        let all = reader(kafka, "read_uncommitted")?;
        let mut ends = BTreeMap::new();
        for partition in 0..partitions {
            let (low, high) = ask(end, || all.fetch_watermarks(&kafka.topics.alerts, partition, ANSWER))?;
            if low < high {
                ends.insert(partition, (low, high));
            }
        }
        Ok(ends)
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
