"""ekeyctl unit: the drop-in has what the configuration needs, and no more."""

import os

import pytest

from processes import program, run

CAPABLE = "AmbientCapabilities={0}|CapabilityBoundingSet={0}|SystemCallFilter=capset"
ONLINE = "Wants=network-online.target|After=network-online.target"
IP = "RestrictAddressFamilies=AF_INET AF_INET6"
VSOCK = "RestrictAddressFamilies=AF_VSOCK"
CHOWN = "SystemCallFilter=@chown"
TLS = "psk = /etc/ekey-random/psk\n"
CANNOT_READ, USAGE = 13, 2


def listen(address, more=""):
    return f"[listen a]\naddress = {address}\n{more}"


def source(address, more="type = egd\n"):
    return f"[source a]\naddress = {address}\n{more}"


def device(more):
    return f"[device a]\npath = /dev/a\n{more}"


# The lines, in their order, for a configuration.
NEEDS = [
    ("", ""),
    ("[kernel]\n", ""),
    ("[kernel]\ncredit = yes\n", CAPABLE.format("CAP_SYS_ADMIN")),
    (device("via = cuse\n"), ""),
    (device("via = fuse\n"), "Wants=ekey-mount.socket|"
     "Environment=EKEY_MOUNT=/run/ekey-mount.socket"),
    (source("usb", "type = ekey\n"), ""),
    (source("/dev/ttyACM0", "type = ekey\n"), ""),
    (source("/dev/entropykey/a", "type = ekey\n"), ""),
    (source("/dev/ttyS0", "type = ekey\n"), "SupplementaryGroups=dialout|DeviceAllow=/dev/ttyS0 rw"),
    (source("tty:/dev/hvc0"), "DeviceAllow=/dev/hvc0 rw"),
    (source("/dev/hwrng", "type = raw\n"), "DeviceAllow=/dev/hwrng rw"
     "|ExecStartPre=+chgrp ekey-random /dev/hwrng|ExecStartPre=+chmod g+r /dev/hwrng"),
    (source("/run/rng.fifo", "type = raw\n"), ""),
    (source("unix:/run/egd"), ""),
    (source("xen"), "User=root|DeviceAllow=/dev/xen/xenbus rw|DeviceAllow=char-hvc rw"),
    (source("vsock:2:8888"), VSOCK),
    (source("tcp:127.0.0.1:8888"), f"{IP}|IPAddressAllow=localhost"),
    (source("tcp:localhost:8888"), f"{IP}|IPAddressAllow=localhost"),
    (source("tcp:[2001:db8::1]:8888"), f"{ONLINE}|{IP}|IPAddressAllow=2001:db8::1"),
    (source("tls:a.example:1, tls:b.example:1, tcp:192.0.2.1:1", f"type = egd\n{TLS}"),
     f"{ONLINE}|{IP}|IPAddressAllow=any|IPAddressAllow=192.0.2.1"),
    (listen("vsock:8888"), VSOCK),
    (listen("systemd:a"), ""),
    (listen("tcp:127.0.0.1:8888"), f"{IP}|IPAddressAllow=localhost"),
    (listen("tcp:0.0.0.0:8888", "allow = 192.0.2.0/24, 2001:db8::/32\nproxy-from = 198.51.100.1\n"),
     f"{ONLINE}|{IP}|IPAddressAllow=192.0.2.0/24 2001:db8::/32 198.51.100.1"),
    (listen("tls:[::]:889", TLS), f"{ONLINE}|{IP}|IPAddressAllow=any|{CAPABLE.format('CAP_NET_BIND_SERVICE')}"),
    ("[agent]\naddress = tcp:192.0.2.1:7777\nallow = 192.0.2.0/24\n", f"{ONLINE}|{IP}|IPAddressAllow=192.0.2.0/24"),
    (listen("unix:/run/ekey-random/egd"), ""),
    (listen("unix:/run/ekey-random/egd", "owner = :kvm\n"), f"SupplementaryGroups=kvm|{CHOWN}"),
    (listen("unix:/run/ekey-random/egd", "owner = ekey-random:kvm\n"), f"SupplementaryGroups=kvm|{CHOWN}"),
    (listen("unix:/run/ekey-random/egd", "owner = daemon\n"), f"{CAPABLE.format('CAP_CHOWN')}|{CHOWN}"),
    (listen("unix:/run/ekey-random/containers/egd"),
     "RuntimeDirectory=ekey-random/containers|RuntimeDirectoryPreserve=yes"),
    (listen("unix:/srv/egd/socket"), "ReadWritePaths=-/srv/egd"),
    ("[daemon]\ncontrol = /srv/control\n", "ReadWritePaths=-/srv"),
    (listen("unix:/socket"), "ReadWritePaths=-/"),
    (listen("xen:/run/xen"), "After=xen.service xencommons.service xenconsoled.service|"
     "ExecStartPre=+chgrp ekey-random /run/xen|ExecStartPre=+chmod g+rx /run/xen|" + CAPABLE.format("CAP_DAC_OVERRIDE")),
]


@pytest.fixture
def unit(place):
    def unit(config, *words):
        path = place / "conf"
        path.write_text(config)
        return run(program("ekeyctl"), "unit", "-c", str(path), *words)

    return unit


def lines(text):
    """Without comments, and without what this machine needs for each configuration."""
    text = text.partition("# this virtual machine")[0]
    return [line for line in text.splitlines() if "=" in line and line[0] != "#"]


@pytest.mark.parametrize("config, needed", NEEDS)
def test_lines_are_what_the_configuration_needs(unit, config, needed):
    result = unit(config)
    assert result.returncode == 0, result.stdout
    assert lines(result.stdout) == needed.split("|") * bool(needed)


def test_what_several_parts_need_is_there_once(unit):
    both = source("tcp:192.0.2.1:8001, tcp:192.0.2.1:8002") + listen("tcp:127.0.0.1:8888")
    printed = lines(unit(both).stdout)
    assert len(printed) == len(set(printed)) == 5, printed


def test_nothing_that_is_needed_is_a_comment(unit, place):
    """On a machine that needs nothing for its clones."""
    if os.geteuid() != 0 or run("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/sys/bus").returncode != 0:
        pytest.skip("missing: root, or a namespace of our own")
    (place / "conf").write_text(device("via = cuse\n"))
    result = run("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/bus && exec "$0" unit -c conf',
                 program("ekeyctl"), cwd=place)
    assert (result.returncode, result.stdout) == (0, "# conf needs no drop-in of ekey-randomd.service.\n")


def test_a_configuration_that_is_not_good_prints_nothing(unit, place):
    result = unit("[listen a]\n")
    assert result.returncode == CANNOT_READ and f"{place}/conf:1: " in result.stdout
    assert lines(result.stdout) == []


def test_a_path_that_no_unit_file_can_have_is_named(unit):
    result = unit(listen('xen:/run/x"; true'))
    assert result.returncode == CANNOT_READ and "'/run/x\"; true'" in result.stdout
    assert lines(result.stdout) == []


@pytest.mark.parametrize("options, needed", [
    ("--from tcp:192.0.2.1:8888", 0),
    ("--from xen --once", 4),
    ("--xenstore-seed", 4),
    ("--from tty:/dev/ttyS0", 2),
])
def test_the_agents_options_are_looked_at(unit, options, needed):
    text = f'# --from xen\nEKEY_FEED_EARLY_OPTIONS="--from xen"\nEKEY_FEED_OPTIONS="{options}"\n'
    result = unit(text, "ekey-feed")
    assert result.returncode == 0 and len(lines(result.stdout)) == needed, result.stdout


def test_the_help_says_where_the_drop_in_goes():
    said = run(program("ekeyctl"), "--help").stdout
    assert "ekeyctl unit >/etc/systemd/system/ekey-randomd.service.d/ekey-random.conf && systemctl" in said


def test_other_units_are_refused(unit):
    assert unit("", "cron").returncode == USAGE
