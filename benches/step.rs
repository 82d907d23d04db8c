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

fn engine(symbols: usize, members: &str, guards: &[&str]) -> Engine {
    let mut set = vec![format!("groups.mag7.members={members}")];
    set.extend(guards.iter().map(|guard| (*guard).to_owned()));
    let loaded = load_text("bench", BENCH, &[], &set);
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
    let none: &[&str] = &[];
    let cases = [
        ("1,000 quiet symbols", 1_000, "[]", none, ticks(1_000, quiet)),
        ("10,000 quiet symbols", 10_000, "[]", none, ticks(10_000, quiet)),
        ("100,000 quiet symbols", 100_000, "[]", none, ticks(100_000, quiet)),
        ("1,000 quiet symbols, guarded", 1_000, "[]", &GUARDS, ticks(1_000, quiet)),
        ("one hot symbol in a group", 1, r#"["S00000"]"#, none, ticks(1, quiet)),
        ("1,000 symbols, every thousandth tick turns all", 1_000, "[]", none, ticks(1_000, wild)),
    ];
    let mut group = c.benchmark_group("step");
    group.sample_size(20);
    group.throughput(Throughput::Elements(TICKS as u64));
    for (name, symbols, members, guards, ticks) in &cases {
        group.bench_function(*name, |b| {
            b.iter_batched_ref(
                || (engine(*symbols, members, guards), Effects::default()),
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
