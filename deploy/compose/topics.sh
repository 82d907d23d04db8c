#!/bin/sh
# Makes the topics of the try-out, if they are not there. Partitions of `market` are known to feed.sh.
set -eu
: "${BOOTSTRAP:?host and port of a broker}"
tools=${KAFKA_BIN:-/opt/kafka/bin}

topic() { # NAME PARTITIONS [--config KEY=VALUE]...
  name=$1 partitions=$2
  shift 2
  "$tools/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP" --create --if-not-exists \
    --topic "$name" --partitions "$partitions" --replication-factor 1 "$@"
}

# The service goes back to the beginning of the log when it has no snapshot, so nothing is deleted here.
topic market 4 --config retention.ms=-1
topic reference 1 --config cleanup.policy=compact
topic alerts 4 --config retention.ms=-1
topic state 4 --config cleanup.policy=compact
topic dead-letters 1
topic snapshots 4 --config cleanup.policy=compact
