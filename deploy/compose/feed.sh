#!/bin/sh
# Feeds the shipped closes into the topic `market`, session by session: closes and share counts, then a heartbeat in
# every partition, behind the end of the session.
#
#   BOOTSTRAP=kafka:9092 [FEED_SECONDS=1] feed.sh DATA
#
# Closes are facts and come once a day; the ticks between them exist in `fragility demo` alone.
set -eu
: "${BOOTSTRAP:?host and port of a broker}"
data=${1:?directory of the shipped data}
tools=${KAFKA_BIN:-/opt/kafka/bin}

# What awk cannot print exactly it prints with the digits given, so values are handed on as text.
sessions() {
  {
    sed 1d "$data/us_top50_daily_2024q4_2025q1.csv" | awk -F, -v OFS=, '{ print $1, $2, $3, $6 }'
    sed 1d "$data/spy_daily_2024q4_2025q1.csv" | awk -F, -v OFS=, '{ print $1, $2, $6, "" }'
  } | sort -t, -k1,1 -k2,2
}

# A console producer cannot name a partition, but a key falls where its murmur2 hash says: these four lie in the
# partitions 0 to 3 of 4. The service reads who a record is about from the value alone.
records() {
  awk -F, -v pause="${FEED_SECONDS:-1}" '
    function end_session() {
      if (session == "") return
      split("heartbeat-4 heartbeat-2 heartbeat-0 heartbeat-7", keys, " ")
      for (i = 1; i <= 4; i++)
        printf "%s\t{\"type\":\"heartbeat\",\"ts\":\"%sT23:59:00Z\"}\n", keys[i], session
      fflush()
      print session > "/dev/stderr"
      if (pause + 0 > 0) system("sleep " pause)
    }
    $1 != session { end_session(); session = $1 }
    {
      printf "%s\t{\"type\":\"close\",\"symbol\":\"%s\",\"session\":\"%s\",\"price\":%s}\n", $2, $2, $1, $3
      if ($4 != "" && $3 > 0)
        printf "%s\t{\"type\":\"shares\",\"symbol\":\"%s\",\"session\":\"%s\",\"shares_outstanding\":%.0f}\n", $2, $2, $1, $4 / $3
    }
    END { end_session() }'
}

# One request at a time keeps the order of each partition; the producer waits 5 ms for company, not a second.
sessions | records | "$tools/kafka-console-producer.sh" --bootstrap-server "$BOOTSTRAP" --topic market \
  --reader-property parse.key=true --command-property linger.ms=5 --command-property acks=all
