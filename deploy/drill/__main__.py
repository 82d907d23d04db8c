"""The drill: what deploy/ ships, run as a whole, and each cause of an alert that can be made on purpose.

    python deploy/drill BINARY TOOLS        by deploy/drill.sh, which fetches the tools
"""

import contextlib
import datetime as dt
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "checks"))

import hurry  # noqa: E402
from days import Days, NoSessionNow  # noqa: E402
from feed import Feed, HangingTransaction, MARKET_PARTITIONS, Rubbish, make_topics, producer  # noqa: E402
from findings import CannotGoOn, elapsed, found, needed, say, wait_for, wrong  # noqa: E402
from running import ROOT, Broker, Service, feed, feed_reference, free_port  # noqa: E402
from watch import DESK, PAGE, TICKET, WATCHDOG, Alertmanager, Prometheus, Receiver, tail  # noqa: E402

DEPLOY = ROOT / "deploy"
# Long enough for every rule that waits, and for scrapes that come late on busy cores.
SOON, START = 60, 90
# The healthy time before anything is provoked, and when in it the market falls.
HEALTHY, FALL_AFTER = 60, 15
# Rules that look back take as long as that, however hurried: two minutes without a newer event time; three minutes of
# lag on top of the 30 s that are none; and up to two whole minutes of a group's level.
STALE_AFTER, LAGGING_AFTER, CRITICAL_AFTER = 120, 210, 120
# Refused records a second: some among the good ones, and more than the service calls a flood.
SOME, FLOOD = 30, 250
# The switch outside is told every second or two. It has to hear through everything that is done here.
WATCHDOG_GAP = 15


class Drill:
    def __init__(self, binary, tools, work, stack):
        self.binary, self.tools, self.work, self.stack = binary, tools, work, stack
        self.logs = []

    def keep(self, process, end):
        """What runs is ended when the drill is, the last one first; its log is told of when something was wrong."""
        self.stack.callback(end)
        if getattr(process, "log", None):
            self.logs.append(process.log)
        return process

    # What runs.

    def start(self):
        days = Days(ROOT, dt.datetime.now(dt.timezone.utc))
        say(f"27 January 2025 is today, {days.today}; the exchange is open from {days.opens} to {days.closes_at}, it is {days.now:%H:%M} in New York")
        overlay = self.work / "overlay.toml"
        overlay.write_text(days.overlay())
        self.broker = Broker(self.work / "kafka", self.tools / "kafka", free_port())
        self.stack.callback(self.broker.stop)
        self.logs.append(self.work / "kafka/log")
        address = self.broker.address
        make_topics(address)
        past = producer(address)
        feed_reference(past, days.reference())
        feed(past, days.past, MARKET_PARTITIONS)
        needed(past.flush(60) == 0, f"Apache Kafka runs and holds {len({d[0] for d in days.past})} shipped sessions, {len(days.past)} closes")
        self.feed = self.keep(Feed(address, days), lambda: self.feed.end())
        self.feed.start()
        common = ["--config", str(ROOT / "config/fragility.toml"), f"--set=kafka.brokers={address}", f"--set=market.calendar_overlay={overlay}"]
        self.service = self.serve("service", [
            *common, "--set=kafka.topics.reference=reference", "--set=kafka.topics.state=state", "--set=kafka.topics.snapshots=snapshots"])
        self.second = self.serve("second", [
            *common, "--set=kafka.group=second", "--set=kafka.topics.market=second-market", "--set=kafka.topics.alerts=second-alerts",
            "--set=kafka.topics.dead_letters=second-dead-letters"])
        for service in (self.service, self.second):
            needed(service.wait_ready(START), f"a service is ready at {service.address}")
        needed(wait_for(lambda: 'fragility_cluster_level{cluster="mag7"} 0' in self.service.get("/metrics"), START), "the Magnificent 7 are judged, and calm")
        self.watch()

    def serve(self, name, arguments):
        service = Service(self.binary, [*arguments, f"--set=state.dir={self.work / name}-state"], {}, self.work / f"{name}.log", level="info")

        def end():
            # One that was stopped does not hear of it.
            service.process.send_signal(signal.SIGCONT)
            found(service.end() == 143, f"{name} stops cleanly")
        return self.keep(service, end)

    def watch(self):
        config = self.work / "watch"
        config.mkdir()
        alertmanager = f"127.0.0.1:{free_port()}"
        self.receiver = self.keep(Receiver(self.work / "secrets"), lambda: self.receiver.close())
        say(f"as shipped, but {hurry.FACTOR} times as fast, expressions and their windows untouched:")
        for line in (
            hurry.rules(DEPLOY / "prometheus", config)
            + hurry.prometheus(DEPLOY / "prometheus/prometheus.yml", config, [self.service.address, self.second.address], alertmanager)
            + hurry.alertmanager(DEPLOY / "alertmanager/alertmanager.yml", config, self.receiver.url, self.receiver.secrets)
        ):
            say(f"  {line}")
        started = Alertmanager(self.work, config / "alertmanager.yml", alertmanager)
        self.keep(started, started.end)
        needed(started.is_ready(), f"Alertmanager runs with the shipped routes at {alertmanager}")
        self.prometheus = Prometheus(self.work, config / "prometheus.yml")
        self.keep(self.prometheus, self.prometheus.end)
        needed(self.prometheus.is_ready(), f"Prometheus runs with the shipped rules at {self.prometheus.address}")
        needed(wait_for(lambda: self.prometheus.value('count(up{job="fragility"} == 1)') == 4, SOON), "both paths of both services are scraped")

    # What is found.

    def arrives(self, name, path, secs, since, **labels):
        who = {PAGE: "paging", TICKET: "tickets", DESK: "the desk"}[path]
        told = wait_for(lambda: self.receiver.heard(name, since=since, path=path, **labels), secs)
        return found(told, f"{name} ({labels['severity']}) fires and arrives at {who}" + (f", {told[0].at - since:.0f} s after its cause" if told else ""), self.why_not(name))

    def resolves(self, name, path, since, **labels):
        told = wait_for(lambda: self.receiver.heard(name, "resolved", since=since, path=path, **labels), SOON)
        return found(told, f"{name} ({labels['severity']}) resolves, and that arrives" + (f", {told[0].at - since:.0f} s after the cause is gone" if told else ""), self.why_not(name))

    def why_not(self, name):
        states = self.prometheus.query(f'ALERTS{{alertname="{name}"}}')
        return f"in Prometheus: {[(labels['alertstate'], labels.get('severity'), labels.get('instance')) for labels, _ in states] or 'not even pending'}"

    def healthy(self):
        """From the first scrape on, and through the fall of the market: nobody who runs the service hears of anything."""
        began = elapsed()
        time.sleep(FALL_AFTER)
        self.feed.falls = True
        fell = elapsed()
        critical = wait_for(lambda: 'fragility_cluster_level{cluster="mag7"} 3' in self.service.get("/metrics"), SOON)
        needed(critical, "the market falls to the closes of 27 January, and the Magnificent 7 are CRITICAL", self.feed.trouble or "")
        time.sleep(max(0.0, began + HEALTHY - elapsed()))
        fired = self.prometheus.fired('team="operations",severity!="info"', elapsed() - began)
        paged = self.receiver.heard(path=PAGE) + self.receiver.heard(path=TICKET)
        found(not fired and not paged, f"{HEALTHY} s of health: no page and no ticket about operations", f"{fired} {paged}")
        found(not self.prometheus.broken_rules(), f"all {self.prometheus.rules()} rules can be evaluated", self.prometheus.broken_rules())
        return fell

    def dead_letters(self):
        rubbish = Rubbish(self.broker.address, "market", SOME)
        began = elapsed()
        rubbish.start()
        try:
            self.arrives("DeadLetters", TICKET, SOON, began, severity="warning", instance=self.service.address)
            began, rubbish.rate = elapsed(), FLOOD
            self.arrives("DeadLetterFlood", PAGE, SOON, began, severity="critical", instance=self.service.address)
        finally:
            rubbish.end()
        self.resolves("DeadLetterFlood", PAGE, elapsed(), severity="critical", instance=self.service.address)
        say("DeadLetters is not waited for: its window holds five minutes of what was refused")

    def silence(self):
        began = elapsed()
        self.feed.speaks = False
        self.arrives("StaleFeed", PAGE, STALE_AFTER + SOON, began, severity="critical")
        self.feed.speaks = True
        self.resolves("StaleFeed", PAGE, elapsed(), severity="critical")

    def lag(self, hanging, since):
        instance = self.second.address
        self.arrives("NotReady", PAGE, SOON, since, severity="critical", instance=instance)
        self.arrives("KafkaLagging", TICKET, max(SOON, LAGGING_AFTER + SOON + since - elapsed()), since, severity="warning", instance=instance)
        hanging.commit()
        released = elapsed()
        self.resolves("KafkaLagging", TICKET, released, severity="warning", instance=instance)
        self.resolves("NotReady", PAGE, released, severity="critical", instance=instance)

    def outage(self):
        """The broker is killed and, in the same breath, a service is stopped that then answers nobody."""
        began = elapsed()
        self.broker.kill()
        self.second.process.send_signal(signal.SIGSTOP)
        self.arrives("NotReady", PAGE, SOON, began, severity="critical", instance=self.service.address)
        self.arrives("FragilityDown", PAGE, SOON, began, severity="critical", instance=self.second.address)
        self.second.process.send_signal(signal.SIGCONT)
        answering = elapsed()
        self.broker.start_again()
        back = elapsed()
        self.resolves("FragilityDown", PAGE, answering, severity="critical", instance=self.second.address)
        self.resolves("NotReady", PAGE, back, severity="critical", instance=self.service.address)
        for service in (self.service, self.second):
            found(service.wait_ready(SOON), f"the service at {service.address} is ready again")

    def unit_tests(self):
        """check_rules.py beside the drill, about what the running service exposes."""
        file = self.work / "metrics"
        file.write_text(self.service.get("/metrics") + self.service.get("/metrics/symbols"))
        return self.beside("rules", [sys.executable, DEPLOY / "check_rules.py", file])

    def dashboards(self):
        seconds = int(elapsed()) + 1
        python = self.tools / "grafana/bin/python"
        return self.beside("dashboards", [python, DEPLOY / "grafana/check.py", "--prometheus", self.prometheus.url, "--seconds", str(seconds)])

    def beside(self, name, command):
        """Starts a check; gives what waits for it and tells its last line."""
        log = self.work / f"{name}.log"
        with log.open("w") as out:
            process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT)
        self.stack.callback(process.kill)

        def done():
            try:
                status = process.wait(2 * SOON)
            except subprocess.TimeoutExpired:
                status = "not done"
            lines = tail(log, 30)
            if found(status == 0, f"{name}: {next((l for l in lines if l.strip() and ': NaN' not in l), '')}", f"status {status}"):
                return
            for line in lines:
                say(f"  {line}")
        return done

    def course(self):
        self.start()
        fell = self.healthy()
        hanging, hangs = HangingTransaction(self.broker.address, "second-market"), elapsed()
        say("a transaction hangs in the second market, behind which its service lags from now on")
        self.dead_letters()
        self.arrives("ClusterCritical", DESK, CRITICAL_AFTER + SOON, fell, severity="critical", cluster="mag7")
        rules = self.unit_tests()
        self.silence()
        self.lag(hanging, hangs)
        self.outage()
        dashboards = self.dashboards()
        rules()
        dashboards()
        self.close()

    def close(self):
        beats = [t.at for t in self.receiver.heard("Watchdog", path=WATCHDOG)]
        gap = max((b - a for a, b in zip(beats, [*beats[1:], elapsed()])), default=elapsed())
        found(gap < WATCHDOG_GAP, f"the Watchdog arrives {len(beats)} times, never {WATCHDOG_GAP} s apart: {gap:.1f} s at most")
        found(not self.receiver.refused, "every message carries the secret of its receiver", self.receiver.refused)
        found(not self.feed.trouble, "the feed has held", self.feed.trouble)
        asked = {"DeadLetters", "DeadLetterFlood", "StaleFeed", "KafkaLagging", "NotReady", "FragilityDown", "ClusterCritical", "Watchdog"}
        others = sorted({(t.name, t.labels.get("severity")) for t in self.receiver.heard()} - {(t.name, t.labels.get("severity")) for t in self.receiver.heard() if t.name in asked})
        say(f"also told, as what follows from these: {', '.join(f'{name} ({severity})' for name, severity in others) or 'nothing'}")


def main():
    binary, tools = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    # Ended from outside, it still ends what it has started.
    for how in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, lambda *_: sys.exit(1))
    work = pathlib.Path(tempfile.mkdtemp(prefix="fragility-drill-"))
    try:
        with contextlib.ExitStack() as stack:
            drill = Drill(binary, tools, work, stack)
            try:
                drill.course()
            except NoSessionNow as why:
                say(str(why))
                return 2
            except CannotGoOn as what:
                say(f"what follows is left out: {what}")
            except subprocess.SubprocessError as why:
                found(False, "what the drill rests on runs", why)
        for log in drill.logs if wrong else []:
            say(f"the end of {log.name}:")
            for line in tail(log):
                say(f"  {line}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{len(wrong)} problems, {elapsed():.0f} s")
    return bool(wrong)


sys.exit(main())
