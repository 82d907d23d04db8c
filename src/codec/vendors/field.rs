//! One field of a vendor's event, read as what it has to be. Every refusal names the field.

use crate::codec::error::DecodeError;
use crate::codec::json::{bounded, missing};
use crate::domain::{Bar, ConditionCode, Conditions, Interval, Price, Symbol, UnixNanos};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Nanoseconds in a second, a millisecond, a microsecond.
pub(super) const SECONDS: u64 = 1_000_000_000;
pub(super) const MILLIS: u64 = 1_000_000;
pub(super) const MICROS: u64 = 1_000;

/// Bits that a feed's daily sequence number may have, below the day.
const SEQUENCE_BITS: u32 = 40;
/// From UTC to Eastern standard time. New York's summer midnight is 23:00 there, when no stock trades.
const EASTERN_STANDARD: i64 = -5 * 3_600 * crate::domain::NANOS_PER_SEC;
const NANOS_PER_DAY: i64 = 86_400 * crate::domain::NANOS_PER_SEC;

/// One event: the fields of an object.
#[derive(Clone, Copy)]
pub(super) struct Event<'a>(&'a Map<String, Value>);

/// One field; `null` is the same as absent.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) value: Option<&'a Value>,
}

impl<'a> Event<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, DecodeError> {
        value.as_object().map(Self).ok_or_else(|| DecodeError::malformed("wrong_type", "the event is not an object"))
    }

    pub(super) fn get(self, name: &'static str) -> Field<'a> {
        Field { name, value: self.0.get(name).filter(|v| !v.is_null()) }
    }
}

impl<'a> Field<'a> {
    fn wrong(self, what: &str) -> DecodeError {
        DecodeError::malformed("wrong_type", format!("{}: not {what}", self.name))
    }

    fn required<T>(self, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| missing(self.name))
    }

    pub(super) fn text_if(self) -> Result<Option<&'a str>, DecodeError> {
        self.value.map(|v| v.as_str().ok_or_else(|| self.wrong("a text"))).transpose()
    }

    pub(super) fn text(self) -> Result<&'a str, DecodeError> {
        self.required(self.text_if()?)
    }

    pub(super) fn list(self) -> Result<&'a [Value], DecodeError> {
        match self.value {
            None => Ok(&[]),
            Some(v) => v.as_array().map(Vec::as_slice).ok_or_else(|| self.wrong("a list")),
        }
    }

    pub(super) fn real_if(self) -> Result<Option<f64>, DecodeError> {
        self.value.map(|v| v.as_f64().ok_or_else(|| self.wrong("a number"))).transpose()
    }

    /// A whole number that is not negative; `100.0` is one too.
    pub(super) fn whole_if(self) -> Result<Option<u64>, DecodeError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of whole f64")]
        let whole = |x: f64| (x.fract() == 0.0 && (0.0..=9.0e15).contains(&x)).then_some(x as u64);
        let read = |v: &Value| v.as_u64().or_else(|| v.as_f64().and_then(whole));
        self.value.map(|v| read(v).ok_or_else(|| self.wrong("a whole number"))).transpose()
    }

    pub(super) fn whole(self) -> Result<u64, DecodeError> {
        self.required(self.whole_if()?)
    }

    /// A short text, or a whole number as it is written.
    pub(super) fn name_if(self) -> Result<Option<Cow<'static, str>>, DecodeError> {
        let text = match self.value {
            None => return Ok(None),
            Some(Value::Number(n)) if n.is_u64() => n.to_string(),
            Some(v) => v.as_str().ok_or_else(|| self.wrong("a text or a whole number"))?.to_owned(),
        };
        bounded(&text, self.name).map(|name| Some(Cow::Owned(name)))
    }

    pub(super) fn symbol(self) -> Result<Cow<'static, str>, DecodeError> {
        symbol(self.text()?, self.name)
    }

    pub(super) fn price(self) -> Result<Price, DecodeError> {
        price(self.required(self.real_if()?)?, self.name)
    }

    /// Shares traded. Vendors write 0 where less than a share was traded, or where the price alone has changed:
    /// the size is not known then.
    pub(super) fn size_if(self) -> Result<Option<f64>, DecodeError> {
        size(self.real_if()?, self.name)
    }

    /// Time since 1970 in `unit` nanoseconds.
    pub(super) fn since_1970(self, unit: u64) -> Result<UnixNanos, DecodeError> {
        nanos(self.whole()?, unit, self.name)
    }

    pub(super) fn rfc3339(self) -> Result<UnixNanos, DecodeError> {
        UnixNanos::parse_rfc3339(self.text()?).ok_or_else(|| self.wrong("an RFC 3339 time before the year 2262"))
    }
}

pub(super) fn symbol(text: &str, name: &str) -> Result<Cow<'static, str>, DecodeError> {
    Symbol::check(text).map_err(|e| DecodeError::rejected("symbol", format!("{name}: {e}")))?;
    Ok(Cow::Owned(text.to_owned()))
}

pub(super) fn price(value: f64, name: &str) -> Result<Price, DecodeError> {
    Price::new(value).map_err(|e| DecodeError::rejected("price", format!("{name}: {e}")))
}

pub(super) fn size(value: Option<f64>, name: &str) -> Result<Option<f64>, DecodeError> {
    match value {
        Some(size) if size < 0.0 => Err(DecodeError::rejected("size", format!("{name}: size is negative"))),
        other => Ok(other.filter(|size| *size > 0.0)),
    }
}

pub(super) fn nanos(value: u64, unit: u64, name: &str) -> Result<UnixNanos, DecodeError> {
    let nanos = value.checked_mul(unit).and_then(|n| i64::try_from(n).ok());
    nanos
        .map(UnixNanos)
        .ok_or_else(|| DecodeError::malformed("wrong_type", format!("{name}: time is beyond the year 2262")))
}

/// A sequence number that begins anew each day, with the day before it: so it grows from day to day, too.
pub(super) fn daily_sequence(field: Field<'_>, ts: UnixNanos) -> Result<Option<u64>, DecodeError> {
    let Some(sequence) = field.whole_if()? else { return Ok(None) };
    if sequence >> SEQUENCE_BITS != 0 {
        return Err(DecodeError::rejected("out_of_bounds", format!("{} is not below 2^{SEQUENCE_BITS}", field.name)));
    }
    let day = ts.plus(EASTERN_STANDARD).0.div_euclid(NANOS_PER_DAY);
    Ok(u64::try_from(day).ok().map(|day| day << SEQUENCE_BITS | sequence))
}

/// An id that is unique on one exchange alone, with the exchange before it.
pub(super) fn exchange_id(venue: Option<&str>, id: &str) -> Result<Cow<'static, str>, DecodeError> {
    bounded(&format!("{}:{id}", venue.unwrap_or_default()), "id").map(Cow::Owned)
}

pub(super) fn push(conditions: &mut Conditions, code: ConditionCode) -> Result<(), DecodeError> {
    if conditions.push(code) {
        return Ok(());
    }
    Err(DecodeError::rejected("cond", format!("more than {} conditions", Conditions::MAX)))
}

/// A code as the vendor writes it.
pub(super) fn push_text(conditions: &mut Conditions, text: &str) -> Result<(), DecodeError> {
    let code = ConditionCode::new(text)
        .ok_or_else(|| DecodeError::rejected("cond", "a condition is not 1 to 4 printable ASCII characters"))?;
    push(conditions, code)
}

/// A final bar of `interval` from `ts`.
pub(super) fn bar(
    symbol: Cow<'static, str>,
    ts: UnixNanos,
    interval: Interval,
    [open, high, low, close]: [Price; 4],
) -> Result<Bar<'static>, DecodeError> {
    let bar = Bar {
        volume: None,
        session: None,
        is_final: true,
        seq: None,
        feed: None,
        symbol,
        ts,
        interval,
        open,
        high,
        low,
        close,
    };
    bar.check().map_err(|e| DecodeError::rejected("crossed_bar", e.to_string()))?;
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_day(text: &str, q: u64, day: u64) {
        let value = Value::from(q);
        let field = Field { name: "q", value: Some(&value) };
        let seq = daily_sequence(field, UnixNanos::parse_rfc3339(text).unwrap()).unwrap();
        assert_eq!(seq, Some(day << 40 | q), "{text}");
    }

    /// 2025-01-27 is day 20,115.
    #[test]
    fn a_sequence_grows_over_the_exchanges_midnight_alone() {
        check_day("2025-01-27T04:00:00-05:00", 1, 20_115);
        check_day("2025-01-27T19:59:59.999-05:00", 9, 20_115);
        check_day("2025-01-28T04:00:00-05:00", 1, 20_116);
        // In summer the day ends an hour into New York's next day; nothing trades then.
        check_day("2025-07-01T04:00:00-04:00", 1, 20_270);
        check_day("2025-07-01T20:00:00-04:00", 9, 20_270);
    }

    #[test]
    fn a_sequence_beyond_its_bits_is_refused() {
        let value = Value::from(1_u64 << 40);
        let field = Field { name: "q", value: Some(&value) };
        assert_eq!(daily_sequence(field, UnixNanos(0)).unwrap_err().reason, "out_of_bounds");
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        assert_eq!(nanos(1_536_036_818_784, MILLIS, "t"), Ok(UnixNanos(1_536_036_818_784_000_000)));
        // Nanoseconds where milliseconds are documented.
        assert!(nanos(1_536_036_818_784_000_000, MILLIS, "t").unwrap_err().detail.contains("t: time is beyond"));
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        for (text, whole) in [("100.0", Some(100)), ("1.7E12", Some(1_700_000_000_000)), ("1.5", None), ("-1", None)] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Field { name: "n", value: Some(&value) }.whole_if().ok().flatten(), whole, "{text}");
        }
    }
}
