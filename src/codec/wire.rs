//! The input record as serde sees it: every field of every record type, each optional.

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;

/// Event time: integer nanoseconds, or RFC 3339.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum WireTime {
    Nanos(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Time;
        impl Visitor<'_> for Time {
            type Value = WireTime;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("integer nanoseconds or an RFC 3339 text")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<WireTime, E> {
                Ok(WireTime::Nanos(v))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<WireTime, E> {
                i64::try_from(v).map(WireTime::Nanos).map_err(|_| E::custom("time is beyond the year 2262"))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<WireTime, E> {
                Ok(WireTime::Text(v.to_owned()))
            }
        }
        deserializer.deserialize_any(Time)
    }
}

/// A trade id: text or a whole number.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct WireId(pub(super) String);

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;
        impl Visitor<'_> for Id {
            type Value = WireId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<WireId, E> {
                Ok(WireId(v.to_string()))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<WireId, E> {
                Ok(WireId(v.to_string()))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<WireId, E> {
                Ok(WireId(v.to_owned()))
            }
        }
        deserializer.deserialize_any(Id)
    }
}

/// One input record. Unknown fields are ignored; known ones must have their type.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wire {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) symbol: Option<String>,
    pub(super) ts: Option<WireTime>,
    pub(super) price: Option<f64>,
    pub(super) size: Option<f64>,
    pub(super) seq: Option<u64>,
    pub(super) id: Option<WireId>,
    pub(super) tape: Option<String>,
    pub(super) venue: Option<String>,
    pub(super) cond: Option<Vec<String>>,
    pub(super) feed: Option<String>,
    pub(super) interval: Option<String>,
    pub(super) open: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) low: Option<f64>,
    pub(super) close: Option<f64>,
    pub(super) volume: Option<f64>,
    pub(super) vwap: Option<f64>,
    pub(super) trades: Option<f64>,
    pub(super) session: Option<String>,
    #[serde(rename = "final")]
    pub(super) is_final: Option<bool>,
    pub(super) basis: Option<String>,
    pub(super) ex_date: Option<String>,
    pub(super) ratio: Option<f64>,
    pub(super) amount: Option<f64>,
    pub(super) currency: Option<String>,
    pub(super) shares_outstanding: Option<f64>,
    pub(super) prev_close: Option<f64>,
    pub(super) sigma_daily: Option<f64>,
    pub(super) group: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) sector: Option<String>,
    pub(super) company: Option<String>,
    pub(super) reason: Option<String>,
    #[serde(rename = "kind")]
    pub(super) event_kind: Option<String>,
    pub(super) source: Option<String>,
    pub(super) text: Option<String>,
    pub(super) url: Option<String>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) shares: Option<Vec<f64>>,
    pub(super) overnight: Option<f64>,
    pub(super) sessions: Option<u32>,
}

#[cfg(feature = "protobuf")]
impl Wire {
    /// The first number that is none. JSON has no such numbers.
    pub(super) fn not_finite(&self) -> Option<&'static str> {
        let numbers = [
            ("price", self.price),
            ("size", self.size),
            ("open", self.open),
            ("high", self.high),
            ("low", self.low),
            ("close", self.close),
            ("volume", self.volume),
            ("vwap", self.vwap),
            ("trades", self.trades),
            ("ratio", self.ratio),
            ("amount", self.amount),
            ("shares_outstanding", self.shares_outstanding),
            ("prev_close", self.prev_close),
            ("sigma_daily", self.sigma_daily),
            ("lower", self.lower),
            ("upper", self.upper),
        ];
        numbers.into_iter().find(|(_, n)| n.is_some_and(|n| !n.is_finite())).map(|(name, _)| name)
    }
}
