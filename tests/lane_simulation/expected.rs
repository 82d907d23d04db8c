//! What must come out: the engine stepped once over every record, without any fault.

use super::market::Script;
use fragility::app::take_reference;
use fragility::codec::{Decoder, encode_alert, encode_state};
use fragility::config::Config;
use fragility::domain::{Accounts, Entity, UnixNanos};
use fragility::engine::{Channel, Effects, Engine, Origin, Watermark};
use std::collections::BTreeMap;

/// One alert of the reference run.
pub(crate) struct Said {
    pub(crate) alert: Vec<u8>,
    pub(crate) state: Vec<u8>,
    /// Next offsets by partition from which on it must have been said.
    pub(crate) due: Vec<i64>,
}

/// A dead letter of the reference run.
pub(crate) struct Refused {
    pub(crate) reason: &'static str,
    pub(crate) due: Vec<i64>,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Expected {
    /// By entity, in order.
    pub(crate) alerts: BTreeMap<Vec<u8>, Vec<Said>>,
    /// By partition and offset.
    pub(crate) dead_letters: BTreeMap<(i32, i64), Refused>,
    /// Where the records of each partition went.
    pub(crate) accounts: Vec<Accounts>,
}

impl Expected {
    pub(crate) fn alerts_len(&self) -> usize {
        self.alerts.values().map(Vec::len).sum()
    }
}

/// The reference run.
pub(crate) fn expect(config: &Config, script: &Script) -> Expected {
    let mut run = Reference {
        engine: Engine::new(config.params.clone()),
        decoder: &config.decoder,
        effects: Effects::default(),
        homes: BTreeMap::new(),
        at_hand: None,
        next: vec![0; script.partitions.len()],
        all: Expected::default(),
    };
    run.all.accounts = vec![Accounts::default(); script.partitions.len()];
    let assigned: Vec<i32> = (0..).take(script.partitions.len()).collect();
    for value in &script.references {
        take_reference(&mut run.engine, Channel::Initial, value, &mut run.effects);
    }
    run.effects.clear();
    run.engine.history_loaded();
    let mut at = vec![0; script.partitions.len()];
    // Partitions together in event time.
    while let Some((_, p)) = (0..at.len()).filter_map(|p| Some((script.partitions[p].get(at[p])?.at, p))).min() {
        let record = &script.partitions[p][at[p]];
        at[p] += 1;
        run.next[p] = record.offset + 1;
        let origin = Origin { partition: assigned[p], offset: record.offset, timestamp: record.timestamp };
        run.at_hand = Some(p);
        run.record(&origin, &record.key, record.value.as_deref().unwrap_or_default());
        run.at_hand = None;
        run.engine.advance(Watermark::Partitions, &assigned, &mut run.effects);
        run.take();
    }
    run.all
}

struct Reference<'a> {
    engine: Engine,
    decoder: &'a Decoder,
    effects: Effects,
    /// Which partition a symbol is read from.
    homes: BTreeMap<Vec<u8>, usize>,
    /// Partition of the record at hand: what it says of its symbol may be about the name before.
    at_hand: Option<usize>,
    next: Vec<i64>,
    all: Expected,
}

impl Reference<'_> {
    fn record(&mut self, origin: &Origin, key: &[u8], value: &[u8]) {
        let p = usize::try_from(origin.partition).unwrap();
        self.homes.insert(key.to_vec(), p);
        let Self { engine, effects, decoder, .. } = self;
        let judged = decoder.decode(value).judge(|o, is_part| engine.step(UnixNanos(0), origin, o, is_part, effects));
        self.all.accounts[p].take(judged.outcome);
        if judged.outcome.is_some_and(fragility::domain::Outcome::is_dead_letter) {
            self.refused(origin, judged.reason);
        }
        self.take();
    }

    fn refused(&mut self, origin: &Origin, reason: &'static str) {
        let due = self.due(usize::try_from(origin.partition).unwrap());
        self.all.dead_letters.insert((origin.partition, origin.offset), Refused { reason, due });
    }

    /// What follows from one partition's records alone is due as soon as that partition has come so far.
    fn due(&self, partition: usize) -> Vec<i64> {
        (0..self.next.len()).map(|p| if p == partition { self.next[p] } else { 0 }).collect()
    }

    fn take(&mut self) {
        for alert in std::mem::take(&mut self.effects.alerts) {
            let key = alert.entity.id().as_bytes().to_vec();
            let due = match &alert.entity {
                Entity::Symbol(_) => self.due(self.at_hand.unwrap_or_else(|| self.homes[&key])),
                Entity::Cluster(_) => self.next.clone(),
            };
            let (mut bytes, mut state) = (Vec::new(), Vec::new());
            encode_alert(&alert, &mut bytes);
            encode_state(&alert, &mut state);
            self.all.alerts.entry(key).or_default().push(Said { alert: bytes, state, due });
        }
        for resolved in std::mem::take(&mut self.effects.resolved) {
            let p = usize::try_from(resolved.origin.partition).unwrap();
            self.all.accounts[p].resolve(resolved.disposition.outcome);
            if resolved.disposition.outcome.is_dead_letter() {
                self.refused(&resolved.origin, resolved.disposition.reason);
            }
        }
        self.effects.measures.clear();
    }
}
