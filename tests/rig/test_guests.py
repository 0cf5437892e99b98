"""Keys on the USB of Debian's stock kernel, in QEMU: what the kernel, udev, systemd and the daemon
make of them. SUITE=trixie tries another Debian's."""

import concurrent.futures

import pytest

import again
import image
from guests import GUESTS

AT_A_TIME = 3  # they wait more than they compute


def boot(guest, new_folder, told):
    return again.boot(guest.name, guest.cases, lambda: guest.boot(new_folder(guest.name)), told)


@pytest.fixture(scope="module")
def boots(request, tmp_path_factory):
    """A boot for each guest that a chosen test needs, or two: {name: future Run}."""
    try:
        image.get()
    except image.Lack as lack:
        pytest.skip(f"the guests in QEMU need {lack}")
    wanted = {item.callspec.params["guest"].name for item in request.session.items
              if item.module is request.module}
    told = []
    tmp_path_factory.getbasetemp()  # pytest's first folder, which two threads may not make at once
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {guest.name: pool.submit(boot, guest, tmp_path_factory.mktemp, told)
               for guest in GUESTS if guest.name in wanted}
    again.tell(request, told)


@pytest.mark.parametrize(
    "guest, case",
    [pytest.param(guest, case, id=f"{guest.name}-{case}")
     for guest in GUESTS for case in guest.cases],
)
def test_promise(boots, guest, case):
    run = boots[guest.name].result()
    results = run.results()
    assert case in results, f"not tried:\n{run.output}"
    assert results[case] is None, f"{results[case]}\n{run.output}"


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.name)
def test_ends_by_itself_and_tries_nothing_unlisted(boots, guest):
    run = boots[guest.name].result()
    assert run.exit == 0, run.output
    assert set(run.results()) <= set(guest.cases)
