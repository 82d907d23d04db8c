//! Confluent's wire format: a zero byte, the id of a registered schema, and the value by that schema.

use super::error::DecodeError;
use super::json::check_len;

const MAGIC: u8 = 0;

/// The schema's id, and what follows it.
///
/// # Errors
/// `tombstone` for no bytes, `malformed` for anything that does not begin so.
pub(super) fn schema_id(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    check_len(value)?;
    match value {
        [MAGIC, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        _ => Err(DecodeError::malformed("no_schema_id", "the value does not begin with a zero byte and a schema id")),
    }
}

/// A number of up to 64 bits, seven in a byte, lowest first; `None` when it does not end.
fn variable(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(first & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The same with a sign: 0, -1, 1, -2, 2 ...
pub(super) fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let value = variable(bytes)?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_are_read_to_both_ends() {
        for (bytes, expected) in [
            (&[0][..], Some(0)),
            (&[1], Some(-1)),
            (&[2], Some(1)),
            (&[0x80, 0x01], Some(64)),
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Some(i64::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Some(i64::MIN)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], None),
            (&[0x80], None),
            (&[], None),
        ] {
            assert_eq!(zigzag(&mut { bytes }), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_value_without_an_id_has_its_reason() {
        let reason = |value: &[u8]| schema_id(value).map_or_else(|e| e.reason, |_| "read");
        assert_eq!(reason(b""), "tombstone");
        assert_eq!(reason(b"{}"), "no_schema_id");
        assert_eq!(reason(&[0, 0, 0, 0]), "no_schema_id");
        assert_eq!(schema_id(&[0, 0, 0, 1, 2, 9]), Ok((258, &[9][..])));
    }
}
