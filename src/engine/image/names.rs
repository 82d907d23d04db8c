//! Which symbols a partition's image knows, without making state of them.

use super::foreign::Progress;
use super::packed::{Symbols, records};
use super::{PartitionImage, SymbolImage};
use crate::engine::Engine;
use crate::engine::state::NO_PARTITION;
use std::collections::HashSet;
use std::hash::BuildHasher;

/// Digests of symbols' names: of a million, two are the same once in forty million.
pub type Digests = HashSet<u64, foldhash::fast::FixedState>;

/// The digest of a symbol's name, the same in every run.
pub fn digest(symbol: &str) -> u64 {
    foldhash::fast::FixedState::default().hash_one(symbol)
}

/// How far a symbol has come elsewhere.
#[derive(Clone, PartialEq, Debug)]
pub struct Elsewhere {
    symbol: String,
    progress: Progress,
}

impl Symbols {
    fn names<'a>(&'a self, mut each: impl FnMut(&'a str)) {
        match self {
            Self::Taken(images) => images.iter().for_each(|image| each(&image.symbol)),
            Self::Packed(bytes) => records(bytes).for_each(|record| each(record.name)),
        }
    }
}

impl PartitionImage {
    /// Names of the symbols that it has; with `all`, also of those that have gone on elsewhere.
    pub fn names(&self, all: bool) -> Digests {
        let mut names = Digests::default();
        let mut take = |name: &str| {
            names.insert(digest(name));
        };
        self.symbols.names(&mut take);
        if all {
            self.departed.names(take);
        }
        names
    }

    /// How far those of its symbols have come that have one of these names, and those that left it.
    pub fn progress_of(&self, names: &Digests) -> Vec<Elsewhere> {
        let mut all = Vec::new();
        let mut take =
            |image: &SymbolImage| all.push(Elsewhere { symbol: image.symbol.clone(), progress: image.progress() });
        for symbols in [&self.symbols, &self.departed] {
            match symbols {
                Symbols::Taken(images) => {
                    images.iter().filter(|i| names.contains(&digest(&i.symbol))).for_each(|image| take(image));
                }
                Symbols::Packed(bytes) => {
                    let meant = records(bytes).filter(|record| names.contains(&digest(record.name)));
                    meant.filter_map(|record| record.image()).for_each(|image| take(&image));
                }
            }
        }
        all
    }
}

impl Engine {
    /// Whether a symbol that one of these partitions has, has come farther elsewhere.
    pub fn is_behind_elsewhere(&mut self, partitions: &[i32], elsewhere: &Elsewhere) -> bool {
        self.wake_named(&elsewhere.symbol);
        let state = self.index.get(&elsewhere.symbol).map(|id| &self.states[id as usize]);
        state.is_some_and(|s| partitions.contains(&s.partition) && super::foreign::progress(s) < elsewhere.progress)
    }

    /// Whether a symbol has, or had, another partition at hand.
    pub fn was_elsewhere(&self, symbol: &str, partition: i32) -> bool {
        let is_known = |engine: &Self| {
            let state = engine.index.get(symbol).map(|id| &engine.states[id as usize]);
            state.is_some_and(|s| s.partition != NO_PARTITION && s.partition != partition)
        };
        is_known(self) || self.departed.as_deref().is_some_and(|d| d.index.get(symbol).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::image::tests::{image_of, partition_of};

    #[test]
    fn an_image_names_what_it_has_and_what_it_had() {
        let image = partition_of(vec![image_of("AAPL"), image_of("NVDA")], vec![image_of("TSLA")]);
        let bytes = postcard::to_stdvec(&image).unwrap();
        for image in [image, postcard::from_bytes(&bytes).unwrap()] {
            let names = |all| {
                let found = image.names(all);
                ["AAPL", "NVDA", "TSLA", "IBM"].map(|name| found.contains(&digest(name)))
            };
            assert_eq!(names(false), [true, true, false, false]);
            assert_eq!(names(true), [true, true, true, false]);
            let wanted = ["NVDA", "IBM", "TSLA"].map(digest).into_iter().collect();
            let found: Vec<String> = image.progress_of(&wanted).into_iter().map(|e| e.symbol).collect();
            assert_eq!(found, ["NVDA", "TSLA"]);
        }
    }
}
