//! Finnhub: trades websocket. An object with a list of trades, or one trade for itself; times in Unix
//! milliseconds.

use super::field::{self, Event, Field, MILLIS};
use super::{Events, Said, conditions, control, unknown_type};
use crate::codec::error::DecodeError;
use crate::domain::{Conditions, Observation, Tick};
use serde_json::Value;

pub(super) fn message(message: &Value, events: &mut Events) -> Result<(), DecodeError> {
    let object = Event::of(message)?;
    match object.get("type").text_if()? {
        Some("trade") => {
            object.get("data").list()?.iter().try_for_each(|one| events.push(Event::of(one).and_then(trade)))
        }
        Some("ping" | "error") => events.push(Err(control())),
        Some(other) => Err(unknown_type("type", other)),
        None => events.push(trade(object)),
    }
}

fn trade(event: Event<'_>) -> Said {
    let mut cond = Conditions::NONE;
    for number in event.get("c").list()? {
        let number = (Field { name: "c", value: Some(number) }).text()?;
        let number = number.parse().map_err(|_| DecodeError::malformed("wrong_type", "c: not a number as text"))?;
        if let Some(code) = conditions::finnhub(number) {
            field::push(&mut cond, code)?;
        }
    }
    Ok(Observation::Tick(Tick {
        size: event.get("v").size_if()?,
        cond,
        ..Tick::new(event.get("s").symbol()?, event.get("t").since_1970(MILLIS)?, event.get("p").price()?)
    }))
}
