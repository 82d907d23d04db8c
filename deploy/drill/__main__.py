"""The drill: what deploy/ ships, run as a whole, and each cause of an alert that can be made on purpose.

    python deploy/drill BINARY TOOLS        by deploy/drill.sh, which fetches the tools
"""

import contextlib
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "checks"))

from days import NoSessionNow  # noqa: E402
from feed import HangingTransaction, Rubbish  # noqa: E402
from findings import SOON, CannotGoOn, elapsed, found, needed, say, wait_for, wrong  # noqa: E402
from stack import Stack  # noqa: E402
from watch import DESK, PAGE, TICKET, WATCHDOG, tail  # noqa: E402

# The healthy time before anything is provoked, and when in it the market falls.
HEALTHY, FALL_AFTER = 45, 10
# Rules that look back take as long as that, however hurried: two minutes without a newer event time; three minutes of
# lag on top of the 30 s that are none; and up to two whole minutes of a group's level.
STALE_AFTER, LAGGING_AFTER, CRITICAL_AFTER = 120, 210, 120
# Refused records a second: some among the good ones, and more than the service calls a flood.
SOME, FLOOD = 30, 250
# The switch outside is told every second or two. It has to hear through everything that is done here.
WATCHDOG_GAP = 15


class Drill(Stack):
    def course(self):
        self.start()
        fell = self.healthy()
        hanging, hangs = HangingTransaction(self.broker.address, "second-market"), elapsed()
        say("a transaction hangs in the market of the second service, which lags behind it from now on")
        self.dead_letters()
        rules_hold = self.check_rules()
        self.silence(fell)
        self.lag(hanging, hangs)
        self.outage()
        dashboards_hold = self.check_dashboards()
        rules_hold()
        dashboards_hold()
        self.afterwards()

    def arrives(self, name, path, secs, since, service=None, **labels):
        self._told("firing", "fires and arrives", "after its cause", name, path, secs, since, service, labels)

    def resolves(self, name, path, since, service=None, **labels):
        self._told("resolved", "resolves, and that arrives", "after the cause is gone", name, path, SOON, since, service, labels)

    def _told(self, status, what, after, name, path, secs, since, service, labels):
        of = f" of {service.name}" if service else ""
        selected = {**labels, "instance": service.address} if service else labels
        told = wait_for(lambda: self.receiver.heard(name, status, since, path, **selected), secs)
        line = f"{name} ({labels['severity']}){of} {what} at {path[1:]}"
        if told:
            found(True, f"{line}, {told[0].at - since:.0f} s {after}")
            return
        states = [(l["alertstate"], l.get("severity"), l.get("instance")) for l, _ in self.prometheus.query(f'ALERTS{{alertname="{name}"}}')]
        found(False, line, f"in Prometheus it is {states or 'not even pending'}")

    def healthy(self):
        """From the first scrape on, and through the fall of the market: nobody who runs the service hears of anything."""
        began = elapsed()
        time.sleep(FALL_AFTER)
        self.feed.falls = True
        fell = elapsed()
        needed(wait_for(lambda: self.level() == 3, SOON), "the market falls to the closes of 27 January, and the Magnificent 7 are CRITICAL", self.level())
        time.sleep(max(0.0, began + HEALTHY - elapsed()))
        fired = self.prometheus.fired('team="operations",severity="critical"', elapsed() - began)
        paged = self.receiver.heard(path=PAGE)
        found(not fired and not paged, f"{HEALTHY} s of health: nobody is paged", f"{fired} {paged}")
        tickets = sorted({t.name for t in self.receiver.heard(path=TICKET)})
        say(f"tickets meanwhile: {', '.join(tickets) or 'none'}")
        return fell

    def dead_letters(self):
        rubbish, began = Rubbish(self.broker.address, "market", SOME), elapsed()
        rubbish.start()
        try:
            self.arrives("DeadLetters", TICKET, SOON, began, self.service, severity="warning")
            rubbish.rate, began = FLOOD, elapsed()
            self.arrives("DeadLetterFlood", PAGE, SOON, began, self.service, severity="critical")
        finally:
            rubbish.end()
        self.resolves("DeadLetterFlood", PAGE, elapsed(), self.service, severity="critical")
        say("DeadLetters is not waited for to resolve: it looks back on five minutes, which still hold what was refused")

    def silence(self, fell):
        """Neither prices nor heartbeats for the first service, while the exchange is open. The second lags."""
        self.feed.speaks, began = False, elapsed()
        # The rule wants a whole minute by the clock at this level, which the group keeps when nothing more comes.
        self.arrives("ClusterCritical", DESK, CRITICAL_AFTER + SOON, fell, severity="critical", cluster="mag7")
        self.arrives("StaleFeed", PAGE, STALE_AFTER + SOON, began, severity="critical")
        self.feed.speaks, back = True, elapsed()
        self.resolves("StaleFeed", PAGE, back, severity="critical")

    def lag(self, hanging, since):
        left = max(0.0, LAGGING_AFTER + since - elapsed())
        self.arrives("NotReady", PAGE, SOON, since, self.second, severity="critical")
        self.arrives("KafkaLagging", TICKET, left + SOON, since, self.second, severity="warning")
        hanging.commit()
        over = elapsed()
        self.resolves("KafkaLagging", TICKET, over, self.second, severity="warning")
        self.resolves("NotReady", PAGE, over, self.second, severity="critical")

    def outage(self):
        """The broker is killed and, in the same breath, a service is stopped so that it answers nobody."""
        began = elapsed()
        self.broker.kill()
        self.second.process.send_signal(signal.SIGSTOP)
        self.arrives("NotReady", PAGE, SOON, began, self.service, severity="critical")
        self.arrives("FragilityDown", PAGE, SOON, began, self.second, severity="critical")
        self.second.process.send_signal(signal.SIGCONT)
        answers = elapsed()
        self.broker.start_again()
        back = elapsed()
        self.resolves("FragilityDown", PAGE, answers, self.second, severity="critical")
        for service in (self.service, self.second):
            found(service.wait_ready(SOON), f"{service.name} is ready again")
        # Of several instances in one message, one that is held back while it restores counts as ended already.
        over = wait_for(lambda: not self.prometheus.query('ALERTS{alertname="NotReady"}') and self.receiver.is_over("NotReady", PAGE, back), SOON)
        found(over, "NotReady is over in Prometheus, and its last message at paging says so")
        # A lane looks at its symbols every few seconds; what asks for their series of now has to wait for that.
        found(wait_for(lambda: self.prometheus.value("count(fragility_symbol_z_sigmas)"), SOON), "its symbols have series again")

    def afterwards(self):
        """What has to have held all the time."""
        found(not self.prometheus.broken_rules(), f"all {self.prometheus.rules()} rules could be evaluated", self.prometheus.broken_rules())
        found(not self.prometheus.fired('alertname="RecordsNotAccounted"', elapsed()), "every record has had an outcome: RecordsNotAccounted never fired")
        beats = [t.at for t in self.receiver.heard("Watchdog", path=WATCHDOG)]
        gap = max((b - a for a, b in zip(beats, [*beats[1:], elapsed()])), default=elapsed())
        found(gap < WATCHDOG_GAP, f"the Watchdog has arrived {len(beats)} times, {gap:.1f} s apart at most")
        found(not self.receiver.refused, "every message has carried the secret of its receiver", self.receiver.refused)
        found(not self.feed.trouble, "the feed has held", self.feed.trouble)
        expected = {"DeadLetterFlood", "StaleFeed", "NotReady", "FragilityDown"}
        others = sorted({t.name for t in self.receiver.heard(path=PAGE)} - expected)
        found(not others, "nobody was paged for anything else", others)
        beside = sorted({t.name for t in self.receiver.heard() if t.path in (TICKET, DESK)} - {"DeadLetters", "KafkaLagging", "ClusterCritical"})
        say(f"told beside these, and no page: {', '.join(beside) or 'nothing'}")


def main():
    binary, tools = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    # Ended from outside, it still ends what it has started.
    for how in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, lambda *_: sys.exit(1))
    work = pathlib.Path(tempfile.mkdtemp(prefix="fragility-drill-"))
    try:
        with contextlib.ExitStack() as closing:
            drill = Drill(binary, tools, work, closing)
            try:
                drill.course()
            except NoSessionNow as why:
                say(str(why))
                return 2
            except CannotGoOn as what:
                say(f"what follows is left out: {what}")
            except Exception as why:  # noqa: BLE001 whatever it is, logs tell more
                traceback.print_exc()
                found(False, "the drill can go on", why)
        for log in drill.logs if wrong else []:
            say(f"the end of {log.relative_to(work)}:")
            for line in tail(log):
                say(f"  {line[:300]}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{len(wrong)} problems, {elapsed():.0f} s")
    return int(bool(wrong))


sys.exit(main())
