#!/usr/bin/env python3
"""Put the raw OHLCV file of 30 large caps in order of session and symbol.

    python data/extract.py path/to/megacaps30_ohlcv_raw_1999_2021.csv.zst

Writes megacaps30_ohlcv_1999_2021.csv.zst beside this script. The number
texts are copied as they stand in the source: nothing is parsed or rounded.
Needs the `zstandard` module. Output is ordinary zstd (level 19, default
window), so any decoder reads it without special options.
"""

import csv
import io
import pathlib
import platform
import sys

import zstandard

COLUMNS = ["symbol", "open", "high", "low", "close", "volume", "dividend_amount", "split_coefficient"]
HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE / "megacaps30_ohlcv_1999_2021.csv.zst"


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    print(f"python {platform.python_version()}, zstandard {zstandard.__version__}")
    # The source was compressed with a 128 MiB window.
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    with open(sys.argv[1], "rb") as file:
        text = decoder.stream_reader(file).read().decode("ascii")
    source = csv.DictReader(io.StringIO(text))
    rows = [(r["date"], *(r[name] for name in COLUMNS)) for r in source]
    rows.sort(key=lambda r: r[:2])
    if len({r[:2] for r in rows}) != len(rows):
        print("a (session, symbol) pair occurs twice", file=sys.stderr)
        return 1
    if any(not value for r in rows for value in r):
        print("a value is empty", file=sys.stderr)
        return 1
    out = "session," + ",".join(COLUMNS) + "\n"
    out += "".join(",".join(r) + "\n" for r in rows)
    TARGET.write_bytes(zstandard.ZstdCompressor(level=19).compress(out.encode("ascii")))
    print(
        f"{TARGET.name}: {len(rows)} rows, {len({r[1] for r in rows})} symbols, "
        f"{rows[0][0]}..{rows[-1][0]}, {TARGET.stat().st_size} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
