"""The shipped configuration of Prometheus and Alertmanager, in a hurry: durations are shortened, expressions never.

What was changed is printed, and what was not is proved: read as YAML, original and copy are equal but for these keys.
"""

import collections
import re

import yaml

# How much faster a drill goes: two minutes that a rule waits are four seconds.
FACTOR = 30
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
WAITS = ("for",)
SCRAPES = ("scrape_interval", "evaluation_interval", "scrape_timeout")
ROUTES = ("group_wait", "group_interval", "repeat_interval")
# Ways of being told that leave out the end of an alert, unless it is asked for.
SILENT_ENDS = ("email_configs", "slack_configs", "wechat_configs")
# Prometheus cannot be asked to scrape more often and still be answered on two busy cores.
SHORTEST_SCRAPE = 1000


class Changed(Exception):
    """A copy differs from its original in more than it may."""


def milliseconds(text):
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|s|m|h)", text))


def written(ms):
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def shortened(text, keys, least=0):
    """The text with durations of some keys divided, and what became what how often."""
    told = collections.Counter()

    def shorter(match):
        ms = milliseconds(match[2])
        new = written(max(least, ms // FACTOR) if ms else 0)
        if ms:
            told[f"{match[1].strip()} {match[2]} -> {new}"] += 1
        return f"{match[1]}{new}"

    return re.sub(rf"(?m)^((?: *|.*[{{ ])(?:{'|'.join(keys)}): )(\d+(?:ms|s|m|h))\b", shorter, text), told


def without(tree, keys):
    """A YAML tree without some keys, at whatever depth."""
    if isinstance(tree, dict):
        return {k: without(v, keys) for k, v in tree.items() if k not in keys}
    return [without(one, keys) for one in tree] if isinstance(tree, list) else tree


def same_but_for(original, copy, keys, name):
    if without(yaml.safe_load(original), keys) != without(yaml.safe_load(copy), keys):
        raise Changed(f"{name}: the copy differs in more than {', '.join(keys)}")


def summary(name, told):
    return f"{name}: " + ("; ".join(f"{change} ({count})" for change, count in told.items()) or "nothing changed")


def rules(shipped, to):
    """Copies of every rules_*.yml; a line about each."""
    lines = []
    for path in sorted(shipped.glob("rules_*.yml")):
        original = path.read_text()
        copy, told = shortened(original, WAITS)
        same_but_for(original, copy, WAITS, path.name)
        (to / path.name).write_text(copy)
        lines.append(summary(path.name, told))
    return lines


def prometheus(shipped, to, services, alertmanager):
    """A copy of prometheus.yml that scrapes what the drill runs."""
    original = shipped.read_text()
    copy, told = shortened(original, SCRAPES, SHORTEST_SCRAPE)
    targets = ", ".join(f'"{address}"' for address in services)
    copy = copy.replace('targets: ["127.0.0.1:9600"]', f"targets: [{targets}]").replace('targets: ["127.0.0.1:9093"]', f'targets: ["{alertmanager}"]')
    same_but_for(original, copy, (*SCRAPES, "targets"), shipped.name)
    (to / shipped.name).write_text(copy)
    return [summary(shipped.name, told) + "; targets"]


def alertmanager(shipped, to, receiver):
    """A copy of alertmanager.yml of which every receiver is the drill's: whatever the file names, nobody else is told."""
    original = shipped.read_text()
    copy, told = shortened(original, ROUTES)
    tree = yaml.safe_load(copy)
    tree["receivers"] = [told_here(one, receiver) for one in tree["receivers"]]
    copy = yaml.safe_dump(tree, sort_keys=False)
    same_but_for(original, copy, (*ROUTES, "receivers"), shipped.name)
    (to / shipped.name).write_text(copy)
    return [summary(shipped.name, told) + "; addresses and secrets of receivers"]


def told_here(one, receiver):
    """A receiver of the same name, with a webhook for each way in which it was told; one without any stays so."""
    name = one["name"]
    ways = [(kind, config) for kind, configs in one.items() if kind != "name" for config in configs]
    webhooks = [
        {
            "url": f"{receiver.url}/{name}",
            "send_resolved": config.get("send_resolved", kind not in SILENT_ENDS),
            "http_config": {"authorization": {"credentials_file": str(receiver.secret_of(name))}},
        }
        for kind, config in ways
    ]
    return {"name": name, "webhook_configs": webhooks} if webhooks else {"name": name}
