"""Children that never outlive their test, waits that always end."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")

# Root's daemon stays root in tests, also where make install has made the user that it else becomes.
STAY_ROOT = "user = root\n" if os.geteuid() == 0 else ""

# Slow machines, sanitizers: how long something that takes a moment may take.
PATIENCE_S = 20

# A stop waits for no timer of the daemon: the shortest is 10 s. On a busy machine it takes a second or two.
STOP_S = 8


def wait_until(true, what, timeout=PATIENCE_S):
    """Returns the first true value of `true()`."""
    end = time.monotonic() + timeout
    while not (value := true()):
        assert time.monotonic() < end, f"{what}: not so after {timeout} s"
        time.sleep(0.01)
    return value


def program(name):
    path = BUILD / name
    assert path.exists(), f"{path} is not built"
    return str(path)


def free_port():
    """A TCP port that no socket has at any address, from below those that clients are given."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("", port))
            return port


def run(*argv, timeout=60, **options):
    """A command to its end, its output captured as text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    return subprocess.run(
        argv, stdin=options.pop("stdin", subprocess.DEVNULL), timeout=timeout, check=False, **options
    )


class Process:
    """A program in the background with its output in a file. Killed when this process dies."""

    def __init__(self, argv, log):
        self.argv, self.log_path = argv, pathlib.Path(log)
        self.begin()

    def begin(self):
        with open(self.log_path, "ab") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self):
        return self.child.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.child.poll() is None

    def wait(self, timeout=PATIENCE_S):
        return self.child.wait(timeout)

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE_S):
        """Its exit status; a process that does not end in time is killed, and that is an error."""
        if self.running():
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(number)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        if self.running():
            self.child.kill()
        return self.child.wait(PATIENCE_S)


def mounted(path):
    """The types of what is mounted at `path`; looks at the table only, never at the path."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        rows = [line.split() for line in table]
    return [row[row.index("-") + 1] for row in rows if row[4] == str(path)]


def unmount(path):
    """Whatever is mounted at `path`, in use, hanging or dead."""
    while mounted(path):
        command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-u", "-z"]
        subprocess.run([*command, str(path)], timeout=PATIENCE_S, check=True)
