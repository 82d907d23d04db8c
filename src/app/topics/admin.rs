//! The cluster: what it has is looked at, and what differs is done.

use super::compare::{Act, Found, Line};
use super::native;
use super::rights::{FoundRights, Right};
use super::wanted::{Setting, Wanted};
use crate::app::AppError;
use crate::config::Kafka;
use crate::sources::{ClientHealth, ask, client_config};
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The longest time for one request's answer.
const WAIT: Duration = Duration::from_secs(15);

pub(super) struct Admin {
    /// Asks for topics: a consumer's question creates none.
    looker: BaseConsumer<ClientHealth>,
    client: AdminClient<DefaultClientContext>,
    brokers: String,
}

fn failed(what: &str, why: impl fmt::Display) -> AppError {
    AppError::Failed(format!("{what}: {why}"))
}

impl Admin {
    /// Connects in the background.
    pub(super) fn open(kafka: &Kafka) -> Result<Self, AppError> {
        let mut config = client_config(kafka, "topics");
        for key in ["group.protocol", "group.instance.id"] {
            config.remove(key);
        }
        config.set_log_level(RDKafkaLogLevel::Warning);
        // What librdkafka does not know is known before anything is sent.
        let wrong = |error| AppError::Usage(format!("kafka.properties: {error}"));
        let client = config.create().map_err(wrong)?;
        // A group id is asked for by the client library; no group is joined.
        config
            .set("group.id", format!("{}-topics", kafka.group))
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "false");
        let looker = config.create_with_context(ClientHealth::default()).map_err(wrong)?;
        Ok(Self { looker, client, brokers: kafka.brokers.clone() })
    }

    /// A topic as it is; `None`: there is none.
    pub(super) async fn topic(&self, name: &str) -> Result<Option<Found>, AppError> {
        let metadata = ask(&self.looker, &self.brokers, |wait| self.looker.fetch_metadata(Some(name), wait));
        let metadata = metadata.map_err(AppError::Failed)?;
        let Some(topic) = metadata.topics().iter().find(|t| t.name() == name) else { return Ok(None) };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Ok(None),
            Some(code) => return Err(failed(&format!("topic {name}"), code)),
        }
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let replicas = || topic.partitions().iter().map(|p| count(p.replicas().len()));
        let replication = (replicas().min().unwrap_or(0), replicas().max().unwrap_or(0));
        let settings = self.settings(&ResourceSpecifier::Topic(name)).await;
        let settings = settings.map_err(|why| failed(&format!("settings of topic {name}"), why))?;
        // The wrapper passes a refusal over; a topic without any setting there is none.
        if settings.is_empty() {
            let why = "this client may not see them, for which it needs DescribeConfigs on the topic";
            return Err(failed(&format!("settings of topic {name}"), why));
        }
        Ok(Some(Found { partitions: count(topic.partitions().len()), replication, settings }))
    }

    async fn settings(&self, of: &ResourceSpecifier<'_>) -> Result<BTreeMap<String, String>, RDKafkaErrorCode> {
        let options = AdminOptions::new().request_timeout(Some(WAIT));
        let answer = self.client.describe_configs([of], &options).await;
        let code = |error: KafkaError| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let resource = answer.map_err(code)?.pop().ok_or(RDKafkaErrorCode::Fail)??;
        Ok(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    /// Whether rights are kept, and may be seen: an error where they are and may not.
    pub(super) async fn keeps_rights(&self) -> Result<bool, AppError> {
        let metadata = ask(&self.looker, &self.brokers, |wait| self.looker.fetch_metadata(None, wait));
        let metadata = metadata.map_err(AppError::Failed)?;
        if let Some(broker) = metadata.brokers().first() {
            // Where it may not be asked for there is somebody who refuses it.
            let settings = self.settings(&ResourceSpecifier::Broker(broker.id())).await.unwrap_or_default();
            if settings.get("authorizer.class.name").is_some_and(|class| class.trim().is_empty()) {
                return Ok(false);
            }
        }
        match native::may_describe_rights(self.client.inner(), WAIT) {
            Ok(true) => Ok(true),
            Ok(false) => Err(AppError::Failed(
                "rights: this client may not see them, for which it needs Describe on the cluster; without \
                 kafka.layout.principal, feeder_principal and reader_principal they are left alone"
                    .into(),
            )),
            Err(why) => Err(failed("rights", why)),
        }
    }

    pub(super) fn rights(&self, principal: &str) -> Result<FoundRights, AppError> {
        native::describe_rights(self.client.inner(), principal, WAIT)
            .map_err(|why| failed(&format!("rights of {principal}"), why))
    }

    /// Carries out lines that belong together, or with `is_trial` asks the brokers whether they would; what each came to.
    pub(super) async fn carry_out(&self, lines: &[Line], is_trial: bool) -> Vec<Result<(), String>> {
        let acts: Vec<&Act> = lines.iter().filter_map(Line::act).collect();
        let all = |result: Result<(), String>| vec![result; acts.len()];
        match acts.first() {
            None => Vec::new(),
            Some(Act::Create(wanted)) => all(self.create(wanted, is_trial).await),
            Some(Act::Raise { topic, partitions }) => all(self.raise(topic, *partitions, is_trial).await),
            Some(Act::Set { topic, .. }) => {
                let settings = acts.iter().filter_map(|act| match act {
                    Act::Set { name, value, .. } => Some((*name, value.as_str())),
                    _ => None,
                });
                let settings: Vec<_> = settings.collect();
                all(native::alter_settings(self.client.inner(), topic, &settings, is_trial, WAIT))
            }
            // Kafka has no trial of these; one that is there already stays as it is.
            Some(Act::Grant(_)) if is_trial => all(Ok(())),
            Some(Act::Grant(_)) => {
                let rights: Vec<&Right> = acts
                    .iter()
                    .filter_map(|act| if let Act::Grant(right) = act { Some(right) } else { None })
                    .collect();
                native::create_rights(self.client.inner(), &rights, WAIT).unwrap_or_else(|why| all(Err(why)))
            }
        }
    }

    fn options(is_trial: bool) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(WAIT)).operation_timeout(Some(WAIT)).validate_only(is_trial)
    }

    async fn create(&self, wanted: &Wanted, is_trial: bool) -> Result<(), String> {
        let replication = TopicReplication::Fixed(wanted.replication.unwrap_or(-1));
        let mut topic = NewTopic::new(&wanted.name, wanted.partitions, replication);
        for Setting { name, value, .. } in &wanted.settings {
            topic = topic.set(name, value);
        }
        one(self.client.create_topics([&topic], &Self::options(is_trial)).await)
    }

    async fn raise(&self, topic: &str, partitions: i32, is_trial: bool) -> Result<(), String> {
        let count = usize::try_from(partitions).unwrap_or_default();
        one(self.client.create_partitions([&NewPartitions::new(topic, count)], &Self::options(is_trial)).await)
    }
}

/// The result of a request about one topic.
fn one(answer: KafkaResult<Vec<TopicResult>>) -> Result<(), String> {
    match answer.map(|mut each| each.pop()) {
        Ok(Some(Ok(_))) => Ok(()),
        Ok(Some(Err((_, code)))) => Err(code.to_string()),
        Ok(None) => Err("no answer".into()),
        Err(error) => Err(error.to_string()),
    }
}
