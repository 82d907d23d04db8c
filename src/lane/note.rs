//! What a lane notes with the offsets it commits, for whoever goes on from them: `name=number`, a space in between.
//!
//! `partitions` and `since` say how far symbols stay where they are (`lane::adopt`), `at` when offsets and alerts were
//! last committed as one (`lane::recall`). A name that is not known is left alone.

use super::Lane;
use std::str::FromStr;

/// A number of a note.
pub(super) fn field<T: FromStr>(note: &str, name: &str) -> Option<T> {
    note.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

impl Lane {
    /// Notes what is so now with whatever is committed from here on.
    pub(super) fn write_note(&mut self) {
        let note = self.adoption.noted().into_iter().chain(self.noted_time()).collect::<Vec<_>>().join(" ");
        self.source.note(&note);
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn numbers_are_found_by_their_name() {
        assert_eq!(field("partitions=4 since=2 at=1767225600000", "at"), Some(1_767_225_600_000_i64));
        assert_eq!(field("partitions=4 since=2", "since"), Some(2));
        for note in ["", "at", "at=", "at=x", "at 1", "chat=1", "partitions=4"] {
            assert_eq!(field::<i64>(note, "at"), None, "{note}");
        }
    }
}
