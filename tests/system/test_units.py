"""systemd and udev accept what is installed for them. How it works out: tests/rig."""

import os
import re
import shutil

import pytest

from processes import BUILD, TOP, run

RULES = TOP / "udev/60-ekey-random.rules"
UNITS = ("ekey-randomd.service", "ekey-tls.service", "ekey-tls.socket", "ekey-random-wait.service", "ekey-feed.service", "ekey-feed-early.service")
DROP_INS = {"xen-guest.conf": "ekey-feed.service", **dict.fromkeys(
    ("fuse.conf", "guests.conf", "kernel.conf", "network.conf", "xen.conf"), "ekey-randomd.service")}

# The exposure, in tenths, that systemd finds in the units: what CUSE, USB and netlink cost, for
# ekey-feed the network and one capability, early also becoming nobody; and some room for another
# systemd's opinion.
EXPOSURE_MAX = {"ekey-randomd.service": 15, "ekey-tls.service": 5, "ekey-random-wait.service": 10, "ekey-feed.service": 25,
                "ekey-feed-early.service": 40}


@pytest.fixture
def units(place):
    """The folder of the installed units, which name programs that are there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("missing: systemd-analyze (package systemd)")
    result = run("make", "-C", str(TOP), "install", f"DESTDIR={place}", f"BUILD={BUILD}")
    assert result.returncode == 0, result.stdout
    folder = place / "usr/local/lib/systemd/system"
    for unit in UNITS:
        path = folder / unit
        path.write_text(re.sub("=(-?)/usr/local/", rf"=\1{place}/usr/local/", path.read_text()))
    return folder


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say_about_the_units(units, unit):
    result = run("systemd-analyze", "--man=no", "verify", str(units / unit))
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("drop_in", DROP_INS)
def test_systemd_has_nothing_to_say_about_the_drop_ins(units, place, drop_in):
    unit = units / DROP_INS[drop_in]
    folder = units / f"{unit.name}.d"
    folder.mkdir()
    shutil.copy(place / "usr/local/share/doc/ekey-random" / drop_in, folder)
    result = run("systemd-analyze", "--man=no", "verify", str(unit))
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("unit", EXPOSURE_MAX)
def test_units_are_no_more_exposed_than_they_must_be(units, unit):
    limit = f"--threshold={EXPOSURE_MAX[unit]}"
    result = run("systemd-analyze", "security", "--offline=true", limit, str(units / unit))
    assert result.returncode == 0, result.stdout


def udev_complaints(rules):
    """What udev says of a file of rules, line by line."""
    if run("udevadm", "verify", "--version").returncode == 0:
        # Our group is not here, and some versions count that as a fault of the rules.
        lines = run("udevadm", "verify", "--resolve-names=never", str(rules)).stdout.splitlines()
    else:
        # Before 254 it only reads its own folders: ours takes the place of one, for itself alone.
        shell = f"mount --bind {rules.parent} /etc/udev/rules.d && udevadm test /devices/virtual/mem/null"
        lines = run("unshare", "--mount", "sh", "-c", shell).stdout.splitlines()
        if any("cannot change root filesystem propagation" in line for line in lines):
            pytest.skip("missing: a root that is a mount point, for a namespace of our own (a chroot?)")
        assert any(f"Reading rules file: /etc/udev/rules.d/{rules.name}" in line for line in lines), lines
    ours = (line for line in lines if f"{rules.name}:" in line)
    return [line for line in ours if "ekey-random', ignoring" not in line]  # no such group here


@pytest.fixture
def rules(place):
    if not shutil.which("udevadm") or os.geteuid() != 0:
        pytest.skip("missing: udevadm (package udev), or root")
    copy = place / RULES.name
    shutil.copy(RULES, copy)
    return copy


def test_udev_has_nothing_to_say_about_the_rules(rules):
    assert udev_complaints(rules) == []


@pytest.mark.parametrize("word, wrong", [("GROUP=", "GRUOP="), ('GOTO="ekey_random_usb"', 'GOTO="no"')])
def test_a_wrong_rule_would_be_seen(rules, word, wrong):
    rules.write_text(rules.read_text().replace(word, wrong, 1))
    assert udev_complaints(rules) != []


def test_rules_run_nothing():
    text = RULES.read_text()
    assert "RUN" not in text and "IMPORT{program}" not in text and "PROGRAM" not in text
