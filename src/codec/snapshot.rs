//! Snapshot files: a header that names format, version, length and checksum, then the image.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Version of the image layout; raised with every change to it.
pub const SNAPSHOT_VERSION: u16 = 11;

const MAGIC: [u8; 4] = *b"FRGS";
const HEADER_LEN: usize = 18;

/// Why bytes are not a snapshot that can be continued from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Another kind of file.
    Foreign,
    /// Written by another layout.
    Version(u16),
    /// Fewer bytes than the header promises.
    Truncated,
    /// The checksum does not hold.
    Corrupt,
    /// The image does not decode.
    Image(String),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not a snapshot of this product"),
            Self::Version(v) => write!(f, "snapshot layout {v}, this build reads {SNAPSHOT_VERSION}"),
            Self::Truncated => f.write_str("snapshot is truncated"),
            Self::Corrupt => f.write_str("snapshot checksum does not hold"),
            Self::Image(detail) => write!(f, "snapshot image does not decode: {detail}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Image to file bytes.
///
/// # Errors
/// When the image cannot be encoded.
pub fn encode_snapshot<T: Serialize>(image: &T) -> Result<Vec<u8>, SnapshotError> {
    let body = postcard::to_stdvec(image).map_err(|e| SnapshotError::Image(e.to_string()))?;
    let mut out = Vec::with_capacity(HEADER_LEN + body.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    out.extend_from_slice(&body);
    Ok(out)
}

/// File bytes to image.
///
/// # Errors
/// When the bytes are foreign, of another version, truncated or damaged.
pub fn decode_snapshot<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SnapshotError> {
    if bytes.len() < MAGIC.len() || bytes[..4] != MAGIC {
        return Err(SnapshotError::Foreign);
    }
    if bytes.len() < HEADER_LEN {
        return Err(SnapshotError::Truncated);
    }
    let version = u16::from_le_bytes([bytes[4], bytes[5]]);
    if version != SNAPSHOT_VERSION {
        return Err(SnapshotError::Version(version));
    }
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[6..14]);
    let mut sum = [0; 4];
    sum.copy_from_slice(&bytes[14..18]);
    let body = &bytes[HEADER_LEN..];
    if body.len() as u64 != u64::from_le_bytes(word) {
        return Err(SnapshotError::Truncated);
    }
    if crc32fast::hash(body) != u32::from_le_bytes(sum) {
        return Err(SnapshotError::Corrupt);
    }
    postcard::from_bytes(body).map_err(|e| SnapshotError::Image(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_damage() {
        let image = (7_i64, vec![1.5_f64, -0.0, f64::MIN_POSITIVE], "x".to_owned());
        let bytes = encode_snapshot(&image).unwrap();
        assert_eq!(decode_snapshot::<(i64, Vec<f64>, String)>(&bytes).unwrap(), image);
        let refused = |bytes: &[u8]| decode_snapshot::<(i64, Vec<f64>, String)>(bytes).unwrap_err();
        assert_eq!(refused(b"PK\x03\x04"), SnapshotError::Foreign);
        assert_eq!(refused(&bytes[..10]), SnapshotError::Truncated);
        assert_eq!(refused(&bytes[..bytes.len() - 1]), SnapshotError::Truncated);
        for at in HEADER_LEN..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(refused(&bad), SnapshotError::Corrupt);
        }
        for other in [SNAPSHOT_VERSION - 1, SNAPSHOT_VERSION + 1] {
            let mut bytes = bytes.clone();
            bytes[4..6].copy_from_slice(&other.to_le_bytes());
            let why = refused(&bytes);
            assert_eq!(why, SnapshotError::Version(other));
            // Whoever rolls back reads this in the log: `scripts/upgrade` looks for it.
            assert_eq!(why.to_string(), format!("snapshot layout {other}, this build reads {SNAPSHOT_VERSION}"));
        }
    }
}
