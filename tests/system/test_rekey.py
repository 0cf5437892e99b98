"""ekeyctl rekey: a new long-term key, through the daemon and without it, and all that goes wrong.

The simulated key judges: its long-term key is compared with the keyring's line.
"""

import os
import signal
import stat

import pytest

import ekeyd
from ekeyd import Ekeyd
from processes import program, run, wait_until
from rekeying import (
    SERIAL, MASTER, OTHER_MASTER, PROMPT, OK, USAGE, NO_SOCKET, REFUSED, NO_KEY, BAD_MASTER,
    KEYRING, ltk, counters, refused, on_terminal, rekey, start_key, way,
)


# ---- what it is for ----


def test_makes_a_key_that_both_know_and_stores_it(way, rekey):
    words, sim = way()
    before = ltk(sim)
    status, said = rekey(*words, SERIAL)
    assert status == OK, said
    assert ltk(sim) != before
    assert sim.keyring.read_text() == ltk(sim) + "\n"
    for step in ("can be written", "is ready", "has changed", "Stored in", "in session"):
        assert step in said
    assert oct(sim.keyring.stat().st_mode & 0o777) == "0o600"
    assert os.listdir(sim.place).count("keyring") == 1
    assert not [name for name in os.listdir(sim.place) if name.startswith(".keyring")]


def test_card_may_be_typed_in_any_grouping(way, rekey):
    words, sim = way()
    grouped = " ".join(MASTER[i : i + 5] for i in range(0, len(MASTER), 5))
    assert rekey(*words, SERIAL, typed=f"  {grouped} ")[0] == OK
    assert sim.keyring.read_text() == ltk(sim) + "\n"


def test_comments_order_mode_and_owner_of_the_keyring_stay(way, rekey):
    words, sim = way()
    other = "AAECAxAREhOrrK2u YhBxVfw80BE6VXU9tWd9Shi0VGmj7kAlsCJ5j2hFjYU="
    frame = f"# mine\n{other}\n{{}}\n\n# the end"
    sim.keyring.write_text(frame.format(ltk(sim)))
    sim.keyring.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(sim.keyring, 0, 65534)
    before = sim.keyring.stat()
    assert rekey(*words, SERIAL)[0] == OK
    assert sim.keyring.read_text() == frame.format(ltk(sim))
    after = sim.keyring.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid)


def test_guides_a_first_run(start_key, start_daemon, rekey):
    sim = start_key()
    sim.keyring.unlink()
    daemon = start_daemon(sim=sim)
    wait_until(lambda: f"run: ekeyctl rekey {SERIAL}" in daemon.log(), "the line that says how")
    listed = run(program("ekeyctl"), "-s", daemon.control, "keyring")
    assert listed.returncode == KEYRING
    assert f"{sim.keyring}: no keyring yet: ekeyctl rekey SERIAL makes one" in listed.stdout
    status, said = rekey("--socket", daemon.control, SERIAL)
    assert status == OK, said
    assert sim.keyring.read_text() == ltk(sim) + "\n"
    assert stat.S_IMODE(sim.keyring.stat().st_mode) in (0o600, 0o640)
    assert daemon.status()["source key"]["state"] == "keyed"
    assert run(program("ekeyctl"), "-s", daemon.control, "keyring").stdout == SERIAL + "\n"


def test_order_is_no_fault_of_the_key(start_key, start_daemon, rekey):
    daemon = start_daemon(sim=start_key())
    wait_until(lambda: daemon.status()["source key"]["state"] == "keyed", "the first session")
    assert rekey("--socket", daemon.control, SERIAL)[0] == OK
    assert daemon.log().count(f"source key: key {SERIAL}: in session, entropy flows\n") == 2
    assert "no authentic frame" not in daemon.log()
    assert "key :" not in daemon.log()


def test_changes_the_key_of_a_second_section(place, start_key, start_daemon, rekey):
    second, lines = "SIMULATEDKEY0002", []
    sims = [start_key(), start_key("--serial", second, listen=f"unix:{place}/second")]
    lines = [ltk(sims[0]), sims[1].keyring.read_text().strip()]
    sims[1].keyring.write_text("\n".join(lines) + "\n")
    sources = "".join(f"[source s{i}]\ntype = ekey\naddress = {sim.address}\n" for i, sim in enumerate(sims))
    text = f"[daemon]\nkeyring = {place}/keyring\ncontrol = {place}/control\n" + sources
    daemon = start_daemon(text=text, wait=False)
    keyed = lambda: [row["state"] for name, row in daemon.status().items() if "source" in name]
    wait_until(lambda: daemon.control.exists() and keyed() == ["keyed", "keyed"], "two sessions")
    status, said = rekey("--socket", daemon.control, second)
    assert status == OK, said
    after = sims[1].keyring.read_text().splitlines()
    assert after[0] == lines[0] and after[1].startswith(second) and after[1] != lines[1]


def test_repairs_a_wrong_long_term_key(start_key, start_daemon, rekey):
    sim = start_key()
    sim.keyring.write_text(ltk(sim)[:17] + "YhBxVfw80BE6VXU9tWd9Shi0VGmj7kAlsCJ5j2hFjYU=\n")
    daemon = start_daemon(sim=sim)
    wait_until(lambda: "is wrong: have its card" in daemon.log(), "the line that says how")
    assert rekey("--socket", daemon.control, SERIAL)[0] == OK
    assert daemon.status()["source key"]["state"] == "keyed"


def test_works_while_the_pool_is_full(start_key, start_daemon, rekey):
    daemon = start_daemon(sim=(sim := start_key()), pool="8KiB")
    wait_until(lambda: daemon.status()["source key"]["paused"] == "yes", "a full pool")
    status, said = rekey("--socket", daemon.control, SERIAL)
    assert status == OK, said
    assert sim.keyring.read_text() == ltk(sim) + "\n"


def test_works_on_a_tty_without_a_daemon(place, start_key, rekey):
    sim = start_key(listen=f"pty:{place}/tty")
    status, said = rekey("--device", sim.path, "--keyring", sim.keyring, SERIAL)
    assert status == OK, said
    assert sim.keyring.read_text() == ltk(sim) + "\n"


def test_an_answer_that_is_lost_is_asked_for_again(way, rekey):
    words, sim = way("--no-lt-answer=1")
    status, said = rekey(*words, SERIAL)
    assert status == OK, said
    assert counters(sim)["lt_rekeys"] == 2
    assert sim.keyring.read_text() == ltk(sim) + "\n"


# ---- what goes wrong: the keyring is untouched, the key as it was ----


def test_wrong_master_key(way, rekey):
    words, sim = way()
    refused(sim, rekey, words, REFUSED, "not its master key", typed=OTHER_MASTER)
    assert counters(sim)["lt_refused"] == 1


def test_wrong_checksum_is_seen_before_the_key_is_asked_to_change(way, rekey):
    words, sim = way()
    for typed in (MASTER[:-1] + "n", MASTER[:-1], MASTER + "A", "", "x" * 300):
        refused(sim, rekey, words, BAD_MASTER, "no master key", typed=typed)
    assert counters(sim)["lt_macs"] == 0


def test_wrong_serial(way, rekey):
    words, sim = way()
    says = "a key with another serial number answered" if "--device" in words else f"plugged in: {SERIAL}"
    refused(sim, rekey, words, NO_KEY, says, serial="AAECAxAREhOrrK2u", typed=None)
    refused(sim, rekey, words, USAGE, "has 16 characters", serial="short", typed=None)


def test_locked_out_device(way, rekey):
    words, sim = way("--lt-locked")
    refused(sim, rekey, words, REFUSED, "it is locked")
    assert counters(sim)["lt_rekeys"] == 0


def test_lock_that_opens_at_the_next_try(way, rekey):
    words, sim = way("--lt-locked=1")
    assert rekey(*words, SERIAL)[0] == OK
    assert sim.keyring.read_text() == ltk(sim) + "\n"


def test_key_that_does_not_answer(way, rekey):
    words, sim = way()
    sim.child.send_signal(signal.SIGSTOP)
    refused(sim, rekey, words, NO_KEY, "does not answer", typed=None if "--device" in words else MASTER)
    sim.child.send_signal(signal.SIGCONT)


def test_failed_change_leaves_the_daemons_session_going(start_key, start_daemon, rekey):
    daemon = start_daemon(sim=(sim := start_key()))
    wait_until(lambda: daemon.status()["source key"]["state"] == "keyed", "a session")
    words = ["--socket", daemon.control]
    refused(sim, rekey, words, REFUSED, "not its master key", typed=OTHER_MASTER)
    wait_until(lambda: daemon.status()["source key"]["state"] == "keyed", "a session again")


def test_key_unplugged_in_the_middle(way, on_terminal):
    words, sim = way("--no-lt-answer")
    terminal = on_terminal("rekey", *words, SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    terminal.expect("is ready")
    sim.kill()
    assert terminal.wait() == NO_KEY
    assert "unplugged" in terminal.output


def test_key_that_never_answers_to_the_end(way, rekey):
    words, sim = way("--no-lt-answer")
    stored = sim.keyring.read_text()
    status, said = rekey(*words, SERIAL)
    assert status == NO_KEY
    assert "may have another long-term key" in said
    assert sim.keyring.read_text() == stored


def test_daemon_that_is_gone(start_key, place, rekey):
    words = ["--socket", place / "nothing"]
    refused(start_key(), rekey, words, NO_SOCKET, "is ekey-randomd running?", typed=None)


def test_daemon_that_goes_while_it_is_asked(start_key, start_daemon, on_terminal):
    daemon = start_daemon(sim=(sim := start_key("--no-lt-answer")))
    wait_until(lambda: daemon.status()["source key"]["serial"] == SERIAL, "the key's serial")
    terminal = on_terminal("--socket", daemon.control, "rekey", SERIAL)
    terminal.expect(PROMPT)
    terminal.type(MASTER + "\n")
    terminal.expect("is ready")
    stored = sim.keyring.read_text()
    daemon.kill()
    assert terminal.wait() == 5
    assert sim.keyring.read_text() == stored


def test_device_that_the_daemon_has_is_left_alone(place, start_key, start_daemon, rekey):
    sim = start_key(listen=f"pty:{place}/tty")
    daemon = start_daemon(sim=sim, address=sim.path)
    wait_until(lambda: daemon.status()["source key"]["state"] == "keyed", "a session")
    words = ["--socket", daemon.control, "--device", sim.path, "--keyring", sim.keyring]
    refused(sim, rekey, words, NO_KEY, "ekey-randomd runs and may have this key: omit --device", typed=None)


@pytest.mark.parametrize("address", ["usb", f"usb:{SERIAL}"])
def test_key_that_is_not_on_usb(place, on_terminal, address):
    terminal = on_terminal("--device", address, "--keyring", place / "keyring", "rekey", SERIAL)
    assert terminal.wait() == NO_KEY
    assert f"ekeyctl: usb:{SERIAL}: not plugged in" in terminal.output


@pytest.mark.parametrize("address", ["usb:20090103", "usb:M_tBF1IwMQA+AAAA"])
def test_address_that_no_key_can_have(place, on_terminal, address):
    terminal = on_terminal("--device", address, "--keyring", place / "keyring", "rekey", SERIAL)
    assert terminal.wait() == USAGE
    assert f"ekeyctl: --device {address}: a key's serial number has 16 characters" in terminal.output


def test_one_change_at_a_time(start_key, start_daemon, on_terminal, rekey):
    daemon = start_daemon(sim=(sim := start_key("--no-lt-answer=1")))
    wait_until(lambda: daemon.status()["source key"]["serial"] == SERIAL, "the key's serial")
    first = on_terminal("--socket", daemon.control, "rekey", SERIAL)
    first.expect(PROMPT)
    first.type(MASTER + "\n")
    first.expect("is ready")
    status, said = rekey("--socket", daemon.control, SERIAL)
    assert status == NO_KEY and "being changed already" in said
    assert first.wait() == OK, first.output
    assert sim.keyring.read_text() == ltk(sim) + "\n"


# ---- with Debian's own ekeyd ----


@pytest.fixture
def debian():
    if ekeyd.missing():
        pytest.skip(f"{ekeyd.missing()} is missing (package ekeyd)")


def test_ekeyd_takes_the_key_that_we_made(debian, place, start_key, rekey):
    sim = start_key()
    status, said = rekey("--device", sim.path, "--keyring", sim.keyring, SERIAL)
    assert status == OK, said
    with Ekeyd(place, sim.keyring) as theirs:
        theirs.add(sim.path)
        wait_until(lambda: theirs.keys()[0]["Status"] == "Running OK", "ekeyd's session")
        wait_until(lambda: theirs.output.stat().st_size >= 3200, "entropy by ekeyd")


def test_we_take_the_key_that_setkey_made(debian, start_key, start_daemon):
    sim = start_key()
    before = ltk(sim)
    assert ekeyd.setkey(sim.path, sim.keyring, MASTER, SERIAL) == 0
    assert ltk(sim) != before
    daemon = start_daemon(sim=sim)
    wait_until(lambda: daemon.status()["source key"]["state"] == "keyed", "our session")


def test_setkey_works_on_the_keyring_that_we_wrote(debian, start_key, rekey):
    sim = start_key(rate=86)  # a real key's: ekey-setkey reads 20 frames of the old session, no more
    sim.keyring.unlink()
    words = ["--device", sim.path, "--keyring", sim.keyring]
    assert rekey(*words, SERIAL)[0] == OK
    assert ekeyd.setkey(sim.path, sim.keyring, MASTER, SERIAL) == 0
    assert rekey(*words, SERIAL)[0] == OK
    assert ltk(sim) in sim.keyring.read_text().splitlines()
