"""A daemon goes and another one comes: the clients of EGD keep their connections."""

import concurrent.futures
import os
import pathlib
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from certificates import Root
from egd import Client, free_port, read, section
from generations import kill, restart, succeed, succeeded
from house import as_root
from manager import Managed, Manager, needs_libsystemd
from processes import PATIENCE_S, Process, core, program, run, wait_until

ROUNDS = int(os.environ.get("ROUNDS", 50))
ABSENT = "unix:/nonexistent/key"
MIB = 1 << 20
both = pytest.mark.parametrize("how", [kill, restart])


@pytest.fixture
def unix(place):
    return place / "egd"


def listening(daemon, *sections, how=restart):
    """The daemon, when it has these too."""
    daemon.config.write_text("".join([daemon.config.read_text(), *sections]))
    succeed(daemon, how)
    return daemon


@pytest.fixture
def waiting(start_daemon, unix):
    """A daemon without a key, and all who ask wait."""
    return listening(start_daemon(address=ABSENT), section(f"unix:{unix}"))


def changed(daemon, old, new, how=kill):
    text = daemon.config.read_text()
    assert old in text
    daemon.config.write_text(text.replace(old, new))
    return succeed(daemon, how)[1]


def until_clients(daemon, count, name="egd"):
    wait_until(lambda: daemon.status()[f"listen {name}"]["clients"] == str(count), f"{count} clients")


def until_waiting(daemon, count):
    wait_until(lambda: daemon.status()["pool -"]["waiters"] == str(count), f"{count} wait")


def is_closed(client):
    return client.hear_all() == b""


# ---- never an error, never a byte twice ----


def served_again(path, length):
    """Whoever comes is served, with so many bytes."""
    with Client(path) as c:
        for _ in range(length // 255):
            assert len(c.ask(255)) == 255


@both
def test_a_crowd_of_clients_outlives_fifty_daemons(start_sim, start_daemon, place, unix, started, how):
    """Clients of all kinds, over Unix and TCP: some half-close, some leave with answers owed."""
    sim = start_sim(rate=30000)
    port = free_port()
    daemon = listening(
        start_daemon(sim=sim, pool="16KiB"),
        section(f"unix:{unix}", "unix", max_clients=4096),
        section(f"tcp:127.0.0.1:{port}", "tcp", max_clients=4096),
    )
    crowd = ["many", f"unix:{unix},tcp:{port}", sim.seed, str(256 * MIB), "32", str(32 * MIB)]
    readers = Process(["env", "CALM=1", program("tests/system/readers"), *crowd], place / "readers.log")
    started.append(readers)
    served, bytes_again = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        served.append(succeed(daemon, how)[0])
        served_again(unix, 1024)
        bytes_again.append(time.monotonic() - began)
        assert readers.running(), readers.log() + daemon.log()
    assert readers.stop(timeout=4 * PATIENCE_S) == 0, readers.log()
    print(readers.log())
    for what, s in ("served again", served), ("bytes again", bytes_again):
        print(f"{what} after at most {max(s):.2f} s, on average {sum(s) / len(s):.2f} s")
    assert max(served) < PATIENCE_S / 2 and max(bytes_again) < PATIENCE_S
    assert "0 bytes twice, 0 foreign" in readers.log()


@both
def test_what_is_owed_comes_whole_and_in_order_from_a_later_one(waiting, start_sim, unix, how):
    asked = [read(n) for n in (3, 255, 16)]
    with Client(unix) as c, Client(unix) as half:
        c.say(b"\0\1\x20" + b"\0".join(asked))
        half.say(read(64)).half_close()
        until_waiting(waiting, 2)
        for _ in range(3):
            succeed(waiting, how)
            until_waiting(waiting, 2)
        sim = start_sim()
        changed(waiting, ABSENT, sim.address, how)
        assert c.hear(4) == bytes(4) and c.hear(1) == b"\0"
        heard = [c.hear(3)]
        for length in (255, 16):
            level = struct.unpack(">I", c.hear(4))[0]
            assert level % 8 == 0 and level <= 8 * 65536
            heard.append(c.hear(length))
        heard.append(half.hear_all())
        assert list(map(len, heard)) == [3, 255, 16, 64]
        places = sorted(sim.expected(0, 4096).find(piece) for piece in heard)
        assert places[0] >= 0 and len(set(places)) == 4


@both
def test_a_reply_that_left_in_part_is_completed(start_sim, start_daemon, unix, how):
    """A client that does not read, until its socket is full in the middle of a reply."""
    daemon = listening(start_daemon(sim=start_sim()), section(f"unix:{unix}"))
    count = 4000
    with Client(unix) as c:
        c.say(read(255) * count)
        wait_until(lambda: daemon.status()["listen egd"]["delivered"] == str(
            wait_until(lambda: daemon.status()["listen egd"]["delivered"], "it is served")
        ), "the socket is full")
        for _ in range(3):
            succeed(daemon, how)
        heard = c.half_close().hear_all()
    assert len(heard) == 255 * count
    rows = daemon.status()["listen egd"]
    assert int(rows["delivered"]) == 255 * count and int(rows["lost"]) > 0
    assert len({heard[i : i + 15] for i in range(0, len(heard), 15)}) == 17 * count


def test_who_connects_while_nobody_serves_is_served(start_sim, start_daemon, unix):
    port = free_port()
    daemon = listening(
        start_daemon(sim=start_sim()), section(f"unix:{unix}"), section(f"tcp:127.0.0.1:{port}", "tcp")
    )
    former = core(daemon.child.pid)
    os.kill(daemon.child.pid, signal.SIGSTOP)
    os.kill(former, signal.SIGKILL)
    clients = [Client(where).say(read(16)) for where in (unix, ("127.0.0.1", port)) for _ in range(3)]
    os.kill(daemon.child.pid, signal.SIGCONT)
    assert [len(c.hear(16)) for c in clients] == [16] * 6


def test_who_was_accepted_and_no_more_is_served_by_the_next(start_sim, start_daemon, place, monkeypatch):
    order, unix, port = place / "order", place / "egd", free_port()
    monkeypatch.setenv("EKEY_DIES_AT", str(order))
    daemon = listening(
        start_daemon(sim=start_sim(), binary=program("tests/other/ekey-randomd-accepting")),
        section(f"unix:{unix}"), section(f"tcp:127.0.0.1:{port}", "tcp"),
    )
    for where in (unix, ("127.0.0.1", port)) * 2:
        former = core(daemon.child.pid)
        order.touch()
        with Client(where) as c:
            assert len(c.ask(16)) == 16
            assert core(daemon.child.pid) != former and not order.exists()
    assert daemon.log().count("1 connection of a former daemon goes on") == 4


def come_and_go(where, stop):
    """How many were served."""
    served = 0
    while not stop.is_set():
        with Client(where) as c:
            assert len(c.ask(16)) == 16
        served += 1
    return served


@both
def test_whoever_comes_at_any_moment_is_served(start_sim, start_daemon, unix, how):
    """Nobody is lost between the listener and the ledger."""
    port = free_port()
    daemon = listening(
        start_daemon(sim=start_sim()), section(f"unix:{unix}"), section(f"tcp:127.0.0.1:{port}", "tcp")
    )
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        crowd = [pool.submit(come_and_go, where, stop) for where in [unix, ("127.0.0.1", port)] * 2]
        try:
            for _ in range(ROUNDS):
                succeed(daemon, how)
        finally:
            stop.set()
    print([served.result() for served in crowd])


@as_root
@both
def test_a_guest_of_xen_keeps_its_channel(start_sim, start_daemon, place, how):
    """We are its QEMU, which takes one connection, and gives what comes to the guest."""
    with socket.socket(socket.AF_UNIX) as qemu:
        qemu.bind(str(place / "ekey-web"))
        os.chmod(place / "ekey-web", 0o600)
        qemu.listen(1)
        qemu.settimeout(PATIENCE_S)
        daemon = listening(start_daemon(address=ABSENT), section(f"xen:{place}", "guests"))
        channel, _ = qemu.accept()
        channel.settimeout(PATIENCE_S)
        channel.sendall(read(32))
        until_waiting(daemon, 1)
        for _ in range(3):
            succeed(daemon, how)
            until_waiting(daemon, 1)
        changed(daemon, ABSENT, start_sim().address, how)
        assert len(channel.recv(32, socket.MSG_WAITALL)) == 32
        qemu.setblocking(False)
        with pytest.raises(BlockingIOError):
            qemu.accept()
        qemu.settimeout(PATIENCE_S)
        channel.close()
        again, _ = qemu.accept()  # the guest is started anew
        again.settimeout(PATIENCE_S)
        again.sendall(read(16))
        assert len(again.recv(16, socket.MSG_WAITALL)) == 16
        again.close()


def test_more_connections_than_one_message_carries_go_on(start_sim, start_daemon, unix):
    count = 600
    daemon = listening(start_daemon(address=ABSENT), section(f"unix:{unix}", max_clients=4 * count))
    clients = [Client(unix).say(read(16)) for _ in range(count)]
    until_waiting(daemon, count)
    succeed(daemon, kill)
    until_waiting(daemon, count)
    changed(daemon, ABSENT, start_sim().address)
    assert len({c.hear(16) for c in clients}) == count
    for c in clients:
        c.close()


def test_a_daemon_that_cannot_start_leaves_them_to_the_next(waiting, start_sim, place, unix):
    taken = place / "taken"
    taken.write_text("no socket")
    config = waiting.config.read_text()
    with Client(unix).say(read(16)) as c:
        until_waiting(waiting, 1)
        waiting.config.write_text(config.replace(str(waiting.control), str(taken)))
        kill(waiting)
        wait_until(lambda: "ended with status 1: another one tries" in waiting.log(), "it tried")
        waiting.config.write_text(config.replace(ABSENT, start_sim().address))
        assert len(c.hear(16)) == 16


def test_counters_go_on(start_sim, start_daemon, unix):
    daemon = listening(start_daemon(sim=start_sim()), section(f"unix:{unix}"))
    with Client(unix) as c:
        assert len(c.ask(64)) == 64
        rows = succeed(daemon, kill)[1]["listen egd"]
        assert (rows["delivered"], rows["requests"], rows["accepted"]) == ("64", "1", "1")
        assert len(c.ask(16)) == 16
    wait_until(lambda: daemon.status()["listen egd"]["ended_done"] == "1", "its end is counted")
    assert daemon.status()["listen egd"]["delivered"] == "80"


def test_nothing_grows_from_daemon_to_daemon(waiting, unix):
    def fds():
        """Of the parent, and of the daemon."""
        pids = waiting.child.pid, core(waiting.child.pid)
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]

    with Client(unix).say(read(16)):
        until_waiting(waiting, 1)
        succeed(waiting, kill)
        before = fds()
        for _ in range(10):
            succeed(waiting, kill)
        wait_until(lambda: all(now <= then for now, then in zip(fds(), before)), f"no more than {before}")


# ---- who is not gone on with ----


def test_connections_with_tls_are_closed_and_come_again(start_sim, start_daemon, place):
    root, port = Root(place), free_port()
    cert, key = root.issue("host", "IP:127.0.0.1")
    daemon = listening(start_daemon(sim=start_sim()), section(
        f"tls:127.0.0.1:{port}", cert=cert, key=key, allow="127.0.0.0/8"))
    context = root.context()
    for how in kill, restart:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as c:
                c.sendall(read(16))
                assert c.recv(16)
                succeed(daemon, how)
                with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                    assert c.recv(16) == b"", "a byte of nobody's"
                    raise ConnectionResetError  # in order, by a restart


@both
def test_a_listener_that_is_no_longer_configured_goes(waiting, unix, how):
    with Client(unix).say(read(16)) as c:
        until_waiting(waiting, 1)
        changed(waiting, section(f"unix:{unix}"), "", how)
        assert is_closed(c)
    assert not unix.exists()
    wait_until(lambda: waiting.status()["pool -"]["waiters"] == "0", "nobody waits")


def test_a_listener_of_another_name_and_mode_goes_on(waiting, unix):
    with Client(unix).say(read(16)):
        until_waiting(waiting, 1)
        changed(waiting, "[listen egd]\n", "[listen other]\nmode = 0640\n")
        until_waiting(waiting, 1)
        until_clients(waiting, 1, "other")
    assert unix.stat().st_mode & 0o777 == 0o640


def test_a_listener_whose_path_was_removed_is_opened_anew(waiting, unix):
    with Client(unix).say(read(16)):
        until_waiting(waiting, 1)
        unix.unlink()
        succeed(waiting, kill)
        until_waiting(waiting, 1)
        with Client(unix).say(read(16)):
            until_waiting(waiting, 2)


def test_a_client_that_is_no_longer_allowed_is_refused(start_daemon):
    port = free_port()
    daemon = listening(start_daemon(address=ABSENT), section(f"tcp:127.0.0.1:{port}", allow="127.0.0.0/8"))
    with Client(("127.0.0.1", port)).say(read(16)) as c, Client(("127.0.0.1", port), "127.0.0.2") as other:
        other.say(read(16))
        until_waiting(daemon, 2)
        changed(daemon, "allow = 127.0.0.0/8", "allow = 127.0.0.2")
        assert is_closed(c)
        until_waiting(daemon, 1)


def test_the_last_places_are_no_question_of_who_was_there_before(start_daemon):
    """Places that were left are taken in another order than that in which the next daemon looks."""
    port = free_port()
    daemon = listening(
        start_daemon(address=ABSENT), section(f"tcp:127.0.0.1:{port}", max_clients=16), how=restart
    )

    def come(number, asks=True):
        client = Client(("127.0.0.1", port), f"127.0.0.{number}")
        return client.say(read(16)) if asks else client

    leaves = {0, 1, 2, 13}
    first = []
    for i in range(14):
        first.append(come(100 + i, i not in leaves))
        until_clients(daemon, len(first))
    for count, i in enumerate((0, 1, 2, 13), 1):
        first[i].socket.close()
        until_clients(daemon, 14 - count)
    later = []
    for number in (2, 2, 3, 4):
        later.append(come(number))
        until_clients(daemon, 10 + len(later))
    until_waiting(daemon, 14)
    succeed(daemon, kill)
    until_waiting(daemon, 14)
    assert "closed" not in daemon.log()


def heir(pid):
    """Of the daemon with this pid. It has another name at first."""

    def named():
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        names = {pathlib.Path(f"/proc/{child}/comm").read_text().strip(): int(child) for child in children}
        return names.get("ekey-heir")

    return wait_until(named, "it has an heir")


def test_without_its_heir_connections_end_and_the_doctor_says_so(waiting, unix):
    doctor = [program("ekeyctl"), "--socket", str(waiting.control), "doctor"]
    armed = "ok   listen egd: handover is armed by heir"
    assert armed in run(*doctor).stdout
    with Client(unix).say(read(16)) as c:
        until_waiting(waiting, 1)
        os.kill(heir(core(waiting.child.pid)), signal.SIGKILL)
        assert "BAD  listen egd: handover is not armed" in run(*doctor).stdout
        succeed(waiting, kill)
        assert is_closed(c)
    assert armed in run(*doctor).stdout


# ---- the end, and the service manager ----


def test_stopping_leaves_nothing(waiting, unix):
    with Client(unix).say(read(16)) as c:
        until_waiting(waiting, 1)
        succeed(waiting, kill)
        last = heir(core(waiting.child.pid))
        assert waiting.stop() == 0
        assert is_closed(c)
    assert not unix.exists()
    wait_until(lambda: not os.path.exists(f"/proc/{last}"), "its heir has ended too")


@needs_libsystemd
def test_the_service_manager_keeps_connections_over_a_restart(place, start_sim, waiting, unix):
    manager = Manager(place / "notify")
    managed = Managed(manager, waiting)
    try:
        with Client(unix).say(read(16)) as c:
            for _ in range(3):
                until_waiting(waiting, 1)
                waiting.child.send_signal(signal.SIGUSR2)
                assert waiting.child.wait(PATIENCE_S) == 0
                managed.start()
            until_waiting(waiting, 1)
            changed(waiting, ABSENT, start_sim().address)
            assert len(c.hear(16)) == 16
        assert waiting.stop() == 0
        assert manager.names() == []
    finally:
        manager.close()
