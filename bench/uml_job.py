#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The part of device.py that runs inside user-mode Linux, by CUSE; one line of JSON."""

import json
import os
import pathlib

import device
from programs import Place

# There is one CPU, so the key is taken away once the pool is full: it must last for all reads.
POOL = "8MiB"
READS = 2000
BULK_READS = 16
ROUNDS = 7  # what a read costs there depends on what else this host does in that second


def main():
    place = Place(os.environ["rig_build"], os.environ["TMPDIR"])
    paths = pathlib.Path("/dev/bench-ours"), pathlib.Path("/dev/bench-null")
    listen = f"unix:{place.path('key')}"
    key = place.sim(listen, 0)
    with place.daemon(paths[0], [listen], POOL, via="cuse"), \
         place.null_server(paths[1]):
        device.wait_until_full(place)
        key.stop()
        small = device.alternate(place, paths, 16, READS, ROUNDS)
        bulk = device.alternate(place, paths, device.BULK_READ, BULK_READS, ROUNDS)
    print(json.dumps({"small": small, "bulk": bulk}), flush=True)


if __name__ == "__main__":
    main()
