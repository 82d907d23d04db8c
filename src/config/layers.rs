//! Four layers into one table, with where each value came from.

use super::DEFAULTS;
use super::check::Config;
use super::problem::{ConfigErrors, Problem};
use super::raw::Raw;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Problems collected before giving up.
const PROBLEMS_MAX: usize = 100;
const PROPERTIES: &str = "kafka.properties";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Defaults,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment(String),
    /// A `--set` flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::File => f.write_str("file"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// A checked configuration and how it came about.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every key with its value as TOML and its origin; secrets masked.
    pub effective: Vec<(String, String, Origin)>,
}

/// Loads `file` over the defaults, then `environment`, then `sets`.
///
/// # Errors
/// Every problem at once.
pub fn load(file: &Path, environment: &[(String, String)], sets: &[String]) -> Result<Loaded, ConfigErrors> {
    load_text(&file.display().to_string(), &read(file)?, environment, sets)
}

/// Loads as [`load`] does, and reads no file of `history.legs`, `history.index` and `groups.NAME.legs`: they may be about
/// to be made.
///
/// # Errors
/// Every problem at once.
pub fn load_without_histories(
    file: &Path,
    environment: &[(String, String)],
    sets: &[String],
) -> Result<Loaded, ConfigErrors> {
    load_layers("", &file.display().to_string(), &read(file)?, environment, sets, Raw::without_histories)
}

/// The text of a configuration file.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: &Path) -> Result<String, ConfigErrors> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format!("cannot be read: {error}");
        let problem = Problem { key: String::new(), message, origin: "file".into(), span: None };
        ConfigErrors::new(&file.display().to_string(), "", vec![problem])
    })
}

/// Loads the text of a file named `name`, as [`load`] does.
///
/// # Errors
/// Every problem at once.
pub fn load_text(
    name: &str,
    text: &str,
    environment: &[(String, String)],
    sets: &[String],
) -> Result<Loaded, ConfigErrors> {
    load_over("", name, text, environment, sets)
}

/// Loads the text of a file named `name` over that of another, which has been loaded by itself before: of a
/// problem with both, the place is looked for in the upper one.
///
/// # Errors
/// Every problem at once.
pub fn load_over(
    below: &str,
    name: &str,
    text: &str,
    environment: &[(String, String)],
    sets: &[String],
) -> Result<Loaded, ConfigErrors> {
    load_layers(below, name, text, environment, sets, |raw| raw)
}

fn load_layers(
    below: &str,
    name: &str,
    text: &str,
    environment: &[(String, String)],
    sets: &[String],
    adjusted: fn(Raw) -> Raw,
) -> Result<Loaded, ConfigErrors> {
    let fail = |problems| Err(ConfigErrors::new(name, text, problems));
    let defaults: Table = toml::from_str(DEFAULTS).unwrap_or_default();
    let file: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let message = error.message().to_owned();
            return fail(vec![Problem { key: String::new(), message, origin: "file".into(), span: error.span() }]);
        }
    };
    let mut merged = Merged::default();
    let mut problems = Vec::new();
    merged.lay(&defaults, &Origin::Defaults);
    merged.lay(&toml::from_str(below).unwrap_or_default(), &Origin::File);
    merged.lay(&file, &Origin::File);
    let mut variables: Vec<&(String, String)> =
        environment.iter().filter(|(k, _)| k.starts_with("FRAGILITY__")).collect();
    variables.sort();
    for (variable, value) in variables {
        let key = variable_key(variable);
        merged.set(&key, read_value(&key, value), &Origin::Environment(variable.clone()));
    }
    for set in sets {
        match set.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                let key = unquoted(key.trim());
                merged.set(&key, read_value(&key, value), &Origin::Flag);
            }
            _ => problems.push(Problem {
                key: set.clone(),
                message: "is not section.key=value".into(),
                origin: Origin::Flag.to_string(),
                span: None,
            }),
        }
    }
    let spans = DeTable::parse(text).ok();
    let located = |key: &str, message: String, origin: Option<&Origin>| {
        let origin = origin.unwrap_or(&Origin::File);
        let span = if *origin == Origin::File { spans.as_ref().and_then(|t| span_of(t.get_ref(), key)) } else { None };
        Problem { key: key.to_owned(), message, origin: origin.to_string(), span }
    };
    let raw = merged.typed(&defaults, |key, message, origin| problems.push(located(key, message, origin)));
    let Some(raw) = raw.map(adjusted) else { return fail(problems) };
    let hashed = merged.hash_text();
    match Config::check(&raw, &hashed) {
        Ok(config) if problems.is_empty() => Ok(Loaded { config, effective: merged.effective() }),
        Ok(_) => fail(problems),
        Err(found) => {
            problems.extend(found.into_iter().map(|(key, message)| {
                let origin = merged.origin(&key);
                located(&key, message, origin.as_ref())
            }));
            problems.sort_by(|a, b| a.key.cmp(&b.key));
            problems.dedup();
            fail(problems)
        }
    }
}

/// `FRAGILITY__KAFKA__BROKERS` to `kafka.brokers`; under `kafka.properties` an underscore is a dot.
fn variable_key(variable: &str) -> String {
    let path = variable.trim_start_matches("FRAGILITY__").to_lowercase().replace("__", ".");
    match path.strip_prefix("kafka.properties.") {
        Some(rest) => format!("{PROPERTIES}.{}", rest.replace('_', ".")),
        None => path,
    }
}

/// A property's name may stand in quotes, as it does in the file.
fn unquoted(key: &str) -> String {
    let quoted = key.strip_prefix("kafka.properties.\"").and_then(|name| name.strip_suffix('"'));
    quoted.map_or_else(|| key.to_owned(), |name| format!("{PROPERTIES}.{name}"))
}

/// A value as TOML reads it, else as text. Under `kafka.properties` what TOML would write otherwise is text, too: a password
/// may look like a number.
fn read_value(key: &str, text: &str) -> Value {
    let document = format!("value = {text}");
    let read = toml::from_str::<Table>(&document).ok().filter(|t| t.len() == 1);
    let read = read.and_then(|mut t| t.remove("value")).filter(|value| match value {
        Value::String(_) => true,
        value => !key.starts_with(PROPERTIES) || value.to_string() == text,
    });
    read.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Segments of a key; what follows `kafka.properties.` is one, and so is what stands in quotes.
fn segments(key: &str) -> Vec<&str> {
    if let Some(rest) = key.strip_prefix("kafka.properties.") {
        return vec!["kafka", "properties", rest];
    }
    let mut found = Vec::new();
    let mut rest = Some(key);
    while let Some(text) = rest {
        let quoted = text.strip_prefix('"').and_then(|t| t.split_once('"'));
        let (segment, after) = match quoted {
            Some((name, after)) => (name, after.strip_prefix('.')),
            None => text.split_once('.').map_or((text, None), |(name, after)| (name, Some(after))),
        };
        found.push(segment);
        rest = after;
    }
    found
}

#[derive(Default)]
struct Merged {
    table: Table,
    origins: BTreeMap<String, Origin>,
}

impl Merged {
    fn lay(&mut self, layer: &Table, origin: &Origin) {
        let mut leaves = Vec::new();
        collect("", layer, &mut leaves);
        for (key, value) in leaves {
            self.set(&key, value, origin);
        }
    }

    fn set(&mut self, key: &str, value: Value, origin: &Origin) {
        let path = segments(key);
        let Some((last, parents)) = path.split_last() else { return };
        let mut table = &mut self.table;
        for parent in parents {
            let slot = table.entry((*parent).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if !slot.is_table() {
                *slot = Value::Table(Table::new());
            }
            let Value::Table(inner) = slot else { return };
            table = inner;
        }
        table.insert((*last).to_owned(), value);
        self.origins.insert(key.to_owned(), origin.clone());
    }

    fn origin(&self, key: &str) -> Option<Origin> {
        self.origins.get(key).cloned().or_else(|| {
            let below = format!("{key}.");
            self.origins.iter().find(|(k, _)| k.starts_with(&below)).map(|(_, o)| o.clone())
        })
    }

    fn remove(&mut self, key: &str) {
        let path = segments(key);
        let Some((last, parents)) = path.split_last() else { return };
        let mut table = Some(&mut self.table);
        for parent in parents {
            table = table.and_then(|t| t.get_mut(*parent)).and_then(Value::as_table_mut);
        }
        if let Some(table) = table {
            table.remove(*last);
        }
    }

    /// The typed mirror. A value of the wrong type, or an unknown key, is reported and taken out, so that
    /// the next one is found too.
    fn typed(&mut self, defaults: &Table, mut report: impl FnMut(&str, String, Option<&Origin>)) -> Option<Raw> {
        for _ in 0..PROBLEMS_MAX {
            let error = match serde_path_to_error::deserialize::<_, Raw>(Value::Table(self.table.clone())) {
                Ok(raw) => return Some(raw),
                Err(error) => error,
            };
            let message = error.inner().message().to_owned();
            let mut key = error.path().to_string();
            if let Some(field) = message.strip_prefix("unknown field `").and_then(|m| m.split('`').next())
                && !key.ends_with(field)
            {
                key = if key == "." { field.to_owned() } else { format!("{key}.{field}") };
            }
            // An element of a list stands for the list.
            let key = key.split('[').next().unwrap_or(&key).to_owned();
            let origin = self.origin(&key);
            let message = message.lines().next().unwrap_or_default().to_owned();
            report(&key, message.clone(), origin.as_ref());
            match lookup(defaults, &key) {
                Some(value) if !message.starts_with("unknown field") => {
                    self.set(&key, value.clone(), &Origin::Defaults);
                }
                _ if lookup(&self.table, &key).is_some() => self.remove(&key),
                // A group that lacks a key cannot be mended by taking something out of it.
                _ => match key.rsplit_once('.') {
                    Some((parent, _)) => self.remove(parent),
                    None => return None,
                },
            }
        }
        None
    }

    fn leaves(&self) -> Vec<(String, Value)> {
        let mut leaves = Vec::new();
        collect("", &self.table, &mut leaves);
        leaves
    }

    /// The settings that can change an alert, in one canonical text.
    fn hash_text(&self) -> String {
        const DECIDES: [&str; 10] = [
            "rules.",
            "market.",
            "volatility.",
            "ruler.",
            "modes.",
            "cluster.",
            "groups.",
            "feeds.",
            "universe.",
            "alerts.format",
        ];
        // What these files say is covered by their versions, or by what is in them.
        const PATHS: [&str; 2] = ["market.calendar_overlay", "market.eligibility"];
        let is_legs = |key: &str| key.split('.').count() == 3 && key.split('.').next_back() == Some("legs");
        let is_path = |key: &str| PATHS.contains(&key) || (key.starts_with("groups.") && is_legs(key));
        let decides = |key: &str| DECIDES.iter().any(|d| key.starts_with(d)) && !is_path(key);
        let mut lines: Vec<String> =
            self.leaves().into_iter().filter(|(k, _)| decides(k)).map(|(k, v)| format!("{k}={v}")).collect();
        lines.sort();
        lines.join("\n")
    }

    fn effective(&self) -> Vec<(String, String, Origin)> {
        let shown = |(key, value): (String, Value)| {
            let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Defaults);
            let text = if is_secret(&key) { "\"***\"".to_owned() } else { value.to_string() };
            (key, text, origin)
        };
        self.leaves().into_iter().map(shown).collect()
    }
}

/// Whether a key holds what nobody should read in a log.
pub(super) fn is_secret(key: &str) -> bool {
    key.starts_with(PROPERTIES) && holds_secret(key)
}

/// Whether what goes by such a name is for nobody's eyes.
pub(super) fn holds_secret(name: &str) -> bool {
    let marks = ["passw", "passphrase", "secret", "token", ".pem", "oauthbearer.config", "jaas"];
    marks.iter().any(|mark| name.contains(mark))
}

fn collect(prefix: &str, table: &Table, leaves: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        // A name with a dot of its own stays one segment; properties are told apart by their prefix.
        let key = if key.contains('.') && !prefix.starts_with(PROPERTIES) { format!("\"{key}\"") } else { key.clone() };
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            // Properties are one level deep whatever their names look like.
            Value::Table(inner) if prefix == PROPERTIES => {
                let mut dotted = Vec::new();
                collect(&path, inner, &mut dotted);
                leaves.extend(dotted);
            }
            Value::Table(inner) => collect(&path, inner, leaves),
            value => leaves.push((path, value.clone())),
        }
    }
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let path = segments(key);
    let (last, parents) = path.split_last()?;
    let mut table = table;
    for parent in parents {
        table = table.get(*parent)?.as_table()?;
    }
    table.get(*last)
}

/// Where a key stands in the file; its nearest parent if it is not there itself.
fn span_of(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let mut found = None;
    let mut table = table;
    for segment in segments(key) {
        let Some((name, value)) = table.iter().find(|(k, _)| k.get_ref().as_ref() == segment) else { break };
        found = Some(name.span().start..value.span().end.max(name.span().end));
        match value.get_ref() {
            DeValue::Table(inner) => {
                found = Some(name.span());
                table = inner;
            }
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::config::{DEFAULTS, load_text};

    #[test]
    fn a_property_is_one_key_with_and_without_quotes() {
        for set in ["kafka.properties.fetch.wait.max.ms=7", "kafka.properties.\"fetch.wait.max.ms\"=7"] {
            let loaded = load_text("defaults", DEFAULTS, &[], &[set.to_owned()]).unwrap();
            assert_eq!(loaded.config.kafka.properties["fetch.wait.max.ms"], "7", "{set}");
        }
    }
}
