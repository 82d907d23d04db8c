//! What every Kafka client here shares: settings, log, and how its brokers are doing.

use super::oauth;
use crate::clock;
use crate::config::Kafka;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::{debug, error, info, warn};

/// Settings common to consumers and producers; `kafka.properties` has the last word.
pub fn client_config(kafka: &Kafka, role: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", format!("fragility-{role}"))
        // Back-off with jitter is librdkafka's own; bounded, so that a returning broker is found soon.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "5000")
        .set("socket.keepalive.enable", "true")
        // Lag and broker states once a second.
        .set("statistics.interval.ms", "1000")
        // No telemetry to the broker that nobody asked for.
        .set("enable.metrics.push", "false");
    for (key, value) in &kafka.properties {
        config.set(key, value);
    }
    if let Some(file) = &kafka.oauth_token_file {
        // Comes back to `generate_oauth_token` as it is.
        config.set("sasl.oauthbearer.config", file);
    }
    config
}

/// What the client library has against its settings, without their values: one may be a secret under a misspelt name.
pub fn refusal(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, why, key, _) => format!("{why} ({key})"),
        other => other.to_string(),
    }
}

/// For so long a command waits for a broker's first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks until a broker answers, for a command that ends when none does.
///
/// # Errors
/// What keeps it from answering.
pub(crate) fn ask<T>(
    consumer: &BaseConsumer<ClientHealth>,
    brokers: &str,
    mut question: impl FnMut(Duration) -> Result<T, KafkaError>,
) -> Result<T, String> {
    let until = clock::monotonic() + ANSWER_TIMEOUT;
    loop {
        match question(Duration::from_secs(1)) {
            Ok(answer) => return Ok(answer),
            Err(error) if clock::monotonic() >= until => {
                let why = consumer.context().trouble().unwrap_or_else(|| error.to_string());
                return Err(format!("no answer from kafka at {brokers} for {ANSWER_TIMEOUT:?}: {why}"));
            }
            // The client's own events are served meanwhile.
            Err(_) => drop(consumer.poll(Duration::from_millis(100))),
        }
    }
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    brokers: HashMap<String, BrokerStats>,
    #[serde(default)]
    topics: HashMap<String, TopicStats>,
}

#[derive(Deserialize)]
struct BrokerStats {
    state: String,
}

#[derive(Deserialize)]
struct TopicStats {
    #[serde(default)]
    partitions: HashMap<String, PartitionStats>,
}

#[derive(Deserialize)]
struct PartitionStats {
    partition: i32,
    hi_offset: i64,
}

#[derive(Default)]
struct Seen {
    is_up: bool,
    trouble: Option<String>,
    ends: HashMap<(String, i32), i64>,
}

/// How a client's brokers are doing, as librdkafka reports it.
#[derive(Default)]
pub struct ClientHealth {
    seen: Mutex<Seen>,
}

impl ClientHealth {
    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether some broker is connected.
    pub fn is_up(&self) -> bool {
        self.with(|s| s.is_up)
    }

    /// What is wrong, if something is.
    pub fn trouble(&self) -> Option<String> {
        self.with(|s| s.trouble.clone())
    }

    /// Remembers a trouble until a broker is seen up again.
    pub fn report(&self, trouble: String) {
        self.with(|s| s.trouble = Some(trouble));
    }

    /// Remembers a question that failed. That no broker answered says less than why, where that is known.
    pub fn report_failure(&self, question: &str, error: &KafkaError) {
        let is_summary = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
            )
        );
        self.with(|s| {
            if !is_summary || s.trouble.is_none() {
                s.trouble = Some(format!("{question}: {error}"));
            }
        });
    }

    /// A record or an answer came: there is a broker.
    pub fn heard(&self) {
        self.with(|s| {
            s.is_up = true;
            s.trouble = None;
        });
    }

    /// End of a partition, where known.
    pub fn end(&self, topic: &str, partition: i32) -> Option<i64> {
        self.with(|s| s.ends.get(&(topic.to_owned(), partition)).copied())
    }
}

impl ClientContext for ClientHealth {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let token = match file {
            Some(file) => oauth::read(file, clock::now()),
            None => Err("kafka.oauth_token_file is not set".to_owned()),
        };
        token.map_err(|trouble| {
            self.report(trouble.clone());
            trouble.into()
        })
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                error!(facility, "kafka client: {message}");
            }
            // Connection trouble repeats itself; readiness and one warning a state say it better.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => debug!(facility, "kafka client: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(facility, "kafka client: {message}"),
            RDKafkaLogLevel::Debug => debug!(facility, "kafka client: {message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(stats) = serde_json::from_slice::<Stats>(statistics) else { return };
        let is_up = stats.brokers.values().any(|b| b.state == "UP");
        self.with(|s| {
            if is_up && !s.is_up {
                s.trouble = None;
            }
            s.is_up = is_up;
            for (topic, t) in stats.topics {
                for p in t.partitions.into_values().filter(|p| p.hi_offset >= 0) {
                    s.ends.insert((topic.clone(), p.partition), p.hi_offset);
                }
            }
        });
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is told as if it were one.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        // How long it took and how often it came before is new each time, and nothing that one acts on.
        let text = reason.split(" (after ").next().unwrap_or(reason).trim().to_owned();
        let fresh = self.with(|s| {
            let fresh = s.is_up || s.trouble.is_none();
            s.is_up = false;
            // What brought the brokers down came before, and says more.
            let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
            if !is_summary || s.trouble.is_none() {
                s.trouble = Some(text.clone());
            }
            fresh
        });
        if fresh {
            warn!(%error, reason = text, "kafka client is in trouble; it keeps trying");
        }
    }
}
