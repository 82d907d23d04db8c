//! The metrics of the service. Names and meanings are part of the outside contract.

use super::HdrSummary;
use crate::domain::{Accounts, Outcome};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Every metric, registered once.
pub struct Metrics {
    registry: Registry,
    /// Market records taken.
    pub records_in: IntCounter,
    /// Where they ended.
    pub records: [IntCounter; Outcome::ALL.len()],
    /// Records awaiting confirmation.
    pub quarantined: IntGauge,
    /// Prints applied without setting a price.
    pub set_aside: IntCounterVec,
    /// Stale symbols.
    pub stale: IntGauge,
    /// Halted symbols.
    pub halted: IntGauge,
    /// Event time by feed.
    pub feed_time: GaugeVec,
    /// Reference topic records by outcome.
    pub reference_records: IntCounterVec,
    /// Alerts by entity type, kind and severity.
    pub alerts: IntCounterVec,
    /// Multiples of the symbols shown.
    pub symbol_z: GaugeVec,
    /// Their daily volatilities.
    pub symbol_sigma: GaugeVec,
    /// Their tiers.
    pub symbol_tier: GaugeVec,
    /// Levels of the groups.
    pub cluster_level: GaugeVec,
    /// Where their legs stand in their own past.
    pub cluster_leg_percentile: GaugeVec,
    /// Fragility index of the year to date.
    pub index: GaugeVec,
    /// Volatility of an index and of the stocks beneath it.
    pub surface_sigma: GaugeVec,
    /// Whether a quiet index covers loud stocks.
    pub calm_surface: GaugeVec,
    /// How much a group moves as one, by measure.
    pub correlation: GaugeVec,
    /// How much likelier a broad session is when a member breaks.
    pub contagion_lift: GaugeVec,
    /// How much likelier breaches are than without those before.
    pub excitation: GaugeVec,
    /// Breaches that one breach makes, by where the parameters come from.
    pub branching: GaugeVec,
    /// Parts of an index's move.
    pub contribution: GaugeVec,
    /// Multiples of what of a move is a member's own.
    pub idiosyncratic: GaugeVec,
    /// Calm members less restless ones.
    pub leg_spread: GaugeVec,
    /// How much more the trend model trades on a fall than on a rise.
    pub trend_asymmetry: GaugeVec,
    /// Breadth by universe and direction.
    pub breadth: GaugeVec,
    /// Tiers in force.
    pub threshold: GaugeVec,
    /// From the log's timestamp to the acknowledged alert.
    pub event_to_alert: Histogram,
    /// The same without buckets.
    pub event_to_alert_hdr: HdrSummary,
    /// From decoding to decision.
    pub processing: Histogram,
    /// The same without buckets.
    pub processing_hdr: HdrSummary,
    /// Records behind the end of each partition.
    pub lag_messages: IntGaugeVec,
    /// Age of the newest record read of each partition, while it lags.
    pub lag_seconds: GaugeVec,
    /// Assignments and revocations.
    pub rebalances: IntCounter,
    /// How far each partition's state is restored.
    pub restore_progress: GaugeVec,
    /// Symbols of restored partitions that are still encoded, by lane.
    pub restore_symbols_left: IntGaugeVec,
    /// Newest event time.
    pub event_time: Gauge,
    /// Whether the regular session is open at the newest event time.
    pub session_open: IntGauge,
    /// Refused records by reason.
    pub dead_letters: IntCounterVec,
    /// Deliveries by sink and result.
    pub deliveries: IntCounterVec,
    /// Whether the last configuration load succeeded.
    pub config_ok: IntGauge,
    /// Alerts sent and not acknowledged.
    pub in_flight: IntGauge,
    /// Times the input was paused because too many alerts were in flight.
    pub pauses: IntCounter,
    /// Symbols known.
    pub symbols: IntGauge,
    /// Snapshots by result.
    pub snapshots: IntCounterVec,
    /// Records of the log that groups follow, by outcome.
    pub member_records: IntCounterVec,
    /// Partitions assigned, by what their state came from.
    pub restores: IntCounterVec,
    /// Transactions that failed and were given up.
    pub transactions_abandoned: IntCounter,
    /// Lanes that have not come round for long.
    pub lanes_stuck: IntGauge,
    /// 1 while refused records come in a flood.
    pub dead_letter_flood: IntGaugeVec,
    /// Symbols that came from another partition than before.
    pub symbols_moved: IntCounter,
    /// Of those, the ones that came from a partition that another lane reads.
    pub symbols_adopted: IntCounter,
    /// 1 while a partition waits for what others have said of a symbol.
    pub partition_held: IntGaugeVec,
    /// Restarts of the lane after an error.
    pub lane_restarts: IntCounter,
    /// Records taken, for readers inside the process.
    taken: AtomicU64,
    /// By lane. Held while the record counters change and while they are read: their sums agree in every exposition.
    accounts: Mutex<Vec<Accounts>>,
}

/// Bounds of the latency histograms in seconds.
const BUCKETS: [f64; 16] =
    [1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When two metrics share a name: a mistake in this file.
    #[expect(clippy::too_many_lines, reason = "a list: every metric once, with its help")]
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = Register(&registry);
        let outcomes = r.counters("fragility_records_total", "Market records by their one outcome.", &["outcome"])?;
        let threshold = r.gauges("fragility_threshold_sigmas", "Multiples at which tiers begin.", &["rule", "tier"])?;
        let build = r.gauges("fragility_build_info", "Build facts as labels; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let hdr = |name: &str, help: &str| -> prometheus::Result<HdrSummary> {
            let summary = HdrSummary::new(name, help)?;
            registry.register(Box::new(summary.clone()))?;
            Ok(summary)
        };
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let metrics = Self {
            records_in: r.counter("fragility_records_in_total", "Market records taken.")?,
            records: Outcome::ALL.map(|o| outcomes.with_label_values(&[o.name()])),
            quarantined: r.gauge("fragility_records_quarantined", "Records awaiting confirmation.")?,
            set_aside: r.counters(
                "fragility_prints_set_aside_total",
                "Prints applied without setting a price, by reason.",
                &["reason"],
            )?,
            stale: r.gauge("fragility_symbols_stale", "Symbols silent for longer than their rhythm explains.")?,
            halted: r.gauge("fragility_symbols_halted", "Symbols whose trading stands still.")?,
            feed_time: r.gauges(
                "fragility_feed_event_time_seconds",
                "Newest event time of each feed that holds a watermark, seconds since 1970.",
                &["feed"],
            )?,
            reference_records: r.counters(
                "fragility_reference_records_total",
                "Reference topic records by outcome.",
                &["outcome"],
            )?,
            alerts: r.counters(
                "fragility_alerts_total",
                "Alerts by entity type, kind and severity.",
                &["entity_type", "kind", "severity"],
            )?,
            symbol_z: r.gauges(
                "fragility_symbol_z_sigmas",
                "Move of the session in daily sigmas, most stressed symbols.",
                &["symbol"],
            )?,
            symbol_sigma: r.gauges(
                "fragility_symbol_sigma_daily_ratio",
                "Daily volatility before the session, most stressed symbols.",
                &["symbol"],
            )?,
            symbol_tier: r.gauges(
                "fragility_symbol_tier",
                "Tier held, 0 for none, most stressed symbols.",
                &["symbol"],
            )?,
            cluster_level: r.gauges(
                "fragility_cluster_level",
                "0 calm, 1 watch, 2 alert, 3 critical, -1 unknown.",
                &["cluster"],
            )?,
            cluster_leg_percentile: r.gauges(
                "fragility_cluster_leg_percentile",
                "Mid-rank percentile of a leg within its own past, 0 to 1; NaN where not known.",
                &["cluster", "leg"],
            )?,
            index: r.gauges(
                "fragility_index",
                "Sum of absolute multiples from 3 sigma on per hundred securities and sessions, year to date at the last close.",
                &["universe"],
            )?,
            surface_sigma: r.gauges(
                "fragility_surface_sigma_ratio",
                "Daily volatility over a window of sessions, of the index and of the stocks beneath it, at the last close; NaN where not known.",
                &["cluster", "of", "sessions"],
            )?,
            calm_surface: r.gauges(
                "fragility_calm_surface",
                "1 where a quiet index covers loud stocks, 0 where not, -1 where not known, at the last close.",
                &["cluster", "sessions"],
            )?,
            correlation: r.gauges(
                "fragility_correlation_ratio",
                "How much a group moves as one at the last close: mean_pairwise, implied_21, implied_63, absorption; NaN where not known.",
                &["cluster", "measure"],
            )?,
            contagion_lift: r.gauges(
                "fragility_contagion_lift_ratio",
                "Probability of a broad session with a member in breach over that without, of the universe (all) or of those in it that are no members (others), at the last close; NaN where not known.",
                &["cluster", "of"],
            )?,
            excitation: r.gauges(
                "fragility_excitation_ratio",
                "Intensity of breaches of members or others at the last close over that without any before, 1 where all is quiet; NaN where not known.",
                &["cluster", "kind"],
            )?,
            branching: r.gauges(
                "fragility_branching_ratio",
                "Breaches that one breach makes, by parameters: FITTED, or UNFITTED where they are assumed.",
                &["cluster", "parameters"],
            )?,
            contribution: r.gauges(
                "fragility_index_contribution_ratio",
                "A member's weight in its group times its simple return, at the last close; NaN where not known.",
                &["cluster", "symbol"],
            )?,
            idiosyncratic: r.gauges(
                "fragility_idiosyncratic_z_ratio",
                "Multiple of what of a member's move the index does not explain, at the last close; NaN where not known.",
                &["cluster", "symbol"],
            )?,
            leg_spread: r.gauges(
                "fragility_volatility_leg_spread_ratio",
                "Return of a group's calm fifth less that of its restless fifth, year to date at the last close; NaN where not known.",
                &["cluster"],
            )?,
            trend_asymmetry: r.gauges(
                "fragility_trend_asymmetry_ratio",
                "What the disclosed trend model trades on a fall of two sigmas over what it does on such a rise, at the last close; NaN where not known.",
                &["cluster"],
            )?,
            breadth: r.gauges(
                "fragility_breadth_ratio",
                "Share of securities in breach: of all at the last close, of a group now.",
                &["universe", "direction"],
            )?,
            threshold,
            event_to_alert: r.histogram(
                "fragility_event_to_alert_seconds",
                "From the record's Kafka timestamp to the acknowledged alert.",
            )?,
            event_to_alert_hdr: hdr(
                "fragility_event_to_alert_hdr_seconds",
                "From the record's Kafka timestamp to the acknowledged alert.",
            )?,
            processing: r.histogram(
                "fragility_processing_seconds",
                "From decoding a record to its decision, one in 64 records.",
            )?,
            processing_hdr: hdr(
                "fragility_processing_hdr_seconds",
                "From decoding a record to its decision, one in 64 records.",
            )?,
            lag_messages: r.int_gauges(
                "fragility_kafka_consumer_lag_messages",
                "Records behind the end of the partition.",
                &["topic", "partition"],
            )?,
            lag_seconds: r.gauges(
                "fragility_kafka_consumer_lag_seconds",
                "Age of the last record read while records wait behind it, else 0.",
                &["topic", "partition"],
            )?,
            rebalances: r.counter("fragility_kafka_rebalances_total", "Assignments and revocations.")?,
            restore_progress: r.gauges(
                "fragility_restore_progress_ratio",
                "Part of the partition's state that is restored.",
                &["partition"],
            )?,
            restore_symbols_left: r.int_gauges(
                "fragility_restore_symbols_left",
                "Symbols of restored partitions that are still to be decoded; views leave them out.",
                &["lane"],
            )?,
            event_time: r.real("fragility_event_time_seconds", "Newest event time, seconds since 1970.")?,
            session_open: r
                .gauge("fragility_market_session_open", "1 while the newest event time lies in a regular session.")?,
            dead_letters: r.counters("fragility_dead_letters_total", "Refused records by reason.", &["reason"])?,
            deliveries: r.counters(
                "fragility_alert_deliveries_total",
                "Deliveries by sink and result.",
                &["sink", "result"],
            )?,
            config_ok: r
                .gauge("fragility_config_last_reload_successful", "Whether the last configuration load succeeded.")?,
            in_flight: r.gauge("fragility_alerts_in_flight", "Records sent and not acknowledged yet.")?,
            pauses: r.counter(
                "fragility_input_pauses_total",
                "Times the input was paused because too many alerts were in flight.",
            )?,
            symbols: r.gauge("fragility_symbols", "Symbols known.")?,
            snapshots: r.counters("fragility_snapshots_total", "Snapshots by result.", &["result"])?,
            member_records: r.counters(
                "fragility_member_records_total",
                "Records of the log that groups follow, by outcome.",
                &["outcome"],
            )?,
            restores: r.counters(
                "fragility_restores_total",
                "Partitions assigned, by what their state came from.",
                &["from"],
            )?,
            transactions_abandoned: r.counter(
                "fragility_transactions_abandoned_total",
                "Transactions that failed and were given up; what they held is said again.",
            )?,
            lanes_stuck: r.gauge("fragility_lanes_stuck", "Lanes that have not come round for 20 s.")?,
            dead_letter_flood: r.int_gauges(
                "fragility_dead_letter_flood",
                "1 while a lane refuses 1,000 records or more within 10 s.",
                &["lane"],
            )?,
            symbols_moved: r.counter(
                "fragility_symbols_moved_total",
                "Symbols whose records came from another partition than before.",
            )?,
            symbols_adopted: r.counter(
                "fragility_symbols_adopted_total",
                "Symbols taken over from a partition that another lane reads.",
            )?,
            partition_held: r.int_gauges(
                "fragility_partition_held",
                "1 while a partition waits for what other partitions have said of a symbol.",
                &["partition"],
            )?,
            lane_restarts: r.counter("fragility_lane_restarts_total", "Restarts of the lane after an error.")?,
            taken: AtomicU64::new(0),
            accounts: Mutex::default(),
            registry,
        };
        for outcome in Outcome::ALL {
            metrics.reference_records.with_label_values(&[outcome.name()]);
        }
        for reason in ["cancelled", "halted", "ineligible", "unknown_condition"] {
            metrics.set_aside.with_label_values(&[reason]);
        }
        for result in ["delivered", "failed"] {
            metrics.deliveries.with_label_values(&["kafka", result]);
        }
        metrics.config_ok.set(1);
        Ok(metrics)
    }

    /// Counts a batch of a lane: records taken, outcomes that became known, and how many wait now.
    pub fn count(&self, lane: usize, taken: u64, outcomes: &[u64; Outcome::ALL.len()], quarantined: u64) {
        let mut lanes = self.lanes(lane);
        lanes[lane].outcomes.iter_mut().zip(outcomes).for_each(|(sum, n)| *sum += n);
        lanes[lane].quarantined = quarantined;
        self.add(taken, outcomes);
        self.show_quarantined(&lanes);
    }

    fn lanes(&self, lane: usize) -> MutexGuard<'_, Vec<Accounts>> {
        let mut lanes = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() <= lane {
            lanes.resize(lane + 1, Accounts::default());
        }
        lanes
    }

    fn show_quarantined(&self, lanes: &[Accounts]) {
        let waiting: u64 = lanes.iter().map(|l| l.quarantined).sum();
        self.quarantined.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    fn add(&self, taken: u64, outcomes: &[u64; Outcome::ALL.len()]) {
        for (counter, n) in self.records.iter().zip(outcomes) {
            counter.inc_by(*n);
        }
        self.records_in.inc_by(taken);
        self.taken.fetch_add(taken, Ordering::Relaxed);
    }

    /// Records taken so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Sets the counts of a lane's records: partitions came or went. Readers see a reset, as after a restart.
    pub fn recount(&self, lane: usize, accounts: &Accounts) {
        let mut lanes = self.lanes(lane);
        lanes[lane] = *accounts;
        let mut total = Accounts::default();
        lanes.iter().for_each(|l| total.add(l));
        for counter in &self.records {
            counter.reset();
        }
        self.records_in.reset();
        self.taken.store(0, Ordering::Relaxed);
        self.add(total.records_in(), &total.outcomes);
        self.show_quarantined(&lanes);
    }

    /// A partition is someone else's now: what was shown of it says nothing any more.
    pub fn forget_partition(&self, topic: &str, partition: i32) {
        let label = partition.to_string();
        // A label that was never set is no failure.
        let _ = self.lag_messages.remove_label_values(&[topic, &label]);
        let _ = self.lag_seconds.remove_label_values(&[topic, &label]);
        let _ = self.restore_progress.remove_label_values(&[&label]);
        let _ = self.partition_held.remove_label_values(&[&label]);
    }

    /// Records by outcome so far.
    pub fn outcomes(&self) -> [u64; Outcome::ALL.len()] {
        std::array::from_fn(|at| self.records[at].get())
    }

    /// Records a latency in both forms.
    pub fn observe_event_to_alert(&self, latency: Duration) {
        self.event_to_alert.observe(latency.as_secs_f64());
        self.event_to_alert_hdr.record(latency);
    }

    /// Records a processing time in both forms.
    pub fn observe_processing(&self, duration: Duration) {
        self.processing.observe(duration.as_secs_f64());
        self.processing_hdr.record(duration);
    }

    /// The text exposition.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let gathered = {
            let _accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            self.registry.gather()
        };
        let mut out = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&gathered, &mut out)?;
        Ok(out)
    }
}

/// Registers what it makes.
struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    fn real(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.add(Gauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn int_gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?)
    }
}
