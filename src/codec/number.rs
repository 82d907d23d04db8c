//! JSON numbers to the nearest `f64`.

/// Powers of ten that are exact in `f64`.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Reads a JSON number at the start of `bytes`: its value and length. `None` for anything else.
///
/// Up to 2^53 with at most 22 decimals it takes one exact division (Clinger 1990, "How to read floating
/// point numbers accurately"); the rest goes to a correctly rounding parser.
#[inline]
pub(super) fn float(bytes: &[u8]) -> Option<(f64, usize)> {
    let is_negative = bytes.first() == Some(&b'-');
    let start = usize::from(is_negative);
    let mut at = start;
    let mut mantissa = 0_u64;
    let mut digits = 0;
    while let Some(d) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(d));
        at += 1;
        digits += 1;
    }
    // JSON has no empty and no padded integer part.
    if digits == 0 || (digits > 1 && bytes[start] == b'0') {
        return None;
    }
    let mut decimals = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        while let Some(d) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(d));
            at += 1;
            decimals += 1;
        }
        if decimals == 0 {
            return None;
        }
    }
    let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
    if !has_exponent && digits + decimals <= 19 && mantissa <= 1 << 53 {
        let value = mantissa as f64 / EXACT_POWERS.get(decimals)?;
        return Some((if is_negative { -value } else { value }, at));
    }
    if has_exponent {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let first = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == first {
            return None;
        }
    }
    let value: f64 = fast_float2::parse(&bytes[..at]).ok()?;
    value.is_finite().then_some((value, at))
}

/// Reads an unsigned JSON integer that fits `i64`.
#[inline]
pub(super) fn integer(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0_i64;
    let mut at = 0;
    while let Some(d) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value.checked_mul(10)?.checked_add(i64::from(d))?;
        at += 1;
    }
    let is_padded = at > 1 && bytes[0] == b'0';
    let goes_on = matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
    (at > 0 && !is_padded && !goes_on).then_some((value, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_json_writes() {
        for text in ["0", "1", "-1", "101.2345", "0.1", "1e3", "1.5E-7", "123456789012345678901234567890", "4.35"] {
            let (value, len) = float(text.as_bytes()).unwrap();
            assert_eq!((value.to_bits(), len), (text.parse::<f64>().unwrap().to_bits(), text.len()), "{text}");
        }
    }

    #[test]
    fn refuses_what_json_does_not() {
        for text in ["", "-", ".5", "1.", "01", "00", "+1", "1e", "1e+", "nan", "inf", "-inf", "1e999"] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        for text in ["", "-1", "01", "1.0", "1e3", "9223372036854775808"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(integer(b"1738161000123456789,"), Some((1_738_161_000_123_456_789, 19)));
    }

    proptest! {
        #[test]
        fn equals_the_standard_parser(value in proptest::num::f64::NORMAL, decimals in 0_usize..25) {
            for text in [format!("{value}"), format!("{value:e}"), format!("{:.*}", decimals, value % 1e6)] {
                let (ours, len) = float(text.as_bytes()).unwrap();
                prop_assert_eq!(ours.to_bits(), text.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(len, text.len());
            }
        }
    }
}
