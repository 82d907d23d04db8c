//! The commands: wiring of sources, engine, sinks and reports.

mod calendar;
mod check;
mod curves;
mod demo;
mod diff;
mod explain;
mod health;
mod histories;
mod history;
mod output;
mod replay;
mod run;
mod scenarios;
mod schema;
mod shipped;
mod supervisor;
mod topics;
mod verify;
mod version;

pub use calendar::calendar;
pub use check::check;
pub use demo::{DemoOptions, demo};
pub use diff::{Compared, diff};
pub use explain::{AlertName, ExplainOptions, explain};
pub use health::health;
pub use histories::{HistoryOptions, build_history};
pub use history::{load_history, take_reference};
pub use replay::{ReplayOptions, Replayed, replay};
pub use run::{Service, run, start};
pub use scenarios::{ScenarioOptions, scenarios};
pub use schema::schema;
pub use shipped::{DASHBOARDS, RULES, Shipped};
pub use topics::{apply_topics, plan_topics};
pub use verify::{Verification, verify_file};
pub use version::version;

use crate::config::ConfigErrors;
use crate::sources::InputError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a command did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppError {
    /// The configuration is wrong: exit code 2.
    Config(ConfigErrors),
    /// The command line asks for what cannot be: exit code 2.
    Usage(String),
    /// An input file is wrong: exit code 2.
    Input(InputError),
    /// An output cannot be written: exit code 1.
    Output(PathBuf, io::Error),
    /// It failed while running: exit code 1.
    Failed(String),
}

impl AppError {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Input(_) => 2,
            Self::Output(..) | Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => write!(f, "{errors}"),
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
            Self::Input(error) => write!(f, "{error}"),
            Self::Output(path, error) => write!(f, "output {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for AppError {}

impl From<ConfigErrors> for AppError {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

impl From<InputError> for AppError {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}
