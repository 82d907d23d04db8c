//! Bytes to observation: the plain tick of the fast path, the same tick in odd spelling, a bar, a close.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fragility::codec::decode;
use std::hint::black_box;

fn records() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let tick = |n: u64| {
        format!(
            r#"{{"type":"tick","symbol":"S{:05}","ts":{},"price":{}.{:04},"size":100,"seq":{n}}}"#,
            n % 10_000,
            1_738_161_000_000_000_000 + n * 1_000_003,
            20 + n % 480,
            n % 10_000
        )
    };
    let odd = |n: u64| tick(n).replacen(r#""size":100"#, r#""size":100,"cond":["@"]"#, 1);
    let bar = |n: u64| {
        format!(
            r#"{{"type":"bar","symbol":"S{:05}","ts":{},"interval":"1m","open":101.5,"high":102.25,"low":101.0,"close":101.75,"volume":{n}}}"#,
            n % 10_000,
            1_738_161_000_000_000_000 + n * 60_000_000_000
        )
    };
    let close =
        |n: u64| format!(r#"{{"type":"close","symbol":"S{:05}","session":"2025-01-27","price":118.42}}"#, n % 10_000);
    let many = |one: &dyn Fn(u64) -> String| (0..4_096).map(|n| one(n).into_bytes()).collect();
    vec![("tick", many(&tick)), ("tick, general path", many(&odd)), ("bar", many(&bar)), ("close", many(&close))]
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, records) in records() {
        group.throughput(Throughput::Elements(records.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                for record in &records {
                    black_box(decode(black_box(record)).is_ok());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
