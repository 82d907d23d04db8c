//! The binary from outside: bytes out for bytes in, exit codes, and where each bad record goes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use harness::binary::{Dir, config, ok, run, shipped, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Alerts, measures, summary and accounting of a replay.
#[derive(PartialEq, Debug)]
struct Replayed {
    alerts: String,
    measures: String,
    summary: String,
    accounting: Value,
}

fn replay(inputs: &[&str], stdin: &[u8]) -> Replayed {
    let dir = Dir::new();
    let (measures, summary, accounting) = (dir.file("m"), dir.file("s"), dir.file("a"));
    let (config, m, s, a) = (config(), text(&measures), text(&summary), text(&accounting));
    let mut args =
        vec!["replay", "--config", &config, "--measures", &m, "--summary", &s, "--accounting", &a, "--input"];
    args.extend(inputs);
    let alerts = ok(&args, stdin);
    Replayed {
        alerts: String::from_utf8(alerts).unwrap(),
        measures: fs::read_to_string(measures).unwrap(),
        summary: fs::read_to_string(summary).unwrap(),
        accounting: serde_json::from_str(&fs::read_to_string(accounting).unwrap()).unwrap(),
    }
}

/// Alerts with their source taken out.
fn without_source(alerts: &str) -> Vec<Value> {
    let strip = |line: &str| {
        let mut alert: Value = serde_json::from_str(line).unwrap();
        alert.as_object_mut().unwrap().remove("source").unwrap();
        alert
    };
    alerts.lines().map(strip).collect()
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let [reference, daily] = shipped();
    let first = replay(&[&reference, &daily], b"");
    assert_eq!(replay(&[&reference, &daily], b""), first);
    assert!(first.alerts.lines().count() > 100);
    assert_eq!(first.measures.lines().count(), 6_396);
    assert_eq!(first.summary.lines().count(), 123);
    assert_eq!(first.accounting["records_in"], 6_396 + 60);
    assert_eq!(first.accounting["outcomes"]["applied"], 6_396 + 60);
    let nvda = first.measures.lines().find(|l| l.contains("\"NVDA\"") && l.contains("2025-01-27")).unwrap();
    let nvda: Value = serde_json::from_str(nvda).unwrap();
    assert_eq!(format!("{:.4}", nvda["z"].as_f64().unwrap()), "-6.2871");
}

#[test]
fn the_order_of_symbols_changes_nothing_but_the_source() {
    let [reference, daily] = shipped();
    let first = replay(&[&reference, &daily], b"");
    let rows = fs::read_to_string(&daily).unwrap();
    let (header, rows) = rows.split_once('\n').unwrap();
    let mut by_symbol: Vec<&str> = rows.lines().collect();
    // One symbol after another, last name first; each symbol's own rows stay in order.
    by_symbol.sort_by_key(|row| std::cmp::Reverse(row.split(',').nth(1).unwrap()));
    let dir = Dir::new();
    let reordered = dir.write("daily.csv", format!("{header}\n{}\n", by_symbol.join("\n")).as_bytes());
    let second = replay(&[&reference, &text(&reordered)], b"");
    assert_eq!(second.measures, first.measures);
    assert_eq!(second.summary, first.summary);
    assert_eq!(second.accounting, first.accounting);
    assert_ne!(second.alerts, first.alerts, "the sources differ");
    assert_eq!(without_source(&second.alerts), without_source(&first.alerts));
}

/// A few sessions of one symbol as NDJSON, with a breach at the end.
fn story() -> Vec<u8> {
    let params = harness::params();
    let sessions = params.calendar.as_deref().unwrap().sessions();
    let days = sessions.iter().filter(|s| s.date >= harness::date("2025-01-02")).take(23);
    let line = |(at, day): (usize, &fragility::market::Session)| {
        let price = if at == 22 { 90.0 } else { 100.0 + (at % 2) as f64 };
        harness::close("ACME", &day.date.to_string(), price) + "\n"
    };
    days.enumerate().map(line).collect::<String>().into_bytes()
}

#[test]
fn input_comes_from_files_pipes_and_compressed() {
    let dir = Dir::new();
    let story = story();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&story).unwrap();
    let expected = replay(&["-"], &story);
    assert_eq!(expected.alerts.lines().count(), 1);
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&story[..], 1).unwrap();
    // The form is told by its first bytes, whatever the name says.
    for (name, bytes) in [("plain.ndjson", &story), ("packed.gz", &gzip), ("packed.zst", &zstd), ("odd.name", &zstd)] {
        let path = dir.write(name, bytes);
        assert_eq!(replay(&[&text(&path)], b""), expected, "{name}");
    }
    assert_eq!(replay(&["-"], &gzip), expected, "gzip on standard input");
    // Without a line end behind the last record, and with those of another system.
    assert_eq!(replay(&["-"], story.strip_suffix(b"\n").unwrap()), expected);
    let crlf = String::from_utf8(story).unwrap().replace('\n', "\r\n");
    assert_eq!(replay(&["-"], crlf.as_bytes()), expected);
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let dir = Dir::new();
    let config = config();
    let good = text(&dir.write("good.ndjson", &story()));
    let bad = text(&dir.write("bad.ndjson", b"not json\n"));
    let broken = text(&dir.write("broken.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3]));
    let headless = text(&dir.write("headless.csv", b"a,b\n1,2\n"));
    let missing = text(&dir.file("missing"));
    let wrong = text(&dir.write("wrong.toml", b"[market]\ncolour = 1\n"));
    let check = |args: &[&str], expected: i32| {
        let output = run(args, b"");
        assert_eq!(output.status.code(), Some(expected), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        if expected != 0 && expected != 3 {
            assert!(!output.stderr.is_empty(), "{args:?} says nothing");
            assert!(output.stdout.is_empty(), "{args:?} mixes its output with its troubles");
        }
    };
    check(&["replay", "--config", &config, "--input", &good], 0);
    check(&["replay", "--config", &config, "--strict", "--input", &good], 0);
    check(&["replay", "--config", &config, "--input", &bad], 0);
    check(&["replay", "--config", &config, "--strict", "--input", &bad], 3);
    check(&["replay", "--config", &config, "--input", &missing], 2);
    check(&["replay", "--config", &config, "--input", &good, &missing], 2);
    check(&["replay", "--config", &config, "--input", &broken], 2);
    check(&["replay", "--config", &config, "--input", &headless], 2);
    check(&["replay", "--config", &wrong, "--input", &good], 2);
    check(&["replay", "--config", &missing, "--input", &good], 2);
    check(&["replay", "--config", &config], 2);
    check(&["replay", "--config", &config, "--set", "market.lateness_ms=soon", "--input", &good], 2);
    check(&["replay", "--config", &config, "--alerts", "/nowhere/at/all", "--input", &good], 1);
    check(&["no-such-command"], 2);
    check(&["--version"], 0);
}

#[test]
fn a_range_that_cannot_be_says_why() {
    let config = config();
    let check = |args: &[&str], expected: i32, why: &str| {
        let output = run(&[&["replay", "--config", &config], args].concat(), b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(expected), 0), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {why:?} is not in {said}");
    };
    check(&[], 2, "<--input <FILE>...|--from <POINT>|--to <POINT>>");
    check(&["--from", "5", "--input", "x"], 2, "cannot be used with");
    check(&["--to", "5", "--input", "x"], 2, "cannot be used with");
    for point in ["yesterday", "2025-01-27", "-1", "0:", "0:1,0:2", ""] {
        check(&["--from", point], 2, "--from");
        check(&["--to", point], 2, "--to");
    }
    check(&["--from", "9", "--to", "3"], 2, "--to lies before --from");
    check(&["--from", "2025-01-28T00:00:00Z", "--to", "2025-01-27T00:00:00Z"], 2, "--to lies before --from");
    check(&["--from", "0:1,1:1", "--to", "0:5"], 2, "different partitions");
    check(&["--from", "end"], 2, "nothing would be read");
    check(&["--from", "0", "--set", "kafka.brokers="], 2, "kafka.brokers");
    check(&["--from", "0", "--set", "kafka.properties.colour=red"], 2, "colour");
    // Nobody listens on the discard port.
    check(&["--from", "beginning", "--set", "kafka.brokers=127.0.0.1:9"], 1, "no answer from kafka at 127.0.0.1:9");
}

#[test]
fn the_version_is_one_line_and_verbose_says_what_it_speaks() {
    let said = |args: &[&str]| String::from_utf8(ok(args, b"")).unwrap();
    let line = format!("fragility {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((said(&["--version"]), said(&["-V"])), (line.clone(), line.clone()));
    let verbose = said(&["--version", "--verbose"]);
    for args in [&["--verbose", "--version"][..], &["-V", "-v"], &["-Vv"], &["-vV"], &["run", "--version", "-v"]] {
        assert_eq!(said(args), verbose, "{args:?}");
    }
    let facts: BTreeMap<&str, &str> =
        verbose.strip_prefix(&line).unwrap().lines().map(|l| l.split_once(": ").unwrap()).collect();
    let layout = fragility::codec::SNAPSHOT_VERSION.to_string();
    assert_eq!(facts["snapshot layouts read"], layout);
    assert_eq!(facts["snapshot layout written"], layout);
    // The formats are those that the schemas name.
    for (fact, schema) in
        [("alert", "alert"), ("state", "state"), ("heartbeat", "heartbeat"), ("dead letter", "dead_letter")]
    {
        let schema: Value = serde_json::from_str(&said(&["schema", schema])).unwrap();
        assert_eq!(schema["properties"]["schema"]["const"], facts[fact], "{fact}");
    }
    assert!(facts["compiler"].starts_with("rustc 1.") && facts["librdkafka"].contains('.'), "{verbose}");
    for fact in ["revision", "tree", "target", "profile", "features", "rules", "member"] {
        assert!(!facts[fact].is_empty(), "{fact}");
    }
    let alone = run(&["-v", "metrics"], b"");
    assert_eq!((alone.status.code(), alone.stdout.len()), (Some(2), 0));
}

/// Dashboards and rules are the files in `deploy`, every one of them; all rules together are one file.
#[test]
fn dashboards_and_rules_are_the_files() {
    for (command, place, prefix, count) in
        [("dashboards", "deploy/grafana/dashboards", "fragility-", 5), ("rules", "deploy/prometheus", "rules_", 5)]
    {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(harness::repo(place)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if name.starts_with(prefix) {
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
        assert_eq!(files.len(), count, "{place}");
        for (name, text) in &files {
            assert_eq!(&String::from_utf8(ok(&[command, name], b"")).unwrap(), text, "{command} {name}");
        }
        let dir = Dir::new();
        let into = text(&dir.file("made/here"));
        let paths = String::from_utf8(ok(&[command, "--write", &into], b"")).unwrap();
        let written: BTreeMap<String, String> = paths
            .lines()
            .map(|p| (Path::new(p).file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(p).unwrap()))
            .collect();
        assert_eq!(written, files);
        // In one piece: every line of every file, but that rules have one list of groups.
        let lines = |text: &str| {
            let mut lines: Vec<String> =
                text.lines().filter(|l| !l.is_empty() && *l != "groups:").map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let whole = String::from_utf8(ok(&[command], b"")).unwrap();
        assert_eq!(lines(&whole), lines(&files.into_values().collect::<Vec<_>>().join("\n")));
        assert_eq!(whole.lines().filter(|l| *l == "groups:").count(), usize::from(command == "rules"));
        let unknown = run(&[command, "nothing"], b"");
        assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(2), 0));
        assert!(String::from_utf8_lossy(&unknown.stderr).contains(prefix), "the names there are");
        let file = text(&dir.write("file", b""));
        assert_eq!(run(&[command, "--write", &file], b"").status.code(), Some(1), "a file is no directory");
    }
}

#[test]
fn shells_can_complete_every_command() {
    let help = String::from_utf8(ok(&["--help"], b"")).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .map(|l| l.split_whitespace().next().unwrap())
        .collect();
    assert!(commands.len() > 15, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = String::from_utf8(ok(&["completions", shell], b"")).unwrap();
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("--config") || script.contains("-l config"), "{shell}");
    }
    assert_eq!(run(&["completions", "nothing"], b"").status.code(), Some(2));
}

/// A line and the outcome and reason that it must have.
fn bad_lines() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let tick =
        |fields: &str| format!(r#"{{"type":"tick","symbol":"NEW","ts":1738161000000000000{fields}}}"#).into_bytes();
    vec![
        (b"not json".to_vec(), "malformed", "not_json"),
        (br#"{"type":"tick""#.to_vec(), "malformed", "not_json"),
        (br#"[{"type":"tick"}]"#.to_vec(), "malformed", "wrong_type"),
        (br#"["tick","OK",1738161000000000000,5]"#.to_vec(), "malformed", "wrong_type"),
        (vec![0xff, 0xfe, 0x00], "malformed", "not_json"),
        (tick(r#","price":"12""#), "malformed", "wrong_type"),
        (tick(""), "malformed", "missing_field"),
        (tick(r#","price":NaN"#), "malformed", "not_json"),
        (tick(r#","price":1e400"#), "malformed", "not_json"),
        (tick(r#","price":-1"#), "rejected", "price"),
        (tick(r#","price":0"#), "rejected", "price"),
        (tick(r#","price":5,"size":0"#), "rejected", "size"),
        (br#"{"type":"tock","symbol":"NEW"}"#.to_vec(), "malformed", "unknown_type"),
        (Vec::new(), "tombstone", ""),
        (format!(r#"{{"type":"tick","pad":"{}"}}"#, "x".repeat(1 << 20)).into_bytes(), "malformed", "too_long"),
        (br#"{"type":"tick","symbol":"OK","ts":"2200-01-01T00:00:00Z","price":5}"#.to_vec(), "rejected", "event_time"),
        (br#"{"type":"tick","symbol":"OK","ts":9000000000000000000,"price":5}"#.to_vec(), "rejected", "event_time"),
        (tick(r#","price":5"#), "unknown_symbol", "unknown_symbol"),
        (br#"{"type":"tick","symbol":"OK","ts":1738161000000000000,"price":5,"seq":1}"#.to_vec(), "applied", ""),
        (br#"{"type":"tick","symbol":"OK","ts":1738161000000000000,"price":5,"seq":1}"#.to_vec(), "duplicate", ""),
        (br#"{"type":"tick","symbol":"OK","ts":1738160000000000000,"price":5}"#.to_vec(), "late", "late"),
        (br#"{"type":"close","symbol":"OK","session":"2025-01-09","price":5}"#.to_vec(), "rejected", "not_a_session"),
        (br#"{"type":"close","symbol":"OK","session":"2025-02-30","price":5}"#.to_vec(), "malformed", "wrong_type"),
        (br#"{"type":"halt","symbol":"OK","ts":1738161000000000000}"#.to_vec(), "applied", ""),
        (br#"{"type":"bar","symbol":"OK","ts":1738161000000000000,"interval":"1m","open":5,"high":5,"low":5,"close":5,"final":false}"#.to_vec(), "ignored", ""),
        (br#"{"type":"heartbeat","ts":1738161000000000000}"#.to_vec(), "applied", ""),
    ]
}

#[test]
fn every_bad_line_has_one_outcome_and_its_dead_letter() {
    let dir = Dir::new();
    let lines = bad_lines();
    let mut bytes = Vec::new();
    for (line, ..) in &lines {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    let input = text(&dir.write("bad.ndjson", &bytes));
    let (accounting, letters) = (dir.file("a"), dir.file("d"));
    let config = config();
    let (a, d) = (text(&accounting), text(&letters));
    let set = ["--set", "universe.mode=listed", "--set", "universe.symbols=[\"OK\"]"];
    let mut args =
        vec!["replay", "--config", &config, "--input", &input, "--accounting", &a, "--dead-letters", &d, "--strict"];
    args.extend(set);
    assert_eq!(run(&args, b"").status.code(), Some(3));

    let accounting: Value = serde_json::from_str(&fs::read_to_string(accounting).unwrap()).unwrap();
    assert_eq!(accounting["records_in"], lines.len());
    let outcomes = accounting["outcomes"].as_object().unwrap();
    assert_eq!(outcomes.len(), 8, "every outcome is there, at 0 too");
    for (outcome, count) in outcomes {
        let expected = lines.iter().filter(|(_, o, _)| o == outcome).count();
        assert_eq!(count, expected, "{outcome}");
    }

    let letters = fs::read_to_string(letters).unwrap();
    let mut letters = letters.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    for (offset, (line, outcome, reason)) in lines.iter().enumerate() {
        if !["late", "rejected", "malformed", "unknown_symbol"].contains(outcome) {
            continue;
        }
        let letter = letters.next().unwrap_or_else(|| panic!("no dead letter for line {offset}"));
        assert_eq!(letter["offset"], offset);
        assert_eq!(letter["topic"], input);
        assert!(letter["partition"].is_i64(), "{letter}");
        let said = letter["reason"].as_str().unwrap();
        assert_eq!(said.split(':').next(), Some(*reason), "line {offset}: {said}");
        let value = letter["value"].as_str().unwrap();
        assert!(String::from_utf8_lossy(line).starts_with(value), "line {offset}");
    }
    assert_eq!(letters.next(), None);
}

#[test]
fn csv_rows_have_outcomes_too() {
    let dir = Dir::new();
    let csv = "session,symbol,close\n2025-01-27,A,5\n2025-01-27,A,x\n2025-01-27,A\n2025-01-26,A,5\n2025-01-28,A,-1\n2025-01-28,A,6\n";
    let path = text(&dir.write("x.csv", csv.as_bytes()));
    let got = replay(&[&path], b"");
    assert_eq!(got.accounting["records_in"], 6);
    let count = |outcome: &str| got.accounting["outcomes"][outcome].as_u64().unwrap();
    assert_eq!((count("applied"), count("malformed"), count("rejected")), (2, 2, 2));
}

#[test]
fn check_names_every_mistake_and_masks_secrets() {
    let dir = Dir::new();
    let good = ok(&["check", "--config", &config()], b"");
    assert!(!good.is_empty());
    let wrong = dir.write(
        "wrong.toml",
        b"[market]\ncolour = 1\nlateness_ms = -1\n[log]\nformat = \"loud\"\n[http]\nlisten = \"x\"\n",
    );
    let output = run(&["check", "--config", &text(&wrong), "--set", "alerts.heartbeat_secs=-5"], b"");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    for key in ["market.colour", "market.lateness_ms", "log.format", "http.listen", "alerts.heartbeat_secs", "--set"] {
        assert!(said.contains(key), "{key} is not in {said}");
    }
    let set = ["check", "--effective", "--config", &config(), "--set", "kafka.properties.sasl.password=hunter2"];
    let effective = String::from_utf8(ok(&set, b"")).unwrap();
    assert!(effective.contains("kafka.properties.sasl.password") && !effective.contains("hunter2"), "{effective}");
}

#[test]
fn the_calendar_is_one_line_a_session() {
    let lines = |from: &str, to: &str| String::from_utf8(ok(&["calendar", "--from", from, "--to", to], b"")).unwrap();
    let expected = concat!(
        r#"{"session":"2025-01-08","open":"2025-01-08T14:30:00Z","close":"2025-01-08T21:00:00Z","early":false}"#,
        "\n",
        r#"{"session":"2025-01-10","open":"2025-01-10T14:30:00Z","close":"2025-01-10T21:00:00Z","early":false}"#,
        "\n",
    );
    assert_eq!(lines("2025-01-08", "2025-01-12"), expected);
    assert!(lines("2024-12-24", "2024-12-24").contains(r#""close":"2024-12-24T18:00:00Z","early":true"#));
    assert_eq!(lines("2025-01-11", "2025-01-12"), "");
    let unknown = lines("2028-12-29", "2029-01-05");
    assert!(
        unknown.lines().last().unwrap().contains(r#"{"unknown":{"from":"2029-01-01","to":"2029-01-05"}}"#),
        "{unknown}"
    );
    assert_eq!(run(&["calendar", "--from", "2025-01-12", "--to", "2025-01-08"], b"").status.code(), Some(2));
    assert_eq!(run(&["calendar", "--from", "2025-02-30", "--to", "2025-03-08"], b"").status.code(), Some(2));
}

#[test]
fn every_schema_is_json_and_other_names_are_refused() {
    for name in ["alert", "state", "heartbeat", "dead_letter", "input", "config"] {
        let schema: Value = serde_json::from_slice(&ok(&["schema", name], b"")).unwrap();
        assert!(schema["$schema"].is_string(), "{name}");
    }
    let output = run(&["schema", "nothing"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("heartbeat"), "it names those there are");
}

/// Every field of the alert contract is in every alert, and what is null has its reason.
#[test]
fn a_null_in_an_alert_has_its_reason() {
    let [reference, daily] = shipped();
    let schema: Value = serde_json::from_slice(&ok(&["schema", "alert"], b"")).unwrap();
    let required: Vec<&str> = schema["required"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert!(required.len() > 20, "{required:?}");
    for line in replay(&[&reference, &daily], b"").alerts.lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        for field in &required {
            assert!(alert.get(field).is_some(), "{field} is missing in {line}");
        }
        let fields = alert.as_object().unwrap();
        // Null by nature.
        let by_nature = |name: &str| ["cluster", "suspected_split"].contains(&name);
        let nulls = fields.iter().filter(|(name, value)| value.is_null() && !by_nature(name));
        for (name, _) in nulls {
            assert!(alert["unknown"][name].is_string(), "{name} is null without a reason in {line}");
        }
        assert!(alert["z"].is_number() || alert["entity"]["type"] == "cluster", "{line}");
    }
}

#[test]
fn a_group_with_too_few_sessions_gets_no_curve_and_is_named() {
    let dir = Dir::new();
    let curves = text(&dir.file("curves.ndjson"));
    let config = config();
    let asked = |sets: &[&str]| {
        let mut args = vec!["replay", "--config", &config, "--input", "-", "--curves", &curves];
        for set in sets {
            args.extend(["--set", set]);
        }
        run(&args, b"")
    };
    let group = "ruler.groups.tech.symbols=[\"NVDA\"]";
    let short = asked(&[group]);
    let said = String::from_utf8_lossy(&short.stderr).into_owned();
    assert_eq!(short.status.code(), Some(0), "{said}");
    assert!(said.contains("no curve learned") && said.contains("tech") && said.contains("63"), "{said}");
    assert_eq!(fs::read_to_string(dir.file("curves.ndjson")).unwrap(), "");
    for (sets, message) in [(&[][..], "[ruler.groups]"), (&[group, "market.calendar=none"], "needs a calendar")] {
        let refused = asked(sets);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(message), "{said}");
    }
}
