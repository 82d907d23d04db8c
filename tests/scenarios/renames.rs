//! Securities that change their names: what they had goes with them, and the old name is free.

use crate::harness::{MIN, Run, date, id, params, params_without_groups};
use crate::scene::{DAY, warm};
use fragility::codec::decode;
use fragility::domain::AlertKind::{Close, Confirm, Correct, Open};
use fragility::domain::{Alert, AlertKind, Observation, Outcome, UnixNanos, Unknown};
use fragility::engine::{Channel, Effects, Engine, Params, Watermark};
use std::collections::BTreeMap;

fn rename(old: &str, to: &str, from: &str) -> String {
    format!(r#"{{"type":"rename","symbol":"{old}","to":"{to}","from":"{from}"}}"#)
}

/// Name, kind and sequence of each alert.
fn lines(alerts: &[Alert]) -> Vec<(&str, AlertKind, u64)> {
    alerts.iter().map(|a| (id(a), a.kind, a.sequence)).collect()
}

fn next(run: &Run, day: &str) -> String {
    run.calendar.next_after(date(day)).unwrap().date.to_string()
}

/// FB with a full window on the morning of the day from which it is META.
fn morning(params: Params) -> Run {
    let mut run = Run::new(params);
    warm(&mut run, "FB", DAY);
    run
}

fn initial(engine: &mut Engine, json: &str) {
    let Ok(Observation::Reference(record)) = decode(json.as_bytes()) else { panic!("{json}") };
    let got = engine.apply_reference(Channel::Initial, &record, &mut Effects::default());
    assert_eq!(got.outcome, Outcome::Applied, "{json}");
}

#[test]
fn a_security_goes_on_under_its_new_name() {
    let mut run = morning(params_without_groups());
    run.applied(&rename("FB", "META", &next(&run, DAY)));
    assert_eq!(run.json(&rename("FB", "META", &next(&run, DAY))).outcome, Outcome::Duplicate);
    // The day before is the old name's: an alert, and no close.
    let open = run.session(DAY).open;
    run.tick("FB", open, 96.0);
    assert_eq!(lines(&run.said()), [("FB", Open, 1)]);
    let tomorrow = next(&run, DAY);
    let open = run.session(&tomorrow).open;
    run.tick("META", open, 90.0);
    let said = run.said();
    assert_eq!(lines(&said), [("FB", Close, 2), ("META", Open, 1)]);
    assert_eq!(said[1].reference.as_ref().unwrap().price.to_bits(), 96.0_f64.to_bits());
    assert_eq!((run.engine.symbols_len(), run.engine.symbol("FB")), (1, None));
    // The close of the old name's last day comes late, and is about the old name.
    run.close("FB", DAY, 96.5);
    let said = run.said();
    assert_eq!(lines(&said), [("FB", Correct, 3), ("META", Correct, 2)]);
    assert_eq!(run.measure("FB", DAY).unwrap().n, 21);
    run.close("META", &tomorrow, 90.0);
    assert_eq!(lines(&run.said()), [("META", Confirm, 3)]);
    assert_eq!(run.measure("META", &tomorrow).unwrap().n, 21);
    // Who takes the old name is someone else.
    run.tick("FB", open.plus(10 * MIN), 7.0);
    assert_eq!(run.engine.symbols_len(), 2);
    assert_eq!(run.engine.symbol("FB").unwrap().z, Err(Unknown::NoReference));
    assert_eq!(run.engine.symbol("META").unwrap().price.to_bits(), 90.0_f64.to_bits());
}

/// A full universe has room for a new name, since it is no new security.
#[test]
fn a_rename_takes_no_further_place() {
    let mut run = morning(Params { symbols_max: 1, ..params_without_groups() });
    run.applied(&rename("FB", "META", DAY));
    let open = run.session(DAY).open;
    assert_eq!(run.tick("META", open, 96.0).outcome, Outcome::Applied);
    assert_eq!(lines(&run.said()), [("META", Open, 1)]);
    assert_eq!(run.tick("FB", open.plus(1), 96.0).reason, "universe_full");
}

/// The rename is told after the new name has traded, and closed: what was read of it is joined to the history.
#[test]
fn a_rename_that_comes_late_joins_what_was_read() {
    for closes in [false, true] {
        let mut run = morning(params_without_groups());
        let open = run.session(DAY).open;
        run.tick("META", open, 100.0);
        run.tick("META", open.plus(MIN), 96.0);
        if closes {
            run.close("META", DAY, 96.0);
        }
        assert_eq!((run.said(), run.engine.symbols_len()), (vec![], 2), "a new name has no reference");
        run.applied(&rename("FB", "META", DAY));
        assert_eq!(run.engine.symbols_len(), 1);
        let view = run.engine.symbol("META").unwrap();
        assert_eq!((view.reference, view.price), (Some(100.0), 96.0));
        if closes {
            let measure = run.measure("META", DAY).unwrap();
            assert!(measure.z.is_some_and(|z| z < -3.0), "{measure:?}");
            assert_eq!(lines(&run.said()), [("META", Confirm, 1)]);
        } else {
            run.tick("META", open.plus(2 * MIN), 96.0);
            assert_eq!(lines(&run.said()), [("META", Open, 1)]);
        }
    }
}

/// History in any order, with someone else under each name before and after: the same three securities.
#[test]
fn history_in_any_order_gives_the_same_securities() {
    let story = |order: usize| {
        let mut run = Run::new(params_without_groups());
        let before: Vec<String> =
            run.calendar.sessions().iter().filter(|s| s.date < date(DAY)).map(|s| s.date.to_string()).collect();
        let days = &before[before.len() - 40..];
        let mut records = vec![rename("FB", "META", &days[30])];
        for (at, day) in days.iter().enumerate() {
            let odd = f64::from(u8::from(at % 2 == 1));
            // META is a fund for five days, and from the fifteenth on someone else is to be FB.
            let name = if at < 30 { "FB" } else { "META" };
            records.push(crate::harness::close(name, day, 100.0 + odd));
            if at < 5 {
                records.push(crate::harness::close("META", day, 10.0));
            }
            if at > 35 {
                records.push(crate::harness::close("FB", day, 20.0));
            }
        }
        match order {
            0 => {}
            1 => records.reverse(),
            n => records.sort_by_key(|r| r.bytes().map(|b| usize::from(b).wrapping_mul(n) % 251).sum::<usize>()),
        }
        for record in &records {
            initial(&mut run.engine, record);
        }
        run.engine.history_loaded();
        let open = run.session(DAY).open;
        for (name, price) in [("META", 95.0), ("FB", 21.0)] {
            run.tick(name, open, price);
        }
        let said = run.said();
        assert_eq!(lines(&said), [("META", Open, 1)], "{order}");
        let view = |name: &str| {
            let view = run.engine.symbol(name).unwrap();
            (view.reference, view.sigma_daily, view.z)
        };
        (view("META"), view("FB"), run.engine.symbols_len(), said[0].evidence.clone())
    };
    let expected = story(0);
    assert_eq!((expected.0.0, expected.1.0, expected.2), (Some(101.0), Some(20.0), 3));
    for order in 1..6 {
        assert_eq!(story(order), expected, "{order}");
    }
}

#[test]
fn a_group_follows_its_member() {
    let member = r#"{"type":"member","group":"mag7","symbol":"FB","from":"2025-01-02"}"#;
    let renamed = rename("FB", "META", DAY);
    let empty = Params { groups: params().groups, ..params() };
    let empty = Params {
        groups: empty.groups.into_iter().map(|g| fragility::cluster::GroupParams { members: vec![], ..g }).collect(),
        ..empty
    };
    for records in [[member, renamed.as_str()], [renamed.as_str(), member]] {
        let mut run = Run::new(empty.clone());
        for record in records {
            run.applied(record);
        }
        warm(&mut run, "FB", DAY);
        run.close("META", DAY, 96.0);
        run.engine.advance(Watermark::End, &[], &mut run.effects);
        let alert = run.said().into_iter().find(|a| id(a) == "META").unwrap();
        assert_eq!(alert.groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["mag7"]);
        let closes = run.engine.group_closes();
        let members: BTreeMap<String, Vec<String>> = closes
            .iter()
            .map(|(day, views)| (day.to_string(), views[0].members.iter().map(|(s, _)| s.to_string()).collect()))
            .collect();
        assert_eq!(members[DAY], ["META"]);
        assert_eq!(members["2025-02-11"], ["FB"]);
        assert!(closes[&date(DAY)][0].members[0].1.is_ok());
    }
}

/// Before the switch and after it, with and without the records that were there at the start.
#[test]
fn a_snapshot_keeps_names() {
    for (after, has_history) in [(false, false), (true, false), (false, true), (true, true)] {
        let tomorrow = next(&Run::new(params_without_groups()), DAY);
        let start = |run: &mut Run| {
            if has_history {
                initial(&mut run.engine, &rename("FB", "META", &tomorrow));
                initial(&mut run.engine, &crate::harness::close("META", &tomorrow, 95.0));
                run.engine.history_loaded();
            }
        };
        let mut run = Run::new(params_without_groups());
        start(&mut run);
        warm(&mut run, "FB", DAY);
        if !has_history {
            run.applied(&rename("FB", "META", &tomorrow));
        }
        let (open, later) = (run.session(DAY).open, run.session(&tomorrow).open);
        run.tick("FB", open, 96.0);
        if after {
            run.tick("META", later, 91.0);
        }
        let image = run.engine.image(&[0]);
        let mut again = Run::new(params_without_groups());
        again.offset = run.offset;
        start(&mut again);
        again.engine.restore_partition(UnixNanos(0), 0, &image.partitions[0].1);
        assert_eq!(again.engine.image(&[0]).partitions, image.partitions, "{after} {has_history}");
        run.said();
        again.said();
        for run in [&mut run, &mut again] {
            run.tick("META", later.plus(MIN), 80.0);
            run.tick("FB", later.plus(MIN), 5.0);
            run.close("META", &tomorrow, 80.5);
        }
        let said = run.said();
        assert!(said.len() > 1 && said.iter().any(|a| id(a) == "META"), "{said:?}");
        assert_eq!(again.said().len(), said.len(), "{after} {has_history}");
        assert_eq!(again.engine.image(&[0]).partitions, run.engine.image(&[0]).partitions, "{after} {has_history}");
    }
}

#[test]
fn what_is_no_rename_is_refused() {
    let mut run = Run::new(params_without_groups());
    assert_eq!(run.json(&rename("A", "A", DAY)).reason, "rename");
    run.applied(&rename("A", "B", DAY));
    assert_eq!(run.json(&rename("C", "B", DAY)).reason, "rename");
    assert_eq!(run.engine.symbols_len(), 0, "a rename alone is no security");
}
