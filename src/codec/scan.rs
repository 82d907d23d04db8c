//! The tick fast path: one pass over a flat JSON object, borrowing its strings.
//!
//! It reads only what it is sure of. Escapes, nesting, unknown or repeated keys, odd numbers, other record
//! types: all of that is `None`, and the general decoder decides.

use super::json::NAME_LEN_MAX;
use super::number::{float, integer};
use crate::domain::{ConditionCode, Conditions, Price, Symbol, Tape, Tick, UnixNanos};
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

    /// A short text that names something: at most [`NAME_LEN_MAX`] bytes.
    #[inline]
    fn name(&mut self) -> Option<Cow<'a, str>> {
        let bytes = self.string()?;
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.is_empty() && text.len() <= NAME_LEN_MAX).then_some(Cow::Borrowed(text))
    }

    /// A trade id: a name, or a whole number as it is written.
    #[inline]
    fn id(&mut self) -> Option<Cow<'a, str>> {
        self.skip_space();
        if self.bytes.get(self.at) == Some(&b'"') {
            return self.name();
        }
        let start = self.at;
        self.integer()?;
        std::str::from_utf8(&self.bytes[start..self.at]).ok().map(Cow::Borrowed)
    }

    /// A list of condition codes.
    #[inline]
    fn conditions(&mut self) -> Option<Conditions> {
        let mut conditions = Conditions::NONE;
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(conditions);
        }
        loop {
            let code = std::str::from_utf8(self.string()?).ok()?;
            if !conditions.push(ConditionCode::new(code)?) {
                return None;
            }
            if self.take(b']').is_some() {
                return Some(conditions);
            }
            self.take(b',')?;
        }
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
    let mut symbol = None;
    let (mut ts, mut price, mut size, mut seq) = (None, None, None, None);
    let (mut id, mut feed, mut venue, mut tape) = (None, None, None, None);
    let mut cond = Conditions::NONE;
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
                size = Some(cursor.float().filter(|s| *s > 0.0)?);
            }
            b"seq" => {
                once(32)?;
                seq = Some(cursor.integer()?);
            }
            b"feed" => {
                once(64)?;
                feed = Some(cursor.name()?);
            }
            b"id" => {
                once(128)?;
                id = Some(cursor.id()?);
            }
            b"tape" => {
                once(256)?;
                tape = Some(Tape::parse(std::str::from_utf8(cursor.string()?).ok()?));
            }
            b"venue" => {
                once(512)?;
                venue = Some(cursor.name()?);
            }
            b"cond" => {
                once(1024)?;
                cond = cursor.conditions()?;
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
    Some(Tick {
        symbol: Cow::Borrowed(symbol),
        ts: UnixNanos(ts?),
        price: Price::new(price?).ok()?,
        size,
        seq: match seq {
            Some(seq) => Some(u64::try_from(seq).ok()?),
            None => None,
        },
        id,
        feed,
        venue,
        tape,
        cond,
    })
}
