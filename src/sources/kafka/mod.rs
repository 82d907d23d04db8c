//! Kafka through librdkafka.

mod client;
mod consumer;
mod reference;

pub use client::{ClientHealth, client_config};
pub use consumer::KafkaSource;
pub use reference::ReferenceReader;
