//! What the engine is told; `config` fills it.

use crate::cluster::GroupParams;
use crate::market::{Calendar, ReturnMode};
use crate::rules::EpisodeRules;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which symbols are admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Universe {
    /// Every symbol, up to the bound.
    All,
    /// These alone.
    Listed(BTreeSet<String>),
}

/// What is known of a feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedParams {
    /// Quality flag carried by every alert that one of its records decided.
    pub flag: Arc<str>,
}

/// Parameters of the engine.
#[derive(Clone, Debug)]
pub struct Params {
    /// Name of the market input in alerts.
    pub topic: Arc<str>,
    /// Sessions; `None`: one session without end, and no closes.
    pub calendar: Option<Arc<Calendar>>,
    /// Whether cash dividends are taken off references.
    pub return_mode: ReturnMode,
    /// The episode rule of single securities.
    pub rules: EpisodeRules,
    /// Half-lives of the two decayed variances, in seconds: fast, slow.
    pub half_lives: [f64; 2],
    /// A record this much older than its symbol's newest is late, in nanoseconds.
    pub lateness: i64,
    /// Event time may lead the log's timestamp by so much, in nanoseconds.
    pub lead_max: i64,
    /// Symbols admitted at most.
    pub symbols_max: usize,
    /// Which symbols.
    pub universe: Universe,
    /// Feeds with a quality flag, by name.
    pub feeds: BTreeMap<String, FeedParams>,
    /// Groups, by name.
    pub groups: Vec<GroupParams>,
    /// Spacing of group evaluations in event time, in nanoseconds.
    pub group_interval: i64,
    /// Hash over the settings that can change an alert.
    pub config_hash: Arc<str>,
}
