"""EGD clients that mean no good: what they cost is bounded, and the others do not notice.

One modest client asks for 32 bytes now and then, and reads the device, while each of the others does
its worst. Figures are printed (-s); limits are generous, for machines are shared.
"""

import contextlib
import multiprocessing
import os
import pathlib
import random
import resource
import signal
import socket
import struct
import time

import pytest

from egd_clients import READ_255, Server, answers, ask_for_much, check_modest, receive
from house import SEED
from processes import PATIENCE_S, wait_until
from relay import new_house
from stream import expected

IDLE_CPU = 0.05  # of one CPU, when nothing is to be done
TCP_REPAIR = 19
KIB = 1024


@pytest.fixture
def serve(place):
    made = []
    yield lambda *keys, **options: Server(new_house(made, place, "house"), *keys, **options)
    for house in made:
        house.clear()


@pytest.fixture
def clients():
    """Connections that live as long as the test."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@contextlib.contextmanager
def beside(function, *arguments):
    """Runs in a process of its own meanwhile."""
    child = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join(PATIENCE_S)


@pytest.fixture
def server(serve):
    """Warmed up: what it ever allocates for a modest client, it has."""
    s = serve()
    check_modest(s, "nobody", 4 * KIB, rounds=50)
    s.rss_before_kib = s.rss_kib()
    yield s
    wait_until(lambda: s.row("clients") == 0, "all are gone")
    s.check_balance()
    lines = s.house.count("closed ") + s.house.count("refused ")
    assert lines <= 3, s.house.log()  # however many there were: a stranger cannot fill the log


# ---- slow ones ----


def trickle(clients, text):
    """One byte each, as slowly as patience goes; here 20 times faster than that."""
    for number in range(1 << 30):
        for s in clients:
            s.send(text[number % len(text)].to_bytes(1, "big"))
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["read", "add"])
def test_requests_that_come_byte_by_byte(server, clients, kind):
    slow = [clients(server.connect(3, n)) for n in range(500)]
    with beside(trickle, slow, READ_255 if kind == "read" else b"\3\0\xff\xff" + bytes(255)):
        check_modest(server, f"500 that send a {kind} byte by byte", 2 * KIB)


def sip(clients):
    while True:
        for s in clients:
            s.recv(1)
        time.sleep(1)


@pytest.mark.parametrize("reading", ["nothing", "1 byte/s"])
def test_a_thousand_requests_in_flight_of_reading_clients(server, clients, reading):
    greedy = [clients(server.connect(3, n, small=True)) for n in range(200)]
    for s in greedy:
        ask_for_much(s, 1000)
    with beside(sip, greedy if reading != "nothing" else greedy[:0]):
        check_modest(server, f"200 with 1,000 requests, reading {reading}", 200 * 8)
    wait_until(lambda: quiet(server), "they have what fits into their sockets")
    taken = server.row("delivered") / len(greedy)
    print(f"{taken / KIB:.0f} KiB each, of 249 KiB that they asked for")
    assert taken < 100 * KIB
    assert server.cpu_share() < IDLE_CPU


def quiet(server):
    before = server.row("delivered")
    time.sleep(0.2)
    return server.row("delivered") == before


def stopped_reader(port, ready):
    """Full to the brim, with replies under way, and then not even its kernel is told to go on."""
    mine = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    for s in mine:
        ask_for_much(s, 20000)
    ready.set()
    time.sleep(3600)


def test_a_peer_that_is_stopped_with_full_buffers(server):
    ready = multiprocessing.Event()
    with beside(stopped_reader, server.port, ready) as child:
        assert ready.wait(PATIENCE_S)
        os.kill(child.pid, signal.SIGSTOP)
        check_modest(server, "50 stopped, 20,000 requests each", 50 * 8)
        wait_until(lambda: quiet(server), "their buffers are full")
        assert server.cpu_share() < IDLE_CPU


# ---- gone ones ----


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to end a connection silently")
def test_a_blocked_peer_that_vanished_without_a_word_costs_its_replies_only(serve):
    server = serve(source=False)
    gone, stays = [server.connect(3, n) for n in range(100)], server.connect(2)
    for s in [*gone, stays]:
        s.sendall(READ_255)
    wait_until(lambda: int(server.house.status()["pool -"]["waiters"]) == 101, "all wait")
    for s in gone:
        s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)  # as a machine that lost its power
        s.close()
    assert server.row("clients") == 101
    server.house.start_sim()
    server.house.reload(server.daemon)  # for the key's long-term key
    got = receive(stays, 255)
    assert len(got) == 255 and got in expected(SEED, 0, 102 * 255)
    wait_until(lambda: server.row("clients") == 1, "the others are given up")
    server.check_balance()
    stays.close()


# ---- noisy ones ----


def shout(port, seed):
    dice = random.Random(seed)
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.connect(("127.0.0.1", port))
            s.sendall(dice.randbytes(dice.randrange(1, 2000)))
            if dice.random() < 0.5:
                s.settimeout(0.01)
                s.recv(4096)


def test_garbage(server):
    with beside(shout, server.port, 1):
        check_modest(server, "garbage", 4 * KIB, rounds=200)
    print(f"{server.row('accepted')} connections, {server.row('ended_unknown')} ended as unknown")
    assert server.row("ended_unknown") > 20


def storm(port):
    """Connections that end at once, half of them by a reset."""
    while True:
        s = socket.socket()
        with contextlib.suppress(OSError):
            s.connect(("127.0.0.1", port))
            if random.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()


def test_a_storm_of_connections(server):
    with beside(storm, server.port):
        check_modest(server, "a storm of connections", 4 * KIB, rounds=200)
    print(f"{server.row('accepted')} connections")
    assert server.row("accepted") > 1000


# ---- many ----


def test_those_above_max_clients_are_refused_and_the_last_places_are_for_others(serve):
    server = serve("max-clients = 100")
    mine = [server.connect(3) for _ in range(150)]
    assert sum(answers(s) for s in mine) == 75
    others = [server.connect(4, n) for n in range(50)]
    assert sum(answers(s) for s in others) == 25
    assert server.row("refused") == 100
    log = server.house.log()
    assert log.count("closed ") == 1, log
    assert 1 <= log.count("refused ") <= 8, log  # one of an address, and of eight addresses in ten seconds
    for s in [*mine, *others]:
        s.close()


def test_out_of_file_descriptors_it_rests_and_serves_those_it_has(serve):
    server = serve("max-clients = 1000")
    open_fds = len(os.listdir(f"/proc/{server.daemon.pid}/fd"))
    limit = open_fds + 50 + 128  # these are kept for others
    resource.prlimit(server.daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
    first = server.connect(2)
    assert answers(first)
    many = [server.connect(3, n) for n in range(200)]  # the kernel takes them, the daemon cannot
    wait_until(lambda: server.house.count("Too many open files") == 1, "it says so")
    share = server.cpu_share(3)
    print(f"200 wait to be accepted: {share * 100:.2f} % CPU")
    assert share < IDLE_CPU
    assert answers(first)
    assert int(server.row("clients")) < 50 + 64, "an administrator can ask"
    assert server.house.count("Too many open files") <= 2
    for s in many[:40]:
        s.close()
    assert answers(many[60]), "places that became free are given to those who wait"


def test_ten_thousand_connections_that_ask_for_nothing(serve, clients):
    count = min(10000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    server = serve(f"max-clients = {count * 2}")
    for number in range(count):
        clients(server.connect(3, number))
    wait_until(lambda: server.row("clients") == count, "all are in")
    check_modest(server, f"{count} that ask for nothing", 3 * count)
    assert server.rss_kib() < 64 * KIB or server.is_sanitized()


# ---- quiet ones ----


def wakeups(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def bytes_of_sources(server):
    rows = server.house.status()
    time.sleep(0.5)  # the daemon closes this connection
    return [figures["read_bytes"] for name, figures in rows.items() if name.startswith("source ")]


def costs_of_5_s(server):
    """Wake-ups and CPU seconds; None: a paused source was read, as it is for one second in each minute."""
    read = bytes_of_sources(server)
    before, cpu_s = wakeups(server.daemon.pid), server.cpu_s()
    time.sleep(5)
    costs = wakeups(server.daemon.pid) - before, server.cpu_s() - cpu_s
    return costs if bytes_of_sources(server) == read != [] else None


def test_a_thousand_idle_clients_and_a_full_pool_cost_no_wakeups(serve, clients):
    server = serve("max-clients = 2000")
    idle = [clients(server.connect(3, n)) for n in range(1000)]
    assert all(answers(s) for s in idle)
    server.house.wait_full()
    time.sleep(0.5)
    assert wait_until(lambda: costs_of_5_s(server), "the source is left alone") == (0, 0)


# ---- a daemon that dies ----


@pytest.mark.parametrize("number", range(5))
def test_a_daemon_killed_in_mid_reply_gave_correct_bytes_and_a_closed_connection(serve, number):
    server = serve()
    got = bytearray()
    with server.connect() as s:
        s.sendall(READ_255 * 20000)
        while len(got) < 200_000 * (number + 1):
            got += s.recv(65536)
        server.daemon.kill()
        with contextlib.suppress(ConnectionResetError):
            while more := s.recv(65536):
                got += more
    assert bytes(got) == expected(SEED, 0, len(got))
