"""Containers with the device as a FUSE file, and with the folder of an EGD socket: what they get,
and what they notice of the daemon's end."""

import os
import shutil
import signal

import pytest

from containers import DEVICE, EGD, NEEDS, RUNTIMES, Container, Place, make_root, podman
from house import House, as_root, stop
from processes import unmount, wait_until
from stream import expected

pytestmark = as_root
SEED = "daemon"
READ = f"head -c 32 {DEVICE} | od -An -v -tx1 | tr -d ' \\n'"
FEED = f"ekey-feed --once --credit 0 --timeout 10s --from unix:{EGD}/egd"
LISTEN = """\
[listen egd]
address = unix:{path}/containers/egd
mode = 0666
"""


@pytest.fixture
def house(place):
    place.chmod(0o755)
    (place / "containers").mkdir()
    house = House(place)
    house.start_sim()
    house.write_config(house.source(), house.device_section(), LISTEN.format(path=place))
    yield house
    house.clear()


@pytest.fixture
def site(house):
    site = Place(house.path, str(house.device), f"{house.path}/containers")
    make_root(site.root)
    return site


@pytest.fixture
def start(request):
    """Starts one that really runs, or skips the test."""

    def start(runtime, command):
        if not shutil.which(NEEDS[runtime]):
            pytest.skip(f"missing: {NEEDS[runtime]}")
        container = Container(command)
        request.addfinalizer(container.end)
        status, said = container.do("true")
        if status != 0:
            pytest.skip(f"{runtime} runs no container here: {said}")
        return container

    return start


def get(container):
    """A block of the key's that the container is given, as its number."""
    status, said = container.do(READ)
    assert status == 0 and len(said) == 64, said
    found = expected(SEED, 0, 1 << 20).find(bytes.fromhex(said))
    assert found >= 0, f"no bytes of the key's: {said}"
    return found


def fed(container, house):
    before = int(house.status()["listen egd"]["delivered"])
    status, said = container.do(FEED)
    assert status == 0, said
    assert int(house.status()["listen egd"]["delivered"]) == before + 64


def succeed(house, service, number):
    """Another daemon follows."""
    previous = service.child.pid
    os.kill(previous, number)
    wait_until(lambda: service.child.pid != previous, "another daemon")
    wait_until(lambda: house.is_served_by(service.child.pid), "it answers")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_device_and_egd_are_there_and_stay(house, site, start, runtime):
    """kill -9 of the daemon, and a restart, leave both to the container."""
    service = house.start_service()
    container = start(runtime, RUNTIMES[runtime](site))
    got = {get(container)}
    fed(container, house)
    status, _ = container.do(f"true >{DEVICE}")
    assert status != 0
    succeed(house, service, signal.SIGKILL)
    got.add(get(container))
    fed(container, house)
    succeed(house, service, signal.SIGUSR2)
    got.add(get(container))
    fed(container, house)
    assert len(got) == 3


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_after_an_end_the_folder_has_the_next_socket(house, site, start, runtime):
    """The file that was mounted is of the connection that has ended; the folder is a folder."""
    daemon = house.start_daemon()
    container = start(runtime, RUNTIMES[runtime](site))
    get(container)
    stop(daemon)
    assert container.do(FEED)[0] == 1
    house.start_daemon()
    fed(container, house)
    status, said = container.do(f"head -c 1 {DEVICE}")
    assert status != 0 and "not connected" in said, said
    unmount(house.device)


def test_socket_that_is_mounted_itself_is_of_no_use_after_an_end(house, site, start):
    """Why it is the folder that is given."""
    daemon = house.start_daemon()
    mount = ["--volume", f"{site.egd}/egd:{EGD}/egd"]
    container = start("podman", podman(site, more=mount))
    fed(container, house)
    stop(daemon)
    house.start_daemon()
    status, said = container.do(FEED)
    assert status == 1 and "refused" in said, said


def test_node_may_be_read_and_no_more(site, start):
    """The specification's, with a node that containers do not have."""
    container = start("podman", podman(site, "node"))
    assert container.do(f"true <{DEVICE}")[0] == 0
    status, said = container.do(f"true >{DEVICE}")
    assert status != 0 and "not permitted" in said, said


def test_container_that_was_given_nothing_has_nothing(site, start):
    container = start("podman", podman(site))
    assert container.do(f"[ ! -e {DEVICE} ] && [ ! -e {EGD}/egd ]")[0] == 0
