"""Daemon after daemon under those who wait: how soon the next one serves, and what is left of the former."""

import os
import pathlib
import re

import pytest

from processes import Process, core, program, wait_until

ROUNDS = int(os.environ.get("ROUNDS", 50))


def succeed(daemon, place, started, how, rounds):
    """What tests/system/successions says when it is content."""
    tool = program("tests/system/successions")
    argv = [tool, str(daemon.device), str(daemon.pid), how, str(rounds)]
    run = Process(argv, place / f"successions.{how}.log")
    started.insert(0, run)
    assert run.wait(60 + rounds) == 0, run.log()
    return run.log()


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_who_waits_is_served_by_each_daemon_and_soon(start_sim, start_daemon, place, started, how):
    """The node again in less than 1 s, bytes within 3 s; by read, poll, select and epoll."""
    daemon = start_daemon(sim=start_sim(rate=2000))
    print(succeed(daemon, place, started, how, ROUNDS))
    assert daemon.log().count("taken over by fuse") == ROUNDS
    assert "not taken over" not in daemon.log()


def files(pid):
    """What it has open, by kind: numbers of pipes and the like aside."""
    at = pathlib.Path(f"/proc/{pid}/fd")
    return sorted(re.sub(r"\d+", "N", os.readlink(fd)) for fd in at.iterdir())


def memory_kb(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def test_neither_parent_nor_daemon_grows(start_sim, start_daemon, place, started):
    daemon = start_daemon(sim=start_sim(rate=2000))
    succeed(daemon, place, started, "kill", 2)
    before, memory = files(daemon.pid), memory_kb(daemon.pid)
    before_in_daemon = files(core(daemon.pid))
    succeed(daemon, place, started, "restart", ROUNDS)
    succeed(daemon, place, started, "kill", ROUNDS // 2)
    print(f"parent: {len(before)} files, then {files(daemon.pid)}")
    print(f"parent: {memory} kB, then {memory_kb(daemon.pid)} kB")
    assert files(daemon.pid) == before
    assert memory_kb(daemon.pid) <= memory
    # It may still be about to ask its source.
    wait_until(lambda: files(core(daemon.pid)) == before_in_daemon, "the daemon has no more files")
