//! Alpaca: market data websocket, version 2. Lists of events; times in RFC 3339 with nanoseconds.

use super::field::{self, Event};
use super::{Said, control, not_acted_on, quote, unknown_type};
use crate::codec::dbn::utc_date;
use crate::codec::error::DecodeError;
use crate::codec::json::missing;
use crate::domain::{Amendment, Bar, Conditions, Interval, Observation, PrintRef, Status, Tape, Tick, TradingStatus};
use std::borrow::Cow;

pub(super) fn event(event: Event<'_>) -> Said {
    Ok(match event.get("T").text()? {
        "t" => Observation::Tick(trade(event)?),
        "b" => Observation::Bar(bar(event, Interval::Minute1)?),
        "d" => Observation::Bar(day(event)?),
        "c" => Observation::Amendment(correction(event)?),
        "x" => Observation::Amendment(cancel(event)?),
        "l" => Observation::Status(limits(event)?),
        "s" => Observation::Status(status(event)?),
        "q" | "o" => return Err(quote()),
        // The minute again, with trades that came late: its price has been told.
        "u" => return Err(not_acted_on("an updated bar")),
        "i" => return Err(not_acted_on("an order imbalance")),
        "n" => return Err(not_acted_on("news")),
        "success" | "subscription" | "error" => return Err(control()),
        other => return Err(unknown_type("T", other)),
    })
}

fn trade(event: Event<'_>) -> Result<Tick<'static>, DecodeError> {
    let mut cond = Conditions::NONE;
    for code in event.get("c").list()? {
        field::push_text(&mut cond, (field::Field { name: "c", value: Some(code) }).text()?)?;
    }
    let id = if event.get("i").value.is_some() { Some(id(event, "i")?) } else { None };
    Ok(Tick {
        symbol: event.get("S").symbol()?,
        ts: event.get("t").rfc3339()?,
        price: event.get("p").price()?,
        size: event.get("s").size_if()?,
        seq: None,
        id,
        feed: None,
        venue: event.get("x").name_if()?,
        tape: event.get("z").text_if()?.map(Tape::parse),
        cond,
    })
}

/// Trade ids are unique on their exchange alone.
fn id(event: Event<'_>, name: &'static str) -> Result<Cow<'static, str>, DecodeError> {
    let id = event.get(name).name_if()?.ok_or_else(|| missing(name))?;
    field::exchange_id(event.get("x").name_if()?.as_deref(), &id)
}

fn bar(event: Event<'_>, interval: Interval) -> Result<Bar<'static>, DecodeError> {
    let prices = [event.get("o").price()?, event.get("h").price()?, event.get("l").price()?, event.get("c").price()?];
    field::bar(event.get("S").symbol()?, event.get("t").rfc3339()?, interval, prices)
}

/// The day so far, again with every minute: never final. It begins at midnight in New York, four or five hours
/// into the same date in UTC.
fn day(event: Event<'_>) -> Result<Bar<'static>, DecodeError> {
    let bar = bar(event, Interval::Day1)?;
    Ok(Bar { is_final: false, session: Some(utc_date(bar.ts)), ..bar })
}

/// A trade that was wrong: its id, and what it should have been.
fn correction(event: Event<'_>) -> Result<Amendment<'static>, DecodeError> {
    Ok(Amendment {
        symbol: event.get("S").symbol()?,
        ts: event.get("t").rfc3339()?,
        print: PrintRef::Id(id(event, "oi")?),
        price: Some(event.get("cp").price()?),
        size: event.get("cs").size_if()?,
        feed: None,
    })
}

/// A trade that was cancelled, or was an error.
fn cancel(event: Event<'_>) -> Result<Amendment<'static>, DecodeError> {
    Ok(Amendment {
        symbol: event.get("S").symbol()?,
        ts: event.get("t").rfc3339()?,
        print: PrintRef::Id(id(event, "i")?),
        price: None,
        size: event.get("s").size_if()?,
        feed: None,
    })
}

fn limits(event: Event<'_>) -> Result<Status<'static>, DecodeError> {
    Ok(Status {
        symbol: event.get("S").symbol()?,
        ts: event.get("t").rfc3339()?,
        status: super::band(event.get("d"), event.get("u"))?,
        reason: Some(Cow::Borrowed("LULD")),
    })
}

/// Status codes of both plans: 2 and 3 on tapes A and B, H, P and T on tape C. Quoting may resume (Q) before
/// trading does; imbalances and indications are no change of status.
fn status(event: Event<'_>) -> Result<Status<'static>, DecodeError> {
    let status = match event.get("sc").text()? {
        "2" | "H" | "P" => TradingStatus::Halted,
        "3" | "T" => TradingStatus::Resumed,
        _ => return Err(not_acted_on("a status that neither halts nor resumes trading")),
    };
    let reason = event.get("rc");
    let reason = if reason.text_if()? == Some("") { None } else { reason.name_if()? };
    Ok(Status { symbol: event.get("S").symbol()?, ts: event.get("t").rfc3339()?, status, reason })
}
