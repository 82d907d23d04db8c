//! Kafka through librdkafka.

mod client;
mod committer;
mod consumer;
mod diagnosis;
mod oauth;
mod range;
mod reference;
mod reports;

pub(crate) use client::ask;
pub use client::{ClientHealth, client_config, refusal};
pub use consumer::KafkaSource;
pub(crate) use consumer::offsets_with_note;
pub(crate) use diagnosis::Diagnosis;
pub use range::{KafkaRange, RangeError, RangePoint, RangePointError, RangeReader, RangeRecord};
pub use reference::ReferenceReader;
pub(crate) use reports::Reports;
