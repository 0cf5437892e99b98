"""What the tests of `ekeyctl rekey` have in common: four fixtures, and more."""

import os
import re
import signal

import pytest

from processes import program, wait_until
from terminal import Terminal

SERIAL = "SIMULATEDKEY0001"
MASTER = "6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6m"
OTHER_MASTER = "hIONmxnOV+7CbbJ4/Rv/65t4S/RwcPLe5Io72/9SLTM="
PROMPT = "(it is not shown): "

OK, USAGE, NO_SOCKET, REFUSED, NO_KEY, BAD_MASTER, KEYRING, NOT_STORED = 0, 2, 3, 8, 9, 10, 11, 12


def ltk(sim):
    """The key's own idea of its line in a keyring."""
    return [line for line in sim.log().splitlines() if line.startswith(SERIAL)][-1]


def counters(sim):
    """The simulated key's counters, as of now."""
    said = lambda: [l for l in sim.log().splitlines() if "ekey-sim: blocks=" in l]
    before = len(said())
    sim.child.send_signal(signal.SIGUSR1)
    wait_until(lambda: len(said()) > before, "ekey-sim's counters")
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", said()[-1])}


def refused(sim, rekey, words, want, says, serial=SERIAL, **options):
    before, stored = ltk(sim), sim.keyring.read_text()
    status, said = rekey(*words, serial, **options)
    assert status == want, said
    assert says in said
    assert ltk(sim) == before
    assert sim.keyring.read_text() == stored
    assert not [name for name in os.listdir(sim.place) if name.startswith(".keyring")]


@pytest.fixture
def start_key(start_sim):
    """A simulated key with a known master key, whose long-term key its log shows."""

    def start(*options, **more):
        options = ["--master-key", MASTER, "--print-ltk", *options]
        sim = start_sim(options=options, **{"rate": 2000, **more})
        wait_until(lambda: SERIAL + " " in sim.log(), "ekey-sim's key")
        return sim

    return start


@pytest.fixture
def on_terminal():
    """Starts ekeyctl on a terminal; what it left running is ended."""
    running = []

    def start(*words, **options):
        running.append(Terminal([program("ekeyctl"), *words], **options))
        return running[-1]

    yield start
    for terminal in running:
        terminal.close()


@pytest.fixture
def rekey(on_terminal):
    """Runs it to its end; (exit status, what it said)."""

    def run_it(*words, typed=MASTER):
        terminal = on_terminal("rekey", *words)
        if typed is not None:
            terminal.expect(PROMPT)
            terminal.type(typed + "\n")
        status = terminal.wait()
        assert MASTER not in terminal.output
        assert MASTER[:16] not in terminal.output
        return status, terminal.output

    return run_it


@pytest.fixture(params=["daemon", "device"])
def way(request, start_key, start_daemon):
    """Both ways to the key: (words that ekeyctl needs, the key)."""

    def open_way(*options, **daemon_options):
        sim = start_key(*options)
        if request.param == "device":
            return ["--device", sim.path, "--keyring", sim.keyring], sim
        daemon = start_daemon(sim=sim, **daemon_options)
        wait_until(lambda: daemon.status()["source key"]["serial"] == SERIAL, "the key's serial")
        return ["--socket", daemon.control], sim

    return open_way
