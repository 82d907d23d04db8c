#!/usr/bin/env python3
"""The two parts of every three-sigma close of the 30 long histories, overnight and intraday, apart from the product.

    python tests/golden/gaps.py

Reads data/megacaps30_ohlcv_1999_2021.csv.zst, writes gaps.csv.zst beside this script. README.md has the definition.
Needs what daily_z.py needs, whose definitions it uses.
"""

import io
import platform

import numpy as np
import pandas as pd
import zstandard

from daily_z import DATA, daily_z, write_zst


def main() -> None:
    print(f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}")
    packed = (DATA / "megacaps30_ohlcv_1999_2021.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompress(packed).decode("ascii")
    names = {"split_coefficient": "ratio", "dividend_amount": "dividend"}
    mega = pd.read_csv(io.StringIO(text), dtype=str).rename(columns=names)
    numbers = ["open", "close", "ratio", "dividend"]
    mega[numbers] = mega[numbers].astype(float)
    frame = daily_z(mega, False, ("raw_z", "reference"))
    frame = frame.merge(mega[["symbol", "session", "open"]], on=["symbol", "session"])
    frame = frame[frame.raw_z.abs() >= 3]
    frame = frame.assign(overnight=np.log(frame.open / frame.reference), intraday=np.log(frame.close / frame.open))
    write_zst(frame[["symbol", "session", "open", "overnight", "intraday"]], "gaps.csv.zst")
    both = frame.overnight + frame.intraday - np.log(frame.close / frame.reference)
    share = (frame.overnight.abs() > frame.intraday.abs()).mean()
    print(f"{len(frame)} closes, parts differ from the whole by {both.abs().max():.1e}, mostly overnight: {share:.1%}")


if __name__ == "__main__":
    main()
