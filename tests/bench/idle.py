# SPDX-License-Identifier: MIT
"""What the daemon costs while it has little or nothing to do, beside ekeyd in the same states."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

from programs import have_ekeyd, tried
from proc import memory_kib, use
from rows import compare

WINDOW_S = 20
SETTLE_S = 3  # sessions, start-up samples, first pages; a small pool is full
KEY_RATE = 86  # frames per second of a real key
FILL_RATE = 20000  # faster, and ekeyd loses its session now and then


@dataclass
class State:
    name: str
    pool: str
    key: bool = True
    reader: bool = False
    full: bool = False
    cpu_aim: str = "<= 0.100 %"
    wakeups_aim: str = ""
    memory_aim: str = ""  # anonymous: 4 MiB and the pool


STATES = (State("no key", "64KiB", key=False, memory_aim="<= 4.1 MiB"),
          State("86 frames/s, a reader", "64KiB", reader=True, memory_aim="<= 4.1 MiB"),
          State("86 frames/s, filling", "1MiB", memory_aim="<= 5.0 MiB"),
          State("full pool", "8KiB", full=True, cpu_aim="0.000 %", wakeups_aim="0.0",
                memory_aim="<= 4.0 MiB"))


# ---- ours, theirs, and the least ----


def _start_ours(place, stack, state):
    key, device = place.path("key-ours"), place.path("device")
    if state.key:
        stack.enter_context(place.sim(f"unix:{key}", KEY_RATE))
    daemon = stack.enter_context(place.daemon(device, [f"unix:{key}"], state.pool))
    if state.reader:
        stack.enter_context(place.bench("reader", device, 32, 10000))
    return daemon


def _start_full_ekeyd(place, outlet, key):
    """Its pool holds 1 MiB, six minutes of a real key: a second, faster key fills it first."""
    fast = place.path("key-fast")
    with place.sim(f"unix:{fast}", FILL_RATE):
        ekeyd = place.ekeyd(outlet, [fast, key])
        return ekeyd.once("ekeyd's full pool", lambda: use(ekeyd.pid).read_bytes > 5 << 19)


@contextlib.contextmanager
def _egd_reader(path):
    """One client that always waits for 32 bytes, as the device's reader does."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))

    def read():
        with contextlib.suppress(OSError):
            while client.send(b"\x02\x20") and client.recv(32, socket.MSG_WAITALL):
                pass

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        client.shutdown(socket.SHUT_RDWR)
        thread.join()
        client.close()


def _start_ekeyd(place, stack, state):
    key, path = place.path("key-peer"), place.path("egd")
    outlet = f'EGDUnixSocket "{path}"'
    path.unlink(missing_ok=True)
    if state.key:
        stack.enter_context(place.sim(f"unix:{key}", KEY_RATE))
    if state.full:
        ekeyd = _start_full_ekeyd(place, outlet, key)
    else:
        ekeyd = place.ekeyd(outlet, [key] if state.key else [])
    stack.enter_context(ekeyd)
    if state.reader:
        stack.enter_context(_egd_reader(path))
    return ekeyd


# ---- measuring ----


def _watch(programs):
    """(use, memory) of each over the same seconds; None for one that is not there."""
    before = [p and use(p.pid) for p in programs]
    time.sleep(WINDOW_S)
    return [p and (use(p.pid) - start, memory_kib(p.pid)) for p, start in zip(programs, before)]


def _rows(state, ours, peer, least):
    def row(what, value, form, aim, other=peer):
        return compare(f"{state.name}: {what}", [value(ours)], [value(other)] if other else [],
                       form, aim)

    def cpu(measured):
        return measured[0].cpu_ns / WINDOW_S / 1e7

    def percent(value):
        return f"{value:.3f} %"

    yield row("CPU", cpu, percent, state.cpu_aim)
    if least:
        yield row("CPU, beside a bare wait and read", cpu, percent, "", least)
    yield row("wake-ups per second", lambda m: m[0].wakeups / WINDOW_S, lambda v: f"{v:.1f}",
              state.wakeups_aim)
    for name, aim in (("Anonymous", state.memory_aim), ("Rss", "")):
        yield row(f"{name} memory", lambda m, n=name: m[1][n] / 1024, lambda v: f"{v:.1f} MiB", aim)


def _measured(place, state):
    with contextlib.ExitStack() as stack:
        ours = _start_ours(place, stack, state)
        peer = _start_ekeyd(place, stack, state) if have_ekeyd() else None
        busy = state.key and not state.full
        least = stack.enter_context(place.bench("null_host", KEY_RATE)) if busy else None
        time.sleep(SETTLE_S)
        measured = _watch((ours, peer, least))
    yield from _rows(state, *measured)


def measure(place):
    """Both daemons over the same seconds, each with a key of its own."""
    for state in STATES:
        yield from tried(state.name, _measured(place, state))
