//! Where held, refused and cancelled prints meet closes, sessions, halts and each other.

use crate::harness::{MIN, Run, SEC, close, date, params_as_shipped};
use crate::scene::{DAY, check_identity, warm};
use fragility::codec::decode;
use fragility::domain::AlertKind::{Close, Confirm, Deescalate, Fade, Open, Retract};
use fragility::domain::{Alert, Entity, Observation, Outcome, UnixNanos};
use fragility::engine::{Channel, Effects, Params, Watermark};

const NEXT: &str = "2025-02-13";

fn guarded() -> Params {
    Params { groups: Vec::new(), ..params_as_shipped() }
}

fn unheld() -> Params {
    Params { quarantine: None, ..guarded() }
}

/// A symbol with a full window and no price yet.
fn warmed(params: Params) -> Run {
    let mut run = Run::new(params);
    warm(&mut run, "ACME", DAY);
    run
}

impl Run {
    fn sale(&mut self, day: &str, secs: i64, price: f64, rest: &str) -> Option<Outcome> {
        let ts = self.session(day).open.plus(secs * SEC).0;
        self.print(&format!(r#"{{"type":"tick","symbol":"ACME","ts":{ts},"price":{price}{rest}}}"#))
    }

    fn cancel(&mut self, ts: UnixNanos, which: &str) -> (Outcome, &'static str) {
        let got = self.json(&format!(r#"{{"type":"cancel","symbol":"ACME","ts":{},{which}}}"#, ts.0));
        (got.outcome, got.reason)
    }

    fn end(&mut self) {
        self.engine.advance(Watermark::End, &[], &mut self.effects);
    }

    /// What cannot be the same after a retraction is left out.
    fn stands(&self) -> fragility::engine::SymbolView {
        let mut view = self.engine.symbol("ACME").unwrap();
        view.sequence = 0;
        view
    }
}

#[test]
fn the_first_print_of_a_symbol_is_measured_from_its_reference() {
    let mut run = Run::new(guarded());
    let before: Vec<_> = run.calendar.sessions().iter().map(|s| s.date).filter(|d| *d < date(DAY)).collect();
    for (at, session) in before[before.len() - 22..].iter().enumerate() {
        let record = close("ACME", &session.to_string(), if at % 2 == 0 { 101.0 } else { 100.0 });
        let Ok(Observation::Reference(record)) = decode(record.as_bytes()) else { panic!("{record}") };
        run.engine.apply_reference(Channel::Initial, &record, &mut Effects::default());
    }
    assert_eq!(run.sale(DAY, 1, 10.0, ""), None, "a tenth of the close before");
    assert_eq!(run.sale(DAY, 2, 100.0, ""), Some(Outcome::Applied));
    assert_eq!(run.sale(DAY, 8, 100.0, ""), Some(Outcome::Applied));
    assert_eq!(run.said(), []);
}

#[test]
fn the_first_print_after_a_session_without_a_close_is_doubted_too() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, "");
    assert_eq!(run.sale(NEXT, 1, 10.0, ""), None, "the last regular price stands in for the close");
    assert_eq!(run.sale(NEXT, 2, 100.0, ""), Some(Outcome::Applied));
    assert_eq!(run.sale(NEXT, 8, 100.0, ""), Some(Outcome::Applied));
    assert_eq!(run.said(), []);
}

#[test]
fn a_cancel_after_the_close_leaves_the_closing_price_in_place() {
    let after = |with: bool| {
        let mut run = warmed(unheld());
        run.sale(DAY, 1, 100.0, r#","seq":1"#);
        if with {
            run.sale(DAY, 60, 99.5, r#","seq":2"#);
        }
        run.close("ACME", DAY, 101.0);
        if with {
            let ts = run.session(DAY).close.plus(MIN);
            assert_eq!(run.cancel(ts, r#""seq":2"#).0, Outcome::Applied);
        }
        run.stands()
    };
    assert_eq!(after(true), after(false));
}

#[test]
fn a_breach_first_seen_at_a_late_close_survives_the_cancel_of_a_harmless_print() {
    let mut run = warmed(unheld());
    run.sale(DAY, 1, 100.0, r#","seq":1"#);
    run.sale(DAY, 60, 100.1, r#","seq":2"#);
    let ts = run.session(DAY).close.plus(5 * MIN);
    run.applied(&format!(r#"{{"type":"close","symbol":"ACME","session":"{DAY}","price":90,"ts":{}}}"#, ts.0));
    assert_eq!(run.kinds().iter().map(|k| k.0).collect::<Vec<_>>(), [Confirm]);
    assert_eq!(run.cancel(ts.plus(MIN), r#""seq":2"#).0, Outcome::Applied);
    assert_eq!(run.kinds(), [], "nothing of what was said was otherwise");
}

/// The watermark may have freed it before the close came, or not: either way it was a price of its moment.
#[test]
fn a_print_that_waits_when_the_close_comes_opens_its_episode() {
    let alerts = |is_freed: bool| {
        let mut run = warmed(guarded());
        run.sale(DAY, 1, 100.0, "");
        let to_close = run.session(DAY).close.since(run.session(DAY).open) / SEC;
        assert_eq!(run.sale(DAY, to_close - 1, 90.0, ""), None);
        if is_freed {
            let ts = run.session(DAY).close.plus(MIN);
            run.applied(&format!(r#"{{"type":"heartbeat","ts":{}}}"#, ts.0));
            run.engine.advance(Watermark::Partitions, &[0], &mut run.effects);
        }
        run.close("ACME", DAY, 90.5);
        run.said().into_iter().map(|a| Alert { source: Vec::new(), ..a }).collect::<Vec<_>>()
    };
    assert_eq!(alerts(true).iter().map(|a| a.kind).collect::<Vec<_>>(), [Open, Confirm]);
    assert_eq!(alerts(false), alerts(true));
}

#[test]
fn a_session_whose_only_print_was_cancelled_has_no_price() {
    for is_held in [false, true] {
        let mut run = warmed(if is_held { guarded() } else { unheld() });
        run.close("ACME", DAY, 100.0);
        let took = run.sale(NEXT, 60, if is_held { 80.0 } else { 100.2 }, r#","seq":7"#);
        assert_eq!(took.is_none(), is_held);
        let ts = run.session(NEXT).open.plus(61 * SEC);
        assert_eq!(run.cancel(ts, r#""seq":7"#).0, Outcome::Applied);
        // Two sessions on: the one between has no close, and no last price that could stand in for it.
        let day = "2025-02-14";
        run.sale(day, 60, 100.1, r#","seq":8"#);
        run.close("ACME", day, 101.0);
        let measure = run.measure("ACME", day).unwrap();
        assert!(measure.log_return.is_err(), "held {is_held}: {measure:?}");
    }
}

#[test]
fn an_ineligible_print_begins_its_session_like_any_other() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, r#","seq":1,"size":100"#);
    run.sale(DAY, 2, 100.1, r#","seq":2,"size":100"#);
    run.close("ACME", DAY, 100.0);
    let before = run.engine.symbol("ACME").unwrap();
    let odd_lot = r#","seq":3,"size":5,"tape":"A","cond":["I"]"#;
    assert_eq!(run.sale(NEXT, 1, 100.0, odd_lot), Some(Outcome::Applied));
    let view = run.engine.symbol("ACME").unwrap();
    assert!(view.session > before.session, "{view:?}");
    assert_eq!(view.volume.to_bits(), 5.0_f64.to_bits(), "its volume is the new session's");
    // The print of the session before is out of reach, and nothing of this session hangs on it.
    let ts = run.session(NEXT).open.plus(2 * SEC);
    assert_eq!(run.cancel(ts, r#""seq":2"#), (Outcome::Late, "beyond_journal"));
    assert_eq!(run.engine.symbol("ACME").unwrap(), view);
}

#[test]
fn a_print_in_a_halt_over_the_night_is_volume_of_its_own_session() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, r#","seq":1,"size":100"#);
    let ts = run.session(DAY).open.plus(60 * SEC).0;
    run.applied(&format!(r#"{{"type":"halt","symbol":"ACME","ts":{ts}}}"#));
    run.sale(NEXT, 1, 100.0, r#","seq":2,"size":7"#);
    let view = run.engine.symbol("ACME").unwrap();
    assert_eq!((view.volume.to_bits(), view.halt.is_some()), (7.0_f64.to_bits(), true));
}

#[test]
fn a_cancel_that_came_first_finds_a_print_that_comes_out_of_order() {
    let stands = |with: bool| {
        let mut run = warmed(unheld());
        run.sale(DAY, 10, 100.0, r#","id":"a","size":100"#);
        if with {
            let ts = run.session(DAY).open.plus(11 * SEC);
            assert_eq!(run.cancel(ts, r#""id":"b""#).0, Outcome::Applied);
            assert_eq!(run.sale(DAY, 9, 120.0, r#","id":"b","size":100"#), Some(Outcome::Applied));
        }
        run.stands()
    };
    assert_eq!(stands(true), stands(false));
}

#[test]
fn one_print_sent_three_times_does_not_agree_with_itself() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, "");
    assert_eq!(run.sale(DAY, 2, 80.0, r#","id":"x""#), None);
    for _ in 0..3 {
        assert_eq!(run.sale(DAY, 2, 80.0, r#","id":"x""#), Some(Outcome::Duplicate));
    }
    assert_eq!(run.said(), []);
}

#[test]
fn the_cancel_of_a_refused_print_waits_for_nothing() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, "");
    assert_eq!(run.sale(DAY, 2, 80.0, r#","id":"x""#), None);
    run.sale(DAY, 3, 100.0, "");
    run.sale(DAY, 9, 100.0, "");
    assert_eq!(run.effects.resolved.len(), 1, "refused");
    let ts = run.session(DAY).open.plus(10 * SEC);
    assert_eq!(run.cancel(ts, r#""id":"x""#), (Outcome::Duplicate, "duplicate"));
    assert_eq!(run.sale(DAY, 11, 80.0, r#","id":"y""#), None);
    assert_eq!(run.cancel(ts, r#""id":"y""#).0, Outcome::Applied);
    assert_eq!(run.cancel(ts, r#""id":"y""#).0, Outcome::Duplicate);
    assert_eq!(run.sale(DAY, 12, 80.0, r#","id":"y""#), Some(Outcome::Duplicate), "it has been taken back");
}

/// A bad print in the morning, a genuine fall at noon, then the morning's print is cancelled.
#[test]
fn a_genuine_episode_keeps_its_alert_when_an_earlier_one_is_retracted() {
    let mut run = warmed(unheld());
    let price = |z: f64| 100.0 * (z * 0.0102_f64).exp();
    run.sale(DAY, 1, 100.0, r#","seq":1"#);
    run.sale(DAY, 10, price(-4.5), r#","seq":2"#);
    run.sale(DAY, 20, 100.0, r#","seq":3"#);
    run.sale(DAY, 1_000, 100.0, r#","seq":4"#);
    run.sale(DAY, 9_000, price(-5.0), r#","seq":5"#);
    let told = run.said();
    assert_eq!(told.iter().map(|a| a.kind).collect::<Vec<_>>(), [Open, Deescalate, Close, Open]);
    let (bad, genuine) = (told[0].clone(), told[3].clone());
    let ts = run.session(DAY).open.plus(9_100 * SEC);
    run.cancel(ts, r#""seq":2"#);
    let said = run.said();
    assert_eq!(said.iter().map(|a| (a.kind, a.alert_id)).collect::<Vec<_>>(), [(Retract, bad.alert_id)]);
    run.close("ACME", DAY, 95.0);
    let closed = run.said();
    assert_eq!(closed.iter().map(|a| (a.kind, a.alert_id)).collect::<Vec<_>>(), [(Confirm, genuine.alert_id)]);
    check_identity(&[told, said, closed].concat());
}

#[test]
fn limits_that_come_before_the_first_print_of_their_session_hold() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, r#","seq":1"#);
    run.close("ACME", DAY, 100.0);
    let ts = run.session(NEXT).open.0;
    run.applied(&format!(r#"{{"type":"limits","symbol":"ACME","ts":{ts},"lower":95,"upper":105}}"#));
    run.sale(NEXT, 1, 100.0, r#","seq":2"#);
    assert_eq!(run.sale(NEXT, 2, 80.0, r#","seq":3"#), Some(Outcome::Rejected));
}

#[test]
fn a_reopening_print_of_an_earlier_halt_does_not_end_this_one() {
    let mut run = warmed(guarded());
    run.sale(DAY, 1, 100.0, r#","seq":1"#);
    let ts = run.session(DAY).open.plus(60 * SEC).0;
    run.applied(&format!(r#"{{"type":"halt","symbol":"ACME","ts":{ts}}}"#));
    run.sale(DAY, 58, 100.0, r#","seq":2,"size":900,"tape":"A","cond":["5"]"#);
    assert!(run.engine.symbol("ACME").unwrap().halt.is_some());
}

#[test]
fn a_correction_of_the_size_alone_is_news() {
    let mut run = warmed(unheld());
    run.sale(DAY, 1, 100.0, r#","seq":1,"size":100"#);
    let ts = run.session(DAY).open.plus(5 * SEC).0;
    let correct = format!(r#"{{"type":"correct","symbol":"ACME","ts":{ts},"seq":1,"price":100,"size":300}}"#);
    run.applied(&correct);
    assert_eq!(run.engine.symbol("ACME").unwrap().volume.to_bits(), 300.0_f64.to_bits());
    assert_eq!(run.json(&correct).outcome, Outcome::Duplicate);
}

#[test]
fn a_group_does_not_see_a_member_at_no_price() {
    const SEVEN: [&str; 7] = ["AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA", "TSLA"];
    for is_told in [false, true] {
        let mut run = Run::new(Params { quarantine: None, ..params_as_shipped() });
        let open = run.session(DAY).open;
        for symbol in SEVEN {
            run.applied(&format!(r#"{{"type":"reference","symbol":"{symbol}","prev_close":100,"sigma_daily":0.02}}"#));
            run.applied(&format!(
                r#"{{"type":"shares","symbol":"{symbol}","session":"2025-02-11","shares_outstanding":1000000}}"#
            ));
        }
        for symbol in SEVEN {
            // All but the last fall by six sigmas.
            let price = if symbol == "TSLA" { 100.0 } else { 88.7 };
            run.applied(&format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{},"price":{price},"seq":1}}"#, open.0));
        }
        let until = |run: &mut Run, secs: i64| {
            run.applied(&format!(r#"{{"type":"heartbeat","ts":{}}}"#, open.plus(secs * SEC).0));
            run.engine.advance(Watermark::Partitions, &[0], &mut run.effects);
        };
        if is_told {
            until(&mut run, 60);
        }
        let ts = open.plus(61 * SEC).0;
        for symbol in ["TSLA", "AAPL"] {
            run.applied(&format!(r#"{{"type":"cancel","symbol":"{symbol}","ts":{ts},"seq":1}}"#));
        }
        until(&mut run, 120);
        let said = run.said();
        let groups: Vec<_> = said.iter().filter(|a| matches!(a.entity, Entity::Cluster(_))).collect();
        for alert in groups {
            let finite = [alert.z, alert.log_return].iter().all(|r| r.is_err() || r.is_ok_and(f64::is_finite));
            assert!(finite, "told {is_told}: {alert:?}");
        }
        for (symbol, z) in run.engine.groups().iter().flat_map(|g| g.members.iter()) {
            assert!(z.is_err() || z.is_ok_and(f64::is_finite), "told {is_told}: {symbol} {z:?}");
        }
    }
}

#[test]
fn the_initiator_is_not_a_print_that_was_cancelled_after_the_close() {
    let stands = |with: bool| {
        let mut run = warmed(unheld());
        run.sale(DAY, 1, 100.0, r#","seq":1"#);
        if with {
            run.sale(DAY, 10, 80.0, r#","seq":2"#);
        }
        run.sale(DAY, 20, 100.0, r#","seq":3"#);
        run.close("ACME", DAY, 100.0);
        if with {
            let ts = run.session(DAY).close.plus(MIN);
            run.cancel(ts, r#""seq":2"#);
        }
        run.end();
        let said = run.said();
        let fades = said.iter().filter(|a| a.kind == Fade).count();
        let score = run.engine.survival().values().next().copied().unwrap_or_default();
        (said.iter().filter(|a| a.kind == Retract).count(), fades, score.brier())
    };
    assert_eq!(stands(true), (1, 1, None), "a forecast of what never was is not marked");
    assert_eq!(stands(false), (0, 0, None));
}

/// A print ahead of the tape makes the next ones come behind it; without it they are the prices they would have
/// been.
#[test]
fn prints_behind_one_that_is_cancelled_become_prices() {
    let calm = |run: &mut Run| {
        run.sale(DAY, 1, 100.0, r#","seq":1"#);
        run.said();
    };
    let after = |run: &mut Run| {
        run.sale(DAY, 3, 100.1, r#","seq":3,"size":10"#);
        run.sale(DAY, 4, 94.0, r#","seq":4"#);
    };
    let mut run = warmed(unheld());
    calm(&mut run);
    run.sale(DAY, 5, 100.2, r#","seq":2"#);
    after(&mut run);
    assert_eq!(run.said(), [], "behind the newest price, nothing is decided");
    let at = run.session(DAY).open.plus(6 * SEC);
    assert_eq!(run.cancel(at, r#""seq":2"#).0, Outcome::Applied);
    let found = run.said();
    assert_eq!(found.iter().map(|a| (a.kind, a.direction.sign() < 0.0)).collect::<Vec<_>>(), [(Open, true)]);
    let mut never = warmed(unheld());
    calm(&mut never);
    after(&mut never);
    assert_eq!(never.said().len(), 1);
    assert_eq!(run.stands(), never.stands());
}

/// The same in a halt, where prints count their shares alone.
#[test]
fn prints_of_a_halt_behind_one_that_is_cancelled_stay_volume() {
    let status = |run: &mut Run, kind: &str, secs: i64| {
        let ts = run.session(DAY).open.plus(secs * SEC).0;
        run.applied(&format!(r#"{{"type":"{kind}","symbol":"ACME","ts":{ts}}}"#));
    };
    let play = |with: bool| {
        let mut run = warmed(unheld());
        run.sale(DAY, 1, 100.0, r#","seq":1"#);
        if with {
            run.sale(DAY, 5, 100.2, r#","seq":2"#);
        }
        status(&mut run, "halt", 3);
        run.sale(DAY, 4, 94.0, r#","seq":3,"size":10"#);
        if with {
            let at = run.session(DAY).open.plus(6 * SEC);
            assert_eq!(run.cancel(at, r#""seq":2"#).0, Outcome::Applied);
        }
        assert_eq!(run.said(), []);
        run.stands()
    };
    assert_eq!(play(true), play(false));
}
