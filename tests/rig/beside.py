"""What runs on the host beside a guest in QEMU. Each is a context manager that gets the folder of
what the guest finds in its root, and gives what QEMU is started with."""

import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from house import House  # pylint: disable=wrong-import-position
from stream import expected  # pylint: disable=wrong-import-position

STREAM_LEN = 32768  # bytes of a key's stream, for the guest to compare
LISTEN = """\
[listen egd]
address = unix:{path}
"""


@contextlib.contextmanager
def nothing(_tree):
    yield []


@contextlib.contextmanager
def generation(_tree):
    """Of a machine that could be cloned."""
    yield ["-device", "vmgenid,guid=auto"]


@contextlib.contextmanager
def egd_servers(tree):
    """Keys of three seeds, each with a daemon that serves it to a device of QEMU."""
    (tree / "rig").mkdir()
    (tree / "rig/stream").write_bytes(expected("rng", 0, STREAM_LEN))
    with tempfile.TemporaryDirectory(prefix="ekey.") as place, contextlib.ExitStack() as stack:
        for seed in ("rng", "limited", "console"):
            stack.enter_context(egd_server(pathlib.Path(place, seed), seed))
        yield [
            *chardev(place, "rng"), *chardev(place, "limited"), *chardev(place, "console"),
            "-object", "rng-egd,id=rng0,chardev=rng", "-device", "virtio-rng-pci,rng=rng0",
            "-object", "rng-egd,id=rng1,chardev=limited",
            "-device", "virtio-rng-pci,rng=rng1,max-bytes=32,period=500",
            "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=console",
        ]


def chardev(place, seed):
    return ["-chardev", f"socket,id={seed},path={place}/{seed}/egd"]


@contextlib.contextmanager
def egd_server(path, seed):
    path.mkdir()
    house = House(path)
    try:
        house.start_sim("--seed", seed)
        house.write_config(house.source(), LISTEN.format(path=path / "egd"))
        house.start_daemon()
        yield
    finally:
        house.clear()
