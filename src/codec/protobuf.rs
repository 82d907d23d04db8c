//! Native records in Protobuf, as `schemas/market.proto` has them.
//!
//! The schema's id is not looked up: Protobuf fields carry their numbers, so any schema that keeps those of
//! `market.proto` is read. The index after the id says which message of the file it is.

use super::confluent::{schema_id, zigzag};
use super::error::DecodeError;
use super::json::observation;
use super::wire::{Wire, WireId, WireTime};
use crate::domain::Observation;
use prost::Message;

/// Messages within messages in an index; the records are at the top.
const INDEX_LEN_MAX: i64 = 8;

/// `Record`, the first message of the file: one of the others.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Tick(Tick),
    #[prost(message, tag = "2")]
    Bar(Bar),
    #[prost(message, tag = "3")]
    Close(Close),
    #[prost(message, tag = "4")]
    Amendment(Amendment),
    #[prost(message, tag = "5")]
    Status(Status),
    #[prost(message, tag = "6")]
    Heartbeat(Heartbeat),
    #[prost(message, tag = "7")]
    Reference(Reference),
}

#[derive(Clone, PartialEq, Message)]
struct Tick {
    #[prost(string, optional, tag = "1")]
    symbol: Option<String>,
    #[prost(int64, optional, tag = "2")]
    ts: Option<i64>,
    #[prost(double, optional, tag = "3")]
    price: Option<f64>,
    #[prost(double, optional, tag = "4")]
    size: Option<f64>,
    #[prost(uint64, optional, tag = "5")]
    seq: Option<u64>,
    #[prost(string, optional, tag = "6")]
    id: Option<String>,
    #[prost(string, optional, tag = "7")]
    tape: Option<String>,
    #[prost(string, optional, tag = "8")]
    venue: Option<String>,
    #[prost(string, repeated, tag = "9")]
    cond: Vec<String>,
    #[prost(string, optional, tag = "10")]
    feed: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Bar {
    #[prost(string, optional, tag = "1")]
    symbol: Option<String>,
    #[prost(int64, optional, tag = "2")]
    ts: Option<i64>,
    #[prost(string, optional, tag = "3")]
    interval: Option<String>,
    #[prost(double, optional, tag = "4")]
    open: Option<f64>,
    #[prost(double, optional, tag = "5")]
    high: Option<f64>,
    #[prost(double, optional, tag = "6")]
    low: Option<f64>,
    #[prost(double, optional, tag = "7")]
    close: Option<f64>,
    #[prost(double, optional, tag = "8")]
    volume: Option<f64>,
    #[prost(double, optional, tag = "9")]
    vwap: Option<f64>,
    #[prost(double, optional, tag = "10")]
    trades: Option<f64>,
    #[prost(string, optional, tag = "11")]
    session: Option<String>,
    #[prost(bool, optional, tag = "12")]
    is_final: Option<bool>,
    #[prost(uint64, optional, tag = "13")]
    seq: Option<u64>,
    #[prost(string, optional, tag = "14")]
    feed: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Close {
    #[prost(string, optional, tag = "1")]
    symbol: Option<String>,
    #[prost(string, optional, tag = "2")]
    session: Option<String>,
    #[prost(double, optional, tag = "3")]
    price: Option<f64>,
    #[prost(int64, optional, tag = "4")]
    ts: Option<i64>,
    #[prost(double, optional, tag = "5")]
    volume: Option<f64>,
    #[prost(string, optional, tag = "6")]
    basis: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Amendment {
    #[prost(string, optional, tag = "1")]
    kind: Option<String>,
    #[prost(string, optional, tag = "2")]
    symbol: Option<String>,
    #[prost(int64, optional, tag = "3")]
    ts: Option<i64>,
    #[prost(string, optional, tag = "4")]
    id: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    seq: Option<u64>,
    #[prost(double, optional, tag = "6")]
    price: Option<f64>,
    #[prost(double, optional, tag = "7")]
    size: Option<f64>,
    #[prost(string, optional, tag = "8")]
    feed: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, optional, tag = "1")]
    kind: Option<String>,
    #[prost(string, optional, tag = "2")]
    symbol: Option<String>,
    #[prost(int64, optional, tag = "3")]
    ts: Option<i64>,
    #[prost(string, optional, tag = "4")]
    reason: Option<String>,
    #[prost(double, optional, tag = "5")]
    lower: Option<f64>,
    #[prost(double, optional, tag = "6")]
    upper: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Heartbeat {
    #[prost(int64, optional, tag = "1")]
    ts: Option<i64>,
    #[prost(string, optional, tag = "2")]
    feed: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Reference {
    #[prost(string, optional, tag = "1")]
    kind: Option<String>,
    #[prost(string, optional, tag = "2")]
    symbol: Option<String>,
    #[prost(string, optional, tag = "3")]
    session: Option<String>,
    #[prost(string, optional, tag = "4")]
    ex_date: Option<String>,
    #[prost(double, optional, tag = "5")]
    ratio: Option<f64>,
    #[prost(double, optional, tag = "6")]
    amount: Option<f64>,
    #[prost(string, optional, tag = "7")]
    currency: Option<String>,
    #[prost(double, optional, tag = "8")]
    shares_outstanding: Option<f64>,
    #[prost(double, optional, tag = "9")]
    prev_close: Option<f64>,
    #[prost(double, optional, tag = "10")]
    sigma_daily: Option<f64>,
    #[prost(string, optional, tag = "11")]
    group: Option<String>,
    #[prost(string, optional, tag = "12")]
    from: Option<String>,
    #[prost(string, optional, tag = "13")]
    to: Option<String>,
    #[prost(string, optional, tag = "14")]
    company: Option<String>,
    #[prost(string, optional, tag = "15")]
    sector: Option<String>,
    #[prost(string, optional, tag = "16")]
    event_kind: Option<String>,
    #[prost(string, optional, tag = "17")]
    source: Option<String>,
    #[prost(string, optional, tag = "18")]
    text: Option<String>,
    #[prost(string, optional, tag = "19")]
    url: Option<String>,
    #[prost(int64, optional, tag = "20")]
    ts: Option<i64>,
}

/// Decodes one record value.
///
/// # Errors
/// As [`super::decode`], and `rejected` for an index that names none of the messages.
pub(super) fn decode(value: &[u8]) -> Result<Observation<'static>, DecodeError> {
    let (_, mut bytes) = schema_id(value)?;
    let index = index(&mut bytes).ok_or_else(|| {
        DecodeError::malformed("not_protobuf", "the message index after the schema id breaks off or is out of bounds")
    })?;
    let kind = match index.as_slice() {
        [0] => message::<Record>(bytes)?.kind,
        [1] => Some(Kind::Tick(message(bytes)?)),
        [2] => Some(Kind::Bar(message(bytes)?)),
        [3] => Some(Kind::Close(message(bytes)?)),
        [4] => Some(Kind::Amendment(message(bytes)?)),
        [5] => Some(Kind::Status(message(bytes)?)),
        [6] => Some(Kind::Heartbeat(message(bytes)?)),
        [7] => Some(Kind::Reference(message(bytes)?)),
        _ => {
            let detail = format!("message index {index:?} names no message of schemas/market.proto");
            return Err(DecodeError::rejected("unknown_schema", detail));
        }
    };
    let kind = kind.ok_or_else(|| DecodeError::malformed("missing_field", "the record holds none of its messages"))?;
    let wire = wire(kind);
    if let Some(name) = wire.not_finite() {
        return Err(DecodeError::malformed("wrong_type", format!("{name}: not a finite number")));
    }
    observation(&wire)
}

/// Which message of the file: a count and so many numbers, or one zero for the first.
fn index(bytes: &mut &[u8]) -> Option<Vec<i64>> {
    let count = zigzag(bytes)?;
    if count == 0 {
        return Some(vec![0]);
    }
    if !(1..=INDEX_LEN_MAX).contains(&count) {
        return None;
    }
    (0..count).map(|_| zigzag(bytes)).collect()
}

fn message<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|e| DecodeError::malformed("not_protobuf", e.to_string()))
}

/// The record as JSON would have it, so that one place says what it means.
fn wire(kind: Kind) -> Wire {
    let time = |ts: Option<i64>| ts.map(WireTime::Nanos);
    match kind {
        Kind::Tick(m) => Wire {
            kind: Some("tick".to_owned()),
            symbol: m.symbol,
            ts: time(m.ts),
            price: m.price,
            size: m.size,
            seq: m.seq,
            id: m.id.map(WireId),
            tape: m.tape,
            venue: m.venue,
            cond: Some(m.cond),
            feed: m.feed,
            ..Wire::default()
        },
        Kind::Bar(m) => Wire {
            kind: Some("bar".to_owned()),
            symbol: m.symbol,
            ts: time(m.ts),
            interval: m.interval,
            open: m.open,
            high: m.high,
            low: m.low,
            close: m.close,
            volume: m.volume,
            vwap: m.vwap,
            trades: m.trades,
            session: m.session,
            is_final: m.is_final,
            seq: m.seq,
            feed: m.feed,
            ..Wire::default()
        },
        Kind::Close(m) => Wire {
            kind: Some("close".to_owned()),
            symbol: m.symbol,
            session: m.session,
            price: m.price,
            ts: time(m.ts),
            volume: m.volume,
            basis: m.basis,
            ..Wire::default()
        },
        Kind::Amendment(m) => Wire {
            kind: m.kind,
            symbol: m.symbol,
            ts: time(m.ts),
            id: m.id.map(WireId),
            seq: m.seq,
            price: m.price,
            size: m.size,
            feed: m.feed,
            ..Wire::default()
        },
        Kind::Status(m) => Wire {
            kind: m.kind,
            symbol: m.symbol,
            ts: time(m.ts),
            reason: m.reason,
            lower: m.lower,
            upper: m.upper,
            ..Wire::default()
        },
        Kind::Heartbeat(m) => {
            Wire { kind: Some("heartbeat".to_owned()), ts: time(m.ts), feed: m.feed, ..Wire::default() }
        }
        Kind::Reference(m) => Wire {
            kind: m.kind,
            symbol: m.symbol,
            session: m.session,
            ex_date: m.ex_date,
            ratio: m.ratio,
            amount: m.amount,
            currency: m.currency,
            shares_outstanding: m.shares_outstanding,
            prev_close: m.prev_close,
            sigma_daily: m.sigma_daily,
            group: m.group,
            from: m.from,
            to: m.to,
            company: m.company,
            sector: m.sector,
            event_kind: m.event_kind,
            source: m.source,
            text: m.text,
            url: m.url,
            ts: time(m.ts),
            ..Wire::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: &[u8], reason: &str) {
        assert_eq!(decode(value).map_or_else(|e| e.reason, |_| "decoded"), reason, "{value:?}");
    }

    #[test]
    fn each_kind_of_bad_record_has_its_reason() {
        check(b"", "tombstone");
        check(b"{\"type\":\"tick\"}", "no_schema_id");
        check(&[0, 0, 0, 0, 1], "not_protobuf");
        check(&[0, 0, 0, 0, 1, 0], "missing_field");
        // Two numbers of index, and one of them is missing.
        check(&[0, 0, 0, 0, 1, 4, 0], "not_protobuf");
        check(&[0, 0, 0, 0, 1, 2, 16], "unknown_schema");
        check(&[0, 0, 0, 0, 1, 200, 1], "not_protobuf");
        check(&[0, 0, 0, 0, 1, 2, 2], "missing_field");
        // A symbol of 2^28 bytes.
        check(&[0, 0, 0, 0, 1, 2, 2, 0x0a, 0x80, 0x80, 0x80, 0x80, 0x01], "not_protobuf");
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let mut value = vec![0, 0, 0, 0, 1, 2, 2];
        let tick = Tick {
            symbol: Some("A".to_owned()),
            ts: Some(1),
            price: Some(1.0),
            size: Some(f64::NAN),
            ..Tick::default()
        };
        tick.encode(&mut value).unwrap();
        let error = decode(&value).unwrap_err();
        assert_eq!((error.reason, &*error.detail), ("wrong_type", "size: not a finite number"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(
            index in 0_u8..10,
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..24], 0..120),
        ) {
            let mut value = vec![0, 0, 0, 0, 1, 2, index * 2];
            value.extend(&bytes);
            let _ = decode(&value);
            let _ = decode(&bytes);
        }
    }
}
