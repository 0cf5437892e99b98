"""ekeyctl import-ekeyd: Debian's own files, and what people make of them, in our words."""

import pathlib

import pytest

from processes import program, run

CANNOT_READ = 13
DEBIANS = [pathlib.Path(path) for path in (
    "/etc/entropykey/ekeyd.conf", "/etc/default/ekeyd", "/etc/default/ekeyd-egd-linux")]

CONF = """\
TCPControlSocket "1234"
UnixControlSocket "/var/run/ekeyd.sock"
SetOutputToKernel(4)
EGDTCPSocket(8888, "0.0.0.0") -- for all
EGDTCPSocket(8889)
EGDUnixSocket("/run/entropy", "0660", "root", "users")
AddEntropyKey "/dev/entropykey/abc"
AddEntropyKeys "/var/run/entropykeys"
for i = 1, 3 do
Frobnicate(1)
"""
CLIENT = """\
START_EKEYD_EGD_LINUX=YES
HOST=keys.example.org
SHANNONS=5
BLOCKS=3
WATERMARK=1024
SPELL=abracadabra
"""


def imported(*paths):
    result = run(program("ekeyctl"), "import-ekeyd", *map(str, paths))
    assert result.returncode == 0, result.stdout
    return result.stdout


def check(place, text):
    """The daemon takes it."""
    path = place / "imported.conf"
    path.write_text(text)
    result = run(program("ekey-randomd"), "-n", "-c", str(path))
    assert result.returncode == 0, result.stdout


def test_debians_files_become_a_good_configuration(place):
    missing = [str(path) for path in DEBIANS if not path.exists()]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (packages ekeyd, ekeyd-egd-linux)")
    before = [path.read_bytes() for path in DEBIANS]
    text = imported()
    check(place, text)
    assert "not understood" not in text and "not known" not in text
    assert "[kernel]" in text and "address = usb" in text and "[device random]" in text
    assert [path.read_bytes() for path in DEBIANS] == before


def test_every_call_is_translated_or_named(place):
    conf = place / "ekeyd.conf"
    conf.write_text(CONF)
    text = imported(conf)
    check(place, text)
    for number, line in enumerate(CONF.splitlines(), 1):
        assert f"; {conf}, line {number}: " in text, line
    assert "; address = tcp:0.0.0.0:8888" in text  # for whom, has to be said
    assert "\naddress = tcp:127.0.0.1:8889\n" in text
    assert "\naddress = unix:/run/entropy\nclass = direct\nmode = 0660\nowner = root:users\n" in text
    assert "\naddress = /dev/entropykey/abc\ncredit = 4\n" in text
    assert "\naddress = usb\ncredit = 4\n" in text
    assert "line 9: not understood" in text
    assert "Frobnicate 1\n;   not known, and left out" in text


def test_a_credit_that_comes_after_its_sources_is_said(place):
    conf = place / "ekeyd.conf"
    conf.write_text('AddEntropyKeys "/dev/entropykey"\nSetOutputToKernel(5)\n')
    text = imported(conf)
    check(place, text)
    assert "in each [source] above say: credit = 5" in text


def test_the_client_becomes_a_line_for_ekey_feed(place):
    default = place / "ekeyd-egd-linux"
    default.write_text(CLIENT)
    text = imported(default)
    assert 'EKEY_FEED_OPTIONS="--from tcp:keys.example.org:8888 --credit 5"' in text
    assert "--trusted only where" in text
    assert "SPELL abracadabra\n;   not known" in text
    options = text.split('"')[1].split()
    assert run(program("ekey-feed"), "--wait-seeded=1s", *options).returncode == 0


def test_a_file_that_is_not_there_is_said(place):
    result = run(program("ekeyctl"), "import-ekeyd", str(place / "ekeyd.conf"))
    assert result.returncode == CANNOT_READ and "No such file" in result.stdout
