//! The form of the market records.

use super::check::Checker;
use super::raw::RawInput;
use crate::codec::{Decoder, Layouts, Vendor};
use std::sync::Arc;

#[derive(Clone, Copy)]
enum Format {
    Native,
    Polygon,
    Alpaca,
    Databento,
    Finnhub,
    Tiingo,
    TwelveData,
    DxLink,
    Avro,
    Protobuf,
}

const FORMATS: [(&str, Format); 10] = [
    ("native", Format::Native),
    ("polygon", Format::Polygon),
    ("alpaca", Format::Alpaca),
    ("databento", Format::Databento),
    ("finnhub", Format::Finnhub),
    ("tiingo", Format::Tiingo),
    ("twelvedata", Format::TwelveData),
    ("dxlink", Format::DxLink),
    ("avro", Format::Avro),
    ("protobuf", Format::Protobuf),
];

pub(super) fn check_input(c: &mut Checker, raw: &RawInput) -> Decoder {
    let mut layouts = Layouts::default();
    for (event, fields) in &raw.dxlink {
        if let Err(message) = layouts.set(event, fields) {
            c.refuse(format!("input.dxlink.{event}"), message);
        }
    }
    Decoder::Vendor(match c.one_of("input.format", &raw.format, &FORMATS) {
        Format::Native => return Decoder::Native,
        Format::Avro => return avro(c, raw),
        Format::Protobuf => return protobuf(c),
        Format::Polygon => Vendor::Polygon,
        Format::Alpaca => Vendor::Alpaca,
        Format::Databento => Vendor::Databento,
        Format::Finnhub => Vendor::Finnhub,
        Format::Tiingo => Vendor::Tiingo,
        Format::TwelveData => Vendor::TwelveData,
        Format::DxLink => Vendor::DxLink(Arc::new(layouts)),
    })
}

#[cfg(feature = "avro")]
fn avro(c: &mut Checker, raw: &RawInput) -> Decoder {
    let mut schemas = crate::codec::AvroSchemas::default();
    if raw.schemas.is_empty() {
        c.refuse("input.schemas", "is empty, must name the file of each schema id");
    }
    for (id, path) in &raw.schemas {
        let added = match (id.parse(), std::fs::read_to_string(path)) {
            (Err(_), _) => Err("is no schema id, a whole number below 2^32".to_owned()),
            (_, Err(error)) => Err(format!("{path} cannot be read: {error}")),
            (Ok(id), Ok(text)) => schemas.add(id, &text).map_err(|e| format!("{path} {e}")),
        };
        if let Err(message) = added {
            c.refuse(format!("input.schemas.{id}"), message);
        }
    }
    Decoder::Avro(Arc::new(schemas))
}

#[cfg(not(feature = "avro"))]
fn avro(c: &mut Checker, raw: &RawInput) -> Decoder {
    let count = raw.schemas.len();
    c.refuse("input.format", format!("is avro, which needs a build with --features avro ({count} schemas are named)"));
    Decoder::Native
}

#[cfg(feature = "protobuf")]
fn protobuf(_: &mut Checker) -> Decoder {
    Decoder::Protobuf
}

#[cfg(not(feature = "protobuf"))]
fn protobuf(c: &mut Checker) -> Decoder {
    c.refuse("input.format", "is protobuf, which needs a build with --features protobuf");
    Decoder::Native
}
