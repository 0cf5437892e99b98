# SPDX-License-Identifier: MIT
"""How long a frame on the wire takes to wake its reader, beside a client of ekeyd."""

import json

from programs import have_ekeyd, tried, wait_for
from rows import ROUNDS, compare, micro

WAKES = 700  # in each round


def _wake_ours(place):
    key, path = place.path("wake-key"), place.path("device")
    with place.bench("wake", key, place.keyring, WAKES, "device", path) as wake:
        wait_for("the key's socket", lambda: wake.alive() and key.exists())
        with place.daemon(path, [f"unix:{key}"]):
            return json.loads(wake.output(120))


def _wake_ekeyd(place):
    key, outlet = place.path("wake-key"), place.path("egd")
    with place.bench("wake", key, place.keyring, WAKES, "egd", outlet) as wake:
        wait_for("the key's socket", lambda: wake.alive() and key.exists())
        with place.ekeyd(f'EGDUnixSocket "{outlet}"', [key]):
            return json.loads(wake.output(120))


def _rows(place):
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(_wake_ours(place))
        if have_ekeyd():
            peer.append(_wake_ekeyd(place))
    for what, key, aim in (("p50", "p50_ns", ""), ("p99", "p99_ns", "< 1000.0 us")):
        yield compare(f"frame to reader, {what} of {WAKES}", [r[key] for r in ours],
                      [r[key] for r in peer], micro, aim)


def measure(place):
    """A frame on the wire until its reader has its bytes: the device, beside ekeyd's EGD socket."""
    yield from tried("frame to reader", _rows(place))
