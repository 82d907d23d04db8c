//! `scenarios`: known situations of a market day, and whether a configuration says of them what is expected.

mod reduced;

use super::AppError;
use super::output::Output;
use super::replay::replay_text;
use crate::codec::Decoder;
use crate::config::{AlertFormat, Config};
use crate::sources::InputError;
use reduced::Reduced;
use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What `scenarios` is asked.
#[derive(Clone, Debug, Default)]
pub struct ScenarioOptions {
    /// A directory of scenarios; `None`: those built in.
    pub suite: Option<PathBuf>,
    /// Where what was said is written, as expectations.
    pub write: Option<PathBuf>,
    /// Scenarios by name; empty: all.
    pub names: Vec<String>,
}

/// Files of a scenario.
const INPUT: &str = "input.ndjson";
const SETTINGS: &str = "config.toml";
const EXPECTED: &str = "alerts.ndjson";

struct Scenario {
    name: Cow<'static, str>,
    input: Cow<'static, str>,
    settings: Cow<'static, str>,
    expected: Cow<'static, str>,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Those of the source tree.
        const BUILT_IN: &[Scenario] = &[$(Scenario {
            name: Cow::Borrowed($name),
            input: Cow::Borrowed(include_str!(concat!("../../../tests/scenarios/", $name, "/input.ndjson"))),
            settings: Cow::Borrowed(include_str!(concat!("../../../tests/scenarios/", $name, "/config.toml"))),
            expected: Cow::Borrowed(include_str!(concat!("../../../tests/scenarios/", $name, "/alerts.ndjson"))),
        }),*];
    };
}

// By name; `tests/suite.rs` holds the list against the directory.
built_in!(
    "cancel_of_the_trigger",
    "clock_change_eu",
    "clock_change_us",
    "correction",
    "day_of_mourning",
    "duplicate_line",
    "duplicate_trade_id",
    "ex_dividend_price_return",
    "ex_dividend_total_return",
    "fade_and_return",
    "feed_gap",
    "half_day",
    "halt_and_reopening",
    "held_out_of_order",
    "index_change",
    "ipo",
    "late_close",
    "late_close_after_a_stale_print",
    "late_split",
    "late_split_in_mid_session",
    "limit_state",
    "open_auction",
    "out_of_order",
    "premarket",
    "real_gap",
    "rename",
    "split_morning",
    "wild_print",
    "wild_print_at_the_close",
    "wild_print_before_a_halt",
);

/// Runs scenarios and writes a line for each: `ok`, or `differs` with what is missing, extra or changed. Gives
/// whether all said what was expected.
///
/// `rules` makes the configuration of a scenario from the name and the text of its settings. The form of input
/// and alerts is the suite's, and `history.files` is not loaded: a scenario brings its own past.
///
/// # Errors
/// When a scenario or its settings cannot be read, or what was said cannot be written.
pub fn scenarios(
    rules: impl Fn(&str, &str) -> Result<Config, AppError>,
    options: &ScenarioOptions,
    out: &mut impl Write,
) -> Result<bool, AppError> {
    let found;
    let all = match &options.suite {
        None => BUILT_IN,
        Some(dir) => {
            found = read_suite(dir)?;
            &found
        }
    };
    let known: Vec<&str> = all.iter().map(|s| &*s.name).collect();
    if let Some(name) = options.names.iter().find(|n| !known.contains(&n.as_str())) {
        return Err(AppError::Usage(format!("no scenario {name:?}; there are {}", known.join(", "))));
    }
    let asked = |s: &&Scenario| options.names.is_empty() || options.names.iter().any(|n| *n == s.name);
    let (mut run, mut differing) = (0, 0);
    let unwritten = |e: io::Error| AppError::Output("-".into(), e);
    for scenario in all.iter().filter(asked) {
        let name = &scenario.name;
        let config = rules(&format!("{name}/{SETTINGS}"), &scenario.settings)?;
        let config = Config { decoder: Decoder::Native, alert_format: AlertFormat::Full, ..config };
        let said = replay_text(&config, &scenario.input)?;
        let said: Vec<Reduced> = said.iter().map(|bytes| Reduced::of_alert(bytes)).collect();
        if let Some(dir) = &options.write {
            write_said(&dir.join(&**name), &said)?;
        }
        let expected = scenario.expected.lines().enumerate().map(|(at, line)| {
            Reduced::read(line).map_err(|e| AppError::Usage(format!("{name}/{EXPECTED}, line {}: {e}", at + 1)))
        });
        let differences = reduced::differences(&expected.collect::<Result<Vec<_>, _>>()?, &said);
        run += 1;
        differing += usize::from(!differences.is_empty());
        let verdict = if differences.is_empty() { "ok" } else { "differs" };
        writeln!(out, "{verdict:8}{name}").map_err(unwritten)?;
        for difference in differences {
            writeln!(out, "        {difference}").map_err(unwritten)?;
        }
    }
    writeln!(out, "{} of {run} scenarios as expected", run - differing).map_err(unwritten)?;
    Ok(differing == 0)
}

/// Every directory below `dir` that holds an input, by name. Settings may be left out.
fn read_suite(dir: &Path) -> Result<Vec<Scenario>, AppError> {
    let unreadable = |path: &Path, e: io::Error| AppError::Input(InputError::Io(path.to_owned(), e));
    let text = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) => Err(unreadable(&path, error)),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| unreadable(dir, e))? {
        let path = entry.map_err(|e| unreadable(dir, e))?.path();
        if !path.join(INPUT).is_file() {
            continue;
        }
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let has_settings = path.join(SETTINGS).is_file();
        found.push(Scenario {
            name: name.into(),
            input: text(path.join(INPUT))?,
            settings: if has_settings { text(path.join(SETTINGS))? } else { "".into() },
            expected: text(path.join(EXPECTED))?,
        });
    }
    if found.is_empty() {
        return Err(AppError::Usage(format!(
            "no scenario in {}: none of its directories holds {INPUT}",
            dir.display()
        )));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn write_said(dir: &Path, said: &[Reduced]) -> Result<(), AppError> {
    fs::create_dir_all(dir).map_err(|e| AppError::Output(dir.to_owned(), e))?;
    let mut out = Output::open(&dir.join(EXPECTED))?;
    for alert in said {
        out.line(alert.to_string().as_bytes())?;
    }
    out.finish()
}
