#!/usr/bin/env bash
# The bill of materials of the release binary: CycloneDX 1.5, JSON.
#
#   deploy/sbom.sh OUT
#
# Needs cargo-cyclonedx and python3. It works on a copy of the manifest, so nothing is written beside the sources, and
# gives the same bytes for the same Cargo.lock wherever it runs.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
[ $# = 1 ] || { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
out=$(realpath -m "$1")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$ROOT/Cargo.toml" "$ROOT/Cargo.lock" "$ROOT/src" "$ROOT/benches" "$copy/"
export SOURCE_DATE_EPOCH=0
cargo cyclonedx --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 --describe binaries \
  --target "$(uname -m)-unknown-linux-gnu" --quiet
python3 "$HERE/checks/sbom.py" finish "$copy/fragility_bin.cdx.json" "$ROOT" >"$out"
