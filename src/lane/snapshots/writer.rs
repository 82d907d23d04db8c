//! Encodes and writes snapshots beside the lane, which goes on meanwhile.

use super::{Captured, Snapshots};
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::warn;

/// Snapshots that may wait for the disk.
const WAITING_MAX: usize = 2;

/// What the thread is asked to do.
pub(in crate::lane) enum Job {
    /// Write this.
    Write(Box<Captured>),
    /// Answered when everything before is written.
    Flush(SyncSender<()>),
}

/// Takes captured state and writes it.
pub(in crate::lane) enum Writer {
    /// At once, by the caller: for simulations.
    Inline(Snapshots, Arc<Metrics>),
    /// On a thread of its own.
    Thread(Option<SyncSender<Job>>, Option<JoinHandle<()>>, Arc<Metrics>),
}

impl Writer {
    pub(in crate::lane) fn inline(snapshots: Snapshots, metrics: Arc<Metrics>) -> Self {
        Self::Inline(snapshots, metrics)
    }

    pub(in crate::lane) fn thread(snapshots: Snapshots, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let own = metrics.clone();
        let thread =
            std::thread::Builder::new().name("snapshots".into()).spawn(move || work(&snapshots, &own, &waiting))?;
        Ok(Self::Thread(Some(jobs), Some(thread), metrics))
    }

    /// Hands state over; false when the disk has not kept up and it was left out.
    pub(in crate::lane) fn submit(&self, captured: Captured) -> bool {
        match self {
            Self::Inline(snapshots, metrics) => {
                write(snapshots, metrics, &captured);
                true
            }
            Self::Thread(jobs, _, metrics) => {
                let handed = jobs.as_ref().map(|jobs| jobs.try_send(Job::Write(Box::new(captured))));
                let is_taken = matches!(handed, Some(Ok(())));
                if let Some(Err(TrySendError::Full(_))) = handed {
                    metrics.snapshots.with_label_values(&["skipped"]).inc();
                }
                is_taken
            }
        }
    }

    /// Waits until everything handed over is written; false when that took longer than `timeout`.
    pub(in crate::lane) fn flush(&self, timeout: Duration) -> bool {
        let Self::Thread(Some(jobs), ..) = self else { return true };
        let (tell, done) = sync_channel(1);
        jobs.send(Job::Flush(tell)).is_ok() && done.recv_timeout(timeout).is_ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Self::Thread(jobs, thread, _) = self {
            // A lane that starts over must not read what is still being written.
            drop(jobs.take());
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

fn work(snapshots: &Snapshots, metrics: &Metrics, waiting: &Receiver<Job>) {
    for job in waiting {
        match job {
            Job::Write(captured) => write(snapshots, metrics, &captured),
            Job::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

fn write(snapshots: &Snapshots, metrics: &Metrics, captured: &Captured) {
    let written = snapshots.write(captured);
    let result = if written.is_ok() { "written" } else { "failed" };
    metrics.snapshots.with_label_values(&[result]).inc();
    if let Err(error) = written {
        // The one before is still there: a restart only takes longer.
        warn!(%error, "snapshot not written");
    }
}
