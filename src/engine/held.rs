//! Prints that have to be looked at before they are taken: after a jump, during a halt, near price limits,
//! or while others wait.

use super::print::{Entry, EntryKind};
use super::state::{Care, Cold};
use super::{Disposition, Effects, Engine, Origin, Resolved};
use crate::domain::{Amendment, Outcome, Phase, Tick, UnixNanos};
use crate::market::{Held, QuarantineRules};

/// A record in quarantine.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct HeldPrint {
    pub(super) entry: Entry,
    pub(super) origin: Origin,
    pub(super) tick: Tick<'static>,
    /// Whether its record has had its outcome.
    pub(super) is_part: bool,
}

impl Disposition {
    const BAD_PRINT: Self = Self { outcome: Outcome::Rejected, reason: "bad_print" };
    const OUTSIDE_LIMITS: Self = Self { outcome: Outcome::Rejected, reason: "outside_limits" };
    const HALTED: Self = Self { outcome: Outcome::Applied, reason: "halted" };
    pub(super) const CANCELLED: Self = Self { outcome: Outcome::Applied, reason: "cancelled" };
}

/// Where a print is measured from: the price, the share of daily variance expected since, and sigma.
struct Distance {
    base: f64,
    share: f64,
    sigma: f64,
}

impl Engine {
    /// A print in event-time order that needs care; `None` while it waits.
    #[cold]
    pub(super) fn careful(
        &mut self,
        id: u32,
        origin: &Origin,
        tick: &Tick<'_>,
        entry: Entry,
        is_auction: bool,
        effects: &mut Effects,
    ) -> Option<Disposition> {
        self.release(id, entry.ts, effects);
        self.enter_if_due(id, entry.ts, effects);
        let state = &mut self.states[id as usize];
        state.care.set(Care::NEW, state.last_price <= 0.0);
        if state.care.has(Care::HALTED) {
            self.aside(id, &Entry { kind: EntryKind::Volume, ..entry });
            return Some(Disposition::HALTED);
        }
        if state.care.has(Care::LIMITS)
            && let (Some((lower, upper)), Some(_), Phase::Regular) =
                (state.cold.limits, state.cold.session, state.phase_at(entry.ts))
        {
            let slack = 1.0 + self.params.limits_tolerance;
            if entry.price < lower / slack || entry.price > upper * slack {
                self.states[id as usize].keep(&self.params, &Entry { kind: EntryKind::Void, ..entry });
                return Some(Disposition::OUTSIDE_LIMITS);
            }
        }
        // The first print after a halt comes from an auction, and an auction is many orders' one price.
        let is_believed = is_auction || state.care.has(Care::REOPENING) || entry.kind == EntryKind::Mark;
        state.care.set(Care::REOPENING, false);
        let Some(rules) = self.params.quarantine.clone().filter(|_| !is_believed) else {
            self.take(id, origin, &entry, entry.ts, effects);
            return Some(Disposition::APPLIED);
        };
        // No limit is under the floor: the distance need not be worked out.
        let is_near = !state.care.has(Care::NEW) && state.tick_return(entry.price).abs() < rules.floor;
        // Without a ruler nothing can fire, and nothing is too far.
        let is_too_far = |far: Distance| (entry.price / far.base).ln().abs() > rules.limit(far.sigma, far.share);
        if !is_near && self.distance(id, entry.ts).is_some_and(is_too_far) {
            return self.doubt(id, origin, tick, entry, &rules, effects);
        }
        self.states[id as usize].cold.quarantine.contradict();
        self.take(id, origin, &entry, entry.ts, effects);
        self.free_near(id, &rules, entry.ts, effects);
        Some(Disposition::APPLIED)
    }

    /// A print beyond the limit: enough others agree, or it waits.
    fn doubt(
        &mut self,
        id: u32,
        origin: &Origin,
        tick: &Tick<'_>,
        entry: Entry,
        rules: &QuarantineRules,
        effects: &mut Effects,
    ) -> Option<Disposition> {
        let state = &mut self.states[id as usize];
        let venue = (entry.venue != 0).then_some(entry.venue);
        let sigma = state.cold.ruler.sigma.usable().unwrap_or(0.0);
        // Those that agree came within the holding time: their distance has next to no time to grow.
        let tolerance = rules.limit(sigma, 0.0);
        if let Some(agreeing) = state.cold.quarantine.confirmed_by(rules, entry.price, venue, tolerance) {
            let known_at = agreeing.last().map_or(entry.ts, |h| h.ts.max(entry.ts));
            let mut agreeing = agreeing.into_iter().peekable();
            while let Some(held) = agreeing.next_if(|h| h.ts <= entry.ts) {
                self.accept(id, held, known_at, effects);
            }
            self.take(id, origin, &entry, known_at, effects);
            for held in agreeing {
                self.accept(id, held, known_at, effects);
            }
            self.free_near(id, rules, known_at, effects);
            return Some(Disposition::APPLIED);
        }
        let record = HeldPrint { entry, origin: *origin, tick: tick.to_static(), is_part: self.is_part };
        let held = Held { ts: entry.ts, price: entry.price, venue, is_contradicted: false, record };
        let pushed_out = state.cold.quarantine.hold(rules, held);
        state.care.set(Care::HELD, true);
        if !self.quarantined.contains(&id) {
            self.quarantined.push(id);
        }
        if let Some(oldest) = pushed_out {
            self.refuse(id, oldest, Disposition::BAD_PRINT, effects);
        }
        None
    }

    /// Decides on prints whose time is up at `now`, the symbol's own clock or the partition's watermark.
    ///
    /// Time alone frees no print of the last moments before a close: the close itself speaks for or against it,
    /// and what is said must not depend on how soon it comes.
    pub(super) fn release(&mut self, id: u32, now: UnixNanos, effects: &mut Effects) {
        if !self.states[id as usize].care.has(Care::HELD) {
            return;
        }
        let Some(rules) = self.params.quarantine.clone() else {
            // Nothing is held any more since the rules were changed.
            while let Some(held) = self.states[id as usize].cold.quarantine.remove(|_| true) {
                let known_at = held.ts;
                self.accept(id, held, known_at, effects);
            }
            return self.after_release(id);
        };
        while let Some(held) = self.states[id as usize].cold.expired(&rules, now) {
            if held.is_contradicted {
                self.refuse(id, held, Disposition::BAD_PRINT, effects);
            } else {
                let known_at = held.ts.plus(rules.hold);
                self.accept(id, held, known_at, effects);
                self.free_near(id, &rules, known_at, effects);
            }
        }
        self.after_release(id);
    }

    /// Decides on all prints of the session at hand that wait: its close, given or known, speaks against those
    /// that are far from it.
    pub(super) fn release_all(&mut self, id: u32, close: Option<f64>, effects: &mut Effects) {
        if !self.states[id as usize].care.has(Care::HELD) {
            return;
        }
        // What was due before the close is decided without it, as it was where a watermark came by.
        if let Some(session) = self.states[id as usize].cold.session {
            self.release(id, session.close, effects);
        }
        let cold = &mut self.states[id as usize].cold;
        let known = || Some(cold.history.close(cold.session?.date)?.price.get());
        if let (Some(close), Some(rules)) = (close.or_else(known), &self.params.quarantine) {
            let tolerance = rules.limit(cold.ruler.sigma.usable().unwrap_or(0.0), 0.0);
            cold.quarantine.contradict_if(|print| (print.price / close).ln().abs() > tolerance);
        }
        self.release(id, UnixNanos::MAX, effects);
    }

    fn after_release(&mut self, id: u32) {
        let state = &mut self.states[id as usize];
        if state.cold.quarantine.is_empty() {
            state.care.set(Care::HELD, false);
            self.quarantined.retain(|other| *other != id);
        }
    }

    /// Prints that wait and are no longer far from the last price.
    fn free_near(&mut self, id: u32, rules: &QuarantineRules, known_at: UnixNanos, effects: &mut Effects) {
        loop {
            let state = &mut self.states[id as usize];
            let (last, sigma) = (state.last_price, state.cold.ruler.sigma.usable().unwrap_or(0.0));
            let tolerance = rules.limit(sigma, 0.0);
            let near = state.cold.quarantine.held().iter().find(|h| (h.price / last).ln().abs() <= tolerance);
            let Some(meant) = near.map(|h| (h.record.origin, h.record.entry)) else { break };
            let held = state.cold.quarantine.remove(|r| (r.origin, r.entry) == meant);
            let Some(held) = held else { break };
            self.accept(id, held, known_at, effects);
        }
        self.after_release(id);
    }

    /// Takes a print that waited, with its own event time and origin.
    fn accept(&mut self, id: u32, held: Held<HeldPrint>, known_at: UnixNanos, effects: &mut Effects) {
        let HeldPrint { entry, origin, tick, is_part } = held.record;
        let disposition = if entry.ts < self.states[id as usize].last_ts {
            self.aside(id, &Entry { kind: EntryKind::Range, ..entry });
            Disposition::APPLIED
        } else {
            self.take(id, &origin, &entry, known_at, effects);
            Disposition::APPLIED
        };
        self.reach(&origin, entry.ts);
        effects.resolved.push(Resolved { origin, disposition, tick, is_part });
    }

    /// Leaves a print out for good. Its entry stays as one that is nothing, so that a repeat or its cancel finds
    /// it.
    fn refuse(&mut self, id: u32, held: Held<HeldPrint>, disposition: Disposition, effects: &mut Effects) {
        let HeldPrint { entry, origin, tick, is_part } = held.record;
        self.states[id as usize].keep(&self.params, &Entry { kind: EntryKind::Void, ..entry });
        effects.resolved.push(Resolved { origin, disposition, tick, is_part });
    }

    fn take(&mut self, id: u32, origin: &Origin, entry: &Entry, known_at: UnixNanos, effects: &mut Effects) {
        let x = self.states[id as usize].tick_return(entry.price);
        self.price(id, origin, entry, x, known_at, effects);
    }

    /// What a print of the session at hand is measured from: the session's last price, else its reference.
    /// `None` when there is no ruler.
    fn distance(&self, id: u32, ts: UnixNanos) -> Option<Distance> {
        let state = &self.states[id as usize];
        let sigma = state.cold.ruler.sigma.usable()?;
        let Some(session) = state.cold.session else {
            return (state.last_price > 0.0).then_some(Distance { base: state.last_price, share: 1.0, sigma });
        };
        let has_price = state.last_price > 0.0 && state.last_ts >= session.begin;
        let base = if has_price { state.last_price } else { state.cold.ruler.reference.ok()?.price };
        let clock = self.clock(id, Some(session.date)).ok()?;
        let before = if has_price { clock.share(state.last_ts) } else { 0.0 };
        Some(Distance { base, share: clock.share(ts) - before, sigma })
    }

    /// The print that a cancel or correction means, if it waits: taken back, or offered again at its price.
    pub(super) fn amend_held(
        &mut self,
        id: u32,
        is_meant: impl Fn(&Entry) -> bool,
        amendment: &Amendment<'_>,
        effects: &mut Effects,
    ) -> bool {
        let state = &mut self.states[id as usize];
        let Some(mut held) = state.cold.quarantine.remove(|r| is_meant(&r.entry)) else { return false };
        match amendment.price {
            None => self.refuse(id, held, Disposition::CANCELLED, effects),
            Some(price) => {
                let record = &mut held.record;
                record.entry.price = price.get();
                record.entry.size = amendment.size.unwrap_or(record.entry.size);
                record.tick.price = price;
                let HeldPrint { entry, origin, tick, is_part } = record.clone();
                self.is_part = is_part;
                let disposition = if entry.ts < self.states[id as usize].last_ts {
                    Some(self.behind(id, &entry))
                } else {
                    self.careful(id, &origin, &tick, entry, false, effects)
                };
                if let Some(disposition) = disposition {
                    effects.resolved.push(Resolved { origin, disposition, tick, is_part });
                }
            }
        }
        self.after_release(id);
        true
    }
}

impl Cold {
    /// Takes out the first print whose time is up.
    fn expired(&mut self, rules: &QuarantineRules, now: UnixNanos) -> Option<Held<HeldPrint>> {
        let first = self.quarantine.held().first()?.ts;
        let awaited = self.session.filter(|s| !self.closed && first < s.close && now < UnixNanos::MAX);
        self.quarantine.expired(rules, awaited.map_or(now, |s| now.min(s.close)))
    }
}
