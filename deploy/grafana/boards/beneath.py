"""What lies beneath the index, and contagion: the rows of the market's dashboard that are told at each close."""

from . import looks
from .panels import Place, Query, Text, graph, number, timeline
from .queries import OF_CLUSTER, highest, pick

OF_UNIVERSE = 'cluster="$universe"'


def surface_sigma(of: str, sessions: str = "21") -> str:
    """Daily volatility of the index or of its stocks."""
    return highest(pick("fragility_surface_sigma_ratio", OF_UNIVERSE, f'of="{of}"', f'sessions="{sessions}"'))


def surface() -> list:
    """How quiet the index is, how loud the stocks, how far they move as one."""
    ratio = {
        sessions: f"{surface_sigma('stocks', sessions)} / {surface_sigma('index', sessions)}"
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
            [Query(surface_sigma("stocks"), "stocks"), Query(surface_sigma("index"), "index")],
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


def contagion() -> list:
    """Whether shocks go on."""
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
