//! dxFeed by dxLink: `FEED_DATA` in the COMPACT and the FULL form. Times in Unix milliseconds.
//!
//! A COMPACT row is a list of values without names. Their order is what the subscriber asked for when it set the
//! feed up; it has to be configured here, because the message that confirms it comes once a connection, and a
//! reader may begin anywhere behind it.

use super::field::{self, Event, Field, MILLIS};
use super::{Events, Said, control, not_acted_on, quote, unknown_type};
use crate::codec::error::DecodeError;
use crate::codec::json::missing;
use crate::domain::{Amendment, Conditions, Observation, PrintRef, Tick};
use serde_json::Value;

/// Events that are read, in the order of [`Layouts`].
const EVENTS: [&str; 3] = ["Trade", "TradeETH", "TimeAndSale"];
const EXTENDED: &str = "TradeETH";
const TIME_AND_SALE: &str = "TimeAndSale";
/// Fields of one event at most.
const FIELDS_MAX: usize = 64;
/// Bits of the number that tells events of one millisecond apart.
const SEQUENCE_BITS: u32 = 22;

/// The fields of each event, in the order in which the subscriber asked for them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Layouts([Vec<String>; 3]);

impl Layouts {
    /// Sets the fields of an event.
    ///
    /// # Errors
    /// For an event that is not read, and for a list that lacks what an event needs; the text says which.
    pub fn set(&mut self, event: &str, fields: &[String]) -> Result<(), String> {
        let at = EVENTS.iter().position(|e| *e == event);
        let at = at.ok_or_else(|| format!("is no event that is read, must be one of {}", EVENTS.join(", ")))?;
        if fields.len() > FIELDS_MAX {
            return Err(format!("has {} fields, must have at most {FIELDS_MAX}", fields.len()));
        }
        if fields.first().is_none_or(|f| f != "eventType") {
            return Err("must begin with eventType".to_owned());
        }
        for needed in ["eventSymbol", "time", "price"] {
            if !fields.iter().any(|f| f == needed) {
                return Err(format!("lacks {needed}"));
            }
        }
        if let Some((_, twice)) = fields.iter().enumerate().find(|(n, f)| fields[..*n].contains(f)) {
            return Err(format!("has {twice} twice"));
        }
        self.0[at] = fields.to_vec();
        Ok(())
    }

    fn of(&self, event: &str) -> Option<&[String]> {
        EVENTS.iter().position(|e| *e == event).map(|at| self.0[at].as_slice())
    }
}

/// One event, by names or by places.
#[derive(Clone, Copy)]
enum Source<'a> {
    Named(Event<'a>),
    Row { values: &'a [Value], fields: &'a [String] },
}

impl<'a> Source<'a> {
    /// A field; the text `NaN` stands for an unknown number.
    fn get(self, name: &'static str) -> Field<'a> {
        let field = match self {
            Self::Named(event) => event.get(name),
            Self::Row { values, fields } => {
                let at = fields.iter().position(|f| f == name);
                Field { name, value: at.and_then(|at| values.get(at)) }
            }
        };
        Field { value: field.value.filter(|v| !v.is_null() && v.as_str() != Some("NaN")), ..field }
    }
}

pub(super) fn message(message: &Value, layouts: &Layouts, events: &mut Events) -> Result<(), DecodeError> {
    let object = Event::of(message)?;
    match object.get("type").text()? {
        "FEED_DATA" => data(object.get("data").list()?, layouts, events),
        "FEED_CONFIG" => events.push(configuration(object, layouts)),
        "SETUP" | "AUTH" | "AUTH_STATE" | "KEEPALIVE" | "ERROR" | "FEED_SETUP" | "FEED_SUBSCRIPTION"
        | "CHANNEL_REQUEST" | "CHANNEL_OPENED" | "CHANNEL_CLOSED" | "CHANNEL_CANCEL" => events.push(Err(control())),
        other => Err(unknown_type("type", other)),
    }
}

/// Refuses a feed whose rows would be read at the wrong places.
fn configuration(object: Event<'_>, layouts: &Layouts) -> Said {
    if let Some(named) = object.get("eventFields").value {
        let named =
            named.as_object().ok_or_else(|| DecodeError::malformed("wrong_type", "eventFields: not an object"))?;
        for (event, fields) in named {
            let Some(expected) = layouts.of(event) else { continue };
            let fields = fields.as_array().map(Vec::as_slice).unwrap_or_default();
            if !fields.iter().map(Value::as_str).eq(expected.iter().map(|f| Some(f.as_str()))) {
                let detail = format!("the feed's fields of {event} are not those of input.dxlink.{event}");
                return Err(DecodeError::rejected("field_layout", detail));
            }
        }
    }
    Err(control())
}

fn data(data: &[Value], layouts: &Layouts, events: &mut Events) -> Result<(), DecodeError> {
    let mut values = data.iter();
    while let Some(value) = values.next() {
        if let Ok(object) = Event::of(value) {
            let kind = object.get("eventType");
            events.push(kind.text().and_then(|kind| event(kind, Source::Named(object))))?;
            continue;
        }
        let (Some(kind), Some(rows)) = (value.as_str(), values.next().and_then(Value::as_array)) else {
            return Err(DecodeError::malformed("wrong_type", "data: neither objects nor names with their lists"));
        };
        let Some(fields) = layouts.of(kind) else {
            events.push(Err(not_read(kind)))?;
            continue;
        };
        if fields.is_empty() || rows.len() % fields.len() != 0 {
            let detail = format!("{kind}: {} values are no rows of {} fields", rows.len(), fields.len());
            events.push(Err(DecodeError::malformed("field_layout", detail)))?;
            continue;
        }
        for values in rows.chunks(fields.len()) {
            events.push(if values[0].as_str() == Some(kind) {
                event(kind, Source::Row { values, fields })
            } else {
                Err(DecodeError::malformed("field_layout", format!("{kind}: a row does not begin with its name")))
            })?;
        }
    }
    Ok(())
}

fn not_read(kind: &str) -> DecodeError {
    if kind == "Quote" {
        return quote();
    }
    not_acted_on(kind.chars().take(32).collect::<String>().as_str())
}

fn event(kind: &str, source: Source<'_>) -> Said {
    if !EVENTS.contains(&kind) {
        return Err(not_read(kind));
    }
    let symbol = source.get("eventSymbol").symbol()?;
    let time = source.get("time");
    let Some(millis) = time.whole_if()? else {
        return Err(DecodeError::malformed("missing_field", "time is missing: ask for it in acceptEventFields"));
    };
    let nanos = source.get("timeNanoPart").whole_if()?.unwrap_or_default();
    let ts = field::nanos(millis, MILLIS, time.name)?.plus(i64::try_from(nanos.min(MILLIS - 1)).unwrap_or_default());
    let size = source.get("size").size_if()?;
    let id = source.get("index").name_if()?;
    if kind == TIME_AND_SALE {
        let price = match source.get("type").text_if()? {
            None | Some("NEW") => None,
            Some("CANCEL") => Some(None),
            Some("CORRECTION") => Some(Some(source.get("price").price()?)),
            Some(other) => return Err(unknown_type("type", other)),
        };
        if let Some(price) = price {
            let print = PrintRef::Id(id.ok_or_else(|| missing("index"))?);
            return Ok(Observation::Amendment(Amendment { symbol, ts, print, price, size, feed: None }));
        }
    }
    if source.get("price").value.is_none() {
        return Err(DecodeError::ignored("no_price", "no trade has been reported yet"));
    }
    let mut tick = Tick::new(symbol, ts, source.get("price").price()?);
    tick.size = size;
    tick.seq = sequence(source.get("sequence"), millis)?;
    tick.id = id;
    tick.venue = source.get("exchangeCode").name_if()?.filter(|code| !matches!(&**code, " " | "\0"));
    tick.cond = conditions(kind, source)?;
    Ok(Observation::Tick(tick))
}

/// Events of one millisecond are told apart by a number of 22 bits: behind the time, it grows for ever.
fn sequence(field: Field<'_>, millis: u64) -> Result<Option<u64>, DecodeError> {
    let Some(sequence) = field.whole_if()? else { return Ok(None) };
    if sequence >> SEQUENCE_BITS != 0 {
        return Err(DecodeError::rejected("out_of_bounds", format!("sequence is not below 2^{SEQUENCE_BITS}")));
    }
    Ok(millis.checked_mul(1 << SEQUENCE_BITS).map(|time| time | sequence))
}

/// The tape's codes, one character each; blanks are places of the tape's form without a code.
fn conditions(kind: &str, source: Source<'_>) -> Result<Conditions, DecodeError> {
    let mut cond = Conditions::NONE;
    let text = source.get("exchangeSaleConditions").text_if()?.unwrap_or_default();
    for code in text.chars().filter(|c| *c != ' ' && *c != '\0') {
        field::push_text(&mut cond, code.encode_utf8(&mut [0; 4]))?;
    }
    let flag = |name| source.get(name).value.and_then(Value::as_bool);
    let is_extended = kind == EXTENDED || flag("extendedTradingHours") == Some(true);
    if is_extended && !text.contains(['T', 'U']) {
        field::push_text(&mut cond, "T")?;
    }
    // dxFeed's own word that the price must not count; no tape has a code for it.
    if flag("validTick") == Some(false) {
        field::push_text(&mut cond, "?nvt")?;
    }
    Ok(cond)
}
