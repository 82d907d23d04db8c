//! Values that cannot be built invalid: symbols, times, ticks, bars, reference records, alerts.
//!
//! Nothing here knows JSON, Kafka or a configuration file; a value that exists has passed its checks.

mod alert;
mod cluster;
mod identity;
mod observation;
mod print;
mod realized;
mod reference;
mod symbol;
mod time;
mod unknown;

pub use alert::{
    Alert, AlertKind, AlertState, Direction, EchoView, Entity, GapView, ModeView, NextTier, Reading, RecordRank,
    ReferencePrice, RuleRef, RulerView, Source, UsdChange, WindowMove, WindowView,
};
pub use cluster::{
    ClusterView, Leg, LegRank, LevelView, MemberZ, TurbulenceView, UniverseLine, UniverseView, WithoutView,
};
pub use identity::{RULE_CLUSTER, RULE_SYMBOL, RULE_VERSION, alert_id, alert_id_of};
pub use observation::{
    Accounts, Amendment, Bar, BarError, Heartbeat, Interval, Observation, Outcome, Price, PriceError, Status, Tick,
    TradingStatus,
};
pub use print::{ConditionCode, Conditions, PrintRef, Tape};
pub use realized::{JumpView, LargestReturn, RealizedView};
pub use reference::{CURVE_BUCKETS, CloseBasis, CurveTarget, DividendKind, Event, EventAt, Reference};
pub use symbol::{Symbol, SymbolError};
pub use time::{NANOS_PER_SEC, Phase, SessionDate, UnixNanos};
pub use unknown::Unknown;
