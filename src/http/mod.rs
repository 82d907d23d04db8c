//! Metrics, health, API, stream and board.

mod access;
mod server;

pub use access::Access;
pub use server::serve;

use crate::clock;
use crate::domain::Phase;
use crate::lane::{Query, Shared};
use crate::market::{Calendar, Located};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

const BOARD: &str = include_str!("board.html");
/// The board needs nothing from elsewhere, and nothing else may use its page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'";
/// What the metrics are written in.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// Live streams at a time: each keeps its connection.
const STREAMS_MAX: usize = 128;

#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    /// One of each lane.
    queries: Vec<SyncSender<Query>>,
    calendar: Option<Arc<Calendar>>,
    streams: Arc<Semaphore>,
}

/// Every route; `calendar` says whether the exchange is open now, `access` who is answered.
pub fn router(
    shared: Arc<Shared>,
    queries: Vec<SyncSender<Query>>,
    calendar: Option<Arc<Calendar>>,
    access: Arc<Access>,
) -> Router {
    let api = Api { shared, queries, calendar, streams: Arc::new(Semaphore::new(STREAMS_MAX)) };
    Router::new()
        .route("/", get(board))
        .route("/metrics", get(metrics))
        .route("/metrics/symbols", get(symbol_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/v1/state", get(state))
        .route("/v1/symbols/{id}", get(symbol))
        .route("/v1/clusters/{id}", get(cluster))
        .route("/v1/alerts", get(alerts))
        .route("/v1/stream", get(stream))
        .with_state(api.clone())
        .layer(from_fn_with_state((access, api.shared), access::admit))
}

async fn board() -> impl IntoResponse {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(BOARD))
}

async fn metrics(State(api): State<Api>) -> Response {
    let metrics = &api.shared.metrics;
    // Also looks for lanes that are stuck.
    metrics.ready.set(i64::from(api.shared.ready().is_ok()));
    if let Some(calendar) = &api.calendar {
        // Beyond what the calendar knows nothing is expected.
        let is_open = match calendar.locate(clock::now()) {
            Located::Known(moment) => moment.phase == Phase::Regular,
            Located::Unknown { .. } => false,
        };
        metrics.exchange_open.with_label_values(&[] as &[&str]).set(f64::from(is_open));
    }
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, EXPOSITION)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The series of single symbols: many, and so apart from the others.
async fn symbol_metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, EXPOSITION)], api.shared.symbol_series()).into_response()
}

async fn readyz(State(api): State<Api>) -> (StatusCode, String) {
    match api.shared.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

fn not_found(what: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("{what} is not known\n")).into_response()
}

async fn state(State(api): State<Api>) -> Response {
    let view = api.shared.views().borrow().view.to_string();
    json(view)
}

async fn cluster(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let view = api.shared.views().borrow().view.clone();
    let state: serde_json::Value = serde_json::from_str(&view).unwrap_or_default();
    let groups = state["clusters"].as_array().map(Vec::as_slice).unwrap_or_default();
    match groups.iter().find(|g| g["id"] == id.as_str()) {
        Some(group) => json(group.to_string()),
        None => not_found("cluster"),
    }
}

/// Asks every lane: one of them reads the symbol's partition.
async fn symbol(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let mut answers = Vec::with_capacity(api.queries.len());
    for queries in &api.queries {
        let (reply, answer) = oneshot::channel();
        if queries.try_send(Query::Symbol(id.clone(), reply)).is_err() {
            return (StatusCode::SERVICE_UNAVAILABLE, "busy\n").into_response();
        }
        answers.push(answer);
    }
    let mut known: Option<serde_json::Value> = None;
    for answer in answers {
        match tokio::time::timeout(QUERY_TIMEOUT, answer).await {
            // A lane that only knows its history says so with a partition below 0.
            Ok(Ok(Some(symbol))) if known.is_none() || symbol["partition"].as_i64() >= Some(0) => known = Some(symbol),
            Ok(Ok(_)) => {}
            _ => return (StatusCode::SERVICE_UNAVAILABLE, "no answer\n").into_response(),
        }
    }
    known.map_or_else(|| not_found("symbol"), |symbol| json(symbol.to_string()))
}

async fn alerts(State(api): State<Api>) -> Response {
    json(format!("{{\"alerts\":[{}]}}", api.shared.last_alerts().join(",")))
}

async fn stream(State(api): State<Api>) -> Response {
    let Ok(place) = api.streams.clone().try_acquire_owned() else {
        api.shared.metrics.http_refused.with_label_values(&["streams"]).inc();
        return (StatusCode::SERVICE_UNAVAILABLE, "too many live streams\n").into_response();
    };
    let views = WatchStream::new(api.shared.views()).map(|p| Event::default().event("state").data(&*p.view));
    // A reader too slow for the alerts loses some; it asks for the list again.
    let alerts = BroadcastStream::new(api.shared.live_alerts())
        .filter_map(Result::ok)
        .map(|alert| Event::default().event("alert").data(&*alert));
    let events = views.merge(alerts).map(move |event| {
        let _place = &place;
        Ok::<_, Infallible>(event)
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))).into_response()
}
