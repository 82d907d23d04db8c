"""Against a real Apache Kafka on loopback, started for this and stopped again.

    kafka.py rights ROOT BINARY SCRATCH    topics and rights of deploy/strimzi: the service lives with what it is
                                           given, and nobody can do more
    kafka.py feed ROOT BINARY SCRATCH      the scripts of deploy/compose: topics, configuration, feed

Both compare the alerts with those of `fragility replay` over the same days.
"""

import csv
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import yaml
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, NewTopic, ResourcePatternType,
                                   ResourceType, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion)

from running import PARTITIONER, Broker, Service, feed, feed_reference, free_port

mode, root, binary, scratch = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), *(pathlib.Path(p).resolve() for p in sys.argv[3:5])
data, jars = root / "data", scratch / "kafka"
CLOSES, SPY, REFERENCE = (data / n for n in ("us_top50_daily_2024q4_2025q1.csv", "spy_daily_2024q4_2025q1.csv", "us_top50_reference.ndjson"))
wrong = []


def ask(holds, what, why=""):
    print(f"ok      {what}" if holds else f"WRONG   {what}: {why}", flush=True)
    if not holds:
        wrong.append(what)


def replayed():
    """Alerts of the same days without a broker, by identity and revision."""
    days = []
    for table, close, value in ((CLOSES, "close", "market_cap"), (SPY, "close", None)):
        for row in csv.DictReader(open(table)):
            days.append((row["date"], row["symbol"], row[close], row.get(value) or ""))
    file = scratch / "days.csv"
    file.write_text("session,symbol,close,market_cap\n" + "".join(",".join(day) + "\n" for day in sorted(days)))
    ran = subprocess.run([binary, "replay", "--config", root / "config/fragility.toml", "--input", REFERENCE, file], capture_output=True, text=True, timeout=120)
    ran.check_returncode()
    return {(a["alert_id"], a["revision"]) for a in map(json.loads, ran.stdout.splitlines())}, sorted(days)


def alerts_read(settings, topic, count, secs):
    """Alerts of a topic, each time that one was read; ends some seconds after the expected number is there."""
    consumer = Consumer({"auto.offset.reset": "earliest", "isolation.level": "read_committed", "enable.auto.commit": False, **settings})
    consumer.subscribe([topic])
    found, until = [], time.monotonic() + secs
    while time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is None or message.error():
            continue
        if message.key() is not None:
            alert = json.loads(message.value())
            found.append((alert["alert_id"], alert["revision"]))
            if len(found) == count:
                until = min(until, time.monotonic() + 4)
    consumer.close()
    return found


def compare(found, wanted, what):
    missing, more, twice = len(wanted - set(found)), len(set(found) - wanted), len(found) - len(set(found))
    ask(not (missing or more or twice), f"{what}: {len(found)} alerts, {missing} missing, {more} unknown, {twice} twice, against {len(wanted)} replayed")


def refused(settings, attempt):
    """Whether Kafka refuses what an attempt does, for want of rights."""
    try:
        attempt(settings)
    except KafkaException as error:
        if "AUTHORIZATION_FAILED" in error.args[0].name():
            return True
        print(f"        {error.args[0].name()}: {error.args[0].str()}")
    return False


def write(topic):
    def attempt(settings):
        failures = []
        producer = Producer({**settings, "message.timeout.ms": 8000})
        producer.produce(topic, b"{}", on_delivery=lambda error, _: failures.append(error) if error else None)
        producer.flush(10)
        if failures:
            raise KafkaException(failures[0])
    return attempt


def read(topic, group=None):
    """In a group, or without one, as a reader of one partition."""
    def attempt(settings):
        consumer = Consumer({**settings, "group.id": group or "fragility", "auto.offset.reset": "earliest", "enable.auto.commit": False})
        try:
            if group:
                consumer.subscribe([topic])
            else:
                consumer.assign([TopicPartition(topic, 0, 0)])
            until = time.monotonic() + 10
            while time.monotonic() < until:
                message = consumer.poll(0.5)
                if message is not None and message.error():
                    raise KafkaException(message.error())
                if message is not None:
                    return
        finally:
            consumer.close()
    return attempt


def transact(name):
    def attempt(settings):
        Producer({**settings, "transactional.id": name}).init_transactions(10)
    return attempt


def create(topic):
    def attempt(settings):
        admin = AdminClient(settings)
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)
    return attempt


OPERATIONS = {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Describe": AclOperation.DESCRIBE}
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactionalId": ResourceType.TRANSACTIONAL_ID}
PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}


def apply_manifests(admin):
    """What the operators of Strimzi would do, on one broker."""
    topics = [t for t in yaml.safe_load_all((root / "deploy/strimzi/topics.yaml").read_text())]
    made = admin.create_topics([
        NewTopic(t["metadata"]["name"], t["spec"]["partitions"], 1,
                 config={k: str(v) for k, v in t["spec"]["config"].items()} | {"min.insync.replicas": "1"})
        for t in topics])
    for future in made.values():
        future.result(30)
    users = [u for u in yaml.safe_load_all((root / "deploy/strimzi/users.yaml").read_text())]
    rights = [
        AclBinding(RESOURCES[a["resource"]["type"]], a["resource"]["name"], PATTERNS[a["resource"]["patternType"]],
                   f"User:{u['metadata']['name']}", "*", OPERATIONS[o], AclPermissionType.ALLOW)
        for u in users for a in u["spec"]["authorization"]["acls"] for o in a["operations"]]
    for future in admin.create_acls(rights).values():
        future.result(30)
    names = [u["metadata"]["name"] for u in users]
    secrets = [UserScramCredentialUpsertion(n, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"secret") for n in names]
    for future in admin.alter_user_scram_credentials(secrets).values():
        future.result(30)
    print(f"{len(topics)} topics, {len(names)} users, {len(rights)} rights")
    return {t["metadata"]["name"]: t["spec"]["partitions"] for t in topics}


def check_rights():
    port, controller = free_port(), free_port()
    plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin" user_admin="admin";'
    broker = Broker(scratch / "rights", jars, port, f"""
listeners=SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_PLAINTEXT://127.0.0.1:{port}
controller.quorum.voters=1@127.0.0.1:{controller}
inter.broker.listener.name=SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={plain}
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
""")
    base = {"bootstrap.servers": f"127.0.0.1:{port}", "security.protocol": "SASL_PLAINTEXT", "log_level": 0}
    admin = AdminClient({**base, "sasl.mechanism": "PLAIN", "sasl.username": "admin", "sasl.password": "admin"})
    user = lambda name: {**base, "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": name, "sasl.password": "secret"}
    feeder, reader, service = user("fragility-feeder"), user("fragility-reader"), user("fragility")
    running = None
    try:
        topics = apply_manifests(admin)
        wanted, days = replayed()
        config = scratch / "rights.toml"
        config.write_text("")
        settings = {
            "FRAGILITY__KAFKA__BROKERS": f"'127.0.0.1:{port}'", "FRAGILITY__KAFKA__LANES": "2", "FRAGILITY__KAFKA__STATIC_MEMBERSHIP": "true",
            "FRAGILITY__KAFKA__INSTANCE_ID": "fragility-0", "FRAGILITY__KAFKA__TOPICS__REFERENCE": "reference", "FRAGILITY__KAFKA__TOPICS__STATE": "state",
            "FRAGILITY__KAFKA__TOPICS__MEMBERS": "members", "FRAGILITY__KAFKA__TOPICS__SNAPSHOTS": "snapshots", "FRAGILITY__STATE__TOPIC_INTERVAL_SECS": "5",
            "FRAGILITY__KAFKA__PROPERTIES__SECURITY_PROTOCOL": "SASL_PLAINTEXT", "FRAGILITY__KAFKA__PROPERTIES__SASL_MECHANISM": "SCRAM-SHA-512",
            "FRAGILITY__KAFKA__PROPERTIES__SASL_USERNAME": "fragility", "FRAGILITY__KAFKA__PROPERTIES__SASL_PASSWORD": "secret",
            "FRAGILITY__DELIVERY__MODE": "exactly_once"}
        arguments = ["--config", str(config), f"--set=state.dir={scratch / 'rights-state'}"]
        shutil.rmtree(scratch / "rights-state", ignore_errors=True)
        # Reference records come first, as a feeder would send them.
        producer = Producer({**feeder, "enable.idempotence": True, **PARTITIONER})
        feed_reference(producer, REFERENCE.read_text().splitlines())
        ask(producer.flush(30) == 0, "the feeder writes reference records")
        running = Service(binary, arguments, settings, scratch / "rights-1.log")
        ask(running.wait_ready(90), "the service gets ready, exactly_once, two lanes, static membership")
        half = len(days) // 2
        boundary = days[half][0]
        feed(producer, [d for d in days if d[0] < boundary], topics["market"])
        ask(producer.flush(30) == 0, "the feeder writes market records")
        time.sleep(12)  # two rounds of snapshots to their topic
        # A machine is lost: what its successor knows of, it knows from the topics.
        running.end(signal.SIGKILL)
        ask(not running.refusals(), "nothing is refused to the service", running.refusals()[:3])
        shutil.rmtree(scratch / "rights-state")
        running = Service(binary, arguments, settings, scratch / "rights-2.log")
        ask(running.wait_ready(90), "another machine of the same name gets ready, after kill -9")
        restored = re.search(r'^fragility_restores_total\{from="snapshot"\} (\d+)', running.get("/metrics"), re.M)
        ask(restored and int(restored[1]) >= topics["market"], "its partitions go on from snapshots of the topic")
        feed(producer, [d for d in days if d[0] >= boundary], topics["market"])
        producer.flush(30)
        found = alerts_read({**reader, "group.id": "fragility-reader-check"}, "alerts", len(wanted), 60)
        compare(found, wanted, "the reader reads them")
        ask(running.end() == 143, "the service stops cleanly")
        ask(not running.refusals(), "nothing is refused to its successor", running.refusals()[:3])
        running = Service(binary, arguments, settings | {"FRAGILITY__DELIVERY__MODE": "at_least_once"}, scratch / "rights-3.log")
        ask(running.wait_ready(90), "the service gets ready, at_least_once")
        ask(running.end() == 143 and not running.refusals(), "it stops cleanly, and nothing is refused")
        environment = dict(os.environ, **settings)
        alert, revision = sorted(found)[0]
        told = subprocess.run([binary, "explain", f"{alert}:{revision}", *arguments], env=environment, capture_output=True, text=True, timeout=60)
        ask(told.returncode == 0, "`explain` finds an alert and its records", told.stderr.strip())
        again = subprocess.run([binary, "replay", *arguments, "--from", "beginning"], env=environment, capture_output=True, text=True, timeout=60)
        ask(again.returncode == 0 and len(again.stdout.splitlines()) == len(wanted), "`replay --from beginning` reads the market topic", again.stderr.strip())

        for who, what, attempt in [
            (feeder, "the feeder cannot read the market", read("market", "fragility-feeder")),
            (feeder, "the feeder cannot write alerts", write("alerts")),
            (reader, "the reader cannot write alerts", write("alerts")),
            (reader, "the reader cannot write market records", write("market")),
            (reader, "the reader cannot read the market", read("market", "fragility-reader-x")),
            (reader, "the reader cannot take the service's group", read("alerts", "fragility")),
            (service, "the service cannot write market records", write("market")),
            (service, "the service cannot read states", read("state")),
            (service, "the service cannot join another group", read("market", "other")),
            (service, "the service cannot join the group of its range reader", read("market", "fragility-replay")),
            (service, "the service cannot use another's transactional id", transact("other-0")),
            (service, "the service cannot create topics", create("another")),
        ]:
            ask(refused(who, attempt), what)
        ask(not refused(service, transact("fragility-9-0")), "the service may use a transactional id of its own")
    finally:
        if running and running.process.poll() is None:
            running.end()
        broker.stop()


def check_feed():
    port = free_port()
    broker = Broker(scratch / "feed", jars, port)
    running = None
    try:
        tools = scratch / "bin"
        tools.mkdir(exist_ok=True)
        programs = next(scratch.glob("kafka-tools/jars"))
        for name, entry in (("kafka-topics.sh", "TopicCommand"), ("kafka-console-producer.sh", "ConsoleProducer")):
            (tools / name).write_text(f'#!/bin/sh\nexec java -Xmx192m -cp "{programs}/*" org.apache.kafka.tools.{entry} "$@"\n')
            (tools / name).chmod(0o755)
        environment = dict(os.environ, BOOTSTRAP=f"127.0.0.1:{port}", KAFKA_BIN=str(tools), FEED_SECONDS="0")
        home = root / "deploy/compose"
        for _ in range(2):
            made = subprocess.run([home / "topics.sh"], env=environment, capture_output=True, text=True, timeout=120)
        ask(made.returncode == 0, "topics are made, and a second time does no harm", made.stderr.strip())
        state = scratch / "feed-state"
        shutil.rmtree(state, ignore_errors=True)
        running = Service(binary, ["--config", str(home / "fragility.toml"), f"--set=kafka.brokers='127.0.0.1:{port}'", f"--set=state.dir={state}", f'--set=history.files=["{REFERENCE}"]'], {}, scratch / "feed.log")
        ask(running.wait_ready(60), "the service gets ready with the configuration of the stack")
        wanted, _ = replayed()
        fed = subprocess.run([home / "feed.sh", data], env=environment, capture_output=True, text=True, timeout=180)
        ask(fed.returncode == 0 and fed.stderr.count("\n") >= 121, "every session is fed", fed.stderr.strip())
        found = alerts_read({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "check"}, "alerts", len(wanted), 60)
        compare(found, wanted, "the stack's alerts")
        text = running.get("/metrics")
        ask('fragility_records_total{outcome="malformed"} 0' in text and 'fragility_records_total{outcome="rejected"} 0' in text, "no record is refused")
    finally:
        if running and running.process.poll() is None:
            ask(running.end() == 143, "it stops cleanly")
        broker.stop()


{"rights": check_rights, "feed": check_feed}[mode]()
print(f"{len(wrong)} problems")
sys.exit(bool(wrong))
