"""The pool proof: user-mode Linux whose random generator is not ready until we feed it (pool.sh)."""

import os
import pathlib

import pytest

import uml

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / os.environ.get("BUILD", "build")
LIMIT_S = 120  # some 15 on an idle machine

# The kernel trusts neither the processor nor who started it, and, in user-mode Linux, nor the
# random numbers of its host: else it is ready before we begin.
ARGUMENTS = ["random.trust_cpu=off", "random.trust_bootloader=off"]
UML_ARGUMENTS = [*ARGUMENTS, "initcall_blacklist=rng_init"]

CASES = {
    "agent": [
        "not_ready_at_boot",
        "acts_are_exact",
        "uncredited_gives_nothing",
        "plain_tcp_gives_nothing",
        "agent_gives_what_it_credits",
        "tcp_that_is_trusted_gives",
        "agent_without_the_capability",
        "not_ready_yet",
        "agent_waits",
        "becomes_ready_by_the_agent",
        "agent_goes_on_by_the_clock",
        "agent_reports",
        "debians_client_asks_for_nothing",
    ],
    "daemon": [
        "not_ready_at_boot",
        "daemon_without_the_capability",
        "daemon_gives_what_it_credits",
        "becomes_ready_by_the_daemon",
        "daemon_goes_by_the_clock_now",
        "device_is_served_beside",
    ],
}


@pytest.fixture(scope="module")
def boots():
    """One boot for each feeder: a generator becomes ready only once."""
    if lack := uml.missing():
        pytest.skip(f"missing: {lack}")
    return {
        feeder: uml.boot(
            init=BUILD / "tests/rig/init",
            job=HERE / "pool.sh",
            limit=LIMIT_S,
            arguments=UML_ARGUMENTS,
            build=BUILD,
            feeder=feeder,
        )
        for feeder in CASES
    }


@pytest.mark.parametrize(
    "feeder, case", [(feeder, case) for feeder, cases in CASES.items() for case in cases]
)
def test_pool(boots, feeder, case):
    boot = boots[feeder]
    assert case in boot.results(), f"not tried:\n{boot.output}"
    assert boot.results()[case] is None, f"{boot.results()[case]}\n{boot.output}"


@pytest.mark.parametrize("feeder", CASES)
def test_ends_by_itself_and_tries_nothing_unlisted(boots, feeder):
    assert boots[feeder].exit == 0, boots[feeder].output
    assert set(boots[feeder].results()) <= set(CASES[feeder])
