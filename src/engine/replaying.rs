//! Records read again after a restart: they rebuild the state, and what follows from them has been said.
//!
//! Between [`Engine::replay_begins`] and [`Engine::replay_ends`] a partition's records change the state as they
//! always do, revisions and sequences included, and raise no alert. Groups are silent while all partitions are replayed,
//! and wait while some are. Reference records that the restored state has not seen wait for the end of the replay: until there the
//! state follows from what it knew then.

use super::{Effects, Engine};

impl Engine {
    /// A partition's records from here on are read again.
    pub fn replay_begins(&mut self, partition: i32) {
        self.replaying.insert(partition);
    }

    /// A partition has come to where it was: what its records say from here on is new, and so is what reference
    /// records have changed since its snapshot.
    pub fn replay_ends(&mut self, partition: i32, effects: &mut Effects) {
        if self.replaying.remove(&partition) {
            self.catch_up(effects);
        }
    }

    /// Whether groups wait: a partition is replayed beside others that are live. What is said of these is new, and
    /// what would be said before that one has caught up is not the truth.
    pub(super) fn holds_groups(&self, assigned: &[i32]) -> bool {
        !self.replaying.is_empty() && assigned.iter().any(|p| !self.replaying.contains(p))
    }

    /// Whether a symbol's partition is being replayed.
    pub(super) fn is_replayed(&self, id: u32) -> bool {
        !self.replaying.is_empty() && self.replaying.contains(&self.states[id as usize].partition)
    }

    /// Does something to a symbol, without a word while its partition is replayed.
    pub(super) fn unless_replayed(
        &mut self,
        id: u32,
        effects: &mut Effects,
        act: impl FnOnce(&mut Self, &mut Effects),
    ) {
        let is_replayed = self.is_replayed(id);
        let before = effects.alerts.len();
        act(self, effects);
        if is_replayed {
            effects.alerts.truncate(before);
        }
    }
}
