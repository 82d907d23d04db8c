//! The numbers of a record as they stand in its bytes, and what one digit changed makes of them.

use fragility::codec::{digest_of, digested};
use std::ops::Range;

/// A number: its path with `[]` for every entry of a list, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) path: String,
    pub(crate) at: Range<usize>,
}

/// Every number of one JSON object, in order.
pub(crate) fn numbers(record: &[u8]) -> Vec<Leaf> {
    let mut scan = Scan { bytes: record, at: 0, found: Vec::new() };
    scan.value("");
    assert_eq!(scan.at, record.len(), "the whole record is read");
    scan.found
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    found: Vec<Leaf>,
}

impl Scan<'_> {
    fn text(&mut self) -> String {
        let from = self.at + 1;
        self.at += 1;
        while self.bytes[self.at] != b'"' {
            self.at += if self.bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        String::from_utf8(self.bytes[from..self.at - 1].to_vec()).unwrap()
    }

    /// The entries of an object or list, up to behind its end.
    fn entries(&mut self, end: u8, mut entry: impl FnMut(&mut Self)) {
        self.at += 1;
        while self.bytes[self.at] != end {
            entry(self);
            if self.bytes[self.at] == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn value(&mut self, path: &str) {
        match self.bytes[self.at] {
            b'{' => self.entries(b'}', |scan| {
                let name = scan.text();
                scan.at += 1;
                scan.value(&if path.is_empty() { name } else { format!("{path}.{name}") });
            }),
            b'[' => self.entries(b']', |scan| scan.value(&format!("{path}[]"))),
            b'"' => drop(self.text()),
            first => {
                let from = self.at;
                while !b",]}".contains(&self.bytes[self.at]) {
                    self.at += 1;
                }
                if first == b'-' || first.is_ascii_digit() {
                    self.found.push(Leaf { path: path.to_owned(), at: from..self.at });
                }
            }
        }
    }
}

/// The record with one digit of a number changed: its first, its middle and its last one in turn. Changes that
/// leave the same number are left out.
pub(crate) fn forgeries(record: &[u8], leaf: &Leaf) -> Vec<Vec<u8>> {
    let number = &record[leaf.at.clone()];
    let mantissa = number.iter().position(|b| *b == b'e').unwrap_or(number.len());
    let digits: Vec<usize> = (0..mantissa).filter(|i| number[*i].is_ascii_digit()).collect();
    let mut places = vec![0, digits.len() / 2, digits.len() - 1];
    places.dedup();
    let value = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().parse::<f64>().unwrap();
    let mut forged = Vec::new();
    for place in places {
        let mut changed = number.to_vec();
        let digit = &mut changed[digits[place]];
        // Upwards, but no zero in front.
        *digit = if *digit == b'9' { b'8' } else { *digit + 1 };
        if value(&changed).to_bits() != value(number).to_bits() || !number.contains(&b'.') {
            let mut bytes = record.to_vec();
            bytes.splice(leaf.at.clone(), changed);
            forged.push(bytes);
        }
    }
    forged
}

/// The record with the digest that its bytes have now: what a careful forger sends.
pub(crate) fn resealed(record: &[u8]) -> Vec<u8> {
    let digest = digest_of(digested(record).unwrap());
    let mut bytes = record.to_vec();
    let at = bytes.len() - 2 - digest.len();
    bytes[at..at + digest.len()].copy_from_slice(digest.as_bytes());
    bytes
}
