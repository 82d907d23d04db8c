#!/usr/bin/env python3
"""Checks the dashboards; one line for each problem, status 1 when there is one.

    python3 deploy/grafana/check.py
    python3 deploy/grafana/check.py --prometheus URL [--var NAME=VALUE]... [--seconds N] [--rate-interval D]

Always: each file survives Grafana's own model without losing a key, follows the house rules, and is what build.py
writes. With `--prometheus`: every query of panels, variables and annotations has data there.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", category=DeprecationWarning, module="grafana_foundation_sdk")

import build  # noqa: E402
from checks import live, rules  # noqa: E402

METRICS = Path(__file__).resolve().parents[2] / "src" / "telemetry"


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the dashboards.")
    parser.add_argument("--prometheus", metavar="URL", help="ask this Prometheus, too")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="value of a variable")
    parser.add_argument("--seconds", type=int, default=300, help="how far back is asked")
    parser.add_argument("--rate-interval", default="20s", help="what stands for $__rate_interval")
    parser.add_argument("--absent", action="append", default=[], metavar="METRIC", help="a metric not there yet")
    options = parser.parse_args()

    wanted = build.texts()
    paths = sorted(build.DASHBOARDS.glob("*.json"))
    found = [f"dashboards/{name}: missing" for name in sorted(wanted.keys() - {path.name for path in paths})]
    real = rules.metric_names(METRICS) | set(options.absent)
    counts = live.Counts()
    prometheus = (
        live.Prometheus(options.prometheus, options.seconds, options.rate_interval) if options.prometheus else None
    )
    given = dict(pair.split("=", 1) for pair in options.var)
    for path in paths:
        text = path.read_text()
        board = json.loads(text)
        problems = list(rules.problems(path, board, real))
        if text != wanted.get(path.name):
            problems.append("is not what build.py writes")
        if prometheus:
            try:
                problems += live.problems(board, prometheus, given, set(options.absent), counts)
            except OSError as error:
                problems.append(f"Prometheus does not answer: {error}")
        found += [f"dashboards/{path.name}: {problem}" for problem in problems]
    for line in found:
        print(line)
    told = f"check: {len(paths)} dashboards, {len(found)} problems"
    if prometheus:
        told += f"; {counts.asked} queries asked, {len(counts.only_nan)} with NaN alone, {len(counts.left_out)} left out"
    print(told, file=sys.stderr)
    for kind, queries in (("NaN alone", counts.only_nan), ("left out", counts.left_out)):
        for query in queries:
            print(f"check: {kind}: {query}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
