"""A device_server and those who use its device, each a process of its own that can be ended.

The process that runs the tests never opens or stats a device: one that hangs would take it along.
"""

import errno
import gc
import multiprocessing
import os
import pathlib
import select
import signal
import struct
import subprocess
import time

from processes import BUILD, PATIENCE_S, STOP_S, mounted, wait_until

SERVER = BUILD / "tests/system/device_server"
NOBODY = 65534
FILES_MAX = 4096


class Server:
    """device_server with its orders on stdin; its lines on stderr are in log()."""

    def __init__(self, path, via="fuse", mode="0444", user=None):
        self.path = pathlib.Path(path)
        argv = [SERVER, path, via, mode]
        if user is not None:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        self.log_path = self.path.parent / f"{self.path.name}.log"
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *argv],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )
        self.text = b""

    def log(self):
        return self.log_path.read_text()

    def line(self, timeout=PATIENCE_S):
        """The next line that it prints, or None when it ended."""
        end = time.monotonic() + timeout
        while b"\n" not in self.text:
            left = end - time.monotonic()
            ready, _, _ = select.select([self.child.stdout], [], [], max(left, 0))
            assert ready, f"no line within {timeout} s; log: {self.log()}"
            more = os.read(self.child.stdout.fileno(), 4096)
            if not more:
                return None
            self.text += more
        line, _, self.text = self.text.partition(b"\n")
        return line.decode()

    def order(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()
        return self.line()

    def status(self):
        pairs = (field.split("=") for field in self.order("status").split())
        return {key: value if key == "via" else int(value) for key, value in pairs}

    def until_waiting(self, count):
        wait_until(lambda: self.status()["waiters"] == count, f"{count} waiters")

    def stop(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        self.child.wait(STOP_S)

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(PATIENCE_S)
        while mounted(self.path):
            subprocess.run(["umount", "-l", self.path], check=True, timeout=PATIENCE_S)


def refused(path, **options):
    """The log of a server that must not start."""
    server = Server(path, **options)
    try:
        assert server.line() is None
        assert server.child.wait(20) == 1
        return server.log()
    finally:
        if server.child.poll() is None:
            server.child.kill()


class Client:
    """`function(*args)` in a process of its own; the result comes by a pipe."""

    def __init__(self, function, *args, with_files=False):
        fork = multiprocessing.get_context("fork")
        self.pipe, far_end = fork.Pipe()
        self.process = fork.Process(target=self.run, args=(far_end, function, args, with_files),
                                    daemon=True)
        self.process.start()
        far_end.close()

    @staticmethod
    def run(pipe, function, args, with_files):
        """Without the test's own files: a copy of a device's connection would keep that alive for ever."""
        gc.disable()  # what it found of the test's would close files of ours, by their numbers
        if not with_files:
            os.closerange(3, pipe.fileno())
            os.closerange(pipe.fileno() + 1, FILES_MAX)
        try:
            pipe.send(function(*args))
        except OSError as error:
            pipe.send(error)

    def result(self, timeout=PATIENCE_S):
        """What the function returned; an OSError is raised here."""
        if not self.pipe.poll(timeout):
            self.kill()
            raise AssertionError(f"no result within {timeout} s")
        value = self.pipe.recv()
        self.process.join(PATIENCE_S)
        if isinstance(value, OSError):
            raise value
        return value

    def error(self):
        """The name of the error that it must end with."""
        try:
            value = self.result()
        except OSError as error:
            return errno.errorcode[error.errno]
        raise AssertionError(f"no error, but {value!r}")

    def kill(self, number=signal.SIGKILL):
        os.kill(self.process.pid, number)
        self.process.join(STOP_S)
        assert not self.process.is_alive(), "not even SIGKILL ends it"


def counters(data):
    """The stream's 64-bit counters; `data` starts and ends between two."""
    return list(struct.unpack(f"<{len(data) // 8}Q", data))


def read_sizes(path, sizes, flags=0):
    """One open, one read of each size."""
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        return [os.read(fd, size) for size in sizes]
    finally:
        os.close(fd)


def read_one(path, size, flags=0):
    return read_sizes(path, [size], flags)[0]


def read_as_nobody(path, size):
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    return read_one(path, size)
