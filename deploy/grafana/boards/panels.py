"""Panels in the shapes that the dashboards use. Every panel says what it tells, when to worry, where to look next."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as dash
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from .looks import HIDDEN, PLAIN, SIGMAS, not_known
from .queries import OF_CLUSTER, hidden_stress, highest, pick

DATASOURCE = shape.DataSourceRef(type_val="prometheus", uid="${datasource}")
GONE = "NO DATA"


@dataclass(frozen=True)
class Query:
    """An expression and what its series are called."""

    expr: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Text:
    """What a panel is for."""

    title: str
    tells: str
    worry: str
    next: str

    def description(self) -> str:
        return f"{self.tells}\n\n**Worry when** {self.worry}\n\n**Next** {self.next}"


@dataclass(frozen=True)
class Place:
    """Width of 24 columns, height in grid units."""

    width: int
    height: int


def data_link(title: str, url: str) -> dash.DashboardLink:
    """A link on a value."""
    return dash.DashboardLink(title).url(url)


def to(uid: str, *variables: str) -> str:
    """Address of another dashboard, with datasource, scope, time and these variables kept."""
    kept = "&".join(["${datasource:queryparam}", "${job:queryparam}", "${instance:queryparam}", *variables])
    return f"/d/{uid}?{kept}&${{__url_time_range}}"


def _target(query: Query, ref: int, *, instant: bool = False, as_table: bool = False) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .datasource(DATASOURCE)
        .editor_mode(QueryEditorMode.CODE)
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id(chr(ord("A") + ref))
        .format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES)
    )
    return target.instant() if instant else target.range()


def _last() -> common.ReduceDataOptions:
    # An instant query has one value, and NaN is one: it has words of its own.
    return common.ReduceDataOptions().calcs(["last"]).values(False)


def number(
    text: Text,
    query: Query,
    unit: str,
    place: Place,
    *,
    mappings: list[model.ValueMapping] | None = None,
    thresholds: dash.ThresholdsConfig = PLAIN,
    decimals: int | None = None,
    missing: str = GONE,
    named: bool = False,
    loud: bool = True,
    links: list[dash.DashboardLink] | None = None,
) -> stat.Panel:
    """One value, or one for each series, as it is now: a service that is gone shows nothing old."""
    panel = (
        stat.Panel()
        .title(text.title)
        .description(text.description())
        .datasource(DATASOURCE)
        .with_target(_target(query, 0, instant=True))
        .unit(unit)
        .thresholds(thresholds)
        .no_value(missing)
        .reduce_options(_last())
        .graph_mode(shape.BigValueGraphMode.NONE)
        .color_mode(shape.BigValueColorMode.BACKGROUND if loud else shape.BigValueColorMode.VALUE)
        .justify_mode(shape.BigValueJustifyMode.CENTER)
        .text_mode(shape.BigValueTextMode.VALUE_AND_NAME if named else shape.BigValueTextMode.VALUE)
        .orientation(shape.VizOrientation.AUTO)
        .span(place.width)
        .height(place.height)
    )
    if mappings:
        panel = panel.mappings(mappings)
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.data_links(links) if links else panel


def graph(
    text: Text,
    queries: list[Query],
    unit: str,
    place: Place,
    *,
    low: float | None = None,
    high: float | None = None,
    bars: bool = False,
    stacked: bool = False,
    lines_at: dash.ThresholdsConfig | None = None,
    legend_right: bool = False,
    log: bool = False,
    far: bool = False,
    decimals: int | None = None,
    steps: bool = False,
) -> timeseries.Panel:
    """Series over time; `far` draws a value and a limit far above it on one scale, 0 included."""
    legend = (
        common.VizLegendOptions()
        .display_mode(shape.LegendDisplayMode.TABLE if legend_right else shape.LegendDisplayMode.LIST)
        .placement(shape.LegendPlacement.RIGHT if legend_right else shape.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull"] if legend_right else [])
    )
    panel = (
        timeseries.Panel()
        .title(text.title)
        .description(text.description())
        .datasource(DATASOURCE)
        .targets([_target(query, ref) for ref, query in enumerate(queries)])
        .unit(unit)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(shape.TooltipDisplayMode.MULTI).sort(shape.SortOrder.DESCENDING))
        .draw_style(shape.GraphDrawStyle.BARS if bars else shape.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(60 if bars else 20 if stacked else 5)
        .show_points(shape.VisibilityMode.NEVER)
        .line_interpolation(shape.LineInterpolation.STEP_AFTER if steps else shape.LineInterpolation.LINEAR)
        .span(place.width)
        .height(place.height)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(shape.StackingMode.NORMAL).group("A"))
    if log:
        scale = common.ScaleDistributionConfig().type(shape.ScaleDistribution.LOG).log(10)
        panel = panel.scale_distribution(scale)
    if far:
        scale = common.ScaleDistributionConfig().type(shape.ScaleDistribution.SYMLOG).log(10).linear_threshold(1)
        panel = panel.scale_distribution(scale)
    if lines_at is not None:
        dashed = common.GraphThresholdsStyleConfig().mode(shape.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(lines_at).thresholds_style(dashed)
    if low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    return panel if decimals is None else panel.decimals(decimals)


def dashed(color: str) -> list[model.DynamicConfigValue]:
    """A bound: thin, dashed, in one colour, in nobody's way."""
    return [
        model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
        model.DynamicConfigValue("custom.lineWidth", 1),
        model.DynamicConfigValue("custom.fillOpacity", 0),
        model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color}),
    ]


def bars(
    text: Text,
    query: Query,
    unit: str,
    place: Place,
    *,
    thresholds: dash.ThresholdsConfig = PLAIN,
    low: float | None = None,
    high: float | None = None,
    decimals: int = 2,
    missing: str = GONE,
    links: list[dash.DashboardLink] | None = None,
) -> bargauge.Panel:
    """Values side by side as they are now."""
    panel = (
        bargauge.Panel()
        .title(text.title)
        .description(text.description())
        .datasource(DATASOURCE)
        .with_target(_target(query, 0, instant=True))
        .unit(unit)
        .thresholds(thresholds)
        .no_value(missing)
        .decimals(decimals)
        .reduce_options(_last())
        .orientation(shape.VizOrientation.HORIZONTAL)
        .display_mode(shape.BarGaugeDisplayMode.BASIC)
        .value_mode(shape.BarGaugeValueMode.COLOR)
        .show_unfilled(True)
        .span(place.width)
        .height(place.height)
    )
    if low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    return panel.data_links(links) if links else panel


def timeline(
    text: Text, query: Query, mappings: list[model.ValueMapping], place: Place, *, unit: str = "none"
) -> statetimeline.Panel:
    """States over time."""
    return (
        statetimeline.Panel()
        .title(text.title)
        .description(text.description())
        .datasource(DATASOURCE)
        .with_target(_target(query, 0))
        .unit(unit)
        .mappings(mappings)
        .thresholds(PLAIN)
        .merge_values(True)
        .show_value(shape.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(shape.LegendDisplayMode.LIST)
            .placement(shape.LegendPlacement.BOTTOM)
            .show_legend(False)
            .calcs([])
        )
        .span(place.width)
        .height(place.height)
    )


@dataclass(frozen=True)
class Column:
    """A column of a table: what it is called, its query, and how it looks."""

    name: str
    expr: str
    looks: tuple[model.DynamicConfigValue, ...]


def listing(text: Text, key: str, columns: list[Column], place: Place, link: tuple[str, str]) -> table.Panel:
    """A row for each value of the label `key`, a column for each query, sorted by the first, largest first."""
    refs = [chr(ord("A") + at) for at in range(len(columns))]
    renamed = {f"Value #{ref}": column.name for ref, column in zip(refs, columns)} | {key: key.capitalize()}
    order = {key: 0} | {f"Value #{ref}": at + 1 for at, ref in enumerate(refs)}
    panel = (
        table.Panel()
        .title(text.title)
        .description(text.description())
        .datasource(DATASOURCE)
        .targets(
            [_target(Query(column.expr), at, instant=True, as_table=True) for at, column in enumerate(columns)]
        )
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed},
            )
        )
        .unit("none")
        .thresholds(PLAIN)
        .no_value("-")
        .sort_by([common.TableSortByFieldState().display_name(columns[0].name).desc(True)])
        .override_by_name(
            key.capitalize(),
            [model.DynamicConfigValue("links", [{"title": link[0], "url": link[1]}])],
        )
        .span(place.width)
        .height(place.height)
    )
    for column in columns:
        panel = panel.override_by_name(column.name, list(column.looks))
    return panel


def against_index(place: Place, next_look: str) -> stat.Panel:
    """The one sentence that the dashboards of market and cluster begin with."""
    return number(
        Text(
            "$cluster against the index",
            "Whether the index shows what the cluster goes through: hidden while the cluster is at ALERT or CRITICAL and"
            " the index has moved less than its first tier.",
            "it says HIDDEN: who watches the index alone sees an ordinary day.",
            next_look,
        ),
        Query(hidden_stress()),
        "none",
        place,
        mappings=HIDDEN,
    )


def index_move(place: Place, next_look: str, links: list[dash.DashboardLink] | None = None) -> stat.Panel:
    """How far the index has moved."""
    return number(
        Text(
            "Index above $cluster, sigmas",
            "Move of the group's `benchmark` since the last close in its own daily sigmas, now.",
            "its size is 3 or more. Below 2 the index is calm, whatever the cluster says.",
            next_look,
        ),
        Query(highest(pick("fragility_cluster_benchmark_z_sigmas", OF_CLUSTER), "symbol"), "{{symbol}}"),
        "none",
        place,
        mappings=not_known(),
        thresholds=SIGMAS,
        decimals=2,
        missing="no index",
        named=True,
        links=links,
    )
