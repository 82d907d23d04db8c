//! Hand-made ticks on real session times, and what the engine must say about them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod actions;
mod closes;
mod doubts;
mod episodes;
mod groups;
mod inputs;
mod intraday;
mod prints;
mod renames;
mod scene;
mod sessions;
