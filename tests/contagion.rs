//! How shocks excite and follow each other, against numpy, scipy and pandas. See `golden/README.md` for how the expected
//! values were made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::cluster::{Contagion, ContagionDay, ContagionParams};
use fragility::domain::UnixNanos;
use fragility::estimators::{FitRefusal, HawkesEvent, HawkesParams, fit_hawkes};
use harness::{date, text};
use std::collections::BTreeMap;

/// The rows of a table, by column.
fn table(path: &str) -> Vec<BTreeMap<String, String>> {
    let text = text(path);
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let header: Vec<String> = lines.next().unwrap().collect();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

/// Known and within `relative`, or unknown on both sides.
fn check(what: &str, got: Option<f64>, expected: &str, relative: f64) {
    let expected: Option<f64> = (!expected.is_empty()).then(|| expected.parse().unwrap());
    let is_equal = match (got, expected) {
        (None, None) => true,
        (Some(g), Some(e)) => (g - e).abs() <= relative * e.abs().max(1e-3),
        _ => false,
    };
    assert!(is_equal, "{what}: got {got:?}, expected {expected:?}");
}

fn numbers(cell: &str) -> Vec<f64> {
    cell.split(' ').map(|x| x.parse().unwrap()).collect()
}

/// The simulated events as they are, and of each stock the sessions of three sigmas.
fn hawkes_events() -> BTreeMap<String, Vec<HawkesEvent>> {
    let mut all: BTreeMap<String, Vec<HawkesEvent>> = BTreeMap::new();
    for row in table("tests/golden/hawkes_events.csv") {
        let event = HawkesEvent {
            time: row["time"].parse().unwrap(),
            kind: row["kind"].parse().unwrap(),
            mark: row["mark"].parse().unwrap(),
        };
        all.entry(row["case"].clone()).or_default().push(event);
    }
    let rows = table("tests/golden/megacaps30_daily_z.csv.zst");
    let mut places: BTreeMap<&str, u32> = BTreeMap::new();
    // Sessions of any stock in a pool, and how many of its stocks break.
    let mut pools: [(&str, BTreeMap<&str, f64>); 2] = [("BANKS", BTreeMap::new()), ("ALL", BTreeMap::new())];
    for row in &rows {
        let place = places.entry(&row["symbol"]).or_default();
        let is_event = row["z"].parse::<f64>().is_ok_and(|z| z.abs() >= 3.0);
        if is_event {
            let event = HawkesEvent { time: f64::from(*place), kind: 0, mark: 1.0 };
            all.entry(row["symbol"].clone()).or_default().push(event);
        }
        *place += 1;
        for (name, sessions) in &mut pools {
            if *name == "ALL" || ["BAC", "C", "JPM"].contains(&&*row["symbol"]) {
                *sessions.entry(&row["session"]).or_default() += f64::from(u8::from(is_event));
            }
        }
    }
    for (name, sessions) in pools {
        let events = (0..).zip(sessions.values()).filter(|(_, mark)| **mark > 0.0);
        let event = |(time, mark): (u32, &f64)| HawkesEvent { time: f64::from(time), kind: 0, mark: *mark };
        all.insert(name.to_owned(), events.map(event).collect());
    }
    all
}

/// Likelihoods, and their maxima on simulated events of one and two kinds and on the days of three sigmas since 1999.
#[test]
fn excitation_is_fitted_as_by_scipy() {
    let events = hawkes_events();
    let mut verdicts: BTreeMap<String, u32> = BTreeMap::new();
    for row in table("tests/golden/hawkes_fits.csv") {
        let case = &row["case"];
        let events = &events[case];
        assert_eq!(events.len().to_string(), row["events"], "{case}");
        let horizon: f64 = row["horizon"].parse().unwrap();
        let (mu, alpha, beta) = (numbers(&row["mu"]), numbers(&row["alpha"]), row["beta"].parse::<f64>().unwrap());
        let half = |xs: &[f64]| xs.iter().map(|x| 0.5 * x).collect();
        for (scaled, expected) in [
            (HawkesParams::new(mu.clone(), alpha.clone(), beta), "log_likelihood"),
            (HawkesParams::new(half(&mu), half(&alpha), 0.5 * beta), "at_half"),
        ] {
            let got = scaled.unwrap().log_likelihood(events, horizon);
            check(&format!("{case} {expected}"), got, &row[expected], 1e-9);
        }
        let got = fit_hawkes(mu.len(), events, horizon);
        let verdict = got.as_ref().map_or_else(|refused: &FitRefusal| refused.name(), |_| "FITTED");
        assert_eq!(verdict, row["verdict"], "{case}: {got:?}");
        *verdicts.entry(verdict.to_owned()).or_default() += 1;
        let Ok(fit) = got else { continue };
        check(case, Some(fit.log_likelihood), &row["log_likelihood"], 1e-8);
        check(case, Some(fit.branching_ratio), &row["branching_ratio"], 1e-3);
        check(case, Some(fit.params.beta()), &row["beta"], 1e-3);
        for (got, expected) in fit.params.mu().iter().chain(fit.params.alpha()).zip(mu.iter().chain(&alpha)) {
            check(case, Some(*got), &expected.to_string(), 1e-3);
        }
    }
    assert!(verdicts["FITTED"] >= 10 && verdicts.len() >= 3, "{verdicts:?}");
}

/// Four years of the Magnificent 7 among the 50 largest, every session.
#[test]
fn lift_and_follow_through_are_those_of_pandas() {
    let legs = table("data/mag7_legs_2021_2024.csv");
    let expected = table("tests/golden/contagion.csv");
    assert_eq!((legs.len(), expected.len()), (965, 965));
    let mut contagion = Contagion::new(ContagionParams::default());
    let mut previous = None;
    let (mut with_lift, mut forecasts) = (0, 0);
    for (leg, row) in legs.iter().zip(&expected) {
        let session = date(&leg["session"]);
        let number = |name: &str| leg[name].parse::<f64>().unwrap();
        let day = ContagionDay {
            session,
            previous,
            open: UnixNanos(0),
            close: UnixNanos(1),
            member_breached: Ok(number("members_breached") > 0.0),
            breadth: Ok((number("top50_up") + number("top50_down")) / number("top50_valid")),
            others_breadth: Err(fragility::domain::Unknown::NotComputed),
            lines: [7, 43],
            breaches: None,
        };
        assert!(contagion.close(&day));
        previous = Some(session);
        let view = contagion.view();
        let what = |name: &str| format!("{} {name}", leg["session"]);
        let near = |name: &str, got: Option<f64>| check(&what(name), got, &row[name], 1e-9);
        let lift = view.lift.ok();
        for (arm, of) in [("breach", lift.map(|l| l.breach)), ("none", lift.map(|l| l.none))] {
            near(&format!("{arm}_p"), of.map(|a| a.probability));
            near(&format!("{arm}_low"), of.map(|a| a.interval[0]));
            near(&format!("{arm}_high"), of.map(|a| a.interval[1]));
            let Some(of) = of else { continue };
            let counts = (of.sessions.to_string(), of.broad.to_string());
            assert_eq!(counts, (row[&format!("{arm}_sessions")].clone(), row[&format!("{arm}_broad")].clone()));
        }
        near("lift", lift.and_then(|l| l.lift.ok()));
        let follow = view.follow_through;
        near("expected", follow.open.map(|f| f.breadth));
        near("probability", follow.open.map(|f| f.broad_probability));
        near("base", follow.open.map(|f| f.base_breadth));
        near("base_probability", follow.open.map(|f| f.base_probability));
        near("absolute_error", follow.absolute_error.ok());
        near("base_absolute_error", follow.base_absolute_error.ok());
        near("brier", follow.brier.ok());
        near("base_brier", follow.base_brier.ok());
        let counts = (follow.followed.to_string(), follow.scored.to_string(), follow.lapsed);
        assert_eq!(counts, (row["followed"].clone(), row["scored"].clone(), 0), "{}", leg["session"]);
        with_lift += u32::from(lift.is_some_and(|l| l.lift.is_ok()));
        forecasts += u32::from(follow.open.is_some());
    }
    assert!(with_lift > 800 && forecasts > 20, "{with_lift} {forecasts}");
}
