# SPDX-License-Identifier: MIT
"""What a process has used, as /proc says: differences of two readings are a window."""

import os
from dataclasses import dataclass


def _tasks(pid):
    return [f"/proc/{pid}/task/{tid}" for tid in os.listdir(f"/proc/{pid}/task")]


def _field(path, name):
    """The number after `name:` in a file of such lines."""
    with open(path, encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise KeyError(f"{path} has no {name}")


@dataclass
class Use:
    """Since the process began; all threads."""

    cpu_ns: int  # schedstat: exact, where stat counts ticks
    wakeups: int  # times it slept and was woken
    read_bytes: int
    written_bytes: int

    def __sub__(self, before):
        return Use(*(a - b for a, b in zip(vars(self).values(), vars(before).values())))


def use(pid):
    cpu_ns = wakeups = 0
    for task in _tasks(pid):
        with open(task + "/schedstat", encoding="ascii") as stat:
            cpu_ns += int(stat.read().split()[0])
        wakeups += _field(task + "/status", "voluntary_ctxt_switches")
    io = f"/proc/{pid}/io"
    return Use(cpu_ns, wakeups, _field(io, "rchar"), _field(io, "wchar"))


def memory_kib(pid):
    """Resident, proportional, and anonymous: what the process itself made."""
    path = f"/proc/{pid}/smaps_rollup"
    return {name: _field(path, name) for name in ("Rss", "Pss", "Anonymous")}
