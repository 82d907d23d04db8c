//! Simulated markets of which the truth is known: Gaussian days and Brownian paths, through the engine itself.
//! Seeded; each tolerance is a multiple of the Monte Carlo error of its run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::domain::{
    AlertKind, Bar, CloseBasis, Direction, Interval, Observation, Price, Reference, Symbol, Tick, UnixNanos,
};
use fragility::engine::{Channel, Effects, Engine, Origin, Params};
use fragility::market::Session;
use harness::{MIN, params_without_groups};

/// Standard normal numbers: `SplitMix64` (Steele, Lea, Flood 2014) and the method of Box and Muller.
struct Normal {
    state: u64,
    spare: Option<f64>,
}

impl Normal {
    fn new(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    /// Above 0 and at most 1.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11).wrapping_add(1) as f64 / 9_007_199_254_740_992.0
    }

    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (2.0 * std::f64::consts::PI * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

const SIGMA: f64 = 0.02;

/// An engine fed with observations instead of bytes.
struct Feed {
    engine: Engine,
    effects: Effects,
    offset: i64,
}

impl Feed {
    fn new(params: Params) -> Self {
        Self { engine: Engine::new(params), effects: Effects::default(), offset: 0 }
    }

    fn step(&mut self, observation: &Observation<'_>) {
        let origin = Origin { partition: 0, offset: self.offset, timestamp: None };
        self.offset += 1;
        let got = self.engine.step(UnixNanos(0), &origin, observation, false, &mut self.effects).unwrap();
        assert_eq!(got.reason, "applied", "{observation:?}");
    }

    /// A symbol that is measured from 100 with a known sigma in every session.
    fn desk(&mut self, symbol: &str) {
        let record = Reference::Desk {
            symbol: Symbol::new(symbol).unwrap(),
            session: None,
            prev_close: Price::new(100.0).unwrap(),
            sigma_daily: SIGMA,
        };
        self.engine.apply_reference(Channel::Initial, &record, &mut self.effects);
    }

    fn tick(&mut self, symbol: &str, ts: UnixNanos, z: f64) {
        self.step(&Observation::Tick(Tick::new(symbol, ts, at(z))));
    }

    fn close(&mut self, symbol: &str, session: &Session, price: Price) {
        self.step(&Observation::Reference(Reference::Close {
            symbol: Symbol::new(symbol).unwrap(),
            session: session.date,
            price,
            ts: None,
            basis: CloseBasis::Official,
        }));
    }
}

/// The price at a multiple of sigma from 100.
fn at(z: f64) -> Price {
    Price::new(100.0 * (z * SIGMA).exp()).unwrap()
}

/// The first full sessions of the calendar.
fn sessions(params: &Params, n: usize) -> Vec<Session> {
    let calendar = params.calendar.as_deref().unwrap();
    calendar.sessions().iter().filter(|s| !s.early).take(n).copied().collect()
}

/// With 21 returns behind sigma, the multiple of a Gaussian return is Student's t with 20 degrees of freedom but
/// for the factor of the mean: `2 t_20(-3) = 0.00708`, and not the normal 0.0027.
#[test]
fn gaussian_days_breach_as_often_as_students_t_says() {
    let params = params_without_groups();
    let calendar = params.calendar.clone().unwrap();
    let days = &calendar.sessions()[..4_000];
    let mut feed = Feed::new(params);
    let mut normal = Normal::new(1);
    let (mut valid, mut breaches) = (0_u32, 0_u32);
    for n in 0..30 {
        let symbol = format!("S{n}");
        let mut price = 100.0;
        for session in days {
            price *= (0.01 * normal.next()).exp();
            feed.close(&symbol, session, Price::new(price).unwrap());
        }
        for (_, measure) in feed.effects.measures.drain(..) {
            if let Some(z) = measure.z {
                valid += 1;
                breaches += u32::from(z.abs() >= 3.0);
            }
        }
        feed.effects.clear();
    }
    let expected = 0.007_076_4;
    let share = f64::from(breaches) / f64::from(valid);
    let error = (expected / f64::from(valid)).sqrt();
    assert!(valid > 100_000, "{valid}");
    assert!((share - expected).abs() < 3.0 * error, "{share}, expected {expected}, error {error}");
}

/// How one day's path comes in.
fn day(feed: &mut Feed, symbol: &str, session: &Session, path: &[f64]) {
    let steps = path.len();
    let length = session.close.since(session.open);
    if steps == 13 {
        for (k, z) in (1..).zip(path) {
            // The last price comes just before the close, which ends the regular session.
            let ts = session.open.plus(length * k / 13 - 1);
            feed.tick(symbol, ts, *z);
        }
    } else {
        let per_bar = steps * 60 / 390;
        let mut before = 0.0;
        for (n, part) in (0..).zip(path.chunks(per_bar)) {
            let last = part[part.len() - 1];
            let low = part.iter().copied().fold(f64::min(before, last), f64::min);
            let high = part.iter().copied().fold(f64::max(before, last), f64::max);
            feed.step(&Observation::Bar(Bar {
                volume: None,
                symbol: symbol.into(),
                ts: session.open.plus(60 * MIN * n),
                interval: Interval::Hour1,
                open: at(before),
                high: at(high),
                low: at(low),
                close: at(last),
                session: None,
                is_final: true,
                seq: None,
                feed: None,
            }));
            before = last;
        }
    }
    feed.close(symbol, session, at(path[steps - 1]));
}

/// How many times as many Brownian days touch three sigmas upwards as close there, seen at `steps` even steps.
///
/// Paths are drawn with a drift of three sigmas, so that most of them get there, and weighted back by the
/// likelihood ratio `exp(-3 W + 4.5 t)` of Girsanov's theorem: at the step that touches, and at the close. Days
/// are counted by their alerts, `open` and `confirm`.
fn touch_to_close(steps: usize, seed: u64) -> f64 {
    const DRIFT: f64 = 3.0;
    let params = params_without_groups();
    let days = sessions(&params, 2_000);
    let mut feed = Feed::new(params);
    let mut normal = Normal::new(seed);
    let (mut touches, mut closes) = (0.0, 0.0);
    let step = (1.0 / steps as f64).sqrt();
    for n in 0..12 {
        let symbol = format!("S{n}");
        feed.desk(&symbol);
        for session in &days {
            let mut w = 0.0;
            let path: Vec<f64> = (0..steps)
                .map(|_| {
                    w += DRIFT * step * step + step * normal.next();
                    w
                })
                .collect();
            let weight = |k: usize| (-DRIFT * path[k] + 0.5 * DRIFT * DRIFT * (k + 1) as f64 / steps as f64).exp();
            day(&mut feed, &symbol, session, &path);
            let up = |kind| feed.effects.alerts.iter().any(|a| a.kind == kind && a.direction == Direction::Up);
            if up(AlertKind::Open) {
                touches += weight(path.iter().position(|z| *z >= 3.0).unwrap());
            }
            if up(AlertKind::Confirm) {
                closes += weight(steps - 1);
            }
            feed.effects.clear();
        }
    }
    // The closes alone are known: the normal tail beyond three sigmas.
    let days = 12.0 * days.len() as f64;
    let tail = 0.001_349_898;
    assert!((closes / days / tail - 1.0).abs() < 4.0 * (4.0 / days).sqrt(), "{}", closes / days);
    touches / closes
}

/// The reflection principle gives 2 in continuous time; coarser looks miss excursions.
#[test]
fn brownian_days_touch_more_often_than_they_close() {
    for (steps, expected) in [(13, 1.32), (78, 1.62), (390, 1.85)] {
        let ratio = touch_to_close(steps, 7);
        assert!((ratio - expected).abs() < 0.05, "{steps} steps: {ratio}, expected {expected}");
    }
}

/// Days whose variance accrues as the shipped ruler says: what is forecast comes as often as it is forecast.
#[test]
fn survival_forecasts_are_calibrated_on_brownian_days() {
    let mut params = params_without_groups();
    // A first tier of one sigma, so that days reach it often enough to count.
    params.rules.tiers = vec![1.0, 2.0, 3.0];
    params.rules.close_at = 0.5;
    // Each day starts from 100 again, so what would be learned of the nights is not what the paths do.
    params.ruler.overnight_range = (params.ruler.overnight, params.ruler.overnight);
    let ruler = params.ruler.clone();
    let days = sessions(&params, 2_000);
    let mut feed = Feed::new(params);
    let mut normal = Normal::new(3);
    let mut bins = [(0_u32, 0.0, 0.0, 0.0); 10];
    let (mut brier, mut marked) = (0.0, 0_u32);
    for symbol in ["A", "B", "C", "D", "E", "F", "G", "H"] {
        feed.desk(symbol);
        for session in &days {
            let mut w = ruler.overnight.sqrt() * normal.next();
            feed.tick(symbol, session.open, w);
            for k in 1..78_i32 {
                let curve = |k: i32| ruler.curve.elapsed(f64::from(k) / 78.0);
                w += ((1.0 - ruler.overnight) * (curve(k) - curve(k - 1))).sqrt() * normal.next();
                feed.tick(symbol, session.open.plus(i64::from(k) * 5 * MIN), w);
            }
            w += ((1.0 - ruler.overnight) * (1.0 - ruler.curve.elapsed(77.0 / 78.0))).sqrt() * normal.next();
            feed.close(symbol, session, at(w));
            for alert in feed.effects.alerts.drain(..).filter(|a| a.kind == AlertKind::Open) {
                let forecast = alert.survival.unwrap();
                let outcome = f64::from(u8::from(w * alert.direction.sign() >= 1.0));
                let bin = (1..10).filter(|edge| forecast * 10.0 >= f64::from(*edge)).count();
                let bin = &mut bins[bin];
                *bin = (bin.0 + 1, bin.1 + forecast, bin.2 + outcome, bin.3 + forecast * (1.0 - forecast));
                brier += (forecast - outcome).powi(2);
                marked += 1;
            }
        }
    }
    let mut tested = 0;
    for (n, forecast, outcome, variance) in bins {
        if n >= 50 {
            assert!((forecast - outcome).abs() < 3.0 * variance.sqrt(), "{n} forecasts: {forecast}, came {outcome}");
            tested += 1;
        }
    }
    assert!(tested >= 4, "{bins:?}");
    let (forecast, outcome, variance) = bins.iter().fold((0.0, 0.0, 0.0), |a, b| (a.0 + b.1, a.1 + b.2, a.2 + b.3));
    assert!((forecast - outcome).abs() < 2.0 * f64::sqrt(variance), "{marked}: {forecast}, came {outcome}");
    // What the product says of itself is the same up to the four decimals it is marked with.
    let scores = feed.engine.survival().values();
    let own: f64 = scores.clone().map(|s| s.brier().unwrap() * f64::from(s.forecasts)).sum();
    assert_eq!(scores.map(|s| s.forecasts).sum::<u32>(), marked);
    assert!((own / brier - 1.0).abs() < 1e-3, "{own} {brier}");
}
