"""make install puts everything where it belongs and takes nothing away that is the user's."""

import pathlib
import re

import pytest

from processes import BUILD, TOP, program, run

INSTALLED = {
    "usr/local/sbin/ekey-randomd",
    "usr/local/sbin/ekey-feed",
    "usr/local/sbin/ekey-tls",
    "usr/local/bin/ekeyctl",
    "usr/local/share/doc/ekey-random/ekey-random.conf",
    "usr/local/share/doc/ekey-random/CONTRIBUTING.md",
    "usr/local/share/doc/ekey-random/SECURITY.md",
    "usr/local/share/doc/ekey-random/device.md",
    "usr/local/share/doc/ekey-random/egd.md",
    "usr/local/share/doc/ekey-random/figures.md",
    "usr/local/share/doc/ekey-random/protocol.md",
    "usr/local/share/doc/ekey-random/testing.md",
    "usr/local/share/doc/ekey-random/README.md",
    "usr/local/share/doc/ekey-random/NEWS",
    "usr/local/share/doc/ekey-random/design.md",
    "usr/local/share/doc/ekey-random/entropy-key.md",
    "usr/local/share/doc/ekey-random/fleet.md",
    "usr/local/share/doc/ekey-random/examples/ekey-random.cdi.json",
    "usr/local/share/doc/ekey-random/examples/haproxy.cfg",
    "usr/local/share/doc/ekey-random/examples/keepalived.conf",
    "usr/local/share/doc/ekey-random/guests.md",
    "usr/local/share/doc/ekey-random/examples/xen-guest.cfg",
    "usr/local/share/doc/ekey-random/examples/libvirt-rng-egd.xml",
    "usr/local/share/doc/ekey-random/examples/libvirt-rng-random.xml",
    "usr/local/share/doc/ekey-random/examples/xen-hvm.cfg",
    "usr/local/share/man/man1/ekeyctl.1",
    "usr/local/share/man/man5/ekey-random.conf.5",
    "usr/local/share/man/man8/ekey-randomd.8",
    "usr/local/share/man/man8/ekey-feed.8",
    "usr/local/lib/systemd/system/ekey-randomd.service",
    "usr/local/lib/systemd/system/ekey-random-wait.service",
    "usr/local/lib/systemd/system/ekey-mount.socket",
    "usr/local/lib/systemd/system/ekey-mount@.service",
    "usr/local/lib/systemd/system/ekey-tls.service",
    "usr/local/lib/systemd/system/ekey-tls.socket",
    "usr/local/lib/systemd/system/ekey-feed.service",
    "usr/local/lib/systemd/system/ekey-feed-early.service",
    "usr/local/lib/udev/rules.d/60-ekey-random.rules",
    "usr/local/lib/sysusers.d/ekey-random.conf",
    "usr/local/lib/tmpfiles.d/ekey-random.conf",
    "etc/ekey-random/ekey-random.conf",
}
KEPT = "etc/ekey-random/ekey-random.conf"


@pytest.fixture
def make(place):
    def start(target, *words):
        argv = ["make", "-C", str(TOP), target, f"DESTDIR={place}", f"BUILD={BUILD}", *words]
        result = run(*argv)
        assert result.returncode == 0, result.stdout
        return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}

    return start


def test_installs_and_uninstalls(make, place):
    assert make("install") == INSTALLED
    (place / KEPT).write_text("mine")
    assert make("install") == INSTALLED
    assert (place / KEPT).read_text() == "mine"
    assert make("uninstall") == {KEPT}


def test_what_is_installed_names_what_is_installed(make, place):
    files = make("install", "PREFIX=/usr", "SYSCONF=/srv/etc")
    lib = place / "usr/lib"
    unit = (lib / "systemd/system/ekey-randomd.service").read_text()
    assert "ExecStart=/usr/sbin/ekey-randomd -c /srv/etc/ekey-random/ekey-random.conf\n" in unit
    assert {"usr/sbin/ekey-randomd", "srv/etc/ekey-random/ekey-random.conf"} <= files
    wait = (lib / "systemd/system/ekey-random-wait.service").read_text()
    assert "ExecStart=/usr/bin/ekeyctl wait-seeded" in wait and "usr/bin/ekeyctl" in files
    assert "z /srv/etc/ekey-random/keyring " in (lib / "tmpfiles.d/ekey-random.conf").read_text()
    for path in filter(pathlib.Path.is_file, lib.rglob("*ekey-random*")):
        assert not re.search(r"@\w+dir@", path.read_text()), path
        assert path.stat().st_mode & 0o777 == 0o644, path


def dead_links(pages):
    """Links to files that are not there, as (page, link)."""
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#]+)", page.read_text())]
    assert len(links) > 10
    return [(page.name, link) for page, link in links if "://" not in link and not (page.parent / link).is_file()]


def test_links_of_the_documents_work_in_the_source_and_where_they_are_installed(make, place):
    make("install")
    assert dead_links([TOP / "README.md", *(TOP / "doc").glob("*.md")]) == []
    assert dead_links((place / "usr/local/share/doc/ekey-random").glob("*.md")) == []


def test_example_configuration_is_good():
    example = TOP / "doc/ekey-random.conf"
    result = run(program("ekey-randomd"), "-n", "-c", str(example))
    assert result.returncode == 0 and f"{example} is good" in result.stdout, result.stdout


def test_uninstall_stops_before_the_files_go_and_reloads_when_they_are_gone():
    result = run("make", "-s", "-n", "-C", str(TOP), "uninstall", f"BUILD={BUILD}", "SYSCONF=/srv/etc")
    lines = result.stdout.splitlines()
    assert lines[0] == "udev/host.sh stop" and lines[-1] == "udev/host.sh uninstall /srv/etc", lines
