#!/usr/bin/env python3
"""The disclosed trend follower on real closes, computed apart from the product.

    python tests/golden/trend.py

Reads trend_closes.csv beside this script and data/spy_daily_2024q4_2025q1.csv, writes trend_views.csv.
README.md has the definitions. Levels at which a signal turns are searched for, not solved. Needs pandas, numpy, scipy.
"""

import platform

import numpy as np
import pandas as pd
import scipy
from scipy.optimize import brentq

from daily_z import DATA, HERE

KEPT = 600  # closes
MOMENTUM = [21, 63, 126, 252]
FAST, SLOW = 20, 120
PAIRS = [(8, 24), (16, 48), (32, 96)]
TARGET, CAP, KAPPA = 0.4, 4.0, 1e10
HORIZON, SIGMAS = 21, 2.0
DATES = {"sp500": 42, "spy": 8}
NAMES = [f"tsmom_{n}" for n in MOMENTUM] + [f"ma_{FAST}_{SLOW}", "ewma_crossover"]
NAN = float("nan")


def volatility(closes: pd.Series) -> float:
    returns = np.log(closes).diff().dropna()
    if len(returns) < 60:
        return NAN
    return float(np.sqrt(261 * (returns**2).ewm(com=60, adjust=True).mean().iloc[-1]))


def gap(closes: pd.Series, pair: tuple[int, int]) -> pd.Series:
    fast, slow = (closes.ewm(alpha=1 / n, adjust=True).mean() for n in pair)
    return fast - slow


def crossover(closes: pd.Series) -> float:
    total = 0.0
    for pair in PAIRS:
        y = gap(closes, pair) / windows(closes, 63)
        y.iloc[: pair[1] - 1] = NAN
        x = (y / windows(y, 252)).iloc[-1]
        total += x * np.exp(-(x**2) / 4) / 0.89
    return total / len(PAIRS)


def windows(values: pd.Series, n: int) -> pd.Series:
    """Sample deviation of each window of n, in two passes."""
    out = np.full(len(values), NAN)
    if len(values) >= n:
        out[n - 1 :] = np.lib.stride_tricks.sliding_window_view(values.to_numpy(), n).std(axis=1, ddof=1)
    return pd.Series(out, index=values.index)


def moving(closes: pd.Series) -> float:
    return closes.tail(FAST).mean() - closes.tail(SLOW).mean()


def signals(closes: pd.Series) -> dict[str, float]:
    out = {}
    for n in MOMENTUM:
        out[f"tsmom_{n}"] = float(np.sign(closes.diff(n).iloc[-1])) if len(closes) > n else NAN
    out[f"ma_{FAST}_{SLOW}"] = float(np.sign(moving(closes))) if len(closes) >= SLOW else NAN
    out["ewma_crossover"] = crossover(closes)
    return out


def turns(closes: pd.Series, difference, sessions: int) -> float:
    """The price that, held for so many sessions, makes the difference nought."""

    def at(price: float) -> float:
        return difference(pd.Series(closes.tolist() + [price] * sessions))

    low, high = closes.iloc[-1] * 1e-6, closes.iloc[-1] * 1e3
    if np.sign(at(low)) == np.sign(at(high)):
        return NAN
    return brentq(at, low, high, xtol=1e-12, rtol=1e-15)


def triggers(closes: pd.Series, known: dict[str, float]) -> dict[str, float]:
    out = {}
    for sessions in (1, HORIZON):
        for n in MOMENTUM:
            ok = not np.isnan(known[f"tsmom_{n}"])
            out[f"trigger_tsmom_{n}_{sessions}"] = (
                turns(closes, lambda c, n=n: c.diff(n).iloc[-1], sessions) if ok else NAN
            )
        ok = not np.isnan(known[f"ma_{FAST}_{SLOW}"])
        out[f"trigger_ma_{FAST}_{SLOW}_{sessions}"] = turns(closes, moving, sessions) if ok else NAN
        for pair in PAIRS:
            ok = not np.isnan(known["ewma_crossover"])
            out[f"trigger_ewma_{pair[0]}_{pair[1]}_{sessions}"] = (
                turns(closes, lambda c, pair=pair: gap(c, pair).iloc[-1], sessions) if ok else NAN
            )
    return out


def view(closes: pd.Series) -> dict[str, float]:
    closes = closes.tail(KEPT).reset_index(drop=True)
    now, sigma = signals(closes), volatility(closes)
    followed = [name for name in NAMES if not np.isnan(now[name])]

    def held(values: dict[str, float], names: list[str], sigma: float) -> float:
        mean = np.mean([values[n] for n in names]) if names else NAN
        return KAPPA * np.clip(mean, -1, 1) * np.minimum(TARGET / sigma, CAP)

    position = held(now, followed, sigma)
    row = {"close": closes.iloc[-1], "volatility": sigma, "known": len(followed), "position": position, **now}
    for sign, path in ((-1, "down"), (0, "flat"), (1, "up")):
        end_log = sign * SIGMAS * sigma / np.sqrt(261) * np.sqrt(HORIZON)
        steps = np.linspace(0, end_log, HORIZON + 1)[1:]
        ahead = pd.Series(np.concatenate([closes, closes.iloc[-1] * np.exp(steps)]))
        if np.isnan(sigma):
            end, end_sigma = dict.fromkeys(NAMES, NAN), NAN
        else:
            end, end_sigma = signals(ahead), volatility(ahead)
        row[f"{path}_price"] = ahead.iloc[-1]
        row[f"{path}_volatility"] = end_sigma
        row[f"{path}_flow"] = held(end, followed, end_sigma) - position
        for name in NAMES:
            alone = [name] if name in followed else []
            row[f"{path}_{name}"] = held(end, alone, end_sigma) - held(now, alone, sigma)
    row["asymmetry"] = abs(row["down_flow"]) / abs(row["up_flow"]) if row["up_flow"] else NAN
    return {**row, **triggers(closes, now)}


def main() -> None:
    print(f"python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}, scipy {scipy.__version__}")
    long = pd.read_csv(HERE / "trend_closes.csv")
    spy = pd.read_csv(DATA / "spy_daily_2024q4_2025q1.csv").rename(columns={"date": "session"})
    table = []
    for series, frame in (("sp500", long), ("spy", spy)):
        for place in np.linspace(59, len(frame) - 1, DATES[series]).round().astype(int):
            row = view(frame.close.iloc[: place + 1])
            table.append({"series": series, "session": frame.session.iloc[place], **row})
    table = pd.DataFrame(table)
    table.to_csv(HERE / "trend_views.csv", index=False, float_format="%.15g", lineterminator="\n")
    print(table[["series", "session", "volatility", "known", "position", "down_flow", "up_flow", "asymmetry"]].to_string())


if __name__ == "__main__":
    main()
