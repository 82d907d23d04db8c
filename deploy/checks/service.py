"""What the recipes rest on besides Kafka: the health command, and what the program tells its manager. All without a
broker: neither a start nor the watchdog may fail for want of one.

    service.py health|notify BINARY SCRATCH
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

mode, binary, scratch = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve() / "service"
shutil.rmtree(scratch, ignore_errors=True)
scratch.mkdir(parents=True)
wrong = []


def ask(holds, what):
    print(("ok      " if holds else "WRONG   ") + what, flush=True)
    if not holds:
        wrong.append(what)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(environment=None):
    """The service; nobody listens where its broker should be."""
    port = free_port()
    (scratch / "config.toml").write_text(f"""
[kafka]
brokers = "127.0.0.1:{free_port()}"
[state]
dir = "{scratch / "state"}"
[http]
listen = "127.0.0.1:{port}"
""")
    with open(scratch / "log", "w") as log:
        return port, subprocess.Popen([binary, "run", "--config", scratch / "config.toml"], stderr=log, env=dict(os.environ, **(environment or {})))


def ended(process):
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def check_health():
    def health(path, port):
        ran = subprocess.run([binary, "health", "--url", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=20)
        print(f"        {path}: {ran.returncode} {(ran.stdout + ran.stderr).strip()[:200]}")
        return ran.returncode

    ask(health("/readyz", free_port()) == 1, "nobody listens: 1")
    port, process = start()
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2)
                break
            except OSError:
                time.sleep(0.1)
        ask(health("/healthz", port) == 0, "a process that answers: 0")
        ask(health("/readyz", port) == 1, "one without a broker is not ready: 1")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            ask(health("/readyz", silent.getsockname()[1]) == 1, "one that does not answer: 1, within its time")
    finally:
        ended(process)


def check_notify():
    path = scratch / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    heard = []

    def hears(word, secs):
        """Whether a message with the word comes in time, of those not looked at yet."""
        until = time.monotonic() + secs
        while time.monotonic() < until:
            manager.settimeout(max(0.01, until - time.monotonic()))
            try:
                heard.append(manager.recv(4096).decode())
            except TimeoutError:
                return False
            if word in heard[-1].split("\n"):
                return True
        return False

    _, process = start({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"})
    try:
        ask(hears("READY=1", 20), "it is ready for its manager, without a broker")
        ask(hears("WATCHDOG=1", 2) and hears("WATCHDOG=1", 2), "it feeds the watchdog in time")
        process.send_signal(signal.SIGHUP)
        ask(hears("RELOADING=1", 5), "it says that it reads its configuration again")
        ask(bool(heard) and "\nMONOTONIC_USEC=" in heard[-1], "and since when")
        ask(bool(heard) and "READY=1" in heard[-1].split("\n") or hears("READY=1", 5), "and that it has")
        process.send_signal(signal.SIGTERM)
        ask(hears("STOPPING=1", 5), "it says that it stops")
    finally:
        ask(ended(process) == 143, "it stops cleanly")
    print(f"        heard: {heard}")


{"health": check_health, "notify": check_notify}[mode]()
print(f"{len(wrong)} problems")
sys.exit(bool(wrong))
