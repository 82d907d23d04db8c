//! Bytes to domain values and back, and nothing else: the fuzzing surface.
//!
//! Any bytes give a value or an error; nothing here panics, loops without bound or keeps state.

mod alert;
mod csv;
mod error;
mod json;
mod number;
mod reports;
mod scan;
mod snapshot;
mod wire;

pub use alert::{encode_alert, encode_compact_alert, encode_state, ruler_json, window_json};
pub use csv::{CsvDecoder, CsvError};
pub use error::DecodeError;
pub use json::{VALUE_LEN_MAX, decode};
pub use reports::{
    encode_accounting, encode_curve, encode_dead_letter, encode_heartbeat, encode_measure, encode_summary,
};
pub use snapshot::{SNAPSHOT_VERSION, SnapshotError, decode_snapshot, encode_snapshot};
