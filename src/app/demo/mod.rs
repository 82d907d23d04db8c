//! `demo`: the production path with nothing installed.
//!
//! A Kafka-protocol broker inside the process, real closes of the largest US companies from October 2024 to
//! March 2025, simulated ticks between them, and the same service that `run` starts: producer, broker,
//! consumer, engine, alert topic, metrics, board.

mod days;
mod feed;
mod story;

use super::AppError;
use super::run::{Signals, start};
use crate::config::load_text;
use days::Days;
use feed::{Feed, Pace};
use rdkafka::mocking::MockCluster;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use story::Story;

/// Partitions of the market topic.
const PARTITIONS: i32 = 4;
/// The first session that is played tick by tick; the days before it are history.
const FIRST_PLAYED: &str = "2025-01-24";

/// What `demo` is asked.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Market seconds per second, `max`, or the story's own pace.
    pub speed: Option<String>,
    /// End when the feed ends.
    pub once: bool,
    /// Address of board and metrics.
    pub listen: SocketAddr,
}

/// A directory that goes with the demo.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, AppError> {
        let dir = std::env::temp_dir().join(format!("fragility-demo-{}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|e| AppError::Output(dir.clone(), e))?;
        Ok(Self(dir))
    }

    fn file(&self, name: &str, text: &str) -> Result<String, AppError> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(|e| AppError::Output(path.clone(), e))?;
        Ok(path.display().to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Plays the days; ends with the feed, or with a signal.
///
/// # Errors
/// When the service cannot start or the feed breaks off.
pub async fn demo(options: &DemoOptions) -> Result<u8, AppError> {
    let signals = Signals::new()?;
    let pace = Pace::read(options.speed.as_deref()).map_err(AppError::Usage)?;
    let days = Days::shipped(FIRST_PLAYED).map_err(AppError::Failed)?;
    let broker_failed = |e: rdkafka::error::KafkaError| AppError::Failed(format!("demo broker: {e}"));
    let broker = MockCluster::new(1).map_err(broker_failed)?;
    for (topic, partitions) in [("market", PARTITIONS), ("alerts", 1), ("dead-letters", 1)] {
        broker.create_topic(topic, partitions, 1).map_err(broker_failed)?;
    }
    let brokers = broker.bootstrap_servers();
    let scratch = Scratch::new()?;
    let config = settings(&scratch, &days, &brokers, options)?;
    let calendar = config.params.calendar.clone().ok_or_else(|| AppError::Failed("demo has no calendar".into()))?;
    let service = start(config).await?;
    let story = Story::begin(service.address, service.shared.live_alerts());
    let stop = Arc::new(AtomicBool::new(false));
    let feed = Feed::new(days, calendar, &brokers, PARTITIONS, pace, service.shared.clone(), stop.clone())
        .map_err(AppError::Failed)?;
    let thread = std::thread::Builder::new()
        .name("demo-feed".into())
        .spawn(move || feed.play())
        .map_err(|e| AppError::Failed(format!("feed thread: {e}")))?;
    let mut code = 0;
    let mut wait = Box::pin(signals.wait());
    let mut is_over = false;
    loop {
        tokio::select! {
            signal = &mut wait => {
                code = signal;
                break;
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
        }
        if thread.is_finished() && !is_over {
            is_over = true;
            story.end(&service.shared);
            if options.once {
                break;
            }
            story::stays(service.address);
        }
    }
    stop.store(true, Ordering::Release);
    let played = thread.join().map_err(|_| AppError::Failed("the feed broke off".into()))?;
    let stopped = service.stop().await;
    drop(scratch);
    played.map_err(AppError::Failed)?;
    if stopped { Ok(code) } else { Err(AppError::Failed("the demo did not stop in time".into())) }
}

fn settings(
    scratch: &Scratch,
    days: &Days,
    brokers: &str,
    options: &DemoOptions,
) -> Result<crate::config::Config, AppError> {
    let closes = scratch.file("history.csv", &days.history_csv())?;
    let reference = scratch.file("reference.ndjson", days::REFERENCE)?;
    let state = Path::new(&scratch.0).join("state");
    let text = format!(
        r#"
[kafka]
brokers = "{brokers}"
group = "fragility-demo"

# The demo's broker joins a group at once by the new protocol, and answers a fetch that found nothing only
# when its wait is over.
[kafka.properties]
"group.protocol" = "consumer"
"fetch.wait.max.ms" = 2

[state]
dir = {state:?}

[history]
files = [{reference:?}, {closes:?}]

[http]
listen = "{listen}"

[feeds.simulated]
flag = "SIMULATED_PATH"
"#,
        state = state.display().to_string(),
        listen = options.listen,
    );
    Ok(load_text("demo", &text, &[], &[])?.config)
}
