//! The consumer group: who is in it, who reads what, and who may commit.

use fragility::sources::Ownership;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A member that is not heard of for so long is given up.
pub(crate) const SESSION: i64 = 10_000_000_000;

/// One consumer, as itself and as the coordinator sees it.
#[derive(Default)]
pub(crate) struct Consumer {
    /// Whether the coordinator counts it in.
    pub(crate) is_in: bool,
    /// Partitions it has not let go of.
    pub(crate) assigned: BTreeSet<i32>,
    /// Of those, the ones it was asked for.
    leaving: BTreeSet<i32>,
    /// What it has not been told yet.
    pub(crate) events: VecDeque<Ownership>,
    /// The generation it knows itself in; none once it knows that it is out.
    pub(crate) generation: Option<u32>,
    /// Since when it does nothing: stopped, or crashed.
    pub(crate) silent_since: Option<i64>,
    pub(crate) is_gone: bool,
    /// Whether it knows that it was given up, and has not joined again.
    is_aware: bool,
}

/// Proof of membership as the coordinator checks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Proof {
    pub(crate) client: usize,
    pub(crate) generation: Option<u32>,
    /// Which of the broker's notes goes with the offsets.
    pub(crate) note: usize,
}

#[derive(Default)]
pub(crate) struct Group {
    pub(crate) consumers: BTreeMap<usize, Consumer>,
    pub(crate) generation: u32,
    pub(crate) is_eager: bool,
    /// All partitions to one member, the others wait.
    pub(crate) has_single_owner: bool,
    pub(crate) is_due: bool,
    pub(crate) committed: BTreeMap<i32, i64>,
    /// What was noted with each of them.
    pub(crate) notes: BTreeMap<i32, usize>,
    pub(crate) rebalances: u64,
}

impl Group {
    pub(crate) fn join(&mut self, client: usize) {
        let consumer = self.consumers.entry(client).or_default();
        consumer.is_in = true;
        consumer.is_aware = false;
        self.is_due = true;
    }

    /// A member leaves in good order.
    pub(crate) fn leave(&mut self, client: usize) {
        if let Some(consumer) = self.consumers.get_mut(&client) {
            self.is_due |= consumer.is_in;
            *consumer = Consumer { is_gone: true, ..Consumer::default() };
        }
    }

    pub(crate) fn silence(&mut self, client: usize, at: i64, is_gone: bool) {
        if let Some(consumer) = self.consumers.get_mut(&client) {
            consumer.silent_since.get_or_insert(at);
            consumer.is_gone |= is_gone;
        }
    }

    pub(crate) fn speak(&mut self, client: usize) {
        if let Some(consumer) = self.consumers.get_mut(&client) {
            consumer.silent_since = None;
        }
    }

    /// A member that was given up learns of it: what it reads is lost.
    pub(crate) fn notice(&mut self, client: usize) {
        let Some(consumer) = self.consumers.get_mut(&client) else { return };
        if consumer.is_in || consumer.is_gone || consumer.is_aware {
            return;
        }
        consumer.is_aware = true;
        consumer.generation = None;
        consumer.events.clear();
        consumer.leaving = consumer.assigned.clone();
        if consumer.assigned.is_empty() {
            return self.join(client);
        }
        let partitions = consumer.assigned.iter().copied().collect();
        consumer.events.push_back(Ownership::Revoked { partitions, lost: true });
    }

    pub(crate) fn release(&mut self, client: usize, partitions: &[i32]) {
        let is_eager = self.is_eager;
        let Some(consumer) = self.consumers.get_mut(&client) else { return };
        if is_eager {
            consumer.assigned.clear();
            consumer.leaving.clear();
        }
        consumer.assigned.retain(|p| !partitions.contains(p));
        consumer.leaving.retain(|p| !partitions.contains(p));
        if consumer.is_in || consumer.is_aware {
            self.join(client);
        }
    }

    /// Whether a commit with this proof is taken.
    pub(crate) fn admits(&self, proof: Proof) -> bool {
        let is_in = self.consumers.get(&proof.client).is_some_and(|c| c.is_in);
        is_in && proof.generation == Some(self.generation)
    }

    /// Gives up who is silent for too long, and carries out a rebalance that is due.
    pub(crate) fn tick(&mut self, now: i64, partitions: i32) {
        for consumer in self.consumers.values_mut() {
            if consumer.is_in && consumer.silent_since.is_some_and(|since| now - since > SESSION) {
                consumer.is_in = false;
                self.is_due = true;
            }
        }
        let is_waiting = self.consumers.values().any(|c| c.is_in && c.silent_since.is_some());
        if !self.is_due || is_waiting || !self.consumers.values().any(|c| c.is_in) {
            return;
        }
        if self.is_eager { self.eager(partitions) } else { self.cooperative(partitions) }
    }

    /// Who is to read what: even shares, and nothing moves that need not.
    fn target(&self, partitions: i32) -> BTreeMap<usize, BTreeSet<i32>> {
        let members: Vec<usize> = self.consumers.iter().filter(|(_, c)| c.is_in).map(|(id, _)| *id).collect();
        let share = usize::try_from(partitions).unwrap().div_ceil(members.len());
        let most = |at: usize| match (self.has_single_owner, at) {
            (true, 0) => usize::MAX,
            (true, _) => 0,
            (false, _) => share,
        };
        let mut target: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
        let mut left: BTreeSet<i32> = (0..partitions).collect();
        for (at, id) in members.iter().enumerate() {
            let kept: BTreeSet<i32> = self.consumers[id].assigned.iter().copied().take(most(at)).collect();
            left.retain(|p| !kept.contains(p));
            target.insert(*id, kept);
        }
        for (at, id) in members.iter().enumerate() {
            let own = target.entry(*id).or_default();
            while own.len() < most(at)
                && let Some(p) = left.pop_first()
            {
                own.insert(p);
            }
        }
        target
    }

    fn cooperative(&mut self, partitions: i32) {
        self.is_due = false;
        self.rebalances += 1;
        self.generation += 1;
        let target = self.target(partitions);
        let taken: BTreeSet<i32> =
            self.consumers.values().filter(|c| c.is_in).flat_map(|c| c.assigned.iter().copied()).collect();
        for (id, wanted) in target {
            let Some(consumer) = self.consumers.get_mut(&id) else { continue };
            consumer.generation = Some(self.generation);
            let revoked: Vec<i32> = consumer
                .assigned
                .iter()
                .filter(|p| !wanted.contains(p) && !consumer.leaving.contains(p))
                .copied()
                .collect();
            if !revoked.is_empty() {
                consumer.leaving.extend(&revoked);
                consumer.events.push_back(Ownership::Revoked { partitions: revoked, lost: false });
            }
            // A group's partitions go together.
            let granted: Vec<i32> = wanted.into_iter().filter(|p| !taken.contains(p)).collect();
            consumer.assigned.extend(&granted);
            consumer.events.push_back(Ownership::Assigned(granted));
        }
    }

    fn eager(&mut self, partitions: i32) {
        let mut is_free = true;
        for consumer in self.consumers.values_mut().filter(|c| c.is_in && !c.assigned.is_empty()) {
            is_free = false;
            if consumer.leaving.is_empty() {
                consumer.leaving = consumer.assigned.clone();
                let partitions = consumer.assigned.iter().copied().collect();
                consumer.events.push_back(Ownership::Revoked { partitions, lost: false });
            }
        }
        if !is_free {
            return;
        }
        self.is_due = false;
        self.rebalances += 1;
        self.generation += 1;
        for (id, wanted) in self.target(partitions) {
            let Some(consumer) = self.consumers.get_mut(&id) else { continue };
            consumer.generation = Some(self.generation);
            consumer.assigned.clone_from(&wanted);
            consumer.events.push_back(Ownership::Assigned(wanted.into_iter().collect()));
        }
    }
}
