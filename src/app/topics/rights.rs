//! Who may do what: the least rights of the service, of who feeds it and of who reads it.

use crate::config::{Config, DeliveryMode, Kafka};
use std::collections::BTreeSet;
use std::fmt;

/// What a right is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Resource {
    Topic,
    Group,
    TransactionalId,
}

/// What it allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Operation {
    Read,
    Write,
    Describe,
}

use Operation::{Describe, Read, Write};

/// One right of a principal, from any host: an access control entry that allows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Right {
    pub(super) principal: String,
    pub(super) resource: Resource,
    pub(super) name: String,
    /// Whether it holds for every name that begins so.
    pub(super) is_prefix: bool,
    pub(super) operation: Operation,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = match self.resource {
            Resource::Topic => "topic",
            Resource::Group => "group",
            Resource::TransactionalId => "transactional id",
        };
        let prefix = if self.is_prefix { " prefix" } else { "" };
        write!(f, "{:?} {resource}{prefix} {}", self.operation, self.name)
    }
}

/// What Kafka has on one principal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct FoundRights {
    pub(super) allowed: BTreeSet<Right>,
    /// Entries that deny something, as text.
    pub(super) denied: BTreeSet<String>,
}

/// The rights of one principal.
pub(super) struct WantedRights {
    pub(super) principal: String,
    pub(super) rights: BTreeSet<Right>,
    /// What they cannot cover.
    pub(super) note: Option<String>,
}

struct Grants {
    principal: String,
    rights: BTreeSet<Right>,
}

impl Grants {
    fn to(principal: &str) -> Self {
        Self { principal: principal.to_owned(), rights: BTreeSet::new() }
    }

    fn add(&mut self, resource: Resource, name: &str, is_prefix: bool, operations: &[Operation]) {
        self.rights.extend(operations.iter().map(|operation| Right {
            principal: self.principal.clone(),
            resource,
            name: name.to_owned(),
            is_prefix,
            operation: *operation,
        }));
    }

    fn topic(&mut self, name: Option<&String>, operations: &[Operation]) {
        if let Some(name) = name {
            self.add(Resource::Topic, name, false, operations);
        }
    }

    fn done(self) -> WantedRights {
        WantedRights { principal: self.principal, rights: self.rights, note: None }
    }
}

/// The rights of every principal that the layout names.
pub(super) fn wanted_rights(config: &Config) -> Vec<WantedRights> {
    let layout = &config.kafka.layout;
    let service = layout.principal.as_ref().map(|name| of_service(config, name));
    let feeder = layout.feeder.as_ref().map(|name| of_feeder(&config.kafka, name));
    let reader = layout.reader.as_ref().map(|name| of_reader(&config.kafka, name));
    [service, feeder, reader].into_iter().flatten().collect()
}

fn of_service(config: &Config, principal: &str) -> WantedRights {
    let kafka = &config.kafka;
    let topics = &kafka.topics;
    let mut grants = Grants::to(principal);
    grants.topic(Some(&topics.market), &[Read, Describe]);
    grants.topic(topics.reference.as_ref(), &[Read, Describe]);
    // Read as well: with `exactly_once` the service looks up what it had said before a broker crashed, and `explain`
    // looks alerts up.
    grants.topic(Some(&topics.alerts), &[Read, Write, Describe]);
    grants.topic(topics.state.as_ref(), &[Write, Describe]);
    grants.topic(topics.dead_letters.as_ref(), &[Write, Describe]);
    grants.topic(topics.members.as_ref(), &[Read, Write, Describe]);
    grants.topic(topics.snapshots.as_ref(), &[Read, Write, Describe]);
    grants.add(Resource::Group, &kafka.group, false, &[Read, Describe]);
    if let Some(groups) = config.of_members() {
        grants.add(Resource::Group, &groups.kafka.group, false, &[Read, Describe]);
    }
    let prefix = format!("{}-", kafka.group);
    // Readers without a group have a name like one's, and ask where its coordinator is. They join nothing.
    grants.add(Resource::Group, &prefix, true, &[Describe]);
    let mut note = None;
    if config.delivery == DeliveryMode::ExactlyOnce {
        grants.add(Resource::TransactionalId, &prefix, true, &[Write, Describe]);
        // A transactional id is the instance's name with the lane's number.
        match &kafka.instance_id {
            Some(instance) if instance.starts_with(&prefix) => {}
            Some(instance) => {
                grants.add(Resource::TransactionalId, &format!("{instance}-"), true, &[Write, Describe]);
            }
            None => {
                note = Some(format!(
                    "kafka.instance_id is made up where it is not set, and rights to such transactional ids cannot be \
                     given: set it on every machine, to a name of its own that begins with {prefix}"
                ));
            }
        }
    }
    WantedRights { note, ..grants.done() }
}

fn of_feeder(kafka: &Kafka, principal: &str) -> WantedRights {
    let mut grants = Grants::to(principal);
    grants.topic(Some(&kafka.topics.market), &[Write, Describe]);
    grants.topic(kafka.topics.reference.as_ref(), &[Write, Describe]);
    grants.done()
}

fn of_reader(kafka: &Kafka, principal: &str) -> WantedRights {
    let mut grants = Grants::to(principal);
    grants.topic(Some(&kafka.topics.alerts), &[Read, Describe]);
    grants.topic(kafka.topics.state.as_ref(), &[Read, Describe]);
    grants.topic(kafka.topics.dead_letters.as_ref(), &[Read, Describe]);
    grants.add(Resource::Group, &format!("{}-reader-", kafka.group), true, &[Read, Describe]);
    grants.done()
}
