//! Who broke first in a session, and how long after it the others did.

use crate::domain::{self, NANOS_PER_SEC, Symbol, UnixNanos};

/// What the opening auction released: breaches of this long from the open on.
pub(super) const OPENING: i64 = 60 * NANOS_PER_SEC;
/// Followers shown.
const FOLLOWERS_KEPT: usize = 64;
/// Where one bucket of lags ends and the next begins, in minutes.
pub const LAG_MINUTES: [i64; 3] = [5, 30, 120];

/// The first breach of one line in a session.
#[derive(Clone, PartialEq, Debug)]
pub struct Breach {
    /// Which.
    pub symbol: Symbol,
    /// When it first reached the first tier, by event time.
    pub at: UnixNanos,
    /// Its multiple at the close.
    pub z: domain::Reading,
    /// Whether it is a member of the group, not only of the universe.
    pub is_member: bool,
}

/// One that broke after the first member.
#[derive(Clone, PartialEq, Debug)]
pub struct Follower {
    /// Which.
    pub symbol: Symbol,
    /// Whether it is a member of the group.
    pub is_member: bool,
    /// Seconds after the first member.
    pub lag_secs: f64,
    /// Its multiple at the close.
    pub z: domain::Reading,
}

/// How many broke how long after the first member: below 5 minutes, below 30, below 120, and later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LagCounts(pub [u64; 4]);

impl LagCounts {
    /// Share of each bucket; `None` where nobody followed.
    pub fn shares(&self) -> Option<[f64; 4]> {
        let all = self.0.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        (all > 0).then(|| self.0.map(|n| n as f64 / all as f64))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum = sum.saturating_add(n));
    }
}

/// A session's first breach in a group, and those after it.
#[derive(Clone, PartialEq, Debug)]
pub struct LeadLag {
    /// When the first member broke.
    pub began_at: UnixNanos,
    /// The member that broke first; `None` where several share the place.
    pub initiator: Option<Symbol>,
    /// Those that broke with it, by symbol: at the same instant, or let go by the same opening auction.
    pub simultaneous: Vec<Symbol>,
    /// How many outside the group had broken before: where there are any, the group did not lead.
    pub preceded_by: u32,
    /// The first 64 that broke later.
    pub followers: Vec<Follower>,
    /// All that broke later.
    pub lags: LagCounts,
}

/// Orders a session's first breaches: who came first, who together with it, who later and by how much.
///
/// What breaks within a minute from `open` was released by the auction: its lag would say when trading began, not who led.
/// So whoever breaks then is simultaneous with a first member that broke then or before the open. Lags are of event time.
/// That somebody came later does not say that it came because of the first: a common cause looks the same.
/// `None` where no member broke.
pub fn lead_lag(breaches: &[Breach], open: UnixNanos) -> Option<LeadLag> {
    let mut sorted: Vec<&Breach> = breaches.iter().collect();
    sorted.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.symbol.cmp(&b.symbol)));
    let is_opening = |at: UnixNanos| at >= open && at < open.plus(OPENING);
    let began_at = sorted.iter().find(|b| b.is_member)?.at;
    let is_together = |at: UnixNanos| at == began_at || (is_opening(at) && began_at < open.plus(OPENING));
    // Who shares the first place: those of its instant, and in the auction's minute all of it.
    let is_first = |at: UnixNanos| at == began_at || (is_opening(at) && is_opening(began_at));
    let firsts: Vec<&&Breach> = sorted.iter().filter(|b| b.is_member && is_first(b.at)).collect();
    let initiator = if let [alone] = firsts[..] { Some(alone.symbol.clone()) } else { None };
    let mut found = LeadLag {
        began_at,
        simultaneous: Vec::new(),
        preceded_by: 0,
        followers: Vec::new(),
        lags: LagCounts::default(),
        initiator,
    };
    for breach in sorted {
        if is_together(breach.at) {
            if found.initiator.as_ref() != Some(&breach.symbol) {
                found.simultaneous.push(breach.symbol.clone());
            }
        } else if breach.at < began_at {
            found.preceded_by += 1;
        } else {
            let lag = breach.at.since(began_at);
            let bucket = LAG_MINUTES.iter().filter(|end| lag >= **end * 60 * NANOS_PER_SEC).count();
            found.lags.0[bucket] += 1;
            if found.followers.len() < FOLLOWERS_KEPT {
                let Breach { symbol, z, is_member, .. } = breach.clone();
                found.followers.push(Follower { symbol, is_member, lag_secs: lag as f64 / NANOS_PER_SEC as f64, z });
            }
        }
    }
    found.simultaneous.sort();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: UnixNanos = UnixNanos(1_000_000 * NANOS_PER_SEC);

    fn at(symbol: &str, secs: i64, is_member: bool) -> Breach {
        Breach { symbol: Symbol::new(symbol).unwrap(), at: OPEN.plus(secs * NANOS_PER_SEC), z: Ok(-3.5), is_member }
    }

    fn names(symbols: &[Symbol]) -> Vec<&str> {
        symbols.iter().map(Symbol::as_str).collect()
    }

    #[test]
    fn the_first_member_leads_and_lags_are_counted() {
        let all = [
            at("LATE", 90_000, false),
            at("NVDA", 600, true),
            at("AVGO", 600, false),
            at("ORCL", 300, false),
            at("AMD", 600 + 299, false),
            at("MSFT", 600 + 300, true),
            at("TSM", 600 + 1_800, false),
            at("IBM", 600 + 7_199, false),
            at("KO", 600 + 7_200, false),
        ];
        let found = lead_lag(&all, OPEN).unwrap();
        assert_eq!((found.initiator.as_ref().unwrap().as_str(), found.preceded_by), ("NVDA", 1));
        assert_eq!(names(&found.simultaneous), ["AVGO"]);
        assert_eq!(found.lags.0, [1, 1, 2, 2]);
        let shares = found.lags.shares().unwrap();
        assert!(
            shares.iter().zip([1.0, 1.0, 2.0, 2.0]).all(|(share, n)| (share - n / 6.0).abs() < 1e-15),
            "{shares:?}"
        );
        let second = &found.followers[1];
        assert_eq!((second.symbol.as_str(), second.is_member, second.lag_secs), ("MSFT", true, 300.0));
        assert_eq!(lead_lag(&all[4..5], OPEN), None, "no member");
        assert_eq!(LagCounts::default().shares(), None);
    }

    #[test]
    fn the_opening_auction_is_no_lead() {
        // Both members in the opening minute share the place, and the others of that minute do not follow.
        let both = [at("NVDA", 0, true), at("MSFT", 59, true), at("AVGO", 20, false), at("KO", 60, false)];
        let found = lead_lag(&both, OPEN).unwrap();
        assert_eq!((found.initiator.clone(), found.preceded_by, found.lags.0), (None, 0, [1, 0, 0, 0]));
        assert_eq!(names(&found.simultaneous), ["AVGO", "MSFT", "NVDA"]);
        // Somebody of that minute did not come before the group either.
        let later = [at("AVGO", 1, false), at("NVDA", 30, true)];
        let found = lead_lag(&later, OPEN).unwrap();
        assert_eq!((found.initiator.unwrap().as_str(), found.preceded_by), ("NVDA", 0));
        // Before the open time is time, but whoever waits for the auction does not follow.
        let early = [at("NVDA", -3_600, true), at("AMD", -3_000, false), at("MSFT", 2, true), at("KO", 400, false)];
        let found = lead_lag(&early, OPEN).unwrap();
        assert_eq!(found.initiator.unwrap().as_str(), "NVDA");
        assert_eq!((names(&found.simultaneous), found.lags.0), (vec!["MSFT"], [0, 1, 1, 0]));
    }

    #[test]
    fn the_list_of_followers_is_bounded_and_the_counts_are_not() {
        let mut all = vec![at("NVDA", 100, true)];
        all.extend((0..100).map(|n| at(&format!("S{n}"), 101 + n, false)));
        let found = lead_lag(&all, OPEN).unwrap();
        assert_eq!((found.followers.len(), found.lags.0[0]), (FOLLOWERS_KEPT, 100));
    }
}
