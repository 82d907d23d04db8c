#!/usr/bin/env python3
"""Simulated ticks over four sessions, and the realized measures of each, computed apart from the product.

    python tests/golden/realized.py

Writes realized_ticks.csv.zst, realized_curve.ndjson and realized_sessions.csv beside this script. README.md has the
definitions. Needs numpy, pandas, scipy, zstandard and exchange_calendars; the seed is fixed.
"""

import json
import pathlib
import platform

import exchange_calendars
import numpy as np
import pandas as pd
import scipy
import zstandard
from intraday import critical, lee_mykland, measures
from scipy import stats

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20250127
SYMBOLS = {"AAA": (0.012, 6.0), "BBB": (0.03, 45.0)}  # daily sigma, mean seconds between prices
FIRST, LAST = "2024-11-26", "2024-12-02"  # with a holiday and a session that ends early
SHARES = np.array([0.20, 0.13, 0.09, 0.07, 0.06, 0.05, 0.04, 0.045, 0.05, 0.055, 0.06, 0.07, 0.08])
BAR, FULL, WINDOW, TAU = 300, 78, 141, 1800.0
JUMP = ("AAA", "2024-12-02", 12_000, -0.02)  # seconds after the open

calendar = exchange_calendars.get_calendar("XNYS", start="2024-10-01", end="2025-01-31")


def season(tau: np.ndarray) -> np.ndarray:
    """Share of a session's variance by the part tau of its length."""
    ends = np.concatenate([[0.0], np.cumsum(SHARES) / SHARES.sum()])
    return np.interp(tau, np.linspace(0.0, 1.0, len(ends)), ends)


def simulate(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for symbol, (sigma, gap) in SYMBOLS.items():
        price = 100.0
        for day in calendar.sessions_in_range(FIRST, LAST):
            opens, closes = calendar.session_open(day).value, calendar.session_close(day).value
            price *= np.exp(0.5 * sigma * rng.standard_normal())
            at = opens + (rng.exponential(gap * 1e9, 9_000).cumsum()).astype("int64")
            at = at[at < closes]
            # Some prices stand at a grid point, some at one instant with the one before.
            grid = rng.random(len(at)) < 0.01
            at[grid] = at[grid] // (BAR * 10**9) * (BAR * 10**9)
            at = np.sort(np.maximum(at, opens))
            passed = season((at - opens) / (closes - opens))
            steps = sigma * np.sqrt(np.diff(passed, prepend=0.0).clip(0.0)) * rng.standard_normal(len(at))
            path = price * np.exp(np.cumsum(steps))
            if (symbol, f"{day:%Y-%m-%d}") == JUMP[:2]:
                path[at > opens + JUMP[2] * 10**9] *= np.exp(JUMP[3])
            path = np.round(path, 2)
            rows += [("tick", symbol, ts, "", p) for ts, p in zip(at, path)]
            # The official close is not the last price, and a price after it belongs to no return.
            price = round(path[-1] * 1.002, 2)
            rows.append(("tick", symbol, closes + 2 * 10**9, "", round(price * 1.01, 2)))
            rows.append(("close", symbol, "", f"{day:%Y-%m-%d}", price))
    return pd.DataFrame(rows, columns=["type", "symbol", "ts", "session", "price"])


def five_minutes(ticks: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Log returns of a session between the prices in force five minutes apart, with their spans in seconds."""
    opens, closes = calendar.session_open(day), calendar.session_close(day)
    prices = pd.Series(ticks.price.to_numpy(), index=pd.to_datetime(ticks.ts.astype("int64").to_numpy(), utc=True))
    inside = prices[(prices.index >= opens) & (prices.index < closes)]
    in_force = inside.resample(f"{BAR}s", label="right", closed="right", origin=opens).last().ffill()
    # A price right at the open would make a bar that ends with it.
    in_force = in_force[in_force.index > opens]
    ends = pd.date_range(in_force.index[0], closes, freq=f"{BAR}s")
    in_force = in_force.reindex(ends).ffill()
    starts = np.concatenate([[inside.index[0].value], ends[:-1].as_unit("ns").asi8])
    before = np.concatenate([[inside.iloc[0]], in_force.to_numpy()[:-1]])
    length = (closes - opens).value
    ends = ends.as_unit("ns").asi8
    return pd.DataFrame({
        "end": ends,
        "seconds": (ends - starts) / 1e9,
        "r": np.log(in_force.to_numpy() / before),
        "factor": np.sqrt((season((ends - opens.value) / length) - season((starts - opens.value) / length)) * FULL),
    })


def ewma(bars: pd.DataFrame, seconds: float) -> float:
    """Rates averaged with explicit weights, by the time since each return."""
    age = bars.seconds[::-1].cumsum()[::-1].to_numpy()
    weights = np.exp(-(age - bars.seconds) / TAU) - np.exp(-age / TAU)
    return (weights * bars.r**2 / bars.seconds).sum() / weights.sum() * seconds


def p_of(statistic: float) -> float:
    """Probability that the largest of a full session is at least as large, from the quantiles at two levels."""
    a, b = critical(FULL, 0.01), critical(FULL, 0.05)
    qa, qb = stats.gumbel_r.isf(0.01), stats.gumbel_r.isf(0.05)
    scale = (a - b) / (qa - qb)
    return stats.gumbel_r.sf((abs(statistic) - (a - scale * qa)) / scale)


def main() -> None:
    frame = simulate(np.random.default_rng(SEED))
    rows = []
    for symbol, ticks in frame[frame.type == "tick"].groupby("symbol"):
        even = []
        for day in calendar.sessions_in_range(FIRST, LAST):
            bars = five_minutes(ticks, day)
            x = (bars.r / bars.factor).to_numpy()
            m = {k: v[0] for k, v in measures(bars.r.to_numpy()[None, :]).items()}
            jump = {k: v[0] for k, v in measures(x[None, :]).items()}
            row = {"symbol": symbol, "session": f"{day:%Y-%m-%d}", "returns": len(bars)}
            row |= {k: m[k] for k in ("variance", "bipower_variation", "min_variance", "median_variance")}
            row |= {"tripower_quarticity": m["tripower_quarticity"]}
            opens, closes = calendar.session_open(day), calendar.session_close(day)
            row |= {"ewma_variance": ewma(bars, (closes - opens).total_seconds())}
            row |= {"jump_z": jump["z"], "jump_p": jump["p_value"]}
            statistics = lee_mykland(np.concatenate([*even, x]), WINDOW)[-len(x):] if even else np.full(len(x), np.nan)
            if np.isfinite(statistics).any():
                at = int(np.nanargmax(np.abs(statistics)))
                row |= {"end": int(bars.end[at]), "log_return": bars.r[at], "statistic": statistics[at]}
                row |= {"p": p_of(statistics[at])}
            even.append(x)
            rows.append(row)
    out = pd.DataFrame(rows)
    out["end"] = out["end"].astype("Int64")
    text = frame.to_csv(index=False, float_format="%.15g").encode()
    (HERE / "realized_ticks.csv.zst").write_bytes(zstandard.ZstdCompressor(19).compress(text))
    curve = {"type": "curve", "symbol": None, "from": FIRST, "shares": SHARES.tolist(), "sessions": 63}
    lines = [json.dumps(curve | {"symbol": symbol, "source": "simulated"}) for symbol in SYMBOLS]
    (HERE / "realized_curve.ndjson").write_text("\n".join(lines) + "\n")
    out.to_csv(HERE / "realized_sessions.csv", index=False, float_format="%.15g")
    print(out.to_string())
    print(platform.python_version(), {m.__name__: m.__version__ for m in (np, pd, scipy, exchange_calendars)})


if __name__ == "__main__":
    main()
