# SPDX-License-Identifier: MIT
"""The programs that are measured, theirs and ours: how to start each one and to end it."""

import os
import pathlib
import subprocess
import time

from rows import missing

SERIAL = "YmVuY2hiZW5jaCEh"  # any 12 bytes and any 32: keys of a simulated key are no secrets
LONG_TERM_KEY = "YSBsb25nLXRlcm0ga2V5IGZvciBiZW5jaG1hcmtzIDE="
EKEYD = "/usr/sbin/ekeyd"
# Keys and clients have the first CPU, what is measured the last; on a machine with one it is the same.
CPUS = sorted(os.sched_getaffinity(0))
CLIENTS, SERVER = {CPUS[0]}, {CPUS[-1]}
STAY_ROOT = ["user = root"] if os.geteuid() == 0 else []  # not all may read the benchmarks' folder
START_S = 30
STOP_S = 5


def have_ekeyd():
    return pathlib.Path(EKEYD).exists()


class Broken(Exception):
    """A program did not do its part; the message says which and what it printed."""


def tried(what, measured):
    """The rows of a generator; where a program does not do its part, or cannot, one that says why."""
    try:
        yield from measured
    except (Broken, OSError) as why:
        yield missing(what, why)


def wait_for(what, condition, seconds=START_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Broken(f"{what} did not come within {seconds} s")
        time.sleep(0.02)


class Program:
    """One running program, in its own folder's log; ended when the block ends."""

    def __init__(self, folder, argv, cpus=None):
        self.name = pathlib.Path(argv[0]).name
        self.log = pathlib.Path(folder) / f"{self.name}.log"
        self.cpus = cpus
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log)
        self.pid = self.process.pid
        if cpus is not None:
            os.sched_setaffinity(self.pid, cpus)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def output(self, seconds):
        """Its whole standard output, when it ends by itself."""
        try:
            text, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Broken(f"{self.name} was not done within {seconds} s") from None
        if self.process.returncode != 0:
            raise Broken(f"{self.name}: {self.log.read_text().strip()[-300:]}")
        return text.decode()

    def once(self, what, condition, seconds=START_S):
        """Itself, when it is up; ended when it does not come up."""
        try:
            wait_for(what, lambda: self.alive() and condition(), seconds)
        except Broken:
            self.stop()
            raise
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended: {self.log.read_text().strip()[-300:]}")
        return True


class Place:
    """A scratch folder with a keyring, and the programs that can be started in it."""

    def __init__(self, build, folder):
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(folder)
        self.keyring = self.folder / "keyring"
        self.keyring.write_text(f"{SERIAL} {LONG_TERM_KEY}\n")
        self.keyring.chmod(0o600)

    def path(self, name):
        return self.folder / name

    def bench(self, name, *argv, cpus=None):
        return Program(self.folder, [self.build / "tests/bench" / name, *argv], cpus)

    def sim(self, listen, rate, cpus=None):
        """`listen` is unix:PATH or pty:PATH; `rate` frames per second, 0 for no limit."""
        path = pathlib.Path(listen.partition(":")[2])
        path.unlink(missing_ok=True)
        sim = Program(self.folder, [self.build / "ekey-sim", "--listen", listen, "--serial", SERIAL,
                                    "--ltk", LONG_TERM_KEY, "--rate", str(rate)], cpus)
        return sim.once(f"ekey-sim at {path}", lambda: os.path.lexists(path))

    def ekeyd(self, outlet, keys, cpus=None):
        """`outlet`: one line of its configuration; `keys`: paths."""
        control = self.path("ekeyd.sock")
        control.unlink(missing_ok=True)
        config = self.path("ekeyd.conf")
        lines = ["Daemonise(false)", f'UnixControlSocket "{control}"',
                 f'Keyring "{self.keyring}"', outlet]
        lines += [f'AddEntropyKey "{key}"' for key in keys]
        config.write_text("\n".join(lines) + "\n")
        ekeyd = Program(self.folder, [EKEYD, "-f", config, "-p", self.path("ekeyd.pid")], cpus)
        return ekeyd.once("ekeyd", control.exists)

    def daemon(self, device, keys, pool="16MiB", cpus=None, via="fuse", more=(),
               name="ours"):
        """Ours, publishing `device` (None: none); `keys`: addresses as in its configuration."""
        config, control = self.path(f"{name}.conf"), self.path(f"{name}.sock")
        control.unlink(missing_ok=True)
        lines = ["[daemon]", *STAY_ROOT, f"keyring = {self.keyring}", f"control = {control}"]
        for number, key in enumerate(keys):
            lines += [f"[source key{number}]", "type = ekey", f"address = {key}"]
        lines += ["[pool]", f"size = {pool}"]
        if device:
            lines += ["[device bench]", f"path = {device}", f"via = {via}"]
        lines += more
        config.write_text("\n".join(lines) + "\n")
        daemon = Program(self.folder, [self.build / "ekey-randomd", "-c", config], cpus)
        if device:
            daemon.once(f"the device {device}", lambda: is_served(device))
        else:
            daemon.once("the control socket", control.exists)
        return daemon

    def is_full(self):
        """The daemon's only source is not read, since its pool is full."""
        status = subprocess.run([self.build / "ekeyctl", "-s", self.path("ours.sock"), "status"],
                                capture_output=True, text=True, check=False).stdout
        values = dict(line.split(None, 1) for line in status.splitlines() if " " in line.strip())
        return values.get("paused") == "yes"

    def null_server(self, path, cpus=None):
        """By CUSE below /dev, by FUSE elsewhere."""
        carrier = path
        if path.parent == pathlib.Path("/dev"):
            carrier = f"cuse:{path.name}"
        else:
            path.touch()
        server = self.bench("null_server", carrier, cpus=cpus)
        return server.once(f"the null server at {path}", lambda: is_served(path))


def is_served(path):
    """A node in /dev, or a line in the table of mounts: a server that may hang is not asked."""
    if path.parent == pathlib.Path("/dev"):
        return path.name in os.listdir("/dev")
    mounts = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8")
    return any(line.split()[1] == str(path) for line in mounts.splitlines())
