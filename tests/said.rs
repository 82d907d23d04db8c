//! `verify`, `explain` and `diff`: what has been said, asked for its reasons.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use harness::binary::{Dir, config, ok, run, shipped, text};
use harness::repo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::OnceLock;

/// Alerts of the shipped days.
fn alerts() -> &'static str {
    static ALERTS: OnceLock<String> = OnceLock::new();
    ALERTS.get_or_init(|| {
        let [reference, daily] = shipped();
        let config = config();
        let args = ["replay", "--config", &config, "--input", &reference, &daily];
        String::from_utf8(ok(&args, b"")).unwrap()
    })
}

fn of(symbol: &str, session: &str) -> &'static str {
    let wanted = |line: &&str| {
        line.contains(&format!("\"id\":\"{symbol}\"")) && line.contains(&format!("\"session\":\"{session}\",\"phase\""))
    };
    alerts().lines().find(wanted).unwrap()
}

/// Exit code, standard output and the last line of standard error.
fn said(args: &[&str], stdin: &[u8]) -> (i32, String, String) {
    let output = run(args, stdin);
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let err = utf8(output.stderr);
    (output.status.code().unwrap(), utf8(output.stdout), err.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn every_alert_of_the_shipped_days_holds() {
    let expected = (0, String::new(), "144 alerts: 144 hold, 0 do not".to_owned());
    assert_eq!(said(&["verify"], alerts().as_bytes()), expected);
    let dir = Dir::new();
    let zstd = dir.write("alerts.zst", &zstd::encode_all(alerts().as_bytes(), 1).unwrap());
    assert_eq!(said(&["verify", "--alert", &text(&zstd)], b""), expected);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(alerts().as_bytes()).unwrap();
    assert_eq!(said(&["verify", "--alert", "-"], &gzip.finish().unwrap()), expected);
}

#[test]
fn every_alert_of_every_scenario_holds() {
    let mut checked = 0;
    for entry in fs::read_dir(repo("tests/scenarios")).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.join("input.ndjson").is_file() {
            continue;
        }
        let (settings, input) = (text(&dir.join("config.toml")), text(&dir.join("input.ndjson")));
        let alerts = ok(&["replay", "--config", &settings, "--input", &input], b"");
        checked += alerts.split(|b| *b == b'\n').count() - 1;
        let (code, out, err) = said(&["verify"], &alerts);
        assert_eq!((code, &*out), (0, ""), "{}: {err}", dir.display());
    }
    assert!(checked > 60, "{checked} alerts");
}

#[test]
fn what_does_not_hold_is_named_with_what_was_found_and_recomputed() {
    let nvda = of("NVDA", "2025-01-27");
    let forged = nvda.replace("\"z\":-6.2871,\"z_adjusted\"", "\"z\":-6.3871,\"z_adjusted\"");
    assert_ne!(forged, nvda);
    let (code, out, err) = said(&["verify"], format!("{nvda}\n\n{forged}\n").as_bytes());
    assert_eq!((code, &*err), (1, "2 alerts: 1 hold, 1 do not"));
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&line["line"], &line["entity"]["id"]), (&3.into(), &"NVDA".into()));
    let differences: BTreeMap<&str, &Value> =
        line["differences"].as_array().unwrap().iter().map(|d| (d["field"].as_str().unwrap(), d)).collect();
    assert_eq!(differences.keys().copied().collect::<Vec<_>>(), ["digest", "z"]);
    assert_eq!((&differences["z"]["found"], &differences["z"]["recomputed"]), (&(-6.3871).into(), &(-6.2871).into()));
    // Another place in the log is the same alert.
    let elsewhere = nvda.replace("\"partition\":1", "\"partition\":7");
    assert_eq!(said(&["verify"], elsewhere.as_bytes()).0, 0);
}

#[test]
fn what_is_no_alert_is_not_verified() {
    let check = |stdin: &str, why: &str| {
        let (code, out, err) = said(&["verify"], stdin.as_bytes());
        assert_eq!((code, &*out), (2, ""), "{stdin}: {err}");
        assert!(err.contains(why), "{why:?} is not in {err}");
    };
    check("not json\n", "1 lines are no alert");
    check("{\"schema\":\"fragility.dead_letter.v1\"}\n", "1 lines are no alert");
    check(&of("NVDA", "2025-01-27").replace("\"episode\":1,", ""), "1 lines are no alert");
    let many = run(&["verify"], "x\n".repeat(50).as_bytes());
    assert_eq!(String::from_utf8(many.stderr).unwrap().lines().count(), 11, "ten reasons and the count");
    let compact = r#"{"kind":"open","symbol":"S","ts":1,"tier":3,"z":3.1,"fast_vol":0.1,"slow_vol":0.1,"episode":1}"#;
    check(compact, "1 are compact: they carry no arithmetic, so nothing can be recomputed");
    let beat = r#"{"schema":"fragility.heartbeat.v1","instance":"i","sent_at":0,"inputs":[]}"#;
    let (code, _, err) = said(&["verify"], format!("{beat}\n{}\n", of("NVDA", "2025-01-27")).as_bytes());
    assert_eq!((code, &*err), (0, "1 alerts: 1 hold, 0 do not; 1 heartbeats passed over"));
    assert_eq!(said(&["verify"], b""), (0, String::new(), "0 alerts: 0 hold, 0 do not".to_owned()));
    assert_eq!(said(&["verify", "--alert", "/nowhere/at/all"], b"").0, 2);
}

/// What a newer build adds to its records is passed over, in alerts and states; another version is refused by name.
#[test]
fn fields_of_a_newer_build_are_passed_over() {
    let line = of("NVDA", "2025-01-27");
    let (before, behind) = line.split_once(",\"source\":[").unwrap();
    let before = before.replacen("\"window\":{", "\"window\":{\"newer\":[1],", 1) + ",\"newer\":{\"x\":1}";
    let digest = fragility::codec::digest_of(before.as_bytes());
    let (source, _) = behind.split_once("],\"digest\"").unwrap();
    let newer = format!("{before},\"source\":[{source}],\"digest\":\"{digest}\"}}");
    assert!(newer.contains("\"newer\":[1]"));
    assert_eq!(said(&["verify"], newer.as_bytes()), (0, String::new(), "1 alerts: 1 hold, 0 do not".to_owned()));
    let (code, _, _) = said(&["verify"], newer.replace("fragility.alert.v1", "fragility.alert.v2").as_bytes());
    assert_eq!(code, 2);
}

fn alert_id(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["alert_id"].as_str().unwrap().to_owned()
}

#[test]
fn an_alert_is_explained_from_a_file() {
    let dir = Dir::new();
    let file = text(&dir.write("alerts.ndjson", alerts().as_bytes()));
    let [reference, daily] = shipped();
    let config = config();
    let explain = |name: &str| {
        said(&["explain", name, "--config", &config, "--alert", &file, "--input", &reference, &daily], b"")
    };
    let id = alert_id(of("NVDA", "2025-01-27"));
    let (code, out, err) = explain(&id);
    assert_eq!((code, &*err), (0, ""), "{out}");
    for line in [
        "NVDA closed with a move of -6.29 sigma (-16.97 %) on 2025-01-27, 118.42 against 142.62.",
        "reference   142.62 (official of 2025-01-24)",
        "price       118.42",
        "return      ln(118.42 / 142.62) = -0.18594612349652748 (-16.97 %)",
        "sigma       0.029575762969698532 a day: sample deviation of 21 daily log returns, 2024-12-23 to 2025-01-24",
        "z           -0.18594612349652748 / 0.029575762969698532 = -6.2871",
        "tier 6      from 119.4298503664415 (held)",
        "record      market 1:4145  2025-01-27,NVDA,118.42,-16.968,811114561,2900105800000",
        "verify      holds: every number follows from the others, and the digest is that of the bytes",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} is not in\n{out}");
    }
    assert_eq!(out.lines().filter(|l| l.contains("(next)")).count(), 2, "{out}");
    let group = explain(&(alert_id(of("mag7", "2025-01-27")) + ":0"));
    assert_eq!(group.0, 0, "{}", group.1);
    assert!(group.1.contains("  NVDA     z   -6.2871, -16.97 %, weight "), "{}", group.1);
    assert_eq!(group.1.lines().filter(|l| l.starts_with("record ")).count(), 50, "{}", group.1);
}

#[test]
fn what_cannot_be_explained_says_why() {
    let dir = Dir::new();
    let nvda = of("NVDA", "2025-01-27");
    let id = alert_id(nvda);
    let file = text(&dir.write("alerts.ndjson", nvda.as_bytes()));
    let forged = text(&dir.write("forged.ndjson", nvda.replace("118.42", "118.43").as_bytes()));
    let [reference, daily] = shipped();
    let config = config();
    let check = |args: &[&str], expected: i32, why: &str| {
        let output = run(&[&["explain", "--config", &config], args].concat(), b"");
        let all = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{args:?}: {all}");
        assert!(all.contains(why), "{why:?} is not in {all}");
    };
    check(&["not-an-id", "--alert", &file], 2, "is no alert_id");
    check(&["00000000-0000-5000-8000-000000000000", "--alert", &file], 2, "no alert 00000000-");
    check(&[&format!("{id}:3"), "--alert", &file], 2, ":3 in ");
    check(&[&id, "--alert", &file, "--from", "0"], 2, "cannot be used with");
    check(&[&id, "--alert", "/nowhere/at/all"], 2, "/nowhere/at/all");
    check(&[&id, "--alert", &file, "--input", &reference], 1, "is not there any more");
    let both = ["--input", &reference, &daily];
    check(
        &[&[&*id, "--alert", &forged], &both[..]].concat(),
        1,
        "DOES NOT HOLD: log_return is -0.18594612349652748, recomputed ",
    );
    // The arithmetic is there even where the log is not.
    let nobody = ["--set", "kafka.brokers=127.0.0.1:9"];
    check(&[&[&*id, "--alert", &file], &nobody[..]].concat(), 1, "cannot be read: no answer from kafka");
}

/// Lines of a difference by what changed.
fn changes(out: &str) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        all.entry(line["change"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    all
}

#[test]
fn rule_sets_are_compared_over_the_shipped_days() {
    let dir = Dir::new();
    let [reference, daily] = shipped();
    let a = config();
    let diff = |b: &str| {
        let b = text(&dir.write("b.toml", b.as_bytes()));
        said(&["diff", "--config", &a, "--config", &b, "--input", &reference, &daily], b"")
    };
    let shipped_rules = fs::read_to_string(repo("config/fragility.toml")).unwrap();
    let (code, out, err) = diff(&shipped_rules);
    let all = "A 144 alerts, B 144: 144 the same, 0 added, 0 removed, 0 earlier, 0 later, 0 changed";
    assert_eq!((code, &*out, &*err), (0, "", all));
    // Fewer alerts at a higher first tier: those below 3.5 go, those from 3.5 to 4 hold another tier.
    let (code, out, _) = diff("[rules.symbol_shock]\ntiers = [3.5, 4.0, 6.0, 8.0, 10.0]\n");
    assert_eq!(code, 0);
    let mut found = changes(&out);
    // Groups have levels, not these tiers.
    let is_symbol = |l: &Value| l["entity"]["type"] == "symbol";
    for lines in found.values_mut() {
        lines.retain(is_symbol);
    }
    found.retain(|_, lines| !lines.is_empty());
    let z = |line: &Value, side: &str| line[side]["z"].as_f64().unwrap().abs();
    assert!(found["removed"].iter().all(|l| l["b"].is_null() && z(l, "a") < 3.5), "{out}");
    assert!(found["changed"].iter().all(|l| (3.5..4.0).contains(&z(l, "b"))), "{out}");
    assert_eq!(found["changed"][0]["fields"], serde_json::json!(["tier", "peak_tier"]));
    assert_eq!((&found["changed"][0]["a"]["tier"], &found["changed"][0]["b"]["tier"]), (&3.into(), &3.5.into()));
    let between = |low: f64, high: f64| {
        let records = alerts().lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        let symbols = records.filter(|a| a["entity"]["type"] == "symbol");
        symbols.filter(|a| (low..high).contains(&a["z"].as_f64().unwrap().abs())).count()
    };
    assert_eq!((found["removed"].len(), found["changed"].len()), (between(3.0, 3.5), between(3.5, 4.0)));
    assert_eq!(found.len(), 2, "{err}");
}

/// One symbol in the morning: what a higher first tier says comes later, what a lower one says earlier.
#[test]
fn later_and_earlier_are_told_by_how_much() {
    let dir = Dir::new();
    let ticks = ["100.0", "106.5", "108.5"].iter().zip(0..).map(|(price, minute)| {
        format!(
            r#"{{"type":"tick","symbol":"ACME","ts":"2025-01-27T15:{minute:02}:00Z","price":{price},"seq":{}}}"#,
            minute + 1
        )
    });
    let desk = r#"{"type":"reference","symbol":"ACME","prev_close":100,"sigma_daily":0.02}"#.to_owned();
    let lines: Vec<String> = std::iter::once(desk).chain(ticks).collect();
    let input = text(&dir.write("day.ndjson", lines.join("\n").as_bytes()));
    let rules = |name: &str, first: &str| {
        let rules = format!("[market.quarantine]\nenabled = false\n[rules.symbol_shock]\ntiers = [{first}]\n");
        text(&dir.write(name, rules.as_bytes()))
    };
    let (three, four) = (rules("three.toml", "3.0"), rules("four.toml", "4.0"));
    let diff = |a: &str, b: &str| said(&["diff", "--config", a, "--config", b, "--input", &input], b"");
    for (a, b, change) in [(&three, &four, "later"), (&four, &three, "earlier")] {
        let (code, out, err) = diff(a, b);
        assert_eq!(code, 0, "{err}");
        let found = changes(&out);
        let line = &found[change][0];
        assert_eq!((&line["kind"], &line["by_ns"]), (&"open".into(), &60_000_000_000_u64.into()), "{out}");
        assert!(line["a"]["alert_id"].is_string() && line["b"]["z"].is_f64(), "{out}");
    }
    let one = run(&["diff", "--config", &three, "--input", &input], b"");
    assert_eq!(one.status.code(), Some(2));
    let pipe = run(&["diff", "--config", &three, "--config", &four, "--input", "-"], b"");
    assert_eq!(pipe.status.code(), Some(2));
}
