"""What it says about itself, and to whom: the control socket and ekeyctl."""

import re
import socket
import subprocess

import pytest

from house import NOBODY, as_root
from processes import BUILD, PATIENCE_S
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


def ekeyctl(*argv):
    return subprocess.run([BUILD / "ekeyctl", *map(str, argv)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S)


def test_ekeyctl_shows_each_thing_under_its_name(house):
    house.write_config(house.source(), house.device_section())
    house.start_daemon()
    result = ekeyctl("--socket", house.control, "status")
    assert (result.returncode, result.stderr) == (0, "")
    for line in r"daemon", r"pool", r"source key", r"device random":
        assert re.search(rf"^{line} *$", result.stdout, re.M), result.stdout
    assert re.search(r"^  version +0\.\d+\.\d+$", result.stdout, re.M)
    assert re.search(rf"^  path +{house.device}$", result.stdout, re.M)


@pytest.mark.parametrize("program, words, named", [
    ("ekeyctl", [], "a command is needed"),
    ("ekeyctl", ["-x"], "-- 'x'"),
    ("ekeyctl", ["--nonsense"], "'--nonsense'"),
    ("ekeyctl", ["nonsense"], "'nonsense'"),
    ("ekeyctl", ["status", "more"], "status: unexpected word 'more'"),
    ("ekeyctl", ["hwreport", "A", "B"], "hwreport: unexpected word 'B'"),
    ("ekeyctl", ["rekey"], "rekey: a word is missing"),
    ("ekeyctl", ["rekey", "A"], "A: "),
    ("ekeyctl", ["hwreport", "A"], "A: "),
    ("ekeyctl", ["-t", "soon", "wait-seeded"], "soon"),
    ("ekey-randomd", ["-x"], "-- 'x'"),
    ("ekey-randomd", ["-c"], "-- 'c'"),
    ("ekey-randomd", ["--nonsense"], "'--nonsense'"),
    ("ekey-randomd", ["-n", "more"], "'more'"),
])
def test_words_that_are_not_understood_are_named(program, words, named):
    result = subprocess.run([BUILD / program, *words], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
    assert (result.returncode, result.stdout) == (2, "")
    assert named in result.stderr and result.stderr.count("\n") <= 2, result.stderr


@pytest.mark.parametrize("program", ["ekeyctl", "ekey-randomd"])
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
    assert house.count("a client of uid 65534 was refused, with 24 there") == 1
