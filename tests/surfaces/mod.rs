//! Every surface that reads bytes or text from outside, each as one function of bytes that panics where something does
//! not hold. The fuzz targets call them, and `tests/corpora.rs` calls them with the corpora: one body for both.
#![allow(dead_code, unused_imports, reason = "a fuzz target and the test use a part each")]

mod config;
mod decoders;
mod files;
mod members;
mod said;
mod snapshots;
mod stream;

pub(crate) use snapshots::body_of;

/// What a surface does with an input.
pub(crate) type Body = fn(&[u8]);

/// Every surface by name.
pub(crate) const SURFACES: &[(&str, Body)] = &[
    ("alert", said::alert),
    ("alpaca", decoders::alpaca),
    #[cfg(feature = "avro")]
    ("avro", decoders::avro),
    #[cfg(feature = "avro")]
    ("avro_schema", decoders::avro_schema),
    ("calendar", config::calendar),
    ("chunks", snapshots::chunks),
    ("config", config::config),
    ("csv", files::csv),
    ("databento", decoders::databento),
    ("dbn", files::dbn),
    ("dxlink", decoders::dxlink),
    ("eligibility", config::eligibility),
    ("finnhub", decoders::finnhub),
    ("json", decoders::json),
    ("member", members::member),
    ("packed", files::packed),
    ("parquet", files::parquet),
    ("polygon", decoders::polygon),
    #[cfg(feature = "protobuf")]
    ("protobuf", decoders::protobuf),
    ("range", config::range),
    ("snapshot", snapshots::snapshot),
    ("snapshot_groups", snapshots::groups),
    ("snapshot_partition", snapshots::partition),
    ("stream", stream::stream),
    ("tiingo", decoders::tiingo),
    ("twelvedata", decoders::twelvedata),
];

/// Runs a surface by its name.
pub(crate) fn run(name: &str, bytes: &[u8]) {
    let (_, body) = SURFACES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no surface {name}"));
    body(bytes);
}
