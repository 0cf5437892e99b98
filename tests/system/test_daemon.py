"""The daemon as its owner meets it: verdicts, reload, stop, sources that come and go, status."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from processes import BUILD, PATIENCE_S, mounted, unmount, wait_until
from stream import BLOCK, expected

SEED = "daemon"
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]

CONFIG = """\
[daemon]
keyring = {keyring}
control = {control}
[pool]
size = {pool}
"""
SOURCE = """\
[source {name}]
type = ekey
address = {address}
"""
DEVICE = """\
[device {name}]
path = {path}
via = fuse
"""


class Place:
    """A directory with a configuration, and the programs that run in it."""

    def __init__(self, path):
        self.path = path
        self.control, self.config = path / "control", path / "conf"
        self.keyring, self.key = path / "keyring", path / "key"
        self.device = path / "random"
        self.children = []

    def write_config(self, *sections, pool="64KiB"):
        start = CONFIG.format(keyring=self.keyring, control=self.control, pool=pool)
        self.config.write_text(start + "".join(sections))

    def source(self, name="key", address=None):
        return SOURCE.format(name=name, address=address or f"unix:{self.key}")

    def device_section(self, name="random", path=None):
        return DEVICE.format(name=name, path=path or self.device)

    def start(self, *argv, log):
        with open(self.path / log, "ab") as output:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, argv)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )
        self.children.append(child)
        return child

    def start_sim(self, *options, rate=0, listen=None):
        listen = listen or f"unix:{self.key}"
        path = listen.partition(":")[2]
        sim = self.start(BUILD / "ekey-sim", "--listen", listen, "--rate", rate, "--seed", SEED,
                         "--keyring", self.keyring, "--quiet", *options, log="sim.log")
        wait_until(lambda: os.path.lexists(path) and self.keyring.exists(), "ekey-sim listens")
        return sim

    def start_daemon(self):
        daemon = self.start(BUILD / "ekey-randomd", "-c", self.config, log="daemon.log")
        wait_until(lambda: self.answers(daemon), "ekey-randomd answers")
        return daemon

    def answers(self, daemon):
        assert daemon.poll() is None, self.log()
        try:
            return self.status()
        except OSError:
            return False

    def ask(self, text):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE_S)
            s.connect(str(self.control))
            s.sendall(text.encode())
            s.shutdown(socket.SHUT_WR)
            return s.makefile(encoding="utf-8").read()

    def status(self):
        """{"kind name": {key: value}}"""
        found = {}
        for line in self.ask("Status\n").splitlines():
            if line.startswith("*\t"):
                _, kind, name, key, value = line.split("\t")
                found.setdefault(f"{kind} {name}", {})[key] = value
        return found

    def log(self):
        return (self.path / "daemon.log").read_text(errors="replace")

    def count(self, text):
        return self.log().count(text)

    def reload(self, daemon, text="SIGHUP: "):
        before = self.count(text)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: self.count(text) > before, "the reload is done")

    def wait_state(self, state, name="source key"):
        wait_until(lambda: state in self.status().get(name, {}).get("state", ""), state)

    def wait_full(self, name="source key"):
        wait_until(lambda: self.status()[name]["paused"] == "yes", "the pool is full")

    def read(self, length, path=None):
        done = subprocess.run(["head", "-c", str(length), str(path or self.device)],
                              stdout=subprocess.PIPE, timeout=PATIENCE_S, check=True)
        assert len(done.stdout) == length
        return done.stdout

    def start_reader(self, path=None):
        """Blocked in a read before this returns."""
        reader = self.start("head", "-c", "1", path or self.device, log="reader.log")
        stat = pathlib.Path(f"/proc/{reader.pid}")
        wait_until(lambda: "head" in (stat / "comm").read_text(), "head runs")
        wait_until(lambda: int(self.status()["pool -"]["waiters"]) > 0, "the reader waits")
        return reader


def stop(daemon):
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE_S) == 0
    return time.monotonic() - began


@pytest.fixture
def place():
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is missing or not ours to open")
    with tempfile.TemporaryDirectory(prefix="ekey.") as path:
        p = Place(pathlib.Path(path))
        yield p
        for child in reversed(p.children):
            child.kill()
            child.wait(PATIENCE_S)
        for name in ("random", "second"):
            unmount(p.path / name)


def check(place):
    return subprocess.run([BUILD / "ekey-randomd", "-n", "-c", place.config], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)


# ---- -n ----


def test_check_calls_a_good_file_good(place):
    place.write_config(place.source(), place.device_section())
    place.keyring.touch(0o600)
    result = check(place)
    assert (result.returncode, result.stdout) == (0, f"{place.config} is good\n")


def test_check_accepts_a_keyring_that_is_not_there_yet(place):
    place.write_config(place.source())
    result = check(place)
    assert result.returncode == 0
    assert f"{place.keyring}: no keyring yet" in result.stderr


def test_check_names_file_and_line_of_every_error(place):
    place.config.write_text("[pool]\nsize = big\n[sauce x]\n")
    result = check(place)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{place.config}:2: size = big: " in result.stderr
    assert f"{place.config}:3: unknown section [sauce]" in result.stderr


def test_check_names_file_and_line_of_a_bad_keyring(place):
    place.write_config()
    place.keyring.write_text("# good\nnonsense\n")
    result = check(place)
    assert result.returncode == 1
    assert f"{place.keyring}:2: " in result.stderr


def test_check_warns_of_a_keyring_that_others_can_read(place):
    place.write_config()
    place.keyring.touch()
    for mode, warns in (0o600, False), (0o640, False), (0o644, True), (0o660, True):
        place.keyring.chmod(mode)
        result = check(place)
        assert result.returncode == 0
        assert ("chmod 0640" in result.stderr) == warns, oct(mode)


def test_example_configuration_is_good():
    example = pathlib.Path(__file__).parents[2] / "dist" / "ekey-random.conf"
    argv = [BUILD / "ekey-randomd", "-n", "-c", example]
    assert subprocess.run(argv, stderr=subprocess.PIPE, timeout=PATIENCE_S).returncode == 0


def test_missing_configuration_ends_the_start(place):
    argv = [BUILD / "ekey-randomd", "-c", place.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{place.config}: No such file or directory" in result.stderr


def test_what_is_no_file_is_called_so(place):
    result = subprocess.run([BUILD / "ekey-randomd", "-n", "-c", place.path], text=True,
                            stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{place.path}: not a regular file" in result.stderr


# ---- running ----


def test_the_directory_of_the_control_socket_is_made_and_its_parents_are_not(place):
    """After a boot /run has no /run/ekey-random."""
    place.control = place.path / "run" / "control"
    place.write_config()
    assert stop(place.start_daemon()) < 1
    assert os.listdir(place.control.parent) == []
    place.control = place.path / "no" / "such" / "control"
    place.write_config()
    result = subprocess.run([BUILD / "ekey-randomd", "-c", place.config], text=True,
                            stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{place.control}: No such file or directory; make its directory" in result.stderr


def test_runs_without_source_device_and_keyring(place):
    place.write_config()
    daemon = place.start_daemon()
    status = place.status()
    assert set(status) == {"daemon -", "pool -"}
    assert status["pool -"]["level_bytes"] == "0"
    assert stop(daemon) < 1


def test_reader_gets_the_stream_of_the_key(place):
    place.start_sim()
    place.write_config(place.source(), place.device_section())
    place.start_daemon()
    assert place.read(1_000_000) == expected(SEED, 0, 1_000_000)


def test_reader_gets_the_stream_of_a_key_on_a_tty(place):
    place.start_sim(listen=f"pty:{place.path}/tty")
    place.write_config(place.source(address=f"{place.path}/tty"), place.device_section())
    place.start_daemon()
    assert place.read(300_000) == expected(SEED, 0, 300_000)


def test_stops_within_a_second_with_readers_blocked(place):
    place.write_config(place.source(), place.device_section())
    daemon = place.start_daemon()
    readers = [place.start_reader() for _ in range(3)]
    assert stop(daemon) < 1
    for reader in readers:
        assert reader.wait(PATIENCE_S) != 0
    assert not mounted(place.device)
    assert not place.control.exists()


def test_a_source_that_is_our_own_device_is_never_touched(place):
    """Under another spelling: the same one is an error of the configuration."""
    place.write_config(place.source(address=f"{place.path}//random"), place.device_section())
    daemon = place.start_daemon()
    place.wait_state("Inappropriate ioctl")
    assert stop(daemon) < 1


def test_interrupt_stops_as_well(place):
    place.write_config()
    daemon = place.start_daemon()
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(PATIENCE_S) == 0


def test_second_daemon_is_refused_and_the_first_serves_on(place):
    place.write_config()
    place.start_daemon()
    argv = [BUILD / "ekey-randomd", "-c", place.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"control socket {place.control}: another daemon answers there" in result.stderr
    assert place.status()


def test_started_without_standard_fds_the_log_goes_into_none_of_ours(place):
    place.write_config()
    shell = f"exec {BUILD}/ekey-randomd -c {place.config} 0<&- 1>&- 2>&-"
    daemon = place.start("sh", "-c", shell, log="daemon.log")
    wait_until(lambda: place.answers(daemon), "ekey-randomd answers")
    for fd in range(3):
        assert os.readlink(f"/proc/{daemon.pid}/fd/{fd}") == "/dev/null"
    assert stop(daemon) < 1


def test_leaves_no_core(place):
    place.write_config()
    daemon = place.start_daemon()
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
def test_becomes_its_user_for_good(place):
    place.write_config()
    place.config.write_text(place.config.read_text().replace("[daemon]", "[daemon]\nuser = nobody"))
    place.path.chmod(0o755)
    daemon = place.start_daemon()
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    nobody = subprocess.run(["id", "-u", "nobody"], stdout=subprocess.PIPE, text=True, check=True)
    ids = nobody.stdout.strip()
    assert re.search(rf"^Uid:\t{ids}\t{ids}\t{ids}\t{ids}$", status, re.M), status
    for kind in "Inh", "Prm", "Eff", "Amb":
        assert re.search(rf"^Cap{kind}:\t0+$", status, re.M), status
    assert os.stat(f"/proc/{daemon.pid}/environ").st_uid == 0  # nobody's, were it dumpable
    assert "now user nobody" in place.log()
    assert stop(daemon) < 1


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
def test_a_user_who_may_not_unmount_the_device_says_so(place):
    place.write_config(place.device_section())
    place.config.write_text(place.config.read_text().replace("[daemon]", "[daemon]\nuser = nobody"))
    place.path.chmod(0o755)
    assert stop(place.start_daemon()) < 1
    assert place.count(f"{place.device}: cannot be removed: ") == 1
    assert mounted(place.device)
    place.write_config(place.device_section())
    assert stop(place.start_daemon()) < 1
    assert place.count("clearing the dead mount") == 1
    assert not mounted(place.device)


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
@pytest.mark.skipif(not os.path.exists("/etc/mtab"), reason="/etc/mtab is missing, for fusermount3")
def test_a_start_with_sigchld_ignored_mounts_without_root(place):
    place.write_config(place.device_section())
    place.path.chmod(0o755)
    os.chown(place.path, 65534, 65534)
    program = shutil.copy(BUILD / "ekey-randomd", place.path)  # where nobody may go too
    daemon = place.start(*NOBODY, "env", "--ignore-signal=CHLD", program, "-c", place.config,
                         log="daemon.log")
    wait_until(lambda: place.answers(daemon), "ekey-randomd answers")
    assert place.status()["device random"]["via"] == "fuse"
    assert stop(daemon) < 1
    assert not mounted(place.device)


def test_two_devices_on_one_path_in_two_spellings_are_told(place):
    twin = place.device_section("twin", f"{place.path}//random")
    place.write_config(place.device_section(), twin)
    argv = [BUILD / "ekey-randomd", "-c", place.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{place.device}: another [device] of ours already serves it" in result.stderr
    assert not mounted(place.device)


def test_unknown_user_ends_the_start(place):
    place.config.write_text(
        f"[daemon]\nuser = no-such-user\ncontrol = {place.control}\nkeyring = {place.keyring}\n"
    )
    argv = [BUILD / "ekey-randomd", "-c", place.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert "cannot become user no-such-user: " in result.stderr


# ---- many readers ----


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
def test_one_user_cannot_shut_the_others_out_of_the_device(place):
    place.start_sim()
    place.write_config(place.source(), place.device_section())
    place.path.chmod(0o755)
    place.start_daemon()
    crowd = "import os, sys\n" \
            "n = 0\n" \
            "try:\n" \
            "    while n < 5000: os.open(sys.argv[1], os.O_RDONLY); n += 1\n" \
            "except OSError as e: print(n, e.errno, flush=True)\n" \
            "sys.stdin.read()\n"
    argv = ["prlimit", "--nofile=6000:6000", *NOBODY, "/usr/bin/python3", "-c", crowd, place.device]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "1024 23\n"  # ENFILE
        assert len(place.read(32)) == 32
        held.stdin.close()
    assert place.count("too many open files, one of uid 65534 was refused") == 1


# ---- reload ----


def test_reload_takes_a_new_key_without_a_new_connection(place):
    place.start_sim(rate=500)
    keys = place.keyring.read_text()
    place.keyring.write_text("# none\n")
    place.write_config(place.source())
    daemon = place.start_daemon()
    place.wait_state("its long-term key is not in the keyring")
    assert place.count(f"is not in the keyring {place.keyring}") == 1
    place.keyring.write_text(keys)
    place.reload(daemon)
    place.wait_state("keyed")
    assert place.status()["source key"]["connects"] == "1"


@pytest.mark.parametrize("bad", ["config", "keyring"])
def test_bad_reload_changes_nothing_and_names_the_line(place, bad):
    place.start_sim(rate=500)
    place.write_config(place.source(), place.device_section())
    daemon = place.start_daemon()
    place.wait_state("keyed")
    if bad == "config":
        place.config.write_text(place.config.read_text() + "moed = 0400\n")
        lines = len(place.config.read_text().splitlines())
        line = f"{place.config}:{lines}: unknown key 'moed' in [device]"
    else:
        place.keyring.write_text("nonsense\n")
        line = f"{place.keyring}:1: "
    place.reload(daemon, "SIGHUP: nothing was changed")
    assert place.count(line) == 1
    assert place.status()["source key"]["connects"] == "1"
    assert place.read(32) == expected(SEED, 0, 32)


def test_reload_keeps_what_did_not_change(place):
    place.start_sim(rate=500)
    place.write_config(place.source(), place.device_section())
    daemon = place.start_daemon()
    place.wait_state("keyed")
    second = place.path / "second"
    place.write_config(place.source("absent", f"unix:{place.path}/absent"), place.source(),
                       place.device_section(), place.device_section("second", second))
    place.reload(daemon)
    status = place.status()
    assert set(status) == {"daemon -", "pool -", "source absent", "source key", "device random",
                           "device second"}
    assert status["source key"]["connects"] == "1"
    assert status["source key"]["resets"] == "1"
    assert len(place.read(32, second)) == 32
    assert len(place.read(32)) == 32
    place.write_config(place.source(), place.device_section("second", second))
    place.reload(daemon)
    assert set(place.status()) == {"daemon -", "pool -", "source key", "device second"}
    assert place.status()["source key"]["connects"] == "1"
    assert not mounted(place.device)
    assert len(place.read(32, second)) == 32


def test_reload_moves_a_source_that_changed(place):
    place.start_sim(rate=500)
    place.write_config(place.source(address=f"unix:{place.path}/absent"))
    daemon = place.start_daemon()
    place.wait_state("waiting for ")
    place.write_config(place.source())
    place.reload(daemon)
    place.wait_state("keyed")


def test_reload_says_what_needs_a_restart(place):
    place.write_config()
    daemon = place.start_daemon()
    place.write_config(pool="128KiB")
    place.reload(daemon)
    assert place.count("changes in [daemon] and [pool] need a restart") == 1
    assert place.status()["pool -"]["size_bytes"] == "65536"


# ---- sources that come and go, and a full pool ----


def test_source_that_goes_and_comes_is_said_once_and_taken_again(place):
    sim = place.start_sim(rate=2000)
    place.write_config(place.source(), place.device_section())
    place.start_daemon()
    place.read(32)
    for connects in "2", "3":
        sim.kill()
        sim.wait()
        os.unlink(place.key)
        place.wait_state("waiting for ")
        sim = place.start_sim(rate=2000)
        place.wait_state("keyed")
        assert place.status()["source key"]["connects"] == connects
        assert len(place.read(3000)) == 3000
    assert place.count("is gone: ") == 2
    assert place.count("waiting for ") <= 4  # absent, then perhaps bound and not yet listening


def test_absent_source_is_said_once_however_often_it_is_tried(place):
    place.write_config(place.source())
    daemon = place.start_daemon()
    place.wait_state("waiting for ")
    time.sleep(1)  # a few tries
    assert stop(daemon) < 1
    assert place.count("waiting for ") == 1


def test_who_hangs_up_at_once_is_said_once(place):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.key))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        place.write_config(place.source())
        daemon = place.start_daemon()
        for how in b"", b"unread", b"", b"unread":  # ECONNRESET, or EPIPE for who writes later
            caller = listener.accept()[0]
            if how:
                wait_until(lambda: caller.recv(1, socket.MSG_PEEK), "it speaks")
            caller.close()
        place.wait_state("closed by the other side")
        assert stop(daemon) < 1
    assert place.count("waiting for ") == 1


def ticks(pid):
    """How often the process has been put to sleep or set aside: its wake-ups."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(n) for n in re.findall(r"ctxt_switches:\t(\d+)", text))


def settled(pid):
    """ticks() when it has gone to sleep after its last work."""

    def twice():
        first = ticks(pid)
        time.sleep(0.1)
        return first == ticks(pid) and first

    return wait_until(twice, "the daemon sleeps")


def test_full_pool_stops_the_reading_and_all_wake_ups(place):
    place.start_sim()
    place.write_config(place.source(), place.device_section(), pool="8KiB")
    daemon = place.start_daemon()
    place.wait_full()
    before, woken = place.status(), settled(daemon.pid)
    time.sleep(2)  # the time in which nothing must happen
    assert ticks(daemon.pid) == woken
    after = place.status()
    for key in "read_bytes", "undecoded_bytes":
        assert after["source key"][key] == before["source key"][key]
    assert after["pool -"]["level_bytes"] == "8192"
    assert place.read(100_000) == expected(SEED, 0, 100_000)


def test_removal_is_noticed_while_the_pool_is_full(place):
    sim = place.start_sim()
    place.write_config(place.source(), place.device_section())
    place.start_daemon()
    place.wait_full()
    sim.kill()
    place.wait_state("waiting for ")
    assert len(place.read(64 * 1024)) == 64 * 1024


def test_tty_that_vanishes_while_the_pool_is_full_is_noticed_without_spinning(place):
    sim = place.start_sim(listen=f"pty:{place.path}/tty")
    place.write_config(place.source(address=f"{place.path}/tty"))
    daemon = place.start_daemon()
    place.wait_full()
    sim.kill()
    place.wait_state("waiting for ")
    before = ticks(daemon.pid)
    time.sleep(1)
    assert ticks(daemon.pid) - before < 20  # the retries


# ---- status ----


def test_status_balances_whatever_happened(place):
    sim = place.start_sim("--bad-mac-every", "50", "--garbage-every", "70", "--drop-every", "90")
    place.write_config(place.source(), place.device_section())
    place.start_daemon()
    place.read(200_000)
    sim.kill()
    place.wait_state("waiting for ")
    status = place.status()
    pool = {key: int(value) for key, value in status["pool -"].items()}
    source = {k: int(v) for k, v in status["source key"].items() if v.isdigit()}
    device = {k: int(v) for k, v in status["device random"].items() if v.isdigit()}
    assert source["in"] == source["pooled"] + source["rejected"] + source["held"]
    assert source["in"] == BLOCK * source["blocks"]
    assert pool["in"] == source["pooled"]
    assert pool["in"] == pool["delivered"] + pool["lost"] + pool["held"]
    assert pool["delivered"] == device["delivered"] >= 200_000
    assert source["frames_bad_mac"] > 0


def ekeyctl(*argv):
    return subprocess.run([BUILD / "ekeyctl", *map(str, argv)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S)


def test_ekeyctl_shows_each_thing_under_its_name(place):
    place.write_config(place.source(), place.device_section())
    place.start_daemon()
    result = ekeyctl("--socket", place.control, "status")
    assert (result.returncode, result.stderr) == (0, "")
    for line in r"daemon", r"pool", r"source key", r"device random":
        assert re.search(rf"^{line} *$", result.stdout, re.M), result.stdout
    assert re.search(r"^  version +0\.\d+\.\d+$", result.stdout, re.M)
    assert re.search(rf"^  path +{place.device}$", result.stdout, re.M)


def test_ekeyctl_exit_codes_are_those_of_ekeydctl(place):
    assert ekeyctl().returncode == 1
    assert ekeyctl("--nonsense").returncode == 1
    assert ekeyctl("status", "more").returncode == 1
    assert ekeyctl("-s", place.control, "nonsense").returncode == 2
    assert ekeyctl("-s", place.control, "status").returncode == 3
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.control))
    assert ekeyctl("-s", place.control, "status").returncode == 5
    assert ekeyctl("--help").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
@pytest.mark.parametrize("mode,code", [("0600", 5), ("0666", 0)])
def test_mode_of_the_control_socket_decides_who_may_ask(place, mode, code):
    place.write_config()
    place.config.write_text(
        place.config.read_text().replace("[pool]", f"control-mode = {mode}\n[pool]")
    )
    place.path.chmod(0o755)
    place.start_daemon()
    result = subprocess.run([*NOBODY, BUILD / "ekeyctl", "-s", place.control, "status"], text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert result.returncode == code
    assert ("unless control-mode is wider" in result.stderr) == (code != 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
def test_strangers_at_the_control_socket_cannot_shut_its_owner_out(place):
    place.write_config()
    place.config.write_text(
        place.config.read_text().replace("[pool]", "control-mode = 0666\n[pool]")
    )
    place.path.chmod(0o755)
    place.start_daemon()
    crowd = "import socket, sys\n" \
            "s = [socket.socket(socket.AF_UNIX) for _ in range(40)]\n" \
            "for one in s: one.connect(sys.argv[1])\n" \
            "print(sum(one.recv(8) != b'' for one in s), flush=True)\n" \
            "sys.stdin.read()\n"
    argv = [*NOBODY, "/usr/bin/python3", "-c", crowd, place.control]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "24\n"
        assert ekeyctl("-s", place.control, "status").returncode == 0
        held.stdin.close()
    assert place.count("a client was refused, with 24 there") == 1
