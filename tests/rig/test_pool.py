"""The pool proof: user-mode Linux whose random generator is not ready until we feed it (pool.sh)."""

import os
import pathlib

import pytest

import uml
from pool_cases import CASES, UML

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / os.environ.get("BUILD", "build")
LIMIT_S = 120  # some 15 on an idle machine

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
            arguments=UML,
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
