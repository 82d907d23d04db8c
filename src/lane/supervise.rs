//! Starts a lane, and starts it over after an error: from the last snapshot, after a bounded, jittered wait.

use super::publish::{Query, Shared, fixed_gauges};
use super::{Lane, LaneError, LaneParts, Role};
use crate::app::load_history;
use crate::clock::{self, Clock};
use crate::config::{Config, DeliveryMode};
use crate::engine::Engine;
use crate::sinks::{KafkaSink, Sink, TransactionalSink};
use crate::sources::{KafkaSource, ReferenceLog, ReferenceReader};
use crate::stores::{FileStore, SnapshotStore, TopicStore};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tracing::error;

const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A lane that ran this long had no trouble starting.
const STEADY: Duration = Duration::from_mins(1);

/// What a lane is given.
pub struct LaneOptions {
    /// What its log holds.
    pub role: Role,
    /// Its number in the process, from 0.
    pub number: usize,
    /// Configuration.
    pub config: Arc<Config>,
    /// What it shares with the process.
    pub shared: Arc<Shared>,
    /// Questions from the API.
    pub queries: Receiver<Query>,
    /// Name of this instance.
    pub instance: String,
}

/// Runs a lane until it is asked to stop; errors start it over.
pub fn run_lane(options: &LaneOptions) {
    let LaneOptions { number, config, shared, .. } = options;
    fixed_gauges(&shared.metrics, &config.params);
    let mut backoff = BACKOFF_MIN;
    while !shared.is_stopping() {
        let started = clock::monotonic();
        // A broken invariant ends the attempt, not the service: it would go on looking ready without a lane.
        let lived = catch_unwind(AssertUnwindSafe(|| live_once(options)));
        match lived.unwrap_or(Err(LaneError::Panic)) {
            Ok(()) => return,
            Err(failure) => {
                error!(lane = number, %failure, "the lane starts over from its last snapshot");
                shared.set_ready(*number, Err(failure.to_string()));
                shared.metrics.lane_restarts.inc();
                if shared.is_stopping() {
                    shared.stopped_uncleanly();
                }
            }
        }
        if clock::monotonic() - started > STEADY {
            backoff = BACKOFF_MIN;
        }
        shared.beat(*number, "waiting to start over");
        wait(shared, jittered(backoff));
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn live_once(options: &LaneOptions) -> Result<(), LaneError> {
    let LaneOptions { role, number, config, shared, queries, instance } = options;
    let kafka = &config.kafka;
    let store = FileStore::open(&config.state_dir, *number).map_err(LaneError::Snapshot)?;
    let mut engine = Engine::new(config.params.clone());
    if let Some(params) = shared.reloaded() {
        engine.reload(params);
    }
    shared.beat(*number, "loading history");
    if let Err(failure) = load_history(&mut engine, &config.history_files) {
        // The files were there when the service started; without them the reference prices are not.
        return Err(LaneError::History(failure));
    }
    let reference = match kafka.topics.reference.as_deref() {
        Some(topic) => Some(Box::new(ReferenceReader::new(kafka, topic)?) as Box<dyn ReferenceLog>),
        None => None,
    };
    // Names this lane to the group and to the transaction coordinator, across restarts.
    let name = format!("{instance}-{number}");
    let (health, metrics) = (Arc::default(), shared.metrics.clone());
    let sink: Box<dyn Sink> = match config.delivery {
        DeliveryMode::AtLeastOnce => Box::new(KafkaSink::new(kafka, health, metrics)?),
        DeliveryMode::ExactlyOnce => Box::new(TransactionalSink::new(kafka, &name, health, metrics)?),
    };
    let source = KafkaSource::new(kafka, &name, shared.health.clone())?;
    let in_topic = || -> Result<Option<Arc<dyn SnapshotStore>>, LaneError> {
        let Some(topic) = kafka.topics.snapshots.as_deref() else { return Ok(None) };
        Ok(Some(Arc::new(TopicStore::new(kafka, topic).map_err(LaneError::Snapshot)?)))
    };
    let mut lane = Lane::new(LaneParts {
        role: *role,
        number: *number,
        instance: instance.clone(),
        config: config.clone(),
        shared: shared.clone(),
        clock: Clock::System,
        engine,
        source: Box::new(source),
        reference,
        sink,
        store: Arc::new(store),
        shared_store: in_topic()?,
        census_store: if *role == Role::Symbols { in_topic()? } else { None },
        writes_aside: true,
    })?;
    let ended = lane.run(queries);
    lane.close();
    ended
}

/// Half to all of a wait, so that instances that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let fraction = clock::now().0.rem_euclid(1_000_003) as f64 / 1_000_003.0;
    wait.mul_f64(0.5 + 0.5 * fraction)
}

fn wait(shared: &Shared, duration: Duration) {
    let until = clock::monotonic() + duration;
    while !shared.is_stopping() && clock::monotonic() < until {
        #[expect(clippy::disallowed_methods, reason = "a lane that failed has nothing to poll")]
        std::thread::sleep(Duration::from_millis(50));
    }
}
