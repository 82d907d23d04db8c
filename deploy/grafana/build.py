#!/usr/bin/env python3
"""Writes the dashboards.

    python3 deploy/grafana/build.py [--check]

`--check` writes nothing; status 1 when a file is not what would be written.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

# The classic model is meant here: it is what Grafana imports and provisions in every version in use.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="grafana_foundation_sdk")

from boards import cluster, kafka, market, overview, symbol  # noqa: E402
from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: E402

DASHBOARDS = Path(__file__).parent / "dashboards"


def texts() -> dict[str, str]:
    """What each file should hold, by its name."""
    found = {}
    for board in (overview, market, cluster, symbol, kafka):
        built = board.build()
        found[f"{built.uid}.json"] = json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes the dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    is_check = parser.parse_args().check
    wanted = texts()
    present = {path.name: path for path in DASHBOARDS.glob("*.json")}
    stale = sorted(present.keys() - wanted.keys())
    for name, text in wanted.items():
        path = DASHBOARDS / name
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(name)
        if not is_check:
            path.write_text(text)
    for name in stale:
        if is_check or name not in wanted:
            print(f"dashboards/{name} is not what build.py writes")
        else:
            print(f"dashboards/{name} written")
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
