"""Debian's real ekeyd and ekey-setkey take the simulated key for a real one."""

import pytest

import ekeyd
from ekeyd import Ekeyd
from processes import wait_until
from simkey import SERIAL, SimKey
from stream import block

BLOCKS = 5000  # more than the 4096 that one session key is good for
FIRST = 123
MASTER = "6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6m"
OTHER_MASTER = "6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN4="


@pytest.fixture(autouse=True)
def package():
    if ekeyd.missing():
        pytest.fail(f"{ekeyd.missing()} is missing: install the package ekeyd")


@pytest.fixture(params=["pty", "unix"])
def kind(request):
    return request.param


def running_ok(daemon):
    (key,) = daemon.keys()
    return key["OK"] == "YES" and key["Status"] == "Running OK" and key["SerialNo"] == SERIAL


def wait_for_output(daemon, length):
    wait_until(lambda: daemon.output.stat().st_size >= length, f"{length} bytes from ekeyd")


def test_ekeyd_runs_ok_and_writes_exactly_the_seeded_stream(tmp_path, kind):
    options = ["--rate", "20000", "--seed", "exact", "--blocks", str(BLOCKS)]
    options += ["--first-block", str(FIRST)]
    with SimKey(tmp_path, kind, *options) as sim, Ekeyd(tmp_path, sim.keyring) as daemon:
        daemon.add(sim.path)
        wait_for_output(daemon, BLOCKS * 32)
        assert running_ok(daemon), daemon.keys()
        want = b"".join(block("exact", FIRST + i) for i in range(BLOCKS))
        assert daemon.output.read_bytes() == want
        counters = sim.counters()
        assert counters["blocks"] == BLOCKS
        assert counters["rekeys"] >= 2
        stats = daemon.stats(SERIAL)
        assert int(stats["ConnectionRekeys"]) == counters["rekeys"]
        assert stats["KeyShortBadness"] == "efm_ok"
        assert stats["FramingErrors"] == "0"


def test_stream_goes_on_with_the_next_ekeyd(tmp_path, kind):
    with SimKey(tmp_path, kind, "--rate", "2000", "--seed", "on") as sim:
        seen = []
        for life in ("first", "second"):
            place = tmp_path / life
            place.mkdir()
            with Ekeyd(place, sim.keyring) as daemon:
                daemon.add(sim.path)
                wait_for_output(daemon, 500 * 32)
            out = daemon.output.read_bytes()
            seen += [out[i : i + 32] for i in range(0, len(out) - 31, 32)]
        index = {block("on", i): i for i in range(sim.counters()["blocks"])}
        order = [index[b] for b in seen]
        assert order == sorted(set(order))


def test_ekeyd_outlives_damaged_frames(tmp_path, kind):
    faults = ["--drop-every", "100", "--garbage-every", "70", "--split", "7"]
    options = ["--rate", "20000", "--seed", "worn", "--blocks", "1000", "--fault-seed", "1"]
    with SimKey(tmp_path, kind, *options, *faults) as sim, Ekeyd(tmp_path, sim.keyring) as daemon:
        daemon.add(sim.path)
        wait_until(lambda: sim.counters()["blocks"] == 1000, "all blocks")
        lost = sim.counters()["blocks_damaged"]
        wait_for_output(daemon, (1000 - lost) * 32)
        assert running_ok(daemon), daemon.keys()
        index = {block("worn", i): i for i in range(1000)}
        out = daemon.output.read_bytes()
        order = [index[out[i : i + 32]] for i in range(0, len(out), 32)]
        assert order == sorted(set(order))


def test_setkey_changes_the_long_term_key_of_both(tmp_path, kind):
    options = ["--rate", "20000", "--seed", "new", "--master-key", MASTER, "--print-ltk"]
    with SimKey(tmp_path, kind, *options) as sim:
        before = sim.keyring.read_text()
        assert ekeyd.setkey(sim.path, sim.keyring, MASTER, SERIAL) == 0
        said = wait_until(lambda: sim.out.read_text().splitlines()[1:], "the new key")
        assert sim.out.read_text().splitlines()[0] == before.strip()
        assert said[0] in sim.keyring.read_text().splitlines()
        assert said[0] != before.strip()
        with Ekeyd(tmp_path, sim.keyring) as daemon:
            daemon.add(sim.path)
            wait_until(lambda: running_ok(daemon), "a session with the new key")


def test_setkey_with_another_master_key_changes_nothing(tmp_path, kind):
    options = ["--rate", "20000", "--seed", "same", "--master-key", MASTER, "--print-ltk"]
    with SimKey(tmp_path, kind, *options) as sim:
        before = sim.keyring.read_text()
        wrong = OTHER_MASTER.replace("6MQK", "7MQK")
        assert ekeyd.setkey(sim.path, sim.keyring, wrong, SERIAL) == 2
        assert sim.counters()["lt_refused"] == 1
        assert sim.counters()["lt_rekeys"] == 0
        assert sim.keyring.read_text() == before
        with Ekeyd(tmp_path, sim.keyring) as daemon:
            daemon.add(sim.path)
            wait_until(lambda: running_ok(daemon), "a session with the old key")
