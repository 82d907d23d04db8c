//! The fragility index of a universe: how often its securities break in a year, and how far.

use super::universe::Tally;
use crate::domain::{SessionDate, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sessions of its own that an index keeps: thirty years.
const OWN_MAX: usize = 8_192;
/// Sessions that are drawn together, since shocks come in clusters.
const BLOCK: usize = 10;
/// Years drawn for the interval.
const RESAMPLES: usize = 1_000;
/// Largest moves kept of a year, in each direction.
const LEADERS: usize = 10;

/// What broke in one session.
#[derive(Clone, PartialEq, Debug)]
pub struct DayCount {
    /// Session.
    pub session: SessionDate,
    /// Name of the universe that was counted.
    pub universe: Arc<str>,
    /// Securities with a known multiple.
    pub valid: u32,
    /// Of these those at or beyond the first tier.
    pub events: u32,
    /// Sum of their absolute multiples.
    pub abs_z_sum: f64,
    /// Year, month and day of the session.
    date: (i32, u32, u32),
}

impl DayCount {
    /// The count of a session: securities with a known multiple, those that break, and the sum of their absolute ones.
    pub fn new(session: SessionDate, universe: Arc<str>, valid: u32, events: u32, abs_z_sum: f64) -> Self {
        Self { session, universe, valid, events, abs_z_sum, date: session.year_month_day() }
    }
}

/// Counts added up.
#[derive(Clone, Copy, Default, Debug)]
struct Sum {
    valid: u64,
    events: u64,
    abs_z: f64,
}

impl Sum {
    fn add(&mut self, day: &DayCount) {
        self.valid += u64::from(day.valid);
        self.events += u64::from(day.events);
        self.abs_z += day.abs_z_sum;
    }

    fn index(&self) -> Option<f64> {
        (self.valid > 0).then(|| 100.0 * self.abs_z / self.valid as f64)
    }
}

/// The index of a year up to a session.
///
/// `frequency = 100 events / valid`, `magnitude = sum |z| / events`, `index = frequency magnitude`: the sum of the absolute
/// multiples that break, per hundred securities and sessions.
#[derive(Clone, PartialEq, Debug)]
pub struct YearToDate {
    /// Universe of the session.
    pub universe: Arc<str>,
    /// Session.
    pub session: SessionDate,
    /// Multiples at or beyond the first tier.
    pub events: u64,
    /// Known multiples.
    pub valid: u64,
    /// Events in a hundred.
    pub frequency_pct: f64,
    /// Their mean size; `None` without any.
    pub magnitude: Option<f64>,
    /// The index.
    pub index: f64,
    /// 95 % of years made of this one's blocks of ten sessions have an index in here.
    pub interval: [f64; 2],
    /// Its place among all years, the highest is 1: earlier ones whole, and up to the same day; `None` without any.
    pub ranks: Option<[u32; 2]>,
    /// Years compared, this one too.
    pub years: u32,
    /// Universes that the earlier years were counted over, in the order of time.
    pub universes: Vec<Arc<str>>,
    /// Largest moves of the year so far, up and down.
    pub leaders: [Vec<Leader>; 2],
}

/// One of a year's largest moves.
#[derive(Clone, PartialEq, Debug)]
pub struct Leader {
    /// Which.
    pub symbol: Symbol,
    /// When.
    pub session: SessionDate,
    /// Its multiple.
    pub z: f64,
}

/// What is counted of a universe, session by session: what a file says, then its own.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) given: Arc<[DayCount]>,
    pub(super) own: Vec<DayCount>,
    /// The year of the leaders.
    pub(super) year: i32,
    pub(super) leaders: [Vec<Leader>; 2],
}

impl Index {
    /// `given` in the order of its sessions.
    pub(super) fn new(given: Arc<[DayCount]>) -> Self {
        Self { given, own: Vec::new(), year: i32::MIN, leaders: Default::default() }
    }

    /// The same counts given, and these own ones.
    pub(super) fn with(&self, mut own: Vec<DayCount>) -> Self {
        own.sort_by_key(|d| d.session);
        own.drain(..own.len().saturating_sub(OWN_MAX));
        Self { own, ..Self::new(self.given.clone()) }
    }

    /// Takes a session's count, and the multiples that make it.
    pub(super) fn keep(&mut self, universe: &Arc<str>, session: SessionDate, tally: &Tally, z: &[(Symbol, f64)]) {
        let day = DayCount::new(session, universe.clone(), tally.valid, tally.events(), tally.abs_z_sum);
        match self.own.binary_search_by_key(&session, |d| d.session) {
            Ok(at) => self.own[at] = day,
            Err(at) => self.own.insert(at, day),
        }
        if self.own.len() > OWN_MAX {
            self.own.remove(0);
        }
        let year = session.year_month_day().0;
        if year > self.year {
            self.year = year;
            self.leaders = Default::default();
        }
        if year < self.year {
            return;
        }
        for (symbol, z) in z {
            let leaders = &mut self.leaders[usize::from(*z < 0.0)];
            let at = leaders.partition_point(|l| l.z.abs() >= z.abs());
            leaders.insert(at, Leader { symbol: symbol.clone(), session, z: *z });
            leaders.truncate(LEADERS);
        }
    }

    /// The year up to `session`: of earlier sessions what was given, then what was counted, and `session` as counted.
    pub(super) fn year_to_date(&self, session: SessionDate) -> Option<YearToDate> {
        let last_given = self.given.last().map_or(SessionDate::MIN, |d| d.session);
        let given = self.given.iter().filter(|d| d.session < session);
        let own = self.own.iter().filter(|d| d.session <= session && (d.session > last_given || d.session == session));
        let at_hand = self.own.iter().find(|d| d.session == session)?;
        let (year, month, day) = session.year_month_day();
        let mut days: Vec<&DayCount> = Vec::new();
        let mut earlier: BTreeMap<i32, [Sum; 2]> = BTreeMap::new();
        let mut universes: Vec<Arc<str>> = Vec::new();
        for count in given.chain(own) {
            let (y, m, d) = count.date;
            if y == year {
                days.push(count);
                continue;
            }
            let [whole, part] = earlier.entry(y).or_default();
            whole.add(count);
            if (m, d) <= (month, day) {
                part.add(count);
            }
            if !universes.contains(&count.universe) {
                universes.push(count.universe.clone());
            }
        }
        let mut sum = Sum::default();
        for day in &days {
            sum.add(day);
        }
        let index = sum.index()?;
        let rank = |of: usize| {
            let above = earlier.values().filter(|sums| sums[of].index().is_some_and(|i| i > index)).count();
            u32::try_from(above + 1).unwrap_or(u32::MAX)
        };
        Some(YearToDate {
            universe: at_hand.universe.clone(),
            session,
            events: sum.events,
            valid: sum.valid,
            frequency_pct: 100.0 * sum.events as f64 / sum.valid as f64,
            magnitude: (sum.events > 0).then(|| sum.abs_z / sum.events as f64),
            index,
            interval: interval(&days, session),
            ranks: (!earlier.is_empty()).then(|| [rank(0), rank(1)]),
            years: u32::try_from(earlier.len() + 1).unwrap_or(u32::MAX),
            universes,
            leaders: if self.year == year { self.leaders.clone() } else { Default::default() },
        })
    }
}

/// The 95 % interval of the index over years drawn from `days` in blocks, the last followed by the first (circular block
/// bootstrap). The draw is the same for the same session.
fn interval(days: &[&DayCount], session: SessionDate) -> [f64; 2] {
    let n = days.len();
    // Sums up to each place of two rounds.
    let mut sums = vec![(0.0, 0.0)];
    for at in 0..2 * n {
        let (abs_z, valid) = sums[at];
        sums.push((abs_z + days[at % n].abs_z_sum, valid + f64::from(days[at % n].valid)));
    }
    let mut dice = u64::from(session.days().unsigned_abs());
    let mut drawn: Vec<f64> = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let (mut abs_z, mut valid) = (0.0, 0.0);
        for begin in (0..n).step_by(BLOCK) {
            let len = BLOCK.min(n - begin);
            let start = roll(&mut dice, n);
            abs_z += sums[start + len].0 - sums[start].0;
            valid += sums[start + len].1 - sums[start].1;
        }
        if valid > 0.0 {
            drawn.push(100.0 * abs_z / valid);
        }
    }
    drawn.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|p| {
        let place = p * drawn.len().saturating_sub(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let low = place as usize;
        let part = place - low as f64;
        let at = |i: usize| drawn.get(i).or(drawn.last()).copied().unwrap_or(0.0);
        at(low) + part * (at(low + 1) - at(low))
    })
}

/// A number below `n`, by the generator of Steele, Lea and Flood (2014, "Fast splittable pseudorandom number generators").
fn roll(state: &mut u64, n: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    usize::try_from((u128::from(z) * n as u128) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> SessionDate {
        text.parse().unwrap()
    }

    fn count(session: &str, valid: u32, events: u32, abs_z_sum: f64) -> DayCount {
        DayCount::new(on(session), "large20".into(), valid, events, abs_z_sum)
    }

    fn keep(index: &mut Index, session: &str, valid: u32, up: u32, abs_z_sum: f64) {
        let tally = Tally { count: valid, valid, up, down: 0, abs_z_sum };
        index.keep(&"top50".into(), on(session), &tally, &[]);
    }

    #[test]
    fn a_year_is_ranked_whole_and_up_to_the_day() {
        let given: Arc<[DayCount]> = [
            count("2022-01-10", 50, 5, 20.0),
            count("2022-12-20", 50, 0, 0.0),
            count("2023-01-10", 50, 1, 3.0),
            count("2023-12-20", 50, 9, 40.0),
            count("2024-01-09", 50, 1, 3.5),
            // The product saw this one itself, and what was given counts.
            count("2024-01-10", 50, 8, 30.0),
        ]
        .into();
        let mut index = Index::new(given);
        keep(&mut index, "2024-01-10", 50, 1, 5.5);
        // As of that day, its own count stands for the session at hand.
        let at = index.year_to_date(on("2024-01-10")).unwrap();
        assert_eq!((at.events, at.valid, at.index), (2, 100, 9.0));
        keep(&mut index, "2024-01-11", 50, 2, 8.0);
        let at = index.year_to_date(on("2024-01-11")).unwrap();
        assert_eq!((at.events, at.valid), (11, 150));
        assert!((at.index - 100.0 * 41.5 / 150.0).abs() < 1e-12);
        assert!((at.frequency_pct * at.magnitude.unwrap() - at.index).abs() < 1e-12);
        // 2022 has 20 whole and 40 up to the day, 2023 has 43 and 6.
        assert_eq!((at.ranks, at.years), (Some([2, 2]), 3));
        assert_eq!(at.universes.iter().map(|u| &**u).collect::<Vec<_>>(), ["large20"]);
        assert!(at.interval[0] <= at.index && at.index <= at.interval[1]);
        assert_eq!(index.year_to_date(on("2024-01-12")), None, "nothing was counted");
    }

    #[test]
    fn without_history_there_is_no_rank() {
        let mut index = Index::new(Arc::from([]));
        keep(&mut index, "2024-01-10", 50, 0, 0.0);
        let at = index.year_to_date(on("2024-01-10")).unwrap();
        assert_eq!((at.ranks, at.years, at.index, at.magnitude), (None, 1, 0.0, None));
    }

    #[test]
    fn leaders_are_those_of_the_year() {
        let mut index = Index::new(Arc::from([]));
        let z = |symbol: &str, z: f64| (Symbol::new(symbol).unwrap(), z);
        let tally = Tally { count: 3, valid: 3, ..Tally::default() };
        index.keep(&"u".into(), on("2023-12-29"), &tally, &[z("A", 9.0)]);
        index.keep(&"u".into(), on("2024-01-02"), &tally, &[z("A", 3.5), z("B", -4.0), z("C", 5.0)]);
        let at = index.year_to_date(on("2024-01-02")).unwrap();
        let names = |side: usize| at.leaders[side].iter().map(|l| l.symbol.to_string()).collect::<Vec<_>>();
        assert_eq!((names(0), names(1)), (vec!["C".to_owned(), "A".to_owned()], vec!["B".to_owned()]));
    }
}
