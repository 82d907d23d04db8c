#!/usr/bin/env python3
"""Breaks a good dashboard in one way at a time: the rules must notice each.

    python3 deploy/grafana/test_rules.py
"""

import copy
import json
import unittest
import warnings
from collections.abc import Callable
from typing import Any

warnings.filterwarnings("ignore", category=DeprecationWarning, module="grafana_foundation_sdk")

import build  # noqa: E402
from checks import rules  # noqa: E402

NAME = "fragility-market.json"
GOOD = json.loads(build.texts()[NAME])
SCOPE = 'job=~"$job",instance=~"$instance"'
REAL = {name for _, expr in rules.expressions(GOOD) for name in rules.NAME.findall(expr)} | {
    "fragility_symbols",
    "fragility_records_in_total",
}


def problems(board: Any) -> list[str]:
    return list(rules.problems(build.DASHBOARDS / NAME, board, REAL))


class Rules(unittest.TestCase):
    def broken(self, change: Callable[[Any], Any], words: str) -> None:
        board = copy.deepcopy(GOOD)
        change(board)
        self.assertTrue(any(words in problem for problem in problems(board)), problems(board))

    def test_a_good_one_has_no_problem(self) -> None:
        self.assertEqual(problems(GOOD), [])

    def test_keys_that_the_model_does_not_know_are_lost(self) -> None:
        self.broken(lambda b: b.update(mystery=1), ".mystery is lost")
        self.broken(lambda b: b["panels"][0].update(mystery=1), ".mystery is lost")
        self.broken(lambda b: b["panels"][0]["options"].update(mystery=1), ".mystery is lost")
        self.broken(lambda b: b["panels"][0]["targets"][0].update(mystery=1), ".mystery is lost")

    def test_the_frame(self) -> None:
        self.broken(lambda b: b.update(schemaVersion=42), "schemaVersion")
        self.broken(lambda b: b.update(uid="other"), "uid other")
        self.broken(lambda b: b.update(links=[]), "no link")
        self.broken(lambda b: b["annotations"]["list"].clear(), "no annotations")
        self.broken(lambda b: b["annotations"]["list"][0]["datasource"].update(uid="x"), "datasource is not")

    def test_variables(self) -> None:
        self.broken(lambda b: b["templating"]["list"].pop(1), "no variable job")
        unused = {"name": "unused", "type": "textbox", "query": ""}
        self.broken(lambda b: b["templating"]["list"].append(unused), "variable unused is used nowhere")
        self.broken(lambda b: b["panels"][0].update(title="$nobody"), "$nobody is no variable")

    def test_panels(self) -> None:
        self.broken(lambda b: b["panels"][0].update(title=""), "no title")
        self.broken(lambda b: b["panels"][0].update(description="short"), "the description")
        self.broken(lambda b: b["panels"][0]["fieldConfig"]["defaults"].pop("unit"), "no unit")
        self.broken(lambda b: b["panels"][0]["datasource"].update(uid="x"), "datasource is not")
        self.broken(lambda b: b["panels"][0]["targets"][0]["datasource"].update(uid="x"), "datasource is not")
        self.broken(lambda b: b["panels"][1].update(id=b["panels"][0]["id"]), "not its own")
        self.broken(lambda b: b["panels"][1]["gridPos"].update(x=0), "overlaps")
        self.broken(lambda b: b["panels"][0]["gridPos"].update(w=25), "does not fit")

    def test_expressions(self) -> None:
        counter = f"fragility_records_in_total{{{SCOPE}}}"
        for expr, words in (
            (counter, "is a counter"),
            (f"rate({counter}[$__rate_interval]) or {counter}", "is a counter"),
            (f"rate({counter}[5m])", "looks over [5m]"),
            (f"fragility_no_such{{{SCOPE}}}", "is no metric"),
            ("fragility_symbols", "does not keep to"),
            ('fragility_symbols{job="one"}', "does not keep to"),
            (f"max(fragility_symbols{{{SCOPE}}}", "parentheses"),
            (f"sum(up{{{SCOPE}}})", "both paths"),
        ):
            self.broken(lambda b, expr=expr: b["panels"][0]["targets"][0].update(expr=expr), words)


if __name__ == "__main__":
    unittest.main()
