//! The corpora of the fuzz targets as ordinary tests: every input there is, and each of them damaged in a few ways that
//! are the same every time. `fuzz/README.md` says how to look for more.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::format_push_string,
    reason = "counts and bytes of small inputs"
)]

mod harness;
#[path = "corpora/seeds.rs"]
mod seeds;
mod streams;
mod surfaces;

use harness::repo;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use streams::Random;

/// Files of a directory, by name; none where it does not exist.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Every input of a surface with what to call it.
fn inputs(surface: &str) -> Vec<(String, Vec<u8>)> {
    let stored = ["corpus", "regressions"].into_iter().flat_map(|kind| files(&repo("fuzz").join(kind).join(surface)));
    let stored =
        stored.map(|path| (path.strip_prefix(repo("")).unwrap().display().to_string(), fs::read(path).unwrap()));
    // Images follow the layout of this build.
    let made = seeds::snapshots(surface).into_iter().map(|(name, bytes)| (format!("{name}, just made"), bytes));
    stored.chain(made).collect()
}

/// Ways to damage one input of a surface.
fn rounds(surface: &str) -> usize {
    match surface {
        "stream" => 3,
        "snapshot_groups" | "snapshot_partition" => 100,
        "config" | "csv" | "dbn" | "packed" | "parquet" => 24,
        _ => 48,
    }
}

/// An input that is cut off, or has some bits or bytes other than they were.
fn damaged(bytes: &[u8], round: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.is_empty() {
        return vec![random.next() as u8; round];
    }
    let at = random.below(bytes.len());
    match round % 7 {
        0 => bytes.truncate(at),
        5 => {
            // What a number of eight bytes should not be.
            let odd = [f64::NAN, f64::INFINITY, -1.0, 1e300, 5e-324, f64::from_bits(u64::MAX)][random.below(6)];
            let end = bytes.len().min(at + 8);
            bytes[at..end].copy_from_slice(&odd.to_le_bytes()[..end - at]);
        }
        1 | 2 => {
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        3 => bytes[at] = [0, 0xff, 0x80, 0x7f, b'0', b'-', b'"', b'9'][random.below(8)],
        4 => {
            let value = [u8::MAX, 0, 0x80][random.below(3)];
            let end = bytes.len().min(at + 1 + random.below(9));
            bytes[at..end].fill(value);
        }
        _ => {
            let end = bytes.len().min(at + 1 + random.below(16));
            let part = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, part);
        }
    }
    bytes
}

fn check(surface: &str) {
    let inputs = inputs(surface);
    assert!(!inputs.is_empty(), "there is no corpus of {surface}");
    for (name, bytes) in &inputs {
        run(surface, name, bytes);
        let mut random = Random(bytes.iter().fold(7, |sum, b| sum * 31 % 1_000_003 + u64::from(*b)));
        for round in 0..rounds(surface) {
            run(surface, &format!("{name}, damaged {round}"), &damaged(bytes, round, &mut random));
        }
    }
}

/// Runs one input; one that fails is kept, to become a regression.
fn run(surface: &str, name: &str, bytes: &[u8]) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| surfaces::run(surface, bytes))) else { return };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpora").join(surface);
    fs::create_dir_all(&dir).unwrap();
    let kept = dir.join(format!("{:08x}", crc32fast::hash(bytes)));
    fs::write(&kept, bytes).unwrap();
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
    panic!("{surface}: {name}: {said}\nkept as {}", kept.display());
}

/// A test for each surface.
macro_rules! surfaces {
    ($($(#[$on:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$on])*
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        const TESTED: &[&str] = &[$($(#[$on])* stringify!($name)),*];
    };
}

surfaces!(
    alert,
    alpaca,
    #[cfg(feature = "avro")]
    avro,
    #[cfg(feature = "avro")]
    avro_schema,
    calendar,
    chunks,
    config,
    csv,
    databento,
    dbn,
    dxlink,
    eligibility,
    finnhub,
    json,
    member,
    packed,
    parquet,
    polygon,
    #[cfg(feature = "protobuf")]
    protobuf,
    range,
    snapshot,
    snapshot_groups,
    snapshot_partition,
    stream,
    tiingo,
    twelvedata,
);

/// Each surface has a test, a fuzz target and a line in the list of them.
#[test]
fn every_surface_is_tested_and_fuzzed() {
    let names: Vec<&str> = surfaces::SURFACES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    let (manifest, readme) = (harness::text("fuzz/Cargo.toml"), harness::text("fuzz/README.md"));
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml does not have {name}");
        assert!(readme.contains(&format!("| `{name}` |")), "fuzz/README.md does not list {name}");
        let target = harness::text(&format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(target.contains(&format!("surfaces::run(\"{name}\"")), "the target {name} runs something else");
    }
}

/// Writes the corpora anew from the fixtures: `cargo test --all-features --test corpora -- --ignored`.
#[test]
#[ignore = "writes into the sources"]
fn write_the_corpora() {
    for (surface, _) in surfaces::SURFACES {
        let dir = repo("fuzz/corpus").join(surface);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let snapshots = seeds::snapshots(surface).into_iter().map(|(_, bytes)| bytes);
        for (number, bytes) in seeds::of(surface).into_iter().chain(snapshots).enumerate() {
            fs::write(dir.join(format!("{number:03}")), bytes).unwrap();
        }
    }
}
