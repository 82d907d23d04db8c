"""Asks a Prometheus what the dashboards would ask, and whether it has an answer."""

import json
import math
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .rules import panels

Json = Any

LABEL_VALUES = re.compile(r"label_values\((.+), *(\w+)\)")
LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
POINTS = 200
TIMEOUT = 10.0

# Queries that have an answer only after something went wrong on purpose: dashboard uid, panel title, why.
PROVOKED: dict[tuple[str, str], str] = {}


@dataclass
class Prometheus:
    """A Prometheus, and the stretch of time that is asked about."""

    url: str
    seconds: int
    rate_interval: str
    end: float = field(default_factory=time.time)

    def now(self, expr: str) -> list[Json]:
        """Series at the end of the stretch."""
        return self._get("query", [("query", expr), ("time", str(self.end))])["result"]

    def over_time(self, expr: str) -> list[Json]:
        """Series over the stretch."""
        step = max(1, self.seconds // POINTS)
        bounds = [("start", str(self.end - self.seconds)), ("end", str(self.end)), ("step", str(step))]
        return self._get("query_range", [("query", expr), *bounds])["result"]

    def label_values(self, selector: str, label: str) -> list[str]:
        """Values of a label among the series of a selector."""
        bounds = [("start", str(self.end - self.seconds)), ("end", str(self.end))]
        return self._get(f"label/{label}/values", [("match[]", selector), *bounds])

    def _get(self, path: str, query: list[tuple[str, str]]) -> Json:
        url = f"{self.url.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.load(error)
        if body["status"] != "success":
            raise ValueError(body.get("error", "no reason given"))
        return body["data"]


@dataclass
class Counts:
    """How many queries were asked, and which had nothing but NaN to say."""

    asked: int = 0
    left_out: list[str] = field(default_factory=list)
    only_nan: list[str] = field(default_factory=list)


def problems(
    board: Json, prometheus: Prometheus, given: dict[str, str], absent: set[str], counts: Counts
) -> Iterator[str]:
    """Every query of a dashboard that Prometheus has no data for."""
    values: dict[str, str] = {}
    for variable in board["templating"]["list"]:
        try:
            values[variable["name"]] = _value(variable, prometheus, values, given)
        except ValueError as error:
            yield f"variable {variable['name']}: {error}"
    counts.asked += sum(variable["type"] == "query" for variable in board["templating"]["list"])

    def ask(where: str, expr: str, legend: str, *, instant: bool) -> Iterator[str]:
        if any(re.search(rf"\b{name}\b", expr) for name in absent):
            counts.left_out.append(f"{board['uid']} {where}")
            return
        counts.asked += 1
        asked = _filled(expr, values, prometheus.rate_interval)
        try:
            series = prometheus.now(asked) if instant else prometheus.over_time(asked)
        except ValueError as error:
            yield f"{where}: {error}: {asked}"
            return
        if not series:
            yield f"{where}: no data: {asked}"
        elif not any(_has_number(one) for one in series):
            counts.only_nan.append(f"{board['uid']} {where}")
        labels = LEGEND.findall(legend)
        if labels and any(not any(one["metric"].get(label) for label in labels) for one in series):
            yield f"{where}: a series has none of the labels that its legend {legend!r} names"

    for panel in panels(board):
        if (board["uid"], panel.get("title", "")) in PROVOKED:
            continue
        for target in panel.get("targets") or []:
            where = f"panel {panel['title']!r} {target['refId']}"
            legend = target.get("legendFormat", "")
            yield from ask(where, target["expr"], legend, instant=bool(target.get("instant")))
    for one in board["annotations"]["list"]:
        # What marks an event says nothing while nothing happens: what it compares must be there.
        expr = re.sub(r"\s*[<>]=?\s*0\b", "", one["expr"])
        yield from ask(f"annotation {one['name']!r}", expr, one["titleFormat"], instant=False)


def _value(variable: Json, prometheus: Prometheus, known: dict[str, str], given: dict[str, str]) -> str:
    """What a variable stands for: as given, else as Grafana would choose."""
    name = variable["name"]
    if variable["type"] == "datasource":
        return "prometheus"
    if variable["type"] == "textbox":
        return given.get(name, variable["query"])
    query = LABEL_VALUES.fullmatch(variable["query"]["query"])
    if not query:
        raise ValueError(f"{variable['query']['query']} is not understood")
    found = prometheus.label_values(_filled(query[1], known, prometheus.rate_interval), query[2])
    if not found:
        raise ValueError(f"no values: {variable['query']['query']}")
    if name in given:
        if given[name] not in found:
            raise ValueError(f"{given[name]} is not among its values")
        return given[name]
    if variable.get("includeAll"):
        return variable["allValue"]
    # What is exported now; a symbol that has lost its series is among the values and has nothing to say.
    now = prometheus.now(f"group by ({query[2]}) ({_filled(query[1], known, prometheus.rate_interval)})")
    exported = sorted(one["metric"][query[2]] for one in now) or found
    first = variable.get("current", {}).get("value")
    return first if first in exported else exported[0]


def _filled(expr: str, values: dict[str, str], rate_interval: str) -> str:
    for name, value in {**values, "__rate_interval": rate_interval}.items():
        expr = re.sub(rf"\$\{{{name}\}}|\${name}\b", lambda _, value=value: value, expr)
    return expr


def _has_number(series: Json) -> bool:
    points = series.get("values") or [series["value"]]
    return any(not math.isnan(float(value)) for _, value in points)
