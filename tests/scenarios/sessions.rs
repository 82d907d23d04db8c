//! Days that are not like the others, and the hours in which nothing is decided.

use crate::harness::{MIN, Run, date, params_without_groups, utc};
use crate::scene::{DAY, SYMBOL, Scene, warm};
use fragility::domain::AlertKind::Open;
use fragility::domain::{Phase, Unknown};

/// A symbol warmed up for `day`, without a tick yet.
fn warmed(day: &str) -> Run {
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, day);
    run
}

/// Where a flat tick at `at` lies.
fn check(at: &str, session: &str, phase: Phase) {
    let mut run = warmed(session);
    run.tick(SYMBOL, utc(at), 100.0);
    let view = run.engine.symbol(SYMBOL).unwrap();
    assert_eq!((view.session, view.phase), (Some(date(session)), phase), "{at}");
}

#[test]
fn ticks_belong_to_their_session_and_phase() {
    // An ordinary Wednesday in winter.
    check("2025-02-12T00:59:59.999999999Z", "2025-02-11", Phase::Post);
    check("2025-02-12T01:00:00Z", "2025-02-12", Phase::Overnight);
    check("2025-02-12T09:00:00Z", "2025-02-12", Phase::Pre);
    check("2025-02-12T14:29:59.999999999Z", "2025-02-12", Phase::Pre);
    check("2025-02-12T14:30:00Z", "2025-02-12", Phase::Regular);
    check("2025-02-12T20:59:59.999999999Z", "2025-02-12", Phase::Regular);
    check("2025-02-12T21:00:00Z", "2025-02-12", Phase::Post);
    // A weekend is the night before Monday.
    check("2025-02-15T15:00:00Z", "2025-02-18", Phase::Overnight);
}

#[test]
fn a_half_day_closes_at_one() {
    check("2024-12-24T17:59:59.999999999Z", "2024-12-24", Phase::Regular);
    check("2024-12-24T18:00:00Z", "2024-12-24", Phase::Post);
    check("2024-12-24T22:00:00Z", "2024-12-26", Phase::Overnight);
    let mut scene = Scene::open_of("2024-12-24");
    let said = scene.close(scene.at_z(3.3));
    assert_eq!(said[0].event_time, utc("2024-12-24T18:00:00Z"));
}

#[test]
fn a_day_of_mourning_is_the_night_before_the_next_session() {
    check("2025-01-09T15:00:00Z", "2025-01-10", Phase::Overnight);
    let mut run = warmed("2025-01-10");
    run.tick(SYMBOL, utc("2025-01-09T15:00:00Z"), 130.0);
    assert_eq!(run.said(), [], "nothing is decided on a closed day");
    let refused = run.json(&crate::harness::close(SYMBOL, "2025-01-09", 100.0));
    assert_eq!(refused.reason, "not_a_session");
}

#[test]
fn both_clock_changes_move_the_open() {
    check("2025-03-07T14:29:59Z", "2025-03-07", Phase::Pre);
    check("2025-03-07T14:30:00Z", "2025-03-07", Phase::Regular);
    check("2025-03-10T13:29:59Z", "2025-03-10", Phase::Pre);
    check("2025-03-10T13:30:00Z", "2025-03-10", Phase::Regular);
    check("2025-03-10T19:59:59Z", "2025-03-10", Phase::Regular);
    check("2024-11-01T13:30:00Z", "2024-11-01", Phase::Regular);
    check("2024-11-04T13:30:00Z", "2024-11-04", Phase::Pre);
    check("2024-11-04T14:30:00Z", "2024-11-04", Phase::Regular);
}

#[test]
fn the_pre_market_decides_and_night_and_post_market_do_not() {
    let session = warmed(DAY).session(DAY);
    for (at, decides) in [
        (session.begin.plus(MIN), false),
        (session.pre.plus(-1), false),
        (session.pre, true),
        (session.open.plus(-1), true),
        (session.close.plus(-1), true),
        (session.close, false),
        (session.end.plus(-1), false),
    ] {
        let mut run = warmed(DAY);
        run.tick(SYMBOL, at, 110.0);
        let expected = if decides { vec![(Open, 8.0)] } else { vec![] };
        assert_eq!(run.kinds(), expected, "{at}");
    }
}

/// A price that stood in breach overnight opens with the first tick of the pre-market, not before.
#[test]
fn a_breach_at_night_opens_with_the_morning() {
    let mut run = warmed(DAY);
    let session = run.session(DAY);
    run.tick(SYMBOL, session.pre.plus(-MIN), 110.0);
    run.tick(SYMBOL, session.pre.plus(MIN), 110.0);
    let said = run.said();
    assert_eq!((said.len(), said[0].kind, said[0].phase), (1, Open, Phase::Pre));
}

#[test]
fn on_a_split_morning_the_reference_is_split_too() {
    let split = format!(r#"{{"type":"split","symbol":"{SYMBOL}","ex_date":"{DAY}","ratio":10.0}}"#);
    for is_known in [true, false] {
        let mut run = warmed(DAY);
        if is_known {
            run.applied(&split);
        }
        let session = run.session(DAY);
        run.tick(SYMBOL, session.open, 10.02);
        assert_eq!(run.said().is_empty(), is_known);
        run.close(SYMBOL, DAY, 10.05);
        match run.measure(SYMBOL, DAY).unwrap().log_return {
            Ok(r) => assert!(is_known && (r - (100.5_f64 / 100.0).ln()).abs() < 1e-14),
            gap => assert_eq!((is_known, gap), (false, Err(Unknown::SuspectedSplit))),
        }
    }
}

/// The split is learned during its session: what was said is taken back, and prices are measured from the new
/// reference.
#[test]
fn a_split_known_too_late_still_counts_for_its_session() {
    let mut run = warmed(DAY);
    let session = run.session(DAY);
    run.tick(SYMBOL, session.open, 10.0);
    assert_eq!(run.kinds(), [(Open, 10.0)]);
    run.applied(&format!(r#"{{"type":"split","symbol":"{SYMBOL}","ex_date":"{DAY}","ratio":10.0}}"#));
    let view = run.engine.symbol(SYMBOL).unwrap();
    assert!((view.reference.unwrap() - 10.0).abs() < 1e-12, "{view:?}");
    assert_eq!(run.said()[0].state, fragility::domain::AlertState::Retracted);
    run.close(SYMBOL, DAY, 10.01);
    assert_eq!(run.said(), []);
}

#[test]
fn a_return_across_a_missing_session_is_unknown() {
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, DAY);
    // No close on DAY: the day after has nothing to be measured from.
    let after = *run.calendar.next_after(date(DAY)).unwrap();
    run.tick(SYMBOL, after.open, 150.0);
    assert_eq!(run.said(), []);
    let view = run.engine.symbol(SYMBOL).unwrap();
    assert_eq!((view.z, view.reference), (Err(Unknown::MissingSession), None));
    run.close(SYMBOL, &after.date.to_string(), 150.0);
    assert_eq!(run.said(), []);
    let measure = run.measure(SYMBOL, &after.date.to_string()).unwrap();
    assert_eq!((measure.log_return, measure.z, measure.n), (Err(Unknown::MissingSession), None, 21));
    // The session after that is measured again, with a window that passes over the gap.
    let third = *run.calendar.next_after(after.date).unwrap();
    run.close(SYMBOL, &third.date.to_string(), 151.0);
    let measure = run.measure(SYMBOL, &third.date.to_string()).unwrap();
    assert!((measure.log_return.unwrap() - (151.0_f64 / 150.0).ln()).abs() < 1e-15);
    assert_eq!(measure.n, 21);
}

#[test]
fn a_symbol_still_warming_up_says_nothing() {
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, DAY);
    let early = run.calendar.sessions().iter().rev().find(|s| s.date < date(DAY)).unwrap().date.to_string();
    assert_eq!(run.measure(SYMBOL, &early).unwrap().n, 20);
    assert_eq!(run.measure(SYMBOL, &early).unwrap().z, None);
    let mut fresh = Run::new(params_without_groups());
    let session = fresh.session(DAY);
    fresh.tick("NEW", session.open, 100.0);
    fresh.tick("NEW", session.open.plus(1), 500.0);
    assert_eq!(fresh.said(), []);
    assert_eq!(fresh.engine.symbol("NEW").unwrap().z, Err(Unknown::NoReference));
}
