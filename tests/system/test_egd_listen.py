"""[listen] sections: where clients come from, who may, and what a reload does to them."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

from certificates import Root
from egd import Client, read, row, section, wait_row
from house import SEED, as_root
from memory import family, name
from processes import BUILD, PATIENCE_S, free_port, run, wait_until
from stream import expected

CONFIG_IS_WRONG = 78  # sysexits.h


VMADDR_CID_LOCAL = 1  # vm_sockets.h; Python's socket has it from 3.12 on


@pytest.fixture
def serve(house):
    """Starts a key and a daemon with these sections."""

    def start(*sections, rate=0):
        house.start_sim(rate=rate)
        house.write_config(house.source(), *sections)
        return house.start_daemon()

    return start


def refuses_to_start(house, line):
    daemon = house.start(BUILD / "ekey-randomd", "-c", house.config, log="daemon.log")
    assert daemon.wait(PATIENCE_S) == CONFIG_IS_WRONG
    assert house.count(line) == 1, house.log()


def waits(house, line):
    """The daemon serves without the listener, and says why and when it is tried again."""
    daemon = house.start_daemon()
    assert line in house.log()
    assert "parts that could not be started are tried again in 1 s" in house.log()
    assert "waiting, next try in " in house.status()["listen egd"]["state"]
    return daemon


# ---- sockets ----


def test_unix_socket_has_its_mode_and_goes_with_the_daemon(house, serve):
    path = house.path / "egd"
    daemon = serve(section(f"unix:{path}", mode="0604"))
    assert path.stat().st_mode & 0o777 == 0o604
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE_S) == 0
    assert not path.exists()


@as_root
def test_unix_socket_has_its_owner(house, serve):
    path = house.path / "egd"
    serve(section(f"unix:{path}", owner="nobody:daemon", mode="0660"))
    assert (path.owner(), path.group()) == ("nobody", "daemon")


def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(house, serve):
    path = house.path / "egd"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    serve(section(f"unix:{path}"))
    with Client(path) as c:
        assert c.ask(8) == expected(SEED, 0, 8)
    house.control = house.path / "control2"
    house.write_config(section(f"unix:{path}"))
    waits(house, f"listen egd: unix:{path}: Address already in use: another process")


def test_a_port_in_use_is_waited_for_while_the_rest_is_served(house):
    house.start_sim()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        address = f"tcp:127.0.0.1:{port}"
        house.write_config(house.source(), house.device_section(), section(address))
        waits(house, f"listen egd: {address}: Address already in use: another process")
        assert house.read(8) == expected(SEED, 0, 8)
    wait_until(lambda: "clients" in house.status()["listen egd"], "it listens")
    with Client(("127.0.0.1", port)) as c:
        assert len(c.ask(8)) == 8
    assert house.status()["device random"]["delivered"] == "8"


def test_tcp_over_ipv6(serve):
    port = free_port()
    serve(section(f"tcp:[::1]:{port}"))
    with Client(("::1", port)) as c:
        assert c.ask(8) == expected(SEED, 0, 8)


def test_a_restart_finds_its_port_free(house, serve):
    port = free_port()
    daemon = serve(section(f"tcp:127.0.0.1:{port}"))
    client = Client(("127.0.0.1", port))
    assert len(client.ask(8)) == 8
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE_S) == 0
    house.start_daemon()
    with Client(("127.0.0.1", port)) as c:
        assert len(c.ask(8)) == 8


def test_vsock(house, serve):
    try:
        socket.socket(socket.AF_VSOCK).close()
    except OSError as error:
        pytest.skip(f"vsock is missing in this kernel: {error.strerror}")
    serve(section("vsock:18888"))
    assert row(house, "clients") == 0
    with socket.socket(socket.AF_VSOCK) as s:
        s.settimeout(2)
        try:
            s.connect((VMADDR_CID_LOCAL, 18888))
        except OSError as error:
            pytest.skip(f"vsock's loopback is missing in this kernel: {error}")
        s.sendall(read(8))
        assert s.recv(8) == expected(SEED, 0, 8)


# ---- who may ----


def test_only_allowed_networks_are_served(house, serve):
    port = free_port()
    serve(section(f"tcp:127.0.0.1:{port}", allow="127.0.1.0/24, ::1"))
    with Client(("127.0.0.1", port), source="127.0.1.7") as c:
        assert c.ask(8) == expected(SEED, 0, 8)
    with Client(("127.0.0.1", port), source="127.0.2.7") as c:
        assert c.hear_all() == b""
    assert row(house, "refused") == 1
    assert house.count("listen egd: refused 127.0.2.7:") == 1


def test_a_client_whose_network_a_reload_takes_away_is_refused(house, serve):
    port = free_port()
    daemon = serve(section(f"tcp:127.0.0.1:{port}", allow="127.0.0.0/8"))
    with Client(("127.0.0.1", port), source="127.0.2.7") as c:
        assert len(c.ask(8)) == 8
        house.write_config(house.source(), section(f"tcp:127.0.0.1:{port}", allow="127.0.1.0/24"))
        house.reload(daemon)
        assert c.hear_all() == b""
    with Client(("127.0.0.1", port), source="127.0.2.7") as c:
        assert c.hear_all() == b""
    with Client(("127.0.0.1", port), source="127.0.1.7") as c:
        assert len(c.ask(8)) == 8


def test_refusals_of_one_address_do_not_hide_those_of_another(house, serve):
    port = free_port()
    serve(section(f"tcp:127.0.0.1:{port}", allow="127.0.1.0/24"))
    for source in ["127.0.2.7"] * 50 + ["127.0.2.8"]:
        with Client(("127.0.0.1", port), source=source) as c:
            assert c.hear_all() == b""
    assert house.count("refused 127.0.2.7:") == house.count("refused 127.0.2.8:") == 1
    assert house.count("(49 such lines were suppressed before)") == 1


def test_a_listener_that_all_can_reach_needs_allow(house):
    house.write_config(section("tcp:0.0.0.0:8888"))
    refuses_to_start(house, "[listen egd]: other machines can reach it: restrict clients with allow")


HAPROXY = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend in
    bind 127.0.0.1:{front}
    default_backend keys
backend keys
    server a {back} {how}
"""


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2"])
def test_haproxy_in_front_does_not_hide_the_client(house, serve, how, kind):
    assert shutil.which("haproxy"), "haproxy is missing"
    front, back = free_port(), f"{house.path}/egd"
    if kind == "tcp":
        back, how = f"127.0.0.1:{free_port()}", f"{how} source 127.0.0.9"
    serve(section(f"{kind}:{back}", allow="127.0.0.1, 127.0.0.5",
                  proxy_from="127.0.0.9" if kind == "tcp" else os.geteuid()))
    (house.path / "haproxy.cfg").write_text(HAPROXY.format(front=front, back=back, how=how))
    house.start("haproxy", "-db", "-f", house.path / "haproxy.cfg", log="haproxy.log")
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", front)) == 0, "haproxy listens")
    with Client(("127.0.0.1", front), source="127.0.0.5") as c:
        assert c.ask(8) == expected(SEED, 0, 8)
    with Client(("127.0.0.1", front), source="127.0.0.6") as c:
        assert c.say(read(8)).hear_all() == b""
    wait_until(lambda: house.count("closed 127.0.0.6:"), "the line that names it")
    assert house.count("its address is not in allow") == 1


def test_a_proxy_header_of_a_stranger_has_its_own_line(house, serve):
    port = free_port()
    serve(section(f"tcp:127.0.0.1:{port}", proxy_from="127.0.0.9"))
    with Client(("127.0.0.1", port)) as c:
        c.say(b"PROXY TCP4 10.0.0.1 10.0.0.2 4000 8888\r\n" + read(8))
        assert c.hear_all() == b""
    assert house.count("it sent a PROXY header, and is not in proxy-from") == 1
    assert house.count("proxy-from has this machine, any user of which can claim any address") == 1


# ---- TLS ----

PSK = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"


class TlsClient:
    """openssl s_client, with the same verbs."""

    def __init__(self, port, *options):
        self.child = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-tls1_3", "-connect", f"127.0.0.1:{port}", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )

    def say(self, data):
        """Perhaps to nobody: openssl(1) ends as soon as it is refused."""
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(data)
            self.child.stdin.flush()
        return self

    def hear(self, length):
        return self.child.stdout.read(length)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate(timeout=PATIENCE_S)


def secret_file(path, text):
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_tls_with_a_pre_shared_key(house, serve):
    port = free_port()
    psk = secret_file(house.path / "psk", f"web1:{PSK}\n")
    serve(section(f"tls:127.0.0.1:{port}", psk=psk))
    with TlsClient(port, "-psk", PSK, "-psk_identity", "web1") as c:
        assert c.say(read(255) * 50).hear(255 * 50) == expected(SEED, 0, 255 * 50)
    with TlsClient(port, "-psk", PSK.replace("0", "1"), "-psk_identity", "web1") as c:
        assert c.say(read(8)).hear(8) == b""
    with Client(("127.0.0.1", port)) as c:
        assert not c.say(b"GET / HTTP/1.1\r\n\r\n").hear_all().startswith(b"HTTP")
    wait_row(house, "ended_start", 2)


def test_tls_with_certificates_of_both(house, serve):
    port = free_port()
    root = Root(house.path)
    cert, key = root.issue("server")
    serve(section(f"tls:127.0.0.1:{port}", cert=cert, key=key, ca=root.file))
    cert, key = root.issue("client")
    known = ["-cert", cert, "-key", key]
    with TlsClient(port, "-CAfile", root.file, "-verify_return_error", *known) as c:
        assert c.say(read(64)).hear(64) == expected(SEED, 0, 64)
    with TlsClient(port) as c:
        c.say(read(64))
        assert c.hear(64) == b""
    wait_row(house, "ended_start", 1)


def test_bad_keys_for_tls_name_the_file(house):
    house.write_config(section("tls:127.0.0.1:18889", psk=house.path / "absent"))
    waits(house, f"{house.path}/absent")


def test_reload_takes_new_keys_for_tls_and_leaves_connections(house, serve):
    port = free_port()
    psk = secret_file(house.path / "psk", f"web1:{PSK}\n")
    daemon = serve(section(f"tls:127.0.0.1:{port}", psk=psk))
    with TlsClient(port, "-psk", PSK, "-psk_identity", "web1") as old:
        assert len(old.say(read(8)).hear(8)) == 8
        psk.write_text(f"web1:{PSK}\nweb2:{PSK}\n")
        house.reload(daemon)
        assert len(old.say(read(8)).hear(8)) == 8
        with TlsClient(port, "-psk", PSK, "-psk_identity", "web2") as new:
            assert len(new.say(read(8)).hear(8)) == 8
        psk.write_text("nonsense\n")
        house.reload(daemon)
        assert house.count("listen egd: the previous keys stay in use") == 1
        assert len(old.say(read(8)).hear(8)) == 8


@pytest.mark.parametrize("left", [f"web2:{PSK}\n", f"web1:{PSK.replace('0', '1')}\nweb2:{PSK}\n"],
                         ids=["gone", "changed"])
def test_a_revoked_key_ends_its_open_connections_at_reload_and_no_others(house, serve, left):
    port = free_port()
    psk = secret_file(house.path / "psk", f"web1:{PSK}\nweb2:{PSK}\n")
    daemon = serve(section(f"tls:127.0.0.1:{port}", psk=psk))
    with (TlsClient(port, "-psk", PSK, "-psk_identity", "web1") as revoked,
          TlsClient(port, "-psk", PSK, "-psk_identity", "web2") as other):
        assert len(revoked.say(read(8)).hear(8)) == len(other.say(read(8)).hear(8)) == 8
        psk.write_text(left)
        house.reload(daemon)
        assert revoked.hear(1) == b""
        assert len(other.say(read(8)).hear(8)) == 8


# ---- ekey-tls ----


def has_ended(pid):
    """Reaped, or waiting for it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def tls_process(daemon):
    """The process id of the daemon's ekey-tls."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one ends meanwhile
        return next((pid for pid in family(daemon.pid) if name(pid) == "ekey-tls"), None)
    return None


@pytest.mark.parametrize("program, links", [("ekey-randomd", False), ("ekey-tls", True)])
def test_of_the_daemon_and_ekey_tls_only_the_latter_has_the_library_of_tls(program, links):
    assert ("libssl" in run("ldd", str(BUILD / program)).stdout) == links


def test_without_tls_in_the_configuration_there_is_no_ekey_tls(house, serve):
    daemon = serve(section(f"unix:{house.path}/egd"))
    assert tls_process(daemon) is None
    assert "tls -" not in house.status()


def test_a_killed_ekey_tls_comes_back_and_others_are_served_meanwhile(house, serve):
    port = free_port()
    psk = secret_file(house.path / "psk", f"web1:{PSK}\n")
    daemon = serve(section(f"tls:127.0.0.1:{port}", psk=psk), section(f"unix:{house.path}/egd", "local"))
    killed = tls_process(daemon)
    with Client(f"{house.path}/egd") as local:
        with TlsClient(port, "-psk", PSK, "-psk_identity", "web1") as c:
            assert len(c.say(read(8)).hear(8)) == 8
            os.kill(killed, signal.SIGKILL)
            assert c.hear(1) == b""
        assert len(local.ask(16)) == 16
        wait_until(lambda: tls_process(daemon) not in (None, killed), "it is started again")
        wait_until(lambda: house.status()["tls -"]["state"] == "serves", "it has its keys")
        with TlsClient(port, "-psk", PSK, "-psk_identity", "web1") as c:
            assert len(c.say(read(8)).hear(8)) == 8
        assert len(local.ask(16)) == 16


def test_ekey_tls_ends_with_the_daemon(house, serve):
    psk = secret_file(house.path / "psk", f"web1:{PSK}\n")
    daemon = serve(section(f"tls:127.0.0.1:{free_port()}", psk=psk))
    ours = tls_process(daemon)
    daemon.kill()
    daemon.wait(PATIENCE_S)
    wait_until(lambda: has_ended(ours), "it has ended")


# ---- systemd ----


def connected(path):
    try:
        return Client(path)
    except OSError:
        return None


def test_a_socket_of_systemds(house):
    """Accept=no: the service manager listens, and starts us for the first connection."""
    assert shutil.which("systemd-socket-activate"), "systemd-socket-activate is missing"
    path = house.path / "egd"
    house.start_sim()
    house.write_config(house.source(), section("systemd:entropy"))
    house.start("systemd-socket-activate", f"--listen={path}", "--fdname=entropy",
                BUILD / "ekey-randomd", "-c", house.config, log="daemon.log")
    with wait_until(lambda: connected(path), "systemd-socket-activate listens") as c:
        assert c.ask(16) == expected(SEED, 0, 16)
    assert house.status()["listen egd"]["address"] == "systemd:entropy"


def test_a_socket_that_systemd_did_not_give(house):
    house.write_config(section("systemd:entropy"))
    waits(house, "systemd passed no socket with this FileDescriptorName=")


# ---- reload ----


def test_reload_leaves_the_same_listener_and_its_clients(house, serve):
    first, second, third = (house.path / name for name in ("a", "b", "c"))
    daemon = serve(section(f"unix:{first}", "one"), section(f"unix:{second}", "two"))
    stays, goes = Client(first), Client(second)
    assert len(stays.ask(8)) == len(goes.ask(8)) == 8
    house.write_config(house.source(), section(f"unix:{first}", "one"),
                       section(f"unix:{second}", "two", weight=2), section(f"unix:{third}", "new"))
    house.reload(daemon)
    assert len(stays.ask(8)) == 8
    assert goes.hear_all() == b""
    for path in (second, third):
        with Client(path) as c:
            assert len(c.ask(8)) == 8
    house.write_config(house.source())
    house.reload(daemon)
    assert stays.hear_all() == b""
    assert not any(os.path.exists(path) for path in (first, second, third))
