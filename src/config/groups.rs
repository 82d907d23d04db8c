//! The groups, and what their levels come from.

use super::check::Checker;
use super::histories;
use super::raw::{Raw, RawGroup, RawLevel, RawLevels};
use crate::cluster::{Composite, GroupHistory, GroupParams, LevelBounds, PastLoss, Verdict};
use crate::domain::{NANOS_PER_SEC, Symbol};
use std::sync::Arc;

/// Checks every group; also a digest of the histories, which can change an alert.
pub(super) fn check_groups(c: &mut Checker, raw: &Raw, breach_at: f64) -> (Vec<GroupParams>, String) {
    let counted: Vec<&String> = raw.groups.iter().filter(|(_, g)| g.index).map(|(name, _)| name).collect();
    if let [first, second, ..] = counted[..] {
        c.refuse(format!("groups.{second}.index"), format!("is true for {first}, too: the index has one universe"));
    }
    let losses = histories::losses(&raw.history.losses).unwrap_or_else(|problem| {
        c.refuse("history.losses", problem);
        Arc::from([])
    });
    let groups: Vec<GroupParams> =
        raw.groups.iter().map(|(name, group)| check_group(c, raw, (name, group), &losses, breach_at)).collect();
    let said: Vec<u8> = groups.iter().flat_map(histories_of).collect();
    (groups, uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &said).simple().to_string())
}

/// What the histories of a group say, as bytes.
fn histories_of(group: &GroupParams) -> Vec<u8> {
    let mut said = Vec::new();
    if let Verdict::Composite(composite) = &group.verdict {
        for row in composite.history.legs.iter() {
            said.extend(row.session.days().to_le_bytes());
            for value in row.values {
                said.extend(value.unwrap_or(f64::INFINITY).to_le_bytes());
            }
        }
    }
    for day in group.index.iter().flat_map(|days| days.iter()) {
        said.extend(day.session.days().to_le_bytes());
        said.extend(day.valid.to_le_bytes());
        said.extend(day.events.to_le_bytes());
        said.extend(day.abs_z_sum.to_le_bytes());
        said.extend(day.universe.as_bytes());
    }
    said
}

fn check_group(
    c: &mut Checker,
    raw: &Raw,
    (name, group): (&str, &RawGroup),
    losses: &Arc<[PastLoss]>,
    breach_at: f64,
) -> GroupParams {
    let key = |rest: &str| format!("groups.{name}.{rest}");
    if Symbol::new(name).is_err() {
        c.refuse(format!("groups.{name}"), "is not a name of 1 to 32 printable characters");
    }
    for member in &group.members {
        if let Err(error) = Symbol::new(member) {
            c.refuse(key("members"), format!("{member:?}: {error}"));
        }
    }
    let benchmark = group.benchmark.as_ref().and_then(|benchmark| {
        Symbol::new(benchmark).map_err(|error| c.refuse(key("benchmark"), format!("{benchmark:?}: {error}"))).ok()
    });
    let verdict = match (&group.levels, &group.universe) {
        (Some(levels), _) => Verdict::Bounds(check_levels(c, name, levels)),
        (None, Some(universe)) => check_composite(c, raw, name, group, universe),
        (None, None) => Verdict::Unjudged,
    };
    let index = group.index.then(|| {
        histories::index(&raw.history.index).unwrap_or_else(|problem| {
            c.refuse("history.index", problem);
            Arc::from([])
        })
    });
    GroupParams {
        name: name.into(),
        members: group.members.clone(),
        largest: check_largest(c, name, group),
        verdict,
        index,
        losses: losses.clone(),
        benchmark,
        benchmark_share: group.benchmark_share.map(|share| c.real(&key("benchmark_share"), share, 0.001, 1.0)),
        ease_after: c.whole(&key("ease_after_secs"), group.ease_after_secs, 0, 86_400) * NANOS_PER_SEC,
        coverage_min: c.real(&key("coverage_min"), group.coverage_min, 0.0, 1.0),
        breach_at,
    }
}

fn check_largest(c: &mut Checker, name: &str, group: &RawGroup) -> Option<usize> {
    let largest = group.largest?;
    usize::try_from(c.whole(&format!("groups.{name}.largest"), largest, 1, 100_000)).ok()
}

fn check_composite(c: &mut Checker, raw: &Raw, name: &str, group: &RawGroup, universe: &str) -> Verdict {
    let Some(around) = raw.groups.get(universe) else {
        c.refuse(format!("groups.{name}.universe"), format!("is {universe:?}, which is no group"));
        return Verdict::Unjudged;
    };
    let (key, file) = match &group.legs {
        Some(own) => (format!("groups.{name}.legs"), own.as_str()),
        // What comes with the build is the past of one group alone.
        None if raw.history.legs == histories::BUILT_IN && name != histories::BUILT_IN_GROUP => (String::new(), ""),
        None => ("history.legs".to_owned(), raw.history.legs.as_str()),
    };
    let history = histories::legs(file, universe).unwrap_or_else(|problem| {
        c.refuse(key, problem);
        GroupHistory::default()
    });
    Verdict::Composite(Composite {
        universe: universe.into(),
        universe_members: around.members.clone(),
        universe_largest: around.largest.and_then(|n| usize::try_from(n).ok()),
        history,
    })
}

fn check_levels(c: &mut Checker, name: &str, levels: &RawLevels) -> [LevelBounds; 3] {
    let mut level = |which: &str, raw: &RawLevel| {
        let key = |rest: &str| format!("groups.{name}.levels.{which}.{rest}");
        LevelBounds {
            basket_z: c.real(&key("basket_z"), raw.basket_z, 0.0, 1000.0),
            rms_z: c.real(&key("rms_z"), raw.rms_z, 0.0, 1000.0),
            members: c.whole(&key("members"), raw.members, 0, 100_000) as f64,
            legs: usize::try_from(c.whole(&key("legs"), raw.legs, 1, 3)).unwrap_or(1),
        }
    };
    [level("watch", &levels.watch), level("alert", &levels.alert), level("critical", &levels.critical)]
}
