"""TLS with openssl(1) or stunnel at the other end, by keys and by certificates."""

import re
import shutil
import subprocess

import pytest

import ekeyd
from certificates import Root
from egd import Client, read, row, section, wait_row
from house import SEED
from processes import PATIENCE_S, free_port, wait_until
from relay import ask_of, new_house
from stream import BLOCK, block, expected

NAME, KEY, OTHER_KEY = "guest-1", "5a" * 32, "a5" * 32
STUNNEL = "stunnel4"

STUNNEL_CONFIG = """\
foreground = yes
pid =
syslog = no
debug = notice
[egd]
client = {client}
accept = {accept}
connect = {connect}
sslVersion = TLSv1.3
{more}
"""

needs_stunnel = pytest.mark.skipif(
    not shutil.which(STUNNEL), reason="missing: stunnel4 (package stunnel4)"
)


@pytest.fixture
def houses(place):
    made = []
    yield lambda name: new_house(made, place, name)
    for house in reversed(made):
        house.clear()


@pytest.fixture
def root(place):
    return Root(place)


def secrets(folder, key=KEY, name=NAME):
    path = folder / f"psk-{name}-{key[:2]}"
    path.write_text(f"{name}:{key}\n")
    path.chmod(0o600)
    return path


def words(proof):
    """openssl(1)'s, of {name: value}."""
    return [word for name, value in proof.items() for word in (f"-{name}", str(value))]


def s_server(port, proof):
    return ["openssl", "s_server", "-quiet", "-tls1_3", "-accept", f"127.0.0.1:{port}",
            *filter(None, words(proof))]


def by_psk(key=KEY):
    return {"psk_identity": NAME, "psk": key}


def stunnel(house, client, accept, connect, *more):
    config = house.path / "stunnel.conf"
    config.write_text(STUNNEL_CONFIG.format(client="yes" if client else "no", accept=accept,
                                            connect=connect, more="\n".join(more)))
    house.start(STUNNEL, config, log="stunnel.log")
    log = house.path / "stunnel.log"
    wait_until(lambda: "Configuration successful" in log.read_text(), "stunnel listens")


# ---- our listener ----


@pytest.fixture
def serve(house):
    """Starts a key and a daemon that serves it over TLS; its port."""

    def start(rate=0, **keys):
        port = free_port()
        house.start_sim(rate=rate)
        house.write_config(house.source(), section(f"tls:127.0.0.1:{port}", **keys))
        house.start_daemon()
        return port

    return start


class SClient:
    """openssl s_client, connected or refused."""

    def __init__(self, house, port, proof, version="-tls1_3"):
        argv = ["openssl", "s_client", "-quiet", version, "-connect", f"127.0.0.1:{port}"]
        with open(house.path / "s_client.log", "ab") as log:
            self.process = subprocess.Popen(
                [*argv, *words(proof)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        house.children.append(self.process)

    def ask(self, *lengths):
        self.process.stdin.write(b"".join(map(read, lengths)))
        self.process.stdin.flush()
        return self.process.stdout.read(sum(lengths))

    def is_refused(self):
        """It ends in failure, having got nothing."""
        heard, _ = self.process.communicate(timeout=PATIENCE_S)
        return heard == b"" and self.process.returncode != 0


def test_s_client_gets_the_stream_by_a_shared_key(house, serve):
    port = serve(psk=secrets(house.path))
    client = SClient(house, port, by_psk())
    assert client.ask(32) == expected(SEED, 0, 32)
    assert client.ask(255, 1, 100) == expected(SEED, 32, 356)


def test_s_client_gets_the_stream_by_a_certificate(house, serve, root):
    cert, key = root.issue("keys", "IP:127.0.0.1")
    port = serve(cert=cert, key=key, ca=root.file)
    client_cert, client_key = root.issue("guest")
    proof = {"cert": client_cert, "key": client_key, "CAfile": root.file, "verify_ip": "127.0.0.1"}
    client = SClient(house, port, proof)
    assert client.ask(255, 255) == expected(SEED, 0, 510)


@pytest.mark.parametrize(
    "wrong, line",
    [({"psk": OTHER_KEY}, f'its key is not that of identity "{NAME}" in'),
     ({"psk_identity": "stranger"}, 'its identity "stranger" is not in')],
    ids=["key", "identity"],
)
def test_wrong_shared_key_is_refused_with_a_line_that_says_so(house, serve, wrong, line):
    port = serve(psk=secrets(house.path))
    assert SClient(house, port, {**by_psk(), **wrong}).is_refused()
    wait_row(house, "ended_start", 1)
    lines = [line for line in house.log().splitlines() if "listen egd: closed" in line]
    assert len(lines) == 1 and "127.0.0.1" in lines[0] and line in lines[0]
    assert row(house, "requests") == 0
    assert SClient(house, port, by_psk()).ask(16) == expected(SEED, 0, 16)


def test_client_without_our_roots_certificate_is_refused(house, serve, root):
    cert, key = root.issue("keys", "IP:127.0.0.1")
    port = serve(cert=cert, key=key, ca=root.file)
    stranger, stranger_key = Root(house.path, "elsewhere").issue("stranger")
    assert SClient(house, port, {}).is_refused()
    wait_row(house, "ended_start", 1)
    assert SClient(house, port, {"cert": stranger, "key": stranger_key}).is_refused()
    wait_row(house, "ended_start", 2)
    assert "certificate" in house.log()
    assert row(house, "requests") == 0


def test_older_tls_is_refused(house, serve):
    port = serve(psk=secrets(house.path))
    assert SClient(house, port, by_psk(), "-tls1_2").is_refused()
    wait_row(house, "ended_start", 1)


def stunnel_to(house, tls):
    """The port of a stunnel before ours, which is at `tls`."""
    port = free_port()
    stunnel(house, True, f"127.0.0.1:{port}", f"127.0.0.1:{tls}",
            f"PSKsecrets = {secrets(house.path)}", f"PSKidentity = {NAME}")
    return port


@needs_stunnel
def test_clients_behind_stunnel_get_their_replies_at_any_depth(house, serve):
    port = stunnel_to(house, serve(psk=secrets(house.path)))
    with Client(("127.0.0.1", port)) as c:
        assert c.ask(20) == expected(SEED, 0, 20)
        assert c.say(read(255) * 400).hear(102000) == expected(SEED, 20, 102000)
    wait_row(house, "ended_done", 1)


@needs_stunnel
def test_half_close_through_stunnel_is_answered_whole(house, serve):
    port = stunnel_to(house, serve(rate=100, psk=secrets(house.path)))
    with Client(("127.0.0.1", port)) as c:
        assert c.say(read(255) * 4).half_close().hear_all() == expected(SEED, 0, 1020)


# ---- our upstream ----


def wait_serves(house):
    wait_until(lambda: house.status()["source up"]["serves"] == "yes", "the upstream serves")


@pytest.fixture
def debian(houses):
    """ekeyd with a key, at a Unix socket."""
    if missing := ekeyd.missing():
        pytest.skip(f"{missing} is missing (package ekeyd)")
    up = houses("up")
    up.start_sim(rate=2000, listen=f"pty:{up.path}/key")
    daemon = ekeyd.Ekeyd(up.path, up.keyring, f'EGDUnixSocket "{up.path}/egd"')
    daemon.add(up.path / "key")
    yield up
    daemon.stop()


def are_blocks_of_the_key(got):
    """Each once; ekeyd's pool gives the newest first."""
    numbers = {block(SEED, number): number for number in range(20000)}
    found = [numbers[got[at : at + BLOCK]] for at in range(0, len(got), BLOCK)]
    return len(set(found)) == len(found) == len(got) // BLOCK


@needs_stunnel
@pytest.mark.parametrize("kind", ["psk", "certificates"])
def test_ekeyd_behind_stunnel_is_an_upstream(houses, debian, place, root, kind):
    down, port = houses("down"), free_port()
    if kind == "psk":
        theirs = [f"PSKsecrets = {secrets(place)}", "ciphers = PSK"]
        ours = [f"psk = {secrets(place)}"]
    else:
        cert, key = root.issue("keys", "IP:127.0.0.1")
        theirs = [f"cert = {cert}", f"key = {key}", f"CAfile = {root.file}", "verifyChain = yes",
                  "requireCert = yes"]
        cert, key = root.issue("relay")
        ours = [f"ca = {root.file}", f"cert = {cert}", f"key = {key}"]
    stunnel(debian, False, f"127.0.0.1:{port}", debian.path / "egd", *theirs)
    ask_of(down, f"tls:127.0.0.1:{port}", *ours)
    wait_serves(down)
    assert are_blocks_of_the_key(down.read(32000))
    rows = down.status()["source up"]
    assert (rows["use"], rows["violations"]) == ("pool", "0")


def test_upstream_behind_s_server_gives_the_stream_exactly(houses, place):
    up, down, port = houses("up"), houses("down"), free_port()
    up.start_sim()
    up.write_config(up.source(), section(f"unix:{up.path}/egd"))
    up.start_daemon()
    server = up.path / "s_server"
    server.write_text("#!/bin/sh\nexec " + " ".join(s_server(port, {"nocert": "", **by_psk()})))
    server.chmod(0o700)
    up.start("socat", f"UNIX-CONNECT:{up.path}/egd", f"EXEC:{server}", log="s_server.log")
    ask_of(down, f"tls:127.0.0.1:{port}", f"psk = {secrets(place)}")
    wait_serves(down)
    assert down.read(100000) == expected(SEED, 0, 100000)


@pytest.mark.parametrize("wrong", ["psk", "name", "root"])
def test_upstream_that_does_not_prove_itself_gives_us_nothing(houses, place, root, wrong):
    down, port = houses("down"), free_port()
    cert, key = root.issue("keys", "DNS:other.example" if wrong == "name" else "IP:127.0.0.1")
    if wrong == "psk":
        theirs, ours = {"nocert": "", **by_psk(OTHER_KEY)}, [f"psk = {secrets(place)}"]
    else:
        trusted = Root(place, "elsewhere") if wrong == "root" else root
        theirs, ours = {"cert": cert, "key": key}, [f"ca = {trusted.file}"]
    server = down.start(*s_server(port, theirs), log="s_server.log")
    ask_of(down, f"tls:127.0.0.1:{port}", *ours)
    said = {
        "psk": f'it refused the connection: .*: does it have identity "{NAME}" with the key of',
        "name": "its certificate is not for 127.0.0.1",
        "root": f"its certificate is not valid by the roots in {ours[0][5:]}: ",
    }[wrong]
    wait_until(lambda: re.search(f"source up: .*{said}", down.log()), "it says why")
    rows = down.status()["source up"]
    assert (rows["serves"], rows["requests"]) == ("no", "0")
    assert server.poll() is None
