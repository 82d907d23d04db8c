"""Writes the Parquet files of this directory, and the same rows as CSV and NDJSON beside them.

    python3 -m venv venv && venv/bin/pip install pyarrow==25.0.1 && venv/bin/python tests/parquet/fixtures.py

Made with Python 3.11.7 and pyarrow 25.0.1 (Apache Arrow C++, an implementation of Parquet of its own). Only
`daily.csv` and `records.ndjson` are what the tests compare with: a Parquet file must replay like them.
"""

import csv
import datetime as dt
import decimal
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data" / "us_top50_daily_2024q4_2025q1.csv"
UTC = dt.timezone.utc
SYMBOLS = ["AAPL", "AVGO", "NVDA"]


def write(name, table, **options):
    options = {"store_schema": False, "write_statistics": False} | options
    pq.write_table(table, HERE / f"{name}.parquet", **options)


def epoch(day):
    return dt.datetime.combine(day, dt.time(), UTC)


# Daily closes: the same rows in every codec, each with other types and another layout of pages.
with DATA.open() as source:
    rows = [r for r in csv.DictReader(source) if r["symbol"] in SYMBOLS and r["date"] <= "2025-01-31"]
names = list(rows[0])
with (HERE / "daily.csv").open("w", newline="") as out:
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
text = {n: [r[n] or None for r in rows] for n in names}
number = {n: [float(v) if v else None for v in text[n]] for n in names if n not in ("date", "symbol")}
days = [dt.date.fromisoformat(d) for d in text["date"]]
midnights = [epoch(d) for d in days]


def daily(session, symbol=None, **columns):
    arrays = {"date": session, "symbol": symbol or pa.array(text["symbol"])}
    arrays |= {n: columns.get(n, pa.array(number[n])) for n in number}
    return pa.table(arrays)


# Four decimals hold these closes exactly.
exact = [decimal.Decimal(v) if v else None for v in text["close"]]
nanos = pa.array(midnights, pa.timestamp("ns"))
write("daily_none", daily(pa.array(text["date"])), compression="none", use_dictionary=False)
write("daily_snappy", daily(pa.array(days, pa.date32())), compression="snappy")
write("daily_gzip", daily(nanos), compression="gzip", version="2.6", data_page_version="2.0")
write(
    "daily_zstd",
    daily(pa.array(midnights, pa.timestamp("us", "UTC")), close=pa.array(exact, pa.decimal128(12, 4))),
    compression="zstd",
    row_group_size=100,
    data_page_size=256,
)
write(
    "daily_lz4",
    daily(pa.array(midnights, pa.timestamp("ms")), pa.array(text["symbol"]).dictionary_encode(), close=pa.array(exact, pa.decimal128(9, 4))),
    compression="lz4",
    store_decimal_as_integer=True,
    column_encoding={n: "BYTE_STREAM_SPLIT" for n in number if n != "close"},
    use_dictionary=["symbol"],
)
write("daily_int96", daily(nanos), compression="snappy", use_deprecated_int96_timestamps=True)

# Records of several types with what each of them needs, the rest null.
NS = 1_000_000_000
records = []
closes = [(d, float(c)) for d, s, c in zip(text["date"], text["symbol"], text["close"]) if s == "NVDA" and d < "2025-01-27"]
for session, price in closes:
    records.append({"type": "close", "symbol": "NVDA", "session": session, "price": price})
opening = int(dt.datetime(2025, 1, 27, 14, 30, tzinfo=UTC).timestamp()) * NS
for i, price in enumerate([142.1, 139.25, 131.0, 126.875, 124.01, 121.7, 118.9]):
    tick = {"type": "tick", "symbol": "NVDA", "ts": opening + i * 60 * NS + 123456789, "price": price, "seq": i + 1}
    if i % 2:
        tick |= {"size": 100.0 * i, "cond": ["@", "F"][: i % 3], "venue": "Q"}
    records.append(tick)
bar = {"type": "bar", "symbol": "NVDA", "ts": opening + 600 * NS, "interval": "1m", "open": 118.0}
bar |= {"high": 119.5, "low": 117.25, "close": 119.0, "volume": 12345, "final": True, "seq": 8}
records.append(bar)
records.append(bar | {"ts": opening + 660 * NS, "final": False, "seq": 9})
records.append({"type": "heartbeat", "ts": opening + 720 * NS})
records.append({"type": "tick", "symbol": "NVDA", "ts": opening + 780 * NS, "price": -1.0, "seq": 10})
records.append({"type": "tick", "symbol": "NVDA", "ts": opening + 840 * NS, "price": 130.0, "seq": 2})
records.append({"type": "close", "symbol": "NVDA", "session": "2025-01-27", "price": 118.42})
with (HERE / "records.ndjson").open("w") as out:
    out.writelines(json.dumps(r) + "\n" for r in records)


def field(name, kind):
    return pa.array([r.get(name) for r in records], kind)


def typed(ts, session, **kinds):
    table = {"type": field("type", pa.string()), "note": pa.array([{"x": 1}] * len(records))}
    table |= {"symbol": field("symbol", pa.string()), "ts": ts, "session": session}
    for name in ["price", "size", "open", "high", "low", "close"]:
        table[name] = field(name, kinds.get(name, pa.float64()))
    table |= {"seq": field("seq", kinds.get("seq", pa.int64())), "volume": field("volume", pa.int32())}
    table |= {"interval": field("interval", pa.string()), "final": field("final", pa.bool_())}
    table |= {"cond": field("cond", pa.list_(pa.string())), "venue": field("venue", pa.large_string())}
    return pa.table(table)


sessions = [dt.date.fromisoformat(r["session"]) if "session" in r else None for r in records]
write("records_ns", typed(field("ts", pa.timestamp("ns", "UTC")), field("session", pa.string())), compression="snappy")
write(
    "records_int",
    typed(field("ts", pa.int64()), pa.array(sessions, pa.date32()), seq=pa.uint64(), high=pa.float32(), size=pa.int16()),
    compression="zstd",
    data_page_version="2.0",
    row_group_size=40,
    column_encoding={"ts": "DELTA_BINARY_PACKED", "seq": "DELTA_BINARY_PACKED"},
    use_dictionary=False,
)

# The last of these days as records, and what came before as history.
with (HERE / "day.ndjson").open("w") as out:
    out.writelines(json.dumps(r) + "\n" for r in records[len(closes) :])
before = [i for i, d in enumerate(text["date"]) if d < "2025-01-27"]
write("daily_history", daily(pa.array(days, pa.date32())).take(before), compression="zstd")
with (HERE / "daily_history.csv").open("w", newline="") as out:
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[i] for i in before)

# Values that no record may have, row by row, in types that a column may have.
flaws = pa.table(
    {
        "type": pa.array(["tick"] * 9),
        "symbol": pa.array([b"OK"] * 5 + [b"\xff\xfe", None, b"OK", b"OK"], pa.binary()),
        "ts": pa.array([opening + i for i in range(9)], pa.int64()),
        "price": pa.array(["101.5", "dear", None, "", "nan", "1", "1", "-3", "102"]),
        "final": pa.array(["true"] * 8 + ["maybe"]),
    }
)
write("flaws", flaws, compression="snappy")
real = pa.table({"type": ["tick"], "symbol": ["OK"], "ts": [float(opening)], "price": [101.5]})
write("real_ts", real, compression="none")

# Columns that no field can be.
one = {"type": ["tick"], "symbol": ["OK"], "ts": [opening]}
write("list_price", pa.table(one | {"price": [[101.5]]}), compression="none")
write("group_price", pa.table(one | {"price": [{"bid": 101.0, "ask": 102.0}]}), compression="none")
write("time_price", pa.table(one | {"price": pa.array([1], pa.time64("us"))}), compression="none")
write("no_columns", pa.table({"a": [1], "b": [2]}), compression="none")
texts = pa.table({"session": ["2025-01-27"], "symbol": ["OK"], "close": [5.0]})
write("delta_texts", texts, compression="none", use_dictionary=False, column_encoding={"symbol": "DELTA_BYTE_ARRAY"})
print(pa.__version__, sys.version.split()[0], file=sys.stderr)
