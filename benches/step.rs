//! One step of the engine on populated state: many quiet symbols, with and without the guards of the shipped
//! configuration, one hot symbol, members of a group, and the slow case where every tick opens or closes an
//! episode.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fragility::config::load_text;
use fragility::domain::{Observation, Price, Reference, Symbol, Tick, UnixNanos};
use fragility::engine::{Channel, Effects, Engine, Origin};

const BENCH: &str = include_str!("../config/bench.toml");
/// What `bench.toml` turns off.
const GUARDS: [&str; 4] = [
    "market.calendar=XNYS",
    "market.eligibility=",
    "market.quarantine.enabled=true",
    "market.corrections.prints_max=256",
];
const TICKS: usize = 100_000;
const START: i64 = 1_737_988_200_000_000_000;

/// Ten groups judged by their own past over the same universe of the first `size` symbols, each of all of them.
fn groups(size: usize) -> Vec<String> {
    let members: Vec<String> = (0..size).map(|n| format!("\"S{n:05}\"")).collect();
    let members = members.join(",");
    let group = |n: usize| [format!("groups.g{n}.members=[{members}]"), format!("groups.g{n}.universe=g0")];
    std::iter::once("groups.mag7.members=[]".to_owned()).chain((0..10).flat_map(group)).collect()
}

fn engine(symbols: usize, set: &[String]) -> Engine {
    let loaded = load_text("bench", BENCH, &[], set);
    let Ok(loaded) = loaded else { unreachable!("the shipped bench.toml loads") };
    let mut engine = Engine::new(loaded.config.params);
    let mut effects = Effects::default();
    for n in 0..symbols {
        let (Ok(symbol), Ok(prev_close)) = (Symbol::new(&format!("S{n:05}")), Price::new(100.0)) else { continue };
        let record = Reference::Desk { symbol, session: None, prev_close, sigma_daily: 0.02 };
        engine.apply_reference(Channel::Initial, &record, &mut effects);
    }
    engine
}

/// What makes a tick: a whole one is built on the stack, as a decoder does, so that its size is no part of the
/// memory that is walked through.
struct Raw {
    symbol: String,
    ts: UnixNanos,
    price: Price,
}

/// Ticks over `symbols` in a scattered, fixed order; `price` gives each its price.
fn ticks(symbols: usize, price: impl Fn(usize) -> f64) -> Vec<Raw> {
    let tick = |n: usize| {
        let at = i64::try_from(n).unwrap_or(0) * 50_000;
        let price = Price::new(price(n)).unwrap_or_else(|_| unreachable!("a positive price"));
        let symbol = format!("S{:05}", n.wrapping_mul(7_919) % symbols);
        Raw { symbol, ts: UnixNanos(START + at), price }
    };
    (0..TICKS).map(tick).collect()
}

fn bench(c: &mut Criterion) {
    let quiet = |n: usize| 100.0 + (n % 97) as f64 * 0.01;
    let wild = |n: usize| if (n / 1_000).is_multiple_of(2) { 107.0 } else { 100.0 };
    let members = |members: &str| vec![format!("groups.mag7.members={members}")];
    let none = || members("[]");
    let mut guarded = none();
    guarded.extend(GUARDS.map(str::to_owned));
    let cases = [
        ("1,000 quiet symbols", 1_000, none(), ticks(1_000, quiet)),
        ("10,000 quiet symbols", 10_000, none(), ticks(10_000, quiet)),
        ("100,000 quiet symbols", 100_000, none(), ticks(100_000, quiet)),
        ("1,000 quiet symbols, guarded", 1_000, guarded, ticks(1_000, quiet)),
        ("one hot symbol in a group", 1, members(r#"["S00000"]"#), ticks(1, quiet)),
        ("1,000 quiet symbols, 50 of them in ten groups", 1_000, groups(50), ticks(1_000, quiet)),
        ("1,000 quiet symbols, 500 of them in ten groups", 1_000, groups(500), ticks(1_000, quiet)),
        ("1,000 symbols, every thousandth tick turns all", 1_000, none(), ticks(1_000, wild)),
    ];
    let mut group = c.benchmark_group("step");
    group.sample_size(20);
    group.throughput(Throughput::Elements(TICKS as u64));
    for (name, symbols, set, ticks) in &cases {
        group.bench_function(*name, |b| {
            b.iter_batched_ref(
                || (engine(*symbols, set), Effects::default()),
                |(engine, effects)| {
                    for (offset, Raw { symbol, ts, price }) in (0_i64..).zip(ticks) {
                        let origin = Origin { partition: 0, offset, timestamp: None };
                        let tick = Tick { seq: Some(offset.cast_unsigned()), ..Tick::new(symbol, *ts, *price) };
                        engine.step(UnixNanos(0), &origin, &Observation::Tick(tick), false, effects);
                        effects.clear();
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
