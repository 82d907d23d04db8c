#!/usr/bin/env python3
"""Checks rules, their tests, the Prometheus and Alertmanager configurations and the runbooks against one another.

    deploy/check_rules.py METRICS SYMBOLS...

METRICS and SYMBOLS are files with what /metrics and /metrics/symbols of a running instance said; more of either for what
is not shown at all times. Needs promtool and amtool on PATH and nothing but the standard library. Says each problem in
a line; exit code 0: none, 1: some, 2: it could not be asked.

The files are read line by line, as they are written here, not as YAML in general. That nothing is overlooked is held
against the number of rules that promtool finds.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMETHEUS = ROOT / "deploy/prometheus"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
RUNBOOKS = ROOT / "docs/runbooks"

# Metrics with labels that have no series until something happens, with their labels. Their names stand in the source.
UNTIL_IT_HAPPENS = {
    "fragility_dead_letters_total": {"reason"},
    "fragility_dead_letter_flood": {"lane"},
    "fragility_feed_event_time_seconds": {"feed"},
}
SOURCE = ROOT / "docs/metrics.md"
# Made by Prometheus itself.
SCRAPED = {"up": {"metrics_path"}}
# Both paths of an instance have an `up`: the one of the service has no such label.
OF_SERVICE = 'metrics_path=""'
TARGET_LABELS = {"job", "instance"}

# What holds back, and what it holds back and ends with it: by rules of one group, in this order. An end that comes
# while its alert is still held back is never sent.
ENDS_BEFORE = [("Restoring", "NotReady")]

# An alert without a case in which it is silent.
ALWAYS = {"Watchdog"}
SEVERITIES = {"critical", "warning", "info"}
TEAMS = {"operations", "desk"}
SECTIONS = ["## Meaning", "## Impact", "## Queries", "## What to do", "## What it is not"]
RUNBOOK_LINES = range(20, 46)

problems = []


def problem(text):
    """Of what a tool says at length each line once."""
    problems.append("\n".join(dict.fromkeys(line.rstrip() for line in text.splitlines() if line.strip())))


def run(*command, cwd=PROMETHEUS):
    """Whether it went well, and what it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


class Rule:
    """An alert or a recording rule as it is written."""

    def __init__(self, kind, name, path):
        self.kind, self.name, self.path, self.lines = kind, name, path, []

    def __str__(self):
        return f"{self.path.name}: {self.name} ({self.severity})" if self.kind == "alert" else f"{self.path.name}: {self.name}"

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def expr(self):
        """Inline, or the lines that are indented deeper."""
        for at, line in enumerate(self.lines):
            found = re.match(r"( *)expr: (.*)", line)
            if not found:
                continue
            indent, rest = len(found[1]), found[2]
            if not rest.startswith("|"):
                return rest
            block = []
            for further in self.lines[at + 1 :]:
                if further.strip() and len(further) - len(further.lstrip()) <= indent:
                    break
                block.append(further)
            return "\n".join(block)
        return ""

    @property
    def labels(self):
        found = re.search(r"^ *labels: \{(.*)\}", self.text, re.M)
        return dict(pair.split(": ", 1) for pair in found[1].split(", ")) if found else {}

    @property
    def severity(self):
        return self.labels.get("severity", "no severity")

    def annotations(self, anchors):
        """Those written here, or those that an anchor in the same file names."""
        named = re.search(r"annotations: \*(\w+)", self.text)
        text = anchors.get((self.path, named[1]), "") if named else self.text
        return dict(re.findall(r"^ +(summary|description|runbook|runbook_url): \"?(.*?)\"?$", text, re.M))


def read_rules(paths):
    rules, anchors = [], {}
    for path in paths:
        rule = None
        for line in path.read_text().splitlines():
            if line.lstrip().startswith("#"):
                continue
            begins = re.match(r" *- (alert|record): (\S+)$", line)
            if begins:
                rule = Rule(begins[1], begins[2], path)
                rules.append(rule)
            elif re.match(r" *- name: ", line):
                rule = None
            elif rule:
                rule.lines.append(line)
        for rule in rules:
            for name in re.findall(r"annotations: &(\w+)", rule.text):
                anchors.setdefault((rule.path, name), rule.text)
    return rules, anchors


def read_tests(paths):
    """Of each alert the severities with a case that fires, and whether there is one that is silent."""
    fires, silent = {}, set()
    for path in paths:
        text = "\n".join(l for l in path.read_text().splitlines() if not l.lstrip().startswith("#"))
        anchors = {}
        for case in re.split(r"(?=alertname: )", text)[1:]:
            name = re.match(r"alertname: (\w+)", case)[1]
            expected = re.search(r"exp_alerts: *(\[\]|[&*]\w+)?", case)
            if expected is None or expected[1] == "[]":
                silent.add(name)
                continue
            severities = set(re.findall(r"severity: (\w+)", case))
            if expected[1] and expected[1].startswith("&"):
                anchors[expected[1][1:]] = severities
            elif expected[1]:
                severities = anchors.get(expected[1][1:], set())
            fires.setdefault(name, set()).update(severities)
    return fires, silent


def read_metrics(paths):
    """Names with the labels seen. While no symbol has moved, the path of symbols has their types alone."""
    metrics = {}
    for path in paths:
        for line in Path(path).read_text().splitlines():
            typed = re.match(r"# TYPE (\S+) ", line)
            if typed:
                metrics.setdefault(typed[1], set())
            found = re.match(r"([a-zA-Z_:][\w:]*)(\{.*\})? ", line)
            if found and not line.startswith("#"):
                metrics.setdefault(found[1], set()).update(re.findall(r'(\w+)="', found[2] or ""))
    return metrics


WORDS = {"and", "or", "unless", "bool", "offset", "by", "on", "without", "ignoring", "group_left", "group_right", "inf", "nan"}


def asked(expr):
    """Names of the metrics in an expression with the labels that they are selected by, and labels grouped by."""
    expr = re.sub(r'"[^"]*"', '""', expr)
    names, grouped = {}, set()
    for name, selector in re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", expr):
        names.setdefault(name, set()).update(re.findall(r"(\w+) *(?:=~|!~|!=|=)", selector))
    expr = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", expr)
    grouping = r"\b(?:by|on|without|ignoring|group_left|group_right) *\(([^)]*)\)"
    for labels in re.findall(grouping, expr):
        grouped.update(l.strip() for l in labels.split(",") if l.strip())
    expr = re.sub(grouping, " ", expr)
    for name in re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\b(?! *\()", expr):
        if name not in WORDS:
            names.setdefault(name, set())
    return names, grouped


def check_tools(rules_paths, tests_paths, count):
    """What Prometheus and Alertmanager say themselves."""
    ok, said = run("promtool", "check", "rules", *[p.name for p in rules_paths])
    if not ok:
        problem(f"promtool check rules:\n{said}")
    found = sum(int(n) for n in re.findall(r"(\d+) rules found", said))
    if ok and found != count:
        problem(f"promtool finds {found} rules, {count} were read here: one is written in another form")
    for path in tests_paths:
        ok, said = run("promtool", "test", "rules", path.name)
        if not ok:
            problem(f"promtool test rules {path.name}:\n{said}")
    ok, said = run("promtool", "check", "config", "prometheus.yml")
    if not ok:
        problem(f"promtool check config prometheus.yml:\n{said}")
    ok, said = run("amtool", "check-config", str(ALERTMANAGER))
    if not ok:
        problem(f"amtool check-config {ALERTMANAGER.name}:\n{said}")


def receiver_of(name, labels):
    if name in ALWAYS:
        return "dead_mans_switch"
    if labels["team"] == "desk":
        return "desk"
    return {"critical": "paging", "warning": "tickets", "info": "nobody"}[labels["severity"]]


def check_alert(rule, anchors):
    labels, annotations = rule.labels, rule.annotations(anchors)
    if labels.get("severity") not in SEVERITIES:
        problem(f"{rule}: label severity is not one of {sorted(SEVERITIES)}")
    if labels.get("team") not in TEAMS:
        problem(f"{rule}: label team is not one of {sorted(TEAMS)}")
    if labels.get("service") != "fragility":
        problem(f"{rule}: label service is not fragility")
    for name in ("summary", "description"):
        if not annotations.get(name):
            problem(f"{rule}: has no {name}")
    if annotations.get("runbook") != f"docs/runbooks/{rule.name}.md":
        problem(f"{rule}: runbook is not docs/runbooks/{rule.name}.md")
    if not annotations.get("runbook_url", "").endswith(f"/{rule.name}"):
        problem(f"{rule}: runbook_url does not end with /{rule.name}")


def check_routes(alerts):
    cases = {(a.name, tuple(sorted(a.labels.items()))): receiver_of(a.name, a.labels) for a in alerts}
    cases["SomethingElse", (("service", "other"), ("severity", "critical"))] = "tickets"
    for (name, labels), receiver in cases.items():
        told = [f"alertname={name}", *[f"{k}={v}" for k, v in labels]]
        command = ["amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *told]
        got = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "nobody knows where"
        if got != receiver:
            problem(f"route: {' '.join(told)} goes to {got}, not to {receiver}")
    known = {a.name for a in alerts}
    for value in re.findall(r'alertname(?:=~|!=|=)"([^"]*)"', ALERTMANAGER.read_text()):
        for name in value.split("|"):
            if name not in known:
                problem(f"{ALERTMANAGER.name}: there is no alert {name}")


def check_order(rules_paths):
    """Whether what holds back is the first to end."""
    text = "\n".join(path.read_text() for path in rules_paths)
    for first, second in ENDS_BEFORE:
        between = re.search(rf"- alert: {first}\n(.*?)- alert: {second}\n", text, re.S)
        if not between or "  - name: " in between[1]:
            problem(f"{first} does not stand before {second} in one group")


def check_tests(rules, tests_paths):
    fires, silent = read_tests(tests_paths)
    alerts = {(r.name, r.severity) for r in rules if r.kind == "alert"}
    for name, severity in sorted(alerts):
        if severity not in fires.get(name, set()):
            problem(f"{name} ({severity}): no test in which it fires")
    for name in sorted({name for name, _ in alerts} - silent - ALWAYS):
        problem(f"{name}: no test in which it is silent")
    for name in sorted((set(fires) | silent) - {name for name, _ in alerts}):
        problem(f"tests: there is no alert {name}, which makes its silence worthless")
    asked_for = "\n".join(re.findall(r"^ *- expr: .*$", "\n".join(p.read_text() for p in tests_paths), re.M))
    for rule in rules:
        if rule.kind == "record" and not re.search(rf"(?<![\w:]){re.escape(rule.name)}(?![\w:])", asked_for):
            problem(f"{rule}: no test with its value")


def check_metrics(rules, metrics):
    recorded = {r.name for r in rules if r.kind == "record"}
    source = SOURCE.read_text()
    known = {**SCRAPED, **metrics}
    for name, labels in UNTIL_IT_HAPPENS.items():
        if f"| `{name}` |" not in source:
            problem(f"UNTIL_IT_HAPPENS: {name} is not in {SOURCE.name}")
        known.setdefault(name, labels)
    for rule in rules:
        names, grouped = asked(rule.expr)
        for selector in re.findall(r"(?<![\w:])up\b(\{[^}]*\})?", re.sub(r'"[^"]+"', '"x"', rule.expr)):
            if OF_SERVICE not in selector:
                problem(f"{rule}: asks for up without {OF_SERVICE}")
        if not names and rule.name not in ALWAYS:
            problem(f"{rule}: asks for no metric")
        allowed = set(TARGET_LABELS)
        for name, selected in names.items():
            if name in recorded:
                allowed.update(recorded_labels(name, rules, known))
            elif name not in known:
                problem(f"{rule}: there is no metric {name}")
            else:
                allowed.update(known[name])
                for label in sorted(selected - known[name] - TARGET_LABELS):
                    problem(f"{rule}: {name} has no label {label}")
        for label in sorted(grouped - allowed):
            problem(f"{rule}: groups by {label}, which none of its metrics has")
    return set(known) | recorded


def recorded_labels(name, rules, known):
    """Every label that a recording rule, or what it is made of, may have kept."""
    labels = set(known.get(name, set()))
    for rule in rules:
        if rule.kind == "record" and rule.name == name:
            for inner in asked(rule.expr)[0]:
                labels |= recorded_labels(inner, rules, known)
    return labels


def check_runbooks(alerts, known):
    names = {a.name for a in alerts}
    books = {p.stem: p for p in RUNBOOKS.glob("*.md") if p.name != "README.md"}
    groups = set(re.findall(r"^ *- name: (\w+)", "\n".join(p.read_text() for p in {a.path for a in alerts}), re.M))
    index = (RUNBOOKS / "README.md").read_text() if (RUNBOOKS / "README.md").exists() else ""
    for name in sorted(names - set(books)):
        problem(f"docs/runbooks: {name}.md is missing")
    for name in sorted(set(books) - names):
        problem(f"docs/runbooks: {name}.md belongs to no alert")
    for name in sorted(names):
        if f"[{name}]({name}.md)" not in index:
            problem(f"docs/runbooks/README.md: {name} is missing")
    for name in re.findall(r"\[\w+\]\((\w+)\.md\)", index):
        if name not in names:
            problem(f"docs/runbooks/README.md: there is no alert {name}")
    for name, path in sorted(books.items()):
        lines = path.read_text().splitlines()
        if not lines or lines[0] != f"# {name}":
            problem(f"{path.name}: does not begin with # {name}")
        headings = [l for l in lines if l.startswith("## ")]
        if headings != SECTIONS:
            problem(f"{path.name}: sections are not {SECTIONS}")
        if len(lines) not in RUNBOOK_LINES:
            problem(f"{path.name}: {len(lines)} lines, not {RUNBOOK_LINES.start} to {RUNBOOK_LINES.stop - 1}")
        text = "\n".join(lines)
        for metric in sorted(set(re.findall(r"(?<![\w:])(?:\w+:)?(?:fragility_[a-z0-9_]*[a-z0-9])(?::\w+)?(?!\w)", text))):
            if metric not in known | groups:
                problem(f"{path.name}: there is no metric {metric}")
        for other in re.findall(r"\]\((\w+)\.md\)", text):
            if other not in names:
                problem(f"{path.name}: there is no runbook {other}")


def check_queries():
    """Whether promtool understands what is to be pasted."""
    rules, names = ["groups:", "  - name: runbooks", "    rules:"], []
    for path in sorted(RUNBOOKS.glob("*.md")):
        queries = re.search(r"^## Queries\n(.*?)^## ", path.read_text(), re.M | re.S)
        found = re.findall(r"^    (\S.*)$", queries[1], re.M) if queries else []
        if queries and not found:
            problem(f"{path.name}: no query")
        for query in found:
            names.append((path.name, query))
            rules += [f"      - record: query:{len(names)}", "        expr: |-", f"          {query}"]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write("\n".join(rules) + "\n")
        file.flush()
        ok, said = run("promtool", "check", "rules", file.name)
    for number, reason in re.findall(r'"query:(\d+)".*?: (could not parse.*)', said):
        problem("{}: {}: {}".format(*names[int(number) - 1], reason))
    if not ok and not re.search(r'"query:\d+".*?: could not parse', said):
        problem(f"queries of the runbooks:\n{said}")


def main(paths):
    if not paths or any(p.startswith("-") for p in paths):
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    for tool in ("promtool", "amtool"):
        if not shutil.which(tool):
            print(f"{tool} is not on PATH", file=sys.stderr)
            return 2
    metrics = read_metrics(paths)
    for name, path in (("fragility_build_info", "/metrics"), ("fragility_symbol_tier", "/metrics/symbols")):
        if name not in metrics:
            print(f"no file has what {path} of fragility says: {name} is missing", file=sys.stderr)
            return 2
    rules_paths = sorted(PROMETHEUS.glob("rules*.yml"))
    tests_paths = sorted(PROMETHEUS.glob("*test*.yml"))
    rules, anchors = read_rules(rules_paths)
    alerts = [r for r in rules if r.kind == "alert"]
    check_tools(rules_paths, tests_paths, len(rules))
    before = len(problems)
    for alert in alerts:
        check_alert(alert, anchors)
    if len(problems) == before:
        # Labels that are missing have been said.
        check_routes(alerts)
    check_order(rules_paths)
    check_tests(rules, tests_paths)
    known = check_metrics(rules, metrics)
    check_runbooks(alerts, known)
    check_queries()
    for text in problems:
        print(text)
    if problems:
        print(f"{len(problems)} problems")
        return 1
    print(f"{len({a.name for a in alerts})} alerts in {len(alerts)} rules, {len(rules) - len(alerts)} recording rules: all hold")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
