//! Reads the sources: the core stays pure, dependencies point one way, files stay short, and nothing names
//! the machine it was written on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The core modules, and the crate modules that each of them may use beside itself.
const CORE: [(&str, &[&str]); 8] = [
    ("domain", &[]),
    ("estimators", &["domain"]),
    ("market", &["domain", "estimators"]),
    ("rules", &["domain", "estimators", "market"]),
    ("cluster", &["domain", "estimators", "market"]),
    ("engine", &["domain", "estimators", "market", "rules", "cluster"]),
    ("codec", &["domain", "estimators", "market", "rules", "cluster", "engine"]),
    ("verify", &["domain", "estimators", "market", "rules", "cluster", "engine", "codec"]),
];

/// What the core has no business with: the outside world and ambient time.
const IMPURE: [&str; 16] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::io::stdin",
    "tokio",
    "rdkafka",
    "axum",
    "tracing",
    "prometheus",
    "clap",
    "indicatif",
    "miette",
];

/// What the configuration must not know of.
const BEYOND_CONFIG: [&str; 7] = ["app", "lane", "http", "sources", "sinks", "stores", "telemetry"];

const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `dir` that belongs to the project.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "target" || name == ".git" {
            continue;
        }
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The Rust sources of a module, its file and its directory.
fn sources(module: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let dir = root().join("src").join(module);
    if dir.is_dir() {
        files(&dir, &mut found);
    }
    let file = root().join("src").join(format!("{module}.rs"));
    if file.is_file() {
        found.push(file);
    }
    found.retain(|f| f.extension().is_some_and(|e| e == "rs"));
    found
}

/// Code without comments and without the unit tests at its end, on one line.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(|l| l.split("//").next().unwrap().trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// Modules named by `crate::a`, `crate::{a, b::c}`.
fn crate_modules(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let names: Vec<&str> = match after.strip_prefix('{') {
            None => vec![after],
            Some(group) => {
                // Only the outermost commas part modules.
                let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            parts.push(&group[start..at]);
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            parts.push(&group[start..at]);
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
                parts
            }
        };
        let identifier =
            |name: &str| name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        found.extend(names.into_iter().map(identifier).filter(|n| !n.is_empty()));
    }
    found
}

/// Whether `word` is named as a path of its own, and not as the end of another name.
fn names(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == '"');
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

#[test]
fn the_reader_of_imports_sees_what_it_should() {
    let code = code(
        "use crate::{domain::X, market::{A, B}, lane};\nlet t = crate::clock::now(); // crate::http\n#[cfg(test)]\nuse crate::app;",
    );
    let expected = ["clock", "domain", "lane", "market"].map(str::to_owned);
    assert_eq!(crate_modules(&code), BTreeSet::from(expected));
    assert!(names("use std::fs::File;", "std::fs") && names("tokio::spawn", "tokio"));
    assert!(!names("use std::fsx;", "std::fs") && !names("my_tokio", "tokio"));
}

#[test]
fn the_core_is_pure_and_its_arrows_point_one_way() {
    let mut wrong = Vec::new();
    let mut read = 0;
    for (module, allowed) in CORE {
        let files = sources(module);
        assert!(!files.is_empty(), "no sources of {module}");
        for file in files {
            read += 1;
            let code = code(&fs::read_to_string(&file).unwrap());
            let show = |what: &str| format!("{} uses {what}", file.strip_prefix(root()).unwrap().display());
            let modules = crate_modules(&code);
            wrong.extend(modules.iter().filter(|m| *m != module && !allowed.contains(&m.as_str())).map(|m| show(m)));
            wrong.extend(IMPURE.iter().filter(|word| names(&code, word)).map(|word| show(word)));
            // The same by the back stairs.
            wrong.extend(
                ["SystemTime", "Instant::now", "super::super::super"]
                    .iter()
                    .filter(|w| names(&code, w))
                    .map(|w| show(w)),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(read > 30, "{read} files");
}

#[test]
fn the_configuration_knows_nothing_of_what_uses_it() {
    for file in sources("config") {
        let modules = crate_modules(&code(&fs::read_to_string(&file).unwrap()));
        let beyond: Vec<_> = modules.iter().filter(|m| BEYOND_CONFIG.contains(&m.as_str())).collect();
        assert!(beyond.is_empty(), "{} uses {beyond:?}", file.display());
    }
}

/// The library has no printing, and time is read in one place.
#[test]
fn only_the_clock_reads_the_time() {
    let mut all = Vec::new();
    files(&root().join("src"), &mut all);
    let readers: Vec<_> = all
        .iter()
        .filter(|f| names(&code(&fs::read_to_string(f).unwrap()), "SystemTime::now"))
        .map(|f| f.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(readers, ["clock.rs"]);
}

/// Whatever the sources include is among what a release build looks at to say whether its tree is clean.
#[test]
fn the_build_knows_what_it_reads() {
    let script = fs::read_to_string(root().join("build.rs")).unwrap();
    let (_, list) = script.split_once("const READ").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let known: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let mut included = 0;
    for file in sources("") {
        let code = code(&fs::read_to_string(&file).unwrap());
        for after in code.split("include_").skip(1).filter(|c| c.starts_with("str!(") || c.starts_with("bytes!(")) {
            let path = after.split('"').nth(1).unwrap();
            let mut place = file.parent().unwrap().strip_prefix(root()).unwrap().to_owned();
            for part in path.split('/') {
                if part == ".." { assert!(place.pop()) } else { place.push(part) }
            }
            assert!(known.iter().any(|k| place.starts_with(k)), "{} includes {path}", file.display());
            included += 1;
        }
    }
    assert!(included > 20, "{included}");
}

#[test]
fn source_files_stay_short() {
    let mut all = Vec::new();
    for dir in ["src", "tests", "benches"] {
        files(&root().join(dir), &mut all);
    }
    let long: Vec<_> = all
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "rs"))
        .map(|f| (f.display().to_string(), fs::read_to_string(f).unwrap().lines().count()))
        .filter(|(_, lines)| *lines >= LINES_MAX)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    // Written in two parts, so that this file passes too.
    let words = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "wt-")];
    let mut all = Vec::new();
    files(&root(), &mut all);
    let mut read = 0;
    for file in all {
        // Whatever is not text is not read.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        read += 1;
        for word in words {
            assert!(!text.contains(word), "{} contains {word}", file.display());
        }
    }
    assert!(read > 80, "{read} files");
}
