//! Configuration: defaults, file, environment and flags, layered once, checked once, never changed after.
//!
//! The shipped `config/fragility.toml` is the defaults. Every problem is reported at once, by key, with
//! where the value came from.

mod calendar;
mod check;
mod eligibility;
mod groups;
mod histories;
mod http;
mod input;
mod layers;
mod layout;
mod metrics;
mod problem;
mod raw;
mod ruler;

pub use calendar::{CalendarFileError, read_overlay};
pub use check::{AlertFormat, Config, DeliveryMode, Kafka, LogFormat, Topics};
pub use eligibility::{EligibilityFileError, read_eligibility};
pub use http::Http;
pub use layers::{Loaded, Origin, load, load_over, load_text, load_without_histories, read};
pub use layout::{Layout, MARKET_HOURS, TopicRole};
pub use metrics::SymbolPolicy;
pub use problem::{ConfigErrors, Problem};

/// The defaults, complete and commented.
pub const DEFAULTS: &str = include_str!("../../config/fragility.toml");
