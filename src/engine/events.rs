//! What happened to the company, as sources tell it: context of a symbol's alerts, never a cause of one.

use super::state::{Cold, SymbolState};
use super::{Disposition, Engine};
use crate::domain::{Event, EventAt, SessionDate, Symbol, UnixNanos};
use crate::market::Located;
use std::sync::Arc;

/// Events kept of a symbol; beyond, the oldest session goes.
const EVENTS_KEPT: usize = 64;

/// An event of a session; ordered by session, then time, then content. One without a time comes first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Dated {
    /// `None` where no calendar is configured.
    pub(super) session: Option<SessionDate>,
    pub(super) time: Option<UnixNanos>,
    pub(super) event: Arc<Event>,
}

impl Cold {
    /// Keeps an event; false when it is known.
    pub(super) fn keep_event(&mut self, dated: Dated) -> bool {
        let Err(at) = self.events.binary_search(&dated) else { return false };
        self.events.insert(at, dated);
        if self.events.len() > EVENTS_KEPT {
            self.events.remove(0);
        }
        true
    }
}

impl SymbolState {
    /// The events of a session, in order.
    pub(super) fn events_of(&self, session: Option<SessionDate>) -> Vec<(Option<UnixNanos>, Arc<Event>)> {
        let ours = self.cold.events.iter().filter(|e| e.session == session);
        ours.map(|e| (e.time, e.event.clone())).collect()
    }
}

impl Engine {
    /// Takes an event. One with a time belongs to the session that the calendar gives that instant.
    pub(super) fn event_record(&mut self, symbol: &Symbol, at: EventAt, event: &Arc<Event>) -> Disposition {
        let (session, time) = match (at, self.params.calendar.as_deref()) {
            (EventAt::Time(ts), None) => (None, Some(ts)),
            (EventAt::Time(ts), Some(calendar)) => match calendar.locate(ts) {
                Located::Known(moment) => (Some(moment.session.date), Some(ts)),
                Located::Unknown { .. } => return Disposition::NOT_A_SESSION,
            },
            (EventAt::Session(date), Some(calendar)) if calendar.session(date).is_some() => (Some(date), None),
            (EventAt::Session(_), _) => return Disposition::NOT_A_SESSION,
        };
        let id = match self.admit_on(symbol.as_str(), session) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let is_news = self.states[id as usize].cold.keep_event(Dated { session, time, event: event.clone() });
        if is_news { Disposition::APPLIED } else { Disposition::DUPLICATE }
    }
}
