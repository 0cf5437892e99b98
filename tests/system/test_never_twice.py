"""No byte goes to two of all the outlets of a daemon and of its relay, which are read at once."""

import os
import re

import pytest

from house import SEED
from processes import free_port, program, run, wait_until
from relay import LISTEN, UPSTREAM, new_house

ROUNDS = (int(os.environ.get("ROUNDS", "1")) + 4) // 5  # make soak: a hundred million blocks
BLOCK = 16
BLOCKS = 10_500_000  # some bytes come in pieces too short to count
READERS = 60
LIMIT_S = 240
KERNEL = "[kernel]\nbytes = 256\ninterval = 1s\ncredit = yes\n"  # counted by its account, and not seen
OUTLETS = ("device", "listen", "kernel")  # rows of the status that have an account


@pytest.fixture
def houses(place):
    made = []
    yield lambda name: new_house(made, place, name)
    for house in reversed(made):
        house.clear()


def start(house, source):
    """A daemon that feeds the kernel; its device, EGD on a Unix socket and over TCP."""
    port = free_port()
    unix = f"unix:{house.path}/egd"
    listens = LISTEN.replace("listen egd", "listen {name}")
    house.write_config(
        source, KERNEL, house.device_section(),
        listens.format(name="unix", address=unix, more=""),
        listens.format(name="tcp", address=f"tcp:127.0.0.1:{port}", more=""),
    )
    house.start_daemon()
    return [str(house.device), unix, f"tcp:{port}"]


def check_balance(rows):
    """To the byte: what came, and where each outlet says that it went."""
    pool = {key: int(rows["pool -"][key]) for key in ("in", "delivered", "lost", "held")}
    assert pool["in"] == pool["delivered"] + pool["lost"] + pool["held"], pool
    for what in ("delivered", "lost"):
        parts = [int(row[what]) for name, row in rows.items() if name.split()[0] in OUTLETS]
        assert len(parts) == 4 and sum(parts) == pool[what], (what, parts, pool)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_never_twice_over_all_outlets_and_a_relay(houses, number):
    key, relay = houses("key"), houses("relay")
    seed = f"{SEED}{number}"
    key.start_sim("--seed", seed)
    outlets = start(key, key.source())
    port = outlets[-1].partition(":")[2]
    outlets += start(relay, UPSTREAM.format(address=f"tcp:127.0.0.1:{port}", more="trusted = yes"))
    wait_until(lambda: relay.status()["source up"]["serves"] == "yes", "the relay serves")
    readers = program("tests/system/readers")
    done = run(readers, "many", ",".join(outlets), seed, str(BLOCKS * BLOCK), str(READERS),
               timeout=LIMIT_S, env={**os.environ, "LIMIT_S": str(LIMIT_S)})
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) blocks", done.stdout)[1]) >= 10_000_000
    for house in (key, relay):
        kernel = house.status()["kernel -"]
        assert int(kernel["feeds"]) + int(kernel["failures"]) > 0
        wait_until(lambda: int(house.status()["pool -"]["waiters"]) == 0, "all are gone")
        check_balance(house.status())
    upstream = relay.status()["source up"]
    assert int(upstream["violations"]) == int(upstream["rejected"]) == 0
