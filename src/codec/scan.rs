//! The tick fast path: one pass over a flat JSON object, borrowing its strings.
//!
//! It reads only what it is sure of. Escapes, nesting, unknown or repeated keys, odd numbers, other record
//! types: all of that is `None`, and the general decoder decides.

use super::number::{float, integer};
use crate::domain::{Price, Symbol, Tick, UnixNanos};
use std::borrow::Cow;

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    /// A string of printable ASCII without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' | 0..=0x1f | 0x7f.. => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(&self.bytes[start..self.at - 1])
    }

    #[inline]
    fn float(&mut self) -> Option<f64> {
        self.skip_space();
        let (value, len) = float(&self.bytes[self.at..])?;
        self.at += len;
        Some(value)
    }

    #[inline]
    fn integer(&mut self) -> Option<i64> {
        self.skip_space();
        let (value, len) = integer(&self.bytes[self.at..])?;
        self.at += len;
        Some(value)
    }
}

/// Reads a plain tick, or gives up without a verdict.
#[inline]
pub(super) fn tick(bytes: &[u8]) -> Option<Tick<'_>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let (mut symbol, mut feed) = (None, None);
    let (mut ts, mut price, mut seq) = (None, None, None);
    let (mut is_tick, mut seen) = (false, 0_u16);
    let mut once = |bit: u16| {
        let fresh = seen & bit == 0;
        seen |= bit;
        fresh.then_some(())
    };
    cursor.take(b'{')?;
    loop {
        let key = cursor.string()?;
        cursor.take(b':')?;
        match key {
            b"type" => {
                once(1)?;
                is_tick = cursor.string()? == b"tick";
            }
            b"symbol" => {
                once(2)?;
                symbol = Some(cursor.string()?);
            }
            b"ts" => {
                once(4)?;
                ts = Some(cursor.integer()?);
            }
            b"price" => {
                once(8)?;
                price = Some(cursor.float()?);
            }
            b"size" => {
                once(16)?;
                if cursor.float()? <= 0.0 {
                    return None;
                }
            }
            b"seq" => {
                once(32)?;
                seq = Some(cursor.integer()?);
            }
            b"feed" => {
                once(64)?;
                feed = Some(cursor.string()?);
            }
            b"id" => {
                once(128)?;
                cursor.string()?;
            }
            b"tape" => {
                once(256)?;
                cursor.string()?;
            }
            b"venue" => {
                once(512)?;
                cursor.string()?;
            }
            _ => return None,
        }
        cursor.skip_space();
        match cursor.bytes.get(cursor.at)? {
            b',' => cursor.at += 1,
            b'}' => {
                cursor.at += 1;
                break;
            }
            _ => return None,
        }
    }
    cursor.skip_space();
    if cursor.at != bytes.len() || !is_tick {
        return None;
    }
    let symbol = std::str::from_utf8(symbol?).ok()?;
    Symbol::check(symbol).ok()?;
    let feed = match feed {
        Some(name) => Some(Cow::Borrowed(std::str::from_utf8(name).ok().filter(|n| !n.is_empty() && n.len() <= 64)?)),
        None => None,
    };
    Some(Tick {
        symbol: Cow::Borrowed(symbol),
        ts: UnixNanos(ts?),
        price: Price::new(price?).ok()?,
        seq: match seq {
            Some(seq) => Some(u64::try_from(seq).ok()?),
            None => None,
        },
        feed,
    })
}
