//! Reads a range of a topic once, without a group, in an order that the log alone decides.
//!
//! Partitions are merged by record timestamp: close to the order in which a service met them, and the same on
//! every reading. So the next record is known when every partition that goes on has one waiting, and partitions
//! that run ahead are paused.

use super::{KafkaRange, RangePoint};
use crate::clock;
use crate::config::Kafka;
use crate::domain::UnixNanos;
use crate::sources::kafka::client::{ClientHealth, ask, client_config};
use crate::sources::kafka::consumer::logged_at;
use crate::sources::{RawRecord, SourceError, Stretch};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tracing::warn;

const UNAUTHORIZED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
/// Longest time without a record while some are still to come: a broker's restart fits in.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a topic may be unknown to a broker that has just learnt of it.
const UNKNOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest single wait.
const WAIT: Duration = Duration::from_millis(100);
/// Records and bytes that wait for slower partitions, over all partitions.
const WAITING_RECORDS_MAX: usize = 200_000;
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Why a range was not read.
#[derive(Debug)]
#[non_exhaustive]
pub enum RangeError {
    /// It does not exist: no such topic, no such partition.
    Absent(String),
    /// The log cannot be read.
    Source(SourceError),
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(what) => f.write_str(what),
            Self::Source(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for RangeError {}

fn failed(what: String) -> RangeError {
    RangeError::Source(SourceError(what))
}

/// One record of a range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeRecord {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The log's timestamp.
    pub timestamp: Option<UnixNanos>,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; empty for tombstones.
    pub value: Vec<u8>,
}

impl RangeRecord {
    fn len(&self) -> usize {
        self.value.len() + self.key.as_ref().map_or(0, Vec::len)
    }

    /// What partitions are merged by.
    fn rank(&self) -> Reverse<(UnixNanos, i32)> {
        Reverse((self.timestamp.unwrap_or(UnixNanos::MIN), self.partition))
    }
}

/// One partition's part of the range.
struct Share {
    from: i64,
    /// Behind the last record that is wanted, and that is fetched.
    wanted: i64,
    to: i64,
    /// Next offset to be fetched, and to be handed out.
    next: i64,
    reached: i64,
    waiting: VecDeque<RangeRecord>,
    waiting_bytes: usize,
    is_paused: bool,
    is_fetched: bool,
}

impl Share {
    fn new(from: i64, wanted: i64, to: i64) -> Self {
        Self {
            from,
            wanted,
            to,
            next: from,
            reached: from,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            is_paused: false,
            is_fetched: false,
        }
    }

    /// Whether no wanted record is left.
    fn is_done(&self) -> bool {
        self.waiting.front().map_or(self.is_fetched || self.next >= self.wanted, |head| head.offset >= self.wanted)
    }
}

/// Reads one range.
pub struct RangeReader {
    consumer: BaseConsumer<ClientHealth>,
    topic: String,
    brokers: String,
    shares: BTreeMap<i32, Share>,
    /// The first waiting record of each partition.
    heads: BinaryHeap<Reverse<(UnixNanos, i32)>>,
    /// Partitions that go on and have no record waiting.
    awaited: BTreeSet<i32>,
    /// Partitions that still have wanted records.
    left: BTreeSet<i32>,
    heard_at: Instant,
    asked_at: Instant,
}

impl RangeReader {
    /// Finds the range in the market topic; nothing is joined, and nothing committed ever.
    ///
    /// # Errors
    /// When topic or partition do not exist, no broker answers, or a setting is wrong.
    pub fn open(kafka: &Kafka, range: &KafkaRange) -> Result<Self, RangeError> {
        Self::open_topic(kafka, &kafka.topics.market, range)
    }

    /// The same in any topic.
    ///
    /// # Errors
    /// As [`RangeReader::open`].
    pub fn open_topic(kafka: &Kafka, topic: &str, range: &KafkaRange) -> Result<Self, RangeError> {
        let mut reader = Self::of(kafka, topic)?;
        let partitions = reader.partitions(range)?;
        reader.find(range, &partitions)?;
        Ok(reader)
    }

    /// A reader of a topic that has nothing to read yet; connects in the background.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn of(kafka: &Kafka, topic: &str) -> Result<Self, RangeError> {
        let mut config = client_config(kafka, "replay");
        // What a service would be given to read.
        if config.get("isolation.level").is_none() {
            config.set("isolation.level", "read_committed");
        }
        // A group id is asked for by the client library; no group is joined.
        config
            .set("group.id", format!("{}-replay", kafka.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "100")
            // The last offsets of a log may hold no record: only the broker knows that nothing is left.
            .set("enable.partition.eof", "true")
            // Records that vanish while they are read must not go unnoticed.
            .set("auto.offset.reset", "error")
            .set_log_level(RDKafkaLogLevel::Warning);
        for key in ["group.protocol", "group.instance.id"] {
            config.remove(key);
        }
        let consumer: BaseConsumer<ClientHealth> = config
            .create_with_context(ClientHealth::default())
            .map_err(|e| failed(format!("kafka consumer: {}", crate::sources::refusal(&e))))?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            brokers: kafka.brokers.clone(),
            shares: BTreeMap::new(),
            heads: BinaryHeap::new(),
            awaited: BTreeSet::new(),
            left: BTreeSet::new(),
            heard_at: clock::monotonic(),
            asked_at: clock::monotonic(),
        })
    }

    /// Leaves what was read and begins to read other parts.
    ///
    /// # Errors
    /// When the log refuses.
    pub fn go_on(&mut self, parts: &[Stretch]) -> Result<(), RangeError> {
        self.heads.clear();
        self.awaited.clear();
        let shares = parts.iter().filter(|s| s.from < s.to);
        self.shares = shares.map(|s| (s.partition, Share::new(s.from, s.wanted, s.to))).collect();
        self.start()?;
        // A partition that was read to its end stays paused, whatever it is assigned for.
        let list = self.list(&self.shares.keys().map(|p| (*p, Offset::Invalid)).collect::<Vec<_>>());
        let resumed = list.and_then(|list| if list.count() > 0 { self.consumer.resume(&list) } else { Ok(()) });
        resumed.map_err(|e| failed(format!("resume {}: {e}", self.topic)))
    }

    /// Asks until a broker answers.
    fn ask<T>(&self, question: impl FnMut(Duration) -> Result<T, KafkaError>) -> Result<T, RangeError> {
        ask(&self.consumer, &self.brokers, question).map_err(failed)
    }

    /// The partitions to read.
    fn partitions(&self, range: &KafkaRange) -> Result<Vec<i32>, RangeError> {
        let until = clock::monotonic() + UNKNOWN_TIMEOUT;
        let there: BTreeSet<i32> = loop {
            let metadata = self.ask(|timeout| self.consumer.fetch_metadata(Some(&self.topic), timeout))?;
            if metadata.topics().iter().any(|t| t.error() == Some(UNAUTHORIZED)) {
                return Err(failed(format!("not allowed to read topic {}", self.topic)));
            }
            let there: BTreeSet<i32> =
                metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
            if !there.is_empty() {
                break there;
            }
            if clock::monotonic() >= until {
                return Err(RangeError::Absent(format!("topic {} does not exist on {}", self.topic, self.brokers)));
            }
            drop(self.consumer.poll(WAIT));
        };
        let Some(named) = range.partitions() else { return Ok(there.into_iter().collect()) };
        match named.iter().find(|p| !there.contains(p)) {
            Some(absent) => Err(RangeError::Absent(format!(
                "topic {} has no partition {absent}; it has {} of them, from 0",
                self.topic,
                there.len()
            ))),
            None => Ok(named),
        }
    }

    /// Looks up both ends of each partition's part.
    fn find(&mut self, range: &KafkaRange, partitions: &[i32]) -> Result<(), RangeError> {
        let mut logs = BTreeMap::new();
        for partition in partitions {
            let ends = self.ask(|timeout| self.consumer.fetch_watermarks(&self.topic, *partition, timeout))?;
            logs.insert(*partition, ends);
        }
        let (from, to) = (self.offsets(&range.from, &logs)?, self.offsets(&range.to, &logs)?);
        for (partition, (low, high)) in logs {
            let (from, to) = (from[&partition], to[&partition]);
            if from > 0 && from < low {
                warn!(partition, from, begins_at = low, "the log no longer reaches back to the beginning of the range");
            }
            if to > high && matches!(range.to, RangePoint::Offsets(_)) {
                warn!(partition, to, ends_at = high, "the log does not reach the end of the range");
            }
            let (from, to) = (from.max(low), to.min(high));
            if from < to {
                self.shares.insert(partition, Share::new(from, to, to));
            }
        }
        Ok(())
    }

    fn offsets(&self, point: &RangePoint, logs: &BTreeMap<i32, (i64, i64)>) -> Result<BTreeMap<i32, i64>, RangeError> {
        let each =
            |at: &dyn Fn(i32, i64, i64) -> i64| logs.iter().map(|(p, (low, high))| (*p, at(*p, *low, *high))).collect();
        Ok(match point {
            RangePoint::Beginning => each(&|_, low, _| low),
            RangePoint::End => each(&|_, _, high| high),
            RangePoint::Offset(offset) => each(&|_, _, _| *offset),
            RangePoint::Offsets(offsets) => each(&|p, _, high| offsets.get(&p).copied().unwrap_or(high)),
            RangePoint::Time(time) => {
                // Timestamps are whole milliseconds.
                let millis = time.0.div_euclid(1_000_000) + i64::from(time.0.rem_euclid(1_000_000) > 0);
                let wanted: Vec<_> = logs.keys().map(|p| (*p, Offset::Offset(millis))).collect();
                let found = self.ask(|timeout| {
                    let list = self.consumer.offsets_for_times(self.list(&wanted)?, timeout)?;
                    // A list that outlives its consumer hangs the consumer's end: plain numbers only.
                    let plain = list.elements();
                    let plain = plain.iter().map(|e| Ok((e.partition(), e.error().map(|()| e.offset().to_raw())?)));
                    plain.collect::<Result<BTreeMap<_, _>, KafkaError>>()
                })?;
                // Nothing that late: the end.
                each(&|p, _, high| found.get(&p).copied().flatten().filter(|at| *at >= 0).unwrap_or(high))
            }
        })
    }

    fn list(&self, partitions: &[(i32, Offset)]) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (partition, offset) in partitions {
            list.add_partition_offset(&self.topic, *partition, *offset)?;
        }
        Ok(list)
    }

    /// Begins to read.
    ///
    /// # Errors
    /// When the log refuses.
    pub fn start(&mut self) -> Result<(), RangeError> {
        if self.shares.is_empty() {
            return Ok(());
        }
        self.awaited = self.shares.keys().copied().collect();
        self.left = self.awaited.clone();
        self.left.retain(|p| !self.shares[p].is_done());
        let starts: Vec<_> = self.shares.iter().map(|(p, s)| (*p, Offset::Offset(s.from))).collect();
        let assigned = self.list(&starts).and_then(|list| self.consumer.assign(&list));
        assigned.map_err(|e| failed(format!("assign {}: {e}", self.topic)))?;
        self.heard_at = clock::monotonic();
        Ok(())
    }

    /// Offsets of the range passed so far, and in all.
    pub fn progress(&self) -> (u64, u64) {
        let sum = |of: fn(&Share) -> i64| self.shares.values().map(|s| (of(s) - s.from).unsigned_abs()).sum();
        (sum(|s| s.reached), sum(|s| s.to))
    }

    /// Partitions whose next record is known; after [`Self::next_record`] these are all that still have one,
    /// besides the record handed out.
    pub fn ahead(&self) -> Vec<i32> {
        self.shares.iter().filter(|(_, s)| !s.waiting.is_empty()).map(|(p, _)| *p).collect()
    }

    /// The next record; `None` at the end of the range.
    ///
    /// # Errors
    /// When the log cannot be read, or says nothing for too long.
    pub fn next_record(&mut self) -> Result<Option<RangeRecord>, RangeError> {
        while !self.awaited.is_empty() {
            self.fetch(WAIT)?;
        }
        self.head()
    }

    /// Hands records of the range to `take`, at most `max`; waits at most `wait`. One that it breaks at comes again.
    /// Whether all wanted ones were handed out.
    ///
    /// # Errors
    /// As [`Self::next_record`].
    pub fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        take: &mut dyn FnMut(RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<bool, RangeError> {
        let now = clock::monotonic();
        if now - self.asked_at > WAIT * 5 {
            // Nobody has asked for a while.
            self.heard_at = now;
        }
        self.asked_at = now;
        let until = now + wait;
        let mut count = 0;
        while count < max {
            if self.left.is_empty() {
                return Ok(true);
            }
            if !self.awaited.is_empty() {
                let left = until.saturating_duration_since(clock::monotonic());
                if left.is_zero() {
                    return Ok(false);
                }
                self.fetch(left)?;
                continue;
            }
            let head = self.heads.peek().and_then(|Reverse((_, p))| self.shares.get(p)?.waiting.front());
            let Some(RangeRecord { partition, offset, timestamp, key, value }) = head else { return Ok(true) };
            let value = (!value.is_empty()).then_some(&**value);
            let (partition, offset, timestamp) = (*partition, *offset, *timestamp);
            if take(RawRecord { partition, offset, timestamp, key: key.as_deref(), value }).is_break() {
                break;
            }
            self.head()?;
            count += 1;
        }
        Ok(false)
    }

    /// The first of the records that wait.
    fn head(&mut self) -> Result<Option<RangeRecord>, RangeError> {
        let Some(Reverse((_, partition))) = self.heads.pop() else { return Ok(None) };
        let Some(share) = self.shares.get_mut(&partition) else { return Ok(None) };
        let Some(record) = share.waiting.pop_front() else { return Ok(None) };
        share.waiting_bytes -= record.len();
        share.reached = record.offset + 1;
        match share.waiting.front() {
            Some(head) => self.heads.push(head.rank()),
            None if share.is_fetched => share.reached = share.to,
            None => {
                self.awaited.insert(partition);
            }
        }
        if share.is_done() {
            self.left.remove(&partition);
        }
        if share.is_paused && !share.is_fetched && share.waiting.len() <= self.records_max() / 2 {
            self.pause(partition, false)?;
        }
        Ok(Some(record))
    }

    fn records_max(&self) -> usize {
        (WAITING_RECORDS_MAX / self.shares.len().max(1)).max(2)
    }

    fn pause(&mut self, partition: i32, is_paused: bool) -> Result<(), RangeError> {
        let list = self.list(&[(partition, Offset::Invalid)]);
        let done =
            list.and_then(|list| if is_paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) });
        done.map_err(|e| failed(format!("pause {}: {e}", self.topic)))?;
        if let Some(share) = self.shares.get_mut(&partition) {
            share.is_paused = is_paused;
        }
        Ok(())
    }

    /// Takes what comes next.
    fn fetch(&mut self, wait: Duration) -> Result<(), RangeError> {
        let come = match self.consumer.poll(wait) {
            Some(Ok(message)) => Ok(RangeRecord {
                partition: message.partition(),
                offset: message.offset(),
                timestamp: logged_at(&message),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().unwrap_or_default().to_vec(),
            }),
            Some(Err(error)) => Err(Some(error)),
            None => Err(None),
        };
        match come {
            Ok(record) => {
                self.heard_at = clock::monotonic();
                self.consumer.context().heard();
                self.take(record)
            }
            Err(Some(KafkaError::PartitionEOF(partition))) => {
                self.heard_at = clock::monotonic();
                self.end(partition)
            }
            Err(error) => self.wait_on(error.as_ref()),
        }
    }

    fn take(&mut self, record: RangeRecord) -> Result<(), RangeError> {
        let partition = record.partition;
        let records_max = self.records_max();
        let bytes_max = WAITING_BYTES_MAX / self.shares.len().max(1);
        let Some(share) = self.shares.get_mut(&partition) else { return Ok(()) };
        // What was on its way when the partition was paused may come again.
        if share.is_fetched || record.offset < share.next {
            return Ok(());
        }
        share.next = record.offset + 1;
        if record.offset >= share.to {
            return self.end(partition);
        }
        if self.awaited.remove(&partition) {
            self.heads.push(record.rank());
        }
        share.waiting_bytes += record.len();
        share.waiting.push_back(record);
        if share.is_done() {
            self.left.remove(&partition);
        }
        if share.next >= share.to {
            return self.end(partition);
        }
        if !share.is_paused && (share.waiting.len() >= records_max || share.waiting_bytes >= bytes_max) {
            self.pause(partition, true)?;
        }
        Ok(())
    }

    /// A partition has no more to give.
    fn end(&mut self, partition: i32) -> Result<(), RangeError> {
        let Some(share) = self.shares.get_mut(&partition) else { return Ok(()) };
        share.is_fetched = true;
        if share.waiting.is_empty() {
            share.reached = share.to;
        }
        self.awaited.remove(&partition);
        if share.is_done() {
            self.left.remove(&partition);
        }
        if share.is_paused { Ok(()) } else { self.pause(partition, true) }
    }

    /// Nothing came, or an error: waited out for a while, unless waiting cannot help.
    fn wait_on(&mut self, error: Option<&KafkaError>) -> Result<(), RangeError> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Err(failed(format!("kafka consumer cannot go on: {code}: {reason}")));
        }
        let said = error.map(ToString::to_string);
        match error.and_then(KafkaError::rdkafka_error_code) {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                return Err(failed(format!("not allowed to read topic {}", self.topic)));
            }
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                return Err(failed(format!("topic {} lost records of the range while it was read", self.topic)));
            }
            _ => {}
        }
        if clock::monotonic() - self.heard_at < STALL_TIMEOUT {
            return Ok(());
        }
        let why = self.consumer.context().trouble().or(said).unwrap_or_else(|| "no reason is known".into());
        let (reached, all) = self.progress();
        let waiting: Vec<i32> = self.awaited.iter().copied().collect();
        Err(failed(format!(
            "topic {} on {}: nothing came for {STALL_TIMEOUT:?} at {reached} of {all} offsets, partitions {waiting:?} have more: {why}",
            self.topic, self.brokers
        )))
    }
}
