"""Whose rights the daemon has, started by root and by others, and what it leaves when it ends."""

import os
import pathlib
import shutil
import signal

import pytest

from house import NOBODY, House, as_root, stop
from memory import family, name
from processes import BUILD, mounted, run, wait_until

DEFAULT_USER, UID = "ekey-random", 60123
ALONE = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"']
STAYS = "the daemon stays root"

pytestmark = as_root


@pytest.fixture
def house(place):
    house = House(place)
    place.chmod(0o755)
    house.control = place / "run/control"
    yield house
    house.clear()


@pytest.fixture
def start(house):
    """The daemon on a machine that has the default user, or has not."""
    if run(*ALONE, "/etc/passwd", "true").returncode != 0:
        pytest.skip("missing: a root that is a mount point, for a namespace of our own (a chroot?)")

    def start(*sections, there=True, user=""):
        lines = [line for line in pathlib.Path("/etc/passwd").read_text().splitlines()
                 if not line.startswith(f"{DEFAULT_USER}:")]
        lines += [f"{DEFAULT_USER}:x:{UID}:{UID}::/:/usr/sbin/nologin"] * there
        passwd = house.path / "passwd"
        passwd.write_text("\n".join(lines) + "\n")
        house.write_config(*sections, user=user)
        daemon = house.start(*ALONE, passwd, BUILD / "ekey-randomd", "-c", house.config, log="daemon.log")
        wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
        return daemon

    return start


def rights(daemon):
    """The uids, and the sum of all its sets of capabilities that it can use; no_new_privs."""
    text = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    state = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    sets = [int(state[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")]
    return set(map(int, state["Uid"].split())), sum(sets), state["NoNewPrivs"]


def test_root_becomes_ekey_random_without_capabilities_and_leaves_nothing(house, start):
    daemon = start(f"[listen egd]\naddress = unix:{house.path}/run/egd\n")
    assert rights(daemon) == ({UID}, 0, "1")
    assert house.count(f"now user {DEFAULT_USER}") == 1 and house.count(STAYS) == 0
    assert sorted(os.listdir(house.control.parent)) == ["control", "egd"]
    stop(daemon)
    assert os.listdir(house.control.parent) == []


def test_root_stays_root_where_it_is_told_to_and_a_line_says_so(house, start):
    daemon = start(user="user = root\n")
    uids, _, no_new_privs = rights(daemon)
    assert (uids, no_new_privs) == ({0}, "1")
    assert house.count(f"user = root: {STAYS}") == 1


def test_root_stays_root_where_the_user_is_missing_and_a_line_says_so(house, start):
    daemon = start(there=False)
    assert rights(daemon)[0] == {0}
    assert house.count(f"there is no user {DEFAULT_USER}: {STAYS}") == 1


@pytest.mark.parametrize("user, uid", [("", UID), ("user = nobody\n", 65534)], ids=["default", "configured"])
def test_root_has_its_device_mounted_without_staying_root_and_leaves_nothing(house, start, user, uid):
    daemon = start(house.device_section(), user=user)
    assert rights(daemon) == ({uid}, 0, "1") and house.count(STAYS) == 0
    assert sorted(map(name, family(daemon.pid))) == ["ekey-mount", "ekey-randomd"]
    assert mounts(house, daemon)
    stop(daemon)
    assert left(house) == [] and house.count("cannot be removed") == 0


def test_a_device_that_a_reload_removes_from_roots_daemon_leaves_nothing(house, start):
    daemon = start(house.device_section())
    house.write_config(user="")
    house.reload(daemon)
    assert house.count("device random: stopped") == 1
    assert not mounts(house, daemon) and left(house) == [], house.log()


def mounts(house, daemon):
    """Whether the device is mounted where the daemon lives."""
    return f" {house.device} " in pathlib.Path(f"/proc/{daemon.pid}/mountinfo").read_text()


def left(house):
    return [path.name for path in house.path.iterdir() if "random" in path.name]


def test_capabilities_that_a_service_manager_gave_are_given_up(house):
    start_as_nobody(house, "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")
    assert rights(house.children[-1]) == ({65534}, 0, "1")


def start_as_nobody(house, *options):
    house.control = house.path / "control"
    house.write_config(user="")
    house.path.chmod(0o777)
    program = shutil.copy(BUILD / "ekey-randomd", house.path)
    daemon = house.start(*NOBODY, *options, program, "-c", house.config, log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    return daemon


def test_a_mount_that_a_reload_adds_without_root_needs_a_restart(house):
    """fusermount3 is set-uid, which has no effect any more."""
    daemon = start_as_nobody(house)
    house.write_config(house.device_section(), user="")
    house.reload(daemon)
    assert house.count("FUSE cannot be mounted here: fusermount3 failed; a device that a reload adds needs a restart")
    assert not mounted(house.device)


def test_the_process_with_the_daemons_name_is_the_one_to_signal(house):
    house.start_sim(rate=500)
    house.control = house.path / "control"
    house.write_config(house.source(), "[kernel]\ncredit = yes\n")
    daemon = house.start_daemon()
    wait_until(lambda: len(family(daemon.pid)) > 1, "it has a helper")
    named = lambda: [pid for pid in family(daemon.pid) if name(pid) == "ekey-randomd"]
    wait_until(lambda: named() == [daemon.pid], "one process has its name")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: house.count("SIGHUP: ") == 1, "it reloads")
    os.kill(daemon.pid, signal.SIGUSR2)
    wait_until(lambda: house.count("SIGUSR2: ignored: no service manager") == 1, "it stays")
    stop(daemon) and house.count("SIGTERM: stopping") == 1
