"""What was delivered, and what was wiped, is in no memory of ours."""

import pytest

from egd import Client, read, section
from house import SEED, House, as_root
from memory import holders
from processes import Process, program, run, wait_until
from stream import BLOCK, block

KERNEL = "[kernel]\nbytes = 64\ninterval = 1s\ncredit = yes\n"
PIECE = 16


@pytest.fixture
def house(place):
    house = House(place)
    yield house
    house.clear()


def pieces(blocks):
    """Halves of the stream's first blocks: what goes out is cut at its multiples."""
    stream = b"".join(block(SEED, number) for number in range(blocks))
    return [stream[at : at + PIECE] for at in range(0, len(stream), PIECE)]


def number(house, subject, key):
    return int(house.status()[subject][key])


@as_root
def test_nothing_that_was_delivered_or_wiped_is_in_memory(house):
    house.start_sim()
    house.write_config("reserve = 1KiB\n", house.source(), house.device_section(), KERNEL,
                       section(f"unix:{house.path}/egd"), pool="16KiB")
    daemon = house.start_daemon()
    house.wait_full()
    assert holders(daemon.pid, pieces(16384 // BLOCK)), "a full pool would be found"
    client = Client(house.path / "egd")
    for length in (16, 255, 1024, 5000):
        house.read(length)
        client.say(read(length % 256) * 3).hear(length % 256 * 3)
    wait_until(lambda: number(house, "kernel -", "feeds") + number(house, "kernel -", "failures") >= 2, "fed")
    sim = house.children[0]
    sim.kill()
    wait_until(lambda: number(house, "kernel -", "feeds") + number(house, "kernel -", "failures") >= 4, "fed")
    assert run(program("ekeyctl"), "--socket", str(house.control), "wipe").returncode == 0
    blocks = number(house, "pool -", "in") // BLOCK + 64
    assert holders(daemon.pid, pieces(blocks)) == {}


@as_root
@pytest.mark.parametrize("credit", ["0", "7"])
def test_nothing_that_the_kernel_was_fed_is_in_memory_of_the_agent(house, started, credit):
    """With credit the helper gives it to the kernel in another way."""
    house.start_sim()
    house.write_config(house.source(), section(f"unix:{house.path}/egd"))
    house.start_daemon()
    house.wait_full()
    agent = Process([program("ekey-feed"), "--from", f"unix:{house.path}/egd", "--interval", "24h",
                     "--bytes", "255", "--credit", credit], house.path / "feed.log")
    started.append(agent)
    wait_until(lambda: "fed the kernel" in agent.log() or "cannot feed" in agent.log(), "it feeds")
    wait_until(lambda: int(house.status()["listen egd"]["delivered"]) == 255, "once")
    assert holders(agent.pid, pieces(8)) == {}
