#!/usr/bin/env python3
"""What a desk expects of each scenario, worked out without the program.

`stories.py` tells each scenario: the records that come, and after each of them what has to be said of it.
Which prints are believed, and which kind of record follows, is decided there, by hand; the reasons stand in
README.md. This file does the arithmetic: references net of corporate actions, the sample deviation of the
last 21 known daily log returns, multiples, tiers, ids, numbering, and the order of the records. It refuses a
plan that contradicts the rules (an `open` below three sigmas, an `escalate` to a tier already reached).

    python3 tests/scenarios/expect.py            writes input.ndjson and alerts.ndjson of every scenario
    python3 tests/scenarios/expect.py --check    says which of them would change; exit code 1 if any

Made with Python 3.11.7 and its standard library alone. Opening and closing times are those of
exchange_calendars 4.13.2, in tests/golden/calendar_xnys.csv.gz; the time zone is zoneinfo's America/New_York.
"""

import csv
import gzip
import json
import math
import statistics
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

HERE = Path(__file__).resolve().parent
NEW_YORK = ZoneInfo("America/New_York")
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "fragility.alert.v1")
RULES = {"symbol": "symbol_shock|1", "cluster": "cluster_stress|1"}
TIERS = (3, 4, 6, 8, 10)
CLOSE_AT, MARGIN, WINDOW = 2.5, 0.5, 21

# 22 closes: 21 returns of a percent or so either way, sample deviation 1.31 %.
CLOSES = (
    97.2, 98.4, 97.1, 98.0, 99.5, 98.3, 97.0, 98.6, 99.9, 98.9, 97.6,
    98.7, 100.1, 99.0, 97.8, 99.2, 100.4, 99.1, 98.2, 99.6, 101.2, 100.0,
)  # fmt: skip


def calendar():
    with gzip.open(HERE.parent / "golden" / "calendar_xnys.csv.gz", "rt") as file:
        times = {}
        for row in csv.DictReader(file):
            times[row["session"]] = tuple(
                datetime.fromisoformat(row[k].replace("Z", "+00:00")) for k in ("open", "close")
            )
        return times


TIMES = calendar()
SESSIONS = sorted(TIMES)


def before(session, count):
    """The `count` sessions before one, oldest first."""
    at = SESSIONS.index(session)
    return SESSIONS[at - count : at]


def text_of(instant):
    """RFC 3339 in UTC with no more decimals than needed."""
    text = instant.astimezone(timezone.utc).isoformat(timespec="microseconds")[:-6]
    whole, micros = text.split(".")
    decimals = "" if micros == "000000" else "." + (micros[:3] if micros.endswith("000") else micros)
    return whole + decimals + "Z"


def phase_of(session, instant):
    opens, closes = TIMES[session]
    at = {hour: datetime.fromisoformat(f"{session}T{hour}").replace(tzinfo=NEW_YORK) for hour in ("04:00", "20:00")}
    last = closes + timedelta(hours=4) if closes < at["20:00"] - timedelta(hours=4) else at["20:00"]
    if at["04:00"] <= instant < opens:
        return "PRE"
    if opens <= instant < closes:
        return "REGULAR"
    if closes <= instant < last:
        return "POST"
    raise ValueError(f"{instant} is not in the day of {session}")


def tier_of(multiple):
    return max((t for t in TIERS if t <= multiple), default=None)


def eased(multiple, tier):
    """The tier shown after a multiple: it steps down below `tier - 0.5`."""
    if multiple >= tier - MARGIN:
        return tier
    return max((t for t in TIERS if t < tier and multiple >= t - MARGIN), default=TIERS[0])


def rounded(value):
    """Four decimals, halves away from zero."""
    return math.copysign(math.floor(abs(value) * 1e4 + 0.5) / 1e4, value) if abs(value) >= 5e-5 else 0.0


class Episode:
    def __init__(self, tier):
        self.tier = self.peak = tier
        self.revision = 0


class Story:
    """One scenario: its records in order, and what is said after each."""

    def __init__(self, name, total_return=False):
        self.name, self.total_return = name, total_return
        self.lines, self.said = [], []
        self.closes, self.splits, self.cash, self.shares = {}, {}, {}, {}
        self.names, self.members, self.inferred = {}, {}, set()
        self.episodes, self.sequences = {}, {}

    # Records.

    def record(self, **fields):
        self.lines.append(json.dumps(fields, separators=(",", ":")))

    def again(self, times=1):
        """The last line once more, byte for byte."""
        self.lines.extend([self.lines[-1]] * times)

    def warm(self, symbol, day, factor=1.0):
        for session, price in zip(before(day, len(CLOSES)), CLOSES):
            self.close(symbol, session, round(price * factor, 2))

    def close(self, symbol, session, price):
        self.record(type="close", symbol=symbol, session=session, price=price)
        if session in TIMES:
            self.closes.setdefault(symbol, {})[session] = price
            self.inferred.discard((symbol, session))

    def infer(self, symbol, session, price):
        """A session ends without a close: its last regular price stands in."""
        self.closes.setdefault(symbol, {})[session] = price
        self.inferred.add((symbol, session))

    def split(self, symbol, ex_date, ratio):
        self.record(type="split", symbol=symbol, ex_date=ex_date, ratio=ratio)
        self.splits[symbol, ex_date] = ratio

    def dividend(self, symbol, ex_date, amount):
        self.record(type="dividend", symbol=symbol, ex_date=ex_date, amount=amount, currency="USD")
        self.cash[symbol, ex_date] = amount

    def rename(self, symbol, to, day):
        self.record(type="rename", symbol=symbol, to=to, **{"from": day})
        self.names[to] = symbol

    def outstanding(self, symbol, session, count):
        self.record(type="shares", symbol=symbol, session=session, shares_outstanding=count)
        self.shares[symbol] = count

    def membership(self, kind, group, symbol, day):
        self.record(type=kind, group=group, symbol=symbol, **{"from": day})
        self.members.setdefault(group, []).append((symbol, day, kind == "member"))

    def tick(self, symbol, session, at, price, **rest):
        ts = text_of(self.instant(session, at))
        self.record(type="tick", symbol=symbol, ts=ts, price=price, **rest)

    def trio(self, symbol, session, at, prices, venues=("N", "Q", "P"), **rest):
        """Three prints a tenth of a second apart, of three venues."""
        start = self.instant(session, at)
        for n, (price, venue) in enumerate(zip(prices, venues)):
            ts = text_of(start + timedelta(milliseconds=100 * n))
            self.record(type="tick", symbol=symbol, ts=ts, price=price, venue=venue, **rest)

    def auction(self, symbol, session, at, price, cond="O", **rest):
        self.tick(symbol, session, at, price, size=90000, tape="A", venue="N", cond=[cond], **rest)

    def status(self, kind, symbol, session, at, **rest):
        self.record(type=kind, symbol=symbol, ts=text_of(self.instant(session, at)), **rest)

    # Arithmetic.

    @staticmethod
    def instant(session, at):
        """A time of New York; with a Z, of UTC."""
        if at.endswith("Z"):
            return datetime.fromisoformat(f"{session}T{at[:-1]}").replace(tzinfo=timezone.utc)
        return datetime.fromisoformat(f"{session}T{at}").replace(tzinfo=NEW_YORK)

    def history(self, symbol):
        own = self.closes.get(symbol, {})
        return {**self.history(self.names[symbol]), **own} if symbol in self.names else own

    def reference(self, symbol, session):
        """The close of the session before, net of what left the share since; None where there is none."""
        previous = before(session, 1)[0]
        price = self.history(symbol).get(previous)
        if price is None:
            return None
        price /= self.splits.get((symbol, session), 1.0)
        if self.total_return:
            price -= self.cash.get((symbol, session), 0.0)
        basis = "last_regular" if (symbol, previous) in self.inferred else "official"
        return {"price": price, "session": previous, "basis": basis}

    def daily_return(self, symbol, session):
        reference, price = self.reference(symbol, session), self.history(symbol).get(session)
        return None if reference is None or price is None else math.log(price / reference["price"])

    def sigma(self, symbol, session):
        known = [self.daily_return(symbol, s) for s in sorted(self.history(symbol)) if s < session]
        window = [r for r in known if r is not None][-WINDOW:]
        return statistics.stdev(window) if len(window) == WINDOW else None

    def z(self, symbol, session, price):
        reference, sigma = self.reference(symbol, session), self.sigma(symbol, session)
        assert reference and sigma, f"{self.name}: {symbol} cannot be measured on {session}"
        return math.log(price / reference["price"]) / sigma

    def inside(self, group, session):
        days = sorted((day, symbol, joins) for symbol, day, joins in self.members.get(group, []) if day <= session)
        found = {}
        for _, symbol, joins in days:
            found[symbol] = joins
        return sorted(s for s, joins in found.items() if joins)

    def basket_return(self, group, session):
        """ln(1 + sum w (exp(r) - 1)), weights by the market value before the session."""
        values = {s: self.shares[s] * self.reference(s, session)["price"] for s in self.inside(group, session)}
        gains = (v * math.expm1(self.daily_return(s, session)) for s, v in values.items())
        return math.log1p(math.fsum(gains) / math.fsum(values.values()))

    def basket_z(self, group, session):
        window = [self.basket_return(group, s) for s in before(session, WINDOW)]
        return self.basket_return(group, session) / statistics.stdev(window)

    # What is said.

    def say(self, kind, symbol, session, at, price, *, state="PROVISIONAL", number=1, direction="down", believed=None, flags=()):
        """One record; `at` is a time, or `close` for the session's closing time. `believed` are the prices that a
        `correct` leaves to the episode, in order."""
        by_close = at == "close"
        instant = TIMES[session][1] if by_close else self.instant(session, at)
        phase = "CLOSE" if by_close else phase_of(session, instant)
        z = self.z(symbol, session, price)
        sign = -1 if direction == "down" else 1
        multiple = z * sign
        key = ("symbol", symbol, session, direction, number)
        if key not in self.episodes:
            assert multiple >= TIERS[0] and kind in ("open", "confirm"), f"{self.name}: {kind} at {z}"
            self.episodes[key] = Episode(tier_of(multiple))
        episode = self.episodes[key]
        self.move(episode, kind, state, multiple, [self.z(symbol, session, p) * sign for p in believed or []])
        # Early in the day the time of day is allowed for by a default curve.
        flags = sorted([*flags, *(() if by_close else ("RULER_DEFAULT",))])
        groups = sorted(g for g in self.members if symbol in self.inside(g, session))
        self.tell(key, kind, state, instant, phase, z, price, self.reference(symbol, session), groups, flags)

    def move(self, episode, kind, state, multiple, believed):
        """Checks a step against the rules and takes it."""
        tier = tier_of(multiple)
        is_allowed = {
            "open": episode.revision == 0,
            "escalate": (tier or 0) > episode.peak,
            "deescalate": eased(multiple, episode.tier) < episode.tier,
            "update": True,
            "close": multiple <= CLOSE_AT,
            "confirm": tier is not None and state == "CONFIRMED",
            "fade": tier is None and state == "FADED",
            "retract": state == "RETRACTED",
            "correct": state in ("PROVISIONAL", "CONFIRMED", "FADED"),
        }[kind]
        assert is_allowed, f"{self.name}: {kind} at a multiple of {multiple}"
        if kind in ("escalate", "confirm"):
            episode.tier = tier
        elif kind == "deescalate":
            episode.tier = eased(multiple, episode.tier)
        elif kind == "correct" and state == "PROVISIONAL":
            episode.peak = episode.tier = tier_of(max(believed))
            episode.tier = eased(multiple, episode.tier)
        elif kind == "correct":
            assert (tier is None) == (state == "FADED"), f"{self.name}: {state} at {multiple}"
        episode.peak = max(episode.peak, episode.tier)

    def say_group(self, kind, group, session, state, level, number=1):
        """A verdict on a group at the close; levels are 1 WATCH, 2 ALERT, 3 CRITICAL."""
        z = self.basket_z(group, session)
        key = ("cluster", group, session, "down" if z < 0 else "up", number)
        self.episodes[key] = Episode(level)
        self.tell(key, kind, state, TIMES[session][1], "CLOSE", z, None, None, [], [])

    def tell(self, key, kind, state, instant, phase, z, price, reference, groups, flags):
        what, entity, session, direction, number = key
        episode = self.episodes[key]
        sequence = self.sequences[entity] = self.sequences.get(entity, 0) + 1
        name = f"{RULES[what]}|{what}:{entity}|{session}|{direction}|{number}"
        self.said.append(
            {
                "alert_id": str(uuid.uuid5(NAMESPACE, name)),
                "revision": episode.revision,
                "sequence": sequence,
                "kind": kind,
                "state": state,
                "entity": {"type": what, "id": entity},
                "groups": [entity] if what == "cluster" else groups,
                "session": session,
                "phase": phase,
                "event_time": text_of(instant),
                "direction": direction,
                "tier": episode.tier,
                "peak_tier": episode.peak,
                "z": rounded(z),
                "price": price,
                "reference": reference,
                "quality": flags,
            }
        )
        episode.revision += 1

    def files(self):
        """By event time, held so that no entity goes back; groups first, then by name."""
        newest, keyed = {}, []
        for said in self.said:
            entity = (said["entity"]["type"], said["entity"]["id"])
            at = newest[entity] = max(newest.get(entity, ""), said["event_time"].rstrip("Z") + ".")
            keyed.append((at, entity, said["sequence"], said))
        ordered = [json.dumps(k[3], separators=(",", ":")) for k in sorted(keyed, key=lambda k: k[:3])]
        lines = lambda all_of: "".join(f"{line}\n" for line in all_of)
        return {"input.ndjson": lines(self.lines), "alerts.ndjson": lines(ordered)}


def main():
    from stories import stories

    is_check, stale = "--check" in sys.argv[1:], []
    for story in stories():
        for name, text in story.files().items():
            path = HERE / story.name / name
            if is_check and (not path.exists() or path.read_text() != text):
                stale.append(f"{story.name}/{name}")
            elif not is_check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
    for path in stale:
        print(f"{path} is not what expect.py makes")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
