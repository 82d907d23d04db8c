//! Every metric once, with its name and help; the log.

mod hdr;
mod log;
mod metrics;

pub use hdr::HdrSummary;
pub use log::init_log;
pub use metrics::Metrics;
