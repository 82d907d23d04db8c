"""The shipped days, moved so that 27 January 2025 is today and the exchange is open now.

Whether the exchange is open goes by the clock on the wall, and rules about the market want event time to be of now. So
every date is moved by the same number of days, which keeps weekends and holidays between sessions where they were, and
an overlay of the calendar says that these dates are the sessions. Nothing is invented but the hours of today.
"""

import csv
import datetime as dt
import re
import tomllib
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
THE_DAY = dt.date(2025, 1, 27)
# A session opens at 04:00 at the earliest and closes on its own date: around midnight in New York none can be open.
FIRST_OPEN, LAST_CLOSE = dt.time(4, 0), dt.time(23, 59)
# How long a drill may take, and then some.
OPEN_FOR, OPEN_SINCE = dt.timedelta(minutes=20), dt.timedelta(minutes=30)
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


class NoSessionNow(Exception):
    """No calendar can have the exchange open at this hour."""


class Days:
    def __init__(self, root, now):
        self.root = root
        self.now = now.astimezone(NEW_YORK)
        self.today = self.now.date()
        self.shift = self.today - THE_DAY
        self.opens, self.closes_at = self._hours()
        data = root / "data"
        # (session, symbol, close, market value), in order, as texts of the files.
        rows = []
        for table, close, value in (
            (data / "us_top50_daily_2024q4_2025q1.csv", "close", "market_cap"),
            (data / "spy_daily_2024q4_2025q1.csv", "close", None),
        ):
            for row in csv.DictReader(table.open()):
                day = dt.date.fromisoformat(row["date"])
                if day <= THE_DAY:
                    rows.append((str(day + self.shift), row["symbol"], row[close], row.get(value) or ""))
        rows.sort()
        self.rows = rows
        *_, before_last, self.last, _ = sorted({session for session, *_ in rows})
        # Where each symbol stood at the last two closes, and where it will stand at today's.
        self.earlier, self.before, self.after = (self._closes(s) for s in (before_last, self.last, str(self.today)))

    def _closes(self, session):
        return {symbol: float(close) for of, symbol, close, _ in self.rows if of == session}

    def past(self):
        """Sessions before today, as rows, and the last of them apart."""
        return [row for row in self.rows if row[0] < self.last], [row for row in self.rows if row[0] == self.last]

    def _hours(self):
        """Hours of today's session: open by now, and for as long as the drill may take."""
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight.replace(hour=FIRST_OPEN.hour, minute=FIRST_OPEN.minute)
        last = midnight.replace(hour=LAST_CLOSE.hour, minute=LAST_CLOSE.minute)
        opens = max(first, self.now - OPEN_SINCE)
        closes = min(last, max(midnight.replace(hour=16), self.now + 3 * OPEN_FOR))
        if not opens <= self.now <= closes - OPEN_FOR:
            raise NoSessionNow(f"it is {self.now:%H:%M} in New York: a session can be open from {FIRST_OPEN:%H:%M} to {last - OPEN_FOR:%H:%M} only")
        return opens.strftime("%H:%M"), closes.strftime("%H:%M")

    def reference(self):
        """Splits and members, moved."""
        text = (self.root / "data/us_top50_reference.ndjson").read_text()
        return DATE.sub(lambda found: str(dt.date.fromisoformat(found[0]) + self.shift), text).splitlines()

    def overlay(self):
        """The shipped overlay, in which the moved days are sessions and the days between them are none."""
        shipped = tomllib.loads((self.root / "config/calendar/xnys_overlay.toml").read_text())
        sessions = {dt.date.fromisoformat(session) for session, *_ in self.rows}
        span = {min(sessions) + dt.timedelta(n) for n in range((self.today - min(sessions)).days + 1)}

        def kept(name):
            return [d for d in shipped[name] if dt.date.fromisoformat(d) not in span]

        def hours(name, key, today):
            rows = [(r["session"], r[key]) for r in shipped[name] if dt.date.fromisoformat(r["session"]) not in span]
            # The built-in table has early closes of its own in the span: said here, they are full sessions.
            moved = [(str(d), "16:00") for d in sorted(sessions - {self.today})] if key == "close" else []
            return "\n".join(f'  {{ session = "{s}", {key} = "{at}" }},' for s, at in [*rows, *moved, (str(self.today), today)])

        def dates(name, more):
            return ", ".join(f'"{d}"' for d in [*kept(name), *map(str, sorted(more))])

        return (
            f'version = "drill of {self.today}"\n'
            f'valid_from = "{shipped["valid_from"]}"\nvalid_until = "{shipped["valid_until"]}"\n'
            f"closed = [{dates('closed', span - sessions)}]\nopen = [{dates('open', sessions)}]\n"
            f"early_closes = [\n{hours('early_closes', 'close', self.closes_at)}\n]\n"
            f"late_opens = [\n{hours('late_opens', 'open', self.opens)}\n]\n"
        )

    def price(self, symbol, part):
        """On the straight line from the last close to today's."""
        return between(self.before, self.after, symbol, part)

    def prices_of_last(self):
        """The last session before today by the hour: what is said at a close of who broke first needs times."""
        midnight = dt.datetime.combine(dt.date.fromisoformat(self.last), dt.time(), NEW_YORK)
        for hour in range(10, 16):
            ts = int(midnight.replace(hour=hour).timestamp()) * 10**9
            for symbol in self.before:
                yield ts, symbol, between(self.earlier, self.before, symbol, (hour - 9) / 7)


def between(before, after, symbol, part):
    """A price on the straight line between two closes; a symbol that is new begins at its second."""
    start = before.get(symbol, after[symbol])
    return start + (after[symbol] - start) * part
