//! The log that groups follow, one record a line.

use super::config::engine;
use super::snapshots::again;
use fragility::codec::{decode_member, encode_member};
use fragility::domain::{Outcome, UnixNanos};
use fragility::engine::{Effects, Origin, Watermark};

pub(super) fn member(bytes: &[u8]) {
    let mut engine = engine();
    let mut effects = Effects::default();
    for (offset, line) in (0..).zip(bytes.split(|b| *b == b'\n').take(200)) {
        let record = match decode_member(line) {
            Ok(record) => record,
            Err(refusal) => {
                assert!(refusal.outcome == Outcome::Malformed && !refusal.detail.is_empty(), "{refusal:?}");
                continue;
            }
        };
        let mut written = Vec::new();
        encode_member(&record, &mut written);
        assert_eq!(decode_member(&written).as_ref(), Ok(&record), "{}", String::from_utf8_lossy(&written));
        let origin = Origin { partition: 0, offset, timestamp: None };
        let first = engine.take_member(UnixNanos(0), &origin, &record, &mut effects);
        let said = effects.alerts.len();
        let repeated = engine.take_member(UnixNanos(0), &origin, &record, &mut effects);
        // What was taken is not taken twice.
        let expected = if first.outcome == Outcome::Ignored { Outcome::Ignored } else { Outcome::Duplicate };
        assert_eq!((repeated.outcome, effects.alerts.len()), (expected, said), "{record:?}");
    }
    engine.advance(Watermark::Partitions, &[0], &mut effects);
    let _ = engine.groups();
    again(&mut engine);
}
