//! Tiingo: IEX websocket. One list of values a message, in a fixed order; time in nanoseconds.

use super::field::{self, Event, Field};
use super::{Said, control, not_a_stock, not_acted_on, quote, unknown_type};
use crate::codec::error::DecodeError;
use crate::domain::{Conditions, Observation, Tick};
use serde_json::Value;
use std::borrow::Cow;

/// Values of a trade or quote.
const LEN: usize = 16;
/// Flags, with the condition of the tape that says the same.
const FLAGS: [(usize, &str, &str); 3] =
    [(12, "after_hours", "T"), (13, "intermarket_sweep", "F"), (14, "odd_lot", "I")];

pub(super) fn event(event: Event<'_>) -> Said {
    match event.get("messageType").text()? {
        "A" | "U" => {}
        "I" | "D" | "H" | "E" => return Err(control()),
        other => return Err(unknown_type("messageType", other)),
    }
    let service = event.get("service").text()?;
    if service != "iex" {
        return Err(not_a_stock(service.chars().take(32).collect::<String>().as_str()));
    }
    let data = event.get("data").list()?;
    match data.first().and_then(Value::as_str) {
        Some("T") => trade(data).map(Observation::Tick),
        Some("Q") => Err(quote()),
        Some("B") => Err(not_acted_on("a trade break, which does not say which trade,")),
        // The reference price: time, ticker, price.
        Some(_) if data.len() == 3 => Err(not_acted_on("a reference price")),
        Some(other) => Err(unknown_type("data[0]", other)),
        None => Err(DecodeError::malformed("wrong_type", "data: not a list that begins with a text")),
    }
}

fn trade(data: &[Value]) -> Result<Tick<'static>, DecodeError> {
    if data.len() != LEN {
        let detail = format!("data has {} values, a trade has {LEN}", data.len());
        return Err(DecodeError::malformed("field_layout", detail));
    }
    let get = |at: usize, name| Field { name, value: data.get(at).filter(|v| !v.is_null()) };
    let mut cond = Conditions::NONE;
    for (at, name, code) in FLAGS {
        if get(at, name).whole_if()? == Some(1) {
            field::push_text(&mut cond, code)?;
        }
    }
    // Tickers come in small letters.
    let symbol = field::symbol(&get(3, "ticker").text()?.to_ascii_uppercase(), "ticker")?;
    Ok(Tick {
        size: get(10, "last_size").size_if()?,
        venue: Some(Cow::Borrowed("IEX")),
        cond,
        ..Tick::new(symbol, get(2, "nanoseconds").since_1970(1)?, get(9, "last_price").price()?)
    })
}
