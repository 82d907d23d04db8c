//! Dividends, spin-offs and splits, announced or not, in time or late.

use crate::harness::{Run, SEC, date, params_without_groups};
use crate::scene::{DAY, SYMBOL, Scene, check_identity, warm};
use fragility::codec::{decode, decode_snapshot, encode_snapshot};
use fragility::domain::AlertKind::{Confirm, Correct, Fade, Open, Retract, Update};
use fragility::domain::AlertState::{Confirmed, Faded, Provisional, Retracted};
use fragility::domain::{Alert, AlertKind, AlertState, Observation, Outcome, Phase, UnixNanos, Unknown};
use fragility::engine::{Channel, Effects, Engine, Params, PartitionImage};
use fragility::market::ReturnMode::{PriceReturn, TotalReturn};
use fragility::market::{Measure, ReturnMode};

type Line = (AlertKind, AlertState, u32, u32);

fn lines(alerts: &[Alert]) -> Vec<Line> {
    alerts.iter().map(|a| (a.kind, a.state, a.episode, a.revision)).collect()
}

fn has(alert: &Alert, flag: &str) -> bool {
    alert.quality.iter().any(|f| &**f == flag)
}

fn split(ratio: f64) -> String {
    format!(r#"{{"type":"split","symbol":"{SYMBOL}","ex_date":"{DAY}","ratio":{ratio}}}"#)
}

fn dividend(amount: f64, kind: &str) -> String {
    format!(r#"{{"type":"dividend","symbol":"{SYMBOL}","ex_date":"{DAY}","amount":{amount},"kind":"{kind}"}}"#)
}

fn mode(mode: ReturnMode) -> Params {
    Params { return_mode: mode, ..params_without_groups() }
}

/// A warmed-up symbol in the morning of the day, not traded yet: reference 100, sigma 0.0102.
fn morning(params: Params) -> Run {
    let mut run = Run::new(params);
    warm(&mut run, SYMBOL, DAY);
    run
}

/// The session after the day.
fn next_day(run: &Run) -> String {
    run.calendar.next_after(date(DAY)).unwrap().date.to_string()
}

fn measure(run: &Run) -> Measure {
    run.measure(SYMBOL, DAY).unwrap().clone()
}

#[test]
fn a_cash_dividend_stays_in_the_return_and_is_flagged() {
    let mut run = morning(mode(PriceReturn));
    run.applied(&dividend(3.5, "cash"));
    assert_eq!(run.json(&dividend(3.5, "cash")).outcome, Outcome::Duplicate);
    let open = run.session(DAY).open;
    run.tick(SYMBOL, open, 96.5);
    run.close(SYMBOL, DAY, 96.5);
    let said = run.said();
    assert_eq!(lines(&said), [(Open, Provisional, 1, 0), (Confirm, Confirmed, 1, 1)]);
    assert!(said.iter().all(|a| has(a, "EX_DIVIDEND")));
    assert_eq!(said[0].reference.as_ref().unwrap().price.to_bits(), 100.0_f64.to_bits());
    assert_eq!(measure(&run).flags.names().collect::<Vec<_>>(), ["EX_DIVIDEND"]);
    // It is the day's own flag.
    let next = next_day(&run);
    run.close(SYMBOL, &next, 80.0);
    assert!(!has(&run.said()[0], "EX_DIVIDEND"));
}

#[test]
fn in_total_return_it_is_taken_off() {
    let mut run = morning(mode(TotalReturn));
    run.applied(&dividend(3.5, "cash"));
    let open = run.session(DAY).open;
    run.tick(SYMBOL, open, 96.5);
    assert_eq!(run.engine.symbol(SYMBOL).unwrap().reference, Some(96.5));
    run.close(SYMBOL, DAY, 96.5);
    assert_eq!(run.said(), []);
    assert_eq!(measure(&run).log_return.map(f64::to_bits), Ok(0.0_f64.to_bits()));
    assert_eq!(measure(&run).flags.names().count(), 0);
}

#[test]
fn a_spin_off_is_taken_off_in_both_modes() {
    for mode_of in [PriceReturn, TotalReturn] {
        let mut run = morning(mode(mode_of));
        run.applied(&dividend(20.0, "spin_off"));
        run.close(SYMBOL, DAY, 70.0);
        let said = run.said();
        assert_eq!(lines(&said), [(Confirm, Confirmed, 1, 0)]);
        assert!(has(&said[0], "SPIN_OFF"));
        assert_eq!(said[0].reference.as_ref().unwrap().price.to_bits(), 80.0_f64.to_bits());
    }
}

#[test]
fn a_dividend_of_the_whole_price_is_refused() {
    let mut run = morning(mode(TotalReturn));
    let refused = run.json(&dividend(100.0, "cash"));
    assert_eq!((refused.outcome, refused.reason), (Outcome::Rejected, "dividend_exceeds_price"));
    run.close(SYMBOL, DAY, 96.0);
    let said = run.said();
    assert!(has(&said[0], "DIVIDEND_REFUSED"));
    assert_eq!(said[0].reference.as_ref().unwrap().price.to_bits(), 100.0_f64.to_bits());
    // In the default mode nothing is taken off, so nothing is refused.
    let mut run = morning(mode(PriceReturn));
    run.applied(&dividend(100.0, "cash"));
}

/// A dividend that comes a day late, and is taken back: each time the session is measured and judged again.
#[test]
fn a_late_dividend_is_judged_again_and_back() {
    let mut run = morning(mode(TotalReturn));
    run.close(SYMBOL, DAY, 96.5);
    let next = next_day(&run);
    let open = run.session(&next).open;
    run.tick(SYMBOL, open, 96.5);
    let confirmed = run.said();
    assert_eq!(lines(&confirmed), [(Confirm, Confirmed, 1, 0)]);
    let raw = measure(&run);
    for (amount, expected) in [(3.5, (Correct, Faded, 1, 1)), (0.0, (Correct, Confirmed, 1, 2))] {
        run.applied(&dividend(amount, "cash"));
        let said = run.said();
        assert_eq!(lines(&said), [expected]);
        assert_eq!(said[0].alert_id, confirmed[0].alert_id);
        assert_eq!(run.json(&dividend(amount, "cash")).outcome, Outcome::Duplicate);
        assert_eq!(run.said(), []);
    }
    assert_eq!(measure(&run), raw);
}

/// Learned while the session runs: what only the dividend made an alert is taken back, the rest corrected.
#[test]
fn a_dividend_in_mid_session_moves_open_episodes() {
    for (amount, expected) in [(3.5, (Retract, Retracted, 1, 1)), (0.3, (Correct, Provisional, 1, 1))] {
        let mut scene = Scene::with(mode(TotalReturn), DAY);
        let ts = scene.at(60);
        scene.price(ts, 96.4);
        assert_eq!(lines(&scene.said()), [(Open, Provisional, 1, 0)]);
        scene.run.applied(&dividend(amount, "cash"));
        let said = scene.said();
        assert_eq!(lines(&said), [expected]);
        assert_eq!((said[0].event_time, said[0].phase), (ts, Phase::Regular));
        assert_eq!(scene.run.json(&dividend(amount, "cash")).outcome, Outcome::Duplicate);
        let close = lines(&scene.close(96.4));
        let is_over = expected.0 == Retract;
        assert_eq!(close, if is_over { vec![] } else { vec![(Confirm, Confirmed, 1, 2)] });
    }
}

/// An unannounced split, from the first tick to the record that settles it a day later.
#[test]
fn an_unannounced_split_is_held_until_a_record_settles_it() {
    let settlings: [(f64, &[Line]); 2] = [(2.0, &[(Retract, Retracted, 1, 2)]), (1.0, &[(Confirm, Confirmed, 1, 2)])];
    for (ratio, expected) in settlings {
        let mut run = morning(params_without_groups());
        let session = run.session(DAY);
        run.tick(SYMBOL, session.open, 50.1);
        run.close(SYMBOL, DAY, 50.2);
        let said = run.said();
        assert_eq!(lines(&said), [(Open, Provisional, 1, 0), (Update, Provisional, 1, 1)]);
        assert!(said.iter().all(|a| has(a, "SUSPECTED_SPLIT")));
        assert!(said[0].summary.ends_with("it looks like a split of 2 for 1."), "{}", said[0].summary);
        assert_eq!((said[1].phase, said[1].event_time), (Phase::Close, session.close));
        assert!(said[1].z.unwrap() < -60.0, "the alert carries the move as it is");
        let held = measure(&run);
        assert_eq!((held.log_return, held.z), (Err(Unknown::SuspectedSplit), None));
        assert_eq!(run.engine.breadth()[&date(DAY)].valid, 0);

        // The day after is measured from that close, by a window that passes over the day in doubt.
        let next = next_day(&run);
        run.close(SYMBOL, &next, 50.3);
        let after = run.measure(SYMBOL, &next).unwrap().clone();
        assert!((after.log_return.unwrap() - (50.3_f64 / 50.2).ln()).abs() < 1e-15);
        assert!(after.sigma.number().unwrap() < 0.011, "{after:?}");
        assert_eq!(run.said(), []);

        run.applied(&split(ratio));
        let settled = run.said();
        assert_eq!(lines(&settled), expected, "{ratio}");
        assert_eq!(settled[0].alert_id, said[0].alert_id);
        assert!(!has(&settled[0], "SUSPECTED_SPLIT"));
        let expected = (50.2 * ratio / 100.0).ln();
        assert!((measure(&run).log_return.unwrap() - expected).abs() < 1e-12);
        assert_eq!(run.json(&split(ratio)).outcome, Outcome::Duplicate);
        assert_eq!(run.said(), []);
        let moved = run.measure(SYMBOL, &next).unwrap();
        assert_eq!(moved.sigma.number().unwrap() > 0.1, ratio < 1.5, "a genuine fall is in the window");
    }
}

#[test]
fn whenever_the_split_comes_the_day_ends_the_same() {
    let story = |place: usize, ratio: f64| {
        let mut run = morning(params_without_groups());
        let (open, next) = (run.session(DAY).open, next_day(&run));
        let steps: [&dyn Fn(&mut Run); 4] = [
            &|run| assert_eq!(run.tick(SYMBOL, open, 50.1).outcome, Outcome::Applied),
            &|run| run.close(SYMBOL, DAY, 50.2),
            &|run| run.close(SYMBOL, &next, 50.3),
            &|_| {},
        ];
        for (at, step) in steps.iter().enumerate() {
            if at == place {
                run.applied(&split(ratio));
            }
            step(&mut run);
        }
        let said = run.said();
        check_identity(&said);
        let last = said.iter().rfind(|a| a.session == Some(date(DAY)));
        (measure(&run), run.measure(SYMBOL, &next).cloned(), last.map(|a| a.state))
    };
    for ratio in [2.0, 1.0] {
        let (day, after, _) = story(0, ratio);
        for place in 1..4 {
            let (got, got_after, state) = story(place, ratio);
            assert_eq!((got, got_after), (day.clone(), after.clone()), "{ratio} {place}");
            assert_eq!(state, Some(if ratio > 1.5 { Retracted } else { Confirmed }), "{ratio} {place}");
        }
    }
}

/// Net of the split something is left that stands in breach by itself.
#[test]
fn what_a_split_leaves_is_judged_by_itself() {
    let mut run = morning(params_without_groups());
    let open = run.session(DAY).open;
    run.tick(SYMBOL, open, 9.65);
    run.applied(&split(10.0));
    let said = run.said();
    assert_eq!(lines(&said), [(Open, Provisional, 1, 0), (Correct, Provisional, 1, 1)]);
    assert_eq!((said[0].peak_tier, said[1].tier, said[1].peak_tier), (10.0, 3.0, 3.0));
    run.close(SYMBOL, DAY, 9.5);
    let said = run.said();
    assert_eq!((lines(&said), said[0].tier), (vec![(Confirm, Confirmed, 1, 2)], 4.0));
}

#[test]
fn the_first_price_decides_what_looks_like_a_split() {
    // A fall through the day is a fall, wherever it ends.
    let mut scene = Scene::open_of(DAY);
    let said = scene.close(50.0);
    assert_eq!(lines(&said), [(Confirm, Confirmed, 1, 0)]);
    // A close that is first seen, a reverse split, and a three for two.
    for price in [50.0, 1000.0, 66.7] {
        let mut run = morning(params_without_groups());
        run.close(SYMBOL, DAY, price);
        let said = run.said();
        assert_eq!(lines(&said), [(Open, Provisional, 1, 0)], "{price}");
        assert!(has(&said[0], "SUSPECTED_SPLIT"));
    }
    // The first price was one, whatever came after it.
    let mut run = morning(params_without_groups());
    let open = run.session(DAY).open;
    run.tick(SYMBOL, open, 50.0);
    run.tick(SYMBOL, open.plus(1), 60.0);
    run.close(SYMBOL, DAY, 60.0);
    assert_eq!(run.said().last().unwrap().state, Provisional);
}

/// The print that put a session in doubt is cancelled after the close: the session is measured after all.
#[test]
fn the_cancel_of_the_first_price_takes_the_doubt_away() {
    let mut run = morning(params_without_groups());
    let open = run.session(DAY).open;
    let print = |secs: i64, price: f64, seq: u64| {
        let ts = open.plus(secs * SEC).0;
        format!(r#"{{"type":"tick","symbol":"{SYMBOL}","ts":{ts},"price":{price},"seq":{seq}}}"#)
    };
    run.applied(&print(0, 50.1, 1));
    run.applied(&print(1, 100.2, 2));
    run.close(SYMBOL, DAY, 100.3);
    assert_eq!(measure(&run).log_return, Err(Unknown::SuspectedSplit));
    let ts = open.plus(7 * 3_600 * SEC).0;
    run.applied(&format!(r#"{{"type":"cancel","symbol":"{SYMBOL}","ts":{ts},"seq":1}}"#));
    let measured = measure(&run);
    assert!(measured.log_return.is_ok() && measured.z.is_some_and(|z| z.abs() < 3.0), "{measured:?}");
    assert_eq!(run.engine.breadth()[&date(DAY)].valid, 1);
    assert!(run.said().iter().rev().take(1).all(|a| a.state == Retracted));
}

#[test]
fn an_announced_split_and_a_desk_reference_are_believed() {
    let mut run = morning(params_without_groups());
    run.applied(&split(2.0));
    run.close(SYMBOL, DAY, 25.0);
    assert_eq!(lines(&run.said()), [(Confirm, Confirmed, 1, 0)], "the split is announced, the rest is a fall");
    let mut run = morning(params_without_groups());
    run.applied(&format!(
        r#"{{"type":"reference","symbol":"{SYMBOL}","session":"{DAY}","prev_close":100,"sigma_daily":0.01}}"#
    ));
    run.close(SYMBOL, DAY, 50.0);
    assert_eq!(lines(&run.said()), [(Confirm, Confirmed, 1, 0)]);
}

/// A corrected close may bring a settled day into doubt, and a further one out of it again.
#[test]
fn a_correction_can_bring_doubt_and_take_it_away() {
    let mut run = morning(params_without_groups());
    run.close(SYMBOL, DAY, 60.0);
    run.close(SYMBOL, DAY, 50.0);
    run.close(SYMBOL, DAY, 61.0);
    run.close(SYMBOL, DAY, 100.0);
    let expected =
        [(Confirm, Confirmed, 1, 0), (Correct, Provisional, 1, 1), (Confirm, Confirmed, 1, 2), (Correct, Faded, 1, 3)];
    assert_eq!(lines(&run.said()), expected);
    let mut run = morning(params_without_groups());
    run.close(SYMBOL, DAY, 100.0);
    run.close(SYMBOL, DAY, 50.0);
    run.close(SYMBOL, DAY, 100.0);
    assert_eq!(lines(&run.said()), [(Open, Provisional, 1, 0), (Fade, Faded, 1, 1)]);
}

/// The days in doubt are still there after a restart, the older of two as well.
#[test]
fn doubt_survives_a_restart() {
    let mut run = morning(params_without_groups());
    let open = run.session(DAY).open;
    run.tick(SYMBOL, open, 50.1);
    run.close(SYMBOL, DAY, 50.2);
    let next = next_day(&run);
    run.close(SYMBOL, &next, 150.6);
    assert_eq!(lines(&run.said())[2..], [(Open, Provisional, 1, 0)]);
    let image = run.engine.image(&[0]);
    let bytes = encode_snapshot(&image.partitions[0].1).unwrap();
    let image: PartitionImage = decode_snapshot(&bytes).unwrap();
    run.engine = Engine::new(params_without_groups());
    run.engine.restore_partition(UnixNanos(0), 0, &image);
    assert_eq!(run.engine.image(&[0]).partitions[0].1, image);
    run.applied(&split(2.0));
    let said = run.said();
    assert_eq!(lines(&said), [(Retract, Retracted, 1, 2)]);
    assert_eq!((said[0].session, said[0].sequence), (Some(date(DAY)), 4));
}

/// What the reference topic said while nobody was there takes effect before the next market record.
#[test]
fn records_that_came_during_a_restart_are_news() {
    let next = |run: &mut Run| {
        let open = run.session(&next_day(run)).open;
        run.tick(SYMBOL, open, 50.2);
        run.said()
    };
    let initial = |engine: &mut Engine, json: &str| {
        let Ok(Observation::Reference(record)) = decode(json.as_bytes()) else { panic!("{json}") };
        let got = engine.apply_reference(Channel::Initial, &record, &mut Effects::default());
        assert_eq!(got.outcome, Outcome::Applied);
    };
    for is_away in [false, true] {
        let mut run = morning(params_without_groups());
        let open = run.session(DAY).open;
        run.tick(SYMBOL, open, 50.1);
        run.close(SYMBOL, DAY, 50.2);
        let first = run.said();
        if is_away {
            let image = run.engine.image(&[0]);
            run.engine = Engine::new(params_without_groups());
            initial(&mut run.engine, &split(2.0));
            run.engine.history_loaded();
            run.engine.restore_partition(UnixNanos(0), 0, &image.partitions[0].1);
        } else {
            run.applied(&split(2.0));
        }
        let said = next(&mut run);
        assert_eq!(lines(&said), [(Retract, Retracted, 1, 2)], "{is_away}");
        assert_eq!((said[0].alert_id, said[0].sequence), (first[0].alert_id, 3));
        assert_eq!(run.engine.symbol(SYMBOL).unwrap().z.map(|z| z.abs() < 1e-9), Ok(true));
    }
}

/// A year of two percent a day, then two months at one level: the flags are in the alert, after a restart too.
#[test]
fn unusual_calm_is_flagged() {
    for (calm, step, expected) in [
        (40, 0.001, vec!["LOW_SIGMA", "PINNED"]),
        (40, 0.02, vec![]),
        // A steady climb is as calm, and at no one level.
        (40, 1.0, vec!["LOW_SIGMA"]),
        // Too short a history to say.
        (0, 0.001, vec![]),
    ] {
        let mut run = Run::new(params_without_groups());
        let before: Vec<String> =
            run.calendar.sessions().iter().filter(|s| s.date < date(DAY)).map(|s| s.date.to_string()).collect();
        let days = if calm > 0 { 300 } else { 250 };
        let mut price = 100.0;
        for (at, session) in before[before.len() - days..].iter().enumerate() {
            let odd = if at % 2 == 0 { 1.0 } else { -1.0 };
            let is_calm = at >= days - 40;
            price *= f64::exp(match (is_calm, step) {
                (false, _) => 0.02 * odd,
                (true, 1.0) => 0.01 + 0.001 * odd,
                (true, step) => step * odd,
            });
            run.close(SYMBOL, session, price);
        }
        let image = run.engine.image(&[0]);
        run.engine = Engine::new(params_without_groups());
        run.engine.restore_partition(UnixNanos(0), 0, &image.partitions[0].1);
        run.said();
        let open = run.session(DAY).open;
        run.tick(SYMBOL, open, price * 1.1);
        run.close(SYMBOL, DAY, price * 1.1);
        let said = run.said();
        assert!(!said.is_empty());
        for alert in &said {
            let flags = alert.quality.iter().map(|f| &**f).filter(|f| *f != "RULER_DEFAULT");
            assert_eq!(flags.collect::<Vec<_>>(), expected, "{calm} {step}");
        }
        assert_eq!(measure(&run).flags.names().collect::<Vec<_>>(), expected);
    }
}
