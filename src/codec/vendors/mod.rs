//! Messages as market data vendors send them over their websockets, to observations.
//!
//! One message is one record, whole: an object, or a list of objects. It is read as JSON first, so a message that
//! is no JSON says nothing at all; then each event for itself. What carries no price, halt or limit (quotes,
//! acknowledgements, signs of life) is `ignored` with its reason. Nothing is remembered from one message to the
//! next. `docs/feeds.md` has the mapping of every field and what it was checked against.

mod alpaca;
mod conditions;
mod databento;
mod dxlink;
mod field;
mod finnhub;
mod polygon;
mod tiingo;
mod twelvedata;

pub use dxlink::Layouts;

use super::batch::{Batch, EVENTS_MAX};
use super::error::DecodeError;
use super::json::check_len;
use crate::domain::{Observation, TradingStatus};
use field::{Event, Field};
use serde_json::Value;
use std::sync::Arc;

/// Whose messages are read.
#[derive(Clone, Debug)]
pub enum Vendor {
    /// Polygon, now Massive: stocks websocket.
    Polygon,
    /// Alpaca: market data websocket, version 2.
    Alpaca,
    /// Databento: its JSON encoding, with symbols.
    Databento,
    /// Finnhub: trades websocket.
    Finnhub,
    /// Tiingo: IEX websocket.
    Tiingo,
    /// Twelve Data: price websocket.
    TwelveData,
    /// dxFeed by dxLink, with the fields that were asked for.
    DxLink(Arc<Layouts>),
}

/// What an event says, or why it is not taken.
type Said = Result<Observation<'static>, DecodeError>;

/// The events of a message, as far as they are taken.
#[derive(Default)]
struct Events(Vec<Said>);

impl Events {
    /// Adds one; an error when there are too many of them.
    fn push(&mut self, said: Said) -> Result<(), DecodeError> {
        if self.0.len() >= EVENTS_MAX {
            let detail = format!("more than {EVENTS_MAX} events in one record");
            return Err(DecodeError::malformed("too_many_events", detail));
        }
        self.0.push(said);
        Ok(())
    }
}

impl Vendor {
    /// Decodes one message.
    pub(super) fn decode(&self, value: &[u8]) -> Batch<'static> {
        match self.events(value) {
            Err(refusal) => Batch::one(Err(refusal)),
            Ok(events) => {
                let mut events = events.0.into_iter();
                match events.next() {
                    None => Batch::one(Err(DecodeError::ignored("no_events", "the message holds no event"))),
                    Some(first) => Batch { first, rest: events.collect() },
                }
            }
        }
    }

    fn events(&self, value: &[u8]) -> Result<Events, DecodeError> {
        check_len(value)?;
        let message: Value =
            serde_json::from_slice(value).map_err(|e| DecodeError::malformed("not_json", e.to_string()))?;
        let mut events = Events::default();
        match self {
            Self::Polygon => each(&message, polygon::event, &mut events)?,
            Self::Alpaca => each(&message, alpaca::event, &mut events)?,
            Self::Databento => each(&message, databento::event, &mut events)?,
            Self::Finnhub => finnhub::message(&message, &mut events)?,
            Self::Tiingo => each(&message, tiingo::event, &mut events)?,
            Self::TwelveData => each(&message, twelvedata::event, &mut events)?,
            Self::DxLink(layouts) => dxlink::message(&message, layouts, &mut events)?,
        }
        Ok(events)
    }
}

/// Reads a message that is one event or a list of them.
fn each(message: &Value, read: impl Fn(Event<'_>) -> Said, events: &mut Events) -> Result<(), DecodeError> {
    match message {
        Value::Array(list) => list.iter().try_for_each(|one| events.push(Event::of(one).and_then(&read))),
        one => events.push(Event::of(one).and_then(&read)),
    }
}

/// A quote, or another change of the order book.
fn quote() -> DecodeError {
    DecodeError::ignored("quote", "quotes are not read")
}

/// A message about the connection: acknowledgement, status, sign of life, configuration.
fn control() -> DecodeError {
    DecodeError::ignored("control", "a message about the connection")
}

/// An event that is known and says nothing this build acts on.
fn not_acted_on(what: &str) -> DecodeError {
    DecodeError::ignored("event_not_acted_on", format!("{what} is not read"))
}

/// An index, option, currency or coin.
fn not_a_stock(what: &str) -> DecodeError {
    DecodeError::ignored("not_a_stock", format!("{what} is not a stock"))
}

/// Limit down and limit up; where one of them is 0, no band is in force.
fn band(lower: Field<'_>, upper: Field<'_>) -> Result<TradingStatus, DecodeError> {
    if lower.real_if()? == Some(0.0) || upper.real_if()? == Some(0.0) {
        return Err(DecodeError::ignored("no_limits", "no price band is in force"));
    }
    let (lower, upper) = (lower.price()?, upper.price()?);
    if lower > upper {
        return Err(DecodeError::rejected("crossed_limits", "the lower limit is above the upper"));
    }
    Ok(TradingStatus::Limits { lower, upper })
}

/// A type nobody documents.
fn unknown_type(name: &str, found: &str) -> DecodeError {
    let shown: String = found.chars().take(32).collect();
    DecodeError::malformed("unknown_type", format!("{name} {shown:?} is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vendors() -> [Vendor; 7] {
        let layouts = Arc::new(Layouts::default());
        [
            Vendor::Polygon,
            Vendor::Alpaca,
            Vendor::Databento,
            Vendor::Finnhub,
            Vendor::Tiingo,
            Vendor::TwelveData,
            Vendor::DxLink(layouts),
        ]
    }

    #[test]
    fn what_is_no_message_is_refused_as_a_whole() {
        let long = vec![b' '; super::super::VALUE_LEN_MAX + 1];
        let many = format!("[{}0]", "0,".repeat(EVENTS_MAX));
        for vendor in vendors() {
            for (value, reason) in [
                (&b""[..], "tombstone"),
                (&long, "too_long"),
                (b"{", "not_json"),
                (b"{} {}", "not_json"),
                ("[".repeat(100_000).as_bytes(), "not_json"),
                (b"7", "wrong_type"),
                (b"null", "wrong_type"),
            ] {
                let batch = vendor.decode(value);
                assert_eq!(batch.first.as_ref().unwrap_err().reason, reason, "{vendor:?}");
                assert!(batch.rest.is_empty());
            }
            if !matches!(vendor, Vendor::Finnhub | Vendor::DxLink(_)) {
                assert_eq!(vendor.decode(b"[]").first.unwrap_err().reason, "no_events", "{vendor:?}");
                assert_eq!(vendor.decode(many.as_bytes()).first.unwrap_err().reason, "too_many_events");
                let full = vendor.decode(format!("[{}0]", "0,".repeat(EVENTS_MAX - 1)).as_bytes());
                assert_eq!(full.rest.len() + 1, EVENTS_MAX, "{vendor:?}");
            }
        }
    }

    /// Texts made of what messages are made of, so that most of them get past the JSON.
    fn message() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "ev",
            "T",
            "sym",
            "S",
            "p",
            "s",
            "t",
            "q",
            "i",
            "c",
            "z",
            "x",
            "h",
            "l",
            "o",
            "type",
            "data",
            "event",
            "hd",
            "rtype",
            "ts_event",
            "price",
            "size",
            "symbol",
            "action",
            "messageType",
            "service",
            "timestamp",
            "oi",
            "cp",
            "eventFields",
            "Trade",
            "lower",
            "u",
            "d",
            "sc",
            "ds",
        ]);
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
            prop::sample::select(vec![
                "\"T\"",
                "\"A\"",
                "\"AM\"",
                "\"LULD\"",
                "\"t\"",
                "\"x\"",
                "\"l\"",
                "\"trade\"",
                "\"price\"",
                "\"FEED_DATA\"",
                "\"FEED_CONFIG\"",
                "\"Trade\"",
                "\"TimeAndSale\"",
                "\"NaN\"",
                "\"iex\"",
                "\"1680001694559680187\"",
                "\"AAPL\"",
                "\"2021-02-22T15:51:44.208Z\"",
                "\"é\"",
                "[17]",
                "[0,12]",
                "true"
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..16).prop_map(|v| format!("[{}]", v.join(","))),
                prop::collection::vec((key.clone(), inner), 0..8).prop_map(|fields| {
                    let fields: Vec<String> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for vendor in vendors() {
                let _ = vendor.decode(&bytes);
            }
        }

        #[test]
        fn any_message_gives_a_value_or_an_error(text in message()) {
            for vendor in vendors() {
                let batch = vendor.decode(text.as_bytes());
                prop_assert!(batch.rest.len() < EVENTS_MAX);
            }
        }
    }
}
