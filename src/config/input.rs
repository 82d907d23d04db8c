//! The form of the market records.

use super::check::Checker;
use super::raw::RawInput;
use crate::codec::{Decoder, Layouts, Vendor};
use std::sync::Arc;

pub(super) fn check_input(c: &mut Checker, raw: &RawInput) -> Decoder {
    let mut layouts = Layouts::default();
    for (event, fields) in &raw.dxlink {
        if let Err(message) = layouts.set(event, fields) {
            c.refuse(format!("input.dxlink.{event}"), message);
        }
    }
    let vendor = Decoder::Vendor;
    let choices = [
        ("native", Decoder::Native),
        ("polygon", vendor(Vendor::Polygon)),
        ("alpaca", vendor(Vendor::Alpaca)),
        ("databento", vendor(Vendor::Databento)),
        ("finnhub", vendor(Vendor::Finnhub)),
        ("tiingo", vendor(Vendor::Tiingo)),
        ("twelvedata", vendor(Vendor::TwelveData)),
        ("dxlink", vendor(Vendor::DxLink(Arc::new(layouts)))),
    ];
    let names: Vec<(&str, usize)> = choices.iter().zip(0..).map(|((name, _), at)| (*name, at)).collect();
    let at = c.one_of("input.format", &raw.format, &names);
    choices[at].1.clone()
}
