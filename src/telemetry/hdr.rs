//! A Prometheus summary whose quantiles come from an HDR histogram: no buckets to miss the tail between.

use hdrhistogram::Histogram;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily, MetricType, Quantile, Summary};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

struct State {
    histogram: Histogram<u64>,
    sum_secs: f64,
}

/// Durations from a nanosecond to an hour, three significant digits.
#[derive(Clone)]
pub struct HdrSummary {
    desc: Desc,
    state: Arc<Mutex<State>>,
}

impl HdrSummary {
    /// A summary without samples.
    ///
    /// # Errors
    /// When the name is no metric name.
    pub fn new(name: &str, help: &str) -> prometheus::Result<Self> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new())?;
        let histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3)
            .map_err(|e| prometheus::Error::Msg(format!("histogram bounds: {e:?}")))?;
        Ok(Self { desc, state: Arc::new(Mutex::new(State { histogram, sum_secs: 0.0 })) })
    }

    /// Adds a duration, held to the range.
    pub fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.histogram.saturating_record(nanos);
        state.sum_secs += duration.as_secs_f64();
    }

    /// A quantile in seconds; `None` without samples.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (!state.histogram.is_empty()).then(|| state.histogram.value_at_quantile(q) as f64 / 1e9)
    }
}

impl Collector for HdrSummary {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut summary = Summary::default();
        summary.set_sample_count(state.histogram.len());
        summary.set_sample_sum(state.sum_secs);
        let quantile = |q: f64| {
            let mut one = Quantile::default();
            one.set_quantile(q);
            let known = !state.histogram.is_empty();
            one.set_value(if known { state.histogram.value_at_quantile(q) as f64 / 1e9 } else { f64::NAN });
            one
        };
        summary.set_quantile(QUANTILES.map(quantile).to_vec());
        let mut metric = Metric::default();
        metric.set_summary(summary);
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(vec![metric]);
        vec![family]
    }
}
