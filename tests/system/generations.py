"""One daemon ends, by order or by kill -9, and its service manager starts the next."""

import os
import signal
import time

from processes import wait_until


def kill(daemon):
    os.kill(daemon.pid, signal.SIGKILL)


def restart(daemon):
    os.kill(daemon.pid, signal.SIGUSR2)


def status(daemon):
    """None: none answers, or it ends before it has."""
    try:
        return daemon.status()
    except (OSError, AssertionError):
        return None


def succeeded(daemon, previous):
    """The status of another daemon, when there is one, it serves and its service manager has noted its pid."""
    rows = status(daemon)
    return rows and previous != int(rows["daemon -"]["pid"]) == daemon.pid and rows


def succeed(daemon, how):
    """Seconds until the next one served, and its status."""
    previous = int(daemon.status()["daemon -"]["pid"])
    began = time.monotonic()
    how(daemon)
    rows = wait_until(lambda: succeeded(daemon, previous), "another daemon serves")
    return time.monotonic() - began, rows
