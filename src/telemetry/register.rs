//! Metrics as they are made: registered, and listed for the reference.

use super::{Family, HdrSummary};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use std::cell::RefCell;

/// Bounds of the latency histograms in seconds.
const BUCKETS: [f64; 16] =
    [1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What the reference says of a metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricInfo {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `summary`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// What it means.
    pub help: String,
}

/// Registers what it makes, and remembers it.
pub(super) struct Register<'a> {
    pub(super) registry: &'a Registry,
    pub(super) made: RefCell<Vec<MetricInfo>>,
}

impl<'a> Register<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self { registry, made: RefCell::default() }
    }

    /// Notes a metric that is exposed elsewhere.
    pub(super) fn note(&self, kind: &'static str, name: &str, help: &str, labels: &[&str]) {
        let labels = labels.iter().map(|l| (*l).to_owned()).collect();
        self.made.borrow_mut().push(MetricInfo { name: name.to_owned(), kind, labels, help: help.to_owned() });
    }

    fn add<C: Collector + Clone + 'static>(&self, kind: &'static str, collector: C) -> prometheus::Result<C> {
        for desc in collector.desc() {
            let labels: Vec<&str> = desc.variable_labels.iter().map(String::as_str).collect();
            self.note(kind, &desc.fq_name, &desc.help, &labels);
        }
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add("counter", IntCounter::new(name, help)?)
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add("counter", IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add("gauge", IntGauge::new(name, help)?)
    }

    pub(super) fn real(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.add("gauge", Gauge::new(name, help)?)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.add("gauge", GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn family(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Family> {
        self.gauges(name, help, labels).map(Family::new)
    }

    pub(super) fn int_gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        self.add("histogram", Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?)
    }

    pub(super) fn summary(&self, name: &str, help: &str) -> prometheus::Result<HdrSummary> {
        self.add("summary", HdrSummary::new(name, help)?)
    }
}
