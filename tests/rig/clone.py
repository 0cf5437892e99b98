"""A guest in QEMU that is saved, memory and all, and goes on from there as often as is wished."""

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import time

import image
import qemu

POLL_S = 0.02
MEMORY_MIB = 320


def wait_for(found, what, limit_s):
    """What found() gives, as soon as that is something."""
    end = time.monotonic() + limit_s
    while not (result := found()):
        assert time.monotonic() < end, f"not within {limit_s} s: {what()}"
        time.sleep(POLL_S)
    return result


def connect(path, limit_s):
    client = socket.socket(socket.AF_UNIX)

    def connected():
        with contextlib.suppress(OSError):
            client.connect(str(path))
            return True
        return False

    wait_for(connected, lambda: path, limit_s)
    return client


class Machine:
    """One QEMU. `saved`: go on with that, and stop before the first instruction."""

    def __init__(self, place, name, command, limit_s, saved=None):
        self.limit_s, self.given = limit_s, 0
        self.console = place / f"{name}.log"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, command),
             "-serial", f"file:{self.console}",
             "-chardev", f"socket,id=orders,path={place}/{name}.tty,server=on,wait=off",
             "-serial", "chardev:orders",
             "-qmp", f"unix:{place}/{name}.qmp,server=on,wait=off",
             *(["-incoming", f"exec:cat {saved}"] if saved else [])],
            stdin=subprocess.DEVNULL,
        )
        self.qmp = connect(place / f"{name}.qmp", limit_s).makefile("rw")
        self.qmp.readline()
        self.do("qmp_capabilities")
        self.tty = connect(place / f"{name}.tty", limit_s)

    def do(self, command, **arguments):
        self.qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline())
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]

    def wait_moved(self):
        wait_for(lambda: self.do("query-migrate").get("status") == "completed",
                 lambda: self.do("query-migrate"), self.limit_s)

    def save(self, path):
        self.do("stop")
        self.do("migrate", uri=f"exec:cat >{path}")
        self.wait_moved()

    def go_on(self):
        self.wait_moved()
        self.do("cont")

    def said(self):
        return re.sub("\r+\n", "\n", self.console.read_text(errors="replace"))

    def wait_said(self, pattern):
        """A whole line of that; the match."""
        return wait_for(lambda: re.search(f"^{pattern}\n", self.said(), re.M),
                        self.said, self.limit_s)

    def order(self, word):
        self.tty.sendall(f"{word}\n".encode())

    def obey(self, word):
        """Orders it, and waits until it is done."""
        self.order(word)
        self.wait_said(f"did {word}")

    def sleep(self, word):
        """Orders what puts it to sleep, and wakes it."""
        self.order(word)
        wait_for(lambda: self.do("query-status")["status"] == "suspended", self.said, self.limit_s)
        self.do("system_wakeup")
        self.wait_said(f"did {word}")

    def results(self):
        return qemu.results(self.said())

    def give(self):
        """What a reader in there is given."""
        self.given += 1
        self.order("give")
        return bytes.fromhex(self.wait_said(f"gave {self.given} ([0-9a-f]+)")[1])

    def end(self):
        self.process.kill()
        self.process.wait(self.limit_s)


class Template:
    """What all machines of one kind have in common: the disk that the first of them leaves."""

    def __init__(self, place, build, job, devices, limit_s):
        folder = image.get()
        self.place, self.devices, self.limit_s = pathlib.Path(place), devices, limit_s
        qemu.pack(build, None, self.place / "programs.tar")
        (self.place / "first.cpio").write_bytes(
            qemu.newc(qemu.first_files(build, folder / "boot")))
        subprocess.run(["cp", "--sparse=always", folder / "root.img", self.place / "disk.img"],
                       check=True, timeout=limit_s)
        self.kernel = [
            "-kernel", folder / "vmlinuz", "-initrd", self.place / "first.cpio", "-append",
            qemu.LINE +
            f" rig_init=/rig/tests/rig/init rig_job=/rig/{job} rig_build=/rig",
        ]

    def command(self, generation, disk):
        return [
            image.QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", *self.kernel,
            "-drive", f"file={self.place}/disk.img,if=virtio,format=raw,cache=unsafe,{disk}",
            "-drive", f"file={self.place}/programs.tar,if=virtio,format=raw,readonly=on",
            "-device", f"vmgenid,guid={generation}", *self.devices,
        ]

    @contextlib.contextmanager
    def machine(self, name, generation, saved=None):
        command = self.command(generation, "snapshot=on" if saved else "snapshot=off")
        machine = Machine(self.place, name, command, self.limit_s, saved)
        try:
            yield machine
        finally:
            machine.end()
