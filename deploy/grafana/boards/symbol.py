"""One symbol: its move in sigmas against the tiers in force, its volatility, its part in the groups."""

from grafana_foundation_sdk.models import dashboard as model

from . import frame, looks
from .panels import Place, Query, Text, bars, dashed, data_link, graph, number, timeline, to
from .queries import highest, pick

UID = "fragility-symbol"
OF_SYMBOL = 'symbol="$symbol"'
# Members of a judged group are told by the group, too.
Z = f"({highest(pick('fragility_symbol_z_sigmas', OF_SYMBOL))}" + (
    f" or {highest(pick('fragility_cluster_member_z_sigmas', OF_SYMBOL))})"
)
SIGMA = highest(pick("fragility_symbol_sigma_daily_ratio", OF_SYMBOL))
TIERS = highest(pick("fragility_threshold_sigmas", 'rule="symbol_shock"'), "tier")
NOT_LISTED = "no series"


def build() -> model.Dashboard:
    """The dashboard."""
    started = frame.board(
        "Fragility / Symbol",
        UID,
        "One symbol of those that have series: `[metrics] symbols` chooses them, as shipped the 20 largest moves of each"
        " instance. Of a member of a judged group z is always there.",
        "6h",
    )
    annotations = [
        frame.symbol_annotation(),
        *frame.level_annotations('cluster=~".+"'),
        *frame.service_annotations(),
    ]
    rows = [(None, _now()), ("Move and tiers", _move()), ("Among the others", _others())]
    return frame.finish(started, [frame.symbol()], annotations, rows)


def _now() -> list:
    tall = 5
    next_tier = f"min(({TIERS} - scalar(abs({Z}))) > 0)"
    return [
        number(
            Text(
                "$symbol: z",
                "Move since the last close in multiples of the symbol's own 21-day sigma.",
                "its size is 3 or more.",
                "the tiers below.",
            ),
            Query(Z),
            "none",
            Place(5, tall),
            mappings=looks.not_known("no sigma"),
            thresholds=looks.steps(
                looks.CRITICAL,
                (-6, looks.ALERT),
                (-3, looks.WATCH),
                (-2, looks.CALM),
                (2, looks.WATCH),
                (3, looks.ALERT),
                (6, looks.CRITICAL),
            ),
            decimals=2,
            missing=NOT_LISTED,
        ),
        number(
            Text(
                "Tier held",
                "The severity of the open episode's tier; none without an episode.",
                "it is HIGH or above.",
                "its course below, and the alert.",
            ),
            Query(highest(pick("fragility_symbol_tier", OF_SYMBOL))),
            "none",
            Place(5, tall),
            mappings=looks.TIERS,
            missing=NOT_LISTED,
        ),
        number(
            Text(
                "Move",
                "Simple return since the last close: exp(z × sigma) − 1.",
                "it is large while z is small: the symbol is restless by itself.",
                "its daily sigma beside.",
            ),
            Query(f"exp({Z} * {SIGMA}) - 1"),
            "percentunit",
            Place(5, tall),
            mappings=looks.not_known("no sigma"),
            thresholds=looks.steps(looks.CRITICAL, (0, looks.CALM)),
            decimals=2,
            missing=NOT_LISTED,
            loud=False,
        ),
        number(
            Text(
                "Daily sigma",
                "Standard deviation of the 21 daily log returns before the session.",
                "a shock within the last 21 sessions inflates it: the next one looks smaller.",
                "`window.echo` in the alert.",
            ),
            Query(SIGMA),
            "percentunit",
            Place(4, tall),
            mappings=looks.not_known("warming up"),
            decimals=2,
            missing=NOT_LISTED,
            loud=False,
        ),
        number(
            Text(
                "Sigmas to the next tier",
                "Distance of |z| to the next tier in force; 0 beyond the last one.",
                "it is below half a sigma while the price moves.",
                "`next_tiers` in /v1/symbols has the prices.",
            ),
            Query(f"{next_tier} or ({Z} * 0)"),
            "none",
            Place(5, tall),
            mappings=looks.not_known("no sigma"),
            thresholds=looks.steps(looks.CRITICAL, (0.5, looks.WATCH), (1, looks.CALM)),
            decimals=2,
            missing=NOT_LISTED,
            loud=False,
        ),
    ]


def _move() -> list:
    z = (
        graph(
            Text(
                "z of $symbol and the tiers in force",
                "Move since the last close in daily sigmas. Dashed: the tiers, as the running rules have them, both"
                " ways. A reload moves them.",
                "the line crosses a tier and stays beyond it until the close.",
                "marks of alerts; /v1/symbols has the prices of the tiers.",
            ),
            [
                Query(Z, "$symbol"),
                Query(TIERS, "tier {{tier}}"),
                Query(f"-{TIERS}", "tier -{{tier}}"),
            ],
            "none",
            Place(24, 11),
            decimals=2,
        )
        .override_by_regexp("^tier -?3$", dashed(looks.WATCH))
        .override_by_regexp("^tier -?(4|6)$", dashed(looks.ALERT))
        .override_by_regexp("^tier -?(8|10)$", dashed(looks.CRITICAL))
        .override_by_regexp("^tier -?(?!(3|4|6|8|10)$).*$", dashed(looks.ALERT))
    )
    return [
        z,
        timeline(
            Text(
                "Tier over time",
                "Severity of the tier held by the open episode.",
                "it steps up within minutes.",
                "the alerts topic, key = symbol.",
            ),
            Query(highest(pick("fragility_symbol_tier", OF_SYMBOL)), "$symbol"),
            looks.TIERS,
            Place(12, 5),
        ),
        graph(
            Text(
                "Daily sigma of $symbol",
                "The ruler that z is measured with; it changes with each session.",
                "it jumps: a shock entered its window, or a desk's own reference took its place.",
                "`window` and `evidence` in the alert.",
            ),
            [Query(SIGMA, "$symbol")],
            "percentunit",
            Place(12, 5),
            low=0,
            decimals=2,
            steps=True,
        ),
    ]


def _others() -> list:
    link = [data_link("This symbol", to("fragility-symbol", "var-symbol=${__field.labels.symbol}"))]
    listed = highest(pick("fragility_symbol_z_sigmas"), "symbol")
    return [
        bars(
            Text(
                "All that have series, now",
                "z of the symbols that `[metrics] symbols` chooses, from the deepest fall to the highest rise.",
                "names of one group stand together at an end.",
                "another symbol, by a click.",
            ),
            Query(f"sort({listed})", "{{symbol}}"),
            "none",
            Place(8, 12),
            thresholds=looks.steps(
                looks.CRITICAL, (-6, looks.ALERT), (-3, looks.CALM), (3, looks.ALERT), (6, looks.CRITICAL)
            ),
            missing="none",
            links=link,
        ),
        graph(
            Text(
                "Its part in the index",
                "What it added to the simple return of the index at the last close, as each group with a"
                " `benchmark_share` has it; of members alone.",
                "it makes most of the index's move.",
                "contributions in the cluster's dashboard.",
            ),
            [
                Query(
                    f"{highest(pick('fragility_index_contribution_ratio', OF_SYMBOL), 'cluster')}"
                    ' or on() label_replace(vector(0), "cluster", "member of no such group", "", "")',
                    "{{cluster}}",
                )
            ],
            "percentunit",
            Place(8, 12),
            decimals=2,
            steps=True,
        ),
        graph(
            Text(
                "Its own part of the move",
                "Multiple of what the index does not explain, by group, at the last close; of members alone.",
                "it is 3 or more either way: the reason is the company.",
                "events in the alert.",
            ),
            [
                Query(
                    f"{highest(pick('fragility_idiosyncratic_z_ratio', OF_SYMBOL), 'cluster')}"
                    ' or on() label_replace(vector(0), "cluster", "member of no group", "", "")',
                    "{{cluster}}",
                )
            ],
            "none",
            Place(8, 12),
            lines_at=looks.steps("transparent", (-3, looks.ALERT), (3, looks.ALERT)),
            decimals=2,
            steps=True,
        ),
    ]
