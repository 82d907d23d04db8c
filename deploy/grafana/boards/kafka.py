"""Kafka and recovery internals: partitions, restoring, snapshots, delivery, lanes, symbols that move."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .panels import Place, Query, Text, dashed, graph, number, timeline
from .queries import happened, highest, increase, lowest, or_zero, pick, rate, total

UID = "fragility-kafka"
HELD = looks.words({0: ("flows", looks.CALM), 1: ("HELD", looks.ALERT)})
FLOOD = looks.words({0: ("calm", looks.CALM), 1: ("FLOOD", looks.CRITICAL)})


def build() -> model.Dashboard:
    """The dashboard."""
    started = frame.board(
        "Fragility / Kafka and recovery",
        UID,
        "What happens to partitions and state: who reads what, how far state is restored, what is kept and delivered.",
        "1h",
    )
    rows = [
        (None, _now()),
        ("Partitions", _partitions()),
        ("Recovery", _recovery()),
        ("Records and delivery", _records()),
        ("Lanes and symbols", _lanes()),
    ]
    return frame.finish(started, [], frame.service_annotations(), rows)


def _now() -> list:
    short = 4
    return [
        number(
            Text(
                "Partitions read",
                "Partitions of the market topic that the chosen instances read.",
                "it is not the number of partitions of the topic.",
                "lag by partition below: the missing one has no line.",
            ),
            Query(or_zero(f"count({highest(pick('fragility_kafka_consumer_lag_messages'), 'topic', 'partition')})")),
            "none",
            Place(4, short),
            thresholds=looks.steps(looks.CRITICAL, (1, looks.CALM)),
            decimals=0,
            loud=False,
        ),
        number(
            Text(
                "Records behind",
                "Records behind the end of all partitions.",
                "it grows for minutes.",
                "lag by partition below.",
            ),
            Query(total(pick("fragility_kafka_consumer_lag_messages"))),
            "short",
            Place(4, short),
            thresholds=looks.steps(looks.CALM, (10_000, looks.WATCH), (1_000_000, looks.CRITICAL)),
            loud=False,
        ),
        number(
            Text(
                "Restored",
                "Part of the state that is restored, of the partition that is least so.",
                "it stands below 1: nothing is sent of that partition yet.",
                "restoring below.",
            ),
            Query(lowest(pick("fragility_restore_progress_ratio"))),
            "percentunit",
            Place(4, short),
            thresholds=looks.steps(looks.WATCH, (1, looks.CALM)),
            decimals=0,
            loud=False,
        ),
        number(
            Text(
                "Held partitions",
                "Partitions that wait for what others have said of a symbol.",
                "it is above zero for minutes; while partitions are added it is ordinary.",
                "held partitions below.",
            ),
            Query(total(pick("fragility_partition_held"))),
            "none",
            Place(4, short),
            thresholds=looks.steps(looks.CALM, (1, looks.ALERT)),
            decimals=0,
            loud=False,
        ),
        number(
            Text(
                "Failed snapshots",
                "Snapshots a second that could not be written.",
                "it is above zero: a restart would read more of the log again.",
                "the disk of `state.dir`, and the snapshots topic.",
            ),
            Query(total(rate("fragility_snapshots_total", 'result="failed"'))),
            "ops",
            Place(4, short),
            thresholds=looks.ANY_IS_BAD,
            loud=False,
        ),
        number(
            Text(
                "Lane restarts",
                "Restarts of lanes after an error, in an interval.",
                "it is above zero.",
                "the error before it in the logs.",
            ),
            Query(total(increase("fragility_lane_restarts_total"))),
            "none",
            Place(4, short),
            thresholds=looks.ANY_IS_BAD,
            decimals=0,
            loud=False,
        ),
    ]


def _partitions() -> list:
    by = ("topic", "partition")
    return [
        graph(
            Text(
                "Lag in records",
                "Records behind the end of each partition.",
                "one partition grows alone (a hot key), or all do (too little capacity).",
                "lag in seconds beside, held partitions below.",
            ),
            [Query(highest(pick("fragility_kafka_consumer_lag_messages"), *by), "{{topic}} {{partition}}")],
            "short",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "Lag in seconds",
                "Age of the last record read while others wait behind it, else 0.",
                "it is above a few seconds: alerts are late by as much.",
                "processor time in the service overview.",
            ),
            [Query(highest(pick("fragility_kafka_consumer_lag_seconds"), *by), "{{topic}} {{partition}}")],
            "s",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "Rebalances",
                "Assignments and revocations in each interval, by instance. One at each start.",
                "they return without a deployment: an instance leaves its group for want of time.",
                "the logs for `partitions revoked`, `lost`; `max.poll.interval.ms`.",
            ),
            [Query(total(increase("fragility_kafka_rebalances_total"), "instance"), "{{instance}}")],
            "short",
            Place(8, 8),
            low=0,
            bars=True,
        ),
        timeline(
            Text(
                "Held partitions",
                "Whether a partition waits for what other partitions have said of a symbol.",
                "it is held for minutes.",
                "symbols that move below; the lane that had the symbol commits late.",
            ),
            Query(highest(pick("fragility_partition_held"), "partition"), "partition {{partition}}"),
            HELD,
            Place(12, 7),
        ),
        graph(
            Text(
                "Input pauses and alerts in flight",
                "Output records not acknowledged, and how often the input was paused as there were too many. Dashed: the"
                " limit of one lane; the scale is logarithmic.",
                "pauses appear: the brokers' acknowledgements are slower than the alerts.",
                "deliveries below.",
            ),
            [
                Query(total(pick("fragility_alerts_in_flight"), "instance"), "in flight {{instance}}"),
                Query(total(increase("fragility_input_pauses_total"), "instance"), "pauses {{instance}}"),
                Query(highest(pick("fragility_alerts_in_flight_limit"), "instance"), "limit {{instance}}"),
            ],
            "short",
            Place(12, 7),
            low=0,
            far=True,
        ).override_by_regexp("^limit ", dashed(looks.CRITICAL)),
    ]


def _recovery() -> list:
    return [
        graph(
            Text(
                "Restoring",
                "Part of each partition's state that is restored. Alerts of a partition are sent once it is at 1.",
                "it stands still below 1.",
                "the answer of /readyz, which names the partition and what it waits for.",
            ),
            [Query(highest(pick("fragility_restore_progress_ratio"), "partition"), "partition {{partition}}")],
            "percentunit",
            Place(6, 8),
            low=0,
            high=1,
        ),
        graph(
            Text(
                "Symbols still to be decoded",
                "Symbols of restored partitions whose state is still encoded, by lane; each is decoded when a record"
                " of its own comes. Views leave them out until then.",
                "breadth looks too small and this is high: wait.",
                "restoring beside.",
            ),
            [Query(total(pick("fragility_restore_symbols_left"), "instance", "lane"), "{{instance}} lane {{lane}}")],
            "short",
            Place(6, 8),
            low=0,
        ),
        graph(
            Text(
                "Where state came from",
                "Partitions assigned in each interval, by what their state came from.",
                "log_with_gap, snapshot_with_gap or, on an old group, nothing: state is missing.",
                "retention of the market topic against the age of snapshots; `kafka.topics.snapshots`.",
            ),
            [Query(happened(total(increase("fragility_restores_total"), "from"), "from"), "{{from}}")],
            "short",
            Place(6, 8),
            low=0,
            bars=True,
            stacked=True,
        ),
        graph(
            Text(
                "Snapshots",
                "Snapshots a second by result; skipped were left out as the disk had not kept up.",
                "failed appears, or written falls to zero.",
                "the disk of `state.dir`.",
            ),
            [Query(total(rate("fragility_snapshots_total"), "result"), "{{result}}")],
            "ops",
            Place(6, 8),
            low=0,
        ),
    ]


def _records() -> list:
    return [
        graph(
            Text(
                "Reference records",
                "Records of the reference topic a second, by outcome.",
                "rejected or malformed appear: closes, splits or share counts are missing.",
                "the logs; the reference topic itself.",
            ),
            [Query(total(rate("fragility_reference_records_total"), "outcome"), "{{outcome}}")],
            "recps",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "What groups follow",
                "Records of the members topic a second, by outcome. None without `kafka.topics.members`.",
                "late or malformed appear: group results may be wrong.",
                "the cluster's legs: which became unknown.",
            ),
            [Query(total(rate("fragility_member_records_total"), "outcome"), "{{outcome}}")],
            "recps",
            Place(8, 8),
            low=0,
        ),
        graph(
            Text(
                "Deliveries and transactions",
                "Alerts a second by sink and result, and transactions a second that were given up; what those held is"
                " said again.",
                "failed or abandoned are above zero.",
                "the brokers; one that was killed shows here for seconds.",
            ),
            [
                Query(total(rate("fragility_alert_deliveries_total"), "sink", "result"), "{{sink}} {{result}}"),
                Query(total(rate("fragility_transactions_abandoned_total")), "transactions abandoned"),
            ],
            "eps",
            Place(8, 8),
            low=0,
        ),
        timeline(
            Text(
                "Flood of refused records",
                "Whether a lane refuses 1,000 records or more within 10 s.",
                "it is on.",
                "refused by reason in the service overview.",
            ),
            Query(
                f"{highest(pick('fragility_dead_letter_flood'), 'lane')}"
                ' or on() label_replace(vector(0), "lane", "any", "", "")',
                "lane {{lane}}",
            ),
            FLOOD,
            Place(12, 6),
        ),
        graph(
            Text(
                "Configuration reloads",
                "Readings of the configuration in each interval, by result.",
                "refused appears: the rules in force are the old ones.",
                "the log line that names the wrong keys.",
            ),
            [Query(total(increase("fragility_config_reloads_total"), "result"), "{{result}}")],
            "short",
            Place(12, 6),
            low=0,
            bars=True,
            stacked=True,
        ),
    ]


def _lanes() -> list:
    return [
        graph(
            Text(
                "Lanes in trouble",
                "Lanes that have not come round for 20 s, and restarts of lanes after an error in each interval.",
                "either is above zero.",
                "the answer of /readyz and the logs.",
            ),
            [
                Query(total(pick("fragility_lanes_stuck"), "instance"), "stuck {{instance}}"),
                Query(total(increase("fragility_lane_restarts_total"), "instance"), "restarts {{instance}}"),
            ],
            "short",
            Place(6, 8),
            low=0,
        ),
        graph(
            Text(
                "Symbols that moved",
                "Symbols whose records came from another partition than before, and of those the ones that another"
                " lane had read, in each interval.",
                "it is above zero without partitions having been added: a producer's key or partitioner changed.",
                "held partitions above.",
            ),
            [
                Query(total(increase("fragility_symbols_moved_total")), "moved"),
                Query(total(increase("fragility_symbols_adopted_total")), "adopted"),
            ],
            "short",
            Place(6, 8),
            low=0,
        ),
        graph(
            Text(
                "Symbols",
                "Symbols known, halted, and silent for longer than their rhythm explains. Dashed: how many a lane may"
                " know; the scale is logarithmic.",
                "known nears the limit; stale rises for many at once: a feed is silent.",
                "age of the market in the service overview.",
            ),
            [
                Query(highest(pick("fragility_symbols"), "instance"), "known {{instance}}"),
                Query(total(pick("fragility_symbols_stale")), "stale"),
                Query(total(pick("fragility_symbols_halted")), "halted"),
                Query(highest(pick("fragility_symbols_limit"), "instance"), "limit {{instance}}"),
            ],
            "short",
            Place(6, 8),
            low=0,
            far=True,
        ).override_by_regexp("^limit ", dashed(looks.CRITICAL)),
        graph(
            Text(
                "Records in quarantine",
                "Records that wait until something speaks for or against them.",
                "it grows: many symbols jump, or a producer sends wrong prices.",
                "refused by reason in the service overview: bad_print.",
            ),
            [Query(total(pick("fragility_records_quarantined")), "waiting")],
            "short",
            Place(6, 8),
            low=0,
        ),
    ]
