//! The demo on the terminal.

use crate::domain::Outcome;
use crate::lane::Shared;
use chrono::DateTime;
use chrono_tz::America::New_York;
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// The day this product exists for.
const THE_DAY: &str = "2025-01-27";

/// Prints alerts as they happen, and what it came to.
pub(super) struct Story {
    /// Confirmed alerts of the day, for the ending.
    of_the_day: Arc<Mutex<Vec<Value>>>,
}

fn say(text: &str) {
    // A closed terminal is no reason to stop the service.
    let _ = writeln!(std::io::stdout(), "{text}");
}

impl Story {
    pub(super) fn begin(address: SocketAddr, mut alerts: broadcast::Receiver<Arc<str>>) -> Self {
        say("fragility demo: real closes of 52 large US companies and of SPY, October 2024 to March 2025.");
        say("Between two closes the path is simulated, and every alert on it says SIMULATED_PATH.");
        say(&format!("Board: http://{address}/   Metrics: http://{address}/metrics"));
        let of_the_day = Arc::new(Mutex::new(Vec::new()));
        let kept = of_the_day.clone();
        tokio::spawn(async move {
            loop {
                match alerts.recv().await {
                    Ok(text) => {
                        let alert: Value = serde_json::from_str(&text).unwrap_or_default();
                        tell(&alert);
                        if alert["session"] == THE_DAY && alert["kind"] == "confirm" {
                            kept.lock().unwrap_or_else(PoisonError::into_inner).push(alert);
                        }
                    }
                    Err(RecvError::Lagged(missed)) => say(&format!("   ... {missed} alerts not shown")),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self { of_the_day }
    }

    /// What the day, and the run, came to.
    pub(super) fn end(&self, shared: &Shared) {
        say("\n== 2025-01-27 at the close ==");
        let mut confirmed = self.of_the_day.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let size = |a: &Value| a["z"].as_f64().unwrap_or(0.0).abs();
        confirmed.sort_by(|a, b| size(b).total_cmp(&size(a)));
        for alert in &confirmed {
            let billions = alert["usd"]["market_value_change"]
                .as_f64()
                .map_or_else(String::new, |v| format!("  USD {:+.0} bn", v / 1e9));
            say(&format!("  {:<8} {}{billions}", text(alert, "severity"), text(alert, "summary")));
        }
        let outcomes = shared.metrics.outcomes();
        let total = shared.metrics.taken();
        let parts: Vec<String> = Outcome::ALL
            .iter()
            .zip(outcomes)
            .filter(|(_, n)| *n > 0)
            .map(|(o, n)| format!("{n} {}", o.name()))
            .collect();
        say(&format!("\n{total} records in: {}.", parts.join(", ")));
        let latency = &shared.metrics.event_to_alert_hdr;
        if let (Some(p50), Some(p99)) = (latency.quantile(0.5), latency.quantile(0.99)) {
            say(&format!(
                "From a record in Kafka to its acknowledged alert: p50 {:.1} ms, p99 {:.1} ms.",
                p50 * 1e3,
                p99 * 1e3
            ));
        }
    }
}

/// The feed has ended and the board stays.
pub(super) fn stays(address: SocketAddr) {
    say(&format!("The feed has ended; the board stays at http://{address}/ until Ctrl-C."));
}

fn text<'a>(alert: &'a Value, field: &str) -> &'a str {
    alert[field].as_str().unwrap_or_default()
}

/// One line for the alerts that carry the story; smaller steps are on the board.
fn tell(alert: &Value) {
    let kind = text(alert, "kind");
    if matches!(kind, "update" | "deescalate") {
        return;
    }
    let at = DateTime::from_timestamp_nanos(alert["event_time"].as_i64().unwrap_or(0)).with_timezone(&New_York);
    let (severity, summary) = (text(alert, "severity"), text(alert, "summary"));
    say(&format!("{} {kind:<9} {severity:<8} {summary}", at.format("%m-%d %H:%M:%S")));
}
