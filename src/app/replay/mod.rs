//! The engine over files or over a range of the market topic: the same bytes on every run.

mod range;

use super::curves::Curves;
use super::output::Output;
use super::{AppError, load_history};
use crate::cluster::GroupView;
use crate::codec::{
    Batch, Decoder, Judged, encode_accounting, encode_alert, encode_compact_alert, encode_dead_letter, encode_measure,
    encode_modes, encode_summary, encode_tick,
};
use crate::config::{AlertFormat, Config};
use crate::domain::{Accounts, Entity, Observation, Outcome, SessionDate, Symbol, UnixNanos};
use crate::engine::{Disposition, Effects, Engine, Origin, Watermark};
use crate::sources::{FileSource, KafkaRange};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use tracing::debug;

/// Records between two looks at the watermark.
const ADVANCE_EVERY: u64 = 4_096;

/// What `replay` is asked.
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// Files, or `-`.
    pub inputs: Vec<PathBuf>,
    /// A range of the market topic, in place of files.
    pub range: Option<KafkaRange>,
    /// Where alerts go.
    pub alerts: Option<PathBuf>,
    /// Where measures go.
    pub measures: Option<PathBuf>,
    /// Where the volatilities beside the canonical one go.
    pub modes: Option<PathBuf>,
    /// Where the summary goes.
    pub summary: Option<PathBuf>,
    /// Where the accounting goes.
    pub accounting: Option<PathBuf>,
    /// Where learned curves go.
    pub curves: Option<PathBuf>,
    /// Where refused records go.
    pub dead_letters: Option<PathBuf>,
}

/// What a replay came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// Records in, by outcome.
    pub accounts: Accounts,
    /// Alerts written.
    pub alerts: usize,
}

impl Replayed {
    /// Records refused.
    pub fn refused(&self) -> u64 {
        Outcome::ALL.iter().zip(self.accounts.outcomes).filter(|(o, _)| o.is_dead_letter()).map(|(_, n)| n).sum()
    }

    /// Whether some record was refused.
    pub fn refused_any(&self) -> bool {
        self.refused() > 0
    }
}

/// What is held back until the end, because input may bring its symbols in any order.
#[derive(Default)]
struct Held {
    alerts: Vec<(UnixNanos, Entity, u64, Vec<u8>)>,
    /// Latest time written of each entity: its records keep their sequence whatever their times.
    newest: BTreeMap<Entity, UnixNanos>,
    measures: BTreeMap<(SessionDate, Symbol), Vec<u8>>,
    modes: BTreeMap<(SessionDate, Symbol), Vec<u8>>,
}

/// What is kept of what was said, and of each close.
#[derive(Clone, Copy)]
struct Wanted {
    alerts: bool,
    measures: bool,
    modes: bool,
}

impl Held {
    fn take(&mut self, engine: &Engine, effects: &mut Effects, format: AlertFormat, wanted: Wanted) {
        for alert in effects.alerts.drain(..).filter(|_| wanted.alerts) {
            let mut bytes = Vec::with_capacity(2_048);
            match format {
                AlertFormat::Full => encode_alert(&alert, &mut bytes),
                AlertFormat::Compact => encode_compact_alert(&alert, &mut bytes),
            }
            let newest = self.newest.entry(alert.entity.clone()).or_insert(alert.event_time);
            *newest = (*newest).max(alert.event_time);
            self.alerts.push((*newest, alert.entity, alert.sequence, bytes));
        }
        for (symbol, measure) in effects.measures.drain(..) {
            if let Some(modes) = wanted.modes.then(|| engine.modes(&symbol, measure.session)).flatten() {
                let mut bytes = Vec::with_capacity(512);
                let realized = engine.realized(&symbol, measure.session);
                encode_modes(&symbol, measure.session, &modes, realized, &mut bytes);
                self.modes.insert((measure.session, symbol.clone()), bytes);
            }
            if wanted.measures {
                let mut bytes = Vec::with_capacity(160);
                encode_measure(&symbol, &measure, &mut bytes);
                self.measures.insert((measure.session, symbol), bytes);
            }
        }
    }

    /// The alerts taken, in the order in which they are written.
    fn in_order(&mut self) -> Vec<Vec<u8>> {
        let mut alerts = std::mem::take(&mut self.alerts);
        alerts.sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)));
        alerts.into_iter().map(|(.., bytes)| bytes).collect()
    }
}

/// A record as it stands in an input.
struct Record<'a> {
    /// Its file, or topic.
    name: &'a str,
    origin: Origin,
    key: Option<&'a [u8]>,
    raw: &'a [u8],
}

/// A replay under way.
struct Run {
    engine: Engine,
    format: AlertFormat,
    wanted: Wanted,
    dead_letters: Option<Output>,
    effects: Effects,
    held: Held,
    accounts: Accounts,
    /// The inputs by partition; for a range the one topic.
    names: Vec<String>,
    decoder: Decoder,
    curves: Option<Curves>,
}

impl Run {
    /// Before the first record; `names` are the inputs by partition.
    fn new(config: &Config, names: Vec<String>) -> Self {
        Self {
            engine: Engine::new(config.params.clone()),
            format: config.alert_format,
            wanted: Wanted { alerts: true, measures: false, modes: false },
            dead_letters: None,
            effects: Effects::default(),
            held: Held::default(),
            accounts: Accounts::default(),
            decoder: config.decoder.clone(),
            curves: None,
            names,
        }
    }

    fn take(&mut self, record: &Record<'_>, batch: Batch<'_>) -> Result<(), AppError> {
        let Self { engine, effects, curves, .. } = self;
        let mut waited = 0;
        let Judged { outcome, reason, detail } = batch.judge(|observation, is_part| {
            let answer = engine.step(UnixNanos(0), &record.origin, observation, is_part, effects);
            if let Some(curves) = curves {
                for print in effects.resolved[waited..].iter().filter(|r| r.disposition == Disposition::APPLIED) {
                    curves.take(&Observation::Tick(print.tick.clone()));
                }
                waited = effects.resolved.len();
                if answer == Some(Disposition::APPLIED) {
                    curves.take(observation);
                }
            }
            answer
        });
        self.accounts.take(outcome);
        if outcome.is_some_and(Outcome::is_dead_letter) {
            self.dead_letter(record, reason, &detail)?;
        }
        self.hold()
    }

    fn dead_letter(&mut self, record: &Record<'_>, reason: &'static str, detail: &str) -> Result<(), AppError> {
        let Record { name, origin, key, raw } = record;
        debug!(input = name, partition = origin.partition, offset = origin.offset, reason, "record refused");
        let Some(out) = &mut self.dead_letters else { return Ok(()) };
        let mut bytes = Vec::new();
        encode_dead_letter(reason, detail, name, origin, *key, raw, &mut bytes);
        out.line(&bytes)
    }

    /// Whether it is time to look at the watermark.
    fn is_advance_due(&self) -> bool {
        self.accounts.records_in().is_multiple_of(ADVANCE_EVERY)
    }

    fn advance(&mut self, by: Watermark, partitions: &[i32]) -> Result<(), AppError> {
        self.engine.advance(by, partitions, &mut self.effects);
        self.hold()
    }

    /// Keeps what was said, and accounts for records that had waited.
    fn hold(&mut self) -> Result<(), AppError> {
        for resolved in std::mem::take(&mut self.effects.resolved) {
            let (outcome, origin) = (resolved.disposition.outcome, resolved.origin);
            // A record of several events has had its outcome.
            if !resolved.is_part {
                self.accounts.resolve(outcome);
            }
            if outcome.is_dead_letter() {
                let mut raw = Vec::new();
                encode_tick(&resolved.tick, &mut raw);
                let at = usize::try_from(origin.partition).unwrap_or(0).min(self.names.len().saturating_sub(1));
                let name = self.names.get(at).cloned().unwrap_or_default();
                let record = Record { name: &name, origin, key: None, raw: &raw };
                self.dead_letter(&record, resolved.disposition.reason, "")?;
            }
        }
        if !self.effects.alerts.is_empty() || !self.effects.measures.is_empty() {
            self.held.take(&self.engine, &mut self.effects, self.format, self.wanted);
        }
        Ok(())
    }

    fn read_files(&mut self, inputs: &[PathBuf]) -> Result<(), AppError> {
        for (partition, path) in (0_i32..).zip(inputs) {
            let mut source = FileSource::open_with(path, &self.decoder)?;
            let progress = source.len().and_then(|len| progress(len, "{bytes}/{total_bytes}"));
            let name = path.display().to_string();
            loop {
                let at = source.bytes_read();
                let Some(line) = source.next_line()? else { break };
                let origin = Origin { partition, offset: line.number, timestamp: None };
                let batch = Batch { first: line.decoded, rest: line.rest };
                self.take(&Record { name: &name, origin, key: None, raw: line.raw }, batch)?;
                if self.is_advance_due() {
                    self.advance(Watermark::Members, &[])?;
                    if let Some(bar) = &progress {
                        bar.set_position(at);
                    }
                }
            }
            if let Some(bar) = progress {
                bar.finish_and_clear();
            }
        }
        Ok(())
    }

    fn read_text(&mut self, text: &str) -> Result<(), AppError> {
        let decoder = self.decoder.clone();
        for (offset, line) in (0_i64..).zip(text.lines()) {
            let origin = Origin { partition: 0, offset, timestamp: None };
            let record = Record { name: "", origin, key: None, raw: line.as_bytes() };
            self.take(&record, decoder.decode(line.as_bytes()))?;
            if self.is_advance_due() {
                self.advance(Watermark::Members, &[])?;
            }
        }
        Ok(())
    }
}

/// The alerts of records at hand, one a line, in the order and form in which [`replay`] writes them. No history
/// is loaded.
pub(super) fn replay_text(config: &Config, text: &str) -> Result<Vec<Vec<u8>>, AppError> {
    let mut run = Run::new(config, Vec::new());
    run.engine.history_loaded();
    run.read_text(text)?;
    run.advance(Watermark::End, &[])?;
    Ok(run.held.in_order())
}

/// The alerts of inputs, one a line, in the order and form in which [`replay`] writes them.
pub(super) fn replay_alerts(config: &Config, inputs: &[PathBuf]) -> Result<Vec<Vec<u8>>, AppError> {
    let wanted = Wanted { alerts: true, measures: false, modes: false };
    Ok(replay_files(config, inputs, wanted)?.held.in_order())
}

fn replay_files(config: &Config, inputs: &[PathBuf], wanted: Wanted) -> Result<Run, AppError> {
    let names = inputs.iter().map(|path| path.display().to_string()).collect();
    let mut run = Run { wanted, ..Run::new(config, names) };
    load_history(&mut run.engine, &config.history_files)?;
    run.engine.history_loaded();
    run.read_files(inputs)?;
    run.advance(Watermark::End, &[])?;
    Ok(run)
}

/// Groups as inputs leave them.
pub(super) struct Settled {
    /// Every group at the close of each session, by session.
    pub(super) closes: BTreeMap<SessionDate, Vec<GroupView>>,
    /// What became of the records.
    pub(super) replayed: Replayed,
}

/// The groups at the close of each session of inputs, those of `history.files` included; what is said on the way is
/// not kept.
pub(super) fn replay_closes(config: &Config, inputs: &[PathBuf]) -> Result<Settled, AppError> {
    let run = replay_files(config, inputs, Wanted { alerts: false, measures: false, modes: false })?;
    Ok(Settled { closes: run.engine.group_closes(), replayed: Replayed { accounts: run.accounts, alerts: 0 } })
}

/// Replays inputs in the order given and writes what was asked for.
///
/// # Errors
/// When an input cannot be read or an output cannot be written.
pub fn replay(config: &Config, options: &ReplayOptions) -> Result<Replayed, AppError> {
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let curves = options.curves.as_deref().map(|path| Curves::open(path, config)).transpose()?;
    let alerts_out = open(&options.alerts)?;
    let measures_out = open(&options.measures)?;
    let modes_out = open(&options.modes)?;
    let summary_out = open(&options.summary)?;
    let accounting_out = open(&options.accounting)?;
    let names = match &options.range {
        Some(_) => vec![config.kafka.topics.market.clone()],
        None => options.inputs.iter().map(|path| path.display().to_string()).collect(),
    };
    let mut run = Run {
        wanted: Wanted { alerts: true, measures: measures_out.is_some(), modes: modes_out.is_some() },
        dead_letters: open(&options.dead_letters)?,
        curves,
        ..Run::new(config, names)
    };
    load_history(&mut run.engine, &config.history_files)?;
    if let Some(range) = &options.range {
        run.read_range(&config.kafka, range)?;
    } else {
        run.engine.history_loaded();
        run.read_files(&options.inputs)?;
    }
    run.advance(Watermark::End, &[])?;
    let Run { engine, mut held, accounts, dead_letters, curves, .. } = run;
    if let Some(curves) = curves {
        curves.write(&engine)?;
    }
    let alerts = held.in_order();
    let replayed = Replayed { accounts, alerts: alerts.len() };
    if let Some(mut out) = alerts_out {
        for bytes in &alerts {
            out.line(bytes)?;
        }
        out.finish()?;
    }
    if let Some(mut out) = measures_out {
        for bytes in held.measures.values() {
            out.line(bytes)?;
        }
        out.finish()?;
    }
    if let Some(mut out) = modes_out {
        for bytes in held.modes.values() {
            out.line(bytes)?;
        }
        out.finish()?;
    }
    if let Some(out) = summary_out {
        write_summary(&engine, out)?;
    }
    if let Some(mut out) = accounting_out {
        let mut bytes = Vec::new();
        encode_accounting(&accounts, &mut bytes);
        out.line(&bytes)?;
        out.finish()?;
    }
    if let Some(out) = dead_letters {
        out.finish()?;
    }
    Ok(replayed)
}

fn write_summary(engine: &Engine, mut out: Output) -> Result<(), AppError> {
    let groups = engine.group_closes();
    let sessions: BTreeSet<SessionDate> = groups.keys().chain(engine.breadth().keys()).copied().collect();
    for session in sessions {
        let mut bytes = Vec::new();
        let at_close = groups.get(&session).map_or(&[][..], Vec::as_slice);
        let survival = engine.survival().get(&session).copied().unwrap_or_default();
        encode_summary(session, engine.breadth().get(&session), &survival, at_close, &mut bytes);
        out.line(&bytes)?;
    }
    out.finish()
}

/// A progress bar, on a terminal.
fn progress(len: u64, counts: &str) -> Option<indicatif::ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = indicatif::ProgressBar::new(len);
    let style = indicatif::ProgressStyle::with_template(&format!("{{bar:40}} {counts} {{elapsed}} {{eta}}"));
    Some(style.map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s)))
}
