//! Bytes to domain values and back, and nothing else: the fuzzing surface.
//!
//! Any bytes give a value or an error; nothing here panics, loops without bound or keeps state.

mod alert;
mod alert_cluster;
mod alert_record;
#[cfg(feature = "avro")]
mod avro;
mod batch;
#[cfg(any(feature = "avro", feature = "protobuf"))]
mod confluent;
mod contagion;
mod csv;
mod dbn;
mod decoder;
mod derived;
mod digest;
mod error;
mod history;
mod json;
mod member;
mod number;
#[cfg(feature = "protobuf")]
mod protobuf;
mod realized;
mod reports;
mod scan;
mod snapshot;
mod vendors;
mod wire;

pub use alert::{
    ALERT_SCHEMA, STATE_SCHEMA, encode_alert, encode_compact_alert, encode_state, ruler_json, window_json,
};
pub(crate) use alert::{Tier, rounded};
pub(crate) use alert_cluster::{leg_value, seconds_between};
pub use alert_record::{
    AlertRecord, ClusterRecord, CompactRecord, EchoRecord, EntityRecord, EvidenceRecord, GapRecord, LegRecord,
    LevelRecord, MemberRecord, ModeRecord, MoveRecord, NextTierRecord, NotAnAlert, RankRecord, RealizedRecord,
    ReferenceRecord, RuleRecord, RulerRecord, SaidRecord, SecurityRecord, SourceRecord, TestRecord, TurbulenceRecord,
    UniverseRecord, UsdRecord, WindowRecord, WithoutRecord, decode_alert,
};
#[cfg(feature = "avro")]
pub use avro::AvroSchemas;
pub use batch::{Batch, EVENTS_MAX, Judged};
pub(crate) use contagion::contagion_json;
pub use csv::{CsvDecoder, CsvError};
pub use dbn::{DBN_MAGIC, DBN_PRELUDE_LEN, DbnDecoder};
pub use decoder::Decoder;
pub(crate) use derived::derived_json;
pub use digest::{digest_of, digested};
pub use error::DecodeError;
pub use history::{
    encode_index, encode_index_header, encode_legs, encode_legs_header, encode_loss, encode_losses_header,
};
pub use json::{VALUE_LEN_MAX, decode};
pub use member::{MEMBER_SCHEMA, decode_member, encode_member};
pub use reports::{
    DEAD_LETTER_SCHEMA, HEARTBEAT_SCHEMA, breadth_json, encode_accounting, encode_curve, encode_dead_letter,
    encode_heartbeat, encode_measure, encode_modes, encode_summary, encode_tick,
};
pub(crate) use reports::{group_breadth_json, index_json, loss_json, loss_record_json, surface_json};
pub use snapshot::{SNAPSHOT_VERSION, SnapshotError, decode_snapshot, encode_snapshot};
pub use vendors::{Layouts, Vendor};
