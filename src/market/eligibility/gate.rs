//! How much trading makes an extended-hours price worth an alert.
//!
//! Extended hours are thin: one print far away is no market. The gate counts the eligible prints of the
//! extended class since it was made, their value and their venues, and opens once there are enough of each.
//! Make a new one for each session. What a feed does not tell is not asked for: no value where no print had
//! a size, no venues where none named one. So an open gate closes again only when a feed that told neither
//! begins to.

/// Venues told apart at most; a bound above this could never be reached.
pub const VENUES_KEPT: usize = 8;

/// What opens the gate; 0 asks for nothing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GateParams {
    /// Least number of prints.
    pub prints_min: u32,
    /// Least value traded, in USD.
    pub value_min: f64,
    /// Least number of venues, at most [`VENUES_KEPT`].
    pub venues_min: usize,
}

/// The extended-hours trading of one security in one session so far.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ExtendedGate {
    prints: u32,
    /// `None` until a print says its size.
    value: Option<f64>,
    venues: [u32; VENUES_KEPT],
    venues_len: u8,
}

/// A venue's name as a number: its CRC-32, which differs for any two names of the same length up to four
/// bytes.
pub fn venue_key(name: &str) -> u32 {
    crc32fast::hash(name.as_bytes())
}

impl ExtendedGate {
    /// Takes one eligible print of the extended class into account.
    pub fn observe(&mut self, price: f64, size: Option<f64>, venue: Option<u32>) {
        self.prints = self.prints.saturating_add(1);
        if let Some(size) = size {
            self.value = Some(self.value.unwrap_or(0.0) + size * price);
        }
        if let Some(venue) = venue
            && !self.venues().contains(&venue)
            && let Some(free) = self.venues.get_mut(usize::from(self.venues_len))
        {
            *free = venue;
            self.venues_len += 1;
        }
    }

    /// Whether there was enough of everything that the feed tells.
    pub fn is_open(&self, params: &GateParams) -> bool {
        self.prints >= params.prints_min
            && self.value.is_none_or(|value| value >= params.value_min)
            && (self.venues_len == 0 || self.venues().len() >= params.venues_min)
    }

    /// Prints so far.
    pub fn prints(&self) -> u32 {
        self.prints
    }

    /// Value traded in USD; `None` while no print has said its size.
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// Keys of the venues seen, the first [`VENUES_KEPT`] of them.
    pub fn venues(&self) -> &[u32] {
        &self.venues[..usize::from(self.venues_len).min(VENUES_KEPT)]
    }

    /// The gate with these counts: how a snapshot is read back. Venues beyond [`VENUES_KEPT`] are dropped.
    pub fn restored(prints: u32, value: Option<f64>, venues: &[u32]) -> Self {
        let mut gate = Self { prints, value, ..Self::default() };
        for (slot, venue) in gate.venues.iter_mut().zip(venues) {
            *slot = *venue;
            gate.venues_len += 1;
        }
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: GateParams = GateParams { prints_min: 3, value_min: 100_000.0, venues_min: 2 };

    /// Prints as price, size and venue; whether the gate is open after each.
    fn check(params: &GateParams, prints: &[(f64, Option<f64>, Option<&str>)], expected: &[bool]) {
        let mut gate = ExtendedGate::default();
        let mut got = Vec::new();
        for (price, size, venue) in prints {
            gate.observe(*price, *size, venue.map(venue_key));
            got.push(gate.is_open(params));
            assert_eq!(ExtendedGate::restored(gate.prints(), gate.value(), gate.venues()), gate);
        }
        assert_eq!(got, expected, "{prints:?}");
    }

    #[test]
    fn all_bounds_must_be_reached() {
        let p = |size, venue| (125.0, Some(size), Some(venue));
        check(&PARAMS, &[p(400.0, "P"), p(300.0, "Q"), p(99.0, "P"), p(1.0, "P")], &[false, false, false, true]);
        check(&PARAMS, &[p(9e9, "P"), p(1.0, "P"), p(1.0, "P"), p(1.0, "K")], &[false, false, false, true]);
    }

    #[test]
    fn what_the_feed_does_not_tell_is_not_asked_for() {
        check(&PARAMS, &[(1.0, None, None); 3], &[false, false, true]);
        check(&PARAMS, &[(1.0, None, Some("Q")); 3], &[false, false, false]);
        check(&PARAMS, &[(1.0, Some(1.0), None); 3], &[false, false, false]);
        // One print that tells is enough to be asked.
        check(
            &PARAMS,
            &[(1.0, None, None), (1.0, None, None), (1.0, None, None), (1.0, Some(1.0), None)],
            &[false, false, true, false],
        );
        let nothing = GateParams { prints_min: 0, value_min: 0.0, venues_min: 0 };
        assert!(ExtendedGate::default().is_open(&nothing) && !ExtendedGate::default().is_open(&PARAMS));
    }

    #[test]
    fn memory_is_bounded() {
        let mut gate = ExtendedGate { prints: u32::MAX, ..ExtendedGate::default() };
        (0..100).for_each(|venue| gate.observe(1.0, None, Some(venue)));
        assert_eq!((gate.prints(), gate.venues()), (u32::MAX, &[0, 1, 2, 3, 4, 5, 6, 7][..]));
        assert!(gate.is_open(&GateParams { venues_min: VENUES_KEPT, ..PARAMS }));
        assert_eq!(ExtendedGate::restored(1, None, &[7; 20]).venues(), [7; VENUES_KEPT]);
    }

    #[test]
    fn venue_names_are_told_apart() {
        let names: Vec<String> = ('A'..='Z').map(String::from).collect();
        let mut keys: Vec<u32> = names.iter().map(|n| venue_key(n)).collect();
        keys.extend(["XNYS", "XNAS", "ARCX", "BATS", "EDGX", "IEXG", "MEMX", ""].map(venue_key));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 34);
    }
}
