"""What a drill finds, a line each, and how it waits: never for ever."""

import time

# Long enough for what follows at once, with scrapes that come late on busy cores.
SOON = 60

wrong = []
began = time.monotonic()


def elapsed():
    return time.monotonic() - began


def say(text):
    print(f"        {text}", flush=True)


def found(holds, what, why=""):
    """One line: what holds, or what does not and why."""
    stamp = f"{elapsed():5.0f} s"
    print(f"ok      {stamp}  {what}" if holds else f"WRONG   {stamp}  {what}{': ' if why else ''}{why}", flush=True)
    if not holds:
        wrong.append(what)
    return holds


class CannotGoOn(Exception):
    """What follows would only fail for the same reason."""


def needed(holds, what, why=""):
    if not found(holds, what, why):
        raise CannotGoOn(what)


def wait_for(ask, secs, pause=0.2):
    """The first answer that is not false, within some seconds; else None."""
    until = time.monotonic() + secs
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > until:
            return None
        time.sleep(pause)
