"""What it says about itself, and to whom: the control socket and ekeyctl."""

import os
import re
import socket
import subprocess
import threading

import pytest

from egd import Client, read, section
from house import NOBODY, House, as_root
from processes import BUILD, PATIENCE_S, free_port, wait_until
from stream import BLOCK


def test_status_balances_whatever_happened(house):
    sim = house.start_sim("--bad-mac-every", "50", "--garbage-every", "70", "--drop-every", "90")
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    house.read(200_000)
    sim.kill()
    house.wait_state("waiting for ")
    status = house.status()
    pool = {key: int(value) for key, value in status["pool -"].items()}
    source = {k: int(v) for k, v in status["source key"].items() if v.isdigit()}
    device = {k: int(v) for k, v in status["device random"].items() if v.isdigit()}
    assert source["in"] == source["pooled"] + source["rejected"] + source["held"]
    assert source["in"] == BLOCK * source["blocks"]
    assert pool["in"] == source["pooled"]
    assert pool["in"] == pool["delivered"] + pool["lost"] + pool["held"]
    assert pool["delivered"] == device["delivered"] >= 200_000
    assert source["frames_bad_mac"] > 0


# What the values are like, in the order in which they are told.
ROWS = r"""
daemon -: version 0[.]\d+[.]\d+; pid \d+; uptime_s \d+; keyring .*/keyring; long_term_keys 1; seed_bytes 0; clones .+;
renewals 0
pool -: level_bytes \d{5}; reserved_bytes \d{4}; size_bytes 65536; in \d{5}; delivered \d+; lost 0; held \d{5};
waiters 0; handles \d
source key: expected 0; present 1; type ekey; address unix:.*/key; state keyed; connected yes; serves yes; paused yes;
use pool; credit_bits_per_byte 7; connects 1; health healthy; health_cause none; health_alarms 0; in \d{5};
pooled \d{5}; rejected 0; held 0; alarm no; serial SIMULATEDKEY0001; undecoded_bytes \d+; read_bytes \d{6}; written_bytes \d\d;
frames_ok \d{4}; frames_bad_mac 0; frames_malformed 0; frames_replayed 0; frames_skipped 0; frames_ignored \d+;
blocks \d{4}; nonces 1; rekeys 1; resets 1; temperature_decikelvin 3\d{3}; voltage_mv 3\d{3}; fips_blocks \d\d; fips_fails \d;
fips_monobit_fails \d; fips_poker_fails \d; fips_runs_fails \d; badness 0; badness_text no failure; raw_bytes \d{4};
raw_left_shannon_centibits \d{3}; raw_right_shannon_centibits \d{3}; raw_xor_shannon_centibits \d{3};
debiased_left_bytes \d{4}; debiased_left_shannon_centibits \d{3}; debiased_right_bytes \d{4};
debiased_right_shannon_centibits \d{3}
device random: path .*/random; class direct; via fuse; handover none; opens 1; delivered 16; lost 0; requests 1;
waited 0; interrupted 0
agent -: address tcp:127.0.0.1:\d+; listens yes; drained no; asked 0
kernel -: bytes 64; interval_ms 60000; state .+; credit .+; error .+; feeds \d; failures \d; last_feed_s \d+; delivered \d+;
lost \d+; credited_bits \d+; mixed 0; not_mixed 0; ready yes; entropy_avail_bits \d+
listen egd: address unix:.*/egd; class direct; clients 1; accepted 1; refused 0; delivered 5; lost 0;
requests 1; waited 0; throttled 0; ended_done 0; ended_lost 0; ended_idle 0; ended_slow 0; ended_unknown 0;
ended_start 0
"""


RELAY = r"""
source up: expected 0; present 1; type egd; address unix:.*/egd; state .+; connected yes; serves yes; paused .+;
use pool; credit_bits_per_byte 7; connects 1; health healthy; health_cause none; health_alarms 0; in \d+; pooled \d+;
rejected 0; held 0; class direct; stands_by no; upstream_bits \d+; answers 1;
requests [1-9]\d*; round_bytes [1-9]\d*; read_bytes [1-9]\d*; late 0; violations 0; heard_ms_ago \d+
"""


def assert_rows(status, wanted):
    """These subjects have exactly these rows, in this order."""
    subjects = re.split(r"\n(?=\w+ \S+: )", wanted.strip())
    for subject in subjects:
        name, _, rows = subject.replace("\n", " ").partition(": ")
        rows = [row.split(" ", 1) for row in rows.split("; ")]
        assert list(status[name]) == [key for key, _ in rows]
        for key, value in rows:
            assert re.fullmatch(value, status[name][key]), (name, key, status[name][key])
    return [subject.partition(":")[0] for subject in subjects]


def test_status_has_every_row_of_a_server_that_is_asked(house, place):
    other = House(place / "other")
    other.path.mkdir()
    try:
        house.start_sim()
        house.write_config(house.source(), section(f"unix:{house.path}/egd"))
        house.start_daemon()
        other.write_config(f"[source up]\ntype = egd\naddress = unix:{house.path}/egd\n")
        other.start_daemon()
        wait_until(lambda: int(other.status()["pool -"]["level_bytes"]) >= 2048, "it has read ahead")
        assert_rows(other.status(), RELAY)
    finally:
        other.clear()


@as_root
def test_status_has_every_row(house):
    house.start_sim()
    house.write_config(house.source(), house.device_section(), "[kernel]\n", section(f"unix:{house.path}/egd"),
                       f"[agent]\naddress = tcp:127.0.0.1:{free_port()}\n")
    house.start_daemon()
    house.wait_full()
    wait_until(lambda: house.status()["kernel -"]["feeds"] == "1", "the kernel was fed")
    client = Client(house.path / "egd")
    assert len(client.say(read(5)).hear(5)) == 5
    with open(house.device, "rb", buffering=0) as device:
        assert len(device.read(16)) == 16
        house.wait_full()
        status = house.status()
    assert assert_rows(status, ROWS) == list(status)


def ekeyctl(*argv):
    return subprocess.run([BUILD / "ekeyctl", *map(str, argv)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S)


def test_ekeyctl_shows_each_thing_under_its_name(house):
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    result = ekeyctl("--socket", house.control, "status")
    assert (result.returncode, result.stderr) == (0, "")
    headings = [line.rstrip() for line in result.stdout.splitlines() if line and line[0] != " "]
    assert headings == ["daemon", "pool", "source key", "device random"]
    assert result.stdout.count("\n\n") == len(headings) - 1
    assert re.search(r"^  version +0\.\d+\.\d+$", result.stdout, re.M)
    assert re.search(rf"^  path +{house.device}$", result.stdout, re.M)


def test_drain_without_an_agent_says_what_to_add(house):
    house.write_config(house.source())
    house.start_daemon()
    result = ekeyctl("--socket", house.control, "drain")
    assert result.returncode == 4
    assert result.stderr == ("ekeyctl: Drain: HAProxy cannot be informed: add an [agent] section to the"
                             " configuration and reload it\n")


def test_a_server_whose_answer_has_no_end_does_not_hold_ekeyctl(place):
    def flood():
        connection, _ = server.accept()
        with connection:
            try:
                connection.sendall(b"PROTOCOL EKEYD/1\n")
                while True:
                    connection.sendall(b"*\tpool\t-\tin\t1\n" * 4096)
            except OSError:
                pass  # ekeyctl has ended

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / "flood"))
        server.listen()
        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        result = ekeyctl("--socket", place / "flood", "status")
        thread.join(PATIENCE_S)
    assert result.returncode == 5
    assert result.stderr == ("ekeyctl: the answer is longer than 4194304 bytes: "
                             "is this the socket of ekey-randomd?\n")


@pytest.mark.parametrize("program, words, named", [
    ("ekeyctl", [], "expected a command"),
    ("ekeyctl", ["-x"], "-- 'x'"),
    ("ekeyctl", ["--nonsense"], "'--nonsense'"),
    ("ekeyctl", ["nonsense"], "'nonsense'"),
    ("ekeyctl", ["status", "more"], "status: unexpected word 'more'"),
    ("ekeyctl", ["hwreport", "A", "B"], "hwreport: unexpected word 'B'"),
    ("ekeyctl", ["rekey"], "rekey: expected one more word"),
    ("ekeyctl", ["rekey", "A"], "A: "),
    ("ekeyctl", ["hwreport", "A"], "A: "),
    ("ekeyctl", ["-t", "soon", "wait-seeded"], "soon"),
    ("ekey-randomd", ["-x"], "-- 'x'"),
    ("ekey-randomd", ["-c"], "-- 'c'"),
    ("ekey-randomd", ["--nonsense"], "'--nonsense'"),
    ("ekey-randomd", ["-n", "more"], "'more'"),
    ("ekey-tls", ["more"], "'more'"),
    ("ekey-tls", [], "no socket of ekey-randomd"),
])
def test_words_that_are_not_understood_are_named(program, words, named):
    result = subprocess.run([BUILD / program, *words], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
    assert (result.returncode, result.stdout) == (2, "")
    assert named in result.stderr and result.stderr.count("\n") <= 2, result.stderr


@pytest.mark.parametrize("program", ["ekeyctl", "ekey-randomd", "ekey-tls"])
def test_help_and_version_are_told(program):
    for options, said in (["-h", "--help"], f"usage: {program} "), (["-V", "--version"], f"{program} 0."):
        for option in options:
            result = subprocess.run([BUILD / program, option], capture_output=True, text=True,
                                    timeout=PATIENCE_S)
            assert (result.returncode, result.stderr) == (0, "")
            assert result.stdout.startswith(said), result.stdout


def test_ekeyctl_exit_codes_are_those_of_ekeydctl(house):
    assert ekeyctl("-s", house.control, "nonsense").returncode == 2
    assert ekeyctl("-s", house.control, "status").returncode == 3
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(house.control))
    assert ekeyctl("-s", house.control, "status").returncode == 5


@pytest.mark.skipif(os.path.exists("/dev/xen"), reason="this machine is one of Xen's")
def test_a_seed_for_a_guest_where_there_is_no_xen(house):
    result = ekeyctl("-s", house.control, "xen-seed", "guest")
    assert (result.returncode, result.stdout) == (14, "")
    assert result.stderr == "ekeyctl: guest: this is no host of Xen\n"


@as_root
@pytest.mark.parametrize("mode,code", [("0600", 5), ("0666", 0)])
def test_mode_of_the_control_socket_decides_who_may_ask(house, mode, code):
    house.write_config()
    house.config.write_text(
        house.config.read_text().replace("[pool]", f"control-mode = {mode}\n[pool]")
    )
    house.path.chmod(0o755)
    house.start_daemon()
    result = subprocess.run([*NOBODY, BUILD / "ekeyctl", "-s", house.control, "status"], text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert result.returncode == code
    assert ("unless control-mode is wider" in result.stderr) == (code != 0)


@as_root
def test_strangers_at_the_control_socket_cannot_shut_its_owner_out(house):
    house.write_config()
    house.config.write_text(
        house.config.read_text().replace("[pool]", "control-mode = 0666\n[pool]")
    )
    house.path.chmod(0o755)
    house.start_daemon()
    crowd = "import socket, sys\n" \
            "s = [socket.socket(socket.AF_UNIX) for _ in range(40)]\n" \
            "for one in s: one.connect(sys.argv[1])\n" \
            "print(sum(one.recv(8) != b'' for one in s), flush=True)\n" \
            "sys.stdin.read()\n"
    argv = [*NOBODY, "/usr/bin/python3", "-c", crowd, house.control]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "24\n"
        assert ekeyctl("-s", house.control, "status").returncode == 0
        held.stdin.close()
    assert house.count("refused a client of uid 65534 (24 clients are connected)") == 1
