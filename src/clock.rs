//! The one reader of wall time.

use crate::domain::UnixNanos;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
