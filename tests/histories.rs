//! History files made by `history build`: what they say against tables made by pandas and scikit-learn, and what groups
//! make of them when they are read back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use harness::binary::{Dir, config, ok, run, shipped, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Row = BTreeMap<String, String>;

fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| header.iter().map(|h| (*h).to_owned()).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

fn number(cell: &str) -> Option<f64> {
    (!cell.is_empty()).then(|| cell.parse().unwrap())
}

/// The tables carry twelve digits.
fn check(what: &str, got: &str, expected: &str) {
    let is_near = match (number(got), number(expected)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1e-6),
        (a, b) => a.is_none() && b.is_none(),
    };
    assert!(is_near, "{what}: {got:?}, expected {expected:?}");
}

fn summary(args: &[&str], dir: &Dir) -> Vec<Value> {
    let summary = text(&dir.file("summary.ndjson"));
    ok(&[&["replay", "--alerts", "/dev/null", "--summary", &summary], args].concat(), b"");
    fs::read_to_string(summary).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Both files of the shipped months, each column against the oracle.
fn check_built(legs: &Path, index: &Path) {
    let [legs, index] = [legs, index].map(|path| fs::read_to_string(path).unwrap());
    let shape = "session,basket_z,rms_z,turbulence,top50_valid,top50_up,top50_down,top50_dispersion,max_member_loss_usd,group_loss_usd,members_breached";
    assert_eq!(legs.lines().next().unwrap(), shape);
    assert_eq!(index.lines().next().unwrap(), "session,universe,valid,up,down,abs_z_sum");
    let [expected, universe] = ["composite_sessions.csv", "universe_sessions.csv"]
        .map(|name| rows(&harness::text(&format!("tests/golden/{name}"))));

    let built: BTreeMap<String, Row> = rows(&legs).into_iter().map(|r| (r["session"].clone(), r)).collect();
    let mut filled: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, around) in expected.iter().zip(&universe) {
        let session = &row["session"];
        assert_eq!(session, &around["session"]);
        let columns = ["basket_z", "rms_z", "turbulence", "dispersion", "max_member_loss_usd", "group_loss_usd"];
        let Some(found) = built.get(session) else {
            // Before the first loss and dispersion, and on the one day without closes.
            assert!(["2024-10-01", "2025-03-28"].contains(&&**session), "{session} is missing");
            assert!(columns.iter().all(|c| row[*c].is_empty()));
            continue;
        };
        for column in columns {
            let cell = if column == "dispersion" { &found["top50_dispersion"] } else { &found[column] };
            check(&format!("{session} {column}"), cell, &row[column]);
            *filled.entry(column).or_default() += usize::from(!cell.is_empty());
        }
        for column in ["valid", "up", "down"] {
            // Where breadth is not known, its counts are left out.
            let expected = if row["breadth"].is_empty() { "" } else { &around[column] };
            assert_eq!(found[&format!("top50_{column}")], expected, "{session} {column}");
        }
        let counts = ["up", "down", "valid"].map(|c| number(&found[&format!("top50_{c}")]));
        let breadth = if let [Some(up), Some(down), Some(valid)] = counts { Some((up + down) / valid) } else { None };
        check(&format!("{session} breadth"), &breadth.map_or(String::new(), |b| b.to_string()), &row["breadth"]);
    }
    // The shipped history, made elsewhere, overlaps by two months.
    let past = rows(&harness::text("data/mag7_legs_2021_2024.csv"));
    let overlap: Vec<&Row> = past.iter().filter(|row| &*row["session"] >= "2024-10-31").collect();
    for row in &overlap {
        assert_eq!(built[&row["session"]]["members_breached"], row["members_breached"], "{}", row["session"]);
    }
    assert_eq!(
        (overlap.len(), &*built["2024-10-30"]["members_breached"], &*built["2025-01-27"]["members_breached"]),
        (42, "", "2")
    );
    assert_eq!((built.len(), filled["basket_z"], filled["turbulence"]), (122, 100, 58));

    let built: BTreeMap<String, Row> = rows(&index).into_iter().map(|r| (r["session"].clone(), r)).collect();
    for row in &universe {
        let session = &row["session"];
        let Some(found) = built.get(session) else {
            let is_nothing = ["", "0"].contains(&&*row["valid"]);
            let is_due = &**session >= "2024-10-31" && session != "2025-03-28";
            assert!(is_nothing && !is_due, "{session} is missing");
            continue;
        };
        assert_eq!(found["universe"], "top50");
        for column in ["valid", "up", "down", "abs_z_sum"] {
            let expected = if row[column].is_empty() { "0" } else { &row[column] };
            check(&format!("{session} {column}"), &found[column], expected);
        }
    }
    assert_eq!(built.keys().next().unwrap(), "2024-10-31");
}

#[test]
fn the_shipped_months_become_the_files_of_the_oracle_and_are_read_back() {
    let dir = Dir::new();
    let [reference, daily] = shipped();
    let (config, legs, index) = (config(), dir.file("legs.csv"), dir.file("index.csv"));
    let (to_legs, to_index) = (text(&legs), text(&index));
    let inputs = ["--config", &config, "--input", &reference, &daily];
    let said = ok(&[&["history", "build", "--legs", &to_legs, "--index", &to_index], &inputs[..]].concat(), b"");
    assert_eq!(String::from_utf8_lossy(&said), "");
    check_built(&legs, &index);
    // One alone, the group by its name, and to standard output: the same bytes.
    let alone = ok(&[&["history", "build", "--group", "mag7", "--legs", "-"], &inputs[..]].concat(), b"");
    assert_eq!(alone, fs::read(&legs).unwrap());
    let alone = ok(&[&["history", "build", "--index", "-"], &inputs[..]].concat(), b"");
    assert_eq!(alone, fs::read(&index).unwrap());

    // The losses of the oracle, each session's largest, in their order among all.
    let losses = text(&dir.file("losses.csv"));
    ok(&[&["history", "build", "--losses", &losses], &inputs[..]].concat(), b"");
    let built = rows(&fs::read_to_string(&losses).unwrap());
    assert_eq!(built.len(), 20);
    let amount = |row: &Row| number(&row["loss_usd"]).unwrap();
    assert!(built.windows(2).all(|pair| amount(&pair[0]) >= amount(&pair[1])));
    let oracle = rows(&harness::text("tests/golden/usd_losses.csv"));
    let ranked: Vec<&Row> = oracle.iter().filter(|row| !row["rank"].is_empty()).collect();
    assert!(ranked.len() > 5);
    for row in ranked.into_iter().filter(|row| amount(row) > amount(&built[19])) {
        let found = built.iter().find(|b| (&b["session"], &b["symbol"]) == (&row["session"], &row["symbol"])).unwrap();
        check(&row["session"], &found["loss_usd"], &row["loss_usd"]);
        assert_eq!(found["basis"], "official");
    }
    // Read back, what was seen before is not seen twice.
    let told = format!("history.losses={losses}");
    let lines = summary(&[&["--set", &told], &inputs[..]].concat(), &dir);
    let of = |session: &str| lines.iter().find(|l| l["session"] == session).unwrap()["records"].clone();
    assert_eq!((&of("2025-01-27")[0]["rank"], &of("2025-02-27")[0]["rank"]), (&1.into(), &2.into()));

    let set = [format!("history.legs={to_legs}"), format!("history.index={to_index}")];
    let lines = summary(&[&["--set", &set[0], "--set", &set[1]], &inputs[..]].concat(), &dir);
    let day = lines.iter().find(|l| l["session"] == "2025-02-12").unwrap();
    // The last weeks of 2024 as a whole year, and nothing of it by 12 February.
    let universe = rows(&harness::text("tests/golden/universe_sessions.csv"));
    let index_of = |from: &str, to: &str| {
        let of = |column: &str| -> f64 {
            let within = universe.iter().filter(|r| &*r["session"] >= from && &*r["session"] <= to);
            within.filter_map(|r| number(&r[column])).sum()
        };
        100.0 * of("abs_z_sum") / of("valid")
    };
    let (before, now) = (index_of("2024-10-01", "2024-12-31"), index_of("2025-01-01", "2025-02-12"));
    assert!((day["index"]["index"].as_f64().unwrap() - now).abs() < 1e-9 * now);
    assert_eq!(day["index"]["rank_full_years"], 1 + u32::from(before > now));
    assert_eq!(day["index"]["rank_same_day"], 1);
    assert_eq!((&day["index"]["years"], &day["index"]["history_universes"][0]), (&2.into(), &"top50".into()));
    // Half a year is too little for a percentile.
    assert_eq!(day["clusters"]["mag7"]["legs"]["rms_z"]["percentile"], Value::Null);
    assert!(day["clusters"]["mag7"]["legs"]["rms_z"]["value"].is_number());
}

/// Eight of the long histories over two years, a share count for each.
fn two_years(dir: &Dir) -> [String; 2] {
    const EIGHT: [&str; 8] = ["AAPL", "AMD", "AMZN", "BAC", "C", "CSCO", "CVX", "DIS"];
    let all = harness::text("data/megacaps30_ohlcv_1999_2021.csv.zst");
    let mut lines = all.lines();
    let mut closes = format!("{}\n", lines.next().unwrap());
    for line in lines {
        let (session, rest) = line.split_once(',').unwrap();
        if ("2000-01-01".."2002-01-01").contains(&session) && EIGHT.contains(&rest.split(',').next().unwrap()) {
            closes += line;
            closes += "\n";
        }
    }
    let shares = |(at, symbol): (usize, &&str)| {
        let count = (at + 1) * 1_000_000_000;
        format!(r#"{{"type":"shares","symbol":"{symbol}","session":"1999-12-31","shares_outstanding":{count}}}"#) + "\n"
    };
    let shares: String = EIGHT.iter().enumerate().map(shares).collect();
    [("shares.ndjson", shares), ("closes.csv", closes)].map(|(name, said)| text(&dir.write(name, said.as_bytes())))
}

/// A history read from the file that was built of it ranks as having lived it does, bit for bit.
#[test]
fn a_built_history_ranks_as_the_sessions_themselves_do() {
    let dir = Dir::new();
    let [shares, closes] = two_years(&dir);
    let (legs, index) = (text(&dir.file("legs.csv")), text(&dir.file("index.csv")));
    // It names the files before they are there.
    let mine = format!(
        "[history]\nindex = {index:?}\n[groups.top50]\nindex = false\n[groups.\"the eight\"]\nlegs = {legs:?}\n\
         members = [\"AAPL\", \"AMD\", \"AMZN\", \"BAC\", \"C\", \"CSCO\", \"CVX\", \"DIS\"]\n\
         universe = \"the eight\"\nindex = true\n"
    );
    let config = text(&dir.write("mine.toml", mine.as_bytes()));
    let inputs = ["--config", &config, "--input", &shares, &closes];
    let unread = run(&[&["replay"], &inputs[..]].concat(), b"");
    assert_eq!(unread.status.code(), Some(2), "the files are not there yet");
    let build = ["history", "build", "--group", "the eight", "--legs", &legs, "--index", &index];
    ok(&[&build[..], &inputs[..]].concat(), b"");
    let before = fs::read(&legs).unwrap();

    let by_file = summary(&inputs, &dir);
    let bare = ["--set", "groups.the eight.legs=", "--set", "history.index="];
    let lived = summary(&[&bare[..], &inputs[..]].concat(), &dir);
    assert_eq!((by_file.len(), lived.len()), (500, 500));
    let mut ranked = 0;
    for (mut file, mut own) in by_file.into_iter().zip(lived) {
        let session = own["session"].as_str().unwrap().to_owned();
        if &*session < "2001-01-01" {
            // The first weeks, of which nothing is known, are not in the file: another draw.
            for line in [&mut file, &mut own] {
                line["index"].as_object_mut().map(|index| index.remove("interval"));
            }
        }
        assert_eq!(file, own, "{session}");
        ranked += usize::from(own["clusters"]["the eight"]["legs"]["basket_z"]["percentile"].is_number());
    }
    // 21 sessions for a return's sigma after the first, 252 for a percentile.
    assert_eq!(ranked, 500 - 22 - 252);
    // Over files that are there, the same again.
    ok(&[&build[..], &inputs[..]].concat(), b"");
    assert_eq!(fs::read(&legs).unwrap(), before);
}

/// The closes of an index alone, in a history file, end no session: the members come with the input.
#[test]
fn an_index_in_a_history_file_silences_no_group() {
    let [reference, daily] = shipped();
    let (config, spy) = (config(), harness::repo("data/spy_daily_2024q4_2025q1.csv"));
    let spy = spy.to_str().unwrap();
    let alerts = |args: &[&str]| {
        let said = ok(&[&["replay", "--config", &config], args].concat(), b"");
        let lines = String::from_utf8(said).unwrap();
        let clusters = lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        let clusters = clusters.filter(|a| a["entity"]["type"] == "cluster");
        clusters.map(|a| format!("{} {} {}", a["session"], a["cluster"]["level"], a["z"])).collect::<Vec<_>>()
    };
    let set = format!("history.files=[{spy:?}]");
    let with_history = alerts(&["--set", &set, "--input", &reference, &daily]);
    assert_eq!(with_history.len(), 9);
    assert_eq!(with_history, alerts(&["--input", &reference, &daily, spy]));
}

#[test]
fn what_cannot_be_built_says_why() {
    let dir = Dir::new();
    let [reference, daily] = shipped();
    let (config, out) = (config(), text(&dir.file("out.csv")));
    let check = |args: &[&str], expected: i32, why: &str| {
        let all = [&["history", "build", "--config", &config, "--input", &reference, &daily], args].concat();
        let output = run(&all, b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(expected), 0), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {why:?} is not in {said}");
    };
    check(&[], 2, "<--legs <FILE>|--index <FILE>|--losses <FILE>>");
    check(&["--index", &out, "--group", "mag7"], 2, "--legs");
    check(&["--legs", &out, "--index", &out], 2, "same file");
    check(&["--legs", &out, "--group", "mag8"], 2, "no group \"mag8\"; with legs there are: mag7");
    check(&["--legs", &out, "--group", "top50"], 2, "top50 has no legs: it has no universe");
    check(&["--index", &out, "--set", "groups.top50.index=false"], 2, "no group has index = true");
    check(&["--legs", &out, "--set", "market.calendar=none"], 2, "needs a calendar");
    let two = ["--set", "groups.a.universe=top50", "--set", "groups.a.legs="];
    check(&[&["--legs", &out], &two[..]].concat(), 2, "one of the groups with legs: a, mag7");
    let bounds =
        |level: &str| format!("groups.mag7.levels.{level}={{ basket_z = 2.0, rms_z = 2.0, members = 2, legs = 2 }}");
    let [watch, alert, critical] = ["watch", "alert", "critical"].map(bounds);
    let fixed = ["--set", &watch, "--set", &alert, "--set", &critical];
    check(&[&["--legs", &out], &fixed[..]].concat(), 2, "no group has legs");
    check(&[&["--legs", &out, "--group", "mag7"], &fixed[..]].concat(), 2, "mag7 has no legs: fixed levels judge it");
    assert!(!dir.file("out.csv").exists(), "nothing is touched before it is known what for");
    check(&["--legs", "/nowhere/at/all.csv"], 1, "/nowhere/at/all.csv");
    check(&["--index", "/nowhere/at/all.csv"], 1, "/nowhere/at/all.csv");
    let missing = text(&dir.file("missing"));
    let output = run(&["history", "build", "--config", &config, "--input", &missing, "--legs", &out], b"");
    assert_eq!(output.status.code(), Some(2));
    // Closes without members and values: the file is there, and the log says that it is empty.
    let output = run(&["history", "build", "--config", &config, "--input", "-", "--legs", &out], b"not json\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("nothing is known") && said.contains("records were refused"), "{said}");
    assert_eq!(fs::read_to_string(dir.file("out.csv")).unwrap().lines().count(), 1);
}
