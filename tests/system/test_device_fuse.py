"""The device module alone on the FUSE carrier of this machine: what it is, and every wait."""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import select
import signal
import stat
import subprocess
import time

import pytest

from device_client import Client, counters, read_as_nobody, read_one, read_sizes
from house import as_root
from processes import PATIENCE_S, STOP_S, wait_until

RNDGETENTCNT = 0x80045200
RNDADDENTROPY = 0x40085203

if not os.path.exists("/dev/fuse"):
    pytest.skip("missing: /dev/fuse", allow_module_level=True)


# ---- reads ----


def test_one_reader_gets_the_stream_whole_and_in_order(server):
    sizes = [8 * random.Random(1).randrange(1, 33) for _ in range(2000)]
    server.order("feed 4096 1")
    data = b"".join(Client(read_sizes, server.path, sizes).result())
    assert len(data) == sum(sizes)
    assert counters(data) == list(range(len(data) // 8))


def test_blocking_reads_are_whole_up_to_256_and_short_beyond(server):
    reader = Client(read_sizes, server.path, [256, 4096])
    server.until_waiting(1)
    server.order("put 255")
    assert not reader.pipe.poll(0.2)
    server.order("put 1")
    server.until_waiting(1)
    server.order("put 1000")
    assert [len(data) for data in reader.result()] == [256, 1000]


def test_one_answer_has_a_limit(server):
    server.order("put 65536")
    assert 256 <= len(Client(read_one, server.path, 1 << 20).result()) <= 65536


def test_nonblocking_reads_get_what_is_there_or_eagain(server):
    assert Client(read_one, server.path, 16, os.O_NONBLOCK).error() == "EAGAIN"
    server.order("put 40")
    assert counters(Client(read_one, server.path, 256, os.O_NONBLOCK).result()) == [0, 1, 2, 3, 4]


def test_nonblocking_may_be_asked_for_later(server):
    def read_after_fcntl(path):
        fd = os.open(path, os.O_RDONLY)
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
        return os.read(fd, 16)

    assert Client(read_after_fcntl, server.path).error() == "EAGAIN"


# ---- signals ----


def read_until_alarm(path, size, restart):
    """Bytes read, or the error, when an alarm comes in the middle."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.siginterrupt(signal.SIGALRM, 0 if restart else 1)
    fd = os.open(path, os.O_RDONLY)
    buffer = ctypes.create_string_buffer(size)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    n = libc.read(fd, buffer, size)
    if n < 0:
        raise OSError(ctypes.get_errno(), "read")
    return buffer.raw[:n]


@pytest.mark.parametrize("restart", [False, True])
def test_a_signal_ends_a_read_with_eintr(server, restart):
    assert Client(read_until_alarm, server.path, 64, restart).error() == "EINTR"
    assert server.status()["interrupted"] == 1
    server.order("put 64")
    assert counters(Client(read_one, server.path, 64).result()) == list(range(8))


def test_a_signal_ends_a_read_with_what_it_has(server):
    reader = Client(read_until_alarm, server.path, 256, False)
    server.until_waiting(1)
    server.order("put 80")
    assert counters(reader.result()) == list(range(10))
    assert server.status()["lost"] == 0


def test_a_killed_reader_is_gone_at_once_on_a_shared_descriptor_too(server):
    def blocked_in(fd):
        if (pid := os.fork()) == 0:
            os.read(fd, 64)
            os._exit(0)
        return pid

    def seconds_to_die(pid):
        started = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return time.monotonic() - started

    def share(path):
        fd = os.open(path, os.O_RDONLY)
        readers = [blocked_in(fd) for _ in range(2)]
        server.until_waiting(2)
        return [seconds_to_die(reader) for reader in readers]

    seconds = Client(share, server.path, with_files=True).result()
    print(f"gone after {seconds} s")
    assert max(seconds) < STOP_S
    wait_until(lambda: server.status()["opens"] == 0, "no file open")
    assert server.status()["waiters"] == 0


# ---- polls ----


def poll_then_read(path, ask):
    """What `ask` saw before and after the bytes came, and the bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return ask(fd), os.read(fd, 64)


def by_poll(fd):
    p = select.poll()
    p.register(fd, select.POLLIN)
    return len(p.poll(0)), p.poll(10000)[0][1]


def by_select(fd):
    return len(select.select([fd], [], [], 0)[0]), len(select.select([fd], [], [], 10)[0])


def by_epoll(fd):
    before = len(select.select([fd], [], [], 0)[0])  # registering arms: bytes may come at once
    e = select.epoll()
    e.register(fd, select.EPOLLIN)
    return before, len(e.poll(10))


@pytest.mark.parametrize("ask", [by_poll, by_select, by_epoll])
def test_polls_wait_for_bytes_and_get_them(server, ask):
    client = Client(poll_then_read, server.path, ask)
    server.until_waiting(1)
    server.order("put 64")
    (before, after), data = client.result()
    assert (before, after) == (0, 1)
    assert counters(data) == list(range(8))


def test_epoll_tells_every_edge(server):
    def edges(path, length):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        e = select.epoll()
        e.register(fd, select.EPOLLIN | select.EPOLLET)
        data = b""
        while len(data) < length and e.poll(10):
            try:
                while True:
                    data += os.read(fd, 64)
            except BlockingIOError:
                pass
        return data

    client = Client(edges, server.path, 20 * 64)
    for _ in range(20):
        server.until_waiting(1)
        server.order("put 64")
    assert counters(client.result()) == list(range(160))


def test_epoll_repeats_a_level_until_it_is_read(server):
    def levels(path):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        e = select.epoll()
        e.register(fd, select.EPOLLIN)
        seen = [len(e.poll(10)), len(e.poll(0)), len(e.poll(0))]
        os.read(fd, 4096)
        return seen + [len(e.poll(0))]

    server.order("put 64")
    assert Client(levels, server.path).result() == [1, 1, 1, 0]


def test_300_polls_are_all_woken(server):
    def crowd(path):
        e = select.epoll()
        asleep = {os.open(path, os.O_RDONLY | os.O_NONBLOCK) for _ in range(300)}
        for fd in asleep:
            e.register(fd, select.EPOLLIN)
        data = []
        while asleep:
            ready = e.poll(10)
            assert ready, f"{len(asleep)} of 300 sleep for ever"
            for fd, _ in ready:
                data.append(os.read(fd, 64))
                e.unregister(fd)
                asleep.remove(fd)
        return data

    client = Client(crowd, server.path)
    server.until_waiting(300)
    server.order(f"put {300 * 64}")
    data = client.result()
    assert sorted(n for piece in data for n in counters(piece)) == list(range(300 * 8))


def test_a_closed_poll_loses_its_bytes_and_no_others(server):
    def poll_and_leave(path):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        by_poll(fd)
        os.close(fd)

    client = Client(poll_and_leave, server.path)
    server.until_waiting(1)
    server.order("put 128")
    client.result()
    wait_until(lambda: server.status()["opens"] == 0, "closed")
    assert server.status()["lost"] == 64
    assert counters(Client(read_one, server.path, 64).result()) == list(range(8, 16))


# ---- the file ----


def test_it_is_a_file_of_size_0_that_cannot_be_changed(server):
    def look(path):
        st = os.stat(path)
        try:
            os.chmod(path, 0o666)
        except PermissionError:
            return stat.S_ISREG(st.st_mode), st.st_mode & 0o7777, st.st_size, st.st_uid

    assert Client(look, server.path).result() == (True, 0o444, 0, os.geteuid())


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC])
def test_it_is_never_written(server, flags):
    assert Client(os.open, server.path, flags).error() == "EACCES"


def test_it_has_no_position(server):
    def seek(path):
        os.lseek(os.open(path, os.O_RDONLY), 0, os.SEEK_SET)

    def read_at(path):
        os.pread(os.open(path, os.O_RDONLY), 16, 0)

    assert Client(seek, server.path).error() == "ESPIPE"
    assert Client(read_at, server.path).error() == "ESPIPE"


def test_programs_that_seek_say_so(server):
    tail = subprocess.run(["tail", "-c", "+1", server.path], capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}, timeout=PATIENCE_S)
    assert (tail.returncode, tail.stdout) == (1, "")
    assert "Illegal seek" in tail.stderr


def test_nothing_goes_around_read(server):
    """Bytes taken by the page cache could be served twice."""

    def send(path):
        out = os.memfd_create("out")
        return os.sendfile(out, os.open(path, os.O_RDONLY), None, 64)

    def map_shared(path):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_ssize_t
        fd = os.open(path, os.O_RDONLY)
        if libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, fd, 0) == -1:
            raise OSError(ctypes.get_errno(), "mmap")

    server.order("put 4096")
    try:
        assert Client(send, server.path).result() == 0
    except OSError as error:
        assert error.errno == errno.EINVAL
    assert Client(map_shared, server.path).error() == "ENODEV"
    assert server.status()["delivered"] == 0


def test_cp_copies_what_is_there_although_the_size_is_0(server, place):
    server.order("put 4096")
    copy = subprocess.Popen(["cp", server.path, place / "copy"])
    try:
        server.until_waiting(1)  # for more: it would read for ever
    finally:
        copy.kill()
        copy.wait(20)
    assert counters((place / "copy").read_bytes()) == list(range(512))


def test_ioctls_count_the_pool_and_change_nothing(server):
    def count(path, command, size):
        return fcntl.ioctl(os.open(path, os.O_RDONLY), command, bytes(size))

    server.order("put 1000")
    answer = Client(count, server.path, RNDGETENTCNT, 4).result()
    assert int.from_bytes(answer, "little") == 8000
    refusal = "EINVAL" if os.geteuid() == 0 else "EPERM"
    assert Client(count, server.path, RNDADDENTROPY, 8).error() == refusal
    assert Client(count, server.path, 0x5401, 64).error() in ("EINVAL", "ENOTTY")


@as_root
@pytest.mark.parametrize("mode,works", [("0444", True), ("0440", False), ("0400", False)])
def test_the_mode_says_who_may_read(start_server, place, mode, works):
    place.chmod(0o711)
    server = start_server(mode=mode)
    server.order("put 16")
    client = Client(read_as_nobody, server.path, 16)
    if works:
        assert len(client.result()) == 16
    else:
        assert client.error() == "EACCES"
