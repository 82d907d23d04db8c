//! The manifests of `deploy/strimzi` say the same as the code: topics, settings and least rights.

use super::rights::{Operation, Resource, Right, wanted_rights};
use super::wanted::wanted_topics;
use crate::config::{Config, load_text};
use std::collections::{BTreeMap, BTreeSet};

fn manifest(name: &str) -> String {
    std::fs::read_to_string(format!("{}/deploy/strimzi/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What the manifests are for: every topic, three brokers, exactly once, as the chart names its instances.
const TOML: &str = r#"
[kafka]
instance_id = "fragility-0"
[kafka.topics]
reference = "reference"
state = "state"
members = "members"
snapshots = "snapshots"
[kafka.layout]
replication = 3
min_insync_replicas = 2
principal = "User:fragility"
feeder_principal = "User:fragility-feeder"
reader_principal = "User:fragility-reader"
[delivery]
mode = "exactly_once"
"#;

fn config() -> Config {
    load_text("manifests", TOML, &[], &[]).unwrap().config
}

/// Documents of a file, without comments, each with the name in its metadata.
fn documents(text: &str) -> Vec<(String, Vec<String>)> {
    let named = |document: &str| {
        let lines = document.lines().map(|line| line.split(" #").next().unwrap_or_default().trim_end().to_owned());
        let lines: Vec<String> = lines.filter(|line| !line.trim_start().starts_with('#')).collect();
        let name = lines.iter().find_map(|line| line.strip_prefix("  name: ")).unwrap().to_owned();
        (name, lines)
    };
    text.split("\n---\n").map(named).collect()
}

#[test]
fn the_topics_are_those_of_the_manifests() {
    let mut manifests = BTreeMap::new();
    for (name, lines) in documents(&manifest("topics")) {
        let value = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)).unwrap().parse::<i32>().unwrap();
        let settings = lines.iter().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
        let mut settings: BTreeMap<_, _> = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        // Kafka's own default; a topic that has another compression is none of ours to change.
        assert!(settings.remove("compression.type").is_none_or(|value| value == "producer"));
        manifests.insert(name, (value("  partitions: "), value("  replicas: "), settings));
    }
    let mut wanted = BTreeMap::new();
    for topic in wanted_topics(&config().kafka).unwrap() {
        let settings = topic.settings.into_iter().map(|s| (s.name.to_owned(), s.value)).collect();
        wanted.insert(topic.name, (topic.partitions, topic.replication.unwrap(), settings));
    }
    assert_eq!(wanted, manifests);
}

/// `{key: value, key: value}` or `[value, value]`, read as the value of a key or as all of them.
fn within(line: &str, open: char, close: char) -> impl Iterator<Item = &str> {
    let (_, rest) = line.split_once(open).unwrap();
    rest.split_once(close).unwrap().0.split(',').map(str::trim)
}

#[test]
fn the_rights_are_those_of_the_manifests() {
    let mut manifests = BTreeSet::new();
    for (user, lines) in documents(&manifest("users")) {
        let mut resource = None;
        for line in &lines {
            if line.trim_start().starts_with("- resource:") {
                let fields: BTreeMap<_, _> =
                    within(line, '{', '}').filter_map(|field| field.split_once(": ")).collect();
                resource = Some(fields);
            }
            if !line.trim_start().starts_with("operations:") {
                continue;
            }
            let of = resource.take().unwrap();
            for operation in within(line, '[', ']') {
                manifests.insert(Right {
                    principal: format!("User:{user}"),
                    resource: match of["type"] {
                        "topic" => Resource::Topic,
                        "group" => Resource::Group,
                        "transactionalId" => Resource::TransactionalId,
                        other => panic!("{other}"),
                    },
                    name: of["name"].to_owned(),
                    is_prefix: match of["patternType"] {
                        "prefix" => true,
                        "literal" => false,
                        other => panic!("{other}"),
                    },
                    operation: match operation {
                        "Read" => Operation::Read,
                        "Write" => Operation::Write,
                        "Describe" => Operation::Describe,
                        other => panic!("{other}"),
                    },
                });
            }
        }
    }
    let wanted: BTreeSet<Right> = wanted_rights(&config()).into_iter().flat_map(|w| w.rights).collect();
    assert_eq!(wanted, manifests);
    assert_eq!(wanted.len(), 36);
}
