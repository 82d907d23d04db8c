//! What is held against what should be: a line for everything that differs, and for what is right.

use super::rights::{FoundRights, Right, WantedRights};
use super::wanted::{IN_SYNC, POLICY, RETENTION, Rule, Setting, Wanted};
use crate::config::TopicRole;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A topic as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: i32,
    /// Replicas of the partition that has fewest, and of the one that has most.
    pub(super) replication: (i32, i32),
    /// Settings in force, whoever set them.
    pub(super) settings: BTreeMap<String, String>,
}

/// What is done about a difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    Create(Wanted),
    Raise { topic: String, partitions: i32 },
    Set { topic: String, name: &'static str, value: String },
    Grant(Right),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// As it should be.
    Right,
    /// Differs, and this is done.
    Do(Act),
    /// Differs, and stays so.
    Leave,
    /// Worth knowing.
    Note,
}

/// One line: what, and what about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) verdict: Verdict,
    pub(super) subject: String,
    pub(super) text: String,
}

impl Line {
    pub(super) fn new(verdict: Verdict, subject: &str, text: impl Into<String>) -> Self {
        Self { verdict, subject: subject.to_owned(), text: text.into() }
    }

    pub(super) fn act(&self) -> Option<&Act> {
        if let Verdict::Do(act) = &self.verdict { Some(act) } else { None }
    }

    pub(super) fn is_difference(&self) -> bool {
        matches!(self.verdict, Verdict::Do(_) | Verdict::Leave)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match &self.verdict {
            Verdict::Right => "ok",
            Verdict::Do(Act::Create(_)) => "create",
            Verdict::Do(Act::Raise { .. }) => "raise",
            Verdict::Do(Act::Set { .. }) => "set",
            Verdict::Do(Act::Grant(_)) => "grant",
            Verdict::Leave => "leave",
            Verdict::Note => "note",
        };
        write!(f, "{verb:<6} {}: {}", self.subject, self.text)
    }
}

fn counted(count: i32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Holds one topic against what it should be; `None`: there is none.
pub(super) fn compare_topic(wanted: &Wanted, found: Option<&Found>, lines: &mut Vec<Line>) {
    let subject = format!("topic {}", wanted.name);
    let Some(found) = found else {
        let replication = wanted.replication.map_or_else(|| "of the broker".into(), |n| n.to_string());
        let mut text = vec![counted(wanted.partitions, "partition"), format!("replication {replication}")];
        text.extend(wanted.settings.iter().map(|Setting { name, value, .. }| format!("{name}={value}")));
        let text = text.join(", ");
        lines.push(Line::new(Verdict::Do(Act::Create(wanted.clone())), &subject, text));
        return;
    };
    let mut differs = Vec::new();
    let mut right = Vec::new();
    compare_partitions(wanted, found, &mut differs, &mut right);
    let (least, most) = found.replication;
    let is = if least == most { format!("replication {least}") } else { format!("replication {least} to {most}") };
    match wanted.replication {
        Some(replicas) if (least, most) != (replicas, replicas) => {
            let why = "replicas are moved by a reassignment (kafka-reassign-partitions.sh)";
            differs.push((Verdict::Leave, format!("{is}, wanted {replicas}: {why}")));
        }
        _ => right.push(is),
    }
    for setting in &wanted.settings {
        compare_setting(wanted, setting, found, &mut differs, &mut right);
    }
    if !right.is_empty() {
        lines.push(Line::new(Verdict::Right, &subject, right.join(", ")));
    }
    lines.extend(differs.into_iter().map(|(verdict, text)| Line::new(verdict, &subject, text)));
}

type Differences = Vec<(Verdict, String)>;

fn compare_partitions(wanted: &Wanted, found: &Found, differs: &mut Differences, right: &mut Vec<String>) {
    let is = counted(found.partitions, "partition");
    let count = wanted.partitions;
    if !wanted.is_stated || found.partitions == count {
        right.push(is);
        return;
    }
    if found.partitions > count {
        differs.push((Verdict::Leave, format!("{is}, wanted {count}: Kafka takes none away")));
        return;
    }
    let consequence = match wanted.role {
        TopicRole::Market => "symbols move, and for 15 minutes every lane reads the whole topic",
        TopicRole::Snapshots => "snapshots are looked for elsewhere until the next ones are written",
        TopicRole::DeadLetters => "records are spread anew",
        TopicRole::Members => {
            let why = "groups do not go on in other partitions as symbols do; give kafka.topics.members a new name";
            differs.push((Verdict::Leave, format!("{is}, wanted {count}: {why}")));
            return;
        }
        TopicRole::Reference | TopicRole::Alerts | TopicRole::State => {
            "keys move; older records of a key stay where they are"
        }
    };
    let act = Act::Raise { topic: wanted.name.clone(), partitions: count };
    differs.push((Verdict::Do(act), format!("{is}, wanted {count}; {consequence}")));
}

fn compare_setting(
    wanted: &Wanted,
    setting: &Setting,
    found: &Found,
    differs: &mut Differences,
    right: &mut Vec<String>,
) {
    let Setting { name, rule, value } = setting;
    let Some(is) = found.settings.get(*name) else {
        differs.push((Verdict::Leave, format!("{name} unknown, wanted {value}: the broker does not tell it")));
        return;
    };
    if holds(name, *rule, is, value) {
        right.push(format!("{name}={is}"));
        return;
    }
    let limit = match rule {
        Rule::Exactly => "wanted",
        Rule::AtLeast => "wanted at least",
        Rule::AtMost => "wanted at most",
    };
    let difference = format!("{name} {is}, {limit} {value}");
    let replicas = found.replication.0;
    if *name == IN_SYNC && value.parse::<i32>().is_ok_and(|n| n > replicas) {
        let why = format!("its replication is {replicas}, and no record would be taken any more");
        differs.push((Verdict::Leave, format!("{difference}: {why}")));
        return;
    }
    // What deletes records says so.
    let shortens = *name == RETENTION && number(name, value) < number(name, is);
    let begins = *name == POLICY && value == "delete" && !is.split(',').any(|policy| policy.trim() == "delete");
    let deletes = if shortens || begins { "; older records are deleted" } else { "" };
    let act = Act::Set { topic: wanted.name.clone(), name, value: value.clone() };
    differs.push((Verdict::Do(act), format!("{difference}{deletes}")));
}

/// A setting's number; without bound is more than any.
fn number(name: &str, value: &str) -> Option<f64> {
    let number = value.trim().parse().ok()?;
    Some(if name == RETENTION && number < 0.0 { f64::INFINITY } else { number })
}

fn holds(name: &str, rule: Rule, is: &str, wanted: &str) -> bool {
    let numbers = (number(name, is), number(name, wanted));
    match (rule, numbers) {
        (Rule::AtLeast, (Some(is), Some(wanted))) => is >= wanted,
        (Rule::AtMost, (Some(is), Some(wanted))) => is <= wanted,
        _ => {
            let parts = |text: &str| text.split(',').map(|p| p.trim().to_owned()).collect::<BTreeSet<_>>();
            parts(is) == parts(wanted)
        }
    }
}

/// Holds one principal's rights against what they should be; `None`: nothing is kept of rights.
pub(super) fn compare_rights(wanted: &WantedRights, found: Option<&FoundRights>, lines: &mut Vec<Line>) {
    let WantedRights { principal, rights, note } = wanted;
    let Some(found) = found else {
        let text =
            format!("{} rights wanted: the brokers have no authorizer, everybody may do everything", rights.len());
        lines.push(Line::new(Verdict::Leave, principal, text));
        return;
    };
    let has = rights.intersection(&found.allowed).count();
    if has > 0 {
        lines.push(Line::new(Verdict::Right, principal, format!("{has} of {} rights", rights.len())));
    }
    for right in rights.difference(&found.allowed) {
        lines.push(Line::new(Verdict::Do(Act::Grant(right.clone())), principal, right.to_string()));
    }
    for denied in &found.denied {
        lines.push(Line::new(
            Verdict::Leave,
            principal,
            format!("{denied}, which comes before what is allowed: take it back yourself"),
        ));
    }
    lines.extend(note.iter().map(|note| Line::new(Verdict::Note, principal, note)));
}
