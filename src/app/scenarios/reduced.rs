//! An alert reduced to what an expectation is about, and what differs between two lists of them.

use crate::domain::UnixNanos;
use serde_json::{Map, Value};
use std::fmt;

/// What is kept of an alert, in this order. The rest follows from it, or is arithmetic tested elsewhere.
const FIELDS: [&str; 17] = [
    "alert_id",
    "revision",
    "sequence",
    "kind",
    "state",
    "entity",
    "groups",
    "session",
    "phase",
    "event_time",
    "direction",
    "tier",
    "peak_tier",
    "z",
    "price",
    "reference",
    "quality",
];

/// What tells alerts apart: the pair that de-duplicates, and what the alert is for.
const IDENTITY: [&str; 3] = ["alert_id", "revision", "kind"];

/// One alert, as expected or as said. `event_time` is RFC 3339 here, for people.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Reduced(Map<String, Value>);

impl Reduced {
    /// What an encoded alert says.
    pub(super) fn of_alert(bytes: &[u8]) -> Self {
        let mut alert: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
        if let Some(nanos) = alert.get("event_time").and_then(Value::as_i64) {
            alert.insert("event_time".to_owned(), UnixNanos(nanos).to_string().into());
        }
        alert.retain(|field, _| FIELDS.contains(&field.as_str()));
        Self(alert)
    }

    /// Reads an expectation. It may name fewer fields, which then are all that is compared.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let alert: Map<String, Value> = serde_json::from_str(line).map_err(|e| e.to_string())?;
        if let Some(field) = alert.keys().find(|k| !FIELDS.contains(&k.as_str())) {
            return Err(format!("{field} is none of {}", FIELDS.join(", ")));
        }
        match IDENTITY.iter().find(|k| !alert.contains_key(**k)) {
            Some(field) => Err(format!("{field} is missing")),
            None => Ok(Self(alert)),
        }
    }

    fn get(&self, field: &str) -> &Value {
        self.0.get(field).unwrap_or(&Value::Null)
    }

    fn is(&self, other: &Self) -> bool {
        IDENTITY.iter().all(|k| same(self.get(k), other.get(k)))
    }

    /// Time, entity, kind and so on, as far as they are named, in one line for people.
    fn outline(&self) -> String {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut parts: Vec<String> = ["event_time", "entity", "kind", "state", "direction"]
            .iter()
            .filter_map(|k| self.0.get(*k))
            .map(|v| plain(v.get("id").unwrap_or(v)))
            .collect();
        parts.extend(["tier", "z", "revision"].iter().filter_map(|k| Some(format!("{k} {}", self.0.get(*k)?))));
        parts.join(" ")
    }
}

impl fmt::Display for Reduced {
    /// One JSON object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = FIELDS.iter().filter_map(|k| Some(format!("\"{k}\":{}", self.0.get(*k)?)));
        write!(f, "{{{}}}", named.collect::<Vec<_>>().join(","))
    }
}

/// Equal values; 3 and 3.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

/// What is missing, extra or changed, a line each.
pub(super) fn differences(expected: &[Reduced], said: &[Reduced]) -> Vec<String> {
    let mut lines = Vec::new();
    for wanted in expected {
        let Some(got) = said.iter().find(|s| s.is(wanted)) else {
            lines.push(format!("missing {}", wanted.outline()));
            continue;
        };
        let changed: Vec<String> = FIELDS
            .iter()
            .filter_map(|k| Some((k, wanted.0.get(*k)?, got.get(k))))
            .filter(|(_, a, b)| !same(a, b))
            .map(|(k, a, b)| format!("{k} is {b}, not {a}"))
            .collect();
        if !changed.is_empty() {
            lines.push(format!("changed {}: {}", wanted.outline(), changed.join(", ")));
        }
    }
    let extra = said.iter().filter(|s| !expected.iter().any(|e| s.is(e)));
    lines.extend(extra.map(|s| format!("extra   {}", s.outline())));
    let is_in_order = expected.len() == said.len() && expected.iter().zip(said).all(|(e, s)| s.is(e));
    if lines.is_empty() && !is_in_order {
        lines.push("changed order".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(line: &str) -> Reduced {
        Reduced::read(line).unwrap()
    }

    #[test]
    fn an_expectation_compares_what_it_names() {
        let said = Reduced::of_alert(
            br#"{"alert_id":"a","revision":0,"kind":"open","tier":3,"z":-3.0,"event_time":0,"mode":"bofa21"}"#,
        );
        assert_eq!(
            said.to_string(),
            r#"{"alert_id":"a","revision":0,"kind":"open","event_time":"1970-01-01T00:00:00Z","tier":3,"z":-3.0}"#
        );
        let said = [said];
        let against = |line| differences(&[expected(line)], &said);
        assert_eq!(against(r#"{"alert_id":"a","revision":0,"kind":"open","tier":3.0}"#), [""; 0]);
        assert_eq!(
            against(r#"{"alert_id":"a","revision":0,"kind":"open","tier":4,"price":1}"#),
            ["changed open tier 4 revision 0: tier is 3, not 4, price is null, not 1"]
        );
        assert_eq!(
            against(r#"{"alert_id":"a","revision":1,"kind":"open"}"#),
            ["missing open revision 1", "extra   1970-01-01T00:00:00Z open tier 3 z -3.0 revision 0"]
        );
    }

    #[test]
    fn twice_said_or_in_another_order_is_a_difference() {
        let [a, b] = ["a", "b"].map(|id| expected(&format!(r#"{{"alert_id":"{id}","revision":0,"kind":"open"}}"#)));
        let both = [a.clone(), b.clone()];
        assert_eq!(differences(&both, &both), [""; 0]);
        for said in [vec![b.clone(), a.clone()], vec![a.clone(), b.clone(), b.clone()]] {
            assert_eq!(differences(&both, &said), ["changed order"]);
        }
    }

    #[test]
    fn an_expectation_is_read_strictly() {
        for (line, why) in [
            ("", "EOF"),
            (r#"{"alert_id":"a"}"#, "revision is missing"),
            (r#"{"alert_id":"a","revision":0,"sigma":1}"#, "sigma is none of"),
        ] {
            let error = Reduced::read(line).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
