# SPDX-License-Identifier: MIT
"""make bench: ours beside real peers, measured in one run. It tells; it never judges by time.

run.py BUILD [decode] [device] [egd] [wake] [idle]: all when none is named. Ends within 5 minutes.
"""

import subprocess
import sys
import tempfile

import decode
import device
import egd
import idle
import wake
from programs import Broken, Place, have_ekeyd
from rows import Row

PARTS = {part.__name__: part for part in (decode, device, egd, wake, idle)}
HEADER = Row("what (medians)", "ours", "peer", "ratio", "aim")


def run(name, part, place):
    """The part's rows, printed as they come; what broke it, or None."""
    print(f"{name}: {part.__doc__.splitlines()[0]}", flush=True)
    rows = []
    try:
        for row in part.measure(place):
            print("  " + "  ".join(str(v) for v in vars(row).values()), flush=True)
            rows.append(row)
    except Broken as broken:
        return rows, f"{name}: {broken}"
    return rows, None


def table(rows):
    rows = [HEADER, *rows]
    widths = [max(len(v) for v in column) for column in zip(*(vars(r).values() for r in rows))]
    for row in rows:
        what, *values = vars(row).values()
        print(what.ljust(widths[0]), *(v.rjust(w) for v, w in zip(values, widths[1:])), sep="  ")


def unmount_left(folder):
    """A server that had to be killed leaves its mount, and nobody could remove the folder."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        left = [line.split()[1] for line in mounts if line.split()[1].startswith(folder + "/")]
    for path in left:
        subprocess.run(["fusermount3", "-uz", path], check=False)


def main(build, *names):
    rows, errors = [], []
    if not have_ekeyd():
        print("Debian's ekeyd is not installed: its columns stay empty (dist/packages.sh bench)")
    with tempfile.TemporaryDirectory(prefix="ekey-bench-") as folder:
        place = Place(build, folder)
        try:
            for name in names or PARTS:
                part_rows, error = run(name, PARTS[name], place)
                rows += part_rows
                errors += [error] if error else []
        finally:
            unmount_left(folder)
    print()
    table(rows)
    for error in errors:
        print(f"NOT MEASURED: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
