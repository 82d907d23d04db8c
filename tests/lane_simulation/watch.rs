//! What must hold after every step, as a reader of committed records sees it.

use super::broker::{Broker, Entry, Fate, partition_of};
use super::expected::{Expected, Said};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Follows the output logs.
pub(crate) struct Watch {
    is_exact: bool,
    /// Next entry of each output partition.
    next: BTreeMap<(u8, i32), usize>,
    /// First appearances, by entity.
    alerts: BTreeMap<Vec<u8>, usize>,
    states: BTreeMap<Vec<u8>, usize>,
    letters: BTreeMap<(i32, i64), u64>,
    follower: Follower,
    pub(crate) repeats: u64,
    /// Heartbeats seen, and the state last seen of each entity.
    pub(crate) beats: u64,
    latest: BTreeMap<Vec<u8>, usize>,
}

impl Watch {
    pub(crate) fn new(is_exact: bool) -> Self {
        Self {
            is_exact,
            next: BTreeMap::new(),
            alerts: BTreeMap::new(),
            states: BTreeMap::new(),
            letters: BTreeMap::new(),
            follower: Follower::default(),
            repeats: 0,
            beats: 0,
            latest: BTreeMap::new(),
        }
    }

    /// Reads on, and says what is wrong.
    pub(crate) fn look(&mut self, broker: &Broker, expected: &Expected) -> Result<(), String> {
        if let Some(wrong) = &broker.wrong {
            return Err(wrong.clone());
        }
        for (log, entries) in &broker.outputs {
            loop {
                let at = self.next.get(log).copied().unwrap_or(0);
                let Some(entry) = entries.get(at) else { break };
                match broker.fate(entry) {
                    // Nothing behind an open transaction is shown.
                    Fate::Open | Fate::Committing(_) => break,
                    Fate::Aborted => {}
                    Fate::Committed => self.read(*log, entry, broker, expected)?,
                }
                self.next.insert(*log, at + 1);
            }
        }
        self.nothing_is_due(broker, expected)
    }

    fn read(&mut self, log: (u8, i32), entry: &Entry, broker: &Broker, expected: &Expected) -> Result<(), String> {
        match log.0 {
            2 => self.letter(entry, expected, self.is_exact && !broker.sabotage.forgets_offsets()),
            0 if entry.key.is_empty() => self.heartbeat(log.1, entry, expected),
            0 => {
                let all = expected.alerts.get(&entry.key).map_or(&[][..], Vec::as_slice);
                let seen = self.alerts.entry(entry.key.clone()).or_default();
                let place = place(entry, seen, all, |s| &s.alert).map_err(|e| format!("alerts: {e}"))?;
                if place + 1 < *seen || !self.follower.take(&entry.value)? {
                    self.repeats += 1;
                    if self.is_exact {
                        return Err(format!("alert {place} of {} came twice", name(&entry.key)));
                    }
                }
                Ok(())
            }
            _ => {
                let all = expected.alerts.get(&entry.key).map_or(&[][..], Vec::as_slice);
                let seen = self.states.entry(entry.key.clone()).or_default();
                let before = *seen;
                let place = place(entry, seen, all, |s| &s.state).map_err(|e| format!("states: {e}"))?;
                self.latest.insert(entry.key.clone(), place);
                if self.is_exact && *seen == before && !broker.sabotage.forgets_offsets() {
                    return Err(format!("state {place} of {} came twice", name(&entry.key)));
                }
                Ok(())
            }
        }
    }

    fn letter(&mut self, entry: &Entry, expected: &Expected, is_once: bool) -> Result<(), String> {
        let origin = entry.origin.ok_or("a dead letter without origin")?;
        if !expected.dead_letters.contains_key(&origin) {
            return Err(format!("dead letter of {origin:?}, which is none"));
        }
        let times = self.letters.entry(origin).or_default();
        *times += 1;
        if is_once && *times > 1 {
            return Err(format!("dead letter of {origin:?} came twice"));
        }
        Ok(())
    }

    /// A heartbeat speaks for offsets: what was due by then was sent before it.
    fn heartbeat(&mut self, log: i32, entry: &Entry, expected: &Expected) -> Result<(), String> {
        self.beats += 1;
        let beat: Value = serde_json::from_slice(&entry.value).map_err(|e| e.to_string())?;
        let inputs =
            beat["inputs"].as_array().filter(|i| !i.is_empty()).ok_or("a heartbeat that speaks for nothing")?;
        let claims: BTreeMap<i64, i64> =
            inputs.iter().filter_map(|i| Some((i["partition"].as_i64()?, i["next_offset"].as_i64()?))).collect();
        let is_claimed =
            |due: &[i64]| (0..).zip(due).all(|(p, due)| *due == 0 || claims.get(&p).is_some_and(|next| next >= due));
        for (key, all) in expected.alerts.iter().filter(|(key, _)| partition_of(key) == log) {
            let seen = self.alerts.get(key).copied().unwrap_or(0);
            if all.get(seen).is_some_and(|next| is_claimed(&next.due)) {
                return Err(format!(
                    "a heartbeat speaks for {claims:?}, and alert {seen} of {} is not before it",
                    name(key)
                ));
            }
        }
        Ok(())
    }

    /// No offset is committed whose alerts and dead letters are not there.
    fn nothing_is_due(&self, broker: &Broker, expected: &Expected) -> Result<(), String> {
        let committed: Vec<i64> =
            (0..).take(broker.written.len()).map(|p| broker.group.committed.get(&p).copied().unwrap_or(0)).collect();
        let is_due = |due: &[i64]| committed.iter().zip(due).all(|(c, d)| c >= d);
        for (key, all) in &expected.alerts {
            let seen = self.written(broker, 0, key, all, self.alerts.get(key).copied().unwrap_or(0), |s| &s.alert);
            if all.get(seen).is_some_and(|next| is_due(&next.due)) {
                return Err(format!("alert {seen} of {} is not there, and {committed:?} are committed", name(key)));
            }
        }
        for (origin, refused) in &expected.dead_letters {
            if is_due(&refused.due) && !self.letters.contains_key(origin) && !hidden_letter(broker, self, *origin) {
                return Err(format!(
                    "dead letter {} of {origin:?} is not there, and {committed:?} are committed",
                    refused.reason
                ));
            }
        }
        Ok(())
    }

    /// First appearances with those that are committed and that an open transaction of someone else hides.
    fn written(
        &self,
        broker: &Broker,
        stream: u8,
        key: &[u8],
        all: &[Said],
        seen: usize,
        of: fn(&Said) -> &Vec<u8>,
    ) -> usize {
        let mut seen = seen;
        for entry in self.hidden(broker, stream) {
            if entry.key == key && all.get(seen).is_some_and(|s| *of(s) == entry.value) {
                seen += 1;
            }
        }
        seen
    }

    fn hidden<'b>(&self, broker: &'b Broker, stream: u8) -> impl Iterator<Item = &'b Entry> {
        let logs = broker.outputs.iter().filter(move |((s, _), _)| *s == stream);
        let behind = logs.flat_map(|(log, entries)| entries[self.next.get(log).copied().unwrap_or(0)..].iter());
        let committed: Vec<&Entry> = behind.filter(|e| broker.fate(e) == Fate::Committed).collect();
        committed.into_iter()
    }

    /// When nothing goes wrong any more and everything is read: all is there.
    pub(crate) fn finish(&self, broker: &Broker, expected: &Expected) -> Result<(), String> {
        for (key, all) in &expected.alerts {
            for (what, seen) in [("alerts", &self.alerts), ("states", &self.states)] {
                let seen = seen.get(key).copied().unwrap_or(0);
                if seen != all.len() {
                    return Err(format!("{seen} of {} {what} of {}", all.len(), name(key)));
                }
            }
            let latest = self.latest.get(key).copied();
            if broker.was_order_kept && latest != all.len().checked_sub(1) {
                return Err(format!("the latest state of {} is {latest:?} of {}", name(key), all.len()));
            }
        }
        if let Some(origin) = expected.dead_letters.keys().find(|o| !self.letters.contains_key(o)) {
            return Err(format!("no dead letter of {origin:?}"));
        }
        for p in 0..broker.partitions() {
            let records = &broker.script.partitions[usize::try_from(p).unwrap()];
            let last = records.last().map_or(0, |r| r.offset + 1);
            if broker.group.committed.get(&p).copied().unwrap_or(0) < last {
                return Err(format!("partition {p}: committed {:?} of {last}", broker.group.committed.get(&p)));
            }
        }
        Ok(())
    }
}

fn hidden_letter(broker: &Broker, watch: &Watch, origin: (i32, i64)) -> bool {
    watch.hidden(broker, 2).any(|e| e.origin == Some(origin))
}

/// Which of the expected it is: the next one, or one before it.
fn place(entry: &Entry, seen: &mut usize, all: &[Said], of: fn(&Said) -> &Vec<u8>) -> Result<usize, String> {
    let is_it = |at: usize| all.get(at).is_some_and(|s| *of(s) == entry.value);
    if is_it(*seen) {
        *seen += 1;
        return Ok(*seen - 1);
    }
    (0..*seen).rev().find(|at| is_it(*at)).ok_or_else(|| {
        let expected = all.get(*seen).map_or(&b"nothing more"[..], |s| of(s));
        let same = entry.value.iter().zip(expected).take_while(|(a, b)| a == b).count();
        let part = |bytes: &[u8]| {
            let part = &bytes[same.saturating_sub(80).min(bytes.len())..(same + 80).min(bytes.len())];
            String::from_utf8_lossy(part).into_owned()
        };
        let (got, wanted) = (part(&entry.value), part(expected));
        format!("{} number {seen} differs at byte {same}: ..{got}..\n  expected: ..{wanted}..", name(&entry.key))
    })
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// A reader downstream that knows the format alone: drops what it has by id and revision, and follows sequences.
#[derive(Default)]
struct Follower {
    known: BTreeSet<(String, u64)>,
    sequences: BTreeMap<String, u64>,
}

impl Follower {
    /// Whether an alert is news; an error when one is missing before it.
    fn take(&mut self, value: &[u8]) -> Result<bool, String> {
        let alert: Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
        let field = |name: &str| alert[name].as_u64().ok_or_else(|| format!("an alert without {name}"));
        let id = alert["alert_id"].as_str().ok_or("an alert without alert_id")?.to_owned();
        if !self.known.insert((id, field("revision")?)) {
            return Ok(false);
        }
        let entity = alert["entity"].to_string();
        let sequence = field("sequence")?;
        let before = self.sequences.insert(entity.clone(), sequence);
        if sequence != before.map_or(1, |s| s + 1) {
            return Err(format!("{entity}: sequence {sequence} after {before:?}"));
        }
        Ok(true)
    }
}
