"""The device on a FUSE carrier: what readers get, and what real programs make of it."""

import os
import re

import pytest

from processes import program, run

MIB = 1 << 20
BLOCK = 16
# Ten million blocks in all; `make soak` asks for more rounds.
ROUNDS = int(os.environ.get("ROUNDS", 5))
BLOCKS = 2_050_000
PROMISES = run(program("tests/system/probe"), "-l").stdout.split()


def check(result):
    assert result.returncode == 0, result.stdout
    return result.stdout


def check_balance(daemon):
    """in = delivered + lost + held, to the byte."""
    pool = daemon.pool()
    assert pool["in"] == pool["delivered"] + pool["lost"] + pool["held"], pool


def test_one_reader_gets_the_stream_in_order(daemon, sim):
    check(run(program("tests/system/readers"), "one", daemon.device, sim.seed, str(4 * MIB)))


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_never_twice_among_64_readers_killed_and_interrupted(start_sim, start_daemon, seed):
    sim = start_sim(seed=f"crowd{seed}")
    daemon = start_daemon(sim=sim)
    readers = program("tests/system/readers")
    size = str(BLOCKS * BLOCK)
    output = check(run(readers, "many", daemon.device, sim.seed, size, "64", timeout=300))
    print(output)
    assert int(re.search(r"(\d+) blocks", output)[1]) > 2_000_000
    check_balance(daemon)


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.mark.xdist_group("probe")
@pytest.mark.parametrize("promise", PROMISES)
def test_promise(promise, kept, request):
    """One run of the probe for all of them; the first to ask makes it."""
    if not kept:
        sim, daemon = request.getfixturevalue("sim"), request.getfixturevalue("daemon")
        output = run(program("tests/system/probe"), "-f", daemon.device, str(sim.pid), timeout=300)
        for line in output.stdout.splitlines():
            verdict = re.fullmatch(r"(?:not )?ok (\w+)(?:: (.*))?", line)
            kept[verdict[1]] = verdict[2]
    assert promise in kept
    assert kept[promise] is None


CLIENTS = {
    "dd": ("dd if=$DEVICE bs=256 count=64 status=none | wc -c", 16384, 16384),
    "dd_short": ("dd if=$DEVICE bs=64k count=1 status=none | wc -c", 256, 65536),
    "dd_fullblock": (
        "dd if=$DEVICE bs=64k count=4 iflag=fullblock status=none | wc -c", 262144, 262144
    ),
    "head": ("head -c 100000 $DEVICE | wc -c", 100000, 100000),
    "cat": ("cat $DEVICE | head -c 100000 | wc -c", 100000, 100000),
    "od": ("od -An -v -tx1 -N 32 $DEVICE | wc -w", 32, 32),
    "rngtest": ("rngtest -c 100 <$DEVICE 2>&1 | sed -n 's/.*successes: //p'", 97, 100),
    "openssl": ("head -c 48 $DEVICE | openssl base64 -A | wc -c", 64, 64),
    "dieharder": ("dieharder -g 200 -d 100 -t 10000 -p 20 <$DEVICE | grep -c 'PASSED\\|WEAK'", 1, 1),
    "python": ("python3 -c \"print(len(open('$DEVICE', 'rb').read(5000)))\"", 5000, 5000),
    "python_unbuffered": (
        "python3 -c \"print(len(open('$DEVICE', 'rb', 0).read(200)))\"", 200, 200
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_client(client, daemon):
    command, least, most = CLIENTS[client]
    env = {**os.environ, "DEVICE": str(daemon.device)}
    output = run("sh", "-c", command, env=env, timeout=60).stdout
    assert least <= int(output.split()[-1]) <= most, output


@pytest.mark.skipif(os.geteuid() != 0, reason="root is missing, to become somebody else")
@pytest.mark.parametrize("mode,works", [("0444", True), ("0400", False)])
def test_mode_says_who_may_read(start_daemon, sim, place, mode, works):
    place.chmod(0o755)
    daemon = start_daemon(sim=sim, mode=mode)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    result = run(*nobody, "od", "-N", "16", str(daemon.device))
    assert (result.returncode == 0) == works, result.stdout
