//! What the engine is told; `config` fills it.

use crate::cluster::GroupParams;
use crate::estimators::ModeParams;
use crate::market::eligibility::{GateParams, Table};
use crate::market::{Calendar, QuarantineRules, ReturnMode, RulerParams};
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
    pub flag: Option<Arc<str>>,
    /// Its event time holds its partition's watermark, until it lies so far behind, in nanoseconds; `None`:
    /// it never does.
    pub idle_after: Option<i64>,
}

/// When a price is too old to stand for the present.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StaleRules {
    /// So many of the symbol's own mean gaps.
    pub gaps: f64,
    /// Never under so many seconds.
    pub least_secs: f64,
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
    /// What the volatilities beside the canonical one are worked out with.
    pub modes: Arc<ModeParams>,
    /// How variance is taken to accrue over the day.
    pub ruler: RulerParams,
    /// Half-lives of the two decayed variances, in seconds: fast, slow.
    pub half_lives: [f64; 2],
    /// A record this much older than its symbol's newest is late, in nanoseconds.
    pub lateness: i64,
    /// Event time may lead the log's timestamp by so much, in nanoseconds.
    pub lead_max: i64,
    /// When a print is held for confirmation; `None`: never.
    pub quarantine: Option<QuarantineRules>,
    /// Entries of its session that each symbol keeps, for corrections; 0: none, and none can be unwound.
    pub journal_max: usize,
    /// A print outside the price limits by more than this ratio is refused.
    pub limits_tolerance: f64,
    /// When the lack of a price means that it is not known.
    pub stale: StaleRules,
    /// Which prints may move what; `None`: all of them everything.
    pub eligibility: Option<Arc<Table>>,
    /// How much trading makes an extended-hours price worth an alert.
    pub extended: GateParams,
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

impl Params {
    /// A log return this large, or larger, has to be looked at; infinite where none has.
    #[inline]
    pub(super) fn jump(&self) -> f64 {
        self.quarantine.as_ref().map_or(f64::INFINITY, |q| q.floor)
    }
}
