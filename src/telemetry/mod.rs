//! Every metric once, with its name and help; the log; what this build is.

pub mod build;
mod family;
mod hdr;
mod log;
mod metrics;
mod reference;
mod register;
mod symbols;

pub use family::{Family, Round};
pub use hdr::HdrSummary;
pub use log::init_log;
pub use metrics::Metrics;
pub use reference::metric_reference;
pub use register::MetricInfo;
pub use symbols::SymbolSeries;
