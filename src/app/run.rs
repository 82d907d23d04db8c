//! `run`: the service.

use super::AppError;
use crate::clock;
use crate::config::Config;
use crate::http;
use crate::lane::{LaneOptions, Shared, run_lane};
use crate::telemetry::Metrics;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// A service that has not ended by then is ended: what it could not commit is read again.
const STOP_TIMEOUT: Duration = Duration::from_millis(4_800);
/// Questions that may wait for the lane.
const QUERIES_MAX: usize = 64;

/// A running service.
pub struct Service {
    /// What the lane shows.
    pub shared: Arc<Shared>,
    /// Where HTTP listens.
    pub address: SocketAddr,
    lane: JoinHandle<()>,
}

/// Starts HTTP and the lane.
///
/// # Errors
/// When the address cannot be bound, or the state directory not be written.
pub async fn start(config: Config) -> Result<Service, AppError> {
    let metrics = Metrics::new().map_err(|e| AppError::Failed(format!("metrics: {e}")))?;
    let shared = Arc::new(Shared::new(Arc::new(metrics)));
    let instance = match &config.kafka.instance_id {
        Some(id) => id.clone(),
        None => kept_instance_id(&config.state_dir)?,
    };
    for file in &config.history_files {
        // Said now, with exit code 2, rather than by a lane that never gets ready.
        fs::metadata(file).map_err(|e| AppError::Usage(format!("history.files: {}: {e}", file.display())))?;
    }
    // The same for settings that librdkafka does not know.
    let client = crate::sources::client_config(&config.kafka, "check").create_native_config();
    client.map_err(|e| AppError::Usage(format!("kafka.properties: {e}")))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|e| AppError::Failed(format!("http.listen {}: {e}", config.listen)))?;
    let address = listener.local_addr().map_err(|e| AppError::Failed(e.to_string()))?;
    let (ask, queries) = sync_channel(QUERIES_MAX);
    let router = http::router(shared.clone(), ask);
    tokio::spawn(async move {
        if let Err(failure) = axum::serve(listener, router).await {
            error!(%failure, "HTTP server ended");
        }
    });
    info!(%address, "HTTP is up: /metrics /healthz /readyz / (board)");
    let options = LaneOptions { config, shared: shared.clone(), queries, instance };
    let lane = std::thread::Builder::new()
        .name("lane-0".into())
        .spawn(move || run_lane(&options))
        .map_err(|e| AppError::Failed(format!("lane thread: {e}")))?;
    Ok(Service { shared, address, lane })
}

impl Service {
    /// Asks the lane to drain and waits for it; false when it took too long.
    pub async fn stop(self) -> bool {
        self.shared.stop();
        let until = clock::monotonic() + STOP_TIMEOUT;
        while !self.lane.is_finished() {
            if clock::monotonic() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.lane.join().is_ok()
    }
}

/// Runs until a signal; the exit code that belongs to it.
///
/// # Errors
/// As [`start`], and when the lane did not end in time.
pub async fn run(config: Config) -> Result<u8, AppError> {
    let signals = Signals::new()?;
    let service = start(config).await?;
    let code = signals.wait().await;
    if service.stop().await { Ok(code) } else { Err(AppError::Failed("did not stop in time; what was not committed is read again".into())) }
}

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, AppError> {
        let listen = |kind| signal(kind).map_err(|e| AppError::Failed(format!("signals: {e}")));
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    /// Waits for either: 143 or 130.
    pub(super) async fn wait(mut self) -> u8 {
        tokio::select! {
            _ = self.term.recv() => 143,
            _ = self.int.recv() => 130,
        }
    }
}

/// The instance id kept in the state directory; made on the first run.
fn kept_instance_id(dir: &Path) -> Result<String, AppError> {
    let path = dir.join("instance-id");
    if let Ok(id) = fs::read_to_string(&path) {
        let id = id.trim();
        if !id.is_empty() {
            return Ok(id.to_owned());
        }
    }
    let seed = format!("{}-{}-{}", dir.display(), std::process::id(), clock::now().0);
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, seed.as_bytes()).simple().to_string();
    let written = fs::create_dir_all(dir).and_then(|()| fs::File::create(&path)?.write_all(id.as_bytes()));
    written.map_err(|e| AppError::Output(path, e))?;
    Ok(id)
}
