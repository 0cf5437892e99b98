"""[kernel]: who has the privilege, and who has not; what credit does is shown in tests/rig."""

import os
import pathlib
import pwd
import shutil
import signal

import pytest

from house import NOBODY, House, as_root, stop
from processes import program, run, wait_until

KERNEL = "[kernel]\nbytes = 64\ninterval = 1s\n"
CREDIT = f"{KERNEL}credit = yes\n"
REFUSED = "RNDADDENTROPY is not permitted: credit = yes needs CAP_SYS_ADMIN"
CAP_SYS_ADMIN = 1 << 21


@pytest.fixture
def house(place):
    house = House(place)
    yield house
    house.clear()


def start(house, *more):
    house.start_sim(rate=500)
    house.write_config(house.source(), *more)
    return house.start_daemon()


def state(pid):
    """{"CapEff": "..."} of a process."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def helpers(daemon):
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            process = state(status.parent.name)
        except OSError:
            continue
        if process["Name"] == "ekey-rng" and int(process["PPid"]) == daemon.pid:
            found.append(int(status.parent.name))
    return found


def helper_of(daemon):
    """It has another name at first."""
    (helper,) = wait_until(lambda: helpers(daemon), "there is a helper")
    return helper


def row(house, key):
    return house.status()["kernel -"][key]


def assert_nothing_is_missing(house):
    pool = house.status()["pool -"]
    assert int(pool["in"]) == sum(int(pool[key]) for key in ("delivered", "lost", "held"))


def test_without_the_section_the_kernel_is_not_fed(house):
    daemon = start(house)
    assert helpers(daemon) == [] and "kernel -" not in house.status()


def test_without_credit_there_is_no_helper_and_no_privilege_is_used(house):
    """By every user: /dev/random takes writes from all."""
    daemon = start(house, KERNEL)
    wait_until(lambda: int(row(house, "feeds")) >= 2, "it fed twice")
    rows = house.status()["kernel -"]
    assert (rows["credit"], rows["credited_bits"], rows["failures"]) == ("not asked for", "0", "0")
    assert house.count("fed the random generator with 64 bytes and no credit") == 1
    assert helpers(daemon) == []
    assert_nothing_is_missing(house)


def skip_without_credit(house):
    if row(house, "credit") != "given":
        pytest.skip("missing: CAP_SYS_ADMIN in the first user namespace")


@as_root
def test_with_the_capability_the_kernel_is_credited_with_what_the_sources_deserve(house):
    start(house, CREDIT)
    wait_until(lambda: int(row(house, "feeds")) >= 2, "it fed twice")
    skip_without_credit(house)
    assert house.count("fed the random generator with 64 bytes and a credit of 448 bits") == 1
    rows = house.status()["kernel -"]
    assert int(rows["credited_bits"]) == 7 * int(rows["delivered"]) == 448 * int(rows["feeds"])
    assert_nothing_is_missing(house)


@as_root
def test_without_the_capability_one_line_says_so_and_bytes_are_mixed(house):
    house.start_sim(rate=500)
    house.write_config(house.source(), CREDIT)
    daemon = house.start("setpriv", "--bounding-set", "-sys_admin", program("ekey-randomd"), "-c", house.config,
                         log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    wait_until(lambda: int(row(house, "feeds")) >= 2, "it mixed twice")
    rows = house.status()["kernel -"]
    assert (rows["credit"], rows["credited_bits"]) == ("none: CAP_SYS_ADMIN is missing", "0")
    assert rows["failures"] == "1" and house.count(REFUSED) == 1
    assert_nothing_is_missing(house)


def test_the_reserve_is_kept_beside_the_pool_for_the_kernel_alone(house):
    house.start_sim()
    house.write_config("reserve = 1KiB\n", house.source(), KERNEL)
    house.start_daemon()
    pool = lambda: house.status()["pool -"]
    wait_until(lambda: int(pool()["held"]) >= 65536 + 1024 - 256, "pool and reserve fill")
    assert pool()["size_bytes"] == "65536" and 1024 - 256 <= int(pool()["reserved_bytes"]) <= 1024


@as_root
@pytest.mark.parametrize("user", ["root", "daemon"])
def test_the_helper_is_the_configured_user_in_a_sandbox_and_has_one_capability(house, user):
    house.start_sim(rate=500)
    house.write_config(house.source(), CREDIT, user=f"user = {user}\n")
    daemon = house.start_daemon()
    helper = helper_of(daemon)
    wait_until(lambda: state(helper)["NoNewPrivs"] == "1", "it is confined")
    process = state(helper)
    assert process["Uid"].split() == [str(pwd.getpwnam(user).pw_uid)] * 4
    assert process["Gid"].split() == [str(pwd.getpwnam(user).pw_gid)] * 4
    assert int(process["CapPrm"], 16) & ~CAP_SYS_ADMIN == 0 and int(process["CapEff"], 16) & ~CAP_SYS_ADMIN == 0
    if b"asan" not in pathlib.Path(program("ekey-randomd")).read_bytes():  # no filter there
        wait_until(lambda: state(helper)["Seccomp"] == "2", "it has its filter")
    if user != "root":
        assert process["Groups"].split() == []


@as_root
def test_of_ambient_capabilities_the_helper_has_one_and_the_daemon_none(house):
    """As a service manager gives them, with more than are needed."""
    more = "+sys_admin,+dac_override,+syslog,+net_admin"
    house.start_sim(rate=500)
    house.keyring.chmod(0o644)
    house.key.chmod(0o666)
    house.write_config(house.source(), CREDIT, user="")
    house.path.chmod(0o777)
    program_here = shutil.copy(program("ekey-randomd"), house.path)
    daemon = house.start(*NOBODY, f"--inh-caps={more}", f"--ambient-caps={more}", program_here,
                         "-c", house.config, log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    helper = helper_of(daemon)
    sets = lambda pid: {kind: int(state(pid)[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")}
    wait_until(lambda: sets(helper) == {"Inh": 0, "Prm": CAP_SYS_ADMIN, "Eff": CAP_SYS_ADMIN, "Amb": 0},
               "the helper has one")
    assert sets(daemon.pid) == {"Inh": 0, "Prm": 0, "Eff": 0, "Amb": 0}


def test_signals_to_the_group_are_not_for_the_helper_and_it_ends_with_the_daemon(house):
    daemon = start(house, CREDIT)
    helper = helper_of(daemon)
    os.kill(helper, signal.SIGTERM)
    before = int(row(house, "feeds")) + int(row(house, "failures"))
    wait_until(lambda: int(row(house, "feeds")) + int(row(house, "failures")) > before, "it goes on")
    stop(daemon)
    wait_until(lambda: not pathlib.Path(f"/proc/{helper}").exists(), "it ended too")


def test_a_helper_that_was_killed_is_told_and_stops_nothing_else(house):
    daemon = start(house, CREDIT)
    helper = helper_of(daemon)
    wait_until(lambda: int(row(house, "feeds")) > 0, "it feeds")
    skip_without_credit(house)
    os.kill(helper, signal.SIGKILL)
    wait_until(lambda: row(house, "credit") == "none: its process has ended", "it is told")
    assert house.count("the process ekey-rng has ended: restart the daemon; mixing without credit") == 1
    before = int(row(house, "feeds"))
    wait_until(lambda: int(row(house, "feeds")) > before, "it goes on")
    house.wait_state("keyed")
    assert daemon.poll() is None


def test_a_reload_changes_stops_and_begins_it_but_for_credit(house):
    daemon = start(house, CREDIT)
    house.write_config(house.source(), "[kernel]\nbytes = 32\ninterval = 2s\ncredit = yes\n")
    house.reload(daemon)
    assert (row(house, "bytes"), row(house, "interval_ms")) == ("32", "2000")
    assert helpers(daemon) != []
    house.write_config(house.source())
    house.reload(daemon)
    assert "kernel -" not in house.status()
    wait_until(lambda: not [k for k in helpers(daemon) if state(k)["State"][0] != "Z"], "it ended")
    house.write_config(house.source(), CREDIT)
    house.reload(daemon)
    assert row(house, "credit") == "none: needs a restart of the daemon"
    assert house.count("[kernel] credit = yes needs a restart: ") == 1
    wait_until(lambda: int(row(house, "feeds")) > 0, "it mixes meanwhile")
    house.write_config(house.source(), KERNEL)
    house.reload(daemon)
    assert row(house, "credit") == "not asked for"


@pytest.mark.parametrize("line", ["bytes = 15", "bytes = 257", "interval = 60", "interval = 999ms", "credit = 7"])
def test_measures_have_limits(house, line):
    house.write_config(house.source(), f"[kernel]\n{line}\n")
    result = run(program("ekey-randomd"), "-n", "-c", str(house.config))
    assert result.returncode == 1 and line in result.stdout
