use super::*;

fn day() -> SessionDate {
    SessionDate::from_days(20_000).unwrap()
}

fn prices(closes: impl IntoIterator<Item = f64>) -> Vec<Price> {
    closes.into_iter().map(|c| Price::new(c).unwrap()).collect()
}

/// Closes with a drift and a wobble.
fn trending(n: usize, drift: f64) -> Vec<Price> {
    prices((0..n).map(|t| 100.0 * (drift * t as f64 + 0.01 * (t as f64 * 1.7).sin()).exp()))
}

fn model(signals: Vec<TrendSignal>) -> TrendModel {
    TrendModel::new(TrendParams { signals, ..TrendParams::default() }).unwrap()
}

#[test]
fn a_long_rise_is_held_long_and_sold_on_the_way_down() {
    let view = TrendModel::new(TrendParams::default()).unwrap().view(day(), &trending(500, 0.0005));
    assert_eq!((view.known, view.closes), (6, 500));
    let position = view.position.unwrap();
    assert!(position > 0.0, "{view:?}");
    let [down, flat, up] = &view.scenarios;
    assert!(down.flow.unwrap() < flat.flow.unwrap() && down.flow.unwrap() < 0.0);
    assert!(view.asymmetry.unwrap() > 1.0, "late in a rise what can be bought is little: {:?}", view.asymmetry);
    assert!((down.position.unwrap() - position - down.flow.unwrap()).abs() < 1.0);
    assert!(up.end_price.unwrap() > view.last_close.unwrap());
    assert_eq!(flat.end_price, view.last_close);
}

#[test]
fn what_has_too_few_closes_is_unknown_and_says_so() {
    let params = TrendParams::default();
    let model = TrendModel::new(params.clone()).unwrap();
    for n in [0, 1, 21, 22, 60, 61, 120, 126, 127, 252, 253, 346, 347, 600] {
        let view = model.view(day(), &trending(n, 0.0005));
        assert_eq!(view.volatility.err(), (n <= 60).then_some(Unknown::Warming), "{n}");
        for (signal, told) in params.signals.iter().zip(&view.signals) {
            let is_short = n < signal.closes_needed();
            assert_eq!(told.value.err(), is_short.then_some(Unknown::Warming), "{n} {signal:?}");
            assert!(told.triggers.iter().all(|t| t.level.is_err() == is_short), "{n} {signal:?}");
            assert_eq!(told.position.is_ok(), !is_short && n > 60);
        }
        assert_eq!(view.position.is_ok(), n > 60);
        assert_eq!(view.scenarios[0].flow.is_ok(), n > 60);
        assert!(view.scenarios[0].signal_flows.iter().zip(&view.signals).all(|(f, s)| f.is_ok() == s.position.is_ok()));
    }
    assert_eq!(TrendSignal::EwmaCrossover.closes_needed(), 347);
    let still = model.view(day(), &prices([100.0; 400]));
    assert_eq!(still.position, Err(Unknown::InsufficientVariance));
}

#[test]
fn a_signal_turns_at_its_trigger_and_nowhere_else() {
    let signals = vec![
        TrendSignal::Momentum(21),
        TrendSignal::Momentum(5),
        TrendSignal::MovingAverage { fast: 20, slow: 120 },
        TrendSignal::MovingAverage { fast: 2, slow: 30 },
    ];
    let closes = trending(400, 0.0003);
    let view = model(signals).view(day(), &closes);
    let mut seen = 0;
    for told in &view.signals {
        for trigger in &told.triggers {
            let Some(level) = trigger.level.unwrap() else { continue };
            seen += 1;
            for (factor, expected) in [(1.0 + 1e-9, 1.0), (1.0 - 1e-9, -1.0)] {
                let held = std::iter::repeat_n(level * factor, trigger.sessions);
                let ahead: Vec<f64> = closes.iter().map(|c| c.get()).chain(held).collect();
                let value = told.signal.value(&ahead).unwrap();
                // A price held as long as momentum looks back is compared with the close before.
                assert!((value - expected).abs() < 1e-12, "{:?} {trigger:?}", told.signal);
            }
        }
    }
    assert!(seen >= 5, "{seen}");
    // Held for longer than it looks back, no price is above itself.
    assert_eq!(view.signals[1].triggers[1].level, Ok(None));
}

#[test]
fn exponential_averages_meet_at_their_trigger() {
    let closes = trending(420, 0.0004);
    let view = model(vec![TrendSignal::EwmaCrossover]).view(day(), &closes);
    let triggers = &view.signals[0].triggers;
    assert_eq!(triggers.len(), 6);
    for trigger in triggers {
        let (fast, slow) = trigger.pair.unwrap();
        let Some(level) = trigger.level.unwrap() else { continue };
        let mean = |n: usize| {
            let d: f64 = 1.0 - 1.0 / n as f64;
            let ahead = closes.iter().map(|c| c.get()).chain(std::iter::repeat_n(level, trigger.sessions));
            let (sum, weight) = ahead.fold((0.0, 0.0), |(s, w), c| (s * d + c, w * d + 1.0));
            sum / weight
        };
        assert!((mean(fast) / mean(slow) - 1.0).abs() < 1e-12, "{trigger:?}");
    }
    assert!(triggers.iter().any(|t| t.level.unwrap().is_some()));
}

#[test]
fn every_parameter_counts_and_bad_ones_are_refused() {
    let closes = trending(400, 0.0005);
    let base = TrendParams::default();
    let of = |p: TrendParams| TrendModel::new(p).unwrap().view(day(), &closes);
    let reference = of(base.clone());
    // The cap would hide the target.
    let calm = of(TrendParams { target_volatility: 0.1, ..base.clone() });
    assert_ne!(calm.position, reference.position);
    assert_ne!(of(TrendParams { leverage_cap: 0.5, ..base.clone() }).position, reference.position);
    let doubled = of(TrendParams { kappa_usd: 2e10, ..base.clone() });
    assert!((doubled.position.unwrap() / reference.position.unwrap() - 2.0).abs() < 1e-12);
    assert_ne!(of(TrendParams { horizon: 5, ..base.clone() }).scenarios[0].end_price, reference.scenarios[0].end_price);
    assert_ne!(of(TrendParams { path_sigmas: 3.0, ..base.clone() }).scenarios[0].flow, reference.scenarios[0].flow);
    assert!(of(TrendParams { kappa_error: 0.25, ..base.clone() }).params.kappa_error < 0.3);
    let refused = |p: TrendParams| assert!(TrendModel::new(p.clone()).is_err(), "{p:?}");
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(TrendParams { target_volatility: bad, ..base.clone() });
        refused(TrendParams { leverage_cap: bad, ..base.clone() });
        refused(TrendParams { kappa_usd: bad, ..base.clone() });
        refused(TrendParams { path_sigmas: bad, ..base.clone() });
    }
    refused(TrendParams { kappa_error: 1.5, ..base.clone() });
    refused(TrendParams { horizon: 0, ..base.clone() });
    refused(TrendParams { horizon: 253, ..base.clone() });
    let signals = |signals| TrendParams { signals, ..base.clone() };
    refused(signals(vec![]));
    refused(signals(vec![TrendSignal::Momentum(21); 17]));
    refused(signals(vec![TrendSignal::Momentum(0)]));
    refused(signals(vec![TrendSignal::Momentum(600)]));
    refused(signals(vec![TrendSignal::MovingAverage { fast: 20, slow: 20 }]));
    refused(signals(vec![TrendSignal::MovingAverage { fast: 0, slow: 20 }]));
}

#[test]
fn names_come_back() {
    for signal in TrendParams::default().signals {
        assert_eq!(TrendSignal::from_name(&signal.name()), Some(signal));
    }
    for bad in ["", "tsmom_", "tsmom_0", "tsmom_021", "tsmom_9999", "ma_20", "ma_120_20", "ewma", "ma_1_2_3"] {
        assert_eq!(TrendSignal::from_name(bad), None, "{bad}");
    }
}

#[test]
fn closes_come_back_from_their_returns() {
    let closes = closes_of_returns(Price::new(110.0).unwrap(), &[0.5, 1.1_f64.ln()]);
    assert_eq!(closes.len(), 3);
    assert!((closes[1].get() - 100.0).abs() < 1e-12 && (closes[0].get() - 100.0 * (-0.5_f64).exp()).abs() < 1e-12);
    assert_eq!(closes_of_returns(Price::new(1.0).unwrap(), &[0.1, 40.0, 0.1]).len(), 2, "beyond any price");
}

#[test]
fn older_closes_than_the_bound_do_not_count() {
    let closes = trending(900, 0.0002);
    let model = TrendModel::new(TrendParams::default()).unwrap();
    assert_eq!(model.view(day(), &closes), model.view(day(), &closes[300..]));
}
