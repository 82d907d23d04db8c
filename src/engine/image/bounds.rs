//! What an image may say and no state can be: numbers that are none, counts about to run over, times without end.
//!
//! An image behind a checksum that holds was written by this program, or by somebody who knows its layout. What
//! cannot be is left out of it, or held to what can; nothing in it breaks the engine.

use crate::domain::{Price, UnixNanos};
use crate::engine::EVENT_TIME_MAX;
use crate::engine::state::{NO_RANGE, SymbolState};

/// Counts beyond are held to this, so that counting on never runs over.
pub(super) const COUNT_MAX: u32 = u32::MAX / 2;

/// The same for counts that run for ever.
pub(super) const SEQUENCE_MAX: u64 = u64::MAX / 2;

/// A sum, a mean or a price that may be missing: finite and not below 0, else 0.
pub(super) fn amount(value: f64) -> f64 {
    if value.is_finite() && value >= 0.0 { value } else { 0.0 }
}

/// The newest price, which splits may have taken beyond what a price as traded can be; 0 where there is none.
pub(super) fn last_price(value: f64) -> f64 {
    if (1e-24..=1e24).contains(&value) { value } else { 0.0 }
}

/// A number that is one.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A price that can be.
pub(super) fn is_price(value: f64) -> bool {
    Price::new(value).is_ok()
}

/// Lowest and highest price; none where either is no price.
pub(super) fn range((low, high): (f64, f64)) -> (f64, f64) {
    if is_price(low) && is_price(high) { (low, high) } else { NO_RANGE }
}

/// An instant that an event can have.
pub(super) fn is_event_time(ts: i64) -> bool {
    (0..EVENT_TIME_MAX.0).contains(&ts)
}

/// Holds what a symbol was restored to to what can be.
pub(super) fn hold(state: &mut SymbolState) {
    state.last_price = last_price(state.last_price);
    if state.last_ts != UnixNanos::MIN && !is_event_time(state.last_ts.0) {
        (state.last_price, state.last_ts) = (0.0, UnixNanos::MIN);
    }
    state.range = range(state.range);
    state.volume = amount(state.volume);
    state.mean_gap = amount(state.mean_gap);
    let cold = &mut state.cold;
    cold.regular_last = cold.regular_last.filter(|price| *price > 0.0 && price.is_finite());
    cold.decided = cold.decided.map(range);
    cold.undecided = range(cold.undecided);
    cold.limits = cold.limits.filter(|(lower, upper)| is_price(*lower) && is_price(*upper));
    cold.sequence = cold.sequence.min(SEQUENCE_MAX);
    if let Some((_, sequence)) = &mut cold.former {
        *sequence = (*sequence).min(SEQUENCE_MAX);
    }
    for judged in &mut cold.judged {
        judged.count = judged.count.min(COUNT_MAX);
    }
}
