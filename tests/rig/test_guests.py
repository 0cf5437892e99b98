"""What is tried in guests: Debian's stock kernel in QEMU. SUITE=trixie tries another Debian's."""

import re

import pytest

import image
from guests import GUESTS


def result(boot):
    try:
        return boot.result()
    except image.Lack as lack:
        pytest.skip(f"the guests in QEMU need {lack}")


@pytest.mark.parametrize(
    "guest, case",
    [pytest.param(guest, case, id=f"{guest.name}-{case}")
     for guest in GUESTS for case in guest.cases],
)
def test_promise(boots, guest, case):
    run = result(boots[guest.name])
    results = run.results()
    assert case in results, f"not tried:\n{run.output}"
    assert results[case] is None, f"{results[case]}\n{run.output}"
    print(*re.findall(rf"^ok {re.escape(case)}\n((?:# .*\n)*)", run.output, re.M))  # for make soak-handover


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.name)
def test_ends_by_itself_and_tries_nothing_unlisted(boots, guest):
    run = result(boots[guest.name])
    assert run.exit == 0, run.output
    assert set(run.results()) <= set(guest.cases)
