"""Colours, words for numbers, and thresholds: what a value looks like wherever it is shown."""

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import dashboard as model

CALM, WATCH, ALERT, CRITICAL = "green", "yellow", "orange", "red"
UNKNOWN, NEUTRAL, QUIET = "purple", "blue", "#808080"


def words(named: dict[int, tuple[str, str]], missing: str | None = None) -> list[model.ValueMapping]:
    """Numbers as words in colours; `missing` is what stands for NaN."""
    options = {
        str(number): model.ValueMappingResult(text=text, color=color, index=index)
        for index, (number, (text, color)) in enumerate(named.items())
    }
    mappings: list[model.ValueMapping] = [model.ValueMap(options=options)]
    return mappings + (not_known(missing) if missing else [])


def not_known(text: str = "not known") -> list[model.ValueMapping]:
    """What stands for NaN, which is how the service tells that it does not know."""
    result = model.ValueMappingResult(text=text, color=UNKNOWN, index=9)
    options = model.DashboardSpecialValueMapOptions(match=model.SpecialValueMatch.NA_N, result=result)
    return [model.SpecialValueMap(options=options)]


def ranges(named: list[tuple[float, float | None, str, str]]) -> list[model.ValueMapping]:
    """Ranges of numbers, both ends included, as words in colours; `None` is without end."""
    return [
        model.RangeMap(
            options=model.DashboardRangeMapOptions(
                from_val=low, to=high, result=model.ValueMappingResult(text=text, color=color, index=index)
            )
        )
        for index, (low, high, text, color) in enumerate(named)
    ]


def steps(base: str, *at: tuple[float, str]) -> ThresholdsConfig:
    """Colours from values on; `base` below the first."""
    first = model.Threshold(value=None, color=base)
    return (
        ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([first, *(model.Threshold(value=value, color=color) for value, color in at)])
    )


PLAIN = steps(NEUTRAL)
ANY_IS_BAD = steps(CALM, (1e-9, CRITICAL))

LEVELS = words(
    {
        -1: ("UNKNOWN", UNKNOWN),
        0: ("CALM", CALM),
        1: ("WATCH", WATCH),
        2: ("ALERT", ALERT),
        3: ("CRITICAL", CRITICAL),
    }
)
SURFACE = words(
    {-1: ("UNKNOWN", UNKNOWN), 0: ("IN STEP", CALM), 1: ("QUIET INDEX, LOUD STOCKS", ALERT)},
)
HIDDEN = words(
    {
        -1: ("UNKNOWN", UNKNOWN),
        0: ("NO STRESS", CALM),
        1: ("HIDDEN BY THE INDEX", CRITICAL),
        2: ("SEEN IN THE INDEX", ALERT),
    },
    missing="not known",
)
SESSION = words({0: ("CLOSED", QUIET), 1: ("OPEN", CALM)})
READY = words({0: ("NOT READY", CRITICAL), 1: ("READY", CALM)})
RELOAD = words({0: ("REFUSED", CRITICAL), 1: ("TAKEN", CALM)})
# Severities go by these multiples, whatever tiers are configured.
TIERS = [
    *words({0: ("none", CALM)}),
    *ranges(
        [
            (0.001, 3.999, "NOTICE", WATCH),
            (4, 5.999, "ELEVATED", "light-orange"),
            (6, 7.999, "HIGH", ALERT),
            (8, 9.999, "SEVERE", CRITICAL),
            (10, None, "EXTREME", "dark-red"),
        ]
    ),
]
SIGMAS = steps(CRITICAL, (-6, ALERT), (-3, WATCH), (-2, CALM), (2, WATCH), (3, ALERT), (6, CRITICAL))
PERCENTILES = steps(CALM, (0.95, ALERT), (0.99, CRITICAL))
