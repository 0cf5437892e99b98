"""The examples for libvirt: valid by its own tool, and what its driver makes of them feeds a guest. No
daemon of libvirt's runs: virsh has the driver in itself, in a folder of its own."""

import os
import pathlib
import shlex
import shutil

import pytest

from house import NOBODY  # pylint: disable=wrong-import-order
from processes import TOP, run  # pylint: disable=wrong-import-order

TOOLS = {"virt-xml-validate": "libvirt-clients", "virsh": "libvirt-clients", "xmllint": "libxml2-utils"}
DRIVER = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"
DOMAIN = """\
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>128</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    {rng}
  </devices>
</domain>
"""
EXAMPLES = {  # and the outlet that it names
    "libvirt-rng-egd.xml": ("/run/ekey-random/egd", lambda home: home.egd),
    "libvirt-rng-random.xml": ("/dev/ekey-random", lambda home: home.device),
}


@pytest.fixture
def domain(place):
    """domain(EXAMPLE) -> the file of a guest with it."""
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            pytest.skip(f"{tool} is missing (package {package})")

    def write(example):
        path = place / "domain.xml"
        path.write_text(DOMAIN.format(rng=(TOP / "doc/examples" / example).read_text()))
        return path

    return write


def native(place, domain):
    """QEMU's words for the random number generator of this guest, as the driver has them."""
    if not pathlib.Path(DRIVER).exists():
        pytest.skip(f"{DRIVER} is missing (package libvirt-daemon-driver-qemu)")
    home = place / "libvirt"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    argv = ["virsh", "-c", f"qemu:///embed?root={home}", "domxml-to-native", "qemu-argv", "--xml", str(domain)]
    if os.geteuid() == 0:  # root's driver wants libvirt's user, who comes with its daemon
        shutil.chown(home, 65534, 65534)
        argv = [*NOBODY, *argv]
    result = run(*argv, env=env)
    assert result.returncode == 0, result.stdout
    words = shlex.split(result.stdout)
    return [word for pair in zip(words, words[1:]) if "rng0" in pair[1] for word in pair]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_is_valid(domain, example):
    result = run("virt-xml-validate", str(domain(example)), "domain")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_libvirt_makes_of_it_feeds_a_guest(start_home, place, domain, example):
    words = native(place, domain(example))
    print(*words)
    named, outlet = EXAMPLES[example]
    assert named in " ".join(words)
    assert '"max-bytes":1024,"period":1000' in words[-1]
    home = start_home().serve()
    guest = home.start_guest("libvirt", [word.replace(named, str(outlet(home))) for word in words])
    guest.wait_booted()
    home.check_stream(guest.drawn)
