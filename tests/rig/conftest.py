"""Fixtures of the guests that draw from virtio-rng."""

import contextlib
import pathlib
import tempfile

import pytest

import image
from rng_home import Home


@pytest.fixture
def place():
    """A folder with a short name, for sockets have little room for theirs."""
    with tempfile.TemporaryDirectory(prefix="ekey.") as path:
        pathlib.Path(path).chmod(0o755)
        yield pathlib.Path(path)


@pytest.fixture
def start_home(place):
    """start_home(NAME) -> a Home, of which nothing is left afterwards."""
    try:
        image.get()
    except image.Lack as lack:
        pytest.skip(f"the guests in QEMU need {lack}")
    with contextlib.ExitStack() as stack:

        def start(name="home"):
            home = Home(place / name)
            stack.callback(home.clear)
            return home

        yield start
