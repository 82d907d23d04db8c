//! A whole replay from bytes to written alerts: shipped daily closes, and a tick file in the benchmark's rules.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fragility::app::{ReplayOptions, replay};
use fragility::config::{Config, DEFAULTS, load_text};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const BENCH: &str = include_str!("../config/bench.toml");
const TICKS: u64 = 200_000;

fn config(text: &str) -> Config {
    match load_text("bench", text, &[], &[]) {
        Ok(loaded) => loaded.config,
        Err(errors) => unreachable!("shipped configuration: {errors}"),
    }
}

/// Ticks of 1,000 symbols around their desk references.
fn tick_file(dir: &Path) -> PathBuf {
    let mut text = String::new();
    for n in 0..1_000 {
        let _ = writeln!(text, r#"{{"type":"reference","symbol":"S{n:05}","prev_close":100.0,"sigma_daily":0.02}}"#);
    }
    for n in 0..TICKS {
        let (symbol, ts) = (n * 7_919 % 1_000, 1_737_988_200_000_000_000 + n * 1_000_000);
        let price = 100.0 + (n * 31 % 701) as f64 * 0.01;
        let _ = writeln!(
            text,
            r#"{{"type":"tick","symbol":"S{symbol:05}","ts":{ts},"price":{price:.4},"size":100,"seq":{n}}}"#
        );
    }
    let path = dir.join("ticks.ndjson");
    match fs::write(&path, text) {
        Ok(()) => path,
        Err(error) => unreachable!("temporary directory: {error}"),
    }
}

fn bench(c: &mut Criterion) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let dir = std::env::temp_dir().join(format!("fragility-bench-{}", std::process::id()));
    if let Err(error) = fs::create_dir_all(&dir) {
        unreachable!("temporary directory: {error}");
    }
    let options = |inputs: Vec<PathBuf>| ReplayOptions {
        inputs,
        alerts: Some(dir.join("alerts")),
        measures: Some(dir.join("measures")),
        ..ReplayOptions::default()
    };
    let days = options(vec![data.join("us_top50_reference.ndjson"), data.join("us_top50_daily_2024q4_2025q1.csv")]);
    let ticks = options(vec![tick_file(&dir)]);
    let mut group = c.benchmark_group("replay");
    group.sample_size(10);
    group.throughput(Throughput::Elements(6_404));
    let full = config(DEFAULTS);
    group.bench_function("52 companies, 123 sessions of closes", |b| b.iter(|| replay(&full, &days).is_ok()));
    group.throughput(Throughput::Elements(TICKS + 1_000));
    let short = config(BENCH);
    group.bench_function("200,000 ticks of 1,000 symbols", |b| b.iter(|| replay(&short, &ticks).is_ok()));
    group.finish();
    let _ = fs::remove_dir_all(&dir);
}

criterion_group!(benches, bench);
criterion_main!(benches);
