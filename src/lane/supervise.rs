//! Starts the lane, and starts it over after an error: from the last snapshot, after a bounded, jittered wait.

use super::deliver::Deliverer;
use super::publish::{Query, Shared, fixed_gauges};
use super::snapshots::Snapshots;
use super::{Commits, Lane, LaneError};
use crate::app::load_history;
use crate::clock;
use crate::config::Config;
use crate::domain::Accounts;
use crate::engine::{Effects, Engine};
use crate::sinks::KafkaSink;
use crate::sources::{KafkaSource, ReferenceReader};
use std::collections::BTreeMap;
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
    /// Configuration.
    pub config: Config,
    /// What it shares with the process.
    pub shared: Arc<Shared>,
    /// Questions from the API.
    pub queries: Receiver<Query>,
    /// Name of this instance.
    pub instance: String,
}

/// Runs a lane until it is asked to stop; errors start it over.
pub fn run_lane(options: &LaneOptions) {
    let LaneOptions { config, shared, queries, instance } = options;
    fixed_gauges(&shared.metrics, &config.params);
    let mut backoff = BACKOFF_MIN;
    while !shared.is_stopping() {
        let started = clock::monotonic();
        // A broken invariant ends the attempt, not the service: it would go on looking ready without a lane.
        let lived = catch_unwind(AssertUnwindSafe(|| live_once(config, shared, queries, instance)));
        match lived.unwrap_or(Err(LaneError::Panic)) {
            Ok(()) => return,
            Err(failure) => {
                error!(%failure, "the lane starts over from its last snapshot");
                shared.set_ready(Err(failure.to_string()));
                shared.metrics.lane_restarts.inc();
                if shared.is_stopping() {
                    shared.stopped_uncleanly();
                }
            }
        }
        if clock::monotonic() - started > STEADY {
            backoff = BACKOFF_MIN;
        }
        wait(shared, jittered(backoff));
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn live_once(
    config: &Config,
    shared: &Arc<Shared>,
    queries: &Receiver<Query>,
    instance: &str,
) -> Result<(), LaneError> {
    let kafka = &config.kafka;
    let snapshots =
        Snapshots::open(&config.state_dir, &kafka.topics.market, &kafka.group).map_err(LaneError::Snapshot)?;
    let mut engine = Engine::new(config.params.clone());
    if let Some(params) = shared.reloaded() {
        engine.reload(params);
    }
    if let Err(failure) = load_history(&mut engine, &config.history_files) {
        // The files were there when the service started; without them the reference prices are not.
        return Err(LaneError::History(failure));
    }
    if let Some(groups) = snapshots.groups() {
        engine.restore_groups(groups.image);
    }
    shared.metrics.recount(&Accounts::default());
    let reference = kafka.topics.reference.as_deref().map(|topic| ReferenceReader::new(kafka, topic)).transpose()?;
    let sink = KafkaSink::new(kafka, Arc::default(), shared.metrics.clone())?;
    let source = KafkaSource::new(kafka, instance, shared.health.clone())?;
    let mut lane = Lane {
        config,
        shared,
        engine,
        source: Box::new(source),
        reference,
        deliverer: Deliverer::new(Box::new(sink), shared.clone(), config),
        positions: BTreeMap::new(),
        snapshots,
        commits: Commits::default(),
        effects: Effects::default(),
        is_paused: false,
        sampled: 0,
        last_publish: None,
        last_heartbeat: None,
        silence_warned: false,
        started_at: clock::now(),
        view_memory: super::view::ViewMemory::default(),
        instance: instance.to_owned(),
    };
    let ended = lane.run(queries);
    let Lane { source, .. } = lane;
    source.close();
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
