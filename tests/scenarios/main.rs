//! Hand-made ticks on real session times, and what the engine must say about them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod closes;
mod doubts;
mod episodes;
mod groups;
mod inputs;
mod intraday;
mod prints;
mod scene;
mod sessions;
