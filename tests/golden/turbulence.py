#!/usr/bin/env python3
"""Ledoit-Wolf shrinkage and turbulence on real returns, computed apart from the product.

    python tests/golden/turbulence.py

Reads data/megacaps30_ohlcv_1999_2021.csv.zst, writes turbulence.csv beside this script. README.md
says which rows go in. Needs what composite.py needs.
"""

import io
import platform

import numpy as np
import pandas as pd
import sklearn
import zstandard

from composite import LONGEST, covariance, write
from daily_z import DATA, daily_z

SYMBOLS = 8
DATES = 40


def main() -> None:
    print(f"python {platform.python_version()}, numpy {np.__version__}, scikit-learn {sklearn.__version__}")
    packed = (DATA / "megacaps30_ohlcv_1999_2021.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompress(packed)
    closes = pd.read_csv(io.BytesIO(text)).rename(columns={"split_coefficient": "ratio", "dividend_amount": "dividend"})
    rows = closes.groupby("symbol").size()
    symbols = sorted(rows[rows == closes.session.nunique()].index)[:SYMBOLS]
    returns = daily_z(closes[closes.symbol.isin(symbols)]).pivot(index="session", columns="symbol", values="log_return")
    complete = returns[symbols].dropna()
    places = np.linspace(LONGEST, len(complete) - 1, DATES).round().astype(int)
    print(f"{symbols}; {len(complete)} complete sessions of {len(returns)}, one in {set(np.diff(places).tolist())}")
    table = []
    for place in places:
        prior = complete.iloc[place - LONGEST : place]
        figures = covariance(prior.to_numpy(), complete.iloc[place].to_numpy())
        table.append({"session": complete.index[place], "first": prior.index[0], "last": prior.index[-1], **figures})
    table = pd.DataFrame(table)
    write(table, "turbulence.csv")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
