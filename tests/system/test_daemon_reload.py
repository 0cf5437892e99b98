"""SIGHUP: what changes, what stays, what is refused."""

import signal
import subprocess

import pytest

from house import SEED
from processes import PATIENCE_S, mounted, program
from stream import expected


def test_reload_takes_a_new_key_without_a_new_connection(house):
    house.start_sim(rate=500)
    keys = house.keyring.read_text()
    house.keyring.write_text("# none\n")
    house.write_config(house.source())
    daemon = house.start_daemon()
    house.wait_state("its long-term key is not in the keyring")
    assert house.count(f"is not in the keyring {house.keyring}") == 1
    house.keyring.write_text(keys)
    house.reload(daemon)
    house.wait_state("keyed")
    assert house.status()["source key"]["connects"] == "1"


def test_bad_reload_changes_nothing_and_names_the_line(house):
    house.start_sim(rate=500)
    house.write_config(house.source(), house.device_section())
    daemon = house.start_daemon()
    house.wait_state("keyed")
    house.config.write_text(house.config.read_text() + "moed = 0400\n")
    lines = len(house.config.read_text().splitlines())
    line = f"{house.config}:{lines}: unknown key 'moed' in [device]"
    house.reload(daemon, "SIGHUP: nothing was changed")
    assert house.count(line) == 1
    assert house.status()["source key"]["connects"] == "1"
    assert house.read(32) == expected(SEED, 0, 32)


@pytest.mark.parametrize("text, says", [
    ("not a key line\n{line}\n", "1: the serial number must have 16 characters; the line is ignored"),
    ("{line} # office\n", "1: unexpected text after the key"),
    ("{old}\n{line}\n", "2: this serial number has a key already: the last one is used"),
])
def test_keyring_of_ekeyd_that_is_not_in_order_is_used_at_the_start_and_after(house, text, says):
    house.start_sim("--ltk", "11" * 32, rate=500)
    line = house.keyring.read_text().strip()
    house.keyring.write_text(text.format(line=line, old=f"{line.split()[0]} {'A' * 43}="))
    house.write_config(house.source())
    daemon = house.start_daemon()
    house.wait_state("keyed")
    assert house.count(f"{house.keyring}:{says}\n") == 1
    assert house.count(f"{house.keyring}: 1 long-term key\n") == 1
    house.reload(daemon)
    assert house.count(f"{house.keyring}:{says}\n") == 2
    assert house.status()["source key"]["resets"] == "1"


def test_reload_keeps_what_did_not_change(house):
    house.start_sim(rate=500)
    house.write_config(house.source(), house.device_section())
    daemon = house.start_daemon()
    house.wait_state("keyed")
    second = house.path / "second"
    house.write_config(house.source("absent", f"unix:{house.path}/absent"), house.source(),
                       house.device_section(), house.device_section("second", second))
    house.reload(daemon)
    status = house.status()
    assert set(status) == {"daemon -", "pool -", "source absent", "source key", "device random",
                           "device second"}
    assert status["source key"]["connects"] == "1"
    assert status["source key"]["resets"] == "1"
    assert len(house.read(32, second)) == 32
    assert len(house.read(32)) == 32
    house.write_config(house.source(), house.device_section("second", second))
    house.reload(daemon)
    assert set(house.status()) == {"daemon -", "pool -", "source key", "device second"}
    assert house.status()["source key"]["connects"] == "1"
    assert not mounted(house.device)
    assert len(house.read(32, second)) == 32


def test_reload_moves_a_source_that_changed(house):
    house.start_sim(rate=500)
    house.write_config(house.source(address=f"unix:{house.path}/absent"))
    daemon = house.start_daemon()
    house.wait_state("waiting for ")
    house.write_config(house.source())
    house.reload(daemon)
    house.wait_state("keyed")


def test_reload_says_what_needs_a_restart(house):
    house.write_config()
    daemon = house.start_daemon()
    house.write_config(pool="128KiB")
    house.reload(daemon)
    assert house.count("[pool]: changes need a restart") == 1
    assert house.status()["pool -"]["size_bytes"] == "65536"


def test_reload_with_more_clients_says_that_the_pool_has_no_places_for_them(house):
    def listen(most):
        return f"[listen egd]\naddress = unix:{house.path}/egd\nmax-clients = {most}\n"

    house.start_sim(rate=500)
    house.write_config(house.source(), listen(10))
    daemon = house.start_daemon()
    for most, said in ((5, 0), (10, 0), (11, 1)):
        house.write_config(house.source(), listen(most))
        house.reload(daemon)
        assert house.count("max-clients together are more than the 10") == said


@pytest.mark.parametrize("number, answer", [(signal.SIGHUP, "SIGHUP: "), (signal.SIGTERM, "SIGTERM: stopping")])
@pytest.mark.parametrize("attempt", range(3))
def test_a_signal_to_a_daemon_that_is_starting_waits_for_its_handler(house, number, answer, attempt):
    house.write_config(house.source(), house.device_section())
    argv = [program("ekey-randomd"), "-c", house.config]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as daemon:
        lines = iter(daemon.stderr.readline, "")
        assert "ekey-randomd " in next(lines)
        daemon.send_signal(number)
        assert any(answer in line for line in lines)
        daemon.terminate()
        assert daemon.wait(PATIENCE_S) == 0
    assert not mounted(house.device)
