"""What a service manager, and those who wait for the first byte, hear from the daemon."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

from processes import PATIENCE_S, Process, mounted, program, run, wait_until

TIMED_OUT = 7

needs_libsystemd = pytest.mark.skipif(
    run("pkg-config", "--exists", "libsystemd").returncode != 0,
    reason="missing: libsystemd-dev, so the daemon tells nobody anything",
)


class Manager:
    """The end of NOTIFY_SOCKET that systemd has."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE_S)

    def next(self):
        """{"READY": "1", "STATUS": "..."}"""
        text = self.socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def next_with(self, key):
        while key not in (message := self.next()):
            pass
        return message

    def heard_nothing(self):
        self.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.socket.recv(4096)


@pytest.fixture
def manager(place, monkeypatch):
    manager = Manager(place / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(place / "notify"))
    yield manager
    manager.socket.close()


@needs_libsystemd
def test_ready_is_said_once_and_with_the_device_published(manager, start_daemon):
    daemon = start_daemon(wait=False)
    message = manager.next()
    assert mounted(daemon.device), daemon.log()
    assert message["READY"] == "1"
    waits = f"no key, waiting for unix:{daemon.device.parent}/sim; pool 0/65536 bytes"
    assert message["STATUS"] == waits
    manager.heard_nothing()


@needs_libsystemd
def test_a_daemon_that_cannot_start_is_never_ready(manager, start_daemon, device):
    device.write_text("precious")
    daemon = start_daemon(wait=False)
    assert daemon.wait() == 1
    assert "READY" not in manager.next()
    manager.heard_nothing()


@needs_libsystemd
def test_pings_carry_the_state(manager, monkeypatch, start_daemon, start_sim):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    start_daemon(sim=start_sim())
    keyed = "1 key, keyed; pool "
    wait_until(lambda: manager.next_with("WATCHDOG")["STATUS"].startswith(keyed), keyed)


@needs_libsystemd
@pytest.mark.parametrize("change", ["", "nonsense"])
def test_reloading_ends_with_ready_whatever_the_file_is_like(manager, start_daemon, change):
    daemon = start_daemon()
    manager.next_with("READY")
    with daemon.config.open("a") as config:
        config.write(change)
    daemon.child.send_signal(signal.SIGHUP)
    assert int(manager.next()["MONOTONIC_USEC"]) > 0
    assert manager.next()["READY"] == "1"


@needs_libsystemd
def test_stopping_is_said(manager, start_daemon):
    daemon = start_daemon()
    manager.next_with("READY")
    assert daemon.stop() == 0
    assert manager.next()["STOPPING"] == "1"


def wait_seeded(control, *options):
    return run(program("ekeyctl"), "--socket", str(control), "wait-seeded", *options)


def test_wait_seeded_gives_up_in_time_without_a_key(start_daemon):
    result = wait_seeded(start_daemon().control, "--timeout", "300ms")
    assert result.returncode == TIMED_OUT
    assert result.stdout == (
        "ekeyctl: timeout: no healthy byte yet: see ekeyctl status for the cause\n"
    )


def test_wait_seeded_gives_up_in_time_without_a_daemon(place):
    result = wait_seeded(place / "control", "--timeout", "300ms")
    assert result.returncode == TIMED_OUT
    assert result.stdout == "ekeyctl: timeout: no healthy byte yet: ekey-randomd does not answer\n"


def test_wait_seeded_goes_on_after_a_daemon_that_ended_before_the_question(place):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "control"))
        listener.listen()
        asked = subprocess.Popen([program("ekeyctl"), "--socket", place / "control", "wait-seeded", "--timeout", "0s"],
                                 stdout=subprocess.DEVNULL)
        with listener.accept()[0] as connection:
            connection.shutdown(socket.SHUT_RD)  # the question finds nobody
            connection.sendall(b"PROTOCOL EKEYD/1\n")
            assert asked.wait(PATIENCE_S) == TIMED_OUT


def test_wait_seeded_returns_at_once_when_bytes_have_come(daemon):
    wait_until(lambda: daemon.pool()["in"] > 0, "the first bytes are there")
    result = wait_seeded(daemon.control, "--timeout", "0s")
    assert (result.returncode, result.stdout) == (0, "")


def test_wait_seeded_outlasts_what_is_yet_to_come(place, started, start_daemon, start_sim):
    argv = [program("ekeyctl"), "--socket", place / "control", "wait-seeded"]
    waiter = Process([*map(str, argv), "--timeout", f"{PATIENCE_S}s"], place / "waiter.log")
    started.append(waiter)
    daemon = start_daemon()
    # One that looks all the while, and is told no.
    assert wait_seeded(daemon.control, "--timeout", "500ms").returncode == TIMED_OUT
    assert waiter.running()
    start_sim()
    daemon.child.send_signal(signal.SIGHUP)  # the keyring has come with the key
    assert waiter.wait() == 0, waiter.log()
    assert waiter.log() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
def test_wait_seeded_does_not_wait_for_permission(place, start_daemon):
    start_daemon()
    place.chmod(0o755)
    ctl = [program("ekeyctl"), "--socket", str(place / "control"), "wait-seeded"]
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    result = run(*user, *ctl)
    assert result.returncode == 5 and "Permission denied" in result.stdout, result.stdout


@pytest.mark.parametrize("options", [["--timeout", "soon"], ["--timeout"], ["more"]])
def test_wait_seeded_refuses_what_it_does_not_know(place, options):
    result = wait_seeded(place / "control", *options)
    assert result.returncode == 2 and options[-1].lstrip("-") in result.stdout


# ---- a daemon that never was root ----
CONFIG = """\
[daemon]
keyring = {place}/keyring
control = {place}/run/control
[device random]
path = {place}/ekey-random
via = {via}
"""


@pytest.fixture
def start_as_nobody(place, started):
    """The daemon, by somebody who may write nowhere but below {place}/run/."""
    if os.geteuid() != 0:
        pytest.skip("root is missing, to become somebody else")
    place.chmod(0o755)
    (place / "run").mkdir()
    os.chown(place / "run", 65534, 65534)
    shutil.copy(program("ekey-randomd"), place)

    def start(via):
        (place / "conf").write_text(CONFIG.format(place=place, via=via))
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        daemon = [str(place / "ekey-randomd"), "-c", str(place / "conf")]
        process = Process([*user, *daemon], place / "daemon.log")
        started.append(process)
        return process

    return start


def test_without_any_right_to_a_device_the_rest_runs(place, start_as_nobody):
    daemon = start_as_nobody("auto")
    wait_until((place / "run/control").exists, "the control socket is there")
    wait_until(lambda: "not published" in daemon.log(), "the device was tried")
    refusal = f"{place}/ekey-random: not published: CUSE makes devices directly below /dev only;"
    assert f"{refusal} and cannot make the file to mount over: Permission denied" in daemon.log()
    assert daemon.log().count("not published") == 1
    assert daemon.stop() == 0


def test_a_carrier_asked_for_by_name_is_waited_for(start_as_nobody):
    daemon = start_as_nobody("fuse")
    wait_until(lambda: "are tried again in" in daemon.log(), "all has been tried")
    assert "cannot make the file to mount over: Permission denied" in daemon.log()
    first, later, _ = daemon.log().partition("parts that could not be started are tried again in 1 s")
    assert later and first.count("not published") == 1
    assert daemon.stop() == 0


def test_makes_the_directory_of_its_control_socket(place, start_daemon):
    daemon = start_daemon(control=place / "run/control", wait=False)
    wait_until((place / "run/control").exists, "the control socket is there")
    assert (place / "run").stat().st_mode & 0o777 == 0o755
    assert daemon.running()
