//! A restart: a partition's snapshot read from its file, checked, and made state again, in an engine that knows the
//! reference records, as after the start of the service. *Restored* is the time until the next record can be taken,
//! *whole* the time until nothing is encoded any more, which the service spreads over its turns.
//!
//! `RESTORE_SYMBOLS=10000,1000000` picks the sizes; each is taken several times, and the median and the worst are said.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use fragility::codec::{decode_snapshot, encode_snapshot};
use fragility::config::load_text;
use fragility::domain::{Observation, Price, Reference, Symbol, Tick, UnixNanos};
use fragility::engine::{Channel, Effects, Engine, Origin, PartitionImage, in_place};
use std::time::{Duration, Instant};

const BENCH: &str = include_str!("../config/bench.toml");
const START: i64 = 1_737_988_200_000_000_000;
const RUNS: usize = 5;

fn engine(symbols: usize) -> Engine {
    let set = [format!("universe.max_symbols={}", symbols.max(1_000))];
    let Ok(loaded) = load_text("bench", BENCH, &[], &set) else { unreachable!("the shipped bench.toml loads") };
    let mut engine = Engine::new(loaded.config.params);
    let mut effects = Effects::default();
    for n in 0..symbols {
        let (Ok(symbol), Ok(prev_close)) = (Symbol::new(&format!("S{n:07}")), Price::new(100.0)) else { continue };
        let record = Reference::Desk { symbol, session: None, prev_close, sigma_daily: 0.02 };
        engine.apply_reference(Channel::Initial, &record, &mut effects);
    }
    engine
}

fn live(symbols: usize) -> Engine {
    let mut engine = engine(symbols);
    let mut effects = Effects::default();
    for n in 0..symbols {
        let offset = i64::try_from(n).unwrap_or(0);
        let ts = UnixNanos(START + offset * 1_000);
        let symbol = format!("S{n:07}");
        let Ok(price) = Price::new(100.0 + (n % 97) as f64 * 0.1) else { continue };
        let tick = Tick::new(symbol.as_str(), ts, price);
        let origin = Origin { partition: 0, offset, timestamp: None };
        engine.step(ts, &origin, &Observation::Tick(tick), false, &mut effects);
        effects.clear();
    }
    engine
}

fn main() {
    let sizes = std::env::var("RESTORE_SYMBOLS").unwrap_or_else(|_| "10000,100000,1000000".to_owned());
    let file = std::env::temp_dir().join(format!("fragility-restore-{}.snapshot", std::process::id()));
    for symbols in sizes.split(',').filter_map(|n| n.trim().parse::<usize>().ok()) {
        let mut origin = live(symbols);
        let from = Instant::now();
        let image = origin.image(&[0]);
        let captured = from.elapsed();
        let from = Instant::now();
        let Some(bytes) = image.partitions.first().and_then(|(_, image)| encode_snapshot(image).ok()) else { return };
        let encoded = from.elapsed();
        drop((origin, image));
        if std::fs::write(&file, &bytes).is_err() {
            return;
        }
        let mut took: Vec<(Duration, Duration, Duration)> = (0..RUNS)
            .map(|_| {
                let mut engine = engine(symbols);
                let from = Instant::now();
                let image = std::fs::read(&file).ok().and_then(|b| in_place(b, decode_snapshot::<PartitionImage>).ok());
                let decoded = from.elapsed();
                if let Some(image) = image {
                    engine.restore_partition(UnixNanos(START), 0, &image);
                }
                let restored = from.elapsed();
                engine.wake_some(usize::MAX);
                (restored, decoded, from.elapsed())
            })
            .collect();
        took.sort();
        let mb = bytes.len() as f64 / 1e6;
        println!(
            "{symbols} symbols, {mb:.1} MB: captured in {captured:.1?}, encoded in {encoded:.1?}, restored in {:.1?} (median of {RUNS}, of it {:.1?} to read and check), {:.1?} (worst), whole in {:.1?}",
            took[RUNS / 2].0,
            took[RUNS / 2].1,
            took[RUNS - 1].0,
            took[RUNS / 2].2
        );
    }
    let _ = std::fs::remove_file(file);
}
