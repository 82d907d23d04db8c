#!/usr/bin/env python3
"""Expected breadth and fragility index of 504 stocks, 1999 to 2021, computed apart from the product.

    python tests/golden/breadth504.py

Reads data/sp500_close_raw_wide_1999_2021.csv.zst and data/splits_1999_2021.csv, writes
breadth504.csv.zst (a row a session) and breadth504_index.csv (a row a year) beside this script.
README.md has the definitions. Needs what daily_z.py needs, whose daily z it uses.
"""

import io
import platform

import numpy as np
import pandas as pd
import zstandard

from daily_z import DATA, DIGITS, HERE, ROLLING_GAP, SESSIONS, one_symbol, write_zst

SIGMAS = 3.0


def main() -> None:
    print(f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}")
    packed = (DATA / "sp500_close_raw_wide_1999_2021.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompress(packed).decode("ascii")
    wide = pd.read_csv(io.StringIO(text), index_col="date")
    span = SESSIONS[(SESSIONS >= wide.index[0]) & (SESSIONS <= wide.index[-1])]
    assert wide.index.equals(pd.Index(span)), "the file has every session and no other"
    splits = pd.read_csv(DATA / "splits_1999_2021.csv").set_index(["symbol", "date"]).split_coefficient
    assert splits.index.is_unique

    z, suspected, low = {}, [], 0
    for symbol in wide.columns:
        close = wide[symbol].dropna()
        own = splits[symbol] if symbol in splits.index.get_level_values(0) else pd.Series(dtype=float)
        off = [day for day in own.index if day not in close.index]
        if off:
            print(f"{symbol}: a split without a close on {off}")
        ratio = own.reindex(close.index).fillna(1.0)
        done = one_symbol(pd.DataFrame({"session": close.index, "close": close.to_numpy(), "ratio": ratio.to_numpy()}))
        z[symbol] = pd.Series(done.z.to_numpy(), index=close.index)
        looks = done[done["flags"].str.contains("SUSPECTED_SPLIT")]
        suspected += [(symbol, row.session, round(row.raw_return, 4), round(row.raw_z, 2)) for row in looks.itertuples()]
        low += int((done.sigma_daily.notna() & done.log_return.notna() & done.z.isna()).sum())
    z = pd.DataFrame(z).reindex(wide.index)
    gaps = int((wide.isna() & wide.ffill().notna()).sum().sum())
    print(f"{wide.shape}, {int(wide.notna().sum().sum())} closes, {gaps} missing after a first close")
    print(f"sigma known but z withheld {low}; looks like a split that nobody announced: {len(suspected)}")
    for row in suspected:
        print("  ", *row)

    event = z.abs() >= SIGMAS
    days = pd.DataFrame(
        {
            "count": wide.ffill().notna().sum(axis=1),
            "valid": z.notna().sum(axis=1),
            "up": (z >= SIGMAS).sum(axis=1),
            "down": (z <= -SIGMAS).sum(axis=1),
            "abs_z_sum": z.abs().where(event, 0.0).sum(axis=1),
        }
    )
    days.index.name = "session"
    years = days.drop(columns="count").groupby(days.index.str[:4]).sum()
    years.index.name = "year"
    events = years.up + years.down
    years["frequency_pct"] = 100 * events / years.valid
    years["magnitude"] = years.abs_z_sum / events
    years["index"] = 100 * years.abs_z_sum / years.valid
    write_zst(days.reset_index(), "breadth504.csv.zst")
    years.to_csv(HERE / "breadth504_index.csv", float_format=DIGITS, lineterminator="\n")
    print(years.to_string())
    print(f"valid {days.valid.sum()}, events {(days.up + days.down).sum()}")
    print(f"nearest |z| to 3: {np.nanmin(np.abs(z.abs().to_numpy() - SIGMAS)):.2e}, rolling gap {max(ROLLING_GAP):.2e}")


if __name__ == "__main__":
    main()
