"""PromQL in the words of this project.

Selectors keep to the chosen job and instances; counters are read by `rate` and `increase` alone, over Grafana's
`$__rate_interval`; where a series is born with its first event, `or_none` stands in for it. Series of single symbols
come from a path of their own, under the same job and instance.
"""

SCOPE = 'job=~"$job",instance=~"$instance"'
OF_CLUSTER = 'cluster="$cluster"'


def pick(metric: str, *matchers: str) -> str:
    """The series of a metric of the chosen instances."""
    return f"{metric}{{{','.join((SCOPE, *matchers))}}}"


def rate(metric: str, *matchers: str) -> str:
    """Events a second of each series."""
    return f"rate({pick(metric, *matchers)}[$__rate_interval])"


def increase(metric: str, *matchers: str) -> str:
    """Events of each series in an interval."""
    return f"increase({pick(metric, *matchers)}[$__rate_interval])"


def total(expr: str, *by: str) -> str:
    """Sum over everything but `by`."""
    return f"sum {_by(by)}({expr})"


def highest(expr: str, *by: str) -> str:
    """Largest over everything but `by`: what instances tell of one thing is the same thing."""
    return f"max {_by(by)}({expr})"


def lowest(expr: str, *by: str) -> str:
    """Smallest over everything but `by`."""
    return f"min {_by(by)}({expr})"


def or_none(expr: str, label: str, text: str = "none") -> str:
    """Zero under the name `text` while the expression has no series."""
    return f'{expr} or on() label_replace(vector(0), "{label}", "{text}", "", "")'


def or_zero(expr: str) -> str:
    """Zero while the expression has no series."""
    return f"{expr} or on() vector(0)"


def quantile(q: str, histogram: str) -> str:
    """A quantile of a histogram within an interval."""
    return f"histogram_quantile({q}, sum by (le) ({rate(histogram + '_bucket')}))"


def happened(expr: str, label: str) -> str:
    """Only what counted something: most of the series that begin at 0 never do."""
    return or_none(f"({expr} > 0)", label)


def first_tier() -> str:
    """Where the tiers in force begin."""
    return lowest(pick("fragility_threshold_sigmas", 'rule="symbol_shock"'))


def index_size() -> str:
    """Size of the move of the index above the chosen group, in its own sigmas; nothing where that is not known."""
    return f"max(abs({pick('fragility_cluster_benchmark_z_sigmas', OF_CLUSTER)})) >= 0"


def hidden_stress() -> str:
    """What a cluster in ALERT or CRITICAL looks like from its index: 1 while the index is below the first tier, 2 from
    it on, 0 below ALERT, -1 where the level is unknown, or the index at ALERT or CRITICAL."""
    level = highest(pick("fragility_cluster_level", OF_CLUSTER))
    is_stressed, is_unknown = f"({level} >= bool 2)", f"({level} < bool 0)"
    is_calm = f"(({index_size()}) < bool {first_tier()})"
    return f"({is_stressed} * (2 - {is_calm}) - {is_unknown}) or (0 - {is_stressed} - {is_unknown})"


def _by(labels: tuple[str, ...]) -> str:
    return f"by ({', '.join(labels)}) " if labels else ""
