//! Records of every kind, and the one outcome that each of them has.

use crate::harness::{MIN, Run, SEC, params, params_with, params_without_groups, unguarded};
use crate::scene::{DAY, SYMBOL, Scene};
use fragility::codec::decode;
use fragility::domain::AlertKind::{Close, Confirm, Deescalate, Escalate, Open};
use fragility::domain::{Observation, Outcome, UnixNanos, Unknown};
use fragility::engine::{Channel, EVENT_TIME_MAX, Effects, Params};

/// A bar record from multiples of sigma.
fn bar(scene: &Scene, interval: &str, start: UnixNanos, ohlc: [f64; 4], more: &str) -> String {
    let [open, high, low, close] = ohlc.map(|z| scene.at_z(z));
    format!(
        r#"{{"type":"bar","symbol":"{SYMBOL}","ts":{},"interval":"{interval}","open":{open},"high":{high},"low":{low},"close":{close}{more}}}"#,
        start.0
    )
}

#[test]
fn a_bar_opens_by_its_extreme_and_stands_at_its_close() {
    for (interval, length) in [("1s", MIN / 60), ("1m", MIN), ("5m", 5 * MIN), ("1h", 60 * MIN)] {
        let mut scene = Scene::open_of(DAY);
        let start = scene.session.open;
        let rising = bar(&scene, interval, start, [0.1, 4.2, -0.5, 3.2], "");
        scene.run.applied(&rising);
        let said = scene.said();
        let seen: Vec<_> = said.iter().map(|a| (a.kind, a.tier, a.event_time)).collect();
        let end = start.plus(length);
        assert_eq!(seen, [(Open, 4.0, end), (Deescalate, 3.0, end)], "{interval}");
        let view = scene.run.engine.symbol(SYMBOL).unwrap();
        assert_eq!((view.price.to_bits(), view.event_time), (scene.at_z(3.2).to_bits(), end));
        assert_eq!(scene.run.json(&rising).outcome, Outcome::Duplicate, "{interval}");
        let next = bar(&scene, interval, end, [3.2, 6.3, 3.1, 6.0], "");
        scene.run.applied(&next);
        assert_eq!(scene.kinds(), [(Escalate, 6.0)], "{interval}");
    }
}

#[test]
fn a_falling_bar_is_taken_to_have_risen_first() {
    let mut scene = Scene::open_of(DAY);
    let falling = bar(&scene, "1m", scene.session.open, [0.0, 3.1, -4.1, -4.0], "");
    scene.run.applied(&falling);
    assert_eq!(scene.kinds(), [(Open, 3.0), (Close, 3.0), (Open, 4.0)]);
}

#[test]
fn a_bar_that_is_not_final_is_ignored() {
    let mut scene = Scene::open_of(DAY);
    let draft = bar(&scene, "1m", scene.session.open, [0.0, 5.0, 0.0, 5.0], r#","final":false"#);
    assert_eq!(scene.run.json(&draft).outcome, Outcome::Ignored);
    assert_eq!(scene.kinds(), []);
    // And its final form is no duplicate of it.
    let last = bar(&scene, "1m", scene.session.open, [0.0, 5.0, 0.0, 5.0], "");
    scene.run.applied(&last);
    assert_eq!(scene.kinds(), [(Open, 4.0)]);
}

#[test]
fn the_last_bar_ends_with_its_session() {
    let mut scene = Scene::open_of(DAY);
    let start = scene.session.close.plus(-30 * MIN);
    let last = bar(&scene, "1h", start, [0.0, 3.4, 0.0, 3.3], "");
    scene.run.applied(&last);
    assert_eq!(scene.said()[0].event_time, scene.session.close);
}

#[test]
fn a_day_bar_is_watched_at_its_close_and_closes() {
    let mut scene = Scene::open_of(DAY);
    let day = bar(&scene, "1d", scene.session.open, [0.0, 4.4, -1.0, 3.6], &format!(r#","session":"{DAY}""#));
    scene.run.applied(&day);
    let said = scene.said();
    let seen: Vec<_> = said.iter().map(|a| (a.kind, a.tier, a.event_time)).collect();
    let close = scene.session.close;
    assert_eq!(seen, [(Open, 4.0, close), (Confirm, 3.0, close)]);
    assert!(said[1].quality.iter().any(|f| &**f == "CLOSE_BASIS_LAST"));
    assert_eq!(scene.run.json(&day).outcome, Outcome::Duplicate);
    let measure = scene.run.measure(SYMBOL, DAY).unwrap();
    assert!((measure.z.unwrap() - 3.6).abs() < 1e-9);
}

/// Feeds stamp a day bar at midnight UTC or at the session's open: both mean that day.
#[test]
fn a_day_bar_finds_its_session_by_its_start() {
    for start in ["2025-02-12T00:00:00Z", "2025-02-12T05:00:00Z", "2025-02-12T14:30:00Z"] {
        let mut scene = Scene::open_of(DAY);
        let day = bar(&scene, "1d", crate::harness::utc(start), [0.0, 0.4, -1.0, 0.3], "");
        scene.run.applied(&day);
        assert!(scene.run.measure(SYMBOL, DAY).is_some(), "{start}");
    }
    let mut scene = Scene::open_of(DAY);
    let sunday = bar(&scene, "1d", crate::harness::utc("2025-02-16T14:30:00Z"), [0.0, 0.4, -1.0, 0.3], "");
    assert_eq!(scene.run.json(&sunday).reason, "not_a_session");
}

fn desk(symbol: &str, price: f64, sigma: f64, more: &str) -> String {
    format!(r#"{{"type":"reference","symbol":"{symbol}","prev_close":{price},"sigma_daily":{sigma}{more}}}"#)
}

#[test]
fn a_desk_reference_replaces_the_computed_one() {
    let mut scene = Scene::open_of(DAY);
    scene.run.applied(&desk(SYMBOL, 50.0, 0.02, ""));
    assert_eq!(scene.run.json(&desk(SYMBOL, 50.0, 0.02, "")).outcome, Outcome::Duplicate);
    assert!(scene.z(10, 2.9).is_empty());
    scene.price(scene.at(20), 50.0 * (0.0601_f64).exp());
    let said = scene.said();
    assert_eq!((said[0].kind, said[0].tier), (Open, 3.0));
    assert_eq!(said[0].reference.as_ref().unwrap().basis, "desk");
    assert_eq!(said[0].evidence, Err(Unknown::DeskReference));
    assert!(said[0].quality.iter().any(|f| &**f == "DESK_REFERENCE"));
    scene.close(51.0);
    let measure = scene.run.measure(SYMBOL, DAY).unwrap();
    assert!((measure.z.unwrap() - (51.0_f64 / 50.0).ln() / 0.02).abs() < 1e-12);
}

#[test]
fn a_desk_reference_with_a_session_holds_for_it_alone() {
    let mut run = Run::new(params_without_groups());
    run.applied(&desk("NEW", 100.0, 0.01, ""));
    run.applied(&desk("NEW", 200.0, 0.01, &format!(r#","session":"{DAY}""#)));
    let session = run.session(DAY);
    run.tick("NEW", session.open, 200.0);
    assert_eq!(run.engine.symbol("NEW").unwrap().reference, Some(200.0));
    let after = *run.calendar.next_after(session.date).unwrap();
    run.tick("NEW", after.open, 100.0);
    assert_eq!(run.engine.symbol("NEW").unwrap().reference, Some(100.0));
    assert_eq!(run.said(), []);
}

#[test]
fn sequence_numbers_are_kept_by_symbol_and_feed() {
    let mut run = Run::new(params_without_groups());
    let open = run.session(DAY).open;
    let mut check = |symbol: &str, seq: &str, feed: &str, expected: Outcome| {
        let ts = open.0 + run.offset;
        let record = format!(r#"{{"type":"tick","symbol":"{symbol}","ts":{ts},"price":10.5{seq}{feed}}}"#);
        assert_eq!(run.json(&record).outcome, expected, "{record}");
    };
    let (a, b) = (r#","feed":"a""#, r#","feed":"b""#);
    let seq = |n: u64| format!(r#","seq":{n}"#);
    check("X", &seq(5), a, Outcome::Applied);
    check("X", &seq(5), a, Outcome::Duplicate);
    check("X", &seq(4), a, Outcome::Duplicate);
    check("X", &seq(5), b, Outcome::Applied);
    check("X", &seq(5), "", Outcome::Applied);
    check("X", &seq(0), "", Outcome::Duplicate);
    check("X", &seq(6), a, Outcome::Applied);
    check("X", "", a, Outcome::Applied);
    check("Y", &seq(0), "", Outcome::Applied);
    check("Y", &seq(0), "", Outcome::Duplicate);
    check("Y", &seq(u64::MAX >> 1), "", Outcome::Applied);
    check("Y", &seq(u64::MAX >> 1), "", Outcome::Duplicate);
}

#[test]
fn a_record_ten_seconds_behind_counts_and_a_later_one_is_late() {
    let mut scene = Scene::open_of(DAY);
    let now = scene.at(100);
    scene.price(now, 100.2);
    let (low, high) = (scene.at_z(-3.5), scene.at_z(3.5));
    assert_eq!(scene.run.tick(SYMBOL, now.plus(-10 * SEC), low).outcome, Outcome::Applied);
    assert_eq!(scene.run.tick(SYMBOL, now.plus(-10 * SEC - 1), high).outcome, Outcome::Late);
    let view = scene.run.engine.symbol(SYMBOL).unwrap();
    assert_eq!((view.price, view.event_time), (100.2, now), "the newest price stays");
    assert_eq!(view.extremes, None.or(view.extremes.map(|_| (low, view.extremes.unwrap().1))), "the range has it");
    assert_eq!(scene.kinds(), []);
}

#[test]
fn a_time_ahead_of_the_log_is_refused() {
    let mut run = Run::new(params_without_groups());
    let logged = run.session(DAY).open;
    for (lead, reason) in [(2 * SEC, "applied"), (2 * SEC + 1, "future"), (-3_600 * SEC, "late")] {
        let record = crate::harness::tick("X", logged.plus(lead), 10.0);
        assert_eq!(run.json_at(&record, 0, Some(logged)).reason, reason, "{lead}");
    }
    let beat = |ts: UnixNanos| format!(r#"{{"type":"heartbeat","ts":{}}}"#, ts.0);
    assert_eq!(run.json_at(&beat(logged.plus(SEC)), 0, Some(logged)).reason, "applied");
    assert_eq!(run.json_at(&beat(logged.plus(3 * SEC)), 0, Some(logged)).reason, "future");
    assert_eq!(run.engine.event_time(), Some(logged.plus(2 * SEC)), "a refused record moves no clock");
}

#[test]
fn without_a_log_time_only_the_far_future_is_refused() {
    let mut run = Run::new(params_without_groups());
    for (ts, reason) in
        [(EVENT_TIME_MAX, "event_time"), (UnixNanos(-1), "event_time"), (EVENT_TIME_MAX.plus(-1), "applied")]
    {
        let got = run.json(&crate::harness::tick("X", ts, 10.0));
        assert_eq!(got.reason, reason, "{}", ts.0);
        let expected = if reason == "applied" { Outcome::Applied } else { Outcome::Rejected };
        assert_eq!(got.outcome, expected);
    }
}

#[test]
fn a_listed_universe_knows_its_symbols_alone() {
    let listed = params_with("[universe]\nmode = \"listed\"\nsymbols = [\"X\"]\n");
    let mut run = Run::new(listed);
    let open = run.session(DAY).open;
    assert_eq!(run.tick("X", open, 10.0).outcome, Outcome::Applied);
    assert_eq!(run.tick("Y", open, 10.0).outcome, Outcome::UnknownSymbol);
    assert_eq!(run.json(&crate::harness::close("Y", DAY, 10.0)).outcome, Outcome::UnknownSymbol);
    assert_eq!(run.engine.symbols_len(), 1);
}

#[test]
fn a_full_universe_takes_no_further_symbol() {
    let mut run = Run::new(Params { symbols_max: 2, ..params_without_groups() });
    let open = run.session(DAY).open;
    assert_eq!(run.tick("A", open, 10.0).outcome, Outcome::Applied);
    assert_eq!(run.tick("B", open, 10.0).outcome, Outcome::Applied);
    let refused = run.tick("C", open, 10.0);
    assert_eq!((refused.outcome, refused.reason), (Outcome::Rejected, "universe_full"));
    assert_eq!(run.tick("A", open.plus(1), 10.0).outcome, Outcome::Applied);
}

#[test]
fn the_flag_of_a_feed_is_in_the_quality_of_what_it_decides() {
    let flagged = unguarded(params_with("[feeds.simulated]\nflag = \"SIMULATED_PATH\"\n"));
    let flagged = Params { groups: Vec::new(), ..flagged };
    for (feed, expected) in [("simulated", true), ("other", false)] {
        let mut scene = Scene::with(flagged.clone(), DAY);
        let (ts, price) = (scene.at(1), scene.at_z(3.2));
        scene.run.applied(&format!(
            r#"{{"type":"tick","symbol":"{SYMBOL}","ts":{},"price":{price},"feed":"{feed}"}}"#,
            ts.0
        ));
        let said = scene.said();
        assert_eq!(said[0].quality.iter().any(|f| &**f == "SIMULATED_PATH"), expected, "{feed}");
        let said = scene.close(price);
        assert_eq!(said[0].quality.iter().any(|f| &**f == "SIMULATED_PATH"), expected, "{feed} at the close");
    }
}

#[test]
fn members_of_an_unheard_of_group_are_ignored() {
    let mut run = Run::new(params());
    let record = r#"{"type":"member","group":"unheard_of","symbol":"X","from":"2025-02-12"}"#;
    assert_eq!(run.json(record).outcome, Outcome::Ignored);
    assert_eq!(run.engine.symbols_len(), 0);
}

fn event(at: &str, kind: &str, more: &str) -> String {
    format!(r#"{{"type":"event","symbol":"{SYMBOL}",{at},"kind":"{kind}","source":"wire"{more}}}"#)
}

/// Events are in the alerts of their session, sorted, and cause none.
#[test]
fn events_are_carried_and_cause_nothing() {
    let mut scene = Scene::open_of(DAY);
    let session = scene.session;
    let records = [
        event(&format!(r#""ts":{}"#, session.open.0), "news", r#","text":"b""#),
        // The evening before, after 20:00.
        event(&format!(r#""ts":{}"#, session.begin.0), "earnings", r#","url":"https://example.org/x""#),
        event(&format!(r#""session":"{DAY}""#), "product", ""),
        event(&format!(r#""ts":{}"#, session.begin.0 - 1), "yesterday", ""),
        event(&format!(r#""ts":{}"#, session.end.0), "tomorrow", ""),
    ];
    for record in &records {
        scene.run.applied(record);
        assert_eq!(scene.run.json(record).outcome, Outcome::Duplicate, "{record}");
    }
    for nowhere in [r#""session":"2025-02-15""#, r#""ts":1"#] {
        assert_eq!(scene.run.json(&event(nowhere, "news", "")).reason, "not_a_session");
    }
    assert_eq!(scene.said(), []);
    let image = scene.run.engine.image(&[0]);
    scene.run.engine = fragility::engine::Engine::new(params_without_groups());
    scene.run.engine.restore_partition(UnixNanos(0), 0, &image.partitions[0].1);
    assert_eq!(scene.run.engine.image(&[0]).partitions, image.partitions);
    scene.price(scene.at(60), scene.at_z(3.2));
    let said = scene.said();
    let mut bytes = Vec::new();
    fragility::codec::encode_alert(&said[0], &mut bytes);
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let expected = serde_json::json!([
        {"kind": "product", "source": "wire"},
        {"kind": "earnings", "source": "wire", "time": session.begin.0, "url": "https://example.org/x"},
        {"kind": "news", "source": "wire", "time": session.open.0, "text": "b"},
    ]);
    assert_eq!(json["events"], expected);
}

#[test]
fn the_newest_events_are_kept() {
    let mut scene = Scene::open_of(DAY);
    for minute in 0..70 {
        let ts = scene.at(minute * 60).0;
        scene.run.applied(&event(&format!(r#""ts":{ts}"#), "news", ""));
    }
    scene.price(scene.at(60), scene.at_z(3.2));
    let events = scene.said()[0].events.clone();
    assert_eq!((events.len(), events[0].0), (64, Some(scene.at(6 * 60))));
}

/// A partition may be lost before its first snapshot: what is known of its symbols from elsewhere still rules. What its own
/// records said comes again with them.
#[test]
fn a_forgotten_partition_keeps_its_references() {
    let mut run = Run::new(params_with("[market]\ncalendar = \"none\""));
    let desk_a = desk("A", 100.0, 0.01, "");
    let Observation::Reference(record) = decode(desk_a.as_bytes()).unwrap() else { panic!("{desk_a}") };
    run.engine.apply_reference(Channel::Reference, &record, &mut Effects::default());
    run.applied(&desk("B", 100.0, 0.01, ""));
    let at = UnixNanos(1_737_988_200_000_000_000);
    for symbol in ["A", "B"] {
        run.tick(symbol, at, 100.5);
    }
    run.engine.forget_partition(0);
    for symbol in ["A", "B"] {
        run.tick(symbol, at, 105.0);
    }
    let said = run.said();
    assert_eq!(said.iter().map(|a| (a.entity.id(), a.kind, a.revision)).collect::<Vec<_>>(), [("A", Open, 0)]);
}
