"""Prometheus, Alertmanager, and who is told: a receiver of webhooks that remembers everything."""

import collections
import http.server
import json
import pathlib
import re
import secrets
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

from findings import elapsed, wait_for
from running import free_port

Told = collections.namedtuple("Told", "at path name status labels message")
# Paths are names of the shipped receivers: who they are.
PAGE, TICKET, DESK, WATCHDOG = "/paging", "/tickets", "/desk", "/dead_mans_switch"


class Receiver:
    """Answers on one port for all receivers; each is known by its path and has a secret of its own."""

    def __init__(self, directory):
        self.told, self.refused = [], []
        self.lock = threading.Lock()
        self.directory, self.secrets = directory, {}
        directory.mkdir()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                is_known = self.headers.get("authorization") == f"Bearer {receiver.secrets.get(self.path)}"
                self.send_response(200 if is_known else 403)
                self.send_header("content-length", "0")
                self.end_headers()
                receiver.take(self.path, body, is_known)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def secret_of(self, name):
        """The file of a receiver's secret."""
        secret = self.secrets.setdefault(f"/{name}", secrets.token_hex(8))
        (self.directory / name).write_text(secret)
        return self.directory / name

    def take(self, path, body, is_known):
        with self.lock:
            if not is_known:
                self.refused.append(path)
            for alert in body["alerts"]:
                self.told.append(Told(elapsed(), path, alert["labels"]["alertname"], alert["status"], alert["labels"], body["status"]))

    def heard(self, name=None, status="firing", since=0.0, path=None, **labels):
        """What was told of an alert, oldest first."""
        with self.lock:
            return [
                t for t in self.told
                if t.at >= since and name in (None, t.name) and t.status == status and path in (None, t.path)
                and all(t.labels.get(k) == v for k, v in labels.items())
            ]

    def is_over(self, name, path, since):
        """Whether the last message about an alert, of all instances together, said since then that none fires."""
        with self.lock:
            about = [t for t in self.told if t.name == name and t.path == path]
        return about and about[-1].at >= since and about[-1].message == "resolved"

    def close(self):
        self.server.shutdown()


class Process:
    """A tool that is started with a log and ended by its process id."""

    def __init__(self, log, *command):
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def answers(url):
    def ask():
        try:
            get(url)
            return True
        except (urllib.error.HTTPError, OSError):
            return False
    return ask


class Alertmanager(Process):
    def __init__(self, directory, config, address):
        self.address = address
        super().__init__(
            directory / "alertmanager.log", "alertmanager", f"--config.file={config}", f"--storage.path={directory / 'alertmanager'}",
            f"--web.listen-address={address}", "--cluster.listen-address=")

    def is_ready(self):
        return wait_for(answers(f"http://{self.address}/-/ready"), 30)


class Prometheus(Process):
    def __init__(self, directory, config):
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        super().__init__(
            directory / "prometheus.log", "prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'prometheus'}",
            f"--web.listen-address={self.address}")

    def is_ready(self):
        return wait_for(answers(f"{self.url}/-/ready"), 30)

    def _get(self, path, **query):
        return json.loads(get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"))["data"]

    def query(self, expr):
        """Labels and value of each series."""
        return [(one["metric"], float(one["value"][1])) for one in self._get("query", query=expr)["result"]]

    def value(self, expr):
        found = self.query(expr)
        return found[0][1] if found else None

    def fired(self, selector, seconds):
        """Names and labels of alerts that fired at any time within the last seconds."""
        return [labels for labels, _ in self.query(f'max_over_time(ALERTS{{alertstate="firing",{selector}}}[{max(1, int(seconds))}s])')]

    def broken_rules(self):
        """Rules that could not be evaluated, with the reason."""
        return [
            (rule["name"], rule.get("lastError", ""))
            for group in self._get("rules")["groups"] for rule in group["rules"] if rule["health"] == "err"
        ]

    def rules(self):
        return sum(len(group["rules"]) for group in self._get("rules")["groups"])


def tail(path: pathlib.Path, lines=15):
    text = re.sub(r"\x1b\[[0-9;]*m", "", path.read_text(errors="replace")).splitlines()
    return text[-lines:]
