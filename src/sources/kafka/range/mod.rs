//! A range of a topic: where it begins and ends, as asked for on the command line.

mod reader;

pub use reader::{RangeError, RangeReader, RangeRecord};

use crate::domain::UnixNanos;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One end of a range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RangePoint {
    /// Where each partition begins.
    Beginning,
    /// Where each partition ends when the reading starts.
    End,
    /// This offset of every partition.
    Offset(i64),
    /// In each partition the first record with this timestamp or a later one.
    Time(UnixNanos),
    /// These offsets; partitions that are not named are not read.
    Offsets(BTreeMap<i32, i64>),
}

/// A range end that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangePointError(String);

impl fmt::Display for RangePointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RangePointError {}

impl FromStr for RangePoint {
    type Err = RangePointError;

    /// Reads `beginning`, `end`, an offset, an RFC 3339 time, or `PARTITION:OFFSET,...`.
    fn from_str(text: &str) -> Result<Self, RangePointError> {
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
        match text {
            "beginning" => return Ok(Self::Beginning),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(offset) = number(text) {
            return Ok(Self::Offset(offset));
        }
        if let Some(time) = UnixNanos::parse_rfc3339(text) {
            return Ok(Self::Time(time));
        }
        let mut offsets = BTreeMap::new();
        for part in text.split(',') {
            let pair = part.split_once(':').and_then(|(p, o)| Some((i32::try_from(number(p)?).ok()?, number(o)?)));
            let Some((partition, offset)) = pair else {
                return Err(RangePointError(format!(
                    "{part:?} is neither an offset, nor a time such as 2025-01-27T14:30:00Z, nor PARTITION:OFFSET, nor beginning or end"
                )));
            };
            if offsets.insert(partition, offset).is_some() {
                return Err(RangePointError(format!("partition {partition} is named twice")));
            }
        }
        Ok(Self::Offsets(offsets))
    }
}

/// A range: from a point, inclusive, to another, exclusive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KafkaRange {
    from: RangePoint,
    to: RangePoint,
}

impl KafkaRange {
    /// A range; without a point it begins, or ends, where the log does.
    ///
    /// # Errors
    /// When it ends before it begins, or its ends name different partitions.
    pub fn new(from: Option<RangePoint>, to: Option<RangePoint>) -> Result<Self, RangePointError> {
        let (from, to) = (from.unwrap_or(RangePoint::Beginning), to.unwrap_or(RangePoint::End));
        let refuse = |what: &str| Err(RangePointError(what.to_owned()));
        match (&from, &to) {
            (RangePoint::End, _) => refuse("--from end: nothing would be read"),
            (_, RangePoint::Beginning) => refuse("--to beginning: nothing would be read"),
            (RangePoint::Offset(from), RangePoint::Offset(to)) if from > to => refuse("--to lies before --from"),
            (RangePoint::Time(from), RangePoint::Time(to)) if from > to => refuse("--to lies before --from"),
            (RangePoint::Offsets(from), RangePoint::Offsets(to)) if !from.keys().eq(to.keys()) => {
                refuse("--from and --to name different partitions")
            }
            (RangePoint::Offsets(from), RangePoint::Offsets(to)) if from.iter().any(|(p, at)| *at > to[p]) => {
                refuse("--to lies before --from in a partition")
            }
            _ => Ok(Self { from, to }),
        }
    }

    /// The partitions named; `None` for all.
    fn partitions(&self) -> Option<Vec<i32>> {
        let named = |point: &RangePoint| match point {
            RangePoint::Offsets(offsets) => Some(offsets.keys().copied().collect()),
            _ => None,
        };
        named(&self.from).or_else(|| named(&self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str) -> Result<KafkaRange, String> {
        let read = |text: &str| (!text.is_empty()).then(|| text.parse::<RangePoint>()).transpose();
        let (from, to) = (read(from).map_err(|e| e.to_string())?, read(to).map_err(|e| e.to_string())?);
        KafkaRange::new(from, to).map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_of_a_point_is_read() {
        let offsets = |pairs: &[(i32, i64)]| RangePoint::Offsets(pairs.iter().copied().collect());
        let nine_thirty = RangePoint::Time(UnixNanos(1_737_988_200_000_000_000));
        for (text, expected) in [
            ("beginning", RangePoint::Beginning),
            ("end", RangePoint::End),
            ("0", RangePoint::Offset(0)),
            ("123456789012", RangePoint::Offset(123_456_789_012)),
            ("2025-01-27T14:30:00Z", nine_thirty.clone()),
            ("2025-01-27T09:30:00-05:00", nine_thirty),
            ("3:17", offsets(&[(3, 17)])),
            ("0:5,12:0", offsets(&[(0, 5), (12, 0)])),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "-1", "1.5", "start", "2025-01-27", "3:", ":3", "1:2,", "1:2,1:3", "0:-1", "99999999999:1"] {
            assert!(text.parse::<RangePoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_ends_behind_its_beginning() {
        for (from, to) in [("", ""), ("5", "5"), ("", "3"), ("0:1,1:2", "9"), ("0:1,1:2", "1:2,0:1"), ("9", "0:3")] {
            assert!(range(from, to).is_ok(), "{from} {to}");
        }
        let times = ("2025-01-28T00:00:00Z", "2025-01-27T00:00:00Z");
        for (from, to) in [("5", "4"), times, ("0:1", "1:1"), ("0:1", "0:0"), ("end", ""), ("", "beginning")] {
            assert!(range(from, to).is_err(), "{from} {to}");
        }
        assert_eq!(range("9", "0:3,2:1").unwrap().partitions(), Some(vec![0, 2]));
        assert_eq!(range("9", "").unwrap().partitions(), None);
    }
}
