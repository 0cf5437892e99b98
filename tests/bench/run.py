# SPDX-License-Identifier: MIT
"""make bench: ours beside real peers, measured in one run. It tells; it never judges by time.

run.py BUILD [decode] [device] [egd] [tls] [wake] [idle]: all when none is named. Some five minutes on a quiet machine.
"""

import subprocess
import sys
import tempfile

import decode
import device
import egd
import idle
import tls
import wake
from programs import Place, have_ekeyd
from rows import Row

PARTS = {part.__name__: part for part in (decode, device, egd, tls, wake, idle)}
HEADER = Row("what (medians)", "ours", "peer", "ratio", "aim")


def run(name, part, place):
    """The part's rows, printed as they come."""
    print(f"{name}: {part.__doc__.splitlines()[0]}", flush=True)
    for row in part.measure(place):
        print("  " + "  ".join(vars(row).values()).rstrip(), flush=True)
        yield row


def table(rows):
    rows = [HEADER, *rows]
    measured = [vars(row).values() for row in rows if row.peer]
    widths = [max(len(v) for v in column) for column in zip(*measured)]
    for row in rows:
        what, *values = vars(row).values()
        line = [what.ljust(widths[0]), *(v.rjust(w) for v, w in zip(values, widths[1:]))]
        print("  ".join(line).rstrip())


def unmount_left(folder):
    """A server that had to be killed leaves its mount, and nobody could remove the folder."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        left = [line.split()[1] for line in mounts if line.split()[1].startswith(folder + "/")]
    for path in left:
        subprocess.run(["fusermount3", "-uz", path], check=False)


def main(build, *names):
    rows = []
    if not have_ekeyd():
        print("Debian's ekeyd is not installed: its columns stay empty (tests/tools/packages.sh bench)")
    with tempfile.TemporaryDirectory(prefix="ekey-bench-") as folder:
        place = Place(build, folder)
        try:
            for name in names or PARTS:
                rows += run(name, PARTS[name], place)
        finally:
            unmount_left(folder)
    print()
    table(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
