//! The digest of an alert: what shows that its bytes are those that were written.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Where the digested part of a record ends: behind it stand `source` and `digest` alone.
///
/// Nothing before can look like it: no other field of that name holds a list, and within a text a quotation mark
/// has a backslash before it.
pub(super) const SOURCE_MARK: &[u8] = b",\"source\":[";

/// SHA-256 of `bytes` in hexadecimal: of a record up to but excluding `,"source":[`.
///
/// `source` is left out because the same input in other partitions must give the same bytes but for it.
pub fn digest_of(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing into memory cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The part of a record that its digest is of; `None` where no `source` stands behind it.
pub fn digested(record: &[u8]) -> Option<&[u8]> {
    let at = record.windows(SOURCE_MARK.len()).rposition(|w| w == SOURCE_MARK)?;
    Some(&record[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256_of_what_stands_before_the_source() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of(b"abc"), expected);
        assert_eq!(
            digested(br#"{"events":[{"source":"a"}],"source":[],"digest":""}"#),
            Some(&br#"{"events":[{"source":"a"}]"#[..])
        );
        assert_eq!(digested(br#"{"kind":"open"}"#), None);
    }
}
