"""One daemon after another while processes wait: how soon the next one serves, and what it has left open."""

import os
import pathlib
import re

import pytest

from processes import Process, program, wait_until

ROUNDS = int(os.environ.get("ROUNDS", 50))


def succeed(daemon, place, started, how, rounds):
    """What tests/system/successions says when it is content."""
    tool = program("tests/system/successions")
    argv = [tool, str(daemon.device), f"cat {daemon.service.pidfile}", how, str(rounds)]
    run = Process(argv, place / f"successions.{how}.log")
    started.insert(0, run)
    assert run.wait(60 + rounds) == 0, run.log()
    return run.log()


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_each_blocked_reader_and_poller_is_served_by_each_daemon_and_soon(start_sim, start_managed, place, started, how):
    """The node again in less than 1 s, bytes within 3 s; by read, poll, select and epoll."""
    daemon = start_managed(sim=start_sim(rate=2000))
    print(succeed(daemon, place, started, how, ROUNDS))
    assert daemon.log().count("resumed by fuse") == ROUNDS
    assert "published again" not in daemon.log()


def files(pid):
    """What it has open, by kind: numbers of pipes and the like aside."""
    at = pathlib.Path(f"/proc/{pid}/fd")
    return sorted(re.sub(r"\d+", "N", os.readlink(fd)) for fd in at.iterdir())


def test_no_daemon_has_more_files_open_than_the_one_before(start_sim, start_managed, place, started):
    daemon = start_managed(sim=start_sim(rate=2000))
    succeed(daemon, place, started, "kill", 2)
    before, stored = files(daemon.pid), daemon.service.store.names()
    succeed(daemon, place, started, "restart", ROUNDS)
    succeed(daemon, place, started, "kill", ROUNDS // 2)
    # It may still be about to ask its source.
    wait_until(lambda: files(daemon.pid) == before, "the daemon has no more files")
    assert len(daemon.service.store.names()) == len(stored)
