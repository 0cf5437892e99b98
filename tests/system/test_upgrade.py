"""The program is replaced by one of another build while it runs, which resumes the device or says why not."""

import os
import pathlib
import shutil

import pytest

from device_client import Client, read_one
from generations import kill, restart, succeed
from processes import mounted, program
from test_handover import until_blocked

ABSENT = "unix:/nonexistent/key"
OURS = "ekey-randomd"
OTHER = "tests/other/ekey-randomd-"
LOST = ("ECONNABORTED", "ENOTCONN")


def install(build, at):
    """As a package manager does: it is another file, under the same name."""
    shutil.copy(program(build), f"{at}.new")
    os.replace(f"{at}.new", at)


@pytest.fixture
def start_build(start_managed, place):
    """start_build(BUILD, ...) -> a daemon whose program is place/ekey-randomd, and may be replaced."""

    def start(build, **keys):
        install(build, place / OURS)
        return start_managed(binary=place / OURS, **keys)

    return start


def runs(daemon, build):
    exe = pathlib.Path(f"/proc/{daemon.pid}/exe")
    return exe.read_bytes() == pathlib.Path(program(build)).read_bytes()


def upgrade(start_sim, start_build, place, builds, how):
    """The daemon, of the second build now, with a key that the first had not; and who waited before."""
    daemon = start_build(builds[0], address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    install(builds[1], place / OURS)
    daemon.config.write_text(daemon.config.read_text().replace(ABSENT, start_sim().address))
    succeed(daemon, how)
    assert runs(daemon, builds[1])
    return daemon, reader


@pytest.mark.parametrize("how", [kill, restart])
@pytest.mark.parametrize("builds", [(OURS, OTHER + "daemon"), (OTHER + "daemon", OURS)], ids=["up", "down"])
def test_another_build_resumes_the_device(start_sim, start_build, place, builds, how):
    daemon, reader = upgrade(start_sim, start_build, place, builds, how)
    assert len(reader.result()) == 16
    assert "ekey-randomd 0.1.0" in daemon.log() and "ekey-randomd 0.0.1" in daemon.log()
    assert "resumed by fuse; open files: 1, blocked reads: 1" in daemon.log()


@pytest.mark.parametrize("how", [kill, restart])
@pytest.mark.parametrize("builds", [(OURS, OTHER + "table"), (OTHER + "table", OURS)], ids=["up", "down"])
def test_a_table_of_another_version_is_published_anew(start_sim, start_build, place, builds, how):
    daemon, reader = upgrade(start_sim, start_build, place, builds, how)
    assert reader.error() in LOST
    assert len(Client(read_one, daemon.device, 16).result()) == 16
    assert "saved state cannot be used: another version wrote it" in daemon.log()
    assert daemon.log().count("ekey-randomd 0.1.0: ") == 2
    assert len(mounted(daemon.device)) == 1
    succeed(daemon, how)
    assert "resumed by fuse" in daemon.log()
