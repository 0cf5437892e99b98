"""ekeyctl doctor: what is well, what is not, and what to do about it."""

import os
import socket
import subprocess

import pytest

from egd import section
from house import as_root
from processes import PATIENCE_S, free_port, program, run, wait_until

WELL, ILL, NO_SOCKET = 0, 15, 3


def doctor(house):
    result = run(program("ekeyctl"), "--socket", str(house.control), "doctor")
    return result.returncode, result.stdout


def test_all_is_well(house):
    house.start_sim()
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.wait_full()
    status, said = doctor(house)
    assert (status, said.count("BAD")) == (WELL, 0), said
    assert f"ok   device random: {house.device} by fuse" in said
    assert "ok   device random: ends with the daemon, because no service manager keeps it" in said
    assert "ok   source key: " in said and "ok   pool -: has received bytes" in said


def test_a_device_that_outlives_its_daemon_is_told(house):
    house.start_sim()
    house.write_config(house.source(), house.device_section())
    house.start_service()
    house.wait_full()
    assert "device random: outlives restarts and crashes of the daemon, kept by the service manager" in doctor(house)[1]


def test_a_source_that_is_away_is_told_with_what_to_do(house):
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    status, said = doctor(house)
    assert status == ILL
    assert "BAD  source key: waiting for unix:" in said
    assert "BAD  pool -: no healthy byte yet" in said
    assert "is it plugged in" in said


@pytest.mark.parametrize("expect, problem", (("", "no key is present"), ("expect = 2\n", "0 of 2 expected keys present")))
def test_a_key_that_is_not_plugged_in_is_told(house, expect, problem):
    house.write_config("[source keys]\ntype = ekey\naddress = usb\n" + expect)
    house.start_daemon()
    status, said = doctor(house)
    assert status == ILL
    assert f"BAD  source keys: {problem}\n     plug it in" in said
    assert "there is none" not in said


def test_a_key_that_is_not_in_the_keyring_is_told_with_its_card(house):
    house.start_sim()
    house.keyring.write_text("# none\n")
    house.write_config(house.source())
    house.start_daemon()
    house.wait_state("its long-term key is not in the keyring")
    assert "have its card at hand and run: ekeyctl rekey SERIAL" in doctor(house)[1]


def test_an_agent_that_is_drained_or_not_open_is_told(house):
    port = free_port()
    agent = f"[agent]\naddress = tcp:127.0.0.1:{port}\n"
    with socket.create_server(("127.0.0.1", port)):
        house.write_config(house.source(), agent)
        daemon = house.start_daemon()
        status, said = doctor(house)
        assert status == ILL and f"BAD  agent -: is not open: tcp:127.0.0.1:{port}" in said
        assert house.count(f"agent tcp:127.0.0.1:{port}: Address already in use: another process listens there")
    house.reload(daemon)
    assert f"ok   agent -: tcp:127.0.0.1:{port}\n" in doctor(house)[1]
    run(program("ekeyctl"), "--socket", str(house.control), "drain")
    assert f"ok   agent -: tcp:127.0.0.1:{port}, drained: HAProxy sends no new clients\n" in doctor(house)[1]


@pytest.mark.parametrize("mode, said", ((0o444, None), (0o400, "BAD  device random: only root may read "),
                                        (None, "BAD  device random: there is no node at ")))
def test_a_node_of_cuse_must_be_there_and_open_to_readers(place, mode, said):
    """Of a stub's rows: CUSE itself is in guests."""
    node = place / "random"
    if mode is not None:
        node.touch(mode)
    rows = (("pool", "-", "in", 1), ("source", "key", "type", "ekey"), ("source", "key", "serves", "yes"),
            ("source", "key", "state", "keyed"), ("device", "random", "path", node),
            ("device", "random", "via", "cuse"), ("device", "random", "handover", "the service manager"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "control"))
        listener.listen()
        asked = subprocess.Popen([program("ekeyctl"), "--socket", place / "control", "doctor"],
                                 stdout=subprocess.PIPE, text=True)
        with listener.accept()[0] as connection:
            connection.sendall(b"PROTOCOL EKEYD/1\n")
            assert connection.recv(4096) == b"Status\n"
            connection.sendall("".join("*\t%s\t%s\t%s\t%s\n" % row for row in rows).encode() + b"OK\n")
            output = asked.communicate(timeout=PATIENCE_S)[0]
    assert asked.returncode == (ILL if said else WELL), output
    assert (f"{said}{node}\n" if said else f"ok   device random: {node} by cuse\n") in output


def test_a_device_that_is_not_served_is_told(house):
    house.start_sim()
    house.write_config(house.source())
    daemon = house.start_daemon()
    house.wait_full()
    house.device.write_text("precious")
    house.write_config(house.source(), house.device_section())
    house.reload(daemon)
    status, said = doctor(house)
    assert status == ILL and f"BAD  device random: is not served: {house.device}" in said


def test_a_device_that_this_machine_cannot_carry_waits_for_a_reload(house):
    house.write_config(house.device_section())
    bound = ["setpriv", "--bounding-set", "-sys_admin"] if os.geteuid() == 0 else []
    daemon = house.start(*bound, "env", "PATH=/nonexistent", program("ekey-randomd"), "-c", house.config,
                         log="daemon.log")
    wait_until(lambda: house.answers(daemon) and "device random" in house.status(), "it is up")
    assert house.status()["device random"]["state"] == "not tried again before a reload or restart"


def test_no_source_at_all_is_ill(house):
    house.write_config()
    house.start_daemon()
    wait_until(lambda: doctor(house)[0] == ILL, "it is ill")
    assert "BAD  sources -: there is none" in doctor(house)[1]


def test_without_a_daemon_it_says_so(house):
    status, said = doctor(house)
    assert status == NO_SOCKET and str(house.control) in said


def test_a_kernel_that_is_fed_is_well_with_or_without_credit(house):
    house.start_sim()
    house.write_config(house.source(), "[kernel]\ninterval = 1s\n")
    house.start_daemon()
    wait_until(lambda: "ok   kernel -: fed without credit; credit: not asked for" in doctor(house)[1], "it is well")


@as_root
def test_credit_that_the_kernel_refuses_is_told_with_what_to_do(house):
    house.start_sim()
    house.write_config(house.source(), "[kernel]\ninterval = 1s\ncredit = yes\n")
    daemon = house.start("setpriv", "--bounding-set", "-sys_admin", program("ekey-randomd"), "-c", house.config,
                         log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    told = "BAD  kernel -: bytes are mixed without the credit that is configured; none: CAP_SYS_ADMIN"
    wait_until(lambda: told in doctor(house)[1], "the missing capability is told")


def test_an_ekey_tls_that_is_not_there_is_told_with_what_to_do(house, monkeypatch):
    psk = house.path / "psk"
    psk.write_text(f"web1:{'42' * 32}\n")
    psk.chmod(0o600)
    house.write_config(section(f"tls:127.0.0.1:{free_port()}", psk=psk))
    monkeypatch.setenv("EKEY_TLS", str(house.path / "absent"))
    house.start_daemon()
    assert f"cannot start ekey-tls, without which there is no TLS: {house.path}/absent: No such file" in house.log()
    _, said = doctor(house)
    assert "BAD  tls -: ekey-tls does not serve: waiting, next try in " in said
    assert "systemctl status ekey-tls.socket" in said
