#!/usr/bin/env bash
# Copies rules and dashboards into the chart, which can read nothing outside itself.
#
#   deploy/helm/sync.sh            copy
#   deploy/helm/sync.sh --check    exit 1 when a copy differs from its original, is missing, or has none
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
chart=helm/fragility/files

case ${1:-} in
  '' | --check) ;;
  *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac

# Tests of rules and settings of dashboards stay where they are.
originals() { # KIND
  case $1 in
    rules) find prometheus -maxdepth 1 -name 'rules*.yml' ! -name '*test*' 2>/dev/null || true ;;
    dashboards) find grafana/dashboards -maxdepth 1 -name '*.json' 2>/dev/null || true ;;
  esac | sort
}

status=0
for kind in rules dashboards; do
  mapfile -t files < <(originals "$kind")
  if [ "${1:-}" = --check ]; then
    for file in "${files[@]}"; do
      cmp -s "$file" "$chart/$kind/${file##*/}" && continue
      echo "deploy/$chart/$kind/${file##*/} is not deploy/$file: run deploy/helm/sync.sh" >&2
      status=1
    done
    for copy in "$chart/$kind"/*.{yml,json}; do
      [ -e "$copy" ] || continue
      printf '%s\n' "${files[@]##*/}" | grep -qxF -- "${copy##*/}" && continue
      echo "deploy/$copy has no original: run deploy/helm/sync.sh" >&2
      status=1
    done
  else
    rm -f "$chart/$kind"/*.yml "$chart/$kind"/*.json
    [ "${#files[@]}" = 0 ] || cp -- "${files[@]}" "$chart/$kind/"
  fi
done
exit "$status"
