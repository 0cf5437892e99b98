"""Programs of others that speak EGD, as clients of ours: exact bytes, or why they ask for none."""

import os
import pathlib
import platform
import shutil
import socket
import struct
import subprocess

import pytest

from egd import Client, read, row, section, wait_row
from house import SEED
from processes import BUILD, PATIENCE_S, free_port, run, wait_until
from stream import expected

EGD_LINUX = "/usr/sbin/ekeyd-egd-linux"
SHIM = BUILD / "tests/system/egd_linux_shim.so"
# What poll(2) without a time limit is, by machine: its number, its third argument.
POLLS = {"x86_64": (7, 0xFFFFFFFF), "aarch64": (73, 0)}
BLOCK = 128  # bytes of each of its requests
HEADER = struct.Struct("=ii")  # struct rand_pool_info: bits of credit, bytes

SEED_PM = "Crypt/Random/Seed.pm"
TAKE_SEEDS = """
my $source = Crypt::Random::Seed->new(NonBlocking => 0) or die "no source";
die $source->name unless $source->name eq "EGD";
binmode STDOUT;
print $source->random_bytes($_) for @ARGV;
"""


def missing_perl():
    if not shutil.which("perl"):
        return "perl"
    found = run("perl", "-MCrypt::Random::Seed", "-e", "1")
    return "Crypt::Random::Seed (package libcrypt-random-seed-perl)" if found.returncode else None


needs_egd_linux = pytest.mark.skipif(
    not os.path.exists(EGD_LINUX), reason="missing: ekeyd-egd-linux (package ekeyd-egd-linux)"
)


@pytest.fixture
def serve(house):
    """Starts a key at `rate` and a daemon that serves it at an address."""

    def start(address, rate=0):
        house.start_sim(rate=rate)
        house.write_config(house.source(), section(address))
        return house.start_daemon()

    return start


# ---- Debian's ekeyd-egd-linux ----


def start_egd_linux(house, port, forced=False):
    """Its defaults; `forced`: it believes that the kernel wants entropy, and feeds a file."""
    shim = [f"LD_PRELOAD={SHIM}", f"EGD_LINUX_FED={house.path}/fed"] if forced else []
    argv = ["env", *shim, EGD_LINUX, "-H", "127.0.0.1", "-p", port]
    return house.start(*argv, log="egd-linux.log")


def fed(house):
    """[(bits of credit, bytes)] that the kernel would have got."""
    path, found = house.path / "fed", []
    data = path.read_bytes() if path.exists() else b""
    while len(data) >= HEADER.size + BLOCK:
        bits, length = HEADER.unpack_from(data)
        found.append((bits, data[HEADER.size :][:length]))
        data = data[HEADER.size + length :]
    return found


def waits_for_ever(process):
    """In poll(2), on two descriptors, without a time limit: nothing but these wakes it."""
    call = pathlib.Path(f"/proc/{process.pid}/syscall").read_text().split()
    if call[0] == "running":
        return False
    number, (count, limit) = int(call[0]), (int(word, 16) & 0xFFFFFFFF for word in call[2:4])
    return count == 2 and (number, limit) == POLLS[platform.machine()]


@needs_egd_linux
def test_ekeyd_egd_linux_asks_nothing_of_a_kernel_that_is_ready(house, serve):
    """Why ekey-feed is needed: since Linux 5.18 /dev/random is never writable once it is ready."""
    port = free_port()
    serve(f"tcp:127.0.0.1:{port}")
    os.getrandom(1)
    client = start_egd_linux(house, port)
    wait_row(house, "clients", 1)
    wait_until(lambda: waits_for_ever(client), "it waits for /dev/random")
    assert row(house, "delivered") == row(house, "requests") == 0


@needs_egd_linux
def test_ekeyd_egd_linux_feeds_our_stream_when_the_kernel_asks(house, serve):
    port = free_port()
    serve(f"tcp:127.0.0.1:{port}")
    client = start_egd_linux(house, port, forced=True)
    wait_until(lambda: len(fed(house)) >= 200, "it is fed")
    client.kill()
    client.wait(PATIENCE_S)
    feeds = fed(house)
    data = b"".join(data for _, data in feeds)
    assert data == expected(SEED, 0, len(data))
    assert set(bits for bits, _ in feeds) == {7 * BLOCK}


@needs_egd_linux
def test_ekeyd_egd_linux_asks_four_times_before_it_reads(house, serve):
    """The test stands between the two, and looks at what is asked before there is any reply."""
    serve(f"unix:{house.path}/egd")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        start_egd_linux(house, listener.getsockname()[1], forced=True)
        listener.settimeout(PATIENCE_S)
        client, _ = listener.accept()
    client.settimeout(PATIENCE_S)
    with client, client.makefile("rb") as requests, Client(house.path / "egd") as server:
        for _ in range(5):
            asked = requests.read(8)
            assert asked == read(BLOCK) * 4
            client.sendall(server.say(asked).hear(4 * BLOCK))
        wait_until(lambda: len(fed(house)) == 20, "it has fed all of them")
    assert b"".join(data for _, data in fed(house)) == expected(SEED, 0, 20 * BLOCK)


# ---- Perl's Crypt::Random::Seed ----


@pytest.mark.parametrize("rate", [0, 100], ids=["plenty", "scarce"])
def test_crypt_random_seed_takes_exactly_what_it_asked_for(house, serve, rate):
    """It finds us at /var/run/egd-pool, here in a mount namespace, and dies of a short read."""
    if missing := missing_perl():
        pytest.skip(f"missing: {missing}")
    socket_path = house.path / "run" / "egd-pool"
    socket_path.parent.mkdir()
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    if run(*unshare, "true").returncode != 0:
        pytest.skip("missing: a mount namespace of its own (root, or user namespaces)")
    serve(f"unix:{socket_path}", rate)
    lengths = [20, 1, 254, 255, 256, 510, 511, 600]
    done = subprocess.run(
        [*unshare, "sh", "-c", 'mount --bind "$0" /run && shift && exec "$@"', socket_path.parent,
         "--", "perl", "-MCrypt::Random::Seed", "-e", TAKE_SEEDS, *map(str, lengths)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected(SEED, 0, sum(lengths))
    assert row(house, "ended_done") == len(lengths) + 1
    assert row(house, "ended_lost") == row(house, "lost") == 0
