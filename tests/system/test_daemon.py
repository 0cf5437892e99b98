"""The daemon as its owner meets it: it runs, serves, becomes its user, stops."""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import termios

import pytest

from egd import section
from house import NOBODY, SEED, as_root, stop
from memory import family, name
from processes import BUILD, PATIENCE_S, STAY_ROOT, mounted, program, run, wait_until
from stream import expected


# ---- running ----


def test_the_directory_of_the_control_socket_is_made_and_its_parents_are_not(house):
    """After a boot /run has no /run/ekey-random."""
    house.control = house.path / "run" / "control"
    house.write_config()
    stop(house.start_daemon())
    assert os.listdir(house.control.parent) == []
    house.control = house.path / "no" / "such" / "control"
    house.write_config()
    result = subprocess.run([BUILD / "ekey-randomd", "-c", house.config], text=True,
                            stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{house.control}: No such file or directory; make its directory" in result.stderr


def test_runs_without_source_device_and_keyring(house):
    house.write_config()
    daemon = house.start_daemon()
    status = house.status()
    assert set(status) == {"daemon -", "pool -"}
    assert status["pool -"]["level_bytes"] == "0"
    stop(daemon)


def test_reader_gets_the_stream_of_the_key(house):
    house.start_sim()
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    assert house.read(1_000_000) == expected(SEED, 0, 1_000_000)


def test_reader_gets_the_stream_of_a_key_on_a_tty(house):
    house.start_sim(listen=f"pty:{house.path}/tty")
    house.write_config(house.source(address=f"{house.path}/tty"), house.device_section())
    house.start_daemon()
    assert house.read(300_000) == expected(SEED, 0, 300_000)


def test_a_tty_is_as_it_was_when_the_daemon_has_stopped(house):
    master, line = os.openpty()
    before = termios.tcgetattr(line)
    house.write_config(house.source(address=os.ttyname(line)))
    daemon = house.start_daemon()
    wait_until(lambda: termios.tcgetattr(line) != before, "the line is raw")
    stop(daemon)
    assert termios.tcgetattr(line) == before
    os.close(master)
    os.close(line)


def test_stops_within_a_second_with_readers_blocked(house):
    house.write_config(house.source(), house.device_section())
    daemon = house.start_daemon()
    readers = [house.start_reader() for _ in range(3)]
    stop(daemon)
    for reader in readers:
        assert reader.wait(PATIENCE_S) != 0
    assert not mounted(house.device)
    assert not house.control.exists()


def test_a_source_that_is_our_own_device_is_never_touched(house):
    """Under another spelling: the same one is an error of the configuration."""
    house.write_config(house.source(address=f"{house.path}//random"), house.device_section())
    daemon = house.start_daemon()
    house.wait_state("expected a tty")
    stop(daemon)


def test_interrupt_stops_as_well(house):
    house.write_config()
    daemon = house.start_daemon()
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(PATIENCE_S) == 0


def test_second_daemon_is_refused_and_the_first_serves_on(house):
    house.write_config()
    house.start_daemon()
    argv = [BUILD / "ekey-randomd", "-c", house.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"control socket {house.control}: another daemon answers there" in result.stderr
    assert house.status()


def test_started_without_standard_fds_the_log_goes_into_none_of_ours(house):
    house.write_config()
    shell = f"exec {BUILD}/ekey-randomd -c {house.config} 0<&- 1>&- 2>&-"
    daemon = house.start("sh", "-c", shell, log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    for fd in range(3):
        assert os.readlink(f"/proc/{daemon.pid}/fd/{fd}") == "/dev/null"
    stop(daemon)


def test_a_log_that_is_not_read_holds_neither_the_daemon_nor_its_readers(house):
    house.start_sim()
    house.write_config(house.source(), house.device_section())
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 8192)
    os.write(write, b"x" * 8192)
    daemon = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BUILD / "ekey-randomd", "-c", house.config],
                              stdin=subprocess.DEVNULL, stderr=write)
    house.children.append(daemon)
    wait_until(lambda: house.answers(daemon), "it answers")
    assert len(house.read(4096)) == 4096
    wipe = [program("ekeyctl"), "-s", str(house.control), "wipe"]
    assert run(*wipe).returncode == 0 and len(house.read(64)) == 64
    os.read(read, 8192)
    assert run(*wipe).returncode == 0
    said = os.read(read, 8192).decode()
    assert re.match(r"stderr was blocked: \d+ lines were dropped\nby order: wiped", said), said
    os.close(read)
    os.close(write)


def test_leaves_no_core(house):
    house.write_config()
    daemon = house.start_daemon()
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)


def test_entropy_and_keys_are_in_locked_memory(house):
    house.write_config(house.device_section(), pool="64KiB")
    daemon = house.start_daemon()
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    reply_kib = 32  # the longest answer of the device
    assert int(re.search(r"^VmLck:\s+(\d+) kB$", status, re.M)[1]) >= 64 + reply_kib
    assert "could not be locked" not in house.log()


@as_root
@pytest.mark.parametrize("user", [[], NOBODY], ids=["root", "nobody"])
def test_processes_are_not_their_users_to_look_into(house, user):
    """The kernel makes a process dumpable again when it executes a program or changes its user."""
    house.write_config("[kernel]\ncredit = yes\n", user="" if user else STAY_ROOT)
    house.path.chmod(0o755)
    os.chown(house.path, 65534, 65534)
    program = shutil.copy(BUILD / "ekey-randomd", house.path)
    daemon = house.start(*user, program, "-c", house.config, log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    wait_until(lambda: "ekey-rng" in [name(pid) for pid in family(daemon.pid)], "it is confined")
    for pid in family(daemon.pid):
        wait_until(lambda pid=pid: os.stat(f"/proc/{pid}/environ").st_uid == 0, f"{name(pid)} is root's")


@as_root
@pytest.mark.parametrize("user", [STAY_ROOT, "user = nobody\n"])
def test_helpers_end_when_the_daemon_is_killed(house, user):
    house.write_config("[kernel]\ncredit = yes\n", user=user)
    house.path.chmod(0o755)
    daemon = house.start_daemon()
    rest = family(daemon.pid)[1:]
    assert rest
    daemon.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in rest), "all have ended")


@as_root
def test_becomes_its_user_for_good(house):
    house.write_config(user="user = nobody\n")
    house.path.chmod(0o755)
    argv = ["setpriv", "--groups", "0,4", BUILD / "ekey-randomd", "-c", house.config]
    daemon = house.start(*argv, log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    nobody = subprocess.run(["id", "-u", "nobody"], stdout=subprocess.PIPE, text=True, check=True)
    ids = nobody.stdout.strip()
    assert re.search(rf"^Uid:\t{ids}\t{ids}\t{ids}\t{ids}$", status, re.M), status
    for kind in "Inh", "Prm", "Eff", "Amb":
        assert re.search(rf"^Cap{kind}:\t0+$", status, re.M), status
    groups = subprocess.run(["id", "-G", "nobody"], stdout=subprocess.PIPE, text=True, check=True)
    assert re.search(r"^Groups:\t(.*)$", status, re.M)[1].split() == groups.stdout.split()
    assert os.stat(f"/proc/{daemon.pid}/environ").st_uid == 0  # nobody's, were it dumpable
    assert "now user nobody" in house.log()
    stop(daemon)


@as_root
def test_a_mount_of_a_killed_daemon_that_dropped_root_is_cleared_by_the_next(house):
    house.write_config(house.device_section(), user="user = nobody\n")
    house.path.chmod(0o755)
    killed = house.start_daemon()
    killed.kill()
    killed.wait(PATIENCE_S)
    assert mounted(house.device)
    stop(house.start_daemon())
    assert house.count("clearing the dead mount") == 1
    assert not mounted(house.device)


@as_root
@pytest.mark.skipif(not os.path.exists("/etc/mtab"), reason="/etc/mtab is missing, for fusermount3")
def test_a_start_with_sigchld_ignored_mounts_without_root(house):
    house.write_config(house.device_section(), user="")
    house.path.chmod(0o755)
    os.chown(house.path, 65534, 65534)
    program = shutil.copy(BUILD / "ekey-randomd", house.path)  # where nobody may go too
    daemon = house.start(*NOBODY, "env", "--ignore-signal=CHLD", program, "-c", house.config,
                         log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    assert house.status()["device random"]["via"] == "fuse"
    stop(daemon)
    assert not mounted(house.device)


def test_two_devices_on_one_path_in_two_spellings_are_told(house):
    twin = house.device_section("twin", f"{house.path}//random")
    house.write_config(house.device_section(), twin)
    argv = [BUILD / "ekey-randomd", "-c", house.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{house.device}: another [device] of ours already serves it" in result.stderr
    assert not mounted(house.device)


def test_unknown_user_ends_the_start(house):
    house.config.write_text(
        f"[daemon]\nuser = no-such-user\ncontrol = {house.control}\nkeyring = {house.keyring}\n"
    )
    argv = [BUILD / "ekey-randomd", "-c", house.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert "cannot become user no-such-user: " in result.stderr


# ---- many readers ----


@as_root
@pytest.mark.parametrize("clients, most", [(0, 1024), (4096, 3072)])
def test_one_user_cannot_shut_the_others_out_of_the_device(house, clients, most):
    house.start_sim()
    listen = section(f"unix:{house.path}/egd", max_clients=clients) if clients else ""
    house.write_config(house.source(), house.device_section(), listen)
    house.path.chmod(0o755)
    house.start_daemon()
    crowd = "import os, sys\n" \
            "n = 0\n" \
            "try:\n" \
            "    while n < 5000: os.open(sys.argv[1], os.O_RDONLY); n += 1\n" \
            "except OSError as e: print(n, e.errno, flush=True)\n" \
            "sys.stdin.read()\n"
    argv = ["prlimit", "--nofile=6000:6000", *NOBODY, "/usr/bin/python3", "-c", crowd, house.device]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == f"{most} 23\n"  # ENFILE
        assert len(house.read(32)) == 32
        held.stdin.close()
    assert house.count("too many open files, one of uid 65534 was refused") == 1


@as_root
def test_several_users_cannot_shut_the_others_out_of_the_devices(house):
    """They open as many as they get, of one device and then of the other."""
    house.start_sim()
    twin = house.path / "twin"
    house.write_config(house.source(), house.device_section(), house.device_section("twin", twin))
    house.path.chmod(0o755)
    daemon = house.start_daemon()
    crowd = "import os, sys\n" \
            "for path in sys.argv[1:]:\n" \
            "    try:\n" \
            "        while True: os.open(path, os.O_RDONLY)\n" \
            "    except OSError as e: print(e.errno, flush=True)\n" \
            "sys.stdin.read()\n"
    held = []
    try:
        for uid in range(60001, 60006):
            argv = ["prlimit", "--nofile=6000:6000", "setpriv", f"--reuid={uid}", "--clear-groups",
                    "/usr/bin/python3", "-c", crowd, house.device, twin]
            held.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            assert [held[-1].stdout.readline() for _ in range(2)] == ["23\n"] * 2  # ENFILE
        assert len(house.read(32)) == 32
        assert len(subprocess.check_output([*NOBODY, "head", "-c", "32", twin], timeout=PATIENCE_S)) == 32
    finally:
        for one in held:
            one.stdin.close()
            one.wait()
        stop(daemon)


# ---- seeds for guests: of the control socket, by root ----


def test_a_seed_comes_though_readers_take_all_that_there_is(house):
    house.start_sim(rate=4000)
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.wait_state("keyed")
    for _ in range(4):
        house.start("cat", house.device, log="null")
    wait_until(lambda: int(house.status()["pool -"]["waiters"]) >= 4, "the readers wait")
    for _ in range(3):
        row, end = house.ask("Seed\n").splitlines()[1:]
        assert expected(SEED, 0, 1 << 20).find(bytes.fromhex(row.removeprefix("*\t"))) >= 0
        assert len(row) == 2 + 2 * 256 and end == "OK"


def test_a_seed_whose_client_has_gone_takes_no_bytes(house):
    house.start_sim().kill()  # the keyring stays
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(house.control))
        client.sendall(b"Seed\n")
        wait_until(lambda: house.status()["pool -"]["waiters"] == "1", "the order waits")
    wait_until(lambda: house.status()["pool -"]["waiters"] == "0", "the order has gone")
    house.start_sim()
    house.wait_full()
    assert house.status()["pool -"]["delivered"] == "0"
