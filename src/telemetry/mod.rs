//! Every metric once, with its name and help; the log.

mod log;

pub use log::init_log;
