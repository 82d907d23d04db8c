//! What is said of topics and rights as they may be found.

use super::belong_together;
use super::compare::{Act, Found, Line, compare_rights, compare_topic};
use super::rights::{FoundRights, wanted_rights};
use super::wanted::{Wanted, wanted_topics};
use crate::config::{Config, load_text};
use std::collections::BTreeMap;

/// Topics that are off by default, and nothing that takes long to read.
const TOML: &str = r#"
[kafka.topics]
reference = "reference"
members = "members"
snapshots = "snapshots"
[history]
legs = ""
index = ""
losses = ""
"#;

fn config(sets: &[&str]) -> Config {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    load_text("test.toml", TOML, &[], &sets).unwrap().config
}

fn wanted(topic: &str, sets: &[&str]) -> Wanted {
    wanted_topics(&config(sets).kafka).unwrap().into_iter().find(|w| w.name == topic).unwrap()
}

/// A topic as it is wanted, but for these settings.
fn found(wanted: &Wanted, partitions: i32, replicas: i32, but: &[(&str, &str)]) -> Found {
    let mut settings: BTreeMap<_, _> = wanted.settings.iter().map(|s| (s.name.to_owned(), s.value.clone())).collect();
    settings.extend(but.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Found { partitions, replication: (replicas, replicas), settings }
}

fn differences(lines: &[Line]) -> Vec<String> {
    lines.iter().filter(|line| line.is_difference()).map(ToString::to_string).collect()
}

/// Partitions, replicas and settings found, and the differences that are told.
fn check(topic: &str, sets: &[&str], partitions: i32, replicas: i32, but: &[(&str, &str)], expected: &[&str]) {
    let wanted = wanted(topic, sets);
    let mut lines = Vec::new();
    compare_topic(&wanted, Some(&found(&wanted, partitions, replicas, but)), &mut lines);
    assert_eq!(differences(&lines), expected, "{topic} {sets:?} {but:?}");
}

#[test]
fn a_topic_that_is_not_there_is_created_with_all_that_it_needs() {
    let mut lines = Vec::new();
    compare_topic(&wanted("snapshots", &[]), None, &mut lines);
    let sets =
        ["kafka.layout.partitions.market=12", "kafka.layout.replication=3", "kafka.layout.min_insync_replicas=2"];
    compare_topic(&wanted("market", &sets), None, &mut lines);
    assert_eq!(
        differences(&lines),
        [
            "create topic snapshots: 8 partitions, replication of the broker, cleanup.policy=compact, \
             segment.bytes=67108864, segment.ms=600000, min.cleanable.dirty.ratio=0.1, max.message.bytes=1048588",
            "create topic market: 12 partitions, replication 3, cleanup.policy=delete, retention.ms=604800000, \
             segment.ms=21600000, message.timestamp.type=CreateTime, min.insync.replicas=2",
        ]
    );
}

#[test]
fn what_is_right_is_said_and_nothing_is_done() {
    let wanted = wanted("market", &[]);
    let mut lines = Vec::new();
    compare_topic(&wanted, Some(&found(&wanted, 3, 1, &[])), &mut lines);
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let right = "ok     topic market: 3 partitions, replication 1, cleanup.policy=delete, retention.ms=604800000, \
                 segment.ms=21600000, message.timestamp.type=CreateTime";
    assert_eq!(lines, [right]);
}

#[test]
fn partitions_are_raised_where_they_are_stated_and_never_taken_away() {
    check("market", &[], 1, 1, &[], &[]);
    check("market", &[], 64, 1, &[], &[]);
    let eight = ["kafka.layout.partitions.market=8"];
    check("market", &eight, 8, 1, &[], &[]);
    let raise =
        "raise  topic market: 1 partition, wanted 8; symbols move, and for 15 minutes every lane reads the whole topic";
    check("market", &eight, 1, 1, &[], &[raise]);
    check("market", &eight, 9, 1, &[], &["leave  topic market: 9 partitions, wanted 8: Kafka takes none away"]);
    let groups = "leave  topic members: 4 partitions, wanted 5: groups do not go on in other partitions as symbols do; \
                  give kafka.topics.members a new name";
    check("members", &["kafka.layout.partitions.members=5"], 4, 1, &[], &[groups]);
}

#[test]
fn settings_are_changed_where_they_are_wrong() {
    let compact = ("cleanup.policy", "compact");
    let policy = "set    topic alerts: cleanup.policy compact, wanted delete; older records are deleted";
    check("alerts", &[], 8, 1, &[compact], &[policy]);
    let both = "set    topic alerts: cleanup.policy compact,delete, wanted delete";
    check("alerts", &[], 8, 1, &[("cleanup.policy", "compact,delete")], &[both]);
    let reference = "set    topic reference: cleanup.policy delete, wanted compact";
    check("reference", &[], 1, 1, &[("cleanup.policy", "delete")], &[reference]);
    let time = "set    topic market: message.timestamp.type LogAppendTime, wanted CreateTime";
    check("market", &[], 8, 1, &[("message.timestamp.type", "LogAppendTime")], &[time]);
    // Fewer and smaller segments than wanted are right.
    check("snapshots", &[], 8, 1, &[("segment.ms", "60000"), ("min.cleanable.dirty.ratio", "0.01")], &[]);
    let ratio = "set    topic snapshots: min.cleanable.dirty.ratio 0.5, wanted at most 0.1";
    check("snapshots", &[], 8, 1, &[("min.cleanable.dirty.ratio", "0.5")], &[ratio]);
    check("snapshots", &[], 8, 1, &[("max.message.bytes", "2000000")], &[]);
}

/// Nothing is deleted sooner than somebody asked for.
#[test]
fn retention_is_shortened_where_it_is_stated_alone() {
    check(
        "market",
        &[],
        8,
        1,
        &[("retention.ms", "3600000")],
        &["set    topic market: retention.ms 3600000, wanted at least 604800000"],
    );
    check("market", &[], 8, 1, &[("retention.ms", "-1")], &[]);
    check("market", &[], 8, 1, &[("retention.ms", "9999999999")], &[]);
    let day = ["kafka.layout.retention_hours.market=24"];
    for is in ["9999999999", "-1"] {
        let line = format!("set    topic market: retention.ms {is}, wanted 86400000; older records are deleted");
        check("market", &day, 8, 1, &[("retention.ms", is)], &[&line]);
    }
    // The members topic follows the market's.
    let year = ["kafka.layout.retention_hours.market=8760"];
    let line = "set    topic members: retention.ms 604800000, wanted at least 31536000000";
    check("members", &year, 4, 1, &[("retention.ms", "604800000")], &[line]);
    let forever = ["kafka.layout.retention_hours.market=-1"];
    let line = "set    topic members: retention.ms 604800000, wanted at least -1";
    check("members", &forever, 4, 1, &[("retention.ms", "604800000")], &[line]);
}

#[test]
fn replicas_are_left_where_they_are() {
    let sets = ["kafka.layout.replication=3", "kafka.layout.min_insync_replicas=2"];
    let moved = "leave  topic market: replication 1, wanted 3: replicas are moved by a reassignment \
                 (kafka-reassign-partitions.sh)";
    let shut = "leave  topic market: min.insync.replicas 1, wanted 2: its replication is 1, and no record would be taken \
                any more";
    check("market", &sets, 8, 1, &[("min.insync.replicas", "1")], &[moved, shut]);
    let set = "set    topic market: min.insync.replicas 1, wanted 2";
    check("market", &sets, 8, 3, &[("min.insync.replicas", "1")], &[set]);
}

#[test]
fn one_topic_is_not_two() {
    let kafka = config(&["kafka.topics.state=alerts"]).kafka;
    let refused = wanted_topics(&kafka).unwrap_err();
    assert!(refused.contains("kafka.topics.alerts and kafka.topics.state are both \"alerts\""), "{refused}");
}

#[test]
fn rights_are_granted_and_what_is_denied_is_told() {
    let sets = ["kafka.layout.feeder_principal=User:feed", "kafka.topics.reference=\"\""];
    let wanted = wanted_rights(&config(&sets)).pop().unwrap();
    let told = |found: Option<&FoundRights>| {
        let mut lines = Vec::new();
        compare_rights(&wanted, found, &mut lines);
        assert!(lines.windows(2).all(|w| w[0].act().is_none() || belong_together(&w[0], &w[1])));
        lines.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let nobody = "leave  User:feed: 2 rights wanted: the brokers have no authorizer, everybody may do everything";
    assert_eq!(told(None), [nobody]);
    let mut found = FoundRights::default();
    let (write, describe) = ("grant  User:feed: Write topic market", "grant  User:feed: Describe topic market");
    assert_eq!(told(Some(&found)), [write, describe]);
    found.allowed.insert(wanted.rights.iter().next().unwrap().clone());
    assert_eq!(told(Some(&found)), ["ok     User:feed: 1 of 2 rights", describe]);
    found.allowed.clone_from(&wanted.rights);
    found.denied.insert("denied Write Topic market from host *".into());
    let denied = "leave  User:feed: denied Write Topic market from host *, which comes before what is allowed: take it back yourself";
    assert_eq!(told(Some(&found)), ["ok     User:feed: 2 of 2 rights", denied]);
}

/// Transactional ids are named by instance: what cannot be granted is said.
#[test]
fn transactional_ids_follow_the_instance() {
    let rights = |more: &[&str]| {
        let sets = [&["kafka.layout.principal=User:f", "kafka.group=g"][..], more].concat();
        let wanted = wanted_rights(&config(&sets)).pop().unwrap();
        let ids: Vec<String> =
            wanted.rights.iter().map(ToString::to_string).filter(|r| r.starts_with("Write transactional")).collect();
        (ids, wanted.note.is_some())
    };
    let own = "Write transactional id prefix g-".to_owned();
    assert_eq!(rights(&[]), (vec![], false));
    assert_eq!(rights(&["delivery.mode=exactly_once"]), (vec![own.clone()], true));
    assert_eq!(rights(&["delivery.mode=exactly_once", "kafka.instance_id=g-7"]), (vec![own.clone()], false));
    let other = "Write transactional id prefix m1-".to_owned();
    assert_eq!(rights(&["delivery.mode=exactly_once", "kafka.instance_id=m1"]), (vec![own, other], false));
}

/// A topic's settings change in one request, and topics one by one.
#[test]
fn what_belongs_together_is_one_request() {
    let wanted = wanted("alerts", &[]);
    let mut lines = Vec::new();
    let wrong = found(&wanted, 8, 1, &[("cleanup.policy", "compact"), ("retention.ms", "1")]);
    compare_topic(&wanted, Some(&wrong), &mut lines);
    compare_topic(&wanted, None, &mut lines);
    let sizes: Vec<usize> = lines.chunk_by(belong_together).map(<[Line]>::len).collect();
    assert_eq!(sizes, [1, 2, 1]);
    assert!(matches!(lines[3].act(), Some(Act::Create(_))));
}
