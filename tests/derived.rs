//! Contributions, engines and drags, idiosyncratic multiples and volatility legs against pandas and numpy on real days.
//! See `golden/README.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the agreement found, shown by `--nocapture`")]

mod harness;

use fragility::cluster::MemberReading;
use fragility::cluster::derived::{
    Anchor, IndexContributions, LegSide, SessionMove, StandingParams, Standings, VolatilityLegs, idiosyncratic_z,
};
use fragility::domain::{Reading, SessionDate, Symbol, UnixNanos, Unknown};
use harness::{date, text};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Fourteen digits are stored; sums of at most 252 terms in another order lie between.
const ALLOWED: f64 = 1e-9;

const MAG7: [&str; 7] = ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA"];

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

/// A table's rows by the names of its columns.
fn table(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = text(name);
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| header.iter().zip(line.split(',')).map(|(h, c)| ((*h).to_owned(), c.to_owned())).collect();
    lines.map(row).collect()
}

/// Compares readings with cells, and remembers the largest gap.
#[derive(Default)]
struct Gaps {
    worst: f64,
    known: usize,
}

impl Gaps {
    fn check(&mut self, what: &str, got: Reading, cell: &str) {
        let expected: Option<f64> = (!cell.is_empty()).then(|| cell.parse().unwrap());
        match (got, expected) {
            (Err(_), None) => {}
            (Ok(got), Some(expected)) => {
                let gap = (got - expected).abs() / expected.abs().max(1e-4);
                assert!(gap <= ALLOWED, "{what}: {got}, expected {expected}");
                self.worst = self.worst.max(gap);
                self.known += 1;
            }
            _ => panic!("{what}: {got:?}, expected {expected:?}"),
        }
    }
}

type Wide = BTreeMap<SessionDate, BTreeMap<String, f64>>;

/// The 52 stocks and SPY: sessions, log returns, market values before the session, returns of SPY.
struct Market {
    sessions: Vec<SessionDate>,
    returns: Wide,
    values: Wide,
    spy: BTreeMap<SessionDate, f64>,
    names: BTreeSet<String>,
}

fn market() -> Market {
    let spy = table("data/spy_daily_2024q4_2025q1.csv");
    let closes: Vec<(SessionDate, f64)> = spy.iter().map(|r| (date(&r["date"]), r["close"].parse().unwrap())).collect();
    let sessions: Vec<SessionDate> = closes.iter().map(|(s, _)| *s).collect();
    let spy = closes.windows(2).map(|c| (c[1].0, (c[1].1 / c[0].1).ln())).collect();
    let mut returns = Wide::new();
    let mut names = BTreeSet::new();
    for row in table("tests/golden/us_top50_daily_z.csv.zst") {
        names.insert(row["symbol"].clone());
        if let Ok(r) = row["log_return"].parse() {
            returns.entry(date(&row["session"])).or_default().insert(row["symbol"].clone(), r);
        }
    }
    let mut values = Wide::new();
    for row in table("data/us_top50_daily_2024q4_2025q1.csv") {
        let next = sessions.iter().find(|s| **s > date(&row["date"]));
        let Some(next) = next else { continue };
        if sessions.iter().rfind(|s| *s < next) == Some(&date(&row["date"])) {
            values.entry(*next).or_default().insert(row["symbol"].clone(), row["market_cap"].parse().unwrap());
        }
    }
    Market { sessions, returns, values, spy, names }
}

impl Market {
    fn log_return(&self, session: SessionDate, name: &str) -> Reading {
        self.returns.get(&session).and_then(|of| of.get(name)).copied().ok_or(Unknown::NoClose)
    }

    fn value(&self, session: SessionDate, name: &str) -> Option<f64> {
        self.values.get(&session).and_then(|of| of.get(name)).copied()
    }

    fn spy(&self, session: SessionDate) -> Reading {
        self.spy.get(&session).copied().ok_or(Unknown::NoClose)
    }

    fn lines(&self, session: SessionDate) -> Vec<MemberReading> {
        let of = |name: &String| line(name, self.log_return(session, name), self.value(session, name));
        self.names.iter().map(of).collect()
    }
}

fn line(name: &str, log_return: Reading, market_value: Option<f64>) -> MemberReading {
    MemberReading {
        symbol: symbol(name),
        log_return,
        z: Err(Unknown::NotComputed),
        market_value,
        shares: None,
        basis: None,
        breached_at: None,
        source: None,
        fresh_until: UnixNanos::MAX,
    }
}

#[test]
fn contributions_are_those_of_pandas() {
    let market = market();
    let mut gaps = Gaps::default();
    let rows = table("tests/golden/derived_contributions.csv");
    assert_eq!(rows.len(), market.sessions.len());
    for row in rows {
        let session = date(&row["session"]);
        let read = IndexContributions::read(session, &market.lines(session), market.spy(session), None, 0.8);
        let seven = read.of(|s| MAG7.contains(&s.as_str()));
        let figures = [
            ("coverage", read.coverage),
            ("benchmark", read.benchmark),
            ("sum", read.sum),
            ("residual", read.residual),
            ("concentration", read.concentration),
            ("mag7_weight", seven.weight),
            ("mag7", seven.contribution),
            ("without_mag7", seven.index_without),
        ];
        for (name, got) in figures {
            gaps.check(&format!("{session} {name}"), got, &row[name]);
        }
        for line in read.lines.iter().filter(|l| MAG7.contains(&l.symbol.as_str())) {
            let name = line.symbol.as_str();
            gaps.check(&format!("{session} {name}"), line.contribution, &row[name]);
        }
    }
    println!("{} numbers, largest gap {:.1e}", gaps.known, gaps.worst);
    assert!(gaps.known > 1_600, "{}", gaps.known);
}

#[test]
fn engines_and_drags_are_those_of_pandas() {
    let market = market();
    let anchors =
        [("year", Anchor::Year), ("since", Anchor::Since(date("2025-01-27"))), ("trailing", Anchor::Trailing(63))];
    let mut standings = anchors.map(|(_, anchor)| Standings::new(StandingParams::since(anchor)).unwrap());
    let expected = table("tests/golden/derived_standings.csv");
    let mut gaps = Gaps::default();
    let (mut rows, mut previous) = (0, date("2024-09-30"));
    let mut seen = BTreeSet::new();
    for session in market.sessions.clone() {
        let total: Option<f64> = market.names.iter().map(|name| market.value(session, name)).sum();
        let told = MAG7.map(|name| SessionMove {
            symbol: symbol(name),
            log_return: market.log_return(session, name),
            weight: total.and_then(|total| Some(market.value(session, name)? / total)),
        });
        for ((name, _), standings) in anchors.iter().zip(&mut standings) {
            standings.feed(session, previous, market.spy(session), &told);
            let is_row = |r: &&BTreeMap<String, String>| r["anchor"] == *name && date(&r["session"]) == session;
            let Some(row) = expected.iter().find(is_row) else { continue };
            let view = standings.view().unwrap();
            let what = format!("{session} {name}");
            assert_eq!(view.as_of, session);
            gaps.check(&what, view.benchmark, &row["benchmark"]);
            gaps.check(&what, view.contribution, &row["contribution"]);
            gaps.check(&what, view.index_without, &row["without"]);
            assert_eq!(
                (view.engines.to_string(), view.drags.to_string()),
                (row["engines"].clone(), row["drags"].clone())
            );
            for line in &view.lines {
                gaps.check(&what, line.excess, &row[&format!("excess_{}", line.symbol)]);
                let class = line.standing.map_or("", |s| s.name());
                assert_eq!(class, row[&format!("class_{}", line.symbol)], "{what} {}", line.symbol);
                seen.insert(class);
            }
            rows += 1;
        }
        previous = session;
    }
    println!("{} numbers, largest gap {:.1e}", gaps.known, gaps.worst);
    assert_eq!(rows, expected.len());
    assert!(seen.len() == 4 && gaps.known > 1_000, "{seen:?} {}", gaps.known);
}

/// Log returns of the 30 long histories, dividends included.
fn long_returns() -> Wide {
    let mut before: BTreeMap<String, f64> = BTreeMap::new();
    let mut out = Wide::new();
    for row in table("data/megacaps30_ohlcv_1999_2021.csv.zst") {
        let number = |name: &str| row[name].parse::<f64>().unwrap();
        let last = before.insert(row["symbol"].clone(), number("close"));
        if let Some(last) = last {
            let reference = last / number("split_coefficient") - number("dividend_amount");
            let r = (number("close") / reference).ln();
            out.entry(date(&row["session"])).or_default().insert(row["symbol"].clone(), r);
        }
    }
    out
}

#[test]
fn idiosyncratic_multiples_are_those_of_numpy() {
    let (market, long) = (market(), long_returns());
    let mut gaps = Gaps::default();
    for row in table("tests/golden/derived_idiosyncratic.csv") {
        let session = date(&row["session"]);
        let name = &row["symbol"];
        let pairs: Vec<(f64, f64)> = if row["benchmark"] == "SPY" {
            let of = |s: &SessionDate| Some((market.log_return(*s, name).ok()?, market.spy(*s).ok()?));
            market.sessions.iter().take_while(|s| **s <= session).filter_map(of).collect()
        } else {
            let of = |day: &BTreeMap<String, f64>| Some((*day.get(name)?, *day.get(&row["benchmark"])?));
            long.range(..=session).filter_map(|(_, day)| of(day)).collect()
        };
        assert_eq!(pairs.len().to_string(), row["pairs"]);
        let found = idiosyncratic_z(&pairs);
        let parts = [
            ("returns", found.map(|f| f.returns as f64)),
            ("estimated", found.map(|f| f.beta_estimated)),
            ("beta", found.map(|f| f.beta)),
            ("residual", found.map(|f| f.residual)),
            ("sigma", found.map(|f| f.sigma)),
            ("z", found.map(|f| f.z)),
        ];
        for (part, got) in parts {
            gaps.check(&format!("{session} {name} {part}"), got, &row[part]);
        }
    }
    println!("{} numbers, largest gap {:.1e}", gaps.known, gaps.worst);
    assert!(gaps.known > 1_500, "{}", gaps.known);
}

#[test]
fn volatility_legs_are_those_of_pandas() {
    let mut returns = long_returns();
    let (from, to, gone) = (date("2003-01-02"), date("2009-12-31"), date("2008-11-20"));
    returns.retain(|session, _| (from..=to).contains(session));
    returns.range_mut(gone..).skip(1).for_each(|(_, day)| assert!(day.remove("C").is_some()));
    assert!(returns.get_mut(&date("2009-03-05")).unwrap().remove("AMD").is_some());
    let expected: BTreeMap<SessionDate, _> =
        table("tests/golden/derived_legs.csv").into_iter().map(|row| (date(&row["session"]), row)).collect();
    let mut legs = VolatilityLegs::new(date("2004-01-02"));
    let mut gaps = Gaps::default();
    let mut rows = 0;
    for (session, day) in &returns {
        let told: BTreeMap<_, _> = day.iter().map(|(name, r)| (symbol(name), *r)).collect();
        legs.feed(*session, &told, &told.keys().cloned().collect());
        let Some(row) = expected.get(session) else { continue };
        rows += 1;
        let view = legs.view().unwrap();
        assert_eq!(view.sorted.map_or(String::new(), |s| s.to_string()), row["sorted"]);
        assert_eq!(view.ranked.to_string(), row["ranked"], "{session}");
        let names = |side: &LegSide| side.holdings.iter().map(|(s, _)| s.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!((&names(&view.low), &names(&view.high)), (&row["low"], &row["high"]), "{session}");
        let figures = [
            ("low_return", view.low.simple_return),
            ("high_return", view.high.simple_return),
            ("low_drawdown", view.low.drawdown),
            ("high_drawdown", view.high.drawdown),
            ("spread", view.spread),
        ];
        for (name, got) in figures {
            gaps.check(&format!("{session} {name}"), got, &row[name]);
        }
    }
    println!("{} numbers, largest gap {:.1e}", gaps.known, gaps.worst);
    assert_eq!(rows, expected.len());
    assert!(gaps.known > 600, "{}", gaps.known);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// With every line of an index known, what they add is what its market value did.
    #[test]
    fn contributions_add_up_to_the_index(lines in prop::collection::vec((1e8..4e12_f64, -0.3..0.3_f64), 1..80)) {
        let read: Vec<MemberReading> = lines
            .iter()
            .enumerate()
            .map(|(at, (value, r))| line(&format!("S{at}"), Ok(*r), Some(*value)))
            .collect();
        let before: f64 = lines.iter().map(|(value, _)| value).sum();
        let after: f64 = lines.iter().map(|(value, r)| value * r.exp()).sum();
        let index = after / before - 1.0;
        let found = IndexContributions::read(date("2025-01-27"), &read, Ok(index.ln_1p()), None, 0.8);
        prop_assert!((found.sum.unwrap() - index).abs() <= 1e-12);
        prop_assert!(found.residual.unwrap().abs() <= 1e-12);
        let concentration = found.concentration.unwrap();
        prop_assert!(concentration >= 1.0 / lines.len() as f64 - 1e-12 && concentration <= 1.0 + 1e-12);
        // Taken apart, a cluster and the rest make up the index again.
        let cluster = found.of(|s| s.as_str() < "S3");
        if let Ok(rest) = cluster.index_without {
            let weight = cluster.weight.unwrap();
            let whole = cluster.contribution.unwrap() + (1.0 - weight) * rest;
            prop_assert!((whole - index).abs() <= 1e-12);
        }
    }
}
