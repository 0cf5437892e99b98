"""An EGD server as its clients see it, and a modest client that shall notice nothing of others."""

import contextlib
import pathlib
import socket
import time

from processes import PATIENCE_S, free_port
from relay import LISTEN

P99_S = 1  # of the modest client; on a quiet machine it is some milliseconds
READ_255 = b"\x02\xff"


class Server:
    """A daemon with a device and an EGD listener over TCP, as its clients see it."""

    def __init__(self, house, *keys, rate=0, source=True):
        self.house, self.port = house, free_port()
        listen = LISTEN.format(address=f"tcp:127.0.0.1:{self.port}", more="\n".join(keys))
        if source:
            house.start_sim(rate=rate)
        house.write_config(house.source(), house.device_section(), listen)
        self.daemon = house.start_daemon()
        if source:
            house.wait_full()
        self.rss_before_kib = self.rss_kib()

    def connect(self, host=None, number=0, small=False):
        """From 127.HOST.x.y, an identity of its own for each number; `small`: takes in little."""
        s = socket.socket()
        if small:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if host:
            s.bind((f"127.{host}.{number >> 8}.{number & 255}", 0))
        s.settimeout(PATIENCE_S)
        s.connect(("127.0.0.1", self.port))
        return s

    def row(self, key):
        return int(self.house.status()["listen egd"][key])

    def is_sanitized(self):
        """Its memory is then mostly the sanitizer's."""
        return "libasan" in pathlib.Path(f"/proc/{self.daemon.pid}/maps").read_text()

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def cpu_s(self):
        return int(pathlib.Path(f"/proc/{self.daemon.pid}/schedstat").read_text().split()[0]) / 1e9

    def cpu_share(self, seconds=1):
        before = self.cpu_s()
        time.sleep(seconds)
        return (self.cpu_s() - before) / seconds

    def check_balance(self):
        pool = {k: int(v) for k, v in self.house.status()["pool -"].items()}
        assert pool["in"] == pool["delivered"] + pool["lost"] + pool["held"], pool


# ---- what clients do ----


def receive(s, length):
    data = b""
    while len(data) < length and (more := s.recv(length - len(data))):
        data += more
    return data


def timed(took, read):
    began = time.monotonic()
    assert len(read()) == 32
    took.append(time.monotonic() - began)


def said(name, took):
    took.sort()
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    assert p99 < P99_S, name
    return f"{name} p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms"


def check_modest(server, what, rss_kib, rounds=100):
    """Others are served as always; `rss_kib`: how much the daemon may have grown."""
    egd, device = [], []
    with server.connect(2) as s, open(server.house.device, "rb", buffering=0) as file:

        def ask():
            s.sendall(b"\x02\x20")
            return receive(s, 32)

        for _ in range(rounds):
            timed(egd, ask)
            timed(device, lambda: file.read(32))
            time.sleep(0.005)
    grown = server.rss_kib() - server.rss_before_kib
    print(f"{what}: {said('02/32', egd)}; {said('device', device)}; {server.row('clients')} "
          f"clients, RSS {server.rss_kib()} KiB, {grown:+} KiB")
    assert grown <= rss_kib or server.is_sanitized()


def ask_for_much(s, requests):
    """As far as the other side takes it."""
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        s.send(READ_255 * requests)
    s.settimeout(PATIENCE_S)


def answers(s):
    """It is served, and was not closed."""
    with contextlib.suppress(ConnectionError):
        s.sendall(b"\0")
        return len(receive(s, 4)) == 4
