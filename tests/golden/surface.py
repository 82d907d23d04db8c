#!/usr/bin/env python3
"""Expected correlations, volatilities and path of the index over the shipped months, computed apart from the product.

    python tests/golden/surface.py

Reads data/, writes surface_sessions.csv beside this script. README.md has the definitions. Needs what composite.py needs.
"""

import numpy as np
import pandas as pd

from composite import COVERAGE, MAG7, inputs, universe, write
from daily_z import DATA

WINDOWS = [21, 63]
LEAST, MOST = 63, 252
MAG7_KEYS = sorted(MAG7)


def index_returns(span: pd.Index) -> pd.Series:
    """Log returns of the index's closes, where the session before has one."""
    spy = pd.read_csv(DATA / "spy_daily_2024q4_2025q1.csv").set_index("date").close
    return np.log(spy.reindex(span)).diff()


def members(r: pd.DataFrame, value: pd.Series, names: list[str], days: int) -> tuple[pd.DataFrame, pd.Series] | None:
    """The names known in each of the newest days, and their weights; none when they are too little of the value."""
    worth = value[names].dropna()
    newest = r[worth.index].tail(days)
    whole = newest.columns[newest.notna().all()]
    if worth.sum() <= 0 or worth[whole].sum() < COVERAGE * worth.sum():
        return None
    return newest[whole], worth[whole] / worth[whole].sum()


def row(r: pd.DataFrame, index: pd.Series, value: pd.Series, names: list[str]) -> dict:
    """r and index end with the session."""
    found = {}
    for days in WINDOWS:
        beneath = members(r, value, names, days) if len(r) >= days else None
        above = index.tail(days).std(ddof=1) if len(r) >= days and index.tail(days).notna().all() else np.nan
        found[f"index_sigma_{days}"] = above
        if beneath is None:
            continue
        of, w = beneath
        sigma = of.std(ddof=1)
        found[f"stock_sigma_{days}"] = together = (w * sigma).sum()
        found[f"ratio_{days}"] = together / above
        own = (w**2 * sigma**2).sum()
        found[f"implied_correlation_{days}"] = (above**2 - own) / (together**2 - own)
        if days == WINDOWS[1]:
            pairs = np.corrcoef(of.to_numpy(), rowvar=False)
            found["mean_correlation"] = pairs[np.triu_indices(len(pairs), 1)].mean()
    seen = r[r[value[names].dropna().index].notna().any(axis=1)]
    if len(seen) >= LEAST and (beneath := members(seen, value, names, min(len(seen), MOST))):
        values = np.linalg.eigvalsh(np.cov(beneath[0].to_numpy(), rowvar=False))[::-1]
        found["absorption_ratio"] = values[: max(1, round(len(values) / 5))].sum() / values.sum()
    steps = index.tail(WINDOWS[1])
    if len(steps) == WINDOWS[1] and steps.notna().all():
        level = np.exp(np.concatenate([[0.0], steps.cumsum()]))
        found["net_return"] = level[-1] / level[0] - 1
        found["efficiency"] = abs(np.log(level[-1] / level[0])) / steps.abs().sum()
        found["range"] = level.max() / level.min() - 1
        found["below_high"] = 1 - level[-1] / level.max()
    return found


def main() -> None:
    data = inputs()
    r, value = data["r"], data["value"]
    # The session without a snapshot of all closes is one of which the groups have heard nothing but the index.
    index = index_returns(r.index)
    rows = []
    for session in r.index:
        for group, names in {"mag7": MAG7_KEYS, "top50": universe(value.loc[session])}.items():
            found = row(r.loc[:session], index.loc[:session], value.loc[session], names)
            rows.append({"session": session, "group": group} | found)
    frame = pd.DataFrame(rows)
    write(frame, "surface_sessions.csv")
    print(frame[frame.session.isin(["2025-01-27", "2025-02-12"])].T.to_string())


if __name__ == "__main__":
    main()
