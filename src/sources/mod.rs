//! Where records come from: files and pipes here, Kafka in its own module.

mod files;

pub use files::{FileSource, InputError, Line};
