"""Guests of Xen, without a network, get their entropy from the daemon in dom0: see xen.sh.

EKEY_XEN=all tries all of it; else a PV and a PVH guest are booted, and little more.
"""

import os
import pathlib

import pytest

import image
import xen

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")
PART = os.environ.get("EKEY_XEN", "short")
ROUNDS = int(os.environ.get("EKEY_XEN_ROUNDS", "2"))  # 50: ten minutes
BOOTS = 100 + ROUNDS  # that it may last; about ten on a quiet machine

WORDS = {
    # Of the slow key less than two guests would take, even here.
    "all": {"bytes": 1 << 20, "scarce": 48 << 10, "rate": 128, "rounds": ROUNDS},
    "short": {"bytes": 16 << 10, "scarce": 0, "rate": 0, "rounds": 0},
}

PROCESSORS = {"all": 2, "short": 1}

CASES = [
    *(f"{kind}.{name}" for kind in ("pv", "pvh")
      for name in ("agent_makes_the_generator_ready_within_2_s", "bytes_are_the_streams")),
    "pvh.daemon_here_has_the_host_as_its_source",
    "pvh.bytes_of_the_daemon_here_are_the_streams",
    "both_start_together",
    "no_byte_is_in_two_guests",
]
if PART == "all":
    CASES += [
        "guests_share_evenly",
        "guest_is_seeded_before_it_runs",
        "pv.seed_makes_the_generator_ready",
        "pv.seed_is_there_once",
        "pv.agent_is_served",
        "guest_gets_its_bytes_over_restarts_and_kills",
        "pv.bytes_are_the_streams_over_restarts_and_kills",
        "pv.nothing_is_asked_again",
        "pv.agent_is_served_after_a_reboot",
        "hvm.virtio_rng_makes_the_generator_ready",
        "hvm.rng_egd_gives_bytes",
        "hvm.rng_random_gives_bytes",
        "virtio_rng_is_added_while_it_runs",
        "hvm.rng_egd_that_is_added_gives_bytes",
        "hvm.rng_random_that_is_added_gives_bytes",
        "hvm.agent_is_served",
        "seed_is_left_on_order",
        "hvm.seed_on_order_is_fed",
        "hvm.bytes_of_all_are_the_streams",
    ]


@pytest.fixture(scope="module")
def boot():
    """One dom0, and its guests, for all cases."""
    try:
        image.get("xen")
    except image.Lack as lack:
        pytest.skip(f"the guests of Xen need {lack}")
    return xen.boot(BUILD, "xen.sh", BOOTS, PROCESSORS[PART], part=PART, **WORDS[PART])


@pytest.mark.parametrize("case", CASES)
def test_xen(boot, case):
    results = boot.results()
    assert case in results, f"not tried:\n{boot.output}"
    assert results[case] is None, f"{results[case]}\n{boot.output}"


def test_ends_by_itself_and_tries_nothing_unlisted(boot):
    assert boot.exit == 0, boot.output
    assert set(boot.results()) <= set(CASES)
