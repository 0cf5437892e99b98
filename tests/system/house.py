"""A directory with a configuration, and the daemon and the keys that live in it."""

import os
import pathlib
import signal
import socket
import subprocess

import pytest

from manager import Service
from processes import BUILD, PATIENCE_S, STAY_ROOT, STOP_S, unmount, wait_until

SEED = "daemon"
as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="root is missing, to become somebody else"
)
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]

CONFIG = """\
[daemon]
{user}keyring = {keyring}
control = {control}
[pool]
size = {pool}
"""
SOURCE = """\
[source {name}]
type = ekey
address = {address}
"""
DEVICE = """\
[device {name}]
path = {path}
via = fuse
"""


class House:
    def __init__(self, path):
        self.path = path
        self.control, self.config = path / "control", path / "conf"
        self.keyring, self.key = path / "keyring", path / "key"
        self.device = path / "random"
        self.children, self.services = [], []

    def write_config(self, *sections, pool="64KiB", user=STAY_ROOT):
        start = CONFIG.format(user=user, keyring=self.keyring, control=self.control, pool=pool)
        self.config.write_text(start + "".join(sections))

    def source(self, name="key", address=None):
        return SOURCE.format(name=name, address=address or f"unix:{self.key}")

    def device_section(self, name="random", path=None):
        return DEVICE.format(name=name, path=path or self.device)

    def start(self, *argv, log):
        with open(self.path / log, "ab") as output:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, argv)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )
        self.children.append(child)
        return child

    def start_sim(self, *options, rate=0, listen=None):
        listen = listen or f"unix:{self.key}"
        path = listen.partition(":")[2]
        sim = self.start(BUILD / "ekey-sim", "--listen", listen, "--rate", rate, "--seed", SEED,
                         "--keyring", self.keyring, "--quiet", *options, log="sim.log")
        wait_until(lambda: os.path.lexists(path) and self.keyring.exists(), "ekey-sim listens")
        return sim

    def start_daemon(self):
        daemon = self.start(BUILD / "ekey-randomd", "-c", self.config, log="daemon.log")
        wait_until(lambda: self.answers(daemon), "ekey-randomd answers")
        return daemon

    def start_service(self):
        """The daemon under a service manager, which starts it again and keeps its store."""
        service = Service([BUILD / "ekey-randomd", "-c", self.config], self.path / "daemon.log",
                          self.path / "notify")
        self.services.append(service)
        wait_until(lambda: self.is_served_by(service.child.pid), "ekey-randomd answers")
        return service

    def is_served_by(self, pid):
        try:
            return self.status()["daemon -"]["pid"] == str(pid)
        except (OSError, KeyError):
            return False

    def answers(self, daemon):
        assert daemon.poll() is None, self.log()
        try:
            return self.status()
        except OSError:
            return False

    def ask(self, text):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE_S)
            s.connect(str(self.control))
            s.sendall(text.encode())
            s.shutdown(socket.SHUT_WR)
            return s.makefile(encoding="utf-8").read()

    def status(self):
        """{"kind name": {key: value}}"""
        found = {}
        for line in self.ask("Status\n").splitlines():
            if line.startswith("*\t"):
                _, kind, name, key, value = line.split("\t")
                found.setdefault(f"{kind} {name}", {})[key] = value
        return found

    def log(self):
        return (self.path / "daemon.log").read_text(errors="replace")

    def count(self, text):
        return self.log().count(text)

    def reload(self, daemon, text="SIGHUP: "):
        before = self.count(text)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: self.count(text) > before, "the reload is done")

    def wait_state(self, state, name="source key"):
        wait_until(lambda: state in self.status().get(name, {}).get("state", ""), state)

    def wait_full(self, name="source key"):
        wait_until(lambda: self.status()[name]["paused"] == "yes", "the pool is full")

    def read(self, length, path=None):
        done = subprocess.run(["head", "-c", str(length), str(path or self.device)],
                              stdout=subprocess.PIPE, timeout=PATIENCE_S, check=True)
        assert len(done.stdout) == length
        return done.stdout

    def start_reader(self, path=None):
        """Blocked in a read before this returns."""
        reader = self.start("head", "-c", "1", path or self.device, log="reader.log")
        stat = pathlib.Path(f"/proc/{reader.pid}")
        wait_until(lambda: "head" in (stat / "comm").read_text(), "head runs")
        wait_until(lambda: int(self.status()["pool -"]["waiters"]) > 0, "the reader waits")
        return reader

    def clear(self):
        for service in self.services:
            service.close()
        for child in reversed(self.children):
            child.kill()
            child.wait(PATIENCE_S)
        for name in ("random", "second"):
            unmount(self.path / name)


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(STOP_S) == 0
