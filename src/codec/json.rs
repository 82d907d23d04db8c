//! One JSON input record to an observation.

use super::error::DecodeError;
use super::scan;
use super::wire::{Wire, WireTime};
use crate::domain::{
    Amendment, Bar, CURVE_BUCKETS, CloseBasis, ConditionCode, Conditions, CurveTarget, DividendKind, Event, EventAt,
    Heartbeat, Interval, Observation, Outcome, Price, PrintRef, Reference, SessionDate, Status, Symbol, Tape, Tick,
    TradingStatus, UnixNanos,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Longest value that is read; longer ones are malformed without a look inside.
pub const VALUE_LEN_MAX: usize = 256 * 1024;

/// Longest accepted name or id: feed, group, venue, trade id.
pub(super) const NAME_LEN_MAX: usize = 64;

/// Longest accepted text of an event.
const TEXT_LEN_MAX: usize = 1_024;

/// Decodes one record value.
///
/// # Errors
/// `tombstone` for no bytes, `malformed` for what is not a record, `rejected` for impossible values; the
/// error names the field.
#[inline]
pub fn decode(value: &[u8]) -> Result<Observation<'_>, DecodeError> {
    match scan::tick(value).filter(|_| value.len() <= VALUE_LEN_MAX) {
        Some(tick) => Ok(Observation::Tick(tick)),
        None => decode_any(value),
    }
}

#[cold]
fn decode_any(value: &[u8]) -> Result<Observation<'static>, DecodeError> {
    check_len(value)?;
    // A list would be read as the fields by position.
    if value.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Err(DecodeError::malformed("wrong_type", "the record is a list, not an object"));
    }
    let wire: Wire = serde_json::from_slice(value).map_err(|_| explain(value))?;
    observation(&wire)
}

/// Whether there is something to read, and not too much.
pub(super) fn check_len(value: &[u8]) -> Result<(), DecodeError> {
    if value.is_empty() {
        let detail = Cow::Borrowed("the record has no value");
        return Err(DecodeError { outcome: Outcome::Tombstone, reason: "tombstone", detail });
    }
    if value.len() > VALUE_LEN_MAX {
        let detail = format!("value has {} bytes, at most {VALUE_LEN_MAX} are read", value.len());
        return Err(DecodeError::malformed("too_long", detail));
    }
    Ok(())
}

/// Decodes again, slowly, to name the field at fault.
fn explain(value: &[u8]) -> DecodeError {
    let mut deserializer = serde_json::Deserializer::from_slice(value);
    match serde_path_to_error::deserialize::<_, Wire>(&mut deserializer) {
        Err(error) if error.inner().is_data() => {
            DecodeError::malformed("wrong_type", format!("{}: {}", error.path(), error.inner()))
        }
        Err(error) => DecodeError::malformed("not_json", error.inner().to_string()),
        Ok(_) => DecodeError::malformed("not_json", "there is something after the record"),
    }
}

/// Checks a decoded record and gives it its meaning.
pub(super) fn observation(wire: &Wire) -> Result<Observation<'static>, DecodeError> {
    let kind = wire.kind.as_deref().ok_or_else(|| missing("type"))?;
    if wire.size.is_some_and(|s| s <= 0.0) {
        return Err(DecodeError::rejected("size", "size is not positive"));
    }
    if wire.volume.is_some_and(|v| v < 0.0) {
        return Err(DecodeError::rejected("volume", "volume is negative"));
    }
    Ok(match kind {
        "tick" => Observation::Tick(tick(wire)?),
        "bar" => Observation::Bar(bar(wire)?),
        "heartbeat" => Observation::Heartbeat(Heartbeat { ts: time(wire)?, feed: feed(wire)? }),
        "close" | "split" | "dividend" | "shares" | "reference" | "member" | "leave" | "rename" | "event" | "curve" => {
            Observation::Reference(reference(kind, wire)?)
        }
        "cancel" | "correct" => Observation::Amendment(amendment(kind, wire)?),
        "halt" | "resume" | "limits" => Observation::Status(status(kind, wire)?),
        other => {
            let shown: String = other.chars().take(32).collect();
            return Err(DecodeError::malformed("unknown_type", format!("type {shown:?} is not known")));
        }
    })
}

/// A print taken back (`cancel`) or replaced (`correct`).
fn amendment(kind: &str, wire: &Wire) -> Result<Amendment<'static>, DecodeError> {
    let print = match (&wire.id, wire.seq) {
        (Some(id), _) => PrintRef::Id(Cow::Owned(bounded(&id.0, "id")?)),
        (None, Some(seq)) => PrintRef::Seq(seq),
        (None, None) => return Err(missing("id or seq")),
    };
    Ok(Amendment {
        symbol: Cow::Owned(symbol_text(wire)?),
        ts: time(wire)?,
        print,
        price: if kind == "correct" { Some(price(wire.price, "price")?) } else { None },
        size: wire.size,
        feed: feed(wire)?,
    })
}

fn status(kind: &str, wire: &Wire) -> Result<Status<'static>, DecodeError> {
    let status = match kind {
        "halt" => TradingStatus::Halted,
        "resume" => TradingStatus::Resumed,
        _ => {
            let (lower, upper) = (price(wire.lower, "lower")?, price(wire.upper, "upper")?);
            if lower > upper {
                return Err(DecodeError::rejected("crossed_limits", "lower is above upper"));
            }
            TradingStatus::Limits { lower, upper }
        }
    };
    let reason = wire.reason.as_ref().map(|r| bounded(r, "reason").map(Cow::Owned)).transpose()?;
    Ok(Status { symbol: Cow::Owned(symbol_text(wire)?), ts: time(wire)?, status, reason })
}

fn event(symbol: Symbol, wire: &Wire) -> Result<Reference, DecodeError> {
    let at = match &wire.ts {
        Some(ts) => EventAt::Time(instant(ts)?),
        None => EventAt::Session(date(wire.session.as_deref(), "session")?),
    };
    let named = |field: &Option<String>, name| bounded(field.as_ref().ok_or_else(|| missing(name))?, name);
    let told = |field: &Option<String>, name| match field {
        Some(text) if text.len() > TEXT_LEN_MAX => {
            Err(DecodeError::rejected(name, format!("{name} is longer than {TEXT_LEN_MAX} bytes")))
        }
        other => Ok(other.clone()),
    };
    let event = Event {
        kind: named(&wire.event_kind, "kind")?,
        source: named(&wire.source, "source")?,
        text: told(&wire.text, "text")?,
        url: told(&wire.url, "url")?,
    };
    Ok(Reference::Event { symbol, at, event: Arc::new(event) })
}

/// A learned diurnal curve of a group or a symbol.
fn curve(wire: &Wire) -> Result<Reference, DecodeError> {
    let target = match (&wire.group, &wire.symbol) {
        (Some(group), None) => CurveTarget::Group(bounded(group, "group")?),
        (None, Some(_)) => CurveTarget::Symbol(symbol(wire)?),
        (None, None) => return Err(missing("group or symbol")),
        (Some(_), Some(_)) => return Err(DecodeError::rejected("group", "a curve is of a group or of a symbol")),
    };
    let list = wire.shares.as_ref().ok_or_else(|| missing("shares"))?;
    let shares: Option<[f64; CURVE_BUCKETS]> = list.clone().try_into().ok();
    let possible = |s: &[f64; CURVE_BUCKETS]| s.iter().all(|v| (0.0..=1e9).contains(v)) && s.iter().sum::<f64>() > 0.0;
    let shares = shares.filter(possible).ok_or_else(|| {
        DecodeError::rejected("out_of_bounds", format!("shares are not {CURVE_BUCKETS} from 0 to 1e9, not all 0"))
    })?;
    let sessions = wire.sessions.ok_or_else(|| missing("sessions"))?;
    if sessions == 0 {
        return Err(DecodeError::rejected("out_of_bounds", "sessions is 0"));
    }
    let overnight = wire.overnight.map(|v| within(Some(v), "overnight", 0.0, 1.0)).transpose()?;
    let from = date(wire.from.as_deref(), "from")?;
    Ok(Reference::Curve { target, from, shares: Box::new(shares), overnight, sessions })
}

fn reference(kind: &str, wire: &Wire) -> Result<Reference, DecodeError> {
    if kind == "curve" {
        return curve(wire);
    }
    let symbol = symbol(wire)?;
    Ok(match kind {
        "close" => Reference::Close {
            symbol,
            session: date(wire.session.as_deref(), "session")?,
            price: price(wire.price, "price")?,
            ts: wire.ts.as_ref().map(instant).transpose()?,
            basis: match wire.basis.as_deref() {
                None | Some("official") => CloseBasis::Official,
                Some("last") => CloseBasis::Last,
                Some(_) => return Err(DecodeError::rejected("basis", "basis is neither official nor last")),
            },
        },
        "split" => Reference::Split {
            symbol,
            ex_date: date(wire.ex_date.as_deref(), "ex_date")?,
            ratio: within(wire.ratio, "ratio", 1e-6, 1e6)?,
        },
        "shares" => Reference::Shares {
            symbol,
            session: date(wire.session.as_deref(), "session")?,
            shares: within(wire.shares_outstanding, "shares_outstanding", 1.0, 1e15)?,
        },
        "dividend" => Reference::Dividend {
            symbol,
            ex_date: date(wire.ex_date.as_deref(), "ex_date")?,
            amount: within(wire.amount, "amount", 0.0, 1e9)?,
            kind: match wire.event_kind.as_deref() {
                None | Some("cash") => DividendKind::Cash,
                Some("spin_off") => DividendKind::SpinOff,
                Some(_) => return Err(DecodeError::rejected("kind", "kind is neither cash nor spin_off")),
            },
        },
        "rename" => {
            let to = wire.to.as_deref().ok_or_else(|| missing("to"))?;
            let to = Symbol::new(to).map_err(|e| DecodeError::rejected("symbol", format!("to: {e}")))?;
            Reference::Rename { symbol, to, from: date(wire.from.as_deref(), "from")? }
        }
        "event" => event(symbol, wire)?,
        "reference" => Reference::Desk {
            symbol,
            session: wire.session.as_deref().map(|s| date(Some(s), "session")).transpose()?,
            prev_close: price(wire.prev_close, "prev_close")?,
            sigma_daily: within(wire.sigma_daily, "sigma_daily", 1e-9, 100.0)?,
        },
        _ => {
            let group = bounded(wire.group.as_ref().ok_or_else(|| missing("group"))?, "group")?;
            let from = date(wire.from.as_deref(), "from")?;
            if kind == "member" {
                let company = wire.company.as_ref().map(|c| bounded(c, "company")).transpose()?;
                let sector = wire.sector.as_ref().map(|s| bounded(s, "sector")).transpose()?;
                Reference::Member { group, symbol, from, company, sector }
            } else {
                Reference::Leave { group, symbol, from }
            }
        }
    })
}

fn tick(wire: &Wire) -> Result<Tick<'static>, DecodeError> {
    let mut cond = Conditions::NONE;
    for text in wire.cond.iter().flatten() {
        let code = ConditionCode::new(text)
            .ok_or_else(|| DecodeError::rejected("cond", "a condition is not 1 to 4 printable ASCII characters"))?;
        if !cond.push(code) {
            return Err(DecodeError::rejected("cond", format!("more than {} conditions", Conditions::MAX)));
        }
    }
    let owned = |field: &Option<String>, name| field.as_ref().map(|v| bounded(v, name).map(Cow::Owned)).transpose();
    Ok(Tick {
        symbol: Cow::Owned(symbol_text(wire)?),
        ts: time(wire)?,
        price: price(wire.price, "price")?,
        size: wire.size,
        seq: wire.seq,
        id: wire.id.as_ref().map(|id| bounded(&id.0, "id").map(Cow::Owned)).transpose()?,
        feed: feed(wire)?,
        venue: owned(&wire.venue, "venue")?,
        tape: wire.tape.as_deref().map(Tape::parse),
        cond,
    })
}

fn bar(wire: &Wire) -> Result<Bar<'static>, DecodeError> {
    let interval = wire.interval.as_deref().ok_or_else(|| missing("interval"))?;
    let bar = Bar {
        symbol: Cow::Owned(symbol_text(wire)?),
        ts: time(wire)?,
        interval: Interval::parse(interval)
            .ok_or_else(|| DecodeError::rejected("interval", "interval is none of 1s, 1m, 5m, 1h, 1d"))?,
        open: price(wire.open, "open")?,
        high: price(wire.high, "high")?,
        low: price(wire.low, "low")?,
        close: price(wire.close, "close")?,
        volume: wire.volume,
        session: wire.session.as_deref().map(|s| date(Some(s), "session")).transpose()?,
        is_final: wire.is_final.unwrap_or(true),
        seq: wire.seq,
        feed: feed(wire)?,
    };
    bar.check().map_err(|e| DecodeError::rejected("crossed_bar", e.to_string()))?;
    Ok(bar)
}

pub(super) fn missing(field: &'static str) -> DecodeError {
    DecodeError::malformed("missing_field", format!("{field} is missing"))
}

fn price(value: Option<f64>, field: &'static str) -> Result<Price, DecodeError> {
    Price::new(value.ok_or_else(|| missing(field))?)
        .map_err(|e| DecodeError::rejected("price", format!("{field}: {e}")))
}

fn within(value: Option<f64>, field: &'static str, low: f64, high: f64) -> Result<f64, DecodeError> {
    let value = value.ok_or_else(|| missing(field))?;
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(DecodeError::rejected("out_of_bounds", format!("{field} is not between {low} and {high}")))
    }
}

fn symbol_text(wire: &Wire) -> Result<String, DecodeError> {
    let text = wire.symbol.clone().ok_or_else(|| missing("symbol"))?;
    Symbol::check(&text).map_err(|e| DecodeError::rejected("symbol", e.to_string()))?;
    Ok(text)
}

fn symbol(wire: &Wire) -> Result<Symbol, DecodeError> {
    let text = wire.symbol.as_deref().ok_or_else(|| missing("symbol"))?;
    Symbol::new(text).map_err(|e| DecodeError::rejected("symbol", e.to_string()))
}

fn feed(wire: &Wire) -> Result<Option<Cow<'static, str>>, DecodeError> {
    wire.feed.as_ref().map(|name| bounded(name, "feed").map(Cow::Owned)).transpose()
}

/// A name or id: not empty, and short.
pub(super) fn bounded(text: &str, field: &'static str) -> Result<String, DecodeError> {
    if text.is_empty() || text.len() > NAME_LEN_MAX {
        return Err(DecodeError::rejected(field, format!("{field} is empty or longer than {NAME_LEN_MAX} bytes")));
    }
    Ok(text.to_owned())
}

fn time(wire: &Wire) -> Result<UnixNanos, DecodeError> {
    instant(wire.ts.as_ref().ok_or_else(|| missing("ts"))?)
}

fn instant(time: &WireTime) -> Result<UnixNanos, DecodeError> {
    match time {
        WireTime::Nanos(nanos) => Ok(UnixNanos(*nanos)),
        WireTime::Text(text) => UnixNanos::parse_rfc3339(text)
            .ok_or_else(|| DecodeError::malformed("wrong_type", "ts is not an RFC 3339 time before the year 2262")),
    }
}

fn date(text: Option<&str>, field: &'static str) -> Result<SessionDate, DecodeError> {
    let text = text.ok_or_else(|| missing(field))?;
    text.parse().map_err(|()| DecodeError::malformed("wrong_type", format!("{field} is not a date YYYY-MM-DD")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, reason: &str) {
        let got = decode(text.as_bytes());
        let shown: String = text.chars().take(200).collect();
        assert_eq!(got.as_ref().map_or_else(|e| e.reason, |_| "decoded"), reason, "{shown}: {got:?}");
    }

    #[test]
    fn each_kind_of_bad_record_has_its_reason() {
        check("", "tombstone");
        check("not json", "not_json");
        check("[1]", "wrong_type");
        check("{}", "missing_field");
        check(r#"{"type":"tick","symbol":"A","ts":1}"#, "missing_field");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":"12"}"#, "wrong_type");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":NaN}"#, "not_json");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":1e999}"#, "not_json");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":-1}"#, "price");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":0}"#, "price");
        check(r#"{"type":"tick","symbol":"","ts":1,"price":1}"#, "symbol");
        check(r#"{"type":"tick","symbol":"A","ts":1.5,"price":1}"#, "wrong_type");
        check(r#"{"type":"tick","symbol":"A","ts":"soon","price":1}"#, "wrong_type");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":1,"seq":-1}"#, "wrong_type");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":1,"cond":"@"}"#, "wrong_type");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":1,"size":0}"#, "size");
        check(r#"{"type":"tick","symbol":"A","ts":1,"ts":2,"price":1}"#, "wrong_type");
        check(r#"{"type":"tick","symbol":"A","ts":1,"price":1} x"#, "not_json");
        check(r#"{"type":"tock"}"#, "unknown_type");
        check(
            r#"{"type":"bar","symbol":"A","ts":1,"interval":"1m","open":2,"high":1,"low":1,"close":1}"#,
            "crossed_bar",
        );
        check(r#"{"type":"bar","symbol":"A","ts":1,"interval":"7m","open":1,"high":1,"low":1,"close":1}"#, "interval");
        check(r#"{"type":"split","symbol":"A","ex_date":"2025-01-27","ratio":0}"#, "out_of_bounds");
        check(r#"{"type":"close","symbol":"A","session":"2025-02-30","price":1}"#, "wrong_type");
        let curve = |target: &str, shares: &str, sessions: u32| {
            format!(r#"{{"type":"curve",{target},"from":"2025-01-27","shares":{shares},"sessions":{sessions}}}"#)
        };
        let ones = "[1,1,1,1,1,1,1,1,1,1,1,1,1]";
        check(&curve(r#""group":"g""#, ones, 63), "decoded");
        check(&curve(r#""symbol":"A""#, ones, 63), "decoded");
        check(&curve(r#""symbol":"A","group":"g""#, ones, 63), "group");
        check(&curve(r#""sector":"x""#, ones, 63), "missing_field");
        check(&curve(r#""group":"g""#, ones, 0), "out_of_bounds");
        check(&curve(r#""group":"g""#, "[1,1]", 63), "out_of_bounds");
        check(&curve(r#""group":"g""#, "[0,0,0,0,0,0,0,0,0,0,0,0,0]", 63), "out_of_bounds");
        check(&curve(r#""group":"g""#, "[-1,1,1,1,1,1,1,1,1,1,1,1,1]", 63), "out_of_bounds");
        check(&curve(r#""group":"g""#, "\"1\"", 63), "wrong_type");
        check(&format!("\"{}\"", "x".repeat(VALUE_LEN_MAX)), "too_long");
        // Nor one whose tick stands at the front of it.
        let tick = r#"{"type":"tick","symbol":"A","ts":1737990000000000000,"price":1}"#;
        check(tick, "decoded");
        check(&format!("{tick}{}", " ".repeat(VALUE_LEN_MAX)), "too_long");
        check(&"[".repeat(100_000), "wrong_type");
        check(&format!(r#"{{"type":{}"#, "[".repeat(100_000)), "wrong_type");
        check(&format!(r#"{{"other":{}"#, "[".repeat(100_000)), "not_json");
        // Read by position this would be a tick.
        check(r#"["tick","A",1738161000000000000,5.0]"#, "wrong_type");
    }

    #[test]
    fn the_fast_path_takes_plain_ticks_alone() {
        let plain =
            br#"{"type":"tick","symbol":"S00042","ts":1738161000123456789,"price":101.2345,"size":100,"seq":17}"#;
        assert!(scan::tick(plain).is_some());
        for odd in [
            r#"{"type":"tick","symbol":"\u0041","ts":1,"price":1}"#,
            r#"{"type":"tick","symbol":"A","ts":1,"price":1,"x":{}}"#,
        ] {
            assert!(scan::tick(odd.as_bytes()).is_none());
            assert!(matches!(decode(odd.as_bytes()), Ok(Observation::Tick(_))), "{odd}");
        }
    }

    fn tick_text() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            "-?[0-9]{1,18}",
            "-?[0-9]{1,6}\\.[0-9]{1,20}",
            "[0-9]\\.?[0-9]{0,3}[eE]-?[0-9]{1,3}",
            "nan|null|true|\"1\""
        ];
        let field = prop_oneof![
            Just(r#""type":"tick""#.to_owned()),
            "[A-Z.]{0,5}".prop_map(|s| format!(r#""symbol":"{s}""#)),
            number.clone().prop_map(|n| format!(r#""ts":{n}"#)),
            number.clone().prop_map(|n| format!(r#""price": {n}"#)),
            number.clone().prop_map(|n| format!(r#""size":{n}"#)),
            number.prop_map(|n| format!(r#""seq":{n}"#)),
            "[a-z\\\\\"é]{0,4}".prop_map(|s| format!(r#""feed":"{s}""#)),
            Just(r#""other":[1,{"a":null}]"#.to_owned()),
        ];
        proptest::collection::vec(field, 3..9).prop_map(|fields| format!("{{{}}}", fields.join(",")))
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn fast_and_general_decoder_agree(text in tick_text()) {
            if let Some(tick) = scan::tick(text.as_bytes()) {
                prop_assert_eq!(decode_any(text.as_bytes()), Ok(Observation::Tick(tick)));
            }
        }
    }
}
