"""What all dashboards have in common: variables, annotations, links, times, ids."""

from grafana_foundation_sdk.builders import dashboard as dash
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from .panels import DATASOURCE
from .queries import SCOPE, increase, pick, total

SCHEMA_VERSION = 39
TAG = "fragility"


def board(title: str, uid: str, description: str, span: str) -> dash.Dashboard:
    """A dashboard with the variables of every one of them; `span` is how far back it looks."""
    links = (
        dash.DashboardLink("Fragility")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .tooltip("The other dashboards, with variables and time kept")
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
        .target_blank(False)
    )
    return (
        dash.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time(f"now-{span}", "now")
        .refresh("10s")
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(links)
        .with_variable(
            dash.DatasourceVariable("datasource").label("Data source").type("prometheus").description("Prometheus")
        )
        .with_variable(chosen("job", "fragility_build_info", "Job", several=True, scoped=False))
        .with_variable(
            chosen("instance", 'fragility_build_info{job=~"$job"}', "Instance", several=True, scoped=False)
        )
    )


def chosen(
    name: str,
    metric: str,
    label: str,
    *,
    several: bool = False,
    scoped: bool = True,
    of: str | None = None,
    first: str | None = None,
) -> dash.QueryVariable:
    """A variable over the values that the label `of` (its own name) has among the series of a metric."""
    selector = f"{metric}{{{SCOPE}}}" if scoped else metric
    query = f"label_values({selector}, {of or name})"
    variable = (
        dash.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .definition(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        variable = variable.all_value(".+").current(
            model.VariableOption(selected=True, text=["All"], value=["$__all"])
        )
    if first:
        variable = variable.current(model.VariableOption(selected=True, text=first, value=first))
    return variable


def cluster() -> dash.QueryVariable:
    """Groups that are judged."""
    return chosen("cluster", "fragility_cluster_level", "Cluster", first="mag7")


def universe() -> dash.QueryVariable:
    """Groups beneath an index."""
    return chosen("universe", "fragility_calm_surface", "Universe", of="cluster", first="top50")


def symbol() -> dash.QueryVariable:
    """Symbols that have, or in the time shown had, series of their own."""
    return chosen("symbol", "fragility_symbol_z_sigmas", "Symbol", first="NVDA")


def level_annotations(of_cluster: str) -> list[dash.AnnotationQuery]:
    """Changes of a group's level, upwards and downwards."""
    level = pick("fragility_cluster_level", of_cluster)
    moved = f"delta({level}[$__rate_interval])"
    return [
        annotation("Level rises", "red", f"({moved} > 0) and {level} > 0", "{{cluster}} rises", "cluster"),
        annotation("Level eases", "green", f"({moved} < 0) and {level} >= 0", "{{cluster}} eases", "cluster"),
    ]


def cluster_annotations() -> list[dash.AnnotationQuery]:
    """Episodes of clusters that open or escalate, and those that the close confirms."""
    return [
        _alerts("Clusters escalate", "orange", 'kind=~"open|escalate"', 'entity_type="cluster"'),
        _alerts("Clusters confirmed", "yellow", 'kind="confirm"', 'entity_type="cluster"'),
    ]


def symbol_annotation() -> dash.AnnotationQuery:
    """Episodes of symbols that open or escalate."""
    return _alerts("Symbols escalate", "orange", 'kind=~"open|escalate"', 'entity_type="symbol"')


def _alerts(name: str, color: str, *matchers: str) -> dash.AnnotationQuery:
    counted = total(increase("fragility_alerts_total", *matchers), "entity_type", "kind", "severity")
    return annotation(name, color, f"{counted} > 0", "{{entity_type}} {{kind}} {{severity}}", "kind,severity")


def service_annotations() -> list[dash.AnnotationQuery]:
    """What operators do, and what Kafka does."""
    reloads = increase("fragility_config_reloads_total")
    rebalances = increase("fragility_kafka_rebalances_total")
    return [
        annotation("Reloads", "blue", f"{reloads} > 0", "configuration {{result}} on {{instance}}", "result"),
        annotation("Rebalances", "purple", f"{rebalances} > 0", "rebalance on {{instance}}", "instance"),
    ]


def annotation(name: str, color: str, expr: str, title: str, tags: str) -> dash.AnnotationQuery:
    """Marks on every graph where the expression has a value."""
    return (
        dash.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .hide(False)
        .icon_color(color)
        .expr(expr)
        .step("15s")
        .title_format(title)
        .text_format(name)
        .tag_keys(tags)
        .use_value_for_time(False)
    )


def finish(
    started: dash.Dashboard,
    variables: list[Builder[model.VariableModel]],
    annotations: list[dash.AnnotationQuery],
    rows: list[tuple[str | None, list[Builder[model.Panel]]]],
) -> model.Dashboard:
    """The dashboard with its panels laid out from left to right, and numbered in the order of reading."""
    for variable in variables:
        started = started.with_variable(variable)
    for one in annotations:
        started = started.annotation(one)
    for title, panels in rows:
        if title:
            started = started.with_row(dash.Row(title))
        for panel in panels:
            started = started.with_panel(panel)
    built = started.build()
    built.schema_version = SCHEMA_VERSION
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    # Links and switches of annotations stand in plain sight, not in a menu.
    for one in [*(built.links or []), *(built.annotations.list_val or [])]:
        one.placement = None
    return built
