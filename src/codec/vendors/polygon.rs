//! Polygon, now Massive: stocks websocket. Lists of events; times in Unix milliseconds, of LULD also finer.

use super::field::{self, Event, Field, MICROS, MILLIS};
use super::{Said, conditions, control, not_a_stock, not_acted_on, quote, unknown_type};
use crate::codec::error::DecodeError;
use crate::domain::{Conditions, Interval, Observation, Status, Tape, Tick, TradingStatus, UnixNanos};
use std::borrow::Cow;

/// LULD indicators of a trading pause and its end; Nasdaq-listed securities have them.
const PAUSED: u64 = 17;
const RESUMED: u64 = 18;

pub(super) fn event(event: Event<'_>) -> Said {
    let kind = event.get("ev").text()?;
    match kind {
        "T" => trade(event).map(Observation::Tick),
        "A" => bar(event, Interval::Second1),
        "AM" => bar(event, Interval::Minute1),
        "LULD" => limits(event).map(Observation::Status),
        "Q" => Err(quote()),
        "NOI" | "FMV" | "LV" | "V" => Err(not_acted_on(kind)),
        "XT" | "XQ" | "XA" | "XAS" | "XL2" | "C" | "CA" | "CAS" => Err(not_a_stock(kind)),
        "status" => Err(control()),
        other => Err(unknown_type("ev", other)),
    }
}

/// Indices, options, coins and currencies have a letter and a colon before their name.
fn stock(field: Field<'_>) -> Result<Cow<'static, str>, DecodeError> {
    let text = field.text()?;
    if text.as_bytes().get(1) == Some(&b':') {
        return Err(not_a_stock(text.chars().take(32).collect::<String>().as_str()));
    }
    field.symbol()
}

fn trade(event: Event<'_>) -> Result<Tick<'static>, DecodeError> {
    let symbol = stock(event.get("sym"))?;
    let ts = event.get("t").since_1970(MILLIS)?;
    let tape = event.get("z").whole_if()?.map(tape);
    let mut cond = Conditions::NONE;
    for number in event.get("c").list()? {
        let number = Field { name: "c", value: Some(number) }.whole()?;
        if let Some(code) = conditions::polygon(number, tape) {
            field::push(&mut cond, code)?;
        }
    }
    let venue = event.get("x").name_if()?;
    let id = event.get("i").name_if()?.map(|id| field::exchange_id(venue.as_deref(), &id)).transpose()?;
    Ok(Tick {
        symbol,
        ts,
        price: event.get("p").price()?,
        size: size(event)?,
        seq: field::daily_sequence(event.get("q"), ts)?,
        id,
        feed: None,
        venue,
        tape,
        cond,
    })
}

/// `ds` has the fraction of a share that `s` cuts off.
fn size(event: Event<'_>) -> Result<Option<f64>, DecodeError> {
    let precise = event.get("ds");
    let Some(text) = precise.text_if()? else { return event.get("s").size_if() };
    let size = text.parse().ok().filter(|size: &f64| size.is_finite());
    field::size(Some(size.ok_or_else(|| DecodeError::malformed("wrong_type", "ds: not a number"))?), precise.name)
}

fn tape(number: u64) -> Tape {
    match number {
        1 => Tape::A,
        2 => Tape::B,
        3 => Tape::C,
        _ => Tape::Other,
    }
}

fn bar(event: Event<'_>, interval: Interval) -> Said {
    let symbol = stock(event.get("sym"))?;
    let ts = event.get("s").since_1970(MILLIS)?;
    let prices = [event.get("o").price()?, event.get("h").price()?, event.get("l").price()?, event.get("c").price()?];
    field::bar(symbol, ts, interval, prices).map(Observation::Bar)
}

fn limits(event: Event<'_>) -> Result<Status<'static>, DecodeError> {
    let symbol = stock(event.get("T"))?;
    let ts = any_unit(event.get("t"))?;
    let mut indicated = None;
    for number in event.get("i").list()? {
        match (Field { name: "i", value: Some(number) }).whole()? {
            PAUSED => indicated = Some(TradingStatus::Halted),
            RESUMED => indicated = Some(TradingStatus::Resumed),
            _ => {}
        }
    }
    let status = match indicated {
        Some(status) => status,
        None => super::band(event.get("l"), event.get("h"))?,
    };
    Ok(Status { symbol, ts, status, reason: Some(Cow::Borrowed("LULD")) })
}

/// The documentation says milliseconds; messages have come in microseconds. From 1973 to 5138 each unit has its
/// own number of digits.
fn any_unit(field: Field<'_>) -> Result<UnixNanos, DecodeError> {
    let value = field.whole()?;
    let unit = match value {
        0..100_000_000_000_000 => MILLIS,
        100_000_000_000_000..100_000_000_000_000_000 => MICROS,
        _ => 1,
    };
    field::nanos(value, unit, field.name)
}
