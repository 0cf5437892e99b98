"""A key, a daemon with both of its outlets for QEMU, and guests and readers that draw from them."""

import contextlib
import pathlib
import tempfile

import pytest

import image
from rng_guest import RngGuest, image_folder
from house import House  # pylint: disable=wrong-import-order
from processes import PATIENCE_S, program, run, wait_until  # pylint: disable=wrong-import-order

REQUEST = 64  # bytes that the guest's driver asks for at once
RATE = 2000  # frames of 32 bytes a second
SPARE = 32 << 20  # bytes of the stream that nobody got: of killed daemons, of kernels
LISTEN = """\
[listen egd]
address = unix:{path}
greet = 64
"""


class Home(House):
    """A key, a daemon with both outlets, and what reads from them."""

    def __init__(self, path):
        path.mkdir()
        super().__init__(path)
        self.egd, self.guests = path / "egd", []
        self.write_config(self.source(), self.device_section(), LISTEN.format(path=self.egd), pool="16KiB")

    def serve(self, *options):
        self.plug(*options)
        self.service = self.start_service()
        return self

    def plug(self, *options):
        self.key_now = self.start_sim("--seed", "vm", *options, rate=RATE)

    def unplug(self):
        self.key_now.kill()
        self.key_now.wait(PATIENCE_S)

    def words(self, kind, *more):
        """Of QEMU, for a device that is there from the start."""
        return [*BACKENDS[kind](self), "-device", ",".join(["virtio-rng-pci,rng=rng,id=hwrng", *more])]

    def start_guest(self, name, words=()):
        self.guests.append(RngGuest(self.path, name, words))
        return self.guests[-1]

    def start_reader(self, size):
        """Reads on and on, and ends with any error."""
        to = self.path / f"reader{size}"
        self.start("dd", f"if={self.device}", f"of={to}", f"bs={size}", "status=none", log="reader.log")
        return to

    def wait_dry(self):
        """The ring has less than a request of virtio's, if anything, and its guests wait."""
        def dry():
            pool = self.status()["pool -"]
            return int(pool["level_bytes"]) < REQUEST and int(pool["waiters"]) == len(self.guests)
        wait_until(dry, f"{self.path.name}: nothing is left, and who draws waits")

    def check_stream(self, *files):
        """That what these files hold is the key's, and no byte of it twice."""
        result = run(program("tests/system/readers"), "recorded", "vm", str(SPARE), *map(str, files))
        print(result.stdout)
        assert result.returncode == 0, result.stdout

    def clear(self):
        for guest in self.guests:
            guest.end()
        super().clear()


BACKENDS = {
    "rng-egd": lambda home: ["-chardev", f"socket,id=egd,path={home.egd},reconnect=1",
                             "-object", "rng-egd,id=rng,chardev=egd"],
    "rng-random": lambda home: ["-object", f"rng-random,id=rng,filename={home.device}"],
}


@contextlib.contextmanager
def short_folder():
    """With a short name, for sockets have little room for theirs."""
    with tempfile.TemporaryDirectory(prefix="ekey.") as path:
        pathlib.Path(path).chmod(0o755)
        yield pathlib.Path(path)


@contextlib.contextmanager
def homes(place):
    """A function that makes one with a name, of which nothing is left afterwards."""
    try:
        image_folder()
    except image.Lack as lack:
        pytest.skip(f"the guests in QEMU need {lack}")
    with contextlib.ExitStack() as stack:

        def start(name="home"):
            home = Home(place / name)
            stack.callback(home.clear)
            return home

        yield start
