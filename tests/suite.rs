//! The scenarios of `tests/scenarios`, through the binary as a user runs them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn suite() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Exit code, standard output and standard error.
fn scenarios(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragility"));
    // Nothing of the surroundings.
    let output = command.env_clear().arg("scenarios").args(args).output().unwrap();
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), utf8(output.stdout), utf8(output.stderr))
}

fn names(out: &str, verdict: &str) -> BTreeSet<String> {
    out.lines().filter_map(|line| Some(line.strip_prefix(verdict)?.trim().to_owned())).collect()
}

/// Every directory with an input.
fn directories() -> BTreeSet<String> {
    let entries = fs::read_dir(suite()).unwrap().map(|e| e.unwrap());
    let with_input = entries.filter(|e| e.path().join("input.ndjson").is_file());
    with_input.map(|e| e.file_name().into_string().unwrap()).collect()
}

/// A suite of its own with one of the scenarios, its expectation changed.
fn changed(test: &str, name: &str, change: impl Fn(String) -> String) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("suite-{test}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join(name)).unwrap();
    for file in ["input.ndjson", "config.toml"] {
        fs::copy(suite().join(name).join(file), dir.join(name).join(file)).unwrap();
    }
    let expected = fs::read_to_string(suite().join(name).join("alerts.ndjson")).unwrap();
    fs::write(dir.join(name).join("alerts.ndjson"), change(expected)).unwrap();
    dir
}

#[test]
fn every_situation_is_told_as_a_desk_expects() {
    let (code, out, err) = scenarios(&[]);
    assert_eq!(err, "");
    assert_eq!((code, names(&out, "differs")), (0, BTreeSet::new()), "{out}");
    let all = directories();
    assert!(all.len() > 20, "{all:?}");
    assert_eq!(names(&out, "ok"), all, "{out}");
}

#[test]
fn those_built_in_are_those_of_the_directory() {
    assert_eq!(scenarios(&["--suite", &text(&suite())]), scenarios(&[]));
}

#[test]
fn each_has_its_reasons_written_down() {
    let reasons = fs::read_to_string(suite().join("README.md")).unwrap();
    let told: BTreeSet<String> =
        reasons.lines().filter_map(|l| Some(l.strip_prefix("### ")?.trim_matches('`').to_owned())).collect();
    assert_eq!(told, directories());
}

#[test]
fn another_expectation_is_a_difference() {
    type Change = fn(String) -> String;
    let changes: [(&str, Change, &str); 4] = [
        ("value", |all| all.replacen("\"tier\":4", "\"tier\":6", 1), "tier is 4, not 6"),
        (
            "missing",
            |all| all.clone() + &all.lines().next().unwrap().replace("\"revision\":0", "\"revision\":7"),
            "missing ",
        ),
        ("extra", |all| all.lines().next().unwrap().to_owned() + "\n", "extra   "),
        ("order", |all| all.lines().rev().collect::<Vec<_>>().join("\n"), "changed order"),
    ];
    for (what, change, said) in changes {
        let dir = changed(what, "open_auction", change);
        let (code, out, _) = scenarios(&["--suite", &text(&dir)]);
        assert_eq!(code, 1, "{what}: {out}");
        assert!(out.starts_with("differs open_auction\n") && out.contains(said), "{what}: {out}");
        assert!(out.ends_with("0 of 1 scenarios as expected\n"), "{what}: {out}");
    }
    let dir = changed("none", "open_auction", |all| all);
    let (code, out, _) = scenarios(&["--suite", &text(&dir)]);
    assert_eq!((code, &*out), (0, "ok      open_auction\n1 of 1 scenarios as expected\n"));
}

/// Rules of one's own lie under what a scenario sets, whatever else their file says; what they say can be written
/// down and becomes the expectation.
#[test]
fn rules_of_ones_own_are_tried_and_written_down() {
    let dir = changed("own", "ex_dividend_total_return", |_| String::new());
    let rules = dir.join("mine.toml");
    let mine = concat!(
        "[rules.symbol_shock]\ntiers = [3.2, 5.0]\n[market]\nreturn_mode = \"price_return\"\n",
        "[input]\nformat = \"polygon\"\n[alerts]\nformat = \"compact\"\n[history]\nfiles = [\"nowhere.csv\"]\n"
    );
    fs::write(&rules, mine).unwrap();
    let own = ["--config", &text(&rules), "--suite", &text(&dir), "--write", &text(&dir)];
    let (code, out, err) = scenarios(&own);
    assert_eq!((code, &*err), (1, ""), "{out}");
    let said = fs::read_to_string(dir.join("ex_dividend_total_return/alerts.ndjson")).unwrap();
    assert!(said.starts_with("{\"alert_id\":") && said.contains("\"tier\":3.2,"), "{said}");
    assert!(said.contains("\"price\":96.0,"), "the scenario has the last word on returns: {said}");
    assert_eq!(scenarios(&own).0, 0);
    assert_eq!(scenarios(&["--suite", &text(&dir)]).0, 1, "the defaults say otherwise");
}

#[test]
fn what_cannot_be_run_is_said_at_once() {
    let empty = Path::new(env!("CARGO_TARGET_TMPDIR")).join("suite-empty");
    fs::create_dir_all(&empty).unwrap();
    let unread = changed("unread", "open_auction", |_| "{}\n".to_owned());
    let unset = changed("unset", "open_auction", |all| all);
    fs::write(unset.join("open_auction/config.toml"), "[market]\nlateness = 3\n").unwrap();
    for (args, why) in [
        (vec!["no_such_morning"], "no scenario \"no_such_morning\"; there are cancel_of_the_trigger, "),
        (vec!["--suite", &text(&empty)], "no scenario in "),
        (vec!["--suite", &text(&empty.join("nothing"))], "suite-empty/nothing"),
        (vec!["--suite", &text(&unread)], "open_auction/alerts.ndjson, line 1: alert_id is missing"),
        (vec!["--suite", &text(&unset)], "lateness"),
        (vec!["--config", &text(&empty.join("mine.toml"))], "cannot be read"),
    ] {
        let (code, _, err) = scenarios(&args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains(why), "{args:?}: {err}");
    }
}
