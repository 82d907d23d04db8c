//! Whether a group's shocks and broad ones go together.

use crate::domain::{self, Unknown};
use crate::estimators::jeffreys_interval;
use std::collections::VecDeque;

/// Known sessions that count, two years.
pub(super) const WINDOW: usize = 504;
/// Sessions without which nothing is said.
const SESSIONS_MIN: usize = 63;
/// Of these, sessions of either kind without which nothing is said.
const OF_A_KIND_MIN: u32 = 5;

/// Sessions of one kind, and how many of them were broad.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BroadShare {
    /// Sessions.
    pub sessions: u32,
    /// Of them those in which the breadth reached [`super::ContagionParams::broad_at`].
    pub broad: u32,
    /// `broad / sessions`.
    pub probability: f64,
    /// Its 95 % interval ([`jeffreys_interval`]).
    pub interval: [f64; 2],
}

/// How much likelier a broad session is when a member of the group breaks: over the last 504 sessions known
/// `P(broad | breach) / P(broad | none)`.
///
/// Of the same session, so it says that they go together, not which came first. Where members stand in the universe whose
/// breadth is given, their own breaks are in it, and the lift is the higher for it: hence
/// [`super::ContagionView::others_lift`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ConditionalLift {
    /// Sessions in which a member reached the first tier.
    pub breach: BroadShare,
    /// Sessions in which none did.
    pub none: BroadShare,
    /// The one probability over the other; `SHORT_HISTORY` while no session without a breach was broad.
    pub lift: domain::Reading,
}

/// The sessions that count: whether a member broke, and whether it was broad.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct LiftWindow(VecDeque<(bool, bool)>);

impl LiftWindow {
    pub(super) fn keep(&mut self, breached: bool, broad: bool) {
        self.0.push_back((breached, broad));
        if self.0.len() > WINDOW {
            self.0.pop_front();
        }
    }

    /// `SHORT_HISTORY` below 63 sessions, or below five of either kind.
    pub(super) fn read(&self) -> Result<ConditionalLift, Unknown> {
        let of = |breached: bool| {
            let arm = || self.0.iter().filter(move |(b, _)| *b == breached);
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let (sessions, broad) = (count(arm().count()), count(arm().filter(|(_, broad)| *broad).count()));
            let interval = jeffreys_interval(broad, sessions).filter(|_| sessions >= OF_A_KIND_MIN);
            let interval = interval.ok_or(Unknown::ShortHistory)?;
            Ok(BroadShare { sessions, broad, probability: f64::from(broad) / f64::from(sessions), interval })
        };
        if self.0.len() < SESSIONS_MIN {
            return Err(Unknown::ShortHistory);
        }
        let (breach, none) = (of(true)?, of(false)?);
        let lift = if none.broad > 0 { Ok(breach.probability / none.probability) } else { Err(Unknown::ShortHistory) };
        Ok(ConditionalLift { breach, none, lift })
    }

    /// One number a session, for snapshots.
    pub(super) fn image(&self) -> Vec<u8> {
        self.0.iter().map(|(breached, broad)| u8::from(*breached) + 2 * u8::from(*broad)).collect()
    }

    pub(super) fn restore(image: &[u8]) -> Self {
        let newest = image.len().saturating_sub(WINDOW);
        Self(image[newest..].iter().map(|n| (n & 1 > 0, n & 2 > 0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lift_by_hand_and_when_it_is_not_known() {
        let mut window = LiftWindow::default();
        for n in 0..62 {
            window.keep(n % 10 == 0, n % 20 == 0);
        }
        assert_eq!(window.read(), Err(Unknown::ShortHistory));
        window.keep(false, false);
        let known = window.read().unwrap();
        assert_eq!((known.breach.sessions, known.breach.broad, known.none.sessions, known.none.broad), (7, 4, 56, 0));
        assert_eq!(known.lift, Err(Unknown::ShortHistory), "over nothing");
        window.keep(false, true);
        let lift = window.read().unwrap().lift.unwrap();
        assert!((lift - (4.0 / 7.0) / (1.0 / 57.0)).abs() < 1e-12);
        let mut calm = LiftWindow::default();
        (0..400).for_each(|n| calm.keep(n < 4, true));
        assert_eq!(calm.read(), Err(Unknown::ShortHistory), "four of a kind are too few");
        // Old sessions leave.
        (0..WINDOW).for_each(|_| window.keep(false, true));
        assert_eq!(window.read(), Err(Unknown::ShortHistory));
        assert_eq!(window.0.len(), WINDOW);
        assert_eq!(LiftWindow::restore(&window.image()), window);
    }
}
