//! Databento Binary Encoding, versions 1 to 3: the metadata with its symbols, and the records of trades and bars.
//!
//! Little-endian throughout. Written from the layout that the official library documents, and checked against it.
//! The library itself reserves what a header of eight bytes claims, up to 4 GiB, and would bring ten crates
//! along; two dozen fields at fixed places need neither.

use super::error::DecodeError;
use crate::domain::{Bar, Interval, Observation, Price, SessionDate, Symbol, Tick, UnixNanos};
use std::borrow::Cow;
use std::collections::HashMap;

/// First bytes of a DBN stream; its version is the byte after them.
pub const DBN_MAGIC: &[u8; 3] = b"DBN";
/// Magic bytes, version and length of the metadata.
pub const DBN_PRELUDE_LEN: usize = 8;
/// Longest metadata that is read: some 100,000 symbols over a day.
const METADATA_LEN_MAX: usize = 32 << 20;
/// What every metadata has before its symbols.
const FIXED_LEN: usize = 100;
/// Header of a record: length in words of four bytes, type, publisher, instrument, event time.
const HEADER_LEN: usize = 16;

/// Record types: a trade, and a trade or quote with the best bid and ask.
pub(super) const MBP_0: u8 = 0x00;
pub(super) const MBP_1: u8 = 0x01;
/// The action of a trade.
pub(super) const TRADE: &str = "T";
/// Instruments known by their number, in symbology.
const STYPE_INSTRUMENT_ID: u8 = 0;
/// A price and a size that are not known.
const PRICE_UNKNOWN: i64 = i64::MAX;
const SIZE_UNKNOWN: u32 = u32::MAX;
/// Spans of days in the metadata at most.
const DAYS_MAX: usize = 1 << 20;

/// The length of bars of a record type.
pub(super) fn interval(rtype: u8) -> Option<Interval> {
    Some(match rtype {
        0x20 => Interval::Second1,
        0x21 => Interval::Minute1,
        0x22 => Interval::Hour1,
        0x23 => Interval::Day1,
        _ => return None,
    })
}

/// The session of a day bar: its date in UTC, where Databento's days begin.
pub(super) fn session(interval: Interval, ts: UnixNanos) -> Option<SessionDate> {
    (interval == Interval::Day1).then(|| utc_date(ts))
}

/// The date of an instant in UTC.
pub(super) fn utc_date(ts: UnixNanos) -> SessionDate {
    SessionDate::new(chrono::DateTime::from_timestamp_nanos(ts.0).date_naive())
}

/// A price in units of 1e-9. Up to 9,007,199.25 it is the nearest `f64` to the decimal number.
pub(super) fn price(units: i64, name: &str) -> Result<Price, DecodeError> {
    if units == PRICE_UNKNOWN {
        return Err(DecodeError::rejected("price", format!("{name} is not known")));
    }
    Price::new(units as f64 / 1e9).map_err(|e| DecodeError::rejected("price", format!("{name}: {e}")))
}

/// Symbols by instrument number, each from a day on and before another: 20230328.
type Symbols = HashMap<u32, Vec<(u32, u32, Box<str>)>>;

/// A DBN stream's beginning: which symbol an instrument's number stood for on which days.
#[derive(Debug)]
pub struct DbnDecoder {
    symbols: Symbols,
}

impl DbnDecoder {
    /// Reads the first eight bytes: the length of the metadata that follows.
    ///
    /// # Errors
    /// When they are not the beginning of DBN of a version that is read, with metadata of a length that is read.
    pub fn metadata_len(prelude: [u8; DBN_PRELUDE_LEN]) -> Result<usize, String> {
        let [d, b, n, version, len @ ..] = prelude;
        if [d, b, n] != *DBN_MAGIC {
            return Err("is not DBN".to_owned());
        }
        if !(1..=3).contains(&version) {
            return Err(format!("is DBN of version {version}; versions 1 to 3 are read"));
        }
        let len = u32::from_le_bytes(len) as usize;
        if !(FIXED_LEN..=METADATA_LEN_MAX).contains(&len) {
            let range = format!("from {FIXED_LEN} to {METADATA_LEN_MAX}");
            return Err(format!("has {len} bytes of DBN metadata, must have {range}"));
        }
        Ok(len)
    }

    /// Reads the metadata of a stream of `version`.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn new(version: u8, metadata: &[u8]) -> Result<Self, String> {
        let mut symbols = Symbols::new();
        read_mappings(version, metadata, &mut symbols).ok_or("has damaged DBN metadata")?;
        Ok(Self { symbols })
    }

    /// The length in bytes of the record that begins with `first`; `None` when it is shorter than a header.
    pub fn record_len(first: u8) -> Option<usize> {
        Some(usize::from(first) * 4).filter(|len| *len >= HEADER_LEN)
    }

    /// Decodes one record, whole.
    ///
    /// # Errors
    /// `malformed` for a record that is cut off, `rejected` for impossible prices and instruments without a
    /// symbol, `ignored` for what is neither a trade nor a bar.
    pub fn decode(&self, record: &[u8]) -> Result<Observation<'static>, DecodeError> {
        let cut = || DecodeError::malformed("too_short", "the record is shorter than its type");
        let record = Bytes(record);
        let rtype = record.u8(1).ok_or_else(cut)?;
        let event_time = record.u64(8).ok_or_else(cut)?;
        let ts = i64::try_from(event_time).map(UnixNanos);
        let ts = ts.map_err(|_| DecodeError::rejected("event_time", "ts_event is not known"))?;
        if let Some(interval) = interval(rtype) {
            let price = |at, name| price(record.i64(at).ok_or_else(cut)?, name);
            let bar = Bar {
                symbol: self.symbol(record.u32(4).ok_or_else(cut)?, ts)?,
                ts,
                interval,
                open: price(16, "open")?,
                high: price(24, "high")?,
                low: price(32, "low")?,
                close: price(40, "close")?,
                volume: None,
                session: session(interval, ts),
                is_final: true,
                seq: None,
                feed: None,
            };
            bar.check().map_err(|e| DecodeError::rejected("crossed_bar", e.to_string()))?;
            return Ok(Observation::Bar(bar));
        }
        if !matches!(rtype, MBP_0 | MBP_1) {
            return Err(DecodeError::ignored("event_not_acted_on", format!("rtype {rtype} is not read")));
        }
        if record.u8(28).ok_or_else(cut)? != TRADE.as_bytes()[0] {
            return Err(DecodeError::ignored("quote", "quotes are not read"));
        }
        // Symbols go by the time at which a record was received, as in the official library.
        let received = i64::try_from(record.u64(32).ok_or_else(cut)?).map_or(ts, UnixNanos);
        let symbol = self.symbol(record.u32(4).ok_or_else(cut)?, received)?;
        let size = record.u32(24).ok_or_else(cut)?;
        let publisher = record.u16(2).ok_or_else(cut)?;
        Ok(Observation::Tick(Tick {
            size: (size != 0 && size != SIZE_UNKNOWN).then_some(f64::from(size)),
            venue: Some(Cow::Owned(publisher.to_string())),
            ..Tick::new(symbol, ts, price(record.i64(16).ok_or_else(cut)?, "price")?)
        }))
    }

    /// The symbol of an instrument on the UTC date of `ts`.
    fn symbol(&self, instrument: u32, ts: UnixNanos) -> Result<Cow<'static, str>, DecodeError> {
        let unknown = || {
            let detail = format!("instrument {instrument} has no symbol in the metadata on that day");
            DecodeError::rejected("unmapped_instrument", detail)
        };
        let date = day_number(utc_date(ts)).ok_or_else(unknown)?;
        let spans = self.symbols.get(&instrument).ok_or_else(unknown)?;
        let (.., symbol) = spans.iter().find(|(from, to, _)| (*from..*to).contains(&date)).ok_or_else(unknown)?;
        Symbol::check(symbol).map_err(|e| DecodeError::rejected("symbol", e.to_string()))?;
        Ok(Cow::Owned(symbol.to_string()))
    }
}

/// A date as metadata writes it: 20230328.
fn day_number(date: SessionDate) -> Option<u32> {
    use chrono::Datelike;
    let date = date.date();
    Some(u32::try_from(date.year()).ok()? * 10_000 + date.month() * 100 + date.day())
}

/// The symbol mappings at the end of metadata; `None` when they do not fit it.
fn read_mappings(version: u8, metadata: &[u8], symbols: &mut Symbols) -> Option<()> {
    let bytes = Bytes(metadata);
    // Dataset, schema, start, end, limit; version 1 has a record count after them.
    let at = if version == 1 { 50 } else { 42 };
    let is_inverse = bytes.u8(at)? == STYPE_INSTRUMENT_ID;
    let width = if version == 1 { 22 } else { usize::from(bytes.u16(at + 3)?) };
    if width == 0 {
        return None;
    }
    // A length of schema definitions, which no version up to 3 has; then symbols asked for, partly found, not found.
    let mut rest = Cursor { bytes: metadata, at: FIXED_LEN };
    let definitions = rest.u32()? as usize;
    rest.take(definitions)?;
    for _ in 0..3 {
        let count = rest.u32()? as usize;
        rest.take(count.checked_mul(width)?)?;
    }
    let mut spans = 0;
    for _ in 0..rest.u32()? {
        let name = rest.text(width)?;
        for _ in 0..rest.u32()? {
            let (from, to, mapped) = (rest.u32()?, rest.u32()?, rest.text(width)?);
            let (number, symbol) = if is_inverse { (name, mapped) } else { (mapped, name) };
            spans += 1;
            if spans > DAYS_MAX {
                return None;
            }
            // An instrument that did not resolve on these days has an empty name.
            if let Ok(number) = number.parse()
                && !symbol.is_empty()
            {
                symbols.entry(number).or_default().push((from, to, symbol.into()));
            }
        }
    }
    Some(())
}

/// Numbers at places.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    fn i64(self, at: usize) -> Option<i64> {
        self.array(at).map(i64::from_le_bytes)
    }
}

/// Numbers and texts one after the other.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let four = self.take(4)?;
        Bytes(four).u32(0)
    }

    /// A text of fixed width, filled up with zeros.
    fn text(&mut self, width: usize) -> Option<&'a str> {
        let bytes = self.take(width)?;
        let len = bytes.iter().position(|b| *b == 0).unwrap_or(width);
        std::str::from_utf8(&bytes[..len]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Metadata of one mapping from 2025-01-27 to the day after.
    fn metadata(version: u8, stype_in: u8, name: &str, mapped: &str) -> Vec<u8> {
        let width: u8 = if version == 1 { 22 } else { 71 };
        let mut bytes = vec![0; FIXED_LEN];
        let at = if version == 1 { 50 } else { 42 };
        bytes[at] = stype_in;
        if version > 1 {
            bytes[at + 3] = width;
        }
        let text = |text: &str| {
            let mut field = text.as_bytes().to_vec();
            field.resize(usize::from(width), 0);
            field
        };
        let number = |n: u32| n.to_le_bytes().to_vec();
        // No definitions, one symbol asked for, none partial, none missing, one mapping with one interval.
        for part in [number(0), number(1), text(name), number(0), number(0), number(1), text(name), number(1)] {
            bytes.extend(part);
        }
        for part in [number(20_250_127), number(20_250_128), text(mapped)] {
            bytes.extend(part);
        }
        bytes
    }

    fn trade(instrument: u32, ts: UnixNanos, price: i64, size: u32, action: u8) -> Vec<u8> {
        let mut record = vec![12, MBP_0, 95, 0];
        record.extend(instrument.to_le_bytes());
        record.extend(ts.0.to_le_bytes());
        record.extend(price.to_le_bytes());
        record.extend(size.to_le_bytes());
        record.extend([action, b'A', 0, 0]);
        record.extend(ts.0.to_le_bytes());
        record.extend([0; 8]);
        record
    }

    #[test]
    fn every_version_and_both_directions_of_symbols_are_read() {
        let ts = UnixNanos::parse_rfc3339("2025-01-27T14:30:00Z").unwrap();
        for version in 1..=3 {
            for (stype_in, name, mapped) in [(1, "NVDA", "6155"), (0, "6155", "NVDA")] {
                let decoder = DbnDecoder::new(version, &metadata(version, stype_in, name, mapped)).unwrap();
                let got = decoder.decode(&trade(6_155, ts, 118_420_000_000, 7, b'T')).unwrap();
                let expected = Tick {
                    size: Some(7.0),
                    venue: Some("95".into()),
                    ..Tick::new("NVDA", ts, Price::new(118.42).unwrap())
                };
                assert_eq!(got, Observation::Tick(expected), "{version}");
            }
        }
    }

    #[test]
    fn each_kind_of_bad_record_has_its_reason() {
        let ts = UnixNanos::parse_rfc3339("2025-01-27T23:59:59.999999999Z").unwrap();
        let decoder = DbnDecoder::new(3, &metadata(3, 1, "NVDA", "6155")).unwrap();
        let check = |record: &[u8], reason| {
            let got = decoder.decode(record).map_or_else(|e| e.reason, |_| "decoded");
            assert_eq!(got, reason, "{record:?}");
        };
        let good = trade(6_155, ts, 118_420_000_000, u32::MAX, b'T');
        check(&good, "decoded");
        check(&good[..47], "decoded");
        check(&good[..39], "too_short");
        check(&[], "too_short");
        check(&trade(6_155, ts, 118_420_000_000, 7, b'A'), "quote");
        check(&trade(6_155, ts, i64::MAX, 7, b'T'), "price");
        check(&trade(6_155, ts, 0, 7, b'T'), "price");
        check(&trade(6_155, ts, -1, 7, b'T'), "price");
        check(&trade(6_156, ts, 118_420_000_000, 7, b'T'), "unmapped_instrument");
        check(&trade(6_155, ts.plus(1), 118_420_000_000, 7, b'T'), "unmapped_instrument");
        let mut other = good.clone();
        other[1] = 0xa0;
        check(&other, "event_not_acted_on");
        let mut bar = good[..16].to_vec();
        bar[1] = 0x21;
        for price in [118_i64, 118, 119, 118] {
            bar.extend((price * 1_000_000_000).to_le_bytes());
        }
        check(&bar, "crossed_bar");
        check(&bar[..40], "too_short");
    }

    #[test]
    fn a_stream_that_claims_too_much_is_refused_at_once() {
        let check = |prelude: [u8; 8], part: &str| {
            let said = DbnDecoder::metadata_len(prelude).map_or_else(|e| e, |len| len.to_string());
            assert!(said.contains(part), "{said}");
        };
        check(*b"DBN\x03\x60\x01\0\0", "352");
        check(*b"DBN\x04\x60\x01\0\0", "version 4");
        check(*b"DBN\0\x60\x01\0\0", "version 0");
        check(*b"DBN\x03\xff\xff\xff\xff", "4294967295 bytes");
        check(*b"DBN\x03\x63\0\0\0", "99 bytes");
        check(*b"PAR1\x60\x01\0\0", "is not DBN");
        assert_eq!((DbnDecoder::record_len(3), DbnDecoder::record_len(255)), (None, Some(1_020)));
        // A count that no bytes stand behind.
        let mut claims = metadata(3, 1, "NVDA", "6155");
        claims[FIXED_LEN + 4..FIXED_LEN + 8].fill(0xff);
        assert!(DbnDecoder::new(3, &claims).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(
            version in 1_u8..=3,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0_usize..400,
            at in 0_usize..400,
            byte in any::<u8>(),
        ) {
            let _ = DbnDecoder::new(version, &bytes);
            let mut near = metadata(version, 1, "NVDA", "6155");
            let len = near.len();
            near[at % len] = byte;
            near.truncate(cut.min(len));
            if let Ok(decoder) = DbnDecoder::new(version, &near) {
                let _ = decoder.decode(&bytes);
            }
        }
    }
}
