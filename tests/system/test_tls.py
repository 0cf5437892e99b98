"""TLS 1.3 between us and others: openssl as a server, stunnel on either side, ourselves."""

import contextlib
import resource
import signal
import socket
import subprocess
import threading

import pytest

from certificates import Root, openssl
from conftest import Daemon, start
from processes import Process, program, run, wait_until
from stream import expected

KEY = "00112233445566778899aabbccddeeff" * 2
OTHER_KEY = "f" * 64
SEED = "tls"
PSK = "[listen tls]\naddress = tls:127.0.0.1:{port}\nclass = direct\npsk = {psk}\n"
CERT = "[listen tls]\naddress = tls:127.0.0.1:{port}\nclass = direct\ncert = {cert}\nkey = {key}\nca = {ca}\n"
UNIX = "[listen local]\naddress = unix:{place}/egd\nclass = direct\n"


class Host(Daemon):
    """The daemon with the key: it publishes no device, but listens."""

    def __init__(self, place, sim, *listens):
        place.mkdir()
        text = f"""\
[daemon]
keyring = {sim.keyring}
control = {place}/control
[pool]
size = 64KiB
[source key]
type = ekey
address = {sim.address}
"""
        super().__init__(place, text=text + "".join(listens))

    def ready(self):
        assert self.running(), f"ekey-randomd ended: {self.log()}"
        try:
            return self.status()
        except OSError:
            return False


def relay_config(place, device, port, *keys):
    """The daemon of another machine, whose only source is an EGD server."""
    return f"""\
[daemon]
keyring = {place}/no-keyring
control = {place}/control
[pool]
size = 8KiB
[source up]
type = egd
address = tls:127.0.0.1:{port}
""" + "".join(f"{key}\n" for key in keys) + f"[device random]\npath = {device}\nvia = fuse\n"


@pytest.fixture
def port():
    """One that nobody has, as far as can be known."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def psk(place):
    path = place / "psk"
    path.write_text(f"# guests\nalice:{KEY}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def sim(start_sim):
    return start_sim(seed=SEED)


def listens(port):
    def try_it():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    return try_it


def read_device(daemon, length):
    argv = ["dd", f"if={daemon.device}", f"bs={length}", "count=1", "iflag=fullblock", "status=none"]
    return run(*argv, text=False).stdout


def test_relay_delivers_the_keys_bytes_over_psk(place, device, sim, psk, port, started, start_daemon):
    start(started, Host(place / "host", sim, PSK.format(port=port, psk=psk)), True)
    relay = start_daemon(text=relay_config(place, device, port, f"psk = {psk}"))
    assert read_device(relay, 20000) == expected(SEED, 0, 20000)


def test_relay_delivers_the_keys_bytes_over_certificates(place, device, sim, port, started, start_daemon):
    root = Root(place)
    cert, key = root.issue("host", "IP:127.0.0.1")
    listen = CERT.format(port=port, cert=cert, key=key, ca=root.file)
    start(started, Host(place / "daemon", sim, listen), True)
    cert, key = root.issue("guest")
    keys = [f"ca = {root.file}", f"cert = {cert}", f"key = {key}"]
    relay = start_daemon(text=relay_config(place, device, port, *keys))
    assert read_device(relay, 4096) == expected(SEED, 0, 4096)


def may_have_files(count):
    """This process, and what it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.skip(f"missing: {count} open files (RLIMIT_NOFILE)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def test_a_thousand_clients_have_their_bytes_while_all_are_connected(place, sim, port, started):
    may_have_files(4096)
    root = Root(place)
    cert, key = root.issue("host", "IP:127.0.0.1")
    listen = f"[listen tls]\naddress = tls:127.0.0.1:{port}\ncert = {cert}\nkey = {key}\nmax-clients = 1400\n"
    start(started, Host(place / "daemon", sim, listen), True)
    context, clients = root.context(), contextlib.ExitStack()
    with clients:
        connected = []
        for _ in range(1000):
            plain = socket.create_connection(("127.0.0.1", port), 20)
            connected.append(clients.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1")))
        for client in connected:
            client.sendall(b"\x02\x08")
        assert len({client.recv(8) for client in connected}) == 1000


def test_a_reload_that_names_another_directory_of_keys_has_them_read(place, sim, psk, port, started):
    """ekey-tls may not read it: another one starts."""
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    moved = elsewhere / "psk"
    moved.write_text(f"alice:{KEY}\n")
    moved.chmod(0o600)
    host = start(started, Host(place / "host", sim, PSK.format(port=port, psk=psk)), True)
    host.config.write_text(host.config.read_text().replace(f"psk = {psk}", f"psk = {moved}"))
    host.child.send_signal(signal.SIGHUP)
    wait_until(lambda: "are in force" in host.log(), "it has reloaded")
    assert host.log().count("ekey-tls is restarted: keys are in another directory") == 1
    result = run(str(program("ekey-feed")), "--check", "--from", f"tls:127.0.0.1:{port}", "--psk", str(psk))
    assert result.returncode == 0, result.stdout


def test_a_large_rsa_key_is_warned_of(place, sim, port, started):
    cert, key = place / "rsa.pem", place / "rsa.key"
    openssl("req", "-x509", "-newkey", "rsa:3072", "-noenc", "-subj", "/CN=host", "-days", 2,
            "-keyout", key, "-out", cert)
    listen = f"[listen tls]\naddress = tls:127.0.0.1:{port}\ncert = {cert}\nkey = {key}\n"
    host = start(started, Host(place / "host", sim, listen), True)
    assert f"listen tls: {key}: RSA with 3072 bits makes each handshake slow: prefer Ed25519 or P-256" in host.log()


def test_wrong_key_is_told_on_both_sides(place, device, sim, psk, port, started, start_daemon):
    wrong = place / "wrong"
    wrong.write_text(f"alice:{OTHER_KEY}\n")
    host = start(started, Host(place / "host", sim, PSK.format(port=port, psk=psk)), True)
    relay = start_daemon(text=relay_config(place, device, port, f"psk = {wrong}"))
    wait_until(lambda: f'"alice" with the key of {wrong}?' in relay.log(), "the client's line")
    wait_until(lambda: f'its key is not that of identity "alice" in {psk}' in host.log(), "the server's line")
    assert f"{wrong}: mode 0644 lets others read or change the key" in relay.log()
    # Mended while we run: the file is read anew with each try.
    wrong.write_text(f"alice:{KEY}\n")
    assert read_device(relay, 1024) == expected(SEED, 0, 1024)


def test_stunnel_client_is_served(place, sim, psk, port, started):
    start(started, Host(place / "host", sim, PSK.format(port=port, psk=psk)), True)
    config = place / "stunnel.conf"
    config.write_text(f"""\
foreground = yes
pid =
[egd]
client = yes
accept = {place}/stunnel
connect = 127.0.0.1:{port}
PSKsecrets = {psk}
PSKidentity = alice
""")
    psk.write_text(f"alice:{KEY}\n")  # stunnel knows no remarks
    stunnel = start(started, Process(["stunnel", str(config)], place / "stunnel.log"), False)
    wait_until(lambda: "Configuration successful" in stunnel.log(), "stunnel listens")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(f"{place}/stunnel")
        s.sendall(b"\x02\x40" * 4)
        got = b""
        while len(got) < 256:
            piece = s.recv(1024)
            assert piece, stunnel.log()
            got += piece
    assert got == expected(SEED, 0, 256)


def test_stunnel_server_is_an_upstream(place, device, sim, psk, port, started, start_daemon):
    start(started, Host(place / "host", sim, UNIX.format(place=place)), True)
    psk.write_text(f"alice:{KEY}\n")
    config = place / "stunnel.conf"
    config.write_text(f"""\
foreground = yes
pid =
[egd]
accept = 127.0.0.1:{port}
connect = {place}/egd
PSKsecrets = {psk}
ciphers = PSK
""")
    start(started, Process(["stunnel", str(config)], place / "stunnel.log"), False)
    wait_until(listens(port), "stunnel listens")
    relay = start_daemon(text=relay_config(place, device, port, f"psk = {psk}"))
    assert read_device(relay, 4096) == expected(SEED, 0, 4096)


# How many bits there are; the server's process id, as text.
SIMPLE = {b"\x00": (65536).to_bytes(4, "big"), b"\x04": b"\x011"}


class SServer:
    """`openssl s_server` with an EGD server on its standard input and output."""

    def __init__(self, port, *options):
        argv = ["setpriv", "--pdeathsig", "KILL", "openssl", "s_server", "-quiet", "-nocert"]
        argv += ["-accept", f"127.0.0.1:{port}", *options]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """Answers until it ends."""
        served = 0
        while command := self.child.stdout.read(1):
            if command in SIMPLE:
                self.child.stdin.write(SIMPLE[command])
                continue
            assert command == b"\x02", command
            length = self.child.stdout.read(1)[0]
            self.child.stdin.write(expected(SEED, served, length))
            served += length

    def end(self):
        self.child.kill()
        self.child.wait(20)


def test_openssl_s_server_is_an_upstream(place, device, psk, port, start_daemon):
    peer = SServer(port, "-psk", KEY, "-psk_identity", "alice", "-tls1_3")
    try:
        relay = start_daemon(text=relay_config(place, device, port, f"psk = {psk}"))
        assert read_device(relay, 2048) == expected(SEED, 0, 2048)
        peer.end()
        # As the kernel ends it: with a reset where it had not read all of ours.
        cut = ("source up: cut off: it ended without close_notify", "source up: Connection reset")
        wait_until(lambda: any(end in relay.log() for end in cut), "its end is told")
    finally:
        peer.end()


def test_server_without_tls_1_3_is_refused(place, device, psk, port, start_daemon):
    peer = SServer(port, "-psk", KEY, "-psk_identity", "alice", "-tls1_2")
    try:
        relay = start_daemon(text=relay_config(place, device, port, f"psk = {psk}"))
        wait_until(lambda: "it does not speak TLS 1.3" in relay.log(), "it is told")
    finally:
        peer.end()
