//! What the session's close makes of its episodes, early, late, corrected or missing.

use crate::harness::{Run, date, params_without_groups};
use crate::scene::{DAY, SYMBOL, Scene, check_identity, warm};
use fragility::codec::decode;
use fragility::domain::AlertKind::{Close, Confirm, Correct, Fade, Open, Retract};
use fragility::domain::AlertState::{Confirmed, Expired, Faded, Provisional, Retracted};
use fragility::domain::{Alert, AlertKind, AlertState, Direction, Observation, Outcome, Phase};
use fragility::engine::{Channel, Effects};

type Line = (AlertKind, AlertState, u32, u32);

/// Kind, state, episode and revision of each alert.
fn lines(alerts: &[Alert]) -> Vec<Line> {
    alerts.iter().map(|a| (a.kind, a.state, a.episode, a.revision)).collect()
}

/// The next session's date.
fn next(scene: &Scene) -> String {
    scene.run.calendar.next_after(scene.session.date).unwrap().date.to_string()
}

/// Ends the scene's session without its close, by a flat tick in the next one.
fn next_morning(scene: &mut Scene) -> Vec<Alert> {
    let open = scene.run.session(&next(scene)).open;
    scene.price(open, 100.0);
    scene.said()
}

#[test]
fn a_close_in_breach_confirms_and_one_inside_fades() {
    for (z, expected) in [(-3.3, (Confirm, Confirmed, 1, 1)), (-2.9, (Fade, Faded, 1, 1)), (3.3, (Fade, Faded, 1, 1))] {
        let mut scene = Scene::open_of(DAY);
        scene.z(60, -4.2);
        let said = scene.close(scene.at_z(z));
        assert_eq!(lines(&said)[0], expected, "{z}");
        assert_eq!((said[0].phase, said[0].event_time), (Phase::Close, scene.session.close));
        assert_eq!(said[0].peak_tier.to_bits(), 4.0_f64.to_bits());
        // A close in breach on the other side is a second episode, first seen there.
        let second = (z > 3.0).then_some((Confirm, Confirmed, 2, 0));
        assert_eq!(lines(&said[1..]), second.into_iter().collect::<Vec<_>>(), "{z}");
    }
}

#[test]
fn a_breach_first_seen_at_the_close_is_one_confirmed_record() {
    let mut scene = Scene::open_of(DAY);
    let said = scene.close(scene.at_z(4.4));
    assert_eq!(lines(&said), [(Confirm, Confirmed, 1, 0)]);
    assert_eq!((said[0].tier, said[0].direction, said[0].severity), (4.0, Direction::Up, "ELEVATED"));
}

#[test]
fn the_last_of_two_closed_episodes_is_confirmed_and_the_first_fades() {
    let mut scene = Scene::open_of(DAY);
    scene.z(0, 3.2);
    scene.z(10, 0.0);
    scene.z(610, 0.0);
    scene.z(700, 4.2);
    let said = scene.close(scene.at_z(3.1));
    assert_eq!(lines(&said), [(Fade, Faded, 1, 2), (Confirm, Confirmed, 2, 1)]);
}

#[test]
fn after_the_close_nothing_is_decided() {
    let mut scene = Scene::open_of(DAY);
    let (calm, wild) = (scene.at_z(0.5), scene.at_z(9.0));
    scene.close(calm);
    scene.price(scene.session.close.plus(-1), wild);
    assert_eq!(scene.kinds(), [], "a straggler of the regular session");
    let mut scene = Scene::open_of(DAY);
    let at = scene.at(600).0;
    scene.run.applied(&format!(r#"{{"type":"close","symbol":"{SYMBOL}","session":"{DAY}","price":{calm},"ts":{at}}}"#));
    assert_eq!(scene.z(700, 9.0), [], "the session's close came before its time");
}

#[test]
fn without_a_close_an_episode_expires() {
    let mut scene = Scene::open_of(DAY);
    scene.z(60, -3.4);
    let said = next_morning(&mut scene);
    assert_eq!(lines(&said), [(Close, Expired, 1, 1)]);
    assert_eq!(said[0].session, Some(scene.session.date));
    // The last regular price stands in, and says so.
    let view = scene.run.engine.symbol(SYMBOL).unwrap();
    assert_eq!(view.session, Some(date(&next(&scene))));
    scene.price(scene.run.session(&next(&scene)).open.plus(1), scene.at_z(3.2));
    let said = scene.said();
    assert_eq!(said[0].reference.as_ref().unwrap().basis, "last_regular");
    assert!(said[0].quality.iter().any(|f| &**f == "REF_PROVISIONAL"));
}

/// A late close says what the session came to, be it the price the session was last seen at or another.
#[test]
fn a_close_after_the_session_expired_corrects_it() {
    for (z, state) in [(-3.4, Confirmed), (-3.3, Confirmed), (-5.0, Confirmed), (-2.0, Faded), (0.0, Faded)] {
        let mut scene = Scene::open_of(DAY);
        let price = scene.at_z(z);
        scene.z(60, -3.4);
        next_morning(&mut scene);
        let said = scene.close(price);
        assert_eq!(lines(&said), [(Correct, state, 1, 2)], "{z}");
        assert_eq!(said[0].session, Some(scene.session.date));
        let breadth = scene.run.engine.breadth()[&scene.session.date];
        let down = u32::from(state == Confirmed);
        assert_eq!((breadth.count, breadth.valid, breadth.up, breadth.down), (1, 1, 0, down), "{z}");
        assert!(scene.run.measure(SYMBOL, DAY).is_some(), "{z}: a session with a close has its measure");
    }
}

#[test]
fn a_corrected_close_is_judged_again() {
    let mut scene = Scene::open_of(DAY);
    scene.z(60, -4.2);
    let (breach, calm) = (scene.at_z(-3.6), scene.at_z(-1.0));
    assert_eq!(lines(&scene.close(breach)), [(Confirm, Confirmed, 1, 1)]);
    let before = scene.run.engine.breadth()[&scene.session.date];
    assert_eq!(lines(&scene.close(calm)), [(Correct, Faded, 1, 2)]);
    assert_eq!(scene.run.engine.breadth()[&scene.session.date].down, 0);
    assert_eq!(lines(&scene.close(breach)), [(Correct, Confirmed, 1, 3)]);
    assert_eq!(scene.run.engine.breadth()[&scene.session.date], before);
    let again = scene.run.json(&crate::harness::close(SYMBOL, DAY, breach));
    assert_eq!((again.outcome, scene.said()), (Outcome::Duplicate, vec![]));
}

#[test]
fn a_correction_into_breach_is_a_new_confirmed_episode() {
    let mut scene = Scene::open_of(DAY);
    let (breach, calm) = (scene.at_z(5.0), scene.at_z(1.0));
    assert_eq!(lines(&scene.close(calm)), []);
    assert_eq!(lines(&scene.close(breach)), [(Confirm, Confirmed, 1, 0)]);
    assert_eq!(lines(&scene.close(calm)), [(Correct, Faded, 1, 1)]);
}

/// Yesterday's close is today's reference: correcting it moves today's verdict.
///
/// Yesterday's own verdict stands: only the last settled session is judged again.
#[test]
fn a_corrected_close_of_the_day_before_moves_the_day_after() {
    let mut scene = Scene::open_of(DAY);
    scene.close(100.0);
    let tomorrow = next(&scene);
    scene.run.close(SYMBOL, &tomorrow, 104.0);
    assert_eq!(lines(&scene.said()), [(Confirm, Confirmed, 1, 0)]);
    let said = scene.close(103.9);
    let by_session: Vec<_> = said.iter().map(|a| (a.session.unwrap().to_string(), a.kind, a.state)).collect();
    assert_eq!(by_session, [(tomorrow, Correct, Faded)]);
}

/// The official close of yesterday comes in mid-session, after the last regular price had stood in for it: what
/// is open goes on by the new reference, what only the stand-in made a breach is taken back.
#[test]
fn a_reference_that_comes_late_moves_what_is_open() {
    for (official, expected) in [
        (100.3, vec![(Correct, Provisional, 1, 1)]),
        (97.0, vec![(Retract, Retracted, 1, 1)]),
        (104.5, vec![(Correct, Provisional, 1, 1)]),
        // The price that stood in, now official: the alert says so.
        (100.0, vec![(Correct, Provisional, 1, 1)]),
    ] {
        let mut scene = Scene::open_of(DAY);
        assert_eq!(next_morning(&mut scene), []);
        let open = scene.run.session(&next(&scene)).open;
        scene.price(open.plus(60 * crate::harness::SEC), 96.8);
        let opened = scene.said();
        assert_eq!(lines(&opened), [(Open, Provisional, 1, 0)]);
        assert!(opened[0].quality.iter().any(|f| &**f == "REF_PROVISIONAL"));
        let said = scene.close(official);
        // Of 104.5 the day it closes has an alert of its own.
        let (own, open): (Vec<_>, Vec<_>) = said.into_iter().partition(|a| a.session == Some(date(DAY)));
        assert_eq!((own.len(), lines(&open)), (usize::from(official > 104.0), expected), "{official}");
        let alert = &open[0];
        assert_eq!((alert.alert_id, alert.event_time), (opened[0].alert_id, opened[0].event_time));
        assert_eq!(alert.reference.as_ref().map(|r| (r.price, r.basis)).unwrap(), (official, "official"));
        assert!(!alert.quality.iter().any(|f| &**f == "REF_PROVISIONAL"));
        // Of 104.5 the move is larger, and so is sigma, which has that close in its window now.
        assert_eq!(alert.severity, if official > 104.0 { "ELEVATED" } else { "NOTICE" }, "{official}");
        // The session itself has its measure at last.
        assert!(scene.run.measure(SYMBOL, DAY).is_some());
    }
}

/// Records of `history.files` never were measured here: correcting one is no measure and no breadth of theirs.
#[test]
fn correcting_history_measures_only_the_sessions_seen_here() {
    let mut run = Run::new(params_without_groups());
    let before: Vec<String> =
        run.calendar.sessions().iter().filter(|s| s.date < date(DAY)).map(|s| s.date.to_string()).collect();
    let history = &before[before.len() - 24..];
    for (at, session) in history.iter().enumerate() {
        let price = if at == 23 { 120.0 } else { 100.0 + f64::from(at % 2 == 0) };
        let Ok(Observation::Reference(record)) =
            decode(crate::harness::close(SYMBOL, session, price).as_bytes()).map(own)
        else {
            panic!("not a reference record");
        };
        run.engine.apply_reference(Channel::Initial, &record, &mut Effects::default());
    }
    run.engine.history_loaded();
    run.close(SYMBOL, DAY, 120.0);
    assert_eq!(run.effects.measures.len(), 1);
    // The last session of history stood in breach; corrected, it no longer would.
    run.close(SYMBOL, &history[23], 100.5);
    let sessions: Vec<String> = run.effects.measures.iter().map(|(_, m)| m.session.to_string()).collect();
    assert_eq!(sessions, [DAY, DAY], "today is measured again, history is not");
    let breadth = run.engine.breadth();
    assert_eq!(breadth.len(), 1);
    assert_eq!(breadth[&date(DAY)].count, 1);
    assert_eq!(breadth[&date(DAY)].up, 1);
}

fn own(observation: Observation<'_>) -> Observation<'static> {
    match observation {
        Observation::Reference(record) => Observation::Reference(record),
        other => panic!("{other:?}"),
    }
}

/// A correction far back moves only sessions whose whole window is still known; the rest stay as measured.
#[test]
fn an_old_correction_never_unmeasures_a_session() {
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, DAY);
    let mut days = Vec::new();
    let mut day = run.session(DAY);
    for at in 0..60 {
        run.close(SYMBOL, &day.date.to_string(), 100.0 + f64::from(at % 3));
        days.push(day.date.to_string());
        day = *run.calendar.next_after(day.date).unwrap();
    }
    let known = run.effects.measures.iter().filter(|(_, m)| m.z.is_some()).count();
    assert_eq!(known, 60);
    run.json(&crate::harness::close(SYMBOL, &days[5], 100.7));
    for day in &days {
        assert!(run.measure(SYMBOL, day).unwrap().z.is_some(), "{day}");
    }
}

#[test]
fn a_close_before_its_time_settles_and_identity_holds() {
    let mut scene = Scene::open_of(DAY);
    scene.z(60, 3.3);
    scene.run.applied(&format!(
        r#"{{"type":"close","symbol":"{SYMBOL}","session":"{DAY}","price":{},"ts":{}}}"#,
        scene.at_z(3.1),
        scene.at(600).0
    ));
    let said = scene.said();
    assert_eq!(lines(&said), [(Confirm, Confirmed, 1, 1)]);
    assert_eq!(said[0].event_time, scene.at(600));
    check_identity(&scene.run.effects.alerts);
}

/// A weaker basis never replaces the official price; the official one replaces the last.
#[test]
fn the_official_close_has_the_last_word() {
    let mut scene = Scene::open_of(DAY);
    let (last, official) = (scene.at_z(3.4), scene.at_z(2.8));
    let record = |price: f64, basis: &str| {
        format!(r#"{{"type":"close","symbol":"{SYMBOL}","session":"{DAY}","price":{price},"basis":"{basis}"}}"#)
    };
    scene.run.applied(&record(last, "last"));
    let said = scene.said();
    assert_eq!(lines(&said), [(Confirm, Confirmed, 1, 0)]);
    assert!(said[0].quality.iter().any(|f| &**f == "CLOSE_BASIS_LAST"));
    scene.run.applied(&record(official, "official"));
    assert_eq!(lines(&scene.said()), [(Correct, Faded, 1, 1)]);
    assert_eq!(scene.run.json(&record(last, "last")).outcome, Outcome::Duplicate);
    assert_eq!(scene.said(), []);
}

/// An alert that opened, and never more than that, stays provisional until its close comes.
#[test]
fn before_the_close_everything_is_provisional() {
    let mut scene = Scene::open_of(DAY);
    scene.price(scene.at(1), scene.at_z(3.2));
    scene.price(scene.at(2), scene.at_z(6.2));
    let said = scene.said();
    assert!(said.iter().all(|a| a.state == Provisional));
    assert_eq!(said[0].kind, Open);
}
