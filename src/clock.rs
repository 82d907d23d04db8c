//! The one reader of wall time.

use crate::domain::UnixNanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time now.
pub fn now() -> UnixNanos {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// A monotonic reading, for durations.
pub fn monotonic() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    Instant::now()
}

/// The clock a lane is given: the system's, or one that a simulation sets.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's.
    System,
    /// Set by hand.
    Manual(ManualClock),
}

/// A clock that stands until it is moved; copies move together.
#[derive(Clone, Debug)]
pub struct ManualClock {
    base: Instant,
    elapsed: Arc<AtomicI64>,
    wall: Arc<AtomicI64>,
}

impl ManualClock {
    /// Stands at a wall time.
    pub fn new(at: UnixNanos) -> Self {
        Self { base: monotonic(), elapsed: Arc::default(), wall: Arc::new(AtomicI64::new(at.0)) }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        self.elapsed.fetch_add(nanos, Ordering::Relaxed);
        self.wall.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Sets wall time, forwards or back, while monotonic time stands.
    pub fn jump(&self, to: UnixNanos) {
        self.wall.store(to.0, Ordering::Relaxed);
    }
}

impl Clock {
    /// Wall time now.
    pub fn now(&self) -> UnixNanos {
        match self {
            Self::System => now(),
            Self::Manual(clock) => UnixNanos(clock.wall.load(Ordering::Relaxed)),
        }
    }

    /// A monotonic reading, for durations.
    pub fn monotonic(&self) -> Instant {
        match self {
            Self::System => monotonic(),
            Self::Manual(clock) => {
                let elapsed = clock.elapsed.load(Ordering::Relaxed).max(0);
                clock.base + Duration::from_nanos(elapsed.unsigned_abs())
            }
        }
    }
}
