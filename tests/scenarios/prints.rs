//! Prints that are not what they seem: bad ones, real jumps, halts, price limits, cancels and corrections.

use crate::harness::{MIN, Run, SEC, params_as_shipped};
use crate::scene::{DAY, Scene, warm};
use fragility::domain::AlertKind::{self, Close, Correct, Open, Retract};
use fragility::domain::{AlertState, Outcome, Phase, UnixNanos};
use fragility::engine::{Params, Watermark};

/// A symbol at its open, guarded as shipped; groups aside.
fn guarded() -> Scene {
    Scene::with(Params { groups: Vec::new(), ..params_as_shipped() }, DAY)
}

struct Print<'a> {
    secs: f64,
    z: f64,
    seq: u64,
    venue: &'a str,
    rest: &'a str,
}

const PLAIN: Print<'static> = Print { secs: 0.0, z: 0.0, seq: 0, venue: "", rest: "" };

impl Scene {
    fn instant(&self, secs: f64) -> UnixNanos {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of one day")]
        let nanos = (secs * SEC as f64) as i64;
        self.session.open.plus(nanos)
    }

    fn print(&mut self, print: &Print<'_>) -> Option<Outcome> {
        let (ts, price) = (self.instant(print.secs), self.at_z(print.z));
        let Print { seq, venue, rest, .. } = print;
        let venue = if venue.is_empty() { String::new() } else { format!(r#","venue":"{venue}""#) };
        self.run.print(&format!(
            r#"{{"type":"tick","symbol":"ACME","ts":{},"price":{price},"seq":{seq}{venue}{rest}}}"#,
            ts.0
        ))
    }

    fn status(&mut self, kind: &str, secs: f64, rest: &str) {
        let ts = self.instant(secs);
        self.run.applied(&format!(r#"{{"type":"{kind}","symbol":"ACME","ts":{}{rest}}}"#, ts.0));
    }

    fn states(&mut self) -> Vec<(AlertKind, AlertState, u32, i64)> {
        let open = self.session.open;
        self.said().iter().map(|a| (a.kind, a.state, a.revision, a.event_time.since(open) / SEC)).collect()
    }

    fn outcomes(&mut self) -> Vec<(i64, Outcome, &'static str)> {
        let resolved = std::mem::take(&mut self.run.effects.resolved);
        resolved.iter().map(|r| (r.origin.offset, r.disposition.outcome, r.disposition.reason)).collect()
    }
}

#[test]
fn a_single_wild_print_between_ordinary_ones_is_refused() {
    let mut scene = guarded();
    let wild = scene.run.offset;
    assert_eq!(scene.print(&Print { secs: 10.0, z: -80.0, seq: 1, ..PLAIN }), None, "it waits");
    assert_eq!(scene.run.engine.quarantined(0), 1);
    assert_eq!(scene.print(&Print { secs: 11.0, z: 0.1, seq: 2, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.print(&Print { secs: 13.5, z: 0.1, seq: 3, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.outcomes(), [(wild, Outcome::Rejected, "bad_print")]);
    assert_eq!(scene.states(), []);
    let view = scene.run.engine.symbol("ACME").unwrap();
    assert!(view.extremes.unwrap().0 > 99.0, "it left no trace in the range: {view:?}");
    assert!(view.volatility[0] < 0.002, "nor in the volatility");
}

#[test]
fn a_real_gap_of_a_quarter_is_taken_with_its_own_time_once_three_prints_agree() {
    let mut scene = guarded();
    let gap = 0.75_f64.ln() / scene.run.engine.symbol("ACME").unwrap().sigma_daily.unwrap();
    assert!(gap < -25.0, "{gap}");
    let first = scene.run.offset;
    assert_eq!(scene.print(&Print { secs: 10.0, z: gap, seq: 1, venue: "Q", ..PLAIN }), None);
    assert_eq!(scene.print(&Print { secs: 10.1, z: gap + 0.2, seq: 2, venue: "Q", ..PLAIN }), None);
    assert_eq!(scene.print(&Print { secs: 10.2, z: gap - 0.1, seq: 3, venue: "Q", ..PLAIN }), None, "one venue");
    assert_eq!(scene.states(), []);
    assert_eq!(scene.print(&Print { secs: 10.3, z: gap, seq: 4, venue: "P", ..PLAIN }), Some(Outcome::Applied));
    let expected: Vec<_> = (first..first + 3).map(|offset| (offset, Outcome::Applied, "applied")).collect();
    assert_eq!(scene.outcomes(), expected);
    let said = scene.said();
    assert_eq!((said[0].kind, said[0].tier.to_bits()), (Open, 10.0_f64.to_bits()));
    assert_eq!(said[0].event_time, scene.at(10), "the time of the first print, not of the last");
    assert_eq!(said[0].source[0].offset, first);
}

#[test]
fn time_alone_frees_a_print_that_nothing_contradicts() {
    let mut scene = guarded();
    assert_eq!(scene.print(&Print { secs: 10.0, z: -20.0, seq: 1, ..PLAIN }), None);
    scene.run.json(&format!(r#"{{"type":"heartbeat","ts":{}}}"#, scene.at(22).0));
    scene.run.engine.advance(Watermark::Partitions, &[0], &mut scene.run.effects);
    assert_eq!(scene.states(), [], "a print of its time may still come");
    scene.run.json(&format!(r#"{{"type":"heartbeat","ts":{}}}"#, scene.at(23).0));
    scene.run.engine.advance(Watermark::Partitions, &[0], &mut scene.run.effects);
    assert_eq!(scene.states(), [(Open, AlertState::Provisional, 0, 10)]);
    assert_eq!(scene.run.engine.quarantined(0), 0);
}

#[test]
fn a_held_print_moves_no_clock() {
    let mut scene = guarded();
    let before = scene.run.engine.partition_time(0);
    assert_eq!(scene.print(&Print { secs: 10.0, z: -20.0, seq: 1, ..PLAIN }), None);
    assert_eq!(scene.run.engine.partition_time(0), before);
    scene.run.engine.advance(Watermark::End, &[], &mut scene.run.effects);
    assert_eq!(scene.run.engine.partition_time(0), Some(scene.at(10)));
}

#[test]
fn an_auction_is_believed_at_once() {
    let mut scene = guarded();
    let opening = Print { secs: 1.0, z: -9.0, seq: 1, rest: r#","tape":"A","cond":["O"],"size":50000"#, ..PLAIN };
    assert_eq!(scene.print(&opening), Some(Outcome::Applied));
    assert_eq!(scene.states(), [(Open, AlertState::Provisional, 0, 1)]);
}

#[test]
fn prints_move_what_their_conditions_allow() {
    for (rest, last, range, volume) in [
        (r#","tape":"A","cond":["@"],"size":100"#, true, true, true),
        (r#","tape":"C","cond":["@","F"],"size":100"#, true, true, true),
        (r#","tape":"C","cond":["B"],"size":100"#, true, true, true),
        (r#","tape":"A","cond":["B"],"size":100"#, false, false, true),
        (r#","tape":"A","cond":["Z"],"size":100"#, false, true, true),
        (r#","tape":"A","cond":["C"],"size":100"#, false, false, true),
        (r#","tape":"A","cond":["F","C"],"size":100"#, false, false, true),
        (r#","tape":"A","cond":["I"],"size":5"#, false, false, true),
        (r#","tape":"A","size":5"#, false, false, true),
        (r#","size":5"#, true, true, true),
        (r#","tape":"A","cond":["T"],"size":100"#, false, false, true),
        (r#","tape":"A","cond":["?"],"size":100"#, false, false, true),
    ] {
        let mut scene = guarded();
        let before = scene.run.engine.symbol("ACME").unwrap();
        assert_eq!(scene.print(&Print { secs: 10.0, z: 0.8, seq: 1, rest, ..PLAIN }), Some(Outcome::Applied));
        let after = scene.run.engine.symbol("ACME").unwrap();
        let moved = (after.price > before.price, after.extremes != before.extremes, after.volume > before.volume);
        assert_eq!(moved, (last, range, volume), "{rest}");
    }
}

#[test]
fn a_premarket_price_decides_once_enough_was_traded() {
    let mut run = Run::new(Params { groups: Vec::new(), ..params_as_shipped() });
    warm(&mut run, "ACME", DAY);
    let session = run.session(DAY);
    let mut kinds: Vec<Vec<(AlertKind, bool)>> = Vec::new();
    for (n, (size, venue)) in [(400, "P"), (400, "Q"), (400, "P"), (400, "Q")].into_iter().enumerate() {
        let ts = session.pre.plus(i64::try_from(n).unwrap() * 60 * SEC);
        let record = format!(
            r#"{{"type":"tick","symbol":"ACME","ts":{},"price":104.2,"size":{size},"venue":"{venue}","seq":{n}}}"#,
            ts.0
        );
        run.print(&record);
        kinds.push(run.said().iter().map(|a| (a.kind, a.quality.iter().any(|f| &**f == "EXTENDED"))).collect());
    }
    // 104.2 is four sigmas: with 41,680 USD a print the third print opens the gate.
    assert_eq!(kinds, [vec![], vec![], vec![(Open, true)], vec![]]);
}

/// The official open is no price, and begins the regular session all the same, also when that is gone through again.
#[test]
fn a_print_that_moves_nothing_begins_its_phase_for_good() {
    let mut run = Run::new(Params { groups: Vec::new(), quarantine: None, ..params_as_shipped() });
    warm(&mut run, "ACME", DAY);
    let open = run.session(DAY).open;
    let mut print = |secs: i64, price: f64, seq: i64, rest: &str| {
        let ts = open.plus(secs * SEC).0;
        run.print(&format!(
            r#"{{"type":"tick","symbol":"ACME","ts":{ts},"price":{price},"size":600,"seq":{seq}{rest}}}"#
        ));
        run.kinds()
    };
    for (seq, venue) in ["P", "Q", "P", "Q"].into_iter().enumerate() {
        let seq = i64::try_from(seq).unwrap();
        assert_eq!(print(60 * (seq - 5), 100.0, seq, &format!(r#","venue":"{venue}""#)), []);
    }
    assert_eq!(print(1, 100.0, 4, r#","tape":"A","cond":["Q"]"#), []);
    // Four sigmas, from the second before the open: the pre-market is over.
    assert_eq!(print(-1, 104.2, 5, ""), []);
    run.applied(&format!(r#"{{"type":"cancel","symbol":"ACME","ts":{},"seq":3}}"#, open.plus(2 * SEC).0));
    assert_eq!(run.kinds(), []);
    assert_eq!(run.engine.symbol("ACME").unwrap().phase, Phase::Regular);
}

#[test]
fn in_a_halt_nothing_decides_and_clocks_stand_still() {
    let mut scene = guarded();
    for (n, z) in [(1, -0.9), (2, -1.8), (3, -2.6), (4, -3.3)] {
        assert_eq!(scene.print(&Print { secs: n as f64, z, seq: n, ..PLAIN }), Some(Outcome::Applied));
    }
    assert_eq!(scene.states(), [(Open, AlertState::Provisional, 0, 4)]);
    // Back inside: the ten minutes to the end of the episode begin.
    assert_eq!(scene.print(&Print { secs: 60.0, z: -2.4, seq: 5, ..PLAIN }), Some(Outcome::Applied));
    scene.status("halt", 300.0, r#","reason":"LUDP""#);
    let view = scene.run.engine.symbol("ACME").unwrap();
    assert_eq!(view.halt.as_deref(), Some("LUDP"));
    assert_eq!(scene.print(&Print { secs: 400.0, z: -9.0, seq: 6, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.states(), [], "a print in a halt is volume");
    assert_eq!(scene.run.engine.symbol("ACME").unwrap().price.to_bits(), view.price.to_bits());
    // 600 s of halt do not count: 60 to 300 are 240 s, and 360 more are needed after 900.
    scene.status("resume", 900.0, "");
    assert_eq!(scene.print(&Print { secs: 901.0, z: -2.3, seq: 7, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.print(&Print { secs: 1259.0, z: -2.3, seq: 8, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.states(), []);
    assert_eq!(scene.print(&Print { secs: 1261.0, z: -2.3, seq: 9, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.states(), [(Close, AlertState::Provisional, 1, 1261)]);
}

#[test]
fn the_reopening_auction_is_a_price_and_ends_a_halt_that_nobody_ended() {
    for resumed in [true, false] {
        let mut scene = guarded();
        scene.status("halt", 10.0, "");
        if resumed {
            scene.status("resume", 310.0, "");
        }
        let rest = if resumed { "" } else { r#","tape":"A","cond":["5"],"size":9000"# };
        assert_eq!(scene.print(&Print { secs: 311.0, z: -12.0, seq: 1, rest, ..PLAIN }), Some(Outcome::Applied));
        assert_eq!(scene.states(), [(Open, AlertState::Provisional, 0, 311)], "{resumed}");
    }
}

#[test]
fn limits_refuse_what_lies_outside_and_flag_what_lies_on_them() {
    let mut scene = guarded();
    let (lower, upper) = (scene.at_z(-4.0), scene.at_z(4.0));
    scene.status("limits", 1.0, &format!(r#","lower":{lower},"upper":{upper}"#));
    assert_eq!(scene.print(&Print { secs: 2.0, z: -6.0, seq: 1, ..PLAIN }), Some(Outcome::Rejected));
    assert_eq!(scene.print(&Print { secs: 3.0, z: -3.2, seq: 2, ..PLAIN }), None);
    for (n, secs) in [(3, 3.1), (4, 3.2)] {
        scene.print(&Print { secs, z: -3.2, seq: n, ..PLAIN });
    }
    let said = scene.said();
    assert!(!said[0].quality.iter().any(|f| &**f == "LIMIT_STATE"), "{said:?}");
    scene.print(&Print { secs: 4.0, z: -4.0, seq: 5, ..PLAIN });
    let said = scene.said();
    assert!(said[0].quality.iter().any(|f| &**f == "LIMIT_STATE"), "{said:?}");
}

/// A pause ends with an auction, and the band after it lies around that price.
#[test]
fn a_halt_lifts_the_limits_before_it() {
    let mut scene = guarded();
    let (lower, upper) = (scene.at_z(-4.0), scene.at_z(4.0));
    scene.status("limits", 1.0, &format!(r#","lower":{lower},"upper":{upper}"#));
    scene.status("halt", 10.0, "");
    scene.status("resume", 310.0, "");
    assert_eq!(scene.print(&Print { secs: 311.0, z: -6.0, seq: 1, ..PLAIN }), Some(Outcome::Applied));
    assert_eq!(scene.states(), [(Open, AlertState::Provisional, 0, 311)]);
}

/// The close of a name that is halted is an old price: it is counted apart, also when its close is corrected.
#[test]
fn a_name_that_is_halted_at_the_close_is_none_of_the_breadth() {
    let mut scene = guarded();
    scene.status("halt", 10.0, "");
    let day = scene.run.session(DAY).date;
    for z in [-5.0, -4.0, 0.1] {
        let price = scene.at_z(z);
        scene.run.applied(&format!(r#"{{"type":"close","symbol":"ACME","session":"{DAY}","price":{price}}}"#));
        let breadth = scene.run.engine.breadth()[&day];
        let counts = (breadth.count, breadth.halted, breadth.valid, breadth.down, breadth.ratio());
        assert_eq!(counts, (1, 1, 0, 0, None), "{z}");
    }
}

/// Berkshire Hathaway's class A on 3 June 2024 in outline: a stock near 627,400 printed at 185.10 for a while
/// through one venue and nothing spoke against it; hours later all those trades were cancelled.
#[test]
fn busted_prints_that_stood_for_hours_are_retracted_as_if_they_had_never_been() {
    let mut run = Run::new(Params { groups: Vec::new(), ..params_as_shipped() });
    let sessions: Vec<String> =
        run.calendar.sessions().iter().map(|s| s.date.to_string()).filter(|d| d.as_str() < "2024-06-03").collect();
    for (at, session) in sessions[sessions.len() - 22..].iter().enumerate() {
        run.close("BRK.A", session, if at % 2 == 0 { 622_000.0 } else { 627_400.0 });
    }
    let session = run.session("2024-06-03");
    let feed = |run: &mut Run, secs: i64, price: f64, id: &str| {
        let ts = session.open.plus(secs * SEC).0;
        run.print(&format!(
            r#"{{"type":"tick","symbol":"BRK.A","ts":{ts},"price":{price},"id":"{id}","venue":"N","size":1}}"#
        ))
    };
    let mut clean = Run::new(Params { groups: Vec::new(), ..params_as_shipped() });
    for (at, day) in sessions[sessions.len() - 22..].iter().enumerate() {
        clean.close("BRK.A", day, if at % 2 == 0 { 622_000.0 } else { 627_400.0 });
    }
    for which in [&mut run, &mut clean] {
        feed(which, 5, 628_000.0, "g1");
        feed(which, 600, 627_800.0, "g2");
    }
    for (n, secs) in [(1, 1200), (2, 1230), (3, 1260)] {
        feed(&mut run, secs, 185.10, &format!("bad{n}"));
    }
    let later = 3 * 3_600;
    for which in [&mut run, &mut clean] {
        feed(which, later, 628_100.0, "g3");
        feed(which, later + 4, 628_050.0, "g4");
        feed(which, later + 8, 628_060.0, "g5");
        feed(which, later + 20, 628_070.0, "g6");
    }
    let said = run.said();
    let z = said[0].z.unwrap();
    assert_eq!((said[0].kind, said[0].state), (Open, AlertState::Provisional));
    assert!(z < -800.0, "about what a reader saw that morning: {z}");
    let mut told = said;
    for n in 1..=3 {
        let ts = session.open.plus((later + 3_600) * SEC).0;
        run.applied(&format!(r#"{{"type":"cancel","symbol":"BRK.A","ts":{ts},"id":"bad{n}"}}"#));
        told.extend(run.said());
    }
    let retracted: Vec<_> = told.iter().filter(|a| a.kind == Retract).collect();
    assert_eq!(retracted.len(), 1, "one linked retraction: {told:?}");
    assert_eq!(retracted[0].alert_id, told[0].alert_id);
    assert_eq!(retracted[0].state, AlertState::Retracted);
    let (mut got, expected) = (run.engine.symbol("BRK.A").unwrap(), clean.engine.symbol("BRK.A").unwrap());
    got.sequence = expected.sequence;
    assert_eq!(got, expected, "as if the prints had never been");
    crate::scene::check_identity(&told);
}

/// January 2023 in outline: an opening auction that should not have been, undone before the close.
#[test]
fn a_botched_open_is_undone_and_what_is_true_of_it_stays() {
    let mut scene = guarded();
    let auction = r#","tape":"A","cond":["O"],"size":90000"#;
    scene.print(&Print { secs: 1.0, z: -9.0, seq: 1, rest: auction, ..PLAIN });
    for (n, z) in [(2, -8.8), (3, -6.2), (4, -3.6), (5, -3.1)] {
        scene.print(&Print { secs: n as f64, z, seq: n, ..PLAIN });
    }
    scene.run.engine.advance(Watermark::End, &[], &mut scene.run.effects);
    let opened = scene.said();
    assert_eq!((opened[0].kind, opened[0].tier.to_bits()), (Open, 8.0_f64.to_bits()));
    for seq in [1, 2, 3] {
        let ts = scene.at(3_600).0;
        scene.run.applied(&format!(r#"{{"type":"cancel","symbol":"ACME","ts":{ts},"seq":{seq}}}"#));
    }
    let said = scene.said();
    let last = said.last().unwrap();
    // What is left is a fall of 3.6: the same alert, corrected.
    assert!(said.iter().all(|a| a.kind == Correct && a.alert_id == opened[0].alert_id), "{said:?}");
    assert_eq!((last.state, last.peak_tier.to_bits()), (AlertState::Provisional, 3.0_f64.to_bits()));
}

#[test]
fn a_correction_replaces_the_price() {
    let mut scene = guarded();
    for (n, z) in [(1, -0.5), (2, -3.2), (3, -3.2), (4, -3.2)] {
        scene.print(&Print { secs: 10.0 + n as f64 / 10.0, z, seq: n, ..PLAIN });
    }
    scene.run.engine.advance(Watermark::End, &[], &mut scene.run.effects);
    assert_eq!(scene.states().len(), 1);
    let right = scene.at_z(-0.4);
    for seq in [2, 3, 4] {
        let ts = scene.at(60).0;
        let record = format!(r#"{{"type":"correct","symbol":"ACME","ts":{ts},"seq":{seq},"price":{right}}}"#);
        scene.run.applied(&record);
        assert_eq!(scene.run.json(&record).outcome, Outcome::Duplicate, "twice is once");
    }
    let said = scene.states();
    assert_eq!(said.last().map(|s| (s.0, s.1)), Some((Retract, AlertState::Retracted)), "{said:?}");
    let view = scene.run.engine.symbol("ACME").unwrap();
    assert_eq!((view.price.to_bits(), view.tier.to_bits()), (right.to_bits(), 0.0_f64.to_bits()));
}

#[test]
fn a_cancel_may_come_before_its_print_and_twice() {
    let mut scene = guarded();
    let cancel = format!(r#"{{"type":"cancel","symbol":"ACME","ts":{},"seq":7}}"#, scene.at(5).0);
    scene.run.applied(&cancel);
    assert_eq!(scene.print(&Print { secs: 10.0, z: -0.9, seq: 7, ..PLAIN }), Some(Outcome::Applied));
    let view = scene.run.engine.symbol("ACME").unwrap();
    assert!(view.price > 99.9, "it is not taken: {view:?}");
    assert_eq!(scene.run.json(&cancel).outcome, Outcome::Duplicate);
}

#[test]
fn a_cancel_after_the_close_unwinds_what_the_day_had_said() {
    let mut scene = guarded();
    for n in 1..=3 {
        scene.print(&Print { secs: 10.0 + n as f64 / 10.0, z: -5.0, seq: n, ..PLAIN });
    }
    for n in 4..=6 {
        scene.print(&Print { secs: 20.0 + n as f64, z: 0.0, seq: n, ..PLAIN });
    }
    scene.run.engine.advance(Watermark::End, &[], &mut scene.run.effects);
    let opened = scene.said()[0].alert_id;
    let faded = scene.close(100.0);
    assert_eq!((faded[0].kind, faded[0].state), (AlertKind::Fade, AlertState::Faded));
    for seq in 1..=3 {
        let ts = scene.session.close.plus(10 * MIN).0;
        scene.run.applied(&format!(r#"{{"type":"cancel","symbol":"ACME","ts":{ts},"seq":{seq}}}"#));
    }
    let said = scene.said();
    let last = said.last().unwrap();
    assert_eq!((last.kind, last.state, last.alert_id), (Retract, AlertState::Retracted, opened), "{said:?}");
}

#[test]
fn what_the_journal_no_longer_holds_is_said_to_be_out_of_reach() {
    let params = Params { groups: Vec::new(), journal_max: 8, ..params_as_shipped() };
    let mut scene = Scene::with(params, DAY);
    for n in 1..=30 {
        scene.print(&Print { secs: n as f64, z: 0.01 * n as f64, seq: n, ..PLAIN });
    }
    let cancel = |seq: u64, ts: i64| format!(r#"{{"type":"cancel","symbol":"ACME","ts":{ts},"seq":{seq}}}"#);
    let ts = scene.at(40).0;
    let got = scene.run.json(&cancel(3, ts));
    assert_eq!((got.outcome, got.reason), (Outcome::Late, "beyond_journal"));
    assert_eq!(scene.run.json(&cancel(29, ts)).outcome, Outcome::Applied);
}
