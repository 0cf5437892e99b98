"""Fixtures of the guests in QEMU."""

import concurrent.futures

import pytest

from guests import GUESTS
from rng_home import homes, short_folder

AT_A_TIME = 2  # beside what a test boots itself; they wait more than they compute


@pytest.fixture(scope="session", autouse=True)
def boots(request, tmp_path_factory):
    """{name: future Run} of each guest that a chosen test needs: all are begun with the first test,
    whichever it is, and the longest first."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {words["guest"].name for words in params if "guest" in words}
    tmp_path_factory.getbasetemp()  # pytest's first folder, which two threads may not make at once
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {guest.name: pool.submit(lambda guest=guest: guest.boot(tmp_path_factory.mktemp(guest.name)))
               for guest in GUESTS if guest.name in wanted}


@pytest.fixture
def place():
    with short_folder() as path:
        yield path


@pytest.fixture
def start_home(place):
    """start_home(NAME) -> a Home."""
    with homes(place) as start:
        yield start
