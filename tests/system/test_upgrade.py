"""The program is replaced by one of another build while it runs, and that one takes over, or says why not."""

import os
import pathlib
import shutil
import signal

import pytest

import egd
from device_client import Client, read_one
from generations import kill, restart, succeed
from manager import Manager, needs_libsystemd
from processes import Process, core, mounted, program, wait_until
from test_handover import until_waiting

ABSENT = "unix:/nonexistent/key"
OURS = "ekey-randomd"
OTHER = "tests/other/ekey-randomd-"
LOST = ("ECONNABORTED", "ENOTCONN")


def install(build, at):
    """As a package manager does: it is another file, under the same name."""
    shutil.copy(program(build), f"{at}.new")
    os.replace(f"{at}.new", at)


@pytest.fixture
def start_build(start_daemon, place):
    """start_build(BUILD, ...) -> a daemon whose program is place/ekey-randomd, and may be replaced."""

    def start(build, **keys):
        install(build, place / OURS)
        return start_daemon(binary=place / OURS, **keys)

    return start


def runs(daemon, build):
    exe = pathlib.Path(f"/proc/{core(daemon.pid)}/exe")
    return exe.read_bytes() == pathlib.Path(program(build)).read_bytes()


def upgrade(start_sim, start_build, place, builds, how):
    """The daemon, of the second build now, with a key that the first had not; and who waited before."""
    daemon = start_build(builds[0], address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    install(builds[1], place / OURS)
    daemon.config.write_text(daemon.config.read_text().replace(ABSENT, start_sim().address))
    succeed(daemon, how)
    assert runs(daemon, builds[1])
    return daemon, reader


@pytest.mark.parametrize("how", [kill, restart])
@pytest.mark.parametrize("builds", [(OURS, OTHER + "daemon"), (OTHER + "daemon", OURS)], ids=["up", "down"])
def test_another_build_takes_over(start_sim, start_build, place, builds, how):
    daemon, reader = upgrade(start_sim, start_build, place, builds, how)
    assert len(reader.result()) == 16
    assert "ekey-randomd 0.1.0" in daemon.log() and "ekey-randomd 0.0.1" in daemon.log()
    assert "taken over by fuse; open files: 1, reads that wait: 1" in daemon.log()


@pytest.mark.parametrize("how", [kill, restart])
@pytest.mark.parametrize("builds", [(OURS, OTHER + "table"), (OTHER + "table", OURS)], ids=["up", "down"])
def test_another_table_is_not_taken_over_but_published_anew(start_sim, start_build, place, builds, how):
    daemon, reader = upgrade(start_sim, start_build, place, builds, how)
    assert reader.error() in LOST
    assert len(Client(read_one, daemon.device, 16).result()) == 16
    assert "not taken over, but published anew: it is of another version" in daemon.log()
    assert daemon.log().count("ekey-randomd 0.1.0: ") == 2
    assert len(mounted(daemon.device)) == 1
    succeed(daemon, how)
    assert "taken over by fuse" in daemon.log()


@pytest.mark.parametrize("how", [kill, restart])
@pytest.mark.parametrize("other", ["daemon", "ledger"])
def test_clients_go_on_with_another_build_or_are_closed(start_build, place, other, how):
    daemon = start_build(OURS, address=ABSENT)
    daemon.config.write_text(daemon.config.read_text() + egd.section(f"unix:{place}/egd"))
    succeed(daemon, restart)
    goes_on = other == "daemon"
    for build in OTHER + other, OURS:
        with egd.Client(place / "egd").say(egd.read(16)) as c:
            until_waiting(daemon, 1)
            install(build, place / OURS)
            succeed(daemon, how)
            assert runs(daemon, build)
            until_waiting(daemon, 1 if goes_on else 0)
            assert goes_on or c.hear_all() == b""
        until_waiting(daemon, 0)
    refused = "the connections of a former daemon are closed: what is known of them is of another version"
    assert daemon.log().count(refused) == (0 if goes_on else 2)


REFUSED = "our parent is of another version"


@pytest.mark.parametrize("builds", [(OURS, OTHER + "parent"), (OTHER + "parent", OURS)], ids=["up", "down"])
def test_a_parent_of_another_version_ends_with_its_daemon(start_build, place, builds):
    """Whoever started it starts both anew; nobody waits for ever, and nothing is left."""
    daemon = start_build(builds[0], address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    install(builds[1], place / OURS)
    kill(daemon)
    assert daemon.wait() == 76
    assert daemon.log().count(REFUSED) == 1
    assert reader.error() in LOST
    assert not mounted(daemon.device)
    assert daemon.device.name not in os.listdir(daemon.device.parent)


@needs_libsystemd
@pytest.mark.parametrize("builds", [(OURS, OTHER + "parent"), (OTHER + "parent", OURS)], ids=["up", "down"])
def test_what_the_service_manager_keeps_outlives_such_a_parent(start_sim, start_build, place, builds):
    manager = Manager(place / "notify")
    daemon = start_build(builds[0], address=ABSENT)
    daemon.stop()
    daemon.child = manager.start(daemon.argv, daemon.log_path)
    wait_until(daemon.ready, "the daemon serves")
    reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    install(builds[1], place / OURS)
    kill(daemon)
    assert daemon.wait() == 76
    daemon.config.write_text(daemon.config.read_text().replace(ABSENT, start_sim().address))
    daemon.child = manager.start(daemon.argv, daemon.log_path)
    assert len(reader.result()) == 16
    assert runs(daemon, builds[1])
    assert daemon.stop() == 0
    manager.close()


# ---- orders that come while there is no daemon, or one that has no ears yet ----

SLOW = """\
#!/bin/sh
kill -STOP $$
exec {} "$@"
"""


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def starting(start_build, place):
    """A daemon whose next one is stopped, with a reader who waits: it has been started, and no more."""
    daemon = start_build(OURS, address=ABSENT)
    daemon.reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    former = core(daemon.pid)
    shutil.copy(program(OURS), place / "ours")
    (place / "slow").write_text(SLOW.format(place / "ours"))
    (place / "slow").chmod(0o755)
    os.replace(place / "slow", place / OURS)
    os.kill(former, signal.SIGKILL)
    wait_until(lambda: core(daemon.pid) not in (None, former) and state(core(daemon.pid)) == "T", "it is stopped")
    return daemon


def order(daemon, number):
    """The parent has passed it on when nothing is left for it to read."""
    os.kill(daemon.pid, number)
    pending = pathlib.Path(f"/proc/{core(daemon.pid)}/status")
    bit = 1 << (number - 1)

    def passed_on():
        if not pending.exists():
            return True
        rows = dict(line.split(":", 1) for line in pending.read_text().splitlines())
        return int(rows["ShdPnd"], 16) & bit

    wait_until(passed_on, "the daemon has it before it")
    os.kill(core(daemon.pid), signal.SIGCONT)


def test_stop_is_heard_by_a_daemon_that_is_starting(starting):
    order(starting, signal.SIGTERM)
    assert starting.wait() == 0
    assert starting.reader.error() in LOST
    assert not mounted(starting.device)
    assert starting.device.name not in os.listdir(starting.device.parent)


def test_reload_is_heard_by_a_daemon_that_is_starting(starting):
    order(starting, signal.SIGHUP)
    wait_until(lambda: "SIGHUP: " in starting.log(), "it has reloaded")
    until_waiting(starting, 1)
    assert "ended by signal 1" not in starting.log()
    assert starting.stop() == 0


@pytest.fixture
def failing(start_daemon):
    """A daemon that cannot start, and is tried again after 1.6 s and more; with a reader who waits."""
    daemon = start_daemon(address=ABSENT)
    daemon.reader = Client(read_one, daemon.device, 16)
    until_waiting(daemon, 1)
    daemon.text = daemon.config.read_text()
    daemon.config.write_text("nonsense")
    kill(daemon)
    wait_until(lambda: daemon.log().count("another one tries") == 6, "it was tried")
    return daemon


def test_stop_between_two_daemons_leaves_nothing(failing):
    os.kill(failing.pid, signal.SIGTERM)
    assert failing.wait() == 0
    assert failing.reader.error() in LOST
    assert not mounted(failing.device)
    assert not [name for name in os.listdir(failing.device.parent) if failing.device.name in name
                and not name.endswith(".conf")]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_an_order_between_two_daemons_starts_one_at_once(failing, number):
    failing.config.write_text(failing.text)
    os.kill(failing.pid, number)
    wait_until(lambda: failing.log().count("taken over") == 1, "it is tried at once", timeout=2)
    until_waiting(failing, 1)
    assert failing.stop() == 0


# ---- the first process of a container ----


def zombies(parent):
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:  # it has gone meanwhile
            continue
        found += stat.rpartition(")")[2].split()[:2] == ["Z", str(parent)]
    return found


SECOND = "[source up]\ntype = egd\naddress = tcp:localhost:9\ntrusted = yes\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to make a namespace of processes")
def test_orphans_of_a_container_are_reaped(start_daemon, place, started):
    """Names are looked up by a child's child; so are keys reset."""
    house = start_daemon(address=ABSENT)
    house.config.write_text(house.config.read_text() + SECOND)
    assert house.stop() == 0
    first = Process(["unshare", "-p", "-f", "--kill-child", *house.argv], place / "first.log")
    started.append(first)
    wait_until(lambda: "Connection refused" in first.log(), "the name was looked up")
    wait_until(lambda: zombies(core(first.pid)) == 0, "nobody is left unreaped", timeout=2)
