"""A cluster, first of all the Magnificent 7: level, legs against their own past, contributions."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .panels import Column, Place, Query, Text, against_index, bars, dashed, data_link, graph, index_move, listing
from .panels import number, timeline, to
from .queries import OF_CLUSTER, first_tier, happened, hidden_stress, highest, increase, index_size, lowest, or_zero
from .queries import pick, total

UID = "fragility-cluster"
LEGS = highest(pick("fragility_cluster_leg_percentile", OF_CLUSTER), "leg")
MEMBERS = highest(pick("fragility_cluster_member_z_sigmas", OF_CLUSTER), "symbol")
BASKET = highest(pick("fragility_cluster_basket_return_ratio", OF_CLUSTER))


def build() -> model.Dashboard:
    """The dashboard."""
    started = frame.board(
        "Fragility / Magnificent 7 cluster",
        UID,
        "Why a group has its level: seven legs compared with its own past, and who moved it.",
        "6h",
    )
    variables = [frame.cluster()]
    annotations = [
        *frame.level_annotations(OF_CLUSTER),
        *frame.cluster_annotations(),
        *frame.service_annotations(),
    ]
    rows = [
        (None, _now()),
        ("Members", _members()),
        ("Against the index", _against()),
        ("Legs", _legs()),
        ("Around it, at the last close", _around()),
    ]
    return frame.finish(started, variables, annotations, rows)


def _now() -> list:
    tall, short = 6, 4
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
        number(
            Text(
                "Basket",
                "Simple return of the group's basket in the session so far, members weighed by their market value.",
                "it falls by per cents.",
                "its course below, beside that of the index.",
            ),
            Query(BASKET),
            "percentunit",
            Place(6, short),
            mappings=looks.not_known(),
            thresholds=looks.steps(looks.CRITICAL, (-0.02, looks.WATCH), (-0.01, looks.CALM)),
            decimals=2,
            loud=False,
        ),
        number(
            Text(
                "Largest move of a member",
                "The member that has moved most of its own daily sigmas since the last close.",
                "it is beyond 3 while the others are not: one member, not the group.",
                "the members below.",
            ),
            Query(f"topk(1, abs({MEMBERS}))", "{{symbol}}"),
            "none",
            Place(6, short),
            mappings=looks.not_known(),
            thresholds=looks.SIGMAS,
            decimals=2,
            named=True,
            loud=False,
        ),
        number(
            Text(
                "Members beyond the first tier",
                "Members whose move is as large as the first tier in force, up or down.",
                "two or more of seven: it is not one company alone.",
                "the members below.",
            ),
            Query(or_zero(f"count(abs({MEMBERS}) >= scalar({first_tier()}))")),
            "none",
            Place(6, short),
            thresholds=looks.steps(looks.CALM, (1, looks.WATCH), (2, looks.ALERT), (4, looks.CRITICAL)),
            decimals=0,
            loud=False,
        ),
        number(
            Text(
                "Known by value",
                "Share of the group's market value with a known return now. Below `coverage_min`, as shipped 0.8, legs are"
                " unknown.",
                "it is below 100 % after the first minutes of a session.",
                "members without z below, and their reasons in /v1/clusters.",
            ),
            Query(lowest(pick("fragility_cluster_coverage_ratio", OF_CLUSTER))),
            "percentunit",
            Place(6, short),
            mappings=looks.not_known(),
            thresholds=looks.steps(looks.CRITICAL, (0.8, looks.WATCH), (1, looks.CALM)),
            decimals=0,
            loud=False,
        ),
    ]


def _against() -> list:
    size = pick("fragility_cluster_member_z_sigmas", OF_CLUSTER)
    return [
        graph(
            Text(
                "Members and index, sigmas",
                "Size of the largest move of a member, of the mean one, and of that of the index above the group. Dashed:"
                " the first tier in force.",
                "members are above the line and the index below it: who watches the index sees nothing.",
                "whether it was hidden, beside; which members, above.",
            ),
            [
                Query(f"max(abs({size}))", "largest member"),
                Query(f"avg(abs({size}) >= 0)", "mean member"),
                Query(index_size(), "index"),
                Query(first_tier(), "first tier"),
            ],
            "none",
            Place(10, 8),
            low=0,
            decimals=2,
        ).override_by_regexp("^first tier$", dashed(looks.ALERT)),
        timeline(
            Text(
                "$cluster against the index, over time",
                "Whether the index showed what the cluster went through.",
                "HIDDEN stands for minutes.",
                "the alert of the cluster at that time.",
            ),
            Query(hidden_stress(), "$cluster"),
            looks.HIDDEN,
            Place(7, 8),
        ),
        graph(
            Text(
                "Return of the basket",
                "Simple return of the group's basket in the session so far. It begins at each open with the move over"
                " night.",
                "it falls while the index, beside, stays small.",
                "contributions above: who makes it.",
            ),
            [Query(BASKET, "$cluster")],
            "percentunit",
            Place(7, 8),
            decimals=2,
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
                    happened(
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
    contribution = highest(pick("fragility_index_contribution_ratio", OF_CLUSTER), "symbol")
    to_symbol = to("fragility-symbol", "var-symbol=${__field.labels.symbol}")
    link = [data_link("This symbol", to_symbol)]
    two = model.DynamicConfigValue("decimals", 2)
    unknown = model.DynamicConfigValue("mappings", looks.not_known("-"))
    steps = [(None, looks.CALM), (2, looks.WATCH), (3, looks.ALERT), (6, looks.CRITICAL)]
    size = (
        two,
        unknown,
        model.DynamicConfigValue("min", 0),
        model.DynamicConfigValue("max", 10),
        model.DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "color"}),
        model.DynamicConfigValue(
            "thresholds", {"mode": "absolute", "steps": [{"color": color, "value": at} for at, color in steps]}
        ),
    )
    return [
        listing(
            Text(
                "Members now",
                "Moves since the last close in daily sigmas, the largest first; of every member, whatever other symbols"
                " have series.",
                "several are beyond 3 together, or one passes 6 alone.",
                "the symbol, by a click on its name; first by event time is the initiator in the alert.",
            ),
            "symbol",
            [Column("|z|", f"abs({MEMBERS})", size), Column("z", MEMBERS, (two, unknown))],
            Place(9, 9),
            ("This symbol", to("fragility-symbol", "var-symbol=${__value.text}")),
        ),
        graph(
            Text(
                "Members over time",
                "Moves since the last close in daily sigmas. Dashed: the first tier in force, both ways.",
                "several leave together, or one passes 6 alone.",
                "the index, below: whether it shows any of it.",
            ),
            [
                Query(MEMBERS, "{{symbol}}"),
                Query(first_tier(), "first tier"),
                Query(f"-{first_tier()}", "first tier, down"),
            ],
            "none",
            Place(15, 9),
            legend_right=True,
            decimals=2,
        ).override_by_regexp("^first tier", dashed(looks.ALERT)),
        bars(
            Text(
                "Contribution to the index",
                "What each member added to the simple return of the index at the last close: its weight in the group"
                " times the group's part of the index, `benchmark_share`, times its move. The share is configured, not"
                " measured; a group without it has none of these.",
                "one member makes most of it.",
                "the level without it, in the alert's counterfactual; the residual in `derived` of /v1/clusters.",
            ),
            Query(f"sort({contribution})", "{{symbol}}"),
            "percentunit",
            Place(12, 8),
            thresholds=looks.steps(looks.CRITICAL, (0, looks.CALM)),
            missing="no share",
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
            Place(12, 8),
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
