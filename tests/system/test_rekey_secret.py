"""ekeyctl rekey: the master key that is typed in is seen by nobody."""

import base64
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

import memory as memories
from memory import family, memory
from processes import program, wait_until
from rekeying import (
    SERIAL, MASTER, PROMPT, OK, BAD_MASTER, ltk, counters, on_terminal, start_key, way,
)


def forms(master):
    """The master key as text, as bytes, and in pieces of 16."""
    raw = base64.b64decode(master)[:32]
    pieces = [master.encode(), raw]
    pieces += [raw[i : i + 16] for i in (0, 8, 16)]
    pieces += [master.encode()[i : i + 16] for i in (0, 14, 28)]
    return pieces + [raw.hex().encode()]


def test_master_key_is_in_no_command_line_environment_log_or_core(way, on_terminal):
    if os.geteuid() != 0:
        pytest.skip("only root can look into a shielded process")
    words, sim = way("--no-lt-answer=1")
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    wait_until(lambda: counters(sim)["lt_rekeys"] == 1, "the change whose answer is lost")
    pid = terminal.child.pid
    proc = pathlib.Path(f"/proc/{pid}")
    secrets = forms(MASTER)
    everything = b"".join(memory(pid, dumped_only=False))
    assert secrets[1] in everything, "it still needs the master key, and we can see it"
    cores = [b"".join(memory(pid, dumped_only=True))]
    ours = {memories.name(one) for one in family(os.getpid())}
    assert "ekeyctl" in ours and ("ekey-randomd" in ours) == ("--socket" in words), ours
    seen = [text for name in ("cmdline", "environ") for text in of_our_processes(name)]
    limits = (proc / "limits").read_text()
    assert re.search(r"Max core file size +0 +0", limits)
    assert terminal.wait() == OK, terminal.output
    logs = [path.read_bytes() for path in sim.place.glob("*.log")]
    assert logs and len(seen) > 2
    for text in [*seen, *logs, *cores, terminal.output.encode()]:
        for secret in secrets:
            assert secret not in text


def is_anywhere(pid, secrets):
    everything = b"".join(memory(pid, dumped_only=False))
    return [i for i, secret in enumerate(secrets) if secret in everything]


def test_what_was_typed_and_then_the_master_key_are_wiped(way, on_terminal):
    if os.geteuid() != 0:
        pytest.skip("only root can look into a shielded process")
    words, sim = way("--no-lt-answer=1", "--no-key-answer")
    raw = base64.b64decode(MASTER)[:32]
    typed = [MASTER.encode()[i : i + 16] for i in (0, 14, 28)]
    master = [raw[:16], raw[16:]]
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    wait_until(lambda: counters(sim)["lt_rekeys"] == 1, "the change whose answer is lost")
    assert is_anywhere(terminal.child.pid, master) == [0, 1], "it still needs the master key"
    assert not is_anywhere(terminal.child.pid, typed)
    terminal.expect("Stored in")  # the new key is not proven: it gets no session
    assert not is_anywhere(terminal.child.pid, master + typed)


def of_our_processes(name):
    """A file of each process of this test but simulated keys, which are given their master key."""
    for pid in family(os.getpid()):
        if memories.name(pid) != "ekey-sim":
            yield pathlib.Path(f"/proc/{pid}/{name}").read_bytes()


def test_terminal_does_not_echo_and_is_restored(way, on_terminal):
    words, _ = way()
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    wait_until(lambda: not terminal.echoes(), "echo is off")
    terminal.type(MASTER + "\n")
    assert terminal.wait() == OK
    assert terminal.echoes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_terminal_is_restored_when_a_signal_ends_it(way, on_terminal, number):
    words, sim = way()
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    wait_until(lambda: not terminal.echoes(), "echo is off")
    terminal.child.send_signal(number)
    assert terminal.wait() == -number
    assert terminal.echoes()
    assert counters(sim)["lt_macs"] == 0


def test_after_a_stop_it_asks_again(way, on_terminal):
    words, _ = way()
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    wait_until(lambda: not terminal.echoes(), "echo is off")
    terminal.child.send_signal(signal.SIGTSTP)
    # Nobody continues an orphaned process group that is stopped: the kernel does not stop it.
    wait_until(terminal.echoes, "the terminal is as it was") if stopped(terminal) else None
    terminal.child.send_signal(signal.SIGCONT)
    terminal.type(MASTER + "\n")
    assert terminal.wait() == OK, terminal.output


def stopped(terminal):
    time.sleep(0.05)
    with open(f"/proc/{terminal.child.pid}/stat", encoding="utf-8") as state:
        return state.read().rpartition(")")[2].split()[0] == "T"


def test_ctrl_c_does_not_part_the_key_from_the_keyring(way, on_terminal):
    words, sim = way("--no-lt-answer=1")
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    wait_until(lambda: counters(sim)["lt_rekeys"] == 1, "the change whose answer is lost")
    terminal.type("\x03")
    terminal.child.send_signal(signal.SIGTERM)
    assert terminal.wait() in (-signal.SIGINT, -signal.SIGTERM)
    assert sim.keyring.read_text() == ltk(sim) + "\n"


def test_without_a_terminal_there_is_nobody_to_ask(start_key):
    sim = start_key()
    argv = [program("ekeyctl"), "rekey", "--device", sim.path, "--keyring", sim.keyring, SERIAL]
    result = subprocess.run(
        argv, input=MASTER, capture_output=True, text=True, start_new_session=True, check=False)
    assert result.returncode == BAD_MASTER
    assert "typed on a terminal" in result.stderr
