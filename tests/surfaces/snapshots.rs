//! Snapshots: the envelope, images of any content behind a checksum that holds, and the chunks of the topic.
//!
//! An image that decodes is continued from, whatever it says: nothing panics, and what is kept of it is what the next
//! snapshot says.

use super::config::{drive, engine};
use fragility::codec::{SnapshotError, decode_snapshot, encode_snapshot};
use fragility::domain::UnixNanos;
use fragility::engine::{Engine, GroupsImage, PartitionImage};
use fragility::stores::Chunks;
use serde::ser::{Serialize, SerializeTuple, Serializer};

/// Magic bytes, version, length and checksum.
const HEADER_LEN: usize = 18;

/// Bytes that are encoded as themselves.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// The image's bytes of a snapshot.
pub(crate) fn body_of(snapshot: &[u8]) -> &[u8] {
    &snapshot[HEADER_LEN..]
}

/// A snapshot of these bytes as the image, in an envelope that holds.
fn enveloped(body: &[u8]) -> Vec<u8> {
    encode_snapshot(&Raw(body)).unwrap_or_else(|e| panic!("{e}"))
}

fn bytes_of(image: &impl Serialize) -> Vec<u8> {
    encode_snapshot(image).unwrap_or_else(|e| panic!("{e}"))
}

/// An engine that continues from another's snapshot says the same in its own.
pub(super) fn again(engine: &mut Engine) {
    let image = engine.image(&[0]);
    let (groups, partition) = (bytes_of(&image.groups), bytes_of(&image.partitions[0].1));
    let mut second = super::config::engine();
    second.restore_groups(decode_snapshot(&groups).unwrap_or_else(|e| panic!("{e}")));
    let read: PartitionImage = decode_snapshot(&partition).unwrap_or_else(|e| panic!("{e}"));
    second.restore_partition(UnixNanos(0), 0, &read);
    let again = second.image(&[0]);
    let parts =
        [("groups", bytes_of(&again.groups), groups), ("partition", bytes_of(&again.partitions[0].1), partition)];
    for (what, got, expected) in parts {
        if got != expected {
            let (is, was) = (format!("{again:?}"), format!("{image:?}"));
            panic!("the image of a {what} is restored as another: {}", difference(&is, &was));
        }
    }
}

/// Where two texts part, and a little of both.
fn difference(is: &str, was: &str) -> String {
    let at = is.bytes().zip(was.bytes()).position(|(a, b)| a != b).unwrap_or(is.len().min(was.len()));
    let part = |text: &str| {
        let bytes = &text.as_bytes()[at.saturating_sub(300).min(text.len())..text.len().min(at + 120)];
        String::from_utf8_lossy(bytes).into_owned()
    };
    format!("...{}... instead of ...{}...", part(is), part(was))
}

/// Runs an engine that was continued from an image.
fn go_on(engine: &mut Engine) {
    again(engine);
    let known: Vec<String> = engine.symbols().take(3).map(|view| view.symbol.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).chain(["AAPL", "ZZZ"]).collect();
    drive(engine, &known);
    let _ = bytes_of(&engine.image(&[0]).groups);
}

fn continued_from(image: &PartitionImage) {
    let mut engine = engine();
    engine.restore_partition(UnixNanos(0), 0, image);
    go_on(&mut engine);
    // Given up, it leaves nothing that breaks what comes.
    engine.forget_partition(0);
    drive(&mut engine, &["AAPL"]);
}

/// The image of a partition behind a checksum that holds.
pub(super) fn partition(bytes: &[u8]) {
    match decode_snapshot::<PartitionImage>(&enveloped(bytes)) {
        Ok(image) => continued_from(&image),
        Err(why) => assert!(matches!(&why, SnapshotError::Image(detail) if !detail.is_empty()), "{why}"),
    }
}

/// The image of the groups behind a checksum that holds.
pub(super) fn groups(bytes: &[u8]) {
    match decode_snapshot::<GroupsImage>(&enveloped(bytes)) {
        Ok(image) => {
            let mut engine = engine();
            engine.restore_groups(image);
            go_on(&mut engine);
            engine.forget_groups();
            drive(&mut engine, &["AAPL"]);
        }
        Err(why) => assert!(matches!(&why, SnapshotError::Image(detail) if !detail.is_empty()), "{why}"),
    }
}

/// The bytes of a snapshot's file, envelope included: whatever is damaged is refused.
pub(super) fn snapshot(bytes: &[u8]) {
    for refused in
        [decode_snapshot::<PartitionImage>(bytes).map(|_| ()), decode_snapshot::<GroupsImage>(bytes).map(|_| ())]
    {
        if let Err(why) = refused {
            assert!(!why.to_string().is_empty());
        }
    }
    // One bit of an envelope that holds.
    let whole = enveloped(bytes);
    let at = bytes.iter().fold(bytes.len(), |sum, b| sum.wrapping_mul(31).wrapping_add(usize::from(*b))) % whole.len();
    let mut damaged = whole.clone();
    damaged[at] ^= 1 << (at % 8);
    let why = decode_snapshot::<PartitionImage>(&damaged).expect_err("a damaged snapshot is taken");
    assert!(!matches!(why, SnapshotError::Image(_)), "bit {at} of {}: {why}", whole.len());
    assert!(decode_snapshot::<PartitionImage>(&whole[..at]).is_err());
}

/// Messages of the topic, each behind two bytes of its length and one that its key says: in any order, of any
/// writing.
pub(super) fn chunks(bytes: &[u8]) {
    let mut all = Chunks::default();
    let mut rest = bytes;
    while let Some(([low, high, number], after)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(after.len());
        let (value, after) = after.split_at(len);
        all.take(u32::from(*number), value);
        rest = after;
    }
    if let Some((_, whole)) = all.whole() {
        snapshot(&whole);
    }
    // Those of one writing make a whole, whatever else is there.
    let mut all = Chunks::default();
    let values: Vec<Vec<u8>> = Chunks::cut(bytes, 7).into_iter().flatten().collect();
    for number in (0..values.len()).rev() {
        let (value, number) = (&values[number], u32::try_from(number).unwrap_or(0));
        all.take(number, bytes);
        all.take(number, value);
        all.take(number ^ 1, value);
    }
    if !bytes.starts_with(b"FRGC") {
        assert_eq!(all.whole(), Some((7, bytes.to_vec())));
    }
}
