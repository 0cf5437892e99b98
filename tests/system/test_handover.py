"""A daemon goes, by order or by kill -9, and another one comes: nobody who reads notices."""

import ctypes
import os
import pathlib
import re
import select
import signal
import time

import pytest

from device_client import Client, read_one
from generations import end, kill, restart, status, succeed, succeeded
from manager import Managed, Manager, needs_libsystemd
from processes import PATIENCE_S, Process, core, mounted, program, run, wait_until

ROUNDS = int(os.environ.get("ROUNDS", 50))
ABSENT = "unix:/nonexistent/key"
MIB = 1 << 20


def until_waiting(daemon, count):
    wait_until(lambda: int(daemon.status()["pool -"]["waiters"]) == count, f"{count} wait")


def take_over_lines(daemon):
    return re.findall(r"taken over by fuse; open files: (\d+), reads that wait: (\d+)", daemon.log())


# ---- never an error, never a byte twice ----


@pytest.mark.parametrize("how", [kill, restart])
def test_a_crowd_of_readers_outlives_fifty_daemons(start_sim, start_daemon, place, started, how):
    """Readers that block, poll and share, and are killed and interrupted themselves."""
    sim = start_sim(rate=2000)
    daemon = start_daemon(sim=sim, pool="16KiB")
    crowd = ["many", str(daemon.device), sim.seed, str(24 * MIB), "32", str(28 * MIB)]
    readers = Process([program("tests/system/readers"), *crowd], place / "readers.log")
    started.append(readers)
    served, bytes_again = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        served.append(succeed(daemon, how)[0])
        assert len(Client(read_one, daemon.device, 16).result()) == 16
        bytes_again.append(time.monotonic() - began)
        assert readers.running(), readers.log()
    assert readers.stop() == 0, readers.log()
    print(readers.log())
    for what, s in ("served again", served), ("bytes again", bytes_again):
        print(f"{what} after at most {max(s):.2f} s, on average {sum(s) / len(s):.2f} s")
    assert max(served) < PATIENCE_S / 2 and max(bytes_again) < PATIENCE_S
    assert len(take_over_lines(daemon)) == ROUNDS
    assert "0 bytes twice, 0 foreign" in readers.log()
    assert daemon.pool()["in"] == sum(daemon.pool()[key] for key in ("delivered", "lost", "held"))


def wait_by_poll(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    p = select.poll()
    p.register(fd, select.POLLIN)
    return p.poll(1000 * PATIENCE_S)[0][1], len(os.read(fd, 16))


def wait_by_select(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return len(select.select([fd], [], [], PATIENCE_S)[0]), len(os.read(fd, 16))


def wait_by_edges(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    e = select.epoll()
    e.register(fd, select.EPOLLIN | select.EPOLLET)
    return e.poll(PATIENCE_S)[0][1], len(os.read(fd, 16))


def read_slowly(path):
    return 1, len(read_one(path, 16))


@pytest.mark.parametrize("how", [kill, restart])
def test_who_waits_when_nobody_has_bytes_is_served_by_a_later_one(start_sim, start_daemon, how):
    daemon = start_daemon(address=ABSENT)
    waiting = [
        Client(wait, daemon.device)
        for wait in (wait_by_poll, wait_by_select, wait_by_edges, read_slowly)
    ]
    until_waiting(daemon, 4)
    for _ in range(3):
        succeed(daemon, how)
        until_waiting(daemon, 4)
    config = daemon.config.read_text()
    daemon.config.write_text(config.replace(ABSENT, start_sim().address))
    succeed(daemon, how)
    assert [client.result() for client in waiting] == [(1, 16)] * 4


def test_a_reader_of_a_former_daemon_can_be_interrupted_and_killed(start_daemon):
    daemon = start_daemon(address=ABSENT)
    readers = [Client(read_one, daemon.device, 16) for _ in range(2)]
    until_waiting(daemon, 2)
    succeed(daemon, kill)
    until_waiting(daemon, 2)
    assert readers[0].kill() < 1
    until_waiting(daemon, 1)
    assert daemon.status()["device random"]["opens"] == "1"
    kill(daemon)
    assert readers[1].kill() < PATIENCE_S  # with nobody there, or the next one


def test_what_is_asked_while_nobody_serves_is_answered(start_sim, start_daemon):
    daemon = start_daemon(sim=start_sim())
    former = core(daemon.child.pid)
    os.kill(daemon.child.pid, signal.SIGSTOP)
    os.kill(former, signal.SIGKILL)
    reader = Client(read_one, daemon.device, 64)
    assert not reader.pipe.poll(0.3)
    os.kill(daemon.child.pid, signal.SIGCONT)
    assert len(reader.result()) == 64


def test_counters_of_the_device_go_on(start_sim, start_daemon):
    daemon = start_daemon(sim=start_sim())
    Client(read_one, daemon.device, 64).result()
    _, rows = succeed(daemon, kill)
    assert rows["device random"]["delivered"] == "64"
    assert rows["device random"]["requests"] == "1"


# ---- ends ----


@pytest.mark.parametrize("stop", [Process.stop, end])
def test_stopping_after_it_leaves_nothing(start_daemon, stop):
    daemon = start_daemon(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    succeed(daemon, kill)
    stop(daemon)
    assert daemon.wait() == 0
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    assert not mounted(daemon.device)
    assert daemon.device.name not in os.listdir(daemon.device.parent)


def test_both_ends_of_the_family_end_together(start_daemon):
    daemon = start_daemon(address=ABSENT)
    child = core(daemon.child.pid)
    daemon.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the daemon ended too")


def test_a_daemon_that_cannot_start_anew_is_tried_again(start_daemon):
    daemon = start_daemon(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    config = daemon.config.read_text()
    daemon.config.write_text("nonsense")
    kill(daemon)
    wait_until(lambda: "ended with status 1: another one tries" in daemon.log(), "it tried")
    daemon.config.write_text(config)
    wait_until(lambda: status(daemon), "another daemon serves")
    until_waiting(daemon, 1)
    assert reader.kill() < 1


def test_reload_withdraws_what_was_taken_over(start_daemon, place):
    daemon = start_daemon(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    succeed(daemon, kill)
    daemon.config.write_text(daemon.config.read_text().partition("[device")[0])
    os.kill(daemon.child.pid, signal.SIGHUP)
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    wait_until(lambda: not mounted(daemon.device), "it is withdrawn")
    assert daemon.stop() == 0


# ---- what is not taken over ----


def changed(daemon, old, new):
    daemon.config.write_text(daemon.config.read_text().replace(old, new))
    return succeed(daemon, kill)[1]


def test_a_device_of_another_mode_is_another_device(start_daemon):
    daemon = start_daemon(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    rows = changed(daemon, "mode = 0444", "mode = 0440")
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    assert rows["device random"]["opens"] == "0"
    assert "not taken over, but published anew: mode was changed" in daemon.log()
    assert len(mounted(daemon.device)) == 1
    assert daemon.stop() == 0


def test_a_device_that_is_no_longer_configured_goes(start_daemon):
    daemon = start_daemon(address=ABSENT)
    section = "[device" + daemon.config.read_text().partition("[device")[2]
    changed(daemon, section, "")
    assert not mounted(daemon.device)
    assert daemon.device.name not in os.listdir(daemon.device.parent)
    assert daemon.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to unmount")
def test_a_device_that_was_unmounted_is_published_anew(start_daemon):
    daemon = start_daemon(address=ABSENT)
    former = core(daemon.child.pid)
    os.kill(daemon.child.pid, signal.SIGSTOP)
    os.kill(former, signal.SIGKILL)
    run("umount", "-l", str(daemon.device))
    os.kill(daemon.child.pid, signal.SIGCONT)
    wait_until(lambda: succeeded(daemon, former), "another daemon serves")
    assert "not taken over, but published anew" in daemon.log()
    assert len(mounted(daemon.device)) == 1
    assert daemon.stop() == 0


# ---- the parent goes too, and the service manager keeps what it had ----


@pytest.fixture
def manager(place):
    manager = Manager(place / "notify")
    yield manager
    manager.close()


@pytest.fixture
def managed(manager, start_daemon):
    return Managed(manager, start_daemon(address=ABSENT))


@needs_libsystemd
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGKILL])
def test_the_service_manager_keeps_what_its_next_start_goes_on_with(managed, start_sim, number):
    daemon = managed.daemon
    names = [f"fd{i}{daemon.device}" for i in range(3)]
    wait_until(lambda: managed.manager.names() == names, "all is stored")
    assert daemon.status()["device random"]["handover"] == "keeper, service manager"
    reader = Client(read_one, daemon.device, 16)
    for _ in range(3):
        until_waiting(daemon, 1)
        daemon.child.send_signal(number)
        status = daemon.child.wait(PATIENCE_S)
        assert status == (0 if number == signal.SIGUSR2 else -signal.SIGKILL)
        managed.start()
    assert managed.manager.names() == names
    daemon.config.write_text(daemon.config.read_text().replace(ABSENT, start_sim().address))
    succeed(daemon, kill)
    assert len(reader.result()) == 16
    assert len(take_over_lines(daemon)) == 4


@needs_libsystemd
def test_stopping_leaves_nothing_with_the_service_manager(managed):
    daemon = managed.daemon
    wait_until(lambda: len(managed.manager.names()) == 3, "all is stored")
    assert daemon.stop() == 0
    assert managed.manager.names() == []
    assert not mounted(daemon.device)


# ---- a daemon that hangs ----

PTRACE_ATTACH = 16


def hold(pid):
    """Stops the first thread of a process, and only that, until we are killed."""
    assert ctypes.CDLL(None).ptrace(PTRACE_ATTACH, pid, None, None) == 0
    time.sleep(10 * PATIENCE_S)


def ended(pid):
    """It waits for whoever holds it to look away."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to stop a thread of another")
def test_a_daemon_whose_loop_hangs_is_replaced_and_its_reader_served(start_sim, start_daemon):
    daemon = start_daemon(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    daemon.config.write_text(daemon.config.read_text().replace(ABSENT, start_sim().address))
    former = core(daemon.child.pid)
    holder = Client(hold, former)
    wait_until(lambda: ended(former), "its watchdog has ended it", 3 * PATIENCE_S)
    holder.kill()
    assert len(reader.result()) == 16
    assert "ended by signal 6 (Aborted): another one takes over 1 device" in daemon.log()
