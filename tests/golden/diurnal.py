#!/usr/bin/env python3
"""Simulated days of a known diurnal pattern, and the curve to be learned from them, computed apart from the product.

    python tests/golden/diurnal.py

Writes diurnal_ticks.csv.zst and diurnal_curve.json beside this script. README.md has the definition. Needs
pandas, numpy, zstandard and exchange_calendars; the seed is fixed.
"""

import json
import pathlib
import platform
import sys

import exchange_calendars
import numpy as np
import pandas as pd
import zstandard

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20250127
SESSIONS = 63
SYMBOLS = {f"S{n}": 0.01 + 0.004 * n for n in range(8)}
TRUTH = np.array([0.20, 0.13, 0.09, 0.07, 0.06, 0.05, 0.04, 0.045, 0.05, 0.055, 0.06, 0.07, 0.08])
OVERNIGHT = 0.3
STEPS = 26
JUMP_DAYS, JUMP_SIGMAS = 0.05, 3
CUT = 6.634896601021214  # scipy.stats.chi2.ppf(0.99, 1)
Q75 = 0.6744897501960817  # scipy.stats.norm.ppf(0.75)

calendar = exchange_calendars.get_calendar("XNYS", start="2024-10-01", end="2025-04-30")


def simulate(rng: np.random.Generator) -> pd.DataFrame:
    """Prices every quarter of an hour, an irregular first one, and a close; a jump in one day of twenty."""
    rows = []
    days = calendar.sessions_in_range("2024-11-25", "2025-03-20")
    for symbol, sigma in SYMBOLS.items():
        price = 100.0
        for day in days:
            opens, closes = calendar.session_open(day), calendar.session_close(day)
            price *= np.exp(sigma * np.sqrt(OVERNIGHT) * rng.standard_normal())
            length = (closes - opens).value
            first = opens + pd.Timedelta(int(rng.integers(0, 30_000)), "ms")
            rows.append(("tick", symbol, first.value, "", round(price, 4)))
            jump = rng.integers(1, STEPS) if rng.random() < JUMP_DAYS else -1
            for step in range(1, STEPS + 1):
                share = TRUTH[(step - 1) * 13 // STEPS] * 13 / STEPS
                price *= np.exp(sigma * np.sqrt((1 - OVERNIGHT) * share) * rng.standard_normal())
                if step == jump:
                    price *= np.exp(JUMP_SIGMAS * sigma)
                at = opens.value + length * step // STEPS
                # The last one comes just before the session ends.
                rows.append(("tick", symbol, at - (step == STEPS), "", round(price, 4)))
            rows.append(("close", symbol, "", day.strftime("%Y-%m-%d"), round(price, 4)))
    return pd.DataFrame(rows, columns=["type", "symbol", "ts", "session", "price"])


def half_hours(frame: pd.DataFrame) -> pd.DataFrame:
    """Log returns by symbol and session (rows) and half hour (columns), full sessions alone."""
    ticks = frame[frame.type == "tick"].assign(ts=lambda f: f.ts.astype("int64"))
    out = {}
    for symbol, one in ticks.groupby("symbol"):
        series = pd.Series(one.price.to_numpy(), index=pd.to_datetime(one.ts.to_numpy(), utc=True))
        for day in calendar.sessions_in_range("2024-11-25", "2025-03-20"):
            opens, closes = calendar.session_open(day), calendar.session_close(day)
            if closes - opens != pd.Timedelta("6.5h"):
                continue
            inside = series[(series.index >= opens) & (series.index < closes)]
            ends = pd.date_range(opens, closes, freq="30min")[1:]
            marks = [inside.iloc[0], *(inside.asof(end) for end in ends)]
            out[(symbol, day)] = np.diff(np.log(marks))
    return pd.DataFrame.from_dict(out, orient="index")


def shares(returns: pd.DataFrame) -> np.ndarray:
    """Weighted standard deviations by bucket, squared, as shares."""
    index = pd.MultiIndex.from_tuples(returns.index)
    last = sorted(set(index.get_level_values(1)))[-SESSIONS:]
    returns = returns[index.get_level_values(1).isin(last)]
    index = pd.MultiIndex.from_tuples(returns.index)
    scaled = []
    for symbol in SYMBOLS:
        part = returns[index.get_level_values(0) == symbol].to_numpy()
        scaled.append(part / np.median(np.abs(part)))
    pooled = np.vstack(scaled)
    scale = np.median(np.abs(pooled), axis=0) / Q75
    kept = np.where(pooled**2 <= CUT * scale**2, pooled, np.nan)
    variance = np.nanmean(kept**2, axis=0)
    return variance / variance.sum(), last


def overnight(frame: pd.DataFrame, before: pd.Timestamp) -> float:
    """Mean over the symbols of the share of squared overnight returns in the last 63 sessions."""
    own = []
    for _, one in frame.groupby("symbol"):
        closes = one[one.type == "close"].set_index("session").price
        ticks = one[one.type == "tick"]
        day = pd.to_datetime(ticks.ts.astype("int64"), utc=True).dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
        opens = ticks.groupby(day).price.first()
        on, intraday = np.log(opens / closes.shift()), np.log(closes / opens)
        both = pd.concat([on, intraday], axis=1)[lambda f: f.index < before.strftime("%Y-%m-%d")].dropna().tail(SESSIONS)
        squares = (both**2).sum()
        own.append(squares.iloc[0] / squares.sum())
    return float(np.clip(np.mean(own), 0.1, 0.6))


def main() -> None:
    frame = simulate(np.random.default_rng(SEED))
    text = frame.to_csv(index=False)
    (HERE / "diurnal_ticks.csv.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress(text.encode()))
    learned, days = shares(half_hours(frame))
    following = calendar.next_session(days[-1])
    result = {
        "from": following.strftime("%Y-%m-%d"),
        "first": days[0].strftime("%Y-%m-%d"),
        "last": days[-1].strftime("%Y-%m-%d"),
        "sessions": len(days),
        "shares": learned.tolist(),
        "overnight": overnight(frame, following),
        "true_shares": TRUTH.tolist(),
        # Jumps come during the session and are part of its variance.
        "true_overnight": OVERNIGHT / (1 + JUMP_DAYS * JUMP_SIGMAS**2),
    }
    (HERE / "diurnal_curve.json").write_text(json.dumps(result, indent=1) + "\n")
    versions = {m.__name__: m.__version__ for m in (np, pd, exchange_calendars, zstandard)}
    print(f"Python {platform.python_version()}", versions, file=sys.stderr)
    print(json.dumps(result), file=sys.stderr)


if __name__ == "__main__":
    main()
