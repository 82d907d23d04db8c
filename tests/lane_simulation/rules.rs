//! The configurations that worlds are run under, each made once.

use fragility::config::{Config, load_text};
use std::sync::{Arc, OnceLock};

/// What kind of market.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rules {
    /// One endless session; every price is believed.
    Endless,
    /// One endless session; doubtful prints wait.
    Doubting,
    /// Sessions with closes; every price is believed.
    Sessions,
    /// Sessions with closes; doubtful prints wait.
    Guarded,
    /// Sessions and a group over all partitions, which has one owner.
    Grouped,
}

impl Rules {
    pub(crate) const ALL: [Self; 5] = [Self::Endless, Self::Doubting, Self::Sessions, Self::Guarded, Self::Grouped];

    pub(crate) fn has_calendar(self) -> bool {
        !matches!(self, Self::Endless | Self::Doubting)
    }

    pub(crate) fn doubts(self) -> bool {
        matches!(self, Self::Doubting | Self::Guarded)
    }

    /// Whether what comes out is the same with more partitions: not where something is decided by their clocks.
    pub(crate) fn may_grow(self) -> bool {
        matches!(self, Self::Endless | Self::Sessions)
    }

    pub(crate) fn has_groups(self) -> bool {
        self == Self::Grouped
    }
}

/// Every combination, checked as a file is.
pub(crate) fn config(rules: Rules, exactly_once: bool) -> Arc<Config> {
    static ALL: OnceLock<Vec<Arc<Config>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let both = Rules::ALL.into_iter().flat_map(|r| [(r, false), (r, true)]);
        both.map(|(rules, exactly_once)| Arc::new(load(rules, exactly_once))).collect()
    });
    let at = Rules::ALL.iter().position(|r| *r == rules).unwrap();
    all[2 * at + usize::from(exactly_once)].clone()
}

fn load(rules: Rules, exactly_once: bool) -> Config {
    let mode = if exactly_once { "exactly_once" } else { "at_least_once" };
    let calendar = if rules.has_calendar() { "XNYS" } else { "none" };
    let doubts = rules.doubts();
    let groups = if rules.has_groups() { GROUP } else { "" };
    let text = format!(
        r#"
[kafka.topics]
state = "state"
[delivery]
mode = "{mode}"
commit_interval_ms = 200
in_flight_max = 8
[state]
snapshot_interval_secs = 1
[alerts]
heartbeat_secs = 2
[market]
calendar = "{calendar}"
eligibility = "none"
[market.quarantine]
enabled = {doubts}
[market.corrections]
prints_max = 16
{groups}
"#
    );
    let mut config = load_text("simulated", &text, &[], &[]).unwrap_or_else(|e| panic!("{e:?}")).config;
    if !rules.has_groups() {
        config.params.groups.clear();
    }
    config
}

/// Low bounds, so that the group speaks often.
const GROUP: &str = r#"
[groups.mag7]
members = ["AAPL", "MSFT", "NVDA", "TSLA"]
[groups.mag7.levels]
watch = { basket_z = 2.0, rms_z = 1.5, members = 1, legs = 2 }
alert = { basket_z = 2.5, rms_z = 2.0, members = 2, legs = 2 }
critical = { basket_z = 3.0, rms_z = 2.5, members = 3, legs = 2 }
"#;
