//! `explain`: an alert's arithmetic for people, and the records that decided it as they stand in the log.

mod text;

use super::AppError;
use super::verify::each_line;
use crate::codec::{AlertRecord, SaidRecord, SourceRecord, decode_alert};
use crate::config::{Config, Kafka};
use crate::sources::{FileSource, KafkaRange, RangePoint, RangeReader};
use crate::verify::{Verified, verify};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use uuid::Uuid;

/// Which record is meant: an alert's id, and a revision, as `ce_id` has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlertName {
    id: Uuid,
    revision: Option<u32>,
}

impl FromStr for AlertName {
    type Err = String;

    /// Reads `ALERT_ID` or `ALERT_ID:REVISION`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (id, revision) = match text.split_once(':') {
            Some((id, revision)) => (id, Some(revision)),
            None => (text, None),
        };
        let id = id.parse().map_err(|e| format!("{id:?} is no alert_id: {e}"))?;
        let revision = revision.map(|r| r.parse().map_err(|e| format!("{r:?} is no revision: {e}"))).transpose()?;
        Ok(Self { id, revision })
    }
}

impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id.hyphenated())?;
        self.revision.map_or(Ok(()), |revision| write!(f, ":{revision}"))
    }
}

/// What `explain` is asked.
#[derive(Clone, Debug)]
pub struct ExplainOptions {
    /// Which alert; without a revision its newest record.
    pub name: AlertName,
    /// The part of the alerts topic to look in.
    pub range: KafkaRange,
    /// A file of alerts, in place of the topic.
    pub alert: Option<PathBuf>,
    /// The inputs of the replay that wrote the alert, in place of the market topic.
    pub inputs: Vec<PathBuf>,
}

/// What was found: the bytes, and what they say.
type Found = (Vec<u8>, Box<AlertRecord>);

/// Explains one alert: whether it holds, and every deciding record could be shown.
///
/// The arithmetic is written first, so that it is there even where the records are not.
///
/// # Errors
/// When there is no such alert, what holds it cannot be read, or `out` cannot be written.
pub fn explain(config: &Config, options: &ExplainOptions, out: &mut impl Write) -> Result<bool, AppError> {
    let name = &options.name;
    let found = match &options.alert {
        Some(path) => in_file(name, path)?,
        None => in_topic(name, &config.kafka, &options.range)?,
    };
    let Some((bytes, alert)) = found else {
        let place = match &options.alert {
            Some(path) => path.display().to_string(),
            None => format!("topic {}", config.kafka.topics.alerts),
        };
        return Err(AppError::Usage(format!("no alert {name} in {place}")));
    };
    let unwritten = |e: io::Error| AppError::Output("-".into(), e);
    text::write(&alert, out).map_err(unwritten)?;
    let mut all_shown = true;
    for source in &alert.source {
        let record = if options.inputs.is_empty() {
            in_market(source, &config.kafka)
        } else {
            in_inputs(source, &options.inputs)
        };
        let shown = match record {
            Ok(Some(record)) => String::from_utf8_lossy(&record).into_owned(),
            Ok(None) => {
                all_shown = false;
                "is not there any more".to_owned()
            }
            Err(error) => {
                all_shown = false;
                format!("cannot be read: {error}")
            }
        };
        let SourceRecord { topic, partition, offset } = source;
        writeln!(out, "record      {topic} {partition}:{offset}  {shown}").map_err(unwritten)?;
    }
    if alert.source.is_empty() {
        writeln!(out, "record      none of the market decided: a reference record, or the end of the session did")
            .map_err(unwritten)?;
    }
    let differences = match verify(&bytes) {
        Ok(Verified::Alert(_, differences)) => differences,
        other => return Err(AppError::Failed(format!("the alert is not verified: {other:?}"))),
    };
    if differences.is_empty() {
        writeln!(out, "verify      holds: every number follows from the others, and the digest is that of the bytes")
            .map_err(unwritten)?;
    }
    for d in &differences {
        let (field, found, recomputed) = (&d.field, &d.found, &d.recomputed);
        writeln!(out, "verify      DOES NOT HOLD: {field} is {found}, recomputed {recomputed}").map_err(unwritten)?;
    }
    Ok(all_shown && differences.is_empty())
}

/// The alert, where these bytes are it.
fn alert_of(name: &AlertName, id: &str, bytes: &[u8]) -> Option<Found> {
    // Most records are others: their text says so sooner than their fields.
    if !bytes.windows(id.len()).any(|w| w == id.as_bytes()) {
        return None;
    }
    let Ok(SaidRecord::Full(alert)) = decode_alert(bytes) else { return None };
    let is_meant = alert.alert_id == id && name.revision.is_none_or(|r| r == alert.revision);
    is_meant.then(|| (bytes.to_vec(), alert))
}

/// Keeps the newer of two records; of equals the first, since a repeat is the same.
fn keep(best: &mut Option<Found>, found: Option<Found>) {
    if let Some(found) = found
        && best.as_ref().is_none_or(|best| best.1.revision < found.1.revision)
    {
        *best = Some(found);
    }
}

fn in_file(name: &AlertName, path: &Path) -> Result<Option<Found>, AppError> {
    let id = name.id.hyphenated().to_string();
    let mut best = None;
    each_line(path, |_, line| {
        keep(&mut best, alert_of(name, &id, line));
        Ok(())
    })?;
    Ok(best)
}

fn in_topic(name: &AlertName, kafka: &Kafka, range: &KafkaRange) -> Result<Option<Found>, AppError> {
    let id = name.id.hyphenated().to_string();
    let mut reader = RangeReader::open_topic(kafka, &kafka.topics.alerts, range)?;
    reader.start()?;
    let mut best = None;
    while let Some(record) = reader.next_record()? {
        keep(&mut best, alert_of(name, &id, &record.value));
    }
    Ok(best)
}

/// One record of the market topic.
fn in_market(source: &SourceRecord, kafka: &Kafka) -> Result<Option<Vec<u8>>, AppError> {
    let point = |offset: i64| RangePoint::Offsets(BTreeMap::from([(source.partition, offset)]));
    let range = KafkaRange::new(Some(point(source.offset)), Some(point(source.offset.saturating_add(1))));
    let range = range.map_err(|e| AppError::Usage(e.to_string()))?;
    let mut reader = RangeReader::open_topic(kafka, &source.topic, &range)?;
    reader.start()?;
    let record = reader.next_record()?;
    Ok(record.filter(|r| r.offset == source.offset).map(|r| r.value))
}

/// One line of a replay's inputs.
fn in_inputs(source: &SourceRecord, inputs: &[PathBuf]) -> Result<Option<Vec<u8>>, AppError> {
    let Some(path) = usize::try_from(source.partition).ok().and_then(|at| inputs.get(at)) else { return Ok(None) };
    let mut input = FileSource::open(path)?;
    while let Some(line) = input.next_line()? {
        if line.number == source.offset {
            return Ok(Some(line.raw.to_vec()));
        }
    }
    Ok(None)
}
