"""What a dashboard file must be, whatever it shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

Json = Any

SCHEMA_VERSIONS = range(39, 42)
UIDS = {"fragility-overview", "fragility-market", "fragility-cluster", "fragility-symbol", "fragility-kafka"}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = ("datasource", "job", "instance")
BUILT_IN = ("__all", "__url_time_range", "__rate_interval", "__field", "__value")
PARTS = ("**Worry when** ", "**Next** ")
COLUMNS = 24

NAME = re.compile(r"\b(?:fragility|process)_[a-z0-9_]+\b|\bup\b(?=\{)")
BARE = re.compile(r"\b((?:fragility|process)_[a-z0-9_]+)\b(?!\{)")
COUNTER = re.compile(r"\b[a-z][a-z0-9_]*_(?:total|count|sum|bucket)\b(?=\{)")
COUNTED = re.compile(
    r"\b(?:rate|increase|changes|resets)\(\s*([a-z][a-z0-9_]*_(?:total|count|sum|bucket))\{[^}]*\}\[\$__rate_interval\]\)"
)
WINDOW = re.compile(r"\[([^\]]+)\]")
VARIABLE = re.compile(r"\$\{?(\w+)")


def problems(path: Path, board: Json, real: set[str]) -> Iterator[str]:
    """Everything that is wrong with one file, in words."""
    yield from _round_trip(board)
    if board.get("schemaVersion") not in SCHEMA_VERSIONS:
        yield f"schemaVersion is {board.get('schemaVersion')}, must be 39 to 41"
    if board.get("uid") not in UIDS or path.name != f"{board.get('uid')}.json":
        yield f"uid {board.get('uid')} is not one of the dashboards, or not the file's name"
    yield from _frame(board)
    yield from _variables(board)
    yield from _grid(board)
    for panel in panels(board):
        if panel["type"] != "row":
            yield from (f"panel {panel.get('title')!r}: {problem}" for problem in _panel(panel))
    for where, expr in expressions(board):
        yield from (f"{where}: {problem}" for problem in _expression(expr, real))


def panels(board: Json) -> Iterator[Json]:
    """Every panel, rows and those inside collapsed rows included."""
    for panel in board.get("panels", []):
        yield panel
        yield from panel.get("panels") or []


def expressions(board: Json) -> Iterator[tuple[str, str]]:
    """Every PromQL expression, and where it stands."""
    for panel in panels(board):
        for target in panel.get("targets") or []:
            yield f"panel {panel.get('title')!r} {target.get('refId')}", target.get("expr", "")
    for one in board.get("annotations", {}).get("list", []):
        yield f"annotation {one.get('name')!r}", one.get("expr", "")


def metric_names(sources: Path) -> set[str]:
    """Names that the service registers, with what Prometheus makes of histograms and summaries."""
    texts = [source.read_text() for source in sorted(sources.glob("*.rs"))]
    names = {name for text in texts for name in re.findall(r'"(fragility_[a-z0-9_]+)"', text)}
    return names | {f"{name}{end}" for name in names for end in ("_bucket", "_sum", "_count")}


def _round_trip(board: Json) -> Iterator[str]:
    register_default_plugins()
    back = _plain(Dashboard.from_json(board))
    yield from (f"round trip: {problem}" for problem in _lost(board, back, ""))


def _plain(value: Json) -> Json:
    """What the encoder would write, as plain values."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return _plain(JSONEncoder().default(value)) if hasattr(value, "to_json") else value


def _lost(before: Json, after: Json, at: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from _lost(value, after[key], f"{at}.{key}")
            else:
                yield f"{at}.{key} is lost"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from _lost(one, other, f"{at}[{number}]")
    elif before != after:
        yield f"{at} was {before!r} and became {after!r}"


def _frame(board: Json) -> Iterator[str]:
    for key in ("title", "description", "time", "refresh"):
        if not board.get(key):
            yield f"no {key}"
    if "fragility" not in board.get("tags", []):
        yield "no tag fragility: the other dashboards do not link to it"
    links = [link for link in board.get("links", []) if link.get("type") == "dashboards"]
    if not any(link["tags"] == ["fragility"] and link["includeVars"] and link["keepTime"] for link in links):
        yield "no link to the other dashboards that keeps variables and time"
    annotations = board.get("annotations", {}).get("list", [])
    if not annotations:
        yield "no annotations"
    for one in annotations:
        if one.get("datasource") != DATASOURCE:
            yield f"annotation {one.get('name')!r}: datasource is not ${{datasource}}"


def _variables(board: Json) -> Iterator[str]:
    variables = board.get("templating", {}).get("list", [])
    names = [variable["name"] for variable in variables]
    for name in VARIABLES:
        if name not in names:
            yield f"no variable {name}"
    for variable in variables:
        if variable["name"] == "datasource":
            if (variable["type"], variable.get("query")) != ("datasource", "prometheus"):
                yield "variable datasource is not one of Prometheus"
        elif variable["type"] == "query" and variable.get("datasource") != DATASOURCE:
            yield f"variable {variable['name']}: datasource is not ${{datasource}}"
    used = set(VARIABLE.findall(str([board["panels"], board["templating"], board["annotations"]])))
    yield from (f"variable {name} is used nowhere" for name in names if name not in used)
    yield from (f"${name} is no variable" for name in sorted(used - set(names) - set(BUILT_IN)))


def _grid(board: Json) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    ids: set[int] = set()
    for panel in panels(board):
        title, place = panel.get("title"), panel.get("gridPos", {})
        if panel.get("id") is None or panel["id"] in ids:
            yield f"panel {title!r}: id {panel.get('id')} is missing or not its own"
        ids.add(panel.get("id"))
        x, y, w, h = (place.get(side, 0) for side in "xywh")
        if w < 1 or h < 1 or x + w > COLUMNS:
            yield f"panel {title!r}: does not fit the grid"
        for cell in ((column, row) for column in range(x, x + w) for row in range(y, y + h)):
            if cell in taken:
                yield f"panel {title!r} overlaps {taken[cell]!r}"
                break
            taken[cell] = title


def _panel(panel: Json) -> Iterator[str]:
    if not panel.get("title"):
        yield "no title"
    description = panel.get("description", "")
    if not description or not all(part in description for part in PARTS):
        yield "the description does not say what it tells, when to worry and where to look next"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "no unit"
    if not panel.get("targets"):
        yield "no query"
    for where in (panel, *panel.get("targets", [])):
        if where.get("datasource") != DATASOURCE:
            yield "datasource is not ${datasource}"


def _expression(expr: str, real: set[str]) -> Iterator[str]:
    if not expr:
        yield "no expression"
    if expr.count("(") != expr.count(")"):
        yield "parentheses do not close"
    for window in WINDOW.findall(expr):
        if window != "$__rate_interval":
            yield f"looks over [{window}], not over $__rate_interval"
    for name in sorted(set(COUNTER.findall(expr))):
        if COUNTER.findall(expr).count(name) != COUNTED.findall(expr).count(name):
            yield f"{name} is a counter and not under rate, increase, changes or resets"
    for name in sorted(set(NAME.findall(expr))):
        if name.startswith("fragility_") and name not in real:
            yield f"{name} is no metric of the service"
    for name in sorted(set(BARE.findall(expr))):
        yield f"{name} does not keep to the chosen job and instances"
    if any('metrics_path=""' not in selector for selector in re.findall(r"\bup\{([^}]*)\}", expr)):
        yield 'up counts both paths of an instance without metrics_path=""'
    for selector in re.findall(r"\b[a-z][a-z0-9_]*\{([^}]*)\}", expr):
        if 'job=~"$job"' not in selector or 'instance=~"$instance"' not in selector:
            yield f"{{{selector}}} does not keep to the chosen job and instances"
