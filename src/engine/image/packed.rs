//! The symbols of a partition's image, each encoded by itself: a restart finds its way through a million of them at
//! once, and makes state of each when it is needed.
//!
//! One symbol: length of its body (4 bytes), whether it is to be restored with the partition (1), digest of the
//! reference records it knew (8), length of its name (1), name, body.

use super::SymbolImage;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes before a name.
const FIXED: usize = 14;

thread_local! {
    /// The snapshot that is being decoded, where parts of it may be kept in place.
    static SOURCE: RefCell<Option<Arc<Vec<u8>>>> = const { RefCell::new(None) };
}

/// Decodes an image from bytes in which its symbols stay: a million of them are half a gigabyte, and to copy that takes
/// as long as everything else.
pub fn in_place<T>(bytes: Vec<u8>, decode: impl FnOnce(&[u8]) -> T) -> T {
    let bytes = Arc::new(bytes);
    SOURCE.set(Some(bytes.clone()));
    let decoded = decode(&bytes);
    SOURCE.set(None);
    decoded
}

/// A part of a snapshot's bytes.
#[derive(Clone, Default)]
pub(in crate::engine) struct Bytes {
    whole: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Bytes {
    /// These bytes where they are, if they are part of what is decoded in place; else a copy.
    fn keep(bytes: &[u8]) -> Self {
        let in_place = SOURCE.with_borrow(|source| {
            let whole = source.as_ref()?;
            let start = bytes.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
            let range = start..start + bytes.len();
            (range.end <= whole.len()).then(|| Self { whole: whole.clone(), range })
        });
        in_place.unwrap_or_else(|| Self { whole: Arc::new(bytes.to_vec()), range: 0..bytes.len() })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole[self.range.clone()]
    }
}

/// The symbols of a partition, as they were taken or as they were read.
#[derive(Clone)]
pub(in crate::engine) enum Symbols {
    /// Taken from an engine.
    #[expect(clippy::vec_box, reason = "a list that grows moves pointers, not images")]
    Taken(Vec<Box<SymbolImage>>),
    /// Read, and known to be whole: the lengths add up.
    Packed(Bytes),
}

/// One symbol of a packed list.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Record<'a> {
    /// Where it begins.
    pub(in crate::engine) at: usize,
    /// Whether something is under way in it that no record of its own will ask for.
    pub(in crate::engine) is_pressing: bool,
    /// Digest of the reference records that it knew.
    pub(in crate::engine) reference: u64,
    pub(in crate::engine) name: &'a str,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at a place of a packed list; `None` when there is no whole one.
    pub(in crate::engine) fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let fixed = bytes.get(at..)?.first_chunk::<FIXED>()?;
        let (length, rest) = fixed.split_first_chunk()?;
        let (pressing, rest) = rest.split_first()?;
        let (reference, rest) = rest.split_first_chunk()?;
        let name_end = at + FIXED + usize::from(*rest.first()?);
        let body_end = name_end.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        Some(Self {
            at,
            is_pressing: *pressing != 0,
            reference: u64::from_le_bytes(*reference),
            name: std::str::from_utf8(bytes.get(at + FIXED..name_end)?).ok()?,
            body: bytes.get(name_end..body_end)?,
        })
    }

    fn end(&self) -> usize {
        self.at + FIXED + self.name.len() + self.body.len()
    }

    /// The image; `None` when it does not decode.
    pub(in crate::engine) fn image(&self) -> Option<SymbolImage> {
        let mut image: SymbolImage = postcard::from_bytes(self.body).ok()?;
        self.name.clone_into(&mut image.symbol);
        image.reference = self.reference;
        Some(image)
    }
}

/// The records of a packed list, up to the first that is not whole.
pub(in crate::engine) fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let record = Record::at(bytes, at)?;
        at = record.end();
        Some(record)
    })
}

fn pack(images: &[Box<SymbolImage>]) -> postcard::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(images.len() * 512);
    for image in images {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        out.push(u8::from(image.is_pressing()));
        out.extend_from_slice(&image.reference.to_le_bytes());
        // No name is longer than 32 bytes.
        out.push(u8::try_from(image.symbol.len()).map_err(|_| postcard::Error::SerializeBufferFull)?);
        out.extend_from_slice(image.symbol.as_bytes());
        let body = out.len();
        out = postcard::to_extend(&**image, out)?;
        let length = u32::try_from(out.len() - body).map_err(|_| postcard::Error::SerializeBufferFull)?;
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    Ok(out)
}

impl Symbols {
    /// All of them; those that do not decode are left out.
    pub(in crate::engine) fn images(&self) -> Vec<Cow<'_, SymbolImage>> {
        match self {
            Self::Taken(images) => images.iter().map(|image| Cow::Borrowed(&**image)).collect(),
            Self::Packed(bytes) => records(bytes).filter_map(|r| r.image()).map(Cow::Owned).collect(),
        }
    }

    fn packed(&self) -> postcard::Result<Cow<'_, [u8]>> {
        match self {
            Self::Taken(images) => pack(images).map(Cow::Owned),
            Self::Packed(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }
}

impl PartialEq for Symbols {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Taken(one), Self::Taken(other)) => one == other,
            _ => matches!((self.packed(), other.packed()), (Ok(one), Ok(other)) if one == other),
        }
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(images) => images.fmt(f),
            Self::Packed(bytes) => f.debug_list().entries(records(bytes).map(|r| r.image())).finish(),
        }
    }
}

impl Serialize for Symbols {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.packed().map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Symbols {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Packed;
        impl Visitor<'_> for Packed {
            type Value = Symbols;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("packed symbols")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Symbols, E> {
                if records(bytes).last().map_or(0, |r| r.end()) != bytes.len() {
                    return Err(E::custom("symbols are not whole"));
                }
                Ok(Symbols::Packed(Bytes::keep(bytes)))
            }
        }
        deserializer.deserialize_bytes(Packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::image::tests::image_of;

    #[test]
    fn symbols_stay_in_the_bytes_that_they_are_decoded_from() {
        let symbols = Symbols::Taken(vec![image_of("A"), image_of("B")]);
        let bytes = postcard::to_stdvec(&(7_u8, &symbols)).unwrap();
        let at = bytes.as_ptr_range();
        let read = |bytes: &[u8]| postcard::from_bytes::<(u8, Symbols)>(bytes).unwrap().1;
        let copied = read(&bytes);
        let kept = in_place(bytes, read);
        let place = |symbols: &Symbols| match symbols {
            Symbols::Packed(bytes) => bytes.as_ptr(),
            Symbols::Taken(_) => panic!("read, not taken"),
        };
        assert!(at.contains(&place(&kept)) && !at.contains(&place(&copied)));
        assert_eq!((&kept, &copied), (&symbols, &symbols));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let symbols = Symbols::Taken(vec![image_of("A"), image_of("LONGERNAME")]);
        let bytes = postcard::to_stdvec(&symbols).unwrap();
        let back: Symbols = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back, symbols);
        let packed = symbols.packed().unwrap();
        for cut in (0..packed.len()).filter(|cut| ![0, records(&packed).next().unwrap().end()].contains(cut)) {
            let bytes = postcard::to_stdvec(&Symbols::Packed(Bytes::keep(&packed[..cut]))).unwrap();
            assert!(postcard::from_bytes::<Symbols>(&bytes).is_err(), "cut at {cut}");
        }
        let mut long = packed.to_vec();
        long[..4].fill(0xff);
        let bytes = postcard::to_stdvec(&Symbols::Packed(Bytes::keep(&long))).unwrap();
        assert!(postcard::from_bytes::<Symbols>(&bytes).is_err());
    }
}
