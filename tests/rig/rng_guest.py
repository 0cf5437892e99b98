"""Guests in QEMU that draw from their virtio-rng for ever: Debian's stock kernel, by emulation, and
rng_guest.c as the only program. They are watched and changed over QMP, as libvirt does it."""

import functools
import json
import pathlib
import socket
import subprocess
import time

import beside  # pylint: disable=unused-import  # finds what tests/system has
import image
import qemu
from processes import BUILD, PATIENCE_S, wait_until  # pylint: disable=wrong-import-order

MEMORY_MIB = 128
IN_FLIGHT = 512  # bytes at most that are on their way from the daemon to a guest's file
LINE = f"{qemu.LINE} cryptomgr.notests lsm= ipv6.disable=1"


@functools.cache
def image_folder():
    """May raise image.Lack, and takes a moment."""
    return image.get()


class Qmp:
    """QEMU's monitor: one command at a time, and the events that came meanwhile."""

    def __init__(self, path, patience_s):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience_s)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rw", encoding="utf-8")
        self.events = []
        assert "QMP" in json.loads(self.lines.readline())
        self.execute("qmp_capabilities")

    def hear(self):
        line = self.lines.readline()
        assert line, "QEMU has ended"
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def execute(self, command, **arguments):
        json.dump({"execute": command, "arguments": arguments}, self.lines)
        self.lines.write("\n")
        self.lines.flush()
        while "event" in (answer := self.hear()):
            pass
        assert "return" in answer, f"{command}: {answer}"
        return answer["return"]

    def wait_event(self, name, **data):
        """The next one of this name and these data."""
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event["data"].items():
                    self.events.remove(event)
                    return
            self.hear()


class RngGuest:
    """`words` are more of QEMU's. What the guest has drawn is in the file `drawn`."""

    patience_s = PATIENCE_S  # of all tests, by the slowest boot that they have seen

    def __init__(self, place, name, words=()):
        self.began = time.monotonic()
        self.path = pathlib.Path(place, name)
        self.path.mkdir()
        self.drawn, self.qmp = self.path / "drawn", None
        with open(self.path / "log", "ab") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, [*self.command(), *words])],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )

    def command(self):
        folder = image_folder()
        files = qemu.first_files(BUILD, folder / "rng", "rng_guest")
        (self.path / "initrd").write_bytes(qemu.newc(files))
        return [
            # Two processors: for one, QEMU 7.2 leaves out the barriers that its own threads need,
            # and interrupts of virtio get lost.
            image.QEMU, "-accel", "tcg", "-cpu", "qemu64", "-smp", "2", "-m", MEMORY_MIB,
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", folder / "vmlinux", "-initrd", self.path / "initrd", "-append", LINE,
            "-serial", f"file:{self.path}/console", "-qmp", f"unix:{self.path}/qmp,server=on,wait=off",
            "-chardev", f"file,id=drawn,path={self.drawn}",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=drawn",
        ]

    def log(self):
        files = [self.path / "log", self.path / "console"]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def count(self):
        """Bytes that it has drawn."""
        assert self.child.poll() is None, f"{self.path.name} ended: {self.log()}"
        return self.drawn.stat().st_size if self.drawn.exists() else 0

    def wait_booted(self):
        """And has drawn from the start, which was a while ago for some: their key may have no more."""
        self.wait_drawn(IN_FLIGHT, qemu.BOOT_LIMIT_S)
        RngGuest.patience_s = max(self.patience_s, 10 * (time.monotonic() - self.began))

    def wait_more(self, more, at_least_s=0):
        """More than what was on its way."""
        self.wait_drawn(self.count() + more, at_least_s + self.patience_s)

    def wait_drawn(self, total, timeout):
        wait_until(lambda: self.count() >= total, f"{self.path.name} has drawn {total} bytes", timeout)

    def monitor(self):
        if not self.qmp:
            wait_until((self.path / "qmp").exists, "QEMU has a monitor")
            self.qmp = Qmp(self.path / "qmp", self.patience_s)
        return self.qmp

    def unplug(self, device, *backends):
        """The device, and at once what is behind it: [(command, id)]. QEMU 7.2 crashes when bytes come
        that a backend still waits for, and its device is no more."""
        qmp = self.monitor()
        qmp.execute("device_del", id=device)
        qmp.wait_event("DEVICE_DELETED", device=device)
        for command, name in backends:
            qmp.execute(command, id=name)

    def end(self):
        self.child.kill()
        self.child.wait(PATIENCE_S)
