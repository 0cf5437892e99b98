"""The checker of device reads is no use unless it sees what must not be. Here a FIFO is the device."""

import os
import re
import threading

import pytest

import stream
from processes import program, run

TOTAL = 4 << 20
SPARE = 12 << 20


@pytest.fixture
def read_back(place):
    """Lets the checker read `data` from a FIFO."""

    def start(data, *argv):
        fifo = place / "fifo"
        os.mkfifo(fifo)
        writer = threading.Thread(target=feed, args=(fifo, data), daemon=True)
        writer.start()
        readers = program("tests/system/readers")
        return run(readers, argv[0], str(fifo), "seed", str(TOTAL), *argv[1:])

    return start


def feed(fifo, data):
    try:
        fifo.write_bytes(data)
    except BrokenPipeError:
        pass


@pytest.fixture(scope="module")
def good():
    return stream.expected("seed", 0, TOTAL + SPARE)


def spoilt(good, at, piece):
    return good[:at] + piece + good[at + len(piece) :]


def test_accepts_the_stream(read_back, good):
    result = read_back(good, "many", "64")
    assert result.returncode == 0, result.stdout


# Where a read ends is chance, and less than 15 bytes at either end of a piece cannot be found.
EDGES = 2 * 14


@pytest.mark.parametrize("length", [64, 512, 4096])
def test_sees_bytes_that_come_twice(read_back, good, length):
    result = read_back(spoilt(good, 999_000, good[100_000:][:length]), "many", "64")
    assert result.returncode == 1, result.stdout
    assert length - EDGES <= int(re.search(r"(\d+) bytes twice", result.stdout)[1]) <= length


def test_sees_bytes_of_elsewhere(read_back, good):
    result = read_back(spoilt(good, 999_000, bytes(256)), "many", "64")
    assert result.returncode == 1, result.stdout


def test_accepts_the_stream_in_order(read_back, good):
    result = read_back(good, "one")
    assert result.returncode == 0, result.stdout


def test_sees_a_gap(read_back, good):
    result = read_back(good[:70_000] + good[70_001:], "one")
    assert result.returncode == 1, result.stdout


def check_files(place, *pieces):
    paths = [place / str(number) for number in range(len(pieces))]
    for path, piece in zip(paths, pieces):
        path.write_bytes(piece)
    return run(program("tests/system/readers"), "recorded", "seed", str(SPARE), *map(str, paths))


def test_accepts_files_that_share_nothing(place, good):
    result = check_files(place, good[:5000] + good[9000:10000], good[5000:9000], good[10000:10016])
    assert result.returncode == 0, result.stdout
    assert "10016 bytes in 3 files" in result.stdout


def test_sees_what_is_in_two_files(place, good):
    result = check_files(place, good[:5000], good[4000:6000])
    assert result.returncode == 1, result.stdout
    assert "1000 bytes twice" in result.stdout
