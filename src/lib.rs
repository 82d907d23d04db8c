//! Streaming market event processor.
//!
//! `fragility` reads ticks, bars and closes, keeps each symbol's volatility state in constant time, and says
//! which stock and which group is breaking: by how many of its own daily sigmas, against what history, and
//! at what price the next tier fires.
//!
//! ```text
//! main -> app -> { lane, http } -> { sources, sinks, stores, telemetry, clock } -> config -> core
//! core = { verify -> codec -> engine -> { cluster, rules } -> market -> estimators -> domain }
//! record bytes -> decode -> step(now, origin, observation) -> effects -> sink -> acknowledged -> commit
//! ```
//!
//! The core is pure: time is an argument, and nothing in it reads a clock, a file, a socket or the
//! environment. The edges make happen what it answers.

pub mod app;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod config;
pub mod domain;
pub mod engine;
pub mod estimators;
pub mod http;
pub mod lane;
pub mod market;
pub mod rules;
pub mod sinks;
pub mod sources;
pub mod stores;
pub mod telemetry;
pub mod verify;
