//! The log that groups follow when no lane reads all of their members: `fragility.member.v1`.

use super::error::DecodeError;
use crate::cluster::{MemberAmend, MemberClose, MemberEvent, MemberRecord, MemberUpdate};
use crate::domain::{CloseBasis, Reading, SessionDate, Symbol, UnixNanos, Unknown};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Name and version of a member record's format.
pub const MEMBER_SCHEMA: &str = "fragility.member.v1";
/// Readings of an amendment that are believed at most.
const READINGS_MAX: usize = 4_096;

#[derive(Serialize, Deserialize)]
struct RecordJson<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    group: Cow<'a, str>,
    input: InputJson,
    #[serde(flatten)]
    event: EventJson,
}

#[derive(Serialize, Deserialize)]
struct InputJson {
    partition: i32,
    partitions: i32,
    offset: i64,
    index: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum EventJson {
    Price {
        member: MemberJson,
        at: i64,
        fresh_until: i64,
    },
    Close {
        member: MemberJson,
        basis: Option<u8>,
    },
    Amend {
        symbol: String,
        session: String,
        from: i64,
        at: i64,
        unknown_until: i64,
        breached_at: Option<i64>,
        readings: Vec<AtJson>,
    },
    Reached {
        event_time: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct MemberJson {
    symbol: String,
    session: String,
    log_return: KnownJson,
    z: KnownJson,
    market_value: Option<f64>,
    #[serde(default)]
    shares: Option<f64>,
    breached_at: Option<i64>,
    source: Option<(i32, i64)>,
}

#[derive(Serialize, Deserialize)]
struct AtJson {
    at: i64,
    log_return: KnownJson,
    z: KnownJson,
}

/// A number, or the reason why it is not known.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KnownJson {
    Number(f64),
    Reason(String),
}

impl From<Reading> for KnownJson {
    fn from(reading: Reading) -> Self {
        match reading {
            Ok(number) => Self::Number(number),
            Err(reason) => Self::Reason(reason.name().to_owned()),
        }
    }
}

impl KnownJson {
    fn reading(&self) -> Option<Reading> {
        match self {
            Self::Number(number) => number.is_finite().then_some(Ok(*number)),
            // A reason of a newer build. The number is as unknown: refusing the record would leave the one before it
            // standing.
            Self::Reason(name) => Some(Err(Unknown::from_name(name).unwrap_or(Unknown::NotComputed))),
        }
    }
}

/// Appends a record as JSON; numbers come back bit by bit.
pub fn encode_member(record: &MemberRecord, out: &mut Vec<u8>) {
    let event = match &record.event {
        MemberEvent::Price(u) => EventJson::Price {
            member: MemberJson {
                symbol: u.symbol.to_string(),
                session: u.session.to_string(),
                log_return: u.log_return.into(),
                z: u.z.into(),
                market_value: u.market_value,
                shares: u.shares,
                breached_at: u.breached_at.map(|t| t.0),
                source: u.source,
            },
            at: u.at.0,
            fresh_until: u.fresh_until.0,
        },
        MemberEvent::Close(c) => EventJson::Close {
            member: MemberJson {
                symbol: c.symbol.to_string(),
                session: c.session.to_string(),
                log_return: c.log_return.into(),
                z: c.z.into(),
                market_value: c.market_value,
                shares: c.shares,
                breached_at: c.breached_at.map(|t| t.0),
                source: c.source,
            },
            basis: c.basis.map(CloseBasis::number),
        },
        MemberEvent::Amend(a) => EventJson::Amend {
            symbol: a.symbol.to_string(),
            session: a.session.to_string(),
            from: a.from.0,
            at: a.at.0,
            unknown_until: a.unknown_until.0,
            breached_at: a.breached_at.map(|t| t.0),
            readings: a
                .readings
                .iter()
                .map(|(at, r, z)| AtJson { at: at.0, log_return: (*r).into(), z: (*z).into() })
                .collect(),
        },
        MemberEvent::Reached(time) => EventJson::Reached { event_time: time.0 },
    };
    let json = RecordJson {
        schema: MEMBER_SCHEMA.into(),
        group: (&*record.group).into(),
        input: InputJson {
            partition: record.input,
            partitions: record.inputs,
            offset: record.offset,
            index: record.index,
        },
        event,
    };
    let _ = serde_json::to_writer(out, &json);
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not one.
pub fn decode_member(bytes: &[u8]) -> Result<MemberRecord, DecodeError> {
    let malformed = |what: &str| DecodeError::malformed("member", what.to_owned());
    let json: RecordJson<'_> = serde_json::from_slice(bytes).map_err(|e| malformed(&e.to_string()))?;
    if json.schema != MEMBER_SCHEMA {
        return Err(malformed("not a record of this schema"));
    }
    let event = event(json.event).ok_or_else(|| malformed("a symbol, session, reason or number is impossible"))?;
    Ok(MemberRecord {
        group: Arc::from(&*json.group),
        input: json.input.partition,
        inputs: json.input.partitions,
        offset: json.input.offset,
        index: json.input.index,
        event,
    })
}

fn event(json: EventJson) -> Option<MemberEvent> {
    let date = |text: &str| text.parse::<SessionDate>().ok();
    Some(match json {
        EventJson::Price { member: m, at, fresh_until } => MemberEvent::Price(MemberUpdate {
            symbol: Symbol::new(&m.symbol).ok()?,
            at: UnixNanos(at),
            session: date(&m.session)?,
            log_return: m.log_return.reading()?,
            z: m.z.reading()?,
            market_value: m.market_value.filter(|v| v.is_finite()),
            shares: m.shares.filter(|s| s.is_finite()),
            breached_at: m.breached_at.map(UnixNanos),
            source: m.source,
            fresh_until: UnixNanos(fresh_until),
        }),
        EventJson::Close { member: m, basis } => MemberEvent::Close(MemberClose {
            symbol: Symbol::new(&m.symbol).ok()?,
            session: date(&m.session)?,
            log_return: m.log_return.reading()?,
            z: m.z.reading()?,
            market_value: m.market_value.filter(|v| v.is_finite()),
            shares: m.shares.filter(|s| s.is_finite()),
            // One of a newer build counts as none, which is the weakest.
            basis: basis.and_then(CloseBasis::from_number),
            breached_at: m.breached_at.map(UnixNanos),
            source: m.source,
            is_history: false,
        }),
        EventJson::Amend { symbol, session, from, at, unknown_until, breached_at, readings } => {
            if readings.len() > READINGS_MAX {
                return None;
            }
            let reading = |r: &AtJson| Some((UnixNanos(r.at), r.log_return.reading()?, r.z.reading()?));
            MemberEvent::Amend(MemberAmend {
                symbol: Symbol::new(&symbol).ok()?,
                session: date(&session)?,
                from: UnixNanos(from),
                at: UnixNanos(at),
                unknown_until: UnixNanos(unknown_until),
                breached_at: breached_at.map(UnixNanos),
                readings: readings.iter().map(reading).collect::<Option<_>>()?,
            })
        }
        EventJson::Reached { event_time } => MemberEvent::Reached(UnixNanos(event_time)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(event: MemberEvent) {
        let record = MemberRecord { group: "mag7".into(), input: 3, inputs: 8, offset: i64::MAX, index: 2, event };
        let mut bytes = Vec::new();
        encode_member(&record, &mut bytes);
        assert_eq!(decode_member(&bytes).unwrap(), record, "{}", String::from_utf8_lossy(&bytes));
    }

    fn update(log_return: Reading) -> MemberUpdate {
        MemberUpdate {
            symbol: Symbol::new("BRK.B").unwrap(),
            at: UnixNanos(1_738_000_000_000_000_000),
            session: "2025-01-27".parse().unwrap(),
            log_return,
            z: Err(Unknown::Warming),
            market_value: Some(1.1e12),
            shares: Some(2.2e9),
            breached_at: Some(UnixNanos(5)),
            source: Some((1, 2)),
            fresh_until: UnixNanos(i64::MAX),
        }
    }

    #[test]
    fn what_is_written_comes_back() {
        check(MemberEvent::Price(update(Ok(-0.185_991_123_456_789))));
        check(MemberEvent::Price(update(Err(Unknown::SuspectedSplit))));
        check(MemberEvent::Reached(UnixNanos(-1)));
        let session = "2025-01-27".parse().unwrap();
        let readings = vec![(UnixNanos(7), Ok(0.1 + 0.2), Ok(-1e-300)), (UnixNanos(9), Err(Unknown::NotYet), Ok(0.0))];
        let symbol = Symbol::new("A").unwrap();
        let (from, at) = (UnixNanos(1), UnixNanos(2));
        check(MemberEvent::Amend(MemberAmend {
            symbol: symbol.clone(),
            session,
            from,
            at,
            unknown_until: UnixNanos(-8),
            breached_at: None,
            readings,
        }));
        check(MemberEvent::Close(MemberClose {
            symbol,
            session,
            log_return: Ok(0.1),
            z: Ok(3.0),
            market_value: None,
            shares: None,
            basis: Some(CloseBasis::Official),
            breached_at: None,
            source: None,
            is_history: false,
        }));
    }

    /// A record of a newer build, with what this one does not know, says what it said all the same.
    #[test]
    fn fields_reasons_and_bases_of_a_newer_build_are_no_obstacle() {
        let member = r#""symbol":"A","session":"2025-01-27","log_return":0.25,"z":"A_NEWER_REASON","market_value":null,"breached_at":null,"source":null,"newer":[1]"#;
        let record = |schema: &str, event: &str| {
            format!(
                r#"{{"schema":"{schema}","group":"mag7","newer":{{"x":1}},"input":{{"partition":3,"partitions":8,"offset":9,"index":0,"newer":1}},{event}}}"#
            )
        };
        let close = record(MEMBER_SCHEMA, &format!(r#""kind":"close","member":{{{member}}},"basis":9,"later":true"#));
        let MemberEvent::Close(close) = decode_member(close.as_bytes()).unwrap().event else { panic!("no close") };
        assert_eq!((close.log_return, close.z, close.basis), (Ok(0.25), Err(Unknown::NotComputed), None));
        let price = format!(r#""kind":"price","member":{{{member}}},"at":1,"fresh_until":2"#);
        let known = record(MEMBER_SCHEMA, &price);
        assert!(matches!(decode_member(known.as_bytes()).unwrap().event, MemberEvent::Price(_)));
        // What is not of this version, or of no kind that there is, is refused with its reason, and no more than that.
        for (schema, event) in [("fragility.member.v2", &*price), (MEMBER_SCHEMA, r#""kind":"newer","event_time":1"#)] {
            let error = decode_member(record(schema, event).as_bytes()).unwrap_err();
            assert_eq!((error.reason, error.outcome), ("member", crate::domain::Outcome::Malformed));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode_member(&bytes);
        }

        #[test]
        fn every_number_comes_back_bit_by_bit(log_return in -1e300_f64..1e300) {
            check(MemberEvent::Price(update(Ok(log_return))));
        }
    }
}
