//! A stream of records into an engine. Each has one outcome; the same stream says the same; a snapshot anywhere in it
//! is not seen; what is said holds by itself, and its numbers have no gap.

use super::config::params;
use super::snapshots::again;
use fragility::codec::{decode, decode_snapshot, encode_alert, encode_snapshot};
use fragility::domain::{Accounts, Alert, Entity, SessionDate, Symbol, UnixNanos};
use fragility::engine::{Effects, Engine, GroupsImage, Origin, PartitionImage, Watermark};
use fragility::market::{Calendar, Session};
use fragility::verify::{Verified, verify};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What happens, in order.
enum Act {
    /// A record of a partition.
    Record(i32, String),
    /// The lane looks at what is due.
    Look,
}

const SYMBOLS: [&str; 8] = ["AAPL", "MSFT", "NVDA", "TSLA", "ZZZ", "META", "FB", "A.VERY.LONG.NAME"];
/// The session that streams begin in, among those of the calendar.
const FIRST: &str = "2025-01-06";
/// Closes before it, where a stream has a history.
const HISTORY: usize = 24;
const ACTS_MAX: usize = 400;
const MILLI: i64 = 1_000_000;
/// Times between two records, in milliseconds.
const GAPS: [i64; 8] = [0, 1, 700, 3_000, 11_000, 61_000, 1_200_000, 14_000_000];
const CONDITIONS: [&str; 8] =
    [r#"["I"]"#, r#"["5"]"#, r#"["Z"]"#, r#"["@","T"]"#, r#"["U"]"#, r#"["4"]"#, r#"["6"]"#, "[]"];

fn sessions() -> &'static [Session] {
    static CALENDAR: OnceLock<Arc<Calendar>> = OnceLock::new();
    let calendar = CALENDAR.get_or_init(|| params().calendar.expect("the shipped rules have a calendar"));
    let first: SessionDate = FIRST.parse().expect("a date");
    let at = calendar.sessions().partition_point(|s| s.date < first);
    &calendar.sessions()[at - HISTORY..at + 40]
}

/// Reads a stream out of bytes.
struct Script<'a> {
    bytes: &'a [u8],
    partitions: i32,
    now: i64,
    /// Number of the session at hand, counted from the first of the history.
    session: usize,
    count: u64,
    acts: Vec<Act>,
    renames: usize,
}

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn say(&mut self, symbol: usize, record: String) {
        let partition = i32::try_from(symbol).unwrap_or(0) % self.partitions;
        self.acts.push(Act::Record(partition, record));
    }

    /// Between -16 and 16 sigmas from 100.
    fn price(&mut self) -> Option<f64> {
        Some(100.0 * (f64::from(self.byte()?.cast_signed()) / 800.0).exp())
    }

    fn wait(&mut self, choice: u8) {
        self.now += GAPS[usize::from(choice % 8)] * MILLI;
        while let Some(session) =
            sessions().get(self.session + 1).filter(|_| self.now >= sessions()[self.session].end.0)
        {
            let _ = session;
            self.session += 1;
        }
        // Time stands where the sessions that are played end.
        self.now = self.now.min(sessions()[self.session].end.0);
    }

    /// A session near the one at hand.
    fn date(&mut self) -> Option<SessionDate> {
        let near = [0, 0, -1, -2, 1, -9, -23, 2][usize::from(self.byte()? % 8)];
        let at = self.session.saturating_add_signed(near).min(sessions().len() - 1);
        Some(sessions()[at].date)
    }

    /// A name by `seq` or `id`: a new one, or one of the last.
    fn name(&mut self, choice: u8) -> String {
        let number = match choice % 4 {
            3 => self.count.saturating_sub(u64::from(choice / 4 % 8)),
            _ => self.count + 1,
        };
        self.count = self.count.max(number);
        match choice % 4 {
            0 => String::new(),
            1 => format!(r#","seq":{number}"#),
            2 => format!(r#","id":"t{number}""#),
            _ if choice >= 128 => format!(r#","seq":{number}"#),
            _ => format!(r#","id":"t{number}""#),
        }
    }

    fn tick(&mut self, at: usize, name: &str) -> Option<()> {
        let (price, choice, flags) = (self.price()?, self.byte()?, self.byte()?);
        self.wait(choice);
        let id = self.name(flags);
        let behind = [0, 0, 2_000, 30_000][usize::from(flags >> 4 & 3)] * MILLI;
        let venue = ["", r#","venue":"P","size":300"#, r#","venue":"Q","size":80"#, r#","size":7"#]
            [usize::from(flags >> 2 & 3)];
        let mut rest = String::new();
        if flags & 64 != 0 {
            let choice = self.byte()?;
            let tape = [r#","tape":"A""#, r#","tape":"C""#, "", r#","tape":"B""#][usize::from(choice >> 3 & 3)];
            rest = format!(r#"{tape},"cond":{}"#, CONDITIONS[usize::from(choice % 8)]);
        }
        if choice & 128 != 0 {
            rest.push_str(r#","feed":"slow""#);
        }
        let ts = self.now - behind;
        self.say(at, format!(r#"{{"type":"tick","symbol":"{name}","ts":{ts},"price":{price}{id}{venue}{rest}}}"#));
        Some(())
    }

    fn bar(&mut self, at: usize, name: &str) -> Option<()> {
        let (open, close, choice) = (self.price()?, self.price()?, self.byte()?);
        self.wait(choice);
        let (interval, len) = [("1s", 1), ("1m", 60), ("5m", 300), ("1d", 0)][usize::from(choice >> 3 & 3)];
        let (low, high) = (open.min(close) * 0.995, open.max(close) * 1.005);
        let ts = self.now - len * 1_000 * MILLI;
        let rest = format!(r#""open":{open},"high":{high},"low":{low},"close":{close},"volume":500"#);
        self.say(at, format!(r#"{{"type":"bar","symbol":"{name}","ts":{ts},"interval":"{interval}",{rest}}}"#));
        Some(())
    }

    fn amendment(&mut self, at: usize, name: &str, is_cancel: bool) -> Option<()> {
        let (choice, price) = (self.byte()?, self.price()?);
        let print = self.name(choice | 3);
        // Some come long after all sessions that are played.
        let ts = if choice & 64 == 0 { self.now } else { 7_200_000_000_000_000_000 };
        let kind = if is_cancel { "cancel" } else { "correct" };
        let price = if is_cancel { String::new() } else { format!(r#","price":{price}"#) };
        self.say(at, format!(r#"{{"type":"{kind}","symbol":"{name}","ts":{ts}{print}{price}}}"#));
        Some(())
    }

    /// One act; `None` at the end of the bytes.
    fn act(&mut self) -> Option<()> {
        let code = self.byte()?;
        let (at, ts) = (usize::from(code >> 5), self.now);
        let name = SYMBOLS[at];
        match code % 32 {
            0..=8 => self.tick(at, name)?,
            9 | 10 => self.bar(at, name)?,
            11 => self.amendment(at, name, true)?,
            12 => self.amendment(at, name, false)?,
            13 => self.say(at, format!(r#"{{"type":"halt","symbol":"{name}","ts":{ts}}}"#)),
            14 => self.say(at, format!(r#"{{"type":"resume","symbol":"{name}","ts":{ts}}}"#)),
            15 => {
                let (one, other) = (self.price()?, self.price()?);
                let (lower, upper) = (one.min(other), one.max(other));
                let record =
                    format!(r#"{{"type":"limits","symbol":"{name}","ts":{ts},"lower":{lower},"upper":{upper}}}"#);
                self.say(at, record);
            }
            16 | 17 => {
                let (date, price) = (self.date()?, self.price()?);
                let basis = if code % 32 == 16 { "official" } else { "last" };
                let rest = format!(r#""session":"{date}","price":{price},"basis":"{basis}""#);
                self.say(at, format!(r#"{{"type":"close","symbol":"{name}",{rest}}}"#));
            }
            18 => {
                let (date, choice) = (self.date()?, self.byte()?);
                let ratio = [2.0, 0.5, 1.0, 10.0, 3.0, 0.1, 1.5, 1e6][usize::from(choice % 8)];
                self.say(at, format!(r#"{{"type":"split","symbol":"{name}","ex_date":"{date}","ratio":{ratio}}}"#));
            }
            19 => {
                let (date, choice) = (self.date()?, self.byte()?);
                let amount = [0.0, 0.5, 2.0, 50.0, 100.0, 1e9][usize::from(choice % 6)];
                let kind = if choice & 128 == 0 { "cash" } else { "spin_off" };
                let rest = format!(r#""ex_date":"{date}","amount":{amount},"kind":"{kind}""#);
                self.say(at, format!(r#"{{"type":"dividend","symbol":"{name}",{rest}}}"#));
            }
            20 => {
                let (date, count) = (self.date()?, self.byte()?);
                let rest = format!(r#""session":"{date}","shares_outstanding":{}"#, u32::from(count) * 1_000 + 1);
                self.say(at, format!(r#"{{"type":"shares","symbol":"{name}",{rest}}}"#));
            }
            21 => {
                let (date, price, choice) = (self.date()?, self.price()?, self.byte()?);
                let session = if choice & 1 == 0 { String::new() } else { format!(r#","session":"{date}""#) };
                let sigma = match choice {
                    254 => 1e-9,
                    255 => 100.0,
                    _ => f64::from(choice).mul_add(1e-4, 1e-5),
                };
                let rest = format!(r#""prev_close":{price},"sigma_daily":{sigma}{session}"#);
                self.say(at, format!(r#"{{"type":"reference","symbol":"{name}",{rest}}}"#));
            }
            22 if self.partitions == 1 => {
                let (date, to) = (self.date()?, SYMBOLS[usize::from(self.byte()? % 8)]);
                self.renames += 1;
                self.say(at, format!(r#"{{"type":"rename","symbol":"{name}","to":"{to}","from":"{date}"}}"#));
            }
            23 => {
                let (date, choice) = (self.date()?, self.byte()?);
                let kind = if choice & 1 == 0 { "member" } else { "leave" };
                let company = if choice & 2 == 0 { "" } else { r#","company":"Both""# };
                let rest = format!(r#""group":"mag7","from":"{date}"{company}"#);
                self.say(at, format!(r#"{{"type":"{kind}","symbol":"{name}",{rest}}}"#));
            }
            24 => {
                let choice = self.byte()?;
                self.wait(choice);
                let feed = if choice & 128 == 0 { "" } else { r#","feed":"slow""# };
                self.say(at, format!(r#"{{"type":"heartbeat","ts":{}{feed}}}"#, self.now));
            }
            25 => self.say(
                at,
                format!(r#"{{"type":"event","symbol":"{name}","ts":{ts},"kind":"news","source":"a wire","text":"x"}}"#),
            ),
            26 => {
                let date = self.date()?;
                let shares = "0.2,0.13,0.09,0.07,0.06,0.05,0.04,0.045,0.05,0.055,0.06,0.07,0.08";
                let rest = format!(r#""from":"{date}","shares":[{shares}],"sessions":63,"overnight":0.3"#);
                self.say(at, format!(r#"{{"type":"curve","symbol":"{name}",{rest}}}"#));
            }
            27 => {
                let session = sessions()[self.session];
                let next = sessions().get(self.session + 1).copied().unwrap_or(session);
                let choice = usize::from(self.byte()? % 6);
                let places = [session.open, session.close, session.end, next.pre, next.open, next.close];
                self.now = self.now.max(places[choice].0);
                self.wait(0);
            }
            28 => {
                // What came before comes again.
                let back = usize::from(self.byte()?) + 1;
                let again = self.acts.len().checked_sub(back).and_then(|at| self.acts.get(at));
                if let Some(Act::Record(partition, record)) = again {
                    let (partition, record) = (*partition, record.clone());
                    self.acts.push(Act::Record(partition, record));
                }
            }
            _ => self.acts.push(Act::Look),
        }
        Some(())
    }

    /// What is known before: a desk's own ruler, or closes.
    fn begin(&mut self, has_history: bool) {
        for (at, name) in SYMBOLS.into_iter().enumerate().take(5) {
            let before = sessions()[HISTORY - 1].date;
            let shares = format!(r#""session":"{before}","shares_outstanding":{}"#, (at + 1) * 1_000);
            self.say(at, format!(r#"{{"type":"shares","symbol":"{name}",{shares}}}"#));
            if has_history {
                for (n, session) in sessions().iter().take(HISTORY).enumerate() {
                    let price = 100.0 + f64::from(u8::try_from((n * 7 + at * 3) % 5).unwrap_or(0)) * 0.5;
                    let rest = format!(r#""session":"{}","price":{price}"#, session.date);
                    self.say(at, format!(r#"{{"type":"close","symbol":"{name}",{rest}}}"#));
                }
            } else {
                let ruler = r#""prev_close":100,"sigma_daily":0.01"#;
                self.say(at, format!(r#"{{"type":"reference","symbol":"{name}",{ruler}}}"#));
            }
        }
    }
}

fn partitions_of(count: i32) -> Vec<i32> {
    (0..count).collect()
}

/// What an engine has said, and what became of the records.
#[derive(Default)]
struct Said {
    alerts: Vec<Alert>,
    measures: BTreeMap<Symbol, String>,
    accounts: Accounts,
}

impl Said {
    /// Alerts by entity: of two entities neither comes first.
    fn by_entity(&self) -> BTreeMap<&Entity, Vec<&Alert>> {
        let mut all: BTreeMap<&Entity, Vec<&Alert>> = BTreeMap::new();
        for alert in &self.alerts {
            all.entry(&alert.entity).or_default().push(alert);
        }
        all
    }
}

/// An engine on its way through a stream.
struct Way<'a> {
    engine: Engine,
    acts: &'a [Act],
    partitions: &'a [i32],
    said: Said,
}

impl Way<'_> {
    fn go(&mut self, span: std::ops::Range<usize>) {
        let mut effects = Effects::default();
        for at in span {
            match &self.acts[at] {
                Act::Look => self.engine.advance(Watermark::Partitions, self.partitions, &mut effects),
                Act::Record(partition, record) => {
                    let observation = decode(record.as_bytes()).unwrap_or_else(|e| panic!("{record}: {e}"));
                    let offset = i64::try_from(at).unwrap_or(0);
                    let origin = Origin { partition: *partition, offset, timestamp: None };
                    let answer = self.engine.step(UnixNanos(0), &origin, &observation, false, &mut effects);
                    self.said.accounts.take(answer.map(|d| d.outcome));
                }
            }
            self.keep(&mut effects);
            let waiting: u64 = self.partitions.iter().map(|p| self.engine.quarantined(*p)).sum();
            assert_eq!(self.said.accounts.quarantined, waiting, "act {at}");
        }
    }

    fn end(&mut self) {
        let mut effects = Effects::default();
        self.engine.advance(Watermark::End, self.partitions, &mut effects);
        self.keep(&mut effects);
        let records = self.acts.iter().filter(|act| matches!(act, Act::Record(..))).count() as u64;
        assert_eq!((self.said.accounts.quarantined, self.said.accounts.records_in()), (0, records));
    }

    fn keep(&mut self, effects: &mut Effects) {
        for resolved in effects.resolved.drain(..) {
            assert!(self.said.accounts.quarantined > 0, "{resolved:?} did not wait");
            self.said.accounts.resolve(resolved.disposition.outcome);
        }
        self.said.alerts.append(&mut effects.alerts);
        for (symbol, measure) in effects.measures.drain(..) {
            self.said.measures.entry(symbol).or_default().push_str(&format!("{measure:?}\n"));
        }
    }
}

/// An engine that continues from the snapshots of another.
fn restored(engine: &mut Engine, partitions: &[i32]) -> Engine {
    let image = engine.image(partitions);
    let mut second = super::config::engine();
    let groups = encode_snapshot(&image.groups).expect("an image is encoded");
    second.restore_groups(decode_snapshot::<GroupsImage>(&groups).expect("and decoded"));
    for (number, partition) in &image.partitions {
        let bytes = encode_snapshot(partition).expect("an image is encoded");
        let partition: PartitionImage = decode_snapshot(&bytes).expect("and decoded");
        second.restore_partition(UnixNanos(0), *number, &partition);
    }
    second
}

pub(super) fn stream(bytes: &[u8]) {
    let Some(([mode, cut], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let now = sessions()[HISTORY].pre.0;
    let partitions = if mode & 1 == 0 { 1 } else { 3 };
    let (acts, count) = (Vec::new(), 0);
    let mut script = Script { bytes, partitions, now, session: HISTORY, count, acts, renames: 0 };
    script.begin(mode & 2 != 0);
    while script.acts.len() < ACTS_MAX && script.act().is_some() {}
    let (acts, renames) = (script.acts, script.renames);
    let partitions = partitions_of(partitions);
    let way = || Way { engine: super::config::engine(), acts: &acts, partitions: &partitions, said: Said::default() };
    let mut whole = way();
    whole.go(0..acts.len());
    whole.end();
    let at = acts.len() * usize::from(*cut) / 256;
    let mut parted = way();
    parted.go(0..at);
    // A name that was given up is followed again after a restart, to no effect.
    if partitions.len() == 1 && renames == 0 {
        again(&mut parted.engine);
    }
    parted.engine = restored(&mut parted.engine, &partitions);
    parted.go(at..acts.len());
    parted.end();
    sound(&whole.said.alerts, renames > 0);
    // Renames that contradict each other within days are not followed alike after a restart.
    if renames > 1 {
        return;
    }
    let (got, expected) = (parted.said.by_entity(), whole.said.by_entity());
    for (entity, alerts) in &expected {
        let said = got.get(entity).map_or(&[][..], Vec::as_slice);
        for (got, expected) in said.iter().zip(alerts) {
            assert_eq!(got, expected, "a snapshot before act {at} of {} is seen", acts.len());
        }
        assert_eq!(said.len(), alerts.len(), "a snapshot before act {at} is seen by {entity:?}");
    }
    assert_eq!(got.len(), expected.len(), "a snapshot before act {at} is seen");
    assert_eq!(parted.said.measures, whole.said.measures, "a snapshot before act {at} is seen");
    assert_eq!(parted.said.accounts, whole.said.accounts, "a snapshot before act {at} is seen");
}

/// Each alert holds by what it carries; numbers are known or have a reason; nothing is left out or said twice.
fn sound(alerts: &[Alert], has_rename: bool) {
    let (mut sequences, mut revisions) = (BTreeMap::new(), BTreeMap::new());
    for alert in alerts {
        let mut bytes = Vec::new();
        encode_alert(alert, &mut bytes);
        match verify(&bytes) {
            Ok(Verified::Alert(_, differences)) if differences.is_empty() => {}
            // A status at the open lets a print of before, which comes after it, decide in the regular session; and a
            // split after the close is told with the time of the last price that decided.
            Ok(Verified::Alert(_, found)) if found.iter().all(|d| d.field == "ruler.elapsed") => {}
            // What is said of a session under an older name counts anew.
            Ok(Verified::Alert(_, found)) if has_rename && found.iter().all(|d| d.field == "sequence") => {}
            Ok(Verified::Alert(_, differences)) => panic!("{differences:?}\n{}", String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?}\n{}", String::from_utf8_lossy(&bytes)),
        }
        let numbers = [alert.z, alert.log_return, alert.price, alert.sigma_daily];
        assert!(numbers.iter().all(|r| r.is_err() || r.is_ok_and(f64::is_finite)), "{alert:?}");
        // A name that another security takes begins anew, and one that was taken before it was said speaks on.
        if !has_rename {
            let revision = revisions.entry(alert.alert_id).or_insert(0_u32);
            assert_eq!(alert.revision, *revision, "{alert:?}");
            *revision += 1;
            let sequence = sequences.entry(alert.entity.clone()).or_insert(0_u64);
            *sequence += 1;
            assert_eq!(alert.sequence, *sequence, "{alert:?}");
        }
    }
}
