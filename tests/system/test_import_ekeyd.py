"""ekeyctl import-ekeyd: Debian's own files, and what people make of them, in our words."""

import pathlib
import re

import pytest

from processes import program, run

CANNOT_READ, CANNOT_WRITE = 13, 16
DEBIANS = [pathlib.Path(path) for path in (
    "/etc/entropykey/ekeyd.conf", "/etc/default/ekeyd", "/etc/default/ekeyd-egd-linux")]

CONF = """\
TCPControlSocket "1234"
UnixControlSocket "/var/run/ekeyd.sock"
SetOutputToKernel(4)
EGDTCPSocket(8888, "0.0.0.0") -- for all
EGDTCPSocket(8889)
EGDUnixSocket("/run/entropy", "0660", "root", "users")
AddEntropyKey "/dev/ttyS1"
AddEntropyKeys "/var/run/entropykeys"
Frobnicate(1)
for i = 1, 3 do
Frobnicate(2)
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


def live(text):
    """The lines that are no comments."""
    return [line for line in text.splitlines() if line and not line.startswith(";")]


def check(place, text):
    """The daemon takes all of it, and ekey-feed the options."""
    path = place / "imported.conf"
    path.write_text(text)
    result = run(program("ekey-randomd"), "-n", "-c", str(path))
    assert result.returncode == 0, text + result.stdout
    for line in re.findall('^; EKEY_FEED_OPTIONS="(.*)"$', text, re.M):
        feed = run(program("ekey-feed"), "--check", "--timeout", "1s", *line.split())
        assert "ekey-feed: --" not in feed.stdout and "--help" not in feed.stdout, feed.stdout


def test_debians_files_become_a_good_configuration(place):
    missing = [str(path) for path in DEBIANS if not path.exists()]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (packages ekeyd, ekeyd-egd-linux)")
    before = [path.read_bytes() for path in DEBIANS]
    text = imported()
    check(place, text)
    assert "not understood" not in text and "unknown" not in text
    assert "[kernel]" in text and "address = usb" in text and "[device random]" in text
    assert [path.read_bytes() for path in DEBIANS] == before


def test_every_call_is_translated_or_named(place):
    conf = place / "ekeyd.conf"
    conf.write_text(CONF)
    text = imported(conf)
    check(place, text)
    for number, line in enumerate(CONF.splitlines()[:9], 1):
        assert f"; {conf}, line {number}: " in text, line
    assert "; address = tcp:0.0.0.0:8888" in text  # for whom, has to be said
    assert "\naddress = tcp:127.0.0.1:8889\n" in text
    assert "\naddress = unix:/run/entropy\nclass = direct\nmode = 0660\nowner = root:users\n" in text
    assert "\naddress = /dev/ttyS1\ncredit = 4\n" in text
    assert "\naddress = usb\ncredit = 4\n" in text
    assert "lines 10 to 11: not understood" in text
    assert "Frobnicate 1\n;   unknown, left out" in text


def test_a_call_without_its_arguments_is_named(place):
    conf = place / "ekeyd.conf"
    calls = ["TCPControlSocket", "UnixControlSocket", "Keyring", "Daemonise", "SetOutputToFile", "EGDTCPSocket",
             "EGDUnixSocket", "AddEntropyKey", "AddEntropyKeys"]
    others = ["SetOutputToKernel", "RemoveEntropyKey", "ListEntropyKeys", "StatEntropyKey", "Shutdown", "Bye"]
    conf.write_text("".join(f"{call}()\n" for call in calls + others))
    text = imported(conf)
    check(place, text)
    assert text.count("an argument is missing") == len(calls)
    conf.write_text("".join(f'{call}("1")\n' for call in calls))
    assert "an argument is missing" not in imported(conf)


def test_a_credit_that_comes_after_its_sources_is_theirs(place):
    conf = place / "ekeyd.conf"
    for call, credit in ("SetOutputToKernel(5)", 5), ("SetOutputToKernel()", 4):
        conf.write_text(f'AddEntropyKeys "/dev/entropykey"\n{call}\n')
        text = imported(conf)
        check(place, text)
        assert f"address = usb\ncredit = {credit}\n" in text


SOURCE = ["[source keys]", "type = ekey", "address = usb"]
DEVICE = ["[device random]", "path = /dev/ekey-random"]
SERIAL = "SIMULATEDKEY0001"


def listener(address, *more):
    return ["[listen egd-1]", f"address = {address}", "class = direct", *more]


def key(address):
    return ["[source key-1]", "type = ekey", f"address = {address}"]


# What ekeyd.conf says, and the lines of ours that are no comments, but for the device.
CALLS = {
    'AddEntropyKeys "/dev/entropykey"': SOURCE,
    # In comments of every kind.
    'AddEntropyKeys "/dev/entropykey"\n--[[ the old host\nEGDUnixSocket("/x", "0666")\n'
    'SetOutputToKernel(8)\nAddEntropyKey("/dev/ttyS1")\n]]\n': SOURCE,
    "--[==[\n]]\nEGDTCPSocket(9000)\n]==]\n--EGDTCPSocket(9001)\n": [],
    'EGDTCPSocket(8888 --[[, "127.0.0.1" ]])': listener("tcp:127.0.0.1:8888"),
    "if old then\nEGDTCPSocket(9000)\nend": [],
    # Addresses as LuaSocket takes them.
    'EGDTCPSocket "8888"': listener("tcp:127.0.0.1:8888"),
    "EGDTCPSocket(8888, nil)": listener("tcp:127.0.0.1:8888"),
    "EGDTCPSocket(8888, 'localhost')": listener("tcp:127.0.0.1:8888"),
    "EGDTCPSocket(8888, '::1')": listener("tcp:[::1]:8888"),
    "EGDTCPSocket(8888, '*')": [],  # for whom, has to be said
    "EGDTCPSocket(8888, '::')": [],
    "EGDTCPSocket(8888, 'fe80::1%none0')": [],
    "EGDTCPSocket(8888, 'a.example.org')": [],
    "EGDTCPSocket(0)EGDTCPSocket(70000)EGDTCPSocket(true)EGDTCPSocket()EGDTCPSocket(0x22b8)": [],
    "EGDTCPSocket(8888)\nEGDTCPSocket(8888)": listener("tcp:127.0.0.1:8888"),
    # Unix sockets and their modes.
    "EGDUnixSocket '/run/e'": listener("unix:/run/e", "mode = 0600"),
    "EGDUnixSocket[[/run/e]]": listener("unix:/run/e", "mode = 0600"),
    "EGDUnixSocket('/run/e', '0777')": listener("unix:/run/e", "mode = 0666"),
    "EGDUnixSocket('/run/e', 660, '', 'root')":
        listener("unix:/run/e", "mode = 0660", "owner = :root"),
    "EGDUnixSocket('/run/e', '0660', 'root')":
        listener("unix:/run/e", "mode = 0660", "owner = root"),
    "EGDUnixSocket('/run/e', '0660', 'root', 'no-group')EGDUnixSocket('/e', '1', 'no-user')": [],
    "EGDUnixSocket('/run/e', 'u+rw')EGDUnixSocket('e')EGDUnixSocket('/run/e ;x')": [],
    "EGDUnixSocket('/run/e', '0660', ' ', 'a b')": [],
    f"EGDUnixSocket('/{'e' * 180}')EGDUnixSocket('/run/{'é' * 60}')": [],
    # One source for each key.
    'AddEntropyKeys "/dev/entropykey"\nAddEntropyKey "/dev/ttyACM0"': SOURCE,
    'AddEntropyKey "/dev/ttyACM0"\nAddEntropyKeys "/dev/entropykey"': SOURCE,
    'AddEntropyKey "/dev/ttyACM0"\nAddEntropyKey "/dev/entropykey/abc"': SOURCE,
    'AddEntropyKey "/var/run/entropykeys/abc"': SOURCE,
    f'AddEntropyKey("/dev/ttyACM0", "{SERIAL}")': key(f"usb:{SERIAL}"),
    f'AddEntropyKey("/dev/ttyACM0", "{SERIAL}")\n'
    f'AddEntropyKey("/dev/entropykey/a", "{SERIAL}")': key(f"usb:{SERIAL}"),
    'AddEntropyKey("/dev/ttyACM0", "12")': SOURCE,
    f'AddEntropyKey("/dev/ttyS1", "{SERIAL}")': key("/dev/ttyS1"),
    'AddEntropyKey "/srv/key.sock"': key("unix:/srv/key.sock"),
    'AddEntropyKey "/dev/ttyS1"\nAddEntropyKey "/dev/ttyS1"': key("/dev/ttyS1"),
    'AddEntropyKey "ttyS1"': [],
    # What has no counterpart.
    'Keyring "/k"Keyring "/k\\n"Daemonise(false)TCPControlSocket(1)SetOutputToFile "/f"': [],
    'Print "x"MLPrint(1)KVPrint("a", 1)Bye()Shutdown()ListEntropyKeys()StatEntropyKey(1)'
    'RemoveEntropyKey(1)': [],
    f"Frobnicate('{'x' * 199}', '{'é' * 99}', '\x1b[2J', 4)\nFrobnicate '{'é' * 99}'": [],
    "#!/usr/sbin/ekeyd -f\n": [],
    "\ufeff-- begun on Windows\r\nAddEntropyKeys '/dev/entropykey'\r\n": SOURCE,
}


@pytest.mark.parametrize("conf", CALLS)
def test_a_configuration_becomes_one_that_the_daemon_takes(place, conf):
    path = place / "ekeyd.conf"
    path.write_bytes(conf.encode())
    text = imported(path)
    check(place, text)
    assert live(text) == CALLS[conf] + DEVICE, text


HINT = "serial number left out: "
ITSELF = "serial number left out: the key sends it"
FOUND = "every Entropy Key that is plugged in is found without its path"
UNIT = "`ekeyctl unit` prints what the service needs for it"
BYTES = "64 bytes a minute, and more when the kernel asks for them;"
# A call, and the beginnings of all that is said of it.
COMMENTS = {
    f'AddEntropyKey("/dev/ttyS1", "{SERIAL}")': [ITSELF],
    f'AddEntropyKey("/dev/ttyACM0", "{SERIAL}")': [],
    'AddEntropyKey("/dev/ttyS1")': [],
    'AddEntropyKey("/dev/ttyS1", "12")': [HINT],
    'AddEntropyKey("/dev/ttyACM0", "12")': [HINT, FOUND],
    'AddEntropyKeys "/dev/entropykey"\nAddEntropyKeys "/x"': [FOUND, "left out: address = usb, above, covers this key"],
    'SetOutputToKernel(7)': [BYTES, UNIT],
    'SetOutputToKernel(9)': [BYTES, UNIT, "each byte is credited with 7 bits"],
    'SetOutputToKernel()': [BYTES, UNIT],
    'SetOutputToFile "/f"': ["no counterpart: read the device when bytes are needed", "    head -c 1000000 /dev/ekey-random >/f"],
    'Keyring "/k"': ["copy it, since removing ekeyd deletes it:", "    install -m 0640 -g ekey-random /k "],
    "Daemonise(true)": ["no counterpart: the daemon stays in the foreground"],
    "TCPControlSocket(1)": ["no counterpart: use ekeyctl on this machine, which has no TCP"],
    'UnixControlSocket "/x"': ["the control socket is /run/ekey-random/control"],
    "Shutdown()": ["no counterpart: a command to a running ekeyd"],
    "EGDTCPSocket(8888)": [UNIT],
    "EGDUnixSocket '/run/e'": ["`ekeyctl unit` prints what the service needs for other directories"],
    "EGDUnixSocket()": ["left out: an argument is missing"],
}


@pytest.mark.parametrize("conf", COMMENTS)
def test_what_is_said_of_a_call_is_what_became_of_it(place, conf):
    path = place / "ekeyd.conf"
    path.write_text(conf)
    said = re.findall(r"^;   (.*)$", imported(path), re.M)
    assert len(said) == len(COMMENTS[conf]), said
    assert all(line.startswith(begin) for line, begin in zip(said, COMMENTS[conf])), said


def test_more_than_the_daemon_takes_is_left_off(place):
    conf = place / "ekeyd.conf.dpkg-old"
    conf.write_text("".join(f"EGDTCPSocket({port})\n" for port in range(9000, 9040)))
    text = imported(conf)
    check(place, text)
    assert text.count("\n[listen") == 16 and text.count("\n; [listen") == 24


def test_a_name_of_a_file_cannot_write_a_section(place):
    conf = place / "a\n[kernel]\n.conf"
    conf.write_text("Frobnicate(1)\nx = 1\n")
    text = imported(conf)
    check(place, text)
    assert live(text) == DEVICE


# What the shell's files say, and the options of ekey-feed.
TRUSTED = "--from tcp:127.0.0.1:8888 --trusted"
CLIENTS = {
    "START_EKEYD_EGD_LINUX=NO\nRETRYTIME=128\n": TRUSTED,
    "HOST=\nPORT=\n": TRUSTED,
    "HOST=192.0.2.1\n": "--from tcp:192.0.2.1:8888",
    "export HOST='127.0.0.1'; PORT=\"99\" # there\n": "--from tcp:127.0.0.1:99 --trusted",
    "HOST=127.0.0.1 PORT=99\nPORT=100\n": "--from tcp:127.0.0.1:100 --trusted",
    "HOST=::1\n": "--from tcp:[::1]:8888 --trusted",
    "HOST=2001:db8::1\nSHANNONS=8\n": "--from tcp:[2001:db8::1]:8888 --credit 8",
    "HOST=127.0.0.1\r\nSHANNONS=1\r\n": TRUSTED + " --credit 1",
    "DAEMON_HOST=127.0.0.1\n": TRUSTED,  # Fedora
    'HOST="localhost"\nRECONNECTINTERVAL=10\nBLOCKS=2\n':  # Gentoo
        "--from tcp:localhost:8888 --trusted",
    "HOST=$(hostname)\nPORT=99\n": "--from tcp:127.0.0.1:99 --trusted",
    "if true; then\nHOST=192.0.2.1\nfi\nBLOCKS=1\n": TRUSTED,
    "PORT=egd\n": None,
    "PORT=0\n": None,
    "SHANNONS=9\n": None,
    "SHANNONS='1 --trusted'\n": None,
    "HOST='a b'\n": None,
    "HOST='a\"b'\n": None,
    "HOST='a$b'\n": None,
    f"HOST={'a' * 199}\nPORT={'1' * 199}\n": None,
}


@pytest.mark.parametrize("default", CLIENTS)
def test_a_client_becomes_options_that_ekey_feed_takes(place, default):
    path = place / "ekeyd-egd-linux"
    path.write_bytes(default.encode())
    text = imported(path)
    check(place, text)
    assert re.findall('EKEY_FEED_OPTIONS="(.*)"', text) == [CLIENTS[default]] * (
        CLIENTS[default] is not None), text


def test_the_client_becomes_a_line_for_ekey_feed(place):
    default = place / "ekeyd-egd-linux"
    default.write_text(CLIENT)
    text = imported(default)
    assert 'EKEY_FEED_OPTIONS="--from tcp:keys.example.org:8888 --credit 5"' in text
    assert "add --trusted" in text
    assert "SPELL abracadabra\n;   unknown" in text
    options = text.split('"')[1].split()
    assert run(program("ekey-feed"), "--wait-seeded=1s", *options).returncode == 0


def test_a_file_that_is_not_there_is_said(place):
    result = run(program("ekeyctl"), "import-ekeyd", str(place / "ekeyd.conf"))
    assert result.returncode == CANNOT_READ and "No such file" in result.stdout


def test_a_full_disk_is_told(place):
    """Half a configuration is none."""
    path = place / "ekeyd.conf"
    path.write_text(CONF)
    command = f"{program('ekeyctl')} import-ekeyd {path} 2>&1 >/dev/full"
    result = run("sh", "-c", command)
    assert (result.returncode, result.stdout) == (
        CANNOT_WRITE, "ekeyctl: cannot write to standard output: No space left on device\n")


def test_what_is_no_file_is_called_so(place):
    result = run(program("ekeyctl"), "import-ekeyd", str(place))
    assert result.returncode == CANNOT_READ
    assert result.stdout == f"ekeyctl: {place}: not a regular file\n"
