"""A service manager that keeps a daemon's open files, as systemd does, without being one."""

import os
import select
import socket
import subprocess
import threading

import pytest

from processes import PATIENCE_S, run, wait_until

needs_libsystemd = pytest.mark.skipif(
    run("pkg-config", "--exists", "libsystemd").returncode != 0,
    reason="missing: libsystemd-dev, so the daemon tells nobody anything",
)


class Manager:
    """The store of a service manager: what FDSTORE= gives it, and starts with it."""

    def __init__(self, path):
        self.path, self.store = path, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.over = False
        self.ear = threading.Thread(target=self.listen, daemon=True)
        self.ear.start()

    def hear(self):
        text, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
        words = dict(line.split("=", 1) for line in text.decode().splitlines())
        if "FDSTORE" in words:
            self.store.append((words["FDNAME"], fds.pop()))
        if "FDSTOREREMOVE" in words:
            for pair in [pair for pair in self.store if pair[0] == words["FDNAME"]]:
                os.close(pair[1])
                self.store.remove(pair)
        for fd in fds:  # of a barrier: closing it is the answer
            os.close(fd)

    def listen(self):
        while select.select([self.socket], [], [])[0] and not self.over:
            self.hear()

    def close(self):
        self.over = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"X=1", str(self.path))
        self.ear.join(PATIENCE_S)
        self.socket.close()
        for _, fd in self.store:
            os.close(fd)

    def names(self):
        return sorted(name for name, _ in self.store)

    def start(self, argv, log):
        """Starts as systemd does: the store from fd 3 on."""
        env = {**os.environ, "NOTIFY_SOCKET": str(self.path), "FDSTORE": "72"}
        env["LISTEN_FDS"] = str(len(self.store))
        env["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.store)

        def arrange():
            high = [os.dup2(fd, 100 + i) for i, (_, fd) in enumerate(self.store)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)

        shell = 'exec env LISTEN_PID=$$ "$@"'
        with open(log, "ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", shell, "sh", *argv],
                env=env, close_fds=False, preexec_fn=arrange,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )


class Managed:
    """A daemon whose parent goes and comes as a service manager says."""

    def __init__(self, manager, daemon):
        self.manager, self.daemon = manager, daemon
        self.argv, self.log_path = daemon.argv, daemon.log_path
        daemon.stop()
        self.start()

    def start(self):
        self.daemon.child = self.manager.start(self.argv, self.log_path)
        wait_until(self.daemon.ready, "the daemon serves")
