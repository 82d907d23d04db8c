//! See `tests/surfaces`.
#![no_main]

#[path = "../../tests/surfaces/mod.rs"]
mod surfaces;

use std::panic;

/// The Parquet library may break at damaged files, which the reader catches: its panics are no findings.
fn spare_the_library() {
    let ours = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|at| at.file().contains("/parquet-")) {
            ours(info);
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: spare_the_library(), |bytes: &[u8]| surfaces::run("parquet", bytes));
