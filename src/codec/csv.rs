//! Rows under a header of column names: CSV, and what Parquet becomes.
//!
//! With a column `type`, the other columns are the fields of the JSON records. Without it, a row is a day of
//! a daily history: `session` (or `date`), `symbol`, `close`, and where present `open`, `high` and `low`,
//! `split_coefficient`, `dividend_amount` and `market_cap` (shares outstanding follow as `market_cap / close`).

use super::error::DecodeError;
use super::json::observation;
use super::wire::{Wire, WireId, WireTime};
use crate::domain::{Observation, Price, Reference, SessionDate, Symbol};
use std::fmt;

/// A header that names no known shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvError {
    missing: &'static str,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is neither a column type nor a column {}", self.missing)
    }
}

impl std::error::Error for CsvError {}

/// Columns of the first shape that are read; others are read past.
const FIELDS: [&str; 44] = [
    "type",
    "symbol",
    "ts",
    "price",
    "size",
    "seq",
    "id",
    "tape",
    "venue",
    "cond",
    "feed",
    "interval",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trades",
    "session",
    "final",
    "basis",
    "ex_date",
    "ratio",
    "amount",
    "currency",
    "shares_outstanding",
    "prev_close",
    "sigma_daily",
    "group",
    "from",
    "to",
    "sector",
    "company",
    "reason",
    "kind",
    "source",
    "text",
    "url",
    "lower",
    "upper",
    "shares",
    "overnight",
    "sessions",
];

#[derive(Clone, Debug)]
struct DailyColumns {
    session: usize,
    symbol: usize,
    close: usize,
    split: Option<usize>,
    dividend: Option<usize>,
    market_cap: Option<usize>,
    /// Open, high and low.
    range: [Option<usize>; 3],
}

#[derive(Clone, Debug)]
enum Shape {
    Records(Vec<String>),
    Daily(DailyColumns),
}

/// Decodes the rows under one header.
#[derive(Clone, Debug)]
pub struct CsvDecoder {
    shape: Shape,
}

impl CsvDecoder {
    /// Reads the header.
    ///
    /// # Errors
    /// When a column of the daily shape is missing and there is no column `type`.
    pub fn new<'a>(header: impl Iterator<Item = &'a str>) -> Result<Self, CsvError> {
        let names: Vec<String> = header.map(|h| h.trim().to_owned()).collect();
        if names.iter().any(|n| n == "type") {
            return Ok(Self { shape: Shape::Records(names) });
        }
        let find = |wanted: &[&str]| names.iter().position(|n| wanted.contains(&n.as_str()));
        let columns = DailyColumns {
            session: find(&["session", "date"]).ok_or(CsvError { missing: "session" })?,
            symbol: find(&["symbol"]).ok_or(CsvError { missing: "symbol" })?,
            close: find(&["close"]).ok_or(CsvError { missing: "close" })?,
            split: find(&["split_coefficient"]),
            dividend: find(&["dividend_amount"]),
            range: [find(&["open"]), find(&["high"]), find(&["low"])],
            market_cap: find(&["market_cap"]),
        };
        Ok(Self { shape: Shape::Daily(columns) })
    }

    /// Whether the column at `at` has a meaning; a row may be empty there otherwise.
    pub fn reads(&self, at: usize) -> bool {
        match &self.shape {
            Shape::Records(names) => names.get(at).is_some_and(|n| FIELDS.contains(&n.as_str())),
            Shape::Daily(c) => {
                let given = [c.split, c.dividend, c.market_cap, c.range[0], c.range[1], c.range[2]];
                [c.session, c.symbol, c.close].contains(&at) || given.contains(&Some(at))
            }
        }
    }

    /// Decodes one row.
    ///
    /// # Errors
    /// As [`super::decode`].
    pub fn decode<'a>(&self, row: impl Iterator<Item = &'a str>) -> Result<Observation<'static>, DecodeError> {
        match &self.shape {
            Shape::Records(names) => {
                let mut wire = Wire::default();
                for (name, value) in names.iter().zip(row).filter(|(_, v)| !v.is_empty()) {
                    set(&mut wire, name, value)?;
                }
                observation(&wire)
            }
            Shape::Daily(columns) => daily(columns, &row.collect::<Vec<_>>()),
        }
    }
}

fn number(field: &str, text: &str) -> Result<f64, DecodeError> {
    let value = text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    value.ok_or_else(|| DecodeError::malformed("wrong_type", format!("{field} is not a number")))
}

fn daily(columns: &DailyColumns, row: &[&str]) -> Result<Observation<'static>, DecodeError> {
    let text = |at: usize, field: &'static str| {
        let value = row.get(at).map(|v| v.trim()).filter(|v| !v.is_empty());
        value.ok_or_else(|| DecodeError::malformed("missing_field", format!("{field} is missing")))
    };
    let optional = |at: Option<usize>, field: &'static str| {
        let value = at.and_then(|at| row.get(at)).map(|v| v.trim()).filter(|v| !v.is_empty());
        value.map(|v| number(field, v)).transpose()
    };
    let session: SessionDate = text(columns.session, "session")?
        .parse()
        .map_err(|()| DecodeError::malformed("wrong_type", "session is not a date YYYY-MM-DD"))?;
    let symbol =
        Symbol::new(text(columns.symbol, "symbol")?).map_err(|e| DecodeError::rejected("symbol", e.to_string()))?;
    let close = Price::new(number("close", text(columns.close, "close")?)?)
        .map_err(|e| DecodeError::rejected("price", format!("close: {e}")))?;
    let split = optional(columns.split, "split_coefficient")?.filter(|r| (r - 1.0).abs() > f64::EPSILON);
    if split.is_some_and(|r| !(1e-6..=1e6).contains(&r)) {
        return Err(DecodeError::rejected("out_of_bounds", "split_coefficient is not between 1e-6 and 1e6"));
    }
    let shares = optional(columns.market_cap, "market_cap")?.map(|cap| cap / close.get()).filter(|s| *s >= 1.0);
    let dividend = optional(columns.dividend, "dividend_amount")?.filter(|d| *d != 0.0);
    if dividend.is_some_and(|d| !(0.0..=1e9).contains(&d)) {
        return Err(DecodeError::rejected("out_of_bounds", "dividend_amount is not between 0 and 1e9"));
    }
    // A range that contradicts itself says nothing; the close still does.
    let [open, high, low] = columns.range;
    let price = |at, field| Ok(optional(at, field)?.and_then(|v| Price::new(v).ok()));
    let range = match (price(open, "open")?, price(high, "high")?, price(low, "low")?) {
        (Some(open), Some(high), Some(low)) => {
            let within = |p: Price| low <= p && p <= high;
            (within(open) && within(close)).then_some([open, high, low])
        }
        _ => None,
    };
    Ok(Observation::Reference(Reference::Daily { symbol, session, close, range, split, dividend, shares }))
}

/// Sets one field of a record from its text.
fn set(wire: &mut Wire, name: &str, value: &str) -> Result<(), DecodeError> {
    let text = || Some(value.to_owned());
    let real = || number(name, value).map(Some);
    match name {
        "type" => wire.kind = text(),
        "symbol" => wire.symbol = text(),
        "ts" => wire.ts = Some(value.parse().map_or_else(|_| WireTime::Text(value.to_owned()), WireTime::Nanos)),
        "price" => wire.price = real()?,
        "size" => wire.size = real()?,
        "seq" => {
            let seq = value.parse().map_err(|_| DecodeError::malformed("wrong_type", "seq is not a whole number"))?;
            wire.seq = Some(seq);
        }
        "id" => wire.id = Some(WireId(value.to_owned())),
        "tape" => wire.tape = text(),
        "venue" => wire.venue = text(),
        "cond" => wire.cond = Some(value.split_whitespace().map(str::to_owned).collect()),
        "feed" => wire.feed = text(),
        "interval" => wire.interval = text(),
        "open" => wire.open = real()?,
        "high" => wire.high = real()?,
        "low" => wire.low = real()?,
        "close" => wire.close = real()?,
        "volume" => wire.volume = real()?,
        "vwap" => wire.vwap = real()?,
        "trades" => wire.trades = real()?,
        "session" => wire.session = text(),
        "final" => {
            let flag =
                value.parse().map_err(|_| DecodeError::malformed("wrong_type", "final is neither true nor false"))?;
            wire.is_final = Some(flag);
        }
        "basis" => wire.basis = text(),
        "ex_date" => wire.ex_date = text(),
        "ratio" => wire.ratio = real()?,
        "amount" => wire.amount = real()?,
        "currency" => wire.currency = text(),
        "shares_outstanding" => wire.shares_outstanding = real()?,
        "prev_close" => wire.prev_close = real()?,
        "sigma_daily" => wire.sigma_daily = real()?,
        "group" => wire.group = text(),
        "from" => wire.from = text(),
        "to" => wire.to = text(),
        "sector" => wire.sector = text(),
        "company" => wire.company = text(),
        "reason" => wire.reason = text(),
        "kind" => wire.event_kind = text(),
        "source" => wire.source = text(),
        "text" => wire.text = text(),
        "url" => wire.url = text(),
        "lower" => wire.lower = real()?,
        "shares" => {
            let shares = value.split_whitespace().map(|v| number(name, v)).collect::<Result<_, _>>()?;
            wire.shares = Some(shares);
        }
        "overnight" => wire.overnight = real()?,
        "sessions" => {
            let wrong = |_| DecodeError::malformed("wrong_type", "sessions is not a whole number");
            wire.sessions = Some(value.parse().map_err(wrong)?);
        }
        "upper" => wire.upper = real()?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(header: &str) -> CsvDecoder {
        CsvDecoder::new(header.split(',')).unwrap()
    }

    #[test]
    fn a_daily_row_is_a_close_with_what_came_with_it() {
        let d = decoder("date,symbol,close,pct_change,volume,market_cap");
        let got = d.decode("2025-01-27,NVDA,118.42,-16.97,818830916,2900105800000".split(','));
        let Ok(Observation::Reference(Reference::Daily { symbol, close, split, shares, .. })) = got else {
            panic!("{got:?}")
        };
        assert_eq!((symbol.as_str(), close.get(), split), ("NVDA", 118.42, None));
        assert!((shares.unwrap() / 24.49e9 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn typed_rows_are_the_json_records() {
        let d = decoder("type,symbol,ts,price,seq");
        let got = d.decode("tick,A,1738161000123456789,101.5,7".split(','));
        let json = br#"{"type":"tick","symbol":"A","ts":1738161000123456789,"price":101.5,"seq":7}"#;
        assert_eq!(got, super::super::decode(json));
    }

    #[test]
    fn exactly_the_fields_are_read() {
        let changes = |name: &str| {
            let mut wire = Wire::default();
            set(&mut wire, name, "1").is_err() || wire != Wire::default()
        };
        let header = FIELDS.join(",") + ",elsewhere";
        let d = decoder(&header);
        for (at, name) in header.split(',').enumerate() {
            assert_eq!((d.reads(at), changes(name)), (name != "elsewhere", name != "elsewhere"), "{name}");
        }
        // Every field of the JSON records is one of them.
        let every = format!("{:?}", Wire::default()).matches(": None").count();
        assert_eq!(FIELDS.len(), every);
        let d = decoder("volume,date,symbol,close");
        assert_eq!([0, 1, 2, 3, 4].map(|at| d.reads(at)), [false, true, true, true, false]);
    }

    #[test]
    fn bad_rows_have_reasons() {
        let d = decoder("session,symbol,close,split_coefficient");
        let reason = |row: &str| d.decode(row.split(',')).unwrap_err().reason;
        assert_eq!(reason("2025-01-27,NVDA"), "missing_field");
        assert_eq!(reason("2025-01-27,NVDA,x,1"), "wrong_type");
        assert_eq!(reason("2025-01-27,NVDA,-1,1"), "price");
        assert_eq!(reason("27.1.2025,NVDA,1,1"), "wrong_type");
        assert_eq!(reason("2025-01-27,NVDA,1,-2"), "out_of_bounds");
        assert!(CsvDecoder::new("a,b".split(',')).is_err());
    }
}
