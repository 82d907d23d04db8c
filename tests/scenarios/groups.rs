//! The seven as a group, tick by tick: levels, order of breach, and the watermark they wait for.

use crate::harness::{MIN, Run, SEC, bounded, close, date, tick};
use crate::scene::{DAY, check_identity};
use fragility::codec::decode;
use fragility::domain::AlertKind::{Close, Confirm, Deescalate, Escalate, Fade, Open};
use fragility::domain::Observation;
use fragility::domain::{Alert, AlertState, Direction, Entity, UnixNanos};
use fragility::engine::{Channel, Effects, Watermark};

const SEVEN: [&str; 7] = ["AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA", "TSLA"];

struct Seven {
    run: Run,
    open: UnixNanos,
}

impl Seven {
    /// Seven members of equal weight, each with a desk's reference of 100 and sigma of 2 %.
    fn new() -> Self {
        let mut run = Run::new(bounded());
        for symbol in SEVEN {
            run.applied(&format!(r#"{{"type":"reference","symbol":"{symbol}","prev_close":100,"sigma_daily":0.02}}"#));
            run.applied(&format!(
                r#"{{"type":"shares","symbol":"{symbol}","session":"2025-02-11","shares_outstanding":1000000}}"#
            ));
        }
        let open = run.session(DAY).open;
        let mut seven = Self { run, open };
        for symbol in SEVEN {
            seven.tick(symbol, 0, 0.0);
        }
        seven
    }

    fn tick(&mut self, symbol: &str, secs: i64, z: f64) {
        let ts = self.open.plus(secs * SEC);
        self.run.applied(&tick(symbol, ts, 100.0 * (z * 0.02).exp()));
    }

    fn heartbeat(&mut self, ts: UnixNanos) {
        self.run.applied(&format!(r#"{{"type":"heartbeat","ts":{}}}"#, ts.0));
    }

    /// Moves the watermark of the one partition to `secs` after the open: what the group says.
    fn until(&mut self, secs: i64) -> Vec<Alert> {
        self.heartbeat(self.open.plus((secs + 10) * SEC));
        self.run.engine.advance(Watermark::Partitions, &[0], &mut self.run.effects);
        self.group()
    }

    /// What the group has said since the last call.
    fn group(&mut self) -> Vec<Alert> {
        let said = self.run.said();
        check_identity(&said.iter().filter(|a| a.sequence == 1).cloned().collect::<Vec<_>>());
        said.into_iter().filter(|a| matches!(a.entity, Entity::Cluster(_))).collect()
    }
}

fn initiator(alert: &Alert) -> (String, Vec<String>) {
    let cluster = alert.cluster.as_ref().unwrap();
    let followers = cluster.followers.iter().map(ToString::to_string).collect();
    (cluster.initiator.as_ref().map(ToString::to_string).unwrap_or_default(), followers)
}

#[test]
fn two_members_make_a_watch_and_a_third_makes_it_critical() {
    let mut seven = Seven::new();
    seven.tick("NVDA", 10, -6.0);
    assert_eq!(seven.until(11), [], "one member is not a group");
    seven.tick("GOOGL", 12, -6.0);
    let said = seven.until(13);
    assert_eq!(said.len(), 1);
    let alert = &said[0];
    assert_eq!((alert.kind, alert.severity, alert.direction), (Open, "WATCH", Direction::Down));
    assert_eq!(alert.event_time, seven.open.plus(13 * SEC), "the end of the interval that the price lies in");
    assert_eq!(initiator(alert), ("NVDA".to_owned(), vec!["GOOGL".to_owned()]));
    // rms of two multiples of 6 among seven equal weights.
    let legs = &alert.cluster.as_ref().unwrap().legs;
    let rms = legs.iter().find(|l| l.name == "rms_z").unwrap().value.unwrap();
    assert!((rms - (72.0_f64 / 7.0).sqrt()).abs() < 1e-9, "{rms}");
    let usd = alert.usd.as_ref().unwrap().market_value_change;
    assert!((usd / (2e8 * (-0.12_f64).exp_m1()) - 1.0).abs() < 1e-9, "{usd}");
    seven.tick("AAPL", 20, -6.0);
    let said = seven.until(30);
    assert_eq!((said.len(), said[0].kind, said[0].severity), (1, Escalate, "CRITICAL"));
    assert_eq!(initiator(&said[0]).1, ["GOOGL", "AAPL"]);
}

#[test]
fn the_first_to_breach_leads_and_ties_go_by_size_then_name() {
    let check = |ticks: &[(&str, i64, f64)], expected: &[&str]| {
        let mut seven = Seven::new();
        for (symbol, secs, z) in ticks {
            seven.tick(symbol, *secs, *z);
        }
        let said = seven.until(120);
        let (first, rest) = initiator(said.last().unwrap());
        let order: Vec<&str> = std::iter::once(first.as_str()).chain(rest.iter().map(String::as_str)).collect();
        assert_eq!(order, expected, "{ticks:?}");
    };
    check(&[("TSLA", 5, -3.5), ("AAPL", 6, -7.0), ("MSFT", 7, -7.0)], &["TSLA", "AAPL", "MSFT"]);
    check(&[("AAPL", 5, -6.0), ("TSLA", 5, -7.0), ("MSFT", 5, 6.5)], &["TSLA", "MSFT", "AAPL"]);
    check(&[("TSLA", 5, -6.0), ("META", 5, -6.0), ("NVDA", 5, -6.0)], &["META", "NVDA", "TSLA"]);
    // Who stood in breach first leads even after a dip inside.
    check(&[("TSLA", 5, -6.0), ("TSLA", 6, 0.0), ("META", 7, -6.0), ("TSLA", 8, -6.0)], &["TSLA", "META"]);
}

#[test]
fn a_level_eases_after_ten_minutes_below_it() {
    let mut seven = Seven::new();
    for (symbol, secs) in [("NVDA", 10), ("GOOGL", 10), ("AAPL", 10)] {
        seven.tick(symbol, secs, -6.0);
    }
    assert_eq!(seven.until(20)[0].severity, "CRITICAL");
    seven.tick("AAPL", 30, 0.0);
    assert_eq!(seven.until(300), []);
    // Each judgement needs a price of some member: the group is looked at when one moves.
    seven.tick("AAPL", 632, 0.0);
    let said = seven.until(700);
    assert_eq!(said.iter().map(|a| (a.kind, a.severity)).collect::<Vec<_>>(), [(Deescalate, "WATCH")]);
    seven.tick("NVDA", 720, 0.0);
    seven.tick("GOOGL", 720, 0.0);
    seven.tick("AAPL", 1400, 0.0);
    let said = seven.until(1500);
    assert_eq!(said.iter().map(|a| a.kind).collect::<Vec<_>>(), [Close]);
}

#[test]
fn a_partition_never_heard_from_holds_the_group() {
    let mut seven = Seven::new();
    for symbol in ["NVDA", "GOOGL", "AAPL"] {
        seven.tick(symbol, 10, -6.0);
    }
    seven.heartbeat(seven.open.plus(60 * SEC));
    seven.run.engine.advance(Watermark::Partitions, &[0, 1], &mut seven.run.effects);
    assert_eq!(seven.group(), []);
    let beat = format!(r#"{{"type":"heartbeat","ts":{}}}"#, seven.open.plus(60 * SEC).0);
    seven.run.json_at(&beat, 1, None);
    seven.run.engine.advance(Watermark::Partitions, &[0, 1], &mut seven.run.effects);
    assert_eq!(seven.group().len(), 1);
}

#[test]
fn the_closes_confirm_or_fade_the_group() {
    for (z, kind, state) in [(-6.0, Confirm, AlertState::Confirmed), (-1.0, Fade, AlertState::Faded)] {
        let mut seven = Seven::new();
        for symbol in ["NVDA", "GOOGL", "AAPL"] {
            seven.tick(symbol, 10, -6.0);
        }
        assert_eq!(seven.until(30).len(), 1);
        for symbol in SEVEN {
            let z = if ["NVDA", "GOOGL", "AAPL"].contains(&symbol) { z } else { 0.0 };
            seven.run.applied(&close(symbol, DAY, 100.0 * (z * 0.02_f64).exp()));
        }
        assert_eq!(seven.until(31), [], "the session is not over for the watermark");
        let said = seven.until(6 * 3600 + 1800);
        assert_eq!((said.len(), said[0].kind, said[0].state), (1, kind, state));
        assert_eq!(said[0].revision, 1);
        assert_eq!(said[0].event_time, seven.run.session(DAY).close);
    }
}

/// What stood in the last interval before the close, or before the night, is judged whether or not the
/// watermark happened to pass between that price and the next record.
#[test]
fn the_last_price_before_a_close_or_a_night_counts() {
    let story = |advances: bool, closes: bool| {
        let mut seven = Seven::new();
        let length = 6 * 3600 + 1800;
        for symbol in SEVEN {
            let z = if ["NVDA", "GOOGL", "AAPL"].contains(&symbol) { -6.0 } else { 0.0 };
            seven.tick(symbol, length - 1, z);
        }
        let mut said = Vec::new();
        if advances {
            said.extend(seven.until(length));
        }
        if closes {
            for symbol in SEVEN {
                seven.run.applied(&close(symbol, DAY, 100.0));
            }
        }
        let next = seven.run.calendar.next_after(seven.run.session(DAY).date).unwrap().open;
        for symbol in SEVEN {
            seven.run.applied(&tick(symbol, next, 100.0));
        }
        seven.heartbeat(next.plus(MIN));
        seven.run.engine.advance(Watermark::Partitions, &[0], &mut seven.run.effects);
        said.extend(seven.group());
        said.into_iter().map(|a| (a.kind, a.state, a.severity, a.event_time)).collect::<Vec<_>>()
    };
    for closes in [true, false] {
        let with = story(true, closes);
        assert_eq!(with[0].0, Open, "closes: {closes}");
        assert_eq!(story(false, closes), with, "closes: {closes}");
    }
}

fn member(kind: &str, symbol: &str, from: &str, company: Option<&str>) -> String {
    let company = company.map_or_else(String::new, |c| format!(r#","company":"{c}""#));
    format!(r#"{{"type":"{kind}","group":"mag7","symbol":"{symbol}","from":"{from}"{company}}}"#)
}

/// Two share classes of one company are one member: one breach, one weight, one loss, and one leader.
#[test]
fn a_company_counts_once() {
    let mut seven = Seven::new();
    for record in [
        r#"{"type":"reference","symbol":"GOOG","prev_close":100,"sigma_daily":0.02}"#,
        r#"{"type":"shares","symbol":"GOOG","session":"2025-02-11","shares_outstanding":500000}"#,
        &member("member", "GOOG", DAY, Some("Alphabet")),
        &member("member", "GOOGL", DAY, Some("Alphabet")),
    ] {
        seven.run.applied(record);
    }
    assert_eq!(seven.run.json(&member("member", "GOOG", DAY, Some("Alphabet"))).reason, "duplicate");
    seven.tick("GOOG", 10, -6.0);
    seven.tick("GOOGL", 11, -4.0);
    assert_eq!(seven.until(12), [], "one company is not a group");
    seven.tick("NVDA", 13, -6.0);
    let said = seven.until(14);
    let cluster = said[0].cluster.as_ref().unwrap();
    let leg = |name: &str| cluster.legs.iter().find(|l| l.name == name).unwrap().value.unwrap();
    assert_eq!(leg("members_in_breach").to_bits(), 2.0_f64.to_bits());
    // 1.5 of 7.5 weights at the larger class's -4, 1 of 7.5 at -6.
    assert!((leg("rms_z") - ((1.5 * 16.0 + 36.0) / 7.5_f64).sqrt()).abs() < 1e-9);
    let usd = said[0].usd.as_ref().unwrap().market_value_change;
    let expected = 0.5e8 * (-0.12_f64).exp_m1() + 1e8 * (-0.08_f64).exp_m1() + 1e8 * (-0.12_f64).exp_m1();
    assert!((usd / expected - 1.0).abs() < 1e-9, "{usd} {expected}");
    assert_eq!(cluster.members.len(), 7);
    let alphabet = cluster.members.iter().find(|m| m.symbol.as_str() == "GOOGL").unwrap();
    assert_eq!(alphabet.company.as_deref(), Some("Alphabet"));
    assert!((alphabet.z.unwrap() + 4.0).abs() < 1e-9);
    assert_eq!(alphabet.classes.iter().map(fragility::domain::Symbol::as_str).collect::<Vec<_>>(), ["GOOG", "GOOGL"]);
    // GOOG was first, so the company was.
    assert_eq!(initiator(&said[0]), ("GOOGL".to_owned(), vec!["NVDA".to_owned()]));
    // And it is still one after a restart.
    let image = seven.run.engine.image(&[0]);
    let mut engine = fragility::engine::Engine::new(bounded());
    engine.restore_groups(image.groups.clone());
    engine.restore_partition(UnixNanos(0), 0, &image.partitions[0].1);
    assert_eq!(engine.image(&[0]), image);
}

/// `from` is the first session inside, or outside; the sessions before are as they were.
#[test]
fn memberships_begin_and_end_with_a_session() {
    let mut run = Run::new(bounded());
    let days: Vec<String> =
        run.calendar.sessions().iter().filter(|s| s.date >= date(DAY)).take(4).map(|s| s.date.to_string()).collect();
    run.applied(&member("member", "IBM", &days[1], None));
    run.applied(&member("leave", "IBM", &days[3], None));
    for day in &days {
        for symbol in SEVEN.into_iter().chain(["IBM"]) {
            run.close(symbol, day, 100.0);
        }
    }
    run.engine.advance(Watermark::End, &[], &mut run.effects);
    let inside: Vec<usize> = run.engine.group_closes().values().map(|views| views[0].members.len()).collect();
    assert_eq!(inside, [7, 8, 8, 7]);
    // Known in mid-session, it is a correction of the session at hand.
    let open = run.session(&days[3]).close.plus(20 * 3600 * SEC);
    let session = run.calendar.next_after(date(&days[3])).unwrap().date.to_string();
    run.tick("AAPL", open, 100.0);
    run.tick("AAPL", open.plus(MIN), 100.0);
    run.engine.advance(Watermark::End, &[], &mut run.effects);
    assert_eq!(run.engine.groups()[0].members.len(), 7);
    run.applied(&member("member", "IBM", &session, None));
    assert_eq!(run.engine.groups()[0].members.len(), 8);
    run.applied(&member("leave", "AAPL", &session, None));
    assert_eq!(run.engine.groups()[0].members.len(), 7);
}

/// A reference topic has partitions, so its records come in any order: the group's past is the same.
#[test]
fn history_in_any_order_gives_the_same_group() {
    let confirmed = |order: fn(&mut Vec<String>)| {
        let mut run = Run::new(bounded());
        let past: Vec<String> =
            run.calendar.sessions().iter().filter(|s| s.date < date(DAY)).map(|s| s.date.to_string()).collect();
        let mut records = Vec::new();
        for (at, session) in (0_i32..).zip(&past[past.len() - 30..]) {
            for (member, symbol) in (0_i32..).zip(SEVEN) {
                records.push(close(symbol, session, 100.0 + f64::from((at * 7 + member * 3) % 5)));
                let shares = 1_000_000 + 10_000 * (at + member);
                records.push(format!(
                    r#"{{"type":"shares","symbol":"{symbol}","session":"{session}","shares_outstanding":{shares}}}"#
                ));
            }
        }
        order(&mut records);
        for record in &records {
            let Ok(Observation::Reference(record)) = decode(record.as_bytes()) else { panic!("{record}") };
            run.engine.apply_reference(Channel::Initial, &record, &mut Effects::default());
        }
        run.engine.history_loaded();
        for symbol in SEVEN {
            run.close(symbol, DAY, 80.0);
        }
        run.engine.advance(Watermark::End, &[], &mut run.effects);
        let said = run.said();
        let group = said.into_iter().find(|a| matches!(a.entity, Entity::Cluster(_))).unwrap();
        assert!(group.cluster.as_ref().unwrap().legs.iter().all(|l| l.value.is_ok()), "{group:?}");
        format!("{group:?}")
    };
    let in_order = confirmed(|_| {});
    assert_eq!(confirmed(|records| records.reverse()), in_order);
    assert_eq!(confirmed(|records| records.sort()), in_order);
}
