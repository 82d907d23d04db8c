//! Securities and the names they go by.
//!
//! A name belongs to whoever holds it on a session. A rename hands a security on to another name from a session
//! on; the old name is free again, and who takes it later is someone else. Which security a name means on a
//! session follows from the renames known, in whatever order they came: its [`Origin`]. A name that no rename
//! touches is its own security, and costs nothing here.

use super::state::{NO_PARTITION, SymbolState};
use super::{Disposition, Effects, Engine};
use crate::domain::{SessionDate, Symbol};
use crate::market::{History, HistoryImage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Renames known at most.
const RENAMES_MAX: usize = 65_536;

/// A security: its first name, and since when it is that someone of that name.
pub(super) type Origin = (Symbol, SessionDate);

/// Every rename known.
#[derive(Clone, Default, Debug)]
pub(super) struct Renames {
    /// By old name and first session under the new one: that name, and the partitions that said so.
    away: BTreeMap<Origin, (Symbol, Vec<i32>)>,
    /// The same by new name: the old one.
    into: BTreeMap<Origin, Symbol>,
}

fn latest<'a, V>(map: &'a BTreeMap<Origin, V>, name: &Symbol, until: SessionDate) -> Option<(SessionDate, &'a V)> {
    map.range((name.clone(), SessionDate::MIN)..=(name.clone(), until)).next_back().map(|((_, at), v)| (*at, v))
}

pub(super) fn day_before(date: SessionDate) -> SessionDate {
    SessionDate::from_days(date.days().saturating_sub(1)).unwrap_or(SessionDate::MIN)
}

impl Renames {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.away.is_empty()
    }

    /// Whether a name ever was given up or taken over.
    pub(super) fn touches(&self, name: &Symbol) -> bool {
        latest(&self.away, name, SessionDate::MAX).is_some() || latest(&self.into, name, SessionDate::MAX).is_some()
    }

    /// The security that `name` means on `session`.
    pub(super) fn origin(&self, name: &Symbol, session: SessionDate) -> Origin {
        let (mut name, mut until) = (name.clone(), session);
        // Each step goes back in time.
        loop {
            let left = latest(&self.away, &name, until).map(|(at, _)| at);
            match latest(&self.into, &name, until) {
                // Of one day, who comes comes after who goes.
                Some((from, old)) if left.is_none_or(|l| l <= from) => {
                    (name, until) = (old.clone(), day_before(from));
                }
                _ => return (name, left.unwrap_or(SessionDate::MIN)),
            }
        }
    }

    /// The name of a security on `session`.
    fn name_on(&self, origin: &Origin, session: SessionDate) -> Symbol {
        let (mut name, mut since) = origin.clone();
        while let Some((at, to)) = self.next(&name, since).filter(|(at, _)| *at <= session) {
            (name, since) = (to.clone(), at);
        }
        name
    }

    /// Every name a security has, oldest first.
    pub(super) fn names(&self, origin: &Origin) -> Vec<Symbol> {
        let (mut names, mut since) = (vec![origin.0.clone()], origin.1);
        while let Some((at, to)) = self.next(&names[names.len() - 1], since) {
            names.push(to.clone());
            since = at;
        }
        names
    }

    /// Every rename that says whom one of a security's names means, whenever: of those who had such a name before or after,
    /// too, and of the names that they had.
    pub(super) fn around(&self, origin: &Origin) -> BTreeSet<Origin> {
        let mut waiting = self.names(origin);
        let (mut seen, mut keys) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = waiting.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let all = (name.clone(), SessionDate::MIN)..=(name.clone(), SessionDate::MAX);
            for (key, (to, _)) in self.away.range(all.clone()) {
                keys.insert(key.clone());
                waiting.push(to.clone());
            }
            for ((_, from), old) in self.into.range(all) {
                keys.insert((old.clone(), *from));
                waiting.push(old.clone());
            }
        }
        keys
    }

    /// The new name of a rename.
    pub(super) fn to(&self, key: &Origin) -> Option<&Symbol> {
        self.away.get(key).map(|(to, _)| to)
    }

    /// The first time after `since` that a name is given up, and for which.
    fn next(&self, name: &Symbol, since: SessionDate) -> Option<(SessionDate, &Symbol)> {
        let later = (Bound::Excluded((name.clone(), since)), Bound::Included((name.clone(), SessionDate::MAX)));
        self.away.range(later).next().map(|((_, at), (to, _))| (*at, to))
    }

    /// Every time a name is given up, for which, and from when on.
    pub(super) fn away_from(&self, name: &Symbol) -> Vec<(Symbol, SessionDate)> {
        let all = self.away.range((name.clone(), SessionDate::MIN)..=(name.clone(), SessionDate::MAX));
        all.map(|((_, at), (to, _))| (to.clone(), *at)).collect()
    }

    /// Adds a rename, unless it is known or contradicts another.
    fn add(&mut self, old: &Symbol, to: &Symbol, from: SessionDate, partition: i32) -> Result<(), Disposition> {
        let key = (old.clone(), from);
        let count = self.away.len();
        match (self.away.get_mut(&key), self.into.get(&(to.clone(), from))) {
            (Some((known, said_by)), _) if known == to => {
                if !said_by.contains(&partition) {
                    said_by.push(partition);
                }
                return Err(Disposition::DUPLICATE);
            }
            (_, Some(_)) => return Err(Disposition::RENAME),
            (Some((known, _)), None) => {
                self.into.remove(&(known.clone(), from));
            }
            (None, None) if count >= RENAMES_MAX => return Err(Disposition::RENAMES_FULL),
            (None, None) => {}
        }
        self.into.insert((to.clone(), from), old.clone());
        self.away.insert(key, (to.clone(), vec![partition]));
        Ok(())
    }

    /// What market records said that the snapshot of a partition needs: what its own records said, and what those of other
    /// partitions said of its securities. Old name, new name, first session.
    pub(super) fn of<'a>(
        &self,
        partition: i32,
        securities: impl Iterator<Item = &'a Origin>,
    ) -> Vec<(String, String, i32)> {
        let ours = self.away.iter().filter(|(_, (_, said_by))| said_by.contains(&partition));
        let mut keys: BTreeSet<Origin> = ours.map(|(key, _)| key.clone()).collect();
        let is_any = self.away.values().any(|(_, said_by)| said_by.iter().any(|by| *by != NO_PARTITION));
        for origin in securities.filter(|_| is_any) {
            keys.extend(self.around(origin).into_iter().filter(|key| self.said_by(key).any(|_| true)));
        }
        let renames = keys.into_iter().filter_map(|key| Some((self.away.get(&key)?.0.to_string(), key)));
        renames.map(|(to, (old, from))| (old.to_string(), to, from.days())).collect()
    }

    /// Takes back what the market records of a partition said, unless someone else says it, or a security that is read from
    /// another partition has it behind it: that one says it from then on. `others` are such securities and where they are read.
    /// False when all stay.
    pub(super) fn forget(&mut self, partition: i32, others: &[(Origin, i32)]) -> bool {
        for (origin, other) in others {
            for key in self.around(origin) {
                if let Some((_, said_by)) = self.away.get_mut(&key).filter(|(_, by)| by.contains(&partition))
                    && !said_by.contains(other)
                {
                    said_by.push(*other);
                }
            }
        }
        let before = self.away.len();
        self.away.retain(|(_, from), (to, said_by)| {
            said_by.retain(|by| *by != partition);
            if said_by.is_empty() {
                self.into.remove(&(to.clone(), *from));
            }
            !said_by.is_empty()
        });
        self.away.len() < before
    }

    /// Whether a rename from a name on a session on was said beside the market.
    pub(super) fn is_given(&self, key: &Origin) -> bool {
        self.away.get(key).is_some_and(|(_, said_by)| said_by.contains(&NO_PARTITION))
    }

    /// The partitions whose market records, or snapshots, said a rename.
    pub(super) fn said_by(&self, key: &Origin) -> impl Iterator<Item = i32> {
        let said_by = self.away.get(key).map_or(&[][..], |(_, said_by)| said_by);
        said_by.iter().copied().filter(|partition| *partition != NO_PARTITION)
    }
}

impl Engine {
    pub(super) fn create(&mut self, name: &Symbol, origin: Origin) -> Option<u32> {
        let id = u32::try_from(self.states.len()).ok()?;
        let mut state = SymbolState::new(name.clone(), &self.params);
        state.cold.origin = Some(origin.clone());
        self.states.push(state);
        self.by_origin.insert(origin, id);
        if self.index.get(name.as_str()).is_none() {
            self.index.insert(name, id);
        }
        self.track_if_followed(id);
        Some(id)
    }

    /// Follows a security that some group follows under any of its names.
    pub(super) fn track_if_followed(&mut self, id: u32) {
        let cold = &self.states[id as usize].cold;
        let names = cold.origin.as_ref().map(|origin| self.renames.names(origin)).unwrap_or_default();
        if names.iter().chain([&cold.symbol]).any(|name| self.stage.follows(name.as_str())) {
            self.track(id);
        }
    }

    /// The name of a security on `session`.
    pub(super) fn name_on(&self, id: u32, session: Option<SessionDate>) -> Symbol {
        let cold = &self.states[id as usize].cold;
        match (&cold.origin, session) {
            (Some(origin), Some(session)) => self.renames.name_on(origin, session),
            _ => cold.symbol.clone(),
        }
    }

    /// Gives a security that enters `session` the name it has there. Its records under that name start anew; the
    /// old name keeps its count, for what is still to be said of its last session.
    pub(super) fn take_name(&mut self, id: u32, session: SessionDate) {
        if self.states[id as usize].cold.origin.is_none() {
            return;
        }
        let name = self.name_on(id, Some(session));
        let cold = &mut self.states[id as usize].cold;
        if cold.symbol != name {
            let old = std::mem::replace(&mut cold.symbol, name.clone());
            if self.index.get(old.as_str()) == Some(id) {
                self.index.remove(&old);
            }
            // A name kept only for history has said nothing.
            if cold.session.is_some() {
                cold.former = Some((old, cold.sequence));
            }
            cold.sequence = 0;
        }
        self.index.insert(&name, id);
    }

    /// Takes a rename.
    pub(super) fn rename_record(
        &mut self,
        partition: i32,
        (old, to, from): (&Symbol, &Symbol, SessionDate),
        effects: &mut Effects,
    ) -> Disposition {
        let disposition = self.rename_security(partition, (old, to, from), effects);
        if disposition == Disposition::APPLIED {
            self.rename_members(old);
        }
        disposition
    }

    /// The same without the memberships of groups.
    pub(super) fn rename_security(
        &mut self,
        partition: i32,
        (old, to, from): (&Symbol, &Symbol, SessionDate),
        effects: &mut Effects,
    ) -> Disposition {
        if self.params.calendar.is_none() || old == to {
            return Disposition::RENAME;
        }
        // From now on numbers may change.
        self.wake_some(usize::MAX);
        let holder = self.renames.origin(to, from);
        if let Err(refusal) = self.renames.add(old, to, from, partition) {
            return refusal;
        }
        // From now on they are known by origin.
        for name in [old, to] {
            let id = self.index.get(name.as_str());
            if let Some(id) = id.filter(|id| self.states[*id as usize].cold.origin.is_none()) {
                let origin = (name.clone(), SessionDate::MIN);
                self.states[id as usize].cold.origin = Some(origin.clone());
                self.by_origin.insert(origin, id);
            }
        }
        let security = self.renames.origin(to, from);
        let both = [&security, &holder].map(|origin| self.by_origin.get(origin).copied());
        self.absorb_news(|id, _| both.contains(&Some(id)));
        self.part(&security, (old, from));
        if let Some(held) = self.by_origin.get(&holder).copied().filter(|_| holder != security) {
            self.adopt(&security, held, (to, from), effects);
        }
        if let Some(id) = self.by_origin.get(&security).copied() {
            self.track_if_followed(id);
        }
        Disposition::APPLIED
    }

    /// Lets the memberships of a name follow its renames.
    pub(super) fn rename_members(&mut self, name: &Symbol) {
        let later = |renames: &Renames, name: &Symbol, since: SessionDate| -> Vec<(Symbol, Symbol, SessionDate)> {
            let away = renames.away_from(name).into_iter().rev().filter(|(_, from)| *from > since);
            away.map(|(to, from)| (name.clone(), to, from)).collect()
        };
        // What follows a rename lies behind it, so this ends.
        let mut waiting = later(&self.renames, name, SessionDate::MIN);
        let mut any = false;
        while let Some((old, to, from)) = waiting.pop() {
            if self.stage.rename(&old, &to, from) {
                any = true;
                waiting.extend(later(&self.renames, &to, from));
            }
        }
        // Whoever has, or had, such a name is followed by it: as after a restart.
        for id in (0_u32..).take(if any { self.states.len() } else { 0 }) {
            self.track_if_followed(id);
        }
    }

    /// Gives whoever has the old name from `from` on what was read of those sessions before the rename was known;
    /// not where the security itself has been lived through so far under the old name.
    fn part(&mut self, security: &Origin, (old, from): (&Symbol, SessionDate)) {
        let Some(id) = self.by_origin.get(security).copied() else { return };
        let cold = &self.states[id as usize].cold;
        let (kept, moved) = cold.history.image().split_at(from);
        if cold.session.is_some_and(|s| s.date >= from) || moved == HistoryImage::default() {
            return;
        }
        let successor = (old.clone(), from);
        let known = self.by_origin.get(&successor).copied();
        let Some(other) = known.or_else(|| self.create(old, successor)) else { return };
        self.share_partition(id, other);
        self.put_history(id, &kept);
        let calendar = self.params.calendar.as_deref();
        self.states[other as usize].cold.history.absorb(calendar, &moved);
        self.states[other as usize].set_ruler(&self.params);
        self.share_reference(id, other);
    }

    /// Replaces a security's history.
    fn put_history(&mut self, id: u32, image: &HistoryImage) {
        let mut history = History::new(self.params.return_mode, &self.params.modes);
        history.absorb(self.params.calendar.as_deref(), image);
        let state = &mut self.states[id as usize];
        state.cold.history = history;
        state.set_ruler(&self.params);
    }

    /// Gives `security` what was read under its new name before the rename was known: the records of sessions
    /// from `from` on that `held` has, and its prices if they are of such a session.
    fn adopt(&mut self, security: &Origin, held: u32, (to, from): (&Symbol, SessionDate), effects: &mut Effects) {
        let source = &self.states[held as usize];
        let (kept, moved) = source.cold.history.image().split_at(from);
        let live = source.cold.session.filter(|s| s.date >= from);
        if live.is_none() && moved == HistoryImage::default() {
            return;
        }
        let known = self.by_origin.get(security).copied();
        let Some(id) = known.or_else(|| self.create(&security.0, security.clone())) else { return };
        self.share_partition(held, id);
        self.share_reference(held, id);
        let calendar = self.params.calendar.clone();
        let calendar = calendar.as_deref();
        let mut incoming = moved;
        if let Some(session) = live {
            // What it left open under its old name ends there.
            self.enter_session(id, session, effects);
            // So does what waits, where it is in that session already.
            self.release_all(id, None, effects);
            self.take_name(id, session.date);
            let mut merged = self.states[held as usize].clone();
            let own = &mut self.states[id as usize].cold;
            let mut history = History::new(self.params.return_mode, &self.params.modes);
            history.absorb(calendar, &incoming);
            incoming = own.history.image();
            let cold = &mut merged.cold;
            cold.history = history;
            cold.origin = Some(security.clone());
            cold.reference = own.reference;
            cold.symbol = own.symbol.clone();
            cold.former = own.former.take();
            cold.judged.splice(0..0, own.judged.drain(..));
            own.events.drain(..).for_each(|event| {
                cold.keep_event(event);
            });
            self.states[id as usize] = merged;
            self.inherit_waiting(held, id);
        }
        let at = self.states[id as usize].last_ts;
        self.revise(id, from, at, effects, |history, calendar| {
            history.absorb(calendar, &incoming);
            true
        });
        if kept == HistoryImage::default() {
            self.remove(held);
            return;
        }
        // Whoever had the name before keeps what is older.
        let state = &mut self.states[held as usize];
        let origin = state.cold.origin.take();
        if live.is_some() {
            let (partition, reference) = (state.partition, state.cold.reference);
            *state = SymbolState::new(to.clone(), &self.params);
            state.partition = partition;
            (state.cold.reference, state.cold.has_outlived) = (reference, true);
        }
        state.cold.origin = origin;
        self.put_history(held, &kept);
    }

    /// What is taken from one security and given to another stays in the snapshots of the same partition.
    fn share_partition(&mut self, from: u32, to: u32) {
        let partition = self.states[from as usize].partition;
        let state = &mut self.states[to as usize];
        if state.partition == NO_PARTITION {
            state.partition = partition;
        }
    }

    /// What is given from one security to another may be what reference records said: an image of before does not know it.
    fn share_reference(&mut self, from: u32, to: u32) {
        let given = self.states[from as usize].cold.reference;
        let known = &mut self.states[to as usize].cold.reference;
        *known = known.wrapping_add(given);
    }

    /// What `held` waited for, `id` waits for now.
    fn inherit_waiting(&mut self, held: u32, id: u32) {
        for list in [&mut self.quarantined, &mut self.awaiting_close] {
            list.retain(|waiting| *waiting != id);
            list.iter_mut().filter(|waiting| **waiting == held).for_each(|waiting| *waiting = id);
        }
    }

    /// Takes a security out; the last one moves to its place.
    fn remove(&mut self, id: u32) {
        let Ok(last) = u32::try_from(self.states.len() - 1) else { return };
        self.by_origin.retain(|_, held| *held != id);
        self.index.forget(id);
        self.tracked.retain(|held| *held != id);
        self.awaiting_close.retain(|held| *held != id);
        self.quarantined.retain(|held| *held != id);
        self.news.retain(|news| news.id != id);
        self.states.swap_remove(id as usize);
        let moved = self.by_origin.values_mut().chain(self.index.numbers_mut()).chain(&mut self.tracked);
        let moved = moved
            .chain(&mut self.awaiting_close)
            .chain(&mut self.quarantined)
            .chain(self.news.iter_mut().map(|news| &mut news.id));
        for held in moved.filter(|held| **held == last) {
            *held = id;
        }
    }
}

/// Where a rename was said, for the partition's snapshot; one of the reference topic is read again.
pub(super) fn partition_of(origin: Option<&super::Origin>) -> i32 {
    origin.map_or(NO_PARTITION, |o| o.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    fn date(text: &str) -> SessionDate {
        text.parse().unwrap()
    }

    /// META was a fund before it was Facebook, and FB is free again; two others change places on one day.
    const KNOWN: [(&str, &str, &str); 5] = [
        ("META", "METV", "2022-01-31"),
        ("FB", "META", "2022-06-09"),
        ("META", "SOCL", "2025-03-03"),
        ("A", "B", "2024-05-01"),
        ("B", "A", "2024-05-01"),
    ];

    #[test]
    fn a_name_means_who_holds_it_whatever_the_order_of_the_renames() {
        for reversed in [false, true] {
            let mut renames = Renames::default();
            let mut known = KNOWN;
            if reversed {
                known.reverse();
            }
            for (old, to, from) in known {
                assert_eq!(renames.add(&name(old), &name(to), date(from), 0), Ok(()));
                assert_eq!(renames.add(&name(old), &name(to), date(from), 0), Err(Disposition::DUPLICATE));
            }
            let check = |symbol: &str, session: &str, first: &str, since: Option<&str>| {
                let origin = renames.origin(&name(symbol), date(session));
                assert_eq!(origin, (name(first), since.map_or(SessionDate::MIN, date)), "{symbol} {session}");
                // And back again: on that session it has that name.
                assert_eq!(renames.name_on(&origin, date(session)), name(symbol), "{symbol} {session}");
            };
            check("META", "2021-12-01", "META", None);
            check("METV", "2022-02-01", "META", None);
            check("META", "2022-03-01", "META", Some("2022-01-31"));
            check("FB", "2022-06-08", "FB", None);
            check("META", "2022-06-09", "FB", None);
            check("FB", "2022-06-09", "FB", Some("2022-06-09"));
            check("SOCL", "2025-03-03", "FB", None);
            check("META", "2025-03-03", "META", Some("2025-03-03"));
            check("A", "2024-04-30", "A", None);
            check("B", "2024-05-01", "A", None);
            check("A", "2024-05-01", "B", None);
            assert!(renames.touches(&name("SOCL")) && !renames.touches(&name("C")));
        }
    }

    #[test]
    fn a_name_has_one_holder() {
        let mut renames = Renames::default();
        let day = date("2022-06-09");
        assert_eq!(renames.add(&name("FB"), &name("META"), day, 0), Ok(()));
        assert_eq!(renames.add(&name("GOOG"), &name("META"), day, 0), Err(Disposition::RENAME));
        // A corrected record replaces the first.
        assert_eq!(renames.add(&name("FB"), &name("MVRS"), day, 0), Ok(()));
        assert_eq!(renames.origin(&name("MVRS"), day).0, name("FB"));
        assert_eq!(renames.origin(&name("META"), day).0, name("META"));
        assert_eq!(renames.add(&name("GOOG"), &name("META"), day, 0), Ok(()));
    }
}
