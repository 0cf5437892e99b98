"""Fixtures: a simulated key, the daemon, the device that it publishes by FUSE.

`start_sim` and `start_daemon` make as many as a test wants; `sim` and `daemon` are one of each,
joined. A `house` has daemons of its own; a `server` is the device alone. Whatever a test leaves
running or mounted is ended and unmounted.
"""

import os
import pathlib
import shutil
import signal
import socket
import tempfile

import pytest

import stream
from device_client import Server
from house import House
from manager import Service
from processes import PATIENCE_S, STAY_ROOT, Process, mounted, program, unmount, wait_until

CONFIG = """\
[daemon]
keyring = {keyring}
control = {control}
[pool]
size = {pool}
[source key]
type = ekey
address = {address}
[device random]
path = {device}
class = direct
via = fuse
mode = {mode}
"""


class Sim(Process):
    def __init__(self, place, seed="seed", rate=0, listen=None, options=()):
        self.place, self.seed = place, seed
        self.address = listen or f"unix:{place}/sim"
        self.path = self.address.partition(":")[2]
        self.keyring = place / "keyring"
        argv = [program("ekey-sim"), "--listen", self.address, "--rate", str(rate)]
        argv += ["--keyring", str(self.keyring)] + (["--seed", seed] if seed else [])
        super().__init__([*argv, *options], place / "sim.log")

    def ready(self):
        assert self.running(), f"ekey-sim ended: {self.log()}"
        return os.path.lexists(self.path) and self.keyring.exists()

    def expected(self, offset, length):
        return stream.expected(self.seed, offset, length)


class Daemon(Process):
    def __init__(self, place, sim=None, text=None, binary=None, **keys):
        self.control = place / "control"
        self.device = pathlib.Path(keys.get("device", place / "ekey-random"))
        values = {
            "keyring": sim.keyring if sim else place / "keyring",
            "address": sim.address if sim else f"unix:{place}/sim",
            "control": self.control,
            "device": self.device,
            "pool": "64KiB",
            "mode": "0444",
        }
        self.config = place / "ekey-random.conf"
        text = text or CONFIG.format(**{**values, **keys})
        self.config.write_text(text.replace("[daemon]\n", f"[daemon]\n{STAY_ROOT}"))
        super().__init__([str(binary or program("ekey-randomd")), "-c", str(self.config)], place / "daemon.log")

    def ready(self):
        assert self.running(), f"ekey-randomd ended: {self.log()}"
        try:
            return self.status() and mounted(self.device)
        except OSError:
            return False

    def ask(self, command):
        """The rows of one answer, each a list of its fields."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE_S)
            s.connect(str(self.control))
            lines = s.makefile("rw", encoding="utf-8")
            assert lines.readline().strip() == "PROTOCOL EKEYD/1"
            lines.write(command + "\n")
            lines.flush()
            rows = []
            while (line := lines.readline().rstrip("\n")).startswith("*"):
                rows.append(line.split("\t")[1:])
            assert line == "OK", f"{command}: {line!r}"
            return rows

    def status(self):
        """{"kind name": {key: value}}"""
        found = {}
        for kind, name, key, value in self.ask("Status"):
            found.setdefault(f"{kind} {name}", {})[key] = value
        return found

    def pool(self):
        """The pool's counters, all in bytes."""
        rows = self.status()["pool -"]
        return {key: int(rows[key]) for key in ("in", "delivered", "lost", "held")}


class ManagedDaemon(Daemon):
    """One whose service manager keeps its store and starts it again."""

    def begin(self):
        self.service = Service(self.argv, self.log_path, self.log_path.parent / "notify")

    @property
    def child(self):
        return self.service.child

    def ready(self):
        assert not self.service.is_over(), f"ekey-randomd ended: {self.log()}"
        try:
            return self.status() and mounted(self.device)
        except (OSError, AssertionError):
            return False

    def running(self):
        return not self.service.is_over()

    def wait(self, timeout=PATIENCE_S):
        self.service.thread.join(timeout)
        assert self.service.is_over()
        return self.service.statuses[-1]

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE_S):
        return self.service.stop(number, timeout)

    def kill(self):
        self.service.close()


@pytest.fixture
def place():
    """A directory with a short name, for sockets have little room for theirs."""
    with tempfile.TemporaryDirectory(prefix="ekey.") as path:
        yield pathlib.Path(path)


@pytest.fixture
def device(place):
    """Where the daemon puts its device: unmounted afterwards, however the test went."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is missing or not ours to open")
    if os.geteuid() != 0 and not shutil.which("fusermount3"):
        pytest.skip("fusermount3 is missing (package fuse3)")
    path = place / "ekey-random"
    yield path
    unmount(path)


@pytest.fixture
def start_server(place):
    """start_server(...) -> a Server at place/device; a line other than "ready" fails the test."""
    servers = []

    def start_one(name="device", **options):
        server = Server(place / name, **options)
        servers.append(server)
        assert server.line() == "ready", server.log()
        return server

    yield start_one
    for server in servers:
        server.end()


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture
def house(place):
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is missing or not ours to open")
    h = House(place)
    yield h
    h.clear()


@pytest.fixture
def started(place):
    """What the factories started; the last first when it comes to ending them."""
    processes = []
    yield processes
    for process in reversed(processes):
        process.kill()


def start(started, process, wait):
    started.append(process)
    if wait:
        wait_until(process.ready, f"{process.argv[0]} is ready")
    return process


@pytest.fixture
def start_sim(place, started):
    return lambda wait=True, **options: start(started, Sim(place, **options), wait)


@pytest.fixture
def start_daemon(place, device, started):
    options = {"device": device}
    return lambda wait=True, **more: start(started, Daemon(place, **{**options, **more}), wait)


@pytest.fixture
def start_managed(place, device, started):
    """As start_daemon, under a service manager."""
    def start_one(**more):
        return start(started, ManagedDaemon(place, **{"device": device, **more}), True)

    return start_one


@pytest.fixture
def sim(start_sim):
    return start_sim()


@pytest.fixture
def daemon(start_daemon, sim):
    return start_daemon(sim=sim)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its programs said."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for process in item.funcargs.get("started", []):
            report.sections.append((f"{process.argv[0]} said", process.log()))
