#!/usr/bin/env python3
"""Expected fragility index of the 30 long histories, year by year, computed apart from the product.

    python tests/golden/long_index.py

Reads megacaps30_daily_z.csv.zst and writes long_index.csv, both beside this script. README.md has
the definition. Needs what composite.py needs.
"""

import io
import platform

import pandas as pd
import zstandard

from daily_z import HERE
from composite import SIGMAS, write


def main() -> None:
    print(f"python {platform.python_version()}, pandas {pd.__version__}")
    packed = (HERE / "megacaps30_daily_z.csv.zst").read_bytes()
    rows = pd.read_csv(io.BytesIO(zstandard.ZstdDecompressor().decompress(packed)))
    rows["year"] = rows.session.str[:4]
    sessions = rows.groupby("year").session.nunique()
    rows = rows[rows.z.notna()]
    event = rows.z.abs() >= SIGMAS
    sums = pd.DataFrame(
        {
            "year": rows.year,
            "valid": 1,
            "up": rows.z >= SIGMAS,
            "down": rows.z <= -SIGMAS,
            "abs_z_sum": rows.z.abs().where(event, 0.0),
        }
    ).groupby("year").sum()
    years = sums.assign(sessions=sessions)
    events = years.up + years.down
    years["frequency_pct"] = 100 * events / years.valid
    years["magnitude"] = years.abs_z_sum / events
    years["index"] = 100 * years.abs_z_sum / years.valid
    columns = ["sessions", "valid", "up", "down", "abs_z_sum", "frequency_pct", "magnitude", "index"]
    years = years[columns].reset_index()
    write(years, "long_index.csv")
    print(years.to_string(index=False))
    print(f"valid {years.valid.sum()}, events {(years.up + years.down).sum()}; nearest |z| to 3: {(rows.z.abs() - 3).abs().min():.2e}")


if __name__ == "__main__":
    main()
