//! `diff`: which alerts two rule sets give over the same input.
//!
//! An alert of one is that of the other when it is of the same entity, session, direction and ordinal of its
//! episode among those, and the same of its kind within the episode. Numbers of episodes count both directions
//! and what was retracted, so they may differ where the alerts do not; the ordinal does not.

use super::AppError;
use super::replay::replay_alerts;
use crate::codec::{AlertRecord, EntityRecord, SaidRecord, Tier, decode_alert};
use crate::config::{AlertFormat, Config};
use crate::domain::{Direction, SessionDate};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What two rule sets have in common and what they have not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    /// Alerts of the first.
    pub a: usize,
    /// Alerts of the second.
    pub b: usize,
    /// Alerts of both, alike.
    pub same: usize,
    /// Of the second alone.
    pub added: usize,
    /// Of the first alone.
    pub removed: usize,
    /// Of both, the second's at an earlier time.
    pub earlier: usize,
    /// At a later one.
    pub later: usize,
    /// At the same time, with another tier or other numbers.
    pub changed: usize,
}

/// Entity, session, whether down, ordinal of the episode, kind, ordinal of that kind in the episode.
type Key = (EntityRecord, Option<SessionDate>, bool, usize, &'static str, usize);

/// What is shown of an alert.
#[derive(Serialize)]
struct Side<'a> {
    alert_id: &'a str,
    revision: u32,
    state: &'a str,
    event_time: i64,
    tier: Tier,
    z: Option<f64>,
    price: Option<f64>,
    sigma_daily: Option<f64>,
}

#[derive(Serialize)]
struct Line<'a> {
    change: &'a str,
    entity: &'a EntityRecord,
    session: Option<String>,
    direction: &'a str,
    ordinal: usize,
    kind: &'a str,
    /// How much earlier or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_ns: Option<u64>,
    /// Fields that are others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<&'a str>,
    a: Option<Side<'a>>,
    b: Option<Side<'a>>,
}

/// Replays the inputs under both configurations and writes a line for each alert that is not the same.
///
/// # Errors
/// When an input cannot be read, or is standard input, which can be read once only; when `out` cannot be written.
pub fn diff(
    [a, b]: [&Config; 2],
    inputs: &[PathBuf],
    out: &mut impl Write,
    log: &mut impl Write,
) -> Result<Compared, AppError> {
    if inputs.iter().any(|p| p == Path::new("-")) {
        return Err(AppError::Usage("--input -: the input is read twice; name a file".into()));
    }
    let unwritten = |e: io::Error| AppError::Output("-".into(), e);
    let (a, b) = (said(a, inputs)?, said(b, inputs)?);
    let mut counts = Compared { a: a.len(), b: b.len(), ..Compared::default() };
    let mut lines: Vec<(i64, &Key, String)> = Vec::new();
    let only_b = b.keys().filter(|k| !a.contains_key(*k));
    for key in a.keys().chain(only_b) {
        let (old, new) = (a.get(key), b.get(key));
        let Some(line) = compare(key, old, new, &mut counts) else { continue };
        let at = old.into_iter().chain(new).map(|r| r.event_time).min().unwrap_or_default();
        lines.push((at, key, serde_json::to_string(&line).unwrap_or_default()));
    }
    lines.sort();
    for (.., line) in &lines {
        writeln!(out, "{line}").map_err(unwritten)?;
    }
    let Compared { a, b, same, added, removed, earlier, later, changed } = counts;
    writeln!(
        log,
        "A {a} alerts, B {b}: {same} the same, {added} added, {removed} removed, {earlier} earlier, {later} later, {changed} changed"
    )
    .map_err(unwritten)?;
    Ok(counts)
}

/// The alerts of a configuration by what they are matched by.
fn said(config: &Config, inputs: &[PathBuf]) -> Result<BTreeMap<Key, AlertRecord>, AppError> {
    let config = Config { alert_format: AlertFormat::Full, ..config.clone() };
    let mut records = Vec::new();
    for bytes in replay_alerts(&config, inputs)? {
        match decode_alert(&bytes) {
            Ok(SaidRecord::Full(record)) => records.push(*record),
            other => return Err(AppError::Failed(format!("an alert of this build is not read: {other:?}"))),
        }
    }
    let place = |r: &AlertRecord| (r.entity.clone(), r.session, r.direction == Direction::Down);
    let mut episodes: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for record in &records {
        let numbers = episodes.entry(place(record)).or_default();
        if let Err(at) = numbers.binary_search(&record.episode) {
            numbers.insert(at, record.episode);
        }
    }
    let mut of_kind: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut keyed = BTreeMap::new();
    for record in records {
        let (entity, session, is_down) = place(&record);
        let numbers = &episodes[&(entity.clone(), session, is_down)];
        let ordinal = numbers.binary_search(&record.episode).map_or(0, |at| at + 1);
        let kind = record.kind.name();
        let count = of_kind.entry((record.alert_id.clone(), kind)).or_default();
        *count += 1;
        keyed.insert((entity, session, is_down, ordinal, kind, *count), record);
    }
    Ok(keyed)
}

/// The line on a pair, unless both are the same; counts it.
fn compare<'a>(
    (entity, session, is_down, ordinal, kind, _): &'a Key,
    old: Option<&'a AlertRecord>,
    new: Option<&'a AlertRecord>,
    counts: &mut Compared,
) -> Option<Line<'a>> {
    let fields = old.zip(new).map(|(a, b)| changed(a, b)).unwrap_or_default();
    let (change, count) = match (old, new) {
        (None, _) => ("added", &mut counts.added),
        (_, None) => ("removed", &mut counts.removed),
        (Some(a), Some(b)) => match b.event_time.cmp(&a.event_time) {
            Ordering::Less => ("earlier", &mut counts.earlier),
            Ordering::Greater => ("later", &mut counts.later),
            Ordering::Equal if fields.is_empty() => {
                counts.same += 1;
                return None;
            }
            Ordering::Equal => ("changed", &mut counts.changed),
        },
    };
    *count += 1;
    let by = old.zip(new).map(|(a, b)| a.event_time.abs_diff(b.event_time)).filter(|by| *by > 0);
    let direction = if *is_down { Direction::Down } else { Direction::Up };
    Some(Line {
        change,
        entity,
        session: session.map(|s| s.to_string()),
        direction: direction.name(),
        ordinal: *ordinal,
        kind,
        by_ns: by,
        fields,
        a: old.map(side),
        b: new.map(side),
    })
}

fn side(record: &AlertRecord) -> Side<'_> {
    Side {
        alert_id: &record.alert_id,
        revision: record.revision,
        state: record.state.name(),
        event_time: record.event_time,
        tier: Tier(record.tier),
        z: record.z,
        price: record.price,
        sigma_daily: record.sigma_daily,
    }
}

/// Fields that make an alert another one.
fn changed(a: &AlertRecord, b: &AlertRecord) -> Vec<&'static str> {
    let reference = |r: &AlertRecord| r.reference.as_ref().map(|r| r.price);
    let level = |r: &AlertRecord| r.cluster.as_ref().map(|c| c.level.clone());
    [
        ("state", a.state != b.state),
        ("tier", a.tier.total_cmp(&b.tier).is_ne()),
        ("peak_tier", a.peak_tier.total_cmp(&b.peak_tier).is_ne()),
        ("severity", a.severity != b.severity),
        ("z", a.z != b.z),
        ("z_adjusted", a.z_adjusted != b.z_adjusted),
        ("sigma_daily", a.sigma_daily != b.sigma_daily),
        ("price", a.price != b.price),
        ("reference", reference(a) != reference(b)),
        ("level", level(a) != level(b)),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}
