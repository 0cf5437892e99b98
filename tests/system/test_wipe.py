"""`ekeyctl wipe`, and what a daemon in a machine that was cloned does by itself: it begins anew."""

import socket
import ssl

import pytest

from certificates import Root
from processes import PATIENCE_S, free_port, program, run, wait_until
from relay import ask_of, new_house, start_with_key
from stream import expected

SEED = "daemon"
SIZE = 65536


@pytest.fixture
def houses(place):
    found = []
    yield found
    for house in reversed(found):
        house.clear()


def wipe(house):
    return run(program("ekeyctl"), "--socket", str(house.control), "wipe")


def number(house, subject, key):
    return int(house.status()[subject][key])


def balances(pool):
    return int(pool["in"]) == sum(int(pool[key]) for key in ("delivered", "lost", "held"))


def position(data):
    found = expected(SEED, 0, 4 * SIZE).find(data)
    assert found >= 0, "no bytes of the key's"
    return found


def test_what_was_there_is_served_to_nobody(place, houses):
    house = new_house(houses, place, "one")
    house.start_sim()
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.wait_full()
    before = number(house, "pool -", "in")
    result = wipe(house)
    assert (result.returncode, result.stdout) == (
        0, "all buffered bytes are wiped and the sources are restarted\n")
    pool = house.status()["pool -"]
    assert int(pool["lost"]) >= SIZE and balances(pool), pool
    assert position(house.read(64)) >= before
    assert house.count("by order: wiped 65536 bytes, closed 0 connections; all sources restart") == 1
    assert number(house, "daemon -", "renewals") == 1


def test_wipe_is_no_fault_of_the_key(place, houses):
    house = new_house(houses, place, "one")
    house.start_sim()
    house.write_config(house.source())
    house.start_daemon()
    in_session = "source key: key SIMULATEDKEY0001: in session, entropy flows\n"
    for times in (1, 2, 3):
        wait_until(lambda: house.count(in_session) == times, "the key is in session")
        assert wipe(house).returncode == 0
    assert house.count("no authentic frame") == 0, house.log()
    assert house.count("key :") == 0, house.log()


def test_who_waits_goes_on_waiting_and_is_served(place, houses):
    house = new_house(houses, place, "one")
    sim = house.start_sim()
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.wait_full()
    sim.kill()
    while int(house.status()["pool -"]["level_bytes"]) > 0:
        house.read(min(256, int(house.status()["pool -"]["level_bytes"])))
    reader = house.start_reader()
    assert wipe(house).returncode == 0
    assert reader.poll() is None
    house.start_sim()
    assert reader.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_relay_asks_anew(place, houses, scheme):
    """Its connection ends, and nothing that came over it is served."""
    first = new_house(houses, place, "first")
    address = f"unix:{first.path}/egd" if scheme == "unix" else f"tcp:127.0.0.1:{free_port()}"
    start_with_key(first, address)
    relay = new_house(houses, place, "relay")
    ask_of(relay, address, "trusted = yes")
    wait_until(lambda: number(relay, "pool -", "level_bytes") > 2048, "the relay has bytes")
    before = number(first, "listen egd", "delivered")
    assert wipe(relay).returncode == 0
    assert position(relay.read(256)) >= before
    assert number(first, "listen egd", "accepted") == 2
    assert relay.count(" is gone") == 0, relay.log()


def test_clients_that_are_owed_nothing_stay(place, houses):
    house = new_house(houses, place, "one")
    start_with_key(house, f"unix:{house.path}/egd")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(f"{house.path}/egd")
        client.sendall(b"\x02\x20")
        assert len(client.recv(32, socket.MSG_WAITALL)) == 32
        assert wipe(house).returncode == 0
        client.sendall(b"\x02\x20")
        assert len(client.recv(32, socket.MSG_WAITALL)) == 32


def test_kernel_is_fed_anew_however_long_its_interval(place, houses):
    house = new_house(houses, place, "one")
    house.start_sim()
    house.write_config(house.source(), "[kernel]\ninterval = 24h\n")
    house.start_daemon()
    tries = lambda: number(house, "kernel -", "feeds") + number(house, "kernel -", "failures")
    wait_until(lambda: tries() == 1, "it is fed")
    assert wipe(house).returncode == 0
    wait_until(lambda: tries() == 2, "it is fed anew")


# ---- TLS: with its keys another clone would encrypt other bytes; nothing is sent with them any more ----


def strict(context):
    """An end without close_notify is an error."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def wait_end_without_a_farewell(connection):
    with pytest.raises(ssl.SSLError, match="(?i)eof"):
        while connection.recv(4096):
            pass
        assert False, "close_notify came"


def test_client_over_tls_is_left(place, houses):
    root = Root(place)
    cert, key = root.issue("server", "IP:127.0.0.1")
    house, port = new_house(houses, place, "one"), free_port()
    start_with_key(house, f"tls:127.0.0.1:{port}", more=f"cert = {cert}\nkey = {key}")
    context = strict(root.context())
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1",
                                 suppress_ragged_eofs=False) as client:
            client.sendall(b"\x02\x20")
            assert len(client.recv(32)) == 32
            assert wipe(house).returncode == 0
            wait_end_without_a_farewell(client)
    assert house.count("closed 1 connections") == 1


def answer_as_server(server, relay):
    assert server.recv(1) == b"\4"  # who on this machine is it?
    server.sendall(b"\1" + b"1")
    assert server.recv(1) == b"\0"
    server.sendall(b"\0\0\0\0")
    wait_until(lambda: relay.status()["source up"]["state"] != "connected, has not answered yet",
               "it has the answer")


def test_source_over_tls_is_left_and_connected_anew(place, houses):
    root = Root(place)
    cert, key = root.issue("server", "IP:127.0.0.1")
    context = strict(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    context.load_cert_chain(cert, key)
    relay, port = new_house(houses, place, "relay"), free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(PATIENCE_S)
        relay.write_config(f"[source up]\ntype = egd\naddress = tls:127.0.0.1:{port}\nca = {root.file}\n")
        relay.start_daemon()
        plain, _ = listener.accept()
        plain.settimeout(PATIENCE_S)
        with context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as server:
            answer_as_server(server, relay)
            assert wipe(relay).returncode == 0
            wait_end_without_a_farewell(server)
        listener.accept()[0].close()
