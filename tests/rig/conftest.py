"""Fixtures of the guests that draw from virtio-rng."""

import pytest

from rng_home import homes, short_folder


@pytest.fixture
def place():
    with short_folder() as path:
        yield path


@pytest.fixture
def start_home(place):
    """start_home(NAME) -> a Home."""
    with homes(place) as start:
        yield start
