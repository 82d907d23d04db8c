"""Live market fragility: breadth, fragility index, what lies beneath the index, correlation, contagion."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .panels import Column, Place, Query, Text, against_index, bars, data_link, graph, index_move, listing, number
from .panels import timeline, to
from .queries import highest, increase, or_none, pick, total

UID = "fragility-market"
OF_UNIVERSE, OF_CLUSTER = 'cluster="$universe"', 'cluster="$cluster"'
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
    variables = [frame.cluster(), frame.universe(), frame.benchmark()]
    annotations = [*frame.level_annotations(OF_CLUSTER), frame.alert_annotation(), *frame.service_annotations()]
    rows = [
        (None, _now()),
        ("Breadth and fragility index", _breadth()),
        ("Beneath the index, at the last close", _surface()),
        ("Contagion, at the last close", _contagion()),
        ("Who", _who()),
    ]
    return frame.finish(started, variables, annotations, rows)


def _surface_sigma(of: str, sessions: str = "21") -> str:
    return highest(pick("fragility_surface_sigma_ratio", OF_UNIVERSE, f'of="{of}"', f'sessions="{sessions}"'))


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
        index_move(Place(5, tall), "most stressed below."),
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
            Query(_surface_sigma("index")),
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
            Query(_surface_sigma("stocks")),
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
                "most stressed, at the end.",
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
                "Fragility index",
                "Year to date, at each close.",
                "it rises by steps: sessions with many breaches follow each other.",
                "breadth beside.",
            ),
            [Query(highest(pick("fragility_index"), "universe"), "{{universe}}")],
            "none",
            Place(6, 8),
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
            Place(6, 8),
        ),
    ]


def _surface() -> list:
    ratio = {
        sessions: f"{_surface_sigma('stocks', sessions)} / {_surface_sigma('index', sessions)}"
        for sessions in ("21", "63")
    }
    return [
        graph(
            Text(
                "Daily sigma, 21 sessions",
                "Of the index and of the stocks beneath it.",
                "the two part: a quiet index, loud stocks.",
                "their ratio beside.",
            ),
            [Query(_surface_sigma("stocks"), "stocks"), Query(_surface_sigma("index"), "index")],
            "percentunit",
            Place(8, 8),
            low=0,
            steps=True,
        ),
        graph(
            Text(
                "Stocks over index",
                "Sigma of the stocks over that of the index; 1 where all stocks are one.",
                "it rises over weeks.",
                "correlation beside: low correlation is why the two differ.",
            ),
            [Query(expr, f"{sessions} sessions") for sessions, expr in ratio.items()],
            "none",
            Place(8, 8),
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Correlation",
                "How much the universe moves as one: mean of all pairs, the one correlation that would make the index"
                " (implied), and the share of variance in the largest fifth of components (absorption).",
                "absorption and pairs rise together.",
                "contagion below. Implied of a few names beneath a broad index means little.",
            ),
            [Query(highest(pick("fragility_correlation_ratio", OF_UNIVERSE), "measure"), "{{measure}}")],
            "none",
            Place(8, 8),
            decimals=2,
            steps=True,
        ),
        timeline(
            Text(
                "Quiet index, loud stocks",
                "Of each group beneath an index, over 21 and 63 sessions.",
                "it holds for weeks: the next shock comes out of quiet.",
                "sigmas above.",
            ),
            Query(
                highest(pick("fragility_calm_surface"), "cluster", "sessions"), "{{cluster}}, {{sessions}} sessions"
            ),
            looks.SURFACE,
            Place(12, 6),
        ),
        graph(
            Text(
                "Trend model: fall over rise",
                "What the disclosed trend model trades on a fall of two sigmas over what it does on such a rise.",
                "it is above 1 and grows: rule-bound accounts would sell more than they buy.",
                "`derived` in /v1/state, with every assumption.",
            ),
            [Query(highest(pick("fragility_trend_asymmetry_ratio"), "cluster"), "{{cluster}}")],
            "none",
            Place(6, 6),
            decimals=2,
            steps=True,
        ),
        number(
            Text(
                "Calm fifth less restless fifth",
                "Return of the calmest fifth of each group less that of its most restless one, year to date; known from"
                " ten members and 126 sessions on.",
                "it moves by per cents within days: money changes sides.",
                "who, below.",
            ),
            Query(highest(pick("fragility_volatility_leg_spread_ratio"), "cluster"), "{{cluster}}"),
            "percentunit",
            Place(6, 6),
            mappings=looks.not_known(),
            decimals=1,
            named=True,
            loud=False,
        ),
    ]


def _contagion() -> list:
    return [
        graph(
            Text(
                "Lift of a breach in $cluster",
                "How much likelier a broad session is when a member breaks: of the whole universe, and of those in it"
                " that are no members. Over 504 sessions.",
                "`others` is well above 1 and rises: shocks do not stay within the cluster.",
                "excitation beside; intervals are in /v1/clusters.",
            ),
            [Query(highest(pick("fragility_contagion_lift_ratio", OF_CLUSTER), "of"), "{{of}}")],
            "none",
            Place(8, 8),
            low=0,
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Excitation",
                "Intensity of breaches over that without any before; 1 where all is quiet.",
                "it stays far above 1 at the close.",
                "branching beside: whether it feeds itself.",
            ),
            [Query(highest(pick("fragility_excitation_ratio", OF_CLUSTER), "kind"), "{{kind}}")],
            "none",
            Place(8, 8),
            low=0,
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Breaches that one breach makes",
                "Below 1 a shock dies out. UNFITTED parameters are assumed, FITTED ones estimated from the breaches.",
                "FITTED comes near the line at 1.",
                "the initiator and its followers in the cluster's alert.",
            ),
            [Query(highest(pick("fragility_branching_ratio", OF_CLUSTER), "parameters"), "{{parameters}}")],
            "none",
            Place(8, 8),
            low=0,
            lines_at=looks.steps("transparent", (1, looks.CRITICAL)),
            decimals=2,
            steps=True,
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
                "Most stressed",
                "The symbols with the largest moves in their own daily sigmas, at most 20 for each instance. A tier is"
                " held by an open episode.",
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
                "Weight times move, largest",
                "What members of the universe added to its return at the last close, the ten largest either way.",
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
                    or_none(total(increase("fragility_alerts_total"), "entity_type", "kind"), "kind"),
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
