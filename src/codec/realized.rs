//! Realized measures of a session, in records and in `--modes`.

use crate::domain::{JumpView, LargestReturn, Reading, RealizedView, Unknown};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct JumpJson {
    z: f64,
    p: f64,
}

#[derive(Serialize)]
struct LargestJson {
    end: i64,
    log_return: f64,
    statistic: f64,
    p: f64,
}

/// Null is named in `unknown`.
#[derive(Serialize)]
pub(super) struct RealizedJson {
    returns: u32,
    variance: Option<f64>,
    bipower_variation: Option<f64>,
    min_variance: Option<f64>,
    median_variance: Option<f64>,
    tripower_quarticity: Option<f64>,
    ewma_variance: Option<f64>,
    jump: Option<JumpJson>,
    largest: Option<LargestJson>,
    unknown: BTreeMap<&'static str, &'static str>,
}

pub(super) fn realized_json(view: &RealizedView) -> RealizedJson {
    let RealizedView {
        returns,
        variance,
        bipower_variation,
        min_variance,
        median_variance,
        tripower_quarticity,
        ewma_variance,
        jump,
        largest,
    } = *view;
    let mut unknown = BTreeMap::new();
    let mut known = |name, reading: Reading| match reading {
        Ok(value) => Some(value),
        Err(reason) => {
            unknown.insert(name, reason.name());
            None
        }
    };
    let mut json = RealizedJson {
        returns,
        variance: known("variance", variance),
        bipower_variation: known("bipower_variation", bipower_variation),
        min_variance: known("min_variance", min_variance),
        median_variance: known("median_variance", median_variance),
        tripower_quarticity: known("tripower_quarticity", tripower_quarticity),
        ewma_variance: known("ewma_variance", ewma_variance),
        jump: jump.ok().map(|JumpView { z, p_value: p }| JumpJson { z, p }),
        largest: largest.ok().map(|l| {
            let LargestReturn { end, log_return, statistic, p_value } = l;
            LargestJson { end: end.0, log_return, statistic, p: p_value }
        }),
        unknown: BTreeMap::new(),
    };
    let gaps = [("jump", jump.err()), ("largest", largest.err())];
    unknown.extend(gaps.iter().filter_map(|(name, gap)| Some((*name, gap.map(Unknown::name)?))));
    json.unknown = unknown;
    json
}
