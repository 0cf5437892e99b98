"""Guests of Xen, without a network, get their entropy from the daemon in dom0: see xen.sh."""

import os
import pathlib

import pytest

import image
import xen

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")
BYTES = int(os.environ.get("EKEY_XEN_BYTES", "65536"))  # that each guest asks for
RATE = 128  # frames per second of the key: less than two guests would take, even here
LIMIT_S = 600 + BYTES // 1024  # a minute or two; the rest is for a busy machine

GUEST = [
    "agent_makes_the_generator_ready_within_2_s",
    "bytes_are_the_streams",
]
CASES = [
    *(f"{kind}.{name}" for kind in ("pv", "pvh") for name in GUEST),
    "pvh.daemon_here_has_the_host_as_its_source",
    "both_start_together",
    "guests_share_evenly",
    "no_byte_is_in_two_guests",
    "guest_is_seeded_before_it_runs",
    "pv.seed_makes_the_generator_ready",
    "pv.seed_is_there_once",
    "pv.agent_is_served",
]


@pytest.fixture(scope="module")
def boot():
    """One dom0, and its guests, for all cases."""
    try:
        image.get("xen")
    except image.Lack as lack:
        pytest.skip(f"the guests of Xen need {lack}")
    return xen.boot(BUILD, "xen.sh", LIMIT_S, bytes=BYTES, rate=RATE)


@pytest.mark.parametrize("case", CASES)
def test_xen(boot, case):
    results = boot.results()
    assert case in results, f"not tried:\n{boot.output}"
    assert results[case] is None, f"{results[case]}\n{boot.output}"


def test_ends_by_itself_and_tries_nothing_unlisted(boot):
    assert boot.exit == 0, boot.output
    assert set(boot.results()) <= set(CASES)
