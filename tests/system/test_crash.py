"""kill -9 of anybody, at any time, leaves nothing that the next start does not clear by itself."""

import os
import signal
import time

import pytest

from processes import STOP_S, Process, mounted, run, wait_until

ABSENT = "unix:/nonexistent/key"


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0]


@pytest.fixture
def blocked(place, started):
    """Starts a reader and returns it once it has slept for a while."""

    def start(device):
        reader = Process(["od", "-An", "-tx1", "-N", "32", str(device)], place / "reader.log")
        started.insert(0, reader)
        for _ in range(20):
            time.sleep(0.01)
            wait_until(lambda: state(reader.pid) in "SD", "the reader sleeps")
        return reader

    return start


@pytest.fixture
def cat(place, started):
    """A reader that reads on and on."""

    def start(daemon):
        command = f"exec cat {daemon.device} >/dev/null"
        started.insert(0, Process(["sh", "-c", command], place / "cat.log"))
        wait_until(lambda: daemon.pool()["delivered"] > 100000, "bytes flow")
        return started[0]

    return start


def serves(daemon):
    """Bytes come, and only of the size asked for."""
    result = run("head", "-c", "64", str(daemon.device), text=False)
    return result.returncode == 0 and len(result.stdout) == 64


def nothing_left(daemon):
    return not mounted(daemon.device) and daemon.device.name not in os.listdir(daemon.device.parent)


def test_stops_at_once_and_leaves_nothing_with_a_reader_blocked(start_daemon, blocked):
    daemon = start_daemon(address=ABSENT)
    reader = blocked(daemon.device)
    assert daemon.stop(timeout=STOP_S) == 0
    assert reader.wait() != 0
    assert nothing_left(daemon)
    assert not daemon.control.exists()


@pytest.mark.parametrize("when", ["idle", "blocked", "flowing"])
def test_killed_daemon_is_followed_by_a_clean_start(start_sim, start_daemon, blocked, cat, when):
    sim = start_sim() if when != "blocked" else None
    daemon = start_daemon(sim=sim)
    reader = {"idle": serves, "blocked": lambda d: blocked(d.device), "flowing": cat}[when](daemon)
    daemon.kill()
    assert reader is True or reader.wait() != 0
    assert mounted(daemon.device), "the dead mount that the next start has to clear"
    again = start_daemon(sim=sim or start_sim())
    assert len(mounted(again.device)) == 1
    wait_until(lambda: serves(again), "bytes come")
    assert again.stop() == 0
    assert nothing_left(again)


def test_killed_simulator_comes_back_and_readers_see_no_error(start_sim, start_daemon, blocked):
    daemon = start_daemon(sim=(sim := start_sim()), pool="8KiB")
    assert serves(daemon)
    sim.kill()
    drain(daemon.device)
    reader = blocked(daemon.device)
    start_sim()
    assert reader.wait(60) == 0
    assert len(reader.log().split()) == 32


def drain(device):
    """What was on its way when the source ended."""
    command = f"dd if={device} of=/dev/null iflag=nonblock bs=4k count=1 status=none"
    quiet = 0
    while quiet < 10:
        result = run("sh", "-c", command)
        assert result.returncode == 0 or "temporarily unavailable" in result.stdout
        quiet = quiet + 1 if result.returncode else 0


def test_killed_reader_is_gone_and_the_daemon_serves_on(start_daemon, blocked):
    daemon = start_daemon(address=ABSENT)
    reader = blocked(daemon.device)
    reader.child.send_signal(signal.SIGKILL)
    reader.wait(STOP_S)
    assert daemon.running() and daemon.status()


def test_second_instance_is_an_error_and_the_first_serves_on(daemon, start_daemon, sim, place):
    second = start_daemon(sim=sim, control=place / "control2", wait=False)
    assert second.wait() != 0
    assert str(daemon.device) in second.log()
    assert serves(daemon)
    assert len(mounted(daemon.device)) == 1


def test_somebody_elses_file_is_left_alone(device, start_daemon):
    device.write_text("precious")
    daemon = start_daemon(address=ABSENT, wait=False)
    assert daemon.wait() != 0
    assert str(device) in daemon.log()
    assert device.read_text() == "precious"


def test_runs_without_any_source(start_daemon):
    daemon = start_daemon(address=ABSENT)
    result = run("dd", f"if={daemon.device}", "iflag=nonblock", "bs=16", "count=1")
    assert "temporarily unavailable" in result.stdout
    assert daemon.stop() == 0
