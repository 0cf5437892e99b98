"""A daemon goes, by order or by kill -9, and its parent starts another one."""

import os
import signal
import time

from processes import core, wait_until


def kill(daemon):
    os.kill(core(daemon.child.pid), signal.SIGKILL)


def restart(daemon):
    os.kill(daemon.child.pid, signal.SIGUSR2)


def end(daemon):
    """SIGTERM to the daemon itself is not to its parent, and still an order to stop."""
    os.kill(core(daemon.child.pid), signal.SIGTERM)


def status(daemon):
    """None: nobody answers, or he goes before he has."""
    try:
        return daemon.status()
    except (OSError, AssertionError):
        return None


def succeeded(daemon, former):
    """The status of another daemon, when there is one and it serves."""
    rows = status(daemon)
    return rows and int(rows["daemon -"]["pid"]) != former and rows


def succeed(daemon, how):
    """Seconds until the next one served, and its status."""
    former = int(daemon.status()["daemon -"]["pid"])
    began = time.monotonic()
    how(daemon)
    rows = wait_until(lambda: succeeded(daemon, former), "another daemon serves")
    return time.monotonic() - began, rows
