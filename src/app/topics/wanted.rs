//! The topics as they should be.

use crate::config::{Kafka, MARKET_HOURS, TopicRole};

/// How a setting is held against what a topic has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// Anything else is wrong.
    Exactly,
    /// More is right, too.
    AtLeast,
    /// Less is right, too.
    AtMost,
}

/// A topic's setting, by Kafka's name for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    pub(super) value: String,
}

/// A topic as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) role: TopicRole,
    pub(super) name: String,
    /// When it is created.
    pub(super) partitions: i32,
    /// Whether the configuration says so: an existing topic gets more partitions only then.
    pub(super) is_stated: bool,
    pub(super) replication: Option<i32>,
    pub(super) settings: Vec<Setting>,
}

const HOUR_MS: i64 = 3_600_000;
pub(super) const RETENTION: &str = "retention.ms";
pub(super) const IN_SYNC: &str = "min.insync.replicas";
pub(super) const POLICY: &str = "cleanup.policy";

/// Every topic that the configuration names.
///
/// # Errors
/// When one topic is to be two.
pub(super) fn wanted_topics(kafka: &Kafka) -> Result<Vec<Wanted>, String> {
    let named = kafka.topics.named();
    for (at, (role, name)) in named.iter().enumerate() {
        if let Some((other, _)) = named[..at].iter().find(|(_, n)| n == name) {
            let (a, b) = (other.key(), role.key());
            return Err(format!(
                "kafka.topics.{a} and kafka.topics.{b} are both {name:?}, and no topic is laid out as both"
            ));
        }
    }
    Ok(named.into_iter().map(|(role, name)| wanted(kafka, role, name)).collect())
}

fn wanted(kafka: &Kafka, role: TopicRole, name: &str) -> Wanted {
    let layout = &kafka.layout;
    let stated = layout.partitions.get(&role).copied();
    let mut settings = Vec::new();
    let mut want = |name: &'static str, rule: Rule, value: &str| {
        settings.push(Setting { name, rule, value: value.to_owned() });
    };
    match role {
        TopicRole::Reference | TopicRole::State | TopicRole::Snapshots => want(POLICY, Rule::Exactly, "compact"),
        // Compaction would lose alerts, refused records, and what is still to be read.
        TopicRole::Market | TopicRole::Alerts | TopicRole::Members | TopicRole::DeadLetters => {
            want(POLICY, Rule::Exactly, "delete");
            let (how, hours) = retention_hours(kafka, role);
            let millis = if hours < 0 { -1 } else { hours * HOUR_MS };
            want(RETENTION, how, &millis.to_string());
        }
    }
    match role {
        TopicRole::Market => {
            // What is old goes soon: only closed segments are deleted.
            want("segment.ms", Rule::AtMost, "21600000");
            // Event time is held against the producer's timestamp.
            want("message.timestamp.type", Rule::Exactly, "CreateTime");
        }
        // A reader that was away for a day still sees what was deleted.
        TopicRole::Reference => want("delete.retention.ms", Rule::AtLeast, "86400000"),
        TopicRole::Snapshots => {
            // Two of each partition count. Small segments, cleaned early, keep the rest from piling up.
            want("segment.bytes", Rule::AtMost, "67108864");
            want("segment.ms", Rule::AtMost, "600000");
            want("min.cleanable.dirty.ratio", Rule::AtMost, "0.1");
            // A chunk is half of it; what the client library sends in one batch may be all of it.
            want("max.message.bytes", Rule::AtLeast, "1048588");
        }
        _ => {}
    }
    if let Some(replicas) = layout.min_insync_replicas {
        want(IN_SYNC, Rule::Exactly, &replicas.to_string());
    }
    let partitions = stated.unwrap_or(match role {
        TopicRole::Market | TopicRole::Alerts | TopicRole::State | TopicRole::Snapshots => 8,
        TopicRole::Members => 4,
        TopicRole::Reference | TopicRole::DeadLetters => 1,
    });
    let is_stated = stated.is_some();
    Wanted { role, name: name.to_owned(), partitions, is_stated, replication: layout.replication, settings }
}

/// Hours that records are kept: exactly, where they are stated; otherwise longer is right, too, since shortening would
/// delete records that nobody spoke of.
fn retention_hours(kafka: &Kafka, role: TopicRole) -> (Rule, i64) {
    if let Some(hours) = kafka.layout.retention_hours.get(&role) {
        return (Rule::Exactly, *hours);
    }
    let hours = match role {
        TopicRole::Alerts => 720,
        TopicRole::DeadLetters => 336,
        // Groups read it beside the market.
        TopicRole::Members => retention_hours(kafka, TopicRole::Market).1,
        _ => MARKET_HOURS,
    };
    (Rule::AtLeast, hours)
}
