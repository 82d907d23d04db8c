#!/usr/bin/env python3
"""Expected percentile of the breadth of the 50 largest, and their co-exceedances, computed apart from the product.

    python tests/golden/breadth.py

Reads data/ and universe_sessions.csv, writes breadth_sessions.csv beside this script. README.md has the definitions. Needs
what composite.py needs.
"""

import platform

import pandas as pd

from composite import MAG7, OBSERVATIONS, inputs, universe
from daily_z import DATA, DIGITS, HERE

LONGEST, SHORTEST, TAIL = 252, 63, 0.05


def percentiles() -> pd.Series:
    """Mid-rank of each shipped session's breadth among those before it; the file's sessions are the file's."""
    past = pd.read_csv(DATA / "fragility_index_history_1990_2024.csv").query("universe == 'top50'").set_index("session")
    own = pd.read_csv(HERE / "universe_sessions.csv").dropna(subset="valid").set_index("session")
    own = own[(own.valid > 0) & (own.valid >= 0.8 * own["count"])]
    ratio = lambda t: (t.up + t.down) / t.valid
    file, shipped = ratio(past), ratio(own)
    history = pd.concat([file, shipped[shipped.index > file.index.max()]])
    found = {}
    for session, value in shipped.items():
        before = history[history.index < session]
        if len(before) >= OBSERVATIONS:
            found[session] = ((before < value).sum() + (before == value).sum() / 2) / len(before)
    return pd.Series(found)


def co_exceedance(names: list[str], r: pd.DataFrame) -> dict:
    """r ends with the session."""
    found = {"lower": 0, "upper": 0, "valid": 0}
    today, before = r.iloc[-1], r.iloc[:-1]
    for name in names:
        past = before[name].dropna().tail(LONGEST)
        if pd.isna(today[name]) or len(past) < SHORTEST:
            continue
        found["valid"] += 1
        found["lower"] += int(today[name] <= past.quantile(TAIL))
        found["upper"] += int(today[name] >= past.quantile(1 - TAIL))
    return found


def main() -> None:
    print(f"python {platform.python_version()}, pandas {pd.__version__}")
    data, rank = inputs(), percentiles()
    r, value = data["r"], data["value"]
    rows = []
    for session in r.index:
        row = {"session": session, "percentile": rank.get(session)}
        for group, names in {"mag7": MAG7, "top50": universe(value.loc[session])}.items():
            row |= {f"{group}_{k}": n for k, n in co_exceedance(names, r.loc[:session]).items()}
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame.to_csv(HERE / "breadth_sessions.csv", index=False, float_format=DIGITS, lineterminator="\n")
    print(frame[frame.session.isin(["2024-12-18", "2025-01-27", "2025-03-27"])].T.to_string())


if __name__ == "__main__":
    main()
