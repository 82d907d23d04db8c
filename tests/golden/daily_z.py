#!/usr/bin/env python3
"""Expected daily z values, computed apart from the product.

    python tests/golden/daily_z.py

Reads data/, writes us_top50_daily_z.csv.zst, mag7_daily.csv and traps.json
beside this script. README.md has the definition. long_histories.py does the 30
long histories with the functions here.
Exits 1 when an anchor value is missed. Needs pandas, numpy, zstandard and
exchange_calendars.
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
DATA = HERE.parents[1] / "data"
WINDOW = 21
MAG7 = ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA"]
DIGITS = "%.12g"

SESSIONS = exchange_calendars.get_calendar(
    "XNYS", start="1999-01-01", end="2025-12-31"
).sessions.strftime("%Y-%m-%d")


SPLIT_RATIOS = [1.5, 2, 3, 4, 5, 7, 10, 20]  # and their inverses
LONG = 252
PINNED_SESSIONS = 10


def trailing(known: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Sample deviation of the last `window` of `known` up to each place.

    Two passes over each window; pandas' running sums keep a trace of a large
    value after it has left the window.
    """
    out = np.full(len(known), np.nan)
    if len(known) >= window:
        windows = np.lib.stride_tricks.sliding_window_view(known, window)
        out[window - 1 :] = windows.std(axis=1, ddof=1)
    return out


ROLLING_GAP: list[float] = []  # how far pandas' own rolling deviation is off


def strictly_before(returns: np.ndarray, window: int = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Per place: deviation of the last `window` known returns before it, and n."""
    known = ~np.isnan(returns)
    values = returns[known]
    before = np.cumsum(known) - known
    sigma = np.concatenate([[np.nan], trailing(values, window)])[before]
    rolling = np.concatenate([[np.nan], pd.Series(values).rolling(window).std(ddof=1)])[before]
    assert np.array_equal(np.isnan(sigma), np.isnan(rolling))
    ROLLING_GAP.append(np.nanmax(np.abs(rolling / sigma - 1), initial=0.0))
    return sigma, np.minimum(before, window)


def looks_like_split(log_return: np.ndarray) -> np.ndarray:
    size = np.abs(log_return)
    return np.any([np.abs(size - np.log(k)) <= 0.02 * np.log(k) for k in SPLIT_RATIOS], axis=0)


def one_symbol(frame: pd.DataFrame, calendar: pd.Index = SESSIONS, total_return: bool = False) -> pd.DataFrame:
    """`frame`: session, close, ratio and perhaps dividend of one symbol, in order.

    Adds `raw_return` and `raw_z` beside `log_return` and `z`: where a session
    looks like a split that nobody announced, the raw ones alone are known.
    """
    place = calendar.get_indexer(frame.session)
    assert (place >= 0).all() and (np.diff(place) > 0).all(), "a close outside the calendar"
    close = frame.close.to_numpy(float)
    ratio = frame.ratio.to_numpy(float)
    dividend = frame.dividend.to_numpy(float) if "dividend" in frame else np.zeros(len(frame))
    reference = np.full(len(frame), np.nan)  # previous session's close, adjusted
    adjacent = np.diff(place) == 1
    paid = dividend[1:] if total_return else 0.0
    reference[1:][adjacent] = (close[:-1] / ratio[1:] - paid)[adjacent]
    raw = np.log(close / reference)
    suspected = looks_like_split(raw) & (ratio == 1)
    returns = np.where(suspected, np.nan, raw)
    sigma, n = strictly_before(returns)
    enough = sigma >= np.fmax(0.005 / reference, 0.0002)
    z = np.where(enough, returns / sigma, np.nan)
    raw_z = np.where(enough, raw / sigma, np.nan)

    long_sigma, _ = strictly_before(returns, LONG)
    is_low = sigma < 0.25 * long_sigma
    level = pd.Series(close * np.cumprod(ratio)).rolling(PINNED_SESSIONS)
    within = (level.max() / level.min() <= 1.03 / 0.97).shift(1, fill_value=False).to_numpy(bool)
    marks = [
        ("EX_DIVIDEND", (dividend > 0) & ~np.isnan(reference) & (not total_return)),
        ("LOW_SIGMA", is_low),
        ("PINNED", is_low & within),
        ("SUSPECTED_SPLIT", suspected),
    ]
    flags = [" ".join(name for name, on in marks if on[k]) for k in range(len(frame))]
    return frame.assign(
        log_return=returns, sigma_daily=sigma, z=z, n=n, flags=flags, raw_return=raw, raw_z=raw_z, reference=reference
    )


def daily_z(closes: pd.DataFrame, total_return: bool = False, more: tuple[str, ...] = ()) -> pd.DataFrame:
    by_symbol = closes.sort_values("session").groupby("symbol")
    parts = [one_symbol(f, total_return=total_return) for _, f in by_symbol]
    columns = ["symbol", "session", "close", "log_return", "sigma_daily", "z", "n", "flags", *more]
    return pd.concat(parts).sort_values(["session", "symbol"])[columns].reset_index(drop=True)


def write_zst(frame: pd.DataFrame, name: str) -> None:
    text = frame.to_csv(index=False, float_format=DIGITS, lineterminator="\n")
    (HERE / name).write_bytes(zstandard.ZstdCompressor(level=19).compress(text.encode("ascii")))


def mag7(top50: pd.DataFrame, z: pd.DataFrame) -> pd.DataFrame:
    span = SESSIONS[(SESSIONS >= top50.session.min()) & (SESSIONS <= top50.session.max())]

    def wide(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        return frame.pivot(index="session", columns="symbol", values=column).reindex(span)[MAG7]

    returns, scores = wide(z, "log_return"), wide(z, "z")
    value = wide(top50, "market_cap").shift(1)  # previous calendar session
    # skipna=False: one unknown member makes the figure unknown.
    weights = value.div(value.sum(axis=1, skipna=False), axis=0)
    basket = np.log1p((weights * np.expm1(returns)).sum(axis=1, skipna=False))
    sigma, _ = strictly_before(basket.to_numpy())
    out = pd.DataFrame(
        {
            "basket_return": basket,
            "basket_sigma": sigma,
            "basket_z": basket / sigma,
            "rms_z": np.sqrt((weights * scores**2).sum(axis=1, skipna=False)),
            "members_in_breach": (scores.abs() >= 3).sum(axis=1),
        }
    )
    present = wide(top50, "close").notna().all(axis=1)
    return out[present].reset_index(names="session")


def replay(symbol: str, sessions: list[str], closes: list[float], calendar: pd.Index = SESSIONS) -> dict:
    frame = pd.DataFrame({"session": sessions, "close": closes, "ratio": 1.0})
    done = one_symbol(frame, calendar)

    def plain(v):
        return None if isinstance(v, float) and np.isnan(v) else v

    rows = [
        {k: plain(v) for k, v in row.items()}
        for row in done[["session", "close", "n", "log_return", "sigma_daily", "z"]].to_dict("records")
    ]
    return {"symbol": symbol, "rows": rows}


def leaking(returns: np.ndarray) -> tuple[float, float]:
    """z of the last return with itself in the window: plain, and mean removed."""
    window = returns[-WINDOW:]
    s = window.std(ddof=1)
    return float(returns[-1] / s), float((returns[-1] - window.mean()) / s)


def traps(top50: pd.DataFrame) -> dict:
    from_day = SESSIONS.get_loc("2025-01-02")
    cases = []

    # Leak: 21 alternating returns of one per cent, then a shock of five, and of 150; a doubling would look
    # like a split.
    for name, shock in (("leak", 1.05), ("leak_huge", 2.5)):
        steps = [0.01 if k % 2 == 0 else -0.01 for k in range(WINDOW)] + [np.log(shock)]
        closes = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(steps)]))
        case = replay("LEAK", list(SESSIONS[from_day : from_day + len(closes)]), closes.tolist())
        plain, centred = leaking(np.array(steps))
        case["wrong"] = {"leaking_z": plain, "leaking_z_mean_removed": centred}
        about = "today's return must stay out of its own window; with it inside, the mean-removed z can never pass 20/sqrt(21) = 4.364"
        cases.append({"name": name, "about": about, **case})

    # Cliff: one shock swells sigma for exactly 21 sessions, then drops out.
    rng = np.random.default_rng(20250127)
    steps = 0.006 * rng.standard_normal(60)
    shock_at = 29
    steps[shock_at] = -0.12
    closes = np.round(50.0 * np.exp(np.concatenate([[0.0], np.cumsum(steps)])), 4)
    days = list(SESSIONS[from_day : from_day + 61])
    case = replay("CLIFF", days, closes.tolist())
    case["marks"] = {
        "shock": days[shock_at + 1],
        "first_session_with_shock_in_window": days[shock_at + 2],
        "last_session_with_shock_in_window": days[shock_at + 1 + WINDOW],
        "cliff": days[shock_at + 2 + WINDOW],
    }
    about = "a shock hides what follows it: sigma jumps the session after the shock and falls when the shock leaves the window"
    cases.append({"name": "cliff", "about": about, **case})

    # Too calm for a z: below two basis points, and below half a price step.
    for name, quiet in (
        ("floor_bp", [100.0, 100.01] * 11),
        ("floor_tick", [1.0] * 10 + [1.01] * 12),
    ):
        closes = quiet + [quiet[-1] * 2.5]
        case = replay("QUIET", list(SESSIONS[from_day : from_day + len(closes)]), closes)
        about = "sigma is known but below max(0.005 / reference close, 0.0002): z stays unknown whatever the move"
        cases.append({"name": name, "about": about, **case})

    # Phantom holiday: real closes round 2025-01-09, when the market was closed.
    phantom = SESSIONS.append(pd.Index(["2025-01-09"])).sort_values()
    for symbol, first, day in (("NVDA", "2024-12-20", "2025-01-27"), ("IBM", "2024-12-20", "2025-01-31")):
        part = top50[(top50.symbol == symbol) & top50.session.between(first, day)].sort_values("session")
        case = replay(symbol, part.session.tolist(), part.close.tolist())
        extra = part.copy()
        carried = extra[extra.session == "2025-01-08"].assign(session="2025-01-09")
        extra = pd.concat([extra, carried]).sort_values("session")
        wrong = replay(symbol, extra.session.tolist(), extra.close.tolist(), phantom)
        shock = {"NVDA": "2025-01-27", "IBM": "2025-01-30"}[symbol]
        case["marks"] = {"shock": shock, "closed": "2025-01-09"}
        case["wrong"] = {
            "phantom_z": next(r["z"] for r in wrong["rows"] if r["session"] == shock),
            "phantom_sigma_daily": next(r["sigma_daily"] for r in wrong["rows"] if r["session"] == shock),
        }
        about = "a zero return made up for a closed market shrinks sigma and pushes the oldest return out of the window"
        cases.append({"name": f"phantom_{symbol.lower()}", "about": about, **case})

    return {
        "about": "closes to replay and the values expected at each session; `wrong` holds what a faulty build shows at the shock; null is unknown; no splits",
        "window": WINDOW,
        "cases": cases,
    }


def describe(name: str, frame: pd.DataFrame) -> None:
    known, hits = frame.z.notna().sum(), (frame.z.abs() >= 3).sum()
    withheld = (frame.sigma_daily.notna() & frame.log_return.notna() & frame.z.isna()).sum()
    flags = frame["flags"].str.split().explode().value_counts().sort_index().to_dict()
    print(
        f"{name}: {len(frame)} rows, z known {known}, |z| >= 3 {hits} ({hits / known:.3%}), "
        f"sigma known but z withheld {withheld}, flags {flags}"
    )


def main() -> int:
    versions = (
        f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}, "
        f"zstandard {zstandard.__version__}, exchange_calendars {exchange_calendars.__version__}"
    )
    print(versions)
    top50 = pd.read_csv(DATA / "us_top50_daily_2024q4_2025q1.csv").rename(columns={"date": "session"})
    records = [json.loads(x) for x in (DATA / "us_top50_reference.ndjson").read_text().splitlines()]
    splits = {(r["symbol"], r["ex_date"]): r["ratio"] for r in records if r["type"] == "split"}
    top50["ratio"] = [splits.get(key, 1.0) for key in zip(top50.symbol, top50.session)]
    assert sorted(r["symbol"] for r in records if r["type"] == "member") == sorted(MAG7)
    top50_z = daily_z(top50)
    write_zst(top50_z, "us_top50_daily_z.csv.zst")

    group = mag7(top50, top50_z)
    group.to_csv(HERE / "mag7_daily.csv", index=False, float_format=DIGITS, lineterminator="\n")

    trap = traps(top50)
    (HERE / "traps.json").write_text(json.dumps(trap, indent=1) + "\n")

    describe("us_top50", top50_z)
    print(f"largest relative gap between windowed and pandas' rolling deviation: {max(ROLLING_GAP):.2e}")

    def z_of(symbol: str, session: str) -> float:
        return top50_z[(top50_z.symbol == symbol) & (top50_z.session == session)].z.item()

    cases = {c["name"]: c for c in trap["cases"]}
    avgo = top50[top50.symbol == "AVGO"].sort_values("session")
    avgo = one_symbol(avgo.assign(dividend=np.where(avgo.session == "2024-12-23", 0.59, 0.0)), total_return=True)
    total_z = avgo[avgo.session == "2025-01-27"].z.item()
    anchors = [
        ("NVDA 2025-01-27", z_of("NVDA", "2025-01-27"), -6.2871, 5e-5),
        ("AVGO 2025-01-27", z_of("AVGO", "2025-01-27"), -9.2183, 5e-5),
        ("IBM 2025-01-30", z_of("IBM", "2025-01-30"), 13.8952, 5e-5),
        ("basket 2025-01-27", group[group.session == "2025-01-27"].basket_z.item(), -2.35, 5e-3),
        ("leak", cases["leak"]["rows"][-1]["z"], 4.76684012515, 5e-11),
        ("leak sigma", cases["leak"]["rows"][-1]["sigma_daily"], 0.0102353263144, 1e-13),
        ("AVGO 2025-01-27 net of 0.59 on 2024-12-23", total_z, -9.0852, 5e-5),
        ("phantom NVDA", cases["phantom_nvda"]["wrong"]["phantom_z"], -6.51, 5e-3),
        ("phantom IBM", cases["phantom_ibm"]["wrong"]["phantom_z"], 14.41, 5e-3),
    ]
    missed = 0
    for name, got, want, tolerance in anchors:
        good = abs(got - want) <= tolerance
        missed += not good
        print(f"{'ok    ' if good else 'MISSED'} {name}: {got:.12g} (wanted {want})")
    for name, case in cases.items():
        print(f"{name}: {case.get('marks', '')} last {case['rows'][-1]} wrong {case.get('wrong', '')}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
