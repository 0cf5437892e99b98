"""ekey-sim's ports: hosts come, go and die, and nothing is lost, repeated or left behind."""

import array
import fcntl
import os
import select
import signal
import socket
import stat
import termios
import time

import pytest

from ekeyd import wait_until
from simkey import SimKey

FRAME = 64
TIOCGEXCL = 0x80045440


@pytest.fixture(params=["pty", "unix"])
def kind(request):
    return request.param


class Host:
    """A bare host on either kind of port."""

    def __init__(self, kind, path):
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(os.fspath(path))
            self.fd = self.socket.fileno()
        else:
            self.socket = None
            self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def write(self, data):
        os.write(self.fd, data)

    def read(self, length, piece=65536):
        data = b""
        while len(data) < length:
            ready, _, _ = select.select([self.fd], [], [], 30)
            assert ready, f"{len(data)} of {length} bytes came"
            part = os.read(self.fd, min(piece, length - len(data)))
            assert part, f"closed after {len(data)} of {length} bytes"
            data += part
        return data

    def skip_to(self, start):
        """Reads on through a frame that starts so."""
        data = b""
        while start not in data:
            data = data[-FRAME:] + self.read(8)
        self.read(FRAME - len(data) + data.index(start))

    def close(self):
        self.socket.close() if self.socket else os.close(self.fd)


def frames(data):
    pieces = [data[i : i + FRAME] for i in range(0, len(data), FRAME)]
    assert all(p[:2] == b"* " and p[-2:] == b"\r\n" for p in pieces)
    return pieces


def sequences(data):
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    entropy = [f for f in frames(data) if f[2:4] == b"E!"]
    return [digits.index(f[4]) + 64 * digits.index(f[5]) for f in entropy]


def test_hosts_may_come_and_go(tmp_path, kind):
    with SimKey(tmp_path, kind, "--rate", "0") as sim:
        for turn in range(1, 4):
            host = Host(kind, sim.path)
            wait_until(lambda: sim.counters()["hosts"] == turn, "the host to be noticed")
            host.write(b"\x03")
            wait_until(lambda: sim.counters()["resets"] == turn, "the reset to be heard")
            if kind == "unix":  # what the last host left unread is gone, half a frame of it too
                assert frames(host.read(FRAME))
            host.skip_to(b"* S!AASIMULATEDKEY0001")
            host.write(b"K.")
            host.skip_to(b"* K!")
            frames(host.read(FRAME * 100))
            host.read(10)
            host.close()


def test_slow_reader_loses_nothing_and_costs_nothing(tmp_path, kind):
    with SimKey(tmp_path, kind, "--rate", "0") as sim:
        host = Host(kind, sim.path)
        host.write(b"\x03K.")
        data = host.read(FRAME * 40, piece=13)

        def asleep():
            before = sim.run_time_ns()
            time.sleep(0.3)
            return sim.run_time_ns() == before

        # The kernel's buffer is full: from here on it does not run at all.
        wait_until(asleep, "ekey-sim to sleep")
        data += host.read(FRAME * 4000)
        found = sequences(data[data.index(b"* S!") :])
        assert found == list(range(len(found)))
        assert len(found) > 3800  # with the measurements after each 78
        host.close()


def test_idle_key_sleeps(tmp_path, kind):
    with SimKey(tmp_path, kind, "--rate", "0") as sim:
        wait_until(lambda: sim.counters(), "counters")
        before = sim.run_time_ns()
        time.sleep(0.3)
        assert sim.run_time_ns() == before


def test_stops_at_once_and_leaves_nothing(tmp_path, kind):
    with SimKey(tmp_path, kind, "--rate", "0") as sim:
        host = Host(kind, sim.path)
        host.write(b"K.")
        host.read(FRAME * 10)
        assert sim.stop() == 0
        assert not os.path.lexists(sim.path)
        host.close()


def test_new_start_clears_what_kill_left(tmp_path, kind):
    for _ in range(2):
        sim = SimKey(tmp_path, kind)
        sim.process.send_signal(signal.SIGKILL)
        sim.process.wait()
        assert os.path.lexists(sim.path)
    with SimKey(tmp_path, kind) as sim:
        host = Host(kind, sim.path)
        host.write(b"\x03")
        host.skip_to(b"* S!")
        host.close()


def test_does_not_replace_what_is_not_its_own(tmp_path, kind):
    (tmp_path / f"key.{kind}").write_text("precious")
    with pytest.raises(AssertionError, match="ekey-sim ended"):
        SimKey(tmp_path, kind)
    assert (tmp_path / f"key.{kind}").read_text() == "precious"


def test_unplugged_key_comes_back(tmp_path, kind):
    with SimKey(tmp_path, kind, "--rate", "0", "--close-after", "50") as sim:
        for turn in range(1, 4):
            host = Host(kind, wait_until(lambda: sim.path.exists() and sim.path, "the port"))
            host.write(b"K.")
            with pytest.raises((AssertionError, OSError)):
                host.read(FRAME * 51)
            host.close()
            wait_until(lambda: sim.counters()["closed"] == turn, "the key to come back")


def test_second_connection_is_closed_at_once(tmp_path):
    with SimKey(tmp_path, "unix") as sim:
        first = Host("unix", sim.path)
        first.write(b"\x03")
        first.read(FRAME)
        second = Host("unix", sim.path)
        assert select.select([second.fd], [], [], 30)[0]
        assert os.read(second.fd, 1) == b""
        first.write(b"\x03")
        first.skip_to(b"* S!")
        for host in (first, second):
            host.close()


def test_terminal_is_free_and_raw_again_after_its_host_died(tmp_path):
    with SimKey(tmp_path, "pty") as sim:
        child = os.fork()
        if child == 0:
            fd = os.open(sim.path, os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(fd, termios.TIOCEXCL)
            settings = termios.tcgetattr(fd)
            settings[3] |= termios.ECHO | termios.ICANON
            termios.tcsetattr(fd, termios.TCSANOW, settings)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        wait_until(lambda: not exclusive(sim.path), "the terminal to be free")
        fd = os.open(sim.path, os.O_RDWR | os.O_NOCTTY)
        wait_until(lambda: not termios.tcgetattr(fd)[3] & termios.ECHO, "the terminal to be raw")
        os.close(fd)


def exclusive(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    answer = array.array("i", [0])
    fcntl.ioctl(fd, TIOCGEXCL, answer)
    os.close(fd)
    return answer[0]


def test_keyring_is_private(tmp_path):
    with SimKey(tmp_path, "unix") as sim:
        assert stat.S_IMODE(sim.keyring.stat().st_mode) == 0o600
        assert sim.keyring.read_text().startswith("SIMULATEDKEY0001 ")
        assert sim.out.read_text() == ""


def test_terminal_that_is_there_is_made_raw_and_survives_a_signal_to_replug(tmp_path):
    ours, theirs = os.openpty()
    (tmp_path / "key.tty").symlink_to(os.ttyname(theirs))
    with SimKey(tmp_path, "tty", "--rate", "0") as key:
        host = Host("tty", tmp_path / "key.tty")
        os.close(host.fd)
        host.fd = ours
        host.write(b"\x03")
        host.skip_to(b"* S!")
        key.process.send_signal(signal.SIGUSR2)
        host.write(b"\x03")
        host.skip_to(b"* S!")
        assert key.counters()["resets"] == 2
    os.close(ours)
    os.close(theirs)
