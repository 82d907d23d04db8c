#!/usr/bin/env bash
# Runs every query of the dashboards against a real Prometheus that scrapes a running service.
#
#   deploy/grafana/live.sh --binary PATH [CHECK_ARGS...]      starts `PATH demo --speed max` and scrapes it
#   deploy/grafana/live.sh --url HOST:PORT [CHECK_ARGS...]    scrapes a service that is running
#
# Needs `prometheus` on the PATH and a Python with requirements.txt (PYTHON, default python3). Everything listens on
# loopback. CHECK_ARGS go to check.py, for example --var symbol=NVDA. Status: that of check.py; 2: it could not start.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHON=${PYTHON:-python3}
SCRAPES=25       # samples of the service wanted before queries are asked
WAIT_SECS=150    # for each thing that is waited for

say() { echo "live: $*" >&2; }
usage() {
  sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

[ $# -ge 2 ] || usage
kind=$1 what=$2
shift 2
for tool in prometheus "$PYTHON"; do
  command -v "$tool" >/dev/null || { say "$tool is not on the PATH"; exit 2; }
done

scratch=$(mktemp -d)
started=()
clean_up() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap clean_up EXIT

free_port() {
  "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

fetch() { # URL
  "$PYTHON" -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' "$1"
}

# Calls a function every second until it succeeds.
wait_for() { # WHAT FUNCTION
  local second
  for ((second = 0; second < WAIT_SECS; second++)); do
    if "$2"; then return; fi
    sleep 1
  done
  say "no $1 within $WAIT_SECS s"
  tail -n 5 "$scratch"/*.log >&2 || true
  exit 2
}

case $kind in
  --binary)
    target=127.0.0.1:$(free_port)
    "$what" demo --speed max --listen "$target" >"$scratch/demo.out" 2>"$scratch/demo.log" &
    started+=($!)
    ;;
  --url) target=${what#http://} target=${target%/} ;;
  *) usage ;;
esac

cat >"$scratch/prometheus.yml" <<YAML
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: fragility
    static_configs:
      - targets: ["$target"]
  - job_name: fragility-symbols
    metrics_path: /metrics/symbols
    static_configs:
      - targets: ["$target"]
    relabel_configs:
      - {target_label: job, replacement: fragility}
      - {target_label: metrics_path, replacement: /metrics/symbols}
YAML
prometheus_at=127.0.0.1:$(free_port)
answers() { fetch "http://$target/metrics" >"$scratch/metrics" 2>/dev/null; }
wait_for "answer of http://$target/metrics" answers
prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/data" \
  --web.listen-address="$prometheus_at" >"$scratch/prometheus.log" 2>&1 &
started+=($!)

has_samples() {
  local query="query?query=count_over_time(fragility_event_time_seconds%5B10m%5D)%3E=$SCRAPES"
  fetch "http://$prometheus_at/api/v1/$query" 2>/dev/null | grep -q '"value"'
}
wait_for "$SCRAPES samples" has_samples
# The demo has told everything there is once a session has closed behind alerts; a slow machine gets there later.
has_told() {
  local query="query?query=count(fragility_branching_ratio)%20and%20on()%20(sum(fragility_event_to_alert_seconds_count)%3E0)"
  fetch "http://$prometheus_at/api/v1/$query" 2>/dev/null | grep -q '"value"'
}
[ "$kind" = --url ] || wait_for "closed session with alerts" has_told

say "asking the Prometheus at $prometheus_at about $target"
"$PYTHON" "$HERE/check.py" --prometheus "http://$prometheus_at" "$@"
