//! The shipped group against its own past, the universe around it, the fragility index and the largest losses: every
//! number of every session against tables made by pandas, scikit-learn and arch. See `golden/README.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use fragility::cluster::{DayCount, GroupView, LEG_NAMES, Tally};
use fragility::codec::encode_alert;
use fragility::domain::{Alert, AlertKind, AlertState, CloseBasis, Entity, Reading, UnixNanos, Unknown};
use fragility::engine::{Channel, Effects, Engine, Origin, Watermark};
use fragility::estimators::ShrunkCovariance;
use fragility::sources::FileSource;
use harness::{date, params, repo, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The tables carry twelve digits.
const RELATIVE: f64 = 1e-10;
/// Residuals are small differences of sums taken in another order.
const DERIVED: f64 = 1e-9;

struct Shipped {
    closes: BTreeMap<String, Vec<GroupView>>,
    alerts: Vec<Alert>,
}

/// An engine that has read files, each a partition.
fn engine_of(files: &[PathBuf]) -> (Engine, Effects) {
    let mut engine = Engine::new(params());
    let mut effects = Effects::default();
    for (partition, file) in (0..).zip(files) {
        let mut source = FileSource::open(file).unwrap();
        while let Some(line) = source.next_line().unwrap() {
            let origin = Origin { partition, offset: line.number, timestamp: None };
            engine.step(UnixNanos(0), &origin, line.decoded.as_ref().unwrap(), false, &mut effects).unwrap();
        }
    }
    (engine, effects)
}

/// The shipped months, replayed once.
fn shipped() -> &'static Shipped {
    static SHIPPED: OnceLock<Shipped> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let files = [
            "data/us_top50_reference.ndjson",
            "data/us_top50_daily_2024q4_2025q1.csv",
            "data/spy_daily_2024q4_2025q1.csv",
        ];
        let (mut engine, mut effects) = engine_of(&files.map(repo));
        engine.advance(Watermark::End, &[], &mut effects);
        let closes = engine.group_closes().into_iter().map(|(s, views)| (s.to_string(), views)).collect();
        Shipped { closes, alerts: effects.alerts }
    })
}

fn group<'a>(views: &'a [GroupView], name: &str) -> &'a GroupView {
    views.iter().find(|v| *v.name == *name).unwrap()
}

/// Rows of a table by the names of their columns.
fn table(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = text(&format!("tests/golden/{name}"));
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| header.iter().map(|h| (*h).to_owned()).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

fn check(what: &str, got: Option<f64>, expected: &str) {
    check_within(what, got, expected, RELATIVE);
}

fn check_within(what: &str, got: Option<f64>, expected: &str, relative: f64) {
    let expected: Option<f64> = (!expected.is_empty()).then(|| expected.parse().unwrap());
    let is_near = match (got, expected) {
        (Some(a), Some(b)) => (a - b).abs() <= relative * b.abs().max(1e-6),
        (a, b) => a.is_none() && b.is_none(),
    };
    assert!(is_near, "{what}: {got:?}, expected {expected:?}");
}

#[test]
fn the_surface_of_every_session_is_that_of_the_oracle() {
    let mut seen = 0;
    for row in table("surface_sessions.csv") {
        let Some(views) = shipped().closes.get(&row["session"]) else { continue };
        let surface = group(views, &row["group"]).surface.as_deref().unwrap();
        let what = |column: &str| format!("{} {} {column}", row["session"], row["group"]);
        let mut check_reading = |column: &str, reading: Reading| {
            // A column that is never known is not in the table.
            check(&what(column), reading.ok(), row.get(column).map_or("", |text| text.as_str()));
            seen += usize::from(reading.is_ok());
        };
        for window in &surface.windows {
            let column = |name: &str| format!("{name}_{}", window.sessions);
            check_reading(&column("index_sigma"), window.index_sigma);
            check_reading(&column("stock_sigma"), window.stock_sigma);
            check_reading(&column("ratio"), window.ratio);
            check_reading(&column("implied_correlation"), window.implied_correlation);
            assert!(window.is_calm.is_err(), "four months are no past to compare with");
        }
        check_reading("mean_correlation", surface.mean_correlation);
        check_reading("absorption_ratio", surface.absorption_ratio);
        let path = surface.path;
        check_reading("net_return", path.map(|p| p.net.exp_m1()));
        check_reading("efficiency", path.map(|p| p.efficiency.unwrap()));
        check_reading("range", path.map(|p| p.range));
        check_reading("below_high", path.map(|p| p.below_high));
    }
    assert!(seen > 1_500, "{seen} numbers compared");
}

#[test]
fn every_leg_percentile_and_level_is_that_of_the_oracle() {
    let mut levels: BTreeMap<String, usize> = BTreeMap::new();
    for row in table("composite_sessions.csv") {
        let session = &row["session"];
        let Some(views) = shipped().closes.get(session) else {
            // The one session of which the snapshot of all closes is missing.
            assert_eq!((&**session, &*row["level"]), ("2025-03-28", "UNKNOWN"));
            continue;
        };
        let group = group(views, "mag7");
        assert_eq!(group.level, row["level"], "{session}");
        *levels.entry(group.level.to_owned()).or_default() += 1;
        assert_eq!(group.legs.iter().map(|l| l.name).collect::<Vec<_>>(), LEG_NAMES);
        for leg in &group.legs {
            let percentile = leg.rank.and_then(Result::ok).map(|r| r.percentile());
            check(&format!("{session} {}", leg.name), leg.value.ok(), &row[leg.name]);
            check(&format!("{session} {} percentile", leg.name), percentile, &row[&format!("{}_percentile", leg.name)]);
        }
    }
    let count = |level: &str| levels[level];
    assert_eq!((count("CALM"), count("WATCH"), count("ALERT"), count("CRITICAL")), (112, 1, 6, 2));
}

#[test]
fn breadth_and_the_index_are_those_of_the_oracle() {
    for row in table("universe_sessions.csv") {
        let session = &row["session"];
        let Some(views) = shipped().closes.get(session) else { continue };
        let top = group(views, "top50");
        let cells = |t: &Tally| (t.valid, t.up, t.down);
        let number = |column: &str| row[column].parse::<u32>().unwrap_or(0);
        assert_eq!(cells(&top.breadth), (number("valid"), number("up"), number("down")), "{session}");
        assert_eq!(top.breadth.count, number("count"), "{session}");
        let sectors: Vec<String> =
            top.sectors.iter().map(|(s, t)| format!("{s}:{}:{}:{}", t.valid, t.up, t.down)).collect();
        assert_eq!(sectors.join(";"), row["sectors"], "{session}");
        let Some(index) = &top.index else { panic!("{session} has no index") };
        assert_eq!(
            (index.events.to_string(), index.valid.to_string()),
            (row["ytd_events"].clone(), row["ytd_valid"].clone())
        );
        check(&format!("{session} frequency"), Some(index.frequency_pct), &row["frequency_pct"]);
        check(&format!("{session} magnitude"), index.magnitude, &row["magnitude"]);
        check(&format!("{session} index"), Some(index.index), &row["index"]);
        let ranks = index.ranks.unwrap().map(f64::from);
        check(&format!("{session} rank"), Some(ranks[0]), &row["rank_full_years"]);
        check(&format!("{session} rank of the same day"), Some(ranks[1]), &row["rank_same_day"]);
        check(&format!("{session} years"), Some(f64::from(index.years)), &row["years"]);
    }
}

#[test]
fn percentiles_of_breadth_and_co_exceedances_are_those_of_the_oracle() {
    let (mut ranked, mut counted) = (0, 0);
    for row in table("breadth_sessions.csv") {
        let Some(views) = shipped().closes.get(&row["session"]) else { continue };
        let top = group(views, "top50");
        let percentile = top.breadth_rank.ok().map(|rank| rank.percentile());
        check(&format!("{} percentile", row["session"]), percentile, &row["percentile"]);
        ranked += usize::from(percentile.is_some());
        for name in ["mag7", "top50"] {
            let Some(derived) = &group(views, name).derived else { continue };
            let found = derived.co_exceedance;
            let expected = ["lower", "upper", "valid"].map(|count| row[&format!("{name}_{count}")].clone());
            assert_eq!([found.lower, found.upper, found.valid].map(|n| n.to_string()), expected, "{}", row["session"]);
            counted += usize::from(found.valid > 0);
        }
    }
    assert!(ranked > 90 && counted > 110, "{ranked} {counted}");
}

/// On 12 February 2025 the year stood first among all since 1990, and third among the same weeks of them.
#[test]
fn the_headline_is_first_of_all_years_and_third_of_the_season() {
    let views = &shipped().closes["2025-02-12"];
    let index = group(views, "top50").index.as_ref().unwrap();
    assert_eq!((index.ranks, index.years), (Some([1, 3]), 36));
    assert_eq!(index.universes.iter().map(|u| &**u).collect::<Vec<_>>(), ["large20", "top50"]);
    let largest = |side: usize| (index.leaders[side][0].symbol.as_str(), format!("{:.4}", index.leaders[side][0].z));
    assert_eq!(largest(0), ("IBM", "13.8952".to_owned()));
    assert_eq!(largest(1), ("AVGO", "-9.2183".to_owned()));
    assert_eq!(index.leaders[1][1].symbol.as_str(), "MRK");
    assert_eq!(index.leaders[0][1].symbol.as_str(), "PM");
}

/// The draw is another one, and a tenth as large, so its ends are those of arch's up to their own error: four standard
/// errors of a thousand draws, which are √5.5 wider than the table's difference of ten thousand against ten thousand.
#[test]
fn the_interval_is_that_of_a_block_bootstrap() {
    for row in table("bootstrap.csv") {
        let index = group(&shipped().closes[&row["session"]], "top50").index.clone().unwrap();
        let number = |column: &str| row[column].parse::<f64>().unwrap();
        for (end, name) in [(0, "lower"), (1, "upper")] {
            let middle = number(name);
            let [from, to] = ["from", "to"].map(|side| (number(&format!("{name}_{side}")) - middle) * 5.5_f64.sqrt());
            let off = index.interval[end] - middle;
            let slack = 1e-9 * middle;
            assert!(
                (from - slack..=to + slack).contains(&off),
                "{}: {name} {} {middle}",
                row["session"],
                index.interval[end]
            );
        }
    }
}

/// What the verdict of the day would have been without each company.
#[test]
fn the_day_without_each_member_is_that_of_the_oracle() {
    let expected: serde_json::Value = serde_json::from_str(&text("tests/golden/composite_without.json")).unwrap();
    let day = date("2025-01-27");
    let is_group = |a: &&Alert| matches!(&a.entity, Entity::Cluster(name) if &**name == "mag7");
    let said: Vec<&Alert> = shipped().alerts.iter().filter(is_group).filter(|a| a.session == Some(day)).collect();
    let [alert] = said[..] else { panic!("{said:?}") };
    assert_eq!((alert.kind, alert.state, alert.severity), (AlertKind::Confirm, AlertState::Confirmed, "CRITICAL"));
    let cluster = alert.cluster.as_ref().unwrap();
    assert_eq!(cluster.initiator.as_ref().unwrap().as_str(), "NVDA");
    assert_eq!(cluster.without.len(), 7);
    for without in &cluster.without {
        let of = &expected["without"][without.symbol.as_str()];
        let leg = |name: &str| without.legs[LEG_NAMES.iter().position(|n| *n == name).unwrap()].ok();
        let what = |part: &str| format!("without {} {part}", without.symbol);
        check(&what("basket_return"), without.basket_return.ok(), &of["basket_return"].to_string());
        for name in ["rms_z", "breadth", "dispersion", "group_loss_usd"] {
            check(&what(name), leg(name), &of[name].to_string());
        }
    }
    // Without NVDA the seven would hardly have been noticed.
    let nvda = cluster.without.iter().find(|w| w.symbol.as_str() == "NVDA").unwrap();
    assert!(nvda.basket_return.unwrap().abs() < 0.006, "{nvda:?}");
    assert_ne!(nvda.level, "CRITICAL");
    let mut bytes = Vec::new();
    encode_alert(alert, &mut bytes);
    assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
}

#[test]
fn the_largest_losses_are_those_of_the_oracle() {
    let ranked = table("usd_losses.csv").into_iter().filter(|row| !row["rank"].is_empty());
    let last = shipped().closes.values().next_back().unwrap();
    assert_eq!(group(last, "top50").losses, [], "nothing is known of the last session");
    // Of each session what was among the largest then; the table ranks the whole range.
    let mut all: Vec<(f64, String, String)> = Vec::new();
    for (session, views) in &shipped().closes {
        let mut losses = group(views, "top50").losses.clone();
        losses.sort_by(|a, b| b.usd.total_cmp(&a.usd));
        all.extend(losses.first().map(|l| (l.usd, session.clone(), l.symbol.to_string())));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    for row in ranked {
        let (usd, session, symbol) = &all[row["rank"].parse::<usize>().unwrap() - 1];
        assert_eq!((session, symbol), (&row["session"], &row["symbol"]));
        check(session, Some(*usd), &row["loss_usd"]);
    }
    // 24.49 billion shares by 142.62 less 118.42 US dollars, on the official close.
    let nvda = group(&shipped().closes["2025-01-27"], "mag7").losses[0].clone();
    assert_eq!((nvda.symbol.as_str(), nvda.rank, nvda.basis.unwrap().name()), ("NVDA", 1, "official"));
    assert!((nvda.usd - 24.49e9 * 24.20).abs() < 1.0, "{}", nvda.usd);
}

/// Thirty long histories: the index of every year from 1999 on.
#[test]
fn the_index_of_every_year_is_that_of_pandas() {
    let text = "[groups.thirty]\nindex = true\n[groups.top50]\nindex = false\n";
    let mut engine = Engine::new(harness::unguarded(
        fragility::config::load_text("long", text, &[], &["history.index=\"\"".to_owned()]).unwrap().config.params,
    ));
    let mut effects = Effects::default();
    let mut source = FileSource::open(&repo("data/megacaps30_ohlcv_1999_2021.csv.zst")).unwrap();
    let mut members: Vec<String> = Vec::new();
    while let Some(line) = source.next_line().unwrap() {
        let Ok(observation) = &line.decoded else { panic!("line {}", line.number) };
        if let fragility::domain::Observation::Reference(record) = observation {
            let symbol = record.symbol().unwrap().to_string();
            if !members.contains(&symbol) {
                let member = format!(r#"{{"type":"member","group":"thirty","symbol":"{symbol}","from":"1999-01-01"}}"#);
                let member = fragility::codec::decode(member.as_bytes()).unwrap();
                let fragility::domain::Observation::Reference(member) = member else { unreachable!() };
                engine.apply_reference(Channel::Initial, &member, &mut effects);
                members.push(symbol);
            }
        }
        let origin = Origin { partition: 0, offset: line.number, timestamp: None };
        engine.step(UnixNanos(0), &origin, observation, false, &mut effects).unwrap();
        effects.clear();
    }
    engine.advance(Watermark::End, &[], &mut effects);
    let closes = engine.group_closes();
    let years = table("long_index.csv");
    for row in &years {
        let of_year = closes.range(date(&format!("{}-01-01", row["year"]))..=date(&format!("{}-12-31", row["year"])));
        let (_, views) = of_year.last().unwrap();
        let index = group(views, "thirty").index.clone().unwrap();
        let events = row["up"].parse::<u64>().unwrap() + row["down"].parse::<u64>().unwrap();
        assert_eq!((index.events, index.valid.to_string()), (events, row["valid"].clone()), "{}", row["year"]);
        check(&row["year"], Some(index.index), &row["index"]);
        check(&row["year"], index.magnitude, &row["magnitude"]);
        check(&row["year"], Some(index.frequency_pct), &row["frequency_pct"]);
    }
    assert_eq!(years.len(), 23);
}

/// Shrinkage, covariance and distance on real returns against scikit-learn.
#[test]
fn turbulence_is_that_of_scikit_learn() {
    const EIGHT: [&str; 8] = ["AAPL", "AMD", "AMZN", "BAC", "C", "CSCO", "CVX", "DIS"];
    let mut before: BTreeMap<String, f64> = BTreeMap::new();
    let mut rows: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    let text = text("data/megacaps30_ohlcv_1999_2021.csv.zst");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let [session, symbol, close, split] = ["session", "symbol", "close", "split_coefficient"].map(column);
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        if !EIGHT.contains(&cells[symbol]) {
            continue;
        }
        let price: f64 = cells[close].parse().unwrap();
        if let Some(last) = before.insert(cells[symbol].to_owned(), price) {
            let r = (price / (last / cells[split].parse::<f64>().unwrap())).ln();
            rows.entry(cells[session].to_owned()).or_default().insert(cells[symbol].to_owned(), r);
        }
    }
    let days: Vec<(&String, Vec<f64>)> = rows.iter().map(|(s, r)| (s, r.values().copied().collect())).collect();
    let expected = table("turbulence.csv");
    assert_eq!((days.len(), expected.len()), (5_401, 40));
    for row in expected {
        let at = days.iter().position(|(s, _)| **s == row["session"]).unwrap();
        assert_eq!((days[at - 252].0, days[at - 1].0), (&row["first"], &row["last"]));
        let sample: Vec<f64> = days[at - 252..at].iter().flat_map(|(_, r)| r.clone()).collect();
        let usual = ShrunkCovariance::ledoit_wolf(8, &sample).unwrap();
        let found = usual.turbulence(&days[at].1).unwrap();
        check("shrinkage", Some(usual.shrinkage()), &row["shrinkage"]);
        check("turbulence", Some(found.value), &row["turbulence"]);
        check("magnitude", Some(found.magnitude), &row["magnitude_surprise"]);
        check("correlation surprise", found.correlation_surprise(), &row["correlation_surprise"]);
    }
}

/// A history of nothing ranks nothing.
#[test]
fn without_history_nothing_is_ranked() {
    let sets = ["history.legs=\"\"".to_owned(), "history.index=\"\"".to_owned()];
    let params = fragility::config::load_text("bare", "", &[], &sets).unwrap().config.params;
    let counts: Vec<DayCount> = params.groups.iter().filter_map(|g| g.index.clone()).flat_map(|i| i.to_vec()).collect();
    assert_eq!(counts, []);
    let view = &Engine::new(params).groups()[0];
    assert!(view.legs.iter().all(|l| l.rank.is_some_and(|r| r.is_err())), "{view:?}");
    assert_eq!((&*view.name, view.level), ("mag7", "UNKNOWN"));
}

#[test]
fn contagion_of_every_session_is_that_of_the_oracle() {
    let mut seen = 0;
    for row in table("contagion_shipped.csv") {
        let view = group(&shipped().closes[&row["session"]], "mag7").contagion.clone().unwrap();
        let mut near = |column: &str, got: Option<f64>| {
            check(&format!("{} {column}", row["session"]), got, &row[column]);
            seen += usize::from(got.is_some());
        };
        for (prefix, lift) in [("", view.lift), ("others_", view.others_lift)] {
            for (arm, share) in [("breach", lift.map(|l| l.breach)), ("none", lift.map(|l| l.none))] {
                let column = |name: &str| format!("{prefix}{arm}_{name}");
                near(&column("p"), share.ok().map(|s| s.probability));
                near(&column("low"), share.ok().map(|s| s.interval[0]));
                near(&column("high"), share.ok().map(|s| s.interval[1]));
                let counts = [("sessions", share.map(|s| s.sessions)), ("broad", share.map(|s| s.broad))];
                for (name, count) in counts.iter().filter(|(_, count)| count.is_ok()) {
                    near(&column(name), count.ok().map(f64::from));
                }
            }
            near(&format!("{prefix}lift"), lift.and_then(|l| l.lift).ok());
        }
        let follow = &view.follow_through;
        near("expected", follow.open.map(|f| f.breadth));
        near("probability", follow.open.map(|f| f.broad_probability));
        near("base", follow.open.map(|f| f.base_breadth));
        near("base_probability", follow.open.map(|f| f.base_probability));
        near("followed", Some(f64::from(follow.followed)));
        near("scored", Some(f64::from(follow.scored)));
        near("absolute_error", follow.absolute_error.ok());
        near("base_absolute_error", follow.base_absolute_error.ok());
        near("brier", follow.brier.ok());
        near("base_brier", follow.base_brier.ok());
        // Bars of whole days tell no order.
        assert_eq!((view.lead_lag.clone(), view.excitation.is_err()), (Err(Unknown::NotComputed), true));
    }
    assert!(seen > 2_500, "{seen} numbers compared");
}

/// What each close derives from the returns kept; the arithmetic itself is held against pandas in `derived.rs`.
#[test]
fn derived_views_of_the_closes_are_those_of_the_oracle() {
    let closes = &shipped().closes;
    let derived = |session: &str, name: &str| group(&closes[session], name).derived.clone();
    let (mut own, mut standing) = (0, 0);
    for row in table("derived_idiosyncratic.csv").iter().filter(|row| row["benchmark"] == "SPY") {
        for name in ["mag7", "top50"] {
            let Some(view) = derived(&row["session"], name) else { continue };
            let Some((_, z)) = view.idiosyncratic.iter().find(|(s, _)| s.as_str() == row["symbol"]) else { continue };
            let what = format!("{name} {} {}", row["session"], row["symbol"]);
            check_within(&what, z.as_ref().ok().map(|z| z.z), &row["z"], DERIVED);
            check_within(&what, z.as_ref().ok().map(|z| z.beta), &row["beta"], DERIVED);
            own += usize::from(z.is_ok());
        }
    }
    for row in table("derived_standings.csv").iter().filter(|row| row["anchor"] != "since") {
        let view = derived(&row["session"], "mag7").unwrap();
        let view = &view.standings[usize::from(row["anchor"] == "trailing")];
        let what = format!("{} {}", row["session"], row["anchor"]);
        check(&what, view.benchmark.ok(), &row["benchmark"]);
        assert_eq!((view.engines.to_string(), view.drags.to_string()), (row["engines"].clone(), row["drags"].clone()));
        for line in &view.lines {
            // A difference of returns of some per cent, each of twelve digits.
            let expected = row[&format!("excess_{}", line.symbol)].parse::<f64>().ok();
            let gap = line.excess.ok().zip(expected).map_or(0.0, |(got, expected)| (got - expected).abs());
            assert!(line.excess.is_ok() == expected.is_some() && gap < 1e-12, "{what} {}: off by {gap}", line.symbol);
            standing += usize::from(line.excess.is_ok());
        }
    }
    for (session, views) in closes {
        let view = group(views, "mag7");
        let Some(derived) = &view.derived else { continue };
        // The members' parts of the group's move add up to it, times what the group is of the index.
        assert_eq!(derived.benchmark_share, Some(0.33));
        let sum = derived.contributions.sum.ok().map(|sum| sum / 0.33);
        let whole = view.basket_return.ok().map(|r| format!("{:e}", r.exp_m1())).unwrap_or_default();
        check(&format!("{session} contributions"), sum, &whole);
    }
    assert!(own > 350 && standing > 500, "{own} {standing}");
}

/// Nobody waits for the close of the index, and it makes no difference when it comes before the next session's end.
#[test]
fn the_close_of_the_index_may_come_late() {
    const FROM: &str = "2025-01-23";
    let [stocks, index] = ["data/us_top50_daily_2024q4_2025q1.csv", "data/spy_daily_2024q4_2025q1.csv"].map(text);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let part = |name: &str, of: &str, is_in: &dyn Fn(&str) -> bool| {
        let path = dir.join(format!("groups-late-{name}.csv"));
        let rows: Vec<&str> = of.lines().enumerate().filter(|(n, row)| *n == 0 || is_in(row)).map(|(_, r)| r).collect();
        std::fs::write(&path, rows.join("\n")).unwrap();
        path
    };
    let before = |row: &str| row < FROM;
    let start =
        [repo("data/us_top50_reference.ndjson"), part("stocks", &stocks, &before), part("index", &index, &before)];
    let days = ["2025-01-23", "2025-01-24", "2025-01-27", "2025-01-28"];
    let replay = |is_late: bool| {
        let (mut engine, mut effects) = engine_of(&start);
        let feed = |engine: &mut Engine, effects: &mut Effects, partition: i32, file: &PathBuf| {
            let mut source = FileSource::open(file).unwrap();
            while let Some(line) = source.next_line().unwrap() {
                let origin = Origin { partition, offset: 1_000_000 + line.number, timestamp: None };
                engine.step(UnixNanos(0), &origin, line.decoded.as_ref().unwrap(), false, effects).unwrap();
            }
        };
        for day in days {
            let of_day = |row: &str| row.starts_with(day);
            let [members, spy] = [part("day-stocks", &stocks, &of_day), part("day-index", &index, &of_day)];
            let beats = format!(r#"{{"type":"heartbeat","ts":"{day}T21:00:30Z"}}"#);
            let heartbeat = fragility::codec::decode(beats.as_bytes()).unwrap();
            if !is_late {
                feed(&mut engine, &mut effects, 2, &spy);
            }
            feed(&mut engine, &mut effects, 1, &members);
            for partition in 0..3 {
                let origin = Origin { partition, offset: 2_000_000, timestamp: None };
                engine.step(UnixNanos(0), &origin, &heartbeat, false, &mut effects).unwrap();
            }
            engine.advance(Watermark::Partitions, &[0, 1, 2], &mut effects);
            assert!(engine.group_closes().contains_key(&date(day)), "{day} waits for the index");
            if is_late {
                feed(&mut engine, &mut effects, 2, &spy);
            }
        }
        let closes = engine.group_closes();
        days.map(|day| closes[&date(day)].clone())
    };
    let (early, late) = (replay(false), replay(true));
    let surface = group(&early[2], "top50").surface.clone().unwrap();
    assert!(surface.has_index && surface.windows[0].ratio.is_ok());
    assert!(group(&early[2], "mag7").benchmark.as_ref().unwrap().1.is_ok());
    assert_eq!(early, late);
}

/// A day of which prices are seen tells who broke first, who followed after how long, and how they excite each other.
#[test]
fn a_day_seen_as_it_goes_on_has_an_order() {
    let rows = text("data/us_top50_daily_2024q4_2025q1.csv");
    let of_day = |row: &&str| row.starts_with("2025-01-27");
    // The header and the days before, and without its closes the day itself.
    let before: Vec<&str> = rows.lines().filter(|row| *row < "2025-01-27" || row.starts_with("date")).collect();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("groups-before.csv");
    std::fs::write(&file, before.join("\n")).unwrap();
    let (mut engine, mut effects) = engine_of(&[repo("data/us_top50_reference.ndjson"), file]);
    let mut offset = 1_000_000;
    let mut say = |engine: &mut Engine, effects: &mut Effects, record: &str| {
        let origin = Origin { partition: 1, offset, timestamp: None };
        offset += 1;
        let observation = fragility::codec::decode(record.as_bytes()).unwrap();
        let answer = engine.step(UnixNanos(0), &origin, &observation, false, effects).unwrap();
        assert_eq!(answer.outcome, fragility::domain::Outcome::Applied, "{record}");
    };
    let at = |time: &str| harness::utc(&format!("2025-01-27T{time}Z"));
    // The session opens at 14:30 UTC. ORCL breaks before any member does.
    for (symbol, time, price) in [
        ("ORCL", "14:40:00", 158.0),
        ("NVDA", "14:50:00", 124.0),
        ("GOOGL", "14:50:01", 192.0),
        ("AVGO", "14:53:20", 205.0),
        ("GE", "17:30:00", 180.0),
    ] {
        say(&mut engine, &mut effects, &harness::tick(symbol, at(time), price));
    }
    engine.advance(Watermark::Partitions, &[1], &mut effects);
    // While the session runs, its losses have a provisional place, before everything of four months.
    let views = engine.groups();
    let [first, ..] = &group(&views, "mag7").losses[..] else { panic!("no loss stands out") };
    assert_eq!((first.symbol.as_str(), first.rank, first.basis), ("NVDA", 1, None));
    let shares = first.shares.unwrap();
    assert!((24.48e9..24.5e9).contains(&shares) && (first.usd - shares * (142.62 - 124.0)).abs() < 1.0, "{first:?}");
    for row in rows.lines().filter(of_day) {
        let cells: Vec<&str> = row.split(',').collect();
        say(&mut engine, &mut effects, &harness::close(cells[1], cells[0], cells[2].parse().unwrap()));
    }
    engine.advance(Watermark::End, &[], &mut effects);
    let closes = engine.group_closes();
    let view = group(&closes[&date("2025-01-27")], "mag7").contagion.clone().unwrap();
    let largest = &group(&closes[&date("2025-01-27")], "mag7").losses[0];
    assert_eq!((largest.rank, largest.basis, largest.shares), (1, Some(CloseBasis::Official), Some(shares)));
    assert!((largest.usd / 1e9 - 592.658).abs() < 1e-3, "{largest:?}");
    let lead = view.lead_lag.clone().unwrap();
    assert_eq!(lead.initiator.as_ref().unwrap().as_str(), "NVDA");
    assert_eq!((lead.began_at, lead.preceded_by), (at("14:50:00"), 1));
    let followed: Vec<(&str, bool, f64)> =
        lead.followers.iter().map(|f| (f.symbol.as_str(), f.is_member, f.lag_secs)).collect();
    assert_eq!(followed[..3], [("GOOGL", true, 1.0), ("AVGO", false, 200.0), ("GE", false, 9_600.0)]);
    assert_eq!(view.lags.0[0], 2);
    let excitation = view.excitation.clone().unwrap();
    assert_eq!(excitation.label, "UNFITTED");
    assert!(excitation.events >= 4 && excitation.others.ratio > 1.0, "{excitation:?}");
}

/// Where each symbol's change of market value stands among its own earlier ones.
#[test]
fn records_of_every_three_sigma_close_are_those_of_the_oracle() {
    let mut seen = 0;
    for row in table("usd_records.csv") {
        let is_row = |a: &&Alert| {
            a.state == AlertState::Confirmed
                && matches!(&a.entity, Entity::Symbol(symbol) if symbol.as_str() == row["symbol"])
                && a.session == Some(date(&row["session"]))
        };
        let what = format!("{} {}", row["symbol"], row["session"]);
        let Some(alert) = shipped().alerts.iter().find(is_row) else { panic!("{what}: no alert") };
        let usd = alert.usd.as_ref().unwrap_or_else(|reason| panic!("{what}: {reason:?}"));
        check(&what, Some(usd.market_value_change), &row["change"]);
        let record = usd.record.unwrap();
        let said = (record.rank.map(|n| n.to_string()).unwrap_or_default(), record.sessions.to_string());
        assert_eq!(said, (row["rank"].clone(), row["sessions"].clone()), "{what}");
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}
