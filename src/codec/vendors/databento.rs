//! Databento: its JSON encoding, one record a message. Times in nanoseconds, prices in units of 1e-9, both as
//! text; with `pretty_ts` and `pretty_px` as RFC 3339 and decimals. Symbols come with `map_symbols`.

use super::field::{self, Event, Field};
use super::{Said, not_acted_on, quote};
use crate::codec::dbn;
use crate::codec::error::DecodeError;
use crate::codec::json::missing;
use crate::domain::{Observation, Price, Tick, UnixNanos};

pub(super) fn event(event: Event<'_>) -> Said {
    let header = event.get("hd");
    let header = Event::of(header.value.ok_or_else(|| missing("hd"))?)?;
    let rtype = header.get("rtype").whole()?;
    match u8::try_from(rtype).unwrap_or(u8::MAX) {
        dbn::MBP_0 | dbn::MBP_1 => match event.get("action").text()? {
            dbn::TRADE => trade(event, header).map(Observation::Tick),
            _ => Err(quote()),
        },
        kind => match dbn::interval(kind) {
            Some(interval) => {
                let ts = time(header.get("ts_event"))?;
                let prices = [
                    price(event.get("open"))?,
                    price(event.get("high"))?,
                    price(event.get("low"))?,
                    price(event.get("close"))?,
                ];
                let mut bar = field::bar(symbol(event)?, ts, interval, prices)?;
                bar.session = dbn::session(interval, ts);
                Ok(Observation::Bar(bar))
            }
            None => Err(not_acted_on(&format!("rtype {rtype}"))),
        },
    }
}

fn symbol(event: Event<'_>) -> Result<std::borrow::Cow<'static, str>, DecodeError> {
    if event.get("symbol").value.is_none() {
        return Err(DecodeError::malformed("missing_field", "symbol is missing: ask for it with map_symbols"));
    }
    event.get("symbol").symbol()
}

fn trade(event: Event<'_>, header: Event<'_>) -> Result<Tick<'static>, DecodeError> {
    Ok(Tick {
        size: event.get("size").size_if()?.filter(|size| *size < f64::from(u32::MAX)),
        venue: header.get("publisher_id").name_if()?,
        ..Tick::new(symbol(event)?, time(header.get("ts_event"))?, price(event.get("price"))?)
    })
}

fn time(field: Field<'_>) -> Result<UnixNanos, DecodeError> {
    let text = field.text()?;
    match text.parse::<u64>() {
        Ok(nanos) => field::nanos(nanos, 1, field.name),
        Err(_) => field.rfc3339(),
    }
}

/// Whole units of 1e-9, or a decimal number with its point.
fn price(field: Field<'_>) -> Result<Price, DecodeError> {
    let text = field.text()?;
    let wrong = || DecodeError::malformed("wrong_type", format!("{}: not a price", field.name));
    if text.contains('.') {
        return field::price(text.parse().map_err(|_| wrong())?, field.name);
    }
    dbn::price(text.parse().map_err(|_| wrong())?, field.name)
}
