//! How the topics are to be laid out.

use super::check::{Checker, Topics};
use super::raw::RawLayout;
use std::collections::BTreeMap;

/// What a topic is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TopicRole {
    /// Ticks, bars, closes, heartbeats.
    Market,
    /// Reference records.
    Reference,
    /// Alerts.
    Alerts,
    /// Latest state of each entity.
    State,
    /// What members tell groups.
    Members,
    /// Snapshots.
    Snapshots,
    /// Refused records.
    DeadLetters,
}

impl TopicRole {
    /// The last part of its keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Reference => "reference",
            Self::Alerts => "alerts",
            Self::State => "state",
            Self::Members => "members",
            Self::Snapshots => "snapshots",
            Self::DeadLetters => "dead_letters",
        }
    }
}

impl Topics {
    /// The topics that have a name, with what they are for.
    pub fn named(&self) -> Vec<(TopicRole, &str)> {
        let all = [
            (TopicRole::Market, Some(&self.market)),
            (TopicRole::Reference, self.reference.as_ref()),
            (TopicRole::Alerts, Some(&self.alerts)),
            (TopicRole::State, self.state.as_ref()),
            (TopicRole::Members, self.members.as_ref()),
            (TopicRole::Snapshots, self.snapshots.as_ref()),
            (TopicRole::DeadLetters, self.dead_letters.as_ref()),
        ];
        all.into_iter().filter_map(|(role, name)| Some((role, name?.as_str()))).collect()
    }
}

/// How topics are laid out, as far as it is stated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// Replicas; `None`: as the broker has it.
    pub replication: Option<i32>,
    /// Replicas that must have a record before it counts; `None`: as the broker has it.
    pub min_insync_replicas: Option<i32>,
    /// Stated numbers of partitions.
    pub partitions: BTreeMap<TopicRole, i32>,
    /// Stated retention in hours; -1: for ever.
    pub retention_hours: BTreeMap<TopicRole, i64>,
    /// Who the service is to Kafka.
    pub principal: Option<String>,
    /// Who writes market and reference records.
    pub feeder: Option<String>,
    /// Who reads what the service writes.
    pub reader: Option<String>,
}

const IN_SYNC: &str = "kafka.layout.min_insync_replicas";
/// Retention of the market topic where none is stated.
pub const MARKET_HOURS: i64 = 168;
const PARTITIONS_MAX: i64 = 10_000;
/// A hundred years: in milliseconds still far from the end of what Kafka can count.
const HOURS_MAX: i64 = 876_000;

pub(super) fn check_layout(c: &mut Checker, raw: &RawLayout) -> Layout {
    let narrow = |value: i64| i32::try_from(value).ok().filter(|n| *n > 0);
    let replication = narrow(c.whole("kafka.layout.replication", raw.replication, 0, 100));
    let in_sync = narrow(c.whole(IN_SYNC, raw.min_insync_replicas, 0, 100));
    match (in_sync, replication) {
        (Some(n), None) => c.refuse(IN_SYNC, format!("is {n}, which needs kafka.layout.replication")),
        (Some(n), Some(replicas)) if n > replicas => {
            c.refuse(IN_SYNC, format!("is {n}, must be at most kafka.layout.replication, {replicas}"));
        }
        _ => {}
    }
    let p = &raw.partitions;
    let partitions = [
        (TopicRole::Market, p.market),
        (TopicRole::Reference, p.reference),
        (TopicRole::Alerts, p.alerts),
        (TopicRole::State, p.state),
        (TopicRole::Members, p.members),
        (TopicRole::Snapshots, p.snapshots),
        (TopicRole::DeadLetters, p.dead_letters),
    ];
    let r = &raw.retention_hours;
    let retention = [
        (TopicRole::Market, r.market),
        (TopicRole::Alerts, r.alerts),
        (TopicRole::Members, r.members),
        (TopicRole::DeadLetters, r.dead_letters),
    ];
    let mut stated_partitions = BTreeMap::new();
    for (role, count) in partitions {
        let key = format!("kafka.layout.partitions.{}", role.key());
        stated_partitions.extend(narrow(c.whole(&key, count, 0, PARTITIONS_MAX)).map(|count| (role, count)));
    }
    let mut retention_hours = BTreeMap::new();
    for (role, hours) in retention {
        let key = format!("kafka.layout.retention_hours.{}", role.key());
        let hours = c.whole(&key, hours, -1, HOURS_MAX);
        retention_hours.extend((hours != 0).then_some((role, hours)));
    }
    let forever = |hours: i64| if hours < 0 { i64::MAX } else { hours };
    let market = retention_hours.get(&TopicRole::Market).copied().unwrap_or(MARKET_HOURS);
    if let Some(members) = retention_hours.get(&TopicRole::Members)
        && forever(*members) < forever(market)
    {
        let why = format!("must be at least that of market, {market}: groups read both");
        c.refuse("kafka.layout.retention_hours.members", format!("is {members}, {why}"));
    }
    Layout {
        replication,
        min_insync_replicas: in_sync,
        partitions: stated_partitions,
        retention_hours,
        principal: check_principal(c, "principal", &raw.principal),
        feeder: check_principal(c, "feeder_principal", &raw.feeder_principal),
        reader: check_principal(c, "reader_principal", &raw.reader_principal),
    }
}

/// A principal as Kafka writes it. Everybody is none: these rights are for one.
fn check_principal(c: &mut Checker, key: &str, text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let is_whole = text.split_once(':').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty() && name != "*");
    if !is_whole || text.contains(char::is_control) {
        c.refuse(
            format!("kafka.layout.{key}"),
            format!("is {text:?}, must be TYPE:NAME of one user, as User:fragility"),
        );
    }
    Some(text.to_owned())
}
