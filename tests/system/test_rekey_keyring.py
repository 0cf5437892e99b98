"""ekeyctl rekey and the keyring: proven writable before the key changes, and never spoiled."""

import os
import subprocess

import pytest

from processes import program, run, wait_until
from rekeying import (
    SERIAL, MASTER, PROMPT, OK, KEYRING, NOT_STORED, ltk, counters, refused, on_terminal,
    rekey, start_key, way,
)


def untouched(sim, rekey, words, says):
    """It fails for its keyring, and the key has not even been asked."""
    asked = counters(sim)["lt_macs"]
    status, said = rekey(*words, SERIAL)
    assert status == KEYRING, said
    assert says in said
    assert counters(sim)["lt_macs"] == asked
    assert counters(sim)["lt_rekeys"] == 0


def test_keyring_where_nothing_can_be_written(start_key, rekey):
    sim = start_key()
    words = ["--device", sim.path, "--keyring"]
    untouched(sim, rekey, [*words, "/proc/keyring"], "/proc/keyring: ")
    untouched(sim, rekey, [*words, "/nonexistent/keyring"], "No such file")
    untouched(sim, rekey, [*words, sim.place], "not a regular file")


def test_keyring_that_is_a_link_or_damaged_is_left_alone(start_key, rekey):
    sim = start_key()
    link = sim.place / "link"
    link.symlink_to(sim.keyring)
    untouched(sim, rekey, ["--device", sim.path, "--keyring", link], "symbolic link")
    assert link.is_symlink()
    words = ["--device", sim.path, "--keyring", sim.keyring]
    line = ltk(sim)
    for text in ("what is this\n", f"{line} # office\n", f"{line}\n{line}\n"):
        sim.keyring.write_text(text)
        untouched(sim, rekey, words, f"{sim.keyring}:{len(text.splitlines())}: ")
        untouched(sim, rekey, words, "correct or remove them first")
        assert sim.keyring.read_text() == text


def test_serial_numbers_of_a_keyring_that_is_not_in_order_are_listed(start_key):
    sim = start_key()
    sim.keyring.write_text(f"nonsense\n{ltk(sim)} # office\n")
    words = ["--socket", "/nonexistent", "--keyring", str(sim.keyring), "keyring"]
    listed = run(program("ekeyctl"), *words, stderr=subprocess.PIPE)
    assert listed.returncode == OK
    assert listed.stdout == SERIAL + "\n"
    assert f"{sim.keyring}:1: " in listed.stderr and f"{sim.keyring}:2: " in listed.stderr


def test_a_keyring_that_is_no_file_is_called_so(place):
    listed = run(program("ekeyctl"), "--keyring", place, "keyring")
    assert listed.returncode == KEYRING and listed.stdout == f"ekeyctl: {place}: not a regular file\n"


def test_another_keyring_than_the_daemons(start_key, start_daemon, rekey, place):
    daemon = start_daemon(sim=(sim := start_key()))
    wait_until(lambda: daemon.status()["source key"]["serial"] == SERIAL, "the key's serial")
    words = ["--socket", daemon.control, "--keyring", place / "other"]
    refused(sim, rekey, words, KEYRING, "the daemon's keyring is", typed=None)


@pytest.fixture
def full_disk(place):
    """A file system without a free byte; the keyring is in it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "ekey-test", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass


def test_full_disk_is_seen_before_the_key_changes(full_disk, start_key, rekey):
    sim = start_key()
    keyring = full_disk / "keyring"
    keyring.write_text(stored := ltk(sim) + "\n")
    fill(full_disk)
    untouched(sim, rekey, ["--device", sim.path, "--keyring", keyring], "No space left")
    assert keyring.read_text() == stored
    assert sorted(os.listdir(full_disk)) == ["filler", "keyring"]


def test_disk_that_fills_up_later_takes_the_key_all_the_same(full_disk, start_key, on_terminal):
    sim = start_key("--no-lt-answer=1")
    keyring = full_disk / "keyring"
    keyring.write_text(ltk(sim) + "\n")
    terminal = on_terminal("rekey", "--device", sim.path, "--keyring", keyring, SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    wait_until(lambda: counters(sim)["lt_rekeys"] == 1, "the change whose answer is lost")
    fill(full_disk)
    assert terminal.wait() == OK, terminal.output
    assert keyring.read_text() == ltk(sim) + "\n"


def test_key_that_cannot_be_stored_after_all_is_shown_once(way, on_terminal):
    words, sim = way("--no-lt-answer=1")
    stored = sim.keyring.read_text()
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    wait_until(lambda: counters(sim)["lt_rekeys"] == 1, "the change whose answer is lost")
    (beside,) = [name for name in os.listdir(sim.place) if name.startswith(".keyring")]
    (sim.place / beside).unlink()
    assert terminal.wait() == NOT_STORED
    assert sim.keyring.read_text() == stored
    assert terminal.output.count(ltk(sim)) == 1
