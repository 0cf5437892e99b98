"""Containers of what Debian has to run them: a small root of this machine's own files, without a
network, in which a shell does as it is told."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading

from processes import PATIENCE_S, TOP, program

SPEC = TOP / "doc/examples/ekey-random.cdi.json"
KIND = "ekey-random.org/entropy"
DEVICE, EGD = "/dev/ekey-random", "/run/ekey-random"
TOOLS = ["sh", "head", "od", "tr", "cat"]

# A namespace of mounts, in which crun finds cgroups of one version, and podman our specification.
ALONE = """
umount /sys/fs/cgroup/unified 2>/dev/null
mkdir -p /run/cdi && mount --bind "$0" /run/cdi && exec "$@"
"""
LXC = """\
lxc.include = /usr/share/lxc/config/common.conf
lxc.rootfs.path = dir:{root}
lxc.uts.name = guest
lxc.net.0.type = empty
lxc.apparmor.profile = unconfined
{mounts}
"""


def make_root(root):
    """The tools, and what they are linked with."""
    programs = [shutil.which(tool) for tool in TOOLS] + [program("ekey-feed")]
    listed = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, text=True, check=True)
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "run/ekey-random"):
        (root / folder).mkdir(parents=True)
    for path in programs:
        shutil.copy(path, root / "bin")
    for path in set(re.findall(r"(/\S+) \(0x", listed.stdout)):
        to = root / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    (root / "etc/os-release").write_text("ID=test\n")


@dataclasses.dataclass
class Place:
    """Where a container finds what it is made of; `device` and `egd` are the host's."""

    folder: pathlib.Path
    device: str
    egd: str

    @property
    def root(self):
        return self.folder / "root"

    def write_spec(self):
        """The one that is shipped, with other paths on the host; a node is that of FUSE itself."""
        spec = json.loads(SPEC.read_text())
        node, file, egd = (device["containerEdits"] for device in spec["devices"])
        node["deviceNodes"][0]["hostPath"] = "/dev/fuse"
        file["mounts"][0]["hostPath"] = self.device
        egd["mounts"][0]["hostPath"] = self.egd
        folder = self.folder / "cdi"
        folder.mkdir(exist_ok=True)
        (folder / "ekey-random.json").write_text(json.dumps(spec))
        return folder


def podman(place, *devices, more=()):
    words = [word for device in devices for word in ("--device", f"{KIND}={device}")]
    return ["unshare", "--mount", "sh", "-c", ALONE, str(place.write_spec()),
            "podman", "--cgroup-manager=cgroupfs", "run", "--rm", "-i", "--network=none", "--log-driver=none",
            "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", *words, *more,
            "--rootfs", str(place.root)]


def by_podman(place):
    return podman(place, "file", "egd")


def by_lxc(place):
    mounts = [f"lxc.mount.entry = {place.device} dev/ekey-random none bind,ro,create=file 0 0",
              f"lxc.mount.entry = {place.egd} run/ekey-random none bind,ro 0 0"]
    conf = place.folder / "lxc.conf"
    conf.write_text(LXC.format(root=place.root, mounts="\n".join(mounts)))
    return ["lxc-execute", "-n", place.folder.name, "-P", str(place.folder), "-f", str(conf), "--"]


def by_nspawn(place):
    name = place.folder.name.encode().hex()  # of root's folder, two at a time would be in each other's way
    return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--private-network",
            f"--machine={name}", f"--bind-ro={place.device}:{DEVICE}", f"--bind-ro={place.egd}:{EGD}",
            "-D", str(place.root)]


RUNTIMES = {"podman": by_podman, "lxc": by_lxc, "nspawn": by_nspawn}
NEEDS = {"podman": "podman", "lxc": "lxc-execute", "nspawn": "systemd-nspawn"}


class Container:
    """A shell in a container, that lives until it is ended."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [*command, "/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1, start_new_session=True,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"},
        )

    def do(self, line):
        """(exit status, output) of a line of shell."""
        watch = threading.Timer(PATIENCE_S, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(f"{{ {line}\n}} 2>&1; printf '\\n= %d\\n' $?\n")
            said = []
            for said_line in self.process.stdout:
                if match := re.fullmatch(r"= (\d+)\n", said_line):
                    return int(match[1]), "".join(said).strip()
                said.append(said_line)
            return None, "".join(said)
        except BrokenPipeError:
            return None, "the shell has ended"
        finally:
            watch.cancel()

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
