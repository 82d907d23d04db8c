//! A snapshot cut into chunks that fit a message, and put together again.

use std::collections::BTreeMap;

/// Bytes of a chunk: under the million that brokers accept by default.
const CHUNK: usize = 512 * 1024;
/// Chunks of a snapshot that are believed: 16 GiB.
const CHUNKS_MAX: u32 = 32_768;
const MAGIC: [u8; 4] = *b"FRGC";
const HEADER: usize = 20;

/// The chunks of one slot, of the newest writing seen.
#[derive(Default, Debug)]
pub struct Chunks {
    written: u64,
    count: u32,
    parts: BTreeMap<u32, Vec<u8>>,
}

impl Chunks {
    /// Cuts `bytes`, written at `written`, into the values of messages; `None` when there are too many of them.
    pub fn cut(bytes: &[u8], written: u64) -> Option<impl Iterator<Item = Vec<u8>>> {
        let count = u32::try_from(bytes.len().div_ceil(CHUNK).max(1)).ok().filter(|count| *count <= CHUNKS_MAX)?;
        let mut rest = bytes;
        Some((0..count).map(move |number| {
            let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
            rest = after;
            let mut value = Vec::with_capacity(HEADER + chunk.len());
            value.extend_from_slice(&MAGIC);
            value.extend_from_slice(&written.to_le_bytes());
            value.extend_from_slice(&number.to_le_bytes());
            value.extend_from_slice(&count.to_le_bytes());
            value.extend_from_slice(chunk);
            value
        }))
    }

    /// Takes the value of a message whose key says that it is chunk `number`; what is none is left out.
    pub fn take(&mut self, number: u32, value: &[u8]) {
        let word = |at: usize| Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?));
        let (Some(magic), Some(low), Some(high), Some(own), Some(count)) =
            (word(0), word(4), word(8), word(12), word(16))
        else {
            return;
        };
        if magic.to_le_bytes() != MAGIC || own != number || number >= count || count > CHUNKS_MAX {
            return;
        }
        let written = u64::from(low) | (u64::from(high) << 32);
        if written > self.written {
            *self = Self { written, count, parts: BTreeMap::new() };
        }
        if written == self.written && count == self.count {
            self.parts.insert(number, value[HEADER..].to_vec());
        }
    }

    /// When it was written, and its bytes; `None` unless every chunk is there.
    pub fn whole(self) -> Option<(u64, Vec<u8>)> {
        let is_whole = self.count > 0 && self.parts.len() == usize::try_from(self.count).ok()?;
        is_whole.then(|| (self.written, self.parts.into_values().flatten().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(written: u64, number: u32, count: u32, text: &str) -> Vec<u8> {
        let mut value = MAGIC.to_vec();
        value.extend_from_slice(&written.to_le_bytes());
        value.extend_from_slice(&number.to_le_bytes());
        value.extend_from_slice(&count.to_le_bytes());
        value.extend_from_slice(text.as_bytes());
        value
    }

    fn check(chunks: &[Vec<u8>], expected: Option<&str>) {
        let mut all = Chunks::default();
        for value in chunks {
            let number = u32::from_le_bytes(value[12..16].try_into().unwrap());
            all.take(number, value);
        }
        assert_eq!(all.whole().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).as_deref(), expected);
    }

    #[test]
    fn chunks_of_one_writing_make_a_whole() {
        check(&[chunk(7, 0, 2, "ab"), chunk(7, 1, 2, "c")], Some("abc"));
        check(&[chunk(7, 1, 2, "c"), chunk(7, 0, 2, "ab")], Some("abc"));
    }

    #[test]
    fn what_is_cut_comes_back() {
        for len in [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 1] {
            let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
            let values: Vec<_> = Chunks::cut(&bytes, 7).unwrap().collect();
            assert_eq!(values.len(), len.div_ceil(CHUNK).max(1));
            let mut all = Chunks::default();
            for number in (0..values.len()).rev() {
                all.take(u32::try_from(number).unwrap(), &values[number]);
            }
            assert_eq!(all.whole(), Some((7, bytes)), "{len}");
        }
    }

    #[test]
    fn a_writing_that_broke_off_is_not_whole() {
        check(&[chunk(7, 0, 2, "ab"), chunk(7, 1, 2, "c"), chunk(8, 0, 2, "xy")], None);
        check(&[chunk(8, 0, 1, "new"), chunk(7, 0, 2, "ab"), chunk(7, 1, 2, "c")], Some("new"));
        check(&[], None);
        check(&[b"something else, and long enough".to_vec()], None);
    }
}
