//! What was found to differ, and what only the digest can tell.

use crate::codec::rounded;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;

/// Leaves of a record that do not follow from its other fields: the digest alone protects them.
///
/// `[]` stands for every entry of a list. A leaf marked with `~` follows in part: an untruth that is large enough to
/// outlive rounding, or that leaves the range it must lie in, is found without the digest too. `source` is in no digest: it says
/// where the market record lies, which `explain` looks up.
pub const DIGEST_ONLY: [&str; 43] = [
    "~revision",
    "~sequence",
    "event_time",
    // Below the tier held.
    "~rule.tiers[]",
    "~peak_tier",
    "~evidence[].log_return",
    // Elapsed is pinned by `z_adjusted` and `survival` to their four decimals.
    "~ruler.elapsed",
    "~ruler.overnight",
    "~ruler.overnight_sessions",
    "~ruler.curve_sessions",
    "windows[].move",
    "windows[].z",
    // Of the modes other than `zero_mean` and `mad`: pinned by their z.
    "~modes.*.sigma",
    "realized.returns",
    "realized.variance",
    "realized.bipower_variation",
    "realized.min_variance",
    "realized.median_variance",
    "realized.tripower_quarticity",
    "realized.ewma_variance",
    "~realized.jump.z",
    "~realized.largest.statistic",
    "realized.largest.end",
    "realized.largest.log_return",
    "events[].time",
    // Pinned by `rms_z` as far as the member weighs.
    "~cluster.members[].z",
    "~cluster.members[].log_return",
    "~cluster.members[].market_value",
    "~cluster.members[].breached_at",
    // Pinned by the level that follows from it.
    "~cluster.levels[]",
    "~cluster.coverage_min",
    "~cluster.legs[].value",
    // Years of history that the record does not hold: pinned by the side that the percentile tells.
    "~cluster.legs[].threshold",
    "~cluster.legs[].rank.p99",
    // Pinned by the turbulence, the dispersion and the counts that follow from them.
    "~cluster.turbulence.mean[]",
    "~cluster.turbulence.covariance[]",
    "~cluster.universe.securities[].z",
    "~cluster.universe.securities[].log_return",
    "~cluster.universe.securities[].market_value",
    "~cluster.counterfactual[].legs.rms_z",
    "~usd.shares",
    // Among sessions that the record does not hold.
    "~usd.record_rank",
    "~usd.record_sessions",
];

/// One field that does not hold.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// Path of the field.
    pub field: String,
    /// What the record says.
    pub found: Value,
    /// What follows from its other fields; a text where a range or a set does.
    pub recomputed: Value,
}

/// Collects differences.
#[derive(Default)]
pub(super) struct Findings(Vec<Difference>);

fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Null, Value::from)
}

impl Findings {
    pub(super) fn into_differences(self) -> Vec<Difference> {
        self.0
    }

    /// Notes a field that is not as it must be.
    pub(super) fn differ(&mut self, field: &str, found: impl Into<Value>, recomputed: impl Into<Value>) {
        self.0.push(Difference { field: field.to_owned(), found: found.into(), recomputed: recomputed.into() });
    }

    /// Equal values.
    pub(super) fn same<T: PartialEq + Serialize>(&mut self, field: &str, found: &T, recomputed: &T) {
        if found != recomputed {
            let value = |v: &T| serde_json::to_value(v).unwrap_or(Value::Null);
            self.differ(field, value(found), value(recomputed));
        }
    }

    /// A number of full precision: equal to the bit, signs of zero apart.
    pub(super) fn exact(&mut self, field: &str, found: Option<f64>, recomputed: Option<f64>) {
        if found != recomputed {
            self.differ(field, number(found), number(recomputed));
        }
    }

    /// A number published with four decimals, against the unrounded one.
    pub(super) fn rounded(&mut self, field: &str, found: Option<f64>, recomputed: Option<f64>) {
        self.exact(field, found, recomputed.map(rounded));
    }

    /// A condition between fields, in words.
    pub(super) fn hold(&mut self, field: &str, holds: bool, found: impl Into<Value>, must: impl Display) {
        if !holds {
            self.differ(field, found, must.to_string());
        }
    }
}
