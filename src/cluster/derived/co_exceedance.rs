//! How many members have a day that is extreme for themselves.

use crate::cluster::panel::{Key, Panel};
use crate::domain::SessionDate;
use std::collections::BTreeMap;

/// Sessions that a member is compared with, at most and at least.
const SESSIONS: usize = 252;
const SESSIONS_MIN: usize = 63;
/// Share of them that counts as extreme, on either side.
const TAIL: f64 = 0.05;

/// Members whose log return lies in a tail of their own past, each side apart.
///
/// `lower` counts `r <= q(0.05)`, `upper` counts `r >= q(0.95)`, quantiles of the member's newest 252 known log returns
/// strictly before the session, at least 63, with linear interpolation between order statistics (type 7 of Hyndman and Fan).
/// By chance 5 % of `valid` would on each side; `z` does not enter, so a member of fat tails does not count more often.
/// Source: Bae, Karolyi, Stulz (2003), Review of Financial Studies 16(3), 717-763, with quantiles of the past alone.
/// Oracle: pandas, `tests/golden/breadth.py`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoExceedance {
    /// The session.
    pub as_of: SessionDate,
    /// Members at or below their 5 % quantile.
    pub lower: u32,
    /// At or above their 95 % quantile.
    pub upper: u32,
    /// Members with a return and enough of a past.
    pub valid: u32,
}

/// Counts the members of the newest session that a panel keeps; `None` without any session.
pub(in crate::cluster) fn co_exceedance(panel: &Panel) -> Option<CoExceedance> {
    let (as_of, newest) = panel.sessions().last_key_value()?;
    let mut found = CoExceedance { as_of: *as_of, lower: 0, upper: 0, valid: 0 };
    for key in panel.members().keys() {
        let Some(r) = newest.get(key) else { continue };
        let Some([lower, upper]) = tails(panel.sessions(), *as_of, key) else { continue };
        found.valid += 1;
        found.lower += u32::from(*r <= lower);
        found.upper += u32::from(*r >= upper);
    }
    Some(found)
}

/// Where the tails of a member's past begin.
fn tails(sessions: &BTreeMap<SessionDate, BTreeMap<Key, f64>>, before: SessionDate, key: &str) -> Option<[f64; 2]> {
    let past = sessions.range(..before).rev().filter_map(|(_, day)| day.get(key).copied());
    let mut past: Vec<f64> = past.take(SESSIONS).collect();
    if past.len() < SESSIONS_MIN {
        return None;
    }
    past.sort_by(f64::total_cmp);
    Some([quantile(&past, TAIL), quantile(&past, 1.0 - TAIL)])
}

/// Of sorted values, at least one.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within a length")]
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn panel(sessions: i32, last: f64) -> Panel {
        let mut panel = Panel::default();
        for n in 0..=sessions {
            let day = SessionDate::from_days(20_000 + n).unwrap();
            let r = if n == sessions { last } else { f64::from(n % 21) / 100.0 };
            let of = |value: f64| BTreeMap::from([(Arc::from("A"), value), (Arc::from("B"), 1.0)]);
            panel.keep_values(day, of(r), of(1.0));
        }
        panel
    }

    #[test]
    fn a_day_is_extreme_by_its_own_past_alone() {
        let counts = |sessions: i32, last: f64| {
            let found = co_exceedance(&panel(sessions, last)).unwrap();
            (found.lower, found.upper, found.valid)
        };
        assert_eq!(counts(62, 9.0), (0, 0, 0), "too short a past");
        // 0 to 0.20 in equal parts: the quantiles are 0.01 and 0.19. B, which never moves, is at both of its own.
        assert_eq!(counts(63, 0.010_000_1), (1, 1, 2));
        assert_eq!(counts(63, 0.01), (2, 1, 2));
        assert_eq!(counts(63, 0.2), (1, 2, 2));
        assert!(co_exceedance(&Panel::default()).is_none());
    }
}
