# SPDX-License-Identifier: MIT
"""What one read costs, beside a server that does nothing at all, by the same carrier."""

import collections
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

from programs import Broken, tried, wait_for
from rows import ROUNDS, compare, megabyte, micro, thousand

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "rig"))
import image  # the tests' rig; found by the line above
import qemu

READS = 20000
BULK_READ = 65536
BULK_READS = 640  # 40 MiB: less than what a full pool holds
POOL = "64MiB"
GUEST_BOOTS = 100  # a few are enough
FILL_S = 120


def _read(place, path, size, count, cpus):
    with place.bench("reader", path, size, count, cpus=cpus) as reader:
        return json.loads(reader.output(60))


def wait_until_full(place):
    """The daemon decodes nothing then, and what a read costs is a read's own."""
    wait_for("a full pool", place.is_full, FILL_S)


def alternate(place, paths, size, count, rounds, cpus=None, prepare=lambda: None):
    """What `rounds` readers of each path said, the paths in turn."""
    results = [[] for _ in paths]
    for _ in range(rounds):
        for path, values in zip(paths, results):
            prepare()
            values.append(_read(place, path, size, count, cpus))
    return results


def _small_rows(label, results, aim):
    for what, key in (("p50", "p50_ns"), ("p99", "p99_ns")):
        ours, null = ([r[key] for r in values] for values in results)
        yield compare(f"16-byte read, {what}, {label}", ours, null, micro,
                      aim if what == "p50" else "")
    ours, null = ([r["reads"] * 1e9 / r["wall_ns"] for r in values] for values in results)
    yield compare(f"16-byte reads per second, {label}", ours, null, thousand, "")


def _bulk_row(label, results):
    ours, null = ([r["bytes"] * 1e9 / r["wall_ns"] for r in values] for values in results)
    return compare(f"64 KiB reads of a full pool, {label}", ours, null, megabyte, "")


def _on_this_host(place):
    """Both servers live on one CPU; the key is simulated on another, if there is another."""
    cpus = sorted(os.sched_getaffinity(0))
    here, there = {cpus[0]}, {cpus[-1]}
    paths = place.path("device"), place.path("null")
    listen = f"unix:{place.path('key')}"

    def fill():
        wait_until_full(place)

    with place.sim(listen, 0, there), place.daemon(paths[0], [listen], POOL, here), \
         place.null_server(paths[1], here):
        for label, where in (("same CPU", here), ("other CPU", there), ("not pinned", set(cpus))):
            results = alternate(place, paths, 16, READS, ROUNDS + 2, where, fill)
            yield from _small_rows(f"FUSE, {label}", results, "<= 1.10")
        results = alternate(place, paths, BULK_READ, BULK_READS, ROUNDS, here, fill)
        yield _bulk_row("FUSE, same CPU", results)


def _in_guest(place):
    """CUSE, which few machines have: ours and the null server in one guest of an emulator."""
    with tempfile.TemporaryDirectory() as tree:
        programs = pathlib.Path(tree, "rig/bench")
        programs.mkdir(parents=True)
        for name in ("reader", "null_server"):
            shutil.copy(place.build / "tests/bench" / name, programs)
        shutil.copy(HERE / "device.sh", programs.parent)
        try:
            run = qemu.boot(place.build, "device.sh", GUEST_BOOTS, tree)
        except (image.Lack, RuntimeError) as lack:
            raise Broken(f"a guest in QEMU needs {lack}") from None
    if run.exit != 0:
        raise Broken(f"the guest in QEMU: {run.output.strip()[-300:]}")
    results = collections.defaultdict(list)
    for server, size, said in re.findall(r"^(ours|null) (\d+) ({.*})$", run.output, re.M):
        results[server, int(size)].append(json.loads(said))
    small, bulk = [[results[server, size] for server in ("ours", "null")] for size in (16, BULK_READ)]
    yield from _small_rows("CUSE in a guest", small, "<= 1.10")
    yield _bulk_row("CUSE in a guest", bulk)


def measure(place):
    """16-byte reads at several placements, and big ones."""
    yield from tried("reads by FUSE", _on_this_host(place))
    yield from tried("reads by CUSE", _in_guest(place))
