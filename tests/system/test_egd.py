"""The EGD server as its clients meet it: exact bytes, in order, whole, at any depth."""

import random
import subprocess

import pytest

from egd import Client, read, row, section, wait_row
from house import SEED
from processes import PATIENCE_S, free_port, program, run, wait_until
from stream import expected


@pytest.fixture
def socket_path(house):
    return house.path / "egd"


@pytest.fixture
def served(house, socket_path):
    """Starts a key at `rate` and a daemon that serves it on a Unix socket."""

    def start(rate=0, listen=None, **keys):
        house.start_sim(rate=rate)
        house.write_config(house.source(), listen or section(f"unix:{socket_path}", **keys))
        return house.start_daemon()

    return start


def test_each_command_has_its_reply(house, served, socket_path):
    daemon = served()
    house.wait_full()
    with Client(socket_path) as c:
        assert c.level() == 8 * 65536
        assert c.pid() == daemon.pid
        assert c.say(b"\1\x10").hear(17) == b"\x10" + expected(SEED, 0, 16)
        assert c.ask(255) == expected(SEED, 16, 255)
        assert c.say(b"\3\0\x40\x08entropy!" + read(16)).hear(16) == expected(SEED, 271, 16)
    wait_row(house, "ended_done", 1)
    assert row(house, "delivered") == 16 + 255 + 16
    assert row(house, "lost") == 0


def test_level_is_free_and_a_try_of_an_empty_pool_is_empty(house, served, socket_path):
    served(rate=1)
    with Client(socket_path) as c:
        assert c.level() == 0
        assert c.say(b"\1\xff").hear(1) == b"\0"


@pytest.mark.parametrize("depth", [1, 2, 10, 99, 100, 101, 1000])
def test_pipelined_reads_are_the_stream_at_any_depth(served, socket_path, depth):
    served()
    lengths = [1 + (7 * i + depth) % 255 for i in range(4000)]
    offset = 0
    with Client(socket_path) as c:
        for at in range(0, len(lengths), depth):
            asked = lengths[at : at + depth]
            assert c.say(b"".join(map(read, asked))).hear(sum(asked)) == expected(
                SEED, offset, sum(asked)
            )
            offset += sum(asked)


def test_commands_keep_their_order_behind_a_read_that_waits(house, served, socket_path):
    served(rate=300)
    with Client(socket_path) as c:
        c.say((read(200) + b"\4" + read(50) + b"\3\0\0\1x") * 20)
        pid = str(house.children[-1].pid).encode()
        for i in range(20):
            assert c.hear(200) == expected(SEED, 250 * i, 200)
            assert c.hear(1 + len(pid)) == bytes([len(pid)]) + pid
            assert c.hear(50) == expected(SEED, 250 * i + 200, 50)


def test_half_close_is_answered_whole(served, socket_path):
    served(rate=300)
    with Client(socket_path) as c:
        assert c.say(read(255) * 10).half_close().hear_all() == expected(SEED, 0, 2550)


@pytest.mark.parametrize(
    "command",
    [["socat", "-t20", "-", "TCP:127.0.0.1:{port}"], ["nc", "-N", "127.0.0.1", "{port}"]],
    ids=["socat", "nc"],
)
def test_scripts_of_one_line_get_their_bytes(served, command):
    port = free_port()
    served(rate=100, listen=section(f"tcp:127.0.0.1:{port}"))
    argv = [word.format(port=port) for word in command]
    done = subprocess.run(argv, input=read(64), stdout=subprocess.PIPE, timeout=PATIENCE_S, check=True)
    assert done.stdout == expected(SEED, 0, 64)


def test_a_dead_client_costs_no_other_a_byte(house, served, socket_path):
    served(rate=1)
    dead = Client(socket_path).say(read(255) * 500)
    wait_row(house, "waited", 1)
    dead.close()
    wait_row(house, "ended_lost", 1)
    assert house.status()["pool -"]["waiters"] == "0"
    assert row(house, "lost") == 0


def test_garbage_ends_its_connection_and_nothing_else(house, served, socket_path):
    served()
    source = random.Random(4)
    with Client(socket_path) as good:
        for i in range(100):
            with Client(socket_path) as bad:
                bad.say(bytes([source.randrange(5, 256)]) + source.randbytes(100))
                assert bad.hear_all() == b""
            assert good.ask(10) == expected(SEED, 10 * i, 10)
    assert row(house, "ended_unknown") == 100
    assert house.count("it sent bytes that are no EGD request") + house.count("PROXY header") == 1


def test_slow_and_silent_clients_hold_up_no_other(house, served, socket_path):
    served(max_clients=500)
    slow = [Client(socket_path).say(b"\2") for _ in range(150)]
    deaf = [Client(socket_path).say(read(255) * 400) for _ in range(50)]
    wait_until(lambda: row(house, "delivered") > 50 * 255 * 100, "the deaf ones are served")
    with Client(socket_path) as c:
        for _ in range(100):
            assert len(c.ask(255)) == 255
    for c in slow + deaf:
        c.close()
    wait_row(house, "clients", 0)
    house.wait_full()


def test_a_thousand_requests_in_flight_cost_a_modest_client_nothing(served):
    port = free_port()
    served(rate=100, listen=section(f"tcp:127.0.0.1:{port}"))
    greedy = Client(("127.0.0.1", port), source="127.0.0.2").say(read(255) * 1000)
    modest = Client(("127.0.0.1", port), source="127.0.0.3").say(read(32) * 100)
    assert len(modest.hear(3200)) == 3200
    # Turns by bytes: as many for one as for the other. Turns by requests: 8 times as many.
    greedy.socket.setblocking(False)
    assert len(greedy.socket.recv(1 << 20)) < 2 * 3200 + 2000


def test_idle_connections_are_closed_and_waiting_ones_are_not(house, served, socket_path):
    served(rate=20, idle="500ms")
    waiting = Client(socket_path).say(read(255) * 5)
    assert Client(socket_path).hear_all() == b""
    wait_row(house, "ended_idle", 1)
    assert len(waiting.hear(1275)) == 1275


def test_a_rate_is_kept_by_identity(house, served, socket_path):
    served(rate=0, listen=section(f"unix:{socket_path}", rate="10KiB", burst="1KiB"))
    house.wait_full()
    with Client(socket_path) as a, Client(socket_path) as b:
        a.say(read(255) * 4)
        b.say(read(255) * 4)
        assert len(a.hear(1020)) == len(b.hear(1020)) == 1020
    assert row(house, "throttled") > 0


def test_refused_clients_see_the_end_at_once_and_the_log_says_why(house, served, socket_path):
    served(max_clients=2)
    first, second = Client(socket_path), Client(socket_path)
    wait_row(house, "clients", 2)
    assert Client(socket_path).hear_all() == b""
    assert row(house, "refused") == 1
    assert house.count("listen egd: refused uid") == 1
    assert len(first.ask(8)) == len(second.ask(8)) == 8


def test_ekeyctl_shows_the_listener(house, served, socket_path):
    served()
    shown = run(program("ekeyctl"), "-s", str(house.control), "status").stdout
    assert "listen egd" in shown
    assert f"unix:{socket_path}" in shown
