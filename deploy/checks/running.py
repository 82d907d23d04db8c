"""A Kafka broker and the service as checks and drill start them, and what is fed to them. Loopback alone."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What Kafka's own clients use, so that a symbol lies in the partition where any producer would put it.
PARTITIONER = {"partitioner": "murmur2_random"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """A real Apache Kafka, by scripts/kafka, whose jars are kept in `jars`."""

    def __init__(self, directory, jars, port, extra=""):
        self.dir = directory
        shutil.rmtree(self.dir, ignore_errors=True)
        self.address = f"127.0.0.1:{port}"
        self.env = dict(os.environ, CARGO_TARGET_DIR=str(jars), KAFKA_EXTRA=extra)
        self.call("start", str(self.dir), str(port))

    def call(self, *words):
        subprocess.run([ROOT / "scripts/kafka", *words], env=self.env, check=True, timeout=240, stdout=subprocess.DEVNULL)

    def kill(self):
        self.call("kill", str(self.dir))

    def start_again(self):
        self.call("start", str(self.dir))

    def stop(self):
        self.call("stop", str(self.dir))


class Service:
    def __init__(self, binary, arguments, environment, log, *, level="debug"):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = log
        settings = [f"--set=http.listen={self.address}", "--set=log.format=json", f"--set=log.level={level}"]
        with open(self.log, "w") as err:
            self.process = subprocess.Popen([binary, "run", *arguments, *settings], stderr=err, cwd=log.parent, env=dict(os.environ, **environment))

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
            return answer.read().decode()

    def wait_ready(self, secs):
        until, reason = time.monotonic() + secs, "no answer"
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self.get("/readyz")
                return True
            except urllib.error.HTTPError as refused:
                reason = refused.read().decode().strip()
            except OSError:
                pass
            time.sleep(0.2)
        print(f"not ready: {reason}")
        return False

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def refusals(self):
        text = self.log.read_text()
        return [line for line in text.splitlines() if "uthoriz" in line or "UTHORIZ" in line or "not allowed" in line]


def feed_reference(producer, lines):
    """Reference records, each under the key that compaction goes by."""
    for line in lines:
        r = json.loads(line)
        producer.produce("reference", line, key="|".join([r["symbol"], r["type"], r.get("from") or r.get("ex_date") or r.get("session"), r.get("group", "")]))


def feed(producer, days, partitions):
    """Closes and share counts of each session, then a heartbeat in every partition.

    `days` are rows of session, symbol, close and market value, in order.
    """
    session = None

    def beat():
        for partition in range(partitions):
            producer.produce("market", f'{{"type":"heartbeat","ts":"{session}T23:59:00Z"}}', partition=partition)
    for date, symbol, close, value in days:
        if session not in (None, date):
            beat()
            producer.flush(10)
        session = date
        producer.produce("market", f'{{"type":"close","symbol":"{symbol}","session":"{date}","price":{close}}}', key=symbol)
        if value:
            producer.produce("market", f'{{"type":"shares","symbol":"{symbol}","session":"{date}","shares_outstanding":{float(value) / float(close)!r}}}', key=symbol)
    beat()
