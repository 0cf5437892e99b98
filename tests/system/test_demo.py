"""What the first command of the README shows, and what it leaves behind: nothing."""

import os
import pathlib
import re
import shutil
import signal

import pytest

from processes import BUILD, PATIENCE_S, TOP, Process, mounted, run, wait_until

DEVICE = "/dev/ekey-random"
pytestmark = pytest.mark.xdist_group(DEVICE)  # there is one: not two of these at a time
PROGRAMS = ("ekey-randomd", "ekeyctl", "ekey-sim")


@pytest.fixture
def as_root(device):
    if os.geteuid() != 0:
        pytest.skip("root is missing")
    if pathlib.Path(DEVICE).name in os.listdir("/dev"):
        pytest.skip(f"{DEVICE} is in use on this machine")
    return [str(TOP / "tests/tools/demo.sh"), str(BUILD)]


@pytest.fixture
def as_user(place, device):
    """Somebody without privileges, with programs that he can get at."""
    if not shutil.which("fusermount3"):
        pytest.skip("fusermount3 is missing (package fuse3)")
    place.chmod(0o755)
    shutil.copy(TOP / "tests/tools/demo.sh", place)
    for name in PROGRAMS:
        shutil.copy(BUILD / name, place)
    home = place / "home"
    home.mkdir()
    command = ["env", f"XDG_RUNTIME_DIR={home}", str(place / "demo.sh"), str(place)]
    if os.geteuid() != 0:
        return command
    os.chown(home, 65534, 65534)
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]


def looks_right(output):
    bytes_shown = re.search(r"^ +000000( [0-9a-f]{2}){16}", output, re.M)
    return bytes_shown and "keyed" in output and "THE KEY IS SIMULATED" in output


@pytest.mark.parametrize("who", ["as_root", "as_user"])
def test_ends_by_itself_with_success(who, request):
    result = run(*request.getfixturevalue(who), "1", "")
    assert result.returncode == 0, result.stdout
    assert looks_right(result.stdout), result.stdout
    assert "stopped after 1 seconds" in result.stdout
    if who == "as_root":
        assert not mounted(DEVICE) and "ekey-random" not in os.listdir("/dev")


@pytest.mark.parametrize("who", ["as_root", "as_user"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cleans_up_when_stopped(who, number, request, place, started):
    demo = Process([*request.getfixturevalue(who), "", ""], place / "demo.log")
    started.append(demo)
    wait_until(lambda: "until Ctrl-C" in demo.log(), "the demonstration runs")
    assert looks_right(demo.log())
    assert demo.stop(number, PATIENCE_S) == 0
    if who == "as_root":
        assert not mounted(DEVICE) and "ekey-random" not in os.listdir("/dev")
    else:
        assert not os.listdir(place / "home")


def test_says_at_once_what_is_wrong_with_a_configuration(as_user, place):
    (place / "bad.conf").write_text("[nonsense]\n")
    result = run(*as_user, "3600", str(place / "bad.conf"))
    assert result.returncode != 0
    assert "bad.conf:1" in result.stdout
