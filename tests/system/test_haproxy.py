"""HAProxy in front of two daemons, with the shipped example of its configuration: doc/fleet.md."""

import re
import shutil
import signal
import socket
import threading
import time

import pytest

from conftest import Daemon, Sim, start
from processes import PATIENCE_S, TOP, Process, free_port, program, run, wait_until
from stream import expected

EXAMPLE = TOP / "doc/examples/haproxy.cfg"
HAPROXY = "/usr/sbin/haproxy"
SEEDS = {"a": "fleet-a", "b": "fleet-b"}
STREAM_LEN = 1 << 20  # bytes of each key's stream that the tests look into
CLIENTS = 8
POOL_LEN = 65536

CONFIG = """\
[daemon]
keyring = {place}/keyring
control = {place}/control
[pool]
size = {size}
[source key]
type = ekey
address = unix:{place}/sim
[listen lan]
address = tcp:127.0.0.1:{port}
proxy-from = 127.0.0.1
[agent]
address = tcp:127.0.0.1:{agent}
"""

pytestmark = pytest.mark.skipif(not shutil.which(HAPROXY), reason="missing: haproxy (package haproxy)")


class Keys:
    """One machine of the fleet: a simulated key and the daemon that serves it."""

    def __init__(self, place, started, name):
        self.seed, self.port, self.agent = SEEDS[name], free_port(), free_port()
        self.place, self.started = place / name, started
        self.place.mkdir()
        self.sim = start(started, Sim(self.place, seed=self.seed), wait=True)
        self.daemon = self.start()

    def start(self):
        text = CONFIG.format(place=self.place, port=self.port, agent=self.agent, size=POOL_LEN)
        daemon = Daemon(self.place, text=text)
        self.started.append(daemon)
        wait_until(lambda: self.level(daemon) > 32768, "the pool fills")
        return daemon

    @staticmethod
    def level(daemon):
        assert daemon.running(), daemon.log()
        try:
            return int(daemon.status()["pool -"]["level_bytes"])
        except OSError:
            return 0

    def stream(self):
        return expected(self.seed, 0, STREAM_LEN)


class Fleet:
    def __init__(self, place, started):
        self.keys = {name: Keys(place, started, name) for name in SEEDS}
        self.port, self.admin = free_port(), place / "haproxy.sock"
        self.config = place / "haproxy.cfg"
        self.config.write_text(self.localised(EXAMPLE.read_text()))
        self.haproxy = Process([HAPROXY, "-db", "-f", str(self.config)], place / "haproxy.log")
        started.append(self.haproxy)
        wait_until(lambda: self.states() == {"a": "UP", "b": "UP"}, "HAProxy sees both")

    def localised(self, text):
        """The example with addresses of this machine, and a socket to ask HAProxy."""
        text = text.replace("    log /dev/log local0\n", "    log stdout format raw local0\n")
        text = text.replace("192.0.2.1:8888 transparent", f"127.0.0.1:{self.port}")
        text = text.replace("    bind 192.0.2.2:8888 ", "    #")
        for name, number in (("a", 11), ("b", 12)):
            key = self.keys[name]
            text = text.replace(
                f"192.0.2.{number}:8888", f"127.0.0.1:{key.port} agent-port {key.agent}"
            )
        assert "192.0.2" not in text
        return text.replace("\nglobal\n", f"\nglobal\n    stats socket {self.admin} mode 600 level admin\n")

    def rows(self):
        assert self.haproxy.running(), self.haproxy.log()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE_S)
            s.connect(str(self.admin))
            s.sendall(b"show stat\n")
            head, *rows = s.makefile().read().strip().lstrip("# ").splitlines()
        names = head.split(",")
        rows = [dict(zip(names, row.split(","))) for row in rows]
        return {row["svname"]: row for row in rows if row["pxname"] == "keys"}

    def states(self):
        try:
            rows = self.rows()
        except OSError:
            return {}
        return {name: rows[name]["status"].split()[0] for name in SEEDS}

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        return s


def read_exactly(s, length):
    """`length` bytes, or fewer when the connection ends before."""
    data = b""
    while len(data) < length and (more := s.recv(length - len(data))):
        data += more
    return data


@pytest.fixture
def fleet(place, started):
    return Fleet(place, started)


def test_haproxy_takes_the_example(place):
    copy = place / "haproxy.cfg"
    copy.write_text(EXAMPLE.read_text())
    checked = run(HAPROXY, "-c", "-f", str(copy))
    assert checked.returncode == 0, checked.stdout
    assert "WARNING" not in checked.stdout, checked.stdout


def test_clients_get_bytes_of_the_keys(fleet):
    streams = [key.stream() for key in fleet.keys.values()]
    seen = []
    for _ in range(6):
        with fleet.connect() as s:
            s.sendall(b"\x02\x20")
            seen.append(read_exactly(s, 32))
    assert all(len(data) == 32 and any(data in stream for stream in streams) for data in seen)
    assert len(set(seen)) == len(seen)


def test_checks_take_no_entropy_and_are_not_logged(fleet):
    daemon = fleet.keys["a"].daemon
    before = daemon.pool()["delivered"]
    checks = lambda: int(daemon.status()["listen lan"]["accepted"])
    first = checks()
    wait_until(lambda: checks() >= first + 3, "three checks")
    assert daemon.pool()["delivered"] == before
    assert "reset" not in daemon.log()


def test_client_is_known_by_the_proxy_header(fleet):
    key = fleet.keys["a"]
    with socket.create_connection(("127.0.0.1", key.port), timeout=PATIENCE_S) as s:
        s.sendall(b"PROXY TCP4 192.0.2.77 192.0.2.1 4000 8888\r\n\x02\x08")
        assert read_exactly(s, 8) in key.stream()


class Client(threading.Thread):
    """Asks again and again; asks anew, on a new connection, when the old one ends."""

    def __init__(self, fleet, until):
        super().__init__()
        self.fleet, self.until = fleet, until
        self.replies, self.cut, self.failure = [], 0, None

    def run(self):
        try:
            while not self.until.is_set():
                self.session()
        except Exception as failure:  # shown by the test
            self.failure = failure

    def session(self):
        try:
            with self.fleet.connect() as s:
                while not self.until.is_set():
                    s.sendall(b"\x02\x20")
                    data = read_exactly(s, 32)
                    if len(data) < 32:
                        self.cut += 1
                        return
                    self.replies.append(data)
        except ConnectionError:
            self.cut += 1
            time.sleep(0.05)


def test_killed_backend_costs_a_connection_never_a_wrong_byte(fleet):
    until = threading.Event()
    clients = [Client(fleet, until) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: all(len(c.replies) > 20 for c in clients), "all are served")
        fleet.keys["a"].daemon.kill()
        wait_until(lambda: fleet.states()["a"] == "DOWN", "HAProxy sees a go")
        then = [len(c.replies) for c in clients]
        wait_until(lambda: all(len(c.replies) > n + 20 for c, n in zip(clients, then)),
                   "all are served by b")
    finally:
        until.set()
        for client in clients:
            client.join(PATIENCE_S)
    assert [client.failure for client in clients] == [None] * CLIENTS
    replies = [data for client in clients for data in client.replies]
    assert len(set(replies)) == len(replies)
    longest = max(len(replies) * 32, STREAM_LEN) + (1 << 20)
    streams = [expected(seed, 0, longest) for seed in SEEDS.values()]
    blocks = {stream[i : i + 32] for stream in streams for i in range(0, longest, 32)}
    assert set(replies) <= blocks


def test_drained_daemon_gets_no_new_clients(fleet):
    ekeyctl = [program("ekeyctl"), "-s", fleet.keys["a"].daemon.control]
    assert run(*ekeyctl, "drain").stdout == "HAProxy will send no new clients to this daemon\n"
    wait_until(lambda: fleet.states()["a"] == "DRAIN", "HAProxy drains a")
    with fleet.connect() as s:
        s.sendall(b"\x02\x20")
        assert read_exactly(s, 32) in fleet.keys["b"].stream()
    assert run(*ekeyctl, "resume").stdout == "HAProxy will send new clients to this daemon again\n"
    wait_until(lambda: fleet.states()["a"] == "UP", "HAProxy uses a again")


def test_weight_follows_the_pool(fleet):
    weight = lambda: int(fleet.rows()["a"]["weight"])
    wait_until(lambda: weight() > 50, "a full pool weighs much")
    key = fleet.keys["a"]
    key.sim.child.send_signal(signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", key.port), timeout=PATIENCE_S) as s:
        s.sendall(b"PROXY UNKNOWN\r\n")

        def used():
            """What lies between the key and the pool comes after: not once, until it is gone."""
            for _ in range(200):
                s.sendall(b"\x01\xff")
                read_exactly(s, read_exactly(s, 1)[0])
            return weight() < 50

        wait_until(used, "a pool that was used weighs less")


def leave(key, level):
    """Takes what the pool has beyond `level` bytes, and what still comes from a key that stopped."""
    key.sim.child.send_signal(signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", key.port), timeout=PATIENCE_S) as s:
        s.sendall(b"PROXY UNKNOWN\r\n")
        while (more := key.level(key.daemon) - level) > 0:
            s.sendall(bytes([1, min(more, 255)]))
            read_exactly(s, read_exactly(s, 1)[0])


def test_pools_at_five_percent_are_still_served(fleet):
    for key in fleet.keys.values():
        leave(key, POOL_LEN // 20)
    weights = lambda: [int(row["weight"]) for name, row in fleet.rows().items() if name in SEEDS]
    wait_until(lambda: max(weights()) <= 5, "HAProxy has heard of it")
    assert min(weights()) >= 1
    for _ in range(4):
        with fleet.connect() as s:
            s.sendall(b"\x02\x20")
            assert len(read_exactly(s, 32)) == 32


@pytest.mark.parametrize("document", ["doc/examples/haproxy.cfg", "doc/fleet.md",
                                      "doc/man/ekey-random.conf.5"])
def test_documents_give_the_agent_a_weight_to_take_percent_of(document):
    """Of HAProxy's default, 1, each percentage below 100 is 0: no client is served."""
    told = re.findall(r"agent-check agent-port 7777 .*", (TOP / document).read_text())
    assert told and all(" weight 100" in line for line in told), told
