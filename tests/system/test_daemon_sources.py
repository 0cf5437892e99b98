"""Sources that come and go, and a pool that is full."""

import os
import pathlib
import re
import socket
import time

from house import SEED, stop
from processes import PATIENCE_S, program, run, wait_until
from stream import expected


def test_source_that_goes_and_comes_is_said_once_and_taken_again(house):
    sim = house.start_sim(rate=2000)
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.read(32)
    for connects in "2", "3":
        sim.kill()
        sim.wait()
        os.unlink(house.key)
        house.wait_state("waiting for ")
        sim = house.start_sim(rate=2000)
        house.wait_state("keyed")
        assert house.status()["source key"]["connects"] == connects
        assert len(house.read(3000)) == 3000
    assert house.count("is gone: ") == 2
    assert house.count("waiting for ") <= 4  # absent, then perhaps bound and not yet listening


def test_absent_source_is_said_once_however_often_it_is_tried(house):
    house.write_config(house.source())
    daemon = house.start_daemon()
    house.wait_state("waiting for ")
    time.sleep(1)  # a few tries
    stop(daemon)
    assert house.count("waiting for ") == 1


def test_who_hangs_up_at_once_is_said_once(house):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(house.key))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        house.write_config(house.source())
        daemon = house.start_daemon()
        for how in b"", b"unread", b"", b"unread":  # ECONNRESET, or EPIPE for who writes later
            caller = listener.accept()[0]
            if how:
                wait_until(lambda: caller.recv(1, socket.MSG_PEEK), "it speaks")
            caller.close()
        house.wait_state("closed by the other side")
        stop(daemon)
    assert house.count("waiting for ") == 1


def ticks(pid):
    """How often the process has been put to sleep or set aside: its wake-ups."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(n) for n in re.findall(r"ctxt_switches:\t(\d+)", text))


def settled(pid):
    """ticks() when it has gone to sleep after its last work."""

    def twice():
        first = ticks(pid)
        time.sleep(0.5)
        return first == ticks(pid) and first

    return wait_until(twice, "the daemon sleeps")


def test_full_pool_stops_the_reading_and_all_wake_ups(house):
    house.start_sim()
    house.write_config(house.source(), house.device_section(), pool="8KiB")
    daemon = house.start_daemon()
    house.wait_full()
    before, woken = house.status(), settled(daemon.pid)
    time.sleep(2)  # the time in which nothing must happen
    assert ticks(daemon.pid) == woken
    after = house.status()
    for key in "read_bytes", "undecoded_bytes":
        assert after["source key"][key] == before["source key"][key]
    assert after["pool -"]["level_bytes"] == "8192"
    assert house.read(100_000) == expected(SEED, 0, 100_000)


def test_removal_is_noticed_while_the_pool_is_full(house):
    sim = house.start_sim()
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.wait_full()
    sim.kill()
    house.wait_state("waiting for ")
    assert len(house.read(64 * 1024)) == 64 * 1024


def test_tty_that_vanishes_while_the_pool_is_full_is_noticed_without_spinning(house):
    sim = house.start_sim(listen=f"pty:{house.path}/tty")
    house.write_config(house.source(address=f"{house.path}/tty"))
    daemon = house.start_daemon()
    house.wait_full()
    sim.kill()
    house.wait_state("waiting for ")
    before = ticks(daemon.pid)
    time.sleep(1)
    assert ticks(daemon.pid) - before < 20  # the retries


# ---- two sections, each with a key of its own ----

KEYS = {"source first": "SIMULATEDKEY0001", "source second": "SIMULATEDKEY0002"}


def start_keys(house, rate):
    """A simulated key for each section, both long-term keys in the keyring."""
    lines, sections = "", []
    house.keyring.write_text("")
    for subject, serial in KEYS.items():
        name = subject.split()[1]
        own = house.path / f"keyring.{name}"
        house.start_sim("--serial", serial, "--keyring", own, rate=rate, listen=f"unix:{house.path}/{name}")
        lines += wait_until(lambda path=own: path.exists() and path.read_text(), "the key's line")
        sections.append(house.source(name, f"unix:{house.path}/{name}"))
    house.keyring.write_text(lines)
    return sections


def numbers(house, key):
    status = house.status()
    return [int(status[subject][key]) for subject in KEYS]


def test_full_pool_stops_each_of_two_sources_and_room_resumes_both(house):
    house.write_config(*start_keys(house, rate=1000), house.device_section(), pool="16KiB")
    house.start_daemon()
    for _ in range(3):
        for subject in KEYS:
            house.wait_full(subject)
        before = numbers(house, "blocks")
        house.read(16 * 1024)
        wait_until(lambda: all(a > b for a, b in zip(numbers(house, "blocks"), before)), "both resume")


def test_wipe_begins_the_session_of_each_of_two_keys_anew(house):
    house.write_config(*start_keys(house, rate=500))
    house.start_daemon()
    for resets in 1, 2, 3:
        for subject in KEYS:
            house.wait_state("keyed", subject)
        assert numbers(house, "resets") == [resets, resets]
        assert run(program("ekeyctl"), "-s", str(house.control), "wipe").returncode == 0


def test_keyring_that_is_loaded_anew_is_for_each_of_two_keys(house):
    house.write_config(*start_keys(house, rate=500))
    lines = house.keyring.read_text()
    house.keyring.write_text("")
    daemon = house.start_daemon()
    for subject in KEYS:
        house.wait_state("not in the keyring", subject)
    house.keyring.write_text(lines)
    house.reload(daemon)
    for subject in KEYS:
        house.wait_state("keyed", subject)
    assert numbers(house, "connects") == [1, 1]


def test_reload_stops_and_starts_the_second_of_two_sources(house):
    sections = start_keys(house, rate=500)
    house.write_config(*sections)
    daemon = house.start_daemon()
    for subject in KEYS:
        house.wait_state("keyed", subject)
    house.write_config(sections[0])
    house.reload(daemon)
    assert "source second" not in house.status()
    assert house.count("source second: stopped") == 1
    house.write_config(*sections)
    house.reload(daemon)
    house.wait_state("keyed", "source second")
    house.write_config(sections[1])
    house.reload(daemon)
    assert "source first" not in house.status()
    assert house.status()["source second"]["resets"] == "1", "it was left alone"
