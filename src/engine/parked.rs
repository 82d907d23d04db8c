//! Symbols of a restored partition that are still encoded.
//!
//! To make state of a million symbols takes seconds, to find out which there are takes a fraction of one. So a symbol
//! is kept as it was read until something is asked of it, and the lane decodes the rest in slices. That shows
//! nowhere: a symbol is parked only when its records alone ask for it. One that a group follows, that waits for
//! something, that a rename touches, or of which other reference records are known than when the image was taken is
//! restored with its partition.

use super::Engine;
use super::image::packed::{Bytes, Record, records};
use super::state::{NO_PARTITION, SymbolState};
use crate::domain::UnixNanos;
use std::sync::Arc;

/// What the symbols of one image have in common.
pub(super) struct Batch {
    pub(super) partition: i32,
    pub(super) tiers: Vec<f64>,
    pub(super) feeds: Vec<Option<u16>>,
    pub(super) bytes: Bytes,
}

#[derive(Clone, Copy)]
struct Place {
    batch: usize,
    at: usize,
}

/// Where the encoded symbols are.
#[derive(Default)]
pub(super) struct Parked {
    batches: Vec<Arc<Batch>>,
    /// By number of the symbol.
    places: Vec<Option<Place>>,
    left: usize,
    /// Symbols before this one are decoded.
    next: usize,
    unreadable: u64,
}

impl Parked {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn put(&mut self, id: u32, batch: &Arc<Batch>, at: usize) {
        let id = id as usize;
        // Batches go with their last symbol, and that may happen while another one is put here.
        if !self.batches.last().is_some_and(|last| Arc::ptr_eq(last, batch)) {
            self.batches.push(batch.clone());
        }
        let batch = self.batches.len() - 1;
        if self.places.len() <= id {
            self.places.resize(id + 1, None);
        }
        self.left += usize::from(self.places[id].replace(Place { batch, at }).is_none());
        self.next = self.next.min(id);
    }

    /// Forgets a symbol's encoded state.
    pub(super) fn drop(&mut self, id: u32) {
        self.take(id);
    }

    fn take(&mut self, id: u32) -> Option<(Arc<Batch>, usize)> {
        let place = self.places.get_mut(id as usize)?.take()?;
        let batch = self.batches[place.batch].clone();
        self.left -= 1;
        if self.left == 0 {
            (self.batches, self.places, self.next) = (Vec::new(), Vec::new(), 0);
        }
        Some((batch, place.at))
    }

    /// The next one of which nothing has been asked.
    fn first(&mut self) -> Option<u32> {
        let ahead = self.places.get(self.next..)?.iter().position(Option::is_some)?;
        self.next += ahead;
        u32::try_from(self.next).ok()
    }
}

impl Engine {
    /// Restores what an image has of symbols: at once where that is called for, the rest later.
    pub(super) fn restore_packed(&mut self, batch: Batch) {
        let batch = Arc::new(batch);
        for record in records(&batch.bytes) {
            if record.is_pressing || !self.park(&batch, &record) {
                let Some(image) = record.image() else {
                    self.parked.unreadable += 1;
                    continue;
                };
                self.restore_image(&batch, &image);
            }
        }
    }

    fn park(&mut self, batch: &Arc<Batch>, record: &Record<'_>) -> bool {
        if !self.renames.is_empty() {
            return false;
        }
        // What has no place here has none in an image of it either.
        let Ok(id) = self.admit(record.name) else { return true };
        let state = &mut self.states[id as usize];
        let is_plain = !state.is_tracked && state.partition == NO_PARTITION && state.cold.origin.is_none();
        if !is_plain || state.cold.has_outlived || state.cold.reference != record.reference {
            return false;
        }
        state.partition = batch.partition;
        // So that its next record stops at the door.
        state.deadline = UnixNanos::MIN;
        self.parked.put(id, batch, record.at);
        true
    }

    /// Makes sure that a symbol is decoded.
    #[inline]
    pub(super) fn wake(&mut self, id: u32) {
        if !self.parked.is_empty() {
            self.wake_parked(id);
        }
    }

    #[cold]
    fn wake_parked(&mut self, id: u32) {
        let Some((batch, at)) = self.parked.take(id) else { return };
        if let Some(image) = Record::at(&batch.bytes, at).and_then(|record| record.image()) {
            self.restore_symbol(id, &batch, &image);
            return;
        }
        self.parked.unreadable += 1;
        let symbol = self.states[id as usize].cold.symbol.clone();
        self.states[id as usize].deadline = SymbolState::new(symbol, &self.params).deadline;
    }

    /// Decodes up to `max` of the symbols that restored partitions still keep encoded; how many are left.
    pub fn wake_some(&mut self, max: usize) -> usize {
        for _ in 0..max {
            let Some(id) = self.parked.first() else { break };
            self.wake_parked(id);
        }
        self.parked.left
    }

    /// Decodes a symbol that is still encoded, for those who look at it.
    pub fn wake_named(&mut self, symbol: &str) {
        if let Some(id) = self.index.get(symbol) {
            self.wake(id);
        }
    }

    /// Symbols that were in an image and could not be decoded: they begin anew. A checksum that holds over such an
    /// image was made with it.
    pub fn unreadable(&self) -> u64 {
        self.parked.unreadable
    }
}
