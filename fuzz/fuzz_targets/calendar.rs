//! See `tests/surfaces`.
#![no_main]

#[path = "../../tests/surfaces/mod.rs"]
mod surfaces;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| surfaces::run("calendar", bytes));
