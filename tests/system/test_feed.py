"""ekey-feed: asks real servers and bad ones, says how it goes, and needs no privilege to mix."""

import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import termios
import threading
import time

import pytest

from certificates import Root
from house import House, as_root
from memory import family
from processes import PATIENCE_S, TOP, Process, free_port, program, run, wait_until
from relay import start_with_key

CAP_SYS_ADMIN = 1 << 21
OK, UPSTREAM, USAGE, KERNEL, STALE, NO_STATUS, NO_SEED, TIMED_OUT, REFUSED = range(9)
PSK = "guest:" + "5a" * 32 + "\n"
OTHER_PSK = "guest:" + "a5" * 32 + "\n"

# Without credit it is for everybody; what credit does is shown in guests (tests/rig/test_pool.py).
MIX = ["--credit", "0"]


def feed(*words, **options):
    return run(program("ekey-feed"), *words, **options)


def feed_once(*addresses, more=()):
    froms = [word for address in addresses for word in ("--from", address)]
    return feed("--once", *MIX, "--timeout", "2s", *froms, *more)


@pytest.fixture
def house(place):
    house = House(place)
    yield house
    house.clear()


@pytest.fixture
def server(house):
    """A daemon with a key; its address."""
    address = f"unix:{house.path}/egd"
    start_with_key(house, address)
    return address


class Stub:
    """A server that does as it is told: `behave(connection)` for each that comes."""

    def __init__(self, path, behave):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.bind(str(path) if path else ("127.0.0.1", 0))
        self.socket.listen()
        self.kept = []
        self.address = f"unix:{path}" if path else f"tcp:127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, args=(behave,), daemon=True)
        self.thread.start()

    def serve(self, behave):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(connection)
            try:
                behave(connection)
            except OSError:
                pass  # the client has ended the connection

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(PATIENCE_S)


@pytest.fixture
def stub(place):
    stubs = []

    def start(behave, plain_tcp=False):
        stubs.append(Stub(None if plain_tcp else place / f"stub{len(stubs)}", behave))
        return stubs[-1].address

    yield start
    for one in stubs:
        one.close()


def test_one_feed_takes_as_many_bytes_as_it_says(house, server):
    result = feed_once(server, more=["--bytes", "100"])
    assert result.returncode == OK, result.stdout
    assert "with 100 bytes and a credit of 0 bits" in result.stdout
    rows = house.status()["listen egd"]
    assert (rows["delivered"], rows["requests"], rows["accepted"]) == ("100", "1", "1")


def test_the_next_server_is_asked_when_one_fails(house, server):
    result = feed_once(f"unix:{house.path}/nobody", server)
    assert result.returncode == OK
    assert f"{house.path}/nobody: No such file or directory" in result.stdout
    assert f"{server}: delivers" in result.stdout


@pytest.mark.parametrize("behave, why", [
    (lambda connection: None, "timed out"),
    (lambda connection: connection.close(), "reset|Broken pipe"),
    (lambda connection: (connection.recv(1), connection.sendall(b"sho"), connection.shutdown(socket.SHUT_WR)),
     "reset"),
], ids=["silent", "closes", "short"])
def test_a_bad_server_costs_one_line_and_the_time_that_was_given(stub, behave, why):
    address = stub(behave)
    began = time.monotonic()
    result = feed_once(address)
    assert result.returncode == UPSTREAM
    assert re.fullmatch(f"{address}: .*({why}).*\n", result.stdout), result.stdout
    assert time.monotonic() - began < 2 + PATIENCE_S


def test_a_check_takes_nothing(house, server):
    result = feed("--check", "--from", server)
    assert result.returncode == OK
    assert re.fullmatch(f"{server}: [0-9]+ bits\n", result.stdout), result.stdout
    rows = house.status()["listen egd"]
    assert (rows["delivered"], rows["requests"], rows["accepted"]) == ("0", "0", "1")


def test_a_check_fails_when_nobody_answers_in_time(house, stub, server):
    nobody, silent = f"unix:{house.path}/nobody", stub(lambda connection: None)
    words = ["--check", "--timeout", "1s", "--from", nobody, "--from", silent]
    result = feed(*words)
    assert result.returncode == UPSTREAM
    assert "No such file or directory" in result.stdout and "timed out" in result.stdout
    assert feed(*words, "--from", server).returncode == OK


def test_plain_tcp_says_why_there_is_no_credit(house):
    address = f"tcp:127.0.0.1:{free_port()}"
    start_with_key(house, address)
    result = feed("--once", "--from", address)
    assert result.returncode == OK
    assert f"{address}: its bytes get no credit, because plain TCP" in result.stdout and "--trusted" in result.stdout
    assert "a credit of 0 bits" in result.stdout
    assert "no credit" not in feed_once(address, more=["--trusted"]).stdout


def test_a_host_that_is_not_there(place):
    assert feed_once(f"tcp:127.0.0.1:{free_port()}").returncode == UPSTREAM
    result = feed_once("tcp:no-such-host.invalid:1")
    assert result.returncode == UPSTREAM and "no such host" in result.stdout


# ---- TLS ----


@pytest.fixture
def tls_server(house):
    """A daemon that speaks TLS with a pre-shared key; (its address, the key's file)."""
    psk = house.path / "psk"
    psk.write_text(PSK)
    psk.chmod(0o600)
    address = f"tls:127.0.0.1:{free_port()}"
    start_with_key(house, address, more=f"psk = {psk}")
    return address, psk


def test_over_tls_the_peer_is_known_by_a_key(house, tls_server):
    address, psk = tls_server
    result = feed_once(address, more=["--psk", psk])
    assert result.returncode == OK, result.stdout
    assert "plain TCP" not in result.stdout
    assert house.status()["listen egd"]["delivered"] == "64"


def test_over_tls_nothing_is_taken_from_who_has_another_key(house, tls_server):
    address, _ = tls_server
    other = house.path / "other"
    other.write_text(OTHER_PSK)
    other.chmod(0o600)
    result = feed_once(address, more=["--psk", other])
    assert result.returncode == UPSTREAM, result.stdout
    assert house.status()["listen egd"]["delivered"] == "0"


def test_over_tls_both_are_known_by_certificates(house):
    root = Root(house.path)
    cert, key = root.issue("keys", "IP:127.0.0.1")
    address = f"tls:127.0.0.1:{free_port()}"
    start_with_key(house, address, more=f"cert = {cert}\nkey = {key}\nca = {root.file}")
    guest, guest_key = root.issue("guest")
    result = feed_once(address, more=["--ca", root.file, "--cert", guest, "--key", guest_key])
    assert result.returncode == OK, result.stdout
    assert feed_once(address, more=["--ca", root.file]).returncode == UPSTREAM
    assert feed_once(address, more=["--ca", root.file, "--cert", guest, "--key", key]).returncode == USAGE


def test_tls_without_a_key_or_certificate_is_refused_at_once():
    result = feed_once("tls:localhost:1")
    assert result.returncode == USAGE and "--from tls:localhost:1: " in result.stdout


# ---- servers that are none ----

ENTROPY = bytes(range(255))  # varied enough for the health tests


def egd(recv, send, entropy=ENTROPY, level=4096, late_s=0, more=b""):
    """One conversation with a client of EGD."""
    while request := recv(1):
        time.sleep(late_s)
        if request == b"\0":
            send(level.to_bytes(4, "big"))
        elif request == b"\2":
            length = recv(1)[0]
            send(entropy[:length] + more)


def serve_egd(**how):
    return lambda connection: egd(connection.recv, connection.sendall, **how)


def says(*pieces, pause_s=0.05):
    """Another service: what it says when it is connected to, and then what it says to any byte."""

    def behave(connection):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        while connection.recv(64):
            connection.sendall(b"Invalid SSH identification string, or unknown command. " * 4)

    return behave


BANNERS = {
    "ssh": says(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
    "imap": says(b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE] Dovecot (Debian) ready.\r\n"),
    "in_pieces": says(b"* OK", b" [CAPABILITY IMAP4rev1] ready.\r\n", pause_s=0.15),
    "shell": says(),
}


@pytest.mark.parametrize("mode", ["--once", "--check"])
@pytest.mark.parametrize("banner", BANNERS)
def test_a_banner_or_an_error_message_is_no_entropy(stub, banner, mode):
    address = stub(BANNERS[banner])
    result = feed(mode, *MIX, "--timeout", "5s", "--from", address)
    assert result.returncode == REFUSED, result.stdout
    assert result.stdout.removeprefix("ekey-feed: ") == (
        f"{address}: it sent bytes that were not asked for: it is no EGD server, or its [listen] has greet\n")


def test_a_service_that_greets_late_is_no_server(stub):
    address = stub(lambda connection: (time.sleep(1), connection.sendall(b"220 mail.example.com ESMTP\r\n")))
    assert feed_once(address).returncode == REFUSED
    assert feed("--check", "--timeout", "2s", "--from", address).returncode == REFUSED


@pytest.mark.parametrize("mode", ["--once", "--check"])
def test_a_time_server_is_no_server(stub, mode):
    def rfc_868(connection):
        connection.recv(1)
        connection.sendall((4_000_000_000).to_bytes(4, "big"))
        connection.shutdown(socket.SHUT_RDWR)

    address = stub(rfc_868)
    result = feed(mode, *MIX, "--timeout", "5s", "--from", address)
    assert result.returncode == UPSTREAM, result.stdout
    assert result.stdout.removeprefix("ekey-feed: ") == (
        f"{address}: the connection ended after four bytes, where an EGD server keeps it open:"
        " is this a time server?\n")


def drip(connection):
    """Text, a byte at a time, that begins when it is asked."""
    connection.recv(1)
    for byte in b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 8:
        connection.sendall(bytes([byte]))
        time.sleep(0.25)


@pytest.mark.parametrize("mode", ["--once", "--check"])
def test_text_that_drips_is_no_entropy(stub, mode):
    assert feed(mode, *MIX, "--from", stub(drip)).returncode == REFUSED


def test_a_server_behind_one_that_is_none_is_asked(house, stub, server):
    result = feed_once(stub(BANNERS["ssh"]), server)
    assert result.returncode == OK and f"{server}: delivers" in result.stdout


def test_a_server_that_sends_more_than_was_asked_for_delivers_nothing(stub):
    result = feed_once(stub(serve_egd(more=b"?")))
    assert result.returncode == REFUSED and "not asked for" in result.stdout
    assert "fed the kernel" not in result.stdout


# Plain TCP: it is judged as what is credited, and not credited should it pass.
JUDGED = ["--credit", "7"]


def test_bytes_that_repeat_are_not_used(stub):
    stuck = stub(serve_egd(entropy=bytes(range(57)) + b"U" * 7), plain_tcp=True)
    one_too_often = stub(serve_egd(entropy=b"\1\2" * 26), plain_tcp=True)
    for address in (stuck, one_too_often):
        result = feed_once(address, more=[*JUDGED, "--bytes", "52" if address == one_too_often else "64"])
        assert result.returncode == REFUSED, result.stdout
        assert f"{address}: its bytes repeat too much" in result.stdout
        assert "fed the kernel" not in result.stdout


def test_health_is_judged_over_many_feeds(stub, place, started):
    """No feed alone has as many of one byte as the adaptive proportion test refuses."""
    address = stub(serve_egd(entropy=b"\0\1" * 9 + bytes(range(1, 47))), plain_tcp=True)
    argv = [program("ekey-feed"), "--from", address, *JUDGED, "--interval", "1s"]
    agent = Process(argv, place / "feed.log")
    started.append(agent)
    wait_until(lambda: "repeat too much" in agent.log(), "the test refuses")
    assert agent.log().index("delivers") < agent.log().index("repeat too much")
    agent.kill()


def test_a_server_far_away_has_its_time(stub):
    address = stub(serve_egd(late_s=1))
    result = feed("--once", *MIX, "--timeout", "10s", "--from", address)
    assert result.returncode == OK, result.stdout
    assert feed("--check", "--timeout", "10s", "--from", address).stdout == f"{address}: 4096 bits\n"


def test_an_empty_server_costs_the_time_that_was_given_and_the_next_one_is_asked(stub, server):
    empty = stub(serve_egd(entropy=b"", level=0))
    result = feed_once(empty, server)
    assert result.returncode == OK
    assert f"{empty}: Connection timed out" in result.stdout and f"{server}: delivers" in result.stdout


# ---- a serial line ----


class Line:
    """A pty; what is at its other end does `behave(recv, send)`."""

    def __init__(self, behave, before=b""):
        self.master, self.slave = pty.openpty()
        settings = termios.tcgetattr(self.slave)
        settings[3] &= ~termios.ECHO  # else the server hears itself, until we come
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        os.write(self.master, before)
        self.address = f"tty:{os.ttyname(self.slave)}"
        self.asked = b""
        self.thread = threading.Thread(target=self.serve, args=(behave,), daemon=True)
        self.thread.start()

    def recv(self, length):
        if self.closed:
            return b""
        data = os.read(self.master, length)
        self.asked += data
        return data

    def send(self, data):
        os.write(self.master, data)

    closed = False

    def serve(self, behave):
        try:
            behave(self.recv, self.send)
        except OSError:
            pass

    def close(self):
        self.closed = True
        os.write(self.slave, b"\0")
        self.thread.join(PATIENCE_S)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def line():
    lines = []

    def start(behave, **options):
        lines.append(Line(behave, **options))
        return lines[-1]

    yield start
    for one in lines:
        one.close()


def test_a_line_is_made_raw_and_what_came_before_is_thrown_away(line):
    end = line(lambda recv, send: egd(recv, send, entropy=b"\n\x03\x11\x13" * 16), before=b"stale\n" * 3)
    result = feed_once(end.address, more=["--timeout", "10s"])
    assert (result.returncode, end.asked) == (OK, b"\0\0\x02\x40"), result.stdout


def test_what_others_have_asked_for_on_a_line_is_not_taken_for_our_reply(line):
    def behave(recv, send):
        recv(1)
        send(b"\0\0\1\0" + b"stale" * 40)  # the reply to our question came behind another's
        send(b"\0\0\1\0")
        egd(recv, send)

    end = line(behave)
    result = feed_once(end.address, more=["--timeout", "10s"])
    assert (result.returncode, end.asked) == (OK, b"\0\0\0\x02\x40"), result.stdout


@pytest.mark.parametrize("mode", ["--once", "--check"])
def test_a_login_prompt_is_no_entropy(line, mode):
    def login(recv, send):
        send(b"\r\nDebian GNU/Linux 12 host ttyS0\r\n\r\nhost login: ")
        while recv(1):
            send(b"\r\nLogin incorrect\r\nDebian GNU/Linux 12 host ttyS0\r\n\r\nhost login: ")

    address = line(login).address
    result = feed(mode, *MIX, "--timeout", "3s", "--from", address)
    assert result.returncode == REFUSED, result.stdout
    assert "it is no EGD server" in result.stdout


def test_a_line_that_echoes_is_no_server(line):
    def echo(recv, send):
        while data := recv(64):
            send(data)

    result = feed_once(line(echo).address, more=["--timeout", "10s"])
    assert result.returncode == REFUSED, result.stdout


def test_a_line_at_which_nothing_answers_says_so(line):
    result = feed_once(line(lambda recv, send: recv(1)).address)
    assert result.returncode == UPSTREAM and "no answer" in result.stdout


# ---- figures ----


def prometheus_complaints(text):
    """What `promtool check metrics` would say (doc/egd.md 5), and what node_exporter would not take."""
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name = re.match(r"[a-z_]+", line)[0]
        kind = re.search(f"^# TYPE {name} (.*)$", text, re.M)
        if not kind or not re.search(f"^# HELP {name} .", text, re.M):
            found.append(f"{name}: no HELP or no TYPE")
        elif (kind[1] == "counter") != name.endswith("_total"):
            found.append(f"{name}: a {kind[1]}")
        if re.search("bits|_ms|milli", name):
            found.append(f"{name}: no base unit")
        if not re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"\n]*"\})? [0-9.]+', line):
            found.append(f"{line}: not a sample, or one with a time")
    return found


def figures(path):
    return dict(re.findall(r"^ekey_feed_(\w+)(?:{.*})? (.*)$", path.read_text(), re.M))


def test_figures_are_what_prometheus_wants(house, server):
    path = house.path / "feed.prom"
    assert feed_once(server, more=["--textfile", path]).returncode == OK
    assert prometheus_complaints(path.read_text()) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(house.path.glob("feed.prom*")) == [path]
    assert figures(path)["fed_bytes_total"] == "64" and figures(path)["credited_bytes_total"] == "0"
    assert f'upstream_info{{address="{server}"}} 1' in path.read_text()
    if promtool := shutil.which("promtool"):
        result = run(promtool, "check", "metrics", stdin=open(path))
        assert result.returncode == 0, result.stdout


def test_status_says_how_old_the_last_feed_is(house, server):
    path = house.path / "feed.prom"
    assert feed("--status", "--textfile", path).returncode == NO_STATUS
    feed_once(server, more=["--textfile", path])
    result = feed("--status", "--textfile", path)
    assert result.returncode == OK
    assert re.search(r"last_feed +\d+ s ago", result.stdout) and server in result.stdout
    path.write_text(re.sub(r"(timestamp_seconds) \d{9}", r"\1 ", path.read_text()))
    assert feed("--status", "--textfile", path).returncode == STALE


def test_a_fifo_in_the_place_of_the_figures_holds_nobody(house, server):
    path = house.path / "feed.prom"
    os.mkfifo(f"{path}.new")
    assert feed_once(server, more=["--textfile", path]).returncode == OK
    assert stat.S_ISFIFO(os.stat(f"{path}.new").st_mode)
    path.unlink()
    os.mkfifo(path)
    assert feed("--status", "--textfile", path, timeout=10).returncode == STALE
    assert feed_once(server, more=["--textfile", path]).returncode == OK
    assert figures(path)["feeds_total"] == "1"


def test_a_figures_file_that_cannot_be_written_is_said_and_stops_nothing(house, server):
    result = feed_once(server, more=["--textfile", "/nonexistent/feed.prom"])
    assert result.returncode == OK and "/nonexistent/feed.prom: No such file" in result.stdout


# ---- for as long as it runs ----


def test_a_server_that_comes_back_is_asked_again(house, server, started):
    path = house.path / "feed.prom"
    argv = [program("ekey-feed"), "--from", server, *MIX, "--interval", "1s", "--textfile", str(path)]
    agent = Process(argv, house.path / "feed.log")
    started.append(agent)
    wait_until(lambda: path.exists() and int(figures(path)["feeds_total"]) >= 2, "it feeds")
    house.children[-1].kill()
    wait_until(lambda: int(figures(path)["failures_total"]) >= 2, "it fails")
    fed = int(figures(path)["feeds_total"])
    house.start_daemon()
    wait_until(lambda: int(figures(path)["feeds_total"]) > fed, "it feeds again")
    assert agent.log().count("delivers") == 2, agent.log()
    agent.kill()


def test_an_order_feeds_at_once(house, server, started):
    path = house.path / "feed.prom"
    argv = [program("ekey-feed"), "--from", server, *MIX, "--interval", "24h", "--textfile", str(path)]
    agent = Process(argv, house.path / "feed.log")
    started.append(agent)
    wait_until(lambda: path.exists() and figures(path)["feeds_total"] == "1", "it feeds")
    agent.child.send_signal(signal.SIGUSR1)
    wait_until(lambda: figures(path)["feeds_total"] == "2", "it feeds again")
    files = len(os.listdir(f"/proc/{agent.pid}/fd"))
    for feeds in "3", "4":
        agent.child.send_signal(signal.SIGUSR1)
        wait_until(lambda feeds=feeds: figures(path)["feeds_total"] == feeds, "it feeds again")
    assert len(os.listdir(f"/proc/{agent.pid}/fd")) == files
    agent.kill()


@as_root
def test_helper_has_one_capability_and_ends_with_the_agent(house, server, started):
    agent = Process([program("ekey-feed"), "--from", server, *MIX], house.path / "feed.log")
    started.append(agent)
    wait_until(lambda: "fed the kernel" in agent.log(), "it feeds")
    (helper,) = family(agent.pid)[1:]
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{helper}/status").read_text().splitlines())
    assert status["Name"] == "ekey-rng" and status["NoNewPrivs"] == "1"
    assert all(int(status[f"Cap{kind}"], 16) & ~CAP_SYS_ADMIN == 0 for kind in ("Inh", "Prm", "Eff"))
    written = pathlib.Path(f"/proc/{helper}/io").read_text()
    assert "wchar: 64\n" in written  # without credit it is written to /dev/random
    status = pathlib.Path(f"/proc/{agent.pid}/status").read_text()
    assert re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^CapPrm:\t0+$", status, re.M)
    agent.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{helper}"), "it ended too")


@pytest.mark.parametrize("words, named", [
    ([], "expected --from ADDRESS"), (["--from"], "'--from'"), (["--from", "egd"], "--from egd: "),
    (["--from", "unix:relative"], "--from unix:relative: "), (["--from", "vsock:x:1"], "--from vsock:x:1: "),
    (["--frobnicate"], "'--frobnicate'"), (["-x"], "'x'"), (["word"], "unexpected word 'word'"),
    (["--from", "unix:/x", "--bytes", "256"], "--bytes 256: must be 16..255"),
    (["--from", "unix:/x", "--credit", "9"], "--credit 9: must be 0..8"),
    (["--from", "unix:/x", "--interval", "60"], "--interval 60: expected a time such as 60s"),
    (9 * ["--from", "unix:/x"], "--from unix:/x: at most 8 --from options"),
])
def test_a_word_that_is_not_understood_is_named(words, named):
    result = feed(*words, stderr=subprocess.PIPE)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert named in result.stderr, result.stderr


@pytest.mark.parametrize("word", ["-h", "--help", "-V", "--version"])
def test_help_and_version_are_no_errors(word):
    result = feed(word, stderr=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout.startswith("ekey-feed 0" if word in ("-V", "--version") else "usage: ekey-feed ")


@pytest.mark.skipif(pathlib.Path("/dev/xen/xenbus").exists(), reason="this machine is a guest of Xen")
def test_a_machine_without_xen_has_no_seed():
    result = feed("--xenstore-seed", *MIX)
    assert result.returncode == NO_SEED, result.stdout
    assert "no seed: this is no guest of Xen: there is no /dev/xen/xenbus; ask a server: --from\n" in result.stdout


def test_wait_seeded_ends_at_once_on_a_machine_that_is_up():
    assert feed("--wait-seeded=5s").returncode == OK


# ---- small ----


def needed(path):
    listed = run("objdump", "-p", path).stdout
    return set(re.findall(r"NEEDED +(\S+)", listed))


def test_it_is_built_alone_and_without_openssl(place):
    build = place / "build"
    result = run("make", "-C", str(TOP), "ekey-feed", "TLS=0", f"BUILD={build}", "CI=1",
                 "CFLAGS=-O2 -std=gnu11", "packages=", timeout=200)
    assert result.returncode == 0, result.stdout
    assert needed(build / "ekey-feed") == {"libc.so.6"}
    result = run(str(build / "ekey-feed"), "--once", "--from", "tls:localhost:1")
    assert result.returncode == USAGE and "built without TLS" in result.stdout


def test_with_openssl_it_needs_nothing_else(place):
    libraries = needed(program("ekey-feed")) - {"libasan.so.8", "libubsan.so.1"}
    assert {re.sub(r"\.so.*", "", name) for name in libraries} <= {"libc", "libssl", "libcrypto"}
