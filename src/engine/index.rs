//! From a symbol's name to its number.
//!
//! The look-up is the first thing a tick does, and with many symbols most of what a quiet one costs. So a short
//! name is a number in the table itself: no pointer is followed to compare it.

use crate::domain::Symbol;
use std::collections::HashMap;

type Table<K> = HashMap<K, u32, foldhash::fast::FixedState>;

/// The numbers of names.
#[derive(Clone, Default)]
pub(super) struct Index {
    /// Names of up to eight bytes, which nearly all are.
    short: Table<u64>,
    long: Table<Symbol>,
}

/// A name of one to eight bytes as a number, padded with zeros, which no symbol contains; `None` for others.
///
/// Reads whole words that overlap: a copy of a few bytes into eight that are read back at once stalls.
#[inline]
fn short(name: &str) -> Option<u64> {
    let bytes = name.as_bytes();
    let at = |n: usize| u64::from(bytes[n]) << (8 * n);
    match (bytes.len(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (1..=3, ..) => Some(at(0) | at(bytes.len() / 2) | at(bytes.len() - 1)),
        (4..=8, Some(first), Some(last)) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            Some(u64::from(first) | u64::from(last) << (8 * (bytes.len() - 4)))
        }
        _ => None,
    }
}

impl Index {
    /// The number of a name.
    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<u32> {
        match short(name) {
            Some(key) => self.short.get(&key).copied(),
            None => self.long.get(name).copied(),
        }
    }

    pub(super) fn insert(&mut self, name: &Symbol, id: u32) {
        match short(name.as_str()) {
            Some(key) => self.short.insert(key, id),
            None => self.long.insert(name.clone(), id),
        };
    }

    pub(super) fn remove(&mut self, name: &Symbol) {
        match short(name.as_str()) {
            Some(key) => self.short.remove(&key),
            None => self.long.remove(name),
        };
    }

    /// Takes every name of a number out.
    pub(super) fn forget(&mut self, id: u32) {
        self.short.retain(|_, held| *held != id);
        self.long.retain(|_, held| *held != id);
    }

    pub(super) fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.short.values_mut().chain(self.long.values_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_name_keeps_all_its_bytes() {
        for name in ["A", "AB", "ABC", "ABCD", "ABCDE", "ABCDEF", "ABCDEFG", "ABCDEFGH"] {
            let mut bytes = [0; 8];
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            assert_eq!(short(name).map(u64::to_le_bytes), Some(bytes), "{name}");
        }
        assert_eq!((short(""), short("ABCDEFGHI")), (None, None));
    }

    proptest! {
        #[test]
        fn names_are_told_apart(names in proptest::collection::btree_set("[A-C.]{1,12}", 1..80)) {
            let mut index = Index::default();
            for (name, id) in names.iter().zip(0..) {
                index.insert(&Symbol::new(name).unwrap(), id);
            }
            for (name, id) in names.iter().zip(0..) {
                prop_assert_eq!(index.get(name), Some(id));
                prop_assert_eq!(index.get(&format!("{name}!")), None);
            }
            let first = Symbol::new(names.first().unwrap()).unwrap();
            index.remove(&first);
            prop_assert_eq!(index.get(first.as_str()), None);
            index.forget(1);
            prop_assert!(names.iter().nth(1).is_none_or(|second| index.get(second).is_none()));
            prop_assert_eq!(index.numbers_mut().count(), names.len().saturating_sub(2));
        }
    }
}
