//! `run`: the service.

use super::{AppError, supervisor};
use crate::clock;
use crate::config::{Config, ConfigErrors};
use crate::http;
use crate::lane::{LaneOptions, Query, Role, Shared, run_lane};
use crate::sources::{ClientHealth, client_config, refusal};
use crate::telemetry::Metrics;
use rdkafka::consumer::BaseConsumer;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// A service that has not ended by then is ended: what it could not commit is read again.
const STOP_TIMEOUT: Duration = Duration::from_millis(4_800);
/// Questions that may wait for a lane.
const QUERIES_MAX: usize = 64;

/// A running service.
pub struct Service {
    /// What the lanes show.
    pub shared: Arc<Shared>,
    /// Where HTTP listens.
    pub address: SocketAddr,
    access: Arc<http::Access>,
    lanes: Vec<JoinHandle<()>>,
    queries: Vec<SyncSender<Query>>,
}

/// Starts HTTP and the lanes.
///
/// # Errors
/// When the address cannot be bound, or the state directory not be written.
pub async fn start(config: Config) -> Result<Service, AppError> {
    let metrics = Metrics::with_symbols(config.symbol_series.clone(), config.symbol_series_max)
        .map_err(|e| AppError::Failed(format!("metrics: {e}")))?;
    let limit = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    metrics.in_flight_limit.set(limit(config.in_flight_max));
    metrics.symbols_limit.set(limit(config.params.symbols_max));
    let shared = Arc::new(Shared::new(
        Arc::new(metrics),
        config.kafka.lanes + usize::from(config.kafka.topics.members.is_some()),
    ));
    let instance = match &config.kafka.instance_id {
        Some(id) => id.clone(),
        None => kept_instance_id(&config.state_dir)?,
    };
    for file in &config.history_files {
        // Said now, with exit code 2, rather than by a lane that never gets ready.
        fs::metadata(file).map_err(|e| AppError::Usage(format!("history.files: {}: {e}", file.display())))?;
    }
    // The same for settings that librdkafka does not know, or that do not go together.
    let mut client = client_config(&config.kafka, "check");
    client.set("group.id", &config.kafka.group);
    for key in ["group.protocol", "group.instance.id"] {
        client.remove(key);
    }
    let client: Result<BaseConsumer<ClientHealth>, _> = client.create_with_context(ClientHealth::default());
    client.map_err(|e| AppError::Usage(format!("kafka.properties: {}", refusal(&e))))?;
    let access = Arc::new(http::Access::new(&config.http).map_err(AppError::Usage)?);
    let listen = config.http.listen;
    let listener =
        TcpListener::bind(listen).await.map_err(|e| AppError::Failed(format!("http.listen {listen}: {e}")))?;
    if !listen.ip().is_loopback() && !access.asks_for_token() {
        warn!(%listen, "HTTP answers everyone who reaches this address: http.token_file keeps others out");
    }
    let address = listener.local_addr().map_err(|e| AppError::Failed(e.to_string()))?;
    let members = config.of_members().map(Arc::new);
    let config = Arc::new(config);
    let mut plans: Vec<_> = (0..config.kafka.lanes).map(|_| (Role::Symbols, config.clone())).collect();
    plans.extend(members.map(|config| (Role::Groups, config)));
    let (asks, queues): (Vec<_>, Vec<_>) = plans.iter().map(|_| sync_channel(QUERIES_MAX)).unzip();
    let router = http::router(shared.clone(), asks.clone(), config.params.calendar.clone(), access.clone());
    tokio::spawn(http::serve(listener, router, access.clone(), shared.metrics.clone()));
    info!(%address, "HTTP is up: /metrics /healthz /readyz / (board)");
    let mut lanes = Vec::with_capacity(queues.len());
    for (number, ((role, config), queries)) in plans.into_iter().zip(queues).enumerate() {
        let (shared, instance) = (shared.clone(), instance.clone());
        let options = LaneOptions { role, number, config, shared, queries, instance };
        let thread = std::thread::Builder::new().name(format!("lane-{number}"));
        let lane = thread.spawn(move || run_lane(&options));
        lanes.push(lane.map_err(|e| AppError::Failed(format!("lane thread: {e}")))?);
    }
    Ok(Service { shared, address, access, lanes, queries: asks })
}

impl Service {
    /// Asks the lanes to drain and waits for them; false when it took too long.
    pub async fn stop(self) -> bool {
        self.shared.stop();
        let until = clock::monotonic() + STOP_TIMEOUT;
        while !self.lanes.iter().all(JoinHandle::is_finished) {
            if clock::monotonic() > until {
                let is_drained = self.shared.drained() >= self.lanes.len() && self.shared.is_clean();
                if is_drained {
                    warn!(
                        "everything is kept; leaving the consumer group takes too long, which it will notice by itself"
                    );
                }
                return is_drained;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ended = self.lanes.into_iter().map(JoinHandle::join).all(|lane| lane.is_ok());
        ended && self.shared.is_clean()
    }
}

impl Service {
    /// Takes the rules of a configuration read again; one that is wrong changes nothing.
    fn reload(&self, read: Result<Config, ConfigErrors>) {
        if let Err(reason) = self.access.reread() {
            self.shared.metrics.config_ok.set(0);
            self.shared.metrics.config_reloads.with_label_values(&["refused"]).inc();
            error!(reason, "certificate or tokens are wrong and were not taken, nor was the configuration");
            return;
        }
        let ok = &self.shared.metrics.config_ok;
        let told = |result: &str| self.shared.metrics.config_reloads.with_label_values(&[result]).inc();
        match read {
            Ok(config) => {
                let params = config.params;
                self.shared.keep_reloaded(params.clone());
                let hand = |ask: &SyncSender<Query>| ask.try_send(Query::Reload(Box::new(params.clone()))).is_ok();
                let handed = self.queries.iter().filter(|ask| hand(ask)).count() == self.queries.len();
                ok.set(i64::from(handed));
                told("ok");
                info!("configuration read again: rules, bounds and feeds change now, everything else at a restart");
            }
            Err(errors) => {
                ok.set(0);
                told("refused");
                let problems: Vec<String> = errors.problems().map(|p| format!("{}: {}", p.key, p.message)).collect();
                error!(?problems, "configuration is wrong and was not taken; the rules in force stay");
            }
        }
    }
}

/// Runs until a signal; the exit code that belongs to it. SIGHUP reads the configuration again by `reread`.
///
/// # Errors
/// As [`start`], and when the lane did not end in time.
pub async fn run(config: Config, reread: impl Fn() -> Result<Config, ConfigErrors>) -> Result<u8, AppError> {
    let mut signals = Signals::new()?;
    let service = start(config).await?;
    supervisor::up();
    let watch = tokio::spawn(supervisor::keep_watch(service.shared.clone()));
    let code = loop {
        if let Some(code) = signals.next().await {
            break code;
        }
        supervisor::reloading();
        service.reload(reread());
        supervisor::up();
    };
    supervisor::stopping();
    watch.abort();
    if service.stop().await {
        Ok(code)
    } else {
        Err(AppError::Failed("did not drain in time; what was not committed is read again".into()))
    }
}

/// SIGTERM, SIGINT and SIGHUP.
pub(super) struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, AppError> {
        let listen = |kind| signal(kind).map_err(|e| AppError::Failed(format!("signals: {e}")));
        let (term, int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { term, int, hup: listen(SignalKind::hangup())? })
    }

    /// The next signal: the exit code it asks for, 143 or 130, or `None` for SIGHUP.
    async fn next(&mut self) -> Option<u8> {
        tokio::select! {
            _ = self.term.recv() => Some(143),
            _ = self.int.recv() => Some(130),
            _ = self.hup.recv() => None,
        }
    }

    /// Waits for a signal that ends; a closed terminal ends too.
    pub(super) async fn wait(mut self) -> u8 {
        self.next().await.unwrap_or(129)
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
