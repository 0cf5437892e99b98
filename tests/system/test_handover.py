"""A daemon ends, the next one resumes its device from the service manager's store: no reader notices."""

import ctypes
import os
import pathlib
import re
import select
import signal
import socket
import time

import pytest

import egd
from device_client import Client, read_one, refused
from generations import kill, restart, status, succeed, succeeded
from processes import PATIENCE_S, Process, free_port, mounted, program, run, wait_until

ROUNDS = int(os.environ.get("ROUNDS", 50))
ABSENT = "unix:/nonexistent/key"
MIB = 1 << 20


def until_blocked(daemon, count):
    wait_until(lambda: int(daemon.status()["pool -"]["waiters"]) == count, f"{count} wait")


def resumed(daemon):
    return re.findall(r"resumed by fuse; open files: (\d+), blocked reads: (\d+)", daemon.log())


# ---- never an error, never a byte twice ----


@pytest.mark.parametrize("how", [kill, restart])
def test_readers_outlive_fifty_daemons(start_sim, start_managed, place, started, how):
    """Readers that block, poll and share, and are killed and interrupted themselves."""
    sim = start_sim(rate=2000)
    daemon = start_managed(sim=sim, pool="16KiB")
    crowd = ["many", str(daemon.device), sim.seed, str(24 * MIB), "32", str(28 * MIB)]
    readers = Process([program("tests/system/readers"), *crowd], place / "readers.log")
    started.append(readers)
    served, bytes_again = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        served.append(succeed(daemon, how)[0])
        assert len(Client(read_one, daemon.device, 16).result()) == 16
        bytes_again.append(time.monotonic() - began)
        assert readers.running(), readers.log()
    assert readers.stop() == 0, readers.log()
    print(readers.log())
    for what, s in ("served again", served), ("bytes again", bytes_again):
        print(f"{what} after at most {max(s):.2f} s, on average {sum(s) / len(s):.2f} s")
    assert max(served) < PATIENCE_S / 2 and max(bytes_again) < PATIENCE_S
    assert len(resumed(daemon)) == ROUNDS
    assert "0 bytes twice, 0 foreign" in readers.log()
    assert daemon.pool()["in"] == sum(daemon.pool()[key] for key in ("delivered", "lost", "held"))


def wait_by_poll(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    p = select.poll()
    p.register(fd, select.POLLIN)
    return p.poll(1000 * PATIENCE_S)[0][1], len(os.read(fd, 16))


def wait_by_select(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return len(select.select([fd], [], [], PATIENCE_S)[0]), len(os.read(fd, 16))


def wait_by_edges(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    e = select.epoll()
    e.register(fd, select.EPOLLIN | select.EPOLLET)
    return e.poll(PATIENCE_S)[0][1], len(os.read(fd, 16))


def read_slowly(path):
    return 1, len(read_one(path, 16))


@pytest.mark.parametrize("how", [kill, restart])
def test_blocked_readers_and_pollers_are_served_by_a_later_daemon(start_sim, start_managed, how):
    daemon = start_managed(address=ABSENT)
    waiting = [
        Client(wait, daemon.device)
        for wait in (wait_by_poll, wait_by_select, wait_by_edges, read_slowly)
    ]
    until_blocked(daemon, 4)
    for _ in range(3):
        succeed(daemon, how)
        until_blocked(daemon, 4)
    config = daemon.config.read_text()
    daemon.config.write_text(config.replace(ABSENT, start_sim().address))
    succeed(daemon, how)
    assert [client.result() for client in waiting] == [(1, 16)] * 4


def test_a_reader_of_the_previous_daemon_can_be_killed(start_managed):
    daemon = start_managed(address=ABSENT)
    readers = [Client(read_one, daemon.device, 16) for _ in range(2)]
    until_blocked(daemon, 2)
    succeed(daemon, kill)
    until_blocked(daemon, 2)
    readers[0].kill()
    until_blocked(daemon, 1)
    assert daemon.status()["device random"]["opens"] == "1"
    kill(daemon)
    readers[1].kill()  # while no daemon serves, or by the next one


def test_a_read_that_begins_between_two_daemons_is_answered(start_sim, start_managed):
    daemon = start_managed(sim=start_sim())
    daemon.service.may_start.clear()
    kill(daemon)
    reader = Client(read_one, daemon.device, 64)
    assert not reader.pipe.poll(0.3)
    daemon.service.may_start.set()
    assert len(reader.result()) == 64


def test_the_device_keeps_its_counters(start_sim, start_managed):
    daemon = start_managed(sim=start_sim())
    Client(read_one, daemon.device, 64).result()
    _, rows = succeed(daemon, kill)
    assert rows["device random"]["delivered"] == "64"
    assert rows["device random"]["requests"] == "1"


# ---- ends ----


def test_stopping_a_resumed_device_leaves_nothing(start_managed):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    succeed(daemon, kill)
    assert daemon.stop() == 0
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    assert not mounted(daemon.device)
    assert daemon.device.name not in os.listdir(daemon.device.parent)


def test_a_daemon_that_cannot_start_is_started_again(start_managed):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    config = daemon.config.read_text()
    daemon.config.write_text("nonsense")
    kill(daemon)
    wait_until(lambda: daemon.service.statuses.count(1) >= 2, "it was started again")
    daemon.config.write_text(config)
    wait_until(lambda: status(daemon), "another daemon serves")
    until_blocked(daemon, 1)
    reader.kill()


def test_a_configuration_that_stays_wrong_costs_no_device(start_managed):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    config = daemon.config.read_text()
    daemon.config.write_text("nonsense")
    kill(daemon)
    wait_until(lambda: daemon.service.statuses.count(1) >= 4, "it was started again and again")
    daemon.config.write_text(config)
    wait_until(lambda: status(daemon), "another daemon serves")
    until_blocked(daemon, 1)
    assert "discarding saved state" not in daemon.log()
    reader.kill()


def test_a_read_that_is_resumed_when_there_are_bytes_is_answered_once(start_managed, start_sim, place):
    """The directory of the device is missing at first, so that the sources begin before it."""
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    here = place / "here"
    text = daemon.config.read_text().replace(ABSENT, start_sim().address)
    daemon.config.write_text(text.replace(f"path = {place}", f"path = {here}"))
    kill(daemon)
    wait_until(lambda: status(daemon) and daemon.pool()["held"] >= 1024, "the sources have begun")
    here.symlink_to(place)
    assert len(reader.result()) == 16
    wait_until(lambda: daemon.status()["device random"]["opens"] == "0", "it is closed")
    assert daemon.stop() == 0
    assert daemon.service.statuses == [-signal.SIGKILL, 0]


def test_a_reload_discards_what_waits_to_be_resumed(start_managed, place):
    """The directory of the device is missing, and then its section."""
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    config = daemon.config.read_text()
    daemon.config.write_text(config.replace(f"path = {place}", f"path = {place}/here"))
    kill(daemon)
    wait_until(lambda: "waiting" in (status(daemon) or {}).get("device random", {}).get("state", ""), "it waits")
    daemon.config.write_text(config.partition("[device")[0])
    os.kill(daemon.pid, signal.SIGHUP)
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    wait_until(lambda: not mounted(daemon.device), "it is withdrawn")
    assert daemon.service.store.names() == ["ekey.starts"]
    assert daemon.stop() == 0


def test_a_second_instance_is_told_of_the_daemon_that_resumed(start_managed):
    daemon = start_managed(address=ABSENT)
    first = daemon.pid
    succeed(daemon, kill)
    assert daemon.pid != first
    assert f"process {daemon.pid} already serves it" in refused(daemon.device)
    assert daemon.stop() == 0


def test_a_reload_withdraws_a_resumed_device(start_managed, place):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    succeed(daemon, kill)
    daemon.config.write_text(daemon.config.read_text().partition("[device")[0])
    os.kill(daemon.pid, signal.SIGHUP)
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    wait_until(lambda: not mounted(daemon.device), "it is withdrawn")
    assert daemon.stop() == 0


# ---- what is not resumed ----


def changed(daemon, old, new):
    daemon.config.write_text(daemon.config.read_text().replace(old, new))
    return succeed(daemon, kill)[1]


def test_a_device_with_another_mode_is_published_anew(start_managed):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    rows = changed(daemon, "mode = 0444", "mode = 0440")
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    assert rows["device random"]["opens"] == "0"
    assert "cannot be resumed and is published again, its open files end: its mode was changed" in daemon.log()
    assert len(mounted(daemon.device)) == 1
    assert daemon.stop() == 0


@pytest.mark.parametrize("how", [kill, restart])
def test_a_device_with_another_path_leaves_nothing_at_the_old_one(start_managed, place, how):
    daemon = start_managed(address=ABSENT)
    old, daemon.device = daemon.device, place / "d"
    daemon.config.write_text(daemon.config.read_text().replace(str(old), str(daemon.device)))
    succeed(daemon, how)
    assert "its path was changed" in daemon.log()
    assert mounted(daemon.device) and not mounted(old)
    assert {".d.lock", "d"} == {name for name in os.listdir(place) if name in (".d.lock", "d", f".{old.name}.lock", old.name)}
    assert daemon.stop() == 0
    assert not mounted(daemon.device)


def test_a_device_that_is_no_longer_configured_is_withdrawn(start_managed):
    daemon = start_managed(address=ABSENT)
    section = "[device" + daemon.config.read_text().partition("[device")[2]
    changed(daemon, section, "")
    assert not mounted(daemon.device)
    assert daemon.device.name not in os.listdir(daemon.device.parent)
    assert daemon.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to unmount")
def test_a_device_that_was_unmounted_is_published_anew(start_managed):
    daemon = start_managed(address=ABSENT)
    previous = daemon.pid
    daemon.service.may_start.clear()
    kill(daemon)
    run("umount", "-l", str(daemon.device))
    daemon.service.may_start.set()
    wait_until(lambda: succeeded(daemon, previous), "another daemon serves")
    assert "cannot be resumed and is published again" in daemon.log()
    assert len(mounted(daemon.device)) == 1
    assert daemon.stop() == 0


# ---- what is in the store ----


def stored(table):
    return ["ekey.device.random.connection", "ekey.device.random.lock", f"ekey.device.random.table{table}", "ekey.starts"]


@pytest.mark.parametrize("how", [kill, restart])
def test_each_descriptor_has_a_name_of_its_own(start_managed, how):
    daemon = start_managed(address=ABSENT)
    wait_until(lambda: daemon.service.store.names() == stored(0), "all is stored")
    assert daemon.status()["device random"]["handover"] == "service manager"
    for table in (1, 0):
        succeed(daemon, how)
        wait_until(lambda: daemon.service.store.names() == stored(table), "the table is another")
    assert len(resumed(daemon)) == 2


def test_a_withdrawn_device_leaves_the_store(start_managed):
    daemon = start_managed(address=ABSENT)
    daemon.config.write_text(daemon.config.read_text().partition("[device")[0])
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: daemon.service.store.names() == ["ekey.starts"], "it is not stored any more")
    assert daemon.stop() == 0


def test_an_unknown_descriptor_is_removed_with_one_line(start_managed):
    daemon = start_managed(address=ABSENT)
    daemon.service.store.kept.append(("ekey.device.gone.connection", os.open("/dev/null", os.O_RDONLY)))
    daemon.service.store.kept.append(("ekey.nonsense", os.open("/dev/null", os.O_RDONLY)))
    succeed(daemon, restart)
    wait_until(lambda: daemon.service.store.names() == stored(1), "they are removed")
    assert daemon.log().count("discarded ekey.nonsense, which a previous daemon stored") == 1


def test_state_that_is_damaged_is_refused_and_the_device_published_anew(start_managed, start_sim):
    daemon = start_managed(sim=start_sim())
    reader = Client(read_one, daemon.device, 1 << 20)
    table = next(fd for name, fd in daemon.service.store.kept if name.endswith(".table0"))
    daemon.service.may_start.clear()
    kill(daemon)
    os.pwrite(table, b"\xff" * 4096, 8)
    previous = daemon.pid
    daemon.service.may_start.set()
    wait_until(lambda: succeeded(daemon, previous), "another daemon serves")
    assert "saved state cannot be used: it is inconsistent" in daemon.log()
    reader.kill()
    assert len(Client(read_one, daemon.device, 16).result()) == 16
    assert len(mounted(daemon.device)) == 1


def respawned(daemon, change):
    """The ends of the daemons while `change` is done to what a killed one left."""
    previous = daemon.pid
    daemon.service.may_start.clear()
    kill(daemon)
    change(daemon.service.store)
    daemon.service.may_start.set()
    wait_until(lambda: succeeded(daemon, previous), "another daemon serves")
    return daemon.service.statuses


def spoil_handshake(store):
    """The first request of a connection is neither FUSE_INIT nor CUSE_INIT."""
    table = next(fd for name, fd in store.kept if name.endswith(".table0"))
    os.pwrite(table, (15).to_bytes(4, "little"), 40)


def lose_connection(store):
    with store.lock:
        store.drop("ekey.device.random.connection")


@pytest.mark.parametrize("change", [spoil_handshake, lose_connection])
def test_saved_state_that_cannot_be_used_ends_no_daemon(start_managed, change):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    assert respawned(daemon, change) == [-signal.SIGKILL]
    assert "cannot be resumed and is published again" in daemon.log()
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    assert daemon.status()["device random"]["opens"] == "0"
    wait_until(lambda: daemon.service.store.names() == stored(0), "the new one is stored")
    assert daemon.stop() == 0


def test_saved_state_that_ends_three_daemons_is_discarded(start_managed):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    starts = next(fd for name, fd in daemon.service.store.kept if name == "ekey.starts")
    wait_until(lambda: os.pread(starts, 12, 0) == bytes(12), "it has served for a second")
    os.pwrite(starts, (3).to_bytes(4, "little") * 3, 0)
    succeed(daemon, kill)
    assert reader.error() in ("ECONNABORTED", "ENOTCONN")
    assert "discarding saved state: 3 daemons ended while resuming it" in daemon.log()
    assert "waiting 200 ms" in daemon.log()
    assert len(mounted(daemon.device)) == 1


def test_a_configuration_that_is_wrong_at_the_first_start_is_not_tried_again(start_managed):
    daemon = start_managed(address=ABSENT)
    assert daemon.stop() == 0
    daemon.kill()
    daemon.config.write_text("nonsense")
    daemon.begin()
    assert daemon.wait() == 78


def test_restarting_without_a_service_manager_is_refused(start_daemon):
    daemon = start_daemon(address=ABSENT)
    os.kill(daemon.pid, signal.SIGUSR2)
    wait_until(lambda: "SIGUSR2: ignored: no service manager" in daemon.log(), "the line")
    assert daemon.status()["device random"]["handover"] == "none"
    assert daemon.stop() == 0


# ---- listening sockets ----


@pytest.mark.parametrize("how", [kill, restart])
def test_a_client_that_connects_between_two_daemons_waits_and_is_served(start_managed, start_sim, place, how):
    daemon = start_managed(sim=start_sim())
    daemon.config.write_text(daemon.config.read_text() + egd.section(f"unix:{place}/egd"))
    succeed(daemon, restart)
    assert "ekey.listen.egd" in daemon.service.store.names()
    previous = daemon.pid
    daemon.service.may_start.clear()
    how(daemon)
    wait_until(lambda: daemon.child.poll() is not None, "it has ended")
    with egd.Client(place / "egd").say(egd.read(16)) as c:
        daemon.service.may_start.set()
        assert len(c.hear(16)) == 16
    wait_until(lambda: succeeded(daemon, previous), "another daemon serves")
    assert daemon.stop() == 0
    assert not (place / "egd").exists()


def refuses(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def test_a_listener_with_another_address_leaves_no_socket_behind(start_managed, start_sim):
    """Ports in turn, for what stays in the store takes the place of what is there later."""
    daemon = start_managed(sim=start_sim())
    config = daemon.config.read_text()
    one, two = free_port(), free_port()
    for port, other in (one, two), (two, one), (one, two):
        daemon.config.write_text(config + egd.section(f"tcp:127.0.0.1:{port}"))
        succeed(daemon, restart)
        with egd.Client(("127.0.0.1", port)) as c:
            assert len(c.ask(16)) == 16
        assert refuses(other)
    daemon.config.write_text(config + egd.section("systemd:absent"))
    succeed(daemon, restart)
    assert refuses(one)
    assert "ekey.listen.egd" not in daemon.service.store.names()


def test_a_listener_that_gives_up_its_address_is_not_in_the_way(start_managed, start_sim):
    """One of all interfaces becomes one of this machine; two change places."""
    daemon = start_managed(sim=start_sim())
    config = daemon.config.read_text()
    one, two = free_port(), free_port()
    for a, b in (f"0.0.0.0:{one}", f"127.0.0.1:{two}"), (f"127.0.0.1:{one}", f"127.0.0.1:{two}"), (
            f"127.0.0.1:{two}", f"127.0.0.1:{one}"):
        sections = egd.section(f"tcp:{a}", "a", allow="127.0.0.0/8") + egd.section(f"tcp:{b}", "b")
        daemon.config.write_text(config + sections)
        succeed(daemon, restart)
        rows = daemon.status()
        assert (rows["listen a"]["class"], rows["listen b"]["class"]) == ("direct", "direct"), daemon.log()


def test_a_listener_that_is_not_resumed_leaves_nothing_at_its_path(start_managed, start_sim, place):
    """Its path is another one; then it is not configured any more."""
    daemon = start_managed(sim=start_sim())
    config = daemon.config.read_text()
    for text, there in (egd.section(f"unix:{place}/a"), {"a"}), (egd.section(f"unix:{place}/b"), {"b"}), ("", set()):
        daemon.config.write_text(config + text)
        succeed(daemon, restart)
        assert {"a", "b"} & set(os.listdir(place)) == there


def test_a_listener_whose_path_was_removed_is_bound_anew(start_managed, start_sim, place):
    daemon = start_managed(sim=start_sim())
    daemon.config.write_text(daemon.config.read_text() + egd.section(f"unix:{place}/egd"))
    succeed(daemon, restart)
    (place / "egd").unlink()
    for _ in range(3):
        succeed(daemon, restart)
        with egd.Client(place / "egd") as c:
            assert len(c.ask(16)) == 16
    assert daemon.service.store.names().count("ekey.listen.egd") == 1


def test_a_stop_finishes_the_replies_that_were_begun(start_managed, start_sim, place):
    """The client reads nothing before the daemon stops; whole replies are what it has then."""
    daemon = start_managed(sim=start_sim())
    daemon.config.write_text(daemon.config.read_text() + egd.section(f"unix:{place}/egd"))
    succeed(daemon, restart)
    with egd.Client(place / "egd").say(egd.read(200) * 20) as c:
        wait_until(lambda: int(daemon.status()["listen egd"]["requests"]) == 20, "all are answered")
        assert daemon.stop() == 0
        assert len(c.hear_all()) == 20 * 200


# ---- a daemon that hangs ----

PTRACE_ATTACH = 16


def hold(pid):
    """Stops the first thread of a process, and only that, until we are killed."""
    assert ctypes.CDLL(None).ptrace(PTRACE_ATTACH, pid, None, None) == 0
    time.sleep(10 * PATIENCE_S)


def ended(pid):
    """It waits for whoever holds it to look away."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to stop a thread of another")
def test_a_daemon_whose_loop_hangs_is_ended_and_its_reader_served(start_sim, start_managed):
    daemon = start_managed(address=ABSENT)
    reader = Client(read_one, daemon.device, 16)
    until_blocked(daemon, 1)
    daemon.config.write_text(daemon.config.read_text().replace(ABSENT, start_sim().address))
    previous = daemon.pid
    holder = Client(hold, previous)
    wait_until(lambda: ended(previous), "its watchdog has ended it", 3 * PATIENCE_S)
    holder.kill()
    assert len(reader.result()) == 16
    assert -signal.SIGABRT in daemon.service.statuses


# ---- a part that cannot be started ----


def test_a_broken_file_of_a_listener_ends_no_resumed_device(start_managed, start_sim, place):
    """The pre-shared keys are being edited when the daemon is killed."""
    psk = place / "psk"
    psk.write_text(f"web1:{'42' * 32}\n")
    psk.chmod(0o600)
    daemon = start_managed(sim=start_sim())
    reader = Client(read_one, daemon.device, 16)
    assert len(reader.result()) == 16
    address = f"tls:127.0.0.1:{free_port()}"
    daemon.config.write_text(daemon.config.read_text() + egd.section(address, psk=psk))
    succeed(daemon, restart)
    psk.write_text("half a li")
    succeed(daemon, kill)
    assert len(Client(read_one, daemon.device, 16).result()) == 16
    assert len(resumed(daemon)) == 2
    assert "waiting, next try in" in daemon.status()["listen egd"]["state"]
    psk.write_text(f"web1:{'42' * 32}\n")
    wait_until(lambda: "clients" in daemon.status()["listen egd"], "it listens")
