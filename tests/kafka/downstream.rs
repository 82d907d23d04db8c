//! What a careful reader downstream does: follows each entity by its sequence, drops repeats by id and revision, and
//! compares the compacted state with what it has seen.

use crate::support::Record;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is known after reading.
#[derive(Default, Debug)]
pub(crate) struct Downstream {
    sequences: BTreeMap<String, i64>,
    last: BTreeMap<String, Value>,
    seen: BTreeSet<(String, i64)>,
    pub(crate) repeated: usize,
    /// Places where a number is missing.
    pub(crate) gaps: Vec<String>,
    /// Input partitions that some heartbeat speaks for: topic, partition.
    pub(crate) heard: BTreeSet<(String, i64)>,
}

impl Downstream {
    /// Follows the alerts topic from its beginning.
    pub(crate) fn follow(records: &[Record]) -> Self {
        let mut reader = Self::default();
        for record in records {
            reader.take(&record.json());
        }
        reader
    }

    fn take(&mut self, value: &Value) {
        if value["schema"] == "fragility.heartbeat.v1" {
            for input in value["inputs"].as_array().unwrap() {
                let topic = input["topic"].as_str().unwrap().to_owned();
                self.heard.insert((topic, input["partition"].as_i64().unwrap()));
            }
            return;
        }
        let id = (value["alert_id"].as_str().unwrap().to_owned(), value["revision"].as_i64().unwrap());
        if !self.seen.insert(id) {
            self.repeated += 1;
            return;
        }
        let entity = value["entity"]["id"].as_str().unwrap().to_owned();
        let sequence = value["sequence"].as_i64().unwrap();
        let expected = self.sequences.get(&entity).map_or(1, |last| last + 1);
        if sequence != expected {
            self.gaps.push(format!("{entity}: {sequence} where {expected} was due"));
        }
        self.sequences.insert(entity.clone(), sequence);
        self.last.insert(entity, value.clone());
    }

    /// Compares the newest state of each entity with its last alert.
    pub(crate) fn check_states(&self, states: &[Record]) {
        let mut newest: BTreeMap<String, Value> = BTreeMap::new();
        for record in states {
            newest.insert(record.key.clone().unwrap(), record.json());
        }
        for (entity, alert) in &self.last {
            let state = newest.get(entity).unwrap_or_else(|| panic!("no state of {entity}"));
            for field in ["sequence", "alert_id", "revision", "kind", "state", "z", "tier", "event_time"] {
                assert_eq!(state[field], alert[field], "{entity}: {field}");
            }
        }
        assert_eq!(newest.len(), self.last.len(), "states of entities that never had an alert");
    }
}
