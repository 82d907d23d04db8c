//! A market as producers write it: per partition a few symbols that move strongly, with everything that comes in the
//! way of a feed.

use super::dice::Dice;
use super::rules::Rules;
use fragility::domain::{SessionDate, UnixNanos};
use fragility::market::{Calendar, CalendarOverlay, Located, Session};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::string::FromUtf8Error;
use std::sync::OnceLock;

const SEC: i64 = 1_000_000_000;

/// One record of the market log.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Its offset: not always the one after the last, as transaction markers take some.
    pub(crate) offset: i64,
    /// When in event time it was written.
    pub(crate) at: i64,
    pub(crate) timestamp: Option<UnixNanos>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// All that is ever written, by partition.
pub(crate) struct Script {
    pub(crate) partitions: Vec<Vec<Written>>,
    /// Reference records on a topic of their own, there before everything.
    pub(crate) references: Vec<Vec<u8>>,
    /// Where each partition ends, with the markers behind its last record.
    pub(crate) ends: Vec<i64>,
    /// Partitions that there are at the beginning.
    pub(crate) begins_with: usize,
    /// Of a log that gets more partitions: which of them each record goes to, in the order in which they are written.
    pub(crate) order: Vec<usize>,
    /// How it gets them.
    pub(crate) growths: Vec<Growth>,
    /// How many records are written before keys go to other partitions of as many, each time.
    pub(crate) changes: Vec<usize>,
}

/// A log gets more partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// How many records are written before.
    pub(crate) after: usize,
    /// How many partitions there are from then on.
    pub(crate) count: usize,
    /// How many records are written before producers make use of them.
    pub(crate) used_after: usize,
}

impl Script {
    /// Whether symbols move.
    pub(crate) fn moves(&self) -> bool {
        !self.order.is_empty()
    }
}

fn calendar() -> &'static Calendar {
    static CALENDAR: OnceLock<Calendar> = OnceLock::new();
    CALENDAR.get_or_init(|| Calendar::xnys(&CalendarOverlay::default()).unwrap())
}

fn sessions() -> &'static [Session] {
    static SESSIONS: OnceLock<Vec<Session>> = OnceLock::new();
    SESSIONS.get_or_init(|| {
        let first: SessionDate = "2025-01-06".parse().unwrap();
        calendar().sessions().iter().filter(|s| s.date >= first).take(4).copied().collect()
    })
}

/// A symbol of a script and how it stands.
struct Actor {
    symbol: &'static str,
    level: f64,
    seq: u64,
    last_ts: i64,
    is_halted: bool,
    session: usize,
}

const SYMBOLS: [&str; 8] = ["AAPL", "MSFT", "NVDA", "TSLA", "AMD", "INTC", "ORCL", "IBM"];

/// Writes a script; time goes so many times as fast as it does by itself.
pub(crate) fn write(dice: &mut Dice, rules: Rules, pace: i64) -> Script {
    let partitions = if rules.has_groups() { 1 + dice.index(2) } else { 1 + dice.index(3) };
    let length = 15 + dice.index(40);
    let mut script = Script {
        partitions: Vec::new(),
        references: Vec::new(),
        ends: Vec::new(),
        begins_with: partitions,
        order: Vec::new(),
        growths: Vec::new(),
        changes: Vec::new(),
    };
    let has_reference_topic = dice.permille(300);
    let mut symbols = SYMBOLS.to_vec();
    for number in 0..partitions {
        let left = partitions - number - 1;
        // The group's four are spread over its partitions; each partition has one at least.
        let count = match (rules.has_groups(), left) {
            (true, 0) => symbols.len() - 4,
            (true, _) => 1 + dice.index(3),
            (false, _) => 1 + dice.index(2),
        };
        let own: Vec<&'static str> = symbols.drain(..count).collect();
        let mut writer = Writer { dice, rules, pace, actors: Vec::new(), records: Vec::new(), next: 0, at: 0 };
        let references = writer.begin(&own, has_reference_topic);
        writer.run(length);
        let (records, end) = writer.end();
        script.references.extend(references);
        script.partitions.push(records);
        script.ends.push(end);
    }
    script
}

/// The same script, written to a log that gets more partitions on the way: from then on every key goes to the one that
/// it falls to, among the old ones too; and perhaps once more soon after.
pub(crate) fn grow(script: &mut Script, dice: &mut Dice, is_twice: bool) {
    let count = script.partitions.len() + 1 + dice.index(2);
    let all = in_order(script);
    let change = all.len() / 5 + dice.index(all.len() / 2);
    script.growths.push(Growth { after: change, count, used_after: change });
    let mut homes: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut again = homes.clone();
    let mut count = count;
    let mut next = usize::MAX;
    if is_twice {
        // Soon enough that symbols have hardly gone when they come back.
        let after = change + 1 + dice.index(6);
        (count, next) = (count + 1, after + dice.index(6));
        script.growths.push(Growth { after, count, used_after: next });
    }
    script.partitions = vec![Vec::new(); count];
    script.ends = vec![0; count];
    let mut at = 0;
    for (number, (old, mut record)) in all.into_iter().enumerate() {
        // Heartbeats behind everything go to every partition.
        let is_for_one = number < change || record.key.is_empty();
        let p = if is_for_one {
            old
        } else if number < next {
            *homes.entry(record.key.clone()).or_insert_with(|| dice.index(script.growths[0].count))
        } else {
            // Half of them come back to where they were at first.
            *again.entry(record.key.clone()).or_insert_with(|| if dice.permille(500) { old } else { dice.index(count) })
        };
        at = record.at.max(at + 1);
        push(script, p, at, dice, &mut record);
    }
    end_new(script, at, dice);
}

/// The same script, written with other keys from some record on, and with others once more later: to the partitions that
/// there are.
pub(crate) fn change_keys(script: &mut Script, dice: &mut Dice) {
    let count = script.partitions.len().max(2);
    let all = in_order(script);
    let first = all.len() / 5 + dice.index(all.len() / 3);
    let second = first + 1 + dice.index(all.len() / 3);
    script.changes = vec![first, second];
    script.begins_with = count;
    script.partitions = vec![Vec::new(); count];
    script.ends = vec![0; count];
    let mut homes: [BTreeMap<Vec<u8>, usize>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let mut at = 0;
    for (number, (old, mut record)) in all.into_iter().enumerate() {
        let p = if record.key.is_empty() || number < first {
            old
        } else if number < second {
            *homes[0].entry(record.key.clone()).or_insert_with(|| dice.index(count))
        } else {
            // Half of them come back.
            *homes[1]
                .entry(record.key.clone())
                .or_insert_with(|| if dice.permille(500) { old } else { dice.index(count) })
        };
        at = record.at.max(at + 1);
        push(script, p, at, dice, &mut record);
    }
    end_new(script, at, dice);
}

/// The same script, in which securities go by another name from a session on: a key that falls to a partition of its own.
pub(crate) fn rename(script: &mut Script, dice: &mut Dice) {
    let count = script.partitions.len().max(2);
    let mut all = in_order(script);
    script.begins_with = count;
    script.partitions = vec![Vec::new(); count];
    script.ends = vec![0; count];
    let mut homes: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for to in ["META", "GOOG"].into_iter().take(1 + dice.index(2)) {
        let Some((old, from)) = draw_rename(&all, dice) else { continue };
        let is_its = |record: &Written| record.key == old.as_bytes();
        let is_new = |record: &Written| is_its(record) && session_of(record) >= from;
        let change = all.iter().position(|(_, r)| is_new(r)).unwrap();
        let said = format!(r#"{{"type":"rename","symbol":"{old}","to":"{to}","from":"{from}"}}"#).into_bytes();
        for (_, record) in all.iter_mut().filter(|(_, r)| is_new(r)) {
            record.key = to.as_bytes().to_vec();
            let text = record.value.take().map(String::from_utf8);
            let renamed = |text: String| text.replace(&format!(r#""symbol":"{old}""#), &format!(r#""symbol":"{to}""#));
            record.value = text.map(|text| text.map_or_else(FromUtf8Error::into_bytes, |t| renamed(t).into_bytes()));
        }
        homes.insert(to.as_bytes().to_vec(), dice.index(count));
        // Who a record without a session means is told by the renames known.
        if !script.references.is_empty() && dice.permille(500) {
            script.references.push(said);
            script.changes.push(change);
            continue;
        }
        let first = all.iter().position(|(_, r)| is_its(r) && is_price(r)).unwrap();
        let at = first + 1 + dice.index(change - first);
        let (home, mut record) = (all[first].0, all[at - 1].1.clone());
        (record.key, record.value) = (old.into_bytes(), Some(said));
        all.insert(at, (home, record));
        script.changes.iter_mut().filter(|other| **other >= at).for_each(|other| *other += 1);
        script.changes.push(change + 1);
    }
    script.changes.sort_unstable();
    script.changes.dedup();
    let mut at = 0;
    for (old, mut record) in all {
        at = record.at.max(at + 1);
        let p = homes.get(&record.key).copied().unwrap_or(old);
        push(script, p, at, dice, &mut record);
    }
    end_new(script, at, dice);
}

/// A symbol that has prices in a session and in one before, and the first of the two.
fn draw_rename(all: &[(usize, Written)], dice: &mut Dice) -> Option<(String, SessionDate)> {
    let mut firsts: BTreeMap<&[u8], SessionDate> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (_, record) in all.iter().filter(|(_, r)| is_price(r) && SYMBOLS.iter().any(|s| s.as_bytes() == r.key)) {
        let session = session_of(record);
        if *firsts.entry(&record.key).or_insert(session) < session {
            found.insert((&record.key, session));
        }
    }
    let number = dice.index(found.len().max(1));
    let (key, from) = found.into_iter().nth(number)?;
    Some((String::from_utf8(key.clone()).unwrap(), from))
}

fn is_price(record: &Written) -> bool {
    record.value.as_deref().is_some_and(|value| value.starts_with(br#"{"type":"tick""#))
}

/// The session that a record is about, or in which it was written.
fn session_of(record: &Written) -> SessionDate {
    let value: Option<Value> = record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
    let value = value.unwrap_or_default();
    if let Some(session) = value["session"].as_str() {
        return session.parse().unwrap();
    }
    let ts = value["ts"].as_i64().unwrap_or(record.at);
    match calendar().locate(UnixNanos(ts)) {
        Located::Known(moment) => moment.session.date,
        Located::Unknown { .. } => SessionDate::MIN,
    }
}

/// All records as producers write them one after the other: together in event time, each with its partition.
fn in_order(script: &mut Script) -> Vec<(usize, Written)> {
    let mut left: Vec<VecDeque<Written>> = script.partitions.drain(..).map(VecDeque::from).collect();
    let mut all: Vec<(usize, Written)> = Vec::new();
    while let Some((_, p)) = (0..left.len()).filter_map(|p| Some((left[p].front()?.at, p))).min() {
        all.extend(left[p].pop_front().map(|record| (p, record)));
    }
    all
}

/// Partitions without a heartbeat behind everything get one.
fn end_new(script: &mut Script, mut at: i64, dice: &mut Dice) {
    for p in 0..script.partitions.len() {
        if script.partitions[p].last().is_some_and(|last| last.key.is_empty()) {
            continue;
        }
        let mut last = script.partitions[0][script.partitions[0].len() - 1].clone();
        // What a symbol said is said once.
        if last.key.is_empty() {
            at += 1;
            push(script, p, at, dice, &mut last);
        }
    }
}

fn push(script: &mut Script, p: usize, at: i64, dice: &mut Dice, record: &mut Written) {
    let gap = if dice.permille(60) { dice.between(1, 3) } else { 0 };
    record.offset = script.ends[p] + gap;
    record.at = at;
    record.timestamp = Some(UnixNanos(at.max(1) + SEC));
    script.ends[p] = record.offset + 1;
    script.partitions[p].push(record.clone());
    script.order.push(p);
}

struct Writer<'a> {
    dice: &'a mut Dice,
    rules: Rules,
    pace: i64,
    actors: Vec<Actor>,
    records: Vec<Written>,
    next: i64,
    at: i64,
}

impl Writer<'_> {
    fn push(&mut self, symbol: &str, value: Option<Vec<u8>>) {
        if self.dice.permille(60) {
            self.next += self.dice.between(1, 3);
        }
        let timestamp = self.dice.permille(500).then(|| UnixNanos(self.at.max(1) + SEC));
        let key = symbol.as_bytes().to_vec();
        self.records.push(Written { offset: self.next, at: self.at, timestamp, key, value });
        self.next += 1;
    }

    fn json(&mut self, symbol: &str, json: String) {
        self.push(symbol, Some(json.into_bytes()));
        if self.dice.permille(40) {
            // A producer that did not see its acknowledgement writes once more.
            let again = self.records[self.records.len() - 1].value.clone();
            self.push(symbol, again);
        }
    }

    /// What every symbol is measured against: among the market records, or handed back for the reference topic.
    fn begin(&mut self, symbols: &[&'static str], is_apart: bool) -> Vec<Vec<u8>> {
        let first = &sessions()[0];
        self.at = if self.dice.permille(700) { first.open.0 } else { first.pre.0 };
        let mut apart = Vec::new();
        for (symbol, shares) in symbols.iter().zip([1_000, 2_000, 3_000, 4_000]) {
            let desk = format!(r#"{{"type":"reference","symbol":"{symbol}","prev_close":100,"sigma_daily":0.01}}"#);
            let shares = format!(
                r#"{{"type":"shares","symbol":"{symbol}","session":"2025-01-03","shares_outstanding":{shares}}}"#
            );
            for record in [desk, shares] {
                if is_apart { apart.push(record.into_bytes()) } else { self.json(symbol, record) }
            }
            self.actors.push(Actor { symbol, level: 0.0, seq: 0, last_ts: 0, is_halted: false, session: 0 });
        }
        apart
    }

    fn run(&mut self, length: usize) {
        for _ in 0..length {
            let stride = match self.dice.below(10) {
                0..=4 => 5,
                5..=7 => 120,
                8 => 1_200,
                _ => 5_400,
            };
            self.at += self.dice.between(1, stride * 1000) * (SEC / 1000) * self.pace;
            self.close_sessions();
            let which = self.dice.index(self.actors.len());
            self.speak(which);
        }
    }

    /// Sends closes of sessions that are over, and goes on in the next one's pre-market.
    fn close_sessions(&mut self) {
        if !self.rules.has_calendar() {
            return;
        }
        for which in 0..self.actors.len() {
            let Actor { symbol, level, session, .. } = self.actors[which];
            let over = sessions()[session];
            if self.at < over.end.0 {
                continue;
            }
            self.actors[which].session += 1;
            if session == 2 {
                // Later sessions are not gone into.
                self.at = self.at.min(sessions()[3].pre.0);
            }
            if self.dice.permille(850) {
                let price = price(level + 2.0 * self.dice.gaussian());
                self.json(
                    symbol,
                    format!(r#"{{"type":"close","symbol":"{symbol}","session":"{}","price":{price}}}"#, over.date),
                );
            }
        }
    }

    fn speak(&mut self, which: usize) {
        let kind = self.dice.below(100);
        let symbol = self.actors[which].symbol;
        let ts = self.at;
        match kind {
            0..=1 => self.push(symbol, Some(vec![0xff, 0x00, b'{'])),
            2..=3 => self.push(symbol, None),
            4 => self.json(symbol, format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":-1}}"#)),
            5..=12 => self.json(symbol, format!(r#"{{"type":"heartbeat","ts":{ts}}}"#)),
            13..=17 if self.can_amend(which) => {
                let victim = self.actors[which].seq.saturating_sub(self.dice.below(6));
                self.json(symbol, format!(r#"{{"type":"cancel","symbol":"{symbol}","ts":{ts},"seq":{victim}}}"#));
            }
            18..=22 if self.can_amend(which) => {
                let victim = self.actors[which].seq.saturating_sub(self.dice.below(6));
                let right = price(self.actors[which].level + self.dice.gaussian());
                self.json(
                    symbol,
                    format!(r#"{{"type":"correct","symbol":"{symbol}","ts":{ts},"seq":{victim},"price":{right}}}"#),
                );
            }
            23..=25 if self.rules.has_calendar() && !self.rules.has_groups() => {
                self.actors[which].is_halted ^= true;
                let word = if self.actors[which].is_halted { "halt" } else { "resume" };
                self.json(symbol, format!(r#"{{"type":"{word}","symbol":"{symbol}","ts":{ts}}}"#));
            }
            _ => self.tick(which),
        }
    }

    /// What an amendment behind the close changes in a group depends on when its session is found to be over.
    fn can_amend(&self, which: usize) -> bool {
        let session = &sessions()[self.actors[which].session];
        self.rules.has_calendar() && (!self.rules.has_groups() || self.at < session.close.0)
    }

    fn tick(&mut self, which: usize) {
        let Self { dice, actors, rules, .. } = self;
        let actor = &mut actors[which];
        actor.level = match dice.below(10) {
            0..=2 => 16.0 * dice.unit() - 8.0,
            3 => 0.0,
            _ => 0.9 * actor.level + 0.4 * dice.gaussian(),
        };
        // A wild print is not where the symbol stands.
        let wild = if rules.doubts() && dice.permille(150) { 60.0 * (dice.unit() - 0.5) } else { 0.0 };
        let behind = match dice.below(20) {
            0..=1 => dice.between(0, 8_000) * (SEC / 1000),
            // Beyond the bound what a group says, and whether a print that waits is believed, depends on who was read
            // first.
            2 if !rules.has_groups() && !rules.doubts() => dice.between(11, 200) * SEC,
            _ => 0,
        };
        let ts = (self.at - behind).max(sessions()[0].pre.0);
        actor.last_ts = ts;
        actor.seq += 1;
        let venue = if dice.permille(200) { r#","venue":"P","size":300"# } else { "" };
        let (symbol, seq, price) = (actor.symbol, actor.seq, price(actor.level + wild));
        self.json(
            symbol,
            format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":{price},"seq":{seq}{venue}}}"#),
        );
    }

    /// Heartbeats behind everything, so that all that waits is decided.
    fn end(mut self) -> (Vec<Written>, i64) {
        let last = if self.rules.has_calendar() { sessions()[3].end.0.max(self.at) } else { self.at };
        self.at = last + 3_600 * SEC;
        let at = self.at;
        self.push("", Some(format!(r#"{{"type":"heartbeat","ts":{at}}}"#).into_bytes()));
        let end = self.next + if self.dice.permille(300) { self.dice.between(1, 2) } else { 0 };
        (self.records, end)
    }
}

fn price(z: f64) -> f64 {
    100.0 * (z * 0.01).exp()
}
