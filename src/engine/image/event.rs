//! Events of a company as plain text.

use super::date;
use crate::domain::{Event, SessionDate, UnixNanos};
use crate::engine::events::Dated;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An event as plain text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct EventImage {
    session: Option<i32>,
    time: Option<i64>,
    kind: String,
    source: String,
    text: Option<String>,
    url: Option<String>,
}

impl From<&Dated> for EventImage {
    fn from(dated: &Dated) -> Self {
        let Event { kind, source, text, url } = (*dated.event).clone();
        Self { session: dated.session.map(SessionDate::days), time: dated.time.map(|t| t.0), kind, source, text, url }
    }
}

impl EventImage {
    pub(super) fn restore(&self) -> Dated {
        let Self { session, time, kind, source, text, url } = self.clone();
        Dated {
            session: session.map(date),
            time: time.map(UnixNanos),
            event: Arc::new(Event { kind, source, text, url }),
        }
    }
}
