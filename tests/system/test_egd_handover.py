"""A daemon goes and another one comes: the clients of EGD keep their connections."""

import os
import re
import time

import pytest

from egd import Client, free_port, read, section
from generations import kill, restart, succeed
from processes import PATIENCE_S, Process, program, wait_until

ROUNDS = int(os.environ.get("ROUNDS", 50))
MIB = 1 << 20



def served_again(path, length):
    """Whoever comes is served, with so many bytes."""
    with Client(path) as c:
        for _ in range(length // 255):
            assert len(c.ask(255)) == 255


@pytest.mark.parametrize("how", [kill, restart])
def test_a_crowd_of_clients_outlives_fifty_daemons(start_sim, start_daemon, place, started, how):
    """Clients of all kinds, over Unix and TCP: some half-close, some leave with answers owed."""
    sim = start_sim(rate=30000)
    unix, port = place / "egd", free_port()
    daemon = start_daemon(sim=sim, pool="16KiB")
    listens = [section(f"unix:{unix}", "unix", max_clients=4096),
               section(f"tcp:127.0.0.1:{port}", "tcp", max_clients=4096)]
    daemon.config.write_text("".join([daemon.config.read_text(), *listens]))
    succeed(daemon, restart)
    crowd = ["many", f"unix:{unix},tcp:{port}", sim.seed, str(256 * MIB), "32", str(32 * MIB)]
    readers = Process(["env", "CALM=1", program("tests/system/readers"), *crowd], place / "readers.log")
    started.append(readers)
    served, bytes_again = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        served.append(succeed(daemon, how)[0])
        served_again(unix, 4096)
        bytes_again.append(time.monotonic() - began)
        assert readers.running(), readers.log() + daemon.log()
    assert readers.stop(timeout=4 * PATIENCE_S) == 0, readers.log()
    print(readers.log())
    for what, s in ("served again", served), ("bytes again", bytes_again):
        print(f"{what} after at most {max(s):.2f} s, on average {sum(s) / len(s):.2f} s")
    assert "0 bytes twice, 0 foreign" in readers.log()
    print(daemon.log()[-2000:])
