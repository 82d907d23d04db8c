//! A range of the market topic as input, behind the whole reference topic, as a service reads them.

use super::{Record, Run, progress};
use crate::app::{AppError, take_reference};
use crate::clock;
use crate::config::Kafka;
use crate::engine::{Channel, Origin, Watermark};
use crate::sources::{KafkaRange, RangeError, RangeReader, ReferenceLog, ReferenceReader, client_config};
use std::time::Duration;

/// Records taken from the reference topic at a time.
const BATCH_MAX: usize = 4_096;
/// Longest time without a reference record while some are still to come.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

impl From<RangeError> for AppError {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Absent(what) => Self::Usage(what),
            error @ RangeError::Source(_) => Self::Failed(error.to_string()),
        }
    }
}

impl Run {
    /// Groups follow the slowest partition, as in a service; one whose part of the range has been read holds
    /// nothing up.
    pub(super) fn read_range(&mut self, kafka: &Kafka, range: &KafkaRange) -> Result<(), AppError> {
        let client = client_config(kafka, "check").create_native_config();
        client.map_err(|e| AppError::Usage(format!("kafka.properties: {e}")))?;
        // Found first: a range that is not there is said at once.
        let mut reader = RangeReader::open(kafka, range)?;
        if let Some(topic) = &kafka.topics.reference {
            self.read_reference(kafka, topic)?;
        }
        self.engine.history_loaded();
        reader.start()?;
        let decoder = self.decoder.clone();
        let progress = progress(reader.progress().1, "{pos}/{len} offsets");
        while let Some(record) = reader.next_record()? {
            if self.is_advance_due() {
                let mut partitions = reader.ahead();
                partitions.push(record.partition);
                self.advance(Watermark::Partitions, &partitions)?;
                if let Some(bar) = &progress {
                    bar.set_position(reader.progress().0);
                }
            }
            let value = &record.value;
            let origin = Origin { partition: record.partition, offset: record.offset, timestamp: record.timestamp };
            let key = record.key.as_deref();
            let record = Record { name: &kafka.topics.market, origin, key, raw: value };
            self.take(&record, decoder.decode(value))?;
        }
        if let Some(bar) = progress {
            bar.finish_and_clear();
        }
        Ok(())
    }

    /// Reads the reference topic whole. Its records are no input; refused ones are set aside with the others.
    fn read_reference(&mut self, kafka: &Kafka, topic: &str) -> Result<(), AppError> {
        let stopped = |e: &dyn std::fmt::Display| AppError::Failed(e.to_string());
        let mut reader = ReferenceReader::new(kafka, topic).map_err(|e| stopped(&e))?;
        let mut heard_at = clock::monotonic();
        while !reader.is_whole() {
            let mut refused = Vec::new();
            let taken = reader.poll(BATCH_MAX, Duration::from_millis(100), &mut |partition, offset, value| {
                let value = value.unwrap_or_default();
                let (outcome, reason, detail) =
                    take_reference(&mut self.engine, Channel::Initial, value, &mut self.effects);
                if outcome.is_dead_letter() {
                    refused.push((Origin { partition, offset, timestamp: None }, value.to_vec(), reason, detail));
                }
            });
            for (origin, value, reason, detail) in refused {
                self.dead_letter(&Record { name: topic, origin, key: None, raw: &value }, reason, &detail)?;
            }
            if taken.map_err(|e| stopped(&e))? > 0 {
                heard_at = clock::monotonic();
            } else if clock::monotonic() - heard_at > STALL_TIMEOUT {
                let why = reader.trouble().unwrap_or_else(|| "no reason is known".into());
                return Err(AppError::Failed(format!(
                    "reference topic {topic} on {}: nothing came for {STALL_TIMEOUT:?}: {why}",
                    kafka.brokers
                )));
            }
        }
        self.hold()
    }
}
