"""Whatever the simulated key does wrong, what comes out of the device is its stream: bytes that were
damaged on the way are missing, nothing else is missing, nothing is wrong, and none comes twice."""

import pytest

from processes import wait_until
from stream import BLOCK, block

BLOCKS = 3000

# The fault, and how many of BLOCKS blocks it may cost at most.
FAULTS = {
    "bad_mac": (["--bad-mac-every", "50"], BLOCKS // 40),
    "dropped_byte": (["--drop-every", "50"], BLOCKS // 40),
    "flipped_bit": (["--flip-every", "50"], BLOCKS // 40),
    "garbage": (["--garbage-every", "20"], 0),
    "split_writes": (["--split", "7"], 0),
    "replayed_frames": (["--replay-every", "20"], 0),
    "duplicated_frames": (["--duplicate-every", "20"], 0),
    "skipped_sequence_numbers": (["--skip-every", "20"], 0),
    "stale_frames_after_a_reset": (["--stale-frames", "16"], 0),
    "unanswered_nonce": (["--no-key-answer=1"], 0),
    "wrong_answer_length": (["--bad-key-length=1"], 800),
    "closed_and_opened": (["--close-after", "1000"], 200),
}


def read_blocks(device, count):
    with open(device, "rb", 0) as f:
        return [f.read(BLOCK) for _ in range(count)]


@pytest.mark.parametrize("fault", FAULTS)
def test_costs_the_damaged_blocks_only(start_sim, start_daemon, fault):
    options, cost = FAULTS[fault]
    sim = start_sim(seed=fault, rate=2000, options=["--fault-seed", "1", *options])
    daemon = start_daemon(sim=sim)
    number = {block(fault, i): i for i in range(4 * BLOCKS)}
    got = [number.get(b) for b in read_blocks(daemon.device, BLOCKS)]
    assert None not in got
    assert all(a < b for a, b in zip(got, got[1:])), "in order, and none twice"
    assert got[-1] + 1 - BLOCKS <= cost


@pytest.mark.parametrize("port", ["unix", "pty"])
@pytest.mark.parametrize("waiting", [2, 5, 18, 1000])
def test_key_that_was_powered_before_loses_no_block(place, start_sim, start_daemon, port, waiting):
    options = ["--waiting-frames", str(waiting), "--stats"]
    sim = start_sim(rate=2000, listen=f"{port}:{place}/sim", options=options)
    daemon = start_daemon(sim=sim, address=sim.address.removeprefix("pty:"))
    number = {block("seed", i): i for i in range(10000)}
    assert [number.get(b) for b in read_blocks(daemon.device, 100)] == list(range(100))
    assert daemon.status()["source key"]["resets"] == "1"
    sim.stop()
    assert f"waiting_frames={waiting} " in sim.log()


def test_generators_that_fail_are_quarantined_and_readers_wait(start_sim, start_daemon):
    options = ["--fail-mode", "3", "--fail-after", "100"]
    daemon = start_daemon(sim=start_sim(rate=1000, options=options))
    wait_until(lambda: daemon.status()["source key"]["health"] == "quarantined", "quarantine")
    assert "badness" in daemon.log() or "generators" in daemon.log(), daemon.log()


def test_silent_key_is_reset_at_a_pace_and_said_once(start_sim, start_daemon):
    daemon = start_daemon(sim=start_sim(rate=1000, options=["--hang-after", "500"]))
    said = "no authentic frame comes"
    wait_until(lambda: said in daemon.log(), "the silence is told")
    wait_until(lambda: int(daemon.status()["source key"]["resets"]) > 2, "it is reset again")
    assert daemon.log().count(said) == 1
