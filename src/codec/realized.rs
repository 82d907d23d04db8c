//! Realized measures of a session, in records and in `--modes`.

use crate::domain::{JumpView, LargestReturn, RealizedView};
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
    let gaps = [
        ("variance", variance.err()),
        ("bipower_variation", bipower_variation.err()),
        ("min_variance", min_variance.err()),
        ("median_variance", median_variance.err()),
        ("tripower_quarticity", tripower_quarticity.err()),
        ("ewma_variance", ewma_variance.err()),
        ("jump", jump.err()),
        ("largest", largest.err()),
    ];
    RealizedJson {
        returns,
        variance: variance.ok(),
        bipower_variation: bipower_variation.ok(),
        min_variance: min_variance.ok(),
        median_variance: median_variance.ok(),
        tripower_quarticity: tripower_quarticity.ok(),
        ewma_variance: ewma_variance.ok(),
        jump: jump.ok().map(|JumpView { z, p_value: p }| JumpJson { z, p }),
        largest: largest.ok().map(|l| {
            let LargestReturn { end, log_return, statistic, p_value } = l;
            LargestJson { end: end.0, log_return, statistic, p: p_value }
        }),
        unknown: gaps.into_iter().filter_map(|(name, gap)| Some((name, gap?.name()))).collect(),
    }
}
