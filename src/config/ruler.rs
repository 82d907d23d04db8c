//! The section `[ruler]`: how a day's variance is taken to accrue.

use super::check::Checker;
use super::raw::RawRuler;
use crate::domain::{CURVE_BUCKETS, Symbol};
use crate::market::{Curve, RulerParams};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn check_ruler(c: &mut Checker, raw: &RawRuler) -> RulerParams {
    let overnight = c.real("ruler.overnight_share", raw.overnight_share, 0.01, 0.99);
    let low = c.real("ruler.overnight_share_min", raw.overnight_share_min, 0.01, 0.99);
    let high = c.real("ruler.overnight_share_max", raw.overnight_share_max, 0.01, 0.99);
    if low > high {
        c.refuse("ruler.overnight_share_min", format!("is {low}, must be at most overnight_share_max, {high}"));
    }
    let sessions = c.whole("ruler.learn_sessions", raw.learn_sessions, 21, 63);
    let pre_market = c.real("ruler.pre_market_share", raw.pre_market_share, 0.001, 0.99);
    let shares: Option<[f64; CURVE_BUCKETS]> = raw.curve.clone().try_into().ok();
    let curve = shares.and_then(Curve::new);
    if curve.is_none() {
        let message = format!("is {:?}, must be {CURVE_BUCKETS} shares from 0, not all of them 0", raw.curve);
        c.refuse("ruler.curve", message);
    }
    RulerParams {
        overnight,
        overnight_range: (low, high.max(low)),
        sessions: usize::try_from(sessions).unwrap_or(1),
        pre_market,
        curve: Arc::new(curve.unwrap_or_default()),
        groups: check_groups(c, raw),
    }
}

/// Groups by symbol.
fn check_groups(c: &mut Checker, raw: &RawRuler) -> BTreeMap<String, Arc<str>> {
    let mut groups: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for (name, group) in &raw.groups {
        if Symbol::new(name).is_err() {
            c.refuse(format!("ruler.groups.{name}"), "is not a name of 1 to 32 printable characters");
        }
        let name: Arc<str> = name.as_str().into();
        for symbol in &group.symbols {
            let key = format!("ruler.groups.{name}.symbols");
            if let Err(error) = Symbol::new(symbol) {
                c.refuse(&key, format!("{symbol:?}: {error}"));
            }
            match groups.insert(symbol.clone(), name.clone()) {
                Some(other) if other != name => c.refuse(&key, format!("{symbol:?} is in group {other:?} too")),
                _ => {}
            }
        }
    }
    groups
}
