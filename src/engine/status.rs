//! Halts, their end, and price limits.

use super::print::{Entry, EntryKind};
use super::state::Care;
use super::{Disposition, Effects, Engine, Origin};
use crate::domain::{Status, TradingStatus, UnixNanos};

impl Engine {
    /// Takes a change of trading status.
    ///
    /// During a halt no print decides, episodes stay as they are and clocks that run in trading time stand
    /// still; the first print after it comes from an auction and is believed at once.
    pub(super) fn status(&mut self, origin: &Origin, status: &Status<'_>, effects: &mut Effects) -> Disposition {
        if let Err(refusal) = self.check_time(origin, status.ts) {
            return refusal;
        }
        let id = match self.lookup_at(&status.symbol, status.ts) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        self.read_from(id, origin.partition);
        let state = &mut self.states[id as usize];
        state.cold.notices += 1;
        if status.ts < state.last_ts.plus(-self.params.lateness) {
            return Disposition::LATE;
        }
        let is_halted = state.care.has(Care::HALTED);
        match status.status {
            TradingStatus::Halted if is_halted => return Disposition::DUPLICATE,
            TradingStatus::Resumed if !is_halted => return Disposition::DUPLICATE,
            _ => {}
        }
        self.release(id, status.ts, effects);
        self.close_bucket_by(id, status.ts);
        self.enter_if_due(id, status.ts, effects);
        let state = &mut self.states[id as usize];
        let kind = match status.status {
            TradingStatus::Halted => EntryKind::Halt,
            TradingStatus::Resumed => EntryKind::Resume,
            TradingStatus::Limits { lower, upper } => {
                let limits = Some((lower.get(), upper.get()));
                let is_news = state.cold.limits != limits;
                state.cold.limits = limits;
                state.care.set(Care::LIMITS, true);
                return if is_news { Disposition::APPLIED } else { Disposition::DUPLICATE };
            }
        };
        state.keep(&self.params, &Entry::plain(kind, status.ts, 0.0, 0));
        if kind == EntryKind::Halt {
            let reason = status.reason.as_deref().unwrap_or_default();
            state.stop_trading(&self.params, status.ts, reason.into());
            // The band is drawn anew around the price at which trading reopens.
            state.cold.limits = None;
            state.care.set(Care::LIMITS, false);
        } else {
            state.resume_trading(&self.params, status.ts);
            state.care.set(Care::REOPENING, true);
        }
        Disposition::APPLIED
    }

    /// A reopening print ends a halt whose end nobody reported.
    pub(super) fn reopen(&mut self, id: u32, ts: UnixNanos) {
        let state = &mut self.states[id as usize];
        state.keep(&self.params, &Entry::plain(EntryKind::Resume, ts, 0.0, 0));
        state.resume_trading(&self.params, ts);
        state.care.set(Care::REOPENING, true);
    }
}
