#!/usr/bin/env python3
"""Expected ranks of the changes in market value of every three-sigma close, computed apart from the product.

    python tests/golden/usd_records.py

Reads data/, writes usd_records.csv beside this script. README.md has the definition. Needs what composite.py needs.
"""

import platform

import numpy as np
import pandas as pd

from composite import SIGMAS, inputs
from daily_z import HERE


def main() -> None:
    print(f"python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}")
    data = inputs()
    z, change = data["z"], data["value"] * np.expm1(data["r"])
    rows = []
    for symbol in change:
        known = change[symbol].dropna()
        for session in z.index[z[symbol].abs() >= SIGMAS]:
            before, today = known[known.index < session], known[session]
            same = before[np.sign(before) == np.sign(today)]
            larger = int((same.abs() > abs(today) * (1 + 1e-9)).sum())
            rows.append({"symbol": symbol, "session": session, "change": today, "rank": larger + 1, "sessions": len(before)})
    frame = pd.DataFrame(rows)
    frame.to_csv(HERE / "usd_records.csv", index=False, float_format="%.12g", lineterminator="\n")
    print(frame[frame.session == "2025-01-27"].to_string(), len(frame), frame["rank"].value_counts().head(4).to_string(), sep="\n")


if __name__ == "__main__":
    main()
