//! Twelve Data: price websocket. One price a message, without size or number; time in whole Unix seconds.

use super::field::{Event, SECONDS};
use super::{Said, control, unknown_type};
use crate::domain::{Observation, Tick};

pub(super) fn event(event: Event<'_>) -> Said {
    match event.get("event").text()? {
        "price" => {}
        "subscribe-status" | "unsubscribe-status" | "reset-status" | "heartbeat" => return Err(control()),
        other => return Err(unknown_type("event", other)),
    }
    Ok(Observation::Tick(Tick {
        venue: event.get("mic_code").name_if()?,
        ..Tick::new(
            event.get("symbol").symbol()?,
            event.get("timestamp").since_1970(SECONDS)?,
            event.get("price").price()?,
        )
    }))
}
