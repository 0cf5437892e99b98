# SPDX-License-Identifier: MIT
"""How long a client of a Unix socket waits while others make TLS handshakes as fast as they can."""

import contextlib
import socket
import subprocess
import time

from egd import _free_port, _listens
from programs import CLIENTS, SERVER, Broken, Program, tried, wait_for
from rows import ROUNDS, compare, micro

ATTACKERS = 4
WINDOW_S = 2
PAUSE_S = 0.001  # between two requests of the client
LEN = 16
CERTIFICATES = {
    "P-256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "RSA 4096": ("-newkey", "rsa:4096"),
}


def _certificate(place, words):
    cert, key = place.path("cert"), place.path("cert-key")
    made = subprocess.run(
        ["openssl", "req", "-x509", *words, "-noenc", "-subj", "/CN=bench", "-days", "2",
         "-keyout", key, "-out", cert], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Broken(f"openssl: {made.stderr}")
    return [f"cert = {cert}", f"key = {key}"]


def _latencies_ns(path):
    """Of single requests, sorted."""
    taken, end = [], time.monotonic() + WINDOW_S
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        while time.monotonic() < end:
            begin, left = time.monotonic_ns(), LEN
            client.sendall(bytes([2, LEN]))
            while left > 0:
                left -= len(client.recv(left))
            taken.append(time.monotonic_ns() - begin)
            time.sleep(PAUSE_S)
    return sorted(taken)


@contextlib.contextmanager
def _attack(place, port, attackers):
    """Bounded by itself: a few seconds."""
    argv = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-tls1_3", "-time", 2 * WINDOW_S]
    with contextlib.ExitStack() as stack:
        for _ in range(attackers):
            stack.enter_context(Program(place.folder, argv, CLIENTS))
        time.sleep(0.3 if attackers else 0)
        yield


def _round(place, more, attackers):
    port, path = _free_port(), place.path("local")
    listens = ["[listen local]", f"address = unix:{path}",
               "[listen bench]", f"address = tls:127.0.0.1:{port}", *more]
    with place.sim(f"unix:{place.path('key')}", 0, CLIENTS), \
         place.daemon(None, [f"unix:{place.path('key')}"], "1MiB", SERVER, more=listens) as program:
        wait_for("the listeners", lambda: program.alive() and _listens(port))
        with _attack(place, port, attackers):
            taken = _latencies_ns(path)
    return taken[len(taken) * 99 // 100]


def _rows(place):
    for name, words in CERTIFICATES.items():
        more = _certificate(place, words)
        quiet = [_round(place, more, 0) for _ in range(ROUNDS)]
        attacked = [_round(place, more, ATTACKERS) for _ in range(ROUNDS)]
        yield compare(f"{name}: Unix client's p99, {ATTACKERS} shake hands, beside none", attacked, quiet, micro,
                      "<= 20000 us")


def measure(place):
    """The server and its ekey-tls share a CPU, the attackers have the other."""
    yield from tried("TLS handshakes", _rows(place))
