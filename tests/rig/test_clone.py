"""A machine that is cloned: the daemon and ekey-feed in it, saved with bytes in hand, and gone on
with more than once. Its bytes come from a daemon on the host, whose stream tells them apart."""

import dataclasses
import os
import pathlib
import tempfile
import time

import pytest

import beside
import clone
import image
import qemu
from beside import House, expected  # which knows where they are

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")
STEP_BOOTS = 30  # how many times as long as the boot a step may take
STREAM_LEN = 1 << 17
WINDOW = 8  # bytes that are nowhere else in the stream
CASES = ["first.clone_is_noticed", "second.clone_is_noticed", "untold.wiped_by_order",
         "untold.fed_by_order", "untold.sleep_is_noticed"]
SAME, FIRST, SECOND = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("host"))
    house.start_sim("--seed", "clone")
    house.write_config(house.source(), beside.LISTEN.format(path=house.path / "egd"))
    house.start_daemon()
    yield house
    house.clear()


def delivered(host):
    return int(host.status()["listen egd"]["delivered"])


def consoles(host):
    words = ["-device", "virtio-serial-pci"]
    for name in ("daemon", "feed"):
        words += ["-chardev", f"socket,id={name},path={host.path}/egd",
                  "-device", f"virtconsole,chardev={name}"]
    return words


@dataclasses.dataclass
class Found:
    """What machines of one state said and gave."""

    at_save: int = 0  # bytes that the host had given by then
    at_order: int = 0
    given: dict = dataclasses.field(default_factory=dict)
    results: dict = dataclasses.field(default_factory=dict)
    took_s: list = dataclasses.field(default_factory=list)
    said: list = dataclasses.field(default_factory=list)

    def note(self, name, machine):
        self.said.append(f"---- {name}\n{machine.said()}")
        self.results |= {f"{name}.{case}": why for case, why in machine.results().items()}


def run_clone(found, name, machine):
    machine.go_on()
    began = time.monotonic()
    machine.obey("notice")
    found.took_s.append(time.monotonic() - began)
    found.given[name] = machine.give()
    found.note(name, machine)


def run_untold(found, machine, host):
    machine.go_on()
    found.given["untold"] = machine.give()
    found.at_order = delivered(host)
    machine.obey("wipe")
    found.given["ordered"] = machine.give()
    machine.obey("feed")
    machine.sleep("sleep")
    found.note("untold", machine)


def run_all(found, place, host):
    """One is saved; two clones go on with what it had, and one that is told of no clone."""
    template = clone.Template(place, BUILD, "clone.sh", consoles(host), qemu.BOOT_LIMIT_S)
    with template.machine("saved", SAME) as machine:
        began = time.monotonic()
        machine.wait_said("rig: begun.*")
        template.limit_s = machine.limit_s = STEP_BOOTS * (time.monotonic() - began)
        machine.wait_said("rig: ready")
        machine.save(place / "state")
    found.at_save = delivered(host)
    for name, generation in (("first", FIRST), ("second", SECOND)):
        with template.machine(name, generation, place / "state") as machine:
            run_clone(found, name, machine)
    with template.machine("untold", SAME, place / "state") as machine:
        run_untold(found, machine, host)


@pytest.fixture(scope="module")
def found(host):
    try:
        image.get()
    except image.Lack as lack:
        pytest.skip(f"the guests in QEMU need {lack}")
    result = Found()
    with tempfile.TemporaryDirectory(prefix="clone.") as place:
        run_all(result, pathlib.Path(place), host)
    return result


def positions(data):
    """Where in the host's stream these bytes are from: most of them, but for where pieces meet."""
    stream = expected("clone", 0, STREAM_LEN)
    index = {stream[i:i + WINDOW]: i for i in range(STREAM_LEN - WINDOW)}
    found = {index.get(data[i:i + WINDOW]) for i in range(len(data) - WINDOW)} - {None}
    assert len(found) > len(data) * 0.9, f"{len(found)} of {len(data)} bytes are the stream's"
    return found


@pytest.mark.parametrize("case", CASES)
def test_promise(found, case):
    output = "\n".join(found.said)
    assert case in found.results, f"not tried:\n{output}"
    assert found.results[case] is None, f"{found.results[case]}\n{output}"


def test_state_that_was_saved_had_bytes_in_hand(found):
    """Whom nobody tells gives them: so the others could have."""
    last = max(positions(found.given["untold"]))
    assert last < found.at_save, f"byte {last} of {found.at_save}"


@pytest.mark.parametrize("name", ["first", "second"])
def test_clone_gives_none_of_them(found, name):
    first = min(positions(found.given[name]))
    print(f"saved at byte {found.at_save}, clone gives from {first}; noticed within {found.took_s} s")
    assert first >= found.at_save


def test_no_byte_is_given_by_two_clones(found):
    assert not positions(found.given["first"]) & positions(found.given["second"])


def test_wipe_by_order_leaves_nothing(found):
    first = min(positions(found.given["ordered"]))
    assert first >= found.at_order, f"byte {first}, and {found.at_order} had been given"
