# SPDX-License-Identifier: MIT
"""What decoding costs: frames per CPU-second, beside Debian's ekeyd on the same carriers."""

import json
import time

from programs import CLIENTS, SERVER, Broken, have_ekeyd, tried, wait_for
from proc import use
from rows import ROUNDS, compare, million

WINDOW_S = 2
BIG_READ = 65536
BLOCK_LEN = 32  # bytes of entropy in a frame


def _window(read, seconds):
    before = read()
    time.sleep(seconds)
    return read() - before


def _decode_ekeyd(place, address):
    """Frames and CPU time from what it writes to /dev/null, 32 bytes a frame."""
    with place.ekeyd('SetOutputToFile "/dev/null"', [address.removeprefix("unix:")], SERVER) as ekeyd:
        wait_for("ekeyd's entropy", lambda: use(ekeyd.pid).written_bytes > 1 << 20)
        used = _window(lambda: use(ekeyd.pid), WINDOW_S)
    return used.written_bytes / BLOCK_LEN / (used.cpu_ns / 1e9)


def ours(place, address):
    """Frames per CPU-second of nothing but decoding."""
    with place.bench("decode", address, place.keyring, WINDOW_S, cpus=SERVER) as decode:
        result = json.loads(decode.output(WINDOW_S + 15))
    return result["frames"] / (result["cpu_ns"] / 1e9)


def _decode_daemon(place, address):
    """The same through the real daemon and its device, to a reader of big reads."""
    device = place.path("device")
    with place.daemon(device, [address], cpus=SERVER) as daemon:
        with place.bench("reader", device, BIG_READ, 1000000, cpus=CLIENTS) as reader:
            wait_for("the device's bytes", lambda: use(reader.pid).read_bytes > 1 << 20)
            start = use(reader.pid).read_bytes
            used = _window(lambda: use(daemon.pid), WINDOW_S)
            frames = (use(reader.pid).read_bytes - start) / BLOCK_LEN
    return frames / (used.cpu_ns / 1e9)


def _one_round(values, one, place, address):
    """A k frame at the wrong moment throws ekeyd into a storm of resets that may not end."""
    try:
        values.append(one(place, address))
    except Broken as broken:
        if one is not _decode_ekeyd:
            raise
        print(f"  a round without its peer: {broken}", flush=True)


def _rows(place, carrier, label, aim):
    listen = f"{carrier}:{place.path('key')}"
    address = listen.removeprefix("pty:")
    alone, daemon, peer = [], [], []
    for _ in range(ROUNDS):
        for values, one in ((alone, ours), (daemon, _decode_daemon),
                            (peer, _decode_ekeyd if have_ekeyd() else None)):
            if one is None:
                continue
            with place.sim(listen, 0, CLIENTS):
                _one_round(values, one, place, address)
    yield compare(f"frames per CPU-second, {label}", alone, peer, million, aim)
    yield compare(f"the same, daemon and device, {label}", daemon, peer, million, "")


def measure(place):
    """Frames per CPU-second; the generator is on the other CPU, where it is no part of the sum."""
    for carrier, label, aim in (("unix", "Unix socket", ">= 2.00 M"), ("pty", "pty", ">= 1.20 M")):
        yield from tried(f"decoding, {label}", _rows(place, carrier, label, aim))
