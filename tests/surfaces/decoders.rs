//! Records of every form. Any bytes give observations that are sound, or a refusal that says why; an engine gives each
//! record one outcome.

use super::config::engine;
#[cfg(feature = "avro")]
use fragility::codec::AvroSchemas;
use fragility::codec::{
    Batch, DecodeError, Decoder, EVENTS_MAX, VALUE_LEN_MAX, decode, encode_dead_letter, encode_tick,
};
use fragility::config::load_text;
use fragility::domain::{
    Amendment, Bar, Conditions, CurveTarget, Observation, Outcome, Price, PrintRef, Reference, Status, Symbol, Tick,
    TradingStatus, UnixNanos,
};
use fragility::engine::{Effects, Engine, Origin, Watermark};
#[cfg(feature = "avro")]
use std::sync::Arc;
use std::sync::OnceLock;

/// Longest name or id, and longest text of an event, in bytes.
const NAME_LEN_MAX: usize = 64;
const TEXT_LEN_MAX: usize = 1_024;

fn configured(format: &str) -> Decoder {
    let sets = [format!("input.format={format}")];
    load_text("surface", "", &[], &sets).unwrap_or_else(|e| panic!("{e:?}")).config.decoder
}

/// A surface for the form of the same name.
macro_rules! vendors {
    ($($name:ident),*) => {
        $(pub(super) fn $name(bytes: &[u8]) {
            static DECODER: OnceLock<Decoder> = OnceLock::new();
            record(DECODER.get_or_init(|| configured(stringify!($name))), bytes);
        })*
    };
}

vendors!(alpaca, databento, dxlink, finnhub, polygon, tiingo, twelvedata);
#[cfg(feature = "protobuf")]
vendors!(protobuf);

/// Schemas by id: those that the project publishes.
#[cfg(feature = "avro")]
fn schemas() -> AvroSchemas {
    let mut schemas = AvroSchemas::default();
    let published = [
        include_str!("../../schemas/tick.avsc"),
        include_str!("../../schemas/bar.avsc"),
        include_str!("../../schemas/close.avsc"),
        include_str!("../../schemas/amendment.avsc"),
        include_str!("../../schemas/status.avsc"),
        include_str!("../../schemas/heartbeat.avsc"),
        include_str!("../../schemas/reference.avsc"),
    ];
    for (id, schema) in (0..).zip(published) {
        schemas.add(id, schema).unwrap_or_else(|e| panic!("schema {id} {e}"));
    }
    let evolved = include_str!("../fixtures/vendors/evolved.avsc");
    schemas.add(1_000, evolved).unwrap_or_else(|e| panic!("the evolved schema {e}"));
    schemas
}

#[cfg(feature = "avro")]
pub(super) fn avro(bytes: &[u8]) {
    static DECODER: OnceLock<Decoder> = OnceLock::new();
    record(DECODER.get_or_init(|| Decoder::Avro(Arc::new(schemas()))), bytes);
}

/// A schema, and after a zero byte a value of it.
#[cfg(feature = "avro")]
pub(super) fn avro_schema(bytes: &[u8]) {
    let (schema, value) = bytes.split_at(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    let Ok(schema) = std::str::from_utf8(schema) else { return };
    let mut schemas = AvroSchemas::default();
    match schemas.add(0, schema) {
        Ok(()) => record(&Decoder::Avro(Arc::new(schemas)), &[&[0; 5], value.get(1..).unwrap_or_default()].concat()),
        Err(why) => assert!(!why.is_empty(), "a schema is refused without a reason"),
    }
}

pub(super) fn json(bytes: &[u8]) {
    record(&Decoder::Native, bytes);
    if let Ok(Observation::Tick(tick)) = decode(bytes) {
        // The scanner and the general decoder, which a key that is not known leads to, say the same.
        let at = bytes.iter().position(|b| *b == b'{').unwrap_or(0) + 1;
        let longer = [&bytes[..at], b"\"none of ours\":0,", &bytes[at..]].concat();
        if longer.len() <= VALUE_LEN_MAX {
            assert_eq!(decode(&longer).as_ref(), Ok(&Observation::Tick(tick.clone())), "{}", shown(&longer));
        }
        let mut again = Vec::new();
        encode_tick(&tick, &mut again);
        assert_eq!(decode(&again), Ok(Observation::Tick(tick)), "{}", shown(&again));
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One record of a form: sound observations or refusals, the same each time, and one outcome.
pub(super) fn record(decoder: &Decoder, bytes: &[u8]) {
    let batch = decoder.decode(bytes);
    assert_eq!(batch, decoder.decode(bytes), "decoding twice gives two answers");
    assert!(batch.rest.len() < EVENTS_MAX, "{} events in one record", batch.rest.len() + 1);
    for event in std::iter::once(&batch.first).chain(&batch.rest) {
        sound(event);
    }
    outcome(batch, bytes);
}

/// Takes a record into an engine: one outcome, or it waits and has one at the end.
fn outcome(batch: Batch<'_>, bytes: &[u8]) {
    let mut engine: Engine = engine();
    let mut effects = Effects::default();
    let origin = Origin { partition: 0, offset: 0, timestamp: None };
    let judged =
        batch.judge(|observation, is_part| engine.step(UnixNanos(0), &origin, observation, is_part, &mut effects));
    engine.advance(Watermark::Partitions, &[0], &mut effects);
    engine.advance(Watermark::End, &[], &mut effects);
    let waited = effects.resolved.iter().filter(|r| !r.is_part).count();
    assert_eq!(usize::from(judged.outcome.is_some()) + waited, 1, "{judged:?}, {:?}", effects.resolved);
    if judged.outcome.is_some_and(Outcome::is_dead_letter) {
        let mut letter = Vec::new();
        encode_dead_letter(judged.reason, &judged.detail, "market", &origin, None, bytes, &mut letter);
        assert!(serde_json::from_slice::<serde_json::Value>(&letter).is_ok(), "{}", shown(&letter));
    }
}

/// A refusal has a reason; an observation holds what its types and the documentation promise.
pub(super) fn sound(event: &Result<Observation<'_>, DecodeError>) {
    match event {
        Err(refusal) => {
            let is_refusal = !matches!(refusal.outcome, Outcome::Applied | Outcome::Duplicate | Outcome::Late);
            assert!(is_refusal && !refusal.reason.is_empty(), "{refusal:?}");
        }
        Ok(Observation::Tick(tick)) => sound_tick(tick),
        Ok(Observation::Bar(bar)) => sound_bar(bar),
        Ok(Observation::Heartbeat(beat)) => name(beat.feed.as_deref()),
        Ok(Observation::Amendment(amendment)) => sound_amendment(amendment),
        Ok(Observation::Status(status)) => sound_status(status),
        Ok(Observation::Reference(reference)) => sound_reference(reference),
    }
}

fn symbol(text: &str) {
    assert_eq!(Symbol::check(text), Ok(()), "{text:?}");
}

fn name(text: Option<&str>) {
    assert!(text.is_none_or(|t| !t.is_empty() && t.len() <= NAME_LEN_MAX), "{text:?}");
}

fn price(price: Price) {
    assert!(Price::new(price.get()).is_ok(), "{price:?}");
}

fn positive(size: Option<f64>) {
    assert!(size.is_none_or(|s| s.is_finite() && s > 0.0), "{size:?}");
}

fn sound_tick(tick: &Tick<'_>) {
    symbol(&tick.symbol);
    price(tick.price);
    positive(tick.size);
    for text in [&tick.id, &tick.feed, &tick.venue] {
        name(text.as_deref());
    }
    assert!(tick.cond.as_slice().len() <= Conditions::MAX, "{tick:?}");
}

fn sound_bar(bar: &Bar<'_>) {
    symbol(&bar.symbol);
    [bar.open, bar.high, bar.low, bar.close].into_iter().for_each(price);
    assert!(bar.low <= bar.open.min_of(bar.close) && bar.open.max_of(bar.close) <= bar.high, "{bar:?}");
    assert!(bar.volume.is_none_or(|v| v.is_finite() && v >= 0.0), "{bar:?}");
    name(bar.feed.as_deref());
}

/// The lesser and the greater of two prices.
trait Between {
    fn min_of(self, other: Self) -> Self;
    fn max_of(self, other: Self) -> Self;
}

impl Between for Price {
    fn min_of(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    fn max_of(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
}

fn sound_amendment(amendment: &Amendment<'_>) {
    symbol(&amendment.symbol);
    name(amendment.feed.as_deref());
    positive(amendment.size);
    amendment.price.into_iter().for_each(price);
    if let PrintRef::Id(id) = &amendment.print {
        name(Some(id));
    }
}

fn sound_status(status: &Status<'_>) {
    symbol(&status.symbol);
    name(status.reason.as_deref());
    if let TradingStatus::Limits { lower, upper } = status.status {
        [lower, upper].into_iter().for_each(price);
        assert!(lower <= upper, "{status:?}");
    }
}

fn sound_reference(reference: &Reference) {
    let within = |value: f64, low: f64, high: f64| assert!((low..=high).contains(&value), "{reference:?}");
    match reference {
        Reference::Close { price: close, .. } => price(*close),
        Reference::Daily { close, range, split, dividend, shares, .. } => {
            price(*close);
            range.iter().flatten().copied().for_each(price);
            split.iter().copied().for_each(|value| within(value, 1e-6, 1e6));
            dividend.iter().copied().for_each(|value| within(value, 0.0, 1e9));
            shares.iter().copied().for_each(|value| within(value, 0.0, 1e24));
        }
        Reference::Split { ratio, .. } => within(*ratio, 1e-6, 1e6),
        Reference::Shares { shares, .. } => within(*shares, 1.0, 1e15),
        Reference::Desk { prev_close, sigma_daily, .. } => {
            price(*prev_close);
            within(*sigma_daily, 1e-9, 100.0);
        }
        Reference::Dividend { amount, .. } => within(*amount, 0.0, 1e9),
        Reference::Curve { target, shares, overnight, sessions, .. } => {
            shares.iter().for_each(|share| within(*share, 0.0, 1e9));
            overnight.iter().copied().for_each(|value| within(value, 0.0, 1.0));
            assert!(*sessions > 0, "{reference:?}");
            if let CurveTarget::Group(group) = target {
                name(Some(group));
            }
        }
        Reference::Event { event, .. } => {
            name(Some(&event.kind));
            name(Some(&event.source));
            let is_short = |text: &Option<String>| text.as_ref().is_none_or(|t| t.len() <= TEXT_LEN_MAX);
            assert!(is_short(&event.text) && is_short(&event.url), "{reference:?}");
        }
        Reference::Rename { .. } => {}
        Reference::Member { group, company, .. } => {
            name(Some(group));
            name(company.as_deref());
        }
        Reference::Leave { group, .. } => name(Some(group)),
        other => panic!("nothing is promised of {other:?}"),
    }
}
