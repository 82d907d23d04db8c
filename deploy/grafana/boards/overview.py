"""Service overview: rate, errors, latency, lag, saturation."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .panels import Place, Query, Text, dashed, data_link, graph, number, to
from .queries import happened, highest, increase, lowest, or_none, or_zero, pick, quantile, rate, total

UID = "fragility-overview"


def build() -> model.Dashboard:
    """The dashboard."""
    started = frame.board(
        "Fragility / Service overview",
        UID,
        "Whether the service runs, keeps up and delivers. Silence here is unknown, never calm.",
        "1h",
    )
    annotations = [
        *frame.level_annotations('cluster=~".+"'),
        *frame.cluster_annotations(),
        *frame.service_annotations(),
    ]
    rows = [
        (None, _now()),
        ("Rate", _rate()),
        ("Latency", _latency()),
        ("Errors", _errors()),
        ("Lag", _lag()),
        ("Saturation", _saturation()),
    ]
    return frame.finish(started, [], annotations, rows)


def _now() -> list:
    tall, short = 5, 4
    return [
        number(
            Text(
                "Level of the clusters",
                "How stressed each judged group is, by seven legs compared with the group's own past.",
                "it says ALERT or CRITICAL, or UNKNOWN during a session.",
                "the cluster's dashboard, by a click on the value.",
            ),
            Query(highest(pick("fragility_cluster_level"), "cluster"), "{{cluster}}"),
            "none",
            Place(6, tall),
            mappings=looks.LEVELS,
            named=True,
            links=[data_link("This cluster", to("fragility-cluster", "var-cluster=${__field.labels.cluster}"))],
        ),
        number(
            Text(
                "Ready",
                "Whether every chosen instance answers /readyz with 200: brokers reached, partitions restored.",
                "it is not ready for longer than a restart takes.",
                "the answer of /readyz, which names the reason; then Kafka and recovery.",
            ),
            Query(lowest(pick("fragility_ready"))),
            "none",
            Place(4, tall),
            mappings=looks.READY,
        ),
        number(
            Text(
                "Exchange",
                "Whether the regular session runs now, by wall clock and calendar.",
                "it is open and the records a second are zero.",
                "the age of the market below.",
            ),
            Query(highest(pick("fragility_exchange_open"))),
            "none",
            Place(4, tall),
            mappings=looks.SESSION,
        ),
        number(
            Text(
                "Records a second",
                "Market records taken by all chosen instances.",
                "it is zero in a session, or far below what producers send.",
                "lag below; without lag, the producers.",
            ),
            Query(total(rate("fragility_records_in_total"))),
            "recps",
            Place(5, tall),
            decimals=0,
        ),
        number(
            Text(
                "Worst lag",
                "Age of the last record read of the slowest partition, while others wait behind it.",
                "it is above a few seconds and grows.",
                "lag by partition below, then saturation.",
            ),
            Query(highest(pick("fragility_kafka_consumer_lag_seconds"))),
            "s",
            Place(5, tall),
            thresholds=looks.steps(looks.CALM, (5, looks.WATCH), (30, looks.CRITICAL)),
            decimals=1,
        ),
        number(
            Text(
                "Instances",
                "Instances that Prometheus reaches.",
                "it is below what was deployed.",
                "the targets page of Prometheus, then the logs of the missing one.",
            ),
            Query(total(pick("up", 'metrics_path=""'))),
            "none",
            Place(4, short),
            thresholds=looks.steps(looks.CRITICAL, (1, looks.CALM)),
            decimals=0,
        ),
        number(
            Text(
                "Event to alert, p99",
                "From the record's Kafka timestamp to the acknowledged alert, since the start, of the slowest instance.",
                "it is above a second while nothing restarts.",
                "latency below: it shows when.",
            ),
            Query(highest(pick("fragility_event_to_alert_hdr_seconds", 'quantile="0.99"'))),
            "s",
            Place(4, short),
            mappings=looks.not_known("no alert yet"),
            thresholds=looks.steps(looks.CALM, (1, looks.WATCH), (5, looks.CRITICAL)),
            loud=False,
        ),
        number(
            Text(
                "Refused records",
                "Records a second that went to the dead letters.",
                "it is above zero for more than a moment.",
                "refused by reason below.",
            ),
            Query(or_zero(total(rate("fragility_dead_letters_total")))),
            "recps",
            Place(4, short),
            thresholds=looks.steps(looks.CALM, (1e-9, looks.WATCH), (10, looks.CRITICAL)),
            loud=False,
        ),
        number(
            Text(
                "Failed deliveries",
                "Alerts a second that no broker acknowledged.",
                "it is above zero.",
                "deliveries below; the logs name the broker's error.",
            ),
            Query(total(rate("fragility_alert_deliveries_total", 'result="failed"'))),
            "eps",
            Place(4, short),
            thresholds=looks.ANY_IS_BAD,
            loud=False,
        ),
        number(
            Text(
                "Stuck lanes",
                "Lanes that have not come round for 20 s.",
                "it is above zero.",
                "the answer of /readyz, which says what the lane does.",
            ),
            Query(total(pick("fragility_lanes_stuck"))),
            "none",
            Place(4, short),
            thresholds=looks.ANY_IS_BAD,
            decimals=0,
            loud=False,
        ),
        number(
            Text(
                "Last configuration",
                "Whether the last reading of the configuration, at the start or on SIGHUP, was taken.",
                "it was refused: the rules in force are the old ones.",
                "the log line that names the wrong keys, then `fragility check`.",
            ),
            Query(lowest(pick("fragility_config_last_reload_successful"))),
            "none",
            Place(4, short),
            mappings=looks.RELOAD,
            loud=False,
        ),
    ]


def _rate() -> list:
    return [
        graph(
            Text(
                "Records by outcome",
                "Market records a second by the one outcome that each has. After a restart or a rebalance the counters"
                " are set to what the partitions at hand add up to, which can show as a spike.",
                "late, rejected, malformed or unknown_symbol take a share that they did not have before.",
                "refused by reason below; duplicates alone are harmless.",
            ),
            [Query(total(rate("fragility_records_total"), "outcome"), "{{outcome}}")],
            "recps",
            Place(12, 8),
            low=0,
            stacked=True,
            legend_right=True,
        ),
        graph(
            Text(
                "Alerts by severity",
                "Alerts decided in each interval, of symbols and clusters.",
                "SEVERE, EXTREME or CRITICAL appear, or everything stops while the exchange is open.",
                "market, then the cluster or the symbol.",
            ),
            [
                Query(
                    happened(total(increase("fragility_alerts_total"), "entity_type", "severity"), "severity"),
                    "{{entity_type}} {{severity}}",
                )
            ],
            "short",
            Place(12, 8),
            low=0,
            bars=True,
            stacked=True,
            legend_right=True,
        ),
    ]


def _latency() -> list:
    quantiles = [("0.5", "p50"), ("0.99", "p99"), ("0.999", "p99.9")]
    return [
        graph(
            Text(
                "Event to alert",
                "From the record's Kafka timestamp to the acknowledged alert, within each interval. Group alerts have"
                " no timestamp of their own and are not in it. Without alerts there is no line.",
                "p99 leaves its usual place for more than one interval.",
                "lag: a record that waits ages. Without lag, processing time and the brokers.",
            ),
            [Query(quantile(q, "fragility_event_to_alert_seconds"), name) for q, name in quantiles],
            "s",
            Place(12, 8),
            log=True,
        ),
        graph(
            Text(
                "Processing",
                "From decoding a record to its decision, one record in 64, within each interval.",
                "p99 grows with the number of symbols or stays above a millisecond.",
                "saturation: processor time and memory.",
            ),
            [Query(quantile(q, "fragility_processing_seconds"), name) for q, name in quantiles],
            "s",
            Place(12, 8),
            log=True,
        ),
    ]


def _errors() -> list:
    return [
        graph(
            Text(
                "Refused by reason",
                "Records a second that went to the dead letters, by reason.",
                "one reason grows steadily: a producer changed, or its clock runs ahead.",
                "the dead-letter topic, which has the value and where it came from.",
            ),
            [Query(or_none(total(rate("fragility_dead_letters_total"), "reason"), "reason"), "{{reason}}")],
            "recps",
            Place(8, 8),
            low=0,
            stacked=True,
        ),
        graph(
            Text(
                "Deliveries",
                "Alerts a second by sink and result; said_before were left out as readers have them already.",
                "failed is above zero.",
                "the logs, which name the broker's error; alerts in flight below.",
            ),
            [Query(total(rate("fragility_alert_deliveries_total"), "sink", "result"), "{{sink}} {{result}}")],
            "eps",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "Prints set aside",
                "Prints a second that were applied without setting a price.",
                "unknown_condition appears: the table of sale conditions lacks one. ineligible has a usual share.",
                "the feed's documentation and `market.eligibility`.",
            ),
            [Query(total(rate("fragility_prints_set_aside_total"), "reason"), "{{reason}}")],
            "recps",
            Place(8, 8),
            low=0,
        ),
    ]


def _lag() -> list:
    open_now = highest(pick("fragility_exchange_open"))
    age = f"(time() - {highest(pick('fragility_event_time_seconds'))}) * {open_now}"
    return [
        graph(
            Text(
                "Lag in records",
                "Records behind the end of each partition.",
                "one partition grows alone (a hot key), or all do (too little capacity).",
                "Kafka and recovery: held and restoring partitions; then saturation.",
            ),
            [
                Query(
                    highest(pick("fragility_kafka_consumer_lag_messages"), "topic", "partition"),
                    "{{topic}} {{partition}}",
                )
            ],
            "short",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "Lag in seconds",
                "Age of the last record read of each partition while others wait behind it, else 0.",
                "it is above a few seconds: alerts are late by as much.",
                "lag in records beside, then saturation.",
            ),
            [
                Query(
                    highest(pick("fragility_kafka_consumer_lag_seconds"), "topic", "partition"),
                    "{{topic}} {{partition}}",
                )
            ],
            "s",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "Age of the market",
                "Wall clock less the newest event time, while the exchange is open; else 0. Historical data is as old"
                " as it is.",
                "it is above some seconds in a session without lag: the feed is silent.",
                "the producers and their heartbeats; stale symbols in Kafka and recovery.",
            ),
            [Query(age, "age while open")],
            "s",
            Place(8, 8),
            low=0,
        ),
    ]


def _saturation() -> list:
    return [
        graph(
            Text(
                "Processor",
                "Cores in use by each instance. A lane is one thread.",
                "it comes near the number of lanes and lag grows.",
                "more lanes or instances, for as many partitions as there are.",
            ),
            [Query(total(rate("process_cpu_seconds_total"), "instance"), "{{instance}}")],
            "none",
            Place(6, 8),
            low=0,
            decimals=2,
        ),
        graph(
            Text(
                "Memory",
                "Resident memory of each instance.",
                "it grows while the number of symbols does not.",
                "symbols below, `universe.max_symbols`, `market.corrections.prints_max`.",
            ),
            [Query(total(pick("process_resident_memory_bytes"), "instance"), "{{instance}}")],
            "bytes",
            Place(6, 8),
            low=0,
        ),
        graph(
            Text(
                "Alerts in flight",
                "Output records sent and not acknowledged, of all lanes of an instance. Dashed: the limit of one lane,"
                " `delivery.in_flight_max`, at which its input is paused; the scale is logarithmic.",
                "it nears the limit, or pauses appear.",
                "the brokers of the alerts topic: their acknowledgements are slow.",
            ),
            [
                Query(total(pick("fragility_alerts_in_flight"), "instance"), "in flight {{instance}}"),
                Query(total(increase("fragility_input_pauses_total"), "instance"), "pauses {{instance}}"),
                Query(highest(pick("fragility_alerts_in_flight_limit"), "instance"), "limit {{instance}}"),
            ],
            "short",
            Place(6, 8),
            low=0,
            far=True,
        ).override_by_regexp("^limit ", dashed(looks.CRITICAL)),
        graph(
            Text(
                "File descriptors",
                "Open file descriptors as a share of what the process may have.",
                "it is above 0.8.",
                "the number of streams that readers hold open, and the unit's limit.",
            ),
            [
                Query(
                    f"{total(pick('process_open_fds'), 'instance')} / {total(pick('process_max_fds'), 'instance')}",
                    "{{instance}}",
                )
            ],
            "percentunit",
            Place(6, 8),
            low=0,
        ),
        graph(
            Text(
                "Symbols known",
                "Symbols that the fullest lane of each instance knows. Dashed: how many it may,"
                " `universe.max_symbols` of the start; the scale is logarithmic.",
                "it comes near the limit: records of further symbols are refused.",
                "refused by reason above: universe_full.",
            ),
            [
                Query(highest(pick("fragility_symbols"), "instance"), "known {{instance}}"),
                Query(highest(pick("fragility_symbols_limit"), "instance"), "limit {{instance}}"),
            ],
            "short",
            Place(12, 7),
            low=0,
            far=True,
        ).override_by_regexp("^limit ", dashed(looks.CRITICAL)),
        graph(
            Text(
                "Symbols with series",
                "Symbols that had series of their own at the last scrape of /metrics/symbols; and how many lost theirs"
                " in each interval as others moved more (rank), or had none for want of room (cap).",
                "cap appears: symbols that were asked for are not shown.",
                "`metrics.symbols`, `metrics.top_k` and `metrics.max_symbols`.",
            ),
            [
                Query(total(pick("fragility_symbol_series"), "instance"), "series {{instance}}"),
                Query(total(increase("fragility_symbol_series_dropped_total"), "reason"), "dropped, {{reason}}"),
            ],
            "short",
            Place(12, 7),
            low=0,
        ),
    ]
