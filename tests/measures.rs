//! What must hold for the measures of any market: the window that is kept equals one computed from the list, scale
//! does not matter, and Gaussian returns breach as often as theory says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_wrap, reason = "small numbers")]

mod harness;
#[allow(dead_code, reason = "shared with other tests")]
mod streams;

use fragility::codec::decode;
use fragility::domain::{CloseBasis, Price, UnixNanos};
use fragility::engine::{Effects, Engine, Origin, Params};
use fragility::market::History;
use harness::{close, params_without_groups};
use proptest::prelude::*;
use std::sync::OnceLock;
use streams::{Random, calendar, sessions};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The window kept while closes stream in, with gaps and in any order, against one computed from the list.
    #[test]
    fn streaming_equals_batch(seed in any::<u64>(), length in 25..60_usize, gaps in 0..4_usize) {
        let mut random = Random(seed);
        let days = sessions(length);
        let mut price = 50.0;
        let mut closes: Vec<Option<f64>> = days.iter().map(|_| {
            price *= (random.gaussian() * 0.02).exp();
            Some(price)
        }).collect();
        for _ in 0..gaps {
            let at = random.below(length);
            closes[at] = None;
        }
        let calendar = calendar();
        let mut order: Vec<usize> = (0..length).collect();
        for at in (1..length).rev() {
            order.swap(at, random.below(at + 1));
        }
        let mut history = History::default();
        for at in order {
            if let Some(price) = closes[at] {
                history.set_close(Some(&calendar), days[at].date, Price::new(price).unwrap(), CloseBasis::Official);
            }
        }
        let mut returns = Vec::new();
        for at in 0..length {
            let Some(close) = closes[at] else { continue };
            let r = at.checked_sub(1).and_then(|b| closes[b]).map(|before| (close / before).ln());
            let z = batch_sigma(&returns).and_then(|sigma| Some(r? / sigma));
            let got = history.measure(Some(&calendar), days[at].date).unwrap();
            prop_assert_eq!(got.log_return.ok(), r);
            prop_assert_eq!(got.n, returns.len().min(21));
            prop_assert_eq!(got.z.is_some(), z.is_some());
            if let (Some(got), Some(z)) = (got.z, z) {
                prop_assert!((got / z - 1.0).abs() < 1e-12, "{} {}", got, z);
            }
            returns.extend(r);
        }
    }

    #[test]
    fn a_power_of_two_leaves_every_multiple_its_bits(seed in any::<u64>(), power in -4..9_i32) {
        let run = |scale: f64| {
            let mut random = Random(seed);
            let mut engine = Engine::new(params_without_groups_once());
            let mut effects = Effects::default();
            // High enough that half a price step stays a small part of it: that floor is in dollars.
            let mut price = 4096.0;
            for (at, session) in sessions(40).iter().enumerate() {
                price *= (random.gaussian() * 0.03).exp();
                let json = close("A", &session.date.to_string(), price * scale);
                let origin = Origin { partition: 0, offset: at as i64, timestamp: None };
                engine.step(UnixNanos(0), &origin, &decode(json.as_bytes()).unwrap(), false, &mut effects);
            }
            let bits: Vec<Option<u64>> = effects.measures.iter().map(|(_, m)| m.z.map(f64::to_bits)).collect();
            let alerts: Vec<_> = effects.alerts.iter().map(|a| (a.alert_id, a.kind, a.z.unwrap().to_bits())).collect();
            (bits, alerts)
        };
        let (bits, alerts) = run(1.0);
        prop_assert_eq!(bits.iter().flatten().count(), 40 - 22);
        prop_assert_eq!(run(2.0_f64.powi(power)), (bits, alerts));
    }
}

fn params_without_groups_once() -> Params {
    static PARAMS: OnceLock<Params> = OnceLock::new();
    PARAMS.get_or_init(params_without_groups).clone()
}

/// The deviation of the last 21, by the one-pass formula over shifted values: another road to the number.
fn batch_sigma(returns: &[f64]) -> Option<f64> {
    let window = &returns[returns.len().checked_sub(21)?..];
    let shift = window[0];
    let sum: f64 = window.iter().map(|r| r - shift).sum();
    let squares: f64 = window.iter().map(|r| (r - shift) * (r - shift)).sum();
    Some(((squares - sum * sum / 21.0) / 20.0).sqrt())
}

/// With Gaussian returns the multiple is Student's t with 20 degrees of freedom times `sqrt(1)`, since the
/// mean is not taken off today's return: its two tails beyond 3 hold 0.708 %, not the normal 0.27 %.
#[test]
fn gaussian_returns_breach_as_often_as_student_says() {
    let mut random = Random(20_250_127);
    let (mut beyond, mut known) = (0.0, 0.0);
    let calendar = calendar();
    let days = sessions(700);
    for _ in 0..40 {
        let mut history = History::default();
        let mut price = 1000.0;
        for day in &days {
            price *= (random.gaussian() * 0.01).exp();
            history.set_close(Some(&calendar), day.date, Price::new(price).unwrap(), CloseBasis::Official);
            if let Some(z) = history.measure(Some(&calendar), day.date).unwrap().z {
                known += 1.0;
                beyond += f64::from(u8::from(z.abs() >= 3.0));
            }
        }
    }
    let share = beyond / known;
    // Four standard errors of an independent count; the windows' overlap widens it by little.
    let error = 4.0 * (0.007_08_f64 / known).sqrt();
    assert!((share - 0.007_08).abs() < error, "{share} of {known}, expected 0.00708 within {error}");
    assert!(error < 0.003, "the bound must tell 0.708 % from 0.27 %");
}
