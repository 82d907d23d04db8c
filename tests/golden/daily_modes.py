#!/usr/bin/env python3
"""Expected daily volatilities of every named mode, computed apart from the product.

    python tests/golden/daily_modes.py

Reads data/megacaps30_ohlcv_1999_2021.csv.zst, writes daily_modes.csv.zst, daily_modes_totals.csv and
arch_filters.csv beside this script. README.md has the definitions. Needs pandas, numpy, scipy, statsmodels,
arch, zstandard and exchange_calendars; and Rscript with the package TTR. Exits 1 when two of them disagree.
"""

import io
import pathlib
import platform
import subprocess
import sys
import tempfile

import arch
import exchange_calendars
import numpy as np
import pandas as pd
import statsmodels
import zstandard
from arch.univariate import GARCH, EWMAVariance, RiskMetrics2006, ZeroMean
from statsmodels.robust.scale import mad

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[1] / "data" / "megacaps30_ohlcv_1999_2021.csv.zst"
WINDOW = 21
EVERY = 21  # sessions between two rows of a symbol in the golden table
GARCH_PARAMS = np.array([2e-6, 0.08, 0.90])
RANGE_BASED = ["parkinson", "garman_klass", "garman_klass_gap", "rogers_satchell", "yang_zhang"]
MODES = [
    "ewma_94", "rm2006", "zero_mean", "mad", "mad_zero", "trimmed", "winsorized", *RANGE_BASED, "garch",
]  # fmt: skip
DIGITS = "%.12g"


def windows(values: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, WINDOW)


def rolled(values: np.ndarray, statistic) -> np.ndarray:
    """`statistic` of the last 21 values up to each place, window by window."""
    out = np.full(len(values), np.nan)
    if len(values) >= WINDOW:
        out[WINDOW - 1 :] = statistic(windows(values))
    return out


def before(values: np.ndarray) -> np.ndarray:
    """Today excluded."""
    return np.concatenate([[np.nan], values[:-1]])


def deviation(w: np.ndarray) -> np.ndarray:
    return w.std(axis=1, ddof=1)


def zero_is_unknown(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0.0, np.nan, values)


def clean(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trimmed and Winsorized deviations that end with each return.

    A return is a shock when it is at least three plain deviations of the 21 returns before it, which must
    be at least two basis points.
    """
    sigma = before(rolled(r, deviation))
    judged = ~np.isnan(sigma)
    shock = judged & (sigma >= 0.0002) & (np.abs(r / sigma) >= 3.0)
    kept = judged & ~shock
    trimmed_of_kept = np.concatenate([[np.nan], rolled(r[kept], deviation)])
    trimmed = trimmed_of_kept[np.cumsum(kept)]
    cut = np.where(shock, np.sign(r) * 3.0 * sigma, r)
    winsorized = rolled(cut, deviation)
    winsorized[: 2 * WINDOW - 1] = np.nan
    return trimmed, winsorized


def mixture(r: np.ndarray) -> np.ndarray:
    """RiskMetrics 2006: arch's decay factors and weights, pandas' bias-corrected averages."""
    model = RiskMetrics2006()
    decays, weights = model._ewma_smoothing_parameters(), model._ewma_combination_weights()
    assert len(decays) == 14
    squares = pd.Series(r**2)
    return sum(w * squares.ewm(alpha=1.0 - m, adjust=True).mean().to_numpy() for w, m in zip(weights, decays))


def garch(r: np.ndarray) -> np.ndarray:
    """Variance of the return after each, from the long run on: arch's own recursion."""
    long_run = GARCH_PARAMS[0] / (1.0 - GARCH_PARAMS[1] - GARCH_PARAMS[2])
    extended = np.append(r, 0.0)
    bounds = np.tile([0.0, np.inf], (len(extended), 1))
    out = GARCH(1, 0, 1).compute_variance(GARCH_PARAMS, extended, np.zeros_like(extended), long_run, bounds)
    return out[1:]


def by_returns(r: np.ndarray) -> pd.DataFrame:
    """Volatilities known after each return; unknown before 21 returns."""
    trimmed, winsorized = clean(r)
    out = pd.DataFrame(
        {
            "ewma_94": np.sqrt(pd.Series(r**2).ewm(alpha=0.06, adjust=True).mean()),
            "rm2006": np.sqrt(mixture(r)),
            "zero_mean": rolled(r, lambda w: np.sqrt((w**2).mean(axis=1))),
            "mad": zero_is_unknown(rolled(r, lambda w: mad(w, axis=1))),
            "mad_zero": zero_is_unknown(rolled(r, lambda w: mad(w, axis=1, center=0))),
            "trimmed": trimmed,
            "winsorized": winsorized,
            "garch": np.sqrt(garch(r)),
            "close": rolled(r, deviation),
        }
    )
    out.iloc[: WINDOW - 1] = np.nan
    return out


def adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """Prices on the newest split basis: divided by the coefficients of all later ex-dates."""
    ratio = frame.split_coefficient.to_numpy()
    later = np.append(np.cumprod(ratio[::-1])[::-1][1:], 1.0)
    return frame.assign(**{c: frame[c] / later for c in ("open", "high", "low", "close")})


def range_based(prices: pd.DataFrame) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as scratch:
        given, made = (str(pathlib.Path(scratch) / n) for n in ("in.csv", "out.csv"))
        columns = ["symbol", "session", "open", "high", "low", "close"]
        prices[columns].to_csv(given, index=False, float_format="%.17g")
        print(subprocess.run(["Rscript", str(HERE / "daily_ohlc.R"), given, made], check=True,
                             capture_output=True, text=True).stdout.strip())  # fmt: skip
        return pd.read_csv(made)


def arch_filters(returns: dict[str, np.ndarray]) -> pd.DataFrame:
    """arch's own fixed models with arch's own starting values, for two symbols."""
    rows = []
    for symbol in ("IBM", "NVDA"):
        r = returns[symbol]
        for name, volatility, params in (
            ("ewma_94", EWMAVariance(0.94), []),
            ("garch", GARCH(1, 0, 1), GARCH_PARAMS),
            ("rm2006", RiskMetrics2006(), []),
        ):
            model = ZeroMean(r, volatility=volatility, rescale=False)
            variance = model.fix(params).conditional_volatility ** 2
            start = np.atleast_1d(volatility.backcast(r))
            rows += [(symbol, name, f"start{k}", s) for k, s in enumerate(start)]
            rows += [(symbol, name, str(t), variance[t]) for t in range(0, len(r), 97)]
    return pd.DataFrame(rows, columns=["symbol", "mode", "place", "variance"])


def main() -> int:
    print(f"python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__},",
          f"statsmodels {statsmodels.__version__}, arch {arch.__version__}")  # fmt: skip
    text = zstandard.ZstdDecompressor().stream_reader(open(DATA, "rb")).read().decode("ascii")
    raw = pd.read_csv(io.StringIO(text)).sort_values(["symbol", "session"]).reset_index(drop=True)
    low, high = raw.low, raw.high
    crossed = ~((low <= raw.open) & (raw.open <= high) & (low <= raw.close) & (raw.close <= high))
    sessions = exchange_calendars.get_calendar("XNYS", start="1999-01-01", end="2021-12-31").sessions
    place = pd.Index(sessions.strftime("%Y-%m-%d")).get_indexer(raw.session)
    parts = [(s, f) for s, f in raw.groupby("symbol")]
    holes = sum(int((np.diff(place[f.index]) != 1).sum()) for _, f in parts)
    print(f"{len(raw)} rows, {len(parts)} symbols, {crossed.sum()} crossed, {holes} holes,",
          f"{(raw.split_coefficient != 1).sum()} splits")  # fmt: skip
    # There is none of either, so nothing has to be agreed on for them.
    if (place < 0).any() or crossed.any() or holes:
        return 1

    prices = pd.concat([adjusted(f) for _, f in parts])
    ranges = range_based(prices).set_index(["symbol", "session"])
    tables, returns, worst = [], {}, 0.0
    for number, (symbol, frame) in enumerate(parts):
        close, ratio = frame.close.to_numpy(), frame.split_coefficient.to_numpy()
        returns[symbol] = np.log(close[1:] * ratio[1:] / close[:-1])
        known = by_returns(returns[symbol])
        known = pd.concat([pd.DataFrame([[np.nan] * known.shape[1]], columns=known.columns), known])
        known.index = pd.MultiIndex.from_frame(frame[["symbol", "session"]])
        table = known.drop(columns="close").join(ranges.drop(columns="close"))
        gap = np.abs(ranges.close.loc[table.index] / known.close - 1).to_numpy()
        worst = max(worst, float(np.nanmax(gap)))
        table = table.shift(1)[MODES]  # today excluded
        table["is_shown"] = (np.arange(len(table)) + number) % EVERY == 0
        tables.append(table)
    print(f"deviation of 21 returns, numpy against TTR: {worst:.1e} at most")
    full = pd.concat(tables)
    shown = full[full.is_shown].drop(columns="is_shown").sort_index(level=["session", "symbol"])
    body = shown.swaplevel().to_csv(float_format=DIGITS, lineterminator="\n")
    (HERE / "daily_modes.csv.zst").write_bytes(
        zstandard.ZstdCompressor(level=19).compress(body.encode("ascii"))
    )
    totals = full.drop(columns="is_shown").groupby("symbol").agg(["count", "sum", "max"])
    totals = totals.stack(0, future_stack=True).rename_axis(["symbol", "mode"])
    totals.to_csv(HERE / "daily_modes_totals.csv", float_format="%.17g", lineterminator="\n")
    arch_filters(returns).to_csv(HERE / "arch_filters.csv", index=False, float_format="%.17g", lineterminator="\n")
    print(f"{len(shown)} rows shown, {len(full)} in the totals")
    return 0 if worst < 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
