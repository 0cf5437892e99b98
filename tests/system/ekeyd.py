"""Debian's own programs for the Entropy Key (package ekeyd), each in a folder of the test's.

The daemon's configuration is Lua (ekeyd.conf(5)); its control socket takes one command a line and
answers rows of tab-separated fields that start with '*', then OK or ERROR.
"""

import os
import shutil
import socket
import subprocess

from processes import PATIENCE_S, wait_until

EKEYD = "/usr/sbin/ekeyd"
SETKEY = "/usr/sbin/ekey-setkey"

CONFIG = """\
Daemonise(false)
UnixControlSocket "{control}"
Keyring "{keyring}"
{output}
"""


def missing():
    """What of the package is not there, or None."""
    return next((p for p in (EKEYD, SETKEY) if shutil.which(p) is None), None)


class Ekeyd:
    """A running ekeyd. `output` is its line of configuration; by default a file of ours."""

    def __init__(self, place, keyring, output=None):
        self.control = place / "ekeyd.sock"
        self.output = place / "ekeyd.out"
        self.output.touch()
        config = place / "ekeyd.conf"
        config.write_text(
            CONFIG.format(
                control=self.control,
                keyring=keyring,
                output=output or f'SetOutputToFile "{self.output}"',
            )
        )
        argv = [EKEYD, "-f", str(config), "-p", str(place / "ekeyd.pid")]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        wait_until(self._answers, "ekeyd's control socket")

    def _answers(self):
        assert self.process.poll() is None, f"ekeyd ended with {self.process.returncode}"
        try:
            return self.ask("Print('hello')") is not None
        except OSError:
            return False

    def ask(self, command):
        """The rows of the answer, each a list of fields."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE_S)
            s.connect(os.fspath(self.control))
            lines = s.makefile("r", encoding="ascii")
            assert lines.readline() == "PROTOCOL EKEYD/1\n"
            # One write: a line that takes longer than 10 ms is the last.
            s.sendall(f"{command}\n".encode())
            rows = []
            for line in lines:
                if not line.startswith("*"):
                    break
                rows.append(line.rstrip("\n").split("\t")[1:])
        assert line.startswith("OK"), f"{command}: {line!r}"
        return rows

    def add(self, path):
        self.ask(f'AddEntropyKey("{path}")')

    def keys(self):
        """What ListEntropyKeys says: a dictionary for each key."""
        header, *rows = self.ask("ListEntropyKeys()")
        return [dict(zip(header, row)) for row in rows]

    def stats(self, tag):
        """What StatEntropyKey says of the key with this serial, path or number."""
        return dict(row[0].split("=", 1) for row in self.ask(f'StatEntropyKey("{tag}")'))

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def setkey(path, keyring, master, serial):
    """Changes the long-term key of the device at `path` and in `keyring`; the exit status."""
    argv = [SETKEY, "-f", str(keyring), "-m", master, "-s", serial, str(path)]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=PATIENCE_S).returncode
