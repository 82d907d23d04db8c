#!/usr/bin/env python3
"""Expected composite level, universe counts and fragility index, computed apart from the product.

    python tests/golden/composite.py

Reads data/, writes composite_sessions.csv, universe_sessions.csv, composite_without.json,
bootstrap.csv and usd_losses.csv beside this script. README.md has the definitions.
Exits 1 when an expectation is missed. Needs what daily_z.py needs, scikit-learn and arch.
"""

import functools
import json
import math
import platform
import sys

import arch
import exchange_calendars
import numpy as np
import pandas as pd
import sklearn
from arch.bootstrap import CircularBlockBootstrap
from sklearn.covariance import LedoitWolf

from daily_z import DATA, DIGITS, HERE, MAG7, SESSIONS, daily_z, strictly_before

TOP = 50
SIGMAS = 3
COVERAGE = 0.8
LONGEST, SHORTEST = 252, 63  # sessions behind a covariance
OBSERVATIONS = 252  # behind a percentile
BLOCK, RESAMPLES, SEED = 10, 10_000, 20250127
INTERVALS = ["2024-12-18", "2025-01-16", "2025-01-27", "2025-02-12", "2025-03-27"]
WITHOUT = "2025-01-27"
LEGS = ["basket_z", "rms_z", "turbulence", "breadth", "dispersion", "max_member_loss_usd", "group_loss_usd"]
NAN = float("nan")


def write(frame: pd.DataFrame, name: str) -> None:
    frame.to_csv(HERE / name, index=False, float_format=DIGITS, lineterminator="\n")


@functools.cache
def inputs() -> dict[str, pd.DataFrame]:
    """Sessions down, symbols across: log return, z, and value (of the session before)."""
    top50 = pd.read_csv(DATA / "us_top50_daily_2024q4_2025q1.csv").rename(columns={"date": "session"})
    records = [json.loads(x) for x in (DATA / "us_top50_reference.ndjson").read_text().splitlines()]
    splits = {(r["symbol"], r["ex_date"]): r["ratio"] for r in records if r["type"] == "split"}
    top50["ratio"] = [splits.get(key, 1.0) for key in zip(top50.symbol, top50.session)]
    z = daily_z(top50)
    span = SESSIONS[(SESSIONS >= top50.session.min()) & (SESSIONS <= top50.session.max())]

    def wide(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        return frame.pivot(index="session", columns="symbol", values=column).reindex(span)

    value = wide(top50, "market_cap").shift(1)
    return {"r": wide(z, "log_return"), "z": wide(z, "z"), "value": value}


def universe(value: pd.Series) -> list[str]:
    known = value.dropna().rename("value").rename_axis("symbol").reset_index()
    return known.sort_values(["value", "symbol"], ascending=[False, True]).symbol.head(TOP).tolist()


def weights(members: list[str], value: pd.Series, r: pd.Series) -> tuple[pd.Series, float]:
    """Shares of those with a return, and how much of the value they are; none when that is too little."""
    total = value[members].sum(skipna=False)
    moved = [m for m in members if not np.isnan(r[m])]
    known = value[moved].sum()
    coverage = known / total if total > 0 else NAN
    return (value[moved] / known if coverage >= COVERAGE else pd.Series(dtype=float)), coverage


def basket_return(w: pd.Series, r: pd.Series) -> float:
    return float(np.log1p((w * np.expm1(r[w.index])).sum())) if len(w) else NAN


def rms(w: pd.Series, z: pd.Series) -> float:
    return float(np.sqrt((w * z[w.index] ** 2).sum(skipna=False))) if len(w) else NAN


def losses(w: pd.Series, value: pd.Series, r: pd.Series) -> pd.Series:
    return -value[w.index] * np.expm1(r[w.index])


def breadth(members: list[str], z: pd.Series) -> dict:
    scores = z[members].dropna()
    up, down = int((scores >= SIGMAS).sum()), int((scores <= -SIGMAS).sum())
    enough = len(members) and len(scores) / len(members) >= COVERAGE
    return {
        "count": len(members),
        "valid": len(scores),
        "up": up,
        "down": down,
        "abs_z_sum": float(scores[scores.abs() >= SIGMAS].abs().sum()),
        "breadth": (up + down) / len(scores) if enough else NAN,
    }


def dispersion(members: list[str], value: pd.Series, r: pd.Series) -> float:
    w, _ = weights(members, value, r)
    if not len(w):
        return NAN
    simple = np.expm1(r[w.index])
    return float(np.sqrt((w * (simple - (w * simple).sum()) ** 2).sum()))


def covariance(prior: np.ndarray, today: np.ndarray) -> dict[str, float]:
    """Turbulence of `today` against `prior`, days down; both are complete."""
    fitted = LedoitWolf().fit(prior)
    distance = fitted.mahalanobis(today[None, :]).item()
    by_hand = (today - fitted.location_) @ np.linalg.solve(fitted.covariance_, today - fitted.location_)
    assert math.isclose(distance, by_hand, rel_tol=1e-9)
    magnitude = float(((today - fitted.location_) ** 2 / np.diag(fitted.covariance_)).mean())
    turbulence = distance / len(today)
    return {
        "shrinkage": fitted.shrinkage_,
        "log_determinant": float(np.linalg.slogdet(fitted.covariance_)[1]),
        "turbulence": turbulence,
        "magnitude_surprise": magnitude,
        "correlation_surprise": turbulence / magnitude,
    }


def legs() -> pd.DataFrame:
    r, z, value = (inputs()[k] for k in ("r", "z", "value"))
    rows = []
    for session in r.index:
        today, scores, worth = r.loc[session], z.loc[session], value.loc[session]
        w, coverage = weights(MAG7, worth, today)
        lost = losses(w, worth, today)
        top = universe(worth)
        row = {
            "session": session,
            "basket_return": basket_return(w, today),
            "rms_z": rms(w, scores),
            "breadth": breadth(top, scores)["breadth"],
            "dispersion": dispersion(top, worth, today),
            "max_member_loss_usd": lost.max() if len(w) else NAN,
            "group_loss_usd": lost.sum() if len(w) else NAN,
            "coverage": coverage,
        }
        prior = r.loc[r.index < session, MAG7].dropna().tail(LONGEST).to_numpy()
        if len(prior) >= SHORTEST and today[MAG7].notna().all():
            row |= covariance(prior, today[MAG7].to_numpy())
        rows.append(row)
    out = pd.DataFrame(rows)
    sigma, _ = strictly_before(out.basket_return.to_numpy())
    return out.assign(basket_z=out.basket_return / sigma)


def compared(values: pd.DataFrame) -> pd.DataFrame:
    return values.assign(basket_z=values.basket_z.abs())[["session", *LEGS]]


def percentiles(own: pd.DataFrame) -> pd.DataFrame:
    file = pd.read_csv(DATA / "mag7_legs_2021_2024.csv").rename(columns={"top50_dispersion": "dispersion"})
    file = compared(file.assign(breadth=(file.top50_up + file.top50_down) / file.top50_valid))
    own = compared(own)
    everything = pd.concat([file, own[own.session > file.session.max()]])
    out = own[["session"]].copy()
    for leg in LEGS:
        share = []
        for session, x in zip(own.session, own[leg]):
            h = everything.loc[everything.session < session, leg].dropna()
            known = not np.isnan(x) and len(h) >= OBSERVATIONS
            share.append(((h < x).sum() + 0.5 * (h == x).sum()) / len(h) if known else NAN)
        out[f"{leg}_percentile"] = share
    return out


def level(shares: pd.Series) -> str:
    if shares.notna().sum() < 3:
        return "UNKNOWN"
    high, extreme = (shares >= 0.95).sum(), (shares >= 0.99).sum()
    if high >= 5 and extreme >= 3:
        return "CRITICAL"
    if high >= 3:
        return "ALERT" if extreme >= 1 else "WATCH"
    return "CALM"


def index_of(rows: pd.DataFrame) -> float:
    valid = rows.valid.sum()
    return 100 * rows.abs_z_sum.sum() / valid if valid else NAN


GAP: list[float] = []  # between the indices that a rank compares


def rank(own: float, others: list[float]) -> int | None:
    GAP.extend(abs(x - own) for x in others if x != own)
    return None if np.isnan(own) else 1 + sum(x > own for x in others)


def universe_sessions() -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    z, value = inputs()["z"], inputs()["value"]
    sector_of = pd.read_csv(DATA / "us_top50_universe.csv").set_index("symbol").sector
    own = []
    for session in z.index:
        members = universe(value.loc[session])
        if not members:
            own.append({"session": session, "valid": 0, "up": 0, "down": 0, "abs_z_sum": 0.0})
            continue
        parts = sector_of[members].groupby(sector_of[members]).groups
        counts = {s: breadth(list(names), z.loc[session]) for s, names in sorted(parts.items())}
        sectors = ";".join(f"{s}:{c['valid']}:{c['up']}:{c['down']}" for s, c in counts.items())
        own.append({"session": session, **breadth(members, z.loc[session]), "sectors": sectors})
    own = pd.DataFrame(own)

    file = pd.read_csv(DATA / "fragility_index_history_1990_2024.csv")
    later = own[own.session > file.session.max()]
    history = pd.concat([file, later])[["session", "valid", "up", "down", "abs_z_sum"]]
    history["year"], history["day"] = history.session.str[:4].astype(int), history.session.str[5:]
    out, ytd_rows = [], {}
    for row in own.to_dict("records"):
        session, year = row["session"], int(row["session"][:4])
        before = history[(history.session < session) & (history.year == year)]
        ytd = pd.concat([before, own[own.session == session]])
        ytd_rows[session] = ytd
        events, valid, total = (ytd.up + ytd.down).sum(), ytd.valid.sum(), ytd.abs_z_sum.sum()
        earlier = [rows for y, rows in history.groupby("year") if y < year]
        index = index_of(ytd)
        known = not np.isnan(row.get("count", NAN))
        out.append(
            {k: row.get(k) if known else None for k in ("session", "count", "valid", "up", "down", "abs_z_sum", "sectors")}
            | {
                "session": session,
                "ytd_events": events,
                "ytd_valid": valid,
                "frequency_pct": 100 * events / valid,
                "magnitude": total / events if events else NAN,
                "index": index,
                "rank_full_years": rank(index, [index_of(rows) for rows in earlier]),
                "rank_same_day": rank(index, [index_of(rows[rows.day <= session[5:]]) for rows in earlier]),
                "years": len(earlier) + 1,
            }
        )
    out = pd.DataFrame(out)
    whole = ["count", "valid", "up", "down", "ytd_events", "ytd_valid", "rank_full_years", "rank_same_day", "years"]
    return out.astype(dict.fromkeys(whole, "Int64")), ytd_rows


def intervals(ytd_rows: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for session in INTERVALS:
        ytd = ytd_rows[session]
        resampled = CircularBlockBootstrap(
            BLOCK, ytd.abs_z_sum.to_numpy(float), ytd.valid.to_numpy(float), seed=SEED
        ).apply(lambda total, valid: 100 * total.sum() / valid.sum(), RESAMPLES)[:, 0]
        row = {"session": session, "sessions": len(ytd), "block": BLOCK, "resamples": RESAMPLES, "index": index_of(ytd)}
        for name, q in (("lower", 0.025), ("upper", 0.975)):
            four = 4 * np.sqrt(2 * q * (1 - q) / RESAMPLES)  # standard errors between two runs
            below, at, above = np.quantile(resampled, [q - four, q, q + four])
            row |= {name: at, f"{name}_from": below, f"{name}_to": above}
        rows.append(row)
    return pd.DataFrame(rows)


def usd_losses() -> pd.DataFrame:
    r, value = inputs()["r"], inputs()["value"]
    lost = -value * np.expm1(r)
    known = lost[lost.notna().any(axis=1)]
    out = pd.DataFrame({"session": lost.index}).set_index("session")
    out["symbol"], out["loss_usd"] = known.idxmax(axis=1), known.max(axis=1)
    out["rank"] = out.loss_usd.rank(ascending=False, method="first").astype("Int64")
    out["rank"] = out["rank"].where(out["rank"] <= 10)
    return out.reset_index()


def without(session: str) -> dict:
    today, scores, worth = (inputs()[k].loc[session] for k in ("r", "z", "value"))
    top = universe(worth)

    def figures(members: list[str], names: list[str]) -> dict:
        w, _ = weights(members, worth, today)
        wide = breadth(names, scores)
        row = {
            "basket_return": basket_return(w, today),
            "rms_z": rms(w, scores),
            "breadth_count": wide["count"],
            "breadth_valid": wide["valid"],
            "breadth_up": wide["up"],
            "breadth_down": wide["down"],
            "breadth": wide["breadth"],
            "group_loss_usd": losses(w, worth, today).sum(),
            "dispersion": dispersion(names, worth, today),
        }
        return {k: v if isinstance(v, int) else float(DIGITS % v) for k, v in row.items()}

    left = {m: figures([x for x in MAG7 if x != m], [x for x in top if x != m]) for m in MAG7}
    about = "the group and the 50 largest without one member; nobody moves up into the 50"
    return {"about": about, "session": session, "all": figures(MAG7, top), "without": left}


def main() -> int:
    print(
        f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}, "
        f"scikit-learn {sklearn.__version__}, arch {arch.__version__}, "
        f"exchange_calendars {exchange_calendars.__version__}"
    )
    values = legs()
    shares = percentiles(values)
    names = [f"{leg}_percentile" for leg in LEGS]
    sessions = values.merge(shares, on="session")
    sessions["level"] = sessions[names].apply(level, axis=1)
    extra = ["magnitude_surprise", "correlation_surprise", "coverage"]
    write(sessions[["session", "level", *LEGS, *names, *extra]], "composite_sessions.csv")

    counts, ytd_rows = universe_sessions()
    write(counts, "universe_sessions.csv")
    drawn = intervals(ytd_rows)
    write(drawn, "bootstrap.csv")
    lost = usd_losses()
    write(lost, "usd_losses.csv")
    (HERE / "composite_without.json").write_text(json.dumps(without(WITHOUT), indent=1) + "\n")

    tally = sessions.level.value_counts()
    calm = tally["CALM"] / (len(sessions) - tally.get("UNKNOWN", 0))
    print(f"levels {tally.to_dict()}, CALM {calm:.3f} of those known")
    for row in sessions[~sessions.level.isin(["CALM", "UNKNOWN"])].itertuples():
        parts = [f"{leg} {getattr(row, leg):.6g} ({getattr(row, leg + '_percentile'):.4f})" for leg in LEGS]
        print(f"{row.session} {row.level}: {', '.join(parts)}")
    unknown = sessions[sessions.level == "UNKNOWN"].session
    print(f"UNKNOWN: {', '.join(unknown)}")
    near = min((sessions[names] - edge).abs().min().min() for edge in (0.95, 0.99))
    print(f"nearest percentile to 0.95 or 0.99: {near:.2e}; nearest two indices in a rank: {min(GAP):.2e}")
    print(drawn.to_string(index=False))
    print(counts[counts.session.isin(INTERVALS)].drop(columns="sectors").to_string(index=False))
    print(lost[lost["rank"].notna()].sort_values("rank").to_string(index=False))

    critical = sessions[sessions.level == "CRITICAL"].session.tolist()
    expected = [
        ("CRITICAL on", critical, critical == ["2024-12-18", "2025-01-27"]),
        ("nine in ten CALM", round(calm, 3), 0.85 <= calm <= 0.95),
    ]
    for name, got, good in expected:
        print(f"{'ok    ' if good else 'MISSED'} {name}: {got}")
    return 0 if all(good for _, _, good in expected) else 1


if __name__ == "__main__":
    sys.exit(main())
