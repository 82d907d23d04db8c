"""What runs in a drill: Kafka, two services, their feed, Prometheus, Alertmanager, and who is told."""

import datetime as dt
import signal
import subprocess
import sys
import time

import hurry
from days import Days
from feed import Feed, feed_past, make_topics, producer
from findings import SOON, elapsed, found, needed, say, wait_for
from running import ROOT, Broker, Service, free_port
from watch import Alertmanager, Prometheus, Receiver, tail

DEPLOY = ROOT / "deploy"
# A start on busy cores.
START = 90


class Stack:
    """Everything is ended when `closing` is closed, the last that was started first."""

    def __init__(self, binary, tools, work, closing):
        self.binary, self.tools, self.work, self.closing = binary, tools, work, closing
        self.logs = []

    def start(self):
        days = Days(ROOT, dt.datetime.now(dt.timezone.utc))
        say(f"27 January 2025 is today, {days.today}; the exchange is open from {days.opens} to {days.closes_at}, it is {days.now:%H:%M} in New York")
        self._start_kafka(days)
        overlay = self.work / "overlay.toml"
        overlay.write_text(days.overlay())
        common = ["--config", str(ROOT / "config/fragility.toml"), f"--set=kafka.brokers={self.broker.address}", f"--set=market.calendar_overlay={overlay}"]
        self.service = self._serve("the service", [
            *common, "--set=kafka.topics.reference=reference", "--set=kafka.topics.state=state", "--set=kafka.topics.snapshots=snapshots"])
        self.second = self._serve("the second service", [
            *common, "--set=kafka.group=second", "--set=kafka.topics.market=second-market", "--set=kafka.topics.alerts=second-alerts",
            "--set=kafka.topics.dead_letters=second-dead-letters"])
        for service in (self.service, self.second):
            needed(service.wait_ready(START), f"{service.name} is ready at {service.address}")
        # Alerts of the past are late by nature: Prometheus is not to see them come.
        needed(wait_for(lambda: time.time() - self.told("fragility_event_time_seconds", 0.0) < 5, START), "the service has come to now")
        needed(wait_for(lambda: self.level() == 0, START), "the Magnificent 7 are judged, and calm", self.level())
        self._start_watching()

    def _start_kafka(self, days):
        self.broker = Broker(self.work / "kafka", self.tools / "kafka", free_port())
        self.closing.callback(self.broker.stop)
        self.logs.append(self.work / "kafka/log")
        make_topics(self.broker.address)
        past = producer(self.broker.address)
        feed_past(past, days)
        needed(past.flush(60) == 0, "Apache Kafka runs and holds the shipped sessions from October 2024 to 24 January 2025")
        self.feed = Feed(self.broker.address, days)
        self.closing.callback(self.feed.end)
        self.feed.start()

    def _serve(self, name, arguments):
        file = self.work / name.replace(" ", "-")
        service = Service(self.binary, [*arguments, f"--set=state.dir={file}"], {}, file.with_suffix(".log"), level="info")
        service.name = name
        self.logs.append(service.log)

        def end():
            # One that was stopped hears of nothing else.
            service.process.send_signal(signal.SIGCONT)
            status = service.end()
            found(status == 128 + signal.SIGTERM, f"{name} stops cleanly", f"status {status}")
        self.closing.callback(end)
        return service

    def _start_watching(self):
        config = self.work / "watch"
        config.mkdir()
        address = f"127.0.0.1:{free_port()}"
        self.receiver = Receiver(self.work / "secrets")
        self.closing.callback(self.receiver.close)
        say(f"as shipped, but {hurry.FACTOR} times as fast; expressions and the windows in them are untouched:")
        for line in (
            *hurry.rules(DEPLOY / "prometheus", config),
            *hurry.prometheus(DEPLOY / "prometheus/prometheus.yml", config, [self.service.address, self.second.address], address),
            *hurry.alertmanager(DEPLOY / "alertmanager/alertmanager.yml", config, self.receiver),
        ):
            say(f"  {line}")
        for tool, what in (
            (Alertmanager(self.work, config / "alertmanager.yml", address), "Alertmanager runs with the shipped routes"),
            (Prometheus(self.work, config / "prometheus.yml"), "Prometheus runs with the shipped rules"),
        ):
            self.closing.callback(tool.end)
            self.logs.append(tool.log)
            needed(tool.is_ready(), f"{what} at {tool.address}")
        self.prometheus = tool
        needed(wait_for(lambda: self.prometheus.value('count(up{job="fragility"} == 1)') == 4, SOON), "both paths of both services are scraped")

    def told(self, series, otherwise=None):
        """What the service tells of a series."""
        values = [line.rsplit(" ", 1)[1] for line in self.service.get("/metrics").splitlines() if line.startswith(f"{series} ")]
        return float(values[0]) if values else otherwise

    def level(self):
        return self.told('fragility_cluster_level{cluster="mag7"}')

    def check_rules(self):
        """The repository's own check of rules, their unit tests, routes and runbooks, about what the service exposes."""
        file = self.work / "metrics"
        file.write_text(self.service.get("/metrics") + self.service.get("/metrics/symbols"))
        return self._beside("rules, their unit tests, routes and runbooks", self.work / "rules.log", [sys.executable, DEPLOY / "check_rules.py", file])

    def check_dashboards(self):
        """The dashboards' own check, about everything that was scraped."""
        command = [self.tools / "grafana/bin/python", DEPLOY / "grafana/check.py", "--prometheus", self.prometheus.url, "--seconds", int(elapsed()) + 1]
        return self._beside("dashboards", self.work / "dashboards.log", command)

    def _beside(self, name, log, command):
        """Starts a check; gives what waits for its end and tells of it."""
        with log.open("w") as out:
            process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT)
        self.closing.callback(process.kill)

        def done():
            try:
                status = process.wait(2 * SOON)
            except subprocess.TimeoutExpired:
                status = "not done"
            lines = tail(log, 30)
            # What is said beside the result, of single queries, is not the result.
            result = next((line for line in lines if not line.startswith("check: NaN")), "")
            if not found(status == 0, f"{name}: {result}", f"status {status}"):
                for line in lines:
                    say(f"  {line}")
        return done
