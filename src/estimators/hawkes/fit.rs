//! Parameters of a Hawkes process from its events, by maximum likelihood.
//!
//! For a given decay the likelihood is concave in everything else, and its maximum is found to the last digits; the decay
//! is searched along a line. No random start, so the same events give the same bits.

use super::{HAWKES_KINDS_MAX, HawkesEvent, HawkesParams, are_ordered};

/// Events without which nothing is fitted.
pub const HAWKES_EVENTS_MIN: usize = 50;
/// Events of each kind without which nothing is fitted.
const OF_A_KIND_MIN: usize = 10;
/// Decays tried first, evenly spaced in their logarithm.
const GRID: u32 = 33;
/// The shortest time constant is the mean gap between events over this ...
const SHORTEST: f64 = 100.0;
/// ... and the longest the time observed over this.
const LONGEST: f64 = 4.0;
/// Width in `ln beta` at which the search ends.
const WIDTH: f64 = 1e-7;
/// Steps of the search along the line that come to that width from any bracket of the grid.
const STEPS: u32 = 60;
/// Moves of weight between two parts that are made at most.
const EXCHANGES: u32 = 400;
/// By how much, for each event, the likelihood may be short of its maximum.
const SHORT: f64 = 1e-12;

/// A fit that holds.
#[derive(Clone, PartialEq, Debug)]
pub struct HawkesFit {
    /// The parameters.
    pub params: HawkesParams,
    /// Log-likelihood at its maximum.
    pub log_likelihood: f64,
    /// Spectral radius of `alpha_ij m_j / beta`, `m_j` being the mean mark of kind `j`; below 1.
    pub branching_ratio: f64,
}

/// Why there is no fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FitRefusal {
    /// Fewer than [`HAWKES_EVENTS_MIN`] events, or than ten of a kind.
    TooFewEvents,
    /// The events are out of order or range, or of a kind that is not there.
    Unsound,
    /// No excitation makes them likelier: their decay means nothing.
    NoExcitation,
    /// The likelihood has no maximum within the range of time constants.
    NotConverged,
    /// A branching ratio of 1 or more: the fit would not be stationary.
    Explosive,
}

impl FitRefusal {
    const ALL: [Self; 5] = [Self::TooFewEvents, Self::Unsound, Self::NoExcitation, Self::NotConverged, Self::Explosive];

    /// A stable number for snapshots.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The inverse of [`FitRefusal::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The reason in views.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooFewEvents => "TOO_FEW_EVENTS",
            Self::Unsound => "UNSOUND",
            Self::NoExcitation => "NO_EXCITATION",
            Self::NotConverged => "NOT_CONVERGED",
            Self::Explosive => "EXPLOSIVE",
        }
    }
}

/// Maximum likelihood of `mu`, `alpha` and `beta` over `[0, horizon]`, with nothing before 0.
///
/// The time constant `1 / beta` is searched between a hundredth of the mean gap between events and a quarter of `horizon`:
/// 33 values, then golden section about the best. For each the rest is solved: with `N_i` events of kind `i`, at the maximum
/// `mu_i T + sum_j alpha_ij C_j = N_i` (`C_j` the time integral of the decayed marks), so that what is sought are the
/// weights of a mixture; they are moved in pairs until no mixture can be likelier by 1e-12 an event. O(events) memory, and
/// about a hundred passes over the events for each kind.
///
/// # Errors
/// Where nothing should be believed: see [`FitRefusal`].
pub fn fit_hawkes(kinds: usize, events: &[HawkesEvent], horizon: f64) -> Result<HawkesFit, FitRefusal> {
    if !(1..=HAWKES_KINDS_MAX).contains(&kinds) || !are_ordered(events, kinds, horizon) {
        return Err(FitRefusal::Unsound);
    }
    let of_kind = |kind: usize| events.iter().filter(move |e| e.kind == kind);
    if events.len() < HAWKES_EVENTS_MIN || (0..kinds).any(|kind| of_kind(kind).count() < OF_A_KIND_MIN) {
        return Err(FitRefusal::TooFewEvents);
    }
    let n = events.len() as f64;
    let (low, high) = ((LONGEST / horizon).ln(), (SHORTEST * n / horizon).ln());
    let at = |log_beta: f64| Profile::at(kinds, events, horizon, log_beta.exp());
    let place = |step: u32| low + (high - low) * f64::from(step) / f64::from(GRID - 1);
    let (mut best, mut height) = (0, f64::NEG_INFINITY);
    for step in 0..GRID {
        let tried = at(place(step)).log_likelihood;
        if tried > height {
            (best, height) = (step, tried);
        }
    }
    if best == 0 || best == GRID - 1 {
        let edge = at(place(best));
        return Err(if edge.is_without_excitation() { FitRefusal::NoExcitation } else { FitRefusal::NotConverged });
    }
    let found = at(highest(place(best - 1), place(best + 1), |x| at(x).log_likelihood));
    if found.is_without_excitation() {
        return Err(FitRefusal::NoExcitation);
    }
    let mean_mark = |kind: usize| of_kind(kind).map(|e| e.mark).sum::<f64>() / of_kind(kind).count() as f64;
    let marked = found.alpha.iter().enumerate().map(|(entry, a)| a * mean_mark(entry % kinds)).collect();
    // A kind that never comes by itself has no rate that a process could start from.
    let new = |alpha| HawkesParams::new(found.mu.clone(), alpha, found.beta).map_err(|_| FitRefusal::NotConverged);
    let branching_ratio = new(marked)?.branching_ratio();
    if branching_ratio >= 1.0 {
        return Err(FitRefusal::Explosive);
    }
    Ok(HawkesFit { params: new(found.alpha.clone())?, log_likelihood: found.log_likelihood, branching_ratio })
}

/// Where `f` is highest between two points, by golden section.
fn highest(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    for _ in 0..STEPS {
        if high - low < WIDTH {
            break;
        }
        if at_left >= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = f(right);
        }
    }
    0.5 * (low + high)
}

/// The best there is for one decay.
struct Profile {
    beta: f64,
    mu: Vec<f64>,
    alpha: Vec<f64>,
    log_likelihood: f64,
}

impl Profile {
    fn at(kinds: usize, events: &[HawkesEvent], horizon: f64, beta: f64) -> Self {
        let mut integrals = vec![0.0; kinds];
        for event in events {
            integrals[event.kind] -= event.mark * (-beta * (horizon - event.time)).exp_m1() / beta;
        }
        let mut found = Self { beta, mu: vec![0.0; kinds], alpha: vec![0.0; kinds * kinds], log_likelihood: 0.0 };
        // One part without excitation and one for each kind that has any, each of integral 1.
        let parts = kinds + 1;
        let mut heights: Vec<Vec<f64>> = vec![Vec::new(); kinds];
        let mut decayed = vec![0.0; kinds];
        let mut last = 0.0;
        for instant in events.chunk_by(|a, b| a.time >= b.time) {
            let kept = (-beta * (instant[0].time - last)).exp();
            for left in &mut decayed {
                *left *= kept;
            }
            last = instant[0].time;
            for event in instant {
                let excited = decayed.iter().zip(&integrals).map(|(r, c)| if *c > 0.0 { r / c } else { 0.0 });
                heights[event.kind].extend(std::iter::once(1.0 / horizon).chain(excited));
            }
            for event in instant {
                decayed[event.kind] += event.mark;
            }
        }
        for (kind, heights) in heights.iter().enumerate() {
            let count = (heights.len() / parts) as f64;
            let (weights, log_likelihood) = mixture(parts, heights);
            found.log_likelihood += log_likelihood + count * count.ln() - count;
            found.mu[kind] = count * weights[0] / horizon;
            for (by, integral) in integrals.iter().enumerate().filter(|(_, c)| **c > 0.0) {
                found.alpha[kind * kinds + by] = count * weights[by + 1] / integral;
            }
        }
        found
    }

    fn is_without_excitation(&self) -> bool {
        self.alpha.iter().all(|a| *a <= 0.0)
    }
}

/// The weights, not negative and of sum 1, under which `sum ln(sum_k w_k b_k)` over the rows `b` is largest, and that sum.
///
/// Weight goes from the part that is worth least to the one that is worth most, as much as helps (vertex exchange: Böhning
/// 1986, Metrika 33, 337-347), until the gradient says that less than [`SHORT`] a row is left to gain (Lindsay's bound).
fn mixture(parts: usize, rows: &[f64]) -> (Vec<f64>, f64) {
    let count = (rows.len() / parts) as f64;
    let mut weights = vec![1.0 / parts as f64; parts];
    let sums = |weights: &[f64]| -> Vec<f64> {
        rows.chunks_exact(parts).map(|b| b.iter().zip(weights).map(|(b, w)| b * w).sum()).collect()
    };
    let mut mixed = sums(&weights);
    for _ in 0..EXCHANGES {
        let mut worth = vec![0.0; parts];
        for (b, sum) in rows.chunks_exact(parts).zip(&mixed) {
            worth.iter_mut().zip(b).for_each(|(w, b)| *w += b / sum);
        }
        let by_worth = |a: &usize, b: &usize| worth[*a].total_cmp(&worth[*b]);
        let most = (0..parts).max_by(by_worth).unwrap_or(0);
        let least = (0..parts).filter(|k| weights[*k] > 0.0).min_by(by_worth).unwrap_or(0);
        if worth[most] - count <= SHORT * count || most == least {
            break;
        }
        let gain = |b: &[f64]| b[most] - b[least];
        let gains: Vec<(f64, f64)> = rows.chunks_exact(parts).map(gain).zip(mixed.iter().copied()).collect();
        let moved = step(&gains, weights[least]);
        weights[most] += moved;
        // All of it leaves nothing, not a rounding error.
        weights[least] = if moved < weights[least] { weights[least] - moved } else { 0.0 };
        mixed = sums(&weights);
    }
    let sum = mixed.iter().map(|m| m.ln()).sum();
    (weights, sum)
}

/// How far to go, from 0 to `limit`, that `sum ln(mixed + x gain)` is largest.
fn step(gains: &[(f64, f64)], limit: f64) -> f64 {
    // Beyond the last sum above 0 the logarithm is gone: that is too far.
    let slope = |x: f64| {
        let mut slopes = (0.0, 0.0);
        for (gain, mixed) in gains {
            let sum = mixed + x * gain;
            if sum <= 0.0 {
                return (f64::NEG_INFINITY, 0.0);
            }
            let ratio = gain / sum;
            slopes = (slopes.0 + ratio, slopes.1 - ratio * ratio);
        }
        slopes
    };
    if slope(limit).0 >= 0.0 {
        return limit;
    }
    let (mut low, mut high, mut x) = (0.0, limit, 0.5 * limit);
    for _ in 0..100 {
        let (first, second) = slope(x);
        if first >= 0.0 {
            low = x;
        } else {
            high = x;
        }
        let newton = x - first / second;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let is_still = (next - x).abs() <= 1e-16 * limit;
        x = next;
        if is_still {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(gap: f64, count: u32) -> Vec<HawkesEvent> {
        (1..=count).map(|n| HawkesEvent { time: f64::from(n) * gap, kind: 0, mark: 1.0 }).collect()
    }

    /// Bursts of `size` events, `gap` apart, each after `quiet`.
    fn bursts(count: u32, size: u32, gap: f64, quiet: f64) -> Vec<HawkesEvent> {
        let time = |n: u32| f64::from(n / size) * quiet + f64::from(n % size) * gap + 0.5;
        (0..count * size).map(|n| HawkesEvent { time: time(n), kind: 0, mark: 1.0 }).collect()
    }

    #[test]
    fn numbers_of_refusals_come_back() {
        for reason in FitRefusal::ALL {
            assert_eq!(FitRefusal::from_number(reason.number()), Some(reason));
        }
        assert_eq!(FitRefusal::from_number(5), None);
    }

    #[test]
    fn what_should_not_be_believed_is_refused() {
        assert_eq!(fit_hawkes(1, &every(1.0, 49), 50.0), Err(FitRefusal::TooFewEvents));
        assert_eq!(fit_hawkes(2, &every(1.0, 200), 201.0), Err(FitRefusal::TooFewEvents), "none of the other kind");
        assert_eq!(fit_hawkes(1, &every(1.0, 60), 20.0), Err(FitRefusal::Unsound));
        assert_eq!(fit_hawkes(0, &every(1.0, 60), 61.0), Err(FitRefusal::Unsound));
        // More regular than chance: nothing excites.
        assert_eq!(fit_hawkes(1, &every(1.0, 200), 201.0), Err(FitRefusal::NoExcitation));
    }

    #[test]
    fn bursts_excite_themselves_and_nothing_near_is_likelier() {
        let events = bursts(40, 4, 0.7, 60.0);
        let fit = fit_hawkes(1, &events, 2_400.0).unwrap();
        assert!(fit.branching_ratio > 0.6 && fit.branching_ratio < 0.8, "{fit:?}");
        let again = fit.params.log_likelihood(&events, 2_400.0).unwrap();
        assert!((fit.log_likelihood - again).abs() < 1e-9, "{} {again}", fit.log_likelihood);
        let (mu, alpha, beta) = (fit.params.mu()[0], fit.params.alpha()[0], fit.params.beta());
        for (m, a, b) in
            [(1.01, 1.0, 1.0), (0.99, 1.0, 1.0), (1.0, 1.01, 1.0), (1.0, 0.99, 1.0), (1.0, 1.0, 1.01), (1.0, 1.0, 0.99)]
        {
            let near = HawkesParams::new(vec![mu * m], vec![alpha * a], beta * b).unwrap();
            assert!(near.log_likelihood(&events, 2_400.0).unwrap() < again, "{m} {a} {b}");
        }
        // A mark of 2 on all is half the excitation, and the same process.
        let heavier: Vec<_> = events.iter().map(|e| HawkesEvent { mark: 2.0, ..*e }).collect();
        let heavy = fit_hawkes(1, &heavier, 2_400.0).unwrap();
        assert!((heavy.params.alpha()[0] / alpha - 0.5).abs() < 1e-6, "{heavy:?}");
        assert!((heavy.branching_ratio / fit.branching_ratio - 1.0).abs() < 1e-6);
    }

    /// Ogata's thinning of a process in which every event makes 1.2 others.
    #[test]
    fn growth_is_no_steady_state() {
        let (mu, alpha, beta) = (0.05, 1.2, 1.0);
        let (mut state, mut now, mut left) = (7_u64, 0.0, 0.0_f64);
        let mut dice = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut events = Vec::new();
        while events.len() < 400 {
            let bound = mu + alpha * left;
            let gap = -dice().ln() / bound;
            now += gap;
            left *= f64::exp(-beta * gap);
            if dice() * bound <= mu + alpha * left {
                left += 1.0;
                events.push(HawkesEvent { time: now, kind: 0, mark: 1.0 });
            }
        }
        assert_eq!(fit_hawkes(1, &events, now).unwrap_err(), FitRefusal::Explosive);
    }

    #[test]
    fn one_kind_that_follows_another_is_told_from_one_that_leads() {
        let mut events: Vec<HawkesEvent> =
            [3.0, 11.0, 24.0].map(|time| HawkesEvent { time, kind: 1, mark: 1.0 }).to_vec();
        for n in 1..60 {
            let time = f64::from(n) * 50.0 + f64::from(n % 7);
            events.push(HawkesEvent { time, kind: 0, mark: 1.0 });
            events.push(HawkesEvent { time: time + 1.5, kind: 1, mark: 1.0 });
        }
        let fit = fit_hawkes(2, &events, 3_000.0).unwrap();
        let alpha = fit.params.alpha();
        assert!(alpha[2] / fit.params.beta() > 0.8, "the second follows the first: {fit:?}");
        assert!(alpha[1] < 1e-3 * alpha[2] && alpha[0] < 1e-3 * alpha[2], "the first follows nobody: {fit:?}");
    }
}
