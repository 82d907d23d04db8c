"""PromQL in the words of this project.

Selectors keep to the chosen job and instances; counters are read by `rate` and `increase` alone, over Grafana's
`$__rate_interval`; where a series is born with its first event, `or_none` stands in for it.
"""

SCOPE = 'job=~"$job",instance=~"$instance"'


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


def index_now() -> str:
    """Size of the benchmark's move in its own sigmas, as the instance that judges the cluster has it."""
    own = pick("fragility_cluster_benchmark_z_sigmas", 'cluster="$cluster",symbol="$benchmark"')
    return f"max(abs({own}))"


def hidden_stress() -> str:
    """What a cluster in ALERT or CRITICAL looks like from its index: 1 while the index is below its first tier, 2 from
    it on, 0 below ALERT, -1 where the level or the index is unknown."""
    level = highest(pick("fragility_cluster_level", 'cluster="$cluster"'))
    first_tier = lowest(pick("fragility_threshold_sigmas", 'rule="symbol_shock"'))
    is_calm = f"(({index_now()}) < bool {first_tier})"
    return f"(({level} >= bool 2) * (2 - {is_calm}) - ({level} < bool 0)) or ({level} * 0 - 1)"


def _by(labels: tuple[str, ...]) -> str:
    return f"by ({', '.join(labels)}) " if labels else ""
