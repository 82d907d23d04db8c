//! What corpora begin with: the project's own fixtures, cut small, and what the engine itself writes.

use crate::harness::{repo, text};
use crate::streams::{Random, Record, disturbed, grouped, guarded, market};
use crate::surfaces::body_of;
use fragility::cluster::MemberEvent;
use fragility::codec::{
    decode, encode_alert, encode_compact_alert, encode_heartbeat, encode_member, encode_snapshot, encode_state,
};
use fragility::domain::UnixNanos;
use fragility::engine::{Effects, Engine, Origin, Params, Watermark};
use fragility::stores::Chunks;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

type Seeds = Vec<Vec<u8>>;

/// Seeds of a surface, snapshots aside.
pub(crate) fn of(surface: &str) -> Seeds {
    match surface {
        "alert" => alerts(),
        "avro" | "protobuf" => wire(surface),
        "avro_schema" => schemas(),
        "calendar" => texts(&["config/calendar/xnys_overlay.toml"], &[CALENDAR]),
        "config" => configurations(),
        "csv" => rows(),
        "dbn" => dbn(),
        "eligibility" => texts(&["config/eligibility/us_sip.toml"], &[ELIGIBILITY]),
        "json" => records(),
        "member" => members(),
        "packed" => packed(),
        "parquet" => parquet(),
        "range" => texts(&[], &RANGES),
        "stream" => streams(),
        "chunks" | "snapshot" | "snapshot_groups" | "snapshot_partition" => Vec::new(),
        vendor => distinct(&text(&format!("tests/fixtures/vendors/{vendor}.ndjson")), 24),
    }
}

const CALENDAR: &str = r#"version = "1"
valid_from = "2024-12-30"
valid_until = "2025-02-28"
closed = ["2025-01-09"]
open = ["2025-01-11"]
early_closes = [{ session = "2025-01-10", close = "13:00" }]
late_opens = [{ session = "2025-01-13", open = "10:30" }]
"#;

const ELIGIBILITY: &str = r#"version = "1"
as_of = "2026-11-24"
source = "a test"
conditions = [
  { tapes = ["A", "B"], code = "@", sets_last = "yes", sets_high_low = "yes", sets_volume = "yes" },
  { tapes = ["C"], code = "I", sets_last = "no", sets_high_low = "no", sets_volume = "yes", role = "odd_lot" },
  { tapes = ["A"], code = "Z", sets_last = "conditional", sets_high_low = "yes", sets_volume = "yes", when = "newest" },
]
"#;

const RANGES: [&str; 8] = [
    "beginning\nend",
    "1000\n2000",
    "0:1000,3:250\n0:2000,3:300",
    "2025-01-27T14:30:00Z\n2025-01-27T16:30:00-05:00",
    "3:17",
    "end\nbeginning",
    "1:2,1:3",
    "99999999999:1\n-1",
];

fn texts(paths: &[&str], more: &[&str]) -> Seeds {
    let read = paths.iter().map(|path| text(path).into_bytes());
    read.chain(more.iter().map(|text| text.as_bytes().to_vec())).collect()
}

/// Up to so many lines that differ in more than their numbers.
fn distinct(text: &str, most: usize) -> Seeds {
    let mut seen = BTreeSet::new();
    let shape = |line: &str| line.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let lines = text.lines().filter(|line| seen.insert(shape(line)));
    lines.take(most).map(|line| line.as_bytes().to_vec()).collect()
}

fn head(path: &str, lines: usize) -> String {
    text(path).split_inclusive('\n').take(lines).collect()
}

fn records() -> Seeds {
    let more = disturbed(3).into_iter().map(|r| r.json).collect::<Vec<_>>().join("\n");
    let mut seeds = distinct(&text("tests/parquet/records.ndjson"), 60);
    seeds.extend(distinct(&more, 30));
    seeds.extend(distinct(&text("tests/golden/realized_curve.ndjson"), 1));
    seeds
}

fn rows() -> Seeds {
    let paths = ["tests/parquet/daily_history.csv", "tests/parquet/daily.csv", "data/us_top50_daily_2024q4_2025q1.csv"];
    let typed = "type,symbol,ts,price,size,seq,cond,tape\ntick,NVDA,1738011600000000000,118.5,100,7,@ T,C\n";
    paths.iter().map(|path| head(path, 8)).chain([typed.to_owned()]).map(String::into_bytes).collect()
}

/// Values of a binary form, which its fixtures hold in hex.
fn wire(form: &str) -> Seeds {
    let bytes =
        |hex: &str| (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let lines = text("tests/fixtures/vendors/wire.ndjson");
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["form"] == form).map(|line| bytes(line["hex"].as_str().unwrap())).collect()
}

fn schemas() -> Seeds {
    let published = ["tick", "bar", "close", "amendment", "status", "heartbeat", "reference"];
    let published = published.map(|name| format!("schemas/{name}.avsc"));
    let values = wire("avro");
    let with_value = |(id, path): (u8, &String)| {
        let value = values.iter().find(|value| value[4] == id).map(|value| value[5..].to_vec());
        [text(path).into_bytes(), vec![0], value.unwrap_or_default()].concat()
    };
    (0..).zip(&published).map(with_value).chain([text("tests/fixtures/vendors/evolved.avsc").into_bytes()]).collect()
}

fn dbn() -> Seeds {
    let mut seeds: Seeds = ["trades.v1.dbn", "trades.v2.dbn"].map(fixture).to_vec();
    for name in ["EQUS.MINI.tbbo", "EQUS.MINI.ohlcv-1d", "XNAS.ITCH.mbo", "XNAS.ITCH.trades", "XNAS.ITCH.ohlcv-1m"] {
        seeds.push(zstd::decode_all(&fixture(&format!("{name}.dbn.zst"))[..]).unwrap());
    }
    seeds
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(repo("tests/fixtures/vendors").join(name)).unwrap()
}

fn packed() -> Seeds {
    let gzip = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    let (lines, rows) = (head("tests/parquet/records.ndjson", 6), head("tests/parquet/daily_history.csv", 6));
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    let twice = [gzip(&lines), gzip(&lines)].concat();
    vec![gzip(&lines), gzip(&rows), zstd(&lines), zstd(&rows), twice, fixture("EQUS.MINI.trades.dbn.zst")]
}

fn parquet() -> Seeds {
    let names =
        ["delta_texts", "flaws", "group_price", "list_price", "no_columns", "real_ts", "records_ns", "time_price"];
    names.iter().map(|name| fs::read(repo(&format!("tests/parquet/{name}.parquet"))).unwrap()).collect()
}

fn configurations() -> Seeds {
    let mut seeds =
        texts(&["config/fragility.toml"], &["", "[http]\nlisten = \"somewhere\"\n[market]\nlateness_ms = -1\n"]);
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(repo("tests/scenarios")).unwrap() {
        let path = entry.unwrap().path().join("config.toml");
        seeds.extend(fs::read(path).ok().filter(|config| seen.insert(config.clone())));
    }
    seeds.sort();
    let set = "[rules.symbol_shock]\nclose_at = 2.0\n\0[groups.two]\nmembers = [\"AAPL\", \"ZZZ\"]\n[groups.two.levels]\nwatch = { basket_z = 2.0, rms_z = 1.5, members = 1, legs = 2 }\nalert = { basket_z = 2.5, rms_z = 2.0, members = 2, legs = 2 }\ncritical = { basket_z = 3.0, rms_z = 2.5, members = 3, legs = 2 }\n\0market.lateness_ms=5\0kafka.properties.fetch.wait.max.ms=7";
    seeds.push(set.as_bytes().to_vec());
    seeds
}

/// An engine some way into a market, and what it has said.
fn ran(params: Params, records: &[Record], tells: bool) -> (Engine, Effects) {
    let (mut engine, mut effects) = (Engine::new(params), Effects::default());
    if tells {
        engine.tell_members(1);
    }
    for (offset, record) in (0..).zip(records) {
        let origin = Origin { partition: 0, offset, timestamp: None };
        engine.step(UnixNanos(0), &origin, &decode(record.json.as_bytes()).unwrap(), false, &mut effects);
        engine.advance(Watermark::Partitions, &[0], &mut effects);
    }
    (engine, effects)
}

fn alerts() -> Seeds {
    let mut seen = BTreeSet::new();
    let mut seeds = Vec::new();
    for effects in [ran(guarded(), &disturbed(1), false).1, ran(grouped(), &market(1), false).1] {
        for alert in effects.alerts {
            if !seen.insert(format!("{:?} {:?} {}", alert.kind, alert.state, alert.entity.type_name())) {
                continue;
            }
            let mut bytes = Vec::new();
            match seeds.len() {
                1 => encode_state(&alert, &mut bytes),
                2 => encode_compact_alert(&alert, &mut bytes),
                _ => encode_alert(&alert, &mut bytes),
            }
            seeds.push(bytes);
        }
    }
    let mut beat = Vec::new();
    encode_heartbeat("one", UnixNanos(1), "market", &[(0, 7, None)], &["DEAD_LETTER_FLOOD"], &mut beat);
    seeds.push(beat);
    seeds
}

fn members() -> Seeds {
    let told = ran(guarded(), &disturbed(2), true).1.members;
    let lines: Vec<Vec<u8>> = told
        .iter()
        .map(|record| {
            let mut bytes = Vec::new();
            encode_member(record, &mut bytes);
            bytes
        })
        .collect();
    // Around the first of each kind.
    let kind = |event: &MemberEvent| match event {
        MemberEvent::Price(_) => 0,
        MemberEvent::Close(_) => 1,
        MemberEvent::Amend(_) => 2,
        MemberEvent::Reached(_) => 3,
    };
    let first = |wanted| told.iter().position(|record| kind(&record.event) == wanted);
    let around = |at: usize| lines[at.saturating_sub(3)..lines.len().min(at + 3)].join(&b'\n');
    (0..4).filter_map(first).map(around).collect()
}

fn streams() -> Seeds {
    let mut random = Random(20_250_127);
    let lens = [40, 90, 200, 400, 900];
    (0..30_u8)
        .map(|mode| {
            let len = lens[random.below(lens.len())];
            std::iter::once(mode).chain((0..=len).map(|_| random.next() as u8)).collect()
        })
        .collect()
}

/// Seeds that follow the layout of images, with what to call them.
pub(crate) fn snapshots(surface: &str) -> Vec<(String, Vec<u8>)> {
    let engines = || {
        let (quiet, wild) = (market(5), disturbed(5));
        let cuts = [(&quiet, 10), (&quiet, quiet.len() / 2), (&wild, wild.len() / 5), (&wild, wild.len() * 2 / 3)];
        cuts.map(|(records, at)| (format!("cut {at}"), ran(guarded(), &records[..at], false).0))
    };
    match surface {
        "snapshot_partition" => {
            let image = |mut engine: Engine| encode_snapshot(&engine.image(&[0]).partitions[0].1).unwrap();
            let mut seeds = engines().map(|(name, engine)| (name, body_of(&image(engine)).to_vec())).to_vec();
            seeds.push(("fed".to_owned(), body_of(&image(fed())).to_vec()));
            seeds
        }
        "snapshot_groups" => {
            let image = |mut engine: Engine| encode_snapshot(&engine.image(&[0]).groups).unwrap();
            engines().map(|(name, engine)| (name, body_of(&image(engine)).to_vec())).to_vec()
        }
        "snapshot" => {
            let [(_, mut engine), ..] = engines();
            let image = engine.image(&[0]);
            let whole = [encode_snapshot(&image.groups).unwrap(), encode_snapshot(&image.partitions[0].1).unwrap()];
            whole.map(|bytes| ("whole".to_owned(), bytes)).to_vec()
        }
        "chunks" => {
            let [(_, mut engine), ..] = engines();
            let groups = encode_snapshot(&engine.image(&[0]).groups).unwrap();
            let messages = |values: Vec<Vec<u8>>| -> Vec<u8> {
                let message = |(number, value): (u8, &Vec<u8>)| {
                    [&(value.len() as u16).to_le_bytes()[..], &[number], value].concat()
                };
                (0..).zip(&values).flat_map(message).collect()
            };
            let newer = messages(Chunks::cut(&groups, 9).unwrap().collect());
            let older = messages(Chunks::cut(b"older", 8).unwrap().collect());
            vec![("two writings".to_owned(), [older, newer.clone()].concat()), ("one writing".to_owned(), newer)]
        }
        _ => Vec::new(),
    }
}

/// An engine whose groups are fed by the log of their members.
fn fed() -> Engine {
    let told = ran(guarded(), &disturbed(2)[..400], true).1.members;
    let (mut engine, mut effects) = (Engine::new(guarded()), Effects::default());
    for (offset, record) in (0..).zip(&told) {
        engine.take_member(UnixNanos(0), &Origin { partition: 0, offset, timestamp: None }, record, &mut effects);
    }
    engine
}
