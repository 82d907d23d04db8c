#!/usr/bin/env python3
"""Make or check the NYSE calendar overlay and the calendar golden file.

    python scripts/calendar_overlay.py                          golden only
    python scripts/calendar_overlay.py --crate-table nyse.rs    overlay and golden
    python scripts/calendar_overlay.py --crate-table nyse.rs --check

`nyse.rs` is the NYSE holiday table in the source of the Rust crate
exchange-hours 1.3 (src/calendar/schedules/holidays/nyse.rs). The overlay holds
what that table lacks: everything before its first date, and corrections after.
`--check` writes nothing; it puts table and overlay together, compares every
weekday of the overlay's range with exchange_calendars, compares the golden
file too, and exits 1 on any difference.

Needs exchange_calendars (reference) and Python 3.11 or newer.
"""

import argparse
import datetime as dt
import gzip
import pathlib
import platform
import re
import sys
import tomllib
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[1]
OVERLAY = ROOT / "config" / "calendar" / "xnys_overlay.toml"
GOLDEN = ROOT / "tests" / "golden" / "calendar_xnys.csv.gz"

VERSION = "2026.1"
FIRST, LAST = dt.date(1990, 1, 1), dt.date(2028, 12, 31)
GOLDEN_FIRST, GOLDEN_LAST = dt.date(1999, 1, 1), dt.date(2027, 11, 22)
ZONE = ZoneInfo("America/New_York")
OPEN, CLOSE, EARLY = "09:30", "16:00", "13:00"

# session date -> (open, close), exchange-local HH:MM
Sessions = dict[dt.date, tuple[str, str]]


def weekdays() -> list[dt.date]:
    days = (FIRST + dt.timedelta(n) for n in range((LAST - FIRST).days + 1))
    return [d for d in days if d.weekday() < 5]


def reference() -> Sessions:
    calendar = exchange_calendars.get_calendar("XNYS", start=str(FIRST), end=str(LAST))
    schedule = calendar.schedule
    opens = schedule["open"].dt.tz_convert(ZONE).dt.strftime("%H:%M")
    closes = schedule["close"].dt.tz_convert(ZONE).dt.strftime("%H:%M")
    return {d.date(): (o, c) for d, o, c in zip(schedule.index, opens, closes)}


def crate_table(path: pathlib.Path) -> tuple[dt.date, dt.date, dict[dt.date, str | None]]:
    """First and last date covered, and date -> closing time (None: closed)."""
    text = re.sub(r"//.*", "", path.read_text())
    cover = re.search(r"coverage: \[\((\d+), (\d+), (\d+)\) \.\.= \((\d+), (\d+), (\d+)\)\]", text)
    n = [int(x) for x in cover.groups()]
    rows: dict[dt.date, str | None] = {}
    pattern = r"\((\d{4}), (\d+), (\d+), (Closed|early_close\(([^)]*)\)),"
    for y, m, d, kind, seconds in re.findall(pattern, text):
        at = None
        if kind != "Closed":
            total = 1
            for factor in seconds.replace("_", "").split("*"):
                total *= int(factor)
            at = f"{total // 3600:02}:{total % 3600 // 60:02}"
        rows[dt.date(int(y), int(m), int(d))] = at
    # Every row must have been understood.
    assert len(rows) == len(re.findall(r"^\s*\(\d{4}, ", text, re.M)), "unread rows"
    return dt.date(*n[:3]), dt.date(*n[3:]), rows


def from_table(first: dt.date, last: dt.date, rows: dict[dt.date, str | None]) -> Sessions:
    """Sessions as the crate alone knows them; outside its range: all weekdays."""
    known: Sessions = {}
    for day in weekdays():
        close = rows.get(day, CLOSE) if first <= day <= last else CLOSE
        if close is not None:
            known[day] = (OPEN, close)
    return known


def make(base: Sessions, wanted: Sessions) -> dict:
    made = {"closed": [], "early_closes": [], "open": [], "late_opens": []}
    for day in weekdays():
        have, want = base.get(day), wanted.get(day)
        if want is None:
            if have is not None:
                made["closed"].append(day)
            continue
        if have is None:
            made["open"].append(day)
            have = (OPEN, CLOSE)
        if have[1] != want[1]:
            made["early_closes"].append((day, want[1]))
        if have[0] != want[0]:
            made["late_opens"].append((day, want[0]))
    return made


def render(made: dict, first: dt.date, last: dt.date) -> str:
    def dates(name: str, note: str) -> list[str]:
        if not made[name]:
            return [f"{name} = []" + (f"  # {note}" if note else "")]
        lines = [f"{name} = ["]
        for year in sorted({d.year for d in made[name]}):
            row = [f'"{d}"' for d in made[name] if d.year == year]
            lines.append(f"  # {year}")
            lines += ["  " + ", ".join(row[i : i + 6]) + "," for i in range(0, len(row), 6)]
        return lines + ["]"]

    def times(name: str, key: str) -> list[str]:
        if not made[name]:
            return [f"{name} = []"]
        rows = [f'  {{ session = "{d}", {key} = "{t}" }},' for d, t in made[name]]
        return [f"{name} = [", *rows, "]"]

    return "\n".join(
        [
            "# New York Stock Exchange: what the holiday table of exchange-hours 1.3",
            f"# ({first} to {last}) does not say. Made and checked by",
            "# scripts/calendar_overlay.py; edit by hand only to add a closure that has just",
            "# been announced, and raise `version` then.",
            "#",
            "# All times are exchange-local (America/New_York). Regular hours are 09:30 to",
            "# 16:00. Listed are full closures and announced early closes; a trading halt, or",
            "# an opening delayed on the day itself, is not a change of calendar.",
            "",
            f'version = "{VERSION}"',
            f'valid_from = "{FIRST}"   # before it: unknown',
            f'valid_until = "{LAST}"  # after it: unknown',
            f'source = "exchange_calendars {exchange_calendars.__version__}, XNYS"',
            "",
            "# Weekdays without a session.",
            *dates("closed", ""),
            "",
            "# Sessions that ended before 16:00 (14:00 until 1992, 13:00 since).",
            *times("early_closes", "close"),
            "",
            "# Sessions on dates the table calls closed.",
            *dates("open", "none known"),
            "",
            "# Sessions that began after 09:30 by plan: none known to the source.",
            *times("late_opens", "open"),
            "",
        ]
    )


def apply(base: Sessions, overlay: dict) -> Sessions:
    result = dict(base)
    day = dt.date.fromisoformat
    for text in overlay["open"]:
        result[day(text)] = (OPEN, CLOSE)
    for row in overlay["early_closes"]:
        result[day(row["session"])] = (result[day(row["session"])][0], row["close"])
    for row in overlay["late_opens"]:
        result[day(row["session"])] = (row["open"], result[day(row["session"])][1])
    for text in overlay["closed"]:
        del result[day(text)]
    return result


def golden(wanted: Sessions) -> str:
    def utc(day: dt.date, hhmm: str) -> str:
        local = dt.datetime.combine(day, dt.time.fromisoformat(hhmm), ZONE)
        return local.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    lines = ["session,open,close,early"]
    for day, (opens, closes) in sorted(wanted.items()):
        if GOLDEN_FIRST <= day <= GOLDEN_LAST:
            early = str(closes < CLOSE).lower()
            lines.append(f"{day},{utc(day, opens)},{utc(day, closes)},{early}")
    return "\n".join(lines) + "\n"


def differences(got: Sessions, wanted: Sessions) -> list[str]:
    return [
        f"{day}: {got.get(day, 'no session')}, reference {wanted.get(day, 'no session')}"
        for day in sorted(set(got) | set(wanted))
        if got.get(day) != wanted.get(day)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="NYSE calendar overlay")
    parser.add_argument("--crate-table", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    print(
        f"python {platform.python_version()}, pandas {pd.__version__}, "
        f"exchange_calendars {exchange_calendars.__version__}"
    )
    wanted = reference()
    bad = 0

    if args.crate_table:
        first, last, rows = crate_table(args.crate_table)
        base = from_table(first, last, rows)
        inside = {d: s for d, s in base.items() if first <= d <= last}
        alone = differences(inside, {d: s for d, s in wanted.items() if first <= d <= last})
        print(f"crate table: {len(rows)} rows, {first}..{last}; differences inside it: {len(alone)}")
        for line in alone:
            print("  " + line)
        if not args.check:
            OVERLAY.parent.mkdir(parents=True, exist_ok=True)
            OVERLAY.write_text(render(make(base, wanted), first, last))
        overlay = tomllib.loads(OVERLAY.read_text())
        found = differences(apply(base, overlay), wanted)
        bad += len(found)
        print(
            f"overlay {overlay['version']}: {len(overlay['closed'])} closures, "
            f"{len(overlay['early_closes'])} early closes, {len(overlay['open'])} open, "
            f"{len(overlay['late_opens'])} late opens; table and overlay against the "
            f"reference: {len(found)} differences over {len(wanted)} sessions"
        )
        for line in found:
            print("  " + line)
    elif args.check:
        print("--check without --crate-table compares the golden file only")

    text = golden(wanted)
    if args.check:
        same = gzip.decompress(GOLDEN.read_bytes()).decode() == text
        bad += not same
        print(f"{GOLDEN.name}: {'as expected' if same else 'DIFFERS'}")
    else:
        GOLDEN.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(f"{GOLDEN.name}: {text.count(chr(10)) - 1} sessions, {len(text)} bytes before gzip")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
