//! Events that make further events likelier: Hawkes processes with an exponential kernel.

use super::parameter::{ParameterError, is_positive};
use serde::{Deserialize, Serialize};

mod fit;

pub use fit::{FitRefusal, HAWKES_EVENTS_MIN, HawkesFit, fit_hawkes};

/// Most kinds of events that are followed together.
pub const HAWKES_KINDS_MAX: usize = 8;

/// One event.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HawkesEvent {
    /// When, in the unit of time that the rates are per.
    pub time: f64,
    /// Its kind, from 0.
    pub kind: usize,
    /// Its weight: 1, or more for a larger one. Not negative.
    pub mark: f64,
}

/// The parameters of a Hawkes process of up to [`HAWKES_KINDS_MAX`] kinds:
///
/// ```text
/// lambda_i(t) = mu_i + sum_j alpha_ij R_j(t)
/// R_j(t)      = sum of mark exp(-beta (t - s)) over the events of kind j at s < t
/// ```
///
/// `mu` and `alpha` are rates, so events per unit of time; `beta` is one over the unit of time, the same for all. An event
/// of kind `j` and mark 1 is followed by `alpha_ij / beta` events of kind `i` that it made itself, on average.
/// Source: Hawkes (1971), Biometrika 58(1), 83-90.
#[derive(Clone, PartialEq, Debug)]
pub struct HawkesParams {
    mu: Vec<f64>,
    /// Row by row: what kind `j` adds to kind `i` stands at `i * kinds + j`.
    alpha: Vec<f64>,
    beta: f64,
}

impl HawkesParams {
    /// Parameters of as many kinds as `mu` has numbers; `alpha` row by row, `alpha[i * kinds + j]` of kind `j` on kind `i`.
    ///
    /// # Errors
    /// Where there are no kinds or more than [`HAWKES_KINDS_MAX`], `alpha` is no square of their number, a `mu` or `beta` is not
    /// positive and finite, or an `alpha` is negative or not finite. A branching ratio of 1 and more is allowed.
    pub fn new(mu: Vec<f64>, alpha: Vec<f64>, beta: f64) -> Result<Self, ParameterError> {
        let kinds = mu.len();
        if !(1..=HAWKES_KINDS_MAX).contains(&kinds) || alpha.len() != kinds * kinds {
            return Err(ParameterError::HawkesKinds(kinds));
        }
        if let Some(rate) = mu.iter().find(|m| !is_positive(**m)) {
            return Err(ParameterError::HawkesRate(*rate));
        }
        if let Some(rate) = alpha.iter().find(|a| !(**a >= 0.0 && a.is_finite())) {
            return Err(ParameterError::HawkesExcitation(*rate));
        }
        if !is_positive(beta) {
            return Err(ParameterError::HawkesDecay(beta));
        }
        Ok(Self { mu, alpha, beta })
    }

    /// How many kinds there are.
    pub fn kinds(&self) -> usize {
        self.mu.len()
    }

    /// Rate of each kind without any excitation.
    pub fn mu(&self) -> &[f64] {
        &self.mu
    }

    /// Excitation, row by row.
    pub fn alpha(&self) -> &[f64] {
        &self.alpha
    }

    /// Decay; excitation fades by half in `ln 2 / beta`.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// Spectral radius of `alpha / beta`, from 0: the events that one of mark 1 makes, over all that follow in one
    /// generation. Below 1 the process is stationary. Where marks are not 1 on average, it is to be multiplied by their mean.
    ///
    /// By Gelfand's formula `lim |A^n|^(1/n)` with `n` up to 2^60, by squaring: that also converges for matrices that power
    /// iteration is slow on. Oracle: `numpy.linalg.eigvals`.
    pub fn branching_ratio(&self) -> f64 {
        let n = self.kinds();
        let mut power: Vec<f64> = self.alpha.iter().map(|a| a / self.beta).collect();
        let (mut log_radius, mut share) = (0.0, 1.0);
        for _ in 0..60 {
            let norm = power.chunks_exact(n).map(|row| row.iter().sum::<f64>()).fold(0.0, f64::max);
            // A matrix with a power of nothing has no loop: every chain of events ends by itself.
            if norm <= 0.0 {
                return 0.0;
            }
            log_radius += share * norm.ln();
            share *= 0.5;
            let scaled: Vec<f64> = power.iter().map(|a| a / norm).collect();
            let entry = |at: usize| (0..n).map(|k| scaled[at / n * n + k] * scaled[k * n + at % n]).sum();
            power = (0..n * n).map(entry).collect();
        }
        log_radius.exp()
    }

    /// Log-likelihood of `events` over `[0, horizon]`, with nothing before 0; that of the marks is left out.
    ///
    /// `sum ln lambda(t_n) - sum_i mu_i T - sum_n sum_i (alpha_ij / beta) m_n (1 - exp(-beta (T - t_n)))`, `lambda` being
    /// that right before the event: those at one instant do not excite each other. One pass.
    /// `None` where events are out of order or range, or of a kind that is not there.
    /// Source: Ozaki (1979), Annals of the Institute of Statistical Mathematics 31, 145-155.
    pub fn log_likelihood(&self, events: &[HawkesEvent], horizon: f64) -> Option<f64> {
        let kinds = self.kinds();
        if !are_ordered(events, kinds, horizon) {
            return None;
        }
        let mut sum = 0.0;
        let mut state = Hawkes::new(self.clone());
        for instant in events.chunk_by(|a, b| a.time >= b.time) {
            for event in instant {
                sum += state.intensity(event.kind, event.time)?.ln();
            }
            for event in instant {
                state.event(event.kind, event.time, event.mark);
                let made = -(self.beta * (event.time - horizon)).exp_m1() / self.beta * event.mark;
                sum -= made * (0..kinds).map(|i| self.alpha[i * kinds + event.kind]).sum::<f64>();
            }
        }
        Some(sum - horizon * self.mu.iter().sum::<f64>())
    }
}

/// Whether events are sorted, within `[0, horizon]`, of a kind that exists, and their marks not negative.
fn are_ordered(events: &[HawkesEvent], kinds: usize, horizon: f64) -> bool {
    let is_sound =
        |e: &HawkesEvent| (0.0..=horizon).contains(&e.time) && e.kind < kinds && e.mark >= 0.0 && e.mark.is_finite();
    is_positive(horizon) && events.iter().all(is_sound) && events.is_sorted_by(|a, b| a.time <= b.time)
}

/// A Hawkes process as it stands: what is left of its events, decayed when somebody asks.
///
/// O(kinds) memory and O(kinds) an event, whatever the number of events.
#[derive(Clone, PartialEq, Debug)]
pub struct Hawkes {
    params: HawkesParams,
    /// `R_j` right after the last event.
    decayed: Vec<f64>,
    /// Time of the last event.
    at: f64,
}

/// What is left of the events, as plain numbers for snapshots; parameters stand elsewhere.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HawkesImage {
    decayed: Vec<f64>,
    at: f64,
}

impl Hawkes {
    /// A process of which nothing has happened, from time 0 on.
    pub fn new(params: HawkesParams) -> Self {
        Self { decayed: vec![0.0; params.kinds()], at: 0.0, params }
    }

    /// Its parameters.
    pub fn params(&self) -> &HawkesParams {
        &self.params
    }

    /// Takes an event: whether it is one. Times and marks that are not finite, or negative, are not.
    ///
    /// One of before the last counts with the decay that it has had since.
    pub fn event(&mut self, kind: usize, time: f64, mark: f64) -> bool {
        let is_sound = kind < self.params.kinds() && time >= 0.0 && time.is_finite() && mark >= 0.0 && mark.is_finite();
        if !is_sound {
            return false;
        }
        let beta = self.params.beta;
        if time > self.at {
            let kept = (-beta * (time - self.at)).exp();
            self.decayed.iter_mut().for_each(|r| *r *= kept);
            self.at = time;
        }
        self.decayed[kind] += mark * (-beta * (self.at - time)).exp();
        true
    }

    /// Intensity of a kind at `time`, in events per unit of time: right before any event of that instant which has not been
    /// taken yet. `None` of a kind that is not there, or before the last event.
    pub fn intensity(&self, kind: usize, time: f64) -> Option<f64> {
        let kinds = self.params.kinds();
        if kind >= kinds || !(time >= self.at && time.is_finite()) {
            return None;
        }
        let kept = (-self.params.beta * (time - self.at)).exp();
        let row = &self.params.alpha[kind * kinds..(kind + 1) * kinds];
        let excited: f64 = row.iter().zip(&self.decayed).map(|(a, r)| a * r * kept).sum();
        Some(self.params.mu[kind] + excited)
    }

    /// Intensity over the rate without any excitation, `lambda / mu`: 1 when all is quiet.
    pub fn intensity_ratio(&self, kind: usize, time: f64) -> Option<f64> {
        Some(self.intensity(kind, time)? / self.params.mu[kind])
    }

    /// Probability that an event at `time` would be the making of earlier ones, `1 - mu / lambda`, from 0 to below 1.
    pub fn endogenous_share(&self, kind: usize, time: f64) -> Option<f64> {
        Some(1.0 - self.params.mu[kind] / self.intensity(kind, time)?)
    }

    /// The plain content, for snapshots.
    pub fn image(&self) -> HawkesImage {
        HawkesImage { decayed: self.decayed.clone(), at: self.at }
    }

    /// Continues from an image; `None` where it is of another number of kinds, or no state that can be.
    pub fn restore(params: HawkesParams, image: HawkesImage) -> Option<Self> {
        let is_sound = |x: &f64| *x >= 0.0 && x.is_finite();
        let fits = image.decayed.len() == params.kinds() && image.decayed.iter().all(is_sound) && is_sound(&image.at);
        fits.then_some(Self { params, decayed: image.decayed, at: image.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [f64; 4] = [0.0, 0.4, 1.5, 1.6];

    fn one() -> HawkesParams {
        HawkesParams::new(vec![0.1], vec![0.5], 1.2).unwrap()
    }

    fn two() -> HawkesParams {
        HawkesParams::new(vec![0.1, 0.2], vec![0.3, 0.1, 0.4, 0.2], 0.8).unwrap()
    }

    fn event(time: f64, kind: usize, mark: f64) -> HawkesEvent {
        HawkesEvent { time, kind, mark }
    }

    fn close(got: Option<f64>, expected: f64) {
        let gap = (got.unwrap() - expected).abs();
        assert!(gap < 1e-9, "{got:?}, expected {expected}");
    }

    /// Worked out by hand from the formula, with numpy.
    #[test]
    fn four_events_by_hand() {
        let mut hawkes = Hawkes::new(one());
        let before = [0.1, 0.409_391_695_903, 0.316_217_095_094, 0.735_227_578_765];
        for (time, expected) in TIMES.into_iter().zip(before) {
            close(hawkes.intensity(0, time), expected);
            assert!(hawkes.event(0, time, 1.0));
        }
        close(hawkes.intensity(0, 2.0), 0.802_459_971_66);
        close(hawkes.intensity_ratio(0, 2.0), 8.024_599_716_6);
        close(hawkes.endogenous_share(0, 2.0), 1.0 - 0.1 / 0.802_459_971_66);
        assert_eq!(hawkes.intensity(0, 1.0), None, "what was before the last event is not known any more");
        assert_eq!(hawkes.intensity(1, 2.0), None);
        let events = TIMES.map(|t| event(t, 0, 1.0));
        close(one().log_likelihood(&events, 2.0), -5.935_852_827_69);
    }

    /// The sum over all events, written out, of two kinds with marks.
    #[test]
    fn decay_on_demand_is_the_sum_over_all_events() {
        let events = [event(0.2, 0, 1.0), event(0.9, 1, 2.5), event(0.9, 0, 0.5), event(3.0, 1, 1.5)];
        let p = two();
        let direct = |kind: usize, t: f64| {
            let past = events.iter().filter(|e| e.time < t);
            let excited = past.map(|e| p.alpha()[kind * 2 + e.kind] * e.mark * (-p.beta() * (t - e.time)).exp());
            p.mu()[kind] + excited.sum::<f64>()
        };
        let mut hawkes = Hawkes::new(p.clone());
        for e in events {
            hawkes.event(e.kind, e.time, e.mark);
        }
        for kind in 0..2 {
            close(hawkes.intensity(kind, 4.5), direct(kind, 4.5));
        }
        // Whatever the order they come in.
        let mut late = Hawkes::new(p.clone());
        for e in [events[3], events[1], events[0], events[2]] {
            late.event(e.kind, e.time, e.mark);
        }
        close(late.intensity(1, 4.5), direct(1, 4.5));
        // What the intensities come to over [0, 5] is the likelihood's other part.
        let steps = 200_000_u32;
        let width = 5.0 / f64::from(steps);
        let area: f64 = (0..steps).map(|s| (f64::from(s) + 0.5) * width).map(|t| direct(0, t) + direct(1, t)).sum();
        let logs: f64 = events.iter().map(|e| direct(e.kind, e.time).ln()).sum();
        let got = p.log_likelihood(&events, 5.0).unwrap();
        assert!((got - (logs - area * width)).abs() < 1e-4, "{got} {}", logs - area * width);
    }

    #[test]
    fn the_branching_ratio_is_the_spectral_radius() {
        let of = |alpha: Vec<f64>| {
            let kinds = (1..=8).find(|n| n * n == alpha.len()).unwrap();
            HawkesParams::new(vec![1.0; kinds], alpha, 0.5).unwrap().branching_ratio()
        };
        close(Some(one().branching_ratio()), 0.5 / 1.2);
        // Of [[a, b], [c, d]] the larger root of x^2 - (a + d) x + a d - b c.
        close(Some(of(vec![0.1, 0.3, 0.2, 0.15])), 2.0 * (0.25 + (0.0625_f64 - 4.0 * (0.015 - 0.06)).sqrt()) / 2.0);
        // Two that only follow each other, one that follows the other alone, one that follows itself as well.
        close(Some(of(vec![0.0, 0.4, 0.1, 0.0])), 0.4);
        close(Some(of(vec![0.0, 5.0, 0.0, 0.0])), 0.0);
        close(Some(of(vec![0.3, 5.0, 0.0, 0.3])), 0.6);
        close(Some(of(vec![0.05; 64])), 0.8);
        close(Some(of(vec![0.0; 64])), 0.0);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let new = |mu: &[f64], alpha: &[f64], beta| HawkesParams::new(mu.to_vec(), alpha.to_vec(), beta);
        assert_eq!(new(&[], &[], 1.0), Err(ParameterError::HawkesKinds(0)));
        assert_eq!(new(&[1.0; 9], &[0.1; 81], 1.0), Err(ParameterError::HawkesKinds(9)));
        assert_eq!(new(&[1.0; 2], &[0.1; 3], 1.0), Err(ParameterError::HawkesKinds(2)));
        assert_eq!(new(&[0.0], &[0.1], 1.0), Err(ParameterError::HawkesRate(0.0)));
        assert_eq!(new(&[1.0], &[-0.1], 1.0), Err(ParameterError::HawkesExcitation(-0.1)));
        assert_eq!(new(&[1.0], &[0.1], 0.0), Err(ParameterError::HawkesDecay(0.0)));
        let mut hawkes = Hawkes::new(one());
        for (kind, time, mark) in
            [(1, 1.0, 1.0), (0, f64::NAN, 1.0), (0, -1.0, 1.0), (0, 1.0, -1.0), (0, 1.0, f64::NAN)]
        {
            assert!(!hawkes.event(kind, time, mark), "{kind} {time} {mark}");
        }
        assert_eq!(hawkes, Hawkes::new(one()));
        let events = [event(1.0, 0, 1.0), event(0.5, 0, 1.0)];
        assert_eq!(one().log_likelihood(&events, 2.0), None, "out of order");
        assert_eq!(one().log_likelihood(&events[..1], 0.5), None, "after the end");
        assert_eq!(one().log_likelihood(&[], f64::INFINITY), None);
    }

    #[test]
    fn an_image_goes_on_bit_for_bit() {
        let mut hawkes = Hawkes::new(two());
        hawkes.event(0, 1.0, 1.0);
        hawkes.event(1, 1.7, 2.0);
        let bytes = postcard::to_allocvec(&hawkes.image()).unwrap();
        let mut again = Hawkes::restore(two(), postcard::from_bytes(&bytes).unwrap()).unwrap();
        for process in [&mut hawkes, &mut again] {
            process.event(0, 2.3, 1.0);
        }
        assert_eq!(hawkes, again);
        assert_eq!(Hawkes::restore(one(), hawkes.image()), None);
        let broken = HawkesImage { decayed: vec![f64::NAN, 0.0], at: 1.0 };
        assert_eq!(Hawkes::restore(two(), broken), None);
    }
}
