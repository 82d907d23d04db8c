#!/usr/bin/env python3
"""Recompute alerts without this program: a second opinion on `fragility verify`.

    fragility replay --config FILE --input FILE... | scripts/verify_alerts.py
    scripts/verify_alerts.py alerts.ndjson ...

Written from docs/alerts.md with Python's hashlib, uuid, statistics and math alone: exact fractions behind the
standard deviation, the C library behind logarithms. Full-precision numbers must agree to 1e-12, rounded ones to
half a step of their last decimal. Heartbeats are passed over; compact alerts carry no arithmetic and are refused.

Prints each number that does not follow and the count; exits 1 on any, 2 when something is no alert.
Needs Python 3.11 or newer and no package.
"""

import hashlib
import json
import math
import operator
import statistics
import sys
import uuid

WINDOW = 21
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "fragility.alert.v1")
NORMAL = statistics.NormalDist()
SEVERITIES = [(10, "EXTREME"), (8, "SEVERE"), (6, "HIGH"), (4, "ELEVATED"), (0, "NOTICE")]
LEVELS = ["CALM", "WATCH", "ALERT", "CRITICAL"]
FULL = 1e-12
STEP = 0.5e-4 + 1e-10
SHOWN = 10


class Check:
    """The differences of one alert."""

    def __init__(self):
        self.found = []

    def note(self, field, found, expected):
        self.found.append(f"{field} is {found!r}, recomputed {expected!r}")

    def same(self, field, found, expected):
        if found != expected:
            self.note(field, found, expected)

    def full(self, field, found, expected):
        if (found is None) != (expected is None):
            self.note(field, found, expected)
        elif found is not None and not math.isclose(found, expected, rel_tol=FULL, abs_tol=1e-18):
            self.note(field, found, expected)

    def rounded(self, field, found, expected, slack=STEP):
        if (found is None) != (expected is None):
            self.note(field, found, expected)
        elif found is not None and abs(found - expected) > slack:
            self.note(field, found, expected)


def identity(alert, line, check):
    digest = hashlib.sha256(line[: line.rindex(b',"source":[')]).hexdigest()
    check.same("digest", alert["digest"], digest)
    rule, entity = alert["rule"], alert["entity"]
    name = "|".join(
        [
            rule["id"],
            str(rule["version"]),
            f"{entity['type']}:{entity['id']}",
            alert["session"] or "-",
            alert["direction"],
            str(alert["episode"]),
        ]
    )
    check.same("alert_id", alert["alert_id"], str(uuid.uuid5(NAMESPACE, name)))
    tiers = rule["tiers"]
    check.same("rule.tiers", tiers, sorted(set(tiers)))
    for field in ("tier", "peak_tier"):
        if alert[field] not in tiers:
            check.note(field, alert[field], tiers)
    if alert["peak_tier"] < alert["tier"]:
        check.note("peak_tier", alert["peak_tier"], f"at least {alert['tier']}")
    for field in ("z", "z_adjusted", "sigma_daily", "log_return", "price", "usd", "evidence", "window"):
        check.same(f"unknown.{field}", field in alert["unknown"], alert[field] is None)


def window(alert, check):
    """The sample deviation of a whole window."""
    evidence = alert["evidence"]
    if evidence is None:
        check.same("window", alert["window"], None)
        return None
    returns = [e["log_return"] for e in evidence]
    sessions = [e["session"] for e in evidence]
    check.same("evidence", sessions, sorted(set(sessions)))
    if alert["session"] and not sessions[-1] < alert["session"]:
        check.note("evidence", sessions[-1], f"before {alert['session']}")
    said = alert["window"]
    check.same("window.n", said["n"], len(returns))
    check.same("window.first", said["first"], sessions[0])
    check.same("window.last", said["last"], sessions[-1])
    largest = max(abs(r) for r in returns)
    check.full("window.max_abs_return", said["max_abs_return"], largest)
    squares = math.fsum(r * r for r in returns)
    if said["echo"] is not None:
        at = max(i for i, r in enumerate(returns) if abs(r) == largest)
        echo, others = said["echo"], returns[:at] + returns[at + 1 :]
        check.same("window.echo.session", echo["session"], sessions[at])
        check.same("window.echo.sessions_left", echo["sessions_left"], at + 1)
        check.full("window.echo.share", echo["share"], largest**2 / squares)
        check.full("window.echo.sigma_without", echo["sigma_without"], statistics.stdev(others))
    return statistics.stdev(returns) if len(returns) == WINDOW else None


def symbol(alert, deviation, check):
    reference, sign = alert["reference"], 1 if alert["direction"] == "up" else -1
    desk = reference is not None and reference["basis"] == "desk"
    if not desk:
        check.full("sigma_daily", alert["sigma_daily"], deviation)
    sigma = alert["sigma_daily"]
    if sigma is not None and not desk:
        floor = max(0.0002, 0.005 / reference["price"] if reference else 0)
        check.same("quality", "INSUFFICIENT_VARIANCE" in alert["quality"], sigma < floor)
        sigma = None if sigma < floor else sigma
    move = None
    if alert["price"] is not None and reference is not None:
        move = math.log(alert["price"] / reference["price"])
        check.full("log_return", alert["log_return"], move)
        check.full("simple_return", alert["simple_return"], alert["price"] / reference["price"] - 1)
    z = None if move is None or sigma is None else move / sigma
    check.rounded("z", alert["z"], z)
    ruler = alert["ruler"]
    elapsed = ruler["elapsed"] if ruler else None
    known = z is not None and elapsed is not None
    check.rounded("z_adjusted", alert["z_adjusted"], z / math.sqrt(elapsed) if known else None)
    survival = None
    if known and alert["state"] == "PROVISIONAL":
        first = alert["rule"]["tiers"][0]
        left = 1 - elapsed
        survival = NORMAL.cdf((z * sign - first) / math.sqrt(left)) if left > 0 else float(z * sign >= first)
    check.rounded("survival", alert["survival"], survival)
    if ruler:
        learned = ruler["overnight_sessions"] > 0 and ruler["curve_sessions"] > 0
        check.same("ruler.basis", ruler["basis"], "learned" if learned else "default")
    check.same("severity", alert["severity"], next(name for least, name in SEVERITIES if alert["tier"] >= least))
    above = [t for t in alert["rule"]["tiers"] if t > alert["tier"]] if reference and sigma else []
    check.same("next_tiers", [n["tier"] for n in alert["next_tiers"]], above)
    for n in alert["next_tiers"]:
        multiple = sign * math.log(n["price"] / reference["price"]) / sigma
        check.full(f"next_tiers {n['tier']}", multiple, n["tier"])
    if alert["state"] == "CONFIRMED" or alert["kind"] == "escalate":
        reached = [t for t in alert["rule"]["tiers"] if t <= z * sign]
        check.same("tier", alert["tier"], reached[-1] if reached else None)
    usd = alert["usd"]
    if usd is not None:
        check.full("usd", usd["market_value_change"], usd["shares"] * (alert["price"] - reference["price"]))
    modes(alert, move, check)
    realized(alert["realized"], check)
    if z is not None:
        for text in (f"{z:+.2f} sigma", f"({(alert['simple_return']) * 100:+.2f} %)"):
            if text not in alert["summary"]:
                check.note("summary", alert["summary"], f"with {text}")


def modes(alert, move, check):
    returns = [e["log_return"] for e in alert["evidence"] or []]
    for name, mode in (alert["modes"] or {}).items():
        sigma = mode["sigma"]
        check.rounded(f"modes.{name}.z", mode["z"], move / sigma if sigma and move is not None else None)
        if len(returns) < WINDOW:
            continue
        if name == "zero_mean":
            check.full("modes.zero_mean", sigma, math.sqrt(math.fsum(r * r for r in returns) / WINDOW))
        elif name == "mad" and sigma is not None:
            centre = statistics.median(returns)
            spread = statistics.median(abs(r - centre) for r in returns)
            check.full("modes.mad", sigma, spread / NORMAL.inv_cdf(0.75))


def realized(said, check):
    if said is None:
        return
    if said["jump"] is not None:
        check.full("realized.jump.p", said["jump"]["p"], math.erfc(said["jump"]["z"] / math.sqrt(2)) / 2)
    if said["largest"] is not None:
        c, root = math.sqrt(2 / math.pi), math.sqrt(2 * math.log(78))
        centre = root / c - (math.log(math.pi) + math.log(math.log(78))) / (2 * c * root)
        beta = (abs(said["largest"]["statistic"]) - centre) * c * root
        check.full("realized.largest.p", said["largest"]["p"], -math.expm1(-math.exp(-beta)))


def bounded(check, group, legs, z, count):
    """The level by fixed bounds on three legs."""
    check.same("cluster.legs.members_in_breach", legs["members_in_breach"]["value"], count)
    values = {"basket_z": z, "rms_z": legs["rms_z"]["value"], "members": count}
    level = "CALM" if sum(v is not None for v in values.values()) >= group["levels"][0]["legs"] else "UNKNOWN"
    for bounds in group["levels"]:
        reached = sum(v is not None and abs(v) >= bounds[name] for name, v in values.items())
        level = bounds["level"] if reached >= bounds["legs"] else level
    for name, key in (("basket_z", "basket_z"), ("rms_z", "rms_z"), ("members_in_breach", "members")):
        bounds = next((b for b in group["levels"] if b["level"] == level), group["levels"][0])
        check.same(f"cluster.legs.{name}.threshold", legs[name]["threshold"], bounds[key])
        reached = values[key] is not None and abs(values[key]) >= bounds[key]
        check.same(f"cluster.legs.{name}.reached", legs[name]["reached"], reached)
    return level


def solve(matrix, right):
    """x of matrix x = right, by elimination."""
    rows = [list(row) + [r] for row, r in zip(matrix, right)]
    for i, pivot in enumerate(rows):
        for row in rows[i + 1 :]:
            factor = row[i] / pivot[i]
            row[i:] = [a - factor * b for a, b in zip(row[i:], pivot[i:])]
    x = [0.0] * len(rows)
    for i in reversed(range(len(rows))):
        x[i] = (rows[i][-1] - math.fsum(rows[i][j] * x[j] for j in range(i + 1, len(rows)))) / rows[i][i]
    return x


def composite(check, group, legs, told):
    """The level by the percentiles of seven legs."""
    losses = [-m["market_value"] * math.expm1(m["log_return"]) for m in told]
    check.full("cluster.legs.max_member_loss_usd", legs["max_member_loss_usd"]["value"], max(losses, default=None))
    check.full("cluster.legs.group_loss_usd", legs["group_loss_usd"]["value"], math.fsum(losses) if told else None)
    usual = group.get("turbulence")
    if usual:
        n = len(usual["mean"])
        at = lambda i, j: usual["covariance"][max(i, j) * (max(i, j) + 1) // 2 + min(i, j)]
        off = [m["log_return"] - mean for m, mean in zip(told, usual["mean"])]
        far = solve([[at(i, j) for j in range(n)] for i in range(n)], off)
        check.full("cluster.legs.turbulence", legs["turbulence"]["value"], math.fsum(map(operator.mul, off, far)) / n)
        magnitude = math.fsum(d * d / at(i, i) for i, d in enumerate(off)) / n
        check.full("cluster.turbulence.magnitude", usual["magnitude"], magnitude)
    universe = group["universe"]
    z = [s["z"] for s in universe["securities"] if s["z"] is not None]
    counts = (universe["count"], universe["valid"], universe["up"], universe["down"])
    bound = group["breach_at"]
    expected = (len(universe["securities"]), len(z), sum(v >= bound for v in z), sum(v <= -bound for v in z))
    check.same("cluster.universe", counts, expected)
    if legs["breadth"]["value"] is not None:
        check.full("cluster.legs.breadth", legs["breadth"]["value"], (counts[2] + counts[3]) / counts[1])
    if legs["dispersion"]["value"] is not None:
        moved = [s for s in universe["securities"] if s["market_value"] and s["log_return"] is not None]
        total = math.fsum(s["market_value"] for s in moved)
        pairs = [(s["market_value"] / total, math.expm1(s["log_return"])) for s in moved]
        mean = math.fsum(w * r for w, r in pairs)
        dispersion = math.sqrt(math.fsum(w * (r - mean) ** 2 for w, r in pairs))
        check.full("cluster.legs.dispersion", legs["dispersion"]["value"], dispersion)
    ranks = [leg["rank"] for leg in legs.values() if "rank" in leg]
    for leg in legs.values():
        rank = leg.get("rank")
        share = (rank["below"] + rank["equal"] / 2) / rank["observations"] if rank else None
        check.full(f"cluster.legs.{leg['name']}.percentile", leg["percentile"], share)
        check.same(f"cluster.legs.{leg['name']}.reached", leg["reached"], share is not None and share >= 0.95)
    at = lambda share: sum((r["below"] + r["equal"] / 2) / r["observations"] >= share for r in ranks)
    if len(ranks) < 3:
        return "UNKNOWN"
    if at(0.95) >= 5 and at(0.99) >= 3:
        return "CRITICAL"
    if at(0.95) >= 3:
        return "ALERT" if at(0.99) >= 1 else "WATCH"
    return "CALM"


def cluster(alert, deviation, check):
    group = alert["cluster"]
    check.full("sigma_daily", alert["sigma_daily"], deviation or None)
    members = group["members"]
    values = [m.get("market_value") for m in members]
    told = [m for m in members if "log_return" in m and "market_value" in m]
    known = math.fsum(m["market_value"] for m in told)
    coverage = None if None in values or not values else known / math.fsum(values)
    check.full("cluster.coverage", group["coverage"], coverage)
    basket = rms = None
    if coverage is not None and coverage >= group["coverage_min"] and known > 0:
        basket = math.log1p(math.fsum(m["market_value"] / known * math.expm1(m["log_return"]) for m in told))
        if all(m["z"] is not None for m in told):
            rms = math.sqrt(math.fsum(m["market_value"] / known * m["z"] ** 2 for m in told))
        change = math.fsum(m["market_value"] * math.expm1(m["log_return"]) for m in told)
        check.full("usd", alert["usd"]["market_value_change"], change)
    check.full("log_return", alert["log_return"], basket)
    check.full("simple_return", alert["simple_return"], None if basket is None else math.expm1(basket))
    z = basket / deviation if basket is not None and deviation else None
    check.rounded("z", alert["z"], z)
    breached = [m for m in members if m["z"] is not None and abs(m["z"]) >= group["breach_at"]]
    breached.sort(key=lambda m: (m["breached_at"] if m["breached_at"] is not None else math.inf, -abs(m["z"])))
    said = [s for s in [group["initiator"], *group["followers"]] if s]
    check.same("cluster.initiator and followers", said, [m["symbol"] for m in breached])
    broke = {m["symbol"]: m["breached_at"] for m in members}
    first = broke.get(group["initiator"])
    lag = lambda at: None if at is None or first is None else (at - first) / 1e9
    check.same("cluster.follower_lags_secs", group["follower_lags_secs"], [lag(broke[s]) for s in group["followers"]])
    count = len(breached) if any(m["z"] is not None for m in members) else None
    legs = {leg["name"]: leg for leg in group["legs"]}
    check.rounded("cluster.legs.basket_z", legs["basket_z"]["value"], z)
    # From members' multiples of four decimals.
    check.rounded("cluster.legs.rms_z", legs["rms_z"]["value"], rms, 2 * STEP)
    if "levels" in group:
        level = bounded(check, group, legs, z, count)
    else:
        level = composite(check, group, legs, told if basket is not None else [])
    check.same("cluster.level", group["level"], level)
    check.same("severity", alert["severity"], LEVELS[int(alert["tier"])])
    if alert["kind"] in ("open", "escalate", "update", "deescalate", "confirm"):
        check.same("tier", alert["severity"], level)


def verify(line):
    """The differences of one record; None where it is no alert to verify."""
    alert = json.loads(line)
    if alert.get("schema") == "fragility.heartbeat.v1":
        return None
    if alert.get("schema") not in ("fragility.alert.v1", "fragility.state.v1"):
        raise ValueError("not an alert that carries its arithmetic")
    check = Check()
    identity(alert, line, check)
    deviation = window(alert, check)
    (symbol if alert["cluster"] is None else cluster)(alert, deviation, check)
    return check.found


def main():
    count = bad = unreadable = 0
    for path in sys.argv[1:] or ["-"]:
        file = sys.stdin.buffer if path == "-" else open(path, "rb")
        with file:
            for number, line in enumerate(file, 1):
                if not (line := line.strip()):
                    continue
                try:
                    found = verify(line)
                except (ValueError, KeyError, TypeError) as error:
                    unreadable += 1
                    if unreadable <= SHOWN:
                        print(f"{path}:{number}: not an alert: {error!r}", file=sys.stderr)
                    continue
                if found is not None:
                    count, bad = count + 1, bad + bool(found)
                    for text in found:
                        print(f"{path}:{number}: {text}")
    print(f"{count} alerts: {count - bad} hold, {bad} do not; {unreadable} lines are no alert", file=sys.stderr)
    return 2 if unreadable else int(bad > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
