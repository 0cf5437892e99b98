# SPDX-License-Identifier: MIT
"""EGD over TCP: bytes, requests and waiting at 1 to 10,000 clients, beside Debian's ekeyd."""

import contextlib
import json
import resource
import socket
import statistics

import decode
from programs import CLIENTS, SERVER, Broken, have_ekeyd, tried, wait_for
from proc import memory_kib
from rows import ROUNDS, Row, compare, micro, thousand

WINDOW_S = 1
PIPELINES = (1, 10, 100, 1000)
CROWDS = (1, 10, 100, 1000, 10000)
EKEYD_CROWD = 100  # beyond, ekeyd gives what it gives to a few and nothing to the others
LEN = 255


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def _listen(port):
    return ["[listen bench]", f"address = tcp:127.0.0.1:{port}", "max-clients = 16000"]


@contextlib.contextmanager
def _ours(place, port):
    keys = [f"unix:{place.path('key')}"]
    with place.daemon(None, keys, "1MiB", SERVER, more=_listen(port)) as program:
        yield program


@contextlib.contextmanager
def _relay(place, port):
    """EGD from EGD: the daemon with the key is on the CPU of key and clients, no part of the sum."""
    path = place.path("upstream")
    upstream = ["[listen bench]", f"address = unix:{path}"]
    source = ["[source up]", "type = egd", f"address = unix:{path}"]
    with place.daemon(None, [f"unix:{place.path('key')}"], "1MiB", CLIENTS, more=upstream), \
         place.daemon(None, [], "1MiB", SERVER, more=source + _listen(port),
                      name="relay") as program:
        yield program


@contextlib.contextmanager
def _ekeyd(place, port):
    outlet = f'EGDTCPSocket({port}, "127.0.0.1")'
    with place.ekeyd(outlet, [place.path("key")], SERVER) as program:
        yield program


def _load(place, server, clients, depth, length):
    """One run against a server of its own, which a simulated key without limit feeds."""
    port = _free_port()
    with place.sim(f"unix:{place.path('key')}", 0, CLIENTS), server(place, port) as program:
        wait_for(f"port {port}", lambda: program.alive() and _listens(port))
        argv = (f"127.0.0.1:{port}", clients, depth, length, WINDOW_S, program.pid)
        with place.bench("egd_load", *argv, cpus=CLIENTS) as load:
            result = json.loads(load.output(WINDOW_S + 60))
        result["rss_kib"] = memory_kib(program.pid)["Rss"]
    result["rate"] = result["bytes"] / result["seconds"]
    return result


def _rounds(place, server, *load):
    """A peer that broke is no number."""
    results = []
    for _ in range(ROUNDS):
        try:
            results.append(_load(place, server, *load))
        except Broken as broken:
            if server is not _ekeyd:
                raise
            print(f"  a round without its peer: {broken}", flush=True)
    return results


def _peer(place, *load):
    return _rounds(place, _ekeyd, *load) if have_ekeyd() else []


def _of(results, name):
    return [result[name] for result in results]


def _pipelined(place):
    for depth in PIPELINES:
        load = (1, depth, LEN)
        ours, peer = _rounds(place, _ours, *load), _peer(place, *load)
        if depth == 100:
            hundred = _of(ours, "rate")
        yield compare(f"02/{LEN}, one client, {depth} in flight", _of(ours, "rate"),
                      _of(peer, "rate"), megabyte_exact, ">= 20 MB/s" if depth > 1 else "")
    yield compare("ns of CPU per byte, 1,000 in flight, decoding too", _cpu(ours), _cpu(peer),
                  "{:.1f}".format, "")
    alone = [1e9 / (decode.BLOCK_LEN * frames) for frames in _decode_alone(place)]
    yield compare("decoding alone, as a part of that", alone, _cpu(ours), "{:.1f}".format, ">= 0.80")
    relayed = _rounds(place, _relay, 1, 100, LEN)
    yield compare(f"02/{LEN}, 100 in flight, a relay beside the first", _of(relayed, "rate"),
                  hundred, megabyte_exact, "")
    yield compare("ns of CPU per byte, a relay beside the first", _cpu(relayed), _cpu(ours),
                  "{:.1f}".format, "")


def _cpu(results):
    return [result["cpu_ns"] / result["bytes"] for result in results if result["bytes"]]


def _decode_alone(place):
    """Frames per CPU-second, in this run."""
    address = f"unix:{place.path('key')}"
    for _ in range(ROUNDS):
        with place.sim(address, 0, CLIENTS):
            yield decode.ours(place, address)


def _crowd(place, clients):
    name, load = f"02/32, {clients} clients", (clients, 1, 32)
    if clients + 100 > resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
        raise Broken("they need more open files than this machine gives")
    ours = _rounds(place, _ours, *load)
    peer = _peer(place, *load) if clients <= EKEYD_CROWD else []
    yield compare(f"{name}: requests", [r["requests"] / r["seconds"] for r in ours],
                  [r["requests"] / r["seconds"] for r in peer], thousand, "")
    yield compare(f"{name}: p50", _of(ours, "p50_ns"), _of(peer, "p50_ns"), micro, "")
    yield compare(f"{name}: p99", _of(ours, "p99_ns"), _of(peer, "p99_ns"), micro, "")
    yield compare(f"{name}: Jain's index", _of(ours, "jain"), _of(peer, "jain"),
                  "{:.4f}".format, ">= 0.99")
    if clients == CROWDS[-1]:
        rss = statistics.median(_of(ours, "rss_kib")) / 1024
        yield Row(f"RSS with {clients} clients, 1 MiB of it the pool", f"{rss:.1f} MiB",
                  aim="<= 64 MB")


def megabyte_exact(value):
    return f"{value / 1e6:.2f} MB/s"


def measure(place):
    """An unlimited simulated key; the server is alone on its CPU, keys and clients share the other."""
    yield from tried("one client of EGD", _pipelined(place))
    for clients in CROWDS:
        yield from tried(f"02/32, {clients} clients", _crowd(place, clients))
