"""Live market fragility: breadth, fragility index, what lies beneath the index, correlation, contagion."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .beneath import OF_CLUSTER, OF_UNIVERSE, contagion, surface, surface_sigma
from .panels import Column, Place, Query, Text, against_index, bars, data_link, graph, index_move, listing, number
from .panels import timeline, to
from .queries import happened, highest, increase, or_none, pick, total

UID = "fragility-market"
# A session is broad from the first share in breach on, and a shock from the second.
BREADTHS = looks.steps(looks.CALM, (0.05, looks.ALERT), (0.08, looks.CRITICAL))


def build() -> model.Dashboard:
    """The dashboard."""
    started = frame.board(
        "Fragility / Market",
        UID,
        "How the market stands beneath its index: who breaks, how many, and whether they move as one.",
        "6h",
    )
    variables = [frame.cluster(), frame.universe()]
    annotations = [
        *frame.level_annotations(OF_CLUSTER),
        *frame.cluster_annotations(),
        *frame.service_annotations(),
    ]
    rows = [
        (None, _now()),
        ("Breadth and fragility index", _breadth()),
        ("Beneath the index, at the last close", surface()),
        ("Contagion, at the last close", contagion()),
        ("Who", _who()),
    ]
    return frame.finish(started, variables, annotations, rows)


def _now() -> list:
    tall, short = 6, 4
    return [
        number(
            Text(
                "$cluster",
                "Level of the group, by seven legs compared with its own past.",
                "it says ALERT or CRITICAL; read it against the index beside it.",
                "the cluster's dashboard, by a click on the value.",
            ),
            Query(highest(pick("fragility_cluster_level", OF_CLUSTER), "cluster")),
            "none",
            Place(7, tall),
            mappings=looks.LEVELS,
            links=[data_link("This cluster", to("fragility-cluster", "var-cluster=$cluster"))],
        ),
        against_index(Place(7, tall), "the legs of the cluster, and breadth beside."),
        index_move(Place(5, tall), "largest moves below."),
        number(
            Text(
                "In breach now",
                "Share of the universe that has moved three sigmas or more, up and down together.",
                "it is 5 % or more, a broad session; from 8 % on it is a shock.",
                "breadth below: up, down, and since when.",
            ),
            Query(total(highest(pick("fragility_breadth_ratio", 'universe="$universe"'), "direction"))),
            "percentunit",
            Place(5, tall),
            mappings=looks.not_known(),
            thresholds=BREADTHS,
            decimals=1,
        ),
        number(
            Text(
                "Fragility index",
                "Sum of absolute multiples from three sigma on per hundred securities and sessions, year to date.",
                "it is above that of earlier years at the same time: ranks are in `--summary`.",
                "its course below.",
            ),
            Query(highest(pick("fragility_index"), "universe"), "{{universe}}"),
            "none",
            Place(4, short),
            decimals=2,
            loud=False,
        ),
        number(
            Text(
                "Sigma of the index",
                "Daily volatility of the benchmark over 21 sessions, at the last close.",
                "it falls while that of the stocks rises.",
                "sigma of the stocks beside.",
            ),
            Query(surface_sigma("index")),
            "percentunit",
            Place(4, short),
            mappings=looks.not_known(),
            decimals=2,
            loud=False,
        ),
        number(
            Text(
                "Sigma of the stocks",
                "Weighted mean of the members' daily volatilities over 21 sessions, at the last close.",
                "it is more than twice that of the index and grows.",
                "who, at the end.",
            ),
            Query(surface_sigma("stocks")),
            "percentunit",
            Place(4, short),
            mappings=looks.not_known(),
            decimals=2,
            loud=False,
        ),
        number(
            Text(
                "Beneath the index",
                "Whether a quiet index covers loud stocks, over 21 sessions, at the last close. Unknown until the group"
                " has 252 sessions behind it.",
                "it does: losses and gains cancel, and the index tells of neither.",
                "sigmas and correlation below.",
            ),
            Query(highest(pick("fragility_calm_surface", OF_UNIVERSE, 'sessions="21"'))),
            "none",
            Place(4, short),
            mappings=looks.SURFACE,
            loud=False,
        ),
        number(
            Text(
                "Mean correlation",
                "Mean of all pairs in the universe over 63 sessions, at the last close.",
                "it jumps: diversification is gone. When it is low while stocks are loud, it says calm wrongly.",
                "correlation below.",
            ),
            Query(highest(pick("fragility_correlation_ratio", OF_UNIVERSE, 'measure="mean_pairwise"'))),
            "none",
            Place(4, short),
            mappings=looks.not_known(),
            decimals=2,
            loud=False,
        ),
        number(
            Text(
                "Session of the data",
                "Whether the newest event time lies in a regular session.",
                "it says closed while the exchange is open.",
                "age of the market in the service overview.",
            ),
            Query(highest(pick("fragility_market_session_open"))),
            "none",
            Place(4, short),
            mappings=looks.SESSION,
            loud=False,
        ),
    ]


def _breadth() -> list:
    return [
        graph(
            Text(
                "Breadth of $universe",
                "Share of the universe in breach now, falls below zero. Lines: a broad session, 5 %, and a shock, 8 %.",
                "one side passes a line, or both do at once: the index then shows neither.",
                "largest moves, at the end.",
            ),
            [
                Query(highest(pick("fragility_breadth_ratio", 'universe="$universe"', 'direction="up"')), "up"),
                Query(
                    "-" + highest(pick("fragility_breadth_ratio", 'universe="$universe"', 'direction="down"')), "down"
                ),
            ],
            "percentunit",
            Place(12, 8),
            lines_at=looks.steps(
                "transparent", (-0.08, looks.CRITICAL), (-0.05, looks.ALERT), (0.05, looks.ALERT), (0.08, looks.CRITICAL)
            ),
            steps=True,
        ),
        graph(
            Text(
                "Return of the groups",
                "Simple return of each group's basket in the session so far, members weighed by their market value.",
                "one group parts from the others, or all fall while the index above stands.",
                "who moves it: the cluster's dashboard.",
            ),
            [Query(highest(pick("fragility_cluster_basket_return_ratio"), "cluster"), "{{cluster}}")],
            "percentunit",
            Place(6, 8),
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Known of the groups",
                "Share of each group's market value with a known return now. Below 0.8, the line and the default of"
                " `coverage_min`, what rests on the members is unknown.",
                "it is below 1 after the first minutes of a session: breadth is one of fewer members.",
                "stale symbols in Kafka and recovery; members without z in /v1/clusters.",
            ),
            [Query(highest(pick("fragility_cluster_coverage_ratio"), "cluster"), "{{cluster}}")],
            "percentunit",
            Place(6, 8),
            low=0,
            high=1,
            lines_at=looks.steps("transparent", (0.8, looks.ALERT)),
            steps=True,
        ),
        graph(
            Text(
                "Fragility index",
                "Year to date, at each close.",
                "it rises by steps: sessions with many breaches follow each other.",
                "breadth beside.",
            ),
            [Query(highest(pick("fragility_index"), "universe"), "{{universe}}")],
            "none",
            Place(12, 6),
            low=0,
            decimals=2,
            steps=True,
        ),
        timeline(
            Text(
                "Level over time",
                "The level of each judged group.",
                "a level stands longer than a session, or returns.",
                "the cluster's dashboard.",
            ),
            Query(highest(pick("fragility_cluster_level"), "cluster"), "{{cluster}}"),
            looks.LEVELS,
            Place(12, 6),
        ),
    ]


def _who() -> list:
    z = highest(pick("fragility_symbol_z_sigmas"), "symbol")
    sigma = highest(pick("fragility_symbol_sigma_daily_ratio"), "symbol")
    tier = highest(pick("fragility_symbol_tier"), "symbol")
    colored = model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})
    sigmas = model.DynamicConfigValue(
        "thresholds",
        {
            "mode": "absolute",
            "steps": [
                {"color": looks.CALM, "value": None},
                {"color": looks.WATCH, "value": 2},
                {"color": looks.ALERT, "value": 3},
                {"color": looks.CRITICAL, "value": 6},
            ],
        },
    )
    percent = (model.DynamicConfigValue("unit", "percentunit"), model.DynamicConfigValue("decimals", 2))
    return [
        listing(
            Text(
                "Largest moves",
                "The symbols that have series, by the size of their move in their own daily sigmas: `[metrics] symbols`"
                " chooses them, as shipped the 20 largest moves of each instance and those that were among them and are"
                " near. A tier is held by an open episode.",
                "tiers of 6 and more, or names of one sector together.",
                "the symbol, by a click on its name.",
            ),
            "symbol",
            [
                Column("|z|", or_none(f"abs({z})", "symbol"), (model.DynamicConfigValue("decimals", 2), colored, sigmas)),
                Column("z", z, (model.DynamicConfigValue("decimals", 2),)),
                Column("Move", f"exp({z} * {sigma}) - 1", percent),
                Column("Tier", tier, (model.DynamicConfigValue("mappings", looks.TIERS), colored)),
                Column("Daily sigma", sigma, percent),
            ],
            Place(12, 12),
            ("This symbol", to("fragility-symbol", "var-symbol=${__value.text}")),
        ),
        bars(
            Text(
                "Contribution to the index, largest",
                "What members of the universe added to the simple return of the index at the last close, the ten largest"
                " either way: weight in the group times the group's part of the index, `benchmark_share`, which is"
                " configured, times the move. A universe without it has none.",
                "one name makes most of the move: the index is that name.",
                "the cluster's contributions, or the symbol by a click.",
            ),
            Query(
                "sort(topk(10, {0}) or bottomk(10, {0}))".format(
                    highest(pick("fragility_index_contribution_ratio", OF_UNIVERSE), "symbol")
                ),
                "{{symbol}}",
            ),
            "percentunit",
            Place(6, 12),
            thresholds=looks.steps(looks.CRITICAL, (0, looks.CALM)),
            missing="no share",
            links=[data_link("This symbol", to("fragility-symbol", "var-symbol=${__field.labels.symbol}"))],
        ),
        graph(
            Text(
                "Alerts by kind",
                "Alerts decided in each interval. open, escalate and close are provisional; confirm and fade come at"
                " the close.",
                "escalate outnumbers open, or correct and retract appear: prints were taken back.",
                "the alerts topic, or `explain` with the alert's id.",
            ),
            [
                Query(
                    happened(total(increase("fragility_alerts_total"), "entity_type", "kind"), "kind"),
                    "{{entity_type}} {{kind}}",
                )
            ],
            "short",
            Place(6, 12),
            low=0,
            bars=True,
            stacked=True,
        ),
    ]
