//! Which security a record is about, and who it is in another engine or an image.
//!
//! A name that no rename touches is its own security, and its look-up is that of the name.

use super::image::symbol_of;
use super::renames::{Origin, day_before};
use super::state::{NO_PARTITION, SymbolState};
use super::{Disposition, Effects, Engine, Universe};
use crate::domain::{EventAt, Observation, Reference, SessionDate, Symbol, UnixNanos};
use crate::market::{Calendar, Located};
use std::borrow::Cow;

impl Engine {
    /// The security that a market record's name means at `ts`.
    ///
    /// The table says so as long as that security's session lasts: a name changes hands between sessions.
    #[inline]
    pub(super) fn lookup_at(&mut self, symbol: &str, ts: UnixNanos) -> Result<u32, Disposition> {
        match self.index.get(symbol) {
            Some(id)
                if (self.renames.is_empty() && self.parked.is_empty()) || ts < self.states[id as usize].deadline =>
            {
                Ok(id)
            }
            _ => self.locate(symbol, ts),
        }
    }

    #[cold]
    fn locate(&mut self, symbol: &str, ts: UnixNanos) -> Result<u32, Disposition> {
        self.admit_on(symbol, session_at(ts, self.params.calendar.as_deref()))
    }

    /// The security that `symbol` means on `session`, admitted on first sight; `None` is the last there is.
    pub(super) fn admit_on(&mut self, symbol: &str, session: Option<SessionDate>) -> Result<u32, Disposition> {
        if self.renames.is_empty() {
            return self.admit(symbol);
        }
        let name = Symbol::new(symbol).map_err(|_| Disposition::UNKNOWN_SYMBOL)?;
        if !self.renames.touches(&name) {
            return self.admit(symbol);
        }
        let origin = self.renames.origin(&name, session.unwrap_or(SessionDate::MAX));
        if let Some(id) = self.by_origin.get(&origin) {
            return Ok(*id);
        }
        if let Universe::Listed(listed) = &self.params.universe
            && !listed.contains(symbol)
            && !listed.contains(origin.0.as_str())
        {
            return Err(Disposition::UNKNOWN_SYMBOL);
        }
        if self.states.len() >= self.params.symbols_max {
            return Err(Disposition::UNIVERSE_FULL);
        }
        self.create(&name, origin).ok_or(Disposition::UNIVERSE_FULL)
    }

    /// The security that `symbol` means on `session`, if it is known.
    pub(super) fn known_on(&self, symbol: &Symbol, session: Option<SessionDate>) -> Option<u32> {
        if !self.renames.is_empty() && self.renames.touches(symbol) {
            let origin = self.renames.origin(symbol, session.unwrap_or(SessionDate::MAX));
            return self.by_origin.get(&origin).copied();
        }
        self.index.get(symbol.as_str())
    }

    /// The security that a record is about, if it is known: as [`Self::lookup_at`] and [`Self::known_on`] have it.
    pub(super) fn known_of(&self, observation: &Observation<'_>) -> Option<u32> {
        let symbol = symbol_of(observation)?;
        let known = self.index.get(symbol);
        if self.renames.is_empty() {
            return known;
        }
        let is_at_hand = |id: &u32| {
            let deadline = self.states[*id as usize].deadline;
            self.time_of(observation).is_some_and(|ts| ts < deadline)
        };
        known.filter(is_at_hand).or_else(|| {
            let session = self.session_of(observation);
            self.known_on(&Symbol::new(symbol).ok()?, session)
        })
    }

    /// Which security a record is about, known or not: its first name, with the session since which it is that someone of
    /// that name where there was another one before.
    pub fn security_of<'a>(&self, observation: &'a Observation<'_>) -> Option<Cow<'a, str>> {
        let symbol = symbol_of(observation)?;
        Some(match self.origin_of(observation) {
            None => Cow::Borrowed(symbol),
            Some((name, SessionDate::MIN)) => Cow::Owned(name.to_string()),
            Some((name, since)) => Cow::Owned(format!("{name} {since}")),
        })
    }

    /// Every name that the security of a record has, as far as is known here.
    pub fn names_of(&self, observation: &Observation<'_>) -> Vec<Symbol> {
        match self.origin_of(observation) {
            Some(origin) => self.renames.names(&origin),
            None => symbol_of(observation).and_then(|symbol| Symbol::new(symbol).ok()).into_iter().collect(),
        }
    }

    /// Which security a record is about, where a rename touches its name.
    pub(super) fn origin_of(&self, observation: &Observation<'_>) -> Option<Origin> {
        if self.renames.is_empty() {
            return None;
        }
        if let Some(id) = self.known_of(observation) {
            return self.states[id as usize].cold.origin.clone();
        }
        let name = Symbol::new(symbol_of(observation)?).ok().filter(|name| self.renames.touches(name))?;
        let session = self.session_of(observation);
        Some(self.renames.origin(&name, session.unwrap_or(SessionDate::MAX)))
    }

    /// The security that another engine, or an image, has under a name, with its origin as far as that is known there.
    pub(super) fn counterpart(&self, symbol: &str, origin: Option<&Origin>) -> Option<u32> {
        let name = || Symbol::new(symbol).ok();
        // Where no rename had touched it then, one known since does so by its name.
        let first = || (!self.renames.is_empty()).then(name)?.filter(|n| self.renames.touches(n));
        let origin = origin.cloned().or_else(|| Some((first()?, SessionDate::MIN)));
        let Some(origin) = origin else { return self.index.get(symbol) };
        self.by_origin.get(&origin).copied().or_else(|| {
            // Of a rename that is not known here.
            let plain = self.index.get(origin.0.as_str()).filter(|_| origin.1 == SessionDate::MIN)?;
            self.states[plain as usize].cold.origin.is_none().then_some(plain)
        })
    }

    /// Learns what another engine knows of the names of a record's security, where market records said it: as if the
    /// record's partition had.
    pub(super) fn learn_names(
        &mut self,
        other: &Self,
        partition: i32,
        observation: &Observation<'_>,
        effects: &mut Effects,
    ) {
        let Some(origin) = other.origin_of(observation) else { return };
        for key in other.renames.around(&origin) {
            let is_said = other.renames.said_by(&key).any(|_| true);
            let to = other.renames.to(&key).filter(|to| self.renames.to(&key) != Some(to));
            if let Some(to) = to.filter(|_| is_said && !self.renames.is_given(&key)) {
                self.rename_record(partition, (&key.0, to, key.1), effects);
            }
        }
    }

    /// The security of an image, under the name it had when the image was taken.
    pub(super) fn admit_image(&mut self, symbol: &str, origin: Option<Origin>) -> Result<u32, Disposition> {
        let name = Symbol::new(symbol).map_err(|_| Disposition::UNKNOWN_SYMBOL)?;
        let known = self.counterpart(symbol, origin.as_ref());
        let Some(origin) = origin.or_else(|| self.renames.touches(&name).then(|| (name.clone(), SessionDate::MIN)))
        else {
            return self.admit(symbol);
        };
        if let Some(id) = known {
            self.states[id as usize].cold.origin = Some(origin.clone());
            self.by_origin.insert(origin.clone(), id);
        }
        let id = known.or_else(|| self.create(&name, origin)).ok_or(Disposition::UNIVERSE_FULL)?;
        self.call(id, &name);
        Ok(id)
    }

    /// Gives a security another name, whatever session it is in.
    fn call(&mut self, id: u32, name: &Symbol) {
        let old = std::mem::replace(&mut self.states[id as usize].cold.symbol, name.clone());
        if self.index.get(old.as_str()) == Some(id) {
            self.index.remove(&old);
        }
        self.index.insert(name, id);
    }

    /// Forgets the renames that a partition's records said: they come again with it, and until then nobody has another name.
    pub(super) fn forget_renames(&mut self, partition: i32) {
        if self.renames.is_empty() {
            return;
        }
        let is_other = |state: &&SymbolState| state.partition != partition && state.partition != NO_PARTITION;
        let others = self.states.iter().filter(is_other);
        let others: Vec<(Origin, i32)> = others.filter_map(|s| Some((s.cold.origin.clone()?, s.partition))).collect();
        if !self.renames.forget(partition, &others) {
            return;
        }
        for id in (0_u32..).take(self.states.len()) {
            let cold = &self.states[id as usize].cold;
            let Some(names) = cold.origin.as_ref().map(|origin| self.renames.names(origin)) else { continue };
            if cold.session.is_none() && !names.contains(&cold.symbol) {
                self.call(id, &names[0]);
            }
        }
    }

    /// Takes the renames of an image.
    pub(super) fn restore_renames(&mut self, partition: i32, renames: &[(String, String, i32)]) {
        for (old, to, from) in renames {
            let (Ok(old), Ok(to), Some(from)) = (Symbol::new(old), Symbol::new(to), SessionDate::from_days(*from))
            else {
                continue;
            };
            // Nothing is renamed from the beginning of time on: there is no day before. And what the reference topic has
            // said is right by now.
            if from == SessionDate::MIN || self.renames.is_given(&(old.clone(), from)) {
                continue;
            }
            // Nothing has been lived through yet, so nothing is said; and the groups' image knows its members.
            self.rename_security(partition, (&old, &to, from), &mut Effects::default());
        }
    }

    /// The event time by which a market record's symbol is understood.
    fn time_of(&self, observation: &Observation<'_>) -> Option<UnixNanos> {
        match observation {
            Observation::Tick(tick) => Some(tick.ts),
            // It is of the time before its end.
            Observation::Bar(bar) => self.bar_end(bar).map(|(end, _)| end.plus(-1)),
            Observation::Amendment(amendment) => Some(amendment.ts),
            Observation::Status(status) => Some(status.ts),
            Observation::Reference(_) | Observation::Heartbeat(_) => None,
        }
    }

    pub(super) fn session_of(&self, observation: &Observation<'_>) -> Option<SessionDate> {
        let calendar = self.params.calendar.as_deref();
        match observation {
            Observation::Reference(record) => session_of(record, calendar),
            _ => session_at(self.time_of(observation)?, calendar),
        }
    }
}

/// The session that a record is about, by which its symbol is understood; `None` where it names none.
pub(super) fn session_of(record: &Reference, calendar: Option<&Calendar>) -> Option<SessionDate> {
    match record {
        Reference::Close { session, .. } | Reference::Shares { session, .. } | Reference::Daily { session, .. } => {
            Some(*session)
        }
        Reference::Split { ex_date, .. } | Reference::Dividend { ex_date, .. } => Some(*ex_date),
        Reference::Member { from, .. } | Reference::Leave { from, .. } | Reference::Curve { from, .. } => Some(*from),
        Reference::Rename { from, .. } => Some(day_before(*from)),
        Reference::Desk { session, .. } => *session,
        Reference::Event { at: EventAt::Session(session), .. } => Some(*session),
        Reference::Event { at: EventAt::Time(ts), .. } => session_at(*ts, calendar),
    }
}

fn session_at(ts: UnixNanos, calendar: Option<&Calendar>) -> Option<SessionDate> {
    match calendar?.locate(ts) {
        Located::Known(moment) => Some(moment.session.date),
        Located::Unknown { .. } => None,
    }
}
