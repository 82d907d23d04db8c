use super::*;

fn day(n: i32) -> SessionDate {
    SessionDate::from_days(20_000 + n).unwrap()
}

fn moved(name: &str, simple: f64, weight: Option<f64>) -> SessionMove {
    SessionMove { symbol: Symbol::new(name).unwrap(), log_return: Ok(simple.ln_1p()), weight }
}

fn since(anchor: Anchor) -> Standings {
    Standings::new(StandingParams::since(anchor)).unwrap()
}

/// Feeds day `n` with a still benchmark and one member.
fn feed(standings: &mut Standings, n: i32, simple: f64) -> StandingLine {
    let fed = standings.feed(day(n), day(n - 1), Ok(0.0), &[moved("A", simple, Some(0.5))]);
    assert_eq!(fed, Feeding::Applied { dropped: 0 });
    standings.view().unwrap().lines[0].clone()
}

#[test]
fn a_class_is_entered_at_the_threshold_and_left_below_it() {
    let mut standings = since(Anchor::Since(day(1)));
    // Excess so far, and what that makes of the member.
    let steps = [
        (0.0099, Standing::Neutral),
        (0.0101, Standing::Engine),
        (0.0051, Standing::Engine),
        (0.0049, Standing::Neutral),
        (0.0099, Standing::Neutral),
        (0.02, Standing::Engine),
        (-0.0099, Standing::Neutral),
        (-0.0101, Standing::Drag),
        (-0.0051, Standing::Drag),
        (-0.0049, Standing::Neutral),
        (-0.02, Standing::Drag),
        (0.02, Standing::Engine),
    ];
    let mut level = 1.0;
    for (n, (excess, expected)) in (1..).zip(steps) {
        let line = feed(&mut standings, n, (1.0 + excess) / level - 1.0);
        level = 1.0 + excess;
        assert!((line.excess.unwrap() - excess).abs() < 1e-14);
        assert_eq!(line.standing, Ok(expected), "{n} {excess}");
        assert!((line.contribution.unwrap() - 0.5 * excess).abs() < 1e-14);
    }
    let view = standings.view().unwrap();
    assert_eq!((view.from, view.as_of, view.sessions), (Some(day(1)), day(12), 12));
    assert_eq!((view.engines, view.drags), (1, 0));
    assert!((view.index_without.unwrap() - (-0.01) / 0.5).abs() < 1e-14);
}

#[test]
fn who_falls_less_than_the_index_is_no_engine() {
    let mut standings = since(Anchor::Since(day(1)));
    let fed = |s: &mut Standings, n, benchmark: f64, a: f64| {
        s.feed(day(n), day(n - 1), Ok(benchmark.ln_1p()), &[moved("A", a, None)]);
        s.view().unwrap().lines[0].clone()
    };
    let line = fed(&mut standings, 1, -0.05, -0.01);
    assert_eq!((line.standing, line.contribution), (Ok(Standing::Neutral), Err(Unknown::NoWeights)));
    assert_eq!(fed(&mut standings, 2, 0.0, 0.02).standing, Ok(Standing::Engine));
    assert_eq!(fed(&mut standings, 3, 0.0, -0.02).standing, Ok(Standing::Neutral), "it no longer adds");
}

#[test]
fn a_year_counts_from_its_first_session_and_begins_anew() {
    let at = |text: &str| text.parse::<SessionDate>().unwrap();
    let mut standings = since(Anchor::Year);
    let dates = ["2024-12-30", "2024-12-31", "2025-01-02", "2025-01-03"].map(at);
    let mut seen = Vec::new();
    for pair in dates.windows(2) {
        standings.feed(pair[1], pair[0], Ok(0.0), &[moved("A", 0.02, Some(0.5))]);
        let view = standings.view().unwrap();
        seen.push((view.from, view.lines[0].standing));
    }
    let engine = (Some(dates[2]), Ok(Standing::Engine));
    assert_eq!(seen, [(None, Err(Unknown::Warming)), engine, engine]);
    assert!((standings.view().unwrap().lines[0].simple_return.unwrap() - (1.02_f64 * 1.02 - 1.0)).abs() < 1e-14);
}

#[test]
fn a_trailing_window_forgets_and_needs_its_length() {
    let mut standings = since(Anchor::Trailing(3));
    let steps = [(0.02, None), (0.02, None), (0.0, Some(1.02 * 1.02)), (0.0, Some(1.02)), (0.0, Some(1.0))];
    for (n, (simple, level)) in (1..).zip(steps) {
        let line = feed(&mut standings, n, simple);
        match level {
            None => assert_eq!(line.simple_return, Err(Unknown::Warming)),
            Some(level) => assert!((line.simple_return.unwrap() - (level - 1.0)).abs() < 1e-14, "{n}"),
        }
    }
    assert_eq!(standings.view().unwrap().from, Some(day(3)));
}

#[test]
fn gaps_and_missing_returns_are_unknown() {
    let mut standings = since(Anchor::Since(day(1)));
    feed(&mut standings, 1, 0.02);
    let silent = SessionMove { log_return: Err(Unknown::NoClose), ..moved("A", 0.0, Some(0.5)) };
    standings.feed(day(2), day(1), Ok(0.0), &[silent, moved("B", 0.5, None)]);
    let view = standings.view().unwrap();
    assert_eq!(view.lines[0].standing, Err(Unknown::NoClose));
    assert_eq!(view.lines[1].standing, Err(Unknown::Warming), "joined after the anchor");
    assert_eq!(feed(&mut standings, 3, 0.02).standing, Err(Unknown::NoClose));
    assert_eq!(standings.view().unwrap().lines.len(), 1, "B is no member any more");
    // A session that was not told.
    let mut standings = since(Anchor::Since(day(1)));
    feed(&mut standings, 1, 0.02);
    assert_eq!(feed(&mut standings, 3, 0.02).simple_return, Err(Unknown::MissingSession));
    let mut standings = since(Anchor::Trailing(1));
    feed(&mut standings, 1, 0.02);
    assert!(feed(&mut standings, 3, 0.02).standing.is_ok(), "a window begins anew");
    assert_eq!(standings.feed(day(3), day(2), Ok(0.0), &[]), Feeding::Refused);
    assert_eq!(standings.feed(day(5), day(5), Ok(0.0), &[]), Feeding::Refused);
}

#[test]
fn parameters_and_numbers_are_bounded() {
    let of = |anchor, threshold, hysteresis| Standings::new(StandingParams { anchor, threshold, hysteresis });
    for bad in [
        of(Anchor::Trailing(0), 0.01, 0.0),
        of(Anchor::Trailing(253), 0.01, 0.0),
        of(Anchor::Year, 0.0, 0.0),
        of(Anchor::Year, f64::NAN, 0.0),
        of(Anchor::Year, 0.01, 0.02),
        of(Anchor::Year, 0.01, -0.1),
    ] {
        assert_eq!(bad, None);
    }
    let mut standings = since(Anchor::Trailing(1));
    let moves: Vec<_> = (0..1_030).map(|n| moved(&format!("S{n:04}"), 0.0, None)).collect();
    assert_eq!(standings.feed(day(1), day(0), Ok(0.0), &moves), Feeding::Applied { dropped: 6 });
}
