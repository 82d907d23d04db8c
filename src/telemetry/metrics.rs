//! The metrics of the service. Names and meanings are part of the outside contract.

use super::build;
use super::register::{MetricInfo, Register};
use super::{Family, HdrSummary, SymbolSeries};
use crate::codec::SNAPSHOT_VERSION;
use crate::config::SymbolPolicy;
use crate::domain::{Accounts, AlertKind, Outcome};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Every metric, registered once.
pub struct Metrics {
    registry: Registry,
    made: Vec<MetricInfo>,
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
    /// Series of single symbols.
    pub symbol_series: SymbolSeries,
    /// Levels of the groups.
    pub cluster_level: Family,
    /// Share of their value with a known return.
    pub cluster_coverage: Family,
    /// Returns of their baskets.
    pub cluster_return: Family,
    /// Multiples of their members, of groups that are judged.
    pub cluster_member_z: Family,
    /// Multiples of the indices above them.
    pub cluster_benchmark_z: Family,
    /// Where their legs stand in their own past.
    pub cluster_leg_percentile: Family,
    /// Fragility index of the year to date.
    pub index: Family,
    /// Volatility of an index and of the stocks beneath it.
    pub surface_sigma: Family,
    /// Whether a quiet index covers loud stocks.
    pub calm_surface: Family,
    /// How much a group moves as one, by measure.
    pub correlation: Family,
    /// How much likelier a broad session is when a member breaks.
    pub contagion_lift: Family,
    /// How much likelier breaches are than without those before.
    pub excitation: Family,
    /// Breaches that one breach makes, by where the parameters come from.
    pub branching: Family,
    /// Parts of an index's move.
    pub contribution: Family,
    /// Multiples of what of a move is a member's own.
    pub idiosyncratic: Family,
    /// Calm members less restless ones.
    pub leg_spread: Family,
    /// How much more the trend model trades on a fall than on a rise.
    pub trend_asymmetry: Family,
    /// Breadth by universe and direction.
    pub breadth: Family,
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
    /// Whether the exchange is open by the wall clock; says nothing without a calendar.
    pub exchange_open: GaugeVec,
    /// Whether the service is ready.
    pub ready: IntGauge,
    /// Whether the last configuration load succeeded.
    pub config_ok: IntGauge,
    /// Configurations read again, by result.
    pub config_reloads: IntCounterVec,
    /// HTTP connections and requests refused, by reason.
    pub http_refused: IntCounterVec,
    /// Alerts sent and not acknowledged.
    pub in_flight: IntGauge,
    /// How many may be.
    pub in_flight_limit: IntGauge,
    /// Times the input was paused because too many alerts were in flight.
    pub pauses: IntCounter,
    /// Symbols known.
    pub symbols: IntGauge,
    /// How many may be.
    pub symbols_limit: IntGauge,
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

impl Metrics {
    /// Registers everything; twenty symbols have series of their own.
    ///
    /// # Errors
    /// As [`Metrics::with_symbols`].
    pub fn new() -> prometheus::Result<Self> {
        Self::with_symbols(SymbolPolicy::TopK(20), 10_000)
    }

    /// Registers everything, with series of these symbols and at most so many.
    ///
    /// # Errors
    /// When two metrics share a name: a mistake in this file.
    #[expect(clippy::too_many_lines, reason = "a list: every metric once, with its help")]
    pub fn with_symbols(symbols: SymbolPolicy, symbols_max: usize) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = Register::new(&registry);
        let outcomes = r.counters("fragility_records_total", "Market records by their one outcome.", &["outcome"])?;
        let threshold = r.gauges("fragility_threshold_sigmas", "Multiples at which tiers begin.", &["rule", "tier"])?;
        let facts = ["version", "revision", "snapshot_layout"];
        let info = r.gauges("fragility_build_info", "Build facts as labels; always 1.", &facts)?;
        info.with_label_values(&[build::VERSION, build::revision(), &SNAPSHOT_VERSION.to_string()]).set(1.0);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let metrics = Self {
            records_in: r.counter("fragility_records_in_total", "Market records taken.")?,
            records: Outcome::ALL.map(|o| outcomes.with_label_values(&[o.name()])),
            quarantined: r.gauge("fragility_records_quarantined", "Records awaiting confirmation.")?,
            set_aside: r.counters(
                "fragility_prints_set_aside_total",
                "Prints applied without setting a price, by reason; cancelled: by a cancel that came before.",
                &["reason"],
            )?,
            stale: r.gauge("fragility_symbols_stale", "Symbols silent for longer than their own rhythm explains, in the regular session.")?,
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
            symbol_series: SymbolSeries::new(&r, symbols, symbols_max)?,
            cluster_level: r.family(
                "fragility_cluster_level",
                "0 calm, 1 watch, 2 alert, 3 critical, -1 unknown.",
                &["cluster"],
            )?,
            cluster_coverage: r.family(
                "fragility_cluster_coverage_ratio",
                "Share of a group's market value with a known return now, 0 to 1; NaN where not known.",
                &["cluster"],
            )?,
            cluster_return: r.family(
                "fragility_cluster_basket_return_ratio",
                "Simple return of a group's basket in the session so far; NaN where not known.",
                &["cluster"],
            )?,
            cluster_member_z: r.family(
                "fragility_cluster_member_z_sigmas",
                "Move of each member of a judged group in daily sigmas; NaN where not known.",
                &["cluster", "symbol"],
            )?,
            cluster_benchmark_z: r.family(
                "fragility_cluster_benchmark_z_sigmas",
                "Move of the index above a group in daily sigmas; NaN where not known.",
                &["cluster", "symbol"],
            )?,
            cluster_leg_percentile: r.family(
                "fragility_cluster_leg_percentile",
                "Mid-rank percentile of a leg within its own past, 0 to 1; NaN where not known.",
                &["cluster", "leg"],
            )?,
            index: r.family(
                "fragility_index",
                "Sum of absolute multiples from 3 sigma on per hundred securities and sessions, year to date at the last close.",
                &["universe"],
            )?,
            surface_sigma: r.family(
                "fragility_surface_sigma_ratio",
                "Daily volatility over a window of sessions, of the index and of the stocks beneath it, at the last close; NaN where not known.",
                &["cluster", "of", "sessions"],
            )?,
            calm_surface: r.family(
                "fragility_calm_surface",
                "1 where a quiet index covers loud stocks, 0 where not, -1 where not known, at the last close.",
                &["cluster", "sessions"],
            )?,
            correlation: r.family(
                "fragility_correlation_ratio",
                "How much a group moves as one at the last close: mean_pairwise, implied_21, implied_63, absorption; NaN where not known.",
                &["cluster", "measure"],
            )?,
            contagion_lift: r.family(
                "fragility_contagion_lift_ratio",
                "Probability of a broad session with a member in breach over that without, of the universe (all) or of those in it that are no members (others), at the last close; NaN where not known.",
                &["cluster", "of"],
            )?,
            excitation: r.family(
                "fragility_excitation_ratio",
                "Intensity of breaches of members or others at the last close over that without any before, 1 where all is quiet; NaN where not known.",
                &["cluster", "kind"],
            )?,
            branching: r.family(
                "fragility_branching_ratio",
                "Breaches that one breach makes, by parameters: FITTED, or UNFITTED where they are assumed.",
                &["cluster", "parameters"],
            )?,
            contribution: r.family(
                "fragility_index_contribution_ratio",
                "What a member adds to the simple return of the index, at the last close, of groups whose benchmark_share is configured; NaN where not known.",
                &["cluster", "symbol"],
            )?,
            idiosyncratic: r.family(
                "fragility_idiosyncratic_z_ratio",
                "Multiple of what of a member's move the index does not explain, at the last close; NaN where not known.",
                &["cluster", "symbol"],
            )?,
            leg_spread: r.family(
                "fragility_volatility_leg_spread_ratio",
                "Return of a group's calm fifth less that of its restless fifth, year to date at the last close; NaN where not known.",
                &["cluster"],
            )?,
            trend_asymmetry: r.family(
                "fragility_trend_asymmetry_ratio",
                "What the disclosed trend model trades on a fall of two sigmas over what it does on such a rise, at the last close; NaN where not known.",
                &["cluster"],
            )?,
            breadth: r.family(
                "fragility_breadth_ratio",
                "Share of securities in breach: of all at the last close, of a group now.",
                &["universe", "direction"],
            )?,
            threshold,
            event_to_alert: r.histogram(
                "fragility_event_to_alert_seconds",
                "From the record's Kafka timestamp to the acknowledged alert.",
            )?,
            event_to_alert_hdr: r.summary(
                "fragility_event_to_alert_hdr_seconds",
                "From the record's Kafka timestamp to the acknowledged alert.",
            )?,
            processing: r.histogram(
                "fragility_processing_seconds",
                "From decoding a record to its decision, one in 64 records.",
            )?,
            processing_hdr: r.summary(
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
            event_time: r.real("fragility_event_time_seconds", "Newest event time of any partition, seconds since 1970.")?,
            session_open: r
                .gauge("fragility_market_session_open", "1 while the newest event time lies in a regular session.")?,
            dead_letters: r.counters("fragility_dead_letters_total", "Refused records by reason.", &["reason"])?,
            deliveries: r.counters(
                "fragility_alert_deliveries_total",
                "Alerts delivered and failed, by sink; said_before: left out, as readers have them: the group stands further back than what was said, since a broker that crashed forgot offsets.",
                &["sink", "result"],
            )?,
            config_ok: r
                .gauge("fragility_config_last_reload_successful", "1 when the last reading of the configuration, at the start or on SIGHUP, was taken; 0 when it was wrong, and the one in force stays.")?,
            exchange_open: r.gauges(
                "fragility_exchange_open",
                "1 while the exchange's regular session runs by the wall clock, 0 outside; absent without a calendar.",
                &[],
            )?,
            ready: r.gauge("fragility_ready", "1 while /readyz says that results can be relied on.")?,
            http_refused: r.counters(
                "fragility_http_refused_total",
                "HTTP connections and requests refused, by reason: no token, no TLS agreed upon, too many live streams, or a host that is not this one.",
                &["reason"],
            )?,
            config_reloads: r.counters(
                "fragility_config_reloads_total",
                "Configurations read again on SIGHUP, by result: ok, or refused.",
                &["result"],
            )?,
            in_flight: r.gauge("fragility_alerts_in_flight", "Records sent and not acknowledged yet, and those that wait for their transaction.")?,
            in_flight_limit: r.gauge(
                "fragility_alerts_in_flight_limit",
                "Records in flight of one lane at which its input is paused.",
            )?,
            pauses: r.counter(
                "fragility_input_pauses_total",
                "Times the input was paused because too many alerts were in flight.",
            )?,
            symbols: r.gauge("fragility_symbols", "Symbols known.")?,
            symbols_limit: r.gauge(
                "fragility_symbols_limit",
                "Symbols admitted at most; records of further ones are refused.",
            )?,
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
            made: r.made.take(),
            registry,
        };
        metrics.config_ok.set(1);
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// A series that begins with its first event hides that event from rates: those that can be foreseen begin at 0.
    fn start_at_zero(&self) {
        for (entity, severities) in [
            ("symbol", &["NOTICE", "ELEVATED", "HIGH", "SEVERE", "EXTREME"][..]),
            ("cluster", &["WATCH", "ALERT", "CRITICAL"][..]),
        ] {
            for (kind, severity) in AlertKind::ALL.iter().flat_map(|k| severities.iter().map(move |s| (k, s))) {
                self.alerts.with_label_values(&[entity, kind.name(), severity]);
            }
        }
        for outcome in Outcome::ALL {
            self.reference_records.with_label_values(&[outcome.name()]);
            self.member_records.with_label_values(&[outcome.name()]);
        }
        let begin = |counters: &IntCounterVec, values: &[&str]| {
            for value in values {
                counters.with_label_values(&[value]);
            }
        };
        begin(&self.set_aside, &["cancelled", "halted", "ineligible", "unknown_condition"]);
        begin(&self.snapshots, &["written", "failed", "skipped"]);
        begin(&self.restores, &["snapshot", "snapshot_with_gap", "log", "log_with_gap", "nothing"]);
        begin(&self.http_refused, &["host", "streams", "tls", "token"]);
        begin(&self.config_reloads, &["ok", "refused"]);
        for result in ["delivered", "failed", "said_before"] {
            self.deliveries.with_label_values(&["kafka", result]);
        }
    }

    /// Every metric, for the reference.
    pub fn made(&self) -> &[MetricInfo] {
        &self.made
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
