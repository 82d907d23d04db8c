//! Parquet files of another implementation, replayed like the same rows as CSV or NDJSON; and damaged ones.
//!
//! `tests/parquet/fixtures.py` made the files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fragility::sources::FileSource;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet").join(name)
}

/// A path of its own for each test.
fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fragility-parquet-{}-{name}", std::process::id()))
}

/// `replay` of one input with every output on standard output, in the order alerts, accounting, measures and
/// dead letters.
fn replay(input: &Path, name: &str, sets: &[String]) -> (Output, [String; 4]) {
    let outputs = ["alerts", "accounting", "measures", "dead-letters"].map(|of| (of, scratch(&format!("{name}-{of}"))));
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragility"));
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/fragility.toml");
    command.env_clear().stdin(Stdio::null()).arg("replay").arg("--config").arg(config).arg("--input").arg(input);
    for (of, path) in &outputs {
        command.arg(format!("--{of}")).arg(path);
    }
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().unwrap();
    let texts = outputs.map(|(_, path)| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text
    });
    (output, texts)
}

fn replayed_with(name: &str, sets: &[String]) -> [String; 4] {
    let (output, texts) = replay(&fixture(name), &format!("{name}-{}", sets.join("").len()), sets);
    assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    texts
}

fn replayed(name: &str) -> [String; 4] {
    replayed_with(name, &[])
}

/// What does not name the file.
fn results(name: &str) -> [String; 3] {
    let [alerts, accounting, measures, _] = replayed(name);
    [alerts, accounting, measures]
}

#[test]
fn every_codec_and_type_replays_like_the_same_rows_as_csv() {
    let expected = results("daily.csv");
    assert!(expected[0].lines().count() >= 5, "{}", expected[0]);
    assert_eq!(expected[2].lines().count(), 252);
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "int96"] {
        assert_eq!(results(&format!("daily_{codec}.parquet")), expected, "{codec}");
    }
}

#[test]
fn typed_columns_with_nulls_and_lists_replay_like_the_json_records() {
    let expected = results("records.ndjson");
    let kinds: Vec<Value> =
        expected[0].lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["kind"].clone()).collect();
    assert!(kinds.contains(&"open".into()) && kinds.contains(&"confirm".into()), "{kinds:?}");
    for name in ["records_ns", "records_int"] {
        assert_eq!(results(&format!("{name}.parquet")), expected, "{name}");
    }
}

#[test]
fn history_may_be_parquet() {
    // Only the last day; what came before is history.
    let day = |history: &str| {
        let history = format!("history.files=[{:?}]", fixture(history).display().to_string());
        let [alerts, _, measures, _] = replayed_with("day.ndjson", &[history]);
        (alerts, measures)
    };
    let expected = day("daily_history.csv");
    assert!(expected.0.contains(r#""kind":"confirm""#) && expected.1.contains(r#""n":21"#), "{expected:?}");
    assert_eq!(day("daily_history.parquet"), expected);
}

#[test]
fn a_flawed_row_has_its_outcome_and_its_dead_letter() {
    let [_, accounting, _, letters] = replayed("flaws.parquet");
    let accounting: Value = serde_json::from_str(&accounting).unwrap();
    assert_eq!(accounting["records_in"], 9);
    let outcomes = &accounting["outcomes"];
    assert_eq!(
        (&outcomes["applied"], &outcomes["malformed"], &outcomes["rejected"]),
        (&1.into(), &7.into(), &1.into())
    );
    let letters: Vec<Value> = letters.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let said = |l: &Value| (l["offset"].as_i64().unwrap(), l["reason"].as_str().unwrap().to_owned());
    let expected = [
        (1, "wrong_type"),
        (2, "missing_field"),
        (3, "missing_field"),
        (4, "wrong_type"),
        (5, "wrong_type"),
        (6, "missing_field"),
        (7, "price"),
        (8, "wrong_type"),
    ];
    assert_eq!(letters.iter().map(said).collect::<Vec<_>>(), expected.map(|(at, reason)| (at, reason.to_owned())));
    assert_eq!(letters[0]["value"], "tick,OK,1737988200000000001,dear,true");
    // A time in floating point has lost its nanoseconds already.
    let [_, accounting, ..] = replayed("real_ts.parquet");
    assert!(accounting.contains("\"malformed\":1"), "{accounting}");
}

/// Exit code 2, one line that names the file and says why, and nothing on standard output.
fn refused(path: &Path, why: &str) {
    let (output, [alerts, ..]) = replay(path, &format!("refused-{}", why.len()), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{}: {said}", path.display());
    assert!(said.contains(why) && said.contains(&*path.display().to_string()), "{why:?} is not in {said}");
    assert_eq!((said.lines().count(), output.stdout.len(), alerts.len()), (1, 0, 0), "{said}");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    refused(&fixture("list_price.parquet"), "column price is nested");
    refused(&fixture("group_price.parquet"), "column price is a group");
    refused(&fixture("time_price.parquet"), "column price has a type that is not read");
    refused(&fixture("no_columns.parquet"), "neither a column type nor a column session");
    refused(&fixture("delta_texts.parquet"), "DELTA_BYTE_ARRAY is not read");
    let whole = fs::read(fixture("daily_snappy.parquet")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = scratch(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let cut = write("cut", &whole[..whole.len() / 2]);
    refused(&cut, "it is cut off or damaged");
    let magic = write("magic", b"PAR1");
    refused(&magic, "it is cut off or damaged");
    let long = write("long", &[b"PAR1", &[0xff; 4][..], b"PAR1"].concat());
    refused(&long, "bytes of Parquet metadata");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &whole).unwrap();
    let packed = write("packed.gz", &packed.finish().unwrap());
    refused(&packed, "unpack it first");
    // A hole where pages were.
    let mut holed = whole.clone();
    holed[100..2_000].fill(0);
    let holed = write("holed", &holed);
    refused(&holed, "row group 0, column");
    for path in [cut, magic, long, packed, holed] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn standard_input_cannot_be_parquet() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragility"));
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/fragility.toml");
    command.env_clear().arg("replay").arg("--config").arg(config).args(["--input", "-"]);
    let output = command.stdin(fs::File::open(fixture("daily_none.parquet")).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("name the file instead of a pipe"), "{said}");
}

/// Reads to the end or to the first error: how many rows came, and the error.
fn read_through(path: &Path) -> (usize, Option<String>) {
    let mut source = match FileSource::open(path) {
        Ok(source) => source,
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut rows = 0;
    loop {
        match source.next_line() {
            Ok(Some(_)) => rows += 1,
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(error.to_string())),
        }
    }
}

/// Whatever is damaged, it ends in rows or an error.
#[test]
fn damage_gives_rows_or_an_error() {
    let path = scratch("damage");
    let mut refused = 0;
    for (name, rows) in [
        ("records_ns.parquet", 92),
        ("records_int.parquet", 92),
        ("daily_gzip.parquet", 252),
        ("daily_lz4.parquet", 252),
        ("daily_zstd.parquet", 252),
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        assert_eq!(read_through(&fixture(name)), (rows, None), "{name}");
        for len in (4..whole.len()).step_by(61) {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(read_through(&path).0, 0, "{name} cut at {len}");
        }
        for at in (4..whole.len()).step_by(13) {
            for byte in [whole[at] ^ 1, whole[at] ^ 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                fs::write(&path, &damaged).unwrap();
                let (_, error) = read_through(&path);
                refused += usize::from(error.is_some());
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
    fs::remove_file(path).unwrap();
}
