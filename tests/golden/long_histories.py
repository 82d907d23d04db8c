#!/usr/bin/env python3
"""The 30 long histories: expected daily z in both modes, and what to expect of them.

    python tests/golden/long_histories.py

Reads data/megacaps30_ohlcv_1999_2021.csv.zst, writes megacaps30_daily_z.csv.zst
and megacaps30_total_return_z.csv.zst beside this script and the tables of
docs/long_histories.md. Needs what daily_z.py needs, whose definitions it uses.
"""

import io
import pathlib
import platform
import re
import sys

import exchange_calendars
import numpy as np
import pandas as pd
import zstandard

from daily_z import DATA, daily_z, describe, write_zst

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "long_histories.md"
SPECIAL = 0.05  # a dividend of this part of the price and more is shown


def table(rows: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(rows.columns) + " |", "|" + "---|" * len(rows.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows.itertuples(index=False)]
    return "\n".join(lines)


def shown(z: float) -> str:
    return "" if np.isnan(z) else f"{z + 0.0:.4f}"


def says(frame: pd.DataFrame) -> pd.Series:
    """What the product says at the close: an alert's state and z, or nothing."""
    held = frame["flags"].str.contains("SUSPECTED_SPLIT") & (frame.raw_z.abs() >= 3)
    confirmed = frame.z.abs() >= 3
    state = np.select([held, confirmed], ["PROVISIONAL", "CONFIRMED"], "")
    flags = frame["flags"].where(frame["flags"] == "", " " + frame["flags"])
    text = state + " " + frame.raw_z.map(shown) + flags
    return text.where(state != "", "no alert, " + frame.raw_z.map(shown) + flags)


def main() -> int:
    print(
        f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}, "
        f"zstandard {zstandard.__version__}, exchange_calendars {exchange_calendars.__version__}"
    )
    packed = (DATA / "megacaps30_ohlcv_1999_2021.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompress(packed).decode("ascii")
    names = {"split_coefficient": "ratio", "dividend_amount": "dividend"}
    mega = pd.read_csv(io.StringIO(text), dtype=str).rename(columns=names)
    mega[["close", "ratio", "dividend"]] = mega[["close", "ratio", "dividend"]].astype(float)
    more = ("ratio", "dividend", "raw_z", "reference")
    price, total = daily_z(mega, False, more), daily_z(mega, True, more)
    for frame, name in ((price, "megacaps30_daily_z"), (total, "megacaps30_total_return_z")):
        write_zst(frame.drop(columns=list(more)), f"{name}.csv.zst")
        describe(name, frame)

    # Same rows in the same order in both.
    assert price[["symbol", "session"]].equals(total[["symbol", "session"]])
    previous = price.sort_values(["symbol", "session"]).groupby("symbol").close.shift()
    part = (price.dividend / previous.reindex(price.index)).fillna(0.0)
    chosen = (price.ratio != 1) | (part >= SPECIAL)
    actions = pd.DataFrame(
        {
            "symbol": price.symbol[chosen],
            "session": price.session[chosen],
            "split": price.ratio[chosen].map(lambda r: "" if r == 1 else f"{r:g}"),
            "dividend": price.dividend[chosen].map(lambda d: "" if d == 0 else f"{d:g}"),
            "price_return": says(price[chosen]),
            "total_return": says(total[chosen]),
        }
    )
    large = total.z.abs() >= 6
    days = pd.DataFrame(
        {
            "symbol": price.symbol[large],
            "session": price.session[large],
            "price_return": price.z[large].map(shown),
            "total_return": total.z[large].map(shown),
        }
    )
    suspected = [
        f"{row.symbol} {row.session}"
        for frame in (price, total)
        for row in frame[frame["flags"].str.contains("SUSPECTED_SPLIT")].itertuples()
    ]
    print(f"suspected splits: {suspected}")
    assert suspected == ["GOOGL 2014-04-03"], "in price_return alone"

    page = PAGE.read_text(encoding="utf-8")
    for name, rows in (("actions", actions), ("days", days)):
        block = f"<!-- {name} -->\n{table(rows)}\n<!-- end -->"
        page, n = re.subn(f"<!-- {name} -->.*?<!-- end -->", lambda _: block, page, flags=re.DOTALL)
        assert n == 1, name
        print(f"{name}: {len(rows)} rows")
    PAGE.write_text(page, encoding="utf-8")

    def z_of(frame: pd.DataFrame, symbol: str, session: str) -> float:
        return frame[(frame.symbol == symbol) & (frame.session == session)].raw_z.item()

    anchors = [
        ("GOOGL 2014-04-03 as it stands", z_of(price, "GOOGL", "2014-04-03"), -58.4, 0.05),
        ("MRK 2004-09-30 is genuine", abs(z_of(total, "MRK", "2004-09-30")) >= 6, True, 0),
        ("MSFT 2004-11-15 is none", abs(z_of(total, "MSFT", "2004-11-15")) < 3, True, 0),
        ("MSFT 2004-11-15 shows in price_return", abs(z_of(price, "MSFT", "2004-11-15")) >= 3, True, 0),
    ]
    missed = 0
    for name, got, want, tolerance in anchors:
        good = abs(got - want) <= tolerance
        missed += not good
        print(f"{'ok    ' if good else 'MISSED'} {name}: {got} (wanted {want})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
