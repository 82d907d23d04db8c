//! The time of day: adjusted multiples, moves of the last seconds, opening prices, and what lasts.

use crate::harness::{MIN, Run, SEC, date, params_with, params_without_groups, utc};
use crate::scene::{DAY, SYMBOL, Scene, warm};
use fragility::codec::encode_alert;
use fragility::domain::{Alert, AlertKind, Outcome, Phase, Reading, UnixNanos, Unknown};
use fragility::engine::{Params, SymbolView};

/// The shipped curve and overnight share, as the configuration file has them.
const SHARES: [f64; 13] = [0.171, 0.134, 0.096, 0.074, 0.067, 0.055, 0.047, 0.047, 0.051, 0.06, 0.057, 0.058, 0.083];
const OVERNIGHT: f64 = 0.35;

/// Share of the regular session's variance after so many half hours of a full session.
fn curve(half_hours: f64) -> f64 {
    (0..13).zip(SHARES).map(|(n, share)| share * (half_hours - f64::from(n)).clamp(0.0, 1.0)).sum()
}

fn elapsed(half_hours: f64) -> f64 {
    OVERNIGHT + (1.0 - OVERNIGHT) * curve(half_hours)
}

fn near(got: Reading, expected: f64, what: &str) {
    assert!(got.is_ok_and(|g| (g / expected - 1.0).abs() < 1e-9), "{what}: {got:?}, expected {expected}");
}

fn view(run: &Run) -> SymbolView {
    run.engine.symbol(SYMBOL).unwrap()
}

fn json(alert: &Alert) -> serde_json::Value {
    let mut bytes = Vec::new();
    encode_alert(alert, &mut bytes);
    serde_json::from_slice(&bytes).unwrap()
}

/// A move of two sigmas at an instant, on a day that opens when another calendar library says it does.
fn check_adjusted(day: &str, at: &str, elapsed: f64) {
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, day);
    run.tick(SYMBOL, utc(at), 100.0);
    run.tick(SYMBOL, utc(at), run.price_at(SYMBOL, 2.0));
    let view = view(&run);
    assert_eq!(view.session, Some(date(day)), "{at}");
    near(view.z_adjusted, view.z.unwrap() / elapsed.sqrt(), at);
    near(view.ruler.map(|r| r.elapsed), elapsed, at);
}

#[test]
fn multiples_are_adjusted_for_the_time_of_day_on_every_kind_of_day() {
    // Winter, and the first session after New York's clocks go forward.
    check_adjusted("2025-03-07", "2025-03-07T14:30:00Z", elapsed(0.0));
    check_adjusted("2025-03-07", "2025-03-07T15:15:00Z", elapsed(1.5));
    check_adjusted("2025-03-10", "2025-03-10T13:30:00Z", elapsed(0.0));
    check_adjusted("2025-03-10", "2025-03-10T14:15:00Z", elapsed(1.5));
    // Europe's change moves nothing.
    check_adjusted("2025-03-28", "2025-03-28T19:59:00Z", elapsed(13.0 - 1.0 / 30.0));
    check_adjusted("2025-03-31", "2025-03-31T19:59:00Z", elapsed(13.0 - 1.0 / 30.0));
    // Autumn: Europe's, then New York's.
    check_adjusted("2025-10-24", "2025-10-24T15:30:00Z", elapsed(4.0));
    check_adjusted("2025-10-27", "2025-10-27T15:30:00Z", elapsed(4.0));
    check_adjusted("2025-10-31", "2025-10-31T15:30:00Z", elapsed(4.0));
    check_adjusted("2025-11-03", "2025-11-03T16:30:00Z", elapsed(4.0));
    // A half day of 210 minutes runs through the same curve: 42 minutes are a fifth of it.
    check_adjusted("2024-11-29", "2024-11-29T15:12:00Z", elapsed(2.6));
    check_adjusted("2025-07-03", "2025-07-03T14:12:00Z", elapsed(2.6));
    // 04:00, and half of the way to the open.
    check_adjusted("2025-03-10", "2025-03-10T08:00:00Z", 0.1);
    check_adjusted("2025-03-10", "2025-03-10T10:45:00Z", 0.225);
    // The night before.
    check_adjusted("2025-03-10", "2025-03-09T15:00:00Z", 0.1);
}

#[test]
fn an_alert_carries_both_multiples_and_what_lies_between() {
    let mut scene = Scene::open_of(DAY);
    scene.z(15 * 60, 3.2);
    let said = scene.run.engine.symbol(SYMBOL).unwrap();
    let f = elapsed(0.5);
    near(said.z_adjusted, said.z.unwrap() / f.sqrt(), "view");
    scene.price(scene.at(20 * 60), scene.at_z(4.1));
    let alert = scene.said().pop().unwrap();
    assert_eq!(alert.kind, AlertKind::Escalate);
    let f = elapsed(2.0 / 3.0);
    near(alert.z_adjusted, alert.z.unwrap() / f.sqrt(), "alert");
    assert!(alert.quality.iter().any(|q| &**q == "RULER_DEFAULT"), "{:?}", alert.quality);
    let record = json(&alert);
    assert_eq!(record["z_adjusted"], ((4.1 / f.sqrt()) * 1e4).round() / 1e4);
    let ruler = &record["ruler"];
    assert!((ruler["elapsed"].as_f64().unwrap() - f).abs() < 1e-12);
    assert_eq!(
        (&ruler["overnight"], &ruler["basis"], &ruler["overnight_sessions"], &ruler["curve_sessions"]),
        (&0.35.into(), &"default".into(), &0.into(), &0.into())
    );
    // The close is measured against the whole day, whatever the curve.
    let price = scene.at_z(4.5);
    let confirm = scene.close(price).pop().unwrap();
    assert_eq!(confirm.z_adjusted, confirm.z);
    assert_eq!(confirm.windows, Err(Unknown::OutsideRegular));
    assert_eq!(confirm.survival, Err(Unknown::Settled));
    assert!(!confirm.quality.iter().any(|q| &**q == "RULER_DEFAULT"));
}

#[test]
fn a_ruler_needs_a_calendar_a_session_and_a_sigma() {
    let mut run = Run::new(params_with("[market]\ncalendar = \"none\"\n"));
    run.applied(&format!(r#"{{"type":"reference","symbol":"{SYMBOL}","prev_close":100,"sigma_daily":0.01}}"#));
    run.tick(SYMBOL, UnixNanos(1_738_161_000_000_000_000), 110.0);
    let alert = run.said().pop().unwrap();
    let gap = Some(Unknown::NoCalendar);
    assert_eq!(
        (alert.z_adjusted.err(), alert.ruler.err(), alert.windows.err(), alert.survival.err()),
        (gap, gap, gap, gap)
    );
    let record = json(&alert);
    for field in ["z_adjusted", "ruler", "windows", "survival"] {
        assert_eq!(
            (&record[field], &record["unknown"][field]),
            (&serde_json::Value::Null, &"NO_CALENDAR".into()),
            "{field}"
        );
    }
    let mut cold = Run::new(params_without_groups());
    cold.tick(SYMBOL, utc("2025-02-12T15:00:00Z"), 100.0);
    assert_eq!(view(&cold).z_adjusted, Err(Unknown::NoReference));
    assert!(view(&cold).ruler.is_ok());
}

/// Lengths, moves and multiples of the windows of the newest price.
fn windows(run: &Run) -> [(Reading, Reading); 3] {
    view(run).windows.unwrap().map(|w| (w.log_return, w.z))
}

/// The deviation expected between two instants, in minutes after the open of a session of so many minutes.
fn deviation(run: &Run, length: f64, from: f64, to: f64) -> f64 {
    let at = |minutes: f64| curve(minutes / length * 13.0);
    view(run).sigma_daily.unwrap() * ((1.0 - OVERNIGHT) * (at(to) - at(from))).sqrt()
}

#[test]
fn moves_of_the_last_seconds_have_their_own_deviation() {
    for (day, length) in [(DAY, 390.0), ("2024-11-29", 210.0)] {
        let mut scene = Scene::open_of(day);
        // Prices at 1 s, 200 s, 355 s and 399.5 s; asked at 400.25 s.
        for (ms, price) in [(1_000, 100.1), (200_000, 100.4), (355_000, 100.2), (399_500, 100.9), (400_250, 101.5)] {
            scene.price(scene.session.open.plus(ms * 1_000_000), price);
        }
        let got = windows(&scene.run);
        // Grid points at 390 s, 336 s and 90 s, with the prices in force there.
        for (window, (from, before)) in [(390.0, 100.2), (336.0, 100.4), (90.0, 100.1)].into_iter().enumerate() {
            let (move_, z) = got[window];
            let expected = (101.5_f64 / before).ln();
            near(move_, expected, &format!("{day} window {window}"));
            let deviation = deviation(&scene.run, length, from / 60.0, 400.25 / 60.0);
            near(z, expected / deviation, &format!("{day} z of window {window}"));
        }
    }
}

#[test]
fn a_window_is_unknown_until_it_has_filled_and_outside_the_regular_session() {
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, DAY);
    let session = run.session(DAY);
    run.tick(SYMBOL, session.open.plus(-5 * MIN), 100.0);
    assert_eq!(view(&run).windows, Err(Unknown::OutsideRegular));
    run.tick(SYMBOL, session.open.plus(2 * SEC), 100.0);
    let known = |run: &Run| windows(run).map(|(m, _)| m.is_ok());
    assert_eq!(windows(&run).map(|(m, z)| (m.err(), z.err())), [(Some(Unknown::NotYet), Some(Unknown::NotYet)); 3]);
    for (secs, expected) in [
        (11, [false, false, false]),
        (12, [true, false, false]),
        (65, [true, false, false]),
        (66, [true, true, false]),
        (329, [true, true, false]),
        (330, [true, true, true]),
    ] {
        run.tick(SYMBOL, session.open.plus(secs * SEC), 100.0);
        assert_eq!(known(&run), expected, "{secs} s after the open");
    }
    run.tick(SYMBOL, session.close, 100.0);
    assert_eq!(view(&run).phase, Phase::Post);
    assert_eq!(view(&run).windows, Err(Unknown::OutsideRegular));
    // The next morning starts anew.
    run.close(SYMBOL, DAY, 100.0);
    let next = run.session("2025-02-13");
    run.tick(SYMBOL, next.open, 101.0);
    assert_eq!(known(&run), [false; 3]);
}

fn bar(interval: &str, start: UnixNanos, open: f64, close: f64) -> String {
    let (low, high) = (open.min(close), open.max(close));
    format!(
        r#"{{"type":"bar","symbol":"{SYMBOL}","ts":{},"interval":"{interval}","open":{open},"high":{high},"low":{low},"close":{close}}}"#,
        start.0
    )
}

#[test]
fn bars_fill_the_windows_that_they_are_not_longer_than() {
    let coarse = Some(Unknown::TooCoarse);
    for (interval, length, expected) in
        [("1m", MIN, [coarse, None, None]), ("5m", 5 * MIN, [coarse, coarse, None]), ("1h", 60 * MIN, [coarse; 3])]
    {
        let mut run = Run::new(params_without_groups());
        warm(&mut run, SYMBOL, DAY);
        let open = run.session(DAY).open;
        for n in 0..6_i32 {
            let close = 100.0 + 0.1 * f64::from(n + 1);
            run.applied(&bar(interval, open.plus(i64::from(n) * length), close - 0.1, close));
        }
        let got = windows(&run);
        assert_eq!(got.map(|(m, _)| m.err()), expected, "{interval}");
        let minutes = (6 * length / MIN) as f64;
        for (window, back) in [(1, 1), (2, 5)] {
            let bars_back = i64::from(back) * MIN / length;
            if got[window].0.is_ok() {
                let before = 100.6 - 0.1 * bars_back as f64;
                near(got[window].0, (100.6 / before).ln(), interval);
                let deviation = deviation(&run, 390.0, minutes - f64::from(back), minutes);
                near(got[window].1, (100.6 / before).ln() / deviation, interval);
            }
        }
        let end = view(&run).event_time;
        assert_eq!(end, open.plus(6 * length));
        near(view(&run).ruler.map(|r| r.elapsed), elapsed(minutes / 30.0), interval);
    }
    // Ticks between the bars are not hidden by them.
    let mut run = Run::new(params_without_groups());
    warm(&mut run, SYMBOL, DAY);
    let open = run.session(DAY).open;
    for secs in (0..600).step_by(5) {
        run.tick(SYMBOL, open.plus(secs * SEC), 100.0);
    }
    run.applied(&bar("5m", open.plus(5 * MIN), 100.0, 100.3));
    assert_eq!(windows(&run).map(|(m, _)| m.is_ok()), [true; 3]);
}

/// Feeds a day row for each of the last `n` sessions before `day`, oldest first: an overnight move of `on` and an
/// intraday one of `id`, up and down in turn.
fn day_rows(run: &mut Run, day: &str, n: usize, on: f64, id: f64) -> f64 {
    let sessions: Vec<_> = run.calendar.sessions().iter().filter(|s| s.date < date(day)).map(|s| s.date).collect();
    let mut close = 100.0;
    for (at, session) in sessions[sessions.len() - n - 1..].iter().enumerate() {
        let side = if at % 2 == 0 { 1.0 } else { -1.0 };
        let open = close * f64::exp(side * on);
        let next = open * f64::exp(side * id);
        let (low, high) = (open.min(next), open.max(next));
        run.applied(&format!(
            r#"{{"type":"bar","interval":"1d","symbol":"{SYMBOL}","session":"{session}","ts":"{session}T00:00:00Z","open":{open},"high":{high},"low":{low},"close":{next}}}"#
        ));
        close = next;
    }
    run.said();
    close
}

#[test]
fn the_overnight_share_is_learned_from_63_sessions_and_held_within_bounds() {
    for (n, on, id, expected, known) in [
        (63, 0.01, 0.02, 0.2, 63),
        (62, 0.01, 0.02, OVERNIGHT, 0),
        (70, 0.02, 0.02, 0.5, 63),
        (63, 0.001, 0.02, 0.1, 63),
        (63, 0.02, 0.001, 0.6, 63),
    ] {
        let mut run = Run::new(params_without_groups());
        let close = day_rows(&mut run, DAY, n, on, id);
        run.tick(SYMBOL, run.session(DAY).open, close);
        let ruler = view(&run).ruler.unwrap();
        assert!((ruler.overnight - expected).abs() < 1e-9, "{n} {on} {id}: {ruler:?}");
        assert_eq!((ruler.overnight_sessions, ruler.curve_sessions), (known, 0));
        // The session's own close does not change the ruler it was measured with.
        run.close(SYMBOL, DAY, close);
        assert_eq!(view(&run).ruler.unwrap().overnight.to_bits(), ruler.overnight.to_bits());
    }
}

/// A session lived through after a closing price.
type Day<'a> = &'a dyn Fn(&mut Run, f64);

#[test]
fn the_open_is_the_first_regular_price() {
    // 62 day rows, and one session lived through: its open completes the 63.
    let lived = "2025-02-11";
    let ticks = |run: &mut Run, close: f64| {
        let open = run.session(lived).open;
        run.tick(SYMBOL, open.plus(-MIN), close * 1.4);
        run.tick(SYMBOL, open.plus(90 * SEC), close * f64::exp(0.03));
        run.tick(SYMBOL, open.plus(MIN), close * 1.2);
    };
    let minute_bars = |run: &mut Run, close: f64| {
        let open = run.session(lived).open;
        run.applied(&bar("1m", open.plus(-MIN), close, close));
        run.applied(&bar("1m", open, close * f64::exp(0.03), close));
    };
    // A bar from 09:00 to 10:00 does not know the price at 09:30, and then nobody does.
    let hour_bars = |run: &mut Run, close: f64| {
        let open = run.session(lived).open;
        run.applied(&bar("1h", open.plus(-30 * MIN), close * f64::exp(0.03), close));
        run.applied(&bar("1h", open.plus(30 * MIN), close, close));
    };
    let feeds: [(Day<'_>, bool); 3] = [(&ticks, true), (&minute_bars, true), (&hour_bars, false)];
    for (feed, is_known) in feeds {
        let mut run = Run::new(params_without_groups());
        let close = day_rows(&mut run, lived, 62, 0.01, 0.01);
        feed(&mut run, close);
        run.said();
        run.close(SYMBOL, lived, close * f64::exp(0.04));
        run.tick(SYMBOL, run.session(DAY).open, close);
        let ruler = view(&run).ruler.unwrap();
        let known = (62.0 * 1e-4 + 9e-4) / (2.0 * 62.0 * 1e-4 + 9e-4 + 1e-4);
        let expected = if is_known { (known, 63) } else { (OVERNIGHT, 0) };
        assert!((ruler.overnight - expected.0).abs() < 1e-9, "{ruler:?}");
        assert_eq!(ruler.overnight_sessions, expected.1);
    }
}

/// The forecast of a record at `z`, by the formula.
fn check_survival(alert: &Alert, z: f64, half_hours: f64) {
    let remaining = 1.0 - elapsed(half_hours);
    near(alert.survival, fragility::estimators::normal_cdf((z - 3.0) / remaining.sqrt()), "survival");
}

#[test]
fn forecasts_of_survival_are_marked_at_the_close_and_again_when_it_is_corrected() {
    let mut scene = Scene::open_of(DAY);
    scene.price(scene.at(30 * 60), scene.at_z(3.5));
    let open = scene.said().pop().unwrap();
    check_survival(&open, 3.5, 1.0);
    // Later records have forecasts of their own, which nobody marks.
    scene.price(scene.at(60 * 60), scene.at_z(4.2));
    let escalate = scene.said().pop().unwrap();
    check_survival(&escalate, 4.2, 2.0);
    // A reversal: the first ends, another opens downwards.
    scene.price(scene.at(90 * 60), scene.at_z(-3.0));
    let said = scene.said();
    let kinds: Vec<_> = said.iter().map(|a| (a.kind, a.direction.name())).collect();
    assert_eq!(kinds, [(AlertKind::Close, "up"), (AlertKind::Open, "down")]);
    check_survival(&said[0], -3.0, 3.0);
    near(said[1].survival, 0.5, "at the tier it is even");
    let score = |scene: &Scene| {
        let score = scene.run.engine.survival()[&date(DAY)];
        (score.forecasts, score.confirmed, score.brier().unwrap(), score.base_brier().unwrap())
    };
    let forecast = json(&open)["survival"].as_f64().unwrap();
    assert_eq!(json(&open)["survival_model"], "driftless_normal");
    let close = |got: (u32, u32, f64, f64), confirmed: u32, brier: f64, base: f64| {
        assert_eq!((got.0, got.1), (2, confirmed));
        assert!((got.2 - brier).abs() < 1e-12 && (got.3 - base).abs() < 1e-12, "{got:?} {brier} {base}");
    };
    scene.close(scene.at_z(3.1));
    let up = f64::midpoint((1.0 - forecast).powi(2), 0.25);
    close(score(&scene), 1, up, f64::midpoint(0.457_f64.powi(2), 0.543_f64.powi(2)));
    // The close is corrected to a quiet one: neither lasted.
    let record = format!(r#"{{"type":"close","symbol":"{SYMBOL}","session":"{DAY}","price":100.2}}"#);
    assert_eq!(scene.run.json(&record).outcome, Outcome::Applied);
    close(score(&scene), 0, f64::midpoint(forecast.powi(2), 0.25), 0.543_f64.powi(2));
}

#[test]
fn a_snapshot_keeps_windows_opens_and_forecasts() {
    let params: Params = params_without_groups();
    let mut scene = Scene::with(params.clone(), DAY);
    for secs in (0..900).step_by(7) {
        scene.price(scene.at(secs), 100.0 + (secs % 11) as f64 * 0.01);
    }
    scene.price(scene.at(901), scene.at_z(3.3));
    let image = scene.run.engine.image(&[0]);
    let mut second = fragility::engine::Engine::new(params);
    second.restore_groups(image.groups.clone());
    for (partition, image) in &image.partitions {
        second.restore_partition(UnixNanos(0), *partition, image);
    }
    assert_eq!(second.image(&[0]), image);
    let (kept, lost) = (second.symbol(SYMBOL).unwrap(), view(&scene.run));
    assert_eq!(kept, lost);
    assert!(kept.windows.unwrap().iter().all(|w| w.z.is_ok()));
}

/// A record that gives the first half hour all of the curve's weight, or its rest.
fn curve_record(target: &str, from: &str, first: f64, more: &str) -> String {
    let rest = (1.0 - first) / 12.0;
    let shares: Vec<String> = (0..13).map(|n| if n == 0 { first } else { rest }.to_string()).collect();
    format!(r#"{{"type":"curve",{target},"from":"{from}","shares":[{}]{more}}}"#, shares.join(","))
}

#[test]
fn a_learned_curve_holds_from_its_session_on_and_a_symbols_own_goes_before_its_groups() {
    let toml = format!("[groups.mag7]\nmembers = []\n[ruler.groups.tech]\nsymbols = [\"{SYMBOL}\"]\n");
    let (group, symbol) = (r#""group":"tech""#, format!(r#""symbol":"{SYMBOL}""#));
    let parts = |records: &[String]| {
        let mut run = Run::new(params_with(&toml));
        for record in records {
            run.applied(record);
            assert_eq!(run.json(record).outcome, Outcome::Duplicate);
        }
        warm(&mut run, SYMBOL, DAY);
        run.tick(SYMBOL, run.session(DAY).open.plus(30 * MIN), 100.0);
        let ruler = view(&run).ruler.unwrap();
        let image = run.engine.image(&[0]);
        let mut second = fragility::engine::Engine::new(params_with(&toml));
        second.restore_groups(image.groups.clone());
        assert_eq!(second.image(&[]).groups, image.groups, "curves are in the snapshot");
        (ruler.elapsed, ruler.overnight, ruler.overnight_sessions, ruler.curve_sessions)
    };
    let check = |records: &[String], expected: (f64, f64, usize, usize)| {
        let (elapsed, overnight, overnight_sessions, curve_sessions) = expected;
        let got = parts(records);
        assert!((got.0 - elapsed).abs() < 1e-12 && (got.1 - overnight).abs() < 1e-12, "{got:?}");
        assert_eq!((got.2, got.3), (overnight_sessions, curve_sessions), "{got:?}");
    };
    let both = r#","overnight":0.2,"sessions":70"#;
    let alone = r#","sessions":64"#;
    check(&[], (elapsed(1.0), OVERNIGHT, 0, 0));
    check(&[curve_record(group, "2025-02-13", 0.4, both)], (elapsed(1.0), OVERNIGHT, 0, 0));
    check(&[curve_record(group, DAY, 0.4, both)], (0.2 + 0.8 * 0.4, 0.2, 70, 70));
    check(&[curve_record(group, DAY, 0.4, alone)], (0.35 + 0.65 * 0.4, 0.35, 0, 64));
    let later = [curve_record(group, DAY, 0.4, both), curve_record(group, "2025-02-11", 0.5, both)];
    check(&later, (0.2 + 0.8 * 0.4, 0.2, 70, 70));
    let own = [curve_record(group, DAY, 0.4, both), curve_record(&symbol, "2025-01-02", 0.3, alone)];
    check(&own, (0.35 + 0.65 * 0.3, 0.35, 0, 64));
    // A learned share is held within its bounds, wherever it was learned.
    check(&[curve_record(group, DAY, 0.4, r#","overnight":0.05,"sessions":63"#)], (0.1 + 0.9 * 0.4, 0.1, 63, 63));
    let mut run = Run::new(params_with(&toml));
    let unknown = run.json(&curve_record(r#""group":"other""#, DAY, 0.4, both));
    assert_eq!((unknown.outcome, unknown.reason), (Outcome::Ignored, "unknown_group"));
}

#[test]
fn an_episode_that_expires_is_measured_against_the_whole_day() {
    let mut scene = Scene::open_of(DAY);
    scene.z(600, 3.2);
    let next = scene.run.session("2025-02-13").open;
    scene.price(next, 100.0);
    let expired = scene.said().pop().unwrap();
    assert_eq!((expired.kind, expired.phase), (AlertKind::Close, Phase::Regular));
    assert_eq!(expired.z_adjusted, expired.z);
    assert_eq!((expired.windows, expired.survival), (Err(Unknown::OutsideRegular), Err(Unknown::Settled)));
    assert_eq!(scene.run.engine.survival().len(), 0, "without a close nothing is marked");
}
