"""ekeyctl rekey: a new long-term key, through the daemon and without it, and all that goes wrong.

The simulated key judges: its long-term key is compared with the keyring's line.
"""

import os
import pathlib
import re
import signal
import stat
import subprocess
import time

import pytest

import ekeyd
from ekeyd import Ekeyd
from processes import program, run, wait_until
from terminal import Terminal

SERIAL = "SIMULATEDKEY0001"
MASTER = "6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6m"
OTHER_MASTER = "hIONmxnOV+7CbbJ4/Rv/65t4S/RwcPLe5Io72/9SLTM="
PROMPT = "(it is not shown): "

OK, USAGE, NO_SOCKET, REFUSED, NO_KEY, BAD_MASTER, KEYRING, NOT_STORED = 0, 1, 3, 8, 9, 10, 11, 12


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
    assert run(program("ekeyctl"), "-s", daemon.control, "keyring").stdout == ""
    status, said = rekey("--socket", daemon.control, SERIAL)
    assert status == OK, said
    assert sim.keyring.read_text() == ltk(sim) + "\n"
    assert stat.S_IMODE(sim.keyring.stat().st_mode) in (0o600, 0o640)
    assert daemon.status()["source key"]["state"] == "keyed"
    assert run(program("ekeyctl"), "-s", daemon.control, "keyring").stdout == SERIAL + "\n"


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


def refused(sim, rekey, words, want, says, serial=SERIAL, **options):
    before, stored = ltk(sim), sim.keyring.read_text()
    status, said = rekey(*words, serial, **options)
    assert status == want, said
    assert says in said
    assert ltk(sim) == before
    assert sim.keyring.read_text() == stored
    assert not [name for name in os.listdir(sim.place) if name.startswith(".keyring")]


def test_wrong_master_key(way, rekey):
    words, sim = way()
    refused(sim, rekey, words, REFUSED, "not its master key", typed=OTHER_MASTER)
    assert counters(sim)["lt_refused"] == 1


def test_wrong_checksum_is_seen_before_anything_is_sent(way, rekey):
    words, sim = way()
    resets = counters(sim)["resets"]
    for typed in (MASTER[:-1] + "n", MASTER[:-1], MASTER + "A", "", "x" * 300):
        refused(sim, rekey, words, BAD_MASTER, "no master key", typed=typed)
    assert counters(sim)["resets"] == resets
    assert counters(sim)["lt_macs"] == 0


def test_wrong_serial(way, rekey):
    words, sim = way()
    typed = MASTER if "--device" in words else None
    says = "another key answered" if typed else f"plugged in: {SERIAL}"
    refused(sim, rekey, words, NO_KEY, says, serial="AAECAxAREhOrrK2u", typed=typed)
    refused(sim, rekey, words, USAGE, "no serial number", serial="short", typed=None)


def test_locked_out_device(way, rekey):
    words, sim = way("--lt-locked")
    refused(sim, rekey, words, REFUSED, "locked out")
    assert counters(sim)["lt_rekeys"] == 0


def test_lock_that_opens_at_the_next_try(way, rekey):
    words, sim = way("--lt-locked=1")
    assert rekey(*words, SERIAL)[0] == OK
    assert sim.keyring.read_text() == ltk(sim) + "\n"


def test_key_that_does_not_answer(way, rekey):
    words, sim = way()
    sim.child.send_signal(signal.SIGSTOP)
    refused(sim, rekey, words, NO_KEY, "does not answer")
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
    words = ["--device", sim.path, "--keyring", sim.keyring]
    refused(sim, rekey, words, NO_KEY, "ekey-randomd runs?", typed=None)


@pytest.mark.parametrize("address", ["usb", f"usb:{SERIAL}"])
def test_key_that_is_not_on_usb(place, on_terminal, address):
    terminal = on_terminal("--device", address, "--keyring", place / "keyring", "rekey", SERIAL)
    assert terminal.wait() == NO_KEY
    assert f"ekeyctl: {address}: not plugged in" in terminal.output


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


# ---- the keyring ----


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
    untouched(sim, rekey, [*words, sim.place], "Invalid")


def test_keyring_that_is_a_link_or_damaged_is_left_alone(start_key, rekey):
    sim = start_key()
    link = sim.place / "link"
    link.symlink_to(sim.keyring)
    untouched(sim, rekey, ["--device", sim.path, "--keyring", link], "symbolic link")
    assert link.is_symlink()
    sim.keyring.write_text("what is this\n")
    words = ["--device", sim.path, "--keyring", sim.keyring]
    untouched(sim, rekey, words, f"{sim.keyring}:1: ")
    assert sim.keyring.read_text() == "what is this\n"


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


# ---- the master key is seen by nobody ----


def forms(master):
    """The master key as text, as bytes, and in pieces of 16."""
    import base64

    raw = base64.b64decode(master)[:32]
    pieces = [master.encode(), raw]
    pieces += [raw[i : i + 16] for i in (0, 8, 16)]
    pieces += [master.encode()[i : i + 16] for i in (0, 14, 28)]
    return pieces + [raw.hex().encode()]


READABLE_MAX = 1 << 32  # bytes of one mapping; a sanitizer's shadow memory is larger by far


def memory(pid, dumped_only):
    """The writable memory of a process; without what is left out of core dumps, if so asked."""
    regions, flags = [], {}
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as smaps:
        for line in smaps:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line):
                regions.append(at := (int(match[1], 16), int(match[2], 16)))
                writable = "w" in match[3]
            elif line.startswith("VmFlags:"):
                flags[at] = writable and not (dumped_only and " dd" in line)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end in regions:
            if end - start > READABLE_MAX:
                pytest.skip("built with a sanitizer: its memory is too large to be searched")
            if flags[start, end]:
                mem.seek(start)
                yield mem.read(end - start)


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
    seen = [text for name in ("cmdline", "environ") for text in of_all_processes(name)]
    limits = (proc / "limits").read_text()
    assert re.search(r"Max core file size +0 +0", limits)
    assert terminal.wait() == OK, terminal.output
    logs = [path.read_bytes() for path in sim.place.glob("*.log")]
    assert logs and len(seen) > 2
    for text in [*seen, *logs, *cores, terminal.output.encode()]:
        for secret in secrets:
            assert secret not in text


def of_all_processes(name):
    """A file of each process but simulated keys: these are told their master key, as devices are."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text, program_path = (process / name).read_bytes(), os.readlink(process / "exe")
        except OSError:
            continue  # it has ended, or is the kernel's
        if not program_path.endswith("/ekey-sim"):
            yield text


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
