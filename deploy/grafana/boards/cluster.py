"""A cluster, first of all the Magnificent 7: level, legs against their own past, contributions."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .panels import Place, Query, Text, against_index, bars, data_link, graph, index_move, number, timeline, to
from .queries import highest, increase, or_none, or_zero, pick, total

UID = "fragility-cluster"
OF_CLUSTER = 'cluster="$cluster"'
LEGS = highest(pick("fragility_cluster_leg_percentile", OF_CLUSTER), "leg")


def build() -> model.Dashboard:
    """The dashboard."""
    started = frame.board(
        "Fragility / Magnificent 7 cluster",
        UID,
        "Why a group has its level: seven legs compared with its own past, and who moved it.",
        "6h",
    )
    variables = [frame.cluster(), frame.benchmark()]
    annotations = [
        *frame.level_annotations(OF_CLUSTER),
        frame.alert_annotation('entity_type="cluster"'),
        *frame.service_annotations(),
    ]
    rows = [
        (None, _now()),
        ("Legs", _legs()),
        ("Members", _members()),
        ("Around it, at the last close", _around()),
    ]
    return frame.finish(started, variables, annotations, rows)


def _now() -> list:
    tall = 6
    return [
        number(
            Text(
                "$cluster",
                "WATCH: three legs at their 95th percentile. ALERT: that and one at its 99th. CRITICAL: five and"
                " three. UNKNOWN: fewer than three legs are known.",
                "it says ALERT or CRITICAL, or UNKNOWN during a session.",
                "the legs below, then the members.",
            ),
            Query(highest(pick("fragility_cluster_level", OF_CLUSTER), "cluster")),
            "none",
            Place(5, tall),
            mappings=looks.LEVELS,
        ),
        against_index(Place(6, tall), "the legs below, then the alert of the cluster."),
        index_move(
            Place(4, tall),
            "the market's dashboard.",
            links=[data_link("Market", to("fragility-market", "var-cluster=$cluster"))],
        ),
        number(
            Text(
                "Legs at their 95th",
                "Legs whose value is as large as in the most extreme twentieth of the group's own past.",
                "three or more: the group is at WATCH or above.",
                "which ones: below.",
            ),
            Query(or_zero(f"count({LEGS} >= 0.95)")),
            "none",
            Place(3, tall),
            thresholds=looks.steps(looks.CALM, (3, looks.WATCH), (5, looks.ALERT)),
            decimals=0,
        ),
        number(
            Text(
                "Legs at their 99th",
                "Legs whose value is as large as in the most extreme hundredth of the group's own past.",
                "one makes ALERT of a WATCH, three make CRITICAL of five legs at their 95th.",
                "which ones: below.",
            ),
            Query(or_zero(f"count({LEGS} >= 0.99)")),
            "none",
            Place(3, tall),
            thresholds=looks.steps(looks.CALM, (1, looks.ALERT), (3, looks.CRITICAL)),
            decimals=0,
        ),
        number(
            Text(
                "Legs known",
                "Legs with a percentile, of seven. Unknown ones count as not reached.",
                "fewer than seven: the level may be too low. Fewer than three: it is UNKNOWN.",
                "/v1/clusters, which names the reason of each; share counts and history first.",
            ),
            Query(or_zero(f"count({LEGS} >= 0)")),
            "none",
            Place(3, tall),
            thresholds=looks.steps(looks.CRITICAL, (3, looks.WATCH), (7, looks.CALM)),
            decimals=0,
        ),
    ]


def _legs() -> list:
    return [
        bars(
            Text(
                "Where each leg stands now",
                "Percentile of each leg within the group's own past, 0 to 1. Colours change at 0.95 and 0.99.",
                "three are orange or red.",
                "their course beside; values and bounds are in /v1/clusters and in the alert.",
            ),
            Query(f"sort_desc({LEGS})", "{{leg}}"),
            "none",
            Place(8, 10),
            thresholds=looks.PERCENTILES,
            low=0,
            high=1,
            decimals=3,
        ),
        graph(
            Text(
                "Legs over time",
                "Percentile of each leg. Lines: 0.95 and 0.99, the bounds that make the levels. Legs that are not"
                " known have no line.",
                "several legs stand above the upper line together.",
                "basket and losses tell direction, breadth and dispersion how many, turbulence how unusual together.",
            ),
            [Query(LEGS, "{{leg}}")],
            "none",
            Place(16, 10),
            low=0,
            high=1,
            lines_at=looks.steps("transparent", (0.95, looks.ALERT), (0.99, looks.CRITICAL)),
            legend_right=True,
            decimals=3,
        ),
        timeline(
            Text(
                "Level over time",
                "The group's level; it eases after `ease_after_secs` below.",
                "it returns to a level soon after it left it.",
                "the marks of alerts in the graphs, and the alerts topic.",
            ),
            Query(highest(pick("fragility_cluster_level", OF_CLUSTER), "cluster"), "{{cluster}}"),
            looks.LEVELS,
            Place(12, 5),
        ),
        graph(
            Text(
                "Alerts of clusters",
                "Alerts about groups decided in each interval, by kind and level.",
                "escalate to CRITICAL.",
                "the alert itself: initiator, followers, and the level without each member.",
            ),
            [
                Query(
                    or_none(
                        total(increase("fragility_alerts_total", 'entity_type="cluster"'), "kind", "severity"), "kind"
                    ),
                    "{{kind}} {{severity}}",
                )
            ],
            "short",
            Place(12, 5),
            low=0,
            bars=True,
            stacked=True,
        ),
    ]


def _members() -> list:
    members = highest(pick("fragility_cluster_member_z_sigmas", OF_CLUSTER), "symbol")
    contribution = highest(pick("fragility_index_contribution_ratio", OF_CLUSTER), "symbol")
    link = [data_link("This symbol", to("fragility-symbol", "var-symbol=${__field.labels.symbol}"))]
    return [
        graph(
            Text(
                "Members now",
                "Move of each member since the last close in its own daily sigmas.",
                "several leave together, or one passes 6 alone.",
                "the symbol; first by event time is the initiator in the alert.",
            ),
            [Query(members, "{{symbol}}")],
            "none",
            Place(8, 9),
            decimals=2,
        ),
        bars(
            Text(
                "Weight times move",
                "What each member added to the return of the index at the last close, by `benchmark_share`.",
                "one member makes most of it.",
                "the level without it, in the alert's counterfactual.",
            ),
            Query(f"sort({contribution})", "{{symbol}}"),
            "percentunit",
            Place(8, 9),
            thresholds=looks.steps(looks.CRITICAL, (0, looks.CALM)),
            links=link,
        ),
        bars(
            Text(
                "Its own part of the move",
                "Multiple of what the index does not explain of each member's move, at the last close.",
                "it is 3 or more either way: the reason is the company, not the market.",
                "the symbol, and the events in its alert.",
            ),
            Query(
                f"sort({highest(pick('fragility_idiosyncratic_z_ratio', OF_CLUSTER), 'symbol')})",
                "{{symbol}}",
            ),
            "none",
            Place(8, 9),
            thresholds=looks.steps(
                looks.CRITICAL, (-3, looks.WATCH), (-2, looks.CALM), (2, looks.WATCH), (3, looks.CRITICAL)
            ),
            links=link,
        ),
    ]


def _around() -> list:
    sigma = [
        Query(
            highest(pick("fragility_surface_sigma_ratio", OF_CLUSTER, f'of="{of}"', 'sessions="21"')),
            name,
        )
        for of, name in (("stocks", "members"), ("index", "index"))
    ]
    return [
        graph(
            Text(
                "Daily sigma, 21 sessions",
                "Of the members, and of the index above them.",
                "the two part.",
                "the market's dashboard: whether the rest of the market does, too.",
            ),
            sigma,
            "percentunit",
            Place(6, 8),
            low=0,
            steps=True,
        ),
        graph(
            Text(
                "Correlation of the members",
                "Mean of all pairs over 63 sessions, and absorption. Implied correlation is left out: seven names do"
                " not make the index.",
                "both rise: the members are one position.",
                "turbulence among the legs.",
            ),
            [
                Query(
                    highest(
                        pick("fragility_correlation_ratio", OF_CLUSTER, 'measure=~"mean_pairwise|absorption"'),
                        "measure",
                    ),
                    "{{measure}}",
                )
            ],
            "none",
            Place(6, 8),
            low=0,
            high=1,
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Lift",
                "How much likelier a broad session is when a member breaks, of all and of those that are no members.",
                "`others` rises: the shock does not stay here.",
                "contagion in the market's dashboard.",
            ),
            [Query(highest(pick("fragility_contagion_lift_ratio", OF_CLUSTER), "of"), "{{of}}")],
            "none",
            Place(6, 8),
            low=0,
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Excitation",
                "Intensity of breaches over that without any before; 1 where all is quiet.",
                "`others` rises after members broke.",
                "branching in the market's dashboard.",
            ),
            [Query(highest(pick("fragility_excitation_ratio", OF_CLUSTER), "kind"), "{{kind}}")],
            "none",
            Place(6, 8),
            low=0,
            decimals=2,
            steps=True,
        ),
    ]
