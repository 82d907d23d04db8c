//! Days that are not like the others, and the hours in which nothing is decided.

use crate::harness::{MIN, Run, SEC, date, holds, params_without_groups, utc};
use crate::scene::{DAY, SYMBOL, Scene, warm};
use fragility::domain::AlertKind::{self, Open, Retract};
use fragility::domain::{Outcome, Phase, UnixNanos, Unknown};
use fragility::market::Session;

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

/// Price limits, in the first second after the open: they begin the regular session, and are no price.
fn begin_without_a_price(run: &mut Run, session: &Session) {
    let at = session.open.plus(SEC);
    run.applied(&format!(r#"{{"type":"limits","symbol":"{SYMBOL}","ts":{},"lower":90,"upper":110}}"#, at.0));
}

fn said(run: &mut Run) -> Vec<(AlertKind, Phase, UnixNanos)> {
    let said = run.said();
    said.iter().for_each(holds);
    said.iter().map(|a| (a.kind, a.phase, a.event_time)).collect()
}

/// The regular session has begun, and then comes a price of four sigmas from before the open.
fn check_belated(belated: impl Fn(&mut Run, &Session, f64)) {
    let mut run = warmed(DAY);
    let session = run.session(DAY);
    run.tick(SYMBOL, session.open.plus(-MIN), 100.0);
    begin_without_a_price(&mut run, &session);
    let wild = run.price_at(SYMBOL, 4.2);
    belated(&mut run, &session, wild);
    assert_eq!(said(&mut run), [], "its phase is over");
    let view = run.engine.symbol(SYMBOL).unwrap();
    assert_eq!((view.price, view.tier), (wild, 0.0));
    // The first price after the open is the opening price, and decides.
    let first = run.price_at(SYMBOL, 3.2);
    run.tick(SYMBOL, session.open.plus(2 * SEC), first);
    let alerts = run.said();
    alerts.iter().for_each(holds);
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((alert.kind, alert.tier, alert.phase), (Open, 3.0, Phase::Regular));
    assert_eq!(alert.gap.unwrap().open.to_bits(), first.to_bits());
}

#[test]
fn a_price_of_before_the_open_is_none_of_the_session_that_has_begun() {
    check_belated(|run, session, price| {
        assert_eq!(run.tick(SYMBOL, session.open.plus(-SEC), price).outcome, Outcome::Applied);
    });
}

#[test]
fn a_minute_bar_that_ends_at_the_open_is_none_of_the_session_that_has_begun() {
    check_belated(|run, session, price| {
        let (start, high) = (session.open.plus(-MIN), price * 1.01);
        run.applied(&format!(
            r#"{{"type":"bar","interval":"1m","final":true,"symbol":"{SYMBOL}","ts":{},"open":100,"high":{high},"low":100,"close":{price}}}"#,
            start.0
        ));
    });
}

/// A symbol in breach since five seconds before the open, whose regular session has begun without a price.
fn in_breach_since_before() -> (Run, Session) {
    let mut run = warmed(DAY);
    let session = run.session(DAY);
    run.tick(SYMBOL, session.open.plus(-MIN), 100.0);
    let (ts, breach) = (session.open.plus(-5 * SEC), run.price_at(SYMBOL, 3.2));
    run.applied(&format!(r#"{{"type":"tick","symbol":"{SYMBOL}","ts":{},"price":{breach},"seq":1}}"#, ts.0));
    assert_eq!(said(&mut run), [(Open, Phase::Pre, ts)]);
    begin_without_a_price(&mut run, &session);
    (run, session)
}

#[test]
fn what_another_reference_changes_is_said_in_the_phase_of_the_newest_price() {
    let (mut run, session) = in_breach_since_before();
    let yesterday = run.calendar.previous(session.date).unwrap().date.to_string();
    run.close(SYMBOL, &yesterday, 110.0);
    assert_eq!(said(&mut run).last(), Some(&(Retract, Phase::Pre, session.open.plus(-5 * SEC))));
}

#[test]
fn what_a_cancel_changes_is_said_in_the_phase_of_the_cancel() {
    for (secs, phase) in [(-2, Phase::Pre), (2, Phase::Regular)] {
        let (mut run, session) = in_breach_since_before();
        let ts = session.open.plus(secs * SEC);
        run.applied(&format!(r#"{{"type":"cancel","symbol":"{SYMBOL}","ts":{},"seq":1}}"#, ts.0));
        assert_eq!(said(&mut run), [(Retract, phase, ts)]);
    }
}
