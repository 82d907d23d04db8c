# shellcheck shell=bash
# Tools that check.sh and drill.sh both fetch. Sourced, with HERE (deploy/) and SCRATCH set; a function that lacks
# something which is not the project's says so and returns NOT_RUN.
PYTHON=$SCRATCH/venv/bin/python
PYYAML=6.0.4 CONFLUENT_KAFKA=2.16.1
NOT_RUN=77
export PIP_DISABLE_PIP_VERSION_CHECK=1
# What a shell of its own has to be given.
export PYTHON PYYAML CONFLUENT_KAFKA NOT_RUN
# shellcheck disable=SC2034 # read where this is sourced
TOOLS=(missing once client_tools watch_tools grafana_tools)

missing() { echo "missing: $*"; return "$NOT_RUN"; }

# Runs a command once for each version of what it installs.
once() { # MARK COMMAND...
  local mark=$SCRATCH/marks/$1
  shift
  [ -e "$mark" ] && return
  mkdir -p "$SCRATCH/marks"
  "$@" || { missing "$1 could not fetch its packages"; return "$NOT_RUN"; }
  touch "$mark"
}

# A Python that speaks to Kafka and reads YAML.
client_tools() {
  command -v python3 >/dev/null || missing python3
  [ -x "$PYTHON" ] || python3 -m venv "$SCRATCH/venv" || missing 'venv of python3'
  once "clients-$CONFLUENT_KAFKA-$PYYAML" "$PYTHON" -m pip install -q "confluent-kafka==$CONFLUENT_KAFKA" "pyyaml==$PYYAML"
}

# Prometheus and Alertmanager: those of the PATH, or Debian's, unpacked and not installed.
watch_tools() {
  local tool deb debs=$SCRATCH/watch-debs
  PATH=$SCRATCH/watch/usr/bin:$PATH
  for tool in prometheus promtool amtool alertmanager; do
    command -v "$tool" >/dev/null && continue
    command -v apt-get >/dev/null || missing "$tool"
    mkdir -p "$debs" "$SCRATCH/watch"
    once watch-debs sh -c "cd '$debs' && { apt-get download prometheus prometheus-alertmanager || { apt-get update -qq && apt-get download prometheus prometheus-alertmanager; }; }"
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$SCRATCH/watch"; done
    # Debian's has a longer name, and looks for its templates in /usr/share alone: it is given one, which nobody else sees.
    cat >"$SCRATCH/watch/usr/bin/alertmanager" <<END
#!/bin/sh
exec unshare --user --map-root-user --mount sh -c 'mount --bind "\$0" /usr/share && exec "\$@"' \\
  '$SCRATCH/watch/usr/share' '$SCRATCH/watch/usr/bin/prometheus-alertmanager' "\$@"
END
    chmod +x "$SCRATCH/watch/usr/bin/alertmanager"
  done
}

grafana_tools() {
  command -v python3 >/dev/null || missing python3
  [ -x "$SCRATCH/grafana/bin/python" ] || python3 -m venv "$SCRATCH/grafana" || missing 'venv of python3'
  once "grafana-$(sha256sum <"$HERE/grafana/requirements.txt" | cut -c 1-12)" "$SCRATCH/grafana/bin/python" -m pip install -q -r "$HERE/grafana/requirements.txt"
}
