//! What a print may move, by its tape, its conditions and its size.

use super::print::{Entry, EntryKind};
use super::{Disposition, Engine};
use crate::domain::{Outcome, Tick};
use crate::market::eligibility::Context;

impl Disposition {
    const INELIGIBLE: Self = Self { outcome: Outcome::Applied, reason: "ineligible" };
    const UNKNOWN_CONDITION: Self = Self { outcome: Outcome::Applied, reason: "unknown_condition" };
}

impl Engine {
    /// Judges a print of the session at hand that says what it is: whether it comes from an auction, when its price may go on; what
    /// became of it, when its price may not.
    pub(super) fn admissible(&mut self, id: u32, tick: &Tick<'_>, entry: &mut Entry) -> Result<bool, Disposition> {
        let Some(table) = self.params.eligibility.as_deref() else { return Ok(false) };
        let state = &self.states[id as usize];
        let in_session = state.cold.live && state.cold.session.is_none_or(|s| state.last_ts >= s.begin);
        let context = Context {
            ts: entry.ts,
            phase: state.phase_at(entry.ts),
            last_at: (in_session && state.last_price > 0.0).then_some(state.last_ts),
            round_lot: (state.cold.round_lot > 0).then_some(state.cold.round_lot),
        };
        let found = table.judge(tick.tape, &tick.cond, tick.size, &context);
        // A pause may follow on another: its own reopening comes after it.
        if found.is_reopening() && state.cold.halt.as_ref().is_some_and(|(since, _)| entry.ts >= *since) {
            self.reopen(id, entry.ts);
        }
        if found.last() {
            if !found.decides() {
                entry.kind = EntryKind::Mark;
            }
            return Ok(found.is_auction());
        }
        if found.high_low() {
            return Err(match self.behind(id, &Entry { kind: EntryKind::Range, ..*entry }) {
                Disposition { outcome: Outcome::Applied, .. } => Disposition::INELIGIBLE,
                late => late,
            });
        }
        if found.volume() {
            self.aside(id, &Entry { kind: EntryKind::Volume, ..*entry });
        }
        let is_unknown = found.unknown_condition();
        Err(if is_unknown { Disposition::UNKNOWN_CONDITION } else { Disposition::INELIGIBLE })
    }
}
