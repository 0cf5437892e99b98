"""The mounter of a daemon that is not root: what it does, for whom, at which paths, and what it refuses."""

import ast
import errno
import os
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from house import NOBODY, House, as_root, stop
from processes import BUILD, PATIENCE_S, mounted, unmount, wait_until

LOCK, UNLOCK, CREATE, REMOVE, MOUNT, UNMOUNT = range(6)
DAEMON, STRANGER = 65534, 65533

if not os.path.exists("/dev/fuse"):
    pytest.skip("missing: /dev/fuse", allow_module_level=True)
pytestmark = as_root


ASK = """
import os, socket, struct, sys
if len(sys.argv) > 4:
    with open(sys.argv[4], "w") as lock:
        lock.write(f"{os.getpid()}\\n")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(struct.pack("=II256s", 1, int(sys.argv[2]), os.fsencode(sys.argv[3])))
answer, fds, _, _ = socket.recv_fds(s, 64, 1)
print((struct.unpack("=Iii", answer)[1], bool(fds)) if answer else (None, False))
"""


class Mounter:
    """The service manager's side: a helper for each connection, as root with one capability."""

    def __init__(self, house):
        self.house, self.helpers = house, []
        self.path = house.path / "mount.socket"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        program = ["setpriv", "--bounding-set", "-all,+sys_admin", "bash", "-c",
                   'exec -a ekey-mount "$0" "" "$1"', BUILD / "ekey-randomd", self.house.config]
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection, open(self.house.path / "mounter.log", "ab") as log:
                self.helpers.append(subprocess.Popen(list(map(str, program)), stdin=connection,
                                                     stdout=log, stderr=log))

    def log(self):
        return (self.house.path / "mounter.log").read_text()

    def ask(self, act, path, *lock, uid=DAEMON):
        """Its answer, 0 or -errno, or None when it has none; whether an fd came with it. By a process that
        signs the lock."""
        asked = subprocess.run(["setpriv", "--reuid", str(uid), "--clear-groups", "/usr/bin/python3", "-c", ASK,
                                self.path, str(act), path, *lock], stdout=subprocess.PIPE, timeout=PATIENCE_S)
        assert asked.returncode == 0, (self.log(), [helper.poll() for helper in self.helpers])
        return ast.literal_eval(asked.stdout.decode())

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()
        for helper in self.helpers:
            helper.wait(PATIENCE_S)


@pytest.fixture
def house(place):
    house = House(place)
    place.chmod(0o755)
    (place / "dev").mkdir(mode=0o755)
    (place / "run").mkdir()
    os.chown(place / "run", DAEMON, DAEMON)
    house.device, house.control = place / "dev/random", place / "run/control"
    house.write_config(house.device_section(), user="user = nobody\n")
    yield house
    house.clear()


@pytest.fixture
def mounter(house):
    mounter = Mounter(house)
    yield mounter
    mounter.close()
    unmount(house.device)


def start_as_nobody(house, mounter, *before):
    program = shutil.copy(BUILD / "ekey-randomd", house.path)
    daemon = house.start(*before, *NOBODY, "--no-new-privs", "env", f"EKEY_MOUNT={mounter.path}", program, "-c", house.config,
                         log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    return daemon


def files(house):
    return sorted(os.listdir(house.device.parent))


def test_a_daemon_without_rights_has_its_device_mounted_and_leaves_nothing(house, mounter):
    daemon = start_as_nobody(house, mounter)
    assert mounted(house.device) == ["fuse.ekey-random"], house.log() + mounter.log()
    assert house.status()["device random"]["via"] == "fuse"
    assert files(house) == [".random.lock", "random"] and os.stat(house.device.parent / ".random.lock").st_uid == 0
    stop(daemon)
    assert not mounted(house.device) and files(house) == []
    assert house.count("cannot be removed") == 0 and mounter.log() == ""


def test_a_killed_daemons_mount_is_cleared_by_the_next(house, mounter):
    daemon = start_as_nobody(house, mounter)
    daemon.kill()
    daemon.wait(PATIENCE_S)
    assert mounted(house.device) == ["fuse.ekey-random"]
    daemon = start_as_nobody(house, mounter)
    assert house.count("clearing the dead mount") == 1
    assert mounted(house.device) == ["fuse.ekey-random"]
    stop(daemon)
    assert files(house) == []


def test_a_mounter_that_refuses_or_is_not_there_costs_a_line(house, mounter):
    other = house.path / "other"
    other.write_text(house.config.read_text().replace("dev/random", "dev/more"))
    program = shutil.copy(BUILD / "ekey-randomd", house.path)
    refused = "more: not published: cannot make the file to mount over: Permission denied; see the log of ekey-mount"
    for at, line in (mounter.path, refused), (house.path, "more: cannot ask ekey-mount at "):
        daemon = house.start(*NOBODY, "env", f"EKEY_MOUNT={at}", program, "-c", other, log="daemon.log")
        wait_until(lambda: house.count(line) > 0, line)
        stop(daemon)
    assert files(house) == []


def test_a_device_that_a_reload_removes_leaves_nothing(house, mounter):
    daemon = start_as_nobody(house, mounter)
    house.write_config(user="user = nobody\n")
    house.reload(daemon)
    assert house.count("device random: stopped") == 1
    assert not mounted(house.device) and files(house) == [], house.log() + mounter.log()
    stop(daemon)


def test_a_directory_that_the_daemon_sees_read_only_is_no_hindrance(house, mounter):
    """As of a service with ProtectSystem=strict: what is mounted outside it sees, too."""
    folder = house.device.parent
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "folder", folder], check=True)
    try:
        subprocess.run(["mount", "--make-shared", folder], check=True)
        daemon = start_as_nobody(house, mounter, "unshare", "--mount", "--propagation", "unchanged", "sh", "-c",
                                 'mount --make-slave "$0" && mount -o remount,bind,ro "$0" && exec "$@"', folder)
        assert mounted(house.device) == ["fuse.ekey-random"], house.log() + mounter.log()
        assert files(house) == [".random.lock", "random"]
        stop(daemon)
        assert not mounted(house.device) and files(house) == []
        assert house.count("Read-only file system") == 0
    finally:
        unmount(house.device)
        unmount(folder)


def test_a_second_daemon_names_the_process_that_serves(house, mounter):
    first = start_as_nobody(house, mounter)
    house.config.write_text(house.config.read_text().replace("run/control", "run/second"))
    second = house.start(*NOBODY, "env", f"EKEY_MOUNT={mounter.path}", house.path / "ekey-randomd", "-c", house.config,
                         log="second.log")
    assert second.wait(PATIENCE_S) == 1
    assert f"process {first.pid} already serves it" in (house.path / "second.log").read_text()
    assert mounted(house.device) == ["fuse.ekey-random"]


def test_another_user_is_refused(house, mounter):
    for act in range(6):
        assert mounter.ask(act, house.device, uid=STRANGER) == (-errno.EPERM, False)
    assert f"uid {STRANGER} asked, but only the daemon's user nobody may" in mounter.log()
    assert files(house) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "{dev}/other", "{dev}/random/", "{dev}/../dev/random", ""])
def test_a_path_that_no_section_has_is_refused(house, mounter, path):
    path = path.format(dev=house.device.parent)
    for act in range(6):
        assert mounter.ask(act, path) == (-errno.EACCES, False)
    assert mounter.log().count(f"{path}: no [device] had this path when ekey-mount started") == 6
    assert files(house) == []


def test_only_the_holder_of_a_path_has_it_cleared_and_not_by_way_of_a_symbolic_link(house, mounter):
    folder, link = house.path / "run", house.path / "link"
    folder.chmod(0o777)
    link.symlink_to(folder)
    (folder / "old").touch(mode=0)
    lock, refused = folder / ".old.lock", (-errno.EACCES, False)
    assert mounter.ask(REMOVE, folder / "old") == refused
    assert mounter.ask(REMOVE, link / "old", lock) == refused
    assert mounter.ask(CREATE, folder / "new", folder / ".new.lock") == refused
    assert mounter.ask(REMOVE, folder / "old", lock) == (0, False)
    assert mounter.ask(UNLOCK, folder / "old", lock) == (0, False)
    assert sorted(os.listdir(folder)) == [".new.lock"]


def make(house, what):
    if what == "link":
        os.symlink("/etc/passwd", house.device)
    elif what == "second name":
        (house.device.parent / "first").touch(mode=0)
        os.link(house.device.parent / "first", house.device)
    elif what == "directory":
        house.device.mkdir(mode=0)
    else:
        house.device.write_text(what)
        house.device.chmod(0)


@pytest.mark.parametrize("what", ["precious", "link", "second name", "directory"])
def test_only_an_empty_file_of_its_own_is_mounted_over_or_removed(house, mounter, what):
    make(house, what)
    for act in CREATE, REMOVE, MOUNT, UNMOUNT:
        assert mounter.ask(act, house.device) == (-errno.EEXIST, False)
    assert os.path.lexists(house.device) and not mounted(house.device)


def test_a_mount_of_another_kind_is_left_alone(house, mounter):
    house.device.touch()
    subprocess.run(["mount", "--bind", "/etc/hostname", house.device], check=True)
    for act in CREATE, REMOVE, MOUNT, UNMOUNT:
        assert mounter.ask(act, house.device) == (-errno.EEXIST, False)
    assert mounted(house.device) != []


def test_a_configuration_that_others_can_write_gives_no_rights(house, mounter):
    house.config.chmod(0o664)
    assert mounter.ask(CREATE, house.device) == (-errno.EACCES, False)
    assert "must be a file that root alone can write: chown root, chmod go-w" in mounter.log()


def test_an_unknown_act_and_a_request_of_another_size_do_nothing(house, mounter):
    assert mounter.ask(99, house.device) == (-errno.EINVAL, False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(PATIENCE_S)
        s.connect(str(mounter.path))
        s.send(struct.pack("=II255s", 1, CREATE, os.fsencode(house.device)))
        assert s.recv(64) == b""
    assert files(house) == []
