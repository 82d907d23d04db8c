#!/usr/bin/env python3
"""Maximum likelihood of Hawkes processes on simulated and real events, computed apart from the product.

    python tests/golden/hawkes.py

Reads megacaps30_daily_z.csv.zst, writes hawkes_events.csv and hawkes_fits.csv, all beside this script. README.md has the
definition. The likelihood is the double sum of the formula, maximised by scipy from several starts.
"""

import io
import platform

import numpy as np
import pandas as pd
import scipy
import zstandard
from scipy.optimize import minimize

from daily_z import HERE

SIGMAS = 3.0
DIGITS = "%.12g"
EVENTS_MIN = 50
# The range of time constants: the mean gap between events over the one, the time observed over the other.
SHORTEST, LONGEST = 100.0, 4.0


def excitations(times: np.ndarray, kinds: np.ndarray, marks: np.ndarray, beta: float, number: int) -> np.ndarray:
    """sum of mark * exp(-beta (t - s)) over the events of each kind before each event: a double sum."""
    lag = times[:, None] - times[None, :]
    weight = np.where(lag > 0, np.exp(-beta * np.where(lag > 0, lag, 0.0)), 0.0) * marks[None, :]
    return np.stack([weight[:, kinds == j].sum(axis=1) for j in range(number)], axis=1)


def log_likelihood(mu, alpha, beta, times, kinds, marks, horizon) -> float:
    number = len(mu)
    excited = excitations(times, kinds, marks, beta, number)
    intensity = mu[kinds] + (alpha[kinds] * excited).sum(axis=1)
    left = marks * (1 - np.exp(-beta * (horizon - times)))
    made = sum(alpha[i, j] / beta * left[kinds == j].sum() for i in range(number) for j in range(number))
    return float(np.log(intensity).sum() - mu.sum() * horizon - made)


def fit(times, kinds, marks, horizon, number):
    """The best of several starts, polished; parameters by their logarithms, so that 0 is out of reach but near.

    Last comes the verdict: whether the best is one that the product should take.
    """
    n = len(times)
    low, high = np.log(LONGEST / horizon), np.log(SHORTEST * n / horizon)

    def unpack(x):
        return np.exp(x[:number]), np.exp(x[number:-1]).reshape(number, number), float(np.exp(x[-1]))

    def loss(x):
        if np.abs(x).max() > 40 or not low <= x[-1] <= high:
            return 1e9
        return -log_likelihood(*unpack(x), times, kinds, marks, horizon)

    best = None
    counts = np.array([(kinds == i).sum() for i in range(number)])
    mean = marks.mean()
    limits = [(-40, 40)] * (number + number * number) + [(low, high)]
    for part in (0.05, 0.35, 0.65, 0.95):
        beta = np.exp(low + part * (high - low))
        start = np.concatenate(
            [np.log(0.6 * counts / horizon), np.log(np.full(number * number, 0.4 / number * beta / mean)), [np.log(beta)]]
        )
        got = minimize(loss, start, method="L-BFGS-B", bounds=limits, options={"maxiter": 500})
        if best is None or got.fun < best.fun:
            best = got
    for _ in range(3):
        best = minimize(loss, best.x, method="Nelder-Mead",
                        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 8000, "maxfev": 8000, "adaptive": True})
    mu, alpha, beta = unpack(best.x)
    mean_marks = np.array([marks[kinds == j].mean() for j in range(number)])
    branching = float(np.abs(np.linalg.eigvals(alpha * mean_marks[None, :] / beta)).max())
    if n < EVENTS_MIN:
        verdict = "TOO_FEW_EVENTS"
    elif branching < 1e-6:
        verdict = "NO_EXCITATION"
    elif min(best.x[-1] - low, high - best.x[-1]) < 1e-3:
        verdict = "NOT_CONVERGED"
    else:
        verdict = "FITTED" if branching < 1 else "EXPLOSIVE"
    return mu, alpha, beta, branching, -best.fun, verdict


def simulate(seed, mu, alpha, beta, horizon, mark):
    """Ogata's thinning."""
    dice = np.random.default_rng(seed)
    number = len(mu)
    left = np.zeros(number)
    now, out = 0.0, []
    while True:
        bound = (mu + alpha @ left).sum()
        step = dice.exponential(1 / bound)
        now += step
        left = left * np.exp(-beta * step)
        if now > horizon:
            break
        rates = mu + alpha @ left
        if dice.random() * bound > rates.sum():
            continue
        kind = int(dice.choice(number, p=rates / rates.sum()))
        m = float(mark(dice))
        out.append((round(now, 9), kind, round(m, 9)))
        left[kind] += m
    return pd.DataFrame(out, columns=["time", "kind", "mark"])


def real() -> dict[str, tuple[pd.DataFrame, float]]:
    """Of each stock the sessions, counted from its first, on which |z| >= 3; then of several, with how many of them."""
    packed = (HERE / "megacaps30_daily_z.csv.zst").read_bytes()
    rows = pd.read_csv(io.BytesIO(zstandard.ZstdDecompressor().decompress(packed)))
    rows["hit"] = rows.z.abs() >= SIGMAS
    cases = {}
    for symbol, own in rows.groupby("symbol"):
        own = own.sort_values("session").reset_index(drop=True)
        times = own.index[own.hit].to_numpy(dtype=float)
        cases[symbol] = (pd.DataFrame({"time": times, "kind": 0, "mark": 1.0}), float(len(own)))
    banks = rows[rows.symbol.isin(["BAC", "C", "JPM"])]
    for name, some in (("BANKS", banks), ("ALL", rows)):
        counts = some.groupby("session").hit.sum().sort_index().to_numpy(dtype=float)
        times = np.flatnonzero(counts).astype(float)
        cases[name] = (pd.DataFrame({"time": times, "kind": 0, "mark": counts[counts > 0]}), float(len(counts)))
    return cases


def main() -> None:
    print(f"python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, pandas {pd.__version__}")
    g7 = log_likelihood(np.array([0.1]), np.array([[0.5]]), 1.2, np.array([0, 0.4, 1.5, 1.6]), np.zeros(4, int), np.ones(4), 2.0)
    print(f"four events: {g7:.12g}")
    assert abs(g7 + 5.93585282769) < 1e-10
    ones = lambda dice: 1.0
    simulated = {
        "sim_one": (simulate(1, np.array([0.1]), np.array([[0.5]]), 1.2, 3000.0, ones), 3000.0),
        "sim_slow": (simulate(2, np.array([0.02]), np.array([[0.01]]), 1 / 60, 20000.0, ones), 20000.0),
        "sim_marked": (simulate(3, np.array([0.08]), np.array([[0.25]]), 0.9, 3000.0, lambda d: 1 + d.exponential(0.7)), 3000.0),
        "sim_two": (simulate(4, np.array([0.03, 0.08]), np.array([[0.15, 0.05], [0.3, 0.2]]), 0.8, 3000.0, ones), 3000.0),
    }
    events = pd.concat([frame.assign(case=case) for case, (frame, _) in simulated.items()])
    events[["case", "time", "kind", "mark"]].to_csv(HERE / "hawkes_events.csv", index=False, float_format=DIGITS, lineterminator="\n")
    table = []
    for case, (frame, horizon) in {**simulated, **real()}.items():
        times, kinds, marks = frame.time.to_numpy(), frame.kind.to_numpy(dtype=int), frame["mark"].to_numpy()
        number = int(kinds.max()) + 1
        mu, alpha, beta, branching, height, verdict = fit(times, kinds, marks, horizon, number)
        join = lambda xs: " ".join(DIGITS % x for x in np.ravel(xs))
        table.append({
            "case": case, "events": len(times), "horizon": horizon, "mu": join(mu), "alpha": join(alpha), "beta": beta,
            "branching_ratio": branching, "log_likelihood": height,
            # At parameters that are nobody's maximum.
            "at_half": log_likelihood(mu * 0.5, alpha * 0.5, beta * 0.5, times, kinds, marks, horizon),
            "verdict": verdict,
        })
        print(table[-1], flush=True)
    table = pd.DataFrame(table)
    table.to_csv(HERE / "hawkes_fits.csv", index=False, float_format=DIGITS, lineterminator="\n")


if __name__ == "__main__":
    main()
