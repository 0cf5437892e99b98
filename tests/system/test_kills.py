"""A daemon is killed at any time, also while it starts: what it leaves is resumed, or refused and published again.

make soak-kill KILLS=500 SEED=1: so many, at times that SEED draws.
"""

import contextlib
import os
import random
import time

from conftest import ManagedDaemon
from device_client import Client, read_one
from generations import succeeded
from processes import Process, mounted, program, wait_until

KILLS = int(os.environ.get("KILLS") or 20)
SEED = int(os.environ.get("SEED") or 1)
EARLY_MAX = 2  # kills before one serves
LOST = 64 << 10  # bytes that one kill may cost, and more than are read until the next
LIMIT_S = 60 + 5 * KILLS
PARTS = ["ekey.device.random.connection", "ekey.device.random.lock", "ekey.device.random.table", "ekey.starts"]


def forget_starts(service):
    """So that those who were killed early are not followed later."""
    with service.store.lock:
        for name, fd in service.store.kept:
            if name == "ekey.starts":
                os.pwrite(fd, bytes(8), 0)


def kill(service):
    """And returns when there is another one."""
    killed = service.child
    forget_starts(service)
    with contextlib.suppress(ProcessLookupError):
        killed.kill()
    wait_until(lambda: service.child is not killed, "another daemon is started")


class Killer:
    def __init__(self, what):
        self.what, self.dice, self.served_s, self.count, self.early = what, random.Random(SEED), [], 0, 0

    def kill_starting(self, daemon):
        """At some time of its start, as long as that took at best, or some times."""
        for _ in range(self.dice.randint(0 if self.served_s else 1, EARLY_MAX)):
            time.sleep(self.dice.uniform(0, 1.2 * min(self.served_s, default=0.1)))
            self.early += not succeeded(daemon, 0)
            self.count += 1
            kill(daemon.service)

    def kill_serving(self, daemon):
        time.sleep(self.dice.uniform(0, 0.1))
        self.count += 1
        kill(daemon.service)

    def wait_served(self, daemon):
        began = time.monotonic()
        wait_until(lambda: succeeded(daemon, 0), "another daemon serves")
        self.served_s.append(time.monotonic() - began)

    def tell(self):
        print(f"{self.what}: {self.count} kills by seed {SEED}, {self.early} before it served; the next one "
              f"served after {sorted(self.served_s)[len(self.served_s) // 2]:.2f} s in the middle, "
              f"{max(self.served_s):.2f} s at worst")


def check_whole(daemon):
    """It is served, all of it is stored, and nothing twice."""
    assert len(Client(read_one, daemon.device, 16).result()) == 16
    wait_until(lambda: [name.rstrip("01") for name in daemon.service.store.names()] == PARTS, "all is stored once")
    assert len(mounted(daemon.device)) == 1


def test_what_a_kill_leaves_is_resumed_and_no_reader_notices(start_sim, start_managed, place, started):
    sim, killer = start_sim(rate=2000), Killer("under readers")
    daemon = start_managed(sim=sim, pool="16KiB")
    size = str((KILLS + 40) * LOST)
    crowd = [program("tests/system/readers"), "many", str(daemon.device), sim.seed, size, "16", size]
    readers = Process(["env", f"LIMIT_S={LIMIT_S}", *crowd], place / "readers.log")
    started.append(readers)
    while killer.count < KILLS:
        killer.kill_serving(daemon)
        killer.kill_starting(daemon)
        killer.wait_served(daemon)
        assert readers.running(), readers.log()
    check_whole(daemon)
    assert readers.stop(timeout=LIMIT_S) == 0, readers.log()
    killer.tell()
    print(readers.log())
    assert "0 bytes twice, 0 foreign" in readers.log()
    assert "published again" not in daemon.log() and "discard" not in daemon.log()


def test_what_a_kill_during_the_first_start_leaves_is_resumed_or_cleared(start_sim, device, place, started):
    """Published or not, and stored in part, or not at all."""
    sim, killer = start_sim(), Killer("in the first start")
    while killer.count < (KILLS + 1) // 2:
        daemon = ManagedDaemon(place, sim=sim, device=device)
        started.append(daemon)
        killer.kill_starting(daemon)
        killer.wait_served(daemon)
        check_whole(daemon)
        assert daemon.stop() == 0
        assert not mounted(device)
        started.remove(daemon)
        daemon.kill()
    killer.tell()
