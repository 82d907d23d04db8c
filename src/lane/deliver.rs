//! From effects to records of the output topics.

use super::publish::Shared;
use crate::cluster::MemberRecord;
use crate::codec::{
    ALERT_SCHEMA, HEARTBEAT_SCHEMA, encode_alert, encode_compact_alert, encode_dead_letter, encode_member, encode_state,
};
use crate::config::{AlertFormat, Config};
use crate::domain::{Alert, Outcome, UnixNanos};
use crate::engine::{Effects, Origin};
use crate::sinks::{Outgoing, Sealed, Sink, SinkError, Stream};
use crate::sources::Member;
use std::sync::Arc;
use tracing::error;

/// Bytes of a refused record's key that its dead letter keeps.
const KEY_MAX: usize = 256;

/// What was sent and is not sealed yet.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Unsealed {
    pub(super) records: u64,
    pub(super) alerts: u64,
}

/// Encodes and sends.
pub(super) struct Deliverer {
    pub(super) sink: Box<dyn Sink>,
    pub(super) unsealed: Unsealed,
    /// Records refused so far.
    pub(super) refused: u64,
    /// Whether a symbol was refused for want of room.
    pub(super) is_universe_full: bool,
    shared: Arc<Shared>,
    format: AlertFormat,
    market: String,
    reference: String,
    has_state: bool,
    buffer: Vec<u8>,
}

impl Deliverer {
    pub(super) fn new(sink: Box<dyn Sink>, shared: Arc<Shared>, config: &Config) -> Self {
        let topics = &config.kafka.topics;
        Self {
            sink,
            unsealed: Unsealed::default(),
            refused: 0,
            is_universe_full: false,
            shared,
            format: config.alert_format,
            market: topics.market.clone(),
            reference: topics.reference.clone().unwrap_or_default(),
            has_state: topics.state.is_some(),
            buffer: Vec::with_capacity(4_096),
        }
    }

    /// Closes what was sent so far, with the offsets behind it.
    pub(super) fn seal(&mut self, offsets: &[(i32, i64)], member: Option<&Member>) -> Result<Sealed, SinkError> {
        self.unsealed = Unsealed::default();
        self.sink.seal(offsets, member)
    }

    /// Drops what was sent and not committed.
    pub(super) fn renew(&mut self) -> Result<(), SinkError> {
        self.unsealed = Unsealed::default();
        self.sink.renew()
    }

    /// Sends the alerts of `effects` and what members say, and drops them and its measures; `caused_at` is the log's timestamp of their record.
    pub(super) fn alerts(&mut self, effects: &mut Effects, caused_at: Option<UnixNanos>) -> Result<(), SinkError> {
        for alert in &effects.alerts {
            self.alert(alert, caused_at)?;
        }
        effects.alerts.clear();
        for member in effects.members.drain(..) {
            self.member(&member)?;
        }
        effects.measures.clear();
        Ok(())
    }

    fn alert(&mut self, alert: &Alert, caused_at: Option<UnixNanos>) -> Result<(), SinkError> {
        self.buffer.clear();
        match self.format {
            AlertFormat::Full => encode_alert(alert, &mut self.buffer),
            AlertFormat::Compact => encode_compact_alert(alert, &mut self.buffer),
        }
        let id = format!("{}:{}", alert.alert_id.hyphenated(), alert.revision);
        let time = alert.event_time.to_string();
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_type", ALERT_SCHEMA),
            ("ce_source", "/fragility"),
            ("ce_id", id.as_str()),
            ("ce_time", time.as_str()),
            ("ce_subject", alert.entity.id()),
            ("content-type", "application/json"),
        ];
        let headers: &[(&str, &str)] = if self.format == AlertFormat::Full { &headers } else { &[] };
        let key = alert.entity.id().as_bytes();
        send(
            &mut *self.sink,
            &mut self.unsealed,
            &Outgoing { stream: Stream::Alerts, partition: None, key, value: &self.buffer, headers, caused_at },
        )?;
        self.shared.alert(alert, &self.buffer, self.format == AlertFormat::Full);
        if self.has_state {
            self.buffer.clear();
            encode_state(alert, &mut self.buffer);
            let state = Outgoing {
                stream: Stream::State,
                partition: None,
                key,
                value: &self.buffer,
                headers: &[],
                caused_at: None,
            };
            send(&mut *self.sink, &mut self.unsealed, &state)?;
        }
        Ok(())
    }

    /// Sends what a member tells a group, to the partition that the group's name leads to.
    fn member(&mut self, member: &MemberRecord) -> Result<(), SinkError> {
        self.buffer.clear();
        encode_member(member, &mut self.buffer);
        let record = Outgoing {
            stream: Stream::Members,
            partition: None,
            key: member.group.as_bytes(),
            value: &self.buffer,
            headers: &[],
            caused_at: None,
        };
        send(&mut *self.sink, &mut self.unsealed, &record)
    }

    /// Counts a record of the log that groups follow.
    pub(super) fn member_taken(&self, outcome: Outcome) {
        self.shared.metrics.member_records.with_label_values(&[outcome.name()]).inc();
    }

    /// Counts a print that was applied without setting a price.
    pub(super) fn set_aside(&self, reason: &'static str) {
        self.shared.metrics.set_aside.with_label_values(&[reason]).inc();
    }

    /// Sends a refused record with its reason and origin.
    pub(super) fn dead_letter(
        &mut self,
        is_reference: bool,
        origin: &Origin,
        key: Option<&[u8]>,
        value: &[u8],
        reason: &'static str,
        detail: &str,
    ) -> Result<(), SinkError> {
        self.refused += 1;
        if reason == "universe_full" && !std::mem::replace(&mut self.is_universe_full, true) {
            error!("no room for another symbol: records of further ones are refused; see universe.max_symbols");
        }
        self.shared.metrics.dead_letters.with_label_values(&[reason]).inc();
        let topic = if is_reference { &self.reference } else { &self.market };
        self.buffer.clear();
        encode_dead_letter(reason, detail, topic, origin, key, value, &mut self.buffer);
        let (partition, offset) = (origin.partition.to_string(), origin.offset.to_string());
        let headers = [
            ("reason", reason),
            ("topic", topic.as_str()),
            ("partition", partition.as_str()),
            ("offset", offset.as_str()),
        ];
        let key = key.unwrap_or_default();
        let key = &key[..key.len().min(KEY_MAX)];
        send(
            &mut *self.sink,
            &mut self.unsealed,
            &Outgoing {
                stream: Stream::DeadLetters,
                partition: None,
                key,
                value: &self.buffer,
                headers: &headers,
                caused_at: None,
            },
        )
    }

    /// Sends a heartbeat to every partition of the alerts topic.
    pub(super) fn heartbeat(&mut self, value: &[u8]) -> Result<(), SinkError> {
        let headers = [("ce_specversion", "1.0"), ("ce_type", HEARTBEAT_SCHEMA), ("ce_source", "/fragility")];
        for partition in 0..self.sink.alert_partitions() {
            send(
                &mut *self.sink,
                &mut self.unsealed,
                &Outgoing {
                    stream: Stream::Alerts,
                    partition: Some(partition),
                    key: &[],
                    value,
                    headers: &headers,
                    caused_at: None,
                },
            )?;
        }
        Ok(())
    }
}

/// Hands a record over and counts it.
fn send(sink: &mut dyn Sink, unsealed: &mut Unsealed, record: &Outgoing<'_>) -> Result<(), SinkError> {
    unsealed.records += 1;
    let is_urgent = matches!(record.stream, Stream::Alerts | Stream::Members) && !record.key.is_empty();
    unsealed.alerts += u64::from(is_urgent);
    sink.send(record)
}
