//! Which symbols a partition's image knows, without making state of them.

use super::foreign::Progress;
use super::packed::{Record, Symbols, records};
use super::{PartitionImage, SymbolImage};
use crate::engine::Engine;
use crate::engine::renames::Origin;
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
    origin: Option<Origin>,
    progress: Progress,
}

impl Symbols {
    /// The names by which each is known: its own, and its first one where a rename has touched it.
    fn names(&self, mut each: impl FnMut(&str)) {
        let mut both = |symbol: &str, origin: Option<&(String, i32)>| {
            each(symbol);
            if let Some((first, _)) = origin {
                each(first);
            }
        };
        match self {
            Self::Taken(images) => images.iter().for_each(|image| both(&image.symbol, image.origin.as_ref())),
            Self::Packed(bytes) => records(bytes).for_each(|record| {
                both(record.name, renamed(&record).and_then(|image| image.origin).as_ref());
            }),
        }
    }
}

/// The image of a symbol that a rename may have touched.
fn renamed(record: &Record<'_>) -> Option<SymbolImage> {
    record.is_pressing.then(|| record.image()).flatten()
}

impl PartitionImage {
    /// Names of the symbols that it has; with `all`, also of those that have gone on elsewhere, under whatever name.
    pub fn names(&self, all: bool) -> Digests {
        let mut names = Digests::default();
        let mut take = |name: &str| {
            names.insert(digest(name));
        };
        self.symbols.names(&mut take);
        if all {
            self.departed.names(&mut take);
            self.renames.iter().for_each(|(_, to, _)| take(to));
        }
        names
    }

    /// How far those of its symbols have come that have one of these names, and those that left it.
    pub fn progress_of(&self, names: &Digests) -> Vec<Elsewhere> {
        let mut all = Vec::new();
        let mut take = |image: &SymbolImage| {
            let first = image.origin.as_ref().map(|(first, _)| first);
            if first.into_iter().chain([&image.symbol]).any(|name| names.contains(&digest(name))) {
                let (symbol, origin) = (image.symbol.clone(), image.origin());
                all.push(Elsewhere { symbol, origin, progress: image.progress() });
            }
        };
        for symbols in [&self.symbols, &self.departed] {
            match symbols {
                Symbols::Taken(images) => images.iter().for_each(|image| take(image)),
                Symbols::Packed(bytes) => {
                    let meant = records(bytes).filter(|r| r.is_pressing || names.contains(&digest(r.name)));
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
        let Some(id) = self.counterpart(&elsewhere.symbol, elsewhere.origin.as_ref()) else { return false };
        self.wake(id);
        let state = &self.states[id as usize];
        partitions.contains(&state.partition) && super::foreign::progress(state) < elsewhere.progress
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
