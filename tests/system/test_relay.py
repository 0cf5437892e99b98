"""EGD servers as sources: ours, Debian's ekeyd, chains of them, and what happens when they go."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

import ekeyd
from egd import Client, read
from house import SEED, as_root, stop
from processes import PATIENCE_S, free_port, wait_until
from relay import ask_of, gaps, new_house, start_with_key
from stream import BLOCK, block, expected

PSK = "relay:" + "5a" * 32 + "\n"
SERVES = "serves"


@pytest.fixture
def houses(place):
    made = []
    yield lambda name: new_house(made, place, name)
    for house in reversed(made):
        house.clear()


def kill(daemon):
    daemon.kill()
    daemon.wait(PATIENCE_S)


def wait_serves(house, name="source up"):
    wait_until(lambda: house.status()[name]["serves"] == "yes", "the upstream serves")


def knows_localhost():
    try:
        return bool(socket.getaddrinfo("localhost", None))
    except OSError:
        return False


# ---- with one upstream of ours ----


@pytest.mark.parametrize("kind", ["unix", "tcp", "tls"])
def test_device_serves_its_upstreams_bytes_exactly(houses, place, kind):
    up, down = houses("up"), houses("down")
    more, keys = "", []
    if kind == "unix":
        address = f"unix:{up.path}/egd"
    else:
        address = f"{kind}:127.0.0.1:{free_port()}"
        keys = ["trusted = yes"] if kind == "tcp" else []
    if kind == "tls":
        secret = place / "psk"
        secret.write_text(PSK)
        secret.chmod(0o600)
        more = f"psk = {secret}"
        keys = [more]
    start_with_key(up, address, more=more)
    ask_of(down, address, *keys)
    wait_serves(down)
    offset = 0
    for length in (1, 16, 255, 4096, 300000):
        assert down.read(length) == expected(SEED, offset, length)
        offset += length
    rows = down.status()["source up"]
    assert rows["use"] == "pool" and rows["credit_bits_per_byte"] == "7"
    assert rows["violations"] == rows["late"] == rows["rejected"] == "0"


def test_chain_of_daemons_hands_every_byte_on(houses):
    key, middle, end = houses("key"), houses("middle"), houses("end")
    start_with_key(key, f"unix:{key.path}/egd")
    ask_of(middle, f"unix:{key.path}/egd", listen=f"unix:{middle.path}/egd", device=False)
    ask_of(end, f"unix:{middle.path}/egd")
    wait_serves(end)
    assert end.read(200000) == expected(SEED, 0, 200000)


def test_idle_relay_takes_little_from_a_key_that_others_need(houses):
    up, down = houses("up"), houses("down")
    start_with_key(up, f"unix:{up.path}/egd")
    ask_of(down, f"unix:{up.path}/egd")
    wait_until(lambda: int(down.status()["pool -"]["level_bytes"]) >= 2048, "it has read ahead")
    time.sleep(1)
    assert int(up.status()["listen egd"]["delivered"]) <= 4096 + 1024


def test_bytes_over_plain_tcp_do_not_enter_the_pool_until_the_admin_says_so(houses):
    up, down = houses("up"), houses("down")
    address = f"tcp:127.0.0.1:{free_port()}"
    start_with_key(up, address)
    daemon = ask_of(down, address)
    wait_until(lambda: "answers" in down.log(), "it answers")
    reader = down.start_reader()
    time.sleep(0.5)
    assert reader.poll() is None
    assert down.status()["source up"]["use"] == "none"
    assert up.status()["listen egd"]["delivered"] == "0"
    assert down.count("trusted = yes") == 1
    text = down.config.read_text()
    down.config.write_text(text.replace("type = egd", "type = egd\ntrusted = yes"))
    down.reload(daemon)
    assert reader.wait(PATIENCE_S) == 0
    assert down.read(1000) == expected(SEED, 1, 1000)


@as_root
def test_untrusted_bytes_are_mixed_into_the_kernels_generator_and_never_served(houses):
    up, down = houses("up"), houses("down")
    address = f"tcp:127.0.0.1:{free_port()}"
    start_with_key(up, address)
    ask_of(down, address, "[kernel]")
    wait_until(lambda: int(down.status()["kernel -"]["mixed"]) > 0, "they are mixed in")
    rows = down.status()
    assert rows["source up"]["use"] == "kernel"
    assert rows["source up"]["credit_bits_per_byte"] == rows["kernel -"]["credited_bits"] == "0"
    assert int(rows["kernel -"]["mixed"]) == int(rows["source up"]["read_bytes"]) <= 64
    assert rows["pool -"]["in"] == "0"


@pytest.mark.skipif(not knows_localhost(), reason="missing: the name localhost (/etc/hosts)")
def test_our_own_listener_is_refused_when_it_answers(houses):
    house = houses("self")
    port = free_port()
    ask_of(house, f"tcp:localhost:{port}", "trusted = yes", listen=f"tcp:127.0.0.1:{port}",
           device=False)
    house.wait_state("a listener of our own", "source up")
    assert house.status()["source up"]["requests"] == "0"


def test_our_own_socket_by_another_name_is_refused(houses):
    house = houses("self")
    (house.path / "link").symlink_to(house.path / "egd")
    ask_of(house, f"unix:{house.path}/link", listen=f"unix:{house.path}/egd", device=False)
    house.wait_state("a listener of our own", "source up")
    assert house.status()["source up"]["requests"] == "0"


# ---- that goes and comes ----


def test_blocked_readers_resume_when_the_upstream_comes(houses):
    up, down = houses("up"), houses("down")
    ask_of(down, f"unix:{up.path}/egd")
    readers = [down.start_reader() for _ in range(3)]
    start_with_key(up, f"unix:{up.path}/egd")
    assert [reader.wait(PATIENCE_S) for reader in readers] == [0, 0, 0]


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_upstream_killed_in_mid_reply_costs_bytes_and_spoils_none(houses, kind):
    up, down = houses("up"), houses("down")
    address = f"unix:{up.path}/egd" if kind == "unix" else f"tcp:127.0.0.1:{free_port()}"
    got, total, kills = bytearray(), 0, 5
    daemon = start_with_key(up, address, rate=30000)
    ask_of(down, address, "trusted = yes")
    wait_serves(down)
    stopped = threading.Event()
    with open(down.device, "rb", buffering=0) as device:

        def read():
            while not stopped.is_set():
                got.extend(device.read(256))

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(kills):
            before = len(got)
            wait_until(lambda: len(got) > before + 50000, "bytes flow")
            kill(daemon)
            daemon = up.start_daemon()
        before = len(got)
        wait_until(lambda: len(got) > before + 50000, "bytes flow again")
        stopped.set()
        reader.join(PATIENCE_S)
    total = len(got) + 40 * 65536
    assert len(list(gaps(bytes(got), total))) <= kills + 1
    assert int(down.status()["source up"]["answers"]) == kills + 1


def test_upstream_that_hangs_is_left_after_the_timeout_and_taken_again(houses):
    up, down = houses("up"), houses("down")
    daemon = start_with_key(up, f"unix:{up.path}/egd")
    ask_of(down, f"unix:{up.path}/egd", "timeout = 1s")
    wait_serves(down)
    assert down.read(5000) == expected(SEED, 0, 5000)
    hanging = daemon.pid
    os.kill(hanging, signal.SIGSTOP)
    reader = subprocess.Popen(["head", "-c", "50000", str(down.device)], stdout=subprocess.PIPE)
    down.children.append(reader)
    wait_until(lambda: int(down.status()["source up"]["late"]) > 0, "the timeout")
    os.kill(hanging, signal.SIGCONT)
    rest = reader.communicate(timeout=PATIENCE_S)[0]
    assert len(rest) == 50000
    assert len(list(gaps(expected(SEED, 0, 5000) + rest, 500000))) <= 4
    assert down.count("too little entropy came in 1 s") >= 1


def test_haproxy_is_sent_away_while_the_upstream_has_no_entropy(houses):
    up, down = houses("up"), houses("down")
    port = free_port()
    start_with_key(up, f"unix:{up.path}/egd")
    ask_of(down, f"unix:{up.path}/egd", "timeout = 1s", f"[agent]\naddress = tcp:127.0.0.1:{port}",
           listen=f"unix:{down.path}/egd", device=False)
    wait_serves(down)

    def agent():
        return Client(("127.0.0.1", port)).hear_all()

    wait_until(lambda: agent().startswith(b"up ready"), "it is healthy")
    up.children[0].send_signal(signal.SIGSTOP)
    with Client(f"{down.path}/egd") as client:
        client.say(read(255) * 4000)
        reader = threading.Thread(target=client.hear_all, daemon=True)
        reader.start()
        wait_until(lambda: "too little entropy" in down.status()["source up"]["state"], "it starves")
        wait_until(lambda: int(up.status()["pool -"]["level_bytes"]) < 32, "there is no rest to ask for")
        wait_until(lambda: agent().startswith(b"down#"), "its pool is empty")
        for _ in range(40):
            assert agent().startswith(b"down#")
            time.sleep(0.1)
        client.socket.shutdown(socket.SHUT_RDWR)
        reader.join()


def test_second_upstream_is_asked_while_the_first_is_away(houses):
    one, two, down = houses("one"), houses("two"), houses("down")
    addresses = [f"unix:{house.path}/egd" for house in (one, two)]
    daemon = start_with_key(one, addresses[0])
    ask_of(down, ", ".join(addresses), "policy = failover")
    wait_serves(down, "source up/1")
    start_with_key(two, addresses[1], "--seed", "second")  # not before: the first that serves is asked
    wait_until(lambda: down.status()["source up/2"]["connected"] == "yes", "the second is there")
    assert down.read(20000) == expected(SEED, 0, 20000)
    assert down.status()["source up/2"]["requests"] == "0"
    kill(daemon)
    wait_until(lambda: down.status()["source up/2"]["stands_by"] == "no", "the second is asked")
    rest = down.read(20000)
    assert expected("second", 0, 10000) in rest
    up = one.start_daemon()
    wait_serves(down, "source up/1")
    assert down.status()["source up/2"]["stands_by"] == "yes"
    stop(up)


def drip(listener):
    """Says that it has plenty, and gives a byte a second."""
    kept = []
    while True:
        try:
            kept.append(listener.accept()[0])
            while request := kept[-1].recv(1):
                if request == b"\0":
                    kept[-1].sendall(b"\0\0\x80\0")
                elif request == b"\4":
                    kept[-1].sendall(b"\2-1")
                else:
                    for number in range(kept[-1].recv(1)[0]):
                        time.sleep(1)
                        kept[-1].sendall(bytes([number]))
        except OSError:
            if listener.fileno() < 0:
                return


def test_an_upstream_that_drips_gives_way_to_the_next_within_seconds(houses):
    up, down = houses("up"), houses("down")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{up.path}/drip")
        listener.listen()
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        start_with_key(up, f"unix:{up.path}/egd")
        ask_of(down, f"unix:{up.path}/drip, unix:{up.path}/egd", "policy = failover")
        wait_serves(down, "source up/1")
        wait_serves(down, "source up/2")
        began = time.monotonic()
        assert down.read(4096) == expected(SEED, 0, 4096)
        assert time.monotonic() - began < 15
        assert down.status()["source up/1"]["state"] == "answers, but sends too little entropy"
        listener.shutdown(socket.SHUT_RDWR)


# ---- Debian's ekeyd ----


class Debian:
    """ekeyd with a simulated key, serving EGD."""

    def __init__(self, house, output, rate):
        self.house, self.output = house, output
        house.start_sim("--quiet", rate=rate, listen=f"pty:{house.path}/key")
        self.start()

    def start(self):
        self.daemon = ekeyd.Ekeyd(self.house.path, self.house.keyring, self.output)
        self.daemon.add(self.house.path / "key")

    def kill(self):
        kill(self.daemon.process)
        (self.house.path / "egd").unlink(missing_ok=True)

    def stop(self):
        self.daemon.stop()


def blocks_of(got, parts):
    """The numbers of the blocks in `got`, of which so many at most may be the beginning of one."""
    numbers = {block(SEED, number): number for number in range(20000)}
    at, found = 0, []
    while at + BLOCK <= len(got):
        part = next(n for n in range(BLOCK) if got[at + n : at + n + BLOCK] in numbers)
        whole = got[at + part : at + part + BLOCK]
        assert part == 0 or any(each.startswith(got[at : at + part]) for each in numbers)
        parts -= part > 0
        found.append(numbers[whole])
        at += part + BLOCK
    assert parts >= 0
    return found


@pytest.fixture
def debian():
    if missing := ekeyd.missing():
        pytest.skip(f"{missing} is missing (package ekeyd)")
    started = []

    def start(*arguments):
        started.append(Debian(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_ekeyd_upstream_gives_each_block_of_its_key_once(houses, debian, kind):
    up, down = houses("up"), houses("down")
    port = free_port()
    unix = kind == "unix"
    address = f"unix:{up.path}/egd" if unix else f"tcp:127.0.0.1:{port}"
    debian(up, f'EGDUnixSocket "{up.path}/egd"' if unix else f'EGDTCPSocket({port}, "127.0.0.1")', 2000)
    ask_of(down, address, "trusted = yes")
    wait_serves(down)
    got = down.read(64000)
    # Not in their order: its pool gives the newest first.
    found = blocks_of(got, parts=0)
    assert len(set(found)) == len(found) == 2000
    assert down.status()["source up"]["violations"] == "0"


def test_ekeyd_killed_in_mid_reply_costs_bytes_and_spoils_none(houses, debian):
    up, down = houses("up"), houses("down")
    upstream = debian(up, f'EGDUnixSocket "{up.path}/egd"', 2000)
    ask_of(down, f"unix:{up.path}/egd")
    reader = subprocess.Popen(["head", "-c", "160000", str(down.device)], stdout=subprocess.PIPE)
    down.children.append(reader)
    for _ in range(3):
        before = int(down.status()["source up"]["read_bytes"])
        wait_until(lambda: int(down.status()["source up"]["read_bytes"]) > before + 20000, "flow")
        upstream.kill()
        upstream.start()
    got = reader.communicate(timeout=PATIENCE_S)[0]
    found = blocks_of(got, parts=3)
    assert len(got) == 160000 and len(set(found)) == len(found)
    assert int(down.status()["source up"]["answers"]) == 4
