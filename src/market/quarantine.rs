//! Prints too far from the last price to be believed at once, held until something speaks for or against them.
//!
//! A single wild print is a mistake more often than a crash; a crash is never a single print. So a print
//! beyond the limit waits, and is taken with its own event time when enough prints from enough venues
//! agree with it, or when its time is up and no ordinary print has come since. One that an ordinary print
//! contradicted is a bad print when its time is up. No jump is lost: what is held is only late, by at most
//! the holding time of the symbol's own clock.
//!
//! Rules that compare a print with the median of its neighbours are left out on purpose: they need the
//! prints after it, and delete genuine jumps (Brownlees and Gallo 2006 describe them for data at rest).

use crate::domain::UnixNanos;

/// When a print is held, and what frees it.
#[derive(Clone, PartialEq, Debug)]
pub struct QuarantineRules {
    /// Standard deviations of the time since the last price that a print may be away from it.
    pub sigmas: f64,
    /// Absolute log return that is never held, whatever sigma.
    pub floor: f64,
    /// Prints that must agree, the newest included.
    pub prints: usize,
    /// Venues they must come from, where every one of them names its venue.
    pub venues: usize,
    /// Event time after which a print that nothing contradicted is taken, in nanoseconds.
    pub hold: i64,
    /// Prints of one symbol held at most; the oldest is refused beyond.
    pub held_max: usize,
}

impl QuarantineRules {
    /// The largest absolute log return taken at once: `max(floor, sigmas * sigma_daily * sqrt(share))`.
    ///
    /// `share` is the expected share of the daily variance between the two prints, from 0 to 1.
    pub fn limit(&self, sigma_daily: f64, share: f64) -> f64 {
        (self.sigmas * sigma_daily * share.max(0.0).sqrt()).max(self.floor)
    }
}

/// One print that waits.
#[derive(Clone, PartialEq, Debug)]
pub struct Held<T> {
    /// Its event time.
    pub ts: UnixNanos,
    /// Its price.
    pub price: f64,
    /// Where it was traded, as a number that differs between venues.
    pub venue: Option<u32>,
    /// Whether an ordinary print came after it.
    pub is_contradicted: bool,
    /// The record itself.
    pub record: T,
}

/// The prints of one symbol that wait, in order of event time, and of arrival where that is the same.
#[derive(Clone, PartialEq, Debug)]
pub struct Quarantine<T> {
    held: Vec<Held<T>>,
}

impl<T> Default for Quarantine<T> {
    fn default() -> Self {
        Self { held: Vec::new() }
    }
}

impl<T> Quarantine<T> {
    /// Continues with stored prints, in whatever order they are given.
    pub fn from_held(mut held: Vec<Held<T>>) -> Self {
        held.sort_by_key(|print| print.ts);
        Self { held }
    }

    /// What waits.
    pub fn held(&self) -> &[Held<T>] {
        &self.held
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Holds a print; gives back the oldest when there is no room for both.
    pub fn hold(&mut self, rules: &QuarantineRules, print: Held<T>) -> Option<Held<T>> {
        let is_full = self.held.len() >= rules.held_max.max(1);
        let at = self.held.partition_point(|p| p.ts <= print.ts);
        self.held.insert(at, print);
        is_full.then(|| self.held.remove(0))
    }

    /// An ordinary print speaks against all that wait.
    pub fn contradict(&mut self) {
        self.contradict_if(|_| true);
    }

    /// Something speaks against some that wait.
    pub fn contradict_if(&mut self, is_contradicted: impl Fn(&Held<T>) -> bool) {
        for print in &mut self.held {
            print.is_contradicted |= is_contradicted(print);
        }
    }

    /// Takes out the prints that agree with a new one, when with it they are enough, in order; `tolerance` is
    /// an absolute log return.
    pub fn confirmed_by(
        &mut self,
        rules: &QuarantineRules,
        price: f64,
        venue: Option<u32>,
        tolerance: f64,
    ) -> Option<Vec<Held<T>>> {
        let agrees = |print: &Held<T>| (price / print.price).ln().abs() <= tolerance;
        let mut venues: Vec<Option<u32>> = self.held.iter().filter(|p| agrees(p)).map(|p| p.venue).collect();
        venues.push(venue);
        if venues.len() < rules.prints {
            return None;
        }
        let all_named = venues.iter().all(Option::is_some);
        venues.sort_unstable();
        venues.dedup();
        if all_named && venues.len() < rules.venues {
            return None;
        }
        let (agreeing, rest) = std::mem::take(&mut self.held).into_iter().partition(agrees);
        self.held = rest;
        Some(agreeing)
    }

    /// Takes out the first print whose time is up at `now`.
    pub fn expired(&mut self, rules: &QuarantineRules, now: UnixNanos) -> Option<Held<T>> {
        let is_due = self.held.first().is_some_and(|p| p.ts.plus(rules.hold) <= now);
        is_due.then(|| self.held.remove(0))
    }

    /// Takes out a print that is cancelled or corrected.
    pub fn remove(&mut self, is_meant: impl Fn(&T) -> bool) -> Option<Held<T>> {
        let at = self.held.iter().position(|p| is_meant(&p.record))?;
        Some(self.held.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NANOS_PER_SEC;

    fn rules() -> QuarantineRules {
        QuarantineRules { sigmas: 5.0, floor: 0.01, prints: 3, venues: 2, hold: 3 * NANOS_PER_SEC, held_max: 4 }
    }

    fn held(ts: i64, price: f64, venue: Option<u32>) -> Held<i64> {
        Held { ts: UnixNanos(ts), price, venue, is_contradicted: false, record: ts }
    }

    fn filled(venues: [Option<u32>; 2]) -> Quarantine<i64> {
        let mut q = Quarantine::default();
        for (at, venue) in (0..).zip(venues) {
            assert_eq!(q.hold(&rules(), held(at, 90.0, venue)), None);
        }
        q
    }

    #[test]
    fn the_limit_grows_with_the_root_of_the_variance_and_never_under_the_floor() {
        let r = rules();
        assert_eq!(r.limit(0.02, 0.0).to_bits(), 0.01_f64.to_bits());
        assert!((r.limit(0.02, 0.25) - 0.05).abs() < 1e-15);
        assert!((r.limit(0.02, 1.0) - 0.10).abs() < 1e-15);
    }

    #[test]
    fn three_prints_from_two_venues_agree() {
        for (venues, newest, expected) in [
            ([Some(1), Some(1)], Some(1), None),
            ([Some(1), Some(1)], Some(2), Some(2)),
            ([None, None], None, Some(2)),
            ([Some(1), None], Some(1), Some(2)),
        ] {
            let freed = filled(venues).confirmed_by(&rules(), 90.2, newest, 0.01);
            assert_eq!(freed.map(|f| f.len()), expected, "{venues:?} {newest:?}");
        }
        assert_eq!(filled([None, None]).confirmed_by(&rules(), 92.0, None, 0.01), None, "it is another price");
    }

    #[test]
    fn time_frees_in_order_and_says_what_was_contradicted() {
        let mut q = filled([Some(1), Some(1)]);
        let up = UnixNanos(rules().hold);
        assert_eq!(q.expired(&rules(), up.plus(-1)), None);
        assert_eq!(q.expired(&rules(), up).map(|p| (p.record, p.is_contradicted)), Some((0, false)));
        assert_eq!(q.expired(&rules(), up), None);
        q.contradict();
        assert_eq!(q.expired(&rules(), up.plus(1)).map(|p| (p.record, p.is_contradicted)), Some((1, true)));
        assert!(q.is_empty());
    }

    #[test]
    fn what_comes_out_of_order_waits_in_order() {
        let mut q = Quarantine::default();
        for at in [3, 1, 2] {
            assert_eq!(q.hold(&rules(), held(at, 90.0, None)), None);
        }
        assert_eq!(q.expired(&rules(), UnixNanos(rules().hold + 1)).map(|p| p.record), Some(1));
        let freed = q.confirmed_by(&rules(), 90.0, None, 0.01).unwrap();
        assert_eq!(freed.iter().map(|p| p.record).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut q = Quarantine::default();
        for at in 0..4 {
            assert_eq!(q.hold(&rules(), held(at, 90.0, None)), None);
        }
        assert_eq!(q.hold(&rules(), held(4, 90.0, None)).map(|p| p.record), Some(0));
        assert_eq!(q.remove(|r| *r == 2).map(|p| p.record), Some(2));
        assert_eq!(q.held().iter().map(|p| p.record).collect::<Vec<_>>(), [1, 3, 4]);
    }
}
