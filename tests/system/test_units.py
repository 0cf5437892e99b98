"""systemd and udev accept what is installed for them. How it works out: tests/rig."""

import os
import re
import shutil

import pytest

from processes import BUILD, TOP, program, run

RULES = TOP / "udev/60-ekey-random.rules"
UNITS = ("ekey-randomd.service", "ekey-tls.service", "ekey-tls.socket", "ekey-mount@.service", "ekey-mount.socket",
         "ekey-random-wait.service", "ekey-feed.service", "ekey-feed-early.service")

# What each drop-in is printed for.
NEEDS = {
    "credit": "[kernel]\ncredit = yes\n",
    "fuse": "[device a]\npath = /dev/a\nvia = fuse\n",
    "fuse_and_credit": "[device a]\npath = /dev/a\nvia = fuse\n[kernel]\ncredit = yes\n",
    "guests": "[listen a]\naddress = unix:/run/ekey-random/egd\nowner = root:root\n",
    "containers": "[listen a]\naddress = unix:/run/ekey-random/containers/egd\n",
    "elsewhere": "[listen a]\naddress = unix:/srv/egd/socket\n",
    "network": "[listen a]\naddress = tcp:[::]:888\nallow = 192.0.2.0/24, 2001:db8::/32\n"
               "[source b]\ntype = egd\naddress = tcp:keys.example.net:8888, vsock:2:8888, tty:/dev/ttyS0\n",
    "xen": "[listen a]\naddress = xen:/run/xen\n",
    "xen_source": "[source a]\ntype = egd\naddress = xen\n",
}


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
        path.write_text(re.sub("=([-@]?)/usr/local/", rf"=\1{place}/usr/local/", path.read_text()))
    return folder


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say_about_the_units(units, unit):
    result = run("systemd-analyze", "--man=no", "verify", str(units / unit))
    assert (result.returncode, result.stdout) == (0, "")


def verify_drop_in(units, unit, *words):
    result = run(program("ekeyctl"), "unit", *words)
    assert result.returncode == 0 and "=" in result.stdout, result.stdout
    folder = units / f"{unit}.d"
    folder.mkdir()
    (folder / "ekey-random.conf").write_text(result.stdout)
    result = run("systemd-analyze", "--man=no", "verify", str(units / unit))
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("need", NEEDS)
def test_systemd_has_nothing_to_say_about_the_drop_ins_that_are_printed(units, place, need):
    config = place / "conf"
    config.write_text(NEEDS[need])
    verify_drop_in(units, "ekey-randomd.service", "-c", config)


def test_systemd_has_nothing_to_say_about_the_drop_in_of_the_agent(units, place):
    options = place / "ekey-feed"
    options.write_text('EKEY_FEED_OPTIONS="--from xen --from tty:/dev/ttyS0"\n')
    verify_drop_in(units, "ekey-feed.service", "-c", options, "ekey-feed")


def test_units_and_drop_ins_are_no_more_exposed_than_they_must_be():
    if not shutil.which("systemd-analyze"):
        pytest.skip("missing: systemd-analyze (package systemd)")
    result = run("tests/tools/check_exposure.sh", str(BUILD), cwd=TOP)
    print(result.stdout)
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
