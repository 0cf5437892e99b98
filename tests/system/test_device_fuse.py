"""The device module alone on the FUSE carrier of this machine: life, death, and every wait."""

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

from device_client import NOBODY, Client, Server, counters, mounts, read_one, read_sizes, until

RNDGETENTCNT = 0x80045200
RNDADDENTROPY = 0x40085203

if not os.path.exists("/dev/fuse"):
    pytest.skip("missing: /dev/fuse", allow_module_level=True)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="missing: root, to become somebody else")


@pytest.fixture
def start(place):
    """start(...) -> a Server at place/device; a line other than "ready" fails the test."""
    servers = []

    def start_server(name="device", **options):
        server = Server(place / name, **options)
        servers.append(server)
        assert server.line() == "ready", server.log()
        return server

    yield start_server
    for server in servers:
        server.end()


@pytest.fixture
def server(start):
    return start()


def read_as_nobody(path, size):
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    return read_one(path, size)


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

    seconds = Client(share, server.path).result()
    print(f"gone after {seconds} s")
    assert max(seconds) < 1
    until(lambda: server.status()["opens"] == 0, "no file open")
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
    until(lambda: server.status()["opens"] == 0, "closed")
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
def test_the_mode_says_who_may_read(start, place, mode, works):
    place.chmod(0o711)
    server = start(mode=mode)
    server.order("put 16")
    client = Client(read_as_nobody, server.path, 16)
    if works:
        assert len(client.result()) == 16
    else:
        assert client.error() == "EACCES"


# ---- life and death ----


def test_a_stop_takes_less_than_a_second_and_leaves_nothing(server):
    readers = [Client(read_one, server.path, 64) for _ in range(3)]
    server.until_waiting(3)
    assert server.stop() < 1
    assert [reader.error() for reader in readers] == ["ECONNABORTED"] * 3
    assert mounts(server.path) == []
    assert sorted(p.name for p in server.path.parent.iterdir()) == ["device.log"]


def test_a_second_instance_is_told_who_serves(server):
    log = refused(server.path)
    assert f"process {server.child.pid} already serves it" in log
    server.order("put 16")
    assert len(Client(read_one, server.path, 16).result()) == 16


def test_a_start_clears_the_mount_of_a_killed_one(server, start):
    reader = Client(read_one, server.path, 64)
    server.until_waiting(1)
    server.stop(signal.SIGKILL)
    assert reader.error() == "ECONNABORTED"
    assert mounts(server.path) == ["fuse.ekey-random"]
    again = start()
    assert "clearing the dead mount" in again.log()
    assert mounts(server.path) == ["fuse.ekey-random"]
    again.order("put 16")
    assert len(Client(read_one, again.path, 16).result()) == 16


def test_a_start_clears_the_file_of_one_that_died_before_its_mount(start, place):
    os.close(os.open(place / "device", os.O_WRONLY | os.O_CREAT, 0))
    assert mounts(start().path) == ["fuse.ekey-random"]


@pytest.mark.parametrize("content,mode", [("", 0o644), ("precious", 0o000)])
def test_what_is_not_ours_is_left_alone(place, content, mode):
    path = place / "device"
    path.write_text(content)
    path.chmod(mode)
    assert "exists and is not ours" in refused(path)
    assert path.stat().st_mode & 0o7777 == mode and path.stat().st_size == len(content)


@as_root
def test_a_full_disk_is_named_and_nothing_is_left_there(place):
    full = place / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "full", full], check=True)
    try:
        (full / "all").write_bytes(b"x" * 4096)
        server = Server(place / "unused")
        server.end()
        argv = [server.child.args[-4], full / "device", "fuse"]
        result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=20)
        assert result.returncode == 1
        assert f"{full}/.device.lock: No space left on device" in result.stderr
        assert os.listdir(full) == ["all"]
    finally:
        subprocess.run(["umount", "-l", full], check=True)


@as_root
def test_somebody_elses_mount_is_left_alone(place):
    path = place / "device"
    path.touch(0)
    subprocess.run(["mount", "--bind", "/dev/null", path], check=True)
    try:
        assert "exists and is not ours" in refused(path)
        assert len(mounts(path)) == 1
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_missing_directory_is_named(place):
    lost = place / "lost" / "device"
    server = Server(place / "device", via="fuse")
    server.end()
    result = subprocess.run([server.child.args[-4], lost, "fuse"], capture_output=True, timeout=20)
    assert result.returncode == 1
    assert f"{place}/lost/: No such file".encode() in result.stderr


@pytest.mark.skipif(os.path.exists("/dev/cuse"), reason="there is CUSE: nothing to fall back from")
def test_a_kernel_without_cuse_is_served_by_fuse_or_told(start, place):
    assert "served by FUSE, because" in start(via="auto").log()
    assert "not published" in refused(place / "forced", via="cuse")


@as_root
def test_an_unmount_from_outside_does_not_end_it(server):
    subprocess.run(["umount", "-l", server.path], check=True)
    until(lambda: mounts(server.path), "mounted again")
    server.order("put 16")
    assert len(Client(read_one, server.path, 16).result()) == 16


def test_readers_of_a_loop_that_hangs_are_set_free(server):
    reader = Client(read_one, server.path, 64)
    server.until_waiting(1)
    server.child.stdin.write(b"hang 25000\n")
    server.child.stdin.flush()
    assert server.line() == "hanging"
    started = time.monotonic()
    try:
        reader.result(40)
        raise AssertionError("no error")
    except OSError as error:
        print(f"{error} after {time.monotonic() - started:.1f} s")
        assert error.errno == errno.ECONNABORTED
    assert "our event loop hangs" in server.log()
    until(lambda: server.log().count("served by FUSE") == 2, "published again", 40)
    server.order("put 16")
    assert len(Client(read_one, server.path, 16).result()) == 16


@as_root
@pytest.mark.skipif(
    os.stat("/dev/fuse").st_mode & 0o006 != 0o006, reason="missing: /dev/fuse for everybody"
)
def test_it_works_without_root(start, place):
    if not os.path.exists("/etc/mtab"):
        pytest.skip("missing: /etc/mtab, in which fusermount3 looks before it unmounts")
    os.chown(place, NOBODY, NOBODY)
    first = start(user=NOBODY)
    assert mounts(first.path) == ["fuse.ekey-random"]
    first.order("put 16")
    assert len(Client(read_as_nobody, first.path, 16).result()) == 16
    first.stop(signal.SIGKILL)
    second = start(user=NOBODY)
    assert "clearing the dead mount" in second.log()
    reader = Client(read_as_nobody, second.path, 64)
    second.until_waiting(1)
    assert second.stop() < 1
    assert reader.error() == "ECONNABORTED"
    assert mounts(second.path) == [] and not second.path.exists()
