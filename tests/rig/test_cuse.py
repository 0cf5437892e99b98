"""The real daemon and a simulated key inside user-mode Linux: a real /dev/ekey-random, by CUSE."""

import os
import pathlib
import subprocess

import pytest

import uml

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / os.environ.get("BUILD", "build")
LIMIT_S = 420
PROBE = BUILD / "tests/system/probe"
PROMISES = subprocess.run(
    [PROBE, "-l"], stdout=subprocess.PIPE, text=True, check=True, timeout=10
).stdout.split()

CASES = [
    "is_character_device",
    "mode_is_from_config",
    "stream_in_order",
    "dd",
    "dd_fullblock",
    "head",
    "cat",
    "openssl_rand",
    "rngtest_passes",
    "dieharder_passes",
    "python_reads",
    "second_instance_is_refused",
    "name_of_another_device_is_refused",
    "name_of_a_file_is_refused",
    "never_twice",
    "pool_balances",
    "crowd_outlives_killed_daemons",
    "crowd_outlives_restarts",
    "who_waits_is_served_by_a_later_daemon",
    "node_stays",
    "another_table_is_published_anew",
    "killed_daemon_leaves_no_device",
    "serves_again",
    "stops_with_a_reader_blocked",
    *(f"{carrier}.{promise}" for carrier in ("cuse", "fuse") for promise in PROMISES),
]


@pytest.fixture(scope="module")
def boot():
    """One boot for all cases."""
    if lack := uml.missing():
        pytest.skip(f"missing: {lack}")
    return uml.boot(
        init=BUILD / "tests/rig/init",
        job=HERE / "cuse.sh",
        limit=LIMIT_S,
        build=BUILD,
        rounds=os.environ.get("EKEY_UML_ROUNDS", "10"),
        blocks=os.environ.get("EKEY_UML_BLOCKS", "200000"),
    )


@pytest.mark.parametrize("case", CASES)
def test_cuse(boot, case):
    results = boot.results()
    assert case in results, f"not tried:\n{boot.output}"
    assert results[case] is None, f"{results[case]}\n{boot.output}"


def test_ends_by_itself_and_tries_nothing_unlisted(boot):
    assert boot.exit == 0, boot.output
    assert set(boot.results()) <= set(CASES)
