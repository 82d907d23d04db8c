//! `--version --verbose`: what this build is, and which formats it reads and writes.

use crate::codec::{ALERT_SCHEMA, DEAD_LETTER_SCHEMA, HEARTBEAT_SCHEMA, MEMBER_SCHEMA, SNAPSHOT_VERSION, STATE_SCHEMA};
use crate::domain::{RULE_CLUSTER, RULE_SYMBOL, RULE_VERSION};
use crate::telemetry::build;
use rdkafka::util::get_rdkafka_version;
use std::fmt::Write;

/// One fact a line, `name: value`, behind the line that `--version` prints alone.
pub fn version() -> String {
    let features: Vec<&str> = [("avro", cfg!(feature = "avro")), ("protobuf", cfg!(feature = "protobuf"))]
        .into_iter()
        .filter_map(|(name, is_on)| is_on.then_some(name))
        .collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let facts = [
        ("revision", build::REVISION.to_owned()),
        ("tree", build::TREE.to_owned()),
        ("compiler", build::COMPILER.to_owned()),
        ("target", build::TARGET.to_owned()),
        ("profile", build::PROFILE.to_owned()),
        ("features", features),
        ("librdkafka", get_rdkafka_version().1),
        ("snapshot layout written", SNAPSHOT_VERSION.to_string()),
        ("snapshot layouts read", SNAPSHOT_VERSION.to_string()),
        ("rules", format!("{RULE_SYMBOL} {RULE_VERSION}, {RULE_CLUSTER} {RULE_VERSION}")),
        ("alert", ALERT_SCHEMA.to_owned()),
        ("state", STATE_SCHEMA.to_owned()),
        ("heartbeat", HEARTBEAT_SCHEMA.to_owned()),
        ("dead letter", DEAD_LETTER_SCHEMA.to_owned()),
        ("member", MEMBER_SCHEMA.to_owned()),
    ];
    let mut text = format!("fragility {}\n", build::VERSION);
    for (name, value) in facts {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}
