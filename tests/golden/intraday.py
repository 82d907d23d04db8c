#!/usr/bin/env python3
"""Expected realized measures and jump statistics on simulated sessions, computed apart from the product.

    python tests/golden/intraday.py

Writes intraday_sessions.csv, intraday_bars.csv.zst, variance_rate.csv and intraday_rates.csv beside this
script. README.md has the definitions. Needs numpy, pandas, scipy and zstandard; the seed is in the script.
"""

import math
import pathlib
import platform

import numpy as np
import pandas as pd
import scipy
import zstandard
from scipy import stats
from scipy.special import gamma

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20250127
BARS = 78
WINDOW = math.ceil(math.sqrt(252 * BARS))
SESSIONS = 25  # of each scenario in the golden tables
TRIALS = 40_000  # sessions of each scenario behind the rates
SIGMA = 0.015  # of a typical session
SPREAD, PERSISTENCE = 0.35, 0.97  # of the logarithm of a session's sigma, where it moves
JUMP = 0.8  # in sigmas of its session
LEVEL = 0.01
DIGITS = "%.15g"

MU_1 = math.sqrt(2.0 / math.pi)
MU_4_3 = 2.0 ** (2.0 / 3.0) * gamma(7.0 / 6.0) / gamma(0.5)


def season() -> np.ndarray:
    """Volatility by time of day, calm at noon; its squares have mean 1."""
    u = (np.arange(BARS) + 0.5) / BARS
    f = 0.6 + 1.1 * np.exp(-9.0 * u) + 0.3 * u**4
    return f / math.sqrt((f**2).mean())


def simulate(rng, sessions: int, seasonal: bool, jumps: bool):
    """Brownian returns; per session the integrated variance; which bar jumped (-1: none).

    The flat scenario has one volatility throughout, the others one that moves slowly from session to session.
    """
    log_sigma = np.zeros(sessions)
    if seasonal:
        steps = rng.standard_normal(sessions) * SPREAD * math.sqrt(1 - PERSISTENCE**2)
        log_sigma[0] = SPREAD * rng.standard_normal()
        for t in range(1, sessions):
            log_sigma[t] = PERSISTENCE * log_sigma[t - 1] + steps[t]
    sigma = SIGMA * np.exp(log_sigma)
    factor = season() if seasonal else np.ones(BARS)
    returns = rng.standard_normal((sessions, BARS)) * factor * sigma[:, None] / math.sqrt(BARS)
    bar = np.full(sessions, -1)
    if jumps:
        bar = np.where(rng.random(sessions) < 0.5, rng.integers(0, BARS, sessions), -1)
        sign = rng.choice([-1.0, 1.0], sessions)
        hit = bar >= 0
        returns[np.flatnonzero(hit), bar[hit]] += (JUMP * sigma * sign)[hit]
    # As written to the table: the same path on both sides.
    return np.round(returns, 7), sigma**2, bar, factor


def measures(r: np.ndarray) -> dict[str, np.ndarray]:
    """The formulas, one session a row."""
    m = r.shape[1]
    a = np.abs(r)
    pairs = np.stack([a[:, 1:], a[:, :-1]])
    triples = np.stack([a[:, 2:], a[:, 1:-1], a[:, :-2]])
    rv = (r**2).sum(axis=1)
    bv_plain = math.pi / 2 * pairs.prod(axis=0).sum(axis=1)
    bv = bv_plain * m / (m - 1)
    minrv = math.pi / (math.pi - 2) * m / (m - 1) * (pairs.min(axis=0) ** 2).sum(axis=1)
    medrv = math.pi / (6 - 4 * math.sqrt(3) + math.pi) * m / (m - 2) * (np.median(triples, axis=0) ** 2).sum(axis=1)
    tq_plain = m * MU_4_3**-3 * (triples.prod(axis=0) ** (4 / 3)).sum(axis=1)
    tq = tq_plain * m / (m - 2)
    theta = math.pi**2 / 4 + math.pi - 5
    z = ((rv - bv) / rv) / np.sqrt(theta / m * np.maximum(1.0, tq / bv**2))
    return {
        "variance": rv,
        "bipower_variation": bv,
        "bipower_variation_uncorrected": bv_plain,
        "jump_variation": np.maximum(rv - bv, 0.0),
        "min_variance": minrv,
        "median_variance": medrv,
        "tripower_quarticity": tq,
        "tripower_quarticity_uncorrected": tq_plain,
        "z": z,
        "p_value": stats.norm.sf(z),
    }


def lee_mykland(x: np.ndarray, window: int) -> np.ndarray:
    """L of each de-seasoned return; unknown for the first window - 1."""
    products = np.abs(x[1:]) * np.abs(x[:-1])  # products[j - 1] is |x_j||x_(j-1)|
    out = np.full(len(x), np.nan)
    # j from i - K + 2 to i - 1.
    sums = np.lib.stride_tricks.sliding_window_view(products, window - 2)
    sums = sums.sum(axis=1)
    out[window - 1 :] = x[window - 1 :] / np.sqrt(sums[:-1] / (window - 2))
    return out


def critical(n: int, level: float) -> float:
    c, root = MU_1, math.sqrt(2 * math.log(n))
    centre = root / c - (math.log(math.pi) + math.log(math.log(n))) / (2 * c * root)
    return centre + stats.gumbel_r.isf(level) / (c * root)


def variance_rate(rng) -> pd.DataFrame:
    """Ticks at irregular times, several at one; the average by explicit weights, no recursion."""
    tau, n = 30.0, 400
    dt = np.where(rng.random(n) < 0.25, 0, (rng.exponential(2e9, n) + 1).astype(np.int64))
    dt[[90, 250]] = [3 * 10**11, 40 * 10**12]
    dt[0] = 1_500_000_000
    r = np.round(rng.standard_normal(n) * 2e-4, 9)
    at = np.cumsum(dt)
    rows = []
    for i in range(n):
        ticks = pd.DataFrame({"at": at[: i + 1], "r": r[: i + 1]}).groupby("at").r.sum()
        ends = ticks.index.to_numpy()
        lengths = np.diff(ends, prepend=0) / 1e9
        x = ticks.to_numpy() ** 2 / lengths
        age_end, age_start = (ends[-1] - ends) / 1e9, (ends[-1] - ends) / 1e9 + lengths
        # Time since the interval, weighed exponentially.
        weights = np.exp(-age_end / tau) - np.exp(-age_start / tau)
        rows.append((dt[i], r[i], (weights * x).sum() / weights.sum()))
    return pd.DataFrame(rows, columns=["dt_nanos", "log_return", "per_second"])


SCENARIOS = {"flat": (False, False), "seasonal": (True, False), "jumps": (True, True)}


def rates(rng) -> pd.DataFrame:
    """How often the tests speak, and how far the measures are from the truth, over many sessions."""
    rows = []
    bound = critical(BARS, LEVEL)
    for name, (seasonal, jumps) in SCENARIOS.items():
        r, iv, bar, factor = simulate(rng, TRIALS, seasonal, jumps)
        m = measures(r)
        z = m["z"]
        calm, hit = bar < 0, bar >= 0
        hits = {
            "bns_size": (z > stats.norm.isf(LEVEL), calm),
            "bns_power": (z > stats.norm.isf(LEVEL), hit),
        }
        z = measures(r / factor)["z"]
        hits["bns_deseasoned_size"] = (z > stats.norm.isf(LEVEL), calm)
        hits["bns_deseasoned_power"] = (z > stats.norm.isf(LEVEL), hit)
        for label, f in (("lm", factor), ("lm_seasonless", np.ones(BARS))):
            statistic = np.abs(lee_mykland((r / f).ravel(), WINDOW)).reshape(r.shape)
            jump = statistic > bound
            at_bar = jump[np.arange(TRIALS), np.maximum(bar, 0)]
            hits[f"{label}_size"] = (jump.any(axis=1), calm)
            hits[f"{label}_power"] = (at_bar, hit)
        for label, (said, among) in hits.items():
            if among.any():
                p = said[among].mean()
                rows.append((name, label, int(among.sum()), p))
        for label in ("variance", "bipower_variation", "min_variance", "median_variance"):
            ratio = m[label] / iv
            rows.append((name, f"{label}_ratio", TRIALS, ratio.mean()))
    return pd.DataFrame(rows, columns=["scenario", "what", "sessions", "value"])


def main() -> None:
    print(f"python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__},",
          f"pandas {pd.__version__}")  # fmt: skip
    rng = np.random.default_rng(SEED)
    sessions, bars = [], []
    for name, (seasonal, jumps) in SCENARIOS.items():
        r, iv, bar, factor = simulate(rng, SESSIONS, seasonal, jumps)
        frame = pd.DataFrame(measures(r))
        frame.insert(0, "scenario", name)
        frame.insert(1, "session", range(SESSIONS))
        frame.insert(2, "integrated_variance", iv)
        frame.insert(3, "jump_bar", np.where(bar < 0, "", bar.astype(str)))
        sessions.append(frame)
        f = np.tile(factor, SESSIONS)
        x = r.ravel()
        bars.append(
            pd.DataFrame(
                {
                    "scenario": name,
                    "session": np.repeat(np.arange(SESSIONS), BARS),
                    "log_return": [f"{v:.7f}" for v in x],
                    "diurnal": [f"{v:.17g}" for v in f],
                    "lee_mykland": ["" if np.isnan(v) else f"{v:.12g}" for v in lee_mykland(x / f, WINDOW)],
                }
            )
        )
    pd.concat(sessions).to_csv(HERE / "intraday_sessions.csv", index=False, float_format=DIGITS, lineterminator="\n")
    text = pd.concat(bars).to_csv(index=False, lineterminator="\n")
    (HERE / "intraday_bars.csv.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress(text.encode("ascii")))
    variance_rate(rng).to_csv(HERE / "variance_rate.csv", index=False, float_format=DIGITS, lineterminator="\n")
    table = rates(rng)
    table.to_csv(HERE / "intraday_rates.csv", index=False, float_format="%.6g", lineterminator="\n")
    print(table.to_string())
    print("critical", critical(BARS, LEVEL), "window", WINDOW)


if __name__ == "__main__":
    main()
