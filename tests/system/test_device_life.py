"""The device module alone on the FUSE carrier of this machine: how it comes and goes."""

import errno
import os
import signal
import subprocess
import time

import pytest

from device_client import NOBODY, Client, Server, read_as_nobody, read_one, refused
from house import as_root
from processes import mounted, wait_until

if not os.path.exists("/dev/fuse"):
    pytest.skip("missing: /dev/fuse", allow_module_level=True)


def test_a_stop_waits_for_no_reader_and_leaves_nothing(server):
    readers = [Client(read_one, server.path, 64) for _ in range(3)]
    server.until_waiting(3)
    server.stop()
    assert [reader.error() for reader in readers] == ["ECONNABORTED"] * 3
    assert mounted(server.path) == []
    assert sorted(p.name for p in server.path.parent.iterdir()) == ["device.log"]


def test_a_second_instance_is_told_who_serves(server):
    log = refused(server.path)
    assert f"process {server.child.pid} already serves it" in log
    server.order("put 16")
    assert len(Client(read_one, server.path, 16).result()) == 16


def test_a_start_clears_the_mount_of_a_killed_one(server, start_server):
    reader = Client(read_one, server.path, 64)
    server.until_waiting(1)
    server.stop(signal.SIGKILL)
    assert reader.error() == "ECONNABORTED"
    assert mounted(server.path) == ["fuse.ekey-random"]
    again = start_server()
    assert "clearing the dead mount" in again.log()
    assert mounted(server.path) == ["fuse.ekey-random"]
    again.order("put 16")
    assert len(Client(read_one, again.path, 16).result()) == 16


def test_a_start_clears_the_file_of_one_that_died_before_its_mount(start_server, place):
    os.close(os.open(place / "device", os.O_WRONLY | os.O_CREAT, 0))
    assert mounted(start_server().path) == ["fuse.ekey-random"]


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
        assert len(mounted(path)) == 1
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
def test_a_kernel_without_cuse_is_served_by_fuse_or_told(start_server, place):
    log = start_server(via="auto").log()
    assert "served by FUSE, because" in log
    assert "programs that seek or splice fail or read nothing: see README.md" in log
    assert "not published" in refused(place / "forced", via="cuse")


@as_root
def test_an_unmount_from_outside_does_not_end_it(server):
    subprocess.run(["umount", "-l", server.path], check=True)
    wait_until(lambda: mounted(server.path), "mounted again")
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
    wait_until(lambda: "the event loop hangs" in server.log(), "it is said")
    wait_until(lambda: server.log().count("served by FUSE") == 2, "published again", 40)
    server.order("put 16")
    assert len(Client(read_one, server.path, 16).result()) == 16


@as_root
@pytest.mark.skipif(
    os.stat("/dev/fuse").st_mode & 0o006 != 0o006, reason="missing: /dev/fuse for everybody"
)
def test_it_works_without_root(start_server, place):
    if not os.path.exists("/etc/mtab"):
        pytest.skip("missing: /etc/mtab, in which fusermount3 looks before it unmounts")
    os.chown(place, NOBODY, NOBODY)
    first = start_server(user=NOBODY)
    assert mounted(first.path) == ["fuse.ekey-random"]
    first.order("put 16")
    assert len(Client(read_as_nobody, first.path, 16).result()) == 16
    first.stop(signal.SIGKILL)
    second = start_server(user=NOBODY)
    assert "clearing the dead mount" in second.log()
    reader = Client(read_as_nobody, second.path, 64)
    second.until_waiting(1)
    second.stop()
    assert reader.error() == "ECONNABORTED"
    assert mounted(second.path) == [] and not second.path.exists()
