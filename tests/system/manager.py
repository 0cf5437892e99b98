"""The service manager's side of a daemon: its file descriptor store and its restarts, as systemd's
with Restart=on-failure, RestartForceExitStatus=75 and RestartPreventExitStatus=78.

As a program, for jobs in guests: manager.py PIDFILE LOG PROGRAM [ARGUMENT...]; SIGTERM stops the daemon.
"""

import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import threading

FIRST_FD = 3
RESTART_S = 0.1
EXIT_RESTART, EXIT_CONFIG = 75, 78
STORE_MAX = 96


class Store:
    """What FDSTORE=1 and FDSTOREREMOVE=1 on NOTIFY_SOCKET ask for."""

    def __init__(self, path):
        self.path, self.kept, self.lock = path, [], threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        pathlib.Path(path).unlink(missing_ok=True)
        self.socket.bind(str(path))
        self.ending, self.end = os.pipe()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while self.ending not in select.select([self.socket, self.ending], [], [])[0]:
            text, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
            words = dict(line.split("=", 1) for line in text.decode().splitlines())
            with self.lock:
                self.handle(words, fds)

    def handle(self, words, fds):
        if "FDSTORE" in words and len(self.kept) < STORE_MAX:
            self.kept.append((words["FDNAME"], fds.pop()))
        if "FDSTOREREMOVE" in words:
            self.drop(words["FDNAME"])
        for fd in fds:  # a barrier: that it is closed is the answer
            os.close(fd)

    def drop(self, name=None):
        for pair in [pair for pair in self.kept if name in (None, pair[0])]:
            os.close(pair[1])
            self.kept.remove(pair)

    def names(self):
        with self.lock:
            return sorted(name for name, _ in self.kept)

    def close(self):
        os.write(self.end, b"x")
        self.thread.join()
        self.drop()
        for end in (self.socket, self.ending, self.end):
            os.close(end) if isinstance(end, int) else end.close()


class Service:
    """A daemon that is started again when it fails or asks for it, with its store."""

    def __init__(self, argv, log, notify, pidfile=None):
        self.argv, self.log_path = [str(word) for word in argv], pathlib.Path(log)
        self.store = Store(notify)
        self.pidfile = pathlib.Path(pidfile or f"{notify}.pid")
        self.may_start = threading.Event()
        self.may_start.set()
        self.starting = threading.Lock()  # of `stopping`, after which no child is started
        self.stopping, self.statuses = False, []
        self.child = self.start()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def start(self):
        with self.store.lock:
            kept = [(name, os.dup(fd)) for name, fd in self.store.kept]
        env = {**os.environ, "NOTIFY_SOCKET": str(self.store.path), "FDSTORE": str(STORE_MAX)}
        if kept:  # 0 of them would be an error
            env.update(LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES=":".join(name for name, _ in kept))
        words = ["sh", "-c", 'exec env LISTEN_PID=$$ "$@"', "sh", *self.argv]
        with open(self.log_path, "ab") as output:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words],
                env=env, preexec_fn=lambda: self.arrange([fd for _, fd in kept]), close_fds=False,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )
        for _, fd in kept:
            os.close(fd)
        return child

    def arrange(self, fds):
        """In the child: its pid is known before it serves; the store is from FIRST_FD on, and no file behind it."""
        file = os.open(self.pidfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(file, b"%d" % os.getpid())
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, FIRST_FD + i)
        os.closerange(FIRST_FD + len(fds), 1024)

    def follow(self):
        while self.again(self.child.wait()):
            threading.Event().wait(RESTART_S)
            self.may_start.wait()
            with self.starting:
                if self.stopping:
                    break
                self.child = self.start()
        with self.store.lock:
            self.store.drop()

    def start_no_more(self):
        with self.starting:
            self.stopping = True
        self.may_start.set()

    def again(self, status):
        self.statuses.append(status)
        return not self.stopping and status not in (0, -signal.SIGTERM, EXIT_CONFIG)

    def is_over(self):
        return not self.thread.is_alive()

    def stop(self, number=signal.SIGTERM, timeout=20):
        """As systemctl stop: the exit status of the daemon; the store is empty afterwards."""
        self.start_no_more()
        if self.child.poll() is None:
            self.child.send_signal(number)
        status = self.child.wait(timeout)
        self.thread.join(timeout)
        return status

    def close(self):
        self.start_no_more()
        if self.child.poll() is None:
            self.child.kill()
        self.thread.join(20)
        self.store.close()  # which ends what waits for a device that nobody serves


def main():
    pidfile, log, *argv = sys.argv[1:]
    ordered = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ordered.set())
    service = Service(argv, log, f"{pidfile}.notify", pidfile)
    while not ordered.wait(0.1) and not service.is_over():
        pass
    sys.exit(service.stop() if ordered.is_set() else service.statuses[-1])


if __name__ == "__main__":
    main()
