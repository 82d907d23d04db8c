#!/usr/bin/env python3
"""Expected conditional lift and follow-through of the Magnificent 7 among the 50 largest, computed apart from the product.

    python tests/golden/contagion.py

Reads data/, writes contagion.csv and contagion_shipped.csv beside this script. README.md has the definition. Needs what
composite.py needs.
"""

import platform

import numpy as np
import pandas as pd
import scipy
from scipy.stats import beta

from composite import COVERAGE, SIGMAS, breadth, inputs, universe
from daily_z import DATA, HERE, MAG7

WINDOW, SESSIONS_MIN, OF_A_KIND_MIN = 504, 63, 5
BROAD, SHOCK, FOLLOWED_MIN = 0.05, 0.08, 5


def lift(table: pd.DataFrame) -> pd.DataFrame:
    """Rolling counts of the newest 504 rows, the row itself included."""
    hit, broad = table.breached, table.breadth >= BROAD
    count = lambda mask: mask.astype(int).rolling(WINDOW, min_periods=1).sum().astype(int)
    out = pd.DataFrame({
        "breach_sessions": count(hit), "breach_broad": count(hit & broad),
        "none_sessions": count(~hit), "none_broad": count(~hit & broad),
    })
    known = (out.breach_sessions + out.none_sessions >= SESSIONS_MIN)
    known &= (out.breach_sessions >= OF_A_KIND_MIN) & (out.none_sessions >= OF_A_KIND_MIN)
    for arm in ("breach", "none"):
        n, k = out[f"{arm}_sessions"], out[f"{arm}_broad"]
        out[f"{arm}_p"] = (k / n).where(known)
        for end, tail in (("low", 0.025), ("high", 0.975)):
            out[f"{arm}_{end}"] = pd.Series(beta.ppf(tail, k + 0.5, n - k + 0.5), index=out.index).where(known)
    out["lift"] = (out.breach_p / out.none_p).where(known & (out.none_broad > 0))
    return out


def follow(table: pd.DataFrame) -> pd.DataFrame:
    """Of each shock the forecast for the next row, from rows up to the shock alone; then what came and the errors so far."""
    b = table.breadth
    after = b.shift(1) >= SHOCK
    # At row t: sessions after a shock among the rows up to t.
    n, total, broad = after.cumsum(), b.where(after, 0.0).cumsum(), (after & (b >= BROAD)).cumsum()
    made = (b >= SHOCK) & (n >= FOLLOWED_MIN)
    rows = np.arange(1, len(b) + 1)
    out = pd.DataFrame({
        "expected": (total / n.where(n > 0)).where(made),
        "probability": ((broad + 0.5) / (n + 1)).where(made),
        "base": b.expanding().mean().where(made),
        "base_probability": (((b >= BROAD).cumsum() + 0.5) / (rows + 1)).where(made),
    })
    forecast = out.shift(1)
    scored = forecast.expected.notna()
    outcome = (b >= BROAD).astype(float)
    errors = {
        "absolute_error": (forecast.expected - b).abs(), "base_absolute_error": (forecast.base - b).abs(),
        "brier": (forecast.probability - outcome) ** 2, "base_brier": (forecast.base_probability - outcome) ** 2,
    }
    out["followed"], out["scored"] = n, scored.cumsum()
    for name, error in errors.items():
        out[name] = error.where(scored).expanding().mean()
    return out


def shipped(past: pd.DataFrame) -> pd.DataFrame:
    """The shipped months after the rows of the past: its row where they know too little, their own numbers where they do not."""
    z, value = inputs()["z"], inputs()["value"]
    rows = {row.session: row._asdict() for row in past.itertuples(index=False)}
    for session in z.index:
        top, scores, members = universe(value.loc[session]), z.loc[session], z.loc[session, MAG7]
        own = {"session": session, "breadth": breadth(top, scores)["breadth"]}
        if (members.abs() >= SIGMAS).any() or members.notna().mean() >= COVERAGE:
            own["breached"] = bool((members.abs() >= SIGMAS).any())
        own["others"] = breadth([s for s in top if s not in MAG7], scores)["breadth"]
        rows[session] = rows.get(session, {}) | {k: v for k, v in own.items() if v == v}
    # The last two sessions are of SPY alone.
    table = pd.DataFrame(rows.values()).sort_values("session", ignore_index=True).dropna(subset="breadth")
    assert table.breached.notna().all()
    table["breached"] = table.breached.astype(bool)
    known = table[table.others.notna()]
    others = lift(known.assign(breadth=known.others)).add_prefix("others_").reindex(table.index)
    others = others.astype({c: "Int64" for c in others if c.endswith(("sessions", "broad"))})
    out = pd.concat([table.session, lift(table), others, follow(table)], axis=1)
    return out[out.session.isin(z.index)]


def main() -> None:
    print(f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}, scipy {scipy.__version__}")
    legs = pd.read_csv(DATA / "mag7_legs_2021_2024.csv")
    events = legs.top50_up + legs.top50_down
    table = pd.DataFrame({"session": legs.session, "breached": legs.members_breached > 0, "breadth": events / legs.top50_valid})
    out = pd.concat([table.session, lift(table), follow(table)], axis=1)
    out.to_csv(HERE / "contagion.csv", index=False, float_format="%.12g", lineterminator="\n")
    print(out.iloc[-1].to_string())
    months = shipped(table)
    months.to_csv(HERE / "contagion_shipped.csv", index=False, float_format="%.12g", lineterminator="\n")
    print(months.iloc[-1].to_string())

    # The same with breadth of the others alone: all seven are among the fifty.
    others = table.assign(breadth=(events - legs.members_breached) / (legs.top50_valid - 7))
    print("others alone:", lift(others).iloc[-1].to_string(), sep="\n")
    # Breadth of the whole S&P 500 panel, as the published figure.
    panel = table.assign(breadth=legs.sp500_count / legs.sp500_valid)
    print("S&P 500 panel:", lift(panel).iloc[-1].to_string(), sep="\n")


if __name__ == "__main__":
    main()
