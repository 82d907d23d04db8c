//! Holds SECURITY.md against what it speaks of: fuzz targets, bounds, and the files that it names.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text() -> String {
    fs::read_to_string(root().join("SECURITY.md")).unwrap()
}

/// What follows a heading, up to the next of its rank.
fn section(heading: &str) -> String {
    let text = text();
    let (_, after) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    after.split("\n## ").next().unwrap().to_owned()
}

/// What stands between backquotes in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn every_fuzz_target_is_named_and_no_other() {
    let named: BTreeSet<String> = section("Fuzzing")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| quoted(line.split('|').nth(1).unwrap()).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let entries = fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap();
    let targets: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(!targets.is_empty());
    assert_eq!(named, targets);
}

/// `src/a.rs`: `NAME = VALUE`, as many of each as a row has.
#[test]
fn every_bound_has_the_value_it_is_said_to_have() {
    let mut read = 0;
    for line in section("Bounds").lines().filter(|line| line.starts_with("| ")) {
        let mut file: Option<(String, String)> = None;
        for word in quoted(line.rsplit('|').nth(1).unwrap()) {
            if word.starts_with("src/") {
                file = Some((word.to_owned(), fs::read_to_string(root().join(word)).unwrap()));
            } else if let Some((name, value)) = word.split_once(" = ") {
                let (path, code) = file.as_ref().unwrap();
                let start = format!("const {name}: ");
                let holds = |l: &str| l.contains(&start) && l.trim_end().ends_with(&format!(" = {value};"));
                assert!(code.lines().any(holds), "{path} has no {name} = {value}");
                read += 1;
            }
        }
    }
    assert!(read > 30, "{read} bounds");
}

#[test]
fn every_file_that_is_named_is_there() {
    let text = text();
    let links = text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
    let paths = text.lines().flat_map(quoted).filter(|word| {
        ["src/", "tests/", "docs/", "deploy/", "config/", "fuzz/"].iter().any(|dir| word.starts_with(dir))
            && !word.contains(' ')
    });
    let mut read = 0;
    for path in links.filter(|link| !link.is_empty()).chain(paths) {
        assert!(root().join(Path::new(path)).exists(), "{path} is not there");
        read += 1;
    }
    assert!(read > 40, "{read} files");
}
