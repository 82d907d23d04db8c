//! What a supervisor that asked for it is told (systemd's notify protocol); nothing without one.

use crate::lane::Shared;
use sd_notify::NotifyState;
use std::sync::Arc;
use tracing::warn;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the supervisor cannot be told");
    }
}

/// The service is up: HTTP answers and lanes have begun. Whether results can be relied on is another question.
pub(super) fn up() {
    tell(&[NotifyState::Ready]);
}

/// It drains.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// It reads its configuration again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the supervisor cannot be told"),
    }
}

/// Says again and again that it is alive, where that is wanted: while no lane is stuck. Brokers that are away are no
/// reason to be killed.
pub(super) async fn keep_watch(shared: Arc<Shared>) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval(within / 3);
    loop {
        beat.tick().await;
        let stuck = shared.stuck();
        if stuck.is_empty() {
            tell(&[NotifyState::Watchdog]);
        } else {
            warn!(?stuck, "the watchdog is not told that all is well");
        }
    }
}
