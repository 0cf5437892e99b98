"""For each configuration there is one ekey-randomd, and beside it the helpers that it needs and no other."""


import pytest

from house import House, as_root
from memory import family, name
from processes import free_port, wait_until

pytestmark = as_root

# Sections, and the names of the helpers that they take.
CONFIGURATIONS = {
    "key_and_device": ("{key}{device}", []),
    "kernel": ("{key}[kernel]\n", []),
    "kernel_with_credit": ("{key}[kernel]\ncredit = yes\n", ["ekey-rng"]),
    "listener": ("{key}[listen a]\naddress = unix:{place}/egd\n", []),
    "tls": ("{key}[listen a]\naddress = tls:127.0.0.1:{port}\npsk = {place}/psk\n", ["ekey-tls"]),
    "server": ("[source up]\ntype = egd\naddress = tcp:127.0.0.1:9\n", []),
    "xen": ("{key}[listen a]\naddress = xen:{place}\n", ["ekey-connect"]),
    "all": ("{key}{device}[kernel]\ncredit = yes\n[listen a]\naddress = xen:{place}\n"
            "[listen b]\naddress = unix:{place}/egd\n", ["ekey-connect", "ekey-rng"]),
}


@pytest.fixture
def house(place):
    house = House(place)
    yield house
    house.clear()


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_only_the_helpers_that_are_needed_run(house, what):
    sections, helpers = CONFIGURATIONS[what]
    house.start_sim()
    (house.path / "psk").write_text("client:" + "0123456789abcdef" * 4 + "\n")
    (house.path / "psk").chmod(0o600)
    house.write_config(sections.format(key=house.source(), device=house.device_section(), place=house.path,
                                       port=free_port()))
    daemon = house.start_daemon()
    wanted = sorted([*helpers, "ekey-randomd"])
    wait_until(lambda: sorted(map(name, family(daemon.pid))) == wanted, f"these run: {wanted}")
