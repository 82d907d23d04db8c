//! The engine over files: no broker, no clock, the same bytes on every run.

use super::curves::Curves;
use super::output::Output;
use super::{AppError, load_history};
use crate::codec::{
    encode_accounting, encode_alert, encode_compact_alert, encode_dead_letter, encode_measure, encode_summary,
};
use crate::config::{AlertFormat, Config};
use crate::domain::{Entity, Outcome, SessionDate, Symbol, UnixNanos};
use crate::engine::{Effects, Engine, Origin, Watermark};
use crate::sources::FileSource;
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
    /// Where alerts go.
    pub alerts: Option<PathBuf>,
    /// Where measures go.
    pub measures: Option<PathBuf>,
    /// Where the summary goes.
    pub summary: Option<PathBuf>,
    /// Where the accounting goes.
    pub accounting: Option<PathBuf>,
    /// Where refused records go.
    pub dead_letters: Option<PathBuf>,
    /// Where learned curves go.
    pub curves: Option<PathBuf>,
}

/// What a replay came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// Records by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Alerts written.
    pub alerts: usize,
}

impl Replayed {
    /// Whether some record was refused.
    pub fn refused_any(&self) -> bool {
        Outcome::ALL.iter().zip(self.outcomes).any(|(o, n)| o.is_dead_letter() && n > 0)
    }
}

/// What is held back until the end, because input may bring its symbols in any order.
#[derive(Default)]
struct Held {
    alerts: Vec<(UnixNanos, Entity, u64, Vec<u8>)>,
    /// Latest time written of each entity: its records keep their sequence whatever their times.
    newest: BTreeMap<Entity, UnixNanos>,
    measures: BTreeMap<(SessionDate, Symbol), Vec<u8>>,
}

impl Held {
    fn take(&mut self, effects: &mut Effects, format: AlertFormat, wants_measures: bool) {
        for alert in effects.alerts.drain(..) {
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
            if wants_measures {
                let mut bytes = Vec::with_capacity(160);
                encode_measure(&symbol, &measure, &mut bytes);
                self.measures.insert((measure.session, symbol), bytes);
            }
        }
    }
}

/// Replays inputs in the order given and writes what was asked for.
///
/// # Errors
/// When an input cannot be read or an output cannot be written.
pub fn replay(config: &Config, options: &ReplayOptions) -> Result<Replayed, AppError> {
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let alerts_out = open(&options.alerts)?;
    let measures_out = open(&options.measures)?;
    let summary_out = open(&options.summary)?;
    let accounting_out = open(&options.accounting)?;
    let mut dead_letters = open(&options.dead_letters)?;
    let mut curves = options.curves.as_deref().map(|path| Curves::open(path, config)).transpose()?;
    let mut engine = Engine::new(config.params.clone());
    load_history(&mut engine, &config.history_files)?;
    engine.history_loaded();
    let mut held = Held::default();
    let mut effects = Effects::default();
    let mut outcomes = [0_u64; Outcome::ALL.len()];
    let mut records = 0_u64;
    for (partition, path) in (0_i32..).zip(&options.inputs) {
        let mut source = FileSource::open(path)?;
        let progress = progress(&source);
        loop {
            let at = source.bytes_read();
            let Some(line) = source.next_line()? else { break };
            let origin = Origin { partition, offset: line.number, timestamp: None };
            let (outcome, reason, detail) = match &line.decoded {
                Ok(observation) => {
                    let disposition = engine.step(UnixNanos(0), &origin, observation, &mut effects);
                    if let Some(curves) = curves.as_mut().filter(|_| disposition.outcome == Outcome::Applied) {
                        curves.take(observation);
                    }
                    (disposition.outcome, disposition.reason, String::new())
                }
                Err(error) => (error.outcome, error.reason, error.detail.to_string()),
            };
            outcomes[outcome as usize] += 1;
            if outcome.is_dead_letter() {
                debug!(file = %path.display(), line = line.number, reason, "record refused");
                if let Some(out) = &mut dead_letters {
                    let mut bytes = Vec::new();
                    encode_dead_letter(
                        reason,
                        &detail,
                        &path.display().to_string(),
                        &origin,
                        None,
                        line.raw,
                        &mut bytes,
                    );
                    out.line(&bytes)?;
                }
            }
            records += 1;
            if records.is_multiple_of(ADVANCE_EVERY) {
                engine.advance(Watermark::Members, &[], &mut effects);
                if let Some(bar) = &progress {
                    bar.set_position(at);
                }
            }
            if !effects.alerts.is_empty() || !effects.measures.is_empty() {
                held.take(&mut effects, config.alert_format, measures_out.is_some());
            }
        }
        if let Some(bar) = progress {
            bar.finish_and_clear();
        }
    }
    engine.advance(Watermark::End, &[], &mut effects);
    held.take(&mut effects, config.alert_format, measures_out.is_some());
    held.alerts.sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)));
    let replayed = Replayed { outcomes, alerts: held.alerts.len() };
    if let Some(mut out) = alerts_out {
        for (.., bytes) in &held.alerts {
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
    if let Some(out) = summary_out {
        write_summary(&engine, out)?;
    }
    if let Some(curves) = curves {
        curves.write(&engine)?;
    }
    if let Some(mut out) = accounting_out {
        let mut bytes = Vec::new();
        encode_accounting(&outcomes, &mut bytes);
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

fn progress(source: &FileSource) -> Option<indicatif::ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = indicatif::ProgressBar::new(source.len()?);
    let style = indicatif::ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {elapsed} {eta}");
    Some(style.map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s)))
}
